//! Knock-out reachability: what every single node cuts off from the sources if it is lost.
//!
//! One dominator tree answers for all nodes: without d exactly the nodes that d dominates are no
//! longer reached. Near linear, where removing the nodes one by one takes O(nodes x flows).
//! Purely structural: one path is enough to count as supplied.

use super::dominators::{Dominator, DominatorTree};
use crate::analysis::{Cancelled, Progress};
use crate::graph::Csr;

/// What each node cuts off. Index = node.
#[derive(Debug, Clone, PartialEq)]
pub struct KnockOut {
    /// Whether the sources reach the node as things are.
    pub reached: Vec<bool>,
    /// Number of other nodes that the sources reach only through it.
    pub lost: Vec<u32>,
    /// How many of those are targets (all of them if there are no targets).
    pub lost_targets: Vec<u32>,
    /// Weight of those, itself not included.
    pub lost_weight: Vec<f64>,
    /// The last node on every path from the sources to the node.
    pub dominator: Vec<Dominator>,
    /// Number of nodes that the sources reach, themselves included.
    pub reached_count: u32,
}

/// Evaluates the loss of every node alone. `weight` says what a cut-off node counts (for example
/// its output).
///
/// # Errors
/// [`Cancelled`].
///
/// # Panics
/// If a source or target is no node of the graph.
pub fn knock_out(
    csr: &Csr,
    sources: &[u32],
    targets: Option<&[u32]>,
    weight: impl Fn(u32) -> f64,
    progress: &Progress,
) -> Result<KnockOut, Cancelled> {
    progress.start(2);
    let tree = DominatorTree::build(csr.outgoing(), csr.incoming(), sources);
    progress.advance(1)?;
    let mut is_target = vec![targets.is_none(); csr.node_count()];
    for &t in targets.unwrap_or_default() {
        is_target[t as usize] = true;
    }
    let reached: Vec<bool> = csr.nodes().map(|v| tree.is_reached(v)).collect();
    let mut lost = tree.subtree_counts(|_| true);
    let mut lost_targets = tree.subtree_counts(|v| is_target[v as usize]);
    let mut lost_weight = tree.subtree_sums(&weight);
    for v in 0..csr.node_count() {
        if reached[v] {
            lost[v] -= 1;
            lost_targets[v] -= u32::from(is_target[v]);
            // A leaf loses exactly nothing, whatever rounding says.
            lost_weight[v] = if lost[v] == 0 { 0.0 } else { lost_weight[v] - weight(v as u32) };
        }
    }
    progress.advance(1)?;
    Ok(KnockOut {
        reached_count: tree.reached() as u32,
        reached,
        lost,
        lost_targets,
        lost_weight,
        dominator: csr.nodes().map(|v| tree.immediate(v)).collect(),
    })
}

/// Bytes that [`knock_out`] needs beside the graph.
pub fn knock_out_memory(nodes: usize) -> usize {
    // Tree while it is built, then the answer.
    nodes * (24 + 1 + 4 + 4 + 8 + 8 + 8)
}
