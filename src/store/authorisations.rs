//! Authorisations.

use std::collections::BTreeMap;

use crate::domain::{AgencyId, Authorisation, AuthorisationId, Digest, Ground, IncidentId, Instant, OfficerId};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json};

const AUTHORISATION: Table = Table {
    name: "authorisation",
    columns: &[
        "id",
        "holder",
        "incident_id",
        "recipient",
        "revision",
        "covers_updates",
        "purposes",
        "categories",
        "ground",
        "given_by",
        "given_at",
        "valid_until",
        "revoked_at",
        "preview",
        "form",
    ],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    incident_id: String,
    recipient: String,
    revision: i64,
    covers_updates: i64,
    purposes: String,
    categories: String,
    ground: String,
    given_at: i64,
    valid_until: i64,
    revoked_at: Option<i64>,
    preview: Option<Vec<u8>>,
    form: String,
}

fn authorisation(row: Row) -> Result<Authorisation> {
    // A binding that cannot be read must not be taken for none.
    let wrong = || inconsistent("authorisation", &row.id, "its preview has not 32 bytes");
    let preview = row.preview.as_deref().map(|bytes| Digest::from_slice(bytes).ok_or_else(wrong)).transpose()?;
    Ok(Authorisation {
        purposes: from_json("authorisation", &row.id, &row.purposes)?,
        categories: from_json("authorisation", &row.id, &row.categories)?,
        id: AuthorisationId::known(row.id),
        holder: AgencyId::known(row.holder),
        incident: IncidentId::known(row.incident_id),
        revision: row.revision,
        covers_updates: row.covers_updates != 0,
        recipient: AgencyId::known(row.recipient),
        ground: Ground::known(row.ground),
        given_at: Instant::from_micros(row.given_at),
        valid_until: Instant::from_micros(row.valid_until),
        revoked_at: row.revoked_at.map(Instant::from_micros),
        preview,
        form: row.form,
    })
}

impl Reads {
    /// One of the holder's own authorisations.
    pub async fn authorisation(&mut self, holder: &AgencyId, id: &AuthorisationId) -> Result<Option<Authorisation>> {
        row!(self, sql::AUTHORISATION, Row, holder.as_str(), id.as_str()).map(authorisation).transpose()
    }

    /// The holder's own authorisations after an id, for one incident or (empty) for any.
    pub async fn authorisations(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        incident: &str,
    ) -> Result<Vec<Authorisation>> {
        rows!(self, sql::AUTHORISATIONS, Row, holder.as_str(), after, most, incident)
            .into_iter()
            .map(authorisation)
            .collect()
    }

    /// Every authorisation for these incidents, revoked ones too. An id that is there twice is read twice.
    pub async fn authorisations_of(&mut self, ids: &[&IncidentId]) -> Result<BTreeMap<IncidentId, Vec<Authorisation>>> {
        let set = key_set(ids.iter().map(|id| id.as_str()));
        let mut all: BTreeMap<IncidentId, Vec<Authorisation>> = BTreeMap::new();
        for row in rows!(self, sql::AUTHORISATIONS_OF, Row, set) {
            let authorisation = authorisation(row)?;
            all.entry(authorisation.incident.clone()).or_default().push(authorisation);
        }
        Ok(all)
    }
}

impl Write {
    /// Adds an authorisation.
    pub(crate) fn authorisation(authorisation: &Authorisation, given_by: &OfficerId) -> Result<Self> {
        let row = vec![
            authorisation.id.as_str().into(),
            authorisation.holder.as_str().into(),
            authorisation.incident.as_str().into(),
            authorisation.recipient.as_str().into(),
            authorisation.revision.into(),
            i64::from(authorisation.covers_updates).into(),
            to_json("authorisation", &authorisation.purposes)?.into(),
            to_json("authorisation", &authorisation.categories)?.into(),
            authorisation.ground.as_str().into(),
            given_by.as_str().into(),
            authorisation.given_at.micros().into(),
            authorisation.valid_until.micros().into(),
            authorisation.revoked_at.map(Instant::micros).into(),
            authorisation.preview.map(|digest| digest.as_bytes().to_vec()).into(),
            authorisation.form.as_str().into(),
        ];
        Ok(Self::insert(&AUTHORISATION, row))
    }

    /// Ends an authorisation.
    pub(crate) fn revoke_authorisation(id: &AuthorisationId, at: Instant) -> Self {
        let cells = vec![at.micros().into(), id.as_str().into()];
        Self::change_one("authorisation", sql::REVOKE_AUTHORISATION, cells)
    }
}
