//! The one production semantics, compiled: what a node loses given what its inputs lose.
//!
//! All analyses that speak of loss evaluate this map. In terms of losses `l = 1 - h` (h: output
//! relative to the baseline), with `w_e` the share of flow e in all that consumer j gets of
//! product k:
//!
//! ```text
//! a_e  = clamp((l_i - buffer_e) / width_e, 0, 1)        loss of one arrival (rationing)
//! L_jk = max(0, sum_e w_e a_e - slack_jk)               loss of one input (slack: link headroom)
//! l_j  = min(1, max(shock_j,
//!                   max_k limiting   dependence_k L_jk,
//!                   max_k threshold  [L_jk > 1 - min_share_k],
//!                   sum_k additive   share_k L_jk))
//! ```
//!
//! It is the generalised Leontief map of Diem et al. 2022 (Sci Rep 12:7719), eqs. 4-7, with a
//! dependence per input, thresholds and rationing. Upstream losses use the same form with one
//! additive input per node: the orders of its consumers. Working with losses keeps a zero exact.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use crate::graph::{Condensation, Snapshot};
use crate::model::{Rule, Symbol};

use super::lanes::{greater, lesser};
use super::linear::LinearCycle;
use super::pivot::Pivot;
use super::plan::Plan;
use super::rationing::Ration;

/// Slack against rounding in a threshold test: shares are sums of quotients.
const THRESHOLD_TOLERANCE: f64 = 1e-9;

/// How the loss of one input acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputRule {
    /// Binds with this dependence.
    Limiting(f64),
    /// Adds its loss times the share of all inputs.
    Additive,
    /// Gone once more than this share is lost.
    Threshold(f64),
    /// No effect.
    None,
}

/// Input rows of every node: groups (one for each input) of arrivals (one for each supplier).
#[derive(Debug)]
pub struct Rows {
    node_group: Vec<u32>,
    group_start: Vec<u32>,
    group_rule: Vec<u32>,
    rules: Vec<InputRule>,
    /// Share of each group in all inputs of its node (additive rule).
    group_share: Vec<f64>,
    /// Headroom of each group beyond its baseline; empty: none.
    group_slack: Vec<f64>,
    source: Vec<u32>,
    weight: Vec<f64>,
    /// Per arrival; empty: proportional.
    ration: Vec<Ration>,
    dependent_start: Vec<u32>,
    dependents: Vec<u32>,
    linear: bool,
    order: OnceLock<Order>,
    plan: OnceLock<Option<Plan>>,
    pivots: OnceLock<Vec<Pivot>>,
    linear_cycles: OnceLock<Vec<LinearCycle>>,
}

/// Nodes in the direction in which losses travel, component by component.
#[derive(Debug)]
pub struct Order {
    /// The nodes.
    pub nodes: Vec<u32>,
    /// Position of each node in `nodes`.
    pub rank: Vec<u32>,
    /// Components with a cycle: their positions in `nodes`, ascending.
    pub cycles: Vec<std::ops::Range<u32>>,
}

impl Order {
    fn new(rows: &Rows) -> Self {
        let condensation = Condensation::new(rows.node_count(), |node| rows.dependents(node));
        let mut rank = vec![0; rows.node_count()];
        for (position, &node) in condensation.nodes.iter().enumerate() {
            rank[node as usize] = position as u32;
        }
        let cycles = (0..condensation.len())
            .filter(|&c| match *condensation.members(c) {
                [node] => rows.dependents(node).contains(&node),
                _ => true,
            })
            .map(|c| condensation.starts[c]..condensation.starts[c + 1])
            .collect();
        Self { nodes: condensation.nodes, rank, cycles }
    }

    /// The cycles for which the limits of many scenarios are prepared, by [`Pivot`] or
    /// [`LinearCycle`]. In small ones systems are solved directly; in very large ones a single
    /// limit may take longer than a question does.
    pub fn surveyed(&self) -> impl Iterator<Item = &std::ops::Range<u32>> {
        self.cycles.iter().filter(|cycle| SURVEYED.contains(&cycle.len()))
    }
}

/// Sizes of such cycles.
const SURVEYED: std::ops::Range<usize> = 256..50_000;

/// The input that binds a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binding {
    /// The node loses nothing.
    Nothing,
    /// Its own shock.
    Shock,
    /// The scarcest limiting or threshold input (a group).
    Input(usize),
    /// The sum of its additive inputs.
    Sum,
}

impl Rows {
    /// Rows of missing inputs: suppliers act on consumers.
    ///
    /// `headroom`: links carry up to their capacity. `ration`: one entry per arrival, or empty.
    /// `dependence`: replaces the dependence of (output, input) pairs (substitutes).
    pub fn downstream(
        snapshot: &Snapshot,
        headroom: bool,
        ration: Vec<Ration>,
        dependence: &FxHashMap<(Symbol, Symbol), f64>,
    ) -> Self {
        let n = snapshot.node_count();
        let groups = snapshot.group_count();
        let network = snapshot.network();
        let mut table: FxHashMap<(Symbol, Symbol), u32> = FxHashMap::default();
        let mut rules = vec![InputRule::Limiting(1.0)];
        for r in &network.requirements {
            let stated = dependence.get(&(r.output, r.input)).copied();
            let rule = match r.rule {
                Rule::Limiting => {
                    InputRule::Limiting(stated.unwrap_or_else(|| r.dependence_value()))
                }
                Rule::Additive => InputRule::Additive,
                Rule::None => InputRule::None,
                Rule::Threshold => {
                    InputRule::Threshold(1.0 - r.min_share.unwrap_or(1.0) + THRESHOLD_TOLERANCE)
                }
            };
            table.insert((r.output, r.input), rules.len() as u32);
            rules.push(rule);
        }
        for (&pair, &value) in dependence {
            table.entry(pair).or_insert_with(|| {
                rules.push(InputRule::Limiting(value));
                rules.len() as u32 - 1
            });
        }

        let mut node_group = Vec::with_capacity(n + 1);
        let mut group_start = Vec::with_capacity(groups + 1);
        let mut group_rule = Vec::with_capacity(groups);
        let mut group_share = Vec::with_capacity(groups);
        let mut group_slack = Vec::new();
        let flows = snapshot.arrival_flows();
        let mut weight = vec![0.0; flows.len()];
        for node in snapshot.nodes() {
            node_group.push(group_rule.len() as u32);
            let product = snapshot.product(node);
            for group in snapshot.groups(node) {
                let arrivals = snapshot.group_arrivals(group);
                let input = snapshot.group_product(group);
                let of = |e: usize| snapshot.quantity(flows[e] as usize);
                let baseline: f64 = arrivals.clone().map(of).sum();
                let share = |amount: f64| if baseline > 0.0 { amount / baseline } else { 0.0 };
                if headroom {
                    let mut total = 0.0;
                    for e in arrivals.clone() {
                        let capacity = snapshot.flow_capacity(flows[e] as usize).max(of(e));
                        weight[e] = share(capacity);
                        total += weight[e];
                    }
                    group_slack.push((total - 1.0).max(0.0));
                } else {
                    for e in arrivals.clone() {
                        weight[e] = share(of(e));
                    }
                }
                group_start.push(arrivals.start as u32);
                group_rule.push(match table.is_empty() {
                    true => 0,
                    false => table.get(&(product, input)).copied().unwrap_or(0),
                });
                let all = snapshot.in_strength(node);
                group_share.push(if all > 0.0 { baseline / all } else { 0.0 });
            }
        }
        node_group.push(group_rule.len() as u32);
        group_start.push(flows.len() as u32);

        let mut dependent_start = Vec::with_capacity(n + 1);
        dependent_start.push(0);
        for node in snapshot.nodes() {
            dependent_start.push(snapshot.flows_out(node).end as u32);
        }
        Self {
            node_group,
            group_start,
            group_rule,
            rules,
            group_share,
            group_slack,
            source: snapshot.arrival_suppliers().to_vec(),
            weight,
            ration,
            dependent_start,
            dependents: network.flows.to.to_vec(),
            linear: false,
            order: OnceLock::new(),
            plan: OnceLock::new(),
            pivots: OnceLock::new(),
            linear_cycles: OnceLock::new(),
        }
    }

    /// Rows of missing orders: consumers act on suppliers, each by its share of what the supplier
    /// sells (Diem et al. 2022, eq. 3). Arrivals are in the order of the flows.
    pub fn upstream(snapshot: &Snapshot) -> Self {
        let n = snapshot.node_count();
        let m = snapshot.flow_count();
        let mut node_group = Vec::with_capacity(n + 1);
        let mut group_start = Vec::new();
        let mut weight = vec![0.0; m];
        for node in snapshot.nodes() {
            node_group.push(group_start.len() as u32);
            let flows = snapshot.flows_out(node);
            if flows.is_empty() {
                continue;
            }
            group_start.push(flows.start as u32);
            let all = snapshot.out_strength(node);
            for e in flows {
                weight[e] = if all > 0.0 { snapshot.quantity(e) / all } else { 0.0 };
            }
        }
        let groups = group_start.len();
        node_group.push(groups as u32);
        group_start.push(m as u32);
        let mut dependent_start = Vec::with_capacity(n + 1);
        dependent_start.push(0);
        for node in snapshot.nodes() {
            dependent_start.push(snapshot.arrivals(node).end as u32);
        }
        Self {
            node_group,
            group_start,
            group_rule: vec![0; groups],
            rules: vec![InputRule::Additive],
            group_share: vec![1.0; groups],
            group_slack: Vec::new(),
            source: snapshot.network().flows.to.to_vec(),
            weight,
            ration: Vec::new(),
            dependent_start,
            dependents: snapshot.arrival_suppliers().to_vec(),
            linear: true,
            order: OnceLock::new(),
            plan: OnceLock::new(),
            pivots: OnceLock::new(),
            linear_cycles: OnceLock::new(),
        }
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.node_group.len() - 1
    }

    /// Number of arrivals.
    pub fn arrival_count(&self) -> usize {
        self.source.len()
    }

    /// Groups of a node.
    #[inline]
    pub fn groups(&self, node: u32) -> std::ops::Range<usize> {
        self.node_group[node as usize] as usize..self.node_group[node as usize + 1] as usize
    }

    /// Arrivals of a group.
    #[inline]
    pub fn arrivals(&self, group: usize) -> std::ops::Range<usize> {
        self.group_start[group] as usize..self.group_start[group + 1] as usize
    }

    /// Number of arrivals of a node.
    pub fn arrivals_of(&self, node: u32) -> usize {
        let groups = self.groups(node);
        (self.group_start[groups.end] - self.group_start[groups.start]) as usize
    }

    /// Rule of a group.
    #[inline]
    pub fn rule(&self, group: usize) -> InputRule {
        self.rules[self.group_rule[group] as usize]
    }

    /// Share of a group in all inputs of its node.
    #[inline]
    pub fn share(&self, group: usize) -> f64 {
        self.group_share[group]
    }

    /// Headroom of a group beyond its baseline, as a share of it.
    #[inline]
    pub fn slack(&self, group: usize) -> f64 {
        self.group_slack.get(group).copied().unwrap_or(0.0)
    }

    /// The node behind an arrival.
    #[inline]
    pub fn source(&self, arrival: usize) -> u32 {
        self.source[arrival]
    }

    /// Share of an arrival in its group's baseline (of its capacity, with headroom).
    #[inline]
    pub fn weight(&self, arrival: usize) -> f64 {
        self.weight[arrival]
    }

    /// True if every supplier serves all its consumers alike.
    #[inline]
    pub fn is_proportional(&self) -> bool {
        self.ration.is_empty()
    }

    /// True if the map is linear but for the shock and cuts: one additive input for each node.
    pub fn is_linear(&self) -> bool {
        self.linear
    }

    /// Rationing of an arrival.
    #[inline]
    pub fn ration(&self, arrival: usize) -> Ration {
        self.ration.get(arrival).copied().unwrap_or(Ration::PROPORTIONAL)
    }

    /// Nodes that a node acts on.
    #[inline]
    pub fn dependents(&self, node: u32) -> &[u32] {
        let (start, end) =
            (self.dependent_start[node as usize], self.dependent_start[node as usize + 1]);
        &self.dependents[start as usize..end as usize]
    }

    /// The order in which [`super::limit`] visits nodes (computed at first use).
    pub fn order(&self) -> &Order {
        self.order.get_or_init(|| Order::new(self))
    }

    /// True if the limits of many scenarios are prepared for.
    pub fn has_surveyed(&self) -> bool {
        self.node_count() >= SURVEYED.start && self.order().surveyed().next().is_some()
    }

    /// The plan of evaluation in many scenarios, if there is one (made at first use).
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.get_or_init(|| Plan::of(self)).as_ref()
    }

    /// Known limits that bound others, if the map allows (made at first use).
    pub fn pivots(&self) -> &[Pivot] {
        self.pivots.get_or_init(|| match self.plan() {
            // Missing orders thin out from node to node: no loss stands for that of others.
            Some(_) if !self.is_linear() => {
                self.order().surveyed().filter_map(|cycle| Pivot::of(self, cycle)).collect()
            }
            _ => Vec::new(),
        })
    }

    /// The large cycles of a linear map (laid out at first use).
    pub fn linear_cycles(&self) -> &[LinearCycle] {
        self.linear_cycles.get_or_init(|| match self.is_linear() {
            true => self.order().surveyed().map(|cycle| LinearCycle::of(self, cycle)).collect(),
            false => Vec::new(),
        })
    }

    /// Loss of one input in each of `L` scenarios.
    #[inline(always)]
    pub fn group_loss<const L: usize, S: ArrivalScale<L>>(
        &self,
        group: usize,
        losses: &[[f64; L]],
        scale: &S,
    ) -> [f64; L] {
        if let Some(settled) = scale.settled(group) {
            return settled;
        }
        let arrivals = self.arrivals(group);
        let sources = &self.source[arrivals.clone()];
        let weights = &self.weight[arrivals.clone()];
        let mut sum = [0.0; L];
        if self.ration.is_empty() {
            for (k, (&i, &w)) in sources.iter().zip(weights).enumerate() {
                let mut arrival = losses[i as usize];
                scale.apply(&mut arrival, arrivals.start + k, i);
                for lane in 0..L {
                    sum[lane] += w * arrival[lane];
                }
            }
        } else {
            let rations = &self.ration[arrivals.clone()];
            for (k, ((&i, &w), ration)) in sources.iter().zip(weights).zip(rations).enumerate() {
                let mut arrival = losses[i as usize];
                for a in &mut arrival {
                    *a = ration.loss(*a);
                }
                scale.apply(&mut arrival, arrivals.start + k, i);
                for lane in 0..L {
                    sum[lane] += w * arrival[lane];
                }
            }
        }
        let slack = self.slack(group);
        if slack > 0.0 {
            for s in &mut sum {
                *s = (*s - slack).max(0.0);
            }
        }
        sum
    }

    /// Loss of a node in each of `L` scenarios, given the losses of the nodes that act on it.
    #[inline(always)]
    pub fn node_loss<const L: usize, S: ArrivalScale<L>>(
        &self,
        node: u32,
        shock: &[f64; L],
        losses: &[[f64; L]],
        scale: &S,
    ) -> [f64; L] {
        let mut worst = *shock;
        let mut added = [0.0; L];
        for group in self.groups(node) {
            let rule = self.rule(group);
            if rule == InputRule::None || rule == InputRule::Limiting(0.0) {
                continue;
            }
            let loss = self.group_loss(group, losses, scale);
            match rule {
                InputRule::Limiting(dependence) => {
                    for lane in 0..L {
                        worst[lane] = greater(worst[lane], dependence * loss[lane]);
                    }
                }
                InputRule::Threshold(most) => {
                    for lane in 0..L {
                        worst[lane] = if loss[lane] > most { 1.0 } else { worst[lane] };
                    }
                }
                InputRule::Additive => {
                    let share = self.group_share[group];
                    for lane in 0..L {
                        added[lane] += share * loss[lane];
                    }
                }
                InputRule::None => {}
            }
        }
        for lane in 0..L {
            worst[lane] = lesser(greater(worst[lane], added[lane]), 1.0);
        }
        worst
    }

    /// What binds a node in a state. `stamps` tell when each node's loss last grew: of inputs that
    /// bind alike, the one whose suppliers settled first is the cause (a loop that merely sustains
    /// itself settled later). Without stamps the first by product name.
    pub fn binding<S: ArrivalScale<1>>(
        &self,
        node: u32,
        shock: f64,
        losses: &[[f64; 1]],
        scale: &S,
        stamps: &[u32],
    ) -> Binding {
        /// Caps this near each other bind alike.
        const ALIKE: f64 = 1e-12;
        let settled = |group: usize| {
            self.arrivals(group)
                .map(|e| self.source[e] as usize)
                .filter(|&i| losses[i][0] > 0.0)
                .filter_map(|i| stamps.get(i).copied())
                .max()
                .unwrap_or(0)
        };
        let mut best = (shock, if shock > 0.0 { Binding::Shock } else { Binding::Nothing });
        let mut best_stamp = None;
        let stamp_of = |binding: Binding, cached: &mut Option<u32>| {
            *cached.get_or_insert_with(|| match binding {
                Binding::Input(group) => settled(group),
                Binding::Sum => self
                    .groups(node)
                    .filter(|&g| self.rule(g) == InputRule::Additive)
                    .map(settled)
                    .max()
                    .unwrap_or(0),
                Binding::Nothing | Binding::Shock => 0,
            })
        };
        let mut consider = |cap: f64, binding: Binding| {
            let alike = (cap - best.0).abs() <= ALIKE && best.1 != Binding::Nothing && cap > 0.0;
            let mut own = None;
            let better = if alike && !stamps.is_empty() {
                stamp_of(binding, &mut own) < stamp_of(best.1, &mut best_stamp)
            } else {
                cap > best.0
            };
            if better {
                best = (best.0.max(cap), binding);
                best_stamp = own;
            }
        };
        let mut added = 0.0;
        for group in self.groups(node) {
            let [loss] = self.group_loss(group, losses, scale);
            match self.rule(group) {
                InputRule::Limiting(dependence) => {
                    consider(dependence * loss, Binding::Input(group));
                }
                InputRule::Threshold(most) => {
                    consider(f64::from(loss > most), Binding::Input(group));
                }
                InputRule::Additive => added += self.group_share[group] * loss,
                InputRule::None => {}
            }
        }
        consider(added.min(1.0), Binding::Sum);
        best.1
    }
}

/// What scales or caps an arrival's loss beyond the supplier's own: cuts, replaceability, spare
/// supply.
pub trait ArrivalScale<const L: usize> {
    /// Changes the loss of arrival `arrival` from `supplier` to `consumer`, in every lane.
    fn apply(&self, loss: &mut [f64; L], arrival: usize, supplier: u32);

    /// Loss of a whole input that is settled elsewhere (by its market), if it is.
    #[inline(always)]
    fn settled(&self, _group: usize) -> Option<[f64; L]> {
        None
    }

    /// Suppliers behind a settled loss of a group whose own arrivals are not short: what its
    /// market lost, as (supplier, quantity).
    fn behind(&self, _group: usize, _losses: &[[f64; L]]) -> Vec<(u32, f64)> {
        Vec::new()
    }

    /// Turns the slope of an arrival's loss into the slope after [`ArrivalScale::apply`], at the
    /// loss `at` before it.
    fn slope(&self, slope: &mut [f64; L], at: f64, arrival: usize, supplier: u32);
}

/// A scale of which each lane can stand alone.
pub trait LaneScale<const L: usize>: ArrivalScale<L> {
    /// The scale of one lane.
    fn lane(&self, lane: usize) -> impl ArrivalScale<1>;

    /// True for lanes in which nothing comes between losses and what arrives.
    fn plain(&self) -> [bool; L];
}

/// Nothing beyond the supplier's own loss.
#[derive(Debug, Clone, Copy)]
pub struct Unscaled;

impl<const L: usize> LaneScale<L> for Unscaled {
    fn lane(&self, _: usize) -> impl ArrivalScale<1> {
        Self
    }

    fn plain(&self) -> [bool; L] {
        [true; L]
    }
}

impl<const L: usize> ArrivalScale<L> for Unscaled {
    #[inline(always)]
    fn apply(&self, _: &mut [f64; L], _: usize, _: u32) {}

    fn slope(&self, _: &mut [f64; L], _: f64, _: usize, _: u32) {}
}
