//! Decides whether an agency may name an organisation to another one in a request.
//!
//! Naming passes on what the agency that names knows, so its own node decides it, on the consent recorded there. The other
//! agency's node cannot see that consent: it is shown a receipt of this decision, and finds by digests that the ask names
//! the organisation that is meant.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, Clause, Modality};
use super::coverage::lets_nobody_name;
use super::{InForce, NotCovered, cedar};
use crate::domain::{
    Activity, AgencyId, Consent, ConsentState, Coverage, Digest, Ground, Identifier, Instant, NamingReceipt,
    OrganisationId, Purpose, RequestId, Requester,
};

/// The complete facts of one decision on naming.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamingFacts {
    /// The format of this record: 1.
    pub format: u32,
    /// The effective time.
    pub at: Instant,
    /// The officer who asks, of the agency that would name.
    pub requester: Requester,
    /// The idempotency key of the call.
    pub request_id: RequestId,
    /// The agency that would learn the name.
    pub recipient: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// On which ground.
    pub ground: Ground,
    /// Who would be named.
    pub organisation: OrganisationId,
    /// By which of its identifiers.
    pub identifiers: BTreeSet<Identifier>,
    /// When the register last recorded that it was merged: it, or what it had been merged into.
    pub merger_recorded_at: Option<Instant>,
    /// Its consents towards the recipient.
    pub consents: Vec<Consent>,
    /// The salt of the digests by which a receipt speaks of it.
    pub salt: Digest,
    /// The agreements in force on this node, by id.
    pub in_force: Vec<InForce>,
}

/// What was decided about naming.
#[derive(Debug)]
pub enum Naming {
    /// It may be named.
    Permit(NamingPermit),
    /// The agreements let the agency name nobody like that.
    NotCovered(NotCovered),
    /// The organisation's consent does not reach so far.
    NotConsented {
        /// The same for whoever asks, whichever way it falls short.
        explanation: String,
        /// Why, for the grounds.
        why: String,
    },
    /// A clause erred: that is a denial, and an operator must look at it.
    Erred {
        /// What went wrong, for the grounds.
        alarm: String,
    },
}

impl Naming {
    /// The reason of [`Naming::NotConsented`].
    pub const NOT_CONSENTED: &str = "NAMING_NOT_CONSENTED";
}

/// Proof that the clauses and the consent let an organisation be named. Only [`decide_naming`] makes one.
#[derive(Debug)]
pub struct NamingPermit {
    until: Instant,
    reason: String,
}

impl NamingPermit {
    /// Until when it may be shown, exclusive.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Why, for the grounds.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// By which a receipt speaks of an identifier: SHA-256 over salt, scheme, a zero byte and the normalised value. No scheme
/// has a zero byte, so no two identifiers have one digest.
pub(super) fn name_digest(salt: &Digest, identifier: &Identifier) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in [salt.as_bytes().as_slice(), identifier.scheme().as_bytes(), &[0], identifier.value().as_bytes()] {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

/// The agreements that speak of one agency's naming organisations to another, permitting or not: what errs or forbids in
/// any other is not about these two.
pub(super) fn naming_agreements<'a>(
    agreements: &[&'a Agreement],
    disclosing: &AgencyId,
    receiving: &AgencyId,
) -> Vec<&'a Agreement> {
    let speaks = |clause: &Clause| clause.speaks(Activity::NameInRequest, disclosing, receiving);
    agreements.iter().copied().filter(|agreement| agreement.clauses().any(speaks)).collect()
}

/// The clauses that let one agency name organisations to another.
pub(super) fn naming_clauses<'a>(
    agreements: &[&'a Agreement],
    disclosing: &AgencyId,
    receiving: &AgencyId,
) -> Vec<&'a Clause> {
    let lets_name = |clause: &&Clause| {
        clause.modality != Modality::Prohibition && clause.speaks(Activity::NameInRequest, disclosing, receiving)
    };
    agreements.iter().flat_map(|agreement| agreement.clauses()).filter(lets_name).collect()
}

/// Decides on the facts read for it.
pub fn decide_naming(facts: &NamingFacts, agreements: &[&Agreement]) -> Naming {
    let NamingFacts { at, requester, recipient, purpose, ground, .. } = facts;
    let effective: Vec<&Agreement> = agreements.iter().copied().filter(|one| one.is_effective(*at)).collect();
    let naming = naming_clauses(&effective, &requester.agency, recipient);
    if let Some(why) = lets_nobody_name(&naming, &requester.agency, recipient, purpose, ground) {
        return Naming::NotCovered(why);
    }
    let enforcement = effective.iter().any(|agreement| agreement.is_enforcement(purpose));
    let consent = facts.consent(&naming, enforcement);
    let speaking = naming_agreements(&effective, &requester.agency, recipient);
    let answer = cedar::evaluate_naming(facts, consent, enforcement, &speaking);

    let withheld = |why: String| {
        let explanation = format!(
            "no consent of the organisation lets your agency name it to `{recipient}` for `{purpose}` now; a request by \
             a reference that it issued needs none"
        );
        Naming::NotConsented { explanation, why }
    };
    if !answer.errors.is_empty() {
        return Naming::Erred { alarm: NotCovered::erred(&answer.errors).explanation };
    }
    if !answer.forbids.is_empty() {
        let forbids: Vec<&str> = answer.forbids.into_iter().collect();
        return withheld(format!("forbidden by {}", forbids.join(", ")));
    }
    let permitting = naming.iter().filter(|clause| answer.permits.contains(clause.id.as_str()));
    let permitting: Vec<&Clause> =
        permitting.copied().filter(|clause| facts.is_consented(clause, consent, enforcement)).collect();
    if permitting.is_empty() {
        return withheld("no clause permits it with the categories of the consent".to_owned());
    }
    let rests_on = consent.filter(|_| permitting.iter().all(|clause| clause.consent_required));
    let ends = rests_on.and_then(|consent| consent.scope.as_ref()).map_or(Instant::MAX, |scope| scope.valid_until);
    let clauses: Vec<&str> = permitting.iter().map(|clause| clause.id.as_str()).collect();
    let under = rests_on.map(|consent| format!(" under consent {} version {}", consent.id, consent.version));
    let reason = format!("permitted by {}{}", clauses.join(", "), under.unwrap_or_default());
    Naming::Permit(NamingPermit { until: NamingReceipt::longest(*at).min(ends), reason })
}

impl NamingFacts {
    /// The digests by which the receipt speaks of whom it lets be named.
    pub fn names(&self) -> BTreeSet<Digest> {
        self.identifiers.iter().map(|identifier| name_digest(&self.salt, identifier)).collect()
    }

    /// The consent that the clauses look at: one that seems to apply, else the newest there is. A wrong choice here can
    /// only deny: the clauses check every condition again.
    fn consent(&self, naming: &[&Clause], enforcement: bool) -> Option<&Consent> {
        let own = |consent: &&Consent| {
            let parties = (&consent.holder, &consent.recipient) == (&self.requester.agency, &self.recipient);
            parties && consent.organisation == self.organisation && consent.scope.is_some()
        };
        self.consents.iter().filter(own).max_by_key(|consent| {
            let applies = naming.iter().any(|clause| self.is_consented(clause, Some(consent), enforcement));
            (applies, consent.version, consent.id.clone())
        })
    }

    /// Whether a consent gives a clause what that one requires: it is about all incidents, as a request that names an
    /// organisation is about none, and covers what naming tells.
    fn is_consented(&self, clause: &Clause, consent: Option<&Consent>, enforcement: bool) -> bool {
        let seems_to_cover = |consent: &Consent| {
            consent.state == ConsentState::Given
                && self.merger_recorded_at.is_none_or(|merger| merger < consent.confirmed_at)
                && consent.scope.as_ref().is_some_and(|scope| {
                    scope.purposes.contains(&self.purpose)
                        && (scope.enforcement || !enforcement)
                        && scope.coverage == Coverage::AllIncidents
                        && scope.valid_from <= self.at
                        && self.at < scope.valid_until
                        && clause.categories.is_subset(&scope.categories)
                })
        };
        !clause.consent_required || consent.is_some_and(seems_to_cover)
    }
}

#[cfg(test)]
mod tests;
