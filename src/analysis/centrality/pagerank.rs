//! PageRank, plain or personalised, weighted or not, with a proven error bound.
//!
//! x = d (P' x + g v) + (1 - d) v, where P is the row-normalised matrix of weights, d the damping,
//! v the preference (uniform unless given) and g the mass of nodes without consumers, which starts
//! again from v (Brin and Page 1998; Langville and Meyer 2005). Sum of the scores: 1. A flow
//! passes rank from supplier to consumer; on the reversed view it is passed upstream.
//!
//! Solved as the linear system (I - d P') y = v, x = y / |y| (Gleich et al., PRPACK), one strongly
//! connected component after another in topological order: a component of one node is solved by
//! one look at its suppliers, others by Gauss-Seidel sweeps. A sweep leaves a residual of at most
//! d times the sum of its changes (L1), and |inverse(I - d P')| <= 1 / (1 - d), which bounds the
//! error of the whole.

use super::Scores;
use crate::analysis::Progress;
use crate::analysis::structure::StructureError;
use crate::analysis::structure::error::require;
use crate::analysis::structure::traverse::require_strengths;
use crate::graph::{Condensation, Csr};

/// What to compute.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRankOptions {
    /// Probability of following a flow rather than starting again, from 0 to below 1.
    pub damping: f64,
    /// Where to start again: weights by node, 0 or more; `None`: everywhere alike.
    pub preference: Option<Vec<f64>>,
    /// Bound on the sum of all errors (L1) to reach.
    pub tolerance: f64,
    /// Most sweeps over one component.
    pub max_iterations: u32,
}

impl Default for PageRankOptions {
    fn default() -> Self {
        Self { damping: 0.85, preference: None, tolerance: 1e-9, max_iterations: 1000 }
    }
}

/// How far ahead rows are touched.
const AHEAD: usize = 16;

/// PageRank of every node; `error` bounds the L1 error.
///
/// # Errors
/// Damping outside [0, 1); a tolerance that is not above 0; a preference of the wrong length, with
/// a negative number or without a positive one; a negative weight; [`StructureError::Cancelled`].
pub fn pagerank(
    csr: &Csr,
    options: &PageRankOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let n = csr.node_count();
    let damping = options.damping;
    require((0.0..1.0).contains(&damping), "damping", damping, "from 0 to below 1")?;
    require(options.tolerance > 0.0, "tolerance", options.tolerance, "above 0")?;
    require(options.max_iterations > 0, "max_iterations", 0, "at least 1")?;
    require_strengths(csr)?;
    let preference = preference(options.preference.as_deref(), n)?;
    if n == 0 {
        return Ok(Scores::exact(Vec::new()));
    }
    progress.start(n as u64);
    let components = Condensation::new(n, |v| csr.consumers(v));
    progress.check()?;
    let mut solver = Solver {
        csr,
        damping,
        pass: pass_rates(csr, damping),
        passed: vec![0.0; n],
        preference,
        // |y| >= |v| = 1 and normalising at most doubles the error.
        tolerance: options.tolerance * (1.0 - damping) / 2.0,
        max_sweeps: options.max_iterations,
        position: vec![0; n],
        residual: 0.0,
        sweeps: 0,
    };
    let mut touched = 0;
    for c in 0..components.len() {
        // Rows are far apart: fetch one of a later node while this one is worked on.
        if let Some(&later) = components.nodes.get(components.starts[c] as usize + AHEAD) {
            touched ^= csr.suppliers(later).first().copied().unwrap_or(0);
        }
        match components.members(c) {
            &[v] => solver.solve_one(v),
            members => {
                solver.solve_component(&components.component, c as u32, members, progress)?;
            }
        }
        if c % 4096 == 0 {
            progress.check()?;
        }
    }
    std::hint::black_box(touched);
    progress.advance(n as u64)?;

    // `passed` holds y times the rate; nodes without consumers hold y itself.
    let mut scores = solver.passed;
    for (y, &rate) in scores.iter_mut().zip(&solver.pass) {
        *y /= if rate > 0.0 { rate } else { 1.0 };
    }
    let total: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|y| *y /= total);
    let error = 2.0 * solver.residual / (1.0 - damping) / total;
    Ok(Scores {
        scores,
        converged: error <= options.tolerance,
        iterations: solver.sweeps,
        error: Some(error),
    })
}

/// Bytes that a run takes beside the view.
pub fn pagerank_bytes(csr: &Csr) -> u64 {
    (csr.node_count() * 56 + csr.edge_count() * if csr.is_weighted() { 12 } else { 4 }) as u64
}

/// The preference, scaled to sum 1.
fn preference(given: Option<&[f64]>, n: usize) -> Result<Vec<f64>, StructureError> {
    let Some(given) = given else { return Ok(vec![1.0 / n as f64; n]) };
    require(
        given.len() == n,
        "preference",
        format!("{} long", given.len()),
        "one number per node",
    )?;
    if let Some(bad) = given.iter().find(|p| !(p.is_finite() && **p >= 0.0)) {
        return Err(StructureError::parameter("preference", bad, "0 or more everywhere"));
    }
    let total: f64 = given.iter().sum();
    require(n == 0 || total > 0.0, "preference", "0 everywhere", "above 0 for at least one node")?;
    Ok(given.iter().map(|p| p / total).collect())
}

/// What a unit of rank passes along a unit of weight; 0 for nodes that pass nothing.
fn pass_rates(csr: &Csr, damping: f64) -> Vec<f64> {
    csr.nodes()
        .map(|v| {
            let strength: f64 = if csr.is_weighted() {
                csr.edges_out(v).map(|e| csr.weight(e)).sum()
            } else {
                f64::from(csr.out_degree(v))
            };
            if strength > 0.0 { damping / strength } else { 0.0 }
        })
        .collect()
}

struct Solver<'a> {
    csr: &'a Csr,
    damping: f64,
    pass: Vec<f64>,
    /// Rank times pass rate (rank itself where the rate is 0: nobody reads that along an edge of
    /// positive weight).
    passed: Vec<f64>,
    preference: Vec<f64>,
    tolerance: f64,
    max_sweeps: u32,
    /// Position of a node inside the component at hand.
    position: Vec<u32>,
    residual: f64,
    sweeps: u32,
}

impl Solver<'_> {
    fn store(&mut self, v: u32, rank: f64) {
        let rate = self.pass[v as usize];
        self.passed[v as usize] = rank * if rate > 0.0 { rate } else { 1.0 };
    }

    fn solve_one(&mut self, v: u32) {
        let csr = self.csr;
        let (mut inflow, mut own) = (self.preference[v as usize], 0.0);
        if csr.is_weighted() {
            for (k, &u) in csr.arrivals(v).zip(csr.suppliers(v)) {
                let w = csr.arrival_weight(k);
                // A weight of 0 passes nothing, whatever the supplier holds.
                if u == v {
                    own = w * self.pass[v as usize];
                } else if w > 0.0 {
                    inflow += w * self.passed[u as usize];
                }
            }
        } else {
            for &u in csr.suppliers(v) {
                if u == v {
                    own = self.pass[v as usize];
                } else {
                    inflow += self.passed[u as usize];
                }
            }
        }
        self.store(v, inflow / (1.0 - own));
    }

    /// Sweeps over one component until its share of the tolerance is met.
    fn solve_component(
        &mut self,
        component: &[u32],
        c: u32,
        members: &[u32],
        progress: &Progress,
    ) -> Result<(), StructureError> {
        /// What a sweep needs of one node, in the order of the sweep.
        struct Row {
            /// What comes from outside the component.
            inflow: f64,
            /// 1 / (1 - share passed to itself).
            own: f64,
            rate: f64,
            end: u32,
        }
        let csr = self.csr;
        for (k, &v) in members.iter().enumerate() {
            self.position[v as usize] = k as u32;
        }
        let mut rows = Vec::with_capacity(members.len());
        let (mut from, mut weight) = (Vec::new(), Vec::new());
        for &v in members {
            let (mut inflow, mut own) = (self.preference[v as usize], 0.0);
            for (k, &u) in csr.arrivals(v).zip(csr.suppliers(v)) {
                let w = csr.arrival_weight(k);
                if u == v {
                    own = w * self.pass[v as usize];
                } else if component[u as usize] != c {
                    inflow += if w > 0.0 { w * self.passed[u as usize] } else { 0.0 };
                } else {
                    from.push(self.position[u as usize]);
                    if csr.is_weighted() {
                        weight.push(w);
                    }
                }
            }
            let rate = self.pass[v as usize];
            rows.push(Row { inflow, own: 1.0 / (1.0 - own), rate, end: from.len() as u32 });
        }
        let share = self.tolerance * members.len() as f64 / csr.node_count() as f64;
        let mut rank = vec![0.0f64; members.len()];
        let mut passed = vec![0.0f64; members.len()];
        let (mut residual, mut sweeps) = (f64::INFINITY, 0);
        while residual > share && sweeps < self.max_sweeps {
            progress.check()?;
            let (mut start, mut change) = (0, 0.0);
            for (k, row) in rows.iter().enumerate() {
                let end = row.end as usize;
                let mut sum = row.inflow;
                if weight.is_empty() {
                    for &u in &from[start..end] {
                        sum += passed[u as usize];
                    }
                } else {
                    for (&u, w) in from[start..end].iter().zip(&weight[start..end]) {
                        sum += w * passed[u as usize];
                    }
                }
                start = end;
                let next = sum * row.own;
                change += (next - rank[k]).abs();
                rank[k] = next;
                passed[k] = next * row.rate;
            }
            // `rate * weight` of a node adds up to the damping at most, so the changes that later
            // nodes did not see yet are at most this.
            residual = change * self.damping;
            sweeps += 1;
        }
        self.residual += residual;
        self.sweeps = self.sweeps.max(sweeps);
        for (&v, &rank) in members.iter().zip(&rank) {
            self.store(v, rank);
        }
        Ok(())
    }
}
