//! Attack curves: what is left of the network while nodes are taken away one after another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::SeedableRng;
use rand::seq::SliceRandom;

use crate::analysis::Progress;
use crate::analysis::structure::error::{StructureError, require, require_nodes};
use crate::analysis::structure::strongly_connected_components;
use crate::graph::Csr;

/// In which order nodes are lost.
#[derive(Debug, Clone, PartialEq)]
pub enum AttackOrder {
    /// As given; nodes not named stay.
    Given(Vec<u32>),
    /// By descending score (one per node), ties by index.
    Scores(Vec<f64>),
    /// Always the node with most links left (in + out), ties by index.
    Degree,
    /// At random.
    Random {
        /// Seed of the order.
        seed: u64,
    },
}

/// What is left after each loss.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackCurve {
    /// The order used.
    pub order: Vec<u32>,
    /// `largest[i]`: nodes of the largest weakly connected component after i losses (one entry
    /// more than `order`).
    pub largest: Vec<u32>,
    /// Robustness R: mean over i = 1.. of `largest[i]` / n (Schneider et al. 2011; between 1 / n
    /// and 1/2 for an order of all nodes).
    pub robustness: f64,
    /// (losses, nodes of the largest strongly connected component) at the points asked for.
    pub strong: Vec<(u32, u32)>,
}

/// Follows an attack. Weak components come from adding the nodes back in reverse order to a
/// union-find (Newman and Ziff 2000): O(edges) but for a constant. `strong_points`: at how many
/// evenly spaced points the largest strongly connected component is measured too, O(edges) each.
///
/// # Errors
/// A node named twice or absent, scores of the wrong length or not numbers;
/// [`StructureError::Cancelled`].
pub fn attack_curve(
    csr: &Csr,
    order: &AttackOrder,
    strong_points: u32,
    progress: &Progress,
) -> Result<AttackCurve, StructureError> {
    let n = csr.node_count();
    let order = resolve(csr, order)?;
    progress.start(u64::from(strong_points) + 1);
    let mut lost_at = vec![u32::MAX; n];
    for (i, &v) in order.iter().enumerate() {
        require(lost_at[v as usize] == u32::MAX, "order", v, "without repetitions")?;
        lost_at[v as usize] = i as u32;
    }

    let mut sets = UnionFind::new(n);
    let mut present = vec![false; n];
    let mut add = |v: u32, present: &mut Vec<bool>| {
        present[v as usize] = true;
        sets.most = sets.most.max(1);
        for &w in csr.consumers(v).iter().chain(csr.suppliers(v)) {
            if present[w as usize] {
                sets.join(v, w);
            }
        }
        sets.most
    };
    let mut most = 0;
    for v in csr.nodes().filter(|&v| lost_at[v as usize] == u32::MAX) {
        most = add(v, &mut present);
    }
    let mut largest = vec![most];
    for &v in order.iter().rev() {
        largest.push(add(v, &mut present));
    }
    largest.reverse();
    progress.advance(1)?;

    let mut strong = Vec::new();
    for point in 0..strong_points {
        let losses = match strong_points {
            1 => 0,
            _ => (order.len() as u64 * u64::from(point) / u64::from(strong_points - 1)) as u32,
        };
        strong.push((losses, largest_strong(csr, |v| lost_at[v as usize] >= losses)));
        progress.advance(1)?;
    }
    let total: f64 = largest[1..].iter().map(|&s| f64::from(s)).sum();
    let robustness = if order.is_empty() { 1.0 } else { total / (order.len() * n) as f64 };
    Ok(AttackCurve { order, largest, robustness, strong })
}

/// Bytes that a run takes beside the view; `strong`: with strongly connected components.
pub fn attack_bytes(csr: &Csr, strong: bool) -> u64 {
    let rest = if strong { 2 * csr.bytes() + 8 * csr.edge_count() } else { 0 };
    (csr.node_count() * 32 + csr.edge_count() * 8 + rest) as u64
}

fn resolve(csr: &Csr, order: &AttackOrder) -> Result<Vec<u32>, StructureError> {
    let n = csr.node_count();
    match order {
        AttackOrder::Given(order) => {
            require_nodes("order", order, n)?;
            Ok(order.clone())
        }
        AttackOrder::Scores(scores) => {
            let found = format!("{} long", scores.len());
            require(scores.len() == n, "scores", found, "one number per node")?;
            require(!scores.iter().any(|s| s.is_nan()), "scores", "NaN", "numbers")?;
            let mut order: Vec<u32> = csr.nodes().collect();
            order.sort_by(|&a, &b| {
                scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b))
            });
            Ok(order)
        }
        AttackOrder::Degree => Ok(by_remaining_degree(csr)),
        AttackOrder::Random { seed } => {
            let mut order: Vec<u32> = csr.nodes().collect();
            order.shuffle(&mut rand_pcg::Pcg64::seed_from_u64(*seed));
            Ok(order)
        }
    }
}

fn by_remaining_degree(csr: &Csr) -> Vec<u32> {
    let mut degree: Vec<u32> = csr.nodes().map(|v| csr.in_degree(v) + csr.out_degree(v)).collect();
    let mut heap: BinaryHeap<(u32, Reverse<u32>)> =
        csr.nodes().map(|v| (degree[v as usize], Reverse(v))).collect();
    let mut lost = vec![false; csr.node_count()];
    let mut order = Vec::with_capacity(csr.node_count());
    while let Some((d, Reverse(v))) = heap.pop() {
        if lost[v as usize] || d != degree[v as usize] {
            continue;
        }
        lost[v as usize] = true;
        order.push(v);
        for &w in csr.consumers(v).iter().chain(csr.suppliers(v)) {
            if !lost[w as usize] {
                degree[w as usize] -= 1;
                heap.push((degree[w as usize], Reverse(w)));
            }
        }
    }
    order
}

/// Nodes of the largest strongly connected component among the nodes kept.
fn largest_strong(csr: &Csr, keep: impl Fn(u32) -> bool) -> u32 {
    let mut number = vec![u32::MAX; csr.node_count()];
    let mut count = 0;
    for v in csr.nodes().filter(|&v| keep(v)) {
        number[v as usize] = count;
        count += 1;
    }
    let mut pairs = Vec::new();
    for v in csr.nodes().filter(|&v| keep(v)) {
        for &w in csr.consumers(v).iter().filter(|&&w| keep(w)) {
            pairs.push((number[v as usize], number[w as usize]));
        }
    }
    let components = strongly_connected_components(&Csr::from_pairs(count as usize, &pairs));
    components.sizes().into_iter().max().unwrap_or(0)
}

/// Disjoint sets that know their sizes.
struct UnionFind {
    parent: Vec<u32>,
    size: Vec<u32>,
    most: u32,
}

impl UnionFind {
    fn new(n: usize) -> Self {
        Self { parent: (0..n as u32).collect(), size: vec![1; n], most: 0 }
    }

    fn root(&mut self, mut v: u32) -> u32 {
        while self.parent[v as usize] != v {
            let up = self.parent[self.parent[v as usize] as usize];
            self.parent[v as usize] = up;
            v = up;
        }
        v
    }

    fn join(&mut self, a: u32, b: u32) {
        let (mut a, mut b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        if self.size[a as usize] < self.size[b as usize] {
            std::mem::swap(&mut a, &mut b);
        }
        self.parent[b as usize] = a;
        self.size[a as usize] += self.size[b as usize];
        self.most = self.most.max(self.size[a as usize]);
    }
}
