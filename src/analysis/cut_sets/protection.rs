//! What to protect and what to build, so that no small set of losses reaches the threshold.
//!
//! Protecting units against all cuts of at most k units is the cheapest hitting set over those
//! cuts; cuts are found as needed. Investments are chosen by cover cuts: an attack that still
//! succeeds demands at least one of the options that could still defeat it.

use super::bounded::find_cut;
use super::family::{Family, Meaning};
use super::hitting_set::HittingSet;
use super::oracle::{CutTest, LossOracle};
use super::worst_case::{WorstCase, worst_case};
use super::{Budget, LOSS_TOLERANCE, SetError, Status, check_costs};
use crate::analysis::{Cancelled, Progress};

/// The cheapest way to be safe.
#[derive(Debug, Clone, PartialEq)]
pub struct Protection {
    /// Units to protect (or options to buy), ascending.
    pub chosen: Vec<u32>,
    /// Sum of their costs.
    pub cost: f64,
    /// `Exact`, or bounds of the cost.
    pub status: Status,
    /// Cuts (or attacks) that the proof used.
    pub attacks: Vec<Vec<u32>>,
}

/// Chooses what hits every attack that `attack` can still find, at least cost.
fn defend(
    costs: &[f64],
    progress: &Progress,
    mut attack: impl FnMut(&[u32]) -> Result<Option<(Vec<u32>, Vec<u32>)>, SetError>,
) -> Result<Protection, SetError> {
    // Answers to attacks: sets of which one member must be chosen; and the attacks themselves.
    let (mut answers, mut attacks) = (Vec::new(), Vec::new());
    loop {
        progress.check()?;
        let hit = HittingSet { costs, hit: &answers, avoid: &[] }.solve(2_000_000, progress)?;
        let Some(hit) = hit else {
            return Err(SetError::Infeasible("no choice prevents every cut".into()));
        };
        let proved = hit.lower_bound >= hit.cost - 1e-9 * hit.cost.max(1.0);
        let Some((answer, set)) = attack(&hit.units)? else {
            let status = if proved {
                Status::Exact
            } else {
                Status::Bounds {
                    lower: hit.lower_bound,
                    upper: hit.cost,
                    limit: "2000000 nodes of the hitting set search".into(),
                }
            };
            return Ok(Protection { chosen: hit.units, cost: hit.cost, status, attacks });
        };
        if answer.is_empty() {
            return Err(SetError::Infeasible(format!(
                "removing units {set:?} succeeds whatever is chosen"
            )));
        }
        answers.push(answer);
        attacks.push(set);
    }
}

impl Family {
    /// The smallest minimal cut set that holds no protected unit.
    pub fn smallest_cut_avoiding(&self, protected: &[bool]) -> Option<Vec<u32>> {
        const NEVER: (f64, Option<()>) = (f64::INFINITY, None);
        // Smallest size of each part and the choice at every node; parts are inner first.
        let mut size_of_part = Vec::new();
        let mut branch = Vec::new();
        for part in &self.parts {
            let order = self.table.reachable(part.minimal);
            let mut size: rustc_hash::FxHashMap<u32, f64> = rustc_hash::FxHashMap::default();
            let mut take: rustc_hash::FxHashMap<u32, bool> = rustc_hash::FxHashMap::default();
            for f in order {
                let best = match f {
                    super::diagram::ZERO => NEVER.0,
                    super::diagram::ONE => 0.0,
                    _ => {
                        let own = match self.meaning[self.table.var(f) as usize] {
                            Meaning::Unit(unit) if protected[unit as usize] => NEVER.0,
                            Meaning::Unit(_) => 1.0,
                            Meaning::Part(p) => size_of_part[p],
                        };
                        let with = own + size[&self.table.high(f)];
                        let lacking = size[&self.table.low(f)];
                        take.insert(f, with < lacking);
                        with.min(lacking)
                    }
                };
                size.insert(f, best);
            }
            size_of_part.push(size[&part.minimal]);
            branch.push(take);
        }
        if size_of_part.last().is_none_or(|size| size.is_infinite()) {
            return None;
        }
        let mut units = Vec::new();
        let mut open = vec![self.parts.len() - 1];
        while let Some(p) = open.pop() {
            let mut f = self.parts[p].minimal;
            while self.table.var(f) != super::diagram::LEAF {
                if branch[p][&f] {
                    match self.meaning[self.table.var(f) as usize] {
                        Meaning::Unit(unit) => units.push(unit),
                        Meaning::Part(inner) => open.push(inner),
                    }
                    f = self.table.high(f);
                } else {
                    f = self.table.low(f);
                }
            }
        }
        units.sort_unstable();
        Some(units)
    }

    /// The cheapest units to protect so that no cut of at most `max_size` units is left.
    ///
    /// # Errors
    /// [`SetError::Infeasible`] if the target is lost anyway; bad costs; cancelled.
    pub fn protect(
        &self,
        max_size: usize,
        costs: &[f64],
        progress: &Progress,
    ) -> Result<Protection, SetError> {
        check_costs(costs, self.unit_count)?;
        defend(costs, progress, |chosen| {
            let mut protected = vec![false; self.unit_count];
            for &unit in chosen {
                protected[unit as usize] = true;
            }
            let cut = self.smallest_cut_avoiding(&protected);
            Ok(cut.filter(|cut| cut.len() <= max_size).map(|cut| (cut.clone(), cut)))
        })
    }
}

/// As [`Family::protect`] with nothing known but whether a set is a cut.
///
/// # Errors
/// As [`Family::protect`], and [`SetError::TooMany`] if the budget does not suffice to tell.
pub fn protect<T: CutTest + ?Sized>(
    test: &T,
    max_size: usize,
    costs: &[f64],
    budget: &Budget,
    progress: &Progress,
) -> Result<Protection, SetError> {
    let n = test.unit_count();
    if n == 0 {
        return Err(SetError::NoUnits);
    }
    check_costs(costs, n)?;
    defend(costs, progress, |chosen| {
        let mut safe = vec![false; n];
        for &unit in chosen {
            safe[unit as usize] = true;
        }
        let cut = find_cut(test, max_size, &safe, budget, progress)?;
        // Fewer members make a stronger demand.
        let cut = cut.map(|cut| super::oracle::shrink(test, &cut, progress)).transpose()?;
        Ok(cut.map(|cut| (cut.clone(), cut)))
    })
}

/// Losses under investments: options bought can only lower the loss.
pub trait InvestmentOracle: Sync {
    /// Number of options.
    fn option_count(&self) -> usize;
    /// Number of units.
    fn unit_count(&self) -> usize;
    /// Loss if these units are removed after these options were bought (both ascending).
    ///
    /// # Errors
    /// Whoever made the oracle asks to stop.
    fn loss(&self, bought: &[u32], removed: &[u32]) -> Result<f64, Cancelled>;
}

/// An investment oracle with the purchase fixed.
struct Bought<'a, O: InvestmentOracle + ?Sized> {
    oracle: &'a O,
    bought: &'a [u32],
}

impl<O: InvestmentOracle + ?Sized> LossOracle for Bought<'_, O> {
    fn unit_count(&self) -> usize {
        self.oracle.unit_count()
    }
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        self.oracle.loss(self.bought, removed)
    }
}

/// Investments that hold the worst case down, and what they change.
#[derive(Debug, Clone, PartialEq)]
pub struct Investment {
    /// What to buy.
    pub choice: Protection,
    /// Worst loss of 0, 1, ... units without any purchase.
    pub before: Vec<WorstCase>,
    /// The same after it.
    pub after: Vec<WorstCase>,
}

/// The cheapest options after which no set of at most `max_size` units loses `loss_at_least`, and
/// the worst losses of up to `curve_to` units (of which there may be fewer) before and after.
///
/// # Errors
/// [`SetError::Infeasible`] if an attack succeeds even with everything bought; an attack whose
/// worst case the budget cannot settle ([`SetError::TooMany`]); bad costs or threshold; cancelled.
pub fn invest<O: InvestmentOracle + ?Sized>(
    oracle: &O,
    max_size: usize,
    curve_to: usize,
    loss_at_least: f64,
    costs: &[f64],
    budget: &Budget,
    progress: &Progress,
) -> Result<Investment, SetError> {
    super::check_threshold(loss_at_least)?;
    check_costs(costs, oracle.option_count())?;
    let curve = |bought: &[u32]| {
        let up_to = curve_to.min(oracle.unit_count());
        super::worst_case::loss_curve(&Bought { oracle, bought }, up_to, budget, progress)
    };
    let reaches = |loss: f64| loss >= loss_at_least - LOSS_TOLERANCE;
    let choice = defend(costs, progress, |bought| {
        let worst =
            worst_case(&Bought { oracle, bought }, None, max_size as f64, budget, progress)?;
        if !reaches(worst.upper_bound) {
            return Ok(None);
        }
        if !reaches(worst.loss) {
            return Err(SetError::TooMany {
                size: max_size,
                units: oracle.unit_count(),
                calls: super::bounded::combinations(oracle.unit_count(), max_size),
                budget: budget.oracle_calls as f64,
            });
        }
        // Buy more as long as the attack still succeeds: one of the options left is needed.
        let mut more = bought.to_vec();
        let mut needed = Vec::new();
        for option in 0..oracle.option_count() as u32 {
            if more.binary_search(&option).is_ok() {
                continue;
            }
            let with = super::oracle::joined(&more, option);
            if reaches(oracle.loss(&with, &worst.units)?) {
                more = with;
            } else {
                needed.push(option);
            }
        }
        Ok(Some((needed, worst.units)))
    })?;
    let (before, after) = (curve(&[])?, curve(&choice.chosen)?);
    Ok(Investment { choice, before, after })
}
