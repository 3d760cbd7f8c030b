//! Opens content. For another agency it takes a committed permit, and nothing less.

use std::collections::BTreeMap;

use crate::decision::{Handling, Permit, Permitted};
use crate::domain::{Category, Incident, Reference};
use crate::seal::Seal;
use crate::store::{self, Committed, Reads, Store};

/// Why content could not be opened. The permit stands: asking again with the same request id opens it later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
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
    /// The recipient's reference.
    pub reference: Reference,
    /// The categories that the permit names.
    pub categories: Vec<ReleasedCategory>,
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

/// Opens what a committed permit names, and no other category.
///
/// Runs in a task of its own, to its end: a caller that goes away must not spoil the connection. A crash here
/// leaves an entry without a delivery, which the caller repairs by asking again with the same request id.
pub async fn open(
    store: &Store,
    seal: &Seal,
    committed: &Committed<Releasable>,
) -> Result<Vec<ReleasedIncident>, Error> {
    let mut incidents = Vec::new();
    for (reference, permitted) in committed.decided().incidents() {
        let basis = &permitted.basis;
        let mut categories = Vec::new();
        for sealed in store.content(&basis.incident, basis.revision, seal).await? {
            if permitted.categories.contains_key(&sealed.category) {
                let (salt, content) = sealed.open()?;
                categories.push(ReleasedCategory { category: sealed.category, content, salt });
            }
        }
        let handling = permitted.handling.clone();
        incidents.push(ReleasedIncident { reference: reference.clone(), categories, handling });
    }
    Ok(incidents)
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
