//! What the black-box methods ask: how much is lost, is that a cut, what must survive.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::LOSS_TOLERANCE;
use crate::analysis::{Cancelled, Progress};

/// The loss of the target when a set of units is removed: the production rules behind every
/// method here. Monotone in the set, between 0 and 1, deterministic. On a graph of millions of flows
/// one question can take seconds, so each may end with [`Cancelled`].
pub trait LossOracle: Sync {
    /// Number of units.
    fn unit_count(&self) -> usize;

    /// Loss of the target if these units (ascending) are removed.
    ///
    /// # Errors
    /// Whoever made the oracle asks to stop.
    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled>;

    /// What one question costs, in about a nanosecond.
    fn effort(&self) -> u64 {
        10 * self.unit_count() as u64
    }

    /// Losses of many sets, in their order.
    ///
    /// # Errors
    /// As [`LossOracle::loss`].
    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        sets.par_iter().map(|set| self.loss(set)).collect()
    }

    /// True if the loss of a union is never above the sum of the losses. Holds for limiting and
    /// additive rules without headroom, stocks and thresholds; it sharpens the bounds. Say false
    /// if in doubt.
    fn subadditive(&self) -> bool {
        false
    }
}

/// A monotone question: are these units a cut?
pub trait CutTest: Sync {
    /// Number of units.
    fn unit_count(&self) -> usize;

    /// True if removing these units (ascending) is enough.
    ///
    /// # Errors
    /// Whoever made the test asks to stop.
    fn is_cut(&self, removed: &[u32]) -> Result<bool, Cancelled>;

    /// What one question costs, in about a nanosecond.
    fn effort(&self) -> u64 {
        10 * self.unit_count() as u64
    }

    /// Units outside `removed` and not `safe` whose survival, with that of the safe ones, is enough
    /// to prevent the cut: found from structure, not always minimal. `None`: cannot tell.
    fn path_set(&self, removed: &[u32], safe: &[bool]) -> Option<Vec<u32>> {
        let _ = (removed, safe);
        None
    }

    /// How much each unit does by itself, if that is known: searches take strong units first, so
    /// that what is left once they are kept safe is soon seen to be too weak. A matter of speed, not
    /// of results. Empty: unknown.
    ///
    /// # Errors
    /// As [`CutTest::is_cut`].
    fn strengths(&self) -> Result<Vec<f64>, Cancelled> {
        Ok(Vec::new())
    }

    /// As [`CutTest::is_cut`] for several sets, in their order.
    ///
    /// # Errors
    /// As [`CutTest::is_cut`].
    fn are_cuts(&self, sets: &[Vec<u32>]) -> Result<Vec<bool>, Cancelled> {
        sets.iter().map(|set| self.is_cut(set)).collect()
    }

    /// As [`CutTest::is_cut`], and whether `extra` more units can still make it one.
    ///
    /// # Errors
    /// As [`CutTest::is_cut`].
    fn verdict(&self, removed: &[u32], extra: usize) -> Result<Verdict, Cancelled> {
        let _ = extra;
        Ok(if self.is_cut(removed)? { Verdict::Cut } else { Verdict::Open })
    }
}

/// What is known of a set of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is a cut.
    Cut,
    /// It is none; with more units it may become one.
    Open,
    /// No way to make it one with the units that may still be added.
    Hopeless,
}

/// Work that may be spent on the losses of single units.
const MOST_SINGLES: u64 = 5_000_000_000;

/// Cuts are the sets that lose at least a given share.
pub struct AtLeast<'a, O: LossOracle + ?Sized> {
    oracle: &'a O,
    loss: f64,
    singles: OnceLock<Singles>,
}

/// Losses of single units; none where they would take more work than the search that they shorten.
struct Singles {
    by_unit: Vec<f64>,
    /// Largest first, where losses are subadditive.
    sorted: Vec<f64>,
}

impl<'a, O: LossOracle + ?Sized> AtLeast<'a, O> {
    /// The question whether the loss reaches `loss` (within 1e-9).
    pub fn new(oracle: &'a O, loss: f64) -> Self {
        Self { oracle, loss, singles: OnceLock::new() }
    }

    fn singles(&self) -> Result<&Singles, Cancelled> {
        if let Some(known) = self.singles.get() {
            return Ok(known);
        }
        let count = self.oracle.unit_count();
        let by_unit = match self.oracle.effort().saturating_mul(count as u64) {
            ..=MOST_SINGLES => {
                self.oracle.losses(&(0..count as u32).map(|u| vec![u]).collect::<Vec<_>>())?
            }
            _ => Vec::new(),
        };
        let mut sorted = if self.oracle.subadditive() { by_unit.clone() } else { Vec::new() };
        sorted.sort_by(|a, b| b.total_cmp(a));
        Ok(self.singles.get_or_init(|| Singles { by_unit, sorted }))
    }
}

impl<O: LossOracle + ?Sized> CutTest for AtLeast<'_, O> {
    fn unit_count(&self) -> usize {
        self.oracle.unit_count()
    }

    fn is_cut(&self, removed: &[u32]) -> Result<bool, Cancelled> {
        Ok(self.oracle.loss(removed)? >= self.loss - LOSS_TOLERANCE)
    }

    fn effort(&self) -> u64 {
        self.oracle.effort()
    }

    fn strengths(&self) -> Result<Vec<f64>, Cancelled> {
        Ok(self.singles()?.by_unit.clone())
    }

    fn are_cuts(&self, sets: &[Vec<u32>]) -> Result<Vec<bool>, Cancelled> {
        let losses = self.oracle.losses(sets)?;
        Ok(losses.into_iter().map(|loss| loss >= self.loss - LOSS_TOLERANCE).collect())
    }

    fn verdict(&self, removed: &[u32], extra: usize) -> Result<Verdict, Cancelled> {
        let loss = self.oracle.loss(removed)?;
        if loss >= self.loss - LOSS_TOLERANCE {
            return Ok(Verdict::Cut);
        }
        let singles = &self.singles()?.sorted;
        let most: f64 = singles.iter().take(extra).sum();
        Ok(if singles.is_empty() || loss + most >= self.loss - 2.0 * LOSS_TOLERANCE {
            Verdict::Open
        } else {
            Verdict::Hopeless
        })
    }
}

/// Inserts a unit into an ascending set.
pub(super) fn joined(set: &[u32], unit: u32) -> Vec<u32> {
    let at = set.partition_point(|&u| u < unit);
    let mut joined = Vec::with_capacity(set.len() + 1);
    joined.extend_from_slice(&set[..at]);
    joined.push(unit);
    joined.extend_from_slice(&set[at..]);
    joined
}

/// The union of two ascending sets without a common member.
pub(super) fn merged(set: &[u32], more: &[u32]) -> Vec<u32> {
    let mut merged = [set, more].concat();
    merged.sort_unstable();
    merged
}

/// True if ascending `a` is a subset of ascending `b`.
pub(super) fn subset(a: &[u32], b: &[u32]) -> bool {
    let mut rest = b.iter();
    a.len() <= b.len() && a.iter().all(|x| rest.by_ref().find(|&y| y >= x) == Some(x))
}

/// A set of units that every cut must hit, found around a set that is no cut: units outside
/// `removed` and not `safe`, minimal with respect to single members (all cuts that avoid the safe
/// units hit it). Asks the test about m log(n/m) questions, far fewer where structure helps. Once
/// `calls` reaches `limit` the set is returned as it is: right, but not minimal.
///
/// # Errors
/// `progress` or the test is asked to stop.
pub(super) fn minimal_path_set(
    test: &(impl CutTest + ?Sized),
    removed: &[u32],
    safe: &[bool],
    calls: &mut u64,
    limit: u64,
    progress: &Progress,
) -> Result<Vec<u32>, Cancelled> {
    let structural = test.path_set(removed, safe);
    let from_structure = structural.is_some();
    let open: Vec<u32> = structural.unwrap_or_else(|| {
        (0..test.unit_count() as u32)
            .filter(|&u| !safe[u as usize] && removed.binary_search(&u).is_err())
            .collect()
    });
    // Everything outside `open` and not safe is removed; take members of `open` out as long as the
    // rest is still no cut, in shrinking blocks. Structural sets are near minimal already.
    let mut is_kept = vec![false; test.unit_count()];
    for &u in &open {
        is_kept[u as usize] = true;
    }
    let gone = |kept: &[bool]| -> Vec<u32> {
        (0..kept.len() as u32).filter(|&u| !kept[u as usize] && !safe[u as usize]).collect()
    };
    if from_structure && open.len() > 64 {
        return Ok(open);
    }
    let mut block = if from_structure { 1 } else { open.len().div_ceil(2).max(1) };
    let mut undecided = open;
    let mut path = Vec::new();
    while !undecided.is_empty() {
        if *calls >= limit {
            path.append(&mut undecided);
            break;
        }
        let size = block.min(undecided.len());
        let chunk: Vec<u32> = undecided[undecided.len() - size..].to_vec();
        for &u in &chunk {
            is_kept[u as usize] = false;
        }
        *calls += 1;
        progress.check()?;
        if !test.is_cut(&gone(&is_kept))? {
            undecided.truncate(undecided.len() - size);
            block = (block * 2).min(undecided.len().max(1));
            continue;
        }
        for &u in &chunk {
            is_kept[u as usize] = true;
        }
        if size == 1 {
            path.push(chunk[0]);
            undecided.pop();
        }
        block = (size / 2).max(1);
    }
    path.sort_unstable();
    Ok(path)
}

/// Drops units of a cut one by one while it stays a cut: a minimal cut set inside it.
///
/// # Errors
/// `progress` or the test is asked to stop.
pub fn shrink(
    test: &(impl CutTest + ?Sized),
    cut: &[u32],
    progress: &Progress,
) -> Result<Vec<u32>, Cancelled> {
    let mut set = cut.to_vec();
    for &unit in cut {
        progress.check()?;
        let smaller: Vec<u32> = set.iter().copied().filter(|&u| u != unit).collect();
        if test.is_cut(&smaller)? {
            set = smaller;
        }
    }
    Ok(set)
}
