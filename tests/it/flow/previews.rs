//! Previews: exactly what would leave, what is missing, and an authorisation that is bound to what was seen.

use concordat::proto::v1;
use prost::Message as _;
use tonic::Code;

use crate::builders::{
    Held, assert_error, assert_invalid, assert_open_with, assert_released, names, only_incident, whole, wide_content,
};
use crate::harness::{World, on_both_databases, request_id};

const GROUND: &str = "isa-1994-s4-2-a";

impl World {
    /// What the holder's grounds say of the usual ask.
    async fn reasons(&self, held: &Held) -> Vec<String> {
        let index = self.put(held, self.ask(held)).await.unwrap().receipt.unwrap().index;
        let entry = v1::GetEntryRequest { index };
        let receipt = self.ledger(&held.holder).get_entry(entry).await.unwrap().into_inner().receipt;
        self.verified(receipt.as_ref()).grounds.unwrap().reasons
    }

    /// An authorisation bound to what the preview shows.
    fn citing(&self, held: &Held, preview: &v1::PreviewReleaseResponse) -> v1::GiveAuthorisationRequest {
        v1::GiveAuthorisationRequest {
            revision: preview.revision,
            purposes: names(&["harm-reduction"]),
            categories: preview.categories.clone(),
            ground: GROUND.into(),
            preview_digest: preview.digest.clone(),
            ..self.authorisation(held)
        }
    }
}

on_both_databases! {
    async fn a_preview_shows_exactly_what_then_leaves(world: World) {
        let held = world.permitted("ncsc").await.held;
        let size = world.size().await;
        let wanted = v1::PreviewReleaseRequest { categories: vec![], ..world.preview_request(&held, "") };
        let preview = world.preview_as(&held, wanted).await.unwrap();
        assert_eq!(world.size().await, size, "nothing is appended");
        assert_eq!((preview.outcome.as_str(), preview.missing.len()), ("released", 0));
        assert_eq!(preview.categories, ["identity", "timeline"]);
        let withheld: Vec<(&str, &str)> =
            preview.withheld.iter().map(|one| (one.category.as_str(), one.why.as_str())).collect();
        assert_eq!(withheld, [("narrative", "consent")]);
        assert!(preview.reasons[0].contains("permitted by ico-ncsc-2023/incident-to-ico"), "{:?}", preview.reasons);

        let response = world.put(&held, world.ask(&held)).await.unwrap();
        let outcome = response.outcome.unwrap();
        let released = only_incident(&outcome);
        assert!(preview.content.unwrap().encode_to_vec() == whole(released).encode_to_vec(), "byte for byte");
        let left = released.categories.iter().map(|one| one.category.clone()).collect::<Vec<_>>();
        // All but the reference, which it is given when it leaves.
        let mut handling = released.handling.clone().unwrap();
        handling.provenance.last_mut().unwrap().reference.clear();
        assert_eq!((preview.categories, preview.handling), (left, Some(handling)));
    }

    async fn a_preview_says_what_is_missing(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let missing = |preview: v1::PreviewReleaseResponse| (preview.outcome, preview.missing);
        let open = |what: &[&str]| ("open".to_owned(), names(what));
        assert_eq!(missing(world.preview(&held, "").await), open(&["consent", "authorisation"]));
        assert_eq!(missing(world.preview(&held, GROUND).await), open(&["consent"]));
        let consent = world.record_consent(&held, world.scope(&held)).await.unwrap();
        assert_eq!(missing(world.preview(&held, GROUND).await), open(&["consent"]));
        world.verify_consent(&held, &consent, 1).await.unwrap();
        assert_eq!(missing(world.preview(&held, "").await), open(&["authorisation"]));
        let preview = world.preview(&held, GROUND).await;
        assert_eq!((preview.outcome.as_str(), preview.digest.len()), ("released", 32));
        assert_eq!(preview.categories, ["identity", "timeline"]);
        assert_open_with("a preview alone", &world.outcome(&held).await);

        // What nothing that can be recorded would change.
        let red = v1::Markings { tlp: "red".into(), ..v1::Markings::default() };
        world.amend_with(&held, wide_content(), red).await;
        let preview = world.preview(&held, GROUND).await;
        assert_eq!(missing(preview.clone()), open(&[]));
        assert!(preview.reasons[0].contains("limit/marking"), "{:?}", preview.reasons);
        assert!(preview.content.is_none() && preview.digest.is_empty() && preview.handling.is_none());
        assert_eq!(preview.withheld.len(), 2);
    }

    async fn a_preview_of_a_duty_misses_the_verification(world: World) {
        let held = world.notified("nis-rdsp", "ncsc").await;
        let wanted = v1::PreviewReleaseRequest { purpose: "nis-csirt".into(), ..world.preview_request(&held, "") };
        let preview = world.preview_as(&held, wanted.clone()).await.unwrap();
        assert_eq!((preview.outcome.as_str(), preview.missing), ("open", names(&["verified-notification"])));
        let uncovered = v1::PreviewReleaseRequest { purpose: "serious-organised-crime".into(), ..wanted };
        let preview = world.preview_as(&held, uncovered).await.unwrap();
        assert_eq!((preview.outcome.as_str(), preview.missing.len()), ("not-covered", 0));
        assert!(preview.reasons[0].contains("serious-organised-crime"));
    }

    async fn a_preview_is_for_the_holders_own_officers(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let wanted = world.preview_request(&held, "");
        let elsewhere = v1::PreviewReleaseRequest { recipient: "nca".into(), ..wanted.clone() };
        assert_error(world.inbox("ico").preview_release(elsewhere).await, Code::NotFound, "NOT_FOUND");
        let recorder = world.officer("ncsc", "rec", &["recorder", "verifier", "requester"]);
        let mut recorder = v1::inbox_service_client::InboxServiceClient::new(recorder);
        assert_error(recorder.preview_release(wanted).await, Code::PermissionDenied, "ROLE_MISSING");
    }

    async fn an_authorisation_that_cites_a_preview_releases_it(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.give_consent(&held, world.scope(&held)).await;
        let preview = world.preview(&held, GROUND).await;
        world.authorise_as(&held, world.citing(&held, &preview)).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        // A part of what was seen is no more than what was seen.
        let part = v1::RequestReleaseRequest { categories: names(&["timeline"]), ..world.ask(&held) };
        assert_released(&world.put(&held, part).await.unwrap().outcome.unwrap(), &["timeline"]);
    }

    async fn once_anything_else_would_leave_nothing_does(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let consent = world.give_consent(&held, world.scope(&held)).await;
        let preview = world.preview(&held, GROUND).await;
        world.authorise_as(&held, world.citing(&held, &preview)).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let narrower = v1::ConsentScope { categories: names(&["identity"]), ..world.scope(&held) };
        world.narrow_consent(&held, &consent, narrower).await.unwrap();
        assert_open_with("less than was seen", &world.outcome(&held).await);
        assert!(world.reasons(&held).await[0].contains("differs from the preview"));

        // The officer looks again, and decides again.
        world.later(1);
        let preview = world.preview(&held, GROUND).await;
        assert_eq!(preview.categories, ["identity"]);
        world.authorise_as(&held, world.citing(&held, &preview)).await;
        assert_released(&world.outcome(&held).await, &["identity"]);
    }

    async fn other_terms_than_those_seen_release_nothing(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let onward = v1::ConsentScope { onward: true, ..world.scope(&held) };
        let consent = world.give_consent(&held, onward).await;
        let preview = world.preview(&held, GROUND).await;
        world.authorise_as(&held, world.citing(&held, &preview)).await;
        world.narrow_consent(&held, &consent, world.scope(&held)).await.unwrap();
        assert_open_with("the same content, not to be passed on any more", &world.outcome(&held).await);
    }

    async fn a_preview_that_is_out_of_date_cannot_be_cited(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let consent = world.give_consent(&held, world.scope(&held)).await;
        let preview = world.preview(&held, GROUND).await;
        let citing = world.citing(&held, &preview);
        let size = world.size().await;
        let give = |request: v1::GiveAuthorisationRequest| {
            let mut client = world.authorisations("ncsc");
            async move { client.give_authorisation(request).await }
        };
        let updates = v1::GiveAuthorisationRequest { covers_updates: true, ..citing.clone() };
        assert_invalid(give(updates).await, "preview_digest");
        let purposes = names(&["harm-reduction", "regulatory-assessment"]);
        assert_invalid(give(v1::GiveAuthorisationRequest { purposes, ..citing.clone() }).await, "preview_digest");
        let other = v1::GiveAuthorisationRequest { preview_digest: vec![7; 32], ..citing.clone() };
        assert_error(give(other).await, Code::FailedPrecondition, "WRONG_STATE");
        let another = v1::GiveAuthorisationRequest { categories: names(&["identity"]), ..citing.clone() };
        assert_error(give(another).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.size().await, size);
        world.withdraw_consent(&held, &consent).await.unwrap();
        let late = v1::GiveAuthorisationRequest { request_id: request_id(), ..citing };
        assert_error(give(late).await, Code::FailedPrecondition, "WRONG_STATE");
    }
}
