//! Centrality: how much of the network hangs on each node or link.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::measures::{About, Measure};
use super::rows::Rows;
use super::views::{Reads, turned, weighting};
use super::{Ask, Context, Draft, Projection, estimate, impossible, in_range, select, select_some};
use crate::analysis::centrality::{
    self as library, ApproximateOptions, BetweennessOptions, ClosenessOptions, DomiRankOptions,
    KatzOptions, PageRankOptions, Scores, Sources, Stop,
};
use crate::analysis::structure::Direction;
use crate::graph::{Csr, Snapshot};
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::explore::node_index;
use crate::service::jobs::Estimate;

/// A centrality question.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"measure": "betweenness", "normalized": true, "top": 10}))]
pub struct CentralityBody {
    /// Which centrality.
    pub measure: Measure,
    /// `none` (default; `quantity` for strength), `quantity`, `distance` (the flows' attribute
    /// `distance`, else 1 / quantity; for measures of shortest paths), or `attribute:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Which way along the flows; its meaning and default are in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Way>,
    /// Normalise; what that means is in the answer.
    #[serde(default)]
    pub normalized: bool,
    /// Betweenness only: estimate it within epsilon, with probability 1 - delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate: Option<Approximate>,
    /// Only the highest scores, highest first (default: all nodes, by id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Only scores of these nodes (scores are still of the whole graph).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// What single measures take.
    #[serde(default)]
    pub parameters: Parameters,
    /// Version of the graph (default: the newest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Which way along the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MeasureDirection)]
pub enum Way {
    /// Upstream.
    In,
    /// Downstream.
    Out,
    /// Both: the undirected projection.
    Both,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::In => Self::In,
            Way::Out => Self::Out,
            Way::Both => Self::Both,
        }
    }
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::In,
            Direction::Out => Self::Out,
            Direction::Both => Self::Both,
        }
    }
}

/// An estimate with a guarantee.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approximate {
    /// Greatest error of any node's normalised betweenness, above 0 and below 1.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Probability with which some node may exceed it, above 0 and below 1.
    #[serde(default = "default_delta")]
    pub delta: f64,
    /// Seed: the same seed gives the same scores.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_epsilon() -> f64 {
    ApproximateOptions::default().epsilon
}

fn default_delta() -> f64 {
    ApproximateOptions::default().delta
}

fn default_seed() -> u64 {
    ApproximateOptions::default().seed
}

/// What single measures take; each measure refuses what it has no use for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// PageRank: probability of following a flow rather than starting again (default 0.85).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damping: Option<f64>,
    /// PageRank: where to start again, as weights by node id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub personalization: BTreeMap<String, f64>,
    /// PageRank: start again at these nodes alike. Betweenness: paths that start at these nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Selector>,
    /// Betweenness: paths from so many nodes drawn at random, scaled up; no error bound (use
    /// `approximate` for one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Seed of `samples` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Katz: weight of one more step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Katz: weight of every node by itself (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// Dominance: competition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Dominance: score at which a node is fully dominant (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theta: Option<f64>,
    /// Collective influence: distance of the nodes that count (default 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<u32>,
    /// Group measures: the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Selector>,
    /// Iterative measures: when to stop (PageRank: bound on the L1 error, default 1e-9; others:
    /// largest change relative to the largest score, default 1e-10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Iterative measures: most sweeps (default 1000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
}

impl Parameters {
    /// Names of the parameters that were given.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("damping", self.damping.is_some()),
            ("personalization", !self.personalization.is_empty()),
            ("sources", self.sources.is_some()),
            ("samples", self.samples.is_some()),
            ("seed", self.seed.is_some()),
            ("alpha", self.alpha.is_some()),
            ("beta", self.beta.is_some()),
            ("sigma", self.sigma.is_some()),
            ("theta", self.theta.is_some()),
            ("radius", self.radius.is_some()),
            ("group", self.group.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("max_iterations", self.max_iterations.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// Scores and how they came about.
#[derive(Debug, Serialize, ToSchema)]
pub struct CentralityAnswer {
    /// The measure.
    pub measure: Measure,
    /// Formula and source.
    pub formula: &'static str,
    /// What `normalized` does to it.
    pub normalisation: &'static str,
    /// Whether scores are normalised.
    pub normalized: bool,
    /// How weights were read.
    pub weight: String,
    /// Which way along the flows.
    pub direction: Way,
    /// What that means here.
    pub direction_meaning: &'static str,
    /// Nodes (or links) with a score; `scores` may list fewer.
    pub count: usize,
    /// False if an iteration ended at its limit; `error` says how far it got.
    pub converged: bool,
    /// Sweeps of an iterative measure; 0 for direct ones.
    pub iterations: u32,
    /// Bound on the error, in the unit of the scores; null if exact up to rounding.
    pub error: Option<f64>,
    /// How an estimate was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approximation: Option<Approximation>,
    /// The group (group measures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Scores: by id, or with `top` highest first.
    #[serde(skip_serializing_if = "Rows::written_apart")]
    #[schema(value_type = Vec<Score<'static>>, required = true)]
    pub scores: Rows,
}

/// How an estimate was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Approximation {
    /// Greatest error allowed, on the normalised scale.
    pub epsilon: f64,
    /// Probability with which some node may exceed it.
    pub delta: f64,
    /// Seed.
    pub seed: u64,
    /// Paths sampled.
    pub samples: u64,
    /// Paths that would have been needed without looking at the data.
    pub most_samples: u64,
}

/// A group of nodes taken together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeGroup)]
pub struct Group {
    /// Its size.
    pub size: usize,
    /// Its nodes, by id (at most 1000).
    pub nodes: Vec<String>,
    /// Nodes outside that are connected to it.
    pub connected: u32,
    /// Sum of their distances.
    pub distance: f64,
}

/// One score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeScore)]
pub struct Score<'a> {
    /// Node; for edge betweenness `{from}..{to}`; for group measures `group`.
    pub id: &'a str,
    /// Score.
    pub score: f64,
    /// Supplier of the link (edge betweenness).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'a str>,
    /// Consumer of the link (edge betweenness).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<&'a str>,
    /// Hub score (HITS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<f64>,
    /// Authority score (HITS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<f64>,
}

/// A centrality as computed, before ids.
pub(super) struct Computed {
    pub scores: Scores,
    view: Arc<Csr>,
    hubs: Option<Vec<f64>>,
    authorities: Option<Vec<f64>>,
    /// Nodes that `scores` are of, if not all.
    of: Option<Vec<u32>>,
    approximation: Option<Approximation>,
    group: Option<Group>,
}

impl CentralityBody {
    /// A measure with nothing else said.
    pub fn of(measure: Measure) -> Self {
        Self {
            measure,
            weight: None,
            direction: None,
            normalized: false,
            approximate: None,
            top: None,
            select: None,
            parameters: Parameters::default(),
            at: None,
        }
    }

    fn direction(&self) -> Direction {
        self.direction.map_or(self.measure.about().direction, Direction::from)
    }

    fn projection(&self) -> Projection {
        let own_degree =
            matches!(self.measure, Measure::Degree | Measure::Strength | Measure::Core);
        if self.direction() == Direction::Both && !own_degree {
            Projection::Undirected
        } else {
            Projection::Directed
        }
    }

    fn check_parameters(&self, about: &About) -> Result<(), ServiceError> {
        if let Some(name) =
            self.parameters.given().into_iter().find(|name| !about.parameters.contains(name))
        {
            let takes = match about.parameters {
                [] => "it takes none".to_owned(),
                names => format!("it takes {}", names.join(", ")),
            };
            return Err(impossible(
                &format!("parameters.{name}"),
                format!("{} has no parameter {name}", self.measure.name()),
                &takes,
            ));
        }
        if self.approximate.is_some() && self.measure != Measure::Betweenness {
            return Err(impossible(
                "approximate",
                format!("{} is computed exactly", self.measure.name()),
                "leave approximate out; it is for betweenness",
            ));
        }
        let betweenness = [self.parameters.sources.is_some(), self.parameters.samples.is_some()];
        let ways =
            betweenness.iter().filter(|w| **w).count() + usize::from(self.approximate.is_some());
        if ways > 1 {
            return Err(impossible(
                "parameters",
                "approximate, parameters.samples and parameters.sources exclude each other",
                "keep one of them",
            ));
        }
        if let Some(Approximate { epsilon, delta, .. }) = self.approximate {
            for (name, value) in [("epsilon", epsilon), ("delta", delta)] {
                if !(value > 0.0 && value < 1.0) {
                    return Err(impossible(
                        name,
                        format!("{name} is {value}; it must be above 0 and below 1"),
                        "epsilon 0.01 and delta 0.1 are usual",
                    ));
                }
            }
        }
        if self.top == Some(0) {
            return Err(impossible("top", "top is 0", "ask for 1 at least, or leave it out"));
        }
        Ok(())
    }

    fn stop(&self) -> Stop {
        let stop = Stop::default();
        Stop {
            tolerance: self.parameters.tolerance.unwrap_or(stop.tolerance),
            max_iterations: self.parameters.max_iterations.unwrap_or(stop.max_iterations),
        }
    }

    /// Where PageRank starts again.
    fn preference(&self, snapshot: &Snapshot) -> Result<Option<Vec<f64>>, ServiceError> {
        let parameters = &self.parameters;
        let mut preference = vec![0.0; snapshot.node_count()];
        match (&parameters.sources, parameters.personalization.is_empty()) {
            (Some(_), false) => {
                return Err(impossible(
                    "parameters",
                    "sources and personalization exclude each other",
                    "keep one of them",
                ));
            }
            (Some(sources), true) => {
                for v in select(snapshot, "parameters.sources", sources)? {
                    preference[v as usize] = 1.0;
                }
            }
            (None, false) => {
                for (id, weight) in &parameters.personalization {
                    let v = node_index(snapshot, id).map_err(|_| {
                        let unknown = snapshot.unknown_node(id);
                        ServiceError::selector("parameters.personalization", unknown)
                    })?;
                    preference[v as usize] = *weight;
                }
            }
            (None, true) if self.measure == Measure::PersonalizedPagerank => {
                return Err(impossible(
                    "parameters",
                    "personalized_pagerank needs to know where to start again",
                    "give parameters.sources (a selector) or parameters.personalization (weights \
                     by node id)",
                ));
            }
            (None, true) => return Ok(None),
        }
        Ok(Some(preference))
    }

    fn sources(&self, snapshot: &Snapshot) -> Result<Sources, ServiceError> {
        Ok(match (&self.parameters.sources, self.parameters.samples) {
            (Some(sources), _) => Sources::Given(select(snapshot, "parameters.sources", sources)?),
            (None, Some(count)) => {
                let nodes = snapshot.node_count();
                in_range("parameters.samples", count, 1..=nodes.max(1))?;
                Sources::Sampled { count, seed: self.parameters.seed.unwrap_or(1) }
            }
            (None, None) => Sources::All,
        })
    }

    /// Computes the scores of every node (or link).
    pub(super) fn compute(&self, context: &Context<'_>) -> Result<Computed, ServiceError> {
        let about = self.measure.about();
        self.check_parameters(&about)?;
        let snapshot = context.snapshot;
        let progress = context.progress;
        let name = self.weight.as_deref().unwrap_or(about.weight);
        let (weights, _) = weighting(snapshot, name, about.reads)?;
        let plain = context.views.weighted(snapshot, &weights)?;
        let direction = self.direction();
        // Measures that walk one way get a view turned that way; others turn it themselves.
        let view = match self.measure {
            Measure::Hits if direction != Direction::Both => plain,
            Measure::Pagerank
            | Measure::PersonalizedPagerank
            | Measure::Eigenvector
            | Measure::Katz
            | Measure::Hits
            | Measure::Dominance => turned(&plain, direction, Reads::Strengths),
            // Turned round, every shortest path is one, but the source of a sample is its end.
            Measure::Betweenness | Measure::EdgeBetweenness | Measure::GroupBetweenness
                if direction == Direction::Both =>
            {
                turned(&plain, direction, Reads::Lengths)
            }
            _ => plain,
        };
        let mut computed = Computed {
            scores: Scores::exact(Vec::new()),
            view,
            hubs: None,
            authorities: None,
            of: None,
            approximation: None,
            group: None,
        };
        let view = computed.view.clone();
        let view = &*view;
        let normalized = self.normalized;
        let parameters = &self.parameters;
        computed.scores = match self.measure {
            Measure::Degree => library::degree(view, direction, normalized),
            Measure::Strength => library::strength(view, direction, normalized)?,
            Measure::Pagerank | Measure::PersonalizedPagerank => {
                let default = PageRankOptions::default();
                let options = PageRankOptions {
                    damping: parameters.damping.unwrap_or(default.damping),
                    preference: self.preference(snapshot)?,
                    tolerance: parameters.tolerance.unwrap_or(default.tolerance),
                    max_iterations: parameters.max_iterations.unwrap_or(default.max_iterations),
                };
                library::pagerank(view, &options, progress)?
            }
            Measure::Eigenvector => {
                let scores = library::eigenvector(view, self.stop(), progress)?;
                if normalized { by_largest(scores) } else { scores }
            }
            Measure::Katz => {
                let options = KatzOptions {
                    alpha: parameters.alpha,
                    beta: parameters.beta.unwrap_or(1.0),
                    normalized,
                    stop: self.stop(),
                };
                library::katz(view, &options, progress)?
            }
            Measure::Hits => {
                let found = library::hits(view, self.stop(), progress)?;
                let (mut hubs, mut authorities) = (found.hubs, found.authorities);
                if normalized {
                    (hubs, authorities) = (by_largest(hubs), by_largest(authorities));
                }
                computed.hubs = Some(hubs.scores.clone());
                computed.authorities = Some(authorities.scores.clone());
                if direction == Direction::Out { hubs } else { authorities }
            }
            Measure::Closeness | Measure::Harmonic => {
                computed.of = select_some(snapshot, "select", self.select.as_ref())?;
                let options = ClosenessOptions { direction, normalized, of: computed.of.clone() };
                if self.measure == Measure::Closeness {
                    library::closeness(view, &options, progress)?
                } else {
                    library::harmonic(view, &options, progress)?
                }
            }
            Measure::Betweenness => match self.approximate {
                Some(approximate) => {
                    let Approximate { epsilon, delta, seed } = approximate;
                    let options = ApproximateOptions { epsilon, delta, seed, normalized };
                    let found = library::approximate_betweenness(view, &options, progress)?;
                    computed.approximation = Some(Approximation {
                        epsilon,
                        delta,
                        seed,
                        samples: found.samples,
                        most_samples: found.most_samples,
                    });
                    found.scores
                }
                None => {
                    let sources = self.sources(snapshot)?;
                    let options = BetweennessOptions { sources, normalized };
                    library::betweenness(view, &options, progress)?
                }
            },
            Measure::EdgeBetweenness => {
                let sources = self.sources(snapshot)?;
                let options = BetweennessOptions { sources, normalized };
                library::edge_betweenness(view, &options, progress)?
            }
            Measure::Core => {
                let cores = library::core_numbers(view, direction, progress)?;
                let scores = Scores::exact(cores.into_iter().map(f64::from).collect());
                if normalized { by_largest(scores) } else { scores }
            }
            Measure::Dominance => {
                let options = DomiRankOptions {
                    sigma: parameters.sigma,
                    theta: parameters.theta.unwrap_or(1.0),
                    stop: self.stop(),
                };
                let scores = library::domirank(view, &options, progress)?;
                if normalized { by_largest(scores) } else { scores }
            }
            Measure::CollectiveInfluence => {
                let radius = parameters.radius.unwrap_or(2);
                let scores = library::collective_influence(view, direction, radius, progress)?;
                if normalized { by_largest(scores) } else { scores }
            }
            Measure::GroupBetweenness | Measure::GroupCloseness | Measure::GroupDegree => {
                let Some(selector) = &parameters.group else {
                    return Err(impossible(
                        "parameters.group",
                        format!("{} is of a group, but none is given", self.measure.name()),
                        "give parameters.group, a selector",
                    ));
                };
                let group = select(snapshot, "parameters.group", selector)?;
                let found = library::group_centrality(view, &group, direction, progress)?;
                let outside = (view.node_count() - group.len()) as f64;
                let score = match (self.measure, normalized) {
                    (Measure::GroupBetweenness, true) => found.betweenness_normalized,
                    (Measure::GroupBetweenness, false) => found.betweenness,
                    (Measure::GroupCloseness, false) => found.closeness,
                    (Measure::GroupCloseness, true) if outside > 0.0 => {
                        found.closeness * f64::from(found.connected) / outside
                    }
                    (Measure::GroupCloseness, true) => 0.0,
                    _ => found.degree,
                };
                computed.group = Some(Group {
                    size: group.len(),
                    nodes: super::ids(snapshot, &group[..group.len().min(1000)]),
                    connected: found.connected,
                    distance: found.distance,
                });
                Scores::exact(vec![score])
            }
        };
        Ok(computed)
    }
}

/// The scores divided by the largest.
fn by_largest(mut scores: Scores) -> Scores {
    let largest = scores.scores.iter().fold(0.0f64, |most, s| most.max(s.abs()));
    if largest > 0.0 {
        scores.scores.iter_mut().for_each(|s| *s /= largest);
        scores.error = scores.error.map(|e| e / largest);
    }
    scores
}

/// The positions of the highest scores, highest first, ties in order.
fn highest(scores: &[f64], among: &[u32], top: usize) -> Vec<u32> {
    let by_score =
        |&a: &u32, &b: &u32| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b));
    let mut ranked = among.to_vec();
    if top < ranked.len() {
        ranked.select_nth_unstable_by(top, by_score);
        ranked.truncate(top);
    }
    ranked.sort_unstable_by(by_score);
    ranked
}

impl Ask for CentralityBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError> {
        let about = self.measure.about();
        self.check_parameters(&about)?;
        weighting(snapshot, self.weight.as_deref().unwrap_or(about.weight), about.reads)?;
        select_some(snapshot, "select", self.select.as_ref())?;
        select_some(snapshot, "parameters.sources", self.parameters.sources.as_ref())?;
        select_some(snapshot, "parameters.group", self.parameters.group.as_ref())?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, threads: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        let (nodes, links) = (n as f64, m as f64);
        let view = 20 * m + 8 * n + 64 * n;
        let weighted = self.weight.as_deref().is_some_and(|w| w != "none");
        if let Some(approximate) = self.approximate {
            // Samples grow with 1 / epsilon where betweenness is small, as it is on large graphs;
            // a search from both ends looks at some hundreds of links.
            let samples = (nodes.max(2.0) / approximate.delta).ln() / approximate.epsilon * 4.0;
            return estimate(samples, 2e-5, view + threads * 40 * n);
        }
        if !self.measure.is_all_pairs() {
            let sweeps = if self.measure == Measure::CollectiveInfluence { 60.0 } else { 30.0 };
            return estimate(sweeps * (nodes + links), 4e-9, view);
        }
        let sources = match (&self.parameters.samples, &self.parameters.sources, &self.select) {
            (Some(samples), ..) => *samples as f64,
            (_, Some(selector), _) | (_, _, Some(selector))
                if self.parameters.sources.is_some()
                    || matches!(self.measure, Measure::Closeness | Measure::Harmonic) =>
            {
                snapshot.select(selector).map_or(nodes, |found| found.len() as f64)
            }
            _ => nodes,
        };
        let each = if weighted { 6e-8 } else { 5e-9 };
        let units = sources * (nodes + links) / threads.max(1) as f64;
        estimate(units, each, view + threads * (48 * n + 16 * m) + 64 * 8 * n)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let about = self.measure.about();
        let computed = self.compute(context)?;
        let name = self.weight.as_deref().unwrap_or(about.weight);
        let weight = match about.reads {
            Reads::Nothing => "none: every link counts 1".to_owned(),
            reads => weighting(snapshot, name, reads)?.1,
        };
        let selected = select_some(snapshot, "select", self.select.as_ref())?;
        let scores = &computed.scores.scores;
        let rows = if self.measure.is_group() {
            let score = scores[0];
            Rows::write(1, |_| Some(plain("group", score)))?
        } else if self.measure == Measure::EdgeBetweenness {
            self.links(snapshot, &computed, selected.as_deref())?
        } else {
            let all: Vec<u32>;
            // Positions in `scores`, which closeness of a selection has fewer of.
            let node_of = |k: u32| computed.of.as_ref().map_or(k, |of| of[k as usize]);
            let among: Option<&[u32]> = match (&computed.of, &selected) {
                (None, Some(selected)) => Some(selected),
                _ => None,
            };
            let listed: Option<Vec<u32>> = match (self.top, among) {
                (Some(top), Some(among)) => Some(highest(scores, among, top)),
                (Some(top), None) => {
                    all = (0..scores.len() as u32).collect();
                    Some(highest(scores, &all, top))
                }
                (None, Some(among)) => Some(among.to_vec()),
                (None, None) => None,
            };
            let count = listed.as_ref().map_or(scores.len(), Vec::len);
            Rows::write(count, |i| {
                let k = listed.as_ref().map_or(i as u32, |listed| listed[i]) as usize;
                let of = |values: &Option<Vec<f64>>| values.as_ref().map(|v| v[k]);
                Some(Score {
                    hub: of(&computed.hubs),
                    authority: of(&computed.authorities),
                    ..plain(snapshot.id(node_of(k as u32)), scores[k])
                })
            })?
        };
        let answer = CentralityAnswer {
            measure: self.measure,
            formula: about.formula,
            normalisation: about.normalisation,
            normalized: self.normalized,
            weight,
            direction: self.direction().into(),
            direction_meaning: about.directions,
            count: scores.len(),
            converged: computed.scores.converged,
            iterations: computed.scores.iterations,
            error: computed.scores.error,
            approximation: computed.approximation,
            group: computed.group,
            scores: Rows::default(),
        };
        Ok(Draft::new(self.projection(), &answer)?.with("scores", rows))
    }
}

impl CentralityBody {
    /// Scores of links; with a selection, of those with an end in it.
    fn links(
        &self,
        snapshot: &Snapshot,
        computed: &Computed,
        selected: Option<&[u32]>,
    ) -> Result<Rows, ServiceError> {
        let view = &computed.view;
        let scores = &computed.scores.scores;
        let mut from = Vec::with_capacity(scores.len());
        for v in view.nodes() {
            from.extend(view.edges_out(v).map(|_| v));
        }
        let undirected = self.direction() == Direction::Both;
        let wanted = |e: &u32| {
            let (u, v) = (from[*e as usize], view.target(*e as usize));
            let inside = selected.is_none_or(|s| [u, v].iter().any(|x| s.binary_search(x).is_ok()));
            // An undirected link stands in the view both ways, with one score.
            inside && !(undirected && u > v)
        };
        let mut listed: Vec<u32> = (0..scores.len() as u32).filter(wanted).collect();
        let both: Vec<f64>;
        let scores = if undirected {
            // Paths over it either way.
            let back = |e: usize| view.edge(view.target(e), from[e]).map_or(0.0, |b| scores[b]);
            let sum = |e: usize| scores[e] + back(e);
            both = (0..scores.len()).map(sum).collect();
            &both
        } else {
            scores
        };
        if let Some(top) = self.top {
            listed = highest(scores, &listed, top);
        }
        Rows::write(listed.len(), |i| {
            let e = listed[i] as usize;
            let (u, v) = (snapshot.id(from[e]), snapshot.id(view.target(e)));
            Some(LinkScore { id: format!("{u}..{v}"), score: scores[e], from: u, to: v })
        })
    }
}

/// Score of a link; its id is made, not borrowed.
#[derive(Serialize)]
struct LinkScore<'a> {
    id: String,
    score: f64,
    from: &'a str,
    to: &'a str,
}

fn plain(id: &str, score: f64) -> Score<'_> {
    Score { id, score, from: None, to: None, hub: None, authority: None }
}
