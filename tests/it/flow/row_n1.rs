//! N1: standards and guidance, feedback on the CAF and international developments, in a library with threads.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::{assert_error, assert_invalid};
use crate::cli::execute;
use crate::flow::library::{CAF, document_words, outside};
use crate::flow::{Opened, opened_by};
use crate::harness::{on_both_databases, request_id};

on_both_databases! {
    async fn row_n1_feedback_on_the_caf_is_a_document_with_a_thread_and_versions(world: World) {
        let opened = world.document("ico", "caf-feedback", "amber", vec![outside()]).await;
        let id = opened.proposal_id.clone();
        world.learns_nothing("ncsc", &opened).await;
        let put = world.put_document("ico", &opened, "ncsc").await.unwrap();
        assert_eq!((put.answer.as_str(), put.answer_by), ("put", None), "no answer is asked for");
        let said = world.verified(put.receipt.as_ref()).proposal.unwrap();
        assert_eq!((said.kind.as_str(), said.step.as_str()), ("caf-feedback", "put"));
        assert_eq!((said.digest, said.answer_by_micros), (opened.digest.clone(), 0));
        let theirs = world.shown("ncsc", &id).await;
        assert_eq!((theirs.kind.as_str(), theirs.version, theirs.digest), ("caf-feedback", 1, opened.digest.clone()));
        assert_eq!(theirs.content.unwrap(), document_words("amber", vec![outside()]));
        assert_eq!(theirs.puts.iter().map(|put| (put.answer_by, put.late)).collect::<Vec<_>>(), [(None, false)]);
        assert_error(world.answer("ncsc", &opened, "accepted").await, Code::FailedPrecondition, "WRONG_STATE");

        // Support and what comes back are messages, between the two alone.
        world.proposals("ncsc").send_message(world.message(&id)).await.unwrap();
        let back = v1::SendMessageRequest { agency: "ncsc".into(), ..world.message(&id) };
        world.proposals("ico").send_message(back).await.unwrap();
        let thread = world.got("ncsc", &id).await.unwrap().messages;
        assert_eq!(thread, world.got("ico", &id).await.unwrap().messages);
        assert_eq!(thread.iter().map(|one| one.sender.as_str()).collect::<Vec<_>>(), ["ncsc", "ico"]);
        world.learns_nothing("nca", &opened).await;

        // The next version is put again; until then the first is read.
        let words = document_words("green", vec![outside()]);
        let next = v1::ProposalContent { text: "What we did since.".into(), ..words };
        let amended = world.amend_to(&opened, next.clone()).await;
        assert_eq!(world.shown("ncsc", &id).await.digest, opened.digest);
        world.put_document("ico", &amended, "ncsc").await.unwrap();
        let theirs = world.shown("ncsc", &id).await;
        assert_eq!((theirs.version, theirs.digest, theirs.content.unwrap()), (2, amended.digest.clone(), next));
        world.conclude("ico", &id, "superseded", "").await.unwrap();
        assert_eq!(world.shown("ncsc", &id).await.state, "superseded");
        let told = ["proposal-concluded", "proposal-message", "proposal-put", "proposal-put"];
        assert_eq!(world.told("ncsc").await, told);
        let late = world.proposals("ncsc").send_message(world.message(&id)).await;
        assert_error(late, Code::FailedPrecondition, "WRONG_STATE");

        // A list opens what it shows and no other version: one that nothing opens any more is not missed.
        let first = format!("WHERE proposal_id = '{id}' AND version = 1");
        let unreadable = |bytes: &str| format!("UPDATE proposal_text SET sealed = {bytes} {first}");
        let (postgres, sqlite) = (unreadable("'\\x00'"), unreadable("x'00'"));
        execute(&world.config.database_url(), &[&postgres], &[&sqlite]).await;
        assert_eq!(world.library("ico", opened_by("ico")).await, [id.as_str()]);
        assert_eq!(world.library("ncsc", opened_by("ico")).await, [id.as_str()]);
        assert!(world.got("ico", &id).await.is_err(), "the whole is read by GetProposal alone");
    }

    async fn row_n1_documents_are_found_by_type_party_and_what_they_cite(world: World) {
        let guidance = world.shared_document("ico", "guidance", "clear", vec![outside()], "ncsc").await;
        world.put_document("ico", &guidance, "nca").await.unwrap();
        let abroad = world.shared_document("ico", "international", "green", vec![], "ncsc").await;
        let draft = world.document("ico", "guidance", "clear", vec![outside()]).await;
        let support = world.asked_for_support().await;
        let threats = world.shared_document("ncsc", "threat-assessment", "amber", vec![], "ico").await;

        let ids = |all: &[&Opened]| {
            let mut ids: Vec<String> = all.iter().map(|one| one.proposal_id.clone()).collect();
            ids.sort();
            ids
        };
        let ico = || opened_by("ico");
        let of_kind = |kind: &str| v1::ListProposalsRequest { kind: kind.into(), ..ico() };
        let to = |agency: &str| v1::ListProposalsRequest { put_to: agency.into(), ..ico() };
        let citing = |what: &str| v1::ListProposalsRequest { cites: what.into(), ..ico() };
        assert_eq!(world.library("ico", ico()).await, ids(&[&guidance, &abroad, &draft]));
        assert_eq!(world.library("ico", of_kind("guidance")).await, ids(&[&guidance, &draft]));
        assert_eq!(world.library("ico", to("nca")).await, ids(&[&guidance]));
        assert_eq!(world.library("ico", citing(CAF)).await, ids(&[&guidance, &draft]));
        assert_eq!(world.library("ico", citing("Cyber Assessment")).await, ids(&[]));
        // Another agency finds what was put to it, and not to whom else.
        assert_eq!(world.library("ncsc", ico()).await, ids(&[&guidance, &abroad]));
        assert_eq!(world.library("ncsc", citing(CAF)).await, ids(&[&guidance]));
        assert_eq!(world.library("ncsc", to("nca")).await, ids(&[]));
        assert_eq!(world.library("nca", to("nca")).await, ids(&[&guidance]));
        assert_eq!(world.library("ico", opened_by("ncsc")).await, ids(&[&threats]));
        assert_eq!(world.finds("ncsc").await, ids(&[&guidance, &abroad, &support]), "what is no document, too");

        // A document is marked, names no incident and is of a kind that its agency may open; nothing else is marked.
        let held = world.hold("ncsc", "ico").await;
        let words = document_words("amber", vec![]);
        let about = v1::OpenProposalRequest {
            request_id: request_id(),
            kind: "threat-assessment".into(),
            incident_id: held.incident,
            proposal: Some(words.clone()),
        };
        assert_invalid(world.proposals("ncsc").open_proposal(about).await, "incident_id");
        assert_invalid(world.write_document("ncsc", "caf-feedback", words.clone()).await, "kind");
        // Threat assessments go to the ICO, as the memoranda were reported.
        assert_invalid(world.write_document("ico", "threat-assessment", words.clone()).await, "kind");
        assert_invalid(world.write_document("ico", "support", words).await, "proposal.tlp");
        let unmarked = document_words("", vec![]);
        assert_invalid(world.write_document("ico", "guidance", unmarked).await, "proposal.tlp");
        let cites = document_words("", vec![outside()]);
        assert_invalid(world.write_document("ico", "support", cites).await, "proposal.citations");
        let soon = v1::PutProposalRequest { answer_by: world.in_seconds(60), ..world.putting(&draft, "ncsc", "") };
        assert_invalid(world.proposals("ico").put_proposal(soon).await, "answer_by");
    }
}
