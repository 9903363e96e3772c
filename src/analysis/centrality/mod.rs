//! Centralities: how much of the network hangs on a node or a flow.

mod approximate;
mod betweenness;
mod brandes;
mod pagerank;
mod parallel;

pub use approximate::{
    ApproximateBetweenness, ApproximateOptions, approximate_betweenness,
    approximate_betweenness_bytes,
};
pub use betweenness::{
    BetweennessOptions, Sources, betweenness, betweenness_bytes, edge_betweenness,
};
pub use pagerank::{PageRankOptions, pagerank};

/// One number for each node (or edge) and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Score of each node by index (for edge measures: of each edge of the view).
    pub scores: Vec<f64>,
    /// False if an iteration ended at its limit; `error` says how far it got.
    pub converged: bool,
    /// Sweeps of an iterative method; 0 for direct ones.
    pub iterations: u32,
    /// Bound on the error (each measure says in which norm); `None` if exact up to rounding.
    pub error: Option<f64>,
}

impl Scores {
    /// Scores of a direct method.
    pub fn exact(scores: Vec<f64>) -> Self {
        Self { scores, converged: true, iterations: 0, error: None }
    }
}
