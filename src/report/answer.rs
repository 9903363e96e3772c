//! What reports read of an impact answer: its published shape, tolerant of fields added later.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ReportError;
use crate::model::scenario::ScenarioBody;

/// An impact answer as `GET /v1/impacts/{id}` gives it. Losses are fractions of the baseline.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// Id of the answer: its permalink.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version of the graph.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// The answer in one sentence.
    pub headline: String,
    /// What the shocks themselves take.
    pub removed: Removed,
    /// Outcome of each target, in the order asked.
    pub results: Vec<Target>,
    /// Losses of nodes, largest first, if asked for.
    pub nodes: Option<Vec<NodeLoss>>,
    /// Binding chains of each target, if asked for.
    pub explanation: Option<Vec<Explanation>>,
    /// What the answer rests on.
    #[serde(default)]
    pub quality: Quality,
    /// Sources behind the figures on the way.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// The scenario as it was evaluated.
    #[serde(default)]
    pub scenario: ScenarioBody,
    /// What the ranges were made of, if there are any.
    #[serde(default)]
    pub range: Option<RangeBasis>,
    /// Paths in time, if asked for; see [`super::timeline`].
    #[serde(default)]
    pub timeline: Value,
    /// Figures that drive the range, if asked for; see [`super::tornado`].
    #[serde(default)]
    pub sensitivity: Value,
}

/// What would help against an answer, as `GET /v1/impacts/{id}/mitigations` gives it.
#[derive(Debug, Clone, Deserialize)]
pub struct Help {
    /// Loss of each target without any measure.
    pub losses: BTreeMap<String, f64>,
    /// Measures, best first.
    pub mitigations: Vec<Measure>,
    /// The best together, one step after the other.
    #[serde(default)]
    pub combined: Vec<Step>,
}

/// One measure.
#[derive(Debug, Clone, Deserialize)]
pub struct Measure {
    /// Kind, for example `project`.
    pub kind: String,
    /// What is done.
    pub what: String,
    /// How much of each target's loss is avoided.
    pub loss_avoided: BTreeMap<String, f64>,
    /// What the losses are: `steady_state` or `first_year`.
    #[serde(default)]
    pub basis: String,
    /// What it costs, if a price is known.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Where it comes from, if from a register.
    #[serde(default)]
    pub source: Option<String>,
}

/// A cost.
#[derive(Debug, Clone, Deserialize)]
pub struct Cost {
    /// Value.
    pub value: f64,
    /// Unit.
    pub unit: String,
}

/// One step of the combination.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// Everything in place after it.
    pub measures: Vec<String>,
    /// Loss of each target that is left.
    pub loss_after: BTreeMap<String, f64>,
}

impl Help {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReportError::Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, ReportError> {
        serde_json::from_slice(body).map_err(|e| ReportError::Unreadable(e.to_string()))
    }
}

impl Measure {
    /// The target that it helps most, and how much of its loss it avoids. Whole industries come
    /// before single countries' parts.
    pub fn best(&self) -> Option<(&str, f64)> {
        let greatest = |regions: bool| {
            let some = self.loss_avoided.iter().filter(|(name, _)| name.contains('/') == regions);
            some.map(|(name, avoided)| (name.as_str(), *avoided))
                .filter(|(_, avoided)| *avoided > 1e-9)
                .reduce(|best, next| if next.1 > best.1 { next } else { best })
        };
        greatest(false).or_else(|| greatest(true))
    }
}

/// What ranges were made of.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RangeBasis {
    /// Draws.
    pub draws: u32,
    /// Figures that were drawn.
    #[serde(default)]
    pub figures: usize,
}

/// What the shocks themselves take.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Removed {
    /// Nodes.
    pub nodes: u64,
    /// Flows.
    #[serde(default)]
    pub flows: u64,
}

/// Outcome of one target.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Name.
    pub target: String,
    /// Nodes behind it.
    #[serde(default)]
    pub nodes: u64,
    /// What the loss is a share of.
    pub baseline: Baseline,
    /// Loss with its range.
    pub loss: Loss,
    /// Part that the shocks take themselves.
    #[serde(default)]
    pub direct: f64,
    /// Part that arrives over missing inputs.
    #[serde(default)]
    pub indirect: f64,
    /// Loss under the two ends of rationing.
    pub bracket: Option<Bracket>,
    /// Inputs that bind, largest share first.
    #[serde(default)]
    pub binding: Vec<Binding>,
    /// First day of shortage.
    pub first_shortage_day: Option<f64>,
    /// Why the loss is zero, as a sentence.
    pub zero_explanation: Option<String>,
}

/// A number with its unit.
#[derive(Debug, Clone, Deserialize)]
pub struct Baseline {
    /// Sum over the target's nodes.
    pub value: f64,
    /// Unit.
    #[serde(default)]
    pub unit: String,
}

/// A loss with its range (5th to 95th percentile of the draws), if there were draws.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Loss {
    /// Central value.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Loss {
    /// Both ends, if both are known.
    pub fn range(self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }
}

/// Loss under the two ends of rationing.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Bracket {
    /// Critical uses are served first.
    pub critical_first: f64,
    /// Everyone gets the same share.
    pub proportional: f64,
}

/// An input that binds.
#[derive(Debug, Clone, Deserialize)]
pub struct Binding {
    /// What the target lacks.
    pub input: String,
    /// What is lost at the far end of the chain.
    pub supplier_product: String,
    /// Share of the target's loss.
    #[serde(default)]
    pub share: f64,
}

/// Loss of one node.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeLoss {
    /// Node.
    pub id: String,
    /// Loss.
    pub loss: f64,
    /// True if a shock hits the node itself.
    #[serde(default)]
    pub direct: bool,
}

/// Why one target loses.
#[derive(Debug, Clone, Deserialize)]
pub struct Explanation {
    /// Name of the target.
    pub target: String,
    /// Its loss: the chains and `other` add up to it.
    pub loss: f64,
    /// Binding chains, strongest first.
    pub chains: Vec<Chain>,
    /// What the list leaves out.
    #[serde(default)]
    pub other: f64,
    /// Part that would stay if the binding input were made whole.
    #[serde(default)]
    pub joint: f64,
    /// Shocked nodes and cut flows that account for most.
    #[serde(default)]
    pub origins: Vec<Origin>,
}

/// One binding chain.
#[derive(Debug, Clone, Deserialize)]
pub struct Chain {
    /// Products and stages from the origin to the target.
    pub path: Vec<String>,
    /// How much of the target's baseline is lost along it.
    pub amount: f64,
    /// The same as a share of the loss.
    #[serde(default)]
    pub share: f64,
    /// Its strongest path of nodes.
    #[serde(default)]
    pub example: Vec<NodeLoss>,
}

/// Part of a loss by origin.
#[derive(Debug, Clone, Deserialize)]
pub struct Origin {
    /// Node or flow.
    pub name: String,
    /// How much of the target's baseline.
    pub amount: f64,
}

/// What an answer rests on, as shares.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Quality {
    /// Measured figures.
    #[serde(default)]
    pub measured: f64,
    /// Recalled figures.
    #[serde(default)]
    pub recalled: f64,
    /// Estimates.
    #[serde(default)]
    pub estimate: f64,
    /// What to keep in mind.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A source and how much of the answer it carries.
#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    /// Source as the tables name it.
    pub source: String,
    /// Share of the figures on the way.
    pub share: f64,
}

/// Targets in one picture, unless one is named.
const MAIN_TARGETS: usize = 6;

impl Answer {
    /// Reads the JSON of an answer.
    ///
    /// # Errors
    /// [`ReportError::Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, ReportError> {
        serde_json::from_slice(body).map_err(|e| ReportError::Unreadable(e.to_string()))
    }

    /// The targets that a picture shows: the one named, else those that are no region of another
    /// (`semiconductors`, not `semiconductors/USA`), at most six.
    ///
    /// # Errors
    /// [`ReportError::NoTarget`].
    pub fn main_targets(&self, name: Option<&str>) -> Result<Vec<&Target>, ReportError> {
        if let Some(name) = name {
            let found = self.results.iter().find(|r| r.target == name);
            return found.map(|r| vec![r]).ok_or_else(|| ReportError::NoTarget {
                name: name.to_owned(),
                known: self.results.iter().map(|r| r.target.clone()).collect(),
            });
        }
        let main: Vec<&Target> = self.results.iter().filter(|r| !r.is_region()).collect();
        let chosen = if main.is_empty() { self.results.iter().collect() } else { main };
        Ok(chosen.into_iter().take(MAIN_TARGETS).collect())
    }

    /// The explanation of a target.
    pub fn explained(&self, target: &str) -> Option<&Explanation> {
        self.explanation.iter().flatten().find(|e| e.target == target)
    }

    /// Title of the scenario, else the headline.
    pub fn title(&self) -> &str {
        self.scenario.title.as_deref().unwrap_or(&self.headline)
    }
}

impl Target {
    /// True for `industry/REGION`.
    pub fn is_region(&self) -> bool {
        self.target.contains('/')
    }
}
