//! Asks and their outcomes: what a decision becomes for the ledger, for the requester and for a repeat.

use std::collections::BTreeSet;

use crate::decision::{Decision, Permitted};
use crate::domain::{AgencyId, AgreementId, Category, Digest, Instant, Purpose, Question, Reference, Subject};
use crate::ledger::{Draft, Kind, Seed, Slots};
use crate::proto::v1::Receipt;
use crate::release::Releasable;
use crate::seal;
use crate::store::{Answer, Committed, KnownCall, Locked, Write};

use super::gather::Gathered;
use super::plan::By;
use super::{Error, Node, Result, statement};

/// How long after an ask its content may be sent again.
const SEND_AGAIN_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What is asked: a new question, or one that was put before.
#[derive(Debug)]
pub enum AskFor {
    /// A new question.
    New {
        /// The agency asked.
        holder: AgencyId,
        /// What it is about.
        subject: Subject,
        /// The purpose.
        purpose: Purpose,
        /// The categories wanted.
        categories: BTreeSet<Category>,
        /// The requester's own case number.
        external_ref: String,
        /// The text of the agreement that the caller relies on.
        pinned: Option<(AgreementId, Digest)>,
    },
    /// The same question again.
    Again {
        /// The question.
        question: Question,
        /// The purposes that the token allows.
        purposes: BTreeSet<Purpose>,
        /// The text of the agreement that the caller relies on.
        pinned: Option<(AgreementId, Digest)>,
    },
}

/// One call that puts an ask.
#[derive(Debug)]
pub(super) struct AskCall {
    pub(super) by: By,
    pub(super) ask: AskFor,
}

/// What an ask came to.
#[derive(Debug)]
pub struct Asked {
    /// The question, with which to ask again.
    pub question: Question,
    /// The agency asked.
    pub holder: AgencyId,
    /// Until when it may be asked again.
    pub open_until: Instant,
    /// The outcome.
    pub outcome: Outcome,
    /// Its entry.
    pub index: u64,
    /// The proof, for the requester.
    pub receipt: Option<Receipt>,
}

/// The outcome of an ask.
#[derive(Debug)]
pub enum Outcome {
    /// This may be released. None: a repeat whose content is not sent again.
    Released(Option<Committed<Releasable>>),
    /// Nothing is released now, and nothing is said about why.
    Open,
    /// The agreements do not allow it.
    NotCovered {
        /// The reason.
        reason: String,
        /// The same in words.
        explanation: String,
    },
}

/// A decision on its way into the ledger.
pub(super) struct Decided {
    /// The entry.
    pub(super) draft: Draft,
    /// The facts, to be sealed beside it.
    pub(super) facts: Vec<u8>,
    /// What repeats are told.
    pub(super) answer: Answer,
    /// What may be released; the other outcomes have nothing to release.
    pub(super) releasable: Option<Releasable>,
    /// The references that the recipient is given.
    pub(super) references: Vec<Write>,
}

/// What an ask comes to when it is put for the first time: one entry, whatever the outcome, of the same shape.
pub(super) fn first_time(node: &Node, gathered: &Gathered<'_>, decision: Decision) -> Result<Decided> {
    let Gathered { facts, question, references, .. } = gathered;
    let mut issued = Vec::new();
    let at = facts.at;
    let ask = &facts.ask;
    let mut references = references.clone();
    let permitted = match &decision {
        Decision::Permit(permit) => permit.permitted(),
        Decision::Open(_) | Decision::NotCovered(_) => &[],
    };
    for permitted in permitted {
        references.entry(permitted.basis.incident.to_string()).or_insert_with(|| {
            let reference = Reference::known(seal::new_id("ref"));
            let to = &ask.requester.agency;
            issued.push(Write::reference(&reference, &permitted.basis.incident, &ask.holder, to, at));
            reference
        });
    }
    let released: Vec<(Reference, &Permitted)> = permitted
        .iter()
        .filter_map(|permitted| Some((references.get(permitted.basis.incident.as_str())?.clone(), permitted)))
        .collect();

    let sealed_facts = serde_json::to_vec(facts).map_err(|_| Error::Internal("facts could not be written"))?;
    let contact = node.agencies.get(&ask.holder).map_or("", |agency| agency.correction_contact.as_str());
    let stated = statement::of_ask(facts, &sealed_facts, &decision, &released, question.open_until, contact);
    let holder_sees = if facts.matches.is_empty() { Slots::HOLDER } else { Slots::ALL };
    let draft = Draft {
        kind: Kind::Ask,
        act: stated.act,
        subject: stated.subject,
        outcome: stated.outcome,
        grounds: stated.grounds,
        seed: Seed(seal::random()),
        parties: vec![(ask.requester.agency.clone(), Slots::REQUESTER), (ask.holder.clone(), holder_sees)],
    };
    let answer = answer(&decision);
    let releasable = match decision {
        Decision::Permit(permit) => Some(Releasable::new(permit, &references)),
        Decision::Open(_) | Decision::NotCovered(_) => None,
    };
    Ok(Decided { draft, facts: sealed_facts, answer, releasable, references: issued })
}

/// What repeats of an ask are told.
pub(super) fn answer(decision: &Decision) -> Answer {
    match decision {
        Decision::Permit(permit) => {
            Answer::Released { basis: permit.permitted().iter().map(|permitted| permitted.basis.clone()).collect() }
        }
        Decision::Open(_) => Answer::Open,
        Decision::NotCovered(not_covered) => {
            Answer::NotCovered { reason: not_covered.reason.to_owned(), explanation: not_covered.explanation.clone() }
        }
    }
}

/// The same ask again: the same outcome and entry, and the content only while all that it rested on still stands.
pub(super) fn repeated(locked: &Locked, call: &KnownCall, gathered: &Gathered<'_>, decision: Decision) -> Asked {
    let since = gathered.facts.at.micros_since(call.at);
    let recent = since < SEND_AGAIN_MICROS;
    let outcome = match call.answer.clone() {
        Some(Answer::Released { basis }) => {
            let still = match decision {
                Decision::Permit(permit) if recent => permit.restricted_to(&basis, since),
                _ => None,
            };
            let releasable = still.map(|permit| Releasable::new(permit, &gathered.references));
            Outcome::Released(releasable.map(|releasable| locked.committed_earlier(call, releasable)))
        }
        Some(Answer::NotCovered { reason, explanation }) => Outcome::NotCovered { reason, explanation },
        Some(Answer::Open) | None => Outcome::Open,
    };
    Asked {
        question: gathered.question.id.clone(),
        holder: gathered.question.holder.clone(),
        open_until: gathered.question.open_until,
        outcome,
        index: call.index,
        receipt: None,
    }
}
