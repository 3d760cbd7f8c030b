//! One call from its beginning to its end, which may be that its caller leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry_sdk::trace::Span;
use prost::Message;
use prost_types::FileDescriptorSet;

use super::{Labels, Metrics, Traces, traces};
use crate::proto::DESCRIPTORS;

/// An RPC as its labels name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rpc {
    kind: &'static str,
    service: &'static str,
    method: &'static str,
}

impl Rpc {
    /// Whatever is not in the contract: a scanner must not make a series of each path that it tries.
    pub(super) fn unknown() -> Self {
        Self { kind: "unary", service: "unknown", method: "unknown" }
    }

    fn labels(self) -> Labels {
        let labels = [("grpc_type", self.kind), ("grpc_service", self.service), ("grpc_method", self.method)];
        labels.map(|(name, value)| (name, value.into())).into()
    }
}

/// What is served besides the contract.
const OTHERS: [(&str, &str, &str); 3] = [
    ("unary", "grpc.health.v1.Health", "Check"),
    ("server_stream", "grpc.health.v1.Health", "Watch"),
    ("bidi_stream", "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo"),
];

/// Every RPC by its path.
pub(super) fn rpcs() -> HashMap<String, Rpc> {
    let path = |rpc: Rpc| (format!("/{}/{}", rpc.service, rpc.method), rpc);
    let others = OTHERS.into_iter().map(|(kind, service, method)| path(Rpc { kind, service, method }));
    others.chain(contract().iter().copied().map(path)).collect()
}

/// The contract's RPCs. Read once, and their names kept for as long as the process runs.
fn contract() -> &'static [Rpc] {
    static RPCS: std::sync::OnceLock<Vec<Rpc>> = std::sync::OnceLock::new();
    RPCS.get_or_init(|| {
        // The build made it, so it can be read; without it every call would be counted as an unknown one.
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
        let mut rpcs = Vec::new();
        for file in set.file {
            for service in file.service {
                let name: &str = format!("{}.{}", file.package.as_deref().unwrap_or_default(), service.name()).leak();
                for method in service.method {
                    let kind = if method.server_streaming() { "server_stream" } else { "unary" };
                    rpcs.push(Rpc { kind, service: name, method: method.name().to_owned().leak() });
                }
            }
        }
        rpcs
    })
}

/// A gRPC status code by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(usize);

impl Code {
    /// The caller left before the answer was whole.
    pub const CANCELLED: Self = Self(1);
    /// The answer ended without a status.
    pub const UNKNOWN: Self = Self(2);

    /// What the header or the trailer `grpc-status` says.
    pub fn read(text: &[u8]) -> Self {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.filter(|number| *number < NAMES.len()).map_or(Self::UNKNOWN, Self)
    }

    fn name(self) -> &'static str {
        NAMES.get(self.0).copied().unwrap_or("Unknown")
    }
}

/// As the other gRPC servers' metrics write them.
const NAMES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A call that has begun. It is counted as ended when this is dropped, with the status that was noted by then.
#[derive(Debug)]
pub struct Call {
    metrics: Arc<Metrics>,
    rpc: Rpc,
    began: Instant,
    code: Code,
    span: Option<Span>,
}

impl Call {
    /// Counts a call of the RPC with this path as begun, and begins its span.
    pub fn begin(metrics: &Arc<Metrics>, traces: &Traces, path: &str, headers: &HeaderMap) -> Self {
        let rpc = metrics.rpc(path);
        metrics.started.with(rpc.labels()).inc();
        let span = traces.begin(rpc.service, rpc.method, headers);
        Self { metrics: Arc::clone(metrics), rpc, began: Instant::now(), code: Code::CANCELLED, span }
    }

    /// The answer's status, once it is known.
    pub fn note(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(span) = &mut self.span {
            traces::note(span, self.code.0);
        }
        let mut labels = self.rpc.labels();
        if self.rpc.kind == "unary" {
            self.metrics.handling.with(labels.clone()).took(self.began.elapsed());
        }
        labels.push(("grpc_code", self.code.name().into()));
        self.metrics.handled.with(labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::METRICS;

    #[test]
    fn the_page_has_every_status_that_can_be_exported() {
        let handled = METRICS.iter().find(|row| row.name == "grpc_server_handled_total").expect("it is on the page");
        let (_, said) = handled.labels.iter().find(|(name, _)| *name == "grpc_code").expect("it has the status");
        let told: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        assert_eq!(told, NAMES);
    }
}
