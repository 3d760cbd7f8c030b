//! Engagements, for tests about who may see them.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::deconfliction_service_client::DeconflictionServiceClient;
use tonic::Status;

use crate::builders::Held;
use crate::harness::{World, request_id};

/// Terms that say no more than they must.
pub(crate) fn plain_terms() -> v1::EngagementTerms {
    v1::EngagementTerms { unit: "desk".into(), contact: "+44 20 7946 0123".into(), ..v1::EngagementTerms::default() }
}

impl World {
    pub(crate) fn deconfliction(&self, agency: &str) -> DeconflictionServiceClient<OfficerChannel> {
        DeconflictionServiceClient::new(self.officer(agency, "dec", &["recorder", "authoriser"]))
    }

    pub(crate) fn engagement_with(&self, held: &Held) -> v1::DeclareEngagementRequest {
        v1::DeclareEngagementRequest {
            request_id: request_id(),
            incident_id: held.incident.clone(),
            since: self.in_seconds(-3_600),
            terms: Some(plain_terms()),
        }
    }

    /// The holder's engagement about an incident.
    pub(crate) async fn engaged(&self, held: &Held) -> String {
        let request = self.engagement_with(held);
        self.deconfliction(&held.holder).declare_engagement(request).await.unwrap().into_inner().engagement_id
    }

    /// Puts an engagement to the recipient for which the incident is held, for the purpose of the usual ask.
    pub(crate) async fn put_engagement(
        &self,
        held: &Held,
        engagement: &str,
    ) -> Result<v1::PutEngagementResponse, Status> {
        let request = v1::PutEngagementRequest {
            request_id: request_id(),
            engagement_id: engagement.into(),
            agency: held.recipient.clone(),
            purpose: self.ask(held).purpose,
        };
        Ok(self.deconfliction(&held.holder).put_engagement(request).await?.into_inner())
    }

    /// The same, and it is seen.
    pub(crate) async fn let_see(&self, held: &Held, engagement: &str) {
        let put = self.put_engagement(held, engagement).await.unwrap();
        assert_eq!(put.answer, "given", "{}", put.explanation);
    }

    pub(crate) async fn amend_engagement(&self, agency: &str, engagement: &str, terms: v1::EngagementTerms) {
        let (request_id, engagement_id) = (request_id(), engagement.to_owned());
        let request = v1::AmendEngagementRequest { request_id, engagement_id, terms: Some(terms) };
        self.deconfliction(agency).amend_engagement(request).await.unwrap();
    }

    pub(crate) async fn ask_victim(&self, agency: &str, engagement: &str, text: &str) {
        let request = v1::RecordAskOfVictimRequest {
            request_id: request_id(),
            engagement_id: engagement.into(),
            text: text.into(),
            ..v1::RecordAskOfVictimRequest::default()
        };
        self.deconfliction(agency).record_ask_of_victim(request).await.unwrap();
    }

    pub(crate) async fn end_engagement(&self, agency: &str, engagement: &str) -> Result<(), Status> {
        let request = v1::EndEngagementRequest { request_id: request_id(), engagement_id: engagement.into() };
        self.deconfliction(agency).end_engagement(request).await.map(drop)
    }

    /// What the agency sees.
    pub(crate) async fn meeting_list(&self, agency: &str) -> v1::ListDeconflictionResponse {
        let request = v1::ListDeconflictionRequest { page_size: 200, page_token: String::new() };
        self.deconfliction(agency).list_deconfliction(request).await.unwrap().into_inner()
    }

    /// The one organisation that the agency sees.
    #[track_caller]
    pub(crate) fn only_engaged(list: v1::ListDeconflictionResponse) -> v1::EngagedOrganisation {
        let [only] = <[_; 1]>::try_from(list.organisations).unwrap_or_else(|all| panic!("{} organisations", all.len()));
        only
    }
}
