//! A holder's offer discloses that something is held, so the gate decides it, and it is seen only while that stands.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use tonic::Code;

use crate::builders::{assert_error, assert_open, assert_released};
use crate::harness::{on_both_databases, request_id};

fn again(request: &str) -> v1::RequestReleaseRequest {
    v1::RequestReleaseRequest {
        request_id: request_id(),
        request: request.into(),
        ..v1::RequestReleaseRequest::default()
    }
}

on_both_databases! {
    async fn nothing_is_offered_that_would_not_be_released(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        let before = world.size().await;
        assert_error(world.offer("ncsc", &request).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.offer_incident(&held).await, Code::FailedPrecondition, "WRONG_STATE");
        world.authorise(&held).await;
        assert_error(world.offer("ncsc", &request).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.size().await, before + 1, "only the authorisation left an entry");
        assert_eq!(world.events("ico").await, []);
        assert_eq!(world.received("ncsc").await[0].state, "open");
    }

    async fn an_offer_is_told_with_its_proof_and_asking_again_is_released(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let response = world.put(&held, world.ask(&held)).await.unwrap();
        assert_open(&response.outcome.unwrap());
        world.permit(held.clone()).await;
        assert_eq!(world.events("ico").await, [], "consent and authorisation tell the requester nothing");
        let offered = world.offer("ncsc", &response.request).await.unwrap();
        assert_eq!(world.received("ncsc").await[0].state, "offered");

        let [event] = world.events("ico").await.try_into().unwrap();
        assert_eq!((event.id.as_str(), event.kind.as_str()), (offered.event_id.as_str(), "ask-again"));
        assert_eq!((event.request.as_str(), event.agency.as_str()), (response.request.as_str(), "ncsc"));
        assert_eq!(event.incident_id, "", "the holder's id stays with the holder");
        let entry = v1::GetEntryRequest { index: event.entry_index };
        let receipt = world.ledger("ico").get_entry(entry).await.unwrap().into_inner().receipt;
        let told = world.verified(receipt.as_ref());
        assert!(told.act.is_none() && told.grounds.is_none(), "who offered and why is the holder's");
        let offer = told.offer.unwrap();
        assert_eq!((offer.request.as_str(), offer.recipient.as_str()), (response.request.as_str(), "ico"));
        assert_eq!(offer.categories, ["identity", "timeline"]);
        let own = world.verified(offered.receipt.as_ref());
        assert_eq!(own.act.unwrap().object, response.request);
        assert!(own.grounds.unwrap().reasons[0].contains("permitted by"));

        let outcome = world.put(&held, again(&event.request)).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
    }

    async fn an_offer_is_seen_no_longer_than_the_gate_would_permit(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let other = v1::RequestReleaseRequest { external_ref: "second".into(), ..world.ask(held) };
        let request = world.put(held, other).await.unwrap().request;
        world.offer("ncsc", &request).await.unwrap();
        assert_eq!(world.events_of("ico", "ask-again").await.len(), 1);
        world.withdraw_consent(held, &permitted.consent).await.unwrap();
        assert_eq!(world.events_of("ico", "ask-again").await, [], "after the withdrawal not even the offer is told");
        world.give_consent(held, world.scope(held)).await;
        assert_eq!(world.events_of("ico", "ask-again").await.len(), 1);
        world.revoke(held, &permitted.authorisation).await.unwrap();
        assert_eq!(world.events_of("ico", "ask-again").await, []);
    }

    async fn what_nobody_asked_for_is_offered_with_a_reference(world: World) {
        let mut held = world.permitted("ncsc").await.held;
        world.offer_incident(&held).await.unwrap();
        let [event] = world.events("ico").await.try_into().unwrap();
        assert_eq!((event.kind.as_str(), event.purpose.as_str()), ("offer", "harm-reduction"));
        assert_eq!((event.categories.len(), event.incident_id.as_str()), (2, ""));
        assert_eq!(event.reference, held.reference, "the reference that the recipient has already");
        held.reference.clone_from(&event.reference);
        let outcome = world.put(&held, world.ask(&held)).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
    }

    async fn an_agency_without_a_reference_is_given_one(world: World) {
        let organisation = world.register_organisation("ico", vec![]).await;
        let registered = world.incidents("ico").register_incident(world.incident_at(&organisation)).await.unwrap();
        let held = crate::builders::Held {
            holder: "ico".into(),
            recipient: "ncsc".into(),
            organisation,
            incident: registered.into_inner().incident_id,
            reference: String::new(),
        };
        assert_error(world.offer_incident(&held).await, Code::FailedPrecondition, "WRONG_STATE");
        world.authorise(&held).await;
        world.offer_incident(&held).await.unwrap();
        let [event] = world.events("ncsc").await.try_into().unwrap();
        let ask = v1::RequestReleaseRequest {
            target: Some(Target::Reference(event.reference.clone())),
            ..world.ask(&held)
        };
        let outcome = world.put(&held, ask).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
        let ask = v1::RequestReleaseRequest { target: Some(Target::Reference(event.reference)), ..world.ask(&held) };
        let stranger = crate::builders::Held { recipient: "nca".into(), ..held };
        let ask = v1::RequestReleaseRequest { purpose: "serious-organised-crime".into(), ..ask };
        assert_open(&world.put(&stranger, ask).await.unwrap().outcome.unwrap());
    }

    async fn an_offer_is_made_once_however_often_it_is_called(world: World) {
        let held = world.permitted("ncsc").await.held;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        let offered = v1::offer_release_request::Offered::Request(request);
        let call = v1::OfferReleaseRequest { request_id: request_id(), offered: Some(offered) };
        let mut inbox = world.inbox("ncsc");
        let first = inbox.offer_release(call.clone()).await.unwrap().into_inner();
        let size = world.size().await;
        let second = inbox.offer_release(call.clone()).await.unwrap().into_inner();
        assert_eq!((&second.event_id, world.size().await), (&first.event_id, size));
        assert_eq!(second.receipt.unwrap().entry, first.receipt.unwrap().entry);
        let incident = v1::OfferedIncident { incident_id: held.incident, ..v1::OfferedIncident::default() };
        let offered = v1::offer_release_request::Offered::Incident(v1::OfferedIncident {
            recipient: "ico".into(),
            purpose: "harm-reduction".into(),
            categories: vec!["identity".into()],
            ..incident
        });
        let other = v1::OfferReleaseRequest { offered: Some(offered), ..call };
        assert_error(inbox.offer_release(other).await, Code::InvalidArgument, "KEY_REUSED");
    }
}
