//! The incidents of the demonstration: invented ones, or real ones with invented identifiers.

use std::fs::File;
use std::io::BufReader;
use std::iter;
use std::path::Path;

use anyhow::Context as _;
use concordat::exchange::RegisterIncidents;
use concordat::proto::v1;
use concordat::veris::{self, VerisIncident};

use super::super::import::Records;

/// The incidents that the story is played over. The first is the one that the story is about.
pub(super) struct Cases {
    /// Where they come from, for the reader.
    pub(super) label: String,
    pub(super) incidents: Vec<VerisIncident>,
}

/// A company number that cannot be real: Companies House has none that begin with 99.
pub(super) fn invented_identifier(number: usize) -> v1::Identifier {
    v1::Identifier { scheme: "gb-coh".to_owned(), value: format!("99{number:06}") }
}

/// Three incidents that never happened.
pub(super) fn invented() -> Cases {
    let incident = |key: &str, name: &str, day: i64, narrative: &str| {
        let first = 1_767_225_600 + day * 86_400;
        VerisIncident {
            key: key.to_owned(),
            name: name.to_owned(),
            occurred: (first, first + 86_400),
            campaign: String::new(),
            content: v1::IncidentContent {
                identity: Some(v1::Identity { name: name.to_owned(), ..v1::Identity::default() }),
                timeline: Some(v1::Timeline {
                    discovery: "an operator saw unknown processes".to_owned(),
                    ..v1::Timeline::default()
                }),
                root_cause: Some(v1::RootCause {
                    actions: vec!["malware".to_owned()],
                    varieties: vec!["Ransomware".to_owned()],
                    vectors: vec!["Email link".to_owned()],
                    ..v1::RootCause::default()
                }),
                impact: Some(v1::Impact { people_affected: Some(12_400), ..v1::Impact::default() }),
                narrative: Some(v1::Narrative { text: narrative.to_owned() }),
                ..v1::IncidentContent::default()
            },
        }
    };
    Cases {
        label: "three invented incidents".to_owned(),
        incidents: vec![
            incident("invented-1", "Northwold Water (invented)", 3, "The billing system was encrypted overnight."),
            incident("invented-2", "Tarn Valley Council (invented)", 17, "A supplier's account was misused."),
            incident("invented-3", "Brackenfield Clinics (invented)", 40, "Appointment records were copied."),
        ],
    }
}

/// What the ICO registered in the last quarter, at a time in seconds, as calls that each register as many as one may: by
/// sector so many organisations that one of the numbers is too small to be shown.
pub(super) fn of_last_quarter(at: i64) -> Vec<v1::RegisterIncidentsRequest> {
    let sectors =
        [("62", 180), ("61", 140), ("52", 90), ("92", 80), ("44", 70), ("54", 50), ("813", 9), ("5411", 7), ("22", 4)];
    let codes: Vec<&str> = sectors.iter().flat_map(|(code, count)| iter::repeat_n(*code, *count)).collect();
    codes.chunks(RegisterIncidents::MOST).enumerate().map(|(number, codes)| call(number, codes, at)).collect()
}

fn call(number: usize, codes: &[&str], at: i64) -> v1::RegisterIncidentsRequest {
    let key = |what: &str, place: usize| format!("quarter-{what}-{number}-{place}");
    let organisation = |place: usize| v1::RegisterOrganisationRequest {
        request_id: key("organisation", place),
        name: format!("Organisation {} (invented)", number * RegisterIncidents::MOST + place),
        ..v1::RegisterOrganisationRequest::default()
    };
    // Every sector has all kinds and all sizes.
    let kinds = ["hacking", "malware", "error", "hacking", "social"].into_iter().cycle();
    let sizes = [40, 400, 4_000].into_iter().cycle();
    let incident = |((place, code), (action, people)): ((usize, &&str), (&str, i64))| {
        let sector = v1::Sector { scheme: "naics".to_owned(), code: (*code).to_owned(), ..v1::Sector::default() };
        v1::NewIncident {
            request_id: key("incident", place),
            organisation: i32::try_from(place).ok().map(v1::new_incident::Organisation::NewOrganisation),
            occurred_from: Some(prost_types::Timestamp { seconds: at - 86_400, nanos: 0 }),
            occurred_until: Some(prost_types::Timestamp { seconds: at, nanos: 0 }),
            content: Some(v1::IncidentContent {
                sector: Some(sector),
                root_cause: Some(v1::RootCause { actions: vec![action.to_owned()], ..v1::RootCause::default() }),
                impact: Some(v1::Impact { people_affected: Some(people), ..v1::Impact::default() }),
                ..v1::IncidentContent::default()
            }),
            ..v1::NewIncident::default()
        }
    };
    v1::RegisterIncidentsRequest {
        request_id: key("call", 0),
        organisations: (0..codes.len()).map(organisation).collect(),
        incidents: codes.iter().enumerate().zip(kinds.zip(sizes)).map(incident).collect(),
    }
}

/// Real incidents, the first one a ransomware or hacking incident in the United Kingdom.
pub(super) fn from_veris(file: &Path) -> anyhow::Result<Cases> {
    let unreadable = || format!("{} cannot be read", file.display());
    let mut incidents = Vec::new();
    let mut rejected = 0_usize;
    for record in Records::new(BufReader::new(File::open(file).with_context(unreadable)?)) {
        let text = record.with_context(unreadable)?.text.unwrap_or_default();
        let found = serde_json::from_slice(&text).map(|record| veris::read(&record)).unwrap_or_default();
        rejected += usize::from(found.iter().all(Result::is_err));
        incidents.extend(found.into_iter().flatten());
    }
    let fits = |incident: &VerisIncident| {
        let british = incident.content.identity.as_ref().is_some_and(|identity| identity.countries == ["GB"]);
        let cause = incident.content.root_cause.as_ref();
        let cyber =
            cause.is_some_and(|cause| cause.actions.iter().any(|action| action == "malware" || action == "hacking"));
        let people = incident.content.impact.as_ref().is_some_and(|impact| impact.people_affected.is_some());
        british && cyber && people
    };
    let first = incidents.iter().position(fits).or((!incidents.is_empty()).then_some(0));
    let first = first.context("the file has no incident that names an organisation")?;
    incidents.swap(0, first);
    let label = format!(
        "{} real incidents from {} (VERIS; {rejected} records that name no organisation or no date are left out), their identifiers, \
         consents and authorisations invented",
        incidents.len(),
        file.file_name().unwrap_or_default().to_string_lossy()
    );
    Ok(Cases { label, incidents })
}
