//! `ReleaseService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid, purpose_not_in_token};
use super::{Desk, convert, look};
use crate::domain::{
    AgencyId, AgreementId, Ask, Digest, Ground, Invalid, NamedOrganisation, NamingReceipt, Occurred, Purpose, Question,
    Reference, Subject, check,
};
use crate::exchange::{AskFor, Exchange, Outcome, anonymised_record, handling};
use crate::identity::Caller;
use crate::proto::v1::release_service_server::ReleaseService;
use crate::proto::v1::request_release_request::Target;
use crate::proto::v1::{self, request_release_response as response};
use crate::release;
use crate::store::{Answer, QuestionRow};

/// What every requester is told when nothing is released, whatever the reason.
const NEITHER_CONFIRM_NOR_DENY: &str = "Nothing is released now. This neither confirms nor denies that anything is \
    held. The request stays open and may be put again; for anything urgent, turn to the duty desk.";

/// The longest period that an ask may name.
const LONGEST_PERIOD_DAYS: i64 = 731;

pub(super) fn pin(value: Option<&v1::AgreementPin>) -> Result<Option<(AgreementId, Digest)>, Invalid> {
    let Some(pin) = value else { return Ok(None) };
    let id = convert::field("agreement.agreement_id", &pin.agreement_id, AgreementId::parse)?;
    Ok(Some((id, convert::digest("agreement.digest", &pin.digest)?)))
}

/// The form asked for. What is told of an organisation that the requester names is not anonymous.
pub(super) fn form(text: &str, target: Option<&Target>) -> Result<String, Invalid> {
    let form = Ask::form(text).map_err(|problem| problem.within("form"))?;
    let names = matches!(target, Some(Target::Organisation(_)));
    let problem = "must not be set for an anonymised record: ask by a reference";
    check(!names || form != Ask::ANONYMISED_RECORD, "organisation", problem)?;
    Ok(form)
}

/// What the requester's own node said about naming an organisation, if the ask shows that.
fn naming(message: &v1::RequestReleaseRequest, exchange: &Exchange) -> Result<Option<NamingReceipt>, Invalid> {
    let shown = Some(message.naming_receipt.as_slice()).filter(|shown| !shown.is_empty());
    shown.map(|encoded| exchange.node().naming_receipt("naming_receipt", encoded)).transpose()
}

fn subject(target: &Target) -> Result<Subject, Invalid> {
    match target {
        Target::Reference(text) => Ok(Subject::Reference(convert::field("reference", text, Reference::parse)?)),
        Target::Organisation(named) => {
            let read = || {
                check(!named.identifiers.is_empty(), "identifiers", "is required: at least one")?;
                let from = convert::required_instant("from", named.from)?;
                let until = convert::required_instant("until", named.until)?;
                let period = Occurred::new(from, until, "until")?;
                let longest = from.plus_days(LONGEST_PERIOD_DAYS);
                check(until <= longest, "until", "must be at most two years after `from`")?;
                Ok(NamedOrganisation {
                    identifiers: convert::identifiers("identifiers", &named.identifiers)?.into_iter().collect(),
                    period,
                    ground: convert::field("ground", &named.ground, Ground::parse)?,
                })
            };
            read().map(Subject::Organisation).map_err(|problem: Invalid| problem.within("organisation"))
        }
    }
}

fn holder(message: &v1::RequestReleaseRequest, caller: &Caller, exchange: &Exchange) -> Result<AgencyId, Invalid> {
    let holder = convert::field("holder", &message.holder, AgencyId::parse)?;
    check(exchange.node().holds(&holder), "holder", "is not an agency whose records this node holds")?;
    check(holder != *caller.agency(), "holder", "is your own agency")?;
    Ok(holder)
}

/// Says what a new question would rest on. Nothing is asked.
async fn look_first(
    message: &v1::RequestReleaseRequest,
    caller: &Caller,
    exchange: &Exchange,
) -> Result<response::Outcome, Status> {
    let read = || look::ask(message, holder(message, caller, exchange)?, caller);
    let ask = read().map_err(invalid)?;
    if !caller.may_state(&ask.purpose) {
        return Err(purpose_not_in_token(ask.purpose.as_str()));
    }
    Ok(match exchange.covering(ask.clone()).await.map_err(failed)? {
        Ok(covering) => response::Outcome::Covered(look::covered(&ask, &covering)),
        Err(not_covered) => response::Outcome::NotCovered(v1::NotCovered {
            reason: not_covered.reason.to_owned(),
            explanation: not_covered.explanation,
        }),
    })
}

/// Reads a new question.
fn new_question(message: &v1::RequestReleaseRequest, caller: &Caller, exchange: &Exchange) -> Result<AskFor, Status> {
    let read = || {
        let holder = holder(message, caller, exchange)?;
        let target = message.target.as_ref();
        let target = target.ok_or_else(|| Invalid::new("target", "is required: a reference or an organisation"))?;
        let form = form(&message.form, Some(target))?;
        let naming = naming(message, exchange)?;
        let problem = "is for an ask that names an organisation: a reference needs none";
        check(naming.is_none() || matches!(target, Target::Organisation(_)), "naming_receipt", problem)?;
        Ok(AskFor::New {
            holder,
            subject: subject(target)?,
            purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
            categories: convert::categories("categories", &message.categories)?,
            form,
            external_ref: convert::text("external_ref", &message.external_ref, 100)?,
            urgency: convert::urgency(&message.urgency)?,
            pinned: pin(message.agreement.as_ref())?,
            naming,
        })
    };
    let ask = read().map_err(invalid)?;
    match &ask {
        AskFor::New { purpose, .. } if !caller.may_state(purpose) => Err(purpose_not_in_token(purpose.as_str())),
        _ => Ok(ask),
    }
}

/// Reads a question that is put again: nothing of it may be stated anew.
fn same_question(message: &v1::RequestReleaseRequest, caller: &Caller, exchange: &Exchange) -> Result<AskFor, Status> {
    let read = || {
        let question = convert::field("request", &message.request, Question::parse)?;
        let unset = "must not be set when a request is put again";
        check(message.holder.is_empty(), "holder", unset)?;
        check(message.target.is_none(), "target", unset)?;
        check(message.purpose.is_empty(), "purpose", unset)?;
        check(message.categories.is_empty(), "categories", unset)?;
        check(message.external_ref.is_empty(), "external_ref", unset)?;
        check(message.urgency.is_empty(), "urgency", unset)?;
        check(message.form.is_empty(), "form", unset)?;
        check(!message.validate_only, "validate_only", unset)?;
        let purposes: BTreeSet<Purpose> = caller.purposes().clone();
        let (pinned, naming) = (pin(message.agreement.as_ref())?, naming(message, exchange)?);
        Ok(AskFor::Again { question, purposes, pinned, naming })
    };
    read().map_err(invalid)
}

#[tonic::async_trait]
impl ReleaseService for Desk {
    async fn request_release(
        &self,
        request: Request<v1::RequestReleaseRequest>,
    ) -> Result<Response<v1::RequestReleaseResponse>, Status> {
        let call = self.admit("ReleaseService/RequestRelease", request)?;
        let by = call.by(&call.message.request_id)?;
        if call.message.validate_only && call.message.request.is_empty() {
            let outcome = look_first(&call.message, &call.caller, &call.exchange).await?;
            let (request, receipt) = (String::new(), None);
            return Ok(Response::new(v1::RequestReleaseResponse { request, outcome: Some(outcome), receipt }));
        }
        let ask = if call.message.request.is_empty() {
            new_question(&call.message, &call.caller, &call.exchange)?
        } else {
            same_question(&call.message, &call.caller, &call.exchange)?
        };
        let asked = call.exchange.ask(by, ask).await.map_err(failed)?;
        let holder = call.exchange.node().agency(&asked.holder).ok_or_else(|| internal("a holder is unknown"))?;
        let outcome = match asked.outcome {
            Outcome::NotCovered { reason, explanation } => {
                response::Outcome::NotCovered(v1::NotCovered { reason, explanation })
            }
            Outcome::Open => response::Outcome::Open(v1::Open {
                statement: NEITHER_CONFIRM_NOR_DENY.to_owned(),
                open_until: Some(convert::timestamp(asked.open_until)),
                duty_desk: holder.duty_desk.clone(),
            }),
            Outcome::Released(None) => response::Outcome::Released(v1::Released::default()),
            Outcome::Released(Some(incidents)) => {
                let incidents = incidents.into_iter().map(|one| released(one, &holder.correction_contact)).collect();
                response::Outcome::Released(v1::Released { incidents, content_included: true })
            }
        };
        Ok(Response::new(v1::RequestReleaseResponse {
            request: asked.question.to_string(),
            outcome: Some(outcome),
            receipt: asked.receipt,
        }))
    }

    async fn get_request(
        &self,
        request: Request<v1::GetRequestRequest>,
    ) -> Result<Response<v1::GetRequestResponse>, Status> {
        let call = self.admit("ReleaseService/GetRequest", request)?;
        let id = convert::field("request", &call.message.request, Question::parse).map_err(invalid)?;
        let (question, state, asks) = call.exchange.request(call.caller.agency().clone(), id).await.map_err(failed)?;
        let mut view = question_view(question, state);
        view.asks = asks
            .into_iter()
            .map(|(ask, receipt)| v1::Ask {
                request_id: ask.request_id().to_owned(),
                asked_at: Some(convert::timestamp(ask.at)),
                outcome: match ask.answer {
                    Some(Answer::Released { .. }) => "released",
                    Some(Answer::NotCovered { .. }) => "not-covered",
                    _ => "open",
                }
                .to_owned(),
                receipt: Some(receipt),
            })
            .collect();
        Ok(Response::new(v1::GetRequestResponse { request: Some(view) }))
    }

    async fn list_requests(
        &self,
        request: Request<v1::ListRequestsRequest>,
    ) -> Result<Response<v1::ListRequestsResponse>, Status> {
        let call = self.admit("ReleaseService/ListRequests", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.requests(page).await.map_err(failed)?;
        let requests = found.into_iter().map(|(question, state)| question_view(question, state)).collect();
        Ok(Response::new(v1::ListRequestsResponse { requests, next_page_token }))
    }
}

fn released(incident: release::ReleasedIncident, correction_contact: &str) -> v1::ReleasedIncident {
    let handling = handling(&incident.handling, incident.reference.as_ref(), correction_contact);
    v1::ReleasedIncident {
        reference: incident.reference.map(|reference| reference.to_string()).unwrap_or_default(),
        record: incident.record.as_ref().map(anonymised_record),
        categories: incident
            .categories
            .into_iter()
            .map(|category| v1::ReleasedCategory {
                category: category.category.to_string(),
                content: category.content,
                salt: category.salt,
            })
            .collect(),
        handling: Some(handling),
    }
}

fn question_view(question: QuestionRow, state: &str) -> v1::Request {
    v1::Request {
        id: question.id.to_string(),
        holder: question.holder.to_string(),
        purpose: question.purpose.to_string(),
        categories: question.categories.iter().map(ToString::to_string).collect(),
        external_ref: question.external_ref,
        created_at: Some(convert::timestamp(question.created_at)),
        open_until: Some(convert::timestamp(question.open_until)),
        asks: Vec::new(),
        urgency: question.urgency.as_str().to_owned(),
        form: question.form,
        state: state.to_owned(),
    }
}
