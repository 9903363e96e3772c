//! Attribution among the shocks of a scenario, written into its explanation.

use super::answer::{AttributionView, TargetExplanation};
use crate::analysis::Progress;
use crate::analysis::attribution::attribute;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};

/// Seed of the sampled orders: the same question has the same answer.
const SEED: u64 = 1;

/// Adds the Shapley value of every shock to each target's explanation, if there are two shocks or
/// more.
///
/// # Errors
/// Only if `progress` asks to stop.
pub fn attach(
    model: &ImpactModel,
    shocks: &Shocks,
    targets: &[TargetNodes],
    explanation: &mut [TargetExplanation],
    progress: &Progress,
) -> Result<(), ImpactError> {
    if explanation.is_empty() {
        return Ok(());
    }
    let Some(attribution) = attribute(model, shocks, targets, SEED, progress)? else {
        return Ok(());
    };
    for (k, target) in explanation.iter_mut().enumerate() {
        for (i, shock) in target.by_shock.iter_mut().enumerate() {
            shock.shapley = Some(attribution.values[k][i]);
            shock.error = attribution.errors.as_ref().map(|e| e[k][i]);
        }
        target.attribution = Some(AttributionView {
            method: if attribution.orders.is_some() { "sampled" } else { "exact" },
            evaluations: attribution.evaluations,
            orders: attribution.orders,
            seed: attribution.orders.map(|_| SEED),
        });
    }
    Ok(())
}
