//! Hides further cells, so that no small cell can be worked out from the shown ones.
//!
//! A hidden cell is safe if the world could have been otherwise: if some organisations, counted elsewhere, would have
//! changed this cell and no shown number. Either one of them moves to another value, or two of them exchange a value;
//! where that would change shown cells, those are hidden as well, the least loss first. What it ends with is a proof,
//! not an estimate: the other world has all the same shown numbers, in every table and every margin at once, so no
//! arithmetic on them, linear, integer or other, tells the two apart. Exchanging values of real records is what
//! record swapping does to the data; here nothing is exchanged, that it could be is enough. For one
//! table the question is one of cycles in a graph (Kao, "Data security equals graph connectivity"); for linked tables it
//! is an integer program (Fischetti and Salazar 2001), which this search solves well enough rather than best.
//!
//! What is hidden must not itself tell who is there. So the choice is made first from the moved counts alone, which
//! say no more than the noise allows: they give a likely world, and the search runs in that. Then it runs among the
//! organisations that are really there and adds what is still missing, which is seldom anything.
//!
//! Hiding more never makes a cell unsafe, so one pass over the cells suffices each time.

mod likely;
mod search;

use std::collections::BTreeMap;

use crate::statistics::table::{Coordinates, Group, Menu};

use super::Standing;
use super::tally::Tally;

use search::Search;

/// A margin is worth more to a reader than a cell of a cross.
const WEIGHT_OF_MARGIN: u64 = 8;

/// In the likely world each hidden small count could lie this much further up, and down.
const LIKELY: u32 = 3;

/// Among real organisations each cell can move by two, so that who knows one of them still can't tell.
const REALLY_THERE: u32 = 2;

/// Hides what has to be hidden besides the cells that are hidden already.
pub(super) fn hide(menu: &Menu, tally: &Tally, standings: &mut [Standing]) {
    let total = menu.tables().iter().position(|table| table.over.is_empty());
    let total = total.and_then(|table| standings.get(menu.range(table).start)).copied();
    let Some(Standing { moved: total, shown: true }) = total else {
        // Too few organisations in the whole period.
        for standing in standings.iter_mut() {
            standing.shown = false;
        }
        return;
    };
    for group in menu.groups() {
        let tables = tables(menu, group);
        let small: Vec<(usize, usize)> = tables
            .iter()
            .flat_map(|(table, _)| menu.range(*table).map(|cell| (*table, cell)))
            .filter(|(_, cell)| standings.get(*cell).is_some_and(|standing| !standing.shown))
            .collect();

        let likely = likely::classes(menu, group, total, standings);
        let mut search = Search { menu, tables: &tables, classes: &likely, reach: LIKELY, standings };
        for (table, cell) in &small {
            search.raise(*table, *cell);
            search.lower(*table, *cell);
        }

        let real = classes(group, tally);
        let mut search = Search { menu, tables: &tables, classes: &real, reach: REALLY_THERE, standings };
        let mut all_raised = true;
        for (table, cell) in &small {
            all_raised &= search.raise(*table, *cell);
            search.lower(*table, *cell);
        }
        if !all_raised {
            let cells = tables.iter().flat_map(|(table, _)| menu.range(*table));
            cells.for_each(|cell| hide_cell(standings, cell));
        }
    }
}

/// How many organisations could move or exchange values, by their values in the group's dimensions.
fn classes(group: &Group, tally: &Tally) -> Vec<(Coordinates, u32)> {
    let mut classes: BTreeMap<Coordinates, u32> = BTreeMap::new();
    for (coordinates, count) in tally.simple() {
        let mut projected = Coordinates::default();
        for dimension in &group.dimensions {
            set(&mut projected, *dimension, value(*coordinates, *dimension));
        }
        *classes.entry(projected).or_default() += count;
    }
    classes.into_iter().collect()
}

/// The tables that count over the group's dimensions, margins first, with what a cell is worth.
fn tables(menu: &Menu, group: &Group) -> Vec<(usize, u64)> {
    let is_margin = |table: &usize| menu.tables().get(*table).is_some_and(|found| found.over.len() == 1);
    let (margins, crosses): (Vec<usize>, Vec<usize>) = group.tables.iter().copied().partition(is_margin);
    let margins = margins.into_iter().map(|table| (table, WEIGHT_OF_MARGIN));
    margins.chain(crosses.into_iter().map(|table| (table, 1))).collect()
}

fn value(coordinates: Coordinates, dimension: usize) -> u8 {
    coordinates.get(dimension).copied().unwrap_or_default()
}

fn set(coordinates: &mut Coordinates, dimension: usize, value: u8) {
    if let Some(place) = coordinates.get_mut(dimension) {
        *place = value;
    }
}

fn hide_cell(standings: &mut [Standing], cell: usize) {
    if let Some(standing) = standings.get_mut(cell) {
        standing.shown = false;
    }
}
