//! How long records are kept: what is proposed and erased, and what recipients confirm to have disposed of.
//!
//! Erasing takes the keys of what was sealed, and all that names or finds the incident. The ledger keeps its leaves, so
//! receipts and the tree verify as before; what was erased can be decided on no more, and replays as erased.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{
    Consent, Coverage, EventKind, Ground, Incident, IncidentId, Instant, Question, Reference, Rejected,
};
use crate::ledger::Kind;
use crate::store::{Answer, Due, Kept, Proposed, Reads, ReleaseMade, Remains, Write};

use super::plan::{By, Change, Context, Done, Plan};
use super::reading::{Page, Pages};
use super::{EraseProposal, Exchange, Result, advice, incidents, nudges, statement};

/// Proposes to erase an incident before its time is over.
#[derive(Debug)]
pub struct ProposeErasure {
    /// The incident.
    pub id: IncidentId,
    /// On which ground.
    pub ground: Ground,
}

/// Erases an incident: one whose time is over, or one that another officer proposed to erase on the same ground.
#[derive(Debug)]
pub struct EraseIncident {
    /// The incident.
    pub id: IncidentId,
    /// On which ground.
    pub ground: Ground,
    /// Whether the officer may erase only what is due.
    pub only_due: bool,
}

/// Notes that the caller's agency disposed of what it was released.
#[derive(Debug)]
pub struct ConfirmDisposal {
    /// The request that was answered with it.
    pub request: Question,
    /// The release's entry.
    pub entry: u64,
    /// The agency's own number for it; the holder sees it.
    pub external_ref: String,
}

/// An [`EraseIncident`] with what was found before the lock was taken: under it, that would hold up everybody.
#[derive(Debug)]
struct Erasing {
    erase: EraseIncident,
    /// The requests that matched.
    requests: Vec<String>,
    /// What is left of their asks.
    remains: Remains,
    /// Up to when they were looked for.
    since: Instant,
    /// Up to which entry their asks were.
    size: u64,
}

/// What may still be owed keeps an incident.
async fn erasable(context: Context<'_>, reads: &mut Reads, id: &IncidentId) -> Result<Incident> {
    let incident = incidents::own(context, reads, id).await?;
    if reads.obligations_of(id).await?.iter().any(|obligation| obligation.done_at.is_none()) {
        return Err(Rejected::WrongState("a duty to disclose it is not done yet").into());
    }
    Ok(incident)
}

impl Plan for ProposeErasure {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = erasable(context, reads, &self.id).await?;
        if incident.retain_until <= context.at {
            return Err(Rejected::WrongState("its time is over: erase it, no proposal is needed").into());
        }
        let proposed = Proposed { ground: self.ground.clone(), by: context.actor.officer.clone(), at: context.at };
        let writes = Write::propose_erasure(&incident.id, context.agency(), &proposed).into();
        Ok(Change::new(&incident.id, incident.revision, writes))
    }
}

impl Plan for Erasing {
    const KIND: Kind = Kind::Incident;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let EraseIncident { id, ground, only_due } = &self.erase;
        let incident = erasable(context, reads, id).await?;
        let due = incident.retain_until <= context.at;
        if !due {
            if *only_due {
                return Err(Rejected::WrongState("it is kept for longer: only a verifier erases it before").into());
            }
            let proposed = reads.proposed_erasure(id).await?.filter(|proposed| proposed.ground == *ground);
            let problem = "it is kept for longer, and nobody proposed to erase it on this ground";
            let proposed = proposed.ok_or(Rejected::WrongState(problem))?;
            if proposed.by == context.actor.officer {
                return Err(Rejected::SameOfficer.into());
            }
        }
        // What came since the requests were looked for; time never decreases along the ledger.
        let since = reads.requests_matching(context.agency(), id, self.since).await?;
        let known: BTreeSet<&str> = self.requests.iter().map(String::as_str).collect();
        let new: BTreeSet<&str> = since.iter().map(String::as_str).filter(|request| !known.contains(request)).collect();
        let (known, new): (Vec<&str>, Vec<&str>) = (known.into_iter().collect(), new.into_iter().collect());
        let late = [
            reads.remains(&known, self.size, context.seal()).await?,
            // Any request may have been put before it matched.
            reads.remains(&new, 0, context.seal()).await?,
        ];
        let remains = || std::iter::once(&self.remains).chain(&late);
        let gone: BTreeSet<u64> = remains().flat_map(|remains| remains.gone.iter().copied()).collect();
        let requests: Vec<&str> = known.into_iter().chain(new).collect();
        let offers = offers_about(reads, id, &requests).await?;
        let mut decided: BTreeSet<u64> = reads.entries_of_reasons(id).await?.into_iter().collect();
        decided.extend(reads.entries_of_engagements(id).await?);
        let entries = &(&gone | &offers) | &decided;
        let references = reads.references_of(id).await?;
        let mut writes = Write::erase_incident(id, context.at);
        writes.extend(Write::erase_engagements(id));
        writes.extend(advice::erased(id));
        writes.push(Write::erase_passages(context.agency(), &references));
        writes.push(Write::unmatch(&requests, id));
        let proposals = reads.proposals_about(id).await?;
        writes.extend(Write::erase_proposals(&proposals));
        writes.extend(no_longer_unanswered(context, reads, id, &requests).await?);
        let kept: BTreeMap<u64, &Kept> =
            remains().flat_map(|remains| &remains.kept).map(|kept| (kept.index, kept)).collect();
        writes.extend(Write::strip_entries(kept.values().copied())?);
        writes.push(Write::erase_entries(entries.iter().copied()));
        if is_last(context, reads, &incident).await? {
            writes.push(Write::erase_mandates(&incident.organisation));
        }
        for consent in evidence_about(context, reads, &incident).await? {
            writes.push(Write::erase_evidence(&consent));
            if !covers_all(&consent) {
                writes.push(Write::drop_events(consent.id.as_str()));
            }
        }
        let outcome = statement::erasure(ground, due, incident.revision, entries.len() + kept.len());
        Ok(Change { outcome, ..Change::new(id, incident.revision, writes) })
    }
}

/// The entries of the offers whose facts may contain the incident: those about the requests that matched it, and those of
/// it. An entry has one key, so what else such an entry was about goes with it.
async fn offers_about(reads: &mut Reads, id: &IncidentId, requests: &[&str]) -> Result<BTreeSet<u64>> {
    let references = reads.references_of(id).await?;
    let objects: Vec<&str> = requests.iter().copied().chain(references.iter().map(Reference::as_str)).collect();
    let offers = reads.events_of(&objects).await?.into_iter().filter(|event| event.kind.is_offer());
    Ok(offers.filter_map(|offer| offer.detail.entry).collect())
}

/// What tells the holder that nobody has decided about a request: of those that match nothing else, it goes too.
async fn no_longer_unanswered(
    context: Context<'_>,
    reads: &mut Reads,
    id: &IncidentId,
    requests: &[&str],
) -> Result<Vec<Write>> {
    let matched = reads.events_of(requests).await?;
    let matches_another = |request: &str| {
        let looks = matched.iter().filter(|event| event.kind == EventKind::RequestToLookAt && event.object == request);
        looks.filter_map(|event| event.detail.incident.as_ref()).any(|other| other != id)
    };
    let alone = requests.iter().filter(|request| !matches_another(request));
    Ok(alone.map(|request| nudges::answered(&Question::known(*request), context.agency())).collect())
}

fn covers_all(consent: &Consent) -> bool {
    consent.scope.as_ref().is_some_and(|scope| scope.coverage == Coverage::AllIncidents)
}

/// Whether the holder has no other incident at its organisation.
async fn is_last(context: Context<'_>, reads: &mut Reads, incident: &Incident) -> Result<bool> {
    let all = reads.incidents(context.agency(), "", 2, incident.organisation.as_str()).await?;
    Ok(all.iter().all(|other| other.id == incident.id))
}

/// The consent versions whose evidence is kept for nothing else: those about this incident; and with the organisation's
/// last incident, those about all that are over.
async fn evidence_about(context: Context<'_>, reads: &mut Reads, incident: &Incident) -> Result<Vec<Consent>> {
    let organisation = &incident.organisation;
    let is_last = is_last(context, reads, incident).await?;
    let versions = reads.consents_of(&[organisation]).await?.remove(organisation).unwrap_or_default();
    let ended = |consent: &Consent| {
        consent.scope.as_ref().is_some_and(|scope| match &scope.coverage {
            Coverage::Incident { id, .. } => *id == incident.id,
            Coverage::AllIncidents => is_last && (consent.state.is_final() || scope.valid_until <= context.at),
        })
    };
    Ok(versions.into_iter().filter(|consent| ended(consent)).collect())
}

impl Plan for ConfirmDisposal {
    const KIND: Kind = Kind::Event;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let mut found = reads.questions_by_id(&[self.request.as_str()], context.seal()).await?;
        found.retain(|question| question.requester.agency == *context.agency());
        let question = found.pop().ok_or(Rejected::NotFound("request"))?;
        let kept = reads.kept_answer(&question.id, self.entry).await?;
        if !matches!(kept.and_then(|kept| kept.answer), Some(Answer::Released { .. })) {
            return Err(Rejected::invalid("entry_index", "is not the entry of a release by this request").into());
        }
        let release = EventKind::ReleaseMade.id(&[&self.entry.to_string()]);
        if reads.is_disposed_of(&release).await? {
            return Err(Rejected::WrongState("its disposal is confirmed already").into());
        }
        let write = Write::disposal(&release, &self.external_ref, &context.actor.officer, context.at);
        Ok(Change::new(&question.id, 0, vec![write]))
    }
}

impl Exchange {
    /// Erases one incident.
    ///
    /// When this returns, the keys are gone from the live database and, on SQLite, from its write-ahead file. A crash in
    /// between leaves the erasure done and that file to be emptied when the node starts.
    pub async fn erase(&self, by: By, erase: EraseIncident) -> Result<Done> {
        let (agency, id) = (by.actor.agency.clone(), erase.id.clone());
        // Under the lock it would hold up everybody: an agency has many events.
        let looked = self.read(move |node, reads| {
            Box::pin(async move {
                let (size, since) = reads.size().await?;
                let requests = reads.requests_matching(&agency, &id, Instant::from_micros(0)).await?;
                let these: Vec<&str> = requests.iter().map(String::as_str).collect();
                let remains = reads.remains(&these, 0, &node.seal).await?;
                Ok(Erasing { erase, requests, remains, since, size })
            })
        });
        let erasing = looked.await?;
        let done = self.change(by, erasing).await?;
        self.empty_log().await;
        Ok(done)
    }

    /// Erases what was said of one proposal. When this returns, what [`Exchange::erase`] promises holds.
    pub async fn erase_proposal(&self, by: By, erase: EraseProposal) -> Result<Done> {
        let done = self.change(by, erase).await?;
        self.empty_log().await;
        Ok(done)
    }

    async fn empty_log(&self) {
        let node = Arc::clone(&self.node);
        let truncated = tokio::spawn(async move { node.store.truncate_log().await }).await;
        if !matches!(truncated, Ok(Ok(true))) {
            tracing::warn!("the write-ahead file was not emptied after an erasure: the next one or a restart does it");
        }
    }

    /// The agency's own incidents whose time is over, or whose erasure was proposed; and the time.
    pub async fn due(&self, page: Page) -> Result<(Pages<Due>, Instant)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let at = node.now(reads).await?;
                let rows = reads.due(&page.agency, &after, read, at).await?;
                Ok((page.turn(node, rows, read, |row| row.incident.to_string())?, at))
            })
        })
        .await
    }

    /// The releases that the agency made, the oldest first, and the time; `filter`: only those not disposed of.
    pub async fn disposals(&self, page: Page) -> Result<(Pages<ReleaseMade>, Instant)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let (since, id) = after.split_once(' ').unwrap_or(("0", ""));
                let since = Instant::from_micros(since.parse().unwrap_or_default());
                let rows = reads.releases_made(&page.agency, (since, id), read, &page.filter).await?;
                let key = |row: &ReleaseMade| format!("{} {}", row.event.at.micros(), row.event.id);
                let pages = page.turn(node, rows, read, key)?;
                Ok((pages, node.now(reads).await?))
            })
        })
        .await
    }
}
