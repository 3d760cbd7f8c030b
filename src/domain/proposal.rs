//! A proposal: a text that one agency puts to others, what they answer, and what comes of it. One that asks for no
//! answer is a document of the library.
//!
//! One shape for every kind. What a kind allows is data of the agreements ([`ProposalTerms`]); who may see what was put
//! is decided elsewhere, each time anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invalid::unprinted;
use super::{
    AgencyId, Digest, IncidentId, Instant, Invalid, OfficerId, ProposalId, ProposalKind, Purpose, Rejected, Tlp, check,
};

mod document;
mod terms;

pub use document::Citation;
pub use terms::ProposalTerms;

/// What came of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalOutcome {
    /// Each agency to which it was put agreed to the newest text.
    Agreed,
    /// Not all did: those that did not objected, or did not answer in time.
    WentAhead,
    /// Each agency to which it was put objected.
    Declined,
    /// Nothing is left to do.
    Closed,
    /// Another document stands in its place.
    Superseded,
    /// It is no longer proposed.
    Withdrawn,
}

impl ProposalOutcome {
    /// That it is concluded, and not how.
    pub const TOLD: &str = "concluded";

    const ALL: [Self; 6] =
        [Self::Agreed, Self::WentAhead, Self::Declined, Self::Closed, Self::Superseded, Self::Withdrawn];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::WentAhead => "went-ahead",
            Self::Declined => "declined",
            Self::Closed => "closed",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What an agency to which it was put is told of it: never what would say how another one answered.
    pub fn as_told(self) -> &'static str {
        match self {
            Self::Agreed | Self::WentAhead | Self::Declined => Self::TOLD,
            Self::Closed | Self::Superseded | Self::Withdrawn => self.as_str(),
        }
    }

    /// Reads one.
    pub fn parse(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let all = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        found.ok_or_else(|| Invalid::new("", format!("must be one of {all}")))
    }
}

/// What a proposal says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalWords {
    /// What stands above it.
    pub title: String,
    /// The text.
    pub text: String,
    /// Not to be published before.
    pub embargo_until: Option<Instant>,
    /// By when the agency that opened it must itself act.
    pub due_at: Option<Instant>,
    /// How far it may go. A document's, and each document's.
    #[serde(default)]
    pub tlp: Option<Tlp>,
    /// What it cites, if it is a document.
    #[serde(default)]
    pub citations: Vec<Citation>,
}

/// A version of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalText {
    /// Its number, from 1.
    pub version: i64,
    /// What it says. None: erased.
    pub words: Option<ProposalWords>,
    /// Binds what is answered to exactly this text.
    pub digest: Digest,
    /// Who wrote it.
    pub written_by: OfficerId,
}

/// That a version was put to an agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalPut {
    /// The agency.
    pub agency: AgencyId,
    /// Which version.
    pub version: i64,
    /// For which purpose the agency is to know of the incident, where there is one.
    pub purpose: Option<Purpose>,
    /// By when it should be answered. None: it is a document.
    pub answer_by: Option<Instant>,
    /// When.
    pub at: Instant,
}

/// What an officer said, and what of the officer other agencies may know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidBy {
    /// What was said.
    pub text: String,
    /// The officer's unit.
    pub unit: String,
    /// Stands for the officer.
    pub pseudonym: String,
}

unprinted!(ProposalWords, SaidBy);

/// What an agency answered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalAnswer {
    /// The agency.
    pub agency: AgencyId,
    /// Its number among the agency's, from 1.
    pub number: i64,
    /// The version that it is about.
    pub version: i64,
    /// The answer.
    pub word: String,
    /// What went with it. None: erased.
    pub said: Option<SaidBy>,
    /// When.
    pub at: Instant,
}

/// How a proposal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concluded {
    /// What came of it.
    pub outcome: ProposalOutcome,
    /// Why it went ahead. Empty otherwise, and once erased.
    pub why: String,
    /// Who concluded it.
    pub by: OfficerId,
    /// When.
    pub at: Instant,
}

/// A proposal with all that is known of it, messages apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// The agency that opened it, whose it is.
    pub opener: AgencyId,
    /// Its kind.
    pub kind: ProposalKind,
    /// Whether it is a document of the library, which asks for no answer.
    pub is_document: bool,
    /// The opener's own incident that it is about; nobody else's to know.
    pub incident: Option<IncidentId>,
    /// When it was opened.
    pub opened_at: Instant,
    /// Its texts, the newest first; at least one.
    pub texts: Vec<ProposalText>,
    /// What was put to whom, in the order of time.
    pub puts: Vec<ProposalPut>,
    /// What was answered, in the order of time.
    pub answers: Vec<ProposalAnswer>,
    /// How it ended.
    pub concluded: Option<Concluded>,
    /// When its text was published.
    pub published_at: Option<Instant>,
    /// Whether what it said was erased.
    pub is_erased: bool,
}

impl Proposal {
    /// The number of the newest text.
    pub fn newest(&self) -> i64 {
        self.texts.first().map_or(0, |text| text.version)
    }

    /// One of its texts.
    pub fn text(&self, version: i64) -> Option<&ProposalText> {
        self.texts.iter().find(|text| text.version == version)
    }

    /// What was put to each agency last.
    pub fn last_puts(&self) -> BTreeMap<&AgencyId, &ProposalPut> {
        self.puts.iter().map(|put| (&put.agency, put)).collect()
    }

    /// What was put to this agency last.
    pub fn put_to(&self, agency: &AgencyId) -> Option<&ProposalPut> {
        self.puts.iter().rev().find(|put| put.agency == *agency)
    }

    /// What an agency last said of one version.
    pub fn answer_of(&self, agency: &AgencyId, version: i64) -> Option<&ProposalAnswer> {
        self.answers.iter().rev().find(|answer| answer.agency == *agency && answer.version == version)
    }

    /// Whether a put has no answer although its time is over. Computed, never stored.
    pub fn is_late(&self, put: &ProposalPut, at: Instant) -> bool {
        let is_over = put.answer_by.is_some_and(|answer_by| answer_by <= at);
        self.concluded.is_none() && is_over && self.answer_of(&put.agency, put.version).is_none()
    }

    /// Where it stands, for this agency's eyes: how it ended is the opener's to know.
    pub fn state(&self, reader: &AgencyId) -> &'static str {
        match (&self.concluded, self.published_at) {
            _ if self.is_erased => "erased",
            (_, Some(_)) => "published",
            (Some(concluded), None) if *reader == self.opener => concluded.outcome.as_str(),
            (Some(concluded), None) => concluded.outcome.as_told(),
            (None, None) if self.puts.is_empty() => "draft",
            (None, None) => "put",
        }
    }

    /// How many times a text was put to this agency.
    pub fn times_put_to(&self, agency: &AgencyId) -> i64 {
        i64::try_from(self.puts.iter().filter(|put| put.agency == *agency).count()).unwrap_or(i64::MAX)
    }

    /// Nothing more happens to what was concluded.
    pub fn check_open(&self) -> Result<(), Rejected> {
        let problem = "it is concluded, which is for good: open another";
        if self.concluded.is_some() { Err(Rejected::WrongState(problem)) } else { Ok(()) }
    }

    /// What another agency may know of it: the text that was put to it last, and its own answers.
    ///
    /// Versions are numbered anew, from 1, in the order in which they were put to it: how many it never saw does not
    /// show.
    #[must_use]
    pub fn as_put_to(mut self, agency: &AgencyId) -> Self {
        let version = self.put_to(agency).map_or(0, |put| put.version);
        self.puts.retain(|put| put.agency == *agency);
        let order: Vec<i64> = self.puts.iter().map(|put| put.version).collect();
        let number =
            |version: &mut i64| *version = (1_i64..).zip(&order).find(|(_, put)| *put == version).map_or(0, |(n, _)| n);
        self.texts.retain(|text| text.version == version);
        self.answers.retain(|answer| answer.agency == *agency);
        self.puts.drain(..self.puts.len().saturating_sub(1));
        self.texts.iter_mut().for_each(|text| number(&mut text.version));
        self.puts.iter_mut().for_each(|put| number(&mut put.version));
        self.answers.iter_mut().for_each(|answer| number(&mut answer.version));
        self.incident = None;
        self
    }

    /// Whether the agency can answer this text now.
    ///
    /// Of a text that was changed since it was put, or is not the one that the officer read, nothing can be said.
    pub fn check_answerable(&self, agency: &AgencyId, digest: Digest) -> Result<&ProposalText, Rejected> {
        self.check_open()?;
        let newest = self.texts.first().ok_or(Rejected::NotFound("proposal"))?;
        let is_own = *agency == self.opener;
        if !is_own && self.put_to(agency).is_some_and(|put| put.version != newest.version) {
            let problem = "its text has changed since it was put to you: answer once it is put again";
            return Err(Rejected::WrongState(problem));
        }
        if newest.digest == digest { Ok(newest) } else { Err(Rejected::Changed) }
    }

    /// Whether this outcome may be stated now. `terms` are those between the opener and an agency.
    ///
    /// Rows N2, N4 and N6 of the design: an outcome never says more than the answers to the very text do.
    pub fn check_outcome<'a>(
        &self,
        outcome: ProposalOutcome,
        why: &str,
        terms: impl Fn(&AgencyId) -> Option<&'a ProposalTerms>,
        at: Instant,
    ) -> Result<(), Rejected> {
        self.check_open()?;
        let wrong = |problem| Err(Rejected::WrongState(problem));
        let explains = outcome == ProposalOutcome::WentAhead;
        check(explains || why.is_empty(), "why", "must not be set unless it went ahead")?;
        check(!explains || !why.trim().is_empty(), "why", "is required: why it was not practicable to agree")?;
        if outcome == ProposalOutcome::Withdrawn {
            return Ok(());
        }
        let puts = self.last_puts();
        if puts.is_empty() {
            return wrong("it was put to nobody: withdraw it, or put it to somebody");
        }
        // Nothing but what all of these say can come of it.
        let Some(applicable) = puts.keys().map(|agency| terms(agency)).collect::<Option<Vec<_>>>() else {
            return wrong("no agreement in force has this kind with each agency it was put to: withdraw it");
        };
        let is_had = applicable.iter().all(|terms| terms.outcomes.contains(&outcome));
        check(is_had, "outcome", "is not one that the agreement has for this kind")?;
        let newest = self.newest();
        let said = |agency: &AgencyId, version: i64, agreeing: bool| {
            let (answer, terms) = (self.answer_of(agency, version)?, terms(agency)?);
            let words = if agreeing { &terms.agreeing } else { &terms.objecting };
            Some(words.contains(&answer.word))
        };
        let all = |agreeing| puts.iter().all(|(agency, _)| said(agency, newest, agreeing) == Some(true));
        // No silence is shorter than the agreement's days for an answer, whatever the opener asked for.
        let is_silent = |put: &ProposalPut| {
            let days = terms(&put.agency).map_or(i64::MAX, |terms| terms.answer_days);
            put.answer_by.is_some_and(|answer_by| answer_by <= at) && put.at.plus_days(days) <= at
        };
        let waits = |put: &ProposalPut| self.answer_of(&put.agency, newest).is_none() && !is_silent(put);
        match outcome {
            ProposalOutcome::Agreed | ProposalOutcome::WentAhead => {
                if puts.values().any(|put| put.version != newest) {
                    return wrong("its text has changed: put it again to each agency that has an earlier one");
                }
                let approved = |terms: &ProposalTerms| {
                    self.answer_of(&self.opener, newest).is_some_and(|answer| terms.agreeing.contains(&answer.word))
                };
                if !applicable.iter().filter(|terms| terms.opener_answers).all(|terms| approved(terms)) {
                    return wrong("your own agency has not agreed to this text: see AnswerProposal");
                }
                match (outcome, all(true)) {
                    (ProposalOutcome::Agreed, false) => wrong("not every agency has agreed to this text"),
                    (ProposalOutcome::WentAhead, true) => wrong("every agency has agreed to this text: it is `agreed`"),
                    (ProposalOutcome::WentAhead, false) if puts.values().any(|put| waits(put)) => {
                        wrong("an agency that has not answered still has time")
                    }
                    _ => Ok(()),
                }
            }
            ProposalOutcome::Declined if !all(false) => wrong("not every agency has objected to this text"),
            ProposalOutcome::Declined
            | ProposalOutcome::Closed
            | ProposalOutcome::Superseded
            | ProposalOutcome::Withdrawn => Ok(()),
        }
    }

    /// Whether its text may be stated as published: the one that was concluded on, after its embargo.
    pub fn check_publishable(&self, digest: Digest, at: Instant) -> Result<(), Rejected> {
        let outcome = self.concluded.as_ref().map(|concluded| concluded.outcome);
        if !matches!(outcome, Some(ProposalOutcome::Agreed | ProposalOutcome::WentAhead)) {
            return Err(Rejected::WrongState("it is neither agreed nor did it go ahead"));
        }
        if self.published_at.is_some() {
            return Err(Rejected::WrongState("it is published already"));
        }
        let newest = self.texts.first().ok_or(Rejected::NotFound("proposal"))?;
        check(newest.digest == digest, "digest", "is not the digest of the text that was concluded on")?;
        let embargo = newest.words.as_ref().and_then(|words| words.embargo_until);
        if embargo.is_some_and(|until| at < until) {
            return Err(Rejected::WrongState("its embargo has not ended"));
        }
        Ok(())
    }

    /// From when it may be erased, if it is concluded.
    pub fn erase_from(&self, retain_days: i64) -> Option<Instant> {
        self.concluded.as_ref().map(|concluded| concluded.at.plus_days(retain_days))
    }
}

/// A message between the agency that opened a proposal and one to which it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalMessage {
    /// The agency to which it was put.
    pub agency: AgencyId,
    /// Its number between the two, from 1.
    pub number: i64,
    /// Which of the two sent it.
    pub sender: AgencyId,
    /// What it says.
    pub said: SaidBy,
    /// What goes with it.
    pub files: Vec<AttachedFile>,
    /// When.
    pub at: Instant,
}

/// A file without its content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 over the content.
    pub digest: Digest,
    /// How long the content is.
    pub size_bytes: i64,
}

unprinted!(AttachedFile);

/// The most messages between two agencies about one proposal.
pub const MOST_MESSAGES: i64 = 200;
/// The most bytes of attachments between two agencies about one proposal.
pub const MOST_ATTACHED_BYTES: i64 = 4 * 1_024 * 1_024;

#[cfg(test)]
mod tests;
