//! Who could replace this supplier: nodes that serve the same consumers, need the same inputs,
//! make the same product.

use std::collections::BTreeMap;

use super::error::{StructureError, require, require_nodes};
use crate::graph::Snapshot;
use crate::model::Symbol;

/// Which candidates to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimilarityOptions {
    /// Only nodes that make the same product.
    pub same_product: bool,
    /// Most candidates.
    pub limit: usize,
}

impl Default for SimilarityOptions {
    fn default() -> Self {
        Self { same_product: false, limit: 20 }
    }
}

/// A node that resembles the one asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarSupplier {
    /// The candidate.
    pub node: u32,
    /// It makes the same product.
    pub same_product: bool,
    /// Jaccard index of the two sets of consumers: shared / all of both (0 if there are none).
    pub consumers: f64,
    /// Ruzicka index of what consumers get: sum of min / sum of max of the quantities, by consumer
    /// and product, so that the same customers served in the same volumes give 1.
    pub volume: f64,
    /// Jaccard index of the two sets of input products.
    pub inputs: f64,
    /// Consumers of the node asked about that the candidate serves too.
    pub shared_consumers: u32,
    /// Mean of `consumers`, `volume`, `inputs` and of 1 or 0 for `same_product`: 0-1.
    pub score: f64,
}

/// Nodes ranked by how well they could replace `node`, best first, ties by index. Candidates share
/// a consumer or the product; `node` itself is left out.
///
/// # Errors
/// A node that does not exist, a limit of 0.
pub fn similar_suppliers(
    snapshot: &Snapshot,
    node: u32,
    options: &SimilarityOptions,
) -> Result<Vec<SimilarSupplier>, StructureError> {
    require_nodes("node", &[node], snapshot.node_count())?;
    require(options.limit > 0, "limit", 0, "at least 1")?;
    let product = snapshot.product(node);
    let own = Profile::of(snapshot, node);

    let mut candidates: Vec<u32> =
        snapshot.nodes().filter(|&v| snapshot.product(v) == product).collect();
    if !options.same_product {
        for &consumer in &own.consumers {
            candidates.extend(snapshot.suppliers(consumer));
        }
        candidates.sort_unstable();
        candidates.dedup();
    }
    let mut similar: Vec<SimilarSupplier> = candidates
        .into_iter()
        .filter(|&v| v != node)
        .map(|v| own.compare(&Profile::of(snapshot, v), v, snapshot.product(v) == product))
        .collect();
    similar.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
    similar.truncate(options.limit);
    Ok(similar)
}

/// What a node gives and needs.
struct Profile {
    consumers: Vec<u32>,
    volumes: BTreeMap<(u32, Symbol), f64>,
    inputs: Vec<Symbol>,
}

impl Profile {
    fn of(snapshot: &Snapshot, node: u32) -> Self {
        let mut consumers: Vec<u32> = snapshot.consumers(node).collect();
        consumers.dedup();
        let mut volumes = BTreeMap::new();
        for e in snapshot.flows_out(node) {
            let key = (snapshot.flow_to(e), snapshot.network().flows.product[e]);
            *volumes.entry(key).or_insert(0.0) += snapshot.quantity(e);
        }
        let mut inputs: Vec<Symbol> =
            snapshot.groups(node).map(|g| snapshot.group_product(g)).collect();
        inputs.sort_unstable();
        Self { consumers, volumes, inputs }
    }

    fn compare(&self, other: &Self, node: u32, same_product: bool) -> SimilarSupplier {
        let (consumers, shared) = jaccard(&self.consumers, &other.consumers);
        let (inputs, _) = jaccard(&self.inputs, &other.inputs);
        let (mut least, mut most) = (0.0, 0.0);
        for (key, &a) in &self.volumes {
            let b = other.volumes.get(key).copied().unwrap_or(0.0);
            least += a.min(b);
            most += a.max(b);
        }
        let rest = other.volumes.iter().filter(|(key, _)| !self.volumes.contains_key(key));
        most += rest.map(|(_, &b)| b).sum::<f64>();
        let volume = if most > 0.0 { least / most } else { 0.0 };
        let product = f64::from(u8::from(same_product));
        SimilarSupplier {
            node,
            same_product,
            consumers,
            volume,
            inputs,
            shared_consumers: shared,
            score: (consumers + volume + inputs + product) / 4.0,
        }
    }
}

/// Jaccard index of two sorted sets, and how many elements they share.
fn jaccard<T: Ord>(a: &[T], b: &[T]) -> (f64, u32) {
    let shared = a.iter().filter(|x| b.binary_search(x).is_ok()).count();
    let all = a.len() + b.len() - shared;
    (if all > 0 { shared as f64 / all as f64 } else { 0.0 }, shared as u32)
}
