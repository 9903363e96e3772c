//! Answers one resolved scenario with the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::*;
use super::headline::headline;
use super::{ENGINE, ModelCache, Question, ranges, timeline};
use crate::analysis::Progress;
use crate::analysis::impact::explain::{Explainer, Origin};
use crate::analysis::impact::shock::Effect;
use crate::analysis::impact::{
    ImpactError, ImpactModel, Outcome, Shocks, Solution, TargetNodes, outcomes,
};
use crate::graph::Snapshot;
use crate::model::FigureClass;
use crate::model::scenario::{Direction, Include, Mode, Rationing, RationingRule, Response, Shock};

/// Losses up to this are not listed.
const LISTED: f64 = 1e-12;
/// Chains of a target's explanation.
const CHAINS: usize = 25;
/// Origins of a target's explanation.
const ORIGINS: usize = 25;
/// Sources of an answer.
const SOURCES: usize = 20;
/// Part of a loss that may stay unattributed.
const UNATTRIBUTED: f64 = 1e-12;

/// Answers a question.
///
/// # Errors
/// A scenario that the graph does not understand; cancellation.
pub fn evaluate(
    models: &ModelCache,
    question: &Question,
    progress: &Progress,
) -> Result<ImpactAnswer, ImpactError> {
    let Question { snapshot, body, id } = question;
    let targets: Vec<TargetNodes> = body
        .targets
        .iter()
        .enumerate()
        .map(|(i, t)| TargetNodes::resolve(snapshot, t, &format!("targets[{i}]")))
        .collect::<Result<_, _>>()?;
    let shocks = Shocks::compile(snapshot, &body.shocks)?;
    let model = models.get(snapshot, &body.model, &body.responses)?;
    let prepared = model.prepare(&shocks);
    let solution = model.solve(&prepared, progress)?;
    let gap = if model.stops_early() {
        let limit = model.solve_limit(&prepared, progress)?;
        snapshot.nodes().map(|v| limit.loss(v) - solution.loss(v)).fold(0.0, f64::max)
    } else {
        solution.ending.residual
    };
    let outcomes = outcomes(&model, &solution, &targets);
    let brackets = brackets(models, question, &model, &shocks, &solution, &targets, progress)?;
    let mut results: Vec<TargetResult> = targets
        .iter()
        .zip(&outcomes)
        .zip(brackets)
        .map(|((target, outcome), bracket)| result(snapshot, target, outcome, bracket))
        .collect();
    let timed = timeline::evaluate(models, question, &shocks, &targets, &mut results, progress)?;
    let wants = |part| body.include.contains(&part);
    let (mut quality, sources) = quality(&model, &solution, &targets);
    quality.warnings = warnings(snapshot, question, &model);
    let ranged = ranges::evaluate(models, question, &shocks, &targets, progress)?;
    if let Some(ranged) = &ranged {
        quality.warnings.extend(ranged.write(&mut results));
    }
    let (range, sensitivity) = ranged.map_or((None, None), |r| (Some(r.basis), r.sensitivity));
    let mut explained =
        wants(Include::Explanation).then(|| explanation(&model, &shocks, &solution, &targets));
    if let Some(explained) = &mut explained {
        super::attribution::attach(&model, &shocks, &targets, explained, progress)?;
    }
    let mut nodes = wants(Include::Nodes).then(|| node_losses(snapshot, &shocks, &solution));
    if let (Some(timed), Some(nodes)) = (&timed, &mut nodes) {
        timed.write_nodes(snapshot, nodes);
    }
    let removed = shocks.removed();
    let (sentence, view, timed_index, timed_nodes) =
        timed.map_or_else(Default::default, |t| (t.sentence, t.view, t.index, t.nodes));
    Ok(ImpactAnswer {
        id: id.clone(),
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        engine: ENGINE.into(),
        headline: headline(snapshot, body, &results) + &sentence,
        removed: Removed { nodes: removed.0, flows: removed.1 },
        converged: solution.ending.converged,
        sweeps: solution.ending.sweeps,
        residual: solution.ending.residual,
        gap,
        method: if solution.ending.accelerated { "exact_limit" } else { "sweeps" },
        results,
        index: timed_index.unwrap_or_else(|| index(&model, |v| (solution.down(v), solution.up(v)))),
        rationing: model.rationing().clone(),
        nodes: timed_nodes.or(nodes),
        losses: wants(Include::Nodes).then_some("sparse"),
        explanation: explained,
        range,
        sensitivity,
        timeline: view,
        quality,
        sources,
        scenario: body.clone(),
        links: links(id, &snapshot.info().graph),
        elapsed_ms: 0.0,
    })
}

fn links(id: &str, graph: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("self", format!("/v1/impacts/{id}")),
        ("explanation", format!("/v1/impacts/{id}/explanation")),
        ("range", format!("/v1/impacts/{id}/range")),
        ("sensitivity", format!("/v1/impacts/{id}/sensitivity")),
        ("timeline", format!("/v1/impacts/{id}/timeline")),
        ("table", format!("/v1/impacts/{id}/table.csv")),
        ("workbook", format!("/v1/impacts/{id}/table.xlsx")),
        ("sankey", format!("/v1/impacts/{id}/sankey.svg")),
        ("ranking", format!("/v1/impacts/{id}/ranking.svg")),
        ("world", format!("/v1/impacts/{id}/world.svg")),
        ("brief", format!("/v1/impacts/{id}/brief.html")),
        ("explore", format!("/explore?impact={id}")),
        ("methods", "/methods".to_owned()),
        ("mitigations", format!("/v1/impacts/{id}/mitigations")),
        ("economic", format!("/v1/impacts/{id}/economic")),
        ("graph", format!("/v1/graphs/{graph}")),
    ])
}

/// Index of node losses under the model's weights.
pub fn index(model: &ImpactModel, loss: impl Fn(u32) -> (f64, f64)) -> Index {
    let weights = model.index_weight();
    let total: f64 = weights.iter().sum();
    let mut sums = [0.0; 3];
    if total > 0.0 {
        for (node, &weight) in weights.iter().enumerate() {
            let (down, up) = loss(node as u32);
            sums[0] += weight * down.max(up);
            sums[1] += weight * down;
            sums[2] += weight * up;
        }
        for sum in &mut sums {
            *sum /= total;
        }
    }
    Index { value: sums[0], downstream: sums[1], upstream: sums[2] }
}

fn result(
    snapshot: &Snapshot,
    target: &TargetNodes,
    outcome: &Outcome,
    bracket: Option<Bracket>,
) -> TargetResult {
    let name = |s| snapshot.name(s).to_owned();
    let nodes = target.nodes.len();
    let counted = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    let share_of = match target.unit.as_str() {
        "throughput" => format!("throughput of {counted} (not every output is known)"),
        "nodes" => format!("{counted}, each counted alike (no quantities are known)"),
        unit => format!("yearly output of {counted}: {} {unit}", target.baseline),
    };
    TargetResult {
        target: target.name.clone(),
        nodes,
        baseline: Baseline { value: target.baseline, unit: target.unit.clone() },
        share_of,
        steady: None,
        path: None,
        loss: LossRange { value: outcome.loss, low: None, high: None, median: None },
        direct: outcome.direct,
        indirect: (outcome.loss - outcome.direct).max(0.0),
        bracket,
        binding: outcome
            .binding
            .iter()
            .filter(|b| b.share >= 1e-3)
            .take(10)
            .map(|b| BindingView {
                input: name(b.input),
                supplier_product: name(b.root),
                share: b.share,
            })
            .collect(),
        first_shortage_day: None,
        zero_reason: outcome.zero_reason,
        zero_explanation: outcome.zero_reason.map(|r| r.sentence()),
    }
}

/// Loss of each target with critical uses first and with proportional rationing, where the graph
/// has critical uses.
fn brackets(
    models: &ModelCache,
    question: &Question,
    model: &ImpactModel,
    shocks: &Shocks,
    solution: &Solution<'_>,
    targets: &[TargetNodes],
    progress: &Progress,
) -> Result<Vec<Option<Bracket>>, ImpactError> {
    let snapshot = &question.snapshot;
    let proportional = Rationing::default();
    let own = model.rationing();
    let Some(first) = model.critical_first().filter(|_| !targets.is_empty()) else {
        return Ok(vec![None; targets.len()]);
    };
    let losses = |rationing: &Rationing| -> Result<Vec<f64>, ImpactError> {
        if rationing == own {
            return Ok(targets.iter().map(|t| t.mean(|v| solution.loss(v))).collect());
        }
        let mut options = question.body.model.clone();
        options.rationing = Some(rationing.clone());
        let other: Arc<ImpactModel> = models.get(snapshot, &options, &question.body.responses)?;
        let prepared = other.prepare(shocks);
        let solution = other.solve(&prepared, progress)?;
        Ok(targets.iter().map(|t| t.mean(|v| solution.loss(v))).collect())
    };
    let (critical, equal) = (losses(first)?, losses(&proportional)?);
    Ok(critical
        .into_iter()
        .zip(equal)
        .map(|(critical_first, proportional)| Some(Bracket { critical_first, proportional }))
        .collect())
}

fn node_losses(snapshot: &Snapshot, shocks: &Shocks, solution: &Solution<'_>) -> Vec<NodeLoss> {
    let direct: Vec<u32> = shocks.node_losses().into_iter().map(|(v, _, _)| v).collect();
    let mut nodes: Vec<(f64, u32)> = snapshot
        .nodes()
        .map(|v| (solution.loss(v), v))
        .filter(|(loss, _)| *loss > LISTED)
        .collect();
    nodes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    nodes
        .into_iter()
        .map(|(loss, v)| NodeLoss {
            id: snapshot.id(v).to_owned(),
            loss,
            loss_downstream: solution.down(v),
            loss_upstream: solution.up(v),
            direct: direct.binary_search(&v).is_ok(),
            peak: None,
            time_to_survive: None,
            time_to_recover: None,
        })
        .collect()
}

fn explanation(
    model: &ImpactModel,
    shocks: &Shocks,
    solution: &Solution<'_>,
    targets: &[TargetNodes],
) -> Vec<TargetExplanation> {
    let snapshot = model.snapshot();
    let labels = model.labels();
    let downstream = solution.down.is_some();
    let Some(side) = solution.down.as_ref().or(solution.up.as_ref()) else { return Vec::new() };
    let explainer = Explainer::new(side, labels);
    // The flow behind an arrival: arrivals of missing orders are in the order of the flows.
    let flow = |arrival: usize| {
        if downstream { snapshot.arrival_flows()[arrival] } else { arrival as u32 }
    };
    targets
        .iter()
        .map(|target| {
            let loss = target.mean(|v| side.losses[v as usize][0]);
            let chains = explainer.chains(target, CHAINS);
            let origins = explainer.origins(target, UNATTRIBUTED);
            let views = chains.chains.iter().map(|chain| ChainView {
                path: chain.labels.iter().rev().map(|&l| labels.name(l).to_owned()).collect(),
                amount: chain.amount,
                share: chain.amount / loss,
                origin: if chain.ends_in_cut { "cut" } else { "shock" },
                example: chain
                    .nodes
                    .iter()
                    .rev()
                    .map(|&v| NodeOnPath {
                        id: snapshot.id(v).to_owned(),
                        loss: side.losses[v as usize][0],
                    })
                    .collect(),
            });
            let mut by_shock = vec![0.0; shocks.all.len()];
            for &(origin, amount) in &origins {
                let hit = shocks.all.iter().position(|s| match (&s.effect, origin) {
                    (Effect::Loss { nodes, .. }, Origin::Shock(v)) => {
                        nodes.binary_search(&v).is_ok()
                    }
                    (Effect::Shut { flows, .. }, Origin::Cut(e)) => flows.contains(&flow(e)),
                    _ => false,
                });
                if let Some(k) = hit {
                    by_shock[k] += amount;
                }
            }
            TargetExplanation {
                target: target.name.clone(),
                loss,
                chains: views.collect(),
                other: chains.other,
                joint: explainer.joint(target),
                by_shock: shocks
                    .all
                    .iter()
                    .zip(by_shock)
                    .map(|(s, amount)| ShockShare {
                        name: s.name.clone(),
                        amount,
                        shapley: None,
                        error: None,
                    })
                    .collect(),
                attribution: None,
                origins: origins
                    .iter()
                    .take(ORIGINS)
                    .map(|&(origin, amount)| OriginShare {
                        name: match origin {
                            Origin::Shock(v) | Origin::Supplier(v, _) => snapshot.id(v).to_owned(),
                            Origin::Cut(e) => snapshot.network().flow_id(flow(e) as usize),
                        },
                        amount,
                    })
                    .collect(),
            }
        })
        .collect()
}

/// Classes and sources of the figures on the way, weighted by the loss that they carry: of each
/// step the output of the supplier, the flow and the dependence. Derived figures stand for others
/// and do not count.
fn quality(
    model: &ImpactModel,
    solution: &Solution<'_>,
    targets: &[TargetNodes],
) -> (Quality, Vec<SourceShare>) {
    let snapshot = model.snapshot();
    let network = snapshot.network();
    let mut by_class: BTreeMap<FigureClass, f64> = BTreeMap::new();
    let mut by_source: BTreeMap<String, f64> = BTreeMap::new();
    if let Some(side) = &solution.down {
        let explainer = Explainer::new(side, model.labels());
        for target in targets.iter().filter(|t| !t.name.contains('/')) {
            explainer.follow(target, 1e-3, |node, part, amount| {
                let (Origin::Supplier(_, e) | Origin::Cut(e)) = part.origin else { return };
                let supplier = side.rows.source(e);
                let mut count = |class: Option<FigureClass>, source: &str| {
                    let Some(class) = class.filter(|c| *c != FigureClass::Derived) else { return };
                    *by_class.entry(class).or_default() += amount;
                    if !source.is_empty() {
                        *by_source.entry(source.to_owned()).or_default() += amount;
                    }
                };
                let output = network.nodes.output.meta(supplier as usize);
                count(output.class, snapshot.name(output.source));
                let flow = network.flows.quantity.meta(snapshot.arrival_flows()[e] as usize);
                count(flow.class, snapshot.name(flow.source));
                let product = network.flows.product[snapshot.arrival_flows()[e] as usize];
                let requirement = network.requirement(snapshot.product(node), product);
                if let Some(d) = requirement.and_then(|r| r.dependence.as_ref()) {
                    count(d.class, d.source.as_deref().unwrap_or_default());
                }
            });
        }
    }
    let total: f64 = by_class.values().sum();
    let share = |class| {
        if total > 0.0 { by_class.get(&class).copied().unwrap_or(0.0) / total } else { 0.0 }
    };
    let quality = Quality {
        measured: share(FigureClass::Measured),
        recalled: share(FigureClass::Recalled),
        estimate: share(FigureClass::Estimate),
        warnings: Vec::new(),
    };
    let all: f64 = by_source.values().sum();
    let mut sources: Vec<SourceShare> = by_source
        .into_iter()
        .map(|(source, amount)| SourceShare { source, share: amount / all })
        .collect();
    sources.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.source.cmp(&b.source)));
    sources.truncate(SOURCES);
    (quality, sources)
}

fn warnings(snapshot: &Snapshot, question: &Question, model: &ImpactModel) -> Vec<String> {
    let body = &question.body;
    let mut warnings = Vec::new();
    let timed = body.model.mode == Mode::Timeline;
    let passes = |s: &Shock| s.days.is_some() || s.from_day.is_some_and(|d| d > 0.0);
    if !timed && body.shocks.iter().any(passes) {
        warnings.push(
            "the losses are where it ends if the shocks last: days and recovery count with \"mode\": \
             \"timeline\""
                .to_owned(),
        );
    }
    if !timed && body.responses.iter().any(|r| matches!(r, Response::Stockpile { .. })) {
        warnings
            .push("stockpiles delay a loss and run out: they do not change a steady state".into());
    }
    if !timed && body.responses.iter().any(|r| matches!(r, Response::Project { .. })) {
        warnings
            .push("projects count with their full capacity, as if they were all running".into());
    }
    if snapshot.info().graph.as_ref() == crate::service::reference::BUNDLED_GRAPH {
        warnings.push(
            "trade records name the last shipper, not the origin; nothing is replaced and prices \
             do not move: read the losses as where the network ends without a response"
                .into(),
        );
    }
    if body.model.direction == Direction::Both {
        warnings.push("a node's loss is the greater of both directions; they are not added".into());
    }
    if model.rationing().rule == RationingRule::MaxMin {
        warnings.push("with orders frozen at the baseline, max-min equals proportional".into());
    }
    warnings
}
