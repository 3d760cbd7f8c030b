//! What an ask reads and leaves in the database does not depend on what is held: as many rows, as many bytes.

use std::collections::BTreeMap;

use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use concordat::store::statements;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::builders::{assert_open, identifier};
use crate::harness::{World, on_both_databases, request_id};

/// The number of rows of each table.
pub(crate) type Rows = BTreeMap<String, i64>;

/// Counts the rows of all tables of a database.
macro_rules! rows_of {
    ($connection:expr, $tables:literal) => {{
        let mut connection = $connection;
        let tables: Vec<String> = sqlx::query_scalar($tables).fetch_all(&mut connection).await.unwrap();
        let mut rows = Rows::new();
        for table in tables {
            let count = format!("SELECT COUNT(*) FROM {table}");
            rows.insert(table, sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap());
        }
        rows
    }};
}

/// How many rows each of the statements gives that a decision reads by.
macro_rules! read_of {
    ($connection:expr, $dialect:ident, $keys:expr) => {{
        let mut connection = $connection;
        let mut rows = Vec::new();
        for (name, keys) in $keys {
            let (_, statement) = statements().find(|(other, _)| *other == name).unwrap();
            let query = sqlx::query(statement.$dialect).bind(serde_json::json!(keys).to_string());
            let query = if name == "INCIDENTS_BY_IDENTIFIER" { query.bind(i64::MAX).bind(0_i64) } else { query };
            rows.push(query.fetch_all(&mut connection).await.unwrap().len());
        }
        rows
    }};
}

impl World {
    /// By a reference, an identifier, an organisation and an incident, each a list of such.
    async fn read_by(&self, keys: [Vec<&str>; 4]) -> Vec<usize> {
        let names = ["INCIDENTS_BY_REFERENCE", "INCIDENTS_BY_IDENTIFIER", "CONSENTS_OF", "AUTHORISATIONS_OF"];
        let url = self.config.database_url();
        if url.starts_with("sqlite:") {
            read_of!(SqliteConnection::connect(&url).await.unwrap(), sqlite, names.into_iter().zip(keys))
        } else {
            read_of!(PgConnection::connect(&url).await.unwrap(), postgres, names.into_iter().zip(keys))
        }
    }

    /// How many bytes of facts stand beside the last entry.
    pub(crate) async fn facts_of_last_entry(&self) -> String {
        self.value("SELECT CAST(LENGTH(facts) AS TEXT) FROM entry ORDER BY idx DESC LIMIT 1").await
    }

    async fn value(&self, query: &'static str) -> String {
        let url = self.config.database_url();
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        }
    }

    pub(crate) async fn rows(&self) -> Rows {
        let url = self.config.database_url();
        if url.starts_with("sqlite:") {
            let connection = SqliteConnection::connect(&url).await.unwrap();
            rows_of!(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")
        } else {
            let connection = PgConnection::connect(&url).await.unwrap();
            rows_of!(connection, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
        }
    }

    /// How many rows an ask of the ICO's adds to each table, and the same when it is put again.
    async fn left_by(&self, ask: v1::RequestReleaseRequest) -> [Rows; 2] {
        let before = self.rows().await;
        let response = self.requester("ico").request_release(ask).await.unwrap().into_inner();
        assert_open(&response.outcome.unwrap());
        let between = self.rows().await;
        let again = v1::RequestReleaseRequest {
            request_id: request_id(),
            request: response.request,
            ..v1::RequestReleaseRequest::default()
        };
        assert_open(&self.requester("ico").request_release(again).await.unwrap().into_inner().outcome.unwrap());
        let after = self.rows().await;
        let added =
            |from: &Rows, to: &Rows| to.iter().map(|(table, rows)| (table.clone(), rows - from[table])).collect();
        [added(&before, &between), added(&between, &after)]
    }
}

on_both_databases! {
    async fn a_decision_reads_as_many_rows_whether_anything_is_held_or_not(world: World) {
        let held = world.hold("ncsc", "ico").await;
        world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        let named = world.register_organisation("ncsc", vec![identifier(90)]).await;
        world.incidents("ncsc").register_incident(world.incident_at(&named)).await.unwrap();
        let lookup = world.value("SELECT MIN(lookup) FROM organisation_identifier").await;
        let of = |reference: &'static str| [vec![reference], vec![reference], vec![reference], vec![reference]];
        let something = [
            vec![held.reference.as_str()],
            vec![lookup.as_str()],
            vec![held.organisation.as_str()],
            vec![held.incident.as_str()],
        ];
        assert_eq!(world.read_by(something).await, [1; 4], "something is held");
        assert_eq!(world.read_by(of("never-heard-of")).await, [1; 4], "nothing is held");
        let twice = || vec!["-", "-"];
        assert_eq!(world.read_by([twice(), twice(), twice(), twice()]).await, [2; 4], "nothing is held for two asks");
        let bare = world.hold("ncsc", "ico").await;
        let neither = [vec![], vec![], vec![bare.organisation.as_str()], vec![bare.incident.as_str()]];
        assert_eq!(world.read_by(neither).await, [0, 0, 1, 1], "neither consent nor authorisation");
    }

    async fn an_ask_leaves_as_many_rows_whether_anything_is_held_or_not(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let by_reference = world.left_by(world.ask(&held)).await;
        let nowhere = Target::Reference("ref_that_was_never_issued".into());
        let nothing = v1::RequestReleaseRequest { target: Some(nowhere), ..world.ask(&held) };
        assert_eq!(world.left_by(nothing).await, by_reference);
        assert_eq!((by_reference[0]["entry"], by_reference[0]["event"], by_reference[1]["event"]), (1, 2, 0));

        let organisation = world.register_organisation("ncsc", vec![identifier(91)]).await;
        world.incidents("ncsc").register_incident(world.incident_at(&organisation)).await.unwrap();
        let by_name = world.left_by(world.ask_by_name("ncsc", vec![identifier(91)])).await;
        let nothing = world.left_by(world.ask_by_name("ncsc", vec![identifier(92)])).await;
        assert_eq!(nothing, by_name);
        assert_eq!((by_name[0]["request_identifier"], by_name[1]["request_identifier"]), (1, 0));
    }
}
