//! How a ledger is padded, so that how far it has grown does not say what was done in it.

use super::Instant;

/// How many fillers are made at once, at most: after a longer pause the rest is left out.
const MOST_AT_ONCE: u64 = 4_096;

/// Ticks of one length, and how many entries the ledger grows by in each.
///
/// Asks have a lane of their own: whoever asks much uses up the room of asks alone, and never that of what is done about
/// consents, which is what it could want to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    every_micros: i64,
    entries: u64,
}

/// How many entries were made in a tick that has ended, fillers apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// Asks, of every kind.
    pub asks: u64,
    /// Whatever else is no filler.
    pub others: u64,
}

/// What a ledger lacks when a tick begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacking {
    /// How many fillers make up for it.
    pub fillers: u64,
    /// How many ticks went by unfilled that are left so.
    pub left_out: u64,
}

impl Padding {
    /// Ticks of so many seconds, one at least, each with room for so many asks and as many other entries.
    pub fn new(every_seconds: u32, entries: u32) -> Self {
        Self { every_micros: i64::from(every_seconds.max(1)) * 1_000_000, entries: u64::from(entries) }
    }

    /// When the tick began in which a time lies.
    pub fn tick(&self, at: Instant) -> Instant {
        Instant::from_micros(at.micros() - at.micros().rem_euclid(self.every_micros))
    }

    /// How many microseconds later the next tick begins.
    pub fn until_next(&self, at: Instant) -> i64 {
        self.every_micros - at.micros().rem_euclid(self.every_micros)
    }

    /// Of either kind so many fit into a tick.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What is lacking now of a ledger whose last entry was made at some time, in a tick in which so many were made.
    ///
    /// Nothing until that tick has ended. Then what was left of both lanes, and both lanes of every tick since. It depends on
    /// what was made only in so far as that fills a lane: each lane grows by `entries`, or by what was made if that is more.
    pub fn lacking(&self, last: Instant, made: Made, now: Instant) -> Lacking {
        let ticks = self.tick(now).micros_since(self.tick(last)) / self.every_micros;
        let Some(missed) = u64::try_from(ticks).ok().and_then(|ticks| ticks.checked_sub(1)) else {
            return Lacking::default();
        };
        let left = |made: u64| self.entries.saturating_sub(made);
        let both = self.entries * 2;
        let filled = missed.min(MOST_AT_ONCE.checked_div(both).unwrap_or(0));
        Lacking { fillers: left(made.asks) + left(made.others) + filled * both, left_out: missed - filled }
    }
}
