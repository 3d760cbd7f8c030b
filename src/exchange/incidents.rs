//! The holder's incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::{
    AgencyId, Category, Disclosure, Identifier, Incident, IncidentId, Instant, Markings, NoticeKind, Notification,
    Occurred, Organisation, OrganisationId, Reference, Rejected,
};
use crate::ledger::Kind;
use crate::release;
use crate::seal;
use crate::store::{Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Result, advice, events, notices, obligations, statistics};

/// How long an incident is kept unless its holder says otherwise: seven years.
pub(super) const RETAIN_DAYS: i64 = 2_557;

/// Content, category by category, each as its encoded field.
pub(crate) type Content = Vec<(Category, Vec<u8>)>;

/// Records an incident.
pub struct RegisterIncident {
    /// The organisation.
    pub organisation: OrganisationId,
    /// When it occurred.
    pub occurred: Occurred,
    /// Its markings.
    pub markings: Markings,
    /// The kind of a statutory notification, and when it was received.
    pub notification: Option<(String, Instant)>,
    /// The campaign that it belongs to.
    pub campaign: Option<String>,
    /// Until when it is kept.
    pub retain_until: Option<Instant>,
    /// What is known.
    pub content: Vec<(Category, Vec<u8>)>,
}

/// Makes a new revision of an incident.
pub struct AmendIncident {
    /// The incident.
    pub id: IncidentId,
    /// The revision that the caller read.
    pub revision: i64,
    /// The markings of the new revision.
    pub markings: Markings,
    /// The whole content of the new revision.
    pub content: Vec<(Category, Vec<u8>)>,
}

/// Confirms the notification recorded with an incident.
#[derive(Debug)]
pub struct VerifyNotification {
    /// The incident.
    pub id: IncidentId,
}

/// Makes a reference for one recipient.
#[derive(Debug)]
pub struct IssueReference {
    /// The incident.
    pub id: IncidentId,
    /// The agency that may use it.
    pub recipient: AgencyId,
}

impl fmt::Debug for RegisterIncident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegisterIncident(..)")
    }
}

impl fmt::Debug for AmendIncident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AmendIncident(..)")
    }
}

impl Plan for RegisterIncident {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let id = IncidentId::known(context.seal().record_id(Self::PREFIX, context.call));
        let mut change = Change::new(&id, 1, Vec::new());
        register(context, reads, &[Registering { path: String::new(), id, terms: self }], &[], &mut change).await?;
        Ok(change)
    }
}

impl RegisterIncident {
    /// What an incident's id begins with.
    pub(super) const PREFIX: &str = "inc";

    /// The incident, as it will be kept.
    fn incident(&self, context: Context<'_>, id: IncidentId) -> Result<Incident, Rejected> {
        if self.occurred.from > context.at {
            return Err(Rejected::invalid("occurred_from", "is in the future"));
        }
        let notification = match &self.notification {
            Some((_, received_at)) if *received_at > context.at => {
                return Err(Rejected::invalid("notification.received_at", "is in the future"));
            }
            Some((kind, received_at)) => Some(Notification {
                kind: kind.clone(),
                received_at: *received_at,
                recorded_by: context.actor.officer.clone(),
                verified_at: None,
            }),
            None => None,
        };
        let retain_until = self.retain_until.unwrap_or_else(|| context.at.plus_days(RETAIN_DAYS));
        if retain_until <= context.at {
            return Err(Rejected::invalid("retain_until", "must be in the future"));
        }
        Ok(Incident {
            id,
            holder: context.agency().clone(),
            organisation: self.organisation.clone(),
            revision: 1,
            occurred: self.occurred,
            markings: self.markings,
            notification,
            campaign: self.campaign.clone(),
            retain_until,
            categories: BTreeMap::new(),
            provenance: None,
        })
    }
}

/// An incident that is being registered, and its path in the call; empty if the call is about it alone.
pub(super) struct Registering<'a> {
    pub(super) path: String,
    pub(super) id: IncidentId,
    pub(super) terms: &'a RegisterIncident,
}

/// Registers incidents at organisations that are in the register, or that the same change adds: in as many statements
/// for many as for one.
pub(super) async fn register(
    context: Context<'_>,
    reads: &mut Reads,
    new: &[Registering<'_>],
    added: &[&Organisation],
    change: &mut Change,
) -> Result<()> {
    let wanted: BTreeSet<&OrganisationId> = new.iter().map(|one| &one.terms.organisation).collect();
    let wanted: Vec<&OrganisationId> =
        wanted.into_iter().filter(|id| added.iter().all(|organisation| organisation.id != **id)).collect();
    let present = match wanted.as_slice() {
        [] => Vec::new(),
        wanted => reads.organisations_by_id(context.agency(), wanted, context.seal()).await?,
    };
    let at: BTreeMap<&OrganisationId, &Organisation> =
        present.iter().chain(added.iter().copied()).map(|organisation| (&organisation.id, organisation)).collect();
    let mut incidents = Vec::new();
    for Registering { path, id, terms } in new {
        let unknown = || Rejected::NotFound("organisation").within(path, "organisation_id");
        let organisation = at.get(&terms.organisation).ok_or_else(unknown)?;
        let incident = terms.incident(context, id.clone()).map_err(|why| why.within(path, ""))?;
        advice::check_categorised(context, reads, (path, &terms.content), None).await?;
        change.writes.extend(rows(context, &incident, &terms.content)?);
        change.writes.push(statistics::counted(context, &incident, &terms.content)?);
        incidents.push((organisation.profile.identifiers.as_slice(), incident));
    }
    // Requests that were put before the records were there, and are still open.
    let found: Vec<(&[Identifier], &Incident)> = incidents.iter().map(|(known_by, one)| (*known_by, one)).collect();
    change.writes.extend(events::matched_later(context, reads, &found).await?);
    let incidents: Vec<&Incident> = incidents.iter().map(|(_, incident)| incident).collect();
    change.writes.extend(advice::due(context, reads, &incidents).await?);
    obligations::arise(context, reads, &incidents, change).await
}

impl Plan for AmendIncident {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = own(context, reads, &self.id).await?;
        if present.revision != self.revision {
            return Err(Rejected::Changed.into());
        }
        advice::check_categorised(context, reads, ("", &self.content), Some(&present)).await?;
        let corrected = self.corrected(context, reads, &present).await?;
        let mut incident = Incident { revision: present.revision + 1, markings: self.markings, ..present };
        incident.markings = incident.markings_in_force();
        // What was verified is what the organisation notified, not what the holder has found out since.
        if let Some(notification) = &mut incident.notification {
            notification.verified_at = None;
            notification.recorded_by = context.actor.officer.clone();
        }
        let mut change = Change::new(&incident.id, incident.revision, rows(context, &incident, &self.content)?);
        let cause = format!("incident {} {}", incident.id, incident.revision);
        change.notices = notices::due(context, reads, NoticeKind::Correction, &cause, corrected).await?;
        change.writes.push(Write::notification(&incident)?);
        change.writes.extend(statistics::amended(context, reads, &incident, &self.content).await?);
        obligations::arise(context, reads, &[&incident], &mut change).await?;
        Ok(change)
    }
}

impl AmendIncident {
    /// What was disclosed that would be another now: a category of it says something else or is gone.
    async fn corrected(&self, context: Context<'_>, reads: &mut Reads, present: &Incident) -> Result<Vec<Disclosure>> {
        let mut made = reads.disclosures_of(&[&present.id]).await?;
        if made.is_empty() {
            return Ok(made);
        }
        let before = release::open_own(present, reads, context.seal()).await?;
        let said = |content: &Content, category: &Category| {
            content.iter().find(|(one, _)| one == category).map(|(_, bytes)| bytes.clone())
        };
        let differs = |category: &Category| said(&before, category) != said(&self.content, category);
        // A record comes out as it stood when it was counted: no amendment makes it another, and a correction would tell
        // which incident it was.
        made.retain(|made| !made.terms.anonymised && made.terms.categories.iter().any(differs));
        // Whoever asked again has the newer text in place of the older one: the correction is of that.
        let issued = reads.notices_of(&[&present.id]).await?;
        let is_replaced = |old: &Disclosure| {
            let last = issued.iter().rfind(|one| one.kind == NoticeKind::Correction && one.about.id == old.id);
            last.is_some_and(|last| last.outcome.as_deref() == Some("corrected"))
                && made.iter().any(|new| {
                    (new.recipient == old.recipient && new.revision > old.revision)
                        && new.terms.categories.is_superset(&old.terms.categories)
                })
        };
        Ok(made.iter().filter(|one| !is_replaced(one)).cloned().collect())
    }
}

pub(super) fn rows(context: Context<'_>, incident: &Incident, categories: &Content) -> Result<Vec<Write>> {
    Ok(Write::incident(incident, categories, &context.actor.officer, context.at, context.seal())?)
}

pub(super) async fn own(context: Context<'_>, reads: &mut Reads, id: &IncidentId) -> Result<Incident> {
    let incident = reads.incident(context.agency(), id).await?;
    Ok(incident.ok_or(Rejected::NotFound("incident"))?)
}

impl Plan for VerifyNotification {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let mut incident = own(context, reads, &self.id).await?;
        let notification =
            incident.notification.as_mut().ok_or(Rejected::WrongState("no notification was recorded"))?;
        if notification.verified_at.is_some() {
            return Err(Rejected::WrongState("the notification is already verified").into());
        }
        if notification.recorded_by == context.actor.officer {
            return Err(Rejected::SameOfficer.into());
        }
        notification.verified_at = Some(context.at);
        let mut change = Change::new(&incident.id, incident.revision, vec![Write::notification(&incident)?]);
        obligations::verified(context, reads, &incident, &mut change).await?;
        Ok(change)
    }
}

impl Plan for IssueReference {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.check_recipient("recipient", &self.recipient)?;
        let incident = own(context, reads, &self.id).await?;
        let reference = Reference::known(seal::new_id("ref"));
        let write = Write::reference(&reference, &incident.id, &incident.holder, &self.recipient, context.at);
        Ok(Change::new(&reference, incident.revision, vec![write]))
    }
}
