//! Every integration test in one binary: real servers on loopback, mutual TLS, both databases.
#![cfg(test)]

mod architecture;
mod bad_input;
mod builders;
mod cancelled;
mod cli;
mod completeness;
mod flow;
mod harness;
mod indistinguishable;
mod kill;
mod matrix;
mod oracle;
mod oracles;
mod postgres;
mod raw;
mod statements;
