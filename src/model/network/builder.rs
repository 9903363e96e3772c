//! Builds a canonical network from records in any order.

use rustc_hash::FxHashMap;

use super::Network;
use super::tables::{FlowTable, NodeTable, Requirement, StringArena};
use crate::model::change::ChangeError;
use crate::model::figure::Figure;
use crate::model::record::{FlowRecord, NodeRecord, Record, RequirementRecord};
use crate::model::symbols::{Symbol, Symbols};

/// Row number of a node that was named by a flow but not (yet) declared.
const UNDECLARED: u32 = u32::MAX;

/// Collects records, then sorts and checks them. Rows may come in any order; a flow may come
/// before its ends. Records are checked by the caller ([`Record::check`]).
#[derive(Debug, Default)]
pub struct NetworkBuilder {
    symbols: Symbols,
    ids: StringArena,
    by_id: FxHashMap<Box<str>, u32>,
    /// Row that declared each node, for messages.
    declared: Vec<u32>,
    nodes: NodeTable,
    flows: FlowTable,
    /// Row of each flow, for messages.
    flow_rows: Vec<u32>,
    requirements: FxHashMap<(Symbol, Symbol), Requirement>,
}

impl NetworkBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of flows so far.
    pub fn flow_count(&self) -> usize {
        self.flows.from.len()
    }

    /// Number of nodes so far, the undeclared ones included.
    pub fn node_count(&self) -> usize {
        self.ids.len()
    }

    fn node(&mut self, id: &str) -> u32 {
        if let Some(&index) = self.by_id.get(id) {
            return index;
        }
        let index = self.ids.len() as u32;
        self.ids.push(id);
        self.by_id.insert(id.into(), index);
        self.declared.push(UNDECLARED);
        self.nodes.product.push(Symbol::NONE);
        self.nodes.stage.push(Symbol::NONE);
        self.nodes.country.push(Symbol::NONE);
        index
    }

    /// Adds one record; `row` is its position (or line) for messages.
    ///
    /// # Errors
    /// A sentence, if a node or requirement of the same key was already added.
    pub fn add(&mut self, record: &Record, row: usize) -> Result<(), String> {
        match record {
            Record::Node(node) => self.add_node(node, row),
            Record::Flow(flow) => {
                self.add_flow(flow, row);
                Ok(())
            }
            Record::Requirement(requirement) => self.add_requirement(requirement),
        }
    }

    /// Adds a node.
    ///
    /// # Errors
    /// A sentence, if a node of this id was already added.
    pub fn add_node(&mut self, node: &NodeRecord, row: usize) -> Result<(), String> {
        let index = self.node(&node.id);
        let i = index as usize;
        if self.declared[i] != UNDECLARED {
            return Err(format!(
                "node {} is already declared in row {}; give each node once",
                node.id,
                u64::from(self.declared[i]) + 1
            ));
        }
        self.declared[i] = (row as u32).min(UNDECLARED - 1);
        let product = node.product.as_deref().unwrap_or(&node.id);
        self.nodes.product[i] = self.symbols.intern(product);
        self.nodes.stage[i] = self.symbols.intern_option(node.stage.as_deref());
        self.nodes.country[i] = self.symbols.intern_option(node.country.as_deref());
        self.nodes.output.set(i, node.output.as_ref(), &mut self.symbols);
        self.nodes.capacity.set(i, node.capacity.as_ref(), &mut self.symbols);
        self.nodes.stock_days.set(i, node.stock_days.as_ref(), &mut self.symbols);
        if !node.attributes.is_empty() {
            self.nodes.attributes.insert(index, node.attributes.clone());
        }
        Ok(())
    }

    /// Adds a flow. Flows of the same ends and product add up.
    pub fn add_flow(&mut self, flow: &FlowRecord, row: usize) {
        let from = self.node(&flow.from);
        let to = self.node(&flow.to);
        let e = self.flows.from.len();
        self.flows.from.push(from);
        self.flows.to.push(to);
        let product = self.symbols.intern_option(flow.product.as_deref());
        self.flows.product.push(product);
        self.flows.quantity.set(e, Some(&flow.figure()), &mut self.symbols);
        self.flows.capacity.set(e, flow.capacity.map(Figure::bare).as_ref(), &mut self.symbols);
        self.flows.lead_days.set(e, flow.lead_days.map(Figure::bare).as_ref(), &mut self.symbols);
        if flow.joint {
            self.flows.joint.insert(e as u32);
        }
        if !flow.attributes.is_empty() {
            self.flows.attributes.insert(e as u32, flow.attributes.clone());
        }
        self.flow_rows.push(row.min(u32::MAX as usize) as u32);
    }

    /// Adds a requirement.
    ///
    /// # Errors
    /// A sentence, if the pair already has one.
    pub fn add_requirement(&mut self, record: &RequirementRecord) -> Result<(), String> {
        let output = self.symbols.intern(&record.output);
        let input = self.symbols.intern(&record.input);
        let requirement = Requirement {
            output,
            input,
            rule: record.rule,
            dependence: record.dependence.clone(),
            min_share: record.min_share,
            intensity: record.intensity.clone(),
        };
        match self.requirements.insert((output, input), requirement) {
            None => Ok(()),
            Some(_) => Err(format!(
                "the requirement of {} for {} is given twice",
                record.output, record.input
            )),
        }
    }

    /// Sorts, merges and checks.
    ///
    /// # Errors
    /// Every flow with an end that no row declares, in the order of the rows.
    pub fn finish(self) -> Result<Network, Vec<ChangeError>> {
        let dangling = self.dangling();
        if !dangling.is_empty() {
            return Err(dangling);
        }
        let Self { symbols, ids, by_id, nodes, mut flows, requirements, .. } = self;
        drop(by_id);

        // Nodes into the order of their ids.
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| ids.get(a).cmp(ids.get(b)));
        let mut position = vec![0u32; ids.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old as usize] = new as u32;
        }
        let mut sorted_ids = StringArena::with_capacity(ids.len(), 0);
        for &old in &order {
            sorted_ids.push(ids.get(old));
        }
        drop(ids);
        let pick = |column: &[Symbol]| order.iter().map(|&o| column[o as usize]).collect();
        let nodes = NodeTable {
            ids: sorted_ids,
            product: pick(&nodes.product),
            stage: pick(&nodes.stage),
            country: pick(&nodes.country),
            output: nodes.output.reorder(&order),
            capacity: nodes.capacity.reorder(&order),
            stock_days: nodes.stock_days.reorder(&order),
            attributes: nodes
                .attributes
                .into_iter()
                .map(|(old, a)| (position[old as usize], a))
                .collect(),
        };

        // Flows: own product where none was given, then into order, then equal keys added up.
        for e in 0..flows.from.len() {
            flows.from[e] = position[flows.from[e] as usize];
            flows.to[e] = position[flows.to[e] as usize];
            if !flows.product[e].is_some() {
                flows.product[e] = nodes.product[flows.from[e] as usize];
            }
        }
        let flows = sort_and_merge(flows, &symbols);

        let mut requirements: Vec<Requirement> = requirements.into_values().collect();
        requirements.sort_by(|a, b| {
            let key = |r: &Requirement| (r.output, r.input);
            let name = |s: Symbol| symbols.name(s);
            let ((ao, ai), (bo, bi)) = (key(a), key(b));
            (name(ao), name(ai)).cmp(&(name(bo), name(bi)))
        });
        Ok(Network { symbols, nodes, flows, requirements })
    }

    fn dangling(&self) -> Vec<ChangeError> {
        if self.declared.iter().all(|&row| row != UNDECLARED) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for e in 0..self.flows.from.len() {
            let (from, to) = (self.flows.from[e], self.flows.to[e]);
            let missing: Vec<&str> = [from, to]
                .into_iter()
                .filter(|&n| self.declared[n as usize] == UNDECLARED)
                .map(|n| self.ids.get(n))
                .collect();
            if !missing.is_empty() {
                problems.push(ChangeError {
                    index: self.flow_rows[e] as usize,
                    problem: format!(
                        "flow {}..{}: there is no node {}; add it or correct the id",
                        self.ids.get(from),
                        self.ids.get(to),
                        missing.join(" and no node ")
                    ),
                    absent: true,
                });
            }
        }
        problems.sort_by_key(|p| p.index);
        problems
    }
}

/// Sorts flows by (from, to, product name) and adds up those of the same key.
pub(super) fn sort_and_merge(flows: FlowTable, symbols: &Symbols) -> FlowTable {
    let m = flows.from.len();
    let key = |e: u32| {
        let e = e as usize;
        (flows.from[e], flows.to[e])
    };
    let by_name = |a: u32, b: u32| {
        let (pa, pb) = (flows.product[a as usize], flows.product[b as usize]);
        if pa == pb { std::cmp::Ordering::Equal } else { symbols.name(pa).cmp(symbols.name(pb)) }
    };
    let mut order: Vec<u32> = (0..m as u32).collect();
    // Equal keys are ordered by quantity, so that their sum does not depend on the row order.
    order.sort_unstable_by(|&a, &b| {
        key(a).cmp(&key(b)).then_with(|| by_name(a, b)).then_with(|| {
            let q = |e: u32| flows.quantity.get(e as usize).unwrap_or(0.0);
            q(a).total_cmp(&q(b))
        })
    });
    let same = |a: u32, b: u32| key(a) == key(b) && by_name(a, b).is_eq();
    let firsts: Vec<usize> = (0..m).filter(|&i| i == 0 || !same(order[i - 1], order[i])).collect();
    let kept: Vec<u32> = firsts.iter().map(|&i| order[i]).collect();
    let mut quantity = flows.quantity.reorder(&kept);
    let mut capacity = flows.capacity.reorder(&kept);
    let mut joint = std::collections::BTreeSet::new();
    let mut attributes = FxHashMap::default();
    for (row, &first) in firsts.iter().enumerate() {
        let last = firsts.get(row + 1).copied().unwrap_or(m);
        let group = &order[first..last];
        if flows.joint.contains(&order[first]) {
            joint.insert(row as u32);
        }
        if let Some(a) = group.iter().find_map(|e| flows.attributes.get(e)) {
            attributes.insert(row as u32, a.clone());
        }
        if group.len() == 1 {
            continue;
        }
        let value = |e: u32| flows.quantity.get(e as usize).unwrap_or(0.0);
        let total: f64 = group.iter().map(|&e| value(e)).sum();
        let mut meta = quantity.meta(row);
        meta.class = group.iter().filter_map(|&e| flows.quantity.meta(e as usize).class).max();
        let ends: Vec<(f64, f64)> = group
            .iter()
            .map(|&e| {
                let (low, high) = flows.quantity.range(e as usize).unwrap_or((None, None));
                (low.unwrap_or(value(e)), high.unwrap_or(value(e)))
            })
            .collect();
        let stated = group.iter().any(|&e| flows.quantity.range(e as usize).is_some());
        let range = stated
            .then(|| (Some(ends.iter().map(|r| r.0).sum()), Some(ends.iter().map(|r| r.1).sum())));
        quantity.set_parts(row, total, meta, range);
        if group.iter().any(|&e| flows.capacity.get(e as usize).is_some()) {
            let most = group
                .iter()
                .map(|&e| flows.capacity.get(e as usize).unwrap_or_else(|| value(e)))
                .sum();
            capacity.set_parts(row, most, capacity.meta(row), None);
        }
    }
    let pick = |column: &[u32]| kept.iter().map(|&e| column[e as usize]).collect();
    FlowTable {
        from: pick(&flows.from),
        to: pick(&flows.to),
        product: kept.iter().map(|&e| flows.product[e as usize]).collect(),
        quantity,
        capacity,
        lead_days: flows.lead_days.reorder(&kept),
        joint,
        attributes,
    }
}
