//! `RetentionService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{Ground, IncidentId, Instant, Question};
use crate::exchange::{ConfirmDisposal, EraseIncident, ProposeErasure};
use crate::proto::v1;
use crate::proto::v1::retention_service_server::RetentionService;
use crate::store::{Due, ReleaseMade};

/// The role that confirms an erasure before its time is over.
const VERIFIER: &str = "verifier";

fn incident(text: &str) -> Result<IncidentId, Status> {
    convert::field("incident_id", text, IncidentId::parse).map_err(invalid)
}

fn ground(text: &str) -> Result<Ground, Status> {
    convert::field("ground", text, Ground::parse).map_err(invalid)
}

fn due(value: Due, at: Instant) -> v1::DueIncident {
    let (ground, by, proposed_at) =
        value.proposed.map_or_else(Default::default, |one| (one.ground.to_string(), one.by.to_string(), Some(one.at)));
    v1::DueIncident {
        incident_id: value.incident.to_string(),
        retain_until: Some(convert::timestamp(value.retain_until)),
        due: value.retain_until <= at,
        proposed_ground: ground,
        proposed_by: by,
        proposed_at: proposed_at.map(convert::timestamp),
    }
}

fn disposal(value: ReleaseMade, at: Instant) -> v1::Disposal {
    let ReleaseMade { event, confirmed } = value;
    let state = match (&confirmed, event.detail.ends_at) {
        (Some(_), _) => "confirmed",
        (None, Some(by)) if by <= at => "overdue",
        (None, _) => "kept",
    };
    let (confirmed_at, external_ref) = confirmed.unzip();
    v1::Disposal {
        request: event.object,
        entry_index: event.detail.entry.unwrap_or_default(),
        recipient: event.detail.other.map(|other| other.to_string()).unwrap_or_default(),
        released_at: Some(convert::timestamp(event.at)),
        dispose_by: event.detail.ends_at.map(convert::timestamp),
        state: state.to_owned(),
        confirmed_at: confirmed_at.map(convert::timestamp),
        external_ref: external_ref.unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl RetentionService for Desk {
    async fn propose_erasure(
        &self,
        request: Request<v1::ProposeErasureRequest>,
    ) -> Result<Response<v1::ProposeErasureResponse>, Status> {
        let call = self.admit("RetentionService/ProposeErasure", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = ProposeErasure { id: incident(&call.message.incident_id)?, ground: ground(&call.message.ground)? };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(v1::ProposeErasureResponse { incident_id: done.object, receipt: done.receipt }))
    }

    async fn erase_incident(
        &self,
        request: Request<v1::EraseIncidentRequest>,
    ) -> Result<Response<v1::EraseIncidentResponse>, Status> {
        let call = self.admit("RetentionService/EraseIncident", request)?;
        let by = call.by(&call.message.request_id)?;
        let erase = EraseIncident {
            id: incident(&call.message.incident_id)?,
            ground: ground(&call.message.ground)?,
            only_due: !call.caller.has_any_role(&[VERIFIER]),
        };
        let done = call.exchange.erase(by, erase).await.map_err(failed)?;
        Ok(Response::new(v1::EraseIncidentResponse { incident_id: done.object, receipt: done.receipt }))
    }

    async fn list_due(&self, request: Request<v1::ListDueRequest>) -> Result<Response<v1::ListDueResponse>, Status> {
        let call = self.admit("RetentionService/ListDue", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let ((found, next_page_token), at) = call.exchange.due(page).await.map_err(failed)?;
        let incidents = found.into_iter().map(|one| due(one, at)).collect();
        Ok(Response::new(v1::ListDueResponse { incidents, next_page_token }))
    }

    async fn confirm_disposal(
        &self,
        request: Request<v1::ConfirmDisposalRequest>,
    ) -> Result<Response<v1::ConfirmDisposalResponse>, Status> {
        let call = self.admit("RetentionService/ConfirmDisposal", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = ConfirmDisposal {
            request: convert::field("request", &call.message.request, Question::parse).map_err(invalid)?,
            entry: call.message.entry_index,
            external_ref: convert::text("external_ref", &call.message.external_ref, 200).map_err(invalid)?,
        };
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(v1::ConfirmDisposalResponse { receipt: done.receipt }))
    }

    async fn list_disposals(
        &self,
        request: Request<v1::ListDisposalsRequest>,
    ) -> Result<Response<v1::ListDisposalsResponse>, Status> {
        let call = self.admit("RetentionService/ListDisposals", request)?;
        let filter = if call.message.outstanding { "outstanding" } else { "" };
        let page = call.page(call.message.page_size, &call.message.page_token, filter);
        let ((found, next_page_token), at) = call.exchange.disposals(page).await.map_err(failed)?;
        let disposals = found.into_iter().map(|one| disposal(one, at)).collect();
        Ok(Response::new(v1::ListDisposalsResponse { disposals, next_page_token }))
    }
}
