//! What is exported, by a node that has been used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use concordat::config::{LedgerSection, RevocationPolicy};
use concordat::ledger::SigningKey;
use concordat::proto::v1;
use concordat::proto::v1::event_service_client::EventServiceClient;
use concordat::telemetry::{METRICS, Row, page};
use tonic::Request;

use super::{PATIENT, answer, with_ops};
use crate::architecture::workspace_file;
use crate::builders::{assert_not_covered, assert_open, assert_released};
use crate::harness::{on_both_databases, real_now, request_id};
use crate::outages::Intruder;

/// The samples: each with its name and labels as written, and its value.
fn samples(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

/// The names of the labels of a sample.
fn labels(sample: &str) -> BTreeSet<&str> {
    let inside = sample.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    let names = inside.split("\",").filter_map(|label| label.split_once('=').map(|(name, _)| name));
    names.filter(|name| *name != "le").collect()
}

/// The labels of a sample that the page gives the values of, each with its value and those.
fn told<'a>(row: &Row, sample: &'a str) -> Vec<(&'a str, BTreeSet<&'static str>)> {
    let inside = sample.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches("\"}"));
    let each = inside.split("\",").filter_map(|label| label.split_once("=\""));
    let values = |label: &str| {
        let said = row.labels.iter().find(|(name, _)| *name == label)?.1;
        let is_closed = said.starts_with('`') || said.starts_with("the status: ");
        is_closed.then(|| said.split('`').skip(1).step_by(2).collect())
    };
    each.filter_map(|(label, value)| Some((value, values(label)?))).collect()
}

/// Where the page gives a label's values, the sample has one of them.
fn assert_known(row: &Row, sample: &str) {
    for (value, known) in told(row, sample) {
        assert!(known.contains(value), "`{sample}`: the page does not know this `{value}`");
    }
}

/// Two keys of another ledger, the second of which followed the first.
fn keys_of_another_ledger(folder: &Path) -> [LedgerSection; 2] {
    [(8, "2026-01-01"), (7, "2100-01-01")].map(|(seed, until)| {
        let (file, key) = (format!("ledger-{seed}.pub"), SigningKey::from_seed("other.example", &[seed; 32]).unwrap());
        fs::write(folder.join("ncsc").join(&file), key.verifier_key()).unwrap();
        LedgerSection { key_file: format!("../ncsc/{file}").into(), from: None, until: Some(until.into()) }
    })
}

#[test]
fn the_page_of_metrics_is_what_the_program_says() {
    let written = fs::read_to_string(workspace_file("docs/metrics.md")).unwrap();
    assert!(written == page(), "docs/metrics.md is out of date: `just metrics`");
    let names: BTreeSet<&str> = METRICS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), METRICS.len(), "each name once");
}

on_both_databases! {
    async fn every_metric_is_exported_and_tells_what_happened_and_to_nobody_whom(world: World) {
        let waits = world.hold("nca", "ico").await;
        assert_open(&world.outcome(&waits).await);
        // Long enough for it to be one that nobody has answered.
        world.hand.advance_micros(10 * 86_400 * 1_000_000);
        let lists = world.workspace.authority("ncsc").unwrap().revoke(&[], 1, real_now()).unwrap();
        fs::write(world.workspace.folder().join("ncsc/lists.pem"), lists).unwrap();
        let keys = keys_of_another_ledger(world.workspace.folder());
        world = world.stop().await.start_with(|config| {
            with_ops(config);
            let ncsc = config.agency.iter_mut().find(|agency| agency.id.as_str() == "ncsc").unwrap();
            ncsc.revocation = RevocationPolicy::Crl;
            ncsc.revocation_lists_file = Some("../ncsc/lists.pem".into());
            ncsc.ledger.extend(keys);
        }).await;
        let ops = world.node.ops.unwrap();

        let permitted = world.permitted("ncsc").await;
        let held = &permitted.held;
        assert_released(&world.outcome(held).await, &["identity", "timeline"]);
        let uncovered = v1::RequestReleaseRequest { purpose: "nis-csirt".into(), ..world.ask(held) };
        assert_not_covered(&world.put(held, uncovered).await.unwrap().outcome.unwrap(), "PURPOSE_NOT_COVERED");
        world.withdraw_consent(held, &permitted.consent).await.unwrap();
        assert_open(&world.outcome(held).await);
        world.put(held, v1::RequestReleaseRequest { purpose: String::new(), ..world.ask(held) }).await.unwrap_err();
        let request = v1::WatchEventsRequest { cursor: String::new() };
        let mut events = EventServiceClient::new(world.officer("ico", "watcher", &["auditor"]));
        let mut stream = events.watch_events(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        drop(stream);
        fs::write(world.workspace.folder().join("ncsc/lists.pem"), "spoilt").unwrap();
        assert_eq!(world.node.rotation.look().refused.len(), 1);

        let rpc = |service: &str, kind: &str, method: &str, code: &str| {
            format!("grpc_server_handled_total{{grpc_type=\"{kind}\",grpc_service=\"concordat.v1.{service}\",grpc_method=\"{method}\",grpc_code=\"{code}\"}}")
        };
        let left = rpc("EventService", "server_stream", "WatchEvents", "Canceled");
        let begun = Instant::now();
        // What the node looks at by itself, and that the stream's caller has left, takes a moment.
        let (text, found) = loop {
            let (status, text) = answer(ops, "/metrics");
            assert_eq!(status, 200);
            let found = samples(&text);
            let is_there = |start: &str| found.keys().any(|name| name.starts_with(start));
            if is_there(&left) && is_there("concordat_nudges_due{") && is_there("concordat_overdue{") {
                break (text, found);
            }
            assert!(begun.elapsed() < PATIENT, "no nudges, nothing overdue, or no `{left}`:\n{text}");
            tokio::task::yield_now().await;
        };
        assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");

        for row in METRICS {
            let names: Vec<String> = match row.kind {
                "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", row.name)).into(),
                _ => vec![row.name.to_owned()],
            };
            let wanted: BTreeSet<&str> = row.labels.iter().map(|(name, _)| *name).collect();
            for name in names {
                let mut of: Vec<_> = found.keys().filter(|sample| sample.split('{').next() == Some(&name)).collect();
                assert!(!of.is_empty(), "`{name}` is not exported");
                of.retain(|sample| labels(sample) != wanted);
                assert!(of.is_empty(), "`{name}` has other labels than the page says: {of:?}");
            }
        }
        let rows: BTreeSet<&str> = METRICS.iter().map(|row| row.name).collect();
        for sample in found.keys() {
            let name = sample.split('{').next().unwrap();
            let whole = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).filter(|name| rows.contains(name));
            assert!(rows.contains(whole.unwrap_or(name)), "`{name}` is not on the page");
            let row = METRICS.iter().find(|row| row.name == whole.unwrap_or(name)).unwrap();
            assert_known(row, sample);
        }

        let is = |sample: &str| found.get(sample).map_or_else(|| panic!("no `{sample}` in:\n{text}"), String::as_str);
        for (outcome, times) in [("released", "1"), ("not_covered", "1"), ("open", "1")] {
            assert_eq!(is(&format!("concordat_asks_total{{outcome=\"{outcome}\"}}")), times, "{outcome}");
        }
        assert_eq!(is("concordat_call_seconds_count{kind=\"stop\"}"), "1", "the withdrawal");
        assert_eq!(is("concordat_call_seconds_count{kind=\"ask\"}"), "3");
        assert_eq!(is(&rpc("ReleaseService", "unary", "RequestRelease", "InvalidArgument")), "1");
        assert_eq!(is("concordat_ledger_entries"), world.size().await.to_string());
        assert_eq!(is("concordat_agreements_in_force"), "3");
        assert_eq!(is("concordat_nudges_due{kind=\"consent-ends\"}"), "0");
        assert!(!text.contains("request-unanswered"), "it would tell whether something is held");
        assert_eq!((is("concordat_tls_refused_sets"), is("concordat_database_up")), ("1", "1"));
        assert_eq!(is("concordat_tls_reloads_total{set=\"trust\",agency=\"ncsc\",result=\"refused\"}"), "1");
        let ends: Vec<_> = found.iter().filter(|(name, _)| name.starts_with("concordat_ledger_key_not_after_seconds{")).collect();
        assert_eq!(ends.len(), 1, "a key that another one follows is nobody's worry: {ends:?}");
        assert!(ends[0].0.contains("key=\"other.example+") && ends[0].1 == "4102444800", "the last counts until 2100: {ends:?}");
        for check in ["certificate", "database", "files", "ledger_key", "node_secret", "schema", "started"] {
            assert_eq!(is(&format!("concordat_ready{{check=\"{check}\"}}")), "1", "{check}");
        }
        for check in ["agreements", "disk"] {
            assert_eq!(is(&format!("concordat_degraded{{check=\"{check}\"}}")), "0", "{check}");
        }
        assert_ne!(is("concordat_connections{agency=\"ico\"}"), "0");
        assert_eq!(is("concordat_tls_certificate_not_after_seconds").len(), 10, "seconds since 1970");

        for told in [&held.organisation, &held.incident, &held.reference, &waits.reference] {
            assert!(!text.contains(told.as_str()), "a metric names `{told}`");
        }
        assert!(!text.contains("officer-") && !text.contains("watcher"), "a metric names an officer");
        assert_eq!(is(&rpc("ReleaseService", "unary", "RequestRelease", "OK")), "3", "from the trailers");
    }

    async fn an_agency_that_no_list_admits_is_told_of(world: World) {
        let file = world.workspace.folder().join("ncsc/lists.pem");
        fs::write(&file, world.workspace.authority("ncsc").unwrap().revoke(&[], 1, real_now()).unwrap()).unwrap();
        world = world.stop().await.start_with(|config| {
            with_ops(config);
            let ncsc = config.agency.iter_mut().find(|agency| agency.id.as_str() == "ncsc").unwrap();
            ncsc.revocation = RevocationPolicy::Crl;
            ncsc.revocation_lists_file = Some("../ncsc/lists.pem".into());
        }).await;
        let told = |world: &crate::harness::World| {
            let found = samples(&answer(world.node.ops.unwrap(), "/metrics").1);
            ["ico", "ncsc"].map(|agency| found[&format!("concordat_tls_agency_stopped{{agency=\"{agency}\"}}")].clone())
        };
        assert_eq!(told(&world), ["0", "0"]);
        fs::write(&file, "spoilt").unwrap();
        world.node.rotation.look();
        assert_eq!(told(&world), ["0", "0"], "the last good one counts");
        world = world.restart().await;
        assert_eq!(told(&world), ["0", "1"]);
    }

    /// Or nobody would hear that every withdrawal takes longer than its caller waits.
    async fn a_withdrawal_whose_caller_has_left_is_measured_all_the_same(world: World) {
        const STOPS: &str = "concordat_call_seconds_count{kind=\"stop\"}";
        world = world.stop().await.start_with(with_ops).await;
        let ops = world.node.ops.unwrap();
        let permitted = world.permitted("ncsc").await;
        let intruder = Intruder::lock(&world.config.database_url()).await;
        let request = v1::WithdrawConsentRequest { request_id: request_id(), consent_id: permitted.consent.clone() };
        let mut request = Request::new(request);
        request.set_timeout(Duration::from_secs(1));
        world.consents("ncsc").withdraw_consent(request).await.unwrap_err();
        let stops = || samples(&answer(ops, "/metrics").1)[STOPS].clone();
        assert_eq!(stops(), "0", "the lock is still another's, and the first one will be an increase");
        intruder.let_go().await;
        let begun = Instant::now();
        while stops() != "1" {
            assert!(begun.elapsed() < PATIENT, "the withdrawal was not measured");
            tokio::task::yield_now().await;
        }

        // Nor does a batch fail unseen that has not even had the lock.
        let failures = || samples(&answer(ops, "/metrics").1)["concordat_batch_failures_total"].parse::<u64>().unwrap();
        let before = failures();
        let consent_id = world.permitted("nca").await.consent;
        let intruder = Intruder::lock(&world.config.database_url()).await;
        world.consents("nca").withdraw_consent(v1::WithdrawConsentRequest { request_id: request_id(), consent_id }).await.unwrap_err();
        assert_eq!(failures(), before + 1);
        intruder.let_go().await;
    }
}
