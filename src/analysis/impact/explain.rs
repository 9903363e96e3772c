//! Why a target loses: binding chains whose amounts add up to its loss, and the origin of each
//! part.
//!
//! A node's loss is split over what binds it: its own shock, or the arrivals of its binding input
//! in proportion to what each is short of (over all additive inputs where their sum binds). The
//! split of a supplier's loss is followed in the same way until a shock or a cut is reached, so
//! amounts add up to the loss exactly; what a bounded list leaves out is stated.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::graph::Snapshot;

use super::rows::{ArrivalScale, Binding, InputRule, Rows};
use super::solve::Side;
use super::target::TargetNodes;

/// Chains are not followed below this share of the target's loss.
const SMALLEST_SHARE: f64 = 1e-4;
/// Most states that are expanded for one target.
const MOST_STATES: usize = 2_000;

/// One part of a node's loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Where it comes from.
    pub origin: Origin,
    /// How much of the node's loss it is; parts add up to the loss.
    pub amount: f64,
}

/// Where a part of a loss comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// The node's own shock.
    Shock(u32),
    /// An arrival that is cut.
    Cut(usize),
    /// A supplier's loss, over an arrival.
    Supplier(u32, usize),
}

/// Splits the loss of one node over what binds it.
pub fn parts<S: ArrivalScale<1>>(
    rows: &Rows,
    node: u32,
    shock: f64,
    losses: &[[f64; 1]],
    cut: impl Fn(usize) -> f64,
    scale: &S,
    stamps: &[u32],
) -> Vec<Part> {
    let [loss] = losses[node as usize];
    if loss <= 0.0 {
        return Vec::new();
    }
    let groups = match rows.binding(node, shock, losses, scale, stamps) {
        Binding::Nothing => return Vec::new(),
        Binding::Shock => {
            return vec![Part { origin: Origin::Shock(node), amount: loss }];
        }
        Binding::Input(group) => group..group + 1,
        Binding::Sum => rows.groups(node),
    };
    let sum_binds = groups.len() > 1 || matches!(rows.rule(groups.start), InputRule::Additive);
    let mut parts = Vec::new();
    let mut total = 0.0;
    for group in groups {
        let factor = match rows.rule(group) {
            InputRule::Additive => rows.share(group),
            _ if sum_binds => continue,
            _ => 1.0,
        };
        for e in rows.arrivals(group) {
            let source = rows.source(e);
            let before = rows.ration(e).loss(losses[source as usize][0]);
            let mut arrival = [losses[source as usize][0]];
            arrival[0] = before;
            scale.apply(&mut arrival, e, source);
            let short = factor * rows.weight(e) * arrival[0];
            if short <= 0.0 {
                continue;
            }
            let cut = cut(e) > before;
            let origin = if cut { Origin::Cut(e) } else { Origin::Supplier(source, e) };
            parts.push(Part { origin, amount: short });
            total += short;
        }
    }
    if parts.is_empty() {
        // Its own suppliers deliver, but its market diverts: what the market lost is behind it.
        for group in rows.groups(node) {
            if scale.settled(group).is_some_and(|[l]| l > 0.0) {
                for (supplier, lost) in scale.behind(group, losses) {
                    let e = rows.arrivals(group).start;
                    parts.push(Part { origin: Origin::Supplier(supplier, e), amount: lost });
                    total += lost;
                }
            }
        }
    }
    if total > 0.0 {
        for part in &mut parts {
            part.amount *= loss / total;
        }
    }
    parts
}

/// One binding chain on the level of products and stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Labels from the target back to the origin.
    pub labels: Vec<u32>,
    /// How much of the target's loss travels along it.
    pub amount: f64,
    /// Its strongest path of nodes, from the target back to the origin.
    pub nodes: Vec<u32>,
    /// True if it ends in a cut of flows rather than in a shocked node.
    pub ends_in_cut: bool,
}

/// The chains of one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chains {
    /// Strongest first.
    pub chains: Vec<Chain>,
    /// What the list leaves out: chains and this add up to the target's loss.
    pub other: f64,
}

/// Loss of a target by shocked node or cut flow. Amounts add up to the loss (to rounding).
pub type Origins = Vec<(Origin, f64)>;

/// Labels (product and stage) of the nodes, numbered.
#[derive(Debug, Clone)]
pub struct Labels {
    of: Vec<u32>,
    names: Vec<String>,
}

impl Labels {
    /// `product` or `product.stage` of every node.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut number = BTreeMap::new();
        let mut names = Vec::new();
        let of = snapshot
            .nodes()
            .map(|v| {
                *number.entry((snapshot.product(v), snapshot.stage(v))).or_insert_with(|| {
                    let product = snapshot.name(snapshot.product(v));
                    let stage = snapshot.name(snapshot.stage(v));
                    names.push(if stage.is_empty() {
                        product.to_owned()
                    } else {
                        format!("{product}.{stage}")
                    });
                    names.len() as u32 - 1
                })
            })
            .collect();
        Self { of, names }
    }

    /// Label of a node.
    pub fn of(&self, node: u32) -> u32 {
        self.of[node as usize]
    }

    /// Text of a label.
    pub fn name(&self, label: u32) -> &str {
        &self.names[label as usize]
    }
}

/// A run that is explained: one direction of a solution.
pub struct Explainer<'a> {
    rows: &'a Rows,
    side: &'a Side<'a, 1>,
    labels: &'a Labels,
    cache: std::cell::RefCell<BTreeMap<u32, std::rc::Rc<Vec<Part>>>>,
}

/// A chain under way: the nodes at its end with their amounts.
struct State {
    amount: f64,
    labels: Vec<u32>,
    /// Node at the end, its amount, and the strongest path that led there.
    ends: BTreeMap<u32, (f64, Vec<u32>)>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for State {}
impl PartialOrd for State {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for State {
    fn cmp(&self, other: &Self) -> Ordering {
        self.amount.total_cmp(&other.amount).then_with(|| other.labels.cmp(&self.labels))
    }
}

impl<'a> Explainer<'a> {
    /// Explains one side of a solution.
    pub fn new(side: &'a Side<'a, 1>, labels: &'a Labels) -> Self {
        Self { rows: side.rows, side, labels, cache: Default::default() }
    }

    /// Parts of a node's loss.
    pub fn parts(&self, node: u32) -> std::rc::Rc<Vec<Part>> {
        let mut cache = self.cache.borrow_mut();
        cache
            .entry(node)
            .or_insert_with(|| {
                let [shock] = self.side.shock(node);
                std::rc::Rc::new(parts(
                    self.rows,
                    node,
                    shock,
                    &self.side.losses,
                    |e| self.side.cut(e)[0],
                    &self.side.scale(),
                    self.side.stamps(),
                ))
            })
            .clone()
    }

    /// The strongest chains of a target, at most `limit`.
    pub fn chains(&self, target: &TargetNodes, limit: usize) -> Chains {
        let total_weight: f64 = target.nodes.iter().map(|n| n.1).sum();
        let mut heap: BinaryHeap<State> = BinaryHeap::new();
        let mut by_label: BTreeMap<u32, BTreeMap<u32, (f64, Vec<u32>)>> = BTreeMap::new();
        let mut total = 0.0;
        for &(node, weight) in &target.nodes {
            let amount = self.side.losses[node as usize][0] * weight / total_weight;
            if amount > 0.0 {
                total += amount;
                by_label
                    .entry(self.labels.of(node))
                    .or_default()
                    .insert(node, (amount, vec![node]));
            }
        }
        for (label, ends) in by_label {
            let amount = ends.values().map(|e| e.0).sum();
            heap.push(State { amount, labels: vec![label], ends });
        }
        let mut found = Chains::default();
        let mut expanded = 0;
        while let Some(state) = heap.pop() {
            if found.chains.len() >= limit
                || expanded >= MOST_STATES
                || state.amount < SMALLEST_SHARE * total
            {
                break;
            }
            expanded += 1;
            self.expand(state, &mut heap, &mut found.chains);
        }
        found
            .chains
            .sort_by(|a, b| b.amount.total_cmp(&a.amount).then_with(|| a.labels.cmp(&b.labels)));
        found.chains.truncate(limit);
        found.other = (total - found.chains.iter().map(|c| c.amount).sum::<f64>()).max(0.0);
        found
    }

    /// Follows one chain a step: what ends is a chain, the rest goes back to the heap.
    fn expand(&self, state: State, heap: &mut BinaryHeap<State>, chains: &mut Vec<Chain>) {
        let mut next: BTreeMap<u32, BTreeMap<u32, (f64, Vec<u32>)>> = BTreeMap::new();
        // [ends in a shock, ends in a cut]: amount and strongest path.
        let mut ended: [(f64, f64, Vec<u32>); 2] = Default::default();
        for (&node, (amount, path)) in &state.ends {
            let parts = self.parts(node);
            let [loss] = self.side.losses[node as usize];
            for part in parts.iter() {
                let share = amount * part.amount / loss;
                match part.origin {
                    Origin::Shock(_) | Origin::Cut(_) => {
                        let cut = matches!(part.origin, Origin::Cut(_));
                        let end = &mut ended[usize::from(cut)];
                        end.0 += share;
                        if share > end.1 {
                            end.1 = share;
                            end.2.clone_from(path);
                            if let Origin::Cut(e) = part.origin {
                                end.2.push(self.rows.source(e));
                            }
                        }
                    }
                    Origin::Supplier(source, _) => {
                        let ends = next.entry(self.labels.of(source)).or_default();
                        let entry = ends.entry(source).or_default();
                        let better = share > entry.0;
                        entry.0 += share;
                        if better || entry.1.is_empty() {
                            entry.1.clone_from(path);
                            entry.1.push(source);
                        }
                    }
                }
            }
        }
        for (cut, (amount, _, nodes)) in ended.into_iter().enumerate() {
            if amount > 0.0 {
                let mut labels = state.labels.clone();
                if cut == 1
                    && let Some(&source) = nodes.last()
                {
                    labels.push(self.labels.of(source));
                }
                chains.push(Chain { labels, amount, nodes, ends_in_cut: cut == 1 });
            }
        }
        for (label, ends) in next {
            let mut labels = state.labels.clone();
            labels.push(label);
            let amount = ends.values().map(|e| e.0).sum();
            heap.push(State { amount, labels, ends });
        }
    }

    /// Follows every part of a target's loss back to its origins, round by round, and shows each
    /// to `visit`: the node that loses, the part, and how much of the target's loss it carries.
    /// Stops when less than `tolerance` is on the way. In a cycle amounts shrink geometrically,
    /// but for one that sustains itself (a threshold that fell): what goes round there has no
    /// origin left in the final state and stays unattributed.
    pub fn follow(
        &self,
        target: &TargetNodes,
        tolerance: f64,
        mut visit: impl FnMut(u32, &Part, f64),
    ) {
        let mut pending: BTreeMap<u32, f64> = BTreeMap::new();
        for &(node, weight) in &target.nodes {
            let amount = self.side.losses[node as usize][0] * weight / target.baseline;
            if amount > 0.0 {
                *pending.entry(node).or_default() += amount;
            }
        }
        let mut on_the_way = f64::INFINITY;
        for round in 0..10_000 {
            let left = pending.values().sum::<f64>();
            if left <= tolerance {
                break;
            }
            if round % 128 == 127 {
                if left > on_the_way * (1.0 - 1e-9) {
                    break;
                }
                on_the_way = left;
            }
            let mut next: BTreeMap<u32, f64> = BTreeMap::new();
            for (&node, &amount) in &pending {
                let [loss] = self.side.losses[node as usize];
                for part in self.parts(node).iter() {
                    let share = amount * part.amount / loss;
                    visit(node, part, share);
                    if let Origin::Supplier(source, _) = part.origin {
                        *next.entry(source).or_default() += share;
                    }
                }
            }
            pending = next;
        }
    }

    /// How much of a target's loss each shocked node and cut arrival accounts for, largest first.
    /// Amounts add up to the loss up to `tolerance`.
    pub fn origins(&self, target: &TargetNodes, tolerance: f64) -> Origins {
        let mut origins: BTreeMap<Origin, f64> = BTreeMap::new();
        self.follow(target, tolerance, |_, part, amount| {
            if !matches!(part.origin, Origin::Supplier(..)) {
                *origins.entry(part.origin).or_default() += amount;
            }
        });
        let mut list: Origins = origins.into_iter().collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list
    }

    /// The part of a target's loss that would stay if only its binding input were made whole,
    /// because another input is nearly as short: they act together.
    pub fn joint(&self, target: &TargetNodes) -> f64 {
        let total_weight: f64 = target.nodes.iter().map(|n| n.1).sum();
        let scale = self.side.scale();
        let mut joint = 0.0;
        for &(node, weight) in &target.nodes {
            let [shock] = self.side.shock(node);
            let Binding::Input(binding) =
                self.rows.binding(node, shock, &self.side.losses, &scale, self.side.stamps())
            else {
                continue;
            };
            let mut second = shock;
            let mut added = 0.0;
            for group in self.rows.groups(node).filter(|&g| g != binding) {
                let [loss] = self.rows.group_loss(group, &self.side.losses, &scale);
                match self.rows.rule(group) {
                    InputRule::Limiting(d) => second = second.max(d * loss),
                    InputRule::Threshold(most) => second = second.max(f64::from(loss > most)),
                    InputRule::Additive => added += self.rows.share(group) * loss,
                    InputRule::None => {}
                }
            }
            joint += weight * second.max(added).min(self.side.losses[node as usize][0]);
        }
        if total_weight > 0.0 { joint / total_weight } else { 0.0 }
    }
}
