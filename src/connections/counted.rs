//! A call is counted with the status that its answer ends with.
//!
//! WHY: the status stands in the trailers, after the body, unless there is no body. Who looks at the headers alone counts
//! every failure of a stream as done.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;

use crate::telemetry::{Call, Code};

const STATUS: &str = "grpc-status";

/// The same answer, which ends the call when it ends, or when it is dropped because the caller left.
pub(super) fn to_its_end(answer: Response<Body>, mut call: Call) -> Response<Body> {
    if let Some(code) = status(answer.headers()) {
        call.note(code);
        return answer;
    }
    answer.map(|body| Body::new(Counted { body, call: Some(call) }))
}

fn status(headers: &HeaderMap) -> Option<Code> {
    headers.get(STATUS).map(|value| Code::read(value.as_bytes()))
}

/// An answer's body, with the call that it answers.
struct Counted {
    body: Body,
    call: Option<Call>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let code = match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                frame.trailers_ref().map(|trailers| status(trailers).unwrap_or(Code::UNKNOWN))
            }
            Poll::Ready(Some(Err(_)) | None) => Some(Code::UNKNOWN),
            Poll::Pending => None,
        };
        if let (Some(code), Some(mut call)) = (code, self.call.take_if(|_| code.is_some())) {
            call.note(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
