//! The node's own keys while it serves: which sign the ledger and which secrets are in use is the database's to say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::key_files;
use crate::config::Config;
use crate::exchange::{Exchange, KeysInUse};
use crate::ledger::SigningKey;
use crate::ops::{Check, Standing};
use crate::rotation::Turns;

/// The ids of the ledger keys that a node with these files could start with now.
fn readable(config: &Config) -> BTreeSet<String> {
    let read = |file: &PathBuf| SigningKey::parse(&config.read_secret(file).ok()?).ok().map(|key| key.id());
    key_files(config).filter_map(read).collect()
}

/// Learns which keys sign the ledger whenever certificates are looked at, and keeps readiness as the node's own keys are,
/// until the node stops.
pub(super) async fn watch(exchange: Exchange, config: Config, standing: Standing, shutdown: CancellationToken) {
    let config = Arc::new(config);
    let mut turns = Turns::every(Duration::from_secs(config.tls.reload_seconds));
    let (mut last_absent, mut could_seal) = (None, true);
    while shutdown.run_until_cancelled(turns.wait()).await.is_some() {
        let files = Arc::clone(&config);
        // What cannot be looked at is as if it were not there.
        let readable = tokio::task::spawn_blocking(move || readable(&files)).await.unwrap_or_default();
        match exchange.look_at_keys().await {
            Ok(KeysInUse { signers, may_seal }) => {
                let absent = signers.into_iter().find(|id| !readable.contains(id) || !exchange.node().has_key(id));
                // Once, and not at every look.
                if let Some(id) = absent.as_ref().filter(|_| absent != last_absent) {
                    tracing::error!(id, "a key that signs the ledger is missing or cannot be read: put its file back");
                }
                if could_seal && !may_seal {
                    tracing::error!("nothing is sealed with `secret_file` any more, or another secret is missing");
                }
                standing.set(Check::LedgerKey, absent.is_none());
                standing.set(Check::NodeSecret, may_seal);
                (last_absent, could_seal) = (absent, may_seal);
            }
            // The database's own part of readiness says so.
            Err(error) => tracing::debug!(%error, "the keys in use could not be looked at"),
        }
    }
}
