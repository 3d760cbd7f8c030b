//! Events, each until its agency acknowledges it.

use crate::domain::{AgencyId, Event, EventId, EventKind, Instant};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, index, key_set, on, rows, sql, stored, to_json};

const EVENT: Table = Table {
    name: "event",
    columns: &["id", "agency", "kind", "object", "detail", "due_at", "placed"],
    // The same happening has the same id: it is an event once.
    keep_existing: true,
};

/// A state of the ledger and a time: which events are visible follows from the two alone, whatever clock or replica
/// is read by. An event is, from when the ledger is longer than at its writing and it is due.
///
/// INVARIANT: an event is not due before the last entry at its writing, and entries' times never decrease. So what was
/// not visible at a horizon is not due before that horizon's last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// How many entries there are.
    pub size: u64,
    /// When the last of them was made.
    pub head_at: Instant,
    /// The time, not before the last entry.
    pub at: Instant,
}

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
    /// The present horizon at a time that is not before the last entry.
    pub async fn horizon(&mut self, at: Instant) -> Result<Horizon> {
        let (size, head_at) = self.size().await?;
        Ok(Horizon { size, head_at, at })
    }

    /// The agency's events that are within one horizon and were not within an earlier one, and are not acknowledged,
    /// after a place, the oldest first.
    pub async fn events_between(
        &mut self,
        agency: &AgencyId,
        (seen, to): (&Horizon, &Horizon),
        after: (Instant, &str),
        most: i64,
    ) -> Result<Vec<Event>> {
        // What was placed since is not due before the last entry then; nor is what was placed before and came due since.
        let after = if after.0 < seen.head_at { (seen.head_at.micros(), "") } else { (after.0.micros(), after.1) };
        let (seen_size, seen_at) = (stored(seen.size), seen.at.micros());
        let (size, at) = (stored(to.size), to.at.micros());
        rows!(self, sql::EVENTS_BETWEEN, Row, agency.as_str(), at, after.0, after.1, most, size, seen_size, seen_at)
            .into_iter()
            .map(event)
            .collect()
    }

    /// How many nudges are due and not acknowledged, by kind.
    pub async fn nudges_due(&mut self, at: Instant) -> Result<Vec<(EventKind, u64)>> {
        let found = rows!(self, sql::NUDGES_DUE, (String, i64), at.micros());
        let counted = |(kind, count): (String, i64)| {
            let known = EventKind::parse(&kind).ok_or_else(|| inconsistent("event", &kind, "is an unknown kind"))?;
            Ok((known, index(count)))
        };
        found.into_iter().map(counted).collect()
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
            event.object.as_str().into(),
            to_json("event", &event.detail)?.into(),
        ];
        Ok(Self::place(&EVENT, row, event.at.micros()))
    }

    /// Notes that an agency has dealt with an event.
    pub(crate) fn acknowledge(id: &EventId, at: Instant) -> Self {
        Self::change_any("event", sql::ACKNOWLEDGE_EVENT, vec![at.micros().into(), id.as_str().into()])
    }

    /// Takes back an event that no longer applies.
    pub(crate) fn drop_event(id: &EventId) -> Self {
        Self::drop_events_by_id(std::slice::from_ref(id))
    }

    /// Takes back events that no longer apply.
    pub(crate) fn drop_events_by_id(ids: &[EventId]) -> Self {
        Self::change_any("event", sql::DROP_EVENTS_BY_ID, vec![key_set(ids.iter().map(EventId::as_str)).into()])
    }

    /// Takes back the events about a record: they no longer apply.
    pub(crate) fn drop_events(object: &str) -> Self {
        Self::change_any("event", sql::DROP_EVENTS, vec![object.into()])
    }
}
