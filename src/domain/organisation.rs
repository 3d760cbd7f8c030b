//! The affected organisation, as its holder knows it.

use super::{AgencyId, Identifier, Invalid, OrganisationId, check};

/// An entry of the holder's register.
#[derive(Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The holder's id.
    pub id: OrganisationId,
    /// The holder.
    pub holder: AgencyId,
    /// From 1; one more with every amendment.
    pub version: i64,
    /// The name it is known by. A name never matches a request.
    pub name: String,
    /// Registered identifiers; these alone match.
    pub identifiers: Vec<Identifier>,
}

impl Organisation {
    /// A name with single spaces between its words, and none around them.
    pub fn spaced(name: &str) -> String {
        name.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A name by which two spellings are the same: case and spaces are folded, and nothing else.
    pub fn folded(name: &str) -> String {
        Self::spaced(name).to_lowercase()
    }

    /// Checks the name and the identifiers of an entry to be.
    pub fn check(name: &str, identifiers: &[Identifier]) -> Result<(), Invalid> {
        check(!name.trim().is_empty(), "name", "is required")?;
        check(name.chars().count() <= 300, "name", "must have at most 300 characters")?;
        check(!name.chars().any(char::is_control), "name", "must not have control characters")?;
        check(identifiers.len() <= 16, "identifiers", "must be at most 16")?;
        for (i, identifier) in identifiers.iter().enumerate() {
            let first = identifiers.iter().position(|other| other == identifier);
            check(first == Some(i), &format!("identifiers[{i}]"), "is there twice")?;
        }
        Ok(())
    }
}

super::invalid::unprinted!(Organisation);
