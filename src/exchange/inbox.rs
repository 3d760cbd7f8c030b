//! The holder's side of requests: what its officers see of them, from when one of its records matches.

use std::collections::BTreeMap;

use crate::domain::{AgencyId, Candidate, EventKind, Identifier, IncidentId, Instant, Question, Rejected, Subject};
use crate::ledger::Kind;
use crate::seal::Seal;
use crate::store::{Answer, KnownCall, QuestionRow, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Result, nudges};

/// Notes that the holder will not offer to answer a request. Nothing that the requester can read changes.
#[derive(Debug)]
pub struct DeclineRequest {
    /// The request.
    pub id: Question,
}

/// A request as its holder's officers see it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The request.
    pub question: QuestionRow,
    /// The holder's incidents that it matches, each with when that was first known.
    pub matches: Vec<(IncidentId, Instant)>,
    /// Organisations of the register that might be meant as well. Nothing is matched by them.
    pub candidates: Vec<Candidate>,
    /// Where it stands for the holder: `open`, `offered`, `declined`, `released` or `expired`.
    pub state: &'static str,
}

impl Plan for DeclineRequest {
    const KIND: Kind = Kind::Offer;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let received = received(reads, context.agency(), &self.id, context.seal()).await?;
        let problem = match (received.question.open_until <= context.at, received.question.declined_at) {
            (true, _) => Some("the request has expired"),
            (false, Some(_)) => Some("it was declined already"),
            (false, None) => None,
        };
        if let Some(problem) = problem {
            return Err(Rejected::WrongState(problem).into());
        }
        let writes = vec![Write::declined(&self.id, context.at), nudges::answered(&self.id, context.agency())];
        Ok(Change::new(&self.id, 0, writes))
    }
}

/// One request that matches a record of the holder's; any other does not exist for its officers.
pub(super) async fn received(reads: &mut Reads, holder: &AgencyId, id: &Question, seal: &Seal) -> Result<Received> {
    let found = all(reads, holder, &[id.as_str()], None, seal).await?.pop();
    Ok(found.ok_or(Rejected::NotFound("request"))?)
}

/// Those of these requests that match records of the holder's, in the order of the ids.
async fn all(
    reads: &mut Reads,
    holder: &AgencyId,
    ids: &[&str],
    at: Option<Instant>,
    seal: &Seal,
) -> Result<Vec<Received>> {
    let mut matches: BTreeMap<String, Vec<(IncidentId, Instant)>> = BTreeMap::new();
    for event in reads.events_of(ids).await? {
        if event.kind == EventKind::RequestToLookAt
            && event.agency == *holder
            && let Some(incident) = event.detail.incident
        {
            matches.entry(event.object).or_default().push((incident, event.at));
        }
    }
    let matching: Vec<&str> = ids.iter().copied().filter(|id| matches.contains_key(*id)).collect();
    if matching.is_empty() {
        return Ok(Vec::new());
    }
    let asks = reads.asks_of_all(&matching).await?;
    let questions = reads.questions_by_id(&matching, seal).await?;
    let mut questions: BTreeMap<String, QuestionRow> =
        questions.into_iter().map(|question| (question.id.to_string(), question)).collect();
    let received = |id: &&str| {
        let question = questions.remove(*id).filter(|question| question.holder == *holder)?;
        let state = state(&question, &asks, at);
        Some(Received { matches: matches.remove(*id)?, question, candidates: Vec::new(), state })
    };
    Ok(matching.iter().filter_map(received).collect())
}

fn state(question: &QuestionRow, asks: &[KnownCall], at: Option<Instant>) -> &'static str {
    let released = |call: &KnownCall| matches!(call.answer, Some(Answer::Released { .. }));
    if asks.iter().any(|call| call.object == question.id.as_str() && released(call)) {
        "released"
    } else if at.is_some_and(|at| question.open_until <= at) {
        "expired"
    } else if question.offered_at > question.declined_at {
        "offered"
    } else if question.declined_at.is_some() {
        "declined"
    } else {
        "open"
    }
}

impl Exchange {
    /// The requests that match a record of the agency's, the oldest match first.
    pub async fn inbox(&self, page: Page) -> Result<Pages<Received>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let (since, id) = after.split_once(' ').unwrap_or(("0", ""));
                let since = Instant::from_micros(since.parse().unwrap_or_default());
                let rows = reads.received(&page.agency, (since, id), read).await?;
                let (found, next) = page.turn(node, rows, read, |(id, at)| format!("{} {id}", at.micros()))?;
                let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
                let at = node.now(reads).await?;
                Ok((all(reads, &page.agency, &ids, Some(at), &node.seal).await?, next))
            })
        })
        .await
    }

    /// One request that matches a record of the agency's, with the organisations that might be meant as well.
    pub async fn inbox_request(&self, agency: AgencyId, id: Question) -> Result<Received> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let at = node.now(reads).await?;
                let found = all(reads, &agency, &[id.as_str()], Some(at), &node.seal).await?.pop();
                let mut found = found.ok_or(Rejected::NotFound("request"))?;
                if let Subject::Organisation(named) = &found.question.subject {
                    let identifiers: Vec<Identifier> = named.identifiers.iter().cloned().collect();
                    let (mut candidates, _) = reads.candidates(&agency, &identifiers, None, &node.seal).await?;
                    candidates.retain(|candidate| !candidate.is_exact());
                    found.candidates = candidates;
                }
                Ok(found)
            })
        })
        .await
    }
}
