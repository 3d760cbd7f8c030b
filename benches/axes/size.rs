//! A release in large tables beside one in small ones; how soon the node starts on the large ones, and its memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::{self, Asks, Load, Server, Side, say};
use crate::fill::fill;
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// How many rows the small tables have.
const FEW: u64 = 10_000;
/// How many releases are under way when they are compared, and when memory is read.
const COMPARED: usize = 64;
const CROWD: usize = 256;

/// How often the node is started on the large tables.
const STARTS: usize = 5;
const MEBIBYTE: f64 = 1_048_576.0;

/// A node that was started again after its tables had been filled.
struct Filled {
    running: Running,
    fill_seconds: f64,
    start_seconds: Vec<f64>,
}

impl Filled {
    async fn make(site: &Site, rows: u64) -> Result<Self> {
        let mut running = site.run().await?;
        let Running { world, node, asks, .. } = &running;
        let warm = Load::connect(world, node.address, COMPARED, Arc::clone(asks)).await?;
        world.verify(&warm.run(Duration::from_secs(1)).await?)?;
        drop(warm);
        running.node.shut_down()?;
        let begun = Instant::now();
        fill(&running.world.watch, rows).await?;
        let fill_seconds = begun.elapsed().as_secs_f64();
        say(&format!("{}: {rows} rows more in each table after {fill_seconds:.0} s", site.database));
        let mut start_seconds = Vec::new();
        for _ in 0..STARTS {
            running.node.shut_down()?;
            let begun = Instant::now();
            running.node = Server::concordat(&running.world.config_file)?;
            start_seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok(Self { running, fill_seconds, start_seconds })
    }

    async fn load(&self, concurrency: usize) -> Result<Load<Asks>> {
        let Running { world, node, asks, .. } = &self.running;
        Load::connect(world, node.address, concurrency, Arc::clone(asks)).await
    }

    async fn side(&self, load: &Load<Asks>, length: Duration) -> Result<Side> {
        let Running { world, node, .. } = &self.running;
        let (side, answered) = bench::measure(load, node, world.database_server(), length).await?;
        world.verify(&answered)?;
        Ok(side)
    }
}

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let small = Filled::make(site, FEW).await?;
    let large = Filled::make(site, arguments.rows).await?;
    let (few, many) = (small.load(COMPARED).await?, large.load(COMPARED).await?);
    let (mut on_small, mut on_large) = (Vec::new(), Vec::new());
    for filled in [(&small, &few), (&large, &many)] {
        filled.0.side(filled.1, Duration::from_secs(1)).await?;
    }
    for number in 1..=arguments.rounds {
        on_small.push(small.side(&few, arguments.length()).await?);
        on_large.push(large.side(&many, arguments.length()).await?);
        if let (Some(small), Some(large)) = (on_small.last(), on_large.last()) {
            let (small, large) = (small.all_cpu_micros(), large.all_cpu_micros());
            say(&format!("{}, size, round {number}: {small:.0} and {large:.0} µs CPU", site.database));
        }
    }
    drop((few, many));
    let crowd = large.load(CROWD).await?;
    let (mut now, mut most) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        large.side(&crowd, arguments.length()).await?;
        let (bytes, most_bytes) = large.running.node.memory()?;
        now.push(f64::from(u32::try_from(bytes / 1_024)?) * 1_024.0 / MEBIBYTE);
        most.push(f64::from(u32::try_from(most_bytes / 1_024)?) * 1_024.0 / MEBIBYTE);
    }
    drop(crowd);
    let Filled { running, fill_seconds, start_seconds } = large;
    running.stop().await?;
    small.running.stop().await?;

    let figure = |what: &str, rounds| Figure::new(site.database, format!("size: {what}"), rounds);
    let of = |sides: &[Side], of: fn(&Side) -> f64| sides.iter().map(of).collect::<Vec<f64>>();
    let ratio = |figure: fn(&Side) -> f64| {
        of(&on_large, figure).iter().zip(of(&on_small, figure)).map(|(large, small)| large / small).collect()
    };
    Ok(vec![
        figure("server CPU for a release, large / small", ratio(Side::all_cpu_micros)).target(Target::AtMost(1.3)),
        figure("p99 of a release, large / small", ratio(|side| side.p99_micros)).target(Target::AtMost(1.3)),
        figure("start on large tables, s", start_seconds).target(Target::AtMost(2.0)),
        figure("memory of the server at c = 256, MiB", now).target(Target::AtMost(64.0)),
        figure("the most that it had, MiB", most),
        figure("server CPU for a release, small, µs", of(&on_small, Side::all_cpu_micros)),
        figure("server CPU for a release, large, µs", of(&on_large, Side::all_cpu_micros)),
        figure("p99 of a release, small, ms", of(&on_small, |side| side.p99_micros / 1_000.0)),
        figure("p99 of a release, large, ms", of(&on_large, |side| side.p99_micros / 1_000.0)),
        figure("filling the large tables, s", vec![fill_seconds]),
    ])
}
