//! `concordat doctor` and `concordat config`: they find what would stop a node, and say what to do.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use concordat::config::Config;
use concordat::dev::{Workspace, loopback};
use concordat::tls;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::with_ops;
use crate::cli::{command, concordat, exit, text};
use crate::harness::on_both_databases;

/// What the doctor says: its exit code, and what it looked at.
pub(super) async fn said(file: &Path, more: &[&str]) -> (i32, Vec<Value>) {
    let mut arguments: Vec<String> = ["doctor", "-o", "json", "--config", text(file)].map(str::to_owned).into();
    arguments.extend(more.iter().map(ToString::to_string));
    // Not on the runtime's own thread: the doctor asks the node that runs on it.
    let output = tokio::task::spawn_blocking(move || command().args(arguments).output().unwrap()).await.unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (exit(&output), said["checks"].as_array().unwrap().clone())
}

pub(super) fn word(check: &Value, key: &str) -> String {
    check[key].as_str().unwrap().to_owned()
}

/// Its exit code, and the state of each thing.
async fn examined(file: &Path, more: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let (code, checks) = said(file, more).await;
    (code, checks.iter().map(|c| (word(c, "what"), word(c, "state"), word(c, "remedy"))).collect())
}

/// Whatever ends TLS on the way, with a certificate of the node's own authority: it asks for none. Ends with the test.
async fn ends_tls(config: &Config, address: &str) -> SocketAddr {
    let [certificate, key] = [&config.tls.certificate_file, &config.tls.key_file].map(|file| config.path(file));
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            tls::certificates_from_file(&certificate).unwrap(),
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(acceptor.accept(socket).await);
        }
    });
    address
}

/// What the doctor says of a peer: how it is, and why.
async fn of_peer(file: &Path, peer: &str) -> (String, String) {
    let (_, checks) = said(file, &["--peer", peer]).await;
    let check = checks.iter().find(|check| word(check, "what") == format!("peer {peer}")).unwrap();
    (word(check, "state"), word(check, "says"))
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

        // Whatever ends TLS before the node is found out though it has a certificate of the right authority; and of a wrong
        // name the right authority's word counts, not the others'.
        let (state, says) = of_peer(&file, &format!("localhost:{}", ends_tls(&config, "127.0.0.1:0").await.port())).await;
        assert!(state == "not well" && says.contains("TLS is ended before the node: ico vouches"), "{state}: {says}");
        let (state, says) = of_peer(&file, &ends_tls(&config, "127.0.0.2:0").await.to_string()).await;
        assert!(state == "not well" && says.contains("not valid for name \"127.0.0.2\""), "{state}: {says}");
        let stranger = world.workspace.folder().join("stranger");
        let stranger = Workspace::create(&stranger, crate::harness::real_now()).unwrap();
        let strange = stranger.add_node("other", &["ncsc"], loopback(0), None, crate::harness::real_now()).await.unwrap();
        let strange = ends_tls(&Config::load_alone(&strange).unwrap(), "127.0.0.1:0").await;
        let (state, says) = of_peer(&file, &format!("localhost:{}", strange.port())).await;
        assert!(state == "not well" && says.contains("none of the agencies vouches for it"), "{state}: {says}");

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
