//! The attacker who knows every contribution to a cell but one.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use concordat::statistics::{Publication, Published, Rule, Safeguards};

use super::world::{Truth, World};

/// How far a count can be moved.
const FURTHEST: u64 = 64;

/// Whom the insider found out about.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pinned {
    /// Shown cells.
    pub(crate) shown: u64,
    /// Cells for which it follows whether the last organisation is in.
    pub(crate) cells: u64,
    /// Shown cells for which it would, had the 10-5 rule been used.
    pub(crate) by_rounding: u64,
    /// Organisations whose presence was weighed with all cells at once.
    pub(crate) weighed: u64,
    /// The most bits of evidence that all shown cells of a period give together for one organisation's presence.
    pub(crate) most_bits: i64,
    /// Organisations with five or more bits either way: odds of 32 to 1.
    pub(crate) five_bits: u64,
}

impl AddAssign for Pinned {
    fn add_assign(&mut self, other: Self) {
        self.shown += other.shown;
        self.cells += other.cells;
        self.by_rounding += other.by_rounding;
        self.weighed += other.weighed;
        self.most_bits = self.most_bits.max(other.most_bits);
        self.five_bits += other.five_bits;
    }
}

pub(crate) fn pin(
    world: &World,
    truth: &Truth,
    rule: &Rule,
    safeguards: Safeguards,
    published: &Publication,
) -> Pinned {
    let mut pinned = Pinned::default();
    let mut bits: BTreeMap<u32, i64> = BTreeMap::new();
    for (cell, shown) in published.tables.iter().flatten().enumerate() {
        let members = &truth.members[cell];
        let count = members.len() as u64;
        let Published::Count(number) = *shown else {
            // With both locks off, hidden means below the threshold.
            let follows = safeguards == Safeguards { noise: false, complement: false } && count + 1 == rule.threshold;
            pinned.cells += u64::from(follows);
            continue;
        };
        pinned.shown += 1;
        assert!(count >= rule.threshold, "a shown cell has at least as many organisations as the agreement says");
        let possible = |count: u64| {
            if safeguards.noise {
                count >= rule.threshold && number.abs_diff(count) <= FURTHEST
            } else {
                count == number
            }
        };
        let without_is_possible = possible(count - 1) && members.keys().all(|one| spared_without(members, *one, rule));
        pinned.cells += u64::from(!without_is_possible || !possible(count + 1));
        let rounded = |count: u64| if count < 10 { 0 } else { (count + 2) / 5 * 5 };
        let alike = rounded(count - 1) == rounded(count) && rounded(count + 1) == rounded(count);
        pinned.by_rounding += u64::from(!alike);
        for member in members.keys() {
            *bits.entry(*member).or_default() += if number >= count { 1 } else { -1 };
        }
    }
    // Only those with one set of values: each is in one cell of every table.
    let mut cells: BTreeMap<u32, usize> = BTreeMap::new();
    truth.members.iter().flat_map(BTreeMap::keys).for_each(|member| *cells.entry(*member).or_default() += 1);
    let simple = bits.into_iter().filter(|(one, _)| cells.get(one) == Some(&world.menu.tables().len()));
    for (_, bits) in simple {
        pinned.weighed += 1;
        pinned.most_bits = pinned.most_bits.max(bits.abs());
        pinned.five_bits += u64::from(bits.abs() >= 5);
    }
    pinned
}

/// Whether the cell could be shown under the dominance rule if this organisation were not in it.
fn spared_without(members: &BTreeMap<u32, u64>, organisation: u32, rule: &Rule) -> bool {
    let others = || members.iter().filter(|(one, _)| **one != organisation).map(|(_, incidents)| *incidents);
    let largest = others().max().unwrap_or_default();
    others().skip(1).count() as u64 >= largest * (rule.largest_share - 1)
}
