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
mod naming;
mod preview;
mod sharing;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    AgencyId, AgreementId, AnonymisedRecord, Authorisation, AuthorisationId, Category, Classification, ClauseId,
    Consent, ConsentId, ConsentTerms, Digest, Incident, IncidentId, Instant, Markings, Onward, Pap, Passage,
    PermissionId, PermissionRule, Provenance, Purpose, Reference, Tlp,
};

pub use agreement::{Agreement, Clause, LoadError, Modality, Proposal, PurposeTerm};
pub use coverage::{Coverage, NotCovered, cover};
pub use facts::{Alike, Facts, InForce, Match};
pub use naming::{Naming, NamingFacts, NamingPermit, decide_naming};
pub use preview::{Missing, missing, suppose};
pub use sharing::{
    Published, SharedTheme, Sharing, SharingFacts, SharingPermit, Wanted, decide_sharing, may_anonymise, may_list,
    publishing_rule,
};
use upstream::Upstream;

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
    /// The record that may be released instead of them, where an anonymised one is asked for.
    pub record: Option<AnonymisedRecord>,
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
    /// The upstream agencies' permissions, where it came from another agency.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub permissions: BTreeSet<PermissionId>,
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
    /// When the recipient's copy ends. None: it was decided on facts of format 1, which say nothing about it.
    pub disposal: Option<Disposal>,
    /// The clauses under which it passes.
    pub clauses: BTreeSet<ClauseId>,
    /// What the clauses oblige the recipient to.
    pub obligations: Vec<String>,
    /// The release itself, as part of the chain. None: it was decided on facts of format 1, which have no chain.
    pub release: Option<Release>,
}

/// What a release adds to the chain that it hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who releases.
    pub holder: AgencyId,
    /// To whom.
    pub recipient: AgencyId,
    /// Under which agreements.
    pub agreements: BTreeSet<AgreementId>,
    /// Whose permission they ask for before it is passed on.
    pub permission: PermissionRule,
    /// The scope of the consent that it relies on.
    pub consent: Option<ConsentTerms>,
    /// How it came to the holder.
    pub before: Option<Provenance>,
}

impl Handling {
    /// The chain that goes with what is released under this reference: the originator's release first, this one last.
    pub fn provenance(&self, reference: &Reference) -> Option<Provenance> {
        let Release { holder, recipient, agreements, permission, consent, before } = self.release.as_ref()?;
        let passage = Passage {
            from: holder.clone(),
            to: recipient.clone(),
            reference: reference.clone(),
            agreements: agreements.clone(),
            permission: *permission,
            onward: self.onward,
            consent: consent.clone(),
            markings: self.markings,
            caveats: self.obligations.clone(),
        };
        Some(Provenance::extended(before.as_ref(), passage))
    }
}

/// When a recipient's copy ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposal {
    /// Until when the holder keeps its own. None for an anonymised record: it would tell which incident it is.
    pub kept_until: Option<Instant>,
    /// Until when the clauses let the recipient keep it, where one of them says so.
    pub agreed_until: Option<Instant>,
}

impl Disposal {
    /// By when the recipient must have disposed of it: the earlier of the two; none where neither is stated.
    pub fn by(self) -> Option<Instant> {
        [self.kept_until, self.agreed_until].into_iter().flatten().min()
    }
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
            let earlier = |at: &mut Instant| *at = Instant::from_micros(at.micros().saturating_sub(micros_before));
            let Handling { review_by, disposal, .. } = &mut permitted.handling;
            earlier(review_by);
            disposal.iter_mut().filter_map(|disposal| disposal.agreed_until.as_mut()).for_each(earlier);
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
    clause_erred: bool,
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

    /// Whether a clause erred. That there were too many matches says that something is held; this does not.
    pub fn clause_erred(&self) -> bool {
        self.clause_erred
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
        return Decision::Open(Denial { reasons: vec![alarm.clone()], alarm: Some(alarm), clause_erred: false });
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
        let clause_erred = alarm.is_some();
        Decision::Open(Denial { reasons, alarm, clause_erred })
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
    let upstream = found.upstream(&facts.ask, facts.at);
    let evidence = cedar::Evidence { facts, found, consent, authorisation, coverage, upstream: upstream.as_ref() };

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
    // After the clauses, like every other reason: "open" must not cost less.
    if upstream.as_ref().is_some_and(Upstream::is_full) {
        return denied("its chain is as long as one can be: it was passed on too often".to_owned());
    }
    let permits: Vec<&Clause> = coverage.clauses().filter(|clause| permits.contains(clause.id.as_str())).collect();
    let upstream = upstream.as_ref();
    let bounds = Bounds { facts, found, permits: &permits, consent, authorisation, coverage, upstream };
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
    upstream: Option<&'a upstream::Upstream<'a>>,
}

impl Bounds<'_> {
    /// What would be released of these categories, on what it rests and on which terms; none if nothing would.
    fn permit(&self, asked: &BTreeSet<Category>) -> Option<Permitted> {
        let Self { facts, found, consent, authorisation, coverage, .. } = *self;
        let (mut categories, mut permits) = self.releasable(asked);
        if categories.is_empty() {
            return None;
        }
        let record = if facts.ask.is_anonymised() {
            let record = found.alike.as_ref()?.record.within(&categories.keys().cloned().collect())?;
            // What else is held is nobody's business, and neither are the clauses under which it would pass.
            (categories, permits) = self.releasable(&record.categories());
            Some(record)
        } else {
            None
        };
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
            permissions: self.upstream.map(|upstream| upstream.rests_on(categories.keys())).unwrap_or_default(),
        };
        let handling = handling(facts, &found.incident, &permits, consent, coverage);
        Some(Permitted { basis, categories, record, handling })
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
                .filter(|(category, _)| allows(clause, category))
                .filter(|(category, _)| self.upstream.is_none_or(|upstream| upstream.allows(category)));
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
    // Of an anonymised record the terms are the same whichever incident it is: nothing of the incident's or of the
    // consent's may be told by them, so they are the strictest that anything passes on.
    let anonymised = facts.ask.is_anonymised();
    let strictest =
        Markings { tlp: Tlp::AmberStrict, pap: Pap::Red, classification: Classification::OfficialSensitive };
    let refuses_onward = refuses_onward || (anonymised && needs_consent);
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
        markings: if anonymised { strictest } else { incident.markings_in_force() },
        review_by: facts.at.plus_days(review_days),
        disposal: (facts.format > 1).then(|| {
            let retain_days = permits.iter().filter_map(|clause| clause.retain_days).min();
            let agreed_until = retain_days.map(|days| facts.at.plus_days(days));
            Disposal { kept_until: (!anonymised).then_some(incident.retain_until), agreed_until }
        }),
        clauses: permits.iter().map(|clause| clause.id.clone()).collect(),
        obligations,
        release: (facts.format > 1)
            .then(|| release(facts, incident, permits, consent.filter(|_| needs_consent), coverage)),
    }
}

/// What the chain says of a release under these clauses.
fn release(
    facts: &Facts,
    incident: &Incident,
    permits: &[&Clause],
    consent: Option<&Consent>,
    coverage: &Coverage<'_>,
) -> Release {
    let contributes =
        |agreement: &&Agreement| permits.iter().any(|one| agreement.clauses().any(|own| own.id == one.id));
    let agreements: Vec<&Agreement> = coverage.agreements().filter(contributes).collect();
    let terms = |scope: &crate::domain::ConsentScope| ConsentTerms {
        purposes: scope.purposes.clone(),
        enforcement: scope.enforcement,
        onward: scope.onward,
        until: scope.valid_until,
    };
    Release {
        holder: incident.holder.clone(),
        recipient: facts.ask.requester.agency.clone(),
        agreements: agreements.iter().map(|agreement| agreement.id().clone()).collect(),
        permission: agreements.iter().map(|agreement| agreement.permission_rule()).min().unwrap_or_default(),
        consent: consent.and_then(|consent| consent.scope.as_ref()).map(terms),
        before: incident.provenance.clone(),
    }
}

#[cfg(test)]
mod tests;
