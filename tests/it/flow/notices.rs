//! Whoever was given something is told to stop, to correct or to give back, and nobody else is told anything.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{Held, assert_error, assert_invalid, assert_open_with, assert_released, content, names};
use crate::harness::{World, on_both_databases, request_id};

const DAY: i64 = 86_400;

/// The usual content with another word in one category that is released.
fn corrected() -> v1::IncidentContent {
    v1::IncidentContent {
        timeline: Some(v1::Timeline { discovery: "a customer noticed".into(), ..v1::Timeline::default() }),
        ..content()
    }
}

impl World {
    async fn only_notice(&self, agency: &str) -> v1::Notice {
        let [notice] = self.notices(agency).await.try_into().unwrap();
        notice
    }

    /// An incident of the ICO's of which the NCA was released something.
    async fn released_to_nca(&self) -> (Held, String) {
        let held = self.hold("ico", "nca").await;
        let authorisation = self.authorise(&held).await;
        self.release_to_recipient(&held).await;
        (held, authorisation)
    }
}

on_both_databases! {
    async fn a_withdrawal_tells_whoever_was_given_something_to_stop_and_not_why(world: World) {
        let (permitted, released) = world.released_to_ico().await;
        // Another consent of which nothing came.
        let bare = world.permitted("ncsc").await;
        world.withdraw_consent(&bare.held, &bare.consent).await.unwrap();
        assert_eq!(world.notices("ico").await, [], "nothing was released on that one");

        let withdrawn = world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let notice = world.only_notice("ico").await;
        assert_eq!((notice.kind.as_str(), notice.state.as_str()), ("stop-further-use", "issued"));
        assert_eq!((notice.issuer.as_str(), notice.recipient.as_str()), ("ncsc", "ico"));
        assert_eq!((notice.is_release, notice.receipt_index), (true, released));
        assert_eq!((&notice.reference, &notice.categories), (&permitted.held.reference, &names(&["identity", "timeline"])));
        assert_eq!(notice.due_at, world.in_seconds(14 * DAY), "as the agreement says");
        assert_eq!(notice.entry_index, withdrawn + 1, "in the transaction of the withdrawal");

        // Its entry is the recipient's too, and says no more.
        let got = world.notice("ico", &notice.id).await.unwrap();
        assert_eq!(got.notice.as_ref(), Some(&notice));
        let proved = world.verified(got.receipt.as_ref());
        assert_eq!((proved.act, proved.grounds), (None, None));
        let stated = proved.notice.unwrap();
        assert_eq!((stated.notice, stated.receipt_index), (notice.id.clone(), released));
        assert_error(world.entry("ico", withdrawn).await, Code::NotFound, "NOT_FOUND");
        let own = world.verified(Some(&world.entry("ncsc", notice.entry_index).await.unwrap()));
        assert_eq!(own.grounds.unwrap().reasons, [format!("consent {}", permitted.consent)]);

        let [event] = world.events_of("ico", "notice").await.try_into().unwrap();
        assert_eq!((&event.notice_id, event.ends_at), (&notice.id, notice.due_at));
        assert_eq!((event.entry_index, event.incident_id.as_str()), (notice.entry_index, ""));
        for stranger in ["nca", "ncsc"] {
            assert_eq!(world.notices(stranger).await, []);
            assert_error(world.notice(stranger, &notice.id).await, Code::NotFound, "NOT_FOUND");
            assert_error(world.say(stranger, &notice.id, "stopped").await, Code::NotFound, "NOT_FOUND");
        }
        let [issued] = world.issued("ncsc").await.try_into().unwrap();
        assert_eq!((issued.cause, issued.by_hand), (format!("consent {}", permitted.consent), false));
        assert_eq!((issued.notice, issued.incident_id), (Some(notice), permitted.held.incident));
    }

    async fn one_release_has_one_notice_of_a_kind_for_each_cause(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        let (held, consent) = (&permitted.held, permitted.consent.as_str());
        // The same on the same terms is one thing to stop, however often it was asked for.
        world.release_to_recipient(held).await;
        let narrowed = v1::ConsentScope { categories: names(&["timeline"]), ..world.scope(held) };
        world.narrow_consent(held, consent, narrowed).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 1, "what was released is wider than what remains");

        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: consent.into() };
        for _ in 0..2 {
            world.consents("ncsc").withdraw_consent(request.clone()).await.unwrap();
        }
        assert_eq!(world.notices("ico").await.len(), 1, "of the same cause");
        world.later(1);
        world.revoke(held, &permitted.authorisation).await.unwrap();
        let causes: Vec<String> = world.issued("ncsc").await.into_iter().map(|one| one.cause).collect();
        assert_eq!(causes, [format!("consent {consent}"), format!("authorisation {}", permitted.authorisation)]);

        // What is released anew, and stopped anew, is another thing.
        let version = world.reconfirm_consent(held, consent, world.scope(held)).await;
        world.verify_consent(held, consent, version).await.unwrap();
        world.authorise(held).await;
        let index = world.release_to_recipient(held).await;
        assert_eq!(world.notices("ico").await.len(), 2, "a new permission tells nobody anything");
        world.later(1);
        world.withdraw_consent(held, consent).await.unwrap();
        let notices = world.notices("ico").await;
        assert_eq!((notices.len(), notices[2].receipt_index), (3, index));
    }

    async fn what_a_narrower_or_a_new_consent_still_permits_is_not_stopped(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        let (held, consent) = (&permitted.held, permitted.consent.as_str());
        let less = v1::ConsentScope { purposes: names(&["harm-reduction"]), ..world.scope(held) };
        world.narrow_consent(held, consent, less.clone()).await.unwrap();
        let wider = world.reconfirm_consent(held, consent, world.scope(held)).await;
        world.verify_consent(held, consent, wider).await.unwrap();
        assert_eq!(world.notices("ico").await, []);

        // A version that another officer verifies can be narrower, too.
        let narrower = v1::ConsentScope { categories: names(&["identity"]), ..world.scope(held) };
        let version = world.reconfirm_consent(held, consent, narrower).await;
        assert_eq!(world.notices("ico").await, [], "until it is verified the other one stands");
        world.verify_consent(held, consent, version).await.unwrap();
        assert_eq!(world.only_notice("ico").await.kind, "stop-further-use");
    }

    async fn a_consent_that_is_refused_afterwards_stops_what_relied_on_it(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        world.reconfirm_consent(&permitted.held, &permitted.consent, world.scope(&permitted.held)).await;
        world.refuse_consent(&permitted.held, &permitted.consent).await;
        assert_eq!(world.only_notice("ico").await.kind, "stop-further-use");
    }

    async fn an_authorisation_that_is_revoked_stops_what_relied_on_it(world: World) {
        let (held, authorisation) = world.released_to_nca().await;
        world.revoke(&held, &authorisation).await.unwrap();
        assert_eq!(world.only_notice("nca").await.reference, held.reference);
        assert_eq!(world.notices("ncsc").await, []);
    }

    async fn only_what_was_released_and_changed_is_corrected(world: World) {
        let (permitted, released) = world.released_to_ico().await;
        let held = &permitted.held;
        let elsewhere = v1::IncidentContent {
            narrative: Some(v1::Narrative { text: "another story".into() }),
            sector: Some(v1::Sector { code: "22".into(), ..v1::Sector::default() }),
            ..content()
        };
        world.amend_with(held, elsewhere, v1::Markings::default()).await;
        assert_eq!(world.notices("ico").await, [], "neither was released");
        world.amend_with(held, corrected(), v1::Markings::default()).await;
        let notice = world.only_notice("ico").await;
        assert_eq!((notice.kind.as_str(), notice.receipt_index), ("correction", released));
        world.say("ico", &notice.id, "corrected").await.unwrap();
        // What goes is a change as well.
        world.later(1);
        let gone = v1::IncidentContent { timeline: None, ..content() };
        world.amend_with(held, gone, v1::Markings::default()).await;
        assert_eq!(world.notices("ico").await.len(), 2);
        assert_eq!(world.issued("ncsc").await[1].cause, format!("incident {} 4", held.incident));
    }

    async fn whoever_has_the_newer_text_is_corrected_of_that_alone(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        let held = &permitted.held;
        world.amend_with(held, corrected(), v1::Markings::default()).await;
        let notice = world.only_notice("ico").await;
        let version = world.reconfirm_consent(held, &permitted.consent, world.scope(held)).await;
        world.verify_consent(held, &permitted.consent, version).await.unwrap();
        world.authorise_as(held, v1::GiveAuthorisationRequest { revision: 2, ..world.authorisation(held) }).await;
        let index = world.release_to_recipient(held).await;
        world.say("ico", &notice.id, "corrected").await.unwrap();
        world.later(1);
        let gone = v1::IncidentContent { timeline: None, ..content() };
        world.amend_with(held, gone, v1::Markings::default()).await;
        let notices = world.notices("ico").await;
        assert_eq!((notices.len(), notices[1].receipt_index), (2, index));
    }

    async fn a_recipient_says_what_it_did_and_may_say_otherwise_later(world: World) {
        let notice = world.stopped_by("ncsc").await;
        assert_invalid(world.say("ico", &notice, "corrected").await, "outcome");
        assert_invalid(world.say("ico", &notice, "").await, "outcome");
        assert_invalid(world.say("ico", &notice, "kept").await, "reason");
        assert_invalid(world.say_all("ico", &notice, "stopped", "", &["ncsc"]).await, "passed_on_to");
        world.later(14 * DAY);
        assert!(world.notice("ico", &notice).await.unwrap().notice.unwrap().overdue);
        assert_eq!(world.node.exchange().alarm_overdue().await.unwrap(), 1);
        assert_eq!(world.events_of("ncsc", "notice-acknowledged").await, []);

        let receipt = world.say_all("ico", &notice, "kept", "a court asked for it", &["met-police"]).await.unwrap();
        assert_eq!(world.node.exchange().alarm_overdue().await.unwrap(), 0);
        assert_eq!(world.events_of("ico", "notice").await, [], "it is dealt with");
        let [event] = world.events_of("ncsc", "notice-acknowledged").await.try_into().unwrap();
        assert_eq!((event.notice_id.as_str(), event.agency.as_str()), (notice.as_str(), "ico"));
        // Both sides can prove it; the officer's name is the recipient's own.
        let shown = world.verified(Some(&world.entry("ncsc", receipt.index).await.unwrap()));
        assert_eq!(shown.act, None);
        let said = shown.notice.unwrap().acknowledgement.unwrap();
        assert_eq!((said.outcome.as_str(), said.reason.as_str()), ("kept", "a court asked for it"));
        assert_eq!(said.passed_on_to, ["met-police"]);
        assert!(world.verified(Some(&receipt)).act.is_some());

        world.say("ico", &notice, "deleted").await.unwrap();
        let [issued] = world.issued("ncsc").await.try_into().unwrap();
        let shown = issued.notice.unwrap();
        let said: Vec<_> = shown.acknowledgements.iter().map(|one| (one.version, one.outcome.as_str())).collect();
        assert_eq!((shown.state.as_str(), shown.overdue, said), ("deleted", false, vec![(1, "kept"), (2, "deleted")]));
        let request = v1::ListNoticesRequest { outstanding: true, ..v1::ListNoticesRequest::default() };
        assert_eq!(world.notice_desk("ico").list_notices(request).await.unwrap().into_inner().notices, []);
    }

    async fn a_notice_changes_nothing_for_who_got_nothing(world: World) {
        // It asked for the same incident as whoever got it, and is an agency to which notices go.
        let (held, authorisation) = world.released_to_nca().await;
        let other = world.hold_incident("ico", "ncsc", held.organisation.clone(), held.incident.clone()).await;
        assert_open_with("nothing permits it to the NCSC", &world.outcome(&other).await);
        let seen = async || {
            let request = v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
            let receipts = world.ledger("ncsc").list_entries(request).await.unwrap().into_inner().receipts;
            let entries: Vec<_> = receipts.into_iter().map(|one| (one.index, one.entry, one.openings)).collect();
            (world.events("ncsc").await, world.notices("ncsc").await, entries)
        };
        let before = seen().await;
        assert!(!before.2.is_empty());
        world.revoke(&held, &authorisation).await.unwrap();
        assert_eq!(world.notices("nca").await.len(), 1);
        assert!(seen().await == before, "it learns of a notice to another");
    }

    async fn who_has_a_copy_of_an_erased_incident_is_still_told(world: World) {
        let organisation = world.register_organisation("ncsc", vec![]).await;
        let mut copies = Vec::new();
        for _ in 0..2 {
            let request = world.incident_at(&organisation);
            let incident = world.incidents("ncsc").register_incident(request).await.unwrap().into_inner().incident_id;
            let held = world.hold_incident("ncsc", "ico", organisation.clone(), incident).await;
            let permitted = world.permit(held).await;
            let index = world.release_to_recipient(&permitted.held).await;
            world.erase(&permitted.held).await;
            copies.push((permitted, index));
        }
        let [(withdrawn, first), (mistaken, second)] = &copies[..] else { panic!() };
        world.withdraw_consent(&withdrawn.held, &withdrawn.consent).await.unwrap();
        let notice = world.only_notice("ico").await;
        assert_eq!((notice.kind.as_str(), notice.receipt_index), ("stop-further-use", *first));

        world.later(1);
        world.mark_in_error(&mistaken.held, &mistaken.consent).await.unwrap();
        let notices = world.notices("ico").await;
        assert_eq!((notices.len(), notices[1].kind.as_str(), notices[1].receipt_index), (2, "recall", *second));
        // By its entry, too; and the holder still sees to whom it went.
        world.report_releases("ncsc", &[*first]).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 3);
        assert_eq!(world.disclosures(&withdrawn.held).await.len(), 1);
    }

    async fn notices_are_found_after_a_restart(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        world = world.restart().await;
        world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        let notice = world.only_notice("ico").await;
        world = world.restart().await;
        assert_eq!(world.only_notice("ico").await, notice);
        assert_released(&world.outcome(&world.permitted("ncsc").await.held).await, &["identity", "timeline"]);
    }
}
