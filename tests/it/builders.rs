//! What a test needs before it says what it is about: every default is valid, so a test states the difference.

use aws_lc_rs::digest::{SHA256, digest};
use concordat::client::OfficerChannel;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

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

/// An incident that the usual ask gets released, and what that rests on.
#[derive(Debug, Clone)]
pub(crate) struct Permitted {
    pub(crate) held: Held,
    pub(crate) consent: String,
    pub(crate) authorisation: String,
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

/// More than [`content`]: some that the clauses of every row cover, some that not every clause covers, and one,
/// `sector`, that no test asks for.
pub(crate) fn wide_content() -> v1::IncidentContent {
    v1::IncidentContent {
        sector: Some(v1::Sector { code: "22".into(), ..v1::Sector::default() }),
        ransom: Some(v1::Ransom { demanded: true, ..v1::Ransom::default() }),
        assessment: Some(v1::Assessment { confidence: "suspected".into(), ..v1::Assessment::default() }),
        ..content()
    }
}

/// Words as the contract's lists want them.
pub(crate) fn names(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
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

    pub(crate) fn ledger(&self, agency: &str) -> LedgerServiceClient<OfficerChannel> {
        self.ledger_as(agency, "led")
    }

    pub(crate) fn ledger_as(&self, agency: &str, officer: &str) -> LedgerServiceClient<OfficerChannel> {
        LedgerServiceClient::new(self.officer(agency, officer, &["auditor"]))
    }

    /// How many entries the ledger has.
    pub(crate) async fn size(&self) -> u64 {
        let got = self.ledger("ico").get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap().into_inner();
        got.checkpoint.unwrap().size
    }

    pub(crate) fn requester(&self, agency: &str) -> ReleaseServiceClient<OfficerChannel> {
        ReleaseServiceClient::new(self.officer(agency, "req", &["requester"]))
    }

    pub(crate) async fn register_organisation(&self, agency: &str, identifiers: Vec<v1::Identifier>) -> String {
        let request = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: "Example Water plc".into(),
            identifiers,
            ..v1::RegisterOrganisationRequest::default()
        };
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
    #[expect(clippy::unused_self, reason = "a builder beside the others")]
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
            oral: None,
            mandate_id: String::new(),
        }
    }

    /// Evidence of a consent that the organisation gave by word of mouth.
    pub(crate) fn oral_evidence(&self) -> v1::ConsentEvidence {
        let oral = v1::OralConsent {
            taken_by: "officer-on-the-telephone".into(),
            contact_digest: vec![9; 32],
            called_back_at: self.in_seconds(-30),
            read_back: true,
        };
        v1::ConsentEvidence { channel: "oral".into(), oral: Some(oral), ..self.evidence() }
    }

    /// A new consent, as somebody writes it down.
    pub(crate) fn consent_to_record(&self, held: &Held) -> v1::RecordConsentRequest {
        v1::RecordConsentRequest {
            request_id: request_id(),
            consent_id: String::new(),
            organisation_id: held.organisation.clone(),
            scope: Some(self.scope(held)),
            evidence: Some(self.evidence()),
        }
    }

    /// Writes a consent down, unverified.
    pub(crate) async fn record_consent(&self, held: &Held, scope: v1::ConsentScope) -> Result<String, Status> {
        let request = v1::RecordConsentRequest { scope: Some(scope), ..self.consent_to_record(held) };
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

    pub(crate) async fn seek_consent(&self, held: &Held) -> String {
        let request = v1::SeekConsentRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            recipient: held.recipient.clone(),
        };
        self.consents(&held.holder).seek_consent(request).await.unwrap().into_inner().consent_id
    }

    pub(crate) async fn refuse_consent(&self, held: &Held, consent: &str) {
        let request = v1::RefuseConsentRequest { request_id: request_id(), consent_id: consent.into() };
        self.consents(&held.holder).refuse_consent(request).await.unwrap();
    }

    /// Narrows a consent to this scope, and gives the entry's index.
    pub(crate) async fn narrow_consent(
        &self,
        held: &Held,
        consent: &str,
        scope: v1::ConsentScope,
    ) -> Result<u64, Status> {
        let request =
            v1::NarrowConsentRequest { request_id: request_id(), consent_id: consent.into(), scope: Some(scope) };
        let narrowed = self.consents(&held.holder).narrow_consent(request).await?.into_inner();
        Ok(narrowed.receipt.unwrap().index)
    }

    /// Records a new version of a consent, and gives its number.
    pub(crate) async fn reconfirm_consent(&self, held: &Held, consent: &str, scope: v1::ConsentScope) -> i64 {
        let request = v1::ReconfirmConsentRequest {
            request_id: request_id(),
            consent_id: consent.into(),
            scope: Some(scope),
            evidence: Some(self.evidence()),
        };
        self.consents(&held.holder).reconfirm_consent(request).await.unwrap().into_inner().version
    }

    /// A new revision of the incident that says the same, and its number.
    pub(crate) async fn amend(&self, held: &Held) -> i64 {
        self.amend_with(held, content(), v1::Markings::default()).await
    }

    pub(crate) async fn amend_with(&self, held: &Held, content: v1::IncidentContent, markings: v1::Markings) -> i64 {
        let mut incidents = self.incidents(&held.holder);
        let request = v1::GetIncidentRequest { incident_id: held.incident.clone() };
        let present = incidents.get_incident(request).await.unwrap().into_inner().incident.unwrap();
        let request = v1::AmendIncidentRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            etag: present.etag,
            markings: Some(markings),
            content: Some(content),
        };
        incidents.amend_incident(request).await.unwrap().into_inner().revision
    }

    /// An authorisation that covers what [`World::ask`] asks for.
    #[expect(clippy::unused_self, reason = "a builder beside the others")]
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
            preview_digest: vec![],
            form: String::new(),
        }
    }

    pub(crate) async fn authorise(&self, held: &Held) -> String {
        self.authorise_as(held, self.authorisation(held)).await
    }

    pub(crate) async fn authorise_as(&self, held: &Held, request: v1::GiveAuthorisationRequest) -> String {
        let given = self.authorisations(&held.holder).give_authorisation(request).await.unwrap();
        given.into_inner().authorisation_id
    }

    /// Revokes an authorisation, and gives the entry's index.
    pub(crate) async fn revoke(&self, held: &Held, authorisation: &str) -> Result<u64, Status> {
        let request =
            v1::RevokeAuthorisationRequest { request_id: request_id(), authorisation_id: authorisation.into() };
        let revoked = self.authorisations(&held.holder).revoke_authorisation(request).await?.into_inner();
        Ok(revoked.receipt.unwrap().index)
    }

    /// Ends an agreement, and gives the entry's index.
    pub(crate) async fn end_agreement(&self, id: &str) -> Result<u64, Status> {
        let request = v1::EndAgreementRequest { request_id: request_id(), agreement_id: id.into() };
        let ended = self.agreements("ico", &["operator"]).end_agreement(request).await?.into_inner();
        Ok(ended.receipt.unwrap().index)
    }

    /// An incident at the NCSC or the NCA that the ICO gets for the asking.
    pub(crate) async fn permitted(&self, holder: &str) -> Permitted {
        self.permit(self.hold(holder, "ico").await).await
    }

    /// The organisation's consent and the holder's authorisation for an incident.
    pub(crate) async fn permit(&self, held: Held) -> Permitted {
        let consent = self.give_consent(&held, self.scope(&held)).await;
        let authorisation = self.authorise(&held).await;
        Permitted { held, consent, authorisation }
    }

    /// An ask by reference for two categories.
    #[expect(clippy::unused_self, reason = "a builder beside the others")]
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

    /// An ask of the ICO's about an organisation that it names, and about the time of [`World::incident_at`].
    pub(crate) fn ask_by_name(&self, holder: &str, identifiers: Vec<v1::Identifier>) -> v1::RequestReleaseRequest {
        let named = v1::NamedOrganisation {
            identifiers,
            from: self.in_seconds(-40 * 86_400),
            until: self.in_seconds(0),
            ground: "dpa-2018-s132-2-f".into(),
        };
        v1::RequestReleaseRequest {
            request_id: request_id(),
            holder: holder.into(),
            target: Some(Target::Organisation(named)),
            purpose: "harm-reduction".into(),
            categories: names(&["identity", "timeline"]),
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

impl World {
    /// Verifies a release as its recipient would, offline: the receipt, and that the outcome which the receipt proves
    /// names exactly what was handed over, each category by a commitment to its very bytes, on the same terms.
    #[track_caller]
    pub(crate) fn assert_proved(&self, response: &v1::RequestReleaseResponse) {
        let Some(Outcome::Released(released)) = &response.outcome else { panic!("nothing was released") };
        assert!(released.content_included, "the release is without its content");
        let stated = self.verified(response.receipt.as_ref()).outcome.expect("an outcome open to the requester");
        assert_eq!(stated.outcome, "released");
        assert_eq!(stated.released.len(), released.incidents.len(), "as many incidents stated as handed over");
        for (stated, incident) in stated.released.iter().zip(&released.incidents) {
            assert_eq!(stated.reference, incident.reference);
            assert_eq!(stated.handling, incident.handling, "the terms stated are those handed over");
            let committed = |one: &v1::ReleasedCategory| {
                let commitment = digest(&SHA256, &[one.salt.as_slice(), &one.content].concat());
                v1::CategoryStatement { category: one.category.clone(), commitment: commitment.as_ref().to_vec() }
            };
            let handed_over: Vec<v1::CategoryStatement> = incident.categories.iter().map(committed).collect();
            assert_eq!(stated.categories, handed_over, "what is stated is what was handed over");
        }
    }
}

/// The one released incident.
#[track_caller]
pub(crate) fn only_incident(outcome: &Outcome) -> &v1::ReleasedIncident {
    let Outcome::Released(released) = outcome else { panic!("expected a release, got {outcome:?}") };
    let [incident] = released.incidents.as_slice() else {
        panic!("expected one incident, got {}", released.incidents.len())
    };
    incident
}

/// The categories of one incident put together again.
pub(crate) fn whole(incident: &v1::ReleasedIncident) -> v1::IncidentContent {
    let bytes: Vec<u8> = incident.categories.iter().flat_map(|one| one.content.iter().copied()).collect();
    v1::IncidentContent::decode(bytes.as_slice()).unwrap()
}

/// The categories that were released, of all incidents together.
pub(crate) fn released(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Released(released) => released
            .incidents
            .iter()
            .flat_map(|incident| incident.categories.iter().map(|category| category.category.clone()))
            .collect(),
        Outcome::Open(_) | Outcome::NotCovered(_) | Outcome::Covered(_) => Vec::new(),
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

/// As [`assert_open`], in a table: says with what.
#[track_caller]
pub(crate) fn assert_open_with(what: &str, outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Open(_)), "with {what}: expected open, got {:?}", released(outcome));
}

/// Asserts that the agreements do not allow it, for this reason, and gives the explanation.
#[track_caller]
pub(crate) fn assert_not_covered(outcome: &Outcome, reason: &str) -> String {
    let Outcome::NotCovered(not_covered) = outcome else { panic!("expected {reason}, got {outcome:?}") };
    assert_eq!(not_covered.reason, reason, "{}", not_covered.explanation);
    not_covered.explanation.clone()
}

/// Asserts that a call came to no result, and why.
#[track_caller]
pub(crate) fn assert_error<T>(result: Result<T, Status>, code: Code, reason: &str) {
    let Err(status) = result else { panic!("expected {code:?} {reason}, but the call was done") };
    let stated = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    assert_eq!((status.code(), stated.as_str()), (code, reason), "{}", status.message());
}

/// Asserts that a call was turned away for one field.
#[track_caller]
pub(crate) fn assert_invalid<T>(result: Result<T, Status>, field: &str) {
    let Err(status) = result else { panic!("expected `{field}` to be turned away, but the call was done") };
    let violations = status.get_details_bad_request().map(|found| found.field_violations).unwrap_or_default();
    let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((status.code(), fields.as_slice()), (Code::InvalidArgument, [field].as_slice()), "{}", status.message());
}
