//! What a replay reads: whole entries with all that was sealed beside them, whoever is a party to them.

use prost::Message;

use crate::domain::{Instant, Question};
use crate::proto::v1::Opening;
use crate::seal::{Seal, Unopened};

use super::entries::{Openings, key_name};
use super::{Answer, Reads, Result, Tx, from_json, index, on, row, rows, sql, stored};

/// An entry as stored.
#[derive(Debug)]
pub struct WholeEntry {
    /// Its place in the ledger.
    pub index: u64,
    /// The exact bytes that the tree commits to.
    pub leaf: Vec<u8>,
    /// What was sealed beside it.
    pub inside: Inside,
}

/// What was sealed beside an entry.
pub enum Inside {
    /// It opens.
    Opened {
        /// The openings of all slots.
        openings: Vec<Opening>,
        /// The facts of an ask, as they were written.
        facts: Option<Vec<u8>>,
    },
    /// Its key is gone, for good.
    Erased,
    /// It does not open with this node's secret: it was moved or changed.
    Unopened,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opened { .. } => "Opened(..)",
            Self::Erased => "Erased",
            Self::Unopened => "Unopened",
        })
    }
}

/// What is kept of an ask beside the ledger.
#[derive(Debug)]
pub struct KeptAnswer {
    /// What its repeats are told; none if that cannot be read.
    pub answer: Option<Answer>,
    /// Until when its request may be put again.
    pub open_until: Instant,
}

#[derive(sqlx::FromRow)]
struct Row {
    idx: i64,
    leaf: Vec<u8>,
    wrapped_key: Option<Vec<u8>>,
    openings: Vec<u8>,
    facts: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct AnswerRow {
    answer: Option<String>,
    open_until: i64,
}

impl Row {
    fn open(self, seal: &Seal) -> WholeEntry {
        let index = index(self.idx);
        let name = key_name(index);
        let inside = match &self.wrapped_key {
            None => Inside::Erased,
            Some(wrapped) => self.inside(&name, wrapped, seal).unwrap_or(Inside::Unopened),
        };
        WholeEntry { index, leaf: self.leaf, inside }
    }

    fn inside(&self, name: &str, wrapped: &[u8], seal: &Seal) -> Result<Inside, Unopened> {
        let key = seal.unwrap_key(name, wrapped)?;
        let openings = key.open(&[name, "openings"], &self.openings)?;
        let openings = Openings::decode(openings.as_slice()).map_err(|_| Unopened)?.all;
        let facts = self.facts.as_deref().map(|facts| key.open(&[name, "facts"], facts)).transpose()?;
        Ok(Inside::Opened { openings, facts })
    }
}

impl Reads {
    /// The entries from one index on, before another, at most so many.
    pub async fn whole_entries(&mut self, from: u64, until: u64, most: i64, seal: &Seal) -> Result<Vec<WholeEntry>> {
        let found = rows!(self, sql::WHOLE_ENTRIES, Row, stored(from), stored(until), most);
        Ok(found.into_iter().map(|row| row.open(seal)).collect())
    }

    /// What is kept of the ask for a table with the entry at this index.
    pub async fn kept_telling(&mut self, object: &str, at: u64) -> Result<Option<Answer>> {
        let kept = row!(self, sql::TABLE_ASK_AT, (Option<String>,), object, stored(at));
        Ok(kept.and_then(|(answer,)| from_json("call", object, &answer?).ok()))
    }

    /// What is kept of the ask that put this question with the entry at this index.
    pub async fn kept_answer(&mut self, question: &Question, at: u64) -> Result<Option<KeptAnswer>> {
        let kept = row!(self, sql::ASK_AT, AnswerRow, question.as_str(), stored(at));
        Ok(kept.map(|row| KeptAnswer {
            answer: row.answer.and_then(|text| from_json("call", question.as_str(), &text).ok()),
            open_until: Instant::from_micros(row.open_until),
        }))
    }
}
