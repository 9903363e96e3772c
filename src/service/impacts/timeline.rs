//! The path of an answer in time: what each target loses when, how long stocks last, what stocks
//! and responses buy.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Bracket, Index, LossRange, NodeLoss, TargetResult};
use super::evaluate::index;
use super::{ModelCache, Question};
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes, ZeroReason};
use crate::analysis::timeline::{self, Path, Setting, Summary, Totals};
use crate::graph::Snapshot;
use crate::model::scenario::{
    Compatibility, Include, Mode, ModelOptions, Orders, Rationing, RationingRule, Response,
    ScenarioBody, ScenarioError, TimeStep,
};
use crate::service::jobs::Estimate;

/// Losses up to this are none.
const NONE: f64 = 1e-12;
/// Largest change of a node at rest that counts as rest.
const REST: f64 = 1e-9;
/// Responses whose worth is computed one by one.
const MOST_MEASURES: usize = 20;
/// Arrivals that one thread evaluates in a second.
const ARRIVALS_PER_SECOND: f64 = 1e8;

/// What a loss over time amounts to. Losses are shares of the baseline, days count from day 0.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PathSummary {
    /// Mean loss over the horizon: the share of the period's output that is lost.
    pub mean: f64,
    /// Largest loss.
    pub peak: f64,
    /// First day of the largest loss.
    pub peak_day: f64,
    /// Loss in the last step of the horizon.
    pub end: f64,
    /// Loss added up over the days: days of full output that are lost.
    pub area_days: f64,
    /// First day of the first step with any loss.
    pub first_shortage_day: Option<f64>,
    /// The same as a date, if the scenario has a start date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_shortage_date: Option<NaiveDate>,
    /// Days until 5, 20 and 50 % are lost.
    pub days_to: DaysTo,
    /// Time to survive: day on which more than 1 % is lost.
    pub time_to_survive: Option<f64>,
    /// Time to recover: day from which on at most 1 % is lost; absent if that lies beyond the
    /// horizon.
    pub time_to_recover: Option<f64>,
    /// The same as a date, if the scenario has a start date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_date: Option<NaiveDate>,
}

/// Days until a loss is reached, interpolated between steps; absent if it never is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct DaysTo {
    /// 5 %.
    pub loss_5: Option<f64>,
    /// 20 %.
    pub loss_20: Option<f64>,
    /// 50 %.
    pub loss_50: Option<f64>,
}

/// The path of an answer in time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TimelineView {
    /// Length of a step: `day` or `week`.
    pub step: TimeStep,
    /// Number of steps.
    pub steps: usize,
    /// Every how many steps one is listed (1: all).
    pub every: usize,
    /// How far it looks, in days.
    pub horizon_days: f64,
    /// Orders: `frozen` or `adaptive`, or the model that is reproduced.
    pub orders: &'static str,
    /// Date of day 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<NaiveDate>,
    /// First day of each listed step.
    pub days: Vec<f64>,
    /// The same as dates, if the scenario has a start date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<Vec<NaiveDate>>,
    /// Path of each target, in the order asked.
    pub targets: Vec<TargetPathView>,
    /// Totals over all nodes. They add up quantities as they are: read them only where all flows
    /// have one unit.
    pub totals: TotalsView,
    /// What stocks and responses buy, each against the same run without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bought: Vec<Bought>,
    /// Largest change of any node in the first steps if nothing happens.
    pub unrest: f64,
}

/// Path of one target: a value for each of `days`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetPathView {
    /// Name of the target.
    pub target: String,
    /// What it amounts to.
    pub summary: PathSummary,
    /// Output in the baseline, per year.
    pub baseline: f64,
    /// Loss, as a share of the baseline.
    pub loss: Vec<f64>,
    /// What is served, as a share of the baseline.
    pub served: Vec<f64>,
    /// Output, in the unit of the baseline per year.
    pub production: Vec<f64>,
    /// Days of use in store of the input that a node holds least of: the mean over the target's
    /// nodes that keep any. Empty if none does.
    pub stock_days: Vec<f64>,
    /// Input that accounts for most of the loss, from a day on.
    pub binding: Vec<BindingFrom>,
}

/// What binds from a day on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BindingFrom {
    /// First day.
    pub from_day: f64,
    /// Product that is short; `shock` where the shocks themselves bind; absent while nothing does.
    pub input: Option<String>,
}

/// Totals over all nodes: a value for each of `days`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TotalsView {
    /// Before anything happens (day -1).
    pub baseline: TotalsOfDay,
    /// What all nodes make.
    pub production: Vec<f64>,
    /// What they make less what they use.
    pub value_added: Vec<f64>,
    /// What reaches final demand.
    pub final_consumption: Vec<f64>,
}

/// Totals of one day, per year.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct TotalsOfDay {
    /// What all nodes make.
    pub production: f64,
    /// What they make less what they use.
    pub value_added: f64,
    /// What reaches final demand.
    pub final_consumption: f64,
}

/// What one stock or response buys a target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Bought {
    /// `stocks` (of all nodes), `stockpile`, `project` or `substitute`.
    pub kind: &'static str,
    /// Position in the scenario's responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<usize>,
    /// Name or product.
    pub name: String,
    /// What it buys each target, in the order asked.
    pub targets: Vec<BoughtByTarget>,
}

/// The difference that one stock or response makes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BoughtByTarget {
    /// Name of the target.
    pub target: String,
    /// Days of full output that are not lost thanks to it.
    pub avoided_days: f64,
    /// Days by which the first shortage comes later; absent if there is none with it or without it.
    pub delay_days: Option<f64>,
    /// True if without it there is a shortage and with it there is none.
    pub prevented: bool,
}

/// What a timeline adds to an answer.
pub struct Timed {
    /// The path, if asked for.
    pub view: Option<TimelineView>,
    /// Index over the horizon (mode timeline).
    pub index: Option<Index>,
    /// Node losses over the horizon (mode timeline).
    pub nodes: Option<Vec<NodeLoss>>,
    /// A sentence for the headline.
    pub sentence: String,
    path: Path,
}

impl Timed {
    /// Adds how long each node lasts to a list of losses.
    pub fn write_nodes(&self, snapshot: &Snapshot, nodes: &mut [NodeLoss]) {
        for node in nodes {
            let Some(v) = snapshot.index(&node.id) else { continue };
            if let Ok(k) = self.path.nodes.binary_search_by_key(&v, |n| n.0) {
                let summary = &self.path.nodes[k].1;
                node.peak = Some(summary.peak);
                node.time_to_survive = summary.survive_day;
                node.time_to_recover = summary.recovery_day;
            }
        }
    }
}

/// True if a question has a path in time.
pub fn is_timed(body: &ScenarioBody) -> bool {
    body.model.mode == Mode::Timeline || body.include.contains(&Include::Timeline)
}

/// What the path of a question will probably take.
pub fn estimate(question: &Question) -> Estimate {
    let body = &question.body;
    if !is_timed(body) {
        return Estimate { seconds: 0.0, bytes: 0 };
    }
    let options = body.model.timeline.clone().unwrap_or_default();
    let days = f64::from(options.horizon_days.unwrap_or(timeline::setting::HORIZON_DAYS));
    let steps = days / options.step.days();
    let mut runs = if body.model.mode == Mode::Timeline { 3.0 } else { 1.0 };
    if body.include.contains(&Include::Timeline) {
        runs += 1.0 + body.responses.len().min(MOST_MEASURES) as f64;
    }
    if body.model.mode == Mode::Timeline {
        runs += f64::from(body.draws.unwrap_or(0));
    }
    let network = question.snapshot.network();
    let (nodes, flows) = (network.node_count(), network.flow_count());
    let listed = steps.min(4000.0) * body.targets.len() as f64;
    Estimate {
        seconds: steps * runs * (flows + nodes) as f64 / ARRIVALS_PER_SECOND,
        bytes: (flows * 40 + nodes * 200) as u64 + listed as u64 * 64,
    }
}

/// Date of day 0.
///
/// # Errors
/// A text that is no date.
pub fn start_date(body: &ScenarioBody) -> Result<Option<NaiveDate>, ScenarioError> {
    let Some(text) = body.model.timeline.as_ref().and_then(|t| t.start_date.as_ref()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        ScenarioError::new(
            "model.timeline.start_date",
            format!("\"{text}\" is no date; write it as 2026-01-31"),
        )
    })
}

/// Evaluates the path of a question, if it has one, and writes it into the results: what they lose
/// first, and with `mode: timeline` their losses over the horizon.
///
/// # Errors
/// Options that do not go together; cancellation.
pub fn evaluate(
    models: &ModelCache,
    question: &Question,
    shocks: &Shocks,
    targets: &[TargetNodes],
    results: &mut [TargetResult],
    progress: &Progress,
) -> Result<Option<Timed>, ImpactError> {
    let Question { snapshot, body, .. } = question;
    let compat = body.model.compat == Some(Compatibility::InoueTodo);
    if compat && body.model.mode != Mode::Timeline {
        let problem = "inoue_todo is a daily model: it goes with \"mode\": \"timeline\"";
        return Err(ScenarioError::new("model.compat", problem).into());
    }
    if !is_timed(body) {
        return Ok(None);
    }
    let start = start_date(body)?;
    let run = Run { models, snapshot, body, shocks, progress };
    let model = run.model(&body.model, &body.responses)?;
    let unrest = timeline::unrest(&model, progress)?;
    if unrest > REST {
        return Err(ScenarioError::new(
            "model.timeline.stock_days",
            format!(
                "without any shock a node changes by {unrest:.1e}: the model is not at rest; \
                 give every input at least two days of stock"
            ),
        )
        .into());
    }
    let targets = &in_time(&model, targets)?;
    let path = timeline::path(&model, shocks, &body.responses, true, targets, progress)?;
    let timed = body.model.mode == Mode::Timeline;
    let classed = results.iter().any(|r| r.bracket.is_some());
    let brackets =
        if timed && classed { run.brackets(&model, &path, targets)? } else { Vec::new() };
    for (k, (result, target)) in results.iter_mut().zip(&path.targets).enumerate() {
        result.first_shortage_day = target.summary.first_day;
        result.path = Some(summary(&target.summary, start));
        if timed {
            write(snapshot, result, &path, k, brackets.get(k).copied().flatten());
        }
    }
    let bought = if body.include.contains(&Include::Timeline) {
        run.bought(&path, targets)?
    } else {
        Vec::new()
    };
    let view = body
        .include
        .contains(&Include::Timeline)
        .then(|| view(snapshot, body, &path, targets, start, bought, unrest));
    Ok(Some(Timed {
        view,
        index: timed.then(|| index(&model, |v| path.mean[v as usize])),
        nodes: (timed && body.include.contains(&Include::Nodes))
            .then(|| node_losses(snapshot, shocks, &path)),
        sentence: sentence(&path, results, start, timed),
        path,
    }))
}

/// Targets as the run weighs them. The model that is reproduced weighs nodes with what they make.
fn in_time(model: &ImpactModel, targets: &[TargetNodes]) -> Result<Vec<TargetNodes>, ImpactError> {
    let mut targets = targets.to_vec();
    if model.options().compat.is_some() {
        let setting = Setting::new(model, &[], true)?;
        for target in &mut targets {
            for (v, weight) in &mut target.nodes {
                *weight = setting.output[*v as usize];
            }
            target.baseline = target.nodes.iter().map(|n| n.1).sum();
        }
    }
    Ok(targets)
}

struct Run<'a> {
    models: &'a ModelCache,
    snapshot: &'a Arc<Snapshot>,
    body: &'a ScenarioBody,
    shocks: &'a Shocks,
    progress: &'a Progress,
}

impl Run<'_> {
    fn model(
        &self,
        options: &ModelOptions,
        responses: &[Response],
    ) -> Result<Arc<ImpactModel>, ImpactError> {
        self.models.get(
            self.snapshot,
            &timeline::model_options(options),
            &timeline::model_responses(responses),
        )
    }

    fn path(
        &self,
        model: &ImpactModel,
        responses: &[Response],
        stocks: bool,
        targets: &[TargetNodes],
    ) -> Result<Path, ImpactError> {
        timeline::path(model, self.shocks, responses, stocks, targets, self.progress)
    }

    /// Mean losses under the two ends of rationing, where consumers have classes.
    fn brackets(
        &self,
        model: &ImpactModel,
        path: &Path,
        targets: &[TargetNodes],
    ) -> Result<Vec<Option<Bracket>>, ImpactError> {
        let own = model.rationing();
        let first = if own.rule == RationingRule::Priority {
            own.clone()
        } else {
            Rationing { rule: RationingRule::Priority, ..Rationing::default() }
        };
        let means = |rationing: &Rationing| -> Result<Vec<f64>, ImpactError> {
            let mean = |path: &Path| path.targets.iter().map(|t| t.summary.mean).collect();
            if rationing == own {
                return Ok(mean(path));
            }
            let options =
                ModelOptions { rationing: Some(rationing.clone()), ..self.body.model.clone() };
            let other = self.model(&options, &self.body.responses)?;
            Ok(mean(&self.path(&other, &self.body.responses, true, targets)?))
        };
        let (critical, equal) = (means(&first)?, means(&Rationing::default())?);
        let pairs = critical.into_iter().zip(equal);
        Ok(pairs
            .map(|(critical_first, proportional)| Some(Bracket { critical_first, proportional }))
            .collect())
    }

    /// What the nodes' stocks and each response buy.
    fn bought(&self, path: &Path, targets: &[TargetNodes]) -> Result<Vec<Bought>, ImpactError> {
        let mut list = Vec::new();
        let responses = &self.body.responses;
        let difference = |without: &Path| -> Vec<BoughtByTarget> {
            let pairs = path.targets.iter().zip(&without.targets).zip(targets);
            pairs
                .map(|((with, without), target)| {
                    let (a, b) = (&with.summary, &without.summary);
                    BoughtByTarget {
                        target: target.name.clone(),
                        avoided_days: b.area_days - a.area_days,
                        delay_days: a.first_day.zip(b.first_day).map(|(a, b)| a - b),
                        prevented: a.first_day.is_none() && b.first_day.is_some(),
                    }
                })
                .collect()
        };
        let model = self.model(&self.body.model, responses)?;
        if self.body.model.compat.is_none()
            && !Setting::new(&model, responses, true)?.stock.is_empty()
        {
            let without = self.path(&model, responses, false, targets)?;
            list.push(Bought {
                kind: "stocks",
                response: None,
                name: "stocks of all consumers".into(),
                targets: difference(&without),
            });
        }
        for (i, response) in responses.iter().enumerate().take(MOST_MEASURES) {
            let mut others = responses.clone();
            others.remove(i);
            // Not kept: it serves this comparison only.
            let model = ImpactModel::new(
                self.snapshot.clone(),
                &timeline::model_options(&self.body.model),
                &timeline::model_responses(&others),
            )?;
            let without = self.path(&model, &others, true, targets)?;
            let (kind, name) = match response {
                Response::Project { project, product, .. } => {
                    ("project", project.clone().or_else(|| product.clone()).unwrap_or_default())
                }
                Response::Stockpile { product, .. } => ("stockpile", product.clone()),
                Response::Substitute { output, input, .. } => {
                    ("substitute", format!("{input} in {output}"))
                }
            };
            list.push(Bought { kind, response: Some(i), name, targets: difference(&without) });
        }
        Ok(list)
    }
}

fn date(start: Option<NaiveDate>, day: f64) -> Option<NaiveDate> {
    start?.checked_add_days(Days::new(day.max(0.0) as u64))
}

fn summary(s: &Summary, start: Option<NaiveDate>) -> PathSummary {
    PathSummary {
        mean: s.mean,
        peak: s.peak,
        peak_day: s.peak_day,
        end: s.end,
        area_days: s.area_days,
        first_shortage_day: s.first_day,
        first_shortage_date: s.first_day.and_then(|d| date(start, d)),
        days_to: DaysTo { loss_5: s.days_to[0], loss_20: s.days_to[1], loss_50: s.days_to[2] },
        time_to_survive: s.survive_day,
        time_to_recover: s.recovery_day,
        recovery_date: s.recovery_day.and_then(|d| date(start, d)),
    }
}

/// Writes the losses over the horizon into a result; what was there becomes its steady end.
fn write(
    snapshot: &Snapshot,
    result: &mut TargetResult,
    path: &Path,
    target: usize,
    bracket: Option<Bracket>,
) {
    let of = &path.targets[target];
    let days = path.steps as f64 * path.step_days;
    let steady_zero = result.zero_reason;
    result.steady = Some(result.loss);
    result.loss = LossRange { value: of.summary.mean, low: None, high: None, median: None };
    result.share_of = format!("output over {days:.0} days: {}", result.share_of);
    result.direct = of.direct;
    result.indirect = (of.summary.mean - of.direct).max(0.0);
    if result.bracket.is_some() {
        result.bracket = bracket;
    }
    let zero = (of.summary.mean <= NONE).then(|| {
        steady_zero.unwrap_or(if path.step_days > 0.0 && has_stock(of) {
            ZeroReason::CoveredByStock
        } else {
            ZeroReason::BeyondHorizon
        })
    });
    result.zero_reason = zero;
    result.zero_explanation = zero.map(ZeroReason::sentence);
    if zero.is_some() {
        result.binding.clear();
    } else if result.binding.is_empty() {
        // What is made good in the end binds only on the way.
        let last = of.binding.iter().rev().find_map(|b| b.1.filter(|s| s.is_some()));
        if let Some(input) = last {
            let name = snapshot.name(input).to_owned();
            result.binding.push(super::answer::BindingView {
                input: name.clone(),
                supplier_product: name,
                share: 1.0,
            });
        }
    }
}

fn has_stock(target: &timeline::TargetPath) -> bool {
    target.stock_days.iter().any(|&d| d > 0.0)
}

fn node_losses(snapshot: &Snapshot, shocks: &Shocks, path: &Path) -> Vec<NodeLoss> {
    let direct: Vec<u32> = shocks.node_losses().into_iter().map(|(v, _, _)| v).collect();
    let mut nodes: Vec<&(u32, Summary)> =
        path.nodes.iter().filter(|(_, s)| s.mean > NONE).collect();
    nodes.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean).then(a.0.cmp(&b.0)));
    nodes
        .into_iter()
        .map(|&(v, s)| NodeLoss {
            id: snapshot.id(v).to_owned(),
            loss: s.mean,
            loss_downstream: path.mean[v as usize].0,
            loss_upstream: path.mean[v as usize].1,
            direct: direct.binary_search(&v).is_ok(),
            peak: Some(s.peak),
            time_to_survive: s.survive_day,
            time_to_recover: s.recovery_day,
        })
        .collect()
}

fn view(
    snapshot: &Snapshot,
    body: &ScenarioBody,
    path: &Path,
    targets: &[TargetNodes],
    start: Option<NaiveDate>,
    bought: Vec<Bought>,
    unrest: f64,
) -> TimelineView {
    let options = body.model.timeline.clone().unwrap_or_default();
    let days: Vec<f64> =
        (0..path.steps).step_by(path.every).map(|s| s as f64 * path.step_days).collect();
    let of = |pick: fn(&Totals) -> f64| path.totals.iter().map(pick).collect();
    TimelineView {
        step: if path.step_days == 1.0 { TimeStep::Day } else { TimeStep::Week },
        steps: path.steps,
        every: path.every,
        horizon_days: path.steps as f64 * path.step_days,
        orders: match (body.model.compat, options.orders) {
            (Some(Compatibility::InoueTodo), _) => "inoue_todo",
            (None, Orders::Frozen) => "frozen",
            (None, Orders::Adaptive) => "adaptive",
        },
        dates: start.is_some().then(|| days.iter().filter_map(|&d| date(start, d)).collect()),
        start_date: start,
        targets: path
            .targets
            .iter()
            .zip(targets)
            .map(|(p, target)| TargetPathView {
                target: target.name.clone(),
                summary: summary(&p.summary, start),
                baseline: target.baseline,
                served: p.loss.iter().map(|l| 1.0 - l).collect(),
                loss: p.loss.clone(),
                production: p.production.clone(),
                stock_days: p.stock_days.clone(),
                binding: p
                    .binding
                    .iter()
                    .map(|&(step, input)| BindingFrom {
                        from_day: step as f64 * path.step_days,
                        input: input.map(|s| {
                            if s.is_some() { snapshot.name(s).to_owned() } else { "shock".into() }
                        }),
                    })
                    .collect(),
            })
            .collect(),
        totals: TotalsView {
            baseline: TotalsOfDay {
                production: path.baseline.production,
                value_added: path.baseline.value_added,
                final_consumption: path.baseline.final_consumption,
            },
            production: of(|t| t.production),
            value_added: of(|t| t.value_added),
            final_consumption: of(|t| t.final_consumption),
        },
        days,
        bought,
        unrest,
    }
}

/// Who runs short first and when, over which period.
fn sentence(
    path: &Path,
    results: &[TargetResult],
    start: Option<NaiveDate>,
    timed: bool,
) -> String {
    let days = path.steps as f64 * path.step_days;
    let mut parts = Vec::new();
    if timed {
        parts.push(format!("Losses are means over {days:.0} days"));
    }
    let first = results
        .iter()
        .zip(&path.targets)
        .filter(|(r, _)| !r.target.contains('/') || results.len() == 1)
        .filter_map(|(r, t)| Some((t.summary.first_day?, &r.target)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    if let Some((day, target)) = first {
        let on = date(start, day).map(|d| format!(" ({d})")).unwrap_or_default();
        let name = target.replace('_', " ");
        parts.push(format!("{name} runs short first, from day {day:.0}{on}"));
    }
    if parts.is_empty() { String::new() } else { format!(" {}.", parts.join("; ")) }
}
