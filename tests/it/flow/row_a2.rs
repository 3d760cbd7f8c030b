//! A2: organisations are encouraged to engage with the NCA, whatever is believed of the incident, and what came of it is
//! kept. Law enforcement says categories, too.

use concordat::proto::v1;
use tonic::Code;

use crate::advice::{ENGAGING, SUSPECTED};
use crate::builders::{assert_error, assert_invalid};
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_a2_the_ico_recommends_to_engage_with_the_nca_and_keeps_what_came_of_it(world: World) {
        let (held, ncas) = (world.hold("ico", "nca").await, world.hold("nca", "ico").await);
        let nothing = (world.advised("ncsc").await, world.advised("nca").await);
        let plain = || world.recommendation(&held, ENGAGING);
        let believed = v1::RecordRecommendationRequest { belief: SUSPECTED.into(), words: "why".into(), ..plain() };
        assert_invalid(world.recommend(&held, believed).await, "belief");
        assert_invalid(world.recommend(&ncas, world.recommendation(&ncas, ENGAGING)).await, "clause");

        let recommended = world.recommend(&held, plain()).await.unwrap();
        world.end_agreement("ico-nca-2024").await.unwrap();
        assert_invalid(world.recommend(&held, plain()).await, "clause");
        assert_error(world.set_category(&ncas, "C4").await, Code::FailedPrecondition, "WRONG_STATE");
        for outcome in ["unknown", "followed"] {
            world.outcome_of("ico", &recommended, outcome).await.unwrap();
        }
        let shown = world.recommendations("ico", "").await.remove(0);
        assert_eq!((shown.towards.as_str(), shown.outcome.as_str(), shown.version), ("nca", "followed", 3));
        assert!(shown.outcome_at.is_some() && shown.words.is_empty() && shown.belief.is_empty());
        world.activate("ico-nca-2024").await;
        assert_eq!((world.advised("ncsc").await, world.advised("nca").await), nothing);

        let icos = world.advised("ico").await;
        world.set_category(&ncas, "C4").await.unwrap();
        assert_eq!(world.category("nca", &ncas.incident).await.unwrap(), "C4");
        assert_eq!(world.advised("ico").await, icos, "what the NCA says is the NCA's");
    }
}
