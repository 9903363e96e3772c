//! The steady losses of scenarios as quantities of a drawn graph.

use std::sync::Arc;

use super::ensemble::Quantities;
use super::figures::Kinds;
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};
use crate::graph::Snapshot;
use crate::model::scenario::{Mode, ModelOptions, Response, Substitution};

/// Scenarios that share a model.
struct Group {
    model: Arc<ImpactModel>,
    responses: Vec<Response>,
    /// Shocks with the position of their scenario.
    scenarios: Vec<(usize, Shocks)>,
}

/// Loss of every target in every scenario: quantity `scenario * targets + target`.
pub struct SteadyLosses {
    groups: Vec<Group>,
    targets: Vec<TargetNodes>,
    scenarios: usize,
}

impl SteadyLosses {
    /// No scenario yet; `targets` are resolved on the base graph.
    pub fn new(targets: Vec<TargetNodes>) -> Self {
        Self { groups: Vec::new(), targets, scenarios: 0 }
    }

    /// Adds a scenario under a model of the base graph, made with these responses. Scenarios with
    /// the same model share its redrawing.
    pub fn add(&mut self, model: &Arc<ImpactModel>, responses: &[Response], shocks: Shocks) {
        let scenario = (self.scenarios, shocks);
        self.scenarios += 1;
        let same = |g: &&mut Group| Arc::ptr_eq(&g.model, model) && g.responses == responses;
        match self.groups.iter_mut().find(same) {
            Some(group) => group.scenarios.push(scenario),
            None => self.groups.push(Group {
                model: model.clone(),
                responses: responses.to_vec(),
                scenarios: vec![scenario],
            }),
        }
    }

    /// Number of targets.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// Position of a quantity.
    pub fn position(&self, scenario: usize, target: usize) -> usize {
        scenario * self.targets.len() + target
    }
}

/// Which figures act on the loss under a model.
pub fn kinds(options: &ModelOptions) -> Kinds {
    Kinds {
        capacities: options.substitution == Substitution::SpareCapacity
            || options.mode == Mode::Timeline,
        stocks: options.mode == Mode::Timeline,
    }
}

impl Quantities for SteadyLosses {
    type Error = ImpactError;

    fn width(&self) -> usize {
        self.scenarios * self.targets.len()
    }

    fn evaluate(
        &self,
        graph: &Arc<Snapshot>,
        into: &mut [f64],
        progress: &Progress,
    ) -> Result<(), ImpactError> {
        // What a loss is a share of is drawn too.
        let targets: Vec<TargetNodes> =
            self.targets.iter().map(|target| target.reweighed(graph)).collect();
        for group in &self.groups {
            let model = group.model.redrawn(graph.clone(), &group.responses)?;
            for (scenario, shocks) in &group.scenarios {
                let prepared = model.prepare(shocks);
                let solution = model.solve(&prepared, progress)?;
                for (k, target) in targets.iter().enumerate() {
                    into[self.position(*scenario, k)] = target.mean(|v| solution.loss(v));
                }
            }
        }
        Ok(())
    }
}
