//! What is configured besides certificates, agencies and the node itself.

use std::net::{Ipv4Addr, SocketAddr};

use http::uri::Authority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use crate::domain::Padding;

/// `[events]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsSection {
    /// After how many seconds a stream tells that it is there, 1 to 300.
    #[schemars(range(min = 1, max = 300))]
    pub heartbeat_seconds: u64,
    /// How many streams one agency may have open at this node.
    pub streams_per_agency: usize,
}

impl Default for EventsSection {
    fn default() -> Self {
        Self { heartbeat_seconds: 20, streams_per_agency: 16 }
    }
}

/// `[filler]`: how the ledger is padded. The same at all replicas of a node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FillerSection {
    /// How many seconds a tick has, at most 86,400; 0: the ledger is not padded.
    #[schemars(range(max = 86_400))]
    pub every_seconds: u32,
    /// By how many asks, and by how many other entries, the ledger grows in each tick at least: 1 to 1,000.
    #[schemars(range(min = 1, max = 1_000))]
    pub entries: u32,
}

impl Default for FillerSection {
    fn default() -> Self {
        Self { every_seconds: 0, entries: 8 }
    }
}

impl FillerSection {
    /// How the ledger is padded, if it is.
    pub(super) fn padding(&self) -> Option<Padding> {
        (self.every_seconds > 0).then(|| Padding::new(self.every_seconds, self.entries))
    }
}

/// `[ops]`: the port for probes and metrics, in plain text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpsSection {
    /// Whether there is such a port.
    pub enabled: bool,
    /// Where it listens, to anybody who can reach it. A kubelet asks by the pod's address, so that a port on loopback does
    /// not serve it.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// How long the node goes on taking calls after it has said that it is about to stop, in seconds: 0 to 120. As long
    /// as it takes until nobody is sent to it any more.
    #[schemars(range(min = 0, max = 120))]
    pub shutdown_delay_seconds: u64,
}

impl Default for OpsSection {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)), shutdown_delay_seconds: 0 }
    }
}

impl OpsSection {
    /// No such port.
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// How lines are written.
    pub format: LogFormat,
    /// What is written, as `RUST_LOG` has it, which comes before this: `info`, or `warn,concordat=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

impl LogSection {
    /// What of it cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        // A word that is no level would count as the name of a part of the program, and nothing would be written.
        let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
        let mut bare = self.level.split(',').map(str::trim).filter(|part| !part.contains(['=', '[']));
        if let Some(word) = bare.find(|word| !is_level(word)) {
            return Some(format!(
                "log.level: there is no level `{word}`; there are off, error, warn, info, debug, trace"
            ));
        }
        EnvFilter::try_new(&self.level).err().map(|problem| format!("log.level: {problem}"))
    }
}

/// `[traces]`: one span for each call, by OTLP over gRPC.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSection {
    /// The collector's URL, such as `http://127.0.0.1:4317`, in plain text: one on this machine or in this cluster. Without
    /// it there are no traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

impl TracesSection {
    /// What of it cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref()?;
        let is_one = endpoint.strip_prefix("http://").is_some_and(|rest| rest.parse::<Authority>().is_ok());
        (!is_one).then(|| format!("traces.endpoint: `{endpoint}` is not a collector: write http://127.0.0.1:4317"))
    }
}

/// `log.format`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Plain text in a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object on each line.
    Json,
    /// Plain text.
    Pretty,
}
