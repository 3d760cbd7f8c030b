//! Opens content. For another agency it takes a committed permit, and nothing less.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Handling, Permit, Permitted, SharingPermit};
use crate::domain::{AnonymisedRecord, Category, Digest, Incident, IncidentId, Reference};
use crate::proto::v1::{StatisticsTable, Theme};
use crate::seal::Seal;
use crate::store::{self, Committed, Reads, SealedCategory, Store};

/// Why content could not be opened. The permit stands: asking again with the same request id opens it later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// It was erased after the release was committed: the entry stands, and there is nothing left to send.
    #[error("the content was erased")]
    Erased,
}

/// A permit, with the recipient's reference for each incident that it permits.
#[derive(Debug)]
pub struct Releasable {
    permit: Permit,
    references: Vec<Reference>,
}

impl Releasable {
    /// The permit, with those of the references that are for what it permits.
    pub(crate) fn new(permit: Permit, references: &BTreeMap<String, Reference>) -> Self {
        let reference = |permitted: &Permitted| references.get(permitted.basis.incident.as_str()).cloned();
        let references = permit.permitted().iter().filter_map(reference).collect();
        Self { permit, references }
    }

    /// Each permitted incident with the recipient's reference for it.
    pub fn incidents(&self) -> impl Iterator<Item = (&Reference, &Permitted)> {
        self.references.iter().zip(self.permit.permitted())
    }
}

/// What a holder made of many incidents, and may share.
#[derive(Debug, Clone, PartialEq)]
pub enum Shared {
    /// A table of its statistics.
    Table(StatisticsTable),
    /// A theme.
    Theme(Box<Theme>),
}

/// A table or a theme, with the permit to share it.
#[derive(Debug)]
pub struct Shareable {
    permit: SharingPermit,
    shared: Shared,
}

impl Shareable {
    /// None unless the permit is for what has this digest.
    pub(crate) fn new(permit: SharingPermit, digest: Digest, shared: Shared) -> Option<Self> {
        (permit.digest() == digest).then_some(Self { permit, shared })
    }
}

/// What a committed permit is for, and what the recipient is obliged to.
pub fn share(committed: &Committed<Shareable>) -> (Shared, Vec<String>) {
    let Shareable { permit, shared } = committed.decided();
    (shared.clone(), permit.obligations().to_vec())
}

/// One category as it leaves: exactly the bytes that the entry commits to.
pub struct ReleasedCategory {
    /// The category.
    pub category: Category,
    /// Its field of `IncidentContent`, encoded.
    pub content: Vec<u8>,
    /// The salt of its commitment.
    pub salt: Vec<u8>,
}

/// One incident as it leaves.
pub struct ReleasedIncident {
    /// The recipient's reference; an anonymised record has none.
    pub reference: Option<Reference>,
    /// The categories that the permit names; none with an anonymised record.
    pub categories: Vec<ReleasedCategory>,
    /// The anonymised record, where that is what the permit names.
    pub record: Option<AnonymisedRecord>,
    /// What the recipient may do with it.
    pub handling: Handling,
}

impl std::fmt::Debug for ReleasedCategory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReleasedCategory({})", self.category)
    }
}

impl std::fmt::Debug for ReleasedIncident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReleasedIncident({} categories)", self.categories.len())
    }
}

/// Opens what these committed permits name, and no other category; one result for each, in their order.
///
/// Nothing else is even read. Runs in a task of its own, to its end: a caller that goes away must not spoil the
/// connection. A crash here leaves an entry without a delivery, which the caller repairs by asking again with the same
/// request id.
pub async fn open(
    store: &Store,
    seal: &Seal,
    permits: &[&Committed<Releasable>],
) -> Result<Vec<Result<Vec<ReleasedIncident>, Error>>, Error> {
    let permitted = permits.iter().flat_map(|permit| permit.decided().incidents());
    let wanted: BTreeSet<(&IncidentId, i64, &Category)> = permitted
        .filter(|(_, permitted)| permitted.record.is_none())
        .flat_map(|(_, Permitted { basis, categories, .. })| {
            categories.keys().map(|category| (&basis.incident, basis.revision, category))
        })
        .collect();
    let found = if wanted.is_empty() { Vec::new() } else { store.content(&wanted, seal).await? };
    let mut sealed: BTreeMap<(&IncidentId, i64), Vec<&SealedCategory>> = BTreeMap::new();
    for category in &found {
        sealed.entry((&category.incident, category.revision)).or_default().push(category);
    }
    Ok(permits.iter().map(|permit| permit.decided().incidents().map(|one| opened(one, &sealed)).collect()).collect())
}

fn opened(
    (reference, permitted): (&Reference, &Permitted),
    sealed: &BTreeMap<(&IncidentId, i64), Vec<&SealedCategory>>,
) -> Result<ReleasedIncident, Error> {
    let (basis, handling) = (&permitted.basis, permitted.handling.clone());
    // INVARIANT: of an incident that passes anonymised nothing sealed is opened and no reference is given.
    if let Some(record) = permitted.record.clone() {
        return Ok(ReleasedIncident { reference: None, categories: Vec::new(), record: Some(record), handling });
    }
    let mut categories = Vec::new();
    for sealed in sealed.get(&(&basis.incident, basis.revision)).into_iter().flatten() {
        // What another permit of the same batch names is not this one's.
        if permitted.categories.contains_key(&sealed.category) {
            let (salt, content) = sealed.open()?;
            categories.push(ReleasedCategory { category: sealed.category.clone(), content, salt });
        }
    }
    if categories.len() != permitted.categories.len() {
        return Err(Error::Erased);
    }
    categories.sort_by(|one, other| one.category.cmp(&other.category));
    Ok(ReleasedIncident { reference: Some(reference.clone()), categories, record: None, handling })
}

/// Opens a holder's own incident for its own officers. That is no disclosure.
pub(crate) async fn open_own(
    incident: &Incident,
    reads: &mut Reads,
    seal: &Seal,
) -> Result<Vec<(Category, Vec<u8>)>, Error> {
    let mut content = Vec::new();
    for sealed in reads.content(&incident.id, incident.revision, seal).await? {
        let (_, bytes) = sealed.open()?;
        content.push((sealed.category, bytes));
    }
    Ok(content)
}
