//! What one line of the ledger is: a leaf of constant shape, and openings that each party may have.

use aws_lc_rs::{digest, hmac};
use prost::Message;

use super::Error;
use crate::domain::{AgencyId, Instant};
use crate::proto::v1::{EntryKind, LedgerEntry, Opening, Slot};

/// What an entry is about.
pub type Kind = EntryKind;

/// The salt of each slot's commitment. Without it, a commitment says nothing about its payload.
pub struct Salts([Vec<u8>; SLOTS.len()]);

impl std::fmt::Debug for Salts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salts(..)")
    }
}

impl Salts {
    /// Derives them from 32 random bytes (HMAC-SHA-256 of the slot's number).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
        Self(SLOTS.map(|slot| hmac::sign(&key, &(slot as i32).to_be_bytes()).as_ref().to_vec()))
    }
}

/// Which slots of an entry a party may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots(i64);

impl Slots {
    /// The author of an act: the act.
    pub const ACT: Self = Self(1 << Slot::Act as i64);
    /// The agency to which something is offered: the offer.
    pub const OFFER: Self = Self(1 << Slot::Outcome as i64);
    /// The requester of an ask: everything but the grounds.
    pub const REQUESTER: Self = Self(Self::ACT.0 | 1 << Slot::Subject as i64 | 1 << Slot::Outcome as i64);
    /// The requester of an anonymised record: the act and the outcome, not what it asked by.
    pub const UNLINKED: Self = Self(Self::ACT.0 | 1 << Slot::Outcome as i64);
    /// The holder asked, before a record matches: everything but the subject.
    pub const HOLDER: Self = Self(Self::ACT.0 | 1 << Slot::Outcome as i64 | 1 << Slot::Grounds as i64);
    /// The holder asked, once a record matches: everything.
    pub const ALL: Self = Self(Self::REQUESTER.0 | Self::HOLDER.0);

    /// As stored.
    pub fn bits(self) -> i64 {
        self.0
    }

    /// From the store.
    pub fn from_bits(bits: i64) -> Self {
        Self(bits & Self::ALL.0)
    }

    fn has(self, slot: Slot) -> bool {
        self.0 & (1 << slot as i64) != 0
    }
}

/// An entry before it has a place: the payload of each slot, and who may open which.
pub struct Draft {
    /// What it is about.
    pub kind: Kind,
    /// What was done.
    pub act: Vec<u8>,
    /// What an ask was about.
    pub subject: Vec<u8>,
    /// What came of an ask.
    pub outcome: Vec<u8>,
    /// Why.
    pub grounds: Vec<u8>,
    /// The salts of their commitments.
    pub salts: Salts,
    /// Who may open what.
    pub parties: Vec<(AgencyId, Slots)>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("kind", &self.kind).finish_non_exhaustive()
    }
}

const SLOTS: [Slot; 4] = [Slot::Act, Slot::Subject, Slot::Outcome, Slot::Grounds];

impl Draft {
    /// Every slot with its salt and payload, in the order of `SLOTS`.
    fn slots(&self) -> impl Iterator<Item = (Slot, &Vec<u8>, &[u8])> {
        let payloads = [&self.act, &self.subject, &self.outcome, &self.grounds];
        SLOTS
            .into_iter()
            .zip(&self.salts.0)
            .zip(payloads)
            .map(|((slot, salt), payload)| (slot, salt, payload.as_slice()))
    }

    /// The entry as it will be stored and hashed.
    ///
    /// INVARIANT: these bytes are made once. Nothing encodes an entry a second time.
    pub fn entry(&self, at: Instant) -> Result<Entry, Error> {
        let commitments = self.slots().map(|(_, salt, payload)| commit_to(salt, payload).to_vec()).collect();
        let leaf =
            LedgerEntry { format: 1, kind: self.kind as i32, at_micros: at.micros(), commitments }.encode_to_vec();
        if leaf.len() > usize::from(u16::MAX) {
            return Err(Error::TooLong(leaf.len()));
        }
        Ok(Entry { leaf, at })
    }

    /// The openings of the slots that a party may see. Empty payloads are not worth opening.
    pub fn openings(&self, slots: Slots) -> Vec<Opening> {
        self.slots()
            .filter(|(slot, _, payload)| slots.has(*slot) && !payload.is_empty())
            .map(|(slot, salt, payload)| Opening { slot: slot as i32, salt: salt.clone(), payload: payload.to_vec() })
            .collect()
    }
}

/// An entry's exact bytes, and when it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is stored and hashed.
    pub leaf: Vec<u8>,
    /// When it took effect.
    pub at: Instant,
}

/// The commitment to a payload: SHA-256 over salt and payload.
pub fn commit_to(salt: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(payload);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// The openings among `all` that a party may see.
pub(crate) fn visible(all: Vec<Opening>, slots: Slots) -> Vec<Opening> {
    all.into_iter().filter(|opening| slots.has(opening.slot())).collect()
}
