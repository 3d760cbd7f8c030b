//! What is sealed with which secret.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use concordat::proto::v1;
use concordat::proto::v1::new_incident::Organisation;
use concordat::seal::Secret;
use concordat::store::{Options, Store, wrapped_tables};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::runtime::Handle;

use crate::builders::{assert_released, content, identifier};
use crate::cli::{command, exit, text};
use crate::harness::{World, on_both_databases, request_id};

/// The tables that grow here.
const COUNTED: [&str; 4] = ["entry", "organisation", "incident_revision", "incident_statistic"];

impl World {
    /// As many records as one call takes.
    async fn register_many_from(&self, agency: &str, from: u32) {
        let organisation = |number| v1::RegisterOrganisationRequest {
            request_id: request_id(),
            name: format!("Example Water {number}"),
            identifiers: vec![identifier(number)],
            ..v1::RegisterOrganisationRequest::default()
        };
        let incident = |place| v1::NewIncident {
            request_id: request_id(),
            organisation: Some(Organisation::NewOrganisation(place)),
            occurred_from: self.in_seconds(-30 * 86_400),
            occurred_until: self.in_seconds(-29 * 86_400),
            content: Some(content()),
            ..v1::NewIncident::default()
        };
        let request = v1::RegisterIncidentsRequest {
            request_id: request_id(),
            organisations: (from..from + 48).map(organisation).collect(),
            incidents: (0..48).map(incident).collect(),
        };
        self.incidents(agency).register_incidents(request).await.unwrap();
    }

    /// A new secret in a file of its own, and its name.
    pub(crate) fn new_secret(&self, file: &str, byte: u8) -> String {
        let secret = [byte; 32];
        self.put_private(file, &data_encoding::HEXLOWER.encode(&secret));
        Secret::new(&secret).unwrap().name().to_string()
    }

    /// How many of the counted keys and values are sealed with another secret than the one of this name.
    async fn sealed_otherwise(&self, name: &str) -> i64 {
        let mut others = 0;
        let url = self.config.database_url();
        for table in COUNTED {
            let column = if table == "incident_statistic" { "sealed" } else { "wrapped_key" };
            let count = |hex: &str| {
                format!("SELECT COUNT(*) FROM {table} WHERE {column} IS NOT NULL AND lower({hex}) <> '{name}'")
            };
            others += if url.starts_with("postgres") {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let query = count(&format!("encode(substr({column}, 1, 8), 'hex')"));
                sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap()
            } else {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let query = count(&format!("hex(substr({column}, 1, 8))"));
                sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap()
            };
        }
        others
    }

    /// As an operator starts it, so that it can be killed.
    fn start_rewrap(&self) -> Child {
        let mut command = command();
        command.args(["seal", "rewrap", "--batch", "8", "--config", text(&self.beside("node.toml"))]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The organisations with this company number.
    async fn found(&self, number: u32) -> usize {
        let request = v1::FindOrganisationsRequest { identifiers: vec![identifier(number)], name: String::new() };
        self.organisations("ncsc").find_organisations(request).await.unwrap().into_inner().found.len()
    }
}

/// What some other program does to a database.
pub(crate) fn tell(url: &str, statement: &'static str) {
    let told = async {
        if url.starts_with("postgres") {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
    };
    tokio::task::block_in_place(|| Handle::current().block_on(told));
}

/// What a node of a version before secrets had names does: it seals with the old one, and names none.
const SEAL_NAMELESS: &str = "UPDATE organisation SET wrapped_key = substr(kept.wrapped_key, 9) FROM kept
    WHERE kept.id = organisation.id AND organisation.wrapped_key IS NOT NULL";

on_both_databases! {
    /// Another secret comes into use, and an older version seals, while everything is wrapped anew.
    async fn no_secret_is_given_up_that_something_needs_and_none_comes_back(world: World) {
        world.register_many_from("ncsc", 1_000).await;
        let old = world.did(&["seal", "status"])["secrets"][0]["name"].as_str().unwrap().to_owned();
        let new = world.new_secret("new.secret", 1);
        let back = |config: &mut concordat::config::Config| {
            config.node.secret_file = "node.secret".into();
            config.node.other_secret_files = vec!["new.secret".into()];
        };
        world = world.stop().await.start_with(|config| {
            config.node.secret_file = "new.secret".into();
            config.node.other_secret_files = vec!["node.secret".into()];
        }).await;

        // Nodes seal with the newer one; a configuration from before does not take it away from them.
        let newer = world.config.clone();
        back(&mut world.config);
        assert!(world.declined(&["seal", "rewrap"]).contains(&format!("{new} came into use after {old}")));
        assert!(!world.did(&["seal", "status"]).to_string().contains("\"open\":false"));
        world.config = newer;

        let url = world.config.database_url();
        let store = Store::open(&Options::inspect(url.clone())).await.unwrap();
        let seal = store.unlock(&world.config.node_secrets().unwrap()).await.unwrap();
        tell(&url, "CREATE TABLE kept AS SELECT id, wrapped_key FROM organisation");
        let left = world.sealed_otherwise(&new).await;

        // A third secret comes into use after the first batch: what is sealed with it is not for this run to judge.
        let comes = "UPDATE ledger_head SET secrets = secrets || ' 0303030303030303'
            WHERE secrets NOT LIKE '%03030303'";
        let ended = store.rewrap(&seal, 8, None, |_, _| tell(&url, comes)).await.unwrap_err().to_string();
        assert!(ended.contains("0303030303030303 came into use after"), "{ended}");
        assert!(left > 3 * 48);
        assert_eq!(world.sealed_otherwise(&new).await, 3 * 48, "the first batch is of entries; no other was put back");
        tell(&url, "UPDATE ledger_head SET secrets = replace(secrets, ' 0303030303030303', '')");

        // A replica of an older version never ends: the old secret stays, and the operator is told why.
        let ended = store.rewrap(&seal, 256, None, |_, _| tell(&url, SEAL_NAMELESS)).await.unwrap_err().to_string();
        assert!(ended.contains("48 keys are still not wrapped") && ended.contains("All replicas must run"), "{ended}");
        let status = world.did(&["seal", "status"])["secrets"].clone();
        assert_eq!((status[0]["name"].as_str(), status[0]["open"].as_bool()), (Some(old.as_str()), Some(false)));
        assert_eq!((world.found(1_001).await, world.found(1_047).await), (1, 1));

        // A row that was damaged keeps no other from being wrapped anew, and every secret from being given up.
        tell(&url, "UPDATE incident_revision SET wrapped_key = substr(wrapped_key, 2)
            WHERE incident_id = (SELECT MIN(incident_id) FROM incident_revision WHERE wrapped_key IS NOT NULL)");
        let output = world.operator(&["seal", "rewrap"]);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((exit(&output), said["wrapped"].as_u64(), &said["needed_no_more"]), (1, Some(48), &json!([])), "{said}");
        let unopened = said["unopened"].as_array().unwrap();
        assert!(unopened.len() == 1 && unopened[0]["table"] == "incident_revision", "{said}");
        assert!(unopened[0]["row"].as_str().is_some_and(|row| row.starts_with("inc_") && row.ends_with(" 1")), "{said}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--give-up-unopened 1"));
        assert_eq!(world.sealed_otherwise(&new).await, 1);
        assert!(world.declined(&["seal", "rewrap", "--give-up-unopened", "2"]).contains("there are 1 rows that no secret"));
        assert_eq!(world.did(&["seal", "status"])["secrets"].as_array().unwrap().len(), 2, "the old one stays");
        tell(&url, SEAL_NAMELESS);

        // What it sealed last, behind the place where the run was, is found in the next pass.
        let mut most = 0;
        let done = store.rewrap(&seal, 256, Some(1), |seen, _| {
            if seen > most {
                most = seen;
                tell(&url, SEAL_NAMELESS);
            }
        }).await.unwrap();
        assert_eq!(done.dropped.iter().map(ToString::to_string).collect::<Vec<_>>(), [old.as_str()]);
        assert_eq!((done.wrapped, world.sealed_otherwise(&new).await, done.unopened.len()), (96, 1, 1));
        tell(&url, "DROP TABLE kept");
        store.close().await;

        // It was given up for good: without it the node starts, with it as `secret_file` never again.
        let stopped = world.stop().await;
        let error = stopped.refuses(back).await;
        assert!(error.contains(&format!("nothing is sealed with the secret {old}")), "{error}");
        world = stopped.start_with(|config| config.node.other_secret_files.clear()).await;
        assert_eq!(world.did(&["seal", "status"])["secrets"].as_array().unwrap().len(), 1);
        assert_eq!(world.found(1_001).await, 1);
    }

    /// The whole order of docs/keys.md, with `kill -9` in the middle of it, again and again.
    async fn a_secret_is_replaced_and_wrapping_anew_survives_kill(world: World) {
        let permitted = world.permitted("ncsc").await;
        for from in (1_000..10_000).step_by(1_000) {
            world.register_many_from("ncsc", from).await;
        }
        let pages = v1::ListOrganisationsRequest { page_size: 10, ..v1::ListOrganisationsRequest::default() };
        let page = world.organisations("ncsc").list_organisations(pages.clone()).await.unwrap().into_inner();
        let old = world.did(&["seal", "status"])["secrets"][0]["name"].as_str().unwrap().to_owned();
        let new = world.new_secret("new.secret", 1);
        let swap = |config: &mut concordat::config::Config| {
            config.node.secret_file = "new.secret".into();
            config.node.other_secret_files = vec!["node.secret".into()];
        };
        // Nothing is wrapped with a secret that no node has started with.
        let before = world.config.clone();
        swap(&mut world.config);
        assert!(world.declined(&["seal", "rewrap"]).contains("no node has started"));
        world.config = before;

        // Every node can read it before any node seals with it.
        world = world.stop().await.start_with(|config| config.node.other_secret_files.push("new.secret".into())).await;
        assert_eq!(world.did(&["seal", "status"])["secrets"].as_array().unwrap().len(), 1);
        world = world.stop().await.start_with(swap).await;
        world.register_many_from("ncsc", 10_000).await;
        let ask = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        assert_released(&ask.outcome.unwrap(), &["identity", "timeline"]);

        // Without the old one it does not start, and says how much would be lost.
        let stopped = world.stop().await;
        let error = stopped.refuses(|config| config.node.other_secret_files.clear()).await;
        assert!(error.contains(&old) && error.contains("seal rewrap"), "{error}");
        let needed: i64 = error.split(" of them need").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        world = stopped.start().await;
        let mut left = world.sealed_otherwise(&new).await;
        assert!(left > 1_000 && needed >= left, "{needed} need it, {left} of the large tables");

        world.operator(&["seal", "status"]);
        let mut kills = 0;
        while kills < 6 {
            let mut child = world.start_rewrap();
            let now = loop {
                let now = world.sealed_otherwise(&new).await;
                if now < left || child.try_wait().unwrap().is_some() {
                    break now;
                }
            };
            child.kill().unwrap();
            if child.wait().unwrap().code().is_some() {
                break;
            }
            kills += 1;
            left = now;
            // The node serves on, before and behind the place where it stopped.
            assert_eq!((world.found(1_001).await, world.found(9_047).await, world.found(10_001).await), (1, 1, 1));
            assert!(world.did(&["seal", "status"])["secrets"].to_string().contains("\"open\":false"));
        }
        assert!(kills >= 2, "it was through before it could be killed: {kills}");
        // Halfway, nobody seals with the old one any more, and nobody goes without it.
        let stopped = world.stop().await;
        let back = |config: &mut concordat::config::Config| {
            config.node.secret_file = "node.secret".into();
            config.node.other_secret_files = vec!["new.secret".into()];
        };
        let error = stopped.refuses(back).await;
        assert!(error.contains("nothing is sealed with the secret"), "{error}");
        let error = stopped.refuses(|config| config.node.other_secret_files.clear()).await;
        assert!(error.contains(&old), "{error}");
        world = stopped.start().await;

        let done = world.did(&["seal", "rewrap"]);
        assert_eq!(done["needed_no_more"], serde_json::json!([old]), "{done}");
        assert_eq!(world.sealed_otherwise(&new).await, 0);
        assert_eq!(world.did(&["seal", "rewrap"])["wrapped"], 0);
        std::fs::remove_file(world.beside("node.secret")).unwrap();
        world = world.stop().await.start_with(|config| config.node.other_secret_files.clear()).await;
        let ask = world.put(&permitted.held, world.ask(&permitted.held)).await.unwrap();
        assert_released(&ask.outcome.unwrap(), &["identity", "timeline"]);
        // What is found by a keyed hash is found as before, and a list goes on where it was.
        assert_eq!((world.found(1_001).await, world.found(10_001).await, world.found(20_000).await), (1, 1, 0));
        let next = v1::ListOrganisationsRequest { page_token: page.next_page_token, ..pages };
        assert_eq!(world.organisations("ncsc").list_organisations(next).await.unwrap().into_inner().organisations.len(), 10);
    }
}

#[tokio::test]
async fn every_wrapped_key_is_wrapped_anew() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("node.db").display());
    Store::open(&Options::serve(&url).creating()).await.unwrap().close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let query = "SELECT t.name FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND c.name = 'wrapped_key'";
    let there: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap();
    let mut there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    // Sealed with the secret itself.
    there.insert("incident_statistic");
    assert_eq!(wrapped_tables().collect::<BTreeSet<_>>(), there);
}
