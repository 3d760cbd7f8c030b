//! Turns records into what is put to the node, without asking it. Pure, but for what it remembers of the file so far.
//!
//! Each call's `request_id` follows from the source alone: the format, the record's key and content, and the victim.
//! Nothing of the moment and nothing of the flags is in it, so a second run puts the same calls again, and a run with
//! other markings is turned away instead of registering everything twice.

use std::collections::HashMap;

use anyhow::Context as _;
use aws_lc_rs::digest::{Context, SHA256};
use clap::ValueEnum;
use concordat::domain::{Digest, Identifier, Organisation};
use concordat::proto::{self, v1};
use concordat::veris;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::records::{Place, Record};

/// What the file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// VERIS JSON, as the VERIS Community Database has it.
    Veris,
    /// Concordat's own form: an organisation, and an incident as the contract has it.
    Jsonl,
}

/// An incident that is not registered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    /// One word, to count by.
    pub(super) reason: &'static str,
    /// What is wrong.
    pub(super) says: String,
}

impl Rejected {
    pub(super) fn new(reason: &'static str, says: impl Into<String>) -> Self {
        Self { reason, says: says.into() }
    }
}

impl From<veris::Unusable> for Rejected {
    fn from(why: veris::Unusable) -> Self {
        Self::new(why.reason(), why.to_string())
    }
}

/// The organisation of an incident.
#[derive(Clone)]
pub(super) struct Affected {
    pub(super) name: String,
    pub(super) identifiers: Vec<v1::Identifier>,
    /// By which two are the same: the identifiers, or where there is none the folded name.
    pub(super) same: String,
}

impl Affected {
    /// Fails if an identifier is not one.
    pub(super) fn new(name: &str, identifiers: Vec<v1::Identifier>) -> Result<Self, Rejected> {
        let mut parts = Vec::new();
        for (i, identifier) in identifiers.iter().enumerate() {
            let parsed = Identifier::parse(&identifier.scheme, &identifier.value).map_err(|problem| {
                Rejected::new("wrong-field", problem.within(&format!("organisation.identifiers[{i}]")).to_string())
            })?;
            parts.push(format!("{}:{}", parsed.scheme(), parsed.value()));
        }
        parts.sort();
        let same = if parts.is_empty() { format!("name:{}", Organisation::folded(name)) } else { parts.join("\n") };
        Ok(Self { name: Organisation::spaced(name), identifiers, same })
    }

    /// The idempotency key of its registration.
    pub(super) fn request_id(&self) -> String {
        request_id(&["organisation", &self.same])
    }
}

/// What is put to the node for one incident; its organisation's id is still missing.
pub(super) struct Draft {
    pub(super) affected: Affected,
    pub(super) request: v1::RegisterIncidentRequest,
}

/// What was made of one record.
pub(super) struct Drafted {
    pub(super) place: Place,
    pub(super) end: u64,
    /// The record's key, or empty.
    pub(super) key: String,
    /// Whether the file had the same record before.
    pub(super) repeated: bool,
    /// Never empty. In VERIS the main victim's is the first.
    pub(super) drafts: Vec<Result<Draft, Rejected>>,
}

/// Reads records of one file, in their order.
pub(super) struct Drafter {
    format: Format,
    markings: Option<v1::Markings>,
    descriptor: MessageDescriptor,
    /// Digests of keys; where each was first, and with what content.
    seen: HashMap<Digest, (Place, Digest)>,
}

/// `jsonl`'s organisation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganisationForm {
    name: String,
    #[serde(default)]
    identifiers: Vec<IdentifierForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentifierForm {
    scheme: String,
    value: String,
}

impl Drafter {
    /// `markings` are for incidents that bring none.
    pub(super) fn new(format: Format, markings: Option<v1::Markings>) -> anyhow::Result<Self> {
        let name = "concordat.v1.RegisterIncidentRequest";
        let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
        let descriptor = pool.get_message_by_name(name).context("the contract has no RegisterIncidentRequest")?;
        Ok(Self { format, markings, descriptor, seen: HashMap::new() })
    }

    pub(super) fn read(&mut self, record: Record) -> Drafted {
        let Record { place, text, end } = record;
        let mut drafted = Drafted { place, end, key: String::new(), repeated: false, drafts: Vec::new() };
        match self.drafts(place, text, &mut drafted) {
            Ok(drafts) => drafted.drafts = drafts,
            Err(rejected) => drafted.drafts = vec![Err(rejected)],
        }
        drafted
    }

    fn drafts(
        &mut self,
        place: Place,
        text: Result<Vec<u8>, &str>,
        drafted: &mut Drafted,
    ) -> Result<Vec<Result<Draft, Rejected>>, Rejected> {
        let text = text.map_err(|problem| Rejected::new("not-json", problem))?;
        let not_json = |e: serde_json::Error| Rejected::new("not-json", format!("is not JSON: {e}"));
        let value: Value = serde_json::from_slice(&text).map_err(not_json)?;
        let Value::Object(fields) = &value else {
            return Err(Rejected::new("not-json", "is not a JSON object"));
        };
        let key = match self.format {
            Format::Veris => veris::key(&value).ok_or(veris::Unusable::NoKey)?,
            Format::Jsonl => own_key(fields)?,
        };
        drafted.key.clone_from(&key);
        let content = content_digest(&value);
        let (first, with) = *self.seen.entry(digest_of(&[&key])).or_insert((place, content));
        if with != content {
            return Err(Rejected::new("duplicate-key", format!("{first} has the same key and other content")));
        }
        drafted.repeated = first != place;
        let fields = fields.clone();
        let drafts = match self.format {
            Format::Veris => veris::read(&value).into_iter().map(|incident| draft_of(incident?)).collect(),
            Format::Jsonl => vec![self.own_draft(fields)],
        };
        Ok(drafts.into_iter().map(|draft| Ok(self.finished(draft?, &key, content))).collect())
    }

    /// Adds what both formats leave to the import.
    fn finished(&self, mut draft: Draft, key: &str, content: Digest) -> Draft {
        let format = match self.format {
            Format::Veris => "veris",
            Format::Jsonl => "jsonl",
        };
        draft.request.request_id = request_id(&["incident", format, key, &content.to_hex(), &draft.affected.same]);
        if draft.request.markings.is_none() {
            draft.request.markings.clone_from(&self.markings);
        }
        draft
    }

    fn own_draft(&self, mut fields: Map<String, Value>) -> Result<Draft, Rejected> {
        let wrong = |says: String| Rejected::new("wrong-field", says);
        fields.remove("key");
        let organisation = fields.remove("organisation").ok_or_else(|| wrong("has no `organisation`".to_owned()))?;
        let organisation: OrganisationForm =
            serde_json::from_value(organisation).map_err(|e| wrong(format!("organisation: {e}")))?;
        for name in ["request_id", "requestId", "organisation_id", "organisationId"] {
            if fields.contains_key(name) {
                return Err(wrong(format!("`{name}` is the import's own: leave it out")));
            }
        }
        let request = DynamicMessage::deserialize(self.descriptor.clone(), Value::Object(fields));
        let request = request.and_then(|request| {
            request.transcode_to::<v1::RegisterIncidentRequest>().map_err(serde::de::Error::custom)
        });
        let identifiers = organisation.identifiers.into_iter();
        let identifiers =
            identifiers.map(|IdentifierForm { scheme, value }| v1::Identifier { scheme, value }).collect();
        Ok(Draft {
            affected: Affected::new(&organisation.name, identifiers)?,
            request: request.map_err(|e: serde_json::Error| wrong(format!("is not an incident: {e}")))?,
        })
    }
}

fn own_key(fields: &Map<String, Value>) -> Result<String, Rejected> {
    match fields.get("key") {
        Some(Value::String(key)) if !key.trim().is_empty() => Ok(key.clone()),
        _ => Err(Rejected::new("no-key", "has no `key`: a text of its own for each incident, such as the case number")),
    }
}

fn draft_of(incident: veris::VerisIncident) -> Result<Draft, Rejected> {
    let time = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
    Ok(Draft {
        affected: Affected::new(&incident.name, Vec::new())?,
        request: v1::RegisterIncidentRequest {
            occurred_from: Some(time(incident.occurred.0)),
            occurred_until: Some(time(incident.occurred.1)),
            campaign: incident.campaign,
            content: Some(incident.content),
            ..v1::RegisterIncidentRequest::default()
        },
    })
}

/// A call's idempotency key: from these parts, and from nothing else. 224 bits of a digest, as 64 characters allow.
fn request_id(parts: &[&str]) -> String {
    let mut hex = digest_of(parts).to_hex();
    hex.truncate(56);
    format!("imp-{hex}")
}

fn digest_of(parts: &[&str]) -> Digest {
    let mut all = Context::new(&SHA256);
    feed_text(&mut all, "concordat import 1");
    for part in parts {
        feed_text(&mut all, part);
    }
    sha256(all)
}

/// The same for the same JSON, however it is laid out and in whatever order its fields are.
fn content_digest(value: &Value) -> Digest {
    let mut all = Context::new(&SHA256);
    feed(&mut all, value);
    sha256(all)
}

fn sha256(all: Context) -> Digest {
    let mut bytes = [0; 32];
    // SHA-256 has 32 bytes.
    bytes.copy_from_slice(all.finish().as_ref());
    Digest(bytes)
}

fn feed_text(all: &mut Context, text: &str) {
    all.update(&(text.len() as u64).to_be_bytes());
    all.update(text.as_bytes());
}

fn feed(all: &mut Context, value: &Value) {
    match value {
        Value::Null => all.update(b"0"),
        Value::Bool(truth) => all.update(if *truth { b"t" } else { b"f" }),
        Value::Number(number) => {
            all.update(b"n");
            feed_text(all, &number.to_string());
        }
        Value::String(text) => {
            all.update(b"s");
            feed_text(all, text);
        }
        Value::Array(items) => {
            all.update(b"a");
            all.update(&(items.len() as u64).to_be_bytes());
            for item in items {
                feed(all, item);
            }
        }
        Value::Object(fields) => {
            all.update(b"o");
            all.update(&(fields.len() as u64).to_be_bytes());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            for (name, value) in fields {
                feed_text(all, name);
                feed(all, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_makes_no_other_content_and_anything_else_does() {
        let digest = |text: &str| content_digest(&serde_json::from_str(text).unwrap());
        assert_eq!(digest(r#"{"a":[1,"x"],"b":null}"#), digest(" { \"b\" : null , \"a\" : [ 1, \"\\u0078\" ] } "));
        let others = [
            r#"{"a":[1,"x"]}"#,
            r#"{"a":["1","x"],"b":null}"#,
            r#"{"a":["x",1],"b":null}"#,
            r#"{"a":[1,"x",null],"b":null}"#,
            r#"{"a":[[1,"x"]],"b":null}"#,
            r#"{"a":[1],"x":"b","b":null}"#,
            r#"{"a":[1,"x"],"b":false}"#,
            r#"{"a":[1,"x"],"b":{}}"#,
        ];
        for other in others {
            assert_ne!(digest(other), digest(r#"{"a":[1,"x"],"b":null}"#), "{other}");
        }
    }

    #[test]
    fn an_organisation_is_the_same_by_its_identifiers_or_else_by_its_folded_name() {
        let same = |name: &str, numbers: &[&str]| {
            let identifier = |value: &&str| v1::Identifier { scheme: "gb-coh".into(), value: (*value).into() };
            Affected::new(name, numbers.iter().map(identifier).collect()).map(|affected| affected.request_id()).unwrap()
        };
        assert_eq!(same("Tarn  Council ", &[]), same("TARN council", &[]));
        assert_ne!(same("Tarn Council", &[]), same("Tarn Counsil", &[]));
        assert_eq!(same("Tarn", &["1", "2"]), same("Other", &["00000002", " 1"]));
        assert_ne!(same("Tarn", &["1"]), same("Tarn", &["1", "2"]));
        assert_ne!(same("Tarn", &["1"]), same("Tarn", &[]));
        let id = same("Tarn", &[]);
        assert!((8..=64).contains(&id.len()) && id.is_ascii(), "{id}");
    }
}
