//! The last revocation list of each authority. Nothing that a decision reads, so it is not written under the ledger's lock.

use crate::domain::{AgencyId, Digest, Instant, LastList, ListStand};

use super::{Pool, Reads, Result, Store, Tx, fault, inconsistent, on, rows, sql};

#[derive(sqlx::FromRow)]
struct Row {
    agency: String,
    authority: Vec<u8>,
    number: Vec<u8>,
    this_update: i64,
}

fn last_list(row: Row) -> Result<LastList> {
    let Row { agency, authority, number, this_update } = row;
    let wrong = |problem| inconsistent("revocation_list", agency.clone(), problem);
    Ok(LastList {
        authority: Digest::from_slice(&authority).ok_or_else(|| wrong("the authority is no digest"))?,
        stand: ListStand {
            number: number.try_into().map_err(|_| wrong("the number has not 20 octets"))?,
            this_update: Instant::from_micros(this_update),
        },
        agency: AgencyId::known(agency),
    })
}

impl Reads {
    /// The last list of each authority.
    pub async fn last_lists(&mut self) -> Result<Vec<LastList>> {
        rows!(self, sql::LAST_LISTS, Row).into_iter().map(last_list).collect()
    }
}

impl Store {
    /// Notes lists, unless a later one of the same authority is noted.
    ///
    /// The caller must run it to its end in a task of its own.
    pub async fn note_last_lists(&self, lists: &[LastList]) -> Result<()> {
        let mut tx = match &self.writer {
            Pool::Sqlite(pool) => Tx::Sqlite(fault::begin_immediate(pool).await?),
            Pool::Postgres(pool) => Tx::Postgres(fault::begin(&pool.pool(), "BEGIN").await?),
        };
        // Replicas that note the same ones at once take their rows in one order.
        let mut lists: Vec<&LastList> = lists.iter().collect();
        lists.sort_by_key(|list| (&list.agency, list.authority));
        for LastList { agency, authority, stand } in lists {
            let text = tx.text(&sql::NOTE_LAST_LIST);
            on!(&mut tx, conn => {
                let query = sqlx::query(text).bind(agency.as_str()).bind(authority.as_bytes().as_slice());
                query.bind(stand.number.as_slice()).bind(stand.this_update.micros()).execute(conn).await.map(|_| ())
            })?;
        }
        tx.commit().await
    }
}
