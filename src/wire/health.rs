//! `grpc.health.v1.Health`: whether the node is ready, and whether it is there at all.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::proto::MOST_PROBE_BYTES;

/// The service that is SERVING for as long as the process runs, whatever its database does: by this one nobody should
/// restart the node for an outage that a restart does not end.
const LIVENESS: &str = "liveness";

/// Tells whoever asks about the node's health, on whichever port.
#[derive(Debug, Clone)]
pub struct Readiness(HealthReporter);

impl Readiness {
    /// Alive, and not ready yet.
    pub async fn new() -> Self {
        let reporter = HealthReporter::new();
        reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        let readiness = Self(reporter);
        readiness.set(false).await;
        readiness
    }

    /// From now on the node is said to be ready, or not to be.
    pub async fn set(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.0.set_service_status("", status).await;
    }

    /// The service that tells. It takes requests of 4 KiB at most.
    pub fn service(&self) -> HealthServer<HealthService> {
        let service = HealthServer::new(HealthService::from_health_reporter(self.0.clone()));
        service.max_decoding_message_size(MOST_PROBE_BYTES)
    }
}
