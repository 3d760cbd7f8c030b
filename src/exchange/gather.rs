//! Reads the facts of every ask of a batch, by set, in the same statements whether anything is held or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decision::{Agreement, Facts, InForce, MOST_MATCHES, Match, cover};
use crate::domain::{Ask, IncidentId, Instant, Occurred, OrganisationId, Question, Reference, Rejected, Subject};
use crate::seal;
use crate::store::{IncidentKey, KnownCall, QuestionRow, Reads};

use super::asks::{AskCall, AskFor};
use super::{Error, Node, Result};

/// How long a question may be put again.
const OPEN_DAYS: i64 = 90;

/// One ask with everything that its decision reads.
pub(super) struct Gathered<'a> {
    pub(super) call: &'a AskCall,
    /// The call's first time, if this is a repeat.
    pub(super) earlier: Option<KnownCall>,
    pub(super) question: QuestionRow,
    pub(super) is_new: bool,
    pub(super) facts: Facts,
    agreements: Vec<Arc<Agreement>>,
    /// The references that the requester already has, by incident.
    pub(super) references: BTreeMap<String, Reference>,
}

impl Gathered<'_> {
    pub(super) fn agreements(&self) -> Vec<&Agreement> {
        self.agreements.iter().map(Arc::as_ref).collect()
    }
}

struct Put<'a> {
    place: usize,
    call: &'a AskCall,
    earlier: Option<KnownCall>,
    question: QuestionRow,
    is_new: bool,
    ask: Ask,
    covered: bool,
}

/// Reads the facts of the asks. What is the caller's own mistake comes back as an error in the ask's place.
pub(super) async fn gather<'a>(
    node: &Node,
    reads: &mut Reads,
    asks: &[(usize, &'a AskCall)],
    known: &BTreeMap<String, KnownCall>,
    at: Instant,
) -> Result<Vec<(usize, Result<Gathered<'a>>)>> {
    let agreements = node.in_force(reads).await?;
    let in_force: Vec<InForce> =
        agreements.iter().map(|agreement| InForce { id: agreement.id().clone(), digest: agreement.digest() }).collect();
    let borrowed: Vec<&Agreement> = agreements.iter().map(Arc::as_ref).collect();

    let questions = stored_questions(node, reads, asks, known).await?;
    let mut gathered = Vec::new();
    let mut puts = Vec::new();
    for (place, call) in asks {
        match put(*place, call, known, &questions, at) {
            Err(error) => gathered.push((*place, Err(error))),
            Ok(mut put) => {
                // Whom the requester was not entitled to name is not looked up.
                put.covered = cover(&put.ask, &borrowed, at).is_ok();
                puts.push(put);
            }
        }
    }

    let found = Found::read(node, reads, &puts).await?;
    for put in puts {
        let matches = found.matches(&put.ask, put.covered, node);
        let references = found.references(&put.ask, &matches);
        let facts = Facts { format: 1, at, ask: put.ask, in_force: in_force.clone(), matches };
        gathered.push((
            put.place,
            Ok(Gathered {
                call: put.call,
                earlier: put.earlier,
                question: put.question,
                is_new: put.is_new,
                facts,
                agreements: agreements.clone(),
                references,
            }),
        ));
    }
    Ok(gathered)
}

/// The questions that are put again or were put by calls that are repeated.
async fn stored_questions(
    node: &Node,
    reads: &mut Reads,
    asks: &[(usize, &AskCall)],
    known: &BTreeMap<String, KnownCall>,
) -> Result<BTreeMap<String, QuestionRow>> {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for (_, call) in asks {
        if let AskFor::Again { question, .. } = &call.ask {
            ids.insert(question.as_str());
        }
        if let Some(earlier) = known.get(&call.by.call.stored()) {
            ids.insert(&earlier.object);
        }
    }
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = reads.questions_by_id(&ids, &node.seal).await?;
    Ok(rows.into_iter().map(|row| (row.id.to_string(), row)).collect())
}

fn put<'a>(
    place: usize,
    call: &'a AskCall,
    known: &BTreeMap<String, KnownCall>,
    questions: &BTreeMap<String, QuestionRow>,
    at: Instant,
) -> Result<Put<'a>> {
    let by = &call.by;
    let earlier = known.get(&by.call.stored());
    if earlier.is_some_and(|earlier| earlier.digest != by.call.digest) {
        return Err(Error::KeyReused);
    }
    let stored = |id: &str| {
        let own = questions.get(id).filter(|question| question.requester == by.actor.agency);
        own.cloned().ok_or(Error::Rejected(Rejected::NotFound("request")))
    };
    let (question, is_new, pinned) = match (&call.ask, earlier) {
        (AskFor::New { pinned, .. }, Some(earlier)) => (stored(&earlier.object)?, false, pinned),
        (AskFor::New { holder, subject, purpose, categories, external_ref, pinned }, None) => {
            let question = QuestionRow {
                id: Question::known(seal::new_id("req")),
                holder: holder.clone(),
                requester: by.actor.agency.clone(),
                purpose: purpose.clone(),
                form: Ask::ORGANISATION_SPECIFIC.to_owned(),
                categories: categories.clone(),
                subject: subject.clone(),
                external_ref: external_ref.clone(),
                created_at: at,
                open_until: at.plus_days(OPEN_DAYS),
            };
            (question, true, pinned)
        }
        (AskFor::Again { question, purposes, pinned }, _) => {
            let question = stored(question.as_str())?;
            if !purposes.contains(&question.purpose) {
                return Err(Error::PurposeNotInToken(question.purpose.to_string()));
            }
            if earlier.is_none() && question.open_until <= at {
                return Err(Error::Rejected(Rejected::WrongState("the request has expired: put a new one")));
            }
            (question, false, pinned)
        }
    };
    let ask = Ask {
        question: question.id.clone(),
        request_id: by.call.request_id.clone(),
        requester: (&by.actor).into(),
        holder: question.holder.clone(),
        subject: question.subject.clone(),
        purpose: question.purpose.clone(),
        form: question.form.clone(),
        categories: question.categories.clone(),
        pinned: pinned.clone(),
    };
    Ok(Put { place, call, earlier: earlier.cloned(), question, is_new, ask, covered: false })
}

/// What the look-ups of a batch found.
struct Found {
    keys: Vec<IncidentKey>,
    consents: BTreeMap<OrganisationId, Vec<crate::domain::Consent>>,
    authorisations: BTreeMap<IncidentId, Vec<crate::domain::Authorisation>>,
    references: BTreeMap<(IncidentId, crate::domain::AgencyId), Reference>,
}

impl Found {
    async fn read(node: &Node, reads: &mut Reads, puts: &[Put<'_>]) -> Result<Self> {
        let mut references = Vec::new();
        let mut lookups = Vec::new();
        let mut span: Option<Occurred> = None;
        for put in puts.iter().filter(|put| put.covered) {
            match &put.ask.subject {
                Subject::Reference(reference) => references.push(reference.as_str()),
                Subject::Organisation(named) => {
                    lookups.extend(named.identifiers.iter().map(|id| node.seal.lookup(&put.ask.holder, id)));
                    let all = span.get_or_insert(named.period);
                    all.from = all.from.min(named.period.from);
                    all.until = all.until.max(named.period.until);
                }
            }
        }
        let mut keys = Vec::new();
        if !references.is_empty() {
            keys.extend(reads.incidents_by_reference(&references).await?);
        }
        if let Some(span) = span {
            keys.extend(reads.incidents_by_identifier(&lookups, span).await?);
        }
        // The placeholder's keys stand in where nothing was found, so that the same statements run.
        let nothing = IncidentId::known("-");
        let nobody = OrganisationId::known("-");
        let mut incidents: BTreeSet<IncidentId> = keys.iter().map(|key| key.incident.id.clone()).collect();
        let mut organisations: BTreeSet<&OrganisationId> = keys.iter().map(|key| &key.incident.organisation).collect();
        if incidents.is_empty() {
            incidents.insert(nothing);
            organisations.insert(&nobody);
        }
        let incidents: Vec<IncidentId> = incidents.into_iter().collect();
        let organisations: Vec<&OrganisationId> = organisations.into_iter().collect();
        let categories = reads.categories(&incidents).await?;
        let consents = reads.consents_of(&organisations).await?;
        let authorisations = reads.authorisations_of(&incidents).await?;
        // Whoever asks by a reference has one. Whether any ask names an organisation depends on the asks alone.
        let references = if span.is_some() { reads.references(&incidents).await? } else { BTreeMap::new() };
        for key in &mut keys {
            key.incident.categories = categories.get(&key.incident.id).cloned().unwrap_or_default();
        }
        Ok(Self { keys, consents, authorisations, references })
    }

    /// What one ask matches: each incident once, of the holder asked, by a key that is this requester's to use.
    fn matches(&self, ask: &Ask, covered: bool, node: &Node) -> Vec<Match> {
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
        let mut matched: BTreeMap<&IncidentId, &IncidentKey> = BTreeMap::new();
        for key in self.keys.iter().filter(|key| key.incident.holder == ask.holder && is_key(key)) {
            matched.insert(&key.incident.id, key);
        }
        let towards = &ask.requester.agency;
        matched
            .into_values()
            .take(MOST_MATCHES + 1)
            .map(|IncidentKey { incident, merger_recorded_at, .. }| Match {
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
                incident: incident.clone(),
                merger_recorded_at: *merger_recorded_at,
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
