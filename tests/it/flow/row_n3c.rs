//! N3c: the ICO shares about one organisation with the NCSC where appropriate, to reduce harm.

use super::holder_decides;
use crate::harness::on_both_databases;

const RECIPIENT: &str = "ncsc";

on_both_databases! {
    async fn row_n3c_an_authorisation_releases_without_consent(world: World) {
        holder_decides::an_authorisation_is_enough(&world, RECIPIENT).await;
    }

    async fn row_n3c_an_authorisation_on_a_wrong_ground_releases_nothing(world: World) {
        holder_decides::the_ground_is_one_that_the_clause_names(&world, RECIPIENT).await;
    }

    async fn row_n3c_consent_is_neither_enough_nor_needed(world: World) {
        holder_decides::the_organisation_is_not_asked(&world, RECIPIENT).await;
    }

    async fn row_n3c_only_what_the_authorisation_and_the_clause_cover_is_released(world: World) {
        holder_decides::only_what_is_authorised_and_in_the_clause(&world, RECIPIENT).await;
    }
}
