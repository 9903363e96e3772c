//! Communities by the Leiden algorithm (Traag, Waltman and van Eck 2019).
//!
//! Works on the undirected projection, with the weights of both directions added up: communities
//! are groups that trade with each other, whoever supplies whom. Self-loops count as a node's own
//! weight. Every community is connected.

use std::collections::VecDeque;
use std::ops::Add;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use super::error::{StructureError, require};
use super::traverse::require_strengths;
use crate::analysis::Progress;
use crate::graph::Csr;

/// What makes a partition good. w: weight inside a community (each edge once), W: all weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quality {
    /// Modularity: sum over communities of w / W - resolution x (K / 2W)^2, with K the sum of the
    /// strengths of its nodes (Newman and Girvan 2004; resolution after Reichardt and Bornholdt).
    #[default]
    Modularity,
    /// Constant Potts model: sum of w - resolution x s (s - 1) / 2, with s its number of nodes
    /// (Traag, Van Dooren and Nesterov 2011). Free of the resolution limit.
    ConstantPotts,
}

/// How to look for communities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommunityOptions {
    /// What to maximise.
    pub quality: Quality,
    /// Above 0; higher gives more and smaller communities.
    pub resolution: f64,
    /// Seed of the order in which nodes are tried.
    pub seed: u64,
    /// Most rounds; one that improves almost nothing is the last.
    pub max_rounds: u32,
}

impl Default for CommunityOptions {
    fn default() -> Self {
        Self { quality: Quality::Modularity, resolution: 1.0, seed: 1, max_rounds: 10 }
    }
}

/// A partition into communities.
#[derive(Debug, Clone, PartialEq)]
pub struct Communities {
    /// Community of each node, numbered from the largest down (ties: least node first).
    pub community: Vec<u32>,
    /// Nodes of each community.
    pub sizes: Vec<u32>,
    /// Quality reached.
    pub quality: f64,
    /// Rounds used.
    pub rounds: u32,
    /// False if `max_rounds` ended the search.
    pub converged: bool,
}

/// A round that gains less than this share of all weight is the last.
const ENOUGH: f64 = 1e-5;

/// Randomness of the refinement: low values prefer the best merge.
const REFINEMENT: f64 = 0.01;

/// Finds communities.
///
/// # Errors
/// A resolution that is not above 0, no rounds, a negative weight; [`StructureError::Cancelled`].
pub fn communities(
    csr: &Csr,
    options: &CommunityOptions,
    progress: &Progress,
) -> Result<Communities, StructureError> {
    let resolution = options.resolution;
    require(resolution > 0.0 && resolution.is_finite(), "resolution", resolution, "above 0")?;
    require(options.max_rounds > 0, "max_rounds", 0, "at least 1")?;
    require_strengths(csr)?;
    let base = Level::new(&csr.undirected(f64::add), options.quality);
    let total = base.total_weight();
    // Gains are in units of weight: modularity's penalty is K^2 / 2W.
    let gamma = match options.quality {
        Quality::Modularity if total > 0.0 => resolution / (2.0 * total),
        Quality::Modularity => 0.0,
        Quality::ConstantPotts => resolution,
    };
    let mut rng = Pcg64::seed_from_u64(options.seed);
    let mut community: Vec<u32> = csr.nodes().collect();
    let (mut rounds, mut converged) = (0, false);
    progress.start(u64::from(options.max_rounds));
    while rounds < options.max_rounds && !converged {
        rounds += 1;
        let before = base.quality(&community, gamma);
        // Nodes of the base graph -> nodes of the level at hand.
        let mut node_of: Vec<u32> = csr.nodes().collect();
        let mut level = base.clone();
        let mut parts = community.clone();
        loop {
            progress.check()?;
            level.move_nodes(&mut parts, gamma, &mut rng);
            let refined = level.refine(&parts, gamma, &mut rng);
            let (refined, count) = renumber(&refined);
            if count == level.len() {
                break;
            }
            let mut next_parts = vec![0; count];
            for (v, &r) in refined.iter().enumerate() {
                next_parts[r as usize] = parts[v];
            }
            level = level.aggregate(&refined, count);
            parts = renumber(&next_parts).0;
            for node in &mut node_of {
                *node = refined[*node as usize];
            }
        }
        let found: Vec<u32> = node_of.iter().map(|&node| parts[node as usize]).collect();
        let found = base.split_disconnected(&found);
        let gain = base.quality(&found, gamma) - before;
        converged = gain <= ENOUGH * total;
        if gain > 0.0 {
            community = found;
        }
        progress.advance(1)?;
    }
    let (community, sizes) = by_size(&community);
    let gain = base.quality(&community, gamma);
    let quality = match options.quality {
        Quality::Modularity if total > 0.0 => gain / total,
        Quality::Modularity => 0.0,
        Quality::ConstantPotts => gain,
    };
    Ok(Communities { community, sizes, quality, rounds, converged })
}

/// Bytes that a run takes beside the view.
pub fn community_bytes(csr: &Csr) -> u64 {
    // The undirected graph, two levels of it, the links of the next one.
    (csr.edge_count() * 2 * (20 + 12 + 12 + 16) + csr.node_count() * 100) as u64
}

/// Numbers in order of first appearance, and how many there are.
fn renumber(labels: &[u32]) -> (Vec<u32>, usize) {
    let most = labels.iter().max().map_or(0, |&m| m as usize + 1);
    let mut number = vec![u32::MAX; most];
    let mut count = 0;
    let renumbered = labels
        .iter()
        .map(|&label| {
            let slot = &mut number[label as usize];
            if *slot == u32::MAX {
                *slot = count;
                count += 1;
            }
            *slot
        })
        .collect();
    (renumbered, count as usize)
}

fn by_size(community: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let (community, count) = renumber(community);
    let mut sizes = vec![0u32; count];
    community.iter().for_each(|&c| sizes[c as usize] += 1);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&c| (std::cmp::Reverse(sizes[c]), c));
    let mut rank = vec![0u32; count];
    for (place, &c) in order.iter().enumerate() {
        rank[c] = place as u32;
    }
    let community = community.into_iter().map(|c| rank[c as usize]).collect();
    (community, order.into_iter().map(|c| sizes[c]).collect())
}

/// A graph of nodes that stand for groups of base nodes.
#[derive(Debug, Clone)]
struct Level {
    start: Vec<u32>,
    /// Neighbours, without self-loops.
    neighbor: Vec<u32>,
    weight: Vec<f64>,
    /// Weight inside each node, each edge once.
    inside: Vec<f64>,
    /// What the penalty counts: strength (modularity) or number of base nodes (Potts).
    size: Vec<f64>,
    quality: Quality,
}

impl Level {
    fn new(undirected: &Csr, quality: Quality) -> Self {
        let n = undirected.node_count();
        let mut level = Self {
            start: vec![0],
            neighbor: Vec::new(),
            weight: Vec::new(),
            inside: vec![0.0; n],
            size: vec![1.0; n],
            quality,
        };
        for v in undirected.nodes() {
            let mut strength = 0.0;
            for e in undirected.edges_out(v) {
                let w = undirected.target(e);
                if w == v {
                    level.inside[v as usize] = undirected.weight(e);
                    strength += 2.0 * undirected.weight(e);
                } else {
                    level.neighbor.push(w);
                    level.weight.push(undirected.weight(e));
                    strength += undirected.weight(e);
                }
            }
            level.start.push(level.neighbor.len() as u32);
            if quality == Quality::Modularity {
                level.size[v as usize] = strength;
            }
        }
        level
    }

    fn len(&self) -> usize {
        self.inside.len()
    }

    fn links(&self, v: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.start[v] as usize..self.start[v + 1] as usize;
        self.neighbor[range.clone()]
            .iter()
            .map(|&w| w as usize)
            .zip(self.weight[range].iter().copied())
    }

    fn total_weight(&self) -> f64 {
        self.inside.iter().sum::<f64>() + self.weight.iter().sum::<f64>() / 2.0
    }

    /// Gives every connected part of a community a label of its own, which never loses quality.
    fn split_disconnected(&self, community: &[u32]) -> Vec<u32> {
        let mut part = vec![u32::MAX; self.len()];
        let mut stack = Vec::new();
        for root in 0..self.len() {
            if part[root] != u32::MAX {
                continue;
            }
            part[root] = root as u32;
            stack.push(root);
            while let Some(v) = stack.pop() {
                for (w, _) in self.links(v) {
                    if part[w] == u32::MAX && community[w] == community[v] {
                        part[w] = root as u32;
                        stack.push(w);
                    }
                }
            }
        }
        part
    }

    /// Weight inside communities less the penalty.
    fn quality(&self, community: &[u32], gamma: f64) -> f64 {
        let count = community.iter().max().map_or(0, |&c| c as usize + 1);
        let mut size = vec![0.0; count];
        let mut inside = 0.0;
        let mut own = 0.0;
        for v in 0..self.len() {
            size[community[v] as usize] += self.size[v];
            own += self.size[v];
            inside += self.inside[v];
            for (w, weight) in self.links(v) {
                if community[w] == community[v] {
                    inside += weight / 2.0;
                }
            }
        }
        let squares: f64 = size.iter().map(|s| s * s).sum();
        let penalty = match self.quality {
            Quality::Modularity => gamma * squares / 2.0,
            Quality::ConstantPotts => gamma * (squares - own) / 2.0,
        };
        inside - penalty
    }

    /// Moves nodes to the neighbouring community (or an empty one) with the highest gain until no
    /// move gains; a node is looked at again when a neighbour has moved away from it.
    fn move_nodes(&self, community: &mut [u32], gamma: f64, rng: &mut Pcg64) {
        let n = self.len();
        let mut size = vec![0.0; n];
        let mut members = vec![0u32; n];
        for v in 0..n {
            size[community[v] as usize] += self.size[v];
            members[community[v] as usize] += 1;
        }
        let mut empty: Vec<u32> = (0..n as u32).filter(|&c| members[c as usize] == 0).collect();
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.shuffle(rng);
        let mut queue = VecDeque::from(order);
        let mut queued = vec![true; n];
        let mut weight_to = vec![0.0; n];
        let mut near: Vec<u32> = Vec::new();
        while let Some(v) = queue.pop_front() {
            let v = v as usize;
            queued[v] = false;
            let old = community[v];
            for (w, weight) in self.links(v) {
                let c = community[w];
                if weight_to[c as usize] == 0.0 && !near.contains(&c) {
                    near.push(c);
                }
                weight_to[c as usize] += weight;
            }
            size[old as usize] -= self.size[v];
            members[old as usize] -= 1;
            if members[old as usize] == 0 {
                size[old as usize] = 0.0;
            }
            let gain = |c: u32| weight_to[c as usize] - gamma * self.size[v] * size[c as usize];
            let (mut best, mut best_gain) = (old, gain(old));
            // Rounding must not make two communities swap a node for ever.
            let margin = 1e-12 * (best_gain.abs() + self.size[v]);
            for &c in &near {
                if gain(c) > best_gain + margin {
                    (best, best_gain) = (c, gain(c));
                }
            }
            if best_gain < -margin
                && members[old as usize] > 0
                && let Some(fresh) = empty.pop()
            {
                best = fresh;
            }
            for c in near.drain(..) {
                weight_to[c as usize] = 0.0;
            }
            size[best as usize] += self.size[v];
            members[best as usize] += 1;
            if best != old {
                if members[old as usize] == 0 {
                    empty.push(old);
                }
                community[v] = best;
                for (w, _) in self.links(v) {
                    if community[w] != best && !queued[w] {
                        queued[w] = true;
                        queue.push_back(w as u32);
                    }
                }
            }
        }
    }

    /// Splits every community into well-connected parts: starting from single nodes, each node
    /// that is still alone joins a part of its community with a probability that grows with the
    /// gain, so parts are connected and may be regrouped on the next level.
    fn refine(&self, community: &[u32], gamma: f64, rng: &mut Pcg64) -> Vec<u32> {
        let n = self.len();
        let mut community_size = vec![0.0; n];
        for v in 0..n {
            community_size[community[v] as usize] += self.size[v];
        }
        let mut part: Vec<u32> = (0..n as u32).collect();
        let mut size = self.size.clone();
        let mut alone = vec![true; n];
        // Weight between a part and the rest of its community.
        let mut cut = vec![0.0; n];
        for v in 0..n {
            cut[v] = self
                .links(v)
                .filter(|&(w, _)| community[w] == community[v])
                .map(|(_, weight)| weight)
                .sum();
        }
        let well_connected =
            |cut: f64, size: f64, whole: f64| cut >= gamma * size * (whole - size) * (1.0 - 1e-12);
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.shuffle(rng);
        let mut weight_to = vec![0.0; n];
        let mut near: Vec<u32> = Vec::new();
        let mut chances: Vec<(u32, f64)> = Vec::new();
        for v in order.into_iter().map(|v| v as usize) {
            let whole = community_size[community[v] as usize];
            if !alone[v] || !well_connected(cut[v], self.size[v], whole) {
                continue;
            }
            for (w, weight) in self.links(v) {
                if community[w] == community[v] {
                    let p = part[w];
                    if weight_to[p as usize] == 0.0 {
                        near.push(p);
                    }
                    weight_to[p as usize] += weight;
                }
            }
            chances.clear();
            chances.push((v as u32, 0.0));
            for &p in &near {
                let gain = weight_to[p as usize] - gamma * self.size[v] * size[p as usize];
                if gain > 0.0 && well_connected(cut[p as usize], size[p as usize], whole) {
                    chances.push((p, gain));
                }
            }
            let chosen = choose(&chances, rng);
            if chosen as usize != v {
                // The part gains the node's links to the rest and loses those to the node.
                cut[chosen as usize] += cut[v] - 2.0 * weight_to[chosen as usize];
                size[chosen as usize] += self.size[v];
                part[v] = chosen;
                alone[chosen as usize] = false;
            }
            for p in near.drain(..) {
                weight_to[p as usize] = 0.0;
            }
        }
        part
    }

    /// The graph whose nodes are the parts.
    fn aggregate(&self, part: &[u32], count: usize) -> Self {
        let mut inside = vec![0.0; count];
        let mut size = vec![0.0; count];
        let mut links: Vec<(u32, u32, f64)> = Vec::with_capacity(self.neighbor.len());
        for v in 0..self.len() {
            let p = part[v];
            inside[p as usize] += self.inside[v];
            size[p as usize] += self.size[v];
            for (w, weight) in self.links(v) {
                if part[w] == p {
                    inside[p as usize] += weight / 2.0;
                } else {
                    links.push((p, part[w], weight));
                }
            }
        }
        // Stable, so that weights are added in one order.
        links.sort_by_key(|l| (l.0, l.1));
        links.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut start = vec![0u32; count + 1];
        links.iter().for_each(|l| start[l.0 as usize + 1] += 1);
        for c in 0..count {
            start[c + 1] += start[c];
        }
        Self {
            start,
            neighbor: links.iter().map(|l| l.1).collect(),
            weight: links.iter().map(|l| l.2).collect(),
            inside,
            size,
            quality: self.quality,
        }
    }
}

/// Draws a candidate with probability proportional to exp(gain / scale), the scale being a small
/// share of the best gain, so that units of weight do not matter.
fn choose(chances: &[(u32, f64)], rng: &mut Pcg64) -> u32 {
    let best = chances.iter().map(|c| c.1).fold(0.0, f64::max);
    let scale = REFINEMENT * best.max(f64::MIN_POSITIVE);
    let weight = |gain: f64| ((gain - best) / scale).exp();
    let total: f64 = chances.iter().map(|c| weight(c.1)).sum();
    let mut left = rng.random::<f64>() * total;
    let mut chosen = chances[0].0;
    for &(p, gain) in chances {
        chosen = p;
        left -= weight(gain);
        if left < 0.0 {
            break;
        }
    }
    chosen
}
