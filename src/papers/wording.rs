//! The wordings, as data: each file of `papers/` is one version, with the days on which it holds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Letterhead;
use crate::domain::Instant;
use crate::proto::CATEGORIES;

/// The wordings that are part of the program, the oldest first. A version that was used stays, and is never changed.
const FILES: &[&str] = &[include_str!("../../papers/1.toml")];

static WORDINGS: LazyLock<Vec<Wording>> = LazyLock::new(|| {
    // Literals of this crate; a test reads them.
    Wording::read_all(FILES).unwrap_or_else(|problem| unreachable!("{problem}"))
});

/// What the names in braces stand for.
const NAMES: [&str; 7] = ["holder", "recipient", "organisation", "contact", "means", "ground", "revision"];

/// What the papers say in one version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    version: String,
    valid_from: String,
    valid_until: Option<String>,
    pub(super) labels: Labels,
    pub(super) scope: ScopeTexts,
    pub(super) consent_form: FormTexts,
    pub(super) acknowledgement: AcknowledgementTexts,
    pub(super) statement: StatementTexts,
    purposes: BTreeMap<String, String>,
    categories: BTreeMap<String, String>,
    /// The file itself.
    #[serde(skip)]
    text: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    pub(super) organisation: String,
    pub(super) holder: String,
    pub(super) recipient: String,
    pub(super) purposes: String,
    pub(super) enforcement: String,
    pub(super) categories: String,
    pub(super) incident: String,
    pub(super) updates: String,
    pub(super) onward: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) consent: String,
    pub(super) state: String,
    pub(super) recorded: String,
    pub(super) document: String,
    pub(super) made: String,
    pub(super) wording: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeTexts {
    pub(super) enforcement: String,
    pub(super) no_enforcement: String,
    pub(super) one_incident: String,
    pub(super) all_incidents: String,
    pub(super) updates: String,
    pub(super) no_updates: String,
    pub(super) onward: String,
    pub(super) no_onward: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormTexts {
    pub(super) title: String,
    pub(super) introduction: Vec<String>,
    pub(super) scope: String,
    pub(super) withdrawal: String,
    pub(super) withdrawing: Vec<String>,
    pub(super) signing: String,
    pub(super) declaration: String,
    pub(super) lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgementTexts {
    pub(super) title: String,
    pub(super) introduction: Vec<String>,
    pub(super) scope: String,
    pub(super) withdrawal: String,
    pub(super) withdrawing: Vec<String>,
    pub(super) receipts: String,
    pub(super) proof: Vec<String>,
    pub(super) states: States,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct States {
    pub(super) recorded: String,
    pub(super) given: String,
    pub(super) expired: String,
    pub(super) unconfirmed: String,
    pub(super) refused: String,
    pub(super) withdrawn: String,
    pub(super) superseded: String,
    pub(super) entered_in_error: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementTexts {
    pub(super) title: String,
    pub(super) introduction: Vec<String>,
    pub(super) disclosures: String,
    pub(super) none: String,
    pub(super) table: [String; 6],
    pub(super) without_consent: String,
    pub(super) elsewhere: String,
    pub(super) notices: String,
    pub(super) notice_table: [String; 4],
    pub(super) consents: String,
    pub(super) no_consents: String,
    pub(super) withdrawal: String,
    pub(super) receipts: String,
    pub(super) proof: Vec<String>,
    pub(super) notice_kinds: NoticeKinds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NoticeKinds {
    pub(super) stop_further_use: String,
    pub(super) correction: String,
    pub(super) recall: String,
}

impl Wording {
    /// The wording that holds at a time; none where none does.
    pub fn at(at: Instant) -> Option<&'static Self> {
        WORDINGS.iter().rev().find(|wording| wording.holds(at))
    }

    /// Reads wordings, the oldest first. Whatever could go wrong later is an error here, which says what to put right.
    fn read_all(files: &[&'static str]) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        for text in files {
            let wording = Self::read(text)?;
            if let Some(before) = all.last() {
                let ends = before.valid_until.as_deref().map(Instant::on_date);
                let begins = Instant::on_date(&wording.valid_from);
                if ends.is_none_or(|ends| ends.is_err() || ends != begins) {
                    return Err(format!(
                        "wording {} must begin on the day on which the one before ends",
                        wording.version
                    ));
                }
            }
            all.push(wording);
        }
        Ok(all)
    }

    pub(super) fn read(text: &'static str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|e| format!("a wording: {e}"))?;
        check_texts("", &toml::Value::Table(table))?;
        let wording: Self = toml::from_str(text).map_err(|e| format!("a wording: {e}"))?;
        let problem = |what: &str| format!("wording {}: {what}", wording.version);
        let from = Instant::on_date(&wording.valid_from).map_err(|e| problem(&e.problem))?;
        if let Some(until) = &wording.valid_until {
            let until = Instant::on_date(until).map_err(|e| problem(&e.problem))?;
            if until <= from {
                return Err(problem("`valid_until` must be later than `valid_from`"));
            }
        }
        let known = CATEGORIES.iter().map(|(name, _)| *name);
        if !known.clone().all(|name| wording.categories.contains_key(name)) || known.count() != wording.categories.len()
        {
            return Err(problem("`categories` must have each category of the contract, and no other"));
        }
        Ok(Self { text, ..wording })
    }

    fn holds(&self, at: Instant) -> bool {
        let day = |text: &str| Instant::on_date(text).ok();
        let until = self.valid_until.as_deref().and_then(day);
        day(&self.valid_from).is_some_and(|from| from <= at) && until.is_none_or(|until| at < until)
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file, byte for byte: what a digest of the wording is over.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// A purpose in words; one that an agreement has and this wording not, as its name.
    pub(super) fn purpose(&self, id: &str) -> String {
        self.purposes.get(id).map_or_else(|| id.to_owned(), |words| format!("{words} ({id})"))
    }

    /// A category in words.
    pub(super) fn category(&self, id: &str) -> String {
        self.categories.get(id).map_or_else(|| id.to_owned(), |words| format!("{words} ({id})"))
    }
}

/// No text is empty, and only known names are in braces.
fn check_texts(path: &str, value: &toml::Value) -> Result<(), String> {
    match value {
        toml::Value::String(text) if text.trim().is_empty() => Err(format!("wording: `{path}` is empty")),
        toml::Value::String(text) => pieces(text).try_for_each(|piece| match piece {
            Piece::Name(name) if !NAMES.contains(&name) => {
                Err(format!("wording: `{path}` has {{{name}}}, which stands for nothing"))
            }
            _ => Ok(()),
        }),
        toml::Value::Array(all) => all.iter().try_for_each(|one| check_texts(path, one)),
        toml::Value::Table(all) => all.iter().try_for_each(|(name, one)| check_texts(&format!("{path}.{name}"), one)),
        _ => Err(format!("wording: `{path}` is no text")),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// A text taken apart at its braces.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    text.split_inclusive(['{', '}']).map(|part| match part.strip_suffix('}') {
        Some(name) => Piece::Name(name),
        None => Piece::Text(part.strip_suffix('{').unwrap_or(part)),
    })
}

/// The text with what its names stand for. What is put in is text: braces in it stand for themselves.
pub(super) fn filled(text: &str, head: &Letterhead, others: &[(&str, &str)]) -> String {
    let value = |name: &str| match name {
        "holder" => head.holder.as_str(),
        "organisation" => &head.organisation,
        "contact" => &head.contact,
        other => others.iter().find(|(name, _)| *name == other).map_or("", |(_, value)| value),
    };
    pieces(text)
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Name(name) => value(name),
        })
        .collect()
}
