//! `AuthorisationService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{AgencyId, Ask, AuthorisationId, Ground, IncidentId, Invalid, Purpose, check};
use crate::exchange::{GiveAuthorisation, RevokeAuthorisation};
use crate::proto::v1::authorisation_service_server::AuthorisationService;
use crate::proto::v1::{
    GiveAuthorisationRequest, GiveAuthorisationResponse, ListAuthorisationsRequest, ListAuthorisationsResponse,
    RevokeAuthorisationRequest, RevokeAuthorisationResponse,
};

fn decision(message: &GiveAuthorisationRequest) -> Result<GiveAuthorisation, Invalid> {
    check(message.revision > 0, "revision", "is required: the revision that the officer saw")?;
    let form = Ask::form(&message.form).map_err(|problem| problem.within("form"))?;
    let previewed = form == Ask::ORGANISATION_SPECIFIC || message.preview_digest.is_empty();
    check(previewed, "preview_digest", "must not be set for an anonymised record: a preview is not of one")?;
    Ok(GiveAuthorisation {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        revision: message.revision,
        covers_updates: message.covers_updates,
        recipient: convert::field("recipient", &message.recipient, AgencyId::parse)?,
        purposes: convert::set("purposes", &message.purposes, Purpose::parse)?,
        categories: convert::categories("categories", &message.categories)?,
        ground: convert::field("ground", &message.ground, Ground::parse)?,
        valid_until: convert::instant("valid_until", message.valid_until)?,
        preview: match message.preview_digest.as_slice() {
            [] => None,
            cited => Some(convert::digest("preview_digest", cited)?),
        },
        form,
    })
}

#[tonic::async_trait]
impl AuthorisationService for Desk {
    async fn give_authorisation(
        &self,
        request: Request<GiveAuthorisationRequest>,
    ) -> Result<Response<GiveAuthorisationResponse>, Status> {
        let call = self.admit("AuthorisationService/GiveAuthorisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = decision(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(GiveAuthorisationResponse { authorisation_id: done.object, receipt: done.receipt }))
    }

    async fn revoke_authorisation(
        &self,
        request: Request<RevokeAuthorisationRequest>,
    ) -> Result<Response<RevokeAuthorisationResponse>, Status> {
        let call = self.admit("AuthorisationService/RevokeAuthorisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = &call.message.authorisation_id;
        let id = convert::field("authorisation_id", id, AuthorisationId::parse).map_err(invalid)?;
        let done = call.exchange.change(by, RevokeAuthorisation { id }).await.map_err(failed)?;
        Ok(Response::new(RevokeAuthorisationResponse { authorisation_id: done.object, receipt: done.receipt }))
    }

    async fn list_authorisations(
        &self,
        request: Request<ListAuthorisationsRequest>,
    ) -> Result<Response<ListAuthorisationsResponse>, Status> {
        let call = self.admit("AuthorisationService/ListAuthorisations", request)?;
        let message = &call.message;
        convert::optional("incident_id", &message.incident_id, IncidentId::parse).map_err(invalid)?;
        let page = call.page(message.page_size, &message.page_token, &message.incident_id);
        let (found, next_page_token) = call.exchange.authorisations(page).await.map_err(failed)?;
        let authorisations = found.iter().map(convert::authorisation).collect();
        Ok(Response::new(ListAuthorisationsResponse { authorisations, next_page_token }))
    }
}
