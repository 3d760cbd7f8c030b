//! What came from another agency: whose permission passing it on takes, and which of them were shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Match;
use crate::domain::{AgencyId, Ask, Category, ConsentTerms, Instant, Onward, Permission, PermissionId, Provenance};

/// The chain of a match, as one ask meets it.
pub(super) struct Upstream<'a> {
    chain: &'a Provenance,
    to: &'a AgencyId,
    needed: BTreeSet<&'a AgencyId>,
    shown: BTreeMap<&'a AgencyId, Vec<&'a Permission>>,
}

impl Match {
    /// The chain by which the incident came; none where its holder is the originator.
    ///
    /// Of each agency whose permission is needed, the permissions that the limits look at: all that seem to apply, which
    /// add up; else the one that permits most and is the newest. A wrong choice here can only deny: the limits check every
    /// condition again.
    pub(super) fn upstream<'a>(&'a self, ask: &'a Ask, at: Instant) -> Option<Upstream<'a>> {
        let chain = self.incident.provenance.as_ref()?;
        let to = &ask.requester.agency;
        let needed = chain.permissions_needed(to);
        let best = |agency: &'a AgencyId| {
            let mut of: Vec<&Permission> = self.permissions.iter().filter(|shown| shown.of == *agency).collect();
            let breadth = |shown: &Permission| shown.categories.intersection(&ask.categories).count();
            of.sort_by_key(|shown| Reverse((breadth(shown), shown.shown_at, shown.id.clone())));
            let applying = of.iter().copied().filter(|shown| shown.seems_to_apply(to, &ask.purpose, at));
            let applying: Vec<&Permission> = applying.collect();
            if applying.is_empty() {
                of.truncate(1);
            } else {
                of = applying;
            }
            (!of.is_empty()).then_some((agency, of))
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
        self.shown.values().flatten().copied()
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

    /// Whether each agency permits the category, by whichever of its permissions.
    pub(super) fn allows(&self, category: &Category) -> bool {
        self.shown.values().all(|of| of.iter().any(|shown| shown.categories.contains(category)))
    }

    /// What the release of these categories rests on: of each agency, the broadest permission, and each further one that
    /// permits what none before it did.
    pub(super) fn rests_on<'c>(&self, categories: impl Iterator<Item = &'c Category>) -> BTreeSet<PermissionId> {
        let categories: BTreeSet<&Category> = categories.collect();
        let mut used = BTreeSet::new();
        for of in self.shown.values() {
            let mut left = categories.clone();
            for shown in of {
                let before = left.len();
                left.retain(|category| !shown.categories.contains(*category));
                if left.len() < before {
                    used.insert(shown.id.clone());
                }
            }
        }
        used
    }
}

#[cfg(test)]
mod tests;
