//! A database in use, put back to the shape that it had before this program's newest migration.
//!
//! Its rows are those that a node wrote, in the tables and columns that the version before had. So whatever migration is
//! the newest meets a real ledger, sealed records and receipts, and no fixture has to be kept for it.

use std::fs;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::before;
use crate::architecture::workspace_file;

/// The number of the newest migration.
pub(super) fn newest(database: &str) -> i64 {
    let files = fs::read_dir(workspace_file(&format!("migrations/{database}"))).unwrap();
    let numbers = files.map(|file| file.unwrap().file_name().into_string().unwrap()[..4].parse().unwrap());
    numbers.max().unwrap()
}

/// Fills the tables of `$into`, which are empty but for what migrations put there, from those of the same name in `made`.
macro_rules! fill {
    ($connection:expr, $columns:expr, $into:literal) => {{
        let columns: Vec<(String, String)> = sqlx::query_as($columns).fetch_all(&mut $connection).await.unwrap();
        assert!(columns.len() > 20, "there are tables: {columns:?}");
        for (table, columns) in columns {
            let into = format!("{}.{table}", $into);
            let copy = format!("INSERT INTO {into} ({columns}) SELECT {columns} FROM made.{table}");
            for statement in [format!("DELETE FROM {into}"), copy] {
                $connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
            }
        }
    }};
}

/// Puts the database back, in which nobody works meanwhile.
pub(crate) async fn put_back(url: &str) {
    if let Some(file) = url.strip_prefix("sqlite:") {
        return put_back_sqlite(file).await;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let prepare = "ALTER SCHEMA public RENAME TO made; CREATE SCHEMA public";
    connection.execute(sqlx::raw_sql(prepare)).await.unwrap();
    before("postgres", newest("postgres")).run(&mut connection).await.unwrap();
    // Neither the order of the tables nor what keeps entries as they are matters to a copy of all of them.
    connection.execute("SET session_replication_role = replica").await.unwrap();
    let columns = "SELECT table_name::text, string_agg(column_name::text, ', ') FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' GROUP BY 1 ORDER BY 1";
    fill!(connection, columns, "public");
    connection.execute("DROP SCHEMA made CASCADE").await.unwrap();
    connection.close().await.unwrap();
}

async fn put_back_sqlite(file: &str) {
    let older = format!("{file}.older");
    let mut connection = SqliteConnection::connect(&format!("sqlite:{older}?mode=rwc")).await.unwrap();
    before("sqlite", newest("sqlite")).run(&mut connection).await.unwrap();
    let prepare = format!("PRAGMA foreign_keys = OFF; ATTACH DATABASE '{file}' AS made");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.unwrap();
    let columns = "SELECT tables.name, group_concat(columns.name, ', ')
        FROM main.sqlite_schema AS tables JOIN pragma_table_info(tables.name, 'main') AS columns
        WHERE tables.type = 'table' AND tables.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND tables.name NOT LIKE 'sqlite%'
        GROUP BY tables.name ORDER BY tables.name";
    fill!(connection, columns, "main");
    connection.execute("DETACH DATABASE made").await.unwrap();
    connection.close().await.unwrap();
    for part in ["-wal", "-shm"] {
        drop(fs::remove_file(format!("{file}{part}")));
    }
    fs::rename(older, file).unwrap();
}

/// What a later program's migration does, in a way that this program can live with; and that it has done it.
pub(crate) const LATER: [&str; 3] = [
    "ALTER TABLE incident ADD COLUMN later TEXT",
    "CREATE TABLE later (id TEXT PRIMARY KEY)",
    "INSERT INTO _sqlx_migrations SELECT 999999, 'later', installed_on, success, checksum, execution_time
     FROM _sqlx_migrations WHERE version = 1",
];

/// What this program logs at WARN where it goes on with a later one's tables.
pub(crate) const GOES_ON: &str = "the schema is of a later program";
