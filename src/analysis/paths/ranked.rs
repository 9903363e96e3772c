//! The k best loopless paths between two nodes: shortest by length, or widest by capacity.
//!
//! Yen's algorithm (1971) with Lawler's rule (1972: a path branches only behind the place where it
//! left its parent). Every search for a detour is guided by the exact distances to the target in
//! the whole graph, which no detour can beat, so it looks at few nodes beside the detour itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;

use crate::analysis::Progress;
use crate::analysis::structure::error::{StructureError, require, require_nodes};
use crate::analysis::structure::traverse::{Distance, require_lengths, require_strengths};
use crate::graph::Csr;

/// A path without repeated nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Nodes from the start to the end.
    pub nodes: Vec<u32>,
    /// Shortest paths: sum of the lengths (steps without weights). Widest paths: the least weight
    /// on the way.
    pub value: f64,
}

/// The `k` shortest loopless paths, shortest first; fewer if there are no more. Weights are
/// lengths. Equal lengths: the path found first by a fixed rule.
///
/// # Errors
/// A node that does not exist, equal ends, k = 0, a length that is not above 0;
/// [`StructureError::Cancelled`].
pub fn k_shortest_paths(
    csr: &Csr,
    from: u32,
    to: u32,
    k: usize,
    progress: &Progress,
) -> Result<Vec<Path>, StructureError> {
    require_lengths(csr)?;
    Search::new(csr, from, to, k, Metric::Length)?.run(progress)
}

/// The `k` widest loopless paths, widest first: the width of a path is the least weight on it, what
/// it can carry if weights are quantities or capacities. Of paths of equal width the one with
/// fewer nodes that was found first.
///
/// # Errors
/// A node that does not exist, equal ends, k = 0, a negative weight;
/// [`StructureError::Cancelled`].
pub fn k_widest_paths(
    csr: &Csr,
    from: u32,
    to: u32,
    k: usize,
    progress: &Progress,
) -> Result<Vec<Path>, StructureError> {
    require_strengths(csr)?;
    let mut paths = Search::new(csr, from, to, k, Metric::Width)?.run(progress)?;
    paths.iter_mut().for_each(|path| path.value = -path.value);
    Ok(paths)
}

/// How costs add up along a path: associative, and no step makes a path cheaper.
#[derive(Clone, Copy)]
enum Metric {
    /// Sum of the lengths.
    Length,
    /// The negative of the least weight: the wider, the cheaper.
    Width,
}

impl Metric {
    /// Cost of the path without edges.
    fn start(self) -> f64 {
        match self {
            Self::Length => 0.0,
            Self::Width => f64::NEG_INFINITY,
        }
    }

    /// Cost of one edge.
    fn edge(self, weight: f64) -> f64 {
        match self {
            Self::Length => weight,
            Self::Width => -weight,
        }
    }

    /// Cost of two parts of a path together.
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Length => a + b,
            Self::Width => a.max(b),
        }
    }
}

/// A path that has been found but not yet returned. The order of the fields is that of the queue.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    cost: Distance,
    nodes: Vec<u32>,
    /// Position at which it left its parent.
    branch: usize,
}

struct Search<'a> {
    csr: &'a Csr,
    from: u32,
    to: u32,
    k: usize,
    metric: Metric,
    /// Cost of the best way from each node to the target.
    rest: Vec<f64>,
    cost: Vec<f64>,
    steps: Vec<u32>,
    parent: Vec<u32>,
    blocked: Vec<bool>,
}

const NONE: u32 = u32::MAX;

impl<'a> Search<'a> {
    fn new(
        csr: &'a Csr,
        from: u32,
        to: u32,
        k: usize,
        metric: Metric,
    ) -> Result<Self, StructureError> {
        let n = csr.node_count();
        require_nodes("from", &[from], n)?;
        require_nodes("to", &[to], n)?;
        require(from != to, "to", to, "another node than the start")?;
        require(k > 0, "k", k, "at least 1")?;
        Ok(Self {
            csr,
            from,
            to,
            k,
            metric,
            rest: cost_to(csr, to, metric),
            cost: vec![f64::INFINITY; n],
            steps: vec![NONE; n],
            parent: vec![NONE; n],
            blocked: vec![false; n],
        })
    }

    fn run(mut self, progress: &Progress) -> Result<Vec<Path>, StructureError> {
        progress.start(self.k as u64);
        let mut found: Vec<Candidate> = Vec::new();
        let mut queue: BinaryHeap<Reverse<Candidate>> = BinaryHeap::new();
        queue.extend(self.detour(&[self.from], &FxHashSet::default()).map(|nodes| {
            Reverse(Candidate { cost: Distance(self.cost_of(&nodes)), nodes, branch: 0 })
        }));
        while let Some(Reverse(best)) = queue.pop() {
            progress.advance(1)?;
            if found.len() + 1 < self.k {
                for branch in best.branch..best.nodes.len() - 1 {
                    progress.check()?;
                    let prefix = &best.nodes[..=branch];
                    // What was found with this prefix went on over these nodes.
                    let taken: FxHashSet<u32> = found
                        .iter()
                        .chain([&best])
                        .filter(|p| p.nodes.len() > branch + 1 && p.nodes[..=branch] == *prefix)
                        .map(|p| p.nodes[branch + 1])
                        .collect();
                    if let Some(nodes) = self.detour(prefix, &taken) {
                        let cost = Distance(self.cost_of(&nodes));
                        queue.push(Reverse(Candidate { cost, nodes, branch }));
                    }
                }
            }
            found.push(best);
            if found.len() == self.k {
                break;
            }
        }
        Ok(found.into_iter().map(|c| Path { nodes: c.nodes, value: c.cost.0 }).collect())
    }

    /// Cost of a path, added up from its start.
    fn cost_of(&self, nodes: &[u32]) -> f64 {
        nodes.windows(2).fold(self.metric.start(), |cost, pair| {
            let edge = self.csr.edge(pair[0], pair[1]);
            let step = edge.map_or(f64::INFINITY, |e| self.metric.edge(self.csr.weight(e)));
            self.metric.join(cost, step)
        })
    }

    /// The best path that starts with `prefix`, does not go on over `taken`, and repeats no node.
    fn detour(&mut self, prefix: &[u32], taken: &FxHashSet<u32>) -> Option<Vec<u32>> {
        let (&spur, before) = prefix.split_last()?;
        before.iter().for_each(|&v| self.blocked[v as usize] = true);
        let mut touched = vec![spur];
        let start = self.cost_of(prefix);
        self.cost[spur as usize] = start;
        self.steps[spur as usize] = 0;
        let csr = self.csr;
        // Ordered by what a path through the node costs at least, then by steps and index.
        let mut heap = BinaryHeap::new();
        heap.push(Reverse((Distance(self.least(spur)), 0u32, spur)));
        let mut reached = false;
        while let Some(Reverse((least, steps, v))) = heap.pop() {
            if v == self.to {
                reached = true;
                break;
            }
            if least != Distance(self.least(v)) || steps != self.steps[v as usize] {
                continue;
            }
            for e in csr.edges_out(v) {
                let w = csr.target(e);
                let closed = self.blocked[w as usize] || (v == spur && taken.contains(&w));
                if closed || w == spur || self.rest[w as usize] == f64::INFINITY {
                    continue;
                }
                let step = self.metric.edge(csr.weight(e));
                let cost = self.metric.join(self.cost[v as usize], step);
                let (known, known_steps) = (self.cost[w as usize], self.steps[w as usize]);
                if cost < known || (cost == known && steps + 1 < known_steps) {
                    if known_steps == NONE {
                        touched.push(w);
                    }
                    self.cost[w as usize] = cost;
                    self.steps[w as usize] = steps + 1;
                    self.parent[w as usize] = v;
                    heap.push(Reverse((Distance(self.least(w)), steps + 1, w)));
                }
            }
        }
        let path = reached.then(|| {
            let mut tail = vec![self.to];
            let mut v = self.to;
            while v != spur {
                v = self.parent[v as usize];
                tail.push(v);
            }
            before.iter().copied().chain(tail.into_iter().rev()).collect()
        });
        before.iter().for_each(|&v| self.blocked[v as usize] = false);
        for v in touched {
            self.cost[v as usize] = f64::INFINITY;
            self.steps[v as usize] = NONE;
        }
        path
    }

    /// Least cost of a path from the start through `v` as far as it is known.
    fn least(&self, v: u32) -> f64 {
        self.metric.join(self.cost[v as usize], self.rest[v as usize])
    }
}

/// Cost of the best way from every node to `to`.
fn cost_to(csr: &Csr, to: u32, metric: Metric) -> Vec<f64> {
    let mut rest = vec![f64::INFINITY; csr.node_count()];
    let mut heap = BinaryHeap::new();
    rest[to as usize] = metric.start();
    heap.push(Reverse((Distance(metric.start()), to)));
    while let Some(Reverse((Distance(cost), v))) = heap.pop() {
        if cost > rest[v as usize] {
            continue;
        }
        for (k, &u) in csr.arrivals(v).zip(csr.suppliers(v)) {
            let through = metric.join(cost, metric.edge(csr.arrival_weight(k)));
            if through < rest[u as usize] {
                rest[u as usize] = through;
                heap.push(Reverse((Distance(through), u)));
            }
        }
    }
    rest
}
