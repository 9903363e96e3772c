//! Gomory-Hu cut tree of an undirected graph: the minimum cuts of all pairs in n - 1 flows.
//!
//! Gusfield, "Very simple methods for all pairs network flow analysis", SIAM J. Computing 19
//! (1990): the flows run in the whole graph, nothing is contracted. There is no directed
//! counterpart.

use super::flow::{FlowNetwork, NodeSet};
use super::global::UndirectedEdge;
use super::{CutError, Progress};

/// A tree on the nodes: the minimum cut between two nodes weighs as much as the lightest edge on
/// their path in it, and that edge splits the tree into the two sides of such a cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CutTree {
    /// Parent of each node; node 0 is the root and its own parent.
    pub parent: Vec<u32>,
    /// Weight of the edge to the parent (0 for the root).
    pub weight: Vec<u64>,
}

impl CutTree {
    /// Weight of a minimum cut between two different nodes; `None` if they are the same.
    ///
    /// # Panics
    /// If a node is outside the graph.
    pub fn minimum_cut(&self, a: u32, b: u32) -> Option<u64> {
        if a == b {
            return None;
        }
        let depth = |mut v: u32| {
            let mut steps = 0u32;
            while v != 0 {
                v = self.parent[v as usize];
                steps += 1;
            }
            steps
        };
        let (mut a, mut b) = (a, b);
        let (mut depth_a, mut depth_b) = (depth(a), depth(b));
        let mut least = u64::MAX;
        while a != b {
            let (v, d) =
                if depth_a >= depth_b { (&mut a, &mut depth_a) } else { (&mut b, &mut depth_b) };
            least = least.min(self.weight[*v as usize]);
            *v = self.parent[*v as usize];
            *d -= 1;
        }
        Some(least)
    }

    /// The subtree of a node, ascending: one side of the cut that its edge to the parent stands
    /// for.
    pub fn side(&self, node: u32) -> Vec<u32> {
        let mut inside = vec![None; self.parent.len()];
        inside[0] = Some(node == 0);
        if let Some(own) = inside.get_mut(node as usize) {
            *own = Some(true);
        }
        for v in 0..self.parent.len() {
            let mut walk = Vec::new();
            let mut at = v;
            while inside[at].is_none() {
                walk.push(at);
                at = self.parent[at] as usize;
            }
            let known = inside[at];
            for at in walk {
                inside[at] = known;
            }
        }
        (0..self.parent.len() as u32).filter(|&v| inside[v as usize] == Some(true)).collect()
    }
}

/// Builds the tree for a graph of `n` nodes: n - 1 maximum flows. Equal edges add up; self-loops do
/// not matter.
///
/// # Errors
/// [`CutError::Cancelled`]; [`CutError::Inconsistent`].
///
/// # Panics
/// If an edge ends outside the graph, or the sum of the weights is 2^62 or more.
pub fn gomory_hu_tree(
    n: usize,
    edges: &[UndirectedEdge],
    progress: &Progress,
) -> Result<CutTree, CutError> {
    assert!(edges.iter().map(|e| u128::from(e.2)).sum::<u128>() < 1 << 62, "weights too large");
    let mut sorted: Vec<UndirectedEdge> = edges
        .iter()
        .filter(|e| e.0 != e.1 && e.2 > 0)
        .map(|&(u, v, w)| (u.min(v), u.max(v), w))
        .collect();
    sorted.sort_unstable();
    sorted.dedup_by(|next, kept| {
        let same = (next.0, next.1) == (kept.0, kept.1);
        if same {
            kept.2 += next.2;
        }
        same
    });
    let both_ways = sorted.iter().map(|&(u, v, w)| ((u, v), (w, w)));
    let mut network = FlowNetwork::from_sorted(n, both_ways);
    let mut tree = CutTree { parent: vec![0; n], weight: vec![0; n] };
    progress.start(n.saturating_sub(1) as u64);
    for s in 1..n as u32 {
        let t = tree.parent[s as usize];
        network.reset_undirected();
        let flow = network.augment(&[s], &[t], progress)?;
        let side = network.reached_from(&[s]);
        let cut = crossing(&network, &side);
        if cut != flow {
            return Err(CutError::Inconsistent { flow, cut });
        }
        tree.weight[s as usize] = flow;
        for v in side.ones() {
            if v as u32 != s && tree.parent[v] == t && v as u32 != t {
                tree.parent[v] = s;
            }
        }
        let above = tree.parent[t as usize];
        if above != t && side.contains(above as usize) {
            tree.parent[s as usize] = above;
            tree.parent[t as usize] = s;
            tree.weight[s as usize] = tree.weight[t as usize];
            tree.weight[t as usize] = flow;
        }
        progress.advance(1)?;
    }
    Ok(tree)
}

/// Weight of the edges of an undirected network with one end in a set.
fn crossing(network: &FlowNetwork, side: &NodeSet) -> u64 {
    let mut weight = 0;
    for u in side.ones() {
        for position in network.arcs(u as u32) {
            let arc = network.arc(position);
            if !side.contains(arc.head as usize) {
                weight += arc.total / 2;
            }
        }
    }
    weight
}
