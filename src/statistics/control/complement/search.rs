//! Finds what else to hide for one cell: the cheapest way in which the world could have been otherwise.

use crate::statistics::control::Standing;
use crate::statistics::table::{Coordinates, Menu};

use super::{hide_cell, set, value};

/// With more different organisations than this, only those alike in all but one value are looked at.
const MOST_CLASSES_FOR_FAR_MOVES: usize = 256;

/// The small cell that is being protected.
struct Target<'a> {
    over: &'a [usize],
    values: Coordinates,
}

/// Whether the other world has more or fewer organisations in the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// One or two organisations that would have other values.
#[derive(Debug, Clone, Copy)]
struct Move {
    one: (Coordinates, Coordinates),
    other: Option<(Coordinates, Coordinates)>,
}

/// A move with what it costs and how often it can be made.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    change: Move,
    cost: u64,
    times: u32,
}

/// One pass over small cells.
pub(super) struct Search<'a> {
    pub(super) menu: &'a Menu,
    /// The tables that count over the group's dimensions, margins first, with what a cell is worth.
    pub(super) tables: &'a [(usize, u64)],
    /// How many organisations have these values in the group's dimensions, in order.
    pub(super) classes: &'a [(Coordinates, u32)],
    /// How many organisations more, or fewer, could be in each hidden cell.
    pub(super) reach: u32,
    pub(super) standings: &'a mut [Standing],
}

impl Search<'_> {
    /// Lets more organisations be in a hidden cell, as many as it has to reach; false if not even one could.
    pub(super) fn raise(&mut self, table: usize, cell: usize) -> bool {
        self.reach_out(table, cell, Direction::Up) > 0
    }

    /// Lets fewer be in it.
    pub(super) fn lower(&mut self, table: usize, cell: usize) {
        self.reach_out(table, cell, Direction::Down);
    }

    fn reach_out(&mut self, table: usize, cell: usize, direction: Direction) -> u32 {
        let over = self.menu.tables().get(table).map_or_else(Vec::new, |found| found.over.clone());
        let target = &Target { over: &over, values: values_of(self.menu, table, cell) };
        let mut used: Vec<(Coordinates, u32)> = Vec::new();
        let mut reached = 0;
        while reached < self.reach {
            let wanted = self.reach - reached;
            let Some(best) = self.cheapest(target, direction, &used) else { break };
            for (table, _) in self.tables {
                for cell in self.changed(*table, &best.change) {
                    hide_cell(self.standings, cell);
                }
            }
            let times = best.times.min(wanted);
            used.extend(best.change.sources().map(|source| (source, times)));
            reached += times;
        }
        reached
    }

    /// The move that hides least; of those, the first.
    fn cheapest(&self, target: &Target<'_>, direction: Direction, used: &[(Coordinates, u32)]) -> Option<Candidate> {
        let mut best = None;
        let mut moves = Vec::new();
        for &(class, _) in self.classes {
            self.moves(target, direction, class, &mut moves);
            self.choose(&mut moves, used, &mut best);
            if best.is_some_and(|best: Candidate| best.cost == 0) {
                return best;
            }
        }
        // Further afield there are many pairs, and where there are many organisations they are seldom better.
        if let [rows, columns] = *target.over
            && (best.is_none() || self.classes.len() <= MOST_CLASSES_FOR_FAR_MOVES)
        {
            for &(class, _) in self.classes {
                self.far_moves(target, direction, class, (rows, columns), &mut moves);
                self.choose(&mut moves, used, &mut best);
                if best.is_some_and(|best| best.cost == 0) {
                    return best;
                }
            }
        }
        best
    }

    fn choose(&self, moves: &mut Vec<Move>, used: &[(Coordinates, u32)], best: &mut Option<Candidate>) {
        for change in moves.drain(..) {
            let times = self.times(&change, used);
            let limit = best.map_or(u64::MAX, |best| best.cost);
            if times == 0 || limit == 0 {
                continue;
            }
            if let Some(cost) = self.cost(&change, limit - 1) {
                *best = Some(Candidate { change, cost, times });
            }
        }
    }

    /// Exchanges with an organisation that differs in more than what is exchanged, and moves in both dimensions.
    fn far_moves(
        &self,
        target: &Target<'_>,
        direction: Direction,
        class: Coordinates,
        (rows, columns): (usize, usize),
        moves: &mut Vec<Move>,
    ) {
        let of_target = |dimension| value(target.values, dimension);
        let agrees = |class: Coordinates| [rows, columns].map(|one| value(class, one) == of_target(one));
        let partner = match (direction, agrees(class)) {
            (Direction::Up, [true, false]) => [false, true],
            (Direction::Down, [true, true]) => [false, false],
            (Direction::Up, [false, false]) => {
                let inside = with(with(class, rows, of_target(rows)), columns, of_target(columns));
                return moves.push(Move { one: (class, inside), other: None });
            }
            _ => return,
        };
        let partners = self.classes.iter().filter(|(other, _)| agrees(*other) == partner);
        moves.extend(partners.map(|(other, _)| exchange(class, *other, columns)));
    }

    /// The moves of one organisation of a class that change the target by one in this direction.
    fn moves(&self, target: &Target<'_>, direction: Direction, class: Coordinates, moves: &mut Vec<Move>) {
        let differs = |dimension: &usize| value(class, *dimension) != value(target.values, *dimension);
        let mut differing = target.over.iter().copied().filter(differs);
        match (direction, differing.next(), differing.next()) {
            (Direction::Up, Some(differs), None) => self.moves_in(target, class, differs, moves),
            (Direction::Down, None, None) => self.moves_out(target, class, moves),
            _ => (),
        }
    }

    /// Into the target, from a class that differs from it in one dimension.
    fn moves_in(&self, target: &Target<'_>, class: Coordinates, differs: usize, moves: &mut Vec<Move>) {
        let wanted = value(target.values, differs);
        moves.push(Move { one: (class, with(class, differs, wanted)), other: None });
        if let Some(shared) = target.over.iter().copied().find(|one| *one != differs) {
            for elsewhere in other_values(self.menu, shared, value(class, shared)) {
                let partner = with(with(class, differs, wanted), shared, elsewhere);
                moves.push(exchange(class, partner, differs));
            }
        }
    }

    /// Out of the target.
    fn moves_out(&self, target: &Target<'_>, class: Coordinates, moves: &mut Vec<Move>) {
        for dimension in target.over {
            for elsewhere in other_values(self.menu, *dimension, value(class, *dimension)) {
                moves.push(Move { one: (class, with(class, *dimension, elsewhere)), other: None });
            }
        }
        if let [rows, columns] = *target.over {
            for row in other_values(self.menu, rows, value(class, rows)) {
                for column in other_values(self.menu, columns, value(class, columns)) {
                    moves.push(exchange(class, with(with(class, rows, row), columns, column), columns));
                }
            }
        }
    }

    /// How often the move can be made with the organisations that are there and not used yet.
    fn times(&self, change: &Move, used: &[(Coordinates, u32)]) -> u32 {
        let left = |source: Coordinates| {
            let there =
                self.classes.binary_search_by_key(&u64::from_be_bytes(source), |(class, _)| u64::from_be_bytes(*class));
            let there = there.ok().and_then(|place| self.classes.get(place)).map_or(0, |(_, count)| *count);
            let gone = used.iter().filter(|(class, _)| *class == source).map(|(_, times)| times).sum::<u32>();
            there.saturating_sub(gone)
        };
        let of_one = left(change.one.0);
        if of_one == 0 { 0 } else { change.other.map_or(of_one, |(source, _)| of_one.min(left(source))) }
    }

    /// What a reader would lose; none if that is more than the limit.
    fn cost(&self, change: &Move, limit: u64) -> Option<u64> {
        let mut cost = 0_u64;
        for (table, weight) in self.tables {
            for cell in self.changed(*table, change) {
                let Some(Standing { moved, shown: true }) = self.standings.get(cell) else { continue };
                cost = cost.saturating_add(weight.saturating_mul(moved.saturating_add(1)));
                if cost > limit {
                    return None;
                }
            }
        }
        Some(cost)
    }

    /// The cells of a table whose number the move changes: two exchanges may cancel out.
    fn changed(&self, table: usize, change: &Move) -> impl Iterator<Item = usize> + use<> {
        const NO_CELL: (usize, i8) = (usize::MAX, 0);
        let cell = |coordinates: Coordinates| self.menu.cell(table, coordinates);
        let [left, entered] = [(cell(change.one.0), -1), (cell(change.one.1), 1)];
        let steps = match change.other {
            Some((from, to)) => [left, entered, (cell(from), -1), (cell(to), 1)],
            None => [left, entered, NO_CELL, NO_CELL],
        };
        steps.into_iter().enumerate().filter_map(move |(place, (cell, _))| {
            let is_first = steps.iter().position(|(other, _)| *other == cell) == Some(place);
            let sum: i8 = steps.iter().filter(|(other, _)| *other == cell).map(|(_, step)| step).sum();
            (is_first && sum != 0).then_some(cell)
        })
    }
}

impl Move {
    fn sources(&self) -> impl Iterator<Item = Coordinates> {
        [Some(self.one.0), self.other.map(|(from, _)| from)].into_iter().flatten()
    }
}

/// Two organisations exchange their values in one dimension.
fn exchange(one: Coordinates, other: Coordinates, dimension: usize) -> Move {
    let (of_one, of_other) = (value(one, dimension), value(other, dimension));
    Move { one: (one, with(one, dimension, of_other)), other: Some((other, with(other, dimension, of_one))) }
}

fn other_values(menu: &Menu, dimension: usize, but: u8) -> impl Iterator<Item = u8> {
    (0..menu.width(dimension)).filter_map(|one| u8::try_from(one).ok()).filter(move |one| *one != but)
}

/// The values that an incident in this cell has, in the dimensions of its table.
fn values_of(menu: &Menu, table: usize, cell: usize) -> Coordinates {
    let mut values = Coordinates::default();
    let mut rest = cell - menu.range(table).start;
    for dimension in menu.tables().get(table).into_iter().flat_map(|found| found.over.iter().rev()) {
        set(&mut values, *dimension, u8::try_from(rest % menu.width(*dimension)).unwrap_or_default());
        rest /= menu.width(*dimension);
    }
    values
}

fn with(coordinates: Coordinates, dimension: usize, value: u8) -> Coordinates {
    let mut changed = coordinates;
    set(&mut changed, dimension, value);
    changed
}
