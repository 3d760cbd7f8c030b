//! Which consent, at which version, at what time.

use concordat::proto::v1;
use tonic::Code;

use super::index;
use crate::builders::{
    assert_error, assert_open_with, assert_released, content, names, only_incident, released, wide_content,
};
use crate::harness::{on_both_databases, request_id};

on_both_databases! {
    async fn anomaly_a7_of_two_consents_the_one_that_stands_is_cited(world: World) {
        for withdrawn_first in [true, false] {
            let held = world.hold("ncsc", "ico").await;
            world.authorise(&held).await;
            let narrow = v1::ConsentScope { categories: names(&["timeline"]), ..world.scope(&held) };
            let wide = v1::ConsentScope { onward: true, ..world.scope(&held) };
            let (first, second) = if withdrawn_first { (wide.clone(), narrow) } else { (narrow, wide) };
            let consents = [world.give_consent(&held, first).await, world.give_consent(&held, second).await];
            let (withdrawn, stands) = if withdrawn_first { (0, 1) } else { (1, 0) };
            let withdrawal = world.withdraw_consent(&held, &consents[withdrawn]).await.unwrap();

            let response = world.put(&held, world.ask(&held)).await.unwrap();
            assert_released(response.outcome.as_ref().unwrap(), &["timeline"]);
            let handling = only_incident(response.outcome.as_ref().unwrap()).handling.clone().unwrap();
            assert_eq!(handling.onward, "no", "what only the withdrawn one permitted");
            assert!(withdrawal < index(&response));
            let basis = world.basis(index(&response)).await;
            assert!(basis.contains(&consents[stands]) && !basis.contains(&consents[withdrawn]), "{basis}");
            world.withdraw_consent(&held, &consents[stands]).await.unwrap();
            assert_open_with("both consents withdrawn", &world.outcome(&held).await);
        }
    }

    async fn anomaly_a8_what_was_released_under_one_version_is_not_sent_again_under_another(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let ask = world.ask(held);
        let first = world.put(held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        assert!(world.basis(index(&first)).await.contains(&format!("[\"{}\",1]", permitted.consent)));

        world.withdraw_consent(held, &permitted.consent).await.unwrap();
        let version = world.reconfirm_consent(held, &permitted.consent, world.scope(held)).await;
        world.verify_consent(held, &permitted.consent, version).await.unwrap();

        let repeat = world.put(held, ask).await.unwrap();
        assert_eq!(index(&repeat), index(&first));
        assert!(released(repeat.outcome.as_ref().unwrap()).is_empty(), "content went out under another version");
        let anew = world.put(held, world.ask(held)).await.unwrap();
        assert_released(anew.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        assert!(world.basis(index(&anew)).await.contains(&format!("[\"{}\",{version}]", permitted.consent)));
    }

    /// On pages; on the stream in `streams`.
    async fn anomaly_a9_what_is_narrowed_between_two_pages_is_not_on_the_second(world: World) {
        let (_, begun) = world.since("ico", "").await;
        let first = world.permitted("ncsc").await;
        world.offer_incident(&first.held).await.unwrap();
        world.later(1);
        let second = world.permitted("ncsc").await;
        world.offer_incident(&second.held).await.unwrap();
        let mut desk = world.event_desk("ico");
        let page = |cursor: String| v1::ListEventsRequest { page_size: 1, cursor };
        let one = desk.list_events(page(begun)).await.unwrap().into_inner();
        assert_eq!(one.events[0].reference, first.held.reference);
        let two = desk.list_events(page(one.next_cursor.clone())).await.unwrap().into_inner();
        assert_eq!(two.events[0].reference, second.held.reference, "it is there until the consent is narrowed");

        let scope = v1::ConsentScope { purposes: names(&["regulatory-assessment"]), ..world.scope(&second.held) };
        world.narrow_consent(&second.held, &second.consent, scope).await.unwrap();
        let two = desk.list_events(page(one.next_cursor)).await.unwrap().into_inner();
        assert_eq!(two.events, [], "on a page that was begun before");
    }

    /// Time is a count of microseconds in UTC: neither a leap second nor the clocks' change in spring is in it.
    async fn anomaly_a10_a_consent_ends_at_its_microsecond_and_a_clock_set_back_does_not_revive_it(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let until = world.now().plus_seconds(60);
        let scope = v1::ConsentScope { valid_until: world.in_seconds(60), ..world.scope(&held) };
        let consent = world.give_consent(&held, scope).await;
        world.hand.set(until);
        world.hand.advance_micros(-1);
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        world.hand.set(until);
        assert_open_with("a consent at its very end", &world.outcome(&held).await);
        for back in [1, 1_000_000, 2_000_000] {
            world.hand.set(until);
            world.hand.advance_micros(-back);
            assert_open_with("a clock that was set back a little", &world.outcome(&held).await);
        }
        world.hand.set(until);
        world.hand.advance_micros(-2_000_001);
        let before = world.committed().await;
        assert_error(world.put(&held, world.ask(&held)).await, Code::Unavailable, "CLOCK");
        assert_eq!(world.committed().await, before);
        world.withdraw_consent(&held, &consent).await.unwrap();
        world.hand.set(until);
    }

    /// A consent to one agency is none to another, also where it lets that one ask to pass it on; and what it passed on
    /// already, as it says itself, is known to the holder when the consent is gone.
    async fn anomaly_a15_what_was_passed_on_under_a_consent_is_known_once_that_is_withdrawn(world: World) {
        let held = world.hold("nca", "ico").await;
        world.authorise(&held).await;
        let consent = world.give_consent(&held, v1::ConsentScope { onward: true, ..world.scope(&held) }).await;
        let released = world.release_to_recipient(&held).await;
        world.withdraw_consent(&held, &consent).await.unwrap();
        let [notice] = world.notices("ico").await.try_into().unwrap();
        assert_eq!(notice.receipt_index, released);
        world.say_all("ico", &notice.id, "stopped", "", &["ncsc"]).await.unwrap();
        let [issued] = world.issued("nca").await.try_into().unwrap();
        assert_eq!(issued.notice.unwrap().acknowledgements[0].passed_on_to, names(&["ncsc"]));
        assert_eq!(world.notices("ncsc").await, [], "it is the recipient's to tell whom it gave copies to");
    }

    async fn anomaly_a17_what_is_added_after_a_withdrawal_is_under_no_old_permission(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let given = v1::GiveAuthorisationRequest {
            covers_updates: true,
            categories: names(&["identity", "timeline", "assessment"]),
            ..world.authorisation(&held)
        };
        world.authorise_as(&held, given).await;
        let scope = v1::ConsentScope {
            covers_updates: true,
            categories: names(&["identity", "timeline", "assessment"]),
            ..world.scope(&held)
        };
        let consent = world.give_consent(&held, scope.clone()).await;
        let ask = || v1::RequestReleaseRequest {
            request_id: request_id(),
            categories: names(&["identity", "timeline", "assessment"]),
            ..world.ask(&held)
        };
        let before = ask();
        let first = world.put(&held, before.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);

        // Queued in the worst order: the ask, then the new content, then the withdrawal, in one batch.
        let stalled = world.stall().await;
        let asking = tokio::spawn(world.asking_for(&held, ask()));
        world.until_queued(1).await;
        let (mut incidents, incident_id) = (world.incidents("ncsc"), held.incident.clone());
        let amendment = v1::AmendIncidentRequest {
            request_id: request_id(),
            incident_id,
            etag: "1".into(),
            markings: Some(v1::Markings::default()),
            content: Some(wide_content()),
        };
        let amending = tokio::spawn(async move { incidents.amend_incident(amendment).await.unwrap().into_inner() });
        world.until_queued(2).await;
        let (mut consents, consent_id) = (world.consents("ncsc"), consent.clone());
        let withdrawal = v1::WithdrawConsentRequest { request_id: request_id(), consent_id };
        let withdrawing = tokio::spawn(async move { consents.withdraw_consent(withdrawal).await.unwrap().into_inner() });
        world.until_queued(3).await;
        stalled.let_go().await;
        let withdrawn = withdrawing.await.unwrap().receipt.unwrap().index;
        let amended = amending.await.unwrap().receipt.unwrap().index;
        let asked = asking.await.unwrap().unwrap();
        assert!(withdrawn < amended && amended < index(&asked), "{withdrawn} {amended} {}", index(&asked));
        assert_open_with("content that came with the withdrawal", asked.outcome.as_ref().unwrap());

        // Nor does the repeat of what was released before get any of it.
        let repeat = world.put(&held, before).await.unwrap();
        assert!(released(repeat.outcome.as_ref().unwrap()).is_empty());
        // A consent given now, for the first revision alone, is none for what was added.
        world.give_consent(&held, v1::ConsentScope { revision: 1, covers_updates: false, ..scope.clone() }).await;
        assert_open_with("a consent for what was there before", &world.put(&held, ask()).await.unwrap().outcome.unwrap());
        world.give_consent(&held, scope).await;
        let outcome = world.put(&held, ask()).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["assessment", "identity", "timeline"]);
        assert_ne!(content(), wide_content());
    }
}
