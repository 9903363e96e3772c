//! What changed between two versions of a graph.

use std::cmp::Ordering;

use serde::Serialize;
use utoipa::ToSchema;

use crate::graph::Snapshot;
use crate::model::Record;
use crate::service::rows::Table;

/// Most changes listed; the counts are always whole.
pub const MAX_LISTED: usize = 10_000;

/// How many rows of a table differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiffCounts {
    /// Rows that only the later version has.
    pub added: usize,
    /// Rows that only the earlier version has.
    pub removed: usize,
    /// Rows that both have with different content.
    pub changed: usize,
}

/// One row that differs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Difference {
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// The row in the earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Record>,
    /// The row in the later version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Record>,
}

/// What changed between two versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Diff {
    /// Graph.
    pub graph: String,
    /// Earlier version.
    pub from: u64,
    /// Later version.
    pub to: u64,
    /// Nodes that differ.
    pub nodes: DiffCounts,
    /// Flows that differ.
    pub flows: DiffCounts,
    /// Requirements that differ.
    pub requirements: DiffCounts,
    /// The rows: nodes, then flows, then requirements, each in order.
    pub changes: Vec<Difference>,
    /// True if `changes` does not list them all.
    pub truncated: bool,
}

/// Compares two versions of one graph row by row: O(nodes + flows).
pub fn diff(from: &Snapshot, to: &Snapshot) -> Diff {
    let mut out = Diff {
        graph: to.info().graph.to_string(),
        from: from.info().version,
        to: to.info().version,
        nodes: DiffCounts::default(),
        flows: DiffCounts::default(),
        requirements: DiffCounts::default(),
        changes: Vec::new(),
        truncated: false,
    };
    for table in [Table::Nodes, Table::Flows, Table::Requirements] {
        let counts = compare(table, from, to, &mut out.changes);
        match table {
            Table::Nodes => out.nodes = counts,
            Table::Flows => out.flows = counts,
            Table::Requirements => out.requirements = counts,
        }
    }
    out.truncated = out.changes.len() > MAX_LISTED;
    out.changes.truncate(MAX_LISTED);
    out
}

/// Merges two tables that are sorted by the same key.
fn compare(
    table: Table,
    from: &Snapshot,
    to: &Snapshot,
    changes: &mut Vec<Difference>,
) -> DiffCounts {
    let (n, m) = (table.len(from), table.len(to));
    let mut counts = DiffCounts::default();
    let mut list = |change, before: Option<usize>, after: Option<usize>| {
        // One beyond the limit shows that the list is cut.
        if changes.len() <= MAX_LISTED {
            changes.push(Difference {
                change,
                before: before.map(|row| table.record(from, row)),
                after: after.map(|row| table.record(to, row)),
            });
        }
    };
    let (mut i, mut j) = (0, 0);
    while i < n || j < m {
        let order = match (i < n, j < m) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => key(table, from, i).cmp(&key(table, to, j)),
        };
        match order {
            Ordering::Less => {
                counts.removed += 1;
                list("removed", Some(i), None);
                i += 1;
            }
            Ordering::Greater => {
                counts.added += 1;
                list("added", None, Some(j));
                j += 1;
            }
            Ordering::Equal => {
                if table.record(from, i) != table.record(to, j) {
                    counts.changed += 1;
                    list("changed", Some(i), Some(j));
                }
                i += 1;
                j += 1;
            }
        }
    }
    counts
}

fn key(table: Table, snapshot: &Snapshot, row: usize) -> (&str, &str, &str) {
    let network = snapshot.network();
    match table {
        Table::Nodes => (snapshot.id(row as u32), "", ""),
        Table::Flows => (
            snapshot.id(network.flows.from[row]),
            snapshot.id(network.flows.to[row]),
            snapshot.name(network.flows.product[row]),
        ),
        Table::Requirements => {
            let r = &network.requirements[row];
            (snapshot.name(r.output), snapshot.name(r.input), "")
        }
    }
}
