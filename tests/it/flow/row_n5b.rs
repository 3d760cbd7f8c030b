//! N5b: the ICO recommends to the organisation to tell the NCSC where it believes an incident nationally significant. What
//! it believes is apart from a category, which the NCSC says.

use concordat::proto::v1;
use tonic::Code;

use crate::advice::{NOTIFYING, SUSPECTED};
use crate::builders::{assert_error, assert_invalid};
use crate::harness::{on_both_databases, request_id};

on_both_databases! {
    async fn row_n5b_the_ico_recommends_on_a_belief_and_the_ncsc_alone_categorises(world: World) {
        let agreement = world.known_agreement("ico-ncsc-2023").await;
        let advice = agreement.advice.unwrap();
        let shown = &advice.recommendations[0];
        assert_eq!((shown.id.as_str(), shown.by.as_str(), shown.towards.as_str()), (NOTIFYING, "ico", "ncsc"));
        assert_eq!((shown.beliefs.as_slice(), advice.categorises), (&[SUSPECTED.to_owned()][..], vec!["ncsc".to_owned()]));

        let (held, ncscs) = (world.hold("ico", "ncsc").await, world.hold("ncsc", "ico").await);
        let nothing = (world.advised("ncsc").await, world.advised("nca").await);
        let size = world.size().await;
        let plain = || world.recommendation(&held, NOTIFYING);
        let turned_away = async |request: v1::RecordRecommendationRequest, field: &str| {
            assert_invalid(world.recommend(&held, request).await, field);
        };
        turned_away(v1::RecordRecommendationRequest { belief: String::new(), ..plain() }, "belief").await;
        turned_away(v1::RecordRecommendationRequest { belief: "c1".into(), ..plain() }, "belief").await;
        turned_away(v1::RecordRecommendationRequest { words: " ".into(), ..plain() }, "words").await;
        turned_away(v1::RecordRecommendationRequest { clause: "ico-ncsc-2023/other".into(), ..plain() }, "clause").await;
        turned_away(v1::RecordRecommendationRequest { made_at: world.in_seconds(60), ..plain() }, "made_at").await;
        let before_it = world.in_seconds(-31 * 86_400);
        turned_away(v1::RecordRecommendationRequest { made_at: before_it, ..plain() }, "made_at").await;
        assert_invalid(world.recommend(&ncscs, world.recommendation(&ncscs, NOTIFYING)).await, "clause");
        let of_another = v1::RecordRecommendationRequest { incident_id: ncscs.incident.clone(), ..plain() };
        assert_error(world.recommend(&held, of_another).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.size().await, size);

        let first = world.recommend(&held, plain()).await.unwrap();
        world.later(1);
        let second = world.recommend(&held, plain()).await.unwrap();
        let listed = world.recommendations("ico", &held.incident).await;
        assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [second.as_str(), &first], "newest first");
        let shown = &listed[1];
        assert_eq!((shown.belief.as_str(), shown.words.as_str()), (SUSPECTED, "water for two counties"));
        assert_eq!((shown.towards.as_str(), shown.outcome.as_str()), ("ncsc", ""));
        assert_eq!(world.category("ico", &held.incident).await.unwrap(), "", "what is believed is no category");

        // What came of it; it may change.
        let early = v1::RecordOutcomeRequest {
            request_id: request_id(),
            recommendation_id: first.clone(),
            outcome: "followed".into(),
            outcome_at: world.in_seconds(-3_600),
        };
        assert_invalid(world.advice("ico").record_outcome(early).await, "outcome_at");
        assert_invalid(world.outcome_of("ico", &first, "refused").await, "outcome");
        world.outcome_of("ico", &first, "not-followed").await.unwrap();
        assert_error(world.outcome_of("ico", &first, "not-followed").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.outcome_of("ncsc", &first, "followed").await, Code::NotFound, "NOT_FOUND");
        let followed = world.outcome_of("ico", &first, "followed").await.unwrap();
        assert_eq!(followed.version, 3);
        let act = world.verified(followed.receipt.as_ref()).act.unwrap();
        assert_eq!((act.object.as_str(), act.version), (first.as_str(), 3));
        let shown = world.recommendations("ico", &held.incident).await.remove(1);
        assert_eq!((shown.outcome.as_str(), shown.words.as_str()), ("followed", "water for two counties"));

        // The NCSC learns neither that it was recommended nor what was believed, and the NCA nothing either.
        assert_eq!((world.advised("ncsc").await, world.advised("nca").await), nothing);
        assert_eq!(world.recommendations("ncsc", &held.incident).await, world.recommendations("ncsc", "inc_9").await);

        // A category is the NCSC's to say, of its own incident; the ICO learns nothing of that.
        assert_error(world.set_category(&held, "C1").await, Code::FailedPrecondition, "WRONG_STATE");
        let icos = world.advised("ico").await;
        assert_invalid(world.set_category(&ncscs, "C7").await, "category");
        assert_eq!(world.set_category(&ncscs, "C2").await.unwrap().version, 1);
        assert_error(world.set_category(&ncscs, "C2").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.set_category(&ncscs, "C3").await.unwrap().version, 2);
        assert_eq!(world.category("ncsc", &ncscs.incident).await.unwrap(), "C3");
        assert_error(world.category("ico", &ncscs.incident).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.advised("ico").await, icos);

        // All of it goes with its incident.
        assert_eq!(world.rows_of_advice().await, [0, 2, 1]);
        world.erase(&held).await;
        world.erase(&ncscs).await;
        assert_eq!(world.rows_of_advice().await, [0, 0, 0]);
        assert_error(world.outcome_of("ico", &first, "unknown").await, Code::NotFound, "NOT_FOUND");
        assert_error(world.category("ncsc", &ncscs.incident).await, Code::NotFound, "NOT_FOUND");
    }
}
