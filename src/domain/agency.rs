//! Agencies and their officers.

use serde::{Deserialize, Serialize};

use super::{AgencyId, OfficerId, Unit};

/// An agency of which this node holds records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// Where a caller can turn to when nothing was released: told to every caller alike.
    pub duty_desk: String,
    /// Where a recipient sends corrections.
    pub correction_contact: String,
}

/// Who asks, as far as another agency may know it: no officer's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The agency.
    pub agency: AgencyId,
    /// The officer's unit.
    pub unit: Unit,
    /// Stands for the officer.
    pub pseudonym: String,
}

impl From<&Actor> for Requester {
    fn from(actor: &Actor) -> Self {
        Self { agency: actor.agency.clone(), unit: actor.unit.clone(), pseudonym: actor.pseudonym.clone() }
    }
}

/// Who acts: one officer of one agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The agency.
    pub agency: AgencyId,
    /// The officer, as their own agency knows them.
    pub officer: OfficerId,
    /// The officer's unit, which other agencies may see.
    pub unit: Unit,
    /// Stands for the officer wherever another agency may read it.
    pub pseudonym: String,
}
