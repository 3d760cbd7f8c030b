//! Fillers: entries that say nothing and have no party, so that an observer who sees how far the ledger has grown does not
//! see what was done in it.
//!
//! At the beginning of each tick, before anything else of it, the ledger is brought up to what it grows by in a tick
//! anyhow. Whoever appends first does it, under the lock and by what the ledger holds, so it is done once among replicas;
//! a task does it where nobody calls. What a crash or an outage kept from being done is done the next time.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Instant, Made, Padding};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::seal::{self, Seal};
use crate::store::{Locked, Store};

use super::{Error, Exchange, Node, Result};

/// Appends what the ledger lacks by now. It is committed with whatever else the transaction appends.
///
/// INVARIANT: fillers bear the time at which the tick begins that they are made in, and everything else of the tick comes
/// after them. So what was made in the last tick is at the end of the ledger.
pub(super) async fn fill(
    padding: Option<Padding>,
    store: &Store,
    locked: &mut Locked,
    at: Instant,
    seal: &Seal,
) -> crate::store::Result<()> {
    let (last, size) = (locked.head_at(), locked.next_index());
    let Some(padding) = padding.filter(|padding| size > 0 && padding.tick(last) < padding.tick(at)) else {
        return Ok(());
    };
    if let Err(error) = store.check_room() {
        tracing::warn!(%error, "the ledger is not filled: the room that is left is for what takes a permission away");
        return Ok(());
    }
    let lacking = padding.lacking(last, made(locked, padding, last, size).await?, at);
    if lacking.left_out > 0 {
        tracing::warn!(
            ticks = lacking.left_out,
            "the ledger was not filled for long: these ticks are left as they are"
        );
    }
    for _ in 0..lacking.fillers {
        drop(locked.append((), &draft(), None, Slots::ACT, padding.tick(at), seal)?);
    }
    Ok(())
}

/// What was made in the tick of the last entry: read from the end of the ledger, as far back as it takes.
async fn made(locked: &mut Locked, padding: Padding, last: Instant, size: u64) -> crate::store::Result<Made> {
    let (began, lane) = (padding.tick(last), padding.entries());
    let mut span = lane * 4;
    loop {
        let (mut made, mut fillers) = (Made::default(), 0);
        for (kind, count) in locked.reads().kinds_since(size.saturating_sub(span), began).await? {
            match kind {
                Kind::Filler => fillers += count,
                Kind::Ask | Kind::Statistics | Kind::ThemeAsk => made.asks += count,
                _ => made.others += count,
            }
        }
        let is_whole = made.asks + made.others + fillers < span || span >= size;
        // Those of the tick before are further back than its fillers.
        if is_whole || fillers > 0 || made.asks.min(made.others) >= lane {
            return Ok(made);
        }
        span *= 4;
    }
}

/// An entry with nothing in it, which no party may open. Its leaf has the shape of every other.
fn draft() -> Draft {
    Draft {
        kind: Kind::Filler,
        act: Vec::new(),
        subject: Vec::new(),
        outcome: Vec::new(),
        grounds: Vec::new(),
        salts: Salts::from_seed(&seal::random()),
        parties: Vec::new(),
    }
}

/// Fills the ledger by itself, in a transaction of its own.
async fn fill_now(node: &Node) -> Result<()> {
    let mut locked = node.store.lock().await?;
    let timing = node.timing(&locked);
    // A clock that is wrong must not take the ledger with it where nobody even calls.
    timing.releases?;
    fill(node.padding, &node.store, &mut locked, timing.at, &node.seal).await?;
    if !locked.is_empty() {
        let size = locked.next_index();
        locked.commit(&node.keys, &node.seal).await?;
        node.metrics.entries.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
    Ok(())
}

impl Exchange {
    /// Brings the ledger up to what it grows by in a tick, for the ticks that have ended; nothing if that was done, or if
    /// it is not padded.
    pub async fn fill(&self) -> Result<()> {
        // While the database takes nothing, whoever comes next once it does makes up for it.
        if self.node.padding.is_none() || self.queue.health().fault().is_some() {
            return Ok(());
        }
        let node = Arc::clone(&self.node);
        // Apart from its caller: a transaction must not be dropped halfway.
        let filled = tokio::spawn(async move { fill_now(&node).await }).await;
        filled.unwrap_or(Err(Error::Internal("filling the ledger was stopped by a panic")))
    }

    /// How long it is until the ledger is to be filled next; none if it is not padded.
    pub fn next_filling(&self) -> Option<Duration> {
        let micros = self.node.padding?.until_next(self.node.clock.now());
        Some(Duration::from_micros(micros.unsigned_abs()))
    }
}
