//! Walking a graph from a node: what it needs, directly and through others, and whom it serves.

use serde::Serialize;
use utoipa::ToSchema;

use super::error::ServiceError;
use crate::graph::Snapshot;
use crate::model::selector::suggest;
use crate::model::{FigureClass, Symbol};

/// Steps walked unless stated.
pub const DEFAULT_DEPTH: u32 = 3;
/// Most steps.
pub const MAX_DEPTH: u32 = 1000;
/// Most nodes in an answer.
pub const MAX_NODES: usize = 10_000;

/// Which way to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To suppliers.
    Upstream,
    /// To consumers.
    Downstream,
}

/// A node that was reached.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Reached {
    /// Id.
    pub id: String,
    /// Fewest steps from the start.
    pub depth: u32,
    /// What it makes.
    pub product: String,
    /// Stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// A flow that was walked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Walked {
    /// Supplier.
    pub from: String,
    /// Consumer.
    pub to: String,
    /// What flows.
    pub product: String,
    /// Quantity per year.
    pub quantity: f64,
    /// Unit of the quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Share of all that the consumer gets of this product, 0-1.
    pub share: f64,
    /// How the quantity is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<FigureClass>,
}

/// Everything within some steps of a node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Neighbourhood {
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Where the walk starts.
    pub node: String,
    /// Which way it goes.
    pub direction: Way,
    /// Most steps walked.
    pub depth: u32,
    /// Nodes reached, nearest first, then by id.
    pub nodes: Vec<Reached>,
    /// Flows between them, in the order of the walk.
    pub flows: Vec<Walked>,
    /// True if there is more than fits in an answer.
    pub truncated: bool,
}

/// The index of a node, or an error with the nearest id.
///
/// # Errors
/// [`ServiceError::Absent`].
pub fn node_index(snapshot: &Snapshot, id: &str) -> Result<u32, ServiceError> {
    snapshot.index(id).ok_or_else(|| ServiceError::Absent {
        what: "node",
        name: id.to_owned(),
        hint: snapshot.unknown_node(id).hint,
    })
}

/// Walks breadth first from `id`; with `products`, only along flows of these.
///
/// # Errors
/// An absent node, an unknown product, a depth out of range.
pub fn walk(
    snapshot: &Snapshot,
    id: &str,
    way: Way,
    depth: Option<u32>,
    products: &[String],
) -> Result<Neighbourhood, ServiceError> {
    let start = node_index(snapshot, id)?;
    let depth = depth.unwrap_or(DEFAULT_DEPTH);
    if !(1..=MAX_DEPTH).contains(&depth) {
        return Err(ServiceError::malformed(
            "depth",
            format!("depth must be between 1 and {MAX_DEPTH}, got {depth}"),
        ));
    }
    let products = products
        .iter()
        .map(|name| product(snapshot, name))
        .collect::<Result<Vec<Symbol>, ServiceError>>()?;
    let network = snapshot.network();
    let mut seen = fixedbitset::FixedBitSet::with_capacity(snapshot.node_count());
    seen.insert(start as usize);
    let mut nodes = Vec::new();
    let mut flows = Vec::new();
    let mut truncated = false;
    let mut layer = vec![start];
    for step in 1..=depth {
        let mut next = Vec::new();
        for &node in &layer {
            let walked: Vec<usize> = match way {
                Way::Upstream => snapshot.flows_in(node).iter().map(|&e| e as usize).collect(),
                Way::Downstream => snapshot.flows_out(node).collect(),
            };
            for flow in walked {
                if !products.is_empty() && !products.contains(&network.flows.product[flow]) {
                    continue;
                }
                let end = match way {
                    Way::Upstream => snapshot.flow_from(flow),
                    Way::Downstream => snapshot.flow_to(flow),
                };
                if !seen.contains(end as usize) {
                    if nodes.len() + next.len() >= MAX_NODES {
                        truncated = true;
                        continue;
                    }
                    seen.insert(end as usize);
                    next.push(end);
                }
                if flows.len() >= 4 * MAX_NODES {
                    truncated = true;
                    continue;
                }
                flows.push(walked_flow(snapshot, flow));
            }
        }
        next.sort_unstable();
        nodes.extend(next.iter().map(|&node| reached(snapshot, node, step)));
        if next.is_empty() {
            break;
        }
        layer = next;
    }
    Ok(Neighbourhood {
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        node: id.to_owned(),
        direction: way,
        depth,
        nodes,
        flows,
        truncated,
    })
}

fn product(snapshot: &Snapshot, name: &str) -> Result<Symbol, ServiceError> {
    let network = snapshot.network();
    let known = || {
        let used: rustc_hash::FxHashSet<Symbol> =
            network.nodes.product.iter().chain(&network.flows.product).copied().collect();
        used
    };
    network.symbols.get(name).filter(|symbol| known().contains(symbol)).ok_or_else(|| {
        let names = known();
        ServiceError::Impossible {
            param: Some("product".into()),
            problem: format!("nothing in {} is called \"{name}\"", snapshot.info().graph),
            hint: suggest(name, names.iter().map(|&s| snapshot.name(s)))
                .map(|near| format!("did you mean {near}?")),
        }
    })
}

fn reached(snapshot: &Snapshot, node: u32, depth: u32) -> Reached {
    let symbols = &snapshot.network().symbols;
    Reached {
        id: snapshot.id(node).to_owned(),
        depth,
        product: snapshot.name(snapshot.product(node)).to_owned(),
        stage: symbols.option(snapshot.stage(node)).map(str::to_owned),
        country: symbols.option(snapshot.country(node)).map(str::to_owned),
    }
}

fn walked_flow(snapshot: &Snapshot, flow: usize) -> Walked {
    let network = snapshot.network();
    let to = snapshot.flow_to(flow);
    let product = network.flows.product[flow];
    let all: f64 = snapshot
        .groups(to)
        .find(|&group| snapshot.group_product(group) == product)
        .map_or(0.0, |group| {
            snapshot
                .group_arrivals(group)
                .map(|a| snapshot.quantity(snapshot.arrival_flows()[a] as usize))
                .sum()
        });
    let quantity = snapshot.quantity(flow);
    let meta = network.flows.quantity.meta(flow);
    Walked {
        from: snapshot.id(snapshot.flow_from(flow)).to_owned(),
        to: snapshot.id(to).to_owned(),
        product: snapshot.name(product).to_owned(),
        quantity,
        unit: network.symbols.option(meta.unit).map(str::to_owned),
        share: if all > 0.0 { quantity / all } else { 0.0 },
        class: meta.class,
    }
}
