//! The holder's officer's decision to disclose.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    AgencyId, Ask, AuthorisationId, Category, Digest, Disclosure, Ground, Incident, IncidentId, Instant, Purpose,
};

/// An authorisation: incident at a revision × recipient × purposes × categories × ground, until, revocable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorisation {
    /// The holder's id.
    pub id: AuthorisationId,
    /// The holder.
    pub holder: AgencyId,
    /// The incident.
    pub incident: IncidentId,
    /// The revision that the officer saw.
    pub revision: i64,
    /// Whether later revisions are covered.
    pub covers_updates: bool,
    /// The receiving agency.
    pub recipient: AgencyId,
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// The legal power exercised.
    pub ground: Ground,
    /// When it was given.
    pub given_at: Instant,
    /// Until when, exclusive.
    pub valid_until: Instant,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// The digest of the preview that the officer saw: with it, nothing passes once anything else would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Digest>,
    /// In which form: whoever decided to let an anonymised record pass did not decide to name the organisation.
    #[serde(default = "organisation_specific", skip_serializing_if = "is_organisation_specific")]
    pub form: String,
}

fn organisation_specific() -> String {
    Ask::ORGANISATION_SPECIFIC.to_owned()
}

fn is_organisation_specific(form: &str) -> bool {
    form == Ask::ORGANISATION_SPECIFIC
}

impl Authorisation {
    /// Whether it still covers what was disclosed: it is not revoked, and its time was not over then. From when it counts
    /// doesn't matter.
    pub fn still_covers(&self, made: &Disclosure) -> bool {
        self.revoked_at.is_none()
            && made.at < self.valid_until
            && made.terms.categories.is_subset(&self.categories)
            && (made.revision == self.revision || (self.covers_updates && made.revision > self.revision))
    }

    /// Whether it seems to apply. This only picks which one the policies look at; they decide.
    pub(crate) fn seems_to_apply(
        &self,
        incident: &Incident,
        recipient: &AgencyId,
        purpose: &Purpose,
        at: Instant,
    ) -> bool {
        self.revoked_at.is_none()
            && (&self.holder, &self.recipient) == (&incident.holder, recipient)
            && self.given_at <= at
            && at < self.valid_until
            && self.purposes.contains(purpose)
            && self.incident == incident.id
            && (self.revision == incident.revision || (self.covers_updates && self.revision < incident.revision))
    }
}
