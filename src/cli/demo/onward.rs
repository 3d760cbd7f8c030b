//! What the ICO has from the NCSC, and the NCA's wish to have it from the ICO.

use anyhow::Context as _;
use concordat::proto::v1;
use concordat::proto::v1::authorisation_service_client::AuthorisationServiceClient;
use concordat::proto::v1::incident_service_client::IncidentServiceClient;
use concordat::proto::v1::organisation_service_client::OrganisationServiceClient;
use concordat::proto::v1::permission_service_client::PermissionServiceClient;
use concordat::proto::v1::release_service_client::ReleaseServiceClient;
use concordat::proto::v1::request_release_request::Target;
use concordat::proto::v1::request_release_response::Outcome;
use prost::Message as _;

use super::super::output::{DIM, line};
use super::super::verify::outcome_alone;
use super::stage::Stage;
use super::story::{CATEGORIES, Held, Told, is_open, key, time};

/// Against what the ICO would pass it on.
const PURPOSE: &str = "serious-organised-crime";

/// Passes it on: first without the NCSC's permission, then with it.
pub(super) async fn tell(
    stage: &Stage,
    held: &Held,
    released: &v1::RequestReleaseResponse,
    told: &mut Told,
) -> anyhow::Result<()> {
    let Some(Outcome::Released(content)) = &released.outcome else { anyhow::bail!("nothing was released") };
    let content = content.incidents.first().context("a release without an incident")?;
    let categories: Vec<String> = content.categories.iter().map(|one| one.category.clone()).collect();
    let (incident, reference) = received(stage, held, released, content).await?;
    told.step(
        true,
        "the ICO's node checked the NCSC's receipt with its ledger key, and keeps the chain with the record",
    );

    let mut nca = ReleaseServiceClient::new(stage.officer("nca", "n.example", &["requester"], "ico")?);
    let ask = || v1::RequestReleaseRequest {
        request_id: key(),
        holder: "ico".to_owned(),
        target: Some(Target::Reference(reference.clone())),
        purpose: PURPOSE.to_owned(),
        categories: categories.clone(),
        ..v1::RequestReleaseRequest::default()
    };
    let before = nca.request_release(ask()).await?.into_inner();
    told.step(is_open(&before), "the NCA asks the ICO: open, though an officer of the ICO authorised it");

    let mut asks = PermissionServiceClient::new(stage.officer("ico", "i.example", &["requester"], "ncsc")?);
    let request = v1::AskPermissionRequest {
        request_id: key(),
        upstream: "ncsc".to_owned(),
        receipt: outcome_alone(released.receipt.clone().context("there is no receipt")?),
        recipient: "nca".to_owned(),
        purpose: PURPOSE.to_owned(),
        categories: categories.clone(),
        ..v1::AskPermissionRequest::default()
    };
    let asked = asks.ask_permission(request).await?.into_inner();
    told.step(asked.answer == "pending", "the ICO asks the NCSC's node for permission: pending");
    let permission_id = asked.permission_id;
    let mut gives = PermissionServiceClient::new(stage.officer("ncsc", "s.example", &["authoriser"], "ncsc")?);
    let give = v1::GivePermissionRequest {
        request_id: key(),
        permission_id: permission_id.clone(),
        ..v1::GivePermissionRequest::default()
    };
    gives.give_permission(give).await?;
    let again = v1::AskPermissionRequest { request_id: key(), permission_id, ..v1::AskPermissionRequest::default() };
    let shown = asks.ask_permission(again).await?.into_inner();
    told.step(
        shown.answer == "given",
        "a senior officer of the NCSC gives it; asked again, its receipt shows that for an hour",
    );
    let mut own = PermissionServiceClient::new(stage.officer("ico", "i.example", &["requester"], "ico")?);
    let present = v1::PresentPermissionRequest {
        request_id: key(),
        receipt: outcome_alone(shown.receipt.context("there is no receipt")?),
        incident_id: incident,
    };
    own.present_permission(present).await?;

    let passed = nca.request_release(ask()).await?.into_inner();
    let chain = match &passed.outcome {
        Some(Outcome::Released(passed)) => passed.incidents.first().and_then(|one| one.handling.clone()),
        _ => None,
    };
    let chain: Vec<String> = chain
        .map(|handling| handling.provenance)
        .unwrap_or_default()
        .iter()
        .map(|passage| format!("{} → {}", passage.from.to_uppercase(), passage.to.to_uppercase()))
        .collect();
    told.step(
        chain == ["NCSC → ICO", "ICO → NCA"],
        &format!("presented to the ICO's node, it lets it pass: {}", chain.join(", ")),
    );
    line(&format!("    {DIM}the NCA's copy carries that chain: it may not pass it on without both{DIM:#}"));
    Ok(())
}

/// Registers at the ICO's node what the NCSC released; the record, and the NCA's reference for it.
async fn received(
    stage: &Stage,
    held: &Held,
    released: &v1::RequestReleaseResponse,
    content: &v1::ReleasedIncident,
) -> anyhow::Result<(String, String)> {
    let recorder = stage.officer("ico", "c.example", &["recorder"], "ico")?;
    let organisation = v1::RegisterOrganisationRequest {
        request_id: key(),
        name: held.name.clone(),
        ..v1::RegisterOrganisationRequest::default()
    };
    let organisation = OrganisationServiceClient::new(recorder.clone()).register_organisation(organisation).await?;
    let mut incidents = IncidentServiceClient::new(recorder);
    let register = v1::RegisterReceivedRequest {
        request_id: key(),
        organisation_id: organisation.into_inner().organisation_id,
        occurred_from: Some(time(held.occurred.0)),
        occurred_until: Some(time(held.occurred.1)),
        receipt: released.receipt.as_ref().context("a release without a receipt")?.encode_to_vec(),
        categories: content.categories.clone(),
        ..v1::RegisterReceivedRequest::default()
    };
    let incident_id = incidents.register_received(register).await?.into_inner().incident_id;
    let issue =
        v1::IssueReferenceRequest { request_id: key(), incident_id: incident_id.clone(), recipient: "nca".to_owned() };
    let reference = incidents.issue_reference(issue).await?.into_inner().reference;
    let senior = stage.officer("ico", "s.example", &["authoriser"], "ico")?;
    let authorise = v1::GiveAuthorisationRequest {
        request_id: key(),
        incident_id: incident_id.clone(),
        revision: 1,
        recipient: "nca".to_owned(),
        purposes: vec![PURPOSE.to_owned()],
        categories: CATEGORIES.map(str::to_owned).to_vec(),
        ground: "dpa-2018-s132-2-f".to_owned(),
        ..v1::GiveAuthorisationRequest::default()
    };
    AuthorisationServiceClient::new(senior).give_authorisation(authorise).await?;
    Ok((incident_id, reference))
}
