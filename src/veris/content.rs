//! What a record says of an incident, category by category.

use serde_json::Value;

use super::string;
use super::victims::Victim;
use crate::proto::v1;

/// Kinds of data of which each record is about a person.
const OF_PEOPLE: [&str; 6] = ["Personal", "Sensitive Personal", "Medical", "Payment", "Bank", "Credentials"];

/// What a record says of its victim. What is unknown is left out; the caller drops what is empty.
pub(super) fn of_victim(record: &Value, name: &str, date: v1::PartialDate) -> v1::IncidentContent {
    v1::IncidentContent {
        identity: Some(v1::Identity {
            name: name.to_owned(),
            identifiers: Vec::new(),
            countries: strings(record, "/victim/country"),
        }),
        sector: Some(v1::Sector {
            employees: known(record, "/victim/employee_count"),
            ..sector(&known(record, "/victim/industry"))
        }),
        timeline: Some(v1::Timeline { occurred: Some(date), discovery: discovery(record), ..v1::Timeline::default() }),
        technical_indicators: Some(v1::TechnicalIndicators {
            assets: varieties(record, "/asset/assets"),
            ..v1::TechnicalIndicators::default()
        }),
        root_cause: Some(root_cause(record)),
        impact: Some(impact(record)),
        assessment: Some(assessment(record)),
        ..v1::IncidentContent::default()
    }
}

/// What a record says of a further victim: what was done, and when. Countries, size, systems, counts and harm are its
/// main victim's, and how it was found out may be; none of that is said of anybody else.
pub(super) fn of_further_victim(record: &Value, victim: &Victim, date: v1::PartialDate) -> v1::IncidentContent {
    v1::IncidentContent {
        identity: Some(v1::Identity { name: victim.name.clone(), ..v1::Identity::default() }),
        sector: Some(sector(&victim.sector)),
        timeline: Some(v1::Timeline { occurred: Some(date), ..v1::Timeline::default() }),
        root_cause: Some(root_cause(record)),
        assessment: Some(assessment(record)),
        ..v1::IncidentContent::default()
    }
}

/// Words that say that nothing is known.
fn says_nothing(text: &str) -> bool {
    matches!(text, "Unknown" | "unknown" | "NA" | "Other" | "")
}

/// A text, or empty where nothing is known.
fn known(value: &Value, path: &str) -> String {
    string(value, path).filter(|text| !says_nothing(text)).unwrap_or_default()
}

/// The texts of a list, each once, without those that say that nothing is known.
fn strings(value: &Value, path: &str) -> Vec<String> {
    let list = value.pointer(path).and_then(Value::as_array);
    once(list.into_iter().flatten().filter_map(Value::as_str).filter(|text| !says_nothing(text)).map(str::to_owned))
}

/// The varieties of a list of objects.
fn varieties(value: &Value, path: &str) -> Vec<String> {
    let list = value.pointer(path).and_then(Value::as_array);
    once(list.into_iter().flatten().filter_map(|item| string(item, "/variety")).filter(|text| !says_nothing(text)))
}

fn once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// A NAICS code; zeros alone mean that it is unknown.
fn sector(code: &str) -> v1::Sector {
    if code.chars().all(|digit| digit == '0') {
        return v1::Sector::default();
    }
    v1::Sector { code: code.to_owned(), scheme: "naics".to_owned(), ..v1::Sector::default() }
}

fn discovery(record: &Value) -> String {
    let ways = ["external", "internal", "partner"].into_iter().flat_map(|by| {
        strings(record, &format!("/discovery_method/{by}/variety")).into_iter().map(move |how| format!("{by}: {how}"))
    });
    ways.collect::<Vec<_>>().join("; ")
}

fn root_cause(record: &Value) -> v1::RootCause {
    let actions = record.pointer("/action").and_then(Value::as_object);
    let mut actions: Vec<String> = actions.into_iter().flat_map(|all| all.keys().cloned()).collect();
    // Whatever order the parser keeps.
    actions.sort();
    let all = |name: &str| -> Vec<String> {
        once(actions.iter().flat_map(|action| strings(record, &format!("/action/{action}/{name}"))))
    };
    let actors = ["external", "internal", "partner"].into_iter().filter_map(|actor| {
        record.pointer(&format!("/actor/{actor}"))?;
        let varieties = strings(record, &format!("/actor/{actor}/variety"));
        Some(if varieties.is_empty() { actor.to_owned() } else { format!("{actor}: {}", varieties.join(", ")) })
    });
    v1::RootCause {
        varieties: all("variety"),
        vectors: all("vector"),
        vulnerabilities: once(actions.iter().flat_map(|action| cves(&known(record, &format!("/action/{action}/cve"))))),
        actors: actors.collect(),
        actions: actions.into_iter().filter(|action| !says_nothing(action)).collect(),
    }
}

/// The CVE ids in a text: people separate them as they like, and write other words between them.
fn cves(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').map(str::to_uppercase);
    let is_cve = |word: &String| {
        let parts = word.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        parts.is_some_and(|(year, number)| year.len() == 4 && number.len() >= 4 && digits(year) && digits(number))
    };
    words.filter(is_cve).collect()
}

fn impact(record: &Value) -> v1::Impact {
    let data_kinds = varieties(record, "/attribute/confidentiality/data");
    let disclosure = string(record, "/attribute/confidentiality/data_disclosure");
    v1::Impact {
        people_affected: people(record, &data_kinds),
        data_kinds,
        disclosure: disclosure.unwrap_or_default().to_lowercase(),
        availability: strings(record, "/attribute/availability/variety").join(", "),
        integrity: strings(record, "/attribute/integrity/variety"),
        rating: known(record, "/impact/overall_rating"),
    }
}

/// At least how many people: the count of records, where these are of people. `0` would say nothing, so it is unset.
fn people(record: &Value, kinds: &[String]) -> Option<i64> {
    let total = record.pointer("/attribute/confidentiality/data_total")?.as_i64()?;
    (total > 0 && kinds.iter().any(|kind| OF_PEOPLE.contains(&kind.as_str()))).then_some(total)
}

fn assessment(record: &Value) -> v1::Assessment {
    let confidence = string(record, "/security_incident").unwrap_or_default().to_lowercase().replace(' ', "-");
    v1::Assessment { confidence, ..v1::Assessment::default() }
}
