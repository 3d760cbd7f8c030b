//! What erasing an incident leaves of the entries of asks that matched it.
//!
//! Who was given nothing can open its own ask as before, so that it cannot tell that something was held: an ask that
//! matched nothing is never touched.

use data_encoding::HEXLOWER;
use prost::Message;

use crate::domain::AgencyId;
use crate::ledger::{Slots, visible};
use crate::seal::Seal;

use super::entries::{Openings, key_name};
use super::write::Write;
use super::{Answer, Reads, Result, Tx, from_json, inconsistent, index, key_set, on, rows, sql, stored, to_json};

/// How many requests' asks are read at a time.
const AT_ONCE: usize = 500;

/// The entries of asks that may contain an incident, and what is left of each.
#[derive(Debug, Default)]
pub struct Remains {
    /// Of releases nothing is left: their requester has what they gave.
    pub gone: Vec<u64>,
    /// Of all others, what their requester may open.
    pub kept: Vec<Kept>,
}

/// An entry sealed anew, under another key, without its facts and without what its requester may not open.
pub struct Kept {
    /// The entry.
    pub index: u64,
    holder: AgencyId,
    wrapped_key: Vec<u8>,
    openings: Vec<u8>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("index", &self.index).finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    object: String,
    idx: i64,
    answer: String,
    holder: String,
    slots: i64,
    wrapped_key: Option<Vec<u8>>,
    openings: Vec<u8>,
}

impl Row {
    /// INVARIANT: an ask is answered once, so what is left of it is the same whenever this is worked out.
    fn strip(self, wrapped: &[u8], seal: &Seal) -> Result<Kept> {
        let at = index(self.idx);
        let name = key_name(at);
        let plain = seal.unwrap_key(&name, wrapped)?.open(&[&name, "openings"], &self.openings)?;
        let all = Openings::decode(plain.as_slice()).map_err(|e| inconsistent("entry", &name, e))?.all;
        let openings = Openings { all: visible(all, Slots::from_bits(self.slots)) }.encode_to_vec();
        let (key, wrapped_key) = seal.new_key(&name)?;
        let openings = key.seal(&[&name, "openings"], &openings)?;
        Ok(Kept { index: at, holder: AgencyId::known(self.holder), wrapped_key, openings })
    }
}

impl Reads {
    /// What erasing leaves of the asks that put these questions, from an entry on. What is erased already is not there.
    pub async fn remains(&mut self, requests: &[&str], from: u64, seal: &Seal) -> Result<Remains> {
        let mut remains = Remains::default();
        for some in requests.chunks(AT_ONCE) {
            for mut row in rows!(self, sql::ASKS_LEFT, Row, key_set(some.iter().copied()), stored(from)) {
                let Some(wrapped) = row.wrapped_key.take() else { continue };
                let answer: Answer = from_json("call", &row.object, &row.answer)?;
                if matches!(answer, Answer::Released { .. }) {
                    remains.gone.push(index(row.idx));
                } else {
                    remains.kept.push(row.strip(&wrapped, seal)?);
                }
            }
        }
        Ok(remains)
    }
}

impl Write {
    /// Leaves of entries what their requesters may open; their holders may open what they could had nothing matched. Two
    /// statements for however many: an erasure holds the ledger's head.
    pub(crate) fn strip_entries<'a>(all: impl Iterator<Item = &'a Kept>) -> Result<[Self; 2]> {
        let row = |kept: &Kept| {
            let (key, openings) = (HEXLOWER.encode(&kept.wrapped_key), HEXLOWER.encode(&kept.openings));
            (stored(kept.index), kept.holder.to_string(), key, openings)
        };
        let rows: Vec<(i64, String, String, String)> = all.map(row).collect();
        let rows = to_json("entry", &rows)?;
        let slots = vec![rows.clone().into(), Slots::HOLDER.bits().into()];
        Ok([
            Self::change_any("entry", sql::STRIP_ENTRIES, vec![rows.into()]),
            Self::change_any("entry_party", sql::SET_SLOTS, slots),
        ])
    }
}
