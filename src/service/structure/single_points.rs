//! Losses under the production rules of single nodes and links: the single point of failure test.

use std::sync::Arc;

use super::{Context, impossible, select};
use crate::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use crate::analysis::structure::{Direction, reach};
use crate::graph::Snapshot;
use crate::model::scenario::{ModelOptions, Target};
use crate::model::selector::Selector;
use crate::service::ServiceError;

/// Loss from which on a node has stopped.
const STOPPED: f64 = 1.0 - 1e-9;

/// What is removed alone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A node.
    Node(u32),
    /// The flows from one node to another.
    Link(u32, u32),
    /// The flows between two nodes, both ways.
    Both(u32, u32),
}

/// The engine and the targets whose losses are asked for.
pub(super) struct Losses {
    model: Arc<ImpactModel>,
    /// Share of each node in the targets' loss; 0 for other nodes.
    share: Vec<f64>,
    /// Target nodes, ascending.
    nodes: Vec<u32>,
}

impl Losses {
    /// `to`: the targets; nodes without consumers if there is none.
    pub fn new(
        context: &Context<'_>,
        options: &ModelOptions,
        to: Option<&Selector>,
    ) -> Result<Self, ServiceError> {
        let snapshot = context.snapshot;
        let target = match to {
            Some(to) => {
                let target = Target { name: "targets".into(), select: to.clone() };
                select(snapshot, "to", to)?;
                TargetNodes::resolve(snapshot, &target, "to")?
            }
            None => final_consumers(snapshot)?,
        };
        let model = context.models.get(snapshot, options, &[])?;
        let mut share = vec![0.0; snapshot.node_count()];
        for &(v, weight) in &target.nodes {
            share[v as usize] = if target.baseline > 0.0 { weight / target.baseline } else { 0.0 };
        }
        Ok(Self { model, share, nodes: target.nodes.iter().map(|t| t.0).collect() })
    }

    /// Number of target nodes.
    pub fn targets(&self) -> usize {
        self.nodes.len()
    }

    /// What the targets lose if each place alone is lost.
    pub fn of(&self, context: &Context<'_>, places: &[Place]) -> Result<Vec<f64>, ServiceError> {
        let solved = self.solve(context, places, |losses| self.weigh(losses))?;
        Ok(solved.into_iter().map(|(loss, _)| loss).collect())
    }

    /// The other nodes that stop if each place alone is lost, ascending.
    pub fn stopped(
        &self,
        context: &Context<'_>,
        places: &[Place],
    ) -> Result<Vec<Vec<u32>>, ServiceError> {
        let solved = self.solve(context, places, |losses| {
            let stopped = losses.iter().filter(|(_, d, u)| d.max(*u) >= STOPPED);
            stopped.map(|l| l.0).collect::<Vec<u32>>()
        })?;
        let lists = solved.into_iter().zip(places).map(|((mut nodes, _), place)| {
            nodes.sort_unstable();
            if let Place::Node(own) = place {
                nodes.retain(|v| v != own);
            }
            nodes
        });
        Ok(lists.collect())
    }

    fn weigh(&self, losses: &[(u32, f64, f64)]) -> f64 {
        losses.iter().map(|&(v, down, up)| self.share[v as usize] * down.max(up)).sum()
    }

    fn solve<T: Send>(
        &self,
        context: &Context<'_>,
        places: &[Place],
        read: impl Fn(&[(u32, f64, f64)]) -> T + Sync,
    ) -> Result<Vec<(T, bool)>, ServiceError> {
        let snapshot = context.snapshot;
        let shocks: Vec<Shocks> = places.iter().map(|p| shocks(snapshot, *p)).collect();
        context.progress.start(shocks.len() as u64);
        Ok(self.model.solve_many(&shocks, context.progress, |_, losses| {
            (read(&losses.nodes), losses.ending.converged)
        })?)
    }
}

fn shocks(snapshot: &Snapshot, place: Place) -> Shocks {
    let ends = match place {
        Place::Node(v) => return Shocks::removal(&[v]),
        Place::Link(u, v) => [Some((u, v)), None],
        Place::Both(u, v) => [Some((u, v)), Some((v, u))],
    };
    let between = |(u, v): (u32, u32)| {
        let flows = snapshot.flows_out(u).filter(move |&e| snapshot.flow_to(e) == v);
        flows.map(|e| e as u32)
    };
    let flows: Vec<u32> = ends.into_iter().flatten().flat_map(between).collect();
    Shocks::cut(&flows)
}

/// Nodes without consumers other than themselves.
fn final_consumers(snapshot: &Snapshot) -> Result<TargetNodes, ServiceError> {
    let last = |v: &u32| snapshot.consumers(*v).all(|w| w == *v);
    let nodes: Vec<u32> = snapshot.nodes().filter(last).collect();
    if nodes.is_empty() {
        return Err(impossible(
            "to",
            "single points of failure need targets, but every node has a consumer",
            "name the targets with to, or leave single_point_of_failure out of kinds",
        ));
    }
    let weight = |v: u32| match snapshot.output(v) {
        Some(output) if output > 0.0 => output,
        _ => snapshot.in_strength(v).max(snapshot.out_strength(v)),
    };
    let mut nodes: Vec<(u32, f64)> = nodes.into_iter().map(|v| (v, weight(v))).collect();
    let mut baseline: f64 = nodes.iter().map(|t| t.1).sum();
    if baseline <= 0.0 {
        nodes.iter_mut().for_each(|t| t.1 = 1.0);
        baseline = nodes.len() as f64;
    }
    Ok(TargetNodes { name: "final consumers".into(), nodes, baseline, unit: "mixed units".into() })
}

/// A node whose loss alone costs the targets enough.
pub(super) struct SinglePoint {
    pub node: u32,
    pub loss: f64,
}

/// Single points of failure, worst first.
pub(super) struct SinglePoints {
    pub points: Vec<SinglePoint>,
    pub total: u32,
    pub evaluated: usize,
    pub converged: bool,
}

/// Removes every candidate alone. By default candidates are the nodes that lead to the targets,
/// targets themselves left out: that a target stops if it is removed says nothing.
pub(super) fn single_points(
    context: &Context<'_>,
    losses: &Losses,
    candidates: Option<&Selector>,
    loss_at_least: f64,
    limit: usize,
) -> Result<SinglePoints, ServiceError> {
    let snapshot = context.snapshot;
    let mut nodes = match candidates {
        Some(selector) => select(snapshot, "candidates", selector)?,
        None => {
            let links = context.views.links(snapshot)?;
            let mut upstream = reach(&links, &losses.nodes, Direction::In)?;
            upstream.sort_unstable();
            upstream.retain(|v| losses.nodes.binary_search(v).is_err());
            upstream
        }
    };
    nodes.dedup();
    let places: Vec<Place> = nodes.iter().map(|&v| Place::Node(v)).collect();
    let solved = losses.solve(context, &places, |found| losses.weigh(found))?;
    let converged = solved.iter().all(|(_, converged)| *converged);
    // Rounding must not keep out a node that costs exactly the share asked for.
    let enough = |loss: f64| loss >= loss_at_least - 1e-9;
    let mut points: Vec<SinglePoint> = nodes
        .iter()
        .zip(solved)
        .filter(|(_, (loss, _))| enough(*loss))
        .map(|(&node, (loss, _))| SinglePoint { node, loss })
        .collect();
    points.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(a.node.cmp(&b.node)));
    let total = points.len() as u32;
    points.truncate(limit);
    Ok(SinglePoints { points, total, evaluated: places.len(), converged })
}
