//! What of a receipt must fit an ask, with the bundled agreement: each condition by itself.

use super::*;
use crate::decision::{Agreement, Proposal, cover};
use crate::domain::{Ask, Category, NamedOrganisation, Occurred, Question, Subject, Unit, Urgency};

const NCSC: (&str, &str) = (
    include_str!("../../../agreements/ico-ncsc-2023/agreement.toml"),
    include_str!("../../../agreements/ico-ncsc-2023/clauses.cedar"),
);
const NCA: (&str, &str) = (
    include_str!("../../../agreements/ico-nca-2024/agreement.toml"),
    include_str!("../../../agreements/ico-nca-2024/clauses.cedar"),
);
const AT: Instant = Instant::from_micros(1_790_000_000_000_000);

fn after(micros: i64) -> Instant {
    Instant::from_micros(AT.micros() + micros)
}

fn company(number: &str) -> Identifier {
    Identifier::parse("gb-coh", number).unwrap()
}

/// One with which the NCSC may name this company to the ICO.
fn receipt(number: &str) -> NamingReceipt {
    let salt = Digest([7; 32]);
    NamingReceipt {
        ledger: "ncsc.example".to_owned(),
        index: 3,
        disclosing: AgencyId::known("ncsc"),
        receiving: AgencyId::known("ico"),
        purpose: Purpose::known("harm-reduction"),
        ground: Ground::known("isa-1994-s4-2-a"),
        names: [name_digest(&salt, &company(number))].into(),
        salt,
        given_at: AT,
        until: after(1),
    }
}

fn loaded(terms: &str, clauses: &str) -> Agreement {
    let proposal = Proposal { terms: terms.to_owned(), clauses: clauses.to_owned() };
    Agreement::load(&proposal.text()).unwrap()
}

/// The agreement with an overflow where this clause begins.
fn erring((terms, clauses): (&str, &str), clause: &str) -> Agreement {
    let begins =
        format!("@id(\"{clause}\")\npermit (principal, action == Action::\"name-in-request\", resource)\nwhen {{");
    assert_eq!(clauses.matches(&begins).count(), 1);
    loaded(terms, &clauses.replace(&begins, &format!("{begins} context.at + {} > 0 &&", i64::MAX)))
}

/// What becomes of the NCSC's asking the ICO about company 1, by what it shows.
fn asked(agreements: &[&Agreement], naming: Option<NamingReceipt>) -> &'static str {
    let ask = Ask {
        question: Question::known("req_1"),
        request_id: RequestId::known("request-1"),
        requester: Requester { agency: AgencyId::known("ncsc"), unit: Unit::known("desk"), pseudonym: String::new() },
        holder: AgencyId::known("ico"),
        subject: Subject::Organisation(NamedOrganisation {
            identifiers: [company("1")].into(),
            period: Occurred { from: after(-2), until: after(-1) },
            ground: Ground::known("isa-1994-s4-2-a"),
        }),
        activity: Activity::Disclose,
        purpose: Purpose::known("harm-reduction"),
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        categories: [Category::known("identity")].into(),
        urgency: Urgency::Routine,
        pinned: None,
        naming,
    };
    cover(&ask, agreements, AT).map_or_else(|not_covered| not_covered.reason, |_| "COVERED")
}

#[test]
fn a_receipt_counts_for_what_it_says_and_when() {
    let agreement = loaded(NCSC.0, NCSC.1);
    let right = receipt("1");
    assert_eq!(asked(&[&agreement], None), "NAMING_RECEIPT_REQUIRED");
    assert_eq!(asked(&[&agreement], Some(right.clone())), "COVERED");
    for (what, shown, reason) in [
        ("whose", NamingReceipt { disclosing: AgencyId::known("nca"), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("to whom", NamingReceipt { receiving: AgencyId::known("nca"), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("for what", NamingReceipt { purpose: Purpose::known("other"), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("on what", NamingReceipt { ground: Ground::known("other"), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("about whom", receipt("2"), "NAMING_RECEIPT_DIFFERS"),
        ("salt", NamingReceipt { salt: Digest([8; 32]), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("nobody", NamingReceipt { names: BTreeSet::new(), ..right.clone() }, "NAMING_RECEIPT_DIFFERS"),
        ("over", NamingReceipt { until: AT, ..right.clone() }, "NAMING_RECEIPT_ENDED"),
        ("not begun", NamingReceipt { given_at: after(1), until: after(2), ..right.clone() }, "NAMING_RECEIPT_ENDED"),
    ] {
        assert_eq!(asked(&[&agreement], Some(shown)), reason, "{what}");
    }
}

#[test]
fn a_clause_that_errs_is_not_put_down_to_the_receipt_or_the_consent() {
    let facts = NamingFacts {
        format: 1,
        at: AT,
        requester: Requester { agency: AgencyId::known("ncsc"), unit: Unit::known("desk"), pseudonym: String::new() },
        request_id: RequestId::known("request-1"),
        recipient: AgencyId::known("ico"),
        purpose: Purpose::known("harm-reduction"),
        ground: Ground::known("isa-1994-s4-2-a"),
        organisation: OrganisationId::known("org_1"),
        identifiers: [company("1")].into(),
        merger_recorded_at: None,
        consents: Vec::new(),
        salt: Digest([7; 32]),
        in_force: Vec::new(),
    };
    let (sound, errs) = (loaded(NCSC.0, NCSC.1), erring(NCSC, "ico-ncsc-2023/name-to-ico"));
    assert_eq!(asked(&[&errs], Some(receipt("1"))), "CLAUSE_ERRED");
    assert!(matches!(decide_naming(&facts, &[&errs]), Naming::Erred { .. }));
    // What errs in the agreement with the NCA is not about the NCSC's naming anybody.
    let elsewhere = erring(NCA, "ico-nca-2024/name-to-ico");
    assert_eq!(asked(&[&sound, &elsewhere], Some(receipt("1"))), "COVERED");
    assert!(matches!(decide_naming(&facts, &[&sound, &elsewhere]), Naming::NotConsented { .. }));
}

#[test]
fn no_two_identifiers_have_one_digest() {
    let salt = Digest([7; 32]);
    let parsed = |scheme, value| name_digest(&salt, &Identifier::parse(scheme, value).unwrap());
    assert_ne!(parsed("gb-coh", "SC012345"), parsed("gb-sc", "SC012345"));
    assert_eq!(parsed("gb-coh", "1"), parsed("gb-coh", "00000001"));
    // As a peer that is written in another language computes it.
    let bytes = [&[7; 32][..], b"gb-coh", &[0], b"00000001"].concat();
    assert_eq!(parsed("gb-coh", "1").as_bytes().as_slice(), aws_lc_rs::digest::digest(&SHA256, &bytes).as_ref());
}
