//! The same call again: nothing is done twice, and content is sent again only while all that it rests on still stands.

use concordat::proto::v1;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::seal;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::builders::{
    Permitted, assert_error, assert_invalid, assert_not_covered, assert_open, assert_open_with, assert_released,
    identifier, names,
};
use crate::harness::{World, on_both_databases, request_id};

/// The microseconds in which an ask's content is sent again.
const WINDOW: i64 = 24 * 3_600 * 1_000_000;

/// Asserts that a request id was used for another call, and that the status names the field.
#[track_caller]
fn assert_key_reused<T>(result: Result<T, Status>) {
    let violations = result.as_ref().err().and_then(StatusExt::get_details_bad_request);
    let violations = violations.map(|found| found.field_violations).unwrap_or_default();
    let fields: Vec<String> = violations.into_iter().map(|violation| violation.field).collect();
    assert_error(result, Code::InvalidArgument, "KEY_REUSED");
    assert_eq!(fields, ["request_id"]);
}

/// Asserts a repeat whose content is not sent again.
#[track_caller]
fn assert_receipt_alone(what: &str, response: &v1::RequestReleaseResponse, first: &v1::RequestReleaseResponse) {
    let Some(Outcome::Released(released)) = &response.outcome else { panic!("after {what}: {:?}", response.outcome) };
    assert!(!released.content_included && released.incidents.is_empty(), "content was sent again after {what}");
    assert_eq!(index(response), index(first), "after {what}: the first call's entry");
    assert_eq!(response.request, first.request);
}

fn index(response: &v1::RequestReleaseResponse) -> u64 {
    response.receipt.as_ref().unwrap().index
}

impl World {
    /// A release that was made, with the ask that is to be repeated.
    async fn release(&self) -> (Permitted, v1::RequestReleaseRequest, v1::RequestReleaseResponse) {
        let permitted = self.permitted("ncsc").await;
        let ask = self.ask(&permitted.held);
        let first = self.put(&permitted.held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        (permitted, ask, first)
    }

    /// A repeat, which appends nothing.
    async fn repeat(&self, permitted: &Permitted, ask: &v1::RequestReleaseRequest) -> v1::RequestReleaseResponse {
        let before = self.size().await;
        let response = self.put(&permitted.held, ask.clone()).await.unwrap();
        assert_eq!(self.size().await, before, "a repeat appended an entry");
        self.verified(response.receipt.as_ref());
        response
    }
}

on_both_databases! {
    async fn idempotency_a_repeat_of_a_release_is_the_same_release(world: World) {
        let (permitted, ask, first) = world.release().await;
        for _ in 0..2 {
            let again = world.repeat(&permitted, &ask).await;
            assert_eq!((index(&again), &again.request), (index(&first), &first.request));
            assert!(again.outcome == first.outcome, "the same content on the same terms");
            world.assert_proved(&again);
        }
        let request = v1::GetRequestRequest { request: first.request };
        let got = world.requester("ico").get_request(request).await.unwrap().into_inner().request.unwrap();
        assert_eq!(got.asks.len(), 1, "one call, one ask");
        assert_eq!((got.asks[0].outcome.as_str(), got.asks[0].request_id.as_str()), ("released", ask.request_id.as_str()));
    }

    async fn idempotency_a_repeat_gets_no_content_once_anything_has_changed(world: World) {
        let (permitted, ask, first) = world.release().await;
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        assert_receipt_alone("the consent's withdrawal", &world.repeat(&permitted, &ask).await, &first);
        // Another consent is another basis, good for a new ask and not for this one.
        world.give_consent(&permitted.held, world.scope(&permitted.held)).await;
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
        assert_receipt_alone("another consent", &world.repeat(&permitted, &ask).await, &first);

        let (permitted, ask, first) = world.release().await;
        let wider_than_asked = v1::ConsentScope { purposes: names(&["harm-reduction"]), ..world.scope(&permitted.held) };
        world.narrow_consent(&permitted.held, &permitted.consent, wider_than_asked).await.unwrap();
        assert_receipt_alone("a narrowing", &world.repeat(&permitted, &ask).await, &first);

        let (permitted, ask, first) = world.release().await;
        world.revoke(&permitted.held, &permitted.authorisation).await.unwrap();
        assert_receipt_alone("the authorisation's revocation", &world.repeat(&permitted, &ask).await, &first);

        let (permitted, ask, first) = world.release().await;
        world.amend(&permitted.held).await;
        assert_receipt_alone("an amendment", &world.repeat(&permitted, &ask).await, &first);

        let (permitted, ask, first) = world.release().await;
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        assert_receipt_alone("the end of the agreement", &world.repeat(&permitted, &ask).await, &first);
        assert_not_covered(&world.outcome(&permitted.held).await, "NO_AGREEMENT");
    }

    async fn idempotency_a_repeat_gets_content_for_a_day(world: World) {
        let (permitted, ask, first) = world.release().await;
        world.hand.advance_micros(WINDOW - 1);
        world.assert_proved(&world.repeat(&permitted, &ask).await);
        world.hand.advance_micros(1);
        assert_receipt_alone("a day", &world.repeat(&permitted, &ask).await, &first);
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
    }

    async fn idempotency_a_repeat_of_an_open_ask_stays_open(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let ask = world.ask(&held);
        let first = world.put(&held, ask.clone()).await.unwrap();
        assert_open(first.outcome.as_ref().unwrap());
        let permitted = world.permit(held).await;
        let again = world.repeat(&permitted, &ask).await;
        assert_open_with("a permission that came after the ask", again.outcome.as_ref().unwrap());
        assert_eq!(index(&again), index(&first));
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
    }

    async fn idempotency_the_same_key_for_another_call_is_turned_away(world: World) {
        let (permitted, ask, first) = world.release().await;
        let before = world.size().await;
        let other_calls = [
            ("holder", v1::RequestReleaseRequest { holder: "nca".into(), ..ask.clone() }),
            (
                "target",
                v1::RequestReleaseRequest { target: Some(Target::Reference(seal::new_id("ref"))), ..ask.clone() },
            ),
            ("purpose", v1::RequestReleaseRequest { purpose: "regulatory-assessment".into(), ..ask.clone() }),
            ("categories", v1::RequestReleaseRequest { categories: names(&["timeline"]), ..ask.clone() }),
            ("external_ref", v1::RequestReleaseRequest { external_ref: "CASE-1".into(), ..ask.clone() }),
            (
                "request",
                v1::RequestReleaseRequest {
                    request_id: ask.request_id.clone(),
                    request: first.request.clone(),
                    ..v1::RequestReleaseRequest::default()
                },
            ),
        ];
        for (what, other) in other_calls {
            assert!(other != ask, "{what} differs");
            assert_key_reused(world.put(&permitted.held, other).await);
        }
        let mut other_officer = ReleaseServiceClient::new(world.officer("ico", "another", &["requester"]));
        assert_key_reused(other_officer.request_release(ask.clone()).await);
        assert_eq!(world.size().await, before, "nothing was written");

        // Keys are an agency's own, and a method's.
        let registration = v1::RegisterOrganisationRequest {
            request_id: ask.request_id,
            name: "Example Water plc".into(),
            ..v1::RegisterOrganisationRequest::default()
        };
        for agency in ["ico", "nca"] {
            world.organisations(agency).register_organisation(registration.clone()).await.unwrap();
        }
        let renamed = v1::RegisterOrganisationRequest { name: "Another plc".into(), ..registration };
        assert_key_reused(world.organisations("ico").register_organisation(renamed).await);
    }

    async fn idempotency_asking_again_is_a_new_ask_on_the_same_request(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let first = world.put(&held, world.ask(&held)).await.unwrap();
        assert_open(first.outcome.as_ref().unwrap());
        let permitted = world.permit(held).await;
        let again = || v1::RequestReleaseRequest {
            request_id: request_id(),
            request: first.request.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        let ask = again();
        let second = world.put(&permitted.held, ask.clone()).await.unwrap();
        assert_released(second.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        world.assert_proved(&second);
        assert!(index(&second) > index(&first), "an entry of its own");
        assert_eq!(second.request, first.request);
        let repeated = world.repeat(&permitted, &ask).await;
        assert_eq!(index(&repeated), index(&second));
        world.assert_proved(&repeated);

        let request = v1::GetRequestRequest { request: first.request.clone() };
        let got = world.requester("ico").get_request(request.clone()).await.unwrap().into_inner().request.unwrap();
        let outcomes: Vec<&str> = got.asks.iter().map(|ask| ask.outcome.as_str()).collect();
        assert_eq!(outcomes, ["open", "released"]);
        assert_eq!((got.holder.as_str(), got.purpose.as_str()), ("ncsc", "harm-reduction"));

        let before = world.size().await;
        assert_error(world.requester("nca").get_request(request).await, Code::NotFound, "NOT_FOUND");
        assert_error(world.requester("nca").request_release(again()).await, Code::NotFound, "NOT_FOUND");
        let purposes = ["regulatory-assessment"];
        let mut bounded = ReleaseServiceClient::new(world.officer_for("ico", "req", &["requester"], &purposes));
        assert_error(bounded.request_release(again()).await, Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN");
        let usual = world.ask(&permitted.held);
        for (field, stated) in [
            ("holder", v1::RequestReleaseRequest { holder: usual.holder, ..again() }),
            ("target", v1::RequestReleaseRequest { target: usual.target, ..again() }),
            ("purpose", v1::RequestReleaseRequest { purpose: usual.purpose, ..again() }),
            ("categories", v1::RequestReleaseRequest { categories: usual.categories, ..again() }),
            ("external_ref", v1::RequestReleaseRequest { external_ref: "CASE-1".into(), ..again() }),
        ] {
            assert_invalid(world.put(&permitted.held, stated).await, field);
        }
        assert_eq!(world.size().await, before, "nothing was written");
    }

    async fn idempotency_a_request_may_be_put_again_for_ninety_days(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let first = world.put(&held, world.ask(&held)).await.unwrap();
        let Some(Outcome::Open(open)) = &first.outcome else { panic!("expected open") };
        assert_eq!(open.open_until, world.in_seconds(90 * 86_400));
        let again = || v1::RequestReleaseRequest {
            request_id: request_id(),
            request: first.request.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        world.hand.advance_micros(90 * WINDOW - 1);
        let last = again();
        assert_open(world.put(&held, last.clone()).await.unwrap().outcome.as_ref().unwrap());
        world.hand.advance_micros(1);
        let before = world.size().await;
        assert_error(world.put(&held, again()).await, Code::FailedPrecondition, "WRONG_STATE");
        let repeated = world.put(&held, last).await.unwrap();
        assert_open_with("a repeat of what was put in time", repeated.outcome.as_ref().unwrap());
        assert_eq!(world.size().await, before, "nothing was written");
    }

    async fn idempotency_changes_are_made_once(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let mut organisations = world.organisations("ncsc");
        let mut incidents = world.incidents("ncsc");
        let mut consents = world.consents("ncsc");
        let mut verifier = world.verifier("ncsc");
        let mut authorisations = world.authorisations("ncsc");

        // Twice the same call: the same result, by the same entry, and one entry more.
        macro_rules! assert_once {
            ($what:literal, $client:ident . $rpc:ident ( $request:expr ), $same:ident) => {{
                let request = $request;
                let before = world.size().await;
                let first = $client.$rpc(request.clone()).await.unwrap().into_inner();
                let again = $client.$rpc(request).await.unwrap().into_inner();
                let (one, other) = (first.receipt.as_ref().unwrap(), again.receipt.as_ref().unwrap());
                assert_eq!((&first.$same, one.index), (&again.$same, other.index), $what);
                world.verified(Some(other));
                assert_eq!(world.size().await, before + 1, $what);
                first.$same
            }};
        }
        assert_once!(
            "an organisation",
            organisations.register_organisation(v1::RegisterOrganisationRequest {
                request_id: request_id(),
                name: "Example Water plc".into(),
                identifiers: vec![identifier(1)],
                ..v1::RegisterOrganisationRequest::default()
            }),
            organisation_id
        );
        assert_once!("an incident", incidents.register_incident(world.incident_at(&held.organisation)), incident_id);
        assert_once!(
            "an amendment",
            incidents.amend_incident(v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                etag: "1".into(),
                markings: None,
                content: Some(crate::builders::content()),
            }),
            revision
        );
        assert_once!(
            "a reference",
            incidents.issue_reference(v1::IssueReferenceRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                recipient: "ico".into(),
            }),
            reference
        );
        let consent = assert_once!(
            "a consent",
            consents.record_consent(v1::RecordConsentRequest {
                request_id: request_id(),
                consent_id: String::new(),
                organisation_id: held.organisation.clone(),
                scope: Some(world.scope(&held)),
                evidence: Some(world.evidence()),
            }),
            consent_id
        );
        let id = || (request_id(), consent.clone());
        let (request_id, consent_id) = id();
        let verify = v1::VerifyConsentRequest { request_id, consent_id, version: 1 };
        assert_once!("a verification", verifier.verify_consent(verify), version);
        let (request_id, consent_id) = id();
        let narrow = v1::NarrowConsentRequest { request_id, consent_id, scope: Some(world.scope(&held)) };
        assert_once!("a narrowing", consents.narrow_consent(narrow), version);
        let give = v1::GiveAuthorisationRequest { revision: 2, ..world.authorisation(&held) };
        let authorisation =
            assert_once!("an authorisation", authorisations.give_authorisation(give), authorisation_id);
        let (request_id, authorisation_id) = (id().0, authorisation);
        let revoke = v1::RevokeAuthorisationRequest { request_id, authorisation_id };
        // A revocation's only result is its entry.
        assert_once!("a revocation", authorisations.revoke_authorisation(revoke), receipt);
        let (request_id, consent_id) = id();
        let withdraw = v1::WithdrawConsentRequest { request_id, consent_id };
        assert_once!("a withdrawal", consents.withdraw_consent(withdraw), version);
    }

    async fn idempotency_withdrawals_go_on_while_a_wrong_clock_stops_asks(world: World) {
        let permitted = world.permitted("ncsc").await;
        let before = world.size().await;
        world.hand.advance_micros(-2_000_001);
        let asked = world.put(&permitted.held, world.ask(&permitted.held)).await;
        assert_error(asked, Code::Unavailable, "CLOCK");
        assert_eq!(world.size().await, before, "nothing was written");
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        world.hand.advance_micros(1);
        assert_open_with("a consent withdrawn by the wrong clock", &world.outcome(&permitted.held).await);
    }
}
