//! The moment of the COMMIT: its answer is lost, it is lost itself, or its replica is stopped before it.
//!
//! One replica reaches the database through a proxy, the other directly. Whatever happens, a call has one entry or
//! none, an answer says what the entry says, and content is delivered only while what it rests on stands.

use std::process::Command;

use concordat::proto::v1::RequestReleaseResponse;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{WithdrawConsentRequest, WithdrawConsentResponse};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::judge::{Verdict, judge};
use super::proxy::{Proxy, Rule};
use super::stage::{Case, Ending, Stage};
use super::{PATIENCE, Site, runtime};
use crate::harness::request_id;
use crate::outages::until_ready;
use crate::program::Program;

/// Which replica, as the stage counts its clients.
const DIRECT: usize = 0;
const PROXIED: usize = 1;

struct Scene {
    site: Site,
    proxy: Proxy,
    replicas: Vec<Program>,
    stage: Stage,
    /// A release that is permitted.
    case: Case,
}

impl Scene {
    /// None where PostgreSQL cannot be had.
    async fn new() -> Option<Self> {
        let site = Site::on(&crate::postgres::database()?).await;
        let proxy = Proxy::before(&site.database).await;
        let config = site.configure(&proxy.database, "node-proxied.toml");
        let mut replicas = site.start(1);
        // The proxy lives in this runtime.
        replicas.push(tokio::task::spawn_blocking(move || Program::start(&config)).await.unwrap());
        let stage = Stage::new(&site, &replicas, 2, 2).await;
        let case = stage.open(0).await;
        Some(Self { site, proxy, replicas, stage, case })
    }

    /// Asks once, at the replica behind the proxy.
    async fn ask(&self, request_id: &str) -> Result<RequestReleaseResponse, Status> {
        self.stage.testimony().asks.insert(request_id.to_owned(), self.case.number);
        let mut client = self.stage.requesters[PROXIED].clone();
        Ok(client.request_release(Stage::request(&self.case, request_id)).await?.into_inner())
    }

    /// Withdraws once, at the replica behind the proxy.
    async fn withdraw(&self, request_id: &str) -> Result<WithdrawConsentResponse, Status> {
        let officer = self.site.officer(self.replicas[PROXIED].address, "ncsc", "rec", &["recorder"]);
        let request =
            WithdrawConsentRequest { request_id: request_id.to_owned(), consent_id: self.case.consent.clone() };
        Ok(ConsentServiceClient::new(officer).withdraw_consent(request).await?.into_inner())
    }

    /// The entries that a call has.
    async fn entries(&self, request_id: &str) -> Vec<i64> {
        let mut connection = PgConnection::connect(&self.site.database).await.unwrap();
        let query = sqlx::query_scalar("SELECT idx FROM call WHERE key LIKE '% ' || $1").bind(request_id.to_owned());
        query.fetch_all(&mut connection).await.unwrap()
    }

    async fn finish(self) -> Verdict {
        drop(self.replicas);
        let verdict = judge(&self.site.database, &self.stage.heard()).await;
        self.site.check_ledger().await;
        assert_eq!(verdict.inversions, Vec::<String>::new());
        verdict
    }
}

/// Content came with the answer, or the answer is of a release whose content is not sent.
#[track_caller]
fn delivered(answer: &RequestReleaseResponse) -> bool {
    let Some(Outcome::Released(released)) = &answer.outcome else { panic!("not released: {:?}", answer.outcome) };
    released.content_included
}

#[track_caller]
fn assert_unavailable<T>(answer: Result<T, Status>) {
    let Err(status) = answer else { panic!("success was claimed") };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

#[test]
fn a_release_whose_commit_was_not_answered_is_found_and_delivered_once() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next(Rule::LoseAnswer);
        let answer = scene.ask(&key).await.unwrap();
        scene.proxy.applied(1).await;

        assert!(delivered(&answer));
        let index = i64::try_from(answer.receipt.as_ref().unwrap().index).unwrap();
        assert_eq!(scene.entries(&key).await, [index], "one entry, and the receipt is of that one");
        scene.stage.told(&key, answer);
        assert_eq!(scene.finish().await.releases, 1);
    });
}

/// The entry is there, nobody was told, and then the organisation withdraws: the repeat gets the entry, not the content.
#[test]
fn a_release_that_nobody_was_told_of_is_not_delivered_after_a_withdrawal() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next_and_last(Rule::LoseAnswer);
        assert_unavailable(scene.ask(&key).await);
        scene.proxy.applied(1).await;
        let entries = scene.entries(&key).await;
        assert_eq!(entries.len(), 1, "it was committed");

        scene.stage.end(&scene.case, Ending::Withdraw, DIRECT).await;
        scene.proxy.open();
        let again = scene.stage.put(&scene.case, PROXIED, key.clone()).await;

        assert!(!again.released, "content was delivered after the withdrawal");
        assert_eq!(scene.entries(&key).await, entries, "asking again added an entry");
        assert_eq!(scene.finish().await.releases, 1);
    });
}

#[test]
fn a_withdrawal_whose_commit_was_not_answered_is_acknowledged_with_its_one_entry() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next(Rule::LoseAnswer);
        let withdrawn = scene.withdraw(&key).await.unwrap().receipt.unwrap();
        scene.proxy.applied(1).await;

        assert_eq!(scene.entries(&key).await, [i64::try_from(withdrawn.index).unwrap()]);
        scene.stage.acknowledge(&key, withdrawn, false);
        assert!(!scene.stage.ask(&scene.case, DIRECT).await.released);
        assert_eq!(scene.finish().await.endings, 1);
    });
}

/// Where it is not known whether a withdrawal was committed, it is never said that it was.
#[test]
fn a_withdrawal_that_was_not_committed_is_not_acknowledged() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next_and_last(Rule::LoseCommit);
        assert_unavailable(scene.withdraw(&key).await);
        scene.proxy.applied(1).await;
        assert_eq!(scene.entries(&key).await.len(), 0, "nothing of it was done");
        assert!(scene.stage.ask(&scene.case, DIRECT).await.released, "it still stands");

        scene.proxy.open();
        let withdrawn = scene.withdraw(&key).await;
        // The connections that were cut with it may fail one call more.
        let withdrawn = match withdrawn {
            Ok(withdrawn) => withdrawn,
            Err(_) => scene.withdraw(&key).await.unwrap(),
        };
        scene.stage.acknowledge(&key, withdrawn.receipt.unwrap(), false);
        assert_eq!(scene.entries(&key).await.len(), 1);
        assert!(!scene.stage.ask(&scene.case, DIRECT).await.released);
        assert_eq!(scene.finish().await.endings, 1);
    });
}

#[test]
fn a_release_that_was_not_committed_is_done_again_once() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next(Rule::LoseCommit);
        let answer = scene.ask(&key).await.unwrap();
        scene.proxy.applied(1).await;

        assert!(delivered(&answer));
        assert_eq!(scene.entries(&key).await.len(), 1);
        scene.stage.told(&key, answer);
        assert_eq!(scene.finish().await.releases, 1);
    });
}

/// The network swallows everything: no answer and no end. The replica gives the connection up and makes another.
#[test]
fn a_replica_whose_database_falls_silent_serves_again() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        scene.proxy.next(Rule::Silence);
        let asked = scene.stage.ask(&scene.case, PROXIED).await;
        scene.proxy.applied(1).await;

        assert!(asked.released);
        assert_eq!(scene.entries(&asked.request_id).await.len(), 1);
        assert_eq!(scene.finish().await.releases, 1);
    });
}

/// Nobody calls, and what is swallowed is the try of a commit: the replica says that it is not ready, or calls would be sent
/// to it for as long as the kernel waits for the connection's end.
#[test]
fn a_replica_whose_database_falls_silent_while_nobody_calls_is_not_ready() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let officer = || scene.site.officer(scene.replicas[PROXIED].address, "ico", "aud", &["auditor"]);
        until_ready(officer(), true).await;
        scene.proxy.next_and_last(Rule::Silence);
        scene.proxy.applied(1).await;
        until_ready(officer(), false).await;

        scene.proxy.open();
        until_ready(officer(), true).await;
        assert!(scene.stage.ask(&scene.case, PROXIED).await.released);
        assert_eq!(scene.finish().await.releases, 1);
    });
}

/// The replica has decided a release, holds the lock, and stands still before its COMMIT. PostgreSQL ends its session;
/// the withdrawal that the other replica was asked for goes through; and what was decided is never released.
#[test]
fn a_stopped_replica_holds_the_lock_for_a_while_and_then_releases_nothing() {
    runtime().block_on(async {
        let Some(scene) = Scene::new().await else { return };
        let key = request_id();
        scene.proxy.next(Rule::Hold);
        let ended = async {
            scene.proxy.applied(1).await;
            signal("STOP", &scene.replicas[PROXIED]);
            scene.stage.end(&scene.case, Ending::Withdraw, DIRECT).await;
            scene.proxy.next(Rule::Pass);
            signal("CONT", &scene.replicas[PROXIED]);
        };
        let both = async { tokio::join!(scene.ask(&key), ended) };
        let (answer, ()) = timeout(PATIENCE, both).await.expect("the lock was held for ever");

        if let Ok(answer) = answer {
            assert!(!scene.stage.told(&key, answer), "what was decided before the withdrawal was released after it");
        }
        assert!(!scene.stage.put(&scene.case, PROXIED, key.clone()).await.released);
        assert_eq!(scene.entries(&key).await.len(), 1);
        let verdict = scene.finish().await;
        assert_eq!((verdict.endings, verdict.releases), (1, 0));
    });
}

fn signal(name: &str, replica: &Program) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", replica.pid())]).status().unwrap();
    assert!(sent.success());
}
