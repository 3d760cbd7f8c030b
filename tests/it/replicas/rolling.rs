//! Replicas are replaced one after another under load, as by a rolling update: whoever repeats a call once, at the other
//! replica and with the same `request_id`, is answered. So with restarts, with an upgrade, and on the way back from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concordat::config::Config;
use concordat::store::{Options, Schema, Store};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::timeout;

use super::crash::Scene;
use super::judge::judge;
use super::{PATIENCE, Site, runtime, times};
use crate::cli::{concordat, execute, exit, text};
use crate::migrations::older;
use crate::program::Program;

const CLIENTS: usize = 6;

/// Clients who repeat a call once, and how often they did.
struct Load {
    scene: Scene,
    repeats: AtomicUsize,
}

impl Load {
    async fn begin(site: Site, replicas: &[Program]) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        Self::of(Scene::new(site, replicas).await)
    }

    fn of(scene: Scene) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let load = Arc::new(Self { scene, repeats: AtomicUsize::new(0) });
        let client = |number| {
            let load = Arc::clone(&load);
            tokio::spawn(async move { load.client(number).await })
        };
        let clients = (0..CLIENTS).map(client).collect();
        (load, clients)
    }

    /// Puts calls, one after another, until the test is over.
    async fn client(&self, number: usize) {
        let mut replica = number;
        let mut officers = self.scene.connect(replica);
        for turn in number.. {
            if self.scene.over.load(Ordering::Relaxed) {
                return;
            }
            let call = self.scene.call(turn);
            if let Err(first) = self.scene.put(&call, &mut officers).await {
                self.repeats.fetch_add(1, Ordering::Relaxed);
                replica += 1;
                officers = self.scene.connect(replica);
                let repeated = self.scene.put(&call, &mut officers).await;
                repeated.unwrap_or_else(|second| panic!("{call:?} failed: {first}; and repeated: {second}"));
            }
            self.scene.answers.send_modify(|answers| *answers += 1);
        }
    }

    /// Waits until so many more calls are answered.
    async fn more(&self, answers: usize) {
        let mut seen = self.scene.answers.subscribe();
        let enough = *seen.borrow() + answers;
        timeout(PATIENCE, seen.wait_for(|answers| *answers >= enough)).await.expect("the clients stand").unwrap();
    }

    /// Stops a replica and starts another in its place; gives what the stopped one logged.
    fn replace(&self, replicas: &mut Vec<Program>, which: usize) -> String {
        block_in_place(|| {
            let log = replicas.remove(which).terminate();
            let replica = self.scene.site.start(1).remove(0);
            self.scene.addresses.lock().unwrap()[which] = replica.address;
            replicas.insert(which, replica);
            log
        })
    }

    /// Ends the calls; the ledger has exactly the entries that were acknowledged. Gives what the replicas logged.
    async fn end(&self, what: &str, clients: Vec<JoinHandle<()>>, replicas: Vec<Program>) -> Vec<String> {
        self.scene.over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        let logs = block_in_place(|| replicas.into_iter().map(Program::terminate).collect());
        let testimony = self.scene.stage.heard();
        let verdict = judge(&self.scene.site.database, &testimony).await;
        let (answers, repeats) = (*self.scene.answers.borrow(), self.repeats.load(Ordering::Relaxed));
        println!("{what}: {answers} calls answered, {repeats} of them repeated, {} entries", verdict.entries);
        assert_eq!(verdict.entries, testimony.acknowledged.len(), "an entry is of no call that was answered");
        assert_eq!((verdict.asks, verdict.releases), (testimony.asks.len(), testimony.asks.len()));
        self.scene.site.check_ledger().await;
        logs
    }
}

#[test]
fn restarts_of_replicas_fail_no_call_that_is_repeated_once() {
    let Some(database) = crate::postgres::database() else { return };
    runtime().block_on(async {
        let site = Site::on(&database).await;
        let mut replicas = site.start(2);
        let (load, clients) = Load::begin(site, &replicas).await;
        let restarts = times("CONCORDAT_RESTARTS", 6, 200);
        for restart in 0..restarts {
            // At any point of a batch: the moment has to be a random one.
            let [number, delay] = concordat::seal::random::<2>();
            load.more(usize::from(number % 24) + 1).await;
            tokio::time::sleep(Duration::from_micros(u64::from(delay) * 40)).await;
            load.replace(&mut replicas, restart % 2);
        }
        load.end(&format!("{restarts} restarts"), clients, replicas).await;
    });
}

#[test]
fn an_upgrade_and_going_back_fail_no_call_that_is_repeated_once() {
    let Some(database) = crate::postgres::database() else { return };
    runtime().block_on(async {
        let site = Site::on(&database).await;
        let first = site.start(1);
        let scene = Scene::new(site, &first).await;
        block_in_place(|| first.into_iter().for_each(|replica| drop(replica.terminate())));
        // What the version before left: nobody's node starts on it before its owner has migrated.
        older::put_back(&database).await;
        let owner = scene.site.configure(&database, "owner.toml");
        let mut config = Config::load(&scene.site.config).unwrap();
        config.node.migrate = false;
        config.write(&scene.site.config).unwrap();
        let store = Store::open(&Options::inspect(&database)).await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Earlier);
        let mut replicas = block_in_place(|| {
            std::thread::scope(|scope| {
                let starting = scope.spawn(|| scene.site.start(2));
                let migrated = concordat(&["migrate", "--config", text(&owner)]);
                assert_eq!(exit(&migrated), 0, "{migrated:?}");
                starting.join().unwrap()
            })
        });
        assert_eq!(store.schema().await.unwrap(), Schema::Current);
        *scene.addresses.lock().unwrap() = replicas.iter().map(|replica| replica.address).collect();
        let (load, clients) = Load::of(scene);
        load.more(50).await;

        // The next version's owner migrates while this one serves; and then this one is started again on its tables.
        execute(&database, &older::LATER, &[]).await;
        assert_eq!(store.schema().await.unwrap(), Schema::Later(999_999));
        store.close().await;
        load.more(50).await;
        for which in [0, 1] {
            let log = load.replace(&mut replicas, which);
            assert!(!log.contains(older::GOES_ON), "{log}");
            load.more(50).await;
        }
        for log in load.end("an upgrade, and back", clients, replicas).await {
            assert!(log.contains(older::GOES_ON), "{log}");
        }
    });
}
