//! A request's fields as flags.
//!
//! A field of a message in the request is a dotted flag, `--scope.purposes`. What a flag's text may be follows from
//! the field's type, and a text that cannot be read is wrong usage that names the flag.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use concordat::clock::Clock;
use concordat::domain::Instant;
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::contract::{Contract, short};

pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Long flags that every RPC's command has: a field of such a name has `request.` before it.
const TAKEN: [&str; 7] = ["all", "content", "context", "help", "json", "key", "output"];

/// One flag: a field of the request, or of a message in it.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    path: Vec<FieldDescriptor>,
}

/// The flags of a request, in the contract's order.
pub(super) fn flags(request: &MessageDescriptor) -> Vec<Flag> {
    let mut found = Vec::new();
    collect(request, &[], &mut found);
    found
}

fn collect(message: &MessageDescriptor, before: &[FieldDescriptor], found: &mut Vec<Flag>) {
    for field in message.fields().filter(|field| !field.is_map()) {
        let path: Vec<FieldDescriptor> = before.iter().cloned().chain([field.clone()]).collect();
        match field.kind() {
            Kind::Message(inner) if is_taken_apart(&field, &inner, before) => collect(&inner, &path, found),
            _ => found.push(Flag { path }),
        }
    }
}

/// Whether a message's fields are flags of their own. One that is within itself is not, nor is one without fields.
fn is_taken_apart(field: &FieldDescriptor, inner: &MessageDescriptor, before: &[FieldDescriptor]) -> bool {
    let is_within = before.iter().any(|outer| outer.parent_message() == inner) || field.parent_message() == inner;
    !field.is_list() && inner.full_name() != TIMESTAMP && inner.fields().len() > 0 && !is_within
}

impl Flag {
    /// The field's path as the contract writes it, such as `scope.purposes`.
    pub(super) fn field_path(&self) -> String {
        self.path.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
    }

    /// The flag without its dashes, such as `scope.valid-until`.
    pub(super) fn name(&self) -> String {
        let name = self.field_path().replace('_', "-");
        if TAKEN.contains(&name.as_str()) { format!("request.{name}") } else { name }
    }

    fn id(&self) -> String {
        format!("field:{}", self.field_path())
    }

    fn field(&self) -> Option<&FieldDescriptor> {
        self.path.last()
    }

    /// Whether the contract says that a new record or request needs the field; of a `oneof`, its first member.
    pub(super) fn is_required(&self, contract: &Contract) -> bool {
        self.path.iter().all(|field| {
            let file = field.parent_file();
            let comment = match field.containing_oneof() {
                Some(oneof) if oneof.fields().next().as_ref() == Some(field) => contract.comment(&file, oneof.path()),
                Some(_) => "",
                None => contract.comment(&file, field.path()),
            };
            comment.contains("Required")
        })
    }

    /// What stands for the value in help texts.
    pub(super) fn placeholder(&self) -> &'static str {
        match self.field().map(FieldDescriptor::kind) {
            Some(Kind::Message(inner)) if inner.full_name() == TIMESTAMP => "TIME",
            Some(Kind::Message(_)) => "NAME=VALUE,..",
            Some(Kind::Bytes) => "HEX",
            Some(Kind::Bool) => "true|false",
            Some(Kind::String) => "TEXT",
            Some(Kind::Enum(_)) => "NAME",
            _ => "NUMBER",
        }
    }

    /// The choices that the flag makes: of one `oneof`, only one member may be set.
    fn choices(&self) -> Vec<(String, String)> {
        let mut choices = Vec::new();
        for (depth, field) in self.path.iter().enumerate() {
            if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
                choices.push((format!("{depth}:{}", oneof.full_name()), field.name().to_owned()));
            }
        }
        choices
    }

    fn excludes(&self, other: &Self) -> bool {
        let others = other.choices();
        self.choices().iter().any(|(oneof, one)| others.iter().any(|(same, member)| oneof == same && one != member))
    }

    /// The flag for clap, with the contract's comment as its help.
    pub(super) fn arg(&self, contract: &Contract, all: &[Self]) -> Option<Arg> {
        let field = self.field()?;
        let comment = contract.comment(&field.parent_file(), field.path());
        let mut arg = Arg::new(self.id())
            .long(self.name())
            .value_name(self.placeholder())
            .help(short(comment))
            .long_help(comment.to_owned())
            .value_parser(parser(field))
            // One token in 64 begins with a hyphen.
            .allow_hyphen_values(
                matches!(self.placeholder(), "TIME" | "NUMBER") || matches!(field.name(), "page_token" | "cursor"),
            )
            .hide_short_help(self.path.len() > 2)
            .conflicts_with_all(all.iter().filter(|other| self.excludes(other)).map(Self::id));
        if field.kind() == Kind::Bool && !field.is_list() {
            arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true").hide_possible_values(true);
        }
        if field.is_list() {
            arg = arg.action(ArgAction::Append);
            if !matches!(field.kind(), Kind::Message(_)) {
                arg = arg.value_delimiter(',');
            }
        }
        if let Some((_, outer)) = self.path.split_last().filter(|(_, outer)| !outer.is_empty()) {
            let heading: Vec<String> = outer.iter().map(|field| field.name().replace('_', "-")).collect();
            arg = arg.help_heading(format!("--{}", heading.join(".")));
        }
        Some(arg)
    }

    /// Sets the field, if the flag was given.
    pub(super) fn set(&self, request: &mut DynamicMessage, matches: &ArgMatches) -> anyhow::Result<()> {
        let Some(values) = matches.try_get_many::<Value>(&self.id())? else { return Ok(()) };
        let Some((field, outer)) = self.path.split_last() else { return Ok(()) };
        let mut message = request;
        for step in outer {
            match message.get_field_mut(step) {
                Value::Message(inner) => message = inner,
                _ => anyhow::bail!("{} is not a message", step.full_name()),
            }
        }
        let mut values: Vec<Value> = values.cloned().collect();
        let value = if field.is_list() { Some(Value::List(values)) } else { values.pop() };
        if let Some(value) = value {
            message.try_set_field(field, value)?;
        }
        Ok(())
    }
}

fn parser(field: &FieldDescriptor) -> ValueParser {
    if let Kind::Enum(choices) = field.kind() {
        let names = choices.values().map(|value| PossibleValue::new(choice(&choices, value.name())));
        let parser = PossibleValuesParser::new(names);
        let number = move |name: String| {
            let found = choices.values().find(|value| choice(&choices, value.name()) == name);
            Value::EnumNumber(found.map_or(0, |value| value.number()))
        };
        return ValueParser::new(parser.map(number));
    }
    let kind = field.kind();
    ValueParser::new(move |text: &str| read(&kind, text))
}

/// An enum's value as it is typed: `ENTRY_KIND_ASK` is `ask`.
pub(super) fn choice(choices: &EnumDescriptor, name: &str) -> String {
    let mut prefix = String::new();
    for letter in choices.name().chars() {
        if letter.is_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.extend(letter.to_uppercase());
    }
    let rest = name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
    rest.to_lowercase().replace('_', "-")
}

/// Reads one value of a field of this type.
fn read(kind: &Kind, text: &str) -> Result<Value, String> {
    fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
        text.parse().map_err(|_| "not a number that the field can have".to_owned())
    }
    Ok(match kind {
        Kind::Double => Value::F64(number(text)?),
        Kind::Float => Value::F32(number(text)?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number(text)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number(text)?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number(text)?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number(text)?),
        Kind::Bool => Value::Bool(text.parse().map_err(|_| "neither true nor false".to_owned())?),
        Kind::String => Value::String(text.to_owned()),
        Kind::Bytes => Value::Bytes(bytes(text)?.into()),
        Kind::Enum(choices) => {
            let found = choices.values().find(|value| choice(choices, value.name()) == text || value.name() == text);
            let names = || choices.values().map(|v| choice(choices, v.name())).collect::<Vec<_>>().join(", ");
            Value::EnumNumber(found.ok_or_else(|| format!("none of {}", names()))?.number())
        }
        Kind::Message(inner) if inner.full_name() == TIMESTAMP => Value::Message(timestamp(inner, text)?),
        Kind::Message(inner) => Value::Message(object(inner, text)?),
    })
}

/// Hexadecimal, or base64 as JSON has it.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let hex = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    let decoded = hex.or_else(|_| data_encoding::BASE64.decode(text.as_bytes()));
    decoded.map_err(|_| "neither hexadecimal nor base64".to_owned())
}

/// `NAME=VALUE,NAME=VALUE`, or a JSON object.
fn object(descriptor: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    if text.trim_start().starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))?;
        return DynamicMessage::deserialize(descriptor.clone(), json).map_err(|e| e.to_string());
    }
    let mut message = DynamicMessage::new(descriptor.clone());
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not NAME=VALUE"))?;
        let field = descriptor.get_field_by_name(&name.replace('-', "_")).ok_or_else(|| {
            let names: Vec<String> = descriptor.fields().map(|field| field.name().replace('_', "-")).collect();
            format!("has no `{name}`: there are {}", names.join(", "))
        })?;
        let value = read(&field.kind(), value).map_err(|problem| format!("{name}: {problem}"))?;
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        message.try_set_field(&field, value).map_err(|e| e.to_string())?;
    }
    Ok(message)
}

fn timestamp(descriptor: &MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let at = instant(text, Clock::system().now())?;
    let micros = at.micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    let stamp = prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos };
    let mut message = DynamicMessage::new(descriptor.clone());
    message.transcode_from(&stamp).map_err(|e| e.to_string())?;
    Ok(message)
}

/// RFC 3339, a date (its beginning, UTC), `now`, or how long from now: `+90d`, `-30d`, `+12h`, `+45m`, `+2w`.
pub(super) fn instant(text: &str, now: Instant) -> Result<Instant, String> {
    let problem = || "not a time: write 2026-01-31T09:00:00Z, 2026-01-31, now, +90d or -12h".to_owned();
    if text == "now" {
        return Ok(now);
    }
    if let Some(distance) = text.strip_prefix(['+', '-']) {
        let units = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)];
        let split = units.into_iter().find_map(|(unit, seconds)| Some((distance.strip_suffix(unit)?, seconds)));
        let (count, unit) = split.ok_or_else(problem)?;
        let seconds = i64::from(count.parse::<u32>().map_err(|_| problem())?) * unit;
        return Ok(now.plus_seconds(if text.starts_with('-') { -seconds } else { seconds }));
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let time = OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| problem())?;
    let micros = i64::try_from(time.unix_timestamp_nanos() / 1_000).map_err(|_| problem())?;
    Ok(Instant::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::instant;
    use concordat::domain::Instant;

    #[test]
    fn times_are_absolute_or_from_now() {
        let now = Instant::from_micros(1_700_000_000_000_000);
        let at = |text| instant(text, now).map(|at| (at.micros() - now.micros()) / 1_000_000);
        assert_eq!(at("now"), Ok(0));
        assert_eq!(at("+90d"), Ok(90 * 86_400));
        assert_eq!(at("-12h"), Ok(-12 * 3_600));
        assert_eq!(at("+2w"), Ok(14 * 86_400));
        assert_eq!(at("2023-11-14T22:13:30Z"), Ok(10));
        assert_eq!(at("2023-11-14T23:13:30+01:00"), Ok(10));
        assert_eq!(instant("1970-01-02", now), Ok(Instant::from_micros(86_400_000_000)));
        for wrong in
            ["", "+", "-d", "+9y", "90d", "14/11/2023", "2023-13-01", "+99999999999d", "+-5d", "+5dd", "+5\u{b5}"]
        {
            assert!(at(wrong).unwrap_err().contains("+90d"), "{wrong}");
        }
    }
}
