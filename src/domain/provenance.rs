//! Where material came from, and what passing it on takes.
//!
//! Each release hands over the whole chain, with itself at the end. So whoever holds a copy can say whose permission it
//! needs, and nobody between can take a restriction off: a round trip only makes the chain longer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgencyId, AgreementId, Category, Instant, Invalid, Markings, PermissionId, Purpose, Reference, check};

/// Whether a recipient may pass on what it gets; the first is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Onward {
    /// Not at all.
    #[default]
    No,
    /// With permission of the agencies that the agreement names and within the organisation's consent.
    WithConsent,
    /// Freely.
    Yes,
}

/// Whose permission an agreement asks for before what was released under it is passed on; the first is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionRule {
    /// That of the agency that released it, and the originator's.
    #[default]
    Chain,
    /// The originator's alone.
    Originator,
}

/// The scope of the consent that a release relied on. It is not the consent: who signed what stays with the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentTerms {
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// Whether for enforcement against the organisation.
    pub enforcement: bool,
    /// Whether it may be passed on.
    pub onward: bool,
    /// Until when, exclusive.
    pub until: Instant,
}

impl ConsentTerms {
    /// What both allow.
    fn both(mut self, other: &Self) -> Self {
        self.purposes.retain(|purpose| other.purposes.contains(purpose));
        Self {
            purposes: self.purposes,
            enforcement: self.enforcement && other.enforcement,
            onward: self.onward && other.onward,
            until: self.until.min(other.until),
        }
    }
}

/// One release on the way of some material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Who released it.
    pub from: AgencyId,
    /// To whom.
    pub to: AgencyId,
    /// The reference by which the recipient knows it: it resolves for that agency alone, at `from`.
    pub reference: Reference,
    /// Under which agreements.
    pub agreements: BTreeSet<AgreementId>,
    /// Whose permission the agreements ask for before it is passed on.
    pub permission: PermissionRule,
    /// Whether it may be passed on.
    pub onward: Onward,
    /// The scope of the consent relied on; none where no clause asked for one.
    pub consent: Option<ConsentTerms>,
    /// The markings under which it was released.
    pub markings: Markings,
    /// What its recipient was obliged to.
    pub caveats: Vec<String>,
}

/// The chain of releases by which material came to its present holder: the originator's first.
///
/// INVARIANT: at least one passage; each begins with the agency that the one before ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provenance(Vec<Passage>);

impl Provenance {
    /// The longest chain that is carried.
    pub const MOST: usize = 16;

    /// Checks that the passages make one chain.
    pub fn new(passages: Vec<Passage>) -> Result<Self, Invalid> {
        check(!passages.is_empty(), "", "has no passage: it says nothing of where it came from")?;
        check(passages.len() <= Self::MOST, "", format!("must have at most {} passages", Self::MOST))?;
        let joined = passages.iter().zip(passages.iter().skip(1)).all(|(one, next)| one.to == next.from);
        check(joined, "", "is not one chain: each passage begins where the one before ended")?;
        check(passages.iter().all(|one| one.from != one.to), "", "has a passage from an agency to itself")?;
        Ok(Self(passages))
    }

    /// The chain with one more release, by the holder of what came `before`; by the originator where nothing did.
    #[must_use]
    pub fn extended(before: Option<&Self>, passage: Passage) -> Self {
        let mut passages = before.map(|chain| chain.0.clone()).unwrap_or_default();
        passages.push(passage);
        Self(passages)
    }

    /// Whether it is as long as a chain can be: then it ends here.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// Its passages, the originator's first.
    pub fn passages(&self) -> &[Passage] {
        &self.0
    }

    /// Who first put the information in.
    pub fn originator(&self) -> Option<&AgencyId> {
        self.0.first().map(|first| &first.from)
    }

    /// Who holds this copy.
    pub fn holder(&self) -> Option<&AgencyId> {
        self.0.last().map(|last| &last.to)
    }

    /// The most restrictive of the markings under which it was ever released.
    pub fn markings(&self) -> Option<Markings> {
        self.0.iter().map(|passage| passage.markings).reduce(Markings::combined)
    }

    /// The passages that bind a passing-on to an agency.
    ///
    /// What an agency released does not bind it when it comes back. To the originator, neither does a passage that ended
    /// there: it tells nobody's part that the originator does not know. To an earlier holder that is not the originator it
    /// does, since what was added on the way may be more than it had.
    fn binding<'a>(&'a self, to: &'a AgencyId) -> impl Iterator<Item = &'a Passage> {
        let is_originator = self.originator() == Some(to);
        self.0.iter().filter(move |passage| passage.from != *to && !(is_originator && passage.to == *to))
    }

    /// The agencies without whose permission its holder must not pass it on to another: every one in the chain whose
    /// agreement says so, and the originator. The holder decides for itself, and nobody permits what it is given itself.
    pub fn permissions_needed<'a>(&'a self, to: &'a AgencyId) -> BTreeSet<&'a AgencyId> {
        let of_passage = |passage: &Passage| match (passage.onward, passage.permission) {
            (Onward::Yes, _) => (false, false),
            (Onward::No | Onward::WithConsent, PermissionRule::Chain) => (true, true),
            (Onward::No | Onward::WithConsent, PermissionRule::Originator) => (false, true),
        };
        let mut needed = BTreeSet::new();
        for passage in self.binding(to) {
            let (discloser, originator) = of_passage(passage);
            needed.extend(discloser.then_some(&passage.from));
            needed.extend(self.originator().filter(|_| originator));
        }
        needed.retain(|agency| *agency != to && Some(*agency) != self.holder());
        needed
    }

    /// Whether it may be passed on at all: the strictest of what the passages say.
    pub fn onward(&self, to: &AgencyId) -> Onward {
        self.binding(to).map(|passage| passage.onward).min().unwrap_or(Onward::Yes)
    }

    /// What all consents that the chain relied on allow together; none where it relied on none.
    pub fn consent(&self, to: &AgencyId) -> Option<ConsentTerms> {
        let mut terms = self.binding(to).filter_map(|passage| passage.consent.as_ref());
        let first = terms.next()?.clone();
        Some(terms.fold(first, ConsentTerms::both))
    }

    /// Whether an agency released it under this reference.
    pub fn has(&self, from: &AgencyId, reference: &Reference) -> bool {
        self.0.iter().any(|passage| passage.from == *from && passage.reference == *reference)
    }
}

/// An upstream agency's permission to pass one material on, as its receipt showed it to the holder's node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The upstream agency's id for it.
    pub id: PermissionId,
    /// Whose permission.
    pub of: AgencyId,
    /// To whom it may be passed on.
    pub recipient: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// When the upstream agency's node showed it.
    pub shown_at: Instant,
    /// Until when the receipt lives, exclusive.
    pub until: Instant,
    /// When the upstream agency was seen to have withdrawn it.
    pub withdrawn_at: Option<Instant>,
}

impl Permission {
    /// How long a receipt of it lives: what bounds a withdrawal that nobody told this node of.
    pub const LIVES_MICROS: i64 = 60 * 60 * 1_000_000;

    /// Until when a receipt of this time lives at most.
    pub fn longest(shown_at: Instant) -> Instant {
        Instant::from_micros(shown_at.micros().saturating_add(Self::LIVES_MICROS))
    }

    /// Whether it seems to apply. This only picks which one the limits look at; they decide.
    pub(crate) fn seems_to_apply(&self, recipient: &AgencyId, purpose: &Purpose, at: Instant) -> bool {
        self.withdrawn_at.is_none()
            && (&self.recipient, &self.purpose) == (recipient, purpose)
            && self.shown_at <= at
            && at < self.until
    }
}

#[cfg(test)]
mod tests;
