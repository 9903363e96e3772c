//! Applies one atomic batch of changes: the result is a new canonical network, or an error and
//! nothing changed.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Network;
use super::builder::sort_and_merge;
use super::tables::{FigureColumn, FlowTable, NodeTable, Requirement, StringArena};
use crate::model::change::{Change, ChangeError, FlowKey, RecordKey};
use crate::model::figure::Figure;
use crate::model::record::{FlowRecord, NodeRecord, Record};
use crate::model::symbols::{Symbol, Symbols};

/// What a batch does to one node: the last word counts.
#[derive(Clone, Copy)]
enum NodeEdit<'a> {
    Put(&'a NodeRecord),
    Delete { detach: bool },
}

/// The batch, sorted by what it touches, with the position of each change.
#[derive(Default)]
struct Edits<'a> {
    nodes: BTreeMap<&'a str, (usize, NodeEdit<'a>)>,
    flows: BTreeMap<FlowKey, (usize, Option<&'a FlowRecord>)>,
}

fn absent(index: usize, problem: String) -> ChangeError {
    ChangeError { index, problem, absent: true }
}

impl Network {
    /// This network with `changes` applied in order.
    ///
    /// # Errors
    /// The first change that cannot be applied: a bad record, a flow to a missing node (names
    /// both), a delete of something absent, a node whose flows would be left dangling.
    pub fn apply(&self, changes: &[Change]) -> Result<Self, ChangeError> {
        let mut edits = Edits::default();
        let mut requirements: FxHashMap<(String, String), Option<Requirement>> =
            FxHashMap::default();
        let mut symbols = self.symbols.clone();
        for (index, change) in changes.iter().enumerate() {
            if let Change::Put(record) = change {
                record.check().map_err(|problem| ChangeError { index, problem, absent: false })?;
            }
            match change {
                Change::Put(Record::Node(node)) => {
                    edits.nodes.insert(&node.id, (index, NodeEdit::Put(node)));
                }
                Change::Put(Record::Flow(flow)) => {
                    let key = FlowKey {
                        from: flow.from.clone(),
                        to: flow.to.clone(),
                        product: flow.product.clone(),
                    };
                    edits.flows.insert(key, (index, Some(flow)));
                }
                Change::Put(Record::Requirement(r)) => {
                    let (output, input) = (symbols.intern(&r.output), symbols.intern(&r.input));
                    let requirement = Requirement {
                        output,
                        input,
                        rule: r.rule,
                        dependence: r.dependence.clone(),
                        min_share: r.min_share,
                        intensity: r.intensity.clone(),
                    };
                    requirements.insert((r.output.clone(), r.input.clone()), Some(requirement));
                }
                Change::Delete(RecordKey::Node { id, detach }) => {
                    let known = match edits.nodes.get(id.as_str()) {
                        Some((_, NodeEdit::Put(_))) => true,
                        Some((_, NodeEdit::Delete { .. })) => false,
                        None => self.node_index(id).is_some(),
                    };
                    if !known {
                        return Err(absent(index, format!("there is no node {id} to delete")));
                    }
                    edits.nodes.insert(id, (index, NodeEdit::Delete { detach: *detach }));
                }
                Change::Delete(RecordKey::Flow(key)) => {
                    let known = match edits.flows.get(key) {
                        Some((_, edit)) => edit.is_some(),
                        None => {
                            self.flow_index(&key.from, &key.to, key.product.as_deref()).is_some()
                        }
                    };
                    if !known {
                        return Err(absent(
                            index,
                            format!("there is no flow {}..{} to delete", key.from, key.to),
                        ));
                    }
                    edits.flows.insert(key.clone(), (index, None));
                }
                Change::Delete(RecordKey::Requirement { output, input }) => {
                    let key = (output.clone(), input.clone());
                    let known = match requirements.get(&key) {
                        Some(edit) => edit.is_some(),
                        None => match (symbols.get(output), symbols.get(input)) {
                            (Some(o), Some(i)) => self.requirement(o, i).is_some(),
                            _ => false,
                        },
                    };
                    if !known {
                        return Err(absent(
                            index,
                            format!("there is no requirement of {output} for {input} to delete"),
                        ));
                    }
                    requirements.insert(key, None);
                }
            }
        }

        let (nodes, position) = self.merged_nodes(&edits, &mut symbols);
        let flows = self.merged_flows(&edits, &nodes, &position, &mut symbols)?;
        let requirements = self.merged_requirements(requirements, &symbols);
        Ok(Self { symbols, nodes, flows, requirements })
    }

    /// The new node table, and the new index of each old node (`u32::MAX`: deleted).
    fn merged_nodes(&self, edits: &Edits<'_>, symbols: &mut Symbols) -> (NodeTable, Vec<u32>) {
        let n = self.node_count() as u32;
        let mut position = vec![u32::MAX; n as usize];
        // Old row to copy, or the record to write, for each new row.
        let mut rows: Vec<Result<u32, &NodeRecord>> = Vec::with_capacity(n as usize);
        let mut old = 0u32;
        let mut keep_until = |limit: Option<&str>, rows: &mut Vec<Result<u32, &NodeRecord>>| {
            while old < n && limit.is_none_or(|id| self.node_id(old) < id) {
                position[old as usize] = rows.len() as u32;
                rows.push(Ok(old));
                old += 1;
            }
            let matches = old < n && limit.is_some_and(|id| self.node_id(old) == id);
            if matches {
                old += 1;
            }
            matches.then(|| old - 1)
        };
        let mut replaced = Vec::new();
        for (id, (_, edit)) in &edits.nodes {
            let same = keep_until(Some(id), &mut rows);
            if let NodeEdit::Put(record) = edit {
                if let Some(same) = same {
                    replaced.push((same, rows.len() as u32));
                }
                rows.push(Err(record));
            }
        }
        keep_until(None, &mut rows);
        for (old, new) in replaced {
            position[old as usize] = new;
        }

        let source: Vec<u32> = rows.iter().map(|r| r.unwrap_or(u32::MAX)).collect();
        let pick = |column: &[Symbol]| -> Vec<Symbol> {
            source.iter().map(|&o| column.get(o as usize).copied().unwrap_or_default()).collect()
        };
        let mut ids = StringArena::with_capacity(rows.len(), 0);
        let mut table = NodeTable {
            ids: StringArena::default(),
            product: pick(&self.nodes.product),
            stage: pick(&self.nodes.stage),
            country: pick(&self.nodes.country),
            output: self.nodes.output.reorder(&source),
            capacity: self.nodes.capacity.reorder(&source),
            stock_days: self.nodes.stock_days.reorder(&source),
            attributes: FxHashMap::default(),
        };
        for (row, from) in rows.iter().enumerate() {
            match from {
                Ok(old) => {
                    ids.push(self.node_id(*old));
                    if let Some(a) = self.nodes.attributes.get(old) {
                        table.attributes.insert(row as u32, a.clone());
                    }
                }
                Err(record) => {
                    ids.push(&record.id);
                    write_node(&mut table, row, record, symbols);
                }
            }
        }
        table.ids = ids;
        (table, position)
    }

    fn merged_flows(
        &self,
        edits: &Edits<'_>,
        nodes: &NodeTable,
        position: &[u32],
        symbols: &mut Symbols,
    ) -> Result<FlowTable, ChangeError> {
        // Old flows that the batch replaces or deletes by key.
        let mut gone: FxHashSet<u32> = FxHashSet::default();
        for key in edits.flows.keys() {
            if let Some(e) = self.flow_index(&key.from, &key.to, key.product.as_deref()) {
                gone.insert(e as u32);
            }
        }
        let mut kept: Vec<u32> = Vec::with_capacity(self.flow_count());
        for e in 0..self.flow_count() {
            if gone.contains(&(e as u32)) {
                continue;
            }
            let ends = [self.flows.from[e], self.flows.to[e]];
            let lost = ends.into_iter().find(|&end| position[end as usize] == u32::MAX);
            if let Some(lost) = lost {
                let id = self.node_id(lost);
                if let Some((index, NodeEdit::Delete { detach: false })) = edits.nodes.get(id) {
                    return Err(ChangeError {
                        index: *index,
                        problem: format!(
                            "node {id} still has the flow {}; delete its flows too or set detach",
                            self.flow_id(e)
                        ),
                        absent: false,
                    });
                }
                continue;
            }
            kept.push(e as u32);
        }
        let old = &self.flows;
        let renumber = |column: &[u32]| -> Vec<u32> {
            kept.iter().map(|&e| position[column[e as usize] as usize]).collect()
        };
        let mut table = FlowTable {
            from: renumber(&old.from),
            to: renumber(&old.to),
            product: kept.iter().map(|&e| old.product[e as usize]).collect(),
            quantity: old.quantity.reorder(&kept),
            capacity: old.capacity.reorder(&kept),
            lead_days: old.lead_days.reorder(&kept),
            joint: Default::default(),
            attributes: FxHashMap::default(),
        };
        if !old.joint.is_empty() || !old.attributes.is_empty() {
            for (row, e) in kept.iter().enumerate() {
                if old.joint.contains(e) {
                    table.joint.insert(row as u32);
                }
                if let Some(a) = old.attributes.get(e) {
                    table.attributes.insert(row as u32, a.clone());
                }
            }
        }
        let mut added = false;
        for (index, flow) in edits.flows.values() {
            let Some(flow) = flow else { continue };
            let find = |id: &str| nodes.ids.binary_search(id);
            let (Some(from), Some(to)) = (find(&flow.from), find(&flow.to)) else {
                let missing = if find(&flow.from).is_none() { &flow.from } else { &flow.to };
                return Err(absent(
                    *index,
                    format!(
                        "flow {}..{}: there is no node {missing}; add it or correct the id",
                        flow.from, flow.to
                    ),
                ));
            };
            added = true;
            let row = table.from.len();
            table.from.push(from);
            table.to.push(to);
            table.product.push(match &flow.product {
                Some(name) => symbols.intern(name),
                None => nodes.product[from as usize],
            });
            table.quantity.set(row, Some(&flow.figure()), symbols);
            let bare = |value: Option<f64>| value.map(Figure::bare);
            set_if_some(&mut table.capacity, row, bare(flow.capacity), symbols);
            set_if_some(&mut table.lead_days, row, bare(flow.lead_days), symbols);
            if flow.joint {
                table.joint.insert(row as u32);
            }
            if !flow.attributes.is_empty() {
                table.attributes.insert(row as u32, flow.attributes.clone());
            }
        }
        Ok(if added { sort_and_merge(table, symbols) } else { table })
    }

    fn merged_requirements(
        &self,
        edits: FxHashMap<(String, String), Option<Requirement>>,
        symbols: &Symbols,
    ) -> Vec<Requirement> {
        if edits.is_empty() {
            return self.requirements.clone();
        }
        let name = |s: Symbol| symbols.name(s).to_owned();
        let mut all: BTreeMap<(String, String), Requirement> = self
            .requirements
            .iter()
            .map(|r| ((name(r.output), name(r.input)), r.clone()))
            .collect();
        for (key, edit) in edits {
            match edit {
                Some(requirement) => all.insert(key, requirement),
                None => all.remove(&key),
            };
        }
        all.into_values().collect()
    }
}

fn set_if_some(column: &mut FigureColumn, row: usize, f: Option<Figure>, symbols: &mut Symbols) {
    if f.is_some() {
        column.set(row, f.as_ref(), symbols);
    }
}

fn write_node(table: &mut NodeTable, row: usize, node: &NodeRecord, symbols: &mut Symbols) {
    table.product[row] = symbols.intern(node.product.as_deref().unwrap_or(&node.id));
    table.stage[row] = symbols.intern_option(node.stage.as_deref());
    table.country[row] = symbols.intern_option(node.country.as_deref());
    table.output.set(row, node.output.as_ref(), symbols);
    table.capacity.set(row, node.capacity.as_ref(), symbols);
    table.stock_days.set(row, node.stock_days.as_ref(), symbols);
    if !node.attributes.is_empty() {
        table.attributes.insert(row as u32, node.attributes.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::NetworkBuilder;
    use super::*;

    fn network() -> Network {
        let mut builder = NetworkBuilder::new();
        for id in ["c", "a", "b"] {
            builder.add_node(&NodeRecord::new(id), 0).unwrap();
        }
        builder.add_flow(&FlowRecord::new("a", "b", 2.0), 1);
        builder.add_flow(&FlowRecord::new("b", "c", 3.0), 2);
        builder.finish().unwrap()
    }

    fn lines(network: &Network) -> Vec<String> {
        network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
    }

    #[test]
    fn a_batch_equals_the_network_built_from_its_result() {
        let changed = network()
            .apply(&[
                NodeRecord::new("aa").into(),
                FlowRecord::new("aa", "c", 1.5).into(),
                FlowRecord::new("a", "b", 5.0).into(),
                Change::Delete(RecordKey::Flow(FlowKey {
                    from: "b".into(),
                    to: "c".into(),
                    product: None,
                })),
            ])
            .unwrap();
        let mut builder = NetworkBuilder::new();
        for id in ["aa", "b", "c", "a"] {
            builder.add_node(&NodeRecord::new(id), 0).unwrap();
        }
        builder.add_flow(&FlowRecord::new("aa", "c", 1.5), 0);
        builder.add_flow(&FlowRecord::new("a", "b", 5.0), 0);
        assert_eq!(lines(&changed), lines(&builder.finish().unwrap()));
    }

    #[test]
    fn a_node_with_flows_is_deleted_only_with_them() {
        let delete = |detach| Change::Delete(RecordKey::Node { id: "b".into(), detach });
        let error = network().apply(&[delete(false)]).unwrap_err();
        assert!(error.problem.contains("a..b"), "{error}");
        let rest = network().apply(&[delete(true)]).unwrap();
        assert_eq!((rest.node_count(), rest.flow_count()), (2, 0));
    }

    #[test]
    fn a_flow_to_a_missing_node_names_both_and_changes_nothing() {
        let before = network();
        let error = before.apply(&[FlowRecord::new("a", "zz", 1.0).into()]).unwrap_err();
        assert!(error.problem.contains("a..zz") && error.problem.contains("no node zz"));
        assert!(error.absent);
    }

    #[test]
    fn replacing_a_node_keeps_its_flows() {
        let node = NodeRecord { stage: Some("mine".into()), ..NodeRecord::new("b") };
        let changed = network().apply(&[node.into()]).unwrap();
        assert_eq!(changed.flow_count(), 2);
        assert_eq!(changed.node_record(1).stage.as_deref(), Some("mine"));
    }
}
