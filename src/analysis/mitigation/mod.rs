//! Mitigation: what could be done against a scenario, each measure evaluated with the same engine.
//!
//! [`candidates()`] makes measures from what binds in the answer and from registers; [`evaluate`]
//! asks the engine for the loss with measures in place; [`combine()`] picks several without counting
//! anything twice.
//!
//! The steady state is where stocks have run out, so a stock changes nothing there. It is judged by
//! coverage: a stock of `N` months of the shortfall makes its input whole for `N` months. A measure
//! or a combination that holds a stock is therefore valued over the first year: `f` of the loss
//! while stocks last and `1 - f` of the loss without them, `f = min(1, N / 12)`. Everything else
//! counts from the first day, also plants that are not built yet (their limits say so).
//! [`Evaluator::over_time`] runs the same measures in a timeline, where stocks are released week by
//! week and the graph's own stocks count too.

pub mod candidates;
pub mod combine;
pub mod evaluate;

use crate::model::scenario::Response;

pub use candidates::{Registers, candidates};
pub use combine::{Step, combine};
pub use evaluate::Evaluator;

/// What kind of measure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A project of the register.
    Project,
    /// A stock that covers a shortfall for some months.
    Stockpile,
    /// A surviving supplier makes more, or qualifies for a consumer.
    SecondSource,
    /// An output depends less on an input.
    Substitute,
    /// A restriction is eased.
    Policy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Project, Self::Stockpile, Self::SecondSource, Self::Substitute, Self::Policy];

    /// The word used in questions and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Stockpile => "stockpile",
            Self::SecondSource => "second_source",
            Self::Substitute => "substitute",
            Self::Policy => "policy",
        }
    }
}

/// An amount with its range, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Amount {
    /// Central value.
    pub value: f64,
    /// Range.
    pub range: Option<(f64, f64)>,
    /// Unit.
    pub unit: String,
}

/// What a measure costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Value.
    pub value: f64,
    /// Unit, for example `USD`.
    pub unit: String,
    /// Where the price comes from.
    pub source: String,
}

/// What a measure does to the scenario or the graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Responses that stay.
    Respond(Vec<Response>),
    /// A stock for each consumer product.
    Cover {
        /// Inputs that are whole while it lasts: (output, input) pairs of products.
        pairs: Vec<(String, String)>,
        /// The same as stocks that a timeline releases.
        stocks: Vec<Response>,
    },
    /// A restriction passes this share.
    Pass {
        /// Position of the shock.
        shock: usize,
        /// Share that passes.
        pass: f64,
    },
    /// A consumer takes part of an input from another supplier.
    Reroute {
        /// Id of the consumer.
        consumer: String,
        /// Suppliers that it turns away from, with the quantity taken from each.
        from: Vec<(String, f64)>,
        /// Supplier that it turns to.
        to: String,
        /// What flows, where it is not the supplier's own product.
        product: Option<String>,
    },
}

/// One measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// What is done, in a sentence.
    pub what: String,
    /// How much.
    pub amount: Option<Amount>,
    /// What it costs, if a price is known.
    pub cost: Option<Cost>,
    /// Where it comes from; none for what the answer itself suggests.
    pub source: Option<String>,
    /// What to keep in mind.
    pub limits: Vec<String>,
    /// What it uses: two measures that share a resource are not combined.
    pub resources: Vec<String>,
    /// What it does.
    pub action: Action,
}
