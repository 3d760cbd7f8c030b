//! The organisation's consent: its scope, its states, and what may follow what.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    AgencyId, Category, ConsentId, Digest, Disclosure, Incident, IncidentId, Instant, Invalid, MandateId, OfficerId,
    OrganisationId, Purpose, check,
};

/// Where one version of a consent stands. Only `Given` permits; "expired" is computed, never a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentState {
    /// The organisation was asked.
    Sought,
    /// Written down, not verified.
    Recorded,
    /// Verified by another officer than the recorder.
    Given,
    /// The organisation said no.
    Refused,
    /// The organisation took it back.
    Withdrawn,
    /// A later version took its place.
    Superseded,
    /// It was never given: whoever wrote it down was mistaken.
    EnteredInError,
}

impl ConsentState {
    /// The state as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sought => "sought",
            Self::Recorded => "recorded",
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
            Self::EnteredInError => "entered-in-error",
        }
    }

    /// Reads a stored state.
    pub fn parse(text: &str) -> Option<Self> {
        let ended = [Self::Refused, Self::Withdrawn, Self::Superseded, Self::EnteredInError];
        let all = [Self::Sought, Self::Recorded, Self::Given].into_iter().chain(ended);
        all.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing follows but a new version.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Refused | Self::Withdrawn | Self::Superseded | Self::EnteredInError)
    }
}

/// Which incidents a consent is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// All of the organisation's incidents.
    AllIncidents,
    /// One incident, as the organisation saw it.
    Incident {
        /// The incident.
        id: IncidentId,
        /// The revision that it saw.
        revision: i64,
        /// Whether later revisions are covered.
        covers_updates: bool,
    },
}

/// What an organisation permits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentScope {
    /// The one receiving agency.
    pub recipient: AgencyId,
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// Whether for enforcement against the organisation.
    pub enforcement: bool,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// Which incidents.
    pub coverage: Coverage,
    /// Whether the recipient may ask to pass it on.
    pub onward: bool,
    /// From when, inclusive.
    pub valid_from: Instant,
    /// Until when, exclusive.
    pub valid_until: Instant,
}

impl ConsentScope {
    /// The longest a consent lasts: two years, after which the organisation is asked again.
    const LONGEST_DAYS: i64 = 731;

    /// Checks what does not depend on other records.
    pub fn check(&self) -> Result<(), Invalid> {
        check(self.valid_from < self.valid_until, "valid_until", "must be later than `valid_from`")?;
        let longest = self.valid_from.plus_days(Self::LONGEST_DAYS);
        check(self.valid_until <= longest, "valid_until", "must be at most two years after `valid_from`")
    }

    /// Checks that `self` permits nothing that `present` does not.
    pub fn check_within(&self, present: &Self) -> Result<(), Invalid> {
        check(self.recipient == present.recipient, "recipient", "is not the present recipient")?;
        check(self.purposes.is_subset(&present.purposes), "purposes", "are not all within the present ones")?;
        check(!self.enforcement || present.enforcement, "enforcement", "is not permitted at present")?;
        check(self.categories.is_subset(&present.categories), "categories", "are not all within the present ones")?;
        check(!self.onward || present.onward, "onward", "is not permitted at present")?;
        check(self.valid_from >= present.valid_from, "valid_from", "is earlier than at present")?;
        check(self.valid_until <= present.valid_until, "valid_until", "is later than at present")?;
        match (&self.coverage, &present.coverage) {
            (_, Coverage::AllIncidents) => Ok(()),
            (Coverage::AllIncidents, Coverage::Incident { .. }) => {
                Err(Invalid::new("incident_id", "is required: at present one incident is covered"))
            }
            (
                Coverage::Incident { id, revision, covers_updates },
                Coverage::Incident { id: present_id, revision: present_revision, covers_updates: present_updates },
            ) => {
                check(id == present_id, "incident_id", "is not the incident covered at present")?;
                let same = revision == present_revision || (*present_updates && revision > present_revision);
                check(same, "revision", "is not covered at present")?;
                check(!covers_updates || *present_updates, "covers_updates", "is not permitted at present")
            }
        }
    }

    /// Whether it still permits what was disclosed. From when it counts doesn't matter: that was judged then. A
    /// revision earlier than the one it names was seen with it.
    pub fn still_permits(&self, made: &Disclosure, at: Instant) -> bool {
        let terms = &made.terms;
        let covers = match &self.coverage {
            Coverage::AllIncidents => true,
            Coverage::Incident { id, revision, covers_updates } => {
                *id == made.incident && (made.revision <= *revision || *covers_updates)
            }
        };
        covers
            && at < self.valid_until
            && self.recipient == made.recipient
            && terms.purpose.as_ref().is_none_or(|purpose| self.purposes.contains(purpose))
            && terms.elsewhere.as_ref().is_none_or(|made| made.purposes.is_subset(&self.purposes))
            && (self.enforcement || !terms.enforcement)
            && (self.onward || !terms.onward)
            && terms.categories.is_subset(&self.categories)
    }

    fn covers(&self, incident: &Incident) -> bool {
        match &self.coverage {
            Coverage::AllIncidents => true,
            Coverage::Incident { id, revision, covers_updates } => {
                *id == incident.id
                    && (*revision == incident.revision || (*covers_updates && *revision < incident.revision))
            }
        }
    }
}

/// What shows that the organisation permits it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who signed.
    pub signatory: String,
    /// With what authority.
    pub authority: String,
    /// How it came.
    pub channel: String,
    /// SHA-256 over the document that the holder keeps.
    pub digest: Digest,
    /// When the holder received it.
    pub received_at: Instant,
    /// How it was checked, where it was spoken. None: it is in writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oral: Option<Oral>,
    /// The mandate of the agent that gave it. None: the organisation itself did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<MandateId>,
}

/// How an officer made sure who said it and what was said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oral {
    /// Who took it, by the `sub` of that officer's tokens. Another officer verifies it; that can only be told by this.
    pub taken_by: OfficerId,
    /// SHA-256 over the verified contact that was called back, as the holder keeps it.
    pub contact: Digest,
    /// When that contact was called back. It confirmed the scope that was read to it: without that there is no record.
    pub called_back_at: Instant,
}

impl Oral {
    /// The channel of evidence that was spoken.
    pub const CHANNEL: &str = "oral";

    /// Words for other ways of speaking: evidence of these is oral, and must say how it was checked.
    const SPOKEN: [&str; 15] = [
        "call",
        "conversation",
        "face-to-face",
        "in-person",
        "meeting",
        "mobile",
        "phone",
        "phone-call",
        "spoken",
        "telephone",
        "telephone-call",
        "verbal",
        "video-call",
        "voice",
        "voicemail",
    ];

    /// A channel as it is compared: without what people write differently.
    fn folded(channel: &str) -> String {
        channel.split(|c: char| c.is_whitespace() || c == '-' || c == '_').filter(|word| !word.is_empty()).fold(
            String::new(),
            |folded, word| {
                let between = if folded.is_empty() { "" } else { "-" };
                folded + between + &word.to_lowercase()
            },
        )
    }

    /// Whether this is [`Self::CHANNEL`], in whatever case.
    pub fn is_oral(channel: &str) -> bool {
        Self::folded(channel) == Self::CHANNEL
    }

    /// Whether this is another word for a channel that is spoken.
    pub fn is_spoken(channel: &str) -> bool {
        Self::SPOKEN.contains(&Self::folded(channel).as_str())
    }

    /// When what was first said at a time ends by itself.
    pub fn ends(first_given: Instant) -> Instant {
        first_given.plus_days(1)
    }
}

/// One version of one organisation's consent towards one recipient.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The holder's id.
    pub id: ConsentId,
    /// From 1.
    pub version: i64,
    /// The holder, who would disclose.
    pub holder: AgencyId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The receiving agency.
    pub recipient: AgencyId,
    /// Where it stands.
    pub state: ConsentState,
    /// What it permits. None while only sought.
    pub scope: Option<ConsentScope>,
    /// What shows it. None while only sought. Decisions don't read it.
    #[serde(skip)]
    pub evidence: Option<Evidence>,
    /// Who wrote it down.
    pub recorded_by: OfficerId,
    /// When it was written down.
    pub recorded_at: Instant,
    /// When what the organisation itself said was last written down: narrowing adds a version and confirms nothing.
    pub confirmed_at: Instant,
}

impl Consent {
    /// Whether it seems to apply. This only picks which one the policies look at; they decide.
    ///
    /// What was confirmed before the register recorded the organisation's merger does not outlive it.
    pub(crate) fn seems_to_apply(
        &self,
        incident: &Incident,
        merger_recorded_at: Option<Instant>,
        recipient: &AgencyId,
        purpose: &Purpose,
        at: Instant,
    ) -> bool {
        self.state == ConsentState::Given
            && self.organisation == incident.organisation
            && (&self.holder, &self.recipient) == (&incident.holder, recipient)
            && merger_recorded_at.is_none_or(|merger| self.confirmed_at > merger)
            && self.scope.as_ref().is_some_and(|scope| {
                scope.purposes.contains(purpose)
                    && scope.valid_from <= at
                    && at < scope.valid_until
                    && scope.covers(incident)
            })
    }

    /// When the organisation said it, if this version is oral and about this incident; never, if it was entered in error.
    pub fn spoken_about(&self, incident: &IncidentId) -> Option<Instant> {
        if self.state == ConsentState::EnteredInError {
            return None;
        }
        let evidence = self.evidence.as_ref().filter(|evidence| evidence.oral.is_some())?;
        let Coverage::Incident { id, .. } = &self.scope.as_ref()?.coverage else { return None };
        (id == incident).then_some(evidence.received_at)
    }

    /// How many of the wanted categories it permits.
    pub(crate) fn breadth(&self, wanted: &BTreeSet<Category>) -> usize {
        self.scope.as_ref().map_or(0, |scope| scope.categories.intersection(wanted).count())
    }
}

super::invalid::unprinted!(Evidence, Oral, Consent);
