//! `concordat import`, the real program against a real node: what is registered, what is rejected and why, and that a
//! second run, a colleague's run and a run that was cut off change nothing that they should not.

mod program;
mod real;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Engine, World, on_both_databases, run};
use program::{Relay, Running, arguments, program};

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
    records.iter().flat_map(|record| [record.to_string(), "\n".to_owned()]).collect()
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
        assert!(size - before < 4, "one entry for many: {}", size - before);

        let held = world.held_by_name().await;
        assert_eq!(held.keys().collect::<Vec<_>>(), ["Brack Clinics", "Northwold Water", "Tarn Council"]);
        assert_eq!(held.values().map(Vec::len).sum::<usize>(), 4);
        assert_eq!(held["Northwold Water"].len(), 2);
        let (council, clinics) = (&held["Tarn Council"][0], &held["Brack Clinics"][0]);
        assert!(!council.campaign.is_empty() && council.campaign == clinics.campaign);
        let known = council.content.as_ref().unwrap();
        assert_eq!(known.root_cause.as_ref().unwrap().vectors, ["Email"], "another victim is not named");
        assert_eq!(known.impact.as_ref().unwrap().people_affected, Some(12_400));
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
        let mut killed = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        killed.feed(&lines(&records[..70]));
        world.holding(40).await;
        drop(killed);
        let mut interrupted = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        interrupted.feed(&lines(&records[..90]));
        // All of these, so that nothing is under way when it is interrupted: it stands and waits for more.
        world.holding(90).await;
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
        // As if it had never been cut off.
        assert_eq!((world.held_incidents().await.len(), world.held_organisations().await.len()), (120, 50));
    }

    async fn a_connection_that_breaks_is_made_again(world: World) {
        world.importer("imp", &["recorder"]);
        let relay = Relay::start(world.node.address).await;
        let context = world.workspace.context("ncsc", "imp", &["recorder"], &[], "one", relay.address);
        let context = world.workspace.write_context("ncsc-relayed", &context).unwrap();
        let records: Vec<Value> = (0..60).map(|i| veris(&format!("k-{i}"), &format!("Parish {i}"))).collect();
        let mut running = Running::start(&arguments("veris", Path::new("-"), &context, &[]));
        running.feed(&lines(&records[..30]));
        world.holding(20).await;
        relay.cut();
        running.feed(&lines(&records[30..]));
        drop(running.0.stdin.take());
        let ran = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
        assert_eq!((ran.exit, ran.incidents("registered")), (0, 60), "{}", ran.said);
        let held = (world.held_incidents().await.len(), world.held_organisations().await.len());
        assert_eq!(held, (60, 60), "nothing was done twice");
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
        // Of what is new, in one batch or in two.
        let grown = world.size().await;
        assert!(grown - size <= 2, "{} entries", grown - size);

        // Nor does the officer who began, with other markings.
        let file = world.file("three.ndjson", &lines(&[veris("b", "Tarn Council")]));
        let ran = world.import("veris", &file, &first, &["--tlp", "red"]).await;
        assert_eq!(ran.reasons("line"), [rejected(1, "imported-otherwise", "b")]);
        assert_eq!(world.size().await, grown);
    }

    async fn records_are_batched_and_one_that_is_turned_away_spoils_no_other(world: World) {
        let context = world.importer("imp", &["recorder"]);
        let mut records: Vec<Value> = (0..200).map(|i| veris(&format!("k-{i}"), &format!("Parish {}", i % 90))).collect();
        // The node turns these away: one for what it says, one for whom it says it of.
        records[20]["timeline"]["incident"]["year"] = json!(2_099);
        records[70]["victim"]["victim_id"] = json!("Long name ".repeat(40));
        records[71]["victim"]["victim_id"] = json!("Long name ".repeat(40));
        let file = world.file("incidents.ndjson", &lines(&records));
        let before = world.size().await;
        let ran = world.import("veris", &file, &context, &[]).await;
        let expected = [
            rejected(21, "turned-away", "k-20"),
            rejected(71, "turned-away", "k-70"),
            rejected(72, "turned-away", "k-71"),
        ];
        assert_eq!((ran.exit, ran.reasons("line")), (1, expected.to_vec()), "{}", ran.said);
        let says: Vec<&str> = ran.rejects.iter().map(|reject| reject["says"].as_str().unwrap()).collect();
        assert!(says.iter().all(|says| !says.contains("incidents[") && !says.contains("organisations[")), "{says:?}");
        assert_eq!((ran.records("imported"), ran.incidents("registered")), (197, 197));
        assert_eq!((world.held_incidents().await.len(), world.held_organisations().await.len()), (197, 90));
        let entries = world.size().await - before;
        assert!(entries < 197 / 8, "{entries} entries for 197 incidents");

        // A file that was added to: what was batched with other records is known all the same.
        records.insert(0, veris("first", "Parish first"));
        records.push(veris("last", "Parish last"));
        let file = world.file("more.ndjson", &lines(&records));
        let ran = world.import("veris", &file, &context, &[]).await;
        assert_eq!((ran.incidents("registered"), ran.incidents("already_there")), (2, 197), "{}", ran.said);
        assert_eq!(world.held_incidents().await.len(), 199);
        let size = world.size().await;
        let ran = world.import("veris", &file, &context, &[]).await;
        assert_eq!((ran.incidents("registered"), ran.incidents("already_there")), (0, 199));
        assert_eq!(world.size().await, size, "nothing was written");
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
