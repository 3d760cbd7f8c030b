//! What an agency should look at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgencyId, Category, EventId, IncidentId, Instant, Purpose};

/// How long before something ends its agency is told, at most; where it lasts less than twice that, at half time.
const NOTICE_MICROS: i64 = 14 * 86_400 * 1_000_000;

/// How long a holder has a request that matches a record before it is told that nobody has decided about it; half the
/// time that is left if that is less.
const UNANSWERED_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A request matches one of the agency's records.
    RequestToLookAt,
    /// A consent is about to end.
    ConsentEnds,
    /// An authorisation is about to end.
    AuthorisationEnds,
    /// The agency's content was released.
    ReleaseMade,
    /// The agency was released content.
    ReleaseReceived,
    /// The holder would release now what was asked for.
    AskAgain,
    /// The holder would release now what was not asked for.
    Offer,
    /// Another agency lets this one see that it is engaged with an organisation.
    Engagement,
    /// What the agency must let another have was not fetched in time.
    DutyOverdue,
    /// A theme that the agency has was confirmed in a new version.
    ThemeRevised,
    /// A theme that the agency has was withdrawn.
    ThemeWithdrawn,
    /// A text was put to the agency for an answer.
    ProposalPut,
    /// An agency answered what was put to it.
    ProposalAnswered,
    /// A message about a proposal came.
    ProposalMessage,
    /// What was put to the agency is concluded.
    ProposalConcluded,
    /// What was put to the agency was published.
    ProposalPublished,
    /// The agency is to stop, to correct or to give back something that it was given.
    Notice,
    /// The agency's officers are to send a notice to an agency that has no system here.
    NoticeToSend,
    /// The recipient said what it did.
    NoticeAcknowledged,
    /// The agency disclosed something wrongly, and its own clocks may run.
    WrongfulRelease,
    /// The organisation of an incident that the agency registered is to be reminded of duties that it may have.
    ReminderDue,
    /// A request matches one of the agency's records, and nobody has decided about it.
    RequestUnanswered,
    /// The recipient has not said what it did, and should have.
    NoticeUnacknowledged,
    /// An agreement of the agency's is to be reviewed.
    ReviewDue,
}

impl EventKind {
    const ALL: [Self; 24] = [
        Self::RequestToLookAt,
        Self::ConsentEnds,
        Self::AuthorisationEnds,
        Self::ReleaseMade,
        Self::ReleaseReceived,
        Self::AskAgain,
        Self::Offer,
        Self::Engagement,
        Self::DutyOverdue,
        Self::ThemeRevised,
        Self::ThemeWithdrawn,
        Self::ProposalPut,
        Self::ProposalAnswered,
        Self::ProposalMessage,
        Self::ProposalConcluded,
        Self::ProposalPublished,
        Self::Notice,
        Self::NoticeToSend,
        Self::NoticeAcknowledged,
        Self::WrongfulRelease,
        Self::ReminderDue,
        Self::RequestUnanswered,
        Self::NoticeUnacknowledged,
        Self::ReviewDue,
    ];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestToLookAt => "request-to-look-at",
            Self::ConsentEnds => "consent-ends",
            Self::AuthorisationEnds => "authorisation-ends",
            Self::ReleaseMade => "release-made",
            Self::ReleaseReceived => "release-received",
            Self::AskAgain => "ask-again",
            Self::Offer => "offer",
            Self::Engagement => "engagement",
            Self::DutyOverdue => "duty-overdue",
            Self::ThemeRevised => "theme-revised",
            Self::ThemeWithdrawn => "theme-withdrawn",
            Self::ProposalPut => "proposal-put",
            Self::ProposalAnswered => "proposal-answered",
            Self::ProposalMessage => "proposal-message",
            Self::ProposalConcluded => "proposal-concluded",
            Self::ProposalPublished => "proposal-published",
            Self::Notice => "notice",
            Self::NoticeToSend => "notice-to-send",
            Self::NoticeAcknowledged => "notice-acknowledged",
            Self::WrongfulRelease => "wrongful-release",
            Self::ReminderDue => "reminder-due",
            Self::RequestUnanswered => "request-unanswered",
            Self::NoticeUnacknowledged => "notice-unacknowledged",
            Self::ReviewDue => "review-due",
        }
    }

    /// Reads a stored kind.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The id of an event of this kind: the same parts give the same id for ever.
    pub fn id(self, parts: &[&str]) -> EventId {
        EventId::known(format!("{}.{}", self.as_str(), parts.join(".")))
    }

    /// Whether it tells an agency what another lets it see: then it is shown only while that is so.
    pub fn is_sight(self) -> bool {
        self == Self::Engagement
    }

    /// Whether it is about a proposal: then it is shown only while its agency may know of that.
    pub fn is_about_a_proposal(self) -> bool {
        matches!(
            self,
            Self::ProposalPut
                | Self::ProposalAnswered
                | Self::ProposalMessage
                | Self::ProposalConcluded
                | Self::ProposalPublished
        )
    }

    /// Whether it tells of what is another agency's to show: then it waits while nothing may be released.
    pub fn is_others(self) -> bool {
        self.is_offer() || self.is_sight() || self.is_about_a_proposal()
    }

    /// Whether it tells an agency what another would release: then it is shown only while that is so.
    pub fn is_offer(self) -> bool {
        matches!(self, Self::AskAgain | Self::Offer)
    }
}

/// One thing that an agency should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub agency: AgencyId,
    /// What it is.
    pub kind: EventKind,
    /// When it becomes due.
    pub at: Instant,
    /// The record that it is about: a request, a consent, an authorisation, an obligation, a theme, a reference, an
    /// engagement, a proposal, a notice, a wrongful release, an agreement or an incident.
    pub object: String,
    /// The rest.
    pub detail: EventDetail,
}

impl Event {
    /// Whether what it asks for can no longer be done at a time: nobody decides about a request that has expired.
    pub fn is_over(&self, at: Instant) -> bool {
        self.kind == EventKind::RequestUnanswered && self.detail.ends_at.is_some_and(|ends_at| ends_at <= at)
    }
}

/// What else an event says, as far as its kind has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventDetail {
    /// The other agency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<AgencyId>,
    /// The holder's incident: shown to the holder alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The purpose offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The categories offered.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Category>,
    /// When what it is about ends, or should have been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Instant>,
    /// The ledger entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

impl EventDetail {
    /// About another agency.
    pub fn with(other: &AgencyId) -> Self {
        Self { other: Some(other.clone()), ..Self::default() }
    }
}

/// When to tell a holder that nobody has decided about a request which is open until then.
pub fn unanswered_at(from: Instant, open_until: Instant) -> Instant {
    Instant::from_micros(from.micros() + UNANSWERED_MICROS.min(open_until.micros_since(from) / 2))
}

/// When to tell an agency that something ends which began, or begins, at `from`.
pub fn notice_before(from: Instant, until: Instant) -> Instant {
    let notice = NOTICE_MICROS.min(until.micros_since(from) / 2);
    Instant::from_micros(until.micros() - notice)
}
