//! What an agency must let another have.

use super::{AgencyId, ClauseId, IncidentId, Instant, ObligationId};

/// One notification that a duty obliges its holder to let another agency have.
///
/// Source of the one in the bundled agreements: NIS Regulations 2018, reg. 12(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// Its id.
    pub id: ObligationId,
    /// Whose duty it is.
    pub holder: AgencyId,
    /// Who must have it.
    pub recipient: AgencyId,
    /// The clause that says so.
    pub clause: ClauseId,
    /// The incident that was notified.
    pub incident: IncidentId,
    /// The revision that must pass.
    pub revision: i64,
    /// When it arose.
    pub arose_at: Instant,
    /// When it should be done.
    pub due_at: Instant,
    /// When the recipient was told that it may ask.
    pub offered_at: Option<Instant>,
    /// When the recipient had fetched all that the duty covers.
    pub done_at: Option<Instant>,
}

impl Obligation {
    /// Whether it should have been done by now.
    pub fn is_overdue(&self, at: Instant) -> bool {
        self.done_at.is_none() && self.due_at <= at
    }
}
