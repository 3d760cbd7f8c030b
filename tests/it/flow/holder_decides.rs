//! What the rows share in which the ICO's officer decides and no consent is asked for: N3c, to the NCSC, and A3c, to
//! the NCA.

use concordat::proto::v1;

use crate::builders::{Held, assert_open_with, assert_released, names, only_incident, wide_content};
use crate::harness::World;

/// What an authorisation for this recipient has other than the usual one.
type Differs = fn(&mut v1::GiveAuthorisationRequest, &str);

/// The agency that does not receive.
fn third(recipient: &str) -> String {
    if recipient == "ncsc" { "nca" } else { "ncsc" }.to_owned()
}

pub(super) async fn an_authorisation_is_enough(world: &World, recipient: &str) {
    let held = world.hold("ico", recipient).await;
    assert_open_with("no authorisation", &world.outcome(&held).await);
    world.authorise(&held).await;
    let response = world.put(&held, world.ask(&held)).await.unwrap();

    let outcome = response.outcome.as_ref().unwrap();
    assert_released(outcome, &["identity", "timeline"]);
    world.assert_proved(&response);
    let handling = only_incident(outcome).handling.as_ref().unwrap();
    let (agreement, purpose) = if recipient == "ncsc" {
        ("ico-ncsc-2023", "harm-reduction")
    } else {
        ("ico-nca-2024", "serious-organised-crime")
    };
    assert_eq!(handling.clauses, [format!("{agreement}/incident-to-{recipient}")]);
    assert_eq!(
        (handling.purposes.as_slice(), handling.onward.as_str()),
        ([purpose.to_owned()].as_slice(), "with-consent")
    );
    assert!(handling.obligations.contains(&"Do not pass it on without the ICO's consent.".to_owned()));
}

pub(super) async fn the_ground_is_one_that_the_clause_names(world: &World, recipient: &str) {
    let on =
        |held: &Held, ground: &str| v1::GiveAuthorisationRequest { ground: ground.into(), ..world.authorisation(held) };
    for ground in ["dpa-2018-s132-2-b", "dpa-2018-s132-2", "isa-1994-s4-2-a", "cca-2013-s7-4"] {
        let held = world.hold("ico", recipient).await;
        world.authorise_as(&held, on(&held, ground)).await;
        assert_open_with(ground, &world.outcome(&held).await);
    }
    let held = world.hold("ico", recipient).await;
    for ground in ["dpa-2018-s132-2-a", "dpa-2018-s132-2-c", "dpa-2018-s132-2-f"] {
        let authorisation = world.authorise_as(&held, on(&held, ground)).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        world.revoke(&held, &authorisation).await.unwrap();
    }
    assert_open_with("every authorisation revoked", &world.outcome(&held).await);

    // One on a wrong ground does not stand in the way of one on a right ground, wider though it is.
    world.authorise_as(&held, on(&held, "dpa-2018-s132-2-b")).await;
    let narrower = v1::GiveAuthorisationRequest { categories: names(&["timeline"]), ..world.authorisation(&held) };
    world.authorise_as(&held, narrower).await;
    assert_released(&world.outcome(&held).await, &["timeline"]);
}

pub(super) async fn the_organisation_is_not_asked(world: &World, recipient: &str) {
    let held = world.hold("ico", recipient).await;
    world.give_consent(&held, world.scope(&held)).await;
    assert_open_with("consent and no authorisation", &world.outcome(&held).await);

    world.authorise(&held).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    let other = world.hold("ico", recipient).await;
    let sought = world.seek_consent(&other).await;
    world.refuse_consent(&other, &sought).await;
    world.authorise(&other).await;
    assert_released(&world.outcome(&other).await, &["identity", "timeline"]);
}

pub(super) async fn only_what_is_authorised_and_in_the_clause(world: &World, recipient: &str) {
    let held = world.hold("ico", recipient).await;
    world.amend_with(&held, wide_content(), v1::Markings::default()).await;
    let earlier = v1::GiveAuthorisationRequest { revision: 2, ..world.authorisation(&held) };
    world.authorise_as(&held, earlier).await;
    world.amend_with(&held, wide_content(), v1::Markings::default()).await;
    assert_open_with("an authorisation of an earlier revision", &world.outcome(&held).await);

    let others: [(&str, Differs); 3] = [
        ("another recipient", |given, recipient| given.recipient = third(recipient)),
        ("another purpose", |given, _| given.purposes = names(&["nis-csirt"])),
        ("other categories", |given, _| given.categories = names(&["narrative"])),
    ];
    for (what, differ) in others {
        let held = world.hold("ico", recipient).await;
        let mut given = world.authorisation(&held);
        differ(&mut given, recipient);
        world.authorise_as(&held, given).await;
        assert_open_with(what, &world.outcome(&held).await);
    }

    let categories = names(&["identity", "ransom", "sector", "assessment"]);
    let usual = v1::GiveAuthorisationRequest { revision: 3, categories, ..world.authorisation(&held) };
    world.authorise_as(&held, usual).await;
    let categories = names(&["identity", "timeline", "ransom", "assessment"]);
    let ask = v1::RequestReleaseRequest { categories, ..world.ask(&held) };
    let response = world.put(&held, ask).await.unwrap();
    // Not the timeline, which is not authorised, nor the sector, not asked for, nor an assessment: no clause has it.
    assert_released(response.outcome.as_ref().unwrap(), &["identity", "ransom"]);
    world.assert_proved(&response);
}
