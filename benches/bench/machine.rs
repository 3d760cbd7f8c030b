//! What the machine does at this moment, and how much CPU time a process has taken.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::figures::{median, micros};

/// Linux counts CPU time for `/proc` in hundredths of a second on every machine that we build for.
const TICK: Duration = Duration::from_millis(10);
const SYNCS: usize = 50;
const SPINS: u64 = 20_000_000;

/// How fast the disk and the processor are just now: on a shared machine both change from minute to minute.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Machine {
    /// The median time of appending 4 KiB and waiting for the disk.
    pub(crate) fdatasync_micros: f64,
    /// The time of a fixed loop.
    pub(crate) spin_micros: f64,
}

impl Machine {
    pub(crate) fn measure(folder: &Path) -> Result<Self> {
        let path = folder.join("fdatasync");
        let mut file = File::create(&path)?;
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let begun = Instant::now();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            times.push(micros(begun.elapsed()));
        }
        fs::remove_file(&path)?;

        let begun = Instant::now();
        let mut state = 1_u64;
        for _ in 0..SPINS {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
        Ok(Self { fdatasync_micros: median(&times), spin_micros: micros(begun.elapsed()) })
    }
}

/// CPU time of a process so far, user and system, all threads.
pub(crate) fn cpu_of(process: u32) -> Result<Duration> {
    Ok(stat(&format!("/proc/{process}/stat"))?.cpu)
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Result<Duration> {
    Ok(stat("/proc/self/stat")?.cpu)
}

/// CPU time so far of the children of a process that are there now: a database's connections and its own chores.
pub(crate) fn cpu_of_children(process: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for entry in fs::read_dir("/proc")?.flatten() {
        // One that ends while we look is not counted.
        if let Ok(stat) = stat(&format!("{}/stat", entry.path().display()))
            && stat.parent == process
        {
            sum += stat.cpu;
        }
    }
    Ok(sum)
}

/// Memory of a process, in bytes: what it has now, and the most that it has had.
pub(crate) fn memory_of(process: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("a line of /proc is missing")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok((kibibytes("VmRSS:")? * 1_024, kibibytes("VmHWM:")? * 1_024))
}

struct Stat {
    parent: u32,
    cpu: Duration,
}

fn stat(file: &str) -> Result<Stat> {
    let text = fs::read_to_string(file).with_context(|| format!("{file}: CPU time is read from Linux's /proc"))?;
    // The second field is the program's name in brackets and can hold anything.
    let fields: Vec<&str> = text.rsplit_once(')').map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 2).context("a field of /proc is missing");
    let ticks = field(14)?.parse::<u32>()? + field(15)?.parse::<u32>()?;
    Ok(Stat { parent: field(4)?.parse()?, cpu: TICK * ticks })
}
