//! The handshakes under way: a peer that takes its time keeps nobody else from theirs.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// All of them, by the address that they come from. Nobody is known yet, so an address is all there is to go by.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    count: usize,
    by_address: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
}

impl Handshakes {
    /// So many at once.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// One more. If there are too many then, the oldest of the address that has the most of them has to go.
    pub(super) fn begin(self: &Arc<Self>, address: IpAddr) -> Underway {
        let ended = CancellationToken::new();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.by_address.entry(address).or_default().insert(id, ended.clone());
        state.count += 1;
        if state.count > self.most {
            state.push_out();
        }
        Underway { handshakes: Arc::clone(self), address, id, ended }
    }

    /// Makes room, as [`Self::begin`] does.
    pub(super) fn push_out(&self) {
        self.state().push_out();
    }

    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push_out(&mut self) {
        let most = self.by_address.iter().max_by_key(|(_, theirs)| theirs.len()).map(|(address, _)| *address);
        let oldest = most.and_then(|address| Some((address, *self.by_address.get(&address)?.first_key_value()?.0)));
        if let Some((address, id)) = oldest
            && let Some(ended) = self.remove(address, id)
        {
            ended.cancel();
        }
    }

    fn remove(&mut self, address: IpAddr, id: u64) -> Option<CancellationToken> {
        let theirs = self.by_address.get_mut(&address)?;
        let ended = theirs.remove(&id)?;
        if theirs.is_empty() {
            self.by_address.remove(&address);
        }
        self.count -= 1;
        Some(ended)
    }
}

/// One handshake's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Underway {
    handshakes: Arc<Handshakes>,
    address: IpAddr,
    id: u64,
    ended: CancellationToken,
}

impl Underway {
    /// Waits until it has to go.
    pub(super) fn pushed_out(&self) -> WaitForCancellationFutureOwned {
        self.ended.clone().cancelled_owned()
    }

    /// It counts among those of this address from now on: a balancer says that it comes from there.
    pub(super) fn comes_from(&mut self, address: IpAddr) {
        let mut state = self.handshakes.state();
        if let Some(ended) = state.remove(self.address, self.id) {
            state.by_address.entry(address).or_default().insert(self.id, ended);
            state.count += 1;
        }
        self.address = address;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.handshakes.state().remove(self.address, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_most_makes_room() {
        let handshakes = Handshakes::new(4);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let begin = |addresses: &[IpAddr]| addresses.iter().map(|a| handshakes.begin(*a)).collect::<Vec<_>>();
        let mut all = begin(&[other, one, one, one]);
        let ended = |all: &[Underway]| all.iter().map(|one| one.ended.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(ended(&all), [false; 4]);
        all.extend(begin(&[other]));
        assert_eq!(ended(&all), [false, true, false, false, false], "the oldest of those of the one");
        all.extend(begin(&[one]));
        assert_eq!(ended(&all), [false, true, true, false, false, false]);
        let moved = IpAddr::from([127, 0, 0, 3]);
        all.iter_mut().skip(3).for_each(|one| one.comes_from(moved));
        all.extend(begin(&[other]));
        assert_eq!(ended(&all), [false, true, true, true, false, false, false], "the oldest of those that moved");
        all.clear();
        assert!(handshakes.state().by_address.is_empty() && handshakes.state().count == 0);
    }
}
