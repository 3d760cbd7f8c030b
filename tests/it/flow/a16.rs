//! Organisations that were renamed, merged, grouped, or whose identifiers look alike: nothing passes from one to
//! another.

use concordat::proto::v1;
use concordat::proto::v1::request_release_response::Outcome;
use tonic::Code;

use super::answers::bare;
use super::batch::Pending;
use super::naming::plain;
use crate::builders::{
    Held, Permitted, assert_error, assert_invalid, assert_open, assert_open_with, assert_released, identifier, names,
    only_incident,
};
use crate::harness::{World, on_both_databases, request_id};

impl World {
    /// An incident at an organisation with this identifier, permitted to the ICO.
    async fn permitted_at(&self, holder: &str, identifiers: Vec<v1::Identifier>) -> Permitted {
        self.permit(self.hold_at(holder, "ico", identifiers).await).await
    }

    /// As [`World::permitted_at`], at an organisation that was then merged into the one with the second identifier.
    async fn permitted_and_merged(&self, holder: &str, number: u32, survivor: u32) -> (Permitted, String) {
        let permitted = self.permitted_at(holder, vec![identifier(number)]).await;
        let survivor = self.register_organisation(holder, vec![identifier(survivor)]).await;
        self.merge(holder, &permitted.held.organisation, &survivor).await;
        (permitted, survivor)
    }

    /// The organisation confirms its consent, a second later than whatever was before, and another officer verifies it.
    async fn confirm_again(&self, permitted: &Permitted) {
        self.hand.advance_micros(1_000_000);
        let Permitted { held, consent, .. } = permitted;
        let version = self.reconfirm_consent(held, consent, self.scope(held)).await;
        self.verify_consent(held, consent, version).await.unwrap();
    }
}

const RELEASED: [&str; 2] = ["identity", "timeline"];

on_both_databases! {
    async fn a16_renamed_organisation_is_found_by_its_number(world: World) {
        let permitted = world.permitted_at("ncsc", vec![identifier(1)]).await;
        let organisation = &permitted.held.organisation;
        let present = world.amendment_of("ncsc", organisation).await;
        let former = v1::DatedName { name: present.name.clone(), from: None, until: world.in_seconds(0) };
        let renamed =
            v1::AmendOrganisationRequest { name: "New Name Ltd".into(), former_names: vec![former], ..present };
        world.amend_organisation("ncsc", renamed).await.unwrap();
        assert_released(&world.by_name(vec![identifier(1)]).await, &RELEASED);
        assert_released(&world.outcome(&permitted.held).await, &RELEASED);

        // Another organisation that takes the name over takes nothing else over.
        world.hold_at("ncsc", "ico", vec![identifier(2)]).await;
        assert_open(&world.by_name(vec![identifier(2)]).await);
    }

    async fn a16_identifiers_that_look_alike_stay_apart(world: World) {
        let alike = [
            plain("gb-coh", "SC012345"),
            plain("gb-sc", "SC012345"),
            plain("gb-coh", "12345"),
            plain("gb-coh", "12345000"),
            plain("gb-coh", "NI012345"),
            plain("gb-chc", "123456"),
            plain("gb-chc", "123456-1"),
            plain("gb-ods", "12345"),
            plain("gb-ods", "012345"),
            plain("domain", "water.example"),
            plain("domain", "www.water.example"),
        ];
        let mut permitted = Vec::new();
        for one in &alike {
            permitted.push(world.permitted_at("ncsc", vec![one.clone()]).await);
        }
        for (one, permitted) in alike.into_iter().zip(permitted) {
            let what = format!("{} {}", one.scheme, one.value);
            let outcome = world.by_name(vec![one]).await;
            assert_eq!(only_incident(&outcome).reference, permitted.held.reference, "{what}");
        }
    }

    async fn a16_a_name_alone_matches_nothing(world: World) {
        // Every organisation of these tests has the same name; this one has nothing else.
        let held = world.hold_at("ncsc", "ico", vec![]).await;
        let permitted = world.permit(held).await;
        assert_open(&world.by_name(vec![identifier(1)]).await);
        assert_released(&world.outcome(&permitted.held).await, &RELEASED);
        let by_name = world.ask_by_name("ncsc", vec![plain("name", "Example Water plc")]);
        let turned_away = world.requester("ico").request_release(by_name).await;
        assert_invalid(turned_away, "organisation.identifiers[0].scheme");
    }

    async fn a16_merged_organisation_is_not_found_through_its_survivor(world: World) {
        let (permitted, _) = world.permitted_and_merged("ncsc", 1, 2).await;
        world.confirm_again(&permitted).await;
        assert_open_with("the survivor's identifier", &world.by_name(vec![identifier(2)]).await);
        assert_released(&world.by_name(vec![identifier(1)]).await, &RELEASED);
        // Nor is the survivor through what was merged into it.
        let (_, survivor) = world.permitted_and_merged("ncsc", 3, 4).await;
        world.permit(world.hold_another("ncsc", "ico", survivor).await).await;
        assert_open_with("the merged one's identifier", &world.by_name(vec![identifier(3)]).await);
        assert_released(&world.by_name(vec![identifier(4)]).await, &RELEASED);
    }

    async fn a16_consent_from_before_a_merger_permits_nothing_until_it_is_confirmed(world: World) {
        for (number, holder) in (1..).zip(["ncsc", "nca"]) {
            let permitted = world.permitted_at(holder, vec![identifier(number)]).await;
            assert_released(&world.outcome(&permitted.held).await, &RELEASED);
            let survivor = world.register_organisation(holder, vec![]).await;
            world.hand.advance_micros(1_000_000);
            world.merge(holder, &permitted.held.organisation, &survivor).await;
            let what = "a consent from before the merger";
            assert_open_with(what, &world.outcome(&permitted.held).await);
            let by_name = world.ask_by_name(holder, vec![identifier(number)]);
            let by_name = world.requester("ico").request_release(by_name).await.unwrap().into_inner();
            assert_open_with(what, &by_name.outcome.unwrap());
            world.hand.advance_micros(86_400_000_000);
            assert_open_with(what, &world.outcome(&permitted.held).await);

            world.confirm_again(&permitted).await;
            assert_released(&world.outcome(&permitted.held).await, &RELEASED);
        }
    }

    async fn a16_narrowing_or_verifying_is_no_confirmation(world: World) {
        let (permitted, _) = world.permitted_and_merged("ncsc", 1, 2).await;
        world.hand.advance_micros(1_000_000);
        let Permitted { held, consent, .. } = &permitted;
        let narrower = v1::ConsentScope { categories: names(&["timeline"]), ..world.scope(held) };
        world.narrow_consent(held, consent, narrower).await.unwrap();
        assert_open_with("a consent narrowed since", &world.outcome(held).await);

        // Written down before the merger, verified after it.
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let consent = world.record_consent(&held, world.scope(&held)).await.unwrap();
        let survivor = world.register_organisation("ncsc", vec![]).await;
        world.merge("ncsc", &held.organisation, &survivor).await;
        world.hand.advance_micros(1_000_000);
        world.verify_consent(&held, &consent, 1).await.unwrap();
        assert_open_with("a consent verified since", &world.outcome(&held).await);
    }

    async fn a16_evidence_from_before_the_merger_confirms_nothing(world: World) {
        let (permitted, survivor) = world.permitted_and_merged("ncsc", 1, 2).await;
        let further = world.register_organisation("ncsc", vec![]).await;
        let request = world.merger("ncsc", &survivor, &further, 2).await;
        world.record_merger("ncsc", request).await.unwrap();
        world.hand.advance_micros(1_000_000);
        let Permitted { held, consent, .. } = &permitted;
        // The organisation's own merger was ten days ago, its survivor's two.
        for (days, accepted) in [(11, false), (5, false), (1, true)] {
            let evidence =
                v1::ConsentEvidence { received_at: world.in_seconds(-days * 86_400), ..world.evidence() };
            let reconfirmed = world
                .consents("ncsc")
                .reconfirm_consent(v1::ReconfirmConsentRequest {
                    request_id: request_id(),
                    consent_id: consent.clone(),
                    scope: Some(world.scope(held)),
                    evidence: Some(evidence.clone()),
                })
                .await;
            let recorded = world
                .consents("ncsc")
                .record_consent(v1::RecordConsentRequest {
                    request_id: request_id(),
                    consent_id: String::new(),
                    organisation_id: held.organisation.clone(),
                    scope: Some(world.scope(held)),
                    evidence: Some(evidence),
                })
                .await;
            if accepted {
                let version = reconfirmed.unwrap().into_inner().version;
                world.verify_consent(held, consent, version).await.unwrap();
                recorded.unwrap();
            } else {
                assert_invalid(reconfirmed, "evidence.received_at");
                assert_invalid(recorded, "evidence.received_at");
                assert_open(&world.outcome(held).await);
            }
        }
        assert_released(&world.outcome(held).await, &RELEASED);
    }

    async fn a16_what_the_survivor_becomes_stops_consent_once_more(world: World) {
        let (permitted, survivor) = world.permitted_and_merged("ncsc", 1, 2).await;
        world.confirm_again(&permitted).await;
        assert_released(&world.outcome(&permitted.held).await, &RELEASED);
        let own = world.permit(world.hold_another("ncsc", "ico", survivor.clone()).await).await;
        let further = world.register_organisation("ncsc", vec![identifier(3)]).await;
        let elsewhere = world.permitted_at("ncsc", vec![identifier(4)]).await;
        world.hand.advance_micros(1_000_000);
        let request = world.merger("ncsc", &survivor, &further, 0).await;
        world.record_merger("ncsc", request).await.unwrap();
        assert_open_with("a survivor that was merged", &world.outcome(&own.held).await);
        assert_open_with("what had been merged into it", &world.outcome(&permitted.held).await);
        assert_released(&world.outcome(&elsewhere.held).await, &RELEASED);
        for confirmed in [&permitted, &own] {
            // Later than the evidence of a minute ago must be.
            world.hand.advance_micros(120_000_000);
            world.confirm_again(confirmed).await;
            assert_released(&world.outcome(&confirmed.held).await, &RELEASED);
        }
    }

    async fn a16_correcting_a_merger_gives_no_consent_back(world: World) {
        let (permitted, _) = world.permitted_and_merged("ncsc", 1, 2).await;
        let organisation = permitted.held.organisation.clone();
        let another = world.register_organisation("ncsc", vec![]).await;
        world.confirm_again(&permitted).await;
        assert_released(&world.outcome(&permitted.held).await, &RELEASED);
        let error = v1::RecordMergerRequest { merged_at: None, ..world.merger("ncsc", &organisation, "", 0).await };
        for (what, correction) in [
            ("another survivor", world.merger("ncsc", &organisation, &another, 3).await),
            ("no merger after all", error),
        ] {
            world.hand.advance_micros(1_000_000);
            let etag = world.organisation("ncsc", &organisation).await.etag;
            world.record_merger("ncsc", v1::RecordMergerRequest { etag, ..correction }).await.unwrap();
            assert_open_with(what, &world.outcome(&permitted.held).await);
            world.confirm_again(&permitted).await;
            assert_released(&world.outcome(&permitted.held).await, &RELEASED);
        }
    }

    async fn a16_a_merger_comes_before_the_asks_of_its_batch(world: World) {
        for merger_arrives_first in [true, false] {
            let permitted = world.permitted("ncsc").await;
            let survivor = world.register_organisation("ncsc", vec![]).await;
            world.hand.advance_micros(1_000_000);
            let request = world.merger("ncsc", &permitted.held.organisation, &survivor, 1).await;
            let mut organisations = world.organisations("ncsc");
            let merging: Pending<u64> = Box::pin(async move {
                organisations.record_merger(request).await.unwrap().into_inner().receipt.unwrap().index
            });
            let (mut requester, ask) = (world.requester("ico"), world.ask(&permitted.held));
            let asking: Pending<v1::RequestReleaseResponse> =
                Box::pin(async move { requester.request_release(ask).await.unwrap().into_inner() });
            let (merged, asked) = if merger_arrives_first {
                world.in_one_batch(merging, asking).await
            } else {
                let (asked, merged) = world.in_one_batch(asking, merging).await;
                (merged, asked)
            };
            assert!(merged < asked.receipt.unwrap().index);
            assert_open_with("a merger in the same batch", &asked.outcome.unwrap());
        }
    }

    async fn a16_a_merger_comes_before_the_other_changes_of_its_batch(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let consent = world.record_consent(&held, world.scope(&held)).await.unwrap();
        let survivor = world.register_organisation("ncsc", vec![]).await;
        let request = world.merger("ncsc", &held.organisation, &survivor, 1).await;
        let mut organisations = world.organisations("ncsc");
        let merging: Pending<u64> = Box::pin(async move {
            organisations.record_merger(request).await.unwrap().into_inner().receipt.unwrap().index
        });
        let mut verifier = world.verifier("ncsc");
        let request = v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent, version: 1 };
        let verifying: Pending<u64> = Box::pin(async move {
            verifier.verify_consent(request).await.unwrap().into_inner().receipt.unwrap().index
        });
        let (came_first, came_last) = world.in_one_batch(verifying, merging).await;
        assert_eq!(came_last + 1, came_first, "one batch, and the merger first though it came last");
        assert_open(&world.outcome(&held).await);
    }

    async fn a16_a_repeat_after_the_merger_brings_no_content(world: World) {
        let permitted = world.permitted("ncsc").await;
        let ask = world.ask(&permitted.held);
        let first = world.put(&permitted.held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &RELEASED);
        let survivor = world.register_organisation("ncsc", vec![]).await;
        world.merge("ncsc", &permitted.held.organisation, &survivor).await;
        let again = world.put(&permitted.held, ask).await.unwrap();
        let Some(Outcome::Released(released)) = again.outcome else { panic!("the same outcome as before") };
        assert!(!released.content_included && released.incidents.is_empty());
    }

    async fn a16_a_merger_leaves_what_needs_no_consent(world: World) {
        let held = world.hold("ico", "ncsc").await;
        world.authorise(&held).await;
        // A consent of old is no worse than none where none is asked for.
        world.give_consent(&held, world.scope(&held)).await;
        let survivor = world.register_organisation("ico", vec![]).await;
        world.merge("ico", &held.organisation, &survivor).await;
        assert_released(&world.outcome(&held).await, &RELEASED);
    }

    async fn a16_consent_of_a_parent_does_not_cover_a_subsidiary(world: World) {
        let group = world.permitted_at("ncsc", vec![identifier(1)]).await;
        let all = v1::ConsentScope {
            incident_id: String::new(),
            valid_until: world.in_seconds(86_400),
            ..world.scope(&group.held)
        };
        world.give_consent(&group.held, all).await;
        let held = world.hold_at("ncsc", "ico", vec![identifier(2)]).await;
        world.authorise(&held).await;
        let link = v1::ParentLink { organisation_id: group.held.organisation.clone(), ..v1::ParentLink::default() };
        let amendment = v1::AmendOrganisationRequest {
            parents: vec![link],
            ..world.amendment_of("ncsc", &held.organisation).await
        };
        world.amend_organisation("ncsc", amendment).await.unwrap();
        assert_open_with("the parent's consent", &world.outcome(&held).await);
        assert_open_with("the parent's consent", &world.by_name(vec![identifier(2)]).await);
        // And the parent's identifier finds the parent's incident alone, the subsidiary's permitted or not.
        world.give_consent(&held, world.scope(&held)).await;
        assert_eq!(only_incident(&world.by_name(vec![identifier(1)]).await).reference, group.held.reference);
        assert_eq!(only_incident(&world.by_name(vec![identifier(2)]).await).reference, held.reference);
    }

    async fn a16_an_identifier_moves_by_amendments_of_both(world: World) {
        let shared = plain("domain", "water.example");
        let merged = world.permitted_at("ncsc", vec![identifier(1), shared.clone()]).await;
        let survivor = world.permitted_at("ncsc", vec![identifier(2)]).await;
        let from = &merged.held.organisation;
        let to = &survivor.held.organisation;
        let taking = async || {
            let present = world.amendment_of("ncsc", to).await;
            let amendment = v1::AmendOrganisationRequest {
                identifiers: vec![identifier(2), shared.clone()],
                ..present
            };
            world.amend_organisation("ncsc", amendment).await
        };
        assert_error(taking().await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(only_incident(&world.by_name(vec![shared.clone()]).await).reference, merged.held.reference);

        let giving = v1::AmendOrganisationRequest {
            identifiers: vec![identifier(1)],
            ..world.amendment_of("ncsc", from).await
        };
        world.amend_organisation("ncsc", giving).await.unwrap();
        assert_open_with("nobody's", &world.by_name(vec![shared.clone()]).await);
        taking().await.unwrap();
        world.merge("ncsc", from, to).await;
        world.confirm_again(&merged).await;
        assert_eq!(only_incident(&world.by_name(vec![shared.clone()]).await).reference, survivor.held.reference);
        assert_eq!(only_incident(&world.by_name(vec![identifier(1)]).await).reference, merged.held.reference);
    }

    async fn a16_known_only_as_a_candidate_is_as_open_as_not_known(world: World) {
        // Permitted incidents all around organisations of which the ICO names one each; the first is not there at all.
        let (merged, survivor) = world.permitted_and_merged("ncsc", 1, 2).await;
        world.confirm_again(&merged).await;
        let group = world.register_organisation("ncsc", vec![identifier(3)]).await;
        let subsidiary = world.permitted_at("ncsc", vec![identifier(4)]).await;
        let link = |organisation_id: &str| v1::ParentLink { organisation_id: organisation_id.into(), ..<_>::default() };
        let amendment = v1::AmendOrganisationRequest {
            parents: vec![link(&group), link(&survivor)],
            ..world.amendment_of("ncsc", &subsidiary.held.organisation).await
        };
        world.amend_organisation("ncsc", amendment).await.unwrap();
        let stale = world.permitted_and_merged("ncsc", 5, 6).await.0;
        assert_open(&world.outcome(&stale.held).await);

        let mut answers = Vec::new();
        for (what, number) in [
            ("unknown", 9),
            ("the survivor of a merger", 2),
            ("the parent of a subsidiary", 3),
            ("merged since it consented", 5),
        ] {
            let ask = world.ask_by_name("ncsc", vec![identifier(number)]);
            let response = world.requester("ico").request_release(ask).await.unwrap().into_inner();
            assert_open_with(what, response.outcome.as_ref().unwrap());
            answers.push((what, bare(response)));
        }
        for (what, answer) in &answers {
            assert!(*answer == answers[0].1, "with {what}: the answer can be told from the one for nothing held");
        }
        let unknown = Held { reference: concordat::seal::new_id("ref"), ..stale.held.clone() };
        let one = bare(world.put(&unknown, world.ask(&unknown)).await.unwrap());
        let other = bare(world.put(&stale.held, world.ask(&stale.held)).await.unwrap());
        assert!(one == other, "by reference, a merger can be told from nothing held");
    }
}
