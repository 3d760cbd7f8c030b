//! What a statement has, and what it leaves out.
//!
//! It has what the holder itself disclosed of the organisation's own incidents. Left out, always: anonymised records and
//! statistics, which nobody could lay beside the incident otherwise; incidents that came from another agency, which are
//! for that agency to state; what was asked for and not released; what recipients answered; officers. Left out unless the
//! officer names it: what relied on no consent, as a disclosure that the law allows without one is the one that can warn.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decision::Agreement;
use crate::domain::{
    Disclosure, DisclosureId, Incident, IncidentId, Instant, Notice, Organisation, OrganisationId, Rejected,
};
use crate::papers::{Made, ShownDisclosure, ShownNotice, ShownScope, Standing, Statement};
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
        include: &[DisclosureId],
    ) -> Result<Drawn> {
        let organisation = self.organisation(reads, id).await?;
        let incidents = self.incidents(reads, id).await?;
        let mut made = self.disclosures(reads, &incidents).await?;
        for (i, id) in leave_out.iter().enumerate() {
            if !made.iter().any(|made| made.id == *id) {
                let problem = "is not a disclosure that a statement to this organisation could have";
                return Err(Rejected::invalid(format!("leave_out[{i}]"), problem).into());
            }
        }
        for (i, id) in include.iter().enumerate() {
            if leave_out.contains(id) || !made.iter().any(|made| made.id == *id && made.terms.consent.is_none()) {
                let problem = "is not a disclosure without consent that a statement to this organisation could have";
                return Err(Rejected::invalid(format!("include[{i}]"), problem).into());
            }
        }
        made.retain(|made| !leave_out.contains(&made.id));
        made.retain(|made| made.terms.consent.is_some() || include.contains(&made.id));
        made.retain(|made| from.is_none_or(|from| made.at >= from) && until.is_none_or(|until| made.at < until));
        if made.len() > MOST {
            let problem = "is too early: the statement would have more than 200 disclosures; state a shorter time";
            return Err(Rejected::invalid("from", problem).into());
        }
        let notices = self.notices(reads, &made).await?;
        let agreements = self.agreements(reads).await?;
        let (mut disclosures, mut receipts) = (Vec::new(), Vec::new());
        for made in &made {
            let shown = self.disclosure(reads, made, &agreements).await?;
            receipts.extend(shown.receipt.clone());
            disclosures.push(shown);
        }
        let consents = self.standing_consents(reads, &organisation).await?;
        let statement = Statement { head: self.head(&organisation), disclosures, notices, consents };
        let mut drawn = self.drawn(&organisation, "statement", statement.page(self.wording));
        drawn.stated.left_out = leave_out.iter().map(ToString::to_string).collect();
        drawn.stated.included = include.iter().map(ToString::to_string).collect();
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
        agreements: &[(Instant, Arc<Agreement>)],
    ) -> Result<ShownDisclosure> {
        let receipt = match made.index {
            // One that opened what came of it, beside one that can't, would tell that there is more.
            Some(index) => self.closed(reads, index).await?,
            None => None,
        };
        let how = match &made.terms.elsewhere {
            Some(elsewhere) => Made::Elsewhere(elsewhere.means.to_string(), elsewhere.ground.to_string()),
            None => Made::Released(clauses(agreements, made)),
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

    /// The texts in force, each with when it was activated.
    async fn agreements(&self, reads: &mut Reads) -> Result<Vec<(Instant, Arc<Agreement>)>> {
        let mut agreements = Vec::new();
        for row in reads.agreements().await?.into_iter().filter(|row| row.state == "in-force") {
            agreements.push((row.activated_at, self.context.node.agreement(reads, row.digest).await?));
        }
        Ok(agreements)
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

/// What the clauses say by which it was released. Of a text that was activated since, which may say something else under
/// the same number, and of one that is not in force any more: which clause it was.
fn clauses(agreements: &[(Instant, Arc<Agreement>)], made: &Disclosure) -> Vec<String> {
    let then = || agreements.iter().filter(|(activated_at, _)| *activated_at < made.at);
    let words = made.terms.clauses.iter().map(|id| {
        let clause = then().flat_map(|(_, agreement)| agreement.clauses()).find(|clause| clause.id == *id);
        clause.map_or_else(|| id.to_string(), |clause| format!("{} ({id}: {})", clause.text, clause.citation))
    });
    words.collect()
}
