//! The open connections, so that those of a peer that is no longer trusted can be cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::Limits;
use crate::identity::Peer;

/// All open connections.
#[derive(Debug, Default)]
pub struct Connections {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    peer: Arc<Peer>,
    opened: Instant,
    cut: CancellationToken,
}

impl Connections {
    /// None are open yet, and these are the limits of those to come.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.state().open.len()
    }

    /// Who is connected, and since when.
    pub fn list(&self) -> Vec<(Arc<Peer>, Instant)> {
        self.state().open.values().map(|entry| (Arc::clone(&entry.peer), entry.opened)).collect()
    }

    /// Cuts the connections of these peers, requests in flight included; returns how many there were.
    ///
    /// To withdraw trust, first put the new [`Acceptor`](crate::tls::Acceptor) in place and then call this: what
    /// connects in between is judged by the new one.
    pub fn close(&self, whose: impl Fn(&Peer) -> bool) -> usize {
        let state = self.state();
        let cut = state.open.values().filter(|entry| whose(&entry.peer)).inspect(|entry| entry.cut.cancel());
        cut.count()
    }

    /// Registers a connection for as long as the result lives. None if its agency has as many as it may have.
    pub(super) fn register(self: &Arc<Self>, peer: &Arc<Peer>) -> Option<Open> {
        let mut state = self.state();
        let of_agency = state.open.values().filter(|entry| entry.peer.agency() == peer.agency()).count();
        if of_agency >= self.limits.connections_per_agency {
            return None;
        }
        let id = state.next;
        state.next += 1;
        let cut = CancellationToken::new();
        state.open.insert(id, Entry { peer: Arc::clone(peer), opened: Instant::now(), cut: cut.clone() });
        Some(Open { connections: Arc::clone(self), id, cut })
    }

    /// Nothing panics while it is held, and a half-made change isn't possible: poison means nothing here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    connections: Arc<Connections>,
    id: u64,
    cut: CancellationToken,
}

impl Open {
    /// Waits until the connection is to be cut.
    pub(super) fn cut(&self) -> WaitForCancellationFuture<'_> {
        self.cut.cancelled()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.state().open.remove(&self.id);
    }
}
