//! Incidents as `concordat import` registers them, beside PostgreSQL's `COPY` of the same rows into the same tables.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use concordat::exchange::RegisterIncidents;
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;

use crate::bench::{Officers, Watch, micros, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// As many calls as the program has under way.
pub(crate) const AT_ONCE: usize = 3;
/// As many incidents as a call takes.
const TOGETHER: usize = RegisterIncidents::MOST;

/// What a record is stored in.
const RECORDS: [&str; 6] = [
    "organisation",
    "organisation_identifier",
    "organisation_name",
    "incident",
    "incident_revision",
    "incident_category",
];
/// What its batch's entry is stored in, and what keeps it from being registered twice.
const ENTRIES: [&str; 4] = ["entry", "entry_party", "call", "checkpoint"];

/// Registers organisations with an incident each for this long; gives how many.
pub(crate) async fn run(officers: &Officers, length: Duration) -> Result<usize> {
    // Far from those that are asked about.
    static NEXT: AtomicUsize = AtomicUsize::new(10_000_000);
    let end = Instant::now() + length;
    let mut loops = JoinSet::new();
    for _ in 0..AT_ONCE {
        let officers = officers.clone();
        loops.spawn(async move {
            let mut count = 0;
            while Instant::now() < end {
                let first = NEXT.fetch_add(TOGETHER, Ordering::Relaxed);
                officers.register_many(first..first + TOGETHER).await?;
                count += TOGETHER;
            }
            anyhow::Ok(count)
        });
    }
    let mut all = 0;
    while let Some(count) = loops.join_next().await {
        all += count??;
    }
    Ok(all)
}

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let running = site.run().await?;
    let Running { world, node, .. } = &running;
    let officers = Officers::of(world, node.address)?;
    let Watch::Postgres(pool) = &world.watch else { return Ok(Vec::new()) };
    for table in RECORDS.iter().chain(&ENTRIES) {
        sqlx::query(AssertSqlSafe(format!("CREATE TABLE copied_{table} (LIKE {table} INCLUDING ALL)")))
            .execute(pool)
            .await?;
    }

    let (mut imported, mut copied_records, mut copied_all, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=arguments.rounds {
        let (before, begun) = (node.cpu()?, Instant::now());
        let registered = count(run(&officers, arguments.length()).await?)?;
        let rate = registered / begun.elapsed().as_secs_f64();
        imported.push(rate);
        cpu.push(micros(node.cpu()?.saturating_sub(before)) / registered);

        let incidents = count(world.watch.count("SELECT COUNT(*) FROM incident").await?.try_into()?)?;
        let records = copy_all(pool, &RECORDS).await?.as_secs_f64();
        let entries = copy_all(pool, &ENTRIES).await?.as_secs_f64();
        copied_records.push(incidents / records);
        copied_all.push(incidents / (records + entries));
        say(&format!(
            "{}, import, round {number}: {rate:.0} incidents a second; COPY of {incidents}: {records:.2} s, and {entries:.2} s",
            site.database
        ));
    }
    running.stop().await?;

    let ratio = |copied: &[f64]| imported.iter().zip(copied).map(|(imported, copied)| imported / copied).collect();
    let figure = |what: &str, rounds| Figure::new(site.database, format!("import: {what}"), rounds);
    Ok(vec![
        figure("incidents / those that COPY loads", ratio(&copied_records)).target(Target::AtLeast(0.1)),
        figure("incidents / those that COPY loads with entries", ratio(&copied_all)),
        figure("incidents in a second", imported),
        figure("server CPU for an incident, µs", cpu),
        figure("COPY, incidents in a second", copied_records),
        figure("COPY, incidents with entries in a second", copied_all),
    ])
}

async fn copy_all(pool: &PgPool, tables: &[&str]) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for table in tables {
        all += copy(pool, table).await?;
    }
    Ok(all)
}

/// Copies a table's rows into its twin, durably, and empties that again; gives how long the copying took.
async fn copy(pool: &PgPool, table: &str) -> Result<Duration> {
    let folder: String = sqlx::query_scalar("SHOW unix_socket_directories").fetch_one(pool).await?;
    let file = Path::new(&folder).join("rows");
    let written = file.display();
    sqlx::query(AssertSqlSafe(format!("COPY {table} TO '{written}' (FORMAT binary)"))).execute(pool).await?;
    let rows = fs::read(&file)?;
    let begun = Instant::now();
    let mut copying = pool.copy_in_raw(&format!("COPY copied_{table} FROM STDIN (FORMAT binary)")).await?;
    copying.send(rows).await?;
    let copied = copying.finish().await?;
    let took = begun.elapsed();
    ensure!(copied > 0, "{table} has no rows to copy");
    sqlx::query(AssertSqlSafe(format!("TRUNCATE copied_{table}"))).execute(pool).await?;
    Ok(took)
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
