//! Hand-over: one version of a graph, and what is asked of it, as Parquet for another engine.
//!
//! Nodes, flows and names are numbers here, as in the snapshot: they join faster than texts and
//! take a tenth of the room. Tables (all numbers of nodes and names are INT64):
//!
//! | table | columns |
//! |---|---|
//! | `nodes` | `node`, `id`, `product`, `stage`, `country` (codes), `output` (may be null) |
//! | `flows` | `flow`, `source`, `target`, `product` (code), `quantity`, `capacity` |
//! | `requirements` | `output`, `input` (codes), `rule` (0 limiting, 1 additive, 2 threshold, 3 none), `dependence`, `min_share` |
//! | `names` | `code`, `name` |
//! | `shocks` | `scenario`, `node`, `loss`, `loss_upstream` (impacts) |
//! | `cuts` | `scenario`, `flow`, `share` (impacts) |
//! | `sources` | `node` (reachability) |

use std::ops::Range;
use std::path::Path;

use super::Task;
use super::manifest::{ExchangeError, Manifest, SCHEMA};
use super::tables::{Column, PART_ROWS, Parts};
use crate::analysis::Progress;
use crate::graph::Snapshot;
use crate::model::{Rule, Symbol};
use crate::service::ServiceError;

/// Ranges of a table's rows, one for each part; an empty table has one empty part.
fn parts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(PART_ROWS).max(1);
    (0..count).map(move |part| part * PART_ROWS..rows.min((part + 1) * PART_ROWS))
}

fn code(symbol: Symbol) -> i64 {
    symbol.0.into()
}

/// Writes the graph and the question of a task to a folder, the manifest last.
///
/// # Errors
/// A folder that cannot be written; cancellation.
pub fn write(folder: &Path, task: &Task, progress: &Progress) -> Result<Manifest, ServiceError> {
    let snapshot = &*task.snapshot;
    let mut manifest = Manifest {
        schema: SCHEMA,
        id: task.id.clone(),
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        ..Manifest::default()
    };
    nodes(folder, snapshot, &mut manifest)?;
    progress.check()?;
    let mut flows = Parts::new(folder, "flows");
    for rows in parts(snapshot.flow_count()) {
        flows.add(&flow_columns(snapshot, rows))?;
        progress.check()?;
    }
    flows.finish(&mut manifest);
    requirements(folder, snapshot, &mut manifest)?;
    question(folder, task, &mut manifest)?;
    progress.check()?;
    manifest.write(folder)?;
    Ok(manifest)
}

fn nodes(folder: &Path, snapshot: &Snapshot, manifest: &mut Manifest) -> Result<(), ExchangeError> {
    let mut table = Parts::new(folder, "nodes");
    for rows in parts(snapshot.node_count()) {
        let all = || rows.start as u32..rows.end as u32;
        let codes =
            |of: &dyn Fn(u32) -> Symbol| Column::Integer(all().map(|v| code(of(v))).collect());
        table.add(&[
            ("node", Column::Integer(all().map(i64::from).collect())),
            ("id", Column::Text(all().map(|v| snapshot.id(v).to_owned()).collect())),
            ("product", codes(&|v| snapshot.product(v))),
            ("stage", codes(&|v| snapshot.stage(v))),
            ("country", codes(&|v| snapshot.country(v))),
            ("output", Column::Optional(all().map(|v| snapshot.output(v)).collect())),
        ])?;
    }
    table.finish(manifest);
    let names: Vec<(Symbol, &str)> = snapshot.network().symbols.iter().collect();
    let mut table = Parts::new(folder, "names");
    for rows in parts(names.len()) {
        table.add(&[
            ("code", Column::Integer(names[rows.clone()].iter().map(|n| code(n.0)).collect())),
            ("name", Column::Text(names[rows].iter().map(|n| n.1.to_owned()).collect())),
        ])?;
    }
    table.finish(manifest);
    Ok(())
}

fn flow_columns(snapshot: &Snapshot, rows: Range<usize>) -> [(&'static str, Column); 6] {
    let flows = &snapshot.network().flows;
    let integers = |of: &dyn Fn(usize) -> i64| Column::Integer(rows.clone().map(of).collect());
    let numbers = |of: &dyn Fn(usize) -> f64| Column::Number(rows.clone().map(of).collect());
    [
        ("flow", integers(&|e| e as i64)),
        ("source", integers(&|e| flows.from[e].into())),
        ("target", integers(&|e| flows.to[e].into())),
        ("product", integers(&|e| code(flows.product[e]))),
        ("quantity", numbers(&|e| snapshot.quantity(e))),
        ("capacity", numbers(&|e| snapshot.flow_capacity(e))),
    ]
}

fn requirements(
    folder: &Path,
    snapshot: &Snapshot,
    manifest: &mut Manifest,
) -> Result<(), ExchangeError> {
    let all = &snapshot.network().requirements;
    let rule = |rule: Rule| match rule {
        Rule::Limiting => 0,
        Rule::Additive => 1,
        Rule::Threshold => 2,
        Rule::None => 3,
    };
    let mut table = Parts::new(folder, "requirements");
    table.add(&[
        ("output", Column::Integer(all.iter().map(|r| code(r.output)).collect())),
        ("input", Column::Integer(all.iter().map(|r| code(r.input)).collect())),
        ("rule", Column::Integer(all.iter().map(|r| rule(r.rule)).collect())),
        ("dependence", Column::Number(all.iter().map(|r| r.dependence_value()).collect())),
        ("min_share", Column::Number(all.iter().map(|r| r.min_share.unwrap_or(1.0)).collect())),
    ])?;
    table.finish(manifest);
    Ok(())
}

/// Shocks, cuts and sources: selectors are resolved here, so that no other engine needs to know
/// them.
fn question(folder: &Path, task: &Task, manifest: &mut Manifest) -> Result<(), ExchangeError> {
    if !task.shocks.is_empty() {
        let mut losses = Vec::new();
        let mut cuts = Vec::new();
        for (k, shocks) in task.shocks.iter().enumerate() {
            losses.extend(shocks.node_losses().into_iter().map(|(v, d, u)| (k as i64, v, d, u)));
            cuts.extend(shocks.flow_cuts().into_iter().map(|(e, share)| (k as i64, e, share)));
        }
        let mut table = Parts::new(folder, "shocks");
        for rows in parts(losses.len()) {
            let rows = &losses[rows];
            table.add(&[
                ("scenario", Column::Integer(rows.iter().map(|r| r.0).collect())),
                ("node", Column::Integer(rows.iter().map(|r| r.1.into()).collect())),
                ("loss", Column::Number(rows.iter().map(|r| r.2).collect())),
                ("loss_upstream", Column::Number(rows.iter().map(|r| r.3).collect())),
            ])?;
        }
        table.finish(manifest);
        let mut table = Parts::new(folder, "cuts");
        for rows in parts(cuts.len()) {
            let rows = &cuts[rows];
            table.add(&[
                ("scenario", Column::Integer(rows.iter().map(|r| r.0).collect())),
                ("flow", Column::Integer(rows.iter().map(|r| r.1.into()).collect())),
                ("share", Column::Number(rows.iter().map(|r| r.2).collect())),
            ])?;
        }
        table.finish(manifest);
    }
    if let Some(sources) = &task.sources {
        let mut table = Parts::new(folder, "sources");
        let nodes = sources.iter().map(|&v| v.into()).collect();
        table.add(&[("node", Column::Integer(nodes))])?;
        table.finish(manifest);
    }
    Ok(())
}
