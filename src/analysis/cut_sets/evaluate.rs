//! Evaluates a problem's levels quickly: its rows flat, suppliers first, several sets side by side.
//!
//! What one lane computes does not depend on the others. Only what a removal can reach is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::oracle::LossOracle;
use super::problem::{Group, Market, Offer, Problem, Response, Unit, delivered};
use super::{LOSS_TOLERANCE, Semantics};
use crate::analysis::impact::rationing::Ration;
use crate::analysis::{Cancelled, Progress};

/// Most sweeps inside a loop before the levels are taken as they are.
const MAX_SWEEPS: usize = 100_000;

/// Most nodes and arrivals that one evaluation looks at before the levels are taken as they are,
/// if that is more than [`MOST_PASSES`] of all.
const MOST_LOOKS: u64 = 50_000_000;

/// Passes over everything that an evaluation always has.
const MOST_PASSES: u64 = 10;

/// Steps after which an evaluation asks whether it should go on.
const PATIENCE: u32 = 4096;

/// Sets that are evaluated side by side.
pub(super) const LANES: usize = 8;

/// Where a row's supply comes from.
const OWN: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Row {
    stock: f64,
    response: Response,
    end: u32,
    /// Slot of the market that settles it, or [`OWN`] arrivals.
    slot: u32,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    from: u32,
    flow: u32,
    share: f64,
}

/// A row of a market.
#[derive(Debug, Clone, Copy)]
struct Claim {
    quantity: f64,
    critical: f64,
    class: u16,
    end_use: bool,
    end: u32,
}

/// What is evaluated: a node or a market.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Node, with the end of its rows.
    Node { node: u32, rows: u32 },
    /// Market, with the end of its claims.
    Market { market: u32, claims: u32 },
}

/// The rows of a problem in the order of evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    nodes: usize,
    steps: Vec<Step>,
    rows: Vec<Row>,
    claims: Vec<Claim>,
    arrivals: Vec<Arrival>,
    /// Rationing of every arrival; empty: proportional.
    rations: Vec<Ration>,
    /// First row or claim of each step, and first arrival of each step.
    first: Vec<(u32, u32)>,
    /// First slot of each market.
    slots: Vec<u32>,
    slot_count: usize,
    classes: u16,
    /// Ends of components among `steps`, and whether each is a loop.
    components: Vec<(u32, bool)>,
    /// Step of every node.
    step_of: Vec<u32>,
    /// Steps that read a node's level or a market's settlement: rows of a flat table, by step.
    reader_start: Vec<u32>,
    readers: Vec<u32>,
    /// True once an evaluation has ended before its loops had settled; shared by clones.
    unsettled: Arc<AtomicBool>,
}

impl Plan {
    /// Vertices below `nodes.len()` are nodes, the others markets; `components` in the order of
    /// evaluation.
    pub(super) fn new(
        nodes: &[Vec<Group>],
        markets: &[Market],
        components: &[Vec<u32>],
        looped: &[bool],
    ) -> Self {
        let n = nodes.len();
        let mut plan = Self { nodes: n, step_of: vec![0; n], ..Self::default() };
        for market in markets {
            plan.slots.push(plan.slot_count as u32);
            plan.slot_count += market.claims.len();
            let classes = market.claims.iter().map(|claim| claim.class + 1).max();
            plan.classes = plan.classes.max(classes.unwrap_or(0));
        }
        let mut market_step = vec![0u32; markets.len()];
        // (vertex read, step that reads)
        let mut reads: Vec<(u32, u32)> = Vec::new();
        for (component, &is_loop) in components.iter().zip(looped) {
            for &vertex in component {
                let step = plan.steps.len() as u32;
                let at = if (vertex as usize) < n { plan.rows.len() } else { plan.claims.len() };
                plan.first.push((at as u32, plan.arrivals.len() as u32));
                if (vertex as usize) < n {
                    plan.step_of[vertex as usize] = step;
                    for group in &nodes[vertex as usize] {
                        let (end, slot) = match group.settled {
                            Some((market, claim)) => {
                                reads.push((n as u32 + market, step));
                                let slot = plan.slots[market as usize] + claim;
                                (plan.arrivals.len() as u32, slot)
                            }
                            None => {
                                reads.extend(group.offers.iter().map(|o| (o.from, step)));
                                (plan.arrive(&group.offers), OWN)
                            }
                        };
                        let (stock, response) = (group.stock, group.response);
                        plan.rows.push(Row { stock, response, end, slot });
                    }
                    plan.steps.push(Step::Node { node: vertex, rows: plan.rows.len() as u32 });
                } else {
                    let market = vertex as usize - n;
                    market_step[market] = step;
                    for claim in &markets[market].claims {
                        reads.extend(claim.offers.iter().map(|o| (o.from, step)));
                        let end = plan.arrive(&claim.offers);
                        plan.claims.push(Claim {
                            quantity: claim.quantity,
                            critical: claim.critical,
                            class: claim.class,
                            end_use: claim.end_use,
                            end,
                        });
                    }
                    let claims = plan.claims.len() as u32;
                    plan.steps.push(Step::Market { market: market as u32, claims });
                }
            }
            plan.components.push((plan.steps.len() as u32, is_loop));
        }
        for (read, _) in &mut reads {
            let vertex = *read as usize;
            *read = if vertex < n { plan.step_of[vertex] } else { market_step[vertex - n] };
        }
        reads.sort_unstable();
        reads.dedup();
        plan.reader_start = (0..=plan.steps.len() as u32)
            .map(|step| reads.partition_point(|read| read.0 < step) as u32)
            .collect();
        plan.readers = reads.into_iter().map(|read| read.1).collect();
        if plan.rations.iter().all(|&ration| ration == Ration::PROPORTIONAL) {
            plan.rations = Vec::new();
        }
        plan
    }

    /// Appends arrivals; the end of them.
    fn arrive(&mut self, offers: &[Offer]) -> u32 {
        for offer in offers {
            let (from, flow, share) = (offer.from, offer.flow, offer.share);
            self.arrivals.push(Arrival { from, flow, share });
            self.rations.push(offer.ration);
        }
        self.arrivals.len() as u32
    }

    /// Nodes and arrivals.
    pub(super) fn size(&self) -> u64 {
        (self.nodes + self.arrivals.len()) as u64
    }

    /// True if some evaluation has ended before its loops had settled: its losses are too low, or
    /// too high in a system that starts from nothing.
    pub(super) fn unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Levels of all nodes, for each of at most `L` sets of removed units.
    ///
    /// # Errors
    /// `progress` asks to stop.
    pub(super) fn levels<const L: usize, S: AsRef<[u32]>>(
        &self,
        sets: &[S],
        units: &[Unit],
        semantics: Semantics,
        progress: &Progress,
    ) -> Result<Vec<[f64; L]>, Cancelled> {
        progress.check()?;
        let collapse = semantics == Semantics::Collapse;
        let mut state = State::<L> {
            level: vec![[if collapse { 1.0 } else { 0.0 }; L]; self.nodes],
            short: vec![[if collapse { 0.0 } else { 1.0 }; L]; self.slot_count],
            gone: vec![0; self.nodes],
            cut: FxHashMap::default(),
        };
        // Steps to look at. A running system changes only behind what is removed.
        let mut due = vec![!collapse; self.steps.len()];
        for (lane, set) in sets.iter().enumerate().take(L) {
            for &unit in set.as_ref() {
                for &node in &units[unit as usize].nodes {
                    state.gone[node as usize] |= 1 << lane;
                    due[self.step_of[node as usize] as usize] = true;
                }
                for &flow in &units[unit as usize].flows {
                    *state.cut.entry(flow).or_default() |= 1u32 << lane;
                }
            }
        }
        if !state.cut.is_empty() {
            // Whoever gets less over a cut flow.
            due.fill(true);
        }
        let a_step = (self.size() / self.steps.len().max(1) as u64).max(1);
        let mut room = MOST_LOOKS.max(MOST_PASSES * self.size()) / a_step;
        let mut patience = PATIENCE;
        let mut first = 0;
        for &(end, is_loop) in &self.components {
            let members = first..end as usize;
            first = end as usize;
            for sweep in 1.. {
                let mut moved = 0.0f64;
                for step in members.clone() {
                    if !due[step] {
                        continue;
                    }
                    // In a loop a step stays due until nothing before it moves.
                    due[step] = !collapse;
                    room = room.saturating_sub(1);
                    patience -= 1;
                    if patience == 0 {
                        patience = PATIENCE;
                        progress.check()?;
                    }
                    let change = self.take(step, &mut state);
                    if change > 0.0 {
                        moved = moved.max(change);
                        let readers =
                            self.reader_start[step] as usize..self.reader_start[step + 1] as usize;
                        for &reader in &self.readers[readers] {
                            due[reader as usize] = true;
                        }
                    }
                }
                if !is_loop || moved <= 1e-14 {
                    break;
                }
                if room == 0 || sweep == MAX_SWEEPS {
                    self.unsettled.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
        Ok(state.level)
    }

    /// Evaluates one step; how much it changed at most.
    fn take<const L: usize>(&self, step: usize, state: &mut State<L>) -> f64 {
        let (at, arrival) = (self.first[step].0 as usize, self.first[step].1 as usize);
        let mut change = 0.0f64;
        match self.steps[step] {
            Step::Node { node, rows } => {
                let new = self.operate(node, at..rows as usize, arrival, state);
                let old = &mut state.level[node as usize];
                for lane in 0..L {
                    change = change.max((new[lane] - old[lane]).abs());
                }
                *old = new;
            }
            Step::Market { market, claims } => {
                let slot = self.slots[market as usize] as usize;
                change = self.settle(at..claims as usize, arrival, slot, state);
            }
        }
        change
    }

    /// Share of an arrival that comes, in every lane.
    #[inline(always)]
    fn arriving<const L: usize>(&self, e: usize, state: &State<L>) -> [f64; L] {
        let arrival = self.arrivals[e];
        let mut came = state.level[arrival.from as usize];
        if let Some(&ration) = self.rations.get(e) {
            for level in &mut came {
                *level = delivered(ration, *level);
            }
        }
        if !state.cut.is_empty()
            && let Some(&cut) = state.cut.get(&arrival.flow)
        {
            for (lane, level) in came.iter_mut().enumerate() {
                if cut >> lane & 1 == 1 {
                    *level = 0.0;
                }
            }
        }
        came
    }

    fn operate<const L: usize>(
        &self,
        node: u32,
        rows: std::ops::Range<usize>,
        mut begin: usize,
        state: &State<L>,
    ) -> [f64; L] {
        let (mut least, mut lost) = ([1.0f64; L], [0.0f64; L]);
        for row in &self.rows[rows] {
            let mut supply = [row.stock; L];
            if row.slot == OWN {
                for e in begin..row.end as usize {
                    let came = self.arriving(e, state);
                    let share = self.arrivals[e].share;
                    for lane in 0..L {
                        supply[lane] += share * came[lane];
                    }
                }
            } else {
                let short = &state.short[row.slot as usize];
                for lane in 0..L {
                    supply[lane] += 1.0 - short[lane];
                }
            }
            begin = row.end as usize;
            for lane in 0..L {
                let supply = supply[lane].min(1.0);
                match row.response {
                    Response::Limiting(dependence) => {
                        least[lane] = least[lane].min(1.0 - dependence * (1.0 - supply));
                    }
                    Response::Threshold(share) => {
                        if supply < share - LOSS_TOLERANCE {
                            least[lane] = 0.0;
                        }
                    }
                    Response::Additive(weight) => lost[lane] += weight * (1.0 - supply),
                }
            }
        }
        let gone = state.gone[node as usize];
        std::array::from_fn(|lane| match gone >> lane & 1 {
            1 => 0.0,
            _ => least[lane].min(1.0 - lost[lane]).max(0.0),
        })
    }

    /// Settles one market: deliveries to end uses outside the order of service go to the critical
    /// part of what others are short of, best class first, in proportion inside a class.
    fn settle<const L: usize>(
        &self,
        claims: std::ops::Range<usize>,
        mut begin: usize,
        slot: usize,
        state: &mut State<L>,
    ) -> f64 {
        let mut raw: Vec<[f64; L]> = Vec::with_capacity(claims.len());
        let mut wanted = vec![[0.0f64; L]; self.classes as usize];
        let mut releasable = [0.0f64; L];
        for claim in &self.claims[claims.clone()] {
            let mut came = [0.0f64; L];
            let mut whole = 0.0;
            for e in begin..claim.end as usize {
                let share = self.arrivals[e].share;
                let arriving = self.arriving(e, state);
                whole += share;
                for lane in 0..L {
                    came[lane] += share * (1.0 - arriving[lane]);
                }
            }
            begin = claim.end as usize;
            let short = came;
            for lane in 0..L {
                if claim.end_use {
                    releasable[lane] += claim.quantity * (whole - short[lane]);
                } else {
                    wanted[claim.class as usize][lane] +=
                        claim.quantity * critical(claim.critical, short[lane]);
                }
            }
            raw.push(short);
        }
        // Share of each class's need that is filled.
        let mut left = releasable;
        for need in &mut wanted {
            for lane in 0..L {
                let filled = if need[lane] > 0.0 && left[lane] > 0.0 {
                    (left[lane] / need[lane]).min(1.0)
                } else {
                    0.0
                };
                left[lane] -= filled * need[lane];
                need[lane] = filled;
            }
        }
        let taken: [f64; L] = std::array::from_fn(|lane| {
            if left[lane] < releasable[lane] { 1.0 - left[lane] / releasable[lane] } else { 0.0 }
        });
        let mut change = 0.0f64;
        for (k, (claim, raw)) in self.claims[claims].iter().zip(&raw).enumerate() {
            let settled = &mut state.short[slot + k];
            for lane in 0..L {
                let short = raw[lane];
                let new = if claim.end_use {
                    (short + taken[lane] * (1.0 - short)).min(1.0)
                } else {
                    let filled = wanted[claim.class as usize][lane];
                    (short - filled * critical(claim.critical, short)).max(0.0)
                };
                change = change.max((new - settled[lane]).abs());
                settled[lane] = new;
            }
        }
        change
    }
}

/// The critical part of a need; what still arrives covers that part first.
#[inline(always)]
fn critical(share: f64, short: f64) -> f64 {
    (share - 1.0 + short).clamp(0.0, short.max(0.0))
}

struct State<const L: usize> {
    level: Vec<[f64; L]>,
    /// What each slot is short of once its market has settled.
    short: Vec<[f64; L]>,
    /// Lanes in which each node is removed, as bits.
    gone: Vec<u32>,
    /// Lanes in which a flow is cut, as bits.
    cut: FxHashMap<u32, u32>,
}

impl Problem {
    /// Operating level of every node if these units (ascending) are removed.
    ///
    /// # Errors
    /// `progress` asks to stop.
    pub fn levels(&self, removed: &[u32], progress: &Progress) -> Result<Vec<f64>, Cancelled> {
        let (units, semantics) = (self.units(), self.semantics());
        let levels = self.plan().levels::<1, _>(&[removed], units, semantics, progress)?;
        Ok(levels.into_iter().map(|[level]| level).collect())
    }

    /// Losses of the target for up to [`LANES`] sets.
    fn losses_in_lanes(
        &self,
        sets: &[Vec<u32>],
        progress: &Progress,
    ) -> Result<Vec<f64>, Cancelled> {
        let (units, semantics) = (self.units(), self.semantics());
        let levels = self.plan().levels::<LANES, _>(sets, units, semantics, progress)?;
        Ok((0..sets.len()).map(|lane| self.loss_at(|node| levels[node as usize][lane])).collect())
    }

    /// Loss of the target at these levels.
    fn loss_at(&self, level: impl Fn(u32) -> f64) -> f64 {
        let kept: f64 = self.targets().iter().map(|&(node, w)| w * level(node)).sum();
        (1.0 - kept).clamp(0.0, 1.0)
    }

    /// The problem as an oracle that stops when `progress` asks for it.
    pub fn watched<'a>(&'a self, progress: &'a Progress) -> Watched<'a> {
        Watched { problem: self, progress }
    }
}

/// A problem whose evaluations can be stopped. Made by [`Problem::watched`].
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    problem: &'a Problem,
    progress: &'a Progress,
}

impl LossOracle for Watched<'_> {
    fn unit_count(&self) -> usize {
        self.problem.units().len()
    }

    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        let level = self.problem.levels(removed, self.progress)?;
        Ok(self.problem.loss_at(|node| level[node as usize]))
    }

    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        let lanes: Vec<Vec<f64>> = sets
            .par_chunks(LANES)
            .map(|chunk| self.problem.losses_in_lanes(chunk, self.progress))
            .collect::<Result<_, _>>()?;
        Ok(lanes.concat())
    }

    fn effort(&self) -> u64 {
        let rounds = if self.problem.has_loop() { 40 } else { 4 };
        rounds * self.problem.plan().size() + 10 * self.unit_count() as u64
    }

    fn subadditive(&self) -> bool {
        self.problem.semantics() == Semantics::Collapse
            && self.problem.has_levels()
            && self.problem.nodes().iter().flatten().all(|group| {
                let total: f64 = group.offers.iter().map(|o| o.share).sum();
                !matches!(group.response, Response::Threshold(_))
                    && group.stock == 0.0
                    && total <= 1.0 + LOSS_TOLERANCE
                    && group.offers.iter().all(|o| o.ration == Ration::PROPORTIONAL)
            })
    }
}

/// A problem that nobody watches.
static UNWATCHED: Progress = Progress::silent();

/// Evaluations run to their end.
impl LossOracle for Problem {
    fn unit_count(&self) -> usize {
        self.watched(&UNWATCHED).unit_count()
    }

    fn loss(&self, removed: &[u32]) -> Result<f64, Cancelled> {
        self.watched(&UNWATCHED).loss(removed)
    }

    fn losses(&self, sets: &[Vec<u32>]) -> Result<Vec<f64>, Cancelled> {
        self.watched(&UNWATCHED).losses(sets)
    }

    fn effort(&self) -> u64 {
        self.watched(&UNWATCHED).effort()
    }

    fn subadditive(&self) -> bool {
        self.watched(&UNWATCHED).subadditive()
    }
}
