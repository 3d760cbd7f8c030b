//! What an agency says to the organisations of its own incidents, as the agreements in force have it do so: it reminds
//! them of duties that they may have, it recommends to turn to another agency, and it keeps which category an incident was
//! given. All of it is its own: no other agency has an event, an entry or a list of it, and nothing here tells anybody
//! anything on an organisation's behalf.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::decision::Agreement;
use crate::domain::{
    AdviceTerms, AgencyId, Belief, Categorisation, ClauseId, Digest, Event, EventDetail, EventId, EventKind, Incident,
    IncidentId, Instant, Means, NcscCategory, Recommendation, RecommendationId, Rejected, Reminded, Reminder, Uptake,
    check,
};
use crate::ledger::Kind;
use crate::proto::v1::IncidentContent;
use crate::release;
use crate::seal;
use crate::signpost::{CATALOGUE, ReminderWording};
use crate::store::{Reads, ReminderRow, RemindersOf, Write};

use super::incidents::Content;
use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Node, Result, incidents};

/// The category of an incident's content that may say which category the incident has.
const ASSESSMENT: &str = "assessment";

/// What organisations are reminded of at a time.
#[derive(Debug)]
pub struct Wording {
    /// The words, and the regimes among them.
    pub parts: ReminderWording<'static>,
    /// All of it, as it is said.
    pub text: String,
    /// SHA-256 over that.
    pub digest: Digest,
}

/// The wording that holds at a time; none where none does. It depends on nothing else.
pub fn wording(at: Instant) -> Option<Wording> {
    let parts = CATALOGUE.reminder(at)?;
    let text = parts.text();
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    Some(Wording { parts, text, digest: Digest(sum) })
}

/// What is stated of a reminder that was due.
#[derive(Debug)]
pub enum StatedReminder {
    /// It was given.
    Given {
        /// When.
        at: Instant,
        /// By what means.
        channel: Means,
        /// SHA-256 over what was said.
        digest: Digest,
    },
    /// It cannot be given.
    NotPossible {
        /// Why.
        reason: String,
    },
}

/// Records that the organisation of an incident was reminded, or why it cannot be.
#[derive(Debug)]
pub struct RecordReminder {
    /// The incident.
    pub incident: IncidentId,
    /// What came of it.
    pub stated: StatedReminder,
}

/// Records that something was recommended to the organisation of an incident.
#[derive(Debug)]
pub struct RecordRecommendation {
    /// The incident.
    pub incident: IncidentId,
    /// Which recommendation.
    pub clause: ClauseId,
    /// What the agency believes of the incident.
    pub belief: Option<Belief>,
    /// Why, and what else was said.
    pub words: String,
    /// By what means.
    pub channel: Means,
    /// When.
    pub made_at: Instant,
}

/// Records what the organisation did about a recommendation.
#[derive(Debug)]
pub struct RecordOutcome {
    /// The recommendation.
    pub id: RecommendationId,
    /// What it did.
    pub uptake: Uptake,
    /// As of when.
    pub at: Instant,
}

/// Records which category an incident was given.
#[derive(Debug)]
pub struct SetCategory {
    /// The incident.
    pub incident: IncidentId,
    /// The category.
    pub category: NcscCategory,
}

fn check_past(field: &str, at: Instant, now: Instant) -> Result<(), Rejected> {
    check(at <= now, field, "is in the future").map_err(Rejected::from)
}

/// Fails unless something was said to the organisation of an incident by now, and not before the incident was.
fn check_said(field: &str, at: Instant, incident: &Incident, now: Instant) -> Result<(), Rejected> {
    check_past(field, at, now)?;
    check(at >= incident.occurred.from, field, "must not be before the incident occurred").map_err(Rejected::from)
}

/// The agreements that apply at a time, as read in this transaction.
async fn in_force(node: &Node, reads: &mut Reads, at: Instant) -> Result<Vec<Arc<Agreement>>> {
    let mut agreements = node.in_force(reads).await?;
    agreements.retain(|agreement| agreement.is_effective(at));
    Ok(agreements)
}

fn any(agreements: &[Arc<Agreement>], is_so: impl Fn(&AdviceTerms) -> bool) -> bool {
    agreements.iter().filter_map(|agreement| agreement.advice()).any(is_so)
}

/// Whether an agreement in force has the agency remind the organisations of its incidents.
async fn reminds(node: &Node, reads: &mut Reads, agency: &AgencyId, at: Instant) -> Result<bool> {
    Ok(any(&in_force(node, reads, at).await?, |terms| terms.reminds.contains(agency)))
}

fn event_id(incident: &IncidentId) -> EventId {
    EventKind::ReminderDue.id(&[incident.as_str()])
}

/// That reminders are due of incidents that are being registered, one event for each. What came from another agency is
/// none of them: to remind its organisation would tell that it was passed on.
pub(super) async fn due(context: Context<'_>, reads: &mut Reads, incidents: &[&Incident]) -> Result<Vec<Write>> {
    if !reminds(context.node, reads, context.agency(), context.at).await? {
        return Ok(Vec::new());
    }
    let event = |incident: &&Incident| {
        Ok(Write::event(&Event {
            id: event_id(&incident.id),
            agency: incident.holder.clone(),
            kind: EventKind::ReminderDue,
            at: context.at,
            object: incident.id.to_string(),
            detail: EventDetail { incident: Some(incident.id.clone()), ..EventDetail::default() },
        })?)
    };
    incidents.iter().map(event).collect()
}

/// Which of these events of an agency tell of reminders that are due at a time: all, while an agreement in force has the
/// agency remind.
pub(super) async fn stand(node: &Node, reads: &mut Reads, events: &[Event], at: Instant) -> Result<Vec<EventId>> {
    let due: Vec<&Event> = events.iter().filter(|event| event.kind == EventKind::ReminderDue).collect();
    match due.first() {
        Some(event) if reminds(node, reads, &event.agency, at).await? => {
            Ok(due.into_iter().map(|event| event.id.clone()).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// The agency's own incident, of which its organisation may be told something. One that came from another agency is none:
/// the organisation would learn that it was passed on.
async fn own(context: Context<'_>, reads: &mut Reads, id: &IncidentId) -> Result<Incident> {
    let incident = incidents::own(context, reads, id).await?;
    if incident.provenance.is_some() {
        return Err(Rejected::WrongState("what came from another agency is that agency's to advise on").into());
    }
    Ok(incident)
}

/// Erases what was said to the organisation of an incident, and that it was to be reminded.
pub(super) fn erased(incident: &IncidentId) -> Vec<Write> {
    let mut writes = Vec::from(Write::erase_advice(incident));
    writes.push(Write::drop_event(&event_id(incident)));
    writes
}

impl StatedReminder {
    /// What is kept of it, if the wording that was said is the one that held then.
    fn kept(&self, incident: &Incident, now: Instant) -> Result<Reminded, Rejected> {
        match self {
            Self::NotPossible { reason } => Ok(Reminded::NotPossible { reason: reason.clone() }),
            Self::Given { at, channel, digest } => {
                check_said("given_at", *at, incident, now)?;
                let held = wording(*at).ok_or_else(|| Rejected::invalid("given_at", "is a time without a wording"))?;
                if held.digest != *digest {
                    let problem =
                        "is not the digest of the wording that held then: AdviceService/ShowWording prints it";
                    return Err(Rejected::invalid("wording_digest", problem));
                }
                let wording = held.parts.words.id.clone();
                Ok(Reminded::Given { at: *at, channel: channel.clone(), wording, digest: *digest })
            }
        }
    }
}

impl Plan for RecordReminder {
    const KIND: Kind = Kind::Advice;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = own(context, reads, &self.incident).await?;
        if !reminds(context.node, reads, context.agency(), context.at).await? {
            return Err(Rejected::WrongState("no agreement in force has your agency remind organisations").into());
        }
        let reminded = self.stated.kept(&incident, context.at)?;
        let present = reads.reminder(context.agency(), &incident.id, context.seal()).await?;
        if let Some(present) = &present {
            present.check_step(&reminded)?;
        }
        let kept = Reminder {
            incident: incident.id,
            holder: incident.holder,
            version: present.map_or(0, |present| present.version) + 1,
            reminded,
            recorded_by: context.actor.officer.clone(),
            recorded_at: context.at,
        };
        let writes = vec![Write::reminder(&kept, context.seal())?, Write::drop_event(&event_id(&kept.incident))];
        Ok(Change::new(&kept.incident, kept.version, writes))
    }
}

impl Plan for RecordRecommendation {
    const KIND: Kind = Kind::Advice;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = own(context, reads, &self.incident).await?;
        let agreements = in_force(context.node, reads, context.at).await?;
        let mut all = agreements.iter().filter_map(|agreement| agreement.advice());
        let terms = all.find_map(|terms| terms.recommendation(context.agency(), &self.clause)).ok_or_else(|| {
            let problem =
                "is not what your agency recommends under an agreement in force: see `advice` of GetAgreement";
            Rejected::invalid("clause", problem)
        })?;
        terms.check_belief(self.belief.as_ref(), &self.words).map_err(Rejected::from)?;
        check_said("made_at", self.made_at, &incident, context.at)?;
        let made = Recommendation {
            id: RecommendationId::known(seal::new_id_at("rec", context.at)),
            holder: incident.holder,
            incident: incident.id,
            clause: self.clause.clone(),
            towards: terms.towards.clone(),
            belief: self.belief.clone(),
            words: self.words.clone(),
            channel: self.channel.clone(),
            made_at: self.made_at,
            recorded_by: context.actor.officer.clone(),
            version: 1,
            outcome: None,
        };
        Ok(Change::new(&made.id, made.version, vec![Write::recommendation(&made, context.seal())?]))
    }
}

impl Plan for RecordOutcome {
    const KIND: Kind = Kind::Advice;

    // What was recommended can be followed, whatever became of the agreement since.
    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let made = reads.recommendation(context.agency(), &self.id, context.seal()).await?;
        let made = made.ok_or(Rejected::NotFound("recommendation"))?;
        check_past("outcome_at", self.at, context.at)?;
        let made = made.with_outcome(self.uptake, self.at)?;
        Ok(Change::new(&made.id, made.version, vec![Write::outcome(&made)]))
    }
}

/// Whether an agreement in force lets the caller's agency say which category an incident has.
async fn categorises(context: Context<'_>, reads: &mut Reads) -> Result<bool> {
    let agreements = in_force(context.node, reads, context.at).await?;
    Ok(any(&agreements, |terms| terms.categorises.contains(context.agency())))
}

/// Fails if content that the caller's agency writes says which category its incident has, and the agency may not: unless
/// that stands there already (`present`), as in a copy of another agency's incident. `path` is the incident's in the call.
pub(super) async fn check_categorised(
    context: Context<'_>,
    reads: &mut Reads,
    (path, written): (&str, &Content),
    present: Option<&Incident>,
) -> Result<()> {
    let Some(named) = said_category(written) else { return Ok(()) };
    if categorises(context, reads).await? {
        return Ok(());
    }
    if let Some(present) = present {
        let before = release::open_own(present, reads, context.seal()).await?;
        if said_category(&before).is_some_and(|before| before == named) {
            return Ok(());
        }
    }
    let problem = "must be empty: no agreement in force lets your agency say which category an incident has";
    Err(Rejected::invalid("content.assessment.ncsc_category", problem).within(path, "").into())
}

/// The category that content says its incident has.
fn said_category(content: &Content) -> Option<String> {
    let (_, bytes) = content.iter().find(|(category, _)| category.as_str() == ASSESSMENT)?;
    let assessment = IncidentContent::decode(bytes.as_slice()).ok()?.assessment?;
    Some(assessment.ncsc_category).filter(|named| !named.is_empty())
}

impl Plan for SetCategory {
    const KIND: Kind = Kind::Advice;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = incidents::own(context, reads, &self.incident).await?;
        if !categorises(context, reads).await? {
            let problem = "no agreement in force lets your agency say which category an incident has";
            return Err(Rejected::WrongState(problem).into());
        }
        let present = reads.categorisation(context.agency(), &incident.id).await?;
        if present.as_ref().is_some_and(|present| present.category == self.category) {
            return Err(Rejected::WrongState("the incident has this category already").into());
        }
        let set = Categorisation {
            incident: incident.id,
            holder: incident.holder,
            category: self.category,
            version: present.map_or(0, |present| present.version) + 1,
            set_by: context.actor.officer.clone(),
            set_at: context.at,
        };
        Ok(Change::new(&set.incident, set.version, vec![Write::categorisation(&set)]))
    }
}

impl Exchange {
    /// The agency's own incidents with their reminders, the last registered first; `filter`: only those of which a
    /// reminder is due.
    ///
    /// Those without a reminder are listed, each as due, while an agreement in force has the agency remind, whenever they
    /// were registered.
    pub async fn reminders(&self, page: Page) -> Result<Pages<ReminderRow>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read, now) = (page.after(node)?, page.rows()?, node.now(reads).await?);
                let due = reminds(node, reads, &page.agency, now).await?;
                let which = match (due, page.filter.is_empty()) {
                    (true, true) => RemindersOf::All,
                    (true, false) => RemindersOf::Due,
                    (false, true) => RemindersOf::Recorded,
                    (false, false) => return Ok((Vec::new(), String::new())),
                };
                let (at, id) = after.split_once(' ').unwrap_or_default();
                let before = at.parse().map_or(Instant::MAX, Instant::from_micros);
                let rows = reads.reminders(&page.agency, (before, id), read, which, &node.seal).await?;
                let key = |row: &ReminderRow| format!("{} {}", row.registered_at.micros(), row.incident);
                page.turn(node, rows, read, key)
            })
        })
        .await
    }

    /// The agency's own recommendations, the last first; `filter` is an incident.
    pub async fn recommendations(&self, page: Page) -> Result<Pages<Recommendation>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (before, read) = (page.after(node)?, page.rows()?);
                let rows = reads.recommendations(&page.agency, &before, read, &page.filter, &node.seal).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }

    /// The category of one of the agency's own incidents; none if it was given none.
    pub async fn category(&self, agency: AgencyId, incident: IncidentId) -> Result<Option<Categorisation>> {
        self.read(move |_, reads| {
            Box::pin(async move {
                reads.incident(&agency, &incident).await?.ok_or(Rejected::NotFound("incident"))?;
                Ok(reads.categorisation(&agency, &incident).await?)
            })
        })
        .await
    }
}
