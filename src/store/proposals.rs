//! Proposals: what they say, answers, messages and attachments, each sealed under the proposal's own data key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    AgencyId, AttachedFile, Concluded, Digest, IncidentId, Instant, OfficerId, Proposal, ProposalAnswer, ProposalId,
    ProposalKind, ProposalMessage, ProposalOutcome, ProposalPut, ProposalText, ProposalWords, Purpose, SaidBy,
};
use crate::seal::{DataKey, Seal};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json};

const PROPOSAL: Table = Table {
    name: "proposal",
    columns: &["id", "opener", "kind", "is_document", "incident_id", "opened_at", "wrapped_key"],
    keep_existing: false,
};
const TEXT: Table = Table {
    name: "proposal_text",
    columns: &["proposal_id", "version", "sealed", "digest", "written_by"],
    keep_existing: false,
};
const PUT: Table = Table {
    name: "proposal_put",
    columns: &["proposal_id", "agency", "version", "purpose", "answer_by", "put_at"],
    keep_existing: false,
};
const ANSWER: Table = Table {
    name: "proposal_answer",
    columns: &["proposal_id", "agency", "number", "version", "answer", "sealed", "answered_at"],
    keep_existing: false,
};
const MESSAGE: Table = Table {
    name: "proposal_message",
    columns: &["proposal_id", "agency", "number", "sender", "sealed", "attached_bytes", "sent_at"],
    keep_existing: false,
};
const ATTACHMENT: Table = Table {
    name: "proposal_attachment",
    columns: &["proposal_id", "agency", "number", "place", "sealed"],
    keep_existing: false,
};

/// The most messages that are read at once: of a proposal that was put to five agencies, all.
const MOST_READ: i64 = 1_000;

/// The key of what is said of one proposal.
pub struct ProposalKey(DataKey);

impl std::fmt::Debug for ProposalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProposalKey(..)")
    }
}

/// A proposal as stored.
#[derive(Debug)]
pub struct ProposalRow {
    /// The proposal.
    pub proposal: Proposal,
    /// The key of what is said of it. None: erased.
    pub key: Option<ProposalKey>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    opener: String,
    kind: String,
    is_document: i64,
    incident_id: Option<String>,
    opened_at: i64,
    wrapped_key: Option<Vec<u8>>,
    outcome: Option<String>,
    why: Option<Vec<u8>>,
    concluded_by: Option<String>,
    concluded_at: Option<i64>,
    published_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct TextRow {
    proposal_id: String,
    version: i64,
    digest: Vec<u8>,
    written_by: String,
}

#[derive(sqlx::FromRow)]
struct PutRow {
    proposal_id: String,
    agency: String,
    version: i64,
    purpose: Option<String>,
    answer_by: Option<i64>,
    put_at: i64,
}

#[derive(sqlx::FromRow)]
struct AnswerRow {
    proposal_id: String,
    agency: String,
    number: i64,
    version: i64,
    answer: String,
    answered_at: i64,
}

#[derive(sqlx::FromRow)]
struct MessageRow {
    agency: String,
    number: i64,
    sender: String,
    sealed: Vec<u8>,
    sent_at: i64,
}

/// What is sealed of a message.
#[derive(Serialize, Deserialize)]
struct SealedMessage {
    said: SaidBy,
    files: Vec<AttachedFile>,
}

pub(super) fn key_name(id: &str) -> String {
    format!("proposal {id}")
}

impl ProposalKey {
    fn seal(&self, id: &str, what: &[&str], plain: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.seal(&[&[id], what].concat(), plain)?)
    }

    fn seal_json<T: Serialize>(&self, id: &str, what: &[&str], value: &T) -> Result<Vec<u8>> {
        self.seal(id, what, to_json("proposal", value)?.as_bytes())
    }

    fn open(&self, id: &str, what: &[&str], sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.open(&[&[id], what].concat(), sealed)?)
    }

    fn open_json<T: serde::de::DeserializeOwned>(&self, id: &str, what: &[&str], sealed: &[u8]) -> Result<T> {
        let plain = self.open(id, what, sealed)?;
        from_json("proposal", id, &String::from_utf8_lossy(&plain))
    }
}

fn text(row: TextRow) -> Result<ProposalText> {
    let TextRow { proposal_id, version, digest, written_by } = row;
    let wrong = || inconsistent("proposal_text", &proposal_id, "its digest has the wrong length");
    Ok(ProposalText {
        version,
        words: None,
        digest: Digest::from_slice(&digest).ok_or_else(wrong)?,
        written_by: OfficerId::known(written_by),
    })
}

fn put(row: PutRow) -> ProposalPut {
    ProposalPut {
        agency: AgencyId::known(row.agency),
        version: row.version,
        purpose: row.purpose.map(Purpose::known),
        answer_by: row.answer_by.map(Instant::from_micros),
        at: Instant::from_micros(row.put_at),
    }
}

fn answer(row: AnswerRow) -> ProposalAnswer {
    ProposalAnswer {
        said: None,
        agency: AgencyId::known(row.agency),
        number: row.number,
        version: row.version,
        word: row.answer,
        at: Instant::from_micros(row.answered_at),
    }
}

fn concluded(row: &Row, key: Option<&ProposalKey>) -> Result<Option<Concluded>> {
    let wrong = |problem: &str| inconsistent("proposal", &row.id, problem);
    let (Some(outcome), Some(by), Some(at)) = (&row.outcome, &row.concluded_by, row.concluded_at) else {
        return Ok(None);
    };
    let why = match (key, &row.why) {
        (Some(key), Some(sealed)) => key.open_json(&row.id, &["why"], sealed)?,
        _ => String::new(),
    };
    Ok(Some(Concluded {
        outcome: ProposalOutcome::parse(outcome.as_str()).map_err(|_| wrong("has an unknown outcome"))?,
        why,
        by: OfficerId::known(by.as_str()),
        at: Instant::from_micros(at),
    }))
}

fn assembled(row: Row, seal: &Seal) -> Result<ProposalRow> {
    let unwrap = |wrapped: &Vec<u8>| seal.unwrap_key(&key_name(&row.id), wrapped).map(ProposalKey);
    let key = row.wrapped_key.as_ref().map(unwrap).transpose()?;
    let proposal = Proposal {
        concluded: concluded(&row, key.as_ref())?,
        id: ProposalId::known(row.id),
        opener: AgencyId::known(row.opener),
        kind: ProposalKind::known(row.kind),
        is_document: row.is_document != 0,
        incident: row.incident_id.map(IncidentId::known),
        opened_at: Instant::from_micros(row.opened_at),
        texts: Vec::new(),
        puts: Vec::new(),
        answers: Vec::new(),
        published_at: row.published_at.map(Instant::from_micros),
        is_erased: key.is_none(),
    };
    Ok(ProposalRow { proposal, key })
}

impl Reads {
    /// Proposals by their ids, whosever they are, without messages; texts and what goes with answers are left sealed.
    pub async fn proposals(&mut self, ids: &[ProposalId], seal: &Seal) -> Result<Vec<ProposalRow>> {
        let set = key_set(ids.iter().map(ProposalId::as_str));
        let found = rows!(self, sql::PROPOSALS_BY_ID, Row, set.as_str());
        let texts = rows!(self, sql::PROPOSAL_TEXTS, TextRow, set.as_str());
        let puts = rows!(self, sql::PROPOSAL_PUTS, PutRow, set.as_str());
        let answers = rows!(self, sql::PROPOSAL_ANSWERS, AnswerRow, set.as_str());
        let mut all = BTreeMap::new();
        for row in found {
            all.insert(row.id.clone(), assembled(row, seal)?);
        }
        for row in texts {
            let Some(of) = all.get_mut(&row.proposal_id) else { continue };
            of.proposal.texts.push(text(row)?);
        }
        for row in puts {
            let Some(of) = all.get_mut(&row.proposal_id) else { continue };
            of.proposal.puts.push(put(row));
        }
        for row in answers {
            let Some(of) = all.get_mut(&row.proposal_id) else { continue };
            of.proposal.answers.push(answer(row));
        }
        Ok(all.into_values().collect())
    }

    /// One of them, with all that was said in texts and answers.
    pub async fn proposal(&mut self, id: &ProposalId, seal: &Seal) -> Result<Option<ProposalRow>> {
        let Some(mut found) = self.proposals(std::slice::from_ref(id), seal).await?.pop() else { return Ok(None) };
        self.open_proposal_texts(&mut found, 0).await?;
        let ProposalRow { proposal, key: Some(key) } = &mut found else { return Ok(Some(found)) };
        for (agency, number, sealed) in rows!(self, sql::PROPOSAL_SAID, (String, i64, Vec<u8>), id.as_str()) {
            let is_it = |answer: &&mut ProposalAnswer| answer.number == number && answer.agency.as_str() == agency;
            let Some(answer) = proposal.answers.iter_mut().find(is_it) else { continue };
            answer.said = key.open_json(id.as_str(), &["answer", &agency, &number.to_string()], &sealed)?;
        }
        Ok(Some(found))
    }

    /// Opens one version of its text, or every one (0), unless it was erased.
    pub async fn open_proposal_texts(&mut self, of: &mut ProposalRow, version: i64) -> Result<()> {
        let ProposalRow { proposal, key: Some(key) } = of else { return Ok(()) };
        let id = proposal.id.as_str();
        for (version, sealed) in rows!(self, sql::PROPOSAL_WORDS, (i64, Vec<u8>), id, version) {
            let Some(text) = proposal.texts.iter_mut().find(|text| text.version == version) else { continue };
            text.words = key.open_json(id, &["text", &version.to_string()], &sealed)?;
        }
        Ok(())
    }

    /// The ids of what an agency opened, after an id; of one kind, or of all (`kind` is empty); maybe documents alone.
    pub async fn proposals_opened(
        &mut self,
        opener: &AgencyId,
        kind: &str,
        documents: bool,
        after: &str,
        most: i64,
    ) -> Result<Vec<ProposalId>> {
        let found =
            rows!(self, sql::PROPOSALS_OPENED, (String,), opener.as_str(), kind, i64::from(documents), after, most);
        Ok(found.into_iter().map(|(id,)| ProposalId::known(id)).collect())
    }

    /// The same of what was put to another agency.
    pub async fn proposals_put_to(
        &mut self,
        agency: &AgencyId,
        opener: &AgencyId,
        kind: &str,
        documents: bool,
        after: &str,
        most: i64,
    ) -> Result<Vec<ProposalId>> {
        let (agency, opener, documents) = (agency.as_str(), opener.as_str(), i64::from(documents));
        let found = rows!(self, sql::PROPOSALS_PUT_TO, (String,), opener, kind, documents, after, agency, most);
        Ok(found.into_iter().map(|(id,)| ProposalId::known(id)).collect())
    }

    /// The messages with one agency, or with all (none named).
    pub async fn proposal_messages(
        &mut self,
        id: &ProposalId,
        key: &ProposalKey,
        agency: Option<&AgencyId>,
    ) -> Result<Vec<ProposalMessage>> {
        let (id, agency) = (id.as_str(), agency.map_or("", AgencyId::as_str));
        let found = rows!(self, sql::PROPOSAL_MESSAGES, MessageRow, id, agency, MOST_READ);
        let message = |row: MessageRow| {
            let what = ["message", row.agency.as_str(), &row.number.to_string()];
            let SealedMessage { said, files } = key.open_json(id, &what, &row.sealed)?;
            let (agency, sender) = (AgencyId::known(row.agency), AgencyId::known(row.sender));
            let at = Instant::from_micros(row.sent_at);
            Ok(ProposalMessage { agency, number: row.number, sender, said, files, at })
        };
        found.into_iter().map(message).collect()
    }

    /// How many messages passed between the opener and an agency, and how many bytes with them.
    pub async fn proposal_exchanged(&mut self, id: &ProposalId, agency: &AgencyId) -> Result<(i64, i64)> {
        let found = row!(self, sql::PROPOSAL_EXCHANGED, (i64, i64), id.as_str(), agency.as_str());
        Ok(found.unwrap_or_default())
    }

    /// The content of an attachment.
    pub async fn proposal_attachment(
        &mut self,
        id: &ProposalId,
        key: &ProposalKey,
        agency: &AgencyId,
        number: i64,
        place: i64,
    ) -> Result<Option<Vec<u8>>> {
        let (id, agency) = (id.as_str(), agency.as_str());
        let found = row!(self, sql::PROPOSAL_ATTACHMENT, (Vec<u8>,), id, agency, number, place);
        let what = ["attachment", agency, &number.to_string(), &place.to_string()];
        found.map(|(sealed,)| key.open(id, &what, &sealed)).transpose()
    }

    /// The proposals about an incident that are not erased.
    pub async fn proposals_about(&mut self, incident: &IncidentId) -> Result<Vec<ProposalId>> {
        let found = rows!(self, sql::PROPOSALS_ABOUT, (String,), incident.as_str());
        Ok(found.into_iter().map(|(id,)| ProposalId::known(id)).collect())
    }
}

impl Write {
    /// Adds a proposal with its first text.
    pub(crate) fn proposal(proposal: &Proposal, seal: &Seal) -> Result<Vec<Self>> {
        let (key, wrapped) = seal.new_key(&key_name(proposal.id.as_str()))?;
        let row = vec![
            proposal.id.as_str().into(),
            proposal.opener.as_str().into(),
            proposal.kind.as_str().into(),
            i64::from(proposal.is_document).into(),
            proposal.incident.as_ref().map(ToString::to_string).into(),
            proposal.opened_at.micros().into(),
            wrapped.into(),
        ];
        let key = ProposalKey(key);
        let texts = proposal.texts.iter().map(|text| Self::proposal_text(&proposal.id, text, &key));
        std::iter::once(Ok(Self::insert(&PROPOSAL, row))).chain(texts).collect()
    }

    /// Adds a version of its text.
    pub(crate) fn proposal_text(id: &ProposalId, text: &ProposalText, key: &ProposalKey) -> Result<Self> {
        let id = id.as_str();
        let words: Option<&ProposalWords> = text.words.as_ref();
        let row = vec![
            id.into(),
            text.version.into(),
            key.seal_json(id, &["text", &text.version.to_string()], &words)?.into(),
            text.digest.as_bytes().to_vec().into(),
            text.written_by.as_str().into(),
        ];
        Ok(Self::insert(&TEXT, row))
    }

    /// Notes that a version was put to an agency.
    pub(crate) fn proposal_put(id: &ProposalId, put: &ProposalPut) -> Self {
        let row = vec![
            id.as_str().into(),
            put.agency.as_str().into(),
            put.version.into(),
            put.purpose.as_ref().map(ToString::to_string).into(),
            put.answer_by.map(Instant::micros).into(),
            put.at.micros().into(),
        ];
        Self::insert(&PUT, row)
    }

    /// Adds an answer.
    pub(crate) fn proposal_answer(id: &ProposalId, answer: &ProposalAnswer, key: &ProposalKey) -> Result<Self> {
        let (id, agency) = (id.as_str(), answer.agency.as_str());
        let row = vec![
            id.into(),
            agency.into(),
            answer.number.into(),
            answer.version.into(),
            answer.word.as_str().into(),
            key.seal_json(id, &["answer", agency, &answer.number.to_string()], &answer.said)?.into(),
            answer.at.micros().into(),
        ];
        Ok(Self::insert(&ANSWER, row))
    }

    /// Adds a message with the content of its files, in their order.
    pub(crate) fn proposal_message(
        id: &ProposalId,
        message: &ProposalMessage,
        contents: &[Vec<u8>],
        key: &ProposalKey,
    ) -> Result<Vec<Self>> {
        let (id, agency, number) = (id.as_str(), message.agency.as_str(), message.number);
        let sealed = SealedMessage { said: message.said.clone(), files: message.files.clone() };
        let row = vec![
            id.into(),
            agency.into(),
            number.into(),
            message.sender.as_str().into(),
            key.seal_json(id, &["message", agency, &number.to_string()], &sealed)?.into(),
            message.files.iter().map(|file| file.size_bytes).sum::<i64>().into(),
            message.at.micros().into(),
        ];
        let mut writes = vec![Self::insert(&MESSAGE, row)];
        for (place, content) in (1_i64..).zip(contents) {
            let what = ["attachment", agency, &number.to_string(), &place.to_string()];
            let sealed = key.seal(id, &what, content)?;
            let row = vec![id.into(), agency.into(), number.into(), place.into(), sealed.into()];
            writes.push(Self::insert(&ATTACHMENT, row));
        }
        Ok(writes)
    }

    /// Notes how a proposal ended, once.
    pub(crate) fn proposal_concluded(id: &ProposalId, concluded: &Concluded, key: &ProposalKey) -> Result<Self> {
        let cells = vec![
            concluded.outcome.as_str().into(),
            key.seal_json(id.as_str(), &["why"], &concluded.why)?.into(),
            concluded.by.as_str().into(),
            concluded.at.micros().into(),
            id.as_str().into(),
        ];
        Ok(Self::change_one("proposal", sql::CONCLUDE_PROPOSAL, cells))
    }

    /// Notes that its text was published, once.
    pub(crate) fn proposal_published(id: &ProposalId, at: Instant) -> Self {
        Self::change_one("proposal", sql::PUBLISH_PROPOSAL, vec![at.micros().into(), id.as_str().into()])
    }

    /// Erases all that was said of these proposals: their keys, and what these sealed. That they were there, to whom
    /// they were put and what came of them stays.
    pub(crate) fn erase_proposals(ids: &[ProposalId]) -> Vec<Self> {
        let set = key_set(ids.iter().map(ProposalId::as_str));
        let any = |table, sql| Self::change_any(table, sql, vec![set.as_str().into()]);
        vec![
            any("proposal", sql::ERASE_PROPOSALS),
            any("proposal_text", sql::ERASE_PROPOSAL_TEXTS),
            any("proposal_answer", sql::ERASE_PROPOSAL_ANSWERS),
            any("proposal_message", sql::ERASE_PROPOSAL_MESSAGES),
            any("proposal_attachment", sql::ERASE_PROPOSAL_ATTACHMENTS),
            any("event", sql::DROP_PROPOSALS_EVENTS),
        ]
    }
}
