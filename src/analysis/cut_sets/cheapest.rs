//! The cheapest cuts, one after the other: implicit hitting set.
//!
//! A cut hits every path set. The cheapest set that hits the path sets known so far costs no more
//! than the cheapest cut; if it is a cut, it is one. If not, it leaves a path set intact, which is
//! added. Cuts reported before are forbidden as wholes, so the next one comes in the order of cost.

use super::hitting_set::HittingSet;
use super::oracle::{CutTest, joined, minimal_path_set, shrink};
use super::{Budget, SetError, Status, bounded::allowed_calls, check_costs};
use crate::analysis::Progress;

/// With more units than this, cuts of equal cost come as they are found.
const GATHER: usize = 1_000;

/// A minimal cut set and what removing it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct PricedCut {
    /// Ascending units.
    pub units: Vec<u32>,
    /// Sum of their costs.
    pub cost: f64,
}

/// The cheapest minimal cut sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Cheapest {
    /// In the order of (cost, size, units). If the search ended early and none is proved: the best
    /// found, which the status's bounds judge.
    pub cuts: Vec<PricedCut>,
    /// `Exact`: these are the cheapest, proved. `Bounds`: of the cost of the next one.
    pub status: Status,
    /// True if there are no more cuts than these.
    pub all: bool,
    /// Path sets that the proof used.
    pub path_sets: usize,
    /// Questions asked.
    pub calls: u64,
}

/// The `count` cheapest minimal cut sets.
///
/// # Errors
/// No units, bad costs, or cancelled.
pub fn cheapest_cuts<T: CutTest + ?Sized>(
    test: &T,
    costs: &[f64],
    count: usize,
    budget: &Budget,
    progress: &Progress,
) -> Result<Cheapest, SetError> {
    let n = test.unit_count();
    if n == 0 {
        return Err(SetError::NoUnits);
    }
    check_costs(costs, n)?;
    let price = |set: &[u32]| set.iter().map(|&u| costs[u as usize]).sum::<f64>();
    let mut answer =
        Cheapest { cuts: Vec::new(), status: Status::Exact, all: false, path_sets: 0, calls: 2 };
    if test.is_cut(&[]) {
        answer.cuts.push(PricedCut { units: Vec::new(), cost: 0.0 });
        answer.all = true;
        return Ok(answer);
    }
    let everything: Vec<u32> = (0..n as u32).collect();
    if !test.is_cut(&everything) {
        answer.all = true;
        return Ok(answer);
    }
    let safe = vec![false; n];
    let limit = allowed_calls(test.effort(), budget);
    let mut paths: Vec<Vec<u32>> = Vec::new();
    let mut found: Vec<Vec<u32>> = Vec::new();
    let mut incumbent: Option<Vec<u32>> = None;
    let mut uses = vec![0u32; n];
    let mut lower = 0.0f64;
    loop {
        if progress.out_of_time() {
            let best = incumbent.take();
            let upper = best.as_ref().map_or_else(|| price(&everything), |set| price(set));
            answer.status = Status::Bounds { lower, upper, limit: "the time given".into() };
            if found.is_empty() {
                found.extend(best);
            }
            break;
        }
        progress.check()?;
        let problem = HittingSet { costs, hit: &paths, avoid: &found };
        let hit = if paths.is_empty() && found.is_empty() {
            Some(super::hitting_set::Hit { units: Vec::new(), cost: 0.0, lower_bound: 0.0 })
        } else {
            match problem.solve(2_000_000, progress) {
                Err(SetError::Cancelled(_)) if progress.out_of_time() => continue,
                solved => solved?,
            }
        };
        let Some(hit) = hit else {
            answer.all = true;
            break;
        };
        lower = lower.max(hit.lower_bound);
        // Cuts of one cost are gathered before any is reported, for their order; on large models
        // the first ones found do.
        if found.len() >= count && n > GATHER {
            break;
        }
        let last = answer_cost(&found, costs);
        if found.len() >= count && hit.cost > last + 1e-9 * last.max(1.0) {
            break;
        }
        let proved = hit.lower_bound >= hit.cost - 1e-9 * hit.cost.max(1.0);
        // A cut found on the way that costs no more than any cut can is a cheapest one.
        if count == 1
            && let Some(cut) = incumbent.take_if(|cut| price(cut) <= hit.lower_bound + 1e-9)
        {
            found.push(cut);
            break;
        }
        answer.calls += 1;
        let is_cut = test.is_cut(&hit.units);
        if is_cut && proved {
            found.push(shrink(test, &hit.units));
            if found.len() >= budget.sets {
                answer.status = Status::Truncated {
                    complete_to_size: 0,
                    limit: format!("{} sets of equal cost", budget.sets),
                };
                break;
            }
            continue;
        }
        if answer.calls >= limit || (is_cut && !proved) {
            let best = if is_cut { Some(hit.units.clone()) } else { incumbent.take() };
            let best = best.map(|set| shrink(test, &set));
            let upper = best.as_ref().map_or_else(|| price(&everything), |set| price(set));
            answer.status = Status::Bounds {
                lower: hit.lower_bound,
                upper,
                limit: format!("{limit} evaluations"),
            };
            if found.is_empty() {
                found.extend(best);
            }
            break;
        }
        // Path sets that avoid it. Hit each by its best member and go on until nothing is left
        // intact: many path sets for one exact solution, and a cut that bounds the cost from above.
        let mut gone = hit.units;
        loop {
            let path = minimal_path_set(test, &gone, &safe, &mut answer.calls, limit);
            for &u in &path {
                uses[u as usize] += 1;
            }
            let rate = |u: u32| f64::from(uses[u as usize]) / costs[u as usize];
            let best =
                path.iter().copied().max_by(|&a, &b| rate(a).total_cmp(&rate(b)).then(b.cmp(&a)));
            gone = best.map_or(gone.clone(), |unit| joined(&gone, unit));
            paths.push(path);
            answer.calls += 1;
            if progress.out_of_time() {
                break;
            }
            progress.check()?;
            if answer.calls >= limit || test.is_cut(&gone) {
                break;
            }
        }
        if found.is_empty()
            && !progress.out_of_time()
            && answer.calls + gone.len() as u64 <= limit
            && incumbent.as_ref().is_none_or(|best| price(&gone) < price(best))
        {
            let cut = shrink(test, &gone);
            answer.calls += gone.len() as u64;
            if incumbent.as_ref().is_none_or(|best| price(&cut) < price(best)) && test.is_cut(&cut)
            {
                incumbent = Some(cut);
            }
        }
    }
    answer.path_sets = paths.len();
    answer.cuts = found.into_iter().map(|units| PricedCut { cost: price(&units), units }).collect();
    answer.cuts.sort_by(|a, b| {
        let near = (a.cost - b.cost).abs() <= 1e-9 * a.cost.max(1.0);
        let by_cost = if near { std::cmp::Ordering::Equal } else { a.cost.total_cmp(&b.cost) };
        by_cost.then(a.units.len().cmp(&b.units.len())).then_with(|| a.units.cmp(&b.units))
    });
    answer.all &= answer.cuts.len() <= count;
    answer.cuts.truncate(count);
    Ok(answer)
}

fn answer_cost(found: &[Vec<u32>], costs: &[f64]) -> f64 {
    found.last().map_or(0.0, |set| set.iter().map(|&u| costs[u as usize]).sum())
}
