//! Duties: what a notification obliges its holder to let another agency have.
//!
//! An obligation arises with the notification and begins anew with each amendment; a verified one is offered through
//! the gate by itself; it is done when the recipient has fetched all that the duty covers of the present revision.

use crate::decision::{Agreement, Clause, Decision, Modality};
use crate::domain::{
    Activity, BREACH_HOURS, Event, EventDetail, EventKind, Incident, IncidentId, Instant, Obligation, ObligationId,
};
use crate::seal;
use crate::store::{Reads, Write};
use crate::telemetry;

use super::gather::Gathered;
use super::offers::OfferFor;
use super::plan::{Change, Context};
use super::reading::{Page, Pages};
use super::{Exchange, Result};

/// Within how many hours a duty should be done where its clause does not say.
const WITHIN_HOURS: i64 = 24;

/// An obligation, and whether what it rests on was verified.
#[derive(Debug, Clone)]
pub struct ObligationView {
    /// The obligation.
    pub obligation: Obligation,
    /// Whether the notification was verified.
    pub verified: bool,
    /// Whether it should have been done by now.
    pub overdue: bool,
}

/// The duties of an agreement that a notification of this incident gives rise to.
fn duties<'a>(agreement: &'a Agreement, incident: &'a Incident, at: Instant) -> impl Iterator<Item = &'a Clause> {
    let kind = incident.notification.as_ref().map(|notification| notification.kind.as_str());
    agreement.clauses().filter(move |clause| {
        agreement.is_effective(at)
            && clause.modality == Modality::Duty
            && clause.activity == Activity::Disclose
            && clause.disclosing == incident.holder
            && kind.is_some()
            && clause.notification.as_deref() == kind
    })
}

/// Lets the obligations of these revisions begin.
pub(super) async fn arise(
    context: Context<'_>,
    reads: &mut Reads,
    incidents: &[&Incident],
    change: &mut Change,
) -> Result<()> {
    if incidents.iter().all(|incident| incident.notification.is_none()) {
        return Ok(());
    }
    let in_force = context.node.in_force(reads).await?;
    for incident in incidents.iter().filter(|incident| incident.notification.is_some()) {
        // What is new is owed for the first time.
        let present = if incident.revision == 1 { Vec::new() } else { reads.obligations_of(&incident.id).await? };
        for clause in in_force.iter().flat_map(|agreement| duties(agreement, incident, context.at)) {
            begin(context, incident, clause, present.iter().find(|one| one.clause == clause.id), change)?;
        }
    }
    Ok(())
}

/// `present` is the obligation of an earlier revision, if there is one.
fn begin(
    context: Context<'_>,
    incident: &Incident,
    clause: &Clause,
    present: Option<&Obligation>,
    change: &mut Change,
) -> Result<()> {
    let received = incident.notification.as_ref().map_or(context.at, |notification| notification.received_at);
    let arose_at = if incident.revision == 1 { received } else { context.at };
    let obligation = Obligation {
        id: present.map_or_else(|| ObligationId::known(seal::new_id("obl")), |present| present.id.clone()),
        holder: incident.holder.clone(),
        recipient: clause.receiving.clone(),
        clause: clause.id.clone(),
        incident: incident.id.clone(),
        revision: incident.revision,
        arose_at,
        due_at: arose_at.plus_seconds(clause.within_hours.unwrap_or(WITHIN_HOURS) * 3_600),
        offered_at: None,
        done_at: None,
    };
    if present.is_some() {
        change.writes.push(Write::drop_events(obligation.id.as_str()));
        change.writes.push(Write::reopen_obligation(&obligation));
    } else {
        change.writes.push(Write::obligation(&obligation));
    }
    let kind = EventKind::DutyOverdue;
    change.writes.push(Write::event(&Event {
        id: kind.id(&[obligation.id.as_str(), &incident.revision.to_string()]),
        agency: incident.holder.clone(),
        kind,
        at: obligation.due_at,
        object: obligation.id.to_string(),
        detail: EventDetail {
            incident: Some(incident.id.clone()),
            ends_at: Some(obligation.due_at),
            ..EventDetail::with(&clause.receiving)
        },
    })?);
    Ok(())
}

/// Has a verified notification offered to whoever must have it.
pub(super) async fn verified(
    context: Context<'_>,
    reads: &mut Reads,
    incident: &Incident,
    change: &mut Change,
) -> Result<()> {
    for agreement in context.node.in_force(reads).await? {
        change.offers.extend(duties(&agreement, incident, context.at).filter_map(|clause| offer(incident, clause)));
    }
    Ok(())
}

fn offer(incident: &Incident, clause: &Clause) -> Option<OfferFor> {
    Some(OfferFor::Incident {
        incident: incident.id.clone(),
        recipient: clause.receiving.clone(),
        purpose: clause.purposes.first()?.clone(),
        categories: clause.categories.clone(),
    })
}

/// What was notified before an agreement came into force is owed under it as well.
pub(super) async fn on_activation(
    context: Context<'_>,
    reads: &mut Reads,
    agreement: &Agreement,
    change: &mut Change,
) -> Result<()> {
    for holder in context.node.agencies.keys() {
        for incident in reads.incidents_notified(holder).await? {
            let known = reads.obligations_of(&incident.id).await?;
            for clause in duties(agreement, &incident, context.at) {
                if known.iter().any(|one| one.clause == clause.id) {
                    continue;
                }
                begin(context, &incident, clause, None, change)?;
                if incident.notification.as_ref().is_some_and(|notification| notification.verified_at.is_some()) {
                    change.offers.extend(offer(&incident, clause));
                }
            }
        }
    }
    Ok(())
}

/// What a release fulfils: the duties under which all was released that they cover and that is held.
pub(super) fn fulfilled(gathered: &Gathered, decision: &Decision) -> Vec<Write> {
    let Decision::Permit(permit) = decision else { return Vec::new() };
    let mut writes = Vec::new();
    for permitted in permit.permitted() {
        let basis = &permitted.basis;
        let incident = gathered.facts.matches.iter().map(|found| &found.incident).find(|one| one.id == basis.incident);
        let Some(incident) = incident else { continue };
        for agreement in gathered.agreements() {
            for clause in duties(agreement, incident, gathered.facts.at) {
                let mut owed = clause.categories.iter().filter(|category| incident.categories.contains_key(*category));
                let whole = owed.all(|category| basis.categories.contains(category));
                if basis.clauses.contains(&clause.id) && whole {
                    let (id, at) = (&incident.id, gathered.facts.at);
                    writes.extend(Write::obligation_done(id, &clause.id, basis.revision, at));
                }
            }
        }
    }
    writes
}

impl Exchange {
    /// The agency's own obligations; `filter` is empty for all.
    pub async fn obligations(&self, page: Page) -> Result<Pages<ObligationView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let at = node.now(reads).await?;
                let rows = reads.obligations(&page.agency, &after, read, &page.filter).await?;
                let (found, next) = page.turn(node, rows, read, |row| row.id.to_string())?;
                let mut views = Vec::new();
                for obligation in found {
                    let verified = is_verified(reads, &obligation).await?;
                    views.push(ObligationView { overdue: obligation.is_overdue(at), verified, obligation });
                }
                Ok((views, next))
            })
        })
        .await
    }

    /// Logs what should have been done, acknowledged or closed by now, and says how many that are: for the operator's alarm.
    pub async fn alarm_overdue(&self) -> Result<usize> {
        const MOST: i64 = 1_000;
        let overdue = self
            .read(|node, reads| {
                Box::pin(async move {
                    let at = node.now(reads).await?;
                    let (owed, notices) =
                        (reads.obligations_overdue(at, MOST).await?, reads.notices_overdue(at, MOST).await?);
                    let open = reads.wrongful_releases_open(at.plus_seconds(-BREACH_HOURS * 3_600), MOST).await?;
                    Ok((at, owed, notices, open))
                })
            })
            .await;
        let (at, overdue, notices, open) = overdue?;
        for (what, count) in [("duty", overdue.len()), ("notice", notices.len()), ("wrongful_release", open.len())] {
            self.node.metrics.overdue.of([("what", what)]).set(telemetry::count(count));
        }
        for one in &overdue {
            let hours = at.micros_since(one.due_at) / 3_600_000_000;
            tracing::error!(obligation = %one.id, holder = %one.holder, clause = %one.clause, hours, "a duty is overdue");
        }
        for one in &notices {
            let hours = at.micros_since(one.due_at) / 3_600_000_000;
            let kind = one.kind.as_str();
            tracing::error!(notice = %one.id, holder = %one.about.holder, kind, hours, "a notice is overdue");
        }
        for (id, holder, aware_at) in &open {
            let hours = at.micros_since(*aware_at) / 3_600_000_000;
            tracing::error!(wrongful_release = %id, %holder, hours, "a wrongful release is open past the breach clock");
        }
        Ok(overdue.len() + notices.len() + open.len())
    }
}

async fn is_verified(reads: &mut Reads, obligation: &Obligation) -> Result<bool> {
    let id: &IncidentId = &obligation.incident;
    let notification = reads.incident(&obligation.holder, id).await?.and_then(|incident| incident.notification);
    Ok(notification.is_some_and(|notification| notification.verified_at.is_some()))
}
