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
    let mut search = Search {
        test,
        costs,
        count,
        most_sets: budget.sets,
        limit: allowed_calls(test.effort(), budget),
        progress,
        paths: Vec::new(),
        found: Vec::new(),
        incumbent: None,
        lower: 0.0,
        upper: f64::INFINITY,
        status: Status::Exact,
        all: false,
        calls: 2,
    };
    match search.run() {
        Err(SetError::Cancelled(_)) if progress.out_of_time() => {
            search.end("the time given".into());
        }
        ended => ended?,
    }
    Ok(search.answer())
}

struct Search<'a, T: CutTest + ?Sized> {
    test: &'a T,
    costs: &'a [f64],
    count: usize,
    most_sets: usize,
    /// Questions allowed.
    limit: u64,
    progress: &'a Progress,
    /// Path sets found.
    paths: Vec<Vec<u32>>,
    /// Cuts proved to be the cheapest, in the order of cost.
    found: Vec<Vec<u32>>,
    /// The cheapest cut seen that is not proved to be one of them.
    incumbent: Option<Vec<u32>>,
    /// The next cut costs no less, and no more.
    lower: f64,
    upper: f64,
    status: Status,
    all: bool,
    calls: u64,
}

impl<T: CutTest + ?Sized> Search<'_, T> {
    fn price(&self, set: &[u32]) -> f64 {
        set.iter().map(|&u| self.costs[u as usize]).sum()
    }

    /// Ends the search before it is done: bounds, and the best cut seen if none is proved.
    fn end(&mut self, limit: String) {
        let best = self.incumbent.take();
        let upper = best.as_ref().map_or(self.upper, |set| self.price(set));
        self.status = Status::Bounds { lower: self.lower, upper, limit };
        if self.found.is_empty() {
            self.found.extend(best);
        }
    }

    fn run(&mut self) -> Result<(), SetError> {
        let n = self.test.unit_count();
        if self.test.is_cut(&[])? {
            self.found.push(Vec::new());
            self.all = true;
            return Ok(());
        }
        let everything: Vec<u32> = (0..n as u32).collect();
        if !self.test.is_cut(&everything)? {
            self.all = true;
            return Ok(());
        }
        self.upper = self.price(&everything);
        let mut uses = vec![0u32; n];
        loop {
            self.progress.check()?;
            let problem = HittingSet { costs: self.costs, hit: &self.paths, avoid: &self.found };
            let hit = if self.paths.is_empty() && self.found.is_empty() {
                Some(super::hitting_set::Hit { units: Vec::new(), cost: 0.0, lower_bound: 0.0 })
            } else {
                problem.solve(2_000_000, self.progress)?
            };
            let Some(hit) = hit else {
                self.all = true;
                return Ok(());
            };
            self.lower = self.lower.max(hit.lower_bound);
            // Cuts of one cost are gathered before any is reported, for their order; on large
            // models the first ones found do.
            if self.found.len() >= self.count && n > GATHER {
                return Ok(());
            }
            let last = self.found.last().map_or(0.0, |set| self.price(set));
            if self.found.len() >= self.count && hit.cost > last + 1e-9 * last.max(1.0) {
                return Ok(());
            }
            let proved = hit.lower_bound >= hit.cost - 1e-9 * hit.cost.max(1.0);
            // A cut found on the way that costs no more than any cut can is a cheapest one.
            if self.count == 1
                && let Some(cut) = self.incumbent.take()
            {
                if self.price(&cut) <= hit.lower_bound + 1e-9 {
                    self.found.push(cut);
                    return Ok(());
                }
                self.incumbent = Some(cut);
            }
            self.calls += 1;
            let is_cut = self.test.is_cut(&hit.units)?;
            if is_cut && proved {
                self.found.push(shrink(self.test, &hit.units, self.progress)?);
                if self.found.len() >= self.most_sets {
                    self.status = Status::Truncated {
                        complete_to_size: 0,
                        limit: format!("{} sets of equal cost", self.most_sets),
                    };
                    return Ok(());
                }
                continue;
            }
            if self.calls >= self.limit || is_cut {
                if is_cut {
                    self.incumbent = Some(hit.units);
                }
                if let Some(best) = self.incumbent.take() {
                    self.incumbent = Some(shrink(self.test, &best, self.progress)?);
                }
                self.end(format!("{} evaluations", self.limit));
                return Ok(());
            }
            self.grow(hit.units, &mut uses)?;
        }
    }

    /// Path sets that avoid a set that is no cut. Hits each by its best member and goes on until
    /// nothing is left intact: many path sets for one exact solution, and a cut that bounds the cost
    /// from above.
    fn grow(&mut self, mut gone: Vec<u32>, uses: &mut [u32]) -> Result<(), SetError> {
        let safe = vec![false; uses.len()];
        loop {
            let (calls, limit) = (&mut self.calls, self.limit);
            let path = minimal_path_set(self.test, &gone, &safe, calls, limit, self.progress)?;
            for &u in &path {
                uses[u as usize] += 1;
            }
            let rate = |u: u32| f64::from(uses[u as usize]) / self.costs[u as usize];
            let best =
                path.iter().copied().max_by(|&a, &b| rate(a).total_cmp(&rate(b)).then(b.cmp(&a)));
            if let Some(unit) = best {
                gone = joined(&gone, unit);
            }
            self.paths.push(path);
            self.calls += 1;
            self.progress.check()?;
            if self.calls >= self.limit || self.test.is_cut(&gone)? {
                break;
            }
        }
        let cheaper = |search: &Self, set: &[u32]| {
            search.incumbent.as_ref().is_none_or(|best| search.price(set) < search.price(best))
        };
        if self.found.is_empty()
            && self.calls + gone.len() as u64 <= self.limit
            && cheaper(self, &gone)
        {
            let cut = shrink(self.test, &gone, self.progress)?;
            self.calls += gone.len() as u64;
            if cheaper(self, &cut) && self.test.is_cut(&cut)? {
                self.incumbent = Some(cut);
            }
        }
        Ok(())
    }

    fn answer(self) -> Cheapest {
        let mut cuts: Vec<PricedCut> = self
            .found
            .iter()
            .map(|units| PricedCut { cost: self.price(units), units: units.clone() })
            .collect();
        cuts.sort_by(|a, b| {
            let near = (a.cost - b.cost).abs() <= 1e-9 * a.cost.max(1.0);
            let by_cost = if near { std::cmp::Ordering::Equal } else { a.cost.total_cmp(&b.cost) };
            by_cost.then(a.units.len().cmp(&b.units.len())).then_with(|| a.units.cmp(&b.units))
        });
        let all = self.all && cuts.len() <= self.count;
        cuts.truncate(self.count);
        Cheapest { cuts, status: self.status, all, path_sets: self.paths.len(), calls: self.calls }
    }
}
