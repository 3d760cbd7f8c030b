//! Why a use case came to no result. A denial is not among these: it is an outcome.

use std::sync::Arc;

use crate::domain::{AgencyId, Invalid, Rejected};
use crate::{release, store};

/// Why a call came to no result. Nothing of it was done, unless it says that this is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A rule of the domain.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The idempotency key was used for another call.
    #[error("this {field} was used for another call: the officer or a field differs")]
    KeyReused {
        /// The field that has it: `request_id`, or that of one of several records.
        field: String,
    },
    /// The token does not allow stating this purpose.
    #[error("the token does not allow the purpose `{0}`")]
    PurposeNotInToken(String),
    /// The caller may not call here for now.
    #[error("suspended here by `{by}`: turn to {contact}")]
    Suspended {
        /// The agency that suspended the caller.
        by: AgencyId,
        /// Its duty desk.
        contact: String,
    },
    /// Too much of the caller's own agency is queued.
    #[error("too many calls of your agency are queued: try again shortly")]
    Busy,
    /// The clock cannot be trusted, so nothing is released. Changes go on.
    #[error("releases are stopped: {0}")]
    Clock(&'static str),
    /// The store failed. Ask again with the same `request_id`: if the call was done, this gives its result.
    #[error("the store failed: {0}")]
    Store(Arc<store::Error>),
    /// A mistake of ours.
    #[error("{0}")]
    Internal(&'static str),
}

impl Error {
    /// The call's own idempotency key was used for another call.
    pub(super) fn key_reused() -> Self {
        Self::KeyReused { field: "request_id".to_owned() }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Rejected(Rejected::Invalid(invalid))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<crate::seal::Unopened> for Error {
    fn from(error: crate::seal::Unopened) -> Self {
        store::Error::from(error).into()
    }
}

impl From<release::Error> for Error {
    fn from(error: release::Error) -> Self {
        match error {
            release::Error::Store(error) => error.into(),
            release::Error::Erased => Self::Internal("erased content was to be sent"),
        }
    }
}
