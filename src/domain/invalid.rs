//! What is wrong with one field of what a caller sent.

/// One field that cannot be accepted, and why.
///
/// `field` is the path as the contract writes it, such as `scope.purposes[2]`; `problem` is a sentence without the
/// field's name that says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The path of the field.
    pub field: String,
    /// What is wrong and what would be accepted.
    pub problem: String,
}

impl Invalid {
    /// A problem with the field at this path.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same problem, seen from the message that holds the field.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let separator = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{parent}{separator}{}", self.field), problem: self.problem }
    }
}

/// Fails with the problem unless the condition holds.
pub fn check(holds: bool, field: &str, problem: impl Into<String>) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::new(field, problem)) }
}

/// Why a rule of the domain does not let something happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such thing, as far as the caller may know.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// It is not in a state in which this can happen.
    #[error("{0}")]
    WrongState(&'static str),
    /// The officer has none of the roles that the agreement names for this.
    #[error("needs one of the roles {0}")]
    RoleMissing(String),
    /// A second officer is needed, and this is the first one.
    #[error("the officer who verifies must not be the one who recorded")]
    SameOfficer,
    /// The record has changed since the caller read it.
    #[error("the record has changed since it was read: read it again")]
    Changed,
    /// One of several records that a call is about.
    #[error("{field}: {why}")]
    At {
        /// The field that names the record, or what is wrong with it.
        field: String,
        /// Why, as if the call were about that record alone.
        why: Box<Rejected>,
    },
}

impl Rejected {
    /// A field that cannot be accepted.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(Invalid::new(field, problem))
    }

    /// The same, seen from a call in which the record stands at this path; at none, it is the call's only one. `field`
    /// is the record's field that is in question, where the reason names none itself.
    #[must_use]
    pub fn within(self, path: &str, field: &str) -> Self {
        match self {
            alone if path.is_empty() => alone,
            Self::Invalid(problem) => Self::Invalid(problem.within(path)),
            why => Self::At { field: format!("{path}.{field}"), why: Box::new(why) },
        }
    }
}

/// Gives types that say too much about an organisation or an officer a `Debug` that says nothing.
macro_rules! unprinted {
    ($($name:ident),+) => { $(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+ };
}
pub(crate) use unprinted;
