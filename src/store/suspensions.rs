//! Suspensions that stand.

use crate::domain::{AgencyId, Instant, OfficerId, Requester, Suspended, Suspension, Suspensions};

use super::write::{Table, Write};
use super::{Reads, Result, Tx, key_set, on, rows, sql};

const SUSPENSION: Table = Table {
    name: "suspension",
    columns: &["suspended", "holder", "officer", "suspended_at", "suspended_by"],
    keep_existing: false,
};

#[derive(sqlx::FromRow)]
struct Row {
    suspended: String,
    holder: String,
    officer: Option<String>,
    suspended_at: i64,
    suspended_by: String,
}

fn suspension(row: Row) -> Suspension {
    Suspension {
        holder: AgencyId::known(row.holder),
        suspended: Suspended::read(&row.suspended),
        officer: row.officer.map(OfficerId::known),
        suspended_at: Instant::from_micros(row.suspended_at),
        suspended_by: OfficerId::known(row.suspended_by),
    }
}

impl Reads {
    /// What stands against these officers or their agencies: the same statement whether anything does.
    pub async fn suspensions_of(&mut self, officers: impl IntoIterator<Item = &Requester>) -> Result<Suspensions> {
        let keys: Vec<String> = officers.into_iter().flat_map(Requester::suspendable).collect();
        self.suspensions_by_name(&keys).await
    }

    /// What stands against exactly these.
    pub async fn suspensions_by_name(&mut self, names: &[String]) -> Result<Suspensions> {
        let set = key_set(names.iter().map(String::as_str));
        Ok(Suspensions(rows!(self, sql::SUSPENSIONS_OF, Row, set).into_iter().map(suspension).collect()))
    }

    /// Whole agencies and certificates that are suspended.
    pub async fn suspended_systems(&mut self) -> Result<Vec<Suspended>> {
        let found = rows!(self, sql::SUSPENDED_SYSTEMS, (String,));
        Ok(found.into_iter().map(|(name,)| Suspended::read(&name)).collect())
    }

    /// What stands by a holder, after one that was suspended.
    pub async fn suspensions(&mut self, holder: &AgencyId, after: &str, most: i64) -> Result<Vec<Suspension>> {
        Ok(rows!(self, sql::SUSPENSIONS, Row, holder.as_str(), after, most).into_iter().map(suspension).collect())
    }
}

impl Write {
    /// Lets a suspension stand.
    pub(crate) fn suspension(suspension: &Suspension) -> Self {
        let row = vec![
            suspension.suspended.to_string().into(),
            suspension.holder.as_str().into(),
            suspension.officer.as_ref().map(ToString::to_string).into(),
            suspension.suspended_at.micros().into(),
            suspension.suspended_by.as_str().into(),
        ];
        Self::insert(&SUSPENSION, row)
    }

    /// Lifts a suspension.
    pub(crate) fn lift_suspension(holder: &AgencyId, suspended: &Suspended) -> Self {
        let cells = vec![holder.as_str().into(), suspended.to_string().into()];
        Self::change_one("suspension", sql::LIFT_SUSPENSION, cells)
    }
}
