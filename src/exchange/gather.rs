//! Reads the facts of every question of a batch, by set, in the same statements whether anything is held or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decision::{Agreement, Alike, Facts, InForce, MOST_MATCHES, Match, NotCovered, cover};
use crate::domain::{
    Activity, AgencyId, Ask, Authorisation, Category, Consent, IncidentId, Instant, Occurred, OrganisationId, Purpose,
    Question, Reference, RequestId, Requester, Subject, Urgency, frozen_since,
};
use crate::store::{IncidentKey, Reads};

use super::{Node, Result, anonymised};

/// A question to decide, before anything was looked up for it.
pub(super) struct Put {
    pub(super) ask: Ask,
    /// The incident that it is about, where the holder itself says so.
    pub(super) known: Option<IncidentId>,
}

/// A question with everything that its decision reads.
pub(super) struct Gathered {
    pub(super) facts: Facts,
    agreements: Vec<Arc<Agreement>>,
    /// Whether the agreements speak of it.
    pub(super) covered: bool,
    /// The references that the requester already has, by incident.
    pub(super) references: BTreeMap<String, Reference>,
}

impl Gathered {
    pub(super) fn agreements(&self) -> Vec<&Agreement> {
        self.agreements.iter().map(Arc::as_ref).collect()
    }
}

struct Sought {
    put: Put,
    covered: bool,
}

/// Reads the facts of these questions, in their order.
pub(super) async fn gather(node: &Node, reads: &mut Reads, puts: Vec<Put>, at: Instant) -> Result<Vec<Gathered>> {
    let agreements = node.in_force(reads).await?;
    let in_force: Vec<InForce> =
        agreements.iter().map(|agreement| InForce { id: agreement.id().clone(), digest: agreement.digest() }).collect();
    let borrowed: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();
    // Whom the requester was not entitled to name is not looked up.
    let sought = |put: Put| {
        let covered = cover(&put.ask, &borrowed, at);
        if let Some(alarm) = covered.as_ref().err().and_then(NotCovered::alarm) {
            tracing::error!(holder = %put.ask.holder, alarm, "an ask was not covered by a fault, not by a rule");
        }
        Sought { covered: covered.is_ok(), put }
    };
    let sought: Vec<Sought> = puts.into_iter().map(sought).collect();

    let found = Found::read(node, reads, &sought).await?;
    let gathered = |Sought { put, covered }: Sought| {
        let matches = found.matches(&put, covered, node);
        let ask = put.ask;
        let references = found.references(&ask, &matches);
        let facts = Facts { format: 2, at, ask, in_force: in_force.clone(), matches };
        Gathered { facts, agreements: agreements.clone(), covered, references }
    };
    Ok(sought.into_iter().map(gathered).collect())
}

/// What one agency might ask another about one incident, as the holder looks at it beforehand.
pub(super) fn supposed(
    holder: &AgencyId,
    incident: &IncidentId,
    reference: Reference,
    recipient: AgencyId,
    purpose: Purpose,
    categories: BTreeSet<Category>,
) -> Put {
    let ask = Ask {
        question: Question::known("-"),
        request_id: RequestId::known("-"),
        requester: Requester::anyone_of(recipient),
        holder: holder.clone(),
        subject: Subject::Reference(reference),
        activity: Activity::Disclose,
        purpose,
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        categories,
        urgency: Urgency::default(),
        pinned: None,
        naming: None,
    };
    Put { ask, known: Some(incident.clone()) }
}

/// What the look-ups of a batch found.
struct Found {
    keys: Vec<IncidentKey>,
    consents: BTreeMap<OrganisationId, Vec<Consent>>,
    authorisations: BTreeMap<IncidentId, Vec<Authorisation>>,
    references: BTreeMap<(IncidentId, AgencyId), Reference>,
    alike: BTreeMap<IncidentId, Alike>,
}

impl Found {
    async fn read(node: &Node, reads: &mut Reads, all: &[Sought]) -> Result<Self> {
        let mut references = BTreeSet::new();
        let mut lookups = BTreeSet::new();
        let mut span: Option<Occurred> = None;
        let (mut keys, mut known) = (Vec::new(), Vec::new());
        for Sought { put, .. } in all.iter().filter(|sought| sought.covered) {
            match (&put.ask.subject, &put.known) {
                (Subject::Reference(reference), Some(incident)) => {
                    known.push((incident.as_str(), reference.to_string(), put.ask.requester.agency.to_string()));
                }
                (Subject::Reference(reference), None) => drop(references.insert(reference.as_str())),
                (Subject::Organisation(named), _) => {
                    lookups.extend(named.identifiers.iter().map(|id| node.seal.lookup(&put.ask.holder, id)));
                    let span = span.get_or_insert(named.period);
                    span.from = span.from.min(named.period.from);
                    span.until = span.until.max(named.period.until);
                }
            }
        }
        if !known.is_empty() {
            let ids: Vec<&str> = known.iter().map(|(incident, ..)| *incident).collect();
            let found = reads.incidents_by_id(&ids).await?;
            for (incident, found_by, recipient) in known {
                let key = found.iter().find(|key| key.incident.id.as_str() == incident);
                keys.extend(key.map(|key| IncidentKey { found_by, recipient, ..key.clone() }));
            }
        }
        if !references.is_empty() {
            keys.extend(reads.incidents_by_reference(&references).await?);
        }
        if let Some(span) = span {
            keys.extend(reads.incidents_by_identifier(&lookups, span).await?);
        }
        // What was found once each, and the placeholder as often as nothing was: an ask costs as much either way.
        let (nothing, held): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.incident.is_placeholder());
        let nothing = nothing.iter().map(|key| &key.incident);
        let incidents: BTreeSet<&IncidentId> = held.iter().map(|key| &key.incident.id).collect();
        let organisations: BTreeSet<&OrganisationId> = held.iter().map(|key| &key.incident.organisation).collect();
        let incidents: Vec<&IncidentId> = incidents.into_iter().chain(nothing.clone().map(|one| &one.id)).collect();
        let organisations: Vec<&OrganisationId> =
            organisations.into_iter().chain(nothing.map(|one| &one.organisation)).collect();
        let consents = reads.consents_of(&organisations).await?;
        let authorisations = reads.authorisations_of(&incidents).await?;
        // Whoever asks by a reference has one. Whether any ask names an organisation depends on the asks alone.
        let references = if span.is_some() { reads.references(&incidents).await? } else { BTreeMap::new() };
        // So does whether any asks for an anonymised record.
        let is_anonymised = |sought: &Sought| sought.covered && sought.put.ask.is_anonymised();
        let alike = if all.iter().any(is_anonymised) {
            anonymised::alike(node, reads, &incidents).await?
        } else {
            BTreeMap::new()
        };
        Ok(Self { keys, consents, authorisations, references, alike })
    }

    /// What one ask matches: each incident once, of the holder asked, by a key that is this requester's to use. Where the
    /// holder itself says which incident it is about, that one alone, whatever else was found by an equal key.
    fn matches(&self, Put { ask, known }: &Put, covered: bool, node: &Node) -> Vec<Match> {
        if !covered {
            return Vec::new();
        }
        let lookups: BTreeSet<String> = match &ask.subject {
            Subject::Reference(_) => BTreeSet::new(),
            Subject::Organisation(named) => {
                named.identifiers.iter().map(|identifier| node.seal.lookup(&ask.holder, identifier)).collect()
            }
        };
        let is_key = |key: &IncidentKey| match &ask.subject {
            Subject::Reference(reference) => {
                key.found_by == reference.as_str() && key.recipient == ask.requester.agency.as_str()
            }
            Subject::Organisation(named) => {
                lookups.contains(&key.found_by) && key.incident.occurred.overlaps(&named.period)
            }
        };
        let is_meant = |key: &IncidentKey| known.as_ref().is_none_or(|incident| key.incident.id == *incident);
        let mut matched: BTreeMap<&IncidentId, &IncidentKey> = BTreeMap::new();
        let of_holder = self.keys.iter().filter(|key| key.incident.holder == ask.holder);
        for key in of_holder.filter(|key| is_meant(key) && is_key(key)) {
            matched.insert(&key.incident.id, key);
        }
        let towards = &ask.requester.agency;
        matched
            .into_values()
            .take(MOST_MATCHES + 1)
            .map(|IncidentKey { incident, merger_recorded_at, frozen, permissions, .. }| Match {
                consents: self
                    .consents
                    .get(&incident.organisation)
                    .into_iter()
                    .flatten()
                    .filter(|consent| consent.recipient == *towards && consent.holder == ask.holder)
                    .cloned()
                    .collect(),
                authorisations: self
                    .authorisations
                    .get(&incident.id)
                    .into_iter()
                    .flatten()
                    .filter(|authorisation| authorisation.recipient == *towards)
                    .cloned()
                    .collect(),
                permissions: permissions.clone(),
                incident: incident.clone(),
                merger_recorded_at: *merger_recorded_at,
                frozen_since: frozen_since(frozen, towards),
                alike: self.alike.get(&incident.id).filter(|_| ask.is_anonymised()).cloned(),
            })
            .collect()
    }

    /// The references by which the requester knows what was matched: the one it asked with, or one it has.
    fn references(&self, ask: &Ask, matches: &[Match]) -> BTreeMap<String, Reference> {
        let reference = |found: &Match| match &ask.subject {
            Subject::Reference(reference) => Some(reference.clone()),
            Subject::Organisation(_) => {
                self.references.get(&(found.incident.id.clone(), ask.requester.agency.clone())).cloned()
            }
        };
        matches.iter().filter_map(|found| Some((found.incident.id.to_string(), reference(found)?))).collect()
    }
}
