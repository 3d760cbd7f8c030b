//! "Open" is one answer. Whatever the reason, the requester gets the same bytes but for ids, times and proof, under
//! the same headers and trailers, and reads the same later; and the holder can tell the reasons apart.

mod cases;

use std::collections::BTreeSet;

use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self, Receipt, Slot};
use prost::Message;

use self::cases::{AUTHORISATION, But, CONSENT, MARKING, NO_CATEGORY, NO_CLAUSE};
use crate::harness::{World, on_both_databases, request_id};
use crate::raw::{self, Answer};

pub(crate) use self::cases::Case;

const REQUEST: &str = "/concordat.v1.ReleaseService/RequestRelease";
const GET_REQUEST: &str = "/concordat.v1.ReleaseService/GetRequest";
const LIST_REQUESTS: &str = "/concordat.v1.ReleaseService/ListRequests";
const GET_ENTRY: &str = "/concordat.v1.LedgerService/GetEntry";

/// What an ask looked like from outside, with ids, times and proof masked.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    response: Vec<u8>,
    later_headers: Vec<(String, String)>,
    later: Vec<u8>,
    entry: Vec<u8>,
    lengths: Lengths,
}

/// Lengths before anything was masked.
#[derive(Debug, PartialEq, Eq)]
struct Lengths {
    without_proof: usize,
    leaf: usize,
    openings: Vec<(i32, usize, usize)>,
}

impl World {
    /// Puts the ask and looks at everything that comes of it, as its requester and as the holder.
    async fn observe(&self, case: &Case) -> Seen {
        let requester = || self.officer("ico", "req", &["requester", "auditor"]);
        let put = raw::call(requester(), REQUEST, case.ask.encode_to_vec()).await.unwrap();
        let response = v1::RequestReleaseResponse::decode(put.message.clone()).unwrap();
        assert_eq!(response.encode_to_vec(), put.message, "{}: bytes outside the contract", case.reason);
        let receipt = response.receipt.clone().unwrap();
        let verified = self.verified(Some(&receipt));
        assert_eq!(verified.entry.at_micros, self.now().micros());
        assert!(verified.grounds.is_none(), "{}: the grounds are the holder's", case.reason);
        self.check_grounds(case, receipt.index).await;

        let request = v1::GetRequestRequest { request: response.request.clone() };
        let got = raw::call(requester(), GET_REQUEST, request.encode_to_vec()).await.unwrap();
        let entry = v1::GetEntryRequest { index: receipt.index };
        let entry = raw::call(requester(), GET_ENTRY, entry.encode_to_vec()).await.unwrap();
        let lengths = lengths(&response, &receipt);
        Seen {
            response: self.masked_response(response),
            later: self.masked_request(&got),
            entry: masked_entry(&entry),
            lengths,
            headers: put.headers,
            trailers: put.trailers,
            later_headers: [got.headers, got.trailers, entry.headers, entry.trailers].concat(),
        }
    }

    /// The holder can tell why, and learns what an ask was about only if it holds that.
    async fn check_grounds(&self, case: &Case, index: u64) {
        let auditor = self.officer("ncsc", "aud", &["auditor"]);
        let mut ledger = v1::ledger_service_client::LedgerServiceClient::new(auditor);
        let receipt = ledger.get_entry(v1::GetEntryRequest { index }).await.unwrap().into_inner().receipt;
        let verified = self.verified(receipt.as_ref());
        let reasons = verified.grounds.unwrap().reasons;
        assert_eq!(reasons.len(), 1, "{}", case.reason);
        let nothing_held = case.grounds.is_empty();
        assert_eq!(verified.subject.is_none(), nothing_held, "{}: what it was about", case.reason);
        assert_eq!(reasons[0].starts_with("-: "), nothing_held, "{}: {reasons:?}", case.reason);
        if nothing_held {
            return;
        }
        for named in [CONSENT, AUTHORISATION, MARKING, NO_CATEGORY, NO_CLAUSE] {
            let expected = case.grounds.contains(&named);
            assert_eq!(reasons[0].contains(named), expected, "{}: `{named}` in {reasons:?}", case.reason);
        }
    }

    fn masked_response(&self, mut response: v1::RequestReleaseResponse) -> Vec<u8> {
        mask(&mut response.request);
        match response.outcome.as_mut().unwrap() {
            Outcome::Open(open) => {
                assert_eq!(open.open_until, self.in_seconds(90 * 86_400), "ninety days, to the microsecond");
                open.open_until = None;
            }
            outcome => panic!("expected open, got {outcome:?}"),
        }
        mask_receipt(response.receipt.as_mut().unwrap());
        response.encode_to_vec()
    }

    fn masked_request(&self, got: &Answer) -> Vec<u8> {
        let mut response = v1::GetRequestResponse::decode(got.message.clone()).unwrap();
        assert_eq!(response.encode_to_vec(), got.message);
        let request = response.request.as_mut().unwrap();
        mask(&mut request.id);
        assert_eq!(request.created_at.take(), self.in_seconds(0));
        assert_eq!(request.open_until.take(), self.in_seconds(90 * 86_400));
        assert_eq!(request.asks.len(), 1);
        for ask in &mut request.asks {
            mask(&mut ask.request_id);
            assert_eq!(ask.asked_at.take(), self.in_seconds(0));
            mask_receipt(ask.receipt.as_mut().unwrap());
        }
        response.encode_to_vec()
    }
}

fn masked_entry(got: &Answer) -> Vec<u8> {
    let mut response = v1::GetEntryResponse::decode(got.message.clone()).unwrap();
    assert_eq!(response.encode_to_vec(), got.message);
    mask_receipt(response.receipt.as_mut().unwrap());
    response.encode_to_vec()
}

/// The lengths of all but the proof, whose length follows from the tree's size, which everybody may know.
fn lengths(response: &v1::RequestReleaseResponse, receipt: &Receipt) -> Lengths {
    let openings = receipt.openings.iter().map(|o| (o.slot, o.salt.len(), o.payload.len())).collect();
    let bare = Receipt { index: 0, inclusion: vec![], checkpoint: String::new(), ..receipt.clone() };
    let response = v1::RequestReleaseResponse { receipt: Some(bare), ..response.clone() };
    Lengths { without_proof: response.encoded_len(), leaf: receipt.entry.len(), openings }
}

/// An id, by others of its length.
fn mask(id: &mut String) {
    *id = "x".repeat(id.len());
}

fn mask_receipt(receipt: &mut Receipt) {
    receipt.index = 0;
    receipt.inclusion.clear();
    receipt.checkpoint.clear();
    let mut entry = v1::LedgerEntry::decode(receipt.entry.as_slice()).unwrap();
    assert_eq!(entry.encode_to_vec(), receipt.entry);
    entry.at_micros = 1;
    for commitment in &mut entry.commitments {
        commitment.fill(0);
    }
    receipt.entry = entry.encode_to_vec();
    for opening in &mut receipt.openings {
        opening.salt.fill(0);
        opening.payload = match opening.slot() {
            Slot::Act => {
                let mut ask = v1::AskStatement::decode(opening.payload.as_slice()).unwrap();
                mask(&mut ask.request_id);
                mask(&mut ask.request);
                ask.encode_to_vec()
            }
            Slot::Subject => {
                let mut subject = v1::SubjectStatement::decode(opening.payload.as_slice()).unwrap();
                mask(&mut subject.reference);
                subject.identifiers.iter_mut().for_each(|identified| mask(&mut identified.value));
                subject.encode_to_vec()
            }
            Slot::Outcome => {
                let mut outcome = v1::OutcomeStatement::decode(opening.payload.as_slice()).unwrap();
                outcome.open_until_micros = 1;
                outcome.encode_to_vec()
            }
            slot => panic!("the requester is shown the slot {slot:?}"),
        };
    }
}

/// Each is seen as the first one is.
fn assert_same(cases: &[(&'static str, Seen)]) {
    let (first, expected) = &cases[0];
    for (reason, seen) in cases {
        assert_eq!(seen, expected, "`{reason}` can be told from `{first}`");
    }
}

on_both_databases! {
    async fn by_reference_no_reason_can_be_told_from_another(world: World) {
        let cases = Box::pin(world.cases_by_reference()).await;
        let mut seen = Vec::new();
        for case in &cases {
            seen.push((case.reason, world.observe(case).await));
        }
        assert_same(&seen);
        let kinds: BTreeSet<_> = cases.iter().map(|case| case.grounds).collect();
        assert!(kinds.len() > 5, "the holder can tell only {kinds:?} apart");

        // The list shows them alike, too.
        let list = v1::ListRequestsRequest { page_size: 200, ..v1::ListRequestsRequest::default() };
        let officer = world.officer("ico", "req", &["requester"]);
        let listed = raw::call(officer, LIST_REQUESTS, list.encode_to_vec()).await.unwrap();
        let mut requests = v1::ListRequestsResponse::decode(listed.message).unwrap().requests;
        assert_eq!(requests.len(), cases.len() + 1);
        requests.retain(|request| request.state != "released");
        assert_eq!(requests.len(), cases.len());
        for request in &mut requests {
            mask(&mut request.id);
        }
        assert!(requests.iter().all(|request| *request == requests[0]));
    }

    async fn an_erasure_is_not_seen_in_what_was_open(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.prepare(&held, &But { consent: Some("none"), ..But::default() }).await;
        let unknown = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(concordat::seal::new_id("ref"))),
            ..world.ask(&held)
        };
        let mut before = Vec::new();
        for ask in [world.ask(&held), unknown] {
            let put = world.requester("ico").request_release(ask.clone()).await.unwrap().into_inner();
            assert!(matches!(put.outcome, Some(Outcome::Open(_))), "{:?}", put.outcome);
            before.push((ask, put.receipt.unwrap()));
        }
        world.erase(&held).await;

        for (ask, receipt) in &before {
            let after = world.entry("ico", receipt.index).await.unwrap();
            assert_eq!((&after.entry, &after.openings), (&receipt.entry, &receipt.openings), "fetched again");
            let repeat = world.requester("ico").request_release(ask.clone()).await.unwrap().into_inner().receipt.unwrap();
            assert_eq!((repeat.index, &repeat.openings), (receipt.index, &receipt.openings), "asked again");
        }
        // The holder's officers are told no more of it than had nothing matched, and not why.
        let own = world.verified(Some(&world.entry("ncsc", before[0].1.index).await.unwrap()));
        assert!(own.subject.is_none() && own.grounds.is_none() && own.outcome.is_some());
        let index = before[0].1.index;
        let (code, said) = world.replayed(&["--from", &index.to_string(), "--until", &(index + 1).to_string()]);
        assert_eq!((code, said["erased"].as_u64()), (0, Some(1)), "{said}");
    }

    async fn by_name_no_reason_can_be_told_from_another(world: World) {
        let cases = world.cases_by_name().await;
        let mut seen = Vec::new();
        for case in &cases {
            seen.push((case.reason, world.observe(case).await));
        }
        assert_same(&seen);
    }
}
