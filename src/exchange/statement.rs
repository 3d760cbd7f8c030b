//! What an entry's commitments commit to: domain values as the contract's statements. One place for this translation.

mod passage;

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::decision::{
    Decision, Disposal, Facts, Handling, Naming, NamingFacts, NotCovered, Permitted, Sharing, SharingFacts, Wanted,
};
use crate::domain::{
    Acknowledgement, AgencyId, AnonymisedRecord, AnonymisedValue, Ask, Category, Digest, Ground, IncidentId, Instant,
    Notice, Quarter, Question, Reference, Subject, ThemeId, Urgency, WrongfulRelease,
};
use crate::proto::v1;
use crate::statistics::Rule;
use passage::ONWARD;
pub(crate) use passage::passages;
pub(super) use passage::{read_passage, read_time};

use super::plan::{By, Change, Keyed};
use super::tables::Tables;
use super::{Error, Result};

/// A time as the contract writes it.
pub(crate) fn timestamp(at: Instant) -> prost_types::Timestamp {
    let micros = at.micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// What an officer did to one record.
pub(super) fn act(by: &By, object: &str, version: i64) -> Vec<u8> {
    act_on(by, object, version).encode_to_vec()
}

/// What an officer did, to one record or to several.
pub(super) fn act_of(by: &By, change: &Change) -> Vec<u8> {
    let ids = |records: &[Keyed]| records.iter().map(|record| record.object.clone()).collect();
    v1::Act {
        organisations: ids(&change.organisations),
        incidents: ids(&change.incidents),
        ..act_on(by, &change.object, change.version)
    }
    .encode_to_vec()
}

fn act_on(by: &By, object: &str, version: i64) -> v1::Act {
    v1::Act {
        method: by.call.method.to_owned(),
        agency: by.actor.agency.to_string(),
        officer: by.actor.officer.to_string(),
        object: object.to_owned(),
        version,
        request_id: by.call.request_id.to_string(),
        request_digest: by.call.digest.as_bytes().to_vec(),
        ..v1::Act::default()
    }
}

/// The payload of each slot of an ask's entry.
pub(super) struct Statements {
    pub(super) act: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) outcome: Vec<u8>,
    pub(super) grounds: Vec<u8>,
}

/// What an ask's entry states. `sealed` is the facts as they are sealed beside it; `released` pairs each permitted
/// incident with the recipient's reference for it.
///
/// INVARIANT: the same arguments give the same bytes, in this version and in every later one. A replay relies on it.
pub(super) fn of_ask(
    facts: &Facts,
    sealed: &[u8],
    decision: &Decision,
    released: &[(Reference, &Permitted)],
    open_until: Instant,
    correction_contact: &str,
) -> Statements {
    Statements {
        act: ask(&facts.ask),
        subject: subject(&facts.ask.subject),
        outcome: outcome(decision, released, open_until, correction_contact),
        grounds: grounds(decision, sealed),
    }
}

/// What was asked, without what it was about.
fn ask(ask: &Ask) -> Vec<u8> {
    let naming_ground = match &ask.subject {
        Subject::Reference(_) => String::new(),
        Subject::Organisation(named) => named.ground.to_string(),
    };
    v1::AskStatement {
        requester: ask.requester.agency.to_string(),
        unit: ask.requester.unit.to_string(),
        officer_pseudonym: ask.requester.pseudonym.clone(),
        holder: ask.holder.to_string(),
        purpose: ask.purpose.to_string(),
        form: ask.form.clone(),
        categories: ask.categories.iter().map(ToString::to_string).collect(),
        request_id: ask.request_id.to_string(),
        // Two asks of one request would be laid side by side.
        request: if ask.is_anonymised() { String::new() } else { ask.question.to_string() },
        naming_ground,
        urgency: if ask.urgency == Urgency::Routine { String::new() } else { ask.urgency.as_str().to_owned() },
    }
    .encode_to_vec()
}

/// What an ask was about.
fn subject(subject: &Subject) -> Vec<u8> {
    let statement = match subject {
        Subject::Reference(reference) => {
            v1::SubjectStatement { reference: reference.to_string(), ..v1::SubjectStatement::default() }
        }
        Subject::Organisation(named) => v1::SubjectStatement {
            reference: String::new(),
            identifiers: named
                .identifiers
                .iter()
                .map(|identifier| v1::subject_statement::Identified {
                    scheme: identifier.scheme().to_owned(),
                    value: identifier.value().to_owned(),
                })
                .collect(),
            from_micros: named.period.from.micros(),
            until_micros: named.period.until.micros(),
        },
    };
    statement.encode_to_vec()
}

/// What came of an ask.
fn outcome(
    decision: &Decision,
    released: &[(Reference, &Permitted)],
    open_until: Instant,
    correction_contact: &str,
) -> Vec<u8> {
    let mut statement =
        v1::OutcomeStatement { open_until_micros: open_until.micros(), ..v1::OutcomeStatement::default() };
    match decision {
        Decision::Permit(_) => {
            "released".clone_into(&mut statement.outcome);
            statement.released = released
                .iter()
                .map(|(reference, permitted)| match &permitted.record {
                    Some(record) => v1::ReleasedStatement {
                        record: Some(anonymised(record)),
                        handling: Some(handling(&permitted.handling, None, correction_contact)),
                        ..v1::ReleasedStatement::default()
                    },
                    None => v1::ReleasedStatement {
                        reference: reference.to_string(),
                        categories: permitted
                            .categories
                            .iter()
                            .map(|(category, commitment)| v1::CategoryStatement {
                                category: category.to_string(),
                                commitment: commitment.as_bytes().to_vec(),
                            })
                            .collect(),
                        handling: Some(handling(&permitted.handling, Some(reference), correction_contact)),
                        record: None,
                    },
                })
                .collect();
        }
        Decision::Open(_) => "open".clone_into(&mut statement.outcome),
        Decision::NotCovered(not_covered) => {
            "not-covered".clone_into(&mut statement.outcome);
            statement.explanation.clone_from(&not_covered.explanation);
        }
    }
    statement.encode_to_vec()
}

/// What is offered, for holder and recipient.
pub(super) fn offer(ask: &Ask, request: Option<&Question>, categories: &BTreeSet<Category>) -> Vec<u8> {
    let reference = match &ask.subject {
        Subject::Reference(reference) if request.is_none() => reference.to_string(),
        _ => String::new(),
    };
    v1::OfferStatement {
        holder: ask.holder.to_string(),
        recipient: ask.requester.agency.to_string(),
        request: request.map(ToString::to_string).unwrap_or_default(),
        reference,
        purpose: ask.purpose.to_string(),
        categories: categories.iter().map(ToString::to_string).collect(),
    }
    .encode_to_vec()
}

/// What the length of sealed facts is a multiple of: as much as the facts about one incident with a consent and an
/// authorisation take.
const FACTS_BYTES: usize = 3_072;

/// The facts as they are sealed beside their entry; the grounds name them by their digest.
///
/// Spaces fill them up, so that writing them takes as long, and whoever reads the database sees as many bytes, whether
/// anything matched or not.
pub(super) fn facts(facts: &Facts) -> Result<Vec<u8>> {
    let mut sealed = serde_json::to_vec(facts).map_err(|_| Error::Internal("facts could not be written"))?;
    sealed.resize(sealed.len().next_multiple_of(FACTS_BYTES), b' ');
    Ok(sealed)
}

/// Whether another agency may see what refers to an incident. `shown` is the id of that.
///
/// INVARIANT: as [`of_ask`].
pub(super) fn existence(ask: &Ask, shown: &str, decision: &Decision) -> Vec<u8> {
    let (answer, permitted) = match decision {
        Decision::Permit(permit) => ("given", permit.permitted()),
        Decision::Open(_) => ("not-given", [].as_slice()),
        Decision::NotCovered(_) => ("not-covered", [].as_slice()),
    };
    v1::ExistenceStatement {
        answer: answer.to_owned(),
        holder: ask.holder.to_string(),
        recipient: ask.requester.agency.to_string(),
        purpose: ask.purpose.to_string(),
        shown: shown.to_owned(),
        clauses: permitted.iter().flat_map(|one| &one.basis.clauses).map(ToString::to_string).collect(),
    }
    .encode_to_vec()
}

/// Why, for the holder.
pub(super) fn grounds(decision: &Decision, sealed: &[u8]) -> Vec<u8> {
    let reasons = match decision {
        Decision::Permit(permit) => permit.reasons().to_vec(),
        Decision::Open(denial) => denial.reasons().to_vec(),
        Decision::NotCovered(not_covered) => vec![format!("{}: {}", not_covered.reason, not_covered.explanation)],
    };
    self::reasons(&reasons, sealed)
}

/// Reasons, with the digest of the sealed facts from which they can be computed again.
pub(super) fn reasons(reasons: &[String], sealed: &[u8]) -> Vec<u8> {
    v1::GroundsStatement { facts_digest: digest(&SHA256, sealed).as_ref().to_vec(), reasons: reasons.to_vec() }
        .encode_to_vec()
}

/// What caused a notice, for its holder.
pub(super) fn cause(cause: &str) -> Vec<u8> {
    v1::GroundsStatement { facts_digest: Vec::new(), reasons: vec![cause.to_owned()] }.encode_to_vec()
}

/// A notice for both sides, or what its recipient said of it.
pub(super) fn notice(notice: &Notice, said: Option<&Acknowledgement>) -> Vec<u8> {
    let about = &notice.about;
    v1::NoticeStatement {
        notice: notice.id.to_string(),
        kind: notice.kind.as_str().to_owned(),
        issuer: about.holder.to_string(),
        recipient: about.recipient.to_string(),
        is_release: about.index.is_some(),
        receipt_index: about.index.unwrap_or_default(),
        reference: about.terms.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        disclosed_at_micros: about.at.micros(),
        due_at_micros: notice.due_at.micros(),
        acknowledgement: said.map(|Acknowledgement { version, said, .. }| v1::AcknowledgementStatement {
            version: *version,
            outcome: said.outcome.clone(),
            reason: said.reason.clone(),
            passed_on_to: said.passed_on.iter().map(ToString::to_string).collect(),
        }),
    }
    .encode_to_vec()
}

/// A wrongful release as it is opened, or as it is closed.
pub(super) fn wrongful_release(wrongful: &WrongfulRelease, lifted: bool, closed: bool) -> Vec<u8> {
    let freeze = |(incident, recipient): (IncidentId, AgencyId)| v1::FreezeStatement {
        incident: incident.to_string(),
        recipient: recipient.to_string(),
    };
    v1::WrongfulReleaseStatement {
        wrongful_release: wrongful.id.to_string(),
        cause: wrongful.cause.clone(),
        freezes: wrongful.freezes().into_iter().map(freeze).collect(),
        lifted,
        closed,
        reason: wrongful.reason.clone(),
        aware_at_micros: wrongful.aware_at.micros(),
    }
    .encode_to_vec()
}

/// What a holder published for a quarter.
pub(super) fn publication(holder: &AgencyId, quarter: Quarter, rule: Rule, tables: &Tables) -> Vec<u8> {
    let stated = |(digest, table): &(Digest, v1::StatisticsTable)| v1::PublishedTableStatement {
        id: table.id.clone(),
        digest: digest.as_bytes().to_vec(),
    };
    v1::PublicationStatement {
        holder: holder.to_string(),
        quarter: quarter.to_string(),
        threshold: rule.threshold,
        margin: rule.margin,
        largest_share: rule.largest_share,
        tables: tables.all().iter().map(stated).collect(),
    }
    .encode_to_vec()
}

/// What a holder's second officer confirmed.
pub(super) fn theme(holder: &AgencyId, theme: &ThemeId, version: i64, digest: Digest, rule: Rule) -> Vec<u8> {
    v1::ThemeStatement {
        holder: holder.to_string(),
        theme: theme.to_string(),
        version,
        digest: digest.as_bytes().to_vec(),
        threshold: rule.threshold,
        largest_share: rule.largest_share,
    }
    .encode_to_vec()
}

/// The facts of an ask for a table or a theme as they are sealed beside its entry.
pub(super) fn sharing_facts(facts: &SharingFacts) -> Result<Vec<u8>> {
    serde_json::to_vec(facts).map_err(|_| Error::Internal("facts could not be written"))
}

/// What the entry of an ask for a table or a theme states.
///
/// INVARIANT: the same arguments give the same bytes, in this version and in every later one. A replay relies on it.
pub(super) fn of_sharing_ask(facts: &SharingFacts, sealed: &[u8], decision: &Sharing) -> Statements {
    let requester = &facts.requester;
    let (agency, unit, pseudonym) = (requester.agency.to_string(), requester.unit.to_string(), &requester.pseudonym);
    let (holder, request_id) = (facts.holder.to_string(), facts.request_id.to_string());
    let act = match &facts.wanted {
        Wanted::Table { quarter, table, .. } => v1::StatisticsAskStatement {
            requester: agency,
            unit,
            officer_pseudonym: pseudonym.clone(),
            holder,
            quarter: quarter.to_string(),
            table: table.clone(),
            request_id,
        }
        .encode_to_vec(),
        Wanted::Theme { theme, .. } => v1::ThemeAskStatement {
            requester: agency,
            unit,
            officer_pseudonym: pseudonym.clone(),
            holder,
            theme: theme.to_string(),
            request_id,
        }
        .encode_to_vec(),
    };
    let mut outcome = v1::StatisticsOutcomeStatement::default();
    let reason = match decision {
        Sharing::Permit(permit) => {
            "shared".clone_into(&mut outcome.outcome);
            outcome.digest = permit.digest().as_bytes().to_vec();
            outcome.clauses = permit.clauses().iter().map(ToString::to_string).collect();
            format!("permitted by {}", outcome.clauses.join(", "))
        }
        Sharing::NotCovered(why) => {
            "not-covered".clone_into(&mut outcome.outcome);
            outcome.explanation.clone_from(&why.explanation);
            format!("{}: {}", why.reason, why.explanation)
        }
        Sharing::NotPublished { explanation, why } => {
            "not-published".clone_into(&mut outcome.outcome);
            outcome.explanation.clone_from(explanation);
            why.clone()
        }
    };
    Statements { act, subject: Vec::new(), outcome: outcome.encode_to_vec(), grounds: reasons(&[reason], sealed) }
}

/// The facts of a decision on naming as they are sealed beside its entry.
pub(super) fn naming_facts(facts: &NamingFacts) -> Result<Vec<u8>> {
    serde_json::to_vec(facts).map_err(|_| Error::Internal("facts could not be written"))
}

/// What the entry of a decision on naming states of it, and why.
///
/// INVARIANT: as [`of_ask`].
pub(super) fn of_naming(facts: &NamingFacts, sealed: &[u8], decision: &Naming) -> (Vec<u8>, Vec<u8>) {
    let mut outcome = v1::NamingStatement {
        disclosing: facts.requester.agency.to_string(),
        receiving: facts.recipient.to_string(),
        purpose: facts.purpose.to_string(),
        ground: facts.ground.to_string(),
        ..v1::NamingStatement::default()
    };
    let (answer, reason, explanation, why) = match decision {
        Naming::Permit(permit) => {
            outcome.salt = facts.salt.as_bytes().to_vec();
            outcome.names = facts.names().iter().map(|name| name.as_bytes().to_vec()).collect();
            outcome.until_micros = permit.until().micros();
            ("given", "", "", permit.reason().to_owned())
        }
        Naming::NotCovered(NotCovered { reason, explanation }) => {
            ("not-covered", *reason, explanation.as_str(), format!("{reason}: {explanation}"))
        }
        Naming::NotConsented { explanation, why } => {
            ("not-given", Naming::NOT_CONSENTED, explanation.as_str(), why.clone())
        }
        Naming::Erred { alarm } => (
            "not-given",
            NotCovered::CLAUSE_ERRED,
            "a clause could not be evaluated: tell your operator",
            alarm.clone(),
        ),
    };
    (outcome.answer, outcome.reason) = (answer.to_owned(), reason.to_owned());
    explanation.clone_into(&mut outcome.explanation);
    (outcome.encode_to_vec(), reasons(&[why], sealed))
}

/// An anonymised record as the contract writes it.
pub(crate) fn anonymised(record: &AnonymisedRecord) -> v1::AnonymisedRecord {
    let value = |one: &AnonymisedValue| v1::AnonymisedValue {
        dimension: one.dimension.clone(),
        value: one.value.clone(),
        title: one.title.clone(),
    };
    v1::AnonymisedRecord { period: record.period.clone(), values: record.values.iter().map(value).collect() }
}

/// The handling terms as the contract writes them.
///
/// `reference` is the recipient's for what is released.
pub(crate) fn handling(handling: &Handling, reference: Option<&Reference>, correction_contact: &str) -> v1::Handling {
    v1::Handling {
        purposes: vec![handling.purpose.to_string()],
        enforcement: handling.enforcement,
        onward: ONWARD.word(handling.onward),
        tlp: handling.markings.tlp.as_str().to_owned(),
        pap: handling.markings.pap.as_str().to_owned(),
        classification: handling.markings.classification.as_str().to_owned(),
        review_by: Some(timestamp(handling.review_by)),
        correction_contact: correction_contact.to_owned(),
        clauses: handling.clauses.iter().map(ToString::to_string).collect(),
        obligations: handling.obligations.clone(),
        dispose_by: handling.disposal.and_then(Disposal::by).map(timestamp),
        provenance: reference
            .and_then(|reference| handling.provenance(reference))
            .map(|chain| passages(&chain))
            .unwrap_or_default(),
    }
}

/// What an erasure rested on and took with it.
pub(super) fn erasure(ground: &Ground, due: bool, revisions: i64, entries: usize) -> Vec<u8> {
    v1::ErasureStatement { ground: ground.to_string(), due, revisions, entries: entries as u64 }.encode_to_vec()
}
