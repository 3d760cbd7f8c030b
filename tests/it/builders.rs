//! What a test needs before it says what it is about: every default is valid, so a test states the difference.

use concordat::client::OfficerChannel;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self};
use tonic::Status;

use crate::harness::{World, request_id};

/// A registered incident with a reference for one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) holder: String,
    pub(crate) recipient: String,
    pub(crate) organisation: String,
    pub(crate) incident: String,
    pub(crate) reference: String,
}

/// What tests put into an incident: two categories that a release can be seen to tell apart.
pub(crate) fn content() -> v1::IncidentContent {
    v1::IncidentContent {
        identity: Some(v1::Identity { name: "Example Water plc".into(), ..v1::Identity::default() }),
        timeline: Some(v1::Timeline { discovery: "an operator noticed".into(), ..v1::Timeline::default() }),
        narrative: Some(v1::Narrative { text: "nothing that must leave unasked".into() }),
        ..v1::IncidentContent::default()
    }
}

/// An identifier that no other organisation in the test has.
pub(crate) fn identifier(number: u32) -> v1::Identifier {
    v1::Identifier { scheme: "gb-coh".into(), value: format!("{number:08}") }
}

impl World {
    pub(crate) fn organisations(&self, agency: &str) -> OrganisationServiceClient<OfficerChannel> {
        OrganisationServiceClient::new(self.officer(agency, "rec", &["recorder", "auditor"]))
    }

    pub(crate) fn incidents(&self, agency: &str) -> IncidentServiceClient<OfficerChannel> {
        IncidentServiceClient::new(self.officer(agency, "rec", &["recorder", "auditor"]))
    }

    /// Consents as the officer who records them.
    pub(crate) fn consents(&self, agency: &str) -> ConsentServiceClient<OfficerChannel> {
        ConsentServiceClient::new(self.officer(agency, "rec", &["recorder"]))
    }

    /// Consents as the officer who verifies them.
    pub(crate) fn verifier(&self, agency: &str) -> ConsentServiceClient<OfficerChannel> {
        ConsentServiceClient::new(self.officer(agency, "ver", &["verifier"]))
    }

    pub(crate) fn authorisations(&self, agency: &str) -> AuthorisationServiceClient<OfficerChannel> {
        AuthorisationServiceClient::new(self.officer(agency, "aut", &["authoriser"]))
    }

    pub(crate) fn requester(&self, agency: &str) -> ReleaseServiceClient<OfficerChannel> {
        ReleaseServiceClient::new(self.officer(agency, "req", &["requester"]))
    }

    pub(crate) async fn register_organisation(&self, agency: &str, identifiers: Vec<v1::Identifier>) -> String {
        let request =
            v1::RegisterOrganisationRequest { request_id: request_id(), name: "Example Water plc".into(), identifiers };
        self.organisations(agency).register_organisation(request).await.unwrap().into_inner().organisation_id
    }

    /// A registration that would be accepted.
    pub(crate) fn incident_at(&self, organisation: &str) -> v1::RegisterIncidentRequest {
        v1::RegisterIncidentRequest {
            request_id: request_id(),
            organisation_id: organisation.into(),
            occurred_from: self.in_seconds(-30 * 86_400),
            occurred_until: self.in_seconds(-29 * 86_400),
            content: Some(content()),
            ..v1::RegisterIncidentRequest::default()
        }
    }

    /// An incident at a new organisation, and a reference for the recipient.
    pub(crate) async fn hold(&self, holder: &str, recipient: &str) -> Held {
        let organisation = self.register_organisation(holder, vec![]).await;
        let request = self.incident_at(&organisation);
        let mut incidents = self.incidents(holder);
        let incident = incidents.register_incident(request).await.unwrap().into_inner().incident_id;
        self.hold_incident(holder, recipient, organisation, incident).await
    }

    /// A reference for the recipient to an incident that is registered already.
    pub(crate) async fn hold_incident(
        &self,
        holder: &str,
        recipient: &str,
        organisation: String,
        incident: String,
    ) -> Held {
        let request = v1::IssueReferenceRequest {
            request_id: request_id(),
            incident_id: incident.clone(),
            recipient: recipient.into(),
        };
        let reference = self.incidents(holder).issue_reference(request).await.unwrap().into_inner().reference;
        Held { holder: holder.into(), recipient: recipient.into(), organisation, incident, reference }
    }

    /// A scope that covers what [`World::ask`] asks for.
    pub(crate) fn scope(&self, held: &Held) -> v1::ConsentScope {
        v1::ConsentScope {
            recipient: held.recipient.clone(),
            purposes: vec!["harm-reduction".into(), "regulatory-assessment".into()],
            categories: vec!["identity".into(), "timeline".into()],
            incident_id: held.incident.clone(),
            ..v1::ConsentScope::default()
        }
    }

    pub(crate) fn evidence(&self) -> v1::ConsentEvidence {
        v1::ConsentEvidence {
            signatory: "A. Director".into(),
            authority: "company secretary".into(),
            channel: "signed-letter".into(),
            digest: vec![7; 32],
            received_at: self.in_seconds(-60),
        }
    }

    /// Writes a consent down, unverified.
    pub(crate) async fn record_consent(&self, held: &Held, scope: v1::ConsentScope) -> Result<String, Status> {
        let request = v1::RecordConsentRequest {
            request_id: request_id(),
            consent_id: String::new(),
            organisation_id: held.organisation.clone(),
            scope: Some(scope),
            evidence: Some(self.evidence()),
        };
        Ok(self.consents(&held.holder).record_consent(request).await?.into_inner().consent_id)
    }

    /// Verifies a version of a consent, as another officer.
    pub(crate) async fn verify_consent(&self, held: &Held, consent: &str, version: i64) -> Result<u64, Status> {
        let request = v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent.into(), version };
        let verified = self.verifier(&held.holder).verify_consent(request).await?.into_inner();
        Ok(verified.receipt.unwrap().index)
    }

    /// A consent in effect.
    pub(crate) async fn give_consent(&self, held: &Held, scope: v1::ConsentScope) -> String {
        let consent = self.record_consent(held, scope).await.unwrap();
        self.verify_consent(held, &consent, 1).await.unwrap();
        consent
    }

    pub(crate) async fn withdraw_consent(&self, held: &Held, consent: &str) -> Result<u64, Status> {
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: consent.into() };
        let withdrawn = self.consents(&held.holder).withdraw_consent(request).await?.into_inner();
        Ok(withdrawn.receipt.unwrap().index)
    }

    /// An authorisation that covers what [`World::ask`] asks for.
    pub(crate) fn authorisation(&self, held: &Held) -> v1::GiveAuthorisationRequest {
        let ground = match held.holder.as_str() {
            "ncsc" => "isa-1994-s4-2-a",
            "nca" => "cca-2013-s7-4",
            _ => "dpa-2018-s132-2-f",
        };
        v1::GiveAuthorisationRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            revision: 1,
            covers_updates: false,
            recipient: held.recipient.clone(),
            purposes: crate::harness::PURPOSES.map(String::from).to_vec(),
            categories: vec!["identity".into(), "timeline".into()],
            ground: ground.into(),
            valid_until: None,
        }
    }

    pub(crate) async fn authorise(&self, held: &Held) -> String {
        let request = self.authorisation(held);
        let given = self.authorisations(&held.holder).give_authorisation(request).await.unwrap();
        given.into_inner().authorisation_id
    }

    /// An ask by reference for two categories.
    pub(crate) fn ask(&self, held: &Held) -> v1::RequestReleaseRequest {
        let purpose = if held.recipient == "nca" { "serious-organised-crime" } else { "harm-reduction" };
        v1::RequestReleaseRequest {
            request_id: request_id(),
            holder: held.holder.clone(),
            target: Some(Target::Reference(held.reference.clone())),
            purpose: purpose.into(),
            categories: vec!["identity".into(), "timeline".into()],
            ..v1::RequestReleaseRequest::default()
        }
    }

    /// Puts an ask as the recipient's requester.
    pub(crate) async fn put(
        &self,
        held: &Held,
        ask: v1::RequestReleaseRequest,
    ) -> Result<v1::RequestReleaseResponse, Status> {
        Ok(self.requester(&held.recipient).request_release(ask).await?.into_inner())
    }

    /// The outcome of the usual ask.
    pub(crate) async fn outcome(&self, held: &Held) -> Outcome {
        self.put(held, self.ask(held)).await.unwrap().outcome.unwrap()
    }
}

/// The categories that were released, of all incidents together.
pub(crate) fn released(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Released(released) => released
            .incidents
            .iter()
            .flat_map(|incident| incident.categories.iter().map(|category| category.category.clone()))
            .collect(),
        Outcome::Open(_) | Outcome::NotCovered(_) => Vec::new(),
    }
}

/// Asserts that nothing was released and nothing was said about why.
#[track_caller]
pub(crate) fn assert_open(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Open(_)), "expected open, got {outcome:?}");
}

/// Asserts that exactly these categories were released.
#[track_caller]
pub(crate) fn assert_released(outcome: &Outcome, categories: &[&str]) {
    assert!(matches!(outcome, Outcome::Released(_)), "expected a release, got {outcome:?}");
    assert_eq!(released(outcome), categories);
}
