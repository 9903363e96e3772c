//! Timelines: what a scenario costs day by day or week by week, with stocks, lead times, switching,
//! projects that ramp up, stockpiles and recovery.
//!
//! One engine over the production rows of [`super::impact`]: with orders frozen at the baseline
//! ([`frozen`]) it is the steady cascade in time and has the same limit; with orders that follow what
//! is wished ([`adaptive`]) demand falls and stocks are refilled. [`inoue_todo`] reproduces a
//! published model exactly. [`setting`] and [`schedule`] say what holds and what happens when,
//! [`stocks`], [`supply`] and [`ration`] who has what, [`record`] what is kept of a run.

pub mod adaptive;
pub mod frozen;
pub mod inoue_todo;
pub mod ration;
pub mod record;
pub mod schedule;
pub mod setting;
pub mod stocks;
pub mod supply;

use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};
use crate::model::scenario::{Compatibility, Orders, Response};

pub use record::{Path, Paths, Record, Summary, TargetPath, Totals, View};
pub use setting::{Setting, model_options, model_responses};

/// Runs a scenario in time and shows every step to `record`.
///
/// # Errors
/// A response that the graph does not understand; cancellation.
pub fn run(
    setting: &Setting<'_>,
    shocks: &Shocks,
    responses: &[Response],
    record: &mut impl Record,
    progress: &Progress,
) -> Result<(), ImpactError> {
    if setting.model.options().compat == Some(Compatibility::InoueTodo) {
        return inoue_todo::run(setting, shocks, record, progress);
    }
    match setting.options.orders {
        Orders::Frozen => frozen::run(setting, shocks, responses, record, progress),
        Orders::Adaptive => adaptive::run(setting, shocks, responses, record, progress),
    }
}

/// Runs a scenario in time: the paths of its targets. `model` is made with [`model_options`] and
/// [`model_responses`]; `stocks`: false leaves the stocks of the nodes out.
///
/// # Errors
/// Options or responses that do not go together or that the graph does not understand; cancellation.
pub fn path(
    model: &ImpactModel,
    shocks: &Shocks,
    responses: &[Response],
    stocks: bool,
    targets: &[TargetNodes],
    progress: &Progress,
) -> Result<Path, ImpactError> {
    let setting = Setting::new(model, responses, stocks)?;
    let mut paths = Paths::new(&setting, targets);
    run(&setting, shocks, responses, &mut paths, progress)?;
    Ok(paths.finish())
}

/// Largest change of any node's output in the first `steps` steps when nothing happens: the model
/// must be at rest.
///
/// # Errors
/// As [`path`].
pub fn unrest(model: &ImpactModel, progress: &Progress) -> Result<f64, ImpactError> {
    struct Largest(f64);
    impl Record for Largest {
        fn step(&mut self, view: &View<'_>) {
            let nodes = view.setting.model.snapshot().nodes();
            self.0 = nodes.map(|v| view.change(v).abs()).fold(self.0, f64::max);
        }
    }
    let mut setting = Setting::new(model, &[], true)?;
    setting.steps = setting.steps.min(2);
    let mut largest = Largest(0.0);
    run(&setting, &Shocks::default(), &[], &mut largest, progress)?;
    Ok(largest.0)
}
