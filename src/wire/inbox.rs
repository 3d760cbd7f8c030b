//! `InboxService`.

use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, Ground, IncidentId, Invalid, Purpose, Question, Reference, Subject};
use crate::exchange::{DeclineRequest, OfferFor, PreviewFor, Received, handling};
use crate::proto::v1::inbox_service_server::InboxService;
use crate::proto::v1::offer_release_request::Offered;
use crate::proto::v1::{
    self, DeclineRequestRequest, DeclineRequestResponse, GetReceivedRequestRequest, GetReceivedRequestResponse,
    ListReceivedRequestsRequest, ListReceivedRequestsResponse, OfferReleaseRequest, OfferReleaseResponse,
    PreviewReleaseRequest, PreviewReleaseResponse,
};

fn received(view: Received) -> v1::ReceivedRequest {
    let Received { question, matches, candidates, state } = view;
    let (reference, identifiers) = match &question.subject {
        Subject::Reference(reference) => (reference.to_string(), Vec::new()),
        Subject::Organisation(named) => (String::new(), named.identifiers.iter().map(convert::identifier).collect()),
    };
    v1::ReceivedRequest {
        request: question.id.to_string(),
        requester: question.requester.agency.to_string(),
        unit: question.requester.unit.to_string(),
        officer_pseudonym: question.requester.pseudonym,
        purpose: question.purpose.to_string(),
        categories: question.categories.iter().map(ToString::to_string).collect(),
        urgency: question.urgency.as_str().to_owned(),
        form: question.form,
        external_ref: question.external_ref,
        created_at: Some(convert::timestamp(question.created_at)),
        open_until: Some(convert::timestamp(question.open_until)),
        reference,
        identifiers,
        matches: matches
            .into_iter()
            .map(|(incident, at)| v1::MatchedIncident {
                incident_id: incident.to_string(),
                matched_at: Some(convert::timestamp(at)),
            })
            .collect(),
        state: state.to_owned(),
        candidates: candidates
            .into_iter()
            .map(|one| v1::CandidateOrganisation {
                organisation_id: one.organisation.to_string(),
                reasons: one.reasons.iter().map(|reason| reason.as_str().to_owned()).collect(),
            })
            .collect(),
    }
}

fn preview_for(message: &PreviewReleaseRequest) -> Result<PreviewFor, Invalid> {
    Ok(PreviewFor {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        recipient: convert::field("recipient", &message.recipient, AgencyId::parse)?,
        purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
        categories: match message.categories.as_slice() {
            [] => std::collections::BTreeSet::new(),
            named => convert::categories("categories", named)?,
        },
        ground: convert::optional("ground", &message.ground, Ground::parse)?,
    })
}

fn offer(message: &OfferReleaseRequest) -> Result<OfferFor, Invalid> {
    match &message.offered {
        None => Err(Invalid::new("offered", "is required: a request or an incident")),
        Some(Offered::Request(request)) => Ok(OfferFor::Request(convert::field("request", request, Question::parse)?)),
        Some(Offered::Incident(incident)) => {
            let read = || {
                Ok(OfferFor::Incident {
                    incident: convert::field("incident_id", &incident.incident_id, IncidentId::parse)?,
                    recipient: convert::field("recipient", &incident.recipient, AgencyId::parse)?,
                    purpose: convert::field("purpose", &incident.purpose, Purpose::parse)?,
                    categories: convert::categories("categories", &incident.categories)?,
                })
            };
            read().map_err(|problem: Invalid| problem.within("incident"))
        }
    }
}

#[tonic::async_trait]
impl InboxService for Desk {
    async fn list_received_requests(
        &self,
        request: Request<ListReceivedRequestsRequest>,
    ) -> Result<Response<ListReceivedRequestsResponse>, Status> {
        let call = self.admit("InboxService/ListReceivedRequests", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.inbox(page).await.map_err(failed)?;
        let requests = found.into_iter().map(received).collect();
        Ok(Response::new(ListReceivedRequestsResponse { requests, next_page_token }))
    }

    async fn get_received_request(
        &self,
        request: Request<GetReceivedRequestRequest>,
    ) -> Result<Response<GetReceivedRequestResponse>, Status> {
        let call = self.admit("InboxService/GetReceivedRequest", request)?;
        let id = convert::field("request", &call.message.request, Question::parse).map_err(invalid)?;
        let found = call.exchange.inbox_request(call.caller.agency().clone(), id).await.map_err(failed)?;
        Ok(Response::new(GetReceivedRequestResponse { request: Some(received(found)) }))
    }

    async fn preview_release(
        &self,
        request: Request<PreviewReleaseRequest>,
    ) -> Result<Response<PreviewReleaseResponse>, Status> {
        let call = self.admit("InboxService/PreviewRelease", request)?;
        let wanted = preview_for(&call.message).map_err(invalid)?;
        let agency = call.caller.agency();
        let contact = call.exchange.node().agency(agency).map(|agency| agency.correction_contact.clone());
        let preview = call.exchange.preview(agency.clone(), wanted).await.map_err(failed)?;
        let leaves = preview.terms.is_some();
        // A preview has no reference yet: whoever asks brings one, or is given one then.
        let nowhere = Reference::known("");
        let content = convert::whole_content(&preview.content);
        let content = content.ok_or_else(|| internal("stored content cannot be read"))?;
        let (terms, digest) = preview.terms.unzip();
        Ok(Response::new(PreviewReleaseResponse {
            outcome: preview.outcome.to_owned(),
            revision: preview.revision,
            categories: preview.content.iter().map(|(category, _)| category.to_string()).collect(),
            content: leaves.then_some(content),
            handling: terms.map(|terms| handling(&terms, Some(&nowhere), contact.as_deref().unwrap_or_default())),
            digest: digest.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default(),
            missing: preview.missing.iter().map(|missing| missing.as_str().to_owned()).collect(),
            reasons: preview.reasons,
            withheld: preview
                .withheld
                .into_iter()
                .map(|(category, why)| v1::WithheldCategory { category: category.to_string(), why: why.to_owned() })
                .collect(),
        }))
    }

    async fn offer_release(
        &self,
        request: Request<OfferReleaseRequest>,
    ) -> Result<Response<OfferReleaseResponse>, Status> {
        let call = self.admit("InboxService/OfferRelease", request)?;
        let by = call.by(&call.message.request_id)?;
        let offer = offer(&call.message).map_err(invalid)?;
        let done = call.exchange.offer(by, offer).await.map_err(failed)?;
        Ok(Response::new(OfferReleaseResponse { event_id: done.object, receipt: done.receipt }))
    }

    async fn decline_request(
        &self,
        request: Request<DeclineRequestRequest>,
    ) -> Result<Response<DeclineRequestResponse>, Status> {
        let call = self.admit("InboxService/DeclineRequest", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = convert::field("request", &call.message.request, Question::parse).map_err(invalid)?;
        let done = call.exchange.change(by, DeclineRequest { id }).await.map_err(failed)?;
        Ok(Response::new(DeclineRequestResponse { request: done.object, receipt: done.receipt }))
    }
}
