//! How a database stands, as whoever starts a node or looks after one needs to know before it is used.

use std::collections::BTreeMap;

use sqlx::error::DatabaseError;

use super::open::{POSTGRES, SQLITE, is_standby, migrator};
use super::{Error, Pool, Result, Store};

/// How a database's schema stands to this program's, migrations being named by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There is none, or migrations of this program are still to be done.
    Earlier,
    /// This program's.
    Current,
    /// A later program's: this program's, and this migration after it.
    Later(i64),
    /// Another program's: this migration was another one.
    Foreign(i64),
}

impl Schema {
    fn of(applied: &BTreeMap<i64, Vec<u8>>, scripts: &'static [(i64, &'static str, &'static str)]) -> Self {
        let own = migrator(scripts);
        for migration in own.iter() {
            match applied.get(&migration.version) {
                None => return Self::Earlier,
                Some(checksum) if *checksum != *migration.checksum => return Self::Foreign(migration.version),
                Some(_) => {}
            }
        }
        let last = applied.keys().copied().next_back();
        last.filter(|last| !own.version_exists(*last)).map_or(Self::Current, Self::Later)
    }
}

impl Store {
    /// How the schema stands to this program's. Needs the right to read the table of migrations, and nothing more.
    pub async fn schema(&self) -> Result<Schema> {
        const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success";
        let (applied, scripts) = match &self.reader {
            Pool::Sqlite(pool) => (sqlx::query_as(APPLIED).fetch_all(pool).await, SQLITE),
            Pool::Postgres(pool) => (sqlx::query_as(APPLIED).fetch_all(&pool.pool()).await, POSTGRES),
        };
        match applied {
            Ok(applied) => Ok(Schema::of(&applied.into_iter().collect(), scripts)),
            Err(sqlx::Error::Database(error)) if is_no_table(&*error) => Ok(Schema::Earlier),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if a node could not write here: the server only follows another one, or takes no writes. Changes nothing.
    pub async fn check_writable(&self) -> Result<()> {
        let Pool::Postgres(pool) = &self.reader else { return Ok(()) };
        let mut connection = pool.pool().acquire().await?;
        if is_standby(&mut connection).await? {
            return Err(Error::Standby);
        }
        let setting = "SELECT current_setting('transaction_read_only') = 'on'";
        if sqlx::query_scalar(setting).fetch_one(&mut *connection).await? { Err(Error::ReadOnly) } else { Ok(()) }
    }
}

fn is_no_table(error: &dyn DatabaseError) -> bool {
    error.code().as_deref() == Some("42P01") || error.message().contains("no such table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_earlier_this_programs_later_or_anothers() {
        let ours: BTreeMap<i64, Vec<u8>> =
            migrator(SQLITE).iter().map(|one| (one.version, one.checksum.to_vec())).collect();
        let with = |version, checksum: u8| {
            let mut applied = ours.clone();
            applied.insert(version, vec![checksum]);
            Schema::of(&applied, SQLITE)
        };
        let mut without_last = ours.clone();
        without_last.pop_last();
        assert_eq!(Schema::of(&ours, SQLITE), Schema::Current);
        assert_eq!(Schema::of(&BTreeMap::new(), SQLITE), Schema::Earlier);
        assert_eq!(Schema::of(&without_last, SQLITE), Schema::Earlier);
        assert_eq!(with(9_999, 0), Schema::Later(9_999));
        assert_eq!(with(2, 0), Schema::Foreign(2));
    }
}
