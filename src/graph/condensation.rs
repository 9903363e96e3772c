//! Strongly connected components in topological order: the one implementation of them.
//!
//! Pearce's form of Tarjan's algorithm (Pearce 2016, "A space-efficient algorithm for finding
//! strongly connected components"), without recursion: O(nodes + arcs).

/// The components of a directed graph, sources first.
#[derive(Debug, Clone, Default)]
pub struct Condensation {
    /// Nodes, component by component; inside a component by descending time of finishing, so that
    /// as few arcs lead back as a depth-first search can make them.
    pub nodes: Vec<u32>,
    /// Start of each component in `nodes`, and the end.
    pub starts: Vec<u32>,
    /// Component of each node.
    pub component: Vec<u32>,
}

impl Condensation {
    /// Components of the graph with nodes `0..n` and the arcs `node -> targets(node)`.
    pub fn new<'a>(n: usize, targets: impl Fn(u32) -> &'a [u32]) -> Self {
        let (component, count, finished) = search::<true>(n, targets);
        let mut starts = vec![0u32; count + 1];
        for &c in &component {
            starts[c as usize + 1] += 1;
        }
        for c in 0..count {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let mut nodes = vec![0u32; n];
        for &v in finished.iter().rev() {
            let slot = &mut next[component[v as usize] as usize];
            nodes[*slot as usize] = v;
            *slot += 1;
        }
        Self { nodes, starts, component }
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// True for a graph without nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Nodes of a component.
    pub fn members(&self, component: usize) -> &[u32] {
        &self.nodes[self.starts[component] as usize..self.starts[component + 1] as usize]
    }
}

/// The component of each node and how many there are: arcs lead to the same or a higher one.
pub fn strong_components<'a>(n: usize, targets: impl Fn(u32) -> &'a [u32]) -> (Vec<u32>, usize) {
    let (component, count, _) = search::<false>(n, targets);
    (component, count)
}

/// Component of each node, their number and, if asked for, the nodes by time of finishing.
fn search<'a, const FINISHED: bool>(
    n: usize,
    targets: impl Fn(u32) -> &'a [u32],
) -> (Vec<u32>, usize, Vec<u32>) {
    /// A node on the search path: the arcs it has left, its number of visit.
    struct Frame<'a> {
        node: u32,
        index: u32,
        arcs: std::slice::Iter<'a, u32>,
    }
    // 0: not seen; then the least visit number reached; finally the component (counted down from
    // n, so it is above every visit number still in use).
    let mut rindex = vec![0u32; n];
    let mut path: Vec<Frame<'_>> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    let mut index = 1u32;
    let mut next = n as u32;
    let mut finished = Vec::with_capacity(if FINISHED { n } else { 0 });
    for root in 0..n as u32 {
        if rindex[root as usize] != 0 {
            continue;
        }
        let mut enter = Some(root);
        loop {
            if let Some(v) = enter.take() {
                let arcs = targets(v);
                if arcs.is_empty() {
                    // A node without arcs is a component; no need to walk it.
                    rindex[v as usize] = next;
                    next -= 1;
                    if FINISHED {
                        finished.push(v);
                    }
                } else {
                    rindex[v as usize] = index;
                    path.push(Frame { node: v, index, arcs: arcs.iter() });
                    index += 1;
                }
            }
            let Some(frame) = path.last_mut() else { break };
            let mut low = rindex[frame.node as usize];
            for &w in frame.arcs.by_ref() {
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
    (rindex, n - next as usize, finished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use petgraph::graph::DiGraph;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn components_are_petgraphs_and_in_topological_order(
            n in 1usize..20,
            arcs in prop::collection::vec((0u32..20, 0u32..20), 0..60),
        ) {
            let arcs: Vec<(u32, u32)> =
                arcs.into_iter().map(|(a, b)| (a % n as u32, b % n as u32)).collect();
            let mut lists = vec![Vec::new(); n];
            let mut graph = DiGraph::<(), ()>::new();
            for _ in 0..n {
                graph.add_node(());
            }
            for &(a, b) in &arcs {
                lists[a as usize].push(b);
                graph.add_edge(a.into(), b.into(), ());
            }
            let c = Condensation::new(n, |v| &lists[v as usize]);
            let mut ours: Vec<Vec<u32>> = (0..c.len())
                .map(|i| { let mut m = c.members(i).to_vec(); m.sort_unstable(); m })
                .collect();
            for &(a, b) in &arcs {
                prop_assert!(c.component[a as usize] <= c.component[b as usize]);
            }
            let mut theirs: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
                .into_iter()
                .map(|m| { let mut m: Vec<u32> = m.iter().map(|v| v.index() as u32).collect(); m.sort_unstable(); m })
                .collect();
            ours.sort();
            theirs.sort();
            prop_assert_eq!(ours, theirs);
        }
    }
}
