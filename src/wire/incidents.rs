//! `IncidentService`.

use tonic::{Request, Response, Status};

use super::status::{failed, internal, invalid};
use super::{Desk, convert, registration};
use crate::domain::{AgencyId, IncidentId, OrganisationId};
use crate::exchange::{AmendIncident, IssueReference, VerifyNotification};
use crate::proto::v1::incident_service_server::IncidentService;
use crate::proto::v1::{
    AmendIncidentRequest, AmendIncidentResponse, GetIncidentRequest, GetIncidentResponse, IssueReferenceRequest,
    IssueReferenceResponse, ListIncidentsRequest, ListIncidentsResponse, RegisterIncidentRequest,
    RegisterIncidentResponse, RegisterIncidentsRequest, RegisterIncidentsResponse, RegisterReceivedRequest,
    RegisterReceivedResponse, VerifyNotificationRequest, VerifyNotificationResponse,
};

fn incident_id(text: &str) -> Result<IncidentId, Status> {
    convert::field("incident_id", text, IncidentId::parse).map_err(invalid)
}

#[tonic::async_trait]
impl IncidentService for Desk {
    async fn register_incident(
        &self,
        request: Request<RegisterIncidentRequest>,
    ) -> Result<Response<RegisterIncidentResponse>, Status> {
        let call = self.admit("IncidentService/RegisterIncident", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = registration::incident(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RegisterIncidentResponse {
            incident_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn register_incidents(
        &self,
        request: Request<RegisterIncidentsRequest>,
    ) -> Result<Response<RegisterIncidentsResponse>, Status> {
        let call = self.admit("IncidentService/RegisterIncidents", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = registration::many(&call.caller, &call.exchange, call.message).map_err(invalid)?;
        let organisation_ids = change.organisations.iter().map(|new| new.id.to_string()).collect();
        let incident_ids = change.incidents.iter().map(|new| new.id.to_string()).collect();
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RegisterIncidentsResponse { organisation_ids, incident_ids, receipt: done.receipt }))
    }

    async fn register_received(
        &self,
        request: Request<RegisterReceivedRequest>,
    ) -> Result<Response<RegisterReceivedResponse>, Status> {
        let call = self.admit("IncidentService/RegisterReceived", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = registration::received(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RegisterReceivedResponse {
            incident_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn amend_incident(
        &self,
        request: Request<AmendIncidentRequest>,
    ) -> Result<Response<AmendIncidentResponse>, Status> {
        let call = self.admit("IncidentService/AmendIncident", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = AmendIncident {
            id: incident_id(&call.message.incident_id)?,
            revision: convert::etag(&call.message.etag).map_err(invalid)?,
            markings: convert::markings(call.message.markings.as_ref()).map_err(invalid)?,
            content: convert::content(call.message.content.as_ref()).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(AmendIncidentResponse {
            incident_id: done.object,
            revision: done.version,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn verify_notification(
        &self,
        request: Request<VerifyNotificationRequest>,
    ) -> Result<Response<VerifyNotificationResponse>, Status> {
        let call = self.admit("IncidentService/VerifyNotification", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = VerifyNotification { id: incident_id(&call.message.incident_id)? };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(VerifyNotificationResponse { incident_id: done.object, receipt: done.receipt }))
    }

    async fn issue_reference(
        &self,
        request: Request<IssueReferenceRequest>,
    ) -> Result<Response<IssueReferenceResponse>, Status> {
        let call = self.admit("IncidentService/IssueReference", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = IssueReference {
            id: incident_id(&call.message.incident_id)?,
            recipient: convert::field("recipient", &call.message.recipient, AgencyId::parse).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(IssueReferenceResponse { reference: done.object, receipt: done.receipt }))
    }

    async fn get_incident(
        &self,
        request: Request<GetIncidentRequest>,
    ) -> Result<Response<GetIncidentResponse>, Status> {
        let call = self.admit("IncidentService/GetIncident", request)?;
        let id = incident_id(&call.message.incident_id)?;
        let agency = call.caller.agency().clone();
        let (incident, content) = call.exchange.incident(agency, id).await.map_err(failed)?;
        let whole = convert::whole_content(&content).ok_or_else(|| internal("stored content cannot be read"))?;
        Ok(Response::new(GetIncidentResponse { incident: Some(convert::incident(incident, Some(whole))) }))
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let call = self.admit("IncidentService/ListIncidents", request)?;
        let message = &call.message;
        convert::optional("organisation_id", &message.organisation_id, OrganisationId::parse).map_err(invalid)?;
        let page = call.page(message.page_size, &message.page_token, &message.organisation_id);
        let (found, next_page_token) = call.exchange.incidents(page).await.map_err(failed)?;
        let incidents = found.into_iter().map(|incident| convert::incident(incident, None)).collect();
        Ok(Response::new(ListIncidentsResponse { incidents, next_page_token }))
    }
}
