//! Whatever anybody sends, the log has none of it: neither words nor control characters, at any level.

use std::sync::Arc;

use concordat::client::Context;
use concordat::clock::Clock;
use concordat::proto::v1;
use prost::Message as _;
use tokio_rustls::TlsConnector;
use tonic::Request;

use super::peers::Plan;
use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, call_of, field, frame};
use crate::harness::{Engine, PURPOSES, World, request_id, run};
use crate::program::Program;
use crate::raw;

const CANARY: &str = "c4n4ry";

/// In every place where a caller can write something.
async fn sing(plan: &Plan, program: &Program, contexts: &[Context], folder: &std::path::Path) {
    let words = format!("{CANARY}\u{1b}[31m\n\r\u{7} plc");
    let organisation = v1::RegisterOrganisationRequest {
        request_id: request_id(),
        name: words.clone(),
        identifiers: vec![v1::Identifier { scheme: CANARY.into(), value: words.clone() }],
        ..v1::RegisterOrganisationRequest::default()
    };
    let ask = v1::RequestReleaseRequest {
        request_id: words.clone(),
        holder: CANARY.into(),
        purpose: words.clone(),
        categories: vec![words.clone()],
        external_ref: words.clone(),
        ..v1::RequestReleaseRequest::default()
    };
    let page = v1::ListIncidentsRequest { page_token: CANARY.into(), ..v1::ListIncidentsRequest::default() };
    for (rpc, message) in [
        ("OrganisationService/RegisterOrganisation", organisation.encode_to_vec()),
        ("ReleaseService/RequestRelease", ask.encode_to_vec()),
        ("IncidentService/ListIncidents", page.encode_to_vec()),
        ("IncidentService/ListIncidents", words.clone().into_bytes()),
    ] {
        for context in contexts {
            let context = Context { server: program.address.to_string(), ..context.clone() };
            let officer = context.officer(folder, Clock::system()).unwrap();
            let mut request = Request::new(message.clone().into());
            request.metadata_mut().insert("x-c4n4ry", CANARY.parse().unwrap());
            drop(raw::send(officer, &format!("/concordat.v1.{rpc}"), request).await);
        }
    }
    let stage = plan.against(program);
    let mut line = stage.way.open(&[]).await;
    let headers = [
        call_of(&format!("/concordat.v1.{CANARY}/{CANARY}")),
        call_of("/concordat.v1.AgreementService/ListAgreements"),
        [call_of("/concordat.v1.AgreementService/ListAgreements"), field(0, "grpc-timeout", CANARY)].concat(),
    ];
    let extra =
        [field(0, "authorization", &format!("Bearer {CANARY}.{CANARY}.{CANARY}")), field(0, "user-agent", CANARY)]
            .concat();
    let broken = [call_of("/concordat.v1.AgreementService/ListAgreements"), field(0, CANARY, "\u{1b}[31m")].concat();
    for (number, headers) in (0_u32..).zip(headers) {
        let block = [headers, extra.clone()].concat();
        let (stream, message) = (number * 2 + 1, [0; 5]);
        let call = [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, &message)].concat();
        line.send(&call).await;
    }
    line.until(|heard| heard.answered.len() >= 3).await;
    line.send(&frame(HEADERS, END_HEADERS | END_STREAM, 9, &broken)).await;
    line.until(|heard| heard.closed || heard.reset.is_some() || heard.answered.len() >= 4).await;
    // The name that is asked for, and bytes that are none.
    let socket = stage.way.socket([127, 0, 0, 2]).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(format!("{CANARY}.example")).unwrap();
    assert!(TlsConnector::from(Arc::clone(&stage.way.config)).connect(name, socket).await.is_err());
    let mut line = stage.way.silent().await;
    line.listen();
    line.send(CANARY.repeat(20).as_bytes()).await;
    line.ended().await;
}

#[test]
fn what_is_sent_is_in_no_line_of_the_log() {
    run(Engine::Sqlite, |world: World| async move {
        let folder = world.workspace.folder().to_owned();
        let (file, plan) = (folder.join("node-one/node.toml"), Plan::of(&world));
        let context = |roles: &[&str]| {
            world.workspace.context("ico", &format!("{CANARY}.officer"), roles, &PURPOSES, "one", world.node.address)
        };
        let contexts = [context(&["recorder", "requester"]), context(&["auditor"])];
        let stopped = world.stop().await;
        let program = Program::start_logging(&file, "trace");
        sing(&plan, &program, &contexts, &folder).await;
        let log = program.kill();
        assert!(log.contains("a call was not identified"), "{log}");
        let encoded = data_encoding::BASE64.encode(CANARY.as_bytes());
        for line in log.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let small = line.to_ascii_lowercase();
            assert!(!small.contains(CANARY) && !line.contains(&encoded), "{line}");
            assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{line:?}");
            // Others say more than they know of us.
            let (level, target) = (entry["level"].as_str().unwrap(), entry["target"].as_str().unwrap());
            assert!(target.starts_with("concordat") || !["TRACE", "DEBUG"].contains(&level), "{line}");
        }
        stopped.start().await
    });
}
