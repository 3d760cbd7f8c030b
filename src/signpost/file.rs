//! The files under `signposts/`: read whole, checked strictly, and turned away by file and line.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::{Catalogue, Contact, Dated, Fact, Facts, Help, Regime, ReminderWords, Signpost, Validity, When};
use crate::domain::{AgencyId, HelpId, Instant, UkTime};

/// The texts of the files.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What may be stated of a victim.
    pub facts: &'a str,
    /// Contacts, and signposts to them.
    pub contacts: &'a str,
    /// Regimes.
    pub regimes: &'a str,
    /// What organisations are reminded of, around the regimes.
    pub reminder: &'a str,
    /// Help on offer.
    pub help: &'a str,
}

/// A day, which begins at midnight in the United Kingdom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UkDate(pub Instant);

impl TryFrom<String> for UkDate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        UkTime::start_of(&text).map(Self).map_err(|problem| problem.problem)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsFile {
    nation: Vec<Spanned<Fact>>,
    sector: Vec<Spanned<Fact>>,
    fact: Vec<Spanned<Fact>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactsFile {
    contact: Vec<Spanned<Contact>>,
    signpost: Vec<Spanned<Signpost>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegimesFile {
    regime: Vec<Spanned<Regime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReminderFile {
    wording: Vec<Spanned<ReminderWords>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HelpFile {
    help: Vec<Spanned<Help>>,
}

/// One file, to say where in it something is wrong.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'static str,
    text: &'a str,
}

impl File<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        toml::from_str(self.text).map_err(|error| self.wrong(&error.span().unwrap_or_default(), error.message()))
    }

    fn wrong(self, place: &Range<usize>, problem: impl std::fmt::Display) -> String {
        let before = self.text.get(..place.start).unwrap_or_default();
        format!("signposts/{}:{}: {problem}", self.name, before.matches('\n').count() + 1)
    }

    /// The first problem that a check finds, with the line at which the entry begins.
    fn check<T>(
        self,
        entries: &[Spanned<T>],
        id: impl Fn(&T) -> &str,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for entry in entries {
            let (place, entry) = (entry.span(), entry.get_ref());
            let id = id(entry);
            let wrong = |problem: String| self.wrong(&place, format!("`{id}` {problem}"));
            // As ids are written everywhere; those of help are recorded.
            HelpId::parse(id).map_err(|problem| wrong(format!("is no id: {}", problem.problem)))?;
            if !ids.insert(id) {
                return Err(wrong("is there twice".to_owned()));
            }
            check(entry).map_err(wrong)?;
        }
        Ok(())
    }
}

impl Sources<'static> {
    /// The files that are part of the program.
    pub const BUNDLED: Self = Self {
        facts: include_str!("../../signposts/facts.toml"),
        contacts: include_str!("../../signposts/contacts.toml"),
        regimes: include_str!("../../signposts/regimes.toml"),
        reminder: include_str!("../../signposts/reminder.toml"),
        help: include_str!("../../signposts/help.toml"),
    };
}

impl Sources<'_> {
    /// Reads and checks them. An error names the file and the line, and says what to put right.
    pub fn read(self) -> Result<Catalogue, String> {
        let facts = self.facts()?;
        let file = File { name: "contacts.toml", text: self.contacts };
        let ContactsFile { contact, signpost } = file.read()?;
        file.check(&contact, |contact| &contact.id, check_contact)?;
        let contacts: Vec<Contact> = contact.into_iter().map(Spanned::into_inner).collect();
        let check = |signpost: &Signpost| {
            check_text("why", &signpost.why)?;
            check_text("source", &signpost.source)?;
            check_when(&signpost.when, &facts)?;
            check_validity(signpost.validity())?;
            check_led_to(&contacts, &signpost.contact, signpost.validity())
        };
        file.check(&signpost, |signpost| &signpost.id, check)?;
        let mut signposts: Vec<Signpost> = signpost.into_iter().map(Spanned::into_inner).collect();
        signposts.sort_by_key(|signpost| signpost.order);
        let (regimes, reminders, help) = (self.regimes(&facts, &contacts)?, self.reminders()?, self.help()?);
        Ok(Catalogue { facts, contacts, signposts, regimes, reminders, help })
    }

    fn facts(self) -> Result<Facts, String> {
        let file = File { name: "facts.toml", text: self.facts };
        let FactsFile { nation, sector, fact } = file.read()?;
        for entries in [&nation, &sector, &fact] {
            file.check(entries, |fact| &fact.id, |fact| check_text("title", &fact.title))?;
        }
        let all = |entries: Vec<Spanned<Fact>>| entries.into_iter().map(Spanned::into_inner).collect();
        Ok(Facts { nations: all(nation), sectors: all(sector), others: all(fact) })
    }

    fn regimes(self, facts: &Facts, contacts: &[Contact]) -> Result<Vec<Regime>, String> {
        let file = File { name: "regimes.toml", text: self.regimes };
        let RegimesFile { regime } = file.read()?;
        let check = |regime: &Regime| {
            check_text("title", &regime.title)?;
            check_text("who", &regime.who)?;
            check_when(&regime.when, facts)?;
            check_versions(&regime.versions)?;
            for version in &regime.versions {
                check_text("source", &version.source)?;
                if !(1..=24 * 366).contains(&version.hours) {
                    return Err("has `hours` outside 1 to a year".to_owned());
                }
                if version.addressees.is_empty() {
                    return Err("has a version without `addressees`".to_owned());
                }
                for addressee in &version.addressees {
                    known("addressees", addressee, contacts.iter().map(|contact| contact.id.as_str()))?;
                }
            }
            Ok(())
        };
        file.check(&regime, |regime| &regime.id, check)?;
        Ok(regime.into_iter().map(Spanned::into_inner).collect())
    }

    fn reminders(self) -> Result<Vec<ReminderWords>, String> {
        let file = File { name: "reminder.toml", text: self.reminder };
        let ReminderFile { wording } = file.read()?;
        let check = |words: &ReminderWords| {
            [("before", &words.before), ("after", &words.after), ("source", &words.source)]
                .into_iter()
                .try_for_each(|(key, text)| check_text(key, text))
        };
        file.check(&wording, |words| &words.id, check)?;
        let first = wording.first().map(Spanned::span).unwrap_or_default();
        let all: Vec<ReminderWords> = wording.into_iter().map(Spanned::into_inner).collect();
        check_versions(&all).map_err(|problem| file.wrong(&first, problem))?;
        Ok(all)
    }

    fn help(self) -> Result<Vec<Help>, String> {
        let file = File { name: "help.toml", text: self.help };
        let HelpFile { help } = file.read()?;
        let check = |help: &Help| {
            AgencyId::parse(help.agency.as_str()).map_err(|problem| format!("has an `agency` that {problem}"))?;
            check_versions(&help.versions)?;
            for version in &help.versions {
                for (key, text) in [("title", &version.title), ("text", &version.text), ("source", &version.source)] {
                    check_text(key, text)?;
                }
            }
            Ok(())
        };
        file.check(&help, |help| &help.id, check)?;
        Ok(help.into_iter().map(Spanned::into_inner).collect())
    }
}

fn check_text(key: &str, text: &str) -> Result<(), String> {
    let is_plain = !text.trim().is_empty() && text.chars().count() <= 500 && !text.chars().any(char::is_control);
    if is_plain { Ok(()) } else { Err(format!("must have a `{key}` of one line and at most 500 characters")) }
}

fn check_contact(contact: &Contact) -> Result<(), String> {
    check_versions(&contact.versions)?;
    for version in &contact.versions {
        check_text("name", &version.name)?;
        check_text("source", &version.source)?;
        if version.means.is_empty() {
            return Err(format!("has no `means` to reach `{}`", version.name));
        }
        for means in &version.means {
            check_text("kind", &means.kind)?;
            check_text("value", &means.value)?;
        }
    }
    Ok(())
}

fn known<'a>(key: &str, id: &str, mut all: impl Iterator<Item = &'a str>) -> Result<(), String> {
    if all.any(|known| known == id) { Ok(()) } else { Err(format!("has `{id}` in `{key}`, which is not there")) }
}

fn check_when(when: &When, facts: &Facts) -> Result<(), String> {
    let all = [
        ("when.nations", &when.nations, &facts.nations),
        ("when.sectors", &when.sectors, &facts.sectors),
        ("when.facts", &when.facts, &facts.others),
    ];
    for (key, asked, facts) in all {
        for id in asked {
            known(key, id, facts.iter().map(|fact| fact.id.as_str()))?;
        }
    }
    Ok(())
}

fn check_validity(validity: Validity) -> Result<(), String> {
    if validity.until.is_none_or(|until| validity.from < until) {
        return Ok(());
    }
    Err("must have an `until` later than its `from`".to_owned())
}

/// In order of time, and no two at once.
fn check_versions(versions: &[impl Dated]) -> Result<(), String> {
    if versions.is_empty() {
        return Err("has no version".to_owned());
    }
    let mut last: Option<Validity> = None;
    for validity in versions.iter().map(Dated::validity) {
        check_validity(validity)?;
        if last.is_some_and(|last| last.until.is_none_or(|until| validity.from < until)) {
            return Err("has a version that begins before the one above it ends".to_owned());
        }
        last = Some(validity);
    }
    Ok(())
}

/// The contact is there for as long as the signpost leads to it.
fn check_led_to(contacts: &[Contact], id: &str, validity: Validity) -> Result<(), String> {
    known("contact", id, contacts.iter().map(|contact| contact.id.as_str()))?;
    let versions = contacts.iter().filter(|contact| contact.id == id).flat_map(|contact| &contact.versions);
    let mut at = Some(validity.from);
    for version in versions {
        let holds = version.validity();
        at = at.and_then(|at| if holds.holds_at(at) { holds.until } else { Some(at) });
    }
    match (at, validity.until) {
        (None, _) => Ok(()),
        (Some(at), Some(until)) if until <= at => Ok(()),
        (Some(at), _) => Err(format!("leads to `{id}`, which has no version at {}", UkTime(at))),
    }
}
