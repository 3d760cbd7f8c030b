use std::collections::BTreeSet;

use super::*;
use crate::domain::Role;

/// The two days for an answer, in seconds: longer than what is asked for below.
const DAYS: i64 = 2 * 86_400;

fn agencies<const N: usize>(ids: [&str; N]) -> BTreeSet<AgencyId> {
    ids.into_iter().map(AgencyId::known).collect()
}

fn terms(opener_answers: bool) -> ProposalTerms {
    let words = |word: &str| BTreeSet::from([word.to_owned()]);
    ProposalTerms {
        text: "a statement".into(),
        citation: "a part".into(),
        document: false,
        opened_by: agencies(["ico"]),
        put_to: agencies(["nca", "ncsc"]),
        answered_by: BTreeSet::from([Role::known("communications-approver")]),
        agreeing: words("approved"),
        objecting: words("objected"),
        outcomes: ProposalOutcome::ALL.into_iter().collect(),
        answer_days: 2,
        names_incident: true,
        opener_answers,
        published: true,
        retain_days: 30,
    }
}

fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn text(version: i64) -> ProposalText {
    let digest = Digest([u8::try_from(version).unwrap(); 32]);
    ProposalText { version, words: None, digest, written_by: OfficerId::known("a") }
}

fn words() -> ProposalWords {
    let (title, text) = ("t".into(), "x".into());
    ProposalWords { title, text, embargo_until: None, due_at: None, tlp: None, citations: Vec::new() }
}

fn proposal() -> Proposal {
    Proposal {
        id: ProposalId::known("prop_1"),
        opener: AgencyId::known("ico"),
        kind: ProposalKind::known("statement"),
        is_document: false,
        incident: None,
        opened_at: at(0),
        texts: vec![text(1)],
        puts: Vec::new(),
        answers: Vec::new(),
        concluded: None,
        published_at: None,
        is_erased: false,
    }
}

impl Proposal {
    fn amended(mut self) -> Self {
        self.texts.insert(0, text(self.newest() + 1));
        self
    }

    /// Put to an agency, to be answered by second 100.
    fn put(mut self, agency: &str) -> Self {
        let (agency, version) = (AgencyId::known(agency), self.newest());
        self.puts.push(ProposalPut { agency, version, purpose: None, answer_by: Some(at(100)), at: at(0) });
        self
    }

    fn said(mut self, agency: &str, word: &str) -> Self {
        let (agency, number, version) = (AgencyId::known(agency), 1, self.newest());
        self.answers.push(ProposalAnswer { agency, number, version, word: word.into(), said: None, at: at(1) });
        self
    }

    fn can(&self, outcome: ProposalOutcome, own: bool, now: i64) -> bool {
        let (terms, why) = (terms(own), if outcome == ProposalOutcome::WentAhead { "why" } else { "" });
        self.check_outcome(outcome, why, |_| Some(&terms), at(now)).is_ok()
    }
}

#[test]
fn an_outcome_says_no_more_than_the_answers_to_the_newest_text_do() {
    use ProposalOutcome::{Agreed, Closed, Declined, WentAhead, Withdrawn};
    // What can be stated in time, and when it is over, as the agreement has it; without an answer of its own.
    let cases: [(&str, Proposal, &[ProposalOutcome], &[ProposalOutcome]); 9] = [
        ("a draft", proposal(), &[Withdrawn], &[Withdrawn]),
        ("waiting", proposal().put("ncsc"), &[Closed, Withdrawn], &[WentAhead, Closed, Withdrawn]),
        (
            "approved",
            proposal().put("ncsc").said("ncsc", "approved"),
            &[Agreed, Closed, Withdrawn],
            &[Agreed, Closed, Withdrawn],
        ),
        (
            "objected to",
            proposal().put("ncsc").said("ncsc", "objected"),
            &[WentAhead, Declined, Closed, Withdrawn],
            &[WentAhead, Declined, Closed, Withdrawn],
        ),
        (
            "first approved, then objected to",
            proposal().put("ncsc").said("ncsc", "approved").said("ncsc", "objected"),
            &[WentAhead, Declined, Closed, Withdrawn],
            &[WentAhead, Declined, Closed, Withdrawn],
        ),
        (
            "approved by one of two",
            proposal().put("ncsc").put("nca").said("ncsc", "approved"),
            &[Closed, Withdrawn],
            &[WentAhead, Closed, Withdrawn],
        ),
        (
            "approved by one, objected to by the other",
            proposal().put("ncsc").put("nca").said("ncsc", "approved").said("nca", "objected"),
            &[WentAhead, Closed, Withdrawn],
            &[WentAhead, Closed, Withdrawn],
        ),
        (
            "approved before the text changed",
            proposal().put("ncsc").said("ncsc", "approved").amended(),
            &[Closed, Withdrawn],
            &[Closed, Withdrawn],
        ),
        (
            "put again after the text changed",
            proposal().put("ncsc").said("ncsc", "approved").amended().put("ncsc"),
            &[Closed, Withdrawn],
            &[WentAhead, Closed, Withdrawn],
        ),
    ];
    for (what, proposal, in_time, late) in cases {
        for outcome in ProposalOutcome::ALL {
            // That another stands in its place takes no answer either.
            let alike = if outcome == ProposalOutcome::Superseded { Closed } else { outcome };
            let (in_time, late) = (in_time.contains(&alike), late.contains(&alike));
            assert_eq!(proposal.can(outcome, false, DAYS - 1), in_time, "{what}, in time: {outcome:?}");
            assert_eq!(proposal.can(outcome, false, DAYS), late, "{what}, late: {outcome:?}");
        }
    }
}

#[test]
fn where_the_opener_answers_nothing_is_agreed_or_goes_ahead_without_it() {
    use ProposalOutcome::{Agreed, WentAhead};
    let approved = proposal().put("ncsc").said("ncsc", "approved");
    let objected = proposal().put("ncsc").said("ncsc", "objected");
    assert!(!approved.can(Agreed, true, 50) && !objected.can(WentAhead, true, 50));
    assert!(approved.clone().said("ico", "approved").can(Agreed, true, 50));
    assert!(objected.said("ico", "approved").can(WentAhead, true, 50));
    assert!(!approved.said("ico", "objected").can(Agreed, true, 50));
}

#[test]
fn without_an_agreement_with_each_of_them_a_proposal_can_but_be_withdrawn() {
    let (ncsc, terms) = (AgencyId::known("ncsc"), terms(true));
    let both = proposal().put("nca").put("ncsc").said("nca", "objected").said("ncsc", "objected");
    for outcome in ProposalOutcome::ALL {
        let why = if outcome == ProposalOutcome::WentAhead { "why" } else { "" };
        let only_ncsc = |agency: &AgencyId| (*agency == ncsc).then_some(&terms);
        let may = both.check_outcome(outcome, why, only_ncsc, at(DAYS)).is_ok();
        assert_eq!(may, outcome == ProposalOutcome::Withdrawn, "{outcome:?}");
    }
}

#[test]
fn an_answer_is_about_the_text_that_was_put_and_read() {
    let (ncsc, one) = (AgencyId::known("ncsc"), Digest([1; 32]));
    let put = proposal().put("ncsc");
    assert!(put.check_answerable(&ncsc, one).is_ok());
    assert_eq!(put.check_answerable(&ncsc, Digest([2; 32])), Err(Rejected::Changed));
    let amended = put.clone().amended();
    assert!(matches!(amended.check_answerable(&ncsc, one), Err(Rejected::WrongState(_))));
    assert!(matches!(amended.check_answerable(&ncsc, Digest([2; 32])), Err(Rejected::WrongState(_))));
    assert_eq!(amended.put("ncsc").check_answerable(&ncsc, one), Err(Rejected::Changed));
    let (outcome, why, by) = (ProposalOutcome::Closed, String::new(), OfficerId::known("a"));
    let closed = Proposal { concluded: Some(Concluded { outcome, why, by, at: at(2) }), ..put };
    assert!(matches!(closed.check_answerable(&ncsc, one), Err(Rejected::WrongState(_))));
    assert!(!closed.can(ProposalOutcome::Withdrawn, false, 50), "what is concluded is so for good");
}

#[test]
fn another_agency_is_shown_what_was_put_to_it_and_its_own_answers() {
    let incident = Some(IncidentId::known("inc_1"));
    let whole = proposal().put("ncsc").put("nca").said("ncsc", "approved").said("nca", "objected").amended();
    let shown = Proposal { incident, ..whole }.as_put_to(&AgencyId::known("nca"));
    assert_eq!(shown.texts.iter().map(|text| text.version).collect::<Vec<_>>(), [1]);
    assert_eq!(shown.puts.iter().map(|put| put.agency.as_str()).collect::<Vec<_>>(), ["nca"]);
    assert_eq!(shown.answers.iter().map(|answer| answer.word.as_str()).collect::<Vec<_>>(), ["objected"]);
    assert_eq!(shown.incident, None);
}

#[test]
fn late_is_without_an_answer_once_the_time_is_over() {
    let ncsc = AgencyId::known("ncsc");
    let late = |proposal: &Proposal, now| proposal.is_late(proposal.put_to(&ncsc).unwrap(), at(now));
    let put = proposal().put("ncsc");
    assert!(!late(&put, 99) && late(&put, 100));
    assert!(!late(&put.said("ncsc", "objected"), 100));
}

#[test]
fn what_is_published_is_what_was_concluded_on_after_its_embargo() {
    let concluded = |outcome| Concluded { outcome, why: String::new(), by: OfficerId::known("a"), at: at(2) };
    let words = ProposalWords { embargo_until: Some(at(50)), ..words() };
    let first = ProposalText { words: Some(words), ..text(1) };
    let agreed =
        Proposal { texts: vec![first], concluded: Some(concluded(ProposalOutcome::Agreed)), ..proposal().put("ncsc") };
    let one = Digest([1; 32]);
    assert!(agreed.check_publishable(one, at(49)).is_err() && agreed.check_publishable(one, at(50)).is_ok());
    assert!(agreed.check_publishable(Digest([2; 32]), at(50)).is_err());
    let withdrawn = Proposal { concluded: Some(concluded(ProposalOutcome::Withdrawn)), ..agreed.clone() };
    assert!(withdrawn.check_publishable(one, at(50)).is_err());
    assert!(Proposal { published_at: Some(at(51)), ..agreed }.check_publishable(one, at(60)).is_err());
}

#[test]
fn a_marking_says_to_whom_a_document_is_put() {
    let marked = |version: i64, tlp| {
        let words = Some(ProposalWords { tlp: Some(tlp), ..words() });
        ProposalText { words, ..text(version) }
    };
    let with = |texts: Vec<ProposalText>| Proposal { texts, ..proposal() };
    let may = |proposal: &Proposal, agency: &str| {
        let text = proposal.texts.first().unwrap();
        proposal.check_marking(text, &AgencyId::known(agency)).is_ok()
    };
    for (tlp, first, second) in [
        (Tlp::Clear, true, true),
        (Tlp::Green, true, true),
        (Tlp::Amber, true, true),
        (Tlp::AmberStrict, true, false),
        (Tlp::Red, false, false),
    ] {
        let document = with(vec![marked(1, tlp)]);
        assert_eq!(may(&document, "ncsc"), first, "{tlp:?}");
        let put = document.put("ncsc");
        assert_eq!((may(&put, "ncsc"), may(&put, "nca")), (first, second), "{tlp:?}");
    }
    // Another version of what only one agency may have; and a stricter one of what more of them have.
    let strict = with(vec![marked(1, Tlp::AmberStrict)]).put("ncsc");
    let again = Proposal { texts: vec![marked(2, Tlp::AmberStrict), marked(1, Tlp::AmberStrict)], ..strict.clone() };
    assert!(may(&again, "ncsc") && !may(&again, "nca"));
    let opened_up = Proposal { texts: vec![marked(2, Tlp::Clear), marked(1, Tlp::AmberStrict)], ..strict };
    assert!(may(&opened_up, "nca"), "its agency may say more of its own");
    let stricter = with(vec![marked(1, Tlp::Clear)]).put("ncsc").put("nca");
    let stricter = Proposal { texts: vec![marked(2, Tlp::AmberStrict), marked(1, Tlp::Clear)], ..stricter };
    assert!(may(&stricter, "nca") && !may(&stricter.put("ncsc"), "nca"));
}

#[test]
fn a_document_asks_for_no_answer_and_names_no_incident() {
    let parties = [AgencyId::known("ico"), AgencyId::known("nca"), AgencyId::known("ncsc")];
    let document = || ProposalTerms {
        document: true,
        answered_by: BTreeSet::new(),
        agreeing: BTreeSet::new(),
        objecting: BTreeSet::new(),
        outcomes: BTreeSet::from([ProposalOutcome::Superseded, ProposalOutcome::Withdrawn]),
        answer_days: 0,
        names_incident: false,
        published: false,
        ..terms(false)
    };
    assert_eq!(document().check(&parties), Ok(()));
    let wrong = [
        ProposalTerms { names_incident: true, ..document() },
        ProposalTerms { published: true, ..document() },
        ProposalTerms { answer_days: 2, ..document() },
        ProposalTerms { agreeing: terms(false).agreeing, ..document() },
        ProposalTerms { outcomes: terms(false).outcomes, ..document() },
        ProposalTerms { citation: " ".into(), ..document() },
        ProposalTerms { document: false, ..document() },
        terms(false),
    ];
    for terms in wrong {
        assert!(terms.check(&parties).is_err(), "{terms:?}");
    }
}
