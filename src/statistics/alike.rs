//! Which records come out anonymised, and how coarse.
//!
//! A record comes out only in a look that enough organisations' records share, and that none of them dominates. The
//! looks are tried from the finest to the coarsest, and at each only those records count that no finer look let out:
//! what is counted is exactly what a reader could see come out in this look. If all incidents that fit it counted, a
//! record that came out coarse would be known not to be one of those that came out fine, and could be alone among the
//! rest.
//!
//! It is done once for a period that is over, over all of its incidents, whatever is asked for. So a record always
//! comes out the same, and no incident that is added later can be subtracted.

use std::collections::BTreeSet;

use super::control::{Contribution, Rule};
use super::table::Coordinates;

/// What a record would look like at one step: its values there, none of what is withheld. The look in which nothing
/// would be said is never let out.
pub type Look = Coordinates;

/// The looks that each step lets out, of steps that are given as what they make of an incident's values.
///
/// The same contributions give the same looks, in whichever order they come.
pub fn come_out<S: Fn(Coordinates) -> Look>(
    rule: &Rule,
    steps: &[S],
    contributions: impl IntoIterator<Item = Contribution>,
) -> Vec<BTreeSet<Look>> {
    let mut left: Vec<Contribution> = contributions.into_iter().collect();
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        left.sort_by_key(|one| (step(one.coordinates), one.organisation));
        let mut out = BTreeSet::new();
        for alike in left.chunk_by(|one, other| step(one.coordinates) == step(other.coordinates)) {
            let look = alike.first().map(|one| step(one.coordinates)).unwrap_or_default();
            if look != Look::default() && is_shared(rule, alike) {
                out.insert(look);
            }
        }
        left.retain(|one| !out.contains(&step(one.coordinates)));
        all.push(out);
    }
    all
}

/// Whether enough organisations share a look, and none has more than its part of the records. They stand by
/// organisation.
fn is_shared(rule: &Rule, alike: &[Contribution]) -> bool {
    let incidents = |of: &[Contribution]| of.iter().map(|one| u64::from(one.incidents)).sum::<u64>();
    let (mut organisations, mut largest) = (0_u64, 0_u64);
    for own in alike.chunk_by(|one, other| one.organisation == other.organisation) {
        organisations += 1;
        largest = largest.max(incidents(own));
    }
    organisations >= rule.threshold && largest.saturating_mul(rule.largest_share) <= incidents(alike)
}

#[cfg(test)]
mod tests;
