//! Random numbers from a seed, and the instants at which the scenes' steps are taken.

use super::model::Agreement;
use super::records::{Micros, Word, Words};

/// A seeded generator: splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Each with this chance, and at least one.
    pub(super) fn some(&mut self, from: &[Word], percent: u64) -> Words {
        let mut some: Words = from.iter().copied().filter(|_| self.chance(percent)).collect();
        if some.is_empty() {
            some.insert(self.pick(from));
        }
        some
    }
}

const SECOND: Micros = 1_000_000;
const HOUR: Micros = 3_600 * SECOND;
pub(super) const DAY: Micros = 24 * HOUR;

/// When the steps of all scenes are taken, and what is in force then.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) ticks: Vec<Micros>,
    /// What the invented agreement states, as dates.
    pub(super) effective: (Micros, Micros),
    /// By tick, the agreement that is ended there, if any.
    pub(super) ended: Vec<Option<Word>>,
    /// By tick, the holder that has suspended another agency there, and that agency, if any.
    pub(super) suspended: Vec<Option<(Word, Word)>>,
}

/// How many instants a scene lives through.
pub(super) const TICKS: usize = 12;

impl Timeline {
    /// From a midnight on.
    pub(super) fn new(dice: &mut Dice, midnight: Micros, groups: usize) -> Self {
        let count = groups * TICKS;
        // Not at the edge of a group, so that scenes live through it.
        let (from_tick, until_tick) = (5, count - 4);
        let mut at = midnight + HOUR;
        let mut ticks = Vec::new();
        let mut edges = Vec::new();
        for tick in 0..count {
            if tick == from_tick || tick == until_tick {
                let edge = midnight + ((at - midnight) / DAY + 1) * DAY;
                *ticks.last_mut().unwrap() = edge - 1;
                edges.push(edge);
                at = edge;
            } else {
                at += dice.pick(&[1, SECOND, HOUR, 5 * HOUR, DAY - 1, DAY]);
            }
            ticks.push(at);
        }
        let ended = |tick: usize| match tick * 100 / count {
            18..=21 => Some("ico-nca-2024"),
            46..=48 => Some("ico-ncsc-2023"),
            70..=72 => Some("nis-regulations-2018"),
            _ => None,
        };
        let suspended = |tick: usize| match tick * 100 / count {
            30..=32 => Some(("ncsc", "ico")),
            58..=59 => Some(("ico", "ncsc")),
            82..=83 => Some(("ico", "nca")),
            _ => None,
        };
        Self {
            ticks,
            effective: (edges[0], edges[1]),
            ended: (0..count).map(ended).collect(),
            suspended: (0..count).map(suspended).collect(),
        }
    }

    pub(super) fn in_force<'a>(&self, tick: usize, all: &'a [Agreement]) -> Vec<&'a Agreement> {
        all.iter().filter(|agreement| self.ended[tick] != Some(agreement.id.as_str())).collect()
    }
}
