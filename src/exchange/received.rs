//! What another agency released to this one, as a record of its own that keeps where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::{Category, Incident, IncidentId, Occurred, OrganisationId, Rejected};
use crate::domain::{Instant, Invalid};
use crate::ledger::{Kind, commit_to};
use crate::proto::v1::ReleasedStatement;
use crate::store::Reads;

use super::incidents::{self, RETAIN_DAYS};
use super::plan::{Change, Context, Plan};
use super::statement::read_time;
use super::{RegisterIncident, Result, events};

/// Records what was released to the caller's agency.
pub struct RegisterReceived {
    /// The organisation.
    pub organisation: OrganisationId,
    /// When it occurred.
    pub occurred: Occurred,
    /// The campaign that it belongs to.
    pub campaign: Option<String>,
    /// Until when it is kept.
    pub retain_until: Option<Instant>,
    /// The encoded receipt of the release.
    pub receipt: Vec<u8>,
    /// The recipient's reference; empty for the only one.
    pub reference: String,
    /// What was released.
    pub categories: Vec<ReceivedCategory>,
}

/// One category as it was released, with the place in the call.
pub struct ReceivedCategory {
    /// The category.
    pub category: Category,
    /// Its content.
    pub content: Vec<u8>,
    /// The salt of its commitment.
    pub salt: Vec<u8>,
}

impl fmt::Debug for RegisterReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegisterReceived(..)")
    }
}

impl fmt::Debug for ReceivedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceivedCategory({})", self.category)
    }
}

impl Plan for RegisterReceived {
    const KIND: Kind = Kind::Incident;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let id = IncidentId::known(context.seal().record_id(RegisterIncident::PREFIX, context.call));
        let incident = self.incident(context, id)?;
        let organisation = reads.organisation(context.agency(), &self.organisation, context.seal()).await?;
        let organisation = organisation.ok_or(Rejected::NotFound("organisation"))?;
        let categories: incidents::Content =
            self.categories.iter().map(|one| (one.category.clone(), one.content.clone())).collect();
        let mut change = Change::new(&incident.id, 1, incidents::rows(context, &incident, &categories)?);
        let found = [(organisation.profile.identifiers.as_slice(), &incident)];
        change.writes.extend(events::matched_later(context, reads, &found).await?);
        Ok(change)
    }
}

impl RegisterReceived {
    /// Until when it is kept: no longer than the handling terms of the release let the copy be.
    fn retain_until(&self, context: Context<'_>, released: &ReleasedStatement) -> Result<Instant, Rejected> {
        let stated = released.handling.as_ref().and_then(|handling| handling.dispose_by.as_ref());
        let due = match stated {
            Some(stated) => {
                let problem = || Rejected::invalid("receipt", "says in a way that cannot be read when the copy ends");
                Some(read_time(stated).ok_or_else(problem)?)
            }
            None => None,
        };
        if due.is_some_and(|due| due <= context.at) {
            return Err(Rejected::invalid("receipt", "is of a copy that must have been disposed of by now"));
        }
        let own = self.retain_until.unwrap_or_else(|| context.at.plus_days(RETAIN_DAYS));
        if own <= context.at {
            return Err(Rejected::invalid("retain_until", "must be in the future"));
        }
        if self.retain_until.is_some() && due.is_some_and(|due| due < own) {
            let problem = "is later than the copy must be disposed of: see `dispose_by` of the release";
            return Err(Rejected::invalid("retain_until", problem));
        }
        Ok(due.map_or(own, |due| due.min(own)))
    }

    /// The incident as it will be kept, if the receipt proves that it was released so.
    fn incident(&self, context: Context<'_>, id: IncidentId) -> Result<Incident, Rejected> {
        if self.occurred.from > context.at {
            return Err(Rejected::invalid("occurred_from", "is in the future"));
        }
        let receipt = context.node.attested("receipt", &self.receipt)?;
        let (released, chain) = receipt.released(context.agency(), &self.reference, "receipt")?;
        let retain_until = self.retain_until(context, released)?;
        let promised: BTreeMap<&str, &[u8]> =
            released.categories.iter().map(|one| (one.category.as_str(), one.commitment.as_slice())).collect();
        let mut seen = BTreeSet::new();
        for (place, one) in self.categories.iter().enumerate() {
            let field = |name: &str| format!("categories[{place}].{name}");
            if !seen.insert(&one.category) {
                return Err(Rejected::invalid(field("category"), "is there twice"));
            }
            let promised = promised.get(one.category.as_str());
            let promised = promised.ok_or_else(|| Invalid::new(field("category"), "was not released"))?;
            if one.salt.len() != 32 {
                return Err(Rejected::invalid(field("salt"), "must have 32 bytes"));
            }
            if commit_to(&one.salt, &one.content) != **promised {
                let problem = "is not what the receipt commits to, or the salt is another";
                return Err(Rejected::invalid(field("content"), problem));
            }
        }
        let markings = chain.markings().unwrap_or_default();
        Ok(Incident {
            id,
            holder: context.agency().clone(),
            organisation: self.organisation.clone(),
            revision: 1,
            occurred: self.occurred,
            markings,
            notification: None,
            campaign: self.campaign.clone(),
            retain_until,
            categories: BTreeMap::new(),
            provenance: Some(chain),
        })
    }
}
