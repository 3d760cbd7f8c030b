//! A valid request for every RPC, with every field set. What one variant cannot set, another does.

use concordat::proto::v1;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::new_incident::Organisation as NewOrganisationAt;
use concordat::proto::v1::request_release_request::Target;
use prost::Message;

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bad_input::STATEMENT;
use crate::bad_input::content::{full_content, markings};
use crate::builders::{Held, identifier, names};
use crate::harness::{World, request_id};

/// An identifier that no organisation has yet.
pub(super) fn unused() -> v1::Identifier {
    static LAST: AtomicU32 = AtomicU32::new(10_000_000);
    identifier(LAST.fetch_add(1, Ordering::Relaxed))
}

impl World {
    /// A scope with every field set.
    pub(super) fn full_scope(&self, held: &Held) -> v1::ConsentScope {
        v1::ConsentScope {
            enforcement: true,
            revision: 1,
            covers_updates: true,
            onward: true,
            valid_from: self.in_seconds(0),
            valid_until: self.in_seconds(86_400),
            ..self.scope(held)
        }
    }

    fn full_registration(&self, organisation: &str) -> v1::RegisterIncidentRequest {
        v1::RegisterIncidentRequest {
            markings: Some(markings()),
            notification: Some(v1::Notification {
                kind: "nis-rdsp".into(),
                received_at: self.in_seconds(-60),
                verified: true,
            }),
            campaign: "spring".into(),
            retain_until: self.in_seconds(86_400),
            content: Some(full_content(self)),
            ..self.incident_at(organisation)
        }
    }

    /// An incident at a new organisation, or in the second variant at one that is registered.
    async fn full_registrations(&self, variant: usize) -> v1::RegisterIncidentsRequest {
        let full = self.full_registration("");
        let incident = v1::NewIncident {
            request_id: request_id(),
            organisation: Some(NewOrganisationAt::NewOrganisation(1)),
            occurred_from: full.occurred_from,
            occurred_until: full.occurred_until,
            markings: full.markings,
            notification: full.notification,
            campaign: full.campaign,
            retain_until: full.retain_until,
            content: full.content,
        };
        let organisation = |name: &str, parents| v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: name.into(),
            identifiers: vec![unused()],
            former_names: vec![self.dated_name("Example Waterworks")],
            trading_names: vec![self.dated_name("ExampleWater")],
            parents,
        };
        let (organisations, incident) = if variant == 0 {
            let first = organisation("Example Water plc", vec![self.parent_link().await]);
            (vec![first, organisation("Example Power plc", vec![])], incident)
        } else {
            let registered = self.register_organisation("ncsc", vec![]).await;
            let organisation = Some(NewOrganisationAt::OrganisationId(registered));
            (vec![], v1::NewIncident { organisation, ..incident })
        };
        v1::RegisterIncidentsRequest { request_id: request_id(), organisations, incidents: vec![incident] }
    }

    fn dated_name(&self, name: &str) -> v1::DatedName {
        v1::DatedName { name: name.into(), from: self.in_seconds(-86_400), until: self.in_seconds(0) }
    }

    async fn parent_link(&self) -> v1::ParentLink {
        let organisation_id = self.register_organisation("ncsc", vec![]).await;
        v1::ParentLink { organisation_id, from: self.in_seconds(-86_400), until: self.in_seconds(0) }
    }

    pub(crate) async fn known_agreement(&self, id: &str) -> v1::Agreement {
        let request = v1::GetAgreementRequest { agreement_id: id.into(), digest: vec![] };
        let got = self.agreements("ico", &["operator"]).get_agreement(request).await.unwrap();
        got.into_inner().agreement.unwrap()
    }

    /// The token of a second page with one item on each, from the list's own first page.
    async fn second_page(&self, rpc: &str, filter: &str) -> String {
        let filter = filter.to_owned();
        let auditor = || self.officer("ncsc", "auditor", &["auditor"]);
        match rpc {
            "ListAgreements" => {
                self.agreements("ncsc", &["auditor"])
                    .list_agreements(v1::ListAgreementsRequest { page_size: 1, page_token: String::new() })
                    .await
                    .unwrap()
                    .into_inner()
                    .next_page_token
            }
            "ListOrganisations" => {
                let request = v1::ListOrganisationsRequest { page_size: 1, page_token: String::new() };
                self.organisations("ncsc").list_organisations(request).await.unwrap().into_inner().next_page_token
            }
            "ListIncidents" => {
                let request =
                    v1::ListIncidentsRequest { page_size: 1, page_token: String::new(), organisation_id: filter };
                self.incidents("ncsc").list_incidents(request).await.unwrap().into_inner().next_page_token
            }
            "ListConsents" => {
                let request =
                    v1::ListConsentsRequest { page_size: 1, page_token: String::new(), organisation_id: filter };
                self.consents("ncsc").list_consents(request).await.unwrap().into_inner().next_page_token
            }
            "ListAuthorisations" => {
                let request =
                    v1::ListAuthorisationsRequest { page_size: 1, page_token: String::new(), incident_id: filter };
                let mut client = AuthorisationServiceClient::new(auditor());
                client.list_authorisations(request).await.unwrap().into_inner().next_page_token
            }
            "ListRequests" => {
                let request = v1::ListRequestsRequest { page_size: 1, page_token: String::new() };
                self.requester("ico").list_requests(request).await.unwrap().into_inner().next_page_token
            }
            _ => {
                let request = v1::ListEntriesRequest { page_size: 1, page_token: String::new() };
                self.ledger("ncsc").list_entries(request).await.unwrap().into_inner().next_page_token
            }
        }
    }

    /// A valid request, encoded; none where the RPC has no further variant. Everything that it needs is made first.
    ///
    /// Boxed: it has in it what each RPC needs, and tests go through all of them.
    pub(crate) fn valid_request<'a>(
        &'a self,
        rpc: &'a str,
        variant: usize,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(self.request(rpc, variant))
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm for each RPC")]
    async fn request(&self, rpc: &str, variant: usize) -> Option<Vec<u8>> {
        let variants = match rpc {
            "RequestRelease" => 4,
            "OfferRelease" | "GiveAuthorisation" | "RegisterIncidents" | "PublishStatistics" | "ListDisclosures"
            | "AskPermission" | "RecordConsent" | "ReconfirmConsent" | "RecordDisclosure" | "PutProposal"
            | "ConcludeProposal" | "OpenProposal" | "AmendProposal" | "RecordReminder" => 2,
            "ReportWrongfulRelease" => 3,
            _ => 1,
        };
        if variant >= variants && variant != STATEMENT {
            return None;
        }
        let (page_size, request_id) = (1, request_id());
        Some(match rpc {
            "ListAgreements" => {
                let page_token = self.second_page(rpc, "").await;
                v1::ListAgreementsRequest { page_size, page_token }.encode_to_vec()
            }
            "GetAgreement" => {
                let agreement_id = "ico-ncsc-2023".to_owned();
                let digest = self.known_agreement(&agreement_id).await.digest;
                v1::GetAgreementRequest { agreement_id, digest }.encode_to_vec()
            }
            "ActivateAgreement" => {
                let agreement_id = "ico-nca-2024".to_owned();
                // It may be in force, or ended by an earlier call.
                drop(self.end_agreement(&agreement_id).await);
                let digest = self.known_agreement(&agreement_id).await.digest;
                v1::ActivateAgreementRequest { request_id, agreement_id, digest }.encode_to_vec()
            }
            "EndAgreement" => {
                let agreement_id = "ico-nca-2024".to_owned();
                if self.known_agreement(&agreement_id).await.state != "in-force" {
                    self.activate(&agreement_id).await;
                }
                v1::EndAgreementRequest { request_id, agreement_id }.encode_to_vec()
            }

            "RegisterOrganisation" => v1::RegisterOrganisationRequest {
                request_id,
                name: "Example Water plc".into(),
                identifiers: vec![unused()],
                former_names: vec![self.dated_name("Example Waterworks")],
                trading_names: vec![self.dated_name("ExampleWater")],
                parents: vec![self.parent_link().await],
            }
            .encode_to_vec(),
            "AmendOrganisation" => {
                let organisation_id = self.register_organisation("ncsc", vec![unused()]).await;
                v1::AmendOrganisationRequest {
                    request_id,
                    organisation_id,
                    etag: "1".into(),
                    name: "Example Water Ltd".into(),
                    identifiers: vec![unused()],
                    former_names: vec![self.dated_name("Example Water plc")],
                    trading_names: vec![self.dated_name("ExampleWater")],
                    parents: vec![self.parent_link().await],
                }
                .encode_to_vec()
            }
            "RecordMerger" => v1::RecordMergerRequest {
                request_id,
                organisation_id: self.register_organisation("ncsc", vec![]).await,
                etag: "1".into(),
                into_organisation_id: self.register_organisation("ncsc", vec![]).await,
                merged_at: self.in_seconds(-86_400),
            }
            .encode_to_vec(),
            "FindOrganisations" => {
                v1::FindOrganisationsRequest { identifiers: vec![unused()], name: "Example Water".into() }
                    .encode_to_vec()
            }
            "GetOrganisation" => {
                let organisation_id = self.register_organisation("ncsc", vec![]).await;
                v1::GetOrganisationRequest { organisation_id }.encode_to_vec()
            }
            "ListOrganisations" => {
                drop(self.register_organisation("ncsc", vec![]).await);
                drop(self.register_organisation("ncsc", vec![]).await);
                let page_token = self.second_page(rpc, "").await;
                v1::ListOrganisationsRequest { page_size, page_token }.encode_to_vec()
            }

            "RegisterIncident" => {
                let organisation = self.register_organisation("ncsc", vec![]).await;
                v1::RegisterIncidentRequest { request_id, ..self.full_registration(&organisation) }.encode_to_vec()
            }
            "RegisterIncidents" => self.full_registrations(variant).await.encode_to_vec(),
            "AmendIncident" => {
                let held = self.hold("ncsc", "ico").await;
                v1::AmendIncidentRequest {
                    request_id,
                    incident_id: held.incident,
                    etag: "1".into(),
                    markings: Some(markings()),
                    content: Some(full_content(self)),
                }
                .encode_to_vec()
            }
            "VerifyNotification" => {
                let organisation = self.register_organisation("ncsc", vec![]).await;
                let registration = self.full_registration(&organisation);
                let registered = self.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
                v1::VerifyNotificationRequest { request_id, incident_id: registered.incident_id }.encode_to_vec()
            }
            "IssueReference" => {
                let incident_id = self.hold("ncsc", "ico").await.incident;
                v1::IssueReferenceRequest { request_id, incident_id, recipient: "nca".into() }.encode_to_vec()
            }
            "GetIncident" => {
                v1::GetIncidentRequest { incident_id: self.hold("ncsc", "ico").await.incident }.encode_to_vec()
            }
            "ListIncidents" => {
                let organisation_id = self.hold("ncsc", "ico").await.organisation;
                let another = self.incident_at(&organisation_id);
                self.incidents("ncsc").register_incident(another).await.unwrap();
                let page_token = self.second_page(rpc, &organisation_id).await;
                v1::ListIncidentsRequest { page_size, page_token, organisation_id }.encode_to_vec()
            }

            "SeekConsent" => {
                let organisation_id = self.register_organisation("ncsc", vec![]).await;
                v1::SeekConsentRequest { request_id, organisation_id, recipient: "ico".into() }.encode_to_vec()
            }
            "RecordConsent" if variant == 1 => {
                let held = self.hold("ncsc", "ico").await;
                let (scope, evidence) = (Some(self.scope(&held)), Some(self.oral_evidence()));
                v1::RecordConsentRequest { scope, evidence, ..self.consent_to_record(&held) }.encode_to_vec()
            }
            "RecordConsent" => {
                let held = self.hold("ncsc", "ico").await;
                v1::RecordConsentRequest {
                    request_id,
                    consent_id: self.seek_consent(&held).await,
                    organisation_id: held.organisation.clone(),
                    scope: Some(self.full_scope(&held)),
                    evidence: Some(self.agents_evidence(&held).await),
                }
                .encode_to_vec()
            }
            "VerifyConsent" => {
                let held = self.hold("ncsc", "ico").await;
                let consent_id = self.record_consent(&held, self.scope(&held)).await.unwrap();
                v1::VerifyConsentRequest { request_id, consent_id, version: 1 }.encode_to_vec()
            }
            "RefuseConsent" => {
                let held = self.hold("ncsc", "ico").await;
                v1::RefuseConsentRequest { request_id, consent_id: self.seek_consent(&held).await }.encode_to_vec()
            }
            "NarrowConsent" => {
                let held = self.hold("ncsc", "ico").await;
                let scope = self.full_scope(&held);
                let consent_id = self.give_consent(&held, scope.clone()).await;
                v1::NarrowConsentRequest { request_id, consent_id, scope: Some(scope) }.encode_to_vec()
            }
            "ReconfirmConsent" if variant == 1 => {
                let held = self.hold("ncsc", "ico").await;
                let (scope, evidence) = (Some(self.scope(&held)), Some(self.oral_evidence()));
                // Word of mouth replaces nothing that stands in writing for longer.
                let said = v1::RecordConsentRequest { evidence: evidence.clone(), ..self.consent_to_record(&held) };
                let consent_id = self.consents("ncsc").record_consent(said).await.unwrap().into_inner().consent_id;
                v1::ReconfirmConsentRequest { request_id, consent_id, scope, evidence }.encode_to_vec()
            }
            "ReconfirmConsent" => {
                let held = self.hold("ncsc", "ico").await;
                let consent_id = self.give_consent(&held, self.scope(&held)).await;
                let (scope, evidence) = (Some(self.full_scope(&held)), Some(self.agents_evidence(&held).await));
                v1::ReconfirmConsentRequest { request_id, consent_id, scope, evidence }.encode_to_vec()
            }
            "WithdrawConsent" => {
                let held = self.hold("ncsc", "ico").await;
                let consent_id = self.give_consent(&held, self.scope(&held)).await;
                v1::WithdrawConsentRequest { request_id, consent_id }.encode_to_vec()
            }
            "GetConsent" => {
                let held = self.hold("ncsc", "ico").await;
                v1::GetConsentRequest { consent_id: self.seek_consent(&held).await }.encode_to_vec()
            }
            "ListConsents" => {
                let held = self.hold("ncsc", "ico").await;
                drop(self.seek_consent(&held).await);
                drop(self.seek_consent(&held).await);
                let page_token = self.second_page(rpc, &held.organisation).await;
                v1::ListConsentsRequest { page_size, page_token, organisation_id: held.organisation }.encode_to_vec()
            }

            "GiveAuthorisation" if variant == 1 => {
                let held = self.hold("ncsc", "ico").await;
                self.give_consent(&held, self.scope(&held)).await;
                let preview_digest = self.preview(&held, "isa-1994-s4-2-a").await.digest;
                let purposes = names(&["harm-reduction"]);
                let form = "organisation-specific".to_owned();
                v1::GiveAuthorisationRequest { request_id, purposes, preview_digest, form, ..self.authorisation(&held) }
                    .encode_to_vec()
            }
            "GiveAuthorisation" => {
                let held = self.hold("ncsc", "ico").await;
                v1::GiveAuthorisationRequest {
                    request_id,
                    covers_updates: true,
                    valid_until: self.in_seconds(86_400),
                    ..self.authorisation(&held)
                }
                .encode_to_vec()
            }
            "RevokeAuthorisation" => {
                let held = self.hold("ncsc", "ico").await;
                let authorisation_id = self.authorise(&held).await;
                v1::RevokeAuthorisationRequest { request_id, authorisation_id }.encode_to_vec()
            }
            "ListAuthorisations" => {
                let held = self.hold("ncsc", "ico").await;
                drop(self.authorise(&held).await);
                drop(self.authorise(&held).await);
                let page_token = self.second_page(rpc, &held.incident).await;
                v1::ListAuthorisationsRequest { page_size, page_token, incident_id: held.incident }.encode_to_vec()
            }

            "RequestRelease" => self.ask_variant(variant).await.encode_to_vec(),
            "GetRequest" => {
                let held = self.hold("ncsc", "ico").await;
                let request = self.put(&held, self.ask(&held)).await.unwrap().request;
                v1::GetRequestRequest { request }.encode_to_vec()
            }
            "ListRequests" => {
                let held = self.hold("ncsc", "ico").await;
                drop(self.put(&held, self.ask(&held)).await.unwrap());
                drop(self.put(&held, self.ask(&held)).await.unwrap());
                let page_token = self.second_page(rpc, "").await;
                v1::ListRequestsRequest { page_size, page_token }.encode_to_vec()
            }

            "ListAgencies" => v1::ListAgenciesRequest {}.encode_to_vec(),
            "GetTlsStatus" => v1::GetTlsStatusRequest {}.encode_to_vec(),
            "GetCheckpoint" => v1::GetCheckpointRequest {}.encode_to_vec(),
            // The requester's own agency is the ICO: its operator's activations are the first entries.
            "GetEntry" => v1::GetEntryRequest { index: 1 }.encode_to_vec(),
            "ListEntries" => {
                drop(self.hold("ncsc", "ico").await);
                let page_token = self.second_page(rpc, "").await;
                v1::ListEntriesRequest { page_size, page_token }.encode_to_vec()
            }
            "GetInclusionProof" => v1::GetInclusionProofRequest { index: 1, size: 2 }.encode_to_vec(),
            "GetConsistencyProof" => v1::GetConsistencyProofRequest { from_size: 1, size: 2 }.encode_to_vec(),
            _ => return self.valid_holders_request(rpc, request_id, variant).await,
        })
    }

    /// An ask by reference, one by name, and one that is put again.
    async fn ask_variant(&self, variant: usize) -> v1::RequestReleaseRequest {
        let held = self.hold("ncsc", "ico").await;
        let agreement = self.known_agreement("ico-ncsc-2023").await;
        let agreement = Some(v1::AgreementPin { agreement_id: agreement.id, digest: agreement.digest });
        let ask = v1::RequestReleaseRequest { agreement, external_ref: "case 7".into(), ..self.ask(&held) };
        let form = "organisation-specific".to_owned();
        let ask = v1::RequestReleaseRequest { urgency: "urgent".into(), form, ..ask };
        match variant {
            0 => ask,
            // Looking first, with the ground for naming somebody and nobody named.
            3 => {
                let ground = "dpa-2018-s132-2-f".into();
                let target = Target::Organisation(v1::NamedOrganisation { ground, ..Default::default() });
                let external_ref = String::new();
                v1::RequestReleaseRequest { target: Some(target), validate_only: true, external_ref, ..ask }
            }
            1 => {
                let named = unused();
                let known = Held { recipient: "ncsc".into(), ..self.known_to("ico", vec![named.clone()]).await };
                let naming_receipt = self.receipt_to_name(&known, vec![named.clone()]).await;
                let organisation = v1::NamedOrganisation {
                    identifiers: vec![named],
                    from: self.in_seconds(-86_400),
                    until: self.in_seconds(0),
                    ground: "dpa-2018-s132-2-f".into(),
                };
                let target = Some(Target::Organisation(organisation));
                v1::RequestReleaseRequest { target, naming_receipt, ..ask }
            }
            _ => {
                let request = self.put(&held, ask.clone()).await.unwrap().request;
                let (request_id, agreement) = (request_id(), ask.agreement);
                v1::RequestReleaseRequest { request_id, request, agreement, ..v1::RequestReleaseRequest::default() }
            }
        }
    }
}
