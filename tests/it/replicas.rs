//! Several replicas of one node: real processes with the same keys on one PostgreSQL, and nothing else between them.

mod crash;
mod cut;
mod everywhere;
mod judge;
mod officers;
mod proxy;
mod races;
mod rolling;
mod stage;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use concordat::client::OfficerChannel;
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::dev::{self, Workspace};
use concordat::ledger::Keyring;
use concordat::store::{Options, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::harness::{PURPOSES, real_now};
use crate::program::{BUILT, Program};

/// Nothing here takes this long unless it never ends.
const PATIENCE: Duration = Duration::from_mins(2);

/// What all replicas of one node have in common.
pub(crate) struct Site {
    workspace: Workspace,
    config: PathBuf,
    database: String,
    _folder: TempDir,
}

impl Site {
    /// A node's files. The database is empty: its replicas bring it up to date.
    async fn on(database: &str) -> Self {
        let folder = crate::postgres::quick_folder("concordat-").unwrap();
        let now = real_now();
        let workspace = Workspace::create(folder.path(), now).unwrap();
        let holds = ["ico", "ncsc", "nca"];
        // With a database of its own, so that the one of the replicas stays as it is.
        let file = workspace.add_node("one", &holds, dev::loopback(0), None, now).await.unwrap();
        let site = Self { workspace, config: file, database: database.to_owned(), _folder: folder };
        site.configure(database, "node.toml");
        site
    }

    /// A replica's configuration: the same but for the way to the database. It listens on any port.
    fn configure(&self, database: &str, file: &str) -> PathBuf {
        let mut config = Config::load(&self.config).unwrap();
        database.clone_into(&mut config.node.database);
        let file = self.config.with_file_name(file);
        config.write(&file).unwrap();
        file
    }

    /// As many replicas, all started at the same moment.
    fn start(&self, replicas: usize) -> Vec<Program> {
        self.start_build(Path::new(BUILT), replicas)
    }

    fn start_build(&self, program: &Path, replicas: usize) -> Vec<Program> {
        std::thread::scope(|scope| {
            let start = |_| scope.spawn(|| Program::start_build(program, &self.config, "info"));
            let starting: Vec<_> = (0..replicas).map(start).collect();
            starting.into_iter().map(|replica| replica.join().unwrap()).collect()
        })
    }

    /// A connection to a replica that speaks for an officer.
    fn officer(&self, at: SocketAddr, agency: &str, name: &str, roles: &[&str]) -> OfficerChannel {
        let context = self.workspace.context(agency, name, roles, &PURPOSES, "one", at);
        context.officer(self.workspace.folder(), Clock::system()).unwrap()
    }

    /// The service's own opinion of the whole ledger, beside the judge's.
    async fn check_ledger(&self) {
        let key = std::fs::read_to_string(self.config.with_file_name("ledger.pub")).unwrap();
        let store = Store::open(&Options::inspect(&self.database)).await.unwrap();
        store.check_ledger(&Keyring::parse([key.as_str()]).unwrap(), |_, _| {}).await.unwrap();
        store.close().await;
    }
}

/// The tests' own side of it.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Whether the tests that take minutes are wanted.
fn long() -> bool {
    std::env::var_os("CONCORDAT_LONG").is_some()
}

/// How often a test does something: what its variable says, else few times, or many in a long run.
#[expect(clippy::disallowed_methods, reason = "a test reads its own settings")]
pub(crate) fn times(variable: &str, few: usize, many: usize) -> usize {
    let set = std::env::var(variable).ok().map(|number| number.parse().expect("the variable is a number"));
    set.unwrap_or(if long() { many } else { few })
}
