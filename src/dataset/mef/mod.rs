//! Fault trees in the Open-PSA Model Exchange Format: a subset, both ways.
//!
//! Read: gates of `and`, `or`, `atleast` or a single input, basic events with a `float`
//! probability, house events with a `constant`. Everything else (`not`, `xor`, nested formulas,
//! common cause groups, parameters, components) is refused with its line, because supply losses are
//! monotone and a tree that is half understood is worse than none.
//!
//! A gate is true when the function is lost. As a graph: `or` needs every input, `and` one of its
//! inputs, `atleast k` of n fails when k inputs have failed, so it needs n - k + 1 of them. Threshold
//! rules say exactly that.

mod read;
mod records;
mod write;

pub use read::read;
pub use write::write;

/// How the inputs of a gate act together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connective {
    /// True if all inputs are.
    And,
    /// True if any input is.
    Or,
    /// True if at least this many inputs are.
    AtLeast(u32),
}

/// A gate: what it is called and when it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Name.
    pub name: String,
    /// How the inputs act together.
    pub connective: Connective,
    /// Names of gates, basic events and house events.
    pub inputs: Vec<String>,
}

/// A basic event: something that can be lost by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BasicEvent {
    /// Name.
    pub name: String,
    /// Probability that it is lost, if stated.
    pub probability: Option<f64>,
}

/// A coherent fault tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultTree {
    /// Name of the tree.
    pub name: String,
    /// Name of the gate that stands for the loss.
    pub top: String,
    /// Gates, in the order of the file.
    pub gates: Vec<Gate>,
    /// Basic events, in the order of the file.
    pub events: Vec<BasicEvent>,
    /// House events: names that are always true or never.
    pub houses: Vec<(String, bool)>,
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct MefError {
    /// Line of the file, from 1.
    pub line: u32,
    /// What is wrong there and what to do.
    pub problem: String,
}

/// What an imported tree cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// House events settle the top gate.
    #[error("the top gate {top} is {} whatever the basic events do; there is nothing to analyse", if *.lost { "always true" } else { "never true" })]
    Constant {
        /// The top gate.
        top: String,
        /// What it always is.
        lost: bool,
    },
    /// A name that no record may carry.
    #[error("{name}: {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tree made by hand that contradicts itself.
    #[error("gate {gate} names {input}, which is not defined or depends on the gate itself")]
    Input {
        /// The gate.
        gate: String,
        /// Its input.
        input: String,
    },
}

/// The tree as a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeRecords {
    /// Nodes, flows and requirements; each basic event is a node with its probability as attribute.
    pub records: Vec<crate::model::Record>,
    /// Id of the node whose loss the tree is about.
    pub target: String,
}
