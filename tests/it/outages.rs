//! The database is full, down, read-only or slow: what still works is what `docs/operations.md` says, nothing is half
//! done, readiness follows, and everything works again without a restart.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use concordat::client::{Context, OfficerChannel};
use concordat::clock::Clock;
use concordat::proto::TAKES_AWAY;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::bad_input::{Rpc, rpcs};
use crate::builders::assert_error;
use crate::harness::{PURPOSES, World, on_both_databases, to_its_end};
use crate::postgres::{self, all_tests_are_wanted};
use crate::program::Program;
use crate::raw;

/// As long as a call may take at all.
const PATIENT: Duration = Duration::from_secs(30);
const MEBIBYTE: u64 = 1 << 20;

/// A valid call of each RPC of the contract.
struct Calls(Vec<(Rpc, OfficerChannel, Bytes)>);

/// Which RPCs are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// Those that read.
    Reads,
    /// Those that read or take a permission away.
    ReadsAndStops,
    Nothing,
    All,
}

impl Answered {
    fn includes(self, rpc: &Rpc) -> bool {
        match self {
            Self::Reads => !rpc.changes(),
            Self::ReadsAndStops => !rpc.changes() || TAKES_AWAY.contains(&rpc.name()),
            Self::Nothing => false,
            Self::All => true,
        }
    }
}

impl World {
    async fn calls(&self) -> Calls {
        let mut calls = Vec::new();
        for rpc in rpcs() {
            let bytes = self.valid_request(rpc.name(), 0).await.expect("a valid request for each RPC");
            let officer = self.officer_of(&rpc);
            calls.push((rpc, officer, Bytes::from(bytes)));
        }
        Calls(calls)
    }

    async fn until_ready(&self, ready: bool) {
        until_ready(self.officer("ico", "aud", &["auditor"]), ready).await;
    }
}

/// Waits until the node says so of itself.
pub(crate) async fn until_ready(officer: OfficerChannel, ready: bool) {
    let wanted = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    let mut health = HealthClient::new(officer);
    let request = HealthCheckRequest { service: String::new() };
    let mut statuses = health.watch(request).await.unwrap().into_inner();
    let wait = async { while statuses.message().await.unwrap().unwrap().status() != wanted {} };
    tokio::time::timeout(PATIENT, wait).await.unwrap_or_else(|_| panic!("readiness does not become {ready}"));
    let request = HealthCheckRequest { service: "liveness".into() };
    let alive = health.check(request).await.unwrap().into_inner().status();
    assert_eq!(alive, ServingStatus::Serving, "an outage is no reason to restart the node");
}

impl Calls {
    /// Puts every call, all at once, and asserts which of them are answered; the others say that the store failed. One
    /// agency's are more than may be queued: what is turned away for that is put again.
    async fn assert_answered(&self, answered: Answered) {
        let mut all = JoinSet::new();
        for (place, (rpc, officer, bytes)) in self.0.iter().enumerate() {
            let (officer, path, bytes) = (officer.clone(), rpc.path.clone(), bytes.clone());
            all.spawn(async move {
                loop {
                    let mut request = Request::new(bytes.clone());
                    request.set_timeout(PATIENT);
                    let answer = raw::send(officer.clone(), &path, request).await;
                    if !answer.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted) {
                        return (place, answer);
                    }
                }
            });
        }
        for (place, answer) in all.join_all().await {
            let (rpc, ..) = &self.0[place];
            if answered.includes(rpc) && (rpc.is_undone_by_another() || rpc.needs_an_agreement()) {
                assert_ne!(answer.err().map(|status| status.code()), Some(Code::Unavailable), "{}", rpc.path);
            } else if answered.includes(rpc) {
                assert!(answer.is_ok(), "{} while {answered:?} should be answered: {:?}", rpc.path, answer.err());
            } else {
                assert!(answer.is_err(), "{} is answered", rpc.path);
                assert_error(answer, Code::Unavailable, "STORE_UNAVAILABLE");
            }
        }
    }

    /// One ask, which comes to nothing.
    async fn assert_asks_stop(&self) {
        let (_, officer, bytes) = self.0.iter().find(|(rpc, ..)| rpc.name() == "RequestRelease").unwrap();
        let mut request = Request::new(bytes.clone());
        request.set_timeout(PATIENT);
        let answer = raw::send(officer.clone(), "/concordat.v1.ReleaseService/RequestRelease", request).await;
        assert_error(answer, Code::Unavailable, "STORE_UNAVAILABLE");
    }
}

/// Somebody else who holds the ledger's lock.
pub(crate) enum Intruder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Intruder {
    pub(crate) async fn lock(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            Self::Sqlite(connection)
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let lock = "BEGIN; SELECT size FROM ledger_head FOR UPDATE";
            sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
            Self::Postgres(connection)
        }
    }

    pub(crate) async fn let_go(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

on_both_databases! {
    async fn while_somebody_else_holds_the_lock_nothing_is_released_and_reads_go_on(world: World) {
        let calls = world.calls().await;
        world.until_ready(true).await;
        let size = world.size().await;
        let intruder = Intruder::lock(&world.config.database_url()).await;
        calls.assert_asks_stop().await;
        world.until_ready(false).await;
        calls.assert_answered(Answered::Reads).await;
        assert_eq!(world.size().await, size, "a call that was turned away left an entry");
        intruder.let_go().await;
        world.until_ready(true).await;
        calls.assert_answered(Answered::All).await;
    }

    async fn a_lock_that_was_late_once_turns_away_only_those_that_waited_for_it(world: World) {
        let calls = world.calls().await;
        world.until_ready(true).await;
        let intruder = Intruder::lock(&world.config.database_url()).await;
        calls.assert_asks_stop().await;
        intruder.let_go().await;
        // At once, and not when the node has found out that it is well.
        calls.assert_answered(Answered::All).await;
    }

    async fn the_log_says_what_to_do(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let ask = world.ask(&held);
        let folder = world.workspace.folder().to_owned();
        let context = world.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", world.node.address);
        let url = world.config.database_url();
        let stopped = world.stop().await;
        let program = Program::start(&folder.join("node-one/node.toml"));
        let intruder = Intruder::lock(&url).await;
        let context = Context { server: program.address.to_string(), ..context };
        let officer = context.officer(&folder, Clock::system()).unwrap();
        let mut requester = ReleaseServiceClient::new(officer.clone());
        let mut request = Request::new(ask);
        request.set_timeout(PATIENT);
        assert_error(requester.request_release(request).await, Code::Unavailable, "STORE_UNAVAILABLE");
        until_ready(officer, false).await;
        intruder.let_go().await;
        let log = program.kill();
        let line = log.lines().find(|line| line.contains("the node is not ready")).expect("a line that says so");
        assert!(line.contains("ERROR") && line.contains("end whatever else holds the lock"), "{line}");
        world = stopped.start().await;
    }
}

/// A file system with so much room, in a folder; it goes when this is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where no file system can be mounted. `owner`: a user and a group; unset, ours.
    fn mount(mebibytes: u64, owner: Option<(u32, u32)>) -> Option<Self> {
        let folder = TempDir::with_prefix("concordat-disk-").unwrap();
        let ours = folder.path().metadata().unwrap();
        let (uid, gid) = owner.unwrap_or((ours.uid(), ours.gid()));
        let options = format!("size={mebibytes}m,uid={uid},gid={gid}");
        if as_root(&["mount", "-t", "tmpfs", "-o", &options, "concordat-test"], folder.path()) {
            return Some(Self(folder));
        }
        let problem = "no small disk can be mounted, which root may";
        assert!(!all_tests_are_wanted(), "CONCORDAT_TESTS=all, but {problem}");
        // Not `eprintln!`: the test runner would keep it to itself when the test passes.
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: the tests of a full disk, because {problem}\n");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Fills it until so much is left.
    fn fill_to(&self, free_bytes: u64) {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.path().join("filler")).unwrap();
        while self.free_bytes() > free_bytes {
            let block = usize::try_from((self.free_bytes() - free_bytes).min(MEBIBYTE)).unwrap();
            if filler.write(&vec![0; block]).is_err() {
                break;
            }
        }
    }

    fn clear(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], self.path());
    }
}

/// Runs a command on a folder, as root or by `sudo` where that asks for no password. Whether it succeeded.
fn as_root(command: &[&str], folder: &Path) -> bool {
    [&[][..], &["sudo", "-n"]].iter().any(|before| {
        let words: Vec<&str> = before.iter().chain(command).copied().collect();
        let output = Command::new(words[0]).args(&words[1..]).arg(folder).output();
        output.is_ok_and(|output| output.status.success())
    })
}

fn run<F: Future<Output = ()> + Send>(test: F) {
    to_its_end(|| test);
}

#[test]
fn the_last_of_sqlites_disk_is_for_what_takes_a_permission_away() {
    let Some(disk) = SmallDisk::mount(64, None) else { return };
    run(async {
        let folder = TempDir::new_in(disk.path()).unwrap();
        let world = World::start_in(folder, None, |_| {}).await;
        world.activate_all().await;
        let permitted = world.permitted("ncsc").await;
        let calls = world.calls().await;
        world.until_ready(true).await;

        disk.fill_to(24 * MEBIBYTE);
        calls.assert_asks_stop().await;
        // Whoever withdraws must still be sent here.
        world.until_ready(true).await;
        calls.assert_answered(Answered::ReadsAndStops).await;

        // Not a byte is left, not even in SQLite's own files.
        let mut connection = SqliteConnection::connect(&world.config.database_url()).await.unwrap();
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        disk.fill_to(0);
        let size = world.size().await;
        let withdrawn = world.withdraw_consent(&permitted.held, &permitted.consent).await;
        assert_error(withdrawn, Code::Unavailable, "STORE_UNAVAILABLE");
        assert_eq!(world.size().await, size, "a call that was turned away left an entry");
        world.until_ready(false).await;

        disk.clear();
        world.until_ready(true).await;
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        calls.assert_answered(Answered::All).await;
        world.finish().await;
    });
}

#[test]
fn a_postgres_that_comes_back_is_used_again() {
    let Some(mut server) = postgres::durable_server() else { return };
    run(async {
        let folder = postgres::quick_folder("concordat-").unwrap();
        let world = World::start_in(folder, Some(server.database()), |_| {}).await;
        world.activate_all().await;
        let calls = world.calls().await;
        world.until_ready(true).await;

        server.crash();
        calls.assert_asks_stop().await;
        world.until_ready(false).await;
        calls.assert_answered(Answered::Nothing).await;

        server.start_again();
        world.until_ready(true).await;
        calls.assert_answered(Answered::All).await;
        world.finish().await;
    });
}

#[test]
fn a_postgres_that_is_read_only_for_a_while_is_read() {
    let Some(url) = postgres::database() else { return };
    run(async {
        let folder = postgres::quick_folder("concordat-").unwrap();
        let world = World::start_in(folder, Some(url.clone()), |_| {}).await;
        world.activate_all().await;
        let calls = world.calls().await;
        world.until_ready(true).await;
        let mut operator = PgConnection::connect(&url).await.unwrap();
        let database: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut operator).await.unwrap();
        let disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name = 'concordat'";

        let read_only = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
        sqlx::raw_sql(AssertSqlSafe(read_only)).execute(&mut operator).await.unwrap();
        sqlx::raw_sql(disconnect).execute(&mut operator).await.unwrap();
        calls.assert_asks_stop().await;
        world.until_ready(false).await;
        calls.assert_answered(Answered::Reads).await;

        let again = format!("ALTER DATABASE {database} RESET default_transaction_read_only");
        sqlx::raw_sql(AssertSqlSafe(again)).execute(&mut operator).await.unwrap();
        world.until_ready(true).await;
        calls.assert_answered(Answered::All).await;
        operator.close().await.unwrap();
        world.finish().await;
    });
}

#[test]
fn a_postgres_without_room_releases_nothing_until_it_has_some() {
    let Some(server) = postgres::durable_server() else { return };
    let Some(disk) = SmallDisk::mount(32, Some(server.user())) else { return };
    run(async {
        let mut operator = PgConnection::connect(&server.database()).await.unwrap();
        let place = format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display());
        sqlx::raw_sql(AssertSqlSafe(place)).execute(&mut operator).await.unwrap();
        let make = "CREATE DATABASE small TEMPLATE template0 TABLESPACE small";
        sqlx::raw_sql(make).execute(&mut operator).await.unwrap();
        operator.close().await.unwrap();
        let folder = postgres::quick_folder("concordat-").unwrap();
        let world = World::start_in(folder, Some(server.url_of("small")), |_| {}).await;
        world.activate_all().await;
        let held = world.permitted("ncsc").await.held;

        disk.fill_to(0);
        // The pages that there are have some room left.
        let mut answer = Ok(());
        let mut tries = 0;
        while answer.is_ok() && tries < 500 {
            answer = world.put(&held, world.ask(&held)).await.map(drop);
            tries += 1;
        }
        assert_error(answer, Code::Unavailable, "STORE_UNAVAILABLE");
        disk.clear();
        world.until_ready(true).await;
        world.put(&held, world.ask(&held)).await.unwrap();
        world.finish().await;
    });
}
