//! What agencies were asked to permit, and what of others' permissions this node was shown.

use std::collections::BTreeSet;

use crate::domain::{
    AgencyId, Category, IncidentId, Instant, Passage, PermissionId, Purpose, Reference, Requester, Unit,
};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, from_json, inconsistent, key_set, on, row, rows, sql, to_json};

const PERMISSION: Table = Table {
    name: "permission",
    columns: &[
        "id",
        "upstream",
        "holder",
        "unit",
        "pseudonym",
        "reference",
        "passage",
        "recipient",
        "purpose",
        "categories",
        "asked_at",
        "permitted",
        "valid_until",
        "declined_at",
        "withdrawn_at",
    ],
    keep_existing: false,
};

const SHOWN: Table = Table {
    name: "permission_shown",
    columns: &["permission", "incident_id", "withdrawn_at"],
    // Shown for this incident before, or withdrawn before.
    keep_existing: true,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    upstream: String,
    holder: String,
    unit: String,
    pseudonym: String,
    passage: String,
    recipient: String,
    purpose: String,
    categories: String,
    asked_at: i64,
    permitted: Option<String>,
    valid_until: Option<i64>,
    declined_at: Option<i64>,
    withdrawn_at: Option<i64>,
}

/// What an upstream agency was asked to permit.
#[derive(Debug, Clone)]
pub struct AskedPermission {
    /// Its id.
    pub id: PermissionId,
    /// The agency asked.
    pub upstream: AgencyId,
    /// Who asks: the agency that holds the copy.
    pub asker: Requester,
    /// The agency's own release of what is to be passed on.
    pub passage: Passage,
    /// To whom it is to be passed on.
    pub recipient: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// When.
    pub asked_at: Instant,
    /// What was permitted, and until when.
    pub given: Option<(BTreeSet<Category>, Instant)>,
    /// When it was declined.
    pub declined_at: Option<Instant>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Instant>,
}

impl AskedPermission {
    /// `asked`, `given`, `declined`, `withdrawn` or `ended`.
    pub fn state(&self, at: Instant) -> &'static str {
        match (&self.given, self.declined_at, self.withdrawn_at) {
            (_, _, Some(_)) => "withdrawn",
            (_, Some(_), _) => "declined",
            (None, ..) => "asked",
            (Some((_, until)), ..) if *until <= at => "ended",
            (Some(_), ..) => "given",
        }
    }
}

fn permission(row: Row) -> Result<AskedPermission> {
    let json = |text: &str| from_json::<BTreeSet<Category>>("permission", &row.id, text);
    let until = row.valid_until.map(Instant::from_micros);
    Ok(AskedPermission {
        passage: from_json("permission", &row.id, &row.passage)?,
        categories: json(&row.categories)?,
        given: row.permitted.as_deref().map(json).transpose()?.zip(until),
        id: PermissionId::known(row.id),
        upstream: AgencyId::known(row.upstream),
        asker: Requester { agency: AgencyId::known(row.holder), unit: Unit::known(row.unit), pseudonym: row.pseudonym },
        recipient: AgencyId::known(row.recipient),
        purpose: Purpose::known(row.purpose),
        asked_at: Instant::from_micros(row.asked_at),
        declined_at: row.declined_at.map(Instant::from_micros),
        withdrawn_at: row.withdrawn_at.map(Instant::from_micros),
    })
}

/// What this node was told of another agency's permission.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The incidents for which it was presented.
    pub incidents: BTreeSet<IncidentId>,
    /// When its withdrawal was presented.
    pub withdrawn_at: Option<Instant>,
}

impl Reads {
    /// One permission, whoever asked and whoever was asked.
    pub async fn permission(&mut self, id: &PermissionId) -> Result<Option<AskedPermission>> {
        row!(self, sql::PERMISSION, Row, id.as_str()).map(permission).transpose()
    }

    /// What was asked of an agency, after an id.
    pub async fn permissions(&mut self, upstream: &AgencyId, after: &str, most: i64) -> Result<Vec<AskedPermission>> {
        rows!(self, sql::PERMISSIONS, Row, upstream.as_str(), after, most).into_iter().map(permission).collect()
    }

    /// What agencies permitted of what they released under these references of their recipients', whatever came of it since.
    pub async fn permitted_of(&mut self, references: &[&Reference]) -> Result<Vec<AskedPermission>> {
        let set = key_set(references.iter().map(|reference| reference.as_str()));
        rows!(self, sql::PERMITTED_OF, Row, set).into_iter().map(permission).collect()
    }

    /// What this node was told of a permission of another agency's.
    pub async fn permission_shown(&mut self, upstream: &AgencyId, id: &PermissionId) -> Result<Shown> {
        let mut shown = Shown::default();
        for (incident, withdrawn_at) in
            rows!(self, sql::PERMISSION_SHOWN, (String, Option<i64>), shown_key(upstream, id))
        {
            match withdrawn_at {
                Some(at) => shown.withdrawn_at = Some(Instant::from_micros(at)),
                None => drop(shown.incidents.insert(IncidentId::known(incident))),
            }
        }
        Ok(shown)
    }
}

impl Reads {
    /// The permissions of other agencies that this node was shown for an incident.
    pub async fn permissions_shown_for(&mut self, incident: &IncidentId) -> Result<Vec<(AgencyId, PermissionId)>> {
        let found = rows!(self, sql::PERMISSIONS_SHOWN_FOR, (String,), incident.as_str());
        found.into_iter().map(|(key,)| shown_of(&key)).collect()
    }

    /// Those of them of which this node was told that they are withdrawn.
    pub async fn permissions_withdrawn(&mut self, incident: &IncidentId) -> Result<Vec<(AgencyId, PermissionId)>> {
        let found = rows!(self, sql::PERMISSIONS_WITHDRAWN, (String,), incident.as_str());
        found.into_iter().map(|(key,)| shown_of(&key)).collect()
    }
}

fn shown_of(key: &str) -> Result<(AgencyId, PermissionId)> {
    let parts = key.split_once('/').ok_or_else(|| inconsistent("permission_shown", key, "names no agency"))?;
    Ok((AgencyId::known(parts.0), PermissionId::known(parts.1)))
}

fn shown_key(upstream: &AgencyId, id: &PermissionId) -> String {
    format!("{upstream}/{id}")
}

impl Write {
    /// Adds what was asked.
    pub(crate) fn permission(asked: &AskedPermission) -> Result<Self> {
        let permitted = asked.given.as_ref().map(|(categories, _)| to_json("permission", categories)).transpose()?;
        let row = vec![
            asked.id.as_str().into(),
            asked.upstream.as_str().into(),
            asked.asker.agency.as_str().into(),
            asked.asker.unit.as_str().into(),
            asked.asker.pseudonym.as_str().into(),
            asked.passage.reference.as_str().into(),
            to_json("permission", &asked.passage)?.into(),
            asked.recipient.as_str().into(),
            asked.purpose.as_str().into(),
            to_json("permission", &asked.categories)?.into(),
            asked.asked_at.micros().into(),
            permitted.into(),
            asked.given.as_ref().map(|(_, until)| until.micros()).into(),
            asked.declined_at.map(Instant::micros).into(),
            asked.withdrawn_at.map(Instant::micros).into(),
        ];
        Ok(Self::insert(&PERMISSION, row))
    }

    /// Permits what was asked.
    pub(crate) fn give_permission(id: &PermissionId, categories: &BTreeSet<Category>, until: Instant) -> Result<Self> {
        let cells = vec![to_json("permission", categories)?.into(), until.micros().into(), id.as_str().into()];
        Ok(Self::change_one("permission", sql::GIVE_PERMISSION, cells))
    }

    /// Closes what was asked.
    pub(crate) fn decline_permission(id: &PermissionId, at: Instant) -> Self {
        Self::change_one("permission", sql::DECLINE_PERMISSION, vec![at.micros().into(), id.as_str().into()])
    }

    /// Takes a permission back.
    pub(crate) fn withdraw_permission(id: &PermissionId, at: Instant) -> Self {
        Self::change_one("permission", sql::WITHDRAW_PERMISSION, vec![at.micros().into(), id.as_str().into()])
    }

    /// Remembers for which incident a permission was shown.
    pub(crate) fn permission_shown(upstream: &AgencyId, id: &PermissionId, incident: &IncidentId) -> Self {
        Self::insert(&SHOWN, vec![shown_key(upstream, id).into(), incident.as_str().into(), None::<i64>.into()])
    }

    /// Remembers that a permission is withdrawn: from the first time that this node is told.
    pub(crate) fn permission_withdrawn(upstream: &AgencyId, id: &PermissionId, at: Instant) -> Self {
        Self::insert(&SHOWN, vec![shown_key(upstream, id).into(), "".into(), at.micros().into()])
    }
}
