//! What can be wrong with one field.

use std::fmt;

use prost_reflect::bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

/// One field of one request, and what is put into it.
pub(super) struct Mutant {
    /// As an error must name it.
    pub(super) path: String,
    /// The same without indexes, for the exceptions.
    pub(super) place: String,
    /// What is wrong, in a word.
    pub(super) label: &'static str,
    steps: Vec<FieldDescriptor>,
    field: FieldDescriptor,
    value: Option<Value>,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.path, self.label)
    }
}

impl Mutant {
    /// The path of the record that the field is of, where the call is about many; with a full stop at its end.
    pub(super) fn record(&self, rpc: &str) -> &str {
        let end = self.path.find("].").filter(|_| rpc == "RegisterIncidents").map_or(0, |end| end + 2);
        &self.path[..end]
    }

    pub(super) fn applied_to(&self, message: &DynamicMessage) -> DynamicMessage {
        let mut message = message.clone();
        let mut inner = &mut message;
        for step in &self.steps {
            let value = inner.get_field_mut(step);
            inner = match value {
                Value::List(all) => all[0].as_message_mut().unwrap(),
                value => value.as_message_mut().unwrap(),
            };
        }
        match &self.value {
            Some(value) => inner.set_field(&self.field, value.clone()),
            None => inner.clear_field(&self.field),
        }
        message
    }
}

/// A time is one field to the caller, whatever it is made of.
pub(super) fn is_time(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.protobuf.Timestamp"
}

/// Every mutant of a request: each field that it sets, as deep as it goes, with every value that may be wrong for it.
pub(super) fn of(message: &DynamicMessage) -> Vec<Mutant> {
    let mut all = Vec::new();
    walk(message, &mut Vec::new(), "", "", &mut all);
    all
}

fn walk(message: &DynamicMessage, steps: &mut Vec<FieldDescriptor>, path: &str, place: &str, all: &mut Vec<Mutant>) {
    for (field, value) in message.fields() {
        let join = |parent: &str| match parent {
            "" => field.name().to_owned(),
            parent => format!("{parent}.{}", field.name()),
        };
        let (path, place) = (join(path), join(place));
        let mut add = |path: &str, label, value| {
            let (steps, field) = (steps.clone(), field.clone());
            all.push(Mutant { path: path.to_owned(), place: place.clone(), label, steps, field, value });
        };
        add(&path, "absent", None);
        match value {
            Value::List(elements) => {
                let first = &elements[0];
                let first_path = format!("{path}[0]");
                add(&path, "a thousand", Some(Value::List(vec![first.clone(); 1_000])));
                if let Value::String(_) = first {
                    let many = (0..1_000).map(|n| Value::String(format!("value-{n}")));
                    add(&path, "a thousand different", Some(Value::List(many.collect())));
                }
                for (label, wrong) in wrong(&field.kind()) {
                    let elements = [&[wrong], &elements[1..]].concat();
                    add(&first_path, label, Some(Value::List(elements)));
                }
                if let Value::Message(inner) = first {
                    steps.push(field.clone());
                    walk(inner, steps, &first_path, &place, all);
                    steps.pop();
                }
            }
            Value::Message(inner) if !is_time(&inner.descriptor()) => {
                add(&path, "empty message", Some(Value::Message(DynamicMessage::new(inner.descriptor()))));
                steps.push(field.clone());
                walk(inner, steps, &path, &place, all);
                steps.pop();
            }
            Value::Bool(present) => add(&path, "turned over", Some(Value::Bool(!present))),
            _ => {
                // Empty is absent, unless it is one of several.
                for (label, wrong) in wrong(&field.kind()).into_iter().filter(|(label, _)| *label != "empty") {
                    add(&path, label, Some(wrong));
                }
            }
        }
    }
}

const HUGE: usize = 100_000;

/// Values that may be wrong for a kind, each with a word for it. Which of them are not, the exceptions say.
fn wrong(kind: &Kind) -> Vec<(&'static str, Value)> {
    match kind {
        Kind::String => [
            ("empty", String::new()),
            ("blank", "   ".to_owned()),
            ("spaces", "two words".to_owned()),
            ("upper", "UPPER-CASE".to_owned()),
            ("unknown", "well-formed-9".to_owned()),
            ("number", "7".to_owned()),
            ("negative", "-9223372036854775808".to_owned()),
            ("control", "one\u{1b}[2Jtwo".to_owned()),
            ("line feed", "one\ntwo".to_owned()),
            ("nul", "one\0two".to_owned()),
            ("unicode", "n\u{e4}me-\u{540d}\u{524d}".to_owned()),
            ("sql", "'; DROP TABLE entry; --".to_owned()),
            ("path", "../../etc/passwd".to_owned()),
            ("huge", "a".repeat(HUGE)),
            ("huge unicode", "\u{540d}".repeat(HUGE / 3)),
        ]
        .map(|(label, text)| (label, Value::String(text)))
        .to_vec(),
        Kind::Bytes => [("short", 31), ("long", 33), ("other", 32), ("huge", HUGE)]
            .map(|(label, length)| (label, Value::Bytes(Bytes::from(vec![0x5a; length]))))
            .to_vec(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            [("below zero", -1), ("largest", i32::MAX), ("smallest", i32::MIN), ("large", 1_000_000)]
                .map(|(label, number)| (label, Value::I32(number)))
                .to_vec()
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            [("below zero", -1), ("largest", i64::MAX), ("smallest", i64::MIN), ("large", 1_000_000)]
                .map(|(label, number)| (label, Value::I64(number)))
                .to_vec()
        }
        Kind::Uint64 | Kind::Fixed64 => {
            [("largest", u64::MAX), ("past i64", 1 << 63), ("i64", i64::MAX.unsigned_abs()), ("large", 1_000_000)]
                .map(|(label, number)| (label, Value::U64(number)))
                .to_vec()
        }
        Kind::Message(message) if is_time(message) => [
            ("year 0", -62_167_219_200, 0),
            ("year 1969", -1, 0),
            ("year 1970", 0, 1_000),
            ("year 9999", 253_402_300_799, 0),
            ("year 10000", 253_402_300_800, 0),
            ("largest", i64::MAX, 0),
            ("smallest", i64::MIN, 0),
            ("negative nanoseconds", 1_700_000_000, -1),
            ("too many nanoseconds", 1_700_000_000, 1_000_000_000),
            ("smallest nanoseconds", 1_700_000_000, i32::MIN),
        ]
        .map(|(label, seconds, nanos)| {
            let mut time = DynamicMessage::new(message.clone());
            time.set_field_by_name("seconds", Value::I64(seconds));
            time.set_field_by_name("nanos", Value::I32(nanos));
            (label, Value::Message(time))
        })
        .to_vec(),
        Kind::Message(message) => vec![("empty message", Value::Message(DynamicMessage::new(message.clone())))],
        // A new kind of field must say here what can be wrong with it.
        kind => panic!("no wrong values for {kind:?}"),
    }
}
