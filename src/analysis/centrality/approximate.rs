//! Betweenness of every node within epsilon, with probability 1 - delta, on directed graphs.
//!
//! A sample is an ordered pair (s, t) drawn uniformly and one of its shortest paths drawn
//! uniformly (Riondato and Kornaropoulos 2016); it hits the inner nodes of the path. The share of
//! samples that hit v estimates p(v) = b(v) / (n (n-1)) without bias. The path is found by a
//! balanced bidirectional breadth-first search (Borassi and Natale 2016), which needs nothing of
//! the graph but both directions of its edges.
//!
//! Stopping: after r samples let q = hits / r. By the Chernoff bound in its relative-entropy form
//! P(KL(q, p) >= x, q on one side of p) <= exp(-r x), so with x = ln(2 c k / delta) / r all of the
//! c nodes that can have betweenness at all are within their intervals at each of the k moments
//! at which the rule is looked at, with probability 1 - delta (union bound over nodes, sides and
//! moments). The run stops at the first moment at which every interval is within epsilon. Since KL
//! is at least twice the square of the difference (Pinsker), it stops at the latest at
//! r = ln(2 c k / delta) / (2 epsilon^2); where all betweenness is small it needs about
//! ln(2 c k / delta) / epsilon. Nothing is assumed about diameters, directions or connectivity.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

use super::Scores;
use super::parallel::Pool;
use crate::analysis::Progress;
use crate::analysis::structure::StructureError;
use crate::analysis::structure::error::require;
use crate::graph::Csr;

/// What to guarantee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApproximateOptions {
    /// Greatest error of any node's normalised betweenness, between 0 and 1.
    pub epsilon: f64,
    /// Probability with which some node may exceed it, between 0 and 1.
    pub delta: f64,
    /// Seed: the same seed gives the same scores for any number of threads.
    pub seed: u64,
    /// Divide by (n-1)(n-2) (epsilon is always on this scale).
    pub normalized: bool,
}

impl Default for ApproximateOptions {
    fn default() -> Self {
        Self { epsilon: 0.01, delta: 0.1, seed: 1, normalized: true }
    }
}

/// Estimates and what they are worth.
#[derive(Debug, Clone, PartialEq)]
pub struct ApproximateBetweenness {
    /// Estimates; `error` is the bound that holds with probability 1 - delta, at most epsilon
    /// (in the units of the scores).
    pub scores: Scores,
    /// Paths sampled.
    pub samples: u64,
    /// Samples that would have been needed without looking at the data.
    pub most_samples: u64,
}

/// Moments at which the rule is looked at: each has this many times the samples of the one before.
const GROWTH: f64 = 1.3;
/// Samples that one task draws.
const BATCH: u64 = 64;

/// Estimates the betweenness of every node of an unweighted view.
///
/// # Errors
/// Epsilon or delta outside (0, 1); a weighted view; [`StructureError::Cancelled`].
pub fn approximate_betweenness(
    csr: &Csr,
    options: &ApproximateOptions,
    progress: &Progress,
) -> Result<ApproximateBetweenness, StructureError> {
    let open = |x: f64| x > 0.0 && x < 1.0;
    require(open(options.epsilon), "epsilon", options.epsilon, "between 0 and 1, both excluded")?;
    require(open(options.delta), "delta", options.delta, "between 0 and 1, both excluded")?;
    require(!csr.is_weighted(), "weight", "a length", "none: paths are sampled by their steps")?;
    let n = csr.node_count();
    // Only nodes with suppliers and consumers can lie inside a path; the others score exactly 0.
    let inner = csr.nodes().filter(|&v| csr.in_degree(v) > 0 && csr.out_degree(v) > 0).count();
    if n < 3 || inner == 0 {
        return Ok(ApproximateBetweenness {
            scores: Scores::exact(vec![0.0; n]),
            samples: 0,
            most_samples: 0,
        });
    }
    // b / ((n-1)(n-2)) = p n / (n-2).
    let scale = n as f64 / (n as f64 - 2.0);
    let epsilon = options.epsilon / scale;
    let moments = moments(epsilon, options.delta, inner);
    let confidence = confidence(inner, moments.len(), options.delta);
    let most_samples = moments.last().copied().unwrap_or(0);
    progress.start(most_samples);

    let pool = Pool::new();
    let mut hits = vec![0u32; n];
    let mut samples = 0;
    let mut bound = 1.0;
    for until in moments {
        let batches: Vec<u64> = (samples..until).step_by(BATCH as usize).collect();
        let found = batches
            .par_iter()
            .map(|&first| {
                progress.check()?;
                let mut paths = Vec::new();
                pool.with(
                    || PathSampler::new(n),
                    |sampler| {
                        for sample in first..(first + BATCH).min(until) {
                            let mut rng = sample_rng(options.seed, sample);
                            sampler.draw(csr, &mut rng, &mut paths);
                        }
                    },
                );
                progress.advance(BATCH)?;
                Ok(paths)
            })
            .collect::<Result<Vec<Vec<u32>>, StructureError>>()?;
        for v in found.into_iter().flatten() {
            hits[v as usize] += 1;
        }
        samples = until;
        bound = error_bound(&hits, samples, confidence);
        if bound <= epsilon {
            break;
        }
    }
    let unit = if options.normalized { scale } else { n as f64 * (n as f64 - 1.0) };
    let scores = hits.iter().map(|&h| f64::from(h) / samples as f64 * unit).collect();
    let mut scores = Scores::exact(scores);
    scores.error = Some(bound * unit);
    Ok(ApproximateBetweenness { scores, samples, most_samples })
}

/// Bytes that a run takes beside the view, for `threads` threads.
pub fn approximate_betweenness_bytes(csr: &Csr, threads: usize) -> u64 {
    (csr.node_count() * (4 + 8 + threads * 40)) as u64
}

/// A generator of its own for each sample, so that threads do not matter.
fn sample_rng(seed: u64, sample: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(sample))
}

/// ln(2 nodes moments / delta).
fn confidence(nodes: usize, moments: usize, delta: f64) -> f64 {
    (2.0 * nodes as f64 * moments as f64 / delta).ln()
}

/// Sample counts at which the stopping rule is looked at, fixed before the first sample.
fn moments(epsilon: f64, delta: f64, nodes: usize) -> Vec<u64> {
    // The number of moments is in their own bound; it only grows, so this settles at once.
    let mut count = 1;
    loop {
        let confidence = confidence(nodes, count, delta);
        let first = confidence / epsilon;
        let last = confidence / (2.0 * epsilon * epsilon);
        let needed = ((last / first).ln() / GROWTH.ln()).max(0.0).ceil() as usize + 1;
        if needed <= count {
            let step = |i: usize| (first * GROWTH.powi(i as i32)).min(last).ceil() as u64;
            let mut all: Vec<u64> = (0..count).map(step).collect();
            if let Some(end) = all.last_mut() {
                *end = last.ceil() as u64;
            }
            return all;
        }
        count = needed;
    }
}

/// Greatest half-width of the nodes' confidence intervals.
fn error_bound(hits: &[u32], samples: u64, confidence: f64) -> f64 {
    let mut distinct: Vec<u32> = hits.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let limit = confidence / samples as f64;
    distinct
        .into_iter()
        .map(|h| half_width(f64::from(h) / samples as f64, limit))
        .fold(0.0, f64::max)
}

/// Greatest |q - p| with KL(q, p) <= limit.
fn half_width(q: f64, limit: f64) -> f64 {
    let side = |reach: f64, sign: f64| {
        let (mut low, mut high) = (0.0, reach);
        if divergence(q, q + sign * reach) <= limit {
            return reach;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if divergence(q, q + sign * middle) <= limit { low = middle } else { high = middle }
        }
        high
    };
    side(1.0 - q, 1.0).max(side(q, -1.0))
}

/// Relative entropy of two coins.
fn divergence(q: f64, p: f64) -> f64 {
    let part = |a: f64, b: f64| {
        if a <= 0.0 {
            0.0
        } else if b <= 0.0 {
            f64::INFINITY
        } else {
            a * (a / b).ln()
        }
    };
    part(q, p) + part(1.0 - q, 1.0 - p)
}

const UNSEEN: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Mark {
    paths: f64,
    distance: u32,
}

/// One of the two searches.
#[derive(Debug)]
struct Side {
    mark: Vec<Mark>,
    order: Vec<u32>,
    /// Where the outermost level starts in `order`.
    level: usize,
    distance: u32,
    /// Edges that leave the outermost level: the cost of the next step.
    work: u64,
}

impl Side {
    fn new(n: usize) -> Self {
        let mark = vec![Mark { paths: 0.0, distance: UNSEEN }; n];
        Self { mark, order: Vec::new(), level: 0, distance: 0, work: 0 }
    }

    fn start(&mut self, node: u32, work: u32) {
        for &v in &self.order {
            self.mark[v as usize].distance = UNSEEN;
        }
        self.order.clear();
        self.order.push(node);
        self.mark[node as usize] = Mark { paths: 1.0, distance: 0 };
        (self.level, self.distance, self.work) = (0, 0, u64::from(work));
    }

    /// One level further; edges into the `other` search go to `meetings` as (own, other) ends.
    fn grow<'a>(
        &mut self,
        next: impl Fn(u32) -> &'a [u32],
        other: &Self,
        meetings: &mut Vec<(u32, u32)>,
    ) {
        let end = self.order.len();
        let distance = self.distance + 1;
        self.work = 0;
        for position in self.level..end {
            let v = self.order[position];
            let paths = self.mark[v as usize].paths;
            for &w in next(v) {
                if other.mark[w as usize].distance != UNSEEN {
                    meetings.push((v, w));
                }
                let mark = &mut self.mark[w as usize];
                if mark.distance == UNSEEN {
                    *mark = Mark { paths, distance };
                    self.order.push(w);
                    self.work += next(w).len() as u64;
                } else if mark.distance == distance {
                    mark.paths += paths;
                }
            }
        }
        self.level = end;
        self.distance = distance;
    }

    /// Walks from `node` back to the start of this search along a uniformly drawn shortest path;
    /// adds the nodes passed, the start excluded.
    fn walk<'a>(
        &self,
        mut node: u32,
        back: impl Fn(u32) -> &'a [u32],
        rng: &mut Pcg64Mcg,
        passed: &mut Vec<u32>,
    ) {
        loop {
            let Mark { paths, distance } = self.mark[node as usize];
            if distance == 0 {
                return;
            }
            passed.push(node);
            let mut left = rng.random::<f64>() * paths;
            let mut chosen = node;
            for &u in back(node) {
                let mark = self.mark[u as usize];
                if mark.distance == distance - 1 {
                    chosen = u;
                    left -= mark.paths;
                    if left < 0.0 {
                        break;
                    }
                }
            }
            node = chosen;
        }
    }
}

/// Draws shortest paths between random pairs.
#[derive(Debug)]
struct PathSampler {
    forward: Side,
    backward: Side,
    meetings: Vec<(u32, u32)>,
}

impl PathSampler {
    fn new(n: usize) -> Self {
        Self { forward: Side::new(n), backward: Side::new(n), meetings: Vec::new() }
    }

    /// Draws a pair and one of its shortest paths; adds the inner nodes of the path to `inner`
    /// (none if there is no path).
    fn draw(&mut self, csr: &Csr, rng: &mut Pcg64Mcg, inner: &mut Vec<u32>) {
        let n = csr.node_count() as u32;
        let s = rng.random_range(0..n);
        let mut t = rng.random_range(0..n - 1);
        t += u32::from(t >= s);
        let (forward, backward) = (&mut self.forward, &mut self.backward);
        forward.start(s, csr.out_degree(s));
        backward.start(t, csr.in_degree(t));
        self.meetings.clear();
        // The first level that meets the other search holds all shortest paths: every one crosses
        // exactly one of its meeting edges.
        let mut ahead = true;
        while self.meetings.is_empty() {
            if forward.work == 0 || backward.work == 0 {
                return;
            }
            ahead = forward.work <= backward.work;
            if ahead {
                forward.grow(|v| csr.consumers(v), backward, &mut self.meetings);
            } else {
                backward.grow(|v| csr.suppliers(v), forward, &mut self.meetings);
            }
        }
        let (own, other) = if ahead { (forward, backward) } else { (backward, forward) };
        let weight =
            |&(v, w): &(u32, u32)| own.mark[v as usize].paths * other.mark[w as usize].paths;
        let total: f64 = self.meetings.iter().map(weight).sum();
        let mut left = rng.random::<f64>() * total;
        let mut chosen = self.meetings[self.meetings.len() - 1];
        for meeting in &self.meetings {
            left -= weight(meeting);
            if left < 0.0 {
                chosen = *meeting;
                break;
            }
        }
        let (from, to) = if ahead { chosen } else { (chosen.1, chosen.0) };
        self.forward.walk(from, |v| csr.suppliers(v), rng, inner);
        self.backward.walk(to, |v| csr.consumers(v), rng, inner);
    }
}
