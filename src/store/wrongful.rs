//! Wrongful releases, and the freezes that they leave on incidents.

use std::collections::BTreeMap;

use crate::domain::{AgencyId, Frozen, IncidentId, Instant, OfficerId, WrongfulRelease, WrongfulReleaseId};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, disclosures, from_json, key_set, on, row, rows, sql, to_json};

const WRONGFUL_RELEASE: Table = Table {
    name: "wrongful_release",
    columns: &["id", "holder", "cause", "reported_by", "reported_at", "aware_at"],
    keep_existing: false,
};
const WRONGFUL_DISCLOSURE: Table = Table {
    name: "wrongful_disclosure",
    columns: &["wrongful_release_id", "incident_id", "disclosure_id"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    cause: String,
    reported_by: String,
    reported_at: i64,
    aware_at: i64,
    closed_at: Option<i64>,
    lifted_at: Option<i64>,
    wrapped_key: Option<Vec<u8>>,
    closing: Option<Vec<u8>>,
}

pub(super) fn key_name(id: &str) -> String {
    format!("wrongful release {id}")
}

fn wrongful(row: Row, seal: &Seal) -> Result<WrongfulRelease> {
    let name = key_name(&row.id);
    let reason = match (&row.wrapped_key, &row.closing) {
        (Some(wrapped), Some(sealed)) => seal.unwrap_key(&name, wrapped)?.open(&[&name], sealed)?,
        _ => Vec::new(),
    };
    Ok(WrongfulRelease {
        id: WrongfulReleaseId::known(row.id),
        holder: AgencyId::known(row.holder),
        cause: row.cause,
        reported_by: OfficerId::known(row.reported_by),
        reported_at: Instant::from_micros(row.reported_at),
        aware_at: Instant::from_micros(row.aware_at),
        closed_at: row.closed_at.map(Instant::from_micros),
        lifted_at: row.lifted_at.map(Instant::from_micros),
        reason: String::from_utf8_lossy(&reason).into_owned(),
        about: Vec::new(),
    })
}

/// What an incident's row says of freezes.
pub(super) fn frozen(id: &str, text: Option<&str>) -> Result<Frozen> {
    text.map_or_else(|| Ok(Frozen::new()), |text| from_json("incident", id, text))
}

impl Reads {
    /// One of the holder's own wrongful releases, with what was disclosed.
    pub async fn wrongful_release(
        &mut self,
        holder: &AgencyId,
        id: &WrongfulReleaseId,
        seal: &Seal,
    ) -> Result<Option<WrongfulRelease>> {
        let Some(row) = row!(self, sql::WRONGFUL_RELEASE, Row, holder.as_str(), id.as_str()) else { return Ok(None) };
        let about = rows!(self, sql::WRONGFUL_DISCLOSURES, disclosures::Row, id.as_str());
        let about = about.into_iter().map(disclosures::disclosure).collect::<Result<_>>()?;
        Ok(Some(WrongfulRelease { about, ..wrongful(row, seal)? }))
    }

    /// The holder's own wrongful releases after an id, without what was disclosed.
    pub async fn wrongful_releases(
        &mut self,
        holder: &AgencyId,
        after: &str,
        most: i64,
        seal: &Seal,
    ) -> Result<Vec<WrongfulRelease>> {
        let found = rows!(self, sql::WRONGFUL_RELEASES, Row, holder.as_str(), after, most);
        found.into_iter().map(|row| wrongful(row, seal)).collect()
    }

    /// Those that are open and that their holders knew of by a time, the oldest first: id, holder and since when.
    pub async fn wrongful_releases_open(
        &mut self,
        aware_by: Instant,
        most: i64,
    ) -> Result<Vec<(WrongfulReleaseId, AgencyId, Instant)>> {
        let found = rows!(self, sql::WRONGFUL_RELEASES_OPEN, (String, String, i64), aware_by.micros(), most);
        let open = |(id, holder, at): (String, String, i64)| {
            (WrongfulReleaseId::known(id), AgencyId::known(holder), Instant::from_micros(at))
        };
        Ok(found.into_iter().map(open).collect())
    }

    /// To whom each of these incidents is not released for now.
    pub async fn frozen(&mut self, incidents: &[&IncidentId]) -> Result<BTreeMap<IncidentId, Frozen>> {
        let set = key_set(incidents.iter().map(|id| id.as_str()));
        let found = rows!(self, sql::FROZEN, (String, Option<String>), set);
        let pair = |(id, text): (String, Option<String>)| {
            let frozen = frozen(&id, text.as_deref())?;
            Ok((IncidentId::known(id), frozen))
        };
        found.into_iter().map(pair).collect()
    }
}

impl Write {
    /// Adds a wrongful release.
    pub(crate) fn wrongful_release(wrongful: &WrongfulRelease) -> Vec<Self> {
        let row = vec![
            wrongful.id.as_str().into(),
            wrongful.holder.as_str().into(),
            wrongful.cause.as_str().into(),
            wrongful.reported_by.as_str().into(),
            wrongful.reported_at.micros().into(),
            wrongful.aware_at.micros().into(),
        ];
        let about = wrongful.about.iter().map(|made| {
            let row = vec![wrongful.id.as_str().into(), made.incident.as_str().into(), made.id.as_str().into()];
            Self::insert(&WRONGFUL_DISCLOSURE, row)
        });
        std::iter::once(Self::insert(&WRONGFUL_RELEASE, row)).chain(about).collect()
    }

    /// Closes one, and says when its freeze was lifted, if it was.
    pub(crate) fn close_wrongful_release(wrongful: &WrongfulRelease, seal: &Seal) -> Result<Self> {
        let name = key_name(wrongful.id.as_str());
        let (key, wrapped) = seal.new_key(&name)?;
        let cells = vec![
            wrongful.closed_at.map(Instant::micros).into(),
            wrongful.lifted_at.map(Instant::micros).into(),
            wrapped.into(),
            key.seal(&[&name], wrongful.reason.as_bytes())?.into(),
            wrongful.id.as_str().into(),
        ];
        Ok(Self::change_one("wrongful_release", sql::CLOSE_WRONGFUL_RELEASE, cells))
    }

    /// Says to whom each of these incidents is not released from now on.
    pub(crate) fn frozen(all: &BTreeMap<IncidentId, Frozen>) -> Result<Self> {
        let text = |frozen: &Frozen| (!frozen.is_empty()).then(|| to_json("incident", frozen)).transpose();
        let pairs = all.iter().map(|(id, frozen)| Ok((id.as_str(), text(frozen)?)));
        let pairs: Vec<(&str, Option<String>)> = pairs.collect::<Result<_>>()?;
        Ok(Self::change_any("incident", sql::SET_FROZEN, vec![to_json("incident", &pairs)?.into()]))
    }
}
