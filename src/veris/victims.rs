//! Whom a record names. Names are as people typed them: nothing is guessed, and what may be two names is none.

use serde_json::Value;

use super::{Unusable, string};
use crate::domain::Organisation;

/// An affected organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Victim {
    /// Its name, with single spaces.
    pub(super) name: String,
    /// Its NAICS code, where the record gives one beside the name.
    pub(super) sector: String,
}

/// The victims of a record.
pub(super) struct Victims {
    /// The victim, then the further ones. Never empty.
    pub(super) all: Vec<Result<Victim, Unusable>>,
    /// Every name, folded; of a text that may be several, each that it may be.
    pub(super) named: Vec<String>,
}

/// First words, and words in brackets, that stand where a name should.
const UNKNOWN: [&str; 5] = ["unknown", "unnamed", "undisclosed", "unspecified", "unidentified"];
/// Whole texts that stand where a name should.
const NOBODY: [&str; 12] = [
    "na",
    "n/a",
    "none",
    "null",
    "other",
    "others",
    "etc",
    "etc.",
    "various",
    "multiple",
    "not applicable",
    "not specified",
];
/// What may follow a comma within one organisation's name.
const LEGAL_FORMS: [&str; 16] = [
    "ag",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "limited",
    "llc",
    "llp",
    "ltd",
    "nv",
    "plc",
    "sa",
];

/// Every victim of a record, each once.
pub(super) fn of(record: &Value) -> Victims {
    let main = string(record, "/victim/victim_id").unwrap_or_default();
    let further = record.pointer("/victim/secondary/victim_id").and_then(Value::as_array);
    let further: Vec<&str> = further.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut all = vec![victim(&main)];
    let mut named: Vec<String> = all.iter().flatten().map(|victim| Organisation::folded(&victim.name)).collect();
    for text in further {
        let victim = further_victim(text);
        let said = match &victim {
            Ok(victim) => vec![Organisation::folded(&victim.name)],
            // Whoever they are, they must not be named in another's content either.
            Err(_) => pieces(text).filter(|name| !names_nobody(name)).collect(),
        };
        let known = victim.is_ok() && said.iter().all(|name| named.contains(name));
        named.extend(said);
        if !known {
            all.push(victim);
        }
    }
    named.sort();
    named.dedup();
    Victims { all, named }
}

fn victim(text: &str) -> Result<Victim, Unusable> {
    let name = Organisation::spaced(text);
    if name.is_empty() {
        return Err(Unusable::NoVictim);
    }
    if names_nobody(&Organisation::folded(text)) {
        return Err(Unusable::UnknownVictim);
    }
    Ok(Victim { name, sector: String::new() })
}

/// One of `victim.secondary.victim_id`: a name, and often a NAICS code after a semicolon.
fn further_victim(text: &str) -> Result<Victim, Unusable> {
    let (name, sector) = text.rsplit_once(';').unwrap_or((text, ""));
    let name = name.trim().trim_end_matches(',');
    if !sector.trim().chars().all(|c| c.is_ascii_digit()) || name.contains(';') {
        return Err(Unusable::SeveralVictims);
    }
    let victim = victim(name)?;
    let is_form = |part: &str| LEGAL_FORMS.contains(&part.replace('.', "").trim().to_lowercase().as_str());
    if !name.split(',').skip(1).all(is_form) {
        return Err(Unusable::SeveralVictims);
    }
    Ok(Victim { sector: sector.trim().to_owned(), ..victim })
}

/// What a text would name if it were several names.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split([',', ';']).map(Organisation::folded);
    parts.filter(|name| !name.chars().all(|c| c.is_ascii_digit()))
}

/// Whether a folded text says that nobody is named.
fn names_nobody(folded: &str) -> bool {
    let first = folded.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty());
    first.is_none_or(|first| UNKNOWN.contains(&first))
        || NOBODY.contains(&folded)
        || UNKNOWN.iter().any(|word| folded.contains(&format!("({word}")))
}
