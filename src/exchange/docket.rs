//! What a batch has to decide: the asks that were put and what is to be offered, each with its question.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Actor, Instant, Rejected, Requester};
use crate::store::{KnownCall, Reads};

use super::asks::{self, AskCall, Asking};
use super::batch::{Reply, Work};
use super::gather::Put;
use super::offers::{OfferFor, Offering};
use super::plan::{By, Context, Done};
use super::{Error, Node, Result};

/// What is to be decided.
pub(super) enum Matter<'w> {
    /// At its place in the batch.
    Ask(usize, Box<Asking<'w>>),
    /// Without a place, nobody waits for it: a duty gave rise to it.
    Offer(Option<usize>, Box<Offering>),
}

/// The matters of a batch, each with the question to gather facts for, and the calls that need no decision.
#[derive(Default)]
pub(super) struct Docket<'w> {
    pub(super) matters: Vec<Matter<'w>>,
    pub(super) puts: Vec<Put>,
    pub(super) answered: Vec<(usize, Result<Reply>)>,
}

impl<'w> Docket<'w> {
    /// Reads the questions. `due` is what changes of the same batch give rise to offering.
    pub(super) async fn read(
        node: &Node,
        reads: &mut Reads,
        works: &'w [Arc<Work>],
        known: &BTreeMap<String, KnownCall>,
        due: Vec<(By, OfferFor)>,
        at: Instant,
    ) -> Result<Self> {
        let (mut calls, mut offers) = (Vec::new(), Vec::new());
        for (place, work) in works.iter().enumerate() {
            match &**work {
                Work::Change(_) | Work::Share(_) => {}
                Work::Ask(call) => calls.push((place, &**call)),
                Work::Offer(call) => offers.push((Some(place), call.by.clone(), call.offer.clone())),
            }
        }
        offers.extend(due.into_iter().map(|(by, offer)| (None, by, offer)));
        let mut docket = Self::default();
        docket.asks(node, reads, &calls, known, at).await?;
        for (place, by, offer) in offers {
            docket
                .offer(Context { node, actor: &by.actor, call: &by.call, at }, reads, place, &by, &offer, known)
                .await?;
        }
        docket.turn_away_suspended(node, reads, works).await?;
        Ok(docket)
    }

    /// Turns away whoever is suspended, and what would reach somebody who is, by what now stands under the lock.
    async fn turn_away_suspended(&mut self, node: &Node, reads: &mut Reads, works: &[Arc<Work>]) -> Result<()> {
        let decided = works.iter().enumerate().filter(|(_, work)| !matches!(***work, Work::Change(_) | Work::Share(_)));
        let callers: BTreeMap<usize, &Actor> = decided.map(|(place, work)| (place, &work.by().actor)).collect();
        if callers.is_empty() && self.puts.is_empty() {
            return Ok(());
        }
        let receivers = self.puts.iter().flat_map(|put| put.ask.requester.suspendable());
        let names: Vec<String> = callers.values().flat_map(|caller| caller.suspendable()).chain(receivers).collect();
        let standing = reads.suspensions_by_name(&names).await?;
        let turned_away = |place: usize| {
            let caller: &Actor = callers.get(&place)?;
            Some(node.suspended(&Requester::from(caller), standing.of_caller(caller, !node.holds(&caller.agency))?))
        };
        for (place, reply) in &mut self.answered {
            if let Some(error) = turned_away(*place) {
                *reply = Err(error);
            }
        }
        let puts = std::mem::take(&mut self.puts);
        for (matter, put) in std::mem::take(&mut self.matters).into_iter().zip(puts) {
            let (place, is_ask) = match &matter {
                Matter::Ask(place, _) => (Some(*place), true),
                Matter::Offer(place, _) => (*place, false),
            };
            let (holder, receiver) = (&put.ask.holder, &put.ask.requester);
            let stopped = standing.between(holder, receiver).map(|by| {
                let offered = || Rejected::WrongState("whoever would receive it is suspended").into();
                if is_ask { node.suspended(receiver, by) } else { offered() }
            });
            match (place.and_then(turned_away).or(stopped), place) {
                (None, _) => {
                    self.matters.push(matter);
                    self.puts.push(put);
                }
                (Some(error), Some(place)) => self.answered.push((place, Err(error))),
                (Some(error), None) => tracing::error!(%error, "what a duty asks for could not be offered"),
            }
        }
        Ok(())
    }

    async fn asks(
        &mut self,
        node: &Node,
        reads: &mut Reads,
        calls: &[(usize, &'w AskCall)],
        known: &BTreeMap<String, KnownCall>,
        at: Instant,
    ) -> Result<()> {
        let only = calls.iter().map(|(_, call)| *call);
        let questions = asks::stored_questions(node, reads, only, known).await?;
        for (place, call) in calls {
            match Asking::new(call, known, &questions, at) {
                Ok(asking) => {
                    self.puts.push(asking.put());
                    self.matters.push(Matter::Ask(*place, Box::new(asking)));
                }
                Err(error) => self.answered.push((*place, Err(error))),
            }
        }
        Ok(())
    }

    async fn offer(
        &mut self,
        context: Context<'_>,
        reads: &mut Reads,
        place: Option<usize>,
        by: &By,
        offer: &OfferFor,
        known: &BTreeMap<String, KnownCall>,
    ) -> Result<()> {
        if let Some(place) = place
            && let Some(call) = known.get(&by.call.stored())
        {
            self.answered.push((place, repeated(call, by)));
            return Ok(());
        }
        match (Offering::read(context, reads, by, offer).await, place) {
            (Ok((offering, put)), place) => {
                self.puts.push(put);
                self.matters.push(Matter::Offer(place, Box::new(offering)));
            }
            (Err(Error::Store(error)), _) => return Err(Error::Store(error)),
            (Err(error), Some(place)) => self.answered.push((place, Err(error))),
            (Err(error), None) => tracing::error!(%error, "what a duty asks for could not be offered"),
        }
        Ok(())
    }
}

/// A change that was done before: the same result, or an error if it was another change.
pub(super) fn repeated(call: &KnownCall, by: &By) -> Result<Reply> {
    if call.digest != by.call.digest {
        return Err(Error::key_reused());
    }
    Ok(Reply::Done(Done { object: call.object.clone(), version: call.version, index: call.index, receipt: None }))
}
