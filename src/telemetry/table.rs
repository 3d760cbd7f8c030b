//! Every metric there is.

use std::collections::HashMap;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::call::{Rpc, rpcs};
use super::{Known, Made, Series, Sizes, Times};

/// What is said of one metric in `docs/metrics.md`.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As it is exported.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Each label and its values.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it tells.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($field:ident: $kind:ty, $name:literal, [$($label:literal: $values:literal),*], $help:literal;)+) => {
        /// The metrics of one node.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            rpcs: HashMap<String, Rpc>,
            $(#[doc = $help] pub $field: $kind,)+
        }

        /// Every metric, in the order in which it is exported.
        pub const METRICS: &[Row] = &[$(Row {
            name: $name,
            kind: <$kind as Made>::KIND,
            labels: &[$(($label, $values)),*],
            help: $help,
        }),+];

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                $(let $field = <$kind as Made>::made(); $field.register($name, $help, &mut registry);)+
                Self { registry, rpcs: rpcs(), $($field),+ }
            }
        }
    };
}

metrics! {
    started: Series<Counter>, "grpc_server_started_total",
        ["grpc_type": "`unary`, `server_stream` or `bidi_stream`", "grpc_service": "a service of the contract, or `unknown`",
         "grpc_method": "an RPC of it, or `unknown`"],
        "Calls that have begun";
    handled: Series<Counter>, "grpc_server_handled_total",
        ["grpc_type": "as above", "grpc_service": "as above", "grpc_method": "as above",
         "grpc_code": "the status: `OK`, `Canceled` (also if the caller left first), `Unknown`, `InvalidArgument`, `DeadlineExceeded`, \
          `NotFound`, `AlreadyExists`, `PermissionDenied`, `ResourceExhausted`, `FailedPrecondition`, `Aborted`, `OutOfRange`, \
          `Unimplemented`, `Internal`, `Unavailable`, `DataLoss` or `Unauthenticated`"],
        "Calls that have ended, by the status in their trailers";
    handling: Series<Times>, "grpc_server_handling_seconds",
        ["grpc_type": "as above", "grpc_service": "as above", "grpc_method": "as above"],
        "From a call's first byte to the last of its answer. A stream's end is counted, not timed";
    asks: Series<Counter>, "concordat_asks_total", ["outcome": "`released`, `open`, `not_covered`, or of a table or a theme `not_published`"],
        "Asks put for the first time, by what every requester may know of them";
    decision_faults: Counter, "concordat_decision_faults_total", [],
        "Asks denied because a clause erred, and not by a rule";
    clock_stops: Counter, "concordat_clock_stops_total", [],
        "Asks turned away because the clocks disagree";
    calls: Series<Times>, "concordat_call_seconds",
        ["kind": "`stop` (takes a permission away), `change`, `ask`, `offer` or `share` (a table or a theme)"],
        "From the queue to the answer, of calls that were tried: done or failed, whether their caller still waits or not";
    queue: Known, "concordat_queue_calls", [],
        "Calls that wait for the next batch";
    overloads: Series<Counter>, "concordat_queue_overloads_total", ["agency": "a configured agency"],
        "Calls turned away because their agency's queue is full";
    batch_calls: Sizes, "concordat_batch_calls", [],
        "Calls in a batch";
    batch_failures: Counter, "concordat_batch_failures_total", [],
        "Batches that failed as a whole: before the ledger's lock was had, and their calls with them; or after, and the calls \
         were tried one by one";
    lock: Times, "concordat_ledger_lock_seconds", [],
        "How long a batch waited for the ledger's lock";
    append: Times, "concordat_ledger_append_seconds", [],
        "From the lock to the commit of a batch";
    entries: Known, "concordat_ledger_entries", [],
        "Entries of the ledger, as last seen by this replica";
    database_up: Known, "concordat_database_up", [],
        "1 while the database takes commits, if only those that take a permission away, else 0";
    database_connections: Series<Gauge>, "concordat_database_connections",
        ["pool": "`writer` or `reader`", "state": "`used` or `idle`"],
        "Connections to the database";
    ready: Series<Gauge>, "concordat_ready", ["check": "`certificate`, `database`, `files`, `ledger_key`, `node_secret`, `schema` or `started`"],
        "1 while this part of readiness is well, else 0. Those of which nothing is known until the node has started are not there before";
    degraded: Series<Gauge>, "concordat_degraded",
        ["check": "`agreements` (one in force cannot be read) or `disk` (SQLite's has little room)"],
        "1 while this keeps the node from releasing and not from taking a permission away, else 0. It stays ready";
    certificate: Known, "concordat_tls_certificate_not_after_seconds", [],
        "When the node's own certificate ends, in seconds since 1970";
    anchors: Series<Gauge>, "concordat_tls_trust_anchor_not_after_seconds",
        ["agency": "a configured agency", "fingerprint": "the root's SHA-256, its first 16 digits"],
        "When a trusted root ends, in seconds since 1970";
    lists: Series<Gauge>, "concordat_tls_crl_next_update_seconds",
        ["agency": "a configured agency", "issuer": "the authority's name in its list"],
        "Until when a revocation list counts, in seconds since 1970";
    lists_from: Series<Gauge>, "concordat_tls_crl_this_update_seconds", ["agency": "as above", "issuer": "as above"],
        "From when a revocation list counts, in seconds since 1970: the other end of its life";
    stopped: Series<Gauge>, "concordat_tls_agency_stopped", ["agency": "as above"],
        "1 while none of the agency's systems is admitted because no revocation list of its authorities counts, else 0";
    ledger_keys: Series<Gauge>, "concordat_ledger_key_not_after_seconds",
        ["agency": "a configured agency", "key": "the ledger's name and the key's id"],
        "Until when the last of another agency's ledger keys is believed, in seconds since 1970; none where the configuration \
         names no end of one";
    reloads: Series<Counter>, "concordat_tls_reloads_total",
        ["set": "`node`, `trust` or `tokens`", "agency": "a configured agency; `-` for the node's own certificate",
         "result": "`applied` or `refused`"],
        "Certificates, lists and keys on disk that were put in place, or could not be used";
    looked_at: Known, "concordat_tls_files_looked_at_seconds", [],
        "When the files of certificates, lists and keys were looked at last, in seconds since 1970";
    refused_sets: Known, "concordat_tls_refused_sets", [],
        "Sets of files that cannot be used as they are on disk now";
    connections: Series<Gauge>, "concordat_connections", ["agency": "a configured agency"],
        "Open connections";
    handshakes: Series<Counter>, "concordat_handshakes_total", ["result": "`accepted` or `refused`"],
        "Connections that were admitted, or turned away before their first request";
    nudges: Series<Gauge>, "concordat_nudges_due",
        ["kind": "`consent-ends`, `authorisation-ends`, `review-due`, `duty-overdue` or `notice-unacknowledged`"],
        "Nudges that are due and not acknowledged, looked at every ten minutes. Requests that wait are none of them";
    overdue: Series<Gauge>, "concordat_overdue", ["what": "`duty`, `notice` or `wrongful_release`"],
        "What should have been done by now, at most 1,000 of each, looked at every ten minutes";
    agreements: Known, "concordat_agreements_in_force", [],
        "Agreements in force";
    build: Series<Gauge>, "concordat_build_info", ["version": "the program's version"],
        "Always 1";
    started_at: Known, "process_start_time_seconds", [],
        "When the node began, in seconds since 1970";
    memory: Known, "process_resident_memory_bytes", [],
        "Memory that the process holds";
}

impl Metrics {
    /// All of them, in the text format of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut written = String::new();
        // A string takes everything.
        text::encode(&mut written, &self.registry).unwrap_or_default();
        written
    }

    /// An RPC of the contract, health or reflection, by its path; anything else is the unknown one.
    pub(super) fn rpc(&self, path: &str) -> Rpc {
        self.rpcs.get(path).copied().unwrap_or_else(Rpc::unknown)
    }
}
