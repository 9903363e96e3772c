//! What users ask about cuts: request bodies and their limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::analysis::cut_sets::{Budget, Semantics};
use crate::model::record::Attributes;
use crate::model::scenario::{FlowSelector, ModelOptions, Response};
use crate::model::selector::Selector;

/// What is removed together. Exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CutUnits {
    /// `node`: every node is a unit; `flow`: every flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<CutUnitKind>,
    /// Nodes with equal values are a unit: `country`, `stage`, `product`, or attributes (`owner`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Units by selector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<CutUnitItem>,
}

/// What each unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CutUnitKind {
    /// One node.
    Node,
    /// One flow (a route).
    Flow,
}

/// A unit by selector: nodes (`select`) or flows (`flow`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CutUnitItem {
    /// Name in the answer.
    pub name: String,
    /// Its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// Its flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowSelector>,
}

/// Order in which cut sets are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetOrder {
    /// Fewest units first, then by the names.
    #[default]
    Size,
    /// Cheapest first.
    Cost,
    /// Most probable first.
    Probability,
}

/// How much work an answer may take. What is left out has a default that ends within about half a
/// minute; only `seconds` depends on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CutLimits {
    /// Nodes of decision diagrams (default 12,000,000; about 40 bytes each).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagram_nodes: Option<usize>,
    /// Evaluations of a loss (default 2,000,000, fewer where one takes long).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
    /// Cut sets held in memory (default 1,000,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<usize>,
    /// Memory for diagrams, in MB; lowers `diagram_nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<usize>,
    /// Seconds for the search (default: none). What was proved until then is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl CutLimits {
    /// As the analyses take it.
    pub fn budget(&self) -> Budget {
        let standard = Budget::default();
        let nodes = self.diagram_nodes.unwrap_or(standard.diagram_nodes);
        let by_memory = self.memory_mb.map_or(usize::MAX, |mb| mb.saturating_mul(1_000_000) / 40);
        Budget {
            diagram_nodes: nodes.min(by_memory).min(200_000_000),
            oracle_calls: self.evaluations.unwrap_or(standard.oracle_calls),
            work: if self.evaluations.is_some() { u64::MAX } else { standard.work },
            sets: self.sets.unwrap_or(standard.sets).min(20_000_000),
        }
    }
}

/// Which small sets of units cost a target at least a share of its output?
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"target": {"product": "semiconductors", "stage": "industry"}, "loss_at_least": 0.5,
    "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]},
    "max_size": 2, "limit": 20}))]
pub struct CutSetBody {
    /// Nodes whose output counts.
    pub target: Selector,
    /// Name of the target in sentences (default: made from the selector).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Share of the target's output that must be lost, above 0 and at most 1 (default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_at_least: Option<f64>,
    /// What can be removed.
    pub units: CutUnits,
    /// Nodes that units are made of (default: all but the target's own).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// Units that hold nothing but nodes of the target count too (default: if `select` or `list`
    /// names them).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_in_units: Option<bool>,
    /// Most units of a set (default: no limit where the complete family can be had, else 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<usize>,
    /// Cut sets in this answer (default 1000, at most 1,000,000); the rest by cursor or `.ndjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Order in which they are listed.
    pub order: SetOrder,
    /// Cost of removing a unit, by name (default 1).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
    /// Probability that a unit is lost, by name (default: the attribute `probability` of the nodes).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub probabilities: BTreeMap<String, f64>,
    /// Probability of units that `probabilities` does not name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_probability: Option<f64>,
    /// Which fixed point counts where supply runs in loops.
    pub semantics: Semantics,
    /// How losses are evaluated, as in impacts.
    pub model: ModelOptions,
    /// Listed sets that get failing chains and a scenario (default: up to 100, fewer on large
    /// graphs; every set has them under its link).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<usize>,
    /// How much work the answer may take.
    pub limits: CutLimits,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Which units within a budget cost a target most?
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"target": {"product": "defence", "stage": "industry"},
    "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}, "budget": 2}))]
pub struct WorstCaseBody {
    /// Nodes whose output counts.
    pub target: Selector,
    /// Name of the target in sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What can be removed.
    pub units: CutUnits,
    /// Nodes that units are made of (default: all but the target's own).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// As in cut-sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_in_units: Option<bool>,
    /// Number of units; with `costs`: what they may cost together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Cost of removing a unit, by name (default 1).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
    /// Also give the worst loss for 0, 1, ... units up to the budget.
    pub curve: bool,
    /// Which fixed point counts in loops.
    pub semantics: Semantics,
    /// How losses are evaluated, as in impacts.
    pub model: ModelOptions,
    /// How much work the answer may take.
    pub limits: CutLimits,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What is the cheapest way to cost a target a share of its output?
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"target": {"product": "electric_vehicles", "stage": "industry"}, "loss_at_least": 0.2,
    "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}, "limit": 3}))]
pub struct CheapestCutBody {
    /// Nodes whose output counts.
    pub target: Selector,
    /// Name of the target in sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Share of the target's output that must be lost, above 0 and at most 1 (default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_at_least: Option<f64>,
    /// What can be removed.
    pub units: CutUnits,
    /// Nodes that units are made of (default: all but the target's own).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// As in cut-sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_in_units: Option<bool>,
    /// Cost of removing a unit, by name (default 1).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
    /// How many, cheapest first (default 1, at most 10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Which fixed point counts in loops.
    pub semantics: Semantics,
    /// How losses are evaluated, as in impacts.
    pub model: ModelOptions,
    /// How much work the answer may take.
    pub limits: CutLimits,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What must be protected, or built, so that no small set of losses reaches the threshold?
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"target": {"product": "defence", "stage": "industry"}, "loss_at_least": 0.5,
    "units": {"group_by": ["country", "stage"]}, "select": {"stage": ["mine", "refine", "component"]}, "max_size": 1}))]
pub struct ProtectionBody {
    /// Nodes whose output counts.
    pub target: Selector,
    /// Name of the target in sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Share of the target's output whose loss is to be prevented (default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_at_least: Option<f64>,
    /// What can be lost, and protected.
    pub units: CutUnits,
    /// Nodes that units are made of (default: all but the target's own).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// As in cut-sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_in_units: Option<bool>,
    /// Cuts of up to this many units are to be prevented (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<usize>,
    /// Cost of protecting a unit, by name (default 1). Not used with `options`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
    /// What can be built instead of protecting units (at most 30).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ProtectionOption>,
    /// Which fixed point counts in loops (`collapse` only with `options`).
    pub semantics: Semantics,
    /// How losses are evaluated, as in impacts.
    pub model: ModelOptions,
    /// How much work the answer may take.
    pub limits: CutLimits,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// One thing that can be built. Exactly one of `link`, `stock` and `response`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionOption {
    /// Name in the answer.
    pub name: String,
    /// What it costs, above 0 (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// A new supplier or more capacity on a link. Counts with `substitution: "flow_headroom"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkOption>,
    /// A stock of an input. Counts with `substitution: "flow_headroom"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<StockOption>,
    /// A project or a substitute, as in scenarios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
}

/// More capacity from a supplier to a consumer, who need not have dealt with each other before.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkOption {
    /// Supplier.
    pub from: String,
    /// Consumer.
    pub to: String,
    /// What flows (default: the supplier's product).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Most that the link can carry per year with it.
    pub capacity: f64,
}

/// Days of use of one input, held at a node: covers `days / over_days` of its demand for as long
/// as the disruption is counted.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockOption {
    /// Who holds it.
    pub at: String,
    /// What is held.
    pub product: String,
    /// Days of use.
    pub days: f64,
    /// Length of the disruption in days (default 365).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_days: Option<f64>,
}

/// Any question about cuts, as it is stored for its permalink.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "question", content = "body", rename_all = "snake_case")]
pub enum CutAsk {
    /// Minimal cut sets.
    CutSets(CutSetBody),
    /// The worst case.
    WorstCase(WorstCaseBody),
    /// The cheapest cut.
    CheapestCut(CheapestCutBody),
    /// Protection.
    Protection(ProtectionBody),
}

/// What all questions about cuts share.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// Nodes whose output counts.
    pub target: &'a Selector,
    /// Their name.
    pub name: Option<&'a str>,
    /// What can be removed.
    pub units: &'a CutUnits,
    /// Nodes that units are made of.
    pub select: Option<&'a Selector>,
    /// Units of target nodes count.
    pub target_in_units: Option<bool>,
    /// Loops.
    pub semantics: Semantics,
    /// How losses are evaluated.
    pub model: &'a ModelOptions,
    /// Limits.
    pub limits: &'a CutLimits,
}

macro_rules! common {
    ($body:expr) => {
        Common {
            target: &$body.target,
            name: $body.name.as_deref(),
            units: &$body.units,
            select: $body.select.as_ref(),
            target_in_units: $body.target_in_units,
            semantics: $body.semantics,
            model: &$body.model,
            limits: &$body.limits,
        }
    };
}

impl CutAsk {
    /// What all questions share.
    pub fn common(&self) -> Common<'_> {
        match self {
            Self::CutSets(body) => common!(body),
            Self::WorstCase(body) => common!(body),
            Self::CheapestCut(body) => common!(body),
            Self::Protection(body) => common!(body),
        }
    }

    /// The model and the version, to be filled in.
    pub fn parts(&mut self) -> (&mut ModelOptions, &mut Option<u64>) {
        match self {
            Self::CutSets(body) => (&mut body.model, &mut body.at),
            Self::WorstCase(body) => (&mut body.model, &mut body.at),
            Self::CheapestCut(body) => (&mut body.model, &mut body.at),
            Self::Protection(body) => (&mut body.model, &mut body.at),
        }
    }

    /// Version asked of.
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::CutSets(body) => body.at,
            Self::WorstCase(body) => body.at,
            Self::CheapestCut(body) => body.at,
            Self::Protection(body) => body.at,
        }
    }

    /// Prefix of the answer's id, and the collection under which answers are read.
    pub fn place(&self) -> (&'static str, &'static str) {
        match self {
            Self::CutSets(_) => ("cut", "cut-sets"),
            Self::WorstCase(_) => ("wor", "worst-cases"),
            Self::CheapestCut(_) => ("che", "cheapest-cuts"),
            Self::Protection(_) => ("pro", "protections"),
        }
    }
}

/// Attribute of a node that holds its probability of loss.
pub const PROBABILITY: &str = "probability";

/// The probability in a node's attributes.
pub fn stated_probability(attributes: &Attributes) -> Option<f64> {
    attributes.get(PROBABILITY)?.as_f64().filter(|p| (0.0..=1.0).contains(p))
}
