//! A5: the parties learn from each other, and their guidance agrees: the library, among all of them.

use concordat::proto::v1;
use tonic::Code;

use crate::builders::assert_error;
use crate::flow::library::outside;
use crate::flow::opened_by;
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_a5_what_one_agency_learns_is_put_to_all_whom_an_agreement_covers(world: World) {
        // One guidance to both, each with a thread of its own.
        let guidance = world.shared_document("ico", "guidance", "green", vec![outside()], "ncsc").await;
        let id = guidance.proposal_id.clone();
        assert_eq!(world.put_document("ico", &guidance, "nca").await.unwrap().answer, "put");
        world.proposals("nca").send_message(world.message(&id)).await.unwrap();
        assert_eq!(world.got("nca", &id).await.unwrap().messages.len(), 1);
        let theirs = world.got("ncsc", &id).await.unwrap();
        assert_eq!((theirs.messages.len(), theirs.proposal.unwrap().puts.len()), (0, 1), "not who else was put it");
        let lesson = world.shared_document("nca", "learning", "amber", vec![], "ico").await;
        assert_eq!(world.library("ico", opened_by("nca")).await, [lesson.proposal_id.as_str()]);
        let threats = world.shared_document("nca", "threat-assessment", "amber", vec![], "ico").await;
        assert_eq!(world.put_document("nca", &threats, "ncsc").await.unwrap().answer, "not-covered");
        world.learns_nothing("ncsc", &threats).await;

        // Where no agreement in force covers it, that is what comes of it: explained, and the opener's alone to know.
        let (taken_by, before) = (world.document("ncsc", "guidance", "clear", vec![]).await, world.size().await);
        for (opener, document, agency) in [("ncsc", &taken_by, "nca"), ("nca", &lesson, "ncsc")] {
            let put = world.put_document(opener, document, agency).await.unwrap();
            assert_eq!((put.answer.as_str(), put.answer_by), ("not-covered", None));
            assert!(put.explanation.contains(&format!("lets `{opener}` put")), "{}", put.explanation);
            assert!(put.explanation.ends_with(&format!("to `{agency}`")), "{}", put.explanation);
            let said = world.verified(put.receipt.as_ref()).proposal.unwrap();
            assert_eq!((said.step, said.explanation, said.digest), ("not-covered".to_owned(), put.explanation, vec![]));
            let index = put.receipt.unwrap().index;
            assert_error(world.entry(agency, index).await, Code::NotFound, "NOT_FOUND");
            assert_error(world.got(agency, &document.proposal_id).await, Code::NotFound, "NOT_FOUND");
            assert_eq!(world.library(agency, opened_by(opener)).await, Vec::<String>::new());
            assert!(world.events(agency).await.iter().all(|event| event.proposal_id != document.proposal_id));
        }
        assert_eq!(world.size().await, before + 2, "an entry for each");

        // And once an agreement ends, what was put under it is no longer shown; the other one's is.
        world.end_agreement("ico-nca-2024").await.unwrap();
        world.learns_nothing("nca", &guidance).await;
        let again = world.put_document("ico", &guidance, "nca").await;
        assert_error(again, Code::FailedPrecondition, "WRONG_STATE");
        let next = world.amend_to(&guidance, crate::flow::library::document_words("green", vec![])).await;
        assert_eq!(world.put_document("ico", &next, "nca").await.unwrap().answer, "not-covered");
        assert_eq!(world.put_document("ico", &next, "ncsc").await.unwrap().answer, "put");
        let listed = v1::ListProposalsRequest { cites: "Cyber Assessment Framework".into(), ..opened_by("ico") };
        assert_eq!(world.library("ncsc", listed).await, Vec::<String>::new(), "the new version cites nothing");
    }
}
