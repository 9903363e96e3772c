//! A network in compact, canonical form: columns instead of records, ids in sorted order.
//!
//! The order of the rows that made it does not matter: nodes are sorted by id, flows by (from, to,
//! product), requirements by (output, input), so equal graphs are equal bytes and every sum over
//! them has one fixed order.

mod builder;
mod column;
mod draft;
mod edit;
mod shift;
mod sparse;
mod tables;

pub use builder::NetworkBuilder;
pub use column::Column;
pub use draft::{Draft, RecordCounts};
pub use edit::{Edit, Moves};
pub use shift::Shift;
pub use sparse::{AttributeColumn, Sparse};
pub use tables::{FigureColumn, FigureMeta, FlowTable, NodeTable, Requirement, StringArena};

use super::figure::Figure;
use super::record::{Attributes, FlowRecord, NodeRecord, Record, RequirementRecord, Rule};
use super::symbols::{Symbol, Symbols};

/// Nodes, flows and requirements of one version of a graph.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Interned strings of all columns.
    pub symbols: Symbols,
    /// Nodes, sorted by id. A node's position is its u32 index everywhere else.
    pub nodes: NodeTable,
    /// Flows, sorted by (from, to, product name).
    pub flows: FlowTable,
    /// Requirements, sorted by (output, input) name.
    pub requirements: Column<Requirement>,
}

impl Network {
    /// Puts values that a builder set out of order in their places.
    fn settle(&mut self) {
        let Self { nodes, flows, .. } = self;
        for column in [
            &mut nodes.output,
            &mut nodes.capacity,
            &mut nodes.stock_days,
            &mut flows.quantity,
            &mut flows.capacity,
            &mut flows.lead_days,
        ] {
            column.settle();
        }
        nodes.attributes.0.settle();
        flows.attributes.0.settle();
        flows.joint.settle();
    }

    /// Gives the columns of flows memory of their own, so that edits need not copy them first.
    pub fn unshare_flows(&mut self) {
        let flows = &mut self.flows;
        flows.from.to_mut();
        flows.to.to_mut();
        flows.product.to_mut();
        for column in [&mut flows.quantity, &mut flows.capacity, &mut flows.lead_days] {
            column.unshare();
        }
    }

    /// Bytes on the heap, but for attributes and requirements. Columns that versions share count
    /// in each.
    pub fn heap_bytes(&self) -> usize {
        self.nodes.heap_bytes() + self.flows.heap_bytes() + self.symbols.heap_bytes()
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.ids.len()
    }

    /// Number of flows.
    pub fn flow_count(&self) -> usize {
        self.flows.from.len()
    }

    /// Index of a node by id.
    pub fn node_index(&self, id: &str) -> Option<u32> {
        self.nodes.ids.binary_search(id)
    }

    /// Id of a node by index.
    pub fn node_id(&self, index: u32) -> &str {
        self.nodes.ids.get(index)
    }

    /// Flows that leave `node`: a range of flow indices.
    pub fn flows_from(&self, node: u32) -> std::ops::Range<usize> {
        let start = self.flows.from.partition_point(|&f| f < node);
        start..start + self.flows.from[start..].partition_point(|&f| f <= node)
    }

    /// Index of a flow by its ends and product (`None`: the supplier's own product).
    pub fn flow_index(&self, from: &str, to: &str, product: Option<&str>) -> Option<usize> {
        let (from, to) = (self.node_index(from)?, self.node_index(to)?);
        let product = match product {
            Some(name) => self.symbols.get(name)?,
            None => self.nodes.product[from as usize],
        };
        // Flows are in the order of their consumers: hubs have many.
        let range = self.flows_from(from);
        let first = range.start + self.flows.to[range.clone()].partition_point(|&t| t < to);
        (first..range.end)
            .take_while(|&e| self.flows.to[e] == to)
            .find(|&e| self.flows.product[e] == product)
    }

    /// Id of a flow: `from..to`, with `..product` where it is not the supplier's own product.
    pub fn flow_id(&self, flow: usize) -> String {
        let (from, to) = (self.flows.from[flow], self.flows.to[flow]);
        let product = self.flows.product[flow];
        if product == self.nodes.product[from as usize] {
            format!("{}..{}", self.node_id(from), self.node_id(to))
        } else {
            let name = self.symbols.name(product);
            format!("{}..{}..{name}", self.node_id(from), self.node_id(to))
        }
    }

    /// A node as users see it. The product is left out where it is the node's own id.
    pub fn node_record(&self, index: u32) -> NodeRecord {
        let i = index as usize;
        let id = self.node_id(index);
        let text = |s: Symbol| self.symbols.option(s).map(str::to_owned);
        NodeRecord {
            id: id.to_owned(),
            stage: text(self.nodes.stage[i]),
            product: text(self.nodes.product[i]).filter(|p| p != id),
            country: text(self.nodes.country[i]),
            output: self.figure(&self.nodes.output, i),
            capacity: self.figure(&self.nodes.capacity, i),
            stock_days: self.figure(&self.nodes.stock_days, i),
            attributes: self.nodes.attributes.get(&index).cloned().unwrap_or_default(),
        }
    }

    /// A flow as users see it.
    pub fn flow_record(&self, flow: usize) -> FlowRecord {
        let from = self.flows.from[flow];
        let product = self.flows.product[flow];
        let own = product == self.nodes.product[from as usize];
        let quantity = self.figure(&self.flows.quantity, flow).unwrap_or_else(|| Figure::bare(0.0));
        FlowRecord {
            from: self.node_id(from).to_owned(),
            to: self.node_id(self.flows.to[flow]).to_owned(),
            product: (!own).then(|| self.symbols.name(product).to_owned()),
            unit: quantity.unit,
            class: quantity.class,
            source: quantity.source,
            year: quantity.year,
            low: quantity.low,
            high: quantity.high,
            quantity: Figure::bare(quantity.value),
            capacity: self.flows.capacity.get(flow),
            joint: self.flows.joint.contains(&(flow as u32)),
            lead_days: self.flows.lead_days.get(flow),
            attributes: self.flows.attributes.get(&(flow as u32)).cloned().unwrap_or_default(),
        }
    }

    /// A requirement as users see it.
    pub fn requirement_record(&self, index: usize) -> RequirementRecord {
        let r = &self.requirements[index];
        RequirementRecord {
            output: self.symbols.name(r.output).to_owned(),
            input: self.symbols.name(r.input).to_owned(),
            rule: r.rule,
            dependence: r.dependence.clone(),
            min_share: r.min_share,
            intensity: r.intensity.clone(),
        }
    }

    /// Every record, nodes first, then flows, then requirements: the order of an export.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let nodes = (0..self.node_count() as u32).map(|i| Record::Node(self.node_record(i)));
        let flows = (0..self.flow_count()).map(|e| Record::Flow(self.flow_record(e)));
        let requirements =
            (0..self.requirements.len()).map(|r| Record::Requirement(self.requirement_record(r)));
        nodes.chain(flows).chain(requirements)
    }

    /// The figure of one row of a column.
    pub fn figure(&self, column: &FigureColumn, row: usize) -> Option<Figure> {
        let value = column.get(row)?;
        let meta = column.meta(row);
        let range = column.range(row);
        Some(Figure {
            value,
            low: range.and_then(|r| r.0),
            high: range.and_then(|r| r.1),
            unit: self.symbols.option(meta.unit).map(str::to_owned),
            year: meta.year,
            class: meta.class,
            source: self.symbols.option(meta.source).map(str::to_owned),
        })
    }

    /// The requirement of one pair of products, if stated.
    pub fn requirement(&self, output: Symbol, input: Symbol) -> Option<&Requirement> {
        let key = (self.symbols.name(output), self.symbols.name(input));
        self.requirements
            .binary_search_by(|r| {
                (self.symbols.name(r.output), self.symbols.name(r.input)).cmp(&key)
            })
            .ok()
            .map(|i| &self.requirements[i])
    }
}

impl Requirement {
    /// The dependence in force: stated, else 1.
    pub fn dependence_value(&self) -> f64 {
        self.dependence.as_ref().map_or(1.0, |d| d.value)
    }

    /// The rule of a pair with a flow but no stated requirement: limiting, dependence 1.
    pub fn default_rule() -> (Rule, f64) {
        (Rule::Limiting, 1.0)
    }
}

/// True if the attribute `name` of a set equals `wanted` as text (any element of a list counts).
pub fn attribute_matches(attributes: &Attributes, name: &str, wanted: &str) -> bool {
    let same = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text == wanted,
        other => {
            let text = other.to_string();
            text == wanted
        }
    };
    match attributes.get(name) {
        Some(serde_json::Value::Array(list)) => list.iter().any(same),
        Some(value) => same(value),
        None => false,
    }
}
