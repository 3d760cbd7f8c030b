//! Agreements as data: terms in TOML, one Cedar policy for each clause, validated strictly.
//!
//! A file is a proposal only. What decisions read is the text that was activated, found by its digest: terms,
//! clauses, schema and hard limits together, so that nothing else can change what a decision meant.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use aws_lc_rs::digest;
use cedar_policy::{Effect, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use serde::Deserialize;

use super::cedar;
use crate::domain::{
    AgencyId, AgreementId, Ask, Category, ClauseId, Digest, Ground, Instant, NoticeDays, Onward, PermissionRule, Purpose,
};
use crate::statistics::Rule;

const SCHEMA: &str = include_str!("../../agreements/schema.cedarschema");
const LIMITS: &str = include_str!("../../agreements/limits.cedar");

/// Why a proposal cannot be used. The message names the file, the place and what would be accepted.
#[derive(Debug, thiserror::Error)]
#[error("agreement `{agreement}`, {file}: {problem}")]
pub struct LoadError {
    agreement: String,
    file: &'static str,
    problem: String,
}

/// What a clause speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Giving information.
    Disclose,
    /// Naming an organisation in a request.
    NameInRequest,
    /// Sharing statistics.
    ShareStatistics,
    /// Sharing systemic themes.
    ShareThemes,
}

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
struct OnwardTerms {
    permission: PermissionRule,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    id: AgreementId,
    title: String,
    kind: String,
    parties: Vec<AgencyId>,
    signed: String,
    effective_from: String,
    effective_until: Option<String>,
    review_by: Option<String>,
    citation: String,
    #[serde(default)]
    interpretations: Vec<String>,
    statistics: Option<Rule>,
    #[serde(default)]
    notices: NoticeDays,
    onward: OnwardTerms,
    purpose: Vec<PurposeTerm>,
    clause: Vec<ClauseTerms>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClauseTerms {
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
    pub(super) fn lets_anonymise(&self, holder: &AgencyId) -> bool {
        let permits = self.modality != Modality::Prohibition && self.activity == Activity::Disclose;
        permits && self.disclosing == *holder && self.form == Ask::ANONYMISED_RECORD
    }

    /// Whether it speaks of disclosure from holder to requester, permitting or not.
    pub(super) fn discloses(&self, holder: &AgencyId, requester: &AgencyId) -> bool {
        self.speaks(Activity::Disclose, holder, requester)
    }

    /// Whether it speaks of this activity from holder to requester, permitting or not.
    pub(super) fn speaks(&self, activity: Activity, holder: &AgencyId, requester: &AgencyId) -> bool {
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

/// An agreement's files, before anybody put them into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// `agreement.toml`.
    pub terms: String,
    /// `clauses.cedar`.
    pub clauses: String,
}

impl Proposal {
    /// The text that would be activated: terms, clauses, and this program's schema and limits, each with its length.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for part in [self.terms.as_str(), &self.clauses, SCHEMA, LIMITS] {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        text
    }
}

/// Takes an activated text apart again.
fn parts(text: &[u8]) -> Option<[&str; 4]> {
    let mut rest = text;
    let mut parts = [""; 4];
    for part in &mut parts {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (bytes, after) = after.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        *part = std::str::from_utf8(bytes).ok()?;
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

/// One text of an agreement, ready to decide with.
#[derive(Debug)]
pub struct Agreement {
    terms: Terms,
    clauses: Vec<Clause>,
    digest: Digest,
    effective_from: Instant,
    effective_until: Option<Instant>,
    review_by: Option<Instant>,
    /// The schema that what it is shown must be checked against.
    pub(super) checked_by: Option<Schema>,
    pub(super) policies: PolicySet,
    /// What each policy does, and its id as reasons write it.
    pub(super) effects: HashMap<PolicyId, (Effect, String)>,
    pub(super) entities: cedar_policy::Entities,
}

impl Agreement {
    /// Reads and validates a text. Everything that a decision could trip over is an error here.
    pub fn load(text: &[u8]) -> Result<Self, LoadError> {
        let broken = |file, problem: String| LoadError { agreement: "?".into(), file, problem };
        let [terms, clauses, schema, limits] =
            parts(text).ok_or_else(|| broken("text", "is not terms, clauses, schema and limits".into()))?;
        let terms: Terms = toml::from_str(terms).map_err(|e| broken("agreement.toml", e.to_string()))?;
        let name = terms.id.to_string();
        let wrong = |file, problem: String| LoadError { agreement: name.clone(), file, problem };

        // What the clauses are shown has the shape of this program's schema: the types see to that, and in a debug build,
        // so in every test, Cedar does too. For a text from another version it checks each time, in every build.
        let checks = cfg!(debug_assertions) || schema != SCHEMA;
        let (schema, _) =
            Schema::from_cedarschema_str(schema).map_err(|e| wrong("schema.cedarschema", e.to_string()))?;
        let mut policies = PolicySet::new();
        let clause_ids = add_policies(&mut policies, clauses).map_err(|e| wrong("clauses.cedar", e))?;
        let limit_ids = add_policies(&mut policies, limits).map_err(|e| wrong("limits.cedar", e))?;
        let validation = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = validation.validation_errors().next() {
            return Err(wrong("clauses.cedar", error.to_string()));
        }
        check_terms(&terms, &clause_ids, &limit_ids).map_err(|e| wrong("agreement.toml", e))?;
        let date = |text: &str| Instant::on_date(text).map_err(|e| wrong("agreement.toml", e.problem));
        let effective_from = date(&terms.effective_from)?;
        let effective_until = terms.effective_until.as_deref().map(date).transpose()?;
        let review_by = terms.review_by.as_deref().map(date).transpose()?;
        date(&terms.signed)?;

        let mut terms = terms;
        let clauses: Vec<Clause> = std::mem::take(&mut terms.clause).into_iter().map(Clause::from).collect();
        let entities = cedar::clause_entities(&clauses, &schema).map_err(|e| wrong("agreement.toml", e))?;
        let effects =
            policies.policies().map(|policy| (policy.id().clone(), (policy.effect(), policy.id().to_string())));
        let effects = effects.collect();
        let mut sum = [0; 32];
        sum.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
        Ok(Self {
            terms,
            clauses,
            digest: Digest(sum),
            effective_from,
            effective_until,
            review_by,
            checked_by: checks.then_some(schema),
            policies,
            effects,
            entities,
        })
    }

    /// Its id.
    pub fn id(&self) -> &AgreementId {
        &self.terms.id
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.terms.title
    }

    /// `memorandum` or `statute`.
    pub fn kind(&self) -> &str {
        &self.terms.kind
    }

    /// The parties.
    pub fn parties(&self) -> &[AgencyId] {
        &self.terms.parties
    }

    /// Whether this agency is a party.
    pub fn binds(&self, agency: &AgencyId) -> bool {
        self.terms.parties.contains(agency)
    }

    /// When it was signed, as a date.
    pub fn signed(&self) -> &str {
        &self.terms.signed
    }

    /// The document that it reports.
    pub fn citation(&self) -> &str {
        &self.terms.citation
    }

    /// How open points were read.
    pub fn interpretations(&self) -> &[String] {
        &self.terms.interpretations
    }

    /// The rule for statistics and themes that are shared under it.
    pub fn statistics(&self) -> Option<Rule> {
        self.terms.statistics
    }

    /// Within how many days notices about what was released under it should be acknowledged.
    pub fn notice_days(&self) -> NoticeDays {
        self.terms.notices
    }

    /// Whose permission it takes to pass on what was received under it.
    pub fn permission_rule(&self) -> PermissionRule {
        self.terms.onward.permission
    }

    /// SHA-256 over its text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its clauses.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter()
    }

    /// From when its terms apply; until when, exclusive; and by when the parties mean to review it.
    pub fn dates(&self) -> (Instant, Option<Instant>, Option<Instant>) {
        (self.effective_from, self.effective_until, self.review_by)
    }

    /// Whether its terms apply at this time. An overdue review changes nothing.
    pub fn is_effective(&self, at: Instant) -> bool {
        self.effective_from <= at && self.effective_until.is_none_or(|until| at < until)
    }

    /// Whether it defines this purpose as enforcement.
    pub(super) fn is_enforcement(&self, purpose: &Purpose) -> bool {
        self.terms.purpose.iter().any(|term| term.id == *purpose && term.enforcement)
    }
}

/// Adds the policies under the ids that their `@id` annotations give; returns the ids.
fn add_policies(set: &mut PolicySet, source: &str) -> Result<BTreeSet<String>, String> {
    let parsed = PolicySet::from_str(source).map_err(|e| located(source, &e))?;
    if parsed.templates().next().is_some() {
        return Err("has a template; write the policy out".to_owned());
    }
    let mut ids = BTreeSet::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").ok_or("has a policy without @id")?.to_owned();
        if !ids.insert(id.clone()) {
            return Err(format!("has two policies with @id(\"{id}\")"));
        }
        set.add(policy.new_id(PolicyId::new(id))).map_err(|e| e.to_string())?;
    }
    Ok(ids)
}

/// A parse error with the line on which it is.
fn located(source: &str, errors: &cedar_policy::ParseErrors) -> String {
    let place = errors.iter().next().and_then(|error| error.labels()?.next()).map(|label| label.offset());
    match place.and_then(|offset| source.get(..offset)) {
        Some(before) => format!("line {}: {errors}", before.matches('\n').count() + 1),
        None => errors.to_string(),
    }
}

/// A hundred years.
const MOST_RETAIN_DAYS: i64 = 36_525;

fn check_terms(terms: &Terms, clauses: &BTreeSet<String>, limits: &BTreeSet<String>) -> Result<(), String> {
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
            Activity::Disclose | Activity::NameInRequest => None,
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
