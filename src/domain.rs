//! The nouns of this field and their rules. Nothing here does I/O, reads a clock or draws a random number.

mod activity;
mod advice;
mod agency;
mod anonymised;
mod ask;
mod authorisation;
mod call;
mod consent;
mod consent_history;
mod disclosure;
mod engagement;
mod event;
mod help;
mod id;
mod identifier;
mod incident;
mod instant;
mod invalid;
mod last_list;
mod mandate;
mod marking;
mod mention;
mod naming;
mod notice;
mod obligation;
mod organisation;
mod padding;
mod proposal;
mod provenance;
mod quarter;
mod scheme;
mod suspension;
mod theme;
mod uk_time;
mod wrongful;

pub use activity::Activity;
pub use advice::{
    AdviceTerms, Categorisation, NcscCategory, Recommendation, RecommendationTerms, Reminded, Reminder, Uptake,
};
pub use agency::{Actor, Agency, AgencyName, AgencyNames, Requester};
pub use anonymised::{AnonymisedRecord, AnonymisedValue};
pub use ask::{Ask, NamedOrganisation, Subject, Urgency};
pub use authorisation::Authorisation;
pub use call::{CallKey, Digest};
pub use consent::{Consent, ConsentScope, ConsentState, Coverage, Evidence, Oral};
pub use consent_history::{ConsentHistory, ConsentStep};
pub use disclosure::{Disclosure, DisclosureTerms, Elsewhere};
pub use engagement::{AskOfVictim, Engaged, Engagement, EngagementPut, EngagementTerms, Lead, together};
pub use event::{Event, EventDetail, EventKind, notice_before, unanswered_at};
pub use help::{HelpOffer, HelpState};
pub use id::{
    AgencyId, AgreementId, AuthorisationId, Belief, Category, ClauseId, ConsentId, DisclosureId, EngagementId, EventId,
    Ground, HelpId, HelpOfferId, IncidentId, MandateId, Means, NoticeId, ObligationId, OfficerId, OrganisationId,
    PermissionId, ProposalId, ProposalKind, Purpose, Question, RecommendationId, Reference, RequestId, Role, Sector,
    Technique, ThemeId, Unit, WrongfulReleaseId,
};
pub use identifier::Identifier;
pub use incident::{Incident, Notification, Occurred};
pub use instant::Instant;
pub use invalid::{Invalid, Rejected, check};
pub use last_list::{LastList, ListStand};
pub use mandate::{Mandate, MandateTerms, MandatedAct};
pub use marking::{Classification, Markings, Pap, Tlp};
pub use naming::NamingReceipt;
pub use notice::{Acknowledgement, Notice, NoticeDays, NoticeKind, Said};
pub use obligation::Obligation;
pub use organisation::{
    Candidate, DatedName, Merger, NameKind, Organisation, ParentLink, Profile, Resemblance, Span, folded_name,
};
pub use padding::{Lacking, Made, Padding};
pub use proposal::{
    AttachedFile, Citation, Concluded, MOST_ATTACHED_BYTES, MOST_MESSAGES, Proposal, ProposalAnswer, ProposalMessage,
    ProposalOutcome, ProposalPut, ProposalTerms, ProposalText, ProposalWords, SaidBy,
};
pub use provenance::{ConsentTerms, Onward, Passage, Permission, PermissionRule, Provenance};
pub use quarter::Quarter;
pub use scheme::{Rule, Scheme};
pub use suspension::{Part, Suspended, Suspension, Suspensions, certificate_name};
pub use theme::{Backing, Confirmation, HeldTheme, Theme, ThemeVersion};
pub use uk_time::UkTime;
pub use wrongful::{BREACH_HOURS, Frozen, WRONGFUL_CAUSES, WrongfulRelease, frozen_since};
