//! When to look again at what may have changed.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Every so often, and at once on SIGHUP.
#[derive(Debug)]
pub struct Turns {
    ticks: Interval,
    asked: Option<Signal>,
}

impl Turns {
    /// The first one comes after this time.
    pub fn every(time: Duration) -> Self {
        let mut ticks = interval_at(Instant::now() + time, time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asked = signal(SignalKind::hangup()).inspect_err(|error| tracing::warn!(%error, "no SIGHUP")).ok();
        Self { ticks, asked }
    }

    /// Waits for the next one; whether somebody asked for it.
    pub async fn wait(&mut self) -> bool {
        let asked = async {
            match &mut self.asked {
                Some(asked) => drop(asked.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.ticks.tick() => false,
            () = asked => true,
        }
    }
}
