//! Events: told at least once, under an id that stays, until acknowledged or no longer true.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{assert_error, assert_invalid, assert_released};
use crate::harness::on_both_databases;

const DAY: i64 = 86_400;

on_both_databases! {
    async fn an_event_is_told_until_it_is_acknowledged(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.put(&held, world.ask(&held)).await.unwrap();
        let first = world.events("ncsc").await;
        assert_eq!(first.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["request-to-look-at"]);
        assert_eq!(world.events("ncsc").await, first, "the same event, under the same id");

        let ids = vec![first[0].id.clone()];
        assert_error(world.acknowledge("ico", ids.clone()).await, Code::NotFound, "NOT_FOUND");
        let both = vec![ids[0].clone(), "request-to-look-at.none.such".into()];
        assert_error(world.acknowledge("ncsc", both).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.events("ncsc").await, first, "all of them or none");

        let receipt = world.acknowledge("ncsc", ids.clone()).await.unwrap();
        assert_eq!(world.verified(Some(&receipt)).act.unwrap().method, "EventService/AcknowledgeEvents");
        assert_eq!(world.events("ncsc").await, []);
        world.acknowledge("ncsc", ids).await.unwrap();
        assert_eq!(world.received("ncsc").await.len(), 1, "what was acknowledged is still in the inbox");
        // Asking again is no second thing to look at.
        world.put(&held, world.ask(&held)).await.unwrap();
        assert_eq!(world.events("ncsc").await.len(), 1, "another request is");
    }

    async fn a_release_is_told_to_both(world: World) {
        let permitted = world.permitted("ncsc").await;
        let response = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let index = response.receipt.unwrap().index;
        for (agency, kind, other) in [("ncsc", "release-made", "ico"), ("ico", "release-received", "ncsc")] {
            let [event] = world.events_of(agency, kind).await.try_into().unwrap();
            assert!(event.has_entry);
            assert_eq!((event.entry_index, event.agency.as_str()), (index, other));
            assert_eq!((event.request, event.incident_id), (response.request.clone(), String::new()));
        }
        assert_eq!(world.events("nca").await, []);
    }

    async fn a_consent_is_told_to_end_two_weeks_before_and_not_once_it_has(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let scope = v1::ConsentScope { valid_until: world.in_seconds(90 * DAY), ..world.scope(&held) };
        let consent = world.give_consent(&held, scope.clone()).await;
        world.later(76 * DAY - 10);
        assert_eq!(world.events_of("ncsc", "consent-ends").await, []);
        world.later(10);
        let [event] = world.events_of("ncsc", "consent-ends").await.try_into().unwrap();
        assert_eq!((event.consent_id, event.ends_at), (consent.clone(), scope.valid_until));
        assert_eq!(world.events_of("ico", "consent-ends").await, [], "only the holder sees consent");

        world.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(world.events_of("ncsc", "consent-ends").await, [], "it has ended");
    }

    async fn a_narrowed_consent_is_told_to_end_when_it_does(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let scope = v1::ConsentScope { valid_until: world.in_seconds(90 * DAY), ..world.scope(&held) };
        let consent = world.give_consent(&held, scope.clone()).await;
        let narrowed = v1::ConsentScope { valid_until: world.in_seconds(30 * DAY), ..scope };
        world.narrow_consent(&held, &consent, narrowed.clone()).await.unwrap();
        world.later(17 * DAY);
        let [event] = world.events_of("ncsc", "consent-ends").await.try_into().unwrap();
        assert_eq!(event.ends_at, narrowed.valid_until);
    }

    async fn an_authorisation_is_told_to_end_half_way_if_it_is_short(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let short = v1::GiveAuthorisationRequest { valid_until: world.in_seconds(10 * DAY), ..world.authorisation(&held) };
        let given = world.authorise_as(&held, short).await;
        let revoked = world.authorise(&held).await;
        world.later(5 * DAY - 10);
        assert_eq!(world.events_of("ncsc", "authorisation-ends").await, []);
        world.later(10);
        let [event] = world.events_of("ncsc", "authorisation-ends").await.try_into().unwrap();
        assert_eq!((event.authorisation_id, event.incident_id), (given.clone(), held.incident.clone()));
        world.revoke(&held, &given).await.unwrap();
        world.revoke(&held, &revoked).await.unwrap();
        world.later(80 * DAY);
        assert_eq!(world.events_of("ncsc", "authorisation-ends").await, []);
    }

    async fn a_reading_has_pages_and_its_cursor_is_the_callers_own(world: World) {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(world.hold("ncsc", "ico").await);
        }
        let (_, begun) = world.since("ncsc", "").await;
        for held in all {
            world.put(&held, world.ask(&held)).await.unwrap();
            world.later(1);
        }
        let mut desk = world.event_desk("ncsc");
        let mut cursor = begun;
        let mut seen = Vec::new();
        for turn in 1..=3 {
            let request = v1::ListEventsRequest { page_size: 1, cursor: cursor.clone() };
            let page = desk.list_events(request).await.unwrap().into_inner();
            seen.extend(page.events);
            let stolen = v1::ListEventsRequest { page_size: 1, cursor: page.next_cursor.clone() };
            if turn < 3 {
                assert_invalid(world.event_desk("ico").list_events(stolen).await, "cursor");
            }
            cursor = page.next_cursor;
        }
        assert_eq!((cursor.as_str(), seen.len()), ("", 3));
        assert!(seen.is_sorted_by(|one, next| one.at.unwrap().seconds < next.at.unwrap().seconds), "the oldest first");
        assert_eq!(world.events("ncsc").await, seen);
    }
}
