//! What the program of before the newest migration wrote, kept in `tests/fixtures` as SQL: this program brings it up to date,
//! serves it, and replays it.
//!
//! Whoever adds a migration first writes the files anew, with the program as it is before that:
//! `cargo test --test it -- --ignored written::write`. They hold no key: what sealed and signed them follows from constants.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use concordat::config::Config;
use concordat::domain::Instant;
use concordat::ledger::SigningKey;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{Receipt, RequestReleaseRequest, WithdrawConsentRequest};
use concordat::store::{Options, Store};
use data_encoding::HEXLOWER;
use prost::Message as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::before;
use super::older::newest;
use crate::architecture::workspace_file;
use crate::builders::{assert_open, assert_released};
use crate::harness::{Engine, Stopped, World, on_both_databases, request_id, run};

/// What seals and signs in these files, and nowhere else.
const SECRET: [u8; 32] = [0x5e; 32];
const LEDGER_KEY: [u8; 32] = [0x1e; 32];
const ORIGIN: &str = "one.concordat.example";

fn file(database: &str) -> PathBuf {
    workspace_file(&format!("tests/fixtures/before-newest-migration.{database}.sql"))
}

fn kind(url: &str) -> &'static str {
    if url.starts_with("sqlite:") { "sqlite" } else { "postgres" }
}

/// Gives a node the keys of these files, and a database of its own: empty, or none where PostgreSQL cannot be had.
async fn with_keys(stopped: Stopped, url: &str) -> World {
    let home = stopped.folder().join("node-one");
    fs::write(home.join("node.secret"), HEXLOWER.encode(&SECRET)).unwrap();
    fs::write(home.join("ledger.key"), SigningKey::write(ORIGIN, &LEDGER_KEY).unwrap().as_bytes()).unwrap();
    let key = SigningKey::from_seed(ORIGIN, &LEDGER_KEY).unwrap();
    fs::write(home.join("ledger.pub"), format!("{}\n", key.verifier_key())).unwrap();
    stopped.start_with(|config| url.clone_into(&mut config.node.database)).await
}

/// Another database of the same kind, beside the one of the world.
fn beside(config: &Config) -> String {
    match kind(&config.node.database) {
        "sqlite" => "sqlite:before.db".to_owned(),
        _ => crate::postgres::database().expect("there is one already"),
    }
}

/// Every row, each as a statement that puts it into its table, which is emptied first.
macro_rules! rows {
    ($connection:expr, $tables:expr) => {{
        let tables: Vec<(String, String, String)> = sqlx::query_as($tables).fetch_all(&mut $connection).await.unwrap();
        assert!(tables.len() > 20, "there are tables: {tables:?}");
        let mut written = String::new();
        for (table, columns, values) in tables {
            let begin = format!("INSERT INTO {table} ({columns}) VALUES (");
            let rows = format!("SELECT '{begin}' || {values} || ');' FROM {table} ORDER BY 1");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut $connection).await.unwrap();
            written += &format!("DELETE FROM {table};\n");
            written.extend(rows.iter().map(|row| format!("{row}\n")));
        }
        written
    }};
}

/// Every row of a database in which nobody works meanwhile.
async fn rows(url: &str) -> String {
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        rows!(
            connection,
            "SELECT tables.name, group_concat(columns.name, ', '), group_concat('quote(' || columns.name || ')', ' || '', '' || ')
             FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%' GROUP BY tables.name ORDER BY tables.name"
        )
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        rows!(
            connection,
            "SELECT table_name::text, string_agg(column_name::text, ', ' ORDER BY ordinal_position),
                    string_agg('quote_nullable(' || column_name || ')', ' || '', '' || ' ORDER BY ordinal_position)
             FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1"
        )
    }
}

/// Writes both files, of a release that stands and of one that was withdrawn.
#[test]
#[ignore = "writes what the next program is to read: run it before a migration is added"]
fn write() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        run(engine, |world: World| async move {
            let url = beside(&world.config);
            let stopped = world.stop().await;
            let mut config = stopped.config().clone();
            url.clone_into(&mut config.node.database);
            Store::open(&Options::serve(config.database_url()).creating()).await.unwrap().close().await;
            let world = with_keys(stopped, &url).await;
            world.activate("ico-ncsc-2023").await;
            let stands = world.permitted("ncsc").await;
            let ask = world.ask(&stands.held);
            let released = world.put(&stands.held, ask.clone()).await.unwrap();
            assert_released(released.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            let withdrawn = world.permitted("ncsc").await;
            world.outcome(&withdrawn.held).await;
            world.withdraw_consent(&withdrawn.held, &withdrawn.consent).await.unwrap();
            let told = [
                ("at", world.now().micros().to_string()),
                ("ask", HEXLOWER.encode(&ask.encode_to_vec())),
                ("receipt", HEXLOWER.encode(&released.receipt.unwrap().encode_to_vec())),
                ("consent", stands.consent),
                ("withdrawn", HEXLOWER.encode(&world.ask(&withdrawn.held).encode_to_vec())),
            ];
            let stopped = world.stop().await;
            let told = told.map(|(name, value)| format!("-- {name} {value}\n")).concat();
            fs::write(file(kind(&url)), told + &rows(&config.database_url()).await).unwrap();
            stopped.start().await
        });
    }
}

/// What is said of the story before its rows.
struct Told(BTreeMap<String, String>);

impl Told {
    fn of(written: &str) -> Self {
        let lines = written.lines().filter_map(|line| line.strip_prefix("-- ")?.split_once(' '));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn message<M: prost::Message + Default>(&self, name: &str) -> M {
        M::decode(HEXLOWER.decode(self.0[name].as_bytes()).unwrap().as_slice()).unwrap()
    }
}

/// Makes the tables of before the newest migration and fills them, as that program left them.
async fn put_in_place(url: &str, written: &str) {
    let statements = || sqlx::raw_sql(AssertSqlSafe(written.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
        before("sqlite", newest("sqlite")).run(&mut connection).await.unwrap();
        connection.execute("PRAGMA foreign_keys = OFF").await.unwrap();
        connection.execute(statements()).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        before("postgres", newest("postgres")).run(&mut connection).await.unwrap();
        connection.execute("SET session_replication_role = replica").await.unwrap();
        connection.execute(statements()).await.unwrap();
        connection.close().await.unwrap();
    }
}

on_both_databases! {
    async fn what_the_program_before_wrote_is_served_by_this_one(world: World) {
        let url = beside(&world.config);
        let written = fs::read_to_string(file(kind(&url))).unwrap();
        let told = Told::of(&written);
        let mut config = world.config.clone();
        url.clone_into(&mut config.node.database);
        put_in_place(&config.database_url(), &written).await;
        // Nor was a migration changed since: the digests that that program noted are compared.
        world = with_keys(world.stop().await, &url).await;
        world.hand.set(Instant::from_micros(told.0["at"].parse().unwrap()).plus_seconds(1));

        // The same call has the same entry, and its content. The receipt that was given for it verifies.
        let (ask, receipt): (RequestReleaseRequest, Receipt) = (told.message("ask"), told.message("receipt"));
        world.verified(Some(&receipt));
        let mut requester = world.requester("ico");
        let again = requester.request_release(ask.clone()).await.unwrap().into_inner();
        assert_released(again.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let found = again.receipt.as_ref().unwrap();
        assert_eq!((found.index, &found.entry), (receipt.index, &receipt.entry));
        assert!(matches!(again.outcome, Some(Outcome::Released(released)) if released.content_included));

        // What stood stands, what was withdrawn is, and what is withdrawn now is from now on.
        let afresh = || RequestReleaseRequest { request_id: request_id(), ..ask.clone() };
        let released = requester.request_release(afresh()).await.unwrap().into_inner();
        assert_released(released.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let withdrawn: RequestReleaseRequest = told.message("withdrawn");
        assert_open(requester.request_release(withdrawn).await.unwrap().into_inner().outcome.as_ref().unwrap());
        let request = WithdrawConsentRequest { request_id: request_id(), consent_id: told.0["consent"].clone() };
        world.consents("ncsc").withdraw_consent(request).await.unwrap();
        assert_open(requester.request_release(afresh()).await.unwrap().into_inner().outcome.as_ref().unwrap());
    }
}
