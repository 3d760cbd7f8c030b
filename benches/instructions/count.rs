//! Counting with Callgrind, and what was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::work::{CALLS, Work};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
const HEAD: &str = "\
# Instructions of one call, counted by Callgrind on x86-64. Never edited by hand:
# cargo bench --bench instructions -- --record
";

/// Instructions of one call, by the name of the work.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recorded(pub(crate) BTreeMap<String, u64>);

impl Recorded {
    pub(crate) fn read() -> Result<Self> {
        let text = if Path::new(FILE).exists() { fs::read_to_string(FILE)? } else { String::new() };
        toml::from_str(&text).context(FILE)
    }

    pub(crate) fn write(&self) -> Result<()> {
        Ok(fs::write(FILE, format!("{HEAD}{}", toml::to_string(self)?))?)
    }
}

/// The instructions of one call: this program again, under Callgrind. Its profile stays in Cargo's folder for
/// `callgrind_annotate --inclusive=yes`.
pub(crate) fn instructions(work: Work) -> Result<u64> {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{}", work.name()));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_by_callgrind*", "--quiet"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args(["--call", work.name(), &CALLS.to_string()])
        .output()
        .context("valgrind could not be started: install the package `valgrind`")?;
    ensure!(run.status.success(), "{}: {}", work.name(), String::from_utf8_lossy(&run.stderr));
    let text = fs::read_to_string(&profile).with_context(|| profile.display().to_string())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.context("Callgrind's profile has no total")?.trim().parse()?;
    ensure!(total > 0, "Callgrind did not find the function that it should count in: was the program stripped?");
    Ok(total / u64::from(CALLS))
}
