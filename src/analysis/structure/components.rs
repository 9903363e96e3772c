//! Strongly and weakly connected components.

use crate::graph::Csr;

/// A partition of the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// Component of each node.
    pub component: Vec<u32>,
    /// Number of components.
    pub count: usize,
}

impl Components {
    /// Number of nodes of each component.
    pub fn sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0; self.count];
        for &c in &self.component {
            sizes[c as usize] += 1;
        }
        sizes
    }

    /// Nodes of all components one after another (ascending inside a component), and where each
    /// component starts (`count + 1` entries).
    pub fn members(&self) -> (Vec<u32>, Vec<u32>) {
        self.members_in(0..self.component.len() as u32)
    }

    /// As [`Components::members`], in the order in which `nodes` names them.
    fn members_in(&self, nodes: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<u32>) {
        let mut start = vec![0u32; self.count + 1];
        for &c in &self.component {
            start[c as usize + 1] += 1;
        }
        for c in 0..self.count {
            start[c + 1] += start[c];
        }
        let mut next = start.clone();
        let mut members = vec![0u32; self.component.len()];
        for v in nodes {
            let slot = &mut next[self.component[v as usize] as usize];
            members[*slot as usize] = v;
            *slot += 1;
        }
        (members, start)
    }
}

/// Strongly connected components: two nodes are together if each reaches the other.
///
/// Numbered in topological order: every edge leads to the same or a higher component. Pearce's
/// form of Tarjan's algorithm (Pearce 2016, "A space-efficient algorithm for finding strongly
/// connected components"), without recursion: O(nodes + edges).
pub fn strongly_connected_components(csr: &Csr) -> Components {
    tarjan::<false>(csr).0
}

/// Strongly connected components, and all nodes ordered by component and, inside a component, by
/// descending time of finishing: edges that lead back in this order are as few as a depth-first
/// search can make them, which suits sweeps along the flows.
pub(crate) fn sweep_order(csr: &Csr) -> (Components, Vec<u32>, Vec<u32>) {
    let (components, finished) = tarjan::<true>(csr);
    let (members, start) = components.members_in(finished.into_iter().rev());
    (components, members, start)
}

fn tarjan<const FINISHED: bool>(csr: &Csr) -> (Components, Vec<u32>) {
    /// A node on the search path: where its scan stands, where it ends, its number of visit.
    struct Frame {
        node: u32,
        edge: u32,
        end: u32,
        index: u32,
    }
    let n = csr.node_count();
    // 0: not seen; then the least visit number reached; finally the component (counted down from
    // n, so it is above every visit number still in use).
    let mut rindex = vec![0u32; n];
    let mut path: Vec<Frame> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    let mut index = 1u32;
    let mut next = n as u32;
    let mut finished = Vec::with_capacity(if FINISHED { n } else { 0 });
    for root in csr.nodes() {
        if rindex[root as usize] != 0 {
            continue;
        }
        let mut enter = Some(root);
        loop {
            if let Some(v) = enter.take() {
                let edges = csr.edges_out(v);
                if edges.is_empty() {
                    // A node without consumers is a component; no need to walk it.
                    rindex[v as usize] = next;
                    next -= 1;
                    if FINISHED {
                        finished.push(v);
                    }
                } else {
                    rindex[v as usize] = index;
                    let (edge, end) = (edges.start as u32, edges.end as u32);
                    path.push(Frame { node: v, edge, end, index });
                    index += 1;
                }
            }
            let Some(frame) = path.last_mut() else { break };
            let mut low = rindex[frame.node as usize];
            while frame.edge < frame.end {
                let w = csr.target(frame.edge as usize);
                frame.edge += 1;
                let reached = rindex[w as usize];
                if reached == 0 {
                    enter = Some(w);
                    break;
                }
                low = low.min(reached);
            }
            rindex[frame.node as usize] = low;
            if enter.is_some() {
                continue;
            }
            let (v, own) = (frame.node, frame.index);
            path.pop();
            if FINISHED {
                finished.push(v);
            }
            if low == own {
                index -= 1;
                while let Some(&w) = open.last() {
                    if rindex[w as usize] < low {
                        break;
                    }
                    rindex[w as usize] = next;
                    index -= 1;
                    open.pop();
                }
                rindex[v as usize] = next;
                next -= 1;
            } else {
                open.push(v);
                if let Some(parent) = path.last() {
                    let slot = &mut rindex[parent.node as usize];
                    *slot = (*slot).min(low);
                }
            }
        }
    }
    for c in &mut rindex {
        *c -= next + 1;
    }
    (Components { component: rindex, count: n - next as usize }, finished)
}

/// Weakly connected components: connected if the direction of flows is ignored. Numbered by
/// their least node. O(nodes + edges).
pub fn weakly_connected_components(csr: &Csr) -> Components {
    let n = csr.node_count();
    let mut component = vec![u32::MAX; n];
    let mut count = 0u32;
    let mut queue: Vec<u32> = Vec::new();
    for root in csr.nodes() {
        if component[root as usize] != u32::MAX {
            continue;
        }
        component[root as usize] = count;
        queue.push(root);
        while let Some(v) = queue.pop() {
            for &w in csr.consumers(v).iter().chain(csr.suppliers(v)) {
                if component[w as usize] == u32::MAX {
                    component[w as usize] = count;
                    queue.push(w);
                }
            }
        }
        count += 1;
    }
    Components { component, count: count as usize }
}
