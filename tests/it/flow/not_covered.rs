//! What the agreements do not allow: explained to whoever asks, and the same whatever is held.

use concordat::proto::v1;
use concordat::seal;

use super::answers::bare;
use crate::builders::{Held, assert_not_covered, assert_released, names};
use crate::harness::{World, on_both_databases};

impl World {
    /// What an ask gets that differs from the usual one, where what it asks for is held and permitted and where
    /// nothing is held: the same, but for ids and proof.
    async fn explained(&self, held: &Held, ask: v1::RequestReleaseRequest, reason: &str) -> String {
        let response = self.put(held, ask.clone()).await.unwrap();
        let explanation = assert_not_covered(response.outcome.as_ref().unwrap(), reason);
        let stated = self.verified(response.receipt.as_ref()).outcome.unwrap();
        assert_eq!((stated.outcome.as_str(), stated.explanation.as_str()), ("not-covered", explanation.as_str()));
        assert!(stated.released.is_empty());

        let nothing = v1::RequestReleaseRequest {
            request_id: crate::harness::request_id(),
            target: Some(v1::request_release_request::Target::Reference(seal::new_id("ref"))),
            ..ask
        };
        let nothing = self.put(held, nothing).await.unwrap();
        assert!(bare(response) == bare(nothing), "{reason}: the answer differs where nothing is held");
        explanation
    }
}

on_both_databases! {
    async fn not_covered_between_the_ncsc_and_the_nca_there_is_no_agreement(world: World) {
        for (holder, recipient) in [("ncsc", "nca"), ("nca", "ncsc")] {
            let held = world.hold(holder, recipient).await;
            world.give_consent(&held, world.scope(&held)).await;
            world.authorise(&held).await;
            let explanation = world.explained(&held, world.ask(&held), "NO_AGREEMENT").await;
            assert!(explanation.contains(holder) && explanation.contains(recipient), "{explanation}");
        }
    }

    async fn not_covered_after_an_agreement_has_ended(world: World) {
        let held = world.permitted("ncsc").await.held;
        let back = world.hold("ico", "ncsc").await;
        world.authorise(&back).await;
        assert_released(&world.outcome(&back).await, &["identity", "timeline"]);
        world.end_agreement("ico-ncsc-2023").await.unwrap();

        world.explained(&held, world.ask(&held), "NO_AGREEMENT").await;
        // The statute is still in force between the two, for its own purpose.
        let explanation = world.explained(&back, world.ask(&back), "PURPOSE_NOT_COVERED").await;
        assert!(explanation.ends_with("covered: nis-csirt"), "{explanation}");
        let elsewhere = world.permitted("nca").await.held;
        assert_released(&world.outcome(&elsewhere).await, &["identity", "timeline"]);

        world.activate("ico-ncsc-2023").await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    }

    async fn not_covered_purposes_are_explained_by_those_that_are(world: World) {
        let held = world.permitted("ncsc").await.held;
        let ask = v1::RequestReleaseRequest { purpose: "serious-organised-crime".into(), ..world.ask(&held) };
        let explanation = world.explained(&held, ask, "PURPOSE_NOT_COVERED").await;
        let covered = "covered: harm-reduction, regulatory-assessment, regulatory-enforcement";
        assert!(explanation.ends_with(covered), "{explanation}");
    }

    async fn not_covered_categories_are_those_that_no_clause_names(world: World) {
        let held = world.permitted("nca").await.held;
        let ask = v1::RequestReleaseRequest { categories: names(&["assessment"]), ..world.ask(&held) };
        world.explained(&held, ask, "CATEGORY_NOT_COVERED").await;
    }

    async fn not_covered_if_the_text_relied_on_is_not_the_one_in_force(world: World) {
        let held = world.permitted("ncsc").await.held;
        let mut agreements = world.agreements("ico", &[]);
        let mut digests = Vec::new();
        for id in ["ico-ncsc-2023", "nis-regulations-2018"] {
            let request = v1::GetAgreementRequest { agreement_id: id.into(), digest: Vec::new() };
            digests.push(agreements.get_agreement(request).await.unwrap().into_inner().agreement.unwrap().digest);
        }
        let pinned = |agreement_id: &str, digest: &[u8]| v1::RequestReleaseRequest {
            agreement: Some(v1::AgreementPin { agreement_id: agreement_id.into(), digest: digest.to_vec() }),
            ..world.ask(&held)
        };
        let outcome = world.put(&held, pinned("ico-ncsc-2023", &digests[0])).await.unwrap().outcome.unwrap();
        assert_released(&outcome, &["identity", "timeline"]);
        world.explained(&held, pinned("ico-ncsc-2023", &[7; 32]), "AGREEMENT_DIFFERS").await;
        // In force, but it says nothing about this direction.
        world.explained(&held, pinned("nis-regulations-2018", &digests[1]), "AGREEMENT_DIFFERS").await;
    }

    async fn not_covered_agreements_of_others_are_not_shown(world: World) {
        let listed = world.agreements("nca", &[]).list_agreements(v1::ListAgreementsRequest::default()).await;
        let listed: Vec<String> = listed.unwrap().into_inner().agreements.into_iter().map(|one| one.id).collect();
        assert_eq!(listed, ["ico-nca-2024"]);
        let request = v1::GetAgreementRequest { agreement_id: "ico-ncsc-2023".into(), digest: Vec::new() };
        let got = world.agreements("nca", &[]).get_agreement(request).await;
        crate::builders::assert_error(got, tonic::Code::NotFound, "NOT_FOUND");
        let request = v1::EndAgreementRequest {
            request_id: crate::harness::request_id(),
            agreement_id: "ico-ncsc-2023".into(),
        };
        let ended = world.agreements("nca", &["operator"]).end_agreement(request).await;
        crate::builders::assert_error(ended, tonic::Code::NotFound, "NOT_FOUND");
    }
}
