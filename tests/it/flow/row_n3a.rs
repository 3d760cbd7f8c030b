//! N3a: the NCSC shares cyber-incident information with the ICO only with the affected organisation's consent.

use super::consent_first;
use crate::harness::on_both_databases;

const HOLDER: &str = "ncsc";

on_both_databases! {
    async fn row_n3a_releases_exactly_what_ask_clause_consent_and_authorisation_cover(world: World) {
        consent_first::exactly_what_all_cover(&world, HOLDER).await;
    }

    async fn row_n3a_handling_terms_come_with_the_release(world: World) {
        consent_first::handling_terms_come_with_it(&world, HOLDER).await;
    }

    async fn row_n3a_pending_refused_or_withdrawn_consent_releases_nothing(world: World) {
        consent_first::only_a_given_consent_releases(&world, HOLDER).await;
    }

    async fn row_n3a_what_is_narrowed_away_is_not_released(world: World) {
        consent_first::narrowing_takes_effect_at_once(&world, HOLDER).await;
    }

    async fn row_n3a_a_narrowing_cannot_widen(world: World) {
        consent_first::narrowing_stays_inside_the_scope(&world, HOLDER).await;
    }

    async fn row_n3a_consent_for_something_else_releases_nothing(world: World) {
        consent_first::a_consent_is_for_what_it_says(&world, HOLDER).await;
    }

    async fn row_n3a_consent_ends_at_the_exact_microsecond(world: World) {
        consent_first::a_consent_has_its_time(&world, HOLDER).await;
    }

    async fn row_n3a_consent_for_an_earlier_revision_releases_nothing(world: World) {
        consent_first::a_consent_is_for_the_revision_seen(&world, HOLDER).await;
    }

    async fn row_n3a_enforcement_needs_consent_to_enforcement(world: World) {
        consent_first::enforcement_is_permitted_apart(&world, HOLDER).await;
    }

    async fn row_n3a_consent_without_a_fitting_authorisation_releases_nothing(world: World) {
        consent_first::consent_is_no_authorisation(&world, HOLDER).await;
    }

    async fn row_n3a_authorisation_ends_with_its_time_and_its_revision(world: World) {
        consent_first::an_authorisation_has_its_time_and_revision(&world, HOLDER).await;
    }

    async fn row_n3a_tlp_red_releases_nothing(world: World) {
        consent_first::markings_limit_it(&world, HOLDER).await;
    }

    async fn row_n3a_a_reconfirmed_consent_waits_for_its_verification(world: World) {
        consent_first::reconfirming_waits_for_its_verification(&world, HOLDER).await;
    }
}
