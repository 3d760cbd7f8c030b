//! Races with what ends in every case at once: the agreement, an agency's leave to call, an officer's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use concordat::client::OfficerChannel;
use concordat::proto::v1::admin_service_client::AdminServiceClient;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self, AskStatement, ListAgreementsRequest, Receipt, Slot};
use prost::Message;
use tokio::task::JoinSet;
use tonic::Code;

use super::judge::judge;
use super::officers::answered;
use super::stage::{Case, Stage};
use super::{PATIENCE, Site, runtime, times};
use crate::harness::request_id;
use crate::program::Program;

const REPLICAS: usize = 3;
const REQUESTERS: usize = 16;
const CASES: usize = 4;
/// How many asks an ending meets.
const ASKS: usize = 12;

/// What ends for everybody.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Agreement,
    Agency,
    Officer,
}

const ENDINGS: [Ending; 3] = [Ending::Agreement, Ending::Agency, Ending::Officer];

/// The operators of both agencies, each at a replica of its own.
struct Operators {
    agreements: AgreementServiceClient<OfficerChannel>,
    admin: AdminServiceClient<OfficerChannel>,
    /// The text in force.
    digest: Vec<u8>,
    /// The requesting officer, as the holder knows it.
    pseudonym: String,
}

/// A change, put until it is answered: its key and its receipt.
macro_rules! done {
    ($client:expr, $rpc:ident, $request:expr) => {{
        let request = $request;
        let answer = answered(|| {
            let (mut client, request) = ($client.clone(), request.clone());
            async move { client.$rpc(request).await }
        });
        (request.request_id.clone(), answer.await.receipt.unwrap())
    }};
}

impl Operators {
    async fn new(site: &Site, replicas: &[Program], pseudonym: String) -> Self {
        let operator = |replica: usize, agency| site.officer(replicas[replica].address, agency, "op", &["operator"]);
        let mut agreements = AgreementServiceClient::new(operator(1, "ico"));
        let listed = agreements.list_agreements(ListAgreementsRequest::default()).await.unwrap().into_inner();
        let agreement = listed.agreements.into_iter().find(|agreement| agreement.id == "ico-ncsc-2023").unwrap();
        Self { agreements, admin: AdminServiceClient::new(operator(2, "ncsc")), digest: agreement.digest, pseudonym }
    }

    async fn end(&self, ending: Ending) -> (String, Receipt) {
        let (request_id, agency) = (request_id(), "ico".to_owned());
        match ending {
            Ending::Agreement => {
                let request = v1::EndAgreementRequest { request_id, agreement_id: "ico-ncsc-2023".into() };
                done!(self.agreements, end_agreement, request)
            }
            Ending::Agency => {
                done!(self.admin, suspend_agency, v1::SuspendAgencyRequest { request_id, agency })
            }
            Ending::Officer => {
                let officer = self.pseudonym.clone();
                done!(self.admin, suspend_officer, v1::SuspendOfficerRequest { request_id, agency, officer })
            }
        }
    }

    async fn restore(&self, ending: Ending) -> (String, Receipt) {
        let (request_id, agency) = (request_id(), "ico".to_owned());
        match ending {
            Ending::Agreement => {
                let (agreement_id, digest) = ("ico-ncsc-2023".into(), self.digest.clone());
                let request = v1::ActivateAgreementRequest { request_id, agreement_id, digest };
                done!(self.agreements, activate_agreement, request)
            }
            Ending::Agency => {
                done!(self.admin, resume_agency, v1::ResumeAgencyRequest { request_id, agency })
            }
            Ending::Officer => {
                let officer = self.pseudonym.clone();
                done!(self.admin, resume_officer, v1::ResumeOfficerRequest { request_id, agency, officer })
            }
        }
    }
}

/// Puts an ask until it is answered or turned away. True if content came with the answer.
async fn put(stage: &Stage, case: &Case, client: usize, request_id: &str) -> bool {
    let mut client = stage.requesters[client % stage.requesters.len()].clone();
    let until = Instant::now() + PATIENCE;
    loop {
        match client.request_release(Stage::request(case, request_id)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let released = matches!(answer.outcome, Some(Outcome::Released(released)) if released.content_included);
                stage.acknowledge(request_id, answer.receipt.unwrap(), released);
                return released;
            }
            Err(status) if status.code() == Code::PermissionDenied => return false,
            Err(status) => {
                let passing = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::Unknown];
                assert!(passing.contains(&status.code()), "{status:?}");
                assert!(Instant::now() < until, "no answer: {status:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// An ask that was answered or turned away.
struct Asked {
    case: Arc<Case>,
    request_id: String,
    released: bool,
}

/// A new ask.
async fn ask(stage: Arc<Stage>, case: Arc<Case>, client: usize) -> Asked {
    let request_id = request_id();
    stage.testimony().asks.insert(request_id.clone(), case.number);
    let released = put(&stage, &case, client, &request_id).await;
    Asked { case, request_id, released }
}

/// One race. True if of its asks some were released and some were not.
async fn race(stage: &Arc<Stage>, cases: &[Arc<Case>], operators: &Arc<Operators>, round: usize) -> bool {
    let ending = ENDINGS[round % ENDINGS.len()];
    let mut asks = JoinSet::new();
    let ask_for = |number: usize| ask(Arc::clone(stage), Arc::clone(&cases[number % CASES]), round + number);
    // The ending starts before, between or after the asks.
    let [chance] = concordat::seal::random::<1>();
    let before = usize::from(chance) % (ASKS + 1);
    (0..before).for_each(|number| drop(asks.spawn(ask_for(number))));
    let end = {
        let operators = Arc::clone(operators);
        tokio::spawn(async move { operators.end(ending).await })
    };
    (before..ASKS).for_each(|number| drop(asks.spawn(ask_for(number))));

    let (key, receipt) = end.await.unwrap();
    stage.acknowledge(&key, receipt, false);
    let late = ask_for(ASKS).await;
    assert!(!late.released, "an ask begun after {ending:?} had ended was released: {}", late.request_id);
    let asked = asks.join_all().await;
    if let Some(released) = asked.iter().find(|asked| asked.released) {
        let again = put(stage, &released.case, round, &released.request_id).await;
        assert!(!again, "content was sent again after {ending:?} had ended: {}", released.request_id);
    }
    let (key, receipt) = operators.restore(ending).await;
    stage.acknowledge(&key, receipt, false);
    asked.iter().any(|asked| asked.released) && asked.iter().any(|asked| !asked.released)
}

#[test]
fn no_release_follows_the_end_of_its_agreement_or_a_suspension() {
    let Some(database) = crate::postgres::database() else { return };
    let wanted = times("CONCORDAT_RACES_FOR_ALL", 60, 1_000);
    runtime().block_on(async {
        let site = Site::on(&database).await;
        let replicas = site.start(REPLICAS);
        let stage = Arc::new(Stage::new(&site, &replicas, 1, REQUESTERS).await);
        let mut cases = Vec::new();
        for number in 0..CASES {
            cases.push(Arc::new(stage.open(number).await));
        }
        let first = ask(Arc::clone(&stage), Arc::clone(&cases[0]), 0).await;
        assert!(first.released, "nothing is released even while all stands");
        let act = stage.testimony().acknowledged[&first.request_id]
            .openings
            .iter()
            .find(|one| one.slot() == Slot::Act)
            .cloned();
        let pseudonym = AskStatement::decode(act.unwrap().payload.as_slice()).unwrap().officer_pseudonym;
        let operators = Arc::new(Operators::new(&site, &replicas, pseudonym).await);

        let mut close = 0;
        for round in 0..wanted {
            close += usize::from(race(&stage, &cases, &operators, round).await);
        }
        drop(replicas);
        let verdict = judge(&database, &stage.heard()).await;
        site.check_ledger().await;
        println!(
            "for all: {wanted} races, {close} of them close; {} asks, {} releases",
            verdict.asks, verdict.releases
        );
        assert_eq!(verdict.inversions, Vec::<String>::new());
        assert_eq!(verdict.endings, wanted);
        assert!(close > wanted / 20, "only {close} of {wanted} races were close: they show little");
    });
}
