//! Tiers: how many steps of the supply chain lie before and after a node.

use super::components::{Components, strongly_connected_components};
use crate::graph::Csr;

/// Topological layers of the condensation: nodes that supply each other in a cycle share a tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers {
    /// Longest chain of components from any start to the node: 0 for nodes without suppliers
    /// outside their own cycle, else 1 + the highest tier of a supplier.
    pub tier: Vec<u32>,
    /// Longest chain of components from the node to any end: 0 for final consumers.
    pub height: Vec<u32>,
    /// Number of tiers (0 for the empty graph).
    pub count: u32,
    /// True for nodes that lie on a cycle (a self-loop included).
    pub cyclic: Vec<bool>,
    /// Strongly connected component of each node, in topological order.
    pub components: Components,
}

/// Tiers of every node: O(nodes + edges).
pub fn tiers(csr: &Csr) -> Tiers {
    let components = strongly_connected_components(csr);
    let (members, start) = components.members();
    let component = |v: u32| components.component[v as usize] as usize;
    let mut depth = vec![0u32; components.count];
    // Components come in topological order, so one pass each way is enough.
    for c in 0..components.count {
        for &v in &members[start[c] as usize..start[c + 1] as usize] {
            for &w in csr.consumers(v) {
                if component(w) != c {
                    depth[component(w)] = depth[component(w)].max(depth[c] + 1);
                }
            }
        }
    }
    let mut height = vec![0u32; components.count];
    for c in (0..components.count).rev() {
        for &v in &members[start[c] as usize..start[c + 1] as usize] {
            for &w in csr.consumers(v) {
                if component(w) != c {
                    height[c] = height[c].max(height[component(w)] + 1);
                }
            }
        }
    }
    let sizes = components.sizes();
    Tiers {
        tier: csr.nodes().map(|v| depth[component(v)]).collect(),
        height: csr.nodes().map(|v| height[component(v)]).collect(),
        count: depth.iter().max().map_or(0, |d| d + 1),
        cyclic: csr.nodes().map(|v| sizes[component(v)] > 1 || csr.edge(v, v).is_some()).collect(),
        components,
    }
}
