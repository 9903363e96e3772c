//! Probability of the cut and importance of units, exact for independent units.
//!
//! Definitions after the usual texts on fault trees (Vesely et al. 1981; Rauzy 1993 for the exact
//! computation on diagrams). p is the probability that a unit is lost; P the probability of the
//! cut.

use serde::Serialize;
use utoipa::ToSchema;

use super::diagram::{Stop, Work, with_deep_stack};
use super::double::Double;
use super::family::{Family, Meaning};
use super::{Budget, SetError, check_probabilities};
use crate::analysis::Progress;

/// Most diagram nodes times variables for which Fussell-Vesely is computed.
const MOST_HELD: usize = 200_000_000;

/// Diagram nodes for Fussell-Vesely beside twice those of the family.
const HELD_NODES: usize = 400_000;

/// Variables over which it shows whether all will fit, spread over all levels: deep ones take far
/// more room than those at the top.
const HELD_TRIAL: usize = 8;

/// How much one unit matters.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Importance {
    /// The unit.
    pub unit: u32,
    /// P(cut | unit lost) - P(cut | unit safe).
    pub birnbaum: f64,
    /// E(loss | unit lost) - E(loss | unit safe); equal to `birnbaum` where the loss is all or
    /// nothing, `None` where only the cut is known.
    pub expected_loss_birnbaum: Option<f64>,
    /// Birnbaum * p / P: how likely the unit is the cause. `None` if P is 0.
    pub criticality: Option<f64>,
    /// P(some minimal cut set that holds the unit has happened) / P. `None` if P is 0, or if it
    /// does not fit the budget.
    pub fussell_vesely: Option<f64>,
    /// Risk achievement worth: P(cut | unit lost) / P. `None` if P is 0.
    pub raw: Option<f64>,
    /// Risk reduction worth: P / P(cut | unit safe). `None` if no cut is left without the unit.
    pub rrw: Option<f64>,
}

/// Where a unit ranks if all probabilities are scaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RankRange {
    /// The unit.
    pub unit: u32,
    /// Rank by Birnbaum importance with the probabilities given, from 1.
    pub rank: usize,
    /// Best rank over all scalings.
    pub best: usize,
    /// Worst rank over all scalings.
    pub worst: usize,
}

impl Family {
    /// Probability that the target is cut, for independent units lost with these probabilities.
    ///
    /// # Errors
    /// Probabilities that are missing or not between 0 and 1.
    pub fn top_probability(&self, p: &[f64]) -> Result<f64, SetError> {
        check_probabilities(p, self.unit_count)?;
        Ok(self.part_probabilities(p).1.value())
    }

    /// Probabilities of the variables, and of the last part.
    fn part_probabilities(&self, p: &[f64]) -> (Vec<Double>, Double) {
        let mut of_part = Vec::new();
        let mut of_variable = vec![Double::default(); self.meaning.len()];
        for part in &self.parts {
            for var in self.table.support(part.function) {
                of_variable[var as usize] = match self.meaning[var as usize] {
                    Meaning::Unit(unit) => p[unit as usize].into(),
                    Meaning::Part(inner) => of_part[inner],
                };
            }
            of_part.push(self.table.expectation(part.function, &of_variable));
        }
        (of_variable, of_part.last().copied().unwrap_or_default())
    }

    /// Importance of every unit that occurs in a minimal cut set, by unit.
    ///
    /// # Errors
    /// Bad probabilities; cancelled.
    pub fn importance(
        &self,
        p: &[f64],
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Vec<Importance>, SetError> {
        check_probabilities(p, self.unit_count)?;
        let (of_variable, exact_top) = self.part_probabilities(p);
        let top = exact_top.value();
        // One diagram for each unit: left out where that is too much.
        let work = self.table.node_count().saturating_mul(self.meaning.len());
        let fussell_vesely = if work > MOST_HELD {
            None
        } else {
            match self.held_probabilities(&of_variable, budget, progress) {
                Err(SetError::TooLarge { .. }) => None,
                held => Some(held?),
            }
        };
        let slopes = self.birnbaum(&of_variable);
        Ok(self
            .relevant_units()
            .into_iter()
            .map(|unit| {
                let (slope, q) = (slopes[unit as usize], p[unit as usize]);
                let birnbaum = slope.value();
                let share = |value: f64| (top > 0.0).then(|| value / top);
                let safe = (exact_top - slope * q.into()).value();
                Importance {
                    unit,
                    birnbaum,
                    expected_loss_birnbaum: None,
                    criticality: share(birnbaum * q),
                    fussell_vesely: fussell_vesely
                        .as_ref()
                        .and_then(|held| share(held[unit as usize] * q)),
                    raw: share(top + (1.0 - q) * birnbaum),
                    // Cancellation leaves dust of the size of rounding where nothing is left.
                    rrw: (safe > top * 1e-27).then(|| top / safe),
                }
            })
            .collect())
    }

    /// Birnbaum importance by unit: slopes through the modules, outermost first.
    fn birnbaum(&self, of_variable: &[Double]) -> Vec<Double> {
        let mut slope_of_part = vec![Double::default(); self.parts.len()];
        let mut slope = vec![Double::default(); self.unit_count];
        if let Some(last) = slope_of_part.last_mut() {
            *last = Double::ONE;
        }
        for (index, part) in self.parts.iter().enumerate().rev() {
            let (_, inner) = self.table.gradient(part.function, of_variable);
            for (var, s) in inner {
                let s = s * slope_of_part[index];
                let of = match self.meaning[var as usize] {
                    Meaning::Unit(unit) => &mut slope[unit as usize],
                    Meaning::Part(p) => &mut slope_of_part[p],
                };
                *of = *of + s;
            }
        }
        slope
    }

    /// For each unit: probability that all the rest of some minimal cut set that holds it is lost.
    /// Within a part the sets that hold variable v, with v taken out, are one family; through
    /// modules, which share no units, the probabilities multiply.
    fn held_probabilities(
        &self,
        of_variable: &[Double],
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Vec<f64>, SetError> {
        let mut table = self.table.clone();
        let made_before = table.node_count();
        let room = budget.diagram_nodes.min(2 * made_before + HELD_NODES);
        let mut done = 0;
        let depth = self.meaning.len();
        // After some variables, at most twice their share of the room: what will not fit is given
        // up early, not when all of it is used up.
        let allowed = |done: usize| {
            let share = 2 * room * HELD_TRIAL.max(done + 1) / depth.max(1);
            room.min(made_before + share)
        };
        let mut of_part = vec![0.0; self.parts.len()];
        let mut of_unit = vec![0.0; self.unit_count];
        if let Some(last) = of_part.last_mut() {
            *last = 1.0;
        }
        with_deep_stack(depth, || {
            for (index, part) in self.parts.iter().enumerate().rev() {
                if of_part[index] == 0.0 {
                    continue;
                }
                let support = self.table.support(part.minimal);
                let step = support.len().div_ceil(HELD_TRIAL);
                let spread = (0..step).flat_map(|first| support.iter().skip(first).step_by(step));
                for &var in spread {
                    progress.check().map_err(|_| Stop::Cancelled)?;
                    table.set_limit(allowed(done));
                    done += 1;
                    let mut work = Work::new(&mut table, progress);
                    let rest = work.with(part.minimal, var)?;
                    let any = work.any(rest)?;
                    let q = of_part[index] * work.table.expectation(any, of_variable).value();
                    match self.meaning[var as usize] {
                        Meaning::Unit(unit) => of_unit[unit as usize] = q,
                        Meaning::Part(p) => of_part[p] = q,
                    }
                }
            }
            Ok(())
        })
        .map_err(|stop| SetError::from_stop(stop, budget))?;
        Ok(of_unit)
    }

    /// How ranks by Birnbaum importance move if all probabilities are wrong by the same factors
    /// (usually 3 and 1/3; capped at 1), best ranked first.
    ///
    /// # Errors
    /// Bad probabilities.
    pub fn rank_stability(&self, p: &[f64], factors: &[f64]) -> Result<Vec<RankRange>, SetError> {
        check_probabilities(p, self.unit_count)?;
        let units = self.relevant_units();
        let ranks = |factor: f64| {
            let scaled: Vec<f64> = p.iter().map(|&q| (q * factor).min(1.0)).collect();
            let slopes = self.birnbaum(&self.part_probabilities(&scaled).0);
            let mut order: Vec<usize> = (0..units.len()).collect();
            let key = |i: usize| slopes[units[i] as usize].value();
            order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
            let mut rank = vec![0; units.len()];
            // Units that differ by rounding only share a rank.
            let mut last = 0;
            for (position, &i) in order.iter().enumerate() {
                let tied = position > 0
                    && key(order[position - 1]) - key(i) <= 1e-12 * key(order[position - 1]).abs();
                rank[i] = if tied { last } else { position + 1 };
                last = rank[i];
            }
            rank
        };
        let base = ranks(1.0);
        let (mut best, mut worst) = (base.clone(), base.clone());
        for &factor in factors {
            for (i, rank) in ranks(factor).into_iter().enumerate() {
                best[i] = best[i].min(rank);
                worst[i] = worst[i].max(rank);
            }
        }
        let mut ranges: Vec<RankRange> = (0..units.len())
            .map(|i| RankRange { unit: units[i], rank: base[i], best: best[i], worst: worst[i] })
            .collect();
        ranges.sort_by_key(|range| (range.rank, range.unit));
        Ok(ranges)
    }
}

/// Probability that more than `k` of the units are lost: what a family complete to size k can miss.
pub fn probability_of_more_than(k: usize, p: &[f64]) -> f64 {
    // exactly[j]: probability that j units are lost; the last entry gathers all above k.
    let mut exactly = vec![0.0; k + 2];
    exactly[0] = 1.0;
    for &q in p {
        exactly[k + 1] += exactly[k] * q;
        for j in (1..=k).rev() {
            exactly[j] = exactly[j] * (1.0 - q) + exactly[j - 1] * q;
        }
        exactly[0] *= 1.0 - q;
    }
    exactly[k + 1].clamp(0.0, 1.0)
}
