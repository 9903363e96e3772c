//! Knock-out reachability: what every single node cuts off if it is lost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::Rows;
use super::{Ask, Context, Draft, Projection, estimate, impossible, select_some};
use crate::analysis::choke_points::{Dominator, default_sources, knock_out, knock_out_memory};
use crate::analysis::structure::Direction;
use crate::graph::Snapshot;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// A question about every node's loss.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"to": {"product": "semiconductors", "stage": "industry"}, "top": 20}))]
pub struct ReachabilityBody {
    /// Where supply starts (default: nodes without suppliers). For `upstream`: which nodes count
    /// as cut off (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Selector>,
    /// Which cut-off nodes count in `lost_targets` (default: all). For `upstream`: where supply
    /// must lead (default: nodes without consumers).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Selector>,
    /// `downstream` (default): who loses every path from the sources. `upstream`: who loses every
    /// path to the targets.
    pub direction: Side,
    /// What a cut-off node weighs in `lost_weight`.
    pub weight: NodeWeight,
    /// Only the nodes that cut off most, worst first (default: all, by id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Only these nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Which side is cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReachedSide)]
pub enum Side {
    /// From the sources: dominators.
    #[default]
    Downstream,
    /// From the targets: post-dominators.
    Upstream,
}

/// What a cut-off node weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeWeight {
    /// Quantity per year that leaves it.
    #[default]
    Quantity,
    /// Its output, 0 where unknown.
    Output,
    /// 1.
    One,
}

/// What every node cuts off.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachabilityAnswer {
    /// What `lost` is.
    pub explanation: &'static str,
    /// Which side is cut off.
    pub direction: Side,
    /// What a cut-off node weighs.
    pub weight: NodeWeight,
    /// Where the search starts: sources (downstream) or targets (upstream).
    pub sources: usize,
    /// Nodes that have a path as things are.
    pub reached: u32,
    /// Nodes of the graph.
    pub count: usize,
    /// Nodes: by id, or with `top` worst first.
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<Lost<'static>>, required = true)]
    pub nodes: Rows,
}

/// What one node cuts off.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lost<'a> {
    /// Node.
    pub id: &'a str,
    /// Whether it has a path as things are.
    pub reached: bool,
    /// How many other nodes have no path without it.
    pub lost: u32,
    /// How many of those are targets.
    pub lost_targets: u32,
    /// Their weights added up.
    pub lost_weight: f64,
    /// The nearest other node that every path of this one passes: without it this node has none.
    /// Absent if no single node does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dominator: Option<&'a str>,
}

impl Ask for ReachabilityBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        for (param, selector) in [("from", &self.from), ("to", &self.to), ("select", &self.select)]
        {
            select_some(snapshot, param, selector.as_ref())?;
        }
        if self.top == Some(0) {
            return Err(impossible("top", "top is 0", "ask for 1 at least, or leave it out"));
        }
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate((n + m) as f64, 2e-7, knock_out_memory(n) + 8 * (n + m))
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let links = context.views.links(context.snapshot)?;
        let upstream = self.direction == Side::Upstream;
        let view = if upstream {
            super::views::turned(&links, Direction::In, super::views::Reads::Nothing)
        } else {
            links
        };
        let from = select_some(snapshot, "from", self.from.as_ref())?;
        let to = select_some(snapshot, "to", self.to.as_ref())?;
        let (sources, targets, param, none) = if upstream {
            (to, from, "to", "every node has a consumer; name where supply must lead with to")
        } else {
            (from, to, "from", "every node has a supplier; name the sources with from")
        };
        let sources = sources.unwrap_or_else(|| default_sources(&view));
        if sources.is_empty() && snapshot.node_count() > 0 {
            return Err(impossible(param, none, "give a selector"));
        }
        let weight = |v: u32| match self.weight {
            NodeWeight::Quantity => snapshot.out_strength(v),
            NodeWeight::Output => snapshot.output(v).unwrap_or(0.0),
            NodeWeight::One => 1.0,
        };
        let found = knock_out(&view, &sources, targets.as_deref(), weight, context.progress)?;
        let mut listed = select_some(snapshot, "select", self.select.as_ref())?;
        if let Some(top) = self.top {
            let mut all = listed.unwrap_or_else(|| snapshot.nodes().collect());
            let key = |v: u32| {
                let i = v as usize;
                (found.lost_targets[i], found.lost[i], found.lost_weight[i].to_bits())
            };
            all.sort_unstable_by(|&a, &b| key(b).cmp(&key(a)).then(a.cmp(&b)));
            all.truncate(top);
            listed = Some(all);
        }
        let count = listed.as_ref().map_or(snapshot.node_count(), Vec::len);
        let rows = Rows::write(count, |i| {
            let v = listed.as_ref().map_or(i as u32, |listed| listed[i]);
            let i = v as usize;
            Some(Lost {
                id: snapshot.id(v),
                reached: found.reached[i],
                lost: found.lost[i],
                lost_targets: found.lost_targets[i],
                lost_weight: found.lost_weight[i],
                dominator: match found.dominator[i] {
                    Dominator::Node(d) => Some(snapshot.id(d)),
                    Dominator::Root | Dominator::Unreached => None,
                },
            })
        })?;
        let answer = ReachabilityAnswer {
            explanation: if upstream {
                "lost counts the nodes whose every path to the targets passes through the node \
                 (post-dominator tree)"
            } else {
                "lost counts the nodes that the sources reach only through the node (dominator \
                 tree)"
            },
            direction: self.direction,
            weight: self.weight,
            sources: sources.len(),
            reached: found.reached_count,
            count: snapshot.node_count(),
            nodes: Rows::default(),
        };
        Ok(Draft::new(Projection::Directed, &answer)?.with("nodes", rows))
    }
}
