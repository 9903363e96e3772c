//! Choke points: what single nodes and links separate, how much flow hangs on them, and what their
//! loss does under the production rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::single_points::{Losses, Place as Removed, single_points};
use super::{Ask, Context, Draft, Projection, estimate, ids, impossible, in_range, select_some};
use crate::analysis::choke_points::{
    ChokeKind, ChokeOptions, ChokePoint, Place, choke_points, choke_points_memory,
};
use crate::graph::Snapshot;
use crate::model::scenario::ModelOptions;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// A question about choke points.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"to": {"product": "semiconductors", "stage": "industry"}, "limit": 10}))]
pub struct ChokePointsBody {
    /// Where supply starts (default: nodes without suppliers).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Selector>,
    /// What must be reached (default: everything; then there are no post-dominators and no single
    /// points of failure unless nodes without consumers are meant, which they are).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Selector>,
    /// Kinds wanted (default: all that the question allows).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// Most choke points of each kind, the worst first (default 100, most 10 000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Most separated nodes listed with each (default 20, most 1 000 000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<usize>,
    /// A node is a single point of failure if the targets lose at least this share (default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_at_least: Option<f64>,
    /// Nodes that are tried as single points of failure (default: all that lead to the targets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Selector>,
    /// How losses are evaluated, as in impacts.
    pub model: ModelOptions,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Kinds of choke points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChokePointKind)]
pub enum Kind {
    /// Node that splits its part of the undirected projection.
    #[serde(alias = "articulation_point")]
    Articulation,
    /// Link that splits its part of the undirected projection.
    Bridge,
    /// Node on every path from the sources to some other node (with targets: some other target).
    Dominator,
    /// Link on every path from the sources to some node (with targets: some target).
    DominatorLink,
    /// Node on every path from some other node to the targets.
    PostDominator,
    /// Node that breaks a loop: its strongly connected component falls apart without it.
    StrongArticulation,
    /// Link that breaks a loop.
    StrongBridge,
    /// Node whose loss alone costs the targets `loss_at_least` under the production rules.
    SinglePointOfFailure,
}

impl Kind {
    fn structural(self) -> Option<ChokeKind> {
        Some(match self {
            Self::Articulation => ChokeKind::Articulation,
            Self::Bridge => ChokeKind::Bridge,
            Self::Dominator => ChokeKind::Dominator,
            Self::DominatorLink => ChokeKind::DominatorLink,
            Self::PostDominator => ChokeKind::PostDominator,
            Self::StrongArticulation => ChokeKind::StrongArticulation,
            Self::StrongBridge => ChokeKind::StrongBridge,
            Self::SinglePointOfFailure => return None,
        })
    }

    fn of(kind: ChokeKind) -> Self {
        match kind {
            ChokeKind::Articulation => Self::Articulation,
            ChokeKind::Bridge => Self::Bridge,
            ChokeKind::Dominator => Self::Dominator,
            ChokeKind::DominatorLink => Self::DominatorLink,
            ChokeKind::PostDominator => Self::PostDominator,
            ChokeKind::StrongArticulation => Self::StrongArticulation,
            ChokeKind::StrongBridge => Self::StrongBridge,
        }
    }
}

/// Choke points, kind by kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChokePointsAnswer {
    /// Choke points by kind in the order asked for; within a kind the worst first.
    pub choke_points: Vec<ChokePointView>,
    /// How many of each kind there are, listed or not.
    pub totals: Vec<KindTotal>,
    /// Sources used (dominators).
    pub sources: u32,
    /// Nodes that the sources reach, themselves included.
    pub reached: u32,
    /// Targets that no source reaches as things are (at most 1000).
    pub unreached_targets: Vec<String>,
    /// Connected parts of the undirected projection, if asked for one of its kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<u32>,
    /// How single points of failure were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
}

/// How losses under the production rules were evaluated.
#[derive(Debug, Serialize, ToSchema)]
pub struct Production {
    /// Loss from which on a node counts as a single point of failure.
    pub loss_at_least: f64,
    /// Nodes removed, each alone.
    pub evaluated: usize,
    /// Target nodes whose loss is quoted, weighted by output (else throughput).
    pub targets: usize,
    /// True if every evaluation reached its fixed point.
    pub converged: bool,
    /// What `loss` is.
    pub note: &'static str,
}

const PRODUCTION_NOTE: &str = "loss is what the targets lose under the production rules if this \
                               place alone is lost: the same engine as impacts and knock-outs";

/// How many choke points of a kind there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct KindTotal {
    /// Kind.
    pub kind: Kind,
    /// Whether it looks at directed paths, the undirected projection, or production.
    pub semantics: Semantics,
    /// Number.
    pub count: u32,
}

/// What a kind of choke points is a matter of.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChokePointSemantics)]
pub enum Semantics {
    /// Paths along the flows.
    DirectedPaths,
    /// The undirected projection: who supplies whom does not matter.
    UndirectedProjection,
    /// The production rules.
    ProductionRules,
}

/// One choke point.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChokePointView {
    /// Kind.
    pub kind: Kind,
    /// The node, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The link, if it is one: all flows from one node to another (bridges: both ways).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkView>,
    /// How many nodes it separates, itself not included: from the sources (dominators), from the
    /// targets (post-dominators), from the largest part that is left (others); for single points
    /// of failure, how many others stop.
    pub separated: u32,
    /// Those nodes, by id, at most `list` of them.
    pub separates: Vec<String>,
    /// How many of them are targets (dominators with targets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separated_targets: Option<u32>,
    /// True if no other target is reached without it (dominators with targets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuts_all_targets: Option<bool>,
    /// Sizes of the parts that are left of its component, largest first (at most 100).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<u32>,
    /// Quantity per year through it: the greater of what enters and leaves a node, what the flows
    /// of a link carry.
    pub flow: f64,
    /// Quantity per year that leaves the separated nodes: supply that hangs on it besides its own.
    pub separated_flow: f64,
    /// (flow + separated_flow) / quantity of all flows, at most 1. Units differ between products:
    /// read it as a rank.
    pub flow_share: f64,
    /// What the targets lose under the production rules if it is lost, 0-1 (if asked for single
    /// points of failure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

/// A link by its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkView {
    /// Supplier.
    pub from: String,
    /// Consumer.
    pub to: String,
}

impl LinkView {
    /// The link between two nodes.
    pub fn of(snapshot: &Snapshot, (from, to): (u32, u32)) -> Self {
        Self { from: snapshot.id(from).to_owned(), to: snapshot.id(to).to_owned() }
    }
}

impl ChokePointsBody {
    /// Kinds asked for; by default all that have what they need.
    fn kinds(&self) -> Vec<Kind> {
        if !self.kinds.is_empty() {
            let mut kinds = Vec::new();
            for kind in &self.kinds {
                if !kinds.contains(kind) {
                    kinds.push(*kind);
                }
            }
            return kinds;
        }
        let mut kinds: Vec<Kind> = ChokeKind::ALL.into_iter().map(Kind::of).collect();
        if self.to.is_none() {
            kinds.retain(|k| *k != Kind::PostDominator);
        }
        kinds.push(Kind::SinglePointOfFailure);
        kinds
    }

    /// `limit`, `list` and `loss_at_least`.
    fn bounds(&self) -> Result<(usize, usize, f64), ServiceError> {
        let limit = in_range("limit", self.limit.unwrap_or(100), 1..=10_000)?;
        let list = in_range("list", self.list.unwrap_or(20), 0..=1_000_000)?;
        let loss_at_least = self.loss_at_least.unwrap_or(0.5);
        if !(loss_at_least > 0.0 && loss_at_least <= 1.0) {
            return Err(impossible(
                "loss_at_least",
                format!("loss_at_least is {loss_at_least}; it must be above 0, at most 1"),
                "1 asks for nodes whose loss stops the targets",
            ));
        }
        Ok((limit, list, loss_at_least))
    }
}

impl Ask for ChokePointsBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        self.bounds()?;
        select_some(snapshot, "from", self.from.as_ref())?;
        select_some(snapshot, "to", self.to.as_ref())?;
        select_some(snapshot, "candidates", self.candidates.as_ref())?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, threads: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        let structural = (n + m) as f64 * 4e-7;
        let production = if self.kinds().contains(&Kind::SinglePointOfFailure) {
            // Every node that leads to the targets is removed, many scenarios side by side.
            let candidates = match &self.candidates {
                Some(selector) => snapshot.select(selector).map_or(n, |found| found.len()),
                None => n,
            };
            candidates as f64 * m as f64 * 1.2e-9 / threads.max(1) as f64
        } else {
            0.0
        };
        let bytes = choke_points_memory(n, m) + 48 * m + threads * 128 * n;
        estimate(structural + production, 1.0, bytes)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let kinds = self.kinds();
        let (limit, list, loss_at_least) = self.bounds()?;
        let targets = select_some(snapshot, "to", self.to.as_ref())?;
        let options = ChokeOptions {
            sources: select_some(snapshot, "from", self.from.as_ref())?,
            targets: targets.clone(),
            kinds: kinds.iter().filter_map(|k| k.structural()).collect(),
            limit,
            list,
        };
        let found = choke_points(snapshot, &options, context.progress)?;
        let mut places: Vec<Removed> = found.points.iter().map(removed).collect();
        let mut views: Vec<ChokePointView> =
            found.points.into_iter().map(|point| view(snapshot, point)).collect();
        let mut totals: Vec<KindTotal> = found
            .totals
            .iter()
            .map(|&(kind, count)| KindTotal {
                kind: Kind::of(kind),
                semantics: if kind.is_undirected() {
                    Semantics::UndirectedProjection
                } else {
                    Semantics::DirectedPaths
                },
                count,
            })
            .collect();
        let mut production = None;
        if kinds.contains(&Kind::SinglePointOfFailure) && snapshot.node_count() > 0 {
            let losses = Losses::new(context, &self.model, self.to.as_ref())?;
            let found =
                single_points(context, &losses, self.candidates.as_ref(), loss_at_least, limit)?;
            let singles = found.points.iter().map(|p| Removed::Node(p.node));
            let stopped = losses.stopped(context, &singles.collect::<Vec<_>>())?;
            // The production test stands beside every structural choke point too.
            let beside = losses.of(context, &places)?;
            for (view, loss) in views.iter_mut().zip(beside) {
                view.loss = Some(loss);
            }
            places.clear();
            totals.push(KindTotal {
                kind: Kind::SinglePointOfFailure,
                semantics: Semantics::ProductionRules,
                count: found.total,
            });
            for (point, stopped) in found.points.iter().zip(stopped) {
                views.push(single_point_view(snapshot, point.node, point.loss, &stopped, list));
            }
            production = Some(Production {
                loss_at_least,
                evaluated: found.evaluated,
                targets: losses.targets(),
                converged: found.converged,
                note: PRODUCTION_NOTE,
            });
            // Kinds in the order asked for.
            let rank = |kind: Kind| kinds.iter().position(|k| *k == kind);
            views.sort_by_key(|v| rank(v.kind));
            totals.sort_by_key(|t| rank(t.kind));
        }
        let unreached = &found.unreached_targets;
        let undirected = |k: &Kind| k.structural().is_some_and(ChokeKind::is_undirected);
        let projection = match kinds.iter().filter(|k| undirected(k)).count() {
            0 => Projection::Directed,
            some if some == kinds.len() => Projection::Undirected,
            _ => Projection::Mixed,
        };
        let answer = ChokePointsAnswer {
            choke_points: views,
            totals,
            sources: found.sources,
            reached: found.reached,
            unreached_targets: ids(snapshot, &unreached[..unreached.len().min(1000)]),
            components: found.components,
            production,
        };
        Draft::new(projection, &answer)
    }
}

fn removed(point: &ChokePoint) -> Removed {
    match point.place {
        Place::Node(v) => Removed::Node(v),
        Place::Link(u, v) if point.kind == ChokeKind::Bridge => Removed::Both(u, v),
        Place::Link(u, v) => Removed::Link(u, v),
    }
}

fn view(snapshot: &Snapshot, point: ChokePoint) -> ChokePointView {
    let (node, link) = match point.place {
        Place::Node(v) => (Some(snapshot.id(v).to_owned()), None),
        Place::Link(u, v) => (None, Some(LinkView::of(snapshot, (u, v)))),
    };
    ChokePointView {
        kind: Kind::of(point.kind),
        node,
        link,
        separated: point.separated,
        separates: ids(snapshot, &point.nodes),
        separated_targets: point.separated_targets,
        cuts_all_targets: point.separated_targets.map(|_| point.cuts_all_targets),
        parts: point.parts,
        flow: point.flow,
        separated_flow: point.separated_flow,
        flow_share: point.flow_share,
        loss: None,
    }
}

fn single_point_view(
    snapshot: &Snapshot,
    node: u32,
    loss: f64,
    stopped: &[u32],
    list: usize,
) -> ChokePointView {
    let flow = snapshot.in_strength(node).max(snapshot.out_strength(node));
    let separated_flow: f64 = stopped.iter().map(|&v| snapshot.out_strength(v)).sum();
    let total: f64 = snapshot.quantities().iter().sum();
    ChokePointView {
        kind: Kind::SinglePointOfFailure,
        node: Some(snapshot.id(node).to_owned()),
        link: None,
        separated: stopped.len() as u32,
        separates: ids(snapshot, &stopped[..stopped.len().min(list)]),
        separated_targets: None,
        cuts_all_targets: None,
        parts: Vec::new(),
        flow,
        separated_flow,
        flow_share: if total > 0.0 { ((flow + separated_flow) / total).min(1.0) } else { 0.0 },
        loss: Some(loss),
    }
}
