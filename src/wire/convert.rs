//! The only place where the contract's messages become domain values, and back.

mod advice;
mod notice;
mod organisation;
mod proposal;

use std::collections::BTreeSet;

use prost::Message;

use crate::domain::{
    Agency, AgencyId, AgencyName, AgencyNames, Authorisation, Category, Consent, ConsentId, Coverage, Digest, Event,
    EventKind, Evidence, Incident, IncidentId, Instant, Invalid, MandateId, Markings, OfficerId, Oral, Rejected,
    Suspension, Urgency, check,
};
use crate::exchange::{AgreementView, ScopeTerms};
use crate::proto::{CATEGORIES, v1};

pub(super) use crate::exchange::{passages, timestamp};
pub(super) use advice::{categorisation, recommendation, reminder, wording};
pub(super) use notice::{disclosure, issued_notice, notice, permission, wrongful_release, wrongful_view};
pub(super) use organisation::{found, identifier, identifiers, organisation, profile};
pub(super) use proposal::{proposal, proposal_summary};

/// Reads a field of text.
pub(super) fn field<T>(name: &str, text: &str, parse: impl Fn(String) -> Result<T, Invalid>) -> Result<T, Invalid> {
    parse(text.to_owned()).map_err(|problem| problem.within(name))
}

/// Reads a field of text that may be empty.
pub(super) fn optional<T>(
    name: &str,
    text: &str,
    parse: impl Fn(String) -> Result<T, Invalid>,
) -> Result<Option<T>, Invalid> {
    if text.is_empty() { Ok(None) } else { field(name, text, parse).map(Some) }
}

/// Reads a list of 1 to 16 values as a set.
pub(super) fn set<T: Ord>(
    name: &str,
    texts: &[String],
    parse: impl Fn(String) -> Result<T, Invalid>,
) -> Result<BTreeSet<T>, Invalid> {
    check(!texts.is_empty(), name, "is required: at least one")?;
    check(texts.len() <= 16, name, "must be at most 16")?;
    texts.iter().enumerate().map(|(i, text)| field(&format!("{name}[{i}]"), text, &parse)).collect()
}

/// Reads a list of categories that the contract knows.
pub(super) fn categories(name: &str, texts: &[String]) -> Result<BTreeSet<Category>, Invalid> {
    let known = |text: String| {
        let category = Category::parse(text)?;
        if CATEGORIES.iter().any(|(known, _)| *known == category.as_str()) {
            return Ok(category);
        }
        let all: Vec<&str> = CATEGORIES.iter().map(|(known, _)| *known).collect();
        Err(Invalid::new("", format!("`{category}` is not a category: one of {}", all.join(", "))))
    };
    set(name, texts, known)
}

/// Free text of at most so many characters, without control characters.
pub(super) fn text(name: &str, value: &str, most: usize) -> Result<String, Invalid> {
    check(value.chars().count() <= most, name, format!("must have at most {most} characters"))?;
    check(!value.chars().any(char::is_control), name, "must not have control characters")?;
    Ok(value.to_owned())
}

/// Free text that must not be empty.
pub(super) fn required(name: &str, value: &str, most: usize) -> Result<String, Invalid> {
    check(!value.trim().is_empty(), name, "is required")?;
    text(name, value, most)
}

/// Reads a time from 1970 to 9999. What is finer than a microsecond is cut off.
pub(super) fn instant(name: &str, value: Option<prost_types::Timestamp>) -> Result<Option<Instant>, Invalid> {
    let Some(value) = value else { return Ok(None) };
    check((0..1_000_000_000).contains(&value.nanos), name, "has nanoseconds outside 0 to 999,999,999")?;
    let most = Instant::MAX.micros() / 1_000_000;
    check((0..=most).contains(&value.seconds), name, "is outside 1970 to 9999")?;
    Ok(Some(Instant::from_micros(value.seconds * 1_000_000 + i64::from(value.nanos / 1_000))))
}

/// Reads a time that must be there.
pub(super) fn required_instant(name: &str, value: Option<prost_types::Timestamp>) -> Result<Instant, Invalid> {
    instant(name, value)?.ok_or_else(|| Invalid::new(name, "is required"))
}

/// Reads a SHA-256 digest.
pub(super) fn digest(name: &str, bytes: &[u8]) -> Result<Digest, Invalid> {
    check(!bytes.is_empty(), name, "is required")?;
    Digest::from_slice(bytes).ok_or_else(|| Invalid::new(name, "must have 32 bytes"))
}

/// Reads how soon an answer is needed.
pub(super) fn urgency(value: &str) -> Result<Urgency, Invalid> {
    Urgency::parse(value).map_err(|problem| problem.within("urgency"))
}

/// Reads the etag of a record, which is its version.
pub(super) fn etag(value: &str) -> Result<i64, Invalid> {
    check(!value.is_empty(), "etag", "is required")?;
    value.parse().map_err(|_| Invalid::new("etag", "is not an etag that a read gave you"))
}

/// Reads markings; unset ones take their defaults.
pub(super) fn markings(value: Option<&v1::Markings>) -> Result<Markings, Invalid> {
    let Some(value) = value else { return Ok(Markings::default()) };
    Markings::parse(&value.tlp, &value.pap, &value.classification).map_err(|problem| problem.within("markings"))
}

/// Takes content apart: each category as its own encoded field, so that any of them put together decode again.
pub(super) fn content(value: Option<&v1::IncidentContent>) -> Result<Vec<(Category, Vec<u8>)>, Invalid> {
    let whole = value.ok_or_else(|| Invalid::new("content", "is required"))?;
    super::content::check(whole).map_err(|problem| problem.within("content"))?;
    let v1::IncidentContent {
        identity,
        contact,
        sector,
        timeline,
        technical_indicators,
        root_cause,
        impact,
        ransom,
        narrative,
        assessment,
    } = whole.clone();
    let none = v1::IncidentContent::default;
    // In the contract's order: the build's table names each field's category.
    let fields = [
        v1::IncidentContent { identity, ..none() },
        v1::IncidentContent { contact, ..none() },
        v1::IncidentContent { sector, ..none() },
        v1::IncidentContent { timeline, ..none() },
        v1::IncidentContent { technical_indicators, ..none() },
        v1::IncidentContent { root_cause, ..none() },
        v1::IncidentContent { impact, ..none() },
        v1::IncidentContent { ransom, ..none() },
        v1::IncidentContent { narrative, ..none() },
        v1::IncidentContent { assessment, ..none() },
    ];
    let named = fields.iter().zip(CATEGORIES).map(|(field, (name, _))| (Category::known(*name), field.encode_to_vec()));
    let content: Vec<(Category, Vec<u8>)> = named.filter(|(_, bytes)| !bytes.is_empty()).collect();
    check(!content.is_empty(), "content", "must have at least one category")?;
    Ok(content)
}

/// Puts categories together again.
pub(super) fn whole_content(content: &[(Category, Vec<u8>)]) -> Option<v1::IncidentContent> {
    let bytes: Vec<u8> = content.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    v1::IncidentContent::decode(bytes.as_slice()).ok()
}

/// Reads a consent's scope.
pub(super) fn scope(value: Option<&v1::ConsentScope>) -> Result<ScopeTerms, Invalid> {
    let value = value.ok_or_else(|| Invalid::new("scope", "is required"))?;
    let read = || {
        let incident = optional("incident_id", &value.incident_id, IncidentId::parse)?;
        check(incident.is_some() || value.revision == 0, "revision", "needs an incident_id")?;
        check(incident.is_some() || !value.covers_updates, "covers_updates", "needs an incident_id")?;
        check(value.revision >= 0, "revision", "must not be negative")?;
        let revision = (value.revision != 0).then_some(value.revision);
        Ok(ScopeTerms {
            recipient: field("recipient", &value.recipient, crate::domain::AgencyId::parse)?,
            purposes: set("purposes", &value.purposes, crate::domain::Purpose::parse)?,
            enforcement: value.enforcement,
            categories: categories("categories", &value.categories)?,
            incident: incident.map(|id| (id, revision, value.covers_updates)),
            onward: value.onward,
            valid_from: instant("valid_from", value.valid_from)?,
            valid_until: instant("valid_until", value.valid_until)?,
        })
    };
    read().map_err(|problem: Invalid| problem.within("scope"))
}

/// Reads what shows a consent.
pub(super) fn evidence(value: Option<&v1::ConsentEvidence>) -> Result<Evidence, Invalid> {
    let value = value.ok_or_else(|| Invalid::new("evidence", "is required"))?;
    let read = || {
        Ok(Evidence {
            signatory: required("signatory", &value.signatory, 200)?,
            authority: required("authority", &value.authority, 200)?,
            channel: channel(&value.channel)?,
            digest: digest("digest", &value.digest)?,
            received_at: required_instant("received_at", value.received_at)?,
            oral: oral(&value.channel, value.oral.as_ref())?,
            mandate: optional("mandate_id", &value.mandate_id, MandateId::parse)?,
        })
    };
    read().map_err(|problem: Invalid| problem.within("evidence"))
}

/// Reads the channel of evidence; `oral` is written in one way, so that nothing can miss it.
fn channel(text: &str) -> Result<String, Invalid> {
    let channel = required("channel", text, 100)?;
    Ok(if Oral::is_oral(&channel) { Oral::CHANNEL.to_owned() } else { channel })
}

/// Reads how spoken consent was checked: all of it, or it is not recorded.
fn oral(channel: &str, value: Option<&v1::OralConsent>) -> Result<Option<Oral>, Invalid> {
    let Some(value) = value else {
        check(!Oral::is_oral(channel), "oral", "is required where the channel is `oral`")?;
        let problem = "is spoken: it must be `oral`, with what `oral` asks for";
        check(!Oral::is_spoken(channel), "channel", problem)?;
        return Ok(None);
    };
    check(Oral::is_oral(channel), "channel", "must be `oral` where `oral` is set")?;
    let read = || {
        check(value.read_back, "read_back", "must be true: the scope is read back to the contact, who confirms it")?;
        Ok(Oral {
            taken_by: required("taken_by", &value.taken_by, 200).map(OfficerId::known)?,
            contact: digest("contact_digest", &value.contact_digest)?,
            called_back_at: required_instant("called_back_at", value.called_back_at)?,
        })
    };
    read().map(Some).map_err(|problem: Invalid| problem.within("oral"))
}

fn shown_oral(value: &Oral) -> v1::OralConsent {
    v1::OralConsent {
        taken_by: value.taken_by.to_string(),
        contact_digest: value.contact.as_bytes().to_vec(),
        called_back_at: Some(timestamp(value.called_back_at)),
        // What was not confirmed is not recorded.
        read_back: true,
    }
}

pub(super) fn incident(value: Incident, content: Option<v1::IncidentContent>) -> v1::Incident {
    v1::Incident {
        id: value.id.to_string(),
        organisation_id: value.organisation.to_string(),
        revision: value.revision,
        occurred_from: Some(timestamp(value.occurred.from)),
        occurred_until: Some(timestamp(value.occurred.until)),
        markings: Some(v1::Markings {
            tlp: value.markings.tlp.as_str().to_owned(),
            pap: value.markings.pap.as_str().to_owned(),
            classification: value.markings.classification.as_str().to_owned(),
        }),
        notification: value.notification.map(|notification| v1::Notification {
            kind: notification.kind,
            received_at: Some(timestamp(notification.received_at)),
            verified: notification.verified_at.is_some(),
        }),
        campaign: value.campaign.unwrap_or_default(),
        retain_until: Some(timestamp(value.retain_until)),
        categories: value.categories.keys().map(ToString::to_string).collect(),
        content,
        etag: value.revision.to_string(),
        provenance: value.provenance.as_ref().map(passages).unwrap_or_default(),
    }
}

/// The versions of one consent, newest first, as they stand at a time.
pub(super) fn consent(versions: Vec<Consent>, at: Instant) -> Result<v1::Consent, Rejected> {
    let newest = versions.first().ok_or(Rejected::NotFound("consent"))?;
    Ok(v1::Consent {
        id: newest.id.to_string(),
        organisation_id: newest.organisation.to_string(),
        recipient: newest.recipient.to_string(),
        versions: versions.into_iter().map(|version| consent_version(version, at)).collect(),
    })
}

fn consent_version(value: Consent, at: Instant) -> v1::ConsentVersion {
    let expired = value.scope.as_ref().is_some_and(|scope| scope.valid_until <= at);
    v1::ConsentVersion {
        version: value.version,
        state: value.state.as_str().to_owned(),
        expired,
        scope: value.scope.map(|scope| {
            let (incident_id, revision, covers_updates) = match scope.coverage {
                Coverage::AllIncidents => (String::new(), 0, false),
                Coverage::Incident { id, revision, covers_updates } => (id.to_string(), revision, covers_updates),
            };
            v1::ConsentScope {
                recipient: scope.recipient.to_string(),
                purposes: scope.purposes.iter().map(ToString::to_string).collect(),
                enforcement: scope.enforcement,
                categories: scope.categories.iter().map(ToString::to_string).collect(),
                incident_id,
                revision,
                covers_updates,
                onward: scope.onward,
                valid_from: Some(timestamp(scope.valid_from)),
                valid_until: Some(timestamp(scope.valid_until)),
            }
        }),
        evidence: value.evidence.map(|evidence| v1::ConsentEvidence {
            oral: evidence.oral.as_ref().map(shown_oral),
            signatory: evidence.signatory,
            authority: evidence.authority,
            channel: evidence.channel,
            digest: evidence.digest.as_bytes().to_vec(),
            received_at: Some(timestamp(evidence.received_at)),
            mandate_id: evidence.mandate.map(|mandate| mandate.to_string()).unwrap_or_default(),
        }),
        recorded_at: Some(timestamp(value.recorded_at)),
        confirmed_at: Some(timestamp(value.confirmed_at)),
    }
}

pub(super) fn authorisation(value: &Authorisation) -> v1::Authorisation {
    v1::Authorisation {
        id: value.id.to_string(),
        incident_id: value.incident.to_string(),
        revision: value.revision,
        covers_updates: value.covers_updates,
        recipient: value.recipient.to_string(),
        purposes: value.purposes.iter().map(ToString::to_string).collect(),
        categories: value.categories.iter().map(ToString::to_string).collect(),
        ground: value.ground.to_string(),
        given_at: Some(timestamp(value.given_at)),
        valid_until: Some(timestamp(value.valid_until)),
        revoked_at: value.revoked_at.map(timestamp),
        preview_digest: value.preview.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default(),
        form: value.form.clone(),
    }
}

pub(super) fn event(value: Event) -> v1::Event {
    let detail = value.detail;
    let mut shown = v1::Event {
        id: value.id.to_string(),
        kind: value.kind.as_str().to_owned(),
        at: Some(timestamp(value.at)),
        agency: detail.other.map(|other| other.to_string()).unwrap_or_default(),
        ends_at: detail.ends_at.map(timestamp),
        has_entry: detail.entry.is_some(),
        entry_index: detail.entry.unwrap_or_default(),
        ..v1::Event::default()
    };
    let incident = detail.incident.map(|incident| incident.to_string()).unwrap_or_default();
    match value.kind {
        // Another agency's: what the holder calls the incident stays with the holder.
        EventKind::Offer => {
            shown.reference = value.object;
            shown.purpose = detail.purpose.map(|purpose| purpose.to_string()).unwrap_or_default();
            shown.categories = detail.categories.iter().map(ToString::to_string).collect();
        }
        EventKind::AskAgain | EventKind::ReleaseReceived | EventKind::ReleaseMade | EventKind::RequestUnanswered => {
            shown.request = value.object;
        }
        EventKind::RequestToLookAt => (shown.request, shown.incident_id) = (value.object, incident),
        EventKind::ConsentEnds => shown.consent_id = value.object,
        EventKind::AuthorisationEnds => (shown.authorisation_id, shown.incident_id) = (value.object, incident),
        EventKind::Engagement => shown.engagement_id = value.object,
        EventKind::DutyOverdue | EventKind::ReminderDue => shown.incident_id = incident,
        EventKind::ThemeRevised | EventKind::ThemeWithdrawn => shown.theme_id = value.object,
        EventKind::ProposalPut
        | EventKind::ProposalAnswered
        | EventKind::ProposalMessage
        | EventKind::ProposalConcluded
        | EventKind::ProposalPublished => shown.proposal_id = value.object,
        EventKind::Notice
        | EventKind::NoticeToSend
        | EventKind::NoticeAcknowledged
        | EventKind::NoticeUnacknowledged => shown.notice_id = value.object,
        EventKind::ReviewDue => shown.agreement_id = value.object,
        EventKind::WrongfulRelease => shown.wrongful_release_id = value.object,
    }
    shown
}

pub(super) fn agreement(view: &AgreementView) -> v1::Agreement {
    use crate::decision::Modality;
    let agreement = &view.agreement;
    let (effective_from, effective_until, review_by) = agreement.dates();
    let clause = |clause: &crate::decision::Clause| v1::Clause {
        id: clause.id.to_string(),
        text: clause.text.clone(),
        citation: clause.citation.clone(),
        modality: match clause.modality {
            Modality::Duty => "duty",
            Modality::Power => "power",
            Modality::Prohibition => "prohibition",
        }
        .to_owned(),
        activity: clause.activity.as_str().to_owned(),
        disclosing: clause.disclosing.to_string(),
        receiving: clause.receiving.to_string(),
        form: clause.form.clone(),
        purposes: clause.purposes.iter().map(ToString::to_string).collect(),
        grounds: clause.grounds.iter().map(ToString::to_string).collect(),
        categories: clause.categories.iter().map(ToString::to_string).collect(),
        consent_required: clause.consent_required,
        obligations: clause.obligations.clone(),
    };
    v1::Agreement {
        id: agreement.id().to_string(),
        title: agreement.title().to_owned(),
        parties: agreement.parties().iter().map(ToString::to_string).collect(),
        state: view.state.clone(),
        digest: agreement.digest().as_bytes().to_vec(),
        signed: agreement.signed().to_owned(),
        effective_from: Some(timestamp(effective_from)),
        effective_until: effective_until.map(timestamp),
        review_by: review_by.map(timestamp),
        citation: agreement.citation().to_owned(),
        interpretations: agreement.interpretations().to_vec(),
        clauses: agreement.clauses().map(clause).collect(),
        proposals: agreement.proposals().iter().map(proposal::terms).collect(),
        advice: agreement.advice().map(advice::terms),
        statistics: agreement.statistics().map_or_else(String::new, |rule| rule.to_string()),
    }
}

/// An agency that this node knows; `held` where it holds that agency's records.
pub(super) fn agency(id: &AgencyId, names: &AgencyNames, held: Option<&Agency>, now: Instant) -> v1::Agency {
    let name = |name: &AgencyName| v1::AgencyName {
        text: name.text.clone(),
        valid_from: Some(timestamp(name.from)),
        valid_until: name.until.map(timestamp),
    };
    v1::Agency {
        id: id.to_string(),
        name: names.at(now).unwrap_or(id.as_str()).to_owned(),
        names: names.all().iter().map(name).collect(),
        holds_records: held.is_some(),
        duty_desk: held.map_or_else(String::new, |held| held.duty_desk.clone()),
        correction_contact: held.map_or_else(String::new, |held| held.correction_contact.clone()),
    }
}

/// A suspension, for the agency whose it is.
pub(super) fn suspension(value: Suspension) -> v1::Suspension {
    v1::Suspension {
        id: value.suspended.to_string(),
        agency: value.suspended.agency.to_string(),
        pseudonym: value.suspended.pseudonym().unwrap_or_default().to_owned(),
        certificate: value.suspended.certificate().unwrap_or_default().to_owned(),
        officer: value.officer.map(|officer| officer.to_string()).unwrap_or_default(),
        suspended_at: Some(timestamp(value.suspended_at)),
        suspended_by: value.suspended_by.to_string(),
    }
}

/// Reads the id of a consent.
pub(super) fn consent_id(text: &str) -> Result<ConsentId, Invalid> {
    field("consent_id", text, ConsentId::parse)
}
