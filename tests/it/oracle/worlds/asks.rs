//! The asks of a scene: a release, or a condition away from one.

use std::collections::BTreeSet;

use super::{AGENCIES, Ask, CATEGORIES, DAY, GROUNDS, Making, Name, PURPOSES, S132, Step, Subject};

impl Making<'_> {
    /// An ask that is right in itself.
    pub(super) fn usual_ask(&mut self) -> Ask {
        let incident = self.some_incident();
        let flow = self.flow;
        let issued = self
            .records
            .references
            .iter()
            .filter(|(_, one)| one.incident == incident && one.recipient == flow.requester);
        let issued: Vec<Name> = issued.map(|(name, _)| *name).collect();
        let by_name = flow.requester == "ico";
        let by_name = by_name && (issued.is_empty() || self.dice.chance(40));
        let subject = if by_name { self.naming(incident) } else { Subject::Reference(issued.first().copied()) };
        Ask {
            requester: flow.requester,
            holder: flow.holder,
            subject,
            purpose: self.dice.pick(flow.purposes),
            categories: self.dice.some(&CATEGORIES, 50),
            pinned: None,
        }
    }

    pub(super) fn naming(&mut self, incident: Name) -> Subject {
        let incident = &self.records.incidents[&incident];
        let (from, until) = incident.occurred;
        let identifiers = &self.records.organisations[&incident.organisation].identifiers;
        let first = identifiers.first().copied().unwrap_or(0);
        let ground = match (self.flow.requester, self.flow.holder) {
            ("ncsc", "ico") => "isa-1994-s4-2-a",
            ("nca", "ico") => "cca-2013-s7-4",
            ("ncsc", _) => "joint-ground",
            _ => self.dice.pick(S132),
        };
        // From the instant after it was over, or to the instant at which it began, is beside it.
        let period = self.dice.pick(&[
            (from - DAY, until + DAY),
            (from - DAY, until + DAY),
            (from, until),
            (until - 1, until + DAY),
            (until - 1, until + DAY),
            (from - DAY, from + 1),
            (from - DAY, from + 1),
            (until, until + DAY),
            (from - DAY, from),
        ]);
        Subject::Named { identifiers: BTreeSet::from([first, 7]), period, ground }
    }

    /// One thing about the ask is another.
    pub(super) fn spoiled(&mut self, mut ask: Ask) -> Ask {
        match self.dice.below(11) {
            0 => ask.requester = self.dice.pick(&AGENCIES),
            1 | 9 | 10 => ask.holder = self.dice.pick(&AGENCIES),
            2 => ask.purpose = self.dice.pick(&PURPOSES),
            3 => ask.categories = self.dice.some(&["narrative", "sector", "assessment", "ransom"], 30),
            4 => ask.subject = Subject::Reference(None),
            5 => {
                // Another's, where there is one.
                let all = self.records.references.iter();
                let others = all.clone().filter(|(_, one)| one.recipient != ask.requester).map(|(name, _)| *name);
                let others: Vec<Name> = others.collect();
                let names = if others.is_empty() { all.map(|(name, _)| *name).collect() } else { others };
                ask.subject = Subject::Reference((!names.is_empty()).then(|| self.dice.pick(&names)));
            }
            6 | 7 => match &mut ask.subject {
                Subject::Named { ground, identifiers, .. } => {
                    if self.dice.chance(50) {
                        *ground = self.dice.pick(&GROUNDS);
                    } else {
                        *identifiers = self.dice.pick(&[[5].into(), [2].into(), [0, 1, 2].into()]);
                    }
                }
                Subject::Reference(_) => {
                    let incident = self.some_incident();
                    ask.subject = self.naming(incident);
                }
            },
            _ => {
                let id = self.dice.pick(&["ico-ncsc-2023", "ico-nca-2024", "nis-regulations-2018", "oracle-overlap"]);
                ask.pinned = Some((id, self.dice.chance(75)));
            }
        }
        ask
    }

    /// Puts an ask: of a few, one that is near a release.
    pub(super) fn ask(&mut self) {
        let earlier: Vec<usize> =
            (0..self.steps.len()).filter(|place| matches!(self.steps[*place].1, Step::Ask(_))).collect();
        if !earlier.is_empty() && self.dice.chance(8) {
            let place = self.dice.pick(&earlier);
            let Step::Ask(ask) = self.steps[place].1.clone() else { unreachable!("only asks were picked") };
            let ask = Ask { pinned: None, ..ask };
            self.steps.push((self.tick, Step::Again(place, ask)));
            return;
        }
        let mut chosen = None;
        for _ in 0..3 {
            let usual = self.usual_ask();
            let ask = if self.dice.chance(40) { self.spoiled(usual) } else { usual };
            let is_near = self.distance(&ask) <= 1;
            chosen = Some(ask);
            if is_near {
                break;
            }
        }
        self.steps.push((self.tick, Step::Ask(chosen.unwrap())));
    }
}
