//! The losses of scenarios as quantities of a drawn graph: where it ends (`mode: steady`), or the
//! mean over the horizon (`mode: timeline`).

use std::sync::Arc;

use super::ensemble::Quantities;
use super::figures::Kinds;
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};
use crate::analysis::timeline::{self, Setting};
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
pub struct ScenarioLosses {
    groups: Vec<Group>,
    targets: Vec<TargetNodes>,
    scenarios: usize,
}

impl ScenarioLosses {
    /// No scenario yet; `targets` are resolved on the base graph.
    pub fn new(targets: Vec<TargetNodes>) -> Self {
        Self { groups: Vec::new(), targets, scenarios: 0 }
    }

    /// Adds a scenario under a model of the base graph, made with [`options`] and [`responses`] of
    /// the scenario's own. Scenarios with the same model share its redrawing.
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

    /// Position of a quantity.
    pub fn position(&self, scenario: usize, target: usize) -> usize {
        scenario * self.targets.len() + target
    }
}

/// Options of the model behind a scenario's losses.
pub fn options(own: &ModelOptions) -> ModelOptions {
    match own.mode {
        Mode::Steady => own.clone(),
        Mode::Timeline => timeline::model_options(own),
    }
}

/// Responses that the model behind a scenario's losses is made with.
pub fn responses(own: &ModelOptions, responses: &[Response]) -> Vec<Response> {
    match own.mode {
        Mode::Steady => responses.to_vec(),
        Mode::Timeline => timeline::model_responses(responses),
    }
}

/// Which figures act on the loss under a scenario's own options.
pub fn kinds(own: &ModelOptions) -> Kinds {
    let timed = own.mode == Mode::Timeline;
    Kinds { capacities: timed || own.substitution == Substitution::SpareCapacity, stocks: timed }
}

impl Quantities for ScenarioLosses {
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
            let own = group.model.options();
            let model = group.model.redrawn(graph.clone(), &responses(own, &group.responses))?;
            for (scenario, shocks) in &group.scenarios {
                let start = self.position(*scenario, 0);
                let into = &mut into[start..start + targets.len()];
                match own.mode {
                    Mode::Steady => {
                        let prepared = model.prepare(shocks);
                        let solution = model.solve(&prepared, progress)?;
                        for (loss, target) in into.iter_mut().zip(&targets) {
                            *loss = target.mean(|v| solution.loss(v));
                        }
                    }
                    Mode::Timeline => {
                        let (targets, given) = (in_time(&model, &targets)?, &group.responses);
                        // The draws count the progress.
                        let silent = Progress::silent();
                        let path = timeline::path(&model, shocks, given, true, &targets, &silent)?;
                        progress.check()?;
                        for (loss, target) in into.iter_mut().zip(&path.targets) {
                            *loss = target.summary.mean;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Targets as a run in time weighs them: a model that is reproduced weighs nodes with what they
/// make.
fn in_time(model: &ImpactModel, targets: &[TargetNodes]) -> Result<Vec<TargetNodes>, ImpactError> {
    let mut targets = targets.to_vec();
    if model.options().compat.is_some() {
        let setting = Setting::new(model, &[], true)?;
        for target in &mut targets {
            for (node, weight) in &mut target.nodes {
                *weight = setting.output[*node as usize];
            }
            target.baseline = target.nodes.iter().map(|n| n.1).sum();
        }
    }
    Ok(targets)
}
