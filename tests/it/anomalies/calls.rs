//! What happens while a call is under way.

use concordat::proto::BUNDLED_AGREEMENTS;
use concordat::proto::v1;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_response::Outcome;
use tonic::Code;

use super::index;
use crate::builders::{assert_error, assert_not_covered, assert_open, assert_open_with, assert_released, released};
use crate::cli::execute;
use crate::flow::Pending;
use crate::harness::{World, on_both_databases, request_id};

/// Lets every batch fail at its first entry, as a full disk would.
const BREAK_POSTGRES: [&str; 2] = [
    "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$",
    "CREATE TRIGGER broken BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION broken()",
];
const BREAK_SQLITE: [&str; 1] =
    ["CREATE TRIGGER broken BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'broken'); END"];

/// The ICO–NCSC agreement without a category in the clause by which the NCSC discloses, in a folder of proposals.
fn amend_agreement(world: &World) -> std::path::PathBuf {
    let folder = world.workspace.folder().join("amended");
    let (_, terms, clauses) = BUNDLED_AGREEMENTS.iter().find(|(id, ..)| *id == "ico-ncsc-2023").unwrap();
    let amended =
        terms.replacen("\"identity\", \"contact\", \"sector\", \"timeline\",", "\"contact\", \"timeline\",", 1);
    assert_ne!(amended, *terms);
    std::fs::create_dir_all(folder.join("ico-ncsc-2023")).unwrap();
    std::fs::write(folder.join("ico-ncsc-2023/agreement.toml"), amended).unwrap();
    std::fs::write(folder.join("ico-ncsc-2023/clauses.cedar"), clauses).unwrap();
    folder
}

on_both_databases! {
    async fn anomaly_a6_a_withdrawal_that_its_client_gave_up_is_done_once(world: World) {
        let permitted = world.permitted("ncsc").await;
        let request =
            v1::WithdrawConsentRequest { request_id: request_id(), consent_id: permitted.consent.clone() };
        let before = world.committed().await;
        let stalled = world.stall().await;
        let (mut consents, sent) = (world.consents("ncsc"), request.clone());
        let withdrawing = tokio::spawn(async move { consents.withdraw_consent(sent).await });
        world.until_queued(1).await;
        withdrawing.abort();
        assert!(withdrawing.await.unwrap_err().is_cancelled());
        stalled.let_go().await;
        world.until_committed(before + 2).await;
        assert_open_with("a withdrawal that nobody waited for", &world.outcome(&permitted.held).await);
        let size = world.committed().await;
        let again = world.consents("ncsc").withdraw_consent(request).await.unwrap().into_inner();
        assert_eq!((again.receipt.unwrap().index, world.committed().await), (before + 1, size));
    }

    async fn anomaly_a6_a_withdrawal_that_was_not_done_is_not_acknowledged(world: World) {
        let permitted = world.permitted("ncsc").await;
        let request =
            v1::WithdrawConsentRequest { request_id: request_id(), consent_id: permitted.consent.clone() };
        let (url, before) = (world.config.database_url(), world.committed().await);
        execute(&url, &BREAK_POSTGRES, &BREAK_SQLITE).await;
        let withdrawn = world.consents("ncsc").withdraw_consent(request.clone()).await;
        assert_error(withdrawn, Code::Unavailable, "STORE_UNAVAILABLE");
        execute(&url, &["DROP TRIGGER broken ON entry"], &["DROP TRIGGER broken"]).await;
        assert_eq!(world.committed().await, before);
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
        let done = world.consents("ncsc").withdraw_consent(request).await.unwrap().into_inner().receipt.unwrap();
        assert_eq!(done.index, before + 1);
        assert_open_with("the same withdrawal again", &world.outcome(&permitted.held).await);
    }

    async fn anomaly_a11_an_ask_that_waited_is_decided_by_the_text_then_in_force(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let read = v1::GetAgreementRequest { agreement_id: "ico-ncsc-2023".into(), digest: vec![] };
        let old = world.agreements("ico", &["operator"]).get_agreement(read.clone()).await.unwrap().into_inner();
        let old = old.agreement.unwrap().digest;
        let folder = amend_agreement(&world);
        world = world.stop().await.start_with(|config| config.node.agreements = Some(folder)).await;
        let listed = world.agreements("ico", &["operator"]).list_agreements(v1::ListAgreementsRequest::default()).await;
        let mut agreements = listed.unwrap().into_inner().agreements;
        agreements.retain(|one| one.id == read.agreement_id && one.digest != old);
        let digest = agreements.pop().unwrap().digest;

        let agreement = Some(v1::AgreementPin { agreement_id: read.agreement_id.clone(), digest: old });
        let stalled = world.stall().await;
        let pinned = world.asking_for(held, v1::RequestReleaseRequest { agreement, ..world.ask(held) });
        let pinned = tokio::spawn(pinned);
        world.until_queued(1).await;
        let free = tokio::spawn(world.asking_for(held, world.ask(held)));
        world.until_queued(2).await;
        let mut operator = world.agreements("ico", &["operator"]);
        let request = v1::ActivateAgreementRequest { request_id: request_id(), agreement_id: read.agreement_id, digest };
        let activating = tokio::spawn(async move { operator.activate_agreement(request).await.unwrap().into_inner() });
        world.until_queued(3).await;
        stalled.let_go().await;
        let activated = activating.await.unwrap().receipt.unwrap().index;
        let (pinned, free) = (pinned.await.unwrap().unwrap(), free.await.unwrap().unwrap());
        assert!(activated < index(&pinned) && activated < index(&free));
        assert_not_covered(pinned.outcome.as_ref().unwrap(), "AGREEMENT_DIFFERS");
        assert_released(free.outcome.as_ref().unwrap(), &["timeline"]);

        // And one that waits while the agreement is ended has none.
        let held = permitted.held.clone();
        let asking = world.asking_for(&held, world.ask(&held));
        let ending: Pending<u64> = {
            let mut operator = world.agreements("ico", &["operator"]);
            let request = v1::EndAgreementRequest { request_id: request_id(), agreement_id: "ico-ncsc-2023".into() };
            Box::pin(async move { operator.end_agreement(request).await.unwrap().into_inner().receipt.unwrap().index })
        };
        let (asked, ended) = world.in_one_batch(asking, ending).await;
        let asked = asked.unwrap();
        assert!(ended < index(&asked));
        assert_not_covered(asked.outcome.as_ref().unwrap(), "NO_AGREEMENT");
    }

    async fn anomaly_a12_a_call_that_waited_while_its_agency_was_suspended_is_turned_away(world: World) {
        for suspension_arrives_first in [true, false] {
            let held = world.permitted("ncsc").await.held;
            let (asking, suspending) = (world.asking_for(&held, world.ask(&held)), world.suspending("ncsc", "ico"));
            let (asked, suspended) = if suspension_arrives_first {
                let (suspended, asked) = world.in_one_batch(suspending, asking).await;
                (asked, suspended)
            } else {
                world.in_one_batch(asking, suspending).await
            };
            assert_error(asked, Code::PermissionDenied, "SUSPENDED");
            assert_eq!(world.committed().await, suspended.unwrap() + 1, "the ask has no entry");
            world.resume_agency("ncsc", "ico").await.unwrap();
        }
        // An offer that waited, and a change by an officer of one's own.
        let held = world.permitted("ncsc").await.held;
        let request = world.put(&held, world.ask(&held)).await.unwrap().request;
        let (mut inbox, offered) = (world.inbox("ncsc"), v1::offer_release_request::Offered::Request(request));
        let offer = v1::OfferReleaseRequest { request_id: request_id(), offered: Some(offered) };
        let offering: Pending<_> = Box::pin(async move { inbox.offer_release(offer).await });
        let (offered, suspended) = world.in_one_batch(offering, world.suspending("ncsc", "ico")).await;
        assert_error(offered, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.committed().await, suspended.unwrap() + 1);
        world.resume_agency("ncsc", "ico").await.unwrap();

        let mut authorisations = world.authorisations("ncsc");
        let give = world.authorisation(&held);
        let giving: Pending<_> =
            Box::pin(async move { authorisations.give_authorisation(give).await });
        let mut admin = world.admin("ncsc");
        let request =
            v1::SuspendOfficerRequest { request_id: request_id(), agency: "ncsc".into(), officer: "aut".into() };
        let suspending: Pending<_> =
            Box::pin(async move { admin.suspend_officer(request).await.unwrap().into_inner() });
        let (given, suspended) = world.in_one_batch(giving, suspending).await;
        assert_error(given, Code::PermissionDenied, "SUSPENDED");
        assert_eq!(world.committed().await, suspended.receipt.unwrap().index + 1);
    }

    /// On pages; on the stream in `streams`.
    async fn anomaly_a12_who_is_suspended_between_two_pages_gets_no_second(world: World) {
        let (_, begun) = world.since("ico", "").await;
        for _ in 0..2 {
            let held = world.permitted("ncsc").await.held;
            world.offer_incident(&held).await.unwrap();
            world.later(1);
        }
        let mut desk = world.event_desk("ico");
        let page = |cursor: String| v1::ListEventsRequest { page_size: 1, cursor };
        let one = desk.list_events(page(begun)).await.unwrap().into_inner();
        assert_eq!(one.events.len(), 1);
        world.suspend_agency("ncsc", "ico").await.unwrap();
        let two = desk.list_events(page(one.next_cursor.clone())).await.unwrap().into_inner();
        assert_eq!(two.events, [], "what the agency was offered by the one that suspended it");
        world.suspend_officer("ico", "ico", "desk").await.unwrap();
        assert_error(desk.list_events(page(one.next_cursor)).await, Code::PermissionDenied, "SUSPENDED");
    }

    async fn anomaly_a13_what_is_delivered_after_a_withdrawal_was_committed_before_it(world: World) {
        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        let before = world.committed().await;
        // Content is opened by a reader: without one, a release stands between its commit and its delivery.
        let store = world.node.exchange().node().store().clone();
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(store.reads().await.unwrap());
        }
        let asking = tokio::spawn(world.asking_for(held, world.ask(held)));
        world.until_committed(before + 1).await;
        assert!(!asking.is_finished(), "it was delivered without being read");
        let withdrawn = world.withdraw_consent(held, &permitted.consent).await.unwrap();
        drop(readers);
        let response = asking.await.unwrap().unwrap();
        assert_released(response.outcome.as_ref().unwrap(), &["identity", "timeline"]);
        world.assert_proved(&response);
        assert!(index(&response) < withdrawn, "{} and {withdrawn}", index(&response));
        assert_open_with("whoever asks now", &world.outcome(held).await);
    }

    async fn anomaly_a14_an_ask_whose_outcome_is_unknown_is_done_once(world: World) {
        let held = world.permitted("ncsc").await.held;
        let ask = world.ask(&held);
        let before = world.committed().await;
        let stalled = world.stall().await;
        let unknown = tokio::spawn(world.asking_for(&held, ask.clone()));
        world.until_queued(1).await;
        unknown.abort();
        assert!(unknown.await.unwrap_err().is_cancelled());
        // Again, while the first is still on its way.
        let again = tokio::spawn(world.asking_for(&held, ask.clone()));
        world.until_queued(2).await;
        stalled.let_go().await;
        let again = again.await.unwrap().unwrap();
        world.assert_proved(&again);
        assert_eq!((index(&again), world.committed().await), (before + 1, before + 2));
        // And later, by a node that does not remember.
        world = world.restart().await;
        let later = world.put(&held, ask).await.unwrap();
        assert_eq!((index(&later), world.committed().await), (before + 1, before + 2));
        assert!(later.outcome == again.outcome);
    }

    async fn anomaly_a18_of_many_in_one_batch_only_the_one_that_withdrew_is_not_released(world: World) {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(world.permitted("ncsc").await);
        }
        let stalled = world.stall().await;
        let mut asking = Vec::new();
        for (queued, one) in all.iter().enumerate() {
            asking.push(tokio::spawn(world.asking_for(&one.held, world.ask(&one.held))));
            world.until_queued(queued + 1).await;
        }
        let (mut consents, consent_id) = (world.consents("ncsc"), all[2].consent.clone());
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id };
        let withdrawing = tokio::spawn(async move { consents.withdraw_consent(request).await.unwrap().into_inner() });
        world.until_queued(6).await;
        stalled.let_go().await;
        let withdrawn = withdrawing.await.unwrap().receipt.unwrap().index;
        for (number, asked) in asking.into_iter().enumerate() {
            let asked = asked.await.unwrap().unwrap();
            assert!(withdrawn < index(&asked));
            if number == 2 {
                assert_open(asked.outcome.as_ref().unwrap());
            } else {
                assert_released(asked.outcome.as_ref().unwrap(), &["identity", "timeline"]);
            }
        }
    }

    async fn anomaly_a20_a_withdrawal_is_in_the_next_batch_however_many_asks_wait(world: World) {
        // More than go into one transaction.
        const ASKS: usize = 300;
        let permitted = world.permitted("ncsc").await;
        let stalled = world.stall().await;
        // A connection has at most 256 streams.
        let requesters: Vec<_> =
            ["one", "two"].map(|name| ReleaseServiceClient::new(world.officer("ico", name, &["requester"]))).into();
        let mut asking = Vec::new();
        for number in 0..ASKS {
            let (mut requester, ask) = (requesters[number % 2].clone(), world.ask(&permitted.held));
            asking.push(tokio::spawn(async move { requester.request_release(ask).await.unwrap().into_inner() }));
        }
        world.until_queued(ASKS).await;
        let (mut consents, consent_id) = (world.consents("ncsc"), permitted.consent.clone());
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id };
        let withdrawing = tokio::spawn(async move { consents.withdraw_consent(request).await.unwrap().into_inner() });
        world.until_queued(ASKS + 1).await;
        stalled.let_go().await;
        let withdrawn = withdrawing.await.unwrap().receipt.unwrap().index;
        for asked in asking {
            let asked = asked.await.unwrap();
            assert!(withdrawn < index(&asked), "a withdrawal at {withdrawn} waited behind an ask");
            assert!(matches!(asked.outcome, Some(Outcome::Open(_))), "{:?}", released(asked.outcome.as_ref().unwrap()));
        }
    }
}
