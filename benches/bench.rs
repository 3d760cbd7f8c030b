//! What both benchmarks are made of: the servers, the load, what is asked about, and figures.

mod asks;
mod figures;
mod hold;
mod load;
mod machine;
#[expect(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the tests' own file, of which not everything is used"
)]
#[path = "../tests/it/postgres.rs"]
pub(crate) mod postgres;
mod servers;
pub(crate) mod welch;
mod world;

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub(crate) use asks::{Asks, Expected};
pub(crate) use figures::{Side, Spread, measure, median, micros, percentile};
pub(crate) use hold::{Held, Officers, Permits, activate_agreements};
pub(crate) use load::{Answered, Idle, Load, Payloads, Source, frame};
pub(crate) use machine::Machine;
pub(crate) use servers::{Server, serve_concordat, serve_echo};
pub(crate) use world::{CATEGORIES, HOLDER, INCIDENTS, PURPOSE, REQUESTER, Watch, World};

/// The result, as a table or as JSON.
pub(crate) fn print(report: &(impl Serialize + Display), json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

/// Progress goes where it does not mix with the result.
pub(crate) fn say(text: &str) {
    // Nobody may be listening, and that is no reason to stop.
    drop(writeln!(io::stderr(), "{text}"));
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}
