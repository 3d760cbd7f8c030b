//! Other TLS stacks than rustls and OpenSSL: let in with a good certificate, and turned away as those are.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::handshakes::{Stage, meet};
use super::pki::Made;
use crate::postgres::all_tests_are_wanted;

/// A client that shows this and asks for `h2`, or for nothing.
type Dial = fn(at: SocketAddr, folder: &Path, asks: Option<&str>) -> Command;

/// How a program is told to connect, and how it is told its own version.
const STACKS: [(&str, &str, Dial); 2] = [("gnutls-cli", "--version", gnutls), ("go", "version", go)];

fn gnutls(at: SocketAddr, folder: &Path, asks: Option<&str>) -> Command {
    let mut command = Command::new("gnutls-cli");
    command.current_dir(folder).args(["--x509cafile", "root.pem", "--x509certfile", "client.pem"]);
    command.args(["--x509keyfile", "client.key", "--sni-hostname", "localhost", "--verify-hostname", "localhost"]);
    command.args(asks.iter().flat_map(|protocol| ["--alpn", *protocol]));
    command.args(["--port", &at.port().to_string(), &at.ip().to_string()]);
    command
}

fn go(at: SocketAddr, folder: &Path, asks: Option<&str>) -> Command {
    std::fs::write(folder.join("dial.go"), include_str!("dial.go")).unwrap();
    let mut command = Command::new("go");
    command.current_dir(folder).args(["run", "dial.go", &at.to_string()]).args(asks);
    command
}

#[tokio::test]
async fn other_stacks_are_treated_as_rustls_is() {
    for (program, version, dial) in STACKS {
        if Command::new(program).arg(version).output().is_err() {
            assert!(!all_tests_are_wanted(), "CONCORDAT_TESTS=all, but `{program}` is missing");
            eprintln!("LEFT OUT: handshakes with {program}, because it is not here");
            continue;
        }
        let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
        let show = |made: &Made| {
            for (name, text) in [("root.pem", &stage.ncsc.pem), ("client.pem", &made.chain), ("client.key", &made.key)]
            {
                std::fs::write(folder.path().join(name), text.as_bytes()).unwrap();
            }
        };
        let good = stage.intermediate.chained(|_| {});
        show(&good);
        let (said, server) = meet(&stage, |at| dial(at, folder.path(), Some("h2"))).await;
        assert_eq!(server, Ok(()), "{program}: {said}");
        for (class, made, asks, expected) in [
            ("no ALPN", &good, None, "the peer didn't ask for HTTP/2"),
            ("revoked", &stage.revoked, Some("h2"), "Revoked"),
            ("below a revoked authority", &stage.below_revoked, Some("h2"), "Revoked"),
        ] {
            show(made);
            let (said, server) = meet(&stage, |at| dial(at, folder.path(), asks)).await;
            let reason = server.expect_err(class);
            assert!(reason.contains(expected), "{program}, {class}: {reason}\n{said}");
        }
    }
}
