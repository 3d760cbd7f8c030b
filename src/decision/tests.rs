//! Confirming that something is held, with the bundled agreements: the conditions of giving it, and no others.

use super::preview::supposed_consent;
use super::*;
use crate::domain::{
    Activity, Ask, ConsentState, Ground, Notification, Occurred, OfficerId, OrganisationId, Question, Reference,
    RequestId, Requester, Subject, Urgency,
};

const NCSC: (&str, &str) = (
    include_str!("../../agreements/ico-ncsc-2023/agreement.toml"),
    include_str!("../../agreements/ico-ncsc-2023/clauses.cedar"),
);
const NCA: (&str, &str) = (
    include_str!("../../agreements/ico-nca-2024/agreement.toml"),
    include_str!("../../agreements/ico-nca-2024/clauses.cedar"),
);
const NIS: (&str, &str) = (
    include_str!("../../agreements/nis-regulations-2018/agreement.toml"),
    include_str!("../../agreements/nis-regulations-2018/clauses.cedar"),
);
const AT: Instant = Instant::from_micros(1_790_000_000_000_000);

fn bundled() -> [Agreement; 3] {
    [NCSC, NCA, NIS].map(|(terms, clauses)| {
        let proposal = Proposal { terms: terms.to_owned(), clauses: clauses.to_owned() };
        Agreement::load(&proposal.text()).unwrap()
    })
}

fn categories(names: &[&str]) -> BTreeSet<Category> {
    names.iter().copied().map(Category::known).collect()
}

/// An incident of the holder's that may be confirmed to the recipient for this purpose: consented to and authorised on
/// this ground, for the identity.
fn facts(holder: &str, recipient: &str, purpose: &str, ground: &str) -> Facts {
    let (holder, recipient) = (AgencyId::known(holder), AgencyId::known(recipient));
    let mut incident = Incident::placeholder(&holder);
    incident.id = IncidentId::known("inc_1");
    incident.organisation = OrganisationId::known("org_1");
    incident.occurred = Occurred { from: AT, until: AT };
    incident.categories = categories(&["identity", "timeline"]).into_iter().map(|one| (one, Digest([1; 32]))).collect();
    let ask = Ask {
        question: Question::known("-"),
        request_id: RequestId::known("request-1"),
        requester: Requester::anyone_of(recipient),
        holder,
        subject: Subject::Reference(Reference::known("-")),
        activity: Activity::ConfirmExistence,
        purpose: Purpose::known(purpose),
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        categories: categories(&["identity"]),
        urgency: Urgency::Routine,
        pinned: None,
        naming: None,
    };
    let found = Match {
        consents: vec![supposed_consent(&incident, &ask, AT)],
        authorisations: vec![suppose(&incident, &ask, AT, Ground::known(ground))],
        incident,
        merger_recorded_at: None,
        frozen_since: None,
        permissions: Vec::new(),
        alike: None,
    };
    Facts { format: 2, at: AT, ask, in_force: Vec::new(), matches: vec![found] }
}

/// What comes of the facts once this is changed in them.
fn decided(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> &'static str {
    change(&mut facts);
    let agreements = bundled();
    match decide(&facts, &agreements.each_ref()) {
        Decision::Permit(permit) => {
            let [permitted] = permit.permitted() else { panic!("one incident") };
            assert_eq!(permitted.basis.categories, categories(&["identity"]));
            "permitted"
        }
        Decision::Open(denial) => {
            assert_eq!(denial.alarm(), None);
            "denied"
        }
        Decision::NotCovered(why) => why.reason,
    }
}

fn scope(facts: &mut Facts) -> &mut crate::domain::ConsentScope {
    facts.matches[0].consents[0].scope.as_mut().unwrap()
}

type Change = fn(&mut Facts);

/// What stands against letting any agency see anything, consent or not.
const LIMITS: [(&str, Change); 9] = [
    ("no authorisation", |facts| facts.matches[0].authorisations.clear()),
    ("revoked", |facts| facts.matches[0].authorisations[0].revoked_at = Some(AT)),
    ("authorised for another purpose", |facts| {
        facts.matches[0].authorisations[0].purposes = [Purpose::known("other")].into();
    }),
    ("another ground", |facts| facts.matches[0].authorisations[0].ground = Ground::known("other")),
    ("not for the identity", |facts| facts.matches[0].authorisations[0].categories = categories(&["timeline"])),
    ("no identity recorded", |facts| facts.matches[0].incident.categories.clear()),
    ("TLP RED", |facts| facts.matches[0].incident.markings.tlp = Tlp::Red),
    ("released wrongly", |facts| facts.matches[0].frozen_since = Some(AT)),
    ("nothing held", |facts| facts.matches.clear()),
];

/// What the organisation's consent must be.
const CONSENTS: [(&str, Change); 8] = [
    ("none", |facts| facts.matches[0].consents.clear()),
    ("not verified", |facts| facts.matches[0].consents[0].state = ConsentState::Recorded),
    ("withdrawn", |facts| facts.matches[0].consents[0].state = ConsentState::Withdrawn),
    ("for another purpose", |facts| scope(facts).purposes = [Purpose::known("other")].into()),
    ("over", |facts| scope(facts).valid_until = AT),
    ("not for the identity", |facts| scope(facts).categories = categories(&["timeline"])),
    ("from before a merger", |facts| facts.matches[0].merger_recorded_at = Some(AT)),
    ("of another revision", |facts| {
        facts.matches[0].incident.revision += 1;
        facts.matches[0].authorisations[0].covers_updates = true;
    }),
];

#[test]
fn existence_is_confirmed_on_the_conditions_of_giving_the_identity() {
    let to_ico = [("ncsc", "isa-1994-s4-2-a"), ("nca", "cca-2013-s7-4")];
    for (holder, ground) in to_ico {
        let facts = || facts(holder, "ico", "harm-reduction", ground);
        assert_eq!(decided(facts(), |_| ()), "permitted", "{holder}");
        for (what, change) in LIMITS.into_iter().chain(CONSENTS) {
            assert_eq!(decided(facts(), change), "denied", "{holder}: {what}");
        }
    }
    let of_ico = [("ncsc", "harm-reduction"), ("nca", "serious-organised-crime")];
    for (recipient, purpose) in of_ico {
        let facts = || facts("ico", recipient, purpose, "dpa-2018-s132-2-f");
        for (what, change) in CONSENTS {
            assert_eq!(decided(facts(), change), "permitted", "to {recipient} consent is not asked for: {what}");
        }
        for (what, change) in LIMITS {
            assert_eq!(decided(facts(), change), "denied", "to {recipient}: {what}");
        }
    }
}

#[test]
fn existence_is_confirmed_under_no_clause_that_speaks_of_something_else() {
    let (ncsc_to_nca, other_purpose) =
        (facts("ncsc", "nca", "harm-reduction", "isa-1994-s4-2-a"), facts("ncsc", "ico", "other", "isa-1994-s4-2-a"));
    assert_eq!(decided(ncsc_to_nca, |_| ()), "NO_AGREEMENT");
    assert_eq!(decided(other_purpose, |_| ()), "PURPOSE_NOT_COVERED");
    // The duty passes the notification itself, and lets nothing else be seen.
    let notified = |facts: &mut Facts| {
        facts.matches[0].incident.notification = Some(Notification {
            kind: "nis-rdsp".to_owned(),
            received_at: AT,
            recorded_by: OfficerId::known("rec"),
            verified_at: Some(AT),
        });
        facts.matches[0].authorisations.clear();
    };
    assert_eq!(decided(facts("ico", "ncsc", "harm-reduction", "-"), notified), "denied");
    // Nor does a clause about existence let anything be given.
    let gives = |activity: Activity| {
        let mut facts = facts("ico", "ncsc", "harm-reduction", "dpa-2018-s132-2-f");
        facts.ask.activity = activity;
        let agreements = bundled();
        let Decision::Permit(permit) = decide(&facts, &agreements.each_ref()) else { panic!("it is permitted") };
        permit.permitted()[0].basis.clauses.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(gives(Activity::ConfirmExistence), ["ico-ncsc-2023/existence-to-ncsc"]);
    assert_eq!(gives(Activity::Disclose), ["ico-ncsc-2023/incident-to-ncsc"]);
}

#[test]
fn facts_of_an_ask_are_written_as_before_there_was_another_activity() {
    let mut facts = facts("ncsc", "ico", "harm-reduction", "isa-1994-s4-2-a");
    assert!(serde_json::to_string(&facts).unwrap().contains(r#""activity":"confirm-existence""#));
    facts.ask.activity = Activity::Disclose;
    assert!(!serde_json::to_string(&facts).unwrap().contains("activity"));
}
