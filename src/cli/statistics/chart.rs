//! A table as bars of text, and as CSV.

use concordat::proto::v1::{StatisticsAxis, StatisticsTable};

use super::super::output::{BOLD, DIM, KEY};

/// How wide the longest bar is, in characters.
const WIDEST: i64 = 40;

/// What stands where a number is left out.
pub(super) const LEFT_OUT: &str = "left out";

/// One number with the titles of its row and, in a cross, of its column.
pub(super) struct Number<'a> {
    pub(super) row: &'a str,
    pub(super) column: &'a str,
    pub(super) organisations: Option<i64>,
}

/// Values that a reader looks at last.
const LAST: [&str; 2] = ["other", "not-known"];

/// The titles of an axis with their places, in the order for a reader; one that is empty where there is no axis.
fn titles(axis: Option<&StatisticsAxis>) -> Vec<(usize, &str)> {
    let Some(axis) = axis else { return vec![(0, "")] };
    let mut values: Vec<_> = axis.values.iter().enumerate().collect();
    values.sort_by_key(|(_, value)| LAST.iter().position(|last| *last == value.id).map_or(0, |place| place + 1));
    values.into_iter().map(|(place, value)| (place, value.title.as_str())).collect()
}

/// Every number of a table, row by row.
pub(super) fn numbers(table: &StatisticsTable) -> Vec<Number<'_>> {
    let (rows, columns) = (titles(table.axes.first()), titles(table.axes.get(1)));
    let number = |(row_place, row): (usize, _), (column_place, column): (usize, _)| {
        let cell = table.cells.get(row_place * columns.len() + column_place);
        Number { row, column, organisations: cell.and_then(|cell| cell.organisations) }
    };
    rows.iter().flat_map(|row| columns.iter().map(|column| number(*row, *column))).collect()
}

/// What stands beside a number.
pub(super) fn label(number: &Number<'_>) -> String {
    match (number.row, number.column) {
        ("", _) => "All".to_owned(),
        (row, "") => row.to_owned(),
        (row, column) => format!("{row}, {column}"),
    }
}

/// Bars for a terminal, with the rule below.
pub(in crate::cli) fn bars(table: &StatisticsTable) -> String {
    let numbers = numbers(table);
    let most = numbers.iter().filter_map(|number| number.organisations).max().unwrap_or_default().max(1);
    let widest = numbers.iter().map(|number| label(number).chars().count()).max().unwrap_or_default();
    let heading = format!("{}, {}: {}", table.holder, table.quarter, table.title);
    let mut lines = vec![format!("{BOLD}{heading}{BOLD:#}"), String::new()];
    for number in &numbers {
        let label = label(number);
        lines.push(match number.organisations {
            Some(count) => {
                let bar = "█".repeat(usize::try_from(count.max(0) * WIDEST / most).unwrap_or_default());
                format!("  {label:<widest$}  {KEY}{bar}{KEY:#} {count}")
            }
            None => format!("  {label:<widest$}  {DIM}{LEFT_OUT}{DIM:#}"),
        });
    }
    lines.push(String::new());
    lines.push(format!("{DIM}{}{DIM:#}", table.rule));
    lines.join("\n") + "\n"
}

/// One line for each cell, with the ids of its values; the number is empty where it is left out.
pub(super) fn csv(table: &StatisticsTable) -> String {
    let ids = |axis: &StatisticsAxis| axis.values.iter().map(|value| value.id.clone()).collect::<Vec<_>>();
    let mut places: Vec<Vec<String>> = vec![vec![]];
    for axis in &table.axes {
        let with = |place: &Vec<String>| {
            ids(axis).into_iter().map(|id| [place.clone(), vec![id]].concat()).collect::<Vec<_>>()
        };
        places = places.iter().flat_map(with).collect();
    }
    let axes = table.axes.iter().map(|axis| axis.id.clone());
    let head = ["holder", "quarter"].map(str::to_owned).into_iter().chain(axes).chain(["organisations".to_owned()]);
    let mut lines = vec![head.map(|text| quoted(&text)).collect::<Vec<_>>().join(",")];
    for (place, cell) in places.iter().zip(&table.cells) {
        let number = cell.organisations.map_or_else(String::new, |count| count.to_string());
        let fields = [table.holder.clone(), table.quarter.clone()].into_iter().chain(place.iter().cloned());
        lines.push(fields.map(|text| quoted(&text)).chain([number]).collect::<Vec<_>>().join(","));
    }
    lines.join("\n") + "\n"
}

/// A field as RFC 4180 writes it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use concordat::proto::v1::{StatisticsCell, StatisticsValue};

    use super::*;

    /// Two rows by two columns, one number left out.
    pub(crate) fn table() -> StatisticsTable {
        let axis = |id: &str, titles: [&str; 2]| StatisticsAxis {
            id: id.to_owned(),
            title: id.to_owned(),
            values: titles.map(|one| StatisticsValue { id: one.to_lowercase(), title: one.to_owned() }).to_vec(),
        };
        StatisticsTable {
            holder: "ico".to_owned(),
            quarter: "2026-Q3".to_owned(),
            id: "sector-type".to_owned(),
            title: "Sector by <type>".to_owned(),
            axes: vec![axis("sector", ["Health", "Legal"]), axis("type", ["Hacking", "Error, or so"])],
            cells: [Some(80), None, Some(40), Some(20)].map(|organisations| StatisticsCell { organisations }).to_vec(),
            rule: "The rule.".to_owned(),
        }
    }

    #[test]
    fn csv_has_a_line_for_each_cell_and_nothing_where_it_is_left_out() {
        let lines = "holder,quarter,sector,type,organisations\nico,2026-Q3,health,hacking,80\n\
                     ico,2026-Q3,health,\"error, or so\",\nico,2026-Q3,legal,hacking,40\n\
                     ico,2026-Q3,legal,\"error, or so\",20\n";
        assert_eq!(csv(&table()), lines);
    }

    #[test]
    fn what_is_not_known_stands_last_with_its_own_number() {
        let mut table = table();
        "not-known".clone_into(&mut table.axes[0].values[0].id);
        let rows: Vec<(&str, Option<i64>)> =
            numbers(&table).iter().map(|number| (number.row, number.organisations)).collect();
        assert_eq!(rows, [("Legal", Some(40)), ("Legal", Some(20)), ("Health", Some(80)), ("Health", None)]);
    }

    #[test]
    fn bars_are_as_long_as_the_numbers_and_the_rule_stands_below() {
        let shown = bars(&table());
        let length = |label: &str| {
            let line = shown.lines().find(|line| line.contains(label)).unwrap();
            line.matches('█').count()
        };
        assert_eq!((length("Health, Hacking"), length("Legal, Hacking")), (40, 20));
        assert!(shown.contains(LEFT_OUT) && shown.contains("The rule."));
    }
}
