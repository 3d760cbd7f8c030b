//! Messages between the agency that opened a proposal and one to which it was put.

use crate::domain::{
    AgencyId, AttachedFile, EventKind, MOST_ATTACHED_BYTES, MOST_MESSAGES, Proposal, ProposalId, ProposalMessage,
    Rejected, Requester, check,
};
use crate::ledger::Kind;
use crate::proto::v1;
use crate::store::{ProposalRow, Reads, Write};
use prost::Message as _;

use super::super::Result;
use super::super::existence::{self, Sight};
use super::super::plan::{Change, Context, Decided, Plan};
use super::seen::{Kinds, Reader, check_reaches, may_know, seen};
use super::{Happened, by, digest_of, said};

/// Who sends a message about an incident.
const RELEASERS: [&str; 2] = ["authoriser", "communications-approver"];

/// Sends a message.
#[derive(Debug)]
pub struct SendMessage {
    /// The proposal.
    pub id: ProposalId,
    /// To whom, from the agency that opened it; none from the others.
    pub agency: Option<AgencyId>,
    /// What it says.
    pub text: String,
    /// What goes with it.
    pub files: Vec<AttachedFile>,
    /// The content of each.
    pub contents: Vec<Vec<u8>>,
    /// Who sends it.
    pub reader: Reader,
}

impl Plan for SendMessage {
    const KIND: Kind = Kind::Proposal;
    const RELEASES: bool = true;
    const BULK: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let ProposalRow { proposal, key } = seen(context.node, reads, context.at, &self.id, &self.reader).await?;
        let key = key.ok_or(Rejected::WrongState("what it said was erased"))?;
        let is_own = proposal.opener == *context.agency();
        let with = match (&self.agency, is_own) {
            (Some(agency), true) => agency,
            (None, false) => context.agency(),
            (None, true) => return Err(Rejected::invalid("agency", "is required: to whom").into()),
            (Some(_), false) => {
                let problem = "must not be set: it goes to the agency that opened the proposal";
                return Err(Rejected::invalid("agency", problem).into());
            }
        };
        self.check_crosses(&proposal)?;
        let mut decided = None;
        if is_own {
            check(proposal.put_to(with).is_some(), "agency", "is not an agency to which the proposal was put")?;
            let kinds = Kinds::read(context.node, reads, context.at).await?;
            if !may_know(context.node, reads, &kinds, &proposal, &Requester::anyone_of(with.clone())).await? {
                let problem =
                    "the agency may not know of it now: the agreement, the incident or a suspension forbids it";
                return Err(Rejected::WrongState(problem).into());
            }
            decided = allowed(context, reads, &proposal, with).await?;
        } else {
            check_reaches(reads, context.agency(), &proposal.opener).await?;
        }
        proposal.check_open()?;
        let (messages, bytes) = reads.proposal_exchanged(&self.id, with).await?;
        if messages >= MOST_MESSAGES {
            return Err(Rejected::WrongState("as many messages passed as can: open another proposal").into());
        }
        let more: i64 = self.files.iter().map(|file| file.size_bytes).sum();
        if bytes + more > MOST_ATTACHED_BYTES {
            return Err(Rejected::WrongState("the attachments of this proposal would exceed 4 MiB").into());
        }
        let message = ProposalMessage {
            agency: with.clone(),
            number: messages + 1,
            sender: context.agency().clone(),
            said: by(context, &self.text),
            files: self.files.clone(),
            at: context.at,
        };
        let told = if is_own { with } else { &proposal.opener };
        let digest = digest_of(&super::message(&message)).as_bytes().to_vec();
        let stated = v1::ProposalStatement { digest, ..said(&proposal, "message") };
        let mut change = Change::new(&self.id, message.number, Vec::new());
        change.writes = Write::proposal_message(&self.id, &message, &self.contents, &key)?;
        let happened = Happened { proposal: &proposal, kind: EventKind::ProposalMessage, number: message.number };
        change.writes.push(happened.tells(told, with, None, context.at)?);
        change.outcome = stated.encode_to_vec();
        change.told = vec![told.clone()];
        change.decided = decided;
        Ok(change)
    }
}

impl SendMessage {
    /// What is said of an incident crosses as the gate let its existence cross, and no further: in words alone, and by an
    /// officer who may decide what leaves the agency.
    fn check_crosses(&self, proposal: &Proposal) -> Result<(), Rejected> {
        if proposal.incident.is_none() {
            return Ok(());
        }
        if !self.reader.roles.iter().any(|role| RELEASERS.contains(&role.as_str())) {
            return Err(Rejected::RoleMissing(RELEASERS.join(", ")));
        }
        let problem = "must not be set: it is about an incident, whose content is asked for";
        Ok(check(self.files.is_empty(), "attachments", problem)?)
    }
}

/// Decides anew, for this message's entry, that the agency may know of the incident, where there is one.
async fn allowed(
    context: Context<'_>,
    reads: &mut Reads,
    proposal: &Proposal,
    with: &AgencyId,
) -> Result<Option<Decided>> {
    let purpose = proposal.put_to(with).and_then(|put| put.purpose.clone());
    let (Some(incident), Some(purpose)) = (proposal.incident.clone(), purpose) else { return Ok(None) };
    let (holder, recipient) = (context.agency().clone(), with.clone());
    let sight = Sight { holder, incident, recipient, purpose };
    let existence = existence::decide(context, reads, sight, proposal.id.as_str()).await?;
    if existence.denied().is_some() {
        return Err(Rejected::WrongState("the agency may not know of the incident now").into());
    }
    Ok(Some(existence.into_decided()))
}
