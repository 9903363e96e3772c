//! Several measures together: greedy, each step evaluated with everything picked before.

use rayon::prelude::*;

use crate::analysis::impact::ImpactError;

use super::{Evaluator, Measure};

/// Gains up to this are none.
const SMALLEST_GAIN: f64 = 1e-9;
/// Measures that are tried in pairs where none helps alone.
const PAIRED: usize = 14;

/// One step of a combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Measures that were added: one, or two that only help together.
    pub added: Vec<usize>,
    /// Loss of each target with all steps up to this one.
    pub losses: Vec<f64>,
}

/// Picks up to `most` measures of `pool` (positions in `measures`, most promising first): always
/// the one that lowers `score` of the losses most, given those picked before; where inputs bind
/// together and none helps alone, the best pair. Stops when nothing helps. Measures that share a
/// resource are never combined.
///
/// # Errors
/// As [`Evaluator::losses`].
pub fn combine(
    evaluator: &Evaluator<'_>,
    measures: &[Measure],
    pool: &[usize],
    most: usize,
    base: &[f64],
    score: impl Fn(&[f64]) -> f64 + Sync,
) -> Result<Vec<Step>, ImpactError> {
    let mut picked: Vec<usize> = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut now = base.to_vec();
    while picked.len() < most {
        let clash = |a: usize, b: usize| {
            measures[a].resources.iter().any(|r| measures[b].resources.contains(r))
        };
        let free: Vec<usize> = pool
            .iter()
            .copied()
            .filter(|&i| !picked.contains(&i) && !picked.iter().any(|&p| clash(p, i)))
            .collect();
        let best = |tries: Vec<Vec<usize>>| -> Result<Option<Step>, ImpactError> {
            let losses: Vec<Vec<f64>> = tries
                .par_iter()
                .map(|added| {
                    let all: Vec<&Measure> =
                        picked.iter().chain(added).map(|&i| &measures[i]).collect();
                    evaluator.losses(&all)
                })
                .collect::<Result<_, _>>()?;
            let mut best: Option<Step> = None;
            for (added, losses) in tries.into_iter().zip(losses) {
                let least = best.as_ref().map_or(score(&now) - SMALLEST_GAIN, |b| score(&b.losses));
                if score(&losses) < least {
                    best = Some(Step { added, losses });
                }
            }
            Ok(best)
        };
        let mut step = best(free.iter().map(|&i| vec![i]).collect())?;
        if step.is_none() && picked.len() + 2 <= most {
            let some = &free[..free.len().min(PAIRED)];
            let pairs = some.iter().enumerate().flat_map(|(k, &i)| {
                some[k + 1..].iter().filter(move |&&j| !clash(i, j)).map(move |&j| vec![i, j])
            });
            step = best(pairs.collect())?;
        }
        let Some(step) = step else { break };
        picked.extend(&step.added);
        now.clone_from(&step.losses);
        steps.push(step);
    }
    Ok(steps)
}
