//! The gate: facts, decision, ledger entry, in that order, under the lock. START HERE.
//!
//! 1. `wire` has identified the caller: an officer of an agency, by certificate and token.
//! 2. [`batch`](super::batch) has taken the ledger's head, so nothing that a decision reads can change until the end.
//! 3. [`gather`](super::gather) reads the facts of every ask, by set.
//! 4. [`decide`](crate::decision::decide) turns the facts of one ask into a permit or a denial, purely.
//! 5. [`Locked::append`] puts one entry into the ledger, whatever was decided.
//! 6. [`Locked::commit`](crate::store::Locked) makes all of it durable.
//! 7. [`release`](crate::release) opens content, and takes nothing less than a committed permit.
//!
//! The types allow no other order: only `decide` makes a [`Permit`](crate::decision::Permit), only `append` takes it, only the commit of the
//! same transaction gives it back as [`Committed`], and only that can be released.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

use crate::decision::{Decision, Permitted, decide};
use crate::domain::{AgencyId, AgreementId, Category, Digest, Instant, Purpose, Question, Reference, Subject};
use crate::ledger::{Draft, Kind, Seed, Slots};
use crate::proto::v1::Receipt;
use crate::release::Releasable;
use crate::seal;
use crate::store::{Answer, Appended, Commit, Committed, KnownCall, Locked, Write};

use super::gather::{self, Gathered};
use super::node::Timing;
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
        categories: std::collections::BTreeSet<Category>,
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
        purposes: std::collections::BTreeSet<Purpose>,
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

/// What was decided, on its way through append and commit.
#[derive(Debug)]
enum Decided {
    Release(Releasable),
    Open,
    NotCovered { reason: String, explanation: String },
}

/// The asks of one batch.
///
/// What is to be written is kept by table: rows of one table, one after the other, go in one statement.
#[derive(Default)]
pub(super) struct AllAsked {
    calls: Vec<Write>,
    questions: Vec<Write>,
    references: Vec<Write>,
    appended: Vec<(usize, Answerable, Appended<Decided>)>,
    repeats: Vec<(usize, Result<Asked>)>,
}

struct Answerable {
    question: Question,
    holder: AgencyId,
    open_until: Instant,
}

/// Decides every ask of a batch on facts read under the lock, and appends an entry for each.
pub(super) async fn decide_all(
    node: &Node,
    locked: &mut Locked,
    asks: &[(usize, &AskCall)],
    known: &BTreeMap<String, KnownCall>,
    timing: &Timing,
) -> Result<AllAsked> {
    let mut all = AllAsked::default();
    if asks.is_empty() {
        return Ok(all);
    }
    if let Err(error) = &timing.releases {
        // Not only permits: an answer that came while permits are stopped would be a denial.
        tracing::error!(%error, "asks are turned away until the clocks agree; check time synchronisation");
        all.repeats = asks.iter().map(|(place, _)| (*place, Err(error.clone()))).collect();
        return Ok(all);
    }
    for (place, gathered) in gather::gather(node, locked.reads(), asks, known, timing.at).await? {
        match gathered {
            Err(error) => all.repeats.push((place, Err(error))),
            Ok(gathered) => one(node, locked, &mut all, place, &gathered)?,
        }
    }
    Ok(all)
}

fn one(node: &Node, locked: &mut Locked, all: &mut AllAsked, place: usize, gathered: &Gathered<'_>) -> Result<()> {
    let decision = decide(&gathered.facts, &gathered.agreements());
    if let Decision::Open(denial) = &decision
        && let Some(alarm) = denial.alarm()
    {
        tracing::error!(holder = %gathered.facts.ask.holder, alarm, "an ask was denied by a fault, not by a rule");
    }
    match gathered.earlier {
        Some(call) => all.repeats.push((place, Ok(repeated(locked, call, gathered, decision)))),
        None => first_time(node, locked, all, place, gathered, decision)?,
    }
    Ok(())
}

/// An ask for the first time: one entry, whatever the outcome, of the same shape.
fn first_time(
    node: &Node,
    locked: &mut Locked,
    all: &mut AllAsked,
    place: usize,
    gathered: &Gathered<'_>,
    decision: Decision,
) -> Result<()> {
    let Gathered { facts, question, references, .. } = gathered;
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
            all.references.push(Write::reference(&reference, &permitted.basis.incident, &ask.holder, to, at));
            reference
        });
    }
    let released: Vec<(Reference, &Permitted)> = permitted
        .iter()
        .filter_map(|permitted| Some((references.get(permitted.basis.incident.as_str())?.clone(), permitted)))
        .collect();

    let sealed_facts = serde_json::to_vec(facts).map_err(|_| Error::Internal("facts could not be written"))?;
    let mut facts_digest = [0; 32];
    facts_digest.copy_from_slice(digest(&SHA256, &sealed_facts).as_ref());
    let contact = node.agencies.get(&ask.holder).map_or("", |agency| agency.correction_contact.as_str());
    let holder_sees = if facts.matches.is_empty() { Slots::HOLDER } else { Slots::ALL };
    let draft = Draft {
        kind: Kind::Ask,
        act: statement::ask(ask),
        subject: statement::subject(&ask.subject),
        outcome: statement::outcome(&decision, &released, question.open_until, contact),
        grounds: statement::grounds(&decision, facts_digest),
        seed: Seed(seal::random()),
        parties: vec![(ask.requester.agency.clone(), Slots::REQUESTER), (ask.holder.clone(), holder_sees)],
    };
    let (answer, decided) = match decision {
        Decision::Permit(permit) => {
            let basis = permit.permitted().iter().map(|permitted| permitted.basis.clone()).collect();
            (Answer::Released { basis }, Decided::Release(Releasable::new(permit, &references)))
        }
        Decision::Open(_) => (Answer::Open, Decided::Open),
        Decision::NotCovered(not_covered) => {
            let (reason, explanation) = (not_covered.reason.to_owned(), not_covered.explanation);
            let answer = Answer::NotCovered { reason: reason.clone(), explanation: explanation.clone() };
            (answer, Decided::NotCovered { reason, explanation })
        }
    };
    let appended = locked.append(decided, &draft, Some(&sealed_facts), Slots::REQUESTER, at, &node.seal)?;
    let index = appended.index();
    all.calls.push(Write::call(&gathered.call.by.call, index, question.id.as_str(), 0, at, Some(&answer))?);
    if gathered.is_new {
        all.questions.push(Write::question(question, &node.seal)?);
    }
    let answerable =
        Answerable { question: question.id.clone(), holder: ask.holder.clone(), open_until: question.open_until };
    all.appended.push((place, answerable, appended));
    Ok(())
}

/// The same ask again: the same outcome and entry, and the content only while all that it rested on still stands.
fn repeated(locked: &Locked, call: &KnownCall, gathered: &Gathered<'_>, decision: Decision) -> Asked {
    let recent = gathered.facts.at.micros_since(call.at) < SEND_AGAIN_MICROS;
    let outcome = match call.answer.clone() {
        Some(Answer::Released { basis }) => {
            let still = match decision {
                Decision::Permit(permit) if recent => permit.restricted_to(&basis),
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

impl AllAsked {
    /// What is to be written beside the entries; calls first, after those of the changes.
    pub(super) fn take_writes(&mut self) -> impl Iterator<Item = Write> {
        let Self { calls, questions, references, .. } = self;
        calls.drain(..).chain(questions.drain(..)).chain(references.drain(..))
    }

    /// The answers where nothing was appended: there are only repeats and errors.
    pub(super) fn into_repeats(self) -> impl Iterator<Item = (usize, Result<Asked>)> {
        self.repeats.into_iter()
    }

    /// All answers, the appended ones by the proof that they were committed.
    pub(super) fn into_committed(self, commit: &Commit) -> Result<Vec<(usize, Result<Asked>)>> {
        let mut answers = self.repeats;
        for (place, answerable, appended) in self.appended {
            let committed = commit.committed(appended)?;
            answers.push((place, Ok(answerable.answered(committed))));
        }
        Ok(answers)
    }
}

impl Answerable {
    fn answered(self, committed: Committed<Decided>) -> Asked {
        let (index, receipt) = (committed.index(), committed.receipt().cloned());
        let outcome = match committed.into_release() {
            Ok(releasable) => Outcome::Released(Some(releasable)),
            Err(Decided::NotCovered { reason, explanation }) => Outcome::NotCovered { reason, explanation },
            Err(Decided::Open | Decided::Release(_)) => Outcome::Open,
        };
        let Self { question, holder, open_until } = self;
        Asked { question, holder, open_until, outcome, index, receipt }
    }
}

impl Committed<Decided> {
    /// A committed release, or what else was decided.
    fn into_release(self) -> Result<Committed<Releasable>, Decided> {
        self.try_map(|decided| match decided {
            Decided::Release(releasable) => Ok(releasable),
            other => Err(other),
        })
    }
}
