//! Which keys sign the ledger: who they were, and how they change.
//!
//! A change is an entry. Its checkpoint is signed by every key that signs from there on, so a key that comes is vouched for by
//! one that was there, and while two sign, whoever knows only one of them can verify everything.

use crate::domain::Instant;
use crate::ledger::{Keyring, SigningKeys, TrustedKey};

use super::write::{Table, Write};
use super::{Error, Locked, Reads, Result, Tx, inconsistent, on, row, rows, sql, stored};

const LEDGER_KEY: Table =
    Table { name: "ledger_key", columns: &["verifier_key", "from_idx", "from_at"], keep_existing: false };

/// A change of the keys that sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// The key of this id signs as well.
    Begin(String),
    /// The key of this id signs no more. It may have ended already, if it was found since that somebody else had it, or had
    /// it earlier than was known: then only from when on that was moves, and only back.
    End {
        /// Its id.
        id: String,
        /// From when on somebody else may have had it.
        compromised: Option<Instant>,
    },
    /// All keys that signed are lost: the first configured one signs instead.
    Lost {
        /// The verifier key of one of the lost ones.
        verifier_key: String,
        /// From when on somebody else may have had them.
        compromised: Option<Instant>,
    },
}

/// What a change comes to.
#[derive(Debug)]
pub(crate) struct KeysChanged {
    /// The verifier keys that signed before.
    pub(crate) before: Vec<String>,
    /// Those that sign from here on.
    pub(crate) after: Vec<String>,
    /// The last checkpoint before.
    pub(crate) checkpoint: String,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    verifier_key: String,
    from_at: Option<i64>,
    until_at: Option<i64>,
    compromised_from: Option<i64>,
}

impl Reads {
    /// The ids of the keys that sign.
    pub(crate) async fn signers(&mut self) -> Result<Vec<String>> {
        let ids = row!(self, sql::SIGNERS, (Option<String>,)).and_then(|(ids,)| ids).unwrap_or_default();
        Ok(ids.split_whitespace().map(str::to_owned).collect())
    }

    /// Every key that signs or signed the ledger, in the order in which they came.
    pub async fn ledger_keys(&mut self) -> Result<Vec<TrustedKey>> {
        let key = |row: KeyRow| {
            let time = |micros: Option<i64>| micros.map(Instant::from_micros);
            let KeyRow { verifier_key: key, from_at, until_at, compromised_from } = row;
            TrustedKey { key, from: time(from_at), until: time(until_at), compromised: time(compromised_from) }
        };
        Ok(rows!(self, sql::LEDGER_KEYS, KeyRow).into_iter().map(key).collect())
    }
}

impl Locked {
    /// Notes which key signs, where none is noted yet: the first of these. On a ledger that is there it must have signed the
    /// last checkpoint. Whether none was.
    pub(super) async fn begin_signing(&mut self, keys: &SigningKeys) -> Result<bool> {
        if self.signers().is_some() {
            return Ok(false);
        }
        let first = keys.first();
        let (_, note) = self.last_checkpoint().await?;
        Keyring::parse([first.verifier_key().as_str()])?.open(&note)?;
        let row = vec![first.verifier_key().into(), 0_i64.into(), None::<i64>.into()];
        self.write(vec![Write::insert(&LEDGER_KEY, row)]).await?;
        self.set_signers(&[first.id()]).await?;
        Ok(true)
    }

    async fn last_checkpoint(&mut self) -> Result<(u64, String)> {
        let found = self.reads().last_checkpoint().await?;
        found.ok_or_else(|| inconsistent("checkpoint", "last", "is missing"))
    }

    /// Changes the keys that sign, this transaction's checkpoint already. The caller appends the entry of it next.
    pub(crate) async fn change_keys(
        &mut self,
        change: &KeyChange,
        keys: &SigningKeys,
        at: Instant,
    ) -> Result<KeysChanged> {
        let not_begun = || Error::Keys("no node has started on this ledger yet".to_owned());
        let signing = self.signers().ok_or_else(not_begun)?;
        let known = self.reads().ledger_keys().await?;
        let (_, checkpoint) = self.last_checkpoint().await?;
        let (coming, going, compromised) = match change {
            KeyChange::Begin(id) => (Some(id.clone()), Vec::new(), None),
            KeyChange::End { id, compromised } => (None, vec![id.clone()], *compromised),
            KeyChange::Lost { verifier_key, compromised } => {
                if let Some(here) = signing.iter().find(|id| keys.find(id).is_some()) {
                    return Err(Error::Keys(format!("the key {here}, which signs, is configured: it is not lost")));
                }
                Keyring::parse([verifier_key.as_str()])?.open(&checkpoint)?;
                (Some(keys.first().id()), signing.clone(), *compromised)
            }
        };
        let mut writes = Vec::new();
        let ended = going.iter().find(|id| !signing.contains(id));
        if let Some(id) = ended {
            let key = known.iter().find(|one| one.id() == id);
            let unknown = || Error::Keys(format!("the key {id} does not sign; those that do: {}", signing.join(", ")));
            writes.push(found_compromised(key.ok_or_else(unknown)?, compromised)?);
        }
        let mut after: Vec<String> = signing.iter().filter(|id| !going.contains(id)).cloned().collect();
        if let Some(id) = coming {
            let key = keys.find(&id).ok_or_else(|| Error::Keys(format!("the key {id} is not configured")))?;
            let verifier_key = key.verifier_key();
            if known.iter().any(|one| one.key == verifier_key) {
                return Err(Error::Keys(format!("the key {id} signs or signed already: make a new one")));
            }
            if known.iter().any(|one| one.id() == id) {
                return Err(Error::Keys(format!("another key had the id {id}: make a new one")));
            }
            let row = vec![verifier_key.into(), stored(self.next_index()).into(), at.micros().into()];
            writes.push(Write::insert(&LEDGER_KEY, row));
            after.push(id);
        }
        if after.is_empty() {
            return Err(Error::Keys("no key would sign any more: begin with a new one first".to_owned()));
        }
        let verifier_key = |id: &String| known.iter().find(|one| one.id() == id).map(|one| one.key.clone());
        for id in going.iter().filter(|id| signing.contains(id)) {
            let compromised = compromised.map(Instant::micros);
            let cells = vec![at.micros().into(), compromised.into(), verifier_key(id).into()];
            writes.push(Write::change_one("ledger_key", sql::END_LEDGER_KEY, cells));
        }
        self.write(writes).await?;
        self.set_signers(&after).await?;
        let before = signing.iter().chain(ended).filter_map(verifier_key).collect();
        let signs =
            |id: &String| keys.find(id).map(crate::ledger::SigningKey::verifier_key).or_else(|| verifier_key(id));
        Ok(KeysChanged { before, after: after.iter().filter_map(signs).collect(), checkpoint })
    }
}

/// Of a key that ended: that somebody else may have had it from this time on. Nothing is believed for longer by it.
fn found_compromised(key: &TrustedKey, from: Option<Instant>) -> Result<Write> {
    let ended = key.until.map(|until| format!(" since {until}")).unwrap_or_default();
    let id = key.id();
    match (from, key.compromised) {
        (None, _) => Err(Error::Keys(format!(
            "the key {id} does not sign any more{ended}. If it was found that somebody else may have had it: say from when \
             on, with --compromised-from"
        ))),
        (Some(from), Some(known)) if known <= from => Err(Error::Keys(format!(
            "the key {id} is known to have been in other hands from {known} on: that time can only become an earlier one"
        ))),
        (Some(from), _) => {
            let cells = vec![from.micros().into(), key.key.clone().into()];
            Ok(Write::change_one("ledger_key", sql::COMPROMISE_LEDGER_KEY, cells))
        }
    }
}
