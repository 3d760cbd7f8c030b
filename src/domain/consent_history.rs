//! What may follow what in the life of a consent.

use super::{Consent, ConsentScope, ConsentState, Evidence, Instant, OfficerId, Rejected};

/// All versions of one consent, newest first, and the rules by which it goes on.
#[derive(Debug)]
pub struct ConsentHistory<'a>(&'a [Consent]);

/// What a step changes: where versions stand, and the version that it adds.
#[derive(Debug, PartialEq, Eq)]
pub struct ConsentStep {
    /// Versions and the states they go to.
    pub states: Vec<(i64, ConsentState)>,
    /// The version that comes on top.
    pub added: Option<Consent>,
    /// The version that the step is about.
    pub version: i64,
}

impl ConsentStep {
    /// What is permitted once it is done; none if nothing is.
    pub fn permits<'a>(&'a self, versions: &'a [Consent]) -> Option<&'a ConsentScope> {
        let stands = |version: &&Consent| {
            let moved = self.states.iter().find(|(moved, _)| *moved == version.version);
            moved.map_or(version.state, |(_, state)| *state) == ConsentState::Given
        };
        self.added.iter().chain(versions).find(stands).and_then(|version| version.scope.as_ref())
    }
}

impl<'a> ConsentHistory<'a> {
    /// From the versions of one consent, newest first. None: there is no such consent.
    pub fn new(versions: &'a [Consent]) -> Option<Self> {
        (!versions.is_empty()).then_some(Self(versions))
    }

    fn open(&self) -> impl Iterator<Item = &'a Consent> {
        self.0.iter().filter(|version| !version.state.is_final())
    }

    fn in_state(&self, state: ConsentState) -> Option<&'a Consent> {
        self.0.iter().find(|version| version.state == state)
    }

    fn all_open_to(&self, state: ConsentState) -> Vec<(i64, ConsentState)> {
        self.open().map(|version| (version.version, state)).collect()
    }

    fn next(
        &self,
        state: ConsentState,
        scope: ConsentScope,
        evidence: Option<Evidence>,
        by: &OfficerId,
        at: Instant,
    ) -> Result<Consent, Rejected> {
        let newest = self.0.first().ok_or(Rejected::NotFound("consent"))?;
        if scope.recipient != newest.recipient {
            return Err(Rejected::invalid("scope.recipient", "is not this consent's recipient: record a new consent"));
        }
        let version = newest.version + 1;
        let (recorded_by, recorded_at, confirmed_at) = (by.clone(), at, at);
        let scope = Some(scope);
        Ok(Consent { version, state, scope, evidence, recorded_by, recorded_at, confirmed_at, ..newest.clone() })
    }

    /// The organisation answered what was sought.
    pub fn record(
        &self,
        scope: ConsentScope,
        evidence: Evidence,
        by: &OfficerId,
        at: Instant,
    ) -> Result<ConsentStep, Rejected> {
        let newest = self.0.first().filter(|newest| newest.state == ConsentState::Sought);
        let sought = newest.ok_or(Rejected::WrongState("only what was sought is recorded; re-confirm it instead"))?;
        let added = self.next(ConsentState::Recorded, scope, Some(evidence), by, at)?;
        Ok(ConsentStep {
            states: vec![(sought.version, ConsentState::Superseded)],
            version: added.version,
            added: Some(added),
        })
    }

    /// Another officer than the recorder, and than the one who took it where it was spoken, verified a recorded version: it
    /// is given, and replaces the one before. Not once its time is over.
    pub fn verify(&self, version: i64, by: &OfficerId, at: Instant) -> Result<ConsentStep, Rejected> {
        let recorded = self.0.iter().find(|found| found.version == version);
        let recorded = recorded
            .filter(|found| found.state == ConsentState::Recorded)
            .ok_or(Rejected::WrongState("that version is not recorded and unverified"))?;
        // It would permit nothing, and end what still does.
        if recorded.scope.as_ref().is_some_and(|scope| scope.valid_until <= at) {
            return Err(Rejected::WrongState("it has ended: re-confirm it"));
        }
        let oral = recorded.evidence.as_ref().and_then(|evidence| evidence.oral.as_ref());
        if recorded.recorded_by == *by || oral.is_some_and(|oral| oral.taken_by == *by) {
            return Err(Rejected::SameOfficer);
        }
        let mut states: Vec<(i64, ConsentState)> = self
            .open()
            .filter(|other| other.version != version)
            .map(|other| (other.version, ConsentState::Superseded))
            .collect();
        states.push((version, ConsentState::Given));
        Ok(ConsentStep { states, added: None, version })
    }

    /// The organisation said no: nothing that was open permits anything any more.
    pub fn refuse(&self) -> Result<ConsentStep, Rejected> {
        let pending = self.open().find(|version| version.state != ConsentState::Given);
        let pending = pending.ok_or(Rejected::WrongState("nothing sought or recorded is open; withdraw it instead"))?;
        Ok(ConsentStep { states: self.all_open_to(ConsentState::Refused), added: None, version: pending.version })
    }

    /// The organisation took it back, in all its versions.
    pub fn withdraw(&self) -> Result<ConsentStep, Rejected> {
        let newest = self.open().next().ok_or(Rejected::WrongState("it is already refused or withdrawn"))?;
        Ok(ConsentStep { states: self.all_open_to(ConsentState::Withdrawn), added: None, version: newest.version })
    }

    /// It was never given, in none of its versions, however they ended.
    pub fn enter_in_error(&self) -> Result<ConsentStep, Rejected> {
        let written = self.written().ok_or(Rejected::WrongState("it was only sought: nothing was entered"))?;
        let to = ConsentState::EnteredInError;
        if self.is_in_error() {
            return Err(Rejected::WrongState("it is already marked as entered in error"));
        }
        let states = self.0.iter().map(|version| (version.version, to)).collect();
        Ok(ConsentStep { states, added: None, version: written.version })
    }

    /// The newest version with a scope.
    fn written(&self) -> Option<&'a Consent> {
        self.0.iter().find(|version| version.scope.is_some())
    }

    /// Whether it was said last that it was never given.
    pub fn is_in_error(&self) -> bool {
        self.written().is_some_and(|written| written.state == ConsentState::EnteredInError)
    }

    /// The version in effect, if there is one.
    pub fn given(&self) -> Option<&'a Consent> {
        self.in_state(ConsentState::Given)
    }

    /// A narrower scope, in effect at once. What was recorded and not verified goes too: it may be wider.
    pub fn narrow(&self, scope: ConsentScope, by: &OfficerId, at: Instant) -> Result<ConsentStep, Rejected> {
        let given = self.in_state(ConsentState::Given).ok_or(Rejected::WrongState("it is not in effect"))?;
        let present = given.scope.as_ref().ok_or(Rejected::WrongState("it has no scope"))?;
        scope.check_within(present).map_err(|problem| Rejected::Invalid(problem.within("scope")))?;
        let narrowed = self.next(ConsentState::Given, scope, given.evidence.clone(), by, at)?;
        let added = Consent { confirmed_at: given.confirmed_at, ..narrowed };
        Ok(ConsentStep {
            states: self.all_open_to(ConsentState::Superseded),
            version: added.version,
            added: Some(added),
        })
    }

    /// A new version to be verified; until then what is given stands. After a withdrawal this is a new permission.
    pub fn reconfirm(
        &self,
        scope: ConsentScope,
        evidence: Evidence,
        by: &OfficerId,
        at: Instant,
    ) -> Result<ConsentStep, Rejected> {
        if self.0.iter().all(|version| version.scope.is_none()) {
            return Err(Rejected::WrongState("it was only sought: record it instead"));
        }
        let is_written = |version: &&Consent| version.evidence.as_ref().is_some_and(|evidence| evidence.oral.is_none());
        let written = self.given().filter(is_written).and_then(|given| given.scope.as_ref());
        if evidence.oral.is_some() && written.is_some_and(|written| written.valid_until > scope.valid_until) {
            return Err(Rejected::WrongState(
                "what stands in writing lasts longer than what was said: narrow it instead",
            ));
        }
        let added = self.next(ConsentState::Recorded, scope, Some(evidence), by, at)?;
        let pending = self.open().filter(|version| version.state != ConsentState::Given);
        Ok(ConsentStep {
            states: pending.map(|version| (version.version, ConsentState::Superseded)).collect(),
            version: added.version,
            added: Some(added),
        })
    }

    /// The scope in effect.
    pub fn present(&self) -> Option<&'a ConsentScope> {
        self.in_state(ConsentState::Given).and_then(|given| given.scope.as_ref())
    }
}
