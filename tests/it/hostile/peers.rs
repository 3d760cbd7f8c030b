//! A system that was admitted and means no good, frame by frame, against the program itself; and beside each attack a
//! neighbour, who must not notice.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use concordat::client::{Context, OfficerChannel};
use concordat::clock::Clock;
use concordat::config::Config;
use concordat::proto::v1::ListAgreementsRequest;
use concordat::proto::v1::agreement_service_client::AgreementServiceClient;
use concordat::tls::{Credentials, certificates_from_file, client_config};
use http::Request;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::frames::{self, opened, stream};
use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, PING, Way, call_of, frame, window};
use crate::harness::{Engine, PURPOSES, World, real_now, run};
use crate::program::Program;

/// How much more memory than after warming up the node may use at its height during each attack, in KiB.
const MORE_MEMORY: u64 = 80 * 1024;

/// How much of requests one agency may have under way (`Limits::request_bytes_per_agency`), in KiB.
const OF_REQUESTS: u64 = 64 * 1024;

/// The node under attack, and how its neighbours do.
pub(super) struct Stage {
    pub(super) way: Way,
    pub(super) officer: OfficerChannel,
    pid: u32,
}

/// What the two connect with.
pub(super) struct Plan {
    folder: PathBuf,
    neighbour: Context,
    attacker: Arc<ClientConfig>,
}

impl Plan {
    pub(super) fn of(world: &World) -> Self {
        let folder = world.workspace.folder().to_owned();
        let neighbour =
            world.workspace.context("ncsc", "neighbour", &["requester"], &PURPOSES, "one", world.node.address);
        let issued = world.workspace.authority("ico").unwrap().issue_client("attacker", real_now()).unwrap();
        let roots = certificates_from_file(&folder.join(&neighbour.roots_file)).unwrap();
        let credentials = Credentials::from_pem(&issued.chain_pem, &issued.key_pem).unwrap();
        Self { attacker: client_config(roots, Some(credentials)).unwrap(), folder, neighbour }
    }

    pub(super) fn against(&self, program: &Program) -> Stage {
        let context = Context { server: program.address.to_string(), ..self.neighbour.clone() };
        let way = Way { node: program.address, config: Arc::clone(&self.attacker) };
        Stage { way, officer: context.officer(&self.folder, Clock::system()).unwrap(), pid: program.pid() }
    }
}

/// A neighbour's calls, one after the other until it is told to stop: how many, and the longest.
async fn neighbour(officer: OfficerChannel, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) -> Duration {
    let mut longest = Duration::ZERO;
    let mut agreements = AgreementServiceClient::new(officer);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        agreements.list_agreements(ListAgreementsRequest::default()).await.expect("a neighbour's call");
        longest = longest.max(began.elapsed());
        calls.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
    }
    longest
}

/// In KiB: now, and at its height since that was last forgotten.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// From now on the height is counted anew.
fn forget_height(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Answers that are asked for and never taken: for lack of a window, after its first byte, and by an ear that is shut.
async fn untaken(way: &Way) {
    let ask = |number: usize| [opened(number, 0), frame(DATA, END_STREAM, stream(number), &[0; 5])].concat();
    let window_of = |bytes: u32| [(4, bytes)];
    for bytes in [0, 1] {
        let mut line = way.open(&window_of(bytes)).await;
        line.flood(100, ask).await;
        // In the meantime it shows that it is alive, and takes other answers.
        let heard = line.ended().await;
        assert!(heard.frames[usize::from(HEADERS)] >= 100, "{bytes}: {heard:?}");
    }
    let mut line = way.deaf(&[(4, 0x7fff_ffff)]).await;
    line.send(&window(0, 0x7fff_0000)).await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let symbol = "concordat.v1.ReleaseService";
    let mut message = vec![0x22, u8::try_from(symbol.len()).unwrap()];
    message.extend(symbol.as_bytes());
    let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    body.extend(message);
    // More than the kernel keeps for it: 16 KiB for each of a thousand questions.
    let body = body.repeat(5);
    line.flood(200, |number| {
        let headers = frame(HEADERS, END_HEADERS, stream(number), &call_of(path));
        [headers, frame(DATA, 0, stream(number), &body)].concat()
    })
    .await;
    let began = Instant::now();
    while line.send(&frame(PING, 0, 0, &[1; 8])).await {
        assert!(began.elapsed() < Duration::from_secs(20), "it is never cut");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Those who say nothing, or not all of it.
async fn silent(way: &Way) {
    let mut hello = way.socket([127, 0, 0, 2]).await.unwrap();
    hello.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
    let mut nothing = way.socket([127, 0, 0, 2]).await.unwrap();
    let mut after_tls = way.silent().await;
    after_tls.listen();
    let mut after_settings = way.open(&[]).await;
    // A request without its end: its deadline passes, and the connection stays.
    let mut unfinished = way.open(&[]).await;
    unfinished.send(&opened(0, 0)).await;
    unfinished.until(|heard| heard.frames[usize::from(HEADERS)] > 0).await;
    assert!(!unfinished.heard.borrow().closed);
    for socket in [&mut hello, &mut nothing] {
        let read = timeout(Duration::from_secs(20), socket.read(&mut [0; 64])).await.unwrap();
        drop(read);
    }
    after_tls.ended().await;
    after_settings.ended().await;
}

/// Messages that are no gRPC, by a client that is otherwise well behaved: each is answered, and the connection stays.
async fn messages(way: &Way) {
    let line = way.socket([127, 0, 0, 2]).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::clone(&way.config)).connect(name, line).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let framed = |flag: u8, length: u32, body: &[u8]| [&[flag], length.to_be_bytes().as_slice(), body].concat();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("a message cut short", framed(0, 100, b"short")),
        ("compressed, of which nobody spoke", framed(1, 5, b"\x1f\x8b\x08\x00\x00")),
        ("a flag that is none", framed(7, 0, b"")),
        ("longer than is allowed", framed(0, 0x00ff_ffff, b"x")),
        ("as long as can be said", framed(0, u32::MAX, b"x")),
        ("two messages", [framed(0, 0, b""), framed(0, 0, b"")].concat()),
        ("bytes that are no message", framed(0, 4, &[0xff; 4])),
        ("groups within groups", framed(0, 400, &[0x0b; 400])),
    ];
    for (what, body) in rows {
        let path = "http://localhost/concordat.v1.AgreementService/ListAgreements";
        let request = Request::post(path).header("content-type", "application/grpc").body(()).unwrap();
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, mut sending) = sender.send_request(request, false).unwrap();
        sending.send_data(Bytes::from(body), true).unwrap();
        let mut response = timeout(Duration::from_secs(10), answer).await.unwrap().unwrap();
        let mut status = response.headers().get("grpc-status").cloned();
        if status.is_none() {
            let body = response.body_mut();
            while body.data().await.is_some() {}
            status = body.trailers().await.unwrap().and_then(|trailers| trailers.get("grpc-status").cloned());
        }
        let status = status.map(|status| status.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(!["", "0"].contains(&&*status), "{what}: grpc-status {status:?}");
    }
    for (path, kind) in [("/nothing/here", "application/grpc"), ("/", "text/plain")] {
        let request = Request::post(format!("http://localhost{path}")).header("content-type", kind).body(()).unwrap();
        let mut sender = sender.clone().ready().await.unwrap();
        let answer = sender.send_request(request, true).unwrap().0.await.unwrap();
        assert!(answer.headers().contains_key("grpc-status") || answer.status().is_client_error(), "{answer:?}");
    }
}

/// Hundreds of half-open handshakes from one address: whoever comes from another still gets in at once.
async fn half_open(stage: &Stage) {
    let mut held = Vec::new();
    for _ in 0..600 {
        if let Ok(mut socket) = stage.way.socket([127, 0, 0, 3]).await {
            drop(socket.write_all(&[22, 3, 1]).await);
            held.push(socket);
        }
    }
    let began = Instant::now();
    let mut line = stage.way.open(&[]).await;
    line.send(&[opened(0, 0), frame(DATA, END_STREAM, 1, &[0; 5])].concat()).await;
    line.until(|heard| heard.frames[usize::from(HEADERS)] > 0).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// Runs an attack while two neighbours call, and says how they did. Of memory the node may use so much meanwhile, in KiB.
async fn beside<F: Future<Output = ()>>(stage: &Stage, what: &str, most: u64, attack: F) {
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    forget_height(stage.pid);
    let neighbours =
        [(); 2].map(|()| tokio::spawn(neighbour(stage.officer.clone(), Arc::clone(&stop), Arc::clone(&calls))));
    let began = Instant::now();
    attack.await;
    let took = began.elapsed();
    // An attack that is over at once has not been beside anybody yet.
    while calls.load(Ordering::Relaxed) < 4 && !neighbours.iter().any(JoinHandle::is_finished) {
        sleep(Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    for neighbour in neighbours {
        longest = longest.max(neighbour.await.expect("the neighbours did not notice"));
    }
    let (calls, (now, height)) = (calls.load(Ordering::Relaxed), memory(stage.pid));
    println!("{what}: {took:?}; {calls} calls beside it, the longest {longest:?}; {now} KiB, {height} at the height");
    assert!(longest < Duration::from_secs(5), "{what}: {calls} calls, the longest {longest:?}");
    assert!(height < most, "{what}: {height} KiB at the height, at most {most}");
}

/// Requests of half a megabyte that never end, as many as one connection can carry: the node takes so many bytes.
async fn large(way: &Way) {
    let line = way.socket([127, 0, 0, 2]).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::clone(&way.config)).connect(name, line).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut uploads = JoinSet::new();
    for _ in 0..200 {
        let request = Request::post("http://localhost/concordat.v1.OrganisationService/RegisterOrganisation");
        let request = request.header("content-type", "application/grpc").header("grpc-timeout", "6S").body(()).unwrap();
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, mut sending) = sender.send_request(request, false).unwrap();
        uploads.spawn(async move {
            let upload = async {
                let mut left = Bytes::from([&[0, 0, 7, 0xff, 0xff], vec![0; 500 * 1024].as_slice()].concat());
                while !left.is_empty() {
                    sending.reserve_capacity(left.len().min(16 * 1024));
                    let Some(Ok(room)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else { return };
                    if sending.send_data(left.split_to(room.min(left.len())), false).is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let answered = async {
                answer.await.ok().and_then(|a| a.headers().get("grpc-status").map(|s| s.to_str().unwrap().to_owned()))
            };
            tokio::select! { biased; status = answered => status, () = upload => None }
        });
    }
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(status) = uploads.join_next().await {
        *statuses.entry(status.unwrap().unwrap_or_default()).or_default() += 1;
    }
    assert!(statuses.contains_key("8"), "RESOURCE_EXHAUSTED beyond the room: {statuses:?}");
    assert!(statuses.contains_key("4"), "DEADLINE_EXCEEDED for those that had room: {statuses:?}");
}

#[test]
fn whatever_one_peer_does_another_is_served_and_memory_is_bounded() {
    run(Engine::Sqlite, |world: World| async move {
        let file = world.workspace.folder().join("node-one/node.toml");
        let plan = Plan::of(&world);
        let stopped = world.stop().await;
        let mut config = Config::load(&file).unwrap();
        let limits = &mut config.limits;
        (limits.handshake_seconds, limits.first_request_seconds, limits.untaken_seconds) = (2, 2, 1);
        (limits.usual_deadline_seconds, limits.longest_deadline_seconds) = (2, 10);
        config.events.heartbeat_seconds = 1;
        config.write(&file).unwrap();
        let program = Program::start(&file);
        let stage = plan.against(&program);
        let way = &stage.way;
        beside(&stage, "warming up", u64::MAX, sleep(Duration::from_millis(300))).await;
        let (warm, _) = memory(program.pid());
        let most = warm + MORE_MEMORY;
        for row in frames::rows() {
            beside(&stage, row.0, most, frames::meet(way, row)).await;
        }
        beside(&stage, "messages", most, messages(way)).await;
        beside(&stage, "silent, and untaken", most, async {
            tokio::join!(silent(way), untaken(way));
        })
        .await;
        beside(&stage, "half-open handshakes", most, half_open(&stage)).await;
        beside(&stage, "large requests", most + OF_REQUESTS, large(way)).await;
        let row = frames::announced();
        beside(&stage, row.0, most + OF_REQUESTS, frames::meet(way, row)).await;
        let log = program.kill();
        for reason in [
            "it sends frames upon frames that ask for nothing",
            "it takes none of an answer that waits for it",
            "it reads nothing of what is sent",
            "others wait, and no source has more handshakes than its own",
        ] {
            assert!(log.contains(reason), "not in the log: {reason}");
        }
        assert!(!log.contains("panicked"), "{log}");
        stopped.start().await
    });
}
