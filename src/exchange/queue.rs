//! What waits for the next batch: each agency has room of its own, and a batch is filled from the agencies by turns.
//!
//! So an agency that floods fills its own room and is turned away, while another agency's call goes into the very next
//! batch. Whatever takes a permission away waits apart, where no ask can take its room, and goes first; what registers
//! many records waits apart, too, and a batch has one such call at its end. Whether a call is turned away depends on what
//! else its own agency has put, so nobody sees another's load in an error.

use std::collections::{BTreeSet, VecDeque};

use crate::domain::AgencyId;

/// How much of one agency's may wait: an ask takes 1, a change [`CHANGE`].
const ROOM: usize = 1_024;
/// How much goes into one transaction, of all agencies together.
const ROOM_AT_ONCE: usize = 256;
/// How many calls of one agency that take a permission away may wait.
const STOPS: usize = 64;
/// How many calls that take a permission away go into one transaction, besides the others.
const STOPS_AT_ONCE: usize = 32;

/// How many calls of one agency that register many records may wait.
const BULK: usize = 4;
/// How many of these go into one transaction, after all else: each holds the ledger's head for some tens of
/// milliseconds, and no ask and no other change is left out of a batch because of one.
const BULK_AT_ONCE: usize = 1;

/// What an ask or an offer takes of the room: a batch reads the facts of all of them together.
pub(super) const ASK: usize = 1;
/// What a change takes: it is worked out and written by itself, and may be as large as a request can be. This bounds how
/// long a batch of them, such as an import's, holds the ledger's head, and the memory of those that wait.
pub(super) const CHANGE: usize = 8;

/// What the queue has to know of a call.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Whose call it is.
    pub(super) agency: AgencyId,
    /// Its idempotency key: a batch has one call with it at most.
    pub(super) key: String,
    /// Whether it takes a permission away.
    pub(super) stops: bool,
    /// Whether it registers many records.
    pub(super) bulk: bool,
    /// What it takes of the room.
    pub(super) takes: usize,
}

/// The agency's room is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The calls that wait.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    stops: Lanes<T>,
    others: Lanes<T>,
    bulk: Lanes<T>,
}

impl<T> Waiting<T> {
    /// Nothing waits yet.
    pub(super) fn new() -> Self {
        Self {
            stops: Lanes::new(STOPS, STOPS_AT_ONCE),
            others: Lanes::new(ROOM, ROOM_AT_ONCE),
            bulk: Lanes::new(BULK, BULK_AT_ONCE),
        }
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        self.stops.len() + self.others.len() + self.bulk.len()
    }

    /// Lets a call wait, behind its agency's other calls.
    pub(super) fn offer(&mut self, place: Place, call: T) -> Result<(), Full> {
        let lanes = match (place.stops, place.bulk) {
            (true, _) => &mut self.stops,
            (false, true) => &mut self.bulk,
            (false, false) => return self.others.offer(place, call),
        };
        lanes.offer(Place { takes: 1, ..place }, call)
    }

    /// Takes the calls of the next batch: those that take a permission away, then the others, then what registers many
    /// records, each by turns.
    ///
    /// Of calls with the same key the first goes now; the others find its entry in a later batch.
    pub(super) fn next_batch(&mut self) -> Vec<T> {
        let mut keys = BTreeSet::new();
        let mut batch = self.stops.take(&mut keys);
        batch.append(&mut self.others.take(&mut keys));
        batch.append(&mut self.bulk.take(&mut keys));
        batch
    }
}

/// One lane for each agency of which anything waits; the first is the one whose turn it is.
#[derive(Debug)]
struct Lanes<T> {
    room: usize,
    room_at_once: usize,
    by_turns: VecDeque<Lane<T>>,
}

#[derive(Debug)]
struct Lane<T> {
    agency: AgencyId,
    calls: VecDeque<(Place, T)>,
    /// Those whose key is in the batch that is being filled already.
    aside: VecDeque<(Place, T)>,
    taken: usize,
}

impl<T> Lanes<T> {
    fn new(room: usize, room_at_once: usize) -> Self {
        Self { room, room_at_once, by_turns: VecDeque::new() }
    }

    fn len(&self) -> usize {
        self.by_turns.iter().map(|lane| lane.calls.len()).sum()
    }

    fn offer(&mut self, place: Place, call: T) -> Result<(), Full> {
        if let Some(lane) = self.by_turns.iter_mut().find(|lane| lane.agency == place.agency) {
            return lane.offer(place, call, self.room);
        }
        let agency = place.agency.clone();
        let mut lane = Lane { agency, calls: VecDeque::new(), aside: VecDeque::new(), taken: 0 };
        lane.offer(place, call, self.room)?;
        self.by_turns.push_back(lane);
        Ok(())
    }

    fn take(&mut self, keys: &mut BTreeSet<String>) -> Vec<T> {
        let mut batch = Vec::new();
        let mut left = self.room_at_once;
        // Agencies that have nothing more for this batch.
        let mut done = VecDeque::new();
        while left > 0
            && let Some(mut lane) = self.by_turns.pop_front()
        {
            if let Some((place, call)) = lane.next(keys) {
                left = left.saturating_sub(place.takes);
                batch.push(call);
                self.by_turns.push_back(lane);
            } else {
                done.push_back(lane);
            }
        }
        self.by_turns.append(&mut done);
        for lane in &mut self.by_turns {
            lane.aside.append(&mut lane.calls);
            std::mem::swap(&mut lane.calls, &mut lane.aside);
        }
        self.by_turns.retain(|lane| !lane.calls.is_empty());
        batch
    }
}

impl<T> Lane<T> {
    fn offer(&mut self, place: Place, call: T, room: usize) -> Result<(), Full> {
        if self.taken + place.takes > room {
            return Err(Full);
        }
        self.taken += place.takes;
        self.calls.push_back((place, call));
        Ok(())
    }

    /// The agency's next call whose key is not in the batch yet.
    fn next(&mut self, keys: &mut BTreeSet<String>) -> Option<(Place, T)> {
        while let Some((place, call)) = self.calls.pop_front() {
            if keys.insert(place.key.clone()) {
                self.taken -= place.takes;
                return Some((place, call));
            }
            self.aside.push_back((place, call));
        }
        None
    }
}

#[cfg(test)]
mod tests;
