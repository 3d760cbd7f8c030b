//! Decides whether what a holder made of many incidents may be shared: a table of its statistics, or a theme.
//!
//! As pure as a decision on an incident, and simpler: neither is about one organisation, so there is no consent, no
//! authorisation and no purpose. Of a table, whatever the answer is may be said plainly. Of a theme only what the
//! agreements say: whether there is one, and what stands against it, is the holder's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, Clause, Modality};
use super::{InForce, NotCovered, cedar};
use crate::domain::{
    Activity, AgencyId, Backing, ClauseId, Digest, Instant, OfficerId, Quarter, RequestId, Requester, ThemeId,
};
use crate::statistics::Rule;

/// The complete facts of one decision on sharing.
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
    /// What is asked for, and what the holder has of it.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// The agreements in force on this node, by id.
    pub in_force: Vec<InForce>,
}

/// What is asked for, and what the holder has of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wanted {
    /// A table.
    Table {
        /// The quarter.
        quarter: Quarter,
        /// The table.
        table: String,
        /// What the holder published of it.
        published: Option<Published>,
    },
    /// A theme.
    Theme {
        /// The theme.
        theme: ThemeId,
        /// Its newest version that was confirmed.
        shared: Option<SharedTheme>,
    },
}

impl Wanted {
    /// The activity of which a clause must speak.
    pub fn activity(&self) -> Activity {
        match self {
            Self::Table { .. } => Activity::ShareStatistics,
            Self::Theme { .. } => Activity::ShareThemes,
        }
    }

    /// What is held, as clauses and entries know it.
    fn digest(&self) -> Option<Digest> {
        match self {
            Self::Table { published, .. } => published.map(|published| published.digest),
            Self::Theme { shared, .. } => shared.as_ref().map(|shared| shared.digest),
        }
    }
}

/// A confirmed version of a theme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedTheme {
    /// Its number.
    pub version: i64,
    /// SHA-256 over what recipients get.
    pub digest: Digest,
    /// When its period ended.
    pub period_end: Instant,
    /// Who drafted it.
    pub drafted_by: OfficerId,
    /// Who confirmed it.
    pub confirmed_by: OfficerId,
    /// When.
    pub confirmed_at: Instant,
    /// When the theme was withdrawn, if it was.
    pub withdrawn_at: Option<Instant>,
    /// What it rests on, as the register has it now.
    pub backing: Backing,
    /// On how many organisations at least it says that it rests.
    pub threshold: u64,
    /// Of how many parts of its incidents it says that no organisation has more than one.
    pub largest_share: u64,
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
    /// There is nothing to share.
    NotPublished {
        /// The same in words, for the requester.
        explanation: String,
        /// Why, for the holder.
        why: String,
    },
}

/// Proof that an agreement lets the holder share this with the requester. Only [`decide_sharing`] makes one.
#[derive(Debug)]
pub struct SharingPermit {
    digest: Digest,
    clauses: BTreeSet<ClauseId>,
    obligations: Vec<String>,
}

impl SharingPermit {
    /// The digest of the table or the theme.
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

/// The rule under which a holder makes what it may share: the strictest of the agreements under which it may, as tables,
/// themes or single records. None: it may share under none.
pub fn publishing_rule(activity: Activity, holder: &AgencyId, agreements: &[&Agreement], at: Instant) -> Option<Rule> {
    let shares = |agreement: &&&Agreement| {
        agreement.is_effective(at)
            && agreement.clauses().any(|clause| {
                let shares =
                    clause.modality != Modality::Prohibition && clause.speaks(activity, holder, &clause.receiving);
                shares || (activity == Activity::ShareStatistics && clause.lets_anonymise(holder))
            })
    };
    agreements.iter().filter(shares).filter_map(|agreement| agreement.statistics()).reduce(Rule::stricter_of)
}

/// Whether an agreement lets a holder disclose anonymised records.
pub fn may_anonymise(holder: &AgencyId, agreements: &[&Agreement], at: Instant) -> bool {
    let mut effective = agreements.iter().filter(|agreement| agreement.is_effective(at));
    effective.any(|agreement| agreement.clauses().any(|clause| clause.lets_anonymise(holder)))
}

/// The agreements that speak of the holder's sharing this with the requester.
fn between<'a>(
    activity: Activity,
    holder: &AgencyId,
    requester: &AgencyId,
    agreements: &[&'a Agreement],
    at: Instant,
) -> Vec<&'a Agreement> {
    let speaks = |agreement: &&Agreement| agreement.clauses().any(|clause| clause.speaks(activity, holder, requester));
    agreements.iter().copied().filter(|agreement| agreement.is_effective(at)).filter(speaks).collect()
}

/// Whether an agency may know what a holder has to share: the holder may, and whom it may share it with.
pub fn may_list(
    activity: Activity,
    holder: &AgencyId,
    agency: &AgencyId,
    agreements: &[&Agreement],
    at: Instant,
) -> bool {
    holder == agency || !between(activity, holder, agency, agreements, at).is_empty()
}

/// Decides one ask on the facts read for it.
pub fn decide_sharing(facts: &SharingFacts, agreements: &[&Agreement]) -> Sharing {
    let SharingFacts { at, requester, holder, wanted, .. } = facts;
    let between = between(wanted.activity(), holder, &requester.agency, agreements, *at);
    if between.is_empty() {
        let what = if matches!(wanted, Wanted::Table { .. }) { "statistics" } else { "themes" };
        let to = &requester.agency;
        let explanation =
            format!("no agreement in force lets `{holder}` share {what} with `{to}`; ListAgreements shows yours");
        return Sharing::NotCovered(NotCovered { reason: "NO_AGREEMENT", explanation });
    }
    let Some(digest) = wanted.digest() else { return nothing(facts, "nobody has confirmed such a theme") };
    let answer = cedar::evaluate_sharing(facts, &between);
    let clauses: Vec<&Clause> = between
        .iter()
        .flat_map(|agreement| agreement.clauses())
        .filter(|clause| answer.permits.contains(clause.id.as_str()))
        .collect();
    if let Some(against) = against(facts, &answer, clauses.is_empty()) {
        return match wanted {
            Wanted::Table { .. } => Sharing::NotCovered(against),
            Wanted::Theme { .. } => nothing(facts, &format!("{}: {}", against.reason, against.explanation)),
        };
    }
    let mut obligations: Vec<String> = Vec::new();
    for obligation in clauses.iter().flat_map(|clause| &clause.obligations) {
        if !obligations.contains(obligation) {
            obligations.push(obligation.clone());
        }
    }
    let clauses = clauses.into_iter().map(|clause| clause.id.clone()).collect();
    Sharing::Permit(SharingPermit { digest, clauses, obligations })
}

/// There is nothing to share. Of a theme the requester is told the same whatever the reason is.
fn nothing(SharingFacts { holder, wanted, .. }: &SharingFacts, why: &str) -> Sharing {
    match wanted {
        Wanted::Table { quarter, table, .. } => {
            let text = format!(
                "`{holder}` has not published the table `{table}` of {quarter}; ListPublications shows what there is"
            );
            Sharing::NotPublished { explanation: text.clone(), why: text }
        }
        Wanted::Theme { theme, .. } => {
            let explanation =
                format!("`{holder}` shares no theme `{theme}` with your agency now; ListThemes shows what it does");
            Sharing::NotPublished { explanation, why: why.to_owned() }
        }
    }
}

/// What stands against sharing it, in the clauses' answer.
fn against(facts: &SharingFacts, answer: &cedar::Answer<'_>, nothing_permits: bool) -> Option<NotCovered> {
    let SharingFacts { requester, holder, wanted, .. } = facts;
    let not_covered = |reason, explanation| Some(NotCovered { reason, explanation });
    if !answer.errors.is_empty() {
        return Some(NotCovered::erred(&answer.errors));
    }
    let forbids: Vec<&str> = answer.forbids.iter().copied().collect();
    match wanted {
        Wanted::Table { published: Some(published), .. } if !forbids.is_empty() => {
            let (forbids, rule) = (forbids.join(", "), published.rule);
            let text = format!("forbidden by {forbids}: it was published under this rule: {rule}");
            not_covered("STATISTICS_FORBIDDEN", text)
        }
        _ if !forbids.is_empty() => not_covered("THEME_FORBIDDEN", format!("forbidden by {}", forbids.join(", "))),
        Wanted::Table { .. } if nothing_permits => {
            let text = format!("no clause permits `{holder}` to share this table with `{}`", requester.agency);
            not_covered("STATISTICS_NOT_COVERED", text)
        }
        Wanted::Theme { .. } if nothing_permits => {
            let text = format!("no clause permits `{holder}` to share this theme with `{}`", requester.agency);
            not_covered("THEME_NOT_COVERED", text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
