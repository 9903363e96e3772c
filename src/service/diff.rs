//! What changed between two versions of a graph, row by row and figure by figure.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::graph::Snapshot;
use crate::model::Record;
use crate::model::network::FigureColumn;
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

/// One field of a row that differs; null where a side does not state it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// Name, with dots for parts: `output.value`, `attributes.owner`.
    pub field: String,
    /// In the earlier version.
    #[schema(value_type = Option<Object>)]
    pub before: Value,
    /// In the later version.
    #[schema(value_type = Option<Object>)]
    pub after: Value,
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
    /// What differs in a changed row, figure by figure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
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
    let mut total = 0;
    for table in [Table::Nodes, Table::Flows, Table::Requirements] {
        let mut counts = DiffCounts::default();
        walk(table, from, to, |before, after| {
            total += 1;
            let change = match (before, after) {
                (_, None) => {
                    counts.removed += 1;
                    "removed"
                }
                (None, _) => {
                    counts.added += 1;
                    "added"
                }
                _ => {
                    counts.changed += 1;
                    "changed"
                }
            };
            if total <= MAX_LISTED {
                let before = before.map(|row| table.record(from, row));
                let after = after.map(|row| table.record(to, row));
                let both = before.as_ref().zip(after.as_ref());
                let fields = both.map(|(before, after)| fields(before, after)).unwrap_or_default();
                out.changes.push(Difference { change, before, after, fields });
            }
        });
        match table {
            Table::Nodes => out.nodes = counts,
            Table::Flows => out.flows = counts,
            Table::Requirements => out.requirements = counts,
        }
    }
    out.truncated = total > MAX_LISTED;
    out
}

/// Visits the rows that differ between two tables sorted by the same key: the row on either side.
pub fn walk(
    table: Table,
    from: &Snapshot,
    to: &Snapshot,
    mut visit: impl FnMut(Option<usize>, Option<usize>),
) {
    let (n, m) = (table.len(from), table.len(to));
    let (mut i, mut j) = (0, 0);
    while i < n || j < m {
        let order = match (i < n, j < m) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => key(table, from, i).cmp(&key(table, to, j)),
        };
        match order {
            Ordering::Less => {
                visit(Some(i), None);
                i += 1;
            }
            Ordering::Greater => {
                visit(None, Some(j));
                j += 1;
            }
            Ordering::Equal => {
                if !same_row(table, (from, i), (to, j)) {
                    visit(Some(i), Some(j));
                }
                i += 1;
                j += 1;
            }
        }
    }
}

/// Key of a row: ids and names, whatever version they are of.
pub fn key(table: Table, snapshot: &Snapshot, row: usize) -> (&str, &str, &str) {
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

/// True if two rows of the same key hold the same, without making records of them.
fn same_row(table: Table, a: (&Snapshot, usize), b: (&Snapshot, usize)) -> bool {
    let (p, q) = (a.0.network(), b.0.network());
    let (i, j) = (a.1, b.1);
    let figures = |x: &FigureColumn, y: &FigureColumn| {
        let (of_x, of_y) = (x.meta(i), y.meta(j));
        let value = |v: Option<f64>| v.map(f64::to_bits);
        value(x.get(i)) == value(y.get(j))
            && x.range(i) == y.range(j)
            && (of_x.year, of_x.class) == (of_y.year, of_y.class)
            && a.0.name(of_x.unit) == b.0.name(of_y.unit)
            && a.0.name(of_x.source) == b.0.name(of_y.source)
    };
    match table {
        Table::Nodes => {
            let (v, w) = (i as u32, j as u32);
            a.0.name(a.0.product(v)) == b.0.name(b.0.product(w))
                && a.0.name(a.0.stage(v)) == b.0.name(b.0.stage(w))
                && a.0.name(a.0.country(v)) == b.0.name(b.0.country(w))
                && figures(&p.nodes.output, &q.nodes.output)
                && figures(&p.nodes.capacity, &q.nodes.capacity)
                && figures(&p.nodes.stock_days, &q.nodes.stock_days)
                && p.nodes.attributes.get(&v) == q.nodes.attributes.get(&w)
        }
        Table::Flows => {
            let (e, f) = (i as u32, j as u32);
            figures(&p.flows.quantity, &q.flows.quantity)
                && figures(&p.flows.capacity, &q.flows.capacity)
                && figures(&p.flows.lead_days, &q.flows.lead_days)
                && p.flows.joint.contains(&e) == q.flows.joint.contains(&f)
                && p.flows.attributes.get(&e) == q.flows.attributes.get(&f)
        }
        Table::Requirements => p.requirement_record(i) == q.requirement_record(j),
    }
}

/// A record as its JSON object.
pub fn object(record: &Record) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The fields in which two records of the same key differ.
fn fields(before: &Record, after: &Record) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", &Value::Object(object(before)), &Value::Object(object(after)), &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    // A bare number is a figure of which only the value is stated.
    let figure =
        |value: &Value| Value::Object(Map::from_iter([("value".to_owned(), value.clone())]));
    let none = Value::Object(Map::new());
    let (before, after) = match (before, after) {
        (Value::Number(_), Value::Object(_)) => (&figure(before), after),
        (Value::Object(_), Value::Number(_)) => (before, &figure(after)),
        (Value::Null, Value::Object(_)) => (&none, after),
        (Value::Object(_), Value::Null) => (before, &none),
        other => other,
    };
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let of = |side: &Map<String, Value>| side.get(name).cloned().unwrap_or_default();
            compare(&inner, &of(old), &of(new), found);
        }
        return;
    }
    let field = path.to_owned();
    found.push(FieldChange { field, before: before.clone(), after: after.clone() });
}
