//! Connections to PostgreSQL that can be given up: a peer that is gone without a word never ends them.

use std::sync::{Arc, PoisonError, RwLock};

use sqlx::PgPool;

use super::{Pool, Store};

/// Connections of which others can be made in their place.
#[derive(Debug, Clone)]
pub(super) struct Renewable(Arc<RwLock<PgPool>>);

impl Renewable {
    pub(super) fn new(pool: PgPool) -> Self {
        Self(Arc::new(RwLock::new(pool)))
    }

    /// The connections to use now.
    pub(super) fn pool(&self) -> PgPool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renew(&self) {
        let mut pool = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let options = (*pool.connect_options()).clone();
        let renewed = pool.options().clone().connect_lazy_with(options);
        *pool = renewed;
    }
}

impl Store {
    /// The connections of each pool: its name, how many are used, how many are idle.
    pub fn connections(&self) -> [(&'static str, usize, usize); 2] {
        [("writer", &self.writer), ("reader", &self.reader)].map(|(name, pool)| {
            let (size, idle) = match pool {
                Pool::Sqlite(pool) => (pool.size(), pool.num_idle()),
                Pool::Postgres(pool) => {
                    let pool = pool.pool();
                    (pool.size(), pool.num_idle())
                }
            };
            (name, usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(idle), idle)
        })
    }

    /// Leaves every connection to PostgreSQL to whoever still waits on it, and makes others when they are needed.
    ///
    /// What is under way on the old ones may still be done: the ledger's head keeps it apart from what comes after,
    /// and its calls are found by their keys.
    pub fn renew_connections(&self) {
        for pool in [&self.reader, &self.writer] {
            match pool {
                // A file does not fall silent.
                Pool::Sqlite(_) => {}
                Pool::Postgres(renewable) => renewable.renew(),
            }
        }
    }
}
