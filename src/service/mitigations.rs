//! Mitigations of an impact answer, each evaluated with the same engine, ranked and combined.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::analyses::Analysis;
use super::jobs::Estimate;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, Shocks, TargetNodes};
use crate::analysis::mitigation::candidates::{Evaluated, RegisteredProject, SubstituteNote};
use crate::analysis::mitigation::{
    Amount, Cost, Evaluator, Kind, Measure, Registers, candidates, combine,
};
use crate::dataset::{self, registers, units};
use crate::graph::Snapshot;
use crate::model::scenario::{Mode, ScenarioBody, Substitution};
use crate::model::selector::suggest;

/// Measures of an answer.
const TOP: usize = 50;
/// Measures that are tried in combination: the best alone.
const COMBINED_FROM: usize = 16;
/// Measures that are tried in combination although they avoid nothing alone.
const COMBINED_IDLE: usize = 8;
/// Most measures in a combination.
const COMBINED: usize = 5;
/// Stocks that are also run in time.
const IN_TIME: usize = 12;
/// Gains up to this are none.
const SMALLEST_GAIN: f64 = 1e-12;

/// Which mitigations of which answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MitigationQuestion {
    /// The impact answer.
    pub impact: String,
    /// Kinds, all if empty.
    pub kinds: Vec<String>,
    /// Target that measures should help (default: all).
    pub target: Option<String>,
    /// Months that stocks are sized for.
    pub months: f64,
    /// Measures in the answer.
    pub top: usize,
    /// Last year in which a project may start.
    pub by: Option<i32>,
    /// The scenario, written out.
    pub scenario: ScenarioBody,
}

/// What could be done, best first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MitigationAnswer {
    /// The impact answer.
    pub impact: String,
    /// Loss of each target without any measure.
    pub losses: BTreeMap<String, f64>,
    /// Target that the ranking is by; `null`: the sum over all.
    pub target: Option<String>,
    /// Months that stocks are sized for.
    pub months: f64,
    /// Measures that were evaluated.
    pub evaluated: usize,
    /// Measures, by loss avoided; of equal ones those for what binds most first.
    pub mitigations: Vec<MeasureView>,
    /// Best measures together, one step after the other; nothing counts twice.
    pub combined: Vec<StepView>,
    /// What could not be evaluated, and why.
    pub not_evaluated: Vec<NotEvaluated>,
    /// What to keep in mind.
    pub notes: Vec<String>,
}

/// One measure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MeasureView {
    /// Kind: `project`, `stockpile`, `second_source`, `substitute` or `policy`.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// What is done.
    pub what: String,
    /// How much.
    pub quantity: Option<f64>,
    /// Lower end of its range.
    pub quantity_low: Option<f64>,
    /// Upper end of its range.
    pub quantity_high: Option<f64>,
    /// Unit of the quantity.
    pub unit: Option<String>,
    /// How much of each target's loss is avoided.
    pub loss_avoided: BTreeMap<String, f64>,
    /// Loss of each target that is left.
    pub loss_after: BTreeMap<String, f64>,
    /// What the losses are: `steady_state`, or `first_year` where a stock takes part.
    pub basis: &'static str,
    /// Stocks of the head of the list: what the targets lose over time without and with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_time: Option<BTreeMap<String, OverTime>>,
    /// What it costs; `null` where no price is known.
    pub cost: Option<CostView>,
    /// Loss avoided (sum over the targets of the ranking) for each billion of the cost's unit.
    pub avoided_per_billion: Option<f64>,
    /// Where it comes from; `null` for what the answer itself suggests.
    pub source: Option<String>,
    /// What to keep in mind.
    pub limits: Vec<String>,
}

/// What a target loses over time, without and with a measure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OverTime {
    /// Mean loss over the horizon (default: a year) without it.
    pub mean_without: f64,
    /// Mean loss with it.
    pub mean_with: f64,
    /// First day with a loss, without it.
    pub first_day_without: Option<f64>,
    /// First day with a loss, with it.
    pub first_day_with: Option<f64>,
}

/// A cost.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CostView {
    /// Value.
    pub value: f64,
    /// Unit.
    pub unit: String,
    /// Where the price comes from.
    pub source: String,
}

/// One step of the combination.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    /// What the step adds; two measures where they only help together.
    pub added: Vec<String>,
    /// Everything in place after it.
    pub measures: Vec<String>,
    /// Loss of each target that is left, evaluated together.
    pub loss_after: BTreeMap<String, f64>,
    /// Loss avoided so far.
    pub loss_avoided: BTreeMap<String, f64>,
    /// What the step itself avoids.
    pub step_avoided: BTreeMap<String, f64>,
    /// As for a single measure.
    pub basis: &'static str,
}

/// Something of a register that could not be evaluated.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NotEvaluated {
    /// Name.
    pub name: String,
    /// Reason.
    pub reason: String,
}

/// What a user asks for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Kinds, comma separated; `all` or nothing: all.
    pub kind: Option<String>,
    /// Target by name.
    pub target: Option<String>,
    /// Months that stocks are sized for (default 6).
    pub months: Option<f64>,
    /// Measures in the answer (default 50).
    pub top: Option<usize>,
    /// Last year in which a project may start.
    pub by: Option<i32>,
}

impl Service {
    /// The question about mitigations of an impact answer. Blocks.
    ///
    /// # Errors
    /// An unknown answer, kind or target; months that cannot be; a scenario without targets.
    pub fn mitigation_question(
        &self,
        impact: &str,
        wish: Wish,
    ) -> Result<(Arc<Snapshot>, MitigationQuestion), ServiceError> {
        let question = self.question_of(impact)?;
        let months = wish.months.unwrap_or(6.0);
        if !(months.is_finite() && months > 0.0 && months <= 120.0) {
            return Err(ServiceError::malformed(
                "months",
                format!("must be above 0 and at most 120, got {months}"),
            ));
        }
        let known: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
        let mut kinds: Vec<String> = wish
            .kind
            .iter()
            .flat_map(|k| k.split(','))
            .map(|k| k.trim().to_owned())
            .filter(|k| !k.is_empty())
            .collect();
        if kinds.iter().any(|k| k == "all") {
            kinds.clear();
        }
        if let Some(bad) = kinds.iter().find(|k| !known.contains(&k.as_str())) {
            let near = suggest(bad, known.iter().copied());
            return Err(ServiceError::malformed_hint(
                "kind",
                format!("there is no kind \"{bad}\""),
                match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("use {} or all", known.join(", ")),
                },
            ));
        }
        kinds.sort_unstable();
        kinds.dedup();
        let targets: Vec<&str> = question.body.targets.iter().map(|t| t.name.as_str()).collect();
        if targets.is_empty() {
            return Err(ServiceError::Impossible {
                param: None,
                problem: "the answer has no targets, so nothing can be avoided".into(),
                hint: Some("ask the impact question again with targets".into()),
            });
        }
        if let Some(target) = wish.target.as_deref().filter(|t| !targets.contains(t)) {
            return Err(ServiceError::Absent {
                what: "target",
                name: target.to_owned(),
                hint: Some(match suggest(target, targets.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the answer has {}", targets.join(", ")),
                }),
            });
        }
        let asked = MitigationQuestion {
            impact: impact.to_owned(),
            kinds,
            target: wish.target,
            months,
            top: wish.top.unwrap_or(TOP),
            by: wish.by,
            scenario: question.body,
        };
        Ok((question.snapshot, asked))
    }
}

/// Seconds that one evaluation takes for each flow, with a model of its own.
const SECONDS_PER_FLOW: f64 = 4e-7;
/// Evaluations of one answer, about.
const EVALUATIONS: f64 = 300.0;

impl Analysis for MitigationQuestion {
    const PREFIX: &'static str = "mit";
    const NAME: &'static str = "mitigations";
    type Answer = MitigationAnswer;

    fn location(&self, _id: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.kinds.is_empty() {
            query.append_pair("kind", &self.kinds.join(","));
        }
        if let Some(target) = &self.target {
            query.append_pair("target", target);
        }
        query.append_pair("months", &self.months.to_string());
        query.append_pair("top", &self.top.to_string());
        if let Some(by) = self.by {
            query.append_pair("by", &by.to_string());
        }
        format!("/v1/impacts/{}/mitigations?{}", self.impact, query.finish())
    }

    fn estimate(&self, snapshot: &Snapshot) -> Estimate {
        let flows = snapshot.flow_count();
        let seconds = flows as f64 * SECONDS_PER_FLOW * EVALUATIONS;
        Estimate { seconds, bytes: flows as u64 * 200 }
    }

    fn answer(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<MitigationAnswer, ServiceError> {
        let body = &self.scenario;
        let targets: Vec<TargetNodes> = body
            .targets
            .iter()
            .enumerate()
            .map(|(i, t)| TargetNodes::resolve(snapshot, t, &format!("targets[{i}]")))
            .collect::<Result<_, _>>()?;
        let names: Vec<&str> = targets.iter().map(|t| t.name.as_str()).collect();
        let wanted: Vec<usize> = (0..targets.len())
            .filter(|&i| self.target.as_deref().is_none_or(|t| t == names[i]))
            .collect();
        let shocks = Shocks::compile(snapshot, &body.shocks)?;
        let model = service.models.get(snapshot, &body.model, &body.responses)?;
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, progress)?;
        let base: Vec<f64> = targets.iter().map(|t| t.mean(|v| solution.loss(v))).collect();
        let helped: Vec<TargetNodes> = wanted.iter().map(|&i| targets[i].clone()).collect();
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|k| self.kinds.is_empty() || self.kinds.iter().any(|w| w == k.as_str()))
            .collect();
        let registers = Registers {
            projects: self.projects(),
            substitutes: substitute_notes(),
            mass: &mass,
            cost: &cost,
        };
        let evaluated = Evaluated {
            body,
            model: &model,
            shocks: &shocks,
            solution: &solution,
            targets: &helped,
        };
        let (measures, left_out) = candidates(&evaluated, &registers, &kinds, self.months);
        let evaluator = Evaluator { snapshot, body, months: self.months, progress };
        progress.start(measures.len() as u64);
        let losses: Vec<Vec<f64>> = measures
            .par_iter()
            .map(|m| {
                let losses = evaluator.losses(&[m])?;
                progress.advance(1)?;
                Ok(losses)
            })
            .collect::<Result<_, ImpactError>>()?;
        let score = |losses: &[f64]| wanted.iter().map(|&i| losses[i]).sum::<f64>();
        let mut order: Vec<usize> = (0..measures.len()).collect();
        // Candidates come with what binds most first: that order breaks ties.
        order.sort_by(|&a, &b| score(&losses[a]).total_cmp(&score(&losses[b])));
        let pool = pool(&measures, &order, |k| score(&base) - score(&losses[k]));
        let steps = combine(&evaluator, &measures, &pool, COMBINED, &base, score)?;
        let by_name = |values: &dyn Fn(usize) -> f64| -> BTreeMap<String, f64> {
            names.iter().enumerate().map(|(i, n)| ((*n).to_owned(), values(i))).collect()
        };
        let evaluated = measures.len();
        let stocks: Vec<usize> = order
            .iter()
            .copied()
            .take(self.top)
            .filter(|&k| measures[k].kind == Kind::Stockpile)
            .take(IN_TIME)
            .collect();
        let over_time = over_time(&evaluator, &measures, &stocks, &names)?;
        let mitigations = order
            .iter()
            .take(self.top)
            .map(|&k| {
                let (m, after) = (&measures[k], &losses[k]);
                let avoided = score(&base) - score(after);
                MeasureView {
                    kind: m.kind.as_str(),
                    name: m.name.clone(),
                    what: m.what.clone(),
                    quantity: m.amount.as_ref().map(|a| a.value),
                    quantity_low: m.amount.as_ref().and_then(|a| a.range).map(|r| r.0),
                    quantity_high: m.amount.as_ref().and_then(|a| a.range).map(|r| r.1),
                    unit: m.amount.as_ref().map(|a| a.unit.clone()),
                    loss_avoided: by_name(&|i| clean(base[i] - after[i])),
                    loss_after: by_name(&|i| after[i]),
                    basis: basis(&[m]),
                    over_time: over_time.get(&k).cloned(),
                    avoided_per_billion: m
                        .cost
                        .as_ref()
                        .filter(|c| c.value > 0.0)
                        .map(|c| avoided / c.value * 1e9),
                    cost: m.cost.as_ref().map(|c| CostView {
                        value: c.value,
                        unit: c.unit.clone(),
                        source: c.source.clone(),
                    }),
                    source: m.source.clone(),
                    limits: m.limits.clone(),
                }
            })
            .collect();
        let mut in_place: Vec<usize> = Vec::new();
        let mut before = base.clone();
        let mut combined = Vec::new();
        for step in steps {
            in_place.extend(&step.added);
            let named = |list: &[usize]| list.iter().map(|&i| measures[i].name.clone()).collect();
            let all: Vec<&Measure> = in_place.iter().map(|&i| &measures[i]).collect();
            combined.push(StepView {
                added: named(&step.added),
                measures: named(&in_place),
                loss_after: by_name(&|i| step.losses[i]),
                loss_avoided: by_name(&|i| clean(base[i] - step.losses[i])),
                step_avoided: by_name(&|i| clean(before[i] - step.losses[i])),
                basis: basis(&all),
            });
            before = step.losses;
        }
        Ok(MitigationAnswer {
            impact: self.impact.clone(),
            losses: by_name(&|i| base[i]),
            target: self.target.clone(),
            months: self.months,
            evaluated,
            mitigations,
            combined,
            not_evaluated: left_out
                .into_iter()
                .map(|(name, reason)| NotEvaluated { name, reason })
                .collect(),
            notes: notes(body),
        })
    }
}

/// Measures that are tried in combination: the best alone, then some that avoid nothing alone but
/// may with others, those that can make an input whole first.
fn pool(measures: &[Measure], order: &[usize], gain: impl Fn(usize) -> f64) -> Vec<usize> {
    let helps = |k: &usize| gain(*k) > SMALLEST_GAIN;
    let mut pool: Vec<usize> =
        order.iter().copied().filter(|k| helps(k)).take(COMBINED_FROM).collect();
    let mut idle: Vec<usize> = order.iter().copied().filter(|k| !helps(k)).collect();
    idle.sort_by_key(|&k| match measures[k].kind {
        Kind::Policy => 0,
        Kind::Stockpile => 1,
        Kind::Substitute => 2,
        Kind::Project => 3,
        Kind::SecondSource => 4,
    });
    pool.extend(idle.into_iter().take(COMBINED_IDLE));
    pool
}

/// Losses over time of each of `stocks`, where the scenario can run in time.
fn over_time(
    evaluator: &Evaluator<'_>,
    measures: &[Measure],
    stocks: &[usize],
    names: &[&str],
) -> Result<BTreeMap<usize, BTreeMap<String, OverTime>>, ImpactError> {
    // Options that a timeline does not take leave this part out; a wish to stop does not.
    let in_time = |with: &[&Measure]| match evaluator.over_time(with) {
        Ok(summaries) => Ok(Some(summaries)),
        Err(cancelled @ ImpactError::Cancelled(_)) => Err(cancelled),
        Err(_) => Ok(None),
    };
    if stocks.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Some(without) = in_time(&[])? else { return Ok(BTreeMap::new()) };
    let runs: Vec<_> =
        stocks.par_iter().map(|&k| in_time(&[&measures[k]])).collect::<Result<_, _>>()?;
    let views = stocks.iter().zip(runs).filter_map(|(&k, with)| {
        let targets = names.iter().zip(&without).zip(with?).map(|((name, without), with)| {
            let view = OverTime {
                mean_without: without.mean,
                mean_with: with.mean,
                first_day_without: without.first_day,
                first_day_with: with.first_day,
            };
            ((*name).to_owned(), view)
        });
        Some((k, targets.collect()))
    });
    Ok(views.collect())
}

/// Rounding noise is no gain.
fn clean(gain: f64) -> f64 {
    if gain.abs() <= SMALLEST_GAIN { 0.0 } else { gain }
}

fn basis(measures: &[&Measure]) -> &'static str {
    if measures.iter().any(|m| m.kind == Kind::Stockpile) { "first_year" } else { "steady_state" }
}

fn notes(body: &ScenarioBody) -> Vec<String> {
    let mut notes = vec![
        "every measure is evaluated alone in the scenario; where several inputs bind together one \
         measure may avoid nothing and two much: see combined"
            .to_owned(),
        "projects and second sources serve everyone who is short, in the order of the scenario's \
         rationing"
            .to_owned(),
    ];
    if matches!(body.model.substitution, Substitution::SupplierShare | Substitution::MarketShare) {
        notes.push(
            "under the substitution rule of this scenario lost supply is replaced by a factor; \
             projects and second sources change nothing there"
                .to_owned(),
        );
    }
    if body.model.mode == Mode::Timeline {
        notes.push(
            "the scenario runs in time, but losses here are those of its steady state; stocks \
             have over_time beside"
                .to_owned(),
        );
    }
    notes
}

impl MitigationQuestion {
    fn projects(&self) -> Vec<RegisteredProject> {
        registers::projects(dataset::tables())
            .into_iter()
            .filter(|p| self.by.is_none_or(|by| p.start_year <= by))
            .map(|p| RegisteredProject {
                name: p.name,
                product: p.product,
                stage: p.stage,
                country: p.country,
                capacity: p.capacity_in_graph.map(|c| Amount {
                    value: c.value,
                    range: c.low.zip(c.high),
                    unit: c.unit.unwrap_or_default(),
                }),
                start_year: p.start_year,
                funding: p.funding,
                source: p.source,
                note: p.note,
            })
            .collect()
    }
}

/// Rows of the use table that name a substitute.
fn substitute_notes() -> Vec<SubstituteNote> {
    dataset::tables()
        .uses
        .iter()
        .filter_map(|u| {
            Some(SubstituteNote {
                input: u.material.clone(),
                uses: vec![u.industry.clone(), u.product_or_component.clone()],
                essential: u.essential.clone(),
                note: u.substitutability_note.clone()?,
                source: u.source.clone(),
            })
        })
        .collect()
}

/// A share of a year's world output as a mass, by the world's quantities of the product's stages
/// in the production table.
fn mass(product: &str, stage: &str, amount: &Amount) -> Option<(Amount, String)> {
    if !amount.unit.starts_with("share of world output") {
        return None;
    }
    let (total, unit, at) = registers::world_output(dataset::tables(), product, stage)?;
    let scaled = |share: f64| share * total;
    let mass = Amount {
        value: scaled(amount.value),
        range: amount.range.map(|(low, high)| (scaled(low), scaled(high))),
        unit: unit.clone(),
    };
    Some((mass, format!("a share of the world's {at} output of {total} {unit} a year")))
}

/// Amount times price, if the price table has one of a mass that the amount converts to.
fn cost(product: &str, amount: &Amount) -> Option<Cost> {
    let row = dataset::tables()
        .production
        .iter()
        .find(|r| r.material == product && r.stage == "price")?;
    let (price, unit) = (row.quantity?, row.unit.as_deref()?);
    let mass = unit.strip_prefix("USD/")?.split(' ').next()?;
    let factor = units::convert(&amount.unit, mass)?;
    Some(Cost {
        value: amount.value * factor * price,
        unit: "USD".into(),
        source: format!("{price} {unit} ({}); the price before the shock", row.source),
    })
}
