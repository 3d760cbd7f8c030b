//! The open connections, so that those of a peer that nobody vouches for any more end.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::pki_types::CertificateDer;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::account::Accounts;
use super::{Limits, Sources};
use crate::domain::{AgencyId, Digest};
use crate::identity::Peer;
use crate::telemetry::{Metrics, Traces};

/// All open connections.
#[derive(Debug, Default)]
pub struct Connections {
    limits: Limits,
    metrics: Arc<Metrics>,
    traces: Arc<Traces>,
    sources: Sources,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Entry>,
    /// Certificates by which nobody may connect, each with the agency whose it is.
    denied: BTreeSet<(AgencyId, String)>,
    /// INVARIANT: of trusted agencies alone, so that they are few.
    accounts: HashMap<AgencyId, Arc<Accounts>>,
}

#[derive(Debug, Clone)]
struct Entry {
    peer: Arc<Peer>,
    chain: Arc<[CertificateDer<'static>]>,
    opened: Instant,
    is_post_quantum: bool,
    ended: CancellationToken,
}

/// How many connections are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub open: usize,
    /// Those whose keys a quantum computer cannot find.
    pub post_quantum: usize,
}

impl Connections {
    /// None are open yet, and these are the limits of those to come.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The same, counted in these metrics.
    #[must_use]
    pub fn counted_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// The same, with each call traced to there.
    #[must_use]
    pub fn traced_to(self, traces: Arc<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// The same, where connections from these sources begin with a header of the PROXY protocol.
    #[must_use]
    pub fn behind(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Where the spans of calls go.
    pub(super) fn traces(&self) -> &Arc<Traces> {
        &self.traces
    }

    /// From where connections begin with a header.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Where calls and connections are counted.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
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

    /// How many are open by each root, named by its fingerprint.
    pub fn by_root(&self) -> HashMap<Digest, Count> {
        let mut counts: HashMap<Digest, Count> = HashMap::new();
        for entry in self.state().open.values().filter(|entry| !entry.ended.is_cancelled()) {
            let count = counts.entry(entry.peer.vouching().root).or_default();
            count.open += 1;
            count.post_quantum += usize::from(entry.is_post_quantum);
        }
        counts
    }

    /// Ends the connections of these peers: no call on them is identified from now on, they are told to leave, and they
    /// are cut a moment later ([`Limits::parting`]), requests in flight included. Returns how many there were, without those
    /// that were ending already.
    ///
    /// To withdraw trust, first put the new [`Acceptor`](crate::tls::Acceptor) in place and then call this: what
    /// connects in between is judged by the new one.
    pub fn end(&self, whose: impl Fn(&Peer, &[CertificateDer<'static>]) -> bool) -> usize {
        // Judging a chain takes its time, and who connects meanwhile is judged as it connects.
        let open: Vec<Entry> = self.state().open.values().filter(|entry| !entry.peer.is_withdrawn()).cloned().collect();
        let withdrawn =
            open.iter().filter(|entry| whose(&entry.peer, &entry.chain)).inspect(|entry| entry.peer.withdraw());
        // One that was pushed out is served until it is cut, but no longer by whom nobody vouches for.
        let ended = withdrawn.filter(|entry| !entry.ended.is_cancelled()).inspect(|entry| entry.ended.cancel());
        ended.count()
    }

    /// Has these peers leave: they are told to, and their connections are cut a moment later. Until then they are answered, for
    /// who they are is not in doubt. Returns how many connections there were.
    pub fn dismiss(&self, whose: impl Fn(&Peer) -> bool) -> usize {
        let state = self.state();
        let stay = state.open.values().filter(|entry| !entry.ended.is_cancelled());
        stay.filter(|entry| whose(&entry.peer)).inspect(|entry| entry.ended.cancel()).count()
    }

    /// From now on nobody may connect by these certificates and no others; the connections by them end. Each is named as
    /// [`certificate_name`](crate::domain::certificate_name) has it.
    pub fn deny(&self, certificates: &BTreeSet<(AgencyId, String)>) -> usize {
        self.state().denied.clone_from(certificates);
        self.end(|peer, _| is_among(certificates, peer))
    }

    /// Registers a connection for as long as the result lives. None if its agency has as many as it may have, or nobody may
    /// connect by its certificate.
    pub(super) fn register(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        chain: Arc<[CertificateDer<'static>]>,
        is_post_quantum: bool,
    ) -> Option<Open> {
        let mut state = self.state();
        if is_among(&state.denied, peer) {
            return None;
        }
        let of_agency = || state.open.values().filter(|entry| entry.peer.agency() == peer.agency());
        if of_agency().count() >= self.limits.connections_per_agency {
            // One certificate leaves room for its agency's others: they may be what suspends it.
            let mut by_certificate: HashMap<&Digest, Vec<&Entry>> = HashMap::new();
            for entry in of_agency().filter(|entry| !entry.ended.is_cancelled()) {
                by_certificate.entry(entry.peer.fingerprint()).or_default().push(entry);
            }
            let own = by_certificate.get(peer.fingerprint()).map_or(0, Vec::len);
            let most = by_certificate.into_values().max_by_key(Vec::len).filter(|most| most.len() > own + 1)?;
            most.into_iter().min_by_key(|entry| entry.opened)?.ended.cancel();
        }
        let id = state.next;
        state.next += 1;
        let ended = CancellationToken::new();
        let accounts = Arc::clone(state.accounts.entry(peer.agency().clone()).or_default());
        let (peer, opened) = (Arc::clone(peer), Instant::now());
        let entry = Entry { peer, chain, opened, is_post_quantum, ended: ended.clone() };
        state.open.insert(id, entry);
        Some(Open { connections: Arc::clone(self), id, ended, accounts })
    }

    /// Nothing panics while it is held, and a half-made change isn't possible: poison means nothing here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_among(certificates: &BTreeSet<(AgencyId, String)>, peer: &Peer) -> bool {
    !certificates.is_empty()
        && peer.certificate_names().iter().any(|name| certificates.contains(&(peer.agency().clone(), name.clone())))
}

/// One open connection's place among them, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    connections: Arc<Connections>,
    id: u64,
    ended: CancellationToken,
    accounts: Arc<Accounts>,
}

impl Open {
    /// What the calls of its agency take.
    pub(super) fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Waits until the connection is to end because nobody vouches for its peer any more.
    pub(super) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.ended.cancelled()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.state().open.remove(&self.id);
    }
}
