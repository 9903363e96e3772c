//! The snapshot: the immutable in-memory form of one version of a graph, ready for analyses.
//!
//! Knows `model` only: no storage, no HTTP, no clock. Analyses are pure functions of a
//! [`Snapshot`] and a question.

mod condensation;
mod csr;
mod edit;
mod fingerprint;
mod petgraph_traits;
mod select;
mod snapshot;

pub use condensation::{Condensation, strong_components};
pub use csr::{Adjacency, Csr, WeightError, Weighting};
pub use select::SelectError;
pub use snapshot::{Snapshot, SnapshotInfo};
