//! A wrongful release is stopped, called back, followed and closed; what was said by telephone is called back with it.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{
    Permitted, assert_error, assert_invalid, assert_open_with, assert_released, content, names, released,
};
use crate::harness::{World, on_both_databases, request_id};

const HOUR: i64 = 3_600;

on_both_databases! {
    async fn a_consent_entered_in_error_makes_what_relied_on_it_wrongful(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let ask = world.ask(held);
        let first = world.put(held, ask.clone()).await.unwrap();
        let released_at = first.receipt.as_ref().unwrap().index;

        let marked = world.mark_in_error(held, &permitted.consent).await.unwrap();
        let stated = world.verified(Some(&marked)).wrongful_release.unwrap();
        assert_eq!(stated.cause, "consent-entered-in-error");
        let [notice] = world.notices("ico").await.try_into().unwrap();
        assert_eq!((notice.kind.as_str(), notice.receipt_index), ("recall", released_at));
        assert_eq!(notice.due_at, world.in_seconds(7 * 24 * HOUR));
        let versions = v1::GetConsentRequest { consent_id: permitted.consent.clone() };
        let consent = world.verifier("ncsc").get_consent(versions).await.unwrap().into_inner().consent.unwrap();
        assert_eq!(consent.versions[0].state, "entered-in-error");
        assert_error(world.mark_in_error(held, &permitted.consent).await, Code::FailedPrecondition, "WRONG_STATE");

        let [wrongful] = world.wrongful_releases("ncsc").await.try_into().unwrap();
        assert_eq!((&wrongful.id, wrongful.state.as_str(), wrongful.frozen), (&stated.wrongful_release, "open", true));
        assert_eq!(wrongful.breach_due_at, world.in_seconds(72 * HOUR));
        let [event] = world.events_of("ncsc", "wrongful-release").await.try_into().unwrap();
        assert_eq!((&event.wrongful_release_id, event.ends_at), (&wrongful.id, wrongful.breach_due_at));

        // Nothing permits it to that agency again, and a repeat gives no content.
        let repeat = world.put(held, ask).await.unwrap();
        assert!(released(repeat.outcome.as_ref().unwrap()).is_empty());
        world.give_consent(held, world.scope(held)).await;
        assert_open_with("a new consent while it is frozen", &world.outcome(held).await);
        assert_eq!(world.preview(held, "isa-1994-s4-2-a").await.missing, names(&[]));

        world.say("ico", &notice.id, "deleted").await.unwrap();
        world.close("ncsc", &wrongful.id, "", false).await.unwrap();
        assert_open_with("closing it lifts nothing", &world.outcome(held).await);
        assert_eq!(world.events_of("ncsc", "wrongful-release").await.len(), 1, "the breach is not settled by it");
        assert_error(world.close("ncsc", &wrongful.id, "", false).await, Code::FailedPrecondition, "WRONG_STATE");
        world.close("ncsc", &wrongful.id, "", true).await.unwrap();
        assert_released(&world.outcome(held).await, &["identity", "timeline"]);
        assert_error(world.close("ncsc", &wrongful.id, "", true).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn a_consent_is_marked_before_what_relied_on_it_is_called_back_as_an_error(world: World) {
        let (permitted, index) = world.released_to_ico().await;
        let by_consent = || v1::ReportWrongfulReleaseRequest {
            cause: "consent-entered-in-error".into(),
            consent_id: permitted.consent.clone(),
            ..v1::ReportWrongfulReleaseRequest::default()
        };
        let by_entry = v1::ReportWrongfulReleaseRequest {
            consent_id: String::new(),
            receipt_indexes: vec![index],
            ..by_consent()
        };
        for request in [by_consent(), by_entry] {
            assert_error(world.report("ncsc", request).await, Code::FailedPrecondition, "WRONG_STATE");
        }
        assert_eq!(world.notices("ico").await, []);
        // Marking it does both: nothing more goes out under it, and what did is called back.
        world.mark_in_error(&permitted.held, &permitted.consent).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 1);
        assert_error(world.report("ncsc", by_consent()).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn a_wrong_recipient_is_frozen_out_and_nobody_else(world: World) {
        let held = world.hold("ico", "nca").await;
        world.authorise(&held).await;
        let index = world.release_to_recipient(&held).await;
        // The same incident for another agency.
        let other = world.hold_incident("ico", "ncsc", held.organisation.clone(), held.incident.clone()).await;
        world.authorise(&other).await;
        let right = world.release_to_recipient(&other).await;

        assert_error(world.report_releases("ncsc", &[index]).await, Code::NotFound, "NOT_FOUND");
        assert_error(world.report_releases("ico", &[index, 1]).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.notices("nca").await, [], "all of it or none");
        let wrongful = world.report_releases("ico", &[index]).await.unwrap();
        assert_error(world.report_releases("ico", &[index]).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_open_with("released to it wrongly", &world.outcome(&held).await);
        assert_released(&world.outcome(&other).await, &["identity", "timeline"]);
        assert_eq!(world.notices("ncsc").await, []);

        // Every copy is listed, and whoever the recipient passed one on to.
        let made = world.record_disclosure("ico", world.telephone_call(&held, "met-police")).await.unwrap();
        let [notice] = world.notices("nca").await.try_into().unwrap();
        world.say_all("nca", &notice.id, "kept", "it is in a case file", &["europol"]).await.unwrap();
        let copies = world.wrongful("ico", &wrongful).await.copies;
        let about = |copy: &v1::WrongfulCopy| {
            let made = copy.disclosure.clone().unwrap();
            (made.recipient, made.receipt_index, copy.wrongful)
        };
        let mut listed: Vec<_> = copies.iter().map(about).collect();
        listed.sort();
        assert_eq!(listed, [("met-police".into(), 0, false), ("nca".into(), index, true), ("ncsc".into(), right, false)]);
        let recalled: Vec<_> = copies.into_iter().flat_map(|copy| copy.notices).collect();
        let said = &recalled[0].notice.as_ref().unwrap().acknowledgements[0];
        assert_eq!((recalled.len(), &said.passed_on_to), (1, &names(&["europol"])));
        assert_eq!(world.disclosures(&held).await.iter().filter(|one| one.id == made).count(), 1);
    }

    async fn every_place_is_listed_to_which_a_copy_may_have_gone(world: World) {
        let (release, held, consent) = world.received_by_ico("ncsc", World::onward_scope).await;
        let received = world.receive("ico", release, "nca").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "ncsc").await;
        // What was asked and not permitted is no place.
        world.ask_permission("ico", world.permission_for(&received, "ncsc")).await.unwrap();
        // What is said of another copy is not said of this one.
        let other = world.released_to_ico().await.1;

        // Said before it was known to be wrong, and of a permission that has ended.
        world.withdraw_consent(&held, &consent).await.unwrap();
        let [stop] = world.notices("ico").await.try_into().unwrap();
        world.say_all("ico", &stop.id, "kept", "it is evidence", &["europol"]).await.unwrap();
        world.withdraw_permission("ncsc", &permission).await.unwrap();

        world.later(1);
        let index = received.release.receipt.as_ref().unwrap().index;
        let wrongful = world.report_releases("ncsc", &[index, other]).await.unwrap();
        let mut copies = world.wrongful("ncsc", &wrongful).await.copies;
        copies.sort_by_key(|copy| copy.disclosure.as_ref().unwrap().receipt_index);
        let [copy, beside] = &copies[..] else { panic!("{copies:?}") };
        let notices: Vec<_> = copy.notices.iter().map(|issued| issued.notice.clone().unwrap()).collect();
        assert_eq!(notices.iter().map(|notice| notice.kind.as_str()).collect::<Vec<_>>(), ["stop-further-use", "recall"]);
        assert_eq!(notices[0].acknowledgements[0].passed_on_to, names(&["europol"]));
        let [permitted] = &copy.permitted[..] else { panic!("{copies:?}") };
        assert_eq!((permitted.id.as_str(), permitted.state.as_str()), (permission.as_str(), "withdrawn"));
        assert_eq!((permitted.holder.as_str(), permitted.recipient.as_str()), ("ico", "nca"));
        assert_eq!(permitted.incident_id, held.incident);
        assert_eq!((beside.notices.len(), beside.permitted.len()), (1, 0));
    }

    async fn of_a_copy_that_is_called_back_or_gone_nothing_else_is_said(world: World) {
        let (recalled, index) = world.released_to_ico().await;
        let (deleted, _) = world.released_to_ico().await;
        world.report_releases("ncsc", &[index]).await.unwrap();
        // Notices of one instant are in no order.
        world.later(1);
        world.withdraw_consent(&deleted.held, &deleted.consent).await.unwrap();
        let notices = world.notices("ico").await;
        assert_eq!(notices.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(), ["recall", "stop-further-use"]);
        world.say("ico", &notices[1].id, "deleted").await.unwrap();

        for permitted in [&recalled, &deleted] {
            let timeline = Some(v1::Timeline { discovery: "a customer noticed".into(), ..v1::Timeline::default() });
            let content = v1::IncidentContent { timeline, ..content() };
            world.amend_with(&permitted.held, content, v1::Markings::default()).await;
            world.revoke(&permitted.held, &permitted.authorisation).await.unwrap();
        }
        world.withdraw_consent(&recalled.held, &recalled.consent).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 2);
        // A recall is said of everything that was given, gone or not.
        world.mark_in_error(&deleted.held, &deleted.consent).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 3);
    }

    async fn it_is_closed_once_every_recall_is_acknowledged_or_with_a_reason(world: World) {
        let (permitted, index) = world.released_to_ico().await;
        let again = world.permitted("ncsc").await;
        let second = world.release_to_recipient(&again.held).await;
        let wrongful = world.report_releases("ncsc", &[index, second]).await.unwrap();
        let notices = world.notices("ico").await;
        assert_eq!(notices.len(), 2);
        world.say("ico", &notices[0].id, "returned").await.unwrap();
        assert_invalid(world.close("ncsc", &wrongful, "", true).await, "reason");
        assert_invalid(world.close("ncsc", &wrongful, "   ", true).await, "reason");
        world.close("ncsc", &wrongful, "they say by letter that it is gone", true).await.unwrap();
        let closed = world.wrongful("ncsc", &wrongful).await;
        assert_eq!((closed.state.as_str(), closed.frozen), ("closed", false));
        assert_eq!(closed.reason, "they say by letter that it is gone");
        // What is released anew after that can be wrong anew.
        let index = world.release_to_recipient(&permitted.held).await;
        world.report_releases("ncsc", &[index]).await.unwrap();
        assert_eq!(world.notices("ico").await.len(), 3);
        assert_open_with("frozen anew", &world.outcome(&permitted.held).await);
    }

    async fn two_freezes_of_one_incident_are_lifted_one_by_one(world: World) {
        let (permitted, index) = world.released_to_ico().await;
        let call = world.telephone_call(&permitted.held, "ico");
        let made = world.record_disclosure("ncsc", call).await.unwrap();
        let first = world.report_releases("ncsc", &[index]).await.unwrap();
        let second = world.report_disclosure("ncsc", &made).await.unwrap();
        world.close("ncsc", &first, "found", true).await.unwrap();
        assert_open_with("the other one stands", &world.outcome(&permitted.held).await);
        world.close("ncsc", &second, "found", true).await.unwrap();
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
    }

    async fn what_a_recall_kept_back_is_said_once_the_copy_is_kept_or_the_freeze_lifted(world: World) {
        let (before, first) = world.released_to_ico().await;
        let (after, second) = world.released_to_ico().await;
        let (lifted, third) = world.released_to_ico().await;
        let (gone, fourth) = world.released_to_ico().await;
        for index in [first, second] {
            world.report_releases("ncsc", &[index]).await.unwrap();
        }
        let wrongful = world.report_releases("ncsc", &[third, fourth]).await.unwrap();
        let about = async |permitted: &Permitted| {
            let mut notices = world.notices("ico").await;
            notices.retain(|notice| notice.reference == permitted.held.reference);
            notices
        };
        let say = async |permitted: &Permitted, outcome: &str| {
            let recall = about(permitted).await.remove(0);
            world.say_all("ico", &recall.id, outcome, "evidence", &[]).await.unwrap();
        };
        say(&before, "kept").await;
        say(&gone, "deleted").await;
        world.later(1);
        for permitted in [&before, &after, &lifted, &gone] {
            world.withdraw_consent(&permitted.held, &permitted.consent).await.unwrap();
        }
        let counts = async || {
            let mut counts = Vec::new();
            for permitted in [&before, &after, &lifted, &gone] {
                counts.push(about(permitted).await.len());
            }
            counts
        };
        assert_eq!(counts().await, [2, 1, 1, 1], "it said before that it keeps it");
        world.later(1);
        say(&after, "kept").await;
        assert_eq!(counts().await, [2, 2, 1, 1]);
        assert_eq!(about(&after).await[1].kind, "stop-further-use");
        world.close("ncsc", &wrongful, "they wrote that it is gone", true).await.unwrap();
        assert_eq!(counts().await, [2, 2, 2, 1], "what is deleted needs no stop");
        assert_eq!(about(&lifted).await[1].kind, "stop-further-use");
        world.later(1);
        say(&gone, "kept").await;
        say(&gone, "kept").await;
        assert_eq!(counts().await, [2, 2, 2, 2], "it is said once");
    }

    async fn what_was_kept_back_from_a_copy_that_was_gone_is_said_once_it_is_kept(world: World) {
        let (permitted, _) = world.released_to_ico().await;
        let held = &permitted.held;
        let timeline = |text: &str| {
            let timeline = Some(v1::Timeline { discovery: text.into(), ..v1::Timeline::default() });
            v1::IncidentContent { timeline, ..content() }
        };
        world.amend_with(held, timeline("a customer noticed"), v1::Markings::default()).await;
        let [correction] = world.notices("ico").await.try_into().unwrap();
        world.say("ico", &correction.id, "deleted").await.unwrap();
        world.later(1);
        world.withdraw_consent(held, &permitted.consent).await.unwrap();
        world.revoke(held, &permitted.authorisation).await.unwrap();
        world.amend_with(held, timeline("an employee noticed"), v1::Markings::default()).await;
        assert_eq!(world.kinds("ico").await, ["correction"]);
        world.say_all("ico", &correction.id, "kept", "a copy turned up", &[]).await.unwrap();
        let mut kinds = world.kinds("ico").await;
        kinds.sort();
        assert_eq!(kinds, ["correction", "correction", "stop-further-use", "stop-further-use"]);
        let causes: Vec<String> = world.issued("ncsc").await.into_iter().map(|one| one.cause).collect();
        assert!(causes.contains(&format!("incident {} 3", held.incident)), "{causes:?}");
    }

    async fn what_relied_on_an_error_is_one_whatever_was_said_since(world: World) {
        let (permitted, first) = world.released_to_ico().await;
        let (held, consent) = (&permitted.held, permitted.consent.as_str());
        world.mark_in_error(held, consent).await.unwrap();
        let [opened] = world.wrongful_releases("ncsc").await.try_into().unwrap();
        world.close("ncsc", &opened.id, "they asked the organisation", true).await.unwrap();
        let version = world.reconfirm_consent(held, consent, world.scope(held)).await;
        world.verify_consent(held, consent, version).await.unwrap();
        let second = world.release_to_recipient(held).await;
        let report = |receipt_indexes: Vec<u64>, consent_id: &str| v1::ReportWrongfulReleaseRequest {
            cause: "consent-entered-in-error".into(),
            receipt_indexes,
            consent_id: consent_id.into(),
            ..v1::ReportWrongfulReleaseRequest::default()
        };
        let by_entry = world.report("ncsc", report(vec![second], "")).await;
        assert_error(by_entry, Code::FailedPrecondition, "WRONG_STATE");
        let reported = world.report("ncsc", report(vec![], consent)).await.unwrap();
        let copies = world.wrongful("ncsc", &reported).await.copies;
        let entry = |copy: &v1::WrongfulCopy| copy.disclosure.as_ref().unwrap().receipt_index;
        let wrongful: Vec<u64> = copies.iter().filter(|copy| copy.wrongful).map(entry).collect();
        assert_eq!((wrongful, copies.len()), (vec![first], 2));
    }

    async fn a_duty_does_not_override_a_freeze(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        let ask = || v1::RequestReleaseRequest { request_id: request_id(), ..world.csirt_ask(&held) };
        let first = world.put(&held, ask()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        world.report_releases("ico", &[first.receipt.unwrap().index]).await.unwrap();
        assert_open_with("a duty", &world.put(&held, ask()).await.unwrap().outcome.unwrap());
        let offers = world.events_of("ncsc", "offer").await;
        assert_eq!(offers, [], "nor is it offered");
    }

    async fn the_breach_clock_counts_from_when_the_holder_knew(world: World) {
        let (_, index) = world.released_to_ico().await;
        let request = |aware: i64| v1::ReportWrongfulReleaseRequest {
            cause: "other".into(),
            receipt_indexes: vec![index],
            aware_at: world.in_seconds(aware),
            ..v1::ReportWrongfulReleaseRequest::default()
        };
        assert_invalid(world.report("ncsc", request(1)).await, "aware_at");
        let wrongful = world.report("ncsc", request(-2 * HOUR)).await.unwrap();
        assert_eq!(world.wrongful("ncsc", &wrongful).await.breach_due_at, world.in_seconds(70 * HOUR));
        assert_eq!(world.events_of("ico", "wrongful-release").await, [], "the clock is the holder's own");
        world.later(70 * HOUR - 1);
        let overdue = async || world.node.exchange().alarm_overdue().await.unwrap();
        assert_eq!(overdue().await, 0);
        world.later(1);
        assert_eq!(overdue().await, 1, "nobody closed it");
        world.close("ncsc", &wrongful, "they wrote that it is gone", false).await.unwrap();
        assert_eq!((overdue().await, world.events_of("ncsc", "wrongful-release").await), (0, vec![]));
    }
}
