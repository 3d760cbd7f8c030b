//! The whole gate with the wire: every change and every ask is a call over mutual TLS.

use std::collections::BTreeMap;

use concordat::client::OfficerChannel;
use concordat::domain::{AgreementId, Digest, Instant};
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::disclosure_service_client::DisclosureServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::retention_service_client::RetentionServiceClient;
use concordat::proto::v1::wrongful_release_service_client::WrongfulReleaseServiceClient;
use concordat::proto::v1::{self};
use prost::Message as _;
use tonic::{Code, Status};

use super::drive::{Answer, Door, Ids};
use super::exchange::{company, read, said};
use super::flows::{AGENCIES, PURPOSES};
use super::model::{Ask, Release, Subject};
use super::records::{Change, Micros, Name, Records, Scope, Word, Words};
use crate::harness::{World, request_id, timestamp};

/// The officers' connections, by agency and name.
pub(super) struct Wire {
    officers: BTreeMap<(Word, Word), OfficerChannel>,
    digests: Vec<(AgreementId, Digest)>,
}

impl Wire {
    pub(super) fn new(world: &World, digests: Vec<(AgreementId, Digest)>) -> Self {
        // Both may verify: that the recorder must not is the rule to be seen.
        let both: &[&str] = &["recorder", "verifier"];
        let names: [(Word, &[&str]); 4] =
            [("rec", both), ("ver", both), ("aut", &["authoriser"]), ("req", &["requester"])];
        let each = AGENCIES.into_iter().flat_map(|agency| names.map(|(name, roles)| (agency, name, roles)));
        let officer = |(agency, name, roles)| ((agency, name), world.officer_for(agency, name, roles, &PURPOSES));
        Self { officers: each.map(officer).collect(), digests }
    }

    fn officer(&self, agency: Word, name: Word) -> OfficerChannel {
        self.officers[&(agency, name)].clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's fields of messages are options")]
fn at(micros: Micros) -> Option<prost_types::Timestamp> {
    Some(timestamp(Instant::from_micros(micros)))
}

fn list<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<String> {
    words.into_iter().map(|word| (*word).to_owned()).collect()
}

fn identifiers<'a>(ids: &Ids, numbers: impl IntoIterator<Item = &'a usize>) -> Vec<v1::Identifier> {
    let of = |number: &usize| v1::Identifier { scheme: "gb-coh".into(), value: company(ids.scene, *number) };
    numbers.into_iter().map(of).collect()
}

fn content(ids: &Ids, incident: Name, revision: i64, categories: &Words) -> v1::IncidentContent {
    let mut content = v1::IncidentContent::default();
    for category in categories {
        let text = said(ids.scene, incident, revision, category);
        match *category {
            "identity" => content.identity = Some(v1::Identity { name: text, ..v1::Identity::default() }),
            "timeline" => content.timeline = Some(v1::Timeline { discovery: text, ..v1::Timeline::default() }),
            "impact" => content.impact = Some(v1::Impact { availability: text, ..v1::Impact::default() }),
            "ransom" => content.ransom = Some(v1::Ransom { group: text, ..v1::Ransom::default() }),
            "assessment" => content.assessment = Some(v1::Assessment { text, ..v1::Assessment::default() }),
            _ => {
                let assets = vec![text];
                content.technical_indicators =
                    Some(v1::TechnicalIndicators { assets, ..v1::TechnicalIndicators::default() });
            }
        }
    }
    content
}

/// What the one category says.
fn text(one: &v1::ReleasedCategory) -> Option<String> {
    let content = v1::IncidentContent::decode(one.content.as_slice()).ok()?;
    Some(match one.category.as_str() {
        "identity" => content.identity?.name,
        "timeline" => content.timeline?.discovery,
        "impact" => content.impact?.availability,
        "ransom" => content.ransom?.group,
        "assessment" => content.assessment?.text,
        _ => content.technical_indicators?.assets.pop()?,
    })
}

fn markings(tlp: Word) -> v1::Markings {
    v1::Markings { tlp: tlp.into(), ..v1::Markings::default() }
}

fn scope(ids: &Ids, scope: &Scope) -> v1::ConsentScope {
    let (incident_id, revision, covers_updates) = match scope.incident {
        Some((name, revision, updates)) => (ids.of[&name].clone(), revision, updates),
        None => (String::new(), 0, false),
    };
    v1::ConsentScope {
        recipient: scope.recipient.into(),
        purposes: list(&scope.purposes),
        enforcement: scope.enforcement,
        categories: list(&scope.categories),
        incident_id,
        revision,
        covers_updates,
        onward: scope.onward,
        valid_from: at(scope.valid.0),
        valid_until: at(scope.valid.1),
    }
}

fn evidence(scope: &Scope) -> v1::ConsentEvidence {
    v1::ConsentEvidence {
        signatory: "A. Director".into(),
        authority: "company secretary".into(),
        channel: if scope.spoken.is_some() { "oral" } else { "signed-letter" }.into(),
        digest: vec![7; 32],
        received_at: at(scope.spoken.unwrap_or(1_000_000)),
        oral: scope.spoken.map(|said| v1::OralConsent {
            taken_by: "rec".into(),
            contact_digest: vec![9; 32],
            called_back_at: at(said),
            read_back: true,
        }),
        mandate_id: String::new(),
    }
}

impl Door for Wire {
    #[expect(clippy::too_many_lines, reason = "a table: one arm for each kind of change")]
    async fn change(&self, ids: &Ids, records: &Records, change: &Change) -> Result<String, String> {
        let id = |name: &Name| ids.of.get(name).cloned().unwrap_or_else(|| format!("missing-{name}"));
        let (holder, request_id) = (change.holder(records), request_id());
        let organisations = || OrganisationServiceClient::new(self.officer(holder, "rec"));
        let incidents = |officer| IncidentServiceClient::new(self.officer(holder, officer));
        let authorisations = || AuthorisationServiceClient::new(self.officer(holder, "aut"));
        let done = match change {
            Change::Organisation { identifiers: numbers, .. } => {
                let (name, identifiers) = ("An organisation".into(), identifiers(ids, numbers));
                let none = v1::RegisterOrganisationRequest::default();
                let request = v1::RegisterOrganisationRequest { request_id, name, identifiers, ..none };
                organisations().register_organisation(request).await.map(|done| done.into_inner().organisation_id)
            }
            Change::AmendOrganisation { name, identifiers: numbers } => {
                let request = v1::AmendOrganisationRequest {
                    request_id,
                    organisation_id: id(name),
                    etag: records.organisations[name].version.to_string(),
                    name: "An organisation".into(),
                    identifiers: identifiers(ids, numbers),
                    ..v1::AmendOrganisationRequest::default()
                };
                organisations().amend_organisation(request).await.map(|done| done.into_inner().organisation_id)
            }
            Change::Incident { name, organisation, occurred, tlp, categories, notified } => {
                let notification = notified.map(|kind| v1::Notification {
                    kind: kind.into(),
                    received_at: at(1_000_000),
                    verified: false,
                });
                let request = v1::RegisterIncidentRequest {
                    request_id,
                    organisation_id: id(organisation),
                    occurred_from: at(occurred.0),
                    occurred_until: at(occurred.1),
                    markings: Some(markings(tlp)),
                    notification,
                    content: Some(content(ids, *name, 1, categories)),
                    ..v1::RegisterIncidentRequest::default()
                };
                incidents("rec").register_incident(request).await.map(|done| done.into_inner().incident_id)
            }
            Change::AmendIncident { name, tlp, categories } => {
                let revision = records.incidents[name].revision;
                let request = v1::AmendIncidentRequest {
                    request_id,
                    incident_id: id(name),
                    etag: revision.to_string(),
                    markings: Some(markings(tlp)),
                    content: Some(content(ids, *name, revision + 1, categories)),
                };
                incidents("rec").amend_incident(request).await.map(|_| id(name))
            }
            Change::VerifyNotification { name, officer } => {
                let request = v1::VerifyNotificationRequest { request_id, incident_id: id(name) };
                incidents(officer).verify_notification(request).await.map(|_| id(name))
            }
            Change::EraseIncident { name } => {
                let retention = |officer| RetentionServiceClient::new(self.officer(holder, officer));
                let (incident_id, ground) = (id(name), "registered-in-error".to_owned());
                let request = v1::EraseIncidentRequest {
                    request_id: crate::harness::request_id(),
                    incident_id: incident_id.clone(),
                    ground: ground.clone(),
                };
                let propose = v1::ProposeErasureRequest { request_id, incident_id, ground };
                match retention("rec").propose_erasure(propose).await {
                    Ok(_) => retention("ver").erase_incident(request).await.map(|_| id(name)),
                    Err(status) => Err(status),
                }
            }
            Change::Reference { incident, recipient, .. } => {
                let (incident_id, recipient) = (id(incident), (*recipient).into());
                let request = v1::IssueReferenceRequest { request_id, incident_id, recipient };
                incidents("rec").issue_reference(request).await.map(|done| done.into_inner().reference)
            }
            Change::Authorise { authorisation: given, .. } => {
                let request = v1::GiveAuthorisationRequest {
                    request_id,
                    incident_id: id(&given.incident),
                    revision: given.revision,
                    covers_updates: given.covers_updates,
                    recipient: given.recipient.into(),
                    purposes: list(&given.purposes),
                    categories: list(&given.categories),
                    ground: given.ground.into(),
                    valid_until: at(given.until),
                    preview_digest: vec![],
                    form: String::new(),
                };
                authorisations().give_authorisation(request).await.map(|done| done.into_inner().authorisation_id)
            }
            Change::Revoke { name } => {
                let request = v1::RevokeAuthorisationRequest { request_id, authorisation_id: id(name) };
                authorisations().revoke_authorisation(request).await.map(|_| id(name))
            }
            Change::Freeze { incident, recipient, .. } => {
                let request = v1::RecordDisclosureRequest {
                    request_id,
                    incident_id: id(incident),
                    recipient: (*recipient).into(),
                    disclosed_at: at(0),
                    categories: vec!["identity".into()],
                    ground: "other".into(),
                    means: "meeting".into(),
                    officer: "aut".into(),
                    ..v1::RecordDisclosureRequest::default()
                };
                let mut desk = DisclosureServiceClient::new(self.officer(holder, "aut"));
                let made = desk.record_disclosure(request).await.map_err(|status| rejected(&status))?.into_inner();
                let request = v1::ReportWrongfulReleaseRequest {
                    request_id: crate::harness::request_id(),
                    cause: "wrong-match".into(),
                    disclosure_ids: vec![made.disclosure_id],
                    ..v1::ReportWrongfulReleaseRequest::default()
                };
                let mut desk = WrongfulReleaseServiceClient::new(self.officer(holder, "aut"));
                desk.report_wrongful_release(request).await.map(|done| done.into_inner().wrongful_release_id)
            }
            Change::Lift { name } => {
                let (wrongful_release_id, reason) = (id(name), "found".into());
                let request =
                    v1::CloseWrongfulReleaseRequest { request_id, wrongful_release_id, reason, lift_freeze: true };
                let mut desk = WrongfulReleaseServiceClient::new(self.officer(holder, "aut"));
                desk.close_wrongful_release(request).await.map(|_| id(name))
            }
            consent => self.change_consent(ids, records, consent, holder).await,
        };
        done.map_err(|status| rejected(&status))
    }

    async fn ask(&self, ids: &Ids, ask: &Ask, again: Option<&str>) -> Result<(String, Answer), String> {
        let agreement = ask.pinned.map(|(id, is_right)| {
            let found = self.digests.iter().find(|(one, _)| one.as_str() == id).filter(|_| is_right);
            let digest = found.map_or(vec![9; 32], |(_, digest)| digest.as_bytes().to_vec());
            v1::AgreementPin { agreement_id: id.into(), digest }
        });
        let request_id = request_id();
        let request = match again {
            Some(request) => {
                let request = request.to_owned();
                v1::RequestReleaseRequest { request_id, request, agreement, ..v1::RequestReleaseRequest::default() }
            }
            None => v1::RequestReleaseRequest {
                request_id,
                holder: ask.holder.into(),
                target: Some(match &ask.subject {
                    Subject::Reference(name) => {
                        let id = name.and_then(|name| ids.of.get(&name).cloned());
                        Target::Reference(id.unwrap_or_else(|| "ref-nobody-issued-this".into()))
                    }
                    Subject::Named { identifiers: numbers, period, ground } => {
                        Target::Organisation(v1::NamedOrganisation {
                            identifiers: identifiers(ids, numbers),
                            from: at(period.0),
                            until: at(period.1),
                            ground: (*ground).into(),
                        })
                    }
                }),
                purpose: ask.purpose.into(),
                categories: list(&ask.categories),
                agreement,
                ..v1::RequestReleaseRequest::default()
            },
        };
        let mut releases = ReleaseServiceClient::new(self.officer(ask.requester, "req"));
        let response =
            releases.request_release(request).await.map_err(|status| format!("the ask failed: {status:?}"))?;
        let response = response.into_inner();
        let answer = match response.outcome.ok_or("no outcome")? {
            Outcome::NotCovered(not_covered) => Answer::NotCovered(not_covered.reason),
            Outcome::Covered(_) => return Err("an ask was only looked at".into()),
            Outcome::Open(_) => Answer::Open,
            Outcome::Released(handed_over) => {
                let incidents = handed_over.incidents.iter().map(|incident| self::released(ids.scene, ask, incident));
                Answer::Released(incidents.collect::<Result<_, _>>()?)
            }
        };
        Ok((response.request, answer))
    }

    /// The wire turns away an ask of one's own agency.
    fn takes(&self, ask: &Ask) -> bool {
        ask.requester != ask.holder
    }
}

impl Wire {
    async fn change_consent(
        &self,
        ids: &Ids,
        records: &Records,
        change: &Change,
        holder: Word,
    ) -> Result<String, Status> {
        let id = |name: &Name| ids.of.get(name).cloned().unwrap_or_default();
        let (consent_id, request_id) = (id(&change.name()), request_id());
        let consents = |officer| ConsentServiceClient::new(self.officer(holder, officer));
        let made = match change {
            Change::SeekConsent { organisation, recipient, .. } => {
                let (organisation_id, recipient) = (id(organisation), (*recipient).into());
                let request = v1::SeekConsentRequest { request_id, organisation_id, recipient };
                consents("rec").seek_consent(request).await?.into_inner().consent_id
            }
            Change::RecordConsent { organisation, scope: stated, officer, .. } => {
                let (organisation_id, scope, evidence) =
                    (id(organisation), Some(scope(ids, stated)), Some(evidence(stated)));
                let request = v1::RecordConsentRequest { request_id, consent_id, organisation_id, scope, evidence };
                consents(officer).record_consent(request).await?.into_inner().consent_id
            }
            Change::VerifyConsent { name, officer } => {
                let version = records.consents[name].version_to_verify();
                let request = v1::VerifyConsentRequest { request_id, consent_id, version };
                consents(officer).verify_consent(request).await?.into_inner().consent_id
            }
            Change::NarrowConsent { scope: stated, .. } => {
                let request = v1::NarrowConsentRequest { request_id, consent_id, scope: Some(scope(ids, stated)) };
                consents("rec").narrow_consent(request).await?.into_inner().consent_id
            }
            Change::ReconfirmConsent { scope: stated, officer, .. } => {
                let (scope, evidence) = (Some(scope(ids, stated)), Some(evidence(stated)));
                let request = v1::ReconfirmConsentRequest { request_id, consent_id, scope, evidence };
                consents(officer).reconfirm_consent(request).await?.into_inner().consent_id
            }
            Change::RefuseConsent { .. } => {
                let request = v1::RefuseConsentRequest { request_id, consent_id };
                consents("rec").refuse_consent(request).await?.into_inner().consent_id
            }
            Change::WithdrawConsent { .. } => {
                let request = v1::WithdrawConsentRequest { request_id, consent_id };
                consents("rec").withdraw_consent(request).await?.into_inner().consent_id
            }
            _ => unreachable!("the other changes are none of a consent"),
        };
        Ok(made)
    }
}

/// Only a rule of the domain turns a change away; anything else is a fault and ends the test.
fn rejected(status: &Status) -> String {
    let rules = [Code::InvalidArgument, Code::FailedPrecondition, Code::NotFound, Code::Aborted];
    assert!(rules.contains(&status.code()), "a change failed: {status:?}");
    status.message().to_owned()
}

fn released(scene: usize, ask: &Ask, incident: &v1::ReleasedIncident) -> Result<(String, Release), String> {
    let mut found = None;
    for one in &incident.categories {
        let text = text(one).ok_or_else(|| format!("`{}` has another category's content", one.category))?;
        let of = read(scene, &one.category, &text)?;
        if *found.get_or_insert(of) != of {
            return Err("a release of one incident has content of two".to_owned());
        }
    }
    let (name, revision) = found.ok_or("a release without content")?;
    let handling = incident.handling.clone().ok_or("a release without terms")?;
    if handling.purposes != [ask.purpose] {
        return Err(format!("released for {:?}", handling.purposes));
    }
    let review_by = handling.review_by.ok_or("a release without review")?;
    let dispose_by = handling.dispose_by.ok_or("a release without disposal")?;
    let micros = |at: prost_types::Timestamp| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000;
    let release = Release {
        incident: name,
        revision,
        categories: incident.categories.iter().map(|one| one.category.clone()).collect(),
        clauses: handling.clauses.into_iter().collect(),
        enforcement: handling.enforcement,
        onward: handling.onward,
        tlp: handling.tlp,
        review_by: micros(review_by),
        dispose_by: micros(dispose_by),
        obligations: handling.obligations,
    };
    Ok((incident.reference.clone(), release))
}
