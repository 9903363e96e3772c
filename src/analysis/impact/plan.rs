//! Rows laid out for evaluation in many scenarios: the same arithmetic as [`Rows::node_loss`] in
//! straight loops, without a decision for each input.
//!
//! Inputs of a node are sorted by what they do: limiting ones with one supplier, other limiting
//! ones, additive ones (in their order: sums keep theirs). The result is the same to the last
//! bit, so that it does not matter which of the two evaluated a node.

use pulp::Simd;

use super::lanes::{least, most};
use super::rows::{ArrivalScale, InputRule, Rows, Unscaled};

/// How a node's loss is computed.
pub trait NodeLoss<const L: usize> {
    /// Loss of a node in each of `L` scenarios, given the losses of the nodes that act on it.
    fn node_loss<V: Simd>(
        &self,
        simd: V,
        node: u32,
        shock: &[f64; L],
        losses: &[[f64; L]],
    ) -> [f64; L];
}

/// Rows under a scale.
pub struct Scaled<'a, S> {
    /// The rows.
    pub rows: &'a Rows,
    /// What scales arrivals.
    pub scale: &'a S,
}

impl<const L: usize, S: ArrivalScale<L>> NodeLoss<L> for Scaled<'_, S> {
    #[inline(always)]
    fn node_loss<V: Simd>(
        &self,
        _: V,
        node: u32,
        shock: &[f64; L],
        losses: &[[f64; L]],
    ) -> [f64; L] {
        self.rows.node_loss(node, shock, losses, self.scale)
    }
}

/// One arrival.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    weight: f64,
    source: u32,
}

/// A limiting input with one supplier.
#[derive(Debug, Clone, Copy)]
struct Only {
    arrival: Arrival,
    dependence: f64,
}

/// An input with several suppliers, or an additive one.
#[derive(Debug, Clone, Copy)]
struct Input {
    /// Dependence of a limiting input, share of an additive one.
    factor: f64,
    /// End of its arrivals; they start where those of the input before end.
    end: u32,
}

/// Where the inputs of a node end; they start where those of the node before end.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    only: u32,
    limiting: u32,
    additive: u32,
    arrivals: u32,
}

/// In which order the nodes of some rows are visited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visits<'a> {
    /// Node of each place; empty: a node's place is its number.
    nodes: &'a [u32],
    /// Place of each node.
    places: &'a [u32],
}

impl Visits<'_> {
    /// The node at a place.
    #[inline(always)]
    pub fn node(&self, place: u32) -> u32 {
        self.nodes.get(place as usize).copied().unwrap_or(place)
    }

    /// The place of a node.
    #[inline(always)]
    pub fn place(&self, node: u32) -> u32 {
        self.places.get(node as usize).copied().unwrap_or(node)
    }
}

/// The plan of evaluation of some rows.
///
/// Nodes have places by their inputs, so that many of one shape are evaluated one after the other:
/// the processor foresees where each of their loops ends.
#[derive(Debug)]
pub struct Plan {
    /// Node of each place.
    nodes: Vec<u32>,
    /// Place of each node.
    places: Vec<u32>,
    /// By place and one before the first.
    ends: Vec<Ends>,
    only: Vec<Only>,
    inputs: Vec<Input>,
    arrivals: Vec<Arrival>,
}

impl Plan {
    /// The plan of rows that are limiting or additive and serve all consumers alike; `None` for
    /// others.
    pub fn of(rows: &Rows) -> Option<Self> {
        if !rows.is_proportional() {
            return None;
        }
        let all = 0..rows.node_count() as u32;
        let mut shaped: Vec<(Shape, u32)> =
            all.map(|node| Some((Shape::of(rows, node)?, node))).collect::<Option<_>>()?;
        shaped.sort_unstable();
        let mut plan = Self {
            nodes: Vec::with_capacity(shaped.len()),
            places: vec![0; shaped.len()],
            ends: vec![Ends::default()],
            only: Vec::new(),
            inputs: Vec::new(),
            arrivals: Vec::new(),
        };
        for (_, node) in shaped {
            plan.places[node as usize] = plan.nodes.len() as u32;
            plan.nodes.push(node);
            plan.add(rows, node);
        }
        Some(plan)
    }

    fn add(&mut self, rows: &Rows, node: u32) {
        let of = |e: usize| Arrival { weight: rows.weight(e), source: rows.source(e) };
        let push = |plan: &mut Self, factor: f64, group: usize| {
            plan.arrivals.extend(rows.arrivals(group).map(of));
            plan.inputs.push(Input { factor, end: plan.arrivals.len() as u32 });
        };
        for group in rows.groups(node) {
            match Role::of(rows, group) {
                Some(Role::Only(dependence)) => {
                    let arrival = of(rows.arrivals(group).start);
                    self.only.push(Only { arrival, dependence });
                }
                Some(Role::Limiting(dependence)) => push(self, dependence, group),
                _ => {}
            }
        }
        let limiting = self.inputs.len() as u32;
        for group in rows.groups(node) {
            if let Some(Role::Additive(share)) = Role::of(rows, group) {
                push(self, share, group);
            }
        }
        self.ends.push(Ends {
            only: self.only.len() as u32,
            limiting,
            additive: self.inputs.len() as u32,
            arrivals: self.arrivals.len() as u32,
        });
    }

    /// In which order nodes are best visited.
    pub fn visits(&self) -> Visits<'_> {
        Visits { nodes: &self.nodes, places: &self.places }
    }
}

/// What an input does in a plan.
enum Role {
    /// Nothing.
    None,
    /// It limits by this dependence and has one supplier.
    Only(f64),
    /// It limits by this dependence.
    Limiting(f64),
    /// It adds this share.
    Additive(f64),
}

impl Role {
    /// The role of a group; `None` if a plan cannot hold it.
    fn of(rows: &Rows, group: usize) -> Option<Self> {
        if rows.slack(group) > 0.0 {
            return None;
        }
        Some(match rows.rule(group) {
            InputRule::Limiting(dependence) if dependence > 0.0 => {
                match rows.arrivals(group).len() {
                    1 => Self::Only(dependence),
                    _ => Self::Limiting(dependence),
                }
            }
            InputRule::Additive => Self::Additive(rows.share(group)),
            InputRule::Limiting(_) | InputRule::None => Self::None,
            InputRule::Threshold(_) => return None,
        })
    }
}

/// How often each loop over the inputs of a node runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    only: usize,
    limiting: usize,
    additive: usize,
    arrivals: usize,
}

impl Shape {
    /// The shape of a node's inputs; `None` if a plan cannot hold them.
    fn of(rows: &Rows, node: u32) -> Option<Self> {
        let mut shape = Self { only: 0, limiting: 0, additive: 0, arrivals: 0 };
        for group in rows.groups(node) {
            match Role::of(rows, group)? {
                Role::None => continue,
                Role::Only(_) => {
                    shape.only += 1;
                    continue;
                }
                Role::Limiting(_) => shape.limiting += 1,
                Role::Additive(_) => shape.additive += 1,
            }
            shape.arrivals += rows.arrivals(group).len();
        }
        Some(shape)
    }
}

impl<const L: usize> NodeLoss<L> for Plan {
    #[inline(always)]
    fn node_loss<V: Simd>(
        &self,
        simd: V,
        node: u32,
        shock: &[f64; L],
        losses: &[[f64; L]],
    ) -> [f64; L] {
        let place = self.places[node as usize] as usize;
        let (from, to) = (self.ends[place], self.ends[place + 1]);
        let mut worst = *shock;
        for only in &self.only[from.only as usize..to.only as usize] {
            let loss = &losses[only.arrival.source as usize];
            let mut lost = *loss;
            for lane in 0..L {
                lost[lane] = only.dependence * (only.arrival.weight * lost[lane]);
            }
            worst = most(simd, &worst, &lost);
        }
        let mut start = from.arrivals as usize;
        let mut sum = |input: &Input| {
            let mut sum = [0.0; L];
            for arrival in &self.arrivals[start..input.end as usize] {
                let loss = &losses[arrival.source as usize];
                for lane in 0..L {
                    sum[lane] += arrival.weight * loss[lane];
                }
            }
            start = input.end as usize;
            sum
        };
        for input in &self.inputs[from.additive as usize..to.limiting as usize] {
            let mut lost = sum(input);
            for lane in 0..L {
                lost[lane] *= input.factor;
            }
            worst = most(simd, &worst, &lost);
        }
        let mut added = [0.0; L];
        for input in &self.inputs[to.limiting as usize..to.additive as usize] {
            let loss = sum(input);
            for lane in 0..L {
                added[lane] += input.factor * loss[lane];
            }
        }
        least(simd, &most(simd, &worst, &added), &[1.0; L])
    }
}

/// Rows without a scale.
pub fn unscaled(rows: &Rows) -> Scaled<'_, Unscaled> {
    Scaled { rows, scale: &Unscaled }
}
