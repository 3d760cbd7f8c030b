//! Incidents, their sealed content, and the references by which other agencies may ask about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    AgencyId, Category, Digest, Incident, IncidentId, Instant, Occurred, OfficerId, OrganisationId, Reference,
};
use crate::ledger::commit_to;
use crate::seal::{self, DataKey, Seal};

use super::write::{Table, Write};
use super::{Pool, Reads, Result, Store, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json};

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
    ],
    keep_existing: false,
};
const REVISION: Table = Table {
    name: "incident_revision",
    columns: &["incident_id", "revision", "wrapped_key", "recorded_by", "recorded_at"],
    keep_existing: false,
};
const CATEGORY: Table = Table {
    name: "incident_category",
    columns: &["incident_id", "revision", "category", "commitment", "sealed"],
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
}

#[derive(sqlx::FromRow)]
struct FoundRow {
    found_by: String,
    recipient: String,
    #[sqlx(flatten)]
    incident: Row,
    merger_recorded_at: Option<i64>,
}

/// An incident found by a key: the reference or the look-up key, and for whom a reference was issued.
#[derive(Debug, Clone)]
pub struct IncidentKey {
    /// What it was found by.
    pub found_by: String,
    /// The agency that a reference was issued to; empty for an identifier.
    pub recipient: String,
    /// The incident, without its categories.
    pub incident: Incident,
    /// When the register last recorded that its organisation was merged, directly or not.
    pub merger_recorded_at: Option<Instant>,
}

/// One category as sealed. Only `release` opens it, and only for a committed permit.
#[derive(Debug)]
pub struct SealedCategory {
    /// The category.
    pub category: Category,
    key: Arc<DataKey>,
    bound_to: [String; 3],
    sealed: Vec<u8>,
}

impl SealedCategory {
    /// The salt of the commitment, and the content.
    pub(crate) fn open(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let [incident, revision, category] = &self.bound_to;
        let mut salt = self.key.open(&[incident, revision, category], &self.sealed)?;
        if salt.len() < 32 {
            return Err(inconsistent("incident_category", incident, "is too short"));
        }
        let content = salt.split_off(32);
        Ok((salt, content))
    }
}

fn incident(row: Row) -> Result<Incident> {
    let notification = row.notification.as_deref().map(|text| from_json("incident", &row.id, text)).transpose()?;
    Ok(Incident {
        markings: from_json("incident", &row.id, &row.markings)?,
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
        categories: BTreeMap::new(),
    })
}

fn key_name(id: &str, revision: i64) -> String {
    format!("incident {id} {revision}")
}

impl Reads {
    /// One of the holder's own incidents, with its categories.
    pub async fn incident(&mut self, holder: &AgencyId, id: &IncidentId) -> Result<Option<Incident>> {
        let Some(row) = row!(self, sql::INCIDENT, Row, holder.as_str(), id.as_str()) else { return Ok(None) };
        let mut incident = incident(row)?;
        let mut categories = self.categories(std::slice::from_ref(&incident.id)).await?;
        incident.categories = categories.remove(&incident.id).unwrap_or_default();
        Ok(Some(incident))
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
        self.with_categories(found).await
    }

    async fn with_categories(&mut self, found: Vec<Row>) -> Result<Vec<Incident>> {
        let mut incidents: Vec<Incident> = found.into_iter().map(incident).collect::<Result<_>>()?;
        let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.id.clone()).collect();
        let mut categories = self.categories(&ids).await?;
        for incident in &mut incidents {
            incident.categories = categories.remove(&incident.id).unwrap_or_default();
        }
        Ok(incidents)
    }

    /// The holder's own incidents that were notified under a statute, with their categories.
    pub async fn incidents_notified(&mut self, holder: &AgencyId) -> Result<Vec<Incident>> {
        let found = rows!(self, sql::INCIDENTS_NOTIFIED, Row, holder.as_str());
        self.with_categories(found).await
    }

    /// The incidents with these ids, as a holder who speaks of its own finds them.
    pub async fn incidents_by_id(&mut self, ids: &[&str]) -> Result<Vec<IncidentKey>> {
        let set = key_set(ids.iter().copied());
        found(rows!(self, sql::INCIDENTS_BY_ID, FoundRow, set))
    }

    /// The incidents that these references resolve to, each with the agency it was issued to.
    pub async fn incidents_by_reference(&mut self, references: &[&str]) -> Result<Vec<IncidentKey>> {
        let set = key_set(references.iter().copied());
        found(rows!(self, sql::INCIDENTS_BY_REFERENCE, FoundRow, set))
    }

    /// The incidents at the organisations with these look-up keys that overlap the period.
    pub async fn incidents_by_identifier(&mut self, lookups: &[String], period: Occurred) -> Result<Vec<IncidentKey>> {
        let set = key_set(lookups.iter().map(String::as_str));
        let (until, from) = (period.until.micros(), period.from.micros());
        found(rows!(self, sql::INCIDENTS_BY_IDENTIFIER, FoundRow, set, until, from))
    }

    /// The categories of the present revision of each incident.
    pub async fn categories(&mut self, ids: &[IncidentId]) -> Result<BTreeMap<IncidentId, BTreeMap<Category, Digest>>> {
        let set = key_set(ids.iter().map(IncidentId::as_str));
        let mut all: BTreeMap<IncidentId, BTreeMap<Category, Digest>> = BTreeMap::new();
        for (id, category, commitment) in rows!(self, sql::CATEGORIES, (String, String, Vec<u8>), set) {
            let digest = Digest::from_slice(&commitment)
                .ok_or_else(|| inconsistent("incident_category", &id, "its commitment has not 32 bytes"))?;
            all.entry(IncidentId::known(id)).or_default().insert(Category::known(category), digest);
        }
        Ok(all)
    }

    /// The sealed content of one revision; empty once it is erased.
    pub async fn content(&mut self, id: &IncidentId, revision: i64, seal: &Seal) -> Result<Vec<SealedCategory>> {
        sealed(rows!(self, sql::CONTENT, ContentRow, id.as_str(), revision), id, revision, seal)
    }

    /// The references that recipients already have for these incidents.
    pub async fn references(&mut self, ids: &[IncidentId]) -> Result<BTreeMap<(IncidentId, AgencyId), Reference>> {
        let set = key_set(ids.iter().map(IncidentId::as_str));
        let found = rows!(self, sql::REFERENCES_TO, (String, String, String), set);
        let pair = |(id, recipient, reference)| {
            ((IncidentId::known(id), AgencyId::known(recipient)), Reference::known(reference))
        };
        Ok(found.into_iter().map(|row: (String, String, String)| pair(row)).collect())
    }
}

impl Store {
    /// The sealed content of one revision, in a statement of its own: nothing but erasure ever changes it, so there is
    /// nothing that it would have to be read together with.
    ///
    /// The caller must run it to its end in a task of its own: a dropped future would spoil the connection.
    pub async fn content(&self, id: &IncidentId, revision: i64, seal: &Seal) -> Result<Vec<SealedCategory>> {
        let (sqlite, postgres) = (sql::CONTENT.sqlite, sql::CONTENT.postgres);
        let rows: Vec<ContentRow> = match &self.reader {
            Pool::Sqlite(pool) => sqlx::query_as(sqlite).bind(id.as_str()).bind(revision).fetch_all(pool).await?,
            Pool::Postgres(pool) => {
                sqlx::query_as(postgres).bind(id.as_str()).bind(revision).fetch_all(&pool.pool()).await?
            }
        };
        sealed(rows, id, revision, seal)
    }
}

/// Category, sealed content, and the revision's wrapped key until that is erased.
type ContentRow = (String, Vec<u8>, Option<Vec<u8>>);

fn sealed(rows: Vec<ContentRow>, id: &IncidentId, revision: i64, seal: &Seal) -> Result<Vec<SealedCategory>> {
    let Some((_, _, Some(wrapped))) = rows.first() else { return Ok(Vec::new()) };
    let key = Arc::new(seal.unwrap_key(&key_name(id.as_str(), revision), wrapped)?);
    let category = |(category, sealed, _): ContentRow| SealedCategory {
        key: Arc::clone(&key),
        bound_to: [id.to_string(), revision.to_string(), category.clone()],
        category: Category::known(category),
        sealed,
    };
    Ok(rows.into_iter().map(category).collect())
}

fn found(rows: Vec<FoundRow>) -> Result<Vec<IncidentKey>> {
    let key = |row: FoundRow| {
        Ok(IncidentKey {
            found_by: row.found_by,
            recipient: row.recipient,
            incident: incident(row.incident)?,
            merger_recorded_at: row.merger_recorded_at.map(Instant::from_micros),
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
                ],
            )
        } else {
            Self::change_one("incident", sql::AMEND_INCIDENT, vec![revision.into(), markings.into(), id.into()])
        }];
        let (key, wrapped) = seal.new_key(&key_name(id, revision))?;
        let by = recorded_by.as_str();
        writes.push(Self::insert(
            &REVISION,
            vec![id.into(), revision.into(), wrapped.into(), by.into(), at.micros().into()],
        ));
        for (category, bytes) in content {
            let salt = seal::random::<32>();
            let sealed =
                key.seal(&[id, &revision.to_string(), category.as_str()], &[salt.as_slice(), bytes].concat())?;
            let committed = commit_to(&salt, bytes).to_vec();
            writes.push(Self::insert(
                &CATEGORY,
                vec![id.into(), revision.into(), category.as_str().into(), committed.into(), sealed.into()],
            ));
        }
        Ok(writes)
    }

    /// Replaces the notification recorded with an incident.
    pub(crate) fn notification(incident: &Incident) -> Result<Self> {
        let text = incident.notification.as_ref().map(|n| to_json("incident", n)).transpose()?;
        Ok(Self::change_one("incident", sql::SET_NOTIFICATION, vec![text.into(), incident.id.as_str().into()]))
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
