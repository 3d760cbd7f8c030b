//! Reads incidents in VERIS JSON: what the VERIS Community Database and its users exchange.
//!
//! Pure: text in, the contract's messages out. VERIS has names only, no registered identifiers, no consent and no
//! markings; what is missing stays missing here.

use serde_json::Value;
use time::{Date, Month};

use crate::proto::v1;

/// One incident as VERIS has it.
#[derive(Debug)]
pub struct VerisIncident {
    /// The only key that is unique: the original file's name.
    pub key: String,
    /// The affected organisation's name.
    pub name: String,
    /// When it may have occurred: the first second and the second by which it was over, since 1970 UTC.
    pub occurred: (i64, i64),
    /// The campaign that it belongs to.
    pub campaign: String,
    /// What is known.
    pub content: v1::IncidentContent,
}

/// Reads one VERIS object; the error says why it cannot be registered.
pub fn read(text: &str) -> Result<VerisIncident, String> {
    let incident: Value = serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))?;
    let key = string(&incident, "/file").or_else(|| string(&incident, "/incident_id")).ok_or("has no key")?;
    let name = string(&incident, "/victim/victim_id").unwrap_or_default();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.eq_ignore_ascii_case("unknown") {
        return Err("names no affected organisation".to_owned());
    }
    let (occurred, date) = occurred(&incident)?;
    Ok(VerisIncident {
        key,
        occurred,
        campaign: string(&incident, "/campaign_id").unwrap_or_default(),
        content: content(&incident, &name, date),
        name,
    })
}

fn string(value: &Value, path: &str) -> Option<String> {
    match value.pointer(path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value, path: &str) -> Option<i64> {
    value.pointer(path)?.as_i64()
}

/// The strings of a list, without those that say that nothing is known.
fn strings(value: &Value, path: &str) -> Vec<String> {
    let list = value.pointer(path).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|text| !matches!(*text, "Unknown" | "NA" | "Other" | ""))
        .map(str::to_owned)
        .collect()
}

/// Dates are partial: a year alone may have been any day of it.
fn occurred(incident: &Value) -> Result<((i64, i64), v1::PartialDate), String> {
    let part = |name| number(incident, &format!("/timeline/incident/{name}")).unwrap_or_default();
    let year = i32::try_from(part("year")).ok().filter(|year| (1970..=2100).contains(year));
    let year = year.ok_or("has no year between 1970 and 2100")?;
    let month = u8::try_from(part("month")).ok().and_then(|month| Month::try_from(month).ok());
    let day = u8::try_from(part("day")).ok().filter(|day| *day > 0);
    let date = |month, day| Date::from_calendar_date(year, month, day).ok();
    let (first, last) = match (month, day) {
        (Some(month), Some(day)) => (date(month, day), date(month, day)),
        (Some(month), None) => (date(month, 1), date(month, month.length(year))),
        (None, _) => (date(Month::January, 1), date(Month::December, 31)),
    };
    let (first, last) = first.zip(last).ok_or("has a day that its month does not have")?;
    let seconds = |date: Date| date.midnight().assume_utc().unix_timestamp();
    let partial = v1::PartialDate {
        year,
        month: month.map(|month| i32::from(u8::from(month))).unwrap_or_default(),
        day: month.and(day).map(i32::from).unwrap_or_default(),
    };
    Ok(((seconds(first), seconds(last) + 86_400), partial))
}

fn content(incident: &Value, name: &str, date: v1::PartialDate) -> v1::IncidentContent {
    v1::IncidentContent {
        identity: Some(v1::Identity {
            name: name.to_owned(),
            identifiers: Vec::new(),
            countries: strings(incident, "/victim/country"),
        }),
        sector: Some(v1::Sector {
            code: string(incident, "/victim/industry").filter(|code| code != "000").unwrap_or_default(),
            scheme: "naics".to_owned(),
            employees: string(incident, "/victim/employee_count").unwrap_or_default(),
        }),
        timeline: Some(v1::Timeline {
            occurred: Some(date),
            discovery: discovery(incident),
            ..v1::Timeline::default()
        }),
        technical_indicators: assets(incident),
        root_cause: Some(root_cause(incident)),
        impact: Some(impact(incident)),
        assessment: Some(v1::Assessment {
            confidence: string(incident, "/security_incident").unwrap_or_default().to_lowercase().replace(' ', "-"),
            ..v1::Assessment::default()
        }),
        ..v1::IncidentContent::default()
    }
}

fn discovery(incident: &Value) -> String {
    let ways = ["external", "internal", "partner"].into_iter().flat_map(|by| {
        strings(incident, &format!("/discovery_method/{by}/variety")).into_iter().map(move |how| format!("{by}: {how}"))
    });
    ways.collect::<Vec<_>>().join("; ")
}

fn assets(incident: &Value) -> Option<v1::TechnicalIndicators> {
    let list = incident.pointer("/asset/assets").and_then(Value::as_array);
    let assets: Vec<String> = list.into_iter().flatten().filter_map(|asset| string(asset, "/variety")).collect();
    (!assets.is_empty()).then(|| v1::TechnicalIndicators { assets, ..v1::TechnicalIndicators::default() })
}

fn root_cause(incident: &Value) -> v1::RootCause {
    let actions: Vec<String> = incident
        .pointer("/action")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|all| all.keys().cloned())
        .collect();
    let all = |name: &str| -> Vec<String> {
        actions.iter().flat_map(|action| strings(incident, &format!("/action/{action}/{name}"))).collect()
    };
    let actors = ["external", "internal", "partner"].into_iter().filter_map(|actor| {
        incident.pointer(&format!("/actor/{actor}"))?;
        let known = strings(incident, &format!("/actor/{actor}/variety"));
        Some(if known.is_empty() { actor.to_owned() } else { format!("{actor}: {}", known.join(", ")) })
    });
    v1::RootCause {
        varieties: all("variety"),
        vectors: all("vector"),
        vulnerabilities: Vec::new(),
        actors: actors.collect(),
        actions,
    }
}

fn impact(incident: &Value) -> v1::Impact {
    let data = incident.pointer("/attribute/confidentiality/data").and_then(Value::as_array);
    v1::Impact {
        people_affected: number(incident, "/attribute/confidentiality/data_total").filter(|total| *total >= 0),
        data_kinds: data.into_iter().flatten().filter_map(|kind| string(kind, "/variety")).collect(),
        disclosure: string(incident, "/attribute/confidentiality/data_disclosure").unwrap_or_default().to_lowercase(),
        availability: strings(incident, "/attribute/availability/variety").join(", "),
        integrity: strings(incident, "/attribute/integrity/variety"),
        rating: string(incident, "/impact/overall_rating").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_alone_may_have_been_any_day_of_it() {
        let read =
            read(r#"{"file":"a","victim":{"victim_id":" Stoke  City Council"},"timeline":{"incident":{"year":2012}}}"#);
        let incident = read.unwrap();
        assert_eq!(incident.name, "Stoke City Council");
        assert_eq!(incident.occurred.1 - incident.occurred.0, 366 * 86_400);
    }

    #[test]
    fn an_unknown_victim_is_turned_away_with_the_reason() {
        let text = r#"{"file":"a","victim":{"victim_id":"Unknown"},"timeline":{"incident":{"year":2012}}}"#;
        assert_eq!(read(text).unwrap_err(), "names no affected organisation");
    }
}
