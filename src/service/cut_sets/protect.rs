//! What to protect, and what to build, so that no small set of losses reaches the threshold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::CutQuestion;
use super::answer::{CutTarget, UnitsView, settled, status, target, units};
use super::ask::{ProtectionBody, ProtectionOption};
use super::explain::enumerated;
use super::explain::percent;
use super::extremes::{CurvePoint, general_warnings};
use super::found::timed;
use super::ground::{Ground, set_error, threshold};
use crate::analysis::cut_sets::protection::{self, InvestmentOracle, Protection, invest};
use crate::analysis::cut_sets::worst_case::{WorstCase, worst_case};
use crate::analysis::cut_sets::{
    AtLeast, Budget, EngineOracle, Family, LossOracle, Semantics, SetError, Status,
};
use crate::analysis::impact::{ImpactModel, TargetNodes};
use crate::analysis::{Cancelled, Progress};
use crate::graph::Snapshot;
use crate::model::scenario::{ModelOptions, Response, Substitution};
use crate::model::{Change, Figure, FlowRecord, NodeRecord, Record};
use crate::service::ServiceError;
use crate::service::catalogue::lock;
use crate::service::impacts::{ENGINE, ModelCache};

/// Most options of one question.
const MOST_OPTIONS: usize = 30;
/// Units that loss curves go up to, protected against or not.
const CURVE: usize = 3;

/// One attack that the answer defeats.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attack {
    /// Units that would be lost.
    pub units: Vec<String>,
    /// Number of units.
    pub size: usize,
    /// Loss without protection.
    pub loss: f64,
}

/// Worst losses before and after.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LossCurve {
    /// Worst loss for 0, 1, ... units as things are.
    pub before: Vec<CurvePoint>,
    /// The same with the answer in place.
    pub after: Vec<CurvePoint>,
}

/// What one option does alone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OptionView {
    /// Name.
    pub name: String,
    /// Cost.
    pub cost: f64,
    /// True if it is part of the answer.
    pub chosen: bool,
    /// Worst loss for `max_size` units with this option alone; `null` if the limits ended before it
    /// was proved.
    pub worst_loss_alone: Option<f64>,
    /// What it takes off the worst loss alone, per unit of cost.
    pub value: Option<f64>,
}

/// What to protect or build.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProtectionAnswer {
    /// Id.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// One sentence for people.
    pub headline: String,
    /// Whose loss.
    pub target: CutTarget,
    /// What can be lost.
    pub candidates: UnitsView,
    /// Loss that is prevented.
    pub loss_at_least: f64,
    /// Cuts of up to this many units are prevented.
    pub max_size: usize,
    /// Units to protect (without `options`).
    pub protect: Vec<String>,
    /// Options to build (with `options`).
    pub build: Vec<String>,
    /// What it costs.
    pub cost: f64,
    /// No choice costs less than this.
    pub lower_bound: f64,
    /// True if nothing cheaper does.
    pub proved: bool,
    /// `exact` or `bounds`.
    pub status: &'static str,
    /// The limit that was hit.
    pub limit_hit: Option<String>,
    /// Attacks that the proof uses: each is defeated by the answer.
    pub attacks: Vec<Attack>,
    /// Worst losses before and after.
    pub loss_curve: LossCurve,
    /// What each option does alone (with `options`).
    pub options: Vec<OptionView>,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// The question as it was answered.
    #[schema(value_type = Object)]
    pub question: ProtectionBody,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// Losses when some units cannot be lost.
struct Exposed<'a, O: LossOracle> {
    oracle: &'a O,
    open: Vec<u32>,
}

impl<O: LossOracle> Exposed<'_, O> {
    fn whole(&self, set: &[u32]) -> Vec<u32> {
        set.iter().map(|&u| self.open[u as usize]).collect()
    }
}

impl<O: LossOracle> LossOracle for Exposed<'_, O> {
    fn unit_count(&self) -> usize {
        self.open.len()
    }
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        self.oracle.loss(&self.whole(removed))
    }
    fn effort(&self) -> u64 {
        self.oracle.effort()
    }
    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        let sets: Vec<Vec<u32>> = sets.iter().map(|set| self.whole(set)).collect();
        self.oracle.losses(&sets)
    }
    fn subadditive(&self) -> bool {
        self.oracle.subadditive()
    }
}

/// Answers a protection question.
///
/// # Errors
/// A question that the graph does not understand; nothing that protects; cancelled.
pub fn protect(
    models: &ModelCache,
    question: &CutQuestion,
    body: &ProtectionBody,
    progress: &Progress,
) -> Result<ProtectionAnswer, ServiceError> {
    let common = question.ask.common();
    let loss = threshold(body.loss_at_least)?;
    let ground = Ground::new(models, question.snapshot.clone(), &common)?;
    let error = |e| set_error(e, Some(&ground.units));
    let late = |e| match e {
        SetError::Cancelled(_) if progress.out_of_time() => error(SetError::OutOfTime),
        e => error(e),
    };
    let budget = body.limits.budget();
    let size = body.max_size.unwrap_or(1).min(ground.units.len());
    let oracle = ground.oracle(progress);
    let points = |worst: &[WorstCase]| -> Vec<CurvePoint> {
        worst.iter().enumerate().map(|(k, w)| CurvePoint::new(&ground, k, w)).collect()
    };
    let mut options = Vec::new();
    let mut built = Vec::new();
    let mut cut_short = false;
    let mut unproved = 0;
    let (choice, loss_curve) = if body.options.is_empty() {
        let costs = ground.units.values("costs", &body.costs, 1.0, &ground.without_effect)?;
        let all: Vec<u32> = (0..ground.units.len() as u32).collect();
        let exposed = |chosen: &[u32]| Exposed {
            oracle: &oracle,
            open: all.iter().copied().filter(|u| chosen.binary_search(u).is_err()).collect(),
        };
        let curve = |exposed: Exposed<'_, _>| -> Result<Vec<CurvePoint>, SetError> {
            let mut points = Vec::new();
            if exposed.open.is_empty() {
                return Ok(points);
            }
            for k in 0..=CURVE.min(exposed.open.len()) {
                let mut worst = match worst_case(&exposed, None, k as f64, &budget, progress) {
                    Err(SetError::Cancelled(_)) if progress.out_of_time() => break,
                    worst => worst?,
                };
                worst.units = exposed.whole(&worst.units);
                points.push(CurvePoint::new(&ground, k, &worst));
            }
            Ok(points)
        };
        let (choice, before, after) = timed(body.limits.seconds, progress, || {
            let choice = protect_units(&ground, &oracle, loss, size, &costs, &budget, progress)?;
            let (before, after) = (curve(exposed(&[]))?, curve(exposed(&choice.chosen))?);
            Ok((choice, before, after))
        })
        .map_err(late)?;
        cut_short = progress.out_of_time();
        progress.renew();
        (choice, LossCurve { before, after })
    } else {
        let costs = option_costs(body)?;
        let plans = Plans::new(&ground, body, progress)?;
        let (result, alone) = timed(body.limits.seconds, progress, || {
            let result = invest(&plans, size, CURVE, loss, &costs, &budget, progress)?;
            let alone: Vec<Option<f64>> = (0..body.options.len())
                .map(|i| {
                    let alone = Alone { plans: &plans, bought: [i as u32] };
                    match worst_case(&alone, None, size as f64, &budget, progress) {
                        Ok(worst) => Ok((worst.status == Status::Exact).then_some(worst.loss)),
                        Err(SetError::Cancelled(_)) if progress.out_of_time() => Ok(None),
                        Err(error) => Err(error),
                    }
                })
                .collect::<Result<_, SetError>>()?;
            Ok((result, alone))
        })
        .map_err(late)?;
        progress.renew();
        plans.failed()?;
        unproved = alone.iter().filter(|loss| loss.is_none()).count();
        let before = result.before.get(size).or(result.before.last()).map_or(0.0, |w| w.loss);
        for (i, (option, alone)) in body.options.iter().zip(alone).enumerate() {
            options.push(OptionView {
                name: option.name.clone(),
                cost: costs[i],
                chosen: result.choice.chosen.binary_search(&(i as u32)).is_ok(),
                worst_loss_alone: alone,
                value: alone.map(|loss| (before - loss).max(0.0) / costs[i]),
            });
        }
        built =
            result.choice.chosen.iter().map(|&i| body.options[i as usize].name.clone()).collect();
        let curve = LossCurve { before: points(&result.before), after: points(&result.after) };
        (result.choice, curve)
    };
    let mut warnings = general_warnings(&ground);
    if cut_short {
        warnings.push(
            "the time given was over before the loss curves were complete: they end early, or their \
             last points are bounds"
                .into(),
        );
    }
    if unproved > 0 {
        warnings.push(format!(
            "what {unproved} of the options do alone was not proved within the limits: their \
             `worst_loss_alone` is null"
        ));
    }
    let found_status = settled(&ground, &choice.status, &mut warnings);
    let (status_word, _, limit_hit) = status(&found_status);
    let lower_bound = match &found_status {
        Status::Bounds { lower, .. } => *lower,
        _ => choice.cost,
    };
    let names = match body.options.is_empty() {
        true => ground.names(&choice.chosen),
        false => built.clone(),
    };
    let name = &ground.asked_target.name;
    let danger = match size {
        1 => "no single unit".to_owned(),
        size => format!("no {size} units together"),
    };
    let verb = if body.options.is_empty() { "Protecting" } else { "Building" };
    let headline = match names.is_empty() {
        true => format!("As things are, {danger} can cost {name} {} of its output.", percent(loss)),
        false => format!(
            "{verb} {} (cost {}) is enough so that {danger} can cost {name} {} of its output.",
            enumerated(&names),
            choice.cost,
            percent(loss)
        ),
    };
    let sets: Vec<Vec<u32>> = choice.attacks.iter().take(100).cloned().collect();
    let attacks = sets
        .iter()
        .zip(oracle.losses(&sets)?)
        .map(|(set, loss)| Attack { units: ground.names(set), size: set.len(), loss })
        .collect();
    let info = question.snapshot.info();
    Ok(ProtectionAnswer {
        id: question.id.clone(),
        graph: info.graph.to_string(),
        version: info.version,
        engine: ENGINE.into(),
        headline,
        target: target(&ground),
        candidates: units(&ground),
        loss_at_least: loss,
        max_size: size,
        protect: if body.options.is_empty() { names } else { Vec::new() },
        build: built,
        cost: choice.cost,
        lower_bound,
        proved: status_word == "exact",
        status: status_word,
        limit_hit,
        attacks,
        loss_curve,
        options,
        warnings,
        question: body.clone(),
        links: BTreeMap::from([
            ("self", format!("/v1/protections/{}", question.id)),
            ("graph", format!("/v1/graphs/{}", info.graph)),
        ]),
        elapsed_ms: 0.0,
    })
}

fn protect_units(
    ground: &Ground,
    oracle: &impl LossOracle,
    loss: f64,
    size: usize,
    costs: &[f64],
    budget: &Budget,
    progress: &Progress,
) -> Result<Protection, SetError> {
    if let Some(graph) = ground.failure_graph(loss) {
        match Family::of_graph(&graph, ground.units.len(), budget, progress) {
            Ok(family) => return family.protect(size, costs, progress),
            Err(SetError::TooLarge { .. } | SetError::NotCovered(_)) => {
                return protection::protect(&graph, size, costs, budget, progress);
            }
            Err(error) => return Err(error),
        }
    }
    protection::protect(&AtLeast::new(oracle, loss), size, costs, budget, progress)
}

fn option_costs(body: &ProtectionBody) -> Result<Vec<f64>, ServiceError> {
    let refuse = |i: usize, field: &str, problem: String, hint: Option<&str>| {
        Err(ServiceError::Impossible {
            param: Some(format!("options[{i}]{field}")),
            problem,
            hint: hint.map(str::to_owned),
        })
    };
    if body.options.len() > MOST_OPTIONS {
        return refuse(
            MOST_OPTIONS,
            "",
            format!("{} options; at most {MOST_OPTIONS}", body.options.len()),
            Some("leave out what is surely not worth it"),
        );
    }
    if body.semantics == Semantics::Bootstrap {
        return refuse(
            0,
            "",
            "options are judged by the impact engine: collapse only".into(),
            None,
        );
    }
    let headroom = body.model.substitution == Substitution::FlowHeadroom;
    let mut costs = Vec::new();
    for (i, option) in body.options.iter().enumerate() {
        let cost = option.cost.unwrap_or(1.0);
        if !(cost.is_finite() && cost > 0.0) {
            return refuse(
                i,
                ".cost",
                format!("the cost of \"{}\" is {cost}; give a positive number", option.name),
                None,
            );
        }
        let kinds = [option.link.is_some(), option.stock.is_some(), option.response.is_some()];
        if kinds.iter().filter(|k| **k).count() != 1 {
            return refuse(
                i,
                "",
                format!("option \"{}\" needs exactly one of link, stock and response", option.name),
                None,
            );
        }
        if (option.link.is_some() || option.stock.is_some()) && !headroom {
            return refuse(
                i,
                "",
                format!("option \"{}\" adds headroom, which the model does not count", option.name),
                Some("set model.substitution to \"flow_headroom\""),
            );
        }
        costs.push(cost);
    }
    Ok(costs)
}

/// Models of the graph with options bought, made when needed.
struct Plans<'a> {
    ground: &'a Ground,
    options: &'a [ProtectionOption],
    model: &'a ModelOptions,
    made: Mutex<FxHashMap<Vec<u32>, Arc<Plan>>>,
    failed: Mutex<Option<ServiceError>>,
    progress: &'a Progress,
}

struct Plan {
    model: ImpactModel,
    target: TargetNodes,
    units: Vec<crate::analysis::cut_sets::problem::Unit>,
}

impl<'a> Plans<'a> {
    fn new(
        ground: &'a Ground,
        body: &'a ProtectionBody,
        progress: &'a Progress,
    ) -> Result<Self, ServiceError> {
        let plans = Self {
            ground,
            options: &body.options,
            model: &body.model,
            made: Mutex::default(),
            failed: Mutex::default(),
            progress,
        };
        // Whatever is wrong with an option shows here, by its name.
        for i in 0..body.options.len() as u32 {
            plans.make(&[i]).map_err(|error| match error {
                ServiceError::Impossible { problem, hint, .. } => {
                    ServiceError::Impossible { param: Some(format!("options[{i}]")), problem, hint }
                }
                other => other,
            })?;
        }
        Ok(plans)
    }

    fn failed(&self) -> Result<(), ServiceError> {
        lock(&self.failed).take().map_or(Ok(()), Err)
    }

    fn plan(&self, bought: &[u32]) -> Option<Arc<Plan>> {
        if let Some(plan) = lock(&self.made).get(bought) {
            return Some(plan.clone());
        }
        match self.make(bought) {
            Ok(plan) => {
                let plan = Arc::new(plan);
                lock(&self.made).insert(bought.to_vec(), plan.clone());
                Some(plan)
            }
            Err(error) => {
                *lock(&self.failed) = Some(error);
                None
            }
        }
    }

    /// The graph with options bought, and its model.
    fn make(&self, bought: &[u32]) -> Result<Plan, ServiceError> {
        let snapshot = &self.ground.snapshot;
        let mut responses: Vec<Response> = Vec::new();
        let mut changes = Vec::new();
        for &i in bought {
            let option = &self.options[i as usize];
            if let Some(response) = &option.response {
                responses.push(response.clone());
            }
            let known = |id: &str| {
                snapshot.index(id).ok_or_else(|| ServiceError::Impossible {
                    param: None,
                    problem: format!("option \"{}\": there is no node \"{id}\"", option.name),
                    hint: None,
                })
            };
            if let Some(link) = &option.link {
                let (from, to) = (known(&link.from)?, known(&link.to)?);
                let product = link
                    .product
                    .clone()
                    .unwrap_or_else(|| snapshot.name(snapshot.product(from)).to_owned());
                if !(link.capacity.is_finite() && link.capacity >= 0.0) {
                    return Err(ServiceError::Impossible {
                        param: None,
                        problem: format!(
                            "option \"{}\": the capacity must be a number from 0 up",
                            option.name
                        ),
                        hint: None,
                    });
                }
                let old = snapshot.flows_out(from).find(|&e| {
                    snapshot.flow_to(e) == to
                        && snapshot.name(snapshot.network().flows.product[e]) == product
                });
                let quantity = old.map_or(0.0, |e| snapshot.quantity(e));
                let capacity = old.map_or(0.0, |e| snapshot.flow_capacity(e)).max(link.capacity);
                let mut flow = FlowRecord::new(link.from.as_str(), link.to.as_str(), quantity);
                flow.product = Some(product);
                flow.capacity = Some(capacity);
                changes.push(Change::Put(Record::Flow(flow)));
            }
            if let Some(stock) = &option.stock {
                let at = known(&stock.at)?;
                let demand: f64 = snapshot
                    .groups(at)
                    .filter(|&g| snapshot.name(snapshot.group_product(g)) == stock.product)
                    .flat_map(|g| snapshot.group_arrivals(g))
                    .map(|e| snapshot.quantity(snapshot.arrival_flows()[e] as usize))
                    .sum();
                let over = stock.over_days.unwrap_or(365.0);
                let good = |x: f64| x.is_finite() && x > 0.0;
                if demand <= 0.0 || !good(stock.days) || !good(over) {
                    return Err(ServiceError::Impossible {
                        param: None,
                        problem: format!(
                            "option \"{}\": days and over_days must be above 0, and {} must use {}",
                            option.name, stock.at, stock.product
                        ),
                        hint: None,
                    });
                }
                // A supplier that never fails and carries what the stock covers.
                let id = format!("stock of {} at {} ({i})", stock.product, stock.at);
                let mut node = NodeRecord::new(id.as_str());
                node.stage = Some("stock".into());
                node.output = Some(Figure::bare(0.0));
                changes.push(Change::Put(Record::Node(node)));
                let mut flow = FlowRecord::new(id, stock.at.as_str(), 0.0);
                flow.product = Some(stock.product.clone());
                flow.capacity = Some(demand * stock.days / over);
                changes.push(Change::Put(Record::Flow(flow)));
            }
        }
        let changed = match changes.is_empty() {
            true => snapshot.clone(),
            false => {
                let network = snapshot.network().apply(&changes).map_err(ServiceError::Change)?;
                Arc::new(Snapshot::build(
                    network,
                    snapshot.info().clone(),
                    snapshot.countries().clone(),
                ))
            }
        };
        // Nodes and flows move when others come in: units follow by id.
        let moved = |v: u32| changed.index(snapshot.id(v));
        let flows: FxHashMap<(u32, u32, &str), u32> = match changes.is_empty() {
            true => FxHashMap::default(),
            false => (0..changed.flow_count())
                .map(|e| {
                    let product = changed.name(changed.network().flows.product[e]);
                    ((changed.flow_from(e), changed.flow_to(e), product), e as u32)
                })
                .collect(),
        };
        let moved_flow = |e: u32| -> Option<u32> {
            if changes.is_empty() {
                return Some(e);
            }
            let old = e as usize;
            let product = snapshot.name(snapshot.network().flows.product[old]);
            let ends = (moved(snapshot.flow_from(old))?, moved(snapshot.flow_to(old))?, product);
            flows.get(&ends).copied()
        };
        let units = self
            .ground
            .units
            .members
            .iter()
            .map(|unit| crate::analysis::cut_sets::problem::Unit {
                nodes: unit.nodes.iter().filter_map(|&v| moved(v)).collect(),
                flows: unit.flows.iter().filter_map(|&e| moved_flow(e)).collect(),
            })
            .collect();
        let old = &self.ground.target;
        let nodes =
            old.nodes.iter().filter_map(|&(v, w)| moved(v).map(|v| (v, w))).collect::<Vec<_>>();
        let target = TargetNodes { nodes, ..old.clone() };
        let model = ImpactModel::new(changed, self.model, &responses)?;
        Ok(Plan { model, target, units })
    }
}

impl InvestmentOracle for Plans<'_> {
    fn option_count(&self) -> usize {
        self.options.len()
    }

    fn unit_count(&self) -> usize {
        self.ground.units.len()
    }

    fn loss(&self, bought: &[u32], removed: &[u32]) -> Result<f64, Cancelled> {
        // What cannot be made counts as no help; the question fails with its error afterwards.
        self.plan(bought).map_or(Ok(1.0), |plan| {
            EngineOracle::new(&plan.model, &plan.target, &plan.units, true, self.progress)
                .loss(removed)
        })
    }
}

/// One option bought.
struct Alone<'a> {
    plans: &'a Plans<'a>,
    bought: [u32; 1],
}

impl LossOracle for Alone<'_> {
    fn unit_count(&self) -> usize {
        self.plans.unit_count()
    }
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        self.plans.loss(&self.bought, removed)
    }
    fn effort(&self) -> u64 {
        self.plans.ground.engine(self.plans.progress).effort()
    }
}
