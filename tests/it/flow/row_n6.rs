//! N6: a public statement about an incident is agreed in advance, to the letter.

use concordat::proto::v1;
use tonic::{Code, Status};

use crate::builders::{assert_error, assert_invalid};
use crate::flow::Opened;
use crate::harness::{World, on_both_databases, request_id};

const DAY: i64 = 86_400;

impl World {
    /// A statement of the holder's about an incident of which the recipient may know.
    pub(crate) async fn open_statement(&self, holder: &str, recipient: &str) -> Opened {
        let held = self.hold(holder, recipient).await;
        if holder == "ico" {
            self.authorise(&held).await;
        } else {
            self.permit(held.clone()).await;
        }
        self.proposals(holder).open_proposal(self.opening("statement", &held.incident)).await.unwrap().into_inner()
    }

    /// Puts a statement to an agency: what came of it.
    pub(crate) async fn put_statement(
        &self,
        opener: &str,
        statement: &Opened,
        agency: &str,
    ) -> v1::PutProposalResponse {
        let request = self.putting(statement, agency, "harm-reduction");
        self.proposals(opener).put_proposal(request).await.unwrap().into_inner()
    }

    /// One without an embargo, so that it may be published at once.
    pub(crate) async fn agreed_statement(&self) -> Opened {
        let opened = self.open_statement("ico", "ncsc").await;
        let words = self.opening("statement", "").proposal.unwrap();
        let opened = self.amend_to(&opened, v1::ProposalContent { embargo_until: None, ..words }).await;
        assert_eq!(self.put_statement("ico", &opened, "ncsc").await.answer, "put");
        self.approve("ico", &opened, "approved").await.unwrap();
        self.approve("ncsc", &opened, "approved").await.unwrap();
        self.conclude("ico", &opened.proposal_id, "agreed", "").await.unwrap();
        opened
    }

    async fn publish_statement(&self, opened: &Opened) -> Result<v1::Receipt, Status> {
        let (proposal_id, digest) = (opened.proposal_id.clone(), opened.digest.clone());
        let request = v1::PublishProposalRequest { request_id: request_id(), proposal_id, digest };
        Ok(self.approver("ico").publish_proposal(request).await?.into_inner().receipt.unwrap())
    }
}

on_both_databases! {
    async fn row_n6_a_statement_is_agreed_to_the_letter_and_published_after_its_embargo(world: World) {
        let opened = world.open_statement("ico", "ncsc").await;
        let id = opened.proposal_id.clone();
        world.learns_nothing("ncsc", &opened).await;
        let before = world.size().await;
        assert_eq!(world.put_statement("ico", &opened, "ncsc").await.answer, "put");
        assert_eq!(world.size().await, before + 1, "decided and put in one entry");
        let theirs = world.shown("ncsc", &id).await;
        assert_eq!((theirs.incident_id.as_str(), theirs.state.as_str()), ("", "put"));
        let read = v1::GetProposalRequest { proposal_id: id.clone() };
        assert!(world.approver("ncsc").get_proposal(read).await.is_ok(), "whoever approves reads it");

        // An approver, of both agencies, and not who wrote it; each to this very text.
        let requester = world.answer("ncsc", &opened, "approved").await.unwrap_err();
        assert_error::<()>(Err(requester), Code::PermissionDenied, "ROLE_MISSING");
        let (other, wrong) = (Opened { digest: vec![7; 32], ..opened.clone() }, "approved");
        assert_error(world.approve("ncsc", &other, wrong).await, Code::Aborted, "CHANGED");
        world.approve("ncsc", &opened, "approved").await.unwrap();
        let agree = async || world.conclude("ico", &id, "agreed", "").await;
        assert_error(agree().await, Code::FailedPrecondition, "WRONG_STATE");
        world.approve("ico", &opened, "approved").await.unwrap();
        assert_error(world.publish_statement(&opened).await, Code::FailedPrecondition, "WRONG_STATE");
        let writer = world.proposals_as("ico", "rec", &["communications-approver"]);
        let own = world.answer_with(writer, &opened, "approved").await;
        assert_error(own, Code::FailedPrecondition, "SAME_OFFICER");

        // Another text resets what was approved, and an earlier text cannot be what was agreed to.
        let words = world.opening("statement", "").proposal.unwrap();
        let shorter = v1::ProposalContent { text: "Shorter.".into(), ..words };
        let second = world.proposals_as("ico", "second", &["recorder"]);
        let amended = world.amend_as(second, &opened, shorter).await;
        let first = world.proposals_as("ico", "rec", &["communications-approver"]);
        let own = world.answer_with(first, &amended, "approved").await;
        assert_error(own, Code::FailedPrecondition, "SAME_OFFICER");
        assert_error(agree().await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.put_statement("ico", &amended, "ncsc").await.answer, "put");
        for agency in ["ncsc", "ico"] {
            assert_error(agree().await, Code::FailedPrecondition, "WRONG_STATE");
            world.approve(agency, &amended, "approved").await.unwrap();
        }
        let ahead = world.conclude("ico", &id, "went-ahead", "in a hurry").await;
        assert_error(ahead, Code::FailedPrecondition, "WRONG_STATE");
        agree().await.unwrap();
        assert_error(world.publish_statement(&amended).await, Code::FailedPrecondition, "WRONG_STATE");
        world.later(DAY);
        assert_invalid(world.publish_statement(&Opened { digest: vec![7; 32], ..amended.clone() }).await, "digest");
        let receipt = world.publish_statement(&amended).await.unwrap();
        assert_eq!(world.verified(Some(&receipt)).proposal.unwrap().digest, amended.digest);
        assert_eq!(world.shown("ncsc", &id).await.state, "published");
        let told = ["proposal-concluded", "proposal-published", "proposal-put", "proposal-put"];
        assert_eq!(world.told("ncsc").await, told);
        world.learns_nothing("nca", &amended).await;
    }

    async fn row_n6_going_ahead_takes_an_objection_or_a_silence_and_says_why(world: World) {
        let why = "The organisation had already spoken to the press.";
        for objects in [true, false] {
            let opened = world.open_statement("ico", "ncsc").await;
            let id = opened.proposal_id.clone();
            assert_eq!(world.put_statement("ico", &opened, "ncsc").await.answer, "put");
            world.approve("ico", &opened, "approved").await.unwrap();
            let ahead = async |why| world.conclude("ico", &id, "went-ahead", why).await;
            assert_error(ahead(why).await, Code::FailedPrecondition, "WRONG_STATE");
            if objects {
                world.approve("ncsc", &opened, "objected").await.unwrap();
            } else {
                // Past what was asked for, and not past the agreement's days for an answer.
                world.later(DAY);
                assert_error(ahead(why).await, Code::FailedPrecondition, "WRONG_STATE");
                world.later(DAY);
            }
            assert_invalid(ahead("").await, "why");
            ahead(why).await.unwrap();
            assert_eq!(world.shown("ico", &id).await.why, why);
            let theirs = world.shown("ncsc", &id).await;
            assert_eq!((theirs.why.as_str(), theirs.state.as_str()), ("", "concluded"));
        }
    }

    async fn row_n6_nobody_learns_of_an_incident_of_which_they_may_not_know(world: World) {
        // Without the organisation's consent the NCSC lets the ICO see of no incident that it holds it.
        let held = world.hold("ncsc", "ico").await;
        world.authorise(&held).await;
        let opening = world.opening("statement", &held.incident);
        let opened = world.proposals("ncsc").open_proposal(opening).await.unwrap().into_inner();
        let put = world.put_statement("ncsc", &opened, "ico").await;
        assert_eq!((put.answer.as_str(), put.answer_by), ("not-permitted", None));
        assert!(!put.explanation.is_empty());
        let entry = put.receipt.unwrap().index;
        assert_error(world.entry("ico", entry).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.state, "draft");
        assert!(world.got("ico", &opened.proposal_id).await.is_err());
        assert_eq!(world.told("ico").await, Vec::<String>::new());

        // With it, as long as it stands.
        let consent = world.give_consent(&held, world.scope(&held)).await;
        assert_eq!(world.put_statement("ncsc", &opened, "ico").await.answer, "put");
        assert_eq!(world.shown("ico", &opened.proposal_id).await.state, "put");
        assert_eq!(world.told("ico").await, ["proposal-put"]);
        // What is written of it crosses in words alone, by whoever may decide that, and decided anew.
        let message = || {
            let message = world.message(&opened.proposal_id);
            v1::SendMessageRequest { agency: "ico".into(), attachments: vec![], ..message }
        };
        let with_file = v1::SendMessageRequest { agency: "ico".into(), ..world.message(&opened.proposal_id) };
        assert_invalid(world.proposals("ncsc").send_message(with_file).await, "attachments");
        let requester = world.proposals_as("ncsc", "req", &["requester", "recorder"]).send_message(message()).await;
        assert_error(requester, Code::PermissionDenied, "ROLE_MISSING");
        let sent = world.approver("ncsc").send_message(message()).await.unwrap().into_inner().receipt.unwrap();
        let facts = format!("SELECT facts FROM entry WHERE idx = {} AND facts IS NOT NULL", sent.index);
        assert_eq!(world.all_bytes(&facts).await.len(), 1, "decided in the message's entry");
        world.approve("ncsc", &opened, "approved").await.unwrap();
        world.withdraw_consent(&held, &consent).await.unwrap();
        assert_eq!(world.got("ico", &opened.proposal_id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(world.told("ico").await, Vec::<String>::new());
        assert_error(world.proposals("ncsc").send_message(message()).await, Code::FailedPrecondition, "WRONG_STATE");
        // Who may not know of it is not silent.
        world.later(2 * DAY);
        let ahead = world.conclude("ncsc", &opened.proposal_id, "went-ahead", "silence").await;
        assert_error(ahead, Code::FailedPrecondition, "WRONG_STATE");
        world.conclude("ncsc", &opened.proposal_id, "withdrawn", "").await.unwrap();
        assert_eq!(world.told("ico").await, Vec::<String>::new(), "nor of its end");

        // Erasing the incident erases what was said of it.
        let keys = world.all_bytes("SELECT wrapped_key FROM proposal WHERE wrapped_key IS NOT NULL").await;
        let sealed = format!("SELECT wrapped_key FROM entry WHERE idx = {entry} AND wrapped_key IS NOT NULL");
        assert_eq!((keys.len(), world.all_bytes(&sealed).await.len()), (1, 1));
        assert_eq!(world.all_bytes(&facts).await.len(), 1);
        world.erase(&held).await;
        assert!(!crate::erased::has(&world.left_behind(), &keys[0]), "the key was left behind");
        assert_eq!(world.all_bytes(&sealed).await.len(), 0, "nor are the facts of what was decided");
        assert_eq!(world.all_bytes(&facts).await.len(), 0, "of the message neither");
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.state, "erased");
    }
}
