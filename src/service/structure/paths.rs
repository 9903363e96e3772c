//! The k shortest and the k widest paths.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::{Reads, weighting};
use super::{Ask, Context, Draft, Projection, estimate, ids, impossible, in_range, select};
use crate::analysis::paths::{PathKind, best_paths};
use crate::graph::Snapshot;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// Most paths of one answer.
const MOST_PATHS: usize = 10_000;

/// A question about paths.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": {"product": "gallium", "stage": "refine", "country": "CHN"}, "to": {"product": "defence", "stage": "industry", "country": "USA"}, "k": 3}))]
pub struct PathsBody {
    /// Where paths start.
    pub from: Selector,
    /// Where they end.
    pub to: Selector,
    /// How many (default 5, most 10 000).
    #[serde(default = "default_k")]
    pub k: usize,
    /// Shortest (default) or widest.
    #[serde(default)]
    pub kind: Kind,
    /// Shortest: `none` (default: steps), `distance` or `attribute:NAME` as lengths. Widest:
    /// `quantity` (default) or `attribute:NAME` (`attribute:capacity`, say) as what a link carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Version of the graph (default: the newest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Paths asked for unless stated.
pub fn default_k() -> usize {
    5
}

/// Which paths are best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PathKind)]
pub enum Kind {
    /// Least sum of lengths.
    #[default]
    Shortest,
    /// Greatest least weight: what can pass.
    Widest,
}

/// Paths, best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PathsAnswer {
    /// Which paths are best.
    pub kind: Kind,
    /// How weights were read.
    pub weight: String,
    /// What `value` is.
    pub value_meaning: &'static str,
    /// Paths without repeated nodes, best first.
    pub paths: Vec<PathView>,
    /// True if there are no others.
    pub complete: bool,
}

/// A path.
#[derive(Debug, Serialize, ToSchema)]
pub struct PathView {
    /// Sum of the lengths, or least weight on the way.
    pub value: f64,
    /// Number of flows.
    pub steps: usize,
    /// Nodes from start to end.
    pub nodes: Vec<String>,
    /// Quantity per year of each link on the way.
    pub quantities: Vec<f64>,
}

impl PathsBody {
    /// Nodes where paths start and end.
    fn ends(&self, snapshot: &Snapshot) -> Result<(Vec<u32>, Vec<u32>), ServiceError> {
        let from = select(snapshot, "from", &self.from)?;
        let to = select(snapshot, "to", &self.to)?;
        match from.iter().find(|v| to.binary_search(v).is_ok()) {
            None => Ok((from, to)),
            Some(&both) => Err(impossible(
                "to",
                format!("{} is start and end at once", snapshot.id(both)),
                "select different nodes",
            )),
        }
    }
}

impl Ask for PathsBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        in_range("k", self.k, 1..=MOST_PATHS)?;
        self.ends(snapshot)?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        // One search of the whole graph; each further path searches near its detours.
        let units = (n + m) as f64 + self.k as f64 * 20_000.0;
        estimate(units, 1.5e-7, 28 * m + 40 * n)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let (from, to) = self.ends(snapshot)?;
        let (kind, reads, default) = match self.kind {
            Kind::Shortest => (PathKind::Shortest, Reads::Lengths, "none"),
            Kind::Widest => (PathKind::Widest, Reads::Strengths, "quantity"),
        };
        let name = self.weight.as_deref().unwrap_or(default);
        let (weights, weight) = weighting(snapshot, name, reads)?;
        let view = context.views.weighted(context.snapshot, &weights)?;
        // One more than asked for tells whether there are others.
        let mut found = best_paths(&view, &from, &to, self.k + 1, kind, context.progress)?;
        let complete = found.len() <= self.k;
        found.truncate(self.k);
        let quantity = |pair: &[u32]| {
            let flows = snapshot.flows_out(pair[0]).filter(|&e| snapshot.flow_to(e) == pair[1]);
            flows.map(|e| snapshot.quantity(e)).sum::<f64>()
        };
        let answer = PathsAnswer {
            kind: self.kind,
            weight,
            value_meaning: match self.kind {
                Kind::Shortest if name == "none" => "number of flows",
                Kind::Shortest => "sum of the lengths",
                Kind::Widest => "least weight of a link on the way",
            },
            paths: found
                .into_iter()
                .map(|path| PathView {
                    value: path.value,
                    steps: path.nodes.len() - 1,
                    quantities: path.nodes.windows(2).map(quantity).collect(),
                    nodes: ids(snapshot, &path.nodes),
                })
                .collect(),
            complete,
        };
        Draft::new(Projection::Directed, &answer)
    }
}
