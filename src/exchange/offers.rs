//! Telling an agency that it may ask now. That discloses that something is held, so it goes through the gate: only a
//! permit makes an offer, its entry is committed first, and the agency sees it only while the gate would still permit.

use std::collections::BTreeSet;

use crate::decision::Permit;
use crate::domain::{
    AgencyId, Ask, CallKey, Category, ClauseId, Event, EventDetail, EventId, EventKind, IncidentId, Obligation,
    Purpose, Question, Reference, Rejected,
};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::seal;
use crate::store::{Reads, Write};

use super::gather::{Gathered, Put, supposed};
use super::plan::{By, Context};
use super::{Result, asks, inbox, incidents, nudges, statement};

/// The RPC that offers: what a duty gives rise to counts as called by whoever verified the notification.
const METHOD: &str = "InboxService/OfferRelease";

/// What a holder offers.
#[derive(Debug, Clone)]
pub enum OfferFor {
    /// To answer a request that it received.
    Request(Question),
    /// An incident, unasked.
    Incident {
        /// The incident.
        incident: IncidentId,
        /// Who may ask.
        recipient: AgencyId,
        /// For what.
        purpose: Purpose,
        /// Which categories.
        categories: BTreeSet<Category>,
    },
}

/// One call that offers.
#[derive(Debug)]
pub(super) struct OfferCall {
    pub(super) by: By,
    pub(super) offer: OfferFor,
}

/// An offer on its way through the gate.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) by: By,
    of: Of,
}

#[derive(Debug)]
enum Of {
    Request(Question),
    Incident { incident: IncidentId, reference: Reference, is_new: bool, obligations: Vec<Obligation> },
}

impl Offering {
    /// Reads what is offered, and what is to be decided. What is the officer's own mistake is an error.
    pub(super) async fn read(
        context: Context<'_>,
        reads: &mut Reads,
        by: &By,
        offer: &OfferFor,
    ) -> Result<(Self, Put)> {
        let (of, put) = match offer {
            OfferFor::Request(id) => {
                let question = inbox::received(reads, context.agency(), id, context.seal()).await?.question;
                if question.open_until <= context.at {
                    return Err(Rejected::WrongState("the request has expired").into());
                }
                if question.form == Ask::ANONYMISED_RECORD {
                    let problem = "an anonymised record is not offered: whoever asked puts the request again";
                    return Err(Rejected::WrongState(problem).into());
                }
                let requester = question.requester.clone();
                let ask = asks::asked(&question, requester, by.call.request_id.clone());
                (Of::Request(question.id), Put { ask, known: None })
            }
            OfferFor::Incident { incident, recipient, purpose, categories } => {
                context.check_recipient("incident.recipient", recipient)?;
                let incident = incidents::own(context, reads, incident).await?;
                let key = (incident.id.clone(), recipient.clone());
                let known = reads.references(&[&incident.id]).await?.remove(&key);
                let is_new = known.is_none();
                let reference = known.unwrap_or_else(|| Reference::known(seal::new_id("ref")));
                let obligations = reads.obligations_of(&incident.id).await?;
                let of =
                    Of::Incident { incident: incident.id.clone(), reference: reference.clone(), is_new, obligations };
                (
                    of,
                    supposed(
                        &incident.holder,
                        &incident.id,
                        reference,
                        recipient.clone(),
                        purpose.clone(),
                        categories.clone(),
                    ),
                )
            }
        };
        let by = By { actor: by.actor.clone(), call: CallKey { method: METHOD, ..by.call.clone() } };
        Ok((Self { by, of }, put))
    }

    /// The entry of a permitted offer: what was done for the holder, what is offered for both.
    pub(super) fn draft(&self, gathered: &Gathered, permit: &Permit) -> Result<(Draft, Vec<u8>)> {
        let ask = &gathered.facts.ask;
        let facts = statement::facts(&gathered.facts)?;
        let request = match &self.of {
            Of::Request(question) => Some(question),
            Of::Incident { .. } => None,
        };
        let draft = Draft {
            kind: Kind::Offer,
            act: statement::act(&self.by, self.of.object(), 0),
            subject: Vec::new(),
            outcome: statement::offer(ask, request, &offered(permit)),
            grounds: statement::reasons(permit.reasons(), &facts),
            salts: Salts::from_seed(&seal::random()),
            parties: vec![(ask.holder.clone(), Slots::HOLDER), (ask.requester.agency.clone(), Slots::OFFER)],
        };
        Ok((draft, facts))
    }

    /// What is written beside the entry, and the event by which the agency is told.
    pub(super) fn writes(&self, gathered: &Gathered, permit: &Permit, index: u64) -> Result<(EventId, Vec<Write>)> {
        let (ask, at) = (&gathered.facts.ask, gathered.facts.at);
        let told = |kind: EventKind, object: &str, detail: EventDetail| Event {
            id: kind.id(&[&index.to_string()]),
            agency: ask.requester.agency.clone(),
            kind,
            at,
            object: object.to_owned(),
            detail: EventDetail { entry: Some(index), ..detail },
        };
        let holder = EventDetail::with(&ask.holder);
        let mut writes = Vec::new();
        let event = match &self.of {
            Of::Request(question) => {
                writes.push(Write::offered(question, at));
                writes.push(nudges::answered(question, &ask.holder));
                told(EventKind::AskAgain, question.as_str(), holder)
            }
            Of::Incident { incident, reference, is_new, obligations } => {
                if *is_new {
                    writes.push(Write::reference(reference, incident, &ask.holder, &ask.requester.agency, at));
                }
                let under = |clause: &ClauseId| permit.permitted().iter().any(|one| one.basis.clauses.contains(clause));
                let offered_now = obligations.iter().filter(|one| one.done_at.is_none() && under(&one.clause));
                writes.extend(offered_now.map(|obligation| Write::obligation_offered(&obligation.id, at)));
                let detail = EventDetail {
                    incident: Some(incident.clone()),
                    purpose: Some(ask.purpose.clone()),
                    categories: offered(permit),
                    ..holder
                };
                told(EventKind::Offer, reference.as_str(), detail)
            }
        };
        writes.push(Write::event(&event)?);
        Ok((event.id, writes))
    }
}

impl Of {
    /// What the offer is about, as the recipient knows it.
    fn object(&self) -> &str {
        match self {
            Self::Request(question) => question.as_str(),
            Self::Incident { reference, .. } => reference.as_str(),
        }
    }
}

/// The categories of all that a permit would release.
pub(super) fn offered(permit: &Permit) -> BTreeSet<Category> {
    permit.permitted().iter().flat_map(|permitted| permitted.basis.categories.clone()).collect()
}
