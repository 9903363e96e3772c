//! Ensembles: any quantity, evaluated on every drawn graph.

use std::sync::Arc;

use rayon::prelude::*;

use super::draw::Ranges;
use crate::analysis::{Cancelled, Progress};
use crate::graph::Snapshot;

/// Draws of one unit of work: often enough for progress and cancelling, seldom enough to share the
/// room of a drawn graph.
const CHUNK: u64 = 16;

/// A quantity (or several) of a graph that draws are made of.
pub trait Quantities: Sync {
    /// Why it cannot be evaluated.
    type Error: From<Cancelled> + Send;

    /// How many numbers it is.
    fn width(&self) -> usize;

    /// Evaluates it on a drawn graph into `into` (of length [`Quantities::width`]). The graph must
    /// not be kept: the next draw changes it in place.
    ///
    /// # Errors
    /// What the evaluation cannot do; cancellation.
    fn evaluate(
        &self,
        graph: &Arc<Snapshot>,
        into: &mut [f64],
        progress: &Progress,
    ) -> Result<(), Self::Error>;
}

/// The draws of several quantities.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Number of draws.
    pub draws: usize,
    /// `by_quantity[q][d]`: quantity q in draw d.
    pub by_quantity: Vec<Vec<f64>>,
}

/// Evaluates quantities on the first `draws` graphs of the stream `seed`, on all threads of the
/// pool that this is called in. Draw d is the same whatever `draws` is and whatever else is
/// evaluated. Advances `progress` by one for each draw; does not start it.
///
/// # Errors
/// The first evaluation that fails; cancellation.
pub fn sample<Q: Quantities>(
    ranges: &Ranges,
    quantities: &Q,
    draws: u32,
    seed: u64,
    progress: &Progress,
) -> Result<Samples, Q::Error> {
    let width = quantities.width();
    let chunks: Vec<u64> = (0..u64::from(draws)).step_by(CHUNK as usize).collect();
    let parts: Vec<Vec<f64>> = chunks
        .into_par_iter()
        .map_init(
            || ranges.room(),
            |room, first| {
                let last = (first + CHUNK).min(u64::from(draws));
                let mut part = vec![0.0; (last - first) as usize * width];
                for (k, draw) in (first..last).enumerate() {
                    let graph = ranges.draw(seed, draw, room);
                    let into = &mut part[k * width..(k + 1) * width];
                    quantities.evaluate(graph, into, progress)?;
                    progress.advance(1)?;
                }
                Ok(part)
            },
        )
        .collect::<Result<_, Q::Error>>()?;
    let mut by_quantity = vec![Vec::with_capacity(draws as usize); width];
    for part in parts {
        for row in part.chunks_exact(width.max(1)) {
            for (quantity, &value) in by_quantity.iter_mut().zip(row) {
                quantity.push(value);
            }
        }
    }
    Ok(Samples { draws: draws as usize, by_quantity })
}
