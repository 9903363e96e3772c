//! The dependency of one source on every node and edge (Brandes 2001), without predecessor lists.

use crate::analysis::structure::traverse::Dijkstra;
use crate::graph::Csr;

const UNSEEN: u32 = u32::MAX;
/// Rows that are fetched together.
const ROWS: usize = 16;

/// What the way back knows of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Back {
    /// 1 / number of shortest paths from the source.
    share: f64,
    /// Sum over tight edges to w of (1 + dependency of w) / paths to w.
    sum: f64,
}

/// An edge that lies on a shortest path, by positions.
#[derive(Debug, Clone, Copy, Default)]
struct Tight {
    from: u32,
    to: u32,
}

/// Workspace of unweighted accumulation.
///
/// Everything but `position` is kept in the order of the search, so that only one access per edge
/// is far away in memory, and neither loop over edges has a branch that depends on the graph. The
/// way back follows the list of tight edges from its end: with S(v) = sum over tight edges to w of
/// (1 / paths(w) + S(w)), the dependency of v is paths(v) S(v).
#[derive(Debug)]
pub(crate) struct Unweighted {
    /// Position of each node in the order of the search.
    position: Vec<u32>,
    /// Nodes by distance from the source.
    order: Vec<u32>,
    /// By position: number of shortest paths; 0 where no search has been.
    paths: Vec<f64>,
    back: Vec<Back>,
    tight: Vec<Tight>,
    /// The edges behind `tight`, if asked for.
    tight_edge: Vec<u32>,
}

impl Unweighted {
    pub(crate) fn new(csr: &Csr) -> Self {
        let (n, m) = (csr.node_count(), csr.edge_count());
        Self {
            position: vec![UNSEEN; n],
            order: vec![0; n + 1],
            paths: vec![0.0; n + 2],
            back: vec![Back::default(); n + 1],
            tight: vec![Tight::default(); m + 1],
            tight_edge: Vec::new(),
        }
    }

    /// Counts shortest paths from `source`; returns how many nodes it reaches and how many edges
    /// are tight.
    fn count_paths<const EDGES: bool>(&mut self, csr: &Csr, source: u32) -> (usize, usize) {
        let Self { position, order, paths, tight, tight_edge, .. } = self;
        if EDGES {
            tight_edge.resize(tight.len(), 0);
        }
        order[0] = source;
        position[source as usize] = 0;
        paths[0] = 1.0;
        let (mut seen, mut edges, mut head) = (1usize, 0usize, 0usize);
        // Paths along other edges are counted where nobody looks.
        let spare = paths.len() - 1;
        let (mut fetched, mut read) = (0, 0);
        while head < seen {
            let level_end = seen;
            while head < level_end {
                if head == fetched {
                    fetched = (head + ROWS).min(level_end);
                    read ^= csr.fetch_rows(&order[head..fetched]);
                }
                let own = paths[head];
                let row = csr.edges_out(order[head]);
                let mut edge = row.start as u32;
                for &w in &csr.targets()[row] {
                    let slot = &mut position[w as usize];
                    let new = *slot == UNSEEN;
                    let at = if new { seen as u32 } else { *slot };
                    *slot = at;
                    order[seen] = w;
                    // Positions from `level_end` on are one step farther: the edge is tight.
                    let is_tight = at as usize >= level_end;
                    paths[if is_tight { at as usize } else { spare }] += own;
                    tight[edges] = Tight { from: head as u32, to: at };
                    if EDGES {
                        tight_edge[edges] = edge;
                        edge += 1;
                    }
                    edges += usize::from(is_tight);
                    seen += usize::from(new);
                }
                head += 1;
            }
        }
        std::hint::black_box(read);
        (seen, edges)
    }

    /// Prepares the way back over `seen` nodes and forgets where they were.
    fn turn(&mut self, seen: usize) {
        let Self { position, order, paths, back, .. } = self;
        for (back, paths) in back[..seen].iter_mut().zip(&paths[..seen]) {
            *back = Back { share: 1.0 / paths, sum: 0.0 };
        }
        for &v in &order[..seen] {
            position[v as usize] = UNSEEN;
        }
    }

    /// Adds the dependency of `source` on each node to `score`, times `scale`.
    pub(crate) fn add_nodes(&mut self, csr: &Csr, source: u32, scale: f64, score: &mut [f64]) {
        let (seen, edges) = self.count_paths::<false>(csr, source);
        self.turn(seen);
        let Self { order, paths, back, tight, .. } = self;
        for t in tight[..edges].iter().rev() {
            let to = back[t.to as usize];
            back[t.from as usize].sum += to.share + to.sum;
        }
        for ((&v, &paths), back) in
            order[..seen].iter().zip(&paths[..seen]).zip(&back[..seen]).skip(1)
        {
            score[v as usize] += paths * back.sum * scale;
        }
        paths[..seen].fill(0.0);
    }

    /// Adds the dependency of `source` on each edge to `score`, times `scale`.
    pub(crate) fn add_edges(&mut self, csr: &Csr, source: u32, scale: f64, score: &mut [f64]) {
        let (seen, edges) = self.count_paths::<true>(csr, source);
        self.turn(seen);
        let Self { paths, back, tight, tight_edge, .. } = self;
        for (t, &e) in tight[..edges].iter().zip(&tight_edge[..edges]).rev() {
            let to = back[t.to as usize];
            back[t.from as usize].sum += to.share + to.sum;
            score[e as usize] += paths[t.from as usize] * (to.share + to.sum) * scale;
        }
        paths[..seen].fill(0.0);
    }
}

/// Two lengths are the same path length if they differ by rounding only.
fn same_length(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Workspace of accumulation over lengths.
#[derive(Debug)]
pub(crate) struct Weighted {
    search: Dijkstra,
    value: Vec<f64>,
}

impl Weighted {
    pub(crate) fn new(n: usize) -> Self {
        Self { search: Dijkstra::new(n), value: vec![0.0; n] }
    }

    /// True if edge `e` from `v` to `w` lies on a shortest path.
    fn tight(&self, csr: &Csr, v: u32, e: usize) -> bool {
        let (dv, dw) =
            (self.search.distance[v as usize], self.search.distance[csr.target(e) as usize]);
        dv < dw && same_length(dv + csr.weight(e), dw)
    }

    /// As [`Unweighted::add_nodes`] and [`Unweighted::add_edges`]; either score may be empty.
    pub(crate) fn add(
        &mut self,
        csr: &Csr,
        source: u32,
        scale: f64,
        nodes: &mut [f64],
        edges: &mut [f64],
    ) {
        self.search.search(csr, &[source], None);
        let settled = std::mem::take(&mut self.search.settled);
        for &v in &settled {
            self.value[v as usize] = 0.0;
        }
        self.value[source as usize] = 1.0;
        for &v in &settled {
            for e in csr.edges_out(v) {
                if self.tight(csr, v, e) {
                    self.value[csr.target(e) as usize] += self.value[v as usize];
                }
            }
        }
        for &v in settled.iter().rev() {
            let paths = self.value[v as usize];
            let mut dependency = 0.0;
            for e in csr.edges_out(v) {
                if self.tight(csr, v, e) {
                    let share = paths * self.value[csr.target(e) as usize];
                    dependency += share;
                    if let Some(score) = edges.get_mut(e) {
                        *score += share * scale;
                    }
                }
            }
            self.value[v as usize] = (1.0 + dependency) / paths;
            if v != source
                && let Some(score) = nodes.get_mut(v as usize)
            {
                *score += dependency * scale;
            }
        }
        self.search.settled = settled;
    }
}
