//! Whether another agency may see that an incident is held, and at whom.
//!
//! Existence is information. Whatever lets another agency see something that refers to an organisation or an incident
//! passes here first, and is shown only while it would pass again. The gate's own decision is made, with the facts of an
//! ask for the identity and clauses that speak of confirming existence.

use std::slice;

use crate::decision::{Decision, decide as decide_facts};
use crate::domain::{Activity, AgencyId, Category, IncidentId, Instant, Purpose, Reference, Rejected, Requester};
use crate::store::Reads;

use super::gather::{Gathered, Put, gather, supposed};
use super::plan::{Change, Context, Decided};
use super::{Error, Node, Result, incidents, statement, suspensions};

/// What one agency would be let see: that another holds this incident.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// Who holds it.
    pub(super) holder: AgencyId,
    /// The holder's incident.
    pub(super) incident: IncidentId,
    /// Who would see.
    pub(super) recipient: AgencyId,
    /// For what.
    pub(super) purpose: Purpose,
}

/// What was decided about one [`Sight`], for the entry of the change that it is part of.
#[derive(Debug)]
pub(super) struct Existence {
    recipient: AgencyId,
    /// What came of it. The recipient may open it where it is permitted.
    outcome: Vec<u8>,
    decided: Decided,
    /// Why not, for the holder's own eyes. None where it is permitted.
    denied: Option<String>,
}

impl Existence {
    /// Why not, for the holder's own officers; none where it is permitted.
    pub(super) fn denied(&self) -> Option<&str> {
        self.denied.as_deref()
    }

    /// The decision alone, for the entry of a change that states an outcome of its own.
    pub(super) fn into_decided(self) -> Decided {
        self.decided
    }

    /// The change with the decision in its entry, for the holder; and, where it is permitted, for the recipient.
    pub(super) fn entered(self, change: Change) -> Change {
        let told = if self.denied.is_none() { vec![self.recipient] } else { Vec::new() };
        Change { outcome: self.outcome, decided: Some(self.decided), told, ..change }
    }
}

impl Sight {
    fn put(&self) -> Put {
        let nowhere = Reference::known("-");
        let identity = [Category::known(Category::IDENTITY)].into();
        let (recipient, purpose) = (self.recipient.clone(), self.purpose.clone());
        let mut put = supposed(&self.holder, &self.incident, nowhere, recipient, purpose, identity);
        put.ask.activity = Activity::ConfirmExistence;
        put
    }
}

/// Whether the recipient may see now that the agency's own incident is held: decided under the lock, on the facts as they
/// are. `shown` is the id of what it would see.
///
/// A plan that decides this has `RELEASES` set, and writes an entry whatever was decided: a denial is the holder's own.
pub(super) async fn decide(context: Context<'_>, reads: &mut Reads, sight: Sight, shown: &str) -> Result<Existence> {
    incidents::own(context, reads, &sight.incident).await?;
    let put = sight.put();
    if suspensions::may_pass(reads, slice::from_ref(&put)).await?.contains(&false) {
        return Err(Rejected::WrongState("whoever would receive it is suspended").into());
    }
    let gathered = gather(context.node, reads, vec![put], context.at).await?.pop();
    let gathered = gathered.ok_or(Error::Internal("existence was not gathered"))?;
    let decision = decide_facts(&gathered.facts, &gathered.agreements());
    if let Decision::Open(denial) = &decision
        && let Some(alarm) = denial.alarm()
    {
        tracing::error!(holder = %sight.holder, alarm, "existence was denied by a fault, not by a rule");
    }
    let facts = statement::facts(&gathered.facts)?;
    let denied = match &decision {
        Decision::Permit(_) => None,
        Decision::Open(denial) => Some(denial.reasons().join("; ")),
        Decision::NotCovered(why) => Some(why.explanation.clone()),
    };
    let outcome = statement::existence(&gathered.facts.ask, shown, &decision);
    let grounds = statement::grounds(&decision, &facts);
    Ok(Existence { recipient: sight.recipient, outcome, decided: Decided { facts, grounds }, denied })
}

/// Which of these may be seen at this time, in their order: without an entry, for what was permitted before.
pub(super) async fn stand(node: &Node, reads: &mut Reads, at: Instant, sights: &[Sight]) -> Result<Vec<bool>> {
    if sights.is_empty() {
        return Ok(Vec::new());
    }
    let puts: Vec<Put> = sights.iter().map(Sight::put).collect();
    let may_pass = suspensions::may_pass(reads, &puts).await?;
    let gathered = gather(node, reads, puts, at).await?;
    let permitted =
        |gathered: &Gathered| matches!(decide_facts(&gathered.facts, &gathered.agreements()), Decision::Permit(_));
    Ok(may_pass.into_iter().zip(&gathered).map(|(may_pass, gathered)| may_pass && permitted(gathered)).collect())
}

/// The same for an officer who reads. Nothing is seen while the clocks disagree, as nothing is released then, and nothing
/// of a holder that has suspended the officer.
pub(super) async fn stand_for(
    node: &Node,
    reads: &mut Reads,
    at: Instant,
    reader: &Requester,
    sights: &[Sight],
) -> Result<Vec<bool>> {
    if sights.is_empty() || !node.may_release(reads).await? {
        return Ok(vec![false; sights.len()]);
    }
    let suspensions = reads.suspensions_of([reader]).await?;
    let may_read =
        |sight: &Sight| sight.recipient != reader.agency || suspensions.between(&sight.holder, reader).is_none();
    let stand = stand(node, reads, at, sights).await?;
    Ok(sights.iter().zip(stand).map(|(sight, stands)| stands && may_read(sight)).collect())
}
