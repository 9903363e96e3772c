//! Comparisons: several scenarios on the same draws.
//!
//! A draw of the graph is the same for every scenario, so what they have in common cancels out: a
//! difference is often known much better than either loss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Answer;
use super::impacts::answer::LossRange;
use super::impacts::headline::{percent, percent_range};
use super::impacts::ranges::{self, DRAWS, RangeBasis, SEED};
use super::impacts::{ENGINE, answer_id};
use super::jobs::Estimate;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::impact::outcome::SMALLEST_LOSS;
use crate::analysis::impact::{ImpactError, Shocks, TargetNodes};
use crate::analysis::uncertainty::ensemble::Quantities;
use crate::analysis::uncertainty::{Kinds, Ranges, ScenarioLosses, losses, sample, spread};
use crate::graph::Snapshot;
use crate::model::scenario::{
    Mode, ModelOptions, Response, ScenarioBody, ScenarioError, Shock, Target, check_draws,
};

/// Most scenarios of one comparison: every pair is compared.
pub const MOST_SCENARIOS: usize = 50;
/// Share of the draws from which on one scenario counts as worse.
const DECIDED: f64 = 0.95;

/// Several scenarios to compare.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComparisonBody {
    /// The scenarios, at least two.
    pub scenarios: Vec<ComparedScenario>,
    /// Whose loss is compared (default: the targets of the scenarios).
    pub targets: Vec<Target>,
    /// How scenarios without options of their own are evaluated.
    pub model: Option<ModelOptions>,
    /// Draws (default 1000; 0: central values only).
    pub draws: Option<u32>,
    /// Seed of the draws (default 1).
    pub seed: Option<u64>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// One scenario of a comparison.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComparedScenario {
    /// Its id in the answer. Without shocks or responses: also the stored scenario that is meant.
    pub id: Option<String>,
    /// Its name in the answer.
    pub name: Option<String>,
    /// Id of a stored scenario to start from; the fields given here replace its own.
    pub scenario: Option<String>,
    /// One line for people.
    pub title: Option<String>,
    /// What the scenario stands for.
    pub description: Option<String>,
    /// What is lost, restricted or cut. An empty list is the baseline: nothing is.
    pub shocks: Option<Vec<Shock>>,
    /// What comes in against it.
    pub responses: Option<Vec<Response>>,
    /// Targets, where the comparison names none.
    pub targets: Vec<Target>,
    /// How it is evaluated, if otherwise than the others.
    pub model: Option<ModelOptions>,
}

/// A scenario as it is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResolvedScenario {
    /// Id in the answer.
    pub id: String,
    /// The scenario with everything written out.
    pub scenario: ScenarioBody,
}

/// A comparison that stands alone: what is hashed for its id, and kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Resolved {
    scenarios: Vec<ResolvedScenario>,
    targets: Vec<Target>,
    draws: u32,
    seed: u64,
}

/// What is kept of a comparison: enough to give the same bytes again.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    graph: String,
    version: u64,
    comparison: Resolved,
    elapsed_ms: f64,
}

/// A comparison ready to be made.
#[derive(Debug, Clone)]
pub struct Comparison {
    snapshot: Arc<Snapshot>,
    resolved: Resolved,
    /// Id of its answer.
    pub id: String,
}

/// Several scenarios on the same draws. Losses are fractions of the baseline, 0-1.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComparisonAnswer {
    /// Id: the same question on the same content has the same id and bytes.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// One sentence for people.
    pub headline: String,
    /// What the ranges were made of.
    pub range: RangeBasis,
    /// The scenarios, in the order given.
    pub scenarios: Vec<ResolvedScenario>,
    /// Each target, in the order asked.
    pub results: Vec<TargetComparison>,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// One target under every scenario.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetComparison {
    /// Name of the target.
    pub target: String,
    /// Its loss in each scenario, in the order given.
    pub losses: Vec<ScenarioLoss>,
    /// Every pair of scenarios, in the order given.
    pub differences: Vec<Difference>,
}

/// Loss of one target in one scenario.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScenarioLoss {
    /// Id of the scenario.
    pub scenario: String,
    /// Loss.
    pub loss: LossRange,
}

/// Two scenarios, draw by draw.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ScenarioDifference)]
pub struct Difference {
    /// Id of the one scenario.
    pub a: String,
    /// Id of the other.
    pub b: String,
    /// Loss in `a` less loss in `b`: above 0 where `a` is worse.
    pub difference: LossRange,
    /// Shares of the draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// Which is worse.
    pub verdict: Verdict,
}

/// Shares of the draws; they add up to 1.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Probability {
    /// `a` loses more.
    pub a_worse: f64,
    /// `b` loses more.
    pub b_worse: f64,
    /// Both lose the same (to 1e-12).
    pub equal: f64,
}

/// Which of two scenarios is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both lose the same in every draw.
    Equal,
    /// `a` loses more in at least 95 of 100 draws.
    AWorse,
    /// `b` loses more in at least 95 of 100 draws.
    BWorse,
    /// Neither: the figures are not known well enough to tell.
    Undecided,
}

impl Comparison {
    /// What it will probably take.
    pub fn estimate(&self) -> Estimate {
        let mut all = Estimate::default();
        for ResolvedScenario { scenario, .. } in &self.resolved.scenarios {
            let draws = Some(self.resolved.draws.max(1));
            let asked = ScenarioBody { draws, ..scenario.clone() };
            let one = ranges::estimate(&self.snapshot, &asked);
            all.seconds += one.seconds;
            all.bytes += one.bytes;
        }
        all
    }
}

impl Service {
    /// Resolves a comparison against a graph.
    ///
    /// # Errors
    /// Fewer than two or too many scenarios; a scenario that cannot be right; no target.
    pub fn comparison(
        &self,
        snapshot: Arc<Snapshot>,
        body: ComparisonBody,
    ) -> Result<Comparison, ServiceError> {
        check_draws(body.draws)?;
        let count = body.scenarios.len();
        if !(2..=MOST_SCENARIOS).contains(&count) {
            return Err(ScenarioError::new(
                "scenarios",
                format!("{count} given; a comparison takes 2 to {MOST_SCENARIOS}"),
            )
            .into());
        }
        let mut scenarios: Vec<ResolvedScenario> = Vec::with_capacity(count);
        for (i, compared) in body.scenarios.into_iter().enumerate() {
            let at = format!("scenarios[{i}]");
            let mut id = label(&compared, i);
            let same =
                scenarios.iter().filter(|s| s.id == id || s.id.starts_with(&format!("{id} #")));
            match same.count() {
                0 => {}
                n => id = format!("{id} #{}", n + 1),
            }
            let scenario = self.compared(&snapshot, compared, body.model.as_ref(), &at)?;
            scenarios.push(ResolvedScenario { id, scenario });
        }
        let targets = targets(&body.targets, &scenarios)?;
        for scenario in &mut scenarios {
            scenario.scenario.targets.clone_from(&targets);
        }
        let resolved = Resolved {
            scenarios,
            targets,
            draws: body.draws.unwrap_or(DRAWS),
            seed: body.seed.unwrap_or(SEED),
        };
        let id = answer_id("cmp", &snapshot, &resolved);
        Ok(Comparison { snapshot, resolved, id })
    }

    fn compared(
        &self,
        snapshot: &Snapshot,
        compared: ComparedScenario,
        model: Option<&ModelOptions>,
        at: &str,
    ) -> Result<ScenarioBody, ServiceError> {
        let ComparedScenario {
            id,
            scenario,
            title,
            description,
            shocks,
            responses,
            targets,
            model: own,
            ..
        } = compared;
        let bare = shocks.is_none() && responses.is_none() && scenario.is_none();
        let stored = match (bare, &id) {
            (true, Some(id)) => {
                // Without anything else the id must be one that is known: a typing error would
                // otherwise be a scenario in which nothing happens.
                self.scenario(id).map_err(|error| within(error, &format!("{at}.id")))?;
                Some(id.clone())
            }
            (true, None) => {
                return Err(ScenarioError::new(
                    at,
                    "needs shocks (an empty list is the baseline) or the id of a stored scenario",
                )
                .into());
            }
            (false, _) => scenario,
        };
        let body = ScenarioBody {
            scenario: stored,
            title,
            description,
            shocks: shocks.unwrap_or_default(),
            responses: responses.unwrap_or_default(),
            targets,
            model: own.or_else(|| model.cloned()).unwrap_or_default(),
            ..ScenarioBody::default()
        };
        let mut body = self.resolve_scenario(snapshot, body).map_err(|error| within(error, at))?;
        // What a scenario's own answer would hold beside its losses does not matter here.
        body.include.clear();
        (body.scenario, body.draws, body.seed) = (None, None, None);
        Ok(body)
    }

    /// Makes a comparison: from the cache, else by evaluating it. Blocks.
    ///
    /// # Errors
    /// A scenario that the graph does not understand; cancellation.
    pub fn compare(
        &self,
        comparison: &Comparison,
        progress: &Progress,
    ) -> Result<Answer, ServiceError> {
        if let Some(answer) = self.answers.get(&comparison.id) {
            return Ok(answer);
        }
        let stored = self.stored_comparison(&comparison.id)?;
        let start = Instant::now();
        let mut answer = self.evaluate_comparison(comparison, progress)?;
        let took = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        answer.elapsed_ms = stored.as_ref().map_or(took, |s| s.elapsed_ms);
        if stored.is_none() {
            let stored = Stored {
                graph: answer.graph.clone(),
                version: answer.version,
                comparison: comparison.resolved.clone(),
                elapsed_ms: took,
            };
            let bytes = serde_json::to_vec(&stored).map_err(|_| ServiceError::Internal)?;
            self.permalinks.keep(&answer.id, bytes);
        }
        let body = serde_json::to_vec(&answer).map_err(|_| ServiceError::Internal)?;
        let answer = Answer {
            id: comparison.id.as_str().into(),
            location: format!("/v1/comparisons/{}", comparison.id),
            version: answer.version,
            body: body.into(),
        };
        self.answers.put(answer.clone());
        Ok(answer)
    }

    fn stored_comparison(&self, id: &str) -> Result<Option<Stored>, ServiceError> {
        let stored = self.permalinks.get(id)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The comparison behind an answer's id. Blocks.
    ///
    /// # Errors
    /// An id that was never answered, or whose graph has changed since under the same version.
    pub fn comparison_of(&self, id: &str) -> Result<Comparison, ServiceError> {
        let absent = |hint: &str| ServiceError::Absent {
            what: "comparison",
            name: id.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let stored = self
            .stored_comparison(id)?
            .ok_or_else(|| absent("POST the scenarios to /v1/graphs/{g}/comparisons"))?;
        let snapshot = self.catalogue.load(&stored.graph, Some(stored.version))?;
        if answer_id("cmp", &snapshot, &stored.comparison) != id {
            return Err(absent("its graph was replaced, or another engine answered it; ask again"));
        }
        Ok(Comparison { snapshot, resolved: stored.comparison, id: id.to_owned() })
    }

    fn evaluate_comparison(
        &self,
        comparison: &Comparison,
        progress: &Progress,
    ) -> Result<ComparisonAnswer, ServiceError> {
        let Comparison { snapshot, resolved, id } = comparison;
        let targets = resolved
            .targets
            .iter()
            .enumerate()
            .map(|(i, t)| TargetNodes::resolve(snapshot, t, &format!("targets[{i}]")))
            .collect::<Result<Vec<_>, ImpactError>>()?;
        let mut quantities = ScenarioLosses::new(targets);
        let mut kinds = Kinds::default();
        for (i, ResolvedScenario { scenario, .. }) in resolved.scenarios.iter().enumerate() {
            let inside = |error: ImpactError| within(error.into(), &format!("scenarios[{i}]"));
            let options = losses::options(&scenario.model);
            let responses = losses::responses(&scenario.model, &scenario.responses);
            let model = self.models.get(snapshot, &options, &responses).map_err(inside)?;
            let shocks = Shocks::compile(snapshot, &scenario.shocks).map_err(inside)?;
            quantities.add(&model, &scenario.responses, shocks);
            let own = losses::kinds(&scenario.model);
            kinds.capacities |= own.capacities;
            kinds.stocks |= own.stocks;
        }
        let ranges = Ranges::of(snapshot, kinds);
        let mut central = vec![0.0; quantities.width()];
        quantities.evaluate(snapshot, &mut central, progress)?;
        progress.start(u64::from(resolved.draws));
        let samples = sample(&ranges, &quantities, resolved.draws, resolved.seed, progress)?;
        let results: Vec<TargetComparison> = resolved
            .targets
            .iter()
            .enumerate()
            .map(|(k, target)| {
                compare_target(target, &resolved.scenarios, |scenario| {
                    let place = quantities.position(scenario, k);
                    (central[place], &samples.by_quantity[place])
                })
            })
            .collect();
        let range = RangeBasis::new(&ranges, resolved.draws, resolved.seed);
        Ok(ComparisonAnswer {
            id: id.clone(),
            graph: snapshot.info().graph.to_string(),
            version: snapshot.info().version,
            engine: ENGINE.into(),
            headline: headline(&results, resolved.draws),
            warnings: warnings(resolved, &range),
            range,
            scenarios: resolved.scenarios.clone(),
            results,
            links: BTreeMap::from([
                ("self", format!("/v1/comparisons/{id}")),
                ("graph", format!("/v1/graphs/{}", snapshot.info().graph)),
            ]),
            elapsed_ms: 0.0,
        })
    }
}

/// What a scenario is called in the answer.
fn label(compared: &ComparedScenario, position: usize) -> String {
    [&compared.id, &compared.name, &compared.scenario, &compared.title]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_else(|| format!("scenario {}", position + 1))
}

/// The targets asked for, else those of the scenarios: a name must stand for the same nodes.
fn targets(asked: &[Target], scenarios: &[ResolvedScenario]) -> Result<Vec<Target>, ServiceError> {
    if !asked.is_empty() {
        // The checks of names are those of a scenario.
        let body = ScenarioBody { targets: asked.to_vec(), ..ScenarioBody::default() };
        body.check()?;
        return Ok(asked.to_vec());
    }
    let mut all: Vec<Target> = Vec::new();
    for (i, scenario) in scenarios.iter().enumerate() {
        for target in &scenario.scenario.targets {
            match all.iter().find(|t| t.name == target.name) {
                None => all.push(target.clone()),
                Some(known) if known == target => {}
                Some(_) => {
                    return Err(ScenarioError::new(
                        format!("scenarios[{i}].targets"),
                        format!(
                            "the target \"{}\" stands for other nodes in another scenario; give \
                             targets beside scenarios",
                            target.name
                        ),
                    )
                    .into());
                }
            }
        }
    }
    if all.is_empty() {
        return Err(ScenarioError::new(
            "targets",
            "no target to compare; give targets beside scenarios",
        )
        .into());
    }
    Ok(all)
}

/// An error inside a part of the body.
fn within(error: ServiceError, at: &str) -> ServiceError {
    match error {
        ServiceError::Impossible { param, problem, hint } => {
            let param = match param {
                Some(param) if param.starts_with(at) => param,
                Some(param) => format!("{at}.{param}"),
                None => at.to_owned(),
            };
            ServiceError::Impossible { param: Some(param), problem, hint }
        }
        ServiceError::Absent { what, name, hint } => ServiceError::Impossible {
            param: Some(at.to_owned()),
            problem: format!("there is no {what} \"{name}\""),
            hint,
        },
        other => other,
    }
}

fn range_of(value: f64, draws: &[f64]) -> LossRange {
    let spread = spread(draws);
    LossRange {
        value,
        low: spread.map(|s| s.low),
        high: spread.map(|s| s.high),
        median: spread.map(|s| s.median),
    }
}

fn compare_target<'s>(
    target: &Target,
    scenarios: &[ResolvedScenario],
    of: impl Fn(usize) -> (f64, &'s Vec<f64>),
) -> TargetComparison {
    let losses = scenarios
        .iter()
        .enumerate()
        .map(|(i, scenario)| {
            let (value, draws) = of(i);
            ScenarioLoss { scenario: scenario.id.clone(), loss: range_of(value, draws) }
        })
        .collect();
    let mut differences = Vec::new();
    for i in 0..scenarios.len() {
        for j in i + 1..scenarios.len() {
            let ((a, a_draws), (b, b_draws)) = (of(i), of(j));
            let draws: Vec<f64> = a_draws.iter().zip(b_draws).map(|(a, b)| a - b).collect();
            let share = |holds: &dyn Fn(f64) -> bool| {
                draws.iter().filter(|d| holds(**d)).count() as f64 / draws.len() as f64
            };
            let probability = (!draws.is_empty()).then(|| {
                let a_worse = share(&|d| d > SMALLEST_LOSS);
                let b_worse = share(&|d| d < -SMALLEST_LOSS);
                Probability { a_worse, b_worse, equal: share(&|d| d.abs() <= SMALLEST_LOSS) }
            });
            differences.push(Difference {
                a: scenarios[i].id.clone(),
                b: scenarios[j].id.clone(),
                difference: range_of(a - b, &draws),
                probability,
                verdict: verdict(a - b, probability),
            });
        }
    }
    TargetComparison { target: target.name.clone(), losses, differences }
}

fn verdict(central: f64, probability: Option<Probability>) -> Verdict {
    match probability {
        Some(p) if p.a_worse >= DECIDED => Verdict::AWorse,
        Some(p) if p.b_worse >= DECIDED => Verdict::BWorse,
        Some(p) if p.equal < 1.0 => Verdict::Undecided,
        // Central values only, or no draw that differs.
        _ if central > SMALLEST_LOSS => Verdict::AWorse,
        _ if central < -SMALLEST_LOSS => Verdict::BWorse,
        _ => Verdict::Equal,
    }
}

/// One sentence: the worst scenario for the first target, and how sure that is.
fn headline(results: &[TargetComparison], draws: u32) -> String {
    let Some(first) = results.first() else { return "No target was compared.".into() };
    let target = first.target.replace('_', " ");
    let shown = |loss: &LossRange| match (loss.low, loss.high) {
        (Some(low), Some(high)) if low < high => {
            format!("{} ({})", percent(loss.value), percent_range(low, high))
        }
        _ => percent(loss.value),
    };
    let mut order: Vec<&ScenarioLoss> = first.losses.iter().collect();
    order.sort_by(|a, b| b.loss.value.total_cmp(&a.loss.value));
    let [worst, next, ..] = order[..] else { return "Nothing was compared.".into() };
    let pair = first.differences.iter().find(|d| {
        [&d.a, &d.b].contains(&&worst.scenario) && [&d.a, &d.b].contains(&&next.scenario)
    });
    let Some(pair) = pair else { return "Nothing was compared.".into() };
    if pair.verdict == Verdict::Equal || pair.difference.value.abs() <= SMALLEST_LOSS {
        return format!(
            "{} and {} cost {target} the same: {}.",
            worst.scenario,
            next.scenario,
            shown(&worst.loss)
        );
    }
    let sure = pair.probability.map_or_else(String::new, |p| {
        let share = if pair.a == worst.scenario { p.a_worse } else { p.b_worse };
        format!(" (worse in {} of {draws} shared draws)", percent(share))
    });
    format!(
        "{} costs {target} most: {}, against {} in {}{sure}.",
        worst.scenario,
        shown(&worst.loss),
        shown(&next.loss),
        next.scenario
    )
}

fn warnings(resolved: &Resolved, range: &RangeBasis) -> Vec<String> {
    let mut warnings = Vec::new();
    if resolved.scenarios.iter().any(|s| s.scenario.model.mode == Mode::Timeline) {
        warnings.push("losses of timelines are means over their horizons".into());
    }
    let models = |s: &ResolvedScenario| s.scenario.model.clone();
    if resolved.scenarios.windows(2).any(|w| models(&w[0]) != models(&w[1])) {
        warnings.push(
            "the scenarios are evaluated with different options: the difference holds both what \
             happens and how it is evaluated"
                .into(),
        );
    }
    if resolved.draws > 0 && range.figures == 0 {
        warnings.push(
            "no figure of this graph states a range or a class, so the ranges have no width: give \
             figures low and high, or a class"
                .into(),
        );
    }
    warnings
}
