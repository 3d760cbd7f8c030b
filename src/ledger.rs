//! The ledger's arithmetic: what an entry is, how the tree grows, what a checkpoint says, what a receipt proves.
//!
//! Pure: nothing here reads a clock, a file or the store, so an auditor can lift it out. Hashing is RFC 6962,
//! checkpoints are C2SP signed notes; both come from libraries, and the tests hold them against a second one.

mod checkpoint;
mod entry;
mod keyring;
mod receipt;
mod tree;

pub use checkpoint::{Checkpoint, SigningKey, SigningKeys, read_checkpoint};
pub(crate) use entry::visible;
pub use entry::{Draft, Entry, Kind, Salts, Slots, commit_to};
pub use keyring::{Keyring, Signed, TrustedKey, Worth};
pub use receipt::{Invalidity, Verified, verify};
pub(crate) use tree::is_prefix;
pub use tree::{Growth, Nodes, leaf_hash, prove_consistency, prove_inclusion};

/// Why the ledger's arithmetic could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stored tree does not add up.
    #[error("the stored tree is inconsistent: {0}")]
    Tree(String),
    /// An entry is longer than a tile can hold.
    #[error("an entry of {0} bytes is longer than 65,535")]
    TooLong(usize),
    /// A key cannot be read.
    #[error("{0}")]
    Key(String),
    /// A checkpoint cannot be read or signed.
    #[error("{0}")]
    Checkpoint(String),
}
