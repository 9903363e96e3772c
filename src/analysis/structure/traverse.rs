//! Breadth-first searches and shortest distances.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fixedbitset::FixedBitSet;

use super::error::{StructureError, require, require_nodes};
use crate::graph::Csr;

/// Which way along the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Downstream: from supplier to consumer.
    #[default]
    Out,
    /// Upstream: from consumer to supplier.
    In,
    /// Both ways: the undirected projection.
    Both,
}

impl Direction {
    /// The view in which this direction is the way of the edges; weights are lengths, so the
    /// shorter of two opposite edges counts.
    pub(crate) fn length_view(self, csr: &Csr) -> std::borrow::Cow<'_, Csr> {
        use std::borrow::Cow;
        match self {
            Self::Out => Cow::Borrowed(csr),
            Self::In => Cow::Owned(csr.reversed()),
            Self::Both => Cow::Owned(csr.undirected(f64::min)),
        }
    }
}

/// Rows that a search fetches together.
const ROWS: usize = 16;

/// Workspace of breadth-first searches that need levels but no distances per node.
#[derive(Debug)]
pub(crate) struct Levels {
    seen: Vec<u64>,
    queue: Vec<u32>,
}

impl Levels {
    pub(crate) fn new(n: usize) -> Self {
        Self { seen: vec![0; n.div_ceil(64)], queue: vec![0; n + 1] }
    }

    /// Searches from `sources`; calls `level(distance, nodes)` for each level from 1 on.
    pub(crate) fn search(&mut self, csr: &Csr, sources: &[u32], level: impl FnMut(u32, &[u32])) {
        self.search_within(csr, sources, u32::MAX, level);
    }

    /// As [`Levels::search`], no farther than `radius`.
    pub(crate) fn search_within(
        &mut self,
        csr: &Csr,
        sources: &[u32],
        radius: u32,
        mut level: impl FnMut(u32, &[u32]),
    ) {
        let Self { seen, queue } = self;
        let mut end = 0;
        // Every node is written behind the queue, which grows only if the node is new: no branch
        // depends on the graph.
        let mut visit = |queue: &mut [u32], end: &mut usize, w: u32| {
            let (word, bit) = (&mut seen[w as usize / 64], 1u64 << (w % 64));
            queue[*end] = w;
            *end += usize::from(*word & bit == 0);
            *word |= bit;
        };
        for &s in sources {
            visit(queue, &mut end, s);
        }
        let (mut start, mut distance, mut read) = (0, 0, 0);
        while start < end {
            let level_end = end;
            if distance > 0 {
                level(distance, &queue[start..level_end]);
            }
            if distance == radius {
                break;
            }
            for first in (start..level_end).step_by(ROWS) {
                let last = (first + ROWS).min(level_end);
                read ^= csr.fetch_rows(&queue[first..last]);
                for position in first..last {
                    for &w in csr.consumers(queue[position]) {
                        visit(queue, &mut end, w);
                    }
                }
            }
            start = level_end;
            distance += 1;
        }
        std::hint::black_box(read);
        for &v in &queue[..end] {
            seen[v as usize / 64] = 0;
        }
    }
}

/// Nodes that can be reached from `sources` (these included), in breadth-first order.
///
/// # Errors
/// [`StructureError::Parameter`] if a source is no node.
pub fn reach(csr: &Csr, sources: &[u32], direction: Direction) -> Result<Vec<u32>, StructureError> {
    require_nodes("sources", sources, csr.node_count())?;
    let mut seen = FixedBitSet::with_capacity(csr.node_count());
    let mut queue: Vec<u32> = Vec::new();
    for &s in sources {
        if !seen.put(s as usize) {
            queue.push(s);
        }
    }
    let mut head = 0;
    while head < queue.len() {
        let v = queue[head];
        head += 1;
        let (out, arrivals): (&[u32], &[u32]) = match direction {
            Direction::Out => (csr.consumers(v), &[]),
            Direction::In => (&[], csr.suppliers(v)),
            Direction::Both => (csr.consumers(v), csr.suppliers(v)),
        };
        for &w in out.iter().chain(arrivals) {
            if !seen.put(w as usize) {
                queue.push(w);
            }
        }
    }
    Ok(queue)
}

/// A distance that sorts: finite or infinite, never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distance(pub f64);

impl Eq for Distance {}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Refuses weights that are no lengths: all must be above 0 and finite.
pub(crate) fn require_lengths(csr: &Csr) -> Result<(), StructureError> {
    match csr.weights().iter().find(|w| !(w.is_finite() && **w > 0.0)) {
        None => Ok(()),
        Some(w) => require(false, "a length", w, "a finite number above 0"),
    }
}

/// Refuses weights that are no strengths: all must be 0 or more and finite.
pub(crate) fn require_strengths(csr: &Csr) -> Result<(), StructureError> {
    match csr.weights().iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        None => Ok(()),
        Some(w) => require(false, "a weight", w, "a finite number, 0 or more"),
    }
}

/// Workspace of Dijkstra's algorithm.
#[derive(Debug)]
pub(crate) struct Dijkstra {
    /// Distance of each node (infinite if not reached).
    pub distance: Vec<f64>,
    /// Nodes in the order in which they were settled.
    pub settled: Vec<u32>,
    heap: BinaryHeap<Reverse<(Distance, u32)>>,
}

impl Dijkstra {
    pub(crate) fn new(n: usize) -> Self {
        Self { distance: vec![f64::INFINITY; n], settled: Vec::new(), heap: BinaryHeap::new() }
    }

    /// Distances from `sources` along the edges; weights are lengths.
    pub(crate) fn search(&mut self, csr: &Csr, sources: &[u32], stop_at: Option<u32>) {
        self.clear();
        for &s in sources {
            if self.distance[s as usize] != 0.0 {
                self.distance[s as usize] = 0.0;
                self.heap.push(Reverse((Distance(0.0), s)));
            }
        }
        while let Some(Reverse((Distance(d), v))) = self.heap.pop() {
            // A node is pushed again when it gets nearer: only its last entry counts.
            if d > self.distance[v as usize] {
                continue;
            }
            self.settled.push(v);
            if stop_at == Some(v) {
                break;
            }
            for e in csr.edges_out(v) {
                let w = csr.target(e);
                let through = d + csr.weight(e);
                if through < self.distance[w as usize] {
                    self.distance[w as usize] = through;
                    self.heap.push(Reverse((Distance(through), w)));
                }
            }
        }
        // What was pushed but not settled must be forgotten too.
        let heap = std::mem::take(&mut self.heap);
        let mut rest = heap.into_vec();
        for Reverse((d, v)) in rest.drain(..) {
            if d.0 == self.distance[v as usize] && stop_at.is_some() {
                self.distance[v as usize] = f64::INFINITY;
            }
        }
        self.heap = BinaryHeap::from(rest);
    }

    fn clear(&mut self) {
        for &v in &self.settled {
            self.distance[v as usize] = f64::INFINITY;
        }
        self.settled.clear();
        self.heap.clear();
    }
}

/// Distance from the nearest of `sources` to every node: steps, or lengths if the view is
/// weighted; infinite if there is no way.
///
/// # Errors
/// [`StructureError::Parameter`] if a source is no node or a length is not above 0.
pub fn distances(
    csr: &Csr,
    sources: &[u32],
    direction: Direction,
) -> Result<Vec<f64>, StructureError> {
    require_nodes("sources", sources, csr.node_count())?;
    require_lengths(csr)?;
    let view = direction.length_view(csr);
    if view.is_weighted() {
        let mut search = Dijkstra::new(view.node_count());
        search.search(&view, sources, None);
        return Ok(search.distance);
    }
    let mut distance = vec![f64::INFINITY; view.node_count()];
    for &s in sources {
        distance[s as usize] = 0.0;
    }
    Levels::new(view.node_count()).search(&view, sources, |d, level| {
        for &v in level {
            distance[v as usize] = f64::from(d);
        }
    });
    Ok(distance)
}
