//! "Open" is one answer. Whatever the reason, the requester gets the same bytes but for ids, times and proof, under
//! the same headers and trailers, and reads the same later; and the holder can tell the reasons apart.

use std::collections::BTreeSet;

use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::{self, Receipt, Slot};
use prost::Message;

use crate::builders::{Held, assert_released, identifier};
use crate::harness::{World, on_both_databases, request_id};
use crate::raw::{self, Answer};

const REQUEST: &str = "/concordat.v1.ReleaseService/RequestRelease";
const GET_REQUEST: &str = "/concordat.v1.ReleaseService/GetRequest";
const LIST_REQUESTS: &str = "/concordat.v1.ReleaseService/ListRequests";
const GET_ENTRY: &str = "/concordat.v1.LedgerService/GetEntry";

/// One reason for nothing being released.
struct Case {
    reason: &'static str,
    ask: v1::RequestReleaseRequest,
    /// What the holder's grounds name; empty: that nothing is held.
    grounds: &'static [&'static str],
}

const CONSENT: &str = "consent-first";
const AUTHORISATION: &str = "limit/authorisation-or-duty";
const MARKING: &str = "limit/marking";
const NO_CATEGORY: &str = "no category";
const NO_CLAUSE: &str = "no clause";

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

type Change<T> = Box<dyn Fn(&mut T)>;

/// How [`World::case`] differs from what would be released.
#[derive(Default)]
struct But {
    consent: Option<&'static str>,
    scope: Option<Change<v1::ConsentScope>>,
    authorisation: Option<&'static str>,
    grant: Option<Change<v1::GiveAuthorisationRequest>>,
    tlp: &'static str,
    amended: bool,
    merged: bool,
}

fn scope(change: impl Fn(&mut v1::ConsentScope) + 'static) -> But {
    But { scope: Some(Box::new(change)), ..But::default() }
}

fn grant(change: impl Fn(&mut v1::GiveAuthorisationRequest) + 'static) -> But {
    But { grant: Some(Box::new(change)), ..But::default() }
}

impl World {
    /// An ask by reference about an incident that would be released but for this.
    async fn case(&self, reason: &'static str, grounds: &'static [&'static str], but: But) -> Case {
        let organisation = self.register_organisation("ncsc", vec![]).await;
        let markings = v1::Markings { tlp: but.tlp.into(), ..v1::Markings::default() };
        let registration = v1::RegisterIncidentRequest { markings: Some(markings), ..self.incident_at(&organisation) };
        let registered = self.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
        let held = self.hold_incident("ncsc", "ico", organisation, registered.incident_id).await;
        self.prepare(&held, &but).await;
        if but.merged {
            self.merge_away(&held).await;
        }
        if but.amended {
            let amendment = v1::AmendIncidentRequest {
                request_id: request_id(),
                incident_id: held.incident.clone(),
                etag: registered.etag,
                content: Some(crate::builders::content()),
                ..v1::AmendIncidentRequest::default()
            };
            self.incidents("ncsc").amend_incident(amendment).await.unwrap();
        }
        Case { reason, ask: self.ask(&held), grounds }
    }

    /// Records that the organisation was merged into another; gives that one's identifier.
    async fn merge_away(&self, held: &Held) -> v1::Identifier {
        let left = identifier(90_000_000 + u32::try_from(self.size().await).unwrap());
        let request = v1::RecordMergerRequest {
            request_id: request_id(),
            organisation_id: held.organisation.clone(),
            etag: "1".into(),
            into_organisation_id: self.register_organisation("ncsc", vec![left.clone()]).await,
            merged_at: self.in_seconds(-86_400),
        };
        self.organisations("ncsc").record_merger(request).await.unwrap();
        left
    }

    async fn prepare(&self, held: &Held, but: &But) {
        let mut scope = self.scope(held);
        if let Some(change) = &but.scope {
            change(&mut scope);
        }
        let recorded = match but.consent.unwrap_or("given") {
            "none" => None,
            "sought" => {
                let request = v1::SeekConsentRequest {
                    request_id: request_id(),
                    organisation_id: held.organisation.clone(),
                    recipient: "ico".into(),
                };
                self.consents("ncsc").seek_consent(request).await.unwrap();
                None
            }
            _ => Some(self.record_consent(held, scope).await.unwrap()),
        };
        match (but.consent.unwrap_or("given"), recorded) {
            ("refused", Some(consent_id)) => {
                let request = v1::RefuseConsentRequest { request_id: request_id(), consent_id };
                self.consents("ncsc").refuse_consent(request).await.unwrap();
            }
            ("given" | "withdrawn", Some(id)) => {
                self.verify_consent(held, &id, 1).await.unwrap();
                if but.consent == Some("withdrawn") {
                    self.withdraw_consent(held, &id).await.unwrap();
                }
            }
            _ => {}
        }
        if but.authorisation == Some("none") {
            return;
        }
        let mut grant = self.authorisation(held);
        if let Some(change) = &but.grant {
            change(&mut grant);
        }
        let mut authoriser = self.authorisations("ncsc");
        let authorisation_id = authoriser.give_authorisation(grant).await.unwrap().into_inner().authorisation_id;
        if but.authorisation == Some("revoked") {
            let request = v1::RevokeAuthorisationRequest { request_id: request_id(), authorisation_id };
            authoriser.revoke_authorisation(request).await.unwrap();
        }
    }

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
        // What must have expired comes first; then the clock stands.
        let (soon, tomorrow) = (world.in_seconds(60), world.in_seconds(86_400));
        let until_soon = scope(move |scope| scope.valid_until = soon);
        let expired = world.case("consent expired", &[CONSENT], until_soon).await;
        let until_soon = grant(move |grant| grant.valid_until = soon);
        let lapsed = world.case("authorisation expired", &[AUTHORISATION], until_soon).await;
        world.hand.advance_micros(61_000_000);

        let held = world.hold("ncsc", "ico").await;
        world.prepare(&held, &But::default()).await;
        assert_released(&world.outcome(&held).await, &["identity", "timeline"]);
        let unknown = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(concordat::seal::new_id("ref"))),
            ..world.ask(&held)
        };
        let elsewhere = world.hold("ncsc", "nca").await;
        let other_agencys = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(elsewhere.reference.clone())),
            ..world.ask(&held)
        };
        let at_another = world.hold("nca", "ico").await;
        let other_holders = v1::RequestReleaseRequest {
            request_id: request_id(),
            target: Some(Target::Reference(at_another.reference.clone())),
            ..world.ask(&held)
        };

        let gone = world.hold("ncsc", "ico").await;
        world.prepare(&gone, &But::default()).await;
        world.erase(&gone).await;

        let but = But::default;
        let mut cases = vec![
            Case { reason: "erased", ask: world.ask(&gone), grounds: &[] },
            Case { reason: "unknown reference", ask: unknown, grounds: &[] },
            Case { reason: "reference of another agency", ask: other_agencys, grounds: &[] },
            Case { reason: "reference of another holder", ask: other_holders, grounds: &[] },
            expired,
            lapsed,
        ];
        for (reason, consent) in [
            ("no consent", "none"),
            ("consent sought", "sought"),
            ("consent recorded", "recorded"),
            ("consent refused", "refused"),
            ("consent withdrawn", "withdrawn"),
        ] {
            cases.push(world.case(reason, &[CONSENT], But { consent: Some(consent), ..but() }).await);
        }
        let purposes = scope(|scope| scope.purposes = vec!["regulatory-assessment".into()]);
        let later = scope(move |scope| scope.valid_from = tomorrow);
        let nca = scope(|scope| scope.recipient = "nca".into());
        let narrative = scope(|scope| scope.categories = vec!["narrative".into()]);
        let otherwise = grant(|grant| grant.purposes = vec!["nis-csirt".into()]);
        let ground = grant(|grant| grant.ground = "dpa-2018-s132-2-f".into());
        let to_nca = grant(|grant| grant.recipient = "nca".into());
        let no = || But { authorisation: Some("none"), ..but() };
        cases.extend([
            world.case("consent for another purpose", &[CONSENT], purposes).await,
            world.case("consent from tomorrow on", &[CONSENT], later).await,
            world.case("consent to another agency", &[CONSENT], nca).await,
            world.case("consent for other categories", &[NO_CATEGORY], narrative).await,
            world.case("consent from before a merger", &[CONSENT], But { merged: true, ..but() }).await,
            world.case("a later revision", &[CONSENT, AUTHORISATION], But { amended: true, ..but() }).await,
            world.case("no authorisation", &[AUTHORISATION], no()).await,
            world.case("authorisation revoked", &[AUTHORISATION], But { authorisation: Some("revoked"), ..but() }).await,
            world.case("authorised for another purpose", &[AUTHORISATION], otherwise).await,
            world.case("authorised on another ground", &[NO_CLAUSE], ground).await,
            world.case("authorised for another agency", &[AUTHORISATION], to_nca).await,
            world.case("TLP red", &[MARKING], But { tlp: "red", ..but() }).await,
            world.case("neither", &[CONSENT, AUTHORISATION], But { consent: Some("none"), ..no() }).await,
        ]);

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
        let named = |number: u32| v1::NamedOrganisation {
            identifiers: vec![identifier(number)],
            from: world.in_seconds(-40 * 86_400),
            until: world.in_seconds(0),
            ground: "dpa-2018-s132-2-f".into(),
        };
        let ask = |number: u32| v1::RequestReleaseRequest {
            request_id: request_id(),
            holder: "ncsc".into(),
            target: Some(Target::Organisation(named(number))),
            purpose: "harm-reduction".into(),
            categories: vec!["identity".into(), "timeline".into()],
            ..v1::RequestReleaseRequest::default()
        };
        let register = async |number: u32, days_ago: i64| {
            let organisation = world.register_organisation("ncsc", vec![identifier(number)]).await;
            let registration = v1::RegisterIncidentRequest {
                occurred_from: world.in_seconds(-days_ago * 86_400),
                occurred_until: world.in_seconds((1 - days_ago) * 86_400),
                ..world.incident_at(&organisation)
            };
            let incident = world.incidents("ncsc").register_incident(registration).await.unwrap().into_inner();
            world.hold_incident("ncsc", "ico", organisation, incident.incident_id).await
        };
        let mut cases = vec![Case { reason: "organisation unknown", ask: ask(1), grounds: &[] }];

        drop(world.register_organisation("ncsc", vec![identifier(2)]).await);
        cases.push(Case { reason: "without any incident", ask: ask(2), grounds: &[] });
        let before = register(3, 400).await;
        world.prepare(&before, &But::default()).await;
        cases.push(Case { reason: "without an incident in the period", ask: ask(3), grounds: &[] });
        drop(world.register_organisation("nca", vec![identifier(4)]).await);
        cases.push(Case { reason: "known to another holder", ask: ask(4), grounds: &[] });

        let but = But::default;
        for (number, reason, grounds, but) in [
            (5, "unauthorised", &[AUTHORISATION][..], But { authorisation: Some("none"), ..but() }),
            (6, "revoked", &[AUTHORISATION], But { authorisation: Some("revoked"), ..but() }),
            (7, "without consent", &[CONSENT], But { consent: Some("none"), ..but() }),
            (8, "consent withdrawn", &[CONSENT], But { consent: Some("withdrawn"), ..but() }),
        ] {
            let held = register(number, 30).await;
            world.prepare(&held, &but).await;
            cases.push(Case { reason, ask: ask(number), grounds });
        }
        let held = register(10, 30).await;
        world.prepare(&held, &But::default()).await;
        let left = world.merge_away(&held).await;
        cases.push(Case { reason: "consent from before a merger", ask: ask(10), grounds: &[CONSENT] });
        cases.push(Case { reason: "what it was merged into", ask: ask(left.value.parse().unwrap()), grounds: &[] });

        let held = register(9, 30).await;
        world.prepare(&held, &But::default()).await;
        assert_released(&world.put(&held, ask(9)).await.unwrap().outcome.unwrap(), &["identity", "timeline"]);

        let mut seen = Vec::new();
        for case in &cases {
            seen.push((case.reason, world.observe(case).await));
        }
        assert_same(&seen);
    }
}
