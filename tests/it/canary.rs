//! Names that must not get out: an officer's to another agency, and neither an officer's nor an organisation's nor a
//! word of an incident's content to a log, a metric or a span.
//!
//! The node is the program itself, logging all that it has to say and telling a collector of its calls, and a whole story is
//! played with names that are found again wherever they turn up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use concordat::client::Context;
use concordat::clock::Clock;
use concordat::config::{Config, OpsSection};
use concordat::proto::v1;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use data_encoding::{BASE64, HEXLOWER};
use prost::Message;
use tonic::{Code, Status};

use crate::builders::{assert_not_covered, assert_open, assert_released, names};
use crate::harness::{PURPOSES, World, on_both_databases, real_now, request_id, timestamp};
use crate::ops::traces::Collector;
use crate::ops::{answer, free};
use crate::program::Program;
use crate::raw;

/// In each officer's name, before the agency.
const OFFICER: &str = "quetzalcoatlus";
/// In the organisation's name and identifier.
const ORGANISATION: &str = "zanzibarwaterworks";
/// In content, evidence and whatever else is told in confidence.
const CONTENT: &str = "xylophonefactory";

const AGENCIES: [&str; 3] = ["ico", "ncsc", "nca"];
const ROLES: [&str; 5] = ["requester", "recorder", "verifier", "authoriser", "auditor"];

/// The officers, and everything that each agency's were answered.
struct Story {
    folder: PathBuf,
    contexts: BTreeMap<(&'static str, &'static str), Context>,
    address: SocketAddr,
    answers: BTreeMap<&'static str, Vec<u8>>,
}

impl Story {
    /// One officer for each role of each agency, named so that they are found again.
    fn new(world: &World) -> Self {
        let mut contexts = BTreeMap::new();
        for agency in AGENCIES {
            for role in ROLES {
                // The recorder may verify, too: then it is the officer, not the role, that is turned away.
                let roles = if role == "recorder" { vec![role, "verifier"] } else { vec![role] };
                let name = format!("{OFFICER}.{agency}.{role}");
                let context = world.workspace.context(agency, &name, &roles, &PURPOSES[..3], "one", world.node.address);
                contexts.insert((agency, role), context);
            }
        }
        let folder = world.workspace.folder().to_owned();
        Self { folder, contexts, address: world.node.address, answers: BTreeMap::new() }
    }

    /// Calls as an officer, and keeps each byte of what comes back.
    async fn call<A: Message + Default>(
        &mut self,
        (agency, role): (&'static str, &'static str),
        rpc: &str,
        request: impl Message,
    ) -> Result<A, Status> {
        let context = self.contexts[&(agency, role)].clone();
        self.call_as(agency, context, rpc, request).await
    }

    async fn call_as<A: Message + Default>(
        &mut self,
        agency: &'static str,
        context: Context,
        rpc: &str,
        request: impl Message,
    ) -> Result<A, Status> {
        let context = Context { server: self.address.to_string(), ..context };
        let officer = context.officer(&self.folder, Clock::system()).unwrap();
        let answer = raw::call(officer, &format!("/concordat.v1.{rpc}"), request.encode_to_vec()).await;
        let kept = self.answers.entry(agency).or_default();
        match answer {
            Ok(answer) => {
                kept.extend_from_slice(format!("{:?}{:?}", answer.headers, answer.trailers).as_bytes());
                kept.extend_from_slice(&answer.message);
                Ok(A::decode(answer.message).unwrap())
            }
            Err(status) => {
                kept.extend_from_slice(format!("{}{:?}", status.message(), status.metadata()).as_bytes());
                kept.extend_from_slice(status.details());
                Err(status)
            }
        }
    }

    async fn ask(&mut self, agency: &'static str, ask: v1::RequestReleaseRequest) -> v1::RequestReleaseResponse {
        self.call((agency, "requester"), "ReleaseService/RequestRelease", ask).await.unwrap()
    }

    async fn fails(&mut self, who: (&'static str, &'static str), rpc: &str, request: impl Message, code: Code) {
        let failed: Result<(), Status> = self.call(who, rpc, request).await;
        assert_eq!(failed.unwrap_err().code(), code, "{rpc}");
    }

    /// An incident at the agency and a reference for the recipient: the organisation, the incident, the reference.
    async fn hold(&mut self, holder: &'static str, recipient: &str) -> (String, String, String) {
        let recorder = (holder, "recorder");
        let registered: v1::RegisterOrganisationResponse =
            self.call(recorder, "OrganisationService/RegisterOrganisation", organisation()).await.unwrap();
        let organisation_id = registered.organisation_id;
        let incident = v1::RegisterIncidentRequest {
            request_id: request_id(),
            organisation_id: organisation_id.clone(),
            occurred_from: seconds(-30 * 86_400),
            occurred_until: seconds(-29 * 86_400),
            campaign: CONTENT.into(),
            content: Some(content()),
            ..v1::RegisterIncidentRequest::default()
        };
        let registered: v1::RegisterIncidentResponse =
            self.call(recorder, "IncidentService/RegisterIncident", incident).await.unwrap();
        let incident_id = registered.incident_id;
        let request = v1::IssueReferenceRequest {
            request_id: request_id(),
            incident_id: incident_id.clone(),
            recipient: recipient.into(),
        };
        let issued: v1::IssueReferenceResponse =
            self.call(recorder, "IncidentService/IssueReference", request).await.unwrap();
        (organisation_id, incident_id, issued.reference)
    }

    /// Seen by whoever reads all that an agency was answered, in whatever case.
    fn answered(&self, agency: &str, canary: &str) -> bool {
        contains(&self.answers[agency], canary)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's fields of messages are options")]
fn seconds(from_now: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(real_now().plus_seconds(from_now)))
}

fn organisation() -> v1::RegisterOrganisationRequest {
    v1::RegisterOrganisationRequest {
        request_id: request_id(),
        name: format!("{ORGANISATION} plc"),
        identifiers: vec![identifier()],
        ..v1::RegisterOrganisationRequest::default()
    }
}

fn identifier() -> v1::Identifier {
    v1::Identifier { scheme: "domain".into(), value: format!("{ORGANISATION}.example") }
}

fn content() -> v1::IncidentContent {
    v1::IncidentContent {
        identity: Some(v1::Identity { name: format!("{ORGANISATION} plc"), ..v1::Identity::default() }),
        timeline: Some(v1::Timeline { discovery: CONTENT.into(), ..v1::Timeline::default() }),
        narrative: Some(v1::Narrative { text: CONTENT.into() }),
        ..v1::IncidentContent::default()
    }
}

fn by(holder: &str, target: Target) -> v1::RequestReleaseRequest {
    v1::RequestReleaseRequest {
        request_id: request_id(),
        holder: holder.into(),
        target: Some(target),
        purpose: "harm-reduction".into(),
        categories: names(&["identity", "timeline"]),
        external_ref: format!("{CONTENT} 7"),
        ..v1::RequestReleaseRequest::default()
    }
}

fn by_name() -> v1::RequestReleaseRequest {
    let named = v1::NamedOrganisation {
        identifiers: vec![identifier()],
        from: seconds(-40 * 86_400),
        until: seconds(0),
        ground: "dpa-2018-s132-2-f".into(),
    };
    by("ncsc", Target::Organisation(named))
}

fn outcome(response: v1::RequestReleaseResponse) -> Outcome {
    response.outcome.unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.to_ascii_lowercase().windows(text.len()).any(|part| part == text.as_bytes())
}

/// The ways in which a text gets into a log: as it is, as hexadecimal, as a list of bytes, and as base64.
fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let list = format!("{bytes:?}");
    let mut forms = vec![text.to_owned(), HEXLOWER.encode(bytes), list[1..list.len() - 1].to_owned()];
    for before in 0..3 {
        let encoded = BASE64.encode(&[&b"---"[..before], bytes].concat());
        forms.push(encoded[4..encoded.len() - 4].to_ascii_lowercase());
    }
    forms
}

/// Everything that agencies do with each other, and much that goes wrong.
async fn play(story: &mut Story) {
    let (recorder, requester) = (("ncsc", "recorder"), ("ico", "requester"));
    let (organisation_id, incident_id, reference) = story.hold("ncsc", "ico").await;
    let evidence = v1::ConsentEvidence {
        signatory: format!("{CONTENT} director"),
        authority: CONTENT.into(),
        channel: "signed-letter".into(),
        digest: vec![7; 32],
        received_at: seconds(-60),
        oral: None,
        mandate_id: String::new(),
    };
    let scope = v1::ConsentScope {
        recipient: "ico".into(),
        purposes: names(&["harm-reduction"]),
        categories: names(&["identity", "timeline"]),
        incident_id: incident_id.clone(),
        ..v1::ConsentScope::default()
    };
    let request = v1::RecordConsentRequest {
        request_id: request_id(),
        consent_id: String::new(),
        organisation_id,
        scope: Some(scope),
        evidence: Some(evidence),
    };
    let kept: v1::RecordConsentResponse = story.call(recorder, "ConsentService/RecordConsent", request).await.unwrap();
    let consent_id = kept.consent_id;
    let verify = || v1::VerifyConsentRequest { request_id: request_id(), consent_id: consent_id.clone(), version: 1 };
    story.fails(recorder, "ConsentService/VerifyConsent", verify(), Code::FailedPrecondition).await;
    let _: v1::VerifyConsentResponse =
        story.call(("ncsc", "verifier"), "ConsentService/VerifyConsent", verify()).await.unwrap();
    let give = v1::GiveAuthorisationRequest {
        request_id: request_id(),
        incident_id: incident_id.clone(),
        revision: 1,
        recipient: "ico".into(),
        purposes: names(&["harm-reduction"]),
        categories: names(&["identity", "timeline"]),
        ground: "isa-1994-s4-2-a".into(),
        ..v1::GiveAuthorisationRequest::default()
    };
    let _: v1::GiveAuthorisationResponse =
        story.call(("ncsc", "authoriser"), "AuthorisationService/GiveAuthorisation", give).await.unwrap();

    // Released, once more, by name; another call under the same key; open; not covered.
    let ask = by("ncsc", Target::Reference(reference.clone()));
    for _ in 0..2 {
        assert_released(&outcome(story.ask("ico", ask.clone()).await), &["identity", "timeline"]);
    }
    let other = v1::RequestReleaseRequest { categories: names(&["identity"]), ..ask.clone() };
    story.fails(requester, "ReleaseService/RequestRelease", other, Code::InvalidArgument).await;
    assert_released(&outcome(story.ask("ico", by_name()).await), &["identity", "timeline"]);
    let (_, _, of_ico) = story.hold("ico", "ncsc").await;
    assert_open(&outcome(story.ask("ncsc", by("ico", Target::Reference(of_ico))).await));
    let not_theirs = story.ask("nca", by("ncsc", Target::Reference(reference))).await;
    assert_not_covered(&outcome(not_theirs), "NO_AGREEMENT");

    // What goes wrong.
    story.fails(recorder, "OrganisationService/RegisterOrganisation", organisation(), Code::FailedPrecondition).await;
    let blank = v1::RegisterOrganisationRequest { name: format!("{ORGANISATION}\n"), ..organisation() };
    story.fails(recorder, "OrganisationService/RegisterOrganisation", blank, Code::InvalidArgument).await;
    story.fails(requester, "OrganisationService/RegisterOrganisation", organisation(), Code::PermissionDenied).await;
    let not_theirs = v1::GetIncidentRequest { incident_id: incident_id.clone() };
    story.fails(("ico", "auditor"), "IncidentService/GetIncident", not_theirs, Code::NotFound).await;
    let purpose = v1::RequestReleaseRequest { purpose: "serious-organised-crime".into(), ..by_name() };
    story.fails(requester, "ReleaseService/RequestRelease", purpose, Code::PermissionDenied).await;
    for agency in AGENCIES {
        let mut unknown = story.contexts[&(agency, "requester")].clone();
        crate::harness::signing(&mut unknown).kid = "another".into();
        let turned_away: Result<(), Status> =
            story.call_as(agency, unknown, "ReleaseService/ListRequests", v1::ListRequestsRequest::default()).await;
        assert_eq!(turned_away.unwrap_err().code(), Code::Unauthenticated);
    }

    let withdraw = v1::WithdrawConsentRequest { request_id: request_id(), consent_id };
    let _: v1::WithdrawConsentResponse =
        story.call(("ncsc", "authoriser"), "ConsentService/WithdrawConsent", withdraw).await.unwrap();
    assert_open(&outcome(story.ask("ico", by_name()).await));
    story.ask("ico", ask).await;

    // And everybody reads all that they may.
    for agency in AGENCIES {
        let auditor = (agency, "auditor");
        let entries: v1::ListEntriesResponse =
            story.call(auditor, "LedgerService/ListEntries", v1::ListEntriesRequest::default()).await.unwrap();
        for receipt in &entries.receipts {
            let request = v1::GetEntryRequest { index: receipt.index };
            let _: v1::GetEntryResponse = story.call(auditor, "LedgerService/GetEntry", request).await.unwrap();
        }
        let requests: v1::ListRequestsResponse =
            story.call(auditor, "ReleaseService/ListRequests", v1::ListRequestsRequest::default()).await.unwrap();
        assert!(!entries.receipts.is_empty() && !requests.requests.is_empty(), "{agency} has nothing to read");
        for request in requests.requests {
            let request = v1::GetRequestRequest { request: request.id };
            let _: v1::GetRequestResponse = story.call(auditor, "ReleaseService/GetRequest", request).await.unwrap();
        }
        let _: v1::ListIncidentsResponse =
            story.call(auditor, "IncidentService/ListIncidents", v1::ListIncidentsRequest::default()).await.unwrap();
        let _: v1::ListConsentsResponse =
            story.call(auditor, "ConsentService/ListConsents", v1::ListConsentsRequest::default()).await.unwrap();
        let _: v1::ListAgenciesResponse =
            story.call(auditor, "AgencyService/ListAgencies", v1::ListAgenciesRequest {}).await.unwrap();
    }

    propose(story).await;
    erase(story, incident_id).await;
}

/// The ICO asks the NCSC for support, in confidence.
async fn propose(story: &mut Story) {
    let text = || format!("{CONTENT}\n{CONTENT}");
    let proposal = v1::ProposalContent { title: CONTENT.into(), text: text(), ..v1::ProposalContent::default() };
    let open = v1::OpenProposalRequest {
        request_id: request_id(),
        kind: "support".into(),
        incident_id: String::new(),
        proposal: Some(proposal),
    };
    let opened: v1::OpenProposalResponse =
        story.call(("ico", "requester"), "ProposalService/OpenProposal", open).await.unwrap();
    let (proposal_id, version) = (opened.proposal_id, opened.version);
    let agency = "ncsc".to_owned();
    let put = v1::PutProposalRequest {
        request_id: request_id(),
        proposal_id: proposal_id.clone(),
        version,
        agency,
        ..v1::PutProposalRequest::default()
    };
    let _: v1::PutProposalResponse =
        story.call(("ico", "authoriser"), "ProposalService/PutProposal", put).await.unwrap();
    let answer = v1::AnswerProposalRequest {
        request_id: request_id(),
        proposal_id: proposal_id.clone(),
        digest: opened.digest,
        answer: "accepted".into(),
        text: text(),
    };
    let _: v1::AnswerProposalResponse =
        story.call(("ncsc", "authoriser"), "ProposalService/AnswerProposal", answer).await.unwrap();
    let message = v1::SendMessageRequest {
        request_id: request_id(),
        proposal_id: proposal_id.clone(),
        text: text(),
        ..v1::SendMessageRequest::default()
    };
    let _: v1::SendMessageResponse =
        story.call(("ncsc", "recorder"), "ProposalService/SendMessage", message).await.unwrap();
    let read = || v1::GetProposalRequest { proposal_id: proposal_id.clone() };
    for agency in ["ico", "ncsc"] {
        let _: v1::GetProposalResponse =
            story.call((agency, "auditor"), "ProposalService/GetProposal", read()).await.unwrap();
    }
    story.fails(("nca", "auditor"), "ProposalService/GetProposal", read(), Code::NotFound).await;
}

/// In the end it is erased.
async fn erase(story: &mut Story, incident_id: String) {
    let recorder = ("ncsc", "recorder");
    let (ground, incident) = ("registered-in-error".to_owned(), incident_id.clone());
    let propose = v1::ProposeErasureRequest { request_id: request_id(), incident_id, ground: ground.clone() };
    let _: v1::ProposeErasureResponse = story.call(recorder, "RetentionService/ProposeErasure", propose).await.unwrap();
    let erase = v1::EraseIncidentRequest { request_id: request_id(), incident_id: incident, ground };
    let _: v1::EraseIncidentResponse =
        story.call(("ncsc", "verifier"), "RetentionService/EraseIncident", erase).await.unwrap();
}

on_both_databases! {
    async fn no_name_gets_out(world: World) {
        let mut story = Story::new(&world);
        let config = story.folder.join("node-one/node.toml");
        let stopped = world.stop().await;
        let ops = free();
        let mut settings = Config::load(&config).unwrap();
        settings.ops = OpsSection { enabled: true, listen: ops, shutdown_delay_seconds: 0 };
        let collector = Collector::default();
        settings.traces.endpoint = Some(collector.listen().await);
        settings.write(&config).unwrap();
        let program = Program::start_logging(&config, "concordat=trace");
        story.address = program.address;
        play(&mut story).await;
        let (status, metrics) = answer(ops, "/metrics");
        assert!(status == 200 && metrics.contains(r#"grpc_method="RequestRelease""#), "{status}: {metrics}");
        // What waits to be sent to the collector is sent when the node stops.
        let log = tokio::task::spawn_blocking(move || program.terminate()).await.unwrap();
        let sent = collector.sent().clone();
        let spans = sent.iter().flat_map(|sent| &sent.resource_spans).flat_map(|of| &of.scope_spans);
        let asks = spans.flat_map(|of| &of.spans).filter(|span| span.name.ends_with("/RequestRelease")).count();
        assert!(asks > 5, "{asks} spans of asks");

        // The canaries are where they belong: nothing below holds because nothing was written at all.
        for (agency, canary) in [("ncsc", OFFICER), ("ico", OFFICER), ("ncsc", CONTENT), ("ico", ORGANISATION)] {
            assert!(story.answered(agency, canary), "{agency} does not read its own `{canary}`");
        }
        assert!(log.contains("a call was not identified"), "{log}");

        for agency in AGENCIES {
            for other in AGENCIES.iter().filter(|other| **other != agency) {
                let name = format!("{OFFICER}.{other}");
                assert!(!story.answered(agency, &name), "{agency} was told the name of an officer of {other}");
            }
        }
        for canary in [ORGANISATION, CONTENT] {
            // It was released nothing; what it wrote itself is its case number.
            let told = String::from_utf8_lossy(&story.answers["nca"]).replace(&format!("{CONTENT} 7"), "");
            assert!(!contains(told.as_bytes(), canary), "nca was told of `{canary}`");
        }
        // Whatever is not text in a message leaves the text in it as it is.
        let spans: String = sent.iter().map(|sent| String::from_utf8_lossy(&sent.encode_to_vec()).into_owned()).collect();
        let written = format!("{log}{metrics}\n{spans}").to_ascii_lowercase();
        for canary in [OFFICER, ORGANISATION, CONTENT] {
            for form in forms(canary) {
                let line = written.lines().find(|line| line.contains(&form));
                assert!(line.is_none(), "`{canary}` is in the log, a metric or a span, as `{form}`: {line:?}");
            }
        }
        world = stopped.start().await;
    }
}
