//! Whom a victim may turn to, which clocks the law starts, and what help is on offer: data under `signposts/`.
//!
//! Facts go in and signposts come out. Nothing is read, kept or written, and nothing here says that a duty applies.

mod clock;
mod file;
mod reminder;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::{AgencyId, HelpId, Instant, Invalid};

pub use clock::{Clock, Countdown, Regime, RegimeVersion};
pub use file::{Sources, UkDate};
pub use reminder::{ReminderWording, ReminderWords};

/// The catalogue that is part of the program.
pub static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    // Five literals of this crate; a test reads them.
    Sources::BUNDLED.read().unwrap_or_else(|problem| unreachable!("{problem}"))
});

/// From when until when something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From, inclusive.
    pub from: Instant,
    /// Until, exclusive; none: until further notice.
    pub until: Option<Instant>,
}

impl Validity {
    /// Whether it is so at a time.
    pub fn holds_at(self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// When both are so, where they overlap.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let until = [self.until, other.until].into_iter().flatten().min();
        Self { from: self.from.max(other.from), until }
    }
}

/// What holds from one date to another.
pub trait Dated {
    /// From when until when.
    fn validity(&self) -> Validity;
}

/// The version that holds at a time. Of one thing there are never two.
pub fn version_at<T: Dated>(versions: &[T], at: Instant) -> Option<&T> {
    versions.iter().find(|version| version.validity().holds_at(at))
}

macro_rules! dated {
    ($($name:ident),+) => { $(
        impl Dated for $name {
            fn validity(&self) -> Validity {
                Validity { from: self.from.0, until: self.until.map(|until| until.0) }
            }
        }
    )+ };
}
dated!(ContactVersion, Signpost, RegimeVersion, HelpVersion);

/// One thing that may be stated of a victim.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Its id.
    pub id: String,
    /// What it says.
    pub title: String,
}

/// What may be stated.
#[derive(Debug)]
pub struct Facts {
    /// Where the organisation is.
    pub nations: Vec<Fact>,
    /// What it does, as the NIS Regulations divide it.
    pub sectors: Vec<Fact>,
    /// What else is so.
    pub others: Vec<Fact>,
}

/// What was stated of a victim. Every id in it is one of [`Facts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    nation: Option<String>,
    sector: Option<String>,
    facts: BTreeSet<String>,
}

/// When something is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// In any of these nations; empty: wherever.
    pub nations: Vec<String>,
    /// In any of these sectors; empty: whichever.
    pub sectors: Vec<String>,
    /// Where all of these are so.
    pub facts: Vec<String>,
}

impl When {
    /// What is not stated of nation and sector leaves nothing out: better one contact too many than one too few.
    fn fits(&self, situation: &Situation) -> bool {
        let any = |wanted: &[String], stated: Option<&String>| {
            wanted.is_empty() || stated.is_none_or(|stated| wanted.contains(stated))
        };
        any(&self.nations, situation.nation.as_ref())
            && any(&self.sectors, situation.sector.as_ref())
            && self.facts.iter().all(|fact| situation.facts.contains(fact))
    }
}

/// A body that a victim may turn to, by all its names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Its id, which stays while its name changes.
    pub id: String,
    /// What it was, is and will be called, and how it is reached.
    #[serde(rename = "version")]
    pub versions: Vec<ContactVersion>,
}

/// A contact for as long as this is its name and these are the ways to reach it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactVersion {
    /// Its name.
    pub name: String,
    /// From which day.
    pub from: UkDate,
    /// Until which day, exclusive.
    pub until: Option<UkDate>,
    /// How to reach it, the best way first.
    pub means: Vec<Means>,
    /// Where this comes from.
    pub source: String,
}

/// One way to reach a contact.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// Such as `telephone` or `web`.
    pub kind: String,
    /// The number or the address.
    pub value: String,
    /// What to know first.
    #[serde(default)]
    pub note: String,
}

/// Why somebody in some situation may turn to a contact.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signpost {
    /// Its id.
    pub id: String,
    /// The contact's id.
    pub contact: String,
    /// The lower, the sooner.
    pub order: u32,
    /// In which situation.
    #[serde(default)]
    pub when: When,
    /// Why. Advice, never a verdict.
    pub why: String,
    /// From which day.
    pub from: UkDate,
    /// Until which day, exclusive.
    pub until: Option<UkDate>,
    /// Where this comes from.
    pub source: String,
}

/// A signpost with the contact to which it leads, as both are at a time.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'a> {
    /// The signpost.
    pub signpost: &'a Signpost,
    /// The contact at that time.
    pub contact: &'a ContactVersion,
    /// For how long both are so.
    pub validity: Validity,
}

/// Help that an agency has on offer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Help {
    /// Its id, as offers record it.
    pub id: String,
    /// The agency that offers it.
    pub agency: String,
    /// What it is, from when to when.
    #[serde(rename = "version")]
    pub versions: Vec<HelpVersion>,
}

/// Help for as long as it is described so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelpVersion {
    /// In a few words.
    pub title: String,
    /// What the organisation gets.
    pub text: String,
    /// From which day.
    pub from: UkDate,
    /// Until which day, exclusive.
    pub until: Option<UkDate>,
    /// Where this comes from.
    pub source: String,
}

/// Everything under `signposts/`, checked: what is named is there, and of nothing are there two versions at once.
#[derive(Debug)]
pub struct Catalogue {
    facts: Facts,
    contacts: Vec<Contact>,
    /// In the order in which they are shown.
    signposts: Vec<Signpost>,
    regimes: Vec<Regime>,
    reminders: Vec<ReminderWords>,
    help: Vec<Help>,
}

impl Catalogue {
    /// What may be stated of a victim.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Every contact.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// Every signpost, in the order in which they are shown.
    pub fn signposts(&self) -> &[Signpost] {
        &self.signposts
    }

    /// Every regime.
    pub fn regimes(&self) -> &[Regime] {
        &self.regimes
    }

    /// All help, of every agency and time.
    pub fn help(&self) -> &[Help] {
        &self.help
    }

    /// Reads what was stated of a victim; fields are named as the contract names them.
    pub fn situation(&self, nation: &str, sector: &str, facts: &[String]) -> Result<Situation, Invalid> {
        let one = |field: &str, stated: &str, known: &[Fact]| {
            if stated.is_empty() { Ok(None) } else { known_fact(field, stated, known).map(Some) }
        };
        let (nation, sector) =
            (one("nation", nation, &self.facts.nations)?, one("sector", sector, &self.facts.sectors)?);
        let others = &self.facts.others;
        if facts.len() > others.len() {
            return Err(Invalid::new("facts", format!("must be at most {}", others.len())));
        }
        let fact = |(i, stated): (usize, &String)| known_fact(&format!("facts[{i}]"), stated, others);
        let facts = facts.iter().enumerate().map(fact).collect::<Result<_, _>>()?;
        Ok(Situation { nation, sector, facts })
    }

    /// Whom to turn to in a situation at a time, in order.
    pub fn directions(&self, situation: &Situation, at: Instant) -> Vec<Direction<'_>> {
        let shown = self.signposts.iter().filter(|one| one.validity().holds_at(at) && one.when.fits(situation));
        shown
            .filter_map(|signpost| {
                let contact = self.contact(&signpost.contact, at)?;
                Some(Direction { signpost, contact, validity: signpost.validity().and(contact.validity()) })
            })
            .collect()
    }

    /// What an agency has on offer under an id at a time.
    pub fn help_of(&self, agency: &AgencyId, id: &HelpId, at: Instant) -> Option<&HelpVersion> {
        let help = self.help.iter().find(|help| help.agency == agency.as_str() && help.id == id.as_str())?;
        version_at(&help.versions, at)
    }

    fn contact(&self, id: &str, at: Instant) -> Option<&ContactVersion> {
        let contact = self.contacts.iter().find(|contact| contact.id == id)?;
        version_at(&contact.versions, at)
    }
}

fn known_fact(field: &str, stated: &str, known: &[Fact]) -> Result<String, Invalid> {
    if known.iter().any(|fact| fact.id == stated) {
        return Ok(stated.to_owned());
    }
    let ids: Vec<&str> = known.iter().map(|fact| fact.id.as_str()).collect();
    Err(Invalid::new(field, format!("must be one of {}", ids.join(", "))))
}

#[cfg(test)]
mod tests;
