//! The local engine: the analyses of this process, with their results as tables.

use std::collections::BTreeMap;

use super::manifest::{Manifest, SCHEMA};
use super::tables::{Column, PART_ROWS, Parts};
use super::{Connection, Engine, EngineAnalysis, EngineView, Limits, LinkWeight, Reach, Task};
use crate::analysis::Progress;
use crate::analysis::centrality::{PageRankOptions, pagerank};
use crate::analysis::concentration::{Concentration, Party};
use crate::analysis::impact::Losses;
use crate::analysis::structure::{strongly_connected_components, weakly_connected_components};
use crate::graph::{Csr, Snapshot, Weighting};
use crate::model::Symbol;
use crate::service::concentration::amounts;
use crate::service::impacts::ENGINE;
use crate::service::memory::{MemoryBudget, machine_bytes, snapshot_bytes};
use crate::service::{Service, ServiceError};

/// This process.
#[derive(Debug, Clone, Copy)]
pub struct Local {
    /// Most memory that it should use.
    pub memory: MemoryBudget,
}

type Columns = Vec<(&'static str, Column)>;

impl Engine for Local {
    fn view(&self) -> EngineView {
        let memory = match self.memory.bytes {
            0 => machine_bytes(),
            bytes => Some(bytes),
        };
        // Two thirds are left for the rows, views and results of analyses; five flows a node.
        let flows = memory.map(|bytes| bytes / 3 / snapshot_bytes(1, 5) * 5);
        EngineView {
            name: "local",
            available: true,
            version: Some(ENGINE.to_owned()),
            versions: BTreeMap::from([("chokepoint".into(), env!("CARGO_PKG_VERSION").into())]),
            reason: None,
            analyses: EngineAnalysis::NAMES.to_vec(),
            limits: Limits { memory_bytes: memory, flows, timeout_seconds: None },
            notes: vec![
                "all other analyses run here only; GET /v1/engines, stays_local, says up to which \
                 size",
            ],
        }
    }

    fn refuse(&self, _: &Task) -> Result<(), ServiceError> {
        Ok(())
    }

    fn run(
        &self,
        service: &Service,
        task: &Task,
        progress: &Progress,
    ) -> Result<Manifest, ServiceError> {
        let mut manifest = Manifest {
            schema: SCHEMA,
            id: task.id.clone(),
            graph: task.snapshot.info().graph.to_string(),
            version: task.snapshot.info().version,
            versions: BTreeMap::from([("chokepoint".into(), env!("CARGO_PKG_VERSION").into())]),
            ..Manifest::default()
        };
        let columns = match &task.analysis {
            EngineAnalysis::Impacts { model, .. } => {
                let model = service.models.get(&task.snapshot, model, &[])?;
                progress.start(task.shocks.len() as u64);
                let losses = model.solve_many(&task.shocks, progress, |_, losses| losses)?;
                let mut table = Parts::new(&task.result(), "endings");
                table.add(&endings(&losses))?;
                table.finish(&mut manifest);
                rows_of_losses(&losses)
            }
            analysis => structural(service, task, analysis, &mut manifest, progress)?,
        };
        write(task, &columns, &mut manifest)?;
        manifest.write(&task.result())?;
        Ok(manifest)
    }
}

/// Writes the rows in parts.
fn write(task: &Task, columns: &Columns, manifest: &mut Manifest) -> Result<(), ServiceError> {
    let mut table = Parts::new(&task.result(), "rows");
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    for start in (0..rows.max(1)).step_by(PART_ROWS) {
        let end = rows.min(start + PART_ROWS);
        let part: Columns = columns.iter().map(|(n, c)| (*n, slice(c, start, end))).collect();
        table.add(&part)?;
    }
    table.finish(manifest);
    Ok(())
}

fn slice(column: &Column, start: usize, end: usize) -> Column {
    match column {
        Column::Integer(values) => Column::Integer(values[start..end].to_vec()),
        Column::Number(values) => Column::Number(values[start..end].to_vec()),
        Column::Optional(values) => Column::Optional(values[start..end].to_vec()),
        Column::Text(values) => Column::Text(values[start..end].to_vec()),
    }
}

/// How each scenario ended, in the order asked.
fn endings(losses: &[Losses]) -> Columns {
    let integers = |of: &dyn Fn(&Losses) -> i64| Column::Integer(losses.iter().map(of).collect());
    vec![
        ("scenario", Column::Integer((0..losses.len() as i64).collect())),
        ("sweeps", integers(&|l| l.ending.sweeps.into())),
        ("converged", integers(&|l| l.ending.converged.into())),
        ("residual", Column::Number(losses.iter().map(|l| l.ending.residual).collect())),
    ]
}

/// Losses by scenario and node.
fn rows_of_losses(losses: &[Losses]) -> Columns {
    let all = || {
        losses
            .iter()
            .enumerate()
            .flat_map(|(k, l)| l.nodes.iter().map(move |node| (k as i64, node)))
    };
    vec![
        ("scenario", Column::Integer(all().map(|(k, _)| k).collect())),
        ("node", Column::Integer(all().map(|(_, node)| node.0.into()).collect())),
        ("loss_downstream", Column::Number(all().map(|(_, node)| node.1).collect())),
        ("loss_upstream", Column::Number(all().map(|(_, node)| node.2).collect())),
    ]
}

fn structural(
    service: &Service,
    task: &Task,
    analysis: &EngineAnalysis,
    manifest: &mut Manifest,
    progress: &Progress,
) -> Result<Columns, ServiceError> {
    let snapshot = &task.snapshot;
    let nodes = || Column::Integer(snapshot.nodes().map(i64::from).collect());
    let numbers = |of: &dyn Fn(u32) -> f64| Column::Number(snapshot.nodes().map(of).collect());
    let integers = |of: &dyn Fn(u32) -> i64| Column::Integer(snapshot.nodes().map(of).collect());
    Ok(match analysis {
        EngineAnalysis::Pagerank { damping, tolerance, weight } => {
            let view = match weight {
                LinkWeight::None => service.views.links(snapshot)?,
                LinkWeight::Quantity => service.views.weighted(snapshot, &Weighting::Quantity)?,
            };
            let options = PageRankOptions {
                damping: *damping,
                tolerance: *tolerance,
                ..PageRankOptions::default()
            };
            let found = pagerank(&view, &options, progress)
                .map_err(|error| ServiceError::malformed("analysis", error.to_string()))?;
            manifest.summary.insert("converged".into(), found.converged.into());
            manifest.summary.insert("iterations".into(), found.iterations.into());
            manifest.summary.insert("error".into(), found.error.into());
            vec![("node", nodes()), ("score", Column::Number(found.scores))]
        }
        EngineAnalysis::Components { kind } => {
            let view = service.views.links(snapshot)?;
            let component = match kind {
                Connection::Weak => weakly_connected_components(&view).component,
                Connection::Strong => strongly_connected_components(&view).component,
            };
            let (label, count) = first_members(&component);
            manifest.summary.insert("count".into(), count.into());
            vec![("node", nodes()), ("component", Column::Integer(label))]
        }
        EngineAnalysis::Reachability { direction, .. } => {
            let view = service.views.links(snapshot)?;
            let sources = task.sources.as_deref().unwrap_or_default();
            let reached = breadth_first(&view, sources, *direction, progress)?;
            manifest.summary.insert("reached".into(), reached.len().into());
            let node = reached.iter().map(|r| r.0.into()).collect();
            let hops = reached.iter().map(|r| r.1.into()).collect();
            vec![("node", Column::Integer(node)), ("hops", Column::Integer(hops))]
        }
        EngineAnalysis::Degree {} => {
            let view = service.views.links(snapshot)?;
            vec![
                ("node", nodes()),
                ("in_degree", integers(&|v| view.in_degree(v).into())),
                ("out_degree", integers(&|v| view.out_degree(v).into())),
            ]
        }
        EngineAnalysis::Strength {} => vec![
            ("node", nodes()),
            ("in_strength", numbers(&|v| snapshot.in_strength(v))),
            ("out_strength", numbers(&|v| snapshot.out_strength(v))),
        ],
        EngineAnalysis::Concentration {} => concentration(snapshot),
        EngineAnalysis::Impacts { .. } => Vec::new(),
    })
}

/// Components named by their first member, and how many there are.
fn first_members(component: &[u32]) -> (Vec<i64>, usize) {
    let mut first: BTreeMap<u32, i64> = BTreeMap::new();
    let label =
        component.iter().enumerate().map(|(v, &c)| *first.entry(c).or_insert(v as i64)).collect();
    (label, first.len())
}

/// Nodes that the sources reach, with the fewest flows to them, ascending by node.
fn breadth_first(
    view: &Csr,
    sources: &[u32],
    direction: Reach,
    progress: &Progress,
) -> Result<Vec<(u32, u32)>, ServiceError> {
    let mut hops = vec![u32::MAX; view.node_count()];
    let mut frontier = sources.to_vec();
    sources.iter().for_each(|&v| hops[v as usize] = 0);
    let mut step = 0;
    while !frontier.is_empty() {
        progress.check()?;
        step += 1;
        let mut next = Vec::new();
        for &v in &frontier {
            let neighbours = match direction {
                Reach::Downstream => view.consumers(v),
                Reach::Upstream => view.suppliers(v),
            };
            for &w in neighbours {
                if hops[w as usize] == u32::MAX {
                    hops[w as usize] = step;
                    next.push(w);
                }
            }
        }
        frontier = next;
    }
    let reached = hops.into_iter().enumerate().filter(|(_, h)| *h != u32::MAX);
    Ok(reached.map(|(v, h)| (v as u32, h)).collect())
}

/// Index of each (product, stage) by country, in the order of the codes.
fn concentration(snapshot: &Snapshot) -> Columns {
    let mut groups: BTreeMap<(Symbol, Symbol), Vec<u32>> = BTreeMap::new();
    for v in snapshot.nodes() {
        groups.entry((snapshot.product(v), snapshot.stage(v))).or_default().push(v);
    }
    let (mut product, mut stage, mut count) = (Vec::new(), Vec::new(), Vec::new());
    let (mut total, mut hhi, mut top) = (Vec::new(), Vec::new(), Vec::new());
    for ((p, s), members) in groups {
        let amounts = amounts(snapshot, &members).0;
        let party = |v: u32| match snapshot.country(v) {
            Symbol::NONE => Party::Unknown,
            country => Party::Known(country.0),
        };
        let held = members.iter().zip(&amounts).map(|(&v, &amount)| (party(v), amount));
        let Some(held) = Concentration::of(held) else { continue };
        product.push(p.0.into());
        stage.push(s.0.into());
        count.push(members.len() as i64);
        total.push(held.total);
        hhi.push(held.hhi.value);
        top.push(held.top(1).max(held.unknown));
    }
    vec![
        ("product", Column::Integer(product)),
        ("stage", Column::Integer(stage)),
        ("nodes", Column::Integer(count)),
        ("total", Column::Number(total)),
        ("hhi", Column::Number(hhi)),
        ("top_share", Column::Number(top)),
    ]
}
