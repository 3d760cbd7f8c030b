//! The commands as people and scripts meet them: what they print and how they exit.

mod calls;
mod certs;
mod contract;
mod papers;
mod signposts;
mod statistics;

use std::path::Path;
use std::process::{Command, Output};

use concordat::proto::v1::Receipt;
use prost::Message;

use crate::builders::assert_open;
use crate::harness::{Engine, World, on_both_databases, run};

/// The program, without what the developer's own shell says about contexts and keys.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
    command.env_remove("CONCORDAT_CONTEXT").env_remove("CONCORDAT_LEDGER_KEY");
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

pub(crate) fn concordat(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn exit(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An ask's receipt, and where the node's verifier key is.
async fn receipt(world: &World) -> (Receipt, String) {
    let held = world.hold("ncsc", "ico").await;
    let response = world.put(&held, world.ask(&held)).await.unwrap();
    assert_open(response.outcome.as_ref().unwrap());
    (response.receipt.unwrap(), text(&world.workspace.folder().join("node-one/ledger.pub")).to_owned())
}

#[test]
fn verify_tells_valid_from_invalid_from_undecidable() {
    run(Engine::Sqlite, |world: World| async move {
        let (receipt, key) = receipt(&world).await;
        let folder = world.workspace.folder();
        let good = folder.join("good.receipt");
        std::fs::write(&good, receipt.encode_to_vec()).unwrap();
        let valid = concordat(&["verify", text(&good), "--key", &key]);
        assert_eq!(exit(&valid), 0, "{valid:?}");
        let said: serde_json::Value = serde_json::from_slice(&valid.stdout).unwrap();
        assert_eq!(said["valid"], true);
        assert_eq!(said["receipt"]["outcome"], "open");

        let mut changed = receipt.clone();
        changed.index += 1;
        let bad = folder.join("bad.receipt");
        std::fs::write(&bad, changed.encode_to_vec()).unwrap();
        assert_eq!(exit(&concordat(&["verify", text(&bad), "--key", &key])), 1);

        let other = concordat(&["ledger", "keygen", "other.example"]);
        let other = String::from_utf8(other.stdout).unwrap().lines().last().unwrap().to_owned();
        assert_eq!(exit(&concordat(&["verify", text(&good), "--key", &other])), 3, "no key for this ledger");
        assert_eq!(exit(&concordat(&["verify", "no-such-file", "--key", &key])), 3, "unreadable");
        assert_eq!(exit(&concordat(&["verify", text(&good)])), 2, "no key at all is wrong usage");
        world
    });
}

#[test]
fn call_speaks_json_and_its_receipt_verifies() {
    run(Engine::Sqlite, |world: World| async move {
        // The command's tokens are made by the machine's clock. This node's is ahead: none of them is from its future.
        world.hand.set(crate::harness::real_now().plus_seconds(150));
        let held = world.hold("ncsc", "ico").await;
        world.give_consent(&held, world.scope(&held)).await;
        world.authorise(&held).await;
        let purposes = ["harm-reduction"];
        let address = world.node.address;
        let mut context = world.workspace.context("ico", "req", &["requester"], &purposes, "one", address);
        context.server = address.to_string();
        let file = world.workspace.write_context("ico", &context).unwrap();
        let reference = &held.reference;
        let request = format!(
            r#"{{"holder":"ncsc","reference":"{reference}","purpose":"harm-reduction","categories":["timeline"]}}"#
        );
        let arguments = ["call", "ReleaseService/RequestRelease", &request, "--context", text(&file)];
        let output = tokio::task::spawn_blocking({
            let arguments = arguments.map(str::to_owned);
            move || concordat(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let output = output.await.unwrap();
        assert_eq!(exit(&output), 0, "{output:?}");
        let response = world.workspace.folder().join("response.json");
        std::fs::write(&response, &output.stdout).unwrap();
        let key = world.workspace.folder().join("node-one/ledger.pub");
        let verified = concordat(&["verify", text(&response), "--key", text(&key)]);
        assert_eq!(exit(&verified), 0, "{verified:?}");
        // The same response with other content beside its receipt.
        let mut changed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        changed["released"]["incidents"][0]["categories"][0]["content"] = "AAAA".into();
        std::fs::write(&response, changed.to_string()).unwrap();
        let verified = concordat(&["verify", text(&response), "--key", text(&key)]);
        assert_eq!(exit(&verified), 1, "{verified:?}");

        let near = concordat(&["call", "ReleaseServices/RequestRelease", "--context", text(&file)]);
        assert!(String::from_utf8_lossy(&near.stderr).contains("did you mean `ReleaseService/RequestRelease`"));
        world
    });
}

on_both_databases! {
    async fn a_ledger_that_was_changed_does_not_check(world: World) {
        let (receipt, _) = receipt(&world).await;
        let file = world.workspace.folder().join("node-one/node.toml");
        assert_eq!(exit(&concordat(&["ledger", "check", "--config", text(&file)])), 0);
        let url = world.config.database_url();
        let (index, other) = (receipt.index, receipt.index - 1);
        // As somebody with the database's own rights could: the append-only trigger is gone first.
        execute(&url, &["DROP TRIGGER entry_append_only ON entry"], &["DROP TRIGGER entry_never_changed"]).await;
        let keep = format!("CREATE TABLE kept AS SELECT leaf FROM entry WHERE idx = {index}");
        let change = format!("UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = {other}) WHERE idx = {index}");
        execute(&url, &[&keep, &change], &[&keep, &change]).await;
        let checked = concordat(&["ledger", "check", "--config", text(&file)]);
        assert_eq!(exit(&checked), 1, "{checked:?}");
        let said: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert!(said["problem"].as_str().unwrap().contains(&format!("entry {index}")), "{said}");
        let back = format!("UPDATE entry SET leaf = (SELECT leaf FROM kept) WHERE idx = {index}");
        execute(&url, &[&back], &[&back]).await;
    }

    async fn a_node_does_not_serve_with_another_secret_than_its_records_were_sealed_with(world: World) {
        let stopped = world.stop().await;
        let file = stopped.folder().join("node-one/node.secret");
        let secret = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, "5a".repeat(32)).unwrap();
        let refused = stopped.try_start().await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("the node secret is not the one"), "{refused}");
        std::fs::write(&file, secret).unwrap();
        world = stopped.start().await;
    }

    async fn a_node_does_not_serve_on_another_head_than_the_one_that_was_signed(world: World) {
        let url = world.config.database_url();
        let stopped = world.stop().await;
        let keep = "CREATE TABLE kept AS SELECT frontier FROM ledger_head";
        execute(
            &url,
            &[keep, "UPDATE ledger_head SET frontier = decode(repeat('00', length(frontier)), 'hex')"],
            &[keep, "UPDATE ledger_head SET frontier = zeroblob(length(frontier))"],
        )
        .await;
        let refused = stopped.try_start().await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("does not check"), "{refused}");
        let back = "UPDATE ledger_head SET frontier = (SELECT frontier FROM kept)";
        execute(&url, &[back], &[back]).await;
        world = stopped.start().await;
    }
}

/// Runs statements on a node's database from outside, in its own dialect.
pub(crate) async fn execute(url: &str, postgres: &[&str], sqlite: &[&str]) {
    use sqlx::{AssertSqlSafe, Connection, Executor};
    if url.starts_with("postgres") {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        for statement in postgres {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(*statement))).await.unwrap();
        }
    } else {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        for statement in sqlite {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(*statement))).await.unwrap();
        }
    }
}
