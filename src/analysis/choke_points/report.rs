//! Choke points of a snapshot: all kinds side by side, with what each separates and the flow that
//! depends on it.

use super::dominators::{Dominator, DominatorTree, Subtrees};
use super::strong::{StrongChokePoints, strong_choke_points};
use super::undirected::{Biconnectivity, biconnectivity, smallest};
use crate::analysis::{Cancelled, Progress};
use crate::graph::{Csr, Snapshot};

/// Kinds of choke points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChokeKind {
    /// Node that splits its component of the undirected projection.
    Articulation,
    /// Pair of nodes whose link, taken both ways, splits its component of the undirected
    /// projection.
    Bridge,
    /// Node on every path from the sources to at least one other node (with targets: to at least
    /// one other target).
    Dominator,
    /// Link on every path from the sources to at least one node (with targets: to at least one
    /// target).
    DominatorLink,
    /// Node on every path from at least one other node to the targets. Needs targets.
    PostDominator,
    /// Node that breaks its strongly connected component.
    StrongArticulation,
    /// Link that breaks its strongly connected component.
    StrongBridge,
}

impl ChokeKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Articulation,
        Self::Bridge,
        Self::Dominator,
        Self::DominatorLink,
        Self::PostDominator,
        Self::StrongArticulation,
        Self::StrongBridge,
    ];

    /// True if the kind looks at the undirected projection: who supplies whom does not matter.
    pub fn is_undirected(self) -> bool {
        matches!(self, Self::Articulation | Self::Bridge)
    }
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct ChokeOptions {
    /// Where supply starts; `None`: nodes without suppliers ([`default_sources`]).
    pub sources: Option<Vec<u32>>,
    /// What must be reached; `None`: everything.
    pub targets: Option<Vec<u32>>,
    /// Kinds wanted.
    pub kinds: Vec<ChokeKind>,
    /// Most choke points of each kind in the answer, the worst first.
    pub limit: usize,
    /// Most separated nodes listed with each choke point.
    pub list: usize,
}

impl Default for ChokeOptions {
    fn default() -> Self {
        let kinds = ChokeKind::ALL.to_vec();
        Self { sources: None, targets: None, kinds, limit: 100, list: 20 }
    }
}

/// Where a choke point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A node.
    Node(u32),
    /// All flows from the first node to the second; for [`ChokeKind::Bridge`] both ways.
    Link(u32, u32),
}

/// One choke point.
#[derive(Debug, Clone, PartialEq)]
pub struct ChokePoint {
    /// Kind.
    pub kind: ChokeKind,
    /// Where.
    pub place: Place,
    /// Number of nodes that it separates, itself not included: from the sources (dominators),
    /// from the targets (post-dominators), or from the largest part that is left (the others).
    pub separated: u32,
    /// The separated nodes, ascending, at most [`ChokeOptions::list`] of them.
    pub nodes: Vec<u32>,
    /// How many of the separated nodes are targets, if there are targets and the kind is a
    /// dominator.
    pub separated_targets: Option<u32>,
    /// Dominators with targets: true if no other target is reached without it.
    pub cuts_all_targets: bool,
    /// Sizes of the parts that are left of its component, largest first (at most 100). Empty for
    /// dominators, and for strong choke points of components too large for it (see
    /// [`choke_points`]); then `separated` is the number of ways lost to or from the hub.
    pub parts: Vec<u32>,
    /// Quantity per year through it: the greater of what enters and what leaves a node; what the
    /// flows of a link carry.
    pub flow: f64,
    /// Quantity per year that leaves the separated nodes: supply that hangs on it besides its own.
    pub separated_flow: f64,
    /// (`flow` + `separated_flow`) as a share of the quantity of all flows, at most 1. Units
    /// differ between products, so read it as a rank.
    pub flow_share: f64,
}

/// Answer of [`choke_points`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChokePoints {
    /// Choke points by kind in the order asked for, within a kind the worst first: by separated
    /// targets, separated nodes, flow, then index.
    pub points: Vec<ChokePoint>,
    /// How many of each kind there are, listed or not.
    pub totals: Vec<(ChokeKind, u32)>,
    /// Number of sources used (dominators only).
    pub sources: u32,
    /// Number of nodes that the sources reach, themselves included.
    pub reached: u32,
    /// Targets that no source reaches, ascending: cut off as things are.
    pub unreached_targets: Vec<u32>,
    /// Number of components of the undirected projection, if asked for one of its kinds.
    pub components: Option<u32>,
}

impl ChokePoints {
    /// The distinct nodes among the choke points, ascending: candidates for the single point of
    /// failure test under the production rules, which is not a matter of structure.
    pub fn nodes(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = self
            .points
            .iter()
            .filter_map(|p| match p.place {
                Place::Node(v) => Some(v),
                Place::Link(..) => None,
            })
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

/// A question about choke points that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChokeError {
    /// Stopped on request.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// No node is a source.
    #[error(
        "dominators need a source, but every node has a supplier; name the sources with \"from\""
    )]
    NoSources,
    /// Post-dominators without targets.
    #[error("post-dominators need targets; name them with \"to\"")]
    NoTargets,
    /// A node index outside the graph.
    #[error("node index {0} is outside the graph")]
    UnknownNode(u32),
}

/// Nodes without suppliers other than themselves, ascending.
pub fn default_sources(csr: &Csr) -> Vec<u32> {
    csr.nodes().filter(|&v| csr.suppliers(v).iter().all(|&u| u == v)).collect()
}

/// Bytes that [`choke_points`] needs beside the snapshot, at most.
pub fn choke_points_memory(nodes: usize, flows: usize) -> usize {
    // The view, its part inside components, the greatest of the searches, and the sums.
    2 * (8 * nodes + 8 * flows) + 60 * nodes
}

/// The most edges that are looked at to say exactly how strong choke points split their
/// components: over it the parts are left out.
const PARTS_BUDGET: usize = 20_000_000;
const MOST_PARTS: usize = 100;

/// Finds the choke points of a snapshot.
///
/// Everything is linear or close to it, but for the exact parts of strong choke points, which
/// take one search of the component for each one listed (up to 20 million edges in all; beyond
/// that `parts` stays empty).
///
/// # Errors
/// See [`ChokeError`]. An empty graph is no error: it has no choke points.
pub fn choke_points(
    snapshot: &Snapshot,
    options: &ChokeOptions,
    progress: &Progress,
) -> Result<ChokePoints, ChokeError> {
    let n = snapshot.node_count() as u32;
    let named = options.sources.iter().chain(&options.targets).flatten();
    if let Some(&bad) = named.clone().find(|&&v| v >= n) {
        return Err(ChokeError::UnknownNode(bad));
    }
    let csr = Csr::links(snapshot);
    let mut kinds = options.kinds.clone();
    let mut seen = Vec::new();
    kinds.retain(|k| {
        !seen.contains(k) && {
            seen.push(*k);
            true
        }
    });
    progress.start(kinds.len() as u64);
    let mut search = Search {
        snapshot,
        csr,
        options,
        total: snapshot.quantities().iter().sum(),
        answer: ChokePoints::default(),
        strong: None,
        undirected: None,
        forward: None,
    };
    for kind in kinds {
        let mut found = match kind {
            ChokeKind::Articulation => search.articulations(),
            ChokeKind::Bridge => search.bridges(),
            ChokeKind::Dominator => search.dominators()?,
            ChokeKind::DominatorLink => search.dominator_links()?,
            ChokeKind::PostDominator => search.post_dominators()?,
            ChokeKind::StrongArticulation | ChokeKind::StrongBridge => {
                search.strong(kind, progress)?
            }
        };
        search.answer.totals.push((kind, found.total));
        search.answer.points.append(&mut found.points);
        progress.advance(1)?;
    }
    Ok(search.answer)
}

struct Found {
    points: Vec<ChokePoint>,
    total: u32,
}

struct Forward {
    tree: DominatorTree,
    subtrees: Subtrees,
    out_strength: Vec<f64>,
    targets_below: Option<Vec<u32>>,
    reached_targets: u32,
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    csr: Csr,
    options: &'a ChokeOptions,
    total: f64,
    answer: ChokePoints,
    strong: Option<StrongChokePoints>,
    undirected: Option<Biconnectivity>,
    forward: Option<Forward>,
}

/// A candidate before the costly parts are filled in. Ordered worst first.
struct Candidate {
    place: Place,
    separated: u32,
    targets: u32,
    index: usize,
}

impl Search<'_> {
    fn through(&self, place: Place, both_ways: bool) -> f64 {
        let s = self.snapshot;
        let link = |u: u32, v: u32| -> f64 {
            s.flows_out(u).filter(|&e| s.flow_to(e) == v).map(|e| s.quantity(e)).sum()
        };
        match place {
            Place::Node(v) => s.in_strength(v).max(s.out_strength(v)),
            Place::Link(u, v) if both_ways => link(u, v) + link(v, u),
            Place::Link(u, v) => link(u, v),
        }
    }

    /// The worst candidates: by targets, separated nodes, flow through, then place.
    fn worst(&self, mut all: Vec<Candidate>, kind: ChokeKind) -> (Vec<Candidate>, u32) {
        let total = all.len() as u32;
        let both = kind == ChokeKind::Bridge;
        all.sort_by_cached_key(|c| {
            let flow = self.through(c.place, both);
            // Flows are not negative, so the order of their bits is their order.
            (std::cmp::Reverse((c.targets, c.separated, flow.to_bits())), c.place)
        });
        all.truncate(self.options.limit);
        (all, total)
    }

    fn point(&self, kind: ChokeKind, place: Place, nodes: Vec<u32>, below: f64) -> ChokePoint {
        let flow = self.through(place, kind == ChokeKind::Bridge);
        let share = if self.total > 0.0 { ((flow + below) / self.total).min(1.0) } else { 0.0 };
        ChokePoint {
            kind,
            place,
            separated: 0,
            nodes,
            separated_targets: None,
            cuts_all_targets: false,
            parts: Vec::new(),
            flow,
            separated_flow: below,
            flow_share: share,
        }
    }

    fn strength_of(&self, nodes: &[u32]) -> f64 {
        nodes.iter().map(|&v| self.snapshot.out_strength(v)).sum()
    }

    fn undirected(&mut self) -> Biconnectivity {
        let found = self.undirected.take().unwrap_or_else(|| biconnectivity(&self.csr, false));
        self.answer.components = Some(found.components);
        found
    }

    fn articulations(&mut self) -> Found {
        let found = self.undirected();
        let all = found.articulations.iter().enumerate().map(|(index, a)| Candidate {
            place: Place::Node(a.node),
            separated: a.parts[1..].iter().sum(),
            targets: 0,
            index,
        });
        let (worst, total) = self.worst(all.collect(), ChokeKind::Articulation);
        let points = worst
            .into_iter()
            .map(|c| {
                let separated = found.separated_by_articulation(c.index, usize::MAX);
                let mut parts = found.articulations[c.index].parts.clone();
                parts.truncate(MOST_PARTS);
                ChokePoint {
                    separated: c.separated,
                    parts,
                    ..self.listed(ChokeKind::Articulation, c.place, separated)
                }
            })
            .collect();
        self.undirected = Some(found);
        Found { points, total }
    }

    fn bridges(&mut self) -> Found {
        let found = self.undirected();
        let all = found.bridges.iter().enumerate().map(|(index, b)| Candidate {
            place: Place::Link(b.ends.0, b.ends.1),
            separated: b.parts.1,
            targets: 0,
            index,
        });
        let (worst, total) = self.worst(all.collect(), ChokeKind::Bridge);
        let points = worst
            .into_iter()
            .map(|c| {
                let parts = found.bridges[c.index].parts;
                let separated = found.separated_by_bridge(c.index, usize::MAX);
                ChokePoint {
                    separated: c.separated,
                    parts: vec![parts.0, parts.1],
                    ..self.listed(ChokeKind::Bridge, c.place, separated)
                }
            })
            .collect();
        self.undirected = Some(found);
        Found { points, total }
    }

    /// A point with its separated nodes summed up and the list cut to size.
    fn listed(&self, kind: ChokeKind, place: Place, mut separated: Vec<u32>) -> ChokePoint {
        let below = self.strength_of(&separated);
        let count = separated.len() as u32;
        separated.truncate(self.options.list);
        ChokePoint { separated: count, ..self.point(kind, place, separated, below) }
    }

    fn forward(&mut self) -> Result<Forward, ChokeError> {
        if let Some(forward) = self.forward.take() {
            return Ok(forward);
        }
        let sources = match &self.options.sources {
            Some(sources) => sources.clone(),
            None => default_sources(&self.csr),
        };
        if sources.is_empty() && self.csr.node_count() > 0 {
            return Err(ChokeError::NoSources);
        }
        let tree = DominatorTree::build(self.csr.outgoing(), self.csr.incoming(), &sources);
        let mut distinct = sources;
        distinct.sort_unstable();
        distinct.dedup();
        self.answer.sources = distinct.len() as u32;
        self.answer.reached = tree.reached() as u32;
        let is_target = self.target_marks();
        if let Some(marks) = &is_target {
            let unreached = self.csr.nodes().filter(|&v| marks[v as usize] && !tree.is_reached(v));
            self.answer.unreached_targets = unreached.collect();
        }
        let targets_below = is_target.as_ref().map(|m| tree.subtree_counts(|v| m[v as usize]));
        let reached_targets = is_target.as_ref().map_or(0, |m| {
            self.csr.nodes().filter(|&v| m[v as usize] && tree.is_reached(v)).count() as u32
        });
        Ok(Forward {
            out_strength: tree.subtree_sums(|v| self.snapshot.out_strength(v)),
            subtrees: tree.subtrees(),
            tree,
            targets_below,
            reached_targets,
        })
    }

    fn target_marks(&self) -> Option<Vec<bool>> {
        self.options.targets.as_ref().map(|targets| {
            let mut marks = vec![false; self.csr.node_count()];
            for &t in targets {
                marks[t as usize] = true;
            }
            marks
        })
    }

    fn dominators(&mut self) -> Result<Found, ChokeError> {
        let f = self.forward()?;
        let marks = self.target_marks();
        let own = |v: u32| marks.as_ref().map_or(0, |m| u32::from(m[v as usize]));
        let mut all = Vec::new();
        for v in self.csr.nodes() {
            let separated = f.subtrees.size(v).saturating_sub(1);
            let targets = f.targets_below.as_ref().map_or(0, |t| t[v as usize]);
            let targets = targets.saturating_sub(own(v));
            if separated > 0 && (targets > 0 || f.targets_below.is_none()) {
                all.push(Candidate { place: Place::Node(v), separated, targets, index: 0 });
            }
        }
        let (worst, total) = self.worst(all, ChokeKind::Dominator);
        let points = worst
            .into_iter()
            .filter_map(|c| match c.place {
                Place::Node(v) => Some((v, c)),
                Place::Link(..) => None,
            })
            .map(|(v, c)| {
                let nodes = smallest(f.subtrees.below(v).iter().copied(), self.options.list);
                let below = f.out_strength[v as usize] - self.snapshot.out_strength(v);
                ChokePoint {
                    separated: c.separated,
                    separated_targets: f.targets_below.is_some().then_some(c.targets),
                    cuts_all_targets: c.targets > 0 && c.targets + own(v) == f.reached_targets,
                    ..self.point(ChokeKind::Dominator, c.place, nodes, below.max(0.0))
                }
            })
            .collect();
        self.forward = Some(f);
        Ok(Found { points, total })
    }

    fn dominator_links(&mut self) -> Result<Found, ChokeError> {
        let f = self.forward()?;
        let mut all = Vec::new();
        for v in self.csr.nodes() {
            let Dominator::Node(u) = f.tree.immediate(v) else { continue };
            let targets = f.targets_below.as_ref().map_or(0, |t| t[v as usize]);
            if f.targets_below.is_some() && targets == 0 {
                continue;
            }
            // Every other way in comes from below v, or from where no source reaches.
            let only = self
                .csr
                .suppliers(v)
                .iter()
                .all(|&w| w == u || f.subtrees.dominates(v, w) || !f.tree.is_reached(w));
            if only {
                let place = Place::Link(u, v);
                all.push(Candidate { place, separated: f.subtrees.size(v), targets, index: 0 });
            }
        }
        let (worst, total) = self.worst(all, ChokeKind::DominatorLink);
        let points = worst
            .into_iter()
            .filter_map(|c| match c.place {
                Place::Link(_, v) => Some((v, c)),
                Place::Node(_) => None,
            })
            .map(|(v, c)| {
                let below = f.subtrees.below(v).iter().copied().chain([v]);
                let nodes = smallest(below, self.options.list);
                ChokePoint {
                    separated: c.separated,
                    separated_targets: f.targets_below.is_some().then_some(c.targets),
                    cuts_all_targets: c.targets > 0 && c.targets == f.reached_targets,
                    ..self.point(
                        ChokeKind::DominatorLink,
                        c.place,
                        nodes,
                        f.out_strength[v as usize],
                    )
                }
            })
            .collect();
        self.forward = Some(f);
        Ok(Found { points, total })
    }

    fn post_dominators(&mut self) -> Result<Found, ChokeError> {
        let targets = match &self.options.targets {
            Some(targets) if !targets.is_empty() => targets.clone(),
            _ if self.csr.node_count() == 0 => return Ok(Found { points: Vec::new(), total: 0 }),
            _ => return Err(ChokeError::NoTargets),
        };
        let tree = DominatorTree::build(self.csr.incoming(), self.csr.outgoing(), &targets);
        let subtrees = tree.subtrees();
        let strength = tree.subtree_sums(|v| self.snapshot.out_strength(v));
        let all = self.csr.nodes().filter(|&v| subtrees.size(v) > 1).map(|v| Candidate {
            place: Place::Node(v),
            separated: subtrees.size(v) - 1,
            targets: 0,
            index: v as usize,
        });
        let (worst, total) = self.worst(all.collect(), ChokeKind::PostDominator);
        let points = worst
            .into_iter()
            .map(|c| {
                let v = c.index as u32;
                let nodes = smallest(subtrees.below(v).iter().copied(), self.options.list);
                let below = strength[v as usize] - self.snapshot.out_strength(v);
                ChokePoint {
                    separated: c.separated,
                    ..self.point(ChokeKind::PostDominator, c.place, nodes, below.max(0.0))
                }
            })
            .collect();
        Ok(Found { points, total })
    }

    fn strong(&mut self, kind: ChokeKind, progress: &Progress) -> Result<Found, ChokeError> {
        let found = match self.strong.take() {
            Some(found) => found,
            None => strong_choke_points(&self.csr, progress)?,
        };
        let all: Vec<Candidate> = if kind == ChokeKind::StrongArticulation {
            let candidate = |a: &super::StrongArticulation| Candidate {
                place: Place::Node(a.node),
                // The hub of a component is no farther from itself: count it as one of the worst.
                separated: if a.lost_ways == 0 { a.component_size } else { a.lost_ways },
                targets: 0,
                index: 0,
            };
            found.articulations.iter().map(candidate).collect()
        } else {
            let candidate = |b: &super::StrongBridge| Candidate {
                place: Place::Link(b.from, b.to),
                separated: b.lost_ways,
                targets: 0,
                index: 0,
            };
            found.bridges.iter().map(candidate).collect()
        };
        let (worst, total) = self.worst(all, kind);
        let mut budget = PARTS_BUDGET;
        let mut points = Vec::new();
        for c in worst {
            progress.check()?;
            let (Place::Node(at) | Place::Link(at, _)) = c.place;
            let work = found.component_edges(at);
            if work > budget {
                let point = self.point(kind, c.place, Vec::new(), 0.0);
                points.push(ChokePoint { separated: c.separated, ..point });
                continue;
            }
            budget -= work;
            let parts = match c.place {
                Place::Node(v) => found.parts_without_node(v),
                Place::Link(u, v) => found.parts_without_link(u, v),
            };
            let mut separated: Vec<u32> = parts[1..].iter().flatten().copied().collect();
            separated.sort_unstable();
            points.push(ChokePoint {
                parts: parts.iter().map(|p| p.len() as u32).take(MOST_PARTS).collect(),
                ..self.listed(kind, c.place, separated)
            });
        }
        points.sort_by_key(|p| std::cmp::Reverse(p.separated));
        self.strong = Some(found);
        Ok(Found { points, total })
    }
}
