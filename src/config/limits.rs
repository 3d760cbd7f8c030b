//! `[limits]`: what one peer, one agency and one officer may take of this node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[limits]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// How many connections one agency may have open.
    pub connections_per_agency: usize,
    /// How many calls of one agency may be under way.
    pub calls_per_agency: usize,
    /// How many calls one agency may make in a second, for long.
    pub agency_calls_per_second: u32,
    /// How many calls one officer may make in a second, for long.
    pub officer_calls_per_second: u32,
    /// How many seconds a handshake may take.
    pub handshake_seconds: u64,
    /// How many seconds a connection may be open without a request.
    pub first_request_seconds: u64,
    /// After how many seconds a connection is cut whose peer takes nothing of what is sent to it.
    pub untaken_seconds: u64,
    /// The deadline of a call that states none, in seconds.
    pub usual_deadline_seconds: u64,
    /// The longest deadline, in seconds, whatever a call states.
    pub longest_deadline_seconds: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            connections_per_agency: 256,
            calls_per_agency: 2_048,
            agency_calls_per_second: 2_000,
            officer_calls_per_second: 1_000,
            handshake_seconds: 5,
            first_request_seconds: 10,
            untaken_seconds: 30,
            usual_deadline_seconds: 10,
            longest_deadline_seconds: 30,
        }
    }
}

impl LimitsSection {
    /// The keys that are outside of their bounds, and what these are.
    pub(super) fn problems(&self) -> Vec<String> {
        let counts = [
            ("connections_per_agency", self.connections_per_agency, 65_536),
            ("calls_per_agency", self.calls_per_agency, 65_536),
        ];
        let rates = [
            ("agency_calls_per_second", self.agency_calls_per_second),
            ("officer_calls_per_second", self.officer_calls_per_second),
        ];
        let seconds = [
            ("handshake_seconds", self.handshake_seconds, 60),
            ("first_request_seconds", self.first_request_seconds, 900),
            ("untaken_seconds", self.untaken_seconds, 900),
            ("usual_deadline_seconds", self.usual_deadline_seconds, self.longest_deadline_seconds),
            ("longest_deadline_seconds", self.longest_deadline_seconds, 300),
        ];
        let counts = counts.into_iter().map(|(key, value, most)| (key, value as u64, most));
        let rates = rates.into_iter().map(|(key, value)| (key, u64::from(value), 1_000_000));
        counts
            .chain(rates)
            .chain(seconds)
            .filter(|(_, value, most)| !(1..=*most).contains(value))
            .map(|(key, _, most)| format!("limits.{key}: must be 1 to {most}"))
            .collect()
    }
}
