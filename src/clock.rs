//! The service's clock, handed in wherever time is read: nothing else in this crate reads one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::Instant;

/// A clock.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { ahead_micros: i64 },
    Set(Arc<AtomicI64>),
}

/// Moves a clock that was made by [`Clock::set_to`].
#[derive(Debug, Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System { ahead_micros: 0 })
    }

    /// The machine's clock as a machine would have it that goes wrong by so much.
    pub fn system_ahead_by(micros: i64) -> Self {
        Self(Source::System { ahead_micros: micros })
    }

    /// A clock that stands until its hand is moved.
    pub fn set_to(at: Instant) -> (Self, Hand) {
        let micros = Arc::new(AtomicI64::new(at.micros()));
        (Self(Source::Set(Arc::clone(&micros))), Hand(micros))
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System { ahead_micros } => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX).saturating_add(*ahead_micros))
            }
            Source::Set(micros) => Instant::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Whether another machine's clock can be compared with this one.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.0, Source::System { .. })
    }
}

impl Hand {
    /// Sets the clock.
    pub fn set(&self, at: Instant) {
        self.0.store(at.micros(), Ordering::SeqCst);
    }

    /// Moves the clock on.
    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}
