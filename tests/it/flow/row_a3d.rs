//! A3d: neither party passes the other's material on without its consent. Two nodes: the NCA's, and the ICO's, which passes
//! on to the NCSC what it has from the NCA.

use concordat::proto::v1;
use prost::Message as _;
use tonic::Code;

use crate::builders::{
    assert_error, assert_invalid, assert_open, assert_released, content, identifier, names, only_incident,
};
use crate::harness::{World, on_both_databases};
use crate::onward::{Received, outcome_alone};

/// What the ICO has from the NCA under a consent that allows passing on, authorised for the NCSC.
async fn from_the_nca(ico: &World, nca: &World) -> Received {
    let (release, ..) = nca.received_by_ico("nca", World::onward_scope).await;
    ico.receive("ico", release, "ncsc").await
}

/// How many incidents came.
fn reveals(response: &v1::RequestReleaseResponse) -> usize {
    match response.outcome.as_ref() {
        Some(v1::request_release_response::Outcome::Released(released)) => released.incidents.len(),
        _ => 0,
    }
}

/// Who released to whom.
fn chain(passages: &[v1::Passage]) -> Vec<String> {
    passages.iter().map(|one| format!("{} to {}", one.from, one.to)).collect()
}

on_both_databases! {
    async fn row_a3d_what_the_nca_gave_passes_only_with_its_permission(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        assert_open(&ico.outcome(&received.held).await);

        let (_, receipt) = nca.permitted_to_pass_on(&received, "nca").await;
        assert_open(&ico.outcome(&received.held).await);
        ico.present(&received.held, receipt).await.unwrap();
        let released = ico.put(&received.held, ico.ask(&received.held)).await.unwrap();
        assert_released(released.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        ico.assert_proved(&released);
        let handling = only_incident(released.outcome.as_ref().unwrap()).handling.clone().unwrap();
        assert_eq!(chain(&handling.provenance), ["nca to ico", "ico to ncsc"]);
        let first = &handling.provenance[0];
        assert_eq!((first.permission.as_str(), first.onward.as_str()), ("chain", "with-consent"));
        let consent = first.consent.as_ref().unwrap();
        assert!(consent.onward && !consent.enforcement, "{consent:?}");
        assert!(!first.caveats.is_empty(), "what the ICO was obliged to goes with it");
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_permission_counts_for_an_hour_and_is_renewed_by_asking_again(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        let (permission, receipt) = nca.permitted_to_pass_on(&received, "nca").await;
        ico.present(&received.held, receipt.clone()).await.unwrap();
        ico.later(3_599);
        assert_released(&ico.outcome(&received.held).await, &["identity", "timeline"]);
        ico.later(1);
        assert_open(&ico.outcome(&received.held).await);
        assert_invalid(ico.present(&received.held, receipt).await, "receipt");

        let again = nca.ask_permission_again("ico", &permission).await;
        assert_eq!(again.answer, "given");
        ico.present(&received.held, outcome_alone(again.receipt.as_ref())).await.unwrap();
        assert_released(&ico.outcome(&received.held).await, &["identity", "timeline"]);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_withdrawal_counts_once_the_node_is_told(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        let (permission, receipt) = nca.permitted_to_pass_on(&received, "nca").await;
        ico.present(&received.held, receipt.clone()).await.unwrap();
        let ask = ico.ask(&received.held);
        assert_released(&ico.put(&received.held, ask.clone()).await.unwrap().outcome.unwrap(), &["identity", "timeline"]);

        let withdrawn = nca.withdraw_permission("nca", &permission).await.unwrap();
        assert_eq!(nca.ask_permission_again("ico", &permission).await.answer, "pending");
        // Until it is told, the node can know nothing of it: the receipt's hour bounds that.
        assert_released(&ico.outcome(&received.held).await, &["identity", "timeline"]);
        assert_invalid(ico.present_withdrawal("nca", withdrawn.encode_to_vec()).await, "receipt");
        ico.present_withdrawal("nca", outcome_alone(Some(&withdrawn))).await.unwrap();
        assert_open(&ico.outcome(&received.held).await);
        assert_error(ico.present(&received.held, receipt).await, Code::FailedPrecondition, "WRONG_STATE");
        let repeat = ico.put(&received.held, ask).await.unwrap().outcome.unwrap();
        assert_released(&repeat, &[]);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_withdrawal_reaches_every_record_for_which_the_permission_was_presented(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let first = world.receive("ico", release.clone(), "ncsc").await;
        let second = world.receive("ico", release, "ncsc").await;
        let (permission, receipt) = world.permitted_to_pass_on(&first, "nca").await;
        for received in [&first, &second] {
            world.present(&received.held, receipt.clone()).await.unwrap();
            assert_released(&world.outcome(&received.held).await, &["identity", "timeline"]);
        }
        let withdrawn = world.withdraw_permission("nca", &permission).await.unwrap();
        world.present_withdrawal("ico", outcome_alone(Some(&withdrawn))).await.unwrap();
        for received in [&first, &second] {
            assert_open(&world.outcome(&received.held).await);
        }
        // Whoever has it by this permission is told.
        let told = |notices: Vec<v1::Notice>| {
            let mut told: Vec<_> = notices.into_iter().map(|one| (one.kind, one.reference)).collect();
            told.sort();
            told
        };
        let mut expected: Vec<_> =
            [&first, &second].map(|one| ("stop-further-use".to_owned(), one.held.reference.clone())).into();
        expected.sort();
        assert_eq!(told(world.notices("ncsc").await), expected);
        world.present_withdrawal("nca", outcome_alone(Some(&withdrawn))).await.unwrap();
        assert_eq!(told(world.notices("ncsc").await), expected, "once");
    }

    async fn row_a3d_a_withdrawal_that_comes_before_the_permission_counts(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        let (permission, receipt) = nca.permitted_to_pass_on(&received, "nca").await;
        let withdrawn = nca.withdraw_permission("nca", &permission).await.unwrap();
        // The one who had it can tell its own node, too.
        ico.present_withdrawal("ico", outcome_alone(Some(&withdrawn))).await.unwrap();
        assert_error(ico.present(&received.held, receipt).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_open(&ico.outcome(&received.held).await);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_what_the_organisation_did_not_allow_onward_does_not_pass(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (release, ..) = nca.received_by_ico("nca", World::scope).await;
        let received = ico.receive("ico", release, "ncsc").await;
        let asked = nca.ask_permission("ico", nca.permission_for(&received, "nca")).await.unwrap();
        let given = nca.give_permission("nca", &asked.permission_id).await;
        assert_error(given, Code::FailedPrecondition, "WRONG_STATE");
        let shown = nca.ask_permission_again("ico", &asked.permission_id).await;
        assert_eq!(shown.answer, "pending", "the NCA's node shows no permission that the consent does not allow");
        assert_open(&ico.outcome(&received.held).await);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_consent_that_is_withdrawn_at_the_nca_ends_its_permission(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (release, held, consent) = nca.received_by_ico("nca", World::onward_scope).await;
        let received = ico.receive("ico", release, "ncsc").await;
        let (permission, _) = nca.permitted_to_pass_on(&received, "nca").await;
        // The organisation's consent for another incident has nothing to do with this one.
        let request = nca.incident_at(&held.organisation);
        let another = nca.incidents("nca").register_incident(request).await.unwrap().into_inner().incident_id;
        let another = nca.hold_incident("nca", "ico", held.organisation.clone(), another).await;
        nca.give_consent(&another, nca.onward_scope(&another)).await;
        nca.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(nca.ask_permission_again("ico", &permission).await.answer, "pending");
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_permission_is_shown_for_no_more_than_what_still_stands_at_the_nca(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (release, held, consent) = nca.received_by_ico("nca", World::onward_scope).await;
        let released_at = release.receipt.as_ref().unwrap().index;
        let received = ico.receive("ico", release, "ncsc").await;
        let (permission, _) = nca.permitted_to_pass_on(&received, "nca").await;
        let narrowed = v1::ConsentScope { categories: names(&["identity"]), ..nca.onward_scope(&held) };
        nca.narrow_consent(&held, &consent, narrowed).await.unwrap();
        let shown = nca.ask_permission_again("ico", &permission).await;
        let said = nca.verified(shown.receipt.as_ref()).permission.unwrap();
        assert_eq!((said.state.as_str(), said.categories), ("given", names(&["identity"])));

        // What was released wrongly is not passed on either, and nobody permits it meanwhile.
        let asked = nca.ask_permission("ico", nca.permission_for(&received, "nca")).await.unwrap();
        nca.report_releases("nca", &[released_at]).await.unwrap();
        assert_eq!(nca.ask_permission_again("ico", &permission).await.answer, "pending");
        let given = nca.give_permission("nca", &asked.permission_id).await;
        assert_error(given, Code::FailedPrecondition, "WRONG_STATE");
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_revoked_authorisation_and_an_erasure_end_the_permission(world: World) {
        let (release, held, _) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "nca").await;
        world.revoke(&held, &world.authorisation_of(&held).await).await.unwrap();
        assert_eq!(world.ask_permission_again("ico", &permission).await.answer, "pending");
        // Released anew, it stands anew.
        world.authorise(&held).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        assert_eq!(world.ask_permission_again("ico", &permission).await.answer, "given");
        world.erase(&held).await;
        assert_eq!(world.ask_permission_again("ico", &permission).await.answer, "pending");
    }

    async fn row_a3d_an_amended_record_keeps_its_chain_and_its_markings(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        let clear = v1::Markings { tlp: "clear".into(), pap: "clear".into(), classification: "official".into() };
        ico.amend_with(&received.held, content(), clear).await;
        let request = v1::GetIncidentRequest { incident_id: received.held.incident.clone() };
        let incident = ico.incidents("ico").get_incident(request).await.unwrap().into_inner().incident.unwrap();
        assert_eq!(chain(&incident.provenance), ["nca to ico"]);
        assert_eq!(incident.markings.unwrap().tlp, "amber", "the strictest of the chain binds");
        ico.authorise_as(&received.held, v1::GiveAuthorisationRequest { revision: 2, ..ico.authorisation(&received.held) })
            .await;
        assert_open(&ico.outcome(&received.held).await);
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_what_was_received_is_recorded_only_as_it_came(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (release, ..) = nca.received_by_ico("nca", World::onward_scope).await;
        let organisation = ico.register_organisation("ico", vec![]).await;
        let good = ico.received_at(&organisation, &release);
        let with = |change: &dyn Fn(&mut v1::RegisterReceivedRequest)| {
            let mut request = v1::RegisterReceivedRequest { request_id: crate::harness::request_id(), ..good.clone() };
            change(&mut request);
            request
        };
        let other = v1::IncidentContent { identity: None, narrative: None, ..content() };
        let other = v1::IncidentContent {
            timeline: Some(v1::Timeline { discovery: "something else".into(), ..other.timeline.unwrap() }),
            ..v1::IncidentContent::default()
        };
        let changed = with(&|request| request.categories[1].content = other.encode_to_vec());
        assert_invalid(ico.register_received("ico", changed).await, "categories[1].content");
        let unsalted = with(&|request| request.categories[0].salt[0] ^= 1);
        assert_invalid(ico.register_received("ico", unsalted).await, "categories[0].content");
        let twice = with(&|request| request.categories[1] = request.categories[0].clone());
        assert_invalid(ico.register_received("ico", twice).await, "categories[1].category");
        // Of another ledger: the ICO's own node never released it.
        let forged = with(&|request| {
            let mut receipt = v1::Receipt::decode(request.receipt.as_slice()).unwrap();
            receipt.origin = "one.concordat.example".into();
            request.receipt = receipt.encode_to_vec();
        });
        assert_invalid(ico.register_received("ico", forged).await, "receipt");
        // To another agency: the NCA cannot record at its own node what it gave the ICO.
        let there = nca.register_organisation("nca", vec![]).await;
        let theirs = nca.received_at(&there, &release);
        assert_invalid(nca.register_received("nca", theirs).await, "receipt");
        ico.register_received("ico", good.clone()).await.unwrap();
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_copy_is_kept_no_longer_than_the_release_says(world: World) {
        const DAY: i64 = 86_400;
        let organisation = world.register_organisation("nca", vec![]).await;
        let kept = v1::RegisterIncidentRequest { retain_until: world.in_seconds(30 * DAY), ..world.incident_at(&organisation) };
        let due = kept.retain_until;
        let incident = world.incidents("nca").register_incident(kept).await.unwrap().into_inner().incident_id;
        let held = world.permit(world.hold_incident("nca", "ico", organisation, incident).await).await.held;
        let release = world.put(&held, world.ask(&held)).await.unwrap();

        let there = world.register_organisation("ico", vec![]).await;
        let longer = v1::RegisterReceivedRequest {
            retain_until: world.in_seconds(30 * DAY + 1),
            ..world.received_at(&there, &release)
        };
        assert_invalid(world.register_received("ico", longer).await, "retain_until");
        let id = world.register_received("ico", world.received_at(&there, &release)).await.unwrap();
        let request = v1::GetIncidentRequest { incident_id: id };
        let copy = world.incidents("ico").get_incident(request).await.unwrap().into_inner().incident.unwrap();
        assert_eq!(copy.retain_until, due, "not the seven years of a record of one's own");
        world.later(30 * DAY);
        assert_invalid(world.register_received("ico", world.received_at(&there, &release)).await, "receipt");
    }

    /// NCSC to ICO to NCA, and back to the ICO: the NCSC is asked on each way but its own.
    async fn row_a3d_a_round_trip_takes_no_restriction_off(world: World) {
        let (release, ..) = world.received_by_ico("ncsc", World::onward_scope).await;
        let at_ico = world.receive("ico", release, "nca").await;
        assert_open(&world.outcome(&at_ico.held).await);
        let (_, receipt) = world.permitted_to_pass_on(&at_ico, "ncsc").await;
        world.present(&at_ico.held, receipt).await.unwrap();
        let release = world.put(&at_ico.held, world.ask(&at_ico.held)).await.unwrap();
        assert_released(release.outcome.as_ref().unwrap(), &["identity", "timeline"]);

        let at_nca = world.receive("nca", release, "ico").await;
        world.give_consent(&at_nca.held, world.onward_scope(&at_nca.held)).await;
        assert_open(&world.outcome(&at_nca.held).await);
        let (_, receipt) = world.permitted_to_pass_on(&at_nca, "ncsc").await;
        world.present(&at_nca.held, receipt).await.unwrap();
        let back = world.put(&at_nca.held, world.ask(&at_nca.held)).await.unwrap();
        let handling = only_incident(back.outcome.as_ref().unwrap()).handling.clone().unwrap();
        assert_eq!(chain(&handling.provenance), ["ncsc to ico", "ico to nca", "nca to ico"]);

        // Laundered through two agencies, it is no freer: to the NCSC, only the NCA is asked.
        let home = world.receive("ico", back, "ncsc").await;
        assert_open(&world.outcome(&home.held).await);
        assert_invalid(world.ask_permission("ico", world.permission_for(&home, "ncsc")).await, "upstream");
        let (_, receipt) = world.permitted_to_pass_on(&home, "nca").await;
        world.present(&home.held, receipt).await.unwrap();
        assert_released(&world.outcome(&home.held).await, &["identity", "timeline"]);
    }

    async fn row_a3d_an_agency_that_is_asked_sees_no_release_that_it_had_no_part_in(world: World) {
        let (release, ..) = world.received_by_ico("ncsc", World::onward_scope).await;
        let at_ico = world.receive("ico", release, "nca").await;
        let (_, receipt) = world.permitted_to_pass_on(&at_ico, "ncsc").await;
        world.present(&at_ico.held, receipt).await.unwrap();
        let release = world.put(&at_ico.held, world.ask(&at_ico.held)).await.unwrap();

        // At the NCA, the organisation has that incident, which came from the NCSC, and one of the NCA's own.
        let organisation = world.register_organisation("nca", vec![identifier(7)]).await;
        let passed = world.register_received("nca", world.received_at(&organisation, &release)).await.unwrap();
        let passed = world.hold_incident("nca", "ico", organisation.clone(), passed).await;
        let own = world.incidents("nca").register_incident(world.incident_at(&organisation)).await.unwrap();
        let own = world.hold_incident("nca", "ico", organisation, own.into_inner().incident_id).await;
        for held in [&passed, &own] {
            world.give_consent(held, world.onward_scope(held)).await;
            world.authorise(held).await;
        }
        let received = Received { held: passed.clone(), release };
        let (_, receipt) = world.permitted_to_pass_on(&received, "ncsc").await;
        world.present(&passed, receipt).await.unwrap();
        let both = world.put(&passed, world.ask_by_name("nca", vec![identifier(7)])).await.unwrap();
        assert_eq!(reveals(&both), 2);

        let request = |release: &v1::RequestReleaseResponse, reference: &str| v1::AskPermissionRequest {
            request_id: crate::harness::request_id(),
            receipt: outcome_alone(release.receipt.as_ref()),
            reference: reference.into(),
            recipient: "nca".into(),
            ..world.permission_for(&received, "ncsc")
        };
        let stated = world.verified(both.receipt.as_ref()).outcome.unwrap().released;
        let came = stated.iter().find(|one| one.handling.as_ref().unwrap().provenance.len() == 3).unwrap();
        assert_invalid(world.ask_permission("ico", request(&both, &came.reference)).await, "receipt");
        let alone = world.put(&passed, world.ask(&passed)).await.unwrap();
        world.ask_permission("ico", request(&alone, "")).await.unwrap();
    }

    async fn row_a3d_a_receipt_from_a_clock_that_is_ahead_is_turned_away(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let received = from_the_nca(&ico, &nca).await;
        let now = ico.now();
        nca.later(60);
        let (_, receipt) = nca.permitted_to_pass_on(&received, "nca").await;
        ico.hand.set(now);
        assert_invalid(ico.present(&received.held, receipt.clone()).await, "receipt");
        ico.later(60);
        ico.present(&received.held, receipt).await.unwrap();
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_of_two_receipts_of_a_permission_the_newer_counts(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, older) = world.permitted_to_pass_on(&received, "nca").await;
        world.later(3_000);
        let newer = world.ask_permission_again("ico", &permission).await;
        world.present(&received.held, outcome_alone(newer.receipt.as_ref())).await.unwrap();
        world.present(&received.held, older).await.unwrap();
        world.later(3_000);
        assert_released(&world.outcome(&received.held).await, &["identity", "timeline"]);
    }

    async fn row_a3d_an_agency_that_the_upstream_one_suspended_is_shown_nothing(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "nca").await;
        world.suspend_agency("nca", "ico").await.unwrap();
        let asked = world.ask_permission("ico", world.permission_for(&received, "nca")).await;
        assert_error(asked, Code::PermissionDenied, "SUSPENDED");
        let again = v1::AskPermissionRequest {
            request_id: crate::harness::request_id(),
            permission_id: permission,
            ..v1::AskPermissionRequest::default()
        };
        assert_error(world.ask_permission("ico", again).await, Code::PermissionDenied, "SUSPENDED");
    }

    async fn row_a3d_a_permission_for_another_purpose_or_recipient_permits_nothing(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let other = v1::AskPermissionRequest {
            purpose: "regulatory-assessment".into(),
            ..world.permission_for(&received, "nca")
        };
        let asked = world.ask_permission("ico", other).await.unwrap();
        world.give_permission("nca", &asked.permission_id).await.unwrap();
        let shown = world.ask_permission_again("ico", &asked.permission_id).await;
        world.present(&received.held, outcome_alone(shown.receipt.as_ref())).await.unwrap();
        assert_open(&world.outcome(&received.held).await);
        // One for another record of the ICO's is not taken at all.
        let (another, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let another = world.receive("ico", another, "ncsc").await;
        let (_, receipt) = world.permitted_to_pass_on(&another, "nca").await;
        assert_invalid(world.present(&received.held, receipt).await, "receipt");
    }
}
