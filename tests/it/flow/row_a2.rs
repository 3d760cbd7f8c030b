//! A2: organisations are encouraged to engage with the NCA, whatever is believed of the incident, and what came of it is
//! kept. Law enforcement says categories, too.

use concordat::proto::v1;
use tonic::Code;

use crate::advice::{ENGAGING, SUSPECTED};
use crate::builders::{Held, assert_error, assert_invalid, content};
use crate::harness::{on_both_databases, request_id};

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
    /// The contract: the NCSC or law enforcement only.
    async fn row_a2_only_who_says_categories_writes_one_into_an_incident(world: World) {
        let said = |category: &str| {
            let assessment = v1::Assessment { ncsc_category: category.into(), ..v1::Assessment::default() };
            v1::IncidentContent { assessment: Some(assessment), ..content() }
        };
        for (agency, category, is_taken) in
            [("ico", "C3", false), ("ncsc", "3", false), ("ncsc", "C3", true), ("nca", "C4", true)]
        {
            let organisation = world.register_organisation(agency, vec![]).await;
            let request = v1::RegisterIncidentRequest { content: Some(said(category)), ..world.incident_at(&organisation) };
            let registered = world.incidents(agency).register_incident(request).await;
            if is_taken {
                assert!(!registered.unwrap().into_inner().incident_id.is_empty());
            } else {
                assert_invalid(registered, "content.assessment.ncsc_category");
            }
        }
        // Nor by an amendment; what stands there stays, and what is new needs an agreement in force.
        let (icos, ncscs) = (world.hold("ico", "ncsc").await, world.hold("ncsc", "ico").await);
        let amend = async |held: &Held, category: &str, etag: &str| {
            let request = v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                etag: etag.into(),
                markings: None,
                content: Some(said(category)),
            };
            world.incidents(&held.holder).amend_incident(request).await
        };
        assert_invalid(amend(&icos, "C3", "1").await, "content.assessment.ncsc_category");
        amend(&ncscs, "C3", "1").await.unwrap();
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        assert_invalid(amend(&ncscs, "C2", "2").await, "content.assessment.ncsc_category");
        amend(&ncscs, "C3", "2").await.unwrap();
        amend(&ncscs, "", "3").await.unwrap();
    }
}
