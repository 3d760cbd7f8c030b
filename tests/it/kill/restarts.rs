//! SIGTERM under load, again and again, and an upgrade of a single node: callers who repeat what is not answered, with the
//! same `request_id`, notice a pause and nothing else.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::store::{Options, Schema, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{Asked, CLIENTS, Scene};
use crate::cli::execute;
use crate::harness::{Engine, World, on_both_databases, request_id, run};
use crate::migrations::older;
use crate::program::Program;
use crate::replicas::times;

/// Nobody waits longer for an answer while a node restarts.
const PATIENCE: Duration = Duration::from_mins(1);

/// Callers, each on a connection of its own, who put each ask until it is answered, wherever the node is meanwhile.
struct Callers {
    scene: Scene,
    address: Mutex<SocketAddr>,
    asked: Asked,
    answers: watch::Sender<usize>,
    repeats: AtomicUsize,
    longest: Mutex<Duration>,
    over: AtomicBool,
}

/// A stopped node's calls end as UNAVAILABLE, or with their connection.
fn assert_passing(status: &Status) {
    let passing = [Code::Unavailable, Code::Cancelled, Code::Unknown];
    assert!(passing.contains(&status.code()), "{status:?}");
}

impl Callers {
    fn begin(scene: Scene, address: SocketAddr) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let callers = Arc::new(Self {
            scene,
            address: Mutex::new(address),
            asked: Asked::default(),
            answers: watch::Sender::new(0),
            repeats: AtomicUsize::new(0),
            longest: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let caller = |_| {
            let callers = Arc::clone(&callers);
            tokio::spawn(async move { callers.call().await })
        };
        let calling = (0..CLIENTS).map(caller).collect();
        (callers, calling)
    }

    fn releases(&self) -> ReleaseServiceClient<OfficerChannel> {
        self.scene.releases(*self.address.lock().unwrap())
    }

    async fn call(&self) {
        let mut releases = self.releases();
        while !self.over.load(Ordering::Relaxed) {
            let ask = v1::RequestReleaseRequest { request_id: request_id(), ..self.scene.ask.clone() };
            self.asked.sent(&ask.request_id);
            let begun = Instant::now();
            let answer = loop {
                match releases.request_release(ask.clone()).await {
                    Ok(answer) => break answer.into_inner(),
                    Err(status) => assert_passing(&status),
                }
                assert!(begun.elapsed() < PATIENCE, "{} is never answered", ask.request_id);
                self.repeats.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                releases = self.releases();
            };
            assert!(matches!(answer.outcome, Some(Outcome::Released(_))), "{:?}", answer.outcome);
            self.asked.acknowledged(&ask.request_id, answer.receipt.unwrap());
            let mut longest = self.longest.lock().unwrap();
            *longest = begun.elapsed().max(*longest);
            drop(longest);
            self.answers.send_modify(|answers| *answers += 1);
        }
    }

    /// Waits until so many more calls are answered.
    async fn more(&self, answers: usize) {
        let mut seen = self.answers.subscribe();
        let enough = *seen.borrow() + answers;
        timeout(PATIENCE, seen.wait_for(|answers| *answers >= enough)).await.expect("the callers stand").unwrap();
    }

    /// Stops the program and starts it again; gives what the stopped one logged.
    fn restart(&self, program: Program, meanwhile: impl FnOnce()) -> (Program, String) {
        let log = program.terminate();
        meanwhile();
        let program = Program::start(&self.scene.config);
        *self.address.lock().unwrap() = program.address;
        (program, log)
    }

    /// Ends the calls; each was answered, and has the one entry that its answer told of.
    async fn end(&self, calling: Vec<JoinHandle<()>>, program: Program) -> String {
        self.over.store(true, Ordering::Relaxed);
        for caller in calling {
            caller.await.unwrap();
        }
        let (entries, asked) = (self.scene.entries(program.address).await, self.asked.all());
        assert_eq!(entries.len(), asked.len(), "a call is lost, or done twice");
        for (request_id, index, entry) in &entries {
            let receipt = asked[request_id].as_ref().expect("it was answered");
            assert_eq!((receipt.index, &receipt.entry), (*index, entry), "{request_id}");
        }
        let log = program.terminate();
        self.scene.check_ledger().await;
        println!(
            "{} calls answered, {} repeats, the longest wait {:?}",
            asked.len(),
            self.repeats.load(Ordering::Relaxed),
            self.longest.lock().unwrap()
        );
        log
    }
}

on_both_databases! {
    async fn restarts_lose_nothing_and_do_nothing_twice(world: World) {
        let scene = world.scene().await;
        let stopped = world.stop().await;
        let mut program = Program::start(&scene.config);
        let (callers, calling) = Callers::begin(scene, program.address);
        let restarts = times("CONCORDAT_RESTARTS", 4, 200);
        for _ in 0..restarts {
            // At any point of a batch: the moment has to be a random one.
            let [number, delay] = concordat::seal::random::<2>();
            callers.more(usize::from(number % 24) + 1).await;
            tokio::time::sleep(Duration::from_micros(u64::from(delay) * 40)).await;
            (program, _) = callers.restart(program, || ());
        }
        print!("{restarts} restarts: ");
        callers.end(calling, program).await;
        world = stopped.start().await;
    }
}

#[test]
fn a_single_node_is_upgraded_and_goes_back_with_everything_in_it() {
    run(Engine::Sqlite, |world: World| async move {
        let scene = world.scene().await;
        let (database, stopped) = (world.config.database_url(), world.stop().await);
        older::put_back(&database).await;
        let store = Store::open(&Options::inspect(&database)).await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Earlier);
        store.close().await;

        // The program brings the tables up to date and serves what the version before had recorded.
        let program = Program::start(&scene.config);
        let (callers, calling) = Callers::begin(scene, program.address);
        callers.more(50).await;
        // A later program was here; whoever starts this one means to go back.
        let (program, log) = callers.restart(program, || {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(execute(&database, &[], &older::LATER));
            });
        });
        assert!(!log.contains(older::GOES_ON), "{log}");
        callers.more(50).await;
        let log = callers.end(calling, program).await;
        assert!(log.contains(older::GOES_ON), "{log}");
        stopped.start().await
    });
}
