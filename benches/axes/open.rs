//! Whether "open" costs the same, whatever the reason: the answer does not tell the reasons apart, and its price should
//! not either.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use concordat::proto::v1;
use concordat::seal::new_id;
use prost::Message as _;

use crate::bench::{self, Asks, Expected, INCIDENTS, Load, Officers, Permits, Side, World, median, say};
use crate::table::{Figure, Target};
use crate::{Arguments, Running, Site};

/// How many asks are under way at a time: alone, which shows an ask's own work, and many, which share a batch's.
const CONCURRENCY: [usize; 2] = [1, 64];
/// So many bytes more or less the times in an answer take, whatever the reason.
const TIMES: usize = 3;
/// So many incidents for each reason that the asks of a batch are about different ones.
const EACH: usize = 64;

/// Why nothing is released.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    NothingHeld,
    NoConsent,
    Withdrawn,
    NotAuthorised,
}

impl Reason {
    pub(crate) const ALL: [Self; 4] = [Self::NothingHeld, Self::NoConsent, Self::Withdrawn, Self::NotAuthorised];

    pub(crate) fn name(self) -> &'static str {
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
    let asks = asks(world, node.address).await?;
    let mut figures = Vec::new();
    for concurrency in CONCURRENCY {
        let mut loads = Vec::new();
        let mut answers = BTreeSet::new();
        for asks in &asks {
            let load = Load::connect(world, node.address, concurrency, Arc::clone(asks)).await?;
            for sample in load.run(Duration::from_secs(1)).await?.samples {
                ensure!(world.outcome(&sample)? == "open", "a receipt says another outcome");
                answers.insert(length_besides_proof(&sample)?);
            }
            loads.push(load);
        }
        let (shortest, longest) = (answers.first().copied().unwrap_or(0), answers.last().copied().unwrap_or(0));
        ensure!(longest - shortest <= TIMES, "answers have {answers:?} bytes, by the reason");
        let mut rounds: Vec<Vec<Side>> = Vec::new();
        for number in 1..=arguments.rounds {
            let mut sides = Vec::new();
            // Each comes first in its turn, since what comes later meets a larger ledger.
            let first = usize::try_from(number)? % loads.len();
            for place in (first..loads.len()).chain(0..first) {
                let Some(load) = loads.get(place) else { continue };
                let (measured, _) = bench::measure(load, node, world.database_server(), arguments.length()).await?;
                sides.push((place, measured));
            }
            sides.sort_by_key(|(place, _)| *place);
            let sides: Vec<Side> = sides.into_iter().map(|(_, side)| side).collect();
            let micros: Vec<String> = sides.iter().map(|side| format!("{:.0}", side.all_cpu_micros())).collect();
            let micros = micros.join(", ");
            say(&format!("{}, open, c = {concurrency}, round {number}: {micros} µs CPU", site.database));
            rounds.push(sides);
        }
        figures.extend(self::figures(site, concurrency, &rounds));
    }
    running.stop().await?;
    Ok(figures)
}

/// What to ask for each reason, in their order.
pub(crate) async fn asks(world: &World, node: SocketAddr) -> Result<Vec<Arc<Asks>>> {
    let officers = Officers::of(world, node)?;
    let mut asks = Vec::new();
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        let references = reason.prepare(&officers, INCIDENTS + place * EACH).await?;
        asks.push(Arc::new(Asks::new(references, Expected::Open)?));
    }
    Ok(asks)
}

/// How long an answer is without its proof, which grows with the ledger.
fn length_besides_proof(answer: &[u8]) -> Result<usize> {
    let mut answer = v1::RequestReleaseResponse::decode(answer)?;
    let receipt = answer.receipt.as_mut().context("an answer has no receipt")?;
    (receipt.index, receipt.inclusion, receipt.checkpoint) = (0, Vec::new(), String::new());
    Ok(answer.encoded_len())
}

fn figures(site: &Site, concurrency: usize, rounds: &[Vec<Side>]) -> Vec<Figure> {
    let figure = |what: &str, rounds| Figure::new(site.database, format!("open, c = {concurrency}: {what}"), rounds);
    let of = |place: usize, figure: fn(&Side) -> f64| -> Vec<f64> {
        rounds.iter().filter_map(|sides| sides.get(place)).map(figure).collect()
    };
    let reasons = || Reason::ALL.into_iter().enumerate();
    // Of each round its own shares, since the machine is slower in one than in another.
    let apart = |figure: fn(&Side) -> f64| {
        let share = |place: usize| {
            let shares = rounds.iter().map(|sides| {
                let all: f64 = sides.iter().map(figure).sum();
                sides.get(place).map_or(f64::NAN, figure) / all
            });
            median(&shares.collect::<Vec<f64>>())
        };
        let shares: Vec<f64> = reasons().map(|(place, _)| share(place)).collect();
        let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        vec![most / shares.iter().copied().fold(f64::INFINITY, f64::min)]
    };
    let p50: fn(&Side) -> f64 = |side| side.p50_micros / 1_000.0;
    let mut figures = vec![
        figure("server CPU, dearest reason / cheapest", apart(Side::all_cpu_micros)).target(Target::AtMost(1.05)),
        figure("p50, slowest reason / quickest", apart(p50)),
    ];
    for (place, reason) in reasons() {
        figures.push(figure(&format!("{}, server CPU, µs", reason.name()), of(place, Side::all_cpu_micros)));
    }
    for (place, reason) in reasons() {
        figures.push(figure(&format!("{}, p50, ms", reason.name()), of(place, p50)));
    }
    figures
}
