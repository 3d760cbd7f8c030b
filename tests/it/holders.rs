//! What a holder's officers do with requests, duties and events, for tests about them.

use concordat::client::OfficerChannel;
use concordat::proto::v1;
use concordat::proto::v1::WatchEventsResponse;
use concordat::proto::v1::duty_service_client::DutyServiceClient;
use concordat::proto::v1::event_service_client::EventServiceClient;
use concordat::proto::v1::inbox_service_client::InboxServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::offer_release_request::Offered;
use tonic::Status;

use crate::builders::{Held, wide_content};
use crate::harness::{World, request_id};

impl World {
    /// An incident that the ICO was notified of, unverified, with a reference for the recipient.
    pub(crate) async fn notified(&self, kind: &str, recipient: &str) -> Held {
        let organisation = self.register_organisation("ico", vec![]).await;
        let notification =
            v1::Notification { kind: kind.into(), received_at: self.in_seconds(-3_600), ..v1::Notification::default() };
        let registration = v1::RegisterIncidentRequest {
            notification: Some(notification),
            content: Some(wide_content()),
            ..self.incident_at(&organisation)
        };
        let registered = self.incidents("ico").register_incident(registration).await.unwrap().into_inner();
        self.hold_incident("ico", recipient, organisation, registered.incident_id).await
    }

    pub(crate) async fn verify_notification(&self, held: &Held, officer: &str) -> Result<(), Status> {
        let mut incidents = IncidentServiceClient::new(self.officer("ico", officer, &["recorder", "verifier"]));
        let request = v1::VerifyNotificationRequest { request_id: request_id(), incident_id: held.incident.clone() };
        incidents.verify_notification(request).await.map(|_| ())
    }

    /// An ask in the NCSC's functions as CSIRT.
    pub(crate) fn csirt_ask(&self, held: &Held) -> v1::RequestReleaseRequest {
        v1::RequestReleaseRequest { purpose: "nis-csirt".into(), ..self.ask(held) }
    }

    /// Lets so many seconds pass.
    pub(crate) fn later(&self, seconds: i64) {
        self.hand.advance_micros(seconds * 1_000_000);
    }

    /// The holder's inbox, as its authoriser.
    pub(crate) fn inbox(&self, agency: &str) -> InboxServiceClient<OfficerChannel> {
        InboxServiceClient::new(self.officer(agency, "aut", &["authoriser"]))
    }

    /// Everything in an agency's inbox.
    pub(crate) async fn received(&self, agency: &str) -> Vec<v1::ReceivedRequest> {
        let request = v1::ListReceivedRequestsRequest::default();
        self.inbox(agency).list_received_requests(request).await.unwrap().into_inner().requests
    }

    pub(crate) fn event_desk(&self, agency: &str) -> EventServiceClient<OfficerChannel> {
        EventServiceClient::new(self.officer(agency, "desk", &["requester", "authoriser"]))
    }

    /// What an agency is told to look at now.
    pub(crate) async fn events(&self, agency: &str) -> Vec<v1::Event> {
        let mut events = self.all_events(agency).await;
        // The review of an agreement that is in force in every test is overdue, and reminders are due of most incidents.
        events.retain(|event| event.kind != "review-due" && event.kind != "reminder-due");
        events
    }

    /// The same with the reviews and the reminders.
    pub(crate) async fn all_events(&self, agency: &str) -> Vec<v1::Event> {
        let request = v1::ListEventsRequest { page_size: 200, cursor: String::new() };
        self.event_desk(agency).list_events(request).await.unwrap().into_inner().events
    }

    /// Watches an agency's events from a cursor.
    pub(crate) async fn watch(
        &self,
        agency: &str,
        cursor: &str,
    ) -> Result<tonic::Streaming<WatchEventsResponse>, Status> {
        let request = v1::WatchEventsRequest { cursor: cursor.into() };
        Ok(self.event_desk(agency).watch_events(request).await?.into_inner())
    }

    /// What there is now after a cursor, and the cursor after it.
    pub(crate) async fn since(&self, agency: &str, cursor: &str) -> (Vec<v1::Event>, String) {
        let first = self.watch(agency, cursor).await.unwrap().message().await.unwrap().unwrap();
        (first.events, first.cursor)
    }

    /// The events of one kind.
    pub(crate) async fn events_of(&self, agency: &str, kind: &str) -> Vec<v1::Event> {
        let mut events = self.all_events(agency).await;
        events.retain(|event| event.kind == kind);
        events
    }

    pub(crate) async fn acknowledge(&self, agency: &str, ids: Vec<String>) -> Result<v1::Receipt, Status> {
        let request = v1::AcknowledgeEventsRequest { request_id: request_id(), event_ids: ids };
        Ok(self.event_desk(agency).acknowledge_events(request).await?.into_inner().receipt.unwrap())
    }

    /// Offers to answer a request.
    pub(crate) async fn offer(&self, holder: &str, request: &str) -> Result<v1::OfferReleaseResponse, Status> {
        self.offer_as(holder, Offered::Request(request.into())).await
    }

    /// Offers an incident that nobody asked for.
    pub(crate) async fn offer_incident(&self, held: &Held) -> Result<v1::OfferReleaseResponse, Status> {
        let ask = self.ask(held);
        let offered = v1::OfferedIncident {
            incident_id: held.incident.clone(),
            recipient: held.recipient.clone(),
            purpose: ask.purpose,
            categories: ask.categories,
        };
        self.offer_as(&held.holder, Offered::Incident(offered)).await
    }

    async fn offer_as(&self, holder: &str, offered: Offered) -> Result<v1::OfferReleaseResponse, Status> {
        let request = v1::OfferReleaseRequest { request_id: request_id(), offered: Some(offered) };
        Ok(self.inbox(holder).offer_release(request).await?.into_inner())
    }

    pub(crate) async fn decline(&self, holder: &str, request: &str) -> Result<v1::Receipt, Status> {
        let request = v1::DeclineRequestRequest { request_id: request_id(), request: request.into() };
        Ok(self.inbox(holder).decline_request(request).await?.into_inner().receipt.unwrap())
    }

    /// A preview of what the usual ask would get.
    pub(crate) async fn preview(&self, held: &Held, ground: &str) -> v1::PreviewReleaseResponse {
        self.preview_as(held, self.preview_request(held, ground)).await.unwrap()
    }

    pub(crate) fn preview_request(&self, held: &Held, ground: &str) -> v1::PreviewReleaseRequest {
        let ask = self.ask(held);
        v1::PreviewReleaseRequest {
            incident_id: held.incident.clone(),
            recipient: held.recipient.clone(),
            purpose: ask.purpose,
            categories: ask.categories,
            ground: ground.into(),
        }
    }

    pub(crate) async fn preview_as(
        &self,
        held: &Held,
        request: v1::PreviewReleaseRequest,
    ) -> Result<v1::PreviewReleaseResponse, Status> {
        Ok(self.inbox(&held.holder).preview_release(request).await?.into_inner())
    }

    pub(crate) fn duties(&self, agency: &str) -> DutyServiceClient<OfficerChannel> {
        DutyServiceClient::new(self.officer(agency, "aud", &["auditor"]))
    }

    /// What an agency must still let others have, or all that it ever had to.
    pub(crate) async fn obligations(&self, agency: &str, outstanding: bool) -> Vec<v1::Obligation> {
        let request = v1::ListObligationsRequest { outstanding, ..v1::ListObligationsRequest::default() };
        self.duties(agency).list_obligations(request).await.unwrap().into_inner().obligations
    }

    /// Marks one of the ICO's incidents TLP RED.
    pub(crate) async fn mark_red(&self, incident: &str) {
        let request = v1::GetIncidentRequest { incident_id: incident.into() };
        let present = self.incidents("ico").get_incident(request).await.unwrap().into_inner().incident.unwrap();
        let amend = v1::AmendIncidentRequest {
            request_id: request_id(),
            incident_id: incident.into(),
            etag: present.etag,
            markings: Some(v1::Markings { tlp: "red".into(), ..v1::Markings::default() }),
            content: present.content,
        };
        self.incidents("ico").amend_incident(amend).await.unwrap();
    }
}
