//! The register of organisations: sealed records, found by a keyed hash of their identifiers.

use serde::{Deserialize, Serialize};

use crate::domain::{AgencyId, Identifier, Organisation, OrganisationId};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json};

const ORGANISATION: Table = Table {
    name: "organisation",
    columns: &["id", "holder", "version", "wrapped_key", "sealed"],
    keep_existing: false,
};
const IDENTIFIER: Table =
    Table { name: "organisation_identifier", columns: &["lookup", "holder", "organisation_id"], keep_existing: false };

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    version: i64,
    wrapped_key: Option<Vec<u8>>,
    sealed: Vec<u8>,
}

/// What is sealed of an organisation.
#[derive(Serialize, Deserialize)]
struct Sealed {
    name: String,
    identifiers: Vec<Identifier>,
}

fn key_name(id: &str, version: i64) -> String {
    format!("organisation {id} {version}")
}

fn open(row: Row, seal: &Seal) -> Result<Organisation> {
    let name = key_name(&row.id, row.version);
    let wrapped = row.wrapped_key.ok_or_else(|| inconsistent("organisation", &row.id, "was erased"))?;
    let plain = seal.unwrap_key(&name, &wrapped)?.open(&[&name], &row.sealed)?;
    let sealed: Sealed = from_json("organisation", &row.id, &String::from_utf8_lossy(&plain))?;
    Ok(Organisation {
        id: OrganisationId::known(row.id),
        holder: AgencyId::known(row.holder),
        version: row.version,
        name: sealed.name,
        identifiers: sealed.identifiers,
    })
}

impl Reads {
    /// One of the holder's own organisations.
    pub async fn organisation(
        &mut self,
        holder: &AgencyId,
        id: &OrganisationId,
        seal: &Seal,
    ) -> Result<Option<Organisation>> {
        row!(self, sql::ORGANISATION, Row, holder.as_str(), id.as_str()).map(|row| open(row, seal)).transpose()
    }

    /// The holder's own organisations after an id.
    pub async fn organisations(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        seal: &Seal,
    ) -> Result<Vec<Organisation>> {
        rows!(self, sql::ORGANISATIONS, Row, holder.as_str(), after, most)
            .into_iter()
            .map(|row| open(row, seal))
            .collect()
    }

    /// Which of these look-up keys are registered, and for which organisation.
    pub async fn identifiers(&mut self, lookups: &[String]) -> Result<Vec<(String, OrganisationId)>> {
        let set = key_set(lookups.iter().map(String::as_str));
        let found = rows!(self, sql::IDENTIFIERS, (String, String), set);
        Ok(found.into_iter().map(|(lookup, id)| (lookup, OrganisationId::known(id))).collect())
    }
}

impl Write {
    /// Registers an organisation, or replaces its earlier version.
    pub(crate) fn organisation(organisation: &Organisation, seal: &Seal) -> Result<Vec<Self>> {
        let id = organisation.id.as_str();
        let name = key_name(id, organisation.version);
        let (key, wrapped) = seal.new_key(&name)?;
        let record = Sealed { name: organisation.name.clone(), identifiers: organisation.identifiers.clone() };
        let sealed = key.seal(&[&name], to_json("organisation", &record)?.as_bytes())?;
        let holder = organisation.holder.as_str();
        let mut writes = if organisation.version == 1 {
            let row = vec![id.into(), holder.into(), organisation.version.into(), wrapped.into(), sealed.into()];
            vec![Self::insert(&ORGANISATION, row)]
        } else {
            let cells = vec![organisation.version.into(), wrapped.into(), sealed.into(), id.into()];
            vec![
                Self::change_one("organisation", sql::AMEND_ORGANISATION, cells),
                Self::change_any("organisation_identifier", sql::DROP_IDENTIFIERS, vec![id.into()]),
            ]
        };
        for identifier in &organisation.identifiers {
            let lookup = seal.lookup(&organisation.holder, identifier);
            writes.push(Self::insert(&IDENTIFIER, vec![lookup.into(), holder.into(), id.into()]));
        }
        Ok(writes)
    }
}
