//! Reminders, recommendations and categories of incidents; what was said in words, sealed.

use crate::domain::{
    AgencyId, Belief, Categorisation, ClauseId, Digest, IncidentId, Instant, Means, NcscCategory, OfficerId,
    Recommendation, RecommendationId, Reminded, Reminder, Uptake,
};
use crate::seal::Seal;

use super::write::{Table, Write};
use super::{Reads, Result, Tx, inconsistent, on, row, rows, sql};

const REMINDER: Table = Table {
    name: "reminder",
    columns: &[
        "incident_id",
        "holder",
        "version",
        "given_at",
        "channel",
        "wording",
        "digest",
        "recorded_by",
        "recorded_at",
        "wrapped_key",
        "sealed",
    ],
    keep_existing: false,
};
const RECOMMENDATION: Table = Table {
    name: "recommendation",
    columns: &[
        "id",
        "holder",
        "incident_id",
        "clause",
        "towards",
        "belief",
        "channel",
        "made_at",
        "recorded_by",
        "version",
        "wrapped_key",
        "sealed",
    ],
    keep_existing: false,
};
const CATEGORISATION: Table = Table {
    name: "categorisation",
    columns: &["incident_id", "holder", "category", "version", "set_by", "set_at"],
    keep_existing: false,
};

/// Which incidents are listed with their reminders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemindersOf {
    /// All, those without a reminder included.
    All,
    /// Those without a reminder that came from no other agency.
    Due,
    /// Those with one.
    Recorded,
}

impl RemindersOf {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Due => "due",
            Self::Recorded => "recorded",
        }
    }
}

/// An incident that is listed, when it was registered, and its reminder if there is one.
#[derive(Debug)]
pub struct ReminderRow {
    /// The incident.
    pub incident: IncidentId,
    /// When it was registered.
    pub registered_at: Instant,
    /// The reminder.
    pub reminder: Option<Reminder>,
}

#[derive(sqlx::FromRow)]
struct RowOfReminder {
    incident_id: String,
    registered_at: i64,
    holder: String,
    version: Option<i64>,
    given_at: Option<i64>,
    channel: Option<String>,
    wording: Option<String>,
    digest: Option<Vec<u8>>,
    recorded_by: Option<String>,
    recorded_at: Option<i64>,
    wrapped_key: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct RowOfRecommendation {
    id: String,
    holder: String,
    incident_id: String,
    clause: String,
    towards: String,
    belief: Option<String>,
    channel: String,
    made_at: i64,
    recorded_by: String,
    version: i64,
    outcome: Option<String>,
    outcome_at: Option<i64>,
    wrapped_key: Vec<u8>,
    sealed: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct RowOfCategorisation {
    incident_id: String,
    holder: String,
    category: String,
    version: i64,
    set_by: String,
    set_at: i64,
}

pub(super) fn reminder_key(incident: &str) -> String {
    format!("reminder {incident}")
}

pub(super) fn recommendation_key(id: &str) -> String {
    format!("recommendation {id}")
}

/// The wrapped key of these words, and the words sealed.
fn sealed_words(name: &str, words: &str, seal: &Seal) -> Result<(Vec<u8>, Vec<u8>)> {
    let (key, wrapped) = seal.new_key(name)?;
    Ok((wrapped, key.seal(&[name], words.as_bytes())?))
}

fn opened_words(name: &str, wrapped: &[u8], sealed: &[u8], seal: &Seal) -> Result<String> {
    let plain = seal.unwrap_key(name, wrapped)?.open(&[name], sealed)?;
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

fn reminder(row: RowOfReminder, seal: &Seal) -> Result<ReminderRow> {
    let incident = IncidentId::known(row.incident_id);
    let name = reminder_key(incident.as_str());
    let broken = || inconsistent("reminder", incident.as_str(), "lacks a part");
    let reminder = match row.version {
        None => None,
        Some(version) => {
            let (wrapped, sealed) = row.wrapped_key.zip(row.sealed).ok_or_else(broken)?;
            let reminded = match row.given_at {
                None => Reminded::NotPossible { reason: opened_words(&name, &wrapped, &sealed, seal)? },
                Some(at) => Reminded::Given {
                    at: Instant::from_micros(at),
                    channel: row.channel.map(Means::known).ok_or_else(broken)?,
                    wording: row.wording.ok_or_else(broken)?,
                    digest: row.digest.as_deref().and_then(Digest::from_slice).ok_or_else(broken)?,
                },
            };
            Some(Reminder {
                incident: incident.clone(),
                holder: AgencyId::known(row.holder),
                version,
                reminded,
                recorded_by: row.recorded_by.map(OfficerId::known).ok_or_else(broken)?,
                recorded_at: row.recorded_at.map(Instant::from_micros).ok_or_else(broken)?,
            })
        }
    };
    Ok(ReminderRow { incident, registered_at: Instant::from_micros(row.registered_at), reminder })
}

fn recommendation(row: RowOfRecommendation, seal: &Seal) -> Result<Recommendation> {
    let words = opened_words(&recommendation_key(&row.id), &row.wrapped_key, &row.sealed, seal)?;
    let outcome = match row.outcome.zip(row.outcome_at) {
        None => None,
        Some((outcome, at)) => {
            let outcome = Uptake::parse(outcome);
            let outcome = outcome.map_err(|_| inconsistent("recommendation", &row.id, "has an unknown outcome"))?;
            Some((outcome, Instant::from_micros(at)))
        }
    };
    Ok(Recommendation {
        id: RecommendationId::known(row.id),
        holder: AgencyId::known(row.holder),
        incident: IncidentId::known(row.incident_id),
        clause: ClauseId::known(row.clause),
        towards: AgencyId::known(row.towards),
        belief: row.belief.map(Belief::known),
        words,
        channel: Means::known(row.channel),
        made_at: Instant::from_micros(row.made_at),
        recorded_by: OfficerId::known(row.recorded_by),
        version: row.version,
        outcome,
    })
}

fn categorisation(row: RowOfCategorisation) -> Result<Categorisation> {
    let category = NcscCategory::parse(row.category.as_str());
    Ok(Categorisation {
        category: category.map_err(|_| inconsistent("categorisation", &row.incident_id, "has an unknown category"))?,
        incident: IncidentId::known(row.incident_id),
        holder: AgencyId::known(row.holder),
        version: row.version,
        set_by: OfficerId::known(row.set_by),
        set_at: Instant::from_micros(row.set_at),
    })
}

impl Reads {
    /// The reminder of one of the holder's own incidents.
    pub async fn reminder(
        &mut self,
        holder: &AgencyId,
        incident: &IncidentId,
        seal: &Seal,
    ) -> Result<Option<Reminder>> {
        let found = row!(self, sql::REMINDER, RowOfReminder, holder.as_str(), incident.as_str());
        Ok(found.map(|row| reminder(row, seal)).transpose()?.and_then(|row| row.reminder))
    }

    /// The holder's own incidents before a place with their reminders, the last registered first.
    pub async fn reminders(
        &mut self,
        holder: &AgencyId,
        before: (Instant, &str),
        most: i64,
        which: RemindersOf,
        seal: &Seal,
    ) -> Result<Vec<ReminderRow>> {
        let (at, id) = (before.0.micros(), before.1);
        let found = rows!(self, sql::REMINDERS, RowOfReminder, holder.as_str(), at, id, most, which.as_str());
        found.into_iter().map(|row| reminder(row, seal)).collect()
    }

    /// One of the holder's own recommendations.
    pub async fn recommendation(
        &mut self,
        holder: &AgencyId,
        id: &RecommendationId,
        seal: &Seal,
    ) -> Result<Option<Recommendation>> {
        let found = row!(self, sql::RECOMMENDATION, RowOfRecommendation, holder.as_str(), id.as_str());
        found.map(|row| recommendation(row, seal)).transpose()
    }

    /// The holder's own recommendations before an id (empty: from the last one), about one incident or (empty) any.
    pub async fn recommendations(
        &mut self,
        holder: &AgencyId,
        before: &str,
        most: i64,
        incident: &str,
        seal: &Seal,
    ) -> Result<Vec<Recommendation>> {
        let found = rows!(self, sql::RECOMMENDATIONS, RowOfRecommendation, holder.as_str(), before, most, incident);
        found.into_iter().map(|row| recommendation(row, seal)).collect()
    }

    /// The category of one of the holder's own incidents.
    pub async fn categorisation(&mut self, holder: &AgencyId, incident: &IncidentId) -> Result<Option<Categorisation>> {
        let found = row!(self, sql::CATEGORISATION, RowOfCategorisation, holder.as_str(), incident.as_str());
        found.map(categorisation).transpose()
    }
}

impl Write {
    /// Keeps a reminder as it stands now: its first version is added, a later one replaces the one before.
    pub(crate) fn reminder(reminder: &Reminder, seal: &Seal) -> Result<Self> {
        let incident = reminder.incident.as_str();
        let (given, words) = match &reminder.reminded {
            Reminded::Given { at, channel, wording, digest } => (Some((at, channel, wording, digest)), ""),
            Reminded::NotPossible { reason } => (None, reason.as_str()),
        };
        let (wrapped, sealed) = sealed_words(&reminder_key(incident), words, seal)?;
        let said = [
            given.map(|(at, ..)| at.micros()).into(),
            given.map(|(_, channel, ..)| channel.to_string()).into(),
            given.map(|(_, _, wording, _)| wording.clone()).into(),
            given.map(|(.., digest)| digest.as_bytes().to_vec()).into(),
            reminder.recorded_by.as_str().into(),
            reminder.recorded_at.micros().into(),
            wrapped.into(),
            sealed.into(),
        ];
        let mut cells = vec![reminder.version.into()];
        cells.extend(said);
        if reminder.version > 1 {
            cells.push(incident.into());
            return Ok(Self::change_one("reminder", sql::CHANGE_REMINDER, cells));
        }
        cells.splice(0..0, [incident.into(), reminder.holder.as_str().into()]);
        Ok(Self::insert(&REMINDER, cells))
    }

    /// Adds a recommendation of which no outcome is known.
    pub(crate) fn recommendation(made: &Recommendation, seal: &Seal) -> Result<Self> {
        let (wrapped, sealed) = sealed_words(&recommendation_key(made.id.as_str()), &made.words, seal)?;
        let row = vec![
            made.id.as_str().into(),
            made.holder.as_str().into(),
            made.incident.as_str().into(),
            made.clause.as_str().into(),
            made.towards.as_str().into(),
            made.belief.as_ref().map(ToString::to_string).into(),
            made.channel.as_str().into(),
            made.made_at.micros().into(),
            made.recorded_by.as_str().into(),
            made.version.into(),
            wrapped.into(),
            sealed.into(),
        ];
        Ok(Self::insert(&RECOMMENDATION, row))
    }

    /// Keeps what came of a recommendation, in place of what was kept before.
    pub(crate) fn outcome(made: &Recommendation) -> Self {
        let (uptake, at) = made.outcome.unzip();
        let cells = vec![
            made.version.into(),
            uptake.map(|uptake| uptake.as_str().to_owned()).into(),
            at.map(Instant::micros).into(),
            made.id.as_str().into(),
        ];
        Self::change_one("recommendation", sql::CHANGE_OUTCOME, cells)
    }

    /// Keeps an incident's category: its first version is added, each later one replaces the one before.
    pub(crate) fn categorisation(one: &Categorisation) -> Self {
        let (incident, category) = (one.incident.as_str(), one.category.to_string());
        let (set_by, set_at) = (one.set_by.as_str(), one.set_at.micros());
        if one.version > 1 {
            let cells = vec![category.into(), one.version.into(), set_by.into(), set_at.into(), incident.into()];
            return Self::change_one("categorisation", sql::CHANGE_CATEGORISATION, cells);
        }
        let holder = one.holder.as_str();
        let row =
            vec![incident.into(), holder.into(), category.into(), one.version.into(), set_by.into(), set_at.into()];
        Self::insert(&CATEGORISATION, row)
    }

    /// Deletes what the organisation of an incident was told, and the incident's category.
    pub(crate) fn erase_advice(incident: &IncidentId) -> [Self; 3] {
        let any = |table, sql| Self::change_any(table, sql, vec![incident.as_str().into()]);
        [
            any("reminder", sql::ERASE_REMINDER),
            any("recommendation", sql::ERASE_RECOMMENDATIONS),
            any("categorisation", sql::ERASE_CATEGORISATION),
        ]
    }
}
