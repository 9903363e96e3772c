//! The best paths between two sets of nodes.

use fixedbitset::FixedBitSet;

use super::ranked::{Path, k_shortest_paths, k_widest_paths};
use crate::analysis::Progress;
use crate::analysis::structure::StructureError;
use crate::analysis::structure::error::{require, require_nodes};
use crate::graph::Csr;

/// Which paths are best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathKind {
    /// Least sum of the lengths (steps without weights).
    #[default]
    Shortest,
    /// Greatest least weight.
    Widest,
}

/// The `k` best loopless paths from any of `from` to any of `to`, best first; fewer if there are no
/// more. As [`k_shortest_paths`] and [`k_widest_paths`], on the graph with one node before all of
/// `from` and one behind all of `to`.
///
/// # Errors
/// As those; a node that is in both sets.
pub fn best_paths(
    csr: &Csr,
    from: &[u32],
    to: &[u32],
    k: usize,
    kind: PathKind,
    progress: &Progress,
) -> Result<Vec<Path>, StructureError> {
    let n = csr.node_count();
    require_nodes("from", from, n)?;
    require_nodes("to", to, n)?;
    require(!from.is_empty(), "from", "empty", "at least one node")?;
    require(!to.is_empty(), "to", "empty", "at least one node")?;
    let best = |csr: &Csr, from, to| match kind {
        PathKind::Shortest => k_shortest_paths(csr, from, to, k, progress),
        PathKind::Widest => k_widest_paths(csr, from, to, k, progress),
    };
    if let (&[from], &[to]) = (from, to) {
        return best(csr, from, to);
    }
    let mut starts = FixedBitSet::with_capacity(n);
    from.iter().for_each(|&v| starts.insert(v as usize));
    if let Some(&both) = to.iter().find(|&&v| starts.contains(v as usize)) {
        return Err(StructureError::parameter("to", both, "without nodes of the start"));
    }
    // So short that it vanishes in every sum, so wide that it never is the least.
    let free = match kind {
        PathKind::Shortest => f64::MIN_POSITIVE,
        PathKind::Widest => f64::MAX,
    };
    let (start, end) = (n as u32, n as u32 + 1);
    let mut edges = Vec::with_capacity(csr.edge_count() + from.len() + to.len());
    for v in csr.nodes() {
        edges.extend(csr.edges_out(v).map(|e| (v, csr.target(e), csr.weight(e))));
    }
    let sorted = |nodes: &[u32]| {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    };
    edges.extend(sorted(from).into_iter().map(|v| (start, v, free)));
    edges.extend(sorted(to).into_iter().map(|v| (v, end, free)));
    let mut paths = best(&Csr::from_edges(n + 2, &edges), start, end)?;
    for path in &mut paths {
        path.nodes.pop();
        path.nodes.remove(0);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn the_best_of_two_sets_is_the_best_of_all_pairs(
            edges in prop::collection::vec((0u32..9, 0u32..9, 1u32..6), 1..40),
            widest in any::<bool>(),
        ) {
            let edges: Vec<(u32, u32, f64)> =
                edges.into_iter().map(|(u, v, w)| (u, v, f64::from(w))).collect();
            let csr = Csr::from_edges(9, &edges);
            let (from, to) = ([0, 1, 2], [6, 7]);
            let kind = if widest { PathKind::Widest } else { PathKind::Shortest };
            let quiet = Progress::silent();
            let ours = best_paths(&csr, &from, &to, 6, kind, &quiet).unwrap();
            let mut all = Vec::new();
            for s in from {
                for t in to {
                    all.extend(best_paths(&csr, &[s], &[t], 6, kind, &quiet).unwrap());
                }
            }
            let mut values: Vec<f64> = all.iter().map(|p| p.value).collect();
            values.sort_by(f64::total_cmp);
            if widest {
                values.reverse();
            }
            values.truncate(6);
            // Paths through several nodes of a set count for each of their ends.
            prop_assert_eq!(ours.iter().map(|p| p.value).collect::<Vec<_>>(), values);
            for path in ours {
                prop_assert!(from.contains(&path.nodes[0]));
                prop_assert!(to.contains(&path.nodes[path.nodes.len() - 1]));
            }
        }
    }
}
