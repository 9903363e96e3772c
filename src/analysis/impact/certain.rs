//! Losses that are certain: who ends with at least what others have lost already, without iteration.
//!
//! A node loses what its scarcest input loses, and an input the weighted mean of its suppliers. So
//! the least fixed point is a reachability probability: "choose an input, then draw a supplier by
//! its share" is a Markov decision process, and the greatest probability of coming to a node of `K`
//! is what a node loses if the nodes of `K` lose 1 and nothing else does. Where that probability is
//! 1, a node loses at least `c` as soon as all of `K` do, however slowly iteration would find it: a
//! loop that gets one per cent from outside takes thousands of sweeps. These nodes are found by
//! graph search alone (Baier and Katoen, Principles of Model Checking, 2008, section 10.6.1): the
//! largest set `S` in which every node has an input with all suppliers in `S` and a way to `K` over
//! such inputs.
//!
//! Inputs that pass on less than they lose (a dependence below 1, headroom, a rationing order) do
//! not count, nor do thresholds; additive inputs count together where they are all of a node's
//! inputs. What is found is a lower bound whatever else acts, as long as nothing softens losses.

use std::ops::Range;

use super::rationing::Ration;
use super::rows::{InputRule, Rows};

/// Searches before giving up; a few are normal.
const ROUNDS: usize = 64;
/// Shares of additive inputs may miss 1 by this.
const ROUNDING: f64 = 1e-12;

/// An input that passes on in full what all of its suppliers lose at least.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// A limiting input (a group).
    Input(usize),
    /// All additive inputs together.
    Sum,
    /// Closed: not all suppliers can be relied on.
    Closed,
}

/// The nodes of a cycle (ranks in [`Rows::order`]) that end with at least `level` and have not lost
/// that yet, in the order in which the loss reaches them. `loss`: of any node, not above the limit;
/// outside the cycle it is the limit.
pub fn certain(rows: &Rows, cycle: Range<u32>, level: f64, loss: impl Fn(u32) -> f64) -> Vec<u32> {
    let order = rows.order();
    let members = &order.nodes[cycle.start as usize..cycle.end as usize];
    let place = |node: u32| {
        let rank = order.rank[node as usize];
        cycle.contains(&rank).then(|| (rank - cycle.start) as usize)
    };
    let lost: Vec<bool> = members.iter().map(|&v| loss(v) >= level).collect();
    let mut search = Search {
        rows,
        members,
        place: &place,
        outside: &|node| loss(node) >= level,
        within: vec![true; members.len()],
        ways: Vec::new(),
        first: Vec::with_capacity(members.len() + 1),
        lost,
    };
    search.list_ways();
    let mut gone: Vec<usize> = (0..members.len())
        .filter(|&k| !search.lost[k] && search.ways_of(k).all(|w| search.ways[w] == Way::Closed))
        .collect();
    gone.iter().for_each(|&k| search.within[k] = false);
    for _ in 0..ROUNDS {
        search.remove(gone);
        let (reached, order) = search.reach();
        gone = (0..members.len()).filter(|&k| search.within[k] && !reached[k]).collect();
        if gone.is_empty() {
            return order.into_iter().map(|k| members[k]).collect();
        }
        gone.iter().for_each(|&k| search.within[k] = false);
    }
    Vec::new()
}

struct Search<'a, P, O> {
    rows: &'a Rows,
    members: &'a [u32],
    /// Place of a node in `members`.
    place: &'a P,
    /// True if a node outside the cycle has lost enough.
    outside: &'a O,
    /// Members that have lost enough.
    lost: Vec<bool>,
    /// Members that may end with enough.
    within: Vec<bool>,
    /// Ways of all members, and where those of each member start.
    ways: Vec<Way>,
    first: Vec<usize>,
}

impl<P: Fn(u32) -> Option<usize>, O: Fn(u32) -> bool> Search<'_, P, O> {
    fn list_ways(&mut self) {
        for &node in self.members {
            self.first.push(self.ways.len());
            let mut all = 0.0;
            for group in self.rows.groups(node) {
                match self.rows.rule(group) {
                    InputRule::Limiting(dependence)
                        if dependence >= 1.0 && self.passes_on(group) && self.holds(group) =>
                    {
                        self.ways.push(Way::Input(group));
                    }
                    InputRule::Additive if self.passes_on(group) && self.holds(group) => {
                        all += self.rows.share(group);
                    }
                    _ => {}
                }
            }
            if all >= 1.0 - ROUNDING {
                self.ways.push(Way::Sum);
            }
        }
        self.first.push(self.ways.len());
    }

    fn ways_of(&self, member: usize) -> Range<usize> {
        self.first[member]..self.first[member + 1]
    }

    /// True if an input loses what its suppliers lose at least.
    fn passes_on(&self, group: usize) -> bool {
        let proportional = |e| self.rows.ration(e) == Ration::PROPORTIONAL;
        let counts = |e| self.rows.weight(e) > 0.0;
        self.rows.slack(group) == 0.0
            && self.rows.arrivals(group).any(counts)
            && (self.rows.is_proportional() || self.rows.arrivals(group).all(proportional))
    }

    /// Suppliers of an input that count.
    fn suppliers(&self, group: usize) -> impl Iterator<Item = u32> + '_ {
        let counts = |&e: &usize| self.rows.weight(e) > 0.0;
        self.rows.arrivals(group).filter(counts).map(|e| self.rows.source(e))
    }

    /// True if every supplier of an input may end with enough.
    fn holds(&self, group: usize) -> bool {
        self.suppliers(group).all(|source| match (self.place)(source) {
            Some(k) => self.within[k],
            None => (self.outside)(source),
        })
    }

    /// Groups of a way of a member.
    fn groups(&self, member: usize, way: Way) -> impl Iterator<Item = usize> + '_ {
        let (groups, sum) = match way {
            Way::Input(group) => (group..group + 1, false),
            Way::Sum => (self.rows.groups(self.members[member]), true),
            Way::Closed => (0..0, false),
        };
        groups.filter(move |&g| !sum || self.rows.rule(g) == InputRule::Additive)
    }

    /// Closes the ways that members who are `gone` have supplied, and what falls with them.
    fn remove(&mut self, mut gone: Vec<usize>) {
        while let Some(k) = gone.pop() {
            for &consumer in self.rows.dependents(self.members[k]) {
                let Some(c) = (self.place)(consumer) else { continue };
                if self.lost[c] || !self.within[c] {
                    continue;
                }
                let mut open = false;
                for w in self.ways_of(c) {
                    let way = self.ways[w];
                    if way != Way::Closed {
                        if self.groups(c, way).all(|g| self.holds(g)) {
                            open = true;
                        } else {
                            self.ways[w] = Way::Closed;
                        }
                    }
                }
                if !open {
                    self.within[c] = false;
                    gone.push(c);
                }
            }
        }
    }

    /// Members to which the loss comes over open ways, and those of them that it comes to newly,
    /// nearest first.
    fn reach(&self) -> (Vec<bool>, Vec<usize>) {
        let mut reached = self.lost.clone();
        let touches = |k: usize, reached: &[bool]| {
            self.ways_of(k).any(|w| {
                self.groups(k, self.ways[w]).any(|g| {
                    // A supplier outside that counts has lost enough: the way is open.
                    self.suppliers(g).any(|s| (self.place)(s).is_none_or(|p| reached[p]))
                })
            })
        };
        let mut queue: Vec<usize> = Vec::new();
        for k in 0..self.members.len() {
            if self.within[k] && !reached[k] && touches(k, &reached) {
                queue.push(k);
            }
        }
        queue.iter().for_each(|&k| reached[k] = true);
        let mut next = 0;
        while next < queue.len() {
            for &consumer in self.rows.dependents(self.members[queue[next]]) {
                let Some(c) = (self.place)(consumer) else { continue };
                if self.within[c] && !reached[c] && touches(c, &reached) {
                    reached[c] = true;
                    queue.push(c);
                }
            }
            next += 1;
        }
        (reached, queue)
    }
}
