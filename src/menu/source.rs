//! How one dimension's value is found in an incident's content.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::file::{CodeTerms, DimensionTerms, From, HoursTerms, ValueTerms};

/// The places of the values that a dimension has besides its own.
const NOT_KNOWN: usize = 0;
const OTHER: usize = 1;

/// A field of the content, from the outermost message inwards.
#[derive(Debug)]
pub(super) struct Path(Vec<FieldDescriptor>);

/// Where the value comes from, with what stands for which value.
#[derive(Debug)]
pub(super) enum Source {
    /// Texts, and for each value those that it stands for.
    Text { paths: Vec<Path>, texts: Vec<Vec<String>> },
    /// A code, its scheme, and the beginnings with the value that each stands for.
    Code { code: Path, scheme: Option<Path>, beginnings: Vec<(String, usize)> },
    /// A number, and from where each band counts.
    Number { number: Path, bands: Vec<i64> },
    /// Two times, and from how many hours each band counts.
    Hours { since: Path, until: Path, bands: Vec<i64> },
    /// Yes, or nothing is known.
    Flag(Path),
}

const SECONDS_PER_HOUR: i64 = 3_600;
const TIMESTAMP: &str = "google.protobuf.Timestamp";

impl Source {
    /// Checks a dimension against the contract's message.
    pub(super) fn new(dimension: &DimensionTerms, content: &MessageDescriptor) -> Result<Self, String> {
        let path = |text: &String, fits: &dyn Fn(&FieldDescriptor) -> bool, kind| Path::new(content, text, fits, kind);
        let is_text = |field: &FieldDescriptor| field.kind() == Kind::String;
        let is_one_text = |field: &FieldDescriptor| is_text(field) && !field.is_list();
        let is_time = |field: &FieldDescriptor| {
            field.kind().as_message().is_some_and(|message| message.full_name() == TIMESTAMP) && !field.is_list()
        };
        let values = &dimension.values;
        Ok(match &dimension.from {
            From::Text(fields) => Self::Text {
                paths: fields.iter().map(|field| path(field, &is_text, "a text")).collect::<Result<_, _>>()?,
                texts: texts(values)?,
            },
            From::Code(CodeTerms { field, scheme }) => Self::Code {
                code: path(field, &is_one_text, "one text")?,
                scheme: scheme.as_ref().map(|scheme| path(scheme, &is_one_text, "one text")).transpose()?,
                beginnings: beginnings(values)?,
            },
            From::Number(field) => {
                let is_number = |field: &FieldDescriptor| field.kind() == Kind::Int64 && field.supports_presence();
                Self::Number { number: path(field, &is_number, "an optional int64")?, bands: bands(values)? }
            }
            From::Hours(HoursTerms { since, until }) => Self::Hours {
                since: path(since, &is_time, "a time")?,
                until: path(until, &is_time, "a time")?,
                bands: bands(values)?,
            },
            From::Flag(field) => {
                let is_flag = |field: &FieldDescriptor| field.kind() == Kind::Bool && !field.is_list();
                let plain =
                    |value: &ValueTerms| value.texts.is_empty() && value.codes.is_empty() && value.at_least.is_none();
                if !matches!(values.as_slice(), [only] if plain(only)) {
                    return Err("a flag has one value and nothing else to it".to_owned());
                }
                Self::Flag(path(field, &is_flag, "yes or no")?)
            }
        })
    }

    /// The place of the incident's value.
    pub(super) fn value(&self, content: &DynamicMessage) -> u8 {
        let place = match self {
            Self::Text { paths, texts } => {
                let found: Vec<String> = paths.iter().flat_map(|path| path.texts(content)).collect();
                let first = texts.iter().position(|texts| texts.iter().any(|text| found.contains(text)));
                first.map_or(if found.is_empty() { NOT_KNOWN } else { OTHER }, |place| place + OTHER + 1)
            }
            Self::Code { code, scheme, beginnings } => match code.texts(content).pop() {
                None => NOT_KNOWN,
                Some(code) => {
                    let scheme = scheme.as_ref().map(|scheme| scheme.texts(content).pop().unwrap_or_default());
                    let code = scheme.map_or(code.clone(), |scheme| format!("{scheme}:{code}"));
                    let fitting = beginnings.iter().filter(|(beginning, _)| code.starts_with(beginning.as_str()));
                    fitting.max_by_key(|(beginning, _)| beginning.len()).map_or(OTHER, |(_, place)| place + OTHER + 1)
                }
            },
            Self::Number { number, bands } => band(bands, number.number(content)),
            Self::Hours { since, until, bands } => {
                let seconds = since.seconds(content).zip(until.seconds(content));
                let passed = seconds.and_then(|(since, until)| until.checked_sub(since));
                band(bands, passed.map(|seconds| seconds.div_euclid(SECONDS_PER_HOUR)))
            }
            // What is not set and what is not so look the same.
            Self::Flag(flag) => usize::from(flag.find(content).and_then(|value| value.as_bool()) == Some(true)),
        };
        u8::try_from(place).unwrap_or_default()
    }
}

impl Path {
    fn new(
        content: &MessageDescriptor,
        text: &str,
        fits: &dyn Fn(&FieldDescriptor) -> bool,
        kind: &str,
    ) -> Result<Self, String> {
        let mut message = Some(content.clone());
        let mut fields = Vec::new();
        for name in text.split('.') {
            let field = message.as_ref().and_then(|message| message.get_field_by_name(name));
            let field = field.ok_or_else(|| format!("an incident's content has no field `{text}`"))?;
            message = field.kind().as_message().filter(|_| !field.is_list()).cloned();
            fields.push(field);
        }
        if fields.last().is_some_and(fits) {
            Ok(Self(fields))
        } else {
            Err(format!("the field `{text}` is not {kind}"))
        }
    }

    /// Follows the path; none where something on it is not set.
    fn find<'a>(&self, content: &'a DynamicMessage) -> Option<Cow<'a, Value>> {
        let (last, outer) = self.0.split_last()?;
        let mut message = content;
        for field in outer {
            if !message.has_field(field) {
                return None;
            }
            let Cow::Borrowed(Value::Message(inner)) = message.get_field(field) else { return None };
            message = inner;
        }
        message.has_field(last).then(|| message.get_field(last))
    }

    /// Its texts in lower case, without those that say nothing.
    fn texts(&self, content: &DynamicMessage) -> Vec<String> {
        let found = self.find(content);
        let texts = match found.as_deref() {
            Some(Value::String(text)) => vec![plain(text)],
            Some(Value::List(list)) => list.iter().filter_map(Value::as_str).map(plain).collect(),
            _ => Vec::new(),
        };
        texts.into_iter().filter(|text| !text.is_empty() && text != "unknown").collect()
    }

    fn number(&self, content: &DynamicMessage) -> Option<i64> {
        self.find(content)?.as_i64()
    }

    fn seconds(&self, content: &DynamicMessage) -> Option<i64> {
        let found = self.find(content)?;
        let time = found.as_message()?;
        time.descriptor().get_field_by_name("seconds").and_then(|field| time.get_field(&field).as_i64())
    }
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The last band that begins at or below the number.
fn band(bands: &[i64], number: Option<i64>) -> usize {
    number.map_or(NOT_KNOWN, |number| bands.iter().take_while(|least| **least <= number).count())
}

fn bands(values: &[ValueTerms]) -> Result<Vec<i64>, String> {
    let mut bands: Vec<i64> = Vec::new();
    for ValueTerms { id, texts, codes, at_least, .. } in values {
        let least = at_least.filter(|_| texts.is_empty() && codes.is_empty());
        let least = least.ok_or_else(|| format!("the value `{id}` must have `at_least` and nothing else"))?;
        if bands.last().is_some_and(|last| *last >= least) {
            return Err(format!("the value `{id}` must begin above the one before"));
        }
        bands.push(least);
    }
    Ok(bands)
}

fn texts(values: &[ValueTerms]) -> Result<Vec<Vec<String>>, String> {
    let of_one = |value: &ValueTerms| {
        let fits = !value.texts.is_empty() && value.codes.is_empty() && value.at_least.is_none();
        let problem = || format!("the value `{}` must have `texts` and nothing else", value.id);
        if fits { Ok(value.texts.iter().map(|text| plain(text)).collect()) } else { Err(problem()) }
    };
    values.iter().map(of_one).collect()
}

fn beginnings(values: &[ValueTerms]) -> Result<Vec<(String, usize)>, String> {
    let mut all = Vec::new();
    for (place, value) in values.iter().enumerate() {
        if value.codes.is_empty() || !value.texts.is_empty() || value.at_least.is_some() {
            return Err(format!("the value `{}` must have `codes` and nothing else", value.id));
        }
        all.extend(value.codes.iter().map(|code| (plain(code), place)));
    }
    Ok(all)
}
