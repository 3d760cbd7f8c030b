//! What a node is made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::Clock;
use crate::decision::{Agreement, Proposal};
use crate::domain::{Agency, AgencyId, AgencyNames, AgreementId, Digest, Instant, Padding};
use crate::ledger::{SigningKeys, TrustedKey};
use crate::seal::Seal;
use crate::store::{Locked, Reads, Store};
use crate::telemetry::Metrics;

use super::peers::LedgerKey;
use super::{Error, Result};

/// What a node is set up with.
#[derive(Debug)]
pub struct Setup {
    /// The agencies whose records this node holds.
    pub agencies: Vec<Agency>,
    /// Every agency that this node knows, its own included, with its names.
    pub known: BTreeMap<AgencyId, AgencyNames>,
    /// Agreements that may be activated.
    pub proposals: Vec<Proposal>,
    /// The database.
    pub store: Store,
    /// The keys of what is sealed.
    pub seal: Seal,
    /// The ledger's signing keys.
    pub keys: SigningKeys,
    /// How the ledger is padded, if it is.
    pub padding: Option<Padding>,
    /// The keys that signed the ledger, as its history says.
    pub history: Vec<TrustedKey>,
    /// The clock.
    pub clock: Clock,
    /// The keys of other nodes' ledgers.
    pub peers: Vec<LedgerKey>,
    /// Where what it does is counted.
    pub metrics: Arc<Metrics>,
}

/// A node: one ledger, the records of one agency or of several.
#[derive(Debug)]
pub struct Node {
    pub(super) agencies: BTreeMap<AgencyId, Agency>,
    pub(super) known: BTreeMap<AgencyId, AgencyNames>,
    pub(super) proposals: BTreeMap<AgreementId, (Proposal, Arc<Agreement>)>,
    pub(super) store: Store,
    pub(super) seal: Seal,
    pub(super) keys: SigningKeys,
    pub(super) padding: Option<Padding>,
    pub(super) clock: Clock,
    /// The keys of other nodes' ledgers that agencies' receipts may come from.
    peers: Vec<LedgerKey>,
    /// The same of this node's own ledger, as its history was when it was read last.
    own_keys: RwLock<Vec<LedgerKey>>,
    pub(super) metrics: Arc<Metrics>,
    /// Texts that were read once, by digest. A digest names one text for ever, so this can be kept across the lock.
    compiled: RwLock<HashMap<Digest, Arc<Agreement>>>,
}

/// The time of one batch, and whether releases may be made at it.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    pub(super) at: Instant,
    pub(super) releases: Result<()>,
}

/// How far the service's clock may lag behind the ledger's last entry.
const MOST_BEHIND_MICROS: i64 = 2_000_000;
/// How far the service's clock may be from the database's.
const MOST_APART_MICROS: i64 = 5_000_000;

/// By which keys receipts of a node's own ledger are believed, for each agency whose records it holds.
///
/// What a key signed is believed until it went out of use, but for one that somebody else may have had: nothing is. One that no
/// entry announced yet may be announced while the node serves.
fn own_keys<'a>(
    agencies: impl Iterator<Item = &'a AgencyId>,
    keys: &SigningKeys,
    history: Vec<TrustedKey>,
) -> Vec<LedgerKey> {
    let mut own: BTreeMap<String, Option<Instant>> = keys.all().map(|key| (key.verifier_key(), None)).collect();
    for TrustedKey { key, until, compromised, .. } in history {
        if compromised.is_some() {
            own.remove(&key);
        } else {
            own.insert(key, until);
        }
    }
    let of = |agency: &AgencyId| {
        let key = |(key, until): (&String, &Option<Instant>)| LedgerKey {
            agency: agency.clone(),
            key: key.clone(),
            from: None,
            until: *until,
        };
        own.iter().map(key).collect::<Vec<_>>()
    };
    agencies.flat_map(of).collect()
}

impl Node {
    /// Reads the proposals; one that cannot be used is an error. Of two with the same id the later one is proposed.
    pub fn new(setup: Setup) -> Result<Self, crate::decision::LoadError> {
        let mut proposals = BTreeMap::new();
        let mut compiled = HashMap::new();
        for proposal in setup.proposals {
            let agreement = Arc::new(Agreement::load(&proposal.text())?);
            compiled.insert(agreement.digest(), Arc::clone(&agreement));
            let (id, digest) = (agreement.id().clone(), agreement.digest());
            if let Some((_, other)) = proposals.insert(id.clone(), (proposal, agreement))
                && other.digest() != digest
            {
                let (used, unused) = (digest.to_hex(), other.digest().to_hex());
                tracing::warn!(agreement = %id, used, unused, "an agreement has two texts: the bundled one is not proposed");
            }
        }
        let agencies: BTreeMap<AgencyId, Agency> =
            setup.agencies.into_iter().map(|agency| (agency.id.clone(), agency)).collect();
        let own_keys = own_keys(agencies.keys(), &setup.keys, setup.history);
        Ok(Self {
            agencies,
            known: setup.known,
            proposals,
            store: setup.store,
            seal: setup.seal,
            keys: setup.keys,
            padding: setup.padding,
            clock: setup.clock,
            peers: setup.peers,
            own_keys: RwLock::new(own_keys),
            metrics: setup.metrics,
            compiled: RwLock::new(compiled),
        })
    }

    /// The keys of the ledgers that agencies' receipts may come from; this node's own are among them.
    pub(super) fn ledger_keys(&self) -> Vec<LedgerKey> {
        let own = self.own_keys.read().unwrap_or_else(PoisonError::into_inner);
        self.peers.iter().chain(own.iter()).cloned().collect()
    }

    /// From now on receipts of this node's own ledger are believed as this history has it. Whether that is otherwise than
    /// before.
    pub(super) fn learn(&self, history: Vec<TrustedKey>) -> bool {
        let learnt = own_keys(self.agencies.keys(), &self.keys, history);
        let mut own = self.own_keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = *own != learnt;
        *own = learnt;
        is_new
    }

    /// Whether this node can sign with the key of this id.
    pub fn has_key(&self, id: &str) -> bool {
        self.keys.find(id).is_some()
    }

    /// Whether this node holds the agency's records.
    pub fn holds(&self, agency: &AgencyId) -> bool {
        self.agencies.contains_key(agency)
    }

    /// One of the agencies whose records this node holds.
    pub fn agency(&self, id: &AgencyId) -> Option<&Agency> {
        self.agencies.get(id)
    }

    /// Every agency that this node knows, its own included, by id.
    pub fn known_agencies(&self) -> impl Iterator<Item = (&AgencyId, &AgencyNames)> {
        self.known.iter()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The keys of what is sealed.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        self.keys.origin()
    }

    /// The effective time under the lock: never before the last entry.
    pub(super) fn timing(&self, locked: &Locked) -> Timing {
        let now = self.clock.now();
        let releases = self.check_clocks(now, locked.head_at(), locked.database_time());
        Timing { at: now.max(locked.head_at()), releases }
    }

    fn check_clocks(&self, now: Instant, head_at: Instant, database_time: Option<Instant>) -> Result<()> {
        let behind = head_at.micros_since(now) > MOST_BEHIND_MICROS;
        let apart = self.clock.is_real()
            && database_time.is_some_and(|there| there.micros_since(now).abs() > MOST_APART_MICROS);
        if behind {
            Err(Error::Clock("this machine's clock is behind the ledger's last entry"))
        } else if apart {
            Err(Error::Clock("this machine's clock and the database's are more than 5 s apart"))
        } else {
            Ok(())
        }
    }

    /// Whether the clocks would let a release be made now, for what another agency reads without the lock.
    pub(super) async fn may_release(&self, reads: &mut Reads) -> Result<bool> {
        let (_, head_at) = reads.size().await?;
        let database_time = reads.database_time().await?;
        Ok(self.check_clocks(self.clock.now(), head_at, database_time).is_ok())
    }

    /// The time by which things are read: never before the last entry.
    pub(super) async fn now(&self, reads: &mut Reads) -> Result<Instant> {
        Ok(self.clock.now().max(reads.size().await?.1))
    }

    /// The agreements in force, as read in this transaction.
    pub(super) async fn in_force(&self, reads: &mut Reads) -> Result<Vec<Arc<Agreement>>> {
        let mut agreements = Vec::new();
        for (_, digest) in reads.agreements_in_force().await? {
            agreements.push(self.agreement(reads, digest).await?);
        }
        Ok(agreements)
    }

    /// The agreement with this text.
    pub(super) async fn agreement(&self, reads: &mut Reads, digest: Digest) -> Result<Arc<Agreement>> {
        let known = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(agreement) = known {
            return Ok(agreement);
        }
        let text = reads.agreement_text(digest).await?;
        let text = text.ok_or(Error::Internal("the text of an agreement that was activated is missing"))?;
        let agreement = Agreement::load(&text).map_err(|error| {
            tracing::error!(digest = %digest.to_hex(), %error, "a text in force cannot be read: nothing is decided");
            Error::Internal("an agreement in force cannot be read")
        })?;
        let agreement = Arc::new(agreement);
        if agreement.digest() != digest {
            return Err(Error::Internal("an agreement's stored text is not the one that was activated"));
        }
        self.compiled.write().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::clone(&agreement));
        Ok(agreement)
    }
}
