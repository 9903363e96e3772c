//! The worst case for a budget, and the cheapest cut: one set each, with proof or bounds.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::CutQuestion;
use super::answer::{CutTarget, UnitsView, settled, status, target, units};
use super::ask::{CheapestCutBody, WorstCaseBody};
use super::explain::{Sentences, SetView, percent};
use super::found::{Values, timed};
use super::ground::{Ground, set_error, threshold};
use crate::analysis::cut_sets::cheapest::cheapest_cuts;
use crate::analysis::cut_sets::worst_case::{WorstCase, worst_case};
use crate::analysis::cut_sets::{AtLeast, LossOracle, Semantics, Status, check_costs};
use crate::analysis::{Cancelled, Progress};
use crate::service::ServiceError;
use crate::service::impacts::{ENGINE, ModelCache};

/// Most units that a loss curve goes up to.
const LONGEST_CURVE: usize = 20;

/// One point of a loss curve.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CurvePoint {
    /// Units that may be removed.
    pub units_removed: usize,
    /// Worst loss found.
    pub loss: f64,
    /// No set of that many units loses more.
    pub upper_bound: f64,
    /// Units that lose it.
    pub units: Vec<String>,
}

impl CurvePoint {
    /// A point from a worst case.
    pub fn new(ground: &Ground, k: usize, worst: &WorstCase) -> Self {
        Self {
            units_removed: k,
            loss: worst.loss,
            upper_bound: worst.upper_bound,
            units: ground.names(&worst.units),
        }
    }
}

/// The most damaging units for a budget.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorstCaseAnswer {
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
    /// What can be removed.
    pub candidates: UnitsView,
    /// What may be spent: units, or cost.
    pub budget: f64,
    /// The most damaging set.
    pub units: Vec<String>,
    /// Loss if it is removed.
    pub loss: f64,
    /// What it costs.
    pub cost: f64,
    /// No set within the budget loses more than this.
    pub upper_bound: f64,
    /// `upper_bound - loss`.
    pub gap: f64,
    /// True if the gap is closed: no set within the budget is worse.
    pub proved: bool,
    /// `exact`, or `bounds`.
    pub status: &'static str,
    /// The limit that was hit.
    pub limit_hit: Option<String>,
    /// Loss that always taking the next worst unit reaches.
    pub greedy_loss: f64,
    /// The set with its chains and its scenario.
    pub set: SetView,
    /// Worst loss for 0, 1, ... units (`curve: true`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Vec<CurvePoint>>,
    /// Evaluations made.
    pub evaluations: u64,
    /// Where losses come from: `structure` or `engine`.
    pub losses_by: &'static str,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// The question as it was answered.
    #[schema(value_type = Object)]
    pub question: WorstCaseBody,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// The cheapest cuts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheapestCutAnswer {
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
    /// What can be removed.
    pub candidates: UnitsView,
    /// Loss that makes a set a cut.
    pub loss_at_least: f64,
    /// Units of the cheapest cut; null if there is none.
    pub units: Option<Vec<String>>,
    /// What it costs.
    pub cost: Option<f64>,
    /// Loss if it is removed.
    pub loss: Option<f64>,
    /// No cut costs less than this.
    pub lower_bound: Option<f64>,
    /// `cost - lower_bound`.
    pub gap: Option<f64>,
    /// True if nothing cheaper can be a cut.
    pub proved: bool,
    /// `exact`, `truncated` or `bounds`.
    pub status: &'static str,
    /// The limit that was hit.
    pub limit_hit: Option<String>,
    /// The cheapest cuts, in the order of (cost, size, names); the first ones with chains and
    /// scenario.
    pub cuts: Vec<SetView>,
    /// True if there are no more minimal cut sets than these.
    pub complete: bool,
    /// Path sets that the proof used.
    pub path_sets: usize,
    /// Evaluations made.
    pub evaluations: u64,
    /// Loss if every unit is removed at once.
    pub greatest_loss: f64,
    /// Where losses come from: `structure` or `engine`.
    pub losses_by: &'static str,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// The question as it was answered.
    #[schema(value_type = Object)]
    pub question: CheapestCutBody,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// The view of one set that stands alone.
///
/// # Errors
/// Cancelled.
pub fn lone_view(
    ground: &Ground,
    sentences: &Sentences<'_>,
    costs: &[f64],
    set: &[u32],
    loss: f64,
    rank: u64,
    progress: &Progress,
) -> Result<SetView, Cancelled> {
    let values = Values { costs: costs.to_vec(), probabilities: None };
    super::answer::view(sentences, ground, &values, set, loss, rank, progress)
}

/// What is true of every answer on this ground.
pub fn general_warnings(ground: &Ground) -> Vec<String> {
    let mut warnings = ground.warnings.clone();
    if let Some(why) = &ground.not_covered {
        warnings.push(format!("losses come from the impact engine set by set, because {why}"));
    }
    if ground.semantics == Semantics::Bootstrap {
        warnings.push(
            "losses are those of a system that starts from raw sources (bootstrap); the scenario \
             runs as a shock to the running system"
                .into(),
        );
    }
    if !ground.units.left_out.is_empty() {
        warnings.push(format!(
            "{} units that hold nothing but the target are left out; set target_in_units to count \
             them",
            ground.units.left_out.len()
        ));
    }
    warnings
}

/// Finds the worst case.
///
/// # Errors
/// A question that the graph does not understand; cancelled.
pub fn worst(
    models: &ModelCache,
    question: &CutQuestion,
    body: &WorstCaseBody,
    progress: &Progress,
) -> Result<WorstCaseAnswer, ServiceError> {
    let common = question.ask.common();
    let allowed = body.budget.ok_or_else(|| ServiceError::Impossible {
        param: Some("budget".into()),
        problem: "no budget: say how many units may be removed".into(),
        hint: Some("for example \"budget\": 2; with costs, what they may cost together".into()),
    })?;
    if !(allowed.is_finite() && allowed >= 0.0) {
        return Err(ServiceError::Impossible {
            param: Some("budget".into()),
            problem: format!("the budget is {allowed}; give a number of at least 0"),
            hint: None,
        });
    }
    let ground = Ground::new(models, question.snapshot.clone(), &common)?;
    let error = |e| set_error(e, Some(&ground.units));
    let costs = ground.units.values("costs", &body.costs, 1.0, &ground.without_effect)?;
    check_costs(&costs, costs.len()).map_err(error)?;
    let budget = body.limits.budget();
    let oracle = ground.oracle(progress);
    let stated = (!body.costs.is_empty()).then_some(&costs[..]);
    let worst = timed(body.limits.seconds, progress, || {
        worst_case(&oracle, stated, allowed, &budget, progress)
    })
    .map_err(error)?;
    progress.renew();
    let mut warnings = general_warnings(&ground);
    let mut curve = None;
    if body.curve {
        let most = (allowed as usize).min(LONGEST_CURVE).min(ground.units.len());
        let mut points = Vec::new();
        for k in 0..=most {
            let point = match k as f64 == allowed && stated.is_none() {
                true => worst.clone(),
                false => worst_case(&oracle, None, k as f64, &budget, progress).map_err(error)?,
            };
            points.push(CurvePoint::new(&ground, k, &point));
        }
        curve = Some(points);
    }
    let (status, _, limit_hit) = status(&settled(&ground, &worst.status, &mut warnings));
    if worst.gap > 0.0 && status != "exact" {
        warnings.push(format!(
            "not proved: some other set may lose up to {}",
            percent(worst.upper_bound)
        ));
    }
    let sentences = Sentences::new(&ground, common);
    let mut set = lone_view(&ground, &sentences, &costs, &worst.units, worst.loss, 1, progress)?;
    sentences.explain(&mut set, &worst.units, progress)?;
    let info = question.snapshot.info();
    let proof = if status == "exact" { "; nothing within the budget is worse" } else { "" };
    Ok(WorstCaseAnswer {
        id: question.id.clone(),
        graph: info.graph.to_string(),
        version: info.version,
        engine: ENGINE.into(),
        headline: format!("{}{proof}.", set.sentence.trim_end_matches('.')),
        target: target(&ground),
        candidates: units(&ground),
        budget: allowed,
        units: set.units.clone(),
        loss: worst.loss,
        cost: worst.cost,
        upper_bound: worst.upper_bound,
        gap: worst.gap,
        proved: status == "exact",
        status,
        limit_hit,
        greedy_loss: worst.greedy_loss,
        set,
        curve,
        evaluations: worst.calls,
        losses_by: ground.rules(),
        warnings,
        question: body.clone(),
        links: BTreeMap::from([
            ("self", format!("/v1/worst-cases/{}", question.id)),
            ("impacts", format!("/v1/graphs/{}/impacts", info.graph)),
        ]),
        elapsed_ms: 0.0,
    })
}

/// Finds the cheapest cuts.
///
/// # Errors
/// A question that the graph does not understand; cancelled.
pub fn cheapest(
    models: &ModelCache,
    question: &CutQuestion,
    body: &CheapestCutBody,
    progress: &Progress,
) -> Result<CheapestCutAnswer, ServiceError> {
    let common = question.ask.common();
    let loss = threshold(body.loss_at_least)?;
    let ground = Ground::new(models, question.snapshot.clone(), &common)?;
    let error = |e| set_error(e, Some(&ground.units));
    let costs = ground.units.values("costs", &body.costs, 1.0, &ground.without_effect)?;
    check_costs(&costs, costs.len()).map_err(error)?;
    let budget = body.limits.budget();
    let oracle = ground.oracle(progress);
    let everything: Vec<u32> = (0..ground.units.len() as u32).collect();
    let greatest_loss = oracle.loss(&everything)?;
    let graph = ground.failure_graph(loss);
    let count = body.limit.unwrap_or(1).max(1);
    let found = timed(body.limits.seconds, progress, || match &graph {
        Some(graph) => cheapest_cuts(graph, &costs, count, &budget, progress),
        None => cheapest_cuts(&AtLeast::new(&oracle, loss), &costs, count, &budget, progress),
    })
    .map_err(error)?;
    progress.renew();
    let sets: Vec<Vec<u32>> = found.cuts.iter().map(|cut| cut.units.clone()).collect();
    let losses = match &graph {
        Some(_) if ground.target.nodes.len() == 1 => vec![1.0; sets.len()],
        _ => oracle.losses(&sets)?,
    };
    let sentences = Sentences::new(&ground, common);
    let mut cuts = Vec::with_capacity(sets.len());
    for (i, (set, loss)) in sets.iter().zip(losses).enumerate() {
        let mut view = lone_view(&ground, &sentences, &costs, set, loss, i as u64 + 1, progress)?;
        if i < sentences.usual() {
            sentences.explain(&mut view, set, progress)?;
        }
        cuts.push(view);
    }
    let lower = match &found.status {
        Status::Bounds { lower, .. } => Some(*lower),
        _ => cuts.first().map(|cut| cut.cost),
    };
    let mut warnings = general_warnings(&ground);
    let found_status = settled(&ground, &found.status, &mut warnings);
    let (status, _, limit_hit) = status(&found_status);
    // Bounds speak of the next cut once some are proved.
    let proved = match &found_status {
        Status::Bounds { lower, .. } => {
            cuts.first().is_some_and(|cut| cut.cost <= lower + 1e-9 * cut.cost.max(1.0))
        }
        _ => true,
    };
    let name = &ground.asked_target.name;
    let first = cuts.first();
    let headline = match first {
        None if proved => format!(
            "Nothing can cost {name} {} of its output: with all units removed it loses {}.",
            percent(loss),
            percent(greatest_loss)
        ),
        None => format!("No cut of {name} was found within the limits; there may be one."),
        Some(cut) => format!(
            "{}; it costs {}{}.",
            cut.sentence.trim_end_matches('.'),
            cut.cost,
            if proved { ", and nothing cheaper can" } else { "" }
        ),
    };
    let info = question.snapshot.info();
    Ok(CheapestCutAnswer {
        id: question.id.clone(),
        graph: info.graph.to_string(),
        version: info.version,
        engine: ENGINE.into(),
        headline,
        target: target(&ground),
        candidates: units(&ground),
        loss_at_least: loss,
        units: first.map(|cut| cut.units.clone()),
        cost: first.map(|cut| cut.cost),
        loss: first.map(|cut| cut.loss),
        lower_bound: if proved { first.map(|cut| cut.cost) } else { lower },
        gap: match (first, lower) {
            (Some(_), _) if proved => Some(0.0),
            (Some(cut), Some(lower)) => Some((cut.cost - lower).max(0.0)),
            _ => None,
        },
        proved,
        status,
        limit_hit,
        cuts,
        complete: found.all,
        path_sets: found.path_sets,
        evaluations: found.calls,
        greatest_loss,
        losses_by: ground.rules(),
        warnings,
        question: body.clone(),
        links: BTreeMap::from([
            ("self", format!("/v1/cheapest-cuts/{}", question.id)),
            ("impacts", format!("/v1/graphs/{}/impacts", info.graph)),
        ]),
        elapsed_ms: 0.0,
    })
}
