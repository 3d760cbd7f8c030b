//! When the database fails: what the operator is to do about it, the disk space that is kept for withdrawals, and how
//! it is found out that commits succeed again.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::{Error, Pool, Result, Store};

/// On SQLite's disk: below this only what takes a permission away is done, so that the last of it goes to that.
const RESERVE_BYTES: u64 = 32 << 20;

/// PostgreSQL's, of a server whose connections are all taken.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// What happened to the database, as far as the operator can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    LowDisk,
    FullDisk,
    ReadOnly,
    Taken,
    Slow,
    Unreachable,
    Unreadable,
    Damaged,
    TurnedAway,
}

impl Fault {
    fn remedy(self) -> &'static str {
        match self {
            Self::LowDisk => {
                "free space on the database's disk: until then only what takes a permission away is done; the node goes \
                 on by itself"
            }
            Self::FullDisk => "the disk is full: free space or enlarge it; the node goes on by itself",
            Self::ReadOnly => {
                "the database is read-only: check that the URL names the primary, `default_transaction_read_only`, and \
                 how the disk is mounted; the node goes on by itself"
            }
            Self::Taken => {
                "no connection or no ledger lock in time: see whether the database runs, and end whatever else holds \
                 the lock (`pg_stat_activity`; on SQLite a tool that writes); the node goes on by itself"
            }
            Self::Slow => "a statement took too long: see what else loads the database",
            Self::Unreachable => {
                "the database cannot be reached: start it, and check its address, network and certificates; the node \
                 goes on by itself"
            }
            Self::Unreadable => {
                "the database's file cannot be read or written: check the disk, its mount and the file's owner"
            }
            Self::Damaged => {
                "the database is damaged: stop the node, keep the files as they are, and see `concordat ledger check`"
            }
            Self::TurnedAway => {
                "the database turns the node away: check its role, password, rights and connection limit"
            }
        }
    }

    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::LowDisk { .. } => Some(Self::LowDisk),
            Error::Silent(_) => Some(Self::Unreachable),
            Error::Standby | Error::ReadOnly => Some(Self::ReadOnly),
            Error::Database(error) => Self::of_database(error),
            _ => None,
        }
    }

    fn of_database(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::PoolTimedOut => Some(Self::Taken),
            // So a connection that leads to a standby is turned away.
            sqlx::Error::Configuration(_) => Some(Self::ReadOnly),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Some(Self::Unreachable)
            }
            sqlx::Error::Database(error) => Self::of_code(&**error),
            _ => None,
        }
    }

    fn of_code(error: &dyn DatabaseError) -> Option<Self> {
        let code = error.code()?;
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            Self::of_sqlstate(&code)
        } else {
            Self::of_sqlite(code.parse().ok()?)
        }
    }

    /// The lowest byte is the code, what is above it says more: <https://www.sqlite.org/rescode.html>
    fn of_sqlite(code: u32) -> Option<Self> {
        match code & 0xff {
            5 | 6 => Some(Self::Taken),
            8 => Some(Self::ReadOnly),
            10 | 14 => Some(Self::Unreadable),
            11 | 26 => Some(Self::Damaged),
            13 => Some(Self::FullDisk),
            23 => Some(Self::TurnedAway),
            _ => None,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of_sqlstate(code: &str) -> Option<Self> {
        match code {
            "53100" => Some(Self::FullDisk),
            "25006" => Some(Self::ReadOnly),
            "55P03" => Some(Self::Taken),
            "57014" | "53200" | "25P03" => Some(Self::Slow),
            "57P01" | "57P02" | "57P03" | "57P05" => Some(Self::Unreachable),
            "58030" => Some(Self::Unreadable),
            "XX001" | "XX002" => Some(Self::Damaged),
            "53300" | "42501" | "3D000" => Some(Self::TurnedAway),
            _ if code.starts_with("08") => Some(Self::Unreachable),
            _ if code.starts_with("28") => Some(Self::TurnedAway),
            _ => None,
        }
    }
}

impl Error {
    /// What an operator is to do about it, in one sentence.
    pub fn remedy(&self) -> &'static str {
        let otherwise =
            "not an outage but a contradiction: keep the database as it is and see `concordat ledger check`";
        Fault::of(self).map_or(otherwise, Fault::remedy)
    }

    /// Whether the database as a whole cannot be used, or not fully: the next call would most likely fail as well.
    pub fn is_outage(&self) -> bool {
        Fault::of(self).is_some()
    }

    /// Whether it may pass by itself, as when the database starts or fails over: the same tried again may succeed, and
    /// nobody has to change anything.
    pub fn passes(&self) -> bool {
        match self {
            // A certificate that is not the right one stays so.
            Self::Database(sqlx::Error::Tls(_)) => false,
            Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TOO_MANY_CONNECTIONS) => {
                true
            }
            Self::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                matches!(Fault::of_database(error), Some(Fault::Unreachable | Fault::Taken))
            }
            _ => matches!(Fault::of(self), Some(Fault::Unreachable | Fault::Taken)),
        }
    }

    /// Whether it failed before the ledger's head was taken, so that nothing was begun.
    pub fn is_before_lock(&self) -> bool {
        Fault::of(self) == Some(Fault::Taken)
    }
}

impl Store {
    /// Whether the database's disk has room for more than what takes a permission away.
    ///
    /// Only SQLite's disk can be seen from here; of PostgreSQL's this says nothing.
    pub fn check_room(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let disk = rustix::fs::statvfs(file).map_err(|errno| sqlx::Error::Io(errno.into()))?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free_bytes < RESERVE_BYTES { Err(Error::LowDisk { free_bytes }) } else { Ok(()) }
    }

    /// Whether a commit succeeds now. It writes the ledger's head as it is, so it changes nothing.
    ///
    /// The caller must run it to its end in a task of its own, as with every use of the store.
    ///
    /// [`Error::LowDisk`] means that it does, and that there is little room left for others.
    pub async fn probe(&self) -> Result<()> {
        let tried = match self.lock().await {
            Ok(locked) => locked.keep_head().await,
            Err(error) => Err(error),
        };
        if let (Err(error), Pool::Postgres(pool)) = (&tried, &self.writer)
            && Fault::of(error) == Some(Fault::ReadOnly)
            && let Ok(connection) = pool.pool().acquire().await
        {
            // A session keeps the setting that it began with, so the next one has to be new.
            connection.close().await?;
        }
        tried?;
        self.check_room()
    }
}

/// Begins a transaction on PostgreSQL. A session that the server has ended is found out only by its use: then another
/// is tried.
pub(super) async fn begin(pool: &PgPool, statement: &'static str) -> Result<Transaction<'static, Postgres>> {
    for _ in 0..pool.size() {
        match pool.begin_with(statement).await {
            Err(error) if Fault::of_database(&error) == Some(Fault::Unreachable) => {}
            begun => return Ok(begun?),
        }
    }
    Ok(pool.begin_with(statement).await?)
}

/// Begins a transaction on SQLite that holds its lock.
///
/// WHY: when the disk is full SQLite itself ends the transaction, and sqlx 0.9.0, whose ROLLBACK fails then, counts it
/// as open for as long as the connection lives. Such a connection is replaced.
pub(super) async fn begin_immediate(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>> {
    match pool.begin_with("BEGIN IMMEDIATE").await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            pool.acquire().await?.close().await?;
            Ok(pool.begin_with("BEGIN IMMEDIATE").await?)
        }
        begun => Ok(begun?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_remedy() {
        let cases = [
            (Fault::of_sqlite(13), Fault::FullDisk),
            (Fault::of_sqlite(8), Fault::ReadOnly),
            // SQLITE_IOERR_WRITE
            (Fault::of_sqlite(778), Fault::Unreadable),
            // SQLITE_BUSY_SNAPSHOT
            (Fault::of_sqlite(517), Fault::Taken),
            (Fault::of_sqlite(11), Fault::Damaged),
            (Fault::of_sqlstate("53100"), Fault::FullDisk),
            (Fault::of_sqlstate("25006"), Fault::ReadOnly),
            (Fault::of_sqlstate("55P03"), Fault::Taken),
            (Fault::of_sqlstate("57P01"), Fault::Unreachable),
            (Fault::of_sqlstate("08006"), Fault::Unreachable),
            (Fault::of_sqlstate("28P01"), Fault::TurnedAway),
        ];
        for (found, expected) in cases {
            assert_eq!(found, Some(expected));
        }
        assert!(Error::LowDisk { free_bytes: 1 }.is_outage());
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_before_lock());
    }

    #[test]
    fn what_passes_by_itself_is_waited_for_and_what_does_not_is_told() {
        let io = |kind: std::io::ErrorKind| Error::from(sqlx::Error::Io(kind.into()));
        let refused = || sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(io(std::io::ErrorKind::ConnectionRefused).passes() && Error::Silent(15).passes());
        assert!(Error::from(sqlx::Error::PoolTimedOut).passes(), "the server does not accept anybody yet");
        assert!(Error::from(MigrateError::ExecuteMigration(refused(), 7)).passes(), "it went away meanwhile");
        assert!(!Error::from(sqlx::Error::Tls("another authority".into())).passes());
        assert!(!Error::Standby.passes() && !Error::from(MigrateError::VersionMismatch(7)).passes());
    }

    #[test]
    fn a_row_that_contradicts_another_is_no_outage() {
        // SQLITE_CONSTRAINT, unique_violation
        assert_eq!((Fault::of_sqlite(19), Fault::of_sqlstate("23505")), (None, None));
        let error = super::super::inconsistent("entry", "7", "two of them");
        assert!(!error.is_outage() && error.remedy().contains("ledger check"));
    }
}
