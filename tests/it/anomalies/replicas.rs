//! Two nodes on one PostgreSQL, with a plain session between them that holds what a test wants held.
//!
//! SQLite has one node: a second one on the file is turned away, which `cli.rs` shows.

use std::future::Future;

use concordat::config::Config;
use concordat::proto::v1;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::server::Running;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;
use tonic::Code;

use super::{WITHIN, index};
use crate::builders::{Permitted, assert_error, assert_not_covered, assert_open_with, assert_released};
use crate::cli::execute;
use crate::harness::{World, on_postgres, request_id};

/// The statement by which a writer takes the ledger's head.
const HEAD: &str = "SELECT size, at, frontier, secrets, signers,%FOR UPDATE";
/// A writer's first entry: by then everything was read and decided.
const ENTRY: &str = "INSERT INTO entry (%";
/// The last facts that are read.
const AUTHORISATIONS: &str = "SELECT a.id, a.holder, a.incident_id, a.recipient%JOIN authorisation%";

/// Sees the nodes' sessions from outside.
struct Watch(PgConnection);

impl Watch {
    /// Waits until a session of a node's waits for a lock in this statement, and gives its process.
    async fn waiting(&mut self, statement: &str, other_than: i32) -> i32 {
        let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> $2
                     AND application_name = 'concordat' AND wait_event_type = 'Lock' AND query LIKE $1";
        let wait = async {
            loop {
                let found = sqlx::query_scalar(query).bind(statement).bind(other_than);
                if let Some(pid) = found.fetch_optional(&mut self.0).await.unwrap() {
                    return pid;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(WITHIN, wait).await.unwrap_or_else(|_| panic!("nobody waits in {statement}"))
    }
}

impl World {
    async fn plain(&self) -> PgConnection {
        PgConnection::connect(&self.config.database_url()).await.unwrap()
    }

    /// Withdraws a consent at a replica.
    fn withdrawing_at(&self, replica: &Running, permitted: &Permitted) -> impl Future<Output = u64> + Send + use<> {
        let recorder = self.officer_at(replica.address, "ncsc", "rec", &["recorder"]);
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: permitted.consent.clone() };
        async move {
            let mut consents = ConsentServiceClient::new(recorder);
            consents.withdraw_consent(request).await.unwrap().into_inner().receipt.unwrap().index
        }
    }
}

on_postgres! {
    async fn anomaly_a2_what_was_decided_before_a_pause_is_decided_again_after_it(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let other = world.replica().await;
        let (mut holding, mut watch) = (world.plain().await, Watch(world.plain().await));
        holding.execute("BEGIN; LOCK TABLE entry IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
        let ask = world.ask(held);
        let asking = tokio::spawn(world.asking_for(held, ask.clone()));
        // It has decided to release, and stands before its entry.
        let paused = watch.waiting(ENTRY, 0).await;
        let withdrawing = tokio::spawn(world.withdrawing_at(&other, &permitted));
        watch.waiting(HEAD, 0).await;
        assert!(!withdrawing.is_finished(), "acknowledged while a release that rests on it can still be committed");
        // What the server does to a session that has stood still in a transaction for too long.
        sqlx::query("SELECT pg_terminate_backend($1)").bind(paused).execute(&mut watch.0).await.unwrap();
        watch.waiting(ENTRY, paused).await;
        holding.execute("COMMIT").await.unwrap();
        let withdrawn = withdrawing.await.unwrap();
        let asked = asking.await.unwrap();
        let asked = world.known(held, ask, asked).await;
        assert!(withdrawn < index(&asked));
        assert_open_with("what was about to be released when it was paused", asked.outcome.as_ref().unwrap());
        other.stop().await;
    }

    async fn anomaly_a3_nothing_that_a_replica_remembers_outlives_its_end(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let other = world.replica().await;
        let mut releases =
            ReleaseServiceClient::new(world.officer_at(other.address, "ico", "req", &["requester"]));
        let mut ask = async |ask| releases.request_release(ask).await;
        // It has answered by now, so whatever it would keep it has kept.
        let earlier = world.ask(held);
        let first = ask(earlier.clone()).await.unwrap().into_inner();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);

        let suspended = world.suspend_agency("ncsc", "ico").await.unwrap();
        assert_error(ask(world.ask(held)).await, Code::PermissionDenied, "SUSPENDED");
        assert_error(ask(earlier.clone()).await, Code::PermissionDenied, "SUSPENDED");
        world.resume_agency("ncsc", "ico").await.unwrap();
        world.suspend_officer("ncsc", "ncsc", "led").await.unwrap();
        let mut ledger = LedgerServiceClient::new(world.officer_at(other.address, "ncsc", "led", &["auditor"]));
        let read = ledger.get_checkpoint(v1::GetCheckpointRequest {}).await;
        assert_error(read, Code::PermissionDenied, "SUSPENDED");

        let withdrawn = world.withdraw_consent(held, &permitted.consent).await.unwrap();
        let asked = ask(world.ask(held)).await.unwrap().into_inner();
        assert_open_with("a consent withdrawn at another replica", asked.outcome.as_ref().unwrap());
        assert!(index(&first) < suspended && suspended < withdrawn && withdrawn < index(&asked));

        let another = world.permitted("ncsc").await;
        assert_released(ask(world.ask(&another.held)).await.unwrap().into_inner().outcome.as_ref().unwrap(), &[
            "identity", "timeline",
        ]);
        let ended = world.end_agreement("ico-ncsc-2023").await.unwrap();
        let asked = ask(world.ask(&another.held)).await.unwrap().into_inner();
        assert_not_covered(asked.outcome.as_ref().unwrap(), "NO_AGREEMENT");
        assert!(ended < index(&asked));
        let mut agreements =
            AgreementServiceClient::new(world.officer_at(other.address, "ico", "op", &["operator"]));
        let listed = agreements.list_agreements(v1::ListAgreementsRequest::default()).await.unwrap().into_inner();
        let state = listed.agreements.into_iter().find(|one| one.id == "ico-ncsc-2023").unwrap().state;
        assert_eq!(state, "ended");
        other.stop().await;
    }

    /// What is lost when a server is promoted that had not received everything, the node cannot see: the head that it
    /// then finds is one that was signed. That needs a mark outside the database, which there is not yet; until then
    /// docs/operations.md says what to compare. What is the node's own part is that its commits wait for the disk, and
    /// for the standbys that the server is told to wait for, whatever the database's own setting is.
    async fn anomaly_a5_each_commit_waits_until_it_is_kept_whatever_the_database_says(world: World) {
        let url = world.config.database_url();
        let mut plain = world.plain().await;
        let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut plain).await.unwrap();
        let off = format!("ALTER DATABASE {name} SET synchronous_commit = off");
        execute(&url, &[
            &off,
            "CREATE TABLE seen (setting TEXT)",
            "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NEW; END $$",
            "CREATE TRIGGER look BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION look()",
        ], &[]).await;
        world = world.restart().await;
        world.register_organisation("ncsc", vec![]).await;
        let mut plain = world.plain().await;
        let of_others: String =
            sqlx::query_scalar("SELECT current_setting('synchronous_commit')").fetch_one(&mut plain).await.unwrap();
        assert_eq!(of_others, "off", "another session of the same database");
        let seen: Vec<String> = sqlx::query_scalar("SELECT setting FROM seen").fetch_all(&mut plain).await.unwrap();
        assert_eq!(seen, ["on"]);
        execute(&url, &["DROP TRIGGER look ON entry", "DROP TABLE seen"], &[]).await;
    }

    /// A plan that reads a whole table is right for a small one, and PostgreSQL keeps it when the table has grown. Where it
    /// has no other, it is not to take the trouble of compiling it.
    async fn a_node_keeps_no_plan_that_reads_whole_tables_and_compiles_none(world: World) {
        let url = world.config.database_url();
        execute(&url, &[
            "CREATE TABLE seen (setting TEXT)",
            "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN
                 INSERT INTO seen SELECT current_setting('enable_seqscan');
                 INSERT INTO seen SELECT current_setting('jit');
                 RETURN NEW;
             END $$",
            "CREATE TRIGGER look BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION look()",
        ], &[]).await;
        world.register_organisation("ncsc", vec![]).await;
        let mut plain = world.plain().await;
        let seen: Vec<String> = sqlx::query_scalar("SELECT setting FROM seen").fetch_all(&mut plain).await.unwrap();
        assert_eq!(seen, ["off", "off"]);
        execute(&url, &["DROP TRIGGER look ON entry", "DROP TABLE seen"], &[]).await;
    }

    async fn anomaly_a19_clause_consent_and_authorisation_are_read_from_one_state(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let other = world.replica().await;
        let (mut holding, mut watch) = (world.plain().await, Watch(world.plain().await));
        // Agreements and consents have been read by then, authorisations have not.
        holding.execute("BEGIN; LOCK TABLE authorisation IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let ask = world.ask(held);
        let asking = tokio::spawn(world.asking_for(held, ask.clone()));
        watch.waiting(AUTHORISATIONS, 0).await;
        let withdrawing = tokio::spawn(world.withdrawing_at(&other, &permitted));
        watch.waiting(HEAD, 0).await;
        assert!(!withdrawing.is_finished(), "what was read of a decision changed before the rest was read");
        holding.execute("COMMIT").await.unwrap();
        let withdrawn = withdrawing.await.unwrap();
        let asked = asking.await.unwrap();
        let asked = world.known(held, ask, asked).await;
        assert_released(asked.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        assert!(index(&asked) < withdrawn, "the release is the older one");
        assert_open_with("whoever asks now", &world.outcome(held).await);
        other.stop().await;
    }
}

#[test]
fn anomaly_a4_a_node_has_one_database_and_no_standby_to_read_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    for key in ["standby", "replica", "read_database"] {
        std::fs::write(&file, format!("[node]\n{key} = \"postgres://elsewhere/node\"\n")).unwrap();
        let said = Config::load(&file).unwrap_err().to_string();
        assert!(said.contains(&format!("there is no key `{key}`")), "{said}");
    }
}

#[tokio::test]
async fn anomaly_a4_a_node_does_not_serve_from_a_standby() {
    use concordat::store::{Error, Options, Store};
    let Some(standby) = crate::postgres::standby() else { return };
    let url = standby.maintenance_database();
    let mut plain = PgConnection::connect(&url).await.unwrap();
    let follows: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut plain).await.unwrap();
    assert!(follows, "it is a standby");
    let refused = Store::open(&Options::serve(&url)).await;
    assert!(matches!(refused, Err(Error::Standby)), "{:?}", refused.err());
    // A tool that only looks may.
    Store::open(&Options::inspect(&url)).await.unwrap().close().await;
}
