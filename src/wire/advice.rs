//! `AdviceService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, convert};
use crate::domain::{
    Belief, ClauseId, IncidentId, Instant, Invalid, Means, NcscCategory, RecommendationId, Uptake, check,
};
use crate::exchange::{RecordOutcome, RecordRecommendation, RecordReminder, SetCategory, StatedReminder, wording};
use crate::proto::v1::advice_service_server::AdviceService;
use crate::proto::v1::{
    GetCategoryRequest, GetCategoryResponse, ListRecommendationsRequest, ListRecommendationsResponse,
    ListRemindersRequest, ListRemindersResponse, RecordOutcomeRequest, RecordOutcomeResponse,
    RecordRecommendationRequest, RecordRecommendationResponse, RecordReminderRequest, RecordReminderResponse,
    SetCategoryRequest, SetCategoryResponse, ShowWordingRequest, ShowWordingResponse,
};

/// The answer to a request at a time, from the data of this program alone: what a node says, and what the command says
/// without one.
pub fn show_wording(request: &ShowWordingRequest, now: Instant) -> Result<ShowWordingResponse, Invalid> {
    let as_of = convert::instant("as_of", request.as_of)?.unwrap_or(now);
    Ok(ShowWordingResponse { wording: wording(as_of).map(convert::wording) })
}

fn stated(message: &RecordReminderRequest) -> Result<StatedReminder, Invalid> {
    let unset =
        |holds: bool, field: &str| check(holds, field, format!("goes with another state than `{}`", message.state));
    match message.state.as_str() {
        "given" => {
            unset(message.reason.is_empty(), "reason")?;
            Ok(StatedReminder::Given {
                at: convert::required_instant("given_at", message.given_at)?,
                channel: convert::field("channel", &message.channel, Means::parse)?,
                digest: convert::digest("wording_digest", &message.wording_digest)?,
            })
        }
        "not-possible" => {
            unset(message.given_at.is_none(), "given_at")?;
            unset(message.channel.is_empty(), "channel")?;
            unset(message.wording_digest.is_empty(), "wording_digest")?;
            Ok(StatedReminder::NotPossible { reason: convert::required("reason", &message.reason, 1_000)? })
        }
        _ => Err(Invalid::new("state", "must be `given` or `not-possible`")),
    }
}

fn reminder(message: &RecordReminderRequest) -> Result<RecordReminder, Invalid> {
    let incident = convert::field("incident_id", &message.incident_id, IncidentId::parse)?;
    Ok(RecordReminder { incident, stated: stated(message)? })
}

fn recommendation(message: &RecordRecommendationRequest) -> Result<RecordRecommendation, Invalid> {
    Ok(RecordRecommendation {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        clause: convert::field("clause", &message.clause, ClauseId::parse)?,
        belief: convert::optional("belief", &message.belief, Belief::parse)?,
        words: convert::text("words", &message.words, 2_000)?,
        channel: convert::field("channel", &message.channel, Means::parse)?,
        made_at: convert::required_instant("made_at", message.made_at)?,
    })
}

fn outcome(message: &RecordOutcomeRequest) -> Result<RecordOutcome, Invalid> {
    Ok(RecordOutcome {
        id: convert::field("recommendation_id", &message.recommendation_id, RecommendationId::parse)?,
        uptake: convert::field("outcome", &message.outcome, Uptake::parse)?,
        at: convert::required_instant("outcome_at", message.outcome_at)?,
    })
}

fn category(message: &SetCategoryRequest) -> Result<SetCategory, Invalid> {
    Ok(SetCategory {
        incident: convert::field("incident_id", &message.incident_id, IncidentId::parse)?,
        category: convert::field("category", &message.category, NcscCategory::parse)?,
    })
}

#[tonic::async_trait]
impl AdviceService for Desk {
    async fn show_wording(
        &self,
        request: Request<ShowWordingRequest>,
    ) -> Result<Response<ShowWordingResponse>, Status> {
        let call = self.admit("AdviceService/ShowWording", request)?;
        let now = call.exchange.time().await.map_err(failed)?;
        Ok(Response::new(show_wording(&call.message, now).map_err(invalid)?))
    }

    async fn record_reminder(
        &self,
        request: Request<RecordReminderRequest>,
    ) -> Result<Response<RecordReminderResponse>, Status> {
        let call = self.admit("AdviceService/RecordReminder", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = reminder(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RecordReminderResponse { version: done.version, receipt: done.receipt }))
    }

    async fn list_reminders(
        &self,
        request: Request<ListRemindersRequest>,
    ) -> Result<Response<ListRemindersResponse>, Status> {
        let call = self.admit("AdviceService/ListReminders", request)?;
        let filter = if call.message.due_only { "due" } else { "" };
        let page = call.page(call.message.page_size, &call.message.page_token, filter);
        let (found, next_page_token) = call.exchange.reminders(page).await.map_err(failed)?;
        let reminders = found.into_iter().map(convert::reminder).collect();
        Ok(Response::new(ListRemindersResponse { reminders, next_page_token }))
    }

    async fn record_recommendation(
        &self,
        request: Request<RecordRecommendationRequest>,
    ) -> Result<Response<RecordRecommendationResponse>, Status> {
        let call = self.admit("AdviceService/RecordRecommendation", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = recommendation(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        let (recommendation_id, receipt) = (done.object, done.receipt);
        Ok(Response::new(RecordRecommendationResponse { recommendation_id, receipt }))
    }

    async fn record_outcome(
        &self,
        request: Request<RecordOutcomeRequest>,
    ) -> Result<Response<RecordOutcomeResponse>, Status> {
        let call = self.admit("AdviceService/RecordOutcome", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = outcome(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(RecordOutcomeResponse { version: done.version, receipt: done.receipt }))
    }

    async fn list_recommendations(
        &self,
        request: Request<ListRecommendationsRequest>,
    ) -> Result<Response<ListRecommendationsResponse>, Status> {
        let call = self.admit("AdviceService/ListRecommendations", request)?;
        let incident = convert::optional("incident_id", &call.message.incident_id, IncidentId::parse);
        let filter = incident.map_err(invalid)?.map(|id| id.to_string()).unwrap_or_default();
        let page = call.page(call.message.page_size, &call.message.page_token, &filter);
        let (found, next_page_token) = call.exchange.recommendations(page).await.map_err(failed)?;
        let recommendations = found.into_iter().map(convert::recommendation).collect();
        Ok(Response::new(ListRecommendationsResponse { recommendations, next_page_token }))
    }

    async fn set_category(
        &self,
        request: Request<SetCategoryRequest>,
    ) -> Result<Response<SetCategoryResponse>, Status> {
        let call = self.admit("AdviceService/SetCategory", request)?;
        let by = call.by(&call.message.request_id)?;
        let change = category(&call.message).map_err(invalid)?;
        let done = call.exchange.change(by, change).await.map_err(failed)?;
        Ok(Response::new(SetCategoryResponse { version: done.version, receipt: done.receipt }))
    }

    async fn get_category(
        &self,
        request: Request<GetCategoryRequest>,
    ) -> Result<Response<GetCategoryResponse>, Status> {
        let call = self.admit("AdviceService/GetCategory", request)?;
        let id = convert::field("incident_id", &call.message.incident_id, IncidentId::parse).map_err(invalid)?;
        let found = call.exchange.category(call.caller.agency().clone(), id).await.map_err(failed)?;
        Ok(Response::new(GetCategoryResponse { category: found.as_ref().map(convert::categorisation) }))
    }
}
