//! A world that the moved counts make likely.
//!
//! The expected number of organisations with a combination of values, if each pair of values that a cross counts goes
//! together as that cross says and the rest is independent:
//! total · ∏ (margin / total) · ∏ (cross · total / (margin · margin)). In fixed point; nothing depends on it but what
//! is hidden first.

use crate::statistics::control::Standing;
use crate::statistics::table::{Coordinates, Group, Menu};

use super::{set, value};

const FRACTION_BITS: u32 = 20;

/// How many organisations to expect with these values in the group's dimensions, in order; combinations with none are
/// left out.
pub(super) fn classes(menu: &Menu, group: &Group, total: u64, standings: &[Standing]) -> Vec<(Coordinates, u32)> {
    let mut classes = vec![Coordinates::default()];
    for dimension in &group.dimensions {
        let with_each = |class: &Coordinates| {
            let class = *class;
            (0..menu.width(*dimension)).filter_map(move |one| {
                let mut class = class;
                set(&mut class, *dimension, u8::try_from(one).ok()?);
                Some(class)
            })
        };
        classes = classes.iter().flat_map(with_each).collect();
    }
    let margins: Vec<(usize, Vec<u64>)> =
        group.dimensions.iter().map(|one| (*one, margin(menu, group, *one, standings))).collect();
    let mut expected: Vec<(Coordinates, u32)> = classes
        .into_iter()
        .filter_map(|class| Some((class, expect(menu, group, total, standings, &margins, class)?)))
        .collect();
    expected.sort_unstable();
    expected
}

/// The moved counts of a dimension's values: its own table's, or else the sums of a cross.
fn margin(menu: &Menu, group: &Group, dimension: usize, standings: &[Standing]) -> Vec<u64> {
    let tables = || group.tables.iter().filter_map(|table| Some((*table, menu.tables().get(*table)?)));
    let own = tables().find(|(_, found)| found.over == [dimension]);
    let found = own.or_else(|| tables().find(|(_, found)| found.over.contains(&dimension)));
    let mut sums = vec![0; menu.width(dimension)];
    if let Some((table, described)) = found {
        for (place, cell) in menu.range(table).enumerate() {
            let value = match *described.over.as_slice() {
                [rows, columns] if rows == dimension => place / menu.width(columns),
                [_, columns] => place % menu.width(columns),
                _ => place,
            };
            if let (Some(sum), Some(standing)) = (sums.get_mut(value), standings.get(cell)) {
                *sum += standing.moved;
            }
        }
    }
    sums
}

fn expect(
    menu: &Menu,
    group: &Group,
    total: u64,
    standings: &[Standing],
    margins: &[(usize, Vec<u64>)],
    class: Coordinates,
) -> Option<u32> {
    let margin_of = |dimension: usize| {
        let (_, sums) = margins.iter().find(|(one, _)| *one == dimension)?;
        sums.get(usize::from(value(class, dimension))).map(|sum| u128::from(*sum))
    };
    let total = u128::from(total);
    let mut expected = total << FRACTION_BITS;
    for dimension in &group.dimensions {
        expected = (expected * margin_of(*dimension)?).checked_div(total)?;
    }
    for table in &group.tables {
        if let [rows, columns] = *menu.tables().get(*table)?.over.as_slice() {
            let cell = u128::from(standings.get(menu.cell(*table, class))?.moved);
            expected = (expected * cell * total).checked_div(margin_of(rows)? * margin_of(columns)?)?;
        }
    }
    let rounded = (expected + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    u32::try_from(rounded).ok().filter(|count| *count > 0)
}
