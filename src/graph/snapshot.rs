//! Compressed sparse rows both ways over one network, with sums and label indexes.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::model::network::{Column, Draft};
use crate::model::{Countries, GraphSettings, Network, Symbol};

/// Which graph and version a snapshot is of.
#[derive(Debug, Clone, Default)]
pub struct SnapshotInfo {
    /// Name of the graph.
    pub graph: Arc<str>,
    /// Version.
    pub version: u64,
    /// Title and defaults.
    pub settings: GraphSettings,
}

/// One version of a graph, frozen.
///
/// Nodes are u32 indices in the order of their ids. Flows are usize indices in the order of
/// (from, to, product), so the flows that leave a node are a range. The flows that arrive are
/// listed per node, grouped by input product: one *group* is all that a consumer gets of one
/// product.
///
/// ```
/// use chokepoint::graph::{Snapshot, SnapshotInfo};
/// use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord};
///
/// let mut builder = NetworkBuilder::new();
/// for id in ["mine", "smelter"] {
///     builder.add_node(&NodeRecord::new(id), 0).unwrap();
/// }
/// builder.add_flow(&FlowRecord::new("mine", "smelter", 5.0), 0);
/// let snapshot = Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default());
/// let smelter = snapshot.index("smelter").unwrap();
/// assert_eq!(snapshot.suppliers(smelter).collect::<Vec<_>>(), [snapshot.index("mine").unwrap()]);
/// assert_eq!(snapshot.in_strength(smelter), 5.0);
/// ```
///
/// Clones share their memory until one of them is edited ([`Snapshot::edit`]).
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) info: SnapshotInfo,
    pub(super) network: Network,
    pub(super) countries: Arc<Countries>,
    pub(super) out_start: Column<u32>,
    pub(super) in_start: Column<u32>,
    pub(super) in_flow: Column<u32>,
    pub(super) in_from: Column<u32>,
    pub(super) node_group: Column<u32>,
    pub(super) group_start: Column<u32>,
    pub(super) group_product: Column<Symbol>,
    pub(super) out_strength: Column<f64>,
    pub(super) in_strength: Column<f64>,
    /// Sum of the hashes of all rows, once asked for.
    pub(super) row_sum: OnceLock<u64>,
    /// What [`Snapshot::fingerprint`] gave.
    pub(super) fingerprint: OnceLock<u64>,
}

impl Snapshot {
    /// Builds the indexes over a network: O(nodes + flows).
    pub fn build(network: Network, info: SnapshotInfo, countries: Arc<Countries>) -> Self {
        let n = network.node_count();
        let m = network.flow_count();
        let flows = &network.flows;
        let quantity = flows.quantity.values();

        let mut out_start = vec![0u32; n + 1];
        let mut in_start = vec![0u32; n + 1];
        let mut out_strength = vec![0.0; n];
        let mut in_strength = vec![0.0; n];
        for e in 0..m {
            out_start[flows.from[e] as usize + 1] += 1;
            in_start[flows.to[e] as usize + 1] += 1;
            out_strength[flows.from[e] as usize] += quantity[e];
            in_strength[flows.to[e] as usize] += quantity[e];
        }
        for i in 0..n {
            out_start[i + 1] += out_start[i];
            in_start[i + 1] += in_start[i];
        }
        // Flows are in (from, to, product) order, so each consumer's arrivals come by supplier.
        let mut next = in_start.clone();
        let mut in_flow = vec![0u32; m];
        for e in 0..m {
            let slot = &mut next[flows.to[e] as usize];
            in_flow[*slot as usize] = e as u32;
            *slot += 1;
        }
        drop(next);

        // Group each consumer's arrivals by product, in the order of the products' names.
        let rank = name_ranks(&network);
        let mut node_group = Vec::with_capacity(n + 1);
        let mut group_start = Vec::new();
        let mut group_product: Vec<Symbol> = Vec::new();
        for node in 0..n {
            node_group.push(group_start.len() as u32);
            let range = in_start[node] as usize..in_start[node + 1] as usize;
            let arrivals = &mut in_flow[range.clone()];
            if arrivals.len() > 1 {
                arrivals.sort_by_key(|&e| rank[flows.product[e as usize].0 as usize]);
            }
            for (k, &e) in arrivals.iter().enumerate() {
                let product = flows.product[e as usize];
                if k == 0 || group_product.last() != Some(&product) {
                    group_start.push((range.start + k) as u32);
                    group_product.push(product);
                }
            }
        }
        node_group.push(group_start.len() as u32);
        group_start.push(m as u32);
        group_start.shrink_to_fit();
        group_product.shrink_to_fit();
        let in_from = in_flow.iter().map(|&e| flows.from[e as usize]).collect();

        Self {
            info,
            countries,
            out_start: out_start.into(),
            in_start: in_start.into(),
            in_flow: in_flow.into(),
            in_from,
            node_group: node_group.into(),
            group_start: group_start.into(),
            group_product: group_product.into(),
            out_strength: out_strength.into(),
            in_strength: in_strength.into(),
            row_sum: OnceLock::new(),
            fingerprint: OnceLock::new(),
            network,
        }
    }

    /// Changes numbers (quantities, outputs, dependences) in place; which nodes, flows and
    /// requirements there are must stay. Sums are taken again, in the order of [`Snapshot::build`].
    pub fn renumber(&mut self, change: impl FnOnce(&mut Network)) {
        change(&mut self.network);
        debug_assert_eq!(self.network.node_count(), self.out_strength.len());
        debug_assert_eq!(self.network.flow_count(), self.in_flow.len());
        self.row_sum = OnceLock::new();
        self.fingerprint = OnceLock::new();
        let (given, taken) = (self.out_strength.to_mut(), self.in_strength.to_mut());
        given.fill(0.0);
        taken.fill(0.0);
        let flows = &self.network.flows;
        for (e, &quantity) in flows.quantity.values().iter().enumerate() {
            given[flows.from[e] as usize] += quantity;
            taken[flows.to[e] as usize] += quantity;
        }
    }

    /// The same content under other settings. Shares all memory with this one.
    #[must_use]
    pub fn with_settings(&self, settings: &GraphSettings) -> Self {
        let mut same = self.clone();
        same.info.settings = settings.clone();
        same.fingerprint = OnceLock::new();
        same
    }

    /// A copy whose columns of flows and indexes are its own, so that edits happen in place.
    #[must_use]
    pub fn unshared(&self) -> Self {
        let mut own = self.clone();
        own.network.unshare_flows();
        for column in [
            &mut own.out_start,
            &mut own.in_start,
            &mut own.in_flow,
            &mut own.in_from,
            &mut own.node_group,
            &mut own.group_start,
        ] {
            column.to_mut();
        }
        own.group_product.to_mut();
        own.out_strength.to_mut();
        own.in_strength.to_mut();
        own
    }

    /// Takes over what was computed at first use by a snapshot of the same version.
    pub fn share(&mut self, twin: &Self) {
        if self.info.version == twin.info.version && self.row_sum.get().is_none() {
            self.row_sum = twin.row_sum.clone();
        }
    }

    /// Flows that arrive at each node, as [`Draft::with_arrivals`] takes them.
    pub fn draft(&self) -> Draft<'_> {
        Draft::with_arrivals(&self.network, &self.in_start, &self.in_flow)
    }

    /// Graph, version, settings.
    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    /// The network under the indexes.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The register of countries that selectors are read with.
    pub fn countries(&self) -> &Arc<Countries> {
        &self.countries
    }

    /// Bytes on the heap, but for attributes and requirements. Columns that versions share count
    /// in each.
    pub fn heap_bytes(&self) -> usize {
        let columns = [
            &self.out_start,
            &self.in_start,
            &self.in_flow,
            &self.in_from,
            &self.node_group,
            &self.group_start,
        ];
        self.network.heap_bytes()
            + columns.into_iter().map(Column::heap_bytes).sum::<usize>()
            + self.group_product.heap_bytes()
            + self.out_strength.heap_bytes()
            + self.in_strength.heap_bytes()
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.network.node_count()
    }

    /// Number of flows.
    pub fn flow_count(&self) -> usize {
        self.network.flow_count()
    }

    /// Every node index, ascending.
    pub fn nodes(&self) -> Range<u32> {
        0..self.node_count() as u32
    }

    /// Index of a node by id.
    pub fn index(&self, id: &str) -> Option<u32> {
        self.network.node_index(id)
    }

    /// Id of a node.
    pub fn id(&self, node: u32) -> &str {
        self.network.node_id(node)
    }

    /// Flows that leave a node, ascending by (consumer, product).
    pub fn flows_out(&self, node: u32) -> Range<usize> {
        self.out_start[node as usize] as usize..self.out_start[node as usize + 1] as usize
    }

    /// Flows that arrive at a node, by group (product name), then by supplier.
    pub fn flows_in(&self, node: u32) -> &[u32] {
        &self.in_flow[self.arrivals(node)]
    }

    /// Positions of a node's arrivals in [`Snapshot::arrival_flows`].
    pub fn arrivals(&self, node: u32) -> Range<usize> {
        self.in_start[node as usize] as usize..self.in_start[node as usize + 1] as usize
    }

    /// All arrivals of all nodes as flow indices: consumer-major, grouped by product.
    pub fn arrival_flows(&self) -> &[u32] {
        &self.in_flow
    }

    /// The supplier of each arrival.
    pub fn arrival_suppliers(&self) -> &[u32] {
        &self.in_from
    }

    /// Groups of a node: one for each product that it gets.
    pub fn groups(&self, node: u32) -> Range<usize> {
        self.node_group[node as usize] as usize..self.node_group[node as usize + 1] as usize
    }

    /// Number of groups of all nodes.
    pub fn group_count(&self) -> usize {
        self.group_product.len()
    }

    /// Positions of a group's arrivals in [`Snapshot::arrival_flows`].
    pub fn group_arrivals(&self, group: usize) -> Range<usize> {
        self.group_start[group] as usize..self.group_start[group + 1] as usize
    }

    /// Product of a group.
    pub fn group_product(&self, group: usize) -> Symbol {
        self.group_product[group]
    }

    /// Consumers of a node, ascending; one that gets several products is named once for each.
    pub fn consumers(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.flows_out(node).map(|e| self.network.flows.to[e])
    }

    /// Suppliers of a node, by product; one that gives several products is named once for each.
    pub fn suppliers(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.in_from[self.arrivals(node)].iter().copied()
    }

    /// Supplier of a flow.
    pub fn flow_from(&self, flow: usize) -> u32 {
        self.network.flows.from[flow]
    }

    /// Consumer of a flow.
    pub fn flow_to(&self, flow: usize) -> u32 {
        self.network.flows.to[flow]
    }

    /// Quantity of a flow per year.
    pub fn quantity(&self, flow: usize) -> f64 {
        self.network.flows.quantity.values()[flow]
    }

    /// Quantities of all flows.
    pub fn quantities(&self) -> &[f64] {
        self.network.flows.quantity.values()
    }

    /// Most that a flow can carry: its capacity, else its quantity.
    pub fn flow_capacity(&self, flow: usize) -> f64 {
        self.network.flows.capacity.get(flow).unwrap_or_else(|| self.quantity(flow))
    }

    /// Sum of what leaves a node.
    pub fn out_strength(&self, node: u32) -> f64 {
        self.out_strength[node as usize]
    }

    /// Sum of what arrives at a node.
    pub fn in_strength(&self, node: u32) -> f64 {
        self.in_strength[node as usize]
    }

    /// Name of a symbol ("" for none).
    pub fn name(&self, symbol: Symbol) -> &str {
        self.network.symbols.name(symbol)
    }

    /// Product of a node.
    pub fn product(&self, node: u32) -> Symbol {
        self.network.nodes.product[node as usize]
    }

    /// Stage of a node.
    pub fn stage(&self, node: u32) -> Symbol {
        self.network.nodes.stage[node as usize]
    }

    /// Country of a node.
    pub fn country(&self, node: u32) -> Symbol {
        self.network.nodes.country[node as usize]
    }

    /// Output of a node per year, if known.
    pub fn output(&self, node: u32) -> Option<f64> {
        self.network.nodes.output.get(node as usize)
    }

    /// Nodes by one of their labels (product, stage or country), in the order of the labels' names.
    pub fn nodes_by(&self, label: impl Fn(u32) -> Symbol) -> Vec<(Symbol, Vec<u32>)> {
        let mut by: FxHashMap<Symbol, Vec<u32>> = FxHashMap::default();
        for node in self.nodes() {
            let symbol = label(node);
            if symbol.is_some() {
                by.entry(symbol).or_default().push(node);
            }
        }
        let mut all: Vec<_> = by.into_iter().collect();
        all.sort_by(|a, b| self.name(a.0).cmp(self.name(b.0)));
        all
    }
}

/// Rank of each symbol in the order of the names, so that groups do not depend on the order in
/// which strings were first seen.
fn name_ranks(network: &Network) -> Vec<u32> {
    let mut order: Vec<(Symbol, &str)> = network.symbols.iter().collect();
    order.sort_unstable_by(|a, b| a.1.cmp(b.1));
    let mut rank = vec![0; order.len()];
    for (position, (symbol, _)) in order.into_iter().enumerate() {
        rank[symbol.0 as usize] = position as u32;
    }
    rank
}
