//! Systemic themes: a pattern across organisations, in the holder's words.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::mention::Words;
use super::{
    AgencyId, Digest, IncidentId, Instant, Invalid, OfficerId, OrganisationId, Profile, Quarter, Sector, Technique,
    ThemeId, check,
};

/// What a theme says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Theme {
    /// What stands above it.
    pub title: String,
    /// The sectors, as the statistics name them.
    pub sectors: BTreeSet<Sector>,
    /// MITRE ATT&CK techniques.
    pub techniques: BTreeSet<Technique>,
    /// The first quarter of its period.
    pub from: Quarter,
    /// The last.
    pub to: Quarter,
    /// The pattern.
    pub text: String,
}

impl Theme {
    /// Checks what depends on nothing else but the time.
    pub fn check(&self, at: Instant) -> Result<(), Invalid> {
        check(self.from <= self.to, "to_quarter", "must not be before `from_quarter`")?;
        check(self.to.end() <= at, "to_quarter", "is not over: a theme is about quarters that are")
    }

    /// The field that has a name or an identifier of one of these organisations in it.
    pub fn naming(&self, profiles: &[&Profile]) -> Option<&'static str> {
        [("title", &self.title), ("text", &self.text)].into_iter().find_map(|(field, text)| {
            let words = Words::new(text);
            profiles.iter().any(|profile| words.name(profile)).then_some(field)
        })
    }
}

/// What a version of a theme rests on, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Backing {
    /// How many different organisations.
    pub organisations: u64,
    /// How many incidents.
    pub incidents: u64,
    /// How many of them are at the organisation that has the most.
    pub largest: u64,
}

impl Backing {
    /// Counts the organisations of incidents, one for each incident.
    pub fn of<'a>(organisations: impl IntoIterator<Item = &'a OrganisationId>) -> Self {
        let mut each: BTreeMap<&OrganisationId, u64> = BTreeMap::new();
        for organisation in organisations {
            *each.entry(organisation).or_default() += 1;
        }
        Self {
            organisations: each.len().try_into().unwrap_or(u64::MAX),
            incidents: each.values().sum(),
            largest: each.values().max().copied().unwrap_or_default(),
        }
    }
}

/// That a second officer confirmed a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The officer.
    pub by: OfficerId,
    /// When.
    pub at: Instant,
    /// At how many organisations the incidents at least were, as the agreements asked then.
    pub threshold: u64,
    /// None of them had more than one part in this many of the incidents.
    pub largest_share: u64,
    /// The digest of what recipients get.
    pub digest: Digest,
}

/// One version of a theme.
#[derive(Clone, PartialEq, Eq)]
pub struct ThemeVersion {
    /// From 1.
    pub version: i64,
    /// What it says.
    pub theme: Theme,
    /// The incidents on which it rests, those included that were erased since.
    pub incidents: BTreeSet<IncidentId>,
    /// Who drafted it.
    pub drafted_by: OfficerId,
    /// When.
    pub drafted_at: Instant,
    /// Who confirmed it, if anybody did.
    pub confirmed: Option<Confirmation>,
}

/// A theme as its holder has it.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldTheme {
    /// Its id.
    pub id: ThemeId,
    /// The holder.
    pub holder: AgencyId,
    /// When it was withdrawn, and by whom.
    pub withdrawn: Option<(Instant, OfficerId)>,
    /// The newest first; at least one.
    pub versions: Vec<ThemeVersion>,
}

impl HeldTheme {
    /// The number of its newest version.
    pub fn newest(&self) -> i64 {
        self.versions.first().map_or(0, |version| version.version)
    }

    /// The newest version that was confirmed, whether the theme was withdrawn or not.
    pub fn confirmed(&self) -> Option<(&ThemeVersion, &Confirmation)> {
        self.versions.iter().find_map(|version| Some((version, version.confirmed.as_ref()?)))
    }

    /// Its state, as shown.
    pub fn state(&self) -> &'static str {
        match (&self.withdrawn, self.confirmed()) {
            (Some(_), _) => "withdrawn",
            (None, Some(_)) => "shared",
            (None, None) => "drafted",
        }
    }

    /// The state of one of its versions, as shown.
    pub fn state_of(&self, version: &ThemeVersion) -> &'static str {
        let shared = self.confirmed().map(|(version, _)| version.version);
        if self.withdrawn.is_some() {
            "withdrawn"
        } else if shared == Some(version.version) {
            "shared"
        } else if version.confirmed.is_none() && version.version == self.newest() {
            "drafted"
        } else {
            "superseded"
        }
    }
}

super::invalid::unprinted!(Theme, ThemeVersion, HeldTheme);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_count_once_and_the_largest_by_its_incidents() {
        let ids = ["a", "b", "a", "c", "a"].map(OrganisationId::known);
        assert_eq!(Backing::of(&ids), Backing { organisations: 3, incidents: 5, largest: 3 });
        assert_eq!(Backing::of([]), Backing::default());
    }

    #[test]
    fn techniques_are_known_by_their_form() {
        for text in ["T1486", "T1566.001"] {
            assert!(Technique::parse(text).is_ok(), "{text}");
        }
        for text in ["", "T148", "T14866", "t1486", "T1486.1", "T1486.0011", "T1486.", "T1486 ", "TA0040", "Txxxx"] {
            assert!(Technique::parse(text).is_err(), "{text}");
        }
    }
}
