//! Turns the incidents of one period into tables that may be shown.
//!
//! Three steps, each of which stops another attacker:
//!
//! 1. **tally** counts distinct organisations in every cell of the menu;
//! 2. **noise** moves every count by a little that only the node can compute, and shows a cell only if the moved count
//!    is well above the threshold: who knows all organisations of a cell but one still cannot tell about that one;
//! 3. **complement** hides further cells until, for each small cell, real organisations could have been counted
//!    elsewhere without any shown number being different: who knows the true count behind every shown number still
//!    cannot work out a small one.
//!
//! Periods partition the incidents and a published period is never computed anew, so there is nothing to subtract
//! one period from. Everything is counted in whole numbers.

mod complement;
mod noise;
mod tally;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::statistics::table::Menu;

use tally::{Cell, Tally};

pub use noise::Secret;
pub use tally::{Contribution, NotOnMenu};

/// What the agreement says about statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A cell with fewer distinct organisations is never shown; an empty cell is as small as any.
    pub threshold: u64,
    /// How far above the threshold the moved count must be. At the threshold itself a cell is shown with a chance of
    /// two thirds of 2⁻ᵐᵃʳᵍⁱⁿ: so rarely does being shown prove the last organisation.
    pub margin: u64,
    /// No organisation may have more than one part in this many of a cell's incidents: 2 means at most half.
    pub largest_share: u64,
}

impl Default for Rule {
    /// The rule of the bundled agreements.
    fn default() -> Self {
        Self { threshold: 10, margin: 15, largest_share: 2 }
    }
}

impl Rule {
    /// The rule that keeps both.
    #[must_use]
    pub fn stricter_of(self, other: Self) -> Self {
        Self {
            threshold: self.threshold.max(other.threshold),
            margin: self.margin.max(other.margin),
            largest_share: self.largest_share.max(other.largest_share),
        }
    }

    /// Says what is wrong with a rule that protects too little, or nothing but an empty table.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            let problem = || format!("`{name}` is {value} and must be {least} to {most}");
            if (least..=most).contains(&value) { Ok(()) } else { Err(problem()) }
        };
        within("threshold", self.threshold, 5, 1_000)?;
        within("margin", self.margin, 10, 60)?;
        within("largest_share", self.largest_share, 2, 100)
    }
}

impl fmt::Display for Rule {
    /// The rule as it stands under every table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threshold, largest_share, .. } = self;
        let least = threshold.saturating_add(self.margin);
        write!(
            f,
            "Counts are of organisations, not incidents, and each is moved at random by a little (by 2 or less in five \
             cases of six); a cell is left out if it has fewer than {threshold} organisations or its moved count is \
             below {least}, if one organisation has more than 1 in {largest_share} of its incidents or nearly so, or if \
             it would give away such a cell."
        )
    }
}

/// Which of the two locks are on. Anything but all of them exists for the attack that must then succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safeguards {
    /// Whether counts are moved.
    pub noise: bool,
    /// Whether further cells are hidden.
    pub complement: bool,
}

impl Safeguards {
    /// Both.
    pub const ALL: Self = Self { noise: true, complement: true };
}

/// What a reader sees of one cell. Why a cell is left out cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// About this many distinct organisations.
    Count(u64),
    /// Left out.
    Suppressed,
}

/// All tables of one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The period, as it was handed in.
    pub period: String,
    /// Each table's cells in the menu's order, row by row.
    pub tables: Vec<Vec<Published>>,
}

/// One cell on its way to publication.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// The moved count. What is hidden next is chosen by it, so that the choice says no more than the numbers do.
    moved: u64,
    shown: bool,
}

/// Publishes one period.
///
/// The contributions are those of all incidents registered in the period. The same contributions give the same
/// publication, in whichever order they come. The caller stores it and never asks again for the same period.
pub fn publish(
    menu: &Menu,
    rule: &Rule,
    period: &str,
    secret: &impl Secret,
    contributions: impl IntoIterator<Item = Contribution>,
) -> Result<Publication, NotOnMenu> {
    publish_without(menu, rule, Safeguards::ALL, period, secret, contributions)
}

/// [`publish`] with a safeguard taken away.
pub fn publish_without(
    menu: &Menu,
    rule: &Rule,
    safeguards: Safeguards,
    period: &str,
    secret: &impl Secret,
    contributions: impl IntoIterator<Item = Contribution>,
) -> Result<Publication, NotOnMenu> {
    let tally = Tally::count(menu, contributions)?;
    let mut standings = Vec::with_capacity(menu.cells());
    for (table, described) in menu.tables().iter().enumerate() {
        for (place, number) in menu.range(table).enumerate() {
            let noise = safeguards.noise.then(|| noise::Key { secret, period, table: &described.id, place });
            standings.push(stand(rule, &tally.cell(number), noise.as_ref()));
        }
    }
    if safeguards.complement {
        complement::hide(menu, &tally, &mut standings);
    }
    let published = |number| match standings.get(number) {
        Some(Standing { moved, shown: true }) => Published::Count(*moved),
        _ => Published::Suppressed,
    };
    let tables = (0..menu.tables().len()).map(|table| menu.range(table).map(published).collect()).collect();
    Ok(Publication { period: period.to_owned(), tables })
}

/// Decides on one cell by itself.
///
/// Threshold and dominance both pass on a moved number with room to spare, and never on a true one that is too low.
///
/// Dominance keeps a cell from being read as being about one organisation. Of the others each counts once here,
/// whatever it contributed: that is stricter than the rule says, so it keeps the rule, and one organisation more or
/// less moves it by one at most, which noise can hide. It also leaves no coalition of the largest two: without the
/// second, the rest still outweigh the first. In the number shown each organisation contributes one, so there the p%
/// rule has nothing to protect.
fn stand<S: Secret>(rule: &Rule, cell: &Cell, key: Option<&noise::Key<'_, S>>) -> Standing {
    let above = cell.organisations.checked_sub(rule.threshold);
    let needed = cell.largest.saturating_mul(rule.largest_share.saturating_sub(1));
    let spare = cell.organisations.saturating_sub(1).checked_sub(needed);
    let Some(key) = key else {
        return Standing { moved: cell.organisations, shown: above.is_some() && spare.is_some() };
    };
    let (moved_by, spare_by) = key.draw(cell);
    let moved = cell.organisations.saturating_add_signed(moved_by);
    let passes = moved >= rule.threshold.saturating_add(rule.margin);
    let spared = spare.is_some_and(|spare| spare.saturating_add_signed(spare_by) >= rule.margin);
    Standing { moved, shown: above.is_some() && passes && spared }
}

#[cfg(test)]
mod tests;
