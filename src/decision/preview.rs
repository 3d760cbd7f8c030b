//! What the holder's officers see before anything leaves: a digest to which an authorisation can be bound, and what is
//! missing until the gate would permit.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Agreement, Decision, Facts, Modality, Permitted, cover, decide};
use crate::domain::{
    AgencyId, Ask, Authorisation, AuthorisationId, Consent, ConsentId, ConsentScope, ConsentState, Coverage, Digest,
    Ground, Incident, Instant, Notification, OfficerId, Permission, PermissionId, Provenance,
};

impl Permitted {
    /// The digest of exactly this to this recipient, and of the terms on which.
    ///
    /// Times are not in it: the same content on the same terms has the same digest tomorrow. Neither is what the permit
    /// rests on: another consent that allows the same is no other release.
    pub fn digest(&self, recipient: &AgencyId) -> Digest {
        // No preview is of an anonymised record, and no authorisation of one can be bound to a preview.
        let Self { basis, categories, handling, record: _ } = self;
        let mut digest = Parts(Context::new(&SHA256));
        digest.add(b"concordat preview 1");
        digest.add(basis.incident.as_str().as_bytes());
        digest.add(&basis.revision.to_be_bytes());
        digest.add(recipient.as_str().as_bytes());
        digest.add(handling.purpose.as_str().as_bytes());
        digest.count(categories.len());
        for (category, commitment) in categories {
            digest.add(category.as_str().as_bytes());
            digest.add(commitment.as_bytes());
        }
        digest.count(basis.clauses.len());
        for clause in &basis.clauses {
            digest.add(clause.as_str().as_bytes());
        }
        digest.count(basis.agreements.len());
        for (id, text) in &basis.agreements {
            digest.add(id.as_str().as_bytes());
            digest.add(text.as_bytes());
        }
        digest.add(&[u8::from(handling.enforcement), handling.onward as u8]);
        let markings = handling.markings;
        for marking in [markings.tlp.as_str(), markings.pap.as_str(), markings.classification.as_str()] {
            digest.add(marking.as_bytes());
        }
        digest.count(handling.obligations.len());
        for obligation in &handling.obligations {
            digest.add(obligation.as_bytes());
        }
        // Whose it was is part of what leaves. What has no chain has the digest that it always had.
        let before = handling.release.iter().filter_map(|release| release.before.as_ref());
        for passage in before.flat_map(Provenance::passages) {
            for part in [passage.from.as_str(), passage.to.as_str(), passage.reference.as_str()] {
                digest.add(part.as_bytes());
            }
        }
        digest.finish()
    }
}

/// A digest over parts, each with its length.
struct Parts(Context);

impl Parts {
    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_be_bytes());
    }

    fn add(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.update(part);
    }

    fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

/// A fact that can be recorded and is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The organisation's verified consent.
    Consent,
    /// The holder's officer's authorisation.
    Authorisation,
    /// That a second officer verified the notification.
    VerifiedNotification,
    /// The permissions of the agencies from which it came.
    UpstreamPermission,
}

impl Missing {
    const ALL: [Self; 4] = [Self::Consent, Self::Authorisation, Self::VerifiedNotification, Self::UpstreamPermission];

    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Authorisation => "authorisation",
            Self::VerifiedNotification => "verified-notification",
            Self::UpstreamPermission => "upstream-permission",
        }
    }

    /// The facts as they would be if this were there, for all that is asked.
    fn supply(self, facts: &mut Facts, ground: Option<&Ground>) {
        let (at, ask) = (facts.at, facts.ask.clone());
        for found in &mut facts.matches {
            match self {
                Self::Consent => found.consents = vec![supposed_consent(&found.incident, &ask, at)],
                Self::Authorisation => {
                    let Some(ground) = ground else { return };
                    found.authorisations = vec![suppose(&found.incident, &ask, at, ground.clone())];
                }
                Self::VerifiedNotification => {
                    if let Some(Notification { verified_at, .. }) = &mut found.incident.notification {
                        *verified_at = Some(at);
                    }
                }
                Self::UpstreamPermission => found.permissions = supposed_permissions(&found.incident, &ask, at),
            }
        }
    }
}

/// The fewest facts with which the gate would permit; none if it permits, or if no such facts would make it.
///
/// It tries them out: the gate itself says what is missing.
pub fn missing(facts: &Facts, agreements: &[&Agreement]) -> BTreeSet<Missing> {
    let Ok(coverage) = cover(&facts.ask, agreements, facts.at) else { return BTreeSet::new() };
    let grounds: Vec<&Ground> = coverage
        .clauses()
        .filter(|clause| clause.modality == Modality::Power)
        .filter_map(|clause| clause.grounds.first())
        .collect();
    let mut choices: Vec<Vec<Missing>> = (0_u8..16)
        .map(|bits| {
            Missing::ALL.into_iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, m)| m).collect()
        })
        .collect();
    choices.sort_by_key(Vec::len);
    for choice in choices {
        for ground in grounds.iter().copied().map(Some).chain([None]) {
            let mut supposed = facts.clone();
            for fact in &choice {
                fact.supply(&mut supposed, ground);
            }
            if matches!(decide(&supposed, agreements), Decision::Permit(_)) {
                return choice.into_iter().collect();
            }
        }
    }
    BTreeSet::new()
}

/// The authorisation that an officer might give now, for exactly this ask. It exists in suppositions only.
pub fn suppose(incident: &Incident, ask: &Ask, at: Instant, ground: Ground) -> Authorisation {
    Authorisation {
        id: AuthorisationId::known("supposed"),
        holder: ask.holder.clone(),
        incident: incident.id.clone(),
        revision: incident.revision,
        covers_updates: false,
        recipient: ask.requester.agency.clone(),
        purposes: [ask.purpose.clone()].into(),
        categories: ask.categories.clone(),
        ground,
        given_at: at,
        valid_until: Instant::MAX,
        revoked_at: None,
        preview: None,
        form: ask.form.clone(),
    }
}

/// The permissions that the agencies from which it came might show now, for exactly this ask. They exist in suppositions
/// only.
fn supposed_permissions(incident: &Incident, ask: &Ask, at: Instant) -> Vec<Permission> {
    let needed = incident.provenance.iter().flat_map(|chain| chain.permissions_needed(&ask.requester.agency));
    let permission = |of: &AgencyId| Permission {
        id: PermissionId::known("supposed"),
        of: of.clone(),
        recipient: ask.requester.agency.clone(),
        purpose: ask.purpose.clone(),
        categories: ask.categories.clone(),
        shown_at: at,
        until: Instant::MAX,
        withdrawn_at: None,
    };
    needed.map(permission).collect()
}

/// The consent that the organisation might give now, for exactly this ask. It exists in suppositions only.
pub(super) fn supposed_consent(incident: &Incident, ask: &Ask, at: Instant) -> Consent {
    Consent {
        id: ConsentId::known("supposed"),
        version: 1,
        holder: ask.holder.clone(),
        organisation: incident.organisation.clone(),
        recipient: ask.requester.agency.clone(),
        state: ConsentState::Given,
        scope: Some(ConsentScope {
            recipient: ask.requester.agency.clone(),
            purposes: [ask.purpose.clone()].into(),
            enforcement: true,
            categories: ask.categories.clone(),
            coverage: Coverage::Incident {
                id: incident.id.clone(),
                revision: incident.revision,
                covers_updates: false,
            },
            onward: false,
            valid_from: at,
            valid_until: Instant::MAX,
        }),
        evidence: None,
        recorded_by: OfficerId::known("supposed"),
        recorded_at: at,
        confirmed_at: at,
    }
}
