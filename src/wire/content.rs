//! What an incident's content may look like. What it means is not judged: codes and words are the holder's.

use prost::Message;

use super::convert::{identifiers, instant, text};
use crate::domain::{Invalid, NcscCategory, check as ensure};
use crate::proto::v1;

/// The longest account, and the largest content.
const LONGEST_ACCOUNT_BYTES: usize = 64 * 1024;
const MOST_BYTES: usize = 256 * 1024;
/// The longest other text, in characters.
const LONGEST_TEXT: usize = 1_000;
/// The longest list; of indicators there may be more.
const LONGEST_LIST: usize = 256;
const MOST_INDICATORS: usize = 4_096;

/// Checks content, category by category.
pub(super) fn check(content: &v1::IncidentContent) -> Result<(), Invalid> {
    // First, so that nothing below walks what is too large anyway.
    ensure(content.encoded_len() <= MOST_BYTES, "", "must have at most 256 KiB")?;
    within("identity", content.identity.as_ref(), |identity| {
        text("name", &identity.name, 300)?;
        identifiers("identifiers", &identity.identifiers)?;
        words("countries", &identity.countries)
    })?;
    within("contact", content.contact.as_ref(), |contact| {
        word("name", &contact.name)?;
        word("position", &contact.position)?;
        word("email", &contact.email)?;
        word("telephone", &contact.telephone)
    })?;
    within("sector", content.sector.as_ref(), |sector| {
        word("code", &sector.code)?;
        word("scheme", &sector.scheme)?;
        word("employees", &sector.employees)?;
        word("region", &sector.region)
    })?;
    within("timeline", content.timeline.as_ref(), timeline)?;
    within("technical_indicators", content.technical_indicators.as_ref(), |technical| {
        let most = format!("must be at most {MOST_INDICATORS}");
        ensure(technical.indicators.len() <= MOST_INDICATORS, "indicators", most)?;
        for (i, indicator) in technical.indicators.iter().enumerate() {
            word(&format!("indicators[{i}].kind"), &indicator.kind)?;
            word(&format!("indicators[{i}].value"), &indicator.value)?;
        }
        words("techniques", &technical.techniques)?;
        words("assets", &technical.assets)
    })?;
    within("root_cause", content.root_cause.as_ref(), |cause| {
        words("actions", &cause.actions)?;
        words("varieties", &cause.varieties)?;
        words("vectors", &cause.vectors)?;
        words("vulnerabilities", &cause.vulnerabilities)?;
        words("actors", &cause.actors)
    })?;
    within("impact", content.impact.as_ref(), |impact| {
        ensure(impact.people_affected.unwrap_or_default() >= 0, "people_affected", "must not be negative")?;
        words("data_kinds", &impact.data_kinds)?;
        word("disclosure", &impact.disclosure)?;
        word("availability", &impact.availability)?;
        words("integrity", &impact.integrity)?;
        word("rating", &impact.rating)
    })?;
    within("ransom", content.ransom.as_ref(), |ransom| {
        ensure(ransom.amount_minor >= 0, "amount_minor", "must not be negative")?;
        word("currency", &ransom.currency)?;
        word("paid", &ransom.paid)?;
        word("group", &ransom.group)
    })?;
    within("narrative", content.narrative.as_ref(), |narrative| account("text", &narrative.text))?;
    within("assessment", content.assessment.as_ref(), |assessment| {
        if !assessment.ncsc_category.is_empty() {
            NcscCategory::parse(assessment.ncsc_category.as_str()).map_err(|wrong| wrong.within("ncsc_category"))?;
        }
        word("confidence", &assessment.confidence)?;
        account("text", &assessment.text)
    })
}

fn timeline(timeline: &v1::Timeline) -> Result<(), Invalid> {
    within("occurred", timeline.occurred.as_ref(), |occurred| {
        ensure((0..=9_999).contains(&occurred.year), "year", "must be 0 to 9999")?;
        ensure((0..=12).contains(&occurred.month), "month", "must be 0 to 12")?;
        ensure((0..=31).contains(&occurred.day), "day", "must be 0 to 31")
    })?;
    instant("aware_at", timeline.aware_at)?;
    instant("reported_at", timeline.reported_at)?;
    instant("contained_at", timeline.contained_at)?;
    word("discovery", &timeline.discovery)
}

/// Checks a part that may be missing; its problems are named from the whole.
fn within<T>(name: &str, part: Option<&T>, check: impl Fn(&T) -> Result<(), Invalid>) -> Result<(), Invalid> {
    part.map_or(Ok(()), |part| check(part).map_err(|problem| problem.within(name)))
}

/// One line of text.
fn word(name: &str, value: &str) -> Result<(), Invalid> {
    text(name, value, LONGEST_TEXT).map(|_| ())
}

/// A list of lines.
fn words(name: &str, values: &[String]) -> Result<(), Invalid> {
    ensure(values.len() <= LONGEST_LIST, name, format!("must be at most {LONGEST_LIST}"))?;
    values.iter().enumerate().try_for_each(|(i, value)| word(&format!("{name}[{i}]"), value))
}

/// Text of several lines.
pub(super) fn account(name: &str, value: &str) -> Result<(), Invalid> {
    ensure(value.len() <= LONGEST_ACCOUNT_BYTES, name, "must have at most 64 KiB")?;
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    ensure(!value.contains(odd), name, "must not have control characters but line ends and tabs")
}
