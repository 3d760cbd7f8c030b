//! Who gets in: the agency by its certificate, the officer by a token bound to it, each to what is their own.

use concordat::client::{Context, TokenSource};
use concordat::dev;
use concordat::pki::Profile;
use concordat::proto::ROLES;
use concordat::proto::v1;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::tls;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::builders::{assert_error, assert_invalid, assert_open, assert_released, content};
use crate::harness::{PURPOSES, World, on_both_databases, real_now, request_id};

fn registration() -> v1::RegisterOrganisationRequest {
    v1::RegisterOrganisationRequest {
        request_id: request_id(),
        name: "Example Water plc".into(),
        ..v1::RegisterOrganisationRequest::default()
    }
}

/// Registers an organisation over a connection with exactly these authorization headers.
async fn register(channel: Channel, headers: &[String]) -> Result<String, Status> {
    let mut request = Request::new(registration());
    for header in headers {
        request.metadata_mut().append("authorization", header.parse().unwrap());
    }
    let registered = OrganisationServiceClient::new(channel).register_organisation(request).await?;
    Ok(registered.into_inner().organisation_id)
}

impl World {
    /// How the NCSC's recorder calls.
    fn recorder(&self) -> Context {
        self.workspace.context("ncsc", "rec", &["recorder"], &PURPOSES, "one", self.node.address)
    }

    fn channel(&self, context: &Context) -> Channel {
        context.channel(self.workspace.folder()).unwrap()
    }

    fn token(&self, context: &Context) -> String {
        context.token_maker(self.workspace.folder(), self.clock.clone()).unwrap().token().unwrap()
    }

    /// The context's token with other claims, signed by the same issuer.
    fn token_with(&self, context: &Context, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let token = self.token(context);
        let parts: Vec<&str> = token.split('.').collect();
        let mut claims = serde_json::from_slice(&BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap();
        change(&mut claims);
        let claims = BASE64URL_NOPAD.encode(&serde_json::to_vec(&claims).unwrap());
        let message = format!("{}.{claims}", parts[0]);
        let TokenSource::Key(section) = &context.token else { panic!("the workspace's officers have keys") };
        let key = std::fs::read(self.workspace.folder().join(&section.key_file)).unwrap();
        let key = EncodingKey::from_ed_pem(&key).unwrap();
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }
}

fn bearer(token: &str) -> Vec<String> {
    vec![format!("Bearer {token}")]
}

/// Asserts that TLS ended the call: no service answered it, with whatever error.
#[track_caller]
fn assert_no_connection<T>(what: &str, result: Result<T, Status>) {
    let Err(status) = result else { panic!("{what} was let in") };
    assert!(status.get_details_error_info().is_none(), "{what} got an answer: {status}");
}

on_both_databases! {
    async fn door_a_token_must_be_bound_and_the_agencys_own(world: World) {
        let recorder = world.recorder();
        let channel = || world.channel(&recorder);
        let unchanged = world.token_with(&recorder, |_| {});
        register(channel(), &bearer(&unchanged)).await.expect("a token signed in the same way is accepted");

        let before = world.size().await;
        let other_system = world.workspace.context("ico", "rec", &["recorder"], &PURPOSES, "one", world.node.address);
        let bound_elsewhere = world.token_with(&other_system, |_| {});
        let claims: Map<String, Value> = {
            let parts: Vec<&str> = bound_elsewhere.split('.').collect();
            serde_json::from_slice(&BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap()
        };
        let (other_cnf, other_issuer) = (claims["cnf"].clone(), claims["iss"].clone());
        let now = world.now().micros() / 1_000_000;
        let tokens = [
            ("no token", Vec::new()),
            ("two tokens", [bearer(&unchanged), bearer(&unchanged)].concat()),
            ("another scheme", vec![format!("Basic {unchanged}")]),
            ("no binding", bearer(&world.token_with(&recorder, |claims| drop(claims.remove("cnf"))))),
            (
                "a binding to another system's certificate",
                bearer(&world.token_with(&recorder, |claims| drop(claims.insert("cnf".into(), other_cnf)))),
            ),
            (
                "another agency's issuer",
                bearer(&world.token_with(&recorder, |claims| drop(claims.insert("iss".into(), other_issuer)))),
            ),
            ("another agency's token", bearer(&bound_elsewhere)),
            (
                "another node's token",
                bearer(&world.token_with(&recorder, |claims| {
                    claims.insert("aud".into(), dev::audience("two").into());
                })),
            ),
            (
                "a token that has expired",
                bearer(&world.token_with(&recorder, |claims| {
                    claims.insert("exp".into(), now.into());
                })),
            ),
            (
                "a role that its issuer may not give",
                bearer(&world.token_with(&recorder, |claims| {
                    claims.insert("roles".into(), vec!["recorder", "minister"].into());
                })),
            ),
        ];
        for (what, headers) in tokens {
            let turned_away = register(channel(), &headers).await;
            assert!(turned_away.is_err(), "{what} was accepted");
            assert_error(turned_away, Code::Unauthenticated, "UNAUTHENTICATED");
        }
        assert_eq!(world.size().await, before, "nothing was written");
    }

    async fn door_a_certificate_comes_from_the_agencys_own_authority(world: World) {
        let before = world.size().await;
        let recorder = world.recorder();
        let folder = world.workspace.folder();
        let ico = world.workspace.authority("ico").unwrap();
        let minted = ico.issue(&Profile::client("spiffe://ncsc.example/case-system", real_now()).unwrap()).unwrap();
        std::fs::write(folder.join("minted.pem"), minted.chain_pem).unwrap();
        std::fs::write(folder.join("minted.key"), minted.key_pem).unwrap();
        let context = Context {
            certificate_file: "minted.pem".into(),
            key_file: "minted.key".into(),
            ..recorder.clone()
        };
        // The NCSC's own issuer signs, bound to that very certificate: only the authority is wrong.
        let headers = bearer(&world.token(&context));
        let minted = register(world.channel(&context), &headers).await;
        assert_no_connection("a certificate minted by another agency's authority", minted);

        let roots = tls::certificates_from_file(&folder.join(&recorder.roots_file)).unwrap();
        let config = tls::client_config(roots, None).unwrap();
        let channel = tls::connect_lazily(&recorder.server, &recorder.server_name, config).unwrap();
        let nameless = register(channel, &bearer(&world.token(&recorder))).await;
        assert_no_connection("no certificate", nameless);
        assert_eq!(world.size().await, before, "nothing was written");

        let issued = world.workspace.authority("ncsc").unwrap().issue_client("case-system", real_now()).unwrap();
        std::fs::write(folder.join("minted.pem"), issued.chain_pem).unwrap();
        std::fs::write(folder.join("minted.key"), issued.key_pem).unwrap();
        let headers = bearer(&world.token(&context));
        register(world.channel(&context), &headers).await.expect("the NCSC's own authority is believed");
    }

    async fn door_another_agencys_records_are_not_found(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = permitted.held.clone();
        let roles = ["recorder", "verifier", "authoriser", "auditor"];
        let officer = || world.officer("ico", "rec", &roles);
        let before = world.size().await;
        macro_rules! assert_not_found {
            ($($client:ident . $rpc:ident ( $request:expr );)+) => { $(
                assert_error($client::new(officer()).$rpc($request).await, Code::NotFound, "NOT_FOUND");
            )+ };
        }
        let (organisation_id, incident_id) = (held.organisation.clone(), held.incident.clone());
        let (consent_id, authorisation_id) = (permitted.consent.clone(), permitted.authorisation.clone());
        let to_nca = v1::ConsentScope { recipient: "nca".into(), ..world.scope(&held) };
        assert_not_found! {
            OrganisationServiceClient.get_organisation(v1::GetOrganisationRequest {
                organisation_id: organisation_id.clone(),
            });
            OrganisationServiceClient.amend_organisation(v1::AmendOrganisationRequest {
                request_id: request_id(),
                organisation_id: organisation_id.clone(),
                etag: "1".into(),
                name: "Ours".into(),
                ..v1::AmendOrganisationRequest::default()
            });
            IncidentServiceClient.register_incident(world.incident_at(&organisation_id));
            IncidentServiceClient.get_incident(v1::GetIncidentRequest { incident_id: incident_id.clone() });
            IncidentServiceClient.amend_incident(v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: incident_id.clone(),
                etag: "1".into(),
                markings: None,
                content: Some(content()),
            });
            IncidentServiceClient.verify_notification(v1::VerifyNotificationRequest {
                request_id: request_id(),
                incident_id: incident_id.clone(),
            });
            IncidentServiceClient.issue_reference(v1::IssueReferenceRequest {
                request_id: request_id(),
                incident_id: incident_id.clone(),
                recipient: "nca".into(),
            });
            ConsentServiceClient.seek_consent(v1::SeekConsentRequest {
                request_id: request_id(),
                organisation_id: organisation_id.clone(),
                recipient: "nca".into(),
            });
            ConsentServiceClient.record_consent(v1::RecordConsentRequest {
                request_id: request_id(),
                consent_id: String::new(),
                organisation_id: organisation_id.clone(),
                scope: Some(to_nca.clone()),
                evidence: Some(world.evidence()),
            });
            ConsentServiceClient.get_consent(v1::GetConsentRequest { consent_id: consent_id.clone() });
            ConsentServiceClient.verify_consent(v1::VerifyConsentRequest {
                request_id: request_id(),
                consent_id: consent_id.clone(),
                version: 1,
            });
            ConsentServiceClient.withdraw_consent(v1::WithdrawConsentRequest {
                request_id: request_id(),
                consent_id: consent_id.clone(),
            });
            ConsentServiceClient.refuse_consent(v1::RefuseConsentRequest {
                request_id: request_id(),
                consent_id: consent_id.clone(),
            });
            ConsentServiceClient.narrow_consent(v1::NarrowConsentRequest {
                request_id: request_id(),
                consent_id: consent_id.clone(),
                scope: Some(to_nca.clone()),
            });
            ConsentServiceClient.reconfirm_consent(v1::ReconfirmConsentRequest {
                request_id: request_id(),
                consent_id: consent_id.clone(),
                scope: Some(to_nca.clone()),
                evidence: Some(world.evidence()),
            });
            AuthorisationServiceClient.give_authorisation(v1::GiveAuthorisationRequest {
                recipient: "nca".into(),
                ..world.authorisation(&held)
            });
            AuthorisationServiceClient.revoke_authorisation(v1::RevokeAuthorisationRequest {
                request_id: request_id(),
                authorisation_id: authorisation_id.clone(),
            });
        }
        let listed = IncidentServiceClient::new(officer()).list_incidents(v1::ListIncidentsRequest::default()).await;
        assert!(listed.unwrap().into_inner().incidents.is_empty());
        let listed = ConsentServiceClient::new(officer()).list_consents(v1::ListConsentsRequest::default()).await;
        assert!(listed.unwrap().into_inner().consents.is_empty());
        let request = v1::ListAuthorisationsRequest { incident_id, ..v1::ListAuthorisationsRequest::default() };
        let listed = AuthorisationServiceClient::new(officer()).list_authorisations(request).await;
        assert!(listed.unwrap().into_inner().authorisations.is_empty());
        assert_eq!(world.size().await, before, "nothing was written");
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }

    async fn door_only_officers_of_a_holder_keep_records_here(world: World) {
        let ico = world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "ico").unwrap();
        let holds = ico.holds.take();
        assert!(holds.is_some(), "the node held the ICO's records");
        world = world.restart().await;
        let held = world.permitted("ncsc").await.held;

        let before = world.size().await;
        let registered = world.organisations("ico").register_organisation(registration()).await;
        assert_error(registered, Code::PermissionDenied, "NOT_THIS_NODE");
        let listed = world.incidents("ico").list_incidents(v1::ListIncidentsRequest::default()).await;
        assert_error(listed, Code::PermissionDenied, "NOT_THIS_NODE");
        let asked = v1::RequestReleaseRequest { holder: "ico".into(), ..world.ask(&held) };
        assert_invalid(world.requester("nca").request_release(asked).await, "holder");
        assert_eq!(world.size().await, before, "nothing was written");
        // To ask, and to read its own requests and entries, an agency need not be a holder here.
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let listed = world.ledger("ico").list_entries(v1::ListEntriesRequest::default()).await.unwrap().into_inner();
        assert!(!listed.receipts.is_empty());
    }

    async fn door_each_call_has_its_roles(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let before = world.size().await;
        let all: Vec<&str> = ROLES.iter().map(|(role, ..)| *role).collect();
        macro_rules! assert_role_missing {
            ($($agency:literal $client:ident . $rpc:ident ( $request:expr ) needs $roles:expr;)+) => { $(
                let wrong: Vec<&str> = all.iter().copied().filter(|role| !$roles.contains(role)).collect();
                let officer = world.officer($agency, "wrong", &wrong);
                assert_error($client::new(officer).$rpc($request).await, Code::PermissionDenied, "ROLE_MISSING");
            )+ };
        }
        let request_id = request_id();
        let consent_id = permitted.consent.clone();
        assert_role_missing! {
            "ico" ReleaseServiceClient.request_release(world.ask(held)) needs ["requester"];
            "ncsc" OrganisationServiceClient.register_organisation(registration()) needs ["recorder"];
            "ncsc" IncidentServiceClient.register_incident(world.incident_at(&held.organisation)) needs ["recorder"];
            "ncsc" IncidentServiceClient.get_incident(v1::GetIncidentRequest { incident_id: held.incident.clone() })
                needs ["recorder", "verifier", "authoriser", "auditor"];
            "ncsc" IncidentServiceClient.verify_notification(v1::VerifyNotificationRequest {
                request_id: request_id.clone(), incident_id: held.incident.clone(),
            }) needs ["verifier"];
            "ncsc" ConsentServiceClient.verify_consent(v1::VerifyConsentRequest {
                request_id: request_id.clone(), consent_id: consent_id.clone(), version: 1,
            }) needs ["verifier"];
            "ncsc" ConsentServiceClient.reconfirm_consent(v1::ReconfirmConsentRequest {
                request_id: request_id.clone(), consent_id: consent_id.clone(), scope: Some(world.scope(held)),
                evidence: Some(world.evidence()),
            }) needs ["recorder"];
            "ncsc" ConsentServiceClient.withdraw_consent(v1::WithdrawConsentRequest {
                request_id: request_id.clone(), consent_id: consent_id.clone(),
            }) needs ["recorder", "verifier", "authoriser"];
            "ncsc" AuthorisationServiceClient.give_authorisation(world.authorisation(held)) needs ["authoriser"];
            "ncsc" AuthorisationServiceClient.revoke_authorisation(v1::RevokeAuthorisationRequest {
                request_id: request_id.clone(), authorisation_id: permitted.authorisation.clone(),
            }) needs ["authoriser"];
            "ncsc" LedgerServiceClient.list_entries(v1::ListEntriesRequest::default()) needs ["auditor"];
        }
        let ended = v1::EndAgreementRequest { request_id, agreement_id: "ico-ncsc-2023".into() };
        let all_but_operator: Vec<&str> = all.into_iter().filter(|role| *role != "operator").collect();
        let ended = world.agreements("ncsc", &all_but_operator).end_agreement(ended).await;
        assert_error(ended, Code::PermissionDenied, "ROLE_MISSING");
        assert_eq!(world.size().await, before, "nothing was written");
        assert_released(&world.outcome(held).await, &["identity", "timeline"]);
    }

    async fn door_a_purpose_is_one_that_the_token_allows(world: World) {
        let held = world.permitted("ncsc").await.held;
        let before = world.size().await;
        let bounded = || {
            let purposes = ["regulatory-assessment"];
            ReleaseServiceClient::new(world.officer_for("ico", "req", &["requester"], &purposes))
        };
        let asked = bounded().request_release(world.ask(&held)).await;
        assert_error(asked, Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN");
        assert_eq!(world.size().await, before, "nothing was written");
        let ask = v1::RequestReleaseRequest { purpose: "regulatory-assessment".into(), ..world.ask(&held) };
        let outcome = bounded().request_release(ask).await.unwrap().into_inner().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
    }

    async fn door_an_agency_asks_others_and_not_itself(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let before = world.size().await;
        let asked = world.requester("ncsc").request_release(world.ask(&held)).await;
        assert_invalid(asked, "holder");
        let asked = v1::RequestReleaseRequest { holder: "gchq".into(), ..world.ask(&held) };
        assert_invalid(world.put(&held, asked).await, "holder");
        assert_eq!(world.size().await, before, "nothing was written");
    }

    async fn door_what_is_secret_is_turned_away_at_registration(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let before = world.size().await;
        for classification in ["secret", "top-secret", "SECRET", "official sensitive"] {
            let markings = Some(v1::Markings { classification: classification.into(), ..v1::Markings::default() });
            let registration =
                v1::RegisterIncidentRequest { markings: markings.clone(), ..world.incident_at(&held.organisation) };
            let registered = world.incidents("ncsc").register_incident(registration).await;
            assert_invalid(registered, "markings.classification");
            let amended = world
                .incidents("ncsc")
                .amend_incident(v1::AmendIncidentRequest {
                    request_id: request_id(),
                    incident_id: held.incident.clone(),
                    etag: "1".into(),
                    markings,
                    content: Some(content()),
                })
                .await;
            assert_invalid(amended, "markings.classification");
        }
        assert_eq!(world.size().await, before, "nothing was written");
        let listed = world.incidents("ncsc").list_incidents(v1::ListIncidentsRequest::default()).await.unwrap();
        let incidents = listed.into_inner().incidents;
        assert_eq!((incidents.len(), incidents[0].revision), (1, 1), "nothing was stored");
        assert_open(&world.outcome(&held).await);
    }
}
