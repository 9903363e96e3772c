//! All minimum cuts, one after the other.
//!
//! Picard and Queyranne, "On the structure of all minimum cuts in a network", Mathematical
//! Programming Study 13 (1980): the source sides of minimum cuts are the sets that hold the
//! sources, not the targets, and are closed in the residual network of any maximum flow. Two of
//! them can cut the same edges, so only the canonical one is visited: the one whose every node is
//! still reached from the sources. Growing a canonical set by the head of a cut edge and closing
//! it gives a canonical set again (flow that runs in no cycles comes from the sources), so each
//! cut is found once and the time between two cuts is one closure for each edge of the cut.

use super::flow::NodeSet;
use super::problem::CutProblem;
use super::{CutError, Progress};

/// Lists every minimum cut of a solved problem. Lazy: stop whenever there are enough.
#[derive(Debug)]
pub struct AllMinimum {
    problem: CutProblem,
    /// The current source side.
    side: NodeSet,
    /// Nodes that the current branch leaves on the target side.
    barred: NodeSet,
    frames: Vec<Frame>,
    started: bool,
}

#[derive(Debug)]
struct Frame {
    /// Nodes that this step moved to the source side.
    added: Vec<u32>,
    /// Heads of the cut's edges: what the next step may move.
    heads: Vec<u32>,
    at: usize,
}

impl AllMinimum {
    /// Solves the problem and makes ready to list its minimum cuts.
    ///
    /// # Errors
    /// As [`CutProblem::solve`].
    pub fn new(mut problem: CutProblem, progress: &Progress) -> Result<Self, CutError> {
        problem.solve(progress)?;
        problem.network_mut().cancel_cycles();
        let side = problem.network().reached_from(problem.sources());
        let barred = problem.sink_set();
        Ok(Self { problem, side, barred, frames: Vec::new(), started: false })
    }

    fn open(&mut self, added: Vec<u32>) -> Vec<u32> {
        let (edges, _) = self.problem.leaving(&self.side);
        let network = self.problem.network();
        let mut heads: Vec<u32> = edges
            .iter()
            .map(|&e| network.arc(network.edge(e).1).head)
            .filter(|&v| !self.barred.contains(v as usize))
            .collect();
        heads.sort_unstable();
        heads.dedup();
        self.frames.push(Frame { added, heads, at: 0 });
        self.problem.units(&edges)
    }

    /// Moves `head` and all that must go with it to the source side; `None`, and nothing moved,
    /// if something barred would have to.
    fn close(&mut self, head: u32) -> Option<Vec<u32>> {
        let network = self.problem.network();
        let mut added = vec![head];
        self.side.insert(head as usize);
        let mut at = 0;
        while at < added.len() {
            for position in network.arcs(added[at]) {
                let arc = network.arc(position);
                if arc.residual == 0 || self.side.contains(arc.head as usize) {
                    continue;
                }
                if self.barred.contains(arc.head as usize) {
                    for v in added {
                        self.side.remove(v as usize);
                    }
                    return None;
                }
                self.side.insert(arc.head as usize);
                added.push(arc.head);
            }
            at += 1;
        }
        Some(added)
    }
}

impl Iterator for AllMinimum {
    /// What is cut, ascending.
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        if !self.started {
            self.started = true;
            return Some(self.open(Vec::new()));
        }
        loop {
            let frame = self.frames.last_mut()?;
            if let Some(&head) = frame.heads.get(frame.at) {
                frame.at += 1;
                if let Some(added) = self.close(head) {
                    return Some(self.open(added));
                }
                // No cut of this branch has it on the source side; it stays barred for the rest.
                self.barred.insert(head as usize);
                continue;
            }
            let done = self.frames.pop()?;
            for &head in &done.heads {
                self.barred.remove(head as usize);
            }
            for &v in &done.added {
                self.side.remove(v as usize);
            }
            if let Some(up) = self.frames.last() {
                self.barred.insert(up.heads[up.at - 1] as usize);
            }
        }
    }
}
