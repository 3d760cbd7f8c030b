//! A node that really serves, its agencies' officers, and a clock that the test moves.
//!
//! The clock starts a hundred days ago, so that a test can move it without outliving the certificates, which TLS
//! judges by the machine's own clock.

use std::future::Future;
use std::sync::Arc;
use std::thread;

use concordat::client::{Context, OfficerChannel, TokenSection, TokenSource};
use concordat::clock::{Clock, Hand};
use concordat::config::{Config, LedgerSection};
use concordat::dev::{self, Workspace};
use concordat::domain::Instant;
use concordat::exchange::replay;
use concordat::ledger::{Keyring, verify};
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::{self, ActivateAgreementRequest, ListAgreementsRequest};
use concordat::server::Running;
use concordat::store::{Options, Store};
use tempfile::TempDir;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// One node that holds the ICO's, the NCSC's and the NCA's records, with the bundled agreements in force.
pub(crate) struct World {
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) config: Config,
    pub(crate) hand: Hand,
    pub(crate) clock: Clock,
    pub(crate) node: Running,
    folder: Arc<TempDir>,
    name: String,
}

/// The purposes of all bundled agreements.
pub(crate) const PURPOSES: [&str; 5] =
    ["regulatory-assessment", "regulatory-enforcement", "harm-reduction", "serious-organised-crime", "nis-csirt"];

/// What the machine's clock says.
pub(crate) fn real_now() -> Instant {
    Clock::system().now()
}

impl World {
    /// None where PostgreSQL cannot be had; the reason has been printed then.
    pub(crate) async fn start(engine: Engine) -> Option<Self> {
        let world = Self::start_without_agreements(engine).await?;
        world.activate_all().await;
        Some(world)
    }

    /// Puts the bundled agreements into force.
    pub(crate) async fn activate_all(&self) {
        for id in ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"] {
            self.activate(id).await;
        }
    }

    pub(crate) async fn start_without_agreements(engine: Engine) -> Option<Self> {
        Self::start_with(engine, |_| {}).await
    }

    /// A node without agreements whose configuration the test changes first.
    pub(crate) async fn start_with(engine: Engine, change: impl FnOnce(&mut Config)) -> Option<Self> {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(crate::postgres::database()?),
        };
        let folder = crate::postgres::quick_folder("concordat-").unwrap();
        Some(Self::start_in(folder, database, change).await)
    }

    /// The same in a folder of the test's own, and on this PostgreSQL database if there is one.
    pub(crate) async fn start_in(folder: TempDir, database: Option<String>, change: impl FnOnce(&mut Config)) -> Self {
        let now = real_now();
        let workspace = Workspace::create(folder.path(), now).unwrap();
        let holds = ["ico", "ncsc", "nca"];
        let file = workspace.add_node("one", &holds, dev::loopback(0), database.as_deref(), now).await.unwrap();
        let mut config = Config::load(&file).unwrap();
        change(&mut config);
        let (clock, hand) = Clock::set_to(Instant::from_micros(now.micros() - 100 * 86_400 * 1_000_000));
        let node = Box::pin(Running::start(&config, clock.clone())).await.unwrap();
        let (workspace, folder) = (Arc::new(workspace), Arc::new(folder));
        Self { workspace, config, hand, clock, node, folder, name: "one".to_owned() }
    }

    /// The same agencies and the same clock with two nodes: this one, restarted with the ICO's records alone, and one for
    /// another agency. Each is configured with the other's ledger key. Itself where there is no PostgreSQL for the second.
    pub(crate) async fn parted(self, other: &'static str) -> Result<(Self, Self), Box<Self>> {
        let is_sqlite = self.config.node.database.starts_with("sqlite:");
        let database = if is_sqlite { None } else { crate::postgres::database() };
        if !is_sqlite && database.is_none() {
            return Err(Box::new(self));
        }
        let (workspace, now) = (Arc::clone(&self.workspace), real_now());
        let file = workspace.add_node(other, &[other], dev::loopback(0), database.as_deref(), now).await.unwrap();
        let trust = |config: &mut Config, agency: &str, node: &str| {
            let section = config.agency.iter_mut().find(|section| section.id.as_str() == agency).unwrap();
            section.ledger.push(LedgerSection {
                key_file: format!("../node-{node}/ledger.pub").into(),
                from: None,
                until: None,
            });
        };
        let mut config = Config::load(&file).unwrap();
        trust(&mut config, "ico", "one");
        let node = Box::pin(Running::start(&config, self.clock.clone())).await.unwrap();
        let (hand, clock, folder) = (self.hand.clone(), self.clock.clone(), Arc::clone(&self.folder));
        let there = Self { workspace, config, hand, clock, node, folder, name: other.to_owned() };
        for id in ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"] {
            let mut operator = there.agreements(other, &["operator"]);
            let listed = operator.list_agreements(ListAgreementsRequest::default()).await.unwrap().into_inner();
            let Some(agreement) = listed.agreements.into_iter().find(|agreement| agreement.id == id) else { continue };
            let (request_id, agreement_id) = (request_id(), id.to_owned());
            let request = ActivateAgreementRequest { request_id, agreement_id, digest: agreement.digest };
            operator.activate_agreement(request).await.unwrap();
        }
        let alone = |config: &mut Config| {
            for agency in config.agency.iter_mut().filter(|agency| agency.id.as_str() != "ico") {
                agency.holds = None;
            }
            trust(config, other, other);
        };
        Ok((self.stop().await.start_with(alone).await, there))
    }

    /// The node's time.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A time so many seconds from the node's now, as the contract writes it.
    #[expect(clippy::unnecessary_wraps, reason = "the contract's fields of messages are options")]
    pub(crate) fn in_seconds(&self, seconds: i64) -> Option<prost_types::Timestamp> {
        Some(timestamp(self.now().plus_seconds(seconds)))
    }

    /// A connection for an officer with these roles, who may state every purpose.
    pub(crate) fn officer(&self, agency: &str, name: &str, roles: &[&str]) -> OfficerChannel {
        self.officer_for(agency, name, roles, &PURPOSES)
    }

    /// A connection for an officer with these roles and purposes.
    pub(crate) fn officer_for(&self, agency: &str, name: &str, roles: &[&str], purposes: &[&str]) -> OfficerChannel {
        let context = self.workspace.context(agency, name, roles, purposes, &self.name, self.node.address);
        context.officer(self.folder.path(), self.clock.clone()).unwrap()
    }

    /// Agreements, as an officer of an agency with these roles.
    pub(crate) fn agreements(&self, agency: &str, roles: &[&str]) -> AgreementServiceClient<OfficerChannel> {
        AgreementServiceClient::new(self.officer(agency, "op", roles))
    }

    /// Puts a bundled agreement into force, as an operator of one of its parties.
    pub(crate) async fn activate(&self, id: &str) -> v1::Receipt {
        let mut operator = self.agreements("ico", &["operator"]);
        let listed = operator.list_agreements(ListAgreementsRequest::default()).await.unwrap().into_inner();
        let agreement = listed.agreements.into_iter().find(|agreement| agreement.id == id).unwrap();
        let request = ActivateAgreementRequest {
            request_id: request_id(),
            agreement_id: id.to_owned(),
            digest: agreement.digest,
        };
        operator.activate_agreement(request).await.unwrap().into_inner().receipt.unwrap()
    }

    /// The key that verifies this node's receipts.
    pub(crate) fn keys(&self) -> Keyring {
        let file = self.workspace.folder().join(format!("node-{}/ledger.pub", self.name));
        Keyring::parse([std::fs::read_to_string(file).unwrap().as_str()]).unwrap()
    }

    /// Verifies a receipt as its holder would, offline.
    pub(crate) fn verified(&self, receipt: Option<&v1::Receipt>) -> concordat::ledger::Verified {
        verify(receipt.expect("a receipt"), &self.keys()).unwrap()
    }

    /// Stops the node; what it was made of stays.
    pub(crate) async fn stop(self) -> Stopped {
        let Self { workspace, config, hand, clock, node, folder, name } = self;
        node.stop().await;
        Stopped { workspace, config, hand, clock, folder, name }
    }

    /// Stops the node and starts it again on the same ledger.
    pub(crate) async fn restart(self) -> Self {
        self.stop().await.start().await
    }

    /// Every test ends with a check of the whole ledger, and with a replay of every decision in it.
    pub(crate) async fn finish(self) {
        let keys = self.keys();
        let store = Store::open(&Options::inspect(self.config.database_url())).await.unwrap();
        let checked = store.check_ledger(&keys, |_, _| {}).await.unwrap();
        let seal = store.unlock(&self.config.node_secrets().unwrap()).await.unwrap();
        let replayed = replay(&store, &seal, 0..checked.size, |_| {}).await.unwrap();
        assert!(replayed.faults.is_empty(), "decisions that do not replay: {:#?}", replayed.faults);
        store.close().await;
        self.node.stop().await;
    }
}

/// A world whose node does not run.
pub(crate) struct Stopped {
    workspace: Arc<Workspace>,
    config: Config,
    hand: Hand,
    clock: Clock,
    folder: Arc<TempDir>,
    name: String,
}

impl Stopped {
    /// Where its files are.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.workspace.folder()
    }

    /// What it is configured with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Tries to start the node on the ledger as it is now.
    pub(crate) async fn try_start(&self) -> Result<Running, concordat::server::Error> {
        Box::pin(Running::start(&self.config, self.clock.clone())).await
    }

    /// Why the node does not start with such a configuration.
    pub(crate) async fn refuses(&self, change: impl FnOnce(&mut Config)) -> String {
        let mut config = self.config.clone();
        change(&mut config);
        Box::pin(Running::start(&config, self.clock.clone()))
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    /// Starts the node with a configuration that the test changes first.
    pub(crate) async fn start_with(mut self, change: impl FnOnce(&mut Config)) -> World {
        change(&mut self.config);
        self.start().await
    }

    pub(crate) async fn start(self) -> World {
        let node = self.try_start().await.unwrap();
        let Self { workspace, config, hand, clock, folder, name } = self;
        World { workspace, config, hand, clock, node, folder, name }
    }
}

/// How a context's tokens are signed: by a key of its own, as in every context that a workspace makes.
pub(crate) fn signing(context: &mut Context) -> &mut TokenSection {
    let TokenSource::Key(section) = &mut context.token else { panic!("the context signs no tokens") };
    section
}

/// A fresh idempotency key.
pub(crate) fn request_id() -> String {
    concordat::seal::new_id("test")
}

/// A time as the contract writes it.
pub(crate) fn timestamp(at: Instant) -> prost_types::Timestamp {
    let micros = at.micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap(),
    }
}

/// Runs a test on one database, then checks the ledger that it left.
pub(crate) fn run<F, T>(engine: Engine, test: F)
where
    F: FnOnce(World) -> T + Send,
    T: Future<Output = World>,
{
    to_its_end(|| async move {
        if let Some(world) = World::start(engine).await {
            test(world).await.finish().await;
        }
    });
}

/// Runs a test on a stack that holds it: a test of each RPC in turn has the future of every one of them in its own, and an
/// unoptimised build copies it about.
pub(crate) fn to_its_end<F, T>(test: F)
where
    F: FnOnce() -> T + Send,
    T: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(16 << 20);
        thread.spawn_scoped(scope, || runtime.block_on(test())).unwrap().join()
    });
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// Each test on both databases, as `name::sqlite` and `name::postgres`. The body may put another
/// `world` in its place, such as the one after a restart.
macro_rules! on_both_databases {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: World) $body:block)+) => { $(
        $(#[$doc])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "not every test uses everything")]
            #[allow(unused_imports, reason = "not every test uses everything")]
            use super::*;

            #[expect(clippy::allow_attributes, reason = "not every test stops its world and starts it again")]
            #[allow(unused_mut, reason = "not every test stops its world and starts it again")]
            async fn test(mut $world: $crate::harness::World) -> $crate::harness::World {
                $body
                $world
            }

            #[test]
            fn sqlite() {
                $crate::harness::run($crate::harness::Engine::Sqlite, test);
            }

            #[test]
            fn postgres() {
                $crate::harness::run($crate::harness::Engine::Postgres, test);
            }
        }
    )+ };
}
pub(crate) use on_both_databases;

/// Each test on PostgreSQL alone: what it is about SQLite does not have, such as a second replica.
macro_rules! on_postgres {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: World) $body:block)+) => { $(
        $(#[$doc])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "not every test uses everything")]
            #[allow(unused_imports, reason = "not every test uses everything")]
            use super::*;

            #[expect(clippy::allow_attributes, reason = "not every test stops its world and starts it again")]
            #[allow(unused_mut, reason = "not every test stops its world and starts it again")]
            async fn test(mut $world: $crate::harness::World) -> $crate::harness::World {
                $body
                $world
            }

            #[test]
            fn postgres() {
                $crate::harness::run($crate::harness::Engine::Postgres, test);
            }
        }
    )+ };
}
pub(crate) use on_postgres;
