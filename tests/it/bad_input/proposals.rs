//! Valid requests for the RPCs of proposals.

use concordat::proto::v1;
use prost::Message as _;

use crate::cli::execute;
use crate::flow::Opened;
use crate::flow::library::{CAF, cited, document_words, outside};
use crate::harness::World;

/// The variant about a statement, for whoever has a part in these alone; past all that are tried with bad input.
pub(crate) const STATEMENT: usize = 100;

impl World {
    async fn asked_about_statement(&self) -> Opened {
        let opened = self.open_statement("ico", "ncsc").await;
        self.put_statement("ico", &opened, "ncsc").await;
        opened
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm for each RPC")]
    pub(super) async fn valid_proposal_request(
        &self,
        rpc: &str,
        request_id: String,
        variant: usize,
    ) -> Option<Vec<u8>> {
        let (page_size, ncsc) = (1, || "ncsc".to_owned());
        Some(match (rpc, variant) {
            ("OpenProposal", 0) => {
                let incident = self.hold("ico", "ncsc").await.incident;
                v1::OpenProposalRequest { request_id, ..self.opening("statement", &incident) }.encode_to_vec()
            }
            ("OpenProposal", 1) => {
                let standard = self.shared_document("ncsc", "standard", "green", vec![], "ico").await;
                let proposal = Some(document_words("green", vec![cited("ncsc", &standard), outside()]));
                let kind = "guidance".to_owned();
                v1::OpenProposalRequest { request_id, kind, incident_id: String::new(), proposal }.encode_to_vec()
            }
            ("AmendProposal", 1) => {
                let standard = self.shared_document("ncsc", "standard", "green", vec![], "ico").await;
                let opened = self.document("ico", "guidance", "green", vec![]).await;
                let proposal = Some(document_words("amber", vec![outside(), cited("ncsc", &standard)]));
                let (proposal_id, etag) = (opened.proposal_id, opened.etag);
                v1::AmendProposalRequest { request_id, proposal_id, etag, proposal }.encode_to_vec()
            }
            ("AmendProposal", 0) => {
                let opened = self.open_statement("ico", "ncsc").await;
                let proposal = self.opening("statement", "").proposal;
                let (proposal_id, etag) = (opened.proposal_id, opened.etag);
                v1::AmendProposalRequest { request_id, proposal_id, etag, proposal }.encode_to_vec()
            }
            ("PutProposal", 0) => {
                let opened = self.open("ico", "support").await;
                let answer_by = self.in_seconds(86_400);
                v1::PutProposalRequest { request_id, answer_by, ..self.putting(&opened, "ncsc", "") }.encode_to_vec()
            }
            ("PutProposal", 1) => {
                let opened = self.open_statement("ico", "ncsc").await;
                v1::PutProposalRequest { request_id, ..self.putting(&opened, "ncsc", "harm-reduction") }.encode_to_vec()
            }
            ("AnswerProposal", 0) => {
                let Opened { proposal_id, digest, .. } = self.asked_for_support().await;
                let (answer, text) = ("answered".to_owned(), "Use the framework.".to_owned());
                v1::AnswerProposalRequest { request_id, proposal_id, digest, answer, text }.encode_to_vec()
            }
            ("SendMessage", 0) => {
                let proposal_id = self.asked_for_support().await.proposal_id;
                let message = v1::SendMessageRequest { agency: ncsc(), ..self.message(&proposal_id) };
                v1::SendMessageRequest { request_id, ..message }.encode_to_vec()
            }
            ("ConcludeProposal", 0) => {
                let (proposal_id, outcome) = (self.open("ico", "support").await.proposal_id, "withdrawn".to_owned());
                v1::ConcludeProposalRequest { request_id, proposal_id, outcome, why: String::new() }.encode_to_vec()
            }
            ("ConcludeProposal", 1) => {
                let opened = self.open("ico", "consultation").await;
                self.put_to(&opened, "ncsc").await;
                self.answer("ncsc", &opened, "objected").await.unwrap();
                let (proposal_id, outcome) = (opened.proposal_id, "went-ahead".to_owned());
                let why = "The law leaves no more time.".to_owned();
                v1::ConcludeProposalRequest { request_id, proposal_id, outcome, why }.encode_to_vec()
            }
            ("PublishProposal", 0) => {
                let Opened { proposal_id, digest, .. } = self.agreed_statement().await;
                v1::PublishProposalRequest { request_id, proposal_id, digest }.encode_to_vec()
            }
            ("EraseProposal", 0) => {
                let proposal_id = self.open("ico", "support").await.proposal_id;
                self.conclude("ico", &proposal_id, "withdrawn", "").await.unwrap();
                let long_ago = format!("UPDATE proposal SET concluded_at = 0 WHERE id = '{proposal_id}'");
                execute(&self.config.database_url(), &[&long_ago], &[&long_ago]).await;
                v1::EraseProposalRequest { request_id, proposal_id }.encode_to_vec()
            }
            ("GetProposal", 0) => {
                let proposal_id = self.open("ico", "support").await.proposal_id;
                v1::GetProposalRequest { proposal_id }.encode_to_vec()
            }
            ("ListProposals", 0) => {
                for _ in 0..2 {
                    self.shared_document("ico", "guidance", "clear", vec![outside()], "ncsc").await;
                }
                let (kind, state) = ("guidance".to_owned(), "put".to_owned());
                let (documents, cites) = (true, CAF.to_owned());
                let request = v1::ListProposalsRequest { kind, state, page_size, ..crate::flow::opened_by("ico") };
                let request = v1::ListProposalsRequest { put_to: ncsc(), documents, cites, ..request };
                let listed = self.proposals("ico").list_proposals(request.clone()).await.unwrap().into_inner();
                v1::ListProposalsRequest { page_token: listed.next_page_token, ..request }.encode_to_vec()
            }
            ("GetAttachment", 0) => {
                let proposal_id = self.asked_for_support().await.proposal_id;
                let message = v1::SendMessageRequest { agency: ncsc(), ..self.message(&proposal_id) };
                self.proposals("ico").send_message(message).await.unwrap();
                v1::GetAttachmentRequest { proposal_id, agency: ncsc(), message: 1, place: 1 }.encode_to_vec()
            }
            ("AnswerProposal", STATEMENT) => {
                let Opened { proposal_id, digest, .. } = self.asked_about_statement().await;
                let (answer, text) = ("approved".to_owned(), String::new());
                v1::AnswerProposalRequest { request_id, proposal_id, digest, answer, text }.encode_to_vec()
            }
            ("SendMessage", STATEMENT) => {
                let proposal_id = self.asked_about_statement().await.proposal_id;
                let message = v1::SendMessageRequest { agency: ncsc(), ..self.message(&proposal_id) };
                v1::SendMessageRequest { request_id, attachments: vec![], ..message }.encode_to_vec()
            }
            ("PublishProposal", STATEMENT) => {
                let Opened { proposal_id, digest, .. } = self.agreed_statement().await;
                v1::PublishProposalRequest { request_id, proposal_id, digest }.encode_to_vec()
            }
            ("GetProposal", STATEMENT) => {
                let proposal_id = self.open_statement("ico", "ncsc").await.proposal_id;
                v1::GetProposalRequest { proposal_id }.encode_to_vec()
            }
            ("ListProposals", STATEMENT) => {
                self.open_statement("ico", "ncsc").await;
                let (kind, state) = ("statement".to_owned(), "draft".to_owned());
                v1::ListProposalsRequest { kind, state, page_size, ..crate::flow::opened_by("ico") }.encode_to_vec()
            }
            _ => match Box::pin(self.valid_advice(rpc, request_id.clone(), variant)).await {
                Some(bytes) => bytes,
                None => return Box::pin(self.valid_signpost_request(rpc, request_id)).await,
            },
        })
    }
}
