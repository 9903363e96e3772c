//! All minimal cut sets up to a size, with nothing known but the loss of any set.
//!
//! A cut must hit every path set. So the search finds one path set that the units removed so far
//! leave intact and branches on its members only; earlier members of the branch are kept safe in
//! later ones, so every set is met once. Path sets found are kept and prune the whole search.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::oracle::{CutTest, Verdict, joined, merged, minimal_path_set, subset};
use super::{Budget, SetError, Status};
use crate::analysis::{Cancelled, Progress};

/// Path sets remembered in one search.
const POOL: usize = 4_096;

/// Sets asked about at once: as many as the impact engine evaluates side by side.
const BATCH: usize = 8;

/// The minimal cut sets up to a size.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounded {
    /// Ascending sets, in the order of (size, units).
    pub sets: Vec<Vec<u32>>,
    /// How complete they are.
    pub status: Status,
    /// Questions asked.
    pub calls: u64,
}

/// Path sets known so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    paths: Vec<FixedBitSet>,
}

impl Pool {
    pub(super) fn add(&mut self, path: FixedBitSet) {
        if self.paths.len() < POOL && !self.paths.contains(&path) {
            self.paths.push(path);
        }
    }

    /// The known path set that the removed units leave intact with the fewest members not safe.
    fn intact(&self, removed: &FixedBitSet, safe: &FixedBitSet) -> Option<&FixedBitSet> {
        self.paths
            .iter()
            .filter(|path| path.is_disjoint(removed))
            .min_by_key(|path| path.difference_count(safe))
    }

    /// Units outside `safe` that hit all path sets that the removed units leave intact; `None` if
    /// none is left intact.
    fn hits_all(&self, removed: &FixedBitSet, safe: &FixedBitSet) -> Option<FixedBitSet> {
        let mut common: Option<FixedBitSet> = None;
        for path in self.paths.iter().filter(|path| path.is_disjoint(removed)) {
            match &mut common {
                Some(common) => common.intersect_with(path),
                None => common = Some(path.clone()),
            }
        }
        common.map(|mut common| {
            common.difference_with(safe);
            common
        })
    }
}

/// One search for cuts of one size below one start.
pub(super) struct Search<'a, T: CutTest + ?Sized> {
    pub(super) test: &'a T,
    pub(super) progress: &'a Progress,
    pub(super) pool: Pool,
    pub(super) calls: u64,
    pub(super) limit: u64,
    /// Stop at the first cut, whatever its size.
    pub(super) first_only: bool,
    /// Otherwise: size of the cuts to keep (smaller ones are known or hold a known one).
    pub(super) size: usize,
    /// For units of known cuts of two: the other units of these.
    pub(super) known: Partners,
    pub(super) cuts: Vec<Vec<u32>>,
}

/// Units that make a cut together with one unit.
pub(super) type Partners = Arc<FxHashMap<u32, FixedBitSet>>;

/// Why a search ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Budget,
    Cancelled,
    Found,
}

impl From<Cancelled> for End {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// A subtree of the search: units removed, units that must stay.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) removed: Vec<u32>,
    pub(super) safe: FixedBitSet,
}

impl<T: CutTest + ?Sized> Search<'_, T> {
    fn spend(&mut self) -> Result<(), End> {
        if self.calls >= self.limit {
            return Err(End::Budget);
        }
        self.calls += 1;
        Ok(self.progress.check()?)
    }

    fn found(&mut self, cut: Vec<u32>) -> Result<(), End> {
        if self.first_only || cut.len() == self.size {
            self.cuts.push(cut);
        }
        if self.first_only { Err(End::Found) } else { Ok(()) }
    }

    /// Units of which one must be removed next, after the test of the start itself; cuts go to
    /// `cuts`.
    fn next_units(&mut self, start: &Start, extra: usize) -> Result<Vec<u32>, End> {
        let mut gone = FixedBitSet::with_capacity(self.test.unit_count());
        gone.extend(start.removed.iter().map(|&u| u as usize));
        let known = self.pool.intact(&gone, &start.safe).cloned();
        let path = match known {
            Some(path) => path,
            None => {
                self.spend()?;
                match self.test.verdict(&start.removed, extra)? {
                    Verdict::Cut => {
                        self.found(start.removed.clone())?;
                        return Ok(Vec::new());
                    }
                    Verdict::Hopeless => return Ok(Vec::new()),
                    Verdict::Open => {}
                }
                if extra == 0 {
                    return Ok(Vec::new());
                }
                self.grow(&start.removed, &start.safe)?
            }
        };
        if extra == 0 {
            return Ok(Vec::new());
        }
        Ok(path.difference(&start.safe).map(|u| u as u32).collect())
    }

    /// Subtrees one level below a start. Each takes memory in proportion to the units, so more than
    /// the work left could visit are not made.
    fn branch(&mut self, start: &Start, extra: usize) -> Result<Vec<Start>, End> {
        let units = self.next_units(start, extra)?;
        if units.len() as u64 > self.limit.saturating_sub(self.calls) {
            return Err(End::Budget);
        }
        let mut safe = start.safe.clone();
        let mut starts = Vec::new();
        for unit in units {
            let mut next = Start { removed: joined(&start.removed, unit), safe: safe.clone() };
            // What makes a cut with this unit alone is in no larger minimal cut with it.
            if let Some(partners) = self.known.get(&unit) {
                next.safe.union_with(partners);
            }
            starts.push(next);
            safe.insert(unit as usize);
        }
        Ok(starts)
    }

    /// A path set around a set that is no cut, remembered with the safe units it counts on.
    fn grow(&mut self, removed: &[u32], safe: &FixedBitSet) -> Result<FixedBitSet, End> {
        let n = self.test.unit_count();
        let kept: Vec<bool> = (0..n).map(|u| safe.contains(u)).collect();
        let (calls, limit) = (&mut self.calls, self.limit);
        let path = minimal_path_set(self.test, removed, &kept, calls, limit, self.progress)?;
        let mut whole = safe.clone();
        whole.extend(path.iter().map(|&u| u as usize));
        self.pool.add(whole.clone());
        Ok(whole)
    }

    /// Finds all cuts in which `extra` more units are removed, or fewer.
    pub(super) fn run(&mut self, start: &Start, extra: usize) -> Result<(), End> {
        if extra == 1 {
            return self.last(start);
        }
        for next in self.branch(start, extra)? {
            self.run(&next, extra - 1)?;
        }
        Ok(())
    }

    /// The last unit must hit every path set that is left.
    fn last(&mut self, start: &Start) -> Result<(), End> {
        let mut gone = FixedBitSet::with_capacity(self.test.unit_count());
        gone.extend(start.removed.iter().map(|&u| u as usize));
        let open = match self.pool.hits_all(&gone, &start.safe) {
            Some(open) => open,
            None => {
                self.spend()?;
                match self.test.verdict(&start.removed, 1)? {
                    Verdict::Cut => return self.found(start.removed.clone()),
                    Verdict::Hopeless => return Ok(()),
                    Verdict::Open => {}
                }
                let mut path = self.grow(&start.removed, &start.safe)?;
                path.difference_with(&start.safe);
                path
            }
        };
        // Many units at once: if all of a block together make no cut, none of it does.
        let units: Vec<u32> = open.ones().map(|u| u as u32).collect();
        let mut blocks = blocks(&units);
        while !blocks.is_empty() {
            let rest = blocks.split_off(blocks.len().min(BATCH));
            let sets: Vec<Vec<u32>> =
                blocks.iter().map(|block| merged(&start.removed, block)).collect();
            for _ in &sets {
                self.spend()?;
            }
            let mut next = Vec::new();
            for ((block, set), is_cut) in
                blocks.into_iter().zip(&sets).zip(self.test.are_cuts(&sets)?)
            {
                match block.len() {
                    _ if !is_cut => {}
                    1 => self.found(set.clone())?,
                    size => next.extend(block.chunks(size.div_ceil(BATCH)).map(<[u32]>::to_vec)),
                }
            }
            next.extend(rest);
            blocks = next;
        }
        Ok(())
    }
}

/// Splits units, strong ones first, into blocks that are the larger the weaker their units are.
fn blocks(units: &[u32]) -> Vec<Vec<u32>> {
    let (mut blocks, mut rest, mut size) = (Vec::new(), units, 1);
    while !rest.is_empty() {
        // Two blocks of each size, then of twice the size.
        let (block, more) = rest.split_at(size.min(rest.len()));
        blocks.push(block.to_vec());
        rest = more;
        if blocks.len() % 2 == 0 {
            size *= 2;
        }
    }
    blocks
}

/// Strong units under low numbers: [`Search`] branches on low numbers first and gives up high ones
/// first when it looks for path sets.
struct Ranked<'a, T: ?Sized> {
    test: &'a T,
    /// Unit of each rank, and the other way round.
    unit: Vec<u32>,
    rank: Vec<u32>,
}

impl<'a, T: CutTest + ?Sized> Ranked<'a, T> {
    fn new(test: &'a T) -> Result<Self, Cancelled> {
        let mut unit: Vec<u32> = (0..test.unit_count() as u32).collect();
        let strengths = test.strengths()?;
        if !strengths.is_empty() {
            let strength = |u: u32| strengths[u as usize];
            unit.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)).then(a.cmp(&b)));
        }
        let mut rank = vec![0; unit.len()];
        for (r, &u) in unit.iter().enumerate() {
            rank[u as usize] = r as u32;
        }
        Ok(Self { test, unit, rank })
    }

    fn units(&self, ranks: &[u32]) -> Vec<u32> {
        mapped(ranks, &self.unit)
    }
}

/// An ascending set under other numbers.
fn mapped(set: &[u32], to: &[u32]) -> Vec<u32> {
    let mut mapped: Vec<u32> = set.iter().map(|&x| to[x as usize]).collect();
    mapped.sort_unstable();
    mapped
}

impl<T: CutTest + ?Sized> CutTest for Ranked<'_, T> {
    fn unit_count(&self) -> usize {
        self.test.unit_count()
    }

    fn is_cut(&self, removed: &[u32]) -> Result<bool, Cancelled> {
        self.test.is_cut(&self.units(removed))
    }

    fn effort(&self) -> u64 {
        self.test.effort()
    }

    fn path_set(&self, removed: &[u32], safe: &[bool]) -> Option<Vec<u32>> {
        let by_unit: Vec<bool> = self.rank.iter().map(|&r| safe[r as usize]).collect();
        let path = self.test.path_set(&self.units(removed), &by_unit)?;
        Some(mapped(&path, &self.rank))
    }

    fn are_cuts(&self, sets: &[Vec<u32>]) -> Result<Vec<bool>, Cancelled> {
        let sets: Vec<Vec<u32>> = sets.iter().map(|set| self.units(set)).collect();
        self.test.are_cuts(&sets)
    }

    fn verdict(&self, removed: &[u32], extra: usize) -> Result<Verdict, Cancelled> {
        self.test.verdict(&self.units(removed), extra)
    }
}

/// Questions allowed if each takes this effort.
pub(super) fn allowed_calls(effort: u64, budget: &Budget) -> u64 {
    budget.oracle_calls.min(budget.work / effort.max(1)).max(16)
}

/// All minimal cut sets of at most `max_size` units.
///
/// # Errors
/// No units, or cancelled.
pub fn minimal_cut_sets<T: CutTest + ?Sized>(
    test: &T,
    max_size: usize,
    budget: &Budget,
    progress: &Progress,
) -> Result<Bounded, SetError> {
    let n = test.unit_count();
    if n == 0 {
        return Err(SetError::NoUnits);
    }
    let max_size = max_size.min(n);
    let mut sets: Vec<Vec<u32>> = Vec::new();
    let mut known: FxHashSet<Vec<u32>> = FxHashSet::default();
    let mut pool = Pool::default();
    let mut calls = 2;
    let limit = allowed_calls(test.effort(), budget);
    progress.start(max_size as u64);
    let ranked = match trivial_family(test) {
        Ok(Some(sets)) => return Ok(Bounded { sets, status: Status::Exact, calls }),
        Ok(None) => Ranked::new(test),
        Err(cancelled) => Err(cancelled),
    };
    let ranked = match ranked {
        Ok(ranked) => ranked,
        Err(Cancelled) if progress.out_of_time() => {
            let limit = format!("the time given, before any set of {n} units was tried");
            let status = Status::Truncated { complete_to_size: 0, limit };
            return Ok(Bounded { sets, status, calls });
        }
        Err(cancelled) => return Err(cancelled.into()),
    };
    let mut status = Status::CompleteToSize { size: max_size };
    for size in 1..=max_size {
        let left = limit.saturating_sub(calls);
        let round = search_size(&ranked, size, &sets, &mut pool, left, progress)?;
        calls += round.calls;
        let mut fresh: Vec<Vec<u32>> = round
            .cuts
            .iter()
            .map(|set| ranked.units(set))
            .filter(|set| !holds(&known, &sets, set))
            .collect();
        fresh.sort_unstable();
        fresh.dedup();
        let room = budget.sets.saturating_sub(sets.len());
        let full = fresh.len() > room;
        fresh.truncate(room);
        known.extend(fresh.iter().cloned());
        sets.extend(fresh);
        if full || !round.complete {
            let limit = if full {
                format!("{} sets", budget.sets)
            } else if progress.out_of_time() {
                format!("the time given, at sets of {size} of {n} units")
            } else {
                format!(
                    "{limit} evaluations; all {} sets of {size} of {n} units would take about {:.1e}",
                    if size == 1 { "single" } else { "possible" },
                    combinations(n, size)
                )
            };
            status = Status::Truncated { complete_to_size: size - 1, limit };
            break;
        }
        progress.advance(1)?;
    }
    if max_size == n && matches!(status, Status::CompleteToSize { .. }) {
        status = Status::Exact;
    }
    Ok(Bounded { sets, status, calls })
}

/// The family of a target that is lost whatever happens, or whatever is removed is not.
fn trivial_family(test: &(impl CutTest + ?Sized)) -> Result<Option<Vec<Vec<u32>>>, Cancelled> {
    if test.is_cut(&[])? {
        return Ok(Some(vec![Vec::new()]));
    }
    let all: Vec<u32> = (0..test.unit_count() as u32).collect();
    Ok((!test.is_cut(&all)?).then(Vec::new))
}

struct Round {
    cuts: Vec<Vec<u32>>,
    calls: u64,
    complete: bool,
}

/// All cuts that end in `size` units or fewer and hold none of the known ones of one or two units,
/// subtrees side by side. Every subtree starts from the same pool and has a fixed share of the work,
/// so the result does not depend on the threads.
fn search_size<T: CutTest + ?Sized>(
    test: &Ranked<'_, T>,
    size: usize,
    known: &[Vec<u32>],
    pool: &mut Pool,
    limit: u64,
    progress: &Progress,
) -> Result<Round, SetError> {
    let n = test.unit_count();
    let mut start = Start { removed: Vec::new(), safe: FixedBitSet::with_capacity(n) };
    let mut partners: FxHashMap<u32, FixedBitSet> = FxHashMap::default();
    for set in known.iter().take_while(|set| set.len() <= 2) {
        match *mapped(set, &test.rank) {
            [unit] => start.safe.insert(unit as usize),
            [a, b] => {
                for (a, b) in [(a, b), (b, a)] {
                    let of = partners.entry(a).or_insert_with(|| FixedBitSet::with_capacity(n));
                    of.insert(b as usize);
                }
            }
            _ => {}
        }
    }
    let partners = Arc::new(partners);
    let mut search = Search {
        test,
        progress,
        pool: std::mem::take(pool),
        calls: 0,
        limit,
        first_only: false,
        size,
        known: partners.clone(),
        cuts: Vec::new(),
    };
    // Open the tree one or two levels deep.
    let mut starts = vec![start];
    let mut depth = 0;
    let mut complete = true;
    while depth + 1 < size && depth < 2 && starts.len() < 64 {
        let mut next = Vec::new();
        for start in &starts {
            match search.branch(start, size - depth) {
                Ok(more) => next.extend(more),
                Err(End::Cancelled) if !progress.out_of_time() => {
                    return Err(Cancelled.into());
                }
                Err(_) => complete = false,
            }
        }
        starts = next;
        depth += 1;
    }
    let share = limit.saturating_sub(search.calls) / starts.len().max(1) as u64;
    let shared = std::mem::take(&mut search.pool);
    let results: Vec<_> = starts
        .par_iter()
        .map(|start| {
            let mut part = Search {
                test,
                progress,
                pool: shared.clone(),
                calls: 0,
                limit: share.max(1),
                first_only: false,
                size,
                known: partners.clone(),
                cuts: Vec::new(),
            };
            let end = part.run(start, size - depth);
            (part.cuts, part.calls, part.pool, end)
        })
        .collect();
    *pool = shared;
    let mut round = Round { cuts: search.cuts, calls: search.calls, complete };
    for (cuts, calls, found, end) in results {
        match end {
            Err(End::Cancelled) if !progress.out_of_time() => {
                return Err(Cancelled.into());
            }
            Err(_) => round.complete = false,
            Ok(()) => {}
        }
        round.calls += calls;
        round.cuts.extend(cuts);
        for path in found.paths.into_iter().take(POOL) {
            if pool.paths.len() >= POOL / 4 {
                break;
            }
            pool.add(path);
        }
    }
    Ok(round)
}

/// A cut of at most `max_size` units none of which is safe, if there is one.
///
/// # Errors
/// [`SetError::TooMany`] if the budget does not suffice to tell; cancelled.
pub fn find_cut<T: CutTest + ?Sized>(
    test: &T,
    max_size: usize,
    safe: &[bool],
    budget: &Budget,
    progress: &Progress,
) -> Result<Option<Vec<u32>>, SetError> {
    let n = test.unit_count();
    let mut mask = FixedBitSet::with_capacity(n);
    mask.extend((0..n).filter(|&u| safe[u]));
    let limit = allowed_calls(test.effort(), budget);
    let mut search = Search {
        test,
        progress,
        pool: Pool::default(),
        calls: 0,
        limit,
        first_only: true,
        size: max_size,
        known: Partners::default(),
        cuts: Vec::new(),
    };
    let start = Start { removed: Vec::new(), safe: mask };
    let end = match max_size {
        0 => search.next_units(&start, 0).map(|_| ()),
        _ => search.run(&start, max_size),
    };
    match end {
        Ok(()) | Err(End::Found) => Ok(search.cuts.pop()),
        Err(End::Cancelled) => Err(Cancelled.into()),
        Err(End::Budget) => Err(SetError::TooMany {
            size: max_size,
            units: n,
            calls: combinations(n, max_size),
            budget: limit as f64,
        }),
    }
}

/// True if a known set is a subset of `set`.
fn holds(known: &FxHashSet<Vec<u32>>, sets: &[Vec<u32>], set: &[u32]) -> bool {
    if set.len() > 12 || sets.len() < 1 << set.len() {
        return sets.iter().any(|smaller| subset(smaller, set));
    }
    (1u32..1 << set.len()).any(|mask| {
        let part: Vec<u32> =
            (0..set.len()).filter(|&i| mask & (1 << i) != 0).map(|i| set[i]).collect();
        part.len() < set.len() && known.contains(&part)
    })
}

/// n over k as a float.
pub fn combinations(n: usize, k: usize) -> f64 {
    (0..k.min(n)).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}
