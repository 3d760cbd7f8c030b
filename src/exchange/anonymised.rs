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
        let (step, rule) = kept.iter().find_map(|(step, look)| Some((*step, *found.get(look)?)))?;
        let record = MENU.steps().record(step, stand.coordinates, stand.quarter);
        Some(((*incident).clone(), Alike { record, rule }))
    };
    Ok(kept.iter().filter_map(comes_out).collect())
}
