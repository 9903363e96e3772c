//! Operating levels as functions of what is removed: decision diagrams with numbers at the leaves
//! (Clarke et al. 1993; Bahar et al. 1993), for problems in which nodes run at part load.
//!
//! Exact where they fit; the number of levels can double with every unit, so the node budget
//! decides quickly. Levels are kept to about 1e-12.

use rustc_hash::FxHashMap;

use super::diagram::{
    Diagrams, LEAF, ONE, Ref, Stop, Work, ZERO, check_depth, code, with_deep_stack,
};
use super::double::Double;
use super::family::Family;
use super::problem::{DIVERTS, Problem, Response, delivered};
use super::{Budget, LOSS_TOLERANCE, Semantics, SetError, check_probabilities, check_threshold};
use crate::analysis::Progress;
use crate::analysis::impact::rationing::Ration;

/// Most rounds inside a loop.
const MAX_ROUNDS: usize = 2_000;

impl Work<'_> {
    /// A function of the leaves.
    fn map(
        &mut self,
        f: Ref,
        known: &mut FxHashMap<Ref, Ref>,
        of: &impl Fn(f64) -> f64,
    ) -> Result<Ref, Stop> {
        if let Some(&result) = known.get(&f) {
            return Ok(result);
        }
        let result = if self.table.var(f) == LEAF {
            let value = self.table.value(f);
            self.leaf(of(value))
        } else {
            let (var, f0, f1) = (self.table.var(f), self.table.low(f), self.table.high(f));
            let low = self.map(f0, known, of)?;
            let high = self.map(f1, known, of)?;
            self.test(var, low, high)?
        };
        known.insert(f, result);
        Ok(result)
    }

    fn apply(
        &mut self,
        f: Ref,
        g: Ref,
        operation: u32,
        of: &impl Fn(f64, f64) -> f64,
    ) -> Result<Ref, Stop> {
        let (a, b) = (f.min(g), f.max(g));
        let var = self.table.var(a).min(self.table.var(b));
        if var == LEAF {
            let value = of(self.table.value(a), self.table.value(b));
            return Ok(self.leaf(value));
        }
        if let Some(known) = self.cached(a, b, operation)? {
            return Ok(known);
        }
        let ((a0, a1), (b0, b1)) = (self.branches(a, var), self.branches(b, var));
        let low = self.apply(a0, b0, operation, of)?;
        let high = self.apply(a1, b1, operation, of)?;
        let result = self.test(var, low, high)?;
        Ok(self.remember(a, b, operation, result))
    }

    /// The lesser of two levels.
    fn lesser(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match (f, g) {
            (ZERO, _) | (_, ZERO) => Ok(ZERO),
            (ONE, h) | (h, ONE) => Ok(h),
            _ if f == g => Ok(f),
            _ => self.apply(f, g, code::MIN, &f64::min),
        }
    }

    /// Sum of two shares, at most 1.
    fn sum(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match (f, g) {
            (ONE, _) | (_, ONE) => Ok(ONE),
            (ZERO, h) | (h, ZERO) => Ok(h),
            _ => self.apply(f, g, code::ADD, &|a, b| (a + b).min(1.0)),
        }
    }

    /// `f` scaled by a factor of at most 1, or cut off at 1.
    fn scaled(&mut self, f: Ref, factor: f64) -> Result<Ref, Stop> {
        if factor == 1.0 {
            return Ok(f);
        }
        self.map(f, &mut FxHashMap::default(), &|v| (v * factor).min(1.0))
    }
}

/// Level diagrams of the targets of a problem.
#[derive(Debug, Clone)]
pub struct Levels {
    table: Diagrams,
    /// Unit of each variable.
    units: Vec<u32>,
    unit_count: usize,
    /// Level of each target, with its weight.
    targets: Vec<(Ref, f64)>,
    loops_matter: bool,
}

impl Levels {
    /// Builds the levels of the problem's targets.
    ///
    /// # Errors
    /// [`SetError::TooLarge`] if the node budget does not suffice, or cancelled.
    pub fn build(
        problem: &Problem,
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Self, SetError> {
        if !problem.has_levels() {
            return Err(SetError::NotCovered(DIVERTS.into()));
        }
        let (variable, units) = variables(problem);
        let mut table = Diagrams::new(budget.diagram_nodes);
        let depth = units.len();
        check_depth(depth)?;
        let built = with_deep_stack(depth, || {
            let mut work = Work::new(&mut table, progress);
            let levels = levels(&mut work, problem, &variable, problem.semantics())?;
            let mut loops_matter = false;
            if problem.has_loop() {
                let other = match problem.semantics() {
                    Semantics::Collapse => Semantics::Bootstrap,
                    Semantics::Bootstrap => Semantics::Collapse,
                };
                // Only for the warning: it may fail quietly on the budget.
                loops_matter = match self::levels(&mut work, problem, &variable, other) {
                    Ok(others) => differ(&mut work, &levels, &others)?,
                    Err(Stop::Nodes) => false,
                    Err(stop) => return Err(stop),
                };
            }
            Ok((levels, loops_matter))
        });
        let (levels, loops_matter) = built.map_err(|stop| SetError::from_stop(stop, budget))?;
        let targets = levels.into_iter().zip(problem.targets()).map(|(f, t)| (f, t.1)).collect();
        Ok(Self { table, units, unit_count: problem.units().len(), targets, loops_matter })
    }

    /// The family of minimal cut sets that lose at least this share.
    ///
    /// # Errors
    /// A bad threshold, the node budget, or cancelled.
    pub fn family(
        &self,
        loss_at_least: f64,
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Family, SetError> {
        check_threshold(loss_at_least)?;
        let mut table = self.table.clone();
        let depth = self.units.len();
        with_deep_stack(depth, || {
            let mut work = Work::new(&mut table, progress);
            let kept = self.targets.iter().try_fold(ZERO, |sum, &(f, weight)| {
                let part = work.scaled(f, weight)?;
                work.sum(sum, part)
            })?;
            let most = 1.0 - loss_at_least + LOSS_TOLERANCE;
            let is_cut = |level: f64| if level <= most { 1.0 } else { 0.0 };
            let function = work.map(kept, &mut FxHashMap::default(), &is_cut)?;
            let (units, n) = (self.units.clone(), self.unit_count);
            Family::of_function(table, function, units, n, self.loops_matter, progress)
        })
        .map_err(|stop| SetError::from_stop(stop, budget))
    }

    /// Expected loss for independent units lost with these probabilities, and for each unit the
    /// expected loss given it is lost, less that given it is safe.
    ///
    /// # Errors
    /// Bad probabilities.
    pub fn expected_loss(&self, p: &[f64]) -> Result<(f64, Vec<f64>), SetError> {
        check_probabilities(p, self.unit_count)?;
        let of_variable: Vec<Double> = self.units.iter().map(|&u| p[u as usize].into()).collect();
        let (mut loss, mut slope) = (0.0, vec![0.0; self.unit_count]);
        for &(f, weight) in &self.targets {
            let (level, slopes) = self.table.gradient(f, &of_variable);
            loss += weight * (Double::ONE - level).value();
            for (var, s) in slopes {
                slope[self.units[var as usize] as usize] -= weight * s.value();
            }
        }
        Ok((loss.max(0.0), slope))
    }

    /// True if loops make `collapse` and `bootstrap` give different levels.
    pub fn loops_matter(&self) -> bool {
        self.loops_matter
    }
}

/// True if any levels differ by more than what loops leave open.
fn differ(work: &mut Work<'_>, a: &[Ref], b: &[Ref]) -> Result<bool, Stop> {
    for (&f, &g) in a.iter().zip(b) {
        if f != g {
            // Levels that converge from both sides meet to about 1e-9.
            let gap =
                work.apply(f, g, code::GAP, &|x, y| if (x - y).abs() > 1e-8 { 1.0 } else { 0.0 })?;
            if gap != ZERO {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Variables of units in depth-first order from the targets, and the units in that order.
fn variables(problem: &Problem) -> (Vec<u32>, Vec<u32>) {
    let mut variable = vec![u32::MAX; problem.units().len()];
    let mut units = Vec::new();
    let mut seen = vec![false; problem.node_count()];
    let mut stack: Vec<u32> = problem.targets().iter().rev().map(|t| t.0).collect();
    let mut take = |list: &[u32]| {
        for &unit in list {
            if variable[unit as usize] == u32::MAX {
                variable[unit as usize] = units.len() as u32;
                units.push(unit);
            }
        }
    };
    while let Some(node) = stack.pop() {
        if std::mem::replace(&mut seen[node as usize], true) {
            continue;
        }
        take(problem.units_of_node(node));
        let offers: Vec<_> =
            problem.nodes()[node as usize].iter().flat_map(|group| &group.offers).collect();
        for offer in &offers {
            take(problem.units_of_flow(offer.flow));
            if problem.nodes()[offer.from as usize].is_empty() {
                take(problem.units_of_node(offer.from));
            }
        }
        stack.extend(offers.iter().rev().map(|offer| offer.from));
    }
    (variable, units)
}

/// Levels of the targets.
fn levels(
    work: &mut Work<'_>,
    problem: &Problem,
    variable: &[u32],
    semantics: Semantics,
) -> Result<Vec<Ref>, Stop> {
    let start = if semantics == Semantics::Collapse { ONE } else { ZERO };
    let mut level = vec![start; problem.node_count()];
    for (component, looped) in problem.components() {
        for _ in 0..MAX_ROUNDS {
            let mut changed = false;
            for &node in component {
                let new = node_level(work, problem, variable, &level, node)?;
                changed |= new != level[node as usize];
                level[node as usize] = new;
            }
            if !changed || !looped {
                break;
            }
        }
    }
    Ok(problem.targets().iter().map(|t| level[t.0 as usize]).collect())
}

/// 1 where none of the units is removed, else 0.
fn intact(work: &mut Work<'_>, variable: &[u32], units: &[u32]) -> Result<Ref, Stop> {
    units.iter().try_fold(ONE, |all, &unit| {
        let up = work.node(variable[unit as usize], ONE, ZERO)?;
        work.and(all, up)
    })
}

fn node_level(
    work: &mut Work<'_>,
    problem: &Problem,
    variable: &[u32],
    level: &[Ref],
    node: u32,
) -> Result<Ref, Stop> {
    let mut least = intact(work, variable, problem.units_of_node(node))?;
    let mut lost = ZERO;
    for group in &problem.nodes()[node as usize] {
        let mut supply = work.leaf(group.stock.min(1.0));
        for offer in &group.offers {
            let open = intact(work, variable, problem.units_of_flow(offer.flow))?;
            let supplier = level[offer.from as usize];
            let arrives = if offer.ration == Ration::PROPORTIONAL && offer.share == 1.0 {
                supplier
            } else {
                let (ration, share) = (offer.ration, offer.share);
                let of = |v: f64| (share * delivered(ration, v)).min(1.0);
                work.map(supplier, &mut FxHashMap::default(), &of)?
            };
            let arrives = work.lesser(arrives, open)?;
            supply = work.sum(supply, arrives)?;
        }
        let mut known = FxHashMap::default();
        match group.response {
            Response::Limiting(d) => {
                let bound = work.map(supply, &mut known, &|u| 1.0 - d * (1.0 - u))?;
                least = work.lesser(least, bound)?;
            }
            Response::Threshold(share) => {
                let of = |u: f64| if u >= share - LOSS_TOLERANCE { 1.0 } else { 0.0 };
                let bound = work.map(supply, &mut known, &of)?;
                least = work.lesser(least, bound)?;
            }
            Response::Additive(weight) => {
                let part =
                    work.map(supply, &mut known, &|u| (weight * (1.0 - u)).clamp(0.0, 1.0))?;
                lost = work.sum(lost, part)?;
            }
        }
    }
    let rest = work.map(lost, &mut FxHashMap::default(), &|l| 1.0 - l)?;
    work.lesser(least, rest)
}
