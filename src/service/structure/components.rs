//! Components (strong, weak, biconnected) and communities: parts of a graph with their nodes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::Rows;
use super::views::{Reads, weighting};
use super::{Ask, Context, Draft, Projection, estimate, impossible};
use crate::analysis::choke_points::biconnectivity;
use crate::analysis::structure::{
    CommunityOptions, Quality, communities, community_bytes, strongly_connected_components,
    weakly_connected_components,
};
use crate::graph::Snapshot;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// A question about components.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"kind": "strong", "min_size": 2}))]
pub struct ComponentsBody {
    /// What holds a component together.
    pub kind: ComponentKind,
    /// Only components of at least so many nodes (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<usize>,
    /// Most components listed, the largest first (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Most nodes listed of each (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What holds a component together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// Each node supplies each other one, directly or through others: loops.
    #[default]
    Strong,
    /// Connected if the direction of flows is ignored.
    Weak,
    /// Parts of the undirected projection that no single node splits; a node may lie in several.
    Biconnected,
}

/// Parts of a graph.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComponentsAnswer {
    /// What holds a component together.
    pub kind: ComponentKind,
    /// That in a sentence.
    pub explanation: &'static str,
    /// Number of components, listed or not.
    pub count: usize,
    /// Nodes of the largest.
    pub largest: usize,
    /// Components, the largest first (ties: by first id).
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<Part<'static>>, required = true)]
    pub components: Rows,
}

/// One part of a graph.
#[derive(Debug, Serialize, ToSchema)]
pub struct Part<'a> {
    /// Position in the list, from 0.
    pub index: usize,
    /// Number of nodes.
    pub size: usize,
    /// Nodes, by id (at most `list`).
    pub nodes: Vec<&'a str>,
}

/// The parts largest first, as rows.
fn rows(
    snapshot: &Snapshot,
    mut parts: Vec<Vec<u32>>,
    min_size: usize,
    limit: usize,
    list: usize,
) -> Result<Rows, ServiceError> {
    parts.retain(|part| part.len() >= min_size);
    parts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    parts.truncate(limit);
    Rows::write(parts.len(), |index| {
        let part = &parts[index];
        let nodes = part.iter().take(list).map(|&v| snapshot.id(v)).collect();
        Some(Part { index, size: part.len(), nodes })
    })
}

/// Nodes of each part, ascending, from the part of each node.
fn split(part_of: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); count];
    for (v, &part) in part_of.iter().enumerate() {
        parts[part as usize].push(v as u32);
    }
    parts
}

impl Ask for ComponentsBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, _: &Snapshot) -> Result<(), ServiceError> {
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 1e-7, 80 * n + 8 * m)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let view = context.views.links(context.snapshot)?;
        let (parts, explanation) = match self.kind {
            ComponentKind::Strong => {
                let found = strongly_connected_components(&view);
                (
                    split(&found.component, found.count),
                    "strongly connected: each node reaches each other one along the flows; of more \
                     than one node, a loop",
                )
            }
            ComponentKind::Weak => {
                let found = weakly_connected_components(&view);
                (
                    split(&found.component, found.count),
                    "weakly connected: joined if the direction of flows is ignored",
                )
            }
            ComponentKind::Biconnected => (
                biconnectivity(&view, true).blocks,
                "biconnected: no single node splits it, on the undirected projection; a node may \
                 lie in several, nodes without neighbours lie in none",
            ),
        };
        let projection = match self.kind {
            ComponentKind::Strong => Projection::Directed,
            ComponentKind::Weak | ComponentKind::Biconnected => Projection::Undirected,
        };
        let answer = ComponentsAnswer {
            kind: self.kind,
            explanation,
            count: parts.len(),
            largest: parts.iter().map(Vec::len).max().unwrap_or(0),
            components: Rows::default(),
        };
        let list = self.list.unwrap_or(usize::MAX);
        let limit = self.limit.unwrap_or(usize::MAX);
        let rows = rows(snapshot, parts, self.min_size.unwrap_or(1), limit, list)?;
        Ok(Draft::new(projection, &answer)?.with("components", rows))
    }
}

/// A question about communities.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"weight": "quantity", "resolution": 1.0}))]
pub struct CommunitiesBody {
    /// What makes a partition good.
    pub quality: QualityName,
    /// Above 0 (default 1); higher gives more and smaller communities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<f64>,
    /// `none` (default), `quantity` or `attribute:NAME`: how strongly a link joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Seed (default 1): the same seed gives the same communities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Most rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rounds: Option<u32>,
    /// Most communities listed, the largest first (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Most nodes listed of each (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What makes a partition good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QualityName {
    /// Modularity.
    #[default]
    Modularity,
    /// Constant Potts model.
    #[serde(alias = "cpm")]
    ConstantPotts,
}

/// Communities.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommunitiesAnswer {
    /// How they were found.
    pub explanation: &'static str,
    /// What was maximised.
    pub quality: QualityName,
    /// Quality reached.
    pub value: f64,
    /// Resolution.
    pub resolution: f64,
    /// How weights were read.
    pub weight: String,
    /// Seed.
    pub seed: u64,
    /// Rounds used.
    pub rounds: u32,
    /// False if `max_rounds` ended the search.
    pub converged: bool,
    /// Number of communities, listed or not.
    pub count: usize,
    /// Communities, the largest first.
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<Part<'static>>, required = true)]
    pub communities: Rows,
}

impl Ask for CommunitiesBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        weighting(snapshot, self.weight.as_deref().unwrap_or("none"), Reads::Strengths)?;
        if self.limit == Some(0) {
            return Err(impossible("limit", "limit is 0", "ask for 1 at least, or leave it out"));
        }
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 3e-6, 96 * n + 80 * m)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let name = self.weight.as_deref().unwrap_or("none");
        let (weights, weight) = weighting(snapshot, name, Reads::Strengths)?;
        let view = context.views.weighted(context.snapshot, &weights)?;
        let default = CommunityOptions::default();
        let options = CommunityOptions {
            quality: match self.quality {
                QualityName::Modularity => Quality::Modularity,
                QualityName::ConstantPotts => Quality::ConstantPotts,
            },
            resolution: self.resolution.unwrap_or(default.resolution),
            seed: self.seed.unwrap_or(1),
            max_rounds: self.max_rounds.unwrap_or(default.max_rounds),
        };
        tracing::debug!(bytes = community_bytes(&view), "communities");
        let found = communities(&view, &options, context.progress)?;
        let answer = CommunitiesAnswer {
            explanation: "Leiden (Traag, Waltman and Van Eck 2019) on the undirected projection, \
                          where two opposite flows add up; every community is connected",
            quality: self.quality,
            value: found.quality,
            resolution: options.resolution,
            weight,
            seed: options.seed,
            rounds: found.rounds,
            converged: found.converged,
            count: found.sizes.len(),
            communities: Rows::default(),
        };
        let parts = split(&found.community, found.sizes.len());
        let (limit, list) = (self.limit.unwrap_or(usize::MAX), self.list.unwrap_or(usize::MAX));
        let rows = rows(snapshot, parts, 1, limit, list)?;
        Ok(Draft::new(Projection::Undirected, &answer)?.with("communities", rows))
    }
}
