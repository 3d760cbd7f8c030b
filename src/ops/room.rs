//! The connections to the port, of which there are only so many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// All of them, in the order in which they came.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    places: BTreeMap<u64, CancellationToken>,
}

/// One connection's place, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    id: u64,
    taken: CancellationToken,
}

impl Room {
    /// For so many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// A place for one more. If there are too many then, the one who came first has to go.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let taken = CancellationToken::new();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        if state.places.len() >= self.most
            && let Some((_, first)) = state.places.pop_first()
        {
            first.cancel();
        }
        state.places.insert(id, taken.clone());
        Place { room: Arc::clone(self), id, taken }
    }

    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until it is another's.
    pub(super) fn taken(&self) -> WaitForCancellationFuture<'_> {
        self.taken.cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.state().places.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_first_makes_room() {
        let room = Room::new(2);
        let mut places: Vec<Place> = (0..3).map(|_| room.enter()).collect();
        let taken = |places: &[Place]| places.iter().map(|place| place.taken.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(taken(&places), [true, false, false]);
        drop(places.remove(1));
        places.push(room.enter());
        assert_eq!(taken(&places), [true, false, false], "one had gone by itself");
        drop(places);
        assert!(room.state().places.is_empty());
    }
}
