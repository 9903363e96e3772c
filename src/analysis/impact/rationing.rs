//! Who is served first when a supplier is short, in the steady state.
//!
//! A supplier at loss l gives `1 - l` of its baseline. With classes served in order, the classes
//! behind class c are its buffer: c loses nothing until they have lost everything, and then loses
//! in proportion: `clamp((l - buffer) / width, 0, 1)`, where width is c's own share of the
//! supplier's deliveries. Proportional rationing is buffer 0, width 1. Serving the smallest share
//! as well as possible (max-min) with orders frozen at the baseline is the same as proportional.
//! Joint products follow their host and stand outside.

use crate::graph::{Condensation, SelectError, Snapshot};
use crate::model::Rule;
use crate::model::scenario::{Rationing, RationingRule, critical_uses};

/// Rationing of one arrival: its loss as a function of the supplier's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ration {
    buffer: f64,
    inverse_width: f64,
    /// Share of the baseline that everyone gets before the order counts.
    floor: f64,
}

impl Ration {
    /// Everyone loses what the supplier loses.
    pub const PROPORTIONAL: Self = Self { buffer: 0.0, inverse_width: 1.0, floor: 0.0 };

    /// Nothing is lost until the supplier has lost `buffer`, all when it has lost `buffer + width`.
    pub fn behind(buffer: f64, width: f64) -> Self {
        Self { buffer, inverse_width: 1.0 / width, floor: 0.0 }
    }

    /// Loss of the arrival at a supplier's loss.
    #[inline(always)]
    pub fn loss(self, supplier: f64) -> f64 {
        if self.floor == 0.0 {
            return ((supplier - self.buffer) * self.inverse_width).clamp(0.0, 1.0);
        }
        // Above the floor the order counts; below it everyone gets the same.
        let rest = 1.0 - self.floor;
        if supplier >= rest {
            return supplier;
        }
        rest * ((supplier / rest - self.buffer) * self.inverse_width).clamp(0.0, 1.0)
    }

    /// Slope of [`Ration::loss`] at a supplier's loss (from the left of a kink: what a further
    /// loss adds), and the loss at which that slope ends.
    pub fn slope(self, supplier: f64) -> (f64, f64) {
        let rest = 1.0 - self.floor;
        if self.floor > 0.0 && supplier >= rest {
            return (1.0, 1.0);
        }
        let start = self.buffer * rest;
        let end = (self.buffer + 1.0 / self.inverse_width) * rest;
        if supplier < start {
            (0.0, start)
        } else if supplier < end {
            (self.inverse_width, end)
        } else {
            (0.0, if self.floor > 0.0 { rest } else { 1.0 })
        }
    }
}

/// Class of every node as a consumer: 0 is served first; the last class is everyone else.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// Class of each node.
    pub of: Vec<u16>,
    /// Number of classes, everyone else included.
    pub count: u16,
    /// True for nodes that a class names itself.
    pub named: Vec<bool>,
}

impl Classes {
    /// Classes of a priority rule; one class for the others.
    ///
    /// # Errors
    /// A selector of the order that the graph does not understand.
    pub fn of(snapshot: &Snapshot, rationing: &Rationing) -> Result<Self, SelectError> {
        let n = snapshot.node_count();
        if rationing.rule != RationingRule::Priority {
            return Ok(Self { of: vec![0; n], count: 1, named: vec![false; n] });
        }
        let standard;
        let order = if rationing.order.is_empty() {
            standard = critical_uses();
            &standard
        } else {
            &rationing.order
        };
        let inherit = rationing.inherits();
        let rest = order.len() as u16;
        let mut of = vec![rest; n];
        for (class, selector) in order.iter().enumerate() {
            let nodes = snapshot.select(selector)?;
            for node in nodes {
                of[node as usize] = of[node as usize].min(class as u16);
            }
        }
        let named = of.iter().map(|&c| c < rest).collect();
        if inherit {
            inherit_classes(snapshot, &mut of, rest);
        }
        Ok(Self { of, count: rest + 1, named })
    }
}

/// Every node that no selector names takes the best class that it serves, directly or through
/// others, over inputs that matter.
fn inherit_classes(snapshot: &Snapshot, of: &mut [u16], rest: u16) {
    let named: Vec<bool> = of.iter().map(|&c| c < rest).collect();
    let mut queue: Vec<u32> = Vec::new();
    for class in 0..rest {
        queue.extend(snapshot.nodes().filter(|&v| of[v as usize] == class));
        while let Some(consumer) = queue.pop() {
            for group in snapshot.groups(consumer) {
                let requirement = snapshot
                    .network()
                    .requirement(snapshot.product(consumer), snapshot.group_product(group));
                if requirement.is_some_and(|r| r.rule == Rule::None) {
                    continue;
                }
                for e in snapshot.group_arrivals(group) {
                    let supplier = snapshot.arrival_suppliers()[e] as usize;
                    if !named[supplier] && of[supplier] > class {
                        of[supplier] = class;
                        queue.push(supplier as u32);
                    }
                }
            }
        }
    }
}

impl Classes {
    /// Share of each node's output that serves the order, directly or through others: 1 for nodes
    /// that a class names, 0 for end uses outside the order, else the mean over its deliveries
    /// (joint products aside). This is the part of its needs that comes before end uses.
    pub fn critical_shares(&self, snapshot: &Snapshot) -> Vec<f64> {
        let named = &self.named;
        let flows = &snapshot.network().flows;
        let mut share: Vec<f64> = named.iter().map(|&n| f64::from(n)).collect();
        let joint = joint_flows(snapshot);
        let order = Condensation::new(snapshot.node_count(), |v| &flows.to[snapshot.flows_out(v)]);
        // Consumers before suppliers; in a cycle a few rounds settle the mean.
        for _ in 0..8 {
            let mut change = 0.0f64;
            for &v in order.nodes.iter().rev() {
                if named[v as usize] {
                    continue;
                }
                let (mut sum, mut total) = (0.0, 0.0);
                for e in snapshot.flows_out(v) {
                    if !joint[e] {
                        total += snapshot.quantity(e);
                        sum += snapshot.quantity(e) * share[flows.to[e] as usize];
                    }
                }
                let new = if total > 0.0 { sum / total } else { 0.0 };
                change = change.max((new - share[v as usize]).abs());
                share[v as usize] = new;
            }
            if change < 1e-9 {
                break;
            }
        }
        share
    }

    /// The class of everyone else.
    pub fn rest(&self) -> u16 {
        self.count - 1
    }
}

/// Rationing of every arrival under a rule; empty where everyone is served alike.
pub fn rations(snapshot: &Snapshot, rationing: &Rationing, classes: &Classes) -> Vec<Ration> {
    if rationing.rule != RationingRule::Priority || classes.count <= 1 {
        return Vec::new();
    }
    let floor = rationing.floor.unwrap_or(0.0);
    let flows = &snapshot.network().flows;
    let joint = joint_flows(snapshot);
    let class = |e: usize| classes.of[flows.to[e] as usize] as usize;
    let mut by_flow = vec![Ration::PROPORTIONAL; snapshot.flow_count()];
    // What a supplier gives to each class, and to the classes behind each; joint products aside.
    let mut given = vec![0.0; classes.count as usize];
    let mut behind = vec![0.0; classes.count as usize];
    for supplier in snapshot.nodes() {
        let own = || snapshot.flows_out(supplier).filter(|&e| !joint[e]);
        given.fill(0.0);
        let mut all = 0.0;
        for e in own() {
            given[class(e)] += snapshot.quantity(e);
            all += snapshot.quantity(e);
        }
        if all <= 0.0 {
            continue;
        }
        for c in 0..given.len() {
            behind[c] = given[c + 1..].iter().sum();
        }
        for e in own() {
            let (own, behind) = (given[class(e)], behind[class(e)]);
            if own > 0.0 && own != all {
                by_flow[e] = Ration { buffer: behind / all, inverse_width: all / own, floor };
            }
        }
    }
    snapshot.arrival_flows().iter().map(|&e| by_flow[e as usize]).collect()
}

/// Which flows are joint, by flow.
fn joint_flows(snapshot: &Snapshot) -> Vec<bool> {
    let mut joint = vec![false; snapshot.flow_count()];
    for (e, ()) in snapshot.network().flows.joint.iter() {
        joint[e as usize] = true;
    }
    joint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_loses_only_when_those_behind_it_have_lost_all() {
        let first = Ration { buffer: 0.75, inverse_width: 4.0, floor: 0.0 };
        assert_eq!(first.loss(0.0), 0.0);
        assert_eq!(first.loss(0.75), 0.0);
        assert!((first.loss(0.875) - 0.5).abs() < 1e-15);
        assert_eq!(first.loss(1.0), 1.0);
        assert_eq!(first.slope(0.8), (4.0, 1.0));
        assert_eq!(first.slope(0.5), (0.0, 0.75));
    }

    #[test]
    fn a_floor_is_shared_by_all() {
        let last = Ration { buffer: 0.0, inverse_width: 4.0, floor: 0.5 };
        // Half is lost: the class keeps its floor, half of its baseline.
        assert!((last.loss(0.5) - 0.5).abs() < 1e-15);
        assert!((last.loss(0.8) - 0.8).abs() < 1e-15);
        assert!(last.loss(0.1) > 0.1);
    }
}
