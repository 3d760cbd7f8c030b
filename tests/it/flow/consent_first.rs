//! What the rows share in which a holder needs the organisation's consent: N3a, the NCSC to the ICO, and A3a, the NCA
//! to the ICO. Each case begins with what would be released, and takes one thing away.

use concordat::proto::v1::ConsentScope;
use tonic::Code;

use crate::builders::{
    Held, assert_error, assert_invalid, assert_open, assert_open_with, assert_released, names, only_incident, whole,
    wide_content,
};
use crate::harness::World;
use concordat::proto::v1;

/// An agency that is neither the holder nor the ICO.
fn third(holder: &str) -> String {
    if holder == "ncsc" { "nca" } else { "ncsc" }.to_owned()
}

/// An authorised incident: only the organisation's consent is missing.
async fn authorised(world: &World, holder: &str) -> Held {
    let held = world.hold(holder, "ico").await;
    world.authorise(&held).await;
    held
}

/// Asked, held, clause, consent and authorisation each leave out something that all the others have.
pub(super) async fn exactly_what_all_cover(world: &World, holder: &str) {
    let organisation = world.register_organisation(holder, vec![]).await;
    let registration =
        v1::RegisterIncidentRequest { content: Some(wide_content()), ..world.incident_at(&organisation) };
    let registered = world.incidents(holder).register_incident(registration).await.unwrap().into_inner();
    let held = world.hold_incident(holder, "ico", organisation, registered.incident_id).await;
    let consented = names(&["identity", "timeline", "sector", "impact", "assessment", "ransom"]);
    world.give_consent(&held, ConsentScope { categories: consented, ..world.scope(&held) }).await;
    let authorised = names(&["identity", "timeline", "sector", "impact", "assessment", "narrative"]);
    world
        .authorise_as(&held, v1::GiveAuthorisationRequest { categories: authorised, ..world.authorisation(&held) })
        .await;

    let asked = names(&["identity", "timeline", "impact", "assessment", "ransom", "narrative"]);
    let ask = v1::RequestReleaseRequest { categories: asked, ..world.ask(&held) };
    let response = world.put(&held, ask).await.unwrap();

    // The clause of the NCSC names its assessment; the NCA's has none.
    let expected: &[&str] =
        if holder == "ncsc" { &["assessment", "identity", "timeline"] } else { &["identity", "timeline"] };
    let outcome = response.outcome.as_ref().unwrap();
    assert_released(outcome, expected);
    world.assert_proved(&response);
    let incident = only_incident(outcome);
    let all = wide_content();
    let assessment = all.assessment.filter(|_| holder == "ncsc");
    let expected =
        v1::IncidentContent { identity: all.identity, timeline: all.timeline, assessment, ..Default::default() };
    assert!(whole(incident) == expected, "the parts put together are the content that was registered");
    assert_eq!(incident.reference, held.reference, "the recipient's own reference, not the holder's id");
}

pub(super) async fn handling_terms_come_with_it(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let consent = world.give_consent(&held, world.scope(&held)).await;
    let handling = only_incident(&world.outcome(&held).await).handling.clone().unwrap();
    assert_eq!(handling.purposes, ["harm-reduction"]);
    assert!(!handling.enforcement, "not for enforcement");
    assert_eq!(handling.onward, "no", "the organisation did not permit passing it on");
    assert_eq!((handling.tlp.as_str(), handling.pap.as_str()), ("amber", "amber"));
    assert_eq!(handling.classification, "official-sensitive");
    assert_eq!(handling.review_by, world.in_seconds(180 * 86_400));
    assert_eq!(handling.correction_contact, format!("corrections@{holder}.example"));
    let clause = if holder == "ncsc" { "ico-ncsc-2023" } else { "ico-nca-2024" };
    assert_eq!(handling.clauses, [format!("{clause}/incident-to-ico")]);
    assert!(handling.obligations.contains(&"Use it only for the purposes stated.".to_owned()));

    world.withdraw_consent(&held, &consent).await.unwrap();
    world.give_consent(&held, ConsentScope { onward: true, ..world.scope(&held) }).await;
    let handling = only_incident(&world.outcome(&held).await).handling.clone().unwrap();
    assert_eq!(handling.onward, "with-consent", "the organisation permits asking to pass it on");
}

pub(super) async fn only_a_given_consent_releases(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    assert_open_with("no consent", &world.outcome(&held).await);

    let sought = world.seek_consent(&held).await;
    assert_open_with("a consent that was sought", &world.outcome(&held).await);
    world.refuse_consent(&held, &sought).await;
    assert_open_with("a consent refused when it was sought", &world.outcome(&held).await);

    let recorded = world.record_consent(&held, world.scope(&held)).await.unwrap();
    assert_open_with("a consent recorded and not verified", &world.outcome(&held).await);
    world.refuse_consent(&held, &recorded).await;
    assert_open_with("a consent refused before it was verified", &world.outcome(&held).await);
    assert_error(world.verify_consent(&held, &recorded, 1).await, Code::FailedPrecondition, "WRONG_STATE");

    let given = world.give_consent(&held, world.scope(&held)).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    world.withdraw_consent(&held, &given).await.unwrap();
    assert_open_with("a consent that was withdrawn", &world.outcome(&held).await);
}

pub(super) async fn narrowing_takes_effect_at_once(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let scope = world.scope(&held);
    let consent = world.give_consent(&held, scope.clone()).await;

    let scope = ConsentScope { categories: names(&["timeline"]), ..scope };
    world.narrow_consent(&held, &consent, scope.clone()).await.unwrap();
    assert_released(&world.outcome(&held).await, &["timeline"]);

    let elsewhere = v1::RequestReleaseRequest { categories: names(&["identity"]), ..world.ask(&held) };
    let outcome = world.put(&held, elsewhere).await.unwrap().outcome.unwrap();
    assert_open_with("the category narrowed away", &outcome);

    let scope = ConsentScope { purposes: names(&["regulatory-assessment"]), ..scope };
    world.narrow_consent(&held, &consent, scope).await.unwrap();
    assert_open_with("the purpose narrowed away", &world.outcome(&held).await);
}

pub(super) async fn narrowing_stays_inside_the_scope(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let scope = ConsentScope { valid_until: world.in_seconds(86_400), ..world.scope(&held) };
    let consent = world.give_consent(&held, scope.clone()).await;
    let before = world.size().await;
    let wider = [
        ("scope.purposes", ConsentScope { purposes: names(&["regulatory-enforcement"]), ..scope.clone() }),
        ("scope.enforcement", ConsentScope { enforcement: true, ..scope.clone() }),
        ("scope.categories", ConsentScope { categories: names(&["narrative"]), ..scope.clone() }),
        ("scope.onward", ConsentScope { onward: true, ..scope.clone() }),
        ("scope.valid_from", ConsentScope { valid_from: world.in_seconds(-1), ..scope.clone() }),
        ("scope.valid_until", ConsentScope { valid_until: world.in_seconds(86_401), ..scope.clone() }),
        ("scope.incident_id", ConsentScope { incident_id: String::new(), ..scope.clone() }),
        ("scope.covers_updates", ConsentScope { covers_updates: true, ..scope.clone() }),
        ("scope.recipient", ConsentScope { recipient: third(holder), ..scope.clone() }),
    ];
    for (field, wider) in wider {
        assert_invalid(world.narrow_consent(&held, &consent, wider).await, field);
    }
    assert_eq!(world.size().await, before, "nothing was written");
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

pub(super) async fn a_consent_is_for_what_it_says(world: &World, holder: &str) {
    type Differs = fn(&mut ConsentScope, &Held);
    let others: [(&str, Differs); 4] = [
        ("a consent for another recipient", |scope, held| scope.recipient = third(&held.holder)),
        ("a consent for another purpose", |scope, _| scope.purposes = names(&["regulatory-assessment"])),
        ("a consent for other categories", |scope, _| scope.categories = names(&["narrative"])),
        ("a consent for another incident", |scope, held| scope.incident_id.clone_from(&held.incident)),
    ];
    for (what, differ) in others {
        let held = authorised(world, holder).await;
        let another = world.incident_at(&held.organisation);
        let another = world.incidents(holder).register_incident(another).await.unwrap().into_inner().incident_id;
        let mut scope = world.scope(&held);
        differ(&mut scope, &Held { incident: another, ..held.clone() });
        world.give_consent(&held, scope).await;
        assert_open_with(what, &world.outcome(&held).await);
    }

    let held = authorised(world, holder).await;
    let elsewhere = Held { organisation: world.register_organisation(holder, vec![]).await, ..held.clone() };
    assert_invalid(world.record_consent(&elsewhere, world.scope(&held)).await, "scope.incident_id");
    let valid_until = world.in_seconds(86_400);
    let all = ConsentScope { incident_id: String::new(), valid_until, ..world.scope(&held) };
    world.give_consent(&elsewhere, all.clone()).await;
    assert_open_with("another organisation's consent", &world.outcome(&held).await);

    world.give_consent(&held, all).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

pub(super) async fn a_consent_has_its_time(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let (from, until) = (world.now().plus_seconds(60), world.now().plus_seconds(120));
    let scope =
        ConsentScope { valid_from: world.in_seconds(60), valid_until: world.in_seconds(120), ..world.scope(&held) };
    world.give_consent(&held, scope).await;

    assert_open_with("a consent not valid yet", &world.outcome(&held).await);
    world.hand.set(from);
    world.hand.advance_micros(-1);
    assert_open_with("a consent one microsecond early", &world.outcome(&held).await);
    world.hand.set(from);
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    world.hand.set(until);
    world.hand.advance_micros(-1);
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    world.hand.set(until);
    assert_open_with("a consent that expires this very microsecond", &world.outcome(&held).await);
}

pub(super) async fn a_consent_is_for_the_revision_seen(world: &World, holder: &str) {
    let held = world.hold(holder, "ico").await;
    let consent = world.give_consent(&held, world.scope(&held)).await;
    let revision = world.amend(&held).await;
    world.authorise_as(&held, v1::GiveAuthorisationRequest { revision, ..world.authorisation(&held) }).await;
    assert_open_with("a consent for an earlier revision", &world.outcome(&held).await);

    world.withdraw_consent(&held, &consent).await.unwrap();
    world.give_consent(&held, ConsentScope { revision: 1, covers_updates: true, ..world.scope(&held) }).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

pub(super) async fn enforcement_is_permitted_apart(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let purpose = "regulatory-enforcement";
    let ask = || v1::RequestReleaseRequest { purpose: purpose.into(), ..world.ask(&held) };
    let scope = ConsentScope { purposes: names(&[purpose]), ..world.scope(&held) };
    world.give_consent(&held, scope.clone()).await;
    let outcome = world.put(&held, ask()).await.unwrap().outcome.unwrap();
    assert_open_with("a purpose of enforcement without consent to enforcement", &outcome);

    let scope = ConsentScope { enforcement: true, categories: names(&["timeline"]), ..scope };
    world.give_consent(&held, scope).await;
    let outcome = world.put(&held, ask()).await.unwrap().outcome.unwrap();
    assert_released(&outcome, &["timeline"]);
    assert!(only_incident(&outcome).handling.as_ref().unwrap().enforcement, "the terms say so");
}

pub(super) async fn consent_is_no_authorisation(world: &World, holder: &str) {
    type Differs = fn(&mut v1::GiveAuthorisationRequest, &Held);
    let others: [(&str, Differs); 4] = [
        ("an authorisation for another recipient", |given, held| given.recipient = third(&held.holder)),
        ("an authorisation for another purpose", |given, _| given.purposes = names(&["regulatory-assessment"])),
        ("an authorisation of other categories", |given, _| given.categories = names(&["narrative"])),
        ("a ground that the clause does not name", |given, _| given.ground = "dpa-2018-s132-2-f".into()),
    ];
    for (what, differ) in others {
        let held = world.hold(holder, "ico").await;
        world.give_consent(&held, world.scope(&held)).await;
        assert_open_with("no authorisation", &world.outcome(&held).await);
        let mut given = world.authorisation(&held);
        differ(&mut given, &held);
        world.authorise_as(&held, given).await;
        assert_open_with(what, &world.outcome(&held).await);
    }

    let held = world.hold(holder, "ico").await;
    world.give_consent(&held, world.scope(&held)).await;
    let authorisation = world.authorise(&held).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    world.revoke(&held, &authorisation).await.unwrap();
    assert_open_with("an authorisation that was revoked", &world.outcome(&held).await);
}

pub(super) async fn an_authorisation_has_its_time_and_revision(world: &World, holder: &str) {
    let held = world.hold(holder, "ico").await;
    world.give_consent(&held, ConsentScope { covers_updates: true, ..world.scope(&held) }).await;
    let until = world.now().plus_seconds(60);
    let request = v1::GiveAuthorisationRequest { valid_until: world.in_seconds(60), ..world.authorisation(&held) };
    world.authorise_as(&held, request).await;
    world.hand.set(until);
    world.hand.advance_micros(-1);
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    world.hand.set(until);
    assert_open_with("an authorisation that expires this very microsecond", &world.outcome(&held).await);

    let authorisation = world.authorise(&held).await;
    world.amend(&held).await;
    assert_open_with("an authorisation of an earlier revision", &world.outcome(&held).await);
    assert_error(
        world.authorisations(holder).give_authorisation(world.authorisation(&held)).await,
        Code::FailedPrecondition,
        "WRONG_STATE",
    );
    world.revoke(&held, &authorisation).await.unwrap();
    let request = v1::GiveAuthorisationRequest { revision: 2, covers_updates: true, ..world.authorisation(&held) };
    world.authorise_as(&held, request).await;
    world.amend(&held).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

pub(super) async fn markings_limit_it(world: &World, holder: &str) {
    let held = world.hold(holder, "ico").await;
    world.give_consent(&held, ConsentScope { covers_updates: true, ..world.scope(&held) }).await;
    world
        .authorise_as(&held, v1::GiveAuthorisationRequest { covers_updates: true, ..world.authorisation(&held) })
        .await;
    let tlp = |tlp: &str| v1::Markings { tlp: tlp.into(), ..v1::Markings::default() };
    world.amend_with(&held, crate::builders::content(), tlp("amber+strict")).await;
    let outcome = world.outcome(&held).await;
    assert_released(&outcome, &["identity", "timeline"]);
    assert_eq!(only_incident(&outcome).handling.as_ref().unwrap().tlp, "amber+strict");

    world.amend_with(&held, crate::builders::content(), tlp("red")).await;
    assert_open_with("TLP red", &world.outcome(&held).await);
}

pub(super) async fn reconfirming_waits_for_its_verification(world: &World, holder: &str) {
    let held = authorised(world, holder).await;
    let scope = world.scope(&held);
    let earlier = ConsentScope { categories: names(&["timeline"]), ..scope.clone() };
    let consent = world.give_consent(&held, earlier).await;

    let version = world.reconfirm_consent(&held, &consent, scope.clone()).await;
    assert_eq!(version, 2);
    assert_released(&world.outcome(&held).await, &["timeline"]);

    let verify =
        v1::VerifyConsentRequest { request_id: crate::harness::request_id(), consent_id: consent.clone(), version };
    let recorder = world.officer(holder, "rec", &["recorder", "verifier"]);
    let mut recorder = v1::consent_service_client::ConsentServiceClient::new(recorder);
    assert_error(recorder.verify_consent(verify).await, Code::FailedPrecondition, "SAME_OFFICER");
    assert_released(&world.outcome(&held).await, &["timeline"]);

    world.verify_consent(&held, &consent, version).await.unwrap();
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);

    world.withdraw_consent(&held, &consent).await.unwrap();
    let version = world.reconfirm_consent(&held, &consent, scope).await;
    assert_open(&world.outcome(&held).await);
    world.verify_consent(&held, &consent, version).await.unwrap();
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}
