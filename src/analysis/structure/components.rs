//! Strongly and weakly connected components.

use crate::graph::{Csr, strong_components};

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
        let mut start = vec![0u32; self.count + 1];
        for &c in &self.component {
            start[c as usize + 1] += 1;
        }
        for c in 0..self.count {
            start[c + 1] += start[c];
        }
        let mut next = start.clone();
        let mut members = vec![0u32; self.component.len()];
        for (v, &c) in self.component.iter().enumerate() {
            let slot = &mut next[c as usize];
            members[*slot as usize] = v as u32;
            *slot += 1;
        }
        (members, start)
    }
}

/// Strongly connected components: two nodes are together if each reaches the other.
///
/// Numbered in topological order: every edge leads to the same or a higher component.
/// O(nodes + edges).
pub fn strongly_connected_components(csr: &Csr) -> Components {
    let (component, count) = strong_components(csr.node_count(), |v| csr.consumers(v));
    Components { component, count }
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
