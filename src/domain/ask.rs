//! What one agency asks a holder.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    AgencyId, AgreementId, Category, Digest, Ground, Identifier, Occurred, Purpose, Question, Reference, RequestId,
    Requester,
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
    /// The purpose.
    pub purpose: Purpose,
    /// The form asked for: `organisation-specific`.
    pub form: String,
    /// The categories wanted.
    pub categories: BTreeSet<Category>,
    /// The text of the agreement that the caller relies on, if it says so.
    pub pinned: Option<(AgreementId, Digest)>,
}

impl Ask {
    /// The form in which one incident passes with its organisation's name: the one form there is so far.
    pub const ORGANISATION_SPECIFIC: &'static str = "organisation-specific";
}

super::invalid::unprinted!(NamedOrganisation, Subject, Ask);
