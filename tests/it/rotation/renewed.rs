//! Callers whose certificates are renewed, files that are looked at without being told, and what handshakes agree on.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use concordat::clock::Clock;
use concordat::server::Running;
use concordat::tls;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::program::Program;

/// What a client that knows nothing of ours makes of a handshake.
fn s_client(folder: &Path, address: std::net::SocketAddr, session: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-servername", "localhost", "-alpn", "h2", "-tls1_3"])
        .args(["-CAfile", "roots.pem", "-cert", "ico/client.pem", "-key", "ico/client.key", "-ign_eof"])
        .args(["-sess_out", session])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // HTTP/2's preface, no settings, and GOAWAY: the node answers and closes.
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0], &goaway].concat();
    client.stdin.take().unwrap().write_all(&preface).unwrap();
    let output = client.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// How far a system comes that agrees on keys in no way that a quantum computer cannot undo. It has no token.
async fn classic(world: &World) -> Code {
    let read = |file: &str| fs::read(world.workspace.folder().join(file)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(tls::certificates(&read("roots.pem")).unwrap());
    let ours = tls::client_config(roots_of(world), None).unwrap();
    let mut provider = (**ours.crypto_provider()).clone();
    provider.kx_groups.retain(|group| !tls::is_post_quantum(group.name()));
    let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            tls::certificates(&read("ico/client.pem")).unwrap(),
            PrivateKeyDer::from_pem_slice(&read("ico/client.key")).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let channel = tls::connect_lazily(&world.node.address.to_string(), "localhost", config.into()).unwrap();
    LedgerServiceClient::new(channel).get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap_err().code()
}

fn roots_of(world: &World) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    tls::certificates_from_file(&world.workspace.folder().join("roots.pem")).unwrap()
}

on_both_databases! {
    /// The process itself looks when it is told to, and gives nothing to resume.
    async fn a_process_looks_at_its_files_when_it_is_told_to(world: World) {
        world.publish_list(&[], 1);
        let mut config = world.config.clone();
        by_lists(&mut config);
        let folder = world.workspace.folder().to_owned();
        let file = folder.join("node-one/process.toml");
        config.write(&file).unwrap();
        let authority = world.authority_of("ncsc");
        let [stolen, other] = ["stolen", "other"].map(|name| authority.issue_client(name, real_now()).unwrap());
        let revoking = authority.revoke(&[&stolen], 2, real_now()).unwrap();
        let contexts = [world.context_of("ncsc", "stolen", &stolen), world.context_of("ncsc", "other", &other)];
        // One SQLite file has one node.
        world.node.stop().await;
        let program = Program::start(&file);
        let [thief, other] = contexts.map(|context| {
            let context = Context { server: program.address.to_string(), ..context };
            context.officer(&folder, Clock::system()).unwrap()
        });
        for officer in [&thief, &other] {
            call(officer).await.unwrap();
        }
        fs::write(folder.join("ncsc/lists.pem"), revoking).unwrap();
        call(&thief).await.expect("nobody looks for a minute");
        let since = Instant::now();
        let told = Command::new("kill").args(["-HUP", &program.pid().to_string()]).status().unwrap();
        assert!(told.success());
        let refused = async { while call(&thief).await.is_ok() {} };
        timeout(WITHIN, refused).await.expect("it looks");
        report("SIGHUP to refusal", vec![since.elapsed()]);
        call(&other).await.unwrap();

        let session = folder.join("session.pem");
        let said = s_client(&folder, program.address, session.to_str().unwrap());
        assert!(said.contains("New, TLSv1.3") && said.contains("ALPN protocol: h2"), "{said}");
        for resumable in ["New Session Ticket", "Reused", "TLS session ticket:"] {
            assert!(!said.contains(resumable), "{resumable}: {said}");
        }
        assert!(fs::read(&session).unwrap_or_default().is_empty(), "there is nothing to resume");
        let log = program.kill();
        assert!(log.contains("SIGHUP: certificates and keys are looked at"), "{log}");
        assert!(log.contains("a system is connected") && log.contains("X25519MLKEM768"), "{log}");
        world.node = Running::start(&world.config, world.clock.clone()).await.unwrap();
    }

    /// As Kubernetes swaps a mounted folder, on a node that looks every second. The times are printed.
    async fn files_that_are_swapped_by_a_link_are_found_by_their_content(world: World) {
        let mount = world.workspace.folder().join("ncsc/mount");
        let publish = |world: &World, revoked: &[&Issued], number: u64| {
            let edition = format!("edition-{number}");
            fs::create_dir_all(mount.join(&edition)).unwrap();
            let list = world.authority_of("ncsc").revoke(revoked, number, real_now()).unwrap();
            fs::write(mount.join(&edition).join("lists.pem"), list).unwrap();
            symlink(&edition, mount.join("..data_tmp")).unwrap();
            fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        };
        publish(&world, &[], 1);
        let every_second = |config: &mut Config| {
            by_lists(config);
            config.tls.reload_seconds = 1;
            of(config, "ncsc").revocation_lists_file = Some("../ncsc/mount/..data/lists.pem".into());
        };
        world = world.stop().await.start_with(every_second).await;
        let (_, other) = world.system("ncsc", world.authority_of("ncsc"), "other");
        call(&other).await.unwrap();
        let (mut refusals, mut ends, mut revoked) = (Vec::new(), Vec::new(), Vec::new());
        for number in 2..7 {
            let (issued, thief) = world.system("ncsc", world.authority_of("ncsc"), "stolen");
            let request = v1::WatchEventsRequest { cursor: String::new() };
            let mut stream = EventServiceClient::new(thief.clone()).watch_events(request).await.unwrap().into_inner();
            stream.message().await.unwrap().unwrap();
            revoked.push(issued);
            publish(&world, &revoked.iter().collect::<Vec<_>>(), number);
            let since = Instant::now();
            let refused = async {
                while call(&thief).await.is_ok() {}
                since.elapsed()
            };
            let ended = async {
                while let Ok(Some(_)) = stream.message().await {}
                since.elapsed()
            };
            let both = timeout(WITHIN, async { tokio::join!(refused, ended) });
            let (refused, ended) = both.await.expect("it ends");
            refusals.push(refused);
            ends.push(ended);
        }
        call(&other).await.unwrap();
        report("from a list on disk, looked at every second, to refusal", refusals);
        report("from the same to the end of a stream", ends);
    }

    async fn a_caller_goes_on_with_the_certificate_that_it_has_now(world: World) {
        world = world.with_lists().await;
        let (first, officer) = world.system("ncsc", world.authority_of("ncsc"), "renewed");
        call(&officer).await.unwrap();
        let by = |issued: &Issued| {
            let fingerprint = Credentials::from_pem(&issued.chain_pem, &issued.key_pem).unwrap().fingerprint();
            world.node.connections.list().iter().any(|(peer, _)| *peer.fingerprint() == fingerprint)
        };
        assert!(by(&first));
        // Half of it is there: the old pair goes on.
        let second = world.authority_of("ncsc").issue_client("renewed", real_now()).unwrap();
        world.put_file("ncsc/renewed.pem", &second.chain_pem);
        let looked_at = Instant::now() + Duration::from_millis(2_200);
        while Instant::now() < looked_at {
            call(&officer).await.expect("by the certificate whose key is there");
        }
        assert!(!by(&second));
        world.put_secret("ncsc/renewed.key", &second.key_pem);
        let moved = async {
            while !by(&second) {
                call(&officer).await.expect("not one call fails");
            }
        };
        timeout(WITHIN, moved).await.expect("it moves to the new one");
        world.publish_list(&[&first], 2);
        world.looked();
        call(&officer).await.expect("it needs the old one no more, and its tokens are bound to the new one");
    }

    async fn whoever_cannot_agree_on_keys_in_a_post_quantum_way_is_turned_away_where_that_is_required(world: World) {
        assert_eq!(classic(&world).await, Code::Unauthenticated, "it is let in, and asked for a token");
        world = world.stop().await.start_with(|config| config.tls.require_post_quantum = true).await;
        assert_eq!(classic(&world).await, Code::Unavailable, "there is no connection");
        call(&world.officer("ico", "watcher", &["auditor"])).await.expect("ours can");
    }
}
