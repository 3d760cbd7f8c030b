//! Themes: what each version says, sealed; what it rests on; and whom it was shared with.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    AgencyId, Confirmation, Digest, HeldTheme, IncidentId, Instant, Markings, OfficerId, OrganisationId, ThemeId,
    ThemeVersion, Tlp,
};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, index, key_set, on, row, rows, sql, stored, to_json};

const THEME: Table = Table { name: "theme", columns: &["id", "holder"], keep_existing: false };
const THEME_VERSION: Table = Table {
    name: "theme_version",
    columns: &["theme_id", "version", "wrapped_key", "sealed", "drafted_by", "drafted_at"],
    keep_existing: false,
};
const THEME_INCIDENT: Table =
    Table { name: "theme_incident", columns: &["theme_id", "version", "incident_id"], keep_existing: false };
const THEME_RECIPIENT: Table = Table { name: "theme_recipient", columns: &["theme_id", "agency"], keep_existing: true };

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    holder: String,
    withdrawn_at: Option<i64>,
    withdrawn_by: Option<String>,
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    theme_id: String,
    version: i64,
    wrapped_key: Option<Vec<u8>>,
    sealed: Vec<u8>,
    drafted_by: String,
    drafted_at: i64,
    confirmed_by: Option<String>,
    confirmed_at: Option<i64>,
    threshold: Option<i64>,
    largest_share: Option<i64>,
    digest: Option<Vec<u8>>,
}

pub(super) fn key_name(id: &str, version: i64) -> String {
    format!("theme {id} {version}")
}

fn version(row: VersionRow, seal: &Seal) -> Result<ThemeVersion> {
    let wrong = |problem: &str| inconsistent("theme_version", &row.theme_id, problem);
    let name = key_name(&row.theme_id, row.version);
    let wrapped = row.wrapped_key.as_deref().ok_or_else(|| wrong("was erased"))?;
    let plain = seal.unwrap_key(&name, wrapped)?.open(&[&name], &row.sealed)?;
    let theme = from_json("theme_version", &row.theme_id, &String::from_utf8_lossy(&plain))?;
    let confirmed = match (row.confirmed_at, &row.confirmed_by, row.threshold.zip(row.largest_share), &row.digest) {
        (None, ..) => None,
        (Some(at), Some(by), Some((threshold, largest_share)), Some(digest)) => Some(Confirmation {
            by: OfficerId::known(by.as_str()),
            at: Instant::from_micros(at),
            threshold: index(threshold),
            largest_share: index(largest_share),
            digest: Digest::from_slice(digest).ok_or_else(|| wrong("its digest has the wrong length"))?,
        }),
        _ => return Err(wrong("was confirmed in part")),
    };
    Ok(ThemeVersion {
        version: row.version,
        theme,
        incidents: BTreeSet::new(),
        drafted_by: OfficerId::known(row.drafted_by),
        drafted_at: Instant::from_micros(row.drafted_at),
        confirmed,
    })
}

/// A theme as stored.
#[derive(Debug)]
pub struct ThemeRow {
    /// The theme.
    pub held: HeldTheme,
    /// The organisation of each incident that is left of what a version rests on; one for each incident. One that was
    /// erased or is marked TLP RED by now supports nothing.
    pub organisations: BTreeMap<i64, Vec<OrganisationId>>,
}

/// What a version rests on: theme, version, incident; of an incident that was not erased, organisation and markings.
type Rests = (String, i64, String, Option<String>, Option<String>);

/// Themes with their versions, and those with what they rest on.
fn assembled(found: Vec<Row>, versions: Vec<VersionRow>, rests: Vec<Rests>, seal: &Seal) -> Result<Vec<ThemeRow>> {
    let mut of_theme: BTreeMap<String, Vec<ThemeVersion>> = BTreeMap::new();
    for row in versions {
        of_theme.entry(row.theme_id.clone()).or_default().push(version(row, seal)?);
    }
    let mut incidents: BTreeMap<(String, i64), BTreeSet<IncidentId>> = BTreeMap::new();
    let mut organisations: BTreeMap<String, BTreeMap<i64, Vec<OrganisationId>>> = BTreeMap::new();
    for (theme, version, incident, organisation, markings) in rests {
        if let Some((organisation, markings)) = organisation.zip(markings) {
            let markings: Markings = from_json("incident", &incident, &markings)?;
            let all = organisations.entry(theme.clone()).or_default().entry(version).or_default();
            all.extend(Some(OrganisationId::known(organisation)).filter(|_| markings.tlp != Tlp::Red));
        }
        incidents.entry((theme, version)).or_default().insert(IncidentId::known(incident));
    }
    let theme = |Row { id, holder, withdrawn_at, withdrawn_by }| {
        let mut versions = of_theme.remove(&id).unwrap_or_default();
        for version in &mut versions {
            version.incidents = incidents.remove(&(id.clone(), version.version)).unwrap_or_default();
        }
        let withdrawn = withdrawn_at.map(Instant::from_micros).zip(withdrawn_by.map(OfficerId::known));
        let organisations = organisations.remove(&id).unwrap_or_default();
        let (id, holder) = (ThemeId::known(id), AgencyId::known(holder));
        ThemeRow { held: HeldTheme { id, holder, withdrawn, versions }, organisations }
    };
    Ok(found.into_iter().map(theme).collect())
}

impl Reads {
    /// One of the holder's themes, with all of its versions and what each rests on.
    pub async fn theme(&mut self, holder: &AgencyId, id: &ThemeId, seal: &Seal) -> Result<Option<ThemeRow>> {
        let found = row!(self, sql::THEME, Row, holder.as_str(), id.as_str());
        let set = key_set([id.as_str()]);
        let versions = rows!(self, sql::THEME_VERSIONS, VersionRow, set.as_str());
        let rests = rows!(self, sql::THEME_INCIDENTS, Rests, set.as_str());
        Ok(assembled(found.into_iter().collect(), versions, rests, seal)?.pop())
    }

    /// The same without versions that are out of use: with the newest, what that rests on, and the one confirmed last.
    pub async fn theme_now(&mut self, holder: &AgencyId, id: &ThemeId, seal: &Seal) -> Result<Option<ThemeRow>> {
        let found = row!(self, sql::THEME, Row, holder.as_str(), id.as_str());
        let versions = rows!(self, sql::CURRENT_VERSIONS, VersionRow, key_set([id.as_str()]));
        let rests = rows!(self, sql::NEWEST_INCIDENTS, Rests, id.as_str());
        Ok(assembled(found.into_iter().collect(), versions, rests, seal)?.pop())
    }

    /// The holder's themes after an id, with the newest version of each and the one confirmed last, without what they
    /// rest on.
    pub async fn themes(&mut self, holder: &AgencyId, after: &str, most: i64, seal: &Seal) -> Result<Vec<ThemeRow>> {
        let found = rows!(self, sql::THEMES, Row, holder.as_str(), after, most);
        let set = key_set(found.iter().map(|row| row.id.as_str()));
        let versions = rows!(self, sql::CURRENT_VERSIONS, VersionRow, set);
        assembled(found, versions, Vec::new(), seal)
    }

    /// Those of the holder's themes after an id that were confirmed and not withdrawn.
    pub async fn shareable_themes(&mut self, holder: &AgencyId, after: &str, most: i64) -> Result<Vec<ThemeId>> {
        let found = rows!(self, sql::SHAREABLE_THEMES, Row, holder.as_str(), after, most);
        Ok(found.into_iter().map(|row| ThemeId::known(row.id)).collect())
    }

    /// Themes with the version of each that was confirmed last; without those that never were.
    pub async fn confirmed_themes(&mut self, ids: &BTreeSet<&ThemeId>, seal: &Seal) -> Result<Vec<ThemeRow>> {
        let set = key_set(ids.iter().map(|id| id.as_str()));
        let found = rows!(self, sql::THEMES_BY_ID, Row, set.as_str());
        let versions = rows!(self, sql::CONFIRMED_VERSIONS, VersionRow, set.as_str());
        let rests = rows!(self, sql::CONFIRMED_INCIDENTS, Rests, set.as_str());
        let themes = assembled(found, versions, rests, seal)?;
        Ok(themes.into_iter().filter(|theme| !theme.held.versions.is_empty()).collect())
    }

    /// The agencies that a theme was shared with, in any version.
    pub async fn theme_recipients(&mut self, id: &ThemeId) -> Result<Vec<AgencyId>> {
        let found = rows!(self, sql::THEME_RECIPIENTS, (String,), id.as_str());
        Ok(found.into_iter().map(|(agency,)| AgencyId::known(agency)).collect())
    }
}

impl Write {
    /// Adds a theme without versions.
    pub(crate) fn theme(id: &ThemeId, holder: &AgencyId) -> Self {
        Self::insert(&THEME, vec![id.as_str().into(), holder.as_str().into()])
    }

    /// Adds a version that nobody has confirmed, and what it rests on.
    pub(crate) fn theme_version(id: &ThemeId, version: &ThemeVersion, seal: &Seal) -> Result<Vec<Self>> {
        let (id, number) = (id.as_str(), version.version);
        let name = key_name(id, number);
        let (key, wrapped) = seal.new_key(&name)?;
        let sealed = key.seal(&[&name], to_json("theme_version", &version.theme)?.as_bytes())?;
        let row = vec![
            id.into(),
            number.into(),
            wrapped.into(),
            sealed.into(),
            version.drafted_by.as_str().into(),
            version.drafted_at.micros().into(),
        ];
        let incident = |incident: &IncidentId| {
            Self::insert(&THEME_INCIDENT, vec![id.into(), number.into(), incident.as_str().into()])
        };
        let first = Self::insert(&THEME_VERSION, row);
        Ok(std::iter::once(first).chain(version.incidents.iter().map(incident)).collect())
    }

    /// Notes that a version was confirmed, once.
    pub(crate) fn theme_confirmed(id: &ThemeId, version: i64, confirmed: &Confirmation) -> Self {
        let cells = vec![
            confirmed.by.as_str().into(),
            confirmed.at.micros().into(),
            stored(confirmed.threshold).into(),
            stored(confirmed.largest_share).into(),
            confirmed.digest.as_bytes().to_vec().into(),
            id.as_str().into(),
            version.into(),
        ];
        Self::change_one("theme_version", sql::CONFIRM_THEME, cells)
    }

    /// Notes that a theme was withdrawn, once.
    pub(crate) fn theme_withdrawn(id: &ThemeId, at: Instant, by: &OfficerId) -> Self {
        let cells = vec![at.micros().into(), by.as_str().into(), id.as_str().into()];
        Self::change_one("theme", sql::WITHDRAW_THEME, cells)
    }

    /// Notes that a theme was shared with an agency.
    pub(crate) fn theme_recipient(id: &ThemeId, agency: &AgencyId) -> Self {
        Self::insert(&THEME_RECIPIENT, vec![id.as_str().into(), agency.as_str().into()])
    }
}
