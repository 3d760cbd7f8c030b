//! Real incidents with a UK victim, from the VERIS Community Database, where they are at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use concordat::statistics::Contribution;
use serde_json::Value;

use super::world::{PERIODS, World, menu, mix};

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/veris-incidents.ndjson.xz");

/// One world by year of the incident, and one with everything in four long periods, so that more cells are shown.
pub(crate) fn worlds() -> Vec<World> {
    let incidents = records();
    if incidents.is_empty() {
        return Vec::new();
    }
    let by_year = world("real, by year", &incidents, |year| year.saturating_sub(2022 + 1 - PERIODS).min(PERIODS - 1));
    let long = world("real, four periods", &incidents, |year| (year.saturating_sub(2006) / 4).min(3));
    vec![by_year, long]
}

/// The records as they are; none, and a word about it, where they are not at hand.
pub(crate) fn records() -> Vec<Value> {
    if !Path::new(REAL).exists() {
        // Not `eprintln!`: the test runner would keep it to itself when the test passes.
        let _ =
            writeln!(std::io::stderr(), "\nLEFT OUT: what is asked of real incidents, because {REAL} is not there\n");
        return Vec::new();
    }
    let unpacked = Command::new("xz").args(["-dc", REAL]).output().expect("xz unpacks the real incidents");
    let text = String::from_utf8(unpacked.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn world(name: &str, incidents: &[Value], period_of: impl Fn(usize) -> usize) -> World {
    let sectors = ["", "62", "92", "52", "51", "61", "44", "54"];
    let types = ["error", "hacking", "misuse", "physical", "social", "malware", "unknown"];
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut periods = vec![Vec::new(); PERIODS];
    for incident in incidents {
        let countries = incident["victim"]["country"].as_array();
        let is_british = countries.is_some_and(|all| all.iter().any(|one| one == "GB"));
        let (Some(victim), true) = (incident["victim"]["victim_id"].as_str(), is_british) else { continue };
        let name = victim.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let next = u32::try_from(numbers.len()).unwrap();
        let organisation = *numbers.entry(name).or_insert(next);
        let industry = incident["victim"]["industry"].as_str().unwrap_or_default();
        let sector = sectors.iter().skip(1).position(|one| industry.starts_with(one)).map_or(0, |place| place + 1);
        let action = types.iter().position(|one| !incident["action"][one].is_null()).unwrap_or(6);
        let people = incident["attribute"]["confidentiality"]["data_total"].as_u64();
        let band = people.map_or(0, |people| 1 + usize::from(people > 100) + usize::from(people > 10_000));
        let found = ["external", "internal", "partner"];
        let found = found.iter().position(|one| !incident["discovery_method"][one].is_null()).unwrap_or(3);
        let size = incident["victim"]["employee_count"].as_str().map_or(0, |size| 1 + size.len() % 6);
        let year = incident["timeline"]["incident"]["year"].as_u64().unwrap_or_default();
        let coordinates = [sector, action, band, found, size, 0, 0, 0].map(|value| u8::try_from(value).unwrap());
        let key = mix(u64::from(organisation));
        let contribution = Contribution { organisation, key, coordinates, incidents: 1 };
        periods[period_of(usize::try_from(year).unwrap())].push(contribution);
    }
    let known: BTreeSet<u32> =
        numbers.values().copied().filter(|one| mix(u64::from(*one)).is_multiple_of(10)).collect();
    World { name: name.to_owned(), seed: 99, menu: menu([8, 7, 4, 4, 7]), periods, known }
}
