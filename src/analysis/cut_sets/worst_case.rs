//! The most damaging units for a budget, proved: branch and bound on the loss oracle.
//!
//! "Is there a set within the budget that loses more than the best so far?" is a search for a cut
//! whose threshold rises with the best. Path sets found on the way stay valid as it rises. Where
//! losses are subadditive the largest single losses bound what more units can add. Greedy is only
//! where the search starts: crisp losses are not submodular and greedy alone can reach 0 of 1.

use fixedbitset::FixedBitSet;
use rayon::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::oracle::{LossOracle, joined};
use super::{Budget, LOSS_TOLERANCE, SetError, Status, bounded::allowed_calls, check_costs};
use crate::analysis::{Cancelled, Progress};

/// Path sets remembered.
const POOL: usize = 512;

/// The worst that a budget can do.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WorstCase {
    /// Ascending units.
    pub units: Vec<u32>,
    /// Loss if they are removed.
    pub loss: f64,
    /// Sum of their costs.
    pub cost: f64,
    /// No set within the budget loses more than this.
    pub upper_bound: f64,
    /// `upper_bound - loss`.
    pub gap: f64,
    /// Loss that always taking the next worst unit reaches, for comparison.
    pub greedy_loss: f64,
    /// `Exact` if the gap is closed, else the bounds.
    #[schema(value_type = Object)]
    pub status: Status,
    /// Questions asked.
    pub calls: u64,
}

impl WorstCase {
    /// Time was over before anything was known.
    fn unknown() -> Self {
        Self {
            units: Vec::new(),
            loss: 0.0,
            cost: 0.0,
            upper_bound: 1.0,
            gap: 1.0,
            greedy_loss: 0.0,
            status: Status::Bounds { lower: 0.0, upper: 1.0, limit: "the time given".into() },
            calls: 0,
        }
    }
}

#[derive(Clone)]
struct Best {
    units: Vec<u32>,
    loss: f64,
}

enum End {
    Budget,
    Cancelled,
}

impl From<Cancelled> for End {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

struct Search<'a, O: LossOracle + ?Sized> {
    oracle: &'a O,
    costs: &'a [f64],
    /// Losses of single units, largest first, if losses are subadditive.
    singles: &'a [f64],
    least_cost: f64,
    progress: &'a Progress,
    paths: Vec<FixedBitSet>,
    /// Only losses above this count.
    floor: f64,
    best: Best,
    calls: u64,
    limit: u64,
}

impl<O: LossOracle + ?Sized> Search<'_, O> {
    fn loss(&mut self, set: &[u32]) -> Result<f64, End> {
        if self.calls >= self.limit {
            return Err(End::Budget);
        }
        self.calls += 1;
        self.progress.check()?;
        Ok(self.oracle.loss(set)?)
    }

    /// Most that `room` of budget can add to a loss.
    fn most(&self, room: f64) -> f64 {
        let more = ((room + 1e-9) / self.least_cost).floor() as usize;
        self.singles.iter().take(more).sum()
    }

    fn better(&self, loss: f64) -> bool {
        loss > self.floor.max(self.best.loss) + LOSS_TOLERANCE
    }

    fn run(&mut self, removed: &[u32], safe: &FixedBitSet, room: f64) -> Result<(), End> {
        let mut gone = FixedBitSet::with_capacity(self.oracle.unit_count());
        gone.extend(removed.iter().map(|&u| u as usize));
        let affordable = |u: usize| self.costs[u] <= room + 1e-9;
        // With room for one more unit only, it must hit every path set left intact.
        let intact = self.paths.iter().filter(|path| path.is_disjoint(&gone));
        let known = if self.least_cost * 2.0 > room + 1e-9 {
            intact.fold(None, |common: Option<FixedBitSet>, path| match common {
                Some(mut common) => {
                    common.intersect_with(path);
                    Some(common)
                }
                None => Some(path.clone()),
            })
        } else {
            intact
                .min_by_key(|path| path.difference(safe).filter(|&u| affordable(u)).count())
                .cloned()
        };
        let path = match known {
            Some(path) => path,
            None => {
                let loss = self.loss(removed)?;
                if self.better(loss) {
                    self.best = Best { units: removed.to_vec(), loss };
                }
                let open: Vec<usize> = (0..self.costs.len())
                    .filter(|&u| !safe.contains(u) && !gone.contains(u) && affordable(u))
                    .collect();
                if open.is_empty() {
                    return Ok(());
                }
                if !self.singles.is_empty() && !self.better(loss + self.most(room)) {
                    return Ok(());
                }
                self.grow(&gone, safe)?
            }
        };
        let open: Vec<usize> =
            path.difference(safe).filter(|&u| self.costs[u] <= room + 1e-9).collect();
        let mut safe = safe.clone();
        for unit in open {
            let next = joined(removed, unit as u32);
            let left = room - self.costs[unit];
            if left + 1e-9 < self.least_cost {
                let loss = self.loss(&next)?;
                if self.better(loss) {
                    self.best = Best { units: next, loss };
                }
            } else {
                self.run(&next, &safe, left)?;
            }
            safe.insert(unit);
        }
        Ok(())
    }

    /// A path set for the present floor around a set that does not exceed it.
    fn grow(&mut self, gone: &FixedBitSet, safe: &FixedBitSet) -> Result<FixedBitSet, End> {
        let n = self.oracle.unit_count();
        let mut undecided: Vec<u32> =
            (0..n).filter(|&u| !safe.contains(u) && !gone.contains(u)).map(|u| u as u32).collect();
        let mut removed = gone.clone();
        let mut path = safe.clone();
        let mut block = undecided.len().div_ceil(2).max(1);
        while !undecided.is_empty() {
            let size = block.min(undecided.len());
            let chunk = undecided.split_off(undecided.len() - size);
            removed.extend(chunk.iter().map(|&u| u as usize));
            let set: Vec<u32> = removed.ones().map(|u| u as u32).collect();
            let loss = self.loss(&set)?;
            if !self.better(loss) {
                block *= 2;
                continue;
            }
            for &u in &chunk {
                removed.remove(u as usize);
            }
            match chunk[..] {
                [only] => path.insert(only as usize),
                _ => undecided.extend(chunk),
            }
            block = (size / 2).max(1);
        }
        if self.paths.len() < POOL {
            self.paths.push(path.clone());
        }
        Ok(path)
    }
}

/// The most damaging set whose cost is at most `budget_cost`, with a bound on all others. Without
/// `costs` every unit costs 1: the worst k units.
///
/// # Errors
/// No units, bad costs, a budget that is not a number, or cancelled.
pub fn worst_case<O: LossOracle + ?Sized>(
    oracle: &O,
    costs: Option<&[f64]>,
    budget_cost: f64,
    budget: &Budget,
    progress: &Progress,
) -> Result<WorstCase, SetError> {
    let n = oracle.unit_count();
    if n == 0 {
        return Err(SetError::NoUnits);
    }
    let ones = vec![1.0; n];
    let costs = costs.unwrap_or(&ones);
    check_costs(costs, n)?;
    if !budget_cost.is_finite() || budget_cost < 0.0 {
        return Err(SetError::Malformed(format!(
            "the budget is {budget_cost}; give a number of at least 0"
        )));
    }
    let limit = allowed_calls(oracle.effort(), budget);
    let affordable: Vec<u32> =
        (0..n as u32).filter(|&u| costs[u as usize] <= budget_cost + 1e-9).collect();
    let mut calls = 2 + affordable.len() as u64;
    if affordable.len() as u64 > limit {
        return Err(SetError::TooMany {
            size: 1,
            units: n,
            calls: affordable.len() as f64,
            budget: limit as f64,
        });
    }
    let single_sets: Vec<Vec<u32>> = affordable.iter().map(|&u| vec![u]).collect();
    let start = || Ok((oracle.loss(&[])?, oracle.loss(&affordable)?, oracle.losses(&single_sets)?));
    let (none, all, losses) = match start() {
        Err(Cancelled) if progress.out_of_time() => return Ok(WorstCase::unknown()),
        known => known.map_err(SetError::Cancelled)?,
    };
    let mut singles: Vec<f64> = Vec::new();
    let least_cost = affordable.iter().map(|&u| costs[u as usize]).fold(f64::INFINITY, f64::min);
    let mut upper = all;
    if oracle.subadditive() {
        singles = losses.clone();
        singles.sort_by(|a, b| b.total_cmp(a));
        let more = if affordable.is_empty() { 0.0 } else { (budget_cost + 1e-9) / least_cost };
        upper = upper.min(none + singles.iter().take(more as usize).sum::<f64>());
    }
    let greedy = greedy(oracle, costs, budget_cost, none, limit / 4, &mut calls, progress)?;
    let greedy_loss = greedy.loss;
    let mut best = swap(oracle, costs, budget_cost, greedy, limit / 4, &mut calls, progress)?;
    upper = upper.max(best.loss);
    let search = |floor: f64, best: Best, limit: u64| {
        let shared = Search {
            oracle,
            costs,
            singles: &singles,
            least_cost,
            progress,
            paths: Vec::new(),
            floor,
            best,
            calls: 0,
            limit,
        };
        explore(shared, &affordable, budget_cost)
    };
    if upper > best.loss + LOSS_TOLERANCE {
        progress.start(1);
        let (found, done, used) = search(best.loss, best, limit / 2)?;
        best = found;
        calls += used;
        if done {
            upper = best.loss;
        } else {
            // Not proved: halve the interval by asking for larger losses, which prune more.
            let mut low = best.loss;
            for _ in 0..8 {
                let middle = (low + upper) / 2.0;
                if upper - middle < 1e-4 {
                    break;
                }
                let (found, done, used) = search(middle, best.clone(), limit / 16)?;
                calls += used;
                if found.loss > best.loss {
                    best = found;
                }
                if done {
                    upper = middle.max(best.loss);
                } else {
                    low = middle;
                }
                low = low.max(best.loss);
            }
        }
    }
    // Members that add nothing are no part of the answer.
    let reached = best.loss;
    for unit in best.units.clone() {
        let rest: Vec<u32> = best.units.iter().copied().filter(|&u| u != unit).collect();
        calls += 1;
        match oracle.loss(&rest) {
            Ok(loss) if loss >= reached - LOSS_TOLERANCE => best = Best { units: rest, loss },
            Ok(_) => {}
            Err(Cancelled) if progress.out_of_time() => break,
            Err(cancelled) => return Err(cancelled.into()),
        }
    }
    let gap = (upper - best.loss).max(0.0);
    let status = if gap <= LOSS_TOLERANCE {
        Status::Exact
    } else {
        let limit = match progress.out_of_time() {
            true => "the time given".to_owned(),
            false => format!("{limit} evaluations"),
        };
        Status::Bounds { lower: best.loss, upper, limit }
    };
    Ok(WorstCase {
        cost: best.units.iter().map(|&u| costs[u as usize]).sum(),
        units: best.units,
        loss: best.loss,
        upper_bound: upper.max(best.loss),
        gap,
        greedy_loss,
        status,
        calls,
    })
}

/// Runs the search: the first level in blocks side by side, each block from the best of the blocks
/// before, so that the result does not depend on the number of threads.
fn explore<O: LossOracle + ?Sized>(
    mut search: Search<'_, O>,
    affordable: &[u32],
    budget: f64,
) -> Result<(Best, bool, u64), SetError> {
    let n = search.oracle.unit_count();
    let nothing = FixedBitSet::with_capacity(n);
    let path = match search.grow(&nothing, &nothing) {
        Ok(path) => path,
        Err(End::Cancelled) if !search.progress.out_of_time() => return Err(Cancelled.into()),
        Err(_) => return Ok((search.best, false, search.calls)),
    };
    let roots: Vec<u32> =
        affordable.iter().copied().filter(|&u| path.contains(u as usize)).collect();
    let share = search.limit.saturating_sub(search.calls) / roots.len().max(1) as u64;
    let mut done = true;
    let mut total = search.calls;
    for (block, units) in roots.chunks(8).enumerate() {
        let results: Vec<_> = units
            .par_iter()
            .enumerate()
            .map(|(i, &unit)| {
                let mut safe = nothing.clone();
                safe.extend(roots[..block * 8 + i].iter().map(|&u| u as usize));
                let mut part = Search {
                    paths: search.paths.clone(),
                    best: search.best.clone(),
                    calls: 0,
                    limit: share.max(2),
                    ..search
                };
                let end = part.run(&[unit], &safe, budget - search.costs[unit as usize]);
                (part.best, part.paths, part.calls, end)
            })
            .collect();
        for (best, paths, calls, end) in results {
            total += calls;
            match end {
                Err(End::Cancelled) if !search.progress.out_of_time() => {
                    return Err(Cancelled.into());
                }
                Err(_) => done = false,
                Ok(()) => {}
            }
            if best.loss > search.best.loss + LOSS_TOLERANCE {
                search.best = best;
            }
            for path in paths.into_iter().skip(search.paths.len()) {
                if search.paths.len() < POOL / 4 {
                    search.paths.push(path);
                }
            }
        }
    }
    Ok((search.best, done, total))
}

/// Always the unit that adds most per cost.
fn greedy<O: LossOracle + ?Sized>(
    oracle: &O,
    costs: &[f64],
    budget: f64,
    none: f64,
    limit: u64,
    calls: &mut u64,
    progress: &Progress,
) -> Result<Best, SetError> {
    let mut best = Best { units: Vec::new(), loss: none };
    let mut room = budget;
    loop {
        if progress.out_of_time() {
            return Ok(best);
        }
        progress.check()?;
        let open: Vec<u32> = (0..costs.len() as u32)
            .filter(|u| costs[*u as usize] <= room + 1e-9 && best.units.binary_search(u).is_err())
            .collect();
        if open.is_empty() || *calls + open.len() as u64 > limit {
            return Ok(best);
        }
        let sets: Vec<Vec<u32>> = open.iter().map(|&u| joined(&best.units, u)).collect();
        *calls += sets.len() as u64;
        let losses = match oracle.losses(&sets) {
            Err(Cancelled) if progress.out_of_time() => return Ok(best),
            losses => losses?,
        };
        let gain = |i: usize| (losses[i] - best.loss) / costs[open[i] as usize];
        let Some(i) = (0..open.len()).max_by(|&a, &b| gain(a).total_cmp(&gain(b)).then(b.cmp(&a)))
        else {
            return Ok(best);
        };
        // A unit without gain may open the way for the next: take the first of them.
        room -= costs[open[i] as usize];
        best = Best { units: sets[i].clone(), loss: losses[i] };
    }
}

/// Replaces single members as long as that helps.
fn swap<O: LossOracle + ?Sized>(
    oracle: &O,
    costs: &[f64],
    budget: f64,
    mut best: Best,
    limit: u64,
    calls: &mut u64,
    progress: &Progress,
) -> Result<Best, SetError> {
    loop {
        let mut sets = Vec::new();
        let spent: f64 = best.units.iter().map(|&u| costs[u as usize]).sum();
        for &out in &best.units {
            let rest: Vec<u32> = best.units.iter().copied().filter(|&u| u != out).collect();
            let room = budget - spent + costs[out as usize];
            for unit in 0..costs.len() as u32 {
                if costs[unit as usize] <= room + 1e-9 && best.units.binary_search(&unit).is_err() {
                    sets.push(joined(&rest, unit));
                }
            }
        }
        if sets.is_empty() || *calls + sets.len() as u64 > limit {
            return Ok(best);
        }
        if progress.out_of_time() {
            return Ok(best);
        }
        progress.check()?;
        *calls += sets.len() as u64;
        let losses = match oracle.losses(&sets) {
            Err(Cancelled) if progress.out_of_time() => return Ok(best),
            losses => losses?,
        };
        let Some(i) =
            (0..sets.len()).max_by(|&a, &b| losses[a].total_cmp(&losses[b]).then(b.cmp(&a)))
        else {
            return Ok(best);
        };
        if losses[i] <= best.loss + LOSS_TOLERANCE {
            return Ok(best);
        }
        best = Best { units: sets.swap_remove(i), loss: losses[i] };
    }
}

/// The worst loss for 0, 1, ... `up_to` units.
///
/// # Errors
/// As [`worst_case`].
pub fn loss_curve<O: LossOracle + ?Sized>(
    oracle: &O,
    up_to: usize,
    budget: &Budget,
    progress: &Progress,
) -> Result<Vec<WorstCase>, SetError> {
    (0..=up_to).map(|k| worst_case(oracle, None, k as f64, budget, progress)).collect()
}
