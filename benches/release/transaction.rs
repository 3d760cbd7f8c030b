//! What one release costs the database alone: its own statements, with its own rows, in a transaction of plain sqlx.
//!
//! It runs in a node's database of its own, so that tables and indexes are those of the service; the node has done some
//! releases there and has ended. The texts of what is read are the store's. What is written are the rows of the last of
//! those releases, with keys of their own. So it follows the store; only the list of statements is kept here, as the
//! gate puts them for one release.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use concordat::store::statements;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Column as _, Postgres, Row as _, Sqlite, TypeInfo as _};

use crate::bench::{Asks, Load, Server, Watch, World};

/// Read before the decision, each with the keys that it looks up.
const READ: [(&str, Keys); 6] = [
    ("CALLS", Keys::Call),
    ("SUSPENSIONS_OF", Keys::Officer),
    ("AGREEMENTS_IN_FORCE", Keys::None),
    ("INCIDENTS_BY_REFERENCE", Keys::Reference),
    ("CONSENTS_OF", Keys::Organisation),
    ("AUTHORISATIONS_OF", Keys::Incident),
];

/// Which rows one release writes, by its entry's index and its request.
const WRITTEN: [(&str, &str); 6] = [
    ("event", "object = (SELECT object FROM call WHERE idx = $1)"),
    ("call", "idx = $1"),
    ("request", "id = (SELECT object FROM call WHERE idx = $1)"),
    ("entry", "idx = $1"),
    ("entry_party", "idx = $1"),
    ("checkpoint", "size = $1 + 1"),
];

/// A number takes the last so many characters of a key, after a letter that no number of the load has.
const DIGITS: usize = 11;

#[derive(Debug, Clone, Copy)]
enum Keys {
    None,
    Call,
    Officer,
    Reference,
    Organisation,
    Incident,
}

#[derive(Debug, Clone)]
enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// Rows of one table, all written by one statement.
#[derive(Debug)]
struct Written {
    columns: Vec<String>,
    insert: String,
    rows: Vec<Vec<Value>>,
}

/// The release's transaction, ready to be run again and again.
pub(crate) struct Transaction {
    connection: Connection,
    lock: &'static str,
    read: Vec<(&'static str, Option<String>)>,
    content: (&'static str, String),
    written: Vec<Written>,
    move_head: &'static str,
    frontier: Vec<u8>,
    size: i64,
}

enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// The same code for both databases, whose types differ.
macro_rules! on {
    ($connection:expr, $one:ident => $body:expr) => {
        match $connection {
            Connection::Sqlite($one) => $body,
            Connection::Postgres($one) => $body,
        }
    };
}

impl Transaction {
    /// Fills the world's database, stops its node, and takes the last release for an example.
    pub(crate) async fn of(world: &World) -> Result<Self> {
        let node = Server::concordat(&world.config_file)?;
        let asks = world.populate(node.address).await?;
        // One at a time, so that the last release's transaction was its alone.
        let load: Load<Asks> = Load::connect(world, node.address, 1, asks).await?;
        world.verify(&load.run(Duration::from_secs(1)).await?)?;
        node.stop()?;

        let mut connection = match &world.watch {
            Watch::Sqlite(pool) => Connection::Sqlite(pool.acquire().await?),
            Watch::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
        };
        if let Connection::Sqlite(connection) = &mut connection {
            sqlx::query("PRAGMA synchronous = FULL").execute(&mut **connection).await?;
        }
        let postgres = matches!(connection, Connection::Postgres(_));
        let statement = |name: &str| {
            let found = statements().find(|(other, _)| *other == name).map(|(_, sql)| sql);
            let sql = found.with_context(|| format!("the store has no statement {name} any more"))?;
            anyhow::Ok(if postgres { sql.postgres } else { sql.sqlite })
        };
        let size: i64 =
            on!(&mut connection, c => sqlx::query_scalar("SELECT size FROM ledger_head").fetch_one(&mut **c).await?);
        let mut written = Vec::new();
        for (table, which) in WRITTEN {
            written.push(rows(&mut connection, table, which, size - 1).await?);
        }
        let keys = on!(&mut connection, c => sqlx::query_as::<_, (String, String, String)>(
            "SELECT r.reference, i.id, i.organisation_id FROM reference r JOIN incident i ON i.id = r.incident_id LIMIT 1",
        ).fetch_one(&mut **c).await?);
        let (reference, incident, organisation) = keys;
        let key = |keys| match keys {
            Keys::None => None,
            Keys::Call => Some(serde_json::json!(["a-call-that-was-not-done-before"])),
            Keys::Officer => Some(serde_json::json!(["ico", "ico/officer", "ncsc"])),
            Keys::Reference => Some(serde_json::json!([reference])),
            Keys::Organisation => Some(serde_json::json!([organisation])),
            Keys::Incident => Some(serde_json::json!([incident])),
        };
        let mut read = Vec::new();
        for (name, keys) in READ {
            read.push((statement(name)?, key(keys).map(|keys| keys.to_string())));
        }
        let categories = crate::bench::CATEGORIES.map(|category| serde_json::json!([incident, 1, category]));
        Ok(Self {
            lock: statement("LOCK_HEAD")?,
            read,
            content: (statement("CONTENT_OF")?, serde_json::json!(categories).to_string()),
            written,
            move_head: statement("MOVE_HEAD")?,
            frontier: on!(&mut connection, c =>
                sqlx::query_scalar("SELECT frontier FROM ledger_head").fetch_one(&mut **c).await?),
            size,
            connection,
        })
    }

    /// Runs it again and again for this long; gives how long each took.
    pub(crate) async fn run(&mut self, length: Duration) -> Result<Vec<Duration>> {
        let begun = Instant::now();
        let mut times = Vec::new();
        while begun.elapsed() < length {
            let begun = Instant::now();
            self.once().await?;
            times.push(begun.elapsed());
        }
        Ok(times)
    }

    async fn once(&mut self) -> Result<()> {
        let number = self.size;
        self.size += 1;
        let begin = if matches!(self.connection, Connection::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        on!(&mut self.connection, c => {
            sqlx::query(begin).execute(&mut **c).await?;
            sqlx::query(self.lock).fetch_one(&mut **c).await?;
            for (text, keys) in &self.read {
                let query = sqlx::query(*text);
                let query = if let Some(keys) = keys { query.bind(keys) } else { query };
                query.fetch_all(&mut **c).await?;
            }
            for Written { columns, insert, rows } in &self.written {
                let mut query = sqlx::query(AssertSqlSafe(insert.as_str()));
                for (column, value) in rows.iter().flat_map(|row| columns.iter().zip(row)) {
                    query = match value.numbered(column, number) {
                        Value::Text(text) => query.bind(text),
                        Value::Int(int) => query.bind(int),
                        Value::Bytes(bytes) => query.bind(bytes),
                    };
                }
                query.execute(&mut **c).await?;
            }
            let moved = sqlx::query(self.move_head).bind(number + 1).bind(number).bind(&self.frontier).bind(number);
            // The parameters are size, time, frontier, and the size before.
            ensure!(moved.execute(&mut **c).await?.rows_affected() == 1, "the head is not where it was left");
            sqlx::query("COMMIT").execute(&mut **c).await?;
            let content = sqlx::query(self.content.0).bind(&self.content.1).fetch_all(&mut **c).await?;
            ensure!(content.len() == crate::bench::CATEGORIES.len(), "another number of categories was read");
        });
        Ok(())
    }
}

impl Value {
    /// The value of the row with this number: a key of its own, as long as the example's.
    fn numbered(&self, column: &str, number: i64) -> Self {
        match (column, self) {
            ("idx", Self::Int(_)) => Self::Int(Some(number)),
            ("size", Self::Int(_)) => Self::Int(Some(number + 1)),
            ("id" | "key" | "object", Self::Text(Some(text))) => {
                let kept = text.get(..text.len().saturating_sub(DIGITS + 1)).unwrap_or_default();
                Self::Text(Some(format!("{kept}x{number:0DIGITS$}")))
            }
            (_, other) => other.clone(),
        }
    }
}

/// The rows of one table that the release with this index wrote.
async fn rows(connection: &mut Connection, table: &str, which: &str, index: i64) -> Result<Written> {
    let text = format!("SELECT * FROM {table} WHERE {which}");
    let (mut columns, mut all) = (Vec::new(), Vec::new());
    on!(connection, c => {
        for row in sqlx::query(AssertSqlSafe(text)).bind(index).fetch_all(&mut **c).await? {
            columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
            let mut values = Vec::new();
            for (place, column) in row.columns().iter().enumerate() {
                values.push(match column.type_info().name() {
                    "TEXT" => Value::Text(row.try_get(place)?),
                    "INTEGER" | "INT8" => Value::Int(row.try_get(place)?),
                    _ => Value::Bytes(row.try_get(place)?),
                });
            }
            all.push(values);
        }
    });
    ensure!(!all.is_empty(), "the last release wrote nothing to {table}");
    let mut next = 1..;
    let row = |next: &mut std::ops::RangeFrom<usize>| {
        let places: Vec<String> = next.take(columns.len()).map(|place| format!("${place}")).collect();
        format!("({})", places.join(", "))
    };
    let places: Vec<String> = all.iter().map(|_| row(&mut next)).collect();
    let insert = format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), places.join(", "));
    Ok(Written { columns, insert, rows: all })
}
