//! One task through which every change and every ask goes.
//!
//! It takes whatever has queued up, without waiting for more, takes the ledger's head once, does the changes (those
//! that take a permission away first), decides the asks, appends one entry each, and commits once. It runs apart
//! from its callers: a caller that goes away takes nothing with it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::store;

use crate::release::{self, Releasable};
use crate::store::Committed;

use super::asks::{AskCall, Asked, Outcome};
use super::offers::OfferCall;
use super::plan::{By, Done, Mutation};
use super::{Error, Node, Result, gate};

/// How many calls may wait in each lane.
const MOST_QUEUED: usize = 1_024;
/// How many calls go into one transaction.
const MOST_AT_ONCE: usize = 256;

/// What is to be done.
pub(super) enum Work {
    Change(Box<dyn Mutation>),
    Ask(Box<AskCall>),
    Offer(Box<OfferCall>),
}

impl Work {
    pub(super) fn by(&self) -> &By {
        match self {
            Self::Change(mutation) => mutation.by(),
            Self::Ask(ask) => &ask.by,
            Self::Offer(offer) => &offer.by,
        }
    }

    pub(super) fn key(&self) -> String {
        self.by().call.stored()
    }
}

/// What came of it.
pub(super) enum Reply {
    Done(Done),
    /// With what may be opened for it, if anything.
    Asked(Box<Asked>, Option<Committed<Releasable>>),
}

impl Reply {
    fn permit(&self) -> Option<&Committed<Releasable>> {
        match self {
            Self::Asked(_, permit) => permit.as_ref(),
            Self::Done(_) => None,
        }
    }
}

struct Item {
    work: Arc<Work>,
    reply: oneshot::Sender<Result<Reply>>,
}

/// The way into the batching task: a lane for what takes a permission away, and one for everything else, so that no
/// number of asks keeps a withdrawal out of the next batch.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    stops: mpsc::Sender<Item>,
    others: mpsc::Sender<Item>,
}

/// Where the batching task takes from.
struct Lanes {
    stops: mpsc::Receiver<Item>,
    others: mpsc::Receiver<Item>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item(..)")
    }
}

impl Queue {
    /// Starts the task.
    pub(super) fn start(node: Arc<Node>) -> Self {
        let (stops, next_stop) = mpsc::channel(MOST_QUEUED);
        let (others, next_other) = mpsc::channel(MOST_QUEUED);
        tokio::spawn(drain(node, Lanes { stops: next_stop, others: next_other }));
        Self { stops, others }
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        [&self.stops, &self.others].iter().map(|lane| lane.max_capacity() - lane.capacity()).sum()
    }

    pub(super) async fn change(&self, mutation: Box<dyn Mutation>) -> Result<Done> {
        match self.put(Work::Change(mutation)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(..) => Err(Error::Internal("a change was answered as an ask")),
        }
    }

    pub(super) async fn offer(&self, offer: Box<OfferCall>) -> Result<Done> {
        match self.put(Work::Offer(offer)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(..) => Err(Error::Internal("an offer was answered as an ask")),
        }
    }

    pub(super) async fn ask(&self, ask: Box<AskCall>) -> Result<Asked> {
        match self.put(Work::Ask(ask)).await? {
            Reply::Asked(asked, _) => Ok(*asked),
            Reply::Done(_) => Err(Error::Internal("an ask was answered as a change")),
        }
    }

    async fn put(&self, work: Work) -> Result<Reply> {
        let (reply, answer) = oneshot::channel();
        let stops = matches!(&work, Work::Change(mutation) if mutation.stops());
        let lane = if stops { &self.stops } else { &self.others };
        let item = Item { work: Arc::new(work), reply };
        lane.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Internal("the batching task has ended"),
        })?;
        answer.await.map_err(|_| Error::Internal("a batch ended without an answer"))?
    }
}

impl Lanes {
    /// The next call, once there is one: what stops something first. None once nobody can put any more.
    async fn next(&mut self) -> Option<Item> {
        tokio::select! {
            biased;
            Some(item) = self.stops.recv() => Some(item),
            Some(item) = self.others.recv() => Some(item),
            else => None,
        }
    }

    /// A call that waits already, in the same order.
    fn waiting(&mut self) -> Option<Item> {
        self.stops.try_recv().or_else(|_| self.others.try_recv()).ok()
    }
}

async fn drain(node: Arc<Node>, mut lanes: Lanes) {
    let mut waiting: VecDeque<Item> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match lanes.next().await {
                Some(item) => waiting.push_back(item),
                None => return,
            }
        }
        while waiting.len() < MOST_AT_ONCE
            && let Some(item) = lanes.waiting()
        {
            waiting.push_back(item);
        }
        // Of calls with the same key, the first goes now; the others find its entry in the next batch.
        let mut keys = BTreeSet::new();
        let (now, later): (Vec<Item>, Vec<Item>) = waiting.drain(..).partition(|item| keys.insert(item.work.key()));
        waiting.extend(later);
        process(&node, now).await;
    }
}

/// Does one batch. If it fails as a whole, its items are done singly, so that one cannot spoil the others; an item
/// whose commit may have gone through finds its entry then.
async fn process(node: &Arc<Node>, items: Vec<Item>) {
    let works: Vec<Arc<Work>> = items.iter().map(|item| Arc::clone(&item.work)).collect();
    let replies = match apart(node, works).await {
        Ok(replies) => replies,
        Err(error) => {
            tracing::warn!(%error, calls = items.len(), "a batch failed and is done call by call");
            singly(node, &items).await
        }
    };
    // The next batch need not wait for what this one opens.
    tokio::spawn(deliver(Arc::clone(node), items, replies));
}

/// Opens what the batch released, in one reading, and answers its callers.
async fn deliver(node: Arc<Node>, items: Vec<Item>, replies: Vec<Result<Reply>>) {
    let permits: Vec<_> = replies.iter().flatten().filter_map(Reply::permit).collect();
    let opened = release::open(&node.store, &node.seal, &permits).await.map_err(Error::from);
    let mut opened = opened.map(Vec::into_iter);
    for (item, reply) in items.into_iter().zip(replies) {
        let reply = match (reply, &mut opened) {
            (Ok(Reply::Asked(mut asked, Some(_))), Ok(opened)) => {
                let incidents = opened.next().unwrap_or_else(|| Ok(Vec::new())).map_err(Error::from);
                incidents.map(|incidents| {
                    asked.outcome = Outcome::Released(Some(incidents));
                    Reply::Asked(asked, None)
                })
            }
            // The permit stands: asking again with the same request id opens it later.
            (Ok(Reply::Asked(_, Some(_))), Err(error)) => Err(error.clone()),
            (reply, _) => reply,
        };
        // A caller that has gone away is not told; its entry stands, and a repeat finds it.
        drop(item.reply.send(reply));
    }
}

/// How many calls in a row may fail by the store until the rest is told so without a try.
const MOST_FAILURES: usize = 2;

async fn singly(node: &Arc<Node>, items: &[Item]) -> Vec<Result<Reply>> {
    let mut replies: Vec<Result<Reply>> = Vec::new();
    let mut failures = 0;
    for item in items {
        let reply = match replies.last() {
            Some(Err(error)) if failures >= MOST_FAILURES => Err(error.clone()),
            _ => match apart(node, vec![Arc::clone(&item.work)]).await {
                Ok(mut single) => single.pop().unwrap_or(Err(Error::Internal("a batch of one had no answer"))),
                Err(error) => Err(error),
            },
        };
        failures = if matches!(reply, Err(Error::Store(_))) { failures + 1 } else { 0 };
        replies.push(reply);
    }
    replies
}

/// How long a batch may take. PostgreSQL ends a statement after 10 s, so an answer that takes longer is none that comes.
const LONGEST: Duration = Duration::from_secs(20);

/// Runs a batch in a task of its own, so that neither a panic nor a database that fell silent leaves the queue without a
/// consumer. A batch that is given up goes on by itself: it must not be dropped halfway.
async fn apart(node: &Arc<Node>, works: Vec<Arc<Work>>) -> Result<Vec<Result<Reply>>> {
    let node = Arc::clone(node);
    let store = node.store.clone();
    let batch = tokio::spawn(async move { gate::pass(&node, &works).await });
    let Ok(ended) = timeout(LONGEST, batch).await else {
        store.renew_connections();
        return Err(store::Error::Silent(LONGEST.as_secs()).into());
    };
    ended.unwrap_or(Err(Error::Internal("a batch was stopped by a panic")))
}
