use super::*;

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
    assert_eq!(all, ["uk-gdpr-33", "dpa-67", "dpa-108", "nis-11", "nis-12", "pecr-5a"], "no Bill, no proposal");
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

#[test]
fn a_clock_ends_neither_late_nor_early_over_summer_time_and_runs_from_nothing_that_has_not_happened() {
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
        assert_eq!(countdown.left(at(ends).plus_seconds(1)), 0);
    }
    let breach = situation("", "", &["personal-data"]);
    let runs = |aware: Instant| CATALOGUE.clocks(&breach, Some(aware), at(NOW))[0].countdown.is_some();
    assert!(runs(at(NOW)) && !runs(at(NOW).plus_seconds(1)));
}

/// Where the facts leave several authorities, none of them is said to be the one.
#[test]
fn a_clock_names_whom_to_tell_only_where_the_facts_leave_one() {
    let told = |nation: &str, sector: &str| {
        let clocks = CATALOGUE.clocks(&situation(nation, sector, &["essential-service"]), None, at(NOW));
        clocks[0].addressees.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    };
    for (nation, sector) in [("", ""), ("scotland", ""), ("northern-ireland", ""), ("", "health"), ("", "electricity")]
    {
        assert!(told(nation, sector).is_empty(), "{nation} {sector}");
    }
    assert_eq!(told("", "air"), ["aviation"], "one for the whole country");
    assert_eq!(told("scotland", "health"), ["scottish-ministers"]);
}

/// The first day that a source names, as it is written there: `12 September 2023`, or `August 2023`.
fn dated(source: &str) -> Option<Instant> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let words: Vec<&str> = source.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let (place, month) = words
        .iter()
        .enumerate()
        .find_map(|(place, word)| MONTHS.iter().position(|month| month == word).map(|month| (place, month + 1)))?;
    let year: u16 = words.get(place + 1)?.parse().ok()?;
    let day: u8 = place.checked_sub(1).and_then(|before| words[before].parse().ok()).unwrap_or(1);
    Some(file::UkDate::try_from(format!("{year}-{month:02}-{day:02}")).unwrap().0)
}

#[test]
fn nothing_is_said_of_a_day_before_the_document_that_says_it() {
    let catalogue = &*CATALOGUE;
    let contacts = catalogue.contacts().iter().flat_map(|one| &one.versions).map(|one| (one.from, &one.source));
    let signposts = catalogue.signposts().iter().map(|one| (one.from, &one.source));
    let regimes = catalogue.regimes().iter().flat_map(|one| &one.versions).map(|one| (one.from, &one.source));
    let help = catalogue.help().iter().flat_map(|one| &one.versions).map(|one| (one.from, &one.source));
    let mut checked = 0;
    for (from, source) in contacts.chain(signposts).chain(regimes).chain(help) {
        // Where a document says what was so before it, or what was the law until when.
        if ["before", "until"].iter().any(|word| source.contains(word)) {
            continue;
        }
        if let Some(document) = dated(source) {
            checked += 1;
            assert!(document <= from.0, "{source} is later than what it is given for");
        }
    }
    assert!(checked > 8, "{checked}");
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
