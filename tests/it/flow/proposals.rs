//! Proposals: what each side learns, that an answer is about exactly one text, and that nothing is left of what was
//! erased.

use std::collections::BTreeSet;

use concordat::client::OfficerChannel;
use concordat::decision::{Agreement, Proposal};
use concordat::proto::v1::proposal_service_client::ProposalServiceClient;
use concordat::proto::v1::{self, OpenProposalResponse};
use concordat::proto::{ACCESS, BUNDLED_AGREEMENTS};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::builders::{assert_error, assert_invalid};
use crate::cli::execute;
use crate::harness::{World, on_both_databases, request_id};

pub(crate) type Opened = OpenProposalResponse;

const DAY: i64 = 86_400;
const TITLE: &str = "Advice on the incident guidance";
const FILE: &[u8] = b"a file that goes with it";

pub(crate) fn opened_by(opener: &str) -> v1::ListProposalsRequest {
    v1::ListProposalsRequest { opener: opener.into(), ..v1::ListProposalsRequest::default() }
}

impl World {
    pub(crate) fn proposals_as(
        &self,
        agency: &str,
        name: &str,
        roles: &[&str],
    ) -> ProposalServiceClient<OfficerChannel> {
        ProposalServiceClient::new(self.officer(agency, name, roles))
    }

    pub(crate) fn proposals(&self, agency: &str) -> ProposalServiceClient<OfficerChannel> {
        self.proposals_as(agency, "rec", &["requester", "recorder", "authoriser", "auditor"])
    }

    pub(crate) fn approver(&self, agency: &str) -> ProposalServiceClient<OfficerChannel> {
        self.proposals_as(agency, "com", &["communications-approver"])
    }

    /// A proposal of this kind, about this incident if it is about one; with all that its text can say.
    pub(crate) fn opening(&self, kind: &str, incident: &str) -> v1::OpenProposalRequest {
        let embargo_until = if kind == "statement" { self.in_seconds(DAY) } else { None };
        let due_at = if kind == "support" { None } else { self.in_seconds(20 * DAY) };
        let text = "First line.\nSecond line.".to_owned();
        let words = v1::ProposalContent::default();
        let proposal = Some(v1::ProposalContent { title: TITLE.into(), text, embargo_until, due_at, ..words });
        v1::OpenProposalRequest { request_id: request_id(), kind: kind.into(), incident_id: incident.into(), proposal }
    }

    /// One that is about no incident.
    pub(crate) async fn open(&self, agency: &str, kind: &str) -> Opened {
        self.proposals(agency).open_proposal(self.opening(kind, "")).await.unwrap().into_inner()
    }

    pub(crate) fn putting(&self, opened: &Opened, agency: &str, purpose: &str) -> v1::PutProposalRequest {
        v1::PutProposalRequest {
            request_id: request_id(),
            proposal_id: opened.proposal_id.clone(),
            version: opened.version,
            agency: agency.into(),
            purpose: purpose.into(),
            answer_by: self.in_seconds(DAY),
        }
    }

    /// Puts one that is about no incident.
    pub(crate) async fn put_to(&self, opened: &Opened, agency: &str) -> v1::PutProposalResponse {
        let put = self.proposals("ico").put_proposal(self.putting(opened, agency, "")).await.unwrap().into_inner();
        assert_eq!((put.answer.as_str(), put.explanation.as_str()), ("put", ""));
        put
    }

    pub(crate) async fn asked_for_support(&self) -> Opened {
        let opened = self.open("ico", "support").await;
        self.put_to(&opened, "ncsc").await;
        opened
    }

    pub(crate) async fn answer(&self, agency: &str, opened: &Opened, word: &str) -> Result<v1::Receipt, Status> {
        self.answer_with(self.proposals_as(agency, "ans", &["authoriser"]), opened, word).await
    }

    pub(crate) async fn approve(&self, agency: &str, opened: &Opened, word: &str) -> Result<v1::Receipt, Status> {
        self.answer_with(self.approver(agency), opened, word).await
    }

    pub(crate) async fn answer_with(
        &self,
        mut officer: ProposalServiceClient<OfficerChannel>,
        opened: &Opened,
        word: &str,
    ) -> Result<v1::Receipt, Status> {
        let request = v1::AnswerProposalRequest {
            request_id: request_id(),
            proposal_id: opened.proposal_id.clone(),
            digest: opened.digest.clone(),
            answer: word.into(),
            text: "As we see it.".into(),
        };
        Ok(officer.answer_proposal(request).await?.into_inner().receipt.unwrap())
    }

    #[expect(clippy::unused_self, reason = "a builder beside the others")]
    pub(crate) fn message(&self, proposal_id: &str) -> v1::SendMessageRequest {
        let attachment = v1::Attachment {
            name: "baseline.txt".into(),
            media_type: "text/plain".into(),
            digest: Sha256::digest(FILE).to_vec(),
            content: FILE.into(),
        };
        v1::SendMessageRequest {
            request_id: request_id(),
            proposal_id: proposal_id.into(),
            agency: String::new(),
            text: "See the file.".into(),
            attachments: vec![attachment],
        }
    }

    pub(crate) async fn conclude(
        &self,
        agency: &str,
        id: &str,
        outcome: &str,
        why: &str,
    ) -> Result<v1::Receipt, Status> {
        let request = v1::ConcludeProposalRequest {
            request_id: request_id(),
            proposal_id: id.into(),
            outcome: outcome.into(),
            why: why.into(),
        };
        Ok(self.proposals(agency).conclude_proposal(request).await?.into_inner().receipt.unwrap())
    }

    pub(crate) async fn reword(&self, opened: &Opened, text: &str) -> Opened {
        let proposal = self.opening("support", "").proposal.unwrap();
        self.amend_to(opened, v1::ProposalContent { text: text.into(), ..proposal }).await
    }

    pub(crate) async fn amend_to(&self, opened: &Opened, proposal: v1::ProposalContent) -> Opened {
        self.amend_as(self.proposals("ico"), opened, proposal).await
    }

    pub(crate) async fn amend_as(
        &self,
        mut officer: ProposalServiceClient<OfficerChannel>,
        opened: &Opened,
        proposal: v1::ProposalContent,
    ) -> Opened {
        let request = v1::AmendProposalRequest {
            request_id: request_id(),
            proposal_id: opened.proposal_id.clone(),
            etag: opened.etag.clone(),
            proposal: Some(proposal),
        };
        let amended = officer.amend_proposal(request).await.unwrap().into_inner();
        let v1::AmendProposalResponse { version, etag, digest, receipt } = amended;
        Opened { proposal_id: opened.proposal_id.clone(), version, etag, digest, receipt }
    }

    pub(crate) async fn got(&self, agency: &str, id: &str) -> Result<v1::GetProposalResponse, Status> {
        let request = v1::GetProposalRequest { proposal_id: id.into() };
        Ok(self.proposals(agency).get_proposal(request).await?.into_inner())
    }

    pub(crate) async fn shown(&self, agency: &str, id: &str) -> v1::Proposal {
        self.got(agency, id).await.unwrap().proposal.unwrap()
    }

    /// The ids of the ICO's proposals that an agency finds in the list.
    pub(crate) async fn finds(&self, agency: &str) -> Vec<String> {
        let listed = self.proposals(agency).list_proposals(opened_by("ico")).await.unwrap().into_inner();
        assert_eq!(listed.next_page_token, "");
        listed.proposals.into_iter().map(|found| found.id).collect()
    }

    /// That an agency learns nothing: not by the list, not by an event, and of each call what it gets of nothing at
    /// all.
    pub(crate) async fn learns_nothing(&self, agency: &str, opened: &Opened) {
        let nothing = Opened { proposal_id: "prop_nothing".into(), ..opened.clone() };
        let mut answers = Vec::new();
        for one in [opened, &nothing] {
            let got = self.got(agency, &one.proposal_id).await.unwrap_err();
            let answered = self.answer(agency, one, "answered").await.unwrap_err();
            let sent = self.proposals(agency).send_message(self.message(&one.proposal_id)).await.unwrap_err();
            answers.push([got, answered, sent].map(|status| (status.code(), status.message().to_owned())));
        }
        assert_eq!(answers[0], answers[1], "{agency} can tell it from nothing");
        assert!(answers[0].iter().all(|(code, _)| *code == Code::NotFound), "{answers:?}");
        assert!(!self.finds(agency).await.contains(&opened.proposal_id), "{agency} finds it in the list");
        let told = self.events(agency).await;
        assert!(told.iter().all(|event| event.proposal_id != opened.proposal_id), "{agency} is told: {told:?}");
    }

    /// The kinds of the events about proposals, by name: in these tests time stands still.
    pub(crate) async fn told(&self, agency: &str) -> Vec<String> {
        let events = self.events(agency).await.into_iter().filter(|event| !event.proposal_id.is_empty());
        let mut kinds: Vec<String> = events.map(|event| event.kind).collect();
        kinds.sort();
        kinds
    }
}

#[test]
fn the_bundled_agreements_name_roles_that_may_answer() {
    let answer = ACCESS.iter().find(|(path, ..)| path.ends_with("/AnswerProposal")).unwrap().1;
    for (_, terms, clauses) in BUNDLED_AGREEMENTS {
        let proposal = Proposal { terms: (*terms).to_owned(), clauses: (*clauses).to_owned() };
        for (kind, terms) in Agreement::load(&proposal.text()).unwrap().proposals() {
            assert!(terms.answered_by.iter().all(|role| answer.contains(&role.as_str())), "{kind}");
        }
    }
    let wrong = |old: &str, new: &str| {
        let (_, terms, clauses) = BUNDLED_AGREEMENTS.iter().find(|(id, ..)| *id == "ico-ncsc-2023").unwrap();
        assert!(terms.contains(old), "{old}");
        let proposal = Proposal { terms: terms.replace(old, new), clauses: (*clauses).to_owned() };
        Agreement::load(&proposal.text()).unwrap_err().to_string()
    };
    let names_it = "[proposals.support] ";
    let for_good = wrong("[\"closed\", \"declined\", \"withdrawn\"]", "[\"closed\"]");
    assert!(for_good.contains(names_it) && for_good.contains("`withdrawn`"), "{for_good}");
    let twice = wrong("objecting = [\"not-able\"]", "objecting = [\"accepted\"]");
    assert!(twice.contains(names_it) && twice.contains("`accepted`"), "{twice}");
    let days = wrong("answer_days = 10", "answer_days = 0");
    assert!(days.contains("answer_days from 1 to 365"), "{days}");
}

on_both_databases! {
    async fn what_was_put_is_seen_by_whom_it_was_put_to_alone_and_as_it_was_put(world: World) {
        let opened = world.open("ico", "support").await;
        world.learns_nothing("ncsc", &opened).await;
        let mine = world.shown("ico", &opened.proposal_id).await;
        assert_eq!((mine.state.as_str(), mine.etag.as_str(), mine.puts.len()), ("draft", "1", 0));
        let words = mine.content.unwrap();
        assert_eq!(mine.digest, Sha256::digest(words.encode_to_vec()).to_vec(), "anybody can compute it");
        assert_eq!(mine.digest, opened.digest);

        let put = world.put_to(&opened, "ncsc").await;
        let said = world.verified(put.receipt.as_ref()).proposal.unwrap();
        assert_eq!((said.step.as_str(), said.digest.clone()), ("put", opened.digest.clone()));
        let theirs = world.shown("ncsc", &opened.proposal_id).await;
        assert_eq!(theirs.content.unwrap(), words);
        assert_eq!((theirs.state.as_str(), theirs.etag.as_str(), theirs.opened_at), ("put", "", None));
        assert_eq!(world.finds("ncsc").await, [opened.proposal_id.as_str()]);
        assert_eq!(world.told("ncsc").await, ["proposal-put"]);
        world.learns_nothing("nca", &opened).await;
        // Whoever approves statements does not read what is asked in confidence, not even of the agency's own.
        for agency in ["ico", "ncsc"] {
            let read = v1::GetProposalRequest { proposal_id: opened.proposal_id.clone() };
            assert_error(world.approver(agency).get_proposal(read).await, Code::NotFound, "NOT_FOUND");
            let listed = world.approver(agency).list_proposals(opened_by("ico")).await.unwrap().into_inner();
            assert_eq!(listed.proposals, []);
        }
        let both = world.entry("ncsc", put.receipt.as_ref().unwrap().index).await.unwrap();
        assert_eq!(world.verified(Some(&both)).proposal.unwrap(), said, "both have the entry");
        assert!(world.verified(Some(&both)).act.is_none(), "and not who did it");

        // Another text has to be put again, and nothing shows that there is one but that the old cannot be answered.
        world.answer("ncsc", &opened, "accepted").await.unwrap();
        let amended = world.reword(&opened, "Another text.").await;
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.digest, opened.digest);
        assert_eq!(world.told("ncsc").await, ["proposal-put"]);
        assert_error(world.answer("ncsc", &opened, "answered").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.answer("ncsc", &amended, "answered").await, Code::FailedPrecondition, "WRONG_STATE");
        let amended = world.reword(&amended, "Yet another text.").await;
        world.put_to(&amended, "ncsc").await;
        assert_eq!(world.shown("ico", &opened.proposal_id).await.version, 3);
        let theirs = world.shown("ncsc", &opened.proposal_id).await;
        assert_eq!((theirs.version, theirs.puts[0].version), (2, 2), "not how many it never saw");
        assert_error(world.answer("ncsc", &opened, "answered").await, Code::Aborted, "CHANGED");
        world.answer("ncsc", &amended, "answered").await.unwrap();
        assert_eq!(world.told("ncsc").await, ["proposal-put", "proposal-put"]);
        assert_eq!(world.told("ico").await, ["proposal-answered", "proposal-answered"]);
        let again = world.proposals("ico").put_proposal(world.putting(&amended, "ncsc", "")).await;
        assert_error(again, Code::FailedPrecondition, "WRONG_STATE");
        let stale = world.proposals("ico").put_proposal(world.putting(&opened, "ncsc", "")).await;
        assert_error(stale, Code::FailedPrecondition, "WRONG_STATE");
        // A kind that the agreement does not open to this agency, and a purpose that is for incidents.
        let nca = world.proposals("ico").put_proposal(world.putting(&amended, "nca", "")).await.unwrap().into_inner();
        assert_eq!((nca.answer.as_str(), nca.answer_by), ("not-covered", None));
        world.learns_nothing("nca", &amended).await;
        let purpose = world.proposals("ico").put_proposal(world.putting(&amended, "ncsc", "harm-reduction")).await;
        assert_error(purpose, Code::FailedPrecondition, "WRONG_STATE");

        // While the clock is behind nothing is released, so nothing is shown.
        world.later(-3);
        assert_error(world.got("ncsc", &opened.proposal_id).await, Code::NotFound, "NOT_FOUND");
        assert_eq!((world.finds("ncsc").await.len(), world.told("ncsc").await.len()), (0, 0));
        assert!(world.got("ico", &opened.proposal_id).await.is_ok(), "its own is");
        assert_error(world.answer("ncsc", &amended, "answered").await, Code::Unavailable, "CLOCK");
        // Nor is it passed by: whoever follows the events has it once the clock is right.
        let about = |events: Vec<v1::Event>| events.into_iter().filter(|event| !event.proposal_id.is_empty()).count();
        let (events, waits) = world.since("ncsc", "").await;
        assert_eq!(about(events), 0);
        world.later(3);
        assert_eq!(about(world.since("ncsc", &waits).await.0), world.told("ncsc").await.len());

        // What may no longer be shown looks like what never was.
        world.end_agreement("ico-ncsc-2023").await.unwrap();
        world.learns_nothing("ncsc", &amended).await;
        assert_eq!(world.told("ico").await.len(), 2, "its own stays");
        world.conclude("ico", &opened.proposal_id, "withdrawn", "").await.unwrap();
        assert_eq!(world.told("ncsc").await, Vec::<String>::new(), "nor is it told of the end");
        world.activate("ico-ncsc-2023").await;
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.state, "withdrawn");
    }

    async fn what_was_erased_is_gone_and_the_rest_stays(world: World) {
        let opened = world.asked_for_support().await;
        let id = opened.proposal_id.clone();
        world.answer("ncsc", &opened, "answered").await.unwrap();
        world.proposals("ncsc").send_message(world.message(&id)).await.unwrap();
        let keys = world.all_bytes("SELECT wrapped_key FROM proposal WHERE wrapped_key IS NOT NULL").await;
        let erase = || v1::EraseProposalRequest { request_id: request_id(), proposal_id: id.clone() };
        assert_error(world.proposals("ico").erase_proposal(erase()).await, Code::FailedPrecondition, "WRONG_STATE");
        world.conclude("ico", &id, "closed", "").await.unwrap();
        let from = world.shown("ico", &id).await.erase_from.unwrap();
        assert_eq!(from, world.in_seconds(730 * DAY).unwrap());
        assert_error(world.proposals("ico").erase_proposal(erase()).await, Code::FailedPrecondition, "WRONG_STATE");

        let before = world.left_behind();
        assert!(crate::erased::has(&before, &keys[0]), "the search finds what is there");
        for word in [TITLE.as_bytes(), FILE, b"As we see it.", b"See the file."] {
            assert!(!crate::erased::has(&before, word), "it is all sealed");
        }
        // Certificates don't last as long as that.
        let long_ago = format!("UPDATE proposal SET concluded_at = concluded_at - {}", 730 * DAY * 1_000_000);
        execute(&world.config.database_url(), &[&long_ago], &[&long_ago]).await;
        world.proposals("ico").erase_proposal(erase()).await.unwrap();
        assert!(!crate::erased::has(&world.left_behind(), &keys[0]), "the key was left behind");
        let mine = world.got("ico", &id).await.unwrap();
        let proposal = mine.proposal.unwrap();
        assert_eq!((proposal.state.as_str(), proposal.content, mine.messages.len()), ("erased", None, 0));
        assert_eq!((proposal.answers.len(), proposal.puts.len()), (0, 1));
        world.learns_nothing("ncsc", &opened).await;
        assert_error(world.proposals("ico").erase_proposal(erase()).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn a_consultation_has_both_dates_and_the_decision_stays(world: World) {
        let opened = world.open("ico", "consultation").await;
        let late = v1::PutProposalRequest {
            answer_by: world.in_seconds(21 * DAY),
            ..world.putting(&opened, "nca", "")
        };
        assert_invalid(world.proposals("ico").put_proposal(late).await, "answer_by");
        let usual = v1::PutProposalRequest { answer_by: None, ..world.putting(&opened, "nca", "") };
        let put = world.proposals("ico").put_proposal(usual).await.unwrap().into_inner();
        assert_eq!(put.answer_by, world.in_seconds(7 * DAY), "as the agreement says");
        world.put_to(&opened, "ncsc").await;
        let theirs = world.shown("nca", &opened.proposal_id).await;
        assert_eq!(theirs.content.unwrap().due_at, world.in_seconds(20 * DAY));
        let agencies: BTreeSet<String> = theirs.puts.into_iter().map(|put| put.agency).collect();
        assert_eq!(agencies, BTreeSet::from(["nca".to_owned()]), "not who else is consulted");

        world.answer("ncsc", &opened, "objected").await.unwrap();
        let to_ncsc = v1::SendMessageRequest { agency: "ncsc".into(), ..world.message(&opened.proposal_id) };
        world.proposals("ico").send_message(to_ncsc).await.unwrap();
        let theirs = world.got("nca", &opened.proposal_id).await.unwrap();
        assert_eq!(theirs.proposal.unwrap().answers, [], "nor what they said");
        assert_eq!(theirs.messages, [], "nor what they were told");
        let first = world.proposals("nca").send_message(world.message(&opened.proposal_id)).await.unwrap().into_inner();
        assert_eq!(first.number, 1, "nor how many messages there were");
        let why = "The law leaves no more time.";
        let early = world.conclude("ico", &opened.proposal_id, "went-ahead", why).await;
        assert_error(early, Code::FailedPrecondition, "WRONG_STATE");
        world.later(7 * DAY);
        let mine = world.shown("ico", &opened.proposal_id).await;
        assert_eq!(mine.puts.iter().map(|put| put.late).collect::<Vec<_>>(), [true, false], "the NCA is late");
        assert_invalid(world.conclude("ico", &opened.proposal_id, "went-ahead", " ").await, "why");
        let receipt = world.conclude("ico", &opened.proposal_id, "went-ahead", why).await.unwrap();
        assert_eq!(world.verified(Some(&receipt)).proposal.unwrap().word, "concluded");
        let mine = world.shown("ico", &opened.proposal_id).await;
        assert_eq!((mine.state.as_str(), mine.why.as_str()), ("went-ahead", why));
        // Whoever objected and whoever did not see the same: neither learns of the other.
        for agency in ["nca", "ncsc"] {
            let theirs = world.shown(agency, &opened.proposal_id).await;
            assert_eq!((theirs.state.as_str(), theirs.why.as_str()), ("concluded", ""));
            for (state, found) in [("agreed", 0), ("went-ahead", 0), ("declined", 0), ("concluded", 1)] {
                let wanted = v1::ListProposalsRequest { state: state.into(), ..opened_by("ico") };
                let listed = world.proposals(agency).list_proposals(wanted).await.unwrap().into_inner().proposals;
                assert_eq!(listed.len(), found, "{agency}: {state}");
                assert!(listed.iter().all(|one| one.state == "concluded"), "{listed:?}");
            }
        }
        assert_error(world.answer("nca", &opened, "no-objection").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.told("nca").await, ["proposal-concluded", "proposal-put"]);
        // In the other direction, and about an incident it cannot be.
        world.open("nca", "consultation").await;
        let held = world.hold("ico", "nca").await;
        let about = world.opening("consultation", &held.incident);
        assert_invalid(world.proposals("ico").open_proposal(about).await, "incident_id");
        assert_invalid(world.proposals("ncsc").open_proposal(world.opening("consultation", "")).await, "kind");
    }
}
