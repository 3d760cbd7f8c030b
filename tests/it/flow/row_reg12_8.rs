//! Regulation 12(8) of the NIS Regulations: the ICO must pass an RDSP's notification to the NCSC.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{
    assert_error, assert_not_covered, assert_open_with, assert_released, names, only_incident, wide_content,
};
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_reg12_8_a_verified_notification_stands_for_consent_and_authorisation(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        let outcome = world.put(&held, world.csirt_ask(&held)).await.unwrap().outcome.unwrap();
        assert_open_with("an unverified notification", &outcome);

        assert_error(world.verify_notification(&held, "rec").await, Code::FailedPrecondition, "SAME_OFFICER");
        let outcome = world.put(&held, world.csirt_ask(&held)).await.unwrap().outcome.unwrap();
        assert_open_with("a notification that its recorder tried to verify", &outcome);

        world.verify_notification(&held, "ver").await.unwrap();
        let response = world.put(&held, world.csirt_ask(&held)).await.unwrap();
        let outcome = response.outcome.as_ref().unwrap();
        assert_released(outcome, &["identity", "timeline"]);
        world.assert_proved(&response);
        let handling = only_incident(outcome).handling.as_ref().unwrap();
        assert_eq!(handling.clauses, ["nis-regulations-2018/rdsp-notification-to-ncsc"]);
        assert_eq!(handling.purposes, ["nis-csirt"]);
        assert_eq!(handling.obligations, ["Use it only for the functions of the CSIRT."]);

        assert_error(world.verify_notification(&held, "ver").await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn row_reg12_8_the_duty_is_for_its_purpose_recipient_and_kind(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        assert_open_with("another purpose and no authorisation", &world.outcome(&held).await);
        world.authorise(&held).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);

        let to_nca = world.hold_incident("ico", "nca", held.organisation.clone(), held.incident.clone()).await;
        let outcome = world.put(&to_nca, world.csirt_ask(&to_nca)).await.unwrap().outcome.unwrap();
        assert_not_covered(&outcome, "PURPOSE_NOT_COVERED");
        assert_open_with("the NCA's own purpose and no authorisation", &world.outcome(&to_nca).await);

        let other_kind = world.notified("nis-oes", "ncsc").await;
        world.verify_notification(&other_kind, "ver").await.unwrap();
        let outcome = world.put(&other_kind, world.csirt_ask(&other_kind)).await.unwrap().outcome.unwrap();
        assert_open_with("a notification of another kind", &outcome);

        let none = world.hold("ico", "ncsc").await;
        assert_error(world.verify_notification(&none, "ver").await, Code::FailedPrecondition, "WRONG_STATE");
        let outcome = world.put(&none, world.csirt_ask(&none)).await.unwrap().outcome.unwrap();
        assert_open_with("no notification", &outcome);
        world.authorise(&none).await;
        let outcome = world.put(&none, world.csirt_ask(&none)).await.unwrap().outcome.unwrap();
        assert_open_with("an authorisation for a purpose that only the duty covers", &outcome);
    }

    async fn row_reg12_8_the_duty_covers_the_categories_of_its_clause(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        let categories = names(&["identity", "narrative", "ransom", "assessment"]);
        let ask = v1::RequestReleaseRequest { categories, ..world.csirt_ask(&held) };
        let response = world.put(&held, ask).await.unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "narrative"]);
        world.assert_proved(&response);

        let ask = v1::RequestReleaseRequest { categories: names(&["ransom"]), ..world.csirt_ask(&held) };
        assert_not_covered(&world.put(&held, ask).await.unwrap().outcome.unwrap(), "CATEGORY_NOT_COVERED");
    }

    async fn row_reg12_8_a_duty_passes_tlp_red_and_a_power_does_not(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        world.verify_notification(&held, "ver").await.unwrap();
        let red = v1::Markings { tlp: "red".into(), ..v1::Markings::default() };
        let revision = world.amend_with(&held, wide_content(), red).await;
        let unverified = world.put(&held, world.csirt_ask(&held)).await.unwrap().outcome.unwrap();
        assert_open_with("amended since it was verified", &unverified);
        world.verify_notification(&held, "ver").await.unwrap();
        world.authorise_as(&held, v1::GiveAuthorisationRequest { revision, ..world.authorisation(&held) }).await;
        let outcome = world.put(&held, world.csirt_ask(&held)).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
        assert_eq!(only_incident(&outcome).handling.as_ref().unwrap().tlp, "red");
        assert_open_with("TLP red and no duty", &world.outcome(&held).await);
    }
}
