//! The last revocation list of each authority, kept in the database: so that no earlier one is believed by a node that starts
//! again, nor by another replica.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::config::Config;
use crate::exchange::{self, Exchange};
use crate::rotation::{FirstRead, Lasts, Rotation, Sets};

/// What was read, without the lists that come before those which any replica had in place; and which those were.
pub(super) async fn after(read: FirstRead, config: &Config, exchange: &Exchange) -> Result<(Sets, Lasts), Error> {
    let mut lasts = Lasts::default();
    lasts.learn(&exchange.last_lists().await?);
    Ok((read.after(config, &lasts)?, lasts))
}

/// Notes each list that is put in place and is later than the last one, and learns of those that other replicas noted, until
/// the node stops.
///
/// INVARIANT: nothing waits for it. While the database is away each replica goes by what it knows, and what it put in place
/// meanwhile is noted once the database is back.
pub(super) async fn watch(exchange: Exchange, rotation: Arc<Rotation>, every: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_told = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = rotation.later() => {}
            _ = ticks.tick() => {}
        }
        let kept = keep(&exchange, &rotation).await;
        if let Err(error) = &kept
            && !is_told
        {
            tracing::warn!(%error, "the last revocation lists cannot be kept in the database: other replicas and the next start do not know of them");
        }
        is_told = kept.is_err();
    }
}

async fn keep(exchange: &Exchange, rotation: &Rotation) -> exchange::Result<()> {
    let later = rotation.learn(&exchange.last_lists().await?);
    if later.is_empty() { Ok(()) } else { exchange.note_last_lists(later).await }
}
