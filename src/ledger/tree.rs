//! How the tree grows and what it proves. The arithmetic is `tlog_tiles`'; here is only where hashes are kept.
//!
//! Each entry's row keeps the hashes that the entry completed: its leaf's, then one for every level above it of
//! which it is the last leaf. An append therefore writes one row and reads nothing but the frontier.

use std::cell::RefCell;
use std::collections::HashMap;

use tlog_tiles::tlog::{self, Hash, HashReader};

use super::Error;

/// The RFC 6962 hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    tlog::record_hash(leaf).0
}

fn tree_error(error: impl std::fmt::Display) -> Error {
    Error::Tree(error.to_string())
}

/// Known hashes of the tree, by their place in `tlog`'s order.
#[derive(Debug, Default, Clone)]
pub struct Nodes(HashMap<u64, Hash>);

impl HashReader for Nodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let missing = || tlog::Error::InvalidInput("a needed hash is not there".into());
        indexes.iter().map(|index| self.0.get(index).copied().ok_or_else(missing)).collect()
    }
}

impl Nodes {
    /// Adds the hashes that an entry's row keeps.
    pub fn add_row(&mut self, index: u64, hashes: &[u8]) {
        let first = tlog::stored_hash_index(0, index);
        for (place, hash) in (first..).zip(hashes.chunks_exact(32)) {
            if let Ok(hash) = hash.try_into() {
                self.0.insert(place, Hash(hash));
            }
        }
    }
}

/// Notes which hashes an operation needs. They don't depend on the values, so one dry run finds them all.
#[derive(Default)]
struct Wanted(RefCell<Vec<u64>>);

impl HashReader for Wanted {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        self.0.borrow_mut().extend_from_slice(indexes);
        Ok(vec![tlog::EMPTY_HASH; indexes.len()])
    }
}

impl Wanted {
    /// The entries whose rows keep the hashes.
    fn rows(self) -> Vec<u64> {
        let row = |place: u64| {
            let (level, n) = tlog::split_stored_hash_index(place);
            ((n + 1) << level) - 1
        };
        let mut rows: Vec<u64> = self.0.into_inner().into_iter().map(row).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// The tree at one size, able to grow: its right frontier, and whatever has been appended since.
#[derive(Debug, Clone)]
pub struct Growth {
    size: u64,
    nodes: Nodes,
}

impl Growth {
    /// From the frontier as stored: the roots of the complete subtrees, from the left, 32 bytes each.
    pub fn from_frontier(size: u64, frontier: &[u8]) -> Result<Self, Error> {
        let places = tlog::sub_tree_index(0, size, Vec::new());
        if frontier.len() != places.len() * 32 {
            return Err(Error::Tree(format!("a frontier of {} bytes for size {size}", frontier.len())));
        }
        let hashes = frontier.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).map(Hash);
        Ok(Self { size, nodes: Nodes(places.into_iter().zip(hashes).collect()) })
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; gives its index and the hashes for its row.
    pub fn append(&mut self, leaf: &[u8]) -> Result<(u64, Vec<u8>), Error> {
        let index = self.size;
        let completed =
            tlog::stored_hashes_for_record_hash(index, tlog::record_hash(leaf), &self.nodes).map_err(tree_error)?;
        let row: Vec<u8> = completed.iter().flat_map(|hash| hash.0).collect();
        self.nodes.add_row(index, &row);
        self.size += 1;
        Ok((index, row))
    }

    /// The frontier to store.
    pub fn frontier(&self) -> Result<Vec<u8>, Error> {
        let places = tlog::sub_tree_index(0, self.size, Vec::new());
        let hashes = self.nodes.read_hashes(&places).map_err(tree_error)?;
        Ok(hashes.iter().flat_map(|hash| hash.0).collect())
    }

    /// The root hash.
    pub fn root(&self) -> Result<[u8; 32], Error> {
        tlog::tree_hash(self.size, &self.nodes).map(|hash| hash.0).map_err(tree_error)
    }

    /// The inclusion proof of an entry appended since the frontier was read.
    ///
    /// Its left siblings are complete subtrees, so each is in the old frontier or was completed since.
    pub fn prove(&self, index: u64) -> Result<Vec<Vec<u8>>, Error> {
        let proof = tlog::prove_record(self.size, index, &self.nodes).map_err(tree_error)?;
        Ok(proof.into_iter().map(|hash| hash.0.to_vec()).collect())
    }
}

/// A proof to be computed from the rows named beside it.
pub(super) type Proof = Box<dyn Fn(&Nodes) -> Result<Vec<Vec<u8>>, Error> + Send + Sync>;

/// The rows needed to prove that entry `index` is in the tree of `size`, and the proof once they are there.
pub fn prove_inclusion(size: u64, index: u64) -> (Vec<u64>, Proof) {
    let wanted = Wanted::default();
    // The dry run's proof is of empty hashes and is dropped; only what it asked for counts.
    drop(tlog::prove_record(size, index, &wanted));
    let prove = move |nodes: &Nodes| {
        let proof = tlog::prove_record(size, index, nodes).map_err(tree_error)?;
        Ok(proof.into_iter().map(|hash| hash.0.to_vec()).collect())
    };
    (wanted.rows(), Box::new(prove))
}

/// The rows needed to prove that the tree of `from` is a prefix of the tree of `size`, and the proof.
pub fn prove_consistency(size: u64, from: u64) -> (Vec<u64>, Proof) {
    let wanted = Wanted::default();
    drop(tlog::prove_tree(size, from, &wanted));
    let prove = move |nodes: &Nodes| {
        let proof = tlog::prove_tree(size, from, nodes).map_err(tree_error)?;
        Ok(proof.into_iter().map(|hash| hash.0.to_vec()).collect())
    };
    (wanted.rows(), Box::new(prove))
}

/// Whether the proof shows that the tree of `from` entries and this root is a prefix of the other, which is larger or the
/// same. A tree without entries is a prefix of any.
pub(crate) fn is_prefix(proof: &[Vec<u8>], (from, its_root): (u64, [u8; 32]), (size, root): (u64, [u8; 32])) -> bool {
    if from == 0 {
        return its_root == tlog::EMPTY_HASH.0;
    }
    let hashes: Option<Vec<Hash>> = proof.iter().map(|hash| hash.as_slice().try_into().ok().map(Hash)).collect();
    hashes.is_some_and(|proof| tlog::check_tree(&proof, size, Hash(root), from, Hash(its_root)).is_ok())
}

/// Whether the proof leads from the leaf to the root.
pub(super) fn is_included(proof: &[Vec<u8>], size: u64, root: [u8; 32], index: u64, leaf: &[u8]) -> bool {
    let hashes: Option<Vec<Hash>> = proof.iter().map(|hash| hash.as_slice().try_into().ok().map(Hash)).collect();
    hashes.is_some_and(|proof| tlog::check_record(&proof, size, Hash(root), index, tlog::record_hash(leaf)).is_ok())
}
