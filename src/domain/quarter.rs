//! Calendar quarters, in which statistics are published.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

use super::{Instant, Invalid};

/// A quarter of a year, by UTC: every instant is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quarter {
    year: i32,
    /// 1 to 4.
    number: u8,
}

impl Quarter {
    /// From text such as `2026-Q3`.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, Invalid> {
        let text = text.as_ref();
        let read = || {
            let (year, number) = text.split_once("-Q")?;
            let is_plain = year.len() == 4 && year.chars().all(|c| c.is_ascii_digit()) && number.len() == 1;
            let (year, number) = (year.parse().ok()?, number.parse().ok()?);
            (is_plain && (1970..=9999).contains(&year) && (1..=4).contains(&number)).then_some(Self { year, number })
        };
        read().ok_or_else(|| Invalid::new("", "is not a quarter: write 2026-Q3"))
    }

    /// The one in which an instant lies.
    pub fn of(at: Instant) -> Self {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1_000);
        let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self { year: date.year(), number: (u8::from(date.month()) - 1) / 3 + 1 }
    }

    /// Its start, inclusive.
    pub fn start(self) -> Instant {
        let month = match self.number {
            1 => Month::January,
            2 => Month::April,
            3 => Month::July,
            _ => Month::October,
        };
        first_of(self.year, month)
    }

    /// Its year.
    pub fn year(self) -> i32 {
        self.year
    }

    /// The quarters of its year before it, if it is the last of them; else none.
    pub fn completes(self) -> Vec<Self> {
        let before = if self.number == 4 { 1..4 } else { 0..0 };
        before.map(|number| Self { number, ..self }).collect()
    }

    /// Its end, exclusive: the start of the next.
    pub fn end(self) -> Instant {
        match self.number {
            1 => first_of(self.year, Month::April),
            2 => first_of(self.year, Month::July),
            3 => first_of(self.year, Month::October),
            _ => first_of(self.year + 1, Month::January),
        }
    }
}

fn first_of(year: i32, month: Month) -> Instant {
    let seconds = Date::from_calendar_date(year, month, 1).map(|date| date.midnight().assume_utc().unix_timestamp());
    seconds.map_or(Instant::MAX, |seconds| Instant::from_micros(seconds * 1_000_000))
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.year, self.number)
    }
}

impl From<Quarter> for String {
    fn from(quarter: Quarter) -> Self {
        quarter.to_string()
    }
}

impl TryFrom<String> for Quarter {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_partition_time() {
        let at = |date: &str| Instant::on_date(date).unwrap();
        let before = |date: &str| Instant::from_micros(at(date).micros() - 1);
        for (start, end, name) in [
            ("2026-01-01", "2026-04-01", "2026-Q1"),
            ("2026-04-01", "2026-07-01", "2026-Q2"),
            ("2026-07-01", "2026-10-01", "2026-Q3"),
            ("2026-10-01", "2027-01-01", "2026-Q4"),
        ] {
            let quarter = Quarter::parse(name).unwrap();
            assert_eq!((Quarter::of(at(start)), Quarter::of(before(end))), (quarter, quarter));
            assert_eq!((quarter.start(), quarter.end()), (at(start), at(end)));
            assert_eq!(quarter.to_string(), name);
        }
    }

    #[test]
    fn only_the_last_quarter_completes_its_year() {
        let completed = |name: &str| -> Vec<String> {
            Quarter::parse(name).unwrap().completes().iter().map(ToString::to_string).collect()
        };
        assert_eq!(completed("2026-Q4"), ["2026-Q1", "2026-Q2", "2026-Q3"]);
        for name in ["2026-Q1", "2026-Q2", "2026-Q3"] {
            assert!(completed(name).is_empty());
        }
    }

    #[test]
    fn what_is_not_a_quarter_is_turned_away() {
        for text in ["", "2026", "2026-Q5", "2026-Q0", "26-Q1", "2026-q1", "2026-Q1 ", "+026-Q1", "2026-Q11"] {
            assert!(Quarter::parse(text).is_err(), "{text}");
        }
    }
}
