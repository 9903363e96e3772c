//! Minimal cut sets, worst cases, cheapest cuts and protection under the production rules.
//!
//! A *unit* is what can be removed as a whole: a node, a flow, a country, a country's stage, an
//! owner. A *cut* is a set of units whose removal costs the target at least a given share of its
//! output; losses are monotone, so cuts are upward closed and the minimal ones say it all. A *path
//! set* is a set of units whose survival alone prevents the cut; minimal cut sets and minimal path
//! sets are each other's minimal hitting sets.
//!
//! | question | module | method |
//! |---|---|---|
//! | the complete family, counts, probability | [`family`] | decision diagrams, minimal solutions, modules |
//! | all cut sets up to a size | [`bounded`] | branching on path sets, the impact engine as oracle |
//! | the cheapest, the next cheapest | [`cheapest`] | implicit hitting set |
//! | the worst loss for a budget | [`worst_case`] | branch and bound on the engine, with a bound |
//! | what to protect, what to build | [`protection`] | hitting set over cuts, cover cuts |
//!
//! Nothing here computes production: losses come from a [`LossOracle`], which [`engine`] makes of the
//! impact engine. [`problem`] compiles a snapshot into the structure that diagrams need and states the
//! same rules; [`levels`] evaluates it. Units are numbered in the order of their names, so sets in
//! the order of (size, numbers) are in the order of (size, names).

pub mod bdd;
pub mod bounded;
pub mod cheapest;
pub mod dag;
pub mod diagram;
mod double;
pub mod engine;
mod evaluate;
pub mod family;
pub mod hitting_set;
pub mod importance;
pub mod levels;
pub mod oracle;
pub mod problem;
pub mod protection;
pub mod stream;
pub mod worst_case;
pub mod zbdd;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use dag::{FailureGraph, Gate};
pub use engine::EngineOracle;
pub use evaluate::Watched;
pub use family::Family;
pub use oracle::{AtLeast, CutTest, LossOracle};
pub use problem::Problem;
pub use stream::Order;

use crate::analysis::Cancelled;

/// Losses this close to the threshold reach it, and supply this close to what is needed is enough:
/// sums of shares in another order must not change an answer.
pub const LOSS_TOLERANCE: f64 = 1e-9;

/// Which fixed point counts where supply runs in loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// The running system is hit: a node stops only if that follows from what was removed, so a
    /// loop that feeds itself keeps running (greatest operating fixed point).
    #[default]
    Collapse,
    /// The system starts from nothing: supply must be founded on raw sources (least operating
    /// fixed point).
    Bootstrap,
}

/// How much work an answer may take. All limits count work, not time, so that equal questions get
/// equal answers on any machine; a caller who must stop earlier cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Nodes of decision diagrams (about 40 bytes each).
    pub diagram_nodes: usize,
    /// Questions to the loss oracle.
    pub oracle_calls: u64,
    /// Work of all questions together, in units of [`CutTest::effort`] (about a nanosecond each).
    pub work: u64,
    /// Sets held in memory at once.
    pub sets: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            diagram_nodes: 12_000_000,
            oracle_calls: 2_000_000,
            work: 20_000_000_000,
            sets: 1_000_000,
        }
    }
}

/// How far an answer can be trusted to be all there is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Status {
    /// Everything, proved.
    Exact,
    /// All sets up to this size are there; larger ones were not looked for.
    CompleteToSize {
        /// The size.
        size: usize,
    },
    /// The budget ran out: what is there is right, more may exist.
    Truncated {
        /// All sets of 1 to this many units are there nevertheless.
        complete_to_size: usize,
        /// The limit that was hit.
        limit: String,
    },
    /// The best value lies between these.
    Bounds {
        /// Not less than this.
        lower: f64,
        /// Not more than this.
        upper: f64,
        /// The limit that was hit.
        limit: String,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SetError {
    /// A threshold that no loss can be compared with.
    #[error("loss_at_least is {0}; give a share above 0 and at most 1")]
    Threshold(f64),
    /// There is nothing to remove.
    #[error("no units: name at least one node, flow or group that can be removed")]
    NoUnits,
    /// The target has no nodes, or none with any weight.
    #[error("the target has no node with output to lose; widen its selector")]
    NoTarget,
    /// A number per unit that is missing or out of range.
    #[error("{what} of unit {unit} is {value}; {rule}")]
    UnitValue {
        /// `cost` or `probability`.
        what: &'static str,
        /// Number of the unit.
        unit: usize,
        /// The number given.
        value: f64,
        /// What is allowed.
        rule: &'static str,
    },
    /// A structure that contradicts itself.
    #[error("malformed problem: {0}")]
    Malformed(String),
    /// The exact family does not fit the budget.
    #[error(
        "the complete family needs more than {nodes} diagram nodes (about {megabytes} MB); \
         ask for sets up to a size, fewer units, or the cheapest cuts"
    )]
    TooLarge {
        /// The budget.
        nodes: usize,
        /// What that takes.
        megabytes: usize,
    },
    /// The structure holds rules that diagrams do not cover.
    #[error("the complete family is not available: {0}; ask for sets up to a size")]
    NotCovered(String),
    /// A search that would take more than the budget before it starts.
    #[error(
        "sets of up to {size} of {units} units need about {calls:.1e} evaluations, more than the \
         budget of {budget:.1e}; lower max_size or group the units"
    )]
    TooMany {
        /// Size asked for.
        size: usize,
        /// Number of units.
        units: usize,
        /// Estimate.
        calls: f64,
        /// The budget.
        budget: f64,
    },
    /// The time given was over before anything was proved.
    #[error("the time given was over before a choice was proved; give more, or lower max_size")]
    OutOfTime,
    /// Nothing prevents the loss.
    #[error("{0}")]
    Infeasible(String),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl SetError {
    pub(crate) fn from_stop(stop: diagram::Stop, budget: &Budget) -> Self {
        match stop {
            diagram::Stop::Cancelled => Self::Cancelled(Cancelled),
            diagram::Stop::Nodes => Self::TooLarge {
                nodes: budget.diagram_nodes,
                megabytes: budget.diagram_nodes * 40 / 1_000_000,
            },
        }
    }
}

/// Refuses a loss threshold that is not above 0 and at most 1.
///
/// # Errors
/// [`SetError::Threshold`].
pub fn check_threshold(loss: f64) -> Result<(), SetError> {
    if loss > 0.0 && loss <= 1.0 { Ok(()) } else { Err(SetError::Threshold(loss)) }
}

/// Refuses costs that are not positive numbers, or of which there are not as many as units.
///
/// # Errors
/// [`SetError::UnitValue`] naming the first bad one.
pub fn check_costs(costs: &[f64], units: usize) -> Result<(), SetError> {
    check_values("cost", costs, units, "give a positive number", |c| c.is_finite() && c > 0.0)
}

/// Refuses probabilities outside 0-1, or of which there are not as many as units.
///
/// # Errors
/// [`SetError::UnitValue`] naming the first bad one.
pub fn check_probabilities(probabilities: &[f64], units: usize) -> Result<(), SetError> {
    let ok = |p: f64| (0.0..=1.0).contains(&p);
    check_values("probability", probabilities, units, "give a number between 0 and 1", ok)
}

fn check_values(
    what: &'static str,
    values: &[f64],
    units: usize,
    rule: &'static str,
    ok: impl Fn(f64) -> bool,
) -> Result<(), SetError> {
    if values.len() != units {
        return Err(SetError::Malformed(format!(
            "{} numbers of {what} for {units} units; give one for each",
            values.len()
        )));
    }
    match values.iter().position(|&v| !ok(v)) {
        Some(unit) => Err(SetError::UnitValue { what, unit, value: values[unit], rule }),
        None => Ok(()),
    }
}
