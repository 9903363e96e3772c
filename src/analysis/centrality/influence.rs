//! Collective influence.

use rayon::prelude::*;

use super::Scores;
use super::parallel::Pool;
use crate::analysis::Progress;
use crate::analysis::structure::Direction;
use crate::analysis::structure::error::{StructureError, require};
use crate::analysis::structure::traverse::Levels;
use crate::graph::Csr;

/// Collective influence of every node: (k(v) - 1) x sum of (k(u) - 1) over the nodes u at distance
/// `radius` from v (Morone and Makse 2015), with k the degree in the direction asked for (`Both`:
/// on the undirected projection) and k - 1 at least 0. High scores mark the few nodes whose loss
/// breaks a network apart.
///
/// # Errors
/// Radius 0; [`StructureError::Cancelled`].
pub fn collective_influence(
    csr: &Csr,
    direction: Direction,
    radius: u32,
    progress: &Progress,
) -> Result<Scores, StructureError> {
    require(radius > 0, "radius", radius, "at least 1")?;
    let view = direction.length_view(csr);
    let view: &Csr = &view;
    let excess = |v: u32| f64::from(view.out_degree(v).saturating_sub(1));
    progress.start(view.node_count() as u64);
    let pool = Pool::new();
    let scores = (0..view.node_count() as u32)
        .into_par_iter()
        .with_min_len(64)
        .map(|v| {
            progress.advance(1)?;
            if excess(v) == 0.0 {
                return Ok(0.0);
            }
            let rim = pool.with(
                || Levels::new(view.node_count()),
                |levels| {
                    let mut rim = 0.0;
                    levels.search_within(view, &[v], radius, |distance, level| {
                        if distance == radius {
                            rim = level.iter().map(|&u| excess(u)).sum();
                        }
                    });
                    rim
                },
            );
            Ok(excess(v) * rim)
        })
        .collect::<Result<Vec<f64>, StructureError>>()?;
    Ok(Scores::exact(scores))
}
