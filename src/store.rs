//! The store: SQLite or PostgreSQL, written once.
//!
//! [`Reads`] is a transaction that can only read. [`Locked`] is the one that holds the ledger's head: it alone can
//! append and write, and only its [`Commit`] turns what was appended into something that may be released. Nothing
//! here decides: statements fetch by key and by set, and conditions are left to `decision`.

mod advice;
mod agreements;
mod authorisations;
mod candidates;
mod check;
mod consents;
mod disclosures;
mod engagements;
mod entries;
mod events;
mod fault;
mod help;
mod incidents;
mod last_lists;
mod ledger_keys;
mod locked;
mod looks;
mod mandates;
mod notices;
mod obligations;
mod open;
mod organisations;
mod permissions;
mod proposals;
mod publications;
mod remains;
mod replay;
mod requests;
mod retention;
mod rewrap;
mod schema;
mod secrets;
mod silence;
mod sql;
mod suspensions;
mod themes;
mod write;
mod wrongful;

use sqlx::{Postgres, Sqlite, SqlitePool, Transaction};

pub use advice::{ReminderRow, RemindersOf};
pub use agreements::AgreementRow;
pub use candidates::MOST_CANDIDATES;
pub use check::{CheckFailed, Checked};
pub use consents::ConsentVersions;
pub use entries::StoredEntry;
pub use events::Horizon;
pub use incidents::{IncidentKey, SealedCategory};
pub use ledger_keys::KeyChange;
pub use locked::{Appended, Commit, Committed, Locked};
pub use looks::Stand;
pub use open::Options;
pub use permissions::{AskedPermission, Shown};
pub use proposals::{ProposalKey, ProposalRow};
pub use publications::{PublicationRow, Standing};
pub use remains::{Kept, Remains};
pub use replay::{Inside, KeptAnswer, WholeEntry};
pub use requests::{Answer, KnownCall, QuestionRow};
pub use retention::{Due, Proposed, ReleaseMade};
pub use rewrap::{Rewrapped, Unopenable, wrapped_tables};
pub use schema::Schema;
pub use sql::{Sql, statements};
pub use themes::ThemeRow;
pub use write::Write;

/// What can go wrong with the store. None of it says anything about records.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed or could not be reached.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row says what no row may say.
    #[error("inconsistent {table} row `{row}`: {problem}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A statement changed another number of rows than it must.
    #[error("a statement on {table} changed {actual} rows")]
    RowsAffected {
        /// The table.
        table: &'static str,
        /// How many it changed.
        actual: u64,
    },
    /// The ledger's arithmetic failed.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
    /// A sealed record could not be opened.
    #[error(transparent)]
    Seal(#[from] crate::seal::Unopened),
    /// What is sealed with this secret would not be found by whoever gives it up.
    #[error("nothing is sealed with the secret {0} any more: start the node with the newest one as its `secret_file`")]
    SecretClosed(crate::seal::SecretName),
    /// Another node seals with a secret that this one does not have.
    #[error(
        "records are sealed with the secret {0}, which is in neither `secret_file` nor `other_secret_files`: put it there"
    )]
    SecretMissing(crate::seal::SecretName),
    /// The ledger's signing keys cannot be changed so.
    #[error("{0}")]
    Keys(String),
    /// The database only follows another one.
    #[error("the database is a standby: nothing is read from one; give the primary's address, or promote it first")]
    Standby,
    /// The database takes no writes.
    #[error("the database is read-only")]
    ReadOnly,
    /// The database fell silent.
    #[error("the database did not answer within {0} s")]
    Silent(u64),
    /// The disk has no more room than is kept for what takes a permission away.
    #[error("the disk of the database has {free_bytes} bytes left, which are kept for what takes a permission away")]
    LowDisk {
        /// How much is free.
        free_bytes: u64,
    },
    /// The database file is in use by another node.
    #[error("{0}")]
    InUse(String),
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn inconsistent(table: &'static str, row: impl Into<String>, problem: impl std::fmt::Display) -> Error {
    Error::Inconsistent { table, row: row.into(), problem: format!("{problem}") }
}

/// The database of one node.
///
/// Writers and readers have connections of their own: the one that writes never meets a future that a caller
/// dropped, which with sqlx 0.9.0 could lose an acknowledged write.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Pool,
    reader: Pool,
    in_use: Option<std::sync::Arc<std::fs::File>>,
    /// SQLite's.
    file: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(silence::Renewable),
}

/// A transaction that can only read.
#[derive(Debug)]
pub struct Reads(Tx);

#[derive(Debug)]
enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Store {
    /// Begins a reading transaction, which sees what was committed and locks nobody out.
    ///
    /// The caller must run it to its end in a task of its own: a dropped future would spoil the connection.
    pub async fn reads(&self) -> Result<Reads> {
        Ok(Reads(match &self.reader {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
            // All statements of one reading see one state, as SQLite's do.
            Pool::Postgres(pool) => {
                Tx::Postgres(fault::begin(&pool.pool(), "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?)
            }
        }))
    }

    /// Closes every connection and lets go of the SQLite file; what was committed is safe before and after.
    ///
    /// Whoever else still holds this store can do nothing more with it, so another node may take the file.
    pub async fn close(&self) {
        for pool in [&self.reader, &self.writer] {
            match pool {
                Pool::Sqlite(pool) => pool.close().await,
                Pool::Postgres(pool) => pool.pool().close().await,
            }
        }
        if let Some(file) = &self.in_use {
            // If it fails, the lock goes with the last holder of this store.
            drop(file.unlock());
        }
    }
}

impl Tx {
    fn text(&self, sql: &Sql) -> &'static str {
        match self {
            Self::Sqlite(_) => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }

    async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Runs one sqlx expression on whichever database `$tx` is of; the compiler checks it for both.
macro_rules! on {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// All rows of a statement, as `$row`.
macro_rules! rows {
    ($reads:expr, $sql:expr, $row:ty $(, $bind:expr)* $(,)?) => {{
        let text = $reads.0.text(&$sql);
        on!(&mut $reads.0, conn => sqlx::query_as::<_, $row>(text)$(.bind($bind))*.fetch_all(conn).await)?
    }};
}

/// The row of a statement, if there is one.
macro_rules! row {
    ($reads:expr, $sql:expr, $row:ty $(, $bind:expr)* $(,)?) => {{
        let text = $reads.0.text(&$sql);
        on!(&mut $reads.0, conn => sqlx::query_as::<_, $row>(text)$(.bind($bind))*.fetch_optional(conn).await)?
    }};
}

use {on, row, rows};

/// A set of keys, as the set-based statements take it.
fn key_set<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    keys.into_iter().map(serde_json::Value::from).collect::<serde_json::Value>().to_string()
}

fn to_json<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| inconsistent(table, "-", e))
}

fn from_json<T: serde::de::DeserializeOwned>(table: &'static str, row: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| inconsistent(table, row, e))
}

fn index(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
