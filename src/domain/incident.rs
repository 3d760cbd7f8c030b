//! The holder's record of an incident, without its content: content stays sealed until a permit is committed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AgencyId, Category, Digest, IncidentId, Instant, Invalid, Markings, OfficerId, OrganisationId, Provenance, check,
};

/// When an incident may have occurred: from, inclusive; until, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurred {
    /// The first instant.
    pub from: Instant,
    /// The instant by which it was over.
    pub until: Instant,
}

impl Occurred {
    /// A period that is not empty.
    pub fn new(from: Instant, until: Instant, until_field: &str) -> Result<Self, Invalid> {
        check(from < until, until_field, "must be later than the start")?;
        Ok(Self { from, until })
    }

    /// Whether the two periods share an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// A statutory notification that the organisation made of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The kind, such as `nis-rdsp`.
    pub kind: String,
    /// When the holder received it.
    pub received_at: Instant,
    /// Who recorded it.
    pub recorded_by: OfficerId,
    /// When another officer verified it.
    pub verified_at: Option<Instant>,
}

/// One revision of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The holder's id.
    pub id: IncidentId,
    /// The holder. Without a provenance it is also the originator.
    pub holder: AgencyId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// From 1; one more with every amendment.
    pub revision: i64,
    /// When it occurred.
    pub occurred: Occurred,
    /// Its markings.
    pub markings: Markings,
    /// The notification, if any.
    pub notification: Option<Notification>,
    /// The campaign it belongs to.
    pub campaign: Option<String>,
    /// Until when it is kept.
    pub retain_until: Instant,
    /// The categories of its content, each with SHA-256 over its salt and its content.
    pub categories: BTreeMap<Category, Digest>,
    /// The chain of releases by which it came, where another agency put the information in. Its last passage ended with
    /// the holder. No amendment changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

impl Incident {
    /// The incident against which an ask is decided when nothing is held, so that the work is the same.
    ///
    /// INVARIANT: it has no content, so nothing of it can be released, whatever permits it.
    pub fn placeholder(holder: &AgencyId) -> Self {
        Self {
            id: IncidentId::known("-"),
            holder: holder.clone(),
            organisation: OrganisationId::known("-"),
            revision: 1,
            occurred: Occurred { from: Instant::from_micros(0), until: Instant::MAX },
            markings: Markings::default(),
            notification: None,
            campaign: None,
            retain_until: Instant::MAX,
            categories: BTreeMap::new(),
            provenance: None,
        }
    }

    /// The markings that bind: the most restrictive of its own and of those under which it came.
    pub fn markings_in_force(&self) -> Markings {
        let came_under = self.provenance.as_ref().and_then(Provenance::markings);
        came_under.map_or(self.markings, |markings| self.markings.combined(markings))
    }

    /// Whether it stands where nothing was found. No incident that is held has its id.
    pub fn is_placeholder(&self) -> bool {
        self.id.as_str() == "-"
    }
}
