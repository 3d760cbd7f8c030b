use super::tally::tests::Mixer;
use super::*;
use crate::statistics::table::{Dimension, Table};

fn menu() -> Menu {
    let dimension = |(place, width): (usize, usize)| Dimension {
        id: format!("d{place}"),
        values: (0..width).map(|value| value.to_string()).collect(),
    };
    let over: [&[usize]; 7] = [&[], &[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]];
    let table = |over: &&[usize]| Table { id: format!("{over:?}"), title: String::new(), over: over.to_vec() };
    Menu::new([8, 6, 5].into_iter().enumerate().map(dimension).collect(), over.iter().map(table).collect()).unwrap()
}

/// So many organisations with one incident each, the first values far more often.
fn world(seed: u64, organisations: u32) -> Vec<Contribution> {
    let mut counter = 0_u64;
    let mut random = |below: u64| {
        counter += 1;
        u64::from_be_bytes(Mixer(seed).draw(&counter.to_be_bytes())[..8].try_into().unwrap()) % below
    };
    let mut skewed = |width: u64| u8::try_from(random(width).min(random(width)).min(random(width))).unwrap();
    let contribution = |organisation| {
        let coordinates = [skewed(8), skewed(6), skewed(5), 0, 0, 0, 0, 0];
        Contribution { organisation, key: u64::from(organisation) * 77, coordinates, incidents: 1 }
    };
    (0..organisations).map(contribution).collect()
}

fn shown(publication: &Publication) -> usize {
    publication.tables.iter().flatten().filter(|cell| **cell != Published::Suppressed).count()
}

#[test]
fn the_order_of_contributions_and_how_they_are_split_make_no_difference() {
    let mut contributions = world(1, 400);
    let publish = |contributions: &[Contribution]| {
        publish(&menu(), &Rule::default(), "2026-Q1", &Mixer(1), contributions.iter().copied()).unwrap()
    };
    let whole = publish(&contributions);
    assert!(shown(&whole) > 0);
    contributions.reverse();
    assert_eq!(publish(&contributions), whole);
    contributions.extend_from_within(..50);
    assert_eq!(publish(&contributions), whole, "organisations are counted, not incidents");
}

#[test]
fn a_period_with_too_few_organisations_shows_nothing() {
    let published = publish(&menu(), &Rule::default(), "2026-Q1", &Mixer(1), world(1, 9)).unwrap();
    assert_eq!(shown(&published), 0);
}

#[test]
fn a_cell_in_which_one_organisation_has_most_incidents_is_left_out() {
    let menu = menu();
    let mut contributions = world(1, 400);
    let of = |contributions: &[Contribution]| {
        publish(&menu, &Rule::default(), "2026-Q1", &Mixer(1), contributions.iter().copied()).unwrap().tables[0][0]
    };
    assert!(matches!(of(&contributions), Published::Count(390..=410)));
    contributions[7].incidents = 500;
    assert_eq!(of(&contributions), Published::Suppressed);
}

#[test]
fn a_value_that_the_menu_does_not_have_is_turned_away() {
    let mut contributions = world(1, 40);
    contributions[7].coordinates[1] = 6;
    let refused = publish(&menu(), &Rule::default(), "2026-Q1", &Mixer(1), contributions);
    assert!(refused.is_err());
}

/// Which cells are shown in the end, given which are hidden for their own sake.
fn complemented(menu: &Menu, contributions: &[Contribution], standings: &[Standing]) -> Vec<bool> {
    let tally = Tally::count(menu, contributions.iter().copied()).unwrap();
    let mut standings = standings.to_vec();
    complement::hide(menu, &tally, &mut standings);
    standings.iter().map(|standing| standing.shown).collect()
}

/// How often one organisation's absence would change which further cells are hidden, the moved counts being equal.
/// `docs/disclosure-control.md` gives the figure for more worlds.
#[test]
fn what_is_hidden_besides_seldom_depends_on_one_organisation() {
    let (menu, rule) = (menu(), Rule::default());
    let (mut weighed, mut differs) = (0, 0);
    for (seed, organisations) in [(1, 150), (2, 400)] {
        let contributions = world(seed, organisations);
        let tally = Tally::count(&menu, contributions.iter().copied()).unwrap();
        let secret = Mixer(seed);
        let mut standings = Vec::new();
        for (table, described) in menu.tables().iter().enumerate() {
            for (place, number) in menu.range(table).enumerate() {
                let key = noise::Key { secret: &secret, period: "2026-Q1", table: &described.id, place };
                standings.push(stand(&rule, &tally.cell(number), Some(&key)));
            }
        }
        let with = complemented(&menu, &contributions, &standings);
        for target in (0..contributions.len()).step_by(contributions.len() / 20) {
            let mut others = contributions.clone();
            others.remove(target);
            weighed += 1;
            differs += u32::from(complemented(&menu, &others, &standings) != with);
        }
    }
    println!("{differs} of {weighed}");
    assert!(differs * 20 <= weighed);
}
