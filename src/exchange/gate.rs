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

use crate::decision::{Decision, decide};
use crate::domain::{AgencyId, Instant, Question};
use crate::ledger::Slots;
use crate::release::Releasable;
use crate::store::{Answer, Appended, Committed, KnownCall, Locked, Write};

use super::asks::{self, Asked, Outcome};
use super::batch::{Reply, Work};
use super::gather::{Gathered, gather};
use super::node::Timing;
use super::plan::{self, Done, Mutation};
use super::{Error, Node, Result};

/// Takes a batch through the gate. One answer for each of its works, in their order.
///
/// An error here is the whole batch's: nothing of it was done, or it is not known whether it was.
pub(super) async fn pass(node: &Node, works: &[Arc<Work>]) -> Result<Vec<Result<Reply>>> {
    let mut passage = Passage::begin(node, works).await?;
    // Whatever takes a permission away comes before all else, then the other changes, then the asks.
    for (place, mutation) in changes(works) {
        passage.change(place, mutation).await?;
    }
    for (place, gathered) in passage.gather(works).await? {
        passage.ask(place, gathered)?;
    }
    passage.commit(works.len()).await
}

/// One batch between lock and commit.
struct Passage<'a> {
    node: &'a Node,
    locked: Locked,
    timing: Timing,
    known: BTreeMap<String, KnownCall>,
    appended: Vec<(usize, Appended<Entered>)>,
    writes: Vec<Write>,
    replies: HashMap<usize, Result<Reply>>,
}

/// What an entry was appended for.
#[derive(Debug)]
enum Entered {
    Change { object: String, version: i64 },
    Ask { asked: About, answer: Answer, releasable: Option<Releasable> },
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
            Work::Ask(_) => None,
        })
        .collect();
    changes.sort_by_key(|(_, mutation)| !mutation.stops());
    changes
}

impl<'a> Passage<'a> {
    /// Takes the ledger's head, then finds out which of the calls were done before.
    async fn begin(node: &'a Node, works: &[Arc<Work>]) -> Result<Self> {
        let mut locked = node.store.lock().await?;
        let timing = node.timing(&locked);
        let keys: Vec<String> = works.iter().map(|work| work.key()).collect();
        let known = locked.reads().calls(&keys).await?;
        let (appended, writes, replies) = (Vec::new(), Vec::new(), HashMap::new());
        Ok(Self { node, locked, timing, known, appended, writes, replies })
    }

    /// Works a change out, writes it, and appends its entry. A call that is turned away writes nothing.
    async fn change(&mut self, place: usize, mutation: &dyn Mutation) -> Result<()> {
        let (node, at, by) = (self.node, self.timing.at, mutation.by());
        if let Some(call) = self.known.get(&by.call.stored()) {
            self.replies.insert(place, repeated_change(call, by));
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
        let draft = plan::draft(mutation.kind(), by, &change);
        self.locked.write(change.writes).await?;
        let entered = Entered::Change { object: change.object.clone(), version: change.version };
        let appended = self.locked.append(entered, &draft, None, Slots::ACT, at, &node.seal)?;
        self.writes.push(Write::call(&by.call, appended.index(), &change.object, change.version, at, None)?);
        self.appended.push((place, appended));
        Ok(())
    }

    /// Reads the facts of every ask. What is the caller's own mistake is answered here and now.
    async fn gather<'w>(&mut self, works: &'w [Arc<Work>]) -> Result<Vec<(usize, Gathered<'w>)>> {
        let mut calls = Vec::new();
        for (place, work) in works.iter().enumerate() {
            if let Work::Ask(call) = &**work {
                calls.push((place, &**call));
            }
        }
        if let Err(error) = &self.timing.releases {
            // Not only permits: an answer that came while permits are stopped would be a denial.
            for (place, _) in calls.drain(..) {
                tracing::error!(%error, "an ask is turned away until the clocks agree: check time synchronisation");
                self.replies.insert(place, Err(error.clone()));
            }
        }
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for (place, gathered) in gather(self.node, self.locked.reads(), &calls, &self.known, self.timing.at).await? {
            match gathered {
                Ok(gathered) => all.push((place, gathered)),
                Err(error) => drop(self.replies.insert(place, Err(error))),
            }
        }
        Ok(all)
    }

    /// Decides an ask, and appends its entry if it is put for the first time.
    fn ask(&mut self, place: usize, gathered: Gathered<'_>) -> Result<()> {
        let (node, at) = (self.node, self.timing.at);
        let decision = decide(&gathered.facts, &gathered.agreements());
        if let Decision::Open(denial) = &decision
            && let Some(alarm) = denial.alarm()
        {
            tracing::error!(holder = %gathered.facts.ask.holder, alarm, "an ask was denied by a fault, not by a rule");
        }
        if let Some(call) = &gathered.earlier {
            let asked = asks::repeated(&self.locked, call, &gathered, decision);
            self.replies.insert(place, Ok(Reply::Asked(Box::new(asked))));
            return Ok(());
        }
        let decided = asks::first_time(node, &gathered, decision)?;
        let Gathered { call, question, is_new, .. } = gathered;
        let (id, holder) = (question.id.clone(), question.holder.clone());
        let entered = Entered::Ask {
            asked: About { question: id.clone(), holder, open_until: question.open_until },
            answer: decided.answer.clone(),
            releasable: decided.releasable,
        };
        let facts = Some(decided.facts.as_slice());
        let appended = self.locked.append(entered, &decided.draft, facts, Slots::REQUESTER, at, &node.seal)?;
        let answer = Some(&decided.answer);
        self.writes.push(Write::call(&call.by.call, appended.index(), id.as_str(), 0, at, answer)?);
        if is_new {
            self.writes.push(Write::question(&question, &node.seal)?);
        }
        self.writes.extend(decided.references);
        self.appended.push((place, appended));
        Ok(())
    }

    /// Makes the batch durable, and only then turns what was appended into answers.
    async fn commit(mut self, works: usize) -> Result<Vec<Result<Reply>>> {
        if !self.locked.is_empty() {
            self.locked.write(self.writes).await?;
            let commit = self.locked.commit(&self.node.key).await?;
            for (place, appended) in self.appended {
                self.replies.insert(place, Ok(answered(commit.committed(appended)?)));
            }
        }
        let missing = || Err(Error::Internal("a call in a batch had no answer"));
        Ok((0..works).map(|place| self.replies.remove(&place).unwrap_or_else(missing)).collect())
    }
}

/// The answer to what was committed.
fn answered(committed: Committed<Entered>) -> Reply {
    let (index, receipt) = (committed.index(), committed.receipt().cloned());
    let (releasable, entered) = committed.split(|entered| match entered {
        Entered::Ask { asked, answer, releasable } => (releasable, Entered::Ask { asked, answer, releasable: None }),
        change @ Entered::Change { .. } => (None, change),
    });
    match entered {
        Entered::Change { object, version } => Reply::Done(Done { object, version, index, receipt }),
        Entered::Ask { asked: About { question, holder, open_until }, answer, .. } => {
            let outcome = match answer {
                Answer::Released { .. } => Outcome::Released(releasable),
                Answer::Open => Outcome::Open,
                Answer::NotCovered { reason, explanation } => Outcome::NotCovered { reason, explanation },
            };
            Reply::Asked(Box::new(Asked { question, holder, open_until, outcome, index, receipt }))
        }
    }
}

/// A change that was done before: the same result, or an error if it was another change.
fn repeated_change(call: &KnownCall, by: &plan::By) -> Result<Reply> {
    if call.digest != by.call.digest {
        return Err(Error::KeyReused);
    }
    Ok(Reply::Done(Done { object: call.object.clone(), version: call.version, index: call.index, receipt: None }))
}
