//! Counts distinct organisations.
//!
//! One sort by organisation brings all that one organisation contributes together, so that no cell needs a set of its
//! own: memory is that of the contributions, whatever the number of tables.

use std::fmt;

use crate::statistics::table::{Coordinates, Menu};

/// Incidents of one organisation that have the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// Which organisation: any number that no other has within the period.
    pub organisation: u32,
    /// The organisation's secret random key; the same wherever it contributes.
    pub key: u64,
    /// The values.
    pub coordinates: Coordinates,
    /// How many incidents.
    pub incidents: u32,
}

/// A contribution has a value that its dimension does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOnMenu(pub Coordinates);

impl fmt::Display for NotOnMenu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an incident has the values {:?}, which the menu does not have", self.0)
    }
}

impl std::error::Error for NotOnMenu {}

/// What the control knows of one cell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    /// Distinct organisations.
    pub(super) organisations: u64,
    /// The sum of their keys.
    pub(super) key: u64,
    /// The most incidents of one of them.
    pub(super) largest: u64,
}

/// Every cell of the menu, and who could have been counted elsewhere.
#[derive(Debug)]
pub(super) struct Tally {
    cells: Vec<Cell>,
    /// Organisations all of whose incidents have the same values, by those values, in order.
    simple: Vec<(Coordinates, u32)>,
}

impl Tally {
    /// Counts all contributions.
    pub(super) fn count(menu: &Menu, contributions: impl IntoIterator<Item = Contribution>) -> Result<Self, NotOnMenu> {
        let mut sorted: Vec<Contribution> = contributions.into_iter().collect();
        if let Some(wrong) = sorted.iter().find(|one| !menu.holds(one.coordinates)) {
            return Err(NotOnMenu(wrong.coordinates));
        }
        sorted.sort_unstable_by_key(|one| (one.organisation, one.coordinates));
        let mut cells = vec![Cell::default(); menu.cells()];
        let mut simple = Vec::new();
        let mut touched = Vec::new();
        for of_one in sorted.chunk_by(|one, next| one.organisation == next.organisation) {
            let [first, rest @ ..] = of_one else { continue };
            if rest.iter().all(|one| one.coordinates == first.coordinates) {
                simple.push(first.coordinates);
            }
            for table in 0..menu.tables().len() {
                count_in(menu, table, of_one, &mut cells, &mut touched);
            }
        }
        simple.sort_unstable();
        let simple = simple
            .chunk_by(|one, next| one == next)
            .filter_map(|same| Some((*same.first()?, u32::try_from(same.len()).ok()?)))
            .collect();
        Ok(Self { cells, simple })
    }

    /// A cell by its number.
    pub(super) fn cell(&self, number: usize) -> Cell {
        self.cells.get(number).copied().unwrap_or_default()
    }

    /// How many organisations have these and no other values, for all values that occur.
    pub(super) fn simple(&self) -> &[(Coordinates, u32)] {
        &self.simple
    }
}

/// Counts one organisation once in every cell of a table that it contributes to.
fn count_in(
    menu: &Menu,
    table: usize,
    of_one: &[Contribution],
    cells: &mut [Cell],
    touched: &mut Vec<(usize, u64, u64)>,
) {
    touched.clear();
    let in_cell_of = |one: &Contribution| (menu.cell(table, one.coordinates), u64::from(one.incidents), one.key);
    touched.extend(of_one.iter().map(in_cell_of));
    touched.sort_unstable();
    for in_cell in touched.chunk_by(|one, next| one.0 == next.0) {
        let incidents = in_cell.iter().map(|(_, incidents, _)| incidents).sum();
        let Some((number, _, key)) = in_cell.first() else { continue };
        if let Some(cell) = cells.get_mut(*number) {
            cell.organisations += 1;
            cell.key = cell.key.wrapping_add(*key);
            cell.largest = cell.largest.max(incidents);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Secret;

    /// A fast stand-in for a keyed hash.
    pub(crate) struct Mixer(pub(crate) u64);

    impl Secret for Mixer {
        fn draw(&self, message: &[u8]) -> [u8; 16] {
            let mut state = self.0;
            let mut next = |input: u64| {
                state = (state ^ input).wrapping_add(0x9e37_79b9_7f4a_7c15);
                state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                state ^= state >> 31;
                state
            };
            for byte in message {
                next(u64::from(*byte));
            }
            ((u128::from(next(1)) << 64) | u128::from(next(2))).to_be_bytes()
        }
    }
}
