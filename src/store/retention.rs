//! What is due to be erased, what erasure takes away, and what recipients disposed of.

use sqlx::SqlitePool;

use crate::domain::{AgencyId, Consent, Event, EventId, EventKind, Ground, IncidentId, Instant, OfficerId, Reference};

use super::write::{Table, Write};
use super::{Pool, Reads, Result, Store, Tx, from_json, index, key_set, on, row, rows, sql, stored};

const PROPOSED: Table = Table {
    name: "erasure",
    columns: &["incident_id", "holder", "ground", "proposed_by", "proposed_at"],
    keep_existing: false,
};
const DISPOSAL: Table = Table {
    name: "disposal",
    columns: &["release", "external_ref", "confirmed_by", "confirmed_at"],
    keep_existing: false,
};

/// What an officer proposed to erase before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// On which ground.
    pub ground: Ground,
    /// Who.
    pub by: OfficerId,
    /// When.
    pub at: Instant,
}

/// An incident whose time is over, or whose erasure was proposed.
#[derive(Debug, Clone)]
pub struct Due {
    /// The incident.
    pub incident: IncidentId,
    /// Until when it is kept.
    pub retain_until: Instant,
    /// What was proposed, if anything was.
    pub proposed: Option<Proposed>,
}

/// A release that the holder made, and what its recipient did with it.
#[derive(Debug, Clone)]
pub struct ReleaseMade {
    /// The holder's event: the request, the recipient, the entry, and by when the copy must be gone.
    pub event: Event,
    /// When the recipient confirmed that it is, and under which number of its own.
    pub confirmed: Option<(Instant, String)>,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: String,
    retain_until: i64,
    ground: Option<String>,
    proposed_by: Option<String>,
    proposed_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ReleaseRow {
    id: String,
    agency: String,
    due_at: i64,
    object: String,
    detail: String,
    confirmed_at: Option<i64>,
    external_ref: Option<String>,
}

fn due(row: DueRow) -> Due {
    let proposed = row.ground.zip(row.proposed_by).zip(row.proposed_at).map(|((ground, by), at)| Proposed {
        ground: Ground::known(ground),
        by: OfficerId::known(by),
        at: Instant::from_micros(at),
    });
    Due { incident: IncidentId::known(row.id), retain_until: Instant::from_micros(row.retain_until), proposed }
}

fn release(row: ReleaseRow) -> Result<ReleaseMade> {
    Ok(ReleaseMade {
        confirmed: row.confirmed_at.map(Instant::from_micros).zip(row.external_ref),
        event: Event {
            detail: from_json("event", &row.id, &row.detail)?,
            id: EventId::known(row.id),
            agency: AgencyId::known(row.agency),
            kind: EventKind::ReleaseMade,
            at: Instant::from_micros(row.due_at),
            object: row.object,
        },
    })
}

impl Reads {
    /// The holder's own incidents after an id whose time is over at a time, or whose erasure was proposed.
    pub async fn due(&mut self, holder: &AgencyId, after: &str, most: i64, at: Instant) -> Result<Vec<Due>> {
        let found = rows!(self, sql::INCIDENTS_DUE, DueRow, holder.as_str(), after, most, at.micros());
        Ok(found.into_iter().map(due).collect())
    }

    /// What was proposed of an incident.
    pub async fn proposed_erasure(&mut self, incident: &IncidentId) -> Result<Option<Proposed>> {
        let found = row!(self, sql::PROPOSED_ERASURE, (String, String, i64), incident.as_str());
        Ok(found.map(|(ground, by, at)| Proposed {
            ground: Ground::known(ground),
            by: OfficerId::known(by),
            at: Instant::from_micros(at),
        }))
    }

    /// The requests that matched an incident of the holder's, at a time or later.
    ///
    /// Reads the holder's events from that time on: what matched is kept nowhere else, so that an ask writes no more.
    pub async fn requests_matching(
        &mut self,
        holder: &AgencyId,
        incident: &IncidentId,
        since: Instant,
    ) -> Result<Vec<String>> {
        let like = format!("%{incident}%");
        let found =
            rows!(self, sql::REQUESTS_MATCHING, (String, String, String), holder.as_str(), since.micros(), like);
        let mut requests = Vec::new();
        for (id, request, detail) in found {
            let detail: crate::domain::EventDetail = from_json("event", &id, &detail)?;
            if detail.incident.as_ref() == Some(incident) {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    /// Every reference to an incident.
    pub async fn references_of(&mut self, incident: &IncidentId) -> Result<Vec<Reference>> {
        let found = rows!(self, sql::REFERENCES_OF, (String,), incident.as_str());
        Ok(found.into_iter().map(|(reference,)| Reference::known(reference)).collect())
    }

    /// The entries in which somebody said why, or to whom copies went, about an incident and nothing else that is held.
    pub async fn entries_of_reasons(&mut self, incident: &IncidentId) -> Result<Vec<u64>> {
        let found = rows!(self, sql::ENTRIES_OF_REASONS, (i64,), incident.as_str());
        Ok(found.into_iter().map(|(entry,)| index(entry)).collect())
    }

    /// The releases that the holder made after a place, the oldest first: all, or those not disposed of.
    pub async fn releases_made(
        &mut self,
        holder: &AgencyId,
        after: (Instant, &str),
        most: i64,
        filter: &str,
    ) -> Result<Vec<ReleaseMade>> {
        let (after, id) = (after.0.micros(), after.1);
        let found = rows!(self, sql::RELEASES_MADE, ReleaseRow, holder.as_str(), after, id, most, filter);
        found.into_iter().map(release).collect()
    }

    /// Whether the recipient confirmed that it disposed of a release.
    pub async fn is_disposed_of(&mut self, release: &EventId) -> Result<bool> {
        Ok(row!(self, sql::DISPOSAL, (i64,), release.as_str()).is_some())
    }
}

impl Write {
    /// Proposes to erase an incident; what was proposed before is replaced.
    pub(crate) fn propose_erasure(incident: &IncidentId, holder: &AgencyId, proposed: &Proposed) -> [Self; 2] {
        let row = vec![
            incident.as_str().into(),
            holder.as_str().into(),
            proposed.ground.as_str().into(),
            proposed.by.as_str().into(),
            proposed.at.micros().into(),
        ];
        [Self::drop_proposal(incident), Self::insert(&PROPOSED, row)]
    }

    fn drop_proposal(incident: &IncidentId) -> Self {
        Self::change_any("erasure", sql::DROP_PROPOSAL, vec![incident.as_str().into()])
    }

    /// Erases an incident: the keys of its content in every revision and the content itself, what was found by its
    /// references, where it stood in the statistics, and what was to be told about it. The row stays, and says nothing.
    pub(crate) fn erase_incident(id: &IncidentId, at: Instant) -> Vec<Self> {
        let any = |table, sql| Self::change_any(table, sql, vec![id.as_str().into()]);
        vec![
            any("help_offer", sql::DROP_HELP_OFFERS),
            Self::change_one("incident", sql::ERASE_INCIDENT, vec![at.micros().into(), id.as_str().into()]),
            any("incident_revision", sql::ERASE_REVISIONS),
            any("incident_category", sql::ERASE_CATEGORIES),
            any("event", sql::DROP_EVENTS_OF_REFERENCES),
            any("event", sql::DROP_EVENTS_OF_AUTHORISATIONS),
            any("event", sql::DROP_EVENTS_OF_OBLIGATIONS),
            any("disclosure", sql::ERASE_WHO_TOLD),
            any("wrongful_release", sql::ERASE_CLOSING),
            Self::change_any(
                "notice_acknowledgement",
                sql::ERASE_SAID,
                vec![id.as_str().into(), Vec::<u8>::new().into()],
            ),
            any("reference", sql::ERASE_REFERENCES),
            any("incident_statistic", sql::ERASE_STATISTIC),
            Self::drop_proposal(id),
        ]
    }

    /// Takes references of the holder's out of what it was asked to permit.
    pub(crate) fn erase_passages(holder: &AgencyId, references: &[Reference]) -> Self {
        let set = key_set(references.iter().map(Reference::as_str));
        Self::change_any("permission", sql::ERASE_PASSAGES, vec![set.into(), holder.as_str().into()])
    }

    /// Erases the evidence of one version of a consent.
    pub(crate) fn erase_evidence(consent: &Consent) -> Self {
        let cells = vec![consent.id.as_str().into(), consent.version.into()];
        Self::change_any("consent", sql::ERASE_EVIDENCE, cells)
    }

    /// Takes the openings and the facts of these entries away, and their keys; the leaves stay.
    pub(crate) fn erase_entries(indexes: impl IntoIterator<Item = u64>) -> Self {
        let set = indexes.into_iter().map(stored).collect::<serde_json::Value>().to_string();
        Self::change_any("entry", sql::ERASE_ENTRIES, vec![set.into(), Vec::<u8>::new().into()])
    }

    /// Takes back that requests match an incident.
    pub(crate) fn unmatch(requests: &[&str], incident: &IncidentId) -> Self {
        let event = |request: &&str| EventKind::RequestToLookAt.id(&[request, incident.as_str()]);
        let events: Vec<EventId> = requests.iter().map(event).collect();
        Self::drop_events_by_id(&events)
    }

    /// Notes that a recipient disposed of a release.
    pub(crate) fn disposal(release: &EventId, external_ref: &str, by: &OfficerId, at: Instant) -> Self {
        let row = vec![release.as_str().into(), external_ref.into(), by.as_str().into(), at.micros().into()];
        Self::insert(&DISPOSAL, row)
    }
}

impl Store {
    /// Empties the file to which SQLite writes ahead, so that a key which was erased is not in it any more either. False:
    /// somebody was still reading what it holds.
    ///
    /// PostgreSQL's log is the server's: docs/operations.md says what becomes of it. The caller must run it to its end in
    /// a task of its own.
    pub async fn truncate_log(&self) -> Result<bool> {
        match &self.writer {
            Pool::Sqlite(pool) => truncate_log(pool).await,
            Pool::Postgres(_) => Ok(true),
        }
    }
}

pub(super) async fn truncate_log(pool: &SqlitePool) -> Result<bool> {
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
    Ok(busy == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::write::Op;

    #[test]
    fn operators_are_told_of_every_table_from_which_erasure_takes_something() {
        let docs = include_str!("../../docs/operations.md");
        let said = docs.lines().find(|line| line.contains("`VACUUM FULL` of")).unwrap();
        let id = IncidentId::known("inc_1");
        let mut writes = Write::erase_incident(&id, Instant::from_micros(0));
        writes.extend(Write::erase_engagements(&id));
        writes.extend(Write::erase_advice(&id));
        writes.extend(Write::erase_proposals(&[]));
        writes.push(Write::erase_passages(&AgencyId::known("ico"), &[]));
        writes.push(Write::unmatch(&[], &id));
        writes.push(Write::erase_entries([]));
        writes.extend(Write::strip_entries(std::iter::empty()).unwrap());
        for Write(op) in writes {
            let Op::Change { table, .. } = op else { panic!("erasure adds nothing") };
            assert!(said.contains(&format!("`{table}`")), "`{table}` is left out");
        }
        // By `erase_mandates`, which takes an organisation.
        assert!(said.contains("`mandate`"));
        // By `erase_evidence`, which takes a version of a consent.
        assert!(said.contains("`consent`"));
    }
}
