//! Time as clocks in the United Kingdom show it, for people to read. Nothing is computed in it: hours elapse in UTC.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, UtcOffset};

use super::{Instant, Invalid};

/// A moment, shown as UK local time to the whole second that it is in, with its offset: `2026-03-30T10:00:00+01:00`.
///
/// Summer time is from 01:00 UTC on the last Sunday in March until 01:00 UTC on the last Sunday in October: Summer Time
/// Act 1972 as amended in 2002. Moments before 1996 are shown by the same rule, which was another then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UkTime(pub Instant);

impl UkTime {
    /// The moment at which a date written as `2025-08-20` begins in the United Kingdom.
    pub fn start_of(date: &str) -> Result<Instant, Invalid> {
        let problem = || Invalid::new("", format!("`{date}` is not a date: write 2025-08-20"));
        let date = Date::parse(date, format_description!("[year]-[month]-[day]")).map_err(|_| problem())?;
        // Clocks change at 01:00 UTC, so midnight by the one and by the other are on the same side of it.
        let midnight = date.midnight().assume_utc();
        let seconds = midnight.unix_timestamp() - i64::from(offset(midnight).whole_seconds());
        Ok(Instant::from_micros(seconds.saturating_mul(1_000_000)))
    }
}

impl fmt::Display for UkTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = OffsetDateTime::from_unix_timestamp(self.0.micros().div_euclid(1_000_000)).ok();
        let local =
            utc.and_then(|utc| utc.checked_to_offset(offset(utc))).and_then(|local| local.format(&Rfc3339).ok());
        match local {
            Some(text) => f.write_str(&text),
            None => self.0.fmt(f),
        }
    }
}

fn offset(utc: OffsetDateTime) -> UtcOffset {
    const SUMMER: UtcOffset = time::macros::offset!(+1);
    let changes = |month| Some(last_sunday(utc.year(), month)?.with_hms(1, 0, 0).ok()?.assume_utc());
    match changes(Month::March).zip(changes(Month::October)) {
        Some((forward, back)) if forward <= utc && utc < back => SUMMER,
        _ => UtcOffset::UTC,
    }
}

/// Of a month with 31 days.
fn last_sunday(year: i32, month: Month) -> Option<Date> {
    let last = Date::from_calendar_date(year, month, 31).ok()?;
    last.replace_day(31 - last.weekday().number_days_from_sunday()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        let time = OffsetDateTime::parse(text, &Rfc3339).unwrap();
        Instant::from_micros(time.unix_timestamp() * 1_000_000)
    }

    #[test]
    fn clocks_change_on_the_last_sundays_of_march_and_october() {
        for (utc, local) in [
            ("2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"),
            ("2026-03-29T01:00:00Z", "2026-03-29T02:00:00+01:00"),
            ("2026-10-25T00:59:59Z", "2026-10-25T01:59:59+01:00"),
            ("2026-10-25T01:00:00Z", "2026-10-25T01:00:00Z"),
            // A 31st that is a Sunday, in both months.
            ("2024-03-31T01:00:00Z", "2024-03-31T02:00:00+01:00"),
            ("2027-10-31T00:59:59Z", "2027-10-31T01:59:59+01:00"),
            ("2027-10-31T01:00:00Z", "2027-10-31T01:00:00Z"),
        ] {
            assert_eq!(UkTime(at(utc)).to_string(), local, "{utc}");
        }
    }

    #[test]
    fn a_date_begins_at_midnight_on_the_spot() {
        for (date, begins) in [
            ("2025-08-20", "2025-08-19T23:00:00Z"),
            ("2025-12-04", "2025-12-04T00:00:00Z"),
            ("2026-03-29", "2026-03-29T00:00:00Z"),
            ("2026-10-25", "2026-10-24T23:00:00Z"),
        ] {
            assert_eq!(UkTime::start_of(date), Ok(at(begins)), "{date}");
        }
        for wrong in ["", "2025-13-01", "20 August 2025", "2025-02-29"] {
            assert!(UkTime::start_of(wrong).unwrap_err().problem.contains("2025-08-20"), "{wrong}");
        }
    }
}
