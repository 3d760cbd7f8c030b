//! Publishing a quarter of many incidents beside a plain `GROUP BY` of the same rows that knows no disclosure control; and
//! a published table beside a release.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use concordat::clock::Clock;
use concordat::domain::Quarter;
use concordat::menu::MENU;
use concordat::proto::v1;
use concordat::proto::v1::statistics_service_client::StatisticsServiceClient;
use concordat::seal::{Seal, new_id};
use concordat::statistics::Coordinates;
use prost::Message;
use sqlx::{AssertSqlSafe, Database, QueryBuilder};

use crate::bench::{self, HOLDER, Load, REQUESTER, Server, Side, Source, Watch, World, frame, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// So many incidents are one organisation's.
const EACH: u64 = 4;
/// So many rows in one statement: seven values each, and SQLite takes 32,766.
const AT_ONCE: u64 = 4_000;
/// As long as a node lets a call take.
const LONGEST: Duration = Duration::from_secs(30);
const CONCURRENCY: [usize; 2] = [1, 64];

/// Incidents in plain columns, as a database without disclosure control would count them.
const PLAIN: &str = "CREATE TABLE plain (organisation_id TEXT NOT NULL, v0 INTEGER NOT NULL, v1 INTEGER NOT NULL, \
                     v2 INTEGER NOT NULL, v3 INTEGER NOT NULL, v4 INTEGER NOT NULL)";

/// One invented incident.
struct Row {
    incident: String,
    organisation: String,
    values: Coordinates,
    sealed: Vec<u8>,
}

impl Row {
    fn new(number: u64, quarter: &str, seal: &Seal) -> Result<Self> {
        let (incident, organisation) = (format!("inc_{number:026}"), format!("org_{:026}", number / EACH));
        let mut values = Coordinates::default();
        for (place, (value, axis)) in (0_u64..).zip(values.iter_mut().zip(MENU.axes())) {
            // The lower of two draws, so that the values differ in how frequent they are.
            let draw = |salt| mixed(number * 16 + place * 2 + salt) % axis.values.len() as u64;
            *value = u8::try_from(draw(0).min(draw(1)))?;
        }
        let sealed = seal.seal_statistic(&[incident.as_str(), quarter], &values)?;
        Ok(Self { incident, organisation, values, sealed })
    }
}

/// `SplitMix64`: the same numbers in every run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The statements that add these rows, to the node's table and to the plain one.
fn inserts<DB: Database>(rows: &[Row], quarter: &str) -> [QueryBuilder<DB>; 2]
where
    for<'a> &'a str: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    for<'a> &'a [u8]: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    for<'a> String: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    for<'a> Vec<u8>: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    for<'a> i32: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
{
    let columns = "incident_id, holder, organisation_id, quarter, sealed";
    let mut kept = QueryBuilder::new(format!("INSERT INTO incident_statistic ({columns}) "));
    kept.push_values(rows, |mut line, row| {
        line.push_bind(row.incident.clone()).push_bind(REQUESTER.to_owned()).push_bind(row.organisation.clone());
        line.push_bind(quarter.to_owned()).push_bind(row.sealed.clone());
    });
    let mut plain = QueryBuilder::new("INSERT INTO plain (organisation_id, v0, v1, v2, v3, v4) ");
    plain.push_values(rows, |mut line, row| {
        line.push_bind(row.organisation.clone());
        for value in row.values.iter().take(5) {
            line.push_bind(i32::from(*value));
        }
    });
    [kept, plain]
}

/// Adds so many incidents to a quarter. No node may be running.
async fn fill(world: &World, quarter: &str, rows: u64) -> Result<()> {
    let counted = MENU.menu().tables().iter().flat_map(|table| &table.over).max();
    ensure!(counted.is_none_or(|place| *place < 5), "the plain table has a column for each dimension of a table");
    let seal = world.seal()?;
    world.watch.run(PLAIN.into()).await?;
    for first in (0..rows).step_by(usize::try_from(AT_ONCE)?) {
        let numbers = first..rows.min(first + AT_ONCE);
        let rows = numbers.map(|number| Row::new(number, quarter, &seal)).collect::<Result<Vec<Row>>>()?;
        match &world.watch {
            Watch::Sqlite(pool) => {
                for mut insert in inserts::<sqlx::Sqlite>(&rows, quarter) {
                    insert.build().execute(pool).await?;
                }
            }
            Watch::Postgres(pool) => {
                for mut insert in inserts::<sqlx::Postgres>(&rows, quarter) {
                    insert.build().execute(pool).await?;
                }
            }
        }
    }
    let tidy =
        if matches!(world.watch, Watch::Sqlite(_)) { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "VACUUM ANALYZE" };
    world.watch.run(tidy.into()).await
}

/// Counts every table of the menu from the plain rows; gives how long it took.
async fn grouped(watch: &Watch) -> Result<Duration> {
    let begun = Instant::now();
    for table in MENU.menu().tables() {
        let columns: Vec<String> = table.over.iter().map(|place| format!("v{place}")).collect();
        let columns = columns.join(", ");
        let group = if columns.is_empty() { String::new() } else { format!(" GROUP BY {columns}") };
        let sql = format!("SELECT COUNT(DISTINCT organisation_id) FROM plain{group}");
        let cells = match watch {
            Watch::Sqlite(pool) => sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_all(pool).await?.len(),
            Watch::Postgres(pool) => sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_all(pool).await?.len(),
        };
        ensure!(cells > 0, "a table has no cells");
    }
    Ok(begun.elapsed())
}

/// Asks for one published table.
struct Tables {
    quarter: String,
}

impl Source for Tables {
    const AGENCY: &'static str = HOLDER;
    const ROLE: &'static str = "statistician";
    const RPC: &'static str = "StatisticsService/GetStatistics";

    fn frame(&self) -> Bytes {
        let request = v1::GetStatisticsRequest {
            request_id: new_id("bench"),
            holder: REQUESTER.into(),
            quarter: self.quarter.clone(),
            table: "sector-type".into(),
        };
        // An ask of a few short texts has fewer bytes than a frame may have.
        frame(&request).unwrap_or_default().into()
    }

    fn accepts(&self, message: &Bytes) -> bool {
        let told = v1::GetStatisticsResponse::decode(message.clone());
        let outcome = told.ok().and_then(|told| told.outcome);
        matches!(outcome, Some(v1::get_statistics_response::Outcome::Shared(shared)) if shared.table.is_some())
    }
}

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let mut running = site.run().await?;
    let quarter = Quarter::of(Clock::system().now().plus_seconds(-95 * 86_400)).to_string();
    running.node.shut_down()?;
    let begun = Instant::now();
    fill(&running.world, &quarter, arguments.rows).await?;
    say(&format!(
        "{}: {} incidents in {quarter} after {:.0} s",
        site.database,
        arguments.rows,
        begun.elapsed().as_secs_f64()
    ));
    running.node = Server::concordat(&running.world.config_file)?;

    let Running { world, node, asks, .. } = &running;
    let mut statistician = StatisticsServiceClient::new(world.officer(REQUESTER, "statistician", node.address)?);
    let mut publish = async |validate_only| {
        let request =
            v1::PublishStatisticsRequest { request_id: new_id("bench"), quarter: quarter.clone(), validate_only };
        let mut request = tonic::Request::new(request);
        request.set_timeout(LONGEST);
        let begun = Instant::now();
        let tables = statistician.publish_statistics(request).await?.into_inner().tables;
        ensure!(tables.len() == MENU.menu().tables().len(), "tables are missing");
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    let (mut counted, mut plain) = (Vec::new(), Vec::new());
    for number in 1..=arguments.rounds {
        counted.push(publish(true).await?);
        plain.push(grouped(&world.watch).await?.as_secs_f64());
        let both = [&counted, &plain].map(|times| times.last().copied().unwrap_or_default());
        say(&format!("{}, statistics, round {number}: {:.2} and {:.2} s", site.database, both[0], both[1]));
    }
    let published = publish(false).await?;

    let figure = |what: &str, rounds| Figure::new(site.database, format!("statistics: {what}"), rounds);
    let ratio = counted.iter().zip(&plain).map(|(counted, plain)| counted / plain).collect();
    let mut figures = vec![
        figure("counting a quarter / plain GROUP BY", ratio).target(Target::AtMost(3.0)),
        figure("counting a quarter, s", counted),
        figure("plain GROUP BY of every table, s", plain),
        figure("publishing it, s", vec![published]),
    ];
    for concurrency in CONCURRENCY {
        let tables = Arc::new(Tables { quarter: quarter.clone() });
        let tables = Load::connect(world, node.address, concurrency, tables).await?;
        let releases = Load::connect(world, node.address, concurrency, Arc::clone(asks)).await?;
        let (mut of_tables, mut of_releases) = (Vec::new(), Vec::new());
        for number in 0..=arguments.rounds {
            let (table, _) = bench::measure(&tables, node, world.database_server(), arguments.length()).await?;
            let (release, answered) =
                bench::measure(&releases, node, world.database_server(), arguments.length()).await?;
            world.verify(&answered)?;
            // The first round is for the caches.
            if number > 0 {
                of_tables.push(table);
                of_releases.push(release);
            }
        }
        figures.extend(beside_releases(site, concurrency, &of_tables, &of_releases));
    }
    running.stop().await?;
    Ok(figures)
}

fn beside_releases(site: &Site, concurrency: usize, tables: &[Side], releases: &[Side]) -> Vec<Figure> {
    let figure =
        |what: &str, rounds| Figure::new(site.database, format!("statistics, c = {concurrency}: {what}"), rounds);
    let of = |sides: &[Side], of: fn(&Side) -> f64| sides.iter().map(of).collect::<Vec<f64>>();
    let ratio = |figure: fn(&Side) -> f64| {
        of(tables, figure).iter().zip(of(releases, figure)).map(|(table, release)| table / release).collect()
    };
    vec![
        figure("server CPU, a table / a release", ratio(Side::all_cpu_micros)).target(Target::AtMost(1.0)),
        figure("p50, a table / a release", ratio(|side| side.p50_micros)).target(Target::AtMost(1.0)),
        figure("server CPU for a table, µs", of(tables, Side::all_cpu_micros)),
        figure("server CPU for a release, µs", of(releases, Side::all_cpu_micros)),
    ]
}
