//! Events as a stream: each once on the way of the cursors, and nothing to whom may not be told.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use concordat::client::Context;
use concordat::clock::Clock;
use concordat::dev;
use concordat::proto::v1;
use concordat::proto::v1::event_service_client::EventServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::builders::{assert_error, assert_invalid};
use crate::harness::{PURPOSES, World, on_both_databases, request_id};
use crate::program::{BUILT, Program, START_WITHIN};

const WITHIN: Duration = Duration::from_secs(20);
const DAY: i64 = 86_400;

type Stream = Streaming<v1::WatchEventsResponse>;

async fn next(stream: &mut Stream) -> Result<Option<v1::WatchEventsResponse>, Status> {
    timeout(WITHIN, stream.message()).await.expect("a message in time")
}

/// The next message that has events; heartbeats are passed by.
async fn told(stream: &mut Stream) -> v1::WatchEventsResponse {
    loop {
        let message = next(stream).await.unwrap().expect("the stream goes on");
        if !message.events.is_empty() {
            return message;
        }
    }
}

fn kinds(events: &[v1::Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

on_both_databases! {
    async fn a_stream_tells_of_what_is_there_of_what_comes_and_that_it_is_there(world: World) {
        world = world.stop().await.start_with(|config| config.events.heartbeat_seconds = 1).await;
        let held = world.hold("ncsc", "ico").await;
        let (_, begun) = world.since("ncsc", "").await;
        world.put(&held, world.ask(&held)).await.unwrap();
        let mut stream = world.watch("ncsc", &begun).await.unwrap();
        let first = next(&mut stream).await.unwrap().unwrap();
        assert_eq!(kinds(&first.events), ["request-to-look-at"]);
        assert_eq!(first.events, world.events("ncsc").await, "the same as the list");
        let beat = next(&mut stream).await.unwrap().unwrap();
        assert_eq!(beat.events, []);
        assert!(!beat.cursor.is_empty() && beat.cursor != first.cursor);
        world.put(&held, world.ask(&held)).await.unwrap();
        let second = told(&mut stream).await;
        assert_eq!((kinds(&second.events), second.events.len()), (vec!["request-to-look-at"], 1));
        let mut all = first.events.clone();
        all.extend(second.events.clone());
        let by_id = |mut events: Vec<v1::Event>| {
            events.sort_by(|one, other| one.id.cmp(&other.id));
            events
        };
        assert_eq!(by_id(all.clone()), by_id(world.events("ncsc").await), "both came due in one microsecond");

        // From any cursor on comes what comes after it, and what was acknowledged does not come again.
        assert_eq!(world.since("ncsc", &first.cursor).await.0, second.events);
        assert_eq!(world.since("ncsc", &beat.cursor).await.0, second.events);
        world.acknowledge("ncsc", vec![all[0].id.clone()]).await.unwrap();
        assert_eq!(world.since("ncsc", &begun).await.0, second.events);
        let list = v1::ListEventsRequest { page_size: 0, cursor: begun.clone() };
        let listed = world.event_desk("ncsc").list_events(list).await.unwrap().into_inner();
        assert_eq!(listed.events, second.events, "the list has the same cursors");
        // The cursor is the agency's own.
        assert_invalid(world.watch("ico", &begun).await, "cursor");
        assert_invalid(world.watch("ncsc", "nonsense").await, "cursor");
    }

    /// The order in which events are due is not the one in which they become visible.
    async fn what_becomes_visible_late_is_not_passed_by_and_a_clock_set_back_brings_nothing_twice(world: World) {
        let (_, begun) = world.since("ico", "").await;
        world.later(3_600);
        let (none, later) = world.since("ico", &begun).await;
        assert_eq!(none, []);
        // It should have been done three days ago: its event is due long before the cursor's time.
        let organisation = world.register_organisation("ico", vec![]).await;
        let received_at = world.in_seconds(-3 * DAY);
        let notification = v1::Notification { kind: "nis-rdsp".into(), received_at, ..v1::Notification::default() };
        let notified =
            v1::RegisterIncidentRequest { notification: Some(notification), ..world.incident_at(&organisation) };
        world.incidents("ico").register_incident(notified).await.unwrap();
        let (late, after) = world.since("ico", &later).await;
        assert_eq!(kinds(&late), ["duty-overdue"]);
        assert_eq!(world.since("ico", &after).await.0, [], "and once");

        // The clock goes back by a second and comes to the same time again.
        let held = world.hold("ico", "ncsc").await;
        world.authorise_as(&held, v1::GiveAuthorisationRequest {
            valid_until: world.in_seconds(200),
            ..world.authorisation(&held)
        }).await;
        world.later(100);
        let (ends, due) = world.since("ico", &after).await;
        assert_eq!(kinds(&ends), ["authorisation-ends"]);
        world.later(-1);
        assert_eq!(world.since("ico", &due).await.0, []);
        world.later(1);
        let (again, due) = world.since("ico", &due).await;
        assert_eq!(again, []);
        world.later(5);
        assert_eq!(world.since("ico", &due).await.0, []);
    }

    async fn a_stream_ends_with_what_lets_its_caller_call(world: World) {
        let held = world.hold("ncsc", "ico").await;
        let (_, begun) = world.since("ncsc", "").await;
        // The token expires, with the clock.
        let mut stream = world.watch("ncsc", &begun).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().unwrap().events, []);
        world.later(700);
        world.put(&held, world.ask(&held)).await.unwrap();
        assert_error(next(&mut stream).await, Code::Unauthenticated, "UNAUTHENTICATED");

        // The connection is cut, as for a certificate that was revoked; the other agency's goes on.
        let mut cut = world.watch("ncsc", &begun).await.unwrap();
        let mut other = world.watch("ico", "").await.unwrap();
        let before = told(&mut cut).await;
        next(&mut other).await.unwrap().unwrap();
        assert!(world.node.connections.end(|peer, _| peer.agency().as_str() == "ncsc") > 0);
        world.put(&held, world.ask(&held)).await.unwrap();
        assert!(next(&mut cut).await.is_err());
        assert_eq!(world.since("ncsc", &before.cursor).await.0.len(), 1, "it is there for whoever may be told");

        // The node stops: the stream ends well before that, and its cursor is good on the next one.
        let mut last = world.watch("ncsc", &before.cursor).await.unwrap();
        let cursor = told(&mut last).await.cursor;
        let stopping = tokio::spawn(world.stop());
        assert_eq!(next(&mut last).await.unwrap(), None);
        while next(&mut other).await.unwrap().is_some() {}
        world = timeout(WITHIN, stopping).await.expect("it stops").unwrap().start().await;
        assert_eq!(world.since("ncsc", &cursor).await.0, []);
        world.put(&held, world.ask(&held)).await.unwrap();
        assert_eq!(world.since("ncsc", &cursor).await.0.len(), 1);
    }

    async fn an_agency_has_so_many_streams_and_no_more(world: World) {
        world = world.stop().await.start_with(|config| config.events.streams_per_agency = 2).await;
        let one = world.watch("ico", "").await.unwrap();
        let _two = world.watch("ico", "").await.unwrap();
        assert_error(world.watch("ico", "").await, Code::ResourceExhausted, "TOO_MANY_STREAMS");
        world.watch("ncsc", "").await.unwrap();
        drop(one);
        let again = async { while world.watch("ico", "").await.is_err() {} };
        timeout(WITHIN, again).await.expect("a place is free once a stream is gone");
    }
}

/// What is needed to call the program that serves at one address, whenever it does.
struct Scene {
    folder: std::path::PathBuf,
    config: std::path::PathBuf,
    requester: Context,
    ask: v1::RequestReleaseRequest,
}

impl Scene {
    fn channel(&self) -> concordat::client::OfficerChannel {
        self.requester.officer(&self.folder, Clock::system()).unwrap()
    }

    /// Asks until so many were released, each as its own; gives the indexes of their entries.
    async fn release(&self, count: usize) -> BTreeSet<u64> {
        let mut releases = ReleaseServiceClient::new(self.channel());
        let mut indexes = BTreeSet::new();
        for _ in 0..count {
            let ask = v1::RequestReleaseRequest { request_id: request_id(), ..self.ask.clone() };
            indexes.insert(releases.request_release(ask).await.unwrap().into_inner().receipt.unwrap().index);
        }
        indexes
    }

    async fn watch(&self, cursor: &str) -> Result<Stream, Status> {
        let request = v1::WatchEventsRequest { cursor: cursor.into() };
        Ok(EventServiceClient::new(self.channel()).watch_events(request).await?.into_inner())
    }

    /// Follows the stream until it has told of so many releases or breaks; a cursor is kept with what it covers.
    async fn follow(&self, cursor: &mut String, seen: &mut Vec<u64>, until: usize) {
        let Ok(mut stream) = self.watch(cursor).await else { return };
        while seen.len() < until
            && let Ok(Some(message)) = timeout(START_WITHIN, stream.message()).await.expect("a message in time")
        {
            seen.extend(message.events.iter().filter(|one| one.kind == "release-received").map(|one| one.entry_index));
            *cursor = message.cursor;
        }
    }

    /// The command, following in a process of its own, and the lines that it prints.
    fn command(&self) -> (Child, std::sync::mpsc::Receiver<serde_json::Value>) {
        let mut child = Command::new(BUILT)
            .args(["event", "watch", "--context"])
            .arg(self.folder.join("watcher.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                drop(said.send(serde_json::from_str(&line).expect("a JSON line for each event")));
            }
        });
        (child, heard)
    }
}

/// The entries of so many releases that the command tells of, with those of which it told before.
fn printed(heard: &std::sync::mpsc::Receiver<serde_json::Value>, before: BTreeSet<u64>, count: usize) -> BTreeSet<u64> {
    let mut indexes = before;
    while indexes.len() < count {
        let event = heard.recv_timeout(START_WITHIN).expect("an event in time");
        if event["kind"] == "release-received" {
            indexes.insert(event["entry_index"].as_str().unwrap().parse().unwrap());
        }
    }
    indexes
}

impl World {
    /// Something that the real program, which lives a hundred days later, releases as often as it is asked, at one address.
    async fn streamed(&self) -> Scene {
        let held = self.hold("ncsc", "ico").await;
        self.give_consent(&held, self.scope(&held)).await;
        let given =
            v1::GiveAuthorisationRequest { valid_until: self.in_seconds(300 * DAY), ..self.authorisation(&held) };
        self.authorisations("ncsc").give_authorisation(given).await.unwrap();
        let folder = self.workspace.folder().to_owned();
        let port = TcpListener::bind(dev::loopback(0)).unwrap().local_addr().unwrap().port();
        let config = folder.join("node-one/streamed.toml");
        let mut section = self.config.clone();
        section.node.listen = dev::loopback(port);
        section.write(&config).unwrap();
        let requester = self.workspace.context("ico", "req", &["requester"], &PURPOSES, "one", dev::loopback(port));
        self.workspace.write_context("watcher", &requester).unwrap();
        Scene { config, requester, ask: self.ask(&held), folder }
    }
}

on_both_databases! {
    async fn nothing_is_lost_when_the_node_or_who_watches_is_killed(world: World) {
        let scene = world.streamed().await;
        let stopped = world.stop().await;
        let mut program = Program::start(&scene.config);
        let (mut child, mut heard) = scene.command();
        let (mut cursor, mut seen, mut all, mut told) = (String::new(), Vec::new(), BTreeSet::new(), BTreeSet::new());
        for kill in 1..=3_usize {
            let (released, ()) = tokio::join!(scene.release(4), scene.follow(&mut cursor, &mut seen, kill * 4 - 2));
            all.extend(released);
            // It watches: what never worked is not tried again.
            told = printed(&heard, told, 1);
            program.kill();
            program = Program::start(&scene.config);
        }
        scene.follow(&mut cursor, &mut seen, all.len()).await;
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), all, "each release was told of");
        assert_eq!(seen.len(), all.len(), "and once, on the way of the cursors");
        // The command found its way back to each program by itself.
        assert_eq!(printed(&heard, told, all.len()), all);
        child.kill().unwrap();
        child.wait().unwrap();
        all.extend(scene.release(1).await);
        (child, heard) = scene.command();
        assert_eq!(printed(&heard, BTreeSet::new(), all.len()), all, "who lost the cursor gets everything again");
        child.kill().unwrap();
        child.wait().unwrap();
        drop(program);
        world = stopped.start().await;
    }
}
