//! Closeness and harmonic centrality.
//!
//! Weights of the view are lengths. `Direction::In` measures from the other nodes to the node (as
//! NetworkX does), `Out` from the node to the others (igraph's default), `Both` on the undirected
//! projection.

use rayon::prelude::*;

use super::Scores;
use super::parallel::Pool;
use crate::analysis::Progress;
use crate::analysis::structure::Direction;
use crate::analysis::structure::error::{StructureError, require_nodes};
use crate::analysis::structure::traverse::{Dijkstra, Levels, require_lengths};
use crate::graph::Csr;

/// What to compute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClosenessOptions {
    /// Which way distances are measured.
    pub direction: Direction,
    /// Closeness: scale by the share of nodes that are connected, (r - 1) / (n - 1), as Wasserman
    /// and Faust do, so that nodes of small components do not come out on top. Harmonic: divide by
    /// n - 1.
    pub normalized: bool,
    /// Only these nodes; `scores[i]` belongs to `of[i]`. `None`: all.
    pub of: Option<Vec<u32>>,
}

/// Closeness: (r - 1) / sum of the distances to the r - 1 nodes that are connected (Freeman 1979);
/// 0 for a node without any.
///
/// # Errors
/// A node that does not exist, a length that is not above 0; [`StructureError::Cancelled`].
pub fn closeness(
    csr: &Csr,
    options: &ClosenessOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let others = csr.node_count().saturating_sub(1) as f64;
    run(
        csr,
        options,
        progress,
        |d| d,
        |sum, count| {
            let share = if options.normalized && others > 0.0 { count / others } else { 1.0 };
            if sum > 0.0 { count / sum * share } else { 0.0 }
        },
    )
}

/// Harmonic centrality: sum of 1 / distance; nodes that are not connected add 0 (Marchiori and
/// Latora 2000; Rochat 2009).
///
/// # Errors
/// As [`closeness`].
pub fn harmonic(
    csr: &Csr,
    options: &ClosenessOptions,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    let others = csr.node_count().saturating_sub(1).max(1) as f64;
    let scale = if options.normalized { 1.0 / others } else { 1.0 };
    run(csr, options, progress, |d| 1.0 / d, |sum, _| sum * scale)
}

/// Bytes that a run takes beside the view, for `threads` threads.
pub fn closeness_bytes(csr: &Csr, direction: Direction, threads: usize) -> u64 {
    let workspace = if csr.is_weighted() { 32 } else { 5 };
    let view = match direction {
        Direction::Out => 0,
        Direction::In => csr.bytes(),
        Direction::Both => 2 * csr.bytes(),
    };
    (view + csr.node_count() * (8 + threads * workspace)) as u64
}

/// Adds `term(distance)` over the connected nodes, then `finish(sum, count)`.
fn run(
    csr: &Csr,
    options: &ClosenessOptions,
    progress: &Progress,
    term: impl Fn(f64) -> f64 + Sync,
    finish: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Scores, StructureError> {
    let n = csr.node_count();
    require_lengths(csr)?;
    let nodes = match &options.of {
        Some(nodes) => {
            require_nodes("of", nodes, n)?;
            nodes.clone()
        }
        None => csr.nodes().collect(),
    };
    let view = options.direction.length_view(csr);
    let view: &Csr = &view;
    progress.start(nodes.len() as u64);
    let weighted = Pool::new();
    let unweighted = Pool::new();
    let scores = nodes
        .par_iter()
        .with_min_len(8)
        .map(|&v| {
            let (sum, count) = if view.is_weighted() {
                weighted.with(
                    || Dijkstra::new(n),
                    |search| {
                        search.search(view, &[v], None);
                        let others = &search.settled[1..];
                        let sum: f64 =
                            others.iter().map(|&w| term(search.distance[w as usize])).sum();
                        (sum, others.len() as f64)
                    },
                )
            } else {
                unweighted.with(
                    || Levels::new(n),
                    |levels| {
                        let (mut sum, mut count) = (0.0, 0.0);
                        levels.search(view, &[v], |distance, level| {
                            sum += term(f64::from(distance)) * level.len() as f64;
                            count += level.len() as f64;
                        });
                        (sum, count)
                    },
                )
            };
            progress.advance(1)?;
            Ok(finish(sum, count))
        })
        .collect::<Result<Vec<f64>, StructureError>>()?;
    Ok(Scores::exact(scores))
}
