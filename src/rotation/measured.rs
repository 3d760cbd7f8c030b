//! When what is in place ends, and how often it was replaced, as metrics.

use super::{Rotation, Sets, now};
use crate::domain::Instant;
use crate::telemetry;

/// How much of a root's fingerprint is shown.
const SHOWN: usize = 16;

/// After how many looks that should have been, and how much longer, nobody relies on the last one any more.
const MISSED_LOOKS: i64 = 3;
const SLACK_SECONDS: i64 = 30;

fn seconds(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}

impl Rotation {
    /// Whether clients can take the node for what it says it is: its own certificate is valid now.
    pub fn has_valid_certificate(&self) -> bool {
        let now = now();
        self.status().node.validity.is_some_and(|(from, until)| from <= now && now < until)
    }

    /// Whether what is in place was compared with the files of late, as seen at `at`: revocations arrive by files, and
    /// a file system that hangs keeps them from everybody.
    pub fn has_looked_of_late(&self, at: Instant) -> bool {
        let every = i64::try_from(self.config.tls.reload_seconds).unwrap_or(i64::MAX);
        let late = every.saturating_mul(MISSED_LOOKS).saturating_add(SLACK_SECONDS);
        at < self.status().looked_at.plus_seconds(late)
    }

    /// Measures when certificates, roots and lists end, as they were at the last look, and who is connected. It waits for
    /// nobody who looks.
    pub fn measure(&self) {
        let (metrics, status) = (&self.metrics, self.status());
        if let Some((_, until)) = status.node.validity {
            metrics.certificate.set(seconds(until));
        }
        metrics.looked_at.set(seconds(status.looked_at));
        metrics.anchors.clear();
        metrics.lists.clear();
        metrics.lists_from.clear();
        let now = now();
        for trusted in &status.agencies {
            let agency = || ("agency", trusted.agency.to_string().into());
            metrics.stopped.with(vec![agency()]).set(i64::from(trusted.is_stopped(now)));
            for root in &trusted.roots {
                let shown: String = root.fingerprint.to_hex().chars().take(SHOWN).collect();
                metrics.anchors.with(vec![agency(), ("fingerprint", shown.into())]).set(seconds(root.until));
            }
            for list in trusted.lists.iter().flatten() {
                let labels = vec![agency(), ("issuer", list.issuer.clone().into())];
                metrics.lists_from.with(labels.clone()).set(seconds(list.this_update));
                metrics.lists.with(labels).set(seconds(list.next_update));
            }
        }
        let open = self.connections.list();
        for agency in &self.config.agency {
            let count = open.iter().filter(|(peer, _)| *peer.agency() == agency.id).count();
            metrics.connections.with(vec![("agency", agency.id.to_string().into())]).set(telemetry::count(count));
        }
    }

    /// Counts what the last look came to.
    pub(super) fn count(&self, sets: &mut Sets) {
        let agencies = || self.config.agency.iter().map(|agency| agency.id.as_str());
        let mut tallies = vec![("node", "-", sets.own.take_tally(), sets.own.is_well())];
        let trusted = sets.trusted.iter_mut().zip(agencies());
        tallies.extend(trusted.map(|(set, agency)| ("trust", agency, set.take_tally(), set.is_well())));
        let issuers = sets.issuers.iter_mut().zip(agencies());
        tallies.extend(issuers.map(|(set, agency)| ("tokens", agency, set.take_tally(), set.is_well())));
        let mut refused = 0;
        for (set, agency, (applied, turned_away), is_well) in tallies {
            refused += i64::from(!is_well);
            for (result, times) in [("applied", applied), ("refused", turned_away)] {
                let labels = vec![("set", set.into()), ("agency", agency.to_owned().into()), ("result", result.into())];
                self.metrics.reloads.with(labels).inc_by(times);
            }
        }
        self.metrics.refused_sets.set(refused);
    }
}
