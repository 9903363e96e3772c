//! Degree and strength.

use super::Scores;
use crate::analysis::structure::traverse::require_strengths;
use crate::analysis::structure::{Direction, StructureError};
use crate::graph::Csr;

/// Number of consumers (out), suppliers (in) or both added up, of every node. Flows of several
/// products between the same two nodes count once; a self-loop counts on both sides. Normalised:
/// divided by n - 1 (NetworkX's degree centrality).
pub fn degree(csr: &Csr, direction: Direction, normalized: bool) -> Scores {
    let others = csr.node_count().saturating_sub(1).max(1) as f64;
    let scale = if normalized { 1.0 / others } else { 1.0 };
    let degree = |v| match direction {
        Direction::Out => csr.out_degree(v),
        Direction::In => csr.in_degree(v),
        Direction::Both => csr.out_degree(v) + csr.in_degree(v),
    };
    Scores::exact(csr.nodes().map(|v| f64::from(degree(v)) * scale).collect())
}

/// Sum of the weights that leave (out), arrive (in) or both, of every node, in the unit of the
/// weight. Normalised: divided by the sum of all weights, so out and in are shares of all flow.
///
/// # Errors
/// A negative weight.
pub fn strength(
    csr: &Csr,
    direction: Direction,
    normalized: bool,
) -> Result<Scores, StructureError> {
    require_strengths(csr)?;
    let out = |v| csr.edges_out(v).map(|e| csr.weight(e)).sum::<f64>();
    let arriving = |v| csr.arrivals(v).map(|k| csr.arrival_weight(k)).sum::<f64>();
    let total: f64 = csr.nodes().map(out).sum();
    let scale = if normalized && total > 0.0 { 1.0 / total } else { 1.0 };
    let strength = |v| match direction {
        Direction::Out => out(v),
        Direction::In => arriving(v),
        Direction::Both => out(v) + arriving(v),
    };
    Ok(Scores::exact(csr.nodes().map(|v| strength(v) * scale).collect()))
}
