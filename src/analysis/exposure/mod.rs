//! Exposure: how much of what a target is made of comes from a set of nodes, directly and through
//! the chain.
//!
//! A node's supply is followed back input by input, as in a Leontief inverse over input shares. Of
//! node `j`, the share `s_jk w_ij` leads to supplier `i`: `w_ij` is the supplier's share of input
//! `k`, `s_jk` the weight of that input among all inputs of `j`. Quantities of different inputs
//! cannot be added, so a limiting input weighs its dependence, a threshold 1, an additive input its
//! share of all inputs, one without effect nothing; weights of a node are scaled to sum 1.
//!
//! The exposure of `j` is `e_j = 1` on the set itself, else `sum s_jk w_ij e_i` (least solution):
//! the probability that a walk back along the supply meets the set. A chain ends where it first
//! meets the set, so nothing counts twice. It says how much of the supply touches the set; what the
//! target loses without it is for the impact engine, because one missing input can stop everything.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::analysis::impact::rows::{InputRule, Rows};
use crate::analysis::impact::{ImpactError, TargetNodes};
use crate::analysis::{Cancelled, Progress};
use crate::graph::Snapshot;

/// Supply that is still on its way when the walk ends.
const TOLERANCE: f64 = 1e-12;
/// Most steps back.
const MOST_STEPS: usize = 10_000;

/// Supply of a target that meets the set at one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meeting {
    /// The node of the set.
    pub node: u32,
    /// Share of the target's supply that comes from it directly.
    pub direct: f64,
    /// Share that comes from it through others.
    pub indirect: f64,
    /// Fewest steps from the target.
    pub steps: usize,
}

/// Exposure over one direct input of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct InputExposure {
    /// Product of the input (a symbol's number is the snapshot's).
    pub product: crate::model::Symbol,
    /// Weight of the input among all inputs.
    pub weight: f64,
    /// Part of the input that comes from the set directly, 0-1.
    pub direct: f64,
    /// Part of it that comes from the set through others, 0-1.
    pub indirect: f64,
    /// Suppliers with their part of the input and their own exposure, largest part first.
    pub suppliers: Vec<(u32, f64, f64)>,
}

/// Exposure of a target to a set of nodes. `own + direct + indirect + elsewhere + circulating` is 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposure {
    /// Share of the target that is made in the set itself.
    pub own: f64,
    /// Share of its supply that comes from the set directly.
    pub direct: f64,
    /// Share that comes from the set through others.
    pub indirect: f64,
    /// Share that never meets the set.
    pub elsewhere: f64,
    /// Share that still went round in loops when the walk ended.
    pub circulating: f64,
    /// Nodes of the set that supply meets, largest first.
    pub meetings: Vec<Meeting>,
    /// Supply that passes each node on the way (or ends there), 1 = all of the target's.
    pub passing: Vec<(u32, f64)>,
    /// Direct inputs of the target's own nodes outside the set, heaviest first.
    pub inputs: Vec<InputExposure>,
}

/// Shares of a node's supply by arrival: (supplier, share, group).
fn supply(rows: &Rows, node: u32) -> Vec<(u32, f64, usize)> {
    let weight = |group: usize| match rows.rule(group) {
        InputRule::Limiting(dependence) => dependence,
        InputRule::Threshold(_) => 1.0,
        InputRule::Additive => rows.share(group),
        InputRule::None => 0.0,
    };
    let delivered = |group: usize| rows.arrivals(group).map(|e| rows.weight(e)).sum::<f64>();
    let counts = |group: &usize| weight(*group) > 0.0 && delivered(*group) > 0.0;
    let total: f64 = rows.groups(node).filter(counts).map(weight).sum();
    rows.groups(node)
        .filter(counts)
        .flat_map(|group| {
            let part = weight(group) / total / delivered(group);
            rows.arrivals(group).map(move |e| (rows.source(e), part * rows.weight(e), group))
        })
        .collect()
}

/// Exposure of `target` to the nodes `on` (ascending).
///
/// # Errors
/// Only if `progress` asks to stop.
pub fn exposure(
    snapshot: &Snapshot,
    target: &TargetNodes,
    on: &[u32],
    progress: &Progress,
) -> Result<Exposure, ImpactError> {
    let rows = Rows::downstream(snapshot, false, Vec::new(), &FxHashMap::default());
    let in_set = |v: u32| on.binary_search(&v).is_ok();
    let mut found = Exposure::default();
    let mut pending: BTreeMap<u32, f64> = BTreeMap::new();
    for &(node, weight) in &target.nodes {
        let share = if target.baseline > 0.0 { weight / target.baseline } else { 0.0 };
        if in_set(node) {
            found.own += share;
        } else if share > 0.0 {
            *pending.entry(node).or_default() += share;
        }
    }
    let start = pending.clone();
    let mut supplies: FxHashMap<u32, Vec<(u32, f64, usize)>> = FxHashMap::default();
    let mut passing: BTreeMap<u32, f64> = BTreeMap::new();
    let mut meetings: BTreeMap<u32, Meeting> = BTreeMap::new();
    for step in 1..=MOST_STEPS {
        if pending.values().sum::<f64>() <= TOLERANCE {
            break;
        }
        progress.check().map_err(ImpactError::from)?;
        let mut next: BTreeMap<u32, f64> = BTreeMap::new();
        for (&node, &amount) in &pending {
            *passing.entry(node).or_default() += amount;
            let suppliers = supplies.entry(node).or_insert_with(|| supply(&rows, node));
            if suppliers.is_empty() {
                found.elsewhere += amount;
            }
            for &(supplier, share, _) in suppliers.iter() {
                let part = amount * share;
                if !in_set(supplier) {
                    *next.entry(supplier).or_default() += part;
                    continue;
                }
                let meeting = meetings.entry(supplier).or_insert(Meeting {
                    node: supplier,
                    direct: 0.0,
                    indirect: 0.0,
                    steps: step,
                });
                if step == 1 {
                    meeting.direct += part;
                } else {
                    meeting.indirect += part;
                }
            }
        }
        pending = next;
    }
    // An empty sum is -0.0; it should print as 0.
    found.circulating = pending.values().sum::<f64>() + 0.0;
    for meeting in meetings.values() {
        found.direct += meeting.direct;
        found.indirect += meeting.indirect;
        *passing.entry(meeting.node).or_default() += meeting.direct + meeting.indirect;
    }
    found.passing = passing.into_iter().collect();
    found.meetings = meetings.into_values().collect();
    found.meetings.sort_by(|a, b| {
        let amount = |m: &Meeting| m.direct + m.indirect;
        amount(b).total_cmp(&amount(a)).then(a.node.cmp(&b.node))
    });
    let of_node = exposures(&supplies, on, progress)?;
    found.inputs = inputs(snapshot, &start, &supplies, on, &of_node);
    Ok(found)
}

/// Exposure of every node that supply passes: the least solution, by sweeps from 0.
fn exposures(
    supplies: &FxHashMap<u32, Vec<(u32, f64, usize)>>,
    on: &[u32],
    progress: &Progress,
) -> Result<FxHashMap<u32, f64>, Cancelled> {
    let mut nodes: Vec<u32> = supplies.keys().copied().collect();
    nodes.sort_unstable();
    let mut value: FxHashMap<u32, f64> = nodes.iter().map(|&v| (v, 0.0)).collect();
    for _ in 0..MOST_STEPS {
        progress.check()?;
        let mut moved = 0.0f64;
        for &node in &nodes {
            let new: f64 = supplies[&node]
                .iter()
                .map(|&(i, share, _)| {
                    let e = if on.binary_search(&i).is_ok() {
                        1.0
                    } else {
                        value.get(&i).copied().unwrap_or(0.0)
                    };
                    share * e
                })
                .sum();
            if let Some(old) = value.get_mut(&node) {
                moved = moved.max((new - *old).abs());
                *old = new;
            }
        }
        if moved <= TOLERANCE {
            break;
        }
    }
    Ok(value)
}

fn inputs(
    snapshot: &Snapshot,
    start: &BTreeMap<u32, f64>,
    supplies: &FxHashMap<u32, Vec<(u32, f64, usize)>>,
    on: &[u32],
    of_node: &FxHashMap<u32, f64>,
) -> Vec<InputExposure> {
    #[derive(Default)]
    struct Sum {
        weight: f64,
        direct: f64,
        indirect: f64,
        suppliers: BTreeMap<u32, f64>,
    }
    let mut by: BTreeMap<&str, (crate::model::Symbol, Sum)> = BTreeMap::new();
    for (node, &amount) in start {
        for &(supplier, share, group) in supplies.get(node).into_iter().flatten() {
            let product = snapshot.group_product(group);
            let (_, sum) =
                by.entry(snapshot.name(product)).or_insert_with(|| (product, Sum::default()));
            let part = amount * share;
            sum.weight += part;
            *sum.suppliers.entry(supplier).or_default() += part;
            if on.binary_search(&supplier).is_ok() {
                sum.direct += part;
            } else {
                sum.indirect += part * of_node.get(&supplier).copied().unwrap_or(0.0);
            }
        }
    }
    let all: f64 = start.values().sum();
    let mut list: Vec<InputExposure> = by
        .into_values()
        .map(|(product, sum)| {
            let exposed = |v: &u32| {
                if on.binary_search(v).is_ok() {
                    1.0
                } else {
                    of_node.get(v).copied().unwrap_or(0.0)
                }
            };
            let mut suppliers: Vec<(u32, f64, f64)> = sum
                .suppliers
                .iter()
                .map(|(&v, &part)| (v, part / sum.weight, exposed(&v)))
                .collect();
            suppliers.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            InputExposure {
                product,
                weight: sum.weight / all,
                direct: sum.direct / sum.weight,
                indirect: sum.indirect / sum.weight,
                suppliers,
            }
        })
        .collect();
    // Names break ties: the list came sorted by name, and the sort is stable.
    list.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    list
}
