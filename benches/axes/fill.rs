//! Rows that are never asked for, so that tables and their indexes are as large as in years of service.
//!
//! Each is a copy of one that the node wrote, with keys of its own: as long, and with the same values beside them. Those
//! of the ledger have negative places, so that its own arithmetic and its check know nothing of them, and are without
//! openings and facts, as if these had been erased.

use anyhow::{Result, ensure};
use sqlx::AssertSqlSafe;

use crate::bench::Watch;

/// Tables, and which row is copied. Events and parties come in kinds that lie apart in their trees.
const COPIED: [(&str, &str); 18] = [
    ("organisation", "1 = 1"),
    ("organisation_identifier", "1 = 1"),
    ("organisation_name", "1 = 1"),
    ("incident", "1 = 1"),
    ("incident_revision", "1 = 1"),
    ("incident_category", "category = 'narrative'"),
    ("reference", "1 = 1"),
    ("consent", "1 = 1"),
    ("authorisation", "1 = 1"),
    ("request", "1 = 1"),
    ("event", "kind = 'request-to-look-at'"),
    ("event", "kind = 'release-made'"),
    ("event", "kind = 'release-received'"),
    ("call", "answer IS NOT NULL"),
    ("entry", "kind = 1"),
    ("entry_party", "agency = 'ncsc'"),
    ("entry_party", "agency = 'ico'"),
    ("checkpoint", "1 = 1"),
];

/// So many rows in one statement.
const AT_ONCE: u64 = 100_000;
/// A number takes the last so many characters of a key, after a letter that no number of the load has.
const DIGITS: usize = 11;

/// Adds so many rows to each table. No node may be running.
pub(crate) async fn fill(watch: &Watch, rows: u64) -> Result<()> {
    if let Watch::Sqlite(pool) = watch {
        // Whatever waits for the disk here would only take time.
        ensure!(pool.size() <= 1, "the settings below are one connection's");
        sqlx::query("PRAGMA synchronous = OFF").execute(pool).await?;
        sqlx::query("PRAGMA cache_size = -262144").execute(pool).await?;
    }
    for (table, which) in COPIED {
        let columns = columns(watch, table).await?;
        let values: Vec<String> = columns.iter().map(|column| value(watch, table, column)).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let mut first = 1;
        while first <= rows {
            let last = rows.min(first + AT_ONCE - 1);
            let row = format!("r AS MATERIALIZED (SELECT * FROM {table} WHERE {which} LIMIT 1)");
            let numbers = match watch {
                Watch::Sqlite(_) => {
                    format!("RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})")
                }
                Watch::Postgres(_) => format!("n(i) AS (SELECT generate_series({first}::bigint, {last}::bigint))"),
            };
            let sql =
                format!("WITH {numbers}, {row} INSERT INTO {table} ({columns}) SELECT {values} FROM n CROSS JOIN r");
            ensure!(run(watch, sql).await? == last + 1 - first, "there is no row of {table} to copy");
            first = last + 1;
        }
    }
    match watch {
        Watch::Sqlite(_) => run(watch, "PRAGMA wal_checkpoint(TRUNCATE)".into()).await?,
        // As the server does by itself sooner or later.
        Watch::Postgres(_) => run(watch, "VACUUM ANALYZE".into()).await?,
    };
    Ok(())
}

/// What a column of the new rows holds: `i` is the row's number, `r` the row that is copied.
fn value(watch: &Watch, table: &str, column: &str) -> String {
    match (table, column) {
        ("entry" | "entry_party", "idx") | ("checkpoint", "size") => "-n.i".into(),
        ("entry", "kind") => "99".into(),
        ("entry", "facts") => "NULL".into(),
        ("entry", "openings") => match watch {
            Watch::Sqlite(_) => "x''".into(),
            Watch::Postgres(_) => "''::bytea".into(),
        },
        (_, "id" | "organisation_id" | "incident_id" | "reference" | "lookup" | "key" | "object") => {
            let number = match watch {
                Watch::Sqlite(_) => format!("printf('x%0{DIGITS}d', n.i)"),
                Watch::Postgres(_) => format!("'x' || lpad(n.i::text, {DIGITS}, '0')"),
            };
            format!("substr(r.{column}, 1, length(r.{column}) - {DIGITS} - 1) || {number}")
        }
        _ => format!("r.{column}"),
    }
}

async fn columns(watch: &Watch, table: &str) -> Result<Vec<String>> {
    Ok(match watch {
        Watch::Sqlite(pool) => {
            sqlx::query_scalar("SELECT name FROM pragma_table_info($1)").bind(table).fetch_all(pool).await?
        }
        Watch::Postgres(pool) => {
            sqlx::query_scalar(
                "SELECT column_name::text FROM information_schema.columns
                 WHERE table_name = $1 AND table_schema = 'public' ORDER BY ordinal_position",
            )
            .bind(table)
            .fetch_all(pool)
            .await?
        }
    })
}

async fn run(watch: &Watch, sql: String) -> Result<u64> {
    Ok(match watch {
        Watch::Sqlite(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected(),
        Watch::Postgres(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected(),
    })
}
