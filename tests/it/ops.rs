//! The port for probes and metrics, and what an operator asks of a node before and while it runs.

mod doctor;
mod ills;
mod metrics;
mod starts;
pub(crate) mod traces;

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use concordat::config::{Config, OpsSection};
use concordat::dev;
use concordat::proto::v1::GetCheckpointRequest;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::server::Running;
use concordat::store::{Options, Schema, Store};
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpSocket;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::cli::{command, concordat, execute, exit, text};
use crate::harness::{Engine, World, on_both_databases, on_postgres, run};
use crate::keys::tell;
use crate::program::Program;

const PATIENT: Duration = Duration::from_secs(20);

/// The status and the body of the answer to a request, as a kubelet puts it.
fn put(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(PATIENT)).unwrap();
    write!(socket, "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

pub(crate) fn answer(address: SocketAddr, path: &str) -> (u16, String) {
    put(address, "GET", path).unwrap_or_else(|| panic!("{path}: no answer"))
}

/// Waits until a probe is answered so.
fn until(address: SocketAddr, path: &str, status: u16) -> String {
    let begun = Instant::now();
    loop {
        let found = put(address, "GET", path);
        if let Some((_, body)) = found.as_ref().filter(|(found, _)| *found == status) {
            return body.clone();
        }
        assert!(begun.elapsed() < PATIENT, "{path} is not answered with {status} but {found:?}");
        std::thread::yield_now();
    }
}

/// A port that nobody has now.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind(dev::loopback(0)).unwrap().local_addr().unwrap()
}

fn with_ops(config: &mut Config) {
    config.ops = OpsSection { enabled: true, listen: dev::loopback(0), shutdown_delay_seconds: 0 };
}

on_both_databases! {
    async fn probes_are_answered_in_plain_text_and_nothing_else_is(world: World) {
        world = world.stop().await.start_with(with_ops).await;
        let ops = world.node.ops.unwrap();
        for (path, says) in [("/livez", "alive\n"), ("/startupz", "started\n"), ("/readyz", "ready\n")] {
            assert_eq!(answer(ops, path), (200, says.to_owned()));
        }
        for path in ["/", "/live", "/livez/", "/metrics/x", "/concordat.v1.LedgerService/GetCheckpoint"] {
            assert_eq!(answer(ops, path).0, 404, "{path}");
        }
        for path in ["/livez", "/concordat.v1.LedgerService/GetCheckpoint"] {
            assert_eq!(put(ops, "POST", path).unwrap().0, 404, "{path}");
        }
        // Whoever holds connections and says nothing keeps nobody's probe waiting, and loses them.
        let mut idle: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(ops).unwrap()).collect();
        assert_eq!(answer(ops, "/livez").0, 200);
        idle[0].set_read_timeout(Some(PATIENT)).unwrap();
        assert_eq!(idle[0].read(&mut [0]).unwrap_or(0), 0, "the oldest made room");
        drop(idle);
        // Those of a flood push out each other, and not a probe from elsewhere that takes its time.
        let mut probe = TcpStream::connect(ops).unwrap();
        write!(probe, "GET /livez HTTP/1.1\r\nhost: node\r\n").unwrap();
        let mut flood = Vec::new();
        for _ in 0..80 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
            flood.push(socket.connect(ops).await.unwrap());
        }
        assert_eq!(answer(ops, "/livez").0, 200);
        write!(probe, "connection: close\r\n\r\n").unwrap();
        let mut answered = String::new();
        probe.read_to_string(&mut answered).unwrap();
        assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
        drop(flood);
        let address = ops.to_string();
        for what in ["live", "ready", "startup"] {
            assert_eq!(exit(&concordat(&["probe", what, "--ops", &address])), 0, "{what}");
        }
        assert_eq!(exit(&concordat(&["probe", "live", "--ops", &free().to_string()])), 3, "nobody is there");

        let channel = Endpoint::from_shared(format!("http://{ops}")).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        for service in ["", "liveness"] {
            let request = HealthCheckRequest { service: service.into() };
            assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving, "{service}");
        }
        let request = HealthCheckRequest { service: "concordat.v1.LedgerService".into() };
        assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
    }

    /// It could not start again, or can commit nothing: others are asked instead.
    async fn a_node_without_its_own_keys_is_not_ready(world: World) {
        world = world.stop().await.start_with(with_ops).await;
        let ops = world.node.ops.unwrap();
        assert_eq!(answer(ops, "/readyz").0, 200);
        let file = world.config.path(&world.config.node.ledger_key_file);
        let key = std::fs::read(&file).unwrap();
        let mode = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(until(ops, "/readyz", 503), "not ready: ledger_key\n");
        std::fs::write(&file, &key).unwrap();
        mode(0o600);
        until(ops, "/readyz", 200);
        mode(0o644);
        assert_eq!(until(ops, "/readyz", 503), "not ready: ledger_key\n", "every user can read it");
        mode(0o600);
        until(ops, "/readyz", 200);
        // Another node began to wrap everything anew with a secret that came after this one's.
        tell(&world.config.database_url(), "UPDATE ledger_head SET secrets = '-' || secrets");
        assert_eq!(until(ops, "/readyz", 503), "not ready: node_secret\n");
        tell(&world.config.database_url(), "UPDATE ledger_head SET secrets = replace(secrets, '-', '')");
        until(ops, "/readyz", 200);
    }

    async fn a_node_that_is_told_to_stop_says_so_first_and_finishes_what_it_does(world: World) {
        let stopped = world.stop().await;
        let mut config = Config::load(&stopped.folder().join("node-one/node.toml")).unwrap();
        config.ops = OpsSection { enabled: true, listen: free(), shutdown_delay_seconds: 3 };
        let file = stopped.folder().join("node-one/with-ops.toml");
        config.write(&file).unwrap();
        let program = Program::start(&file);
        let ops = config.ops.listen;
        until(ops, "/readyz", 200);
        let pid = program.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(until(ops, "/readyz", 503), "not ready: stopping\n");
        assert_eq!(answer(ops, "/livez").0, 200, "it is no reason to kill it");
        assert_eq!(exit(&concordat(&["probe", "ready", "--ops", &ops.to_string()])), 1);
        // Who has not heard of it yet is answered.
        TcpStream::connect(program.address).expect("it goes on taking connections for a while");
        assert_eq!(program.wait(), Some(0));
        world = stopped.start().await;
    }

    async fn readiness_is_the_nodes_own_affair_and_liveness_nobodys(world: World) {
        // A text in force that this program cannot read: nothing would be decided.
        let (sqlite, postgres) = (format!("x'{}'", "00".repeat(32)), format!("'\\x{}'::bytea", "00".repeat(32)));
        let spoil = |zeros: &str, text: &str| {
            [
                format!("INSERT INTO agreement_text (digest, text) VALUES ({zeros}, {text})"),
                format!("UPDATE agreement SET digest = {zeros} WHERE id = 'nis-regulations-2018'"),
            ]
        };
        let (postgres, sqlite) = (spoil(&postgres, "'spoilt'::bytea"), spoil(&sqlite, "x'00'"));
        let undo = "UPDATE agreement SET digest = (SELECT digest FROM agreement_text WHERE length(text) > 100
            AND digest NOT IN (SELECT digest FROM agreement)) WHERE id = 'nis-regulations-2018'";
        let url = world.config.database_url();
        let stopped = world.stop().await;
        execute(&url, &postgres.each_ref().map(String::as_str), &sqlite.each_ref().map(String::as_str)).await;
        world = stopped.start_with(with_ops).await;
        let ops = world.node.ops.unwrap();
        // A permission can still be taken away here, so nobody is sent elsewhere.
        assert_eq!(answer(ops, "/readyz"), (200, "ready; not well: agreements\n".to_owned()));
        assert!(answer(ops, "/metrics").1.contains("concordat_degraded{check=\"agreements\"} 1\n"));
        assert_eq!((answer(ops, "/livez").0, answer(ops, "/startupz").0), (200, 200));
        let stopped = world.stop().await;
        execute(&url, &[undo], &[undo]).await;

        // A peer without a list that counts is stopped itself, and stops nobody else.
        world = stopped.start_with(|config| {
            let nca = config.agency.iter_mut().find(|agency| agency.id.as_str() == "nca").unwrap();
            nca.revocation = concordat::config::RevocationPolicy::Crl;
            nca.revocation_lists_file = Some("../nca/no-lists.pem".into());
        }).await;
        assert_eq!(answer(world.node.ops.unwrap(), "/readyz").0, 200);
    }
}

/// Waits until the node has asked the database for its schema.
async fn until_looked(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let begun = Instant::now();
    loop {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND query LIKE '%_sqlx_migrations WHERE success%'";
        let looked: i64 = sqlx::query_scalar(sessions).fetch_one(&mut connection).await.unwrap();
        if looked > 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENT, "the node does not look at the schema");
    }
}

on_postgres! {
    async fn a_node_without_rights_to_change_the_schema_waits_for_who_has_them(world: World) {
        let mut config = world.config.clone();
        config.node.database = crate::postgres::database().unwrap();
        config.node.migrate = false;
        config.ops = OpsSection { enabled: true, listen: free(), shutdown_delay_seconds: 0 };
        let file = world.workspace.folder().join("node-one/waits.toml");
        config.write(&file).unwrap();
        let ops = config.ops.listen;
        let starting = tokio::spawn({
            let (config, clock) = (config.clone(), world.clock.clone());
            async move { Running::start(&config, clock).await.map_err(|error| error.to_string()) }
        });
        tokio::task::spawn_blocking(move || until(ops, "/startupz", 503)).await.unwrap();
        until_looked(&config.database_url()).await;
        let begun = Instant::now();
        while !answer(ops, "/startupz").1.contains("schema") {
            assert!(begun.elapsed() < PATIENT, "it does not say what it waits for");
            tokio::task::yield_now().await;
        }
        assert_eq!(answer(ops, "/livez").0, 200, "waiting is no reason to restart it");
        let figures = answer(ops, "/metrics").1;
        assert!(figures.contains("\nprocess_start_time_seconds ") && figures.contains("concordat_ready{check=\"schema\"} 0"));
        for unknown in ["concordat_ledger_entries", "concordat_database_up", "concordat_tls_certificate_not_after_seconds"] {
            assert!(!figures.contains(unknown), "`{unknown}` is not known yet");
        }
        until_looked(&config.database_url()).await;
        let store = Store::open(&Options::inspect(config.database_url())).await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Earlier, "it has looked, and changed nothing");
        store.close().await;
        let migrated = tokio::task::spawn_blocking(move || concordat(&["migrate", "--config", text(&file)]));
        let migrated = migrated.await.unwrap();
        assert_eq!(exit(&migrated), 0, "{migrated:?}");
        let node = tokio::time::timeout(PATIENT, starting).await.unwrap().unwrap().unwrap();
        assert_eq!(answer(ops, "/readyz"), (200, "ready\n".to_owned()));
        node.stop().await;
        let store = Store::open(&Options::inspect(config.database_url())).await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Current);

        // A later program has migrated. Going back to this one must be meant.
        let later = "INSERT INTO _sqlx_migrations SELECT 999999, 'later', installed_on, success, checksum, execution_time
            FROM _sqlx_migrations WHERE version = 1";
        execute(&config.database_url(), &[later], &[later]).await;
        assert_eq!(store.schema().await.unwrap(), Schema::Later(999_999));
        store.close().await;
        let file = world.workspace.folder().join("node-one/waits.toml");
        let migrated = tokio::task::spawn_blocking(move || concordat(&["migrate", "--config", text(&file)]));
        assert_eq!(exit(&migrated.await.unwrap()), 0, "it undoes nothing");
        let back = Running::start(&config, world.clock.clone()).await.unwrap();
        back.stop().await;
        (config.node.migrate, config.ops.enabled) = (true, false);
        let refused = Running::start(&config, world.clock.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("of a later program (migration 999999)"), "{refused}");
    }
}

#[test]
fn a_developers_node_has_a_configuration_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let ours = text(folder.path());
    assert_eq!(exit(&concordat(&["serve", "--dev", "--folder", ours, "--config", "node.toml"])), 2);
    assert_eq!(std::fs::read_dir(ours).unwrap().count(), 0, "nothing was made");
}

/// A proxy that lets through to the node whoever asks for it by this name, and how often it did. It says `before` on each
/// connection.
async fn proxy_to(node: SocketAddr, name: String, before: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind(dev::loopback(0)).await.unwrap();
    let (address, let_through) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&let_through);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(near.read_u8().await.unwrap());
            }
            if !asked.starts_with(format!("CONNECT {name} HTTP/1.1\r\n").as_bytes()) {
                near.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
                continue;
            }
            count.fetch_add(1, Ordering::SeqCst);
            near.write_all(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n").await.unwrap();
            let mut far = tokio::net::TcpStream::connect(node).await.unwrap();
            far.write_all(before.as_bytes()).await.unwrap();
            tokio::spawn(async move { drop(copy_bidirectional(&mut near, &mut far).await) });
        }
    });
    (address, let_through)
}

#[test]
fn a_node_is_called_through_a_proxy_that_passes_tls_on() {
    run(Engine::Sqlite, |world: World| async move {
        let (proxy, let_through) = proxy_to(world.node.address, world.node.address.to_string(), "").await;
        let folder = world.workspace.folder();
        let mut context = world.workspace.context("ico", "aud", &["auditor"], &[], "one", world.node.address);
        context.proxy = Some(format!("http://{proxy}"));
        let mut ledger = LedgerServiceClient::new(context.officer(folder, world.clock.clone()).unwrap());
        ledger.get_checkpoint(GetCheckpointRequest {}).await.unwrap();
        assert_eq!(let_through.load(Ordering::SeqCst), 1);
        // Another name of the same place is another place to the proxy.
        context.server = format!("localhost:{}", world.node.address.port());
        let mut ledger = LedgerServiceClient::new(context.officer(folder, world.clock.clone()).unwrap());
        assert_eq!(ledger.get_checkpoint(GetCheckpointRequest {}).await.unwrap_err().code(), Code::Unavailable);
        world
    });
}

#[test]
fn a_command_goes_through_the_proxy_of_its_environment_and_not_where_there_is_none() {
    run(Engine::Sqlite, |world: World| async move {
        world.hand.set(crate::harness::real_now().plus_seconds(60));
        // This machine, by a name for it that nobody tells from another's: to itself no way leads through a proxy.
        let name = format!("127.1:{}", world.node.address.port());
        let (proxy, let_through) = proxy_to(world.node.address, name.clone(), "").await;
        let mut context = world.workspace.context("ico", "aud", &["auditor"], &[], "one", world.node.address);
        context.server = name;
        let file = world.workspace.write_context("elsewhere", &context).unwrap();
        let (open, closed) = (format!("http://{proxy}"), format!("http://{}", free()));
        let nothing: &[(&str, &str)] = &[];
        let cases = [
            (nothing, 0, 0),
            (&[("HTTPS_PROXY", open.as_str())], 0, 1),
            (&[("https_proxy", &open), ("NO_PROXY", "other.example")], 0, 1),
            (&[("HTTPS_PROXY", &closed), ("NO_PROXY", "other.example, 127.1")], 0, 0),
            // Nor is a proxy that does not answer passed by.
            (&[("HTTPS_PROXY", &closed)], 3, 0),
        ];
        for (said, code, times) in cases {
            let mut command = command();
            for name in ["HTTPS_PROXY", "NO_PROXY"] {
                command.env_remove(name).env_remove(name.to_lowercase());
            }
            command.envs(said.iter().copied()).args(["ledger", "get-checkpoint", "--context", text(&file)]);
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert_eq!(exit(&output), code, "{said:?}: {output:?}");
            assert_eq!(let_through.swap(0, Ordering::SeqCst), times, "{said:?}");
        }
        world
    });
}

#[test]
fn a_balancer_that_is_listed_says_whom_it_carries_and_nobody_else_comes_from_there() {
    run(Engine::Sqlite, |world: World| async move {
        let listed = |config: &mut Config| config.node.proxy_sources = vec!["127.0.0.0/8".to_owned()];
        let world = world.stop().await.start_with(listed).await;
        let mut said = Vec::new();
        for before in ["PROXY TCP4 192.0.2.7 192.0.2.8 4711 8443\r\n", ""] {
            let (proxy, _) = proxy_to(world.node.address, world.node.address.to_string(), before).await;
            let mut context = world.workspace.context("ico", "aud", &["auditor"], &[], "one", world.node.address);
            context.proxy = Some(format!("http://{proxy}"));
            let officer = context.officer(world.workspace.folder(), world.clock.clone()).unwrap();
            said.push(LedgerServiceClient::new(officer).get_checkpoint(GetCheckpointRequest {}).await.is_ok());
        }
        assert_eq!(said, [true, false]);
        world.stop().await.start_with(|config| config.node.proxy_sources.clear()).await
    });
}
