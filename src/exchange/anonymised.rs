//! Which records come out anonymised: worked out once, when their quarter or their year is published, and only looked up
//! for an ask. So a record is the same whatever is asked, and whatever is registered later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::decision::Alike;
use crate::domain::{AgencyId, IncidentId, Instant, Quarter};
use crate::menu::{MENU, Period, Step};
use crate::seal::Seal;
use crate::statistics::{Contribution, Coordinates, Look, Rule, come_out};
use crate::store::{Reads, Stand};

use super::{Node, Result};

/// What a quarter's incidents contribute, and the looks that it let out when it was published.
pub(super) struct Counted {
    pub(super) quarter: Quarter,
    pub(super) contributions: Vec<Contribution>,
    pub(super) looks: BTreeSet<String>,
}

/// The steps that count over such a period, each with its place among all.
fn steps(period: Period) -> impl Iterator<Item = (usize, &'static Step)> {
    MENU.steps().all().iter().enumerate().filter(move |(_, step)| step.period == period)
}

/// What a look is kept by.
fn kept_by(seal: &Seal, holder: &AgencyId, quarter: Quarter, (place, step): (usize, &Step), look: Look) -> String {
    seal.statistics().look(holder, &step.period.of(quarter), &place.to_string(), &look)
}

/// The looks that a publication lets out: those of its quarter, and with the last quarter of a year those of the year,
/// over what its published quarters, given as `before`, have left.
pub(super) fn let_out(
    seal: &Seal,
    holder: &AgencyId,
    rule: &Rule,
    (quarter, contributions): (Quarter, Vec<Contribution>),
    before: Vec<Counted>,
) -> BTreeSet<String> {
    let over = |period: Period, contributions: Vec<Contribution>| {
        let steps: Vec<(usize, &Step)> = steps(period).collect();
        let looks: Vec<_> = steps.iter().map(|(_, step)| |coordinates| step.look(coordinates)).collect();
        let out = come_out(rule, &looks, contributions);
        let kept = |(step, looks): ((usize, &'static Step), BTreeSet<Look>)| {
            looks.into_iter().map(move |look| kept_by(seal, holder, quarter, step, look))
        };
        steps.into_iter().zip(out).flat_map(kept).collect::<BTreeSet<String>>()
    };
    if quarter.completes().is_empty() {
        return over(Period::Quarter, contributions);
    }
    let mut looks = over(Period::Quarter, contributions.clone());
    let own = Counted { quarter, contributions, looks: looks.clone() };
    let left = before.into_iter().chain([own]).flat_map(|counted| left(seal, holder, counted)).collect();
    looks.extend(over(Period::Year, left));
    looks
}

/// What no step of its quarter let out.
fn left(seal: &Seal, holder: &AgencyId, counted: Counted) -> Vec<Contribution> {
    let Counted { quarter, mut contributions, looks } = counted;
    let mut known: HashMap<Coordinates, bool> = HashMap::new();
    contributions.retain(|one| {
        !*known.entry(one.coordinates).or_insert_with_key(|coordinates| {
            let mut steps = steps(Period::Quarter);
            steps.any(|step| looks.contains(&kept_by(seal, holder, quarter, step, step.1.look(*coordinates))))
        })
    });
    contributions
}

/// How these incidents come out. As much is looked up for one that is not held or does not come out.
pub(super) async fn alike(
    node: &Node,
    reads: &mut Reads,
    incidents: &[&IncidentId],
) -> Result<BTreeMap<IncidentId, Alike>> {
    let nowhere = || Stand {
        holder: AgencyId::known("-"),
        quarter: Quarter::of(Instant::from_micros(0)),
        coordinates: Coordinates::default(),
        published: false,
    };
    let stands = reads.stands(incidents, &node.seal).await?;
    let kept = incidents.iter().map(|incident| {
        let stand = stands.get(*incident).cloned().unwrap_or_else(nowhere);
        let all = MENU.steps().all().iter().enumerate();
        let kept = |step: (usize, &'static Step)| {
            (step.1, kept_by(&node.seal, &stand.holder, stand.quarter, step, step.1.look(stand.coordinates)))
        };
        let kept: Vec<(&Step, String)> = all.map(kept).collect();
        (*incident, stand, kept)
    });
    let kept: Vec<_> = kept.collect();
    let wanted: Vec<&str> = kept.iter().flat_map(|(.., kept)| kept.iter().map(|(_, look)| look.as_str())).collect();
    let found = reads.looks(&wanted).await?;
    let comes_out = |(incident, stand, kept): &(&IncidentId, Stand, Vec<(&Step, String)>)| {
        // What its year let out was counted among the published quarters.
        let mut kept = kept.iter().filter(|(step, _)| step.period == Period::Quarter || stand.published);
        let (step, rule) = kept.find_map(|(step, look)| Some((*step, *found.get(look)?)))?;
        let record = MENU.steps().record(step, stand.coordinates, stand.quarter);
        Some(((*incident).clone(), Alike { record, rule }))
    };
    Ok(kept.iter().filter_map(comes_out).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { threshold: 5, margin: 10, largest_share: 2 };

    /// Ransomware at a hospital, at as many organisations from a number on, with so many people by their band's place.
    fn hospitals(from: u32, many: u32, people: u8) -> Vec<Contribution> {
        let coordinates = [2, 2, people, 0, 0, 0, 0, 0];
        let one = |organisation| Contribution { organisation, key: u64::from(organisation), coordinates, incidents: 1 };
        (from..from + many).map(one).collect()
    }

    #[test]
    fn the_years_last_quarter_lets_out_what_its_quarters_left() {
        let (seal, holder) = (Seal::new(&[7; 32]).unwrap(), AgencyId::known("ico"));
        let [first, third, last] = ["2026-Q1", "2026-Q3", "2026-Q4"].map(|name| Quarter::parse(name).unwrap());
        let publish = |quarter, contributions, before| let_out(&seal, &holder, &RULE, (quarter, contributions), before);
        let comes_out = |quarter, one: &Contribution, looks: &BTreeSet<String>| {
            let mut steps = MENU.steps().all().iter().enumerate();
            let step = steps.find(|(place, step)| {
                looks.contains(&kept_by(&seal, &holder, quarter, (*place, step), step.look(one.coordinates)))
            });
            step.map(|(_, step)| MENU.steps().record(step, one.coordinates, quarter).period)
        };
        // Enough with many people in the first quarter; three with a few people there, and two more in the third.
        let (many, few) = (hospitals(0, 5, 5), hospitals(10, 3, 2));
        let early = [many.clone(), few.clone()].concat();
        let mut looks = publish(first, early.clone(), Vec::new());
        assert_eq!(comes_out(first, &many[0], &looks).as_deref(), Some("2026-Q1"));
        assert_eq!(comes_out(first, &few[0], &looks), None);
        let late = hospitals(20, 2, 3);
        assert!(publish(third, late.clone(), Vec::new()).is_empty(), "a year is not looked at before its end");

        let counted =
            |quarter, contributions, looks: &BTreeSet<String>| Counted { quarter, contributions, looks: looks.clone() };
        let before = vec![counted(first, early, &looks), counted(third, late.clone(), &BTreeSet::new())];
        looks.extend(publish(last, Vec::new(), before));
        assert_eq!(comes_out(first, &few[0], &looks).as_deref(), Some("2026"));
        assert_eq!(comes_out(third, &late[0], &looks).as_deref(), Some("2026"));
        assert_eq!(comes_out(first, &many[0], &looks).as_deref(), Some("2026-Q1"), "it came out already");

        // Four are too few, though five with many people in the first quarter would fit the same look of the year.
        let before = vec![counted(first, [many, few].concat(), &publish(first, hospitals(0, 5, 5), Vec::new()))];
        let looks = publish(last, hospitals(30, 1, 5), before);
        assert!(looks.is_empty(), "{}", looks.len());
    }

    #[test]
    fn one_organisation_in_all_quarters_is_one() {
        let (seal, holder) = (Seal::new(&[7; 32]).unwrap(), AgencyId::known("ico"));
        let before = ["2026-Q1", "2026-Q2", "2026-Q3"].map(|name| Counted {
            quarter: Quarter::parse(name).unwrap(),
            contributions: hospitals(0, 4, 2),
            looks: BTreeSet::new(),
        });
        let last = (Quarter::parse("2026-Q4").unwrap(), hospitals(0, 4, 2));
        assert!(let_out(&seal, &holder, &RULE, last, before.into()).is_empty());
    }
}
