//! The nouns of this field and their rules. Nothing here does I/O, reads a clock or draws a random number.

mod agency;
mod anonymised;
mod ask;
mod authorisation;
mod call;
mod consent;
mod consent_history;
mod disclosure;
mod event;
mod id;
mod identifier;
mod incident;
mod instant;
mod invalid;
mod marking;
mod mention;
mod naming;
mod notice;
mod obligation;
mod organisation;
mod provenance;
mod quarter;
mod scheme;
mod suspension;
mod theme;
mod wrongful;

pub use agency::{Actor, Agency, AgencyName, AgencyNames, Requester};
pub use anonymised::{AnonymisedRecord, AnonymisedValue};
pub use ask::{Ask, NamedOrganisation, Subject, Urgency};
pub use authorisation::Authorisation;
pub use call::{CallKey, Digest};
pub use consent::{Consent, ConsentScope, ConsentState, Coverage, Evidence, Oral};
pub use consent_history::{ConsentHistory, ConsentStep};
pub use disclosure::{Disclosure, DisclosureTerms, Elsewhere};
pub use event::{Event, EventDetail, EventKind, notice_before, unanswered_at};
pub use id::{
    AgencyId, AgreementId, AuthorisationId, Category, ClauseId, ConsentId, DisclosureId, EventId, Ground, IncidentId,
    Means, NoticeId, ObligationId, OfficerId, OrganisationId, PermissionId, Purpose, Question, Reference, RequestId,
    Role, Sector, Technique, ThemeId, Unit, WrongfulReleaseId,
};
pub use identifier::Identifier;
pub use incident::{Incident, Notification, Occurred};
pub use instant::Instant;
pub use invalid::{Invalid, Rejected, check};
pub use marking::{Classification, Markings, Pap, Tlp};
pub use naming::NamingReceipt;
pub use notice::{Acknowledgement, Notice, NoticeDays, NoticeKind, Said};
pub use obligation::Obligation;
pub use organisation::{
    Candidate, DatedName, Merger, NameKind, Organisation, ParentLink, Profile, Resemblance, Span, folded_name,
};
pub use provenance::{ConsentTerms, Onward, Passage, Permission, PermissionRule, Provenance};
pub use quarter::Quarter;
pub use scheme::{Rule, Scheme};
pub use suspension::{Suspended, Suspension, Suspensions};
pub use theme::{Backing, Confirmation, HeldTheme, Theme, ThemeVersion};
pub use wrongful::{BREACH_HOURS, Frozen, WRONGFUL_CAUSES, WrongfulRelease, frozen_since};
