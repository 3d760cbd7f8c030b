//! Releases that should not have been.

use std::collections::{BTreeMap, BTreeSet};

use super::{AgencyId, Disclosure, IncidentId, Instant, OfficerId, WrongfulReleaseId};

/// What a wrongful release can have come of.
pub const WRONGFUL_CAUSES: [&str; 4] = ["consent-entered-in-error", "wrong-match", "wrong-recipient", "other"];

/// Within how many hours a personal-data breach is notified, counted from when the controller became aware of it.
///
/// Source: UK GDPR Art. 33(1). Whether this was such a breach is not for this program to say.
pub const BREACH_HOURS: i64 = 72;

/// What was disclosed wrongly, and where putting that right stands.
#[derive(Debug, Clone)]
pub struct WrongfulRelease {
    /// Its id.
    pub id: WrongfulReleaseId,
    /// Who disclosed.
    pub holder: AgencyId,
    /// One of [`WRONGFUL_CAUSES`].
    pub cause: String,
    /// Who reported it.
    pub reported_by: OfficerId,
    /// When.
    pub reported_at: Instant,
    /// When the holder became aware.
    pub aware_at: Instant,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// When the freeze was lifted.
    pub lifted_at: Option<Instant>,
    /// Why it was closed although notices were outstanding.
    pub reason: String,
    /// What was disclosed wrongly.
    pub about: Vec<Disclosure>,
}

impl WrongfulRelease {
    /// When the holder's own breach clock, if it runs, is over.
    pub fn breach_due_at(&self) -> Instant {
        self.aware_at.plus_seconds(BREACH_HOURS * 3_600)
    }

    /// To whom which incidents are not released until the freeze is lifted.
    pub fn freezes(&self) -> BTreeSet<(IncidentId, AgencyId)> {
        self.about.iter().map(|made| (made.incident.clone(), made.recipient.clone())).collect()
    }

    /// As the cause of a notice.
    pub fn cause_of(id: &WrongfulReleaseId) -> String {
        format!("wrongful-release {id}")
    }
}

/// To whom an incident is not released for now: by what, and since when.
pub type Frozen = BTreeMap<AgencyId, BTreeMap<WrongfulReleaseId, Instant>>;

/// Since when an incident is not released to an agency.
pub fn frozen_since(frozen: &Frozen, recipient: &AgencyId) -> Option<Instant> {
    frozen.get(recipient).and_then(|by| by.values().min().copied())
}
