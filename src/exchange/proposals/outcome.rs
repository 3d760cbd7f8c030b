//! What comes of a proposal: concluded, published, and erased when its time is over.

use prost::Message as _;

use crate::domain::{
    AgencyId, Concluded, Digest, EventKind, Proposal, ProposalId, ProposalOutcome, Rejected, Requester,
};
use crate::ledger::Kind;
use crate::proto::v1;
use crate::store::{Reads, Write};

use super::super::Result;
use super::super::plan::{Change, Context, Plan};
use super::seen::{Kinds, may_know, own};
use super::{Happened, said};

/// Says what came of a proposal.
#[derive(Debug)]
pub struct ConcludeProposal {
    /// The proposal.
    pub id: ProposalId,
    /// What came of it.
    pub outcome: ProposalOutcome,
    /// Why it went ahead.
    pub why: String,
}

/// Notes that its text was published.
#[derive(Debug)]
pub struct PublishProposal {
    /// The proposal.
    pub id: ProposalId,
    /// The text that is published.
    pub digest: Digest,
}

/// Erases what was said of a proposal whose time is over.
#[derive(Debug)]
pub struct EraseProposal {
    /// The proposal.
    pub id: ProposalId,
}

impl Plan for ConcludeProposal {
    const KIND: Kind = Kind::Proposal;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (proposal, key) = own(context, reads, &self.id).await?;
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let terms = |agency: &AgencyId| kinds.between(&proposal, agency);
        proposal.check_outcome(self.outcome, &self.why, terms, context.at)?;
        if self.outcome == ProposalOutcome::WentAhead {
            check_could_answer(context, reads, &kinds, &proposal).await?;
        }
        let (outcome, why, by) = (self.outcome, self.why.clone(), context.actor.officer.clone());
        let concluded = Concluded { outcome, why, by, at: context.at };
        let mut change = Change::new(&self.id, proposal.newest(), Vec::new());
        change.writes = vec![Write::proposal_concluded(&self.id, &concluded, &key)?];
        let stated = v1::ProposalStatement { word: outcome.as_told().to_owned(), ..said(&proposal, "concluded") };
        change.outcome = stated.encode_to_vec();
        tell(context, reads, &kinds, &proposal, EventKind::ProposalConcluded, &mut change).await?;
        Ok(change)
    }
}

impl Plan for PublishProposal {
    const KIND: Kind = Kind::Proposal;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (proposal, _) = own(context, reads, &self.id).await?;
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let is_published = |agency| kinds.between(&proposal, agency).is_some_and(|terms| terms.published);
        if !proposal.last_puts().into_keys().all(is_published) {
            return Err(Rejected::WrongState("this kind is not published").into());
        }
        proposal.check_publishable(self.digest, context.at)?;
        let mut change = Change::new(&self.id, proposal.newest(), Vec::new());
        change.writes = vec![Write::proposal_published(&self.id, context.at)];
        let stated = v1::ProposalStatement { digest: self.digest.as_bytes().to_vec(), ..said(&proposal, "published") };
        change.outcome = stated.encode_to_vec();
        tell(context, reads, &kinds, &proposal, EventKind::ProposalPublished, &mut change).await?;
        Ok(change)
    }
}

impl Plan for EraseProposal {
    const KIND: Kind = Kind::Proposal;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let (proposal, _) = own(context, reads, &self.id).await?;
        let kinds = Kinds::read(context.node, reads, context.at).await?;
        let problem = "it is not concluded, or not past the time for which it is kept";
        let from = proposal.erase_from(kinds.retain_days(&proposal));
        if from.is_none_or(|from| context.at < from) {
            return Err(Rejected::WrongState(problem).into());
        }
        Ok(Change::new(&self.id, proposal.newest(), Write::erase_proposals(std::slice::from_ref(&self.id))))
    }
}

/// Fails if an agency that has not answered the newest text may no longer know of it: that is no silence.
async fn check_could_answer(context: Context<'_>, reads: &mut Reads, kinds: &Kinds, proposal: &Proposal) -> Result<()> {
    let newest = proposal.newest();
    let puts = proposal.last_puts().into_keys();
    for agency in puts.filter(|agency| proposal.answer_of(agency, newest).is_none()) {
        let anyone = Requester::anyone_of(agency.clone());
        if !may_know(context.node, reads, kinds, proposal, &anyone).await? {
            let problem = "an agency that has not answered may not know of it now, so it cannot: withdraw it";
            return Err(Rejected::WrongState(problem).into());
        }
    }
    Ok(())
}

/// Tells the agencies to which it was put and that may still know of it.
async fn tell(
    context: Context<'_>,
    reads: &mut Reads,
    kinds: &Kinds,
    proposal: &Proposal,
    kind: EventKind,
    change: &mut Change,
) -> Result<()> {
    for agency in proposal.last_puts().into_keys() {
        let anyone = Requester::anyone_of(agency.clone());
        if may_know(context.node, reads, kinds, proposal, &anyone).await? {
            // Once each; the number of a text would say how many were not shown.
            let happened = Happened { proposal, kind, number: 1 };
            change.writes.push(happened.tells(agency, agency, None, context.at)?);
            change.told.push(agency.clone());
        }
    }
    Ok(())
}
