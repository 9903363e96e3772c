//! Articulation points, bridges and biconnected components of the undirected projection.
//!
//! Two nodes are joined if either supplies the other, however many flows there are; self-loops do
//! not count. One depth-first search with low points (Hopcroft and Tarjan, "Algorithm 447", 1973),
//! run on both rows of the directed graph, so the projection is never built.

use crate::graph::{Adjacency, Csr};

const UNSEEN: u32 = 0;
const NOBODY: u32 = u32::MAX;

/// A run of consecutive preorder numbers: one part that a choke point separates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    size: u32,
}

/// An articulation point of the undirected projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Articulation {
    /// The node.
    pub node: u32,
    /// Sizes of the parts that its component falls into without it, largest first.
    pub parts: Vec<u32>,
}

/// A bridge of the undirected projection: the only connection between two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its ends, the smaller index first.
    pub ends: (u32, u32),
    /// Sizes of the two parts that its component falls into without it, largest first.
    pub parts: (u32, u32),
}

/// Result of [`biconnectivity`].
#[derive(Debug, Clone, Default)]
pub struct Biconnectivity {
    /// Articulation points, ascending.
    pub articulations: Vec<Articulation>,
    /// Bridges, ascending by ends.
    pub bridges: Vec<Bridge>,
    /// Biconnected components as ascending node lists of two or more nodes, in ascending order;
    /// empty unless asked for. Nodes without neighbours are in none.
    pub blocks: Vec<Vec<u32>>,
    /// Number of connected components (of the undirected projection).
    pub components: u32,
    order: Vec<u32>,
    /// Separated subtrees of each articulation point, and the run of its whole component.
    runs: Vec<(Vec<Run>, Run)>,
    /// Subtree below each bridge, and the run of the whole component.
    bridge_runs: Vec<(Run, Run)>,
}

impl Biconnectivity {
    /// Nodes that the `index`-th articulation point separates from the largest part of its
    /// component: at most `limit` of them, ascending.
    pub fn separated_by_articulation(&self, index: usize, limit: usize) -> Vec<u32> {
        let (below, whole) = &self.runs[index];
        let point = self.articulations[index].node;
        let rest = whole.size - 1 - below.iter().map(|r| r.size).sum::<u32>();
        let largest = below.iter().max_by_key(|r| (r.size, std::cmp::Reverse(r.first)));
        match largest {
            // The biggest part hangs below: all else is separated from it.
            Some(big) if big.size > rest => {
                self.collect_outside(*whole, &[*big], Some(point), limit)
            }
            _ => self.collect(below, limit),
        }
    }

    /// Nodes on the smaller side of the `index`-th bridge: at most `limit` of them, ascending.
    pub fn separated_by_bridge(&self, index: usize, limit: usize) -> Vec<u32> {
        let (below, whole) = self.bridge_runs[index];
        if 2 * below.size <= whole.size {
            self.collect(&[below], limit)
        } else {
            self.collect_outside(whole, &[below], None, limit)
        }
    }

    fn collect(&self, runs: &[Run], limit: usize) -> Vec<u32> {
        let nodes = runs.iter().flat_map(|r| r.first..r.first + r.size);
        smallest(nodes.map(|p| self.order[p as usize]), limit)
    }

    fn collect_outside(
        &self,
        whole: Run,
        inside: &[Run],
        but: Option<u32>,
        limit: usize,
    ) -> Vec<u32> {
        let outside = (whole.first..whole.first + whole.size)
            .filter(|&p| !inside.iter().any(|r| (r.first..r.first + r.size).contains(&p)))
            .map(|p| self.order[p as usize])
            .filter(|&node| Some(node) != but);
        smallest(outside, limit)
    }
}

/// The `limit` smallest of `nodes`, ascending.
pub(super) fn smallest(nodes: impl Iterator<Item = u32>, limit: usize) -> Vec<u32> {
    let mut heap = std::collections::BinaryHeap::with_capacity(limit.min(1024) + 1);
    for node in nodes {
        if heap.len() < limit {
            heap.push(node);
        } else if heap.peek().is_some_and(|&top| node < top) {
            heap.pop();
            heap.push(node);
        }
    }
    heap.into_sorted_vec()
}

/// State of one node on the depth-first stack.
struct Frame {
    node: u32,
    parent: u32,
    number: u32,
    low: u32,
    /// Next arc to look at in the current row, and the row's end.
    at: u32,
    end: u32,
    /// The outgoing row is done.
    second_row: bool,
}

/// Finds articulation points and bridges, and the biconnected components if `with_blocks`:
/// O(nodes + edges), about 20 bytes a node.
pub fn biconnectivity(csr: &Csr, with_blocks: bool) -> Biconnectivity {
    let n = csr.node_count();
    let mut number = vec![UNSEEN; n];
    let mut search = Search {
        out: csr.outgoing(),
        into: csr.incoming(),
        order: Vec::with_capacity(n),
        stack: Vec::new(),
        parts: Vec::new(),
        bridges: Vec::new(),
        whole: Vec::new(),
        blocks: Vec::new(),
        block_stack: Vec::new(),
        with_blocks,
    };
    for root in 0..n as u32 {
        if number[root as usize] == UNSEEN {
            search.component(root, &mut number);
        }
    }
    search.finish()
}

struct Search<'a> {
    out: Adjacency<'a>,
    into: Adjacency<'a>,
    order: Vec<u32>,
    stack: Vec<Frame>,
    /// (articulation point, component, part below it)
    parts: Vec<(u32, u32, Run)>,
    /// (upper end, lower end, component, part below it)
    bridges: Vec<(u32, u32, u32, Run)>,
    whole: Vec<Run>,
    blocks: Vec<Vec<u32>>,
    block_stack: Vec<u32>,
    with_blocks: bool,
}

impl Search<'_> {
    fn enter(&mut self, node: u32, parent: u32, number: &mut [u32]) -> Frame {
        self.order.push(node);
        let own = self.order.len() as u32;
        number[node as usize] = own;
        if self.with_blocks {
            self.block_stack.push(node);
        }
        let row = self.out.range(node);
        Frame {
            node,
            parent,
            number: own,
            low: own,
            at: row.start as u32,
            end: row.end as u32,
            second_row: false,
        }
    }

    fn component(&mut self, root: u32, number: &mut [u32]) {
        let component = self.whole.len() as u32;
        let first = self.order.len() as u32;
        let parts_before = self.parts.len();
        let mut root_parts = 0;
        let mut f = self.enter(root, NOBODY, number);
        loop {
            let heads = if f.second_row { self.into.heads() } else { self.out.heads() };
            let mut child = NOBODY;
            while f.at < f.end {
                let w = heads[f.at as usize];
                f.at += 1;
                let seen = number[w as usize];
                if seen == UNSEEN {
                    child = w;
                    break;
                }
                if seen < f.low && w != f.parent {
                    f.low = seen;
                }
            }
            if child != NOBODY {
                let parent = f.node;
                self.stack.push(f);
                f = self.enter(child, parent, number);
                continue;
            }
            if !f.second_row {
                let row = self.into.range(f.node);
                (f.at, f.end, f.second_row) = (row.start as u32, row.end as u32, true);
                continue;
            }
            let Some(mut up) = self.stack.pop() else { break };
            if f.low >= up.number {
                let below =
                    Run { first: f.number - 1, size: self.order.len() as u32 - (f.number - 1) };
                if up.parent == NOBODY {
                    root_parts += 1;
                }
                self.parts.push((up.node, component, below));
                if f.low == f.number {
                    self.bridges.push((up.node, f.node, component, below));
                }
                if self.with_blocks {
                    self.close_block(up.node, f.node);
                }
            }
            up.low = up.low.min(f.low);
            f = up;
        }
        self.whole.push(Run { first, size: self.order.len() as u32 - first });
        self.block_stack.clear();
        if root_parts == 1 {
            // With one part below it a root separates nothing. Its part closed last.
            let position = self.parts[parts_before..].iter().rposition(|p| p.0 == root);
            if let Some(position) = position {
                self.parts.remove(parts_before + position);
            }
        }
    }

    fn close_block(&mut self, point: u32, child: u32) {
        let start = self.block_stack.iter().rposition(|&v| v == child).unwrap_or(0);
        let mut block = self.block_stack.split_off(start);
        block.push(point);
        block.sort_unstable();
        self.blocks.push(block);
    }

    fn finish(mut self) -> Biconnectivity {
        self.parts.sort_by_key(|p| (p.0, p.2.first));
        let mut articulations = Vec::new();
        let mut runs = Vec::new();
        for group in self.parts.chunk_by(|a, b| a.0 == b.0) {
            let whole = self.whole[group[0].1 as usize];
            let below: Vec<Run> = group.iter().map(|p| p.2).collect();
            let mut parts: Vec<u32> = below.iter().map(|r| r.size).collect();
            let rest = whole.size - 1 - parts.iter().sum::<u32>();
            if rest > 0 {
                parts.push(rest);
            }
            parts.sort_unstable_by(|a, b| b.cmp(a));
            articulations.push(Articulation { node: group[0].0, parts });
            runs.push((below, whole));
        }
        let mut found: Vec<(Bridge, (Run, Run))> = self
            .bridges
            .iter()
            .map(|&(u, v, component, below)| {
                let whole = self.whole[component as usize];
                let rest = whole.size - below.size;
                let parts = (below.size.max(rest), below.size.min(rest));
                (Bridge { ends: (u.min(v), u.max(v)), parts }, (below, whole))
            })
            .collect();
        found.sort_unstable_by_key(|b| b.0.ends);
        let (bridges, bridge_runs) = found.into_iter().unzip();
        self.blocks.sort_unstable();
        Biconnectivity {
            articulations,
            bridges,
            blocks: self.blocks,
            components: self.whole.len() as u32,
            order: self.order,
            runs,
            bridge_runs,
        }
    }
}
