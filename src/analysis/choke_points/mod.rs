//! Choke points: single nodes and links whose loss separates parts of a network.
//!
//! Purely structural: a node counts as supplied while one path from a source is left, whatever it
//! needs to produce. The production-rule test stands beside these (see [`ChokePoints::nodes`]).
//!
//! - *articulation point, bridge*: split the **undirected projection** ("splits the map");
//! - *dominator*: a node, or link, on every path from the sources to something;
//! - *post-dominator*: a node on every path from something to the targets;
//! - *strong articulation point, strong bridge*: break a strongly connected component (a loop).
//!
//! A *link* is an ordered pair of nodes with its flows of all products together. Self-loops never
//! matter.

mod dominators;
mod knock_out;
mod report;
mod strong;
mod undirected;

pub use dominators::{Dominator, DominatorTree, Subtrees};
pub use knock_out::{KnockOut, knock_out, knock_out_memory};
pub use report::{
    ChokeError, ChokeKind, ChokeOptions, ChokePoint, ChokePoints, Place, choke_points,
    choke_points_memory, default_sources,
};
pub use strong::{StrongArticulation, StrongBridge, StrongChokePoints, strong_choke_points};
pub use undirected::{Articulation, Biconnectivity, Bridge, biconnectivity};

#[cfg(test)]
mod tests;
