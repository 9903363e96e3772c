//! The longest chain of suppliers, and tiers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choke_points::LinkView;
use super::rows::Rows;
use super::views::{Reads, weighting};
use super::{Ask, Context, Draft, Projection, estimate, ids, impossible, select_some};
use crate::analysis::paths::{ChainLength, longest_chain};
use crate::analysis::structure::tiers;
use crate::graph::Snapshot;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// A question about the longest chain.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({}))]
pub struct LongestChainBody {
    /// `none` (default: number of flows), or what a flow adds: `attribute:lead_days`, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// The longest chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct LongestChainAnswer {
    /// What a chain is.
    pub explanation: &'static str,
    /// What a flow adds to the length.
    pub weight: String,
    /// Length: number of flows, or sum of their weights.
    pub length: f64,
    /// Links of the chain, first supplier first: one node, or all nodes that supply each other in
    /// cycles.
    pub links: Vec<Vec<String>>,
    /// The flow between consecutive links.
    pub flows: Vec<LinkView>,
}

impl Ask for LongestChainBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        weighting(snapshot, self.weight.as_deref().unwrap_or("none"), Reads::Strengths)?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 1e-7, 40 * n + 28 * m)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let name = self.weight.as_deref().unwrap_or("none");
        let (weights, weight) = weighting(snapshot, name, Reads::Strengths)?;
        let view = context.views.weighted(context.snapshot, &weights)?;
        let length = if name == "none" { ChainLength::Steps } else { ChainLength::Weights };
        let chain = longest_chain(&view, length)?;
        let answer = LongestChainAnswer {
            explanation: "nodes that supply each other in a cycle are one link of the chain; flows \
                          inside a link do not count",
            weight,
            length: chain.length,
            links: chain.links.iter().map(|link| ids(snapshot, link)).collect(),
            flows: chain.flows.iter().map(|&flow| LinkView::of(snapshot, flow)).collect(),
        };
        Draft::new(Projection::Directed, &answer)
    }
}

/// A question about tiers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({}))]
pub struct TiersBody {
    /// Only these nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// Only nodes of these tiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<u32>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Tiers of all nodes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TiersAnswer {
    /// What a tier is.
    pub explanation: &'static str,
    /// Number of tiers.
    pub count: u32,
    /// Nodes of each tier, from tier 0.
    pub sizes: Vec<u32>,
    /// Nodes that lie on a cycle.
    pub cyclic: u32,
    /// Nodes by id.
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<NodeTier<'static>>, required = true)]
    pub nodes: Rows,
}

/// Tier of a node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeTier<'a> {
    /// Node.
    pub id: &'a str,
    /// Longest chain of suppliers before it: 0 without suppliers outside its own cycle.
    pub tier: u32,
    /// Longest chain of consumers behind it: 0 for final consumers.
    pub height: u32,
    /// True if it lies on a cycle.
    pub cyclic: bool,
}

impl Ask for TiersBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        select_some(snapshot, "select", self.select.as_ref())?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 1e-7, 40 * n + 8 * m)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let view = context.views.links(context.snapshot)?;
        let found = tiers(&view);
        if let Some(tier) = self.tiers.iter().find(|&&tier| tier >= found.count) {
            return Err(impossible(
                "tiers",
                format!("there is no tier {tier}"),
                &format!("the graph has {} tiers, numbered from 0", found.count),
            ));
        }
        let mut sizes = vec![0u32; found.count as usize];
        found.tier.iter().for_each(|&tier| sizes[tier as usize] += 1);
        let listed = select_some(snapshot, "select", self.select.as_ref())?;
        let count = listed.as_ref().map_or(snapshot.node_count(), Vec::len);
        let rows = Rows::write(count, |i| {
            let v = listed.as_ref().map_or(i as u32, |listed| listed[i]) as usize;
            let wanted = self.tiers.is_empty() || self.tiers.contains(&found.tier[v]);
            wanted.then(|| NodeTier {
                id: snapshot.id(v as u32),
                tier: found.tier[v],
                height: found.height[v],
                cyclic: found.cyclic[v],
            })
        })?;
        let answer = TiersAnswer {
            explanation: "layers of the network after nodes that supply each other in a cycle are \
                          taken together: a tier is 1 + the highest tier of a supplier outside the \
                          cycle",
            count: found.count,
            sizes,
            cyclic: found.cyclic.iter().filter(|c| **c).count() as u32,
            nodes: Rows::default(),
        };
        Ok(Draft::new(Projection::Directed, &answer)?.with("nodes", rows))
    }
}
