//! Elementary cycles: recycling and mutual supply, listed with a limit.

use std::collections::VecDeque;

use super::components::strongly_connected_components;
use super::error::{StructureError, require};
use crate::analysis::Progress;
use crate::graph::Csr;

/// Which cycles to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CycleOptions {
    /// Most edges of a cycle.
    pub max_length: u32,
    /// Most cycles listed.
    pub limit: usize,
}

impl Default for CycleOptions {
    fn default() -> Self {
        Self { max_length: u32::MAX, limit: 1000 }
    }
}

/// Cycles found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycles {
    /// Nodes of each cycle along the flows, starting with the least index; a self-loop is one
    /// node.
    pub cycles: Vec<Vec<u32>>,
    /// True if there are no others (of the length allowed).
    pub complete: bool,
}

/// Lists elementary cycles: Johnson (1975), with the locks of Gupta and Suzumura (2021) for a
/// bound on the length. Ordered by least node; time between two cycles is O((nodes + edges) x
/// length) of one component.
///
/// # Errors
/// A limit or length of 0; [`StructureError::Cancelled`].
pub fn cycles(
    csr: &Csr,
    options: &CycleOptions,
    progress: &Progress,
) -> Result<Cycles, StructureError> {
    require(options.limit > 0, "limit", 0, "at least 1")?;
    require(options.max_length > 0, "max_length", 0, "at least 1")?;
    let n = csr.node_count();
    progress.start(n as u64);
    let components = strongly_connected_components(csr);
    let sizes = components.sizes();
    let mut search = Search {
        csr,
        component: &components.component,
        // A longer cycle than all nodes does not exist; the bound keeps sums small.
        bound: options.max_length.min(n as u32),
        limit: options.limit,
        back: vec![u32::MAX; n],
        lock: vec![u32::MAX; n],
        waiting: vec![Vec::new(); n],
        touched: Vec::new(),
        on_path: vec![false; n],
        found: Vec::new(),
    };
    for root in csr.nodes() {
        progress.advance(1)?;
        if csr.edge(root, root).is_some() && !search.add(vec![root]) {
            return Ok(Cycles { cycles: search.found, complete: false });
        }
        if sizes[components.component[root as usize] as usize] > 1
            && !search.search_root(root, progress)?
        {
            return Ok(Cycles { cycles: search.found, complete: false });
        }
    }
    Ok(Cycles { cycles: search.found, complete: true })
}

struct Search<'a> {
    csr: &'a Csr,
    component: &'a [u32],
    bound: u32,
    limit: usize,
    /// Steps back to the root through higher nodes of its component.
    back: Vec<u32>,
    /// A node is entered only on paths shorter than this: longer ones were seen to fail.
    lock: Vec<u32>,
    /// Nodes whose lock may open with that of the node.
    waiting: Vec<Vec<u32>>,
    touched: Vec<u32>,
    on_path: Vec<bool>,
    found: Vec<Vec<u32>>,
}

/// One node of the path at hand.
struct Step {
    node: u32,
    edge: usize,
    /// Fewest steps from here back to the root on any cycle found, `u32::MAX` if none.
    closes_in: u32,
}

impl Search<'_> {
    /// False if the limit is passed: there is one more cycle than may be listed.
    fn add(&mut self, cycle: Vec<u32>) -> bool {
        if self.found.len() == self.limit {
            return false;
        }
        self.found.push(cycle);
        true
    }

    /// Distances back to the root among the nodes above it, no farther than a cycle may be long.
    fn measure(&mut self, root: u32) -> Vec<u32> {
        let mut queue = VecDeque::from([root]);
        let mut reached = vec![root];
        self.back[root as usize] = 0;
        while let Some(v) = queue.pop_front() {
            let next = self.back[v as usize] + 1;
            if next >= self.bound {
                break;
            }
            for &u in self.csr.suppliers(v) {
                if u > root
                    && self.component[u as usize] == self.component[root as usize]
                    && self.back[u as usize] == u32::MAX
                {
                    self.back[u as usize] = next;
                    reached.push(u);
                    queue.push_back(u);
                }
            }
        }
        reached
    }

    /// All cycles whose least node is `root`; false if the limit is passed.
    fn search_root(&mut self, root: u32, progress: &Progress) -> Result<bool, StructureError> {
        let reached = self.measure(root);
        let complete = self.walk(root, progress);
        for v in reached {
            self.back[v as usize] = u32::MAX;
        }
        for v in std::mem::take(&mut self.touched) {
            self.lock[v as usize] = u32::MAX;
            self.waiting[v as usize].clear();
        }
        complete
    }

    fn walk(&mut self, root: u32, progress: &Progress) -> Result<bool, StructureError> {
        let csr = self.csr;
        let first = csr.edges_out(root).start;
        let mut path = vec![Step { node: root, edge: first, closes_in: u32::MAX }];
        let mut steps = 0u32;
        while let Some(step) = path.last_mut() {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(4096) {
                progress.check()?;
            }
            if step.edge < csr.edges_out(step.node).end {
                let w = csr.target(step.edge);
                step.edge += 1;
                if w == root {
                    // A self-loop of the root is a cycle of its own.
                    if path.len() > 1 {
                        if let Some(step) = path.last_mut() {
                            step.closes_in = 1;
                        }
                        let cycle = path.iter().map(|s| s.node).collect();
                        if !self.add(cycle) {
                            path.iter().for_each(|s| self.on_path[s.node as usize] = false);
                            return Ok(false);
                        }
                    }
                    continue;
                }
                let length = path.len() as u32;
                let back = self.back[w as usize];
                let fits = back != u32::MAX && length + back <= self.bound;
                if fits && !self.on_path[w as usize] && length < self.lock[w as usize] {
                    self.on_path[w as usize] = true;
                    self.lock[w as usize] = length;
                    self.touched.push(w);
                    path.push(Step { node: w, edge: csr.edges_out(w).start, closes_in: u32::MAX });
                }
                continue;
            }
            let Some(done) = path.pop() else { break };
            self.on_path[done.node as usize] = false;
            if let Some(parent) = path.last_mut() {
                parent.closes_in = parent.closes_in.min(done.closes_in.saturating_add(1));
            } else {
                break;
            }
            // Whatever opens a consumer later may open the node for longer paths.
            for &w in csr.consumers(done.node) {
                if self.back[w as usize] != u32::MAX
                    && !self.waiting[w as usize].contains(&done.node)
                {
                    self.waiting[w as usize].push(done.node);
                    self.touched.push(w);
                }
            }
            if done.closes_in != u32::MAX {
                self.open(done.node, done.closes_in);
            }
        }
        Ok(true)
    }

    /// From `node` the root is `closes_in` steps away: paths that are short enough may enter it,
    /// and the nodes that failed because of it, again.
    fn open(&mut self, node: u32, closes_in: u32) {
        let mut stack = vec![(node, closes_in)];
        while let Some((v, closes_in)) = stack.pop() {
            // A path of `length` edges to v closes if length + closes_in <= bound.
            let lock = (self.bound + 1).saturating_sub(closes_in);
            if self.lock[v as usize] < lock {
                self.lock[v as usize] = lock;
                let waiting = std::mem::take(&mut self.waiting[v as usize]);
                for &u in &waiting {
                    if !self.on_path[u as usize] {
                        stack.push((u, closes_in + 1));
                    }
                }
                self.waiting[v as usize] = waiting;
            }
        }
    }
}
