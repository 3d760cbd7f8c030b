//! Events, each until its agency acknowledges it.

use crate::domain::{AgencyId, Event, EventId, EventKind, Instant};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, rows, sql, to_json};

const EVENT: Table = Table {
    name: "event",
    columns: &["id", "agency", "kind", "due_at", "object", "detail"],
    // The same happening has the same id: it is an event once.
    keep_existing: true,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    agency: String,
    kind: String,
    due_at: i64,
    object: String,
    detail: String,
}

fn event(row: Row) -> Result<Event> {
    Ok(Event {
        kind: EventKind::parse(&row.kind).ok_or_else(|| inconsistent("event", &row.id, "has an unknown kind"))?,
        detail: from_json("event", &row.id, &row.detail)?,
        id: EventId::known(row.id),
        agency: AgencyId::known(row.agency),
        at: Instant::from_micros(row.due_at),
        object: row.object,
    })
}

impl Reads {
    /// The agency's events that are due at a time and not acknowledged, after a place, the oldest first.
    pub async fn events_due(
        &mut self,
        agency: &AgencyId,
        at: Instant,
        after: (Instant, &str),
        most: i64,
    ) -> Result<Vec<Event>> {
        let (after, id) = (after.0.micros(), after.1);
        rows!(self, sql::EVENTS_DUE, Row, agency.as_str(), at.micros(), after, id, most)
            .into_iter()
            .map(event)
            .collect()
    }

    /// The events with these ids, whosever they are.
    pub async fn events_by_id(&mut self, ids: &[EventId]) -> Result<Vec<Event>> {
        let set = key_set(ids.iter().map(EventId::as_str));
        rows!(self, sql::EVENTS_BY_ID, Row, set).into_iter().map(event).collect()
    }

    /// The events about these records, whosever they are, acknowledged or not.
    pub async fn events_of(&mut self, objects: &[&str]) -> Result<Vec<Event>> {
        let set = key_set(objects.iter().copied());
        rows!(self, sql::EVENTS_OF, Row, set).into_iter().map(event).collect()
    }

    /// The requests that match records of the holder's, after a place, each with when it first did.
    pub async fn received(
        &mut self,
        holder: &AgencyId,
        after: (Instant, &str),
        most: i64,
    ) -> Result<Vec<(String, Instant)>> {
        let (after, id) = (after.0.micros(), after.1);
        let found = rows!(self, sql::RECEIVED, (String, i64), holder.as_str(), after, id, most);
        Ok(found.into_iter().map(|(id, at)| (id, Instant::from_micros(at))).collect())
    }
}

impl Write {
    /// Adds an event, unless it is there.
    pub(crate) fn event(event: &Event) -> Result<Self> {
        let row = vec![
            event.id.as_str().into(),
            event.agency.as_str().into(),
            event.kind.as_str().into(),
            event.at.micros().into(),
            event.object.as_str().into(),
            to_json("event", &event.detail)?.into(),
        ];
        Ok(Self::insert(&EVENT, row))
    }

    /// Notes that an agency has dealt with an event.
    pub(crate) fn acknowledge(id: &EventId, at: Instant) -> Self {
        Self::change_any("event", sql::ACKNOWLEDGE_EVENT, vec![at.micros().into(), id.as_str().into()])
    }

    /// Takes back the events about a record: they no longer apply.
    pub(crate) fn drop_events(object: &str) -> Self {
        Self::change_any("event", sql::DROP_EVENTS, vec![object.into()])
    }
}
