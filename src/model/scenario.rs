//! Scenarios: shocks, responses, targets and the model that evaluates them, as users write them.
//!
//! These are the request bodies of every impact question. [`ScenarioBody::check`] refuses what can
//! be refused without a graph; names are resolved against a snapshot by the service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::selector::{OneOrMany, Selector};

/// Most shocks, targets or responses in one scenario.
pub const MAX_PARTS: usize = 10_000;
/// Longest horizon of a timeline, in days.
pub const MAX_HORIZON_DAYS: u32 = 36_500;

/// Most draws of one question.
pub const MAX_DRAWS: u32 = 1_000_000;

/// What happens, to whom it matters and how it is evaluated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioBody {
    /// Id of a stored scenario to start from; the other fields given here replace its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the scenario stands for, with its sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is lost, restricted or cut.
    pub shocks: Vec<Shock>,
    /// What comes in against it: projects, stockpiles, substitutes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<Response>,
    /// Whose loss is asked for.
    pub targets: Vec<Target>,
    /// How it is evaluated.
    pub model: ModelOptions,
    /// What the answer holds beside the summary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Include>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Draws for the range of the answer (0: no range; default 1000 where `include` names `range`
    /// or `sensitivity`, else none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draws: Option<u32>,
    /// Seed of the draws (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Parts of an answer that are computed only when asked for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// Loss of every node that loses anything.
    Nodes,
    /// Binding chains and attribution.
    Explanation,
    /// Which figures drive the range.
    Sensitivity,
    /// Time path of each target.
    Timeline,
    /// 5th and 95th percentile of each loss over draws of the uncertain figures.
    Range,
}

/// One thing that happens. Exactly one of: a loss of output (`select` with `loss`), a restriction
/// (`select` with `restrict`), a cut of flows (`flow` with `cut`), or a stored `policy`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shock {
    /// Name of the group for attribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Nodes that lose output, or whose deliveries are restricted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// Share of output lost, 0-1 (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Share of demand lost, 0-1 (default: as `loss`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_upstream: Option<f64>,
    /// Restriction of what leaves the selection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrict: Option<Restriction>,
    /// Flows that are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowSelector>,
    /// Share of those flows that is cut, 0-1 (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<f64>,
    /// A measure of the policy register, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Day on which it starts (timelines; default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_day: Option<f64>,
    /// How long it lasts, in days (timelines; default: for ever).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<f64>,
    /// How it ends (timelines; default: at once).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// Which flows a cut speaks of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSelector {
    /// Suppliers.
    pub from: Selector,
    /// Consumers.
    pub to: Selector,
    /// Products that flow (default: all).
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub product: OneOrMany,
}

/// An export control: what still passes to which destinations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restriction {
    /// Destinations (default: everyone outside the selection).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Selector>,
    /// Share that still passes (licences approved), 0-1 (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<f64>,
    /// Days that a licence takes; nothing passes before (timelines).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_days: Option<f64>,
}

/// How a shock ends.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Shape of the way back.
    pub shape: RecoveryShape,
    /// Length in days: all of it (`step`, `linear`), the time constant (`exponential`), or the
    /// time from 5 % to 95 % (`logistic`).
    pub days: f64,
}

/// Shape of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryShape {
    /// All at once, after `days`.
    #[default]
    Step,
    /// In equal parts.
    Linear,
    /// What is left decays as exp(-t/days).
    Exponential,
    /// Slow, fast, slow.
    Logistic,
}

/// What comes in against a shock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    /// New capacity: a project of the register by name, or one's own.
    Project {
        /// Name in the project register.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<String>,
        /// What it makes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product: Option<String>,
        /// Stage that it adds to (default: the last one of its product).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<String>,
        /// Where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// Capacity per year, in the unit of the product.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<f64>,
        /// Day on which it starts (default: from its start year).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_day: Option<f64>,
        /// Days from start to full capacity (default 365).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ramp_days: Option<f64>,
    },
    /// A stock that is released.
    Stockpile {
        /// What is held.
        product: String,
        /// Stage that made it (default: the last one of its product).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<String>,
        /// Who may use it (default: everyone).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Selector>,
        /// How much, in the unit of the product per year's flows.
        quantity: f64,
        /// Most that leaves in a day (default: no limit).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_per_day: Option<f64>,
        /// Day of the first release (default 0).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_day: Option<f64>,
    },
    /// A substitute: the output depends less on the input.
    Substitute {
        /// Product that is made.
        output: String,
        /// Input that is replaced.
        input: String,
        /// Dependence that is left, 0-1.
        dependence: f64,
        /// Day from which it counts (default 0).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_day: Option<f64>,
    },
}

/// Whose loss is asked for: the output-weighted mean over the selected nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name in the answer.
    pub name: String,
    /// Nodes that it stands for.
    pub select: Selector,
}

/// How a scenario is evaluated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelOptions {
    /// One fixed point, or a path in time.
    pub mode: Mode,
    /// Which way losses travel.
    pub direction: Direction,
    /// What replaces lost supply.
    pub substitution: Substitution,
    /// Who is served first when supply is short (default: the graph's own rule).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationing: Option<Rationing>,
    /// When the iteration ends.
    pub stop: Stop,
    /// Most sweeps of the plain iteration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sweeps: Option<u32>,
    /// What node losses are weighed with in the index: `out_strength` (default), `in_strength`,
    /// `max_strength`, `output`, or the name of a numeric attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_weight: Option<String>,
    /// Attribute that names a node's market (default: its product).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market_key: Option<String>,
    /// Reproduce another program: `inoue_todo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compatibility>,
    /// Settings of `mode: timeline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<TimelineOptions>,
}

/// One fixed point, or a path in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Where it ends if the shock lasts and stocks run out.
    #[default]
    Steady,
    /// Day by day or week by week.
    Timeline,
}

/// Which way losses travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From supplier to consumer: missing inputs.
    #[default]
    Downstream,
    /// From consumer to supplier: missing orders.
    Upstream,
    /// Both, each on its own; a node's loss is the greater of the two.
    Both,
}

impl Direction {
    /// True if missing inputs travel.
    pub fn downstream(self) -> bool {
        self != Self::Upstream
    }

    /// True if missing orders travel.
    pub fn upstream(self) -> bool {
        self != Self::Downstream
    }
}

/// What replaces lost supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Substitution {
    /// Nothing.
    #[default]
    None,
    /// Links carry more, up to their capacity.
    FlowHeadroom,
    /// Surviving suppliers of the same market make more, up to their capacity.
    SpareCapacity,
    /// A shortfall counts by lost over left in its market (does not depend on how the market is
    /// split into nodes).
    MarketShare,
    /// A shortfall counts by the supplier's share of what is left (the published factor).
    SupplierShare,
}

/// Who is served first when supply is short.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rationing {
    /// The rule.
    pub rule: RationingRule,
    /// `priority`: classes of consumers, first served first; everyone else comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Selector>,
    /// `priority`: a node that no class names takes the best class that it serves, directly or
    /// through others (default: true where `order` is left out, else false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherit: Option<bool>,
    /// `priority`: what surviving suppliers still deliver to end uses outside the order goes to
    /// consumers that are short, best class first, for the part of their output that serves the
    /// order (default: as `inherit`). Suppliers under an export restriction divert nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divert: Option<bool>,
    /// `priority`: share of its baseline that every class gets before the order counts, 0-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
}

/// Stage of the sinks that stand for every use outside the graph.
pub const OTHER_USES: &str = "other_uses";

/// The order of service of priority rationing unless a question or graph gives another: critical
/// uses first. Sinks of the same product (chips that leave the network) are no critical use.
pub fn critical_uses() -> Vec<Selector> {
    [
        "defence",
        "semiconductors",
        "aerospace",
        "electric_vehicles",
        "electronics",
        "grid",
        "wind",
        "solar",
    ]
    .map(|product| Selector {
        product: [product].into(),
        not: Some(Box::new(Selector { stage: [OTHER_USES].into(), ..Selector::default() })),
        allow_empty: true,
        ..Selector::default()
    })
    .into()
}

impl Rationing {
    /// True if unnamed nodes take the best class that they serve.
    pub fn inherits(&self) -> bool {
        self.inherit.unwrap_or(self.order.is_empty())
    }

    /// True if deliveries to end uses outside the order are diverted to those who are short.
    pub fn diverts(&self) -> bool {
        self.rule == RationingRule::Priority && self.divert.unwrap_or_else(|| self.inherits())
    }
}

/// Rule of a rationing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RationingRule {
    /// Everyone gets the same share of its order.
    #[default]
    Proportional,
    /// Classes are served in order, proportionally inside a class.
    Priority,
    /// The smallest served share is made as large as possible.
    MaxMin,
}

/// When the iteration ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The rule.
    pub rule: StopRule,
    /// Largest change that counts as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { rule: StopRule::Fixpoint, tolerance: None }
    }
}

impl Stop {
    /// The tolerance in force: stated, else 1e-12 (`fixpoint`) or 0.01 (`step`, as published).
    pub fn tolerance_value(&self) -> f64 {
        self.tolerance.unwrap_or(match self.rule {
            StopRule::Fixpoint => 1e-12,
            StopRule::Step => 0.01,
        })
    }
}

/// Rule of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopRule {
    /// At the limit.
    #[default]
    Fixpoint,
    /// As soon as one sweep changes no node by more than the tolerance (the published early stop;
    /// it can be far from the limit).
    Step,
}

/// Another program whose behaviour is reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Inoue and Todo 2019, the daily inventory model.
    InoueTodo,
}

/// Settings of a timeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimelineOptions {
    /// Length of a step (`compat: inoue_todo` always runs by the day).
    pub step: TimeStep,
    /// How far to look, in days (default 365).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon_days: Option<u32>,
    /// Whether orders follow what is wished or stay as they were.
    pub orders: Orders,
    /// Days over which a stock is refilled (adaptive orders; default 28; tau of `inoue_todo`, default
    /// 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refill_days: Option<f64>,
    /// Stock of each input in days of use, for nodes that state none (default: the graph's own,
    /// else 0; `inoue_todo`: else 15). By-products, which come straight out of their host's process,
    /// are never in store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock_days: Option<f64>,
    /// Output over capacity in the baseline, for nodes that state no capacity (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    /// Most that output rises above the baseline (overproduction; default 1: none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overproduction: Option<f64>,
    /// Days that overproduction takes to build up (default 365).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overproduction_days: Option<f64>,
    /// Days before a consumer that is short may turn to suppliers of the same market with spare
    /// capacity (default: never; at once with `substitution: spare_capacity`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switching_days: Option<f64>,
    /// Days over which re-sourcing grows to its full share (default 90).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switching_ramp_days: Option<f64>,
    /// Transit time of flows that state none, in days (default: one step).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_days: Option<f64>,
    /// Calendar date of day 0 (ISO 8601), for projects and policies with dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// Final demand that is not served is ordered again (default: lost).
    pub backlog: bool,
    /// Final demand per node beyond the flows of the graph, by node id (default: the node's attribute
    /// `final_demand`, else what its output exceeds its flows by; all that arrives where none
    /// leaves).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub final_demand: BTreeMap<String, f64>,
}

/// Length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeStep {
    /// One day.
    Day,
    /// Seven days.
    #[default]
    Week,
}

impl TimeStep {
    /// Length in days.
    pub fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
        }
    }
}

/// Whether orders follow what is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    /// Orders stay at the baseline: the timeline's limit is the steady state.
    #[default]
    Frozen,
    /// Orders follow desired output and refill stocks.
    Adaptive,
}

/// A part of a scenario that cannot be right, whatever the graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {problem}")]
pub struct ScenarioError {
    /// Where: a path into the body, such as `shocks[0].loss`.
    pub param: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl ScenarioError {
    /// An error at `param`.
    pub fn new(param: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { param: param.into(), problem: problem.into() }
    }
}

fn fraction(param: String, value: Option<f64>) -> Result<(), ScenarioError> {
    match value {
        Some(v) if !(0.0..=1.0).contains(&v) => {
            Err(ScenarioError::new(param, format!("must be between 0 and 1, got {v}")))
        }
        _ => Ok(()),
    }
}

fn not_negative(param: String, value: Option<f64>) -> Result<(), ScenarioError> {
    match value {
        Some(v) if !(v.is_finite() && v >= 0.0) => {
            Err(ScenarioError::new(param, format!("must be a number from 0 up, got {v}")))
        }
        _ => Ok(()),
    }
}

impl Shock {
    /// Checks the shock; `at` is its path in the body.
    ///
    /// # Errors
    /// The first part that cannot be right.
    pub fn check(&self, at: &str) -> Result<(), ScenarioError> {
        let forms = [self.select.is_some(), self.flow.is_some(), self.policy.is_some()];
        match forms.iter().filter(|f| **f).count() {
            1 => {}
            0 => {
                return Err(ScenarioError::new(
                    at,
                    "needs one of select (with loss or restrict), flow (with cut), or policy",
                ));
            }
            _ => return Err(ScenarioError::new(at, "give only one of select, flow and policy")),
        }
        if self.restrict.is_some() && self.flow.is_some() {
            return Err(ScenarioError::new(
                format!("{at}.restrict"),
                "goes with select or policy; flows are cut with cut",
            ));
        }
        if self.restrict.is_some() && (self.loss.is_some() || self.loss_upstream.is_some()) {
            return Err(ScenarioError::new(
                at,
                "gives both a loss and a restriction; write them as two shocks",
            ));
        }
        if self.cut.is_some() && self.flow.is_none() {
            return Err(ScenarioError::new(format!("{at}.cut"), "goes with flow"));
        }
        if (self.loss.is_some() || self.loss_upstream.is_some()) && self.select.is_none() {
            return Err(ScenarioError::new(format!("{at}.loss"), "goes with select"));
        }
        fraction(format!("{at}.loss"), self.loss)?;
        fraction(format!("{at}.loss_upstream"), self.loss_upstream)?;
        fraction(format!("{at}.cut"), self.cut)?;
        not_negative(format!("{at}.from_day"), self.from_day)?;
        not_negative(format!("{at}.days"), self.days)?;
        if let Some(restriction) = &self.restrict {
            fraction(format!("{at}.restrict.pass"), restriction.pass)?;
            not_negative(format!("{at}.restrict.delay_days"), restriction.delay_days)?;
        }
        if let Some(recovery) = &self.recovery {
            not_negative(format!("{at}.recovery.days"), Some(recovery.days))?;
            if self.days.is_none() {
                return Err(ScenarioError::new(
                    format!("{at}.recovery"),
                    "a shock without days lasts for ever; give days too",
                ));
            }
        }
        Ok(())
    }
}

impl Response {
    fn check(&self, at: &str) -> Result<(), ScenarioError> {
        match self {
            Self::Project { project, product, country, capacity, from_day, ramp_days, .. } => {
                let own = product.is_some() && country.is_some() && capacity.is_some();
                if project.is_none() && !own {
                    return Err(ScenarioError::new(
                        at,
                        "a project needs its name in the register, or product, country and capacity",
                    ));
                }
                not_negative(format!("{at}.capacity"), *capacity)?;
                not_negative(format!("{at}.from_day"), *from_day)?;
                not_negative(format!("{at}.ramp_days"), *ramp_days)
            }
            Self::Stockpile { quantity, max_per_day, from_day, .. } => {
                not_negative(format!("{at}.quantity"), Some(*quantity))?;
                not_negative(format!("{at}.max_per_day"), *max_per_day)?;
                not_negative(format!("{at}.from_day"), *from_day)
            }
            Self::Substitute { dependence, from_day, .. } => {
                fraction(format!("{at}.dependence"), Some(*dependence))?;
                not_negative(format!("{at}.from_day"), *from_day)
            }
        }
    }
}

impl ModelOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// The first part that cannot be right.
    pub fn check(&self) -> Result<(), ScenarioError> {
        if let Some(t) = self.stop.tolerance
            && !(t.is_finite() && (0.0..1.0).contains(&t))
        {
            return Err(ScenarioError::new(
                "model.stop.tolerance",
                format!("must be from 0 up and below 1, got {t}"),
            ));
        }
        if self.max_sweeps == Some(0) {
            return Err(ScenarioError::new("model.max_sweeps", "must be at least 1"));
        }
        if let Some(rationing) = &self.rationing {
            fraction("model.rationing.floor".into(), rationing.floor)?;
            if rationing.rule != RationingRule::Priority && !rationing.order.is_empty() {
                return Err(ScenarioError::new(
                    "model.rationing.order",
                    "goes with the rule priority",
                ));
            }
        }
        let Some(t) = &self.timeline else { return Ok(()) };
        if t.horizon_days.is_some_and(|h| h == 0 || h > MAX_HORIZON_DAYS) {
            return Err(ScenarioError::new(
                "model.timeline.horizon_days",
                format!("must be between 1 and {MAX_HORIZON_DAYS} (100 years)"),
            ));
        }
        for (name, value) in [
            ("refill_days", t.refill_days),
            ("stock_days", t.stock_days),
            ("overproduction_days", t.overproduction_days),
            ("switching_days", t.switching_days),
            ("switching_ramp_days", t.switching_ramp_days),
            ("lead_days", t.lead_days),
        ] {
            not_negative(format!("model.timeline.{name}"), value)?;
        }
        fraction("model.timeline.utilisation".into(), t.utilisation)?;
        if t.utilisation == Some(0.0) {
            return Err(ScenarioError::new("model.timeline.utilisation", "must be above 0"));
        }
        if t.overproduction.is_some_and(|o| !(1.0..=10.0).contains(&o)) {
            return Err(ScenarioError::new(
                "model.timeline.overproduction",
                "must be between 1 (none) and 10",
            ));
        }
        Ok(())
    }
}

/// Checks a number of draws.
///
/// # Errors
/// More than [`MAX_DRAWS`].
pub fn check_draws(draws: Option<u32>) -> Result<(), ScenarioError> {
    match draws {
        Some(draws) if draws > MAX_DRAWS => Err(ScenarioError::new(
            "draws",
            format!(
                "{draws} asked for; at most {MAX_DRAWS}: the ends of a range over that many are \
                 known to a thousandth of its width"
            ),
        )),
        _ => Ok(()),
    }
}

impl ScenarioBody {
    /// Checks everything that can be checked without a graph.
    ///
    /// # Errors
    /// The first part that cannot be right, with its path.
    pub fn check(&self) -> Result<(), ScenarioError> {
        for (name, parts) in [
            ("shocks", self.shocks.len()),
            ("targets", self.targets.len()),
            ("responses", self.responses.len()),
        ] {
            if parts > MAX_PARTS {
                return Err(ScenarioError::new(
                    name,
                    format!("{parts} given; at most {MAX_PARTS}"),
                ));
            }
        }
        check_draws(self.draws)?;
        for (i, shock) in self.shocks.iter().enumerate() {
            shock.check(&format!("shocks[{i}]"))?;
        }
        for (i, response) in self.responses.iter().enumerate() {
            response.check(&format!("responses[{i}]"))?;
        }
        for (i, target) in self.targets.iter().enumerate() {
            if target.name.is_empty() {
                return Err(ScenarioError::new(format!("targets[{i}].name"), "must not be empty"));
            }
            if self.targets[..i].iter().any(|t| t.name == target.name) {
                return Err(ScenarioError::new(
                    format!("targets[{i}].name"),
                    format!("the name \"{}\" is used twice", target.name),
                ));
            }
        }
        self.model.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> ScenarioError {
        serde_json::from_str::<ScenarioBody>(json).unwrap().check().unwrap_err()
    }

    #[test]
    fn a_bad_part_is_named_by_its_path() {
        assert_eq!(problem(r#"{"shocks":[{"select":{},"loss":1.5}]}"#).param, "shocks[0].loss");
        assert_eq!(problem(r#"{"shocks":[{"select":{}},{}]}"#).param, "shocks[1]");
        let horizon = r#"{"model":{"mode":"timeline","timeline":{"horizon_days":1000000000}}}"#;
        assert_eq!(problem(horizon).param, "model.timeline.horizon_days");
        let both = r#"{"shocks":[{"select":{},"loss":1,"restrict":{}}]}"#;
        assert!(problem(both).problem.contains("two shocks"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<ScenarioBody>(r#"{"shock":[]}"#).is_err());
        assert!(serde_json::from_str::<ScenarioBody>(r#"{"model":{"modes":"steady"}}"#).is_err());
    }
}
