//! `OrganisationService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{Invalid, OrganisationId};
use crate::exchange::{AmendOrganisation, RecordMerger, RegisterOrganisation};
use crate::proto::v1::organisation_service_server::OrganisationService;
use crate::proto::v1::{
    AmendOrganisationRequest, AmendOrganisationResponse, FindOrganisationsRequest, FindOrganisationsResponse,
    GetOrganisationRequest, GetOrganisationResponse, ListOrganisationsRequest, ListOrganisationsResponse,
    RecordMergerRequest, RecordMergerResponse, RegisterOrganisationRequest, RegisterOrganisationResponse,
};

#[tonic::async_trait]
impl OrganisationService for Desk {
    async fn register_organisation(
        &self,
        request: Request<RegisterOrganisationRequest>,
    ) -> Result<Response<RegisterOrganisationResponse>, Status> {
        let call = self.admit("OrganisationService/RegisterOrganisation", request)?;
        let by = call.by(&call.message.request_id)?;
        let RegisterOrganisationRequest { name, identifiers, former_names, trading_names, parents, .. } = &call.message;
        let profile = convert::profile(name, identifiers, former_names, trading_names, parents).map_err(invalid)?;
        let done = call.exchange.change(by, RegisterOrganisation { profile }).await.map_err(failed)?;
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
        let AmendOrganisationRequest { name, identifiers, former_names, trading_names, parents, .. } = &call.message;
        let change = AmendOrganisation {
            id: organisation_id(&call.message.organisation_id).map_err(invalid)?,
            version: convert::etag(&call.message.etag).map_err(invalid)?,
            profile: convert::profile(name, identifiers, former_names, trading_names, parents).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(AmendOrganisationResponse {
            organisation_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn record_merger(
        &self,
        request: Request<RecordMergerRequest>,
    ) -> Result<Response<RecordMergerResponse>, Status> {
        let call = self.admit("OrganisationService/RecordMerger", request)?;
        let by = call.by(&call.message.request_id)?;
        let into = &call.message.into_organisation_id;
        let change = RecordMerger {
            id: organisation_id(&call.message.organisation_id).map_err(invalid)?,
            version: convert::etag(&call.message.etag).map_err(invalid)?,
            into: convert::optional("into_organisation_id", into, OrganisationId::parse).map_err(invalid)?,
            at: convert::instant("merged_at", call.message.merged_at).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RecordMergerResponse {
            organisation_id: done.object,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn find_organisations(
        &self,
        request: Request<FindOrganisationsRequest>,
    ) -> Result<Response<FindOrganisationsResponse>, Status> {
        let call = self.admit("OrganisationService/FindOrganisations", request)?;
        let identifiers = convert::identifiers("identifiers", &call.message.identifiers).map_err(invalid)?;
        let name = &call.message.name;
        if name.is_empty() && identifiers.is_empty() {
            return Err(invalid(Invalid::new("identifiers", "is required, or `name`: what to look for")));
        }
        let name = match name.as_str() {
            "" => None,
            name => Some(convert::required("name", name, 300).map_err(invalid)?),
        };
        let agency = call.caller.agency().clone();
        let (found, more) = call.exchange.find_organisations(agency, identifiers, name).await.map_err(failed)?;
        let found = found.into_iter().map(convert::found).collect();
        Ok(Response::new(FindOrganisationsResponse { found, more }))
    }

    async fn get_organisation(
        &self,
        request: Request<GetOrganisationRequest>,
    ) -> Result<Response<GetOrganisationResponse>, Status> {
        let call = self.admit("OrganisationService/GetOrganisation", request)?;
        let id = organisation_id(&call.message.organisation_id).map_err(invalid)?;
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

fn organisation_id(text: &str) -> Result<OrganisationId, Invalid> {
    convert::field("organisation_id", text, OrganisationId::parse)
}
