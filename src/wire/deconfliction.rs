//! `DeconflictionService`.

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid, purpose_not_in_token};
use super::{Desk, convert};
use crate::domain::{AgencyId, EngagementId, EngagementTerms, IncidentId, Instant, Invalid, Lead, Purpose};
use crate::exchange::{
    AmendEngagement, DeclareEngagement, EndEngagement, EngagedView, EngagementView, PutEngagement, RecordAskOfVictim,
};
use crate::proto::v1;
use crate::proto::v1::deconfliction_service_server::DeconflictionService;

fn engagement_id(text: &str) -> Result<EngagementId, Status> {
    convert::field("engagement_id", text, EngagementId::parse).map_err(invalid)
}

fn terms(value: Option<&v1::EngagementTerms>) -> Result<EngagementTerms, Invalid> {
    let value = value.ok_or_else(|| Invalid::new("terms", "is required"))?;
    Ok(EngagementTerms {
        unit: convert::required("terms.unit", &value.unit, 100)?,
        contact: convert::required("terms.contact", &value.contact, 200)?,
        lead: convert::optional("terms.lead", &value.lead, AgencyId::parse)?,
        pause_until: convert::instant("terms.pause_until", value.pause_until)?,
    })
}

fn declared(message: &v1::DeclareEngagementRequest) -> Result<DeclareEngagement, Invalid> {
    Ok(DeclareEngagement {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        since: convert::required_instant("since", message.since)?,
        terms: terms(message.terms.as_ref())?,
    })
}

fn put(message: &v1::PutEngagementRequest) -> Result<PutEngagement, Invalid> {
    Ok(PutEngagement {
        id: convert::field("engagement_id", &message.engagement_id, EngagementId::parse)?,
        recipient: convert::field("agency", &message.agency, AgencyId::parse)?,
        purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
    })
}

/// What the entry says of who may see: a repeat is answered as the call was.
fn decided(receipt: Option<&v1::Receipt>) -> Result<(String, String), Status> {
    let opened = |slot: v1::Slot| {
        let mut openings = receipt.iter().flat_map(|receipt| &receipt.openings);
        openings.find(|opening| opening.slot() == slot).map_or(&[][..], |opening| opening.payload.as_slice())
    };
    let unreadable = |_| internal("an entry about existence cannot be read");
    let said = v1::ExistenceStatement::decode(opened(v1::Slot::Outcome)).map_err(unreadable)?;
    if said.answer == "given" {
        return Ok((said.answer, String::new()));
    }
    let why = v1::GroundsStatement::decode(opened(v1::Slot::Grounds)).map_err(unreadable)?;
    Ok((said.answer, why.reasons.join("; ")))
}

fn view(view: EngagementView, reader: &AgencyId) -> v1::Engagement {
    let EngagementView { engagement, lead, name, identifiers, seen_by } = view;
    let is_own = engagement.holder == *reader;
    let sight = |put: crate::domain::EngagementPut| v1::EngagementSight {
        seen: seen_by.contains(&put.recipient),
        agency: put.recipient.to_string(),
        purpose: put.purpose.to_string(),
        put_at: Some(convert::timestamp(put.put_at)),
    };
    let ask = |ask: crate::domain::AskOfVictim| v1::AskOfVictim {
        text: ask.text,
        urgent: ask.urgent,
        asked_at: Some(convert::timestamp(ask.asked_at)),
    };
    v1::Engagement {
        id: engagement.id.to_string(),
        agency: engagement.holder.to_string(),
        // Another agency's: what the holder calls the incident, and to whom else it put this, stay with the holder.
        incident_id: if is_own { engagement.incident.to_string() } else { String::new() },
        put_to: if is_own { engagement.puts.into_iter().map(sight).collect() } else { Vec::new() },
        organisation: name,
        identifiers: identifiers.iter().map(convert::identifier).collect(),
        since: Some(convert::timestamp(engagement.since)),
        terms: Some(v1::EngagementTerms {
            unit: engagement.terms.unit,
            contact: engagement.terms.contact,
            lead: lead.map(|lead| lead.to_string()).unwrap_or_default(),
            pause_until: engagement.terms.pause_until.map(convert::timestamp),
        }),
        asks: engagement.asks.into_iter().map(ask).collect(),
    }
}

fn organisation(value: EngagedView, reader: &AgencyId) -> v1::EngagedOrganisation {
    let EngagedView { engagements, pause_until } = value;
    let said: Vec<(&AgencyId, Option<&AgencyId>)> =
        engagements.iter().map(|one| (&one.engagement.holder, one.lead.as_ref())).collect();
    let (lead_state, lead) = match Lead::of(&said) {
        Lead::Open => ("open", String::new()),
        Lead::Proposed(lead) => ("proposed", lead.to_string()),
        Lead::Agreed(lead) => ("agreed", lead.to_string()),
        Lead::Disputed => ("disputed", String::new()),
    };
    let mut agencies: Vec<String> = engagements.iter().map(|one| one.engagement.holder.to_string()).collect();
    agencies.dedup();
    v1::EngagedOrganisation {
        organisation: engagements.first().map(|one| one.name.clone()).unwrap_or_default(),
        agencies,
        lead,
        lead_state: lead_state.to_owned(),
        pause_until: pause_until.map(convert::timestamp),
        asks: i32::try_from(engagements.iter().map(|one| one.engagement.asks.len()).sum::<usize>()).unwrap_or(i32::MAX),
        engagements: engagements.into_iter().map(|one| view(one, reader)).collect(),
    }
}

#[tonic::async_trait]
impl DeconflictionService for Desk {
    async fn declare_engagement(
        &self,
        request: Request<v1::DeclareEngagementRequest>,
    ) -> Result<Response<v1::DeclareEngagementResponse>, Status> {
        let call = self.admit("DeconflictionService/DeclareEngagement", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = declared(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(v1::DeclareEngagementResponse { engagement_id: done.object, receipt: done.receipt }))
    }

    async fn amend_engagement(
        &self,
        request: Request<v1::AmendEngagementRequest>,
    ) -> Result<Response<v1::AmendEngagementResponse>, Status> {
        let call = self.admit("DeconflictionService/AmendEngagement", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = engagement_id(&call.message.engagement_id)?;
        let terms = terms(call.message.terms.as_ref()).map_err(invalid)?;
        let done = call.exchange.change(by, AmendEngagement { id, terms }).await.map_err(failed)?;
        Ok(Response::new(v1::AmendEngagementResponse { engagement_id: done.object, receipt: done.receipt }))
    }

    async fn record_ask_of_victim(
        &self,
        request: Request<v1::RecordAskOfVictimRequest>,
    ) -> Result<Response<v1::RecordAskOfVictimResponse>, Status> {
        let call = self.admit("DeconflictionService/RecordAskOfVictim", request)?;
        let by = call.by(&call.message.request_id)?;
        let asked_at: Option<Instant> = convert::instant("asked_at", call.message.asked_at).map_err(invalid)?;
        let change = RecordAskOfVictim {
            id: engagement_id(&call.message.engagement_id)?,
            text: convert::required("text", &call.message.text, 200).map_err(invalid)?,
            urgent: call.message.urgent,
            asked_at,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(v1::RecordAskOfVictimResponse { engagement_id: done.object, receipt: done.receipt }))
    }

    async fn put_engagement(
        &self,
        request: Request<v1::PutEngagementRequest>,
    ) -> Result<Response<v1::PutEngagementResponse>, Status> {
        let call = self.admit("DeconflictionService/PutEngagement", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = put(&call.message).map_err(invalid)?;
        if !call.caller.may_state(&change.purpose) {
            return Err(purpose_not_in_token(change.purpose.as_str()));
        }
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (answer, explanation) = decided(done.receipt.as_ref())?;
        let (engagement_id, receipt) = (done.object, done.receipt);
        Ok(Response::new(v1::PutEngagementResponse { engagement_id, answer, explanation, receipt }))
    }

    async fn end_engagement(
        &self,
        request: Request<v1::EndEngagementRequest>,
    ) -> Result<Response<v1::EndEngagementResponse>, Status> {
        let call = self.admit("DeconflictionService/EndEngagement", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = engagement_id(&call.message.engagement_id)?;
        let done = call.exchange.change(by, EndEngagement { id }).await.map_err(failed)?;
        Ok(Response::new(v1::EndEngagementResponse { engagement_id: done.object, receipt: done.receipt }))
    }

    async fn list_deconfliction(
        &self,
        request: Request<v1::ListDeconflictionRequest>,
    ) -> Result<Response<v1::ListDeconflictionResponse>, Status> {
        let call = self.admit("DeconflictionService/ListDeconfliction", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let reader = page.agency.clone();
        let (found, next_page_token) = call.exchange.deconfliction(page).await.map_err(failed)?;
        let organisations = found.into_iter().map(|one| organisation(one, &reader)).collect();
        Ok(Response::new(v1::ListDeconflictionResponse { organisations, next_page_token }))
    }
}
