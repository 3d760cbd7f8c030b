//! Reminders, recommendations and categories, for tests about them.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::advice_service_client::AdviceServiceClient;
use tonic::Status;

use crate::builders::Held;
use crate::harness::{World, request_id};

pub(crate) const NOTIFYING: &str = "ico-ncsc-2023/recommend-notifying";
pub(crate) const ENGAGING: &str = "ico-nca-2024/recommend-engaging";
pub(crate) const SUSPECTED: &str = "suspected-nationally-significant";

impl World {
    pub(crate) fn advice(&self, agency: &str) -> AdviceServiceClient<OfficerChannel> {
        AdviceServiceClient::new(self.officer(agency, "rec", &["recorder", "auditor"]))
    }

    pub(crate) async fn wording(&self) -> v1::ReminderWording {
        let request = v1::ShowWordingRequest::default();
        self.advice("ncsc").show_wording(request).await.unwrap().into_inner().wording.unwrap()
    }

    /// That the organisation was told the wording of now on the telephone.
    pub(crate) async fn reminder_of(&self, held: &Held) -> v1::RecordReminderRequest {
        v1::RecordReminderRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            state: "given".into(),
            given_at: self.in_seconds(-60),
            channel: "telephone".into(),
            wording_digest: self.wording().await.digest,
            reason: String::new(),
        }
    }

    /// That it could not be told.
    #[expect(clippy::unused_self, reason = "a builder beside the others")]
    pub(crate) fn no_reminder_of(&self, held: &Held, reason: &str) -> v1::RecordReminderRequest {
        v1::RecordReminderRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            state: "not-possible".into(),
            reason: reason.into(),
            ..v1::RecordReminderRequest::default()
        }
    }

    pub(crate) async fn record_reminder(
        &self,
        held: &Held,
        request: v1::RecordReminderRequest,
    ) -> Result<v1::RecordReminderResponse, Status> {
        Ok(self.advice(&held.holder).record_reminder(request).await?.into_inner())
    }

    /// The incidents of an agency with the states of their reminders, the last registered first.
    pub(crate) async fn reminders(&self, agency: &str, due_only: bool) -> Vec<(String, String)> {
        let request = v1::ListRemindersRequest { due_only, ..v1::ListRemindersRequest::default() };
        let listed = self.advice(agency).list_reminders(request).await.unwrap().into_inner().reminders;
        listed.into_iter().map(|one| (one.incident_id, one.state)).collect()
    }

    /// A recommendation of the ICO's to the organisation of one of its incidents, by telephone.
    pub(crate) fn recommendation(&self, held: &Held, clause: &str) -> v1::RecordRecommendationRequest {
        let believes = clause == NOTIFYING;
        v1::RecordRecommendationRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            clause: clause.into(),
            belief: if believes { SUSPECTED.into() } else { String::new() },
            words: if believes { "water for two counties".into() } else { String::new() },
            channel: "telephone".into(),
            made_at: self.in_seconds(-60),
        }
    }

    pub(crate) async fn recommend(
        &self,
        held: &Held,
        request: v1::RecordRecommendationRequest,
    ) -> Result<String, Status> {
        Ok(self.advice(&held.holder).record_recommendation(request).await?.into_inner().recommendation_id)
    }

    /// Records what came of a recommendation, as of now.
    pub(crate) async fn outcome_of(
        &self,
        agency: &str,
        recommendation: &str,
        outcome: &str,
    ) -> Result<v1::RecordOutcomeResponse, Status> {
        let request = v1::RecordOutcomeRequest {
            request_id: request_id(),
            recommendation_id: recommendation.into(),
            outcome: outcome.into(),
            outcome_at: self.in_seconds(0),
        };
        Ok(self.advice(agency).record_outcome(request).await?.into_inner())
    }

    /// The agency's recommendations about an incident, or (empty) all; the last first.
    pub(crate) async fn recommendations(&self, agency: &str, incident: &str) -> Vec<v1::Recommendation> {
        let request = v1::ListRecommendationsRequest { incident_id: incident.into(), ..<_>::default() };
        self.advice(agency).list_recommendations(request).await.unwrap().into_inner().recommendations
    }

    pub(crate) async fn set_category(&self, held: &Held, category: &str) -> Result<v1::SetCategoryResponse, Status> {
        let (request_id, incident_id) = (request_id(), held.incident.clone());
        let request = v1::SetCategoryRequest { request_id, incident_id, category: category.into() };
        Ok(self.advice(&held.holder).set_category(request).await?.into_inner())
    }

    /// The category of an incident; empty if it was given none.
    pub(crate) async fn category(&self, agency: &str, incident: &str) -> Result<String, Status> {
        let request = v1::GetCategoryRequest { incident_id: incident.into() };
        let found = self.advice(agency).get_category(request).await?.into_inner().category;
        Ok(found.map(|found| found.category).unwrap_or_default())
    }

    /// All by which an agency could tell that another one advised an organisation: its entries, its events, and whatever
    /// it can list.
    pub(crate) async fn advised(&self, agency: &str) -> String {
        let page = v1::ListEntriesRequest { page_size: 200, page_token: String::new() };
        let entries = self.ledger(agency).list_entries(page).await.unwrap().into_inner().receipts;
        let indexes: Vec<u64> = entries.iter().map(|receipt| receipt.index).collect();
        let events: Vec<_> = self.all_events(agency).await.into_iter().map(|event| (event.id, event.kind)).collect();
        let recommendations: Vec<_> = self.recommendations(agency, "").await.into_iter().map(|one| one.id).collect();
        format!("{indexes:?} {events:?} {:?} {recommendations:?}", self.reminders(agency, false).await)
    }
}
