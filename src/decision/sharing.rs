//! Decides whether a table of a holder's statistics may be shared.
//!
//! As pure as a decision on an incident, and simpler: a table is about no organisation, so there is neither consent nor
//! authorisation, and whatever the answer is may be said plainly.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, Clause, Modality};
use super::{InForce, NotCovered, cedar};
use crate::domain::{AgencyId, ClauseId, Digest, Instant, Quarter, RequestId, Requester};
use crate::statistics::Rule;

/// The complete facts of one decision on a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SharingFacts {
    /// The format of this record: 1.
    pub format: u32,
    /// The effective time.
    pub at: Instant,
    /// Who asks.
    pub requester: Requester,
    /// The idempotency key of the ask.
    pub request_id: RequestId,
    /// The agency asked.
    pub holder: AgencyId,
    /// The quarter asked for.
    pub quarter: Quarter,
    /// The table asked for.
    pub table: String,
    /// The agreements in force on this node, by id.
    pub in_force: Vec<InForce>,
    /// What the holder published of it.
    pub published: Option<Published>,
}

/// A published table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// When.
    pub at: Instant,
    /// Under which rule.
    pub rule: Rule,
    /// SHA-256 over the table.
    pub digest: Digest,
}

/// What came of an ask for a table.
#[derive(Debug)]
pub enum Sharing {
    /// It may be shared.
    Permit(SharingPermit),
    /// The agreements do not allow it.
    NotCovered(NotCovered),
    /// There is no such table yet.
    NotPublished(String),
}

/// Proof that an agreement lets the holder share a table with the requester. Only [`decide_sharing`] makes one.
#[derive(Debug)]
pub struct SharingPermit {
    digest: Digest,
    clauses: BTreeSet<ClauseId>,
    obligations: Vec<String>,
}

impl SharingPermit {
    /// The digest of the table.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The clauses that permitted it.
    pub fn clauses(&self) -> &BTreeSet<ClauseId> {
        &self.clauses
    }

    /// What they oblige the recipient to.
    pub fn obligations(&self) -> &[String] {
        &self.obligations
    }
}

/// The rule under which a holder publishes: the strictest of the agreements under which it may share tables or single
/// records. None: it may share under none.
pub fn publishing_rule(holder: &AgencyId, agreements: &[&Agreement], at: Instant) -> Option<Rule> {
    let shares = |agreement: &&&Agreement| {
        agreement.is_effective(at)
            && agreement.clauses().any(|clause| {
                let shares =
                    clause.modality != Modality::Prohibition && clause.shares_statistics(holder, &clause.receiving);
                shares || clause.lets_anonymise(holder)
            })
    };
    agreements.iter().filter(shares).filter_map(|agreement| agreement.statistics()).reduce(Rule::stricter_of)
}

/// The agreements that speak of the holder's statistics towards the requester.
fn between<'a>(
    holder: &AgencyId,
    requester: &AgencyId,
    agreements: &[&'a Agreement],
    at: Instant,
) -> Vec<&'a Agreement> {
    let speaks = |agreement: &&Agreement| agreement.clauses().any(|clause| clause.shares_statistics(holder, requester));
    agreements.iter().copied().filter(|agreement| agreement.is_effective(at)).filter(speaks).collect()
}

/// Whether an agency may know which quarters a holder has published: the holder may, and whom it may share them with.
pub fn may_list(holder: &AgencyId, agency: &AgencyId, agreements: &[&Agreement], at: Instant) -> bool {
    holder == agency || !between(holder, agency, agreements, at).is_empty()
}

/// Decides one ask for a table on the facts read for it.
pub fn decide_sharing(facts: &SharingFacts, agreements: &[&Agreement]) -> Sharing {
    let SharingFacts { at, requester, holder, quarter, table, published, .. } = facts;
    let requester = &requester.agency;
    let not_covered = |reason, explanation| Sharing::NotCovered(NotCovered { reason, explanation });
    let between = between(holder, requester, agreements, *at);
    if between.is_empty() {
        let text = format!(
            "no agreement in force lets `{holder}` share statistics with `{requester}`; ListAgreements shows yours"
        );
        return not_covered("NO_AGREEMENT", text);
    }
    let Some(published) = published else {
        let text = format!(
            "`{holder}` has not published the table `{table}` of {quarter}; ListPublications shows what there is"
        );
        return Sharing::NotPublished(text);
    };
    let answer = cedar::evaluate_sharing(facts, published, &between);
    if !answer.errors.is_empty() {
        let text = format!("a clause could not be evaluated: {}", answer.errors.join("; "));
        return not_covered("CLAUSE_ERRED", text);
    }
    if !answer.forbids.is_empty() {
        let forbids: Vec<&str> = answer.forbids.into_iter().collect();
        let text = format!("forbidden by {}: it was published under this rule: {}", forbids.join(", "), published.rule);
        return not_covered("STATISTICS_FORBIDDEN", text);
    }
    let clauses: Vec<&Clause> = between
        .iter()
        .flat_map(|agreement| agreement.clauses())
        .filter(|clause| answer.permits.contains(clause.id.as_str()))
        .collect();
    if clauses.is_empty() {
        let text = format!("no clause permits `{holder}` to share this table with `{requester}`");
        return not_covered("STATISTICS_NOT_COVERED", text);
    }
    let mut obligations: Vec<String> = Vec::new();
    for obligation in clauses.iter().flat_map(|clause| &clause.obligations) {
        if !obligations.contains(obligation) {
            obligations.push(obligation.clone());
        }
    }
    let clauses = clauses.into_iter().map(|clause| clause.id.clone()).collect();
    Sharing::Permit(SharingPermit { digest: published.digest, clauses, obligations })
}

#[cfg(test)]
mod tests;
