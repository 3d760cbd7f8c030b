//! Withdrawal against release: 16 clients at three replicas, and a judge who reads the ledger afterwards.
//!
//! In each race several clients ask for the same content while another takes away what its release relies on: the
//! consent is withdrawn or narrowed, or the authorisation revoked. CONTRIBUTING.md says how to run many, and how the
//! same races are run against a program with the mistake that the gate exists to avoid.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::judge::{Verdict, judge};
use super::stage::{Case, ENDINGS, Stage};
use super::{Site, runtime, times};
use crate::program::BUILT;

const REPLICAS: usize = 3;
const REQUESTERS: usize = 12;
const HOLDERS: usize = 4;
/// How many asks an ending meets.
const ASKS: usize = 4;
/// How many races there are about one case, one after another.
const ROUNDS: usize = 6;
/// How many cases are raced about at the same time: enough that every batch has several calls.
const AT_ONCE: usize = 24;

/// One race. True if it was a close one: of the asks some were released and some were not.
async fn race(stage: &Arc<Stage>, case: &Arc<Case>, round: usize) -> bool {
    let ending = ENDINGS[round % ENDINGS.len()];
    let first = case.number * ASKS + round;
    let mut asks = JoinSet::new();
    let ask = |number: usize| {
        let (stage, case) = (Arc::clone(stage), Arc::clone(case));
        async move { stage.ask(&case, first + number).await }
    };
    // The ending starts before, between or after the asks.
    let [chance] = concordat::seal::random::<1>();
    let before = usize::from(chance) % (ASKS + 1);
    (0..before).for_each(|number| drop(asks.spawn(ask(number))));
    let end = {
        let (stage, case) = (Arc::clone(stage), Arc::clone(case));
        tokio::spawn(async move { stage.end(&case, ending, round + 1).await })
    };
    (before..ASKS).for_each(|number| drop(asks.spawn(ask(number))));

    end.await.unwrap();
    let late = stage.ask(case, first + ASKS).await;
    assert!(!late.released, "an ask begun after {ending:?} was acknowledged was released: {}", late.request_id);
    let asked = asks.join_all().await;
    if let Some(released) = asked.iter().find(|asked| asked.released) {
        let again = stage.put(case, first + ASKS + 1, released.request_id.clone()).await;
        assert!(!again.released, "content was sent again after {ending:?}: {}", again.request_id);
    }
    asked.iter().any(|asked| asked.released) && asked.iter().any(|asked| !asked.released)
}

/// So many races against this program. Gives what the judge found, and how many of the races were close.
fn races(program: &Path, database: &str, races: usize) -> (Verdict, usize) {
    runtime().block_on(async {
        let site = Site::on(database).await;
        let replicas = site.start_build(program, REPLICAS);
        let stage = Arc::new(Stage::new(&site, &replicas, HOLDERS, REQUESTERS).await);
        let (next, close) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (stage, next, close) = (Arc::clone(&stage), Arc::clone(&next), Arc::clone(&close));
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number * ROUNDS >= races {
                        return;
                    }
                    let mut case = Arc::new(stage.open(number).await);
                    for round in 0..ROUNDS.min(races - number * ROUNDS) {
                        if round > 0 {
                            let case = Arc::get_mut(&mut case).expect("the last race is over");
                            stage.restore(case, ENDINGS[(round - 1) % ENDINGS.len()], round).await;
                        }
                        close.fetch_add(usize::from(race(&stage, &case, round).await), Ordering::Relaxed);
                    }
                }
            });
        }
        workers.join_all().await;
        drop(replicas);
        let verdict = judge(database, &stage.heard()).await;
        site.check_ledger().await;
        (verdict, close.load(Ordering::Relaxed))
    })
}

fn print(name: &str, races: usize, verdict: &Verdict, close: usize) {
    let Verdict { entries, asks, releases, endings, inversions } = verdict;
    let inverted = inversions.len();
    println!("{name}: {races} races, {close} of them close; {endings} endings, {asks} asks, {releases} releases");
    println!("{name}: {entries} entries judged, {inverted} inversions");
}

#[test]
fn no_release_follows_the_end_of_what_it_relied_on() {
    let Some(database) = crate::postgres::database() else { return };
    let wanted = times("CONCORDAT_RACES", 600, 20_000);
    let (verdict, close) = races(Path::new(BUILT), &database, wanted);
    print("races", wanted, &verdict, close);
    assert_eq!(verdict.inversions, Vec::<String>::new());
    assert_eq!(verdict.endings, wanted);
    assert!(close > wanted / 20, "only {close} of {wanted} races were close: they show little");
}

/// The same clients and the same judge, and a program that reads facts before it takes the lock: `tests/control`.
#[test]
fn a_control_that_reads_before_the_lock_is_caught() {
    let Some(control) = std::env::var_os("CONCORDAT_CONTROL") else { return };
    let Some(database) = crate::postgres::database() else { return };
    let wanted = times("CONCORDAT_RACES", 120, 600);
    let (verdict, close) = races(Path::new(&control), &database, wanted);
    print("control", wanted, &verdict, close);
    assert!(!verdict.inversions.is_empty(), "the races do not find what they are for");
}
