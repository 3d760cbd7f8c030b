//! What happens in one batch: withdrawals before all else, asks on what is then true, one entry for one call.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use concordat::domain::{Actor, AgencyId, CallKey, Digest, OfficerId, Profile, RequestId, Unit};
use concordat::exchange::{By, RegisterOrganisation};
use concordat::proto::v1;
use concordat::store::Locked;

use crate::builders::{Held, Permitted, assert_open_with, assert_released, names, released};
use crate::harness::{World, on_both_databases, request_id};

pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A node whose present batch cannot go on: whatever is put now goes into the next one, together.
pub(crate) struct Stalled {
    locked: Locked,
    blocked: Pending<()>,
}

impl Stalled {
    /// Lets the node go on; when this returns, the batch that was in the way is done.
    pub(crate) async fn let_go(self) {
        drop(self.locked);
        self.blocked.await;
    }
}

impl World {
    /// Takes the ledger's lock as another replica would, and puts one change that waits for it.
    pub(crate) async fn stall(&self) -> Stalled {
        let exchange = self.node.exchange().clone();
        let locked = exchange.node().store().lock().await.unwrap();
        let by = By {
            actor: Actor {
                agency: AgencyId::known("nca"),
                officer: OfficerId::known("rec"),
                unit: Unit::known("incident-desk"),
                pseudonym: "officer".into(),
                certificate: vec![],
            },
            call: CallKey {
                agency: AgencyId::known("nca"),
                method: "OrganisationService/RegisterOrganisation",
                request_id: RequestId::known(request_id()),
                digest: Digest([7; 32]),
            },
        };
        let change = RegisterOrganisation { profile: Profile { name: "In the way".into(), ..Profile::default() } };
        let mut blocked: Pending<()> = Box::pin(async move {
            // It may run into the lock's time limit on a slow machine; then the batch after it is still one batch.
            drop(exchange.change(by, change).await);
        });
        // Polled once, it is in the queue; once the queue is empty again, it is the batch that waits for the lock.
        std::future::poll_fn(|context| {
            assert!(blocked.as_mut().poll(context).is_pending(), "the lock stops nobody");
            Poll::Ready(())
        })
        .await;
        self.until_queued(0).await;
        Stalled { locked, blocked }
    }

    /// Waits until so many calls wait for the next batch.
    pub(crate) async fn until_queued(&self, calls: usize) {
        let wait = async {
            while self.node.exchange().queued() != calls {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(waited.is_ok(), "{} calls wait, not {calls}", self.node.exchange().queued());
    }

    /// Puts two calls into one batch, the first to arrive first, and gives what came of them.
    pub(crate) async fn in_one_batch<A, B>(&self, first: Pending<A>, second: Pending<B>) -> (A, B)
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        let stalled = self.stall().await;
        let first = tokio::spawn(first);
        self.until_queued(1).await;
        let second = tokio::spawn(second);
        self.until_queued(2).await;
        stalled.let_go().await;
        (first.await.unwrap(), second.await.unwrap())
    }

    fn asking(&self, permitted: &Permitted, ask: v1::RequestReleaseRequest) -> Pending<v1::RequestReleaseResponse> {
        let mut requester = self.requester(&permitted.held.recipient);
        Box::pin(async move { requester.request_release(ask).await.unwrap().into_inner() })
    }

    pub(super) fn withdrawing(&self, permitted: &Permitted) -> Pending<v1::Receipt> {
        let mut consents = self.consents(&permitted.held.holder);
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: permitted.consent.clone() };
        Box::pin(async move { consents.withdraw_consent(request).await.unwrap().into_inner().receipt.unwrap() })
    }

    fn narrowing(&self, permitted: &Permitted) -> Pending<v1::Receipt> {
        let mut consents = self.consents(&permitted.held.holder);
        let scope = v1::ConsentScope { purposes: names(&["regulatory-assessment"]), ..self.scope(&permitted.held) };
        let request = v1::NarrowConsentRequest {
            request_id: request_id(),
            consent_id: permitted.consent.clone(),
            scope: Some(scope),
        };
        Box::pin(async move { consents.narrow_consent(request).await.unwrap().into_inner().receipt.unwrap() })
    }

    pub(super) fn revoking(&self, permitted: &Permitted) -> Pending<v1::Receipt> {
        let mut authorisations = self.authorisations(&permitted.held.holder);
        let request = v1::RevokeAuthorisationRequest {
            request_id: request_id(),
            authorisation_id: permitted.authorisation.clone(),
        };
        Box::pin(
            async move { authorisations.revoke_authorisation(request).await.unwrap().into_inner().receipt.unwrap() },
        )
    }

    fn ending(&self, _: &Permitted) -> Pending<v1::Receipt> {
        let mut agreements = self.agreements("ncsc", &["operator"]);
        let request = v1::EndAgreementRequest { request_id: request_id(), agreement_id: "ico-ncsc-2023".into() };
        Box::pin(async move { agreements.end_agreement(request).await.unwrap().into_inner().receipt.unwrap() })
    }

    /// Asserts that two receipts were handed out by one commit.
    pub(super) fn assert_one_batch(&self, one: &v1::Receipt, other: &v1::Receipt) {
        let size = |receipt| self.verified(Some(receipt)).checkpoint.size;
        assert_eq!(size(one), size(other), "the two calls were not in one batch");
    }
}

on_both_databases! {
    async fn anomaly_a1_no_release_follows_an_acknowledged_stop_in_either_order_of_arrival(world: World) {
        type Stop = fn(&World, &Permitted) -> Pending<v1::Receipt>;
        let stops: [(&str, Stop); 4] = [
            ("a withdrawal", World::withdrawing),
            ("a narrowing", World::narrowing),
            ("a revocation", World::revoking),
            ("the end of the agreement", World::ending),
        ];
        for (what, stop) in stops {
            for stop_arrives_first in [true, false] {
                let permitted = world.permitted("ncsc").await;
                assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);

                let asking = world.asking(&permitted, world.ask(&permitted.held));
                let (stopped, asked) = if stop_arrives_first {
                    world.in_one_batch(stop(&world, &permitted), asking).await
                } else {
                    let (asked, stopped) = world.in_one_batch(asking, stop(&world, &permitted)).await;
                    (stopped, asked)
                };

                let receipt = asked.receipt.as_ref().unwrap();
                world.assert_one_batch(&stopped, receipt);
                assert!(stopped.index < receipt.index, "{what} comes before the ask, first to arrive or not");
                let outcome = asked.outcome.as_ref().unwrap();
                assert!(released(outcome).is_empty(), "released after {what}, which arrived first: {stop_arrives_first}");
                let is_end = what == "the end of the agreement";
                if is_end {
                    world.activate("ico-ncsc-2023").await;
                } else {
                    assert_open_with(what, outcome);
                }
            }
        }
    }

    async fn batch_an_ask_sees_the_permission_that_came_with_it(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let consent = world.record_consent(&held, world.scope(&held)).await.unwrap();
        let permitted = Permitted { held, consent: consent.clone(), authorisation: String::new() };
        let mut verifier = world.verifier("ncsc");
        let request = v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent, version: 1 };
        let verifying: Pending<v1::Receipt> =
            Box::pin(async move { verifier.verify_consent(request).await.unwrap().into_inner().receipt.unwrap() });
        let asking = world.asking(&permitted, world.ask(&permitted.held));
        let (asked, given) = world.in_one_batch(asking, verifying).await;
        world.assert_one_batch(&given, asked.receipt.as_ref().unwrap());
        assert_released(asked.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        world.assert_proved(&asked);
        assert!(given.index < asked.receipt.unwrap().index);
    }

    async fn batch_a_withdrawal_beats_a_verification_that_arrived_before_it(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let consent = world.record_consent(&held, world.scope(&held)).await.unwrap();
        let permitted = Permitted { held, consent: consent.clone(), authorisation: String::new() };
        let mut verifier = world.verifier("ncsc");
        let request = v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent, version: 1 };
        let verifying: Pending<_> = Box::pin(async move { verifier.verify_consent(request).await });
        let (too_late, _) = world.in_one_batch(verifying, world.withdrawing(&permitted)).await;
        crate::builders::assert_error(too_late, tonic::Code::FailedPrecondition, "WRONG_STATE");
        assert_open_with("a consent withdrawn before it was verified", &world.outcome(&permitted.held).await);
    }

    async fn batch_a_call_that_is_there_twice_has_one_entry(world: World) {
        let permitted = world.permitted("ncsc").await;
        let ask = world.ask(&permitted.held);
        let (one, other) =
            world.in_one_batch(world.asking(&permitted, ask.clone()), world.asking(&permitted, ask)).await;
        assert_eq!(one.receipt.as_ref().unwrap().index, other.receipt.as_ref().unwrap().index);
        assert_eq!(one.request, other.request);
        for response in [&one, &other] {
            assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            world.assert_proved(response);
        }
        let request = v1::GetRequestRequest { request: one.request };
        let got = world.requester("ico").get_request(request).await.unwrap().into_inner().request.unwrap();
        assert_eq!(got.asks.len(), 1);

        let request = v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: "Example Water plc".into(),
            ..v1::RegisterOrganisationRequest::default()
        };
        let registering = || -> Pending<v1::RegisterOrganisationResponse> {
            let (mut organisations, request) = (world.organisations("ncsc"), request.clone());
            Box::pin(async move { organisations.register_organisation(request).await.unwrap().into_inner() })
        };
        let (one, other) = world.in_one_batch(registering(), registering()).await;
        assert_eq!(one.organisation_id, other.organisation_id);
        assert_eq!(one.receipt.unwrap().index, other.receipt.unwrap().index);
    }

    async fn batch_no_ask_borrows_from_another(world: World) {
        // One organisation permits all its incidents, the other has not been asked; the NCSC authorised both.
        let consenting = world.hold("ncsc", "ico").await;
        let valid_until = world.in_seconds(86_400);
        let all = v1::ConsentScope { incident_id: String::new(), valid_until, ..world.scope(&consenting) };
        let consent = world.give_consent(&consenting, all).await;
        world.authorise(&consenting).await;
        let silent = world.hold("ncsc", "ico").await;
        world.authorise(&silent).await;
        // And the NCA is asked by a reference that the NCSC issued.
        let lent = Held { reference: consenting.reference.clone(), ..world.hold("nca", "ico").await };

        for (other, what) in [(silent, "another organisation's consent"), (lent, "another ask's reference")] {
            let permitted =
                Permitted { held: consenting.clone(), consent: consent.clone(), authorisation: String::new() };
            let asking = world.asking(&permitted, world.ask(&consenting));
            let also = world.asking(&permitted, world.ask(&other));
            let (released, open) = world.in_one_batch(asking, also).await;
            world.assert_one_batch(released.receipt.as_ref().unwrap(), open.receipt.as_ref().unwrap());
            assert_released(released.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            assert_open_with(what, open.outcome.as_ref().unwrap());
        }
    }

    async fn batch_one_call_turned_away_spoils_no_other(world: World) {
        let permitted = world.permitted("ncsc").await;
        let mut consents = world.consents("ncsc");
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: "con_nothing".into() };
        let turned_away: Pending<_> = Box::pin(async move { consents.withdraw_consent(request).await });
        let asking = world.asking(&permitted, world.ask(&permitted.held));
        let (turned_away, asked) = world.in_one_batch(turned_away, asking).await;
        crate::builders::assert_error(turned_away, tonic::Code::NotFound, "NOT_FOUND");
        assert_released(asked.outcome.as_ref().unwrap(), &["identity", "timeline"]);
    }
}
