//! The writing transaction: it holds the ledger's head from its first statement to its commit.
//!
//! Crash points: before COMMIT nothing has happened; after it, everything has, and a retry of the same call finds
//! its entry. Nothing is handed out in between.

use crate::domain::{AgencyId, Instant};
use crate::ledger::{Draft, Growth, SigningKeys, Slots};
use crate::proto::v1::{Opening, Receipt};
use crate::seal::Seal;

use super::entries::{self, EntryRow};
use super::secrets::SecretsInUse;
use super::write::{Cell, Table, Write};
use super::{Error, KnownCall, Pool, Reads, Result, Store, Tx, fault, index, on, sql, stored};

const ENTRY: Table = Table {
    name: "entry",
    columns: &["idx", "kind", "at", "leaf", "hashes", "wrapped_key", "openings", "facts"],
    keep_existing: false,
};
const ENTRY_PARTY: Table = Table { name: "entry_party", columns: &["agency", "idx", "slots"], keep_existing: false };
const CHECKPOINT: Table = Table { name: "checkpoint", columns: &["size", "note"], keep_existing: true };

/// The transaction that holds the ledger's head. Dropping it rolls everything back.
#[derive(Debug)]
pub struct Locked {
    pub(super) reads: Reads,
    first: u64,
    head_at: Instant,
    database_time: Option<Instant>,
    growth: Growth,
    last_at: Instant,
    rows: Vec<EntryRow>,
    /// None until a node has started on this version.
    secrets: Option<SecretsInUse>,
    signers: Option<String>,
}

/// Something that has been appended, in a transaction that has not been committed yet.
///
/// There is no way from here to what was decided but through the [`Commit`] of the same transaction.
#[derive(Debug)]
pub struct Appended<D> {
    decided: D,
    batch: u64,
    index: u64,
    leaf: Vec<u8>,
    openings: Vec<Opening>,
}

/// Proof that the transaction was committed: everything appended in it is durable.
#[derive(Debug)]
pub struct Commit {
    batch: u64,
    origin: String,
    growth: Growth,
    note: String,
}

/// Something whose ledger entry is durable, and the receipt that proves it.
#[derive(Debug)]
pub struct Committed<D> {
    decided: D,
    index: u64,
    receipt: Option<Receipt>,
}

impl<D> Appended<D> {
    /// The index that the entry will have.
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl<D> Committed<D> {
    /// What was decided.
    pub fn decided(&self) -> &D {
        &self.decided
    }

    /// The entry's index.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The proof; none where the entry was committed by an earlier call.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// Takes what may be released, if anything, out of what was decided. Only this crate can, so a denial stays one.
    pub(crate) fn split<T, S>(self, f: impl FnOnce(D) -> (Option<T>, S)) -> (Option<Committed<T>>, S) {
        let (decided, rest) = f(self.decided);
        (decided.map(|decided| Committed { decided, index: self.index, receipt: self.receipt }), rest)
    }
}

#[derive(sqlx::FromRow)]
struct HeadRow {
    size: i64,
    at: i64,
    frontier: Vec<u8>,
    secrets: Option<String>,
    signers: Option<String>,
    database_time: Option<i64>,
}

impl Store {
    /// Takes the ledger's head. On both databases this is the transaction's first statement, so every fact that is
    /// read afterwards includes whatever was committed before.
    pub async fn lock(&self) -> Result<Locked> {
        let mut tx = match &self.writer {
            Pool::Sqlite(pool) => Tx::Sqlite(fault::begin_immediate(pool).await?),
            Pool::Postgres(pool) => Tx::Postgres(fault::begin(&pool.pool(), "BEGIN").await?),
        };
        let text = tx.text(&sql::LOCK_HEAD);
        let head: HeadRow = on!(&mut tx, conn => sqlx::query_as(text).fetch_one(conn).await)?;
        let first = index(head.size);
        let head_at = Instant::from_micros(head.at);
        Ok(Locked {
            reads: Reads(tx),
            first,
            head_at,
            database_time: head.database_time.map(Instant::from_micros),
            growth: Growth::from_frontier(first, &head.frontier)?,
            last_at: head_at,
            rows: Vec::new(),
            secrets: head.secrets.as_deref().map(SecretsInUse::parse).transpose()?,
            signers: head.signers,
        })
    }
}

impl Locked {
    /// The last entry's time.
    pub fn head_at(&self) -> Instant {
        self.head_at
    }

    /// The database's own clock, where it is another machine's.
    pub fn database_time(&self) -> Option<Instant> {
        self.database_time
    }

    /// For reading what decisions and plans read.
    pub fn reads(&mut self) -> &mut Reads {
        &mut self.reads
    }

    /// Appends an entry for what was decided; `sees` are the slots that whoever asked may open.
    pub(crate) fn append<D>(
        &mut self,
        decided: D,
        draft: &Draft,
        facts: Option<&[u8]>,
        sees: Slots,
        at: Instant,
        seal: &Seal,
    ) -> Result<Appended<D>> {
        // INVARIANT: time never decreases along the ledger.
        let at = at.max(self.last_at);
        let entry = draft.entry(at)?;
        let (index, hashes) = self.growth.append(&entry.leaf)?;
        self.last_at = at;
        self.rows.push(EntryRow::seal(index, draft, &entry, hashes, facts, seal)?);
        Ok(Appended { decided, batch: self.first, index, leaf: entry.leaf, openings: draft.openings(sees) })
    }

    /// What a call that was done earlier came to. Its entry was committed then; this only says so again.
    #[expect(clippy::unused_self, reason = "only under the lock is it known what was committed")]
    pub(crate) fn committed_earlier<D>(&self, call: &KnownCall, decided: D) -> Committed<D> {
        Committed { decided, index: call.index, receipt: None }
    }

    /// The index that the next entry will have.
    pub(crate) fn next_index(&self) -> u64 {
        self.growth.size()
    }

    /// How many entries the ledger had before this transaction, as it is stored beside what the transaction writes.
    pub(super) fn place(&self) -> i64 {
        stored(self.first)
    }

    /// Whether it is noted which secrets are in use.
    pub(super) fn lists_secrets(&self) -> bool {
        self.secrets.is_some()
    }

    /// The ids of the keys that sign the next checkpoint; none before the ledger began.
    pub(super) fn signers(&self) -> Option<Vec<String>> {
        self.signers.as_ref().map(|ids| ids.split_whitespace().map(str::to_owned).collect())
    }

    /// Lets exactly the keys of these ids sign, this transaction's checkpoint already.
    pub(super) async fn set_signers(&mut self, ids: &[String]) -> Result<()> {
        let ids = ids.join(" ");
        self.write(vec![Write::change_one("ledger_head", sql::SET_SIGNERS, vec![ids.clone().into()])]).await?;
        self.signers = Some(ids);
        Ok(())
    }

    /// Commits what was written, without an entry.
    pub(super) async fn done(self) -> Result<()> {
        self.reads.0.commit().await
    }

    /// Whether anything was appended.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Stores the entries, the checkpoint and the new head, and commits.
    ///
    /// When this returns, all of it is durable. If it fails after COMMIT was sent, the outcome is unknown: the
    /// calls are then put again, one by one, and find their entries if there are any.
    /// Nothing is stored if a key is not here that signs, or if the secret was closed with which things were sealed.
    pub(crate) async fn commit(mut self, keys: &SigningKeys, seal: &Seal) -> Result<Commit> {
        self.secrets.as_ref().ok_or_else(not_begun)?.check_open(seal)?;
        let size = self.growth.size();
        let note = keys.sign_checkpoint(&self.signers().ok_or_else(not_begun)?, size, self.growth.root()?)?;
        let mut writes = Vec::new();
        let mut parties = Vec::new();
        for row in std::mem::take(&mut self.rows) {
            for (agency, slots) in &row.parties {
                parties.push(party(agency, row.index, *slots));
            }
            writes.push(Write::insert(&ENTRY, row.into_cells()));
        }
        writes.append(&mut parties);
        writes.push(Write::insert(&CHECKPOINT, vec![stored(size).into(), note.clone().into()]));
        let frontier = self.growth.frontier()?;
        let head: Vec<Cell> =
            vec![stored(size).into(), self.last_at.micros().into(), frontier.into(), stored(self.first).into()];
        writes.push(Write::change_one("ledger_head", sql::MOVE_HEAD, head));
        self.write(writes).await?;
        self.reads.0.commit().await?;
        Ok(Commit { batch: self.first, origin: keys.origin().to_owned(), growth: self.growth, note })
    }

    /// Tries whether a commit succeeds: writes the head as it is.
    pub(super) async fn keep_head(mut self) -> Result<()> {
        self.write(vec![Write::change_one("ledger_head", sql::KEEP_HEAD, vec![])]).await?;
        self.reads.0.commit().await
    }
}

fn party(agency: &AgencyId, index: u64, slots: Slots) -> Write {
    Write::insert(&ENTRY_PARTY, vec![agency.as_str().into(), stored(index).into(), slots.bits().into()])
}

impl Commit {
    /// What was appended in this transaction, now committed, with its receipt.
    pub(crate) fn committed<D>(&self, appended: Appended<D>) -> Result<Committed<D>> {
        if appended.batch != self.batch || appended.index >= self.growth.size() {
            return Err(Error::Ledger(crate::ledger::Error::Tree("an entry of another transaction".into())));
        }
        let receipt = Receipt {
            origin: self.origin.clone(),
            index: appended.index,
            entry: appended.leaf,
            openings: appended.openings,
            inclusion: self.growth.prove(appended.index)?,
            checkpoint: self.note.clone(),
        };
        Ok(Committed { decided: appended.decided, index: appended.index, receipt: Some(receipt) })
    }
}

fn not_begun() -> Error {
    super::inconsistent("ledger_head", "1", "no node has started on it with this version")
}

/// Signs the empty tree of a new ledger, so that it has a checkpoint before its first entry, and notes with which secret its
/// records are sealed and which key signs. On a ledger that is there it takes up a new secret.
pub(super) async fn begin_ledger(store: &Store, keys: &SigningKeys, seal: &Seal) -> Result<()> {
    let mut locked = store.lock().await?;
    if locked.first == 0 && locked.signers.is_none() {
        let note = keys.first().sign_checkpoint(0, locked.growth.root()?)?;
        let secret = Write::change_any("ledger_head", sql::SET_SECRET_CHECK, vec![seal.check_value().into()]);
        locked.write(vec![Write::insert(&CHECKPOINT, vec![0_i64.into(), note.into()]), secret]).await?;
    }
    if locked.take_up_secret(seal).await? | locked.begin_signing(keys).await? {
        locked.done().await?;
    }
    Ok(())
}

impl Store {
    /// The receipt of an entry for one party, against the latest checkpoint.
    pub async fn receipt(
        reads: &mut Reads,
        origin: &str,
        agency: &AgencyId,
        at: u64,
        seal: &Seal,
    ) -> Result<Option<Receipt>> {
        let Some(entry) = reads.entry_for(agency, at).await? else { return Ok(None) };
        entries::receipt(reads, origin, entry, seal).await.map(Some)
    }
}
