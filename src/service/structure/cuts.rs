//! Cuts between two selections, separators up to a size, global cuts and cut trees.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choke_points::LinkView;
use super::rows::Rows;
use super::{Ask, Context, Draft, Projection, estimate, ids, impossible, in_range, select};
use crate::analysis::cuts::{
    CapacityRule, Cut, CutKind, CutList, CutOptions, CutState, Cuts, Sides, cut_tree,
    cut_tree_memory, cuts, cuts_memory, global_cut, global_cut_memory,
};
use crate::graph::Snapshot;
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::explore::node_index;
use crate::service::jobs::Estimate;

/// Most cuts of one answer.
const MOST_CUTS: usize = 100_000;

/// A question about cuts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"from": {"country": "CHN", "stage": "refine"}, "to": {"product": "defence", "stage": "industry"}}))]
pub struct CutsBody {
    /// Where supply starts (not for `global`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Selector>,
    /// What is to be cut off (not for `global`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Selector>,
    /// What is cut: flows, nodes, or flows so that the undirected projection falls in two.
    pub kind: Kind,
    /// What cutting costs: `quantity` (default; for nodes the greater of what enters and leaves),
    /// `one` (the fewest), or `attribute:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// One minimum cut, all minimum cuts, or minimal cuts from the cheapest upwards.
    pub list: List,
    /// Most cuts (default 100, most 100 000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Most nodes listed of each side (default 1000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CutKind)]
pub enum Kind {
    /// Flows between two selections.
    #[default]
    Edge,
    /// Nodes between two selections.
    Vertex,
    /// Flows of the undirected projection, so that it falls in two.
    Global,
}

/// Which cuts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// One minimum cut.
    #[default]
    One,
    /// All minimum cuts.
    AllMinimum,
    /// Inclusion-minimal cuts, cheapest first.
    Cheapest,
}

/// Cuts.
#[derive(Debug, Serialize, ToSchema)]
pub struct CutsAnswer {
    /// What is cut.
    pub kind: Kind,
    /// What cutting costs.
    pub capacity: String,
    /// Whether there is something to cut.
    pub state: State,
    /// That in a sentence.
    pub explanation: String,
    /// Weight of a minimum cut, which is the value of a maximum flow; null where no cut exists.
    pub value: Option<f64>,
    /// Cuts by weight.
    pub cuts: Vec<CutView>,
    /// True if there are no others (of the kind asked for).
    pub complete: bool,
    /// Minimum cut nearest to the sources, with the two sides (`list: one`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_source: Option<SidesView>,
    /// Minimum cut nearest to the targets; often the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_target: Option<SidesView>,
    /// Nodes that are source and target at once, so that nothing separates them (at most 1000).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlap: Vec<String>,
    /// Links from a source straight to a target, so that no node separates them (at most 1000).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adjacent: Vec<LinkView>,
    /// How exact weights are.
    pub exactness: Exactness,
}

/// How exact weights are: cuts are computed in whole numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Exactness {
    /// Capacities were counted in units of 1 / scale.
    pub scale: u64,
    /// Greatest rounding of one capacity; 0: weights are exact.
    pub max_rounding_error: f64,
    /// Flows or nodes of capacity 0 were left out: nothing passes them. How many.
    pub left_out_count: usize,
    /// Which (at most 100).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Whether there is something to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There are cuts.
    Cuttable,
    /// No path leads from the sources to the targets as things are: the empty cut.
    AlreadyDisconnected,
    /// Some node is source and target: no cut exists.
    Overlapping,
    /// Node cuts: a source supplies a target directly: no cut exists.
    Adjacent,
}

/// A cut.
#[derive(Debug, Serialize, ToSchema)]
pub struct CutView {
    /// Sum of the capacities of what is cut.
    pub weight: f64,
    /// How many flows or nodes are cut.
    pub size: usize,
    /// Flows cut, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<Vec<String>>,
    /// Nodes cut, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
}

/// A cut with the nodes on its two sides.
#[derive(Debug, Serialize, ToSchema)]
pub struct SidesView {
    /// The cut.
    #[serde(flatten)]
    pub cut: CutView,
    /// Nodes on the source side; cut nodes are on neither.
    pub source_side_count: usize,
    /// Which, by id (at most `sides`).
    pub source_side: Vec<String>,
    /// Nodes on the target side.
    pub target_side_count: usize,
    /// Which, by id (at most `sides`).
    pub target_side: Vec<String>,
}

fn rule(capacity: Option<&str>) -> Result<(CapacityRule, String), ServiceError> {
    let name = capacity.unwrap_or("quantity");
    let rule = match name {
        "quantity" => CapacityRule::Quantity,
        "one" => CapacityRule::One,
        _ => match name.strip_prefix("attribute:").map(str::trim) {
            Some(attribute) if !attribute.is_empty() => {
                CapacityRule::Attribute(attribute.to_owned())
            }
            _ => {
                return Err(impossible(
                    "capacity",
                    format!("there is no capacity \"{name}\""),
                    "use quantity, one or attribute:NAME",
                ));
            }
        },
    };
    Ok((rule, name.to_owned()))
}

fn view(snapshot: &Snapshot, kind: CutKind, cut: &Cut) -> CutView {
    let flow = |&e: &u32| snapshot.network().flow_id(e as usize);
    let (flows, nodes) = match kind {
        CutKind::Edge => (Some(cut.units.iter().map(flow).collect()), None),
        CutKind::Vertex => (None, Some(ids(snapshot, &cut.units))),
    };
    CutView { weight: cut.weight, size: cut.units.len(), flows, nodes }
}

fn sides_view(snapshot: &Snapshot, kind: CutKind, sides: &Sides, most: usize) -> SidesView {
    let some = |nodes: &[u32]| ids(snapshot, &nodes[..nodes.len().min(most)]);
    SidesView {
        cut: view(snapshot, kind, &sides.cut),
        source_side_count: sides.source_side.len(),
        source_side: some(&sides.source_side),
        target_side_count: sides.target_side.len(),
        target_side: some(&sides.target_side),
    }
}

fn exactness(
    snapshot: &Snapshot,
    kind: CutKind,
    scale: u64,
    max_rounding_error: f64,
    left_out: &[u32],
) -> Exactness {
    let some = &left_out[..left_out.len().min(100)];
    Exactness {
        scale,
        max_rounding_error,
        left_out_count: left_out.len(),
        left_out: match kind {
            CutKind::Edge => some.iter().map(|&e| snapshot.network().flow_id(e as usize)).collect(),
            CutKind::Vertex => ids(snapshot, some),
        },
    }
}

/// The two selections of a cut.
fn terminals(
    snapshot: &Snapshot,
    from: Option<&Selector>,
    to: Option<&Selector>,
) -> Result<(Vec<u32>, Vec<u32>), ServiceError> {
    let need = |param: &str, selector: Option<&Selector>| match selector {
        Some(selector) => select(snapshot, param, selector),
        None => Err(impossible(
            param,
            format!("a cut lies between two selections, but \"{param}\" is missing"),
            "give from and to; only kind global takes neither",
        )),
    };
    Ok((need("from", from)?, need("to", to)?))
}

fn framed(
    snapshot: &Snapshot,
    kind: CutKind,
    capacity: String,
    sides: usize,
    found: &Cuts,
) -> CutsAnswer {
    let mut answer = CutsAnswer {
        kind: match kind {
            CutKind::Edge => Kind::Edge,
            CutKind::Vertex => Kind::Vertex,
        },
        capacity,
        state: State::Cuttable,
        explanation: String::new(),
        value: found.value,
        cuts: found.cuts.iter().map(|cut| view(snapshot, kind, cut)).collect(),
        complete: found.complete,
        nearest_source: found.nearest_source.as_ref().map(|s| sides_view(snapshot, kind, s, sides)),
        nearest_target: found.nearest_target.as_ref().map(|s| sides_view(snapshot, kind, s, sides)),
        overlap: Vec::new(),
        adjacent: Vec::new(),
        exactness: exactness(
            snapshot,
            kind,
            found.scale,
            found.max_rounding_error,
            &found.left_out,
        ),
    };
    (answer.state, answer.explanation) = match &found.state {
        CutState::Cuttable => (
            State::Cuttable,
            "removing the flows or nodes of a cut leaves no path from the sources to the targets"
                .into(),
        ),
        CutState::AlreadyDisconnected => (
            State::AlreadyDisconnected,
            "no path leads from the sources to the targets as things are: nothing needs to be cut"
                .into(),
        ),
        CutState::Overlapping { nodes } => {
            answer.overlap = ids(snapshot, &nodes[..nodes.len().min(1000)]);
            let first = answer.overlap.first().cloned().unwrap_or_default();
            let more = nodes.len() - 1;
            (
                State::Overlapping,
                format!(
                    "{first} (and {more} more) is source and target at once: nothing separates a \
                     node from itself, so no cut exists"
                ),
            )
        }
        CutState::Adjacent { links } => {
            let some = &links[..links.len().min(1000)];
            answer.adjacent = some.iter().map(|&l| LinkView::of(snapshot, l)).collect();
            let first = some.first().map(|&(u, v)| (snapshot.id(u), snapshot.id(v)));
            let (u, v) = first.unwrap_or_default();
            (
                State::Adjacent,
                format!(
                    "{u} supplies {v} directly ({} such links): no other node separates them, so \
                     no node cut exists; ask for kind edge",
                    links.len()
                ),
            )
        }
    };
    answer
}

impl Ask for CutsBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        in_range("limit", self.limit.unwrap_or(100), 1..=MOST_CUTS)?;
        rule(self.capacity.as_deref())?;
        if self.kind != Kind::Global {
            terminals(snapshot, self.from.as_ref(), self.to.as_ref())?;
        }
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        if self.kind == Kind::Global {
            // Stoer-Wagner where the projection cannot be shrunk.
            let units = n as f64 * ((m as f64) + n as f64 * (n.max(2) as f64).log2());
            return estimate(units, 1e-9, global_cut_memory(n, m));
        }
        let kind = if self.kind == Kind::Vertex { CutKind::Vertex } else { CutKind::Edge };
        let (list, flows) = match self.list {
            List::One => (CutList::One, 20.0),
            List::AllMinimum => (CutList::AllMinimum, 40.0),
            // A flow on top of the known one for each flow cut of each cut listed.
            List::Cheapest => (CutList::Cheapest, 20.0 + 10.0 * self.limit.unwrap_or(100) as f64),
        };
        estimate((n + m) as f64 * flows, 5e-8, cuts_memory(kind, list, n, m))
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let limit = self.limit.unwrap_or(100);
        let sides = self.sides.unwrap_or(1000);
        let (rule, capacity) = rule(self.capacity.as_deref())?;
        if self.kind == Kind::Global {
            return self.global(context, &rule, capacity, sides);
        }
        let (sources, targets) = terminals(snapshot, self.from.as_ref(), self.to.as_ref())?;
        let kind = if self.kind == Kind::Vertex { CutKind::Vertex } else { CutKind::Edge };
        let list = match self.list {
            List::One => CutList::One,
            List::AllMinimum => CutList::AllMinimum,
            List::Cheapest => CutList::Cheapest,
        };
        let options = CutOptions { sources, targets, kind, capacity: rule, list, limit };
        let found = cuts(snapshot, &options, context.progress)?;
        Draft::new(Projection::Directed, &framed(snapshot, kind, capacity, sides, &found))
    }
}

impl CutsBody {
    fn global(
        &self,
        context: &Context<'_>,
        rule: &CapacityRule,
        capacity: String,
        most: usize,
    ) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        if self.from.is_some() || self.to.is_some() {
            let param = if self.from.is_some() { "from" } else { "to" };
            return Err(impossible(
                param,
                format!("a global cut lies between any two parts; it has no \"{param}\""),
                "leave from and to out, or ask for kind edge or vertex",
            ));
        }
        if self.list != List::One {
            return Err(impossible(
                "list",
                "of global cuts only one minimum cut is listed",
                "leave list out, or ask cut-tree for the cuts between all pairs",
            ));
        }
        let found = global_cut(snapshot, rule, context.progress)?;
        let n = snapshot.node_count();
        let (state, explanation) = match &found.cut {
            None => (State::Overlapping, "a graph of fewer than two nodes cannot fall in two"),
            Some(cut) if cut.units.is_empty() => (
                State::AlreadyDisconnected,
                "the undirected projection is in several parts already: nothing needs to be cut",
            ),
            Some(_) => (
                State::Cuttable,
                "removing these flows splits the undirected projection in two; on a supply \
                 network the smaller side is often one leaf",
            ),
        };
        let mut inside = vec![false; n];
        found.side.iter().for_each(|&v| inside[v as usize] = true);
        let outside: Vec<u32> = snapshot.nodes().filter(|&v| !inside[v as usize]).collect();
        let sides = found.cut.as_ref().map(|cut| Sides {
            cut: cut.clone(),
            source_side: found.side.clone(),
            target_side: outside,
        });
        let answer = CutsAnswer {
            kind: Kind::Global,
            capacity,
            state,
            explanation: explanation.into(),
            value: found.cut.as_ref().map(|cut| cut.weight),
            cuts: found.cut.iter().map(|cut| view(snapshot, CutKind::Edge, cut)).collect(),
            complete: found.cut.is_none(),
            nearest_source: sides.map(|s| sides_view(snapshot, CutKind::Edge, &s, most)),
            nearest_target: None,
            overlap: Vec::new(),
            adjacent: Vec::new(),
            exactness: exactness(
                snapshot,
                CutKind::Edge,
                found.scale,
                found.max_rounding_error,
                &found.left_out,
            ),
        };
        Draft::new(Projection::Undirected, &answer)
    }
}

/// A question about all minimal separators up to a size.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": {"product": "gallium", "stage": "refine"}, "to": {"product": "semiconductors", "stage": "industry"}, "max_size": 2}))]
pub struct SeparatorsBody {
    /// Where supply starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Selector>,
    /// What is to be cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Selector>,
    /// Nodes (default) or flows.
    #[serde(default)]
    pub kind: SeparatorKind,
    /// Most nodes or flows of a separator (default 3).
    #[serde(default = "default_size")]
    pub max_size: u64,
    /// What cutting costs, as in cuts; `value` and `weight` count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// Most separators (default 1000, most 100 000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

fn default_size() -> u64 {
    3
}

/// What separators are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeparatorKind {
    /// Nodes.
    #[default]
    Vertex,
    /// Flows.
    Edge,
}

impl Ask for SeparatorsBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        in_range("limit", self.limit.unwrap_or(1000), 1..=MOST_CUTS)?;
        if self.max_size == 0 {
            return Err(impossible("max_size", "max_size is 0", "ask for 1 at least"));
        }
        rule(self.capacity.as_deref())?;
        terminals(snapshot, self.from.as_ref(), self.to.as_ref())?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        // A flow on top of the known one for each unit of each separator.
        let flows = 20.0 + self.max_size as f64 * self.limit.unwrap_or(1000) as f64;
        let list = CutList::UpToSize(self.max_size);
        estimate((n + m) as f64 * flows, 5e-8, cuts_memory(CutKind::Vertex, list, n, m))
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let limit = self.limit.unwrap_or(1000);
        let (rule, capacity) = rule(self.capacity.as_deref())?;
        let (sources, targets) = terminals(snapshot, self.from.as_ref(), self.to.as_ref())?;
        let kind = match self.kind {
            SeparatorKind::Vertex => CutKind::Vertex,
            SeparatorKind::Edge => CutKind::Edge,
        };
        let options = CutOptions {
            sources,
            targets,
            kind,
            capacity: rule,
            list: CutList::UpToSize(self.max_size),
            limit,
        };
        let found = cuts(snapshot, &options, context.progress)?;
        Draft::new(Projection::Directed, &framed(snapshot, kind, capacity, 0, &found))
    }
}

/// A question about the minimum cuts between all pairs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"capacity": "quantity", "between": ["gallium.refine.CHN", "semiconductors.industry.USA"]}))]
pub struct CutTreeBody {
    /// What cutting costs: `quantity` (default), `one` or `attribute:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// Two nodes whose minimum cut is read off the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub between: Option<(String, String)>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// A Gomory-Hu tree of the undirected projection.
#[derive(Debug, Serialize, ToSchema)]
pub struct CutTreeAnswer {
    /// How to read it.
    pub explanation: &'static str,
    /// What cutting costs.
    pub capacity: String,
    /// Number of edges of the tree: nodes - 1.
    pub count: usize,
    /// Weight of the minimum cut between the two nodes asked for, and the side of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<PairCut>,
    /// How exact weights are.
    pub exactness: Exactness,
    /// Edges of the tree, by the id of the lower node.
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<TreeEdge<'static>>, required = true)]
    pub edges: Rows,
}

/// A minimum cut between two nodes of the undirected projection.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairCut {
    /// One node.
    pub from: String,
    /// The other.
    pub to: String,
    /// Weight of the cut.
    pub weight: f64,
}

/// An edge of a cut tree.
#[derive(Debug, Serialize, ToSchema)]
pub struct TreeEdge<'a> {
    /// Lower node.
    pub id: &'a str,
    /// Upper node.
    pub parent: &'a str,
    /// Weight of the cut that the edge stands for.
    pub weight: f64,
}

impl CutTreeBody {
    /// The two nodes whose cut is read off.
    fn pair(&self, snapshot: &Snapshot) -> Result<Option<(u32, u32)>, ServiceError> {
        let Some((a, b)) = &self.between else { return Ok(None) };
        let find = |id: &str| {
            node_index(snapshot, id)
                .map_err(|_| ServiceError::selector("between", snapshot.unknown_node(id)))
        };
        let (from, to) = (find(a)?, find(b)?);
        if from == to {
            return Err(impossible(
                "between",
                format!("{a} stands there twice; nothing separates a node from itself"),
                "name two different nodes",
            ));
        }
        Ok(Some((from, to)))
    }
}

impl Ask for CutTreeBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        rule(self.capacity.as_deref())?;
        self.pair(snapshot)?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        estimate(n as f64 * (n + m) as f64, 4e-8, cut_tree_memory(n, m))
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let (rule, capacity) = rule(self.capacity.as_deref())?;
        let pair = self.pair(snapshot)?;
        let found = cut_tree(snapshot, &rule, context.progress)?;
        let scale = found.scale as f64;
        let tree = &found.tree;
        let n = snapshot.node_count();
        // Node 0 is the root.
        let rows = Rows::write(n, |v| {
            (v > 0).then(|| TreeEdge {
                id: snapshot.id(v as u32),
                parent: snapshot.id(tree.parent[v]),
                weight: tree.weight[v] as f64 / scale,
            })
        })?;
        let answer = CutTreeAnswer {
            explanation: "Gomory-Hu tree of the undirected projection: the minimum cut between two \
                          nodes weighs as much as the lightest edge on their way in the tree; for \
                          directed cuts ask cuts",
            capacity,
            count: n.saturating_sub(1),
            between: pair.map(|(a, b)| PairCut {
                from: snapshot.id(a).to_owned(),
                to: snapshot.id(b).to_owned(),
                weight: tree.minimum_cut(a, b).map_or(0.0, |w| w as f64 / scale),
            }),
            exactness: exactness(
                snapshot,
                CutKind::Edge,
                found.scale,
                found.max_rounding_error,
                &found.left_out,
            ),
            edges: Rows::default(),
        };
        Ok(Draft::new(Projection::Undirected, &answer)?.with("edges", rows))
    }
}
