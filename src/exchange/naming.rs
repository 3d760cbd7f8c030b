//! Naming an organisation in a request: decided on the node of the agency that names, shown to the one that is asked.

use std::collections::BTreeSet;

use crate::decision::{Agreement, InForce, Naming, NamingFacts, decide_naming};
use crate::domain::{
    AgencyId, Digest, Ground, Identifier, Instant, Invalid, NamingReceipt, OrganisationId, Purpose, Rejected, Requester,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::Reads;

use super::plan::{Change, Context, Decided, Plan};
use super::{Node, Result, statement};

/// Asks whether the caller's agency may name an organisation to another one.
#[derive(Debug)]
pub struct AskToName {
    /// The organisation, in its own register.
    pub organisation: OrganisationId,
    /// By which of its identifiers.
    pub identifiers: Vec<Identifier>,
    /// To whom.
    pub recipient: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// On which ground.
    pub ground: Ground,
}

impl Plan for AskToName {
    const KIND: Kind = Kind::Naming;
    const RELEASES: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.check_recipient("recipient", &self.recipient)?;
        let organisation = reads.organisation(context.agency(), &self.organisation, context.seal()).await?;
        let organisation = organisation.ok_or(Rejected::NotFound("organisation"))?;
        let registered = &organisation.profile.identifiers;
        if let Some(place) = self.identifiers.iter().position(|identifier| !registered.contains(identifier)) {
            let problem = "is not one that your register has for the organisation";
            return Err(Rejected::invalid(format!("identifiers[{place}]"), problem).into());
        }
        let learns = Requester::anyone_of(self.recipient.clone());
        if reads.suspensions_of([&learns]).await?.between(context.agency(), &learns).is_some() {
            return Err(Rejected::WrongState("whoever would receive it is suspended").into());
        }
        let agreements = context.node.in_force(reads).await?;
        let in_force = agreements.iter().map(|one| InForce { id: one.id().clone(), digest: one.digest() }).collect();
        let mut consents = reads.consents_of(&[&organisation.id]).await?.remove(&organisation.id).unwrap_or_default();
        consents.retain(|one| (&one.holder, &one.recipient) == (context.agency(), &self.recipient));
        let facts = NamingFacts {
            format: 1,
            at: context.at,
            requester: Requester::from(context.actor),
            request_id: context.call.request_id.clone(),
            recipient: self.recipient.clone(),
            purpose: self.purpose.clone(),
            ground: self.ground.clone(),
            organisation: organisation.id.clone(),
            identifiers: self.identifiers.iter().cloned().collect(),
            merger_recorded_at: organisation.merger_recorded_at,
            consents,
            salt: Digest(seal::random()),
            in_force,
        };
        let agreements: Vec<&Agreement> = agreements.iter().map(AsRef::as_ref).collect();
        let decision = decide_naming(&facts, &agreements);
        if let Naming::Erred { alarm } = &decision {
            tracing::error!(agency = %context.agency(), alarm, "naming was denied by a fault, not by a rule");
        }
        let sealed = statement::naming_facts(&facts)?;
        let (outcome, grounds) = statement::of_naming(&facts, &sealed, &decision);
        let mut change = Change::new(&organisation.id, organisation.version, Vec::new());
        change.outcome = outcome;
        change.decided = Some(Decided { facts: sealed, grounds });
        Ok(change)
    }
}

impl Node {
    /// What an agency's node said about naming an organisation, if the encoded receipt proves that it said so. Whether it
    /// fits an ask, and still counts, is for the decision on that ask.
    pub fn naming_receipt(&self, field: &str, encoded: &[u8]) -> Result<NamingReceipt, Invalid> {
        let wrong = |problem: &str| Invalid::new(field, problem);
        let receipt = self.attested(field, encoded)?;
        receipt.check_outcome_alone(field)?;
        let said = receipt.said.naming.as_ref();
        let said = said.ok_or_else(|| wrong("is not about naming an organisation, or its outcome is not opened"))?;
        if said.answer != "given" {
            return Err(wrong(&format!("says `{}`, not that the organisation may be named", said.answer)));
        }
        let unreadable = || wrong("has an agency, word or digest that cannot be read");
        let disclosing = AgencyId::parse(said.disclosing.as_str()).map_err(|_| unreadable())?;
        if !receipt.is_of(&disclosing) {
            return Err(wrong("is not from the ledger of the agency that it lets name"));
        }
        let names: Option<BTreeSet<Digest>> = said.names.iter().map(|name| Digest::from_slice(name)).collect();
        Ok(NamingReceipt {
            ledger: receipt.said.checkpoint.origin.clone(),
            index: receipt.index,
            disclosing,
            receiving: AgencyId::parse(said.receiving.as_str()).map_err(|_| unreadable())?,
            purpose: Purpose::parse(said.purpose.as_str()).map_err(|_| unreadable())?,
            ground: Ground::parse(said.ground.as_str()).map_err(|_| unreadable())?,
            salt: Digest::from_slice(&said.salt).ok_or_else(unreadable)?,
            names: names.ok_or_else(unreadable)?,
            given_at: receipt.at,
            until: NamingReceipt::longest(receipt.at).min(Instant::from_micros(said.until_micros)),
        })
    }
}
