//! When what is in place ends, and how often it was replaced, as metrics.

use std::sync::PoisonError;

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Rotation, Sets, now};
use crate::domain::Instant;
use crate::identity::fingerprint;
use crate::telemetry;
use crate::tls::Revocation;

/// How much of a root's fingerprint is shown.
const SHOWN: usize = 16;

fn seconds(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}

impl Rotation {
    /// Whether clients can take the node for what it says it is: its own certificate is valid now.
    pub fn has_valid_certificate(&self) -> bool {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        sets.own.good().validity().is_some_and(|(from, until)| from <= now && now < until)
    }

    /// Measures when certificates, roots, lists and keys end, and who is connected.
    pub fn measure(&self) {
        let (metrics, sets) = (&self.metrics, self.sets.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((_, until)) = sets.own.good().validity() {
            metrics.certificate.set(seconds(until));
        }
        metrics.anchors.clear();
        metrics.lists.clear();
        for trusted in sets.trusted.iter().map(|set| set.good().trusted()) {
            let agency = || ("agency", trusted.agency.to_string().into());
            for root in &trusted.roots {
                let Ok((_, read)) = X509Certificate::from_der(root) else { continue };
                let shown: String = fingerprint(root).to_hex().chars().take(SHOWN).collect();
                let labels = vec![agency(), ("fingerprint", shown.into())];
                metrics.anchors.with(labels).set(read.validity().not_after.timestamp());
            }
            let Revocation::Lists(lists) = &trusted.revocation else { continue };
            for list in lists {
                let labels = vec![agency(), ("issuer", list.issuer().to_owned().into())];
                metrics.lists.with(labels).set(seconds(list.next_update()));
            }
        }
        drop(sets);
        let open = self.connections.list();
        for agency in &self.config.agency {
            let count = open.iter().filter(|(peer, _)| *peer.agency() == agency.id).count();
            metrics.connections.with(vec![("agency", agency.id.to_string().into())]).set(telemetry::count(count));
        }
        for agency in &self.config.agency {
            for ledger in &agency.ledger {
                let (Ok((_, Some(until))), Ok(key)) = (ledger.dates(), self.config.read(&ledger.key_file)) else {
                    continue;
                };
                // Its name and its id: what comes after them is the key itself.
                let name: Vec<&str> = key.trim().splitn(3, '+').take(2).collect();
                let labels = vec![("agency", agency.id.to_string().into()), ("key", name.join("+").into())];
                metrics.ledger_keys.with(labels).set(seconds(until));
            }
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
