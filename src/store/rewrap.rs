//! Everything that is wrapped with a node secret, wrapped anew with the newest.
//!
//! Crash points: between any two batches. What was done is in the rows themselves, so nothing else is kept: whoever goes on
//! begins at the front and finds it done. Readers meanwhile have both secrets, and each row names the one it needs.

use data_encoding::HEXLOWER;
use serde_json::json;

use crate::domain::IncidentId;
use crate::seal::{Seal, SecretName, Unopened};

use super::write::Write;
use super::{
    Error, Reads, Result, Sql, Store, Tx, advice, consents, engagements, entries, incidents, index, mandates, notices,
    on, organisations, proposals, publications, requests, row, rows, sql, themes, wrongful,
};

/// A column of keys or values that are wrapped with a secret.
struct Wrapped {
    table: &'static str,
    read: Sql,
    write: Sql,
    anew: Anew,
}

/// How one of them is wrapped anew.
enum Anew {
    /// A data key, and the name of its record.
    Key(fn(&str, i64) -> String),
    Statistic,
}

const fn keys(table: &'static str, read: Sql, write: Sql, record: fn(&str, i64) -> String) -> Wrapped {
    Wrapped { table, read, write, anew: Anew::Key(record) }
}

/// INVARIANT: every column whose content is wrapped with a secret; a test holds the schema against this list.
const WRAPPED: &[Wrapped] = &[
    keys("entry", sql::WRAPPED_ENTRIES, sql::WRAP_ENTRIES, |_, number| entries::key_name(index(number))),
    keys("organisation", sql::WRAPPED_ORGANISATIONS, sql::WRAP_ORGANISATIONS, organisations::key_name),
    keys("incident_revision", sql::WRAPPED_REVISIONS, sql::WRAP_REVISIONS, incidents::key_name),
    keys("consent", sql::WRAPPED_CONSENTS, sql::WRAP_CONSENTS, consents::key_name),
    keys("request", sql::WRAPPED_REQUESTS, sql::WRAP_REQUESTS, |id, _| requests::key_name(id)),
    keys("notice_acknowledgement", sql::WRAPPED_ACKNOWLEDGEMENTS, sql::WRAP_ACKNOWLEDGEMENTS, notices::key_name),
    keys("wrongful_release", sql::WRAPPED_WRONGFUL_RELEASES, sql::WRAP_WRONGFUL_RELEASES, |id, _| {
        wrongful::key_name(id)
    }),
    keys("theme_version", sql::WRAPPED_THEMES, sql::WRAP_THEMES, themes::key_name),
    keys("mandate", sql::WRAPPED_MANDATES, sql::WRAP_MANDATES, |id, _| mandates::key_name(id)),
    keys("proposal", sql::WRAPPED_PROPOSALS, sql::WRAP_PROPOSALS, |id, _| proposals::key_name(id)),
    keys("engagement", sql::WRAPPED_ENGAGEMENTS, sql::WRAP_ENGAGEMENTS, |id, _| engagements::key_name(id)),
    keys("engagement_ask", sql::WRAPPED_ASKS_OF_VICTIM, sql::WRAP_ASKS_OF_VICTIM, engagements::ask_name),
    keys("reminder", sql::WRAPPED_REMINDERS, sql::WRAP_REMINDERS, |id, _| advice::reminder_key(id)),
    keys("recommendation", sql::WRAPPED_RECOMMENDATIONS, sql::WRAP_RECOMMENDATIONS, |id, _| {
        advice::recommendation_key(id)
    }),
    Wrapped {
        table: "incident_statistic",
        read: sql::SEALED_STATISTICS,
        write: sql::SEAL_STATISTICS,
        anew: Anew::Statistic,
    },
];

/// How many are looked at together where nothing is put back.
const PAGE: i64 = 1_000;
/// How often everything is gone through, at most: a node of an older version may seal with an older secret meanwhile.
const MOST_PASSES: u32 = 3;

#[derive(Debug, sqlx::FromRow)]
struct WrappedRow {
    id: String,
    number: i64,
    part: String,
    sealed: Vec<u8>,
}

impl Wrapped {
    /// Those after one of them, in the order of the table's key.
    async fn after(&self, reads: &mut Reads, last: &(String, i64), most: i64) -> Result<Vec<WrappedRow>> {
        Ok(rows!(reads, self.read, WrappedRow, last.0.as_str(), last.1, most))
    }

    /// A row of it, by its key alone.
    fn unopenable(&self, row: &WrappedRow) -> Unopenable {
        let row = match (row.id.as_str(), row.number) {
            ("", number) => number.to_string(),
            (id, 0) => id.to_owned(),
            (id, version) => format!("{id} {version}"),
        };
        Unopenable { table: self.table, row }
    }

    /// None if it is sealed with the newest secret already.
    fn anew(&self, row: &WrappedRow, seal: &Seal) -> Result<Option<Vec<u8>>, Unopened> {
        match self.anew {
            Anew::Key(record) => seal.rewrap_key(&record(&row.id, row.number), &row.sealed),
            Anew::Statistic => {
                let incident = IncidentId::known(row.id.clone());
                seal.reseal_statistic(&publications::bound_to(&incident, &row.part), &row.sealed)
            }
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many were wrapped anew this time.
    pub wrapped: u64,
    /// The secrets that nothing needs any more, or nothing that could be opened.
    pub dropped: Vec<SecretName>,
    /// What none of the secrets opens, by table and key. It is as it was.
    pub unopened: Vec<Unopenable>,
}

/// Something that is wrapped, and that none of the secrets opens: a row that was damaged, or put in another's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unopenable {
    /// The table.
    pub table: &'static str,
    /// The row's key, which says nothing about what is in it.
    pub row: String,
}

/// What is not wrapped with the newest secret.
#[derive(Debug, Default)]
struct Left {
    /// How much of it one of the secrets opens.
    opens: u64,
    unopened: Vec<Unopenable>,
}

impl Store {
    /// Wraps everything anew with the newest secret, and gives the others up: when this returns with `dropped`, all of it
    /// was read and nothing needs them. So many rows at most are put back in one transaction; `progress` is told how many
    /// rows were looked at, and of about how many, if that could be counted.
    ///
    /// What none of the secrets opens keeps nothing else from being wrapped anew. While there is any, no secret is given up:
    /// what was damaged may be put back from a copy, and needs its secret then. Whoever gives it up for lost says how much
    /// it is by `lost`; fails if it is another count.
    ///
    /// A node may be serving meanwhile. One that still seals with another secret can write nothing from the first
    /// moment.
    pub async fn rewrap(
        &self,
        seal: &Seal,
        batch: u32,
        lost: Option<u64>,
        mut progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Rewrapped> {
        let mut locked = self.lock().await?;
        locked.close_other_secrets(seal).await?;
        locked.done().await?;
        // Only for whoever waits: on large tables a database may give up counting.
        let all = self.reads().await?.count_wrapped().await.ok();
        let newest = seal.newest()?;
        let (mut wrapped, mut opens) = (0, 0);
        for _ in 0..MOST_PASSES {
            wrapped += self.wrap_all(seal, batch, |seen| progress(seen, all.map(|all| all.max(seen)))).await?;
            let left = self.left(seal).await?;
            opens = left.opens;
            if opens > 0 {
                continue;
            }
            let count = left.unopened.len() as u64;
            if lost.is_some_and(|lost| lost != count) {
                return Err(Error::Keys(format!(
                    "there are {count} rows that no secret opens: no secret was given up"
                )));
            }
            let mut dropped = Vec::new();
            if count == 0 || lost.is_some() {
                let mut locked = self.lock().await?;
                dropped = locked.give_up_closed_secrets(seal).await?;
                locked.done().await?;
            }
            return Ok(Rewrapped { wrapped, dropped, unopened: left.unopened });
        }
        Err(Error::Keys(format!(
            "{opens} keys are still not wrapped with the secret {newest}: a node goes on sealing with an older one. All \
             replicas must run this version with {newest} as their `secret_file`; then run it again. No secret was \
             given up"
        )))
    }

    /// Goes through everything once; how many were wrapped anew.
    async fn wrap_all(&self, seal: &Seal, batch: u32, mut progress: impl FnMut(u64) + Send) -> Result<u64> {
        let (mut seen, mut wrapped) = (0, 0);
        for column in WRAPPED {
            let mut last = (String::new(), -1);
            loop {
                let found = column.after(&mut self.reads().await?, &last, i64::from(batch)).await?;
                let Some(end) = found.last() else { break };
                last = (end.id.clone(), end.number);
                seen += found.len() as u64;
                wrapped += self.put_back(column, &found, seal).await?;
                progress(seen);
            }
        }
        Ok(wrapped)
    }

    /// One batch. What was erased or replaced since it was read is left as it is, and so is what no secret opens. Fails,
    /// under the lock, if another secret came into use meanwhile: whoever wraps anew with that one has gone past these rows,
    /// perhaps.
    async fn put_back(&self, column: &Wrapped, found: &[WrappedRow], seal: &Seal) -> Result<u64> {
        let mut anew = Vec::new();
        for row in found {
            if let Ok(Some(sealed)) = column.anew(row, seal) {
                anew.push(json!([row.id, row.number, HEXLOWER.encode(&row.sealed), HEXLOWER.encode(&sealed)]));
            }
        }
        if anew.is_empty() {
            return Ok(0);
        }
        let count = anew.len() as u64;
        let mut locked = self.lock().await?;
        locked.check_wraps_anew(seal).await?;
        let set = serde_json::Value::from(anew).to_string();
        locked.write(vec![Write::change_any(column.table, column.write, vec![set.into()])]).await?;
        locked.done().await?;
        Ok(count)
    }

    /// How many keys and values need the secret of this name; of the first one, what names none needs it, too.
    pub(super) async fn count_sealed_with(&self, name: SecretName, is_first: bool) -> Result<u64> {
        let named = self.reads().await?.listed().await?;
        let is_named = |sealed: &[u8]| named.iter().any(|one| one.is_on(sealed));
        self.count_where(|sealed| name.is_on(sealed) || is_first && !is_named(sealed)).await
    }

    /// How many of everything that is wrapped are so.
    async fn count_where(&self, is_so: impl Fn(&[u8]) -> bool + Send + Sync) -> Result<u64> {
        let mut count = 0;
        self.look_through(|_, row| count += u64::from(is_so(&row.sealed))).await?;
        Ok(count)
    }

    /// What is not wrapped with the newest secret.
    async fn left(&self, seal: &Seal) -> Result<Left> {
        let mut left = Left::default();
        let look = |column: &Wrapped, row: &WrappedRow| match column.anew(row, seal) {
            Ok(None) => {}
            Ok(Some(_)) => left.opens += 1,
            Err(Unopened) => left.unopened.push(column.unopenable(row)),
        };
        self.look_through(look).await?;
        Ok(left)
    }

    /// Everything that is wrapped, a page at a time. It only reads.
    async fn look_through(&self, mut look: impl FnMut(&Wrapped, &WrappedRow) + Send) -> Result<()> {
        for column in WRAPPED {
            let mut last = (String::new(), -1);
            loop {
                let found = column.after(&mut self.reads().await?, &last, PAGE).await?;
                let Some(end) = found.last() else { break };
                last = (end.id.clone(), end.number);
                for row in &found {
                    look(column, row);
                }
            }
        }
        Ok(())
    }
}

impl Reads {
    async fn count_wrapped(&mut self) -> Result<u64> {
        Ok(row!(self, sql::COUNT_WRAPPED, (i64,)).map_or(0, |(count,)| index(count)))
    }
}

/// The columns that are wrapped with a secret, by their table, so that a test can hold the schema against them.
pub fn wrapped_tables() -> impl Iterator<Item = &'static str> {
    WRAPPED.iter().map(|column| column.table)
}
