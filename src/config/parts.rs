//! A configuration part by part, so that what is wrong with one part hides nothing of what is wrong with another.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What a file says, and what was found wrong with it so far: each problem begins with where it is.
pub(super) struct Parts {
    table: Table,
    pub(super) problems: Vec<String>,
}

impl Parts {
    pub(super) fn new(table: Table, problems: Vec<String>) -> Self {
        Self { table, problems }
    }

    /// A section, unless there is a problem with it, which is told. One that is not there says nothing.
    pub(super) fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.table.remove(name).unwrap_or_else(|| Value::Table(Table::new()));
        self.read(name, value)
    }

    /// The sections of a list, each as above.
    pub(super) fn sections<T: DeserializeOwned>(&mut self, name: &str) -> Vec<Option<T>> {
        let Some(Value::Array(values)) = self.table.remove(name) else { return Vec::new() };
        values.into_iter().enumerate().map(|(place, value)| self.read(&format!("{name}[{place}]"), value)).collect()
    }

    fn read<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        let is_of_it =
            |problem: &String| problem.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', ':', '[']));
        if self.problems.iter().any(is_of_it) {
            return None;
        }
        value.try_into().map_err(|error| self.problems.push(in_words(path, &error))).ok()
    }

    /// Tells of something else.
    pub(super) fn tell(&mut self, problems: impl IntoIterator<Item = String>) {
        self.problems.extend(problems);
    }
}

fn in_words(path: &str, error: &toml::de::Error) -> String {
    // It says the key in a second line alone.
    let said = error.to_string();
    let (_, place) = said.trim_end().rsplit_once("in `").unwrap_or_default();
    let within = place.strip_suffix('`').map(|key| format!(".{key}")).unwrap_or_default();
    format!("{path}{within}: {}", error.message())
}
