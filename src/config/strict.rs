//! What a configuration says that it cannot mean: everything that is wrong with its shape, at once.
//!
//! The shape is the JSON Schema that is made from the types, so it cannot lag behind them.

use std::ffi::OsString;

use schemars::{JsonSchema, schema_for};
use serde_json::Value as Json;
use toml::{Table, Value};

/// What the environment's names begin with: `CONCORDAT__NODE__LISTEN` is `node.listen`.
const PREFIX: &str = "CONCORDAT__";

/// How alike a name must be to be offered.
const ALIKE: f64 = 0.8;

/// The schema of a type.
pub(super) fn schema<T: JsonSchema>() -> Json {
    schema_for!(T).to_value()
}

/// Puts what the environment says in place of what the file says. Lists stay the file's.
pub(super) fn overlay(
    table: &mut Table,
    environment: impl Iterator<Item = (OsString, OsString)>,
    schema: &Json,
    problems: &mut Vec<String>,
) {
    let mut settings: Vec<(String, String)> = Vec::new();
    // Whatever is in the environment that is not ours need not be text.
    for (name, value) in environment.filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        match (name.to_str(), value.to_str()) {
            (Some(name), Some(value)) => settings.push((name.to_owned(), value.to_owned())),
            _ => problems.push(format!("{} (environment): is not UTF-8", name.display())),
        }
    }
    settings.sort();
    for (name, text) in settings {
        let path = name.trim_start_matches(PREFIX).to_lowercase();
        let words: Vec<&str> = path.split("__").collect();
        let [section, key] = words.as_slice() else {
            problems.push(format!("{name} (environment): write {PREFIX}SECTION__KEY"));
            continue;
        };
        let top = Shape { schema, root: schema };
        let Some(inside) = top.property(section).filter(|shape| shape.is_section()) else {
            problems.push(format!("{name} (environment): {}", top.no_section(section)));
            continue;
        };
        let Some(wanted) = inside.property(key) else {
            problems.push(format!("{name} (environment): {}", inside.unknown(key)));
            continue;
        };
        let value = match wanted.kind() {
            "integer" => text.parse().map(Value::Integer).ok(),
            "boolean" => text.parse().map(Value::Boolean).ok(),
            "array" => Some(text.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>().into()),
            _ => Some(Value::String(text)),
        };
        let Some(value) = value else {
            problems.push(format!("{name} (environment): must be {}", wanted.in_words()));
            continue;
        };
        match table.entry(*section).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(table) => drop(table.insert((*key).to_owned(), value)),
            _ => problems.push(format!("{section}: must be a table")),
        }
    }
}

/// Says everything that is wrong with the shape of what a file says.
pub(super) fn problems(table: &Table, schema: &Json) -> Vec<String> {
    let mut problems = Vec::new();
    Shape { schema, root: schema }.walk("", &Value::Table(table.clone()), &mut problems);
    problems
}

/// The name that is nearest to what was written, or all there are.
fn instead(names: &[&str], written: &str) -> String {
    let near = names.iter().map(|name| (strsim::jaro_winkler(name, written), name));
    match near.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((alike, name)) if alike >= ALIKE => format!(": did you mean `{name}`?"),
        _ => format!("; there are {}", names.join(", ")),
    }
}

/// A part of a schema, and the whole in which it refers to others.
#[derive(Clone, Copy)]
struct Shape<'a> {
    schema: &'a Json,
    root: &'a Json,
}

impl<'a> Shape<'a> {
    /// What is meant, where a part refers to another or may be left out.
    fn resolved(self) -> &'a Json {
        let mut schema = self.schema;
        loop {
            let referred = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
            if let Some(found) = referred.and_then(|pointer| self.root.pointer(pointer)) {
                schema = found;
                continue;
            }
            let options = schema.get("anyOf").and_then(Json::as_array);
            let present = options.and_then(|options| {
                options.iter().find(|option| option.get("type").and_then(Json::as_str) != Some("null"))
            });
            match present {
                Some(found) => schema = found,
                None => return schema,
            }
        }
    }

    fn property(self, key: &str) -> Option<Self> {
        let schema = self.resolved().get("properties")?.get(key)?;
        Some(Self { schema, root: self.root })
    }

    fn names(self) -> Vec<&'a str> {
        let properties = self.resolved().get("properties").and_then(Json::as_object);
        let mut names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The values that there are, where they are listed.
    fn words(self) -> Vec<&'a str> {
        let schema = self.resolved();
        let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        let options = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
        listed.chain(options.filter_map(|option| option.get("const").and_then(Json::as_str))).collect()
    }

    fn kind(self) -> &'a str {
        match self.resolved().get("type") {
            Some(Json::String(kind)) => kind,
            // What may be left out is this or null.
            Some(Json::Array(kinds)) => {
                kinds.iter().filter_map(Json::as_str).find(|kind| *kind != "null").unwrap_or("")
            }
            _ if self.words().is_empty() => "",
            _ => "string",
        }
    }

    fn in_words(self) -> &'static str {
        match self.kind() {
            "object" => "a table",
            "array" => "a list",
            "integer" => "a whole number",
            "boolean" => "true or false",
            _ => "a text in quotes",
        }
    }

    /// Whether it is a table of keys.
    fn is_section(self) -> bool {
        self.resolved().get("properties").is_some()
    }

    fn unknown(self, key: &str) -> String {
        format!("there is no key `{key}`{}", instead(&self.names(), key))
    }

    fn no_section(self, name: &str) -> String {
        if self.property(name).is_some() {
            return format!("`{name}` is no section that the environment can set");
        }
        let is_section = |name: &&str| self.property(name).is_some_and(Self::is_section);
        let sections: Vec<&str> = self.names().into_iter().filter(is_section).collect();
        format!("there is no section `{name}`{}", instead(&sections, name))
    }

    /// What a number must be that is not within its bounds.
    fn bounds_broken_by(self, number: i64) -> Option<String> {
        let bound = |key: &str| self.resolved().get(key).and_then(Json::as_i64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let is_well = least.is_none_or(|least| least <= number) && most.is_none_or(|most| number <= most);
        match (least, most) {
            _ if is_well => None,
            (Some(least), Some(most)) => Some(format!("must be {least} to {most}")),
            (Some(least), None) => Some(format!("must be at least {least}")),
            (None, most) => Some(format!("must be at most {}", most.unwrap_or(i64::MAX))),
        }
    }

    fn walk(self, path: &str, value: &Value, problems: &mut Vec<String>) {
        let fits = match (self.kind(), value) {
            ("object", Value::Table(table)) => {
                self.walk_table(path, table, problems);
                true
            }
            ("array", Value::Array(items)) => {
                let items_are = self.resolved().get("items");
                for (place, item) in items.iter().enumerate() {
                    if let Some(schema) = items_are {
                        Self { schema, root: self.root }.walk(&format!("{path}[{place}]"), item, problems);
                    }
                }
                true
            }
            ("string", Value::String(text)) => {
                let words = self.words();
                if !words.is_empty() && !words.contains(&text.as_str()) {
                    problems.push(format!("{path}: there is no `{text}`; there are {}", words.join(", ")));
                }
                true
            }
            ("integer", Value::Integer(number)) => {
                problems.extend(self.bounds_broken_by(*number).map(|must| format!("{path}: {must}")));
                true
            }
            ("boolean", Value::Boolean(_)) | ("", _) => true,
            _ => false,
        };
        if !fits {
            problems.push(format!("{path}: must be {}", self.in_words()));
        }
    }

    fn walk_table(self, path: &str, table: &Table, problems: &mut Vec<String>) {
        let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, value) in table {
            match self.property(key) {
                Some(inside) => inside.walk(&within(key), value, problems),
                None if path.is_empty() => problems.push(self.unknown(key)),
                None => problems.push(format!("{path}: {}", self.unknown(key))),
            }
        }
        let required = self.resolved().get("required").and_then(Json::as_array).into_iter().flatten();
        for key in required.filter_map(Json::as_str).filter(|key| !table.contains_key(*key)) {
            problems.push(format!("{}: is not there", within(key)));
        }
    }
}
