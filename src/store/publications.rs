//! Where incidents stand in the statistics, and what was published.

use crate::domain::{AgencyId, Digest, Incident, IncidentId, Instant, OrganisationId, Quarter};
use crate::seal::Seal;
use crate::statistics::{Coordinates, Rule};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, on, row, rows, sql, to_json};

const STATISTIC: Table = Table {
    name: "incident_statistic",
    columns: &["incident_id", "holder", "organisation_id", "quarter", "sealed"],
    keep_existing: false,
};
const PUBLICATION: Table = Table {
    name: "publication",
    columns: &["holder", "quarter", "published_at", "rule", "digest", "tables"],
    keep_existing: false,
};

/// How many incidents are read at a time.
const PAGE: i64 = 10_000;

/// Where one incident stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The incident.
    pub incident: IncidentId,
    /// The organisation at which it occurred.
    pub organisation: OrganisationId,
    /// Its values.
    pub coordinates: Coordinates,
}

/// What a holder published for a quarter.
#[derive(Debug, Clone)]
pub struct PublicationRow {
    /// The holder.
    pub holder: AgencyId,
    /// The quarter.
    pub quarter: Quarter,
    /// When.
    pub published_at: Instant,
    /// The rule under which it was computed.
    pub rule: Rule,
    /// SHA-256 over the tables.
    pub digest: Digest,
    /// The tables, exactly as they are handed out.
    pub tables: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    holder: String,
    quarter: String,
    published_at: i64,
    rule: String,
    digest: Vec<u8>,
    tables: Vec<u8>,
}

/// Of an incident: itself, its organisation, and its values sealed.
type Found = (String, String, Vec<u8>);

pub(super) fn quarter(table: &'static str, text: &str) -> Result<Quarter> {
    Quarter::parse(text).map_err(|problem| inconsistent(table, text, problem))
}

fn publication(row: Row) -> Result<PublicationRow> {
    let wrong = || inconsistent("publication", &row.quarter, "the digest has the wrong length");
    Ok(PublicationRow {
        quarter: quarter("publication", &row.quarter)?,
        published_at: Instant::from_micros(row.published_at),
        rule: from_json("publication", &row.quarter, &row.rule)?,
        digest: Digest::from_slice(&row.digest).ok_or_else(wrong)?,
        holder: AgencyId::known(row.holder),
        tables: row.tables,
    })
}

pub(super) fn bound_to<'a>(incident: &'a IncidentId, quarter: &'a str) -> [&'a str; 2] {
    [incident.as_str(), quarter]
}

pub(super) fn coordinates(incident: &IncidentId, opened: &[u8]) -> Result<Coordinates> {
    let wrong = |_| inconsistent("incident_statistic", incident.as_str(), "has the wrong length");
    Coordinates::try_from(opened).map_err(wrong)
}

impl Reads {
    /// The quarter in which an incident counts; none for one from before there were statistics.
    pub async fn counts_in(&mut self, incident: &IncidentId) -> Result<Option<Quarter>> {
        let found = row!(self, sql::STATISTIC_OF, (String,), incident.as_str());
        found.map(|(text,): (String,)| quarter("incident_statistic", &text)).transpose()
    }

    /// Where the holder's incidents of a quarter stand, after one of them; empty after the last.
    pub async fn standings(
        &mut self,
        holder: &AgencyId,
        quarter: Quarter,
        after: &str,
        seal: &Seal,
    ) -> Result<Vec<Standing>> {
        let quarter = quarter.to_string();
        let found = rows!(self, sql::STATISTICS_IN, Found, holder.as_str(), quarter.as_str(), after, PAGE);
        let open = |(incident, organisation, sealed): Found| {
            let incident = IncidentId::known(incident);
            let opened = seal.open_statistic(&bound_to(&incident, &quarter), &sealed)?;
            let coordinates = coordinates(&incident, &opened)?;
            Ok(Standing { incident, organisation: OrganisationId::known(organisation), coordinates })
        };
        found.into_iter().map(open).collect()
    }

    /// What a holder published for a quarter.
    pub async fn publication(&mut self, holder: &AgencyId, quarter: Quarter) -> Result<Option<PublicationRow>> {
        let quarter = quarter.to_string();
        row!(self, sql::PUBLICATION, Row, holder.as_str(), quarter.as_str()).map(publication).transpose()
    }

    /// What a holder published, by quarter, after one.
    pub async fn publications(&mut self, holder: &AgencyId, after: &str, most: i64) -> Result<Vec<PublicationRow>> {
        rows!(self, sql::PUBLICATIONS, Row, holder.as_str(), after, most).into_iter().map(publication).collect()
    }
}

impl Write {
    /// Lets an incident count in a quarter.
    pub(crate) fn statistic(
        incident: &Incident,
        quarter: Quarter,
        coordinates: Coordinates,
        seal: &Seal,
    ) -> Result<Self> {
        let quarter = quarter.to_string();
        let sealed = seal.seal_statistic(&bound_to(&incident.id, &quarter), &coordinates)?;
        let row = vec![
            incident.id.as_str().into(),
            incident.holder.as_str().into(),
            incident.organisation.as_str().into(),
            quarter.into(),
            sealed.into(),
        ];
        Ok(Self::insert(&STATISTIC, row))
    }

    /// Lets an incident stand elsewhere in the quarter in which it counts.
    pub(crate) fn moved_statistic(
        incident: &IncidentId,
        quarter: Quarter,
        coordinates: Coordinates,
        seal: &Seal,
    ) -> Result<Self> {
        let sealed = seal.seal_statistic(&bound_to(incident, &quarter.to_string()), &coordinates)?;
        let cells = vec![sealed.into(), incident.as_str().into()];
        Ok(Self::change_one("incident_statistic", sql::SET_STATISTIC, cells))
    }

    /// Publishes a quarter, once: a second row for it fails.
    pub(crate) fn publication(row: &PublicationRow) -> Result<Self> {
        let cells = vec![
            row.holder.as_str().into(),
            row.quarter.to_string().into(),
            row.published_at.micros().into(),
            to_json("publication", &row.rule)?.into(),
            row.digest.as_bytes().to_vec().into(),
            row.tables.clone().into(),
        ];
        Ok(Self::insert(&PUBLICATION, cells))
    }
}
