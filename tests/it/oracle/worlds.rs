//! Random worlds: records with a history, and asks along it. Most are a release or one condition away from one.
//!
//! A scene is a few records that live through a few instants; each ask of it is a world. Scenes are values: the same
//! seed makes the same scene, and steps can be taken out of one.

mod asks;

use std::collections::BTreeSet;

use super::flows::{AGENCIES, CATEGORIES, FLOWS, Flow, GROUNDS, PURPOSES, S132, TLP};
use super::model::{Agreement, Ask, Subject, distance};
use super::records::{Authorisation, Change, Micros, Name, Records, Scope, Taken, Word, Words};
use super::timeline::{DAY, Dice, TICKS, Timeline};

/// What is done in a scene, and at which tick.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Change(Change),
    Ask(Ask),
    /// Puts an earlier ask, the one at this place among the scene's steps, once more.
    Again(usize, Ask),
    /// Taken out, to make the scene smaller.
    LeftOut,
}

#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) number: usize,
    pub(super) steps: Vec<(usize, Step)>,
}

/// A scene in the making.
struct Making<'a> {
    dice: Dice,
    timeline: &'a Timeline,
    all: &'a [Agreement],
    tick: usize,
    records: Records,
    flow: Flow,
    names: Name,
    steps: Vec<(usize, Step)>,
    /// How many of a hundred incidents are of the same day.
    crowd: u64,
}

impl Scene {
    pub(super) fn make(seed: u64, number: usize, group: usize, timeline: &Timeline, all: &[Agreement]) -> Self {
        let mut dice = Dice(seed ^ (number as u64).wrapping_mul(0xd6e8_feb8_6659_fd93));
        let mut point = dice.next() % FLOWS.iter().map(|(weight, _)| weight).sum::<u64>();
        let (_, flow) = FLOWS
            .into_iter()
            .find(|(weight, _)| {
                let found = point < *weight;
                point = point.saturating_sub(*weight);
                found
            })
            .unwrap();
        let (tick, records, names, steps) = (group * TICKS, Records::default(), 0, Vec::new());
        let mut making = Making { dice, timeline, all, tick, records, flow, names, steps, crowd: 50 };
        making.begin();
        for tick in group * TICKS..(group + 1) * TICKS {
            making.tick = tick;
            if tick > group * TICKS {
                making.live();
            }
            for _ in 0..=making.dice.below(3) {
                making.ask();
            }
        }
        Self { number, steps: making.steps }
    }
}

impl Making<'_> {
    fn at(&self) -> Micros {
        self.timeline.ticks[self.tick]
    }

    fn name(&mut self) -> Name {
        self.names += 1;
        self.names
    }

    fn change(&mut self, change: Change) -> bool {
        let taken = self.records.apply(&change, self.at());
        if taken != Taken::Nonsense {
            self.steps.push((self.tick, Step::Change(change)));
        }
        taken == Taken::Done
    }

    /// An instant at which something in this scene happens, or one microsecond beside it.
    fn edge(&mut self) -> Micros {
        let end = (self.tick / TICKS + 1) * TICKS;
        let tick = self.tick + self.dice.below(end - self.tick);
        self.timeline.ticks[tick] + self.dice.pick(&[-1, 0, 0, 1])
    }

    fn begin(&mut self) {
        let Flow { holder, requester, .. } = self.flow;
        let ours = self.organisation(holder, [0, 1].into());
        if self.dice.chance(25) {
            let beside = self.organisation(holder, [2].into());
            self.incident(beside);
        }
        if self.dice.chance(25) {
            // The same organisation in another holder's register.
            let other = self.dice.pick(&AGENCIES.into_iter().filter(|one| *one != holder).collect::<Vec<_>>());
            let theirs = self.organisation(other, [0].into());
            let incident = self.incident(theirs);
            self.reference(incident, requester);
        }
        let many =
            if self.dice.chance(2) { self.dice.pick(&[16, 17, 17]) } else { 1 + usize::from(self.dice.chance(25)) };
        if many > 2 {
            self.crowd = 100;
        }
        for _ in 0..many {
            let incident = self.incident(ours);
            if self.dice.chance(92) {
                self.reference(incident, requester);
            }
            if self.dice.chance(30) {
                let recipient = self.dice.pick(&AGENCIES);
                self.reference(incident, recipient);
            }
            if self.dice.chance(85) {
                self.verify_notification(incident);
            }
            if self.dice.chance(if many > 2 { 100 } else { 85 }) {
                self.authorise(Some(incident));
            }
        }
        if self.dice.chance(if self.flow.consents { 85 } else { 60 }) {
            self.consent();
        }
    }

    fn organisation(&mut self, holder: Word, identifiers: BTreeSet<usize>) -> Name {
        let name = self.name();
        self.change(Change::Organisation { name, holder, identifiers });
        name
    }

    fn incident(&mut self, organisation: Name) -> Name {
        let name = self.name();
        let from = self.at() - if self.dice.chance(self.crowd) { DAY } else { 3 * DAY };
        let occurred = (from, from + DAY);
        let tlp = if self.dice.chance(85) { "amber" } else { self.dice.pick(&TLP) };
        let categories = self.dice.some(&CATEGORIES, 80);
        let kinds: &[Option<Word>] = match self.flow.purposes {
            [.., "nis-csirt", _] => &[Some("nis-rdsp"), Some("joint-kind"), Some("nis-oes"), None],
            _ => &[None, None, Some("nis-rdsp"), Some("joint-kind")],
        };
        let notified = self.dice.pick(kinds);
        self.change(Change::Incident { name, organisation, occurred, tlp, categories, notified });
        name
    }

    fn reference(&mut self, incident: Name, recipient: Word) {
        let name = self.name();
        self.change(Change::Reference { name, incident, recipient });
    }

    fn verify_notification(&mut self, name: Name) {
        if self.records.incidents[&name].notification.is_some() {
            let officer = if self.dice.chance(92) { "ver" } else { "rec" };
            self.change(Change::VerifyNotification { name, officer });
        }
    }

    /// One of the incidents that the flow is about, mostly.
    fn some_incident(&mut self) -> Name {
        let all: Vec<Name> = self.records.incidents.keys().copied().collect();
        let flow = self.flow;
        let ours = all.iter().copied().filter(|name| self.records.incidents[name].holder == flow.holder);
        let ours: Vec<Name> = ours.collect();
        if self.dice.chance(92) {
            ours[ours.len() - 1 - self.dice.below(ours.len().min(2))]
        } else {
            self.dice.pick(&all)
        }
    }

    fn recipient(&mut self) -> Word {
        if self.dice.chance(91) { self.flow.requester } else { self.dice.pick(&AGENCIES) }
    }

    fn purposes(&mut self) -> Words {
        if self.dice.chance(8) { self.dice.some(&PURPOSES, 30) } else { self.dice.some(self.flow.purposes, 85) }
    }

    fn authorise(&mut self, incident: Option<Name>) {
        let name = self.name();
        let incident = incident.unwrap_or_else(|| self.some_incident());
        let revision = self.records.incidents[&incident].revision - i64::from(self.dice.chance(4));
        let authorisation = Authorisation {
            incident,
            recipient: self.recipient(),
            revision,
            covers_updates: self.dice.chance(50),
            purposes: self.purposes(),
            categories: self.dice.some(&CATEGORIES, 75),
            ground: if self.dice.chance(92) { self.dice.pick(self.flow.grounds) } else { self.dice.pick(&GROUNDS) },
            until: if self.dice.chance(40) { self.edge() } else { self.at() + 90 * DAY },
            revoked: false,
        };
        self.change(Change::Authorise { name, authorisation });
    }

    fn scope(&mut self) -> Scope {
        let incident = self.some_incident();
        let present = self.records.incidents[&incident].revision;
        // 0 would be no revision at all on the wire.
        let beside = if present > 1 { self.dice.pick(&[-1, -1, -1, 1]) } else { 1 };
        let revision = if self.dice.chance(75) { present } else { present + beside };
        let from = match self.dice.below(10) {
            0..=1 => self.at(),
            2..=3 => self.edge(),
            _ => self.at() - DAY,
        };
        let until = if self.dice.chance(40) { self.edge() } else { self.at() + 200 * DAY };
        let spoken = self.dice.chance(12).then(|| self.at());
        let until = spoken.filter(|_| self.dice.chance(85)).map_or(until, |said| said + DAY);
        Scope {
            spoken,
            recipient: self.recipient(),
            purposes: self.purposes(),
            enforcement: self.dice.chance(65),
            categories: self.dice.some(&CATEGORIES, 75),
            incident: self.dice.chance(60).then(|| (incident, revision, self.dice.chance(50))),
            onward: self.dice.chance(50),
            valid: (from, until),
        }
    }

    /// A new consent, mostly recorded and verified.
    fn consent(&mut self) {
        let scope = self.scope();
        let named = scope.incident.map_or_else(|| self.some_incident(), |(name, ..)| name);
        let organisation = self.records.incidents[&named].organisation;
        let name = self.name();
        if self.dice.chance(25) {
            self.change(Change::SeekConsent { name, organisation, recipient: scope.recipient });
            if self.dice.chance(30) {
                return;
            }
        }
        if self.change(Change::RecordConsent { name, organisation, scope, officer: "rec" }) && self.dice.chance(90) {
            self.change(Change::VerifyConsent { name, officer: "ver" });
        }
    }

    /// What happens to a consent next.
    fn go_on(&mut self, name: Name) {
        let consent = self.records.consents[&name].clone();
        let change = match self.dice.below(100) {
            0..=14 => Change::WithdrawConsent { name },
            15..=24 => Change::RefuseConsent { name },
            25..=46 if consent.given.is_none() || consent.recorded.is_some() => {
                Change::VerifyConsent { name, officer: if self.dice.chance(88) { "ver" } else { "rec" } }
            }
            25..=79 => {
                let scope = match &consent.given {
                    Some((_, present)) => self.narrowed(present.clone()),
                    None => self.scope(),
                };
                Change::NarrowConsent { name, scope }
            }
            80..=93 => {
                let scope = self.scope();
                if self.change(Change::ReconfirmConsent { name, scope, officer: "rec" }) && self.dice.chance(50) {
                    self.change(Change::VerifyConsent { name, officer: "ver" });
                }
                return;
            }
            _ => {
                let (scope, organisation) = (self.scope(), consent.organisation);
                Change::RecordConsent { name, organisation, scope, officer: "rec" }
            }
        };
        self.change(change);
    }

    /// One thing less, or, now and then, one thing more than may be.
    fn narrowed(&mut self, mut scope: Scope) -> Scope {
        let more = self.dice.chance(45);
        let toggle = |set: &mut Words, word: Word| {
            if more {
                set.insert(word);
            } else if set.len() > 1 {
                set.remove(word);
            }
        };
        match self.dice.below(10) {
            0 => toggle(&mut scope.purposes, self.dice.pick(self.flow.purposes)),
            1 => toggle(&mut scope.categories, self.dice.pick(&CATEGORIES)),
            2 => scope.enforcement = more,
            3 => scope.onward = more,
            4 => scope.valid.0 += if more { -1 } else { 1 },
            5 => {
                scope.valid.1 =
                    if more { scope.valid.1 + 1 } else { self.edge().max(scope.valid.0 + 1).min(scope.valid.1) }
            }
            6 => {
                let all: Vec<Name> = self.records.incidents.keys().copied().collect();
                let incident = self.dice.pick(&all);
                scope.incident = (!more).then(|| (incident, self.records.incidents[&incident].revision, false));
            }
            _ => {
                if let Some((name, revision, updates)) = &mut scope.incident {
                    if more && self.dice.chance(60) {
                        *revision = self.records.incidents.get(name).map_or(*revision, |one| one.revision);
                    } else {
                        *updates = more;
                    }
                }
            }
        }
        scope
    }

    /// What happens between two ticks.
    fn live(&mut self) {
        for _ in 0..self.dice.below(3) {
            match self.dice.below(100) {
                0..=17 => {
                    let name = self.some_incident();
                    let tlp = if self.dice.chance(70) { "amber" } else { self.dice.pick(&TLP) };
                    let categories = self.dice.some(&CATEGORIES, 80);
                    self.change(Change::AmendIncident { name, tlp, categories });
                }
                18..=30 => {
                    let incident = self.some_incident();
                    self.verify_notification(incident);
                }
                31..=65 if !self.records.consents.is_empty() => {
                    let names: Vec<Name> = self.records.consents.keys().copied().collect();
                    let name = self.dice.pick(&names);
                    self.go_on(name);
                }
                31..=70 => self.consent(),
                71..=84 => self.authorise(None),
                92 => {
                    let name = self.some_incident();
                    self.change(Change::EraseIncident { name });
                }
                85..=86 => {
                    let (name, incident, recipient) = (self.name(), self.some_incident(), self.recipient());
                    // What is written down of a frozen one is called back by that, and can't be reported again.
                    let mut standing = self.records.freezes.values().filter(|one| !one.lifted);
                    if !standing.any(|one| (one.incident, one.recipient) == (incident, recipient)) {
                        self.change(Change::Freeze { name, incident, recipient });
                        let _lifted = self.dice.chance(25) && self.change(Change::Lift { name });
                    }
                }
                87..=91 => {
                    let names: Vec<Name> = self.records.authorisations.keys().copied().collect();
                    if !names.is_empty() {
                        let name = self.dice.pick(&names);
                        self.change(Change::Revoke { name });
                    }
                }
                93..=95 => {
                    let (incident, recipient) = (self.some_incident(), self.recipient());
                    self.reference(incident, recipient);
                }
                _ => {
                    // The register is amended: an identifier goes or comes.
                    let incident = self.some_incident();
                    let name = self.records.incidents[&incident].organisation;
                    let identifiers = self.dice.pick(&[vec![1], vec![0, 1], vec![3]]);
                    let taken = self.records.organisations.iter().any(|(other, one)| {
                        *other != name
                            && one.holder == self.records.organisations[&name].holder
                            && identifiers.iter().any(|number| one.identifiers.contains(number))
                    });
                    if !taken {
                        self.change(Change::AmendOrganisation { name, identifiers: identifiers.into_iter().collect() });
                    }
                }
            }
        }
        let ask = self.usual_ask();
        if self.distance(&ask) > 1 && self.dice.chance(60) {
            self.repair();
        }
    }

    /// What is missing for the usual ask comes to be.
    fn repair(&mut self) {
        if self.flow.consents {
            self.consent();
        }
        let incident = self.some_incident();
        self.authorise(Some(incident));
        self.verify_notification(incident);
    }

    fn distance(&self, ask: &Ask) -> usize {
        let in_force = self.timeline.in_force(self.tick, self.all);
        distance(&self.records, &in_force, ask, self.at()).len()
    }
}
