//! Whether the time to an answer tells the reasons behind "open" apart: Welch's t of every pair of reasons, which take
//! turns at random, and of one reason beside itself with some microseconds more, which has to be found.

use std::fmt;
use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant as Moment};

use anyhow::{Result, ensure};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use concordat::decision::{Agreement, Decision, Facts, decide};
use concordat::domain::{AgencyId, ConsentState, Instant};
use concordat::ledger::{Draft, Kind, Salts, Slots};
use concordat::proto::v1;
use concordat::seal::random;
use prost::Message as _;
use serde::Serialize;

use crate::bench::welch::{self, TOO_FAR};
use crate::bench::{Load, micros, say};
use crate::open::{Reason, asks};
use crate::{Arguments, Running, Site, facts};

/// What is planted, to see whether it would be found.
const PLANTED: Duration = Duration::from_micros(20);
/// So many more samples are taken of what needs no server.
const IN_PROCESS: usize = 25;

/// Two kinds of work that should take the same time; or one and itself with more, which should not.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    place: String,
    one: &'static str,
    other: &'static str,
    planted: bool,
    samples: (usize, usize),
    /// The mean of the one less that of the other, of what is not cropped.
    apart_micros: f64,
    t: f64,
    /// The same without the tenth of all samples that took longest.
    t_cropped: f64,
}

impl Pair {
    fn is_found(&self) -> bool {
        self.t.abs() > TOO_FAR || self.t_cropped.abs() > TOO_FAR
    }
}

/// What came of all pairs.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Pairs(Vec<Pair>);

impl Pairs {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Fails where what was planted was not found: then the rest says nothing.
    pub(crate) fn check(&self) -> Result<()> {
        for pair in self.0.iter().filter(|pair| pair.planted) {
            ensure!(pair.is_found(), "{}: {PLANTED:?} were planted and not found: take more samples", pair.place);
        }
        Ok(())
    }

    /// Of kinds of work with their times in microseconds, the last of which is the first with more.
    fn of(place: &str, names: &[&'static str], times: &[Vec<f64>]) -> Self {
        let cropped = welch::cropped(times);
        let mut pairs = Vec::new();
        let planted = names.len().saturating_sub(1);
        for ((at, one), (all, kept)) in names.iter().enumerate().zip(times.iter().zip(&cropped)) {
            let others = names.iter().enumerate().zip(times.iter().zip(&cropped)).skip(at + 1);
            for ((other_at, other), (other_all, other_kept)) in others {
                if other_at == planted && at != 0 {
                    continue;
                }
                pairs.push(Pair {
                    place: place.to_owned(),
                    one,
                    other,
                    planted: other_at == planted,
                    samples: (all.len(), other_all.len()),
                    apart_micros: welch::mean(kept) - welch::mean(other_kept),
                    t: welch::t(all, other_all),
                    t_cropped: welch::t(kept, other_kept),
                });
            }
        }
        Self(pairs)
    }
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["", "one", "other", "samples", "apart, µs", "t", "t, cropped", ""]);
        for pair in &self.0 {
            let verdict = match (pair.is_found(), pair.planted) {
                (true, true) => "planted, found",
                (false, true) => "planted, missed",
                (true, false) => "differs",
                (false, false) => "",
            };
            table.add_row([
                pair.place.clone(),
                pair.one.to_owned(),
                pair.other.to_owned(),
                format!("{} and {}", pair.samples.0, pair.samples.1),
                format!("{:.2}", pair.apart_micros),
                format!("{:.1}", pair.t),
                format!("{:.1}", pair.t_cropped),
                verdict.to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(
            f,
            "{table}\nBeyond {TOO_FAR} a pair differs by more than chance. Cropped: the slowest tenth of all left out."
        )
    }
}

/// Any of so many kinds.
fn any(kinds: usize) -> usize {
    usize::try_from(u32::from_be_bytes(random())).unwrap_or_default() % kinds
}

fn spin(length: Duration) {
    let begun = Moment::now();
    while begun.elapsed() < length {
        spin_loop();
    }
}

/// Through a real server and mutual TLS, one ask after the other on one connection.
pub(crate) async fn on_the_wire(site: &Site, arguments: &Arguments) -> Result<Pairs> {
    let running = site.run().await?;
    let Running { world, node, .. } = &running;
    let mut kinds = asks(world, node.address).await?;
    let mut names: Vec<&str> = Reason::ALL.into_iter().map(Reason::name).collect();
    names.push("the same and 20 µs");
    kinds.extend(kinds.first().cloned());
    let Some(first) = kinds.first() else { return Ok(Pairs::default()) };
    let load = Load::connect(world, node.address, 1, first.clone()).await?;
    load.run(Duration::from_secs(2)).await?;
    let mut times = vec![Vec::new(); kinds.len()];
    for _ in 0..arguments.samples * kinds.len() {
        let kind = any(kinds.len());
        let (Some(source), Some(times)) = (kinds.get(kind), times.get_mut(kind)) else { continue };
        let begun = Moment::now();
        if kind + 1 == names.len() {
            spin(PLANTED);
        }
        load.put(&**source).await?;
        times.push(micros(begun.elapsed()));
    }
    running.stop().await?;
    Ok(Pairs::of(&format!("{}, on the wire", site.database), &names, &times))
}

/// The decision, the facts as they are sealed, leaf and openings; nothing of the database.
pub(crate) fn in_process(arguments: &Arguments) -> Result<Pairs> {
    let agreement = facts::agreement()?;
    let kinds = open_facts()?;
    let mut names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    names.push("the same and 20 µs");
    for (name, facts) in &kinds {
        ensure!(matches!(decide(facts, &[&agreement]), Decision::Open(_)), "{name}: is not open");
        (0..1_000).for_each(|_| answer(facts, &agreement));
    }
    let mut times = vec![Vec::new(); names.len()];
    let planted = kinds.len();
    for _ in 0..arguments.samples * IN_PROCESS * names.len() {
        let kind = any(names.len());
        let (Some((_, facts)), Some(times)) = (kinds.get(kind % planted), times.get_mut(kind)) else { continue };
        let begun = Moment::now();
        answer(black_box(facts), &agreement);
        if kind == planted {
            spin(PLANTED);
        }
        times.push(micros(begun.elapsed()));
    }
    say("in process: done");
    Ok(Pairs::of("in process", &names, &times))
}

/// Facts on which nothing is released, by why.
fn open_facts() -> Result<Vec<(&'static str, Facts)>> {
    let each =
        |change: fn(&mut concordat::decision::Match)| facts::without(|facts| facts.matches.iter_mut().for_each(change));
    let ended: fn(&mut concordat::decision::Match) = |found| {
        for scope in found.consents.iter_mut().filter_map(|consent| consent.scope.as_mut()) {
            scope.valid_until = scope.valid_from.plus_days(1);
        }
    };
    Ok(vec![
        ("nothing held", facts::without(|facts| facts.matches.clear())?),
        ("no consent", each(|found| found.consents.clear())?),
        ("consent withdrawn", facts::release(ConsentState::Withdrawn)?),
        ("consent ended", each(ended)?),
        ("not authorised", each(|found| found.authorisations.clear())?),
        (
            "authorisation revoked",
            each(|found| {
                found.authorisations.iter_mut().for_each(|one| one.revoked_at = Some(one.given_at.plus_days(1)));
            })?,
        ),
        ("frozen", each(|found| found.frozen_since = Some(Instant::from_micros(0)))?),
    ])
}

/// What an ask that comes to "open" has made of it.
fn answer(facts: &Facts, agreement: &Agreement) {
    let decision = decide(facts, &[agreement]);
    let ask = &facts.ask;
    let sealed = serde_json::to_vec(facts).unwrap_or_default();
    let outcome = v1::OutcomeStatement {
        outcome: "open".to_owned(),
        open_until_micros: facts.at.plus_days(90).micros(),
        ..v1::OutcomeStatement::default()
    };
    let act = v1::AskStatement {
        requester: ask.requester.agency.to_string(),
        holder: ask.holder.to_string(),
        purpose: ask.purpose.to_string(),
        categories: ask.categories.iter().map(ToString::to_string).collect(),
        request: ask.question.to_string(),
        ..v1::AskStatement::default()
    };
    let draft = Draft {
        kind: Kind::Ask,
        act: act.encode_to_vec(),
        subject: Vec::new(),
        outcome: outcome.encode_to_vec(),
        grounds: sealed,
        salts: Salts::from_seed(&[7; 32]),
        parties: vec![(AgencyId::known(facts::REQUESTER), Slots::REQUESTER)],
    };
    drop(black_box((draft.entry(facts.at), draft.openings(Slots::REQUESTER), decision)));
}
