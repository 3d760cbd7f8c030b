//! Who may speak for an organisation, and for what.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgencyId, Digest, Instant, MandateId, OfficerId, OrganisationId};

/// What an agent may do with its principal's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MandatedAct {
    /// Give it.
    Give,
    /// Narrow it.
    Narrow,
    /// Withdraw it.
    Withdraw,
}

impl MandatedAct {
    const ALL: [Self; 3] = [Self::Give, Self::Narrow, Self::Withdraw];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Give => "give",
            Self::Narrow => "narrow",
            Self::Withdraw => "withdraw",
        }
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == text)
    }
}

/// What is sealed of a mandate: persons are named in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MandateTerms {
    /// The agent's name.
    pub name: String,
    /// What it is, such as `law-firm`: the holder's own word.
    pub kind: String,
    /// How it is reached.
    pub contact: String,
    /// What it may do.
    pub acts: BTreeSet<MandatedAct>,
    /// Who signed for the organisation.
    pub signatory: String,
    /// With what authority.
    pub authority: String,
    /// How the document came.
    pub channel: String,
    /// SHA-256 over the document that the holder keeps.
    pub digest: Digest,
    /// When the holder received it.
    pub received_at: Instant,
}

/// That an organisation lets an agent speak for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mandate {
    /// The holder's id.
    pub id: MandateId,
    /// The holder.
    pub holder: AgencyId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// Who may do what, and what shows it.
    pub terms: MandateTerms,
    /// From when, inclusive.
    pub valid_from: Instant,
    /// Until when, exclusive.
    pub valid_until: Instant,
    /// Who wrote it down.
    pub recorded_by: OfficerId,
    /// When.
    pub recorded_at: Instant,
    /// When it was ended.
    pub ended_at: Option<Instant>,
}

impl Mandate {
    /// Whether it stands at a time.
    pub fn stands(&self, at: Instant) -> bool {
        self.valid_from <= at && at < self.valid_until && self.ended_at.is_none_or(|ended| at < ended)
    }

    /// Why it doesn't let its agent do this for the organisation at both of these times; none if it does.
    ///
    /// When the agent said it and when it is written down: an ended mandate is not revived by an earlier date.
    pub fn problem(
        &self,
        organisation: &OrganisationId,
        act: MandatedAct,
        times: [Instant; 2],
    ) -> Option<&'static str> {
        if self.organisation != *organisation {
            return Some(Self::NOT_KNOWN);
        }
        if !self.terms.acts.contains(&act) {
            return Some("is a mandate that does not cover this");
        }
        let stands = times.into_iter().all(|at| self.stands(at));
        (!stands).then_some("is a mandate that did not stand when the agent said it, or does not stand now")
    }

    /// What is said of a mandate that is not this organisation's, or not there.
    pub const NOT_KNOWN: &str = "is not a mandate of this organisation";
}

super::invalid::unprinted!(MandateTerms, Mandate);
