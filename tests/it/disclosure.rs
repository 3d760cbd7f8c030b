//! The attack on the published statistics. It is the test of them.
//!
//! Two attackers read every table of 24 periods. Both are given more than any real one has:
//!
//! - the **arithmetician** is told the true count behind every shown number (as if the noise were gone), knows a
//!   tenth of the organisations and all that had several incidents, knows the rule, and solves for the hidden cells
//!   with all tables and margins of a period at once;
//! - the **insider** knows every contribution to a cell but one, and asks whether that one is in it.
//!
//! With both safeguards neither succeeds anywhere. With either of them off, the attacker whom it stops succeeds: that
//! shows that the attack works. `CONCORDAT_DISCLOSURE_WORLDS` says how many worlds are attacked.

mod cells;
mod insider;
mod real;
mod records;
mod world;

use std::collections::BTreeMap;

use cells::Solved;
use concordat::statistics::{Publication, Published, Rule, Safeguards, publish_without};
use insider::Pinned;
use world::{Mixer, World};

use crate::replicas::times;

/// What both attackers learnt from one world.
#[derive(Debug, Default)]
struct Findings {
    solved: Solved,
    pinned: Pinned,
}

fn publication(world: &World, rule: &Rule, safeguards: Safeguards, period: usize) -> Publication {
    let contributions = world.periods[period].iter().copied();
    let name = format!("period {period}");
    publish_without(&world.menu, rule, safeguards, &name, &Mixer(world.seed), contributions).expect("on the menu")
}

fn attack(world: &World, safeguards: Safeguards) -> Findings {
    let rule = Rule::default();
    let mut findings = Findings::default();
    for period in 0..world.periods.len() {
        let published = publication(world, &rule, safeguards, period);
        let truth = world.truth(period);
        findings.solved += cells::solve(world, &truth, &rule, safeguards, &published);
        findings.pinned += insider::pin(world, &truth, &rule, safeguards, &published);
    }
    let Safeguards { noise, complement } = safeguards;
    println!("{}, noise {noise}, complement {complement}: {findings:?}", world.name);
    findings
}

/// The worlds to attack. The first alone shows each attacker succeed where it is not stopped.
fn worlds() -> Vec<World> {
    let wanted = times("CONCORDAT_DISCLOSURE_WORLDS", 1, 24);
    let synthetic = |seed, reporting| World::synthetic(seed, reporting, 10);
    let mut worlds = vec![synthetic(1, 400), synthetic(3, 150)];
    if wanted > worlds.len() {
        worlds.extend(real::worlds());
        worlds.extend((4..12).map(|seed| synthetic(seed, 150)));
        worlds.extend((12..20).map(|seed| synthetic(seed, 400)));
        worlds.extend((20..24).map(|seed| synthetic(seed, 1_200)));
    }
    worlds.truncate(wanted);
    worlds
}

const NO_NOISE: Safeguards = Safeguards { noise: false, complement: true };
const NO_COMPLEMENT: Safeguards = Safeguards { noise: true, complement: false };
const NEITHER: Safeguards = Safeguards { noise: false, complement: false };

#[test]
fn with_both_safeguards_no_small_cell_is_determined_and_no_contribution_pinned() {
    for world in worlds() {
        let Findings { solved, pinned } = attack(&world, Safeguards::ALL);
        assert_eq!(solved.determined, 0, "{}", world.name);
        assert_eq!(solved.open, solved.small, "{}: every one of them has another exact solution", world.name);
        assert_eq!(solved.one_sided, 0, "{}: the other solutions lie on both sides", world.name);
        assert_eq!(pinned.cells, 0, "{}", world.name);
    }
}

#[test]
fn without_complementary_suppression_small_cells_are_determined() {
    let determined: u64 = worlds().iter().map(|world| attack(world, NO_COMPLEMENT).solved.determined).sum();
    assert!(determined > 0);
}

#[test]
fn without_noise_contributions_are_pinned() {
    for world in worlds() {
        let Findings { solved, pinned } = attack(&world, NO_NOISE);
        assert_eq!(solved.determined, 0, "{}: the other lock holds", world.name);
        assert!(pinned.cells > 0, "{}", world.name);
    }
}

#[test]
fn without_either_both_attackers_succeed() {
    let findings: Vec<Findings> = worlds().iter().map(|world| attack(world, NEITHER)).collect();
    assert!(findings.iter().map(|one| one.solved.determined).sum::<u64>() > 0);
    assert!(findings.iter().all(|one| one.pinned.cells > 0));
}

/// Why periods partition the incidents: tables of everything so far would differ by those who joined.
#[test]
fn running_totals_would_give_joiners_away() {
    let world = World::synthetic(3, 150, 10);
    let so_far = world.running_totals();
    let mut determined = 0_u64;
    let mut before: Option<(Publication, Vec<usize>)> = None;
    for period in 0..world.periods.len() {
        let published = publication(&so_far, &Rule::default(), Safeguards::ALL, period);
        let counts: Vec<usize> = so_far.truth(period).members.iter().map(BTreeMap::len).collect();
        if let Some((earlier, of_earlier)) = &before {
            let pairs = published.tables.iter().flatten().zip(earlier.tables.iter().flatten());
            let both = pairs.map(|cells| !matches!(cells, (Published::Suppressed, _) | (_, Published::Suppressed)));
            let joined = counts.iter().zip(of_earlier).map(|(now, then)| now - then);
            determined += joined.zip(both).filter(|(joined, both)| *both && (1..10).contains(joined)).count() as u64;
        }
        before = Some((published, counts));
    }
    println!("running totals: {determined} differences below the threshold");
    assert!(determined > 0);
}

/// How the arithmetician fares who knows more organisations. Beyond the promise, so only reported.
#[test]
fn knowing_more_organisations_helps_as_measured() {
    for known in [0, 10, 30, 50, 70, 90].into_iter().take(times("CONCORDAT_DISCLOSURE_WORLDS", 0, 6)) {
        let world = World::synthetic(1, 400, known);
        let Findings { solved, .. } = attack(&world, Safeguards::ALL);
        println!("knowing {known} in 100: {} of {} small cells determined", solved.determined, solved.small);
    }
}
