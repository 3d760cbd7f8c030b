//! Who goes into which batch.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn place(agency: &str, key: &str, stops: bool, takes: usize) -> Place {
    Place { agency: AgencyId::known(agency), key: format!("{agency}/{key}"), stops, bulk: false, takes }
}

/// Puts an ask, which is told apart by agency and number.
fn ask(waiting: &mut Waiting<String>, agency: &str, number: usize) -> Result<(), Full> {
    waiting.offer(place(agency, &format!("ask-{number}"), false, ASK), format!("{agency}-{number}"))
}

fn withdrawal(waiting: &mut Waiting<String>, agency: &str, number: usize) -> Result<(), Full> {
    waiting.offer(place(agency, &format!("stop-{number}"), true, CHANGE), format!("{agency}-stop-{number}"))
}

/// Puts as many asks as the agency has room for, and gives how many those were.
fn flood(waiting: &mut Waiting<String>, agency: &str) -> usize {
    (0..20_000).filter(|number| ask(waiting, agency, *number).is_ok()).count()
}

#[test]
fn an_agency_that_floods_is_turned_away_and_another_is_in_the_next_batch() {
    let mut waiting = Waiting::new();
    assert_eq!(flood(&mut waiting, "ico"), ROOM);
    assert_eq!(waiting.len(), ROOM, "what is turned away takes no memory");
    ask(&mut waiting, "nca", 0).unwrap();
    let batch = waiting.next_batch();
    assert_eq!(batch.len(), ROOM_AT_ONCE);
    assert_eq!(batch.iter().position(|call| call == "nca-0"), Some(1), "it has the second turn");
}

#[test]
fn whether_an_agency_is_turned_away_depends_on_its_own_calls_only() {
    let mut alone = Waiting::new();
    let room = flood(&mut alone, "ico");
    let mut beside = Waiting::new();
    for other in ["ncsc", "nca", "ofgem"] {
        flood(&mut beside, other);
        for number in 0..20_000 {
            drop(withdrawal(&mut beside, other, number));
        }
    }
    assert_eq!(flood(&mut beside, "ico"), room);
}

#[test]
fn two_that_flood_share_each_batch() {
    let mut waiting = Waiting::new();
    flood(&mut waiting, "ico");
    flood(&mut waiting, "nca");
    for _ in 0..4 {
        let batch = waiting.next_batch();
        assert_eq!(batch.iter().filter(|call| call.starts_with("ico")).count(), ROOM_AT_ONCE / 2);
        assert_eq!(batch.len(), ROOM_AT_ONCE);
    }
}

#[test]
fn a_withdrawal_has_room_that_asks_cannot_fill_and_goes_first() {
    let mut waiting = Waiting::new();
    flood(&mut waiting, "ico");
    flood(&mut waiting, "ncsc");
    withdrawal(&mut waiting, "ncsc", 0).unwrap();
    assert_eq!(waiting.next_batch().first().map(String::as_str), Some("ncsc-stop-0"));
}

#[test]
fn withdrawals_of_one_agency_hold_up_neither_anothers_nor_the_asks() {
    let mut waiting = Waiting::new();
    let put = (0..20_000).filter(|number| withdrawal(&mut waiting, "ncsc", *number).is_ok()).count();
    assert_eq!(put, STOPS);
    withdrawal(&mut waiting, "nca", 0).unwrap();
    ask(&mut waiting, "ico", 0).unwrap();
    let batch = waiting.next_batch();
    assert_eq!(batch.len(), STOPS_AT_ONCE + 1);
    assert!(batch.contains(&"nca-stop-0".to_owned()) && batch.contains(&"ico-0".to_owned()), "{batch:?}");
}

#[test]
fn a_batch_of_changes_is_shorter_than_one_of_asks() {
    let mut waiting = Waiting::new();
    let change = |number: usize| place("ncsc", &format!("change-{number}"), false, CHANGE);
    let put = (0..20_000).filter(|number| waiting.offer(change(*number), number.to_string()).is_ok()).count();
    assert_eq!(put, ROOM / CHANGE);
    assert_eq!(waiting.next_batch().len(), ROOM_AT_ONCE / CHANGE);
}

#[test]
fn a_batch_has_one_call_with_many_records_after_all_else_and_agencies_take_turns() {
    let mut waiting = Waiting::new();
    let bulk = |agency: &str, number: usize| {
        let place = Place { bulk: true, ..place(agency, &format!("many-{number}"), false, CHANGE) };
        (place, format!("{agency}-many-{number}"))
    };
    let mut offer = |agency: &str, number| {
        let (place, call) = bulk(agency, number);
        waiting.offer(place, call)
    };
    assert_eq!((0..100).filter(|number| offer("ncsc", *number).is_ok()).count(), BULK);
    offer("nca", 0).unwrap();
    assert_eq!(flood(&mut waiting, "ncsc"), ROOM, "they take no room from the agency's other calls");
    flood(&mut waiting, "ico");
    withdrawal(&mut waiting, "ncsc", 0).unwrap();
    let batch = waiting.next_batch();
    assert_eq!(batch.len(), 1 + ROOM_AT_ONCE + BULK_AT_ONCE, "nobody else is left out for it");
    assert_eq!((batch[0].as_str(), batch[batch.len() - 1].as_str()), ("ncsc-stop-0", "ncsc-many-0"));
    assert_eq!(waiting.next_batch().last().map(String::as_str), Some("nca-many-0"));
    assert_eq!(waiting.next_batch().last().map(String::as_str), Some("ncsc-many-1"));
}

#[test]
fn of_calls_with_one_key_the_first_goes_now_and_the_second_before_what_came_after_it() {
    let mut waiting = Waiting::new();
    let put = |waiting: &mut Waiting<&'static str>, key: &str, call: &'static str| {
        waiting.offer(place("ico", key, false, ASK), call).unwrap();
    };
    for (key, call) in [("one", "first"), ("one", "again"), ("two", "other"), ("one", "once more")] {
        put(&mut waiting, key, call);
    }
    assert_eq!(waiting.next_batch(), ["first", "other"]);
    put(&mut waiting, "three", "later");
    assert_eq!(waiting.next_batch(), ["again", "later"]);
    assert_eq!(waiting.next_batch(), ["once more"]);
    assert_eq!((waiting.next_batch().len(), waiting.len()), (0, 0));
}

proptest! {
    /// Whatever is put comes out, once; no key is twice in a batch, and what takes a permission away is before the rest.
    #[test]
    fn what_is_put_comes_out_once(
        calls in vec((0..4_usize, 0..60_usize, any::<bool>(), prop_oneof![Just(ASK), Just(CHANGE)]), 0..800),
    ) {
        let mut waiting = Waiting::new();
        let mut put: BTreeMap<(usize, bool), Vec<usize>> = BTreeMap::new();
        for (number, (agency, key, stops, takes)) in calls.into_iter().enumerate() {
            let key = format!("{stops}-{key}");
            let place = place(&format!("agency-{agency}"), &key, stops, takes);
            if waiting.offer(place, (agency, key.clone(), stops, number)).is_ok() {
                put.entry((agency, stops)).or_default().push(number);
            }
        }
        let mut got: BTreeMap<(usize, bool), Vec<usize>> = BTreeMap::new();
        loop {
            let before = waiting.len();
            let batch = waiting.next_batch();
            prop_assert_eq!(before, waiting.len() + batch.len());
            if batch.is_empty() {
                break;
            }
            let keys: BTreeSet<(usize, &str)> = batch.iter().map(|(agency, key, ..)| (*agency, key.as_str())).collect();
            prop_assert_eq!(keys.len(), batch.len(), "a key is twice in a batch");
            let stops = batch.iter().filter(|(_, _, stops, _)| *stops).count();
            prop_assert!(batch.iter().take(stops).all(|(_, _, stops, _)| *stops), "a stop comes after another call");
            for (agency, _, stops, number) in batch {
                got.entry((agency, stops)).or_default().push(number);
            }
        }
        for (whose, mut numbers) in put {
            let mut came = got.remove(&whose).unwrap_or_default();
            numbers.sort_unstable();
            came.sort_unstable();
            prop_assert_eq!(numbers, came);
        }
        prop_assert!(got.is_empty(), "something came out that was not put");
    }
}
