//! More calls than the node can do: whoever floods is told so, and nobody else notices; withdrawals least of all.

use std::time::Duration;

use concordat::proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::batch::Pending;
use crate::builders::assert_error;
use crate::harness::{on_both_databases, request_id};

/// How many changes the flood begins with, and how many asks then have room beside them: `docs/operations.md` has the
/// limits.
const CHANGES: usize = 120;
const ASKS_BESIDES: usize = 1_024 - 8 * CHANGES;
/// How many changes of one agency wait at most.
const CHANGES_THAT_WAIT: usize = 128;
/// How many changes go into one batch.
const CHANGES_AT_ONCE: u64 = 32;
/// How many calls one connection has under way at once.
const STREAMS: usize = 200;

/// Calls of one agency that are all under way at the same time.
struct Flood(JoinSet<Result<(), Status>>);

impl Flood {
    fn new() -> Self {
        Self(JoinSet::new())
    }

    /// The next answer of the flood, which is that there was no room.
    async fn turned_away(&mut self) {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.0.join_next()).await;
        let status = answer.expect("an answer at once").unwrap().unwrap().expect_err("no room");
        let wait = status.get_details_retry_info().and_then(|told| told.retry_delay);
        assert!(wait.is_some_and(|wait| wait > Duration::ZERO), "it does not say how long to wait: {status:?}");
        assert_error::<()>(Err(status), Code::ResourceExhausted, "OVERLOADED");
    }

    /// All others are done once the node goes on.
    async fn done(mut self) {
        while let Some(answer) = self.0.join_next().await {
            assert!(answer.unwrap().is_ok(), "what had room was not done");
        }
    }
}

/// As long as a call may take at all: a slow machine must not be mistaken for a full queue.
fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(30));
    request
}

on_both_databases! {
    async fn overload_is_told_to_the_agency_that_floods_and_to_no_other(world: World) {
        let asked = world.permitted("ncsc").await.held;
        let shared = world.hold("ico", "nca").await;
        let authorisation = world.authorise(&shared).await;
        // Connected before anything waits: the node cannot be kept waiting for long.
        let (recorder, requester, mut other) = (world.organisations("ico"), world.requester("ico"), world.requester("nca"));
        recorder.clone().list_organisations(v1::ListOrganisationsRequest::default()).await.unwrap();
        requester.clone().list_requests(v1::ListRequestsRequest::default()).await.unwrap();
        other.list_requests(v1::ListRequestsRequest::default()).await.unwrap();
        let mut authoriser = world.authorisations("ico");
        let listed = v1::ListAuthorisationsRequest { incident_id: shared.incident.clone(), ..Default::default() };
        authoriser.list_authorisations(listed).await.unwrap();
        let before = world.size().await;
        let stalled = world.stall().await;

        // Changes take most of the agency's room, since they take more each; asks the rest, until there is none.
        let mut flood = Flood::new();
        for number in 0..CHANGES {
            let name = format!("Flooded {number} plc");
            let change = v1::RegisterOrganisationRequest { request_id: request_id(), name, ..Default::default() };
            let (mut recorder, change) = (recorder.clone(), patient(change));
            flood.0.spawn(async move { recorder.register_organisation(change).await.map(drop) });
        }
        world.until_queued(CHANGES).await;
        for _ in 0..STREAMS {
            let (mut requester, ask) = (requester.clone(), patient(world.ask(&asked)));
            flood.0.spawn(async move { requester.request_release(ask).await.map(drop) });
        }
        for _ in 0..STREAMS - ASKS_BESIDES {
            flood.turned_away().await;
        }
        let waiting = CHANGES + ASKS_BESIDES;
        assert_eq!(world.node.exchange().queued(), waiting, "so many wait, and no more take memory");

        let ask = patient(world.ask(&shared));
        let other = tokio::spawn(async move { other.request_release(ask).await });
        world.until_queued(waiting + 1).await;
        // The agency that floods can still take back what it allowed.
        let revocation =
            patient(v1::RevokeAuthorisationRequest { request_id: request_id(), authorisation_id: authorisation });
        let revoking = tokio::spawn(async move { authoriser.revoke_authorisation(revocation).await });
        world.until_queued(waiting + 2).await;
        stalled.let_go().await;

        let other = other.await.unwrap().unwrap().into_inner().receipt.unwrap();
        let revoked = revoking.await.unwrap().unwrap().into_inner().receipt.unwrap();
        world.assert_one_batch(&other, &revoked);
        assert!(revoked.index <= before + 1, "it goes before all that waited: {} after {before}", revoked.index);
        // Changes come before asks in a batch; no ask of the flood does.
        let between = other.index - revoked.index - 1;
        assert!(between <= CHANGES_AT_ONCE, "it has the second turn: {} after {}", other.index, revoked.index);
        flood.done().await;
    }

    async fn overload_by_an_import_keeps_no_withdrawal_waiting(world: World) {
        let permitted = world.permitted("ncsc").await;
        let recorder = world.incidents("ncsc");
        recorder.clone().list_incidents(v1::ListIncidentsRequest::default()).await.unwrap();
        let before = world.size().await;
        let stalled = world.stall().await;

        let mut import = Flood::new();
        for _ in 0..STREAMS {
            let (mut recorder, incident) = (recorder.clone(), patient(world.incident_at(&permitted.held.organisation)));
            import.0.spawn(async move { recorder.register_incident(incident).await.map(drop) });
        }
        for _ in 0..STREAMS - CHANGES_THAT_WAIT {
            import.turned_away().await;
        }
        let withdrawing: Pending<v1::Receipt> = world.withdrawing(&permitted);
        let withdrawing = tokio::spawn(withdrawing);
        world.until_queued(CHANGES_THAT_WAIT + 1).await;
        stalled.let_go().await;

        let withdrawn = withdrawing.await.unwrap();
        assert!(withdrawn.index <= before + 1, "it goes before all that waited: {} after {before}", withdrawn.index);
        let batch = world.verified(Some(&withdrawn)).checkpoint.size - withdrawn.index;
        assert_eq!(batch, 1 + CHANGES_AT_ONCE, "a batch of changes is short");
        import.done().await;
    }
}
