//! Keeps one victim's name out of another's content, whatever field it stands in.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};

use crate::domain::Organisation;
use crate::proto::{DESCRIPTORS, v1};

static CONTENT: LazyLock<Option<MessageDescriptor>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok()?.get_message_by_name("concordat.v1.IncidentContent"));

/// Whether a text has one of these folded names in it, in any case and spacing, as a word or within one.
pub(super) fn names_any(text: &str, names: &[impl AsRef<str>]) -> bool {
    let folded = Organisation::folded(text);
    names.iter().any(|name| folded.contains(name.as_ref()))
}

/// The content without every text that has one of these folded names in it, and without what is empty then.
///
/// It goes by the contract's own description, so a field that is new to the contract is sifted as well. If that
/// fails, nothing passes.
pub(super) fn without(content: &v1::IncidentContent, names: &[impl AsRef<str>]) -> v1::IncidentContent {
    let sifted = || {
        let mut message = DynamicMessage::new(CONTENT.clone()?);
        message.transcode_from(content).ok()?;
        sift(&mut message, names);
        message.transcode_to().ok()
    };
    sifted().unwrap_or_default()
}

fn sift(message: &mut DynamicMessage, names: &[impl AsRef<str>]) {
    let fields: Vec<_> = message.fields().map(|(field, value)| (field, value.clone())).collect();
    for (field, value) in fields {
        match sifted(value, names) {
            Some(value) => message.set_field(&field, value),
            None => message.clear_field(&field),
        }
    }
}

fn sifted(value: Value, names: &[impl AsRef<str>]) -> Option<Value> {
    match value {
        Value::String(text) => (!names_any(&text, names)).then_some(Value::String(text)),
        Value::Message(mut message) => {
            sift(&mut message, names);
            (message.encoded_len() > 0).then_some(Value::Message(message))
        }
        Value::List(items) => {
            let kept: Vec<Value> = items.into_iter().filter_map(|item| sifted(item, names)).collect();
            (!kept.is_empty()).then_some(Value::List(kept))
        }
        // Content has neither; what cannot be read here does not pass.
        Value::Map(_) | Value::Bytes(_) => None,
        number => Some(number),
    }
}
