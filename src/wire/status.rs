//! The only place that chooses a status. A denial is not one: it is an outcome in an OK response.
//!
//! Every error carries a `google.rpc.ErrorInfo` whose reason is in [`REASONS`]; what is wrong with a field comes as
//! `google.rpc.BadRequest`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::{Invalid, Rejected};
use crate::exchange::Error;

const DOMAIN: &str = "concordat";

/// Every reason that an error can carry, with what it means and what to do.
pub const REASONS: &[(&str, &str)] = &[
    ("CHANGED", "The record has changed since it was read. Read it again and decide anew."),
    ("CLOCK", "Releases are stopped until the node's clock can be trusted. Try again; the operator is alarmed."),
    ("DEADLINE", "The call's deadline passed. It may have been done: ask again with the same request_id."),
    ("INTERNAL", "A mistake of ours, with the details in the node's log. Nothing was released."),
    ("INVALID_FIELD", "A field cannot be accepted; the details name it and what would be."),
    ("KEY_REUSED", "This request_id was used for another call. Use a new one."),
    ("NOT_FOUND", "There is no such thing among your agency's own."),
    ("NOT_THIS_NODE", "Only officers of an agency whose records this node holds may call this."),
    (
        "OVERLOADED",
        "Too many calls of your agency are queued or under way. Wait as long as the details say and try again.",
    ),
    ("PURPOSE_NOT_IN_TOKEN", "The token does not allow stating this purpose."),
    ("RATE_LIMITED", "Your agency, or you, call more often than this node allows. Wait as long as the details say."),
    ("ROLE_MISSING", "The token carries none of the roles that may call this; the details name them."),
    ("SAME_OFFICER", "A second officer is needed: whoever recorded must not verify."),
    ("STORE_UNAVAILABLE", "The node's database failed. Ask again with the same request_id."),
    ("SUSPENDED", "You or your agency may not call here for now; the details say by whom and where to turn to."),
    (
        "TOO_MANY_STREAMS",
        "Your agency has as many streams open at this node as it may have. Close one, or list instead.",
    ),
    ("UNAUTHENTICATED", "Certificate or token were not accepted. The node's log says why."),
    ("WRONG_STATE", "The record is not in a state in which this can be done."),
];

fn error(code: Code, reason: &str, message: impl Into<String>, metadata: &[(&str, &str)]) -> Status {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

pub(super) fn unauthenticated() -> Status {
    error(Code::Unauthenticated, "UNAUTHENTICATED", "certificate or token not accepted", &[])
}

pub(super) fn internal(what: &'static str) -> Status {
    tracing::error!(what, "a call failed by a mistake of ours");
    error(Code::Internal, "INTERNAL", "internal error", &[])
}

pub(super) fn not_this_node() -> Status {
    let message = "only officers of an agency whose records this node holds may call this";
    error(Code::PermissionDenied, "NOT_THIS_NODE", message, &[])
}

pub(super) fn too_many_streams(most: usize) -> Status {
    let message = format!("your agency has {most} streams open here, which is as many as it may have");
    error(Code::ResourceExhausted, "TOO_MANY_STREAMS", message, &[])
}

/// `who` is `agency` or `officer`: the caller's own.
pub(super) fn too_often(who: &str, wait: Duration) -> Status {
    let mut details =
        ErrorDetails::with_error_info("RATE_LIMITED", DOMAIN, HashMap::from([("who".to_owned(), who.to_owned())]));
    details.set_retry_info(Some(wait));
    let message = format!("your {who} calls more often than this node allows: wait as long as the details say");
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

pub(super) fn role_missing(roles: &[&str]) -> Status {
    let roles = roles.join(", ");
    error(Code::PermissionDenied, "ROLE_MISSING", format!("needs one of the roles {roles}"), &[("roles", &roles)])
}

pub(super) fn purpose_not_in_token(purpose: &str) -> Status {
    let message = format!("the token does not allow the purpose `{purpose}`");
    error(Code::PermissionDenied, "PURPOSE_NOT_IN_TOKEN", message, &[("purpose", purpose)])
}

pub(super) fn invalid(invalid: Invalid) -> Status {
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("field".to_owned(), invalid.field.clone())]);
    details.set_error_info("INVALID_FIELD", DOMAIN, metadata);
    let message = invalid.to_string();
    details.add_bad_request_violation(invalid.field, invalid.problem);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a use case that came to no result.
pub(super) fn failed(failure: Error) -> Status {
    let message = failure.to_string();
    match failure {
        Error::Rejected(rejected) => self::rejected(rejected),
        Error::KeyReused { field } => invalid_key(field, &message),
        Error::PurposeNotInToken(purpose) => purpose_not_in_token(&purpose),
        Error::Suspended { by, contact } => {
            let metadata = [("by", by.as_str()), ("contact", contact.as_str())];
            error(Code::PermissionDenied, "SUSPENDED", message, &metadata)
        }
        Error::Busy => {
            let mut details = ErrorDetails::with_error_info("OVERLOADED", DOMAIN, HashMap::new());
            details.set_retry_info(Some(Duration::from_millis(250)));
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        Error::Clock(_) => error(Code::Unavailable, "CLOCK", message, &[]),
        Error::Store(cause) => {
            tracing::error!(%cause, remedy = cause.remedy(), "the store failed");
            error(Code::Unavailable, "STORE_UNAVAILABLE", "the store failed: ask again with the same request_id", &[])
        }
        Error::Internal(what) => internal(what),
    }
}

fn rejected(rejected: Rejected) -> Status {
    let message = rejected.to_string();
    let (field, rejected) = match rejected {
        Rejected::At { field, why } => (Some(field), *why),
        rejected => (None, rejected),
    };
    let metadata: Vec<(&str, &str)> = field.iter().map(|field| ("field", field.as_str())).collect();
    match rejected {
        Rejected::Invalid(problem) => invalid(problem),
        Rejected::NotFound(_) => error(Code::NotFound, "NOT_FOUND", message, &metadata),
        Rejected::WrongState(_) => error(Code::FailedPrecondition, "WRONG_STATE", message, &metadata),
        Rejected::RoleMissing(roles) => error(Code::PermissionDenied, "ROLE_MISSING", message, &[("roles", &roles)]),
        Rejected::SameOfficer => error(Code::FailedPrecondition, "SAME_OFFICER", message, &metadata),
        Rejected::Changed => error(Code::Aborted, "CHANGED", message, &metadata),
        at @ Rejected::At { .. } => self::rejected(at),
    }
}

fn invalid_key(field: String, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("KEY_REUSED", DOMAIN, HashMap::from([("field".to_owned(), field.clone())]));
    details.add_bad_request_violation(field, "was used for another call");
    Status::with_error_details(Code::InvalidArgument, message, details)
}
