//! The last revocation list of each authority: no act of anybody's, so no entry.

use std::sync::Arc;

use crate::domain::LastList;

use super::{Error, Exchange, Result};

impl Exchange {
    /// The last list of each authority that any replica had in place.
    pub async fn last_lists(&self) -> Result<Vec<LastList>> {
        self.read(|_, reads| Box::pin(async move { Ok(reads.last_lists().await?) })).await
    }

    /// Notes lists that were put in place. When this returns it is durable, and one that is noted as later stays.
    pub async fn note_last_lists(&self, lists: Vec<LastList>) -> Result<()> {
        let node = Arc::clone(&self.node);
        let task = tokio::spawn(async move { Ok(node.store.note_last_lists(&lists).await?) });
        task.await.unwrap_or(Err(Error::Internal("a write was stopped by a panic")))
    }
}
