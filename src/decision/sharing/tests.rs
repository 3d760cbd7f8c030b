use super::*;
use crate::decision::Proposal;
use crate::domain::Unit;

const NCSC: (&str, &str) = (
    include_str!("../../../agreements/ico-ncsc-2023/agreement.toml"),
    include_str!("../../../agreements/ico-ncsc-2023/clauses.cedar"),
);
const NCA: (&str, &str) = (
    include_str!("../../../agreements/ico-nca-2024/agreement.toml"),
    include_str!("../../../agreements/ico-nca-2024/clauses.cedar"),
);
const RULE: Rule = Rule { threshold: 10, margin: 15, largest_share: 2 };

fn text((terms, clauses): (&str, &str)) -> Vec<u8> {
    Proposal { terms: terms.to_owned(), clauses: clauses.to_owned() }.text()
}

fn agency(id: &str) -> AgencyId {
    AgencyId::known(id)
}

fn on(date: &str) -> Instant {
    Instant::on_date(date).unwrap()
}

/// An ask, in November 2026, for a table of the third quarter that was published in October.
fn facts(holder: &str, requester: &str, rule: Rule) -> SharingFacts {
    SharingFacts {
        format: 1,
        at: on("2026-11-20"),
        requester: Requester { agency: agency(requester), unit: Unit::known("desk"), pseudonym: String::new() },
        request_id: RequestId::known("request-1"),
        holder: agency(holder),
        wanted: table(Some(Published { at: on("2026-10-02"), rule, digest: Digest([7; 32]) })),
        in_force: Vec::new(),
    }
}

fn table(published: Option<Published>) -> Wanted {
    Wanted::Table { quarter: Quarter::parse("2026-Q3").unwrap(), table: "sector".to_owned(), published }
}

/// The same for a theme about that quarter, drafted by one officer and confirmed in October by another.
fn theme_facts(holder: &str, requester: &str, change: impl FnOnce(&mut SharedTheme)) -> SharingFacts {
    let mut shared = SharedTheme {
        version: 1,
        digest: Digest([7; 32]),
        period_end: on("2026-10-01"),
        drafted_by: OfficerId::known("rec"),
        confirmed_by: OfficerId::known("aut"),
        confirmed_at: on("2026-10-02"),
        withdrawn_at: None,
        backing: Backing { organisations: 10, incidents: 10, largest: 1 },
        threshold: 10,
        largest_share: 2,
    };
    change(&mut shared);
    let wanted = Wanted::Theme { theme: ThemeId::known("theme-1"), shared: Some(shared) };
    SharingFacts { wanted, ..facts(holder, requester, RULE) }
}

/// What the bundled memoranda say to it: the reason, or the clauses that permit.
fn said(facts: &SharingFacts) -> Result<Vec<String>, &'static str> {
    let agreements = [NCSC, NCA].map(|files| Agreement::load(&text(files)).unwrap());
    match decide_sharing(facts, &agreements.each_ref()) {
        Sharing::Permit(permit) => Ok(permit.clauses().iter().map(ToString::to_string).collect()),
        Sharing::NotCovered(why) => Err(why.reason),
        Sharing::NotPublished { .. } => Err("NOT_PUBLISHED"),
    }
}

#[test]
fn each_memorandum_lets_the_ico_share_with_its_own_party() {
    assert_eq!(said(&facts("ico", "ncsc", RULE)), Ok(vec!["ico-ncsc-2023/statistics-to-ncsc".to_owned()]));
    assert_eq!(said(&facts("ico", "nca", RULE)), Ok(vec!["ico-nca-2024/statistics-to-nca".to_owned()]));
    for (holder, requester) in [("ncsc", "ico"), ("nca", "ico"), ("ncsc", "nca"), ("ico", "ico"), ("ico", "fca")] {
        assert_eq!(said(&facts(holder, requester, RULE)), Err("NO_AGREEMENT"), "{holder} to {requester}");
    }
}

#[test]
fn no_clause_lets_an_agency_share_with_itself() {
    let (there, itself) = (
        "receiving = \"ncsc\"\nform = \"anonymised-aggregated\"",
        "receiving = \"ico\"\nform = \"anonymised-aggregated\"",
    );
    assert!(NCSC.0.contains(there));
    let agreement = Agreement::load(&text((&NCSC.0.replace(there, itself), NCSC.1))).unwrap();
    let Sharing::NotCovered(why) = decide_sharing(&facts("ico", "ico", RULE), &[&agreement]) else { panic!("shared") };
    assert_eq!(why.reason, "STATISTICS_FORBIDDEN");
    assert!(why.explanation.contains("limit/recipient"), "{}", why.explanation);
}

#[test]
fn what_was_published_under_a_weaker_rule_is_not_shared() {
    for weaker in [Rule { threshold: 9, ..RULE }, Rule { margin: 14, ..RULE }, Rule { largest_share: 1, ..RULE }] {
        assert_eq!(said(&facts("ico", "ncsc", weaker)), Err("STATISTICS_FORBIDDEN"), "{weaker:?}");
    }
    let stricter = Rule { threshold: 20, margin: 30, largest_share: 4 };
    assert!(said(&facts("ico", "ncsc", stricter)).is_ok());
}

#[test]
fn what_was_published_before_its_quarter_was_over_is_not_shared() {
    for (published, expected) in
        [("2026-09-30", false), ("2026-10-01", true), ("2026-11-20", true), ("2026-11-21", false)]
    {
        let wanted = table(Some(Published { at: on(published), rule: RULE, digest: Digest([7; 32]) }));
        let facts = SharingFacts { wanted, ..facts("ico", "ncsc", RULE) };
        assert_eq!(said(&facts).is_ok(), expected, "{published}");
    }
}

#[test]
fn what_is_not_published_is_said_plainly_to_those_whom_it_may_be_shared_with() {
    let unpublished = |requester| SharingFacts { wanted: table(None), ..facts("ico", requester, RULE) };
    assert_eq!(said(&unpublished("ncsc")), Err("NOT_PUBLISHED"));
    assert_eq!(said(&unpublished("fca")), Err("NO_AGREEMENT"));
}

#[test]
fn a_quarter_is_published_under_the_strictest_rule_of_those_that_apply() {
    let strict = NCA.0.replace("threshold = 10", "threshold = 12").replace("largest_share = 2", "largest_share = 3");
    let later = strict.replace("effective_from = \"2024-09-05\"", "effective_from = \"2027-01-01\"");
    let rule = |nca: &str, holder: &str| {
        let agreements = [NCSC, (nca, NCA.1)].map(|files| Agreement::load(&text(files)).unwrap());
        publishing_rule(Activity::ShareStatistics, &agency(holder), &agreements.each_ref(), on("2026-11-20"))
    };
    assert_eq!(rule(&strict, "ico"), Some(Rule { threshold: 12, margin: 15, largest_share: 3 }));
    assert_eq!(rule(&later, "ico"), Some(RULE), "it is not in effect yet");
    assert_eq!(rule(&strict, "ncsc"), None, "no clause lets it share");
}

#[test]
fn a_rule_that_protects_too_little_is_not_loaded() {
    for (there, instead) in [
        ("threshold = 10", "threshold = 4"),
        ("margin = 15", "margin = 9"),
        ("largest_share = 2", "largest_share = 1"),
        ("largest_share = 2\n", "largest_share = 2\nepsilon = 1\n"),
        ("form = \"anonymised-aggregated\"", "form = \"anonymised\""),
    ] {
        assert!(NCSC.0.contains(there), "{there}");
        assert!(Agreement::load(&text((&NCSC.0.replace(there, instead), NCSC.1))).is_err(), "{instead}");
    }
    let (before, after) = NCSC.0.split_once("[statistics]").unwrap();
    let without = format!("{before}[[purpose]]{}", after.split_once("[[purpose]]").unwrap().1);
    let error = Agreement::load(&text((&without, NCSC.1))).unwrap_err().to_string();
    assert!(error.contains("[statistics]"), "{error}");
}

#[test]
fn one_memorandum_lets_the_ico_share_themes_and_the_other_does_not() {
    let said_of = |holder, requester| said(&theme_facts(holder, requester, |_| {}));
    assert_eq!(said_of("ico", "nca"), Ok(vec!["ico-nca-2024/themes-to-nca".to_owned()]));
    for (holder, requester) in [("ico", "ncsc"), ("nca", "ico"), ("ncsc", "nca"), ("ico", "ico"), ("ico", "fca")] {
        assert_eq!(said_of(holder, requester), Err("NO_AGREEMENT"), "{holder} to {requester}");
    }
}

/// Something that is otherwise with a theme, as clauses and limits see it.
type Otherwise = (&'static str, fn(&mut SharedTheme));

#[test]
fn a_theme_is_shared_within_the_limits_alone_and_the_requester_is_told_nothing_of_them() {
    let cases: [Otherwise; 9] = [
        ("limit/theme-backing", |theme| theme.backing.organisations = 9),
        ("limit/theme-backing", |theme| theme.backing.largest = 6),
        ("limit/theme-backing", |theme| theme.backing = Backing::default()),
        ("limit/theme-backing", |theme| theme.threshold = 11),
        ("limit/theme-backing", |theme| theme.largest_share = 11),
        ("limit/theme-second-officer", |theme| theme.confirmed_by = OfficerId::known("rec")),
        ("limit/theme-time", |theme| theme.period_end = on("2026-10-03")),
        ("limit/theme-time", |theme| theme.confirmed_at = on("2026-11-21")),
        ("limit/theme-withdrawn", |theme| theme.withdrawn_at = Some(on("2026-10-03"))),
    ];
    let agreements = [NCSC, NCA].map(|files| Agreement::load(&text(files)).unwrap());
    let decided = |facts: &SharingFacts| match decide_sharing(facts, &agreements.each_ref()) {
        Sharing::NotPublished { explanation, why } => (explanation, why),
        other => panic!("{other:?}"),
    };
    let wanted = Wanted::Theme { theme: ThemeId::known("theme-1"), shared: None };
    let (unknown, _) = decided(&SharingFacts { wanted, ..facts("ico", "nca", RULE) });
    for (limit, change) in cases {
        let (explanation, why) = decided(&theme_facts("ico", "nca", change));
        assert_eq!(explanation, unknown, "{limit}");
        assert_eq!(why, format!("THEME_FORBIDDEN: forbidden by {limit}"));
    }
    assert!(said(&theme_facts("ico", "nca", |theme| theme.backing.largest = 5)).is_ok(), "half is not more than half");
}

#[test]
fn facts_read_back_as_what_they_were() {
    for facts in [
        facts("ico", "nca", RULE),
        SharingFacts { wanted: table(None), ..facts("ico", "nca", RULE) },
        theme_facts("ico", "nca", |_| {}),
        theme_facts("ico", "nca", |theme| theme.withdrawn_at = Some(on("2026-10-03"))),
    ] {
        let written = serde_json::to_string(&facts).unwrap();
        let read: SharingFacts = serde_json::from_str(&written).unwrap();
        assert_eq!(format!("{read:?}"), format!("{facts:?}"));
    }
}
