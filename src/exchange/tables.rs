//! A publication's tables as messages: encoded once, then stored, hashed and handed out as those bytes.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::domain::{AgencyId, Digest, Quarter};
use crate::menu::{Axis, MENU};
use crate::proto::v1::{StatisticsAxis, StatisticsCell, StatisticsTable, StatisticsValue};
use crate::statistics::{Publication, Published, Rule};

/// The tables of one publication, each with its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables(Vec<(Digest, StatisticsTable)>);

fn sum(bytes: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(sum)
}

impl Tables {
    /// What was published, with what stands above, beside and below the numbers.
    pub(super) fn new(holder: &AgencyId, quarter: Quarter, rule: &Rule, published: &Publication) -> Self {
        let pairs = MENU.menu().tables().iter().zip(&published.tables);
        let tables = pairs.map(|(described, cells)| StatisticsTable {
            holder: holder.to_string(),
            quarter: quarter.to_string(),
            id: described.id.clone(),
            title: described.title.clone(),
            axes: described.over.iter().filter_map(|place| MENU.axes().get(*place)).map(axis).collect(),
            cells: cells.iter().map(cell).collect(),
            rule: rule.to_string(),
        });
        Self(tables.map(with_digest).collect())
    }

    /// From the bytes that were stored; none if they are not what was stored.
    pub fn read(mut stored: &[u8]) -> Option<Self> {
        let mut tables = Vec::new();
        while !stored.is_empty() {
            tables.push(with_digest(StatisticsTable::decode_length_delimited(&mut stored).ok()?));
        }
        Some(Self(tables))
    }

    /// All of them as bytes, each with its length.
    pub(super) fn encoded(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(_, table)| table.encode_length_delimited_to_vec()).collect()
    }

    /// SHA-256 over all of them.
    pub(super) fn digest(&self) -> Digest {
        sum(&self.encoded())
    }

    /// Each with its digest, in the menu's order.
    pub fn all(&self) -> &[(Digest, StatisticsTable)] {
        &self.0
    }

    /// One of them.
    pub(super) fn find(&self, id: &str) -> Option<&(Digest, StatisticsTable)> {
        self.0.iter().find(|(_, table)| table.id == id)
    }
}

fn with_digest(table: StatisticsTable) -> (Digest, StatisticsTable) {
    (sum(&table.encode_to_vec()), table)
}

fn axis(axis: &Axis) -> StatisticsAxis {
    let value = |(id, title): &(String, String)| StatisticsValue { id: id.clone(), title: title.clone() };
    StatisticsAxis { id: axis.id.clone(), title: axis.title.clone(), values: axis.values.iter().map(value).collect() }
}

fn cell(published: &Published) -> StatisticsCell {
    let organisations = match published {
        Published::Count(count) => i64::try_from(*count).ok(),
        Published::Suppressed => None,
    };
    StatisticsCell { organisations }
}
