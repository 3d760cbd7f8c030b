//! The story, step by step; each step says what happened and whether that is what should have.

use anyhow::Context as _;
use concordat::domain::Instant;
use concordat::ledger::Verified;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::consent_service_client::ConsentServiceClient;
use concordat::proto::v1::get_statistics_response::Outcome as TableOutcome;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::ledger_service_client::LedgerServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use concordat::proto::v1::statistics_service_client::StatisticsServiceClient;
use concordat::proto::v1::{self, Receipt, RequestReleaseResponse};
use concordat::veris::VerisIncident;
use prost::Message;
use tokio::task::JoinSet;

use super::super::output::{BAD, BOLD, DIM, GOOD, KEY, line, progress, table};
use super::super::statistics::chart;
use super::super::verify::statement;
use super::cases::{Cases, invented_identifier};
use super::onward;
use super::remedy;
use super::stage::Stage;

/// What the story came to.
pub(super) struct Told {
    /// Whether each step came out as it should.
    pub(super) steps: Vec<bool>,
    /// The ICO's request, with which to ask again.
    pub(super) request: String,
}

impl Told {
    pub(super) fn step(&mut self, holds: bool, what: &str) {
        let (style, mark) = if holds { (GOOD, "✓") } else { (BAD, "✗") };
        line(&format!("  {style}{mark}{style:#} {what}"));
        self.steps.push(holds);
    }
}

/// The incident that the story is about, as the NCSC holds it.
pub(super) struct Held {
    organisation: String,
    incident: String,
    pub(super) name: String,
    pub(super) occurred: (i64, i64),
}

/// How many calls are under way at once while incidents are registered.
const AT_ONCE: usize = 32;
pub(super) const CATEGORIES: [&str; 3] = ["root-cause", "sector", "timeline"];

pub(super) fn key() -> String {
    concordat::seal::new_id("demo")
}

pub(super) fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

fn chapter(title: &str) {
    line(&format!("\n{BOLD}{title}{BOLD:#}"));
}

/// Plays the main job and tells it.
pub(super) async fn tell(stage: &Stage, cases: Cases) -> anyhow::Result<Told> {
    let mut told = Told { steps: Vec::new(), request: String::new() };

    chapter("1. The NCSC registers what it knows");
    let held = register(stage, cases.incidents, &mut told).await?;

    chapter("2. The ICO asks the NCSC, naming the organisation on its own ground");
    let company = invented_identifier(0).value;
    line(&format!("  {DIM}{} (company number {company}, invented), for harm-reduction{DIM:#}", held.name));
    let mut ico = ReleaseServiceClient::new(stage.officer("ico", "i.example", &["requester"], "ncsc")?);
    let first = ico.request_release(ask(&held)).await?.into_inner();
    told.request.clone_from(&first.request);
    told.step(is_open(&first), "open: nothing is released, and nothing is said about whether anything is held");
    if let Some(Outcome::Open(open)) = &first.outcome {
        line(&format!("    {DIM}“{}”{DIM:#}", open.statement));
        line(&format!("    {DIM}{}{DIM:#}", open.duty_desk));
    }
    let mut nca = ReleaseServiceClient::new(stage.officer("nca", "n.example", &["requester"], "ncsc")?);
    let uncovered = nca.request_release(ask(&held)).await?.into_inner();
    let says = match &uncovered.outcome {
        Some(Outcome::NotCovered(not_covered)) => not_covered.explanation.clone(),
        _ => String::new(),
    };
    told.step(!says.is_empty(), &format!("the NCA asking the same is not covered: {says}"));

    chapter("3. The organisation consents, and an officer of the NCSC authorises");
    let consent = consent(stage, &held, &mut told).await?;
    let before = ico.request_release(again(&first.request)).await?.into_inner();
    told.step(is_open(&before), "still open: consent alone releases nothing");
    authorise(stage, &held).await?;
    told.step(true, "a senior officer authorised the disclosure under the Intelligence Services Act 1994 s.4(2)(a)");

    chapter("4. The ICO asks again");
    let request = again(&first.request);
    let released = ico.request_release(request.clone()).await?.into_inner();
    show_release(stage, &released, &mut told)?;

    chapter("5. The NCA wants it from the ICO");
    onward::tell(stage, &held, &released, &mut told).await?;

    chapter("6. The organisation withdraws its consent");
    let mut desk = ConsentServiceClient::new(stage.officer("ncsc", "r.example", &["recorder"], "ncsc")?);
    let withdrawal = v1::WithdrawConsentRequest { request_id: key(), consent_id: consent };
    let withdrawn = desk.withdraw_consent(withdrawal).await?.into_inner();
    let at = withdrawn.receipt.as_ref().map(|receipt| receipt.index).unwrap_or_default();
    told.step(withdrawn.receipt.is_some(), &format!("withdrawn at ledger entry {at}: one officer, no other field"));
    let after = ico.request_release(again(&first.request)).await?.into_inner();
    told.step(is_open(&after), "the next ask is open again");
    let repeat = ico.request_release(request).await?.into_inner();
    let same = index(&repeat) == index(&released) && without_content(&repeat);
    told.step(same, "a repeat of the earlier call gives its outcome and entry, and no content");

    remedy::heed(stage, &mut told).await?;

    chapter("7. The NCSC finds that it had released the wrong incident, and puts that right");
    remedy::put_right(stage, index(&released).unwrap_or_default(), &mut told).await?;

    chapter("8. The ledger shows it all");
    show_ledger(stage, &mut told).await?;

    chapter("9. The ICO publishes the statistics of the last quarter, and the NCSC has a table");
    show_table(stage, &mut told).await?;
    Ok(told)
}

/// Published once, controlled against disclosure, and shared through the gate.
async fn show_table(stage: &Stage, told: &mut Told) -> anyhow::Result<()> {
    let quarter = stage.quarter_before().to_string();
    let mut ico = StatisticsServiceClient::new(stage.officer("ico", "s.example", &["statistician"], "ico")?);
    let publish = v1::PublishStatisticsRequest { request_id: key(), quarter: quarter.clone(), validate_only: false };
    let published = ico.publish_statistics(publish).await?.into_inner();
    let what = format!("{} tables of {quarter} are published, once and for all", published.tables.len());
    told.step(published.receipt.is_some() && !published.tables.is_empty(), &what);

    let mut ncsc = StatisticsServiceClient::new(stage.officer("ncsc", "s.example", &["statistician"], "ico")?);
    let (request_id, holder, table) = (key(), "ico".to_owned(), "sector".to_owned());
    let answer =
        ncsc.get_statistics(v1::GetStatisticsRequest { request_id, holder, quarter, table }).await?.into_inner();
    let Some(TableOutcome::Shared(shared)) = answer.outcome else {
        told.step(false, "the table was not shared");
        return Ok(());
    };
    let table = shared.table.context("a shared table is missing")?;
    line(chart::bars(&table).trim_end());
    let small = table.cells.iter().zip(table.axes.iter().flat_map(|axis| &axis.values));
    let mut small = small.filter(|(_, value)| value.id == "legal").map(|(cell, _)| cell.organisations);
    told.step(small.next() == Some(None), "seven legal practices are too few to be shown");
    let verified = stage.verify("ico", answer.receipt.as_ref());
    let stated = verified.ok().and_then(|verified| verified.sharing_outcome);
    let binds = stated.is_some_and(|stated| stated.digest == shared.digest);
    told.step(binds, &format!("the receipt verifies, and binds this table to {}", shared.clauses.join(", ")));
    Ok(())
}

/// Registers every incident at the NCSC's node; the first is the story's.
async fn register(stage: &Stage, incidents: Vec<VerisIncident>, told: &mut Told) -> anyhow::Result<Held> {
    let recorder = stage.officer("ncsc", "r.example", &["recorder"], "ncsc")?;
    let organisations = OrganisationServiceClient::new(recorder.clone());
    let records = IncidentServiceClient::new(recorder);
    let (name, occurred) =
        incidents.first().map(|first| (first.name.clone(), first.occurred)).context("no incident")?;
    let all = incidents.len();
    let bar = progress(all as u64, "registering");
    let mut calls = JoinSet::new();
    let mut held = None;
    let mut registered = 0_usize;
    for (number, incident) in incidents.into_iter().enumerate() {
        if calls.len() >= AT_ONCE
            && let Some(done) = calls.join_next().await
        {
            registered += keep(done??, &mut held);
            bar.inc(1);
        }
        let (mut organisations, mut records) = (organisations.clone(), records.clone());
        calls.spawn(async move {
            let request = v1::RegisterOrganisationRequest {
                request_id: key(),
                name: incident.name,
                identifiers: vec![invented_identifier(number)],
                ..v1::RegisterOrganisationRequest::default()
            };
            let organisation_id = organisations.register_organisation(request).await?.into_inner().organisation_id;
            let request = v1::RegisterIncidentRequest {
                request_id: key(),
                organisation_id: organisation_id.clone(),
                occurred_from: Some(time(incident.occurred.0)),
                occurred_until: Some(time(incident.occurred.1)),
                campaign: incident.campaign,
                content: Some(incident.content),
                ..v1::RegisterIncidentRequest::default()
            };
            let incident_id = records.register_incident(request).await?.into_inner().incident_id;
            anyhow::Ok((number, organisation_id, incident_id))
        });
    }
    while let Some(done) = calls.join_next().await {
        registered += keep(done??, &mut held);
        bar.inc(1);
    }
    bar.finish_and_clear();
    told.step(registered == all, &format!("{registered} of {all} registered, each sealed category by category"));
    let (organisation, incident) = held.context("the story's incident was not registered")?;
    Ok(Held { organisation, incident, name, occurred })
}

fn keep((number, organisation, incident): (usize, String, String), held: &mut Option<(String, String)>) -> usize {
    if number == 0 {
        *held = Some((organisation, incident));
    }
    1
}

fn ask(held: &Held) -> v1::RequestReleaseRequest {
    v1::RequestReleaseRequest {
        request_id: key(),
        holder: "ncsc".to_owned(),
        target: Some(Target::Organisation(v1::NamedOrganisation {
            identifiers: vec![invented_identifier(0)],
            from: Some(time(held.occurred.0 - 86_400)),
            until: Some(time(held.occurred.1 + 86_400)),
            ground: "dpa-2018-s132-2-f".to_owned(),
        })),
        purpose: "harm-reduction".to_owned(),
        categories: CATEGORIES.iter().chain(&["narrative"]).map(|category| (*category).to_owned()).collect(),
        ..v1::RequestReleaseRequest::default()
    }
}

fn again(request: &str) -> v1::RequestReleaseRequest {
    v1::RequestReleaseRequest { request_id: key(), request: request.to_owned(), ..Default::default() }
}

/// Recorder and verifier: two officers.
async fn consent(stage: &Stage, held: &Held, told: &mut Told) -> anyhow::Result<String> {
    let mut recorder = ConsentServiceClient::new(stage.officer("ncsc", "r.example", &["recorder"], "ncsc")?);
    let mut verifier = ConsentServiceClient::new(stage.officer("ncsc", "v.example", &["verifier"], "ncsc")?);
    let scope = v1::ConsentScope {
        recipient: "ico".to_owned(),
        purposes: vec!["harm-reduction".to_owned(), "serious-organised-crime".to_owned()],
        categories: CATEGORIES.map(str::to_owned).to_vec(),
        onward: true,
        incident_id: held.incident.clone(),
        ..v1::ConsentScope::default()
    };
    let evidence = v1::ConsentEvidence {
        signatory: "A. Director (invented)".to_owned(),
        authority: "company secretary".to_owned(),
        channel: "signed-letter".to_owned(),
        digest: vec![0x5a; 32],
        received_at: Some(time(stage.now().micros() / 1_000_000 - 60)),
        oral: None,
        mandate_id: String::new(),
    };
    let record = v1::RecordConsentRequest {
        request_id: key(),
        consent_id: String::new(),
        organisation_id: held.organisation.clone(),
        scope: Some(scope),
        evidence: Some(evidence),
    };
    let consent = recorder.record_consent(record).await?.into_inner();
    let verify = v1::VerifyConsentRequest {
        request_id: key(),
        consent_id: consent.consent_id.clone(),
        version: consent.version,
    };
    verifier.verify_consent(verify).await?;
    let what = format!("one officer recorded the consent ({}), another verified it", CATEGORIES.join(", "));
    told.step(true, &what);
    Ok(consent.consent_id)
}

async fn authorise(stage: &Stage, held: &Held) -> anyhow::Result<()> {
    let senior = stage.officer("ncsc", "s.example", &["authoriser"], "ncsc")?;
    let request = v1::GiveAuthorisationRequest {
        request_id: key(),
        incident_id: held.incident.clone(),
        revision: 1,
        recipient: "ico".to_owned(),
        purposes: vec!["harm-reduction".to_owned()],
        categories: CATEGORIES.iter().chain(&["impact"]).map(|category| (*category).to_owned()).collect(),
        ground: "isa-1994-s4-2-a".to_owned(),
        ..v1::GiveAuthorisationRequest::default()
    };
    AuthorisationServiceClient::new(senior).give_authorisation(request).await?;
    Ok(())
}

fn show_release(stage: &Stage, response: &RequestReleaseResponse, told: &mut Told) -> anyhow::Result<()> {
    let Some(Outcome::Released(released)) = &response.outcome else {
        told.step(false, "released");
        return Ok(());
    };
    let incident = released.incidents.first().context("a release without an incident")?;
    let names: Vec<&str> = incident.categories.iter().map(|category| category.category.as_str()).collect();
    let only_agreed = !names.is_empty() && names.iter().all(|name| CATEGORIES.contains(name));
    told.step(only_agreed, &format!("released: {} (the narrative was asked for and not agreed)", names.join(", ")));
    let bytes: Vec<u8> = incident.categories.iter().flat_map(|category| category.content.clone()).collect();
    let content = v1::IncidentContent::decode(bytes.as_slice())?;
    if let Some(cause) = &content.root_cause {
        line(&format!("    {KEY}root cause{KEY:#} {} {}", cause.actions.join(", "), cause.varieties.join(", ")));
    }
    if let Some(timeline) = &content.timeline {
        line(&format!("    {KEY}timeline{KEY:#}   {}", timeline.discovery));
    }
    let handling = incident.handling.as_ref().context("a release without handling terms")?;
    let terms = format!(
        "for {}; enforcement {}; pass on: {}; TLP {}, {}; review by {}",
        handling.purposes.join(", "),
        if handling.enforcement { "yes" } else { "no" },
        handling.onward,
        handling.tlp,
        handling.classification,
        handling.review_by.map(|at| Instant::from_micros(at.seconds * 1_000_000).to_string()).unwrap_or_default(),
    );
    told.step(handling.clauses == ["ico-ncsc-2023/incident-to-ico"], &format!("with handling terms: {terms}"));

    let verified = stage.verify("ncsc", response.receipt.as_ref());
    let committed = verified.as_ref().ok().and_then(|verified| verified.outcome.as_ref());
    let committed = committed.and_then(|outcome| outcome.released.first()).map(|released| released.categories.clone());
    let binds = committed.unwrap_or_default().iter().zip(&incident.categories).all(|(promised, category)| {
        promised.category == category.category
            && promised.commitment == concordat::ledger::commit_to(&category.salt, &category.content)
    });
    told.step(
        verified.is_ok() && binds,
        "the receipt verifies offline with the NCSC's public key, and binds this content",
    );
    Ok(())
}

/// What each side can read of the NCSC's ledger.
async fn show_ledger(stage: &Stage, told: &mut Told) -> anyhow::Result<()> {
    let ico = entries(stage, "ico").await?;
    let ncsc = entries(stage, "ncsc").await?;
    let mut rows = table(&["entry", "at", "what the NCSC reads", "what the ICO reads"]);
    let mut good = !ico.is_empty();
    let records = |receipt: &&Receipt| stage.verify("ncsc", Some(receipt)).is_ok_and(|read| is_record(&read));
    let left_out = ncsc.iter().filter(records).count();
    line(&format!("  {DIM}{left_out} entries of the NCSC's own register are left out here{DIM:#}"));
    for receipt in ncsc.iter().filter(|receipt| !records(receipt)) {
        let verified = stage.verify("ncsc", Some(receipt));
        good &= verified.is_ok();
        let said = statement(receipt, &verified?);
        let shared = ico.iter().find(|other| other.index == receipt.index);
        let theirs = match shared {
            Some(other) => describe(&statement(other, &stage.verify("ncsc", Some(other))?)),
            None => "—".to_owned(),
        };
        let at = said.get("at").and_then(|at| at.as_str()).unwrap_or_default();
        rows.add_row([receipt.index.to_string(), at.chars().skip(11).take(12).collect(), describe(&said), theirs]);
    }
    line(&rows.to_string());
    told.step(
        good,
        "every receipt of either side verifies; the ICO sees its asks and their outcomes, never the grounds",
    );
    let size = stage.check_ledger("ncsc").await;
    let what = match &size {
        Ok(size) => format!("the tree recomputed from the database has {size} entries and the root that was signed"),
        Err(error) => format!("the ledger does not check: {error}"),
    };
    told.step(size.is_ok(), &what);
    Ok(())
}

/// Whether an entry is about the holder's own register of organisations and incidents.
fn is_record(read: &Verified) -> bool {
    matches!(read.entry.kind(), v1::EntryKind::Organisation | v1::EntryKind::Incident)
}

async fn entries(stage: &Stage, agency: &str) -> anyhow::Result<Vec<Receipt>> {
    let mut ledger = LedgerServiceClient::new(stage.officer(agency, "a.example", &["auditor"], "ncsc")?);
    let mut receipts = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = ledger.list_entries(v1::ListEntriesRequest { page_size: 200, page_token }).await?.into_inner();
        receipts.extend(page.receipts);
        if page.next_page_token.is_empty() {
            return Ok(receipts);
        }
        page_token = page.next_page_token;
    }
}

fn describe(said: &serde_json::Value) -> String {
    let text = |name: &str| said.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (notice, said_of_it) = (text("notice"), text("acknowledged"));
    if text("act").is_empty() && !notice.is_empty() {
        return if said_of_it.is_empty() { notice } else { format!("{notice} → {said_of_it}") };
    }
    match (text("act"), text("outcome")) {
        (act, _) if !act.is_empty() => act,
        _ if !text("permission").is_empty() => format!("permission {}", text("permission")),
        (_, outcome) => {
            let grounds = text("grounds");
            let why = grounds.split_once(": ").map(|(_, why)| why.to_owned()).unwrap_or(grounds);
            if why.is_empty() { format!("ask → {outcome}") } else { format!("ask → {outcome}: {why}") }
        }
    }
}

pub(super) fn is_open(response: &RequestReleaseResponse) -> bool {
    matches!(response.outcome, Some(Outcome::Open(_)))
}

fn without_content(response: &RequestReleaseResponse) -> bool {
    matches!(&response.outcome, Some(Outcome::Released(released)) if !released.content_included && released.incidents.is_empty())
}

fn index(response: &RequestReleaseResponse) -> Option<u64> {
    response.receipt.as_ref().map(|receipt| receipt.index)
}
