//! What `agreement.toml` says, and whether it holds together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::domain::{
    Activity, AdviceTerms, AgencyId, AgreementId, Ask, Category, ClauseId, Ground, NoticeDays, Onward, PermissionRule,
    ProposalKind, ProposalTerms, Purpose,
};
use crate::statistics::Rule;

/// With what force a clause speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// Must.
    Duty,
    /// May.
    Power,
    /// Must not.
    Prohibition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Consent {
    Required,
    #[default]
    NotRequired,
}

/// A purpose that an agreement defines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeTerm {
    /// Its id.
    pub id: Purpose,
    /// What it means.
    pub text: String,
    /// Whether it is enforcement against the organisation.
    #[serde(default)]
    pub enforcement: bool,
}

/// `[onward]`: what passing on takes of what was received under the agreement. Unset: the strictest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnwardTerms {
    pub(super) permission: PermissionRule,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terms {
    pub(super) id: AgreementId,
    pub(super) title: String,
    pub(super) kind: String,
    pub(super) parties: Vec<AgencyId>,
    pub(super) signed: String,
    pub(super) effective_from: String,
    pub(super) effective_until: Option<String>,
    pub(super) review_by: Option<String>,
    pub(super) citation: String,
    #[serde(default)]
    pub(super) interpretations: Vec<String>,
    pub(super) statistics: Option<Rule>,
    #[serde(default)]
    pub(super) notices: NoticeDays,
    #[serde(default)]
    pub(super) onward: OnwardTerms,
    #[serde(default)]
    pub(super) proposals: BTreeMap<ProposalKind, ProposalTerms>,
    pub(super) advice: Option<AdviceTerms>,
    pub(super) purpose: Vec<PurposeTerm>,
    pub(super) clause: Vec<ClauseTerms>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClauseTerms {
    id: ClauseId,
    text: String,
    citation: String,
    modality: Modality,
    activity: Activity,
    disclosing: AgencyId,
    receiving: AgencyId,
    form: String,
    #[serde(default)]
    purposes: BTreeSet<Purpose>,
    #[serde(default)]
    grounds: BTreeSet<Ground>,
    #[serde(default)]
    categories: BTreeSet<Category>,
    #[serde(default)]
    consent: Consent,
    #[serde(default)]
    onward: Onward,
    review_days: Option<i64>,
    retain_days: Option<i64>,
    notification: Option<String>,
    within_hours: Option<i64>,
    #[serde(default)]
    obligations: Vec<String>,
}

/// One provision of an agreement.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Our id.
    pub id: ClauseId,
    /// What it says, in our words.
    pub text: String,
    /// Where it comes from.
    pub citation: String,
    /// With what force.
    pub modality: Modality,
    /// What it speaks of.
    pub activity: Activity,
    /// Who discloses.
    pub disclosing: AgencyId,
    /// Who receives.
    pub receiving: AgencyId,
    /// In what form.
    pub form: String,
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// On which grounds.
    pub grounds: BTreeSet<Ground>,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// Whether the organisation's consent is required.
    pub consent_required: bool,
    /// Whether it may be passed on.
    pub onward: Onward,
    /// After how many days the recipient must review it.
    pub review_days: Option<i64>,
    /// After how many days the recipient must have disposed of its copy; none: when the holder disposes of its own.
    pub retain_days: Option<i64>,
    /// The kind of notification that a duty rests on.
    pub notification: Option<String>,
    /// Within how many hours a duty should be done, before it alarms.
    pub within_hours: Option<i64>,
    /// What it obliges the recipient to.
    pub obligations: Vec<String>,
}

impl Clause {
    /// The form of statistics.
    pub const ANONYMISED_AGGREGATED: &str = "anonymised-aggregated";
    /// The form of themes.
    pub const SYSTEMIC: &str = "systemic";

    /// Whether it lets the holder disclose in the form of an anonymised record.
    pub(in crate::decision) fn lets_anonymise(&self, holder: &AgencyId) -> bool {
        let permits = self.modality != Modality::Prohibition && self.activity == Activity::Disclose;
        permits && self.disclosing == *holder && self.form == Ask::ANONYMISED_RECORD
    }

    /// Whether it speaks of this activity from holder to requester, permitting or not.
    pub(in crate::decision) fn speaks(&self, activity: Activity, holder: &AgencyId, requester: &AgencyId) -> bool {
        self.activity == activity && self.disclosing == *holder && self.receiving == *requester
    }
}

impl From<ClauseTerms> for Clause {
    fn from(terms: ClauseTerms) -> Self {
        Self {
            id: terms.id,
            text: terms.text,
            citation: terms.citation,
            modality: terms.modality,
            activity: terms.activity,
            disclosing: terms.disclosing,
            receiving: terms.receiving,
            form: terms.form,
            purposes: terms.purposes,
            grounds: terms.grounds,
            categories: terms.categories,
            consent_required: terms.consent == Consent::Required,
            onward: terms.onward,
            review_days: terms.review_days,
            retain_days: terms.retain_days,
            notification: terms.notification,
            within_hours: terms.within_hours,
            obligations: terms.obligations,
        }
    }
}

/// A hundred years.
const MOST_RETAIN_DAYS: i64 = 36_525;

/// Says what is wrong with the terms, by themselves and beside the ids of the policies.
pub(super) fn check_terms(terms: &Terms, clauses: &BTreeSet<String>, limits: &BTreeSet<String>) -> Result<(), String> {
    let fail = |problem: String| Err(problem);
    if let Some(limit) = limits.iter().find(|id| !id.starts_with("limit/")) {
        return fail(format!("the limit `{limit}` must be named `limit/...`"));
    }
    if !matches!(terms.kind.as_str(), "memorandum" | "statute") {
        return fail(format!("kind `{}` must be `memorandum` or `statute`", terms.kind));
    }
    if let Some(rule) = &terms.statistics {
        rule.check().map_err(|problem| format!("[statistics]: {problem}"))?;
    }
    terms.notices.check().map_err(|problem| format!("[notices]: {problem}"))?;
    for (kind, proposal) in &terms.proposals {
        let checked = ProposalKind::parse(kind.as_str()).map_err(|wrong| wrong.problem);
        let checked = checked.and_then(|_| proposal.check(&terms.parties));
        checked.map_err(|problem| format!("[proposals.{kind}] {problem}"))?;
    }
    if let Some(advice) = &terms.advice {
        advice.check(&terms.id, &terms.parties).map_err(|problem| format!("[advice] {problem}"))?;
    }
    let purposes: BTreeSet<&Purpose> = terms.purpose.iter().map(|purpose| &purpose.id).collect();
    let mut seen = BTreeSet::new();
    for clause in &terms.clause {
        let id = &clause.id;
        if !id.as_str().starts_with(&format!("{}/", terms.id)) {
            return fail(format!("the clause `{id}` must be named `{}/...`", terms.id));
        }
        if !seen.insert(id.as_str()) {
            return fail(format!("the clause `{id}` is there twice"));
        }
        if !clauses.contains(id.as_str()) {
            return fail(format!("the clause `{id}` has no policy: add one with @id(\"{id}\") to clauses.cedar"));
        }
        for agency in [&clause.disclosing, &clause.receiving] {
            if !terms.parties.contains(agency) {
                return fail(format!("the clause `{id}` names `{agency}`, which is not a party"));
            }
        }
        if let Some(purpose) = clause.purposes.iter().find(|purpose| !purposes.contains(purpose)) {
            return fail(format!("the clause `{id}` names the purpose `{purpose}`, which no [[purpose]] defines"));
        }
        if clause.retain_days.is_some_and(|days| !(1..=MOST_RETAIN_DAYS).contains(&days)) {
            return fail(format!("the clause `{id}`: retain_days must be from 1 to {MOST_RETAIN_DAYS}"));
        }
        // Statistics and themes are about no organisation: whoever may have them may have them for any purpose.
        let shared = match clause.activity {
            Activity::ShareStatistics => Some(("statistics", Clause::ANONYMISED_AGGREGATED)),
            Activity::ShareThemes => Some(("themes", Clause::SYSTEMIC)),
            Activity::Disclose | Activity::ConfirmExistence | Activity::NameInRequest => None,
        };
        if let Some((what, form)) = shared
            && (terms.statistics.is_none() || clause.form != form)
        {
            return fail(format!("the clause `{id}` is about {what}: it needs form `{form}` and a [statistics] rule"));
        }
        let form = Ask::ANONYMISED_RECORD;
        if clause.form == form && (terms.statistics.is_none() || clause.modality == Modality::Duty) {
            return fail(format!(
                "the clause `{id}` has the form `{form}`: it needs a [statistics] rule, and cannot be a duty"
            ));
        }
        let permits = clause.modality != Modality::Prohibition && shared.is_none();
        if permits && clause.purposes.is_empty() {
            return fail(format!("the clause `{id}` permits something and must say for which purposes"));
        }
        if permits && clause.activity == Activity::Disclose && clause.categories.is_empty() {
            return fail(format!("the clause `{id}` permits a disclosure and must say of which categories"));
        }
        let confirms = clause.activity == Activity::ConfirmExistence;
        if confirms && clause.form != Ask::ORGANISATION_SPECIFIC {
            return fail(format!(
                "the clause `{id}` is about existence: it needs form `{}`",
                Ask::ORGANISATION_SPECIFIC
            ));
        }
        if permits && confirms && !clause.categories.iter().any(|one| one.as_str() == Category::IDENTITY) {
            return fail(format!(
                "the clause `{id}` lets existence be confirmed, which tells `{}`: it must name it",
                Category::IDENTITY
            ));
        }
        let names = clause.activity == Activity::NameInRequest && clause.consent == Consent::Required;
        if permits && names && clause.categories.is_empty() {
            return fail(format!("the clause `{id}` requires consent and must say which categories naming tells"));
        }
        if permits && clause.modality != Modality::Duty && clause.grounds.is_empty() {
            return fail(format!("the clause `{id}` is a power and must say on which grounds"));
        }
        if (clause.modality == Modality::Duty) != clause.notification.is_some() {
            return fail(format!("the clause `{id}`: a duty, and only a duty, says on which notification it rests"));
        }
    }
    if let Some(id) = clauses.iter().find(|id| !seen.contains(id.as_str())) {
        return fail(format!("clauses.cedar has a policy `{id}` of which there is no [[clause]]"));
    }
    Ok(())
}
