//! Peers that mean no good: what they can present, send and withhold, row by row, and a neighbour who must not notice.

mod frames;
mod handshakes;
mod limits;
mod logs;
mod officers;
mod order;
mod peers;
mod pki;
mod raw;
mod resumed;
mod stacks;
