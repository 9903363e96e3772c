//! Graph cuts: sets of flows or nodes whose removal leaves no path.
//!
//! These are `graph` cuts, a matter of paths: one path is enough to count as supplied. What stops
//! production is a functional cut set, another question with another answer.
//!
//! A cut is the set of what is cut, never a way to split the nodes: two splits that cut the same
//! flows are one cut. Directed unless a name says undirected.

mod all_minimum;
mod capacity;
mod cheapest;
mod flow;
mod global;
mod problem;
mod question;
mod tree;

pub use all_minimum::AllMinimum;
pub use capacity::{CapacityRule, ScaleError, Scaled, scale_capacities};
pub use cheapest::Cheapest;
pub use global::{UndirectedCut, UndirectedEdge, global_minimum_cut};
pub use problem::{CutProblem, CutState, SidedCut};
pub use question::{
    Cut, CutList, CutOptions, CutTreeAnswer, Cuts, GlobalCut, Sides, cut_tree, cut_tree_memory,
    cuts, cuts_memory, global_cut, global_cut_memory,
};
pub use tree::{CutTree, gomory_hu_tree};

use crate::analysis::{Cancelled, Progress};

#[cfg(test)]
mod tests;

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CutKind {
    /// Links: all flows from one node to another together.
    #[default]
    Edge,
    /// Nodes that are neither source nor target.
    Vertex,
}

/// A cut question that cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CutError {
    /// Stopped on request.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// No source or no target.
    #[error("a cut needs at least one source and one target; name them with \"from\" and \"to\"")]
    NoTerminals,
    /// A node index outside the graph.
    #[error("node index {0} is outside the graph")]
    UnknownNode(u32),
    /// Overlapping or adjacent sets (see [`CutState`]), where no cut exists.
    #[error("nothing that may be cut separates the sources from the targets")]
    NoCut,
    /// A flow or node without the attribute that capacities are read from.
    #[error(
        "{what} has no attribute \"{attribute}\"; set it on every one or choose another capacity"
    )]
    MissingAttribute {
        /// Which flow or node, by id.
        what: String,
        /// Attribute asked for.
        attribute: String,
    },
    /// An attribute that is no number.
    #[error(
        "{what}: attribute \"{attribute}\" is {found}; as a capacity it must be a number of 0 or more"
    )]
    NotANumber {
        /// Which flow or node, by id.
        what: String,
        /// Attribute asked for.
        attribute: String,
        /// What was found.
        found: String,
    },
    /// A capacity below zero or infinite.
    #[error("{what}: {problem}")]
    Capacity {
        /// Which flow or node, by id.
        what: String,
        /// What is wrong with it.
        problem: ScaleError,
    },
    /// The capacities are too large together.
    #[error("{0}; divide them by a common factor")]
    TooLarge(ScaleError),
    /// An own mistake: the two computations of one number differ.
    #[error(
        "internal error: a maximum flow of {flow} was found beside a cut of {cut}; please report it with the graph"
    )]
    Inconsistent {
        /// Value of the flow, in capacity units.
        flow: u64,
        /// Weight of the cut.
        cut: u64,
    },
}
