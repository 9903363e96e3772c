//! Paths: the k shortest, the k widest, the longest chain.

mod longest;
mod ranked;
mod sets;

pub use longest::{Chain, ChainLength, longest_chain};
pub use ranked::{Path, k_shortest_paths, k_widest_paths};
pub use sets::{PathKind, best_paths};

pub use crate::analysis::structure::{distances, reach};
