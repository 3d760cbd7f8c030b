//! How far a reading of events has come.
//!
//! WHY: events do not become visible in the order of their times. One that is written down now may be due in a year, and
//! one that falls due while a batch is being committed is seen before that batch's. So a cursor is not a place in a list
//! but a state: everything that was visible then has been read. What is visible at two such states follows from two
//! numbers each, and the difference is what is new.

use crate::domain::{Event, Instant};
use crate::store::Horizon;

/// How far a reading has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Everything that is visible there was read before.
    pub(super) seen: Horizon,
    /// Up to where this reading goes.
    pub(super) to: Horizon,
    /// What of it was read already: up to this time and, at this time, up to this id.
    pub(super) after: (Instant, String),
}

const NOTHING: Horizon = Horizon { size: 0, head_at: Instant::from_micros(0), at: Instant::from_micros(0) };

impl Cursor {
    /// Reads a cursor; an empty one begins at the start. None if it is of another ledger, or of a later state of it than
    /// the present one, as after a restore: what was written since could be taken for read.
    pub(super) fn parse(text: &str, present: Horizon) -> Option<Self> {
        let begun = |seen: Horizon| {
            // Time never goes back on the way, whatever this machine's clock does.
            let to = Horizon { at: present.at.max(seen.at), ..present };
            (seen.size <= present.size).then_some(Self { seen, to, after: (NOTHING.at, String::new()) })
        };
        if text.is_empty() {
            return begun(NOTHING);
        }
        let mut words = text.splitn(8, ' ');
        let seen = horizon(&mut words)?;
        let Some(size) = words.next() else { return begun(seen) };
        let to = horizon(&mut std::iter::once(size).chain(words.by_ref()))?;
        let due_at = instant(words.next()?)?;
        (to.size <= present.size).then_some(Self { seen, to, after: (due_at, words.next()?.to_owned()) })
    }

    /// The cursor after this reading, if `last` is where a page ended that is not the last.
    pub(super) fn next(&self, last: Option<&Event>) -> String {
        let written = |at: &Horizon| format!("{} {} {}", at.size, at.head_at.micros(), at.at.micros());
        match last {
            Some(last) => {
                format!("{} {} {} {}", written(&self.seen), written(&self.to), last.at.micros(), last.id)
            }
            None => written(&self.to),
        }
    }
}

fn horizon<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Horizon> {
    let size = words.next()?.parse().ok()?;
    Some(Horizon { size, head_at: instant(words.next()?)?, at: instant(words.next()?)? })
}

fn instant(word: &str) -> Option<Instant> {
    word.parse().ok().map(Instant::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgencyId, EventDetail, EventKind};

    fn at(size: u64, head: i64, now: i64) -> Horizon {
        Horizon { size, head_at: Instant::from_micros(head), at: Instant::from_micros(now) }
    }

    fn event(due: i64) -> Event {
        let kind = EventKind::ConsentEnds;
        Event {
            id: kind.id(&["con_1", "1"]),
            agency: AgencyId::known("ncsc"),
            kind,
            at: Instant::from_micros(due),
            object: "con_1".to_owned(),
            detail: EventDetail::default(),
        }
    }

    #[test]
    fn a_reading_ends_where_it_was_to_and_the_next_begins_there() {
        let first = Cursor::parse("", at(5, 100, 120)).unwrap();
        assert_eq!((first.seen, first.to), (NOTHING, at(5, 100, 120)));
        let page = Cursor::parse(&first.next(Some(&event(90))), at(7, 130, 140)).unwrap();
        assert_eq!((page.seen, page.to), (NOTHING, at(5, 100, 120)), "the reading goes on to where it was to");
        assert_eq!(page.after, (Instant::from_micros(90), "consent-ends.con_1.1".to_owned()));
        let second = Cursor::parse(&page.next(None), at(7, 130, 140)).unwrap();
        assert_eq!((second.seen, second.to), (at(5, 100, 120), at(7, 130, 140)));
    }

    #[test]
    fn time_does_not_go_back_on_the_way_and_a_shorter_ledger_is_another() {
        let seen = Cursor::parse("", at(5, 100, 200)).unwrap().next(None);
        let after_a_step_back = Cursor::parse(&seen, at(6, 110, 150)).unwrap();
        assert_eq!(after_a_step_back.to, at(6, 110, 200));
        assert_eq!(Cursor::parse(&seen, at(4, 90, 300)), None);
        for wrong in ["1", "1 2", "1 2 3 4", "1 2 3 4 5 6 7", "a b c", "1 2 3 4 5 6 x id"] {
            assert_eq!(Cursor::parse(wrong, at(9, 100, 100)), None, "{wrong}");
        }
    }
}
