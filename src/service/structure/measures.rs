//! The centralities by name: what each computes, how it is normalised, how it reads weights.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::Reads;
use crate::analysis::structure::Direction;

/// A centrality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Number of suppliers (in), consumers (out) or both.
    Degree,
    /// Sum of the weights of flows.
    Strength,
    /// PageRank.
    Pagerank,
    /// PageRank that starts again at chosen nodes.
    PersonalizedPagerank,
    /// Eigenvector centrality.
    Eigenvector,
    /// Katz centrality.
    Katz,
    /// Hubs and authorities.
    Hits,
    /// Closeness.
    Closeness,
    /// Harmonic centrality.
    Harmonic,
    /// Betweenness of nodes.
    Betweenness,
    /// Betweenness of links.
    EdgeBetweenness,
    /// Core number.
    #[serde(alias = "k_core")]
    Core,
    /// DomiRank.
    #[serde(alias = "domirank")]
    Dominance,
    /// Collective influence.
    CollectiveInfluence,
    /// Betweenness of a group of nodes taken together.
    GroupBetweenness,
    /// Closeness of a group of nodes taken together.
    GroupCloseness,
    /// Share of the other nodes that are linked to a group.
    GroupDegree,
}

/// What users are told of a measure.
pub struct About {
    /// Formula and source.
    pub formula: &'static str,
    /// What `normalized` does.
    pub normalisation: &'static str,
    /// How weights are read.
    pub reads: Reads,
    /// Weight if none is named.
    pub weight: &'static str,
    /// Direction if none is named.
    pub direction: Direction,
    /// What `direction` means.
    pub directions: &'static str,
    /// Names of the parameters that it takes.
    pub parameters: &'static [&'static str],
}

const WALK: &str = "out: score passes from supplier to consumer; in: from consumer to supplier; \
                    both: on the undirected projection";
const PATHS: &str = "out and in: shortest paths along the flows (the same paths either way); both: \
                     on the undirected projection, each path counted both ways";
const DISTANCES: &str = "in: distances from the other nodes to the node; out: from the node to the \
                         others; both: on the undirected projection";
const BY_LARGEST: &str = "normalized: divided by the largest score";

impl Measure {
    /// Name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Degree => "degree",
            Self::Strength => "strength",
            Self::Pagerank => "pagerank",
            Self::PersonalizedPagerank => "personalized_pagerank",
            Self::Eigenvector => "eigenvector",
            Self::Katz => "katz",
            Self::Hits => "hits",
            Self::Closeness => "closeness",
            Self::Harmonic => "harmonic",
            Self::Betweenness => "betweenness",
            Self::EdgeBetweenness => "edge_betweenness",
            Self::Core => "core",
            Self::Dominance => "dominance",
            Self::CollectiveInfluence => "collective_influence",
            Self::GroupBetweenness => "group_betweenness",
            Self::GroupCloseness => "group_closeness",
            Self::GroupDegree => "group_degree",
        }
    }

    /// True if the score is that of a group.
    pub fn is_group(self) -> bool {
        matches!(self, Self::GroupBetweenness | Self::GroupCloseness | Self::GroupDegree)
    }

    /// True if the measure walks shortest paths from every node.
    pub fn is_all_pairs(self) -> bool {
        matches!(
            self,
            Self::Closeness
                | Self::Harmonic
                | Self::Betweenness
                | Self::EdgeBetweenness
                | Self::GroupBetweenness
                | Self::GroupCloseness
                | Self::GroupDegree
        )
    }

    /// Formula, normalisation, weights, directions, parameters.
    pub fn about(self) -> About {
        let spectral = About {
            formula: "",
            normalisation: BY_LARGEST,
            reads: Reads::Strengths,
            weight: "none",
            direction: Direction::Out,
            directions: WALK,
            parameters: &["tolerance", "max_iterations"],
        };
        let counting = About { reads: Reads::Nothing, parameters: &[], ..spectral };
        let paths = About {
            formula: "",
            normalisation: "",
            reads: Reads::Lengths,
            weight: "none",
            direction: Direction::Out,
            directions: PATHS,
            parameters: &["sources", "samples", "seed"],
        };
        match self {
            Self::Degree => About {
                formula: "number of suppliers (in), of consumers (out), or both added up; flows of \
                          several products between the same two nodes count once",
                normalisation: "normalized: divided by n - 1",
                direction: Direction::Both,
                directions: "in: suppliers; out: consumers; both: the sum of the two",
                ..counting
            },
            Self::Strength => About {
                formula: "sum of the weights that arrive (in), that leave (out), or both added up",
                normalisation: "normalized: divided by the sum of all weights",
                weight: "quantity",
                direction: Direction::Both,
                directions: "in: what arrives; out: what leaves; both: the sum of the two",
                parameters: &[],
                ..spectral
            },
            Self::Pagerank | Self::PersonalizedPagerank => About {
                formula: "x = d (P' x + g v) + (1 - d) v: P the row-normalised weights, d the \
                          damping, v the preference, g the mass of nodes without consumers, which \
                          starts again from v (Brin and Page 1998)",
                normalisation: "the scores add up to 1 either way; error bounds the sum of all \
                                errors (L1)",
                parameters: &[
                    "damping",
                    "personalization",
                    "sources",
                    "tolerance",
                    "max_iterations",
                ],
                ..spectral
            },
            Self::Eigenvector => About {
                formula: "x with A' x = lambda x for the greatest lambda, A the weights: a node is \
                          central if central nodes supply it (Bonacich 1972)",
                normalisation: "scaled to length 1 (L2); normalized: divided by the largest score \
                                instead",
                ..spectral
            },
            Self::Katz => About {
                formula: "x = alpha A' x + beta: walks that end at a node, each step discounted by \
                          alpha (Katz 1953); alpha is 0.5 / the greatest strength of a node's \
                          suppliers unless given",
                normalisation: "normalized: scaled to length 1 (L2), as NetworkX does by default",
                parameters: &["alpha", "beta", "tolerance", "max_iterations"],
                ..spectral
            },
            Self::Hits => About {
                formula: "authorities a = A' h, hubs h = A a, each scaled to sum 1 (Kleinberg \
                          1999); score is the authority (direction in, the default) or the hub \
                          (direction out)",
                normalisation: "the scores add up to 1; normalized: divided by the largest score \
                                instead",
                direction: Direction::In,
                directions: "in: score is the authority; out: score is the hub; both: on the \
                             undirected projection, where they are equal",
                ..spectral
            },
            Self::Closeness => About {
                formula: "r / sum of the distances to the r connected nodes (Freeman 1979); 0 \
                          without any",
                normalisation: "normalized: times r / (n - 1) (Wasserman and Faust), as NetworkX \
                                does by default",
                direction: Direction::In,
                directions: DISTANCES,
                parameters: &[],
                ..paths
            },
            Self::Harmonic => About {
                formula: "sum of 1 / distance over the connected nodes (Marchiori and Latora 2000)",
                normalisation: "normalized: divided by n - 1",
                direction: Direction::In,
                directions: DISTANCES,
                parameters: &[],
                ..paths
            },
            Self::Betweenness => About {
                formula: "sum over ordered pairs s != v != t of the share of shortest paths from s \
                          to t that pass through v (Freeman 1977), by Brandes' accumulation \
                          (2001); with approximate: sampled shortest paths (Riondato and \
                          Kornaropoulos 2016) until every error is within epsilon with \
                          probability 1 - delta",
                normalisation: "normalized: divided by (n - 1)(n - 2); epsilon is always on that \
                                scale",
                ..paths
            },
            Self::EdgeBetweenness => About {
                formula: "sum over ordered pairs of the share of shortest paths from s to t that \
                          take the link (Brandes 2008)",
                normalisation: "normalized: divided by n (n - 1)",
                ..paths
            },
            Self::Core => About {
                formula: "greatest k such that the node lies in a subgraph in which every node has \
                          degree k or more (Seidman 1983); self-loops do not count",
                direction: Direction::Both,
                directions: "which degree: suppliers (in), consumers (out), or both added up, as \
                             NetworkX does for directed graphs",
                ..counting
            },
            Self::Dominance => About {
                formula: "DomiRank (Engsig et al. 2024): (sigma A + I) G = sigma theta A 1, the \
                          steady state of a contest in which a node is pushed down by the nodes \
                          that it supplies; sigma is 0.9 / the greatest strength of a node's \
                          consumers unless given",
                parameters: &["sigma", "theta", "tolerance", "max_iterations"],
                ..spectral
            },
            Self::CollectiveInfluence => About {
                formula: "(k(v) - 1) x sum of (k(u) - 1) over the nodes u at distance radius from \
                          v, k the number of links in the direction asked for (Morone and Makse \
                          2015); radius 2 unless given",
                directions: "out: consumers and what they supply; in: suppliers; both: on the \
                             undirected projection",
                parameters: &["radius"],
                ..counting
            },
            Self::GroupBetweenness => About {
                formula: "sum over ordered pairs outside the group of the share of shortest paths \
                          that pass through the group (Everett and Borgatti 1999)",
                normalisation: "normalized: divided by (n - g)(n - g - 1) for a group of g",
                directions: PATHS,
                parameters: &["group"],
                ..counting
            },
            Self::GroupCloseness => About {
                formula: "number of nodes outside the group that are connected to it / sum of \
                          their distances (Everett and Borgatti 1999)",
                normalisation: "normalized: times the share of the nodes outside that are \
                                connected",
                direction: Direction::In,
                directions: "in: from the others to the group, as NetworkX; out: from the group to \
                             the others; both: on the undirected projection",
                parameters: &["group"],
                ..counting
            },
            Self::GroupDegree => About {
                formula: "share of the nodes outside the group that are linked to it (Everett and \
                          Borgatti 1999)",
                normalisation: "a share either way",
                directions: "out: consumers of the group; in: its suppliers; both: either",
                parameters: &["group"],
                ..counting
            },
        }
    }
}
