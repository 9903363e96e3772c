//! Who could replace a supplier.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ask, Context, Draft, Projection, estimate, in_range};
use crate::analysis::structure::{SimilarityOptions, similar_suppliers};
use crate::graph::Snapshot;
use crate::service::ServiceError;
use crate::service::explore::node_index;
use crate::service::jobs::Estimate;

/// A question about substitutes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarBody {
    /// Id of the node to be replaced.
    pub node: String,
    /// Only nodes that make the same product.
    pub same_product: bool,
    /// Most candidates.
    pub limit: usize,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// Candidates, best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarAnswer {
    /// What `score` is.
    pub explanation: &'static str,
    /// The node to be replaced.
    pub node: String,
    /// Candidates, best first.
    pub results: Vec<SimilarView>,
}

/// A candidate.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarView {
    /// The candidate.
    pub id: String,
    /// Mean of the four parts, 0-1.
    pub score: f64,
    /// It makes the same product.
    pub same_product: bool,
    /// Shared consumers as a share of all consumers of the two (Jaccard).
    pub consumers: f64,
    /// Sum of least over sum of greatest quantities, by consumer and product (Ruzicka).
    pub volume: f64,
    /// Shared input products as a share of all of the two (Jaccard).
    pub inputs: f64,
    /// Consumers of the node that the candidate serves too.
    pub shared_consumers: u32,
    /// Country of the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Its output per year, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
}

impl Ask for SimilarBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        node_index(snapshot, &self.node)?;
        in_range("limit", self.limit, 1..=10_000)?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 1e-7, 64 * n)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let node = node_index(snapshot, &self.node)?;
        let options = SimilarityOptions { same_product: self.same_product, limit: self.limit };
        let found = similar_suppliers(snapshot, node, &options)?;
        let answer = SimilarAnswer {
            explanation: "score is the mean of consumers, volume, inputs and of 1 or 0 for the same \
                          product; candidates share a consumer or the product",
            node: self.node.clone(),
            results: found
                .into_iter()
                .map(|s| SimilarView {
                    id: snapshot.id(s.node).to_owned(),
                    score: s.score,
                    same_product: s.same_product,
                    consumers: s.consumers,
                    volume: s.volume,
                    inputs: s.inputs,
                    shared_consumers: s.shared_consumers,
                    country: Some(snapshot.name(snapshot.country(s.node)))
                        .filter(|c| !c.is_empty())
                        .map(str::to_owned),
                    output: snapshot.output(s.node),
                })
                .collect(),
        };
        Draft::new(Projection::Directed, &answer)
    }
}
