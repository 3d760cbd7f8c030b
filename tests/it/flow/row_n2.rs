//! N2: the ICO's guidance cites the NCSC's standards that it promotes; and the NCSC may give the ICO technical advice:
//! support that is asked for, answered and tracked.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{assert_error, assert_invalid};
use crate::flow::library::{cited, document_words, outside};
use crate::flow::opened_by;
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_n2_guidance_cites_the_standards_that_it_promotes(world: World) {
        let standard = world.shared_document("ncsc", "standard", "clear", vec![], "ico").await;
        let promoted = vec![cited("ncsc", &standard), outside()];
        let guidance = world.shared_document("ico", "guidance", "clear", promoted.clone(), "ncsc").await;
        let theirs = world.shown("ncsc", &guidance.proposal_id).await;
        assert_eq!(theirs.content.unwrap().citations, promoted);
        assert_eq!(theirs.digest, guidance.digest, "what is cited is part of the text");
        // The NCSC finds who promotes its standard.
        let citing = |what: &str| v1::ListProposalsRequest { cites: what.into(), ..opened_by("ico") };
        assert_eq!(world.library("ncsc", citing(&standard.proposal_id)).await, [guidance.proposal_id.as_str()]);
        assert_eq!(world.library("ncsc", citing("prop_nothing")).await, Vec::<String>::new());
        // A later version is another one: the guidance says which it promotes.
        let later = document_words("clear", vec![outside()]);
        let later = world.amend_as(world.proposals("ncsc"), &standard, later).await;
        world.put_document("ncsc", &later, "ico").await.unwrap();
        let cites = world.shown("ico", &guidance.proposal_id).await.content.unwrap().citations;
        assert_eq!(cites[0].digest, standard.digest);
        // What it cited may stay, though nobody can cite that version anew; the other one takes its place.
        assert_invalid(world.write_document("ico", "guidance", document_words("clear", promoted.clone())).await,
            "proposal.citations[0]");
        let stays = v1::ProposalContent { text: "Otherwise the same.".into(), ..document_words("clear", promoted) };
        let guidance = world.amend_to(&guidance, stays).await;
        let follows = document_words("clear", vec![cited("ncsc", &later)]);
        world.amend_to(&guidance, follows).await;
    }

    async fn row_n2_advice_is_asked_for_answered_and_closed(world: World) {
        let opened = world.asked_for_support().await;
        let id = opened.proposal_id.clone();
        assert_error(world.answer("ncsc", &opened, "approved").await, Code::InvalidArgument, "INVALID_FIELD");
        world.answer("ncsc", &opened, "accepted").await.unwrap();
        let answered = world.answer("ncsc", &opened, "answered").await.unwrap();
        let said = world.verified(Some(&answered)).proposal.unwrap();
        assert_eq!((said.step.as_str(), said.word.as_str()), ("answered", "answered"));
        let mine = world.shown("ico", &id).await;
        let answers: Vec<&str> = mine.answers.iter().map(|answer| answer.answer.as_str()).collect();
        assert_eq!(answers, ["accepted", "answered"]);
        assert_eq!(mine.answers[1].text, "As we see it.");
        assert!(mine.answers[1].officer_pseudonym.starts_with("officer-"), "no officer is named");
        let open = v1::ListProposalsRequest { state: "put".into(), ..crate::flow::opened_by("ico") };
        let listed = world.proposals("ico").list_proposals(open.clone()).await.unwrap().into_inner();
        assert_eq!(listed.proposals.len(), 1);
        let receipt = world.conclude("ico", &id, "closed", "").await.unwrap();
        assert_eq!(world.verified(Some(&receipt)).proposal.unwrap().word, "closed");
        let listed = world.proposals("ico").list_proposals(open).await.unwrap().into_inner();
        assert_eq!(listed.proposals, []);
        assert_eq!(world.told("ncsc").await, ["proposal-concluded", "proposal-put"]);
    }

    async fn row_n2_what_nobody_can_help_with_is_declined(world: World) {
        let opened = world.asked_for_support().await;
        let id = opened.proposal_id.clone();
        assert_error(world.conclude("ico", &id, "declined", "").await, Code::FailedPrecondition, "WRONG_STATE");
        world.answer("ncsc", &opened, "not-able").await.unwrap();
        world.conclude("ico", &id, "declined", "").await.unwrap();
        assert_eq!(world.shown("ico", &id).await.state, "declined");
        assert_eq!(world.shown("ncsc", &id).await.state, "concluded");
        assert_error(world.conclude("ico", &id, "closed", "").await, Code::FailedPrecondition, "WRONG_STATE");
    }
}
