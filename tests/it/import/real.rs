//! The real incidents, where they are there.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use concordat::domain::Organisation;
use concordat::veris;

use crate::harness::{Engine, World, run};

/// Where the real incidents are, if they are there.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/veris-incidents.ndjson.xz");

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

/// On SQLite only: some thousands of incidents.
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
        let entries = usize::try_from(world.size().await - before).unwrap();
        assert!(entries * 16 < incidents.len(), "{entries} entries for {} incidents", incidents.len());
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
