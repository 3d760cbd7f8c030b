//! The records of a world as plain values, and what each change makes of them: the rules on consent, authorisation
//! and notification as the design words them. Shares nothing with the gate.

mod changes;

use std::collections::{BTreeMap, BTreeSet};

use super::timeline::DAY;

pub(super) use changes::Change;

/// Names of agencies, purposes, categories and grounds.
pub(super) type Word = &'static str;
pub(super) type Words = BTreeSet<Word>;
/// What a record is called in its world. The node has ids of its own.
pub(super) type Name = usize;
/// Microseconds since 1970 UTC.
pub(super) type Micros = i64;

#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) organisations: BTreeMap<Name, Organisation>,
    pub(super) incidents: BTreeMap<Name, Incident>,
    pub(super) references: BTreeMap<Name, Reference>,
    pub(super) consents: BTreeMap<Name, Consent>,
    pub(super) authorisations: BTreeMap<Name, Authorisation>,
    /// What was said and not written: by which organisation, to whom, about which incident, and when.
    spoken: Vec<(Name, Word, Name, Micros)>,
    pub(super) freezes: BTreeMap<Name, Freeze>,
}

/// An incident that was disclosed to an agency wrongly.
#[derive(Debug, Clone)]
pub(super) struct Freeze {
    pub(super) incident: Name,
    pub(super) recipient: Word,
    pub(super) lifted: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Organisation {
    pub(super) holder: Word,
    /// Numbers of identifiers: two organisations of different holders can share one.
    pub(super) identifiers: BTreeSet<usize>,
    pub(super) version: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub(super) holder: Word,
    pub(super) organisation: Name,
    pub(super) revision: i64,
    /// From, inclusive; until, exclusive.
    pub(super) occurred: (Micros, Micros),
    pub(super) tlp: Word,
    pub(super) categories: Words,
    pub(super) notification: Option<Notification>,
    /// Seven years, as nobody says otherwise.
    pub(super) kept_until: Micros,
}

#[derive(Debug, Clone)]
pub(super) struct Notification {
    pub(super) kind: Word,
    pub(super) recorder: Word,
    pub(super) verified_at: Option<Micros>,
}

#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) incident: Name,
    pub(super) recipient: Word,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) recipient: Word,
    pub(super) purposes: Words,
    pub(super) enforcement: bool,
    pub(super) categories: Words,
    /// One incident, at the revision that the organisation saw, and whether later ones; none: all of its incidents.
    pub(super) incident: Option<(Name, i64, bool)>,
    pub(super) onward: bool,
    /// From, inclusive; until, exclusive.
    pub(super) valid: (Micros, Micros),
    /// When the organisation said it, where it did not write it.
    pub(super) spoken: Option<Micros>,
}

/// One organisation's consent towards one recipient.
#[derive(Debug, Clone)]
pub(super) struct Consent {
    pub(super) holder: Word,
    pub(super) organisation: Name,
    pub(super) recipient: Word,
    /// The organisation was asked and has not answered.
    pub(super) sought: bool,
    /// Written down and by whom; not verified, so it permits nothing.
    pub(super) recorded: Option<(i64, Scope, Word)>,
    /// Verified by another officer, or narrowed from such: this is what permits.
    pub(super) given: Option<(i64, Scope)>,
    /// What was last said, for telling how far a world is from a release.
    pub(super) last: Option<Scope>,
    pub(super) versions: i64,
    /// How it stands, in a word.
    pub(super) state: Word,
}

#[derive(Debug, Clone)]
pub(super) struct Authorisation {
    pub(super) incident: Name,
    pub(super) recipient: Word,
    pub(super) revision: i64,
    pub(super) covers_updates: bool,
    pub(super) purposes: Words,
    pub(super) categories: Words,
    pub(super) ground: Word,
    pub(super) until: Micros,
    pub(super) revoked: bool,
}

/// What must come of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Done,
    TurnedAway,
    /// It speaks of a record that this world does not have: not to be tried at all.
    Nonsense,
}

use Taken::{Done, Nonsense, TurnedAway};

impl Consent {
    fn sought(holder: Word, organisation: Name, recipient: Word) -> Self {
        let (recorded, given, last) = (None, None, None);
        Self { holder, organisation, recipient, sought: true, recorded, given, last, versions: 1, state: "sought" }
    }

    fn record(&mut self, scope: &Scope, officer: Word) {
        // The first thing written down about what was not sought is version 1.
        self.versions += 1;
        self.sought = false;
        self.last = Some(scope.clone());
        self.recorded = Some((self.versions, scope.clone(), officer));
        self.state = "recorded";
    }

    /// The version that somebody would mean to verify.
    pub(super) fn version_to_verify(&self) -> i64 {
        self.recorded.as_ref().map_or(self.versions, |(version, ..)| *version)
    }

    fn end(&mut self, state: Word) {
        (self.sought, self.recorded, self.given, self.state) = (false, None, None, state);
    }
}

/// In what `narrow` permits something that `wide` does not.
fn beyond(narrow: &Scope, wide: &Scope) -> Vec<Word> {
    let incident = match (narrow.incident, wide.incident) {
        (_, None) => [false; 3],
        (None, Some(_)) => [true, false, false],
        (Some((incident, revision, updates)), Some((wide_incident, wide_revision, wide_updates))) => [
            incident != wide_incident,
            !(revision == wide_revision || (wide_updates && revision > wide_revision)),
            updates && !wide_updates,
        ],
    };
    let each = [
        ("recipient", narrow.recipient != wide.recipient),
        ("purposes", !narrow.purposes.is_subset(&wide.purposes)),
        ("categories", !narrow.categories.is_subset(&wide.categories)),
        ("enforcement", narrow.enforcement && !wide.enforcement),
        ("onward", narrow.onward && !wide.onward),
        ("from", narrow.valid.0 < wide.valid.0),
        ("until", narrow.valid.1 > wide.valid.1),
        ("incident", incident[0]),
        ("revision", incident[1]),
        ("updates", incident[2]),
    ];
    each.into_iter().filter(|(_, is_beyond)| *is_beyond).map(|(what, _)| what).collect()
}

impl Records {
    /// Makes the change at this time, or says why not.
    pub(super) fn apply(&mut self, change: &Change, at: Micros) -> Taken {
        self.try_apply(change, at).unwrap_or(Nonsense)
    }

    /// In what alone a narrower scope would be wider than the present one; none: it is not turned away for one thing.
    pub(super) fn only_beyond(&self, change: &Change) -> Option<Word> {
        let Change::NarrowConsent { name, scope } = change else { return None };
        let consent = self.consents.get(name)?;
        let (_, present) = consent.given.as_ref()?;
        match beyond(scope, present).as_slice() {
            [one] if self.can_be_stated(consent.organisation, scope) => Some(one),
            _ => None,
        }
    }

    /// A scope that the organisation can state: its own incident, at a revision that there is.
    fn can_be_stated(&self, organisation: Name, scope: &Scope) -> bool {
        let incident = scope.incident.is_none_or(|(name, revision, _)| {
            let incident = &self.incidents[&name];
            incident.organisation == organisation && (1..=incident.revision).contains(&revision)
        });
        incident && scope.valid.0 < scope.valid.1
    }

    /// None: it speaks of a record that is not there.
    fn try_apply(&mut self, change: &Change, at: Micros) -> Option<Taken> {
        if let Change::RecordConsent { scope, .. }
        | Change::NarrowConsent { scope, .. }
        | Change::ReconfirmConsent { scope, .. } = change
            && let Some((incident, ..)) = scope.incident
        {
            self.incidents.get(&incident)?;
        }
        match change {
            Change::Organisation { name, holder, identifiers } => {
                let (holder, identifiers) = (*holder, identifiers.clone());
                self.organisations.insert(*name, Organisation { holder, identifiers, version: 1 });
            }
            Change::AmendOrganisation { name, identifiers } => {
                let organisation = self.organisations.get_mut(name)?;
                organisation.identifiers.clone_from(identifiers);
                organisation.version += 1;
            }
            Change::Incident { name, organisation, occurred, tlp, categories, notified } => {
                let holder = self.organisations.get(organisation)?.holder;
                let notification = notified.map(|kind| Notification { kind, recorder: "rec", verified_at: None });
                let (organisation, occurred, tlp) = (*organisation, *occurred, *tlp);
                let categories = categories.clone();
                let revision = 1;
                let kept_until = at + 2_557 * DAY;
                let incident =
                    Incident { holder, organisation, revision, occurred, tlp, categories, notification, kept_until };
                self.incidents.insert(*name, incident);
            }
            Change::AmendIncident { name, tlp, categories } => {
                let incident = self.incidents.get_mut(name)?;
                incident.revision += 1;
                incident.tlp = tlp;
                incident.categories.clone_from(categories);
                // What was verified is what the organisation notified, not what was found out since.
                if let Some(notification) = &mut incident.notification {
                    (notification.verified_at, notification.recorder) = (None, "rec");
                }
            }
            Change::VerifyNotification { name, officer } => match &mut self.incidents.get_mut(name)?.notification {
                Some(found) if found.verified_at.is_none() && found.recorder != *officer => {
                    found.verified_at = Some(at);
                }
                _ => return Some(TurnedAway),
            },
            Change::EraseIncident { name } => {
                // What a duty may still owe is not erased, and here each holder keeps one. Nothing speaks of what was.
                let Incident { holder, notification, .. } = self.incidents.get(name)?;
                let has_another = self.incidents.iter().any(|(other, one)| other != name && one.holder == *holder);
                if notification.is_some() || !has_another {
                    return None;
                }
                self.incidents.remove(name);
                self.references.retain(|_, reference| reference.incident != *name);
                self.authorisations.retain(|_, given| given.incident != *name);
            }
            Change::Reference { name, incident, recipient } => {
                if self.incidents.get(incident)?.holder == *recipient {
                    return Some(TurnedAway);
                }
                self.references.insert(*name, Reference { incident: *incident, recipient });
            }
            Change::Authorise { name, authorisation } => {
                let incident = self.incidents.get(&authorisation.incident)?;
                let stands = incident.revision == authorisation.revision
                    && incident.holder != authorisation.recipient
                    && authorisation.until > at;
                if !stands {
                    return Some(TurnedAway);
                }
                self.authorisations.insert(*name, authorisation.clone());
            }
            Change::Revoke { name } => {
                let authorisation = self.authorisations.get_mut(name)?;
                if std::mem::replace(&mut authorisation.revoked, true) {
                    return Some(TurnedAway);
                }
            }
            Change::Freeze { name, incident, recipient } => {
                if self.incidents.get(incident)?.holder == *recipient {
                    return Some(TurnedAway);
                }
                self.freezes.insert(*name, Freeze { incident: *incident, recipient, lifted: false });
            }
            Change::Lift { name } => {
                if std::mem::replace(&mut self.freezes.get_mut(name)?.lifted, true) {
                    return Some(TurnedAway);
                }
            }
            consent => return self.apply_to_consent(consent, at),
        }
        Some(Done)
    }

    /// Section 7, oral: about one incident, and over a day after it was first said, however often it is said again.
    /// Remembers what was said.
    fn can_be_said(&mut self, organisation: Name, scope: &Scope, at: Micros) -> bool {
        let Some(said) = scope.spoken else { return true };
        let Some((incident, ..)) = scope.incident else { return false };
        let about =
            |one: &&(Name, Word, Name, Micros)| (one.0, one.1, one.2) == (organisation, scope.recipient, incident);
        let first = self.spoken.iter().filter(about).map(|one| one.3).chain([said]).min().unwrap();
        let can = first + DAY > at && scope.valid.1 <= first + DAY;
        if can {
            self.spoken.push((organisation, scope.recipient, incident, said));
        }
        can
    }

    fn apply_to_consent(&mut self, change: &Change, at: Micros) -> Option<Taken> {
        match change {
            Change::SeekConsent { name, organisation, recipient } => {
                let holder = self.organisations.get(organisation)?.holder;
                if holder == *recipient {
                    return Some(TurnedAway);
                }
                self.consents.insert(*name, Consent::sought(holder, *organisation, recipient));
            }
            Change::RecordConsent { name, organisation, scope, officer } => {
                let holder = self.organisations.get(organisation)?.holder;
                let sought = self.consents.get(name);
                let fits = sought.is_none_or(|sought| {
                    sought.sought && sought.organisation == *organisation && sought.recipient == scope.recipient
                });
                if !fits
                    || holder == scope.recipient
                    || !self.can_be_stated(*organisation, scope)
                    || !self.can_be_said(*organisation, scope, at)
                {
                    return Some(TurnedAway);
                }
                let first = Consent { versions: 0, ..Consent::sought(holder, *organisation, scope.recipient) };
                self.consents.entry(*name).or_insert(first).record(scope, officer);
            }
            Change::VerifyConsent { name, officer } => {
                let consent = self.consents.get_mut(name)?;
                match consent.recorded.take() {
                    Some((version, scope, recorder)) if recorder != *officer && scope.valid.1 > at => {
                        (consent.given, consent.state) = (Some((version, scope)), "given");
                    }
                    recorded => {
                        consent.recorded = recorded;
                        return Some(TurnedAway);
                    }
                }
            }
            Change::NarrowConsent { name, scope } => {
                let organisation = self.consents.get(name)?.organisation;
                let can_be_stated = self.can_be_stated(organisation, scope);
                let consent = self.consents.get_mut(name)?;
                let within = consent.given.as_ref().is_some_and(|(_, present)| beyond(scope, present).is_empty());
                if !can_be_stated || !within {
                    return Some(TurnedAway);
                }
                // What was recorded meanwhile may be wider than what remains.
                consent.recorded = None;
                consent.versions += 1;
                consent.last = Some(scope.clone());
                (consent.given, consent.state) = (Some((consent.versions, scope.clone())), "given");
            }
            Change::ReconfirmConsent { name, scope, officer } => {
                let consent = self.consents.get(name)?;
                let (organisation, recipient) = (consent.organisation, consent.recipient);
                // What is said would end before what stands in writing, and take its place. What was written about an incident
                // is erased with it.
                let cuts = consent.given.as_ref().is_some_and(|(_, present)| {
                    let is_kept = present.incident.is_none_or(|(incident, ..)| self.incidents.contains_key(&incident));
                    let is_written = present.spoken.is_none() && is_kept;
                    scope.spoken.is_some() && is_written && present.valid.1 > scope.valid.1
                });
                let fits = consent.last.is_some() && recipient == scope.recipient && !cuts;
                if !fits || !self.can_be_stated(organisation, scope) || !self.can_be_said(organisation, scope, at) {
                    return Some(TurnedAway);
                }
                let consent = self.consents.get_mut(name)?;
                consent.record(scope, officer);
            }
            Change::RefuseConsent { name } => {
                let consent = self.consents.get_mut(name)?;
                if !consent.sought && consent.recorded.is_none() {
                    return Some(TurnedAway);
                }
                consent.end("refused");
            }
            Change::WithdrawConsent { name } => {
                let consent = self.consents.get_mut(name)?;
                if !consent.sought && consent.recorded.is_none() && consent.given.is_none() {
                    return Some(TurnedAway);
                }
                consent.end("withdrawn");
            }
            _ => unreachable!("the other changes are none of a consent"),
        }
        Some(Done)
    }
}
