//! Evaluates a problem's levels quickly: its rows flat, suppliers first.

use rustc_hash::FxHashSet;

use super::problem::{Group, Problem, Response, Unit, delivered};
use super::{LOSS_TOLERANCE, Semantics};
use crate::analysis::impact::rationing::Ration;

/// Most sweeps inside a loop before the levels are taken as they are.
const MAX_SWEEPS: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Row {
    stock: f64,
    response: Response,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    from: u32,
    flow: u32,
    share: f64,
}

/// The rows of a problem in the order of evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// Nodes, suppliers first, with the end of their rows.
    nodes: Vec<(u32, u32)>,
    rows: Vec<Row>,
    arrivals: Vec<Arrival>,
    /// Rationing of every arrival; empty: proportional.
    rations: Vec<Ration>,
    /// Ends of components among `nodes`, and whether each is a loop.
    components: Vec<(u32, bool)>,
}

impl Plan {
    pub(super) fn new(nodes: &[Vec<Group>], components: &[Vec<u32>], looped: &[bool]) -> Self {
        let mut plan = Self::default();
        let mut rationed = false;
        for (component, &is_loop) in components.iter().zip(looped) {
            for &node in component {
                for group in &nodes[node as usize] {
                    for offer in &group.offers {
                        let (from, flow, share) = (offer.from, offer.flow, offer.share);
                        plan.arrivals.push(Arrival { from, flow, share });
                        plan.rations.push(offer.ration);
                        rationed |= offer.ration != Ration::PROPORTIONAL;
                    }
                    let end = plan.arrivals.len() as u32;
                    plan.rows.push(Row { stock: group.stock, response: group.response, end });
                }
                plan.nodes.push((node, plan.rows.len() as u32));
            }
            plan.components.push((plan.nodes.len() as u32, is_loop));
        }
        if !rationed {
            plan.rations = Vec::new();
        }
        plan
    }

    /// Nodes and arrivals.
    pub(super) fn size(&self) -> u64 {
        (self.nodes.len() + self.arrivals.len()) as u64
    }

    /// Levels of all nodes if these units are removed.
    pub(super) fn levels(&self, removed: &[u32], units: &[Unit], semantics: Semantics) -> Vec<f64> {
        let start = if semantics == Semantics::Collapse { 1.0 } else { 0.0 };
        let mut level = vec![start; self.nodes.len()];
        let mut gone = vec![false; self.nodes.len()];
        let mut cut: FxHashSet<u32> = FxHashSet::default();
        for &unit in removed {
            for &node in &units[unit as usize].nodes {
                gone[node as usize] = true;
            }
            cut.extend(&units[unit as usize].flows);
        }
        let mut first = 0;
        for &(end, is_loop) in &self.components {
            let members = first..end as usize;
            for _ in 0..MAX_SWEEPS {
                let mut step = 0.0f64;
                for at in members.clone() {
                    let node = self.nodes[at].0 as usize;
                    let new = if gone[node] { 0.0 } else { self.operate(at, &level, &cut) };
                    step = step.max((new - level[node]).abs());
                    level[node] = new;
                }
                if !is_loop || step <= 1e-14 {
                    break;
                }
            }
            first = end as usize;
        }
        level
    }

    fn operate(&self, at: usize, level: &[f64], cut: &FxHashSet<u32>) -> f64 {
        let first_row = if at == 0 { 0 } else { self.nodes[at - 1].1 as usize };
        let rows = first_row..self.nodes[at].1 as usize;
        let mut begin = if first_row == 0 { 0 } else { self.rows[first_row - 1].end as usize };
        let (mut least, mut lost) = (1.0f64, 0.0);
        for row in &self.rows[rows] {
            let mut sum = row.stock;
            for e in begin..row.end as usize {
                let arrival = self.arrivals[e];
                if !cut.is_empty() && cut.contains(&arrival.flow) {
                    continue;
                }
                let supplier = level[arrival.from as usize];
                sum += arrival.share
                    * match self.rations.get(e) {
                        Some(&ration) => delivered(ration, supplier),
                        None => supplier,
                    };
            }
            begin = row.end as usize;
            let supply = sum.min(1.0);
            match row.response {
                Response::Limiting(dependence) => {
                    least = least.min(1.0 - dependence * (1.0 - supply));
                }
                Response::Threshold(share) if supply < share - LOSS_TOLERANCE => return 0.0,
                Response::Threshold(_) => {}
                Response::Additive(weight) => lost += weight * (1.0 - supply),
            }
        }
        least.min(1.0 - lost).max(0.0)
    }
}

impl Problem {
    /// Operating level of every node if these units (ascending) are removed.
    pub fn levels(&self, removed: &[u32]) -> Vec<f64> {
        self.plan().levels(removed, self.units(), self.semantics())
    }
}
