//! Whether the stored ledger is the one that was signed.

use crate::ledger::{Growth, Keyring, SigningKey};
use crate::seal::Seal;

use super::{Error, Reads, Result, Store, Tx, inconsistent, index, locked, on, row, rows, sql, stored};

/// What a check found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The number of entries.
    pub size: u64,
    /// The root, as signed.
    pub root: [u8; 32],
}

/// Why the stored ledger is not the one that was signed.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailed {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// It was read, and it is wrong.
    #[error("the ledger does not check: {0}")]
    Mismatch(String),
}

#[derive(sqlx::FromRow)]
struct LeafRow {
    idx: i64,
    at: i64,
    leaf: Vec<u8>,
    hashes: Vec<u8>,
}

impl Store {
    /// Start-up: the stored frontier must give the root that the last checkpoint signs, and the node secret must be
    /// the one that the records were sealed with. Begins a new ledger. On any other answer the node must not serve.
    pub async fn check_head(&self, key: &SigningKey, seal: &Seal) -> Result<Checked, CheckFailed> {
        locked::begin_ledger(self, key, seal).await?;
        let keys = Keyring::parse([key.verifier_key().as_str()]).map_err(Error::from)?;
        let mut reads = self.reads().await?;
        if reads.secret_check().await?.as_deref() != Some(seal.check_value().as_str()) {
            return Err(CheckFailed::Mismatch(
                "the node secret is not the one that its records were sealed with".into(),
            ));
        }
        let head = reads.head().await?;
        let (size, root) = signed(&mut reads, &keys).await?;
        let computed = head.growth.root().map_err(Error::from)?;
        if head.growth.size() != size || computed != root {
            let problem = format!(
                "the head has {} entries, the last checkpoint {size}, or their roots differ",
                head.growth.size()
            );
            return Err(CheckFailed::Mismatch(problem));
        }
        Ok(Checked { size, root })
    }

    /// Recomputes the whole tree from the leaves and compares it with every stored hash and the last checkpoint.
    /// `progress` is told how many entries are done, and of how many.
    pub async fn check_ledger(
        &self,
        keys: &Keyring,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Checked, CheckFailed> {
        let mut reads = self.reads().await?;
        let (size, root) = signed(&mut reads, keys).await?;
        let mut growth = Growth::from_frontier(0, &[]).map_err(Error::from)?;
        let mut last_at = i64::MIN;
        while growth.size() < size {
            for row in reads.leaves_from(growth.size()).await? {
                let expected = growth.size();
                if index(row.idx) != expected {
                    return Err(CheckFailed::Mismatch(format!("entry {expected} is missing")));
                }
                if row.at < last_at {
                    return Err(CheckFailed::Mismatch(format!("entry {expected} is earlier than the one before it")));
                }
                last_at = row.at;
                let (_, hashes) = growth.append(&row.leaf).map_err(Error::from)?;
                if hashes != row.hashes {
                    return Err(CheckFailed::Mismatch(format!("entry {expected} or a hash beside it was changed")));
                }
                if growth.size() == size {
                    break;
                }
            }
            progress(growth.size(), size);
        }
        if growth.root().map_err(Error::from)? != root {
            return Err(CheckFailed::Mismatch("the root is not the one that was signed".into()));
        }
        if !reads.leaves_from(size).await?.is_empty() {
            return Err(CheckFailed::Mismatch(format!("there are entries after the last checkpoint's {size}")));
        }
        Ok(Checked { size, root })
    }
}

async fn signed(reads: &mut Reads, keys: &Keyring) -> Result<(u64, [u8; 32]), CheckFailed> {
    let missing = || CheckFailed::Mismatch("there is no signed checkpoint".into());
    let (size, note) = reads.last_checkpoint().await?.ok_or_else(missing)?;
    let checkpoint = keys.open(&note).map_err(|e| CheckFailed::Mismatch(e.to_string()))?;
    if checkpoint.size == size {
        Ok((size, checkpoint.root))
    } else {
        Err(inconsistent("checkpoint", size.to_string(), "its note is for another size").into())
    }
}

impl Reads {
    pub(super) async fn secret_check(&mut self) -> Result<Option<String>> {
        let found = row!(self, sql::SECRET_CHECK, (Option<String>,));
        Ok(found.and_then(|(check,)| check))
    }

    async fn leaves_from(&mut self, from: u64) -> Result<Vec<LeafRow>> {
        Ok(rows!(self, sql::LEAVES_FROM, LeafRow, stored(from), 2_000_i64))
    }
}
