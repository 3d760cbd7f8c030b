//! Certificates, roots, revocation lists and token keys as they are on disk now, put in place while the node serves.
//!
//! Files belong to sets: the node's own certificate with its key; what vouches for one agency's systems; the keys of
//! one agency's tokens. A set is read whole and checked whole. If it cannot be used, the last one that could stays in
//! place, and the log says what to do. What can be used is put in place as one, and then every connection ends for
//! which nobody vouches any more.

mod ageing;
mod lasts;
mod measured;
mod read;
mod rehearsal;
mod set;
mod status;
mod survey;
mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::{AgencySection, Config};
use crate::connections::Connections;
use crate::domain::{Instant, LastList};
use crate::identity::{Issuers, RegisteredIssuer, Tokens};
use crate::telemetry::Metrics;
use crate::tls::{Acceptor, Credentials, KeyExchange, Life, Revocation, RevocationList, Trust, Vouching};

use ageing::Ageing;
use read::Before;
use set::{Candidate, Contents, Set};

pub use lasts::Lasts;
pub use rehearsal::{Added, Rehearsal, Rehearsed};
pub use set::MOST_BYTES;
pub use status::{AgencyStatus, FilesStatus, ListStatus, NodeStatus, Status, TokenKeyStatus};
pub use survey::{Surveyed, survey};
pub use turns::Turns;

/// Why files cannot be put in place.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What was found on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// The sets that were put in place, by name.
    pub changed: Vec<String>,
    /// The sets whose files cannot be used as they are, with what to do.
    pub refused: Vec<String>,
    /// How many connections end because nobody vouches for their peers any more.
    pub ended: usize,
    /// What the log was told of that will end by itself, by name.
    pub ageing: Vec<(String, Life)>,
}

/// What was put in place last, and where it is in place.
#[derive(Debug)]
pub struct Rotation {
    config: Config,
    sets: Mutex<Sets>,
    lasts: Mutex<Lasts>,
    /// Rings when a list was put in place that is later than the last one.
    later: Notify,
    acceptor: Arc<ArcSwap<Acceptor>>,
    tokens: Arc<Tokens>,
    connections: Arc<Connections>,
    status: ArcSwap<Status>,
    metrics: Arc<Metrics>,
}

/// What was read when it could last be used.
#[derive(Debug)]
pub struct Sets {
    own: Set<Credentials>,
    trusted: Vec<Set<Arc<Vouching>>>,
    issuers: Vec<Set<Vec<RegisteredIssuer>>>,
    ageing: Ageing,
    /// Whether connections are still to be judged by what was put in place.
    is_unjudged: bool,
}

/// What was read first. Nothing is put in place of it before it is known which revocation lists there were already.
#[derive(Debug)]
pub struct FirstRead(Sets);

/// What the machine's clock says, by which handshakes are judged.
pub fn now() -> Instant {
    Instant::from_micros(0).plus_seconds(i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX))
}

impl FirstRead {
    /// Reads everything for the first time. An agency whose revocation lists cannot be used is stopped; whatever else
    /// cannot be used keeps the node from starting.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let at = now();
        let own = Set::first("the node's certificate".into(), read::own_files(config), at, |contents| {
            read::own(config, contents, at)
        })?;
        let (mut trusted, mut issuers) = (Vec::new(), Vec::new());
        for agency in &config.agency {
            trusted.push(vouching(config, agency, &Lasts::default(), at)?);
            let name = format!("the token keys of {}", agency.id);
            let files = read::issuer_files(config, agency);
            issuers.push(Set::first(name, files, at, |contents| read::issuers(config, agency, contents))?);
        }
        let sets = Sets { own, trusted, issuers, ageing: Ageing::default(), is_unjudged: false };
        // What none can be made of is told before anything is waited for.
        sets.issuers()?;
        sets.acceptor(config)?;
        Ok(Self(sets))
    }

    /// The same without the lists that come before the last ones. What vouches for an agency that has one is read again.
    pub fn after(self, config: &Config, lasts: &Lasts) -> Result<Sets, Error> {
        let Self(mut sets) = self;
        for (set, agency) in sets.trusted.iter_mut().zip(&config.agency) {
            let Revocation::Lists(read) = &set.good().trusted().revocation else { continue };
            let is_earlier = |list: &RevocationList| lasts.of(&agency.id, list).is_some_and(|last| list.stand() < last);
            if read.iter().any(is_earlier) {
                *set = vouching(config, agency, lasts, now())?;
            }
        }
        Ok(sets)
    }
}

impl Sets {
    /// What connections are accepted with.
    pub fn acceptor(&self, config: &Config) -> Result<Acceptor, Error> {
        let vouching = self.trusted.iter().map(|set| Arc::clone(set.good()));
        let keys =
            if config.tls.require_post_quantum { KeyExchange::PostQuantumOnly } else { KeyExchange::PostQuantumFirst };
        Ok(Acceptor::agreeing(Trust::of(vouching)?, self.own.good().clone(), keys)?)
    }

    /// Who vouches for officers.
    pub fn issuers(&self) -> Result<Issuers, Error> {
        Ok(Issuers::new(self.issuers.iter().flat_map(Set::good).cloned())?)
    }

    /// What would be trusted if one agency's set were another.
    fn trust_with(&self, place: usize, candidate: &Arc<Vouching>) -> Result<Trust, Error> {
        let vouching = self.trusted.iter().enumerate();
        Ok(Trust::of(vouching.map(|(at, set)| Arc::clone(if at == place { candidate } else { set.good() })))?)
    }
}

/// What vouches for an agency's systems, read for the first time.
fn vouching(config: &Config, agency: &AgencySection, lasts: &Lasts, at: Instant) -> Result<Set<Arc<Vouching>>, Error> {
    let name = format!("what vouches for the systems of {}", agency.id);
    let files = read::trusted_files(config, agency);
    let before = Before { vouching: None, lasts };
    Set::first(name, files, at, |contents| read::vouching(config, agency, contents, &before, at))
}

/// Puts a candidate in place.
fn put<T>(set: &mut Set<T>, candidate: Candidate<T>, at: Instant, looked: &mut Looked) {
    looked.changed.push(set.name().to_owned());
    set.put(candidate, at);
}

impl Rotation {
    /// Goes on from what was read after these lists, where it has been put in place.
    pub fn new(
        config: Config,
        (sets, mut lasts): (Sets, Lasts),
        acceptor: Arc<ArcSwap<Acceptor>>,
        tokens: Arc<Tokens>,
        connections: Arc<Connections>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let status = ArcSwap::from_pointee(sets.status(&config, now()));
        let later = Notify::new();
        for set in &sets.trusted {
            lasts.put(set.good());
        }
        let (sets, lasts) = (Mutex::new(sets), Mutex::new(lasts));
        Self { config, sets, lasts, later, acceptor, tokens, connections, status, metrics }
    }

    /// Learns which lists were the last ones elsewhere: from the next look on none is taken that comes before them. Those that
    /// are later here.
    pub fn learn(&self, known: &[LastList]) -> Vec<LastList> {
        let mut lasts = self.lasts();
        lasts.learn(known);
        lasts.beyond(known)
    }

    /// Waits until a list was put in place that is later than the last one.
    pub async fn later(&self) {
        self.later.notified().await;
    }

    fn lasts(&self) -> MutexGuard<'_, Lasts> {
        self.lasts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in place, as it was when the files were last looked at.
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// The open connections, by what is in place.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Reads what has changed on disk, puts in place what can be used, and ends the connections for which nobody
    /// vouches any more, or whose certificates or lists have meanwhile ended.
    ///
    /// When it returns, no call is identified on those connections.
    pub fn look(&self) -> Looked {
        let mut looked = Looked::default();
        // What a panic may leave undone is done at the next look.
        let mut guard = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let (sets, config, at) = (&mut *guard, &self.config, now());
        self.look_at_certificates(sets, at, &mut looked);
        self.look_at_token_keys(sets, at, &mut looked);
        let refused = [sets.own.problem()].into_iter();
        let refused = refused.chain(sets.trusted.iter().map(Set::problem)).chain(sets.issuers.iter().map(Set::problem));
        looked.refused = refused.flatten().collect();
        let vouching = sets.trusted.iter().map(|set| set.good().as_ref());
        looked.ageing = sets.ageing.tell(config, sets.own.good(), vouching, at);
        self.count(sets);
        self.status.store(Arc::new(sets.status(config, at)));
        looked
    }

    fn look_at_certificates(&self, sets: &mut Sets, at: Instant, looked: &mut Looked) {
        let config = &self.config;
        let before = looked.changed.len();
        // Nobody waits for files who wants to know.
        let lasts = self.lasts().clone();
        if let Some(own) = sets.own.look(at, |contents, _| read::own(config, contents, at), |_, _| false) {
            put(&mut sets.own, own, at, looked);
        }
        for (place, agency) in config.agency.iter().enumerate() {
            let read = |contents: &Contents, last: &Arc<Vouching>| {
                let before = Before { vouching: Some(last), lasts: &lasts };
                read::vouching(config, agency, contents, &before, at)
            };
            let is_same = |one: &Arc<Vouching>, other: &Arc<Vouching>| one.trusted() == other.trusted();
            let Some(set) = sets.trusted.get_mut(place) else { continue };
            let Some(candidate) = set.look(at, read, is_same) else { continue };
            // Only whether agencies share a root is seen in all of them together.
            let conflict = sets.trust_with(place, &candidate.good).err();
            let Some(set) = sets.trusted.get_mut(place) else { continue };
            match conflict {
                None => put(set, candidate, at, looked),
                Some(problem) => set.refuse(&problem, at),
            }
        }
        if looked.changed.len() > before {
            sets.is_unjudged = true;
            let mut lasts = self.lasts();
            if sets.trusted.iter().fold(false, |any, set| any | lasts.put(set.good())) {
                self.later.notify_one();
            }
            drop(lasts);
            match sets.acceptor(config) {
                Ok(acceptor) => self.acceptor.store(Arc::new(acceptor)),
                Err(error) => tracing::error!(%error, "what was read cannot be put in place"),
            }
        }
        let (acceptor, is_unjudged) = (self.acceptor.load(), sets.is_unjudged);
        looked.ended = self.connections.end(|peer, chain| {
            if !is_unjudged && at < peer.vouching().until {
                return false;
            }
            match acceptor.judge(chain) {
                Ok(judged) => peer.renew(&judged),
                Err(reason) => {
                    let (agency, fingerprint) = (peer.agency(), peer.fingerprint().to_hex());
                    tracing::warn!(%agency, fingerprint, %reason, "a connection ends");
                    return true;
                }
            }
            false
        });
        sets.is_unjudged = false;
    }

    fn look_at_token_keys(&self, sets: &mut Sets, at: Instant, looked: &mut Looked) {
        let config = &self.config;
        let before = looked.changed.len();
        for (set, agency) in sets.issuers.iter_mut().zip(&config.agency) {
            if let Some(issuers) = set.look(at, |contents, _| read::issuers(config, agency, contents), |_, _| false) {
                put(set, issuers, at, looked);
            }
        }
        if looked.changed.len() > before {
            match sets.issuers() {
                Ok(issuers) => self.tokens.replace(issuers),
                // Which issuers and key ids there are is configuration, and was checked at start.
                Err(error) => tracing::error!(%error, "token keys cannot be put in place"),
            }
        }
    }

    /// Looks every few seconds, and at once on SIGHUP, until the node stops.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut turns = Turns::every(Duration::from_secs(self.config.tls.reload_seconds));
        while let Some(asked) = shutdown.run_until_cancelled(turns.wait()).await {
            if asked {
                tracing::info!("SIGHUP: certificates and keys are looked at");
            }
            // A file that makes its reader panic is one that cannot be used.
            let this = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "certificates and keys could not be looked at: what was last good stays");
            }
        }
    }
}
