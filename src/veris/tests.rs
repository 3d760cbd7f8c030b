//! Hand-made records.

use serde_json::json;

use super::*;

fn record(victim: &Value) -> Value {
    json!({
        "file": "f-1.json",
        "victim": victim,
        "timeline": { "incident": { "year": 2012 } },
        "action": { "hacking": { "variety": ["Exploit vuln"], "cve": "CVE-2008-4250;cve-2009-3129, wordpress" } },
        "attribute": { "confidentiality": {
            "data": [{ "variety": "Personal" }, { "variety": "Unknown" }], "data_total": 700, "data_disclosure": "Yes",
        } },
        "asset": { "assets": [{ "variety": "S - Database" }, { "variety": "S - Database" }] },
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut record = record(&json!({ "victim_id": "Tarn Council" }));
    *record.pointer_mut(pointer).unwrap() = value;
    record
}

/// Name or reason of each incident.
fn names(victim: &Value) -> Vec<String> {
    let named = |read: Result<VerisIncident, Unusable>| read.map_or_else(|why| why.reason().to_owned(), |it| it.name);
    read(&record(victim)).into_iter().map(named).collect()
}

fn only(record: &Value) -> Result<VerisIncident, Unusable> {
    let mut all = read(record);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_year_alone_may_have_been_any_day_of_it() {
    let incident = only(&record(&json!({ "victim_id": " Stoke  City Council" }))).unwrap();
    assert_eq!(incident.name, "Stoke City Council");
    assert_eq!(incident.occurred.1 - incident.occurred.0, 366 * 86_400);
}

#[test]
fn dates_are_as_precise_as_they_are_given() {
    let days = |date: Value| {
        let read = only(&with("/timeline/incident", date));
        read.map(|incident| (incident.occurred.1 - incident.occurred.0) / 86_400)
    };
    assert_eq!(days(json!({ "year": 2016, "month": 2 })), Ok(29));
    assert_eq!(days(json!({ "year": 2016, "month": 2, "day": 29 })), Ok(1));
    assert_eq!(days(json!({ "year": 2016, "day": 6 })), Ok(366), "a day of no month says nothing");
    assert_eq!(days(json!({ "year": 2016, "month": 0, "day": 0 })), Ok(366));
    for wrong in [json!({ "year": 2015, "month": 2, "day": 29 }), json!({ "year": 2015, "month": 13 })] {
        assert_eq!(days(wrong), Err(Unusable::NoSuchDate));
    }
    for wrong in [json!({}), json!({ "year": 1066 }), json!({ "year": "2015" })] {
        assert_eq!(days(wrong), Err(Unusable::NoYear));
    }
}

#[test]
fn whoever_is_not_named_is_turned_away_with_the_reason() {
    for text in ["Unknown", " unknown ", "unknown (mill)", "Unnamed Hospital", "A ministry (Unknown)", "n/a", "?"] {
        assert_eq!(names(&json!({ "victim_id": text })), ["unknown-victim"], "{text}");
    }
    assert_eq!(names(&json!({})), ["no-victim"]);
    assert_eq!(names(&json!({ "victim_id": "  " })), ["no-victim"]);
    assert_eq!(names(&json!({ "victim_id": "The Unknown Soldier Trust" })), ["The Unknown Soldier Trust"]);
}

#[test]
fn a_record_without_a_key_is_turned_away() {
    let mut record = record(&json!({ "victim_id": "Tarn Council" }));
    record.as_object_mut().unwrap().remove("file");
    assert_eq!(only(&record).unwrap_err(), Unusable::NoKey);
    record["incident_id"] = json!("i-1");
    assert_eq!(only(&record).unwrap().key, "i-1");
}

#[test]
fn further_victims_are_each_found_once_and_nothing_is_guessed() {
    let further = json!([
        "Brack Clinics;62111",
        " Brack  clinics",
        "tarn council",
        "Fell, Ltd.",
        "Moor Co., Ltd",
        "North, South",
        "Unknown (vendor)",
        ";522110",
        "Beck; Gill",
        " etc.",
    ]);
    let found = names(&json!({ "victim_id": "Tarn Council", "secondary": { "amount": 99, "victim_id": further } }));
    let expected = [
        "Tarn Council",
        "Brack Clinics",
        "Fell, Ltd.",
        "Moor Co., Ltd",
        "several-victims",
        "unknown-victim",
        "no-victim",
        "several-victims",
        "unknown-victim",
    ];
    assert_eq!(found, expected);
    assert_eq!(names(&json!({ "secondary": { "victim_id": ["Brack"] } })), ["no-victim", "Brack"]);
    assert_eq!(names(&json!({ "victim_id": "Tarn", "secondary": { "amount": 721 } })), ["Tarn"]);
}

#[test]
fn nothing_that_is_the_main_victims_is_said_of_a_further_one() {
    let victim = json!({
        "victim_id": "Tarn Council", "country": ["GB"], "employee_count": "1001 to 10000", "industry": "921110",
        "secondary": { "victim_id": ["Brack Clinics;62111", "Fell"] },
    });
    let all: Vec<VerisIncident> = read(&record(&victim)).into_iter().map(Result::unwrap).collect();
    let [main, clinics, fell] = all.as_slice() else { panic!("three victims") };
    assert!(main.campaign.starts_with("veris-"));
    assert!(all.iter().all(|incident| incident.campaign == main.campaign && incident.occurred == main.occurred));
    assert_eq!(main.content.impact.as_ref().unwrap().people_affected, Some(700));
    assert_eq!(main.content.sector.as_ref().unwrap().code, "921110");
    for further in [clinics, fell] {
        assert!(further.content.impact.is_none());
        assert!(further.content.technical_indicators.is_none());
        assert!(further.content.identity.as_ref().unwrap().countries.is_empty());
        assert_eq!(further.content.root_cause.as_ref().unwrap().varieties, ["Exploit vuln"]);
    }
    assert_eq!(clinics.content.sector.as_ref().unwrap().code, "62111");
    assert!(fell.content.sector.is_none());
}

#[test]
fn no_text_of_one_victim_names_another_wherever_it_stands() {
    let mut record = record(&json!({
        "victim_id": "Tarn Council", "employee_count": "as BRACK  clinics", "country": ["GB", "Brack Clinics"],
        "secondary": { "victim_id": ["Brack Clinics", "Fell, Gill"] },
    }));
    record["action"]["hacking"]["vector"] = json!(["Partner of brack clinics", "Web application", "via Gill"]);
    record["action"]["tarn council"] = json!({ "variety": ["Phishing"] });
    record["actor"] = json!({ "partner": { "variety": ["Tarn  Council staff"] } });
    record["asset"]["assets"] = json!([{ "variety": "S - Brack Clinics" }]);
    record["campaign_id"] = json!("The Tarn Council case");
    let all: Vec<VerisIncident> = read(&record).into_iter().flatten().collect();
    let [main, clinics] = all.as_slice() else { panic!("two incidents") };
    let cause = main.content.root_cause.as_ref().unwrap();
    assert_eq!(cause.vectors, ["Web application"]);
    assert_eq!(cause.actions, ["hacking", "tarn council"], "its own name may stand in its own content");
    assert!(main.content.sector.is_none());
    assert!(main.content.technical_indicators.is_none(), "a category without anything is none");
    assert_eq!(main.content.identity.as_ref().unwrap().countries, ["GB"]);
    let cause = clinics.content.root_cause.as_ref().unwrap();
    assert_eq!(cause.actions, ["hacking"]);
    assert!(cause.actors.is_empty());
    assert!(main.campaign.starts_with("veris-") && main.campaign == clinics.campaign);
}

#[test]
fn a_name_that_holds_anothers_is_withheld_from_its_own_identity() {
    let victim = json!({ "victim_id": "Ash", "secondary": { "victim_id": ["Mount-Ash University"] } });
    let all: Vec<VerisIncident> = read(&record(&victim)).into_iter().flatten().collect();
    assert_eq!(all[1].name, "Mount-Ash University");
    assert!(all[1].content.identity.is_none());
}

#[test]
fn what_is_unknown_is_left_out() {
    let victim = json!({ "victim_id": "Tarn", "industry": "000", "employee_count": "Unknown", "country": ["Unknown"] });
    let incident = only(&record(&victim)).unwrap();
    assert!(incident.content.sector.is_none());
    assert!(incident.campaign.is_empty());
    let impact = incident.content.impact.unwrap();
    assert_eq!(impact.data_kinds, ["Personal"]);
    assert_eq!(incident.content.root_cause.unwrap().vulnerabilities, ["CVE-2008-4250", "CVE-2009-3129"]);
    assert_eq!(incident.content.technical_indicators.unwrap().assets, ["S - Database"]);
    let people = |pointer: &str, value: Value| only(&with(pointer, value)).unwrap().content.impact.unwrap();
    let total = "/attribute/confidentiality/data_total";
    assert_eq!(people(total, json!(0)).people_affected, None);
    assert_eq!(people(total, json!("many")).people_affected, None);
    let of_nobody = json!([{ "variety": "Source code" }]);
    assert_eq!(people("/attribute/confidentiality/data", of_nobody).people_affected, None);
}

#[test]
fn a_campaign_that_is_given_stays() {
    let mut record = record(&json!({ "victim_id": "Tarn" }));
    record["campaign_id"] = json!("C-7");
    assert_eq!(only(&record).unwrap().campaign, "C-7");
    record["campaign_id"] = json!("x".repeat(101));
    assert_eq!(only(&record).unwrap().campaign.len(), 38);
}
