//! What left: releases and disclosures made elsewhere.

use std::collections::BTreeSet;

use crate::decision::Basis;
use crate::domain::{AgencyId, ConsentId, Disclosure, DisclosureId, IncidentId, Instant, Question};

use super::write::{Table, Write};
use super::{Answer, Reads, Result, Tx, from_json, index, key_set, on, rows, sql, stored, to_json};

const DISCLOSURE: Table = Table {
    name: "disclosure",
    columns: &["incident_id", "id", "holder", "recipient", "idx", "revision", "disclosed_at", "consent_id", "terms"],
    // Released before, on the same terms.
    keep_existing: true,
};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    incident_id: String,
    id: String,
    #[sqlx(flatten)]
    rest: Rest,
}

/// What a disclosure has beside its key.
#[derive(sqlx::FromRow)]
pub(super) struct Rest {
    holder: String,
    recipient: String,
    idx: Option<i64>,
    revision: i64,
    disclosed_at: i64,
    terms: String,
}

impl Rest {
    pub(super) fn of(self, incident: String, id: String) -> Result<Disclosure> {
        Ok(Disclosure {
            terms: from_json("disclosure", &id, &self.terms)?,
            id: DisclosureId::known(id),
            holder: AgencyId::known(self.holder),
            recipient: AgencyId::known(self.recipient),
            incident: IncidentId::known(incident),
            revision: self.revision,
            index: self.idx.map(index),
            at: Instant::from_micros(self.disclosed_at),
        })
    }
}

pub(super) fn disclosure(row: Row) -> Result<Disclosure> {
    row.rest.of(row.incident_id, row.id)
}

impl Reads {
    /// What was disclosed of these incidents, whosever they are.
    pub async fn disclosures_of(&mut self, incidents: &[&IncidentId]) -> Result<Vec<Disclosure>> {
        let set = key_set(incidents.iter().map(|id| id.as_str()));
        rows!(self, sql::DISCLOSURES_OF, Row, set).into_iter().map(disclosure).collect()
    }

    /// What was disclosed in reliance on a consent, at whatever version; of incidents that are erased as well.
    pub async fn disclosures_on(&mut self, consent: &ConsentId) -> Result<Vec<Disclosure>> {
        rows!(self, sql::DISCLOSURES_ON, Row, consent.as_str()).into_iter().map(disclosure).collect()
    }

    /// What the releases of these requests with these entries rest on.
    pub async fn releases_at(
        &mut self,
        requests: &[&str],
        indexes: &BTreeSet<u64>,
    ) -> Result<Vec<(Question, Vec<Basis>)>> {
        let set = indexes.iter().map(|index| stored(*index)).collect::<serde_json::Value>().to_string();
        let mut found = Vec::new();
        for (request, answer) in rows!(self, sql::ASKS_AT, (String, String), key_set(requests.iter().copied()), set) {
            if let Answer::Released { basis } = from_json("call", &request, &answer)? {
                found.push((Question::known(request), basis));
            }
        }
        Ok(found)
    }

    /// What a holder disclosed of one incident, after an id; of one that is erased as well.
    pub async fn disclosures(
        &mut self,
        holder: &AgencyId,
        incident: &IncidentId,
        after: &str,
        most: i64,
    ) -> Result<Vec<Disclosure>> {
        let found = rows!(self, sql::DISCLOSURES, Row, incident.as_str(), after, most, holder.as_str());
        found.into_iter().map(disclosure).collect()
    }

    /// The disclosures made elsewhere with these ids, whosever they are.
    pub async fn disclosures_elsewhere(&mut self, ids: &[DisclosureId]) -> Result<Vec<Disclosure>> {
        let set = key_set(ids.iter().map(DisclosureId::as_str));
        rows!(self, sql::DISCLOSURES_ELSEWHERE, Row, set).into_iter().map(disclosure).collect()
    }
}

impl Write {
    /// Adds a disclosure.
    pub(crate) fn disclosure(made: &Disclosure) -> Result<Self> {
        let row = vec![
            made.incident.as_str().into(),
            made.id.as_str().into(),
            made.holder.as_str().into(),
            made.recipient.as_str().into(),
            made.index.map(stored).into(),
            made.revision.into(),
            made.at.micros().into(),
            made.terms.consent.as_ref().map(|(id, _)| id.to_string()).into(),
            to_json("disclosure", &made.terms)?.into(),
        ];
        Ok(Self::insert(&DISCLOSURE, row))
    }
}
