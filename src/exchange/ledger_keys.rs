//! Changing the keys that sign the ledger: an operator's act beside the node, with the key files in hand.

use prost::Message as _;

use crate::clock::Clock;
use crate::domain::{AgencyId, Instant, Padding};
use crate::ledger::{Draft, Kind, Salts, SigningKeys, Slots};
use crate::proto::v1::{LedgerKeyStatement, Receipt};
use crate::seal::{self, Seal};
use crate::store::{Error, KeyChange, Result, Store};

use super::{Exchange, filler};

/// What a node's own keys are to be, as the database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysInUse {
    /// The ids of the keys that sign the ledger.
    pub signers: Vec<String>,
    /// Whether things may be sealed with this node's newest secret, and it has every other that something stored may need.
    pub may_seal: bool,
}

impl Exchange {
    /// Reads which keys sign the ledger and signed it, and which secrets are in use: another replica, or an operator beside
    /// the node, may have changed them. When this returns, receipts of this node's own ledger are believed by it.
    pub async fn look_at_keys(&self) -> super::Result<KeysInUse> {
        let look = self.read(|node, reads| {
            Box::pin(async move {
                let (signers, history) = (reads.signers().await?, reads.ledger_keys().await?);
                Ok((KeysInUse { signers, may_seal: reads.may_seal(node.seal()).await? }, history))
            })
        });
        let (in_use, history) = look.await?;
        if self.node.learn(history) {
            tracing::info!("the keys that sign the ledger, or signed it, are others than before");
        }
        Ok(in_use)
    }
}

/// Changes the keys that sign a ledger, by an entry that opens to every one of these agencies.
///
/// A ledger that is padded is padded first: this entry is made beside the gate.
///
/// When this returns, the change is durable, and the entry's checkpoint is signed by exactly those keys that sign from here
/// on. Every node of the ledger must have all of them in its configuration, or it can commit nothing.
pub async fn change_ledger_keys(
    store: &Store,
    seal: &Seal,
    keys: &SigningKeys,
    clock: &Clock,
    (known, padding): (&[AgencyId], Option<Padding>),
    change: &KeyChange,
) -> Result<Receipt> {
    let mut locked = store.lock().await?;
    // Later than every entry before: what a key signed then was signed before it ended.
    let at = clock.now().max(Instant::from_micros(locked.head_at().micros() + 1));
    filler::fill(padding, store, &mut locked, at, seal).await?;
    let changed = locked.change_keys(change, keys, at).await?;
    let compromised = match change {
        KeyChange::End { compromised, .. } | KeyChange::Lost { compromised, .. } => *compromised,
        KeyChange::Begin(_) => None,
    };
    let statement = LedgerKeyStatement {
        before: changed.before,
        after: changed.after,
        lost: matches!(change, KeyChange::Lost { .. }),
        compromised_from_micros: compromised.map_or(0, Instant::micros),
        checkpoint: changed.checkpoint,
    };
    let draft = Draft {
        kind: Kind::LedgerKey,
        act: Vec::new(),
        subject: Vec::new(),
        outcome: statement.encode_to_vec(),
        grounds: Vec::new(),
        salts: Salts::from_seed(&seal::random()),
        parties: known.iter().map(|agency| (agency.clone(), Slots::OFFER)).collect(),
    };
    let appended = locked.append((), &draft, None, Slots::OFFER, at, seal)?;
    let committed = locked.commit(keys, seal).await?.committed(appended)?;
    committed.receipt().cloned().ok_or_else(|| Error::Keys("the change has no receipt".to_owned()))
}
