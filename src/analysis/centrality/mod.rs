//! Centralities: how much of the network hangs on a node or a flow.
//!
//! Every measure is a plain function of a [`crate::graph::Csr`] view. The view decides what a
//! weight is ([`crate::graph::Weighting`]): strengths for degree-like and spectral measures,
//! lengths for measures of shortest paths; without weights every edge counts 1. Directions are
//! kept; an undirected projection is made only where it is asked for ([`crate::graph::Csr::undirected`],
//! [`crate::analysis::structure::Direction::Both`]). The same view and options give the same bytes
//! for any number of threads.

mod approximate;
mod attack;
mod betweenness;
mod brandes;
mod closeness;
mod core;
mod degree;
mod group;
mod influence;
mod pagerank;
mod parallel;
mod spectral;

pub use approximate::{
    ApproximateBetweenness, ApproximateOptions, approximate_betweenness,
    approximate_betweenness_bytes,
};
pub use attack::{AttackCurve, AttackOrder, attack_bytes, attack_curve};
pub use betweenness::{
    BetweennessOptions, Sources, betweenness, betweenness_bytes, edge_betweenness,
};
pub use closeness::{ClosenessOptions, closeness, closeness_bytes, harmonic};
pub use core::{core_bytes, core_numbers};
pub use degree::{degree, strength};
pub use group::{GroupCentrality, group_bytes, group_centrality};
pub use influence::collective_influence;
pub use pagerank::{PageRankOptions, pagerank, pagerank_bytes};
pub use spectral::{
    DomiRankOptions, Hits, KatzOptions, Stop, domirank, eigenvector, hits, katz, spectral_bytes,
    spectral_radius_bound,
};

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
