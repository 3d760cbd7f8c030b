//! The nouns of this field and their rules. Nothing here does I/O, reads a clock or draws a random number.

mod agency;
mod anonymised;
mod ask;
mod authorisation;
mod call;
mod consent;
mod consent_history;
mod event;
mod id;
mod identifier;
mod incident;
mod instant;
mod invalid;
mod marking;
mod obligation;
mod organisation;
mod quarter;
mod scheme;
mod suspension;

pub use agency::{Actor, Agency, AgencyName, AgencyNames, Requester};
pub use anonymised::{AnonymisedRecord, AnonymisedValue};
pub use ask::{Ask, NamedOrganisation, Subject, Urgency};
pub use authorisation::Authorisation;
pub use call::{CallKey, Digest};
pub use consent::{Consent, ConsentScope, ConsentState, Coverage, Evidence};
pub use consent_history::{ConsentHistory, ConsentStep};
pub use event::{Event, EventDetail, EventKind, notice_before};
pub use id::{
    AgencyId, AgreementId, AuthorisationId, Category, ClauseId, ConsentId, EventId, Ground, IncidentId, ObligationId,
    OfficerId, OrganisationId, Purpose, Question, Reference, RequestId, Role, Unit,
};
pub use identifier::Identifier;
pub use incident::{Incident, Notification, Occurred};
pub use instant::Instant;
pub use invalid::{Invalid, Rejected, check};
pub use marking::{Classification, Markings, Pap, Tlp};
pub use obligation::Obligation;
pub use organisation::{
    Candidate, DatedName, Merger, NameKind, Organisation, ParentLink, Profile, Resemblance, Span, folded_name,
};
pub use quarter::Quarter;
pub use scheme::{Rule, Scheme};
pub use suspension::{Suspended, Suspension, Suspensions};
