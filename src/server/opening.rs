//! Opening the database, as soon as it is there and has the tables.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Error;
use crate::config::Config;
use crate::ops::{Check, Standing};
use crate::store::{self, Options, Schema, Store};

/// How often it is looked whether the database is there, and whether somebody else has brought its schema up to date.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long opening may take where nothing is migrated. An address that nobody answers at would be waited for much longer.
const LONGEST: Duration = Duration::from_secs(15);

/// The node's database. When this returns, its schema is this program's, or a later one's that this program goes on with.
///
/// Waits while PostgreSQL cannot be reached, as after a failover, and where somebody else migrates until that is done. What
/// does not pass by itself, such as a wrong password, is an error.
pub(super) async fn store(config: &Config, standing: &Standing) -> Result<Store, Error> {
    let store = reached(config, standing).await?;
    schema_is_usable(&store, config, standing).await?;
    Ok(store)
}

async fn reached(config: &Config, standing: &Standing) -> Result<Store, Error> {
    let options = Options::serve(config.database_login()?.as_str()).migrating(config.node.migrate);
    let may_wait = !config.database_url().starts_with("sqlite:");
    let database = config.database_shown();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        let opening = Store::open(&options);
        let opened = if options.migrates {
            // Nobody knows how long a migration takes.
            opening.await
        } else {
            timeout(LONGEST, opening).await.unwrap_or(Err(store::Error::Silent(LONGEST.as_secs())))
        };
        match opened {
            Ok(store) => {
                standing.set(Check::Database, true);
                return Ok(store);
            }
            Err(error) if may_wait && error.passes() => {
                standing.set(Check::Database, false);
                let problem = error.to_string();
                if problem != told {
                    tracing::warn!(%database, problem, remedy = error.remedy(), "waiting for the database");
                    told = problem;
                }
            }
            Err(error) => {
                let hint = "check the database's address; a new SQLite file is made with `concordat ledger init`";
                return Err(format!("{database}: {error} ({hint})").into());
            }
        }
    }
}

/// Returns once the schema is this program's, or a later one's where somebody has gone back to this program on purpose.
async fn schema_is_usable(store: &Store, config: &Config, standing: &Standing) -> Result<(), Error> {
    // Of an SQLite file there is one node, and whoever stopped the later program to start this one meant it.
    let may_be_later = !config.node.migrate || config.database_url().starts_with("sqlite:");
    let mut ticks = interval(LOOK_EVERY);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        let problem = match store.schema().await {
            Ok(Schema::Current) => return Ok(()),
            Ok(Schema::Later(version)) if may_be_later => {
                tracing::warn!(version, "the schema is of a later program: this one goes on with it as it is");
                return Ok(());
            }
            Ok(Schema::Later(version)) => {
                let remedy =
                    "start that one, or say `node.migrate = false` to go back to this one (docs/operations.md)";
                return Err(format!("the schema is of a later program (migration {version}): {remedy}").into());
            }
            Ok(Schema::Foreign(version)) => {
                let remedy = "is this the right database, and the right program?";
                return Err(format!("the schema's migration {version} is not this program's: {remedy}").into());
            }
            Ok(Schema::Earlier) => "the schema is of an earlier program, or there is none".to_owned(),
            // The role may have no rights to tables that nobody has made yet.
            Err(error) if error.is_outage() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        standing.set(Check::Schema, false);
        if problem != told {
            tracing::warn!(problem, "waiting for `concordat migrate`");
            told = problem;
        }
    }
}
