//! Obligations.

use crate::domain::{AgencyId, ClauseId, IncidentId, Instant, Obligation, ObligationId};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, on, rows, sql};

const OBLIGATION: Table = Table {
    name: "obligation",
    columns: &["id", "holder", "recipient", "clause", "incident_id", "revision", "arose_at", "due_at"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    recipient: String,
    clause: String,
    incident_id: String,
    revision: i64,
    arose_at: i64,
    due_at: i64,
    offered_at: Option<i64>,
    done_at: Option<i64>,
}

fn obligation(row: Row) -> Obligation {
    Obligation {
        id: ObligationId::known(row.id),
        holder: AgencyId::known(row.holder),
        recipient: AgencyId::known(row.recipient),
        clause: ClauseId::known(row.clause),
        incident: IncidentId::known(row.incident_id),
        revision: row.revision,
        arose_at: Instant::from_micros(row.arose_at),
        due_at: Instant::from_micros(row.due_at),
        offered_at: row.offered_at.map(Instant::from_micros),
        done_at: row.done_at.map(Instant::from_micros),
    }
}

impl Reads {
    /// The holder's own obligations after an id; all, or those that are not done.
    pub async fn obligations(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        filter: &str,
    ) -> Result<Vec<Obligation>> {
        let found = rows!(self, sql::OBLIGATIONS, Row, holder.as_str(), after, most, filter);
        Ok(found.into_iter().map(obligation).collect())
    }

    /// The obligations about an incident.
    pub async fn obligations_of(&mut self, incident: &IncidentId) -> Result<Vec<Obligation>> {
        Ok(rows!(self, sql::OBLIGATIONS_OF, Row, incident.as_str()).into_iter().map(obligation).collect())
    }

    /// Whatever should have been done by now, whosever it is, the oldest first.
    pub async fn obligations_overdue(&mut self, at: Instant, most: i64) -> Result<Vec<Obligation>> {
        let found = rows!(self, sql::OBLIGATIONS_OVERDUE, Row, at.micros(), most);
        Ok(found.into_iter().map(obligation).collect())
    }
}

impl Write {
    /// Adds an obligation.
    pub(crate) fn obligation(obligation: &Obligation) -> Self {
        let row = vec![
            obligation.id.as_str().into(),
            obligation.holder.as_str().into(),
            obligation.recipient.as_str().into(),
            obligation.clause.as_str().into(),
            obligation.incident.as_str().into(),
            obligation.revision.into(),
            obligation.arose_at.micros().into(),
            obligation.due_at.micros().into(),
        ];
        Self::insert(&OBLIGATION, row)
    }

    /// Lets an obligation begin anew, for another revision.
    pub(crate) fn reopen_obligation(obligation: &Obligation) -> Self {
        let cells = vec![
            obligation.revision.into(),
            obligation.arose_at.micros().into(),
            obligation.due_at.micros().into(),
            obligation.id.as_str().into(),
        ];
        Self::change_one("obligation", sql::REOPEN_OBLIGATION, cells)
    }

    /// Notes that the recipient was told.
    pub(crate) fn obligation_offered(id: &ObligationId, at: Instant) -> Self {
        let cells = vec![at.micros().into(), id.as_str().into()];
        Self::change_one("obligation", sql::OBLIGATION_OFFERED, cells)
    }

    /// Notes that the recipient has fetched all that a clause obliges the holder to let it have of an incident; its
    /// event that this is overdue goes.
    pub(crate) fn obligation_done(incident: &IncidentId, clause: &ClauseId, revision: i64, at: Instant) -> [Self; 2] {
        let which = || vec![incident.as_str().into(), clause.as_str().into()];
        let mut cells = vec![at.micros().into()];
        cells.extend(which());
        cells.push(revision.into());
        [
            Self::change_any("obligation", sql::OBLIGATION_DONE, cells),
            Self::change_any("event", sql::DROP_DUTY_EVENTS, which()),
        ]
    }
}
