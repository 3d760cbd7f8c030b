//! Agreements' texts and states.

use crate::domain::{AgreementId, Digest, Instant};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, inconsistent, on, row, rows, sql};

const AGREEMENT: Table =
    Table { name: "agreement", columns: &["id", "version", "digest", "state", "activated_at"], keep_existing: false };
const TEXT: Table = Table { name: "agreement_text", columns: &["digest", "text"], keep_existing: true };

/// One activation of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementRow {
    /// The agreement.
    pub id: AgreementId,
    /// From 1; one more with every activation.
    pub version: i64,
    /// The text that was activated.
    pub digest: Digest,
    /// `in-force`, `superseded` or `ended`.
    pub state: String,
    /// When it was activated.
    pub activated_at: Instant,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    version: i64,
    digest: Vec<u8>,
    state: String,
    activated_at: i64,
}

fn digest(id: &str, bytes: &[u8]) -> Result<Digest> {
    Digest::from_slice(bytes).ok_or_else(|| inconsistent("agreement", id, "its digest has not 32 bytes"))
}

impl Reads {
    /// Every activation, by agreement and version.
    pub async fn agreements(&mut self) -> Result<Vec<AgreementRow>> {
        let row = |row: Row| {
            Ok(AgreementRow {
                digest: digest(&row.id, &row.digest)?,
                id: AgreementId::known(row.id),
                version: row.version,
                state: row.state,
                activated_at: Instant::from_micros(row.activated_at),
            })
        };
        rows!(self, sql::AGREEMENTS, Row).into_iter().map(row).collect()
    }

    /// What is in force, by agreement.
    pub async fn agreements_in_force(&mut self) -> Result<Vec<(AgreementId, Digest)>> {
        rows!(self, sql::AGREEMENTS_IN_FORCE, (String, Vec<u8>))
            .into_iter()
            .map(|(id, bytes)| Ok((AgreementId::known(id.clone()), digest(&id, &bytes)?)))
            .collect()
    }

    /// The text that is stored under this digest. Whether it has that digest is for the reader to check.
    pub async fn agreement_text(&mut self, digest: Digest) -> Result<Option<Vec<u8>>> {
        let text = row!(self, sql::AGREEMENT_TEXT, (Vec<u8>,), digest.as_bytes().as_slice());
        Ok(text.map(|(text,)| text))
    }
}

impl Write {
    /// Puts a text into force; what was in force of the same agreement is superseded.
    pub(crate) fn activate(row: &AgreementRow, text: Vec<u8>) -> Vec<Self> {
        let digest = row.digest.as_bytes().to_vec();
        let supersede = vec!["superseded".into(), row.id.as_str().into()];
        vec![
            Self::change_any("agreement", sql::SUPERSEDE_AGREEMENT, supersede),
            Self::insert(&TEXT, vec![digest.clone().into(), text.into()]),
            Self::insert(
                &AGREEMENT,
                vec![
                    row.id.as_str().into(),
                    row.version.into(),
                    digest.into(),
                    row.state.clone().into(),
                    row.activated_at.micros().into(),
                ],
            ),
        ]
    }

    /// Ends what is in force of an agreement.
    pub(crate) fn end_agreement(id: &AgreementId) -> Self {
        Self::change_one("agreement", sql::SUPERSEDE_AGREEMENT, vec!["ended".into(), id.as_str().into()])
    }
}
