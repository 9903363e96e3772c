//! The members of a family one after the other, in a stated order, never all at once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use num_bigint::BigUint;
use num_traits::ToPrimitive;
use rustc_hash::FxHashMap;

use super::diagram::{Diagrams, LEAF, ONE, Ref, Stop, Work, ZERO, with_deep_stack};
use super::family::{Family, Meaning};
use super::{Budget, SetError};
use crate::analysis::Progress;

/// Sets listed and sorted at once.
const BLOCK: u128 = 1 << 16;

/// Order in which sets are listed.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// By number of units, then by the units.
    Size,
    /// By sum of costs, then size, then the units. For the most probable first give -ln p.
    Cost(Vec<f64>),
}

impl Order {
    /// The most probable set first. A unit of probability 0 costs more than all others together
    /// can.
    pub fn probability(probabilities: &[f64]) -> Self {
        Self::Cost(probabilities.iter().map(|&p| if p > 0.0 { -p.ln() } else { 1e6 }).collect())
    }
}

/// A family over units only, ready to be listed. Made by [`Family::list`].
pub struct Listing<'p> {
    table: Diagrams,
    progress: &'p Progress,
    /// Unit of each variable.
    unit: Vec<u32>,
    counts: FxHashMap<Ref, Box<[u128]>>,
    order: Order,
    /// Families still to list, the next one last: (family, size left, units taken).
    stack: Vec<(Ref, usize, Vec<u32>)>,
    heap: BinaryHeap<Reverse<Candidate>>,
    best: FxHashMap<Ref, (f64, u32)>,
    ready: std::collections::VecDeque<Vec<u32>>,
    skip: u128,
    nodes: usize,
}

/// A part of the family with the least (cost, size, units) that it can hold.
#[derive(Debug, Clone)]
struct Candidate {
    cost: f64,
    size: u32,
    /// Units taken, with the least unit that the rest can add.
    bound: Vec<u32>,
    taken: usize,
    rest: Ref,
}

impl Candidate {
    fn key(&self, other: &Self) -> Ordering {
        self.cost
            .total_cmp(&other.cost)
            .then(self.size.cmp(&other.size))
            .then_with(|| self.bound.cmp(&other.bound))
            .then_with(|| self.rest.cmp(&other.rest))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key(other) == Ordering::Equal
    }
}
impl Eq for Candidate {}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key(other)
    }
}

impl Family {
    /// Lists the minimal cut sets in an order, leaving out the first `skip` ones (a cursor).
    ///
    /// # Errors
    /// [`SetError::TooLarge`] if the diagram does not fit once modules are replaced by what they
    /// stand for; bad costs; cancelled.
    pub fn list<'p>(
        &self,
        order: Order,
        skip: u128,
        budget: &Budget,
        progress: &'p Progress,
    ) -> Result<Listing<'p>, SetError> {
        if let Order::Cost(costs) = &order {
            super::check_values(
                "cost",
                costs,
                self.unit_count,
                "give a number of at least 0",
                |c| c.is_finite() && c >= 0.0,
            )?;
        }
        let mut table = self.table.clone();
        let depth = self.meaning.len();
        let root = with_deep_stack(depth, || self.flatten(&mut Work::new(&mut table, progress)))
            .map_err(|stop| SetError::from_stop(stop, budget))?;
        let unit = self
            .meaning
            .iter()
            .map(|m| if let Meaning::Unit(u) = *m { u } else { u32::MAX })
            .collect();
        let mut listing = Listing {
            table,
            progress,
            unit,
            counts: FxHashMap::default(),
            order,
            stack: Vec::new(),
            heap: BinaryHeap::new(),
            best: FxHashMap::default(),
            ready: std::collections::VecDeque::new(),
            skip,
            nodes: budget.diagram_nodes,
        };
        listing.start(root);
        Ok(listing)
    }

    /// The family over units only: every part in place of its variable.
    fn flatten(&self, work: &mut Work<'_>) -> Result<Ref, Stop> {
        let mut flat: Vec<Ref> = Vec::new();
        for part in &self.parts {
            let mut known: FxHashMap<Ref, Ref> = FxHashMap::from_iter([(ZERO, ZERO), (ONE, ONE)]);
            for f in work.table.reachable(part.minimal) {
                if work.table.var(f) == LEAF {
                    continue;
                }
                let var = work.table.var(f);
                let (low, high) = (known[&work.table.low(f)], known[&work.table.high(f)]);
                let whole = match self.meaning[var as usize] {
                    Meaning::Unit(_) => work.element(var, low, high)?,
                    Meaning::Part(p) => {
                        let with = work.graft(flat[p], high)?;
                        work.union(with, low)?
                    }
                };
                known.insert(f, whole);
            }
            flat.push(known[&part.minimal]);
        }
        Ok(flat.pop().unwrap_or(ZERO))
    }
}

impl Listing<'_> {
    fn start(&mut self, root: Ref) {
        let counts = self.count(root).to_vec();
        let total = counts.iter().fold(0u128, |sum, &c| sum.saturating_add(c));
        match &self.order {
            Order::Size => {
                for size in (0..counts.len()).rev() {
                    if counts[size] > 0 {
                        self.stack.push((root, size, Vec::new()));
                    }
                }
            }
            Order::Cost(costs) if total <= 4 * BLOCK => {
                // Few enough to sort.
                let mut all = Vec::new();
                for size in (0..counts.len()).filter(|&size| counts[size] > 0) {
                    self.expand(root, size, &[], &mut all);
                }
                let cost = |set: &Vec<u32>| set.iter().map(|&u| costs[u as usize]).sum::<f64>();
                let mut keyed: Vec<(f64, Vec<u32>)> =
                    all.into_iter().map(|set| (rounded(cost(&set)), set)).collect();
                keyed.sort_by(|a, b| {
                    a.0.total_cmp(&b.0).then(a.1.len().cmp(&b.1.len())).then_with(|| a.1.cmp(&b.1))
                });
                let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
                self.ready.extend(keyed.into_iter().skip(skip).map(|(_, set)| set));
                self.skip = 0;
            }
            Order::Cost(_) => {
                let candidate = self.candidate(Vec::new(), root);
                self.heap.extend(candidate.map(Reverse));
            }
        }
    }

    /// Numbers of members by size (saturating).
    fn count(&mut self, root: Ref) -> &[u128] {
        if !self.counts.contains_key(&root) {
            for f in self.table.reachable(root) {
                if self.counts.contains_key(&f) {
                    continue;
                }
                let counts: Vec<u128> = match f {
                    ZERO => Vec::new(),
                    ONE => vec![1],
                    _ => {
                        let mut sum = self.counts[&self.table.low(f)].to_vec();
                        let high = &self.counts[&self.table.high(f)];
                        if sum.len() < high.len() + 1 {
                            sum.resize(high.len() + 1, 0);
                        }
                        for (size, &n) in high.iter().enumerate() {
                            sum[size + 1] = sum[size + 1].saturating_add(n);
                        }
                        sum
                    }
                };
                self.counts.insert(f, counts.into_boxed_slice());
            }
        }
        &self.counts[&root]
    }

    fn count_of(&mut self, f: Ref, size: usize) -> u128 {
        self.count(f).get(size).copied().unwrap_or(0)
    }

    /// Appends all members of one size, joined with the units taken.
    fn expand(&self, f: Ref, size: usize, taken: &[u32], out: &mut Vec<Vec<u32>>) {
        let mut stack = vec![(f, size, taken.len())];
        let mut set = taken.to_vec();
        // Depth first; `set` is cut back to the length it had at the branch.
        let mut pending: Vec<Option<u32>> = vec![None];
        while let (Some((f, size, length)), Some(unit)) = (stack.pop(), pending.pop()) {
            set.truncate(length);
            set.extend(unit);
            let some = |f: Ref, size: usize| {
                self.counts.get(&f).and_then(|c| c.get(size)).is_some_and(|&n| n > 0)
            };
            if f == ONE && size == 0 {
                let mut member = set.clone();
                member.sort_unstable();
                out.push(member);
                continue;
            }
            if self.table.var(f) == LEAF {
                continue;
            }
            let (low, high) = (self.table.low(f), self.table.high(f));
            if size > 0 && some(high, size - 1) {
                stack.push((high, size - 1, set.len()));
                pending.push(Some(self.unit[self.table.var(f) as usize]));
            }
            if some(low, size) {
                stack.push((low, size, set.len()));
                pending.push(None);
            }
        }
    }

    /// Splits a family at its least unit: members with it (taken out), members without.
    fn split(&mut self, f: Ref) -> Result<(u32, Ref, Ref), SetError> {
        let support = self.table.support(f);
        let var = support.into_iter().min_by_key(|&v| self.unit[v as usize]).unwrap_or(LEAF);
        let (table, progress) = (&mut self.table, self.progress);
        let depth = self.unit.len();
        let budget = Budget { diagram_nodes: self.nodes, ..Budget::default() };
        let (with, lacking) = with_deep_stack(depth, || {
            let mut work = Work::new(table, progress);
            Ok((work.with(f, var)?, work.lacking(f, var)?))
        })
        .map_err(|stop: Stop| SetError::from_stop(stop, &budget))?;
        Ok((self.unit[var as usize], with, lacking))
    }

    /// Lists one more block in the order of sizes.
    fn next_block(&mut self) -> Result<bool, SetError> {
        let Some((f, size, taken)) = self.stack.pop() else { return Ok(false) };
        let count = self.count_of(f, size);
        if count <= self.skip {
            self.skip -= count;
            return Ok(true);
        }
        if count <= BLOCK {
            let mut block = Vec::with_capacity(count as usize);
            self.expand(f, size, &taken, &mut block);
            block.sort_unstable();
            let skip = self.skip as usize;
            self.skip = 0;
            self.ready.extend(block.into_iter().skip(skip));
            return Ok(true);
        }
        let (unit, with, lacking) = self.split(f)?;
        let mut more = taken.clone();
        more.push(unit);
        self.stack.push((lacking, size, taken));
        self.stack.push((with, size - 1, more));
        Ok(true)
    }

    /// Least (cost, size) of a member of a nonempty family.
    fn least(&mut self, root: Ref) -> (f64, u32) {
        let Order::Cost(costs) = &self.order else { return (0.0, 0) };
        if !self.best.contains_key(&root) {
            for f in self.table.reachable(root) {
                let best = match f {
                    ZERO => (f64::INFINITY, u32::MAX),
                    ONE => (0.0, 0),
                    _ => {
                        let low = self.best[&self.table.low(f)];
                        let high = self.best[&self.table.high(f)];
                        let unit = self.unit[self.table.var(f) as usize] as usize;
                        let high = (high.0 + costs[unit], high.1.saturating_add(1));
                        if high.0.total_cmp(&low.0).then(high.1.cmp(&low.1)).is_lt() {
                            high
                        } else {
                            low
                        }
                    }
                };
                self.best.insert(f, best);
            }
        }
        self.best[&root]
    }

    fn candidate(&mut self, taken: Vec<u32>, rest: Ref) -> Option<Candidate> {
        if rest == ZERO {
            return None;
        }
        let (cost, size) = self.least(rest);
        let Order::Cost(costs) = &self.order else { return None };
        let paid: f64 = taken.iter().map(|&u| costs[u as usize]).sum();
        let length = taken.len();
        let mut bound = taken;
        let least = self.table.support(rest).into_iter().map(|v| self.unit[v as usize]).min();
        bound.extend(least);
        Some(Candidate {
            cost: rounded(paid + cost),
            size: length as u32 + size,
            bound,
            taken: length,
            rest,
        })
    }

    /// Finds the next set in the order of costs.
    fn next_cheapest(&mut self) -> Result<bool, SetError> {
        let Some(Reverse(mut candidate)) = self.heap.pop() else { return Ok(false) };
        candidate.bound.truncate(candidate.taken);
        if candidate.rest == ONE {
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.ready.push_back(candidate.bound);
            }
            return Ok(true);
        }
        let (unit, with, lacking) = self.split(candidate.rest)?;
        let mut more = candidate.bound.clone();
        more.push(unit);
        let (with, lacking) =
            (self.candidate(more, with), self.candidate(candidate.bound, lacking));
        self.heap.extend(with.into_iter().chain(lacking).map(Reverse));
        Ok(true)
    }
}

impl Iterator for Listing<'_> {
    type Item = Result<Vec<u32>, SetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(set) = self.ready.pop_front() {
                return Some(Ok(set));
            }
            let more = match self.order {
                Order::Size => self.next_block(),
                Order::Cost(_) => self.next_cheapest(),
            };
            match more {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.stack.clear();
                    self.heap.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Sums of the same costs in another order compare equal.
fn rounded(cost: f64) -> f64 {
    const GRID: f64 = (1u64 << 32) as f64;
    (cost * GRID).round() / GRID
}

/// A count as a number for cursors, if it fits.
pub fn cursor(count: &BigUint) -> Option<u128> {
    count.to_u128()
}
