//! Whether "open" costs the same, whatever the reason: the answer does not tell the reasons apart, and its price should
//! not either.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use concordat::seal::new_id;

use crate::bench::{self, Asks, Expected, INCIDENTS, Load, Officers, Permits, Side, median, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// How many asks are under way at a time.
const AT_ONCE: usize = 64;
/// As many incidents for each reason, so that the asks of a batch are about different ones.
const EACH: usize = AT_ONCE;

/// Why nothing is released.
#[derive(Debug, Clone, Copy)]
enum Reason {
    NothingHeld,
    NoConsent,
    Withdrawn,
    NotAuthorised,
}

impl Reason {
    const ALL: [Self; 4] = [Self::NothingHeld, Self::NoConsent, Self::Withdrawn, Self::NotAuthorised];

    fn name(self) -> &'static str {
        match self {
            Self::NothingHeld => "nothing held",
            Self::NoConsent => "no consent",
            Self::Withdrawn => "consent withdrawn",
            Self::NotAuthorised => "not authorised",
        }
    }

    /// The references to ask by.
    async fn prepare(self, officers: &Officers, first: usize) -> Result<Vec<String>> {
        let permits = match self {
            Self::NothingHeld => return Ok((0..EACH).map(|_| new_id("ref")).collect()),
            Self::NoConsent => Permits { consent: false, ..Permits::ALL },
            Self::Withdrawn => Permits::ALL,
            Self::NotAuthorised => Permits { authorisation: false, ..Permits::ALL },
        };
        let held = officers.hold_all(first..first + EACH, permits).await?;
        if matches!(self, Self::Withdrawn) {
            for held in &held {
                officers.withdraw(held).await?;
            }
        }
        Ok(held.into_iter().map(|held| held.reference).collect())
    }
}

pub(crate) async fn measure(site: &Site, arguments: &Arguments) -> Result<Vec<Figure>> {
    let running = site.run().await?;
    let Running { world, node, .. } = &running;
    let officers = Officers::of(world, node.address)?;
    let mut loads = Vec::new();
    let mut sizes = Vec::new();
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        let references = reason.prepare(&officers, INCIDENTS + place * EACH).await?;
        let asks = Arc::new(Asks::new(references, Expected::Open)?);
        let load = Load::connect(world, node.address, AT_ONCE, asks).await?;
        let warm = load.run(Duration::from_secs(1)).await?;
        for sample in &warm.samples {
            ensure!(world.outcome(sample)? == "open", "a receipt says another outcome");
        }
        sizes.push(warm.samples.iter().map(bytes::Bytes::len).max());
        loads.push((reason, load));
    }
    let mut rounds: Vec<Vec<Side>> = Vec::new();
    for number in 1..=arguments.rounds {
        let mut sides = Vec::new();
        for (_, load) in &loads {
            let (side, _) = bench::measure(load, node, world.database_server(), arguments.length()).await?;
            sides.push(side);
        }
        let micros: Vec<String> = sides.iter().map(|side| format!("{:.0}", side.all_cpu_micros())).collect();
        say(&format!("{}, open, round {number}: {} µs CPU", site.database, micros.join(", ")));
        rounds.push(sides);
    }
    drop(loads);
    running.stop().await?;
    Ok(figures(site, &rounds, &sizes))
}

fn figures(site: &Site, rounds: &[Vec<Side>], sizes: &[Option<usize>]) -> Vec<Figure> {
    let of = |place: usize, figure: &dyn Fn(&Side) -> f64| -> Vec<f64> {
        rounds.iter().filter_map(|sides| sides.get(place)).map(figure).collect()
    };
    let cpu = |place| of(place, &Side::all_cpu_micros);
    let medians: Vec<f64> = Reason::ALL.iter().enumerate().map(|(place, _)| median(&cpu(place))).collect();
    let most = medians.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let name = |what: &str| format!("open: {what}");
    let mut figures = vec![
        Figure::new(site.database, name("server CPU, dearest / cheapest reason (of medians)"), vec![most / least])
            .target(Target::AtMost(1.05)),
    ];
    for (place, reason) in Reason::ALL.into_iter().enumerate().skip(1) {
        let ratios = cpu(place).iter().zip(cpu(0)).map(|(one, nothing)| one / nothing).collect();
        figures.push(Figure::new(
            site.database,
            name(&format!("server CPU, {} / {}", reason.name(), Reason::NothingHeld.name())),
            ratios,
        ));
    }
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        figures.push(Figure::new(site.database, name(&format!("{}, server CPU, µs", reason.name())), cpu(place)));
    }
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        let p50 = of(place, &|side| side.p50_micros / 1_000.0);
        figures.push(Figure::new(site.database, name(&format!("{}, p50, ms", reason.name())), p50));
    }
    let sizes: Vec<f64> = sizes.iter().flatten().filter_map(|size| u32::try_from(*size).ok()).map(f64::from).collect();
    figures.push(Figure::new(site.database, name("bytes of an answer, longest of each reason"), sizes));
    figures
}
