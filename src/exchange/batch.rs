//! One task through which every change and every ask goes.
//!
//! It takes what has queued up (`queue` says in which order), without waiting for more, takes the ledger's head once,
//! does the changes (those that take a permission away first), decides the asks, appends one entry each, and commits
//! once. It runs apart from its callers: a caller that goes away takes nothing with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::release::{self, Releasable, Shareable};
use crate::store::{self, Committed};
use crate::telemetry::Metrics;

use super::asks::{AskCall, Asked, Outcome};
use super::health::Health;
use super::offers::OfferCall;
use super::plan::{By, Done, Mutation};
use super::queue::{ASK, CHANGE, Full, Place, Waiting};
use super::sharing::{SharingCall, Telling, Told};
use super::{Error, Node, Result, gate};

/// What is to be done.
pub(super) enum Work {
    Change(Box<dyn Mutation>),
    Ask(Box<AskCall>),
    Offer(Box<OfferCall>),
    Share(Box<SharingCall>),
}

impl Work {
    pub(super) fn key(&self) -> String {
        self.by().call.stored()
    }

    /// What it is called in metrics.
    const WORDS: [&str; 5] = ["stop", "change", "ask", "offer", "share"];

    fn word(&self) -> &'static str {
        match self {
            Self::Change(mutation) if mutation.stops() => "stop",
            Self::Change(_) => "change",
            Self::Ask(_) => "ask",
            Self::Offer(_) => "offer",
            Self::Share(_) => "share",
        }
    }

    pub(super) fn by(&self) -> &By {
        match self {
            Self::Change(mutation) => mutation.by(),
            Self::Ask(ask) => &ask.by,
            Self::Offer(offer) => &offer.by,
            Self::Share(call) => &call.by,
        }
    }

    fn place(&self) -> Place {
        let (stops, bulk, takes) = match self {
            Self::Change(mutation) => (mutation.stops(), mutation.is_bulk(), CHANGE),
            // What a theme rests on is counted anew, some 200 rows.
            Self::Share(call) if call.ask.is_for_theme() => (false, false, CHANGE),
            Self::Ask(_) | Self::Offer(_) | Self::Share(_) => (false, false, ASK),
        };
        Place { agency: self.by().actor.agency.clone(), key: self.key(), stops, bulk, takes }
    }
}

/// What came of it.
pub(super) enum Reply {
    Done(Done),
    /// With what may be opened for it, if anything.
    Asked(Box<Asked>, Option<Committed<Releasable>>),
    /// With the table or the theme that may be shared, if any.
    Told(Box<Told>, Option<Committed<Shareable>>),
}

impl Reply {
    fn permit(&self) -> Option<&Committed<Releasable>> {
        match self {
            Self::Asked(_, permit) => permit.as_ref(),
            Self::Done(_) | Self::Told(..) => None,
        }
    }
}

struct Item {
    work: Arc<Work>,
    reply: oneshot::Sender<Result<Reply>>,
    queued: Instant,
}

impl Item {
    /// A caller that has gone away is not told; its entry stands, and a repeat finds it. How long it took is noted all the
    /// same, and of a call that failed, too: nobody else sees that each takes longer than its caller waits.
    fn answer(self, reply: Result<Reply>, metrics: &Metrics) {
        metrics.calls.of([("kind", self.work.word())]).took(self.queued.elapsed());
        self.turn_away(reply);
    }

    /// Answers without a try.
    fn turn_away(self, reply: Result<Reply>) {
        drop(self.reply.send(reply));
    }
}

/// The way into the batching task.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    waiting: Arc<Mutex<Waiting<Item>>>,
    /// Rung whenever there is a call to do; the task ends when nobody can ring any more.
    bell: mpsc::Sender<()>,
    health: Health,
    /// Told of each commit.
    committed: watch::Sender<()>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item(..)")
    }
}

impl Queue {
    /// Starts the task.
    pub(super) fn start(node: Arc<Node>) -> Self {
        let (bell, rung) = mpsc::channel(1);
        let waiting = Arc::new(Mutex::new(Waiting::new()));
        let (health, committed) = (Health::new(), watch::Sender::new(()));
        let metrics = Arc::clone(&node.metrics);
        // So that the first withdrawal, which may be the only one, is an increase that somebody sees.
        for word in Work::WORDS {
            metrics.calls.of([("kind", word)]);
        }
        for (agency, _) in node.known_agencies() {
            metrics.overloads.with(vec![("agency", agency.to_string().into())]);
        }
        tokio::spawn(drain(node, Arc::clone(&waiting), rung, health.clone(), committed.clone()));
        Self { waiting, bell, health, committed, metrics }
    }

    pub(super) fn commits(&self) -> watch::Receiver<()> {
        self.committed.subscribe()
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        locked(&self.waiting).len()
    }

    pub(super) async fn change(&self, mutation: Box<dyn Mutation>) -> Result<Done> {
        match self.put(Work::Change(mutation)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(..) | Reply::Told(..) => Err(Error::Internal("a change was answered as an ask")),
        }
    }

    pub(super) async fn offer(&self, offer: Box<OfferCall>) -> Result<Done> {
        match self.put(Work::Offer(offer)).await? {
            Reply::Done(done) => Ok(done),
            Reply::Asked(..) | Reply::Told(..) => Err(Error::Internal("an offer was answered as an ask")),
        }
    }

    pub(super) async fn ask(&self, ask: Box<AskCall>) -> Result<Asked> {
        match self.put(Work::Ask(ask)).await? {
            Reply::Asked(asked, _) => Ok(*asked),
            Reply::Done(_) | Reply::Told(..) => Err(Error::Internal("an ask was answered as a change")),
        }
    }

    pub(super) async fn ask_to_share(&self, call: Box<SharingCall>) -> Result<Told> {
        match self.put(Work::Share(call)).await? {
            Reply::Told(told, _) => Ok(*told),
            Reply::Done(_) | Reply::Asked(..) => Err(Error::Internal("an ask for a table was answered as another")),
        }
    }

    async fn put(&self, work: Work) -> Result<Reply> {
        let (reply, answer) = oneshot::channel();
        let (agency, place) = (work.by().actor.agency.clone(), work.place());
        let item = Item { work: Arc::new(work), reply, queued: Instant::now() };
        if !place.stops
            && let Some(fault) = self.health.fault()
        {
            return Err(fault);
        }
        let offered = locked(&self.waiting).offer(place, item);
        offered.map_err(|Full| {
            self.metrics.overloads.with(vec![("agency", agency.to_string().into())]).inc();
            Error::Busy
        })?;
        // One ring is enough for all that wait.
        if let Err(mpsc::error::TrySendError::Closed(())) = self.bell.try_send(()) {
            return Err(Error::Internal("the batching task has ended"));
        }
        answer.await.map_err(|_| Error::Internal("a batch ended without an answer"))?
    }
}

/// Nothing panics while it is held.
fn locked(waiting: &Mutex<Waiting<Item>>) -> MutexGuard<'_, Waiting<Item>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn drain(
    node: Arc<Node>,
    waiting: Arc<Mutex<Waiting<Item>>>,
    mut rung: mpsc::Receiver<()>,
    health: Health,
    committed: watch::Sender<()>,
) {
    while rung.recv().await.is_some() {
        loop {
            let batch = locked(&waiting).next_batch();
            if batch.is_empty() {
                break;
            }
            process(&node, &health, batch).await;
            // Whether anything was committed does not matter: whoever is told looks.
            committed.send_replace(());
        }
    }
}

/// Does one batch. If it fails as a whole, its items are done singly, so that one cannot spoil the others; an item
/// whose commit may have gone through finds its entry then.
async fn process(node: &Arc<Node>, health: &Health, items: Vec<Item>) {
    // Whether a database that takes nothing takes something again, a probe finds out, by a commit.
    if health.fault().is_none()
        && let Err(low) = node.store.check_room()
    {
        health.failed(&Arc::new(low));
    }
    let items = turn_away(health, items);
    if items.is_empty() {
        return;
    }
    node.metrics.batch_calls.were(items.len());
    let works: Vec<Arc<Work>> = items.iter().map(|item| Arc::clone(&item.work)).collect();
    let tried = apart(node, works).await;
    if tried.is_err() {
        node.metrics.batch_failures.inc();
    }
    let replies = match tried {
        Ok(replies) => replies,
        // Nothing was begun, and each of them would wait as long for nothing.
        Err(Error::Store(error)) if error.is_before_lock() => {
            items.iter().map(|_| Err(Error::Store(Arc::clone(&error)))).collect()
        }
        Err(error) => {
            tracing::warn!(%error, calls = items.len(), "a batch failed and is done call by call");
            singly(node, &items).await
        }
    };
    if let Some(Err(Error::Store(error))) = replies.last()
        && !error.is_before_lock()
    {
        // Whether a lock that was not had in time can be had at all, the next probe finds out.
        health.failed(error);
    }
    if replies.iter().any(Result::is_ok) {
        health.works();
    }
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
            (Ok(Reply::Asked(mut asked, Some(_))), Ok(opened)) => match opened.next() {
                Some(Ok(incidents)) => {
                    asked.outcome = Outcome::Released(Some(incidents));
                    Ok(Reply::Asked(asked, None))
                }
                Some(Err(release::Error::Erased)) => Ok(Reply::Asked(asked, None)),
                Some(Err(error)) => Err(error.into()),
                None => Err(Error::Internal("a permit was not opened")),
            },
            (Ok(Reply::Told(mut told, Some(permit))), _) => {
                let (shared, obliged) = release::share(&permit);
                if let Telling::Shared { content, obligations, .. } = &mut told.outcome {
                    (*content, *obligations) = (Some(shared), obliged);
                }
                Ok(Reply::Told(told, None))
            }
            // The permit stands: asking again with the same request id opens it later.
            (Ok(Reply::Asked(_, Some(_))), Err(error)) => Err(error.clone()),
            (reply, _) => reply,
        };
        item.answer(reply, &node.metrics);
    }
}

/// While the database takes no commits, or has little room left for them, only what takes a permission away is tried.
fn turn_away(health: &Health, items: Vec<Item>) -> Vec<Item> {
    let Some(fault) = health.fault() else { return items };
    let (now, away): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.work.place().stops);
    for item in away {
        item.turn_away(Err(fault.clone()));
    }
    now
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

/// How long a batch, or a probe, may take. PostgreSQL ends a statement after 10 s, so an answer that takes longer is none
/// that comes.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

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
