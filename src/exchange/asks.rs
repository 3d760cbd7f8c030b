//! Asks and their outcomes: what a decision becomes for the ledger, for the requester and for a repeat.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Decision, Permitted};
use crate::domain::{
    Activity, AgencyId, AgreementId, Ask, Category, Digest, Instant, NamingReceipt, Purpose, Question, Reference,
    Rejected, RequestId, Requester, Subject, Urgency,
};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::proto::v1::Receipt;
use crate::release::{Releasable, ReleasedIncident};
use crate::seal;
use crate::store::{Answer, Committed, KnownCall, Locked, QuestionRow, Reads, Write};

use super::gather::{Gathered, Put};
use super::plan::By;
use super::{Error, Node, Result, statement};

/// How long a question may be put again.
const OPEN_DAYS: i64 = 90;

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
        /// The form.
        form: String,
        /// The requester's own case number.
        external_ref: String,
        /// How soon an answer is needed.
        urgency: Urgency,
        /// The text of the agreement that the caller relies on.
        pinned: Option<(AgreementId, Digest)>,
        /// What its own node said about naming the organisation.
        naming: Option<NamingReceipt>,
    },
    /// The same question again.
    Again {
        /// The question.
        question: Question,
        /// The purposes that the token allows.
        purposes: BTreeSet<Purpose>,
        /// The text of the agreement that the caller relies on.
        pinned: Option<(AgreementId, Digest)>,
        /// What its own node said about naming the organisation.
        naming: Option<NamingReceipt>,
    },
}

/// One call that puts an ask.
#[derive(Debug)]
pub(super) struct AskCall {
    pub(super) by: By,
    pub(super) ask: AskFor,
}

/// An ask on its way through the gate.
pub(super) struct Asking<'a> {
    pub(super) call: &'a AskCall,
    /// The call's first time, if this is a repeat.
    pub(super) earlier: Option<KnownCall>,
    pub(super) question: QuestionRow,
    pub(super) is_new: bool,
    pinned: Option<(AgreementId, Digest)>,
    naming: Option<NamingReceipt>,
}

/// The questions that are put again or were put by calls that are repeated.
pub(super) async fn stored_questions<'a>(
    node: &Node,
    reads: &mut Reads,
    asks: impl Iterator<Item = &'a AskCall>,
    known: &BTreeMap<String, KnownCall>,
) -> Result<BTreeMap<String, QuestionRow>> {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for call in asks {
        if let AskFor::Again { question, .. } = &call.ask {
            ids.insert(question.as_str());
        }
        if let Some(earlier) = known.get(&call.by.call.stored()) {
            ids.insert(&earlier.object);
        }
    }
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = reads.questions_by_id(&ids, &node.seal).await?;
    Ok(rows.into_iter().map(|row| (row.id.to_string(), row)).collect())
}

impl<'a> Asking<'a> {
    /// The question that a call puts. What is the caller's own mistake is an error.
    pub(super) fn new(
        call: &'a AskCall,
        known: &BTreeMap<String, KnownCall>,
        questions: &BTreeMap<String, QuestionRow>,
        at: Instant,
    ) -> Result<Self> {
        let by = &call.by;
        let earlier = known.get(&by.call.stored());
        if earlier.is_some_and(|earlier| earlier.digest != by.call.digest) {
            return Err(Error::key_reused());
        }
        let stored = |id: &str| {
            let own = questions.get(id).filter(|question| question.requester.agency == by.actor.agency);
            own.cloned().ok_or(Error::Rejected(Rejected::NotFound("request")))
        };
        let (question, is_new, pinned, naming) = match (&call.ask, earlier) {
            (AskFor::New { pinned, naming, .. }, Some(earlier)) => (stored(&earlier.object)?, false, pinned, naming),
            (
                AskFor::New { holder, subject, purpose, categories, form, external_ref, urgency, pinned, naming },
                None,
            ) => {
                let question = QuestionRow {
                    id: Question::known(seal::new_id_at("req", at)),
                    holder: holder.clone(),
                    requester: (&by.actor).into(),
                    purpose: purpose.clone(),
                    form: form.clone(),
                    categories: categories.clone(),
                    subject: subject.clone(),
                    external_ref: external_ref.clone(),
                    created_at: at,
                    open_until: at.plus_days(OPEN_DAYS),
                    urgency: *urgency,
                    offered_at: None,
                    declined_at: None,
                };
                (question, true, pinned, naming)
            }
            (AskFor::Again { question, purposes, pinned, naming }, _) => {
                let question = stored(question.as_str())?;
                if !purposes.contains(&question.purpose) {
                    return Err(Error::PurposeNotInToken(question.purpose.to_string()));
                }
                if earlier.is_none() && question.open_until <= at {
                    return Err(Error::Rejected(Rejected::WrongState("the request has expired: put a new one")));
                }
                (question, false, pinned, naming)
            }
        };
        // Not a denial, which would be this call's for ever: in a moment the clocks are no longer apart.
        if earlier.is_none() && naming.as_ref().is_some_and(|receipt| at < receipt.given_at) {
            let problem = "is from a clock that is ahead of this node's: try again in a moment";
            return Err(Rejected::invalid("naming_receipt", problem).into());
        }
        let (pinned, naming) = (pinned.clone(), naming.clone());
        Ok(Self { call, earlier: earlier.cloned(), question, is_new, pinned, naming })
    }

    /// What is to be decided.
    pub(super) fn put(&self) -> Put {
        let mut ask = asked(&self.question, (&self.call.by.actor).into(), self.call.by.call.request_id.clone());
        ask.pinned.clone_from(&self.pinned);
        ask.naming.clone_from(&self.naming);
        Put { ask, known: None }
    }
}

/// A stored question as one call puts it.
pub(super) fn asked(question: &QuestionRow, requester: Requester, request_id: RequestId) -> Ask {
    Ask {
        question: question.id.clone(),
        request_id,
        requester,
        holder: question.holder.clone(),
        subject: question.subject.clone(),
        activity: Activity::Disclose,
        purpose: question.purpose.clone(),
        form: question.form.clone(),
        categories: question.categories.clone(),
        urgency: question.urgency,
        pinned: None,
        naming: None,
    }
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
    /// This is released. None: a repeat whose content is not sent again.
    Released(Option<Vec<ReleasedIncident>>),
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

/// Where a question stands for whoever put it: by its own asks and the time, and by nothing else.
pub(super) fn state<'a>(
    question: &QuestionRow,
    asks: impl Iterator<Item = &'a KnownCall>,
    at: Instant,
) -> &'static str {
    let mut last = "open";
    for ask in asks {
        last = match (&ask.answer, last) {
            (_, "released") | (Some(Answer::Released { .. }), _) => "released",
            (Some(Answer::NotCovered { .. }), _) => "not-covered",
            _ => "open",
        };
    }
    if question.open_until <= at && last != "released" { "expired" } else { last }
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
    /// By when the recipient disposes of the first of what is released.
    pub(super) dispose_by: Option<Instant>,
}

/// What an ask comes to when it is put for the first time: one entry, whatever the outcome, of the same shape.
pub(super) fn first_time(
    node: &Node,
    question: &QuestionRow,
    gathered: &Gathered,
    decision: Decision,
) -> Result<Decided> {
    let Gathered { facts, references, .. } = gathered;
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
    let dispose_by = permitted.iter().filter_map(|one| one.handling.disposal?.by()).min();
    let released: Vec<(Reference, &Permitted)> = permitted
        .iter()
        .filter_map(|permitted| Some((references.get(permitted.basis.incident.as_str())?.clone(), permitted)))
        .collect();

    let sealed_facts = statement::facts(facts)?;
    let contact = node.agencies.get(&ask.holder).map_or("", |agency| agency.correction_contact.as_str());
    let stated = statement::of_ask(facts, &sealed_facts, &decision, &released, question.open_until, contact);
    let holder_sees = if facts.matches.is_empty() { Slots::HOLDER } else { Slots::ALL };
    let draft = Draft {
        kind: Kind::Ask,
        act: stated.act,
        subject: stated.subject,
        outcome: stated.outcome,
        grounds: stated.grounds,
        salts: Salts::from_seed(&seal::random()),
        parties: vec![(ask.requester.agency.clone(), requester_sees(ask)), (ask.holder.clone(), holder_sees)],
    };
    let answer = answer(&decision);
    let releasable = match decision {
        Decision::Permit(permit) => Some(Releasable::new(permit, &references)),
        Decision::Open(_) | Decision::NotCovered(_) => None,
    };
    Ok(Decided { draft, facts: sealed_facts, answer, releasable, references: issued, dispose_by })
}

/// What a requester may open of its ask's entry. Of one for an anonymised record not by which reference it asked: whoever
/// is shown that receipt must not be able to lay it beside another.
pub(super) fn requester_sees(ask: &Ask) -> Slots {
    if ask.is_anonymised() { Slots::UNLINKED } else { Slots::REQUESTER }
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
pub(super) fn repeated(
    locked: &Locked,
    call: &KnownCall,
    question: &QuestionRow,
    gathered: &Gathered,
    decision: Decision,
) -> (Asked, Option<Committed<Releasable>>) {
    let since = gathered.facts.at.micros_since(call.at);
    let recent = since < SEND_AGAIN_MICROS;
    let still = match (&call.answer, decision) {
        (Some(Answer::Released { basis }), Decision::Permit(permit)) if recent => permit.restricted_to(basis, since),
        _ => None,
    };
    let releasable = still.map(|permit| Releasable::new(permit, &gathered.references));
    let asked = Asked {
        question: question.id.clone(),
        holder: question.holder.clone(),
        open_until: question.open_until,
        outcome: call.answer.clone().unwrap_or(Answer::Open).into(),
        index: call.index,
        receipt: None,
    };
    (asked, releasable.map(|releasable| locked.committed_earlier(call, releasable)))
}

impl From<Answer> for Outcome {
    /// Nothing is opened here: a release has no content until `release` opens it.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Released { .. } => Self::Released(None),
            // What is kept of an ask for a table is never an ask's about an incident.
            Answer::Open | Answer::Shared { .. } | Answer::NotPublished { .. } => Self::Open,
            Answer::NotCovered { reason, explanation } => Self::NotCovered { reason, explanation },
        }
    }
}
