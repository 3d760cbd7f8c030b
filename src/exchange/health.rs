//! Whether commits succeed, as last seen. Readiness follows it; and while they do not, whatever does not take a
//! permission away is turned away at once instead of waiting for the same failure.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Error, Exchange};
use crate::store;

/// The store's fault, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Health(watch::Sender<Option<Arc<store::Error>>>);

impl Health {
    /// Well, until something else is seen.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Why nothing can be committed, if so.
    pub(super) fn fault(&self) -> Option<Error> {
        self.0.borrow().clone().map(Error::Store)
    }

    /// Notes a failure of the store as a whole; one of a single call says nothing about the next.
    pub(super) fn failed(&self, error: &Arc<store::Error>) {
        if !error.is_outage() {
            return;
        }
        self.0.send_if_modified(|fault| {
            let is_new = fault.as_ref().is_none_or(|before| before.remedy() != error.remedy());
            if is_new {
                let remedy = error.remedy();
                tracing::error!(cause = %error, remedy, "the node is not ready: its database takes no commits");
                *fault = Some(Arc::clone(error));
            }
            is_new
        });
    }

    fn recovered(&self) {
        let was_down = self.0.send_if_modified(|fault| fault.take().is_some());
        if was_down {
            tracing::info!("the node is ready again: its database takes commits");
        }
    }
}

impl Exchange {
    /// The store's fault as it changes: none while the node can do what it is for.
    pub fn faults(&self) -> watch::Receiver<Option<Arc<store::Error>>> {
        self.queue.health().0.subscribe()
    }

    /// Tries a commit that changes nothing, and notes what came of it. When it succeeds after a failure, calls are
    /// taken again.
    pub async fn probe(&self) {
        match self.node.store.probe().await {
            Ok(()) => self.queue.health().recovered(),
            Err(error) => self.queue.health().failed(&Arc::new(error)),
        }
    }
}
