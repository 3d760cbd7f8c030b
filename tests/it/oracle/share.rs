//! How the worlds of a run were spread: an oracle that never sees a case says nothing about it.

use std::collections::BTreeMap;

use super::drive::Answer;
use super::model::{Agreement, Ask, Clause, Outcome, Subject};
use super::records::Word;

/// How the worlds were spread, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Share(pub(super) BTreeMap<String, usize>);

impl Share {
    pub(super) fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    pub(super) fn of(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or(0)
    }
}

/// The conditions of which each must have been the only one that kept a world from its release.
const CONDITIONS: [Word; 28] = [
    "TLP red",
    "another organisation's consent",
    "another period",
    "another's reference",
    "authorisation expired",
    "authorisation for another purpose",
    "authorisation for another recipient",
    "authorisation of another incident",
    "authorisation of another revision",
    "authorisation on another ground",
    "authorisation revoked",
    "consent about another incident",
    "consent about another revision",
    "consent expired",
    "consent for another purpose",
    "consent for another recipient",
    "consent not for enforcement",
    "consent not valid yet",
    "consent only recorded",
    "consent only sought",
    "consent refused",
    "consent withdrawn",
    "frozen",
    "no category in all of them",
    "no notification",
    "notification not verified",
    "notification of another kind",
    "other identifiers",
];

/// Of a narrower consent, what must have been the only thing in which it was wider. These are rare by nature.
const NARROWING: [Word; 9] =
    ["purposes", "categories", "enforcement", "onward", "from", "until", "incident", "revision", "updates"];

const NOT_COVERED: [Word; 7] = [
    "AGREEMENT_DIFFERS",
    "CATEGORY_NOT_COVERED",
    "NAMING_GROUND_NOT_COVERED",
    "NAMING_NOT_COVERED",
    "NAMING_RECEIPT_REQUIRED",
    "NO_AGREEMENT",
    "PURPOSE_NOT_COVERED",
];

fn want_of_consent(holder: &str, requester: &str) -> String {
    format!("open only for want of consent, {holder} to {requester}")
}

fn named(requester: &str, holder: &str) -> String {
    format!("named by {requester} to {holder}")
}

impl Share {
    /// Each outcome, each reason, each clause and each condition must have come this often at the least.
    pub(super) fn assert_each(&self, agreements: &[Agreement], at_least: usize) {
        let outcomes = ["released", "open", "not covered", "released of several matches", "change turned away"];
        let mut wanted: Vec<String> = outcomes.map(str::to_owned).to_vec();
        wanted.extend(["no", "with-consent", "yes"].map(|onward| format!("released, onward {onward}")));
        wanted.extend(NOT_COVERED.map(|reason| format!("not covered: {reason}")));
        wanted.extend(CONDITIONS.map(|condition| format!("open only for: {condition}")));
        // Who names under a consent has no receipt of that in these worlds, which is counted as a reason.
        let without = |clause: &&Clause| clause.activity == "name-in-request" && clause.needs_consent;
        let forbids = |clause: &&Clause| clause.activity == "name-in-request" && clause.modality == "prohibition";
        let clauses = agreements.iter().flat_map(|agreement| &agreement.clauses);
        // Existence is decided for a change, and nobody asks for it.
        let confirms = |clause: &&Clause| clause.activity == "confirm-existence";
        let clauses = clauses.filter(|clause| !without(clause) && !forbids(clause) && !confirms(clause));
        wanted.extend(clauses.map(|clause| match (clause.activity.as_str(), clause.modality.as_str()) {
            ("name-in-request", _) => named(&clause.disclosing, &clause.receiving),
            (_, "prohibition") => want_of_consent(&clause.disclosing, &clause.receiving),
            _ => format!("released under {}", clause.id),
        }));
        let narrowing = NARROWING.map(|one| format!("narrowing turned away only for: {one}"));
        let rare = ["held by another", "too many matches"].map(|one| format!("open only for: {one}"));
        let seldom = narrowing.into_iter().chain(rare).map(|what| (what, at_least / 5));
        let rare: Vec<String> = wanted
            .into_iter()
            .map(|what| (what, at_least))
            .chain(seldom)
            .filter(|(what, least)| self.of(what) < *least)
            .map(|(what, _)| format!("{} times: {what}", self.of(&what)))
            .collect();
        assert!(rare.is_empty(), "too rare for a run of this size:\n{}", rare.join("\n"));
    }
}

/// Counts the world by what it was a case of.
pub(super) fn tell(
    share: &mut Share,
    ask: &Ask,
    expected: &Outcome,
    answer: &Answer,
    distance: impl Fn() -> Vec<Word>,
) {
    share.count("worlds");
    if let (Outcome::Covered(_), Subject::Named { .. }) = (expected, &ask.subject) {
        share.count(named(ask.requester, ask.holder));
    }
    match (expected, answer) {
        (Outcome::NotCovered(reason), _) => {
            share.count("not covered");
            share.count(format!("not covered: {reason}"));
        }
        (Outcome::Covered(matches), Answer::Released(released)) => {
            share.count("released");
            for (_, release) in released {
                for clause in &release.clauses {
                    share.count(format!("released under {clause}"));
                }
                share.count(format!("released, onward {}", release.onward));
            }
            if matches.len() > 1 {
                share.count("released of several matches");
            }
            if matches.iter().any(|one| one.may_be.len() > 1) {
                share.count("released, of several that may be");
            }
        }
        (Outcome::Covered(_), _) => {
            share.count("open");
            match distance().as_slice() {
                [one] => {
                    if one.contains("consent") {
                        share.count(want_of_consent(ask.holder, ask.requester));
                    }
                    share.count("open, one condition away");
                    share.count(format!("open only for: {one}"));
                }
                several => share.count(format!("open, {} conditions away", several.len())),
            }
        }
    }
}
