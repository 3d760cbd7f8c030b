//! Consents, one row for each version.

use std::collections::BTreeMap;

use crate::domain::{AgencyId, Consent, ConsentId, ConsentState, Evidence, Instant, OfficerId, OrganisationId};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, rows, sql, to_json};

const CONSENT: Table = Table {
    name: "consent",
    columns: &[
        "id",
        "version",
        "holder",
        "organisation_id",
        "recipient",
        "state",
        "scope",
        "wrapped_key",
        "evidence",
        "recorded_by",
        "recorded_at",
        "confirmed_at",
    ],
    keep_existing: false,
};

/// All versions of one consent, newest first.
pub type ConsentVersions = Vec<Consent>;

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    version: i64,
    holder: String,
    organisation_id: String,
    recipient: String,
    state: String,
    scope: Option<String>,
    wrapped_key: Option<Vec<u8>>,
    evidence: Option<Vec<u8>>,
    recorded_by: String,
    recorded_at: i64,
    confirmed_at: i64,
}

pub(super) fn key_name(id: &str, version: i64) -> String {
    format!("consent {id} {version}")
}

/// Without a seal the evidence stays sealed: decisions don't read it.
fn consent(row: Row, seal: Option<&Seal>) -> Result<Consent> {
    let name = key_name(&row.id, row.version);
    let evidence: Option<Evidence> = match (seal, &row.wrapped_key, &row.evidence) {
        (Some(seal), Some(wrapped), Some(sealed)) => {
            let plain = seal.unwrap_key(&name, wrapped)?.open(&[&name, "evidence"], sealed)?;
            Some(from_json("consent", &row.id, &String::from_utf8_lossy(&plain))?)
        }
        _ => None,
    };
    let state =
        ConsentState::parse(&row.state).ok_or_else(|| inconsistent("consent", &row.id, "has an unknown state"))?;
    Ok(Consent {
        scope: row.scope.as_deref().map(|text| from_json("consent", &row.id, text)).transpose()?,
        id: ConsentId::known(row.id),
        version: row.version,
        holder: AgencyId::known(row.holder),
        organisation: OrganisationId::known(row.organisation_id),
        recipient: AgencyId::known(row.recipient),
        state,
        evidence,
        recorded_by: OfficerId::known(row.recorded_by),
        recorded_at: Instant::from_micros(row.recorded_at),
        confirmed_at: Instant::from_micros(row.confirmed_at),
    })
}

impl Reads {
    /// One of the holder's own consents in all its versions; none if there is no such consent.
    pub async fn consent(&mut self, holder: &AgencyId, id: &ConsentId, seal: &Seal) -> Result<ConsentVersions> {
        rows!(self, sql::CONSENT, Row, holder.as_str(), id.as_str())
            .into_iter()
            .map(|row| consent(row, Some(seal)))
            .collect()
    }

    /// The newest version of each of the holder's own consents after an id, of one organisation or (empty) of any.
    pub async fn consents(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        organisation: &str,
        seal: &Seal,
    ) -> Result<Vec<Consent>> {
        rows!(self, sql::CONSENTS, Row, holder.as_str(), after, most, organisation)
            .into_iter()
            .map(|row| consent(row, Some(seal)))
            .collect()
    }

    /// The versions of the holder's own consents of one organisation that are recorded or given, at most so many.
    pub async fn consents_open(
        &mut self,
        holder: &AgencyId,
        organisation: &OrganisationId,
        most: i64,
        seal: &Seal,
    ) -> Result<Vec<Consent>> {
        rows!(self, sql::CONSENTS_OPEN, Row, organisation.as_str(), holder.as_str(), most)
            .into_iter()
            .map(|row| consent(row, Some(seal)))
            .collect()
    }

    /// Every version of the holder's own consents of one organisation towards one recipient.
    pub async fn consents_towards(
        &mut self,
        holder: &AgencyId,
        organisation: &OrganisationId,
        recipient: &AgencyId,
        seal: &Seal,
    ) -> Result<Vec<Consent>> {
        let (holder, recipient) = (holder.as_str(), recipient.as_str());
        rows!(self, sql::CONSENTS_TOWARDS, Row, organisation.as_str(), holder, recipient)
            .into_iter()
            .map(|row| consent(row, Some(seal)))
            .collect()
    }

    /// Every version of every consent of these organisations. An id that is there twice is read twice.
    pub async fn consents_of(&mut self, ids: &[&OrganisationId]) -> Result<BTreeMap<OrganisationId, Vec<Consent>>> {
        let set = key_set(ids.iter().map(|id| id.as_str()));
        let mut all: BTreeMap<OrganisationId, Vec<Consent>> = BTreeMap::new();
        for row in rows!(self, sql::CONSENTS_OF, Row, set) {
            let consent = consent(row, None)?;
            all.entry(consent.organisation.clone()).or_default().push(consent);
        }
        Ok(all)
    }
}

impl Write {
    /// Adds a version of a consent, its evidence sealed.
    pub(crate) fn consent(consent: &Consent, seal: &Seal) -> Result<Self> {
        let name = key_name(consent.id.as_str(), consent.version);
        let (wrapped, evidence) = match &consent.evidence {
            Some(evidence) => {
                let (key, wrapped) = seal.new_key(&name)?;
                let sealed = key.seal(&[&name, "evidence"], to_json("consent", evidence)?.as_bytes())?;
                (Some(wrapped), Some(sealed))
            }
            None => (None, None),
        };
        let scope = consent.scope.as_ref().map(|scope| to_json("consent", scope)).transpose()?;
        let row = vec![
            consent.id.as_str().into(),
            consent.version.into(),
            consent.holder.as_str().into(),
            consent.organisation.as_str().into(),
            consent.recipient.as_str().into(),
            consent.state.as_str().into(),
            scope.into(),
            wrapped.into(),
            evidence.into(),
            consent.recorded_by.as_str().into(),
            consent.recorded_at.micros().into(),
            consent.confirmed_at.micros().into(),
        ];
        Ok(Self::insert(&CONSENT, row))
    }

    /// Changes where one version stands.
    pub(crate) fn consent_state(id: &ConsentId, version: i64, state: ConsentState) -> Self {
        let cells = vec![state.as_str().into(), id.as_str().into(), version.into()];
        Self::change_one("consent", sql::SET_CONSENT_STATE, cells)
    }
}
