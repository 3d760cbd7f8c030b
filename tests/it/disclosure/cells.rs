//! The attacker who solves for hidden cells.
//!
//! The unknowns are the numbers of organisations with each combination of linked values, which is what all tables
//! and margins are sums of: no solver can have a better model. Each shown cell is an equation with its true count.
//!
//! A cell counts as open only if there is another solution in whole numbers, checked in integers against every
//! equation: no tolerance is on the safe side. It counts as determined if the solver finds no solution, not even a
//! fractional one, that is a whole organisation away from the truth (to within 10⁻⁶; cells have whole numbers).

use std::collections::BTreeMap;
use std::ops::AddAssign;

use concordat::statistics::{Coordinates, Publication, Published, Rule, Safeguards};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};

use super::world::{Dice, Truth, World};

const TOLERANCE: f64 = 1e-6;

/// What was found about cells below the threshold.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Solved {
    /// Cells below the threshold, all of them hidden.
    pub(crate) small: u64,
    /// Of these, how many have exactly one solution.
    pub(crate) determined: u64,
    /// Of these, how many have another exact solution.
    pub(crate) open: u64,
    /// Of these, how many can't be larger, or can't be smaller though an unknown organisation is in them.
    pub(crate) one_sided: u64,
    /// Cells at or above the threshold that are hidden all the same.
    pub(crate) hidden_large: u64,
    /// Linear programs solved.
    pub(crate) programs: u64,
}

impl AddAssign for Solved {
    fn add_assign(&mut self, other: Self) {
        self.small += other.small;
        self.determined += other.determined;
        self.open += other.open;
        self.one_sided += other.one_sided;
        self.hidden_large += other.hidden_large;
        self.programs += other.programs;
    }
}

/// Solves one period.
pub(crate) fn solve(
    world: &World,
    truth: &Truth,
    rule: &Rule,
    safeguards: Safeguards,
    published: &Publication,
) -> Solved {
    let shown: Vec<bool> = published.tables.iter().flatten().map(|cell| *cell != Published::Suppressed).collect();
    let mut solved = Solved::default();
    for linked in [&[0, 1, 2][..], &[3], &[4]] {
        let mut system = System::new(world, truth, rule, safeguards, &shown, linked);
        system.search();
        solved += system.solved();
    }
    let counts = truth.members.iter().map(|members| members.len() as u64);
    solved.hidden_large =
        counts.zip(&shown).filter(|(count, shown)| *count >= rule.threshold && !**shown).count() as u64;
    solved
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵²")]
fn float(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a wrong number fails the check in integers that follows")]
fn rounded(value: f64) -> i64 {
    value.round() as i64
}

/// A hidden cell below the threshold.
struct Hidden {
    variables: Vec<usize>,
    truth: i64,
    /// Whether a solution at least one higher, or lower, was found; and whether one in whole numbers was.
    higher: (bool, bool),
    lower: (bool, bool),
}

struct System {
    variables: usize,
    equations: Vec<(Vec<usize>, i64)>,
    bounds: Vec<(Vec<usize>, i64)>,
    hidden: Vec<Hidden>,
    programs: u64,
}

impl System {
    fn new(
        world: &World,
        truth: &Truth,
        rule: &Rule,
        safeguards: Safeguards,
        shown: &[bool],
        linked: &[usize],
    ) -> Self {
        let menu = &world.menu;
        let mut classes = vec![Coordinates::default()];
        for dimension in linked {
            let width = u8::try_from(menu.dimensions()[*dimension].values.len()).unwrap();
            let set = |class: &Coordinates, value| {
                let mut class = *class;
                class[*dimension] = value;
                class
            };
            classes = classes.iter().flat_map(|class| (0..width).map(move |value| set(class, value))).collect();
        }
        let mut system =
            Self { variables: classes.len(), equations: vec![], bounds: vec![], hidden: vec![], programs: 0 };
        for (table, described) in menu.tables().iter().enumerate() {
            if !described.over.iter().all(|dimension| linked.contains(dimension)) {
                continue;
            }
            let mut sums: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (variable, class) in classes.iter().enumerate() {
                sums.entry(menu.cell(table, *class)).or_default().push(variable);
            }
            for (cell, variables) in sums {
                let count = truth.members[cell].len() as u64;
                let rest = i64::try_from(count - truth.known[cell]).unwrap();
                if shown[cell] {
                    system.equations.push((variables, rest));
                    continue;
                }
                // What being hidden says: that the cell is below the threshold, with neither noise nor complement and
                // told which are hidden for dominance; nearly nothing otherwise.
                if safeguards == (Safeguards { noise: false, complement: false }) && count < rule.threshold {
                    let most = i64::try_from(rule.threshold - 1).unwrap() - i64::try_from(truth.known[cell]).unwrap();
                    system.bounds.push((variables.clone(), most));
                }
                if count < rule.threshold {
                    let hidden = Hidden { variables, truth: rest, higher: (false, false), lower: (false, false) };
                    system.hidden.push(hidden);
                }
            }
        }
        system
    }

    /// Looks for other solutions: first with many cells at once, then cell by cell, then in whole numbers.
    fn search(&mut self) {
        let mut dice = Dice::new(7);
        for up in [true, false] {
            loop {
                let open = self.unseen(up);
                let weights: Vec<(usize, f64)> =
                    open.iter().map(|cell| (*cell, f64::from(1 + u32::try_from(dice.below(9)).unwrap()))).collect();
                self.look(&weights, up);
                if open.is_empty() || self.unseen(up).len() == open.len() {
                    break;
                }
            }
            for cell in self.unseen(up) {
                if !self.side(cell, up).0 {
                    self.look(&[(cell, 1.0)], up);
                }
            }
        }
        for cell in 0..self.hidden.len() {
            let Hidden { higher, lower, .. } = self.hidden[cell];
            if (higher.0 || lower.0) && !higher.1 && !lower.1 {
                self.look_in_whole_numbers(cell, higher.0);
            }
        }
    }

    fn side(&self, cell: usize, up: bool) -> (bool, bool) {
        if up { self.hidden[cell].higher } else { self.hidden[cell].lower }
    }

    fn unseen(&self, up: bool) -> Vec<usize> {
        let worth = |cell: &usize| !self.side(*cell, up).0 && (up || self.hidden[*cell].truth > 0);
        (0..self.hidden.len()).filter(worth).collect()
    }

    fn look(&mut self, weights: &[(usize, f64)], up: bool) {
        if weights.is_empty() {
            return;
        }
        let direction = if up { OptimizationDirection::Maximize } else { OptimizationDirection::Minimize };
        let mut objective = vec![0.0; self.variables];
        for (cell, weight) in weights {
            self.hidden[*cell].variables.iter().for_each(|variable| objective[*variable] += weight);
        }
        let most = self.equations.iter().map(|(_, sum)| *sum).max().unwrap_or(10_000).max(10_000);
        let mut problem = Problem::new(direction);
        let variables: Vec<Variable> =
            objective.iter().map(|weight| problem.add_var(*weight, (0.0, float(most)))).collect();
        self.constrain(&mut problem, &variables);
        self.run(&problem, &variables);
    }

    fn look_in_whole_numbers(&mut self, cell: usize, up: bool) {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let variables: Vec<Variable> =
            (0..self.variables).map(|_| problem.add_integer_var(0.0, (0, 100_000))).collect();
        self.constrain(&mut problem, &variables);
        let Hidden { variables: of_cell, truth, .. } = &self.hidden[cell];
        let sum: Vec<(Variable, f64)> = of_cell.iter().map(|one| (variables[*one], 1.0)).collect();
        if up {
            problem.add_constraint(&sum, ComparisonOp::Ge, float(truth + 1));
        } else {
            problem.add_constraint(&sum, ComparisonOp::Le, float(truth - 1));
        }
        self.run(&problem, &variables);
    }

    fn constrain(&self, problem: &mut Problem, variables: &[Variable]) {
        let sum = |of: &[usize]| of.iter().map(|one| (variables[*one], 1.0)).collect::<Vec<_>>();
        for (of, count) in &self.equations {
            problem.add_constraint(sum(of), ComparisonOp::Eq, float(*count));
        }
        for (of, most) in &self.bounds {
            problem.add_constraint(sum(of), ComparisonOp::Le, float(*most));
        }
    }

    /// Solves, and notes which cells the solution shows to be open.
    fn run(&mut self, problem: &Problem, variables: &[Variable]) {
        self.programs += 1;
        let outcome = problem.solve().expect("the truth is a solution");
        let solution = outcome.into_solution().expect("a solution");
        let values: Vec<f64> = variables.iter().map(|variable| solution.var_value(*variable)).collect();
        let whole: Vec<i64> = values.iter().map(|value| rounded(*value)).collect();
        let is_exact = self.holds(&whole);
        for cell in &mut self.hidden {
            let value: f64 = cell.variables.iter().map(|variable| values[*variable]).sum();
            let exact: i64 = cell.variables.iter().map(|variable| whole[*variable]).sum();
            let truth = float(cell.truth);
            cell.higher.0 |= value >= truth + 1.0 - TOLERANCE;
            cell.lower.0 |= value <= truth - 1.0 + TOLERANCE;
            cell.higher.1 |= is_exact && exact > cell.truth;
            cell.lower.1 |= is_exact && exact < cell.truth;
        }
    }

    /// Whether these whole numbers satisfy everything.
    fn holds(&self, whole: &[i64]) -> bool {
        let sum = |of: &[usize]| of.iter().map(|one| whole[*one]).sum::<i64>();
        whole.iter().all(|value| *value >= 0)
            && self.equations.iter().all(|(of, count)| sum(of) == *count)
            && self.bounds.iter().all(|(of, most)| sum(of) <= *most)
    }

    fn solved(&self) -> Solved {
        let count = |which: fn(&Hidden) -> bool| self.hidden.iter().filter(|cell| which(cell)).count() as u64;
        Solved {
            small: count(|_| true),
            determined: count(|cell| !cell.higher.0 && !cell.lower.0),
            open: count(|cell| cell.higher.1 || cell.lower.1),
            one_sided: count(|cell| !cell.higher.0 || (cell.truth > 0 && !cell.lower.0)),
            hidden_large: 0,
            programs: self.programs,
        }
    }
}
