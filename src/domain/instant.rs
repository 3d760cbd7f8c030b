//! Time as a value.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::Invalid;

/// A point in time, in microseconds since 1970 UTC: what both databases and the ledger store exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(i64);

const SECOND: i64 = 1_000_000;

impl Instant {
    /// The end of time as far as we are concerned: 31 December 9999.
    pub const MAX: Self = Self(253_402_300_799 * SECOND);

    /// From microseconds since 1970 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Midnight UTC on a date written as `2023-09-12`.
    pub fn on_date(text: &str) -> Result<Self, Invalid> {
        let date = time::Date::parse(text, format_description!("[year]-[month]-[day]"))
            .map_err(|_| Invalid::new("", format!("`{text}` is not a date: write 2023-09-12")))?;
        Ok(Self(date.midnight().assume_utc().unix_timestamp() * SECOND))
    }

    /// A time written as `2023-09-12T09:30:00Z`, or midnight UTC on a date.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) else { return Self::on_date(text) };
        let micros = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000));
        micros.map(Self).map_err(|_| Invalid::new("", format!("`{text}` is too far away")))
    }

    /// This much later, never past [`Instant::MAX`].
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND))).min(Self::MAX)
    }

    /// This many days of 86,400 seconds later.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(86_400))
    }

    /// Microseconds from `earlier` to `self`; negative if it is later.
    pub fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok());
        match written {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} µs", self.0),
        }
    }
}
