//! How many instructions the pure parts of a release take, and whether they take more than was recorded.
//!
//! Times on a shared machine change from minute to minute; the instructions of the same work on the same facts do not.
//! This program runs itself under Callgrind, once for each piece of work, and compares with `instructions.toml`.
//! A library for this needs a second program of its own version to be installed, debug symbols in what we ship, and
//! keeps what it compares with outside the repository; Callgrind's toggle does the same in one function.

#[path = "instructions/cedar.rs"]
mod cedar;
#[path = "instructions/count.rs"]
mod count;
#[path = "instructions/facts.rs"]
mod facts;
#[path = "instructions/work.rs"]
mod work;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;

use count::Recorded;
use work::{CALLS, Work};

/// How much more than recorded is too much, in percent.
const MOST_PERCENT: f64 = 5.0;

/// Counts the instructions of named pieces of work and compares them with benches/instructions.toml.
#[derive(Debug, Parser)]
#[command(name = "instructions", bin_name = "cargo bench --bench instructions --")]
struct Arguments {
    /// Record what is counted, in place of comparing with it.
    #[arg(long)]
    record: bool,
    /// Compare our decision with Cedar alone on the same policies, in instructions and in time, by turns.
    #[arg(long, conflicts_with = "record")]
    ratio: bool,
    /// Only do this piece of work so often, for Callgrind to count.
    #[arg(long, hide = true, num_args = 2, value_names = ["WORK", "CALLS"])]
    call: Option<Vec<String>>,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some([name, calls]) = arguments.call.as_deref() {
        let mut call = Work::parse(name)?.prepare()?;
        // What is done once in a process is not part of a call.
        (0..work::WARM_UP).for_each(|_| call());
        counted_by_callgrind(calls.parse()?, &mut *call);
        return Ok(());
    }
    if arguments.ratio { ratio() } else { guard(arguments.record) }
}

/// Callgrind counts from where this is entered until it is left, by the name.
#[inline(never)]
fn counted_by_callgrind(calls: u32, call: &mut dyn FnMut()) {
    for _ in 0..calls {
        call();
    }
}

/// Counts everything, and fails where it became too much.
fn guard(record: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    let recorded = Recorded::read()?;
    let mut counts = Recorded::default();
    let mut wrong = Vec::new();
    writeln!(out, "{:<24}{:>12}{:>12}{:>10}", "for one call", "counted", "recorded", "change")?;
    for work in Work::ALL {
        let (name, counted) = (work.name(), count::instructions(work)?);
        counts.0.insert(name.to_owned(), counted);
        if let Some(&before) = recorded.0.get(name) {
            let change = (ratio_of(counted, before) - 1.0) * 100.0;
            writeln!(out, "{name:<24}{counted:>12}{before:>12}{change:>+9.2}%")?;
            if change > MOST_PERCENT {
                wrong.push(format!("{name} takes {change:.2} % more instructions than recorded"));
            }
        } else {
            writeln!(out, "{name:<24}{counted:>12}{:>12}{:>10}", "-", "-")?;
            wrong.push(format!("{name} was never recorded"));
        }
    }
    if record {
        return counts.write();
    }
    ensure!(
        wrong.is_empty(),
        "{}: find out why, or accept it with cargo bench --bench instructions -- --record",
        wrong.join("; ")
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of some millions")]
fn ratio_of(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

/// Our decision over Cedar's, on the same policies and for the same question.
fn ratio() -> Result<()> {
    const ROUNDS: usize = 101;
    let (ours, cedar) = (Work::DecideRelease, Work::Cedar);
    let (mut our_call, mut cedar_call) = (ours.prepare()?, cedar.prepare()?);
    let mut rounds: Vec<(Duration, Duration)> =
        (0..=ROUNDS).map(|_| (time(&mut *our_call), time(&mut *cedar_call))).collect();
    // The first one warms up.
    rounds.remove(0);
    let micros = |times: Vec<Duration>| median(times.iter().map(Duration::as_secs_f64).collect()) * 1e6;
    let (our_micros, cedar_micros) =
        (micros(rounds.iter().map(|round| round.0).collect()), micros(rounds.iter().map(|round| round.1).collect()));
    let of_rounds = median(rounds.iter().map(|(ours, cedar)| ours.as_secs_f64() / cedar.as_secs_f64()).collect());
    let (our_count, cedar_count) = (count::instructions(ours)?, count::instructions(cedar)?);
    let mut out = io::stdout().lock();
    writeln!(out, "{:<16}{:>14}{:>10}", "for one call", "instructions", "µs")?;
    writeln!(out, "{:<16}{our_count:>14}{our_micros:>10.2}", ours.name())?;
    writeln!(out, "{:<16}{cedar_count:>14}{cedar_micros:>10.2}", cedar.name())?;
    writeln!(out, "{:<16}{:>14.2}{of_rounds:>10.2}", "ratio", ratio_of(our_count, cedar_count))?;
    Ok(())
}

/// What one call took, on average of as many as are counted.
fn time(call: &mut dyn FnMut()) -> Duration {
    let began = Instant::now();
    counted_by_callgrind(CALLS, call);
    began.elapsed() / CALLS
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
