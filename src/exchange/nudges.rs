//! What nobody has done yet: events that are written when something begins, due when it should have been done by then,
//! and taken back when it is done.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::Agreement;
use crate::domain::{
    AgencyId, Event, EventDetail, EventId, EventKind, Instant, Notice, Question, notice_before, unanswered_at,
};
use crate::store::{Answer, QuestionRow, Reads, Write};

use super::gather::Gathered;
use super::plan::Context;
use super::{Exchange, Result};

/// The id of what tells an agency that nobody has decided about a request.
pub(super) fn unanswered_id(question: &Question, agency: &AgencyId) -> EventId {
    EventKind::RequestUnanswered.id(&[question.as_str(), agency.as_str()])
}

/// That nobody will have decided about a request, unless somebody does.
fn unanswered(question: &QuestionRow, agency: &AgencyId, at: Instant) -> Result<Write> {
    Ok(Write::event(&Event {
        id: unanswered_id(&question.id, agency),
        agency: agency.clone(),
        kind: EventKind::RequestUnanswered,
        at: unanswered_at(at, question.open_until),
        object: question.id.to_string(),
        detail: EventDetail { ends_at: Some(question.open_until), ..EventDetail::with(&question.requester.agency) },
    })?)
}

/// The same of a request that is put for the first time and not answered now.
///
/// INVARIANT: one event, of nobody where nothing is held.
pub(super) fn asked(question: &QuestionRow, gathered: &Gathered) -> Result<Write> {
    let nobody = AgencyId::known("-");
    let agency = if gathered.facts.matches.is_empty() { &nobody } else { &question.holder };
    unanswered(question, agency, gathered.facts.at)
}

/// The same of open requests, each with a record that it matches and perhaps did not before.
///
/// Only a record that is new to a request begins a week, and only where nobody has decided: what was declined, offered
/// or released is not asked for anew because a record is amended.
pub(super) async fn matched_later(
    context: Context<'_>,
    reads: &mut Reads,
    found: &[(&QuestionRow, &str)],
) -> Result<Vec<Write>> {
    let is_undecided = |question: &QuestionRow| question.declined_at.is_none() && question.offered_at.is_none();
    let mut undecided: BTreeMap<&str, &QuestionRow> = BTreeMap::new();
    undecided.extend(found.iter().filter(|(one, _)| is_undecided(one)).map(|(one, _)| (one.id.as_str(), *one)));
    if undecided.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = undecided.keys().copied().collect();
    let (asks, events) = (reads.asks_of_all(&ids).await?, reads.events_of(&ids).await?);
    for ask in asks.iter().filter(|ask| matches!(ask.answer, Some(Answer::Released { .. }))) {
        undecided.remove(ask.object.as_str());
    }
    let looks =
        events.iter().filter(|event| event.kind == EventKind::RequestToLookAt && event.agency == *context.agency());
    let known: BTreeSet<(&str, &str)> =
        looks.filter_map(|event| Some((event.object.as_str(), event.detail.incident.as_ref()?.as_str()))).collect();
    let is_new: BTreeSet<&str> = found
        .iter()
        .map(|(question, incident)| (question.id.as_str(), *incident))
        .filter(|place| !known.contains(place))
        .map(|(question, _)| question)
        .collect();
    undecided.retain(|id, _| is_new.contains(id));
    undecided.values().map(|question| unanswered(question, context.agency(), context.at)).collect()
}

/// Somebody has decided about a request.
pub(super) fn answered(question: &Question, holder: &AgencyId) -> Write {
    Write::drop_event(&unanswered_id(question, holder))
}

/// That the recipient will not have said what it did about a notice, unless it does: for whoever issued it.
pub(super) fn unacknowledged(notice: &Notice) -> Result<Write> {
    let kind = EventKind::NoticeUnacknowledged;
    Ok(Write::event(&Event {
        id: kind.id(&[notice.id.as_str()]),
        agency: notice.about.holder.clone(),
        kind,
        at: notice.due_at,
        object: notice.id.to_string(),
        detail: EventDetail { ends_at: Some(notice.due_at), ..EventDetail::with(&notice.about.recipient) },
    })?)
}

/// That an agreement is to be reviewed, for each party whose records are here: some time before the day on which the
/// parties mean to, and on that day. An overdue review stops nothing.
pub(super) fn reviews(context: Context<'_>, agreement: &Agreement, version: i64) -> Result<Vec<Write>> {
    let (_, _, Some(review_by)) = agreement.dates() else { return Ok(Vec::new()) };
    let (kind, id, version) = (EventKind::ReviewDue, agreement.id(), version.to_string());
    let mut writes = Vec::new();
    for agency in context.node.agencies.keys().filter(|agency| agreement.binds(agency)) {
        let mut tell = |when: &str, at: Instant| -> Result<()> {
            writes.push(Write::event(&Event {
                id: kind.id(&[agency.as_str(), id.as_str(), &version, when]),
                agency: agency.clone(),
                kind,
                at,
                object: id.to_string(),
                detail: EventDetail { ends_at: Some(review_by), ..EventDetail::default() },
            })?);
            Ok(())
        };
        if context.at < review_by {
            tell("before", notice_before(context.at, review_by))?;
        }
        tell("on-the-day", review_by.max(context.at))?;
    }
    Ok(writes)
}

/// The nudges that are exported, each as a count. That a request waits for an answer is none of them: only one that matches
/// does, so the count would tell whoever asked whether something is held.
const EXPORTED: [EventKind; 5] = [
    EventKind::ConsentEnds,
    EventKind::AuthorisationEnds,
    EventKind::ReviewDue,
    EventKind::DutyOverdue,
    EventKind::NoticeUnacknowledged,
];

impl Exchange {
    /// How many nudges are due and not acknowledged, by kind: no agency, and nothing that they are about.
    pub async fn nudges_due(&self) -> Result<Vec<(EventKind, u64)>> {
        let due = self
            .read(|node, reads| {
                Box::pin(async move {
                    let at = node.now(reads).await?;
                    Ok(reads.nudges_due(at).await?)
                })
            })
            .await?;
        for kind in EXPORTED {
            let count = due.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count);
            self.node.metrics.nudges.of([("kind", kind.as_str())]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(due)
    }
}
