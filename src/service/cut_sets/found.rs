//! Finds the minimal cut sets of a question by the method that fits, and lists them in order.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::ask::{CutSetBody, SetOrder};
use super::ground::{Ground, set_error};
use crate::analysis::Progress;
use crate::analysis::cut_sets::bounded::{Bounded, minimal_cut_sets};
use crate::analysis::cut_sets::cheapest::cheapest_cuts;
use crate::analysis::cut_sets::levels::Levels;
use crate::analysis::cut_sets::stream::Listing;
use crate::analysis::cut_sets::{
    AtLeast, Budget, Family, LOSS_TOLERANCE, LossOracle, Order, SetError, Status,
};
use crate::service::ServiceError;
use crate::service::catalogue::lock;

/// Size up to which sets are looked for where the complete family cannot be had.
pub const DEFAULT_SIZE: usize = 3;
/// Diagram nodes spent on operating levels before sets are looked for one by one.
const LEVEL_NODES: usize = 1_000_000;

/// Listings outlive the request that starts them; nobody cancels them but by not reading on.
static QUIET: Progress = Progress::silent();

/// The sets themselves.
pub enum Sets {
    /// As diagrams: counted, never all at once.
    Family(Family),
    /// One by one, in the order of (size, units).
    List(Vec<Vec<u32>>),
}

/// What was found.
pub struct Found {
    /// The sets.
    pub sets: Sets,
    /// How complete they are.
    pub status: Status,
    /// Method, for answers.
    pub method: &'static str,
    /// Loss if all units are removed.
    pub greatest_loss: f64,
    /// Loss of every cut, where it is the same for all (targets that run or stop).
    pub same_loss: Option<f64>,
    /// Exact expected loss, and its slope by each unit.
    pub expected: Option<(f64, Vec<f64>)>,
    /// True if loops make the two semantics differ.
    pub loops_matter: bool,
    /// What to keep in mind.
    pub warnings: Vec<String>,
}

/// Numbers of the units.
pub struct Values {
    /// Costs.
    pub costs: Vec<f64>,
    /// Probabilities, if known.
    pub probabilities: Option<Vec<f64>>,
}

/// Runs `work` with a limit in seconds, after which `progress` expires.
pub fn timed<T>(seconds: Option<f64>, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let Some(seconds) = seconds else { return work() };
    let (done, wake) = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let length = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
            let guard = lock(&done);
            let waited = wake.wait_timeout_while(guard, length, |done| !*done);
            if waited.is_ok_and(|(_, timeout)| timeout.timed_out()) {
                progress.expire();
            }
        });
        let result = work();
        *lock(&done) = true;
        wake.notify_all();
        result
    })
}

/// Finds the sets.
///
/// # Errors
/// Cancelled; a budget too small for anything.
pub fn find(
    ground: &Ground,
    body: &CutSetBody,
    loss: f64,
    values: &Values,
    progress: &Progress,
) -> Result<Found, ServiceError> {
    let error = |e| set_error(e, Some(&ground.units));
    let budget = body.limits.budget();
    let oracle = ground.oracle(progress);
    let everything: Vec<u32> = (0..ground.units.len() as u32).collect();
    let greatest_loss = oracle.loss(&everything)?;
    let mut found = Found {
        sets: Sets::List(Vec::new()),
        status: Status::Exact,
        method: "all_units_removed",
        greatest_loss,
        same_loss: None,
        expected: None,
        loops_matter: false,
        warnings: Vec::new(),
    };
    if greatest_loss < loss - LOSS_TOLERANCE {
        return Ok(found);
    }
    let half = body.limits.seconds.map(|s| s / 2.0);
    let graph = ground.failure_graph(loss);
    if let Some(graph) = &graph {
        let family = timed(half, progress, || {
            Family::of_graph(graph, oracle.unit_count(), &budget, progress)
        });
        if let Some(family) = fits(family, progress, &mut found.warnings).map_err(error)? {
            found.loops_matter = family.loops_matter();
            found.same_loss = (ground.target.nodes.len() == 1).then_some(1.0);
            found.sets = Sets::Family(family);
            found.method = "failure_diagram";
            return Ok(found);
        }
    } else if let Some(problem) = ground.problem.as_ref().filter(|p| p.has_levels()) {
        let small = Budget { diagram_nodes: budget.diagram_nodes.min(LEVEL_NODES), ..budget };
        let levels = timed(half, progress, || {
            let levels = Levels::build(problem, &small, progress)?;
            let family = levels.family(loss, &budget, progress)?;
            Ok((levels, family))
        });
        if let Some((levels, family)) =
            fits(levels, progress, &mut found.warnings).map_err(error)?
        {
            found.loops_matter = levels.loops_matter();
            if let Some(p) = &values.probabilities {
                found.expected = Some(levels.expected_loss(p).map_err(error)?);
            }
            found.sets = Sets::Family(family);
            found.method = "level_diagram";
            return Ok(found);
        }
    }
    let seconds =
        if graph.is_some() || ground.problem.is_some() { half } else { body.limits.seconds };
    if body.max_size.is_none() && body.order != SetOrder::Size {
        let costs = match (body.order, &values.probabilities) {
            (SetOrder::Probability, Some(p)) => rarity(p),
            _ => values.costs.clone(),
        };
        let count = body.limit.unwrap_or(DEFAULT_LIMIT);
        let cheapest = timed(seconds, progress, || match &graph {
            Some(graph) => cheapest_cuts(graph, &costs, count, &budget, progress),
            None => cheapest_cuts(&AtLeast::new(&oracle, loss), &costs, count, &budget, progress),
        })
        .map_err(error)?;
        progress.renew();
        found.method = "implicit_hitting_set";
        found.status = match (cheapest.all, cheapest.status) {
            (true, Status::Exact) => Status::Exact,
            (_, Status::Bounds { limit, .. }) => Status::Truncated { complete_to_size: 0, limit },
            (_, Status::Exact) => Status::Truncated {
                complete_to_size: 0,
                limit: format!("the {count} asked for: these come first, proved"),
            },
            (_, other) => other,
        };
        let mut sets: Vec<Vec<u32>> = cheapest.cuts.into_iter().map(|cut| cut.units).collect();
        sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        found.sets = Sets::List(sets);
        return Ok(found);
    }
    let size = body.max_size.unwrap_or(DEFAULT_SIZE);
    let Bounded { sets, status, .. } = timed(seconds, progress, || match &graph {
        Some(graph) => minimal_cut_sets(graph, size, &budget, progress),
        None => minimal_cut_sets(&AtLeast::new(&oracle, loss), size, &budget, progress),
    })
    .map_err(error)?;
    progress.renew();
    found.method = "branching_on_path_sets";
    found.status = status;
    found.sets = Sets::List(sets);
    Ok(found)
}

/// Sets in an answer unless the question says otherwise.
pub const DEFAULT_LIMIT: usize = 1000;

/// `None` where a diagram did not fit: other methods go on.
fn fits<T>(
    built: Result<T, SetError>,
    progress: &Progress,
    warnings: &mut Vec<String>,
) -> Result<Option<T>, SetError> {
    match built {
        Ok(built) => Ok(Some(built)),
        Err(SetError::TooLarge { nodes, .. }) => {
            warnings.push(format!(
                "the complete family needs more than {nodes} diagram nodes; sets are looked for \
                 by size instead (raise limits.diagram_nodes to try again)"
            ));
            Ok(None)
        }
        Err(SetError::Cancelled(_)) if progress.out_of_time() => {
            progress.renew();
            warnings.push("the complete family did not fit the time given".into());
            Ok(None)
        }
        Err(SetError::NotCovered(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// -ln p: the most probable set is the cheapest one. Impossible units cost more than any others
/// together can.
fn rarity(p: &[f64]) -> Vec<f64> {
    p.iter().map(|&p| if p > 0.0 { (-p.ln()).max(1e-12) } else { 1e6 }).collect()
}

/// Sums of the same costs in another order compare equal.
fn rounded(cost: f64) -> f64 {
    const GRID: f64 = (1u64 << 32) as f64;
    (cost * GRID).round() / GRID
}

/// Sets one after the other in the order asked for.
pub enum SetStream {
    /// Sorted in memory.
    Sorted(std::vec::IntoIter<Vec<u32>>),
    /// From the diagrams; sets above the size end it.
    Listing(Box<Listing<'static>>, usize),
}

impl Iterator for SetStream {
    type Item = Result<Vec<u32>, SetError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Sorted(sets) => sets.next().map(Ok),
            Self::Listing(listing, most) => match listing.next()? {
                Ok(set) if set.len() > *most => None,
                other => Some(other),
            },
        }
    }
}

impl Found {
    /// The sets in the order asked for, without the first `skip`.
    ///
    /// # Errors
    /// A family that does not fit the budget in this order.
    pub fn stream(
        &self,
        body: &CutSetBody,
        values: &Values,
        skip: u64,
    ) -> Result<SetStream, SetError> {
        let budget = body.limits.budget();
        let most = body.max_size.unwrap_or(usize::MAX);
        let costs = match (body.order, &values.probabilities) {
            (SetOrder::Size, _) => None,
            (SetOrder::Probability, Some(p)) => Some(rarity(p)),
            _ => Some(values.costs.clone()),
        };
        let mut sets = match (&self.sets, &costs) {
            (Sets::Family(family), costs) if costs.is_none() || most == usize::MAX => {
                let order = costs.clone().map_or(Order::Size, Order::Cost);
                let listing = family.list(order, u128::from(skip), &budget, &QUIET)?;
                return Ok(SetStream::Listing(Box::new(listing), most));
            }
            (Sets::Family(family), _) => {
                let listing = family.list(Order::Size, 0, &budget, &QUIET)?;
                let mut sets = Vec::new();
                for set in SetStream::Listing(Box::new(listing), most) {
                    if sets.len() >= budget.sets {
                        return Err(SetError::Malformed(format!(
                            "more than {} sets of up to {most} units cannot be sorted; list them \
                             by size or lower max_size",
                            budget.sets
                        )));
                    }
                    sets.push(set?);
                }
                sets
            }
            (Sets::List(sets), _) => sets.clone(),
        };
        if let Some(costs) = costs {
            let cost =
                |set: &Vec<u32>| rounded(set.iter().map(|&u| costs[u as usize]).sum::<f64>());
            let mut keyed: Vec<(f64, Vec<u32>)> =
                sets.into_iter().map(|set| (cost(&set), set)).collect();
            keyed.sort_by(|a, b| {
                a.0.total_cmp(&b.0).then(a.1.len().cmp(&b.1.len())).then_with(|| a.1.cmp(&b.1))
            });
            sets = keyed.into_iter().map(|(_, set)| set).collect();
        }
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(sets.len());
        Ok(SetStream::Sorted(sets.split_off(skip).into_iter()))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        match &self.sets {
            Sets::Family(family) => family.diagram_nodes() * 40,
            Sets::List(sets) => sets.len() * 80,
        }
    }
}
