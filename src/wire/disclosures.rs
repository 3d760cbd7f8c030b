//! `DisclosureService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{
    AgencyId, AuthorisationId, ConsentId, Elsewhere, Ground, IncidentId, Invalid, Means, PermissionId, check,
};
use crate::exchange::RecordDisclosure;
use crate::proto::v1::disclosure_service_server::DisclosureService;
use crate::proto::v1::{
    ListDisclosuresRequest, ListDisclosuresResponse, RecordDisclosureRequest, RecordDisclosureResponse,
};

/// How many permissions one disclosure relies on, as for categories.
const MOST_PERMISSIONS: usize = 16;

fn record(message: &RecordDisclosureRequest) -> Result<RecordDisclosure, Invalid> {
    check(message.revision >= 0, "revision", "must not be negative")?;
    let ids = &message.permission_ids;
    check(ids.len() <= MOST_PERMISSIONS, "permission_ids", "must be at most 16")?;
    let permission =
        |(i, text): (usize, &String)| convert::field(&format!("permission_ids[{i}]"), text, PermissionId::parse);
    Ok(RecordDisclosure {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        revision: (message.revision != 0).then_some(message.revision),
        recipient: convert::field("recipient", &message.recipient, AgencyId::parse)?,
        at: convert::required_instant("disclosed_at", message.disclosed_at)?,
        categories: convert::categories("categories", &message.categories)?,
        elsewhere: Elsewhere {
            means: convert::field("means", &message.means, Means::parse)?,
            ground: convert::field("ground", &message.ground, Ground::parse)?,
            officer: convert::required("officer", &message.officer, 200)?,
            // Known by the consent, once that is read.
            purposes: std::collections::BTreeSet::new(),
        },
        consent: convert::optional("consent_id", &message.consent_id, ConsentId::parse)?,
        authorisation: convert::optional("authorisation_id", &message.authorisation_id, AuthorisationId::parse)?,
        permissions: ids.iter().enumerate().map(permission).collect::<Result<_, _>>()?,
    })
}

#[tonic::async_trait]
impl DisclosureService for Desk {
    async fn record_disclosure(
        &self,
        request: Request<RecordDisclosureRequest>,
    ) -> Result<Response<RecordDisclosureResponse>, Status> {
        let call = self.admit("DisclosureService/RecordDisclosure", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = record(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RecordDisclosureResponse { disclosure_id: done.object, receipt: done.receipt }))
    }

    async fn list_disclosures(
        &self,
        request: Request<ListDisclosuresRequest>,
    ) -> Result<Response<ListDisclosuresResponse>, Status> {
        let call = self.admit("DisclosureService/ListDisclosures", request)?;
        let incident = convert::field("incident_id", &call.message.incident_id, IncidentId::parse).map_err(invalid)?;
        let page = call.page(call.message.page_size, &call.message.page_token, incident.as_str());
        let (found, next_page_token) = call.exchange.disclosures(page).await.map_err(failed)?;
        let disclosures = found.into_iter().map(convert::disclosure).collect();
        Ok(Response::new(ListDisclosuresResponse { disclosures, next_page_token }))
    }
}
