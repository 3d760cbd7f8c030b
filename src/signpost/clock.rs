//! Which clocks the law starts, and how much of one is left.

use serde::Deserialize;

use super::{Catalogue, Dated as _, Situation, UkDate, When, version_at};
use crate::domain::Instant;

/// A law that asks for a notification within some time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regime {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Whom it asks, and of what. Whether it applies, the organisation and its regulator judge.
    pub who: String,
    /// What starts the clock.
    pub starts: Start,
    /// In which situation it is shown.
    #[serde(default)]
    pub when: When,
    /// How long it is, from when to when.
    #[serde(rename = "version")]
    pub versions: Vec<RegimeVersion>,
}

/// What starts a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The organisation became aware. When an agency did starts nothing.
    OrganisationAware,
}

impl Start {
    /// As it is written and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrganisationAware => "organisation-aware",
        }
    }
}

/// A regime for as long as the law says so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegimeVersion {
    /// Within how many elapsed hours.
    pub hours: u32,
    /// To whom, as ids of contacts.
    pub addressees: Vec<String>,
    /// In force from which day.
    pub from: UkDate,
    /// Until which day, exclusive.
    pub until: Option<UkDate>,
    /// The law.
    pub source: String,
}

/// A clock that runs once the organisation stated when it became aware. It is computed whenever it is looked at, and kept
/// nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Countdown {
    /// When the organisation became aware, as it stated.
    pub aware_at: Instant,
    /// When the hours are over. That says nothing of whether there is a duty, or whether it was met.
    pub ends_at: Instant,
}

impl Countdown {
    /// Hours elapse in UTC: no change of the clocks in the country makes them fewer or more.
    pub fn new(aware_at: Instant, hours: u32) -> Self {
        Self { aware_at, ends_at: aware_at.plus_seconds(i64::from(hours) * 3_600) }
    }

    /// How much of it is left at a time, in whole seconds, rounded up: 0 from its end on, and not before.
    pub fn left(self, at: Instant) -> i64 {
        let micros = self.ends_at.micros_since(at).max(0);
        micros / 1_000_000 + i64::from(micros % 1_000_000 != 0)
    }
}

/// A regime that may concern a situation.
#[derive(Debug, Clone)]
pub struct Clock<'a> {
    /// The regime.
    pub regime: &'a Regime,
    /// As in force when the organisation became aware; where that was not stated, at the time of looking.
    pub version: &'a RegimeVersion,
    /// Whom it asks to be told, by id and name: of those of the version, the one to whom the situation's signposts lead.
    /// None where they lead to none or to several: which of them it asks, the facts don't say.
    pub addressees: Vec<(&'a str, &'a str)>,
    /// None unless the organisation stated when it became aware, and that is not in the future.
    pub countdown: Option<Countdown>,
}

impl Catalogue {
    /// The clocks that may concern a situation at a time.
    pub fn clocks(&self, situation: &Situation, aware_at: Option<Instant>, at: Instant) -> Vec<Clock<'_>> {
        // What has not happened starts nothing.
        let aware_at = aware_at.filter(|aware_at| *aware_at <= at);
        let mut led_to: Vec<(&str, &str)> = Vec::new();
        for one in self.directions(situation, at) {
            let found = (one.signpost.contact.as_str(), one.contact.name.as_str());
            if !led_to.contains(&found) {
                led_to.push(found);
            }
        }
        let concerned = self.regimes.iter().filter(|regime| regime.when.fits(situation));
        concerned
            .filter_map(|regime| {
                let version = version_at(&regime.versions, aware_at.unwrap_or(at))?;
                let is_asked = |(id, _): &&(&str, &str)| version.addressees.iter().any(|asked| asked == id);
                let asked: Vec<(&str, &str)> = led_to.iter().filter(is_asked).copied().collect();
                Some(Clock {
                    regime,
                    version,
                    addressees: if asked.len() == 1 { asked } else { Vec::new() },
                    countdown: aware_at.map(|aware_at| Countdown::new(aware_at, version.hours)),
                })
            })
            .collect()
    }
}

impl Clock<'_> {
    /// From when until when the law says so.
    pub fn in_force(&self) -> super::Validity {
        self.version.validity()
    }
}
