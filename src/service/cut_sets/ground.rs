//! What a question about cuts stands on: target, units, model, and the structure where it fits.

use std::sync::Arc;

use super::ask::Common;
use super::units::Units;
use crate::analysis::cut_sets::problem::{Problem, Reading};
use crate::analysis::cut_sets::{
    EngineOracle, FailureGraph, LossOracle, Semantics, SetError, Watched, check_threshold,
};
use crate::analysis::impact::rationing::rations;
use crate::analysis::impact::{ImpactModel, TargetNodes};
use crate::analysis::{Cancelled, Progress};
use crate::graph::Snapshot;
use crate::model::scenario::{Mode, ScenarioBody, Target};
use crate::model::selector::Selector;
use crate::service::ServiceError;
use crate::service::impacts::ModelCache;

/// Everything that the methods need, resolved against one snapshot.
pub struct Ground {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The engine.
    pub model: Arc<ImpactModel>,
    /// The target.
    pub target: TargetNodes,
    /// The target as a scenario names it.
    pub asked_target: Target,
    /// Units that can have an effect.
    pub units: Units,
    /// Units that cannot have one.
    pub without_effect: Vec<String>,
    /// Which fixed point counts.
    pub semantics: Semantics,
    /// The structure behind the losses, if it says what the engine says.
    pub problem: Option<Problem>,
    /// Why there is no structure.
    pub not_covered: Option<String>,
    /// What to keep in mind.
    pub warnings: Vec<String>,
}

/// A name for a selection of nodes.
fn described(selector: &Selector) -> String {
    let lists =
        [&selector.product, &selector.stage, &selector.country, &selector.bloc, &selector.node];
    let words: Vec<&str> = lists.iter().flat_map(|list| list.iter()).collect();
    match words.len() {
        0 => "the target".to_owned(),
        1 => words[0].to_owned(),
        _ if selector.product.0.len() == 1 && selector.country.is_empty() => {
            selector.product.0[0].clone()
        }
        2..=4 => words.join(" "),
        _ => format!("{} and others", words[..3].join(", ")),
    }
}

impl Ground {
    /// Resolves the common part of a question.
    ///
    /// # Errors
    /// Whatever the graph does not understand; a target without output or suppliers; no units.
    pub fn new(
        models: &ModelCache,
        snapshot: Arc<Snapshot>,
        common: &Common<'_>,
    ) -> Result<Self, ServiceError> {
        if common.model.mode == Mode::Timeline {
            return Err(ServiceError::Impossible {
                param: Some("model.mode".into()),
                problem: "cut sets are about where losses end: mode timeline is not answered"
                    .into(),
                hint: Some("leave model.mode out".into()),
            });
        }
        let name = common.name.map_or_else(|| described(common.target), str::to_owned);
        let asked_target = Target { name, select: common.target.clone() };
        let nodes =
            snapshot.select(common.target).map_err(|e| ServiceError::selector("target", e))?;
        let target = TargetNodes::resolve(&snapshot, &asked_target, "target")?;
        if target.baseline <= 0.0 {
            return Err(set_error(SetError::NoTarget, None));
        }
        let units = Units::resolve(&snapshot, common, &target)?;
        if units.is_empty() {
            return Err(set_error(SetError::NoUnits, None));
        }
        let hit = |v: &u32| nodes.binary_search(v).is_ok();
        if nodes.iter().all(|&v| snapshot.arrivals(v).is_empty())
            && !units.members.iter().any(|unit| unit.nodes.iter().any(hit))
        {
            return Err(ServiceError::Impossible {
                param: Some("target".into()),
                problem: format!(
                    "nobody supplies {}: no flow arrives at its {} nodes, so nothing upstream \
                     can cut it",
                    asked_target.name,
                    nodes.len()
                ),
                hint: Some(
                    "choose nodes with suppliers, or name the target's own nodes as \
                            units"
                        .into(),
                ),
            });
        }
        let model = models.get(&snapshot, common.model, &[])?;
        let mut ground = Self {
            without_effect: Vec::new(),
            snapshot,
            model,
            target,
            asked_target,
            units,
            semantics: common.semantics,
            problem: None,
            not_covered: None,
            warnings: Vec::new(),
        };
        ground.compile()?;
        Ok(ground)
    }

    /// Reads the structure where it says what the engine says, and drops units that cannot matter.
    fn compile(&mut self) -> Result<(), ServiceError> {
        let rations = rations(&self.snapshot, self.model.rationing(), self.model.classes());
        let reading = match Reading::of(&self.model, &rations, false) {
            Ok(reading) => Reading { semantics: self.semantics, ..reading },
            Err(SetError::NotCovered(why)) => {
                if self.semantics == Semantics::Bootstrap {
                    return Err(ServiceError::Impossible {
                        param: Some("semantics".into()),
                        problem: format!("bootstrap is not available: {why}"),
                        hint: Some(
                            "ask for collapse, or set model.rationing to {\"rule\": \
                             \"proportional\"} and model.substitution to none or flow_headroom"
                                .into(),
                        ),
                    });
                }
                self.not_covered = Some(why);
                return Ok(());
            }
            Err(error) => return Err(set_error(error, None)),
        };
        let (snapshot, targets) = (&self.snapshot, &self.target.nodes);
        let mut problem = Problem::compile(snapshot, targets, &self.units.members, &reading)
            .map_err(|e| set_error(e, None))?;
        let keep: Vec<bool> = (0..self.units.len()).map(|u| problem.touches(u as u32)).collect();
        if keep.contains(&true) && keep.contains(&false) {
            let idle = self.units.names.iter().zip(&keep).filter(|(_, keep)| !**keep);
            self.without_effect = idle.map(|(name, _)| name.clone()).collect();
            self.units = std::mem::take(&mut self.units).kept(&keep);
            problem = problem.kept(&keep).map_err(|e| set_error(e, None))?;
        }
        self.problem = Some(problem);
        Ok(())
    }

    /// Losses of the target: by the structure where there is one, else by the engine. Evaluations
    /// stop when `progress` asks for it.
    pub fn oracle<'a>(&'a self, progress: &'a Progress) -> Oracle<'a> {
        match &self.problem {
            Some(problem) => Oracle::Structure(problem.watched(progress)),
            None => Oracle::Engine(self.engine(progress)),
        }
    }

    /// Losses by the engine.
    pub fn engine(&self, progress: &Progress) -> EngineOracle<'_> {
        EngineOracle::new(&self.model, &self.target, &self.units.members, false, progress)
    }

    /// The failure graph of the question, if every node is up or down.
    pub fn failure_graph(&self, loss_at_least: f64) -> Option<FailureGraph> {
        self.problem.as_ref()?.failure_graph(loss_at_least).ok()
    }

    /// The scenario that removes these units.
    pub fn scenario(&self, common: &Common<'_>, set: &[u32]) -> ScenarioBody {
        let shocks = set
            .iter()
            .map(|&unit| self.units.shock(&self.snapshot, common, unit as usize))
            .collect();
        ScenarioBody {
            shocks,
            targets: vec![self.asked_target.clone()],
            model: common.model.clone(),
            at: Some(self.snapshot.info().version),
            ..ScenarioBody::default()
        }
    }

    /// Names of the units of a set.
    pub fn names(&self, set: &[u32]) -> Vec<String> {
        set.iter().map(|&u| self.units.names[u as usize].clone()).collect()
    }

    /// Memory that it takes beside what it shares with others, about.
    pub fn bytes(&self) -> usize {
        let names = self.units.len() + self.without_effect.len();
        200 * names + self.problem.as_ref().map_or(0, Problem::bytes)
    }

    /// Method of the losses, for answers.
    pub fn rules(&self) -> &'static str {
        if self.problem.is_some() { "structure" } else { "engine" }
    }
}

/// Whoever knows the losses.
pub enum Oracle<'a> {
    /// The compiled structure.
    Structure(Watched<'a>),
    /// The impact engine.
    Engine(EngineOracle<'a>),
}

impl LossOracle for Oracle<'_> {
    fn unit_count(&self) -> usize {
        match self {
            Self::Structure(problem) => problem.unit_count(),
            Self::Engine(engine) => engine.unit_count(),
        }
    }

    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        match self {
            Self::Structure(problem) => problem.loss(removed),
            Self::Engine(engine) => engine.loss(removed),
        }
    }

    fn effort(&self) -> u64 {
        match self {
            Self::Structure(problem) => problem.effort(),
            Self::Engine(engine) => engine.effort(),
        }
    }

    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        match self {
            Self::Structure(problem) => problem.losses(sets),
            Self::Engine(engine) => engine.losses(sets),
        }
    }

    fn subadditive(&self) -> bool {
        match self {
            Self::Structure(problem) => problem.subadditive(),
            Self::Engine(engine) => engine.subadditive(),
        }
    }
}

/// The threshold of a question.
///
/// # Errors
/// One that is not above 0 and at most 1.
pub fn threshold(stated: Option<f64>) -> Result<f64, ServiceError> {
    let loss = stated.unwrap_or(0.5);
    check_threshold(loss).map_err(|e| set_error(e, None))?;
    Ok(loss)
}

/// An error of the analysis as one of the service, with what to do.
pub fn set_error(error: SetError, units: Option<&Units>) -> ServiceError {
    let (param, hint) = match &error {
        SetError::Cancelled(cancelled) => return ServiceError::Cancelled(*cancelled),
        SetError::Threshold(_) => (Some("loss_at_least".to_owned()), None),
        SetError::NoUnits => (Some("units".to_owned()), None),
        SetError::NoTarget => (Some("target".to_owned()), None),
        SetError::UnitValue { what, unit, .. } => {
            let table = if *what == "cost" { "costs" } else { "probabilities" };
            let name = units.and_then(|units| units.names.get(*unit));
            (Some(name.map_or(table.to_owned(), |name| format!("{table}.{name}"))), None)
        }
        SetError::OutOfTime => (Some("limits.seconds".to_owned()), None),
        SetError::TooLarge { .. } | SetError::TooMany { .. } => (
            Some("limits".to_owned()),
            Some("lower max_size, group the units, or raise limits".to_owned()),
        ),
        SetError::NotCovered(_) => (Some("model".to_owned()), None),
        SetError::Infeasible(_) => (
            Some("loss_at_least".to_owned()),
            Some("raise loss_at_least or lower max_size".to_owned()),
        ),
        SetError::Malformed(_) => (None, None),
    };
    let problem = match (&error, units) {
        (SetError::UnitValue { what, unit, value, rule }, Some(units)) => {
            let name = units.names.get(*unit).map_or("?", String::as_str);
            format!("the {what} of unit \"{name}\" is {value}; {rule}")
        }
        _ => error.to_string(),
    };
    ServiceError::Impossible { param, problem, hint }
}
