//! A3b: the ICO shares with the NCA on an anonymised, systemic and aggregated basis.

use super::{statistics, themes};
use crate::harness::on_both_databases;

const RECIPIENT: &str = "nca";

on_both_databases! {
    async fn row_a3b_a_published_table_is_shared_with_its_proof(world: World) {
        statistics::a_published_table_is_shared(&world, RECIPIENT).await;
    }

    async fn row_a3b_a_quarter_that_is_not_published_is_told_plainly(world: World) {
        statistics::what_is_not_published_is_told(&world, RECIPIENT).await;
    }

    async fn row_a3b_the_ico_gets_no_statistics_in_return(world: World) {
        statistics::there_is_no_clause_the_other_way(&world, RECIPIENT).await;
    }

    async fn row_a3b_after_the_agreement_ended_a_repeat_brings_no_table(world: World) {
        statistics::a_repeat_is_decided_again(&world, RECIPIENT).await;
    }

    async fn row_a3b_a_confirmed_theme_is_shared_with_its_proof(world: World) {
        themes::a_confirmed_theme_is_shared(&world, RECIPIENT).await;
    }

    async fn row_a3b_of_a_theme_that_is_not_shared_nothing_is_told_but_that(world: World) {
        themes::what_is_not_shared_is_one_answer(&world, RECIPIENT).await;
    }
}
