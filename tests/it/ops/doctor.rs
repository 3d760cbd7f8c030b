//! `concordat doctor` and `concordat config`: they find what would stop a node, and say what to do.

use std::fs;
use std::path::Path;

use super::with_ops;
use crate::cli::{command, concordat, exit, text};
use crate::harness::on_both_databases;

/// What the doctor says: its exit code, and the state of each thing.
async fn examined(file: &Path, more: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let mut arguments: Vec<String> = ["doctor", "-o", "json", "--config", text(file)].map(str::to_owned).into();
    arguments.extend(more.iter().map(ToString::to_string));
    // Not on the runtime's own thread: the doctor asks the node that runs on it.
    let output = tokio::task::spawn_blocking(move || command().args(arguments).output().unwrap()).await.unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let word = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks = said["checks"].as_array().unwrap();
    (exit(&output), checks.iter().map(|c| (word(c, "what"), word(c, "state"), word(c, "remedy"))).collect())
}

/// What is not well, and what to do about it.
fn ills(checks: &[(String, String, String)]) -> Vec<(&str, &str)> {
    let ill = checks.iter().filter(|(_, state, _)| state == "not well" || state == "unknown");
    ill.map(|(what, _, remedy)| (what.as_str(), remedy.as_str())).collect()
}

on_both_databases! {
    async fn the_doctor_finds_what_is_wrong_and_says_what_to_do(world: World) {
        // The commands go by the machine's clock.
        world.hand.set(crate::harness::real_now());
        world = world.stop().await.start_with(with_ops).await;
        let mut config = world.config.clone();
        config.ops.listen = world.node.ops.unwrap();
        config.node.listen = world.node.address;
        let file = world.workspace.folder().join("node-one/as-it-runs.toml");
        config.write(&file).unwrap();
        let peer = format!("localhost:{}", world.node.address.port());
        let (code, checks) = examined(&file, &["--peer", &peer]).await;
        assert_eq!((code, ills(&checks)), (0, vec![]), "{checks:?}");
        let what: Vec<&str> = checks.iter().map(|(what, ..)| what.as_str()).collect();
        for part in ["configuration", "the node's certificate", "database", "schema", "ledger's head", "clock",
            "agreement ico-ncsc-2023", "node.listen", "ops.listen", "readiness", &format!("peer {peer}")]
        {
            assert!(what.contains(&part), "{part} was not looked at: {what:?}");
        }

        // A ledger that nobody has begun is left so, whoever looks at it with whatever secret.
        let mut unbegun = config.clone();
        unbegun.node.database = "sqlite:unbegun.db".into();
        unbegun.node.secret_file = "another.secret".into();
        unbegun.tls.allow_readable_keys = true;
        let unbegun_file = world.workspace.folder().join("node-one/unbegun.toml");
        unbegun.write(&unbegun_file).unwrap();
        for (place, secret) in ["11".repeat(32), "22".repeat(32)].iter().enumerate() {
            fs::write(world.workspace.folder().join("node-one/another.secret"), secret).unwrap();
            if place == 0 {
                assert_eq!(exit(&concordat(&["ledger", "init", "--config", text(&unbegun_file)])), 0);
            }
            let (_, checks) = examined(&unbegun_file, &[]).await;
            let head = checks.iter().find(|(what, ..)| what == "ledger's head").map(|(_, state, _)| state.as_str());
            assert_eq!(head, Some("well"), "{checks:?}");
        }

        // The way to a peer that is not one of ours, and one that is closed.
        let (code, checks) = examined(&file, &["--peer", "localhost:1"]).await;
        assert_eq!((code, ills(&checks).len()), (1, 1), "{checks:?}");

        fs::write(world.workspace.folder().join("node-one/server.pem"), "spoilt").unwrap();
        config.node.secret_file = "no-such.secret".into();
        config.write(&file).unwrap();
        let (code, checks) = examined(&file, &[]).await;
        let found = ills(&checks);
        assert_eq!(code, 1, "{checks:?}");
        for part in ["the node's certificate", "secrets and agreements on disk"] {
            assert!(found.iter().any(|(what, remedy)| *what == part && !remedy.is_empty()), "{part}: {found:?}");
        }

        // What is wrong with its shape is all said at once, with what is near.
        let written = fs::read_to_string(&file).unwrap();
        fs::write(&file, written.replace("audience =", "audiance =").replace("reload_seconds = 2", "reload_seconds = \"2\"")).unwrap();
        let checked = concordat(&["config", "check", "--config", text(&file), "-o", "json"]);
        assert_eq!(exit(&checked), 1);
        let said: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        let said = said["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(said, [
            "node: there is no key `audiance`: did you mean `audience`?",
            "node.audience: is not there",
            "tls.reload_seconds: must be a whole number",
        ]);
        let (code, checks) = examined(&file, &[]).await;
        assert_eq!((code, ills(&checks).len()), (1, 3));
        assert_eq!(exit(&concordat(&["serve", "--config", text(&file)])), 3);
    }
}
