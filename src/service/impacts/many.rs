//! Many scenarios at once: batches and knock-outs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Index;
use super::{ENGINE, ModelCache};
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Losses, Shocks, TargetNodes};
use crate::graph::Snapshot;
use crate::model::scenario::{ModelOptions, ScenarioError, Shock, Target};
use crate::model::selector::Selector;

/// Most scenarios or units of one call.
pub const MOST_SCENARIOS: usize = 1_000_000;

/// Many scenarios under one model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchBody {
    /// The scenarios, answered in this order.
    pub scenarios: Vec<BatchScenario>,
    /// How all of them are evaluated.
    pub model: ModelOptions,
    /// Targets of all of them.
    pub targets: Vec<Target>,
    /// Whether each answer lists its nodes.
    pub losses: LossDetail,
    /// Computes the limit, too, of scenarios that stop early, to say how far they are from it:
    /// many times the work of the early stop.
    pub gap: bool,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// One scenario of a batch.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchScenario {
    /// Name in the answer (default: its position).
    pub id: Option<String>,
    /// What happens.
    pub shocks: Vec<Shock>,
}

/// Whether an answer lists its nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossDetail {
    /// No.
    #[default]
    None,
    /// Those with a loss above 1e-12.
    Sparse,
}

/// Loss of one target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetLoss {
    /// Name of the target.
    pub target: String,
    /// Loss, 0-1.
    pub loss: f64,
}

/// Answer to one scenario of a batch: one line of NDJSON.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchLine {
    /// Name of the scenario.
    pub id: String,
    /// Weighted means of node losses.
    pub index: Index,
    /// Targets in the order asked.
    pub results: Vec<TargetLoss>,
    /// Sweeps made.
    pub sweeps: u32,
    /// True if the fixed point was reached.
    pub converged: bool,
    /// Largest change of the last sweep.
    pub residual: f64,
    /// Distance to the exact limit: largest loss of any node that is still missing; `null` after an
    /// early stop of which `gap` was not asked for.
    pub gap: Option<f64>,
    /// Nodes with a loss, largest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<BatchNode>>,
}

/// Loss of one node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchNode {
    /// Node.
    pub id: String,
    /// The greater of the two.
    pub loss: f64,
    /// By missing inputs.
    pub loss_downstream: f64,
    /// By missing orders.
    pub loss_upstream: f64,
}

/// Every unit removed alone.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"units": {"group_by": ["country", "stage"]}, "select": {"stage": "refine"},
    "targets": [{"name": "semiconductors", "select": {"product": "semiconductors", "stage": "industry"}}], "top": 10}))]
pub struct KnockOutBody {
    /// What is removed together.
    pub units: Units,
    /// Nodes that units are made of (default: all).
    pub select: Option<Selector>,
    /// Whose loss is asked for; units are ranked by the sum over targets, then by the index.
    pub targets: Vec<Target>,
    /// How losses are evaluated.
    pub model: ModelOptions,
    /// Units in the answer (default 100).
    pub top: Option<usize>,
    /// Computes the limit, too, of units that stop early, to say how far they are from it: many
    /// times the work of the early stop.
    pub gap: bool,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// What is removed together. Exactly one of the three.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Units {
    /// `node`: every node is a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<EachUnit>,
    /// Nodes with equal values are a unit: `country`, `stage`, `product`, or attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Units by selector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<NamedUnit>,
}

/// What each unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EachUnit {
    /// One node.
    Node,
}

/// A unit by selector.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedUnit {
    /// Name in the answer.
    pub name: String,
    /// Its nodes.
    pub select: Selector,
}

/// One unit removed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KnockOut {
    /// Name of the unit.
    pub unit: String,
    /// Number of its nodes.
    pub size: usize,
    /// Loss of each target.
    pub loss: BTreeMap<String, f64>,
    /// Weighted mean of all nodes' losses.
    pub index: f64,
    /// True if the fixed point was reached.
    pub converged: bool,
    /// Distance to the exact limit: largest loss of any node that is still missing; `null` after an
    /// early stop of which `gap` was not asked for.
    pub gap: Option<f64>,
}

/// Ranking of units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KnockOutAnswer {
    /// Id.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// Units that were removed, each alone.
    pub evaluated: usize,
    /// Units, worst first.
    pub results: Vec<KnockOut>,
    /// Time at the server.
    pub elapsed_ms: f64,
}

fn resolve_targets(
    snapshot: &Snapshot,
    targets: &[Target],
) -> Result<Vec<TargetNodes>, ImpactError> {
    targets
        .iter()
        .enumerate()
        .map(|(i, t)| TargetNodes::resolve(snapshot, t, &format!("targets[{i}]")))
        .collect()
}

fn too_many(param: &str, count: usize) -> Result<(), ScenarioError> {
    if count > MOST_SCENARIOS {
        return Err(ScenarioError::new(
            param,
            format!("{count} given; at most {MOST_SCENARIOS} in one call"),
        ));
    }
    Ok(())
}

/// Sums over sparse losses.
struct Summary<'a> {
    model: &'a ImpactModel,
    /// Targets of each node: (target, weight share).
    of_node: BTreeMap<u32, Vec<(usize, f64)>>,
    targets: &'a [TargetNodes],
    total: f64,
}

impl<'a> Summary<'a> {
    fn new(model: &'a ImpactModel, targets: &'a [TargetNodes]) -> Self {
        let mut of_node: BTreeMap<u32, Vec<(usize, f64)>> = BTreeMap::new();
        for (k, target) in targets.iter().enumerate() {
            for &(node, weight) in &target.nodes {
                let share = if target.baseline > 0.0 { weight / target.baseline } else { 0.0 };
                of_node.entry(node).or_default().push((k, share));
            }
        }
        let total = model.index_weight().iter().sum();
        Self { model, of_node, targets, total }
    }

    fn of(&self, losses: &Losses) -> (Index, Vec<f64>) {
        let weights = self.model.index_weight();
        let mut sums = Index { value: 0.0, downstream: 0.0, upstream: 0.0 };
        let mut targets = vec![0.0; self.targets.len()];
        for &(node, down, up) in &losses.nodes {
            let weight = weights[node as usize];
            sums.value += weight * down.max(up);
            sums.downstream += weight * down;
            sums.upstream += weight * up;
            for &(k, share) in self.of_node.get(&node).into_iter().flatten() {
                targets[k] += share * down.max(up);
            }
        }
        if self.total > 0.0 {
            sums.value /= self.total;
            sums.downstream /= self.total;
            sums.upstream /= self.total;
        }
        (sums, targets)
    }

    /// The line of a batch for scenario `k`, without its nodes.
    fn line(&self, k: usize, scenario: &BatchScenario, losses: &Losses, gaps: &Gaps) -> BatchLine {
        let (index, by_target) = self.of(losses);
        BatchLine {
            id: scenario.id.clone().unwrap_or_else(|| k.to_string()),
            index,
            results: self
                .targets
                .iter()
                .zip(by_target)
                .map(|(t, loss)| TargetLoss { target: t.name.clone(), loss })
                .collect(),
            sweeps: losses.ending.sweeps,
            converged: losses.ending.converged,
            residual: losses.ending.residual,
            gap: gaps.of(k, losses),
            nodes: None,
        }
    }
}

/// Resolves the shocks of every scenario.
///
/// # Errors
/// Too many scenarios; the first one that the graph does not understand.
pub fn compile_scenarios(
    snapshot: &Snapshot,
    scenarios: &[BatchScenario],
) -> Result<Vec<Shocks>, ImpactError> {
    too_many("scenarios", scenarios.len())?;
    scenarios
        .iter()
        .enumerate()
        .map(|(i, scenario)| {
            Shocks::compile(snapshot, &scenario.shocks).map_err(|error| within(error, i))
        })
        .collect()
}

/// Index and targets of scenarios whose losses an engine has computed, in the same order.
///
/// # Errors
/// Targets or options that the graph does not understand.
pub fn summarise(
    models: &ModelCache,
    snapshot: &Arc<Snapshot>,
    scenarios: &[BatchScenario],
    options: &ModelOptions,
    targets: &[Target],
    losses: &[Losses],
) -> Result<Vec<BatchLine>, ImpactError> {
    let resolved = resolve_targets(snapshot, targets)?;
    let model = models.get(snapshot, options, &[])?;
    let summary = Summary::new(&model, &resolved);
    let gaps = Gaps::unasked(&model);
    let line = |(k, (scenario, losses)): (usize, (&BatchScenario, &Losses))| {
        summary.line(k, scenario, losses, &gaps)
    };
    Ok(scenarios.iter().zip(losses).enumerate().map(line).collect())
}

/// How far scenarios are from their limits.
enum Gaps {
    /// They run to the limit.
    Residual,
    /// They stop early, and nobody asked.
    Unknown,
    /// They stop early.
    Known(Vec<f64>),
}

impl Gaps {
    /// Scenarios of which both states are held at once.
    const BLOCK: usize = 256;

    /// Starts `progress` and computes what is asked for.
    fn new(
        model: &ImpactModel,
        shocks: &[Shocks],
        asked: bool,
        progress: &Progress,
    ) -> Result<Self, ImpactError> {
        let known = asked && model.stops_early();
        progress.start(shocks.len() as u64 * if known { 3 } else { 1 });
        if !known {
            return Ok(Self::unasked(model));
        }
        let mut gaps = Vec::with_capacity(shocks.len());
        for block in shocks.chunks(Self::BLOCK) {
            let early = model.solve_many(block, progress, |_, losses| losses.nodes)?;
            gaps.extend(model.solve_many_limits(block, progress, |k, limit| {
                let early = &early[k];
                let loss = |v: u32| match early.binary_search_by_key(&v, |node| node.0) {
                    Ok(place) => early[place].1.max(early[place].2),
                    Err(_) => 0.0,
                };
                let missing = limit.nodes.iter().map(|&(v, down, up)| down.max(up) - loss(v));
                missing.fold(0.0, f64::max)
            })?);
        }
        Ok(Self::Known(gaps))
    }

    fn unasked(model: &ImpactModel) -> Self {
        if model.stops_early() { Self::Unknown } else { Self::Residual }
    }

    fn of(&self, scenario: usize, losses: &Losses) -> Option<f64> {
        match self {
            Self::Residual => Some(losses.ending.residual),
            // What moved no more has no gap.
            Self::Unknown => losses.ending.converged.then_some(losses.ending.residual),
            Self::Known(gaps) => gaps.get(scenario).copied(),
        }
    }
}

/// Evaluates the scenarios of a batch side by side, in the order asked.
///
/// # Errors
/// The first scenario, target or option that the graph does not understand; cancellation.
pub fn batch(
    models: &ModelCache,
    snapshot: &Arc<Snapshot>,
    body: &BatchBody,
    progress: &Progress,
) -> Result<Vec<BatchLine>, ImpactError> {
    let targets = resolve_targets(snapshot, &body.targets)?;
    let model = models.get(snapshot, &body.model, &[])?;
    let shocks = compile_scenarios(snapshot, &body.scenarios)?;
    let summary = Summary::new(&model, &targets);
    let gaps = Gaps::new(&model, &shocks, body.gap, progress)?;
    model.solve_many(&shocks, progress, |k, losses| {
        let nodes = (body.losses == LossDetail::Sparse).then(|| {
            let mut nodes: Vec<BatchNode> = losses
                .nodes
                .iter()
                .filter(|(_, d, u)| d.max(*u) > 1e-12)
                .map(|&(v, down, up)| BatchNode {
                    id: snapshot.id(v).to_owned(),
                    loss: down.max(up),
                    loss_downstream: down,
                    loss_upstream: up,
                })
                .collect();
            nodes.sort_by(|a, b| b.loss.total_cmp(&a.loss).then_with(|| a.id.cmp(&b.id)));
            nodes
        });
        BatchLine { nodes, ..summary.line(k, &body.scenarios[k], &losses, &gaps) }
    })
}

fn within(error: ImpactError, scenario: usize) -> ImpactError {
    let at = |param: String| format!("scenarios[{scenario}].{param}");
    match error {
        ImpactError::Scenario(e) => ScenarioError::new(at(e.param), e.problem).into(),
        ImpactError::Select { param, source } => ImpactError::Select { param: at(param), source },
        cancelled @ ImpactError::Cancelled(_) => cancelled,
    }
}

/// Removes every unit alone and ranks them.
///
/// # Errors
/// Units, targets or options that the graph does not understand; cancellation.
pub fn knock_outs(
    models: &ModelCache,
    snapshot: &Arc<Snapshot>,
    body: &KnockOutBody,
    progress: &Progress,
) -> Result<(usize, Vec<KnockOut>), ImpactError> {
    let targets = resolve_targets(snapshot, &body.targets)?;
    let units = resolve_units(snapshot, &body.units, body.select.as_ref())?;
    too_many("units", units.len())?;
    let model = models.get(snapshot, &body.model, &[])?;
    let shocks: Vec<Shocks> = units.iter().map(|(_, nodes)| Shocks::removal(nodes)).collect();
    let summary = Summary::new(&model, &targets);
    let gaps = Gaps::new(&model, &shocks, body.gap, progress)?;
    let mut all = model.solve_many(&shocks, progress, |k, losses| {
        let (index, by_target) = summary.of(&losses);
        let (unit, nodes) = &units[k];
        KnockOut {
            unit: unit.clone(),
            size: nodes.len(),
            loss: targets.iter().map(|t| t.name.clone()).zip(by_target).collect(),
            index: index.value,
            converged: losses.ending.converged,
            gap: gaps.of(k, &losses),
        }
    })?;
    let rank = |k: &KnockOut| k.loss.values().sum::<f64>();
    all.sort_by(|a, b| {
        rank(b)
            .total_cmp(&rank(a))
            .then(b.index.total_cmp(&a.index))
            .then_with(|| a.unit.cmp(&b.unit))
    });
    let evaluated = all.len();
    all.truncate(body.top.unwrap_or(100));
    Ok((evaluated, all))
}

/// Units with their nodes, by name.
///
/// # Errors
/// None or more than one way of grouping; an unknown attribute; a selector without match.
pub fn resolve_units(
    snapshot: &Snapshot,
    units: &Units,
    select: Option<&Selector>,
) -> Result<Vec<(String, Vec<u32>)>, ImpactError> {
    let ways = [units.each.is_some(), !units.group_by.is_empty(), !units.list.is_empty()];
    if ways.iter().filter(|w| **w).count() != 1 {
        return Err(ScenarioError::new(
            "units",
            "give exactly one of {\"each\": \"node\"}, {\"group_by\": [...]} and {\"list\": [...]}",
        )
        .into());
    }
    let nodes = match select {
        Some(select) => snapshot.select(select).map_err(ImpactError::select("select"))?,
        None => snapshot.nodes().collect(),
    };
    if !units.list.is_empty() {
        return units
            .list
            .iter()
            .enumerate()
            .map(|(i, unit)| {
                let mut members = snapshot
                    .select(&unit.select)
                    .map_err(ImpactError::select(format!("units.list[{i}].select")))?;
                if select.is_some() {
                    members.retain(|v| nodes.binary_search(v).is_ok());
                }
                Ok((unit.name.clone(), members))
            })
            .collect();
    }
    if units.each.is_some() {
        return Ok(nodes.into_iter().map(|v| (snapshot.id(v).to_owned(), vec![v])).collect());
    }
    let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut known = vec![false; units.group_by.len()];
    for v in nodes {
        let parts: Option<Vec<String>> = units
            .group_by
            .iter()
            .enumerate()
            .map(|(k, key)| {
                let value = match key.as_str() {
                    "country" => snapshot.name(snapshot.country(v)).to_owned(),
                    "stage" => snapshot.name(snapshot.stage(v)).to_owned(),
                    "product" => snapshot.name(snapshot.product(v)).to_owned(),
                    "node" => snapshot.id(v).to_owned(),
                    attribute => match snapshot
                        .network()
                        .nodes
                        .attributes
                        .get(&v)
                        .and_then(|a| a.get(attribute))
                    {
                        Some(serde_json::Value::String(text)) => text.clone(),
                        Some(other) => other.to_string(),
                        None => String::new(),
                    },
                };
                known[k] |= !value.is_empty();
                (!value.is_empty()).then_some(value)
            })
            .collect();
        if let Some(parts) = parts {
            groups.entry(parts.join(" x ")).or_default().push(v);
        }
    }
    if let Some(k) = known.iter().position(|known| !known) {
        return Err(ScenarioError::new(
            "units.group_by",
            format!(
                "no selected node has \"{}\"; use country, stage, product, node or an attribute",
                units.group_by[k]
            ),
        )
        .into());
    }
    Ok(groups.into_iter().collect())
}

/// The knock-out answer with its frame.
pub fn knock_out_answer(
    id: String,
    snapshot: &Snapshot,
    evaluated: usize,
    results: Vec<KnockOut>,
    elapsed_ms: f64,
) -> KnockOutAnswer {
    KnockOutAnswer {
        id,
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        engine: ENGINE.into(),
        evaluated,
        results,
        elapsed_ms,
    }
}
