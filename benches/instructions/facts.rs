//! The facts of a release from the NCSC to the ICO, with consent and authorisation; nothing in them is random.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use concordat::decision::{Agreement, Facts, InForce, Match, Proposal};
use concordat::domain::{
    Activity, AgencyId, Ask, Authorisation, AuthorisationId, Category, Consent, ConsentId, ConsentScope, ConsentState,
    Coverage, Digest, Ground, Incident, IncidentId, Instant, Markings, Occurred, OfficerId, OrganisationId, Purpose,
    Question, Reference, RequestId, Requester, Subject, Unit, Urgency,
};

pub(crate) const CLAUSES: &str = include_str!("../../agreements/ico-ncsc-2023/clauses.cedar");
pub(crate) const HOLDER: &str = "ncsc";
pub(crate) const REQUESTER: &str = "ico";
const TERMS: &str = include_str!("../../agreements/ico-ncsc-2023/agreement.toml");
const STATUTE_TERMS: &str = include_str!("../../agreements/nis-regulations-2018/agreement.toml");
const STATUTE_CLAUSES: &str = include_str!("../../agreements/nis-regulations-2018/clauses.cedar");
const ASKED: [&str; 4] = ["identity", "narrative", "technical-indicators", "timeline"];
const HELD: [&str; 6] = ["identity", "impact", "narrative", "root-cause", "technical-indicators", "timeline"];

/// The memorandum, as a node has it.
pub(crate) fn agreement() -> Result<Agreement> {
    load(TERMS, CLAUSES)
}

/// The statute under which the ICO discloses to the NCSC as well.
pub(crate) fn statute() -> Result<Agreement> {
    load(STATUTE_TERMS, STATUTE_CLAUSES)
}

fn load(terms: &str, clauses: &str) -> Result<Agreement> {
    let proposal = Proposal { terms: terms.to_owned(), clauses: clauses.to_owned() };
    Ok(Agreement::load(&proposal.text())?)
}

/// One incident is asked for by its reference and held, consented to and authorised.
pub(crate) fn release(consent: ConsentState) -> Result<Facts> {
    let at = Instant::on_date("2026-03-02").map_err(|e| anyhow!(e.problem))?;
    let agreement = agreement()?;
    let incident = incident(at);
    Ok(Facts {
        format: 2,
        at,
        ask: ask(),
        in_force: vec![InForce { id: agreement.id().clone(), digest: agreement.digest() }],
        matches: vec![Match {
            consents: vec![self::consent(&incident, consent, at)],
            authorisations: vec![authorisation(&incident, at)],
            merger_recorded_at: None,
            frozen_since: None,
            permissions: Vec::new(),
            alike: None,
            incident,
        }],
    })
}

/// The same once something of it is not there.
pub(crate) fn without(take: impl FnOnce(&mut Facts)) -> Result<Facts> {
    let mut facts = release(ConsentState::Given)?;
    take(&mut facts);
    Ok(facts)
}

/// The same the other way, from the ICO to the NCSC: decided under memorandum and statute.
pub(crate) fn release_to_ncsc() -> Result<Facts> {
    let mut facts = release(ConsentState::Given)?;
    let statute = statute()?;
    facts.in_force.push(InForce { id: statute.id().clone(), digest: statute.digest() });
    let (holder, requester) = (AgencyId::known(REQUESTER), AgencyId::known(HOLDER));
    facts.ask.holder = holder.clone();
    facts.ask.requester.agency = requester.clone();
    for found in &mut facts.matches {
        found.incident.holder = holder.clone();
        for consent in &mut found.consents {
            consent.holder = holder.clone();
            consent.recipient = requester.clone();
            if let Some(scope) = &mut consent.scope {
                scope.recipient = requester.clone();
            }
        }
        for authorisation in &mut found.authorisations {
            authorisation.holder = holder.clone();
            authorisation.recipient = requester.clone();
            authorisation.ground = Ground::known("dpa-2018-s132-2-a");
        }
    }
    Ok(facts)
}

fn ask() -> Ask {
    Ask {
        question: Question::known("req_06g2k4m8q0s4u8000000000000"),
        request_id: RequestId::known("5f0c6f3e-1111-4222-8333-944455556666"),
        requester: Requester {
            agency: AgencyId::known(REQUESTER),
            unit: Unit::known("Cyber investigations"),
            pseudonym: "o_7aqzpx3n5v".to_owned(),
        },
        holder: AgencyId::known(HOLDER),
        subject: Subject::Reference(Reference::known("ref_2345672345672345672345672")),
        activity: Activity::Disclose,
        purpose: Purpose::known("harm-reduction"),
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
        categories: categories(),
        urgency: Urgency::Routine,
        pinned: None,
        naming: None,
    }
}

fn incident(at: Instant) -> Incident {
    Incident {
        id: IncidentId::known("inc_2345672345672345672345672a"),
        holder: AgencyId::known(HOLDER),
        organisation: OrganisationId::known("org_2345672345672345672345672a"),
        revision: 3,
        occurred: Occurred { from: at.plus_days(-40), until: at.plus_days(-30) },
        markings: Markings::default(),
        notification: None,
        campaign: None,
        retain_until: at.plus_days(2000),
        categories: HELD.into_iter().map(|name| (Category::known(name), Digest([7; 32]))).collect(),
        provenance: None,
    }
}

fn consent(incident: &Incident, state: ConsentState, at: Instant) -> Consent {
    Consent {
        id: ConsentId::known("con_2345672345672345672345672a"),
        version: 2,
        holder: AgencyId::known(HOLDER),
        organisation: incident.organisation.clone(),
        recipient: AgencyId::known(REQUESTER),
        state,
        scope: Some(ConsentScope {
            recipient: AgencyId::known(REQUESTER),
            purposes: purposes(),
            enforcement: false,
            categories: categories(),
            coverage: Coverage::Incident { id: incident.id.clone(), revision: 3, covers_updates: true },
            onward: false,
            valid_from: at.plus_days(-20),
            valid_until: at.plus_days(300),
        }),
        evidence: None,
        recorded_by: OfficerId::known("r.officer@ncsc.example"),
        recorded_at: at.plus_days(-20),
        confirmed_at: at.plus_days(-20),
    }
}

fn authorisation(incident: &Incident, at: Instant) -> Authorisation {
    Authorisation {
        id: AuthorisationId::known("aut_2345672345672345672345672a"),
        holder: AgencyId::known(HOLDER),
        incident: incident.id.clone(),
        revision: 3,
        covers_updates: false,
        recipient: AgencyId::known(REQUESTER),
        purposes: purposes(),
        categories: categories(),
        ground: Ground::known("isa-1994-s4-2-a"),
        given_at: at.plus_days(-10),
        valid_until: at.plus_days(80),
        revoked_at: None,
        preview: None,
        form: Ask::ORGANISATION_SPECIFIC.to_owned(),
    }
}

fn categories() -> BTreeSet<Category> {
    ASKED.into_iter().map(Category::known).collect()
}

fn purposes() -> BTreeSet<Purpose> {
    ["harm-reduction", "regulatory-assessment"].into_iter().map(Purpose::known).collect()
}
