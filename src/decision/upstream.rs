//! What came from another agency: whose permission passing it on takes, and which of them were shown.

use std::collections::{BTreeMap, BTreeSet};

use super::Match;
use crate::domain::{AgencyId, Ask, Category, ConsentTerms, Instant, Onward, Permission, PermissionId, Provenance};

/// The chain of a match, as one ask meets it.
pub(super) struct Upstream<'a> {
    chain: &'a Provenance,
    to: &'a AgencyId,
    needed: BTreeSet<&'a AgencyId>,
    shown: BTreeMap<&'a AgencyId, &'a Permission>,
}

impl Match {
    /// The chain by which the incident came; none where its holder is the originator.
    ///
    /// Of each agency whose permission is needed, the permission that the limits look at: the one that seems to apply
    /// and permits most, else the newest. A wrong choice here can only deny: the limits check every condition again.
    pub(super) fn upstream<'a>(&'a self, ask: &'a Ask, at: Instant) -> Option<Upstream<'a>> {
        let chain = self.incident.provenance.as_ref()?;
        let to = &ask.requester.agency;
        let needed = chain.permissions_needed(to);
        let best = |agency: &'a AgencyId| {
            let of = self.permissions.iter().filter(|shown| shown.of == *agency);
            let best = of.max_by_key(|shown| {
                let applies = shown.seems_to_apply(to, &ask.purpose, at);
                (applies, shown.categories.intersection(&ask.categories).count(), shown.shown_at, shown.id.clone())
            });
            best.map(|shown| (agency, shown))
        };
        let shown = needed.iter().filter_map(|agency| best(agency)).collect();
        Some(Upstream { chain, to, needed, shown })
    }
}

impl Upstream<'_> {
    pub(super) fn is_full(&self) -> bool {
        self.chain.is_full()
    }

    pub(super) fn onward(&self) -> Onward {
        self.chain.onward(self.to)
    }

    pub(super) fn consent(&self) -> Option<ConsentTerms> {
        self.chain.consent(self.to)
    }

    pub(super) fn needed(&self) -> impl Iterator<Item = &AgencyId> {
        self.needed.iter().copied()
    }

    pub(super) fn shown(&self) -> impl Iterator<Item = &Permission> {
        self.shown.values().copied()
    }

    /// From when all of them count.
    pub(super) fn shown_at(&self) -> Instant {
        self.shown().map(|shown| shown.shown_at).max().unwrap_or(Instant::from_micros(0))
    }

    /// Until when all of them count, exclusive.
    pub(super) fn until(&self) -> Instant {
        self.shown().map(|shown| shown.until).min().unwrap_or(Instant::MAX)
    }

    /// When the first of them was withdrawn.
    pub(super) fn withdrawn_at(&self) -> Option<Instant> {
        self.shown().filter_map(|shown| shown.withdrawn_at).min()
    }

    /// Whether each of them permits the category.
    pub(super) fn allows(&self, category: &Category) -> bool {
        self.shown().all(|shown| shown.categories.contains(category))
    }

    pub(super) fn rests_on(&self) -> BTreeSet<PermissionId> {
        self.shown().map(|shown| shown.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
