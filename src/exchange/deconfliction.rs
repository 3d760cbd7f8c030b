//! Deconfliction: who deals with which organisation. An agency's engagement is seen by another only once it was put to it
//! and the gate permitted that, and only while the gate would permit it again.
//!
//! What an agency is shown of others is what they put to it, and nothing is worked out of anything else: whether two
//! agencies' engagements are of one organisation is asked only of those that the reader may see.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    AgencyId, AskOfVictim, Engaged, Engagement, EngagementId, EngagementPut, EngagementTerms, Event, EventDetail,
    EventId, EventKind, Identifier, IncidentId, Instant, OrganisationId, Purpose, Rejected, Requester, together,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::existence::{self, Sight};
use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Exchange, Node, Result, incidents};

/// Records that the agency deals with the organisation of one of its incidents.
#[derive(Debug)]
pub struct DeclareEngagement {
    /// The incident.
    pub incident: IncidentId,
    /// Since when.
    pub since: Instant,
    /// The terms.
    pub terms: EngagementTerms,
}

/// Replaces an engagement's terms.
#[derive(Debug)]
pub struct AmendEngagement {
    /// The engagement.
    pub id: EngagementId,
    /// The new terms.
    pub terms: EngagementTerms,
}

/// Notes what the organisation was asked.
#[derive(Debug)]
pub struct RecordAskOfVictim {
    /// The engagement.
    pub id: EngagementId,
    /// What, in short. It says what the organisation goes through, and is sealed.
    pub text: String,
    /// Whether it could not wait.
    pub urgent: bool,
    /// When; now, if it does not say.
    pub asked_at: Option<Instant>,
}

/// Lets another agency see an engagement, if the gate permits it.
#[derive(Debug)]
pub struct PutEngagement {
    /// The engagement.
    pub id: EngagementId,
    /// Who would see it.
    pub recipient: AgencyId,
    /// For what.
    pub purpose: Purpose,
}

/// Ends an engagement.
#[derive(Debug)]
pub struct EndEngagement {
    /// The engagement.
    pub id: EngagementId,
}

/// One of the agency's own engagements that runs.
async fn running(context: Context<'_>, reads: &mut Reads, id: &EngagementId) -> Result<Engagement> {
    let found = reads.engagement(context.agency(), id, context.seal()).await?;
    let found = found.ok_or(Rejected::NotFound("engagement"))?;
    if found.ended_at.is_some() {
        return Err(Rejected::WrongState("the engagement has ended: declare another").into());
    }
    Ok(found)
}

fn check_lead(context: Context<'_>, terms: &EngagementTerms) -> Result<(), Rejected> {
    match &terms.lead {
        Some(lead) if !context.node.known.contains_key(lead) => {
            Err(Rejected::invalid("terms.lead", format!("`{lead}` is not an agency that this node knows")))
        }
        _ => Ok(()),
    }
}

impl Plan for DeclareEngagement {
    const KIND: Kind = Kind::Engagement;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let incident = incidents::own(context, reads, &self.incident).await?;
        check_lead(context, &self.terms)?;
        if context.at < self.since {
            return Err(Rejected::invalid("since", "must not be in the future").into());
        }
        if reads.is_engaged(&incident.id).await? {
            return Err(Rejected::WrongState("an engagement about the incident runs already").into());
        }
        let engagement = Engagement {
            id: EngagementId::known(seal::new_id("eng")),
            holder: context.agency().clone(),
            incident: incident.id,
            since: self.since,
            ended_at: None,
            terms: self.terms.clone(),
            asks: Vec::new(),
            puts: Vec::new(),
        };
        Ok(Change::new(&engagement.id, 1, vec![Write::engagement(&engagement, context.seal())?]))
    }
}

impl Plan for AmendEngagement {
    const KIND: Kind = Kind::Engagement;
    // Whoever sees the engagement sees the new terms.
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let engagement = running(context, reads, &self.id).await?;
        check_lead(context, &self.terms)?;
        let write = Write::amend_engagement(&engagement.id, &self.terms, context.seal())?;
        Ok(Change::new(&engagement.id, 0, vec![write]))
    }
}

impl Plan for RecordAskOfVictim {
    const KIND: Kind = Kind::Engagement;
    // Whoever sees the engagement sees the ask.
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let engagement = running(context, reads, &self.id).await?;
        let asked_at = self.asked_at.unwrap_or(context.at);
        if context.at < asked_at {
            return Err(Rejected::invalid("asked_at", "must not be in the future").into());
        }
        let ask = AskOfVictim { text: self.text.clone(), urgent: self.urgent, asked_at };
        let number = reads.count_asks_of_victim(&engagement.id).await?;
        if number >= MOST_ASKS {
            return Err(Rejected::WrongState(
                "the engagement has as many asks as one can have: end it, declare another",
            )
            .into());
        }
        let write = Write::ask_of_victim(&engagement.id, number, &ask, context.seal())?;
        Ok(Change::new(&engagement.id, 0, vec![write]))
    }
}

/// Reading an engagement reads all of its asks.
const MOST_ASKS: i64 = 1_000;

impl Plan for PutEngagement {
    const KIND: Kind = Kind::Existence;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.check_recipient("agency", &self.recipient)?;
        let engagement = running(context, reads, &self.id).await?;
        let sight = sight(&engagement, &self.recipient, &self.purpose);
        let existence = existence::decide(context, reads, sight, engagement.id.as_str()).await?;
        let mut writes = Vec::new();
        if existence.denied().is_none() {
            let again = engagement.puts.iter().any(|put| put.recipient == self.recipient);
            let put = EngagementPut {
                recipient: self.recipient.clone(),
                purpose: self.purpose.clone(),
                put_at: context.at,
                organisation_version: organisation_version(context, reads, &engagement).await?,
            };
            writes.push(Write::drop_events_of_put(&engagement.id, &self.recipient));
            writes.push(Write::put_engagement(&engagement.id, &put, again));
            writes.push(Write::event(&told(&engagement, &put))?);
        }
        Ok(existence.entered(Change::new(&engagement.id, 0, writes)))
    }
}

impl Plan for EndEngagement {
    const KIND: Kind = Kind::Engagement;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let engagement = running(context, reads, &self.id).await?;
        let writes =
            vec![Write::end_engagement(&engagement.id, context.at), Write::drop_events(engagement.id.as_str())];
        Ok(Change::new(&engagement.id, 0, writes))
    }
}

/// The version of the organisation's record that is put with an engagement.
async fn organisation_version(context: Context<'_>, reads: &mut Reads, engagement: &Engagement) -> Result<i64> {
    let incident = incidents::own(context, reads, &engagement.incident).await?;
    let record = reads.organisation(context.agency(), &incident.organisation, context.seal()).await?;
    Ok(record.ok_or(Rejected::NotFound("organisation"))?.version)
}

fn sight(engagement: &Engagement, recipient: &AgencyId, purpose: &Purpose) -> Sight {
    Sight {
        holder: engagement.holder.clone(),
        incident: engagement.incident.clone(),
        recipient: recipient.clone(),
        purpose: purpose.clone(),
    }
}

/// That an agency was let see an engagement. It is listed only while the agency may see it, and its id tells nothing of
/// the holder's call.
fn told(engagement: &Engagement, put: &EngagementPut) -> Event {
    let kind = EventKind::Engagement;
    Event {
        id: kind.id(&[engagement.id.as_str(), &seal::new_id("put")]),
        agency: put.recipient.clone(),
        kind,
        at: put.put_at,
        object: engagement.id.to_string(),
        detail: EventDetail {
            incident: Some(engagement.incident.clone()),
            purpose: Some(put.purpose.clone()),
            ..EventDetail::with(&engagement.holder)
        },
    }
}

/// An engagement as one agency may see it.
#[derive(Debug)]
pub struct EngagementView {
    /// The engagement. Its incident and whom it was put to are for its own agency alone.
    pub engagement: Engagement,
    /// Who should lead, as far as the reader may see.
    pub lead: Option<AgencyId>,
    /// The organisation's name, as that agency has it.
    pub name: String,
    /// Its registered identifiers.
    pub identifiers: Vec<Identifier>,
    /// For its own agency: who of those to whom it was put may see it now. Empty for others.
    pub seen_by: BTreeSet<AgencyId>,
}

/// An organisation with what one agency may see of the engagements with it, its own first.
#[derive(Debug)]
pub struct EngagedView {
    /// The engagements; at least one.
    pub engagements: Vec<EngagementView>,
    /// Until when it is not to be asked what can wait.
    pub pause_until: Option<Instant>,
}

impl EngagedView {
    /// The least id of its engagements: the place in the list.
    fn key(&self) -> &str {
        self.engagements.iter().map(|one| one.engagement.id.as_str()).min().unwrap_or_default()
    }
}

impl Exchange {
    /// The organisations that the agency may know to be dealt with, by the least id of their engagements.
    pub async fn deconfliction(&self, page: Page) -> Result<Pages<EngagedView>> {
        let reader = self.reader(&page.agency);
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let at = node.now(reads).await?;
                let mut all = engaged(node, reads, &reader, at).await?;
                all.retain(|one| one.key() > after.as_str());
                all.sort_by(|one, other| one.key().cmp(other.key()));
                all.truncate(usize::try_from(read).unwrap_or_default());
                page.turn(node, all, read, |one| one.key().to_owned())
            })
        })
        .await
    }
}

/// An engagement that an agency may see now.
struct Visible {
    engagement: Engagement,
    record: Record,
    /// Who of those to whom it was put may see it.
    seen_by: BTreeSet<AgencyId>,
}

/// Which of these events, all of the reader's agency, may be shown: those of engagements that it may see now.
pub(super) async fn shown(
    node: &Node,
    reads: &mut Reads,
    events: &[Event],
    at: Instant,
    reader: &Requester,
) -> Result<Vec<EventId>> {
    let about: Vec<&Event> = events.iter().filter(|event| event.kind.is_sight()).collect();
    if about.is_empty() {
        return Ok(Vec::new());
    }
    let visible = visible(node, reads, reader, at).await?;
    let ids: BTreeSet<&str> = visible.iter().map(|one| one.engagement.id.as_str()).collect();
    let is_seen = |event: &&Event| ids.contains(event.object.as_str());
    Ok(about.into_iter().filter(is_seen).map(|event| event.id.clone()).collect())
}

/// The reader's agency's own engagements, and of others those that they put to it and that it may see now. What was put
/// is an organisation as its record was then: after an amendment nobody sees it until it is put again.
async fn visible(node: &Node, reads: &mut Reads, reader: &Requester, at: Instant) -> Result<Vec<Visible>> {
    let agency = &reader.agency;
    let found = reads.engagements_for(agency, &node.seal).await?;
    let mut records = records(node, reads, found.iter()).await?;
    let mut all = Vec::new();
    for engagement in found {
        let Some(record) = records.remove(&engagement.id) else { continue };
        let is_shown = |put: &&EngagementPut| {
            (engagement.holder == *agency || put.recipient == *agency) && put.organisation_version == record.version
        };
        let puts = engagement.puts.iter().filter(is_shown);
        let sights: Vec<Sight> = puts.map(|put| sight(&engagement, &put.recipient, &put.purpose)).collect();
        all.push((engagement, record, sights));
    }
    let flat: Vec<Sight> = all.iter().flat_map(|(.., sights)| sights).cloned().collect();
    let mut stand = existence::stand_for(node, reads, at, reader, &flat).await?.into_iter();
    let mut visible = Vec::new();
    for (engagement, record, sights) in all {
        let seen = sights.into_iter().zip(stand.by_ref()).filter(|(_, stands)| *stands);
        let seen_by: BTreeSet<AgencyId> = seen.map(|(sight, _)| sight.recipient).collect();
        if engagement.holder == *agency || seen_by.contains(agency) {
            visible.push(Visible { engagement, record, seen_by });
        }
    }
    Ok(visible)
}

/// Whatever the reader may see now, by organisation.
async fn engaged(node: &Node, reads: &mut Reads, reader: &Requester, at: Instant) -> Result<Vec<EngagedView>> {
    let visible = visible(node, reads, reader, at).await?;
    let ids: Vec<&str> = visible.iter().map(|one| one.engagement.id.as_str()).collect();
    let mut asks = reads.asks_of_victims(&ids, &node.seal).await?;
    let reader = &reader.agency;
    let mut views = Vec::new();
    for Visible { mut engagement, record, seen_by } in visible {
        let Record { organisation, name, identifiers, .. } = record;
        let holder = engagement.holder.clone();
        let of = Engaged { holder, organisation, identifiers: identifiers.iter().cloned().collect() };
        let (is_own, lead) = (engagement.holder == *reader, engagement.lead_for(reader).cloned());
        let seen_by = if is_own { seen_by } else { BTreeSet::new() };
        engagement.asks = asks.remove(&engagement.id).unwrap_or_default();
        engagement.terms.pause_until = engagement.pause(at);
        views.push((of, Some(EngagementView { engagement, lead, name, identifiers, seen_by })));
    }
    let groups = together(&views.iter().map(|(of, _)| of.clone()).collect::<Vec<_>>());
    let of_one = groups.into_iter().map(|places| {
        let taken = places.into_iter().filter_map(|place| views.get_mut(place).and_then(|(_, view)| view.take()));
        let mut engagements: Vec<EngagementView> = taken.collect();
        engagements.sort_by_key(|view| (view.engagement.holder != *reader, view.engagement.holder.clone()));
        let pause_until = engagements.iter().filter_map(|view| view.engagement.pause(at)).max();
        EngagedView { engagements, pause_until }
    });
    Ok(of_one.collect())
}

/// An organisation as the agency of an engagement has it.
struct Record {
    organisation: OrganisationId,
    version: i64,
    name: String,
    identifiers: Vec<Identifier>,
}

/// The organisations of these engagements, each as its own agency has it; of an incident that is erased none.
async fn records(
    node: &Node,
    reads: &mut Reads,
    engagements: impl Iterator<Item = &Engagement>,
) -> Result<BTreeMap<EngagementId, Record>> {
    let mut by_holder: BTreeMap<&AgencyId, Vec<&Engagement>> = BTreeMap::new();
    for one in engagements {
        by_holder.entry(&one.holder).or_default().push(one);
    }
    let mut known = BTreeMap::new();
    for (holder, engagements) in by_holder {
        let ids: Vec<&str> = engagements.iter().map(|one| one.incident.as_str()).collect();
        let incidents = reads.incidents_by_id(&ids).await?;
        let of: Vec<&OrganisationId> = incidents.iter().map(|key| &key.incident.organisation).collect();
        let records = reads.organisations_by_id(holder, &of, &node.seal).await?;
        for one in engagements {
            let incident = incidents.iter().find(|key| key.incident.id == one.incident);
            let record = incident.and_then(|key| records.iter().find(|own| own.id == key.incident.organisation));
            if let Some(record) = record {
                let of = Record {
                    organisation: record.id.clone(),
                    version: record.version,
                    name: record.profile.name.clone(),
                    identifiers: record.profile.identifiers.clone(),
                };
                known.insert(one.id.clone(), of);
            }
        }
    }
    Ok(known)
}
