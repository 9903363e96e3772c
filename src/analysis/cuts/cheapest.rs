//! Inclusion-minimal cuts, cheapest first.
//!
//! Lawler's scheme on the edges of the cuts, as Hamacher, Picard and Queyranne, "On finding the K
//! best cuts in a network", Operations Research Letters 2 (1984), and Vazirani and Yannakakis,
//! "Suboptimal cuts: their enumeration, weight and number", 1992: when a cut with edges e1 .. er
//! comes off the heap, any other cut of its class holds e1 .. e(i-1) but not ei for exactly one i.
//! Holding u -> v means u on the source side and v on the target side; not holding it means
//! infinite capacity. Each class gets its cheapest cut by one flow on top of the flow that is
//! already known. A class's cheapest cut need not be minimal; then it is not reported, only
//! divided further: nothing that contains it can be minimal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::flow::NodeSet;
use super::problem::CutProblem;
use super::{CutError, Progress};

/// Lists the minimal cuts of a problem in the order of their weights. Lazy.
#[derive(Debug)]
pub struct Cheapest<'a> {
    /// The problem with a maximum flow, from which every class starts.
    base: CutProblem,
    heap: BinaryHeap<Reverse<Class>>,
    made: u64,
    most: Option<u64>,
    progress: &'a Progress,
}

/// Cuts that hold some edges and do not hold others, with the cheapest of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    weight: u64,
    /// Edges of the cheapest cut, ascending.
    cut: Vec<u32>,
    /// Breaks ties, so that the order is the same in every run.
    number: u64,
    held: Vec<u32>,
    excluded: Vec<u32>,
}

impl<'a> Cheapest<'a> {
    /// Solves the problem and makes ready to list. With `most`, cuts above that weight are left
    /// out (and not searched for).
    ///
    /// # Errors
    /// As [`CutProblem::solve`].
    pub fn new(
        mut base: CutProblem,
        most: Option<u64>,
        progress: &'a Progress,
    ) -> Result<Self, CutError> {
        base.solve(progress)?;
        let mut this = Self { base, heap: BinaryHeap::new(), made: 0, most, progress };
        this.add(Vec::new(), Vec::new())?;
        Ok(this)
    }

    /// The next minimal cut as (weight, what is cut), or `None` if there are no more.
    ///
    /// # Errors
    /// As [`CutProblem::solve`].
    pub fn next_cut(&mut self) -> Result<Option<(u64, Vec<u32>)>, CutError> {
        while let Some(Reverse(class)) = self.heap.pop() {
            let minimal = self.is_minimal(&class.cut);
            let free: Vec<u32> = class
                .cut
                .iter()
                .copied()
                .filter(|e| class.held.binary_search(e).is_err())
                .collect();
            let mut held = class.held;
            for &edge in &free {
                let mut excluded = class.excluded.clone();
                excluded.push(edge);
                self.add(held.clone(), excluded)?;
                let place = held.partition_point(|&h| h < edge);
                held.insert(place, edge);
            }
            if minimal {
                return Ok(Some((class.weight, self.base.units(&class.cut))));
            }
        }
        Ok(None)
    }

    /// Finds the cheapest cut of a class and puts the class on the heap, if it has any.
    fn add(&mut self, held: Vec<u32>, excluded: Vec<u32>) -> Result<(), CutError> {
        self.progress.check()?;
        let Some((weight, cut)) = self.cheapest(&held, &excluded)? else { return Ok(()) };
        if self.most.is_none_or(|most| weight <= most) {
            self.made += 1;
            let number = self.made;
            self.heap.push(Reverse(Class { weight, cut, number, held, excluded }));
        }
        Ok(())
    }

    fn cheapest(
        &self,
        held: &[u32],
        excluded: &[u32],
    ) -> Result<Option<(u64, Vec<u32>)>, CutError> {
        let mut problem = self.base.clone();
        let infinite = problem.infinite();
        for &edge in excluded {
            let position = problem.network().edge(edge).1;
            problem.network_mut().raise(position, infinite);
        }
        let mut sources = problem.sources().to_vec();
        let mut sinks = problem.sinks().to_vec();
        for &edge in held {
            let (tail, position) = problem.network().edge(edge);
            sources.push(tail);
            sinks.push(problem.network().arc(position).head);
        }
        for nodes in [&mut sources, &mut sinks] {
            nodes.sort_unstable();
            nodes.dedup();
        }
        // Infeasible if what must be on the source side leads to what must not without an edge
        // that can be cut.
        let bound = problem.network().uncuttable_from(&sources, infinite);
        if sinks.iter().any(|&t| bound.contains(t as usize)) {
            return Ok(None);
        }
        problem.network_mut().augment(&sources, &sinks, self.progress)?;
        let side = problem.network().reached_from(&sources);
        let (cut, weight) = problem.leaving(&side);
        let flow = problem.network().net_outflow(&sources);
        if flow != i128::from(weight) {
            let flow = u64::try_from(flow).unwrap_or_default();
            return Err(CutError::Inconsistent { flow, cut: weight });
        }
        Ok(Some((weight, cut)))
    }

    /// True if no edge of the cut can be left out: each starts where the sources still reach and
    /// ends where the targets still are reached.
    fn is_minimal(&self, cut: &[u32]) -> bool {
        let network = self.base.network();
        let mut closed = NodeSet::with_capacity(network.arcs_len());
        for &edge in cut {
            let position = network.edge(edge).1;
            closed.insert(position);
            closed.insert(network.arc(position).twin as usize);
        }
        let ahead = walk(&self.base, self.base.sources(), &closed, true);
        let behind = walk(&self.base, self.base.sinks(), &closed, false);
        cut.iter().all(|&edge| {
            let (tail, position) = network.edge(edge);
            ahead.contains(tail as usize) && behind.contains(network.arc(position).head as usize)
        })
    }
}

/// Nodes reached with (`ahead`) or against the edges without the closed arcs and empty edges.
fn walk(problem: &CutProblem, from: &[u32], closed: &NodeSet, ahead: bool) -> NodeSet {
    let network = problem.network();
    let mut seen = NodeSet::with_capacity(network.node_count());
    let mut stack: Vec<u32> = from.iter().copied().filter(|&v| !seen.put(v as usize)).collect();
    while let Some(u) = stack.pop() {
        let own = network.edges(u).count();
        let arcs = network.arcs(u);
        let range = if ahead { arcs.start..arcs.start + own } else { arcs.start + own..arcs.end };
        for position in range {
            let arc = network.arc(position);
            if arc.total > 0 && !closed.contains(position) && !seen.put(arc.head as usize) {
                stack.push(arc.head);
            }
        }
    }
    seen
}
