//! A stolen laptop, a compromised agency: stopped at once, everywhere, and let in again.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::admin_service_client::AdminServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::{ACCESS, v1::RequestReleaseResponse};
use prost_reflect::DynamicMessage;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::batch::Pending;
use crate::bad_input::{fresh, rpcs};
use crate::builders::{Held, assert_error, assert_invalid, assert_released};
use crate::harness::{Engine, World, on_both_databases, request_id, to_its_end};
use crate::raw;

impl World {
    pub(crate) fn admin(&self, agency: &str) -> AdminServiceClient<OfficerChannel> {
        AdminServiceClient::new(self.officer(agency, "op", &["operator"]))
    }

    /// Suspends an officer, and gives the answer: the pseudonym and the entry.
    pub(crate) async fn suspend_officer(
        &self,
        by: &str,
        agency: &str,
        officer: &str,
    ) -> Result<v1::SuspendOfficerResponse, Status> {
        let request =
            v1::SuspendOfficerRequest { request_id: request_id(), agency: agency.into(), officer: officer.into() };
        Ok(self.admin(by).suspend_officer(request).await?.into_inner())
    }

    pub(crate) async fn resume_officer(&self, by: &str, agency: &str, officer: &str) -> Result<u64, Status> {
        let request =
            v1::ResumeOfficerRequest { request_id: request_id(), agency: agency.into(), officer: officer.into() };
        Ok(self.admin(by).resume_officer(request).await?.into_inner().receipt.unwrap().index)
    }

    pub(crate) async fn suspend_agency(&self, by: &str, agency: &str) -> Result<u64, Status> {
        let request = v1::SuspendAgencyRequest { request_id: request_id(), agency: agency.into() };
        Ok(self.admin(by).suspend_agency(request).await?.into_inner().receipt.unwrap().index)
    }

    pub(crate) async fn resume_agency(&self, by: &str, agency: &str) -> Result<u64, Status> {
        let request = v1::ResumeAgencyRequest { request_id: request_id(), agency: agency.into() };
        Ok(self.admin(by).resume_agency(request).await?.into_inner().receipt.unwrap().index)
    }

    pub(crate) async fn suspensions(&self, by: &str) -> Vec<v1::Suspension> {
        let request = v1::ListSuspensionsRequest::default();
        self.admin(by).list_suspensions(request).await.unwrap().into_inner().suspensions
    }

    /// The same, on its way.
    pub(crate) fn suspending(&self, by: &str, agency: &str) -> Pending<Result<u64, Status>> {
        let mut admin = self.admin(by);
        let request = v1::SuspendAgencyRequest { request_id: request_id(), agency: agency.into() };
        Box::pin(async move { Ok(admin.suspend_agency(request).await?.into_inner().receipt.unwrap().index) })
    }

    /// The usual ask, on its way.
    pub(crate) fn asking_for(
        &self,
        held: &Held,
        ask: v1::RequestReleaseRequest,
    ) -> Pending<Result<RequestReleaseResponse, Status>> {
        let mut requester = self.requester(&held.recipient);
        Box::pin(async move { Ok(requester.request_release(ask).await?.into_inner()) })
    }

    /// Calls every RPC with a request that would be accepted, as an officer of the agency whose records it speaks of.
    async fn assert_turned_away_from_everything(&self, officer: &str) {
        for rpc in rpcs() {
            let bytes = self.valid_request(rpc.name(), 0).await.unwrap();
            let message = DynamicMessage::decode(rpc.method.input(), bytes.as_slice()).unwrap();
            let (_, roles, _) = ACCESS.iter().find(|(path, ..)| *path == rpc.path).unwrap();
            let channel = self.officer(rpc.owner(), officer, &[roles.first().copied().unwrap_or("auditor")]);
            let before = self.ledger_size().await;
            let answer = raw::call(channel, &rpc.path, prost::Message::encode_to_vec(&fresh(&message))).await;
            let Err(status) = answer else { panic!("{}: a suspended officer got an answer", rpc.path) };
            let reason = status.get_details_error_info().map(|found| found.reason).unwrap_or_default();
            assert_eq!((status.code(), reason.as_str()), (Code::PermissionDenied, "SUSPENDED"), "{}", rpc.path);
            assert_eq!(self.ledger_size().await, before, "{} wrote an entry", rpc.path);
        }
    }
}

/// A node where the NCA is a guest: it calls, and none of its records are there.
async fn with_a_guest(engine: Engine) -> Option<World> {
    let world = World::start_with(engine, |config| {
        for agency in config.agency.iter_mut().filter(|agency| agency.id.as_str() == "nca") {
            agency.holds = None;
        }
    })
    .await?;
    for id in ["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018"] {
        world.activate(id).await;
    }
    Some(world)
}

/// An incident of the ICO's that the NCA gets for the asking.
async fn for_the_guest(world: &World) -> Held {
    let held = world.hold("ico", "nca").await;
    world.authorise(&held).await;
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
    held
}

async fn a_guest_is_turned_away_from_everything(world: &World) {
    let held = for_the_guest(world).await;
    let request = world.put(&held, world.ask(&held)).await.unwrap().request;
    let suspended = world.suspend_agency("ico", "nca").await.unwrap();
    for rpc in rpcs() {
        let (_, roles, own_agency) = ACCESS.iter().find(|(path, ..)| *path == rpc.path).unwrap();
        if *own_agency {
            continue;
        }
        let bytes = world.valid_request(rpc.name(), 0).await.unwrap();
        let message = DynamicMessage::decode(rpc.method.input(), bytes.as_slice()).unwrap();
        let channel = world.officer("nca", "req", &[roles.first().copied().unwrap_or("requester")]);
        let bytes = prost::Message::encode_to_vec(&fresh(&message));
        assert_error(raw::call(channel, &rpc.path, bytes).await, Code::PermissionDenied, "SUSPENDED");
    }
    let before = world.size().await;
    assert_error(world.put(&held, world.ask(&held)).await, Code::PermissionDenied, "SUSPENDED");
    assert_error(world.offer("ico", &request).await, Code::FailedPrecondition, "WRONG_STATE");
    assert_eq!(world.size().await, before, "nothing of it is in the ledger");
    let resumed = world.resume_agency("ico", "nca").await.unwrap();
    assert!(suspended < resumed);
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

async fn one_officer_of_a_guest_by_pseudonym(world: &World) {
    let held = for_the_guest(world).await;
    let seen = world.received("ico").await.pop().unwrap();
    let suspended = world.suspend_officer("ico", "nca", &seen.officer_pseudonym).await.unwrap();
    assert_eq!(suspended.pseudonym, seen.officer_pseudonym);
    assert_error(world.put(&held, world.ask(&held)).await, Code::PermissionDenied, "SUSPENDED");
    // Whatever unit and roles the token says.
    let mut again = ReleaseServiceClient::new(world.officer("nca", "req", &["requester", "auditor"]));
    let listed = again.list_requests(v1::ListRequestsRequest::default()).await;
    assert_error(listed, Code::PermissionDenied, "SUSPENDED");
    // Another officer of the same agency works on.
    let mut other = ReleaseServiceClient::new(world.officer("nca", "other", &["requester"]));
    let outcome = other.request_release(world.ask(&held)).await.unwrap().into_inner().outcome.unwrap();
    assert_released(&outcome, &["identity", "timeline"]);
    world.resume_officer("ico", "nca", &seen.officer_pseudonym).await.unwrap();
    assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
}

fn on_a_node_with_a_guest(engine: Engine) {
    to_its_end(|| async move {
        if let Some(world) = with_a_guest(engine).await {
            a_guest_is_turned_away_from_everything(&world).await;
            one_officer_of_a_guest_by_pseudonym(&world).await;
            world.finish().await;
        }
    });
}

mod suspension_turns_a_guest_away_from_everything {
    use crate::harness::Engine;

    #[test]
    fn sqlite() {
        super::on_a_node_with_a_guest(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        super::on_a_node_with_a_guest(Engine::Postgres);
    }
}

on_both_databases! {
    async fn suspension_turns_an_own_officer_away_from_everything(world: World) {
        for agency in ["ico", "ncsc"] {
            let suspended = world.suspend_officer(agency, agency, "stolen").await.unwrap();
            let act = world.verified(suspended.receipt.as_ref()).act.unwrap();
            assert_eq!(act.object, format!("{agency}/{}", suspended.pseudonym));
            let [listed] = world.suspensions(agency).await.try_into().unwrap();
            assert_eq!((listed.id.as_str(), listed.officer.as_str()), (act.object.as_str(), "stolen"));
            assert_eq!((listed.pseudonym, listed.suspended_by.as_str()), (suspended.pseudonym, "op"));
        }
        world.assert_turned_away_from_everything("stolen").await;
        let status = world.ledger_as("ncsc", "stolen").get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap_err();
        let said = status.get_details_error_info().unwrap().metadata;
        assert_eq!((said["by"].as_str(), said.len()), ("ncsc", 2));
        assert!(!said["contact"].is_empty() && status.message().contains(&said["contact"]), "{status:?}");
        world.resume_officer("ncsc", "ncsc", "stolen").await.unwrap();
        world.ledger_as("ncsc", "stolen").get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap();
        let ico = world.ledger_as("ico", "stolen").get_checkpoint(v1::GetCheckpointRequest {}).await;
        assert_error(ico, Code::PermissionDenied, "SUSPENDED");
    }

    async fn suspension_of_an_agency_that_shares_the_node_stops_what_passes_to_it(world: World) {
        let held = world.permitted("ncsc").await.held;
        let ask = world.ask(&held);
        let first = world.put(&held, ask.clone()).await.unwrap();
        assert_released(first.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        world.offer_incident(&held).await.unwrap();
        assert_eq!(world.events_of("ico", "offer").await.len(), 1);
        assert_eq!(world.preview(&held, "").await.outcome, "released");

        world.suspend_agency("ncsc", "ico").await.unwrap();
        let before = world.size().await;
        assert_error(world.put(&held, world.ask(&held)).await, Code::PermissionDenied, "SUSPENDED");
        assert_error(world.put(&held, ask.clone()).await, Code::PermissionDenied, "SUSPENDED");
        let again =
            v1::RequestReleaseRequest { request_id: request_id(), request: first.request, ..Default::default() };
        assert_error(world.put(&held, again).await, Code::PermissionDenied, "SUSPENDED");
        assert_error(world.offer_incident(&held).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.size().await, before, "who is turned away leaves no entry");
        assert_eq!(world.events_of("ico", "offer").await, [], "what was offered before is not told");
        let preview = world.preview(&held, "").await;
        assert_eq!((preview.outcome.as_str(), preview.categories.len(), preview.digest.len()), ("open", 0, 0));
        assert!(preview.content.is_none() && preview.reasons[0].contains("suspended"), "{:?}", preview.reasons);

        // Its own records are its own: it can still take permissions away, and ask others.
        let own = world.hold("ico", "nca").await;
        let authorisation = world.authorise(&own).await;
        world.revoke(&own, &authorisation).await.unwrap();
        let elsewhere = world.permitted("nca").await.held;
        assert_released(&world.outcome(&elsewhere).await, &["identity", "timeline"]);

        world.resume_agency("ncsc", "ico").await.unwrap();
        assert_eq!(world.events_of("ico", "offer").await.len(), 1);
        assert_released(world.put(&held, ask).await.unwrap().outcome.as_ref().unwrap(), &["identity", "timeline"]);
    }

    async fn suspension_of_the_officer_who_asked_stops_an_offer_to_answer(world: World) {
        let held = world.permitted("ncsc").await.held;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        let seen = world.received("ncsc").await.pop().unwrap();
        world.suspend_officer("ncsc", "ico", &seen.officer_pseudonym).await.unwrap();
        assert_error(world.offer("ncsc", &request).await, Code::FailedPrecondition, "WRONG_STATE");
        // Unasked, it is offered to the agency.
        world.offer_incident(&held).await.unwrap();
    }

    async fn suspension_leaves_what_was_decided_before(world: World) {
        let held = world.permitted("ncsc").await.held;
        for officer in ["rec", "ver", "aut"] {
            world.suspend_officer("ncsc", "ncsc", officer).await.unwrap();
        }
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let given = world.authorisations("ncsc").give_authorisation(world.authorisation(&held)).await;
        assert_error(given, Code::PermissionDenied, "SUSPENDED");
    }

    async fn suspension_is_nobodys_own_and_once(world: World) {
        assert_invalid(world.suspend_agency("ico", "ico").await, "agency");
        assert_invalid(world.suspend_agency("ico", "gchq").await, "agency");
        assert_invalid(world.suspend_officer("ico", "ico", "op").await, "officer");
        assert_invalid(world.suspend_officer("ico", "ncsc", "op").await, "officer");
        let before = world.size().await;
        assert_error(world.resume_agency("ico", "ncsc").await, Code::NotFound, "NOT_FOUND");
        assert_error(world.resume_officer("ico", "ico", "op").await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.size().await, before);
        world.suspend_agency("ico", "ncsc").await.unwrap();
        assert_error(world.suspend_agency("ico", "ncsc").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.resume_agency("nca", "ncsc").await, Code::NotFound, "NOT_FOUND");
        assert!(world.suspensions("nca").await.is_empty(), "another agency's");
        world.resume_agency("ico", "ncsc").await.unwrap();
        assert_eq!(world.suspensions("ico").await, []);
        world.suspend_agency("ico", "ncsc").await.unwrap();
    }
}
