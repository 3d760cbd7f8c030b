//! The two databases agree: each statement is prepared on both, the schemas have the same tables, columns, keys and
//! indexes, and in neither can the ledger be rewritten.

use std::collections::{BTreeMap, BTreeSet};

use concordat::store::{Options, Store, statements};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqlSafeStr as _, SqliteConnection};

use crate::harness::on_both_databases;

/// An empty SQLite database as a node makes it, with the folder that it is in.
async fn sqlite() -> (tempfile::TempDir, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("node.db").display());
    Store::open(&Options::serve(&url).creating()).await.unwrap().close().await;
    let connection = SqliteConnection::connect(&url).await.unwrap();
    (folder, connection)
}

/// The same on PostgreSQL, where there is one.
async fn postgres() -> Option<PgConnection> {
    let url = crate::postgres::database()?;
    Store::open(&Options::serve(&url)).await.unwrap().close().await;
    Some(PgConnection::connect(&url).await.unwrap())
}

#[tokio::test]
async fn each_statement_is_prepared_on_sqlite() {
    let (_folder, mut connection) = sqlite().await;
    for (name, sql) in statements() {
        let prepared = connection.prepare(AssertSqlSafe(sql.sqlite).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn each_statement_is_prepared_on_postgres() {
    let Some(mut connection) = postgres().await else { return };
    for (name, sql) in statements() {
        let prepared = connection.prepare(AssertSqlSafe(sql.postgres).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[test]
fn each_statement_is_there_once_and_takes_its_parameters_in_order() {
    let names: BTreeSet<&str> = statements().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), statements().count(), "a name is there twice");
    for (name, sql) in statements() {
        for text in [sql.sqlite, sql.postgres] {
            let used: BTreeSet<usize> = text
                .split('$')
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
                .collect();
            assert!(used.iter().copied().eq(1..=used.len()), "{name}: parameters {used:?}");
            let upper = text.to_uppercase();
            for own in ["NOW()", "RANDOM()", "CURRENT_TIMESTAMP"] {
                assert!(!upper.contains(own), "{name}: time and chance come from the caller, not from `{own}`");
            }
        }
    }
}

/// Each table's columns: their kind, and whether they may be null.
type Tables = BTreeMap<String, BTreeMap<String, (String, bool)>>;

async fn tables_of_sqlite(connection: &mut SqliteConnection) -> Tables {
    let query = "SELECT t.name, c.name, c.type, c.\"notnull\" FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations'";
    let mut tables = Tables::new();
    for row in sqlx::query(query).fetch_all(connection).await.unwrap() {
        let kind = match row.get::<String, _>(2).as_str() {
            "INTEGER" => "bigint",
            "TEXT" => "text",
            "BLOB" => "bytea",
            other => panic!("a column of the kind {other}"),
        };
        let nullable = row.get::<i64, _>(3) == 0;
        tables.entry(row.get(0)).or_default().insert(row.get(1), (kind.to_owned(), nullable));
    }
    tables
}

async fn tables_of_postgres(connection: &mut PgConnection) -> Tables {
    let query = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
    let mut tables = Tables::new();
    for row in sqlx::query(query).fetch_all(connection).await.unwrap() {
        let nullable = row.get::<String, _>(3) == "YES";
        tables.entry(row.get(0)).or_default().insert(row.get(1), (row.get(2), nullable));
    }
    tables
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_and_columns() {
    let Some(mut there) = postgres().await else { return };
    let (_folder, mut here) = sqlite().await;
    let (sqlite, postgres) = (tables_of_sqlite(&mut here).await, tables_of_postgres(&mut there).await);
    assert!(sqlite.len() > 10, "only {:?}", sqlite.keys());
    assert_eq!(sqlite, postgres);
}

#[tokio::test]
async fn both_schemas_have_the_same_keys_and_indexes() {
    let Some(mut there) = postgres().await else { return };
    let (_folder, mut here) = sqlite().await;
    let query = "SELECT t.name, l.\"unique\", group_concat(i.name, ',')
                 FROM sqlite_schema t, pragma_index_list(t.name) l, pragma_index_info(l.name) i
                 WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' GROUP BY t.name, l.name";
    let rows = sqlx::query(query).fetch_all(&mut here).await.unwrap();
    let mut sqlite: Vec<(String, bool, String)> =
        rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1) == 1, row.get(2))).collect();
    // A single integer key is the row's own number there, without an index.
    let query = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' AND c.pk = 1 AND c.type = 'INTEGER'
                   AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) o WHERE o.pk = 2)";
    let rows = sqlx::query(query).fetch_all(&mut here).await.unwrap();
    sqlite.extend(rows.iter().map(|row| (row.get(0), true, row.get(1))));
    let query = "SELECT t.relname::text, x.indisunique,
                        string_agg(a.attname::text, ',' ORDER BY array_position(x.indkey::int2[], a.attnum))
                 FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
                 JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(x.indkey)
                 WHERE n.nspname = 'public' AND t.relname <> '_sqlx_migrations'
                 GROUP BY t.relname, x.indexrelid, x.indisunique";
    let rows = sqlx::query(query).fetch_all(&mut there).await.unwrap();
    let mut postgres: Vec<(String, bool, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    sqlite.sort();
    postgres.sort();
    assert!(sqlite.len() > 15, "only {sqlite:?}");
    assert_eq!(sqlite, postgres);
}

/// Ways to rewrite the ledger. Each must fail; erasing a key must not.
const REWRITES: [&str; 9] = [
    "DELETE FROM entry",
    "DELETE FROM entry WHERE idx = 0",
    "UPDATE entry SET idx = idx + 1000000",
    "UPDATE entry SET kind = kind + 1",
    "UPDATE entry SET at = at + 1",
    "UPDATE entry SET leaf = hashes",
    "UPDATE entry SET hashes = leaf",
    "UPDATE entry SET wrapped_key = leaf",
    "UPDATE entry SET openings = leaf, facts = NULL",
];

/// What stands in the ledger's rows, so that a rewrite that "only" failed late is seen, too.
const ROWS: &str = "SELECT COUNT(*), SUM(idx), SUM(kind), SUM(at), SUM(LENGTH(leaf)), SUM(LENGTH(hashes)),
                    SUM(LENGTH(openings)), COUNT(wrapped_key) FROM entry";

on_both_databases! {
    async fn entries_can_be_erased_but_never_changed_or_deleted(world: World) {
        drop(world.hold("ncsc", "ico").await);
        let url = world.config.database_url();
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let before: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM entry").fetch_one(&mut connection).await.unwrap();
            assert!(before > 3, "the ledger has {before} entries");
            for rewrite in REWRITES {
                let error = sqlx::query(rewrite).execute(&mut connection).await;
                assert_append_only(rewrite, error.map(|done| done.rows_affected()));
            }
            sqlx::query(ROWS).fetch_one(&mut connection).await.unwrap();
            let erased = sqlx::query("UPDATE entry SET wrapped_key = NULL WHERE idx = 0").execute(&mut connection).await;
            assert_eq!(erased.unwrap().rows_affected(), 1, "erasure takes a key away");
        } else {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            for rewrite in REWRITES.into_iter().chain(["TRUNCATE entry"]) {
                let error = sqlx::query(rewrite).execute(&mut connection).await;
                assert_append_only(rewrite, error.map(|done| done.rows_affected()));
            }
            let erased = sqlx::query("UPDATE entry SET wrapped_key = NULL WHERE idx = 0").execute(&mut connection).await;
            assert_eq!(erased.unwrap().rows_affected(), 1, "erasure takes a key away");
        }
    }
}

#[track_caller]
fn assert_append_only(rewrite: &str, done: Result<u64, sqlx::Error>) {
    match done {
        Ok(rows) => panic!("`{rewrite}` changed {rows} rows of the ledger"),
        Err(error) => assert!(error.to_string().contains("append-only"), "`{rewrite}`: {error}"),
    }
}
