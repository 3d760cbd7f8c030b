//! Messages as JSON, and JSON as messages.

use std::io::Read;

use anyhow::Context as _;
use concordat::proto;
use concordat::proto::v1::{IncidentContent, ReleasedIncident};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, SerializeOptions};
use serde_json::{Map, Value};

use super::Usage;
use super::contract::Contract;
use super::output::is_terminal;

/// Protobuf's mapping, with the contract's own field names.
pub(super) fn of(message: &DynamicMessage) -> anyhow::Result<Value> {
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// The same of a message of the contract, by its name.
pub(super) fn of_message(name: &str, message: &impl Message) -> anyhow::Result<Value> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
    let descriptor = pool.get_message_by_name(&format!("concordat.v1.{name}"));
    let descriptor = descriptor.with_context(|| format!("the contract has no {name}"))?;
    of(&DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?)
}

/// On one line, or laid out in a terminal.
pub(super) fn written(value: &Value) -> anyhow::Result<String> {
    Ok(if is_terminal() { serde_json::to_string_pretty(value)? } else { value.to_string() })
}

/// The text itself; `-`: what stdin has; `@FILE`: what the file has.
pub(super) fn text(given: &str) -> anyhow::Result<String> {
    if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("stdin cannot be read")?;
        return Ok(text);
    }
    match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|e| Usage(format!("{file}: {e}")).into()),
        None => Ok(given.to_owned()),
    }
}

/// A request from its JSON. What is wrong is wrong usage, and the field is named.
pub(super) fn request(descriptor: &MessageDescriptor, text: &str) -> anyhow::Result<DynamicMessage> {
    let value: Value = serde_json::from_str(text).map_err(|e| Usage(format!("the request is not JSON: {e}")))?;
    DynamicMessage::deserialize(descriptor.clone(), value.clone()).map_err(|error| {
        let field = culprit(descriptor, &value).map(|path| format!("`{path}`: ")).unwrap_or_default();
        Usage(format!("the request is not a {}: {field}{error}", descriptor.name())).into()
    })
}

/// The path of the first field that cannot be read.
fn culprit(descriptor: &MessageDescriptor, value: &Value) -> Option<String> {
    for (name, value) in value.as_object()? {
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        if DynamicMessage::deserialize(descriptor.clone(), alone).is_ok() {
            continue;
        }
        let field = descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
        let inner = field.and_then(|field| match field.kind() {
            Kind::Message(inner) if !field.is_list() => culprit(&inner, value),
            _ => None,
        });
        return Some(inner.map_or_else(|| name.clone(), |inner| format!("{name}.{inner}")));
    }
    None
}

/// What an ask came to, where the response is to an ask: the member of `outcome` that is set.
pub(super) fn outcome(response: &DynamicMessage) -> Option<String> {
    let oneof = response.descriptor().oneofs().find(|oneof| oneof.name() == "outcome")?;
    let member = oneof.fields().find(|member| response.has_field(member))?;
    Some(member.name().to_owned())
}

/// Whether a response can have released content in it.
pub(super) fn has_release(response: &MessageDescriptor) -> bool {
    response.get_field_by_name("released").is_some_and(|field| matches!(field.kind(), Kind::Message(_)))
}

/// The content of a release, decoded: one object for each incident.
pub(super) fn contents(contract: &Contract, response: &DynamicMessage) -> anyhow::Result<Value> {
    let response: proto::v1::RequestReleaseResponse =
        response.transcode_to().context("--content is for a response with a release")?;
    let incidents = match response.outcome {
        Some(proto::v1::request_release_response::Outcome::Released(released)) => released.incidents,
        _ => Vec::new(),
    };
    let contents = incidents.iter().map(|incident| of(&content(contract, incident)?));
    Ok(Value::Array(contents.collect::<anyhow::Result<_>>()?))
}

/// What was released of one incident.
pub(super) fn content(contract: &Contract, incident: &ReleasedIncident) -> anyhow::Result<DynamicMessage> {
    let bytes: Vec<u8> = incident.categories.iter().flat_map(|category| category.content.clone()).collect();
    let content = IncidentContent::decode(bytes.as_slice()).context("the released content cannot be read")?;
    let descriptor = contract.pool().get_message_by_name("concordat.v1.IncidentContent");
    let mut message = DynamicMessage::new(descriptor.context("the contract has no IncidentContent")?);
    message.transcode_from(&content)?;
    Ok(message)
}

/// A text from elsewhere for a terminal: what would steer it, or turn its letters round, is written out.
pub(super) fn harmless(text: &str) -> String {
    let steers = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        if steers(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
        shown
    })
}
