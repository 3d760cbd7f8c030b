//! `concordat import`, the real program against a real node: what is registered, what is rejected and why, and that a
//! second run, a colleague's run and a run that was cut off change nothing that they should not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use concordat::domain::Organisation;
use concordat::proto::v1;
use concordat::veris;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{Engine, World, on_both_databases, run};

/// Where the real incidents are, if they are there.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/veris-incidents.ndjson.xz");

/// An import that has not gone on after this long never will.
const WITHIN: Duration = Duration::from_secs(60);

/// What a run printed and how it ended.
struct Ran {
    exit: i32,
    summary: Value,
    rejects: Vec<Value>,
    said: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let rejects = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let summary = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self { exit: output.status.code().unwrap(), summary, rejects, said }
    }

    fn incidents(&self, what: &str) -> u64 {
        self.summary["incidents"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {} {}", self.summary, self.said))
    }

    fn records(&self, what: &str) -> u64 {
        self.summary["records"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {} {}", self.summary, self.said))
    }

    /// Each reject's place, reason and key, in the order of places.
    fn reasons(&self, place: &str) -> Vec<(u64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut all: Vec<_> =
            self.rejects.iter().map(|r| (r[place].as_u64().unwrap(), text(&r["reason"]), text(&r["key"]))).collect();
        all.sort();
        all
    }
}

fn program(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
    command.arg("import").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An import from stdin that is under way.
struct Running(Child);

impl Running {
    fn start(arguments: &[String]) -> Self {
        Self(program(arguments).stdin(Stdio::piped()).spawn().unwrap())
    }

    fn feed(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
}

impl Running {
    /// Waits for its end.
    fn end(mut self) -> Ran {
        let status = self.0.wait().unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Ran::of(&Output { status, stdout, stderr })
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Passes bytes on to a node, and can break every connection that it has.
struct Relay {
    address: SocketAddr,
    cut: watch::Sender<()>,
}

impl Relay {
    async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind(concordat::dev::loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, _) = watch::channel(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut broken = cuts.subscribe();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = broken.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl World {
    /// The context of an officer of the NCSC. The program's tokens are made by the machine's clock, so from here on the
    /// node's goes with it, a little ahead: a token must not be from its future.
    fn importer(&self, officer: &str, roles: &[&str]) -> PathBuf {
        let hand = self.hand.clone();
        let set = move || hand.set(crate::harness::real_now().plus_seconds(2));
        set();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                set();
            }
        });
        let context = self.workspace.context("ncsc", officer, roles, &[], "one", self.node.address);
        self.workspace.write_context(&format!("ncsc-{officer}"), &context).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.workspace.folder().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Runs the program to its end.
    async fn import(&self, format: &str, file: &Path, context: &Path, more: &[&str]) -> Ran {
        let arguments = arguments(format, file, context, more);
        let output = tokio::task::spawn_blocking(move || program(&arguments).output().unwrap()).await.unwrap();
        Ran::of(&output)
    }

    /// The NCSC's organisations by id.
    async fn held_organisations(&self) -> BTreeMap<String, v1::Organisation> {
        let (mut all, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let request = v1::ListOrganisationsRequest { page_size: 200, page_token };
            let page = self.organisations("ncsc").list_organisations(request).await.unwrap().into_inner();
            all.extend(page.organisations.into_iter().map(|organisation| (organisation.id.clone(), organisation)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// The NCSC's incidents, without content.
    async fn held_incidents(&self) -> Vec<v1::Incident> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListIncidentsRequest { page_size: 200, page_token, ..Default::default() };
            let page = self.incidents("ncsc").list_incidents(request).await.unwrap().into_inner();
            all.extend(page.incidents);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// The NCSC's incidents with their content, by the names of their organisations.
    async fn held_by_name(&self) -> BTreeMap<String, Vec<v1::Incident>> {
        let organisations = self.held_organisations().await;
        let mut all: BTreeMap<String, Vec<v1::Incident>> = BTreeMap::new();
        for incident in self.held_incidents().await {
            let request = v1::GetIncidentRequest { incident_id: incident.id };
            let whole = self.incidents("ncsc").get_incident(request).await.unwrap().into_inner().incident.unwrap();
            all.entry(organisations[&whole.organisation_id].name.clone()).or_default().push(whole);
        }
        all
    }

    /// Waits until the ledger has this many entries.
    async fn grown_to(&self, size: u64) {
        let grown = async {
            while self.size().await < size {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WITHIN, grown).await.expect("the import goes on");
    }
}

fn arguments(format: &str, file: &Path, context: &Path, more: &[&str]) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut all = vec!["--format".to_owned(), format.to_owned(), text(file), "--context".to_owned(), text(context)];
    all.extend(more.iter().map(|argument| (*argument).to_owned()));
    all
}

/// A record of one victim.
fn veris(key: &str, victim: &str) -> Value {
    json!({
        "file": key,
        "victim": { "victim_id": victim, "country": ["GB"] },
        "timeline": { "incident": { "year": 2016, "month": 5 } },
        "action": { "malware": { "variety": ["Ransomware"], "vector": ["Email"] } },
    })
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn rejected(place: u64, reason: &str, key: &str) -> (u64, String, String) {
    (place, reason.to_owned(), key.to_owned())
}

on_both_databases! {
    async fn what_can_be_imported_is_and_the_rest_says_why_however_often_it_is_run(world: World) {
        let context = world.importer("imp", &["recorder"]);
        let before = world.size().await;
        let mut several = veris("d", "Tarn Council");
        several["victim"]["secondary"] = json!({ "amount": 9, "victim_id": ["Brack Clinics;62111", "Fell, Gill"] });
        several["action"]["malware"]["vector"] = json!(["Email", "by way of BRACK clinics"]);
        several["attribute"] = json!({ "confidentiality": { "data": [{ "variety": "Medical" }], "data_total": 12400 } });
        let records = [
            veris("a", "Northwold Water"),
            veris("b", "Unknown"),
            veris("c", " northwold  WATER"),
            veris("a", "Northwold Water"),
            veris("a", "Someone Else"),
            several,
        ];
        let text = lines(&records).replacen('\n', "\n\n{\"file\": broken\n", 1);
        let file = world.file("incidents.ndjson", &text);

        let ran = world.import("veris", &file, &context, &[]).await;
        assert_eq!(ran.exit, 1, "{}", ran.said);
        let expected = [
            rejected(3, "not-json", ""),
            rejected(4, "unknown-victim", "b"),
            rejected(7, "duplicate-key", "a"),
            rejected(8, "several-victims", "d"),
        ];
        assert_eq!(ran.reasons("line"), expected);
        assert_eq!((ran.incidents("registered"), ran.incidents("already_there"), ran.incidents("rejected")), (4, 1, 4));
        let of_records = ["read", "imported", "in_part", "rejected"].map(|what| ran.records(what));
        assert_eq!(of_records, [7, 3, 1, 3]);
        let size = world.size().await;
        assert_eq!(size - before, 3 + 4, "three organisations, four incidents");

        let held = world.held_by_name().await;
        assert_eq!(held.keys().collect::<Vec<_>>(), ["Brack Clinics", "Northwold Water", "Tarn Council"]);
        assert_eq!(held["Northwold Water"].len(), 2);
        let (council, clinics) = (&held["Tarn Council"][0], &held["Brack Clinics"][0]);
        assert!(!council.campaign.is_empty() && council.campaign == clinics.campaign);
        let content = council.content.as_ref().unwrap();
        assert_eq!(content.root_cause.as_ref().unwrap().vectors, ["Email"], "another victim is not named");
        assert_eq!(content.impact.as_ref().unwrap().people_affected, Some(12_400));
        assert!(clinics.content.as_ref().unwrap().impact.is_none());

        let again = world.import("veris", &file, &context, &[]).await;
        assert_eq!((again.exit, again.incidents("registered"), again.incidents("already_there")), (1, 0, 5));
        assert_eq!(again.rejects.len(), 4);
        // The same records, laid out otherwise.
        let array = world.file("incidents.json", &serde_json::to_string_pretty(&records).unwrap());
        let again = world.import("veris", &array, &context, &[]).await;
        assert_eq!((again.incidents("registered"), again.incidents("already_there")), (0, 5));
        let expected =
            [rejected(2, "unknown-victim", "b"), rejected(5, "duplicate-key", "a"), rejected(6, "several-victims", "d")];
        assert_eq!(again.reasons("element"), expected);
        assert_eq!(world.size().await, size, "nothing was written");
    }

    async fn a_run_that_was_cut_off_is_run_again(world: World) {
        let context = world.importer("imp", &["recorder"]);
        let records: Vec<Value> = (0..120).map(|i| veris(&format!("k-{i}"), &format!("Parish {}", i % 50))).collect();
        let file = world.file("incidents.ndjson", &lines(&records));
        let before = world.size().await;

        let mut killed = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        killed.feed(&lines(&records[..70]));
        world.grown_to(before + 40).await;
        drop(killed);
        let mut interrupted = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        interrupted.feed(&lines(&records[..90]));
        // All of these, so that nothing is under way when it is interrupted: it stands and waits for more.
        world.grown_to(before + 90 + 50).await;
        let pid = interrupted.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        // Still open: it must not wait for the file's end.
        let stdin = interrupted.0.stdin.take();
        let ended = tokio::task::spawn_blocking(move || interrupted.end()).await.unwrap();
        drop(stdin);
        assert_eq!(ended.exit, 3, "{}", ended.said);
        assert_eq!(ended.summary["finished"], false);
        assert!(ended.said.contains("Run the same command again"), "{}", ended.said);

        let ran = world.import("veris", &file, &context, &[]).await;
        assert_eq!((ran.exit, ran.records("imported")), (0, 120), "{}", ran.said);
        assert_eq!((ran.incidents("registered"), ran.incidents("already_there")), (30, 90));
        assert_eq!(world.size().await, before + 120 + 50, "one entry each, as if it had never been cut off");
        assert_eq!((world.held_incidents().await.len(), world.held_organisations().await.len()), (120, 50));
    }

    async fn a_connection_that_breaks_is_made_again(world: World) {
        world.importer("imp", &["recorder"]);
        let relay = Relay::start(world.node.address).await;
        let context = world.workspace.context("ncsc", "imp", &["recorder"], &[], "one", relay.address);
        let context = world.workspace.write_context("ncsc-relayed", &context).unwrap();
        let records: Vec<Value> = (0..60).map(|i| veris(&format!("k-{i}"), &format!("Parish {i}"))).collect();
        let before = world.size().await;
        let mut running = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        running.feed(&lines(&records[..30]));
        world.grown_to(before + 20).await;
        relay.cut();
        running.feed(&lines(&records[30..]));
        drop(running.0.stdin.take());
        let ran = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
        assert_eq!((ran.exit, ran.incidents("registered")), (0, 60), "{}", ran.said);
        assert_eq!(world.size().await, before + 120, "nothing was done twice");
    }

    async fn a_colleague_adds_to_what_was_imported_and_doubles_nothing(world: World) {
        let first = world.importer("first", &["recorder"]);
        let second = world.importer("second", &["recorder"]);
        let file = world.file("one.ndjson", &lines(&[veris("a", "Northwold Water"), veris("b", "Tarn Council")]));
        assert_eq!(world.import("veris", &file, &first, &[]).await.exit, 0);
        let size = world.size().await;

        let more = [veris("a", "Northwold Water"), veris("c", "TARN council"), veris("d", "Fell")];
        let file = world.file("two.ndjson", &lines(&more));
        let ran = world.import("veris", &file, &second, &[]).await;
        assert_eq!((ran.exit, ran.reasons("line")), (1, vec![rejected(1, "imported-otherwise", "a")]));
        assert!(ran.said.contains("another officer"), "{}", ran.said);
        assert_eq!(ran.incidents("registered"), 2);
        let held = world.held_by_name().await;
        assert_eq!(held.iter().map(|(name, all)| (name.as_str(), all.len())).collect::<Vec<_>>(), [
            ("Fell", 1),
            ("Northwold Water", 1),
            ("Tarn Council", 2),
        ]);
        assert_eq!(world.size().await, size + 3);

        // Nor does the officer who began, with other markings.
        let file = world.file("three.ndjson", &lines(&[veris("b", "Tarn Council")]));
        let ran = world.import("veris", &file, &first, &["--tlp", "red"]).await;
        assert_eq!(ran.reasons("line"), [rejected(1, "imported-otherwise", "b")]);
        assert_eq!(world.size().await, size + 3);
    }

    async fn our_own_form_has_all_that_the_contract_has(world: World) {
        let context = world.importer("imp", &["recorder"]);
        let water = json!({ "name": "Northwold Water", "identifiers": [{ "scheme": "gb-coh", "value": "1234567" }] });
        let record = |key: &str, organisation: &Value| json!({
            "key": key,
            "organisation": organisation,
            "occurred_from": "2024-03-01T00:00:00Z",
            "occurred_until": "2024-03-02T00:00:00Z",
            "content": { "narrative": { "text": "Billing was encrypted." }, "impact": { "people_affected": "12" } },
        });
        let mut marked = record("1", &water);
        marked["markings"] = json!({ "tlp": "red", "classification": "official" });
        marked["notification"] = json!({ "kind": "nis-rdsp", "received_at": "2024-03-03T09:00:00Z" });
        marked["campaign"] = json!("C-7");
        let respelt = json!({ "name": "NWW", "identifiers": [{ "scheme": "gb-coh", "value": " 01234567" }] });
        let mut secret = record("3", &water);
        secret["markings"] = json!({ "classification": "secret" });
        let mut misspelt = record("4", &water);
        misspelt["ocurred"] = json!("2024");
        let mut keyed = record("5", &water);
        keyed["request_id"] = json!("mine-all-mine");
        let mut keyless = record("6", &water);
        keyless.as_object_mut().unwrap().remove("key");
        let wrong = json!({ "name": "Wrong", "identifiers": [{ "scheme": "gb-coh", "value": "X" }] });
        let all = [
            marked, record("2", &respelt), secret, misspelt, keyed, keyless, record("7", &wrong),
            record("8", &json!({ "name": "Northwold Water" })),
        ];
        let file = world.file("cases.json", &Value::from(all.to_vec()).to_string());

        let ran = world.import("jsonl", &file, &context, &["--tlp", "green"]).await;
        let expected = [
            rejected(3, "turned-away", "3"),
            rejected(4, "wrong-field", "4"),
            rejected(5, "wrong-field", "5"),
            rejected(6, "no-key", ""),
            rejected(7, "wrong-field", "7"),
        ];
        assert_eq!(ran.reasons("element"), expected, "{}", ran.said);
        assert!(ran.said.contains("organisation.identifiers[0].value"), "{}", ran.said);
        let organisations = world.held_organisations().await;
        assert_eq!(organisations.len(), 2, "one by its number, and one by a name that may be another's");
        let mut held = world.held_by_name().await.remove("Northwold Water").unwrap();
        held.sort_by_key(|incident| incident.campaign.clone());
        let [by_name_or_respelt, other, full] = held.as_slice() else { panic!("{} incidents", held.len()) };
        for incident in [by_name_or_respelt, other] {
            assert_eq!(incident.markings.as_ref().unwrap().tlp, "green", "the flag's");
        }
        let markings = full.markings.as_ref().unwrap();
        assert_eq!((markings.tlp.as_str(), markings.pap.as_str()), ("red", "amber"), "its own");
        assert_eq!(full.notification.as_ref().unwrap().kind, "nis-rdsp");
        assert_eq!(full.content.as_ref().unwrap().impact.as_ref().unwrap().people_affected, Some(12));

        let size = world.size().await;
        let again = world.import("jsonl", &file, &context, &["--tlp", "green"]).await;
        assert_eq!((again.incidents("registered"), again.incidents("already_there")), (0, 3));
        assert_eq!(world.size().await, size);
    }
}

#[test]
fn what_cannot_go_on_says_so_and_a_dry_run_calls_nobody() {
    run(Engine::Sqlite, |world: World| async move {
        let context = world.importer("imp", &["recorder"]);
        let file = world.file("one.ndjson", &lines(&[veris("a", "Northwold Water"), veris("b", "Unknown")]));
        let size = world.size().await;

        let rejects = world.workspace.folder().join("rejects.ndjson");
        let dry = ["--dry-run", "--rejects", rejects.to_str().unwrap()];
        let ran = world.import("veris", &file, Path::new("no-such-context.toml"), &dry).await;
        assert_eq!((ran.exit, ran.incidents("ready"), ran.rejects.len()), (1, 1, 0), "{}", ran.said);
        let written: Value = serde_json::from_str(&std::fs::read_to_string(&rejects).unwrap()).unwrap();
        assert_eq!((&written["line"], &written["reason"]), (&json!(2), &json!("unknown-victim")));

        let ran = world.import("veris", &file, &world.importer("req", &["requester"]), &[]).await;
        assert_eq!(ran.exit, 3, "{}", ran.said);
        assert!(ran.said.contains("needs one of the roles recorder"), "{}", ran.said);
        let ran = world.import("veris", Path::new("no-such-file"), &context, &[]).await;
        assert_eq!(ran.exit, 3, "{}", ran.said);
        assert_eq!(world.import("veris", &file, &context, &["--tlp", "purple"]).await.exit, 2);
        assert_eq!(world.import("csv", &file, &context, &[]).await.exit, 2);
        assert_eq!(world.size().await, size);

        let stopped = world.stop().await;
        let arguments = arguments("veris", &file, &context, &[]);
        let unreachable = tokio::task::spawn_blocking(move || program(&arguments).output().unwrap()).await.unwrap();
        assert_eq!(unreachable.status.code(), Some(3), "{unreachable:?}");
        stopped.start().await
    });
}

/// The real incidents, or `None` with a word where they are not there.
fn real() -> Option<String> {
    if !Path::new(REAL).is_file() {
        // Not `eprintln!`: the test runner would keep it to itself when the test passes.
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: the import of real incidents, because {REAL} is not there\n");
        return None;
    }
    let unpacked = Command::new("xz").args(["-dc", REAL]).output().expect("xz unpacks the real incidents");
    assert!(unpacked.status.success(), "{unpacked:?}");
    Some(String::from_utf8(unpacked.stdout).unwrap())
}

/// On SQLite only: some five thousand entries.
#[test]
fn every_real_incident_is_imported_or_rejected_for_a_stated_reason() {
    let Some(text) = real() else { return };
    run(Engine::Sqlite, |world: World| async move {
        let context = world.importer("imp", &["recorder"]);
        let file = world.file("real.ndjson", &text);
        let before = world.size().await;
        let ran = world.import("veris", &file, &context, &[]).await;
        println!("{}", ran.summary);
        let [read, imported, in_part, rejected] =
            ["read", "imported", "in_part", "rejected"].map(|what| ran.records(what));
        assert_eq!((ran.exit, read), (1, text.lines().count() as u64), "{}", ran.said);
        assert_eq!(imported + in_part + rejected, read);
        let reasons = ran.summary["rejected_by_reason"].as_object().unwrap();
        let known = ["no-such-date", "no-victim", "several-victims", "unknown-victim"];
        assert!(reasons.keys().all(|reason| known.contains(&reason.as_str())), "{reasons:?}");
        let counted: u64 = reasons.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((ran.incidents("rejected"), ran.rejects.len() as u64), (counted, counted));
        assert_eq!(ran.incidents("already_there"), 0);

        let (incidents, organisations) = (world.held_incidents().await, world.held_organisations().await);
        assert_eq!(incidents.len() as u64, ran.incidents("registered"));
        let folded: BTreeSet<String> = organisations.values().map(|held| Organisation::folded(&held.name)).collect();
        assert_eq!(folded.len(), organisations.len(), "one organisation for each name");
        assert_eq!(world.size().await - before, (incidents.len() + organisations.len()) as u64);
        world
    });
}

#[test]
fn no_real_content_names_another_victim_of_its_record() {
    let Some(text) = real() else { return };
    let mut pairs = 0;
    for line in text.lines() {
        let incidents: Vec<_> = veris::read(&serde_json::from_str(line).unwrap()).into_iter().flatten().collect();
        for incident in &incidents {
            let said =
                Organisation::folded(&String::from_utf8_lossy(&prost::Message::encode_to_vec(&incident.content)));
            for other in incidents.iter().filter(|other| other.name != incident.name) {
                pairs += 1;
                let name = Organisation::folded(&other.name);
                assert!(!said.contains(&name), "{}: an incident names another victim", incident.key);
                assert!(!Organisation::folded(&incident.campaign).contains(&name), "{}", incident.key);
            }
            assert!(incidents.iter().all(|other| other.campaign == incident.campaign), "{}", incident.key);
            assert!(incidents.len() == 1 || !incident.campaign.is_empty(), "{}", incident.key);
        }
    }
    assert!(pairs > 1_000, "only {pairs} pairs: is this the file?");
}
