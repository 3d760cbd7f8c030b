//! What comes out, and what must not.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const RULE: Rule = Rule { threshold: 3, margin: 10, largest_share: 2 };

/// As it is; without the second value; the first alone.
const STEPS: [fn(Coordinates) -> Look; 3] =
    [|all| all, |[one, two, ..]| [one, two, 0, 0, 0, 0, 0, 0], |[one, ..]| [one, 0, 0, 0, 0, 0, 0, 0]];

fn incident(organisation: u32, values: [u8; 3]) -> Contribution {
    let [one, two, three] = values;
    let coordinates = [one, two, three, 0, 0, 0, 0, 0];
    Contribution { organisation, key: u64::from(organisation), coordinates, incidents: 1 }
}

fn looks(all: &[[u8; 3]]) -> BTreeSet<Look> {
    all.iter().map(|[one, two, three]| [*one, *two, *three, 0, 0, 0, 0, 0]).collect()
}

#[test]
fn a_look_comes_out_once_enough_organisations_share_it() {
    let two = [incident(1, [1, 1, 1]), incident(2, [1, 1, 1])];
    assert_eq!(come_out(&RULE, &STEPS, two), vec![BTreeSet::new(); 3]);
    let three = [two.as_slice(), &[incident(3, [1, 1, 1])]].concat();
    assert_eq!(come_out(&RULE, &STEPS, three)[0], looks(&[[1, 1, 1]]));
}

#[test]
fn one_organisation_with_many_incidents_counts_once_and_may_not_dominate() {
    let again = |times: u32| (0..times).map(|_| incident(1, [1, 1, 1]));
    assert_eq!(come_out(&RULE, &STEPS, again(9)), vec![BTreeSet::new(); 3]);
    let others = [incident(2, [1, 1, 1]), incident(3, [1, 1, 1])];
    assert_eq!(come_out(&RULE, &STEPS, again(2).chain(others))[0], looks(&[[1, 1, 1]]));
    assert_eq!(come_out(&RULE, &STEPS, again(3).chain(others)), vec![BTreeSet::new(); 3], "three of five are one's");
}

#[test]
fn who_came_out_finer_does_not_stand_in_for_who_did_not() {
    // Three share a fine look. A fourth fits the coarser one with them, but only it would ever come out in that.
    let fine = [incident(1, [1, 1, 1]), incident(2, [1, 1, 1]), incident(3, [1, 1, 1])];
    let all = [fine.as_slice(), &[incident(4, [1, 1, 2])]].concat();
    assert_eq!(come_out(&RULE, &STEPS, all.clone()), [looks(&[[1, 1, 1]]), looks(&[]), looks(&[])]);
    // With two more that are rare as well it is one of three.
    let more = [all.as_slice(), &[incident(5, [1, 1, 3]), incident(6, [1, 1, 4])]].concat();
    assert_eq!(come_out(&RULE, &STEPS, more), [looks(&[[1, 1, 1]]), looks(&[[1, 1, 0]]), looks(&[])]);
}

#[test]
fn a_record_that_says_nothing_does_not_come_out() {
    let nothing = (0..9).map(|organisation| incident(organisation, [0, 0, 0]));
    assert_eq!(come_out(&RULE, &STEPS, nothing), vec![BTreeSet::new(); 3]);
}

/// For every look that comes out, the organisations that a reader could see come out in it: counted anew, one incident
/// at a time, on 300 worlds.
#[test]
fn whatever_comes_out_is_shared_by_enough_organisations_that_come_out_so() {
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut came_out = 0;
    for _ in 0..300 {
        let size = 1 + draw(60);
        let mut value = |below| u8::try_from(draw(below)).unwrap();
        let all: Vec<Contribution> =
            (0..size).map(|_| incident(u32::from(value(25)), [value(3), value(3), value(4)])).collect();
        let out = come_out(&RULE, &STEPS, all.clone());
        let mut backwards = all.clone();
        backwards.reverse();
        assert_eq!(come_out(&RULE, &STEPS, backwards), out, "the order of the incidents does not count");
        let mut seen: BTreeMap<(usize, Look), Vec<u32>> = BTreeMap::new();
        for one in &all {
            let at = |step: &usize| out[*step].contains(&STEPS[*step](one.coordinates));
            if let Some(step) = (0..STEPS.len()).find(at) {
                seen.entry((step, STEPS[step](one.coordinates))).or_default().push(one.organisation);
            }
        }
        for organisations in seen.values() {
            let distinct: BTreeSet<&u32> = organisations.iter().collect();
            let most =
                distinct.iter().copied().map(|one| organisations.iter().filter(|other| *other == one).count()).max();
            assert!(distinct.len() >= 3, "{organisations:?}");
            assert!(most.unwrap() * 2 <= organisations.len(), "{organisations:?}");
            came_out += organisations.len();
        }
        assert_eq!(seen.len(), out.iter().map(BTreeSet::len).sum::<usize>(), "every look has somebody in it");
    }
    assert!(came_out > 1_000, "{came_out}");
}
