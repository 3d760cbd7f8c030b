//! Notices, and what their recipients said.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{Acknowledgement, AgencyId, IncidentId, Instant, Notice, NoticeId, NoticeKind, Said};
use crate::seal::Seal;

use super::disclosures::Rest;
use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, index, key_set, on, row, rows, sql, stored, to_json};

const NOTICE: Table = Table {
    name: "notice",
    columns: &[
        "id",
        "holder",
        "recipient",
        "kind",
        "cause",
        "incident_id",
        "disclosure_id",
        "by_hand",
        "issued_at",
        "due_at",
        "idx",
    ],
    keep_existing: false,
};
const ACKNOWLEDGEMENT: Table = Table {
    name: "notice_acknowledgement",
    columns: &["notice_id", "version", "outcome", "acknowledged_at", "wrapped_key", "sealed"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    cause: String,
    by_hand: i64,
    issued_at: i64,
    due_at: i64,
    entry: i64,
    outcome: Option<String>,
    incident_id: String,
    disclosure_id: String,
    #[sqlx(flatten)]
    about: Rest,
}

#[derive(sqlx::FromRow)]
struct SaidRow {
    notice_id: String,
    version: i64,
    outcome: String,
    acknowledged_at: i64,
    wrapped_key: Option<Vec<u8>>,
    sealed: Vec<u8>,
}

/// What is sealed of an acknowledgement.
#[derive(Default, Serialize, Deserialize)]
struct Sealed {
    reason: String,
    passed_on: BTreeSet<AgencyId>,
}

pub(super) fn key_name(id: &str, version: i64) -> String {
    format!("notice {id} {version}")
}

fn notice(row: Row) -> Result<Notice> {
    Ok(Notice {
        kind: NoticeKind::parse(&row.kind).ok_or_else(|| inconsistent("notice", &row.id, "has an unknown kind"))?,
        id: NoticeId::known(row.id),
        cause: row.cause,
        about: row.about.of(row.incident_id, row.disclosure_id)?,
        by_hand: row.by_hand != 0,
        issued_at: Instant::from_micros(row.issued_at),
        due_at: Instant::from_micros(row.due_at),
        index: index(row.entry),
        outcome: row.outcome,
        acknowledged: Vec::new(),
    })
}

fn acknowledgement(row: SaidRow, seal: &Seal) -> Result<(String, Acknowledgement)> {
    let name = key_name(&row.notice_id, row.version);
    // Erased: what was done is still known, and not why.
    let Sealed { reason, passed_on } = match &row.wrapped_key {
        Some(wrapped) => {
            let plain = seal.unwrap_key(&name, wrapped)?.open(&[&name], &row.sealed)?;
            from_json("notice_acknowledgement", &row.notice_id, &String::from_utf8_lossy(&plain))?
        }
        None => Sealed::default(),
    };
    let said = Said { outcome: row.outcome, reason, passed_on };
    let at = Instant::from_micros(row.acknowledged_at);
    Ok((row.notice_id, Acknowledgement { version: row.version, at, said }))
}

impl Reads {
    /// A notice, whosever it is.
    pub async fn notice(&mut self, id: &NoticeId, seal: &Seal) -> Result<Option<Notice>> {
        let found = row!(self, sql::NOTICE, Row, id.as_str());
        let found = found.map(notice).transpose()?.into_iter().collect();
        Ok(self.with_what_was_said(found, seal).await?.pop())
    }

    /// The notices about these incidents, without what was said.
    pub async fn notices_of(&mut self, incidents: &[&IncidentId]) -> Result<Vec<Notice>> {
        let set = key_set(incidents.iter().map(|id| id.as_str()));
        rows!(self, sql::NOTICES_OF, Row, set).into_iter().map(notice).collect()
    }

    /// The notices to an agency after an id; all (`filter` is empty), or those that were not acknowledged.
    pub async fn notices_to(
        &mut self,
        recipient: &AgencyId,
        after: &str,
        most: i64,
        filter: &str,
        seal: &Seal,
    ) -> Result<Vec<Notice>> {
        let found = rows!(self, sql::NOTICES_TO, Row, recipient.as_str(), after, most, filter);
        let found = found.into_iter().map(notice).collect::<Result<_>>()?;
        self.with_what_was_said(found, seal).await
    }

    /// The notices that a holder issued, in the same way.
    pub async fn notices_by(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        filter: &str,
        seal: &Seal,
    ) -> Result<Vec<Notice>> {
        let found = rows!(self, sql::NOTICES_BY, Row, holder.as_str(), after, most, filter);
        let found = found.into_iter().map(notice).collect::<Result<_>>()?;
        self.with_what_was_said(found, seal).await
    }

    /// Whatever should have been acknowledged by now, whosever it is, the oldest first.
    pub async fn notices_overdue(&mut self, at: Instant, most: i64) -> Result<Vec<Notice>> {
        rows!(self, sql::NOTICES_OVERDUE, Row, at.micros(), most).into_iter().map(notice).collect()
    }

    /// The same notices with what their recipients said.
    pub async fn with_what_was_said(&mut self, mut notices: Vec<Notice>, seal: &Seal) -> Result<Vec<Notice>> {
        let set = key_set(notices.iter().map(|notice| notice.id.as_str()));
        let mut said: BTreeMap<String, Vec<Acknowledgement>> = BTreeMap::new();
        for row in rows!(self, sql::ACKNOWLEDGEMENTS_OF, SaidRow, set) {
            let (notice, acknowledgement) = acknowledgement(row, seal)?;
            said.entry(notice).or_default().push(acknowledgement);
        }
        for notice in &mut notices {
            notice.acknowledged = said.remove(notice.id.as_str()).unwrap_or_default();
        }
        Ok(notices)
    }
}

impl Write {
    /// Adds a notice.
    pub(crate) fn notice(notice: &Notice) -> Self {
        let about = &notice.about;
        let row = vec![
            notice.id.as_str().into(),
            about.holder.as_str().into(),
            about.recipient.as_str().into(),
            notice.kind.as_str().into(),
            notice.cause.as_str().into(),
            about.incident.as_str().into(),
            about.id.as_str().into(),
            i64::from(notice.by_hand).into(),
            notice.issued_at.micros().into(),
            notice.due_at.micros().into(),
            stored(notice.index).into(),
        ];
        Self::insert(&NOTICE, row)
    }

    /// Adds what a recipient said.
    pub(crate) fn acknowledgement(id: &NoticeId, what: &Acknowledgement, seal: &Seal) -> Result<[Self; 2]> {
        let Acknowledgement { version, at, said } = what;
        let name = key_name(id.as_str(), *version);
        let (key, wrapped) = seal.new_key(&name)?;
        let record = Sealed { reason: said.reason.clone(), passed_on: said.passed_on.clone() };
        let sealed = key.seal(&[&name], to_json("notice_acknowledgement", &record)?.as_bytes())?;
        let row = vec![
            id.as_str().into(),
            (*version).into(),
            said.outcome.as_str().into(),
            at.micros().into(),
            wrapped.into(),
            sealed.into(),
        ];
        let answered = vec![said.outcome.as_str().into(), id.as_str().into()];
        Ok([Self::insert(&ACKNOWLEDGEMENT, row), Self::change_one("notice", sql::NOTICE_ANSWERED, answered)])
    }
}
