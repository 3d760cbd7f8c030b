//! Opening a database: the only place that knows how each one is set up.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, PgConnection, SqlStr};

use super::silence::Renewable;
use super::{Error, Pool, Result, Store, retention};

/// The migrations of one database, in their order.
macro_rules! scripts {
    ($database:literal: $($version:literal $name:literal $file:literal),+) => {
        &[$(($version, $name, include_str!(concat!("../../migrations/", $database, "/", $file, ".sql")))),+]
    };
}

pub(super) const SQLITE: &[(i64, &str, &str)] = scripts!(
    "sqlite":
    1 "spine" "0001_spine",
    2 "register" "0002_register",
    3 "requests" "0003_requests",
    4 "suspension" "0004_suspension",
    5 "lighter release" "0005_lighter_release",
    6 "placeholder" "0006_placeholder",
    7 "statistics" "0007_statistics",
    8 "notices" "0008_notices",
    9 "retention" "0009_retention",
    10 "onward" "0010_onward",
    11 "themes" "0011_themes",
    12 "anonymised records" "0012_anonymised",
    13 "help offer" "0013_help_offer",
    14 "mandate" "0014_mandate",
    15 "proposal" "0015_proposal",
    16 "event order" "0016_event_order",
    18 "engagement" "0018_engagement",
    19 "advice" "0019_advice",
    20 "library" "0020_library",
    21 "keys" "0021_keys",
    22 "document" "0022_document",
    23 "revocation list" "0023_revocation_list"
);
pub(super) const POSTGRES: &[(i64, &str, &str)] = scripts!(
    "postgres":
    1 "spine" "0001_spine",
    2 "register" "0002_register",
    3 "requests" "0003_requests",
    4 "suspension" "0004_suspension",
    5 "lighter release" "0005_lighter_release",
    6 "placeholder" "0006_placeholder",
    7 "statistics" "0007_statistics",
    8 "notices" "0008_notices",
    9 "retention" "0009_retention",
    10 "onward" "0010_onward",
    11 "themes" "0011_themes",
    12 "anonymised records" "0012_anonymised",
    13 "help offer" "0013_help_offer",
    14 "mandate" "0014_mandate",
    15 "proposal" "0015_proposal",
    16 "event order" "0016_event_order",
    18 "engagement" "0018_engagement",
    19 "advice" "0019_advice",
    20 "library" "0020_library",
    21 "keys" "0021_keys",
    22 "document" "0022_document",
    23 "revocation list" "0023_revocation_list"
);

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: String,
    /// Whether an SQLite file that is not there is made. Without it a mistyped path cannot start a second history.
    pub create: bool,
    /// Whether this is a node: it brings the schema up to date and takes an SQLite file for itself alone. A tool
    /// that only reads does neither.
    pub serves: bool,
    /// Whether the schema is brought up to date. If not, [`Store::schema`] tells when somebody else has.
    pub migrates: bool,
    /// Connections for reading.
    pub readers: u32,
}

impl Options {
    /// For a node that serves.
    pub fn serve(url: impl Into<String>) -> Self {
        Self { url: url.into(), create: false, serves: true, migrates: true, readers: 4 }
    }

    /// For a tool that reads while a node may be serving.
    pub fn inspect(url: impl Into<String>) -> Self {
        Self { url: url.into(), create: false, serves: false, migrates: false, readers: 1 }
    }

    /// The same, making the SQLite file if it is not there.
    #[must_use]
    pub fn creating(self) -> Self {
        Self { create: true, ..self }
    }

    /// The same, bringing the schema up to date or leaving that to somebody else.
    #[must_use]
    pub fn migrating(self, migrates: bool) -> Self {
        Self { migrates, ..self }
    }
}

impl Store {
    /// Opens the database; for a node, brings its schema up to date unless that is somebody else's.
    ///
    /// A schema of a later program is left as it is: [`Store::schema`] tells, and whoever opens it decides.
    pub async fn open(options: &Options) -> Result<Self> {
        if let Some(path) = options.url.strip_prefix("sqlite:") {
            Self::open_sqlite(Path::new(path.trim_start_matches("//")), options).await
        } else {
            Self::open_postgres(options).await
        }
    }

    async fn open_sqlite(path: &Path, options: &Options) -> Result<Self> {
        let in_use = if options.serves { Some(Arc::new(take(path)?)) } else { None };
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(options.create)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk when it is acknowledged: that is the promise of the whole service.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("trusted_schema", "OFF")
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(5));
        let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(Duration::from_secs(5));
        // Enough for what a second of asks goes through, so that records which were just read cost no more to read than
        // the placeholder, which always was.
        let writer = pool(1).connect_with(connect.clone().pragma("cache_size", "-16384")).await?;
        if options.migrates {
            migrator(SQLITE).run(&writer).await?;
        }
        if options.serves {
            // Where a crash came between an erasure and this.
            retention::truncate_log(&writer).await?;
        }
        let reader = pool(options.readers).connect_with(connect).await?;
        let file = Some(path.to_path_buf());
        Ok(Self { writer: Pool::Sqlite(writer), reader: Pool::Sqlite(reader), in_use, file })
    }

    async fn open_postgres(options: &Options) -> Result<Self> {
        let connect: PgConnectOptions = options.url.parse()?;
        let connect = connect.application_name("concordat").options([
            ("synchronous_commit", "on"),
            ("lock_timeout", "2s"),
            ("statement_timeout", "10s"),
            // A process that stops while it holds the lock must not hold it for ever.
            ("idle_in_transaction_session_timeout", "5s"),
            // A prepared statement keeps the plan that was made while its tables were small: that must not be one that
            // reads all of a table, since every look-up is made while the ledger's head is held.
            ("enable_seqscan", "off"),
            // Where there is no other plan, the price that this puts on one would have PostgreSQL compile it first.
            ("jit", "off"),
        ]);
        let serves = options.serves;
        if serves && is_standby(&mut connect.connect().await?).await? {
            return Err(Error::Standby);
        }
        // Nothing that a node answers with is read from a standby, also not after a name was moved to one. A server
        // that becomes a standby restarts, so it is enough to look at each new connection.
        let pool = move |size| {
            PgPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(Duration::from_secs(5))
                .test_before_acquire(false)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        let refused = serves && is_standby(connection).await?;
                        if refused { Err(sqlx::Error::Configuration(Box::new(Error::Standby))) } else { Ok(()) }
                    })
                })
        };
        if options.migrates {
            // Replicas that start together wait for the one that migrates, which may take its time.
            let patient = connect.clone().options([("lock_timeout", "5min"), ("statement_timeout", "0")]);
            let once = pool(1).connect_with(patient).await?;
            migrator(POSTGRES).run(&once).await?;
            once.close().await;
        }
        let writer = pool(1).connect_with(connect.clone()).await?;
        let reader = pool(options.readers).connect_with(connect).await?;
        let renewable = |pool| Pool::Postgres(Renewable::new(pool));
        Ok(Self { writer: renewable(writer), reader: renewable(reader), in_use: None, file: None })
    }
}

/// Whether the server only follows another one.
pub(super) async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await
}

/// Takes the database file for this process: SQLite allows one writer, and a second node would be a second one.
fn take(path: &Path) -> Result<std::fs::File> {
    let lock = path.with_extension("lock");
    let failed = |e: &dyn std::fmt::Display| Error::InUse(format!("{}: {e}", lock.display()));
    let file = std::fs::File::create(&lock).map_err(|e| failed(&e))?;
    file.try_lock().map_err(|e| match e {
        std::fs::TryLockError::WouldBlock => Error::InUse(format!(
            "{} is in use by another node: stop it first, or use PostgreSQL for more than one replica",
            path.display()
        )),
        std::fs::TryLockError::Error(e) => failed(&e),
    })?;
    Ok(file)
}

/// `sqlx::migrate!` would need the macros that build SQLite a second time.
pub(super) fn migrator(scripts: &'static [(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    let mut migrator = Migrator::with_migrations(scripts.iter().map(migration).collect());
    // What a later program has done stays done, and a step back does nothing to it.
    migrator.set_ignore_missing(true);
    migrator
}
