//! Decides whether anything may be released, and exactly what.
//!
//! Pure and synchronous: facts in, [`Decision`] out. The caller supplies the agreements, the records and the time,
//! so a decision can be computed again years later from the facts that were sealed with its ledger entry.
//!
//! Cedar evaluates each agreement's clauses together with the hard limits. A match is permitted only if at least
//! one clause permits it and no forbid and no evaluation error stands against it in **any** agreement in force
//! between the two agencies: Cedar skips a policy that errs, so an erring forbid would otherwise fail open.

mod agreement;
mod cedar;
mod coverage;
mod facts;
mod preview;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    AgreementId, Authorisation, AuthorisationId, Category, ClauseId, Consent, ConsentId, Digest, Incident, IncidentId,
    Instant, Markings, Purpose,
};

pub use agreement::{Activity, Agreement, Clause, LoadError, Modality, Onward, Proposal, PurposeTerm};
pub use coverage::{Coverage, NotCovered, cover};
pub use facts::{Facts, InForce, Match};
pub use preview::{Missing, missing, suppose};
pub use sharing::{Published, Sharing, SharingFacts, SharingPermit, decide_sharing, may_list, publishing_rule};

/// The most incidents that one ask may match. Above it nothing is released and the holder is alarmed.
pub const MOST_MATCHES: usize = 16;

/// What the gate decided. A denial is a value, not an error.
#[derive(Debug)]
pub enum Decision {
    /// At least one match may be released.
    Permit(Permit),
    /// Nothing may be released now; why is for the holder alone.
    Open(Denial),
    /// The agreements do not allow this, whatever is held.
    NotCovered(NotCovered),
}

/// Proof that the clauses, the consent and the authorisation all allow what it names.
///
/// Only [`decide`] makes one; [`Permit::restricted_to`] can only take away from it.
#[derive(Debug)]
pub struct Permit {
    permitted: Vec<Permitted>,
    reasons: Vec<String>,
}

/// One incident that may be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// What the permit rests on.
    pub basis: Basis,
    /// The commitment to each category that may be released.
    pub categories: BTreeMap<Category, Digest>,
    /// What the recipient may do with it.
    pub handling: Handling,
}

/// What the permit of one incident rests on: while any of it no longer stands, nothing is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The incident.
    pub incident: IncidentId,
    /// Its revision.
    pub revision: i64,
    /// The categories.
    pub categories: BTreeSet<Category>,
    /// The clauses that permitted it.
    pub clauses: BTreeSet<ClauseId>,
    /// The texts of the agreements that were read.
    pub agreements: Vec<(AgreementId, Digest)>,
    /// The consent, at its version, where a clause asks for one.
    pub consent: Option<(ConsentId, i64)>,
    /// The authorisation, where a clause asks for one.
    pub authorisation: Option<AuthorisationId>,
}

/// What a recipient may do with what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handling {
    /// For which purpose.
    pub purpose: Purpose,
    /// Whether for enforcement against the organisation.
    pub enforcement: bool,
    /// Whether it may be passed on.
    pub onward: Onward,
    /// The incident's markings.
    pub markings: Markings,
    /// When the recipient must review whether it still needs it.
    pub review_by: Instant,
    /// The clauses under which it passes.
    pub clauses: BTreeSet<ClauseId>,
    /// What the clauses oblige the recipient to.
    pub obligations: Vec<String>,
}

impl Permit {
    /// What may be released.
    pub fn permitted(&self) -> &[Permitted] {
        &self.permitted
    }

    /// Why, for the holder.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// The same permit for exactly what an earlier one rested on; none unless all of that still stands.
    ///
    /// Its terms count from the earlier one, which was so many microseconds before: they are in that one's receipt.
    pub fn restricted_to(mut self, earlier: &[Basis], micros_before: i64) -> Option<Self> {
        self.permitted.retain(|permitted| earlier.contains(&permitted.basis));
        for permitted in &mut self.permitted {
            let review_by = &mut permitted.handling.review_by;
            *review_by = Instant::from_micros(review_by.micros().saturating_sub(micros_before));
        }
        let all = earlier.iter().all(|basis| self.permitted.iter().any(|permitted| permitted.basis == *basis));
        (all && !earlier.is_empty()).then_some(self)
    }
}

/// Why nothing may be released now. Private to the holder.
#[derive(Debug)]
pub struct Denial {
    reasons: Vec<String>,
    alarm: Option<String>,
}

impl Denial {
    /// Why, for the holder.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Something that an operator must look at: a clause that erred, or more matches than an ask may have.
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.as_deref()
    }
}

/// Decides one ask on the facts read for it.
///
/// With no match, the same evaluation runs against a placeholder, so that "nothing held" costs what a denial costs.
pub fn decide(facts: &Facts, agreements: &[&Agreement]) -> Decision {
    let coverage = match cover(&facts.ask, agreements, facts.at) {
        Ok(coverage) => coverage,
        Err(not_covered) => return Decision::NotCovered(not_covered),
    };
    if facts.matches.len() > MOST_MATCHES {
        let alarm = format!("an ask matches {} incidents; at most {MOST_MATCHES} are decided", facts.matches.len());
        return Decision::Open(Denial { reasons: vec![alarm.clone()], alarm: Some(alarm) });
    }
    let nothing = [Match::nothing(&facts.ask, facts.at, &coverage)];
    let matches = if facts.matches.is_empty() { nothing.as_slice() } else { facts.matches.as_slice() };

    let mut permitted = Vec::new();
    let mut reasons = Vec::new();
    let mut alarm = None;
    for found in matches {
        let verdict = decide_one(facts, found, &coverage);
        alarm = alarm.or(verdict.alarm);
        reasons.push(format!("{}: {}", found.incident.id, verdict.reason));
        permitted.extend(verdict.permitted);
    }
    if permitted.is_empty() {
        Decision::Open(Denial { reasons, alarm })
    } else {
        Decision::Permit(Permit { permitted, reasons })
    }
}

struct Verdict {
    permitted: Option<Permitted>,
    reason: String,
    alarm: Option<String>,
}

fn decide_one(facts: &Facts, found: &Match, coverage: &Coverage<'_>) -> Verdict {
    let consent = found.consent_for(&facts.ask, facts.at, coverage.is_enforcement());
    let authorisation = found.authorisation_for(&facts.ask, facts.at, coverage);
    let evidence = cedar::Evidence { facts, found, consent, authorisation, coverage };

    let cedar::Answer { permits, forbids, errors } = cedar::evaluate(&evidence);
    if !errors.is_empty() {
        let alarm = format!("a clause could not be evaluated: {}", errors.join("; "));
        return Verdict { permitted: None, reason: alarm.clone(), alarm: Some(alarm) };
    }
    if !forbids.is_empty() {
        let forbids: Vec<&str> = forbids.into_iter().collect();
        return denied(format!("forbidden by {}", forbids.join(", ")));
    }
    if permits.is_empty() {
        return denied("no clause permits it".to_owned());
    }
    let permits: Vec<&Clause> = coverage.clauses().filter(|clause| permits.contains(clause.id.as_str())).collect();
    let bounds = Bounds { facts, found, permits: &permits, consent, authorisation, coverage };
    let Some(permitted) = bounds.permit(&facts.ask.categories) else {
        return denied("no category is in ask, clause, consent, authorisation and content alike".to_owned());
    };
    // An officer who saw a preview decided on all of it: once anything else would leave, the decision no longer fits.
    if permitted.basis.authorisation.is_some()
        && let Some((given, seen)) = authorisation.and_then(|given| Some((given, given.preview?)))
        && bounds.permit(&given.categories).map(|whole| whole.digest(&facts.ask.requester.agency)) != Some(seen)
    {
        return denied("differs from the preview that was authorised".to_owned());
    }
    let clauses: Vec<&str> = permitted.basis.clauses.iter().map(ClauseId::as_str).collect();
    let reason = format!("permitted by {}", clauses.join(", "));
    Verdict { permitted: Some(permitted), reason, alarm: None }
}

/// What bounds a release once the clauses permit it.
struct Bounds<'a> {
    facts: &'a Facts,
    found: &'a Match,
    permits: &'a [&'a Clause],
    consent: Option<&'a Consent>,
    authorisation: Option<&'a Authorisation>,
    coverage: &'a Coverage<'a>,
}

impl Bounds<'_> {
    /// What would be released of these categories, on what it rests and on which terms; none if nothing would.
    fn permit(&self, asked: &BTreeSet<Category>) -> Option<Permitted> {
        let Self { facts, found, consent, authorisation, coverage, .. } = *self;
        let (categories, permits) = self.releasable(asked);
        if categories.is_empty() {
            return None;
        }
        // Under a clause that asks for neither, a consent or an authorisation may come and go without effect.
        let rests_on_consent = permits.iter().any(|clause| clause.consent_required);
        let rests_on_authorisation = permits.iter().any(|clause| clause.modality != Modality::Duty);
        let basis = Basis {
            incident: found.incident.id.clone(),
            revision: found.incident.revision,
            categories: categories.keys().cloned().collect(),
            clauses: permits.iter().map(|clause| clause.id.clone()).collect(),
            agreements: coverage.agreements().map(|agreement| (agreement.id().clone(), agreement.digest())).collect(),
            consent: consent.filter(|_| rests_on_consent).map(|consent| (consent.id.clone(), consent.version)),
            authorisation: authorisation.filter(|_| rests_on_authorisation).map(|given| given.id.clone()),
        };
        let handling = handling(facts, &found.incident, &permits, consent, coverage);
        Some(Permitted { basis, categories, handling })
    }

    /// Asked ∩ held ∩ clause ∩ consent ∩ authorisation, over the clauses that permit.
    ///
    /// Consent bounds what passes under a clause that requires it, authorisation what passes under one that is not a
    /// duty; where such a record is missing, that clause contributes nothing. Comes with the clauses that contribute: a
    /// release rests on those alone, and its terms are theirs.
    fn releasable(&self, asked: &BTreeSet<Category>) -> (BTreeMap<Category, Digest>, Vec<&Clause>) {
        let Self { facts, found, consent, authorisation, .. } = *self;
        let (incident, recipient) = (&found.incident, &facts.ask.requester.agency);
        let consented = consent
            .filter(|consent| found.seems_consented(consent, &facts.ask, facts.at))
            .and_then(|consent| consent.scope.as_ref())
            .map(|scope| &scope.categories);
        let authorised = authorisation
            .filter(|authorisation| authorisation.seems_to_apply(incident, recipient, &facts.ask.purpose, facts.at))
            .map(|authorisation| &authorisation.categories);
        let allows = |clause: &Clause, category: &Category| {
            clause.categories.contains(category)
                && (!clause.consent_required || consented.is_some_and(|categories| categories.contains(category)))
                && (clause.modality == Modality::Duty
                    || authorised.is_some_and(|categories| categories.contains(category)))
        };
        let mut categories = BTreeMap::new();
        let mut contributing = Vec::new();
        for clause in self.permits {
            let of_clause = incident
                .categories
                .iter()
                .filter(|(category, _)| asked.contains(*category))
                .filter(|(category, _)| allows(clause, category));
            let mut of_clause = of_clause.map(|(category, commitment)| (category.clone(), *commitment)).peekable();
            if of_clause.peek().is_some() {
                contributing.push(*clause);
                categories.extend(of_clause);
            }
        }
        (categories, contributing)
    }
}

fn denied(reason: String) -> Verdict {
    Verdict { permitted: None, reason, alarm: None }
}

fn handling(
    facts: &Facts,
    incident: &Incident,
    permits: &[&Clause],
    consent: Option<&Consent>,
    coverage: &Coverage<'_>,
) -> Handling {
    let needs_consent = permits.iter().any(|clause| clause.consent_required);
    let refuses_onward = needs_consent && !consent.and_then(|c| c.scope.as_ref()).is_some_and(|scope| scope.onward);
    let clauses_onward = permits.iter().map(|clause| clause.onward).min().unwrap_or(Onward::No);
    let review_days = permits.iter().filter_map(|clause| clause.review_days).min().unwrap_or(90);
    let mut obligations: Vec<String> = Vec::new();
    for obligation in permits.iter().flat_map(|clause| &clause.obligations) {
        if !obligations.contains(obligation) {
            obligations.push(obligation.clone());
        }
    }
    Handling {
        purpose: facts.ask.purpose.clone(),
        enforcement: coverage.is_enforcement(),
        onward: if refuses_onward { Onward::No } else { clauses_onward },
        markings: incident.markings,
        review_by: facts.at.plus_days(review_days),
        clauses: permits.iter().map(|clause| clause.id.clone()).collect(),
        obligations,
    }
}
