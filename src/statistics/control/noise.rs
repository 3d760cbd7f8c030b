//! By how much a cell is moved.
//!
//! The cell-key method of the Australian Bureau of Statistics and of the ONS, with two changes. Each organisation has
//! a random key; the sum of the keys of a cell's organisations, with the cell's place and period, decides the noise,
//! so asking again gives the same. The place belongs to it because otherwise two cells that show different numbers
//! are proven to hold different organisations, and who knows all of them but one is told about that one.
//!
//! The noise is the difference of two runs of coin tosses: each run counts the heads before the first tail. That is
//! the two-sided geometric distribution with ratio one half, P(e) = ⅓ · 2^-|e|, standard deviation 2, drawn exactly
//! and without a table. A run ends at 64, so a count may move by up to 64 either way: with a chance of 2⁻⁶⁴ at the
//! very end, no shown number rules out that one organisation more or less was counted. A perturbation table with
//! a short end would, as often as it draws that end.

use super::tally::Cell;

/// Makes numbers that look random to everyone but the node.
pub trait Secret {
    /// Sixteen bytes that depend on the message and the node's key alone: the first half of an HMAC-SHA-256.
    fn draw(&self, message: &[u8]) -> [u8; 16];
}

/// Keeps these messages apart from every other use of the same key.
const DOMAIN: &[u8] = b"concordat statistics 1";

/// What noise depends on besides the organisations of a cell.
pub(super) struct Key<'a, S> {
    pub(super) secret: &'a S,
    pub(super) period: &'a str,
    pub(super) table: &'a str,
    pub(super) place: usize,
}

impl<S: Secret> Key<'_, S> {
    /// The noise on the count, and that on what the largest contribution leaves to spare.
    pub(super) fn draw(&self, cell: &Cell) -> (i64, i64) {
        (self.coins(*b"count", cell), self.coins(*b"share", cell))
    }

    /// Each part of the message stands behind its length, so that no two places share one.
    fn coins(&self, of: [u8; 5], cell: &Cell) -> i64 {
        let place = (self.place as u64).to_be_bytes();
        let (key, organisations) = (cell.key.to_be_bytes(), cell.organisations.to_be_bytes());
        let mut message = Vec::new();
        for part in [DOMAIN, &of, self.period.as_bytes(), self.table.as_bytes(), &place, &key, &organisations] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let drawn = u128::from_be_bytes(self.secret.draw(&message));
        let [one, other] = [drawn >> 64, drawn & u128::from(u64::MAX)].map(|half| half.trailing_zeros().min(64));
        i64::from(one) - i64::from(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::control::tally::tests::Mixer;

    /// Fewer than one in 10¹⁰ fair runs would be this far from ⅓ · 2^-|e|: six standard deviations in no class.
    #[test]
    fn noise_is_two_sided_geometric() {
        const DRAWS: u64 = 300_000;
        let mut seen = std::collections::BTreeMap::new();
        for key in 0..DRAWS {
            let at = Key { secret: &Mixer(1), period: "2026-Q1", table: "sector", place: 3 };
            *seen.entry(at.draw(&Cell { key, ..Cell::default() }).0).or_insert(0_u64) += 1;
        }
        for (noise, count) in seen {
            let expected = DRAWS / 3 / 2_u64.pow(u32::try_from(noise.abs()).unwrap());
            let allowed = 6 * (expected.isqrt() + 1);
            assert!(count.abs_diff(expected) <= allowed, "{noise:+}: {count} of {DRAWS}, expected {expected}");
        }
    }

    #[test]
    fn the_same_organisations_in_the_same_place_are_moved_alike_and_elsewhere_anew() {
        let cell = |key| Cell { key, ..Cell::default() };
        let at = |period, place| Key { secret: &Mixer(1), period, table: "sector", place };
        let moves = |period, place| (0..64).map(|key| at(period, place).draw(&cell(key)).0).collect::<Vec<_>>();
        assert_eq!(moves("2026-Q1", 1), moves("2026-Q1", 1));
        assert_ne!(moves("2026-Q1", 1), moves("2026-Q2", 1));
        assert_ne!(moves("2026-Q1", 1), moves("2026-Q1", 2));
    }
}
