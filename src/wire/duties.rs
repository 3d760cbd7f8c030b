//! `DutyService`.

use tonic::{Request, Response, Status};

use super::status::failed;
use super::{Desk, convert};
use crate::exchange::ObligationView;
use crate::proto::v1::duty_service_server::DutyService;
use crate::proto::v1::{ListObligationsRequest, ListObligationsResponse, Obligation};

fn obligation(view: ObligationView) -> Obligation {
    let ObligationView { obligation, verified, overdue } = view;
    let state = match (obligation.done_at, obligation.offered_at, verified) {
        (Some(_), ..) => "done",
        (None, Some(_), _) => "offered",
        (None, None, true) => "verified",
        (None, None, false) => "unverified",
    };
    Obligation {
        id: obligation.id.to_string(),
        clause_id: obligation.clause.to_string(),
        incident_id: obligation.incident.to_string(),
        revision: obligation.revision,
        recipient: obligation.recipient.to_string(),
        state: state.to_owned(),
        arose_at: Some(convert::timestamp(obligation.arose_at)),
        due_at: Some(convert::timestamp(obligation.due_at)),
        offered_at: obligation.offered_at.map(convert::timestamp),
        done_at: obligation.done_at.map(convert::timestamp),
        overdue,
    }
}

#[tonic::async_trait]
impl DutyService for Desk {
    async fn list_obligations(
        &self,
        request: Request<ListObligationsRequest>,
    ) -> Result<Response<ListObligationsResponse>, Status> {
        let call = self.admit("DutyService/ListObligations", request)?;
        let filter = if call.message.outstanding { "outstanding" } else { "" };
        let page = call.page(call.message.page_size, &call.message.page_token, filter);
        let (found, next_page_token) = call.exchange.obligations(page).await.map_err(failed)?;
        let obligations = found.into_iter().map(obligation).collect();
        Ok(Response::new(ListObligationsResponse { obligations, next_page_token }))
    }
}
