//! One incident as it may be told without saying whose it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Category;

/// A record in which an incident cannot be told from enough others: banded values, and nothing by which to find it.
///
/// What is not known or withheld is not there; why cannot be seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnonymisedRecord {
    /// The quarter or the year in which its holder registered it, such as `2026-Q3` or `2026`.
    pub period: String,
    /// What it says.
    pub values: Vec<AnonymisedValue>,
}

/// One thing that an anonymised record says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnonymisedValue {
    /// The category of content that it comes from.
    pub category: Category,
    /// Of what it is a value: a dimension of the statistics' menu.
    pub dimension: String,
    /// The value.
    pub value: String,
    /// The same for a reader.
    pub title: String,
}

impl AnonymisedRecord {
    /// The same record without what is of other categories; none if nothing is left to say.
    ///
    /// A part of a record is shared by everybody who shares the record, so it needs no check of its own.
    #[must_use]
    pub fn within(&self, categories: &BTreeSet<Category>) -> Option<Self> {
        let values = self.values.iter().filter(|value| categories.contains(&value.category)).cloned();
        let part = Self { period: self.period.clone(), values: values.collect() };
        (!part.values.is_empty()).then_some(part)
    }

    /// The categories of what it says.
    pub fn categories(&self) -> BTreeSet<Category> {
        self.values.iter().map(|value| value.category.clone()).collect()
    }
}

super::invalid::unprinted!(AnonymisedRecord, AnonymisedValue);
