//! The register of organisations: sealed records, found by a keyed hash of their identifiers.

use std::collections::BTreeSet;

use crate::domain::{AgencyId, Instant, Merger, Organisation, OrganisationId, folded_name};
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
const NAME: Table =
    Table { name: "organisation_name", columns: &["organisation_id", "kind", "lookup"], keep_existing: false };
const PARENT: Table =
    Table { name: "organisation_parent", columns: &["organisation_id", "parent_id"], keep_existing: false };

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    version: i64,
    wrapped_key: Option<Vec<u8>>,
    sealed: Vec<u8>,
    merged_into: Option<String>,
    merged_at: Option<i64>,
    merger_recorded_at: Option<i64>,
}

pub(super) fn key_name(id: &str, version: i64) -> String {
    format!("organisation {id} {version}")
}

fn open(row: Row, seal: &Seal) -> Result<Organisation> {
    let name = key_name(&row.id, row.version);
    let wrapped = row.wrapped_key.ok_or_else(|| inconsistent("organisation", &row.id, "was erased"))?;
    let plain = seal.unwrap_key(&name, &wrapped)?.open(&[&name], &row.sealed)?;
    let profile = from_json("organisation", &row.id, &String::from_utf8_lossy(&plain))?;
    Ok(Organisation {
        id: OrganisationId::known(row.id),
        holder: AgencyId::known(row.holder),
        version: row.version,
        profile,
        merger: row.merged_into.zip(row.merged_at).map(merger),
        merger_recorded_at: row.merger_recorded_at.map(Instant::from_micros),
    })
}

fn merger((into, at): (String, i64)) -> Merger {
    Merger { into: OrganisationId::known(into), at: Instant::from_micros(at) }
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

    /// Those of the organisations that are the holder's own, by id.
    pub async fn organisations_by_id(
        &mut self,
        holder: &AgencyId,
        ids: &[&OrganisationId],
        seal: &Seal,
    ) -> Result<Vec<Organisation>> {
        let set = key_set(ids.iter().map(|id| id.as_str()));
        rows!(self, sql::ORGANISATIONS_BY_ID, Row, set, holder.as_str())
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

    /// What each of these was merged into; those that were not are left out.
    pub async fn mergers_of(&mut self, ids: &BTreeSet<OrganisationId>) -> Result<Vec<(OrganisationId, Merger)>> {
        let set = key_set(ids.iter().map(OrganisationId::as_str));
        Ok(mergers(rows!(self, sql::MERGERS_OF, (String, String, i64), set)))
    }

    /// What was merged into any of these, directly.
    pub async fn mergers_into(&mut self, ids: &BTreeSet<OrganisationId>) -> Result<Vec<(OrganisationId, Merger)>> {
        let set = key_set(ids.iter().map(OrganisationId::as_str));
        Ok(mergers(rows!(self, sql::MERGERS_INTO, (String, String, i64), set)))
    }

    /// Each of these with each of its parents, directly.
    pub async fn parents_of(
        &mut self,
        ids: &BTreeSet<OrganisationId>,
    ) -> Result<Vec<(OrganisationId, OrganisationId)>> {
        let set = key_set(ids.iter().map(OrganisationId::as_str));
        Ok(pairs(rows!(self, sql::PARENTS_OF, (String, String), set)))
    }

    /// Each subsidiary of these with the parent, directly; at most so many.
    pub async fn subsidiaries_of(
        &mut self,
        ids: &BTreeSet<OrganisationId>,
        most: i64,
    ) -> Result<Vec<(OrganisationId, OrganisationId)>> {
        let set = key_set(ids.iter().map(OrganisationId::as_str));
        Ok(pairs(rows!(self, sql::SUBSIDIARIES_OF, (String, String), set, most)))
    }
}

fn mergers(rows: Vec<(String, String, i64)>) -> Vec<(OrganisationId, Merger)> {
    rows.into_iter().map(|(id, into, at)| (OrganisationId::known(id), merger((into, at)))).collect()
}

fn pairs(rows: Vec<(String, String)>) -> Vec<(OrganisationId, OrganisationId)> {
    rows.into_iter().map(|(child, parent)| (OrganisationId::known(child), OrganisationId::known(parent))).collect()
}

impl Write {
    /// Registers an organisation, or replaces its earlier version.
    pub(crate) fn organisation(organisation: &Organisation, seal: &Seal) -> Result<Vec<Self>> {
        let Organisation { id, holder, version, profile, merger, merger_recorded_at } = organisation;
        let (id, version) = (id.as_str(), *version);
        let name = key_name(id, version);
        let (key, wrapped) = seal.new_key(&name)?;
        let sealed = key.seal(&[&name], to_json("organisation", profile)?.as_bytes())?;
        let mut writes = if version == 1 {
            let row = vec![id.into(), holder.as_str().into(), version.into(), wrapped.into(), sealed.into()];
            vec![Self::insert(&ORGANISATION, row)]
        } else {
            let cells = vec![
                version.into(),
                wrapped.into(),
                sealed.into(),
                merger.as_ref().map(|merger| merger.into.to_string()).into(),
                merger.as_ref().map(|merger| merger.at.micros()).into(),
                merger_recorded_at.map(Instant::micros).into(),
                id.into(),
            ];
            vec![
                Self::change_one("organisation", sql::AMEND_ORGANISATION, cells),
                Self::change_any("organisation_identifier", sql::DROP_IDENTIFIERS, vec![id.into()]),
                Self::change_any("organisation_name", sql::DROP_NAMES, vec![id.into()]),
                Self::change_any("organisation_parent", sql::DROP_PARENTS, vec![id.into()]),
            ]
        };
        for identifier in &profile.identifiers {
            let lookup = seal.lookup(holder, identifier);
            writes.push(Self::insert(&IDENTIFIER, vec![lookup.into(), holder.as_str().into(), id.into()]));
        }
        let folded = profile.names().map(|(kind, name)| (kind, folded_name(name)));
        for (kind, folded) in folded.filter(|(_, folded)| !folded.is_empty()).collect::<BTreeSet<_>>() {
            let lookup = seal.lookup_name(holder, &folded);
            writes.push(Self::insert(&NAME, vec![id.into(), kind.as_str().into(), lookup.into()]));
        }
        for parent in profile.parents.iter().map(|link| link.parent.as_str()).collect::<BTreeSet<_>>() {
            writes.push(Self::insert(&PARENT, vec![id.into(), parent.into()]));
        }
        Ok(writes)
    }

    /// Notes that what an organisation had been merged into was merged in its turn.
    pub(crate) fn merger_recorded(id: &OrganisationId, at: Instant) -> Self {
        let cells = vec![at.micros().into(), id.as_str().into()];
        Self::change_one("organisation", sql::SET_MERGER_RECORDED, cells)
    }
}
