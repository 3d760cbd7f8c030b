//! The ledger's rows: sealing an entry's openings and facts, and making receipts of stored entries.

use prost::Message;

use crate::domain::{AgencyId, Instant};
use crate::ledger::{Draft, Entry, Growth, Kind, Nodes, Slots, prove_consistency, prove_inclusion};
use crate::proto::v1::{Opening, Receipt};
use crate::seal::Seal;

use super::write::Cell;
use super::{Reads, Result, Tx, inconsistent, index, on, row, rows, sql, stored};

/// An entry as it will be stored.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) index: u64,
    kind: i32,
    at: Instant,
    leaf: Vec<u8>,
    hashes: Vec<u8>,
    wrapped_key: Vec<u8>,
    openings: Vec<u8>,
    facts: Option<Vec<u8>>,
    pub(super) parties: Vec<(AgencyId, Slots)>,
}

pub(super) fn key_name(index: u64) -> String {
    format!("entry {index}")
}

/// The openings of one entry, as sealed beside it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Openings {
    #[prost(message, repeated, tag = "1")]
    pub(super) all: Vec<Opening>,
}

impl EntryRow {
    pub(super) fn seal(
        index: u64,
        draft: &Draft,
        entry: &Entry,
        hashes: Vec<u8>,
        facts: Option<&[u8]>,
        seal: &Seal,
    ) -> Result<Self> {
        let name = key_name(index);
        let (key, wrapped_key) = seal.new_key(&name)?;
        let openings = Openings { all: draft.openings(Slots::ALL) }.encode_to_vec();
        Ok(Self {
            index,
            kind: draft.kind as i32,
            at: entry.at,
            leaf: entry.leaf.clone(),
            hashes,
            wrapped_key,
            openings: key.seal(&[&name, "openings"], &openings)?,
            facts: facts.map(|facts| key.seal(&[&name, "facts"], facts)).transpose()?,
            parties: draft.parties.clone(),
        })
    }

    pub(super) fn into_cells(self) -> Vec<Cell> {
        vec![
            stored(self.index).into(),
            i64::from(self.kind).into(),
            self.at.micros().into(),
            self.leaf.into(),
            self.hashes.into(),
            self.wrapped_key.into(),
            self.openings.into(),
            self.facts.into(),
        ]
    }
}

/// An entry as one party may see it.
#[derive(Debug, sqlx::FromRow)]
pub struct StoredEntry {
    idx: i64,
    leaf: Vec<u8>,
    wrapped_key: Option<Vec<u8>>,
    openings: Vec<u8>,
    slots: i64,
}

#[derive(sqlx::FromRow)]
struct NodeRow {
    idx: i64,
    hashes: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct CheckpointRow {
    size: i64,
    note: String,
}

#[derive(sqlx::FromRow)]
struct HeadRow {
    size: i64,
    at: i64,
    frontier: Vec<u8>,
}

/// The ledger's present end.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) growth: Growth,
    pub(super) at: Instant,
}

impl Reads {
    pub(super) async fn head(&mut self) -> Result<Head> {
        let head = row!(self, sql::HEAD, HeadRow).ok_or_else(|| inconsistent("ledger_head", "1", "is missing"))?;
        let growth = Growth::from_frontier(index(head.size), &head.frontier)?;
        Ok(Head { growth, at: Instant::from_micros(head.at) })
    }

    /// The number of entries, and when the last one took effect.
    pub async fn size(&mut self) -> Result<(u64, Instant)> {
        let head = self.head().await?;
        Ok((head.growth.size(), head.at))
    }

    /// How many of the entries from an index on took effect at some time or later, by kind.
    pub async fn kinds_since(&mut self, from: u64, at: Instant) -> Result<Vec<(Kind, u64)>> {
        let found = rows!(self, sql::KINDS_SINCE, (i64, i64), stored(from), at.micros());
        let kind = |number: i64| i32::try_from(number).ok().and_then(|number| Kind::try_from(number).ok());
        Ok(found.into_iter().map(|(number, count)| (kind(number).unwrap_or_default(), index(count))).collect())
    }

    /// The database's own clock, where it is another machine's.
    pub async fn database_time(&mut self) -> Result<Option<Instant>> {
        let found = row!(self, sql::DATABASE_TIME, (Option<i64>,));
        Ok(found.and_then(|(at,)| at).map(Instant::from_micros))
    }

    /// The latest signed checkpoint.
    pub async fn last_checkpoint(&mut self) -> Result<Option<(u64, String)>> {
        let found = row!(self, sql::LAST_CHECKPOINT, CheckpointRow);
        Ok(found.map(|row| (index(row.size), row.note)))
    }

    /// One entry, if the agency is a party to it.
    pub(super) async fn entry_for(&mut self, agency: &AgencyId, at: u64) -> Result<Option<StoredEntry>> {
        Ok(row!(self, sql::ENTRY_FOR, StoredEntry, agency.as_str(), stored(at)))
    }

    /// The receipts of the agency's entries from an index on.
    pub async fn receipts_from(
        &mut self,
        origin: &str,
        agency: &AgencyId,
        from: u64,
        most: i64,
        seal: &Seal,
    ) -> Result<Vec<Receipt>> {
        let entries = rows!(self, sql::ENTRIES_FOR, StoredEntry, agency.as_str(), stored(from), most);
        let mut receipts = Vec::new();
        for entry in entries {
            receipts.push(receipt(self, origin, entry, seal).await?);
        }
        Ok(receipts)
    }

    /// The proof that entry `at` is in the tree of `size`.
    pub async fn inclusion(&mut self, size: u64, at: u64) -> Result<Vec<Vec<u8>>> {
        let (needed, prove) = prove_inclusion(size, at);
        Ok(prove(&self.nodes(&needed).await?)?)
    }

    /// The proof that the tree of `from` is a prefix of the tree of `size`.
    pub async fn consistency(&mut self, size: u64, from: u64) -> Result<Vec<Vec<u8>>> {
        let (needed, prove) = prove_consistency(size, from);
        Ok(prove(&self.nodes(&needed).await?)?)
    }

    async fn nodes(&mut self, needed: &[u64]) -> Result<Nodes> {
        let set = needed.iter().copied().collect::<serde_json::Value>().to_string();
        let mut nodes = Nodes::default();
        for row in rows!(self, sql::NODES, NodeRow, set) {
            nodes.add_row(index(row.idx), &row.hashes);
        }
        Ok(nodes)
    }
}

/// The receipt of a stored entry against the latest checkpoint.
pub(super) async fn receipt(reads: &mut Reads, origin: &str, entry: StoredEntry, seal: &Seal) -> Result<Receipt> {
    let missing = || inconsistent("checkpoint", "last", "is missing");
    let (size, checkpoint) = reads.last_checkpoint().await?.ok_or_else(missing)?;
    let at = index(entry.idx);
    let name = key_name(at);
    let openings = match &entry.wrapped_key {
        Some(wrapped) => {
            let plain = seal.unwrap_key(&name, wrapped)?.open(&[&name, "openings"], &entry.openings)?;
            let all = Openings::decode(plain.as_slice()).map_err(|e| inconsistent("entry", name, e))?.all;
            crate::ledger::visible(all, Slots::from_bits(entry.slots))
        }
        // Erased: the entry still verifies, and says nothing any more.
        None => Vec::new(),
    };
    Ok(Receipt {
        origin: origin.to_owned(),
        index: at,
        entry: entry.leaf,
        openings,
        inclusion: reads.inclusion(size, at).await?,
        checkpoint,
    })
}
