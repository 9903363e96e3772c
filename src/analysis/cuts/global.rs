//! Global minimum cut of an undirected graph.
//!
//! Stoer and Wagner's maximum adjacency order, with the contraction of every edge that one order
//! certifies (Nagamochi, Ono and Ibaraki, "Implementing an efficient minimum capacity cut
//! algorithm", Mathematical Programming 67 (1994)): an edge scanned when its far end is attached
//! by at least the best cut so far joins two nodes that no better cut separates.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CutError, Progress};

/// An edge of an undirected graph: its ends and weight.
pub type UndirectedEdge = (u32, u32, u64);

/// A cut of an undirected graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndirectedCut {
    /// Weight.
    pub weight: u64,
    /// One side: the one without node 0, ascending.
    pub side: Vec<u32>,
}

/// Lightest way to split a graph of `n` nodes in two; `None` for fewer than two nodes. Weight 0:
/// it is in parts already. Self-loops and edges of weight 0 do not matter; equal edges add up.
///
/// # Errors
/// [`CutError::Cancelled`], [`CutError::Inconsistent`].
///
/// # Panics
/// If an edge ends outside the graph.
pub fn global_minimum_cut(
    n: usize,
    edges: &[UndirectedEdge],
    progress: &Progress,
) -> Result<Option<UndirectedCut>, CutError> {
    if n < 2 {
        return Ok(None);
    }
    // `label` maps each node to its node in the contracted graph.
    let mut label: Vec<u32> = (0..n as u32).collect();
    let mut graph = Contracted::build(n, edges, &label);
    let mut best = u64::MAX;
    let mut side = Vec::new();
    progress.start(n as u64);
    while graph.n > 1 {
        let before = graph.n;
        let lightest = (0..graph.n).min_by_key(|&v| graph.degree[v]).unwrap_or(0);
        if graph.degree[lightest] < best {
            best = graph.degree[lightest];
            side = members(&label, |c| c as usize == lightest);
        }
        let order = graph.contract(&mut best);
        if let Some(prefix) = order.prefix {
            let mut inside = vec![false; graph.n];
            for &v in &order.nodes[..prefix] {
                inside[v as usize] = true;
            }
            side = members(&label, |c| inside[c as usize]);
        }
        if best == 0 {
            break;
        }
        let merged = order.merged;
        for c in &mut label {
            *c = merged[*c as usize];
        }
        graph = Contracted::build(order.left, &graph.edges(), &merged);
        progress.advance((before - order.left) as u64)?;
    }
    let mut inside = vec![false; n];
    for &v in &side {
        inside[v as usize] = true;
    }
    let crossing = edges.iter().filter(|e| inside[e.0 as usize] != inside[e.1 as usize]);
    let weight: u64 = crossing.map(|e| e.2).sum();
    if weight != best {
        return Err(CutError::Inconsistent { flow: best, cut: weight });
    }
    if inside[0] {
        side = (0..n as u32).filter(|&v| !inside[v as usize]).collect();
    }
    Ok(Some(UndirectedCut { weight, side }))
}

fn members(label: &[u32], chosen: impl Fn(u32) -> bool) -> Vec<u32> {
    (0..label.len() as u32).filter(|&v| chosen(label[v as usize])).collect()
}

/// The graph with some nodes merged.
struct Contracted {
    n: usize,
    start: Vec<u32>,
    arcs: Vec<(u32, u64)>,
    degree: Vec<u64>,
}

/// One maximum adjacency order and what it lets merge.
struct Order {
    nodes: Vec<u32>,
    /// Length of the prefix that is a better cut than any before.
    prefix: Option<usize>,
    /// New number of each node.
    merged: Vec<u32>,
    left: usize,
}

impl Contracted {
    fn build(n: usize, edges: &[UndirectedEdge], label: &[u32]) -> Self {
        let mut merged: Vec<UndirectedEdge> = edges
            .iter()
            .map(|&(u, v, w)| (label[u as usize], label[v as usize], w))
            .filter(|e| e.0 != e.1 && e.2 > 0)
            .map(|(u, v, w)| (u.min(v), u.max(v), w))
            .collect();
        merged.sort_unstable();
        merged.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut start = vec![0u32; n + 1];
        let mut degree = vec![0u64; n];
        for &(u, v, w) in &merged {
            for end in [u, v] {
                start[end as usize + 1] += 1;
                degree[end as usize] += w;
            }
        }
        for i in 0..n {
            start[i + 1] += start[i];
        }
        let mut next = start.clone();
        let mut arcs = vec![(0, 0); 2 * merged.len()];
        for &(u, v, w) in &merged {
            for (a, b) in [(u, v), (v, u)] {
                arcs[next[a as usize] as usize] = (b, w);
                next[a as usize] += 1;
            }
        }
        Self { n, start, arcs, degree }
    }

    fn edges(&self) -> Vec<UndirectedEdge> {
        let mut edges = Vec::with_capacity(self.arcs.len() / 2);
        for u in 0..self.n as u32 {
            edges.extend(self.of(u).iter().filter(|a| a.0 > u).map(|&(v, w)| (u, v, w)));
        }
        edges
    }

    fn of(&self, u: u32) -> &[(u32, u64)] {
        &self.arcs[self.start[u as usize] as usize..self.start[u as usize + 1] as usize]
    }

    /// Scans the nodes in maximum adjacency order; lowers `best` to the lightest prefix.
    fn contract(&self, best: &mut u64) -> Order {
        let mut attached = vec![0u64; self.n];
        let mut seen = vec![false; self.n];
        let mut parent: Vec<u32> = (0..self.n as u32).collect();
        let mut heap = BinaryHeap::from([(0u64, Reverse(0u32))]);
        let mut nodes = Vec::with_capacity(self.n);
        let mut prefix = None;
        let mut crossing = 0u64;
        while nodes.len() < self.n {
            let Some((_, Reverse(u))) = heap.pop() else {
                // What was scanned is a component of its own.
                *best = 0;
                prefix = Some(nodes.len());
                break;
            };
            if std::mem::replace(&mut seen[u as usize], true) {
                continue;
            }
            nodes.push(u);
            crossing = crossing + self.degree[u as usize] - 2 * attached[u as usize];
            if crossing < *best && nodes.len() < self.n {
                *best = crossing;
                prefix = Some(nodes.len());
            }
            for &(v, w) in self.of(u) {
                if seen[v as usize] {
                    continue;
                }
                attached[v as usize] += w;
                if attached[v as usize] >= *best {
                    unite(&mut parent, u, v);
                }
                heap.push((attached[v as usize], Reverse(v)));
            }
        }
        let mut merged = vec![u32::MAX; self.n];
        let mut left = 0;
        for v in 0..self.n as u32 {
            let root = find(&mut parent, v) as usize;
            if merged[root] == u32::MAX {
                merged[root] = left as u32;
                left += 1;
            }
            merged[v as usize] = merged[root];
        }
        Order { nodes, prefix, merged, left }
    }
}

fn find(parent: &mut [u32], mut v: u32) -> u32 {
    while parent[v as usize] != v {
        parent[v as usize] = parent[parent[v as usize] as usize];
        v = parent[v as usize];
    }
    v
}

/// The smaller root stays.
fn unite(parent: &mut [u32], a: u32, b: u32) {
    let (a, b) = (find(parent, a), find(parent, b));
    parent[a.max(b) as usize] = a.min(b);
}
