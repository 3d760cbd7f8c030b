//! Engagements, to whom they were put, and what organisations were asked.

use std::collections::BTreeMap;

use crate::domain::{
    AgencyId, AskOfVictim, Engagement, EngagementId, EngagementPut, EngagementTerms, IncidentId, Instant, Purpose,
};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, index, key_set, on, row, rows, sql, to_json};

const ENGAGEMENT: Table = Table {
    name: "engagement",
    columns: &["id", "holder", "incident_id", "since", "wrapped_key", "sealed"],
    keep_existing: false,
};
const PUT: Table = Table {
    name: "engagement_put",
    columns: &["recipient", "engagement_id", "purpose", "put_at", "organisation_version"],
    keep_existing: false,
};
const ASK: Table = Table {
    name: "engagement_ask",
    columns: &["engagement_id", "number", "asked_at", "urgent", "wrapped_key", "sealed"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    incident_id: String,
    since: i64,
    ended_at: Option<i64>,
    wrapped_key: Vec<u8>,
    sealed: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct PutRow {
    engagement_id: String,
    recipient: String,
    purpose: String,
    put_at: i64,
    organisation_version: i64,
}

#[derive(sqlx::FromRow)]
struct AskRow {
    engagement_id: String,
    number: i64,
    asked_at: i64,
    urgent: i64,
    wrapped_key: Vec<u8>,
    sealed: Vec<u8>,
}

pub(super) fn key_name(id: &str) -> String {
    format!("engagement {id}")
}

pub(super) fn ask_name(id: &str, number: i64) -> String {
    format!("engagement {id} ask {number}")
}

fn engagement(row: Row, seal: &Seal) -> Result<Engagement> {
    let name = key_name(&row.id);
    let plain = seal.unwrap_key(&name, &row.wrapped_key)?.open(&[&name], &row.sealed)?;
    let terms: EngagementTerms = from_json("engagement", &row.id, &String::from_utf8_lossy(&plain))?;
    Ok(Engagement {
        id: EngagementId::known(row.id),
        holder: AgencyId::known(row.holder),
        incident: IncidentId::known(row.incident_id),
        since: Instant::from_micros(row.since),
        ended_at: row.ended_at.map(Instant::from_micros),
        terms,
        asks: Vec::new(),
        puts: Vec::new(),
    })
}

fn ask(row: &AskRow, seal: &Seal) -> Result<AskOfVictim> {
    let name = ask_name(&row.engagement_id, row.number);
    let plain = seal.unwrap_key(&name, &row.wrapped_key)?.open(&[&name], &row.sealed)?;
    Ok(AskOfVictim {
        text: String::from_utf8_lossy(&plain).into_owned(),
        urgent: row.urgent != 0,
        asked_at: Instant::from_micros(row.asked_at),
    })
}

impl Reads {
    /// One of the holder's own engagements, ended ones included, without what was asked.
    pub async fn engagement(
        &mut self,
        holder: &AgencyId,
        id: &EngagementId,
        seal: &Seal,
    ) -> Result<Option<Engagement>> {
        let found = row!(self, sql::ENGAGEMENT, Row, holder.as_str(), id.as_str());
        let found = found.map(|row| engagement(row, seal)).transpose()?.into_iter().collect();
        Ok(self.with_puts(found).await?.pop())
    }

    /// Whether an engagement about the incident runs.
    pub async fn is_engaged(&mut self, incident: &IncidentId) -> Result<bool> {
        Ok(!rows!(self, sql::ENGAGEMENTS_OF, (String,), incident.as_str()).is_empty())
    }

    /// The agency's own engagements that run, and those that were put to it, whether or not it may see them; by id, and
    /// without what was asked.
    pub async fn engagements_for(&mut self, agency: &AgencyId, seal: &Seal) -> Result<Vec<Engagement>> {
        let found = rows!(self, sql::ENGAGEMENTS_FOR, Row, agency.as_str());
        let found = found.into_iter().map(|row| engagement(row, seal)).collect::<Result<_>>()?;
        self.with_puts(found).await
    }

    /// The same engagements with to whom they were put.
    async fn with_puts(&mut self, mut found: Vec<Engagement>) -> Result<Vec<Engagement>> {
        let set = key_set(found.iter().map(|one| one.id.as_str()));
        let puts = rows!(self, sql::ENGAGEMENT_PUTS, PutRow, set);
        for one in &mut found {
            let own_puts = puts.iter().filter(|put| put.engagement_id == one.id.as_str());
            one.puts = own_puts
                .map(|put| EngagementPut {
                    recipient: AgencyId::known(put.recipient.as_str()),
                    purpose: Purpose::known(put.purpose.as_str()),
                    put_at: Instant::from_micros(put.put_at),
                    organisation_version: put.organisation_version,
                })
                .collect();
        }
        Ok(found)
    }

    /// What organisations were asked in these engagements, the latest first.
    pub async fn asks_of_victims(
        &mut self,
        engagements: &[&str],
        seal: &Seal,
    ) -> Result<BTreeMap<EngagementId, Vec<AskOfVictim>>> {
        let set = key_set(engagements.iter().copied());
        let mut asks: BTreeMap<EngagementId, Vec<AskOfVictim>> = BTreeMap::new();
        for row in rows!(self, sql::ENGAGEMENT_ASKS, AskRow, set) {
            let of = EngagementId::known(row.engagement_id.as_str());
            asks.entry(of).or_default().push(ask(&row, seal)?);
        }
        Ok(asks)
    }

    /// How many asks an engagement has.
    pub async fn count_asks_of_victim(&mut self, id: &EngagementId) -> Result<i64> {
        Ok(row!(self, sql::COUNT_ENGAGEMENT_ASKS, (i64,), id.as_str()).map_or(0, |(count,)| count))
    }

    /// The entries in which it was decided who may see engagements about an incident.
    pub async fn entries_of_engagements(&mut self, incident: &IncidentId) -> Result<Vec<u64>> {
        let found = rows!(self, sql::ENTRIES_OF_ENGAGEMENTS, (i64,), incident.as_str());
        Ok(found.into_iter().map(|(entry,)| index(entry)).collect())
    }
}

impl Write {
    /// Adds an engagement.
    pub(crate) fn engagement(engagement: &Engagement, seal: &Seal) -> Result<Self> {
        let (wrapped, sealed) = sealed_terms(&engagement.id, &engagement.terms, seal)?;
        let row = vec![
            engagement.id.as_str().into(),
            engagement.holder.as_str().into(),
            engagement.incident.as_str().into(),
            engagement.since.micros().into(),
            wrapped.into(),
            sealed.into(),
        ];
        Ok(Self::insert(&ENGAGEMENT, row))
    }

    /// Gives an engagement other terms, under another key.
    pub(crate) fn amend_engagement(id: &EngagementId, terms: &EngagementTerms, seal: &Seal) -> Result<Self> {
        let (wrapped, sealed) = sealed_terms(id, terms, seal)?;
        let cells = vec![wrapped.into(), sealed.into(), id.as_str().into()];
        Ok(Self::change_one("engagement", sql::AMEND_ENGAGEMENT, cells))
    }

    /// Ends an engagement.
    pub(crate) fn end_engagement(id: &EngagementId, at: Instant) -> Self {
        Self::change_one("engagement", sql::END_ENGAGEMENT, vec![at.micros().into(), id.as_str().into()])
    }

    /// Puts an engagement to an agency, or once more in place of what was put.
    pub(crate) fn put_engagement(id: &EngagementId, put: &EngagementPut, again: bool) -> Self {
        let (recipient, purpose) = (put.recipient.as_str(), put.purpose.as_str());
        let (at, version) = (put.put_at.micros(), put.organisation_version);
        if again {
            let cells = vec![purpose.into(), at.into(), version.into(), recipient.into(), id.as_str().into()];
            return Self::change_one("engagement_put", sql::PUT_ENGAGEMENT_AGAIN, cells);
        }
        Self::insert(&PUT, vec![recipient.into(), id.as_str().into(), purpose.into(), at.into(), version.into()])
    }

    /// Takes back what an agency was told when an engagement was put to it before.
    pub(crate) fn drop_events_of_put(id: &EngagementId, recipient: &AgencyId) -> Self {
        Self::change_any("event", sql::DROP_EVENTS_OF_PUT, vec![id.as_str().into(), recipient.as_str().into()])
    }

    /// Adds what the organisation was asked, as the ask of this number.
    pub(crate) fn ask_of_victim(id: &EngagementId, number: i64, ask: &AskOfVictim, seal: &Seal) -> Result<Self> {
        let name = ask_name(id.as_str(), number);
        let (key, wrapped) = seal.new_key(&name)?;
        let row = vec![
            id.as_str().into(),
            number.into(),
            ask.asked_at.micros().into(),
            i64::from(ask.urgent).into(),
            wrapped.into(),
            key.seal(&[&name], ask.text.as_bytes())?.into(),
        ];
        Ok(Self::insert(&ASK, row))
    }

    /// Erases the engagements about an incident: what they say, to whom they were put, and what was to be told about them.
    pub(crate) fn erase_engagements(incident: &IncidentId) -> [Self; 4] {
        let any = |table, sql| Self::change_any(table, sql, vec![incident.as_str().into()]);
        [
            any("engagement_ask", sql::ERASE_ENGAGEMENT_ASKS),
            any("engagement_put", sql::ERASE_ENGAGEMENT_PUTS),
            any("event", sql::DROP_EVENTS_OF_ENGAGEMENTS),
            any("engagement", sql::ERASE_ENGAGEMENTS),
        ]
    }
}

fn sealed_terms(id: &EngagementId, terms: &EngagementTerms, seal: &Seal) -> Result<(Vec<u8>, Vec<u8>)> {
    let name = key_name(id.as_str());
    let (key, wrapped) = seal.new_key(&name)?;
    let sealed = key.seal(&[&name], to_json("engagement", terms)?.as_bytes())?;
    Ok((wrapped, sealed))
}
