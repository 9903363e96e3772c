//! What a scenario means for its targets: loss, direct part, binding inputs, reason of a zero.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::graph::Snapshot;
use crate::model::Symbol;

use super::explain::{Explainer, Origin};
use super::model::{ImpactModel, Solution};
use super::rows::{ArrivalScale, InputRule, Rows};
use super::solve::Side;
use super::target::TargetNodes;

/// Losses up to this are none.
pub const SMALLEST_LOSS: f64 = 1e-12;

/// Why a target loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZeroReason {
    /// The scenario removes, restricts and cuts nothing.
    NoShock,
    /// No flow leads from what is hit to the target.
    NoPath,
    /// Flows lead there, but over inputs that are not required.
    NotRequired,
    /// Others stand behind it in the order of service and take the shortage.
    ServedFirst,
    /// Links with headroom, spare capacity or new projects make up for it.
    Replaced,
    /// Enough arrives for every threshold on the way.
    ThresholdHeld,
    /// Stocks cover it over the whole horizon.
    CoveredByStock,
}

impl ZeroReason {
    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoShock => "the scenario removes, restricts and cuts nothing",
            Self::NoPath => "no flow leads from what is hit to this target",
            Self::NotRequired => "flows lead here only over inputs that are not required",
            Self::ServedFirst => {
                "lower classes in the order of service take the whole shortage before this target"
            }
            Self::Replaced => "headroom, spare capacity or new projects make up for the shortage",
            Self::ThresholdHeld => "enough still arrives for every threshold on the way",
            Self::CoveredByStock => "stocks cover the shortage over the whole horizon",
        }
    }
}

/// An input that binds a target, with the product at the origin of its shortage.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingInput {
    /// Product that the target lacks.
    pub input: Symbol,
    /// Product that is lost at the far end of the binding chain.
    pub root: Symbol,
    /// Share of the target's loss that this accounts for.
    pub share: f64,
}

/// Outcome of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Loss, 0-1 of the baseline.
    pub loss: f64,
    /// Part that the shocks themselves take from the target's nodes.
    pub direct: f64,
    /// Inputs that bind, largest share first.
    pub binding: Vec<BindingInput>,
    /// Why the loss is zero, if it is.
    pub zero_reason: Option<ZeroReason>,
}

/// Outcome of each target of a solution.
pub fn outcomes(
    model: &ImpactModel,
    solution: &Solution<'_>,
    targets: &[TargetNodes],
) -> Vec<Outcome> {
    let main = solution.down.as_ref().or(solution.up.as_ref());
    let explainer = main.map(|side| Explainer::new(side, model.labels()));
    targets
        .iter()
        .map(|target| {
            let loss = target.mean(|v| solution.loss(v));
            let shock = |v: u32| {
                let of = |s: &Option<Side<'_, 1>>| s.as_ref().map_or(0.0, |s| s.shock(v)[0]);
                of(&solution.down).max(of(&solution.up))
            };
            let binding = explainer
                .as_ref()
                .map(|e| binding_inputs(model.snapshot(), e, main, target))
                .unwrap_or_default();
            let zero_reason = (loss <= SMALLEST_LOSS)
                .then(|| main.map_or(ZeroReason::NoShock, |side| zero_reason(side, target)));
            Outcome { loss, direct: target.mean(shock), binding, zero_reason }
        })
        .collect()
}

fn binding_inputs(
    snapshot: &Snapshot,
    explainer: &Explainer<'_>,
    side: Option<&Side<'_, 1>>,
    target: &TargetNodes,
) -> Vec<BindingInput> {
    let Some(side) = side else { return Vec::new() };
    let mut by: BTreeMap<(Symbol, Symbol), f64> = BTreeMap::new();
    let mut total = 0.0;
    let mut roots: BTreeMap<u32, Symbol> = BTreeMap::new();
    for &(node, weight) in &target.nodes {
        let loss = weight * side.losses[node as usize][0];
        total += loss;
        for part in explainer.parts(node).iter() {
            let (input, root) = match part.origin {
                Origin::Shock(_) => continue,
                Origin::Cut(e) => {
                    let product = snapshot.product(side.rows.source(e));
                    (product, product)
                }
                Origin::Supplier(source, _) => {
                    let root = *roots
                        .entry(source)
                        .or_insert_with(|| root_product(snapshot, explainer, side.rows, source));
                    (snapshot.product(source), root)
                }
            };
            *by.entry((input, root)).or_default() += weight * part.amount;
        }
    }
    let mut list: Vec<BindingInput> = by
        .into_iter()
        .map(|((input, root), amount)| BindingInput { input, root, share: amount / total })
        .collect();
    list.sort_by(|a, b| {
        let name = |b: &BindingInput| (snapshot.name(b.input), snapshot.name(b.root));
        b.share.total_cmp(&a.share).then_with(|| name(a).cmp(&name(b)))
    });
    list
}

/// Product at the origin of the strongest chain that explains a node's loss.
fn root_product(
    snapshot: &Snapshot,
    explainer: &Explainer<'_>,
    rows: &Rows,
    mut node: u32,
) -> Symbol {
    for _ in 0..256 {
        let parts = explainer.parts(node);
        let strongest = parts
            .iter()
            .max_by(|a, b| a.amount.total_cmp(&b.amount).then_with(|| b.origin.cmp(&a.origin)));
        match strongest.map(|p| p.origin) {
            Some(Origin::Supplier(source, _)) => node = source,
            Some(Origin::Cut(e)) => return snapshot.product(rows.source(e)),
            Some(Origin::Shock(_)) | None => break,
        }
    }
    snapshot.product(node)
}

/// Nodes reached from `from` along `next`.
fn reach(
    n: usize,
    from: impl IntoIterator<Item = u32>,
    mut next: impl FnMut(u32, &mut Vec<u32>),
) -> Vec<bool> {
    let mut seen = vec![false; n];
    let mut queue: VecDeque<u32> = VecDeque::new();
    for node in from {
        if !seen[node as usize] {
            seen[node as usize] = true;
            queue.push_back(node);
        }
    }
    let mut list = Vec::new();
    while let Some(node) = queue.pop_front() {
        list.clear();
        next(node, &mut list);
        for &w in &list {
            if !seen[w as usize] {
                seen[w as usize] = true;
                queue.push_back(w);
            }
        }
    }
    seen
}

fn zero_reason(side: &Side<'_, 1>, target: &TargetNodes) -> ZeroReason {
    let rows = side.rows;
    let n = rows.node_count();
    // Back from the target over every flow, then over required inputs only.
    let targets = || target.nodes.iter().map(|t| t.0);
    let sources = |node: u32, list: &mut Vec<u32>, required: bool| {
        for group in rows.groups(node) {
            let idle = matches!(rows.rule(group), InputRule::None | InputRule::Limiting(0.0));
            if required && idle {
                continue;
            }
            list.extend(rows.arrivals(group).map(|e| rows.source(e)));
        }
    };
    let hit = |node: u32| {
        side.shock(node)[0] > 0.0
            || (side.has_cuts()
                && rows.groups(node).flat_map(|g| rows.arrivals(g)).any(|e| side.cut(e)[0] > 0.0))
    };
    let all_hit: Vec<bool> = (0..n as u32).map(hit).collect();
    if !all_hit.contains(&true) {
        return ZeroReason::NoShock;
    }
    let any = |seen: &[bool]| seen.iter().zip(&all_hit).any(|(s, h)| *s && *h);
    if !any(&reach(n, targets(), |v, list| sources(v, list, false))) {
        return ZeroReason::NoPath;
    }
    let required = reach(n, targets(), |v, list| sources(v, list, true));
    if !any(&required) {
        return ZeroReason::NotRequired;
    }
    // Somewhere on the way a short arrival does not become a loss: say what holds it.
    let scale = side.scale();
    let mut held = ZeroReason::Replaced;
    for node in (0..n as u32).filter(|&v| required[v as usize]) {
        if side.losses[node as usize][0] > 0.0 {
            continue;
        }
        for group in rows.groups(node) {
            let diverted = scale.settled(group).is_some_and(|[l]| l <= 0.0);
            for e in rows.arrivals(group) {
                let supplier = side.losses[rows.source(e) as usize][0];
                if supplier <= 0.0 {
                    continue;
                }
                let rationed = rows.ration(e).loss(supplier);
                if rationed <= 0.0 || diverted {
                    return ZeroReason::ServedFirst;
                }
                let mut scaled = [rationed];
                scale.apply(&mut scaled, e, rows.source(e));
                if scaled[0] > 0.0 && matches!(rows.rule(group), InputRule::Threshold(_)) {
                    held = ZeroReason::ThresholdHeld;
                }
            }
        }
    }
    held
}
