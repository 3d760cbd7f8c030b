//! A3d: what a permission rests on at the agency that gave it, and what the one that asked can tell from its answers.

use concordat::proto::v1;
use prost::Message as _;
use tonic::Code;

use crate::builders::{Held, assert_error, assert_open, assert_released};
use crate::cli::execute;
use crate::harness::{World, on_both_databases, request_id};
use crate::onward::outcome_alone;

fn again(permission: &str) -> v1::AskPermissionRequest {
    let (request_id, permission_id) = (request_id(), permission.to_owned());
    v1::AskPermissionRequest { request_id, permission_id, ..v1::AskPermissionRequest::default() }
}

on_both_databases! {
    async fn row_a3d_no_permission_reaches_an_agency_that_the_upstream_one_suspended(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "nca").await;
        let asked = world.ask_permission("ico", world.permission_for(&received, "nca")).await.unwrap();
        world.suspend_agency("nca", "ncsc").await.unwrap();
        assert_eq!(world.ask_permission_again("ico", &permission).await.answer, "pending");
        let given = world.give_permission("nca", &asked.permission_id).await;
        assert_error(given, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn row_a3d_a_permission_is_shown_no_longer_than_the_consent_lasts(world: World) {
        let (release, held, consent) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "nca").await;
        let until = world.in_seconds(600);
        let narrowed = v1::ConsentScope { valid_until: until, ..world.onward_scope(&held) };
        world.narrow_consent(&held, &consent, narrowed).await.unwrap();
        world.later(540);
        let shown = world.ask_permission_again("ico", &permission).await;
        let said = world.verified(shown.receipt.as_ref()).permission.unwrap();
        assert_eq!((said.state.as_str(), said.until_micros), ("given", world.now().plus_seconds(60).micros()));
        world.present(&received.held, outcome_alone(shown.receipt.as_ref())).await.unwrap();
        assert_released(&world.outcome(&received.held).await, &["identity", "timeline"]);
        world.later(60);
        assert_open(&world.outcome(&received.held).await);
    }

    /// What the agency that released it last says of an earlier release is its word alone.
    async fn row_a3d_an_agency_believes_its_own_record_of_what_it_released(world: World) {
        let (release, held, consent) = world.received_by_ico("ncsc", World::onward_scope).await;
        let at_ico = world.receive("ico", release, "nca").await;
        let (_, receipt) = world.permitted_to_pass_on(&at_ico, "ncsc").await;
        world.present(&at_ico.held, receipt).await.unwrap();
        let unsaid = format!(
            "UPDATE incident SET provenance = REPLACE(provenance, '\"consent\":', '\"unsaid\":') WHERE id = '{}'",
            at_ico.held.incident
        );
        execute(&world.config.database_url(), &[&unsaid], &[&unsaid]).await;
        let release = world.put(&at_ico.held, world.ask(&at_ico.held)).await.unwrap();
        let stated = world.verified(release.receipt.as_ref()).outcome.unwrap().released;
        assert!(stated[0].handling.as_ref().unwrap().provenance[0].consent.is_none());

        let at_nca = world.receive("nca", release, "ico").await;
        let (permission, _) = world.permitted_to_pass_on(&at_nca, "ncsc").await;
        world.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(world.ask_permission_again("nca", &permission).await.answer, "pending");
    }

    async fn row_a3d_no_permission_is_shown_while_the_clock_cannot_be_trusted(world: World) {
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let received = world.receive("ico", release, "ncsc").await;
        let (permission, _) = world.permitted_to_pass_on(&received, "nca").await;
        let asked = world.ask_permission("ico", world.permission_for(&received, "nca")).await.unwrap();
        world.later(-3);
        assert_error(world.ask_permission("ico", again(&permission)).await, Code::Unavailable, "CLOCK");
        assert_error(world.give_permission("nca", &asked.permission_id).await, Code::Unavailable, "CLOCK");
        world.later(3);
        assert_eq!(world.ask_permission("ico", again(&permission)).await.unwrap().answer, "given");
        world.give_permission("nca", &asked.permission_id).await.unwrap();
    }

    async fn row_a3d_a_permission_that_is_not_given_looks_the_same_whatever_the_reason(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let (release, held, consent) = nca.received_by_ico("nca", World::onward_scope).await;
        let received = ico.receive("ico", release, "ncsc").await;
        let ask = async || nca.ask_permission("ico", nca.permission_for(&received, "nca")).await.unwrap();
        let (undecided, declined, withdrawn) = (ask().await, ask().await, ask().await);
        let (lapsed, _) = nca.permitted_to_pass_on(&received, "nca").await;
        nca.decline_permission("nca", &declined.permission_id).await.unwrap();
        nca.give_permission("nca", &withdrawn.permission_id).await.unwrap();
        nca.withdraw_permission("nca", &withdrawn.permission_id).await.unwrap();
        let seen = async |permission: &str| {
            let response = nca.ask_permission_again("ico", permission).await;
            let receipt = response.receipt.unwrap();
            let said = nca.verified(Some(&receipt)).permission.unwrap();
            assert_eq!(said.permission, permission);
            let length = receipt.encoded_len() - receipt.inclusion.len() * 34 - receipt.checkpoint.len();
            (response.answer, v1::PermissionStatement { permission: String::new(), ..said }, receipt.openings.len(), length)
        };
        let expected = seen(&undecided.permission_id).await;
        assert_eq!(expected.0, "pending");
        assert_eq!(seen(&declined.permission_id).await, expected, "declined");
        assert_eq!(seen(&withdrawn.permission_id).await, expected, "withdrawn");
        nca.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(seen(&lapsed).await, expected, "the consent withdrawn");
        nca.erase(&held).await;
        assert_eq!(seen(&lapsed).await, expected, "the incident erased");
        nca.finish().await;
        world = ico;
    }

    async fn row_a3d_a_permission_is_shown_for_no_more_incidents_than_a_withdrawal_can_stop_at_once(world: World) {
        const MOST: usize = 64;
        let (release, ..) = world.received_by_ico("nca", World::onward_scope).await;
        let first = world.receive("ico", release.clone(), "ncsc").await;
        let (permission, receipt) = world.permitted_to_pass_on(&first, "nca").await;
        let another = async || {
            let request = world.received_at(&first.held.organisation, &release);
            let incident = world.register_received("ico", request).await.unwrap();
            Held { incident, ..first.held.clone() }
        };
        world.present(&first.held, receipt.clone()).await.unwrap();
        for _ in 1..MOST {
            world.present(&another().await, receipt.clone()).await.unwrap();
        }
        let one_more = world.present(&another().await, receipt.clone()).await;
        assert_error(one_more, Code::FailedPrecondition, "WRONG_STATE");
        world.present(&first.held, receipt).await.unwrap();
        assert_released(&world.outcome(&first.held).await, &["identity", "timeline"]);
        let withdrawn = world.withdraw_permission("nca", &permission).await.unwrap();
        world.present_withdrawal("ico", outcome_alone(Some(&withdrawn))).await.unwrap();
        assert_open(&world.outcome(&first.held).await);
    }
}
