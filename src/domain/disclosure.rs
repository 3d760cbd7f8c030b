//! What left a holder: a release, or a disclosure made elsewhere that an officer recorded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    AgencyId, AuthorisationId, Category, ClauseId, ConsentId, DisclosureId, Ground, IncidentId, Instant, Means,
    PermissionId, Purpose, Reference,
};

/// One incident that one agency was given something of.
///
/// However often the same is released on the same terms, it is one disclosure: asking again for the same adds none that a
/// withdrawal would have to look at. Asking for other categories does, as often as those that are released differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// Its id; unique with its incident.
    pub id: DisclosureId,
    /// Who disclosed.
    pub holder: AgencyId,
    /// Who received: any agency, known here or not.
    pub recipient: AgencyId,
    /// The holder's incident.
    pub incident: IncidentId,
    /// The revision that was disclosed; the present one when a disclosure made elsewhere was recorded.
    pub revision: i64,
    /// The entry of the first release. None: it was made elsewhere.
    pub index: Option<u64>,
    /// When, first.
    pub at: Instant,
    /// The rest.
    pub terms: DisclosureTerms,
}

/// On what a disclosure rested, and what it gave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DisclosureTerms {
    /// For which purpose, where it was a release.
    pub purpose: Option<Purpose>,
    /// Whether for enforcement against the organisation.
    pub enforcement: bool,
    /// Whether the recipient was told that it may ask to pass it on.
    pub onward: bool,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// Under which clauses.
    pub clauses: BTreeSet<ClauseId>,
    /// The consent that it relied on, at its version.
    pub consent: Option<(ConsentId, i64)>,
    /// The authorisation that it relied on.
    pub authorisation: Option<AuthorisationId>,
    /// The upstream agencies' permissions that it relied on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub permissions: BTreeSet<PermissionId>,
    /// Whether it was an anonymised record. Then nothing is said of it that would tell which incident it was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anonymised: bool,
    /// The recipient's reference, where it was a release of content.
    pub reference: Option<Reference>,
    /// How it was made, where it was made elsewhere.
    pub elsewhere: Option<Elsewhere>,
}

/// How a disclosure was made that no release made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Such as `telephone` or `meeting`.
    pub means: Means,
    /// On which ground.
    pub ground: Ground,
    /// Which officer disclosed; empty once that is erased.
    pub officer: String,
    /// For which purposes it may have been: those of the consent that it relied on. Nobody wrote down which one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<Purpose>,
}
