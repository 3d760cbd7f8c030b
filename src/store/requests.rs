//! Calls that were done, and the questions that asks put.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::decision::Basis;
use crate::domain::{
    AgencyId, CallKey, Category, ClauseId, Digest, Instant, Purpose, Question, RequestId, Requester, Subject, Unit,
    Urgency,
};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, index, key_set, on, rows, sql, stored, to_json};

const CALL: Table = Table {
    name: "call",
    columns: &["key", "digest", "idx", "object", "version", "at", "answer"],
    keep_existing: false,
};
const REQUEST: Table = Table {
    name: "request",
    columns: &[
        "id",
        "holder",
        "requester",
        "purpose",
        "form",
        "categories",
        "wrapped_key",
        "subject",
        "created_at",
        "open_until",
        "urgency",
        "unit",
        "pseudonym",
    ],
    keep_existing: false,
};
const REQUEST_IDENTIFIER: Table =
    Table { name: "request_identifier", columns: &["lookup", "request_id"], keep_existing: true };

/// What an ask came to, as kept for its repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Answer {
    /// Content was released, resting on these.
    Released {
        /// One for each incident.
        basis: Vec<Basis>,
    },
    /// Nothing was released.
    Open,
    /// A table of a publication was shared.
    Shared {
        /// Its digest.
        digest: Digest,
        /// The clauses under which it was.
        clauses: BTreeSet<ClauseId>,
    },
    /// There was no such table.
    NotPublished {
        /// The same in words.
        explanation: String,
    },
    /// The agreements did not allow it.
    NotCovered {
        /// The reason.
        reason: String,
        /// The same in words.
        explanation: String,
    },
}

impl Answer {
    /// What every requester may know of it, in a word.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Released { .. } | Self::Shared { .. } => "released",
            Self::Open => "open",
            Self::NotPublished { .. } => "not_published",
            Self::NotCovered { .. } => "not_covered",
        }
    }
}

/// A call that was done.
#[derive(Debug, Clone)]
pub struct KnownCall {
    /// Its key in the store.
    pub key: String,
    /// The digest of what was called.
    pub digest: Digest,
    /// Its entry.
    pub index: u64,
    /// The record that it made or changed.
    pub object: String,
    /// That record's version after it.
    pub version: i64,
    /// When it took effect.
    pub at: Instant,
    /// For an ask: what it came to.
    pub answer: Option<Answer>,
}

impl KnownCall {
    /// The idempotency key that the caller gave.
    pub fn request_id(&self) -> &str {
        self.key.rsplit(' ').next().unwrap_or_default()
    }
}

/// A question to a holder, as stored.
#[derive(Debug, Clone)]
pub struct QuestionRow {
    /// Its id.
    pub id: Question,
    /// The agency asked.
    pub holder: AgencyId,
    /// The officer who put it first, as far as another agency may know.
    pub requester: Requester,
    /// The purpose.
    pub purpose: Purpose,
    /// The form.
    pub form: String,
    /// The categories wanted.
    pub categories: BTreeSet<Category>,
    /// What it is about.
    pub subject: Subject,
    /// The requester's own case number.
    pub external_ref: String,
    /// When it was first put.
    pub created_at: Instant,
    /// Until when it may be put again.
    pub open_until: Instant,
    /// How soon an answer is needed.
    pub urgency: Urgency,
    /// When the holder offered to release.
    pub offered_at: Option<Instant>,
    /// When the holder decided not to offer.
    pub declined_at: Option<Instant>,
}

#[derive(sqlx::FromRow)]
struct CallRow {
    key: String,
    digest: Vec<u8>,
    idx: i64,
    object: String,
    version: i64,
    at: i64,
    answer: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    requester: String,
    purpose: String,
    form: String,
    categories: String,
    wrapped_key: Option<Vec<u8>>,
    subject: Vec<u8>,
    created_at: i64,
    open_until: i64,
    urgency: String,
    unit: String,
    pseudonym: String,
    offered_at: Option<i64>,
    declined_at: Option<i64>,
}

/// What is sealed of a question.
#[derive(Serialize, Deserialize)]
struct Sealed {
    subject: Subject,
    external_ref: String,
}

/// A call's key in the store. None of the parts can hold a space.
fn call_key(agency: &AgencyId, method: &str, request_id: &RequestId) -> String {
    format!("{agency} {method} {request_id}")
}

impl CallKey {
    /// The key in the store.
    pub(crate) fn stored(&self) -> String {
        call_key(&self.agency, self.method, &self.request_id)
    }
}

pub(super) fn key_name(id: &str) -> String {
    format!("request {id}")
}

fn call(row: CallRow) -> Result<KnownCall> {
    let wrong = || inconsistent("call", &row.key, "its digest has not 32 bytes");
    Ok(KnownCall {
        digest: Digest::from_slice(&row.digest).ok_or_else(wrong)?,
        index: index(row.idx),
        object: row.object,
        version: row.version,
        at: Instant::from_micros(row.at),
        answer: row.answer.as_deref().map(|text| from_json("call", &row.key, text)).transpose()?,
        key: row.key,
    })
}

fn question(row: Row, seal: &Seal) -> Result<QuestionRow> {
    let name = key_name(&row.id);
    let wrapped = row.wrapped_key.ok_or_else(|| inconsistent("request", &row.id, "was erased"))?;
    let plain = seal.unwrap_key(&name, &wrapped)?.open(&[&name], &row.subject)?;
    let sealed: Sealed = from_json("request", &row.id, &String::from_utf8_lossy(&plain))?;
    Ok(QuestionRow {
        categories: from_json("request", &row.id, &row.categories)?,
        urgency: Urgency::parse(&row.urgency).map_err(|e| inconsistent("request", &row.id, e))?,
        id: Question::known(row.id),
        holder: AgencyId::known(row.holder),
        requester: Requester {
            agency: AgencyId::known(row.requester),
            unit: Unit::known(row.unit),
            pseudonym: row.pseudonym,
        },
        purpose: Purpose::known(row.purpose),
        form: row.form,
        subject: sealed.subject,
        external_ref: sealed.external_ref,
        created_at: Instant::from_micros(row.created_at),
        open_until: Instant::from_micros(row.open_until),
        offered_at: row.offered_at.map(Instant::from_micros),
        declined_at: row.declined_at.map(Instant::from_micros),
    })
}

impl Reads {
    /// Which of these calls were done, by their keys in the store.
    pub(crate) async fn calls(&mut self, keys: &[String]) -> Result<BTreeMap<String, KnownCall>> {
        let set = key_set(keys.iter().map(String::as_str));
        rows!(self, sql::CALLS, CallRow, set).into_iter().map(|row| Ok((row.key.clone(), call(row)?))).collect()
    }

    /// The asks that put a question, oldest first.
    pub async fn asks_of(&mut self, id: &Question) -> Result<Vec<KnownCall>> {
        rows!(self, sql::CALLS_OF_OBJECT, CallRow, id.as_str()).into_iter().map(call).collect()
    }

    /// The entries by which one record was changed, oldest first; at most 200.
    pub async fn changes_of(&mut self, object: &str) -> Result<Vec<u64>> {
        let found = rows!(self, sql::CHANGES_OF_OBJECT, (i64,), object);
        Ok(found.into_iter().map(|(at,)| index(at)).collect())
    }

    /// The asks that put these questions, oldest first.
    pub async fn asks_of_all(&mut self, ids: &[&str]) -> Result<Vec<KnownCall>> {
        let set = key_set(ids.iter().copied());
        rows!(self, sql::CALLS_OF_OBJECTS, CallRow, set).into_iter().map(call).collect()
    }

    /// The questions that name any of these look-up keys and were still open at this time, each once.
    pub async fn questions_naming(&mut self, lookups: &[String], at: Instant, seal: &Seal) -> Result<Vec<QuestionRow>> {
        let set = key_set(lookups.iter().map(String::as_str));
        let mut found = rows!(self, sql::QUESTIONS_NAMING, Row, set, at.micros());
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found.into_iter().map(|row| question(row, seal)).collect()
    }

    /// The questions with these ids, whoever put them.
    pub async fn questions_by_id(&mut self, ids: &[&str], seal: &Seal) -> Result<Vec<QuestionRow>> {
        let set = key_set(ids.iter().copied());
        rows!(self, sql::QUESTIONS_BY_ID, Row, set).into_iter().map(|row| question(row, seal)).collect()
    }

    /// A requester's own questions after an id.
    pub async fn questions(
        &mut self,
        requester: &AgencyId,
        after: &str,
        most: i64,
        seal: &Seal,
    ) -> Result<Vec<QuestionRow>> {
        rows!(self, sql::QUESTIONS, Row, requester.as_str(), after, most)
            .into_iter()
            .map(|row| question(row, seal))
            .collect()
    }
}

impl Write {
    /// Remembers that a call was done.
    pub(crate) fn call(
        key: &CallKey,
        index: u64,
        object: &str,
        version: i64,
        at: Instant,
        answer: Option<&Answer>,
    ) -> Result<Self> {
        let answer = answer.map(|answer| to_json("call", answer)).transpose()?;
        let row = vec![
            key.stored().into(),
            key.digest.as_bytes().to_vec().into(),
            stored(index).into(),
            object.into(),
            version.into(),
            at.micros().into(),
            answer.into(),
        ];
        Ok(Self::insert(&CALL, row))
    }

    /// Adds a question, what it is about sealed.
    pub(crate) fn question(question: &QuestionRow, seal: &Seal) -> Result<Self> {
        let name = key_name(question.id.as_str());
        let (key, wrapped) = seal.new_key(&name)?;
        let record = Sealed { subject: question.subject.clone(), external_ref: question.external_ref.clone() };
        let subject = key.seal(&[&name], to_json("request", &record)?.as_bytes())?;
        let row = vec![
            question.id.as_str().into(),
            question.holder.as_str().into(),
            question.requester.agency.as_str().into(),
            question.purpose.as_str().into(),
            question.form.as_str().into(),
            to_json("request", &question.categories)?.into(),
            wrapped.into(),
            subject.into(),
            question.created_at.micros().into(),
            question.open_until.micros().into(),
            question.urgency.as_str().into(),
            question.requester.unit.as_str().into(),
            question.requester.pseudonym.as_str().into(),
        ];
        Ok(Self::insert(&REQUEST, row))
    }

    /// Makes a question findable by what it names, for records that come later.
    pub(crate) fn named(question: &Question, lookup: &str) -> Self {
        Self::insert(&REQUEST_IDENTIFIER, vec![lookup.into(), question.as_str().into()])
    }

    /// Notes that the holder offered to answer a question.
    pub(crate) fn offered(question: &Question, at: Instant) -> Self {
        let cells = vec![at.micros().into(), question.as_str().into()];
        Self::change_one("request", sql::QUESTION_OFFERED, cells)
    }

    /// Notes that the holder will not offer to answer a question.
    pub(crate) fn declined(question: &Question, at: Instant) -> Self {
        let cells = vec![at.micros().into(), question.as_str().into()];
        Self::change_one("request", sql::QUESTION_DECLINED, cells)
    }
}
