//! The handshakes under way: a peer that takes its time keeps nobody else from theirs.
//!
//! Nobody is known yet, so where one comes from is all there is to go by: its address, or of IPv6 the network of 64 bits
//! that one subscriber has for itself. One too many pushes out the oldest of the source that has the most. Where several
//! sources have as many, chance picks among them, drawn anew each time; the one that has just begun is never picked.
//! So whoever comes from many sources, with one handshake from each, cannot tell whom theirs push out, and pushes a given
//! other one out with a chance of one in all that are under way.
//!
//! The connections to the port for probes, where nobody is ever known, make room for each other in the same way.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The bits of an IPv6 address by which sources are told apart.
const NETWORK: u128 = u128::MAX << 64;

/// All of them, by the source that they come from.
#[derive(Debug)]
pub(crate) struct Handshakes {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    count: usize,
    by_source: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
    /// Keyed by the process at random: what it makes of `drawn` nobody outside can foresee.
    chance: RandomState,
    drawn: u64,
}

/// The source that an address belongs to. IPv4 is IPv4 however it is written.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        four @ IpAddr::V4(_) => four,
    }
}

impl Handshakes {
    /// So many at once.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// One more, from this address. If there are too many then, one has to go.
    pub(crate) fn begin(self: &Arc<Self>, address: IpAddr) -> Underway {
        let source = source(address);
        let ended = CancellationToken::new();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.by_source.entry(source).or_default().insert(id, ended.clone());
        state.count += 1;
        if state.count > self.most {
            state.push_out(Some(id));
        }
        Underway { handshakes: Arc::clone(self), source, id, ended }
    }

    /// Makes room, as [`Self::begin`] does.
    pub(crate) fn push_out(&self) {
        self.state().push_out(None);
    }

    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the oldest of the source with the most, but never the newest; among equals as chance has it.
    fn push_out(&mut self, newest: Option<u64>) {
        let most = self.by_source.values().map(BTreeMap::len).max().unwrap_or_default();
        let sources = self.by_source.iter().filter(|(_, theirs)| theirs.len() == most);
        let oldest = sources.filter_map(|(source, theirs)| Some((*source, *theirs.first_key_value()?.0)));
        let equals: Vec<_> = oldest.filter(|(_, id)| Some(*id) != newest).collect();
        self.drawn += 1;
        let drawn = self.chance.hash_one(self.drawn).checked_rem(equals.len() as u64).unwrap_or_default();
        if let Some((source, id)) = usize::try_from(drawn).ok().and_then(|place| equals.get(place).copied())
            && let Some(ended) = self.remove(source, id)
        {
            ended.cancel();
        }
    }

    fn remove(&mut self, source: IpAddr, id: u64) -> Option<CancellationToken> {
        let theirs = self.by_source.get_mut(&source)?;
        let ended = theirs.remove(&id)?;
        if theirs.is_empty() {
            self.by_source.remove(&source);
        }
        self.count -= 1;
        Some(ended)
    }
}

/// One handshake's place among them, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Underway {
    handshakes: Arc<Handshakes>,
    source: IpAddr,
    id: u64,
    ended: CancellationToken,
}

impl Underway {
    /// Waits until it has to go.
    pub(crate) fn pushed_out(&self) -> WaitForCancellationFutureOwned {
        self.ended.clone().cancelled_owned()
    }

    /// It counts among those of this address from now on: a balancer says that it comes from there.
    pub(crate) fn comes_from(&mut self, address: IpAddr) {
        let source = source(address);
        let mut state = self.handshakes.state();
        if let Some(ended) = state.remove(self.source, self.id) {
            state.by_source.entry(source).or_default().insert(self.id, ended);
            state.count += 1;
        }
        self.source = source;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.handshakes.state().remove(self.source, self.id);
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
        assert!(handshakes.state().by_source.is_empty() && handshakes.state().count == 0);
    }
    #[test]
    fn a_source_is_an_address_or_a_network_of_ipv6() {
        let is_one = |one: &str, other: &str| source(one.parse().unwrap()) == source(other.parse().unwrap());
        assert!(is_one("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert!(!is_one("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(is_one("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!is_one("::ffff:192.0.2.1", "::ffff:192.0.2.2") && !is_one("192.0.2.1", "192.0.2.2"));

        let handshakes = Handshakes::new(3);
        let begin = |address: &str| handshakes.begin(address.parse().unwrap());
        let mut all = vec![begin("192.0.2.1"), begin("2001:db8::1"), begin("2001:db8::2")];
        all.push(begin("192.0.2.2"));
        let ended: Vec<_> = all.iter().map(|one| one.ended.is_cancelled()).collect();
        assert_eq!(ended, [false, true, false, false], "many addresses of one network are one source");
    }

    /// One handshake from each source: a newcomer's first moment is its own, and afterwards it is one of many.
    #[test]
    fn chance_picks_among_sources_that_have_as_many() {
        const MOST: u32 = 64;
        let address = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let mut survived = Vec::new();
        for _ in 0..200 {
            let handshakes = Handshakes::new(MOST as usize);
            let mut others: Vec<_> = (0..MOST).map(|number| handshakes.begin(address(number))).collect();
            let newcomer = handshakes.begin(IpAddr::from([192, 0, 2, 1]));
            assert!(!newcomer.ended.is_cancelled(), "the one that has just begun stays");
            let mut more = 0;
            while !newcomer.ended.is_cancelled() && more < 40 * MOST {
                more += 1;
                others.push(handshakes.begin(address(MOST + more)));
            }
            survived.push(more);
        }
        // By age it would be `MOST` each time; by place in a table, at once for some sources and never for others.
        let (first, last) = (survived.iter().min().unwrap(), survived.iter().max().unwrap());
        assert!(*first < MOST / 2 && *last > 2 * MOST && *last < 40 * MOST, "{survived:?}");
        let mean = survived.iter().sum::<u32>() / 200;
        assert!((MOST / 2..MOST * 2).contains(&mean), "one in {MOST} each time: {mean}");
    }
}
