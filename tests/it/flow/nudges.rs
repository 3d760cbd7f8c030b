//! What nobody has done yet: told when it is due, once, and not once it is done.

use concordat::domain::Instant;
use concordat::proto::v1;

use crate::builders::Held;
use crate::harness::{Engine, World, on_both_databases};

const DAY: i64 = 86_400;

fn kinds(events: &[v1::Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

impl World {
    /// How many nudges are due, as the node counts them for its log.
    async fn nudges(&self) -> Vec<(&'static str, u64)> {
        let counted = self.node.exchange().nudges_due().await.unwrap();
        counted
            .into_iter()
            .map(|(kind, count)| (kind.as_str(), count))
            .filter(|(kind, _)| *kind != "review-due")
            .collect()
    }
}

on_both_databases! {
    async fn a_record_that_matches_later_and_a_later_release_count_as_well(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        world.permit(held.clone()).await;
        let again = v1::RequestReleaseRequest {
            request_id: crate::harness::request_id(),
            request: request.clone(),
            ..v1::RequestReleaseRequest::default()
        };
        world.put(&held, again).await.unwrap();
        world.later(20 * DAY);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await, [], "it was released when it was put again");

        let identifier = crate::builders::identifier(77);
        let declined = world.put(&held, world.ask_by_name("ncsc", vec![identifier.clone()])).await.unwrap().request;
        let left = world.put(&held, world.ask_by_name("ncsc", vec![identifier.clone()])).await.unwrap().request;
        world.later(8 * DAY);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await, [], "nothing is held");
        let organisation = world.register_organisation("ncsc", vec![identifier]).await;
        world.incidents("ncsc").register_incident(world.incident_at(&organisation)).await.unwrap();
        world.later(7 * DAY - 1);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await, []);
        world.later(1);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await.len(), 2, "a week from when they matched");

        // What was decided is not asked for anew: not by an amendment of the organisation, nor by another record of it.
        world.decline("ncsc", &declined).await.unwrap();
        let amendment = world.amendment_of("ncsc", &organisation).await;
        world.amend_organisation("ncsc", amendment).await.unwrap();
        world.incidents("ncsc").register_incident(world.incident_at(&organisation)).await.unwrap();
        world.later(8 * DAY);
        let told = world.events_of("ncsc", "request-unanswered").await;
        assert_eq!(told.iter().map(|event| &event.request).collect::<Vec<_>>(), [&left]);
        assert_eq!(world.nudges().await, [("request-unanswered", 1)]);
    }

    async fn nothing_is_to_be_done_about_a_request_that_has_expired(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.put(&held, world.ask(&held)).await.unwrap();
        world.later(8 * DAY);
        let [told] = world.events_of("ncsc", "request-unanswered").await.try_into().unwrap();
        let open = told.ends_at.unwrap().seconds - world.now().micros().div_euclid(1_000_000);
        world.later(open - 2);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await.len(), 1);
        world.later(3);
        assert_eq!(world.events_of("ncsc", "request-unanswered").await, []);
        assert_eq!(world.nudges().await, []);
    }

    async fn a_notice_that_nobody_acknowledges_is_told_to_whoever_issued_it(world: World) {
        let id = world.stopped_for("ncsc").await;
        let notice = world.notices("ncsc").await.remove(0);
        let due_at = notice.due_at.unwrap().seconds;
        let until_due = due_at - world.now().micros().div_euclid(1_000_000);
        world.later(until_due - 2);
        assert_eq!(world.events_of("ico", "notice-unacknowledged").await, []);
        world.later(3);
        let [event] = world.events_of("ico", "notice-unacknowledged").await.try_into().unwrap();
        assert_eq!((&event.notice_id, event.agency.as_str(), event.ends_at), (&id, "ncsc", notice.due_at));
        assert_eq!(world.events_of("ncsc", "notice-unacknowledged").await, []);
        assert_eq!(world.nudges().await, [("notice-unacknowledged", 1)]);
        world.say("ncsc", &id, "stopped").await.unwrap();
        assert_eq!(world.events_of("ico", "notice-unacknowledged").await, [], "it was");
    }
}

/// A request is told of once a week has passed without a decision, whatever the week.
async fn requests(engine: Engine) {
    let Some(world) = World::start_without_agreements(engine).await else { return };
    // The clocks go back in London within the week that follows, which is none of this clock's business.
    world.hand.set(Instant::on_date("2025-10-20").unwrap());
    world.activate_all().await;
    let (offered, declined, left) =
        (world.permitted("ncsc").await.held, world.hold("ncsc", "ico").await, world.hold("ncsc", "ico").await);
    let ask = async |held: &Held| world.put(held, world.ask(held)).await.unwrap().request;
    let released = ask(&world.permitted("ncsc").await.held).await;
    let (declined, left) = (ask(&declined).await, ask(&left).await);
    world.decline("ncsc", &declined).await.unwrap();
    // Nothing is held: nobody is told of that either.
    let nothing = v1::RequestReleaseRequest {
        target: Some(v1::request_release_request::Target::Reference("ref_that_was_never_issued".into())),
        ..world.ask(&offered)
    };
    world.put(&offered, nothing).await.unwrap();
    let (first, mut cursor) = world.since("ncsc", "").await;
    assert_eq!(first.iter().filter(|event| event.kind == "request-to-look-at").count(), 3, "{released} and two");

    // The review is overdue already: one event says so, and none that it will be.
    assert_eq!(first.iter().filter(|event| event.kind == "review-due").count(), 1);

    world.later(7 * DAY - 1);
    assert_eq!(world.since("ncsc", &cursor).await.0, []);
    world.later(1);
    let due;
    (due, cursor) = world.since("ncsc", &cursor).await;
    let [event] = due.as_slice() else { panic!("one is left: {due:?}") };
    assert_eq!((event.kind.as_str(), &event.request), ("request-unanswered", &left));
    assert_eq!((event.agency.as_str(), event.incident_id.as_str()), ("ico", ""));
    assert_eq!(world.nudges().await, [("request-unanswered", 1)]);
    assert_eq!(world.events_of("ico", "request-unanswered").await, [], "a question of the holder's own");
    world.later(30 * DAY);
    assert!(!kinds(&world.since("ncsc", &cursor).await.0).contains(&"request-unanswered"), "once");
    world.decline("ncsc", &left).await.unwrap();
    assert_eq!(world.events_of("ncsc", "request-unanswered").await, [], "somebody has decided");
    assert_eq!(world.nudges().await, []);
    world.finish().await;
}

/// Requests whose weeks end in the hour in which the clocks of London change, before it and after it, and an authorisation
/// that ends then; and a node's clock that is set back by seconds now and then, also over the very moment.
async fn summer_time(engine: Engine) {
    const HALF_HOUR: i64 = 1_800;
    let Some(world) = World::start_without_agreements(engine).await else { return };
    world.hand.set(Instant::on_date("2025-10-01").unwrap());
    world.activate_all().await;
    let held = world.hold("ncsc", "ico").await;
    // The days on which the clocks change, at 01:00 UTC: back, and forward.
    for change in ["2025-10-26", "2026-03-29"] {
        let change = Instant::on_date(change).unwrap();
        let (_, mut cursor) = world.since("ncsc", "").await;
        let mut due = Vec::new();
        for number in 1..4 {
            let due_at = change.plus_seconds(number * HALF_HOUR);
            world.hand.set(due_at.plus_seconds(-7 * DAY));
            due.push((world.put(&held, world.ask(&held)).await.unwrap().request, due_at));
        }
        // Told of half a time before: an authorisation that was given three hours before.
        world.hand.set(change.plus_seconds(-3 * 3_600));
        let given =
            v1::GiveAuthorisationRequest { valid_until: world.in_seconds(9 * 3_600), ..world.authorisation(&held) };
        due.push((world.authorise_as(&held, given).await, change.plus_seconds(3 * HALF_HOUR)));
        world.hand.set(change.plus_seconds(-60));
        (_, cursor) = world.since("ncsc", &cursor).await;
        let mut told: Vec<(String, Instant)> = Vec::new();
        let mut latest = world.now();
        for step in [60, 1_799, 1, -1, 2, -3, 1_798, 2, 1, -4, 900, -1, 903, -2, 1, 3, 1, -1, 1_800, 7_200] {
            world.later(step);
            latest = latest.max(world.now());
            let events;
            (events, cursor) = world.since("ncsc", &cursor).await;
            let of = |event: v1::Event| match event.kind.as_str() {
                "request-unanswered" => Some(event.request),
                "authorisation-ends" => Some(event.authorisation_id),
                _ => None,
            };
            told.extend(events.into_iter().filter_map(of).map(|about| (about, world.now())));
            let is_due = |due_at: Instant| due_at <= latest;
            let expected: Vec<&String> = due.iter().filter(|due| is_due(due.1)).map(|due| &due.0).collect();
            let mut all: Vec<&String> = told.iter().map(|told| &told.0).collect();
            all.sort_by_key(|told| due.iter().position(|due| due.0 == **told));
            assert_eq!(all, expected, "none late, none early, none twice, at {:?}", world.now());
        }
        assert_eq!(told.len(), 4);
        for (request, _) in due.into_iter().take(3) {
            world.decline("ncsc", &request).await.unwrap();
        }
    }
    world.finish().await;
}

/// Reviews are due by what an agreement says, so these worlds begin before any agreement is in force.
async fn reviews(engine: Engine) {
    let Some(world) = World::start_without_agreements(engine).await else { return };
    let reviewed = Instant::on_date("2025-09-12").unwrap();
    world.hand.set(reviewed.plus_seconds(-60 * DAY));
    world.activate_all().await;
    let (none, mut cursor) = world.since("ncsc", "").await;
    assert_eq!(none, []);
    world.hand.set(reviewed.plus_seconds(-14 * DAY - 1));
    assert_eq!(world.since("ncsc", &cursor).await.0, []);
    for (at, before) in [(-14 * DAY, true), (0, false)] {
        world.hand.set(reviewed.plus_seconds(at));
        let told;
        (told, cursor) = world.since("ncsc", &cursor).await;
        let [event] = told.as_slice() else { panic!("one: {told:?}") };
        assert_eq!((event.kind.as_str(), event.agreement_id.as_str()), ("review-due", "ico-ncsc-2023"));
        assert_eq!(event.ends_at.unwrap().seconds, reviewed.micros() / 1_000_000, "before: {before}");
        assert_eq!(world.since("ncsc", &cursor).await.0, []);
    }
    assert_eq!(world.all_events("ico").await.len(), 2, "the other party's, too");
    assert_eq!(world.all_events("nca").await, [], "who is no party is not told");
    let counted = world.node.exchange().nudges_due().await.unwrap();
    assert_eq!(counted.iter().map(|(kind, count)| (kind.as_str(), *count)).collect::<Vec<_>>(), [("review-due", 4)]);
    world.end_agreement("ico-ncsc-2023").await.unwrap();
    assert_eq!(world.all_events("ico").await, [], "what has ended is not reviewed");
    world.finish().await;
}

mod a_request_that_nobody_decides_about_is_told_of_after_a_week {
    use crate::harness::Engine;

    fn on(engine: Engine) {
        tokio::runtime::Runtime::new().unwrap().block_on(super::requests(engine));
    }

    #[test]
    fn sqlite() {
        on(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        on(Engine::Postgres);
    }
}

mod alarms_come_once_and_on_time_when_clocks_change_and_are_set_back {
    use crate::harness::Engine;

    fn on(engine: Engine) {
        tokio::runtime::Runtime::new().unwrap().block_on(super::summer_time(engine));
    }

    #[test]
    fn sqlite() {
        on(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        on(Engine::Postgres);
    }
}

mod the_review_of_an_agreement_is_told_of_two_weeks_before_and_on_the_day {
    use crate::harness::Engine;

    fn on(engine: Engine) {
        tokio::runtime::Runtime::new().unwrap().block_on(super::reviews(engine));
    }

    #[test]
    fn sqlite() {
        on(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        on(Engine::Postgres);
    }
}
