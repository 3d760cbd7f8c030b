//! Naming an organisation to another agency in a request, which passes on what the one that names it knows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgencyId, Digest, Ground, Instant, Purpose};

/// What an agency's own node said about naming an organisation to another agency, as that agency's node was shown it.
///
/// It says by digests how the organisation may be named, so that the name is in the ask alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamingReceipt {
    /// The ledger that says so.
    pub ledger: String,
    /// Its entry there.
    pub index: u64,
    /// Who may name it.
    pub disclosing: AgencyId,
    /// To whom.
    pub receiving: AgencyId,
    /// For which purpose.
    pub purpose: Purpose,
    /// On which ground.
    pub ground: Ground,
    /// The salt of the digests.
    pub salt: Digest,
    /// The digest of each identifier by which it may be named.
    pub names: BTreeSet<Digest>,
    /// When that was decided.
    pub given_at: Instant,
    /// Until when it counts, exclusive.
    pub until: Instant,
}

impl NamingReceipt {
    /// How long it counts at most: what bounds a withdrawal of which the other node is not told.
    pub const LIVES_MICROS: i64 = 60 * 60 * 1_000_000;

    /// Until when one that was given at this time counts at most.
    pub fn longest(given_at: Instant) -> Instant {
        Instant::from_micros(given_at.micros().saturating_add(Self::LIVES_MICROS))
    }
}

super::invalid::unprinted!(NamingReceipt);
