//! How many real incidents come out as anonymised records, and how coarse.

use std::collections::{BTreeMap, BTreeSet};

use concordat::domain::Quarter;
use concordat::menu::{MENU, Period, Step};
use concordat::statistics::{Contribution, Coordinates, Look, Rule, come_out};
use concordat::veris;
use prost::Message;

use super::real;

/// An incident of the VERIS Community Database, as if registered when it occurred.
#[derive(Clone, Copy)]
struct Real {
    quarter: Quarter,
    contribution: Contribution,
}

/// What came out of one step, by period: each record's organisation under what a reader sees of it.
type Seen = BTreeMap<(String, usize, Look), Vec<u32>>;

/// Those with a named victim, of this country or of all; where the month is not known, in the year's last quarter.
fn incidents(country: Option<&str>) -> Vec<Real> {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = Vec::new();
    for record in real::records() {
        let Some(Ok(incident)) = veris::read(&record).into_iter().next() else { continue };
        let countries =
            incident.content.identity.as_ref().map(|identity| identity.countries.clone()).unwrap_or_default();
        if country.is_some_and(|country| !countries.iter().any(|one| one == country)) {
            continue;
        }
        let next = u32::try_from(numbers.len()).unwrap();
        let organisation = *numbers.entry(incident.name.to_lowercase()).or_insert(next);
        let date = incident.content.timeline.as_ref().and_then(|timeline| timeline.occurred).unwrap();
        let number = if date.month == 0 { 4 } else { (date.month - 1) / 3 + 1 };
        let quarter = Quarter::parse(format!("{:04}-Q{number}", date.year)).unwrap();
        let coordinates = MENU.coordinates(&incident.content.encode_to_vec());
        let contribution = Contribution { organisation, key: u64::from(organisation), coordinates, incidents: 1 };
        found.push(Real { quarter, contribution });
    }
    found
}

/// Takes the steps of one kind of period, and gives what no step let out.
fn take(rule: &Rule, period: Period, incidents: Vec<Real>, seen: &mut Seen) -> Vec<Real> {
    let steps: Vec<(usize, &Step)> =
        MENU.steps().all().iter().enumerate().filter(|(_, step)| step.period == period).collect();
    let looks: Vec<_> = steps.iter().map(|(_, step)| |coordinates: Coordinates| step.look(coordinates)).collect();
    let mut by_period: BTreeMap<String, Vec<Real>> = BTreeMap::new();
    for one in incidents {
        by_period.entry(period.of(one.quarter)).or_default().push(one);
    }
    let mut left = Vec::new();
    for (name, incidents) in by_period {
        let out = come_out(rule, &looks, incidents.iter().map(|one| one.contribution));
        for one in incidents {
            let mut steps = steps
                .iter()
                .zip(&out)
                .map(|((place, step), out)| (*place, step.look(one.contribution.coordinates), out));
            match steps.find(|(_, look, out)| out.contains(look)) {
                Some((place, look, _)) => {
                    seen.entry((name.clone(), place, look)).or_default().push(one.contribution.organisation);
                }
                None => left.push(one),
            }
        }
    }
    left
}

/// How many incidents no other organisation's are like.
fn unique<T: Ord>(incidents: &[Real], look: impl Fn(&Real) -> T) -> usize {
    let mut alike: BTreeMap<T, (BTreeSet<u32>, usize)> = BTreeMap::new();
    for one in incidents {
        let (organisations, number) = alike.entry(look(one)).or_default();
        organisations.insert(one.contribution.organisation);
        *number += 1;
    }
    alike.values().filter(|(organisations, _)| organisations.len() == 1).map(|(_, number)| number).sum()
}

#[test]
fn of_real_incidents_none_comes_out_that_too_few_are_like() {
    for (name, country) in [("UK", Some("GB")), ("all countries", None)] {
        let all = incidents(country);
        assert!(!all.is_empty(), "{name}: there are no real incidents to measure; they belong beside this clone");
        // Sector, type and size by year, as the notes on real incidents have it; and everything by quarter.
        let by_year = |one: &Real| {
            let [sector, kind, _, _, _, size, ..] = one.contribution.coordinates;
            (one.quarter.year(), sector, kind, size)
        };
        println!(
            "{name}: {} incidents; alone on sector, type, size and year {}; on all that a record says and quarter {}",
            all.len(),
            unique(&all, by_year),
            unique(&all, |one| (one.quarter, one.contribution.coordinates)),
        );
        for threshold in [10, 5, 3] {
            let rule = Rule { threshold, ..Rule::default() };
            let mut seen = Seen::new();
            let left = take(&rule, Period::Quarter, all.clone(), &mut seen);
            let left = take(&rule, Period::Year, left, &mut seen);
            let mut by_step = vec![0; MENU.steps().all().len()];
            for ((_, step, _), organisations) in &seen {
                by_step[*step] += organisations.len();
                let distinct: BTreeSet<&u32> = organisations.iter().collect();
                assert!(u64::try_from(distinct.len()).unwrap() >= threshold, "{name}: {organisations:?}");
                for one in distinct {
                    let own = organisations.iter().filter(|other| *other == one).count();
                    assert!(own * 2 <= organisations.len(), "{name}: {organisations:?}");
                }
            }
            let out: usize = by_step.iter().sum();
            assert_eq!(out + left.len(), all.len());
            println!("  at least {threshold:>2} alike: by step {by_step:?}, {} withheld", left.len());
        }
    }
}
