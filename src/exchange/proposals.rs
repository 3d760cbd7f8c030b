//! Proposals: opened, put to other agencies, answered, written about, concluded and published.
//!
//! Nobody but the agency that opened one sees it until it is put to them, and then what was put alone: [`seen`] says
//! who may know what, under the lock for changes and in the reading's own transaction for what is read.

mod documents;
mod messages;
mod outcome;
mod seen;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::domain::{
    AgencyId, Digest, Event, EventDetail, EventKind, IncidentId, Instant, Proposal, ProposalAnswer, ProposalId,
    ProposalKind, ProposalPut, ProposalTerms, ProposalText, ProposalWords, Purpose, Rejected, Role, SaidBy, Tlp, check,
};
use crate::ledger::Kind;
use crate::proto::v1;
use crate::store::{ProposalKey, ProposalRow, Reads, Write};

use super::existence::{self, Existence, Sight};
use super::plan::{Change, Context, Plan};
use super::{Result, incidents, statement};
pub use messages::SendMessage;
pub use outcome::{ConcludeProposal, EraseProposal, PublishProposal};
pub(crate) use seen::message;
pub(super) use seen::shown;
use seen::{Kinds, check_reaches, own, seen};
pub use seen::{ProposalFilter, ProposalView, Reader};

/// The most versions of a text: all are read for whoever looks at it.
const MOST_VERSIONS: i64 = 100;
/// The most answers of one agency.
const MOST_ANSWERS: i64 = 100;

/// Writes a proposal down.
#[derive(Debug)]
pub struct OpenProposal {
    /// Its kind.
    pub kind: ProposalKind,
    /// The incident that it is about.
    pub incident: Option<IncidentId>,
    /// What it says.
    pub words: ProposalWords,
}

/// Gives it another text.
#[derive(Debug)]
pub struct AmendProposal {
    /// The proposal.
    pub id: ProposalId,
    /// The newest version, as the caller read it.
    pub version: i64,
    /// What it says from now on.
    pub words: ProposalWords,
}

/// Puts its newest text to an agency.
#[derive(Debug)]
pub struct PutProposal {
    /// The proposal.
    pub id: ProposalId,
    /// The version that the officer has read.
    pub version: i64,
    /// To whom.
    pub agency: AgencyId,
    /// For which purpose the agency is to know of the incident, where there is one.
    pub purpose: Option<Purpose>,
    /// By when it should be answered; none: as the agreement says.
    pub answer_by: Option<Instant>,
}

/// Answers what was put to the caller's agency, or the agency's own.
#[derive(Debug)]
pub struct AnswerProposal {
    /// The proposal.
    pub id: ProposalId,
    /// The text that the officer has read.
    pub digest: Digest,
    /// The answer.
    pub word: String,
    /// What goes with it.
    pub text: String,
    /// Who reads it, with the roles that the officer has.
    pub reader: Reader,
}

impl Plan for OpenProposal {
    const KIND: Kind = Kind::Proposal;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let mut opened = kinds.opened_by(context.agency(), &self.kind).peekable();
        let unknown = "is not one that an agreement in force lets your agency open: see `proposals` of GetAgreement";
        check(opened.peek().is_some(), "kind", unknown)?;
        let problem = match &self.incident {
            Some(_) => "must not be set: this kind is not about an incident",
            None => "is required: this kind is about an incident",
        };
        let names_incident = self.incident.is_some();
        let terms: Vec<&ProposalTerms> = opened.filter(|terms| terms.names_incident == names_incident).collect();
        check(!terms.is_empty(), "incident_id", problem)?;
        let (is_document, published) = (self.words.is_document(), terms.iter().any(|terms| terms.published));
        let is_as_the_kind = terms.iter().any(|terms| terms.document == is_document);
        self.words.check_document(is_document == is_as_the_kind)?;
        documents::check_readable(context, reads, &kinds, &self.words, &[]).await?;
        if let Some(id) = &self.incident {
            incidents::own(context, reads, id).await?;
        }
        check_words(&self.words, published, context.at)?;
        let id = ProposalId::known(context.seal().record_id("prop", context.call));
        let proposal = Proposal {
            id: id.clone(),
            opener: context.agency().clone(),
            kind: self.kind.clone(),
            is_document,
            incident: self.incident.clone(),
            opened_at: context.at,
            texts: vec![version(context, 1, &self.words)],
            puts: Vec::new(),
            answers: Vec::new(),
            concluded: None,
            published_at: None,
            is_erased: false,
        };
        Ok(Change::new(&id, 1, Write::proposal(&proposal, context.seal())?))
    }
}

impl Plan for AmendProposal {
    const KIND: Kind = Kind::Proposal;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (proposal, key) = own(context, reads, &self.id).await?;
        if proposal.newest() != self.version {
            return Err(Rejected::Changed.into());
        }
        proposal.check_open()?;
        if proposal.newest() >= MOST_VERSIONS {
            return Err(Rejected::WrongState("it has as many versions as a proposal can have: open another").into());
        }
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let published = kinds.of(&proposal).any(|terms| terms.published);
        check_words(&self.words, published, context.at)?;
        self.words.check_document(proposal.is_document)?;
        let cited = proposal.texts.first().map_or(&[][..], ProposalText::citations);
        documents::check_readable(context, reads, &kinds, &self.words, cited).await?;
        let text = version(context, self.version + 1, &self.words);
        Ok(Change::new(&self.id, text.version, vec![Write::proposal_text(&self.id, &text, &key)?]))
    }
}

impl Plan for PutProposal {
    const KIND: Kind = Kind::Proposal;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (proposal, _) = own(context, reads, &self.id).await?;
        proposal.check_open()?;
        context.check_recipient("agency", &self.agency)?;
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let text = proposal.texts.first().filter(|text| text.version == self.version);
        let text = text.ok_or(Rejected::WrongState("it is not the newest text: read that one"))?;
        if proposal.put_to(&self.agency).is_some_and(|put| put.version == self.version) {
            return Err(Rejected::WrongState("this text was put to that agency already").into());
        }
        check_reaches(reads, context.agency(), &self.agency).await?;
        let Some(terms) = kinds.between(&proposal, &self.agency) else { return Ok(self.not_covered(&proposal)) };
        proposal.check_marking(text, &self.agency)?;
        documents::check_known_to(context, reads, &kinds, text, &self.agency).await?;
        let put = ProposalPut {
            agency: self.agency.clone(),
            version: self.version,
            purpose: self.purpose.clone(),
            answer_by: answer_by(self.answer_by, terms, text, context.at)?,
            at: context.at,
        };
        let mut change = Change::new(&self.id, self.version, Vec::new());
        if let Some(existence) = self.decided(context, reads, &proposal).await? {
            let denied = existence.denied().map(str::to_owned);
            change.decided = Some(existence.into_decided());
            if let Some(explanation) = denied {
                let stated = v1::ProposalStatement { explanation, ..said(&proposal, "not-permitted") };
                return Ok(Change { outcome: stated.encode_to_vec(), ..change });
            }
        }
        let stated = v1::ProposalStatement {
            digest: text.digest.as_bytes().to_vec(),
            answer_by_micros: put.answer_by.map_or(0, Instant::micros),
            ..said(&proposal, "put")
        };
        change.outcome = stated.encode_to_vec();
        let number = proposal.times_put_to(&self.agency) + 1;
        let happened = Happened { proposal: &proposal, kind: EventKind::ProposalPut, number };
        change.writes = vec![
            Write::proposal_put(&self.id, &put),
            happened.tells(&self.agency, &self.agency, put.answer_by, context.at)?,
        ];
        change.told = vec![self.agency.clone()];
        Ok(change)
    }
}

impl PutProposal {
    /// What comes of putting it where no agreement in force lets it be put: an entry of the opener's alone.
    fn not_covered(&self, proposal: &Proposal) -> Change {
        let (opener, kind, agency) = (&proposal.opener, &proposal.kind, &self.agency);
        let explanation =
            format!("no agreement in force lets `{opener}` put a proposal of the kind `{kind}` to `{agency}`");
        let stated = v1::ProposalStatement { explanation, ..said(proposal, "not-covered") };
        Change { outcome: stated.encode_to_vec(), ..Change::new(&self.id, self.version, Vec::new()) }
    }

    /// Whether the agency may know that there is an incident, where the proposal is about one.
    async fn decided(&self, context: Context<'_>, reads: &mut Reads, proposal: &Proposal) -> Result<Option<Existence>> {
        let (incident, purpose) = match (&proposal.incident, &self.purpose) {
            (Some(incident), Some(purpose)) => (incident.clone(), purpose.clone()),
            (Some(_), None) => {
                return Err(Rejected::invalid("purpose", "is required: it is about an incident").into());
            }
            (None, Some(_)) => {
                return Err(Rejected::invalid("purpose", "must not be set: it is not about an incident").into());
            }
            (None, None) => return Ok(None),
        };
        let (holder, recipient) = (context.agency().clone(), self.agency.clone());
        let sight = Sight { holder, incident, recipient, purpose };
        existence::decide(context, reads, sight, self.id.as_str()).await.map(Some)
    }
}

impl Plan for AnswerProposal {
    const KIND: Kind = Kind::Proposal;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let ProposalRow { proposal, key } = seen(context.node, reads, context.at, &self.id, &self.reader).await?;
        let key = key.ok_or(Rejected::NotFound("proposal"))?;
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let is_own = proposal.opener == *context.agency();
        let terms = if is_own {
            let terms = kinds.of(&proposal).find(|terms| terms.opener_answers);
            terms.ok_or(Rejected::WrongState("your own agency does not answer what it opened"))?
        } else {
            let terms = kinds.between(&proposal, context.agency());
            terms.ok_or(Rejected::NotFound("proposal"))?
        };
        if terms.document {
            return Err(Rejected::WrongState("it is a document, which asks for no answer: send a message").into());
        }
        if terms.answered_by.is_disjoint(&self.reader.roles) {
            let roles: Vec<&str> = terms.answered_by.iter().map(Role::as_str).collect();
            return Err(Rejected::RoleMissing(roles.join(", ")).into());
        }
        terms.check_answer(&self.word)?;
        if !is_own {
            check_reaches(reads, context.agency(), &proposal.opener).await?;
        }
        let text = proposal.check_answerable(context.agency(), self.digest)?;
        // Whoever wrote any version had a hand in the newest.
        if is_own && proposal.texts.iter().any(|text| text.written_by == context.actor.officer) {
            return Err(Rejected::SameOfficer.into());
        }
        let earlier = proposal.answers.iter().filter(|answer| answer.agency == *context.agency()).count();
        let number = i64::try_from(earlier).unwrap_or(i64::MAX).saturating_add(1);
        if number > MOST_ANSWERS {
            return Err(Rejected::WrongState("your agency has answered as often as it can: send a message").into());
        }
        let answer = ProposalAnswer {
            agency: context.agency().clone(),
            number,
            version: text.version,
            word: self.word.clone(),
            said: Some(by(context, &self.text)),
            at: context.at,
        };
        let mut stated = said(&proposal, "answered");
        stated.digest = text.digest.as_bytes().to_vec();
        stated.word.clone_from(&self.word);
        let mut change = Change::new(&self.id, number, vec![Write::proposal_answer(&self.id, &answer, &key)?]);
        change.outcome = stated.encode_to_vec();
        if !is_own {
            let happened = Happened { proposal: &proposal, kind: EventKind::ProposalAnswered, number };
            change.writes.push(happened.tells(&proposal.opener, context.agency(), None, context.at)?);
            change.told = vec![proposal.opener.clone()];
        }
        Ok(change)
    }
}

/// What is told to an agency, once.
struct Happened<'a> {
    proposal: &'a Proposal,
    kind: EventKind,
    number: i64,
}

impl Happened<'_> {
    /// The event of what happened between the opener and `with`.
    fn tells(&self, agency: &AgencyId, with: &AgencyId, ends_at: Option<Instant>, at: Instant) -> Result<Write> {
        let Self { proposal, kind, number } = self;
        let other = if *agency == proposal.opener { with } else { &proposal.opener };
        Ok(Write::event(&Event {
            id: kind.id(&[proposal.id.as_str(), with.as_str(), &number.to_string()]),
            agency: agency.clone(),
            kind: *kind,
            at,
            object: proposal.id.to_string(),
            detail: EventDetail { ends_at, ..EventDetail::with(other) },
        })?)
    }
}

/// What an officer says, with what other agencies may know of the officer.
fn by(context: Context<'_>, text: &str) -> SaidBy {
    let (unit, pseudonym) = (context.actor.unit.to_string(), context.actor.pseudonym.clone());
    SaidBy { text: text.to_owned(), unit, pseudonym }
}

/// A statement of what happened to a proposal, for both sides.
fn said(proposal: &Proposal, step: &str) -> v1::ProposalStatement {
    v1::ProposalStatement {
        proposal: proposal.id.to_string(),
        opener: proposal.opener.to_string(),
        kind: proposal.kind.to_string(),
        step: step.to_owned(),
        ..v1::ProposalStatement::default()
    }
}

fn check_words(words: &ProposalWords, published: bool, at: Instant) -> Result<(), Rejected> {
    let problem = "must not be set: this kind is not published";
    check(published || words.embargo_until.is_none(), "proposal.embargo_until", problem)?;
    let is_over = words.due_at.is_some_and(|due| due <= at);
    check(!is_over, "proposal.due_at", "must be in the future")?;
    Ok(())
}

fn answer_by(
    stated: Option<Instant>,
    terms: &ProposalTerms,
    text: &ProposalText,
    at: Instant,
) -> Result<Option<Instant>, Rejected> {
    if terms.document {
        check(stated.is_none(), "answer_by", "must not be set: a document asks for no answer")?;
        return Ok(None);
    }
    let due = text.words.as_ref().and_then(|words| words.due_at);
    let usual = at.plus_days(terms.answer_days);
    let answer_by = stated.unwrap_or_else(|| due.map_or(usual, |due| due.min(usual)));
    check(answer_by > at, "answer_by", "must be in the future")?;
    let too_late = due.is_some_and(|due| due < answer_by);
    check(!too_late, "answer_by", "must not be after `due_at` of the text")?;
    Ok(Some(answer_by))
}

fn version(context: Context<'_>, version: i64, words: &ProposalWords) -> ProposalText {
    let written_by = context.actor.officer.clone();
    ProposalText { version, digest: digest_of(&content(words)), words: Some(words.clone()), written_by }
}

/// A proposal's words as the contract writes them.
pub(crate) fn content(words: &ProposalWords) -> v1::ProposalContent {
    v1::ProposalContent {
        title: words.title.clone(),
        text: words.text.clone(),
        embargo_until: words.embargo_until.map(statement::timestamp),
        due_at: words.due_at.map(statement::timestamp),
        tlp: words.tlp.map(Tlp::as_str).unwrap_or_default().to_owned(),
        citations: words.citations.iter().map(documents::citation).collect(),
    }
}

/// INVARIANT: the same message gives the same bytes, in this version and in every later one: the digest is in the
/// ledger.
fn digest_of(message: &impl Message) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, &message.encode_to_vec()).as_ref());
    Digest(sum)
}

fn sealed_with(row: ProposalRow) -> Result<(Proposal, ProposalKey)> {
    let key = row.key.ok_or(Rejected::WrongState("what it said was erased"))?;
    Ok((row.proposal, key))
}
