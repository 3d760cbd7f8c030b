//! What will end by itself unless somebody renews it: told at half of its life, at four fifths, and at its end.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::domain::Instant;
use crate::tls::{Credentials, Life, Revocation, Vouching};

/// What was told of each thing that ends.
#[derive(Debug, Default)]
pub(super) struct Ageing(BTreeMap<String, Life>);

impl Ageing {
    /// Tells of what is older than when it was last told of, and returns what that was.
    pub(super) fn tell<'a>(
        &mut self,
        config: &Config,
        own: &Credentials,
        vouching: impl Iterator<Item = &'a Vouching>,
        now: Instant,
    ) -> Vec<(String, Life)> {
        let (mut present, mut telling) = (BTreeMap::new(), Vec::new());
        if let Some((from, until)) = own.validity() {
            present.insert("the node's certificate".to_owned(), (from, until, "nobody will trust this node"));
        }
        for one in vouching {
            let trusted = one.trusted();
            for root in one.roots() {
                let name =
                    format!("the root of {} ({}, {:.16})", trusted.agency, root.subject, root.fingerprint.to_hex());
                present.insert(name, (root.from, root.until, "whoever it vouches for is turned away"));
            }
            let Revocation::Lists(lists) = &trusted.revocation else { continue };
            for list in lists {
                let name = format!("the revocation list of {} ({})", trusted.agency, list.issuer());
                present.insert(
                    name,
                    (list.this_update(), list.next_update(), "whoever its authority vouches for is stopped"),
                );
            }
        }
        let mut told = BTreeMap::new();
        for (name, (from, until, consequence)) in present {
            let life = Life::between(from, until, now);
            if self.0.get(&name).is_none_or(|told| *told < life) {
                let reload = config.tls.reload_seconds;
                if life != Life::Fresh {
                    telling.push((name.clone(), life));
                }
                match life {
                    Life::Fresh => {}
                    Life::HalfOver => tracing::warn!(name, %until, "half of its life is over"),
                    Life::NearlyOver => {
                        tracing::error!(name, %until, consequence, "renew it: four fifths of its life are over");
                    }
                    Life::Over => {
                        tracing::error!(name, %until, consequence, reload, "it has ended: put a new one in place");
                    }
                }
            }
            told.insert(name, life);
        }
        self.0 = told;
        telling
    }
}
