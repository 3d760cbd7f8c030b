use super::*;
use crate::clock;

/// A moment, as `2026-03-29T01:00:00Z`.
fn at(text: &str) -> Instant {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
    Instant::from_micros(time.unix_timestamp() * 1_000_000)
}

fn situation(nation: &str, sector: &str, facts: &[&str]) -> Situation {
    let facts: Vec<String> = facts.iter().map(ToString::to_string).collect();
    CATALOGUE.situation(nation, sector, &facts).unwrap()
}

fn names(situation: &Situation, time: Instant) -> Vec<&'static str> {
    CATALOGUE.directions(situation, time).iter().map(|direction| direction.contact.name.as_str()).collect()
}

const NOW: &str = "2026-06-01T12:00:00Z";

#[test]
fn whom_to_tell_of_an_attack_changes_by_nation_and_on_the_day() {
    let (england, scotland) =
        (situation("england", "", &["crime-in-progress"]), situation("scotland", "", &["crime-in-progress"]));
    for (time, first) in
        [("2025-12-03T23:59:59Z", "Action Fraud"), ("2025-12-04T00:00:00Z", "Report Fraud"), (NOW, "Report Fraud")]
    {
        assert_eq!(names(&england, at(time))[0], first, "{time}");
        assert_eq!(names(&scotland, at(time))[0], "Police Scotland", "{time}");
    }
    // Where the nation is not stated, both are named.
    let anywhere = names(&situation("", "", &["crime-in-progress"]), at(NOW));
    assert_eq!(anywhere[..2], ["Report Fraud", "Police Scotland"]);
    assert!(CATALOGUE.directions(&england, at("2017-01-01T00:00:00Z")).is_empty(), "before the catalogue begins");
}

#[test]
fn each_essential_service_has_one_authority_in_each_nation() {
    let facts = CATALOGUE.facts();
    for nation in &facts.nations {
        for sector in &facts.sectors {
            let here = situation(&nation.id, &sector.id, &["essential-service"]);
            let found = CATALOGUE.directions(&here, at(NOW));
            let authorities: Vec<&str> =
                found.iter().map(|one| one.signpost.id.as_str()).filter(|id| id.starts_with("nis-")).collect();
            assert_eq!(authorities.len(), usize::from(sector.id != "other"), "{nation:?} {sector:?}: {authorities:?}");
            let clocks = CATALOGUE.clocks(&here, None, at(NOW));
            let told: Vec<usize> = clocks.iter().map(|clock| clock.addressees.len()).collect();
            assert_eq!(told, [authorities.len()], "the clock of reg. 11 asks that one to be told");
        }
    }
    assert_eq!(
        names(&situation("northern-ireland", "health", &["essential-service"]), at(NOW))[0],
        "Department of Finance, Northern Ireland"
    );
    assert_eq!(
        names(&situation("scotland", "drinking-water", &["essential-service"]), at(NOW))[0],
        "Drinking Water Quality Regulator for Scotland"
    );
}

#[test]
fn the_clocks_are_those_of_the_law_in_force_when_the_organisation_became_aware() {
    let all: Vec<&str> = CATALOGUE.regimes().iter().map(|regime| regime.id.as_str()).collect();
    assert_eq!(all, ["uk-gdpr-33", "nis-11", "nis-12", "pecr-5a"], "no Bill, no proposal");
    let provider = situation("england", "", &["communications-service", "personal-data"]);
    let hours = |aware_at| {
        let clocks = CATALOGUE.clocks(&provider, aware_at, at(NOW));
        let hours = clocks.iter().map(|clock| (clock.regime.id.as_str(), clock.version.hours));
        hours.collect::<Vec<_>>()
    };
    // 20 August 2025 began at 23:00 UTC of the day before.
    assert_eq!(hours(Some(at("2025-08-19T22:59:59Z"))), [("uk-gdpr-33", 72), ("pecr-5a", 24)]);
    assert_eq!(hours(Some(at("2025-08-19T23:00:00Z"))), [("uk-gdpr-33", 72), ("pecr-5a", 72)]);
    assert_eq!(hours(None), [("uk-gdpr-33", 72), ("pecr-5a", 72)]);
    assert!(CATALOGUE.clocks(&provider, None, at(NOW)).iter().all(|clock| clock.countdown.is_none()));
    assert!(CATALOGUE.clocks(&situation("", "", &[]), None, at(NOW)).is_empty(), "no fact, no clock");
}

/// One who looks again and again sees each clock end once, at its end, whatever clocks do meanwhile.
#[test]
fn a_clock_ends_once_and_neither_late_nor_early_over_summer_time_and_steps_of_the_machine() {
    for (aware, ends, ends_uk) in [
        ("2026-03-27T09:30:00Z", "2026-03-30T09:30:00Z", "2026-03-30T10:30:00+01:00"),
        ("2026-10-23T09:30:00Z", "2026-10-26T09:30:00Z", "2026-10-26T09:30:00Z"),
        ("2026-06-01T09:30:00Z", "2026-06-04T09:30:00Z", "2026-06-04T10:30:00+01:00"),
    ] {
        let countdown = Countdown::new(at(aware), 72);
        assert_eq!(countdown.ends_at, at(ends), "72 elapsed hours from {aware}");
        assert_eq!(crate::domain::UkTime(countdown.ends_at).to_string(), ends_uk);
        assert_eq!(countdown.left(at(aware)), 72 * 3_600);
        assert_eq!(countdown.left(Instant::from_micros(at(ends).micros() - 1)), 1, "not a microsecond early");
        assert_eq!(countdown.left(at(ends)), 0, "nor late");

        // The machine's clock is set back by an hour, as by one who takes local time for UTC, and forward again.
        let (machine, hand) = clock::Clock::set_to(at(aware));
        let steps = [10 * 3_600, -3_600, 25 * 3_600, 3_600, -7_200, 40 * 3_600, 9 * 3_600, -5_400, 60, 7_200];
        let (mut effective, mut seen) = (at(aware), vec![countdown.left(at(aware))]);
        for seconds in steps {
            hand.advance_micros(seconds * 1_000_000);
            // As a node has it: the later of the ledger's last entry and the clock.
            effective = effective.max(machine.now());
            seen.push(countdown.left(effective));
        }
        assert!(seen.is_sorted_by(|one, next| one >= next), "it never runs backwards: {seen:?}");
        let ended = seen.windows(2).filter(|pair| pair[0] > 0 && pair[1] == 0).count();
        assert_eq!((ended, seen.last()), (1, Some(&0)), "it ends once: {seen:?}");
        // Left and elapsed are 72 hours together at each look, so none is shown late.
        assert_eq!(countdown.left(effective), (at(ends).micros_since(effective) / 1_000_000).max(0));
    }
}

#[test]
fn a_new_name_is_a_line_of_data() {
    let renamed = Sources::BUNDLED.contacts.replacen(
        "name = \"Information Commissioner's Office\"\nfrom = \"2018-05-10\"\n",
        "name = \"Information Commissioner's Office\"\nfrom = \"2018-05-10\"\nuntil = \"2030-04-01\"\n\
         means = [{ kind = \"telephone\", value = \"0303 123 1113\" }]\nsource = \"before\"\n\n\
         [[contact.version]]\nname = \"Information Commission\"\nfrom = \"2030-04-01\"\n",
        1,
    );
    let catalogue = Sources { contacts: &renamed, ..Sources::BUNDLED }.read().unwrap();
    let breach = situation("", "", &["personal-data"]);
    let ico = |time: &str| {
        let found = catalogue.directions(&breach, at(time));
        let ico = found.iter().find(|one| one.signpost.contact == "ico").unwrap();
        (ico.contact.name.clone(), catalogue.clocks(&breach, None, at(time))[0].addressees[0].1.to_owned())
    };
    // The day begins in summer time.
    let (before, after) = ("Information Commissioner's Office".to_owned(), "Information Commission".to_owned());
    assert_eq!(ico("2030-03-31T22:59:59Z"), (before.clone(), before));
    assert_eq!(ico("2030-03-31T23:00:00Z"), (after.clone(), after));
}

#[test]
fn what_is_wrong_in_a_file_is_named_by_file_and_line() {
    let bundled = Sources::BUNDLED;
    let line = |text: &str, entry: &str| {
        let start = text.find(entry).unwrap();
        text[..start].matches('\n').count() + 1
    };
    for (file, there, put, entry, problem) in [
        ("facts.toml", "id = \"wales\"", "id = \"england\"", "[[nation]]\nid = \"wales\"", "is there twice"),
        ("facts.toml", "title = \"Wales\"", "title = \"Wales\"\ncolour = \"red\"", "title = \"Wales\"\n", "colour"),
        (
            "contacts.toml",
            "contact = \"finance-ni\"",
            "contact = \"nobody\"",
            "id = \"nis-northern-ireland\"",
            "`nobody`",
        ),
        ("contacts.toml", "sectors = [\"air\"]", "sectors = [\"space\"]", "id = \"nis-air\"", "`space`"),
        (
            "contacts.toml",
            "from = \"2025-12-04\"",
            "from = \"2025-12-03\"",
            "id = \"report-fraud\"",
            "before the one above",
        ),
        (
            "contacts.toml",
            "from = \"2025-12-04\"",
            "from = \"2025-12-05\"",
            "id = \"attack-under-way\"",
            "no version at",
        ),
        (
            "contacts.toml",
            "until = \"2025-12-04\"",
            "until = \"2017-12-04\"",
            "id = \"report-fraud\"",
            "later than its `from`",
        ),
        (
            "contacts.toml",
            "from = \"2025-12-04\"",
            "from = \"4 December\"",
            "from = \"2025-12-04\"",
            "write 2025-08-20",
        ),
        ("regimes.toml", "hours = 24", "hours = 0", "id = \"pecr-5a\"", "`hours`"),
        ("regimes.toml", "starts = \"organisation-aware\"", "starts = \"agency-aware\"", "starts =", "agency-aware"),
        ("regimes.toml", "addressees = [\"ico\"]", "addressees = [\"ofgem\"]", "id = \"uk-gdpr-33\"", "`ofgem`"),
        ("help.toml", "agency = \"ico\"", "agency = \"The ICO\"", "id = \"ico-breach-advice\"", "`agency`"),
        ("help.toml", "title = \"Secure channels\"", "title = \"\"", "id = \"nca-secure-channels\"", "`title`"),
    ] {
        let mut broken = bundled;
        let text = match file {
            "facts.toml" => &mut broken.facts,
            "contacts.toml" => &mut broken.contacts,
            "regimes.toml" => &mut broken.regimes,
            _ => &mut broken.help,
        };
        assert!(text.contains(there), "{file}: {there}");
        let wanted = line(text, entry);
        let changed = text.replacen(there, put, 1);
        *text = changed.leak();
        let said = broken.read().err().unwrap_or_else(|| panic!("{file}: {put} was accepted"));
        let (place, words) = said.split_once(": ").unwrap();
        let number: usize = place.strip_prefix(&format!("signposts/{file}:")).unwrap().parse().unwrap();
        assert!(words.contains(problem), "{said}");
        assert!(number.abs_diff(wanted) <= 1, "{said}, and it is in line {wanted}");
    }
}

#[test]
fn what_may_not_be_stated_is_turned_away_with_what_may() {
    let stated = |nation: &str, sector: &str, facts: &[&str]| {
        let facts: Vec<String> = facts.iter().map(ToString::to_string).collect();
        CATALOGUE.situation(nation, sector, &facts).unwrap_err()
    };
    assert_eq!(stated("france", "", &[]).field, "nation");
    assert_eq!(stated("", "space", &[]).field, "sector");
    assert_eq!(stated("", "", &["crime", "Example Water plc"]).field, "facts[1]");
    assert!(stated("", "", &["ransom"]).problem.contains("personal-data"));
}
