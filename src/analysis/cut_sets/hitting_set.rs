//! The cheapest set of units that hits every given set, exactly: branch and bound.
//!
//! Bounds come from dual ascent (a feasible dual of the covering program, so a true lower bound);
//! units that hit the same sets as a cheaper one are left out. Sets that must not be contained
//! whole (cuts reported before) make the next best answers.

use super::SetError;
use super::oracle::subset;
use crate::analysis::Progress;

/// Which units to choose from, what to hit, what to avoid.
#[derive(Debug, Clone)]
pub struct HittingSet<'a> {
    /// Cost of each unit, positive; infinite for one that must not be chosen.
    pub costs: &'a [f64],
    /// Ascending sets of which at least one member must be chosen.
    pub hit: &'a [Vec<u32>],
    /// Ascending sets of which at least one member must not be chosen.
    pub avoid: &'a [Vec<u32>],
}

/// A choice of units.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Ascending units.
    pub units: Vec<u32>,
    /// Sum of their costs.
    pub cost: f64,
    /// No choice costs less than this.
    pub lower_bound: f64,
}

struct Solver<'a> {
    costs: &'a [f64],
    /// Sets to hit over the units that are left, as positions in `members`.
    hit: Vec<Vec<u32>>,
    /// Sets that each unit hits.
    hits: Vec<Vec<u32>>,
    avoid: &'a [Vec<u32>],
    avoid_of: Vec<Vec<u32>>,
    chosen: Vec<bool>,
    barred: Vec<u32>,
    covered: Vec<u32>,
    cost: f64,
    best: Option<Vec<u32>>,
    best_cost: f64,
    nodes: u64,
    limit: u64,
    progress: &'a Progress,
    out_of_budget: bool,
    open_bound: f64,
}

/// Slack for sums of costs in another order.
fn slack(cost: f64) -> f64 {
    if cost.is_finite() { 1e-9 * cost.abs().max(1.0) } else { 0.0 }
}

/// Sum of the costs of some elements (of none: 0, where the sum of an iterator is -0).
fn cost_of(costs: &[f64], units: &[u32]) -> f64 {
    units.iter().fold(0.0, |sum, &u| sum + costs[u as usize])
}

impl HittingSet<'_> {
    /// Solves it; `None` if nothing hits all sets. With fewer than the needed `nodes` of the search
    /// tree the answer is the best found, and its lower bound says how far off it may be.
    ///
    /// # Errors
    /// Cancelled.
    pub fn solve(&self, nodes: u64, progress: &Progress) -> Result<Option<Hit>, SetError> {
        let n = self.costs.len();
        // Only minimal sets matter.
        let mut order: Vec<&Vec<u32>> = self.hit.iter().collect();
        order.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        order.dedup();
        let mut kept: Vec<&Vec<u32>> = Vec::new();
        for set in order {
            if !kept.iter().any(|smaller| subset(smaller, set)) {
                kept.push(set);
            }
        }
        let mut hits: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (s, set) in kept.iter().enumerate() {
            for &u in set.iter() {
                hits[u as usize].push(s as u32);
            }
        }
        let mut avoid_of: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (a, set) in self.avoid.iter().enumerate() {
            for &u in set {
                avoid_of[u as usize].push(a as u32);
            }
        }
        // A unit is dominated by one that hits the same sets and more, costs no more and is in no
        // set to avoid.
        let usable = |u: usize| !hits[u].is_empty() && self.costs[u].is_finite();
        let mut units: Vec<u32> = (0..n as u32).filter(|&u| usable(u as usize)).collect();
        let mut cheapest: rustc_hash::FxHashMap<&[u32], u32> = rustc_hash::FxHashMap::default();
        for &u in &units {
            if avoid_of[u as usize].is_empty() {
                cheapest
                    .entry(&hits[u as usize])
                    .and_modify(|best| {
                        if self.costs[u as usize] < self.costs[*best as usize] {
                            *best = u;
                        }
                    })
                    .or_insert(u);
            }
        }
        units.retain(|&u| match cheapest.get(hits[u as usize].as_slice()) {
            Some(&best) => best == u || self.costs[u as usize] < self.costs[best as usize],
            None => true,
        });
        // Whoever hits all that u hits is among the members of u's smallest set.
        let left: Vec<bool> = {
            let mut left = vec![false; n];
            for &u in &units {
                left[u as usize] = avoid_of[u as usize].is_empty();
            }
            left
        };
        units.retain(|&u| {
            let mine = &hits[u as usize];
            let smallest = mine.iter().map(|&s| kept[s as usize]).min_by_key(|set| set.len());
            !smallest.into_iter().flatten().any(|&v| {
                v != u
                    && left[v as usize]
                    && self.costs[v as usize] <= self.costs[u as usize]
                    && hits[v as usize].len() > mine.len()
                    && subset(mine, &hits[v as usize])
            })
        });
        let mut hit: Vec<Vec<u32>> = vec![Vec::new(); kept.len()];
        for &u in &units {
            for &s in &hits[u as usize] {
                hit[s as usize].push(u);
            }
        }
        if hit.iter().any(Vec::is_empty) {
            return Ok(None);
        }
        for set in &mut hit {
            set.sort_by(|&a, &b| {
                self.costs[a as usize].total_cmp(&self.costs[b as usize]).then(a.cmp(&b))
            });
        }
        let mut solver = Solver {
            costs: self.costs,
            covered: vec![0; hit.len()],
            hit,
            hits,
            avoid: self.avoid,
            avoid_of,
            chosen: vec![false; n],
            barred: vec![0; n],
            cost: 0.0,
            best: None,
            best_cost: f64::INFINITY,
            nodes: 0,
            limit: nodes,
            progress,
            out_of_budget: false,
            open_bound: f64::INFINITY,
        };
        solver.greedy();
        solver.search()?;
        let Some(mut units) = solver.best else { return Ok(None) };
        units.sort_unstable();
        let cost = cost_of(self.costs, &units);
        let lower_bound = if solver.out_of_budget { solver.open_bound.min(cost) } else { cost };
        Ok(Some(Hit { units, cost, lower_bound }))
    }
}

impl Solver<'_> {
    /// True if choosing `u` would complete a set to avoid.
    fn completes(&self, u: u32) -> bool {
        self.avoid_of[u as usize]
            .iter()
            .any(|&a| self.avoid[a as usize].iter().all(|&v| v == u || self.chosen[v as usize]))
    }

    /// A first answer: always the unit that hits most per cost.
    fn greedy(&mut self) {
        let mut taken = Vec::new();
        loop {
            let open = |s: &u32| self.covered[*s as usize] == 0;
            let Some(first) = (0..self.hit.len()).find(|&s| self.covered[s] == 0) else { break };
            let score = |&u: &u32| {
                let count = self.hits[u as usize].iter().filter(|s| open(s)).count();
                count as f64 / self.costs[u as usize]
            };
            let choice = self.hit[first]
                .iter()
                .copied()
                .filter(|&u| !self.completes(u))
                .max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)));
            let Some(u) = choice else { break };
            self.choose(u);
            taken.push(u);
        }
        self.record();
        for u in taken.into_iter().rev() {
            self.release(u);
        }
    }

    fn record(&mut self) {
        if self.covered.iter().all(|&c| c > 0) && self.cost < self.best_cost - slack(self.cost) {
            // Units that later ones made superfluous are dropped.
            let mut units: Vec<u32> =
                (0..self.chosen.len() as u32).filter(|&u| self.chosen[u as usize]).collect();
            let mut covered = self.covered.clone();
            let mut by_cost = units.clone();
            by_cost.sort_by(|&a, &b| {
                self.costs[b as usize].total_cmp(&self.costs[a as usize]).then(b.cmp(&a))
            });
            for u in by_cost {
                if self.hits[u as usize].iter().all(|&s| covered[s as usize] > 1) {
                    for &s in &self.hits[u as usize] {
                        covered[s as usize] -= 1;
                    }
                    units.retain(|&v| v != u);
                }
            }
            self.best_cost = cost_of(self.costs, &units);
            self.best = Some(units);
        }
    }

    fn choose(&mut self, u: u32) {
        self.chosen[u as usize] = true;
        self.cost += self.costs[u as usize];
        for &s in &self.hits[u as usize] {
            self.covered[s as usize] += 1;
        }
    }

    fn release(&mut self, u: u32) {
        self.chosen[u as usize] = false;
        self.cost -= self.costs[u as usize];
        for &s in &self.hits[u as usize] {
            self.covered[s as usize] -= 1;
        }
    }

    fn open(&self, u: u32) -> bool {
        self.barred[u as usize] == 0 && !self.chosen[u as usize] && !self.completes(u)
    }

    /// Dual ascent: raise the price of each open set until a member is paid for. The sum of prices
    /// bounds the cost of hitting all open sets from below. Also the open set with fewest members.
    fn bound(&self, residual: &mut [f64]) -> Option<(f64, usize)> {
        let mut sets: Vec<(usize, usize)> = (0..self.hit.len())
            .filter(|&s| self.covered[s] == 0)
            .map(|s| (self.hit[s].iter().filter(|&&u| self.open(u)).count(), s))
            .collect();
        sets.sort_unstable();
        let &(fewest, branch) = sets.first()?;
        if fewest == 0 {
            return Some((f64::INFINITY, branch));
        }
        let mut total = 0.0;
        for &(_, s) in &sets {
            let raise = self.hit[s]
                .iter()
                .filter(|&&u| self.open(u))
                .map(|&u| residual[u as usize])
                .fold(f64::INFINITY, f64::min);
            if raise > 0.0 {
                total += raise;
                for &u in &self.hit[s] {
                    residual[u as usize] -= raise;
                }
            }
        }
        Some((total, branch))
    }

    fn search(&mut self) -> Result<(), SetError> {
        self.nodes += 1;
        if self.nodes & 0x3FF == 0 {
            self.progress.check()?;
        }
        let mut residual = self.costs.to_vec();
        let Some((bound, branch)) = self.bound(&mut residual) else {
            self.record();
            return Ok(());
        };
        if self.cost + bound >= self.best_cost - slack(self.best_cost) {
            return Ok(());
        }
        if self.nodes > self.limit {
            self.out_of_budget = true;
            self.open_bound = self.open_bound.min(self.cost + bound);
            return Ok(());
        }
        // Reduced costs: a unit that alone lifts the bound over the best is out in this subtree.
        let room = self.best_cost - slack(self.best_cost) - self.cost - bound;
        let mut members: Vec<u32> =
            self.hit[branch].iter().copied().filter(|&u| self.open(u)).collect();
        members.sort_by(|&a, &b| {
            let rate = |u: u32| {
                let count = self.hits[u as usize]
                    .iter()
                    .filter(|&&s| self.covered[s as usize] == 0)
                    .count();
                count as f64 / self.costs[u as usize]
            };
            rate(b).total_cmp(&rate(a)).then(a.cmp(&b))
        });
        let mut barred = Vec::new();
        for u in members {
            if residual[u as usize] < room {
                self.choose(u);
                self.search()?;
                self.release(u);
            }
            self.barred[u as usize] += 1;
            barred.push(u);
        }
        for u in barred {
            self.barred[u as usize] -= 1;
        }
        Ok(())
    }
}
