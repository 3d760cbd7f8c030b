//! Incidents, their sealed content, and the references by which other agencies may ask about them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use crate::domain::{
    AgencyId, Category, Digest, Frozen, Incident, IncidentId, Instant, Occurred, OfficerId, OrganisationId, Permission,
    Reference,
};
use crate::ledger::commit_to;
use crate::seal::{self, DataKey, Seal};

use super::write::{Table, Write};
use super::{Pool, Reads, Result, Store, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json, wrongful};

const INCIDENT: Table = Table {
    name: "incident",
    columns: &[
        "id",
        "holder",
        "organisation_id",
        "revision",
        "occurred_from",
        "occurred_until",
        "markings",
        "notification",
        "campaign",
        "retain_until",
        "provenance",
    ],
    keep_existing: false,
};
const REVISION: Table = Table {
    name: "incident_revision",
    columns: &["incident_id", "revision", "wrapped_key", "recorded_by", "recorded_at", "categories"],
    keep_existing: false,
};
const CATEGORY: Table = Table {
    name: "incident_category",
    columns: &["incident_id", "revision", "category", "sealed"],
    keep_existing: false,
};
const REFERENCE: Table = Table {
    name: "reference",
    columns: &["reference", "incident_id", "holder", "recipient", "issued_at"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    organisation_id: String,
    revision: i64,
    occurred_from: i64,
    occurred_until: i64,
    markings: String,
    notification: Option<String>,
    campaign: Option<String>,
    retain_until: i64,
    provenance: Option<String>,
    categories: String,
}

#[derive(sqlx::FromRow)]
struct FoundRow {
    found_by: String,
    recipient: String,
    #[sqlx(flatten)]
    incident: Row,
    permissions: Option<String>,
    merger_recorded_at: Option<i64>,
    frozen: Option<String>,
}

/// An incident found by a key: the reference or the look-up key, and for whom a reference was issued.
#[derive(Debug, Clone)]
pub struct IncidentKey {
    /// What it was found by.
    pub found_by: String,
    /// The agency that a reference was issued to; empty for an identifier.
    pub recipient: String,
    /// The incident.
    pub incident: Incident,
    /// When the register last recorded that its organisation was merged, directly or not.
    pub merger_recorded_at: Option<Instant>,
    /// To whom it is not released for now.
    pub frozen: Frozen,
    /// The upstream agencies' permissions that were shown for it.
    pub permissions: Vec<Permission>,
}

/// One category as sealed. Only `release` opens it, and only for a committed permit.
#[derive(Debug)]
pub struct SealedCategory {
    /// The incident.
    pub incident: IncidentId,
    /// Its revision.
    pub revision: i64,
    /// The category.
    pub category: Category,
    key: Arc<DataKey>,
    sealed: Vec<u8>,
}

impl SealedCategory {
    /// The salt of the commitment, and the content.
    pub(crate) fn open(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let Self { incident, revision, category, .. } = self;
        let bound_to = [incident.as_str(), &revision.to_string(), category.as_str()];
        let mut salt = self.key.open(&bound_to, &self.sealed)?;
        if salt.len() < 32 {
            return Err(inconsistent("incident_category", incident.as_str(), "is too short"));
        }
        let content = salt.split_off(32);
        Ok((salt, content))
    }
}

fn incident(row: Row) -> Result<Incident> {
    let notification = row.notification.as_deref().map(|text| from_json("incident", &row.id, text)).transpose()?;
    // One that cannot be read must not be taken for none.
    let provenance = row.provenance.as_deref().map(|text| from_json("incident", &row.id, text)).transpose()?;
    Ok(Incident {
        markings: from_json("incident", &row.id, &row.markings)?,
        categories: from_json("incident_revision", &row.id, &row.categories)?,
        id: IncidentId::known(row.id),
        holder: AgencyId::known(row.holder),
        organisation: OrganisationId::known(row.organisation_id),
        revision: row.revision,
        occurred: Occurred {
            from: Instant::from_micros(row.occurred_from),
            until: Instant::from_micros(row.occurred_until),
        },
        notification,
        campaign: row.campaign,
        retain_until: Instant::from_micros(row.retain_until),
        provenance,
    })
}

pub(super) fn key_name(id: &str, revision: i64) -> String {
    format!("incident {id} {revision}")
}

impl Reads {
    /// One of the holder's own incidents.
    pub async fn incident(&mut self, holder: &AgencyId, id: &IncidentId) -> Result<Option<Incident>> {
        row!(self, sql::INCIDENT, Row, holder.as_str(), id.as_str()).map(incident).transpose()
    }

    /// When a revision of an incident was recorded.
    pub async fn revised_at(&mut self, id: &IncidentId, revision: i64) -> Result<Option<Instant>> {
        let found = row!(self, sql::REVISED_AT, (i64,), id.as_str(), revision);
        Ok(found.map(|(at,)| Instant::from_micros(at)))
    }

    /// The holder's own incidents after an id, at one organisation or (empty) at any.
    pub async fn incidents(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        organisation: &str,
    ) -> Result<Vec<Incident>> {
        let found = rows!(self, sql::INCIDENTS, Row, holder.as_str(), after, most, organisation);
        found.into_iter().map(incident).collect()
    }

    /// The holder's own incidents that were notified under a statute.
    pub async fn incidents_notified(&mut self, holder: &AgencyId) -> Result<Vec<Incident>> {
        let found = rows!(self, sql::INCIDENTS_NOTIFIED, Row, holder.as_str());
        found.into_iter().map(incident).collect()
    }

    /// The incidents with these ids, as a holder who speaks of its own finds them.
    pub async fn incidents_by_id(&mut self, ids: &[&str]) -> Result<Vec<IncidentKey>> {
        let set = key_set(ids.iter().copied());
        found(rows!(self, sql::INCIDENTS_BY_ID, FoundRow, set))
    }

    /// The incidents that these references resolve to, each with the agency it was issued to; the placeholder for one that
    /// does not.
    pub async fn incidents_by_reference(&mut self, references: &BTreeSet<&str>) -> Result<Vec<IncidentKey>> {
        let set = key_set(references.iter().copied());
        found(rows!(self, sql::INCIDENTS_BY_REFERENCE, FoundRow, set))
    }

    /// The incidents at the organisations with these look-up keys that overlap the period; the placeholder for a key to
    /// which there is none.
    pub async fn incidents_by_identifier(
        &mut self,
        lookups: &BTreeSet<String>,
        period: Occurred,
    ) -> Result<Vec<IncidentKey>> {
        let set = key_set(lookups.iter().map(String::as_str));
        let (until, from) = (period.until.micros(), period.from.micros());
        found(rows!(self, sql::INCIDENTS_BY_IDENTIFIER, FoundRow, set, until, from))
    }

    /// The sealed content of one revision; empty once it is erased.
    pub async fn content(&mut self, id: &IncidentId, revision: i64, seal: &Seal) -> Result<Vec<SealedCategory>> {
        sealed(rows!(self, sql::CONTENT, ContentRow, id.as_str(), revision), seal)
    }

    /// The references that recipients already have for these incidents.
    pub async fn references(&mut self, ids: &[&IncidentId]) -> Result<BTreeMap<(IncidentId, AgencyId), Reference>> {
        let set = key_set(ids.iter().map(|id| id.as_str()));
        let found = rows!(self, sql::REFERENCES_TO, (String, String, String), set);
        let pair = |(id, recipient, reference)| {
            ((IncidentId::known(id), AgencyId::known(recipient)), Reference::known(reference))
        };
        Ok(found.into_iter().map(|row: (String, String, String)| pair(row)).collect())
    }
}

impl Store {
    /// The sealed content of these categories of these revisions, in one statement of its own: nothing but erasure ever
    /// changes it, so there is nothing that it would have to be read together with. What was erased is not there.
    ///
    /// The caller must run it to its end in a task of its own: a dropped future would spoil the connection.
    pub async fn content(
        &self,
        wanted: &BTreeSet<(&IncidentId, i64, &Category)>,
        seal: &Seal,
    ) -> Result<Vec<SealedCategory>> {
        let keys = wanted.iter().map(|(id, revision, category)| json!([id.as_str(), revision, category.as_str()]));
        let keys = keys.collect::<serde_json::Value>().to_string();
        let (sqlite, postgres) = (sql::CONTENT_OF.sqlite, sql::CONTENT_OF.postgres);
        let rows: Vec<ContentRow> = match &self.reader {
            Pool::Sqlite(pool) => sqlx::query_as(sqlite).bind(keys).fetch_all(pool).await?,
            Pool::Postgres(pool) => sqlx::query_as(postgres).bind(keys).fetch_all(&pool.pool()).await?,
        };
        sealed(rows, seal)
    }
}

/// Incident, revision, category, sealed content, and the revision's wrapped key until that is erased.
type ContentRow = (String, i64, String, Vec<u8>, Option<Vec<u8>>);

fn sealed(rows: Vec<ContentRow>, seal: &Seal) -> Result<Vec<SealedCategory>> {
    let mut keys: BTreeMap<(String, i64), Arc<DataKey>> = BTreeMap::new();
    let mut found = Vec::new();
    for (id, revision, category, sealed, wrapped) in rows {
        let Some(wrapped) = wrapped else { continue };
        let key = match keys.entry((id.clone(), revision)) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => {
                Arc::clone(new.insert(Arc::new(seal.unwrap_key(&key_name(&id, revision), &wrapped)?)))
            }
        };
        let (incident, category) = (IncidentId::known(id), Category::known(category));
        found.push(SealedCategory { incident, revision, category, key, sealed });
    }
    Ok(found)
}

fn found(rows: Vec<FoundRow>) -> Result<Vec<IncidentKey>> {
    let key = |row: FoundRow| {
        let frozen = wrongful::frozen(&row.incident.id, row.frozen.as_deref())?;
        let shown = row.permissions.as_deref();
        let shown = shown.map(|text| from_json("incident", &row.incident.id, text)).transpose()?;
        Ok(IncidentKey {
            permissions: shown.unwrap_or_default(),
            found_by: row.found_by,
            recipient: row.recipient,
            incident: incident(row.incident)?,
            merger_recorded_at: row.merger_recorded_at.map(Instant::from_micros),
            frozen,
        })
    };
    rows.into_iter().map(key).collect()
}

impl Write {
    /// Registers an incident, or its next revision, with its content sealed category by category.
    ///
    /// The commitment to a category is over a random salt and the content, so it says nothing without the salt,
    /// which is sealed with the content and released with it.
    pub(crate) fn incident(
        incident: &Incident,
        content: &[(Category, Vec<u8>)],
        recorded_by: &OfficerId,
        at: Instant,
        seal: &Seal,
    ) -> Result<Vec<Self>> {
        let (id, revision) = (incident.id.as_str(), incident.revision);
        let markings = to_json("incident", &incident.markings)?;
        let notification = incident.notification.as_ref().map(|n| to_json("incident", n)).transpose()?;
        let provenance = incident.provenance.as_ref().map(|chain| to_json("incident", chain)).transpose()?;
        let mut writes = vec![if revision == 1 {
            Self::insert(
                &INCIDENT,
                vec![
                    id.into(),
                    incident.holder.as_str().into(),
                    incident.organisation.as_str().into(),
                    revision.into(),
                    incident.occurred.from.micros().into(),
                    incident.occurred.until.micros().into(),
                    markings.into(),
                    notification.into(),
                    incident.campaign.clone().into(),
                    incident.retain_until.micros().into(),
                    provenance.into(),
                ],
            )
        } else {
            Self::change_one("incident", sql::AMEND_INCIDENT, vec![revision.into(), markings.into(), id.into()])
        }];
        let (key, wrapped) = seal.new_key(&key_name(id, revision))?;
        let (by, at) = (recorded_by.as_str(), at.micros());
        let mut commitments = BTreeMap::new();
        for (category, bytes) in content {
            let salt = seal::random::<32>();
            let sealed =
                key.seal(&[id, &revision.to_string(), category.as_str()], &[salt.as_slice(), bytes].concat())?;
            commitments.insert(category, Digest(commit_to(&salt, bytes)));
            let row = vec![id.into(), revision.into(), category.as_str().into(), sealed.into()];
            writes.push(Self::insert(&CATEGORY, row));
        }
        let commitments = to_json("incident_revision", &commitments)?;
        let row = vec![id.into(), revision.into(), wrapped.into(), by.into(), at.into(), commitments.into()];
        writes.push(Self::insert(&REVISION, row));
        Ok(writes)
    }

    /// Replaces the notification recorded with an incident.
    pub(crate) fn notification(incident: &Incident) -> Result<Self> {
        let text = incident.notification.as_ref().map(|n| to_json("incident", n)).transpose()?;
        Ok(Self::change_one("incident", sql::SET_NOTIFICATION, vec![text.into(), incident.id.as_str().into()]))
    }

    /// Replaces the permissions that were shown for an incident.
    pub(crate) fn permissions(incident: &IncidentId, shown: &[Permission]) -> Result<Self> {
        let cells = vec![to_json("incident", &shown)?.into(), incident.as_str().into()];
        Ok(Self::change_one("incident", sql::SET_PERMISSIONS, cells))
    }

    /// Makes a reference resolve to an incident, for one recipient.
    pub(crate) fn reference(
        reference: &Reference,
        incident: &IncidentId,
        holder: &AgencyId,
        recipient: &AgencyId,
        at: Instant,
    ) -> Self {
        let row = vec![
            reference.as_str().into(),
            incident.as_str().into(),
            holder.as_str().into(),
            recipient.as_str().into(),
            at.micros().into(),
        ];
        Self::insert(&REFERENCE, row)
    }
}
