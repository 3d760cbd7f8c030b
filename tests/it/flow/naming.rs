//! Naming an organisation in a request is itself a disclosure by the requester, and needs a clause in its direction.

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;

use super::answers::bare;
use crate::builders::{
    Held, assert_not_covered, assert_open, assert_open_with, assert_released, identifier, names, only_incident,
};
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// An organisation with this identifier and an incident there, at a holder; a reference for the recipient.
    pub(crate) async fn hold_at(&self, holder: &str, recipient: &str, identifiers: Vec<v1::Identifier>) -> Held {
        let organisation = self.register_organisation(holder, identifiers).await;
        self.hold_another(holder, recipient, organisation).await
    }

    /// Another incident at an organisation.
    pub(super) async fn hold_another(&self, holder: &str, recipient: &str, organisation: String) -> Held {
        let registration = self.incident_at(&organisation);
        let registered = self.incidents(holder).register_incident(registration).await.unwrap().into_inner();
        self.hold_incident(holder, recipient, organisation, registered.incident_id).await
    }

    async fn ask_ico(&self, ask: v1::RequestReleaseRequest) -> v1::RequestReleaseResponse {
        self.requester("ico").request_release(ask).await.unwrap().into_inner()
    }

    /// What the ICO gets that names the organisation with this identifier to the NCSC.
    pub(super) async fn by_name(&self, identifiers: Vec<v1::Identifier>) -> Outcome {
        self.ask_ico(self.ask_by_name("ncsc", identifiers)).await.outcome.unwrap()
    }
}

/// The same ask with another ground, period or whatever else of the naming differs.
fn named(
    mut ask: v1::RequestReleaseRequest,
    differ: impl FnOnce(&mut v1::NamedOrganisation),
) -> v1::RequestReleaseRequest {
    let Some(Target::Organisation(named)) = &mut ask.target else { panic!("an ask by name") };
    differ(named);
    ask
}

pub(super) fn plain(scheme: &str, value: &str) -> v1::Identifier {
    v1::Identifier { scheme: scheme.into(), value: value.into() }
}

on_both_databases! {
    async fn naming_on_a_ground_of_the_clause_releases_what_is_permitted(world: World) {
        for (number, holder) in (1..).zip(["ncsc", "nca"]) {
            let held = world.hold_at(holder, "ico", vec![identifier(number)]).await;
            for ground in ["dpa-2018-s132-2-a", "dpa-2018-s132-2-c", "dpa-2018-s132-2-f"] {
                let ask = named(world.ask_by_name(holder, vec![identifier(number)]), |named| named.ground = ground.into());
                assert_open_with(ground, world.ask_ico(ask).await.outcome.as_ref().unwrap());
            }
            world.permit(held).await;
            let response = world.ask_ico(world.ask_by_name(holder, vec![identifier(number)])).await;
            assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            world.assert_proved(&response);
            let stated = world.verified(response.receipt.as_ref());
            assert_eq!(stated.ask.unwrap().naming_ground, "dpa-2018-s132-2-f", "the ICO's disclosure is on record");
            let subject = stated.subject.unwrap();
            assert_eq!(subject.identifiers[0].value, identifier(number).value);
        }
    }

    async fn naming_on_another_ground_is_not_covered_whatever_is_held(world: World) {
        for (number, holder) in (1..).zip(["ncsc", "nca"]) {
            let held = world.hold_at(holder, "ico", vec![identifier(number)]).await;
            world.permit(held).await;
            let mut answers = Vec::new();
            for number in [number, 9] {
                let ask = world.ask_by_name(holder, vec![identifier(number)]);
                let ask = named(ask, |named| named.ground = "dpa-2018-s132-2-b".into());
                let response = world.ask_ico(ask).await;
                assert_not_covered(response.outcome.as_ref().unwrap(), "NAMING_GROUND_NOT_COVERED");
                answers.push(bare(response));
            }
            assert!(answers[0] == answers[1], "the answer differs where nothing is held");
        }
    }

    async fn naming_to_the_ico_takes_a_receipt_and_no_ground_of_the_icos(world: World) {
        for (number, recipient) in (1..).zip(["ncsc", "nca"]) {
            let held = world.hold_at("ico", recipient, vec![identifier(number)]).await;
            world.authorise(&held).await;
            assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
            let own = world.ask_ico_by_name(recipient, vec![identifier(number)], vec![]);
            let explanation =
                assert_not_covered(&world.put(&held, own.clone()).await.unwrap().outcome.unwrap(), "NAMING_RECEIPT_REQUIRED");
            assert!(explanation.contains("reference"), "{explanation}");
            let icos = named(own, |named| named.ground = "dpa-2018-s132-2-f".into());
            let icos = v1::RequestReleaseRequest { request_id: request_id(), ..icos };
            assert_not_covered(&world.put(&held, icos).await.unwrap().outcome.unwrap(), "NAMING_GROUND_NOT_COVERED");
        }
    }

    async fn naming_matches_exact_identifiers_in_their_normal_form(world: World) {
        let registered = vec![plain("gb-coh", "1234"), plain("domain", "Water.Example.")];
        world.permit(world.hold_at("ncsc", "ico", registered).await).await;
        for same in [plain("gb-coh", "00001234"), plain("gb-coh", " 1234 "), plain("domain", "water.example")] {
            let what = format!("{same:?}");
            let outcome = world.by_name(vec![same]).await;
            assert!(matches!(outcome, Outcome::Released(_)), "{what} is the same");
        }
        let any_one = vec![identifier(9), plain("gb-coh", "1234")];
        assert_released(&world.by_name(any_one).await, &["identity", "timeline"]);
        for other in [
            plain("gb-coh", "01234000"),
            plain("gb-coh", "SC001234"),
            plain("domain", "www.water.example"),
            plain("gb-chc", "123400"),
        ] {
            let what = format!("{other:?}");
            assert_open_with(&what, &world.by_name(vec![other]).await);
        }

        // The same organisation in another holder's register is another holder's to speak of.
        world.permit(world.hold_at("nca", "ico", vec![identifier(7)]).await).await;
        assert_open(&world.by_name(vec![identifier(7)]).await);
    }

    async fn naming_matches_what_occurred_in_the_period(world: World) {
        world.permit(world.hold_at("ncsc", "ico", vec![identifier(1)]).await).await;
        // As `incident_at` has it: from, inclusive; until, exclusive. And so is the period.
        let (from, until) = (world.in_seconds(-30 * 86_400), world.in_seconds(-29 * 86_400));
        let in_period = |from, until| {
            named(world.ask_by_name("ncsc", vec![identifier(1)]), |named| (named.from, named.until) = (from, until))
        };
        let before = world.ask_ico(in_period(world.in_seconds(-40 * 86_400), from)).await;
        assert_open_with("a period that ends as it begins", before.outcome.as_ref().unwrap());
        let after = world.ask_ico(in_period(until, world.in_seconds(0))).await;
        assert_open_with("a period that begins as it ends", after.outcome.as_ref().unwrap());
        let first = world.ask_ico(in_period(world.in_seconds(-40 * 86_400), world.in_seconds(-30 * 86_400 + 1))).await;
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        let last = world.ask_ico(in_period(world.in_seconds(-29 * 86_400 - 1), world.in_seconds(0))).await;
        assert_released(last.outcome.as_ref().unwrap(), &["identity", "timeline"]);
    }

    async fn naming_decides_each_of_several_incidents_alone(world: World) {
        let first = world.hold_at("ncsc", "ico", vec![identifier(1)]).await;
        let second = world.hold_another("ncsc", "ico", first.organisation.clone()).await;
        world.hold_another("ncsc", "ico", first.organisation.clone()).await;
        let all = v1::ConsentScope {
            incident_id: String::new(),
            valid_until: world.in_seconds(86_400),
            ..world.scope(&first)
        };
        world.give_consent(&first, all).await;
        assert_open_with("consent to all and no authorisation", &world.by_name(vec![identifier(1)]).await);

        world.authorise(&first).await;
        let response = world.ask_ico(world.ask_by_name("ncsc", vec![identifier(1)])).await;
        world.assert_proved(&response);
        let outcome = response.outcome.unwrap();
        assert_eq!(only_incident(&outcome).reference, first.reference, "the authorised one alone");

        let timeline = v1::GiveAuthorisationRequest { categories: names(&["timeline"]), ..world.authorisation(&second) };
        world.authorise_as(&second, timeline).await;
        let response = world.ask_ico(world.ask_by_name("ncsc", vec![identifier(1)])).await;
        world.assert_proved(&response);
        let Some(Outcome::Released(released)) = response.outcome else { panic!("expected a release") };
        let mut found: Vec<(String, Vec<String>)> = released
            .incidents
            .iter()
            .map(|one| {
                (one.reference.clone(), one.categories.iter().map(|category| category.category.clone()).collect())
            })
            .collect();
        found.sort();
        let mut expected = vec![
            (first.reference, names(&["identity", "timeline"])),
            (second.reference, names(&["timeline"])),
        ];
        expected.sort();
        assert_eq!(found, expected, "each with what its own authorisation covers");
    }

    async fn naming_releases_nothing_above_sixteen_matches(world: World) {
        let first = world.hold_at("ncsc", "ico", vec![identifier(1)]).await;
        let permitted = world.permit(first).await;
        let mut incidents = world.incidents("ncsc");
        for _ in 0..15 {
            let another = world.incident_at(&permitted.held.organisation);
            incidents.register_incident(another).await.unwrap();
        }
        assert_released(&world.by_name(vec![identifier(1)]).await, &["identity", "timeline"]);
        let another = world.incident_at(&permitted.held.organisation);
        incidents.register_incident(another).await.unwrap();
        assert_open_with("seventeen matches", &world.by_name(vec![identifier(1)]).await);
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
    }

    async fn naming_gets_a_reference_to_ask_by_from_then_on(world: World) {
        let organisation = world.register_organisation("ncsc", vec![identifier(1)]).await;
        let registration = world.incident_at(&organisation);
        let registered = world.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
        let unreferenced = Held {
            holder: "ncsc".into(),
            recipient: "ico".into(),
            organisation,
            incident: registered.incident_id,
            reference: String::new(),
        };
        let permitted = world.permit(unreferenced).await;
        let reference = only_incident(&world.by_name(vec![identifier(1)]).await).reference.clone();
        assert_ne!(reference, permitted.held.incident, "not the holder's id");
        let held = Held { reference: reference.clone(), ..permitted.held };
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let again = world.by_name(vec![identifier(1)]).await;
        assert_eq!(only_incident(&again).reference, reference, "one incident, one reference");
        let stolen = Held { recipient: "nca".into(), ..held.clone() };
        let ask = v1::RequestReleaseRequest { request_id: request_id(), ..world.ask(&stolen) };
        assert_not_covered(&world.put(&stolen, ask).await.unwrap().outcome.unwrap(), "NO_AGREEMENT");
    }
}
