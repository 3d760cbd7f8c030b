//! What a statement has, and what it leaves out.
//!
//! It has what the holder itself disclosed of the organisation's own incidents. Left out, always: anonymised records and
//! statistics, which nobody could lay beside the incident otherwise; incidents that came from another agency, which are
//! for that agency to state; what was asked for and not released; what recipients answered; officers.

use std::collections::BTreeSet;

use prost::Message as _;

use crate::domain::{
    Disclosure, DisclosureId, Incident, IncidentId, Instant, Notice, Organisation, OrganisationId, Rejected,
};
use crate::papers::{Made, ShownDisclosure, ShownNotice, ShownScope, Standing, Statement};
use crate::proto::v1::{OutcomeStatement, Receipt, Slot};
use crate::store::Reads;

use super::{ConsentState, Draft, Drawn, Result, standing};

/// The most disclosures in one statement.
const MOST: usize = 200;

impl Draft<'_> {
    pub(super) async fn statement(
        &self,
        reads: &mut Reads,
        id: &OrganisationId,
        (from, until): (Option<Instant>, Option<Instant>),
        leave_out: &[DisclosureId],
    ) -> Result<Drawn> {
        let organisation = self.organisation(reads, id).await?;
        let incidents = self.incidents(reads, id).await?;
        let made = self.disclosures(reads, &incidents).await?;
        for (i, left_out) in leave_out.iter().enumerate() {
            if !made.iter().any(|made| made.id == *left_out) {
                let problem = "is not a disclosure that a statement to this organisation would have";
                return Err(Rejected::invalid(format!("leave_out[{i}]"), problem).into());
            }
        }
        let (left_out, mut made): (Vec<_>, Vec<_>) = made.into_iter().partition(|made| leave_out.contains(&made.id));
        let stated = &gave(&made) - &gave(&left_out);
        made.retain(|made| from.is_none_or(|from| made.at >= from) && until.is_none_or(|until| made.at < until));
        if made.len() > MOST {
            let problem = "is too early: the statement would have more than 200 disclosures; state a shorter time";
            return Err(Rejected::invalid("from", problem).into());
        }
        let notices = self.notices(reads, &made).await?;
        let (mut disclosures, mut receipts) = (Vec::new(), Vec::new());
        for made in &made {
            let shown = self.disclosure(reads, made, &stated).await?;
            receipts.extend(shown.receipt.clone());
            disclosures.push(shown);
        }
        let consents = self.standing_consents(reads, &organisation).await?;
        let statement = Statement { head: self.head(&organisation), disclosures, notices, consents };
        let mut drawn = self.drawn(&organisation, "statement", statement.page(self.wording));
        drawn.stated.left_out = leave_out.iter().map(ToString::to_string).collect();
        Ok(Drawn { receipts, ..drawn })
    }

    async fn incidents(&self, reads: &mut Reads, id: &OrganisationId) -> Result<Vec<Incident>> {
        let mut all = reads.incidents(self.context.agency(), "", i64::MAX, id.as_str()).await?;
        all.retain(|incident| incident.provenance.is_none());
        Ok(all)
    }

    async fn disclosures(&self, reads: &mut Reads, incidents: &[Incident]) -> Result<Vec<Disclosure>> {
        let ids: Vec<&IncidentId> = incidents.iter().map(|incident| &incident.id).collect();
        let mut made = reads.disclosures_of(&ids).await?;
        made.retain(|made| made.holder == *self.context.agency() && !made.terms.anonymised);
        made.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(made)
    }

    async fn notices(&self, reads: &mut Reads, made: &[Disclosure]) -> Result<Vec<ShownNotice>> {
        let incidents: BTreeSet<&IncidentId> = made.iter().map(|made| &made.incident).collect();
        let mut issued = reads.notices_of(&incidents.into_iter().collect::<Vec<_>>()).await?;
        let is_stated = |notice: &Notice| {
            made.iter().any(|made| (&made.incident, &made.id) == (&notice.about.incident, &notice.about.id))
        };
        issued.retain(is_stated);
        issued.sort_by_key(|notice| notice.issued_at);
        let shown = |notice: Notice| ShownNotice {
            at: notice.issued_at,
            recipient: self.name(&notice.about.recipient),
            disclosed_at: notice.about.at,
            kind: notice.kind,
        };
        Ok(issued.into_iter().map(shown).collect())
    }

    async fn disclosure(
        &self,
        reads: &mut Reads,
        made: &Disclosure,
        stated: &BTreeSet<Gave>,
    ) -> Result<ShownDisclosure> {
        let receipt = match made.index {
            Some(index) => self.receipt(reads, index).await?.map(|receipt| opened(receipt, stated)),
            None => None,
        };
        let how = match &made.terms.elsewhere {
            Some(elsewhere) => Made::Elsewhere(elsewhere.means.to_string(), elsewhere.ground.to_string()),
            None => Made::Released(self.clauses(reads, made).await?),
        };
        Ok(ShownDisclosure {
            at: made.at,
            recipient: self.name(&made.recipient),
            categories: made.terms.categories.iter().cloned().collect(),
            made: how,
            consent: made.terms.consent.as_ref().map(|(id, version)| (id.to_string(), *version)),
            receipt,
        })
    }

    /// What the clauses say by which it was released; of one that is not in force any more, which it was.
    async fn clauses(&self, reads: &mut Reads, made: &Disclosure) -> Result<Vec<String>> {
        let agreements = self.context.node.in_force(reads).await?;
        let clauses = made.terms.clauses.iter().map(|id| {
            let clause = agreements.iter().flat_map(|agreement| agreement.clauses()).find(|clause| clause.id == *id);
            clause.map_or_else(|| id.to_string(), |clause| format!("{} ({id}: {})", clause.text, clause.citation))
        });
        Ok(clauses.collect())
    }

    /// The consents that permit something now.
    async fn standing_consents(
        &self,
        reads: &mut Reads,
        organisation: &Organisation,
    ) -> Result<Vec<(String, i64, ShownScope)>> {
        let all = reads.consents_of(&[&organisation.id]).await?.remove(&organisation.id).unwrap_or_default();
        let mut shown = Vec::new();
        for consent in all.iter().filter(|consent| consent.holder == *self.context.agency()) {
            let stands = standing(consent, organisation, self.context.at) == Standing::State(ConsentState::Given);
            if let Some(scope) = consent.scope.clone().filter(|_| stands) {
                shown.push((consent.id.to_string(), consent.version, self.shown(reads, scope).await?));
            }
        }
        Ok(shown)
    }
}

/// What a release gave: the recipient's reference and the categories.
type Gave = (String, BTreeSet<String>);

fn gave(made: &[Disclosure]) -> BTreeSet<Gave> {
    let one = |made: &Disclosure| {
        let categories = made.terms.categories.iter().map(ToString::to_string).collect();
        Some((made.terms.reference.as_ref()?.to_string(), categories))
    };
    made.iter().filter_map(one).collect()
}

/// What a receipt may open to the organisation: what was released, if all of it is in the statement. Who asked and why it
/// was permitted are not the organisation's.
fn opened(mut receipt: Receipt, stated: &BTreeSet<Gave>) -> Receipt {
    receipt.openings.retain(|opening| {
        let outcome = OutcomeStatement::decode(opening.payload.as_slice()).ok();
        let is_stated = |outcome: OutcomeStatement| {
            outcome.released.into_iter().all(|one| {
                let categories = one.categories.into_iter().map(|category| category.category).collect();
                one.record.is_none() && stated.contains(&(one.reference, categories))
            })
        };
        opening.slot() == Slot::Outcome && outcome.is_some_and(is_stated)
    });
    receipt
}
