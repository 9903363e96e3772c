//! Works the sum of some changes into a network, touching only the columns that they concern.
//!
//! A column that no other version holds is changed in place with block moves; one that is shared
//! is copied first. So a small change of a large network costs milliseconds, not a rebuild.

use super::Network;
use super::draft::{Draft, FlowId};
use super::shift::Shift;
use super::tables::{FigureColumn, Requirement};
use crate::model::change::{Change, ChangeError};
use crate::model::figure::Figure;
use crate::model::record::{FlowRecord, NodeRecord, RequirementRecord};
use crate::model::symbols::{Symbol, Symbols};

/// Most requirements that are changed one by one.
const FEW: usize = 32;

/// A change of some records of one network, resolved to its rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// By id.
    pub(super) nodes: Vec<NodeEdit>,
    /// By (from, to, product).
    pub(super) flows: Vec<FlowEdit>,
    /// By (output, input).
    pub(super) requirements: Vec<((String, String), Option<RequirementRecord>)>,
}

/// What becomes of one node: its row (or the row before which it enters) and its record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeEdit {
    pub(super) id: String,
    pub(super) place: Result<u32, u32>,
    pub(super) record: Option<NodeRecord>,
}

/// What becomes of one flow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FlowEdit {
    pub(super) id: FlowId,
    pub(super) place: Result<u32, u32>,
    pub(super) record: Option<FlowRecord>,
}

/// How the rows of a network moved, and which of them were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Nodes that left and entered.
    pub nodes: Shift,
    /// Flows that left and entered.
    pub flows: Shift,
    /// Nodes that were replaced, by their new rows.
    pub replaced_nodes: Vec<u32>,
    /// Flows that were replaced, by their new rows.
    pub replaced_flows: Vec<u32>,
}

impl Edit {
    /// Number of records that change.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.flows.len() + self.requirements.len()
    }

    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the nodes and of the flows that leave or are replaced.
    pub fn touched(&self) -> (Vec<u32>, Vec<u32>) {
        let nodes = self.nodes.iter().filter_map(|n| n.place.ok()).collect();
        (nodes, self.flows.iter().filter_map(|f| f.place.ok()).collect())
    }

    /// Keys (output, input) of the requirements that change.
    pub fn requirements(&self) -> impl Iterator<Item = (&str, &str)> {
        self.requirements.iter().map(|((output, input), _)| (output.as_str(), input.as_str()))
    }

    /// How the rows of the network that it was made for will move.
    pub fn moves(&self) -> Moves {
        fn shift(places: impl Iterator<Item = (Result<u32, u32>, bool)>) -> (Shift, Vec<u32>) {
            let (mut removed, mut inserted, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
            for place in places {
                match place {
                    (Ok(row), true) => replaced.push(row),
                    (Ok(row), false) => removed.push(row),
                    (Err(place), _) => inserted.push(place),
                }
            }
            (Shift::new(removed, inserted), replaced)
        }
        let (nodes, mut replaced_nodes) =
            shift(self.nodes.iter().map(|n| (n.place, n.record.is_some())));
        let (flows, mut replaced_flows) =
            shift(self.flows.iter().map(|f| (f.place, f.record.is_some())));
        replaced_nodes.iter_mut().for_each(|row| *row = nodes.row(*row));
        replaced_flows.iter_mut().for_each(|row| *row = flows.row(*row));
        Moves { nodes, flows, replaced_nodes, replaced_flows }
    }
}

impl Network {
    /// This network with `changes` applied as one batch (see [`Draft::push`]).
    ///
    /// # Errors
    /// As [`Draft::push`].
    pub fn apply(&self, changes: &[Change]) -> Result<Self, ChangeError> {
        let mut draft = Draft::new(self);
        draft.push(changes)?;
        let edit = draft.finish();
        let mut next = self.clone();
        next.edit(&edit);
        Ok(next)
    }

    /// Works in an edit that was made for this network.
    pub fn edit(&mut self, edit: &Edit) -> Moves {
        let moves = edit.moves();
        self.edit_nodes(edit, &moves.nodes);
        self.edit_flows(edit, &moves);
        self.edit_requirements(edit);
        self.settle();
        moves
    }

    fn edit_nodes(&mut self, edit: &Edit, shift: &Shift) {
        let table = &mut self.nodes;
        if !shift.is_empty() {
            let entering = edit.nodes.iter().filter(|n| n.place.is_err());
            let ids: Vec<&str> = entering.map(|n| n.id.as_str()).collect();
            let none = vec![Symbol::NONE; ids.len()];
            table.ids.splice(shift, &ids);
            for column in [&mut table.product, &mut table.stage, &mut table.country] {
                column.splice(shift, &none);
            }
            for column in [&mut table.output, &mut table.capacity, &mut table.stock_days] {
                column.shift(shift);
            }
            table.attributes.0.shift(shift);
        }
        for (row, node) in written(&edit.nodes, shift, |n| (n.place, n.record.as_ref())) {
            self.write_node(row, node);
        }
    }

    fn edit_flows(&mut self, edit: &Edit, moves: &Moves) {
        let Moves { nodes, flows: shift, .. } = moves;
        let table = &mut self.flows;
        if !nodes.is_empty() {
            rayon::join(
                || nodes.renumber(table.from.to_mut()),
                || nodes.renumber(table.to.to_mut()),
            );
        }
        if !shift.is_empty() {
            let ids = &self.nodes.ids;
            let symbols = &mut self.symbols;
            let row = |id: &str| ids.binary_search(id).unwrap_or_default();
            let entering: Vec<&FlowId> =
                edit.flows.iter().filter(|f| f.place.is_err()).map(|f| &f.id).collect();
            let from: Vec<u32> = entering.iter().map(|id| row(&id.from)).collect();
            let to: Vec<u32> = entering.iter().map(|id| row(&id.to)).collect();
            let product: Vec<Symbol> =
                entering.iter().map(|id| symbols.intern(&id.product)).collect();
            rayon::join(
                || {
                    table.from.splice(shift, &from);
                    table.to.splice(shift, &to);
                    table.product.splice(shift, &product);
                },
                || {
                    for column in [&mut table.quantity, &mut table.capacity, &mut table.lead_days] {
                        column.shift(shift);
                    }
                    table.joint.shift(shift);
                    table.attributes.0.shift(shift);
                },
            );
        }
        for (row, flow) in written(&edit.flows, shift, |f| (f.place, f.record.as_ref())) {
            self.write_flow(row, flow);
        }
    }

    fn write_node(&mut self, row: usize, node: &NodeRecord) {
        let Self { symbols, nodes: table, .. } = self;
        let set = |column: &mut super::Column<Symbol>, symbol: Symbol| {
            if column[row] != symbol {
                column.to_mut()[row] = symbol;
            }
        };
        set(&mut table.product, symbols.intern(node.product.as_deref().unwrap_or(&node.id)));
        set(&mut table.stage, symbols.intern_option(node.stage.as_deref()));
        set(&mut table.country, symbols.intern_option(node.country.as_deref()));
        table.output.set(row, node.output.as_ref(), symbols);
        table.capacity.set(row, node.capacity.as_ref(), symbols);
        table.stock_days.set(row, node.stock_days.as_ref(), symbols);
        table.attributes.insert(row as u32, node.attributes.clone());
    }

    fn write_flow(&mut self, row: usize, flow: &FlowRecord) {
        let Self { symbols, flows: table, .. } = self;
        let mut set = |column: &mut FigureColumn, figure: Option<Figure>| {
            column.set(row, figure.as_ref(), symbols);
        };
        set(&mut table.quantity, Some(flow.figure()));
        set(&mut table.capacity, flow.capacity.map(Figure::bare));
        set(&mut table.lead_days, flow.lead_days.map(Figure::bare));
        match flow.joint {
            true => table.joint.insert(row as u32, ()),
            false => table.joint.remove(&(row as u32)),
        }
        table.attributes.insert(row as u32, flow.attributes.clone());
    }

    /// Row of a requirement, or the row before which it would stand.
    ///
    /// # Errors
    /// Not an error: where it would stand.
    pub fn requirement_row(&self, output: &str, input: &str) -> Result<usize, usize> {
        let name = |symbol| self.symbols.name(symbol);
        self.requirements
            .binary_search_by(|r| (name(r.output), name(r.input)).cmp(&(output, input)))
    }

    fn edit_requirements(&mut self, edit: &Edit) {
        if edit.requirements.len() <= FEW {
            for ((output, input), record) in &edit.requirements {
                let row = self.requirement_row(output, input);
                let requirement = record.as_ref().map(|r| requirement(r, &mut self.symbols));
                match (row, requirement) {
                    (Ok(row), Some(requirement)) => self.requirements.to_mut()[row] = requirement,
                    (Ok(row), None) => drop(self.requirements.to_mut().remove(row)),
                    (Err(row), Some(requirement)) => {
                        self.requirements.to_mut().insert(row, requirement);
                    }
                    (Err(_), None) => {}
                }
            }
            return;
        }
        let old = std::mem::take(&mut self.requirements).into_vec();
        let mut all = Vec::with_capacity(old.len() + edit.requirements.len());
        let mut old = old.into_iter().peekable();
        for ((output, input), record) in &edit.requirements {
            let name = |s: Symbol| self.symbols.name(s);
            let key = (output.as_str(), input.as_str());
            while let Some(r) = old.next_if(|r| (name(r.output), name(r.input)) < key) {
                all.push(r);
            }
            old.next_if(|r| (name(r.output), name(r.input)) == key);
            all.extend(record.as_ref().map(|r| requirement(r, &mut self.symbols)));
        }
        all.extend(old);
        self.requirements = all.into();
    }
}

/// The records to write with their new rows.
fn written<'e, E, R>(
    edits: &'e [E],
    shift: &Shift,
    parts: impl Fn(&'e E) -> (Result<u32, u32>, Option<&'e R>),
) -> Vec<(usize, &'e R)> {
    let mut entered = 0;
    let mut all = Vec::new();
    for (place, record) in edits.iter().map(parts) {
        let row = match place {
            Ok(row) => shift.row(row),
            Err(_) => {
                entered += 1;
                shift.inserted_row(entered - 1)
            }
        };
        all.extend(record.map(|record| (row as usize, record)));
    }
    all
}

fn requirement(r: &RequirementRecord, symbols: &mut Symbols) -> Requirement {
    Requirement {
        output: symbols.intern(&r.output),
        input: symbols.intern(&r.input),
        rule: r.rule,
        dependence: r.dependence.clone(),
        min_share: r.min_share,
        intensity: r.intensity.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::NetworkBuilder;
    use super::*;
    use crate::model::change::{FlowKey, RecordKey};

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
