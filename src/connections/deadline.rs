//! Each request has a deadline, and its agency has room for so many: what has neither is answered with the status that
//! says so.
//!
//! WHY: tonic answers a deadline that has passed with CANCELLED. So it never sees the header.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

use super::Limits;
use super::account::{Accounts, Counted};

const HEADER: &str = "grpc-timeout";

/// How long to wait where there was no room.
const WAIT: Duration = Duration::from_millis(250);

/// The routes' answer, or `DEADLINE_EXCEEDED` once the caller's time or ours is over, or `RESOURCE_EXHAUSTED` once the
/// caller's agency has no more room; the work is dropped then.
///
/// The time ends when the answer begins: a stream's messages may take longer.
pub(super) async fn answer<B>(
    routes: Routes,
    mut request: Request<B>,
    limits: Limits,
    accounts: Arc<Accounts>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<tonic::codegen::StdError>> + Send + Unpin + 'static,
{
    let Some(call) = accounts.of(request.uri().path()).begin(&limits) else { return no_room().into_http() };
    let deadline = stated(request.headers()).unwrap_or(limits.usual_deadline).min(limits.longest_deadline);
    request.headers_mut().remove(HEADER);
    let request = request.map(|body| Counted::new(body, Arc::clone(&call)));
    tokio::select! {
        biased;
        () = call.too_much() => no_room().into_http(),
        answered = timeout(deadline, routes.oneshot(request)) => match answered {
            Ok(Ok(_)) if call.was_too_much() => no_room().into_http(),
            Ok(Ok(response)) => {
                call.answered();
                response
            }
            Err(_) => passed().into_http(),
        }
    }
}

/// As `wire` says it of calls that wait for the ledger. This and the next are the statuses that it cannot choose, because
/// nothing there is reached or left to choose them; their reasons are in `wire::REASONS` like every other.
fn no_room() -> Status {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", "concordat", HashMap::new());
    details.set_retry_info(Some(WAIT));
    let message = "your agency has as many calls under way here as it may have: try again soon";
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

fn passed() -> Status {
    let details = ErrorDetails::with_error_info("DEADLINE", "concordat", HashMap::new());
    let message = "the request's deadline has passed: ask again with the same request_id";
    Status::with_error_details(Code::DeadlineExceeded, message, details)
}

/// What the caller's header says: up to 8 digits and a unit. A malformed one counts as none.
fn stated(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_hours(1),
        "M" => Duration::from_mins(1),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_digits_and_a_unit() {
        let stated = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, text.parse().expect("a header value"));
            super::stated(&headers)
        };
        assert_eq!(stated("3S"), Some(Duration::from_secs(3)));
        assert_eq!(stated("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(stated("250m"), Some(Duration::from_millis(250)));
        assert_eq!(stated("0u"), Some(Duration::ZERO));
        for malformed in ["", "S", "3", "3s", "+3S", "-3S", "3.5S", "100000000n", " 3S", "3 S"] {
            assert_eq!(stated(malformed), None, "{malformed:?}");
        }
    }
}
