//! An incident's content with each field of the contract in it.

use concordat::proto::v1;

use super::requests::unused;
use crate::builders::names;
use crate::harness::World;

/// Content with every field set.
pub(super) fn full_content(world: &World) -> v1::IncidentContent {
    let at = world.in_seconds(-86_400);
    v1::IncidentContent {
        identity: Some(v1::Identity {
            name: "Example Water plc".into(),
            identifiers: vec![unused()],
            countries: names(&["GB"]),
        }),
        contact: Some(v1::Contact {
            name: "A. Contact".into(),
            position: "head of operations".into(),
            email: "operations@example.org".into(),
            telephone: "+44 20 7946 0000".into(),
        }),
        sector: Some(v1::Sector {
            code: "22".into(),
            scheme: "naics".into(),
            employees: "101 to 1000".into(),
            region: "TLM".into(),
        }),
        timeline: Some(v1::Timeline {
            occurred: Some(v1::PartialDate { year: 2024, month: 2, day: 29 }),
            aware_at: at,
            reported_at: at,
            contained_at: at,
            discovery: "an operator noticed".into(),
        }),
        technical_indicators: Some(v1::TechnicalIndicators {
            indicators: vec![v1::Indicator { kind: "domain".into(), value: "bad.example".into() }],
            techniques: names(&["T1486"]),
            assets: names(&["file server"]),
        }),
        root_cause: Some(v1::RootCause {
            actions: names(&["malware"]),
            varieties: names(&["Ransomware"]),
            vectors: names(&["e-mail"]),
            vulnerabilities: names(&["CVE-2024-0001"]),
            actors: names(&["external"]),
        }),
        impact: Some(v1::Impact {
            people_affected: Some(1_000),
            data_kinds: names(&["contact details"]),
            disclosure: "potentially".into(),
            availability: "billing, two days".into(),
            integrity: names(&["records altered"]),
            rating: "high".into(),
        }),
        ransom: Some(v1::Ransom {
            demanded: true,
            amount_minor: 1_000_000,
            currency: "GBP".into(),
            paid: "no".into(),
            group: "unknown".into(),
        }),
        narrative: Some(v1::Narrative { text: "It began\non a Monday.".into() }),
        assessment: Some(v1::Assessment {
            ncsc_category: "C4".into(),
            confidence: "suspected".into(),
            text: "Much as elsewhere.".into(),
        }),
    }
}

pub(super) fn markings() -> v1::Markings {
    v1::Markings { tlp: "amber".into(), pap: "amber".into(), classification: "official".into() }
}
