//! Attribution: how much of each target's loss every shock of a scenario answers for.
//!
//! The shocks are players of a cooperative game whose value is the loss of a target when only a
//! coalition of them happens, as the engine evaluates it. [`shapley`] holds the game theory; here
//! coalitions become scenarios.

pub mod shapley;

use rand_pcg::Pcg64Mcg;

use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};

pub use shapley::{Attribution, Coalition, EXACT_PLAYERS, MOST_PLAYERS};

/// Coalitions that are in memory as scenarios at a time.
const AT_ONCE: usize = 512;

/// Evaluations of the engine that the attribution of `players` shocks takes (an upper bound); 0
/// where there is nothing to attribute.
pub fn evaluations(players: usize) -> usize {
    match players {
        0 | 1 => 0,
        n if n <= EXACT_PLAYERS => (1 << n) - 1,
        n if n <= MOST_PLAYERS => 2 * shapley::pairs(n) * n,
        _ => 0,
    }
}

/// Shapley values of the shocks for each target: exact up to [`EXACT_PLAYERS`] shocks, sampled
/// with a standard error above, nothing for fewer than two or more than [`MOST_PLAYERS`].
///
/// The loss of a target is the weighted mean of its nodes' losses, each the greater of both
/// directions. Values add up to the loss of all shocks together.
///
/// # Errors
/// Only if `progress` asks to stop.
pub fn attribute(
    model: &ImpactModel,
    shocks: &Shocks,
    targets: &[TargetNodes],
    seed: u64,
    progress: &Progress,
) -> Result<Option<Attribution>, ImpactError> {
    let players = shocks.all.len();
    if !(2..=MOST_PLAYERS).contains(&players) {
        return Ok(None);
    }
    let evaluate = |coalitions: &[Coalition]| -> Result<Vec<Vec<f64>>, ImpactError> {
        let mut values = Vec::with_capacity(coalitions.len());
        for chunk in coalitions.chunks(AT_ONCE) {
            let scenarios: Vec<Shocks> = chunk
                .iter()
                .map(|c| Shocks { all: c.members().map(|i| shocks.all[i].clone()).collect() })
                .collect();
            values.extend(model.solve_many(&scenarios, progress, |_, losses| {
                let loss = |v: u32| {
                    losses
                        .nodes
                        .binary_search_by_key(&v, |n| n.0)
                        .map_or(0.0, |i| losses.nodes[i].1.max(losses.nodes[i].2))
                };
                targets.iter().map(|t| t.mean(loss)).collect::<Vec<f64>>()
            })?);
        }
        Ok(values)
    };
    progress.start(evaluations(players) as u64);
    let attribution = if players <= EXACT_PLAYERS {
        shapley::exact(players, targets.len(), evaluate)?
    } else {
        let mut rng = <Pcg64Mcg as rand::SeedableRng>::seed_from_u64(seed);
        shapley::sampled(players, targets.len(), &mut rng, evaluate)?
    };
    Ok(Some(attribution))
}
