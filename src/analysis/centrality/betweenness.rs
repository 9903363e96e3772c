//! Betweenness of nodes and edges: exact, or from sampled sources.
//!
//! b(v) = sum over s != v != t of (shortest paths from s to t through v) / (shortest paths from s
//! to t) (Freeman 1977), over ordered pairs, following the direction of flows; ends of a path do
//! not count. On an undirected projection every path counts in both directions. Normalised: divided
//! by (n-1)(n-2) for nodes, n(n-1) for edges, so 1 means that every path passes.
//! Computed by Brandes' accumulation (2001), O(nodes x edges).

use fixedbitset::FixedBitSet;
use rand::SeedableRng;

use super::Scores;
use super::brandes::{Unweighted, Weighted};
use super::parallel::{partial_bytes, sum_over};
use crate::analysis::Progress;
use crate::analysis::structure::StructureError;
use crate::analysis::structure::error::{require, require_nodes};
use crate::analysis::structure::traverse::require_lengths;
use crate::graph::Csr;

/// From which nodes shortest paths are followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sources {
    /// All: exact.
    #[default]
    All,
    /// These; the score is the sum over them (paths *from* these nodes), not scaled up.
    Given(Vec<u32>),
    /// `count` sources drawn without replacement; sums are scaled by n / count, which makes the
    /// estimate unbiased (Brandes and Pich 2007). No error bound: see
    /// [`super::approximate_betweenness`] for one.
    Sampled {
        /// How many, 1 to the number of nodes.
        count: usize,
        /// Seed of the draw.
        seed: u64,
    },
}

/// What to compute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BetweennessOptions {
    /// From which nodes.
    pub sources: Sources,
    /// Divide by the number of pairs.
    pub normalized: bool,
}

/// Betweenness of every node. Weights of the view are lengths.
///
/// # Errors
/// A source that is no node, a sample of 0 or more than all nodes, a length that is not above 0;
/// [`StructureError::Cancelled`].
pub fn betweenness(
    csr: &Csr,
    options: &BetweennessOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let n = csr.node_count() as f64;
    let pairs = (n - 1.0) * (n - 2.0);
    run(csr, options, pairs, Kind::Nodes, progress)
}

/// Betweenness of every edge of the view (see [`Csr::edge`], [`Csr::source`], [`Csr::target`]).
///
/// # Errors
/// As [`betweenness`].
pub fn edge_betweenness(
    csr: &Csr,
    options: &BetweennessOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let n = csr.node_count() as f64;
    run(csr, options, n * (n - 1.0), Kind::Edges, progress)
}

/// Bytes that a run takes beside the view, for `threads` threads.
pub fn betweenness_bytes(csr: &Csr, edges: bool, threads: usize) -> u64 {
    let n = csr.node_count();
    let len = if edges { csr.edge_count() } else { n };
    let workspace = if csr.is_weighted() {
        n * (8 + 8 + 4 + 16)
    } else {
        n * (4 + 4 + 8 + 16) + csr.edge_count() * if edges { 12 } else { 8 }
    };
    let renumbered = if csr.is_weighted() || edges { 0 } else { csr.bytes() + 12 * n };
    partial_bytes(n, len) + (threads * workspace + renumbered) as u64
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nodes,
    Edges,
}

fn run(
    csr: &Csr,
    options: &BetweennessOptions,
    pairs: f64,
    kind: Kind,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let n = csr.node_count();
    require_lengths(csr)?;
    let (sources, mut scale) = match &options.sources {
        Sources::All => (csr.nodes().collect(), 1.0),
        Sources::Given(sources) => {
            require_nodes("sources", sources, n)?;
            (sources.clone(), 1.0)
        }
        Sources::Sampled { count, seed } => {
            require((1..=n).contains(count), "count", count, "1 to the number of nodes")?;
            let mut rng = rand_pcg::Pcg64::seed_from_u64(*seed);
            let drawn = rand::seq::index::sample(&mut rng, n, *count);
            let sources: Vec<u32> = drawn.into_iter().map(|v| v as u32).collect();
            (sources, n as f64 / *count as f64)
        }
    };
    if options.normalized && pairs > 0.0 {
        scale /= pairs;
    }
    let scores = match (kind, csr.is_weighted()) {
        (Kind::Nodes, false) if sources.len() >= MANY_SOURCES && n >= MANY_NODES => {
            let order = search_order(csr);
            let view = csr.renumbered(&order);
            let mut position = vec![0u32; n];
            for (new, &old) in order.iter().enumerate() {
                position[old as usize] = new as u32;
            }
            let sources: Vec<u32> = sources.iter().map(|&s| position[s as usize]).collect();
            let add = |w: &mut Unweighted, &s: &u32, sum: &mut [f64]| {
                w.add_nodes(&view, s, scale, sum);
            };
            sum_over(&sources, n, progress, || Unweighted::new(&view), add)
                .map(|scores| position.iter().map(|&p| scores[p as usize]).collect())
        }
        (Kind::Nodes, false) => sum_over(
            &sources,
            n,
            progress,
            || Unweighted::new(csr),
            |w, &s, sum| {
                w.add_nodes(csr, s, scale, sum);
            },
        ),
        (Kind::Edges, false) => sum_over(
            &sources,
            csr.edge_count(),
            progress,
            || Unweighted::new(csr),
            |w, &s, sum| {
                w.add_edges(csr, s, scale, sum);
            },
        ),
        (Kind::Nodes, true) => sum_over(
            &sources,
            n,
            progress,
            || Weighted::new(n),
            |w, &s, sum| {
                w.add(csr, s, scale, sum, &mut []);
            },
        ),
        (Kind::Edges, true) => sum_over(
            &sources,
            csr.edge_count(),
            progress,
            || Weighted::new(n),
            |w, &s, sum| {
                w.add(csr, s, scale, &mut [], sum);
            },
        ),
    }?;
    Ok(Scores::exact(scores))
}

/// From so many sources on a graph of so many nodes, numbering the nodes anew pays.
const MANY_SOURCES: usize = 128;
const MANY_NODES: usize = 20_000;

/// Nodes in the order of one search from all nodes without suppliers: those that later searches
/// visit together get nearby numbers.
fn search_order(csr: &Csr) -> Vec<u32> {
    let mut order: Vec<u32> = csr.nodes().filter(|&v| csr.in_degree(v) == 0).collect();
    let mut seen = FixedBitSet::with_capacity(csr.node_count());
    order.iter().for_each(|&v| seen.insert(v as usize));
    let mut head = 0;
    for root in csr.nodes() {
        while let Some(&v) = order.get(head) {
            head += 1;
            for &w in csr.consumers(v) {
                if !seen.put(w as usize) {
                    order.push(w);
                }
            }
        }
        // What nothing above supplies starts a search of its own.
        if !seen.put(root as usize) {
            order.push(root);
        }
    }
    order
}
