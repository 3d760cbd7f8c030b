//! What readiness is made of.
//!
//! A peer's certificates and revocation lists are no part of it: an agency that lets its lists run out is stopped itself,
//! and must not take the node from all others. Nor is whether any agreement is in force, since an operator puts the
//! first one into force by a call to the node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

/// One part of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The node's own certificate is valid.
    Certificate,
    /// The database takes commits.
    Database,
    /// Files of certificates, lists and keys are looked at: a revocation would arrive.
    Files,
    /// Every key that signs the ledger is here and can be read from its file.
    LedgerKey,
    /// Things may be sealed with the node's secret, and every one is here that something stored may need.
    NodeSecret,
    /// The database's schema is this program's.
    Schema,
}

impl Check {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Certificate, "certificate"),
        (Self::Database, "database"),
        (Self::Files, "files"),
        (Self::LedgerKey, "ledger_key"),
        (Self::NodeSecret, "node_secret"),
        (Self::Schema, "schema"),
    ];
}

/// What keeps a node from releasing, and not from taking a permission away: it stays ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// An agreement in force cannot be read.
    Agreements,
    /// The database's disk is nearly full.
    Disk,
}

impl Ill {
    const ALL: [(Self, &'static str); 2] = [(Self::Agreements, "agreements"), (Self::Disk, "disk")];
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    /// What is known of each part.
    parts: BTreeMap<Check, bool>,
    ills: BTreeSet<Ill>,
    is_started: bool,
    is_stopping: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        self.is_started && !self.is_stopping && Check::ALL.iter().all(|(check, _)| self.parts.get(check) == Some(&true))
    }
}

/// Whether the node has started, and whether it is ready. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<watch::Sender<State>>);

impl Standing {
    /// From now on this part is well, or not.
    pub fn set(&self, check: Check, is_well: bool) {
        self.0.send_if_modified(|state| state.parts.insert(check, is_well) != Some(is_well));
    }

    /// From now on the node has this ill, or not.
    pub fn set_ill(&self, ill: Ill, has_it: bool) {
        self.0.send_if_modified(|state| if has_it { state.ills.insert(ill) } else { state.ills.remove(&ill) });
    }

    /// The node listens.
    pub fn started(&self) {
        self.0.send_modify(|state| state.is_started = true);
    }

    /// The node is about to stop, and is not ready any more.
    pub fn stopping(&self) {
        self.0.send_modify(|state| state.is_stopping = true);
    }

    /// Whether it has started. It stays so.
    pub fn is_started(&self) -> bool {
        self.0.borrow().is_started
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// Calls this whenever readiness changes, for as long as anything can change it.
    pub async fn follow<F: Future<Output = ()>>(self, tell: impl Fn(bool) -> F) {
        let mut changes = self.0.subscribe();
        drop(self);
        let mut last = None;
        loop {
            let ready = changes.borrow_and_update().is_ready();
            if last.replace(ready) != Some(ready) {
                tell(ready).await;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Each part of which something is known, and whether it is well; and whether the node has started, before which not
    /// everything is.
    pub fn checks(&self) -> Vec<(&'static str, bool)> {
        let state = self.0.borrow();
        let known = Check::ALL.iter().filter_map(|(check, name)| Some((*name, *state.parts.get(check)?)));
        known.chain([("started", state.is_started)]).collect()
    }

    /// Each ill, and whether the node has it.
    pub fn ills(&self) -> [(&'static str, bool); 2] {
        let state = self.0.borrow();
        Ill::ALL.map(|(ill, name)| (name, state.ills.contains(&ill)))
    }

    /// What keeps it from being ready: names alone, for whoever probes.
    pub fn waits_for(&self) -> Vec<&'static str> {
        let state = self.0.borrow();
        let is_ill = |(check, _): &&(Check, _)| state.parts.get(check) == Some(&false);
        let mut names: Vec<_> = Check::ALL.iter().filter(is_ill).map(|(_, name)| *name).collect();
        if state.is_stopping {
            names.push("stopping");
        } else if !state.is_started {
            names.push("starting");
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_when_it_has_started_and_every_part_is_well_and_until_it_stops() {
        let standing = Standing::default();
        assert_eq!((standing.checks(), standing.waits_for()), (vec![("started", false)], vec!["starting"]));
        for (check, _) in Check::ALL {
            standing.set(check, true);
        }
        assert_eq!((standing.is_ready(), standing.waits_for()), (false, vec!["starting"]));
        standing.started();
        assert!(standing.is_ready());
        for (check, name) in Check::ALL {
            standing.set(check, false);
            assert_eq!((standing.is_ready(), standing.waits_for()), (false, vec![name]));
            standing.set(check, true);
        }
        for (ill, name) in Ill::ALL {
            standing.set_ill(ill, true);
            assert!(standing.is_ready() && standing.ills().contains(&(name, true)), "a withdrawal is still taken");
            standing.set_ill(ill, false);
        }
        standing.stopping();
        assert_eq!((standing.is_started(), standing.is_ready(), standing.waits_for()), (true, false, vec!["stopping"]));
    }
}
