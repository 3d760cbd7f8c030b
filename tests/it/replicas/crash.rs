//! Replicas are killed and PostgreSQL crashes, at random moments under load, again and again.
//!
//! Every client puts its call at one replica after another, always with the same `request_id`, until it is answered.
//! In the end each call has exactly one entry, the one that its answer told of; and after each fault every replica
//! answers again by itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use concordat::client::OfficerChannel;
use concordat::proto::v1::RegisterOrganisationRequest;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::judge::judge;
use super::stage::{Case, Stage};
use super::{PATIENCE, Site, runtime, times};
use crate::harness::request_id;
use crate::postgres::Server;
use crate::program::Program;

const REPLICAS: usize = 3;
const CLIENTS: usize = 6;
/// A call that takes longer is put at another replica.
const IMPATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) stage: Stage,
    case: Case,
    /// Where the replicas are now: one that was stopped comes back on another port.
    pub(super) addresses: Mutex<Vec<SocketAddr>>,
    pub(super) over: AtomicBool,
    pub(super) answers: watch::Sender<usize>,
}

/// A requester and a recorder on connections to one replica.
pub(super) type Officers = (ReleaseServiceClient<OfficerChannel>, OrganisationServiceClient<OfficerChannel>);

/// A call, by its idempotency key.
#[derive(Debug)]
pub(super) enum Call {
    Ask(String),
    Register(String),
}

/// A fault is told as what it is, or breaks the connection; never as the caller's mistake or as one of ours.
fn assert_passing(status: &Status) {
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |told| told.reason.as_str());
    assert!(["", "STORE_UNAVAILABLE", "OVERLOADED", "DEADLINE"].contains(&reason), "{status:?}");
}

impl Scene {
    /// One incident that is released for the asking, and the replicas where it is.
    pub(super) async fn new(site: Site, replicas: &[Program]) -> Self {
        let stage = Stage::new(&site, replicas, 1, 1).await;
        let case = stage.open(0).await;
        let addresses = Mutex::new(replicas.iter().map(|replica| replica.address).collect());
        let (over, answers) = (AtomicBool::new(false), watch::Sender::new(0));
        Self { site, stage, case, addresses, over, answers }
    }

    pub(super) fn connect(&self, replica: usize) -> Officers {
        let addresses = self.addresses.lock().unwrap();
        let at = addresses[replica % addresses.len()];
        let requester = self.site.officer(at, "ico", "req", &["requester"]);
        let recorder = self.site.officer(at, "ncsc", "rec", &["recorder"]);
        (ReleaseServiceClient::new(requester), OrganisationServiceClient::new(recorder))
    }

    /// Puts calls, one after another, until the test is over.
    async fn client(&self, number: usize) {
        let mut replica = number;
        let mut officers = self.connect(replica);
        for turn in number.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let call = self.call(turn);
            let until = Instant::now() + PATIENCE;
            while let Err(why) = self.put(&call, &mut officers).await {
                assert!(Instant::now() < until, "{call:?} is never answered: {why}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                replica += 1;
                officers = self.connect(replica);
            }
            self.answers.send_modify(|answers| *answers += 1);
        }
    }

    /// A new call: mostly an ask, now and then a change.
    pub(super) fn call(&self, turn: usize) -> Call {
        let key = request_id();
        if turn % 4 == 3 {
            return Call::Register(key);
        }
        self.stage.testimony().asks.insert(key.clone(), self.case.number);
        Call::Ask(key)
    }

    /// Puts a call once. Fails if it was not answered.
    pub(super) async fn put(&self, call: &Call, (releases, organisations): &mut Officers) -> Result<(), String> {
        let answer = async {
            match call {
                Call::Ask(key) => {
                    let answer = releases.request_release(Stage::request(&self.case, key)).await?;
                    assert!(self.stage.told(key, answer.into_inner()), "{key}: no content");
                }
                Call::Register(key) => {
                    let request = RegisterOrganisationRequest {
                        request_id: key.clone(),
                        name: "Example Gas plc".into(),
                        ..RegisterOrganisationRequest::default()
                    };
                    let answer = organisations.register_organisation(request).await?.into_inner();
                    self.stage.acknowledge(key, answer.receipt.unwrap(), false);
                }
            }
            Ok::<(), Status>(())
        };
        match timeout(IMPATIENCE, answer).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => {
                assert_passing(&status);
                Err(status.to_string())
            }
            Err(_) => Err("no answer".to_owned()),
        }
    }

    /// Every replica answers a new ask, by itself.
    async fn all_ready(&self) {
        for replica in 0..REPLICAS {
            let call = self.call(0);
            let until = Instant::now() + PATIENCE;
            while let Err(why) = self.put(&call, &mut self.connect(replica)).await {
                assert!(Instant::now() < until, "replica {replica} is not ready again: {why}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Kills a replica and starts another in its place, crashes the database and starts it again, or both.
    fn fault(&self, replicas: &mut Vec<Program>, server: &mut Server, [kind, victim]: [u8; 2]) {
        let victim = usize::from(victim) % REPLICAS;
        let (kills, crashes) = (kind % 3 != 0, kind % 3 != 1);
        if kills {
            replicas.remove(victim).kill();
        }
        if crashes {
            server.crash();
            server.start_again();
        }
        if kills {
            let replica = self.site.start(1).remove(0);
            self.addresses.lock().unwrap()[victim] = replica.address;
            replicas.insert(victim, replica);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_replicas_are_killed_and_the_database_crashes() {
    let Some(mut server) = crate::postgres::durable_server() else { return };
    runtime().block_on(async {
        let site = Site::on(&server.database()).await;
        let mut replicas = site.start(REPLICAS);
        let scene = Arc::new(Scene::new(site, &replicas).await);
        let client = |number| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.client(number).await })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();

        let faults = times("CONCORDAT_FAULTS", 15, 500);
        let mut answers = scene.answers.subscribe();
        for _ in 0..faults {
            // Some way into the stream, and then at any point of a batch: the moment has to be a random one.
            let [number, delay, kind, victim] = concordat::seal::random::<4>();
            let enough = *answers.borrow() + usize::from(number % 24);
            timeout(PATIENCE, answers.wait_for(|answers| *answers >= enough))
                .await
                .expect("the clients stand")
                .unwrap();
            tokio::time::sleep(Duration::from_micros(u64::from(delay) * 100)).await;
            block_in_place(|| scene.fault(&mut replicas, &mut server, [kind, victim]));
            scene.all_ready().await;
            assert!(replicas.iter_mut().all(Program::runs), "a replica ended with its database");
        }
        scene.over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        drop(replicas);

        let testimony = scene.stage.heard();
        let verdict = judge(&scene.site.database, &testimony).await;
        let acknowledged = testimony.acknowledged.len();
        println!("crashes: {faults} faults; {acknowledged} calls acknowledged, {} entries", verdict.entries);
        assert_eq!(verdict.entries, acknowledged, "an entry is of no call that was put");
        assert_eq!((verdict.asks, verdict.releases), (testimony.asks.len(), testimony.asks.len()));
        scene.site.check_ledger().await;
    });
}
