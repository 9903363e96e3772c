//! Why a structural analysis has no answer.

use crate::analysis::Cancelled;
use crate::graph::WeightError;

/// Error of centralities, paths and structure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StructureError {
    /// A parameter is out of its range.
    #[error("{name} is {found}; it must be {wanted}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// The question has no answer on this graph.
    #[error("{problem}; {hint}")]
    Undefined {
        /// What is not defined, and why.
        problem: String,
        /// What to ask instead.
        hint: &'static str,
    },
    /// An edge has no weight that the analysis could use.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// The analysis was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl StructureError {
    /// A parameter out of its range.
    pub(crate) fn parameter(
        name: &'static str,
        found: impl std::fmt::Display,
        wanted: &'static str,
    ) -> Self {
        Self::Parameter { name, found: found.to_string(), wanted }
    }
}

/// Refuses `value` unless `holds`.
pub(crate) fn require(
    holds: bool,
    name: &'static str,
    value: impl std::fmt::Display,
    wanted: &'static str,
) -> Result<(), StructureError> {
    if holds { Ok(()) } else { Err(StructureError::parameter(name, value, wanted)) }
}

/// Refuses node indices that the graph does not have.
pub(crate) fn require_nodes(
    name: &'static str,
    nodes: &[u32],
    node_count: usize,
) -> Result<(), StructureError> {
    match nodes.iter().find(|&&v| v as usize >= node_count) {
        None => Ok(()),
        Some(v) => Err(StructureError::parameter(name, v, "an index of a node of the graph")),
    }
}
