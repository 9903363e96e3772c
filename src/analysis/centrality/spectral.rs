//! Centralities that are solutions of matrix equations: eigenvector, Katz, HITS, DomiRank.
//!
//! A is the matrix of weights, A[u, v] = weight of the edge u -> v; every weight is a strength.

use rayon::prelude::*;

use super::Scores;
use crate::analysis::Progress;
use crate::analysis::structure::error::{StructureError, require};
use crate::analysis::structure::strongly_connected_components;
use crate::analysis::structure::traverse::require_strengths;
use crate::graph::Csr;

/// When an iteration ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// Largest change of any score in the last step, relative to the largest score.
    pub tolerance: f64,
    /// Most steps.
    pub max_iterations: u32,
}

impl Default for Stop {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 1000 }
    }
}

impl Stop {
    fn check(&self) -> Result<(), StructureError> {
        require(self.tolerance > 0.0, "tolerance", self.tolerance, "above 0")?;
        require(self.max_iterations > 0, "max_iterations", 0, "at least 1")
    }
}

/// Bytes that eigenvector, Katz, HITS or DomiRank take beside the view.
pub fn spectral_bytes(csr: &Csr) -> u64 {
    (csr.node_count() * 24) as u64
}

/// Nodes per task.
const BLOCK: usize = 4096;

/// `out[v] = f(v)`, in parallel; every entry is computed by one task, so threads do not matter.
fn fill(out: &mut [f64], f: impl Fn(u32) -> f64 + Sync) {
    out.par_chunks_mut(BLOCK).enumerate().for_each(|(block, chunk)| {
        for (k, x) in chunk.iter_mut().enumerate() {
            *x = f((block * BLOCK + k) as u32);
        }
    });
}

/// (A' x)[v]: what suppliers pass to v.
fn from_suppliers(csr: &Csr, x: &[f64], v: u32) -> f64 {
    if csr.is_weighted() {
        let arrivals = csr.arrivals(v).zip(csr.suppliers(v));
        arrivals.map(|(k, &u)| csr.arrival_weight(k) * x[u as usize]).sum()
    } else {
        csr.suppliers(v).iter().map(|&u| x[u as usize]).sum()
    }
}

/// (A x)[v]: what consumers pass back to v.
fn from_consumers(csr: &Csr, x: &[f64], v: u32) -> f64 {
    csr.edges_out(v).map(|e| csr.weight(e) * x[csr.target(e) as usize]).sum()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| most.max(x.abs()))
}

fn largest_change(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

fn scale_to_unit_length(x: &mut [f64]) {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length > 0.0 {
        x.iter_mut().for_each(|x| *x /= length);
    }
}

/// The factor at which the weights of a node, seen from one side, add up to `share` or less: the
/// greatest of these sums is a norm of the matrix, so it bounds the spectral radius as well.
fn share_of_greatest(share: f64, csr: &Csr, sum: impl Fn(&Csr, &[f64], u32) -> f64) -> f64 {
    let ones = vec![1.0; csr.node_count()];
    match csr.nodes().map(|v| sum(csr, &ones, v)).fold(0.0, f64::max) {
        greatest if greatest > 0.0 => share / greatest,
        _ => share,
    }
}

/// An upper bound on the spectral radius of A: Collatz and Wielandt's quotient, the greatest
/// `(Bx)[v] / x[v] - 1` of B = A + I for a positive x, improved by some power steps. Valid for every
/// graph.
pub fn spectral_radius_bound(csr: &Csr) -> f64 {
    let n = csr.node_count();
    if n == 0 || csr.edge_count() == 0 {
        return 0.0;
    }
    let mut x = vec![1.0; n];
    let mut next = vec![0.0; n];
    let mut bound = f64::INFINITY;
    for _ in 0..50 {
        fill(&mut next, |v| x[v as usize] + from_suppliers(csr, &x, v));
        bound = next.iter().zip(&x).map(|(b, x)| b / x - 1.0).fold(0.0, f64::max).min(bound);
        let top = largest(&next);
        // Kept away from 0, so that the quotient stays a bound.
        for (x, next) in x.iter_mut().zip(&next) {
            *x = (next / top).max(1e-12);
        }
    }
    bound
}

/// Eigenvector centrality: the non-negative x of length 1 with A' x = lambda x for the greatest
/// lambda (Bonacich 1972); a node is central if central nodes supply it. Power iteration on A' + I,
/// which has the same vectors and does not oscillate.
///
/// Where several strongly connected components share the greatest lambda the vector is not unique;
/// the one found starts from equal scores. `error`: the largest change of the last step.
///
/// # Errors
/// [`StructureError::Undefined`] on a graph without cycles, whose eigenvalues are all 0; bad
/// tolerance; a negative weight; [`StructureError::Cancelled`].
pub fn eigenvector(csr: &Csr, stop: Stop, progress: &Progress) -> Result<Scores, StructureError> {
    stop.check()?;
    require_strengths(csr)?;
    let n = csr.node_count();
    let acyclic = strongly_connected_components(csr).count == n
        && csr.nodes().all(|v| csr.edge(v, v).is_none());
    if acyclic {
        return Err(StructureError::Undefined {
            problem: "eigenvector centrality is not defined on a graph without cycles: every \
                      eigenvalue is 0"
                .into(),
            hint: "use katz or pagerank, or the undirected projection",
        });
    }
    let mut x = vec![1.0; n];
    scale_to_unit_length(&mut x);
    let mut next = vec![0.0; n];
    // Against weights far from 1, the shift is as large as a typical product.
    let shift =
        (csr.weights().iter().sum::<f64>() / csr.edge_count() as f64).max(f64::MIN_POSITIVE);
    let shift = if csr.is_weighted() { shift } else { 1.0 };
    progress.start(u64::from(stop.max_iterations));
    for step in 1..=stop.max_iterations {
        fill(&mut next, |v| shift * x[v as usize] + from_suppliers(csr, &x, v));
        scale_to_unit_length(&mut next);
        let change = largest_change(&next, &x);
        std::mem::swap(&mut x, &mut next);
        progress.advance(1)?;
        if change <= stop.tolerance * largest(&x) || step == stop.max_iterations {
            return Ok(Scores {
                converged: change <= stop.tolerance * largest(&x),
                scores: x,
                iterations: step,
                error: Some(change),
            });
        }
    }
    Ok(Scores::exact(x))
}

/// What Katz centrality counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KatzOptions {
    /// Weight of one more step; `None`: 0.5 / the greatest strength of a node's suppliers, at which
    /// it always converges and no score is above 2 beta, whatever the units and even without cycles
    /// (where every eigenvalue is 0 and long chains of large weights would multiply).
    pub alpha: Option<f64>,
    /// Weight of every node by itself.
    pub beta: f64,
    /// Scale to length 1, as NetworkX does.
    pub normalized: bool,
    /// When to end.
    pub stop: Stop,
}

impl Default for KatzOptions {
    fn default() -> Self {
        Self { alpha: None, beta: 1.0, normalized: true, stop: Stop::default() }
    }
}

/// Katz centrality: x = alpha A' x + beta (Katz 1953): walks that end at a node, each step
/// discounted by alpha. `error`: the largest change of the last step.
///
/// # Errors
/// Alpha that is not above 0, or so large that walks outgrow the discount; bad tolerance; a
/// negative weight; [`StructureError::Cancelled`].
pub fn katz(
    csr: &Csr,
    options: &KatzOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let stop = options.stop;
    stop.check()?;
    require_strengths(csr)?;
    require(options.beta.is_finite(), "beta", options.beta, "a finite number")?;
    let alpha = match options.alpha {
        Some(alpha) => {
            require(alpha > 0.0 && alpha.is_finite(), "alpha", alpha, "above 0")?;
            alpha
        }
        None => share_of_greatest(0.5, csr, from_suppliers),
    };
    let mut result = fixed_point(csr.node_count(), stop, progress, |x, v| {
        alpha * from_suppliers(csr, x, v) + options.beta
    })?
    .ok_or_else(|| {
        StructureError::parameter(
            "alpha",
            alpha,
            "below 1 / spectral radius of the weights: leave it out to have one chosen",
        )
    })?;
    if options.normalized {
        scale_to_unit_length(&mut result.scores);
    }
    Ok(result)
}

/// Iterates x = f(x) from 0; `None` if it grows beyond all bounds.
fn fixed_point(
    n: usize,
    stop: Stop,
    progress: &Progress,
    f: impl Fn(&[f64], u32) -> f64 + Sync,
) -> Result<Option<Scores>, StructureError> {
    let mut x = vec![0.0; n];
    let mut next = vec![0.0; n];
    progress.start(u64::from(stop.max_iterations));
    let (mut steps, mut change, mut first) = (0, 0.0, 0.0);
    while steps < stop.max_iterations {
        fill(&mut next, |v| f(&x, v));
        change = largest_change(&next, &x);
        std::mem::swap(&mut x, &mut next);
        steps += 1;
        progress.advance(1)?;
        if steps == 1 {
            first = change;
        }
        if !change.is_finite() || change > 1e12 * f64::max(first, f64::MIN_POSITIVE) {
            return Ok(None);
        }
        if change <= stop.tolerance * largest(&x) {
            break;
        }
    }
    let converged = change <= stop.tolerance * largest(&x);
    Ok(Some(Scores { scores: x, converged, iterations: steps, error: Some(change) }))
}

/// Hubs and authorities.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// Hub scores: nodes that supply good authorities. Sum 1.
    pub hubs: Scores,
    /// Authority scores: nodes that good hubs supply. Sum 1.
    pub authorities: Scores,
}

/// HITS (Kleinberg 1999): a = A' h, h = A a, each scaled to sum 1. `error`: the largest change of
/// the last step. On a graph without edges all scores are 0.
///
/// # Errors
/// Bad tolerance; a negative weight; [`StructureError::Cancelled`].
pub fn hits(csr: &Csr, stop: Stop, progress: &Progress) -> Result<Hits, StructureError> {
    stop.check()?;
    require_strengths(csr)?;
    let n = csr.node_count();
    let scale_to_one = |x: &mut [f64]| {
        let total: f64 = x.iter().sum();
        if total > 0.0 {
            x.iter_mut().for_each(|x| *x /= total);
        }
    };
    let mut hubs = vec![1.0 / n.max(1) as f64; n];
    let mut next = vec![0.0; n];
    let mut authorities = vec![0.0; n];
    progress.start(u64::from(stop.max_iterations));
    let (mut steps, mut change) = (0, f64::INFINITY);
    while steps < stop.max_iterations {
        fill(&mut authorities, |v| from_suppliers(csr, &hubs, v));
        scale_to_one(&mut authorities);
        fill(&mut next, |v| from_consumers(csr, &authorities, v));
        scale_to_one(&mut next);
        change = largest_change(&next, &hubs);
        std::mem::swap(&mut hubs, &mut next);
        steps += 1;
        progress.advance(1)?;
        if change <= stop.tolerance * largest(&hubs) {
            break;
        }
    }
    let converged = change <= stop.tolerance * largest(&hubs);
    let scores = |scores| Scores { scores, converged, iterations: steps, error: Some(change) };
    Ok(Hits { hubs: scores(hubs), authorities: scores(authorities) })
}

/// What DomiRank weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomiRankOptions {
    /// Competition: how strongly a node is pushed down by the nodes that it dominates. `None`: 0.9
    /// / the greatest strength of a node's consumers, at which the fixed point is always reached.
    pub sigma: Option<f64>,
    /// Score at which a node is fully dominant.
    pub theta: f64,
    /// When to end.
    pub stop: Stop,
}

impl Default for DomiRankOptions {
    fn default() -> Self {
        Self { sigma: None, theta: 1.0, stop: Stop::default() }
    }
}

/// DomiRank (Engsig et al. 2024): the steady state of dG/dt = sigma A (theta - G) - G, that is
/// (sigma A + I) G = sigma theta A 1. A node dominates its consumers: it scores high if they score
/// low, so the top nodes are spread out and their joint loss hurts. `error`: the largest change of
/// the last step.
///
/// # Errors
/// Sigma that is not above 0, or so large that the dynamics have no steady state; bad tolerance; a
/// negative weight; [`StructureError::Cancelled`].
pub fn domirank(
    csr: &Csr,
    options: &DomiRankOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    options.stop.check()?;
    require_strengths(csr)?;
    require(options.theta.is_finite(), "theta", options.theta, "a finite number")?;
    let sigma = match options.sigma {
        Some(sigma) => {
            require(sigma > 0.0 && sigma.is_finite(), "sigma", sigma, "above 0")?;
            sigma
        }
        None => share_of_greatest(0.9, csr, from_consumers),
    };
    // Euler steps of the dynamics, short enough for eigenvalues near the bound: they reach the
    // steady state wherever the dynamics themselves do.
    let step = 1.0 / (1.0 + 0.5 * sigma * spectral_radius_bound(csr));
    fixed_point(csr.node_count(), options.stop, progress, |x, v| {
        let pressed: f64 = csr
            .edges_out(v)
            .map(|e| csr.weight(e) * (options.theta - x[csr.target(e) as usize]))
            .sum();
        x[v as usize] + step * (sigma * pressed - x[v as usize])
    })?
    .ok_or_else(|| {
        StructureError::parameter(
            "sigma",
            sigma,
            "small enough for a steady state: leave it out to have one chosen",
        )
    })
}
