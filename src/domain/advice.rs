//! What an agency says to the organisation of one of its incidents: a reminder that it may have duties, the same to
//! everybody; a recommendation to turn to another agency, and what came of it; and, apart from what anybody believes, the
//! category that an incident was given.
//!
//! Who does which of these is data of the agreements ([`AdviceTerms`]).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::invalid::unprinted;
use super::{
    AgencyId, AgreementId, Belief, ClauseId, Digest, IncidentId, Instant, Invalid, Means, OfficerId, RecommendationId,
    Rejected, check,
};

/// What an agreement states under `[advice]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdviceTerms {
    /// Where it comes from.
    pub citation: String,
    /// Who reminds the organisations of its own incidents of duties that they may have.
    #[serde(default)]
    pub reminds: BTreeSet<AgencyId>,
    /// Who says which category an incident of its own has.
    #[serde(default)]
    pub categorises: BTreeSet<AgencyId>,
    /// Who recommends what.
    #[serde(default, rename = "recommendation")]
    pub recommendations: Vec<RecommendationTerms>,
}

/// A recommendation that an agency makes to organisations: `[[advice.recommendation]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendationTerms {
    /// Our id of the provision, such as `ico-ncsc-2023/recommend-notifying`.
    pub id: ClauseId,
    /// Who recommends.
    pub by: AgencyId,
    /// To whom the organisation might turn.
    pub towards: AgencyId,
    /// What is recommended, in our words.
    pub text: String,
    /// Where it comes from.
    pub citation: String,
    /// What the agency must believe of the incident: one of these. Empty: nothing.
    #[serde(default)]
    pub beliefs: BTreeSet<Belief>,
}

impl AdviceTerms {
    /// Whether it holds together in this agreement between these parties.
    pub fn check(&self, agreement: &AgreementId, parties: &[AgencyId]) -> Result<(), String> {
        let of_recommendations = self.recommendations.iter().flat_map(|one| [&one.by, &one.towards]);
        let mut named = self.reminds.iter().chain(&self.categorises).chain(of_recommendations);
        if let Some(other) = named.find(|agency| !parties.contains(agency)) {
            return Err(format!("names `{other}`, which is not a party"));
        }
        let mut seen = BTreeSet::new();
        for RecommendationTerms { id, by, towards, beliefs, .. } in &self.recommendations {
            if !id.as_str().starts_with(&format!("{agreement}/")) {
                return Err(format!("the recommendation `{id}` must be named `{agreement}/...`"));
            }
            if !seen.insert(id) {
                return Err(format!("the recommendation `{id}` is there twice"));
            }
            if by == towards {
                return Err(format!("the recommendation `{id}` is to turn to whoever makes it"));
            }
            for belief in beliefs {
                Belief::parse(belief.as_str())
                    .map_err(|wrong| format!("the recommendation `{id}`: {}", wrong.problem))?;
            }
        }
        Ok(())
    }

    /// What this agency recommends under an id.
    pub fn recommendation(&self, by: &AgencyId, id: &ClauseId) -> Option<&RecommendationTerms> {
        self.recommendations.iter().find(|one| one.by == *by && one.id == *id)
    }
}

impl RecommendationTerms {
    /// Fails unless the belief is one for which this is recommended, and said in words.
    pub fn check_belief(&self, belief: Option<&Belief>, words: &str) -> Result<(), Invalid> {
        match belief {
            None => check(self.beliefs.is_empty(), "belief", format!("is required: one of {}", self.all_beliefs())),
            Some(_) if self.beliefs.is_empty() => {
                Err(Invalid::new("belief", "must be empty: this is recommended whatever is believed of the incident"))
            }
            Some(belief) => {
                check(self.beliefs.contains(belief), "belief", format!("must be one of {}", self.all_beliefs()))?;
                check(!words.trim().is_empty(), "words", "is required: say why the agency believes it")
            }
        }
    }

    fn all_beliefs(&self) -> String {
        self.beliefs.iter().map(Belief::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What came of a reminder that is due.
#[derive(Clone, PartialEq, Eq)]
pub enum Reminded {
    /// It was given.
    Given {
        /// When.
        at: Instant,
        /// By what means.
        channel: Means,
        /// The version of the wording.
        wording: String,
        /// SHA-256 over what was said.
        digest: Digest,
    },
    /// It cannot be given.
    NotPossible {
        /// Why, in words.
        reason: String,
    },
}

unprinted!(Reminded);

/// That an organisation was reminded after an incident, or why it cannot be. That a reminder is due is computed
/// whenever it is asked.
#[derive(Debug, Clone)]
pub struct Reminder {
    /// The incident; each has one.
    pub incident: IncidentId,
    /// Whose incident it is.
    pub holder: AgencyId,
    /// From 1; one more with each step.
    pub version: i64,
    /// What came of it.
    pub reminded: Reminded,
    /// Who wrote it down last.
    pub recorded_by: OfficerId,
    /// And when.
    pub recorded_at: Instant,
}

impl Reminder {
    /// Fails unless this can be written down after it: what could not be done may be done later, and nothing else.
    pub fn check_step(&self, next: &Reminded) -> Result<(), Rejected> {
        match (&self.reminded, next) {
            (Reminded::NotPossible { .. }, Reminded::Given { .. }) => Ok(()),
            (Reminded::Given { .. }, _) => Err(Rejected::WrongState("the reminder was given already")),
            (Reminded::NotPossible { .. }, Reminded::NotPossible { .. }) => {
                Err(Rejected::WrongState("it is recorded already that no reminder can be given"))
            }
        }
    }
}

/// What an organisation did about a recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uptake {
    /// It did what was recommended.
    Followed,
    /// It did not.
    NotFollowed,
    /// The agency does not know.
    Unknown,
}

impl Uptake {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Followed, Self::NotFollowed, Self::Unknown];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::NotFollowed => "not-followed",
            Self::Unknown => "unknown",
        }
    }

    /// Reads one.
    pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let one_of = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|uptake| uptake.as_str() == text);
        found.ok_or_else(|| Invalid::new("", format!("must be one of {}", one_of())))
    }
}

/// A recommendation that was made to the organisation of an incident.
#[derive(Clone)]
pub struct Recommendation {
    /// Its id.
    pub id: RecommendationId,
    /// Whose incident it is, and who recommended.
    pub holder: AgencyId,
    /// The incident.
    pub incident: IncidentId,
    /// Which recommendation.
    pub clause: ClauseId,
    /// To whom the organisation might turn.
    pub towards: AgencyId,
    /// What the agency believed of the incident. It is no category, and whoever may categorise has not said it.
    pub belief: Option<Belief>,
    /// Why, and what else was said; may be empty without a belief.
    pub words: String,
    /// By what means it was made.
    pub channel: Means,
    /// When it was made.
    pub made_at: Instant,
    /// Who wrote it down.
    pub recorded_by: OfficerId,
    /// From 1; one more with each outcome.
    pub version: i64,
    /// What came of it, and as of when; none: nobody has said yet.
    pub outcome: Option<(Uptake, Instant)>,
}

unprinted!(Recommendation);

impl Recommendation {
    /// The recommendation with what came of it. An organisation may do later what it did not do at first.
    pub fn with_outcome(self, uptake: Uptake, at: Instant) -> Result<Self, Rejected> {
        if at < self.made_at {
            return Err(Rejected::invalid("outcome_at", "must not be before the recommendation was made"));
        }
        match self.outcome {
            Some((present, _)) if present == uptake => Err(Rejected::WrongState("this outcome is recorded already")),
            _ => Ok(Self { version: self.version + 1, outcome: Some((uptake, at)), ..self }),
        }
    }
}

/// The NCSC's category of an incident, from C1, a national emergency, to C6, a localised incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NcscCategory(u8);

impl NcscCategory {
    /// Reads one, as `C3`.
    pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let number = text.strip_prefix('C').filter(|digits| digits.len() == 1).and_then(|digits| digits.parse().ok());
        let known = number.filter(|number| (1..=6).contains(number));
        known.map(Self).ok_or_else(|| Invalid::new("", "must be one of C1, C2, C3, C4, C5, C6"))
    }
}

impl std::fmt::Display for NcscCategory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "C{}", self.0)
    }
}

/// Which category an incident was given, by an agency that an agreement lets say so.
#[derive(Debug, Clone)]
pub struct Categorisation {
    /// The incident; each has at most one.
    pub incident: IncidentId,
    /// Whose incident it is.
    pub holder: AgencyId,
    /// The category.
    pub category: NcscCategory,
    /// From 1; one more with each change.
    pub version: i64,
    /// Who wrote it down last.
    pub set_by: OfficerId,
    /// And when.
    pub set_at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Result<(), String> {
        let terms: AdviceTerms = toml::from_str(text).map_err(|wrong| wrong.to_string())?;
        terms.check(&AgreementId::known("a-b"), &[AgencyId::known("a"), AgencyId::known("b")])
    }

    #[test]
    fn advice_names_parties_and_recommends_turning_to_somebody_else() {
        let recommendation = |id: &str, by: &str, belief: &str| {
            format!(
                "citation = 'x'\n[[recommendation]]\nid = '{id}'\nby = '{by}'\ntowards = 'b'\ntext = 't'\ncitation = 'c'\nbeliefs = [{belief}]\n"
            )
        };
        terms(&recommendation("a-b/tell", "a", "'grave'")).unwrap();
        terms("citation = 'x'\nreminds = ['a']\ncategorises = ['b']\n").unwrap();
        let wrong = [
            ("citation = 'x'\nreminds = ['c']\n".to_owned(), "names `c`"),
            ("citation = 'x'\ncategorises = ['c']\n".to_owned(), "names `c`"),
            (recommendation("a-b/tell", "c", ""), "names `c`"),
            (recommendation("other/tell", "a", ""), "must be named `a-b/...`"),
            (recommendation("a-b/tell", "b", ""), "whoever makes it"),
            (recommendation("a-b/tell", "a", "'Grave!'"), "a-b/tell"),
            ("reminds = ['a']\n".to_owned(), "citation"),
        ];
        for (text, problem) in wrong {
            let found = terms(&text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }

    #[test]
    fn a_category_is_c1_to_c6() {
        assert_eq!(NcscCategory::parse("C1").unwrap().to_string(), "C1");
        for text in ["", "C0", "C7", "c3", "3", "C03", "C12"] {
            assert!(NcscCategory::parse(text).is_err(), "{text}");
        }
    }
}
