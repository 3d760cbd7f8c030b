//! Replays decisions: each is made again from the facts that were sealed with its entry, by the texts that were in force
//! then, and compared with what was committed to and what is kept for repeats.
//!
//! A replay from the first entry on also follows the acts in the ledger, and says where a decision read what no act had
//! brought about.
//!
//! Nothing is read that the decision did not read: no record, no configuration, no clock. Two things of an entry were
//! not decided, and are taken from it: the reference under which a named organisation's incident was released, which is
//! random, and the contact for corrections, which was configured. What is not asked here is whether the entries are the
//! ones that were signed: that is the check of the ledger.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;
use serde::de::DeserializeOwned;

use crate::decision::{
    Agreement, Decision, Facts, InForce, NamingFacts, Permitted, SharingFacts, Wanted, decide, decide_naming,
    decide_sharing,
};
use crate::domain::{Activity, Digest, Instant, Question, Reference, Subject};
use crate::ledger::{Kind, commit_to};
use crate::proto::v1::{
    Act, ExistenceStatement, GroundsStatement, LedgerEntry, OfferStatement, Opening, OutcomeStatement,
    ProposalStatement, Slot, WrongfulReleaseStatement,
};
use crate::seal::Seal;
use crate::store::{Inside, Reads, Store, WholeEntry};

use super::acts::Acts;
use super::offers::offered;
use super::{Error, Result, asks, sharing, statement};

/// How many entries are read in one transaction: a long one would hold up the database of a node that serves.
const PAGE: i64 = 100;

/// What came of replaying one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// An ask whose facts give exactly what was committed to.
    Same,
    /// Something was changed; what, one line each.
    Different(Vec<String>),
    /// It was erased: what it said cannot be known any more.
    Erased,
    /// It cannot be told, and why.
    Unreadable(String),
    /// No ask: there is nothing to decide again.
    NoDecision(Kind),
}

/// What came of replaying a range of entries.
#[derive(Debug, Default)]
pub struct Replay {
    /// How many decisions came out the same.
    pub same: u64,
    /// How many entries were erased.
    pub erased: u64,
    /// How many entries are no decisions, by kind.
    pub others: BTreeMap<Kind, u64>,
    /// Every entry that is [`Replayed::Different`] or [`Replayed::Unreadable`], by index.
    pub faults: Vec<(u64, Replayed)>,
}

impl Replay {
    fn count(&mut self, index: u64, replayed: Replayed) {
        match replayed {
            Replayed::Same => self.same += 1,
            Replayed::Erased => self.erased += 1,
            Replayed::NoDecision(kind) => *self.others.entry(kind).or_default() += 1,
            fault @ (Replayed::Different(_) | Replayed::Unreadable(_)) => self.faults.push((index, fault)),
        }
    }
}

/// What a replay knows from the entries before.
struct Known {
    texts: Texts,
    /// None once an entry could not be followed: the acts before the first one, in an unreadable one.
    acts: Option<Acts>,
}

/// Why an ask could not be decided again.
enum Stopped {
    Different(String),
    Unreadable(String),
    Failed(Error),
}

impl From<crate::store::Error> for Stopped {
    fn from(error: crate::store::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn unreadable(what: impl Into<String>) -> Stopped {
    Stopped::Unreadable(what.into())
}

/// Replays the entries of a range. `progress` is told how many are done.
///
/// Reads only, so a node may be serving meanwhile. An error means that the database could not be read; whatever is
/// wrong with an entry is in the result.
pub async fn replay(
    store: &Store,
    seal: &Seal,
    range: Range<u64>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Replay> {
    let mut replay = Replay::default();
    let mut known = Known { texts: Texts::default(), acts: (range.start == 0).then(Acts::default) };
    let mut next = range.start;
    while next < range.end {
        let mut reads = store.reads().await?;
        let page = reads.whole_entries(next, range.end, PAGE, seal).await?;
        let after = page.last().map_or(range.end, |entry| entry.index + 1);
        let mut page = page.into_iter().peekable();
        while next < after {
            let replayed = match page.next_if(|entry| entry.index == next) {
                Some(entry) => one(&mut reads, &mut known, entry).await?,
                None => Replayed::Unreadable("it is missing from the database".to_owned()),
            };
            if matches!(replayed, Replayed::Unreadable(_)) {
                known.acts = None;
            }
            replay.count(next, replayed);
            next += 1;
        }
        progress(next - range.start);
    }
    Ok(replay)
}

async fn one(reads: &mut Reads, known: &mut Known, entry: WholeEntry) -> Result<Replayed> {
    match again(reads, known, entry).await {
        Ok(replayed) => Ok(replayed),
        Err(Stopped::Different(what)) => Ok(Replayed::Different(vec![what])),
        Err(Stopped::Unreadable(why)) => Ok(Replayed::Unreadable(why)),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn again(reads: &mut Reads, known: &mut Known, entry: WholeEntry) -> Result<Replayed, Stopped> {
    let leaf = LedgerEntry::decode(entry.leaf.as_slice()).map_err(|_| unreadable("its leaf cannot be decoded"))?;
    if leaf.format != 1 {
        return Err(unreadable(format!("this version does not know entries of format {}", leaf.format)));
    }
    let (openings, sealed) = match entry.inside {
        Inside::Erased => {
            // What is erased is asks and offers, and what was decided of existence and of proposals, whose acts are not
            // followed: an act that took effect is followed for ever.
            if let Some(acts) = known.acts.as_mut().filter(|_| matches!(leaf.kind(), Kind::Ask | Kind::Offer)) {
                acts.forget_references();
            } else if !matches!(leaf.kind(), Kind::Existence | Kind::Proposal) {
                known.acts = None;
            }
            return Ok(Replayed::Erased);
        }
        Inside::Unopened => return Err(unreadable("what was sealed beside it does not open: it was moved or changed")),
        Inside::Opened { openings, facts } => (openings, facts),
    };
    if !openings.iter().all(|opening| is_of(&leaf, opening)) {
        return Err(Stopped::Different("openings: they are not what the leaf commits to".to_owned()));
    }
    let committed = |slot: Slot| {
        openings.iter().find(|opening| opening.slot() == slot).map_or(&[][..], |opening| opening.payload.as_slice())
    };
    if matches!(leaf.kind(), Kind::Statistics | Kind::ThemeAsk) {
        let sealed = sealed.ok_or_else(|| unreadable("it has no facts"))?;
        let stated = [Slot::Act, Slot::Outcome, Slot::Grounds].map(committed);
        return table(reads, known, &sealed, (entry.index, leaf.at_micros), stated).await;
    }
    if leaf.kind() != Kind::Ask {
        let act = Act::decode(committed(Slot::Act)).map_err(|_| unreadable("its act cannot be decoded"))?;
        if let Some(acts) = &mut known.acts {
            let at = Instant::from_micros(leaf.at_micros);
            acts.follow(&act, at);
            // A consent that was entered in error may open one by itself, and so may what is written down to have relied on it.
            if matches!(leaf.kind(), Kind::Consent | Kind::Disclosure | Kind::WrongfulRelease) {
                let stated = WrongfulReleaseStatement::decode(committed(Slot::Outcome));
                acts.follow_wrongful(&stated.map_err(|_| unreadable("its outcome cannot be decoded"))?, at);
            }
        }
        return match sealed {
            Some(sealed) => {
                let made = (leaf.kind(), leaf.at_micros);
                change(reads, known, made, &sealed, committed(Slot::Outcome), committed(Slot::Grounds)).await
            }
            // A decline decides nothing.
            None => Ok(Replayed::NoDecision(leaf.kind())),
        };
    }
    let Some(sealed) = sealed else {
        // An erased incident's ask that was given nothing: what its requester may open is left, and tells the same as
        // before. Of a release nothing would be left.
        let outcome = OutcomeStatement::decode(committed(Slot::Outcome)).unwrap_or_default();
        let released = !outcome.released.is_empty() || committed(Slot::Outcome).is_empty();
        return if released { Err(unreadable("it has no facts")) } else { Ok(Replayed::Erased) };
    };
    let facts: Facts = read(&sealed, 2)?;
    let agreements = known.texts.in_force(reads, &facts.in_force).await?;
    let agreements: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    let decision = decide(&facts, &agreements);

    let mut differences = Vec::new();
    let mut differs = |what: &str| differences.push(what.to_owned());
    if leaf.at_micros != facts.at.micros() {
        differs("time: the facts have another than the leaf");
    }
    let kept = reads.kept_answer(&facts.ask.question, entry.index).await?;
    if kept.as_ref().and_then(|kept| kept.answer.as_ref()) != Some(&asks::answer(&decision)) {
        differs("answer: what is kept for repeats is not what the facts give");
    }
    let outcome = OutcomeStatement::decode(committed(Slot::Outcome)).unwrap_or_default();
    let grounds = GroundsStatement::decode(committed(Slot::Grounds)).unwrap_or_default();
    let open_until = kept.map_or(Instant::from_micros(outcome.open_until_micros), |kept| kept.open_until);
    if let Some(acts) = &mut known.acts {
        acts.unaccounted(&facts).iter().for_each(|problem| differs(problem));
        // Who asks by a reference is given none.
        if matches!(facts.ask.subject, Subject::Organisation(_)) {
            acts.follow_outcome(&outcome);
        }
    }
    let released = released(&facts, &decision, &outcome);
    let stated = statement::of_ask(&facts, &sealed, &decision, &released, open_until, contact(&outcome));
    if stated.act != committed(Slot::Act) {
        differs("ask: the facts have another than the one committed to");
    }
    if stated.subject != committed(Slot::Subject) {
        differs("subject: the facts have another than the one committed to");
    }
    if stated.outcome != committed(Slot::Outcome) {
        let word = OutcomeStatement::decode(stated.outcome.as_slice()).unwrap_or_default().outcome;
        differs(&if word == outcome.outcome {
            format!("outcome: the facts give `{word}` with other particulars than were committed to")
        } else {
            format!("outcome: `{}` was committed to, the facts give `{word}`", outcome.outcome)
        });
    }
    if grounds.facts_digest != sum(&sealed).as_bytes() {
        differs("facts: they are not the ones that the grounds commit to");
    } else if stated.grounds != committed(Slot::Grounds) {
        differs("grounds: the facts give other reasons than were committed to");
    }
    Ok(if differences.is_empty() { Replayed::Same } else { Replayed::Different(differences) })
}

/// Decides again what a change was decided on.
async fn change(
    reads: &mut Reads,
    known: &mut Known,
    (kind, at_micros): (Kind, i64),
    sealed: &[u8],
    outcome: &[u8],
    grounds: &[u8],
) -> Result<Replayed, Stopped> {
    match kind {
        Kind::Offer => offer(reads, known, sealed, outcome, grounds).await,
        Kind::Naming => naming(reads, known, sealed, at_micros, outcome, grounds).await,
        // Whatever it was: what it lets another agency see was decided on these.
        _ => existence(reads, known, (kind, at_micros), sealed, outcome, grounds).await,
    }
}

/// Decides again what was offered: only a permit makes an offer.
async fn offer(
    reads: &mut Reads,
    known: &mut Known,
    sealed: &[u8],
    outcome: &[u8],
    grounds: &[u8],
) -> Result<Replayed, Stopped> {
    let facts: Facts = read(sealed, 2)?;
    let agreements = known.texts.in_force(reads, &facts.in_force).await?;
    let agreements: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    let Decision::Permit(permit) = decide(&facts, &agreements) else {
        return Err(Stopped::Different("offer: the facts give no permit for it".to_owned()));
    };
    let mut differences = known.acts.as_ref().map(|acts| acts.unaccounted(&facts)).unwrap_or_default();
    let committed = OfferStatement::decode(outcome).unwrap_or_default();
    let request = (!committed.request.is_empty()).then(|| Question::known(committed.request.as_str()));
    if statement::offer(&facts.ask, request.as_ref(), &offered(&permit)) != outcome {
        differences.push("offer: the facts give another than was committed to".to_owned());
    }
    if statement::reasons(permit.reasons(), sealed) != grounds {
        differences.push("grounds: the facts give other reasons than were committed to".to_owned());
    }
    Ok(if differences.is_empty() { Replayed::Same } else { Replayed::Different(differences) })
}

/// Decides again whether an organisation might be named.
async fn naming(
    reads: &mut Reads,
    known: &mut Known,
    sealed: &[u8],
    at_micros: i64,
    outcome: &[u8],
    grounds: &[u8],
) -> Result<Replayed, Stopped> {
    let facts: NamingFacts = read(sealed, 1)?;
    let agreements = known.texts.in_force(reads, &facts.in_force).await?;
    let agreements: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    let stated = statement::of_naming(&facts, sealed, &decide_naming(&facts, &agreements));
    let mut differences = known.acts.as_ref().map(|acts| acts.of_naming(&facts)).unwrap_or_default();
    let compared = [
        (at_micros == facts.at.micros(), "time: the facts have another than the leaf"),
        (stated.0 == outcome, "outcome: the facts give another than was committed to"),
        (stated.1 == grounds, "grounds: the facts give other reasons than were committed to"),
    ];
    differences.extend(compared.iter().filter(|(same, _)| !same).map(|(_, what)| (*what).to_owned()));
    Ok(if differences.is_empty() { Replayed::Same } else { Replayed::Different(differences) })
}

/// Decides again whether another agency might see what refers to an incident.
async fn existence(
    reads: &mut Reads,
    known: &mut Known,
    (kind, at_micros): (Kind, i64),
    sealed: &[u8],
    outcome: &[u8],
    grounds: &[u8],
) -> Result<Replayed, Stopped> {
    let facts: Facts = read(sealed, 2)?;
    let agreements = known.texts.in_force(reads, &facts.in_force).await?;
    let agreements: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    let decision = decide(&facts, &agreements);
    let mut differences = known.acts.as_ref().map(|acts| acts.unaccounted(&facts)).unwrap_or_default();
    let is_permitted = matches!(decision, Decision::Permit(_));
    let stated = match kind {
        Kind::Existence => {
            let shown = ExistenceStatement::decode(outcome).unwrap_or_default().shown;
            statement::existence(&facts.ask, &shown, &decision) == outcome
        }
        Kind::Proposal => match ProposalStatement::decode(outcome).unwrap_or_default().step.as_str() {
            "put" | "message" => is_permitted,
            "not-permitted" => !is_permitted,
            _ => false,
        },
        // Its outcome says more than that.
        _ => true,
    };
    let compared = [
        (at_micros == facts.at.micros(), "time: the facts have another than the leaf"),
        (facts.ask.activity == Activity::ConfirmExistence, "facts: they are not about existence"),
        (stated, "outcome: the facts give another than was committed to"),
        (
            statement::grounds(&decision, sealed) == grounds,
            "grounds: the facts give other reasons than were committed to",
        ),
    ];
    differences.extend(compared.iter().filter(|(same, _)| !same).map(|(_, what)| (*what).to_owned()));
    Ok(if differences.is_empty() { Replayed::Same } else { Replayed::Different(differences) })
}

/// Decides again whether a table or a theme might be shared.
async fn table(
    reads: &mut Reads,
    known: &mut Known,
    sealed: &[u8],
    (index, at_micros): (u64, i64),
    [act, outcome, grounds]: [&[u8]; 3],
) -> Result<Replayed, Stopped> {
    let facts: SharingFacts = read(sealed, 1)?;
    let agreements = known.texts.in_force(reads, &facts.in_force).await?;
    let agreements: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    let decision = decide_sharing(&facts, &agreements);
    let stated = statement::of_sharing_ask(&facts, sealed, &decision);
    let kept = reads.kept_telling(&sharing::object(&facts), index).await?;
    let compared = [
        (kept == Some(sharing::answer(&decision)), "answer: what is kept for repeats is not what the facts give"),
        (at_micros == facts.at.micros(), "time: the facts have another than the leaf"),
        (stated.act == act, "ask: the facts have another than the one committed to"),
        (stated.outcome == outcome, "outcome: the facts give another than was committed to"),
        (stated.grounds == grounds, "grounds: the facts give other reasons than were committed to"),
    ];
    let mut differences: Vec<String> =
        compared.iter().filter(|(same, _)| !same).map(|(_, what)| (*what).to_owned()).collect();
    if let (Some(acts), Wanted::Theme { theme, shared }) = (&known.acts, &facts.wanted) {
        differences.extend(acts.of_theme(&facts.holder, theme, shared.as_ref()));
    }
    Ok(if differences.is_empty() { Replayed::Same } else { Replayed::Different(differences) })
}

/// Whether an opening is of what the leaf commits to in its slot.
fn is_of(leaf: &LedgerEntry, opening: &Opening) -> bool {
    let commitment = usize::try_from(opening.slot - 1).ok().and_then(|place| leaf.commitments.get(place));
    commitment.is_some_and(|commitment| *commitment == commit_to(&opening.salt, &opening.payload))
}

/// Facts of a format up to `newest`.
fn read<T: DeserializeOwned>(sealed: &[u8], newest: u64) -> Result<T, Stopped> {
    let wrong = |error| unreadable(format!("its facts cannot be read: {error}"));
    let all: serde_json::Value = serde_json::from_slice(sealed).map_err(wrong)?;
    match all.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if (1..=newest).contains(&format) => serde_json::from_slice(sealed).map_err(wrong),
        Some(other) => Err(unreadable(format!("this version does not know facts of format {other}"))),
        None => Err(unreadable("its facts state no format")),
    }
}

/// Each permitted incident with the reference by which the requester knows it: the one it asked by, or the one that
/// was committed to.
fn released<'a>(
    facts: &Facts,
    decision: &'a Decision,
    committed: &OutcomeStatement,
) -> Vec<(Reference, &'a Permitted)> {
    let Decision::Permit(permit) = decision else { return Vec::new() };
    let references = committed.released.iter().map(|one| one.reference.as_str()).chain(std::iter::repeat(""));
    let pair = |(permitted, committed): (&'a Permitted, &str)| match &facts.ask.subject {
        Subject::Reference(reference) => (reference.clone(), permitted),
        Subject::Organisation(_) => (Reference::known(committed), permitted),
    };
    permit.permitted().iter().zip(references).map(pair).collect()
}

fn contact(committed: &OutcomeStatement) -> &str {
    let handling = committed.released.first().and_then(|one| one.handling.as_ref());
    handling.map_or("", |handling| handling.correction_contact.as_str())
}

pub(super) fn sum(bytes: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(sum)
}

/// Agreements that were read once, by digest. From the store alone: the files may say something else by now.
#[derive(Default)]
struct Texts(BTreeMap<Digest, Arc<Agreement>>);

impl Texts {
    async fn in_force(&mut self, reads: &mut Reads, named: &[InForce]) -> Result<Vec<Arc<Agreement>>, Stopped> {
        let mut agreements = Vec::new();
        for InForce { id, digest } in named {
            let agreement = match self.0.get(digest) {
                Some(agreement) => Arc::clone(agreement),
                None => Arc::new(load(reads, *digest).await?),
            };
            if agreement.id() != id {
                return Err(Stopped::Different(format!("agreement: the facts call the text of another `{id}`")));
            }
            self.0.insert(*digest, Arc::clone(&agreement));
            agreements.push(agreement);
        }
        Ok(agreements)
    }
}

async fn load(reads: &mut Reads, digest: Digest) -> Result<Agreement, Stopped> {
    let hex = digest.to_hex();
    let text = reads.agreement_text(digest).await?;
    let text = text.ok_or_else(|| unreadable(format!("the agreement text {hex} is missing")))?;
    if sum(&text) != digest {
        return Err(Stopped::Different(format!("agreement: what is stored as the text {hex} is another text")));
    }
    Agreement::load(&text).map_err(|error| unreadable(format!("the agreement text {hex} cannot be read: {error}")))
}
