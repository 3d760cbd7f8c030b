//! The gate: facts, decision, ledger entry, commit, in that order, under the lock. START HERE.
//!
//! 1. `wire` has identified the caller: an officer of an agency, by certificate and token.
//! 2. [`Store::lock`](crate::store::Store::lock) takes the ledger's head: until the commit, nothing that a decision
//!    reads can change.
//! 3. [`gather`](super::gather) reads the facts of every ask, by set.
//! 4. [`decide`] turns the facts of one ask into a permit or a denial, purely.
//! 5. [`Locked::append`] puts one entry into the ledger, whatever was decided.
//! 6. [`Locked::commit`] makes all of it durable.
//! 7. [`release`](crate::release) opens content, and takes nothing less than a committed permit.
//!
//! The types allow no other order: only `decide` makes a [`Permit`](crate::decision::Permit), only `append` takes
//! what is made of it, only the commit of the same transaction gives that back as [`Committed`], and only that can
//! be released.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant as Moment;

use crate::decision::{Decision, decide};
use crate::domain::{AgencyId, Instant, Notice, Question, Rejected, Requester};
use crate::ledger::Slots;
use crate::release::{Releasable, Shareable};
use crate::store::{Answer, Appended, Committed, KnownCall, Locked, Write};

use super::asks::{self, Asked, Asking};
use super::batch::{Reply, Work};
#[cfg(feature = "control-reads-before-lock")]
use super::control;
use super::docket::{self, Docket, Matter};
use super::gather::{Gathered, gather};
use super::node::Timing;
use super::offers::{OfferFor, Offering};
use super::plan::{self, By, Done, Keyed, Mutation};
use super::sharing::{self, Decided, SharingCall, Stock, Told};
use super::{Error, Node, Result, disclosures, events, filler, notices, nudges, obligations};

/// Takes a batch through the gate. One answer for each of its works, in their order.
///
/// An error here is the whole batch's: nothing of it was done, or it is not known whether it was.
pub(super) async fn pass(node: &Node, works: &[Arc<Work>]) -> Result<Vec<Result<Reply>>> {
    let mut passage = Passage::begin(node, works).await?;
    // Whatever takes a permission away comes before all else, then the other changes, then what is to be decided.
    for (place, mutation) in changes(works) {
        passage.change(place, mutation).await?;
    }
    for (matter, gathered) in passage.gather(works).await? {
        passage.decide(matter, &gathered)?;
    }
    passage.tell(sharing_calls(works).collect()).await?;
    passage.commit(works.len()).await
}

/// One batch between lock and commit.
struct Passage<'a> {
    node: &'a Node,
    locked: Locked,
    #[cfg(feature = "control-reads-before-lock")]
    before: crate::store::Reads,
    /// Since when the lock is held.
    held: Moment,
    timing: Timing,
    known: BTreeMap<String, KnownCall>,
    /// What changes of this batch give rise to offering.
    due: Vec<(By, OfferFor)>,
    appended: Vec<(Option<usize>, Appended<Entered>)>,
    writes: Vec<Write>,
    replies: HashMap<usize, Result<Reply>>,
}

/// What an entry was appended for.
#[derive(Debug)]
enum Entered {
    Change { object: String, version: i64 },
    Ask { asked: About, answer: Answer, releasable: Option<Releasable> },
    Share { answer: Answer, shareable: Option<Shareable> },
}

/// The question that an ask put.
#[derive(Debug)]
struct About {
    question: Question,
    holder: AgencyId,
    open_until: Instant,
}

/// The changes of a batch, those that take a permission away first.
fn changes(works: &[Arc<Work>]) -> Vec<(usize, &dyn Mutation)> {
    let mut changes: Vec<(usize, &dyn Mutation)> = works
        .iter()
        .enumerate()
        .filter_map(|(place, work)| match &**work {
            Work::Change(mutation) => Some((place, &**mutation)),
            Work::Ask(_) | Work::Offer(_) | Work::Share(_) => None,
        })
        .collect();
    changes.sort_by_key(|(_, mutation)| !mutation.stops());
    changes
}

/// The asks for tables and themes of a batch.
fn sharing_calls(works: &[Arc<Work>]) -> impl Iterator<Item = (usize, &SharingCall)> {
    works.iter().enumerate().filter_map(|(place, work)| match &**work {
        Work::Share(call) => Some((place, &**call)),
        Work::Change(_) | Work::Ask(_) | Work::Offer(_) => None,
    })
}

impl<'a> Passage<'a> {
    /// Takes the ledger's head, then finds out which of the calls were done before.
    async fn begin(node: &'a Node, works: &[Arc<Work>]) -> Result<Self> {
        #[cfg(feature = "control-reads-before-lock")]
        let before = control::before_the_lock(node).await?;
        let waiting = Moment::now();
        let locked = node.store.lock().await;
        // What was waited for in vain, too: that is when somebody looks.
        node.metrics.lock.took(waiting.elapsed());
        let mut locked = locked?;
        let held = Moment::now();
        let timing = node.timing(&locked);
        // Before anything of this tick has a place in the ledger.
        filler::fill(node.padding, &node.store, &mut locked, timing.at, &node.seal).await?;
        let keys: Vec<String> = works.iter().map(|work| work.key()).collect();
        let known = locked.reads().calls(&keys).await?;
        let (due, appended, writes, replies) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Ok(Self {
            node,
            locked,
            #[cfg(feature = "control-reads-before-lock")]
            before,
            held,
            timing,
            known,
            due,
            appended,
            writes,
            replies,
        })
    }

    /// Works a change out, writes it, and appends its entry. A call that is turned away writes nothing.
    async fn change(&mut self, place: usize, mutation: &dyn Mutation) -> Result<()> {
        let (node, at, by) = (self.node, self.timing.at, mutation.by());
        if let (Err(error), true) = (&self.timing.releases, mutation.releases()) {
            self.replies.insert(place, Err(error.clone()));
            return Ok(());
        }
        match node.turn_away_suspended(self.locked.reads(), &by.actor).await {
            Err(suspended @ Error::Suspended { .. }) => {
                self.replies.insert(place, Err(suspended));
                return Ok(());
            }
            other => other?,
        }
        if let Some(call) = self.known.get(&by.call.stored()) {
            self.replies.insert(place, docket::repeated(call, by));
            return Ok(());
        }
        let change = match mutation.plan(node, at, self.locked.reads()).await {
            Ok(change) => change,
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            Err(error) => {
                self.replies.insert(place, Err(error));
                return Ok(());
            }
        };
        if let Some(index) = change.earlier {
            let done = Done { object: change.object, version: change.version, index, receipt: None };
            self.replies.insert(place, Ok(Reply::Done(done)));
            return Ok(());
        }
        let (draft, sees) = (plan::draft(mutation.kind(), by, &change), change.sees());
        let (mut writes, index) = (change.writes, self.locked.next_index());
        // At once, so that a later change of the same batch finds which records there are.
        for Keyed { call, object } in change.organisations.iter().chain(&change.incidents) {
            writes.push(Write::call(call, index, object, 1, at, None)?);
        }
        self.locked.write(writes).await?;
        let entered = Entered::Change { object: change.object.clone(), version: change.version };
        let facts = change.decided.as_ref().map(|decided| decided.facts.as_slice());
        let appended = self.locked.append(entered, &draft, facts, sees, at, &node.seal)?;
        self.writes.push(Write::call(&by.call, appended.index(), &change.object, change.version, at, None)?);
        self.due.extend(change.offers.into_iter().map(|offer| (by.clone(), offer)));
        let caused_at = appended.index();
        self.appended.push((Some(place), appended));
        self.issue(change.notices, caused_at).await
    }

    /// Issues notices, each of which has an entry of its own unless officers send it.
    async fn issue(&mut self, notices: Vec<Notice>, caused_at: u64) -> Result<()> {
        let mut writes = Vec::new();
        for notice in notices {
            let index = if notice.by_hand { caused_at } else { self.locked.next_index() };
            let notice = Notice { index, ..notice };
            writes.extend(notices::writes(&notice)?);
            if !notice.by_hand {
                let entered = Entered::Change { object: notice.id.to_string(), version: 0 };
                let (draft, at, seal) = (notices::draft(&notice), self.timing.at, &self.node.seal);
                let appended = self.locked.append(entered, &draft, None, Slots::HOLDER, at, seal)?;
                self.appended.push((None, appended));
            }
        }
        // At once, so that a later change of the same batch finds that they were issued; and all together, because a
        // withdrawal may issue many.
        Ok(self.locked.write(writes).await?)
    }

    /// Reads the facts of whatever is to be decided. What is the caller's own mistake is answered here and now.
    async fn gather<'w>(&mut self, works: &'w [Arc<Work>]) -> Result<Vec<(Matter<'w>, Gathered)>> {
        let at = self.timing.at;
        if let Err(error) = &self.timing.releases {
            // Not only permits: an answer that came while permits are stopped would be a denial.
            for (place, _) in works.iter().enumerate().filter(|(_, work)| !matches!(***work, Work::Change(_))) {
                self.node.metrics.clock_stops.inc();
                tracing::error!(%error, "an ask is turned away until the clocks agree: check time synchronisation");
                self.replies.insert(place, Err(error.clone()));
            }
            if !self.due.is_empty() {
                tracing::error!(%error, "what a duty asks for could not be offered");
            }
            return Ok(Vec::new());
        }
        let due = std::mem::take(&mut self.due);
        let docket = Docket::read(self.node, self.locked.reads(), works, &self.known, due, at).await?;
        self.replies.extend(docket.answered);
        if docket.matters.is_empty() {
            return Ok(Vec::new());
        }
        #[cfg(not(feature = "control-reads-before-lock"))]
        let reads = self.locked.reads();
        #[cfg(feature = "control-reads-before-lock")]
        let reads = &mut self.before;
        let gathered = gather(self.node, reads, docket.puts, at).await?;
        Ok(docket.matters.into_iter().zip(gathered).collect())
    }

    /// Decides, and appends an entry for an ask that is put for the first time, whatever was decided, and for an
    /// offer that is permitted.
    fn decide(&mut self, matter: Matter<'_>, gathered: &Gathered) -> Result<()> {
        let decision = decide(&gathered.facts, &gathered.agreements());
        if let Decision::Open(denial) = &decision
            && let Some(alarm) = denial.alarm()
        {
            if denial.clause_erred() {
                self.node.metrics.decision_faults.inc();
            }
            tracing::error!(holder = %gathered.facts.ask.holder, alarm, "an ask was denied by a fault, not by a rule");
        }
        match matter {
            Matter::Ask(place, asking) => self.ask(place, *asking, gathered, decision),
            Matter::Offer(place, offering) => self.offer(place, &offering, gathered, decision),
        }
    }

    fn ask(&mut self, place: usize, asking: Asking<'_>, gathered: &Gathered, decision: Decision) -> Result<()> {
        let (node, at) = (self.node, self.timing.at);
        let Asking { call, earlier, question, is_new, .. } = asking;
        if let Some(earlier) = &earlier {
            let (asked, permit) = asks::repeated(&self.locked, earlier, &question, gathered, decision);
            self.replies.insert(place, Ok(Reply::Asked(Box::new(asked), permit)));
            return Ok(());
        }
        self.writes.extend(events::asked(node, &question, gathered)?);
        let fulfilled = obligations::fulfilled(gathered, &decision);
        let decided = asks::first_time(node, &question, gathered, decision)?;
        let (released, dispose_by) = (decided.releasable.is_some(), decided.dispose_by);
        let asked =
            About { question: question.id.clone(), holder: question.holder.clone(), open_until: question.open_until };
        let disclosed = match &decided.releasable {
            Some(releasable) => disclosures::released(&question, releasable, self.locked.next_index(), at)?,
            None => Vec::new(),
        };
        let entered = Entered::Ask { asked, answer: decided.answer.clone(), releasable: decided.releasable };
        let (facts, sees) = (Some(decided.facts.as_slice()), asks::requester_sees(&gathered.facts.ask));
        let appended = self.locked.append(entered, &decided.draft, facts, sees, at, &node.seal)?;
        let (index, answer) = (appended.index(), Some(&decided.answer));
        self.writes.extend(disclosed);
        self.writes.push(Write::call(&call.by.call, index, question.id.as_str(), 0, at, answer)?);
        if is_new {
            self.writes.push(Write::question(&question, &node.seal)?);
        }
        self.writes.extend(decided.references);
        if released {
            self.writes.extend(events::released(&question, index, at, dispose_by)?);
            self.writes.extend(fulfilled);
        }
        match (is_new, released) {
            (true, false) => self.writes.push(nudges::asked(&question, gathered)?),
            (false, true) => self.writes.push(nudges::answered(&question.id, &question.holder)),
            _ => {}
        }
        self.appended.push((Some(place), appended));
        Ok(())
    }

    /// An offer is made if the gate permits the release. Content is not opened for it.
    fn offer(
        &mut self,
        place: Option<usize>,
        offering: &Offering,
        gathered: &Gathered,
        decision: Decision,
    ) -> Result<()> {
        let Decision::Permit(permit) = decision else {
            let problem = "the gate would not permit the release now: look at its preview";
            if let Some(place) = place {
                self.replies.insert(place, Err(Rejected::WrongState(problem).into()));
            } else {
                tracing::error!(holder = %gathered.facts.ask.holder, "what a duty asks for is not permitted");
            }
            return Ok(());
        };
        let (draft, facts) = offering.draft(gathered, &permit)?;
        let index = self.locked.next_index();
        let (event, writes) = offering.writes(gathered, &permit, index)?;
        let entered = Entered::Change { object: event.to_string(), version: 0 };
        let (at, seal) = (self.timing.at, &self.node.seal);
        let appended = self.locked.append(entered, &draft, Some(&facts), Slots::HOLDER, at, seal)?;
        if place.is_some() {
            self.writes.push(Write::call(&offering.by.call, index, event.as_str(), 0, at, None)?);
        }
        self.writes.extend(writes);
        self.appended.push((place, appended));
        Ok(())
    }

    /// Decides the asks for tables and themes on what is read for all of them together.
    async fn tell(&mut self, waiting: Vec<(usize, &SharingCall)>) -> Result<()> {
        if waiting.is_empty() {
            return Ok(());
        }
        if let Err(error) = &self.timing.releases {
            self.replies.extend(waiting.iter().map(|(place, _)| (*place, Err(error.clone()))));
            return Ok(());
        }
        let names: Vec<String> = waiting.iter().flat_map(|(_, call)| call.by.actor.suspendable()).collect();
        let standing = self.locked.reads().suspensions_by_name(&names).await?;
        let stock = Stock::read(self.node, self.locked.reads(), waiting.iter().map(|(_, call)| &call.ask)).await?;
        for (place, call) in waiting {
            let may = self.node.turn_away_by(&standing, &call.by.actor, &call.ask.holder);
            let reply = match may.and_then(|()| self.shared(call, Requester::from(&call.by.actor), &stock)) {
                Ok(read) => self.tell_one(place, call, read)?,
                Err(error) => Some(Err(error)),
            };
            self.replies.extend(reply.map(|reply| (place, reply)));
        }
        Ok(())
    }

    /// What an ask is decided on, unless its key was used for another.
    fn shared(&self, call: &SharingCall, requester: Requester, stock: &Stock) -> Result<sharing::Asked> {
        let SharingCall { by, ask } = call;
        if self.known.get(&by.call.stored()).is_some_and(|earlier| earlier.digest != by.call.digest) {
            return Err(Error::key_reused());
        }
        stock.asked(requester, by.call.request_id.clone(), ask, self.timing.at)
    }

    /// Appends an entry for an ask that is put for the first time, whatever was decided; answers one that is put again.
    fn tell_one(&mut self, place: usize, call: &SharingCall, read: sharing::Asked) -> Result<Option<Result<Reply>>> {
        let (seal, at, by) = (&self.node.seal, self.timing.at, &call.by);
        if let Some(earlier) = self.known.get(&by.call.stored()) {
            let (told, permit) = read.again(&self.locked, earlier);
            return Ok(Some(Ok(Reply::Told(Box::new(told), permit))));
        }
        let Decided { object, draft, facts, answer, shareable, writes } = read.first_time()?;
        let entered = Entered::Share { answer: answer.clone(), shareable };
        let appended = self.locked.append(entered, &draft, Some(&facts), Slots::REQUESTER, at, seal)?;
        self.writes.push(Write::call(&by.call, appended.index(), &object, 0, at, Some(&answer))?);
        self.writes.extend(writes);
        self.appended.push((Some(place), appended));
        Ok(None)
    }

    /// Makes the batch durable, and only then turns what was appended into answers.
    async fn commit(mut self, works: usize) -> Result<Vec<Result<Reply>>> {
        if !self.locked.is_empty() {
            self.locked.write(self.writes).await?;
            let (metrics, size) = (&self.node.metrics, self.locked.next_index());
            let commit = self.locked.commit(&self.node.keys, &self.node.seal).await?;
            metrics.append.took(self.held.elapsed());
            metrics.entries.set(i64::try_from(size).unwrap_or(i64::MAX));
            for (place, appended) in self.appended {
                let committed = commit.committed(appended)?;
                if let Entered::Ask { answer, .. } | Entered::Share { answer, .. } = committed.decided() {
                    metrics.asks.of([("outcome", answer.outcome())]).inc();
                }
                let reply = answered(committed);
                if let Some(place) = place {
                    self.replies.insert(place, Ok(reply));
                }
            }
        }
        let missing = || Err(Error::Internal("a call in a batch had no answer"));
        Ok((0..works).map(|place| self.replies.remove(&place).unwrap_or_else(missing)).collect())
    }
}

/// The answer to what was committed.
fn answered(committed: Committed<Entered>) -> Reply {
    let (index, receipt) = (committed.index(), committed.receipt().cloned());
    if let Entered::Share { answer, .. } = committed.decided() {
        let told = Told { outcome: answer.clone().into(), index, receipt };
        let (shareable, ()) = committed.split(|entered| match entered {
            Entered::Share { shareable, .. } => (shareable, ()),
            Entered::Ask { .. } | Entered::Change { .. } => (None, ()),
        });
        return Reply::Told(Box::new(told), shareable);
    }
    let (releasable, entered) = committed.split(|entered| match entered {
        Entered::Ask { asked, answer, releasable } => (releasable, Entered::Ask { asked, answer, releasable: None }),
        other => (None, other),
    });
    match entered {
        Entered::Change { object, version } => Reply::Done(Done { object, version, index, receipt }),
        Entered::Ask { asked: About { question, holder, open_until }, answer, .. } => {
            let asked = Asked { question, holder, open_until, outcome: answer.into(), index, receipt };
            Reply::Asked(Box::new(asked), releasable)
        }
        Entered::Share { answer, .. } => Reply::Told(Box::new(Told { outcome: answer.into(), index, receipt }), None),
    }
}
