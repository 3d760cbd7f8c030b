//! Reads incidents in VERIS JSON: what the VERIS Community Database and its users exchange.
//!
//! Pure: JSON in, the contract's messages out. VERIS has names only, no registered identifiers, no consent and no
//! markings; what is missing stays missing here.
//!
//! A record can name several victims. Each becomes an incident of its own under one campaign, and no content names the
//! victim of another: `sieve` is the last thing that every content goes through.

mod content;
mod sieve;
mod victims;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::Value;
use time::{Date, Month};

use crate::domain::Organisation;
use crate::proto::v1;

use victims::{Victim, Victims};

/// One incident at one organisation.
#[derive(Debug)]
pub struct VerisIncident {
    /// The record's key: the original file's name, or the incident's id where there is none.
    pub key: String,
    /// The affected organisation's name, with single spaces.
    pub name: String,
    /// When it may have occurred: the first second and the second by which it was over, since 1970 UTC.
    pub occurred: (i64, i64),
    /// The campaign that it belongs to, or empty. Names no victim of the record.
    pub campaign: String,
    /// What is known. Names no other victim of the record.
    pub content: v1::IncidentContent,
}

/// Why there is no incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Neither `file` nor `incident_id`.
    NoKey,
    /// No victim, or an empty name.
    NoVictim,
    /// A victim of whom only that it is unknown is said.
    UnknownVictim,
    /// One name that may be several organisations.
    SeveralVictims,
    /// No year, or one that no incident of ours has.
    NoYear,
    /// A month or a day that the calendar does not have.
    NoSuchDate,
}

impl Unusable {
    /// The reason as one word, to count by.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoKey => "no-key",
            Self::NoVictim => "no-victim",
            Self::UnknownVictim => "unknown-victim",
            Self::SeveralVictims => "several-victims",
            Self::NoYear => "no-year",
            Self::NoSuchDate => "no-such-date",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "has neither `file` nor `incident_id`",
            Self::NoVictim => "names no affected organisation",
            Self::UnknownVictim => "says that the affected organisation is unknown",
            Self::SeveralVictims => "may name several organisations: give each a string of its own",
            Self::NoYear => "has no year between 1970 and 2100 in `timeline.incident`",
            Self::NoSuchDate => "has a month or a day in `timeline.incident` that the calendar does not have",
        })
    }
}

/// The key of a record. Only `file` is unique where it is given.
pub fn key(record: &Value) -> Option<String> {
    string(record, "/file").or_else(|| string(record, "/incident_id"))
}

/// The incidents of a record: its victim's first, then one for each further organisation that it names, in its order
/// and without repetitions. Never empty: where there is none, it says why.
pub fn read(record: &Value) -> Vec<Result<VerisIncident, Unusable>> {
    let Some(key) = key(record) else { return vec![Err(Unusable::NoKey)] };
    let occurred = occurred(record);
    let Victims { all, named } = victims::of(record);
    let campaign = campaign(record, &key, all.len() > 1, &named);
    all.into_iter()
        .enumerate()
        .map(|(place, victim)| {
            let victim = victim?;
            let (occurred, date) = occurred?;
            let Victim { name, .. } = &victim;
            let own = Organisation::folded(name);
            let others: Vec<&String> = named.iter().filter(|other| **other != own).collect();
            let content = if place == 0 {
                content::of_victim(record, name, date)
            } else {
                content::of_further_victim(record, &victim, date)
            };
            Ok(VerisIncident {
                key: key.clone(),
                occurred,
                campaign: campaign.clone(),
                content: sieve::without(&content, &others),
                name: victim.name,
            })
        })
        .collect()
}

/// The campaign that the record gives; where it gives none and there are several victims, one that follows from the
/// key. As one name for the same campaign, a text that cannot be used as it is goes through a digest.
fn campaign(record: &Value, key: &str, several: bool, named: &[String]) -> String {
    let derived = |from: &str| {
        let hash = HEXLOWER.encode(digest(&SHA256, from.as_bytes()).as_ref());
        format!("veris-{}", hash.get(..32).unwrap_or(&hash))
    };
    match string(record, "/campaign_id").map(|given| Organisation::spaced(&given)).filter(|given| !given.is_empty()) {
        Some(given) if given.chars().count() <= 100 && !sieve::names_any(&given, named) => given,
        Some(given) => derived(&given),
        None if several => derived(key),
        None => String::new(),
    }
}

fn string(value: &Value, path: &str) -> Option<String> {
    match value.pointer(path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// Dates are partial: a year alone may have been any day of it.
fn occurred(record: &Value) -> Result<((i64, i64), v1::PartialDate), Unusable> {
    // Absent and 0 both mean unknown; what is no whole number is no date.
    let part = |name: &str| match record.pointer(&format!("/timeline/incident/{name}")) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value.as_i64().ok_or(Unusable::NoSuchDate),
    };
    let year = part("year").ok().and_then(|year| i32::try_from(year).ok());
    let year = year.filter(|year| (1970..=2100).contains(year)).ok_or(Unusable::NoYear)?;
    let small = |part: i64| u8::try_from(part).map_err(|_| Unusable::NoSuchDate);
    let (month, day) = (small(part("month")?)?, small(part("day")?)?);
    let month = if month == 0 { None } else { Some(Month::try_from(month).map_err(|_| Unusable::NoSuchDate)?) };
    // A day of an unknown month says nothing.
    let day = month.and((day > 0).then_some(day));
    let date = |month, day| Date::from_calendar_date(year, month, day).map_err(|_| Unusable::NoSuchDate);
    let (first, last) = match (month, day) {
        (Some(month), Some(day)) => (date(month, day)?, date(month, day)?),
        (Some(month), None) => (date(month, 1)?, date(month, month.length(year))?),
        (None, _) => (date(Month::January, 1)?, date(Month::December, 31)?),
    };
    let seconds = |date: Date| date.midnight().assume_utc().unix_timestamp();
    let partial = v1::PartialDate {
        year,
        month: month.map(|month| i32::from(u8::from(month))).unwrap_or_default(),
        day: day.map(i32::from).unwrap_or_default(),
    };
    Ok(((seconds(first), seconds(last) + 86_400), partial))
}

#[cfg(test)]
mod tests;
