//! Centrality of a selection of nodes taken together.

use fixedbitset::FixedBitSet;

use super::parallel::sum_over;
use crate::analysis::Progress;
use crate::analysis::structure::error::{StructureError, require, require_nodes};
use crate::analysis::structure::traverse::{Direction, Levels};
use crate::graph::Csr;

/// How a group of nodes stands in the network (Everett and Borgatti 1999). Steps, not lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupCentrality {
    /// Sum over ordered pairs (s, t) outside the group of the share of shortest paths from s to t
    /// that pass through the group.
    pub betweenness: f64,
    /// `betweenness` / ((n-g)(n-g-1)): 1 if every path passes.
    pub betweenness_normalized: f64,
    /// Number of nodes outside the group that are connected to it / sum of their distances; 0 if
    /// there are none.
    pub closeness: f64,
    /// Nodes outside the group that are connected to it.
    pub connected: u32,
    /// Sum of their distances.
    pub distance: f64,
    /// Share of the nodes outside the group that are linked to it directly.
    pub degree: f64,
}

/// Centrality of a group. `direction`: for closeness and degree, from the group to the others
/// (`Out`), from the others to the group (`In`, as NetworkX), or undirected.
///
/// # Errors
/// An empty group, or a node that does not exist; [`StructureError::Cancelled`].
pub fn group_centrality(
    csr: &Csr,
    group: &[u32],
    direction: Direction,
    progress: &Progress,
) -> Result<GroupCentrality, StructureError> {
    let n = csr.node_count();
    require_nodes("group", group, n)?;
    require(!group.is_empty(), "group", "empty", "at least one node")?;
    let mut inside = FixedBitSet::with_capacity(n);
    group.iter().for_each(|&v| inside.insert(v as usize));
    let outside: Vec<u32> = csr.nodes().filter(|&v| !inside.contains(v as usize)).collect();

    let betweenness = sum_over(
        &outside,
        1,
        progress,
        || Counts::new(n),
        |counts, &s, sum| {
            sum[0] += counts.through(csr, s, &inside);
        },
    )?[0];
    let pairs = outside.len() as f64 * (outside.len() as f64 - 1.0);

    let unweighted = csr.unweighted();
    let view = direction.length_view(&unweighted);
    let (mut connected, mut distance, mut adjacent) = (0usize, 0.0, 0usize);
    Levels::new(n).search(&view, group, |d, level| {
        connected += level.len();
        distance += f64::from(d) * level.len() as f64;
        if d == 1 {
            adjacent = level.len();
        }
    });
    Ok(GroupCentrality {
        betweenness,
        betweenness_normalized: if pairs > 0.0 { betweenness / pairs } else { 0.0 },
        closeness: if distance > 0.0 { connected as f64 / distance } else { 0.0 },
        connected: connected as u32,
        distance,
        degree: adjacent as f64 / outside.len().max(1) as f64,
    })
}

/// Bytes that a run takes beside the view, for `threads` threads.
pub fn group_bytes(csr: &Csr, threads: usize) -> u64 {
    (csr.bytes() * 3 + csr.node_count() * (5 + threads * 24)) as u64
}

/// Path counts of one search: all paths, and those that avoid the group.
struct Counts {
    distance: Vec<u32>,
    all: Vec<f64>,
    avoiding: Vec<f64>,
    order: Vec<u32>,
}

impl Counts {
    fn new(n: usize) -> Self {
        let (all, avoiding) = (vec![0.0; n], vec![0.0; n]);
        Self { distance: vec![u32::MAX; n], all, avoiding, order: Vec::new() }
    }

    /// Sum over t of the share of shortest paths from s to t through the group.
    fn through(&mut self, csr: &Csr, s: u32, inside: &FixedBitSet) -> f64 {
        let Self { distance, all, avoiding, order } = self;
        order.clear();
        order.push(s);
        let first = s as usize;
        (distance[first], all[first], avoiding[first]) = (0, 1.0, 1.0);
        let mut head = 0;
        let mut through = 0.0;
        while head < order.len() {
            let v = order[head] as usize;
            head += 1;
            if inside.contains(v) {
                avoiding[v] = 0.0;
            } else {
                through += 1.0 - avoiding[v] / all[v];
            }
            for &w in csr.consumers(v as u32) {
                let w = w as usize;
                if distance[w] == u32::MAX {
                    (distance[w], all[w], avoiding[w]) = (distance[v] + 1, 0.0, 0.0);
                    order.push(w as u32);
                }
                if distance[w] == distance[v] + 1 {
                    all[w] += all[v];
                    avoiding[w] += avoiding[v];
                }
            }
        }
        for &v in order.iter() {
            distance[v as usize] = u32::MAX;
        }
        through
    }
}
