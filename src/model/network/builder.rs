//! Builds a canonical network from records in any order.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::Network;
use super::sparse::AttributeColumn;
use super::tables::{FigureMeta, FlowTable, NodeTable, Requirement, StringArena};
use crate::model::change::ChangeError;
use crate::model::figure::{Figure, FigureClass};
use crate::model::record::{Attributes, FlowRecord, NodeRecord, Record, RequirementRecord};
use crate::model::symbols::{Symbol, Symbols};

/// Row number of a node that was named by a flow but not (yet) declared.
const UNDECLARED: u32 = u32::MAX;

/// Collects records, then sorts and checks them. Rows may come in any order; a flow may come
/// before its ends. Records are checked by the caller ([`Record::check`]).
#[derive(Debug, Default)]
pub struct NetworkBuilder {
    symbols: Symbols,
    ids: StringArena,
    /// Index of each id in `ids`; the ids themselves are stored once, in the arena.
    by_id: HashTable<u32>,
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

    /// Bytes of the ids, or of the other names if those are more; each may take 4 GiB.
    pub fn text_bytes(&self) -> usize {
        self.ids.text_bytes().max(self.symbols.text_bytes())
    }

    /// The row that declared the node `id`.
    pub fn declared_in(&self, id: &str) -> Option<u32> {
        let index = self.by_id.find(FxBuildHasher.hash_one(id), |&i| self.ids.get(i) == id)?;
        let row = self.declared[*index as usize];
        (row != UNDECLARED).then_some(row)
    }

    fn node(&mut self, id: &str) -> u32 {
        let Self { ids, by_id, .. } = self;
        let hash = FxBuildHasher.hash_one(id);
        if let Some(&index) = by_id.find(hash, |&i| ids.get(i) == id) {
            return index;
        }
        let index = ids.len() as u32;
        ids.push(id);
        by_id.insert_unique(hash, index, |&i| FxBuildHasher.hash_one(ids.get(i)));
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
        self.nodes.product.to_mut()[i] = self.symbols.intern(product);
        self.nodes.stage.to_mut()[i] = self.symbols.intern_option(node.stage.as_deref());
        self.nodes.country.to_mut()[i] = self.symbols.intern_option(node.country.as_deref());
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
            self.flows.joint.insert(e as u32, ());
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
        let (dangling, _) = self.dangling(usize::MAX);
        if dangling.is_empty() { Ok(self.finish_declared()) } else { Err(dangling) }
    }

    /// Sorts and merges; leaves out the flows with an end that no row declares.
    pub fn finish_declared(self) -> Network {
        let Self { symbols, ids, by_id, declared, nodes, mut flows, flow_rows, requirements } =
            self;
        drop((by_id, flow_rows));

        // Nodes into the order of their ids.
        let mut order: Vec<u32> =
            (0..ids.len() as u32).filter(|&i| declared[i as usize] != UNDECLARED).collect();
        if order.len() < ids.len() {
            let known = |n: u32| declared[n as usize] != UNDECLARED;
            let kept: Vec<u32> = (0..flows.from.len() as u32)
                .filter(|&e| known(flows.from[e as usize]) && known(flows.to[e as usize]))
                .collect();
            flows = flows.select(&kept);
        }
        drop(declared);
        order.sort_unstable_by(|&a, &b| ids.get(a).cmp(ids.get(b)));
        let mut position = vec![0u32; ids.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old as usize] = new as u32;
        }
        let mut sorted_ids = StringArena::with_capacity(order.len(), 0);
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
            attributes: AttributeColumn(nodes.attributes.0.select(&order)),
        };
        drop(order);

        // Flows: own product where none was given, then into order, then equal keys added up.
        let (from, to) = (flows.from.to_mut(), flows.to.to_mut());
        let product = flows.product.to_mut();
        for e in 0..from.len() {
            from[e] = position[from[e] as usize];
            to[e] = position[to[e] as usize];
            if !product[e].is_some() {
                product[e] = nodes.product[from[e] as usize];
            }
        }
        drop(position);
        let flows = sort_and_merge(flows, &symbols);

        let mut requirements: Vec<Requirement> = requirements.into_values().collect();
        requirements.sort_by(|a, b| {
            let key = |r: &Requirement| (r.output, r.input);
            let name = |s: Symbol| symbols.name(s);
            let ((ao, ai), (bo, bi)) = (key(a), key(b));
            (name(ao), name(ai)).cmp(&(name(bo), name(bi)))
        });
        let mut network = Network { symbols, nodes, flows, requirements: requirements.into() };
        network.settle();
        network
    }

    /// Declares the nodes of `base` that flows name but no row declares (flows of a merge may
    /// point at nodes that are already there). Returns the ids of the nodes so lent.
    pub fn lend_nodes(&mut self, base: &Network) -> FxHashSet<String> {
        let mut lent = FxHashSet::default();
        for i in 0..self.ids.len() {
            if self.declared[i] != UNDECLARED {
                continue;
            }
            let Some(index) = base.node_index(self.ids.get(i as u32)) else { continue };
            self.declared[i] = UNDECLARED - 1;
            let product = base.symbols.name(base.nodes.product[index as usize]);
            self.nodes.product.to_mut()[i] = self.symbols.intern(product);
            lent.insert(self.ids.get(i as u32).to_owned());
        }
        lent
    }

    /// The flows with an end that no row declares, in the order of the rows: the first `keep` of
    /// them, and how many there are.
    pub fn dangling(&self, keep: usize) -> (Vec<ChangeError>, u64) {
        let known = |n: u32| self.declared[n as usize] != UNDECLARED;
        if self.declared.iter().all(|&row| row != UNDECLARED) {
            return (Vec::new(), 0);
        }
        let mut rows: Vec<(u32, u32)> = (0..self.flows.from.len())
            .filter(|&e| !(known(self.flows.from[e]) && known(self.flows.to[e])))
            .map(|e| (self.flow_rows[e], e as u32))
            .collect();
        rows.sort_unstable();
        let count = rows.len() as u64;
        let problem = |&(row, e): &(u32, u32)| {
            let (from, to) = (self.flows.from[e as usize], self.flows.to[e as usize]);
            let mut missing: Vec<&str> =
                [from, to].into_iter().filter(|&n| !known(n)).map(|n| self.ids.get(n)).collect();
            missing.dedup();
            ChangeError {
                index: row as usize,
                problem: format!(
                    "flow {}..{}: there is no node {}; add it or correct the id",
                    self.ids.get(from),
                    self.ids.get(to),
                    missing.join(" and no node ")
                ),
                absent: true,
            }
        };
        (rows.iter().take(keep).map(problem).collect(), count)
    }
}

/// Sorts flows by (from, to, product name) and adds up those of the same key.
fn sort_and_merge(flows: FlowTable, symbols: &Symbols) -> FlowTable {
    let m = flows.from.len();
    let by_name = |a: u32, b: u32| {
        let (pa, pb) = (flows.product[a as usize], flows.product[b as usize]);
        if pa == pb { std::cmp::Ordering::Equal } else { symbols.name(pa).cmp(symbols.name(pb)) }
    };
    let value = |e: u32| flows.quantity.get(e as usize).unwrap_or(0.0);
    let mut order = by_supplier(&flows.from);
    // Equal keys are ordered by quantity, so that their sum does not depend on the row order.
    let supplier = |&e: &u32| flows.from[e as usize];
    for group in order.chunk_by_mut(|a, b| supplier(a) == supplier(b)) {
        group.sort_unstable_by(|&a, &b| {
            flows.to[a as usize]
                .cmp(&flows.to[b as usize])
                .then_with(|| by_name(a, b))
                .then_with(|| value(a).total_cmp(&value(b)))
        });
    }
    let key = |e: u32| (flows.from[e as usize], flows.to[e as usize]);
    let same = |a: &u32, b: &u32| key(*a) == key(*b) && by_name(*a, *b).is_eq();
    // Rows that several flows add up to.
    let mut sums: Vec<(u32, MergedFlow)> = Vec::new();
    let mut kept: Vec<u32> = Vec::with_capacity(m);
    for group in order.chunk_by_mut(same) {
        if group.len() > 1 {
            // The first one lends the sum what does not add up; which that is must not hang on the order of the rows.
            group.sort_by(|&a, &b| {
                let rest = |e: u32| what_else(&flows, symbols, e as usize);
                value(a).total_cmp(&value(b)).then_with(|| rest(a).cmp(&rest(b)))
            });
            sums.push((kept.len() as u32, MergedFlow::of(group, &flows)));
        }
        kept.push(group[0]);
    }
    drop(order);
    let mut merged = flows.select(&kept);
    for (row, sum) in sums {
        sum.write(&mut merged, row);
    }
    merged
}

/// Everything about a flow but its ends, product and quantity, in a form with an order.
fn what_else(flows: &FlowTable, symbols: &Symbols, e: usize) -> impl Ord {
    // Not negative, so that the order of the bits is that of the numbers.
    let bits = |number: Option<f64>| number.map(f64::to_bits);
    let range = flows.quantity.range(e).map(|(low, high)| (bits(low), bits(high)));
    let meta = flows.quantity.meta(e);
    let names = (symbols.name(meta.unit).to_owned(), symbols.name(meta.source).to_owned());
    let attributes = flows.attributes.get(&(e as u32)).map(|a| format!("{a:?}"));
    let joint = flows.joint.contains(&(e as u32));
    let (capacity, lead_days) = (bits(flows.capacity.get(e)), bits(flows.lead_days.get(e)));
    (names, (meta.year, meta.class), range, capacity, lead_days, joint, attributes)
}

/// The flows in a stable order of their suppliers (counting sort).
fn by_supplier(from: &[u32]) -> Vec<u32> {
    let nodes = from.iter().max().map_or(0, |&n| n as usize + 1);
    let mut next = vec![0u32; nodes + 1];
    for &f in from {
        next[f as usize + 1] += 1;
    }
    for n in 0..nodes {
        next[n + 1] += next[n];
    }
    let mut order = vec![0u32; from.len()];
    for (e, &f) in from.iter().enumerate() {
        let slot = &mut next[f as usize];
        order[*slot as usize] = e as u32;
        *slot += 1;
    }
    order
}

/// What several flows of the same ends and product add up to.
struct MergedFlow {
    quantity: f64,
    class: Option<FigureClass>,
    range: Option<(Option<f64>, Option<f64>)>,
    capacity: Option<f64>,
    attributes: Option<Attributes>,
}

impl MergedFlow {
    fn of(group: &[u32], flows: &FlowTable) -> Self {
        let value = |e: u32| flows.quantity.get(e as usize).unwrap_or(0.0);
        let range = |e: u32| flows.quantity.range(e as usize);
        let capacity = |e: u32| flows.capacity.get(e as usize);
        let sum = |of: &dyn Fn(u32) -> f64| group.iter().map(|&e| of(e)).sum::<f64>();
        let low = |e: u32| range(e).and_then(|r| r.0).unwrap_or_else(|| value(e));
        let high = |e: u32| range(e).and_then(|r| r.1).unwrap_or_else(|| value(e));
        Self {
            quantity: sum(&value),
            class: group.iter().filter_map(|&e| flows.quantity.meta(e as usize).class).max(),
            range: (group.iter().any(|&e| range(e).is_some()))
                .then(|| (Some(sum(&low)), Some(sum(&high)))),
            capacity: (group.iter().any(|&e| capacity(e).is_some()))
                .then(|| sum(&|e| capacity(e).unwrap_or_else(|| value(e)))),
            attributes: group.iter().find_map(|e| flows.attributes.get(e)).cloned(),
        }
    }

    fn write(self, flows: &mut FlowTable, row: u32) {
        let i = row as usize;
        let meta = FigureMeta { class: self.class, ..flows.quantity.meta(i) };
        flows.quantity.set_parts(i, self.quantity, meta, self.range);
        if let Some(capacity) = self.capacity {
            flows.capacity.set_parts(i, capacity, flows.capacity.meta(i), None);
        }
        if let Some(attributes) = self.attributes {
            flows.attributes.insert(row, attributes);
        }
    }
}
