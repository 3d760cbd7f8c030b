//! `menu.toml` as it is written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "dimension")]
    pub(super) dimensions: Vec<DimensionTerms>,
    #[serde(rename = "table")]
    pub(super) tables: Vec<TableTerms>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DimensionTerms {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) from: From,
    #[serde(rename = "value")]
    pub(super) values: Vec<ValueTerms>,
}

/// Where a dimension's value comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum From {
    /// Texts.
    Text(Vec<String>),
    /// A code.
    Code(CodeTerms),
    /// A number.
    Number(String),
    /// The hours between two times.
    Hours(HoursTerms),
    /// Yes, or nothing is known.
    Flag(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeTerms {
    pub(super) field: String,
    pub(super) scheme: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoursTerms {
    pub(super) since: String,
    pub(super) until: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueTerms {
    pub(super) id: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) texts: Vec<String>,
    #[serde(default)]
    pub(super) codes: Vec<String>,
    pub(super) at_least: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableTerms {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) over: Vec<String>,
}

impl From {
    /// Whether there can be something that none of the values is.
    pub(super) fn has_other(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Code(_))
    }
}
