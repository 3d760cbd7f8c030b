//! A database that an earlier version left is brought up to date with everything that is in it.

pub(crate) mod older;
mod written;

use std::borrow::Cow;
use std::fs;

use concordat::store::{Options, Store};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection};

use crate::architecture::workspace_file;

/// The migrations before the one that is tested, as the program applies them.
fn before(database: &str, version: i64) -> Migrator {
    let mut names: Vec<String> = fs::read_dir(workspace_file(&format!("migrations/{database}")))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let migration = |name: String| {
        let (number, words) = name.trim_end_matches(".sql").split_once('_').unwrap();
        let (number, words) = (number.parse().unwrap(), words.replace('_', " "));
        let sql = fs::read_to_string(workspace_file(&format!("migrations/{database}/{name}"))).unwrap();
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(number, Cow::Owned(words), MigrationType::Simple, sql, false)
    };
    let all = names.into_iter().map(migration);
    Migrator::with_migrations(all.filter(|one| one.version < version).collect())
}

/// Two incidents, one of them amended and one erased to its last category, with the calls and events of both.
const OLDER: &str = "
    INSERT INTO incident_revision (incident_id, revision, wrapped_key, recorded_by, recorded_at) VALUES
        ('inc_a', 1, NULL, 'rec', 1), ('inc_a', 2, NULL, 'rec', 2), ('inc_b', 1, NULL, 'rec', 3);
    INSERT INTO incident_category (incident_id, revision, category, commitment, sealed) VALUES
        ('inc_a', 1, 'identity', @0A, @01), ('inc_a', 1, 'timeline', @0B, @02), ('inc_a', 2, 'identity', @FF, @03);
    INSERT INTO event (id, agency, kind, due_at, object, detail, acknowledged_at) VALUES
        ('evt_1', 'ico', 'release-made', 1, 'req_1', '{}', NULL), ('evt_2', 'ncsc', 'request', 2, 'req_1', '{}', 5);
    INSERT INTO entry_party (agency, idx, slots) VALUES ('ico', 7, 1), ('ncsc', 7, 2);
    INSERT INTO call (key, digest, idx, object, version, at, answer) VALUES
        ('ico/one', @0C, 7, 'req_1', 0, 1, 'open'), ('ico/two', @0D, 8, 'inc_a', 2, 2, NULL);
";

/// What must be found of it, each as one line of text.
const PRESENT: [(&str, &[&str]); 5] = [
    (
        "SELECT incident_id || ' ' || CAST(revision AS text) || ' ' || replace(replace(categories, ' ', ''), '\"', '')
         FROM incident_revision WHERE incident_id <> '-' ORDER BY incident_id, revision",
        &["inc_a 1 {identity:0a,timeline:0b}", "inc_a 2 {identity:ff}", "inc_b 1 {}"],
    ),
    (
        "SELECT incident_id || ' ' || CAST(revision AS text) || ' ' || category FROM incident_category
         ORDER BY incident_id, revision, category",
        &["inc_a 1 identity", "inc_a 1 timeline", "inc_a 2 identity"],
    ),
    (
        "SELECT id || ' ' || agency || ' ' || kind || ' ' || object || ' ' || COALESCE(CAST(acknowledged_at AS text), '-')
         FROM event ORDER BY id",
        &["evt_1 ico release-made req_1 -", "evt_2 ncsc request req_1 5"],
    ),
    (
        "SELECT agency || ' ' || CAST(idx AS text) || ' ' || CAST(slots AS text) FROM entry_party ORDER BY agency",
        &["ico 7 1", "ncsc 7 2"],
    ),
    (
        "SELECT key || ' ' || CAST(idx AS text) || ' ' || object || ' ' || COALESCE(answer, '-') FROM call ORDER BY key",
        &["ico/one 7 req_1 open", "ico/two 8 inc_a -"],
    ),
];

/// Fills the database at `$url` as version 4 of the schema had it, opens it, and looks.
macro_rules! migrate {
    ($connection:ty, $database:literal, $url:expr, $bytes:literal) => {{
        let url: String = $url;
        let mut connection = <$connection>::connect(&url).await.unwrap();
        before($database, 5).run(&mut connection).await.unwrap();
        // Bytes are written in hexadecimal, each database in its own way.
        let mut older = OLDER.to_owned();
        while let Some(at) = older.find('@') {
            let literal = $bytes.replace("..", &older[at + 1..at + 3]);
            older.replace_range(at..at + 3, &literal);
        }
        sqlx::raw_sql(AssertSqlSafe(older)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();

        Store::open(&Options::serve(&url)).await.unwrap().close().await;

        let mut connection = <$connection>::connect(&url).await.unwrap();
        for (query, expected) in PRESENT {
            let found: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap();
            assert_eq!(found, expected, "{query}");
        }
    }};
}

#[tokio::test]
async fn an_older_sqlite_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.db");
    let url = format!("sqlite:{}", file.display());
    Store::open(&Options::inspect(&url).creating()).await.unwrap().close().await;
    migrate!(SqliteConnection, "sqlite", url, "x'..'");
}

#[tokio::test]
async fn an_older_postgres_database_is_brought_up_to_date() {
    let Some(url) = crate::postgres::database() else { return };
    migrate!(PgConnection, "postgres", url, r"'\x..'::bytea");
}
