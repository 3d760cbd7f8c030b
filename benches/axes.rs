//! What the other benchmark leaves out: withdrawals under load, whether "open" costs the same and takes the same time
//! whatever the reason, large tables, idle connections, imports, statistics.
//!
//! Each axis compares two things in one run, by turns: figures of one machine alone say little. Every run also checks
//! that the answers are what they must be and that the ledger's tree verifies.

#[expect(dead_code, unused_imports, reason = "made for two benchmarks, each of which uses a part")]
mod bench;
#[expect(dead_code, reason = "made for another benchmark, which uses the rest")]
#[path = "instructions/facts.rs"]
mod facts;
#[path = "axes/fill.rs"]
mod fill;
#[path = "axes/idle.rs"]
mod idle;
#[path = "axes/import.rs"]
mod import;
#[path = "axes/open.rs"]
mod open;
#[path = "axes/size.rs"]
mod size;
#[path = "axes/statistics.rs"]
mod statistics;
#[path = "axes/table.rs"]
mod table;
#[path = "axes/times.rs"]
mod times;
#[path = "axes/withdrawal.rs"]
mod withdrawal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use tempfile::TempDir;

use bench::{Asks, Server, World, postgres, say};
use table::{Figure, Report};
use times::Pairs;

/// Measures what the benchmark `release` leaves out, one axis or all of them.
#[derive(Debug, Parser)]
#[command(name = "axes", bin_name = "cargo bench --bench axes --")]
struct Arguments {
    /// How long one round of one thing lasts.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often the things that are compared take turns.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The databases to measure on; PostgreSQL is left out where it is not installed.
    #[arg(long, global = true, value_enum, value_delimiter = ',', default_values_t = [Database::Sqlite, Database::Postgres])]
    databases: Vec<Database>,
    /// How many rows the large tables have.
    #[arg(long, global = true, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// How many times are taken of each reason for "open" on the wire; 25 times as many in process.
    #[arg(long, global = true, default_value_t = 4_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1_000_000))]
    samples: usize,
    /// Print JSON, with every round, in place of the table.
    #[arg(long, global = true)]
    json: bool,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// One axis; or what this program is when it runs itself again.
#[derive(Debug, Subcommand)]
enum Role {
    /// How long a withdrawal takes while releases or an import keep the node busy.
    Withdrawal,
    /// Whether "open" costs the same whatever the reason.
    Open,
    /// Whether the time to an answer tells the reasons for "open" apart.
    Times,
    /// What a release costs in large tables, how soon the node starts, and its memory.
    Size,
    /// What an idle connection takes.
    Idle,
    /// Imports beside PostgreSQL's `COPY`.
    Import,
    /// Publishing a quarter beside a plain `GROUP BY`, and a table beside a release.
    Statistics,
    #[command(hide = true)]
    ServeConcordat { file: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

impl Arguments {
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// Where to measure.
struct Site {
    database: &'static str,
    postgres: Option<postgres::Server>,
}

/// A node of its own with what will be asked about, running.
struct Running {
    world: World,
    node: Server,
    asks: Arc<Asks>,
    _folder: TempDir,
}

impl Site {
    async fn run(&self) -> Result<Running> {
        // In Cargo's own folder and not in a temporary one, which on many machines is in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let database = self.postgres.as_ref().map(postgres::Server::database);
        let world = World::create(folder.path(), database).await?;
        let node = Server::concordat(&world.config_file)?;
        let asks = world.populate(node.address).await.context("the node could not be filled")?;
        Ok(Running { world, node, asks, _folder: folder })
    }

    async fn measure(&self, arguments: &Arguments) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let wanted = |axis: fn(&Role) -> bool| arguments.role.as_ref().is_none_or(axis);
        if wanted(|role| matches!(role, Role::Withdrawal)) {
            figures.extend(withdrawal::measure(self, arguments).await.context("withdrawal")?);
        }
        if wanted(|role| matches!(role, Role::Open)) {
            figures.extend(open::measure(self, arguments).await.context("open")?);
        }
        if wanted(|role| matches!(role, Role::Size)) {
            figures.extend(size::measure(self, arguments).await.context("size")?);
        }
        if wanted(|role| matches!(role, Role::Idle)) && self.postgres.is_none() {
            figures.extend(idle::measure(self, arguments).await.context("idle")?);
        }
        if wanted(|role| matches!(role, Role::Import)) && self.postgres.is_some() {
            figures.extend(import::measure(self, arguments).await.context("import")?);
        }
        if wanted(|role| matches!(role, Role::Statistics)) {
            figures.extend(statistics::measure(self, arguments).await.context("statistics")?);
        }
        Ok(figures)
    }
}

impl Running {
    /// Stops the node and starts it again.
    fn restart(&mut self) -> Result<()> {
        self.node.shut_down()?;
        self.node = Server::concordat(&self.world.config_file)?;
        Ok(())
    }

    /// Stops the node and verifies its whole ledger.
    async fn stop(self) -> Result<()> {
        self.node.stop()?;
        let found = self.world.check().await?;
        say(&format!("the tree of {} entries verifies", found.size));
        Ok(())
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::ServeConcordat { file }) = &arguments.role {
        return bench::serve_concordat(file);
    }
    // One thread: the load should take as little as it can of the machine that the servers share with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut figures, mut times) = (Vec::new(), Pairs::default());
    let of_times = arguments.role.as_ref().is_none_or(|role| matches!(role, Role::Times));
    if of_times {
        times.extend(times::in_process(&arguments)?);
    }
    for database in &arguments.databases {
        let site = match database {
            Database::Sqlite => Site { database: "SQLite", postgres: None },
            Database::Postgres => {
                let Some(server) = postgres::durable_server() else { continue };
                Site { database: "PostgreSQL", postgres: Some(server) }
            }
        };
        figures.extend(runtime.block_on(site.measure(&arguments))?);
        if of_times {
            times.extend(runtime.block_on(times::on_the_wire(&site, &arguments)).context("times")?);
        }
    }
    let report = Report { seconds: arguments.seconds, rounds: arguments.rounds, rows: arguments.rows, figures, times };
    bench::print(&report, arguments.json)?;
    report.times.check()
}
