//! Mandates: who may speak for an organisation, sealed.

use crate::domain::{AgencyId, Instant, Mandate, MandateId, MandateTerms, OfficerId, OrganisationId};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, on, row, rows, sql, to_json};

const MANDATE: Table = Table {
    name: "mandate",
    columns: &[
        "id",
        "holder",
        "organisation_id",
        "wrapped_key",
        "sealed",
        "valid_from",
        "valid_until",
        "recorded_by",
        "recorded_at",
    ],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    organisation_id: String,
    wrapped_key: Option<Vec<u8>>,
    sealed: Vec<u8>,
    valid_from: i64,
    valid_until: i64,
    recorded_by: String,
    recorded_at: i64,
    ended_at: Option<i64>,
}

pub(super) fn key_name(id: &str) -> String {
    format!("mandate {id}")
}

fn mandate(row: Row, seal: &Seal) -> Result<Mandate> {
    let name = key_name(&row.id);
    let wrapped = row.wrapped_key.ok_or_else(|| inconsistent("mandate", &row.id, "was erased"))?;
    let plain = seal.unwrap_key(&name, &wrapped)?.open(&[&name], &row.sealed)?;
    let terms: MandateTerms = from_json("mandate", &row.id, &String::from_utf8_lossy(&plain))?;
    Ok(Mandate {
        id: MandateId::known(row.id),
        holder: AgencyId::known(row.holder),
        organisation: OrganisationId::known(row.organisation_id),
        terms,
        valid_from: Instant::from_micros(row.valid_from),
        valid_until: Instant::from_micros(row.valid_until),
        recorded_by: OfficerId::known(row.recorded_by),
        recorded_at: Instant::from_micros(row.recorded_at),
        ended_at: row.ended_at.map(Instant::from_micros),
    })
}

impl Reads {
    /// One of the holder's own mandates; none once it is erased.
    pub async fn mandate(&mut self, holder: &AgencyId, id: &MandateId, seal: &Seal) -> Result<Option<Mandate>> {
        row!(self, sql::MANDATE, Row, holder.as_str(), id.as_str()).map(|row| mandate(row, seal)).transpose()
    }

    /// The holder's own mandates after an id, of one organisation or (empty) of any; not those that are erased.
    pub async fn mandates(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        organisation: &str,
        seal: &Seal,
    ) -> Result<Vec<Mandate>> {
        let found = rows!(self, sql::MANDATES, Row, holder.as_str(), after, most, organisation);
        found.into_iter().map(|row| mandate(row, seal)).collect()
    }
}

impl Write {
    /// Adds a mandate, with whoever it names sealed.
    pub(crate) fn mandate(mandate: &Mandate, seal: &Seal) -> Result<Self> {
        let name = key_name(mandate.id.as_str());
        let (key, wrapped) = seal.new_key(&name)?;
        let sealed = key.seal(&[&name], to_json("mandate", &mandate.terms)?.as_bytes())?;
        let row = vec![
            mandate.id.as_str().into(),
            mandate.holder.as_str().into(),
            mandate.organisation.as_str().into(),
            wrapped.into(),
            sealed.into(),
            mandate.valid_from.micros().into(),
            mandate.valid_until.micros().into(),
            mandate.recorded_by.as_str().into(),
            mandate.recorded_at.micros().into(),
        ];
        Ok(Self::insert(&MANDATE, row))
    }

    /// Ends a mandate.
    pub(crate) fn end_mandate(id: &MandateId, at: Instant) -> Self {
        Self::change_one("mandate", sql::END_MANDATE, vec![at.micros().into(), id.as_str().into()])
    }

    /// Erases who spoke for an organisation. The mandates' ids and times stay.
    pub(crate) fn erase_mandates(organisation: &OrganisationId) -> Self {
        let cells = vec![organisation.as_str().into(), Vec::<u8>::new().into()];
        Self::change_any("mandate", sql::ERASE_MANDATES, cells)
    }
}
