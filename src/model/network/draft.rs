//! A network with batches of changes on top, before they are worked in.
//!
//! Batches are checked one after the other against the network and the batches before, without
//! touching it; the sum of them becomes one [`Edit`]. A refused batch leaves nothing behind.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use super::Network;
use super::edit::{Edit, FlowEdit, NodeEdit};
use crate::model::change::{Change, ChangeError, RecordKey};
use crate::model::record::{FlowRecord, NodeRecord, Record, RequirementRecord};

/// How many nodes, flows and requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordCounts {
    /// Nodes.
    pub nodes: u64,
    /// Flows.
    pub flows: u64,
    /// Requirements.
    pub requirements: u64,
}

/// One flow: its ends and what flows, spelled out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FlowId {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) product: String,
}

/// Flows by consumer: given by who has an index, else made when first asked for.
#[derive(Debug)]
enum Arrivals<'a> {
    Given { start: &'a [u32], flows: &'a [u32] },
    Made { start: Vec<u32>, flows: Vec<u32> },
    None,
}

/// A network with accepted batches on top.
#[derive(Debug)]
pub struct Draft<'a> {
    base: &'a Network,
    arrivals: Arrivals<'a>,
    /// Nodes that the batches touched: what became of them.
    nodes: BTreeMap<String, Option<NodeRecord>>,
    flows: BTreeMap<FlowId, Option<FlowRecord>>,
    /// Flows of `flows` by consumer.
    arriving: FxHashMap<String, Vec<FlowId>>,
    requirements: BTreeMap<(String, String), Option<RequirementRecord>>,
    counts: RecordCounts,
}

/// What one batch does to a node: the last word counts.
#[derive(Clone, Copy)]
enum NodeChange<'c> {
    Put(&'c NodeRecord),
    Delete { detach: bool },
}

/// One batch while it is checked, with the position of each change.
#[derive(Default)]
struct Batch<'c> {
    nodes: BTreeMap<&'c str, (usize, NodeChange<'c>)>,
    flows: BTreeMap<FlowId, (usize, Option<&'c FlowRecord>)>,
    requirements: BTreeMap<(&'c str, &'c str), Option<&'c RequirementRecord>>,
}

fn absent(index: usize, problem: String) -> ChangeError {
    ChangeError { index, problem, absent: true }
}

impl<'a> Draft<'a> {
    /// Nothing changed yet.
    pub fn new(base: &'a Network) -> Self {
        let counts = RecordCounts {
            nodes: base.node_count() as u64,
            flows: base.flow_count() as u64,
            requirements: base.requirements.len() as u64,
        };
        Self {
            base,
            arrivals: Arrivals::None,
            nodes: BTreeMap::new(),
            flows: BTreeMap::new(),
            arriving: FxHashMap::default(),
            requirements: BTreeMap::new(),
            counts,
        }
    }

    /// As [`Draft::new`], for who knows the flows that arrive at each node `v`:
    /// `flows[start[v]..start[v + 1]]`.
    pub fn with_arrivals(base: &'a Network, start: &'a [u32], flows: &'a [u32]) -> Self {
        Self { arrivals: Arrivals::Given { start, flows }, ..Self::new(base) }
    }

    /// Records after all accepted batches.
    pub fn counts(&self) -> RecordCounts {
        self.counts
    }

    /// Adds one atomic batch. Its nodes and requirements change first, then its flows in order,
    /// so a flow may come before its ends; the last word on a record counts.
    ///
    /// # Errors
    /// A change that cannot be applied: a bad record, a flow to a missing node (names both), a
    /// delete of something absent, a node whose flows would be left dangling. The draft is as it
    /// was then.
    pub fn push(&mut self, changes: &[Change]) -> Result<(), ChangeError> {
        let batch = self.check(changes)?;
        self.merge(batch);
        Ok(())
    }

    fn check<'c>(&mut self, changes: &'c [Change]) -> Result<Batch<'c>, ChangeError> {
        let mut batch = Batch::default();
        for (index, change) in changes.iter().enumerate() {
            match change {
                Change::Put(record) => {
                    record.check().map_err(|problem| ChangeError {
                        index,
                        problem,
                        absent: false,
                    })?;
                    match record {
                        Record::Node(node) => {
                            batch.nodes.insert(&node.id, (index, NodeChange::Put(node)));
                        }
                        Record::Requirement(r) => {
                            batch.requirements.insert((&r.output, &r.input), Some(r));
                        }
                        Record::Flow(_) => {}
                    }
                }
                Change::Delete(RecordKey::Node { id, detach }) => {
                    let known = match batch.nodes.get(id.as_str()) {
                        Some((_, change)) => matches!(change, NodeChange::Put(_)),
                        None => self.has_node(id),
                    };
                    if !known {
                        return Err(absent(index, format!("there is no node {id} to delete")));
                    }
                    batch.nodes.insert(id, (index, NodeChange::Delete { detach: *detach }));
                }
                Change::Delete(RecordKey::Requirement { output, input }) => {
                    let key = (output.as_str(), input.as_str());
                    let known = match batch.requirements.get(&key) {
                        Some(change) => change.is_some(),
                        None => self.has_requirement(output, input),
                    };
                    if !known {
                        return Err(absent(
                            index,
                            format!("there is no requirement of {output} for {input} to delete"),
                        ));
                    }
                    batch.requirements.insert(key, None);
                }
                Change::Delete(RecordKey::Flow(_)) => {}
            }
        }
        for (index, change) in changes.iter().enumerate() {
            match change {
                Change::Put(Record::Flow(flow)) => self.put_flow(&mut batch, index, flow)?,
                Change::Delete(RecordKey::Flow(key)) => {
                    let product = match &key.product {
                        Some(product) => Some(product.clone()),
                        None => self.supplier_product(&batch, &key.from),
                    };
                    let id = product.map(|product| FlowId {
                        from: key.from.clone(),
                        to: key.to.clone(),
                        product,
                    });
                    let id = id.filter(|id| match batch.flows.get(id) {
                        Some((_, change)) => change.is_some(),
                        None => self.has_flow(id),
                    });
                    let Some(id) = id else {
                        return Err(absent(
                            index,
                            format!("there is no flow {}..{} to delete", key.from, key.to),
                        ));
                    };
                    batch.flows.insert(id, (index, None));
                }
                _ => {}
            }
        }
        self.detach(&mut batch)?;
        Ok(batch)
    }

    fn put_flow<'c>(
        &self,
        batch: &mut Batch<'c>,
        index: usize,
        flow: &'c FlowRecord,
    ) -> Result<(), ChangeError> {
        let there = |id: &str| match batch.nodes.get(id) {
            Some((_, change)) => matches!(change, NodeChange::Put(_)),
            None => self.has_node(id),
        };
        if let Some(missing) = [&flow.from, &flow.to].into_iter().find(|end| !there(end)) {
            return Err(absent(
                index,
                format!(
                    "flow {}..{}: there is no node {missing}; add it or correct the id",
                    flow.from, flow.to
                ),
            ));
        }
        let product = flow.product.clone().or_else(|| self.supplier_product(batch, &flow.from));
        let id = FlowId {
            from: flow.from.clone(),
            to: flow.to.clone(),
            product: product.unwrap_or_default(),
        };
        batch.flows.insert(id, (index, Some(flow)));
        Ok(())
    }

    /// The flows of deleted nodes go too, if they may.
    fn detach(&mut self, batch: &mut Batch<'_>) -> Result<(), ChangeError> {
        let deleted: Vec<(&str, usize, bool)> = batch
            .nodes
            .iter()
            .filter_map(|(id, (index, change))| match change {
                NodeChange::Delete { detach } => Some((*id, *index, *detach)),
                NodeChange::Put(_) => None,
            })
            .collect();
        for (id, index, detach) in deleted {
            for flow in self.flows_of(id) {
                if batch.flows.get(&flow).is_some_and(|(_, change)| change.is_none()) {
                    continue;
                }
                if !detach {
                    return Err(ChangeError {
                        index,
                        problem: format!(
                            "node {id} still has the flow {}; delete its flows too or set detach",
                            self.describe(&flow)
                        ),
                        absent: false,
                    });
                }
                batch.flows.insert(flow, (index, None));
            }
        }
        Ok(())
    }

    fn merge(&mut self, batch: Batch<'_>) {
        fn count(total: &mut u64, before: bool, after: bool) {
            *total = *total + u64::from(after) - u64::from(before);
        }
        for (id, (_, change)) in batch.nodes {
            let record = match change {
                NodeChange::Put(record) => Some(record.clone()),
                NodeChange::Delete { .. } => None,
            };
            let before = self.has_node(id);
            count(&mut self.counts.nodes, before, record.is_some());
            self.nodes.insert(id.to_owned(), record);
        }
        for (id, (_, record)) in batch.flows {
            let before = self.has_flow(&id);
            count(&mut self.counts.flows, before, record.is_some());
            if record.is_some() {
                self.arriving.entry(id.to.clone()).or_default().push(id.clone());
            }
            self.flows.insert(id, record.cloned());
        }
        for ((output, input), record) in batch.requirements {
            let before = self.has_requirement(output, input);
            count(&mut self.counts.requirements, before, record.is_some());
            self.requirements.insert((output.to_owned(), input.to_owned()), record.cloned());
        }
    }

    fn has_node(&self, id: &str) -> bool {
        match self.nodes.get(id) {
            Some(record) => record.is_some(),
            None => self.base.node_index(id).is_some(),
        }
    }

    fn has_flow(&self, id: &FlowId) -> bool {
        match self.flows.get(id) {
            Some(record) => record.is_some(),
            None => self.base.flow_place(id).is_ok(),
        }
    }

    fn has_requirement(&self, output: &str, input: &str) -> bool {
        match self.requirements.get(&(output.to_owned(), input.to_owned())) {
            Some(record) => record.is_some(),
            None => self.base.requirement_row(output, input).is_ok(),
        }
    }

    /// The product that flows of a supplier have unless they say otherwise; of a node that the
    /// batch deletes, the one that it had.
    fn supplier_product(&self, batch: &Batch<'_>, id: &str) -> Option<String> {
        let own = |node: &NodeRecord| node.product.clone().unwrap_or_else(|| node.id.clone());
        if let Some((_, NodeChange::Put(node))) = batch.nodes.get(id) {
            return Some(own(node));
        }
        match self.nodes.get(id) {
            Some(record) => record.as_ref().map(own),
            None => {
                let row = self.base.node_index(id)?;
                Some(self.base.symbols.name(self.base.nodes.product[row as usize]).to_owned())
            }
        }
    }

    /// All flows that leave or reach a node.
    fn flows_of(&mut self, id: &str) -> Vec<FlowId> {
        let mut found = Vec::new();
        if let Some(row) = self.base.node_index(id) {
            let arriving = self.arrivals(row).iter().map(|&e| e as usize);
            let mut all: Vec<usize> = arriving.collect();
            all.extend(self.base.flows_from(row).filter(|&e| self.base.flows.to[e] != row));
            all.sort_unstable();
            found.extend(all.into_iter().map(|e| self.flow_id(e)));
            // What became of those is in `flows`.
            found.retain(|flow| !self.flows.contains_key(flow));
        }
        let first = FlowId { from: id.to_owned(), to: String::new(), product: String::new() };
        let later = self.flows.range((Bound::Included(first), Bound::Unbounded));
        for (flow, record) in later.take_while(|(flow, _)| flow.from == id) {
            if record.is_some() {
                found.push(flow.clone());
            }
        }
        for flow in self.arriving.get(id).into_iter().flatten() {
            if flow.from != id && self.flows.get(flow).is_some_and(Option::is_some) {
                found.push(flow.clone());
            }
        }
        found
    }

    fn flow_id(&self, e: usize) -> FlowId {
        let flows = &self.base.flows;
        FlowId {
            from: self.base.node_id(flows.from[e]).to_owned(),
            to: self.base.node_id(flows.to[e]).to_owned(),
            product: self.base.symbols.name(flows.product[e]).to_owned(),
        }
    }

    /// A flow as users name it.
    fn describe(&self, flow: &FlowId) -> String {
        let own = self.supplier_product(&Batch::default(), &flow.from);
        if own.as_ref() == Some(&flow.product) {
            format!("{}..{}", flow.from, flow.to)
        } else {
            format!("{}..{}..{}", flow.from, flow.to, flow.product)
        }
    }

    fn arrivals(&mut self, row: u32) -> &[u32] {
        if matches!(self.arrivals, Arrivals::None) {
            let to = &self.base.flows.to;
            let mut start = vec![0u32; self.base.node_count() + 2];
            for &v in to {
                start[v as usize + 2] += 1;
            }
            for i in 2..start.len() {
                start[i] += start[i - 1];
            }
            let mut flows = vec![0u32; to.len()];
            for (e, &v) in to.iter().enumerate() {
                let next = &mut start[v as usize + 1];
                flows[*next as usize] = e as u32;
                *next += 1;
            }
            start.pop();
            self.arrivals = Arrivals::Made { start, flows };
        }
        let (start, flows) = match &self.arrivals {
            Arrivals::Given { start, flows } => (*start, *flows),
            Arrivals::Made { start, flows } => (&start[..], &flows[..]),
            Arrivals::None => return &[],
        };
        &flows[start[row as usize] as usize..start[row as usize + 1] as usize]
    }

    /// A record that was accepted, as users read it in the network that comes of it: without what
    /// goes without saying. `None` if it was not accepted.
    pub fn stored(&self, record: &Record) -> Option<Record> {
        let mut alone: Vec<Change> = Vec::new();
        if let Record::Flow(flow) = record {
            for end in [&flow.from, &flow.to] {
                let product = self.supplier_product(&Batch::default(), end);
                alone.push(NodeRecord { product, ..NodeRecord::new(end.clone()) }.into());
            }
        }
        alone.push(Change::Put(record.clone()));
        // The network of this record alone says it in the same words as the whole one.
        let network = Network::default().apply(&alone).ok()?;
        Some(match record {
            Record::Node(_) => Record::Node(network.node_record(0)),
            Record::Flow(_) => Record::Flow(network.flow_record(0)),
            Record::Requirement(_) => Record::Requirement(network.requirement_record(0)),
        })
    }

    /// All accepted batches as one edit of the network.
    pub fn finish(self) -> Edit {
        let Self { base, nodes, flows, requirements, .. } = self;
        let nodes = nodes
            .into_iter()
            .map(|(id, record)| NodeEdit { place: base.nodes.ids.search(&id), id, record })
            .filter(|edit| edit.place.is_ok() || edit.record.is_some())
            .collect();
        let flows = flows
            .into_iter()
            .map(|(id, record)| FlowEdit { place: base.flow_place(&id), id, record })
            .filter(|edit| edit.place.is_ok() || edit.record.is_some())
            .collect();
        Edit { nodes, flows, requirements: requirements.into_iter().collect() }
    }
}

impl Network {
    /// Row of a flow, or the row before which it would stand.
    fn flow_place(&self, id: &FlowId) -> Result<u32, u32> {
        let ids = &self.nodes.ids;
        let start = |row: u32| self.flows.from.partition_point(|&f| f < row) as u32;
        let from = ids.search(&id.from).map_err(start)?;
        let range = self.flows_from(from);
        let first = range.start;
        let to = ids.search(&id.to);
        let row = to.unwrap_or_else(|next| next);
        let name = |e: usize| self.symbols.name(self.flows.product[e]);
        let flows = &self.flows.to[range];
        // Flows to the consumer (or, if it is new, to those before it).
        let before = flows.partition_point(|&t| t < row);
        if to.is_err() {
            return Err((first + before) as u32);
        }
        let same = flows[before..].partition_point(|&t| t == row);
        let products: Vec<usize> = (first + before..first + before + same).collect();
        match products.binary_search_by(|&e| name(e).cmp(&id.product)) {
            Ok(k) => Ok(products[k] as u32),
            Err(k) => Err((first + before + k) as u32),
        }
    }
}
