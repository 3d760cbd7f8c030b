//! What organisations are reminded of: one wording for all, over every regime in force, whatever happened to them.

use std::fmt::Write as _;

use serde::Deserialize;

use super::{Catalogue, Dated, Regime, RegimeVersion, UkDate, Validity, version_at};
use crate::domain::Instant;

/// The words around the regimes, from when to when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReminderWords {
    /// Its version.
    pub id: String,
    /// From which day.
    pub from: UkDate,
    /// Until which day, exclusive.
    pub until: Option<UkDate>,
    /// What stands before the regimes.
    pub before: String,
    /// What stands after them.
    pub after: String,
    /// Where this comes from.
    pub source: String,
}

impl Dated for ReminderWords {
    fn validity(&self) -> Validity {
        Validity { from: self.from.0, until: self.until.map(|until| until.0) }
    }
}

/// The wording at a time.
#[derive(Debug)]
pub struct ReminderWording<'a> {
    /// The words around the regimes.
    pub words: &'a ReminderWords,
    /// Every regime in force then, in the order of the file.
    pub regimes: Vec<(&'a Regime, &'a RegimeVersion)>,
}

impl ReminderWording<'_> {
    /// What is said, line by line: the same for everybody at that time.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.words.before);
        for (regime, version) in &self.regimes {
            let Regime { title, who, .. } = regime;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {title}. {who} {} hours from becoming aware. {}.", version.hours, version.source);
        }
        text + "\n" + &self.words.after + "\n"
    }
}

impl Catalogue {
    /// The wording that holds at a time; none where none does.
    pub fn reminder<'a>(&'a self, at: Instant) -> Option<ReminderWording<'a>> {
        let words = version_at(&self.reminders, at)?;
        let in_force = |regime: &'a Regime| Some((regime, version_at(&regime.versions, at)?));
        Some(ReminderWording { words, regimes: self.regimes.iter().filter_map(in_force).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CATALOGUE, Sources};
    use crate::domain::UkTime;

    #[test]
    fn the_wording_names_every_regime_in_force_and_judges_nothing() {
        let at = |date| UkTime::start_of(date).unwrap();
        let wording = CATALOGUE.reminder(at("2026-06-01")).unwrap();
        let text = wording.text();
        assert_eq!(wording.words.id, "1");
        assert_eq!(wording.regimes.len(), CATALOGUE.regimes().len());
        for (regime, version) in &wording.regimes {
            assert!(text.contains(&regime.title) && text.contains(&version.source), "{text}");
        }
        assert!(text.contains("yours to decide"), "{text}");
        for judging in ["must", "notifiable", "have to", "are required", "shall", "we have told", "you should"] {
            assert!(!text.to_lowercase().contains(judging), "`{judging}` in {text}");
        }
        assert!(CATALOGUE.reminder(at("2024-09-04")).is_none(), "no wording held then");
    }

    #[test]
    fn a_regime_that_ends_is_in_no_later_wording() {
        let before = Sources::BUNDLED.regimes;
        let ended = before.replacen(
            "source = \"UK GDPR art. 33(1)",
            "until = \"2026-06-01\"\nsource = \"UK GDPR art. 33(1)",
            1,
        );
        assert_ne!(before, ended);
        let catalogue = Sources { regimes: &ended, ..Sources::BUNDLED }.read().unwrap();
        let titles = |date| {
            let wording = catalogue.reminder(UkTime::start_of(date).unwrap()).unwrap();
            wording.regimes.iter().map(|(regime, _)| regime.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(titles("2026-05-31")[0], "uk-gdpr-33");
        assert!(!titles("2026-06-01").contains(&"uk-gdpr-33".to_owned()));
        let twice = Sources::BUNDLED.reminder.repeat(2);
        let wrong = Sources { reminder: &twice, ..Sources::BUNDLED }.read().unwrap_err();
        assert!(wrong.starts_with("signposts/reminder.toml:"), "{wrong}");
    }
}
