//! The impact engine as the loss oracle of every method here.

use super::oracle::LossOracle;
use super::problem::Unit;
use crate::analysis::impact::shock::{CompiledShock, Effect, Window};
use crate::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use crate::analysis::{Cancelled, Progress};
use crate::model::Rule;
use crate::model::scenario::{RationingRule, Substitution};

/// Losses of one target by the impact engine in its steady state (`collapse` semantics).
pub struct EngineOracle<'a> {
    model: &'a ImpactModel,
    target: &'a TargetNodes,
    units: &'a [Unit],
    subadditive: bool,
    progress: Progress,
}

impl<'a> EngineOracle<'a> {
    /// Units hold nodes and flows of the model's snapshot. `responses`: whether the model was made
    /// with responses, which soften single losses more than joint ones. Evaluations stop when
    /// `progress` asks for it.
    pub fn new(
        model: &'a ImpactModel,
        target: &'a TargetNodes,
        units: &'a [Unit],
        responses: bool,
        progress: &Progress,
    ) -> Self {
        let requirements = &model.snapshot().network().requirements;
        let subadditive = !responses
            && model.options().substitution == Substitution::None
            && model.rationing().rule != RationingRule::Priority
            && requirements.iter().all(|r| r.rule != Rule::Threshold);
        Self { model, target, units, subadditive, progress: progress.aside() }
    }
}

/// The shocks that remove these units: the scenario behind a cut.
pub fn removal(units: &[Unit], removed: &[u32]) -> Shocks {
    let (mut nodes, mut flows) = (Vec::new(), Vec::new());
    for &unit in removed {
        nodes.extend(&units[unit as usize].nodes);
        flows.extend(&units[unit as usize].flows);
    }
    let mut shocks = Shocks::removal(&nodes);
    flows.sort_unstable();
    flows.dedup();
    if !flows.is_empty() {
        shocks.all.push(CompiledShock {
            name: "removal of flows".into(),
            effect: Effect::Shut { flows, share: 1.0, delay_days: 0.0, restricted: Vec::new() },
            window: Window::default(),
        });
    }
    shocks
}

impl LossOracle for EngineOracle<'_> {
    fn unit_count(&self) -> usize {
        self.units.len()
    }

    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        let prepared = self.model.prepare(&removal(self.units, removed));
        // Solving fails for no other reason.
        let solution = self.model.solve_limit(&prepared, &self.progress).map_err(|_| Cancelled)?;
        Ok(self.target.mean(|node| solution.loss(node)))
    }

    fn effort(&self) -> u64 {
        let snapshot = self.model.snapshot();
        // A dozen sweeps over what is hit, and vectors of all nodes to start with.
        let size = snapshot.node_count() + snapshot.flow_count();
        40 * size as u64 + 10 * self.units.len() as u64
    }

    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        let scenarios: Vec<Shocks> = sets.iter().map(|set| removal(self.units, set)).collect();
        let mean = |_, losses: crate::analysis::impact::Losses| {
            self.target.mean(|node| {
                let found = losses.nodes.binary_search_by_key(&node, |n| n.0);
                found.map_or(0.0, |i| losses.nodes[i].1.max(losses.nodes[i].2))
            })
        };
        self.model.solve_many(&scenarios, &self.progress, mean).map_err(|_| Cancelled)
    }

    fn subadditive(&self) -> bool {
        self.subadditive
    }
}
