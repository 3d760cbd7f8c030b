//! N4: the NCSC supports the ICO's own security: messages and files, in confidence, between the two alone.

use concordat::proto::v1;
use concordat::proto::v1::event_service_client::EventServiceClient;
use sha2::{Digest as _, Sha256};
use tonic::Code;

use crate::builders::{assert_error, assert_invalid};
use crate::harness::on_both_databases;

on_both_databases! {
    async fn row_n4_messages_and_files_pass_between_the_two_alone(world: World) {
        let opened = world.asked_for_support().await;
        let id = opened.proposal_id.clone();
        let to = |agency: &str| v1::SendMessageRequest { agency: agency.into(), ..world.message(&id) };
        let sent = world.proposals("ico").send_message(to("ncsc")).await.unwrap().into_inner();
        assert_eq!(sent.number, 1);
        let back = world.proposals("ncsc").send_message(to("")).await.unwrap().into_inner();
        assert_eq!(back.number, 2);
        assert_eq!(world.verified(back.receipt.as_ref()).proposal.unwrap().step, "message");
        let mine = world.got("ico", &id).await.unwrap().messages;
        assert_eq!(mine, world.got("ncsc", &id).await.unwrap().messages, "both read the same");
        assert_eq!(mine.iter().map(|one| one.sender.as_str()).collect::<Vec<_>>(), ["ico", "ncsc"]);
        for (agency, with) in [("ico", "ncsc"), ("ncsc", "")] {
            let get = v1::GetAttachmentRequest { proposal_id: id.clone(), agency: with.into(), message: 1, place: 1 };
            let got = world.proposals(agency).get_attachment(get).await.unwrap().into_inner().attachment.unwrap();
            assert_eq!(got.digest, Sha256::digest(&got.content).to_vec());
            assert_eq!(got.digest, mine[0].attachments[0].digest);
        }
        assert_eq!(world.told("ncsc").await, ["proposal-message", "proposal-put"]);
        assert_eq!(world.told("ico").await, ["proposal-message"]);
        world.learns_nothing("nca", &opened).await;
        let get = v1::GetAttachmentRequest { proposal_id: id.clone(), agency: String::new(), message: 1, place: 1 };
        assert_error(world.proposals("nca").get_attachment(get).await, Code::NotFound, "NOT_FOUND");

        // Whom it was not put to, and who must not say to whom.
        assert_invalid(world.proposals("ico").send_message(to("nca")).await, "agency");
        assert_invalid(world.proposals("ncsc").send_message(to("ico")).await, "agency");
        // What arrives is what was read, and not too much of it.
        let mut changed = to("ncsc");
        changed.attachments[0].content = b"another".to_vec();
        assert_invalid(world.proposals("ico").send_message(changed).await, "attachments[0].digest");
        let large = |bytes: usize| {
            let content = vec![7; bytes];
            v1::Attachment { digest: Sha256::digest(&content).to_vec(), content, ..to("").attachments.remove(0) }
        };
        let with = |attachments| v1::SendMessageRequest { attachments, ..to("ncsc") };
        let largest = 256 * 1_024;
        let over = with(vec![large(largest + 1)]);
        assert_invalid(world.proposals("ico").send_message(over).await, "attachments[0].content");
        let both = with(vec![large(largest), large(largest / 2 + 1)]);
        assert_invalid(world.proposals("ico").send_message(both).await, "attachments");
        // In total at most 4 MiB: sixteen of the largest, less the two that went before.
        for _ in 0..15 {
            world.proposals("ico").send_message(with(vec![large(largest)])).await.unwrap();
        }
        let over = world.proposals("ico").send_message(with(vec![large(largest)])).await;
        assert_error(over, Code::FailedPrecondition, "WRONG_STATE");
        world.proposals("ncsc").send_message(v1::SendMessageRequest { attachments: vec![], ..to("") }).await.unwrap();
    }

    async fn row_n4_whoever_is_suspended_sees_nothing(world: World) {
        let opened = world.asked_for_support().await;
        world.proposals("ncsc").send_message(world.message(&opened.proposal_id)).await.unwrap();
        let [first] = world.got("ico", &opened.proposal_id).await.unwrap().messages.try_into().unwrap();
        world.suspend_officer("ico", "ncsc", &first.officer_pseudonym).await.unwrap();
        assert_error(world.got("ncsc", &opened.proposal_id).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(world.finds("ncsc").await, Vec::<String>::new());
        let request = v1::ListEventsRequest { page_size: 200, cursor: String::new() };
        let mut desk = EventServiceClient::new(world.officer("ncsc", "rec", &["requester"]));
        let told = desk.list_events(request).await.unwrap().into_inner().events;
        assert!(told.iter().all(|event| event.proposal_id.is_empty()), "{told:?}");
        assert_eq!(world.told("ncsc").await, ["proposal-put"], "another officer is told");
        world.answer("ncsc", &opened, "accepted").await.unwrap();
        world.resume_officer("ico", "ncsc", &first.officer_pseudonym).await.unwrap();
        world.suspend_agency("ico", "ncsc").await.unwrap();
        let got = world.got("ncsc", &opened.proposal_id).await.unwrap_err();
        assert_eq!(got.code(), Code::NotFound, "{got:?}");
        assert_eq!(world.told("ncsc").await, Vec::<String>::new());
        let message = v1::SendMessageRequest { agency: "ncsc".into(), ..world.message(&opened.proposal_id) };
        assert_error(world.proposals("ico").send_message(message).await, Code::FailedPrecondition, "WRONG_STATE");

        // Nor does whoever opened it get more, once suspended by the one that answers.
        world.resume_agency("ico", "ncsc").await.unwrap();
        world.suspend_agency("ncsc", "ico").await.unwrap();
        let message = world.message(&opened.proposal_id);
        assert_error(world.proposals("ncsc").send_message(message).await, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.answer("ncsc", &opened, "answered").await, Code::FailedPrecondition, "WRONG_STATE");
        let attached = |message| {
            let (proposal_id, agency) = (opened.proposal_id.clone(), "ncsc".to_owned());
            v1::GetAttachmentRequest { proposal_id, agency, message, place: 1 }
        };
        let sees_its_own_alone = async || {
            let got = world.got("ico", &opened.proposal_id).await.unwrap();
            assert!(got.messages.iter().all(|one| one.sender == "ico"), "{:?}", got.messages.len());
            let answers: Vec<_> = got.proposal.unwrap().answers.into_iter().map(|one| (one.answer, one.text)).collect();
            assert_eq!(answers, [("accepted".to_owned(), String::new())]);
            let theirs = world.proposals("ico").get_attachment(attached(1)).await;
            assert_error(theirs, Code::NotFound, "NOT_FOUND");
        };
        sees_its_own_alone().await;
        world.resume_agency("ncsc", "ico").await.unwrap();
        let message = v1::SendMessageRequest { agency: "ncsc".into(), ..world.message(&opened.proposal_id) };
        world.proposals("ico").send_message(message).await.unwrap();
        let both = world.got("ico", &opened.proposal_id).await.unwrap();
        assert_eq!((both.messages.len(), both.proposal.unwrap().answers[0].text.as_str()), (2, "As we see it."));
        world.proposals("ico").get_attachment(attached(1)).await.unwrap();
        world.suspend_officer("ncsc", "ico", &both.messages[1].officer_pseudonym).await.unwrap();
        sees_its_own_alone().await;
        world.proposals("ico").get_attachment(attached(2)).await.unwrap();
        let read = v1::GetProposalRequest { proposal_id: opened.proposal_id.clone() };
        let other = world.proposals_as("ico", "other", &["recorder"]).get_proposal(read).await.unwrap().into_inner();
        assert_eq!(other.messages.len(), 2, "another officer reads both");
    }
}
