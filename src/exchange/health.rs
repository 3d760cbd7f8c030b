//! Whether commits succeed, as last seen. Readiness follows it; and while they do not, whatever does not take a
//! permission away is turned away at once instead of waiting for the same failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::time::timeout;

use super::batch::LONGEST;
use super::{Error, Exchange, Result};
use crate::{store, telemetry};

/// The store's fault, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Health {
    fault: watch::Sender<Option<Arc<store::Error>>>,
    /// Whether a call was done since this was asked last.
    works: Arc<AtomicBool>,
}

impl Health {
    /// Well, until something else is seen.
    pub(super) fn new() -> Self {
        Self { fault: watch::Sender::new(None), works: Arc::default() }
    }

    /// Why nothing can be committed, if so.
    pub(super) fn fault(&self) -> Option<Error> {
        self.fault.borrow().clone().map(Error::Store)
    }

    /// Notes a failure of the store as a whole; one of a single call says nothing about the next.
    pub(super) fn failed(&self, error: &Arc<store::Error>) {
        if !error.is_outage() {
            return;
        }
        self.fault.send_if_modified(|fault| {
            let is_new = fault.as_ref().is_none_or(|before| before.remedy() != error.remedy());
            if is_new {
                let remedy = error.remedy();
                if takes_withdrawals(error) {
                    tracing::error!(cause = %error, remedy, "only what takes a permission away is done");
                } else {
                    tracing::error!(cause = %error, remedy, "the node is not ready: its database takes no commits");
                }
                *fault = Some(Arc::clone(error));
            }
            is_new
        });
    }

    /// Notes that a call was done.
    pub(super) fn works(&self) {
        self.works.store(true, Ordering::Relaxed);
    }

    fn recovered(&self) {
        let was_down = self.fault.send_if_modified(|fault| fault.take().is_some());
        if was_down {
            tracing::info!("the database takes every commit again");
        }
    }
}

/// Whether commits succeed all the same, so that a permission can still be taken away.
fn takes_withdrawals(fault: &store::Error) -> bool {
    matches!(fault, store::Error::LowDisk { .. })
}

/// What a node's database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// It takes every commit.
    All,
    /// It takes those alone that take a permission away, since its disk is nearly full.
    Withdrawals,
    /// It takes none.
    None,
}

impl Exchange {
    /// Measures what waits and what is connected, as it is now.
    pub fn measure(&self) {
        let metrics = &self.node.metrics;
        metrics.queue.set(telemetry::count(self.queue.len()));
        metrics.database_up.set(i64::from(self.commits_now() != Commits::None));
        for (pool, used, idle) in self.node.store.connections() {
            for (state, count) in [("used", used), ("idle", idle)] {
                metrics.database_connections.of([("pool", pool), ("state", state)]).set(telemetry::count(count));
            }
        }
    }

    /// Reads every agreement in force, and how long the ledger is. An error: nothing can be decided.
    pub async fn check_agreements(&self) -> Result<()> {
        let read = self.read(|node, reads| {
            Box::pin(async move { Ok((node.in_force(reads).await?.len(), reads.size().await?.0)) })
        });
        let (agreements, size) = read.await?;
        self.node.metrics.agreements.set(telemetry::count(agreements));
        self.node.metrics.entries.set(i64::try_from(size).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Rings when what the database does may have changed.
    pub fn faults(&self) -> watch::Receiver<Option<Arc<store::Error>>> {
        self.queue.health().fault.subscribe()
    }

    /// What the database does, as last seen.
    pub fn commits_now(&self) -> Commits {
        match &*self.queue.health().fault.borrow() {
            None => Commits::All,
            Some(fault) if takes_withdrawals(fault) => Commits::Withdrawals,
            Some(_) => Commits::None,
        }
    }

    /// Tries a commit that changes nothing, and notes what came of it. When it succeeds after a failure, calls are
    /// taken again.
    pub async fn probe(&self) {
        let health = self.queue.health();
        let works = health.works.swap(false, Ordering::Relaxed);
        if works && health.fault().is_none() {
            // The calls themselves have shown it; a probe would only keep the next ones waiting.
            return;
        }
        let mut tried = self.try_commit().await;
        if tried.as_ref().is_err_and(store::Error::is_before_lock) {
            // To have waited too long once may have been a large batch, or another replica's.
            tried = self.try_commit().await;
        }
        match tried {
            Ok(()) => health.recovered(),
            Err(error) => health.failed(&Arc::new(error)),
        }
    }

    /// In a task of its own, which goes on by itself where the database fell silent, or where nobody waits any more.
    async fn try_commit(&self) -> store::Result<()> {
        let store = self.node.store.clone();
        let commit = tokio::spawn(async move { store.probe().await });
        if let Ok(Ok(tried)) = timeout(LONGEST, commit).await {
            return tried;
        }
        // No answer in time; or a panic, and none comes.
        self.node.store.renew_connections();
        Err(store::Error::Silent(LONGEST.as_secs()))
    }
}
