//! Whether the stored ledger is the one that was signed.

use crate::ledger::{Growth, Keyring, Signed, SigningKey, SigningKeys, TrustedKey, is_prefix};
use crate::seal::Seal;

use super::{Error, Reads, Result, Store, Tx, inconsistent, index, locked, on, row, rows, sql, stored};

/// What a check found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The number of entries.
    pub size: u64,
    /// The root, as signed.
    pub root: [u8; 32],
    /// The trusted keys that signed it.
    pub signed_by: Vec<TrustedKey>,
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
    pub async fn check_head(&self, keys: &SigningKeys, seal: &Seal) -> Result<Checked, CheckFailed> {
        locked::begin_ledger(self, keys, seal).await.map_err(|error| match error {
            Error::SecretClosed(_) | Error::Ledger(_) => CheckFailed::Mismatch(error.to_string()),
            other => other.into(),
        })?;
        let begun = self.look_at_head(keys, seal).await?;
        begun.ok_or_else(|| CheckFailed::Mismatch("there is no signed checkpoint".into()))
    }

    /// The same, and changes nothing. None: no node has begun the ledger yet.
    pub async fn look_at_head(&self, keys: &SigningKeys, seal: &Seal) -> Result<Option<Checked>, CheckFailed> {
        let mut reads = self.reads().await?;
        let (signers, head) = (reads.signers().await?, reads.head().await?);
        if head.growth.size() == 0 && signers.is_empty() && reads.last_checkpoint().await?.is_none() {
            return Ok(None);
        }
        if let Some(missing) = signers.iter().find(|id| keys.find(id).is_none()) {
            return Err(CheckFailed::Mismatch(unannounced(keys, missing)));
        }
        let verifiers: Vec<String> = keys.all().map(SigningKey::verifier_key).collect();
        let keys = Keyring::parse(verifiers.iter().map(String::as_str)).map_err(Error::from)?;
        if reads.secret_check().await?.as_deref() != Some(seal.check_value().as_str()) {
            return Err(CheckFailed::Mismatch(
                "the node secret is not the one that its records were sealed with".into(),
            ));
        }
        let Checked { size, root, signed_by } = signed(&mut reads, &keys).await?;
        let computed = head.growth.root().map_err(Error::from)?;
        if head.growth.size() != size || computed != root {
            let problem = format!(
                "the head has {} entries, the last checkpoint {size}, or their roots differ",
                head.growth.size()
            );
            return Err(CheckFailed::Mismatch(problem));
        }
        Ok(Some(Checked { size, root, signed_by }))
    }

    /// A checkpoint that was kept elsewhere: the ledger's keys signed it, and its entries are the first ones here. Gives how
    /// many it has. Changes nothing. On any other answer the database is an older copy or another history, and must not be
    /// served. Whether the ledger's head is the one that was signed is for [`Self::check_head`].
    pub async fn check_extends(&self, note: &str, keys: &SigningKeys) -> Result<u64, CheckFailed> {
        let mut reads = self.reads().await?;
        let history = reads.ledger_keys().await?;
        let configured = keys.all().map(SigningKey::verifier_key);
        let configured = configured.filter(|key| history.iter().all(|known| known.key != *key));
        let lines: Vec<String> = history.iter().map(ToString::to_string).chain(configured).collect();
        let ring = Keyring::parse(lines.iter().map(String::as_str)).map_err(Error::from)?;
        let Signed { checkpoint: trusted, by } = ring.open(note).map_err(|e| {
            CheckFailed::Mismatch(format!(
                "as it stands the ledger's keys did not sign it ({e}). A key that is newer than this database belongs into \
                 `node.other_ledger_key_files`"
            ))
        })?;
        if by.iter().all(|key| key.compromised.is_some()) {
            let problem =
                "it is signed by nothing but a key that was in other hands, which proves nothing: take another";
            return Err(CheckFailed::Mismatch(problem.to_owned()));
        }
        let head = reads.head().await?;
        let (size, is_begun) = (head.growth.size(), reads.last_checkpoint().await?.is_some());
        if !is_begun || size < trusted.size {
            let last = if size == 0 { String::new() } else { format!(", the last of {}", head.at) };
            return Err(CheckFailed::Mismatch(format!(
                "the database is older than this checkpoint: it has {size} entries{last}, and {} were signed. Missing: {}, \
                 withdrawals perhaps among them. It is not served: restore a newer copy (docs/operations.md, Restore)",
                trusted.size,
                trusted.size - size,
            )));
        }
        let proof = if trusted.size == 0 { Vec::new() } else { reads.consistency(size, trusted.size).await? };
        let root = head.growth.root().map_err(Error::from)?;
        if is_prefix(&proof, (trusted.size, trusted.root), (size, root)) {
            return Ok(trusted.size);
        }
        Err(CheckFailed::Mismatch(format!(
            "the database has {size} entries, and its first {} are not those that this checkpoint signs: it is another \
             history of the ledger. It is not served: keep it and the checkpoint as they are (docs/operations.md, Restore)",
            trusted.size
        )))
    }

    /// Recomputes the whole tree from the leaves and compares it with every stored hash and the last checkpoint.
    /// `progress` is told how many entries are done, and of how many.
    pub async fn check_ledger(
        &self,
        keys: &Keyring,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Checked, CheckFailed> {
        let mut reads = self.reads().await?;
        let Checked { size, root, signed_by } = signed(&mut reads, keys).await?;
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
        Ok(Checked { size, root, signed_by })
    }
}

/// Why a node whose files lack a key that signs does not start.
fn unannounced(keys: &SigningKeys, missing: &str) -> String {
    let configured: Vec<String> = keys.all().map(SigningKey::id).collect();
    format!(
        "its checkpoints are signed with the key {missing}, which is in neither `ledger_key_file` nor \
         `other_ledger_key_files` (there: {}). Put it there. A key is changed by `concordat ledger rotate-key`, not by its \
         file alone; what to do if it is lost is in docs/keys.md",
        configured.join(", ")
    )
}

/// The last checkpoint, as a key signed that nobody else may have had.
async fn signed(reads: &mut Reads, keys: &Keyring) -> Result<Checked, CheckFailed> {
    let missing = || CheckFailed::Mismatch("there is no signed checkpoint".into());
    let (size, note) = reads.last_checkpoint().await?.ok_or_else(missing)?;
    let Signed { checkpoint, by } = keys.open(&note).map_err(|e| CheckFailed::Mismatch(e.to_string()))?;
    let history = reads.ledger_keys().await?;
    let is_doubtful =
        |by: &TrustedKey| history.iter().chain([by]).any(|one| one.key == by.key && one.compromised.is_some());
    if by.iter().all(is_doubtful) {
        return Err(CheckFailed::Mismatch(
            "the last checkpoint is signed by nothing but a key that was in other hands: that proves nothing".into(),
        ));
    }
    if checkpoint.size == size {
        Ok(Checked { size, root: checkpoint.root, signed_by: by })
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
