//! What an agreement says of a kind of proposal.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ProposalOutcome;
use crate::domain::{AgencyId, Invalid, Role, check};

/// A kind of proposal, as an agreement states it under `[proposals]`.
#[expect(clippy::struct_excessive_bools, reason = "each is a line of an agreement by itself")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalTerms {
    /// What it is for, in our words.
    pub text: String,
    /// Where it comes from.
    pub citation: String,
    /// Whether it is a kind of document: put for feedback, and asking for no answer.
    #[serde(default)]
    pub document: bool,
    /// Who may open one.
    pub opened_by: BTreeSet<AgencyId>,
    /// To whom it may be put.
    pub put_to: BTreeSet<AgencyId>,
    /// The roles that answer it. Empty of a document, as are the answers.
    #[serde(default)]
    pub answered_by: BTreeSet<Role>,
    /// The answers that agree.
    #[serde(default)]
    pub agreeing: BTreeSet<String>,
    /// The answers that do not.
    #[serde(default)]
    pub objecting: BTreeSet<String>,
    /// What can come of it.
    pub outcomes: BTreeSet<ProposalOutcome>,
    /// Within how many days it should be answered, unless it says otherwise. 0 of a document.
    #[serde(default)]
    pub answer_days: i64,
    /// Whether it is about an incident; otherwise it names none and refers to no organisation.
    #[serde(default)]
    pub names_incident: bool,
    /// Whether the agency that opened it answers, too, before it is agreed or goes ahead.
    #[serde(default)]
    pub opener_answers: bool,
    /// Whether its text is published.
    #[serde(default)]
    pub published: bool,
    /// How many days after it was concluded it may be erased.
    pub retain_days: i64,
}

impl ProposalTerms {
    /// Whether it holds together in an agreement between these parties.
    pub fn check(&self, parties: &[AgencyId]) -> Result<(), String> {
        if let Some(other) = self.opened_by.union(&self.put_to).find(|agency| !parties.contains(agency)) {
            return Err(format!("names `{other}`, which is not a party"));
        }
        if self.opened_by.is_empty() || self.put_to.is_empty() {
            return Err("must say who opens one and to whom it is put".to_owned());
        }
        if self.citation.trim().is_empty() {
            return Err("must say where it comes from: `citation`".to_owned());
        }
        if self.document {
            self.check_document()?;
        } else {
            self.check_answers()?;
        }
        if !self.outcomes.contains(&ProposalOutcome::Withdrawn) {
            return Err("must have the outcome `withdrawn`".to_owned());
        }
        if !(1..=36_525).contains(&self.retain_days) {
            return Err("must have retain_days from 1 to 36525".to_owned());
        }
        Ok(())
    }

    /// Whether a kind of document holds together: nothing in it asks for an answer, names an incident or is published.
    fn check_document(&self) -> Result<(), String> {
        let answers = [&self.agreeing, &self.objecting].into_iter().any(|words| !words.is_empty());
        if answers || !self.answered_by.is_empty() || self.answer_days != 0 || self.opener_answers {
            return Err("is a document, of which no answer is asked".to_owned());
        }
        if self.names_incident || self.published {
            return Err("is a document: it can neither name an incident nor be published here".to_owned());
        }
        let ends = [ProposalOutcome::Superseded, ProposalOutcome::Withdrawn];
        if self.outcomes.iter().any(|outcome| !ends.contains(outcome)) {
            return Err("is a document, whose outcomes are `superseded` and `withdrawn`".to_owned());
        }
        Ok(())
    }

    fn check_answers(&self) -> Result<(), String> {
        if self.answered_by.is_empty() || self.agreeing.is_empty() {
            return Err("must say which roles answer, and which answers agree".to_owned());
        }
        if let Some(word) = self.agreeing.intersection(&self.objecting).next() {
            return Err(format!("has the answer `{word}` as one that agrees and as one that does not"));
        }
        if self.outcomes.contains(&ProposalOutcome::Superseded) {
            return Err("has the outcome `superseded`, which is a document's".to_owned());
        }
        if !(1..=365).contains(&self.answer_days) {
            return Err("must have answer_days from 1 to 365".to_owned());
        }
        Ok(())
    }

    /// Whether one may be opened by the first agency and put to the second.
    pub fn opens(&self, opener: &AgencyId, agency: &AgencyId) -> bool {
        opener != agency && self.opened_by.contains(opener) && self.put_to.contains(agency)
    }

    /// Fails unless it is one of the kind's words.
    pub fn check_answer(&self, word: &str) -> Result<(), Invalid> {
        let all: Vec<&str> = self.agreeing.iter().chain(&self.objecting).map(String::as_str).collect();
        check(all.contains(&word), "answer", format!("is not an answer to this: one of {}", all.join(", ")))
    }
}
