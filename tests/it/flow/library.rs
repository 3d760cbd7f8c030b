//! The library: documents that are put, cited and followed by others, and what no agreement lets one put.

use concordat::proto::BUNDLED_AGREEMENTS;
use concordat::proto::v1;
use tonic::{Code, Status};

use crate::builders::{assert_error, assert_invalid};
use crate::cli::execute;
use crate::flow::{Opened, opened_by};
use crate::harness::{World, on_both_databases, request_id};

pub(crate) const CAF: &str = "Cyber Assessment Framework";

/// A publication from outside the library.
pub(crate) fn outside() -> v1::Citation {
    v1::Citation { title: CAF.into(), publisher: "NCSC".into(), ..v1::Citation::default() }
}

/// One version of an agency's document.
pub(crate) fn cited(agency: &str, document: &Opened) -> v1::Citation {
    let (document_id, digest) = (document.proposal_id.clone(), document.digest.clone());
    v1::Citation { agency: agency.into(), document_id, digest, ..v1::Citation::default() }
}

pub(crate) fn document_words(tlp: &str, citations: Vec<v1::Citation>) -> v1::ProposalContent {
    let (title, text) = ("Telling us of an incident".to_owned(), "First line.\nSecond line.".to_owned());
    v1::ProposalContent { title, text, tlp: tlp.into(), citations, ..v1::ProposalContent::default() }
}

impl World {
    pub(crate) async fn write_document(
        &self,
        agency: &str,
        kind: &str,
        words: v1::ProposalContent,
    ) -> Result<Opened, Status> {
        let (request_id, kind, proposal) = (request_id(), kind.to_owned(), Some(words));
        let request = v1::OpenProposalRequest { request_id, kind, incident_id: String::new(), proposal };
        Ok(self.proposals(agency).open_proposal(request).await?.into_inner())
    }

    pub(crate) async fn document(&self, agency: &str, kind: &str, tlp: &str, citations: Vec<v1::Citation>) -> Opened {
        self.write_document(agency, kind, document_words(tlp, citations)).await.unwrap()
    }

    pub(crate) async fn put_document(
        &self,
        agency: &str,
        document: &Opened,
        to: &str,
    ) -> Result<v1::PutProposalResponse, Status> {
        let request = v1::PutProposalRequest { answer_by: None, ..self.putting(document, to, "") };
        Ok(self.proposals(agency).put_proposal(request).await?.into_inner())
    }

    /// A document that was put to another agency.
    pub(crate) async fn shared_document(
        &self,
        agency: &str,
        kind: &str,
        tlp: &str,
        citations: Vec<v1::Citation>,
        to: &str,
    ) -> Opened {
        let document = self.document(agency, kind, tlp, citations).await;
        assert_eq!(self.put_document(agency, &document, to).await.unwrap().answer, "put");
        document
    }

    /// The documents of one agency that another finds, by a filter.
    pub(crate) async fn library(&self, agency: &str, wanted: v1::ListProposalsRequest) -> Vec<String> {
        let wanted = v1::ListProposalsRequest { documents: true, ..wanted };
        let listed = self.proposals(agency).list_proposals(wanted).await.unwrap().into_inner();
        assert_eq!(listed.next_page_token, "");
        assert!(listed.proposals.iter().all(|one| !one.tlp.is_empty() && one.answer_by.is_none()), "{listed:?}");
        listed.proposals.into_iter().map(|one| one.id).collect()
    }
}

on_both_databases! {
    async fn a_marking_says_to_whom_a_document_is_put_and_a_citation_tells_nobody_of_another(world: World) {
        let red = world.document("ico", "guidance", "red", vec![]).await;
        assert_error(world.put_document("ico", &red, "ncsc").await, Code::FailedPrecondition, "WRONG_STATE");
        world.learns_nothing("ncsc", &red).await;
        let strict = world.shared_document("ico", "guidance", "amber+strict", vec![], "ncsc").await;
        assert_error(world.put_document("ico", &strict, "nca").await, Code::FailedPrecondition, "WRONG_STATE");
        world.learns_nothing("nca", &strict).await;

        // What is cited: only what its writer can read, in that version. Nothing else can be told from nothing.
        let draft = world.document("ncsc", "standard", "clear", vec![]).await;
        let standard = world.shared_document("ncsc", "standard", "clear", vec![], "ico").await;
        let secret = world.shared_document("ncsc", "standard", "green", vec![], "ico").await;
        let nothing = Opened { proposal_id: "prop_nothing".into(), ..draft.clone() };
        let another = Opened { digest: vec![7; 32], ..standard.clone() };
        let mut answers = Vec::new();
        let of_ncsc = [&draft, &nothing, &another].map(|one| cited("ncsc", one));
        for wrong in of_ncsc.into_iter().chain([cited("ico", &standard)]) {
            let citing = document_words("green", vec![outside(), wrong]);
            let status = world.write_document("ico", "guidance", citing).await.unwrap_err();
            assert_invalid::<()>(Err(status.clone()), "proposal.citations[1]");
            answers.push(status.message().to_owned());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");

        // To whom: its own agency knows it; a third one may know of what its marking lets go so far.
        let guidance = world.document("ico", "guidance", "green", vec![cited("ncsc", &standard)]).await;
        for agency in ["nca", "ncsc"] {
            assert_eq!(world.put_document("ico", &guidance, agency).await.unwrap().answer, "put");
        }
        let careless = world.shared_document("ico", "guidance", "green", vec![cited("ncsc", &secret)], "ncsc").await;
        assert_error(world.put_document("ico", &careless, "nca").await, Code::FailedPrecondition, "WRONG_STATE");
        world.learns_nothing("nca", &careless).await;
        // One's own, once it was put there.
        let own = world.shared_document("ico", "guidance", "green", vec![], "ncsc").await;
        let follows = world.shared_document("ico", "guidance", "green", vec![cited("ico", &own)], "ncsc").await;
        assert_error(world.put_document("ico", &follows, "nca").await, Code::FailedPrecondition, "WRONG_STATE");
        assert_eq!(world.put_document("ico", &own, "nca").await.unwrap().answer, "put");
        assert_eq!(world.put_document("ico", &follows, "nca").await.unwrap().answer, "put");

        // What was concluded stands as it was; a document ends as documents do.
        let answered = world.conclude("ico", &own.proposal_id, "agreed", "").await;
        assert_invalid(answered, "outcome");
        world.conclude("ico", &own.proposal_id, "superseded", "").await.unwrap();
        for agency in ["ico", "nca", "ncsc"] {
            assert_eq!(world.shown(agency, &own.proposal_id).await.state, "superseded");
        }
        assert_error(world.put_document("ico", &own, "nca").await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn an_erased_document_is_listed_as_one_and_says_nothing(world: World) {
        let document = world.shared_document("ico", "guidance", "green", vec![outside()], "ncsc").await;
        world.conclude("ico", &document.proposal_id, "withdrawn", "").await.unwrap();
        let long_ago = format!("UPDATE proposal SET concluded_at = concluded_at - {}", 3_650_i64 * 86_400 * 1_000_000);
        execute(&world.config.database_url(), &[&long_ago], &[&long_ago]).await;
        let (request_id, proposal_id) = (request_id(), document.proposal_id.clone());
        world.proposals("ico").erase_proposal(v1::EraseProposalRequest { request_id, proposal_id }).await.unwrap();
        let listed = |cites: &str| v1::ListProposalsRequest { documents: true, cites: cites.into(), ..opened_by("ico") };
        let shown = world.proposals("ico").list_proposals(listed("")).await.unwrap().into_inner().proposals.remove(0);
        assert_eq!((shown.id, shown.state.as_str(), shown.tlp.as_str()), (document.proposal_id.clone(), "erased", ""));
        assert_eq!(world.library("ico", listed(CAF)).await, Vec::<String>::new());
        world.learns_nothing("ncsc", &document).await;
    }

    /// Each agency by its own agreement's terms, and nothing but what all of them say can come of it.
    async fn two_agreements_have_kinds_of_one_name_each_with_terms_of_its_own(world: World) {
        let folder = world.workspace.folder().join("alike");
        let (id, terms, clauses) = BUNDLED_AGREEMENTS.iter().find(|(id, ..)| *id == "ico-nca-2024").unwrap();
        let kind = |name: &str, word: &str, days: i64| format!(
            "\n[proposals.{name}]\ntext = \"Alike in name.\"\ncitation = \"A part\"\nopened_by = [\"ico\"]\n\
             put_to = [\"nca\"]\nanswered_by = [\"authoriser\"]\nagreeing = [\"{word}\"]\nobjecting = []\n\
             outcomes = [\"closed\", \"withdrawn\"]\nanswer_days = {days}\nretain_days = 30\n"
        );
        let at = terms.find("\n[[purpose]]").unwrap();
        let amended = [&terms[..at], &kind("support", "noted", 20), &kind("caf-feedback", "seen", 5), &terms[at..]];
        std::fs::create_dir_all(folder.join(id)).unwrap();
        std::fs::write(folder.join(id).join("agreement.toml"), amended.concat()).unwrap();
        std::fs::write(folder.join(id).join("clauses.cedar"), clauses).unwrap();
        world = world.stop().await.start_with(|config| config.node.agreements = Some(folder)).await;
        let mut operator = world.agreements("ico", &["operator"]);
        let listed = operator.list_agreements(v1::ListAgreementsRequest::default()).await.unwrap().into_inner();
        let proposed = listed.agreements.into_iter().find(|one| one.id == *id && one.state == "proposed").unwrap();
        let (agreement_id, digest) = (proposed.id, proposed.digest);
        let activate = v1::ActivateAgreementRequest { request_id: request_id(), agreement_id, digest };
        operator.activate_agreement(activate).await.unwrap();

        let opened = world.open("ico", "support").await;
        for (agency, days) in [("ncsc", 10), ("nca", 20)] {
            let put = world.put_document("ico", &opened, agency).await.unwrap();
            assert_eq!((put.answer.as_str(), put.answer_by), ("put", world.in_seconds(days * 86_400)));
        }
        for (agency, word, others) in [("ncsc", "accepted", "noted"), ("nca", "noted", "accepted")] {
            assert_invalid(world.answer(agency, &opened, others).await, "answer");
            world.answer(agency, &opened, word).await.unwrap();
        }
        // The NCSC's has this outcome, the NCA's does not.
        assert_invalid(world.conclude("ico", &opened.proposal_id, "declined", "").await, "outcome");
        // A document is not put under terms that ask for an answer.
        let document = world.shared_document("ico", "caf-feedback", "green", vec![], "ncsc").await;
        assert_eq!(world.put_document("ico", &document, "nca").await.unwrap().answer, "not-covered");
        world.learns_nothing("nca", &document).await;
        world.end_agreement(id).await.unwrap();
        world.learns_nothing("nca", &opened).await;
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.state, "put", "the other agreement stands");
        let closed = world.conclude("ico", &opened.proposal_id, "closed", "").await;
        assert_error(closed, Code::FailedPrecondition, "WRONG_STATE");
        world.conclude("ico", &opened.proposal_id, "withdrawn", "").await.unwrap();
        assert_eq!(world.shown("ncsc", &opened.proposal_id).await.state, "withdrawn");
    }
}
