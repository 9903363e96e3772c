//! The shape of an impact answer.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::ranges::RangeBasis;
use super::sensitivity::Sensitivity;
use crate::analysis::impact::ZeroReason;
use crate::model::scenario::{Rationing, ScenarioBody};

/// The answer to one impact question. Losses are fractions of the baseline, 0-1.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImpactAnswer {
    /// Id: the same question on the same content has the same id and bytes.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// One sentence for people.
    pub headline: String,
    /// What the shocks themselves take.
    pub removed: Removed,
    /// True if the fixed point was reached.
    pub converged: bool,
    /// Sweeps of the plain iteration.
    pub sweeps: u32,
    /// Largest change of the last sweep.
    pub residual: f64,
    /// Distance to the exact limit: largest loss of any node that is still missing.
    pub gap: f64,
    /// `sweeps`, or `exact_limit` where the limit was computed by components after the sweeps.
    pub method: &'static str,
    /// Outcome of each target, in the order asked.
    pub results: Vec<TargetResult>,
    /// Weighted mean of all nodes' losses.
    pub index: Index,
    /// Rationing that `loss` quotes.
    pub rationing: Rationing,
    /// Nodes with a loss, largest first (`include: ["nodes"]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeLoss>>,
    /// How `nodes` are listed: only those above 1e-12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losses: Option<&'static str>,
    /// Binding chains of each target (`include: ["explanation"]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Vec<TargetExplanation>>,
    /// What the ranges were made of (`include: ["range"]`, or `draws`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeBasis>,
    /// Which figures drive the ranges (`include: ["sensitivity"]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// What the answer rests on.
    pub quality: Quality,
    /// Sources behind the figures on the way, those that carry most first.
    pub sources: Vec<SourceShare>,
    /// The scenario as it was evaluated: everything written out.
    pub scenario: ScenarioBody,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// What the shocks themselves take.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Removed {
    /// Nodes that lose output or demand.
    pub nodes: usize,
    /// Flows that are restricted or cut.
    pub flows: usize,
}

/// A number with its unit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Baseline {
    /// Sum over the target's nodes.
    pub value: f64,
    /// Unit.
    pub unit: String,
}

/// A loss with its range.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct LossRange {
    /// Central value.
    pub value: f64,
    /// 5th percentile of the draws, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// 95th percentile of the draws, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Median of the draws, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
}

/// Loss under the two ends of rationing.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Bracket {
    /// Critical uses are served first.
    pub critical_first: f64,
    /// Everyone gets the same share.
    pub proportional: f64,
}

/// An input that binds a target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BindingView {
    /// What the target lacks.
    pub input: String,
    /// What is lost at the far end of the binding chain.
    pub supplier_product: String,
    /// Share of the target's loss that this accounts for.
    pub share: f64,
}

/// Outcome of one target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetResult {
    /// Name of the target.
    pub target: String,
    /// Nodes behind it.
    pub nodes: usize,
    /// What the loss is a share of.
    pub baseline: Baseline,
    /// The same in words.
    pub share_of: String,
    /// Loss.
    pub loss: LossRange,
    /// Part that the shocks take from the target's own nodes.
    pub direct: f64,
    /// Part that arrives over missing inputs or orders.
    pub indirect: f64,
    /// Loss under the two ends of rationing, where consumers have classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bracket: Option<Bracket>,
    /// Inputs that bind, largest share first.
    pub binding: Vec<BindingView>,
    /// First day of shortage (timelines; absent in a steady state).
    pub first_shortage_day: Option<f64>,
    /// Why the loss is zero.
    pub zero_reason: Option<ZeroReason>,
    /// The reason as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_explanation: Option<&'static str>,
}

/// Weighted means of node losses.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Index {
    /// With each node's greater loss.
    pub value: f64,
    /// By missing inputs.
    pub downstream: f64,
    /// By missing orders.
    pub upstream: f64,
}

/// Loss of one node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeLoss {
    /// Node.
    pub id: String,
    /// The greater of the two.
    pub loss: f64,
    /// By missing inputs.
    pub loss_downstream: f64,
    /// By missing orders.
    pub loss_upstream: f64,
    /// True if a shock hits the node itself.
    pub direct: bool,
}

/// Why one target loses.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetExplanation {
    /// Name of the target.
    pub target: String,
    /// Its loss: what the chains and `other` add up to.
    pub loss: f64,
    /// Strongest binding chains.
    pub chains: Vec<ChainView>,
    /// What the list leaves out.
    pub other: f64,
    /// Part that would stay if only the binding input were made whole: other inputs are short too.
    pub joint: f64,
    /// Part of each shock: along the binding chains (`amount`), and its Shapley value.
    pub by_shock: Vec<ShockShare>,
    /// How the Shapley values were computed (two shocks or more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<AttributionView>,
    /// Shocked nodes and cut flows that account for most.
    pub origins: Vec<OriginShare>,
}

/// One binding chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChainView {
    /// Products and stages from the origin to the target.
    pub path: Vec<String>,
    /// How much of the target's baseline is lost along it.
    pub amount: f64,
    /// The same as a share of the target's loss.
    pub share: f64,
    /// `shock`, or `cut` where it starts at a restricted flow.
    pub origin: &'static str,
    /// Its strongest path of nodes, from the origin to the target.
    pub example: Vec<NodeOnPath>,
}

/// One node of an example path.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeOnPath {
    /// Node.
    pub id: String,
    /// Its loss.
    pub loss: f64,
}

/// Part of a loss by origin.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OriginShare {
    /// Name of the shock, id of the node, or id of the flow.
    pub name: String,
    /// How much of the target's baseline.
    pub amount: f64,
}

/// Part of a loss by shock.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ShockShare {
    /// Name of the shock.
    pub name: String,
    /// How much of the target's baseline the binding chains lead back to it.
    pub amount: f64,
    /// Its mean marginal loss over all orders in which the shocks could happen. Adds up over the
    /// shocks to the target's loss in `results`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shapley: Option<f64>,
    /// Standard error of `shapley`, if it was sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

/// How Shapley values were computed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct AttributionView {
    /// `exact` (all coalitions, up to 12 shocks) or `sampled` (orders, each forwards and
    /// backwards).
    pub method: &'static str,
    /// Coalitions of shocks that were evaluated.
    pub evaluations: usize,
    /// Orders that were sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders: Option<usize>,
    /// Seed of the orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// What an answer rests on.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Quality {
    /// Share that rests on measured figures.
    pub measured: f64,
    /// Share that rests on recalled figures.
    pub recalled: f64,
    /// Share that rests on estimates.
    pub estimate: f64,
    /// What to keep in mind.
    pub warnings: Vec<String>,
}

/// A source and how much of the answer it carries.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceShare {
    /// Source as the tables name it.
    pub source: String,
    /// Share of the figures on the way, weighted by the loss that they carry.
    pub share: f64,
}
