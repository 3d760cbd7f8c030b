//! The gate on what came from another agency, with the bundled agreements, against a judge that reads the facts itself.

use super::*;
use crate::decision::{Agreement, Decision, Facts, Proposal, decide};
use crate::domain::{
    Activity, AgreementId, Authorisation, AuthorisationId, Consent, ConsentId, ConsentScope, ConsentState, Coverage,
    Digest, Ground, Incident, IncidentId, Markings, Occurred, OfficerId, OrganisationId, Passage, PermissionRule,
    Purpose, Question, Reference, RequestId, Requester, Subject, Tlp, Unit, Urgency,
};

const NCA: (&str, &str) = (
    include_str!("../../../agreements/ico-nca-2024/agreement.toml"),
    include_str!("../../../agreements/ico-nca-2024/clauses.cedar"),
);
const NCSC: (&str, &str) = (
    include_str!("../../../agreements/ico-ncsc-2023/agreement.toml"),
    include_str!("../../../agreements/ico-ncsc-2023/clauses.cedar"),
);
const PURPOSE: &str = "serious-organised-crime";
/// The time of every ask.
const AT: i64 = 1_790_000_000_000_000;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Once in so many times.
    fn rarely(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    /// A time beside the ask's: before, at or after it.
    fn beside(&mut self) -> Instant {
        Instant::from_micros(AT - 1 + i64::try_from(self.next() % 3).unwrap())
    }
}

fn agency(id: &str) -> AgencyId {
    AgencyId::known(id)
}

fn set(words: &[&str]) -> BTreeSet<Category> {
    words.iter().map(|word| Category::known(*word)).collect()
}

fn passage(dice: &mut Dice, from: &str, to: &str) -> Passage {
    let consent = dice.rarely(2).then(|| ConsentTerms {
        purposes: [Purpose::known(if dice.rarely(12) { "harm-reduction" } else { PURPOSE })].into(),
        enforcement: dice.rarely(2),
        onward: !dice.rarely(12),
        until: if dice.rarely(8) { dice.beside() } else { Instant::MAX },
    });
    Passage {
        from: agency(from),
        to: agency(to),
        reference: Reference::known(format!("ref_{from}")),
        agreements: [AgreementId::known("any")].into(),
        permission: if dice.rarely(3) { PermissionRule::Originator } else { PermissionRule::Chain },
        onward: match dice.next() % 16 {
            0 => Onward::No,
            1 | 2 => Onward::Yes,
            _ => Onward::WithConsent,
        },
        consent,
        markings: Markings { tlp: if dice.rarely(24) { Tlp::Red } else { Tlp::Amber }, ..Markings::default() },
        caveats: vec![],
    }
}

fn permission(dice: &mut Dice, of: &str, number: usize) -> Permission {
    let at = Instant::from_micros(AT);
    Permission {
        id: PermissionId::known(format!("per_{of}_{number}")),
        of: agency(of),
        recipient: agency(if dice.rarely(12) { "fca" } else { "nca" }),
        purpose: Purpose::known(if dice.rarely(12) { "harm-reduction" } else { PURPOSE }),
        categories: match dice.next() % 8 {
            0 | 1 => set(&["timeline"]),
            2 | 3 => set(&["identity"]),
            _ => set(&["identity", "timeline"]),
        },
        shown_at: if dice.rarely(8) { dice.beside() } else { at },
        until: if dice.rarely(8) { dice.beside() } else { Instant::MAX },
        withdrawn_at: dice.rarely(10).then_some(at),
    }
}

/// What the ICO has by a chain that begins with the NCSC or an agency before it, and the NCA asks for.
fn facts(dice: &mut Dice) -> Facts {
    let passages = match dice.next() % 4 {
        0 | 1 => vec![passage(dice, "ncsc", "ico")],
        2 => vec![passage(dice, "fca", "ncsc"), passage(dice, "ncsc", "ico")],
        _ => vec![passage(dice, "nca", "ncsc"), passage(dice, "ncsc", "ico")],
    };
    let (at, holder) = (Instant::from_micros(AT), agency("ico"));
    let commitments = set(&["identity", "timeline"]).into_iter().map(|category| (category, Digest([1; 32])));
    let incident = Incident {
        id: IncidentId::known("inc_1"),
        holder: holder.clone(),
        organisation: OrganisationId::known("org_1"),
        revision: 1,
        occurred: Occurred { from: Instant::from_micros(0), until: at },
        markings: Markings::default(),
        notification: None,
        campaign: None,
        retain_until: Instant::MAX,
        categories: commitments.collect(),
        provenance: Some(Provenance::new(passages).unwrap()),
    };
    let authorisation = Authorisation {
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        id: AuthorisationId::known("aut_1"),
        holder: holder.clone(),
        incident: incident.id.clone(),
        revision: 1,
        covers_updates: false,
        recipient: agency("nca"),
        purposes: [Purpose::known(PURPOSE)].into(),
        categories: set(&["identity", "timeline"]),
        ground: Ground::known("dpa-2018-s132-2-f"),
        given_at: at,
        valid_until: Instant::MAX,
        revoked_at: None,
        preview: None,
    };
    let mut permissions = Vec::new();
    for of in ["ncsc", "fca", "nca"] {
        let several = match dice.next() % 8 {
            0 => 0,
            1..=4 => 1,
            5 | 6 => 2,
            _ => 3,
        };
        for number in 0..several {
            permissions.push(permission(dice, of, number));
        }
    }
    let ask = Ask {
        question: Question::known("req_1"),
        request_id: RequestId::known("request-1"),
        requester: Requester { agency: agency("nca"), unit: Unit::known("desk"), pseudonym: String::new() },
        holder,
        subject: Subject::Reference(Reference::known("ref_1")),
        activity: Activity::Disclose,
        purpose: Purpose::known(PURPOSE),
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        categories: set(&["identity", "timeline"]),
        urgency: Urgency::Routine,
        pinned: None,
        naming: None,
    };
    let (merger_recorded_at, consents) = (None, Vec::new());
    let authorisations = vec![authorisation];
    let (frozen_since, alike) = (None, None);
    let found = Match { incident, merger_recorded_at, frozen_since, consents, authorisations, permissions, alike };
    Facts { format: 1, at, ask, in_force: Vec::new(), matches: vec![found] }
}

/// What may pass, read from the facts row by row; empty: nothing.
fn judge(facts: &Facts) -> BTreeSet<Category> {
    let found = &facts.matches[0];
    let passages = found.incident.provenance.as_ref().unwrap().passages();
    let originator = passages[0].from.as_str();
    let mut may = set(&["identity", "timeline"]);
    for one in passages {
        if one.markings.tlp == Tlp::Red {
            return BTreeSet::new();
        }
        // The NCA's own part of the chain, coming back to it.
        if one.from.as_str() == "nca" {
            continue;
        }
        let consent = one.consent.as_ref();
        let beyond = consent.is_some_and(|terms| {
            !terms.onward || terms.until.micros() <= AT || !terms.purposes.iter().any(|one| one.as_str() == PURPOSE)
        });
        if one.onward == Onward::No || beyond {
            return BTreeSet::new();
        }
        let mut asked = vec![];
        if one.onward == Onward::WithConsent {
            asked.push(originator);
            if one.permission == PermissionRule::Chain {
                asked.push(one.from.as_str());
            }
        }
        for of in asked.into_iter().filter(|of| *of != "nca") {
            let good = found.permissions.iter().filter(|shown| {
                shown.of.as_str() == of
                    && shown.recipient.as_str() == "nca"
                    && shown.purpose.as_str() == PURPOSE
                    && shown.shown_at.micros() <= AT
                    && AT < shown.until.micros()
                    && shown.withdrawn_at.is_none()
            });
            let permitted: BTreeSet<&Category> = good.flat_map(|shown| &shown.categories).collect();
            may.retain(|category| permitted.contains(category));
        }
    }
    may
}

#[test]
fn the_gate_passes_on_what_the_judge_does_and_nothing_else() {
    let agreement = Agreement::load(&Proposal { terms: NCA.0.to_owned(), clauses: NCA.1.to_owned() }.text()).unwrap();
    let (mut passed, mut narrowed, mut stopped) = (0, 0, 0);
    for seed in 0..2_000 {
        let facts = facts(&mut Dice(seed));
        let right = judge(&facts);
        let gate = match decide(&facts, &[&agreement]) {
            Decision::Permit(permit) => permit.permitted()[0].basis.categories.clone(),
            Decision::Open(denial) => {
                assert!(denial.alarm().is_none(), "{:?}", denial.reasons());
                BTreeSet::new()
            }
            Decision::NotCovered(why) => panic!("{}", why.explanation),
        };
        assert_eq!(gate, right, "{:?} {:?}", facts.matches[0].incident.provenance, facts.matches[0].permissions);
        match right.len() {
            0 => stopped += 1,
            1 => narrowed += 1,
            _ => passed += 1,
        }
    }
    println!("{passed} passed, {narrowed} narrowed, {stopped} stopped");
    assert!(passed > 250 && narrowed > 50 && stopped > 250, "{passed} passed, {narrowed} narrowed, {stopped} stopped");
}

#[test]
fn what_has_no_permission_shown_names_the_limit() {
    let agreement = Agreement::load(&Proposal { terms: NCA.0.to_owned(), clauses: NCA.1.to_owned() }.text()).unwrap();
    let mut dice = Dice(1);
    let mut facts = facts(&mut dice);
    facts.matches[0].permissions.clear();
    facts.matches[0].incident.provenance = Some(
        Provenance::new(vec![Passage {
            onward: Onward::WithConsent,
            consent: None,
            markings: Markings::default(),
            ..passage(&mut dice, "ncsc", "ico")
        }])
        .unwrap(),
    );
    let Decision::Open(denial) = decide(&facts, &[&agreement]) else { panic!("it passed") };
    assert!(denial.reasons()[0].contains("limit/upstream-permission"), "{:?}", denial.reasons());
}

/// What the ICO has from the NCSC alone, with these permissions of the NCSC's.
fn of_the_ncsc(permissions: &[(&str, &[&str])]) -> Facts {
    let mut dice = Dice(1);
    let mut facts = facts(&mut dice);
    let only = Passage {
        onward: Onward::WithConsent,
        consent: None,
        markings: Markings::default(),
        ..passage(&mut dice, "ncsc", "ico")
    };
    facts.matches[0].incident.provenance = Some(Provenance::new(vec![only]).unwrap());
    let permission = |(id, categories): &(&str, &[&str])| Permission {
        id: PermissionId::known(*id),
        of: agency("ncsc"),
        recipient: agency("nca"),
        purpose: Purpose::known(PURPOSE),
        categories: set(categories),
        shown_at: Instant::from_micros(AT),
        until: Instant::MAX,
        withdrawn_at: None,
    };
    facts.matches[0].permissions = permissions.iter().map(permission).collect();
    facts
}

#[test]
fn two_permissions_of_an_agency_add_up_and_a_release_rests_on_those_that_it_uses() {
    let agreement = Agreement::load(&Proposal { terms: NCA.0.to_owned(), clauses: NCA.1.to_owned() }.text()).unwrap();
    let rests_on = |permissions: &[(&str, &[&str])]| {
        let Decision::Permit(permit) = decide(&of_the_ncsc(permissions), &[&agreement]) else {
            panic!("nothing passed")
        };
        let basis = permit.permitted()[0].basis.clone();
        assert_eq!(basis.categories, set(&["identity", "timeline"]));
        basis.permissions.iter().map(|id| id.as_str().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(rests_on(&[("per_1", &["identity"]), ("per_2", &["timeline"])]), ["per_1", "per_2"]);
    assert_eq!(rests_on(&[("per_1", &["identity"]), ("per_2", &["identity", "timeline"])]), ["per_2"]);
}

#[test]
fn a_release_decided_on_facts_of_format_1_states_no_chain() {
    let agreement = Agreement::load(&Proposal { terms: NCA.0.to_owned(), clauses: NCA.1.to_owned() }.text()).unwrap();
    let handling = |format: u32| {
        let mut facts = of_the_ncsc(&[]);
        facts.format = format;
        // What was recorded then had no chain, and no permission was shown for it.
        facts.matches[0].incident.provenance = None;
        let Decision::Permit(permit) = decide(&facts, &[&agreement]) else { panic!("nothing passed") };
        permit.permitted()[0].handling.clone()
    };
    let reference = Reference::known("ref_1");
    assert_eq!((handling(1).provenance(&reference), handling(1).disposal), (None, None));
    let chain = handling(2).provenance(&reference).unwrap();
    assert_eq!(chain.originator(), Some(&agency("ico")));
}

/// The agreement of the ICO and the NCSC under another name, with this rule.
fn ncsc_agreement(name: &str, permission: &str) -> Agreement {
    let named = |text: &str| text.replace("ico-ncsc-2023", name);
    let rule = "permission = \"chain\"";
    assert_eq!(NCSC.0.matches(rule).count(), 1);
    let terms = named(NCSC.0).replace(rule, &format!("permission = \"{permission}\""));
    Agreement::load(&Proposal { terms, clauses: named(NCSC.1) }.text()).unwrap()
}

/// What the NCSC is asked for by the ICO, under a consent with this scope.
fn asked_of_the_ncsc(before: Option<Provenance>, scope: ConsentScope) -> Facts {
    let mut facts = of_the_ncsc(&[]);
    facts.format = 2;
    (facts.ask.holder, facts.ask.requester.agency) = (agency("ncsc"), agency("ico"));
    facts.ask.purpose = Purpose::known("regulatory-enforcement");
    let found = &mut facts.matches[0];
    found.incident.provenance = before;
    found.incident.holder = agency("ncsc");
    for given in &mut found.authorisations {
        (given.holder, given.recipient) = (agency("ncsc"), agency("ico"));
        given.purposes = [facts.ask.purpose.clone()].into();
        given.ground = Ground::known("isa-1994-s4-2-a");
    }
    found.consents = vec![Consent {
        id: ConsentId::known("con_1"),
        version: 1,
        holder: agency("ncsc"),
        organisation: found.incident.organisation.clone(),
        recipient: agency("ico"),
        state: ConsentState::Given,
        scope: Some(scope),
        evidence: None,
        recorded_by: OfficerId::known("rec"),
        recorded_at: Instant::from_micros(0),
        confirmed_at: Instant::from_micros(0),
    }];
    facts
}

/// What a decision says of a release is what binds whoever passes it on: the strictest rule of the agreements under which it
/// was released, whichever comes first, and all of the consent's terms.
#[test]
fn the_chain_of_a_release_says_what_its_agreements_and_its_consent_do() {
    let rules = [("chain", PermissionRule::Chain), ("originator", PermissionRule::Originator)];
    let agreements: Vec<[Agreement; 2]> = rules
        .iter()
        .map(|(word, _)| ["ico-ncsc-2023", "ico-ncsc-also"].map(|name| ncsc_agreement(name, word)))
        .collect();
    let (mut chained, mut refused) = (0, 0);
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let enforcement = Purpose::known("regulatory-enforcement");
        let also = dice.rarely(2).then(|| Purpose::known("harm-reduction"));
        let scope = ConsentScope {
            recipient: agency("ico"),
            purposes: also.into_iter().chain([enforcement]).collect(),
            enforcement: true,
            categories: set(&["identity", "timeline"]),
            coverage: Coverage::AllIncidents,
            onward: dice.rarely(2),
            valid_from: Instant::from_micros(0),
            valid_until: Instant::from_micros(AT + 1 + i64::try_from(dice.next() % 9).unwrap()),
        };
        let before = dice.rarely(2).then(|| {
            let first = Passage { onward: Onward::Yes, consent: None, ..passage(&mut dice, "nca", "ncsc") };
            Provenance::new(vec![Passage { markings: Markings::default(), ..first }]).unwrap()
        });
        let (one, other) = (usize::from(dice.rarely(2)), usize::from(dice.rarely(2)));
        let facts = asked_of_the_ncsc(before.clone(), scope.clone());
        let Decision::Permit(permit) = decide(&facts, &[&agreements[one][0], &agreements[other][1]]) else {
            panic!("nothing passed")
        };
        let chain = permit.permitted()[0].handling.provenance(&Reference::known("ref_1")).unwrap();
        let (last, earlier) = chain.passages().split_last().unwrap();
        assert_eq!(earlier, before.as_ref().map_or(&[][..], Provenance::passages));
        let is_chain = [one, other].iter().any(|rule| rules[*rule].1 == PermissionRule::Chain);
        assert_eq!(last.permission == PermissionRule::Chain, is_chain, "{one} {other}");
        assert_eq!((&last.from, &last.to, last.agreements.len()), (&agency("ncsc"), &agency("ico"), 2));
        let ConsentScope { purposes, enforcement, onward, valid_until: until, .. } = scope;
        assert_eq!(last.onward == Onward::No, !onward);
        assert_eq!(last.consent, Some(ConsentTerms { purposes, enforcement, onward, until }));

        // So whoever has it from the ICO next needs whom these rows say.
        let ncsc = agency("ncsc");
        let originator = if before.is_some() { agency("nca") } else { ncsc.clone() };
        let both: BTreeSet<&AgencyId> = [&originator].into_iter().chain(is_chain.then_some(&ncsc)).collect();
        assert_eq!(chain.permissions_needed(&agency("fca")), both);
        chained += usize::from(is_chain && before.is_some());
        refused += usize::from(!onward);
    }
    assert!(chained > 50 && refused > 50, "{chained} {refused}");
}
