//! What one agency asks a holder.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Activity, AgencyId, AgreementId, Category, Digest, Ground, Identifier, Invalid, NamingReceipt, Occurred, Purpose,
    Question, Reference, RequestId, Requester,
};

/// An organisation and a period, named by the requester on a ground of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedOrganisation {
    /// Any one of these matches.
    pub identifiers: BTreeSet<Identifier>,
    /// The period asked about.
    pub period: Occurred,
    /// The requester's ground for naming it: naming is itself a disclosure.
    pub ground: Ground,
}

/// What an ask is about. It says whom the requester is interested in, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A reference that the holder issued to the requester.
    Reference(Reference),
    /// An organisation and a period.
    Organisation(NamedOrganisation),
}

/// How soon an answer is needed. It is for the holder's officers; no rule looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// In the ordinary course.
    #[default]
    Routine,
    /// Before other work.
    Urgent,
    /// There is a threat to life or to an essential service.
    Immediate,
}

impl Urgency {
    const ALL: [Self; 3] = [Self::Routine, Self::Urgent, Self::Immediate];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "routine",
            Self::Urgent => "urgent",
            Self::Immediate => "immediate",
        }
    }

    /// Reads it; empty is routine.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let found = Self::ALL.into_iter().find(|urgency| urgency.as_str() == text);
        found.ok_or_else(|| Invalid::new("", "is not one of `routine`, `urgent`, `immediate`"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_routine(&self) -> bool {
        *self == Self::Routine
    }
}

/// One call that puts a request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The request that it puts.
    pub question: Question,
    /// The call's idempotency key.
    pub request_id: RequestId,
    /// The officer who asks.
    pub requester: Requester,
    /// The agency asked.
    pub holder: AgencyId,
    /// What it is about.
    pub subject: Subject,
    /// What it would have done.
    #[serde(default, skip_serializing_if = "Activity::is_disclose")]
    pub activity: Activity,
    /// The purpose.
    pub purpose: Purpose,
    /// The form asked for: `organisation-specific` or `anonymised-record`.
    pub form: String,
    /// The categories wanted.
    pub categories: BTreeSet<Category>,
    /// How soon an answer is needed.
    #[serde(default, skip_serializing_if = "Urgency::is_routine")]
    pub urgency: Urgency,
    /// The text of the agreement that the caller relies on, if it says so.
    pub pinned: Option<(AgreementId, Digest)>,
    /// What the requester's own node said about naming the organisation, if the caller shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<NamingReceipt>,
}

impl Ask {
    /// The form in which one incident passes as it is, category by category.
    pub const ORGANISATION_SPECIFIC: &'static str = "organisation-specific";
    /// The form in which one incident passes as an [`AnonymisedRecord`](super::AnonymisedRecord).
    pub const ANONYMISED_RECORD: &'static str = "anonymised-record";

    /// Reads a form; empty is organisation-specific.
    pub fn form(text: &str) -> Result<String, Invalid> {
        match text {
            "" => Ok(Self::ORGANISATION_SPECIFIC.to_owned()),
            Self::ORGANISATION_SPECIFIC | Self::ANONYMISED_RECORD => Ok(text.to_owned()),
            _ => Err(Invalid::new("", "is not one of `organisation-specific`, `anonymised-record`")),
        }
    }

    /// Whether an anonymised record is asked for.
    pub fn is_anonymised(&self) -> bool {
        self.form == Self::ANONYMISED_RECORD
    }
}

super::invalid::unprinted!(NamedOrganisation, Subject, Ask);
