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

use super::asks::{AskCall, Asked};
use super::offers::OfferCall;
use super::plan::{Done, Mutation};
use super::{Error, Node, Result, gate};

/// How many calls may wait.
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
    pub(super) fn key(&self) -> String {
        match self {
            Self::Change(mutation) => mutation.by().call.stored(),
            Self::Ask(ask) => ask.by.call.stored(),
            Self::Offer(offer) => offer.by.call.stored(),
        }
    }
}

/// What came of it.
pub(super) enum Reply {
    Done(Done),
    Asked(Box<Asked>),
}

struct Item {
    work: Arc<Work>,
    reply: oneshot::Sender<Result<Reply>>,
}

/// The way into the batching task.
#[derive(Debug, Clone)]
pub(super) struct Queue(mpsc::Sender<Item>);

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item(..)")
    }
}

impl Queue {
    /// Starts the task.
    pub(super) fn start(node: Arc<Node>) -> Self {
        let (sender, receiver) = mpsc::channel(MOST_QUEUED);
        tokio::spawn(drain(node, receiver));
        Self(sender)
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    pub(super) async fn change(&self, mutation: Box<dyn Mutation>) -> Result<Done> {
        match self.put(Work::Change(mutation)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(_) => Err(Error::Internal("a change was answered as an ask")),
        }
    }

    pub(super) async fn offer(&self, offer: Box<OfferCall>) -> Result<Done> {
        match self.put(Work::Offer(offer)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(_) => Err(Error::Internal("an offer was answered as an ask")),
        }
    }

    pub(super) async fn ask(&self, ask: Box<AskCall>) -> Result<Asked> {
        match self.put(Work::Ask(ask)).await? {
            Reply::Asked(asked) => Ok(*asked),
            Reply::Done(_) => Err(Error::Internal("an ask was answered as a change")),
        }
    }

    async fn put(&self, work: Work) -> Result<Reply> {
        let (reply, answer) = oneshot::channel();
        let item = Item { work: Arc::new(work), reply };
        self.0.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Internal("the batching task has ended"),
        })?;
        answer.await.map_err(|_| Error::Internal("a batch ended without an answer"))?
    }
}

async fn drain(node: Arc<Node>, mut queue: mpsc::Receiver<Item>) {
    let mut waiting: VecDeque<Item> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match queue.recv().await {
                Some(item) => waiting.push_back(item),
                None => return,
            }
        }
        while waiting.len() < MOST_AT_ONCE
            && let Ok(item) = queue.try_recv()
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
    for (item, reply) in items.into_iter().zip(replies) {
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
