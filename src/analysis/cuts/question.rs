//! Cut questions on a snapshot: flows and nodes by index, capacities scaled and said.

use super::capacity::{CapacityRule, ScaleError, Scaled, scale_capacities};
use super::global::{UndirectedEdge, global_minimum_cut};
use super::problem::{CutProblem, CutState, SidedCut};
use super::tree::{CutTree, gomory_hu_tree};
use super::{AllMinimum, Cheapest, CutError, CutKind};
use crate::analysis::Progress;
use crate::graph::{Csr, Snapshot};

/// Which cuts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CutList {
    /// One minimum cut, nearest to the sources; the one nearest to the targets stands beside it.
    #[default]
    One,
    /// Every minimum cut.
    AllMinimum,
    /// Inclusion-minimal cuts from the cheapest upwards.
    Cheapest,
    /// Every inclusion-minimal cut of at most so many flows or nodes, smallest first.
    UpToSize(u64),
}

/// A cut question.
#[derive(Debug, Clone)]
pub struct CutOptions {
    /// Where supply starts.
    pub sources: Vec<u32>,
    /// What is to be cut off.
    pub targets: Vec<u32>,
    /// Flows or nodes.
    pub kind: CutKind,
    /// What cutting costs.
    pub capacity: CapacityRule,
    /// Which cuts.
    pub list: CutList,
    /// Most cuts in the answer.
    pub limit: usize,
}

/// A cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Sum of the capacities of what is cut.
    pub weight: f64,
    /// Flow indices ([`CutKind::Edge`]) or node indices, ascending.
    pub units: Vec<u32>,
}

/// A minimum cut with its sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    /// The cut.
    pub cut: Cut,
    /// Nodes on the source side, ascending. Cut nodes are on neither side.
    pub source_side: Vec<u32>,
    /// Nodes on the target side, ascending.
    pub target_side: Vec<u32>,
}

/// Answer of [`cuts`].
#[derive(Debug, Clone, PartialEq)]
pub struct Cuts {
    /// Whether there is something to cut. In all but [`CutState::Cuttable`] no cut is made up:
    /// already disconnected sets have the empty cut alone, overlapping and adjacent ones none.
    pub state: CutState,
    /// Weight of a minimum cut; `None` where no cut exists.
    pub value: Option<f64>,
    /// Cuts, by weight, then (where all are listed) by units.
    pub cuts: Vec<Cut>,
    /// False if the limit cut the list short.
    pub complete: bool,
    /// Minimum cut nearest to the sources.
    pub nearest_source: Option<Sides>,
    /// Minimum cut nearest to the targets; often the same.
    pub nearest_target: Option<Sides>,
    /// Capacities were counted in units of 1 / scale.
    pub scale: u64,
    /// Greatest rounding of one capacity; 0 means that weights are exact.
    pub max_rounding_error: f64,
    /// Flows or nodes of capacity 0, ascending: nothing passes them, so they were left out before
    /// cutting. A path over one of them is no path here.
    pub left_out: Vec<u32>,
}

/// Bytes that [`cuts`] needs beside the snapshot, at most (without the cuts themselves).
pub fn cuts_memory(kind: CutKind, list: CutList, nodes: usize, flows: usize) -> usize {
    let copies = match list {
        CutList::One => 1,
        CutList::AllMinimum => 1,
        CutList::Cheapest | CutList::UpToSize(_) => 2,
    };
    16 * flows + 16 * nodes + copies * CutProblem::bytes(kind, nodes, flows)
}

/// The links of a snapshot with scaled capacities of their flows and where their flows start.
struct Links {
    csr: Csr,
    /// First flow of each link, and the number of flows at the end.
    first_flow: Vec<u32>,
}

impl Links {
    fn new(snapshot: &Snapshot) -> Self {
        let csr = Csr::links(snapshot);
        let mut first_flow = Vec::with_capacity(csr.edge_count() + 1);
        let mut last = None;
        for e in 0..snapshot.flow_count() {
            let ends = (snapshot.flow_from(e), snapshot.flow_to(e));
            if last != Some(ends) {
                first_flow.push(e as u32);
                last = Some(ends);
            }
        }
        first_flow.push(snapshot.flow_count() as u32);
        Self { csr, first_flow }
    }

    fn flows(&self, link: u32) -> std::ops::Range<u32> {
        self.first_flow[link as usize]..self.first_flow[link as usize + 1]
    }

    /// Sums flow units over links.
    fn sums(&self, units: &[u64]) -> Vec<u64> {
        self.first_flow
            .windows(2)
            .map(|w| units[w[0] as usize..w[1] as usize].iter().sum())
            .collect()
    }
}

/// Answers a cut question.
///
/// # Errors
/// See [`CutError`]. Overlapping, adjacent and already disconnected sets are no errors:
/// [`Cuts::state`] says so.
pub fn cuts(
    snapshot: &Snapshot,
    options: &CutOptions,
    progress: &Progress,
) -> Result<Cuts, CutError> {
    let links = Links::new(snapshot);
    let scaled = match options.kind {
        CutKind::Edge => flow_capacities(snapshot, &options.capacity)?,
        CutKind::Vertex => node_capacities(snapshot, &options.capacity, options)?,
    };
    let weigh = |units: &[u64]| match options.kind {
        CutKind::Edge => links.sums(units),
        CutKind::Vertex => units.to_vec(),
    };
    let weights = weigh(&scaled.units);
    let (problem, state) =
        CutProblem::new(&links.csr, options.kind, &weights, &options.sources, &options.targets)?;
    let matters = |i: u32| match options.kind {
        CutKind::Edge => true,
        CutKind::Vertex => {
            let ends = [links.csr.in_degree(i), links.csr.out_degree(i)];
            !ends.contains(&0) && !options.sources.contains(&i) && !options.targets.contains(&i)
        }
    };
    let left_out = (0..scaled.units.len() as u32)
        .filter(|&i| scaled.units[i as usize] == 0 && matters(i))
        .collect();
    let mut answer = Cuts {
        state,
        value: None,
        cuts: Vec::new(),
        complete: true,
        nearest_source: None,
        nearest_target: None,
        scale: scaled.scale,
        max_rounding_error: scaled.max_rounding_error,
        left_out,
    };
    match answer.state {
        CutState::Cuttable => {}
        CutState::AlreadyDisconnected => {
            answer.value = Some(0.0);
            answer.cuts.push(Cut { weight: 0.0, units: Vec::new() });
            return Ok(answer);
        }
        CutState::Overlapping { .. } | CutState::Adjacent { .. } => return Ok(answer),
    }
    let finish = |units: Vec<u32>| {
        let units: Vec<u32> = match options.kind {
            // A flow of capacity 0 beside others of its link carries nothing: it stays out.
            CutKind::Edge => units
                .into_iter()
                .flat_map(|link| links.flows(link))
                .filter(|&e| scaled.units[e as usize] > 0)
                .collect(),
            CutKind::Vertex => units,
        };
        let weight: u64 = units.iter().map(|&u| scaled.units[u as usize]).sum();
        Cut { weight: weight as f64 / scaled.scale as f64, units }
    };
    let sides = |cut: SidedCut| Sides {
        cut: finish(cut.units),
        source_side: cut.source_side,
        target_side: cut.target_side,
    };
    let limit = options.limit;
    match options.list {
        CutList::One => {
            let mut problem = problem;
            let value = problem.solve(progress)?;
            answer.value = Some(value as f64 / scaled.scale as f64);
            let nearest = sides(problem.nearest_source());
            answer.cuts.push(nearest.cut.clone());
            answer.nearest_source = Some(nearest);
            answer.nearest_target = Some(sides(problem.nearest_target()));
        }
        CutList::AllMinimum => {
            let mut all = AllMinimum::new(problem, progress)?;
            progress.start(limit as u64);
            for units in all.by_ref().take(limit) {
                answer.cuts.push(finish(units));
                progress.advance(1)?;
            }
            answer.complete = all.next().is_none();
            answer.cuts.sort_by(|a, b| a.units.cmp(&b.units));
            answer.value = answer.cuts.first().map(|c| c.weight);
        }
        CutList::Cheapest => {
            let mut all = Cheapest::new(problem, None, progress)?;
            progress.start(limit as u64);
            while answer.cuts.len() < limit
                && let Some((_, units)) = all.next_cut()?
            {
                answer.cuts.push(finish(units));
                progress.advance(1)?;
            }
            answer.complete = answer.cuts.len() < limit || all.next_cut()?.is_none();
            answer.value = answer.cuts.first().map(|c| c.weight);
        }
        CutList::UpToSize(most) => {
            let ones: Vec<u64> = scaled.units.iter().map(|&u| u64::from(u > 0)).collect();
            let (by_size, _) = CutProblem::new(
                &links.csr,
                options.kind,
                &weigh(&ones),
                &options.sources,
                &options.targets,
            )?;
            let mut all = Cheapest::new(by_size, Some(most), progress)?;
            progress.start(limit as u64);
            while answer.cuts.len() < limit
                && let Some((_, units)) = all.next_cut()?
            {
                answer.cuts.push(finish(units));
                progress.advance(1)?;
            }
            answer.complete = answer.cuts.len() < limit || all.next_cut()?.is_none();
            answer.cuts.sort_by(|a, b| (a.units.len(), &a.units).cmp(&(b.units.len(), &b.units)));
            let mut problem = problem;
            answer.value = Some(problem.solve(progress)? as f64 / scaled.scale as f64);
        }
    }
    Ok(answer)
}

/// Answer of [`global_cut`].
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalCut {
    /// The lightest cut of the undirected projection: flows between the sides, either way. `None`
    /// for fewer than two nodes.
    pub cut: Option<Cut>,
    /// Nodes of the smaller side, ascending.
    pub side: Vec<u32>,
    /// As [`Cuts::scale`].
    pub scale: u64,
    /// As [`Cuts::max_rounding_error`].
    pub max_rounding_error: f64,
    /// As [`Cuts::left_out`].
    pub left_out: Vec<u32>,
}

/// Bytes that [`global_cut`] needs beside the snapshot.
pub fn global_cut_memory(nodes: usize, flows: usize) -> usize {
    64 * nodes + flows * (8 + 16 + 2 * 16 + 2 * 16)
}

/// Global minimum cut of the **undirected projection**: the least capacity, counted both ways,
/// whose removal splits the network in two. On a supply network it is often one leaf.
///
/// # Errors
/// See [`CutError`].
pub fn global_cut(
    snapshot: &Snapshot,
    capacity: &CapacityRule,
    progress: &Progress,
) -> Result<GlobalCut, CutError> {
    let scaled = flow_capacities(snapshot, capacity)?;
    let edges = undirected(snapshot, &scaled);
    let n = snapshot.node_count();
    let found = global_minimum_cut(n, &edges, progress)?;
    let left_out = (0..edges.len() as u32).filter(|&e| scaled.units[e as usize] == 0).collect();
    let mut answer = GlobalCut {
        cut: None,
        side: Vec::new(),
        scale: scaled.scale,
        max_rounding_error: scaled.max_rounding_error,
        left_out,
    };
    if let Some(found) = found {
        let mut inside = vec![false; n];
        for &v in &found.side {
            inside[v as usize] = true;
        }
        let crosses = |e: u32| {
            let (u, v, w) = edges[e as usize];
            w > 0 && inside[u as usize] != inside[v as usize]
        };
        answer.cut = Some(Cut {
            weight: found.weight as f64 / scaled.scale as f64,
            units: (0..edges.len() as u32).filter(|&e| crosses(e)).collect(),
        });
        answer.side = if 2 * found.side.len() <= n {
            found.side
        } else {
            (0..n as u32).filter(|&v| !inside[v as usize]).collect()
        };
    }
    Ok(answer)
}

/// Answer of [`cut_tree`].
#[derive(Debug, Clone, PartialEq)]
pub struct CutTreeAnswer {
    /// The tree, weights in units of 1 / scale.
    pub tree: CutTree,
    /// As [`Cuts::scale`].
    pub scale: u64,
    /// As [`Cuts::max_rounding_error`].
    pub max_rounding_error: f64,
    /// As [`Cuts::left_out`].
    pub left_out: Vec<u32>,
}

/// Bytes that [`cut_tree`] needs beside the snapshot.
pub fn cut_tree_memory(nodes: usize, flows: usize) -> usize {
    super::flow::FlowNetwork::bytes(nodes, flows) + 12 * nodes + 40 * flows
}

/// Gomory-Hu tree of the **undirected projection**: n - 1 flows.
///
/// # Errors
/// See [`CutError`].
pub fn cut_tree(
    snapshot: &Snapshot,
    capacity: &CapacityRule,
    progress: &Progress,
) -> Result<CutTreeAnswer, CutError> {
    let scaled = flow_capacities(snapshot, capacity)?;
    let edges = undirected(snapshot, &scaled);
    let tree = gomory_hu_tree(snapshot.node_count(), &edges, progress)?;
    Ok(CutTreeAnswer {
        tree,
        scale: scaled.scale,
        max_rounding_error: scaled.max_rounding_error,
        left_out: (0..edges.len() as u32).filter(|&e| scaled.units[e as usize] == 0).collect(),
    })
}

fn undirected(snapshot: &Snapshot, scaled: &Scaled) -> Vec<UndirectedEdge> {
    let flows = 0..snapshot.flow_count();
    flows.map(|e| (snapshot.flow_from(e), snapshot.flow_to(e), scaled.units[e])).collect()
}

fn flow_capacities(snapshot: &Snapshot, rule: &CapacityRule) -> Result<Scaled, CutError> {
    let count = snapshot.flow_count();
    let network = snapshot.network();
    let name = |e: usize| format!("flow {}", network.flow_id(e));
    match rule {
        CapacityRule::Quantity => scaled(snapshot.quantities(), name),
        CapacityRule::One => Ok(ones(count)),
        CapacityRule::Attribute(attribute) => {
            let column = |e: usize| match attribute.as_str() {
                "capacity" => Some(snapshot.flow_capacity(e)),
                "lead_days" => network.flows.lead_days.get(e),
                _ => None,
            };
            let own = |e: usize| network.flows.attributes.get(&(e as u32))?.get(attribute);
            scaled(&attribute_values(count, attribute, own, column, name)?, name)
        }
    }
}

/// Capacities of nodes. Sources and targets cannot be cut, so theirs are not read.
fn node_capacities(
    snapshot: &Snapshot,
    rule: &CapacityRule,
    options: &CutOptions,
) -> Result<Scaled, CutError> {
    let mut terminal = vec![false; snapshot.node_count()];
    for &v in options.sources.iter().chain(&options.targets) {
        if let Some(mark) = terminal.get_mut(v as usize) {
            *mark = true;
        }
    }
    let count = snapshot.node_count();
    let nodes = &snapshot.network().nodes;
    let name = |v: usize| format!("node {}", snapshot.id(v as u32));
    match rule {
        CapacityRule::Quantity => {
            let through =
                snapshot.nodes().map(|v| snapshot.in_strength(v).max(snapshot.out_strength(v)));
            scaled(&through.collect::<Vec<_>>(), name)
        }
        CapacityRule::One => Ok(ones(count)),
        CapacityRule::Attribute(attribute) => {
            let column = |v: usize| match attribute.as_str() {
                _ if terminal[v] => Some(0.0),
                "output" => nodes.output.get(v),
                "capacity" => nodes.capacity.get(v),
                "stock_days" => nodes.stock_days.get(v),
                _ => None,
            };
            let own = |v: usize| {
                let attributes = nodes.attributes.get(&(v as u32)).filter(|_| !terminal[v]);
                attributes?.get(attribute)
            };
            scaled(&attribute_values(count, attribute, own, column, name)?, name)
        }
    }
}

fn ones(count: usize) -> Scaled {
    Scaled { units: vec![1; count], scale: 1, max_rounding_error: 0.0 }
}

fn scaled(values: &[f64], name: impl Fn(usize) -> String) -> Result<Scaled, CutError> {
    scale_capacities(values).map_err(|problem| match problem {
        ScaleError::Unusable { index, .. } => CutError::Capacity { what: name(index), problem },
        ScaleError::TooLarge(_) => CutError::TooLarge(problem),
    })
}

fn attribute_values<'a>(
    count: usize,
    attribute: &str,
    own: impl Fn(usize) -> Option<&'a serde_json::Value>,
    column: impl Fn(usize) -> Option<f64>,
    name: impl Fn(usize) -> String,
) -> Result<Vec<f64>, CutError> {
    let read = |i: usize| match own(i) {
        Some(value) => value.as_f64().ok_or_else(|| CutError::NotANumber {
            what: name(i),
            attribute: attribute.to_owned(),
            found: value.to_string(),
        }),
        None => column(i).ok_or_else(|| CutError::MissingAttribute {
            what: name(i),
            attribute: attribute.to_owned(),
        }),
    };
    (0..count).map(read).collect()
}
