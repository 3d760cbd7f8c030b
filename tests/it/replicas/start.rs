//! Replicas that start at the same moment: one makes the tables, one begins the ledger, and all of them serve.

use std::time::Instant;

use sqlx::{Connection as _, PgConnection};

use super::{PATIENCE, Site, runtime};

const REPLICAS: usize = 5;

async fn number(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

#[test]
fn replicas_that_start_together_on_an_empty_database_all_serve() {
    let Some(database) = crate::postgres::database() else { return };
    runtime().block_on(async {
        let site = Site::on(&database).await;
        let replicas = site.start(REPLICAS);

        let mut connection = PgConnection::connect(&database).await.unwrap();
        assert_eq!(number(&mut connection, "SELECT count(*) FROM checkpoint").await, 1, "one ledger was begun");
        assert_eq!(number(&mut connection, "SELECT count(*) FROM ledger_head WHERE secret_check IS NOT NULL").await, 1);
        let addresses: std::collections::BTreeSet<_> = replicas.iter().map(|replica| replica.address).collect();
        assert_eq!(addresses.len(), REPLICAS);
        site.check_ledger().await;
    });
}

/// A migration of a large table takes longer than a replica may wait for a lock while it serves.
#[test]
fn replicas_wait_for_the_one_that_migrates() {
    let Some(database) = crate::postgres::database() else { return };
    runtime().block_on(async {
        let site = Site::on(&database).await;
        drop(site.start(1));
        let mut connection = PgConnection::connect(&database).await.unwrap();
        let mut migrating = PgConnection::connect(&database).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE _sqlx_migrations").execute(&mut migrating).await.unwrap();

        std::thread::scope(|scope| {
            let replicas = scope.spawn(|| site.start(3));
            let (released, until) = (sqlx::raw_sql("COMMIT"), Instant::now() + PATIENCE);
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                        AND datname = current_database() AND now() - query_start > INTERVAL '2.5 s'";
                    while number(&mut connection, waiting).await < 3 {
                        assert!(!replicas.is_finished() && Instant::now() < until, "they did not wait");
                    }
                    released.execute(&mut migrating).await.unwrap();
                });
            });
            assert_eq!(replicas.join().unwrap().len(), 3);
        });
    });
}
