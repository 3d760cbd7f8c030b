//! The affected organisation, as its holder knows it.

use serde::{Deserialize, Serialize};

use super::{AgencyId, Identifier, Instant, Invalid, OrganisationId, Rejected, check};

/// The most identifiers, former names or trading names of one organisation.
const MOST: usize = 16;
/// The most links to parents.
const MOST_PARENTS: usize = 8;

/// From when until when something was so; unset where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// From, inclusive.
    pub from: Option<Instant>,
    /// Until, exclusive.
    pub until: Option<Instant>,
}

/// A name that the organisation had or trades under.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedName {
    /// The name.
    pub name: String,
    /// When.
    pub span: Span,
}

/// A link to a parent in its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentLink {
    /// The parent, in the same holder's register.
    pub parent: OrganisationId,
    /// When.
    pub span: Span,
}

/// That the organisation was merged into another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merger {
    /// The organisation that is left, in the same holder's register.
    pub into: OrganisationId,
    /// When the merger took effect.
    pub at: Instant,
}

/// What the holder states of an organisation. All of it is sealed; of it, identifiers alone match a request.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The name it is known by.
    pub name: String,
    /// Registered identifiers.
    pub identifiers: Vec<Identifier>,
    /// Names that it had.
    #[serde(default)]
    pub former_names: Vec<DatedName>,
    /// Names under which it trades.
    #[serde(default)]
    pub trading_names: Vec<DatedName>,
    /// What it is or was a subsidiary of.
    #[serde(default)]
    pub parents: Vec<ParentLink>,
}

/// An entry of the holder's register.
#[derive(Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The holder's id.
    pub id: OrganisationId,
    /// The holder.
    pub holder: AgencyId,
    /// From 1; one more with every amendment.
    pub version: i64,
    /// What the holder states of it.
    pub profile: Profile,
    /// What it was merged into.
    pub merger: Option<Merger>,
    /// When the register last recorded a merger of it, or of what it had been merged into.
    ///
    /// INVARIANT: it never goes back. A consent permits only if the organisation confirmed it later than this.
    pub merger_recorded_at: Option<Instant>,
}

impl Organisation {
    /// A name with single spaces between its words, and none around them.
    pub fn spaced(name: &str) -> String {
        name.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A name by which two spellings are the same: case and spaces are folded, and nothing else.
    pub fn folded(name: &str) -> String {
        Self::spaced(name).to_lowercase()
    }
}

impl Span {
    fn check(self) -> Result<(), Invalid> {
        let ordered = self.from.zip(self.until).is_none_or(|(from, until)| from < until);
        check(ordered, "until", "must be later than `from`")
    }
}

impl Profile {
    /// Checks what does not depend on other records.
    pub fn check(&self) -> Result<(), Invalid> {
        check_name(&self.name)?;
        check_few(&self.identifiers, "identifiers", MOST)?;
        check_few(&self.former_names, "former_names", MOST)?;
        check_few(&self.trading_names, "trading_names", MOST)?;
        check_few(&self.parents, "parents", MOST_PARENTS)?;
        for (field, names) in [("former_names", &self.former_names), ("trading_names", &self.trading_names)] {
            for (i, dated) in names.iter().enumerate() {
                let within = |problem: Invalid| problem.within(&format!("{field}[{i}]"));
                check_name(&dated.name).map_err(within)?;
                dated.span.check().map_err(within)?;
            }
        }
        for (i, link) in self.parents.iter().enumerate() {
            link.span.check().map_err(|problem| problem.within(&format!("parents[{i}]")))?;
        }
        Ok(())
    }

    /// Every name, with what kind of name it is.
    pub fn names(&self) -> impl Iterator<Item = (NameKind, &str)> {
        let former = self.former_names.iter().map(|dated| (NameKind::Former, dated.name.as_str()));
        let trading = self.trading_names.iter().map(|dated| (NameKind::Trading, dated.name.as_str()));
        std::iter::once((NameKind::Present, self.name.as_str())).chain(former).chain(trading)
    }
}

fn check_name(name: &str) -> Result<(), Invalid> {
    check(!name.trim().is_empty(), "name", "is required")?;
    check(name.chars().count() <= 300, "name", "must have at most 300 characters")?;
    check(!name.chars().any(char::is_control), "name", "must not have control characters")
}

fn check_few<T: PartialEq>(all: &[T], field: &str, most: usize) -> Result<(), Invalid> {
    check(all.len() <= most, field, format!("must be at most {most}"))?;
    for (i, one) in all.iter().enumerate() {
        let first = all.iter().position(|other| other == one);
        check(first == Some(i), &format!("{field}[{i}]"), "is there twice")?;
    }
    Ok(())
}

impl Organisation {
    /// The register's version of it after an amendment. A merged organisation is not amended: it is no more.
    pub fn amended(self, version: i64, profile: Profile) -> Result<Self, Rejected> {
        if self.version != version {
            return Err(Rejected::Changed);
        }
        if self.merger.is_some() {
            return Err(Rejected::WrongState("it was merged into another: correct the merger first if that is wrong"));
        }
        Ok(Self { version: version + 1, profile, ..self })
    }

    /// The register's version of it after a merger, or after a recorded one was corrected (none: entered in error).
    ///
    /// Whatever the correction, consent confirmed before it permits nothing until it is confirmed again.
    pub fn merged(self, version: i64, merger: Option<Merger>, at: Instant) -> Result<Self, Rejected> {
        if self.version != version {
            return Err(Rejected::Changed);
        }
        if merger.is_none() && self.merger.is_none() {
            let problem = "is required: no merger of it is recorded that could have been entered in error";
            return Err(Rejected::invalid("into_organisation_id", problem));
        }
        Ok(Self { version: version + 1, merger, merger_recorded_at: Some(at), ..self })
    }
}

/// What kind of name one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// The one it is known by.
    Present,
    /// One that it had.
    Former,
    /// One under which it trades.
    Trading,
}

impl NameKind {
    /// The kind as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "name",
            Self::Former => "former-name",
            Self::Trading => "trading-name",
        }
    }

    /// Reads a stored kind.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Present, Self::Former, Self::Trading].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why the register holds an organisation for one that somebody speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resemblance {
    /// It has one of the identifiers: exact. Every other reason makes a candidate only.
    Identifier,
    /// It has, had or trades under the name.
    Name(NameKind),
    /// It is or was the parent of one that was found.
    Parent(OrganisationId),
    /// It is or was a subsidiary of one that was found.
    Subsidiary(OrganisationId),
    /// It was merged into one that was found, or that one into it.
    Merged(OrganisationId),
}

impl Resemblance {
    /// The reason as shown.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::Name(kind) => kind.as_str(),
            Self::Parent(_) => "parent",
            Self::Subsidiary(_) => "subsidiary",
            Self::Merged(_) => "merged",
        }
    }

    /// The organisation through which it was found, where it was not found itself.
    pub fn through(&self) -> Option<&OrganisationId> {
        match self {
            Self::Parent(id) | Self::Subsidiary(id) | Self::Merged(id) => Some(id),
            Self::Identifier | Self::Name(_) => None,
        }
    }
}

/// An organisation of the register and why it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Why; at least one.
    pub reasons: Vec<Resemblance>,
}

impl Candidate {
    /// Whether it has one of the identifiers. Nothing else ever matches a request.
    pub fn is_exact(&self) -> bool {
        self.reasons.contains(&Resemblance::Identifier)
    }
}

/// Endings that say what form a company has, not which company it is. Welsh forms stand beside the English ones.
const FORMS: [&str; 24] = [
    "public limited company",
    "limited liability partnership",
    "community interest company",
    "limited partnership",
    "cwmni cyfyngedig cyhoeddus",
    "partneriaeth atebolrwydd cyfyngedig",
    "charitable incorporated organisation",
    "limited",
    "ltd",
    "plc",
    "llp",
    "lp",
    "cic",
    "cio",
    "cyfyngedig",
    "cyf",
    "ccc",
    "pac",
    "incorporated",
    "inc",
    "corporation",
    "corp",
    "company",
    "co",
];

/// A name as it is compared: lower case, nothing but letters and digits with single spaces between, `&` as `and`,
/// without the endings that say what form a company has. Empty where nothing is left to compare.
///
/// It folds different organisations into one, on purpose: a name only ever makes a candidate.
pub fn folded_name(name: &str) -> String {
    let whole = spelt(name);
    let mut folded = whole.as_str();
    // What is nothing but a form is a name after all.
    while let Some(shorter) = FORMS.iter().find_map(|form| folded.strip_suffix(form)?.strip_suffix(' ')) {
        folded = shorter;
    }
    folded.to_owned()
}

/// Words as they are compared: lower case, nothing but letters and digits with single spaces between, `&` as `and`.
pub(super) fn spelt(words: &str) -> String {
    let plain = words.to_lowercase().replace('&', " and ").replace(['\'', '\u{2019}', '.'], "");
    let spaced: String = plain.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

super::invalid::unprinted!(Organisation, Profile, DatedName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_punctuation_and_legal_form() {
        let same = [
            "Example Water plc",
            "EXAMPLE WATER PLC",
            "Example  Water, P.L.C.",
            "Example-Water Limited",
            "Example Water Co. Ltd.",
            "Example Water LLP",
            "Example Water Public Limited Company",
            "Example Water Cyf",
        ];
        for name in same {
            assert_eq!(folded_name(name), "example water", "{name}");
        }
        assert_eq!(folded_name("Smith & Sons Ltd"), folded_name("SMITH AND SONS LIMITED"));
        assert_eq!(folded_name("Sainsbury's"), folded_name("Sainsbury\u{2019}s"));
        assert_eq!(folded_name("Limited"), "limited", "a form alone is a name");
        assert_eq!(folded_name("The Company Ltd"), "the");
        assert_eq!(folded_name("..."), "");
        for (one, other) in [("Example Water", "Example Waters"), ("A1", "A 1"), ("Caf\u{e9}", "Cafe")] {
            assert_ne!(folded_name(one), folded_name(other), "{one} and {other}");
        }
    }
}
