//! `kill -9` under a stream of releases, again and again: the real program, the same ledger.
//!
//! After each kill the ledger checks, each acknowledged release is in it as it was acknowledged, and asking again,
//! whether it was acknowledged or not, gives exactly one entry for each `request_id`.

mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use concordat::client::{Context, OfficerChannel};
use concordat::clock::Clock;
use concordat::ledger::{Keyring, verify};
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self, Receipt};
use concordat::store::{Options, Store};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::{PURPOSES, World, on_both_databases, request_id};
use crate::program::{Program, START_WITHIN};

/// How many clients ask at the same time.
const CLIENTS: usize = 6;

/// How often the node is killed, on each database.
#[expect(clippy::disallowed_methods, reason = "a test reads its own settings")]
fn kills() -> usize {
    let set = std::env::var("CONCORDAT_KILLS").ok().map(|kills| kills.parse().expect("CONCORDAT_KILLS is a number"));
    let long = std::env::var_os("CONCORDAT_LONG").is_some();
    set.unwrap_or(if long { 250 } else { 25 })
}

/// What a client knows of one ask: the receipt, if the node answered.
#[derive(Debug, Default, Clone)]
struct Asked(Arc<Mutex<BTreeMap<String, Option<Receipt>>>>);

impl Asked {
    fn sent(&self, request_id: &str) {
        self.0.lock().unwrap().insert(request_id.to_owned(), None);
    }

    fn acknowledged(&self, request_id: &str, receipt: Receipt) {
        self.0.lock().unwrap().insert(request_id.to_owned(), Some(receipt));
    }

    fn all(&self) -> BTreeMap<String, Option<Receipt>> {
        self.0.lock().unwrap().clone()
    }
}

/// Everything that stays when the program is killed.
struct Scene {
    folder: PathBuf,
    config: PathBuf,
    database: String,
    keys: Keyring,
    requester: Context,
    auditor: Context,
    ask: v1::RequestReleaseRequest,
}

impl Scene {
    /// An officer of a program that may serve somewhere else than the last one.
    fn officer(&self, context: &Context, address: SocketAddr) -> OfficerChannel {
        let context = Context { server: address.to_string(), ..context.clone() };
        context.officer(&self.folder, Clock::system()).unwrap()
    }

    fn releases(&self, address: SocketAddr) -> ReleaseServiceClient<OfficerChannel> {
        ReleaseServiceClient::new(self.officer(&self.requester, address))
    }

    async fn check_ledger(&self) -> u64 {
        let store = Store::open(&Options::inspect(&self.database)).await.unwrap();
        let checked = store.check_ledger(&self.keys, |_, _| {}).await.unwrap();
        store.close().await;
        checked.size
    }

    /// Clients that ask and ask, each on a connection of its own, until their connections break. The number of
    /// acknowledged asks so far is told to whoever watches.
    fn stream(&self, address: SocketAddr, asked: &Asked) -> (watch::Receiver<usize>, Vec<tokio::task::JoinHandle<()>>) {
        let (told, seen) = watch::channel(0);
        let told = Arc::new(told);
        let client = |_| {
            let (mut releases, asked, told) = (self.releases(address), asked.clone(), Arc::clone(&told));
            let ask = self.ask.clone();
            tokio::spawn(async move {
                loop {
                    let ask = v1::RequestReleaseRequest { request_id: request_id(), ..ask.clone() };
                    asked.sent(&ask.request_id);
                    let Ok(answer) = releases.request_release(ask.clone()).await else { return };
                    let answer = answer.into_inner();
                    assert!(matches!(answer.outcome, Some(Outcome::Released(_))), "{:?}", answer.outcome);
                    asked.acknowledged(&ask.request_id, answer.receipt.unwrap());
                    told.send_modify(|count| *count += 1);
                }
            })
        };
        (seen, (0..CLIENTS).map(client).collect())
    }

    /// Asks once more for each of these: what was acknowledged comes back as it was, and what was not comes once.
    async fn ask_again(&self, address: SocketAddr, asked: &Asked) {
        let releases = self.releases(address);
        for (request_id, earlier) in asked.all() {
            let ask = v1::RequestReleaseRequest { request_id: request_id.clone(), ..self.ask.clone() };
            let answer = releases.clone().request_release(ask.clone()).await.unwrap().into_inner();
            let receipt = answer.receipt.unwrap();
            verify(&receipt, &self.keys).unwrap();
            if let Some(earlier) = earlier {
                assert_eq!(receipt.index, earlier.index, "{request_id} was acknowledged at another place");
                assert_eq!(receipt.entry, earlier.entry, "{request_id} was acknowledged as another entry");
                verify(&earlier, &self.keys).unwrap();
            }
            let again = releases.clone().request_release(ask).await.unwrap().into_inner().receipt.unwrap();
            assert_eq!((again.index, again.entry), (receipt.index, receipt.entry.clone()), "{request_id}");
            asked.acknowledged(&request_id, receipt);
        }
    }

    /// Every ask in the ledger, by its idempotency key.
    async fn entries(&self, address: SocketAddr) -> Vec<(String, u64, Vec<u8>)> {
        let mut auditor = LedgerServiceClient::new(self.officer(&self.auditor, address));
        let mut entries = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListEntriesRequest { page_size: 200, page_token };
            let page = auditor.list_entries(request).await.unwrap().into_inner();
            for receipt in page.receipts {
                if let Some(ask) = verify(&receipt, &self.keys).unwrap().ask {
                    entries.push((ask.request_id, receipt.index, receipt.entry));
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return entries;
            }
        }
    }
}

impl World {
    /// A release that the real program, which lives a hundred days later, will grant.
    async fn scene(&self) -> Scene {
        let held = self.hold("ncsc", "ico").await;
        self.give_consent(&held, self.scope(&held)).await;
        let authorisation =
            v1::GiveAuthorisationRequest { valid_until: self.in_seconds(300 * 86_400), ..self.authorisation(&held) };
        self.authorisations("ncsc").give_authorisation(authorisation).await.unwrap();
        let folder = self.workspace.folder().to_owned();
        let context = |officer: &str, role: &str| {
            self.workspace.context("ico", officer, &[role], &PURPOSES, "one", self.node.address)
        };
        Scene {
            config: folder.join("node-one/node.toml"),
            database: self.config.database_url(),
            keys: self.keys(),
            requester: context("req", "requester"),
            auditor: context("aud", "auditor"),
            ask: self.ask(&held),
            folder,
        }
    }
}

on_both_databases! {
    async fn what_was_acknowledged_outlives_the_program(world: World) {
        let scene = world.scene().await;
        let stopped = world.stop().await;
        let (mut before, mut acknowledged, mut unknown) = (scene.check_ledger().await, 0, 0);
        let mut ever = BTreeMap::new();
        let mut program = Program::start(&scene.config);
        for kill in 0..kills() {
            let asked = Asked::default();
            let (mut acknowledgements, clients) = scene.stream(program.address, &asked);
            // Some way into the stream, and then at any point of a batch: the moment has to be a random one.
            let [number, delay, ..] = concordat::seal::random::<8>();
            let enough = usize::from(number % 24);
            timeout(START_WITHIN, acknowledgements.wait_for(|count| *count >= enough)).await.unwrap().unwrap();
            drop(timeout(Duration::from_micros(u64::from(delay) * 40), std::future::pending::<()>()).await);
            program.kill();
            for client in clients {
                client.await.unwrap();
            }

            let size = scene.check_ledger().await;
            let of_this_kill = asked.all();
            let answered = of_this_kill.values().flatten().count();
            assert!(answered >= enough);
            let written = usize::try_from(size - before).unwrap();
            assert!(written >= answered, "kill {kill}: {answered} acknowledged, {written} in the ledger");
            assert!(written <= of_this_kill.len(), "kill {kill}: {} asked, {written} entries", of_this_kill.len());

            program = Program::start(&scene.config);
            scene.ask_again(program.address, &asked).await;
            before = scene.check_ledger().await;
            let entries = usize::try_from(before - size).unwrap();
            assert_eq!(written + entries, of_this_kill.len(), "kill {kill}: one entry for each request_id");
            acknowledged += answered;
            unknown += written - answered;
            ever.extend(asked.all());
        }
        println!("{acknowledged} acknowledged; {unknown} written and not acknowledged; {} asked", ever.len());

        let entries = scene.entries(program.address).await;
        drop(program);
        let keys: BTreeSet<&String> = entries.iter().map(|(key, ..)| key).collect();
        assert_eq!(keys.len(), entries.len(), "a request_id has two entries");
        assert_eq!(keys, ever.keys().collect(), "the ledger's asks are those that were put");
        for (request_id, index, entry) in &entries {
            let receipt = ever[request_id].as_ref().unwrap();
            assert_eq!((receipt.index, &receipt.entry), (*index, entry), "{request_id}");
        }
        world = stopped.start().await;
    }
}
