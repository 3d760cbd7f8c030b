//! `OrganisationService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{Organisation, OrganisationId};
use crate::exchange::{AmendOrganisation, RegisterOrganisation};
use crate::proto::v1::organisation_service_server::OrganisationService;
use crate::proto::v1::{
    AmendOrganisationRequest, AmendOrganisationResponse, GetOrganisationRequest, GetOrganisationResponse,
    ListOrganisationsRequest, ListOrganisationsResponse, RegisterOrganisationRequest, RegisterOrganisationResponse,
};

#[tonic::async_trait]
impl OrganisationService for Desk {
    async fn register_organisation(
        &self,
        request: Request<RegisterOrganisationRequest>,
    ) -> Result<Response<RegisterOrganisationResponse>, Status> {
        let call = self.admit("OrganisationService/RegisterOrganisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let identifiers = convert::identifiers("identifiers", &call.message.identifiers).map_err(invalid)?;
        let name = call.message.name.clone();
        Organisation::check(&name, &identifiers).map_err(invalid)?;
        let done = call.exchange.change(by, RegisterOrganisation { name, identifiers }).await.map_err(failed)?;
        Ok(Response::new(RegisterOrganisationResponse {
            organisation_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn amend_organisation(
        &self,
        request: Request<AmendOrganisationRequest>,
    ) -> Result<Response<AmendOrganisationResponse>, Status> {
        let call = self.admit("OrganisationService/AmendOrganisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = AmendOrganisation {
            id: convert::field("organisation_id", &call.message.organisation_id, OrganisationId::parse)
                .map_err(invalid)?,
            version: convert::etag(&call.message.etag).map_err(invalid)?,
            name: call.message.name.clone(),
            identifiers: convert::identifiers("identifiers", &call.message.identifiers).map_err(invalid)?,
        };
        Organisation::check(&change.name, &change.identifiers).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(AmendOrganisationResponse {
            organisation_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn get_organisation(
        &self,
        request: Request<GetOrganisationRequest>,
    ) -> Result<Response<GetOrganisationResponse>, Status> {
        let call = self.admit("OrganisationService/GetOrganisation", request)?;
        let id =
            convert::field("organisation_id", &call.message.organisation_id, OrganisationId::parse).map_err(invalid)?;
        let found = call.exchange.organisation(call.caller.agency().clone(), id).await.map_err(failed)?;
        Ok(Response::new(GetOrganisationResponse { organisation: Some(convert::organisation(found)) }))
    }

    async fn list_organisations(
        &self,
        request: Request<ListOrganisationsRequest>,
    ) -> Result<Response<ListOrganisationsResponse>, Status> {
        let call = self.admit("OrganisationService/ListOrganisations", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.organisations(page).await.map_err(failed)?;
        let organisations = found.into_iter().map(convert::organisation).collect();
        Ok(Response::new(ListOrganisationsResponse { organisations, next_page_token }))
    }
}
