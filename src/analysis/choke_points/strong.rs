//! Strong articulation points and strong bridges: the choke points of directed cycles.
//!
//! A node (or link) whose removal leaves its strongly connected component no longer strongly
//! connected. Italiano, Laura and Santaroni, "Finding strong bridges and strong articulation
//! points in linear time", Theoretical Computer Science 447 (2012): they are the dominators, and
//! the edge dominators, of the component from any of its nodes in the graph and in its reverse.
//! All components share one pass: one root each, and only edges inside a component.

use super::dominators::{Dominator, DominatorTree};
use crate::analysis::structure::strongly_connected_components;
use crate::analysis::{Cancelled, Progress};
use crate::graph::Csr;

/// A strong articulation point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrongArticulation {
    /// The node.
    pub node: u32,
    /// Nodes of its component.
    pub component_size: u32,
    /// Nodes that the component's hub no longer reaches, plus nodes that no longer reach the hub
    /// (a node may count twice). 0 if the point is the hub itself.
    pub lost_ways: u32,
}

/// A strong bridge: a link u -> v, the flows of all products together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrongBridge {
    /// Supplier.
    pub from: u32,
    /// Consumer.
    pub to: u32,
    /// Nodes of its component.
    pub component_size: u32,
    /// As for [`StrongArticulation::lost_ways`].
    pub lost_ways: u32,
}

/// Strong articulation points and strong bridges of a graph.
#[derive(Debug, Clone)]
pub struct StrongChokePoints {
    /// Strong articulation points, ascending.
    pub articulations: Vec<StrongArticulation>,
    /// Strong bridges, ascending by (from, to).
    pub bridges: Vec<StrongBridge>,
    /// Number of strongly connected components of two or more nodes.
    pub cyclic_components: u32,
    /// Strongly connected component of each node.
    component: Vec<u32>,
    component_edges: Vec<usize>,
    /// Edges inside components.
    inner: Csr,
}

/// Finds them: O(nodes + edges).
///
/// The hub of a component is its node with the greatest product of in-degree and out-degree (the
/// first of equals): what matters is only that one node per component is fixed.
///
/// # Errors
/// [`Cancelled`].
pub fn strong_choke_points(csr: &Csr, progress: &Progress) -> Result<StrongChokePoints, Cancelled> {
    let scc = strongly_connected_components(csr);
    let size = scc.sizes();
    let component = scc.component;
    let mut pairs = Vec::new();
    for u in csr.nodes() {
        for &v in csr.consumers(u) {
            if u != v && component[u as usize] == component[v as usize] {
                pairs.push((u, v));
            }
        }
    }
    let inner = Csr::from_pairs(csr.node_count(), &pairs);
    drop(pairs);
    progress.check()?;

    let mut hub = vec![u32::MAX; size.len()];
    let weight = |v: u32| u64::from(inner.in_degree(v)) * u64::from(inner.out_degree(v));
    for v in csr.nodes() {
        let c = component[v as usize] as usize;
        if size[c] > 1 && (hub[c] == u32::MAX || weight(v) > weight(hub[c])) {
            hub[c] = v;
        }
    }
    let hubs: Vec<u32> = hub.iter().copied().filter(|&h| h != u32::MAX).collect();
    let forward = DominatorTree::build(inner.outgoing(), inner.incoming(), &hubs);
    progress.check()?;
    let backward = DominatorTree::build(inner.incoming(), inner.outgoing(), &hubs);
    progress.check()?;
    let (below, above) = (forward.subtrees(), backward.subtrees());

    let whole_without_hub = connected_without_hubs(&inner, &component, &hub, &size);
    let mut articulations = Vec::new();
    for v in csr.nodes() {
        let c = component[v as usize] as usize;
        if size[c] < 2 {
            continue;
        }
        let is_hub = hub[c] == v;
        let lost_ways = if is_hub { 0 } else { below.size(v) - 1 + above.size(v) - 1 };
        if lost_ways > 0 || (is_hub && !whole_without_hub[c]) {
            articulations.push(StrongArticulation { node: v, component_size: size[c], lost_ways });
        }
    }

    // A link is a strong bridge if it is an edge dominator either way: every other way into its
    // far end comes from what the far end itself dominates. What it cuts off is that subtree.
    let loss_forward = |u: u32, v: u32| {
        let only = forward.immediate(v) == Dominator::Node(u)
            && inner.suppliers(v).iter().all(|&w| w == u || below.dominates(v, w));
        if only { below.size(v) } else { 0 }
    };
    let loss_backward = |u: u32, v: u32| {
        let only = backward.immediate(u) == Dominator::Node(v)
            && inner.consumers(u).iter().all(|&w| w == v || above.dominates(u, w));
        if only { above.size(u) } else { 0 }
    };
    let mut candidates = Vec::new();
    for v in csr.nodes() {
        if let Dominator::Node(u) = forward.immediate(v) {
            candidates.push((u, v));
        }
        if let Dominator::Node(w) = backward.immediate(v) {
            candidates.push((v, w));
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    let mut bridges = Vec::new();
    for (from, to) in candidates {
        let lost_ways = loss_forward(from, to) + loss_backward(from, to);
        if lost_ways > 0 {
            let component_size = size[component[from as usize] as usize];
            bridges.push(StrongBridge { from, to, component_size, lost_ways });
        }
    }
    let mut component_edges = vec![0; size.len()];
    for v in csr.nodes() {
        component_edges[component[v as usize] as usize] += inner.out_degree(v) as usize;
    }
    Ok(StrongChokePoints {
        articulations,
        bridges,
        cyclic_components: hubs.len() as u32,
        component,
        component_edges,
        inner,
    })
}

impl StrongChokePoints {
    /// The strongly connected components that are left of the component of `node` without it,
    /// largest first, each ascending; equal sizes by first node. O(size of the component).
    pub fn parts_without_node(&self, node: u32) -> Vec<Vec<u32>> {
        self.parts(node, |u, v| u != node && v != node, Some(node))
    }

    /// As [`StrongChokePoints::parts_without_node`], for a link.
    pub fn parts_without_link(&self, from: u32, to: u32) -> Vec<Vec<u32>> {
        self.parts(from, |u, v| (u, v) != (from, to), None)
    }

    /// Edges inside the component of a node: the work of [`StrongChokePoints::parts_without_node`].
    pub fn component_edges(&self, node: u32) -> usize {
        self.component_edges[self.component[node as usize] as usize]
    }

    fn parts(
        &self,
        inside: u32,
        keep: impl Fn(u32, u32) -> bool,
        but: Option<u32>,
    ) -> Vec<Vec<u32>> {
        let members: Vec<u32> = reach(&self.inner, inside);
        let members: Vec<u32> = members.into_iter().filter(|&v| Some(v) != but).collect();
        let local = |v: u32| members.binary_search(&v).ok().map(|i| i as u32);
        let mut pairs = Vec::new();
        for (i, &u) in members.iter().enumerate() {
            for &v in self.inner.consumers(u) {
                if keep(u, v)
                    && let Some(j) = local(v)
                {
                    pairs.push((i as u32, j));
                }
            }
        }
        let rest = Csr::from_pairs(members.len(), &pairs);
        let scc = strongly_connected_components(&rest);
        let mut parts = vec![Vec::new(); scc.count];
        for (i, &c) in scc.component.iter().enumerate() {
            parts[c as usize].push(members[i]);
        }
        parts.sort_by(|a: &Vec<u32>, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        parts
    }
}

/// Nodes that `start` reaches, ascending.
fn reach(csr: &Csr, start: u32) -> Vec<u32> {
    let mut seen = fixedbitset::FixedBitSet::with_capacity(csr.node_count());
    seen.insert(start as usize);
    let mut queue = vec![start];
    let mut at = 0;
    while at < queue.len() {
        for &w in csr.consumers(queue[at]) {
            if !seen.put(w as usize) {
                queue.push(w);
            }
        }
        at += 1;
    }
    queue.sort_unstable();
    queue
}

/// Whether each component is still strongly connected without its hub.
fn connected_without_hubs(inner: &Csr, component: &[u32], hub: &[u32], size: &[u32]) -> Vec<bool> {
    let is_hub = |v: u32| hub[component[v as usize] as usize] == v;
    let mut pairs = Vec::new();
    for u in inner.nodes().filter(|&u| !is_hub(u)) {
        pairs.extend(inner.consumers(u).iter().filter(|&&v| !is_hub(v)).map(|&v| (u, v)));
    }
    let rest = Csr::from_pairs(inner.node_count(), &pairs);
    let scc = strongly_connected_components(&rest);
    let mut first = vec![u32::MAX; size.len()];
    let mut whole = vec![true; size.len()];
    for v in inner.nodes().filter(|&v| !is_hub(v)) {
        let c = component[v as usize] as usize;
        if first[c] == u32::MAX {
            first[c] = scc.component[v as usize];
        } else if first[c] != scc.component[v as usize] {
            whole[c] = false;
        }
    }
    whole
}
