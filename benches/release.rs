//! A gated release against a bare echo of the same sizes, over the same mutual TLS, in one run.
//!
//! The absolute figures of one machine say little, and on a shared one they change from minute to minute. So both
//! servers run here, one after the other in short rounds, behind the same accept loop and the same TLS; the echo does
//! nothing else. What is left between the two is the gate: token, facts, decision, entry, durable commit, opening.
//!
//! Each server is a process of its own (this program, run again), so that its CPU time can be read apart from that of
//! the load. The run also checks that it measured the truth: every answer is a release, there is one entry for each,
//! samples of them verify offline, and at the end the whole tree does.

#[expect(dead_code, unused_imports, reason = "made for two benchmarks, each of which uses a part")]
mod bench;
#[path = "release/report.rs"]
mod report;
#[path = "release/transaction.rs"]
mod transaction;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use bench::{Asks, Load, Machine, Payloads, Server, World, measure as measure_side, percentile, postgres, say};
use report::{Cell, Report, Round};
use transaction::Transaction;

/// Measures gated releases against a bare echo of the same sizes over the same mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "release", bin_name = "cargo bench --bench release --")]
struct Arguments {
    /// How long one round of one server lasts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How often the two servers take turns in each cell.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The databases to measure on; PostgreSQL is left out where it is not installed.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Database::Sqlite, Database::Postgres])]
    databases: Vec<Database>,
    /// How many calls are under way at a time, one cell each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64], value_parser = clap::value_parser!(u64).range(1..=1000))]
    concurrency: Vec<u64>,
    /// Print JSON, with every round, in place of the table.
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it runs itself again.
#[derive(Debug, Subcommand)]
enum Role {
    /// A node, from its configuration.
    #[command(hide = true)]
    ServeConcordat { file: PathBuf },
    /// The echo, with the TLS of the same configuration and answers of this many bytes.
    #[command(hide = true)]
    Echo { file: PathBuf, answer_bytes: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.role {
        Some(Role::ServeConcordat { file }) => bench::serve_concordat(file),
        Some(Role::Echo { file, answer_bytes }) => bench::serve_echo(file, *answer_bytes),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    // One thread: the load should take as little as it can of the machine that the servers share with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut cells = Vec::new();
    for database in &arguments.databases {
        match database {
            Database::Sqlite => cells.extend(runtime.block_on(measure_on("SQLite", || None, arguments))?),
            Database::Postgres => {
                let Some(server) = postgres::durable_server() else { continue };
                cells.extend(runtime.block_on(measure_on("PostgreSQL", || Some(server.database()), arguments))?);
            }
        }
    }
    let report = Report { seconds: arguments.seconds, cells };
    bench::print(&report, arguments.json)
}

/// All cells on one database, then the check of everything that they left behind.
async fn measure_on(
    name: &'static str,
    database: impl Fn() -> Option<String>,
    arguments: &Arguments,
) -> Result<Vec<Cell>> {
    // In Cargo's own folder and not in a temporary one, which on many machines is in memory: nothing is durable there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let world = World::create(folder.path(), database()).await?;
    let node = Server::concordat(&world.config_file)?;
    let asks = world.populate(node.address).await.context("the node could not be filled")?;
    let mut released = 0;
    let mut cells = Vec::new();
    for &concurrency in &arguments.concurrency {
        let concurrency = usize::try_from(concurrency)?;
        // Calls that share a commit have no transaction of their own to compare with.
        let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let transaction = if concurrency == 1 {
            Some(Transaction::of(&World::create(beside.path(), database()).await?).await?)
        } else {
            None
        };
        // Only now: a connection of which nothing comes is closed.
        let load = Load::connect(&world, node.address, concurrency, Arc::clone(&asks)).await?;
        let (cell, count) = measure_cell(name, &world, (&node, &load, transaction), concurrency, arguments).await?;
        released += count;
        cells.push(cell);
    }
    node.stop()?;
    let found = world.check().await?;
    ensure!(found.asks == released, "{released} releases were answered, but {} asks are in the ledger", found.asks);
    say(&format!("{name}: {released} releases, as many entries; the tree of {} entries verifies", found.size));
    Ok(cells)
}

/// Rounds of the node, of the echo and of a bare transaction by turns; also how many releases there were, warming up included.
async fn measure_cell(
    name: &'static str,
    world: &World,
    (node, load, mut transaction): (&Server, &Load<Asks>, Option<Transaction>),
    concurrency: usize,
    arguments: &Arguments,
) -> Result<(Cell, u64)> {
    let warm_up = Duration::from_secs(1);
    let length = Duration::from_secs(arguments.seconds);

    let warm = load.run(warm_up).await?;
    let mut count = world.verify(&warm)?;
    let (ask_bytes, answer_bytes) = (warm.sent_bytes / warm.count(), warm.received_bytes / warm.count());
    let echo = Server::echo(&world.config_file, answer_bytes)?;
    let echo_load = Load::connect(world, echo.address, concurrency, Payloads::of(ask_bytes)?).await?;
    echo_load.run(warm_up).await?;

    let mut rounds = Vec::new();
    for number in 1..=arguments.rounds {
        let machine = Machine::measure(world.folder())?;
        let before = world.progress().await?;
        let (ours, answered) = measure_side(load, node, world.database_server(), length).await?;
        let after = world.progress().await?;
        count += world.verify(&answered)?;
        let (theirs, _) = measure_side(&echo_load, &echo, None, length).await?;
        let transaction_micros = match &mut transaction {
            Some(transaction) => Some(percentile(&transaction.run(length).await?, 50)),
            None => None,
        };
        let entries_per_commit = after.entries_per_commit(before);
        let round = Round { release: ours, echo: theirs, transaction_micros, entries_per_commit, machine };
        say(&format!("{name}, c = {concurrency}, round {number} of {}: {round}", arguments.rounds));
        rounds.push(round);
    }
    echo.stop()?;
    Ok((Cell { database: name, concurrency, ask_bytes, answer_bytes, rounds }, count))
}
