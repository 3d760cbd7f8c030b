//! The ICO's duty to let the NCSC have an RDSP's notification: it arises, is offered by itself, ages, and is done.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use tonic::Code;

use crate::builders::{Held, assert_error, assert_released, names, wide_content};
use crate::harness::{World, on_both_databases, request_id};

const HOUR: i64 = 3_600;

impl World {
    /// Asks for what was offered to the NCSC, whole or in part.
    async fn fetch(&self, held: &Held, event: &v1::Event, categories: Vec<String>) {
        let ask = v1::RequestReleaseRequest {
            request_id: request_id(),
            holder: event.agency.clone(),
            target: Some(Target::Reference(event.reference.clone())),
            purpose: event.purpose.clone(),
            categories: categories.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        let outcome = self.put(held, ask).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &categories.iter().map(String::as_str).collect::<Vec<_>>());
    }

    async fn obligation(&self) -> v1::Obligation {
        let [obligation] = self.obligations("ico", false).await.try_into().unwrap();
        obligation
    }
}

on_both_databases! {
    async fn a_notification_is_owed_offered_once_verified_and_done_once_fetched(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        let owed = world.obligation().await;
        assert_eq!((owed.state.as_str(), owed.recipient.as_str()), ("unverified", "ncsc"));
        assert_eq!(owed.clause_id, "nis-regulations-2018/rdsp-notification-to-ncsc");
        assert_eq!((owed.incident_id.as_str(), owed.revision), (held.incident.as_str(), 1));
        assert_eq!((owed.arose_at, owed.due_at), (world.in_seconds(-HOUR), world.in_seconds(23 * HOUR)));
        assert_eq!(world.events("ncsc").await, [], "an unverified notification tells nobody anything");

        world.verify_notification(&held, "ver").await.unwrap();
        assert_eq!(world.obligation().await.state, "offered");
        let [event] = world.events("ncsc").await.try_into().unwrap();
        assert_eq!((event.kind.as_str(), event.agency.as_str(), event.purpose.as_str()), ("offer", "ico", "nis-csirt"));
        assert_eq!(event.categories, ["identity", "narrative", "sector", "timeline"]);
        let entry = v1::GetEntryRequest { index: event.entry_index };
        let receipt = world.ledger("ncsc").get_entry(entry).await.unwrap().into_inner().receipt;
        assert_eq!(world.verified(receipt.as_ref()).offer.unwrap().reference, event.reference);

        world.fetch(&held, &event, names(&["identity", "timeline"])).await;
        assert_eq!(world.obligation().await.state, "offered", "a part is not the notification");
        world.fetch(&held, &event, event.categories.clone()).await;
        let done = world.obligation().await;
        assert_eq!((done.state.as_str(), done.done_at), ("done", world.in_seconds(0)));
        assert_eq!(world.obligations("ico", true).await, []);
        world.later(48 * HOUR);
        assert_eq!(world.events_of("ico", "duty-overdue").await, []);
        assert_eq!(world.node.exchange().alarm_overdue().await.unwrap(), 0);
    }

    async fn what_is_not_fetched_in_time_alarms(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.later(23 * HOUR - 1);
        assert_eq!(world.node.exchange().alarm_overdue().await.unwrap(), 0);
        assert_eq!(world.events_of("ico", "duty-overdue").await, []);
        world.later(1);
        assert_eq!(world.node.exchange().alarm_overdue().await.unwrap(), 1);
        assert!(world.obligation().await.overdue);
        let [event] = world.events_of("ico", "duty-overdue").await.try_into().unwrap();
        assert_eq!((event.incident_id.as_str(), event.agency.as_str()), (held.incident.as_str(), "ncsc"));
        assert_eq!(world.events("ncsc").await, []);
        world.verify_notification(&held, "ver").await.unwrap();
        assert!(world.obligation().await.overdue, "an offer is not a fetch");
        let [event] = world.events("ncsc").await.try_into().unwrap();
        world.fetch(&held, &event, event.categories.clone()).await;
        assert!(!world.obligation().await.overdue);
        assert_eq!(world.events_of("ico", "duty-overdue").await, []);
    }

    async fn what_was_notified_anew_is_owed_anew(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        let [event] = world.events("ncsc").await.try_into().unwrap();
        world.fetch(&held, &event, event.categories.clone()).await;
        world.later(HOUR);
        world.amend_with(&held, wide_content(), v1::Markings::default()).await;
        let owed = world.obligation().await;
        assert_eq!((owed.state.as_str(), owed.revision), ("unverified", 2));
        assert_eq!(owed.due_at, world.in_seconds(24 * HOUR));
        assert_eq!(world.events_of("ncsc", "offer").await, [], "the earlier offer no longer stands");
        world.verify_notification(&held, "ver").await.unwrap();
        let offers = world.events_of("ncsc", "offer").await;
        assert_eq!(world.obligation().await.state, "offered");
        world.fetch(&held, &offers[0], offers[0].categories.clone()).await;
        assert_eq!(world.obligation().await.state, "done");
    }

    async fn another_kind_of_notification_owes_nothing(world: World) {
        let held = world.notified("gdpr-article-33", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        assert_eq!(world.obligations("ico", false).await, []);
        assert_eq!(world.events("ncsc").await, []);
    }

    async fn a_duty_without_its_statute_in_force_is_owed_from_when_it_is(world: World) {
        world.end_agreement("nis-regulations-2018").await.unwrap();
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        assert_eq!(world.obligations("ico", false).await, []);
        world.activate("nis-regulations-2018").await;
        assert_eq!(world.obligation().await.state, "offered");
        assert_eq!(world.events_of("ncsc", "offer").await.len(), 1);
    }

    async fn obligations_are_the_holders_own(world: World) {
        drop(world.notified("nis-rdsp", "ncsc").await);
        assert_eq!(world.obligations("ncsc", false).await, []);
        let requester = world.officer("ico", "req", &["requester"]);
        let mut requester = v1::duty_service_client::DutyServiceClient::new(requester);
        let all = v1::ListObligationsRequest::default();
        assert_error(requester.list_obligations(all).await, Code::PermissionDenied, "ROLE_MISSING");
    }
}
