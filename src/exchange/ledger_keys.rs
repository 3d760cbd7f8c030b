//! Changing the keys that sign the ledger: an operator's act beside the node, with the key files in hand.

use prost::Message as _;

use crate::clock::Clock;
use crate::domain::{AgencyId, Instant, Padding};
use crate::ledger::{Draft, Kind, Salts, SigningKeys, Slots};
use crate::proto::v1::{LedgerKeyStatement, Receipt};
use crate::seal::{self, Seal};
use crate::store::{Error, KeyChange, Result, Store};

use super::filler;

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
