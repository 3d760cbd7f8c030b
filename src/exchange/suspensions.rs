//! Stopping an officer or an agency at once, and turning away whoever is stopped.
//!
//! A suspended caller is turned away before anything is decided: without an entry, because it is about the caller's own
//! state, which the caller may know. So a decision never reads a suspension, and replays as before. What matters is
//! where it is looked up: under the lock for whatever changes something or is to be decided, after the suspensions of
//! the same batch were written; in the reading's own transaction for whatever is only read.

use std::collections::BTreeSet;

use crate::domain::{Actor, AgencyId, OfficerId, Part, Rejected, Requester, Suspended, Suspension, Suspensions};
use crate::ledger::Kind;
use crate::store::{Reads, Write};

use super::gather::Put;
use super::plan::{Change, Context, Plan};
use super::reading::{Page, Pages};
use super::{Error, Exchange, Node, Result};

/// Suspends an officer, a certificate or an agency.
#[derive(Debug)]
pub struct Suspend {
    /// Whom.
    pub whom: Suspended,
    /// The officer, where it is one of the caller's own agency.
    pub officer: Option<OfficerId>,
}

/// Lifts a suspension.
#[derive(Debug)]
pub struct Resume {
    /// Whose.
    pub whom: Suspended,
}

impl Plan for Suspend {
    const KIND: Kind = Kind::Suspension;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let Suspended { agency, part } = &self.whom;
        let is_own = agency == context.agency();
        if !context.node.known.contains_key(agency) {
            return Err(Rejected::invalid("agency", format!("`{agency}` is not an agency that this node knows")).into());
        }
        if is_own && *part == Part::Whole {
            let problem = "is your own agency: suspend its officers one by one, or end its agreements";
            return Err(Rejected::invalid("agency", problem).into());
        }
        if is_own && *part == Part::Officer(context.actor.pseudonym.clone()) {
            return Err(Rejected::invalid("officer", "is yourself: another operator must do it").into());
        }
        // As with a whole agency: none stops another's work on its own records.
        if !is_own && matches!(part, Part::Certificate(_)) && context.node.holds(agency) {
            let problem = "keeps its records on this node: its own operators suspend its certificates";
            return Err(Rejected::invalid("agency", problem).into());
        }
        if standing(context, reads, &self.whom).await? {
            return Err(Rejected::WrongState("it is suspended already").into());
        }
        let suspension = Suspension {
            holder: context.agency().clone(),
            suspended: self.whom.clone(),
            officer: self.officer.clone(),
            suspended_at: context.at,
            suspended_by: context.actor.officer.clone(),
        };
        Ok(Change::new(&self.whom, 1, vec![Write::suspension(&suspension)]))
    }
}

impl Plan for Resume {
    const KIND: Kind = Kind::Suspension;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        if !standing(context, reads, &self.whom).await? {
            return Err(Rejected::NotFound("suspension").into());
        }
        Ok(Change::new(&self.whom, 2, vec![Write::lift_suspension(context.agency(), &self.whom)]))
    }
}

/// Whether the caller's agency has suspended exactly these.
async fn standing(context: Context<'_>, reads: &mut Reads, whom: &Suspended) -> Result<bool> {
    let found = reads.suspensions_by_name(&[whom.to_string()]).await?;
    Ok(found.0.iter().any(|one| one.holder == *context.agency() && one.suspended == *whom))
}

impl Node {
    /// What a caller is told that one of the agencies here has suspended: not why, nor whether alone or with its agency.
    pub(super) fn suspended(&self, caller: &Requester, by: &AgencyId) -> Error {
        tracing::warn!(agency = %caller.agency, officer = caller.pseudonym, %by, "a suspended caller was turned away");
        let contact = self.agencies.get(by).map(|agency| agency.duty_desk.clone()).unwrap_or_default();
        Error::Suspended { by: by.clone(), contact }
    }

    /// Turns a caller away that may call nothing here.
    pub(super) async fn turn_away_suspended(&self, reads: &mut Reads, caller: &Actor) -> Result<()> {
        let found = reads.suspensions_by_name(&caller.suspendable()).await?;
        match found.of_caller(caller, !self.holds(&caller.agency)) {
            Some(by) => Err(self.suspended(&Requester::from(caller), by)),
            None => Ok(()),
        }
    }

    /// The same, and a caller whom this holder has suspended.
    pub(super) async fn turn_away_between(&self, reads: &mut Reads, caller: &Actor, holder: &AgencyId) -> Result<()> {
        let found = reads.suspensions_by_name(&caller.suspendable()).await?;
        self.turn_away_by(&found, caller, holder)
    }

    /// The same by what was read.
    pub(super) fn turn_away_by(&self, found: &Suspensions, caller: &Actor, holder: &AgencyId) -> Result<()> {
        let requester = Requester::from(caller);
        let by = found.of_caller(caller, !self.holds(&caller.agency)).or_else(|| found.between(holder, &requester));
        by.map_or(Ok(()), |by| Err(self.suspended(&requester, by)))
    }
}

/// Whether each of these may pass from its holder to whoever would receive it.
pub(super) async fn may_pass(reads: &mut Reads, puts: &[Put]) -> Result<Vec<bool>> {
    let found = reads.suspensions_of(puts.iter().map(|put| &put.ask.requester)).await?;
    Ok(puts.iter().map(|put| found.between(&put.ask.holder, &put.ask.requester).is_none()).collect())
}

/// What of the suspensions that stand is about systems and not about officers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuspendedSystems {
    /// Agencies without records here that are suspended whole.
    pub agencies: BTreeSet<AgencyId>,
    /// Certificates, with the agency whose they are.
    pub certificates: BTreeSet<(AgencyId, String)>,
}

impl Exchange {
    /// Whose connections are not to stay open, by any agency's word.
    pub async fn suspended_systems(&self) -> Result<SuspendedSystems> {
        self.read(|node, reads| {
            Box::pin(async move {
                let mut systems = SuspendedSystems::default();
                for Suspended { agency, part } in reads.suspended_systems().await? {
                    match part {
                        Part::Certificate(name) => drop(systems.certificates.insert((agency, name))),
                        Part::Whole if !node.holds(&agency) => drop(systems.agencies.insert(agency)),
                        Part::Whole | Part::Officer(_) => {}
                    }
                }
                Ok(systems)
            })
        })
        .await
    }

    /// The suspensions by the agency that stand.
    pub async fn suspensions(&self, page: Page) -> Result<Pages<Suspension>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.suspensions(&page.agency, &after, read).await?;
                page.turn(node, rows, read, |row| row.suspended.to_string())
            })
        })
        .await
    }
}
