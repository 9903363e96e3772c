//! The answer to a question about minimal cut sets.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::ask::{Common, CutSetBody};
use super::explain::{Sentences, SetView, enumerated, percent};
use super::found::{DEFAULT_LIMIT, Found, Sets, Values};
use super::ground::{Ground, set_error};
use super::units::Units;
use crate::analysis::cut_sets::importance::probability_of_more_than;
use crate::analysis::cut_sets::{Budget, Family, LossOracle, Problem, Semantics, Status};
use crate::analysis::{Cancelled, Progress};
use crate::service::ServiceError;
use crate::service::impacts::ENGINE;

/// Factors by which all probabilities are scaled to see which ranks hold.
const FACTORS: [f64; 2] = [3.0, 1.0 / 3.0];
/// Most units for which those in no set are listed too.
const MOST_IDLE: usize = 5_000;
/// Sets of the enumeration behind an expected loss without a diagram.
const EXPECTED_SETS: f64 = 50_000.0;

/// The target of a question.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CutTarget {
    /// Name.
    pub name: String,
    /// Number of nodes.
    pub nodes: usize,
    /// Baseline that losses are shares of.
    pub baseline: f64,
    /// Unit of the baseline.
    pub unit: String,
}

/// Units of a question.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UnitsView {
    /// Units that can have an effect on the target.
    pub count: usize,
    /// Units that cannot: nothing of them lies upstream.
    pub without_effect: usize,
    /// Units that hold nothing but the target itself; set `target_in_units` to count them.
    pub left_out: Vec<String>,
}

/// Importance of one unit. Probability-based measures are for independent units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImportanceView {
    /// Unit.
    pub unit: String,
    /// P(cut | unit lost) - P(cut | unit safe).
    pub birnbaum: f64,
    /// E(loss | unit lost) - E(loss | unit safe); within `expected_loss.error` of the true value.
    pub expected_loss_birnbaum: Option<f64>,
    /// P(some minimal cut set that holds the unit has happened) / P(cut).
    pub fussell_vesely: Option<f64>,
    /// P(cut | unit lost) / P(cut).
    pub raw: Option<f64>,
    /// P(cut) / P(cut | unit safe); null if no cut is left without the unit.
    pub rrw: Option<f64>,
    /// Birnbaum x p / P(cut).
    pub criticality: Option<f64>,
    /// Rank by `birnbaum`, from 1.
    pub rank: usize,
    /// Best rank if all probabilities are three times as large, or a third.
    pub rank_best: usize,
    /// Worst rank then.
    pub rank_worst: usize,
}

/// Expected loss for independent units.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ExpectedLoss {
    /// Value, or its lower bound.
    pub value: f64,
    /// It is at most this far above the value (0: exact to rounding).
    pub error: f64,
}

/// Minimal cut sets of a target.
#[derive(Debug, Serialize, ToSchema)]
pub struct CutSetAnswer {
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
    /// Whose loss.
    pub target: CutTarget,
    /// Loss that makes a set a cut.
    pub loss_at_least: f64,
    /// Which fixed point counts in loops.
    pub semantics: Semantics,
    /// What can be removed.
    pub units: UnitsView,
    /// The first sets, in the order asked for.
    pub cut_sets: Vec<SetView>,
    /// For `GET /v1/cut-sets/{id}?cursor=`; null if these are all.
    pub next_cursor: Option<String>,
    /// Number of minimal cut sets of at most `max_size` units: a whole number of any length.
    #[schema(value_type = u64)]
    pub count: Box<RawValue>,
    /// Numbers of sets of 1, 2, 3, ... units.
    #[schema(value_type = Vec<u64>)]
    pub count_by_size: Vec<Box<RawValue>>,
    /// Number of larger minimal cut sets, if known.
    #[schema(value_type = Option<u64>)]
    pub larger: Option<Box<RawValue>>,
    /// True if `count` misses none of what was asked for.
    pub complete: bool,
    /// `exact` (the complete family), `complete_to_order` (all up to a size), or `truncated` (what is
    /// there is right, more may exist).
    pub status: &'static str,
    /// All sets up to this size are there; null: of every size.
    pub complete_to_size: Option<usize>,
    /// The limit that was hit.
    pub limit_hit: Option<String>,
    /// How they were found: `failure_diagram`, `level_diagram`, `branching_on_path_sets`,
    /// `implicit_hitting_set`, `all_units_removed`.
    pub method: &'static str,
    /// Where losses come from: `structure` (the compiled production rules) or `engine`.
    pub losses_by: &'static str,
    /// Loss if every unit is removed at once.
    pub greatest_loss: f64,
    /// True if the target is lost with nothing removed (the only minimal cut set is empty).
    pub always_lost: bool,
    /// Probability of the cut for independent units; a lower bound if `complete` is false or larger
    /// sets are not known.
    pub top_probability: Option<f64>,
    /// It lies between these.
    pub top_probability_bounds: Option<[f64; 2]>,
    /// Expected loss for independent units.
    pub expected_loss: Option<ExpectedLoss>,
    /// Where probabilities come from: `stated`, `attributes` (of the nodes), or `structural` (none
    /// are known; importance is for p = 1/2).
    pub probabilities: &'static str,
    /// Units, most important first; those in no minimal cut set last, with zeros (left out where there
    /// are more than 5000).
    pub importance: Vec<ImportanceView>,
    /// What to keep in mind.
    pub warnings: Vec<String>,
    /// The question as it was answered.
    #[schema(value_type = Object)]
    pub question: CutSetBody,
    /// Where to go on.
    pub links: BTreeMap<&'static str, String>,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// A whole number of any length as JSON.
pub fn integer(number: &BigUint) -> Box<RawValue> {
    RawValue::from_string(number.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A status in words, the size up to which sets are complete, and the limit that was hit.
pub fn status(status: &Status) -> (&'static str, Option<usize>, Option<String>) {
    match status {
        Status::Exact => ("exact", None, None),
        Status::CompleteToSize { size } => ("complete_to_order", Some(*size), None),
        Status::Truncated { complete_to_size, limit } => {
            ("truncated", Some(*complete_to_size), Some(limit.clone()))
        }
        Status::Bounds { limit, .. } => ("bounds", None, Some(limit.clone())),
    }
}

/// A search is not better than the losses that it went by.
pub fn settled(ground: &Ground, found: &Status, warnings: &mut Vec<String>) -> Status {
    if !ground.problem.as_ref().is_some_and(Problem::unsettled) {
        return found.clone();
    }
    let (side, sets) = match ground.semantics {
        Semantics::Collapse => ("least", "sets may be missing or larger than necessary"),
        Semantics::Bootstrap => ("most", "some sets may be no cuts"),
    };
    warnings.push(format!(
        "supply runs in loops that settle too slowly to be followed to the end for each set: losses \
         are at {side} what is said, and {sets}"
    ));
    Status::Truncated { complete_to_size: 0, limit: "looks at nodes of one evaluation".into() }
}

/// The target of a question.
pub fn target(ground: &Ground) -> CutTarget {
    CutTarget {
        name: ground.asked_target.name.clone(),
        nodes: ground.target.nodes.len(),
        baseline: ground.target.baseline,
        unit: ground.target.unit.clone(),
    }
}

/// The units of a question.
pub fn units(ground: &Ground) -> UnitsView {
    let Units { left_out, .. } = &ground.units;
    UnitsView {
        count: ground.units.len(),
        without_effect: ground.without_effect.len(),
        left_out: left_out.iter().take(100).cloned().collect(),
    }
}

/// Numbers of the units, and where the probabilities come from.
///
/// # Errors
/// Names that no unit has; numbers out of range; only some probabilities stated.
pub fn values(
    ground: &Ground,
    units: &Units,
    body: &CutSetBody,
    warnings: &mut Vec<String>,
) -> Result<(Values, &'static str), ServiceError> {
    use crate::analysis::cut_sets::{check_costs, check_probabilities};
    let costs = units.values("costs", &body.costs, 1.0, &ground.without_effect)?;
    check_costs(&costs, units.len()).map_err(|e| set_error(e, Some(units)))?;
    let given = !body.probabilities.is_empty() || body.default_probability.is_some();
    if !given {
        return Ok(match units.stated(&ground.snapshot) {
            Ok(probabilities) => {
                (Values { costs, probabilities: Some(probabilities) }, "attributes")
            }
            Err(some) => {
                if some > 0 {
                    warnings.push(format!(
                        "{some} of {} units state a probability; give the others by \
                         probabilities or default_probability",
                        units.len()
                    ));
                }
                (Values { costs, probabilities: None }, "structural")
            }
        });
    }
    let missing = units.names.iter().find(|name| !body.probabilities.contains_key(*name));
    if let (Some(missing), None) = (missing, body.default_probability) {
        return Err(ServiceError::Impossible {
            param: Some("probabilities".into()),
            problem: format!("unit \"{missing}\" has no probability"),
            hint: Some("name every unit, or give default_probability for the others".into()),
        });
    }
    let default = body.default_probability.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&default) {
        return Err(ServiceError::Impossible {
            param: Some("default_probability".into()),
            problem: format!("default_probability is {default}; give a number between 0 and 1"),
            hint: None,
        });
    }
    let probabilities =
        units.values("probabilities", &body.probabilities, default, &ground.without_effect)?;
    check_probabilities(&probabilities, units.len()).map_err(|e| set_error(e, Some(units)))?;
    Ok((Values { costs, probabilities: Some(probabilities) }, "stated"))
}

/// Losses of listed sets.
///
/// # Errors
/// Cancelled.
pub fn losses(
    ground: &Ground,
    found: &Found,
    sets: &[Vec<u32>],
    progress: &Progress,
) -> Result<Vec<f64>, Cancelled> {
    match found.same_loss {
        Some(loss) => Ok(vec![loss; sets.len()]),
        None => ground.oracle(progress).losses(sets),
    }
}

/// One listed set without chains.
///
/// # Errors
/// Cancelled.
pub fn view(
    sentences: &Sentences<'_>,
    ground: &Ground,
    values: &Values,
    set: &[u32],
    loss: f64,
    rank: u64,
    progress: &Progress,
) -> Result<SetView, Cancelled> {
    let bootstrap = ground.semantics == Semantics::Bootstrap;
    Ok(SetView {
        rank,
        units: ground.names(set),
        size: set.len(),
        cost: set.iter().map(|&u| values.costs[u as usize]).sum(),
        loss,
        collapse_loss: bootstrap.then(|| ground.engine(progress).loss(set)).transpose()?,
        probability: values
            .probabilities
            .as_ref()
            .map(|p| set.iter().map(|&u| p[u as usize]).product()),
        sentence: sentences.short(set, loss),
        chains: None,
        scenario: None,
        link: None,
    })
}

/// Numbers of sets by size (index = size), as far as known.
fn counts(found: &Found) -> Vec<BigUint> {
    match &found.sets {
        Sets::Family(family) => family.count_by_size(),
        Sets::List(sets) => {
            let longest = sets.iter().map(Vec::len).max().unwrap_or(0);
            let mut counts = vec![0u64; longest + 1];
            for set in sets {
                counts[set.len()] += 1;
            }
            counts.into_iter().map(BigUint::from).collect()
        }
    }
}

/// What an answer needs beside what was found.
pub struct Frame<'a> {
    /// Id of the answer.
    pub id: &'a str,
    /// The question.
    pub body: &'a CutSetBody,
    /// Its common part.
    pub common: Common<'a>,
    /// Where probabilities come from.
    pub basis: &'static str,
    /// Makes a cursor of a position.
    pub cursor: &'a dyn Fn(u64) -> String,
}

/// Puts the answer together.
///
/// # Errors
/// A listing that does not fit the budget; cancelled.
pub fn answer(
    frame: &Frame<'_>,
    ground: &Ground,
    loss: f64,
    values: &Values,
    found: &Found,
    progress: &Progress,
) -> Result<CutSetAnswer, ServiceError> {
    let error = |e| set_error(e, Some(&ground.units));
    let Frame { id, body, .. } = *frame;
    let snapshot = &ground.snapshot;
    let budget = body.limits.budget();
    let most = body.max_size.unwrap_or(usize::MAX);
    let counts = counts(found);
    let within = &counts[..counts.len().min(most.saturating_add(1))];
    let count: BigUint = within.iter().sum();
    let mut warnings = ground.warnings.clone();
    let found_status = settled(ground, &found.status, &mut warnings);
    let (status_word, mut complete_to_size, limit_hit) = status(&found_status);
    let complete = match &found_status {
        Status::Exact => true,
        Status::CompleteToSize { size } => body.max_size == Some(*size) || most <= *size,
        _ => false,
    };
    if complete_to_size.is_none() && !matches!(found_status, Status::Exact) {
        complete_to_size = Some(0);
    }
    let larger = match (&found.sets, &found_status) {
        (Sets::Family(_), Status::Exact) => Some(counts.iter().skip(within.len()).sum::<BigUint>()),
        (_, Status::Exact) => Some(BigUint::ZERO),
        _ => None,
    };

    let limit = body.limit.unwrap_or(DEFAULT_LIMIT);
    let mut listed = Vec::new();
    for set in found.stream(body, values, 0).map_err(error)?.take(limit) {
        progress.check()?;
        listed.push(set.map_err(error)?);
    }
    let shown = BigUint::from(listed.len());
    let next_cursor = (shown < count && limit > 0).then(|| (frame.cursor)(listed.len() as u64));
    let lost = losses(ground, found, &listed, progress)?;
    let sentences = Sentences::new(ground, frame.common);
    let explained = body.explain.unwrap_or_else(|| sentences.usual());
    let mut cut_sets = Vec::with_capacity(listed.len());
    for (i, (set, &lost)) in listed.iter().zip(&lost).enumerate() {
        let mut view = view(&sentences, ground, values, set, lost, i as u64 + 1, progress)?;
        view.link = Some(format!("/v1/cut-sets/{id}/sets/{}/impact", i + 1));
        if i < explained {
            sentences.explain(&mut view, set, progress)?;
        }
        cut_sets.push(view);
    }

    warnings.extend(found.warnings.iter().cloned());
    let chance = chance(ground, found, values, &budget, progress, &mut warnings)?;
    if found.loops_matter {
        warnings.push(
            "supply runs in loops: collapse (the running system is hit) and bootstrap (supply must \
             be founded on raw sources) give different cut sets; ask for both"
                .into(),
        );
    }
    if let Some(why) = &ground.not_covered {
        warnings.push(format!(
            "losses come from the impact engine set by set, because {why}; they are monotone, so \
             minimal sets are well defined"
        ));
    }
    if !ground.units.left_out.is_empty() {
        warnings.push(format!(
            "{} units that hold nothing but the target are left out; set target_in_units to count \
             them",
            ground.units.left_out.len()
        ));
    }
    let headline = headline(ground, loss, &count, within, complete, &cut_sets, found);
    let links = BTreeMap::from([
        ("self", format!("/v1/cut-sets/{id}")),
        ("sets", format!("/v1/cut-sets/{id}.ndjson")),
        ("fault_tree", format!("/v1/cut-sets/{id}/fault-tree.xml")),
        ("graph", format!("/v1/graphs/{}", snapshot.info().graph)),
    ]);
    Ok(CutSetAnswer {
        id: id.to_owned(),
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        engine: ENGINE.into(),
        headline,
        target: target(ground),
        loss_at_least: loss,
        semantics: ground.semantics,
        units: units(ground),
        cut_sets,
        next_cursor,
        count: integer(&count),
        count_by_size: trimmed(within).iter().skip(1).map(integer).collect(),
        larger: larger.as_ref().map(integer),
        complete,
        status: status_word,
        complete_to_size,
        limit_hit,
        method: found.method,
        losses_by: ground.rules(),
        greatest_loss: found.greatest_loss,
        always_lost: counts.first().is_some_and(|n| *n > BigUint::ZERO),
        top_probability: chance.top.map(|top| top[0]),
        top_probability_bounds: chance.top,
        expected_loss: chance.expected,
        probabilities: frame.basis,
        importance: chance.importance,
        warnings,
        question: body.clone(),
        links,
        elapsed_ms: 0.0,
    })
}

/// Without the zeros at the end.
fn trimmed(counts: &[BigUint]) -> &[BigUint] {
    let last = counts.iter().rposition(|n| *n > BigUint::ZERO);
    &counts[..last.map_or(0, |last| last + 1)]
}

/// What probabilities say.
struct Chance {
    top: Option<[f64; 2]>,
    expected: Option<ExpectedLoss>,
    importance: Vec<ImportanceView>,
}

fn chance(
    ground: &Ground,
    found: &Found,
    values: &Values,
    budget: &Budget,
    progress: &Progress,
    warnings: &mut Vec<String>,
) -> Result<Chance, ServiceError> {
    let error = |e| set_error(e, Some(&ground.units));
    let n = ground.units.len();
    let of_sets;
    let family = match &found.sets {
        Sets::Family(family) => family,
        Sets::List(sets) => match Family::of_sets(sets, n, budget, progress) {
            Ok(family) => {
                of_sets = family;
                &of_sets
            }
            Err(crate::analysis::cut_sets::SetError::TooLarge { .. }) => {
                warnings.push("probabilities and importance do not fit the diagram budget".into());
                return Ok(Chance { top: None, expected: None, importance: Vec::new() });
            }
            Err(other) => return Err(error(other)),
        },
    };
    let structural = vec![0.5; n];
    let p = values.probabilities.as_ref().unwrap_or(&structural);
    let known = values.probabilities.is_some();
    let mut top = None;
    let mut expected = None;
    let mut slopes: Option<Vec<f64>> = None;
    if known {
        let lower = family.top_probability(p).map_err(error)?;
        let missed = match &found.status {
            Status::Exact => 0.0,
            Status::CompleteToSize { size } | Status::Truncated { complete_to_size: size, .. } => {
                probability_of_more_than(*size, p)
            }
            Status::Bounds { .. } => 1.0,
        };
        top = Some([lower, (lower + missed).min(1.0)]);
        if let Some((value, by_unit)) = &found.expected {
            expected = Some(ExpectedLoss { value: *value, error: 0.0 });
            slopes = Some(by_unit.clone());
        } else if found.same_loss == Some(1.0) && matches!(found.status, Status::Exact) {
            expected = Some(ExpectedLoss { value: lower, error: 0.0 });
        } else if let Some((loss, by_unit)) = enumerate(ground, p, progress)? {
            expected = Some(loss);
            slopes = Some(by_unit);
        }
    }
    let all = family.importance(p, budget, progress).map_err(error)?;
    let ranks: BTreeMap<u32, _> = family
        .rank_stability(p, &FACTORS)
        .map_err(error)?
        .into_iter()
        .map(|range| (range.unit, range))
        .collect();
    if all.iter().any(|i| i.fussell_vesely.is_none()) && known && top != Some([0.0, 0.0]) {
        warnings.push("fussell_vesely does not fit the budget on this family".into());
    }
    let mut importance: Vec<ImportanceView> = all
        .into_iter()
        .map(|i| {
            let range = ranks.get(&i.unit);
            let exact = found.same_loss == Some(1.0) && slopes.is_none() && known;
            ImportanceView {
                unit: ground.units.names[i.unit as usize].clone(),
                birnbaum: i.birnbaum,
                expected_loss_birnbaum: match &slopes {
                    Some(slopes) => Some(slopes[i.unit as usize]),
                    None => exact.then_some(i.birnbaum),
                },
                fussell_vesely: i.fussell_vesely,
                raw: i.raw,
                rrw: i.rrw,
                criticality: i.criticality,
                rank: range.map_or(0, |r| r.rank),
                rank_best: range.map_or(0, |r| r.best),
                rank_worst: range.map_or(0, |r| r.worst),
            }
        })
        .collect();
    let first_idle = importance.len() + 1;
    if ground.units.len() + ground.without_effect.len() <= MOST_IDLE {
        let named: std::collections::BTreeSet<String> =
            importance.iter().map(|i| i.unit.clone()).collect();
        let idle = ground.units.names.iter().chain(&ground.without_effect);
        importance.extend(idle.filter(|name| !named.contains(*name)).map(|name| {
            let share = |value: f64| top.filter(|top| top[0] > 0.0).map(|_| value);
            let slope = slopes.as_ref().and_then(|slopes| {
                ground.units.names.binary_search(name).ok().map(|unit| slopes[unit])
            });
            ImportanceView {
                unit: name.clone(),
                birnbaum: 0.0,
                expected_loss_birnbaum: slope.or_else(|| expected.map(|_| 0.0)),
                fussell_vesely: share(0.0),
                raw: share(1.0),
                rrw: share(1.0),
                criticality: share(0.0),
                rank: first_idle,
                rank_best: first_idle,
                rank_worst: first_idle,
            }
        }));
    }
    importance.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.unit.cmp(&b.unit)));
    Ok(Chance { top, expected, importance })
}

/// Expected loss from the losses of all sets of up to two units, and its slope by each unit; what
/// larger sets can add bounds the error. `None` if that takes too many evaluations.
fn enumerate(
    ground: &Ground,
    p: &[f64],
    progress: &Progress,
) -> Result<Option<(ExpectedLoss, Vec<f64>)>, ServiceError> {
    let n = p.len();
    let oracle = ground.oracle(progress);
    let pairs = (n * n.saturating_sub(1) / 2) as f64;
    if pairs > EXPECTED_SETS || pairs * oracle.effort() as f64 > 2e9 {
        return Ok(None);
    }
    let mut sets: Vec<Vec<u32>> = vec![Vec::new()];
    sets.extend((0..n as u32).map(|u| vec![u]));
    for u in 0..n as u32 {
        sets.extend((u + 1..n as u32).map(|v| vec![u, v]));
    }
    let losses = oracle.losses(&sets)?;
    // Probability that exactly these units are lost, given what is known of one of them.
    let exactly = |set: &[u32], given: Option<u32>| -> f64 {
        (0..n as u32)
            .filter(|u| Some(*u) != given)
            .map(|u| {
                let q = p[u as usize];
                if set.contains(&u) { q } else { 1.0 - q }
            })
            .product()
    };
    // Products over all units are shared: divide one factor out where that is safe.
    let none: f64 = p.iter().map(|q| 1.0 - q).product();
    if none <= 0.0 {
        return Ok(None);
    }
    let odds: Vec<f64> = p.iter().map(|q| q / (1.0 - q)).collect();
    let mut value = 0.0;
    let (mut with, mut lacking) = (vec![0.0; n], vec![0.0; n]);
    for (set, &loss) in sets.iter().zip(&losses) {
        let chance = none * set.iter().map(|&u| odds[u as usize]).product::<f64>();
        value += chance * loss;
        for &u in set {
            with[u as usize] += chance / p[u as usize].max(f64::MIN_POSITIVE) * loss;
        }
        for u in 0..n as u32 {
            if !set.contains(&u) {
                lacking[u as usize] += chance / (1.0 - p[u as usize]) * loss;
            }
        }
    }
    // A unit that is never lost: its sets have no chance above, but count given that it is lost.
    for u in (0..n as u32).filter(|&u| p[u as usize] == 0.0) {
        with[u as usize] = sets
            .iter()
            .zip(&losses)
            .filter(|(set, _)| set.contains(&u))
            .map(|(set, loss)| exactly(set, Some(u)) * loss)
            .sum();
    }
    let error = probability_of_more_than(2, p);
    let slopes = with.into_iter().zip(lacking).map(|(with, lacking)| with - lacking).collect();
    Ok(Some((ExpectedLoss { value, error }, slopes)))
}

fn headline(
    ground: &Ground,
    loss: f64,
    count: &BigUint,
    by_size: &[BigUint],
    complete: bool,
    sets: &[SetView],
    found: &Found,
) -> String {
    let target = &ground.asked_target.name;
    let what = match loss {
        loss if loss >= 1.0 => format!("stop {target}"),
        _ => format!("cost {target} at least {} of its output", percent(loss)),
    };
    if *count == BigUint::ZERO {
        return if complete && found.greatest_loss < loss {
            format!(
                "Nothing can {what}: with all {} units removed it loses {}.",
                ground.units.len(),
                percent(found.greatest_loss)
            )
        } else if complete {
            format!("No set of the size asked for can {what}.")
        } else {
            format!("No set was found that can {what}; more may exist.")
        };
    }
    let sizes: Vec<String> = by_size
        .iter()
        .enumerate()
        .filter(|(_, n)| **n > BigUint::ZERO)
        .map(|(size, n)| match size {
            0 => "the empty one".into(),
            1 => format!("{n} of one unit"),
            size => format!("{n} of {size}"),
        })
        .collect();
    let number = match (*count == BigUint::from(1u8), complete) {
        (true, _) => "One minimal set of units can".to_owned(),
        (false, true) => format!("{count} minimal sets of units can"),
        (false, false) => format!("At least {count} minimal sets of units can"),
    };
    let first = sets.first().map(|set| format!(" First: {}.", enumerated(&set.units)));
    format!("{number} {what}: {}.{}", enumerated(&sizes), first.unwrap_or_default())
}
