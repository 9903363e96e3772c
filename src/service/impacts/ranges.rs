//! The range of an answer: the 5th and 95th percentile of its losses over draws of the figures.
//!
//! Draws are made only if `draws` is given, or `include` names `range` or `sensitivity`: a plain
//! answer takes milliseconds.

use serde::Serialize;
use utoipa::ToSchema;

use super::answer::TargetResult;
use super::sensitivity::{Sensitivity, sensitivity};
use super::{ModelCache, Question};
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, Shocks, TargetNodes};
use crate::analysis::timeline::setting::HORIZON_DAYS;
use crate::analysis::uncertainty::sensitivity::units;
use crate::analysis::uncertainty::{Ranges, ScenarioLosses, Spread, losses, sample, spread};
use crate::graph::Snapshot;
use crate::model::FigureClass;
use crate::model::scenario::{Include, Mode, ScenarioBody, ScenarioError};
use crate::service::jobs::Estimate;

/// Draws unless a question says otherwise.
pub const DRAWS: u32 = 1000;
/// Seed unless a question says otherwise.
pub const SEED: u64 = 1;
/// Draws below which the ends of a range are rough: a 5th percentile of 200 draws is the tenth.
const FEW: u32 = 200;
/// Seconds of one thread for one draw and flow: drawing, balancing, evaluating.
const SECONDS_PER_FLOW: f64 = 4e-7;
/// Seconds of one thread for one node or flow in one step of a timeline.
const SECONDS_PER_STEP: f64 = 1e-8;
/// Seconds of one thread for one figure and draw of a sensitivity.
const SECONDS_PER_FIGURE: f64 = 1e-7;

/// What a range was made of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RangeBasis {
    /// Draws.
    pub draws: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// Figures that were drawn.
    pub figures: usize,
    /// What `low` is.
    pub low: &'static str,
    /// What `high` is.
    pub high: &'static str,
    /// Half-width of the range of figures that state none, as a fraction, by class. Derived figures
    /// follow from their parts.
    pub default_ranges: DefaultRanges,
}

/// Relative half-widths by class.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct DefaultRanges {
    /// Read in the named publication.
    pub measured: f64,
    /// Not re-checked against the publication.
    pub recalled: f64,
    /// Judgement.
    pub estimate: f64,
}

impl RangeBasis {
    /// The basis of ranges over draws.
    pub fn new(ranges: &Ranges, draws: u32, seed: u64) -> Self {
        Self {
            draws,
            seed,
            figures: ranges.figures().len(),
            low: "5th percentile",
            high: "95th percentile",
            default_ranges: DefaultRanges {
                measured: FigureClass::Measured.default_relative_range(),
                recalled: FigureClass::Recalled.default_relative_range(),
                estimate: FigureClass::Estimate.default_relative_range(),
            },
        }
    }
}

/// Writes out whether draws are made, how many, and their seed.
///
/// # Errors
/// Parts that contradict each other.
pub fn settle(body: &mut ScenarioBody) -> Result<(), ScenarioError> {
    let named = [Include::Range, Include::Sensitivity].map(|part| body.include.contains(&part));
    if body.draws == Some(0) && named.contains(&true) {
        return Err(ScenarioError::new(
            "draws",
            "0 draws make no range; leave range and sensitivity out of include, or draws away",
        ));
    }
    let draws = body.draws.filter(|&draws| draws > 0);
    if draws.is_some() || named.contains(&true) {
        body.draws = Some(draws.unwrap_or(DRAWS));
        body.seed.get_or_insert(SEED);
        body.include.push(Include::Range);
    } else {
        body.draws = None;
        body.seed = None;
    }
    Ok(())
}

/// What the draws of a question will probably take.
pub fn estimate(snapshot: &Snapshot, body: &ScenarioBody) -> Estimate {
    let Some(draws) = body.draws else { return Estimate::default() };
    let network = snapshot.network();
    let flows = network.flow_count();
    let mut each = flows as f64 * SECONDS_PER_FLOW;
    if body.model.mode == Mode::Timeline {
        let options = body.model.timeline.clone().unwrap_or_default();
        let days = f64::from(options.horizon_days.unwrap_or(HORIZON_DAYS));
        let parts = (flows + network.node_count()) as f64;
        each += days / options.step.days() * parts * SECONDS_PER_STEP;
    }
    if body.include.contains(&Include::Sensitivity) {
        let figures = network.node_count() + flows + network.requirements.len();
        each += figures as f64 * SECONDS_PER_FIGURE;
    }
    let draws = f64::from(draws);
    Estimate {
        seconds: draws * each,
        bytes: flows as u64 * 256 + draws as u64 * 8 * body.targets.len() as u64,
    }
}

/// What the draws of a question say.
pub struct Ranged {
    /// What they were made of.
    pub basis: RangeBasis,
    /// Spread of each target's loss.
    pub spreads: Vec<Option<Spread>>,
    /// What drives it, if asked for.
    pub sensitivity: Option<Sensitivity>,
}

/// Draws a question, if it asks for that.
///
/// # Errors
/// Cancellation.
pub fn evaluate(
    models: &ModelCache,
    question: &Question,
    shocks: &Shocks,
    targets: &[TargetNodes],
    progress: &Progress,
) -> Result<Option<Ranged>, ImpactError> {
    let Question { snapshot, body, .. } = question;
    let Some(draws) = body.draws.filter(|&draws| draws > 0) else { return Ok(None) };
    let seed = body.seed.unwrap_or(SEED);
    let wants_drivers = body.include.contains(&Include::Sensitivity);
    let own = &body.model;
    let ranges = Ranges::of(snapshot, losses::kinds(own));
    let responses = losses::responses(own, &body.responses);
    let model = models.get(snapshot, &losses::options(own), &responses)?;
    let mut losses = ScenarioLosses::new(targets.to_vec());
    losses.add(&model, &body.responses, shocks.clone());
    let further = if wants_drivers { units(&ranges) } else { 0 };
    progress.start(u64::from(draws) + further);
    let samples = sample(&ranges, &losses, draws, seed, progress)?;
    let spreads = samples.by_quantity.iter().map(|draws| spread(draws)).collect();
    let sensitivity = wants_drivers
        .then(|| sensitivity(&ranges, &losses, &samples, targets, seed, progress))
        .transpose()?;
    Ok(Some(Ranged { basis: RangeBasis::new(&ranges, draws, seed), spreads, sensitivity }))
}

impl Ranged {
    /// Writes the ranges into the results and returns what to keep in mind about them.
    pub fn write(&self, results: &mut [TargetResult]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (result, spread) in results.iter_mut().zip(&self.spreads) {
            let Some(Spread { low, median, high }) = *spread else { continue };
            (result.loss.low, result.loss.high) = (Some(low), Some(high));
            result.loss.median = Some(median);
        }
        if self.basis.figures == 0 {
            warnings.push(
                "no figure of this graph states a range or a class, so the ranges have no width: \
                 give figures low and high, or a class"
                    .into(),
            );
        }
        if self.basis.draws < FEW {
            warnings.push(format!(
                "the ends of a range over {} draws are rough; {FEW} or more are better",
                self.basis.draws
            ));
        }
        let outside: Vec<&str> = results
            .iter()
            .filter(|r| {
                let value = r.loss.value;
                r.loss.low.is_some_and(|low| value < low - 1e-12)
                    || r.loss.high.is_some_and(|high| value > high + 1e-12)
            })
            .map(|r| r.target.as_str())
            .collect();
        if !outside.is_empty() {
            warnings.push(format!(
                "the central loss of {} lies outside its range: figures at their limit can only be \
                 wrong one way (a dependence of 1 only lower), and where many inputs can bind, \
                 errors in any of them add to the loss; quote the range beside it",
                outside.join(", ")
            ));
        }
        warnings
    }
}
