//! Figures of one round, and of several.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::load::{Answered, Load, Source};
use super::machine;
use super::servers::Server;

/// One server in one round.
#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// CPU time for each call, of the server.
    pub(crate) cpu_micros: f64,
    /// Of the program that makes the calls.
    pub(crate) load_cpu_micros: f64,
    /// Of the database's server, where it is another process.
    pub(crate) database_cpu_micros: Option<f64>,
}

impl Side {
    /// CPU time for each call, of all servers.
    pub(crate) fn all_cpu_micros(&self) -> f64 {
        self.cpu_micros + self.database_cpu_micros.unwrap_or_default()
    }

    fn new(answered: &Answered, cpu: Duration, load_cpu: Duration, database_cpu: Option<Duration>) -> Self {
        let calls = f64::from(u32::try_from(answered.count()).unwrap_or(u32::MAX));
        let at = |percent| percentile(&answered.latencies, percent);
        Self {
            per_second: calls / answered.elapsed.as_secs_f64(),
            p50_micros: at(50),
            p99_micros: at(99),
            cpu_micros: micros(cpu) / calls,
            load_cpu_micros: micros(load_cpu) / calls,
            database_cpu_micros: database_cpu.map(|cpu| micros(cpu) / calls),
        }
    }
}

/// The median of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let figures: Vec<f64> = figures.collect();
        Self {
            median: median(&figures),
            least: figures.iter().copied().fold(f64::INFINITY, f64::min),
            most: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.least, self.most)
    }
}

/// The middle one; of an even number half way between the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(figures.len().saturating_sub(1) / 2), at(figures.len() / 2))
}

/// The time, in microseconds, that so many in a hundred do not exceed.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = times.len().saturating_sub(1) * percent / 100;
    times.get(place).copied().map_or(f64::NAN, micros)
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// One server under load; a database server's processes are counted too.
pub(crate) async fn measure<S: Source>(
    load: &Load<S>,
    server: &Server,
    database: Option<u32>,
    length: Duration,
) -> Result<(Side, Answered)> {
    let cpu = || anyhow::Ok((server.cpu()?, machine::own_cpu()?, database.map(machine::cpu_of_children).transpose()?));
    let before = cpu()?;
    let answered = load.run(length).await?;
    let after = cpu()?;
    let database = after.2.zip(before.2).map(|(after, before)| after.saturating_sub(before));
    let side = Side::new(&answered, after.0.saturating_sub(before.0), after.1.saturating_sub(before.1), database);
    Ok((side, answered))
}
