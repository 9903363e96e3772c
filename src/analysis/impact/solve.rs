//! Sweeps to the fixed point: synchronous iteration of the production map in `L` scenarios at
//! once, both directions under one stop test, over the affected cone only.
//!
//! Losses only grow, so the iteration converges to the least fixed point above the shock (Diem et
//! al. 2022, Methods). Each lane stops on its own; what a lane computes does not depend on the
//! other lanes, so results are the same bytes for any batch size.

use crate::analysis::{Cancelled, Progress};
use crate::model::scenario::StopRule;

use super::limit::{self, Stamps};
use super::rows::{ArrivalScale, Rows};
use super::substitution::{FactorRule, Factors};

/// Most plain sweeps before the exact limit is computed by components.
const PLAIN_SWEEPS: u64 = 20_000;
/// Arrivals evaluated in plain sweeps before that, about.
const PLAIN_WORK: u64 = 1_000_000;

/// Shock of one scenario in one direction: nodes with their loss, ascending, each once.
pub type NodeShock = Vec<(u32, f64)>;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct StopAt {
    /// Rule.
    pub rule: StopRule,
    /// Largest change that counts as none.
    pub tolerance: f64,
    /// Most sweeps; `None`: as many as it takes, by components if plain sweeps are slow.
    pub max_sweeps: Option<u32>,
}

/// How one scenario ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// Sweeps made (the one that changed nothing included).
    pub sweeps: u32,
    /// Largest change of the last sweep.
    pub residual: f64,
    /// True if the last change is within 1e-12 or the exact limit was computed.
    pub converged: bool,
    /// True if the exact limit was computed by components after the plain sweeps.
    pub accelerated: bool,
}

/// One direction of a run.
pub struct Side<'a, const L: usize> {
    /// The map.
    pub rows: &'a Rows,
    /// Share of each arrival that is cut; empty: none.
    pub shut: &'a [f64],
    /// What scales arrivals (replaceability, spare supply).
    pub factors: Factors<'a, L>,
    /// Loss of every node in every lane.
    pub losses: Vec<[f64; L]>,
    shock: Vec<[f64; L]>,
    stamps: Stamps,
    /// Nodes with a shock or a loss in some lane.
    touched: Vec<u32>,
    frontier: Vec<u32>,
    marked: Vec<bool>,
    /// Nodes to look at in every sweep while factors move.
    watched: Vec<u32>,
    updates: Vec<(u32, [f64; L])>,
    spare: Vec<u32>,
}

struct Scale<'a, const L: usize> {
    shut: &'a [f64],
    factors: &'a Factors<'a, L>,
}

impl<const L: usize> ArrivalScale<L> for Scale<'_, L> {
    #[inline(always)]
    fn apply(&self, loss: &mut [f64; L], arrival: usize, supplier: u32) {
        if let Some(&shut) = self.shut.get(arrival) {
            for l in loss.iter_mut() {
                *l = l.max(shut);
            }
        }
        self.factors.apply(loss, supplier);
    }

    #[inline(always)]
    fn settled(&self, group: usize) -> Option<[f64; L]> {
        self.factors.settled(group)
    }

    fn behind(&self, group: usize, losses: &[[f64; L]]) -> Vec<(u32, f64)> {
        self.factors.behind(group, losses)
    }

    fn slope(&self, slope: &mut [f64; L], at: f64, arrival: usize, supplier: u32) {
        if self.shut.get(arrival).is_some_and(|&shut| shut >= at) {
            slope.fill(0.0);
        }
        self.factors.apply(slope, supplier);
    }
}

impl<'a, const L: usize> Side<'a, L> {
    /// Ready for scenarios over these rows.
    pub fn new(rows: &'a Rows, shut: &'a [f64], factor_rule: Option<FactorRule<'a>>) -> Self {
        let n = rows.node_count();
        Self {
            rows,
            shut,
            factors: Factors::new(factor_rule),
            losses: vec![[0.0; L]; n],
            shock: vec![[0.0; L]; n],
            stamps: Stamps { of: vec![0; n], now: 0 },
            touched: Vec::new(),
            frontier: Vec::new(),
            marked: vec![false; n],
            watched: Vec::new(),
            updates: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Starts from the shocks of up to `L` scenarios; what an earlier run left is cleared.
    pub fn start(&mut self, shocks: &[&NodeShock]) {
        for &node in &self.touched {
            self.losses[node as usize] = [0.0; L];
            self.shock[node as usize] = [0.0; L];
            self.stamps.of[node as usize] = 0;
        }
        self.stamps.now = 0;
        self.touched.clear();
        for &node in &self.frontier {
            self.marked[node as usize] = false;
        }
        self.frontier.clear();
        self.watched.clear();
        for (lane, shock) in shocks.iter().enumerate() {
            for &(node, loss) in *shock {
                let v = node as usize;
                if self.shock[v] == [0.0; L] {
                    self.touched.push(node);
                }
                self.shock[v][lane] = loss;
                self.losses[v][lane] = loss;
            }
        }
        for k in 0..self.touched.len() {
            let node = self.touched[k];
            self.mark_dependents(node);
        }
        // Consumers behind a cut lose something although no supplier does.
        if !self.shut.is_empty() {
            for node in 0..self.rows.node_count() as u32 {
                let groups = self.rows.groups(node);
                let mut arrivals = groups.flat_map(|g| self.rows.arrivals(g));
                if arrivals.any(|e| self.shut[e] > 0.0) {
                    self.mark(node);
                }
            }
        }
        self.factors.start(&self.losses, &self.touched);
        for &node in self.factors.watch() {
            self.mark(node);
        }
    }

    /// Nodes that have a shock or a loss in some lane, in no particular order.
    pub fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// When each node's loss last grew.
    pub fn stamps(&self) -> &[u32] {
        &self.stamps.of
    }

    /// Shock of a node.
    pub fn shock(&self, node: u32) -> [f64; L] {
        self.shock[node as usize]
    }

    /// What scales arrivals in the present state.
    pub fn scale(&self) -> impl ArrivalScale<L> + '_ {
        Scale { shut: self.shut, factors: &self.factors }
    }

    fn mark(&mut self, node: u32) {
        if !self.marked[node as usize] {
            self.marked[node as usize] = true;
            self.frontier.push(node);
        }
    }

    fn mark_dependents(&mut self, node: u32) {
        let rows = self.rows;
        for &dependent in rows.dependents(node) {
            self.mark(dependent);
        }
    }

    /// One synchronous sweep; lanes that are not `active` keep their values. Returns the largest
    /// change of each lane.
    fn sweep(&mut self, active: &[bool; L]) -> [f64; L] {
        let mut change = [0.0f64; L];
        let next = std::mem::take(&mut self.spare);
        let mut frontier = std::mem::replace(&mut self.frontier, next);
        if self.factors.moves() {
            // A factor can change the loss of anyone who was ever next to a loss.
            self.watched.extend(frontier.iter().copied());
            self.watched.sort_unstable();
            self.watched.dedup();
            for &node in &frontier {
                self.marked[node as usize] = false;
            }
            frontier.clone_from(&self.watched);
        } else {
            for &node in &frontier {
                self.marked[node as usize] = false;
            }
        }
        let mut updates = std::mem::take(&mut self.updates);
        for &node in &frontier {
            let v = node as usize;
            let old = self.losses[v];
            let scale = Scale { shut: self.shut, factors: &self.factors };
            let mut new = self.rows.node_loss(node, &self.shock[v], &self.losses, &scale);
            let mut moved = false;
            for lane in 0..L {
                // Losses never shrink; rounding must not make them.
                new[lane] = if active[lane] { new[lane].max(old[lane]) } else { old[lane] };
                let step = new[lane] - old[lane];
                moved |= step > 0.0;
                change[lane] = change[lane].max(step);
            }
            if moved {
                updates.push((node, new));
            }
        }
        self.stamps.now += 1;
        for &(node, new) in &updates {
            let v = node as usize;
            self.stamps.of[v] = self.stamps.now;
            if self.losses[v] == [0.0; L] && self.shock[v] == [0.0; L] {
                self.touched.push(node);
            }
            self.losses[v] = new;
        }
        for k in 0..updates.len() {
            self.mark_dependents(updates[k].0);
        }
        self.factors.refresh(&self.losses, &self.touched);
        updates.clear();
        self.updates = updates;
        frontier.clear();
        self.spare = frontier;
        change
    }

    /// Solves one lane to its exact limit.
    fn finish_lane(
        &mut self,
        lane: usize,
        tolerance: f64,
        progress: &Progress,
    ) -> Result<f64, Cancelled> {
        let n = self.rows.node_count();
        let mut losses: Vec<[f64; 1]> = self.losses.iter().map(|l| [l[lane]]).collect();
        let shock: Vec<f64> = self.shock.iter().map(|s| s[lane]).collect();
        let mut residual = 0.0;
        // With moving factors: an outer loop refreshes them (both maps are monotone).
        for _ in 0..10_000 {
            let before = if self.factors.moves() { losses.clone() } else { Vec::new() };
            let factors = self.factors.lane(lane, &losses);
            let scale = Scale::<1> { shut: self.shut, factors: &factors };
            residual = limit::solve(
                self.rows,
                &shock,
                &mut losses,
                &mut self.stamps,
                &scale,
                tolerance,
                progress,
            )?;
            let moved =
                before.iter().zip(&losses).map(|(b, a)| (a[0] - b[0]).abs()).fold(0.0, f64::max);
            if !self.factors.moves() || moved <= tolerance {
                break;
            }
        }
        for v in 0..n {
            if losses[v][0] > 0.0 && self.losses[v] == [0.0; L] && self.shock[v] == [0.0; L] {
                self.touched.push(v as u32);
            }
            self.losses[v][lane] = losses[v][0];
        }
        self.factors.refresh(&self.losses, &self.touched);
        Ok(residual)
    }
}

/// Runs up to `L` scenarios to their end: `sides` holds the directions asked for (one or two),
/// each already started with the scenarios' shocks.
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn run<const L: usize>(
    sides: &mut [Side<'_, L>],
    scenarios: usize,
    stop: StopAt,
    progress: &Progress,
) -> Result<Vec<Ending>, Cancelled> {
    let open = Ending { sweeps: 0, residual: f64::INFINITY, converged: false, accelerated: false };
    let mut endings = vec![open; scenarios];
    let mut active = [false; L];
    active[..scenarios].fill(true);
    // Depends on the graph only, not on what else is in the batch.
    let arrivals = sides.iter().map(|s| s.rows.arrival_count() as u64).max().unwrap_or(0);
    let plain = (PLAIN_WORK / (arrivals + 1)).clamp(2, PLAIN_SWEEPS) as u32;
    let most = stop.max_sweeps.unwrap_or(match stop.rule {
        StopRule::Fixpoint => plain,
        StopRule::Step => u32::MAX,
    });
    let mut sweep = 0;
    while active.contains(&true) && sweep < most {
        progress.check()?;
        sweep += 1;
        let mut change = [0.0f64; L];
        for side in sides.iter_mut() {
            let moved = side.sweep(&active);
            for lane in 0..L {
                change[lane] = change[lane].max(moved[lane]);
            }
        }
        for lane in 0..scenarios {
            if active[lane] {
                endings[lane].sweeps = sweep;
                endings[lane].residual = change[lane];
                if change[lane] <= stop.tolerance {
                    active[lane] = false;
                    endings[lane].converged = change[lane] <= 1e-12;
                }
            }
        }
    }
    if stop.rule == StopRule::Fixpoint && stop.max_sweeps.is_none() {
        for lane in 0..scenarios {
            if active[lane] {
                let mut residual = 0.0f64;
                for side in sides.iter_mut() {
                    residual = residual.max(side.finish_lane(lane, stop.tolerance, progress)?);
                }
                endings[lane].residual = residual;
                endings[lane].converged = residual <= stop.tolerance.max(1e-12);
                endings[lane].accelerated = true;
            }
        }
    }
    Ok(endings)
}
