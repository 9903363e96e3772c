//! Strongly connected components in topological order (Tarjan 1972, without recursion).

/// The components of a directed graph, sources first.
#[derive(Debug, Clone, Default)]
pub struct Condensation {
    /// Nodes, component by component; inside a component in reverse order of completion, so that
    /// most arcs point forward.
    pub nodes: Vec<u32>,
    /// Start of each component in `nodes`, and the end.
    pub starts: Vec<u32>,
    /// Component of each node.
    pub component: Vec<u32>,
}

impl Condensation {
    /// Components of the graph with nodes `0..n` and the arcs `node -> targets(node)`.
    pub fn new<'a>(n: usize, targets: impl Fn(u32) -> &'a [u32]) -> Self {
        const UNSEEN: u32 = u32::MAX;
        let mut index = vec![UNSEEN; n];
        let mut low = vec![0u32; n];
        let mut component = vec![UNSEEN; n];
        let mut stack: Vec<u32> = Vec::new();
        // (node, position of its next arc)
        let mut calls: Vec<(u32, u32)> = Vec::new();
        let mut next_index = 0u32;
        // Filled from the back: Tarjan finds sinks first.
        let mut nodes = vec![0u32; n];
        let mut front = n;
        let mut starts_reversed = Vec::new();
        for root in 0..n as u32 {
            if index[root as usize] != UNSEEN {
                continue;
            }
            calls.push((root, 0));
            while let Some(&mut (node, ref mut arc)) = calls.last_mut() {
                let v = node as usize;
                if *arc == 0 && index[v] == UNSEEN {
                    index[v] = next_index;
                    low[v] = next_index;
                    next_index += 1;
                    stack.push(node);
                }
                let list = targets(node);
                let mut descend = None;
                while (*arc as usize) < list.len() {
                    let w = list[*arc as usize];
                    *arc += 1;
                    if index[w as usize] == UNSEEN {
                        descend = Some(w);
                        break;
                    }
                    if component[w as usize] == UNSEEN {
                        low[v] = low[v].min(index[w as usize]);
                    }
                }
                if let Some(w) = descend {
                    calls.push((w, 0));
                    continue;
                }
                calls.pop();
                if let Some(&(parent, _)) = calls.last() {
                    low[parent as usize] = low[parent as usize].min(low[v]);
                }
                if low[v] == index[v] {
                    let id = starts_reversed.len() as u32;
                    while let Some(w) = stack.pop() {
                        component[w as usize] = id;
                        front -= 1;
                        nodes[front] = w;
                        if w == node {
                            break;
                        }
                    }
                    starts_reversed.push(front as u32);
                }
            }
        }
        let count = starts_reversed.len() as u32;
        for c in &mut component {
            *c = count - 1 - *c;
        }
        let mut starts: Vec<u32> = starts_reversed.into_iter().rev().collect();
        starts.push(n as u32);
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

#[cfg(test)]
mod tests {
    use super::*;
    use petgraph::graph::DiGraph;
    use proptest::prelude::*;

    proptest! {
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
