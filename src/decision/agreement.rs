//! Agreements as data: terms in TOML, one Cedar policy for each clause, validated strictly.
//!
//! A file is a proposal only. What decisions read is the text that was activated, found by its digest: terms,
//! clauses, schema and hard limits together, so that nothing else can change what a decision meant.

mod terms;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use aws_lc_rs::digest;
use cedar_policy::{Effect, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::cedar;
use crate::domain::{
    AdviceTerms, AgencyId, AgreementId, Digest, Instant, NoticeDays, PermissionRule, ProposalKind, ProposalTerms,
    Purpose,
};
use crate::statistics::Rule;

use terms::{Terms, check_terms};

pub use terms::{Clause, Modality, PurposeTerm};

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

    /// What its parties may put to each other for an answer.
    pub fn proposals(&self) -> &BTreeMap<ProposalKind, ProposalTerms> {
        &self.terms.proposals
    }

    /// What its parties say to the organisations of their incidents.
    pub fn advice(&self) -> Option<&AdviceTerms> {
        self.terms.advice.as_ref()
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
    pub(crate) fn is_enforcement(&self, purpose: &Purpose) -> bool {
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
