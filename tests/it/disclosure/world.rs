//! Worlds to attack: organisations that join and leave, and have incidents.

use std::collections::{BTreeMap, BTreeSet};

use concordat::statistics::{Contribution, Coordinates, Dimension, Menu, Secret, Table};

pub(crate) const PERIODS: usize = 24;

/// A fast stand-in for a keyed hash.
pub(crate) struct Mixer(pub(crate) u64);

pub(crate) fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Secret for Mixer {
    fn draw(&self, message: &[u8]) -> [u8; 16] {
        let one = message.iter().fold(self.0, |state, byte| mix(state ^ u64::from(*byte)));
        ((u128::from(one) << 64) | u128::from(mix(one))).to_be_bytes()
    }
}

/// Pseudo-random numbers from a seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % limit
    }

    /// A value below `width`, the first ones far more often.
    fn skewed(&mut self, width: u64) -> u8 {
        let value = self.below(width).min(self.below(width)).min(self.below(width));
        u8::try_from(value).unwrap()
    }
}

/// All periods of one holder, and whom the attacker knows.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) menu: Menu,
    pub(crate) periods: Vec<Vec<Contribution>>,
    pub(crate) known: BTreeSet<u32>,
}

/// What is true of one period, counted anew and more slowly than the code under test does.
pub(crate) struct Truth {
    /// For each cell the incidents of each organisation.
    pub(crate) members: Vec<BTreeMap<u32, u64>>,
    /// For each cell how many of its organisations the attacker knows.
    pub(crate) known: Vec<u64>,
}

/// Sector, type, band, time to report, region, and the crosses of the first three.
pub(crate) fn menu(widths: [usize; 5]) -> Menu {
    let names = ["sector", "type", "band", "delay", "region"];
    let dimension = |(id, width): (&str, usize)| Dimension {
        id: id.to_owned(),
        values: (0..width).map(|value| format!("{id} {value}")).collect(),
    };
    let over: [&[usize]; 9] = [&[], &[0], &[1], &[2], &[3], &[4], &[0, 1], &[0, 2], &[1, 2]];
    let table = |over: &&[usize]| Table { id: format!("{over:?}"), title: String::new(), over: over.to_vec() };
    Menu::new(names.into_iter().zip(widths).map(dimension).collect(), over.iter().map(table).collect()).unwrap()
}

impl World {
    /// About so many organisations report in each period, some twice, and a few many incidents at once. The attacker
    /// knows so many in a hundred.
    pub(crate) fn synthetic(seed: u64, reporting: u64, known_percent: u64) -> Self {
        let widths = [8, 6, 5, 4, 7];
        let mut dice = Dice::new(seed);
        let mut periods = vec![Vec::new(); PERIODS];
        let mut known = BTreeSet::new();
        let population = u32::try_from(reporting * 8).unwrap();
        for organisation in 0..population {
            let (sector, region) = (dice.skewed(8), dice.skewed(7));
            let joins = dice.below(24).saturating_sub(10);
            let leaves = joins + 6 + dice.below(18);
            if dice.below(100) < known_percent {
                known.insert(organisation);
            }
            for period in joins..leaves.min(24) {
                let reports = u64::from(dice.below(5) == 0) + u64::from(dice.below(100) == 0);
                let incidents = if dice.below(150) == 0 { 25 } else { 1 };
                for _ in 0..reports {
                    let coordinates =
                        [sector, (dice.skewed(6) + sector) % 6, dice.skewed(5), dice.skewed(4), region, 0, 0, 0];
                    let key = mix(u64::from(organisation) ^ (seed << 32));
                    let contribution = Contribution { organisation, key, coordinates, incidents };
                    periods[usize::try_from(period).unwrap()].push(contribution);
                }
            }
        }
        Self {
            name: format!("synthetic {seed} ({reporting}, {known_percent} % known)"),
            seed,
            menu: menu(widths),
            periods,
            known,
        }
    }

    /// The same world, if each period held everything up to its end.
    pub(crate) fn running_totals(&self) -> Self {
        let until = |period: usize| self.periods.iter().take(period + 1).flatten().copied().collect();
        Self {
            name: self.name.clone(),
            seed: self.seed,
            menu: self.menu.clone(),
            periods: (0..PERIODS).map(until).collect(),
            known: self.known.clone(),
        }
    }

    pub(crate) fn truth(&self, period: usize) -> Truth {
        let mut members: Vec<BTreeMap<u32, u64>> = vec![BTreeMap::new(); self.menu.cells()];
        let mut values: BTreeMap<u32, BTreeSet<Coordinates>> = BTreeMap::new();
        for one in &self.periods[period] {
            for table in 0..self.menu.tables().len() {
                let cell = self.menu.cell(table, one.coordinates);
                *members[cell].entry(one.organisation).or_default() += u64::from(one.incidents);
            }
            values.entry(one.organisation).or_default().insert(one.coordinates);
        }
        let is_known = |organisation: &u32| self.known.contains(organisation) || values[organisation].len() > 1;
        let known = members.iter().map(|cell| cell.keys().filter(|one| is_known(one)).count() as u64).collect();
        Truth { members, known }
    }
}
