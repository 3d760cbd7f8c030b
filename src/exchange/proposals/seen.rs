//! Who may know of a proposal, and what: decided anew each time.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decision::Agreement;
use crate::domain::{
    AgencyId, AttachedFile, Event, EventId, Instant, Invalid, Proposal, ProposalId, ProposalKind, ProposalMessage,
    ProposalTerms, Rejected, Requester, Role,
};
use crate::proto::v1;
use crate::store::{ProposalKey, ProposalRow, Reads};

use super::super::existence::{self, Sight};
use super::super::plan::Context;
use super::super::reading::{Page, Pages};
use super::super::{Exchange, Node, Result, statement};
use super::sealed_with;

/// How long what was said is kept where no agreement in force speaks of the kind any more.
const RETAIN_DAYS: i64 = 730;
/// Roles that read every kind.
const READERS: [&str; 4] = ["requester", "recorder", "authoriser", "auditor"];

/// Who reads: an officer, and the officer's roles.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The officer.
    pub officer: Requester,
    /// The officer's roles.
    pub roles: BTreeSet<Role>,
}

/// Which proposals are listed.
#[derive(Debug, Clone)]
pub struct ProposalFilter {
    /// Who opened them.
    pub opener: AgencyId,
    /// Of which kind; none: of any.
    pub kind: Option<ProposalKind>,
    /// In which state; empty: in any.
    pub state: String,
    /// To which agency they were put; none: to any. Of another agency's, to the reader's.
    pub put_to: Option<AgencyId>,
    /// Whether only documents.
    pub documents: bool,
    /// What they cite; empty: whatever it is.
    pub cites: String,
}

/// A proposal for its reader.
#[derive(Debug)]
pub struct ProposalView {
    /// What the reader may know of it.
    pub proposal: Proposal,
    /// Where it stands, as far as the reader may know.
    pub state: &'static str,
    /// From when it may be erased; the opener's own alone.
    pub erase_from: Option<Instant>,
    /// Whether it is the reader's agency's own.
    pub is_own: bool,
    /// The time by which answers are late.
    pub at: Instant,
}

/// The kinds that the agreements in force at a time have.
pub(super) struct Kinds {
    agreements: Vec<Arc<Agreement>>,
    at: Instant,
    /// Whether anything may be shown to another agency now: not while the clocks disagree, as nothing is released then.
    shows: bool,
}

impl Kinds {
    pub(super) async fn read(node: &Node, reads: &mut Reads, at: Instant) -> Result<Self> {
        let mut agreements = node.in_force(reads).await?;
        agreements.retain(|agreement| agreement.is_effective(at));
        Ok(Self { agreements, at, shows: node.may_release(reads).await? })
    }

    /// The terms of a kind under which an agency opens one, in each agreement that has it.
    pub(super) fn opened_by<'a>(
        &'a self,
        opener: &'a AgencyId,
        kind: &'a ProposalKind,
    ) -> impl Iterator<Item = &'a ProposalTerms> {
        let all = self.agreements.iter().filter_map(|agreement| agreement.proposals().get(kind));
        all.filter(|terms| terms.opened_by.contains(opener))
    }

    /// The terms of this proposal: of those that only share its kind's name, one names an incident and the other not,
    /// or one is a type of document and the other not.
    pub(super) fn of<'a>(&'a self, proposal: &'a Proposal) -> impl Iterator<Item = &'a ProposalTerms> {
        let is_alike = |terms: &&ProposalTerms| {
            terms.names_incident == proposal.incident.is_some() && terms.document == proposal.is_document
        };
        self.opened_by(&proposal.opener, &proposal.kind).filter(is_alike)
    }

    /// The terms of this proposal between its opener and an agency.
    pub(super) fn between<'a>(&'a self, proposal: &'a Proposal, agency: &AgencyId) -> Option<&'a ProposalTerms> {
        self.of(proposal).find(|terms| terms.opens(&proposal.opener, agency))
    }

    /// How long one is kept after it was concluded: the longest that an agreement says.
    pub(super) fn retain_days(&self, proposal: &Proposal) -> i64 {
        self.opened_by(&proposal.opener, &proposal.kind).map(|terms| terms.retain_days).max().unwrap_or(RETAIN_DAYS)
    }
}

impl Reader {
    /// The officer's agency.
    pub fn agency(&self) -> &AgencyId {
        &self.officer.agency
    }
}

/// Whether an officer of an agency to which it was put, or anybody of it, may know of it now: an agreement still has
/// the kind between the two, the opener has not suspended whom it is about to be shown to, and of an incident the
/// agency may still know that there is one.
pub(super) async fn may_know(
    node: &Node,
    reads: &mut Reads,
    kinds: &Kinds,
    proposal: &Proposal,
    learns: &Requester,
) -> Result<bool> {
    let (opener, agency) = (&proposal.opener, &learns.agency);
    let Some(put) = proposal.put_to(agency).filter(|_| !proposal.is_erased) else { return Ok(false) };
    if !kinds.shows || kinds.between(proposal, agency).is_none() {
        return Ok(false);
    }
    if reads.suspensions_of([learns]).await?.between(opener, learns).is_some() {
        return Ok(false);
    }
    match (&proposal.incident, &put.purpose) {
        (None, _) => Ok(true),
        (Some(incident), Some(purpose)) => {
            let (holder, recipient) = (opener.clone(), agency.clone());
            let sight = Sight { holder, incident: incident.clone(), recipient, purpose: purpose.clone() };
            Ok(existence::stand(node, reads, kinds.at, &[sight]).await? == [true])
        }
        (Some(_), None) => Ok(false),
    }
}

/// Whether the officer's roles let them read this one, by the agreements between its opener and the officer's agency.
fn may_read(kinds: &Kinds, proposal: &Proposal, reader: &Reader) -> bool {
    let reads_all = reader.roles.iter().any(|role| READERS.contains(&role.as_str()));
    let answers = |terms: &ProposalTerms| !terms.answered_by.is_disjoint(&reader.roles);
    let is_own = proposal.opener == *reader.agency();
    reads_all
        || if is_own {
            kinds.of(proposal).any(answers)
        } else {
            kinds.between(proposal, reader.agency()).is_some_and(answers)
        }
}

/// Fails if what one agency says may not reach the other: it has suspended the other.
pub(super) async fn check_reaches(reads: &mut Reads, from: &AgencyId, to: &AgencyId) -> Result<()> {
    let learns = Requester::anyone_of(to.clone());
    if reads.suspensions_of([&learns]).await?.between(from, &learns).is_some() {
        return Err(Rejected::WrongState("that agency is suspended").into());
    }
    Ok(())
}

/// A proposal as its reader may know it: its agency's own whole, another's as far as it was put and still may be.
///
/// No such proposal, not put, and no longer permitted are one answer.
pub(super) async fn seen(
    node: &Node,
    reads: &mut Reads,
    at: Instant,
    id: &ProposalId,
    reader: &Reader,
) -> Result<ProposalRow> {
    let kinds = Kinds::read(node, reads, at).await?;
    let found = reads.proposal(id, &node.seal).await?.ok_or(Rejected::NotFound("proposal"))?;
    let allowed = may_read(&kinds, &found.proposal, reader);
    let is_own = found.proposal.opener == *reader.agency();
    let may = is_own || may_know(node, reads, &kinds, &found.proposal, &reader.officer).await?;
    if may && allowed { Ok(found) } else { Err(Rejected::NotFound("proposal").into()) }
}

/// One of the caller's agency's own, with the key of what is said of it.
pub(super) async fn own(context: Context<'_>, reads: &mut Reads, id: &ProposalId) -> Result<(Proposal, ProposalKey)> {
    let found = reads.proposal(id, context.seal()).await?;
    let found = found.filter(|row| row.proposal.opener == *context.agency());
    sealed_with(found.ok_or(Rejected::NotFound("proposal"))?)
}

/// Which of these events, all of the reader's agency, may be shown to it: those of proposals of
/// which they may know now.
pub(in crate::exchange) async fn shown(
    node: &Node,
    reads: &mut Reads,
    events: &[Event],
    at: Instant,
    reader: &Requester,
) -> Result<BTreeSet<EventId>> {
    let about: Vec<&Event> = events.iter().filter(|event| event.kind.is_about_a_proposal()).collect();
    let mut stands = BTreeSet::new();
    if about.is_empty() {
        return Ok(stands);
    }
    let kinds = Kinds::read(node, reads, at).await?;
    let ids: BTreeSet<ProposalId> = about.iter().map(|event| ProposalId::known(event.object.as_str())).collect();
    let found = reads.proposals(&ids.into_iter().collect::<Vec<_>>(), &node.seal).await?;
    for event in about {
        let Some(row) = found.iter().find(|row| row.proposal.id.as_str() == event.object) else { continue };
        let is_own = row.proposal.opener == event.agency;
        if is_own || may_know(node, reads, &kinds, &row.proposal, reader).await? {
            stands.insert(event.id.clone());
        }
    }
    Ok(stands)
}

impl ProposalFilter {
    /// Whether one that its reader may know of is wanted; `seen` is what the reader sees of it, opened.
    fn wants(&self, seen: &Proposal) -> bool {
        let text = seen.texts.first();
        let cites = |wanted: &str| text.is_some_and(|text| text.citations().iter().any(|one| one.is_of(wanted)));
        self.cites.is_empty() || cites(&self.cites)
    }
}

/// The agencies to which a proposal was put and which have suspended this officer, or the officer's agency, since.
async fn suspending(reads: &mut Reads, proposal: &Proposal, learns: &Requester) -> Result<BTreeSet<AgencyId>> {
    let suspensions = reads.suspensions_of([learns]).await?;
    let puts = proposal.last_puts().into_keys();
    Ok(puts.filter(|agency| suspensions.between(agency, learns).is_some()).cloned().collect())
}

fn view(found: Proposal, kinds: &Kinds, reader: &AgencyId) -> ProposalView {
    let (at, is_own, state) = (kinds.at, found.opener == *reader, found.state(reader));
    if is_own {
        let erase_from = found.erase_from(kinds.retain_days(&found)).filter(|_| !found.is_erased);
        return ProposalView { proposal: found, state, erase_from, is_own, at };
    }
    ProposalView { proposal: found.as_put_to(reader), state, erase_from: None, is_own, at }
}

/// A message as the contract writes it.
pub(crate) fn message(message: &ProposalMessage) -> v1::ProposalMessage {
    let file = |file: &AttachedFile| v1::AttachmentSummary {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        digest: file.digest.as_bytes().to_vec(),
        size_bytes: file.size_bytes,
    };
    v1::ProposalMessage {
        agency: message.agency.to_string(),
        number: message.number,
        sender: message.sender.to_string(),
        unit: message.said.unit.clone(),
        officer_pseudonym: message.said.pseudonym.clone(),
        text: message.said.text.clone(),
        attachments: message.files.iter().map(file).collect(),
        at: Some(statement::timestamp(message.at)),
    }
}

impl Exchange {
    /// A proposal as its reader may know it, and the messages that it may see.
    pub async fn proposal(&self, reader: Reader, id: ProposalId) -> Result<(ProposalView, Vec<ProposalMessage>)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let at = node.now(reads).await?;
                let ProposalRow { mut proposal, key } = seen(node, reads, at, &id, &reader).await?;
                let with = Some(reader.agency()).filter(|agency| **agency != proposal.opener);
                let mut messages = match &key {
                    Some(key) => reads.proposal_messages(&id, key, with).await?,
                    None => Vec::new(),
                };
                // What they said is theirs: whom they have suspended reads no more of it.
                let silent = suspending(reads, &proposal, &reader.officer).await?;
                messages.retain(|message| !silent.contains(&message.sender));
                let answers = proposal.answers.iter_mut().filter(|answer| silent.contains(&answer.agency));
                answers.for_each(|answer| answer.said = None);
                let kinds = Kinds::read(node, reads, at).await?;
                Ok((view(proposal, &kinds, reader.agency()), messages))
            })
        })
        .await
    }

    /// One attachment of a message with an agency; that is left out by whoever is not the opener.
    pub async fn attachment(
        &self,
        reader: Reader,
        id: ProposalId,
        agency: Option<AgencyId>,
        number: i64,
        place: i64,
    ) -> Result<(AttachedFile, Vec<u8>)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let at = node.now(reads).await?;
                let ProposalRow { proposal, key } = seen(node, reads, at, &id, &reader).await?;
                let with = match (agency, proposal.opener == *reader.agency()) {
                    (Some(agency), true) => agency,
                    (None, false) => reader.agency().clone(),
                    (None, true) => return Err(Invalid::new("agency", "is required: with whom").into()),
                    (Some(_), false) => {
                        return Err(Invalid::new("agency", "must not be set: your own messages are meant").into());
                    }
                };
                let missing = || Rejected::NotFound("attachment");
                let key = key.ok_or_else(missing)?;
                let content = reads.proposal_attachment(&id, &key, &with, number, place).await?.ok_or_else(missing)?;
                let messages = reads.proposal_messages(&id, &key, Some(&with)).await?;
                let found = messages.into_iter().find(|message| message.number == number).ok_or_else(missing)?;
                if suspending(reads, &proposal, &reader.officer).await?.contains(&found.sender) {
                    return Err(missing().into());
                }
                let place = usize::try_from(place - 1).map_err(|_| missing())?;
                Ok((found.files.into_iter().nth(place).ok_or_else(missing)?, content))
            })
        })
        .await
    }

    /// An agency's proposals: one's own, or those that were put to the reader's and of which it may know now.
    ///
    /// How many others there are shows in nothing: a page is full, or it is the last.
    pub async fn proposals(&self, page: Page, reader: Reader, wanted: ProposalFilter) -> Result<Pages<ProposalView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (mut after, read, at) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let kinds = Kinds::read(node, reads, at).await?;
                let most = usize::try_from(read).unwrap_or_default();
                let mut views = Vec::new();
                while views.len() < most {
                    let ids = listed(reads, reader.agency(), &wanted, &after, read).await?;
                    let Some(last) = ids.last() else { break };
                    after = last.to_string();
                    let is_last = ids.len() < most;
                    for mut row in reads.proposals(&ids, &node.seal).await? {
                        let found = &row.proposal;
                        let put = found.put_to(reader.agency());
                        let is_own = found.opener == *reader.agency();
                        let may = is_own || may_know(node, reads, &kinds, found, &reader.officer).await?;
                        let is_wanted = wanted.state.is_empty() || wanted.state == found.state(reader.agency());
                        if !may || !is_wanted || !may_read(&kinds, found, &reader) {
                            continue;
                        }
                        let shown = if is_own { found.newest() } else { put.map_or(0, |put| put.version) };
                        reads.open_proposal_texts(&mut row, shown).await?;
                        let view = view(row.proposal, &kinds, reader.agency());
                        if wanted.wants(&view.proposal) {
                            views.push(view);
                        }
                    }
                    if is_last {
                        break;
                    }
                }
                views.truncate(most);
                page.turn(node, views, read, |view| view.proposal.id.to_string())
            })
        })
        .await
    }
}

async fn listed(
    reads: &mut Reads,
    reader: &AgencyId,
    wanted: &ProposalFilter,
    after: &str,
    most: i64,
) -> Result<Vec<ProposalId>> {
    let kind = wanted.kind.as_ref().map_or("", ProposalKind::as_str);
    // Documents alone cite.
    let (is_own, documents) = (wanted.opener == *reader, wanted.documents || !wanted.cites.is_empty());
    let found = match &wanted.put_to {
        None if is_own => reads.proposals_opened(reader, kind, documents, after, most).await?,
        // Of another's, nothing shows of what a third agency was put.
        Some(agency) if !is_own && agency != reader => Vec::new(),
        put_to => {
            let agency = put_to.as_ref().unwrap_or(reader);
            reads.proposals_put_to(agency, &wanted.opener, kind, documents, after, most).await?
        }
    };
    Ok(found)
}
