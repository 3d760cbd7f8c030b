//! Everything that one decision reads, as a value that is sealed with its entry.

use serde::{Deserialize, Serialize};

use super::Coverage;
use super::preview::{suppose, supposed_consent};
use crate::domain::{
    AgreementId, AnonymisedRecord, Ask, Authorisation, Consent, ConsentState, Digest, Incident, Instant, Permission,
};
use crate::statistics::Rule;

/// An agreement's text in force, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The agreement.
    pub id: AgreementId,
    /// SHA-256 over the text that was activated.
    pub digest: Digest,
}

/// An incident that the ask matches, with the records that speak about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Match {
    /// The incident, at its present revision.
    pub incident: Incident,
    /// When the register last recorded that its organisation was merged: it, or what it had been merged into. What was
    /// consented to before that does not count any more.
    pub merger_recorded_at: Option<Instant>,
    /// Since when it is not released to the requester, because it was released to it wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<Instant>,
    /// The organisation's own consents towards the requester.
    pub consents: Vec<Consent>,
    /// The holder's authorisations towards the requester.
    pub authorisations: Vec<Authorisation>,
    /// The upstream agencies' permissions that were shown for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// How it comes out anonymised, if it does. Read only where that form is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike: Option<Alike>,
}

/// A record as it comes out anonymised: worked out when its quarter or its year was published, and the same ever since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alike {
    /// The record, whole.
    pub record: AnonymisedRecord,
    /// The rule by which enough organisations' records come out exactly like it.
    pub rule: Rule,
}

/// The complete facts of one decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The format of this record: 2. From 2 on a release says when the recipient's copy ends, and by which chain it came.
    pub format: u32,
    /// The effective time.
    pub at: Instant,
    /// The ask.
    pub ask: Ask,
    /// The agreements in force on this node, by id.
    pub in_force: Vec<InForce>,
    /// What the ask matches.
    pub matches: Vec<Match>,
}

impl Match {
    /// What an ask is decided against when nothing is held: with a withdrawn consent and a revoked authorisation, so
    /// that the clauses have as much to look at as where an incident is held, and deny for the same reasons.
    pub(super) fn nothing(ask: &Ask, at: Instant, coverage: &Coverage<'_>) -> Self {
        let incident = Incident::placeholder(&ask.holder);
        let consent = Consent { state: ConsentState::Withdrawn, ..supposed_consent(&incident, ask, at) };
        let given = coverage.ground().map(|ground| suppose(&incident, ask, at, ground.clone()));
        let revoked = given.map(|given| Authorisation { revoked_at: Some(at), ..given });
        let authorisations = revoked.into_iter().collect();
        let (consents, permissions) = (vec![consent], Vec::new());
        let (merger_recorded_at, frozen_since) = (None, None);
        Self { incident, merger_recorded_at, frozen_since, consents, authorisations, permissions, alike: None }
    }

    /// The consent that the clauses look at: the one that seems to apply and permits most, else the newest there is.
    ///
    /// A wrong choice here can only deny: the clauses check every condition again.
    pub(super) fn consent_for(&self, ask: &Ask, at: Instant, enforcement: bool) -> Option<&Consent> {
        self.consents
            .iter()
            .filter(|consent| consent.scope.is_some())
            .filter(|consent| consent.organisation == self.incident.organisation)
            .filter(|consent| consent.holder == ask.holder && consent.recipient == ask.requester.agency)
            .max_by_key(|consent| {
                let enforceable = !enforcement || consent.scope.as_ref().is_some_and(|scope| scope.enforcement);
                let applies = self.seems_consented(consent, ask, at) && enforceable;
                (applies, consent.breadth(&ask.categories), consent.version, consent.id.clone())
            })
    }

    /// Whether a consent seems to apply to the incident.
    pub(super) fn seems_consented(&self, consent: &Consent, ask: &Ask, at: Instant) -> bool {
        consent.seems_to_apply(&self.incident, self.merger_recorded_at, &ask.requester.agency, &ask.purpose, at)
    }

    /// The authorisation that the clauses look at, chosen in the same way. One that is bound to a preview stands back
    /// behind one that is not, and of those that are, the latest counts: it was given on what was seen last.
    pub(super) fn authorisation_for(&self, ask: &Ask, at: Instant, coverage: &Coverage<'_>) -> Option<&Authorisation> {
        self.authorisations
            .iter()
            .filter(|authorisation| authorisation.incident == self.incident.id)
            .filter(|authorisation| authorisation.holder == ask.holder)
            .filter(|authorisation| authorisation.recipient == ask.requester.agency && authorisation.form == ask.form)
            .max_by_key(|authorisation| {
                let applies = authorisation.seems_to_apply(&self.incident, &ask.requester.agency, &ask.purpose, at);
                let grounded = coverage.clauses().any(|clause| clause.grounds.contains(&authorisation.ground));
                let unbound = authorisation.preview.is_none();
                let breadth = if unbound { authorisation.categories.intersection(&ask.categories).count() } else { 0 };
                (applies && grounded, unbound, breadth, authorisation.given_at, authorisation.id.clone())
            })
    }
}
