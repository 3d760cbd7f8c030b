//! What races are about: incidents, each with one consent and one authorisation, and who asks for them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat::client::OfficerChannel;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self, Receipt};

use super::Site;
use super::judge::{Acknowledged, Testimony};
use super::officers::{Holder, answered};
use crate::builders::{content, names};
use crate::harness::{PURPOSES, real_now, request_id, timestamp};
use crate::program::Program;

/// An incident that the ICO gets for the asking, while its consent and its authorisation stand.
pub(super) struct Case {
    pub(super) number: usize,
    pub(super) incident: String,
    pub(super) reference: String,
    pub(super) consent: String,
    pub(super) authorisation: String,
}

/// What takes a permission away.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Withdraw,
    Narrow,
    Revoke,
}

pub(super) const ENDINGS: [Ending; 3] = [Ending::Withdraw, Ending::Narrow, Ending::Revoke];

/// The clients, and all that they know together.
pub(super) struct Stage {
    pub(super) holders: Vec<Holder>,
    pub(super) requesters: Vec<ReleaseServiceClient<OfficerChannel>>,
    testimony: Mutex<Testimony>,
}

/// What an ask came to: its key, and whether content came with it.
pub(super) struct Asked {
    pub(super) request_id: String,
    pub(super) released: bool,
}

/// A change, put until it is answered; the answer is kept for the judge.
macro_rules! change {
    ($stage:expr, $client:expr, $rpc:ident, $request:expr) => {{
        let request = $request;
        let answer = answered(|| {
            let (mut client, request) = ($client.clone(), request.clone());
            async move { client.$rpc(request).await }
        });
        let answer = answer.await;
        $stage.acknowledge(&request.request_id, answer.receipt.clone().unwrap(), false);
        answer
    }};
}

/// The scope of the consents here.
fn scope(incident: &str, categories: &[&str]) -> v1::ConsentScope {
    v1::ConsentScope {
        recipient: "ico".into(),
        purposes: names(&["harm-reduction"]),
        categories: names(categories),
        incident_id: incident.into(),
        ..v1::ConsentScope::default()
    }
}

fn in_seconds(seconds: i64) -> prost_types::Timestamp {
    timestamp(real_now().plus_seconds(seconds))
}

fn evidence() -> v1::ConsentEvidence {
    v1::ConsentEvidence {
        signatory: "A. Director".into(),
        authority: "company secretary".into(),
        channel: "signed-letter".into(),
        digest: vec![7; 32],
        received_at: Some(in_seconds(-60)),
        oral: None,
        mandate_id: String::new(),
    }
}

const WHOLE: [&str; 2] = ["identity", "timeline"];

impl Stage {
    /// So many clients of holder and requester, spread over the replicas.
    pub(super) async fn new(site: &Site, replicas: &[Program], holders: usize, requesters: usize) -> Self {
        let at = |number: usize| &replicas[number % replicas.len()];
        let (request_id, receipt) = site.activate(at(0)).await;
        let stage = Self {
            holders: (0..holders).map(|number| site.holder(at(number))).collect(),
            requesters: (0..requesters).map(|number| site.requester(at(number))).collect(),
            testimony: Mutex::default(),
        };
        stage.acknowledge(&request_id, receipt, false);
        stage
    }

    pub(super) fn testimony(&self) -> MutexGuard<'_, Testimony> {
        self.testimony.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that the clients know, when they have done: for the judge.
    pub(super) fn heard(&self) -> Testimony {
        std::mem::take(&mut *self.testimony())
    }

    /// Notes an answer. A repeat must be told of the same entry.
    pub(super) fn acknowledge(&self, request_id: &str, receipt: Receipt, delivered: bool) {
        let Receipt { index, entry, openings, .. } = receipt;
        let mut testimony = self.testimony();
        let acknowledged = Acknowledged { index, entry, openings, delivered };
        if let Some(earlier) = testimony.acknowledged.get_mut(request_id) {
            assert_eq!((earlier.index, &earlier.entry), (index, &acknowledged.entry), "{request_id} has two entries");
            earlier.delivered |= delivered;
        } else {
            testimony.acknowledged.insert(request_id.to_owned(), acknowledged);
        }
    }

    /// Which holder's client acts on a case for the `turn`th time.
    fn holder(&self, case: usize, turn: usize) -> &Holder {
        &self.holders[(case + turn) % self.holders.len()]
    }

    /// An organisation, an incident, and the ICO's reference for it; nothing permits anything yet.
    pub(super) async fn open(&self, number: usize) -> Case {
        let holder = self.holder(number, 0);
        let organisation = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: "Example Water plc".into(),
            ..v1::RegisterOrganisationRequest::default()
        };
        let organisation = change!(self, holder.organisations, register_organisation, organisation).organisation_id;
        let incident = v1::RegisterIncidentRequest {
            request_id: request_id(),
            organisation_id: organisation.clone(),
            occurred_from: Some(in_seconds(-30 * 86_400)),
            occurred_until: Some(in_seconds(-29 * 86_400)),
            content: Some(content()),
            ..v1::RegisterIncidentRequest::default()
        };
        let incident = change!(self, holder.incidents, register_incident, incident).incident_id;
        let reference = v1::IssueReferenceRequest {
            request_id: request_id(),
            incident_id: incident.clone(),
            recipient: "ico".into(),
        };
        let reference = change!(self, holder.incidents, issue_reference, reference).reference;
        let consent = v1::RecordConsentRequest {
            request_id: request_id(),
            consent_id: String::new(),
            organisation_id: organisation,
            scope: Some(scope(&incident, &WHOLE)),
            evidence: Some(evidence()),
        };
        let consent = change!(self, holder.consents, record_consent, consent).consent_id;
        self.testimony().records.insert(consent.clone(), number);
        self.verify(holder, &consent, 1).await;
        let mut case = Case { number, incident, reference, consent, authorisation: String::new() };
        self.authorise(&mut case, 0).await;
        case
    }

    async fn verify(&self, holder: &Holder, consent: &str, version: i64) {
        let request = v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent.into(), version };
        change!(self, holder.verifier, verify_consent, request);
    }

    async fn authorise(&self, case: &mut Case, turn: usize) {
        let request = v1::GiveAuthorisationRequest {
            request_id: request_id(),
            incident_id: case.incident.clone(),
            revision: 1,
            recipient: "ico".into(),
            purposes: PURPOSES.map(String::from).to_vec(),
            categories: names(&WHOLE),
            ground: "isa-1994-s4-2-a".into(),
            ..v1::GiveAuthorisationRequest::default()
        };
        let holder = self.holder(case.number, turn);
        let given = change!(self, holder.authorisations, give_authorisation, request).authorisation_id;
        self.testimony().records.insert(given.clone(), case.number);
        case.authorisation = given;
    }

    /// Takes the permission to release the case's timeline away. When this returns, it is acknowledged.
    pub(super) async fn end(&self, case: &Case, ending: Ending, turn: usize) {
        let holder = self.holder(case.number, turn);
        let (request_id, consent_id) = (request_id(), case.consent.clone());
        match ending {
            Ending::Withdraw => {
                let request = v1::WithdrawConsentRequest { request_id, consent_id };
                change!(self, holder.consents, withdraw_consent, request);
            }
            Ending::Narrow => {
                let scope = Some(scope(&case.incident, &["identity"]));
                let request = v1::NarrowConsentRequest { request_id, consent_id, scope };
                change!(self, holder.consents, narrow_consent, request);
            }
            Ending::Revoke => {
                let authorisation_id = case.authorisation.clone();
                let request = v1::RevokeAuthorisationRequest { request_id, authorisation_id };
                change!(self, holder.authorisations, revoke_authorisation, request);
            }
        }
    }

    /// Permits again what was ended.
    pub(super) async fn restore(&self, case: &mut Case, ending: Ending, turn: usize) {
        if matches!(ending, Ending::Revoke) {
            return self.authorise(case, turn).await;
        }
        let holder = self.holder(case.number, turn);
        let request = v1::ReconfirmConsentRequest {
            request_id: request_id(),
            consent_id: case.consent.clone(),
            scope: Some(scope(&case.incident, &WHOLE)),
            evidence: Some(evidence()),
        };
        let version = change!(self, holder.consents, reconfirm_consent, request).version;
        self.verify(holder, &case.consent, version).await;
    }

    /// Asks for the timeline of a case.
    pub(super) async fn ask(&self, case: &Case, client: usize) -> Asked {
        let request_id = request_id();
        self.testimony().asks.insert(request_id.clone(), case.number);
        self.put(case, client, request_id).await
    }

    /// The ask for the timeline of a case.
    pub(super) fn request(case: &Case, request_id: &str) -> v1::RequestReleaseRequest {
        v1::RequestReleaseRequest {
            request_id: request_id.to_owned(),
            holder: "ncsc".into(),
            target: Some(Target::Reference(case.reference.clone())),
            purpose: "harm-reduction".into(),
            categories: names(&["timeline"]),
            ..v1::RequestReleaseRequest::default()
        }
    }

    /// Puts an ask, for the first time or again, until it is answered.
    pub(super) async fn put(&self, case: &Case, client: usize, request_id: String) -> Asked {
        let client = &self.requesters[client % self.requesters.len()];
        let request = Self::request(case, &request_id);
        let answer = answered(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.request_release(request).await }
        });
        let released = self.told(&request_id, answer.await);
        Asked { request_id, released }
    }

    /// Notes the answer to an ask. True if content came with it.
    pub(super) fn told(&self, request_id: &str, answer: v1::RequestReleaseResponse) -> bool {
        let released = match answer.outcome.unwrap() {
            Outcome::Released(released) => released.content_included,
            Outcome::Open(_) => false,
            other => panic!("{other:?}"),
        };
        self.acknowledge(request_id, answer.receipt.unwrap(), released);
        released
    }
}
