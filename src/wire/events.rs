//! `EventService`.

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::watch::{Shown, Watch};
use super::{Desk, convert};
use crate::domain::{EventId, check};
use crate::exchange::AcknowledgeEvents;
use crate::proto::v1::event_service_server::EventService;
use crate::proto::v1::{
    AcknowledgeEventsRequest, AcknowledgeEventsResponse, ListEventsRequest, ListEventsResponse, WatchEventsRequest,
};

#[tonic::async_trait]
impl EventService for Desk {
    type WatchEventsStream = Watch;

    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Result<Response<Watch>, Status> {
        let shown = Shown::of("EventService/WatchEvents", &request)?;
        let call = self.admit(shown.method(), request)?;
        let place = self.0.streams.open(call.caller.agency())?;
        let page = call.page(0, &call.message.cursor, "");
        Ok(Response::new(Watch::begin(self.clone(), shown, page, place).await?))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let call = self.admit("EventService/ListEvents", request)?;
        let page = call.page(call.message.page_size, &call.message.cursor, "");
        let found = call.exchange.events(page).await.map_err(failed)?;
        let events = found.events.into_iter().map(convert::event).collect();
        let next_cursor = if found.more { found.cursor } else { String::new() };
        Ok(Response::new(ListEventsResponse { events, next_cursor }))
    }

    async fn acknowledge_events(
        &self,
        request: Request<AcknowledgeEventsRequest>,
    ) -> Result<Response<AcknowledgeEventsResponse>, Status> {
        let call = self.admit("EventService/AcknowledgeEvents", request)?;
        let by = call.by(&call.message.request_id)?;
        let texts = &call.message.event_ids;
        check(!texts.is_empty(), "event_ids", "is required: at least one").map_err(invalid)?;
        check(texts.len() <= 200, "event_ids", "must be at most 200").map_err(invalid)?;
        let id = |(i, text): (usize, &String)| convert::field(&format!("event_ids[{i}]"), text, EventId::parse);
        let ids = texts.iter().enumerate().map(id).collect::<Result<_, _>>().map_err(invalid)?;
        let done = call.exchange.change(by, AcknowledgeEvents { ids }).await.map_err(failed)?;
        Ok(Response::new(AcknowledgeEventsResponse { receipt: done.receipt }))
    }
}
