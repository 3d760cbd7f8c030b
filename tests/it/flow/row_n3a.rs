//! N3a: the NCSC shares cyber-incident information with the ICO only with the affected organisation's consent.

use crate::builders::{assert_open, assert_released};
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_n3a_consent_and_authorisation_release_what_both_cover(world: World) {
        let held = world.hold("ncsc", "ico").await;
        assert_open(&world.outcome(&held).await);
        world.give_consent(&held, world.scope(&held)).await;
        assert_open(&world.outcome(&held).await);
        world.authorise(&held).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }
}
