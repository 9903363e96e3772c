//! Attack curves: what is left of the network while nodes are lost one after another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::centrality::CentralityBody;
use super::measures::Measure;
use super::{Ask, Context, Draft, Projection, estimate, impossible, in_range};
use crate::analysis::centrality::{AttackOrder, attack_curve};
use crate::graph::Snapshot;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// A question about robustness.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"order": "remaining_degree", "points": 50}))]
pub struct AttackCurveBody {
    /// In which order nodes are lost.
    pub order: Order,
    /// The order, for `given`: ids; nodes not named stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The centrality, for `centrality`: highest score first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centrality: Option<CentralityBody>,
    /// Seed of `random` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Most points of the curve listed, evenly spaced (default 1000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
    /// At how many evenly spaced points the largest strongly connected component is measured too
    /// (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strong_points: Option<u32>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// In which order nodes are lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Always the node with most links left.
    #[default]
    RemainingDegree,
    /// By the number of links at the start.
    Degree,
    /// At random.
    Random,
    /// By a centrality.
    Centrality,
    /// As given.
    Given,
}

/// An attack curve.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttackCurveAnswer {
    /// What is measured.
    pub explanation: &'static str,
    /// In which order nodes were lost.
    pub order: Order,
    /// Nodes lost in all.
    pub lost: usize,
    /// Robustness R: mean share of the largest component over all losses, 0-1/2 for an order of
    /// all nodes; higher is more robust (Schneider et al. 2011).
    pub robustness: f64,
    /// Losses after which the largest component is at most half of what it was; null if it never
    /// is.
    pub half_after: Option<usize>,
    /// The curve.
    pub curve: Vec<CurvePoint>,
    /// The largest strongly connected component at the points asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strong: Vec<StrongPoint>,
}

/// A point of the curve.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttackCurvePoint)]
pub struct CurvePoint {
    /// Nodes lost so far.
    pub lost: usize,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Nodes of the largest connected part that is left.
    pub largest: u32,
    /// The same as a share of all nodes.
    pub share: f64,
}

/// The largest loop at a point.
#[derive(Debug, Serialize, ToSchema)]
pub struct StrongPoint {
    /// Nodes lost so far.
    pub lost: u32,
    /// Nodes of the largest strongly connected component that is left.
    pub largest: u32,
}

impl AttackCurveBody {
    fn order(&self, context: &Context<'_>) -> Result<AttackOrder, ServiceError> {
        let snapshot = context.snapshot;
        if self.order != Order::Given && !self.nodes.is_empty() {
            return Err(impossible(
                "nodes",
                "nodes are only for the order given",
                "set order to given, or leave nodes out",
            ));
        }
        if self.order != Order::Centrality && self.centrality.is_some() {
            return Err(impossible(
                "centrality",
                "a centrality is only for the order centrality",
                "set order to centrality, or leave centrality out",
            ));
        }
        Ok(match self.order {
            Order::RemainingDegree => AttackOrder::Degree,
            Order::Random => AttackOrder::Random { seed: self.seed.unwrap_or(1) },
            Order::Degree => {
                let degree = CentralityBody::of(Measure::Degree);
                AttackOrder::Scores(degree.compute(context)?.scores.scores)
            }
            Order::Centrality => {
                let Some(body) = &self.centrality else {
                    return Err(impossible(
                        "centrality",
                        "the order centrality needs one",
                        "give centrality, for example {\"measure\": \"betweenness\"}",
                    ));
                };
                let one_each = !body.measure.is_group()
                    && body.measure != Measure::EdgeBetweenness
                    && body.select.is_none()
                    && body.top.is_none()
                    && body.at.is_none();
                if !one_each {
                    return Err(impossible(
                        "centrality",
                        "the order needs a score of every node",
                        "leave select, top and at out, and use a measure of single nodes",
                    ));
                }
                AttackOrder::Scores(body.compute(context)?.scores.scores)
            }
            Order::Given => {
                if self.nodes.is_empty() {
                    return Err(impossible(
                        "nodes",
                        "the order given is empty",
                        "list node ids in nodes",
                    ));
                }
                let mut seen = rustc_hash::FxHashSet::default();
                let mut order = Vec::with_capacity(self.nodes.len());
                for (i, id) in self.nodes.iter().enumerate() {
                    let param = || format!("nodes[{i}]");
                    let v = snapshot.index(id).ok_or_else(|| {
                        ServiceError::selector(param(), snapshot.unknown_node(id))
                    })?;
                    if !seen.insert(v) {
                        return Err(impossible(
                            &param(),
                            format!("{id} stands in the order twice"),
                            "name each node once",
                        ));
                    }
                    order.push(v);
                }
                AttackOrder::Given(order)
            }
        })
    }
}

impl Ask for AttackCurveBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        in_range("points", self.points.unwrap_or(1000), 2..=1_000_000)?;
        in_range("strong_points", self.strong_points.unwrap_or(0) as usize, 0..=10_000)?;
        match &self.centrality {
            Some(body) => body.check(snapshot),
            None => Ok(()),
        }
    }

    fn estimate(&self, snapshot: &Snapshot, threads: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        let scores = self.centrality.as_ref().map(|body| body.estimate(snapshot, threads));
        let scores = scores.unwrap_or_default();
        let strong = f64::from(self.strong_points.unwrap_or(0));
        let own = estimate((n + m) as f64 * (2.0 + strong), 2e-7, 48 * n + 24 * m);
        Estimate { seconds: own.seconds + scores.seconds, bytes: own.bytes + scores.bytes }
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let (points, strong_points) =
            (self.points.unwrap_or(1000), self.strong_points.unwrap_or(0));
        let order = self.order(context)?;
        let view = context.views.links(context.snapshot)?;
        let found = attack_curve(&view, &order, strong_points, context.progress)?;
        let n = snapshot.node_count().max(1) as f64;
        let last = found.order.len();
        let mut listed: Vec<usize> = if last < points {
            (0..=last).collect()
        } else {
            (0..points).map(|i| i * last / (points - 1)).collect()
        };
        listed.dedup();
        let half = found.largest[0] / 2;
        let answer = AttackCurveAnswer {
            explanation: "largest is the largest weakly connected component (direction ignored) \
                          among the nodes that are left; strong, if asked for, is the largest \
                          strongly connected one",
            order: self.order,
            lost: last,
            robustness: found.robustness,
            half_after: found.largest.iter().position(|&l| l <= half).filter(|_| half > 0),
            curve: listed
                .into_iter()
                .map(|lost| CurvePoint {
                    lost,
                    node: lost.checked_sub(1).map(|i| snapshot.id(found.order[i]).to_owned()),
                    largest: found.largest[lost],
                    share: f64::from(found.largest[lost]) / n,
                })
                .collect(),
            strong: found
                .strong
                .iter()
                .map(|&(lost, largest)| StrongPoint { lost, largest })
                .collect(),
        };
        Draft::new(Projection::Undirected, &answer)
    }
}
