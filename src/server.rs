//! The composition root: from a configuration to a node that serves.

mod keys;
mod lists;
mod opening;
mod trusted;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::config::Config;
use crate::connections::{self, Connections, Limits, Sources};
use crate::decision::{Agreement, Proposal};
use crate::domain::{AgencyId, AgencyNames, EventKind};
use crate::exchange::{self, Commits, Exchange, LedgerKey, Node, Setup, SuspendedSystems};
use crate::identity::Tokens;
use crate::ledger::{Keyring, SigningKey, SigningKeys};
use crate::ops::{Check, Ill, Measure, Ops, Standing};
use crate::rotation::{self, FirstRead, Rotation};
use crate::telemetry::{Metrics, Traces};
use crate::wire::{Desk, RateLimits, Readiness, StreamLimits};
use crate::{config, proto};

pub use trusted::Trusted;

/// Why a node does not start.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A node that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its connections, by peer.
    pub connections: Arc<Connections>,
    /// Its certificate, whom it trusts and what was revoked, as they are on disk.
    pub rotation: Arc<Rotation>,
    /// Its token issuers.
    pub tokens: Arc<Tokens>,
    /// Where it answers probes, if it does.
    pub ops: Option<SocketAddr>,
    exchange: Exchange,
    traces: Arc<Traces>,
    standing: Standing,
    shutdown: CancellationToken,
    /// Ends the answers to probes when it is dropped: last of all.
    gone: DropGuard,
    serving: JoinHandle<()>,
    delay: Duration,
}

impl Running {
    /// Starts a node: answers probes, reads its certificates and keys, opens and checks its ledger, then listens.
    ///
    /// Fails without serving if the stored ledger is not the one that was signed last.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self, Error> {
        let (metrics, standing, readiness) =
            (Arc::new(Metrics::default()), Standing::default(), Readiness::new().await);
        metrics.started_at.set(clock.now().micros() / 1_000_000);
        metrics.build.of([("version", env!("CARGO_PKG_VERSION"))]).set(1);
        let gone = CancellationToken::new().drop_guard();
        let probed = Ops::new(standing.clone(), Arc::clone(&metrics), &readiness);
        let ops = match &config.ops {
            ops if ops.enabled => {
                if !ops.listen.ip().is_loopback() {
                    let address = ops.listen;
                    tracing::warn!(%address, "probes and metrics are answered to whoever reaches `ops.listen`: let monitoring alone reach it");
                }
                let listening = probed.listen(ops.listen, gone.token().clone()).await;
                Some(listening.map_err(|e| format!("cannot listen on {} (`ops.listen`): {e}", ops.listen))?)
            }
            _ => None,
        };
        let read = FirstRead::of(config)?;
        standing.set(Check::Certificate, true);
        let exchange = Exchange::start(node(config, clock, &standing, Arc::clone(&metrics)).await?);
        let (sets, lasts) = lists::after(read, config, &exchange).await?;
        let (issuers, acceptor) = (sets.issuers()?, Arc::new(ArcSwap::from_pointee(sets.acceptor(config)?)));
        standing.set(Check::Schema, true);
        // The ledger was opened with them, and the files read.
        for check in [Check::Files, Check::Database, Check::LedgerKey, Check::NodeSecret] {
            standing.set(check, true);
        }
        standing.set_ill(Ill::Agreements, exchange.check_agreements().await.is_err());
        measure_ledger_keys(&ledger_keys(config)?, &metrics);
        let pseudonym_key = exchange.node().seal().pseudonym_key();
        let tokens = Arc::new(Tokens::new(config.node.audience.clone(), &pseudonym_key, issuers));
        let streams = StreamLimits {
            heartbeat: Duration::from_secs(config.events.heartbeat_seconds),
            per_agency: config.events.streams_per_agency,
        };
        let traces = Arc::new(match &config.traces.endpoint {
            Some(collector) => Traces::to(collector, exchange.node().origin())?,
            None => Traces::default(),
        });
        let connections = Connections::new(limits(config)).counted_in(Arc::clone(&metrics));
        let connections = Arc::new(connections.traced_to(Arc::clone(&traces)).behind(proxy_sources(config)?));
        let rotation = Arc::new(Rotation::new(
            config.clone(),
            (sets, lasts),
            Arc::clone(&acceptor),
            Arc::clone(&tokens),
            Arc::clone(&connections),
            Arc::clone(&metrics),
        ));
        let rates = RateLimits {
            agency: config.limits.agency_calls_per_second,
            officer: config.limits.officer_calls_per_second,
        };
        let desk = Desk::new(exchange.clone(), Arc::clone(&tokens), streams, rates, Arc::clone(&rotation));
        let routes = desk.routes(&readiness)?;

        let listener = TcpListener::bind(config.node.listen)
            .await
            .map_err(|e| format!("cannot listen on {}: {e}", config.node.listen))?;
        let address = listener.local_addr()?;
        connections.deny(&exchange.suspended_systems().await?.certificates);
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(connections::serve(
            listener,
            Arc::clone(&acceptor),
            routes,
            Arc::clone(&connections),
            shutdown.clone(),
        ));
        probed.measure_with(measuring(exchange.clone(), Arc::clone(&rotation), metrics));
        standing.started();
        readiness.set(standing.is_ready()).await;
        tokio::spawn(standing.clone().follow(move |ready| tell(readiness.clone(), ready)));
        tokio::spawn(Arc::clone(&rotation).watch(shutdown.clone()));
        let reload = Duration::from_secs(config.tls.reload_seconds);
        tokio::spawn(lists::watch(exchange.clone(), Arc::clone(&rotation), reload, shutdown.clone()));
        tokio::spawn(watch_suspensions(exchange.clone(), Arc::clone(&connections), shutdown.clone()));
        tokio::spawn(watch_duties(exchange.clone(), shutdown.clone()));
        tokio::spawn(keep_filled(exchange.clone(), shutdown.clone()));
        tokio::spawn(watch_store(exchange.clone(), standing.clone(), shutdown.clone()));
        tokio::spawn(watch_standing(exchange.clone(), Arc::clone(&rotation), standing.clone(), shutdown.clone()));
        tokio::spawn(keys::watch(exchange.clone(), config.clone(), standing.clone(), shutdown.clone()));
        tracing::info!(%address, origin = exchange.node().origin(), "serving");
        let delay = Duration::from_secs(config.ops.shutdown_delay_seconds);
        Ok(Self {
            address,
            connections,
            rotation,
            tokens,
            ops,
            exchange,
            traces,
            standing,
            shutdown,
            gone,
            serving,
            delay,
        })
    }

    /// The node's use cases, for whoever runs in the same process.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Says that it is not ready any more and goes on for as long as it takes until nobody is sent here; then says goodbye
    /// to every connection, waits for what is under way, closes the database, and answers no probe any more.
    pub async fn stop(self) {
        self.standing.stopping();
        tokio::time::sleep(self.delay).await;
        self.shutdown.cancel();
        drop(self.serving.await);
        self.exchange.node().store().close().await;
        self.traces.end().await;
        drop(self.gone);
    }
}

/// What peers may take, within what this process may open.
fn limits(config: &Config) -> Limits {
    let section = &config.limits;
    let configured = Limits {
        connections_per_agency: section.connections_per_agency,
        calls_per_agency: section.calls_per_agency,
        handshake: Duration::from_secs(section.handshake_seconds),
        first_request: Duration::from_secs(section.first_request_seconds),
        untaken: Duration::from_secs(section.untaken_seconds),
        usual_deadline: Duration::from_secs(section.usual_deadline_seconds),
        longest_deadline: Duration::from_secs(section.longest_deadline_seconds),
        ..Limits::default()
    };
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    let limits = configured.within(descriptors.unwrap_or(usize::MAX), config.agency.len());
    if limits.connections_per_agency < configured.connections_per_agency {
        tracing::warn!(
            per_agency = limits.connections_per_agency,
            "this process may open few files, so agencies have fewer connections than configured: raise `ulimit -n`"
        );
    }
    limits
}

async fn tell(readiness: Readiness, ready: bool) {
    readiness.set(ready).await;
}

/// What is measured whenever somebody reads the metrics.
fn measuring(exchange: Exchange, rotation: Arc<Rotation>, metrics: Arc<Metrics>) -> Measure {
    Box::new(move || {
        exchange.measure();
        rotation.measure();
        if let Some(bytes) = resident_bytes() {
            metrics.memory.set(bytes);
        }
    })
}

/// When the last of each other agency's ledger keys ends: a key that another one follows is nobody's worry. They are
/// configuration, which is read at start.
fn measure_ledger_keys(keys: &[LedgerKey], metrics: &Metrics) {
    for LedgerKey { agency, key, until, .. } in keys {
        let Some(until) = until else { continue };
        let outlasts = |other: &LedgerKey| other.agency == *agency && other.until.is_none_or(|end| end > *until);
        if keys.iter().any(outlasts) {
            continue;
        }
        // Its name and its id: what comes after them is the key itself.
        let name: Vec<&str> = key.splitn(3, '+').take(2).collect();
        let labels = vec![("agency", agency.to_string().into()), ("key", name.join("+").into())];
        metrics.ledger_keys.with(labels).set(until.micros().div_euclid(1_000_000));
    }
}

/// How much memory the process holds, as Linux says in kibibytes, however large its pages are.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(resident.split_whitespace().next()?.parse::<i64>().ok()? * 1024)
}

/// How often suspensions are looked at, whichever replica they were made at: connections are cut half a second after.
const SUSPENSIONS_EVERY: Duration = Duration::from_millis(400);

/// Ends the connections of suspended certificates, by which nothing is served any more, and keeps others by them out; ends
/// those of a guest agency when it is suspended: it may connect again, to be told by whom. Until the node stops.
async fn watch_suspensions(exchange: Exchange, connections: Arc<Connections>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(SUSPENSIONS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeSet::new();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        match exchange.suspended_systems().await {
            Ok(SuspendedSystems { agencies, certificates }) => {
                let suspended: BTreeSet<_> = agencies.difference(&known).cloned().collect();
                // Whom an agency is suspended by is told to each call of its, for as long as there is a connection.
                let ended =
                    connections.deny(&certificates) + connections.dismiss(|peer| suspended.contains(peer.agency()));
                if ended > 0 {
                    tracing::warn!(ended, "connections end: their certificate or their agency is suspended");
                }
                known = agencies;
            }
            // Calls are turned away by what is read with each.
            Err(error) => tracing::debug!(%error, "suspensions could not be looked at"),
        }
    }
}

/// How often duties are looked through for those that are overdue.
const WATCH_EVERY: Duration = Duration::from_mins(10);

/// Alarms while a duty is overdue, until the node stops.
async fn watch_duties(exchange: Exchange, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = exchange.alarm_overdue().await {
            tracing::warn!(%error, "duties could not be looked through for those that are overdue");
        }
        match exchange.nudges_due().await {
            Ok(nudges) => {
                // How many requests wait that match something is told to their holders alone.
                for (kind, count) in nudges.into_iter().filter(|(kind, _)| *kind != EventKind::RequestUnanswered) {
                    tracing::info!(kind = kind.as_str(), count, "nudges are due");
                }
            }
            Err(error) => tracing::warn!(%error, "nudges could not be counted"),
        }
    }
}

/// Fills the ledger at the beginning of each tick, if it is padded, until the node stops.
async fn keep_filled(exchange: Exchange, shutdown: CancellationToken) {
    while let Some(wait) = exchange.next_filling() {
        if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        if let Err(error) = exchange.fill().await {
            tracing::warn!(%error, "the ledger could not be filled: the next filling makes up for it");
        }
    }
}

/// How often a commit is tried, so that readiness follows the database when nobody calls, too.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Keeps readiness as the store is, until the node stops. A batch can find out while a probe still waits.
async fn watch_store(exchange: Exchange, standing: Standing, shutdown: CancellationToken) {
    let mut faults = exchange.faults();
    let follow = async {
        loop {
            let commits = exchange.commits_now();
            standing.set(Check::Database, commits != Commits::None);
            standing.set_ill(Ill::Disk, commits == Commits::Withdrawals);
            if faults.changed().await.is_err() {
                return;
            }
        }
    };
    let mut ticks = tokio::time::interval(PROBE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let probe = async {
        loop {
            ticks.tick().await;
            exchange.probe().await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = follow => {}
        () = probe => {}
    }
}

/// How often it is looked at what ends by itself, or what another replica put into force.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Keeps readiness as the node's certificate, the looking at files, and the agreements in force are, until the node stops.
async fn watch_standing(exchange: Exchange, rotation: Arc<Rotation>, standing: Standing, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        standing.set(Check::Certificate, rotation.has_valid_certificate());
        standing.set(Check::Files, rotation.has_looked_of_late(rotation::now()));
        match exchange.check_agreements().await {
            Ok(()) => standing.set_ill(Ill::Agreements, false),
            // The database's own part says so.
            Err(exchange::Error::Store(error)) if error.is_outage() => {}
            Err(error) => {
                tracing::error!(%error, "nothing is released: an agreement in force cannot be read");
                standing.set_ill(Ill::Agreements, true);
            }
        }
    }
}

/// Everything that would keep a node of this configuration from starting, of what its files say; the database is not
/// looked at, nor are the files that [`survey`](crate::rotation::survey) looks at.
pub fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut tell = |problem: Option<Error>| problems.extend(problem.map(|problem| problem.to_string()));
    tell(config.node_secrets().err().map(Into::into));
    match signing_keys(config) {
        Ok(keys) => tell(Trusted::read(config, keys.origin()).err().map(Into::into)),
        Err(problem) => tell(Some(problem)),
    }
    tell(config.database_login().err().map(Into::into));
    tell(ledger_keys(config).err());
    tell(proxy_sources(config).err());
    match proposals(config) {
        Ok(proposals) => {
            for proposal in proposals {
                tell(Agreement::load(&proposal.text()).err().map(Into::into));
            }
        }
        Err(problem) => tell(Some(problem)),
    }
    problems
}

/// Opens the node's ledger and checks that it is the one that was signed last.
async fn node(config: &Config, clock: Clock, standing: &Standing, metrics: Arc<Metrics>) -> Result<Node, Error> {
    let keys = signing_keys(config)?;
    let store = opening::store(config, standing).await?;
    // Before anything is written: an empty database would begin the ledger a second time.
    for trusted in Trusted::read(config, keys.origin())? {
        let size = trusted.check(&store, &keys).await?;
        tracing::info!(size, file = %trusted.file.display(), "the ledger has every entry of a trusted checkpoint");
    }
    let seal = store.unlock(&config.node_secrets()?).await?;
    let checked = store.check_head(&keys, &seal).await?;
    tracing::info!(origin = keys.origin(), size = checked.size, "the ledger's head is the one that was signed");
    for (name, open) in
        store.secrets_in_use(&seal).await?.into_iter().filter(|(name, _)| seal.newest().ok() != Some(*name))
    {
        tracing::warn!(%name, open, "records are sealed with an older secret, too: `concordat seal rewrap` ends that");
    }
    let history = store.reads().await?.ledger_keys().await?;
    Ok(Node::new(Setup {
        agencies: config.own_agencies(),
        known: known_agencies(config)?,
        proposals: proposals(config)?,
        store,
        seal,
        keys,
        padding: config.padding(),
        history,
        clock,
        peers: ledger_keys(config)?,
        metrics,
    })?)
}

/// The ledger's signing keys, as the configuration has them.
pub fn signing_keys(config: &Config) -> Result<SigningKeys, Error> {
    let read = |file: &PathBuf| {
        SigningKey::parse(&config.read_secret(file)?).map_err(|e| Error::from(config::Error::new(file, e)))
    };
    let first = read(&config.node.ledger_key_file)?;
    let others = key_files(config).skip(1).map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(SigningKeys::new(first, others)?)
}

/// The files of the ledger's signing keys.
fn key_files(config: &Config) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&config.node.ledger_key_file).chain(&config.node.other_ledger_key_files)
}

fn proxy_sources(config: &Config) -> Result<Sources, Error> {
    let wrong = |text| format!("node.proxy_sources: `{text}` is neither an address nor a network such as 10.0.0.0/8");
    Ok(Sources::parse(config.node.proxy_sources.iter().map(String::as_str)).map_err(wrong)?)
}

fn known_agencies(config: &Config) -> Result<BTreeMap<AgencyId, AgencyNames>, Error> {
    config.agency.iter().map(|agency| Ok((agency.id.clone(), agency.names()?))).collect()
}

/// The keys of other nodes' ledgers; one that cannot be read keeps the node from starting.
fn ledger_keys(config: &Config) -> Result<Vec<LedgerKey>, Error> {
    let mut keys = Vec::new();
    for agency in &config.agency {
        for ledger in &agency.ledger {
            let key = config.read(&ledger.key_file)?.trim().to_owned();
            Keyring::parse([key.as_str()]).map_err(|e| config::Error::new(&ledger.key_file, e))?;
            let (from, until) = ledger.dates()?;
            keys.push(LedgerKey { agency: agency.id.clone(), key, from, until });
        }
    }
    Ok(keys)
}

/// The bundled agreements, and after them those in the configured folder, no two of one id.
fn proposals(config: &Config) -> Result<Vec<Proposal>, Error> {
    let bundled = proto::BUNDLED_AGREEMENTS.iter();
    let mut proposals: Vec<Proposal> = bundled
        .map(|(_, terms, clauses)| Proposal { terms: (*terms).to_owned(), clauses: (*clauses).to_owned() })
        .collect();
    if let Some(folder) = &config.node.agreements {
        let folder = config.path(folder);
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|e| config::Error::new(&folder, e))? {
            let path = entry?.path();
            if path.join("agreement.toml").is_file() {
                let read = |name: &str| {
                    let file = path.join(name);
                    fs::read_to_string(&file).map_err(|e| config::Error::new(&file, e))
                };
                let proposal = Proposal { terms: read("agreement.toml")?, clauses: read("clauses.cedar")? };
                // One that cannot be loaded is told of where it is used.
                if let Ok(agreement) = Agreement::load(&proposal.text())
                    && let Some(other) = names.insert(agreement.id().clone(), path.clone())
                {
                    let (id, path, other) = (agreement.id(), path.display(), other.display());
                    return Err(format!("{path} and {other} are both the agreement `{id}`: keep one of them").into());
                }
                proposals.push(proposal);
            }
        }
    }
    Ok(proposals)
}
