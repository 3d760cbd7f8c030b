//! What agencies should look at: which changes and asks give rise to which events, and how events are listed.

mod cursor;

use std::collections::BTreeSet;

use crate::decision::{Decision, decide};
use crate::domain::{
    AgencyId, Authorisation, Consent, Event, EventDetail, EventId, EventKind, Identifier, Incident, Instant, Invalid,
    Question, Reference, Rejected, Subject, notice_before,
};
use crate::ledger::Kind;
use crate::store::{QuestionRow, Reads, Write};

use super::gather::{Gathered, Put, gather, supposed};
use super::plan::{Change, Context, Plan};
use super::reading::{Page, cut};
use super::{Exchange, Node, Result, advice, asks, deconfliction, nudges, proposals, suspensions};
use cursor::Cursor;

const OTHER_LEDGER: &str = "is of a later state of the ledger than this one: read from the start";

/// Notes that the caller's agency has dealt with events.
#[derive(Debug)]
pub struct AcknowledgeEvents {
    /// The events.
    pub ids: Vec<EventId>,
}

impl Plan for AcknowledgeEvents {
    const KIND: Kind = Kind::Event;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let own = reads.events_by_id(&self.ids).await?;
        let is_own = |id: &EventId| own.iter().any(|event| event.id == *id && event.agency == *context.agency());
        if !self.ids.iter().all(is_own) {
            return Err(Rejected::NotFound("event").into());
        }
        let writes = self.ids.iter().map(|id| Write::acknowledge(id, context.at)).collect();
        let first = self.ids.first().map(ToString::to_string).unwrap_or_default();
        Ok(Change::new(&first, i64::try_from(self.ids.len()).unwrap_or(i64::MAX), writes))
    }
}

/// That a request matches a record.
fn look(question: &QuestionRow, agency: &AgencyId, incident: &str, at: Instant) -> Result<Write> {
    let kind = EventKind::RequestToLookAt;
    Ok(Write::event(&Event {
        id: kind.id(&[question.id.as_str(), incident]),
        agency: agency.clone(),
        kind,
        at,
        object: question.id.to_string(),
        detail: EventDetail {
            incident: Some(crate::domain::IncidentId::known(incident)),
            ..EventDetail::with(&question.requester.agency)
        },
    })?)
}

/// What an ask leaves for its holder.
///
/// INVARIANT: at least one event, of nobody where nothing is held, and the same look-up keys either way: what an ask
/// writes does not depend on what is held, with at most one match.
pub(super) fn asked(node: &Node, question: &QuestionRow, gathered: &Gathered) -> Result<Vec<Write>> {
    let at = gathered.facts.at;
    let mut writes = Vec::new();
    for found in &gathered.facts.matches {
        writes.push(look(question, &question.holder, found.incident.id.as_str(), at)?);
    }
    if writes.is_empty() {
        writes.push(look(question, &AgencyId::known("-"), "-", at)?);
    }
    if let Subject::Organisation(named) = &question.subject
        && gathered.covered
    {
        let lookups = named.identifiers.iter().map(|identifier| node.seal.lookup(&question.holder, identifier));
        writes.extend(lookups.map(|lookup| Write::named(&question.id, &lookup)));
    }
    Ok(writes)
}

/// What a release leaves for both agencies: that it was made, and by when the recipient disposes of it.
pub(super) fn released(
    question: &QuestionRow,
    index: u64,
    at: Instant,
    dispose_by: Option<Instant>,
) -> Result<[Write; 2]> {
    let (holder, requester) = (&question.holder, &question.requester.agency);
    let event = |kind: EventKind, agency: &AgencyId, other: &AgencyId| Event {
        id: kind.id(&[&index.to_string()]),
        agency: agency.clone(),
        kind,
        at,
        object: question.id.to_string(),
        detail: EventDetail { entry: Some(index), ends_at: dispose_by, ..EventDetail::with(other) },
    };
    Ok([
        Write::event(&event(EventKind::ReleaseMade, holder, requester))?,
        Write::event(&event(EventKind::ReleaseReceived, requester, holder))?,
    ])
}

/// The open requests that name an organisation at which incidents were not held, or not under that name, before: each
/// incident with what its organisation is known by.
pub(super) async fn matched_later(
    context: Context<'_>,
    reads: &mut Reads,
    incidents: &[(&[Identifier], &Incident)],
) -> Result<Vec<Write>> {
    let identifiers: BTreeSet<&Identifier> = incidents.iter().flat_map(|(identifiers, _)| *identifiers).collect();
    let lookups: Vec<String> =
        identifiers.into_iter().map(|one| context.seal().lookup(context.agency(), one)).collect();
    let questions = reads.questions_naming(&lookups, context.at, context.seal()).await?;
    let mut found: Vec<(&QuestionRow, &str)> = Vec::new();
    for question in &questions {
        let Subject::Organisation(named) = &question.subject else { continue };
        let is_named = |identifiers: &[Identifier]| identifiers.iter().any(|one| named.identifiers.contains(one));
        let matching = incidents
            .iter()
            .filter(|(identifiers, incident)| is_named(identifiers) && incident.occurred.overlaps(&named.period));
        found.extend(matching.map(|(_, incident)| (question, incident.id.as_str())));
    }
    let mut writes = nudges::matched_later(context, reads, &found).await?;
    for (question, incident) in found {
        writes.push(look(question, context.agency(), incident, context.at)?);
    }
    Ok(writes)
}

/// That a consent in effect is about to end.
pub(super) fn consent_ends(consent: &Consent, at: Instant) -> Option<Event> {
    let scope = consent.scope.as_ref()?;
    let kind = EventKind::ConsentEnds;
    Some(Event {
        id: kind.id(&[consent.id.as_str(), &consent.version.to_string()]),
        agency: consent.holder.clone(),
        kind,
        at: notice_before(scope.valid_from.max(at), scope.valid_until),
        object: consent.id.to_string(),
        detail: EventDetail { ends_at: Some(scope.valid_until), ..EventDetail::with(&consent.recipient) },
    })
}

/// That an authorisation is about to end.
pub(super) fn authorisation_ends(given: &Authorisation) -> Event {
    let kind = EventKind::AuthorisationEnds;
    Event {
        id: kind.id(&[given.id.as_str()]),
        agency: given.holder.clone(),
        kind,
        at: notice_before(given.given_at, given.valid_until),
        object: given.id.to_string(),
        detail: EventDetail {
            ends_at: Some(given.valid_until),
            incident: Some(given.incident.clone()),
            ..EventDetail::with(&given.recipient)
        },
    }
}

/// Some of an agency's events.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next reading begins: it has what is not here.
    pub cursor: String,
    /// Whether the next page is there already.
    pub more: bool,
}

impl Exchange {
    /// The agency's events that are due and not acknowledged and were not before the page's cursor, the oldest first. An
    /// event comes once on the way of the cursors, whatever clocks and replicas do meanwhile.
    ///
    /// What another agency offers or lets it see is listed only while the gate, on the facts as they are now, would permit
    /// that; what is about a proposal, only while this agency may know of it; a request that nobody has decided
    /// about, only until it expires; that a reminder is due, only while an agreement in force has the agency remind.
    pub async fn events(&self, page: Page) -> Result<EventPage> {
        // One list, however it is read.
        let page = Page { list: "events", field: "cursor", ..page };
        let reader = self.reader(&page.agency);
        self.read(move |node, reads| {
            Box::pin(async move {
                let (token, read) = (page.after(node)?, page.rows()?);
                let now = node.now(reads).await?;
                let present = reads.horizon(now).await?;
                let cursor = Cursor::parse(&token, present).ok_or(Invalid::new("cursor", OTHER_LEDGER))?;
                let (seen, to) = (&cursor.seen, &cursor.to);
                let after = (cursor.after.0, cursor.after.1.as_str());
                let mut events = reads.events_between(&page.agency, (seen, to), after, read).await?;
                let more = cut(&mut events, read);
                // Nothing of another agency's is shown while the clocks disagree, and nothing is passed by: it waits, and
                // so does what comes after it.
                let waits = events.iter().position(|event| event.kind.is_others());
                let waits = if node.may_release(reads).await? { None } else { waits };
                let more = more && waits.is_none();
                events.truncate(waits.unwrap_or(events.len()));
                let next = match (waits, events.last()) {
                    (Some(_), None) => token.clone(),
                    (Some(_), last) => cursor.next(last),
                    (None, last) => cursor.next(last.filter(|_| more)),
                };
                let mut stands = offers_stand(node, reads, &events, now).await?;
                stands.extend(deconfliction::shown(node, reads, &events, now, &reader).await?);
                stands.extend(proposals::shown(node, reads, &events, now, &reader).await?);
                stands.extend(advice::stand(node, reads, &events, now).await?);
                let is_bounded = |kind: EventKind| kind.is_others() || kind == EventKind::ReminderDue;
                let is_shown = |event: &Event| !is_bounded(event.kind) || stands.contains(&event.id);
                events.retain(|event| !event.is_over(now) && is_shown(event));
                Ok(EventPage { events, cursor: page.seal(node, &next)?, more })
            })
        })
        .await
    }
}

/// Which of these offers would lead to a release now.
async fn offers_stand(node: &Node, reads: &mut Reads, events: &[Event], at: Instant) -> Result<Vec<EventId>> {
    let (mut ids, mut puts) = (Vec::new(), Vec::new());
    for event in events.iter().filter(|event| event.kind.is_offer()) {
        if let Some(put) = offered(node, reads, event, at).await? {
            ids.push(event.id.clone());
            puts.push(put);
        }
    }
    if puts.is_empty() {
        return Ok(ids);
    }
    let may_pass = suspensions::may_pass(reads, &puts).await?;
    let gathered = gather(node, reads, puts, at).await?;
    let permitted =
        |gathered: &Gathered| matches!(decide(&gathered.facts, &gathered.agreements()), Decision::Permit(_));
    let stands = may_pass.into_iter().zip(&gathered).map(|(may_pass, gathered)| may_pass && permitted(gathered));
    Ok(ids.into_iter().zip(stands).filter(|(_, stands)| *stands).map(|(id, _)| id).collect())
}

/// What an agency that was offered something would ask.
async fn offered(node: &Node, reads: &mut Reads, event: &Event, at: Instant) -> Result<Option<Put>> {
    let EventDetail { other: Some(holder), incident, purpose, categories, .. } = &event.detail else {
        return Ok(None);
    };
    let (Some(incident), Some(purpose)) = (incident, purpose) else {
        let question = Question::known(&event.object);
        let found = reads.questions_by_id(&[question.as_str()], &node.seal).await?.pop();
        let own = found.filter(|question| question.requester.agency == event.agency && at < question.open_until);
        let request_id = crate::domain::RequestId::known("-");
        return Ok(own
            .map(|question| Put { ask: asks::asked(&question, question.requester.clone(), request_id), known: None }));
    };
    let found = reads.incident(holder, incident).await?;
    let reference = Reference::known(&event.object);
    Ok(found.map(|found| {
        let (recipient, purpose) = (event.agency.clone(), purpose.clone());
        supposed(&found.holder, &found.id, reference, recipient, purpose, categories.clone())
    }))
}
