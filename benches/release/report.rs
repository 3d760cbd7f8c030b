//! What was measured, as a table and as JSON.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use crate::bench::{Machine, Side, Spread};

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: u64,
    pub(crate) cells: Vec<Cell>,
}

/// One database at one concurrency.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) database: &'static str,
    pub(crate) concurrency: usize,
    pub(crate) ask_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) rounds: Vec<Round>,
}

/// Both servers, one after the other.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) release: Side,
    pub(crate) echo: Side,
    /// The median time of a bare transaction of the same statements, where calls have one each.
    pub(crate) transaction_micros: Option<f64>,
    pub(crate) entries_per_commit: f64,
    pub(crate) machine: Machine,
}

impl Cell {
    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        self.spread(figure).median
    }

    /// Releases for each echo in the same time.
    fn throughput_ratio(&self) -> Spread {
        self.spread(|round| round.release.per_second / round.echo.per_second)
    }

    /// Server CPU time of a release for that of an echo.
    fn cpu_ratio(&self) -> Spread {
        self.spread(|round| round.release.cpu_micros / round.echo.cpu_micros)
    }

    /// How long a release takes for an echo and one wait for the disk.
    fn latency_ratio(&self) -> Spread {
        self.spread(|round| round.release.p50_micros / (round.echo.p50_micros + round.machine.fdatasync_micros))
    }

    /// How long a release takes for an echo and a bare transaction of the same statements.
    fn transaction_ratio(&self) -> Option<Spread> {
        let has = |round: &Round| round.transaction_micros.is_some();
        let ratio = |round: &Round| {
            round.release.p50_micros / (round.echo.p50_micros + round.transaction_micros.unwrap_or_default())
        };
        self.rounds.iter().all(has).then(|| self.spread(ratio))
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cell = serializer.serialize_struct("Cell", 9)?;
        cell.serialize_field("database", self.database)?;
        cell.serialize_field("concurrency", &self.concurrency)?;
        cell.serialize_field("ask_bytes", &self.ask_bytes)?;
        cell.serialize_field("answer_bytes", &self.answer_bytes)?;
        cell.serialize_field("throughput_ratio", &self.throughput_ratio())?;
        cell.serialize_field("cpu_ratio", &self.cpu_ratio())?;
        cell.serialize_field("latency_ratio", &self.latency_ratio())?;
        cell.serialize_field("transaction_ratio", &self.transaction_ratio())?;
        cell.serialize_field("rounds", &self.rounds)?;
        cell.end()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (release, echo) = (&self.release, &self.echo);
        write!(
            f,
            "{:.0} releases/s at {:.0} µs CPU, {:.0} echoes/s at {:.0} µs CPU",
            release.per_second, release.cpu_micros, echo.per_second, echo.cpu_micros
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let mut header = vec![String::new()];
        header.extend(self.cells.iter().map(|cell| format!("{}, c = {}", cell.database, cell.concurrency)));
        table.set_header(header);
        let mut row = |name: &str, figure: &dyn Fn(&Cell) -> String| {
            let mut row = vec![name.to_owned()];
            row.extend(self.cells.iter().map(figure));
            table.add_row(row);
        };
        row("releases / echoes, same time", &|cell| cell.throughput_ratio().to_string());
        row("server CPU, release / echo", &|cell| cell.cpu_ratio().to_string());
        row("p50, release / (echo + fdatasync)", &|cell| cell.latency_ratio().to_string());
        row("p50, release / (echo + transaction)", &|cell| {
            cell.transaction_ratio().map_or_else(|| "shared".to_owned(), |ratio| ratio.to_string())
        });
        row("entries per commit", &|cell| format!("{:.1}", cell.median(|round| round.entries_per_commit)));
        let both = |cell: &Cell, figure: &dyn Fn(&Side) -> f64, digits: usize| {
            let release = cell.median(|round| figure(&round.release));
            let echo = cell.median(|round| figure(&round.echo));
            format!("{release:.digits$} | {echo:.digits$}")
        };
        row("per second, release | echo", &|cell| both(cell, &|side| side.per_second, 0));
        row("server CPU, µs", &|cell| both(cell, &|side| side.cpu_micros, 0));
        row("database CPU, µs", &|cell| {
            let own = |round: &Round| round.release.database_cpu_micros;
            if cell.rounds.iter().any(|round| own(round).is_none()) {
                return "in the server's".to_owned();
            }
            format!("{:.0}", cell.median(|round| own(round).unwrap_or_default()))
        });
        row("load CPU, µs", &|cell| both(cell, &|side| side.load_cpu_micros, 0));
        row("p50, ms", &|cell| both(cell, &|side| side.p50_micros / 1_000.0, 2));
        row("p99, ms", &|cell| both(cell, &|side| side.p99_micros / 1_000.0, 2));
        row("p50 of a bare transaction, ms", &|cell| {
            let millis = |round: &Round| round.transaction_micros.map_or(f64::NAN, |micros| micros / 1_000.0);
            cell.transaction_ratio().map_or_else(|| "shared".to_owned(), |_| format!("{:.2}", cell.median(millis)))
        });
        row("bytes, ask | answer", &|cell| format!("{} | {}", cell.ask_bytes, cell.answer_bytes));
        row("fdatasync of 4 KiB, ms", &|cell| in_millis(cell.spread(|round| round.machine.fdatasync_micros)));
        row("fixed loop, ms", &|cell| in_millis(cell.spread(|round| round.machine.spin_micros)));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let rounds = self.cells.first().map_or(0, |cell| cell.rounds.len());
        let seconds = self.seconds;
        writeln!(f, "{table}")?;
        writeln!(f, "Medians of {rounds} rounds of {seconds} s for each server by turns; in brackets least and most.")
    }
}

fn in_millis(spread: Spread) -> String {
    let Spread { median, least, most } = spread;
    Spread { median: median / 1_000.0, least: least / 1_000.0, most: most / 1_000.0 }.to_string()
}
