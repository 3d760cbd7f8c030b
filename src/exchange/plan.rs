//! How a change is made: read and worked out first, written as one value afterwards.

use std::future::Future;
use std::pin::Pin;

use crate::domain::{Actor, AgencyId, CallKey, Instant, Notice, Rejected};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::proto::v1::Receipt;
use crate::seal::{self, Seal};
use crate::store::{Reads, Write};

use super::offers::OfferFor;
use super::{Node, Result, statement};

/// Who does it, and the call's idempotency key.
#[derive(Debug, Clone)]
pub struct By {
    /// The officer.
    pub actor: Actor,
    /// The call.
    pub call: CallKey,
}

/// What a change came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// The record that it made or changed.
    pub object: String,
    /// That record's version or revision.
    pub version: i64,
    /// Its entry.
    pub index: u64,
    /// The proof, for the officer's own agency.
    pub receipt: Option<Receipt>,
}

/// A change worked out and not yet written.
#[derive(Debug)]
pub struct Change {
    pub(super) object: String,
    pub(super) version: i64,
    pub(super) writes: Vec<Write>,
    /// What this gives rise to offering, once it is written.
    pub(super) offers: Vec<OfferFor>,
    /// What came of it, where the entry states more than who did what.
    pub(super) outcome: Vec<u8>,
    /// Other agencies that may open what came of it.
    pub(super) told: Vec<AgencyId>,
    /// The organisations that it registers under keys of their own, where it registers many records.
    pub(super) organisations: Vec<Keyed>,
    /// The same of incidents.
    pub(super) incidents: Vec<Keyed>,
    /// The last entry by which all of it was done before: then there is nothing to write.
    pub(super) earlier: Option<u64>,
    /// The notices that it causes, each with an entry of its own.
    pub(super) notices: Vec<Notice>,
    /// On what it was decided, where the agreements decide it.
    pub(super) decided: Option<Decided>,
}

/// On what a change was decided, so that a replay can decide it again.
#[derive(Debug)]
pub(super) struct Decided {
    /// The facts, to be sealed beside the entry.
    pub(super) facts: Vec<u8>,
    /// Why, for the officer's own agency.
    pub(super) grounds: Vec<u8>,
}

/// One of several records that a change registers: done once under the key of the call that it stands for.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) call: CallKey,
    pub(super) object: String,
}

impl Change {
    /// A change that gives rise to nothing else.
    pub(super) fn new(object: &impl ToString, version: i64, writes: Vec<Write>) -> Self {
        Self {
            object: object.to_string(),
            version,
            writes,
            offers: Vec::new(),
            outcome: Vec::new(),
            told: Vec::new(),
            organisations: Vec::new(),
            incidents: Vec::new(),
            earlier: None,
            notices: Vec::new(),
            decided: None,
        }
    }

    /// What the officer's agency may open of its entry.
    pub(super) fn sees(&self) -> Slots {
        match (&self.decided, self.outcome.is_empty()) {
            (Some(_), _) => Slots::HOLDER,
            (None, false) => Slots::REQUESTER,
            (None, true) => Slots::ACT,
        }
    }
}

/// What a plan may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub(super) node: &'a Node,
    pub(super) actor: &'a Actor,
    pub(super) call: &'a CallKey,
    pub(super) at: Instant,
}

impl Context<'_> {
    pub(super) fn seal(&self) -> &Seal {
        &self.node.seal
    }

    pub(super) fn agency(&self) -> &AgencyId {
        &self.actor.agency
    }

    /// The recipient must be an agency that the node knows, and another one.
    pub(super) fn check_recipient(&self, field: &str, recipient: &AgencyId) -> Result<(), Rejected> {
        if recipient == self.agency() {
            return Err(Rejected::invalid(field, "is your own agency"));
        }
        if !self.node.known.contains_key(recipient) {
            return Err(Rejected::invalid(field, format!("`{recipient}` is not an agency that this node knows")));
        }
        Ok(())
    }
}

/// One kind of change.
///
/// A plan reads under the lock and returns what is to be written; it cannot write. So a call that is turned away
/// leaves nothing behind, and a batch can be worked out again if its transaction fails.
pub trait Plan: Send + Sync + 'static {
    /// What its entry is about.
    const KIND: Kind;
    /// Whether it takes a permission away: then it comes before everything else in its batch.
    const STOPS: bool = false;
    /// Whether something may leave by it: then it stops while the clocks disagree, as asks do.
    const RELEASES: bool = false;
    /// Whether it holds the ledger's head for as long as many other changes do: then a batch has one of these.
    const BULK: bool = false;

    /// Works the change out.
    fn plan(&self, context: Context<'_>, reads: &mut Reads) -> impl Future<Output = Result<Change>> + Send;
}

/// A change that somebody asked for.
pub(super) struct Command<T> {
    pub(super) by: By,
    pub(super) change: T,
}

/// A [`Command`] of any kind.
pub(super) trait Mutation: Send + Sync {
    fn by(&self) -> &By;
    fn stops(&self) -> bool;
    fn releases(&self) -> bool;
    fn is_bulk(&self) -> bool;
    fn kind(&self) -> Kind;
    fn plan<'a>(
        &'a self,
        node: &'a Node,
        at: Instant,
        reads: &'a mut Reads,
    ) -> Pin<Box<dyn Future<Output = Result<Change>> + Send + 'a>>;
}

impl<T: Plan> Mutation for Command<T> {
    fn by(&self) -> &By {
        &self.by
    }

    fn stops(&self) -> bool {
        T::STOPS
    }

    fn releases(&self) -> bool {
        T::RELEASES
    }

    fn is_bulk(&self) -> bool {
        T::BULK
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn plan<'a>(
        &'a self,
        node: &'a Node,
        at: Instant,
        reads: &'a mut Reads,
    ) -> Pin<Box<dyn Future<Output = Result<Change>> + Send + 'a>> {
        Box::pin(self.change.plan(Context { node, actor: &self.by.actor, call: &self.by.call, at }, reads))
    }
}

/// The entry of a change: what was done and what came of it, for the officer's own agency; what came of it, for those whom
/// it tells.
pub(super) fn draft(kind: Kind, by: &By, change: &Change) -> Draft {
    Draft {
        kind,
        act: statement::act_of(by, change),
        subject: Vec::new(),
        outcome: change.outcome.clone(),
        grounds: change.decided.as_ref().map(|decided| decided.grounds.clone()).unwrap_or_default(),
        salts: Salts::from_seed(&seal::random()),
        parties: parties(by, change),
    }
}

fn parties(by: &By, change: &Change) -> Vec<(AgencyId, Slots)> {
    let others = change.told.iter().filter(|agency| **agency != by.actor.agency);
    let others = others.map(|agency| (agency.clone(), Slots::OFFER));
    [(by.actor.agency.clone(), change.sees())].into_iter().chain(others).collect()
}
