//! `WrongfulReleaseService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{ConsentId, DisclosureId, Invalid, WRONGFUL_CAUSES, WrongfulReleaseId, check};
use crate::exchange::{CloseWrongfulRelease, ReportWrongfulRelease, Wrongful};
use crate::proto::v1::wrongful_release_service_server::WrongfulReleaseService;
use crate::proto::v1::{
    CloseWrongfulReleaseRequest, CloseWrongfulReleaseResponse, GetWrongfulReleaseRequest, GetWrongfulReleaseResponse,
    ListWrongfulReleasesRequest, ListWrongfulReleasesResponse, ReportWrongfulReleaseRequest,
    ReportWrongfulReleaseResponse,
};

/// How many releases one report names, and how many disclosures made elsewhere.
const MOST_NAMED: usize = 64;

fn report(message: &ReportWrongfulReleaseRequest) -> Result<ReportWrongfulRelease, Invalid> {
    let cause = convert::required("cause", &message.cause, 64)?;
    let problem = || format!("must be one of {}", WRONGFUL_CAUSES.join(", "));
    check(WRONGFUL_CAUSES.contains(&cause.as_str()), "cause", problem())?;
    let consent = convert::optional("consent_id", &message.consent_id, ConsentId::parse)?;
    let (indexes, ids) = (&message.receipt_indexes, &message.disclosure_ids);
    check(indexes.len() <= MOST_NAMED, "receipt_indexes", "must be at most 64")?;
    check(ids.len() <= MOST_NAMED, "disclosure_ids", "must be at most 64")?;
    let id = |(i, text): (usize, &String)| convert::field(&format!("disclosure_ids[{i}]"), text, DisclosureId::parse);
    let disclosures: BTreeSet<DisclosureId> = ids.iter().enumerate().map(id).collect::<Result<_, _>>()?;
    let about = if let Some(consent) = consent {
        let problem = "must be empty where a consent is named";
        check(indexes.is_empty(), "receipt_indexes", problem)?;
        check(ids.is_empty(), "disclosure_ids", problem)?;
        Wrongful::Consent(consent)
    } else {
        let problem = "or disclosure_ids or a consent_id is required";
        check(!indexes.is_empty() || !ids.is_empty(), "receipt_indexes", problem)?;
        Wrongful::Named { indexes: indexes.iter().copied().collect(), disclosures }
    };
    Ok(ReportWrongfulRelease { cause, about, aware_at: convert::instant("aware_at", message.aware_at)? })
}

fn id(text: &str) -> Result<WrongfulReleaseId, Invalid> {
    convert::field("wrongful_release_id", text, WrongfulReleaseId::parse)
}

fn close(message: &CloseWrongfulReleaseRequest) -> Result<CloseWrongfulRelease, Invalid> {
    Ok(CloseWrongfulRelease {
        id: id(&message.wrongful_release_id)?,
        reason: convert::text("reason", message.reason.trim(), 500)?,
        lift: message.lift_freeze,
    })
}

#[tonic::async_trait]
impl WrongfulReleaseService for Desk {
    async fn report_wrongful_release(
        &self,
        request: Request<ReportWrongfulReleaseRequest>,
    ) -> Result<Response<ReportWrongfulReleaseResponse>, Status> {
        let call = self.admit("WrongfulReleaseService/ReportWrongfulRelease", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = report(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (wrongful_release_id, receipt) = (done.object, done.receipt);
        Ok(Response::new(ReportWrongfulReleaseResponse { wrongful_release_id, receipt }))
    }

    async fn get_wrongful_release(
        &self,
        request: Request<GetWrongfulReleaseRequest>,
    ) -> Result<Response<GetWrongfulReleaseResponse>, Status> {
        let call = self.admit("WrongfulReleaseService/GetWrongfulRelease", request)?;
        let id = id(&call.message.wrongful_release_id).map_err(invalid)?;
        let view = call.exchange.wrongful_release(call.caller.agency().clone(), id).await.map_err(failed)?;
        let wrongful_release = Some(convert::wrongful_view(view));
        Ok(Response::new(GetWrongfulReleaseResponse { wrongful_release }))
    }

    async fn list_wrongful_releases(
        &self,
        request: Request<ListWrongfulReleasesRequest>,
    ) -> Result<Response<ListWrongfulReleasesResponse>, Status> {
        let call = self.admit("WrongfulReleaseService/ListWrongfulReleases", request)?;
        let page = call.page(call.message.page_size, &call.message.page_token, "");
        let (found, next_page_token) = call.exchange.wrongful_releases(page).await.map_err(failed)?;
        let wrongful_releases = found.iter().map(convert::wrongful_release).collect();
        Ok(Response::new(ListWrongfulReleasesResponse { wrongful_releases, next_page_token }))
    }

    async fn close_wrongful_release(
        &self,
        request: Request<CloseWrongfulReleaseRequest>,
    ) -> Result<Response<CloseWrongfulReleaseResponse>, Status> {
        let call = self.admit("WrongfulReleaseService/CloseWrongfulRelease", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = close(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (wrongful_release_id, receipt) = (done.object, done.receipt);
        Ok(Response::new(CloseWrongfulReleaseResponse { wrongful_release_id, receipt }))
    }
}
