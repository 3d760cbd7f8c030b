//! What was measured, as a table and as JSON.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::bench::Spread;
use crate::times::Pairs;

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: u64,
    pub(crate) rounds: u32,
    pub(crate) rows: u64,
    pub(crate) figures: Vec<Figure>,
    pub(crate) times: Pairs,
}

/// One thing that was measured, on one database.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    database: &'static str,
    what: String,
    target: Option<Target>,
    spread: Spread,
    rounds: Vec<f64>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }
}

impl Figure {
    /// From its rounds.
    pub(crate) fn new(database: &'static str, what: impl Into<String>, rounds: Vec<f64>) -> Self {
        Self { database, what: what.into(), target: None, spread: Spread::of(rounds.iter().copied()), rounds }
    }

    /// With what it should be.
    pub(crate) fn target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.times.is_empty() {
            writeln!(f, "{}", self.times)?;
        }
        if self.figures.is_empty() {
            return Ok(());
        }
        let mut databases: Vec<&str> = self.figures.iter().map(|figure| figure.database).collect();
        databases.dedup();
        let mut whats: Vec<(&str, Option<Target>)> = Vec::new();
        for figure in &self.figures {
            if !whats.iter().any(|(what, _)| *what == figure.what) {
                whats.push((&figure.what, figure.target));
            }
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let mut header = vec![String::new(), "target".to_owned()];
        header.extend(databases.iter().map(ToString::to_string));
        table.set_header(header);
        for (what, target) in whats {
            let mut row = vec![what.to_owned(), target.map(|target| target.to_string()).unwrap_or_default()];
            row.extend(databases.iter().map(|database| {
                let found = self.figures.iter().find(|figure| figure.what == what && figure.database == *database);
                found.map_or_else(String::new, |figure| {
                    let missed = target.is_some_and(|target| !target.is_met(figure.spread.median));
                    format!("{}{}", figure.spread, if missed { " missed" } else { "" })
                })
            }));
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        let Self { seconds, rounds, rows, .. } = self;
        writeln!(
            f,
            "Medians of {rounds} rounds of {seconds} s by turns; in brackets least and most. Large: {rows} rows."
        )
    }
}
