//! `ProposalService`.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;
use tonic::{Request, Response, Status};

use super::admission::Admitted;
use super::status::{failed, internal, invalid, purpose_not_in_token};
use super::{Desk, content, convert};
use crate::domain::{
    AgencyId, AttachedFile, Citation, IncidentId, Instant, Invalid, ProposalId, ProposalKind, ProposalOutcome,
    ProposalWords, Purpose, Rejected, Requester, Tlp, check,
};
use crate::exchange::{
    AmendProposal, AnswerProposal, ConcludeProposal, EraseProposal, Exchange, OpenProposal, ProposalFilter,
    PublishProposal, PutProposal, Reader, SendMessage, proposal_content, proposal_message,
};
use crate::proto::v1;
use crate::proto::v1::proposal_service_server::ProposalService;

/// The longest text and the longest answer, in characters.
const LONGEST_TEXT: usize = 10_000;
/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 4_000;
/// The longest reason to go ahead, in characters.
const LONGEST_WHY: usize = 2_000;
/// How much a document cites.
const MOST_CITATIONS: usize = 32;
/// How many files go with a message, how large each may be, and all of them.
const MOST_FILES: usize = 8;
const LARGEST_FILE_BYTES: usize = 256 * 1_024;
const LARGEST_FILES_BYTES: usize = 384 * 1_024;

fn proposal_id(text: &str) -> Result<ProposalId, Invalid> {
    convert::field("proposal_id", text, ProposalId::parse)
}

/// Free text on any number of lines.
fn account(name: &str, text: &str, most: usize) -> Result<String, Invalid> {
    check(text.chars().count() <= most, name, format!("must have at most {most} characters"))?;
    content::account(name, text)?;
    Ok(text.to_owned())
}

fn required(name: &str, text: &str, most: usize) -> Result<String, Invalid> {
    check(!text.trim().is_empty(), name, "is required")?;
    account(name, text, most)
}

fn words(value: Option<&v1::ProposalContent>) -> Result<ProposalWords, Invalid> {
    let value = value.ok_or_else(|| Invalid::new("proposal", "is required"))?;
    let read = || {
        Ok(ProposalWords {
            title: convert::required("title", &value.title, 200)?,
            text: required("text", &value.text, LONGEST_TEXT)?,
            embargo_until: convert::instant("embargo_until", value.embargo_until)?,
            due_at: convert::instant("due_at", value.due_at)?,
            tlp: convert::optional("tlp", &value.tlp, |text| Tlp::parse(&text))?,
            citations: citations(&value.citations)?,
        })
    };
    read().map_err(|problem: Invalid| problem.within("proposal"))
}

fn citations(values: &[v1::Citation]) -> Result<Vec<Citation>, Invalid> {
    check(values.len() <= MOST_CITATIONS, "citations", format!("must be at most {MOST_CITATIONS}"))?;
    let read = |(place, value)| citation(value).map_err(|problem| problem.within(&format!("citations[{place}]")));
    values.iter().enumerate().map(read).collect()
}

fn citation(value: &v1::Citation) -> Result<Citation, Invalid> {
    if value.agency.is_empty() {
        let problem = "must not be set without an agency: it is from outside the library";
        check(value.document_id.is_empty(), "document_id", problem)?;
        check(value.digest.is_empty(), "digest", problem)?;
        let title = convert::required("title", &value.title, 200)?;
        return Ok(Citation::Outside { title, publisher: convert::required("publisher", &value.publisher, 200)? });
    }
    let problem = "must not be set beside an agency: the document has it";
    check(value.title.is_empty(), "title", problem)?;
    check(value.publisher.is_empty(), "publisher", problem)?;
    Ok(Citation::Document {
        agency: convert::field("agency", &value.agency, AgencyId::parse)?,
        id: convert::field("document_id", &value.document_id, ProposalId::parse)?,
        digest: convert::digest("digest", &value.digest)?,
    })
}

fn digest_of(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn file(value: &v1::Attachment) -> Result<AttachedFile, Invalid> {
    let name = convert::required("name", &value.name, 200)?;
    let media_type = convert::required("media_type", &value.media_type, 100)?;
    let (kind, part) = media_type.split_once('/').unwrap_or_default();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    check(is_word(kind) && is_word(part), "media_type", "is not a media type such as `application/pdf`")?;
    let stated = convert::digest("digest", &value.digest)?;
    check(!value.content.is_empty(), "content", "is required")?;
    check(value.content.len() <= LARGEST_FILE_BYTES, "content", "must have at most 256 KiB")?;
    check(digest_of(&value.content) == stated.as_bytes(), "digest", "is not the digest of the content")?;
    let size_bytes = i64::try_from(value.content.len()).unwrap_or(i64::MAX);
    Ok(AttachedFile { name, media_type, digest: stated, size_bytes })
}

fn files(values: &[v1::Attachment]) -> Result<Vec<AttachedFile>, Invalid> {
    check(values.len() <= MOST_FILES, "attachments", format!("must be at most {MOST_FILES}"))?;
    let read = |(place, value)| file(value).map_err(|problem| problem.within(&format!("attachments[{place}]")));
    let files: Vec<AttachedFile> = values.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let all: usize = values.iter().map(|value| value.content.len()).sum();
    check(all <= LARGEST_FILES_BYTES, "attachments", "must have at most 384 KiB together")?;
    Ok(files)
}

fn put(message: &v1::PutProposalRequest) -> Result<PutProposal, Invalid> {
    check(message.version > 0, "version", "is required: the one that you have read")?;
    Ok(PutProposal {
        id: proposal_id(&message.proposal_id)?,
        version: message.version,
        agency: convert::field("agency", &message.agency, AgencyId::parse)?,
        purpose: convert::optional("purpose", &message.purpose, Purpose::parse)?,
        answer_by: convert::instant("answer_by", message.answer_by)?,
    })
}

fn filter(message: &v1::ListProposalsRequest, exchange: &Exchange) -> Result<ProposalFilter, Invalid> {
    let opener = convert::field("opener", &message.opener, AgencyId::parse)?;
    check(exchange.node().holds(&opener), "opener", "is not an agency whose records this node holds")?;
    let put_to = convert::optional("put_to", &message.put_to, AgencyId::parse)?;
    let states = ["draft", "put", ProposalOutcome::TOLD, "published", "erased"];
    let known = |text: String| {
        let is_on_its_way = states.contains(&text.as_str());
        if is_on_its_way { Ok(text) } else { ProposalOutcome::parse(text).map(|found| found.as_str().to_owned()) }
    };
    let state = convert::optional("state", &message.state, known)
        .map_err(|_| Invalid::new("state", "is not a state of a proposal: see `state` of Proposal"))?;
    Ok(ProposalFilter {
        opener,
        kind: convert::optional("kind", &message.kind, ProposalKind::parse)?,
        state: state.unwrap_or_default(),
        put_to,
        documents: message.documents,
        cites: convert::text("cites", &message.cites, 200)?,
    })
}

impl<T: Message> Admitted<T> {
    /// The caller's agency with the officer's roles.
    fn reader(&self) -> Reader {
        Reader { officer: Requester::from(self.caller.actor()), roles: self.caller.roles().clone() }
    }
}

/// What the entry says that happened: a repeat is answered as the call was.
fn stated(receipt: Option<&v1::Receipt>) -> Result<v1::ProposalStatement, Status> {
    let openings = receipt.map(|receipt| receipt.openings.as_slice()).unwrap_or_default();
    let outcome = openings.iter().find(|opening| opening.slot() == v1::Slot::Outcome);
    let erased = || failed(Rejected::WrongState("what it was about was erased since").into());
    let outcome = outcome.ok_or_else(erased)?;
    v1::ProposalStatement::decode(outcome.payload.as_slice())
        .map_err(|_| internal("a proposal's outcome cannot be read"))
}

#[tonic::async_trait]
impl ProposalService for Desk {
    async fn open_proposal(
        &self,
        request: Request<v1::OpenProposalRequest>,
    ) -> Result<Response<v1::OpenProposalResponse>, Status> {
        let call = self.admit("ProposalService/OpenProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(OpenProposal {
                kind: convert::field("kind", &call.message.kind, ProposalKind::parse)?,
                incident: convert::optional("incident_id", &call.message.incident_id, IncidentId::parse)?,
                words: words(call.message.proposal.as_ref())?,
            })
        };
        let open = read().map_err(invalid)?;
        let digest = digest_of(&proposal_content(&open.words).encode_to_vec());
        let done = call.exchange.change(by, open).await.map_err(failed)?;
        Ok(Response::new(v1::OpenProposalResponse {
            proposal_id: done.object,
            version: done.version,
            etag: done.version.to_string(),
            digest,
            receipt: done.receipt,
        }))
    }

    async fn amend_proposal(
        &self,
        request: Request<v1::AmendProposalRequest>,
    ) -> Result<Response<v1::AmendProposalResponse>, Status> {
        let call = self.admit("ProposalService/AmendProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(AmendProposal {
                id: proposal_id(&call.message.proposal_id)?,
                version: convert::etag(&call.message.etag)?,
                words: words(call.message.proposal.as_ref())?,
            })
        };
        let amend = read().map_err(invalid)?;
        let digest = digest_of(&proposal_content(&amend.words).encode_to_vec());
        let done = call.exchange.change(by, amend).await.map_err(failed)?;
        let (version, etag, receipt) = (done.version, done.version.to_string(), done.receipt);
        Ok(Response::new(v1::AmendProposalResponse { version, etag, digest, receipt }))
    }

    async fn put_proposal(
        &self,
        request: Request<v1::PutProposalRequest>,
    ) -> Result<Response<v1::PutProposalResponse>, Status> {
        let call = self.admit("ProposalService/PutProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let put = put(&call.message).map_err(invalid)?;
        if let Some(purpose) = put.purpose.as_ref().filter(|purpose| !call.caller.may_state(purpose)) {
            return Err(purpose_not_in_token(purpose.as_str()));
        }
        let done = call.exchange.change(by, put).await.map_err(failed)?;
        let said = stated(done.receipt.as_ref())?;
        let answer_by = Some(said.answer_by_micros).filter(|micros| *micros != 0).map(Instant::from_micros);
        Ok(Response::new(v1::PutProposalResponse {
            answer_by: answer_by.map(convert::timestamp),
            answer: said.step,
            explanation: said.explanation,
            receipt: done.receipt,
        }))
    }

    async fn answer_proposal(
        &self,
        request: Request<v1::AnswerProposalRequest>,
    ) -> Result<Response<v1::AnswerProposalResponse>, Status> {
        let call = self.admit("ProposalService/AnswerProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(AnswerProposal {
                id: proposal_id(&call.message.proposal_id)?,
                digest: convert::digest("digest", &call.message.digest)?,
                word: convert::required("answer", &call.message.answer, 64)?,
                text: account("text", &call.message.text, LONGEST_TEXT)?,
                reader: call.reader(),
            })
        };
        let answer = read().map_err(invalid)?;
        let done = call.exchange.change(by, answer).await.map_err(failed)?;
        Ok(Response::new(v1::AnswerProposalResponse { number: done.version, receipt: done.receipt }))
    }

    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::SendMessageResponse>, Status> {
        let mut call = self.admit("ProposalService/SendMessage", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(SendMessage {
                id: proposal_id(&call.message.proposal_id)?,
                agency: convert::optional("agency", &call.message.agency, AgencyId::parse)?,
                text: required("text", &call.message.text, LONGEST_MESSAGE)?,
                files: files(&call.message.attachments)?,
                contents: Vec::new(),
                reader: call.reader(),
            })
        };
        let send = read().map_err(invalid)?;
        let attachments = std::mem::take(&mut call.message.attachments);
        let contents = attachments.into_iter().map(|attachment| attachment.content).collect();
        let done = call.exchange.change(by, SendMessage { contents, ..send }).await.map_err(failed)?;
        Ok(Response::new(v1::SendMessageResponse { number: done.version, receipt: done.receipt }))
    }

    async fn conclude_proposal(
        &self,
        request: Request<v1::ConcludeProposalRequest>,
    ) -> Result<Response<v1::ConcludeProposalResponse>, Status> {
        let call = self.admit("ProposalService/ConcludeProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(ConcludeProposal {
                id: proposal_id(&call.message.proposal_id)?,
                outcome: convert::field("outcome", &call.message.outcome, ProposalOutcome::parse)?,
                why: account("why", &call.message.why, LONGEST_WHY)?,
            })
        };
        let conclude = read().map_err(invalid)?;
        let done = call.exchange.change(by, conclude).await.map_err(failed)?;
        Ok(Response::new(v1::ConcludeProposalResponse { receipt: done.receipt }))
    }

    async fn publish_proposal(
        &self,
        request: Request<v1::PublishProposalRequest>,
    ) -> Result<Response<v1::PublishProposalResponse>, Status> {
        let call = self.admit("ProposalService/PublishProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = proposal_id(&call.message.proposal_id).map_err(invalid)?;
        let digest = convert::digest("digest", &call.message.digest).map_err(invalid)?;
        let done = call.exchange.change(by, PublishProposal { id, digest }).await.map_err(failed)?;
        Ok(Response::new(v1::PublishProposalResponse { receipt: done.receipt }))
    }

    async fn erase_proposal(
        &self,
        request: Request<v1::EraseProposalRequest>,
    ) -> Result<Response<v1::EraseProposalResponse>, Status> {
        let call = self.admit("ProposalService/EraseProposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = proposal_id(&call.message.proposal_id).map_err(invalid)?;
        let done = call.exchange.erase_proposal(by, EraseProposal { id }).await.map_err(failed)?;
        Ok(Response::new(v1::EraseProposalResponse { receipt: done.receipt }))
    }

    async fn get_proposal(
        &self,
        request: Request<v1::GetProposalRequest>,
    ) -> Result<Response<v1::GetProposalResponse>, Status> {
        let call = self.admit("ProposalService/GetProposal", request)?;
        let id = proposal_id(&call.message.proposal_id).map_err(invalid)?;
        let (view, messages) = call.exchange.proposal(call.reader(), id).await.map_err(failed)?;
        let messages = messages.iter().map(proposal_message).collect();
        Ok(Response::new(v1::GetProposalResponse { proposal: Some(convert::proposal(&view)), messages }))
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        let call = self.admit("ProposalService/ListProposals", request)?;
        let reader = call.reader();
        let wanted = filter(&call.message, &call.exchange).map_err(invalid)?;
        let kind = wanted.kind.as_ref().map_or("", ProposalKind::as_str);
        let put_to = wanted.put_to.as_ref().map_or("", AgencyId::as_str);
        // The title comes last: it alone may have spaces.
        let (opener, state, documents, cites) = (&wanted.opener, &wanted.state, wanted.documents, &wanted.cites);
        let narrowed = format!("{opener} {kind} {state} {put_to} {documents} {cites}");
        let page = call.page(call.message.page_size, &call.message.page_token, &narrowed);
        let (views, next_page_token) = call.exchange.proposals(page, reader, wanted).await.map_err(failed)?;
        let proposals = views.iter().map(convert::proposal_summary).collect();
        Ok(Response::new(v1::ListProposalsResponse { proposals, next_page_token }))
    }

    async fn get_attachment(
        &self,
        request: Request<v1::GetAttachmentRequest>,
    ) -> Result<Response<v1::GetAttachmentResponse>, Status> {
        let call = self.admit("ProposalService/GetAttachment", request)?;
        let message = &call.message;
        let read = || {
            check(message.message > 0, "message", "is required: from 1")?;
            check(message.place > 0, "place", "is required: from 1")?;
            let agency = convert::optional("agency", &message.agency, AgencyId::parse)?;
            Ok((proposal_id(&message.proposal_id)?, agency))
        };
        let (id, agency) = read().map_err(invalid)?;
        let (number, place) = (message.message, i64::from(message.place));
        let found = call.exchange.attachment(call.reader(), id, agency, number, place).await.map_err(failed)?;
        let (AttachedFile { name, media_type, digest, .. }, content) = found;
        let digest = digest.as_bytes().to_vec();
        let attachment = v1::Attachment { name, media_type, digest, content };
        Ok(Response::new(v1::GetAttachmentResponse { attachment: Some(attachment) }))
    }
}
