//! What the asks of one batch are decided on, read once for all of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Asked, Item, SharingAsk};
use crate::decision::{Agreement, InForce, Published, SharingFacts, Wanted};
use crate::domain::{AgencyId, Digest, Instant, Quarter, RequestId, Requester, ThemeId};
use crate::exchange::tables::Tables;
use crate::exchange::{Error, Node, Result, themes};
use crate::release::Shared;
use crate::store::Reads;

/// What an ask reads of what is asked for, and what would be shared.
pub(in crate::exchange) type Found = (Wanted, Option<(Digest, Shared)>);

/// The agreements in force, and what there is of whatever is asked for.
///
/// What cannot be read is an error of the asks for it, not of the batch: a withdrawal beside them must be done.
pub(in crate::exchange) struct Stock {
    agreements: Result<Vec<Arc<Agreement>>>,
    found: BTreeMap<SharingAsk, Result<Found>>,
}

impl Stock {
    /// Reads for these asks, in the transaction in which they are decided.
    pub(in crate::exchange) async fn read(
        node: &Node,
        reads: &mut Reads,
        asks: impl Iterator<Item = &SharingAsk>,
    ) -> Result<Self> {
        let asks: BTreeSet<&SharingAsk> = asks.collect();
        let agreements = unless_store(node.in_force(reads).await)?;
        let mut publications: BTreeMap<(&AgencyId, Quarter), _> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for SharingAsk { holder, item } in asks.iter().copied() {
            match item {
                Item::Theme(id) => _ = ids.insert(id),
                Item::Table(quarter, _) => {
                    if let Entry::Vacant(place) = publications.entry((holder, *quarter)) {
                        place.insert(unless_store(publication(reads, holder, *quarter).await)?);
                    }
                }
            }
        }
        let themes = if ids.is_empty() { BTreeMap::new() } else { themes::confirmed(node, reads, &ids).await? };
        let mut found = BTreeMap::new();
        for ask in asks {
            let read = match &ask.item {
                Item::Theme(id) => theme(&themes, &ask.holder, id),
                Item::Table(quarter, id) => match publications.get(&(&ask.holder, *quarter)) {
                    Some(Err(error)) => Err(error.clone()),
                    Some(Ok(published)) => Ok(table(published.as_ref(), *quarter, id)),
                    None => Ok(table(None, *quarter, id)),
                },
            };
            found.insert(ask.clone(), read);
        }
        Ok(Self { agreements, found })
    }

    /// What one of the asks is decided on.
    pub(in crate::exchange) fn asked(
        &self,
        requester: Requester,
        request_id: RequestId,
        ask: &SharingAsk,
        at: Instant,
    ) -> Result<Asked> {
        let agreements = self.agreements.clone()?;
        let in_force = agreements.iter();
        let in_force = in_force.map(|one| InForce { id: one.id().clone(), digest: one.digest() }).collect();
        let unread = || Err(Error::Internal("an ask was not read for"));
        let (wanted, content) = self.found.get(ask).cloned().unwrap_or_else(unread)?;
        let facts = SharingFacts { format: 1, at, requester, request_id, holder: ask.holder.clone(), wanted, in_force };
        Ok(Asked { facts, agreements, content })
    }
}

/// What the store did not do is everybody's error; anything else is that of those who asked.
fn unless_store<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(Error::Store(error)) => Err(Error::Store(error)),
        other => Ok(other),
    }
}

/// What a holder published of a quarter, as far as an ask reads it.
async fn publication(reads: &mut Reads, holder: &AgencyId, quarter: Quarter) -> Result<Option<(Published, Tables)>> {
    let Some(row) = reads.publication(holder, quarter).await? else { return Ok(None) };
    let tables = Tables::read(&row.tables).filter(|tables| tables.digest() == row.digest);
    let tables = tables.ok_or(Error::Internal("a publication is not what was published"))?;
    Ok(Some((Published { at: row.published_at, rule: row.rule, digest: row.digest }, tables)))
}

fn table(published: Option<&(Published, Tables)>, quarter: Quarter, id: &str) -> Found {
    let found = published.and_then(|(published, tables)| {
        let (digest, table) = tables.find(id)?;
        Some((Published { digest: *digest, ..*published }, (*digest, Shared::Table(table.clone()))))
    });
    let (published, content) = found.unzip();
    (Wanted::Table { quarter, table: id.to_owned(), published }, content)
}

/// Another holder's theme of this id is none of this one's.
fn theme(confirmed: &BTreeMap<ThemeId, Result<themes::Confirmed>>, holder: &AgencyId, id: &ThemeId) -> Result<Found> {
    let found = match confirmed.get(id) {
        Some(Err(error)) => return Err(error.clone()),
        Some(Ok(found)) if found.holder == *holder => Some((found.shared.clone(), found.content.clone())),
        Some(Ok(_)) | None => None,
    };
    let (shared, content) = found.unzip();
    Ok((Wanted::Theme { theme: id.clone(), shared }, content))
}
