//! The structure behind the losses of one target: compiled from a snapshot, checked by evaluation.
//!
//! Section by section the same rules as the impact engine in its steady state, downstream:
//! - Level of a node: 0 if removed, else min over its limiting and threshold groups of the response
//!   to u, and 1 - sum over its additive groups of weight * (1 - u); never below 0.
//! - Supply of a group: u = min(1, stock + sum over offers of share * delivered(level of supplier)),
//!   shares of baseline demand; a removed flow delivers nothing.
//! - Delivered: 1 - the rationing's loss at the supplier's loss, by the impact engine's own rule.
//! - Responses: limiting with dependence d: 1 - d (1 - u). Threshold: 1 if u >= min_share, else 0.
//! - Where supply is diverted to critical uses, a market settles what its consumers are short of
//!   (see [`Market`]); who is short of what then depends on all suppliers of the market.
//!
//! The property test "loss of each cut equals the engine's" binds the two. Diagrams are built from
//! this structure: failure graphs (dag.rs) if every node is up or down, levels.rs otherwise.

use rustc_hash::{FxHashMap, FxHashSet};

use super::dag::{FailureGraph, Gate, inputs_first};
use super::evaluate::Plan;
use super::{LOSS_TOLERANCE, Semantics, SetError, check_threshold};
use crate::analysis::impact::ImpactModel;
use crate::analysis::impact::rationing::{Classes, Ration};
use crate::graph::Snapshot;
use crate::model::Rule;
use crate::model::Symbol;
use crate::model::scenario::{Direction, Substitution};

/// Why diagrams do not cover markets.
pub(super) const DIVERTS: &str =
    "priority rationing diverts supply from other consumers, which is not a matter of on and off";

/// How the supply of one group acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Response {
    /// At most 1 - dependence * (1 - u).
    Limiting(f64),
    /// 1 if u reaches the share, else 0.
    Threshold(f64),
    /// Losses add up with this weight.
    Additive(f64),
}

/// What one supplier can give to one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Supplier, by position in the problem.
    pub from: u32,
    /// What it can deliver at full level, as a share of the group's demand.
    pub share: f64,
    /// Flow of the snapshot behind it, for units that hold flows.
    pub flow: u32,
    /// Who is served first when the supplier is short.
    pub ration: Ration,
}

/// All that a node gets of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Share of demand met from stock.
    pub stock: f64,
    /// Suppliers.
    pub offers: Vec<Offer>,
    /// What a shortage does.
    pub response: Response,
    /// Market and claim that settle it; it has no offers of its own then.
    pub settled: Option<(u32, u32)>,
}

/// A claim of one consumer on a market that diverts.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its suppliers.
    pub offers: Vec<Offer>,
    /// Quantity per year in the baseline.
    pub quantity: f64,
    /// Class of the consumer in the order of service.
    pub class: u16,
    /// Share of the consumer's output that serves the order.
    pub critical: f64,
    /// True for an end use outside the order: its deliveries may be diverted.
    pub end_use: bool,
}

/// A market that diverts what still arrives at end uses outside the order of service to the
/// critical part of what others are short of, best class first, in proportion inside a class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Market {
    /// All inputs that the market serves.
    pub claims: Vec<Claim>,
}

/// Members of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Nodes removed with it: indices of the snapshot (positions in a problem made by hand).
    pub nodes: Vec<u32>,
    /// Flows cut with it.
    pub flows: Vec<u32>,
}

/// How a snapshot is read.
pub struct Reading<'a> {
    /// Flows can carry up to their capacity (`substitution: flow_headroom`); else their quantity.
    pub headroom: bool,
    /// Rationing of every arrival, as [`rations`](crate::analysis::impact::rationing::rations) gives
    /// it; empty: proportional.
    pub rations: &'a [Ration],
    /// Which fixed point counts in loops.
    pub semantics: Semantics,
    /// Consumer classes, if markets divert supply to critical uses.
    pub diverts: Option<&'a Classes>,
}

impl<'a> Reading<'a> {
    /// The reading under which the structure loses what the engine loses (`collapse`). `rations`
    /// as [`rations`](crate::analysis::impact::rationing::rations) gives them for the model;
    /// `responses`: whether the model was made with any.
    ///
    /// # Errors
    /// [`SetError::NotCovered`] where the engine moves supply between consumers or markets, which
    /// no row of the structure can say; the methods on [`EngineOracle`](super::EngineOracle) work.
    pub fn of(
        model: &'a ImpactModel,
        rations: &'a [Ration],
        responses: bool,
    ) -> Result<Self, SetError> {
        let substitution = model.options().substitution;
        let refused = |what: &str| Err(SetError::NotCovered(what.into()));
        if responses {
            return refused("the scenario has responses");
        }
        if !matches!(substitution, Substitution::None | Substitution::FlowHeadroom) {
            return refused("the substitution draws on whole markets");
        }
        let diverts = model.rationing().diverts() && model.classes().named.contains(&true);
        if diverts && substitution != Substitution::None {
            return refused("supply is diverted while links carry more");
        }
        if model.options().direction != Direction::Downstream {
            return refused("losses travel upstream too");
        }
        let headroom = substitution == Substitution::FlowHeadroom;
        let diverts = diverts.then(|| model.classes());
        Ok(Self { headroom, rations, semantics: Semantics::Collapse, diverts })
    }
}

/// Everything that can matter to one target.
#[derive(Debug, Clone)]
pub struct Problem {
    nodes: Vec<Vec<Group>>,
    markets: Vec<Market>,
    units: Vec<Unit>,
    targets: Vec<(u32, f64)>,
    semantics: Semantics,
    /// Units of each node and of each flow.
    node_units: Vec<Vec<u32>>,
    flow_units: FxHashMap<u32, Vec<u32>>,
    /// Flows of all offers.
    flows: FxHashSet<u32>,
    /// Node of the snapshot behind each position.
    snapshot_nodes: Vec<u32>,
    /// Strongly connected components, suppliers first.
    components: Vec<Vec<u32>>,
    looped: Vec<bool>,
    plan: Plan,
}

impl Problem {
    /// A problem from its parts; nodes are numbered by position.
    ///
    /// # Errors
    /// No units, no target, numbers out of range.
    pub fn new(
        nodes: Vec<Vec<Group>>,
        units: Vec<Unit>,
        targets: Vec<(u32, f64)>,
        semantics: Semantics,
    ) -> Result<Self, SetError> {
        Self::with_markets(nodes, Vec::new(), units, targets, semantics)
    }

    /// As [`Problem::new`], with markets that settle groups.
    ///
    /// # Errors
    /// As [`Problem::new`].
    pub fn with_markets(
        nodes: Vec<Vec<Group>>,
        markets: Vec<Market>,
        units: Vec<Unit>,
        targets: Vec<(u32, f64)>,
        semantics: Semantics,
    ) -> Result<Self, SetError> {
        if units.is_empty() {
            return Err(SetError::NoUnits);
        }
        let n = nodes.len();
        let total: f64 = targets.iter().map(|t| t.1).sum();
        if targets.is_empty() || total.is_nan() || total <= 0.0 {
            return Err(SetError::NoTarget);
        }
        let bad = |what: String| Err(SetError::Malformed(what));
        if let Some(t) = targets.iter().find(|t| t.0 as usize >= n || t.1.is_nan() || t.1 < 0.0) {
            return bad(format!("target node {} with weight {}", t.0, t.1));
        }
        let (node_units, flow_units) = by_member(&units, n)?;
        // Who needs whom: nodes, then markets.
        let mut needs: Vec<(u32, u32)> = Vec::new();
        let broken = |offer: &Offer| {
            offer.from as usize >= n || !offer.share.is_finite() || offer.share < 0.0
        };
        for (i, groups) in nodes.iter().enumerate() {
            for group in groups {
                let part = match group.response {
                    Response::Limiting(x) | Response::Threshold(x) | Response::Additive(x) => x,
                };
                if !(0.0..=1.0 + 1e-9).contains(&part) || group.stock.is_nan() || group.stock < 0.0
                {
                    return bad(format!("node {i} has a group with response {:?}", group.response));
                }
                for offer in &group.offers {
                    if broken(offer) {
                        return bad(format!("node {i} has an offer {offer:?}"));
                    }
                    needs.push((i as u32, offer.from));
                }
                if let Some((market, claim)) = group.settled {
                    let claims = markets.get(market as usize).map_or(0, |m| m.claims.len());
                    if claim as usize >= claims || !group.offers.is_empty() {
                        return bad(format!("node {i} is settled by claim {claim} of {claims}"));
                    }
                    needs.push((i as u32, n as u32 + market));
                }
            }
        }
        for (m, market) in markets.iter().enumerate() {
            for offer in market.claims.iter().flat_map(|claim| &claim.offers) {
                if broken(offer) {
                    return bad(format!("market {m} has an offer {offer:?}"));
                }
                needs.push(((n + m) as u32, offer.from));
            }
        }
        let components = inputs_first(n + markets.len(), &needs);
        let looped: Vec<bool> = components
            .iter()
            .map(|c| {
                c.len() > 1
                    || nodes
                        .get(c[0] as usize)
                        .is_some_and(|g| g.iter().flat_map(|g| &g.offers).any(|o| o.from == c[0]))
            })
            .collect();
        let targets = targets.into_iter().map(|(node, weight)| (node, weight / total)).collect();
        let own = nodes.iter().flatten().flat_map(|g| &g.offers);
        let claimed = markets.iter().flat_map(|m| &m.claims).flat_map(|claim| &claim.offers);
        let flows = own.chain(claimed).map(|o| o.flow).collect();
        let plan = Plan::new(&nodes, &markets, &components, &looped);
        Ok(Self {
            nodes,
            markets,
            units,
            targets,
            semantics,
            node_units,
            flow_units,
            flows,
            snapshot_nodes: (0..n as u32).collect(),
            components,
            looped,
            plan,
        })
    }

    /// True if losses of sets were taken before loops of supply had settled, because that took too
    /// long: they are too low (too high under [`Semantics::Bootstrap`]).
    pub fn unsettled(&self) -> bool {
        self.plan.unsettled()
    }

    /// Reads what can matter to the targets (nodes with weights) off a snapshot: their ancestors
    /// and themselves.
    ///
    /// # Errors
    /// As [`Problem::new`].
    pub fn compile(
        snapshot: &Snapshot,
        targets: &[(u32, f64)],
        units: &[Unit],
        reading: &Reading<'_>,
    ) -> Result<Self, SetError> {
        let rules: FxHashMap<(Symbol, Symbol), usize> = snapshot
            .network()
            .requirements
            .iter()
            .enumerate()
            .map(|(i, r)| ((r.output, r.input), i))
            .collect();
        let mut position: FxHashMap<u32, u32> = FxHashMap::default();
        let mut order: Vec<u32> = Vec::new();
        let mut place = |node: u32, order: &mut Vec<u32>| {
            *position.entry(node).or_insert_with(|| {
                order.push(node);
                order.len() as u32 - 1
            })
        };
        let weighted: Vec<(u32, f64)> =
            targets.iter().map(|&(node, weight)| (place(node, &mut order), weight)).collect();
        let mut served = reading.diverts.map(|classes| Served::new(snapshot, classes));
        let mut markets: Vec<Market> = Vec::new();
        let offers = |g: usize, demand: f64, place: &mut dyn FnMut(u32) -> u32| -> Vec<Offer> {
            let arrivals = snapshot.group_arrivals(g);
            let flows = &snapshot.arrival_flows()[arrivals.clone()];
            flows
                .iter()
                .zip(arrivals)
                .map(|(&e, arrival)| {
                    let flow = e as usize;
                    let quantity = snapshot.quantity(flow);
                    let most = snapshot.flow_capacity(flow).max(quantity);
                    let ration = reading.rations.get(arrival).copied();
                    Offer {
                        from: place(snapshot.flow_from(flow)),
                        share: if reading.headroom { most } else { quantity } / demand,
                        flow: e,
                        ration: ration.unwrap_or(Ration::PROPORTIONAL),
                    }
                })
                .collect()
        };
        let demand_of = |g: usize| -> f64 {
            let flows = &snapshot.arrival_flows()[snapshot.group_arrivals(g)];
            flows.iter().map(|&e| snapshot.quantity(e as usize)).sum()
        };
        let mut nodes = Vec::new();
        while nodes.len() < order.len() {
            let node = order[nodes.len()];
            let mut groups = Vec::new();
            for g in snapshot.groups(node) {
                let input = snapshot.group_product(g);
                let demand = demand_of(g);
                let rule = rules
                    .get(&(snapshot.product(node), input))
                    .map(|&i| &snapshot.network().requirements[i]);
                let response = match rule.map_or(Rule::Limiting, |r| r.rule) {
                    Rule::Limiting => {
                        let dependence = rule.and_then(|r| r.dependence.as_ref());
                        Response::Limiting(dependence.map_or(1.0, |d| d.value))
                    }
                    Rule::Additive => Response::Additive(demand / snapshot.in_strength(node)),
                    Rule::Threshold => {
                        Response::Threshold(rule.and_then(|r| r.min_share).unwrap_or(1.0))
                    }
                    Rule::None => continue,
                };
                // Nothing arrives in the baseline, so nothing can be missed.
                if demand <= 0.0 || response == Response::Limiting(0.0) {
                    continue;
                }
                let mut place = |v: u32| place(v, &mut order);
                let settled = served.as_mut().and_then(|served| {
                    served.claim(g, &mut markets, |claimed| {
                        let demand = demand_of(claimed);
                        (offers(claimed, demand, &mut place), demand)
                    })
                });
                let offers = match settled {
                    Some(_) => Vec::new(),
                    None => offers(g, demand, &mut place),
                };
                groups.push(Group { stock: 0.0, offers, response, settled });
            }
            nodes.push(groups);
        }
        let units = units
            .iter()
            .map(|unit| Unit {
                nodes: unit.nodes.iter().filter_map(|n| position.get(n).copied()).collect(),
                flows: unit.flows.clone(),
            })
            .collect();
        let semantics = reading.semantics;
        let problem = Self::with_markets(nodes, markets, units, weighted, semantics)?;
        Ok(Self { snapshot_nodes: order, ..problem })
    }

    /// Node of the snapshot behind each position (the position itself in a problem made by hand).
    pub fn snapshot_nodes(&self) -> &[u32] {
        &self.snapshot_nodes
    }

    /// True if levels can be drawn as diagrams.
    pub fn has_levels(&self) -> bool {
        self.markets.is_empty()
    }

    /// True if a unit holds a node or flow that can matter.
    pub fn touches(&self, unit: u32) -> bool {
        let unit = &self.units[unit as usize];
        let matters = |flow: &u32| self.flows.contains(flow);
        !unit.nodes.is_empty() || unit.flows.iter().any(matters)
    }

    /// The same problem with some of its units only, `keep` says which.
    ///
    /// # Errors
    /// No units are left.
    pub fn kept(self, keep: &[bool]) -> Result<Self, SetError> {
        let mut kept = keep.iter();
        let mut units = self.units;
        units.retain(|_| kept.next().copied().unwrap_or(false));
        if units.is_empty() {
            return Err(SetError::NoUnits);
        }
        let (node_units, flow_units) = by_member(&units, self.nodes.len())?;
        Ok(Self { units, node_units, flow_units, ..self })
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        150 * self.nodes.len() + 100 * self.flows.len()
    }

    /// Number of nodes that can matter.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Groups of every node.
    pub fn nodes(&self) -> &[Vec<Group>] {
        &self.nodes
    }

    /// Target nodes with weights that sum to 1.
    pub fn targets(&self) -> &[(u32, f64)] {
        &self.targets
    }

    /// The same problem under other semantics.
    pub fn with_semantics(&self, semantics: Semantics) -> Self {
        Self { semantics, ..self.clone() }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn semantics(&self) -> Semantics {
        self.semantics
    }

    pub(super) fn units(&self) -> &[Unit] {
        &self.units
    }

    pub(super) fn units_of_node(&self, node: u32) -> &[u32] {
        &self.node_units[node as usize]
    }

    pub(super) fn units_of_flow(&self, flow: u32) -> &[u32] {
        self.flow_units.get(&flow).map_or(&[], Vec::as_slice)
    }

    /// Components, suppliers first, and whether each is a loop.
    pub(super) fn components(&self) -> impl Iterator<Item = (&[u32], bool)> {
        self.components.iter().map(Vec::as_slice).zip(self.looped.iter().copied())
    }

    /// True if supply runs in a loop somewhere.
    pub fn has_loop(&self) -> bool {
        self.looped.contains(&true)
    }

    /// The failure graph of "the loss reaches this share", if every node is either up or down.
    ///
    /// # Errors
    /// A bad threshold; [`SetError::NotCovered`] naming the rule that has levels in between.
    pub fn failure_graph(&self, loss_at_least: f64) -> Result<FailureGraph, SetError> {
        check_threshold(loss_at_least)?;
        if !self.has_levels() {
            return Err(SetError::NotCovered(DIVERTS.into()));
        }
        let n = self.nodes.len() as u32;
        // Gate i is node i; then one gate for each unit; then groups and deliveries.
        let mut gates: Vec<Gate> = vec![Gate::Any(Vec::new()); n as usize];
        gates.extend((0..self.units.len() as u32).map(Gate::Unit));
        let unit_gates = |units: &[u32]| units.iter().map(|u| n + u).collect::<Vec<u32>>();
        for node in 0..n {
            let mut reasons = unit_gates(self.units_of_node(node));
            for group in &self.nodes[node as usize] {
                // Failed share that stops the node.
                let total: f64 = group.stock + group.offers.iter().map(|o| o.share).sum::<f64>();
                let enough = match group.response {
                    Response::Threshold(share) => share,
                    // Whole or nothing: one supplier is enough alone, or there is just one.
                    Response::Limiting(1.0)
                        if group.stock == 0.0
                            && (group.offers.iter().all(|o| o.share >= 1.0 - LOSS_TOLERANCE)) =>
                    {
                        1.0
                    }
                    response => {
                        return Err(SetError::NotCovered(format!(
                            "a node runs at part load under {response:?}"
                        )));
                    }
                };
                let need = total - enough + LOSS_TOLERANCE;
                let mut inputs = Vec::new();
                for offer in &group.offers {
                    let mut fails = unit_gates(self.units_of_flow(offer.flow));
                    let input = if fails.is_empty() {
                        offer.from
                    } else {
                        fails.push(offer.from);
                        gates.push(Gate::Any(fails));
                        gates.len() as u32 - 1
                    };
                    inputs.push((input, offer.share));
                }
                let least = inputs.iter().map(|i| i.1).fold(f64::INFINITY, f64::min);
                let sum: f64 = inputs.iter().map(|i| i.1).sum();
                let plain = || inputs.iter().map(|i| i.0).collect::<Vec<u32>>();
                if need > sum {
                    continue;
                } else if least >= need {
                    reasons.extend(plain());
                    continue;
                } else if sum - least < need {
                    gates.push(Gate::All(plain()));
                } else {
                    gates.push(Gate::Weighted { inputs, need });
                }
                reasons.push(gates.len() as u32 - 1);
            }
            gates[node as usize] = Gate::Any(reasons);
        }
        let top = match self.targets[..] {
            [(node, _)] => node,
            _ => {
                let need = loss_at_least - LOSS_TOLERANCE;
                gates.push(Gate::Weighted { inputs: self.targets.clone(), need });
                gates.len() as u32 - 1
            }
        };
        FailureGraph::new(gates, top, self.units.len(), self.semantics)
    }
}

/// Units of each of `n` nodes, and of each flow.
type ByMember = (Vec<Vec<u32>>, FxHashMap<u32, Vec<u32>>);

fn by_member(units: &[Unit], n: usize) -> Result<ByMember, SetError> {
    let mut of_nodes = vec![Vec::new(); n];
    let mut of_flows: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for (u, unit) in units.iter().enumerate() {
        for &node in &unit.nodes {
            match of_nodes.get_mut(node as usize) {
                Some(list) => list.push(u as u32),
                None => {
                    let problem = format!("unit {u} holds node {node} of {n}");
                    return Err(SetError::Malformed(problem));
                }
            }
        }
        for &flow in &unit.flows {
            of_flows.entry(flow).or_default().push(u as u32);
        }
    }
    Ok((of_nodes, of_flows))
}

/// Markets by (product, stage) of their suppliers, and the inputs that each serves.
struct Served<'a> {
    snapshot: &'a Snapshot,
    classes: &'a Classes,
    critical: Vec<f64>,
    /// Market of each group, by position in `groups`; `u32::MAX`: none.
    market_of: Vec<u32>,
    groups: Vec<Vec<(u32, usize)>>,
    /// Market of the problem, once it is in it.
    made: Vec<Option<u32>>,
}

impl<'a> Served<'a> {
    fn new(snapshot: &'a Snapshot, classes: &'a Classes) -> Self {
        let joint = &snapshot.network().flows.joint;
        let mut number: FxHashMap<(Symbol, Symbol), u32> = FxHashMap::default();
        let mut groups: Vec<Vec<(u32, usize)>> = Vec::new();
        let mut market_of = vec![u32::MAX; snapshot.group_count()];
        for v in snapshot.nodes() {
            for g in snapshot.groups(v) {
                let arrivals = snapshot.group_arrivals(g);
                let flows = &snapshot.arrival_flows()[arrivals];
                // Joint products follow their host: no market.
                if flows.is_empty() || flows.iter().any(|e| joint.contains(e)) {
                    continue;
                }
                let supplier = snapshot.flow_from(flows[0] as usize);
                let key = (snapshot.product(supplier), snapshot.stage(supplier));
                let market = *number.entry(key).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() as u32 - 1
                });
                market_of[g] = market;
                groups[market as usize].push((v, g));
            }
        }
        let made = vec![None; groups.len()];
        let critical = classes.critical_shares(snapshot);
        Self { snapshot, classes, critical, market_of, groups, made }
    }

    /// Market and claim of a group; the market is made if the problem does not have it yet.
    fn claim(
        &mut self,
        group: usize,
        markets: &mut Vec<Market>,
        mut read: impl FnMut(usize) -> (Vec<Offer>, f64),
    ) -> Option<(u32, u32)> {
        let market = *self.market_of.get(group)? as usize;
        let members = self.groups.get(market)?;
        let at = members.iter().position(|&(_, g)| g == group)? as u32;
        if let Some(made) = self.made[market] {
            return Some((made, at));
        }
        let rest = self.classes.count - 1;
        let claims = members
            .iter()
            .map(|&(v, g)| {
                let (offers, quantity) = read(g);
                let class = self.classes.of[v as usize];
                let offers = if quantity > 0.0 { offers } else { Vec::new() };
                let end_use = class == rest && self.snapshot.flows_out(v).is_empty();
                Claim { offers, quantity, class, critical: self.critical[v as usize], end_use }
            })
            .collect();
        markets.push(Market { claims });
        self.made[market] = Some(markets.len() as u32 - 1);
        Some((markets.len() as u32 - 1, at))
    }
}

/// Share of an offer that arrives if its supplier runs at a level.
pub(super) fn delivered(ration: Ration, level: f64) -> f64 {
    1.0 - ration.loss(1.0 - level)
}
