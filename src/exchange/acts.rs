//! What the acts in a ledger account for of the facts that decisions read.
//!
//! The rows that hold consents, authorisations, incidents and references can be changed by whoever may write to the
//! database; the acts that made them are in the tree. So a replay that has followed the acts from the first entry on
//! can say whether a decision read a state that no act had brought about. What an act was about in detail, such as a
//! consent's scope, is not in it and not followed.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Facts, Match, NamingFacts, SharedTheme};
use crate::domain::{Activity, AgencyId, Authorisation, Consent, ConsentState, Instant, Permission, Subject, ThemeId};
use crate::proto::v1::{Act, OutcomeStatement, WrongfulReleaseStatement};

/// Where a theme stands by the acts so far.
#[derive(Debug, Default)]
struct ThemeActs {
    holder: String,
    /// Who drafted each version.
    drafted: BTreeMap<i64, String>,
    /// The version that was confirmed last, by whom and when.
    confirmed: Option<(i64, String, Instant)>,
    withdrawn: Option<Instant>,
}

/// Where the records stand by the acts so far.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// By consent and version: its state, and when it was recorded.
    consents: BTreeMap<String, BTreeMap<i64, (ConsentState, Instant)>>,
    /// When each was given and when revoked.
    authorisations: BTreeMap<String, (Instant, Option<Instant>)>,
    /// The revision, and when the notification was verified.
    incidents: BTreeMap<String, (i64, Option<Instant>)>,
    references: BTreeSet<String>,
    themes: BTreeMap<String, ThemeActs>,
    /// Whether a release that gave references was erased: then nothing is said about those that are not known.
    forgot_references: bool,
    /// To whom which incident is not released for now: by which wrongful release, and since when.
    frozen: BTreeMap<(String, String), BTreeMap<String, Instant>>,
    /// What was last presented of each permission of another agency's.
    permissions: BTreeMap<String, Presented>,
    /// Each suspension that stands: by whom, and of whom.
    suspended: BTreeSet<(String, String)>,
    /// What was made or changed by acts that are not followed: nothing is said about these.
    others: BTreeSet<String>,
}

impl Acts {
    /// Follows one act that took effect at this time.
    ///
    /// The rules of consent are those of `ConsentHistory`, for states alone.
    pub(super) fn follow(&mut self, act: &Act, at: Instant) {
        let (object, version) = (act.object.as_str(), act.version);
        match act.method.as_str() {
            "ConsentService/SeekConsent" => self.consent(object).add(version, ConsentState::Sought, at),
            "ConsentService/RecordConsent" | "ConsentService/ReconfirmConsent" => {
                let mut versions = self.consent(object);
                versions.end(ConsentState::Superseded, |_, state| state != ConsentState::Given);
                versions.add(version, ConsentState::Recorded, at);
            }
            "ConsentService/VerifyConsent" => {
                let mut versions = self.consent(object);
                versions.end(ConsentState::Superseded, |other, _| other != version);
                versions.end(ConsentState::Given, |other, _| other == version);
            }
            "ConsentService/NarrowConsent" => {
                let mut versions = self.consent(object);
                versions.end(ConsentState::Superseded, |_, _| true);
                versions.add(version, ConsentState::Given, at);
            }
            "ConsentService/RefuseConsent" => self.consent(object).end(ConsentState::Refused, |_, _| true),
            "ConsentService/WithdrawConsent" => self.consent(object).end(ConsentState::Withdrawn, |_, _| true),
            "ConsentService/MarkConsentInError" => {
                self.consent(object).0.values_mut().for_each(|(state, _)| *state = ConsentState::EnteredInError);
            }
            "AuthorisationService/GiveAuthorisation" => {
                self.authorisations.insert(object.to_owned(), (at, None));
            }
            "AuthorisationService/RevokeAuthorisation" => {
                self.authorisations.entry(object.to_owned()).and_modify(|(_, revoked)| *revoked = Some(at));
            }
            "IncidentService/RegisterIncident"
            | "IncidentService/RegisterReceived"
            | "IncidentService/AmendIncident" => {
                self.incidents.insert(object.to_owned(), (version, None));
            }
            "IncidentService/RegisterIncidents" => {
                self.incidents.extend(act.incidents.iter().map(|incident| (incident.clone(), (version, None))));
            }
            "IncidentService/VerifyNotification" => {
                self.incidents.entry(object.to_owned()).and_modify(|(_, verified)| *verified = Some(at));
            }
            "IncidentService/IssueReference" => drop(self.references.insert(object.to_owned())),
            "AdminService/SuspendOfficer" | "AdminService/SuspendAgency" | "AdminService/SuspendCertificate" => {
                self.suspended.insert((act.agency.clone(), object.to_owned()));
            }
            "AdminService/ResumeOfficer" | "AdminService/ResumeAgency" | "AdminService/ResumeCertificate" => {
                self.suspended.remove(&(act.agency.clone(), object.to_owned()));
            }
            "ThemeService/DraftTheme" | "ThemeService/ReviseTheme" => {
                let theme = self.theme(object);
                theme.holder.clone_from(&act.agency);
                theme.drafted.insert(version, act.officer.clone());
            }
            "ThemeService/ConfirmTheme" => {
                self.theme(object).confirmed = Some((version, act.officer.clone(), at));
            }
            "ThemeService/WithdrawTheme" => self.theme(object).withdrawn = Some(at),
            "RetentionService/EraseIncident" => drop(self.incidents.remove(object)),
            // They change nothing that a decision reads.
            "RetentionService/ProposeErasure"
            | "RetentionService/ConfirmDisposal"
            | "AdviceService/RecordReminder"
            | "AdviceService/RecordRecommendation"
            | "AdviceService/RecordOutcome"
            | "AdviceService/SetCategory"
            | "MandateService/RecordMandate"
            | "MandateService/EndMandate"
            | "PaperService/MakeConsentForm"
            | "PaperService/AcknowledgeConsent"
            | "PaperService/StateToOrganisation"
            | "PermissionService/AskToName"
            | "DeconflictionService/DeclareEngagement"
            | "DeconflictionService/AmendEngagement"
            | "DeconflictionService/RecordAskOfVictim"
            | "DeconflictionService/PutEngagement"
            | "DeconflictionService/EndEngagement"
            // A permission counts where its receipt is presented.
            | "PermissionService/AskPermission"
            | "PermissionService/GivePermission"
            | "PermissionService/DeclinePermission"
            | "PermissionService/WithdrawPermission" => {}
            "PermissionService/PresentPermission" => {
                self.permissions.insert(object.to_owned(), Presented::Shown);
            }
            "PermissionService/PresentWithdrawal" => {
                self.permissions.insert(object.to_owned(), Presented::Withdrawn);
            }
            // No decision reads a proposal.
            method if method.starts_with("ProposalService/") => {}
            _ => drop(self.others.insert(object.to_owned())),
        }
    }

    /// Follows an outcome: with a release, the recipient has a reference.
    pub(super) fn follow_outcome(&mut self, outcome: &OutcomeStatement) {
        self.references.extend(outcome.released.iter().map(|one| one.reference.clone()));
    }

    /// An ask or an offer was erased, with whatever reference it gave.
    pub(super) fn forget_references(&mut self) {
        self.forgot_references = true;
    }

    /// Follows what a wrongful release freezes or lets go.
    pub(super) fn follow_wrongful(&mut self, stated: &WrongfulReleaseStatement, at: Instant) {
        for freeze in &stated.freezes {
            let by = self.frozen.entry((freeze.incident.clone(), freeze.recipient.clone())).or_default();
            match (stated.closed, stated.lifted) {
                (false, _) => drop(by.insert(stated.wrongful_release.clone(), at)),
                (true, true) => drop(by.remove(&stated.wrongful_release)),
                (true, false) => {}
            }
        }
    }

    fn consent(&mut self, id: &str) -> Versions<'_> {
        Versions(self.consents.entry(id.to_owned()).or_default())
    }

    fn theme(&mut self, id: &str) -> &mut ThemeActs {
        self.themes.entry(id.to_owned()).or_default()
    }

    /// That an ask for a theme read it otherwise than the acts brought it about.
    pub(super) fn of_theme(&self, holder: &AgencyId, id: &ThemeId, read: Option<&SharedTheme>) -> Option<String> {
        let of_holder = self.themes.get(id.as_str()).filter(|acts| acts.holder == holder.as_str());
        let by_acts = of_holder.and_then(|acts| {
            let (version, by, at) = acts.confirmed.as_ref()?;
            Some((*version, acts.drafted.get(version).map(String::as_str), by.as_str(), *at, acts.withdrawn))
        });
        let read = read.map(|theme| {
            let (drafted_by, confirmed_by) = (Some(theme.drafted_by.as_str()), theme.confirmed_by.as_str());
            (theme.version, drafted_by, confirmed_by, theme.confirmed_at, theme.withdrawn_at)
        });
        (by_acts != read).then(|| format!("acts: no act brought about theme {id} as it was read"))
    }

    /// What the facts say that no act accounts for, one line each.
    pub(super) fn unaccounted(&self, facts: &Facts) -> Vec<String> {
        let mut found = Vec::new();
        if let Subject::Reference(reference) = &facts.ask.subject
            && !facts.matches.is_empty()
            && facts.ask.activity == Activity::Disclose
            && !self.forgot_references
            && !self.references.contains(reference.as_str())
            && !self.others.contains(reference.as_str())
        {
            found.push("acts: the reference was never issued".to_owned());
        }
        if self.was_suspended(facts) {
            found.push("acts: it was decided although the requester was suspended".to_owned());
        }
        for one in &facts.matches {
            found.extend(self.incident(one));
            found.extend(self.freeze(one, &facts.ask.requester.agency));
            found.extend(one.consents.iter().filter_map(|consent| self.of_consent(consent)));
            found.extend(one.authorisations.iter().filter_map(|given| self.of_authorisation(given)));
            found.extend(one.permissions.iter().filter_map(|shown| self.of_permission(shown)));
        }
        found
    }

    /// The same of a decision on naming.
    pub(super) fn of_naming(&self, facts: &NamingFacts) -> Vec<String> {
        facts.consents.iter().filter_map(|consent| self.of_consent(consent)).collect()
    }

    /// A suspended requester's ask is decided only where the row that suspended it is gone.
    fn was_suspended(&self, facts: &Facts) -> bool {
        let (holder, requester) = (&facts.ask.holder, &facts.ask.requester);
        requester.suspendable().into_iter().any(|suspended| {
            [holder, &requester.agency].iter().any(|by| self.suspended.contains(&(by.to_string(), suspended.clone())))
        })
    }

    fn incident(&self, found: &Match) -> Option<String> {
        let incident = &found.incident;
        let verified = incident.notification.as_ref().and_then(|notification| notification.verified_at);
        let accounted = self.incidents.get(incident.id.as_str()) == Some(&(incident.revision, verified));
        let problem = format!("acts: no act brought about incident {} as it was read", incident.id);
        (!accounted && !self.others.contains(incident.id.as_str())).then_some(problem)
    }

    fn freeze(&self, found: &Match, recipient: &AgencyId) -> Option<String> {
        let incident = &found.incident;
        let by_acts = self.frozen.get(&(incident.id.to_string(), recipient.to_string()));
        let by_acts = by_acts.and_then(|by| by.values().min().copied());
        let word = |since: Option<Instant>| if since.is_some() { "frozen" } else { "not frozen" };
        let (read, acted) = (word(found.frozen_since), word(by_acts));
        let problem = format!("acts: incident {} was read as {read}, by the acts it is {acted}", incident.id);
        (by_acts != found.frozen_since).then_some(problem)
    }

    fn of_consent(&self, consent: &Consent) -> Option<String> {
        let by_acts = self.consents.get(consent.id.as_str()).and_then(|versions| versions.get(&consent.version));
        let accounted = by_acts == Some(&(consent.state, consent.recorded_at));
        let state = by_acts.map_or("not there", |(state, _)| state.as_str());
        let problem = format!(
            "acts: consent {} version {} was read as {}, by the acts it is {state}",
            consent.id,
            consent.version,
            consent.state.as_str()
        );
        (!accounted && !self.others.contains(consent.id.as_str())).then_some(problem)
    }

    fn of_permission(&self, shown: &Permission) -> Option<String> {
        let read = if shown.withdrawn_at.is_some() { Presented::Withdrawn } else { Presented::Shown };
        let accounted = self.permissions.get(shown.id.as_str()) == Some(&read);
        let problem = format!("acts: permission {} was read as it was never presented", shown.id);
        (!accounted && !self.others.contains(shown.id.as_str())).then_some(problem)
    }

    fn of_authorisation(&self, given: &Authorisation) -> Option<String> {
        let by_acts = self.authorisations.get(given.id.as_str());
        let accounted = by_acts == Some(&(given.given_at, given.revoked_at));
        let problem = format!("acts: no act brought about authorisation {} as it was read", given.id);
        (!accounted && !self.others.contains(given.id.as_str())).then_some(problem)
    }
}

/// What was last presented of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presented {
    Shown,
    Withdrawn,
}

/// The versions of one consent.
struct Versions<'a>(&'a mut BTreeMap<i64, (ConsentState, Instant)>);

impl Versions<'_> {
    fn add(&mut self, version: i64, state: ConsentState, at: Instant) {
        self.0.insert(version, (state, at));
    }

    /// Takes those versions to a state that are not in a final one and are of this kind.
    fn end(&mut self, to: ConsentState, which: impl Fn(i64, ConsentState) -> bool) {
        for (version, (state, _)) in self.0.iter_mut() {
            if !state.is_final() && which(*version, *state) {
                *state = to;
            }
        }
    }
}
