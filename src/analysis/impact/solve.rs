//! Sweeps to the fixed point: synchronous iteration of the production map in `L` scenarios at
//! once, both directions under one stop test, over the affected cone only.
//!
//! Losses only grow, so the iteration converges to the least fixed point above the shock (Diem et
//! al. 2022, Methods). Each lane stops on its own; what a lane computes does not depend on the
//! other lanes, so results are the same bytes for any batch size: a node is evaluated if an input
//! of it moved in some lane, which changes nothing in the other lanes.

use aligned_vec::AVec;
use pulp::{Arch, Simd, WithSimd};

use crate::analysis::{Cancelled, Progress};
use crate::model::scenario::StopRule;

use super::lanes::{all_lost, bounds, differ, greater, least, most};
use super::limit::{self, LaneState, MOST_EVALUATIONS, Map, Stamps};
use super::node_set::NodeSet;
use super::plan::{NodeLoss, Plan, Scaled, Visits, unscaled};
use super::rows::{ArrivalScale, LaneScale, Rows, Unscaled};
use super::substitution::{FactorRule, Factors};

/// Most plain sweeps before the exact limit is computed by components.
const PLAIN_SWEEPS: u64 = 20_000;
/// Least such number.
const LEAST_PLAIN_SWEEPS: u64 = 40;
/// Arrivals evaluated in plain sweeps before that, about.
const PLAIN_WORK: u64 = 100_000;
/// Every so many sweeps the rate of convergence is judged.
const JUDGED: u32 = 4;
/// Sweeps after which it is first.
const FIRST_JUDGED: u32 = 8;
/// The same where the exact limit of many scenarios is prepared for, and how often from then on.
const PREPARED: (u32, u32) = (4, 2);
/// Arrivals above which it is first judged later: the order of components takes as long as many
/// sweeps.
const MANY_ARRIVALS: u64 = 1_000_000;
/// Sweeps after which it is then.
const FIRST_JUDGED_OF_MANY: u32 = 16;

/// Shock of one scenario in one direction: nodes with their loss, ascending, each once.
pub type NodeShock = Vec<(u32, f64)>;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct StopAt {
    /// Rule.
    pub rule: StopRule,
    /// Largest change that counts as none.
    pub tolerance: f64,
    /// Most sweeps; `None`: as many as it takes, by components if plain sweeps are slow.
    pub max_sweeps: Option<u32>,
}

impl StopAt {
    /// At the exact limit.
    pub const LIMIT: Self = Self { rule: StopRule::Fixpoint, tolerance: 1e-12, max_sweeps: None };

    /// True if the exact limit is asked for.
    pub fn is_exact(&self) -> bool {
        self.rule == StopRule::Fixpoint && self.max_sweeps.is_none()
    }
}

/// How one scenario ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// Sweeps made (the one that changed nothing included).
    pub sweeps: u32,
    /// Largest change of the last sweep.
    pub residual: f64,
    /// True if the last change is within 1e-12 or the exact limit was computed.
    pub converged: bool,
    /// True if the exact limit was computed by components after the plain sweeps.
    pub accelerated: bool,
}

/// Cuts of one scenario in one direction: arrivals with the share that is cut and the node that
/// they go to, ascending, each once.
pub type ArrivalCuts = Vec<(usize, f64, u32)>;

/// Cuts of `L` scenarios.
#[derive(Debug, Clone, Default)]
struct Cuts<const L: usize> {
    /// Slot of each arrival in `share` (`u32::MAX`: not cut); empty: no arrival is cut.
    slot: Vec<u32>,
    share: Vec<[f64; L]>,
    arrivals: Vec<usize>,
}

impl<const L: usize> Cuts<L> {
    fn clear(&mut self) {
        for arrival in self.arrivals.drain(..) {
            self.slot[arrival] = u32::MAX;
        }
        self.share.clear();
    }

    fn insert(&mut self, lane: usize, arrival: usize, share: f64, arrival_count: usize) {
        if self.slot.is_empty() {
            self.slot = vec![u32::MAX; arrival_count];
        }
        if self.slot[arrival] == u32::MAX {
            self.slot[arrival] = self.share.len() as u32;
            self.share.push([0.0; L]);
            self.arrivals.push(arrival);
        }
        self.share[self.slot[arrival] as usize][lane] = share;
    }

    #[inline(always)]
    fn of(&self, arrival: usize) -> Option<&[f64; L]> {
        self.share.get(*self.slot.get(arrival)? as usize)
    }
}

/// A row of `L` zeros for each of `n`, none astride two cache lines.
pub(super) fn zeros<const L: usize>(n: usize) -> AVec<[f64; L]> {
    AVec::from_iter(0, std::iter::repeat_n([0.0; L], n))
}

/// Nodes to look at, by their place in the order in which they are best visited.
struct Frontier<'a> {
    places: NodeSet,
    visits: Visits<'a>,
}

impl Frontier<'_> {
    #[inline(always)]
    fn insert(&mut self, node: u32) {
        self.places.insert(self.visits.place(node));
    }

    /// Takes out the first node at or behind a place, with its place.
    #[inline(always)]
    fn take(&mut self, from: u32) -> Option<(u32, u32)> {
        let place = self.places.take(from, u32::MAX)?;
        Some((place, self.visits.node(place)))
    }
}

/// One direction of a run.
pub struct Side<'a, const L: usize> {
    /// The map.
    pub rows: &'a Rows,
    /// The map laid out for several scenarios.
    plan: Option<&'a Plan>,
    /// What scales arrivals (replaceability, spare supply).
    pub factors: Factors<'a, L>,
    /// Loss of every node in every lane.
    pub losses: AVec<[f64; L]>,
    cuts: Cuts<L>,
    shock: AVec<[f64; L]>,
    /// Nodes with a shock in each lane.
    shocked: [Vec<u32>; L],
    stamps: Stamps,
    /// Nodes with a shock or a loss in some lane.
    touched: Vec<u32>,
    /// By node: true if sweeps have listed it in `touched`.
    listed: Vec<bool>,
    cut_consumers: Vec<u32>,
    /// Nodes of which an input has moved since they were last evaluated.
    frontier: Frontier<'a>,
    updates: Vec<(u32, [f64; L])>,
    /// Suppliers that count differently since the last sweep.
    changed: Vec<u32>,
}

struct Scale<'a, const L: usize> {
    cuts: &'a Cuts<L>,
    factors: &'a Factors<'a, L>,
}

impl<const L: usize> ArrivalScale<L> for Scale<'_, L> {
    #[inline(always)]
    fn apply(&self, loss: &mut [f64; L], arrival: usize, supplier: u32) {
        if let Some(cut) = self.cuts.of(arrival) {
            for lane in 0..L {
                loss[lane] = greater(loss[lane], cut[lane]);
            }
        }
        self.factors.apply(loss, supplier);
    }

    #[inline(always)]
    fn settled(&self, group: usize) -> Option<[f64; L]> {
        self.factors.settled(group)
    }

    fn behind(&self, group: usize, losses: &[[f64; L]]) -> Vec<(u32, f64)> {
        self.factors.behind(group, losses)
    }

    fn slope(&self, slope: &mut [f64; L], at: f64, arrival: usize, supplier: u32) {
        if let Some(cut) = self.cuts.of(arrival) {
            for lane in 0..L {
                if cut[lane] >= at {
                    slope[lane] = 0.0;
                }
            }
        }
        self.factors.apply(slope, supplier);
    }
}

/// The scale of one lane of many.
struct OneOf<'a, const L: usize> {
    lane: usize,
    cuts: &'a Cuts<L>,
    factors: Factors<'a, 1>,
}

impl<const L: usize> ArrivalScale<1> for OneOf<'_, L> {
    fn apply(&self, loss: &mut [f64; 1], arrival: usize, supplier: u32) {
        if let Some(cut) = self.cuts.of(arrival) {
            loss[0] = greater(loss[0], cut[self.lane]);
        }
        self.factors.apply(loss, supplier);
    }

    fn settled(&self, group: usize) -> Option<[f64; 1]> {
        self.factors.settled(group)
    }

    fn slope(&self, slope: &mut [f64; 1], at: f64, arrival: usize, supplier: u32) {
        if self.cuts.of(arrival).is_some_and(|cut| cut[self.lane] >= at) {
            slope.fill(0.0);
        }
        self.factors.apply(slope, supplier);
    }
}

impl<const L: usize> LaneScale<L> for Scale<'_, L> {
    fn lane(&self, lane: usize) -> impl ArrivalScale<1> {
        OneOf { lane, cuts: self.cuts, factors: self.factors.lane(lane) }
    }

    fn plain(&self) -> [bool; L] {
        let cut = |lane: usize| self.cuts.share.iter().any(|share| share[lane] > 0.0);
        std::array::from_fn(|lane| !self.factors.moves() && !cut(lane))
    }
}

impl<'a, const L: usize> Side<'a, L> {
    /// Ready for scenarios over these rows.
    pub fn new(rows: &'a Rows, factor_rule: Option<FactorRule<'a>>) -> Self {
        let n = rows.node_count();
        // A plan pays from several scenarios on.
        let plan = if L > 1 { rows.plan() } else { None };
        Self {
            rows,
            plan,
            factors: Factors::new(factor_rule),
            losses: zeros(n),
            cuts: Cuts::default(),
            shock: zeros(n),
            shocked: std::array::from_fn(|_| Vec::new()),
            stamps: Stamps { of: vec![0; if L == 1 { n } else { 0 }], now: 0 },
            touched: Vec::new(),
            listed: vec![false; n],
            cut_consumers: Vec::new(),
            frontier: Frontier {
                places: NodeSet::new(n),
                visits: plan.map(Plan::visits).unwrap_or_default(),
            },
            updates: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Starts from the shocks and cuts of up to `L` scenarios; what an earlier run left is
    /// cleared.
    pub fn start<'s>(&mut self, scenarios: impl Iterator<Item = (&'s NodeShock, &'s ArrivalCuts)>) {
        for &node in &self.touched {
            self.losses[node as usize] = [0.0; L];
            self.listed[node as usize] = false;
            if let Some(stamp) = self.stamps.of.get_mut(node as usize) {
                *stamp = 0;
            }
        }
        (0..L).for_each(|lane| self.clear_shock(lane));
        self.stamps.now = 0;
        self.touched.clear();
        self.cuts.clear();
        self.cut_consumers.clear();
        self.frontier.places.clear();
        for (lane, (shock, cuts)) in scenarios.enumerate() {
            for &(node, loss) in shock {
                let v = node as usize;
                if !self.listed[v] {
                    self.listed[v] = true;
                    self.touched.push(node);
                }
                self.shock[v][lane] = loss;
                self.shocked[lane].push(node);
                self.losses[v][lane] = loss;
            }
            for &(arrival, share, _) in cuts {
                self.cuts.insert(lane, arrival, share, self.rows.arrival_count());
            }
            // Consumers behind a cut lose something although no supplier does.
            self.cut_consumers.extend(cuts.iter().map(|&(_, _, consumer)| consumer));
        }
        let (rows, frontier) = (self.rows, &mut self.frontier);
        self.cut_consumers.iter().for_each(|&consumer| frontier.insert(consumer));
        let mut wake = |node: u32| rows.dependents(node).iter().for_each(|&d| frontier.insert(d));
        self.touched.iter().for_each(|&node| wake(node));
        let cut = !self.cuts.arrivals.is_empty() || !rows.is_proportional();
        let mut settled = Vec::new();
        self.factors.start(&self.losses, cut, wake, |consumer| settled.push(consumer));
        settled.into_iter().for_each(|consumer| self.frontier.insert(consumer));
    }

    /// Starts one lane anew from the shock of another scenario; the other lanes go on. Only where
    /// nothing is cut or settled by markets.
    pub fn restart(&mut self, lane: usize, shock: &NodeShock) {
        for &node in &self.touched {
            let v = node as usize;
            if self.losses[v][lane] != 0.0 {
                self.losses[v][lane] = 0.0;
                self.factors.grown(node);
            }
        }
        self.clear_shock(lane);
        for &(node, loss) in shock {
            let v = node as usize;
            if !self.listed[v] {
                self.listed[v] = true;
                self.touched.push(node);
            }
            self.shock[v][lane] = loss;
            self.shocked[lane].push(node);
            self.losses[v][lane] = loss;
            self.factors.grown(node);
            self.rows.dependents(node).iter().for_each(|&d| self.frontier.insert(d));
        }
    }

    fn clear_shock(&mut self, lane: usize) {
        for node in self.shocked[lane].drain(..) {
            self.shock[node as usize][lane] = 0.0;
        }
    }

    /// Nodes that have a shock or a loss in some lane, in no particular order.
    pub fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// When each node's loss last grew.
    pub fn stamps(&self) -> &[u32] {
        &self.stamps.of
    }

    /// Shock of a node.
    pub fn shock(&self, node: u32) -> [f64; L] {
        self.shock[node as usize]
    }

    /// Share of an arrival that is cut, in every lane.
    pub fn cut(&self, arrival: usize) -> [f64; L] {
        self.cuts.of(arrival).copied().unwrap_or([0.0; L])
    }

    /// True if any arrival is cut.
    pub fn has_cuts(&self) -> bool {
        !self.cuts.arrivals.is_empty()
    }

    /// What scales arrivals in the present state.
    pub fn scale(&self) -> impl ArrivalScale<L> + '_ {
        Scale { cuts: &self.cuts, factors: &self.factors }
    }

    /// One synchronous sweep; lanes that are not `active` keep their values. Returns the largest
    /// change of each lane.
    fn sweep(&mut self, active: &[bool; L]) -> [f64; L] {
        Arch::new().dispatch(Sweep { side: self, active: *active })
    }

    #[inline(always)]
    fn sweep_here<S: Simd>(&mut self, simd: S, active: [bool; L]) -> [f64; L] {
        // Of the losses that the sweep before and lanes that start anew have left.
        self.refresh();
        let plain = self.cuts.arrivals.is_empty() && self.rows.is_proportional();
        let mut updates = std::mem::take(&mut self.updates);
        let scale = Scale { cuts: &self.cuts, factors: &self.factors };
        let frontier = &mut self.frontier;
        let (rows, old) = (self.rows, &self.losses);
        let map = (rows, self.plan);
        let change = match (plain, self.factors.moves(), self.factors.scaled()) {
            (true, false, _) => evaluate_plain(simd, map, frontier, old, old, active, &mut updates),
            (true, true, Some(scaled)) => {
                evaluate_plain(simd, map, frontier, old, scaled, active, &mut updates)
            }
            _ => {
                let map = Scaled { rows, scale: &scale };
                evaluate(simd, &map, frontier, old, old, active, &mut updates)
            }
        };
        self.stamps.now += 1;
        let by_factors = plain && self.factors.scaled().is_some();
        for &(node, new) in &updates {
            let v = node as usize;
            if let Some(stamp) = self.stamps.of.get_mut(v) {
                *stamp = self.stamps.now;
            }
            if !self.listed[v] {
                self.listed[v] = true;
                self.touched.push(node);
            }
            self.losses[v] = new;
            self.factors.grown(node);
        }
        if !by_factors {
            wake(rows, frontier, updates.iter().map(|update| update.0));
        }
        updates.clear();
        self.updates = updates;
        change
    }

    /// Sets factors anew and marks whom that moves.
    #[inline(always)]
    fn refresh(&mut self) {
        if self.factors.moves() {
            let (changed, frontier) = (&mut self.changed, &mut self.frontier);
            self.factors.refresh(
                &self.losses,
                |supplier| changed.push(supplier),
                |consumer| frontier.insert(consumer),
            );
            wake(self.rows, frontier, changed.iter().copied());
            changed.clear();
        }
    }

    /// Solves the lanes `of` to their exact limit; returns the largest change of the last pass.
    fn finish(
        &mut self,
        of: &[bool; L],
        tolerance: f64,
        progress: &Progress,
    ) -> Result<[f64; L], Cancelled> {
        let mut residual = [0.0; L];
        let mut active = *of;
        let mut dirty = NodeSet::new(self.rows.node_count());
        let order = self.rows.order();
        // With moving factors: an outer loop refreshes them (both maps are monotone).
        for _ in 0..10_000 {
            // A lane may have stopped with nodes to look at: look at all that could move.
            while let Some((_, node)) = self.frontier.take(0) {
                dirty.insert(order.rank[node as usize]);
            }
            let consumers = self.touched.iter().flat_map(|&node| self.rows.dependents(node));
            for &node in consumers.chain(&self.cut_consumers).chain(self.factors.watch()) {
                dirty.insert(order.rank[node as usize]);
            }
            let state = LaneState {
                shock: &self.shock,
                losses: &mut self.losses,
                stamps: &mut self.stamps,
                touched: &mut self.touched,
                dirty: &mut dirty,
            };
            let scale = Scale { cuts: &self.cuts, factors: &self.factors };
            let plain = self.cuts.arrivals.is_empty() && !self.factors.moves();
            let rows = self.rows;
            // Pivots pay from several scenarios on, too (and hide which loss came first, which
            // explanations of one scenario ask for). Cuts only add to losses, so whether a
            // neighbour has some makes no difference.
            let plan = self.plan.filter(|_| plain);
            let pivots = if L > 1 && !self.factors.moves() { rows.pivots() } else { &[] };
            let linear = if L > 1 { rows.linear_cycles() } else { &[] };
            let (hard, most_evaluations) = (!self.factors.moves(), MOST_EVALUATIONS);
            let solved = match plan {
                Some(of) => {
                    let map = Map { rows, of, pivots, linear, hard, most_evaluations };
                    limit::solve(&map, state, &Unscaled, &active, tolerance, progress)?
                }
                None if plain => {
                    let of = &unscaled(rows);
                    let map = Map { rows, of, pivots, linear, hard, most_evaluations };
                    limit::solve(&map, state, &Unscaled, &active, tolerance, progress)?
                }
                None => {
                    let of = &Scaled { rows, scale: &scale };
                    let map = Map { rows, of, pivots, linear, hard, most_evaluations };
                    limit::solve(&map, state, &scale, &active, tolerance, progress)?
                }
            };
            for lane in 0..L {
                if active[lane] {
                    residual[lane] = solved.residual[lane];
                    active[lane] = solved.moved[lane] > tolerance;
                }
            }
            if !self.factors.moves() || !active.contains(&true) {
                break;
            }
            self.touched.iter().for_each(|&node| self.factors.grown(node));
            self.refresh();
        }
        Ok(residual)
    }
}

struct Sweep<'s, 'a, const L: usize> {
    side: &'s mut Side<'a, L>,
    active: [bool; L],
}

impl<const L: usize> WithSimd for Sweep<'_, '_, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; L] {
        self.side.sweep_here(simd, self.active)
    }
}

/// Adds the nodes on which `suppliers` act to the frontier.
#[inline(always)]
fn wake(rows: &Rows, frontier: &mut Frontier<'_>, suppliers: impl ExactSizeIterator<Item = u32>) {
    // Of so many nearly all have consumers: to look at a node in vain changes nothing.
    if 2 * suppliers.len() >= rows.node_count() {
        frontier.places.fill(rows.node_count());
    } else {
        for supplier in suppliers {
            rows.dependents(supplier).iter().for_each(|&d| frontier.insert(d));
        }
    }
}

/// [`evaluate`] where nothing scales what arrives.
#[inline(always)]
fn evaluate_plain<const L: usize, S: Simd>(
    simd: S,
    (rows, plan): (&Rows, Option<&Plan>),
    frontier: &mut Frontier<'_>,
    old: &[[f64; L]],
    arriving: &[[f64; L]],
    active: [bool; L],
    updates: &mut Vec<(u32, [f64; L])>,
) -> [f64; L] {
    match plan {
        Some(plan) => evaluate(simd, plan, frontier, old, arriving, active, updates),
        None => evaluate(simd, &unscaled(rows), frontier, old, arriving, active, updates),
    }
}

/// Evaluates the nodes of `frontier`, empties it, and lists those that grow.
#[inline(always)]
fn evaluate<const L: usize, S: Simd>(
    simd: S,
    map: &impl NodeLoss<L>,
    frontier: &mut Frontier<'_>,
    old: &[[f64; L]],
    arriving: &[[f64; L]],
    active: [bool; L],
    updates: &mut Vec<(u32, [f64; L])>,
) -> [f64; L] {
    let bounds = bounds(active);
    let mut change = [0.0; L];
    let mut cursor = 0;
    while let Some((place, node)) = frontier.take(cursor) {
        cursor = place;
        let v = node as usize;
        if all_lost(&old[v], &bounds) {
            continue;
        }
        // Losses start at the shock and never shrink; rounding must not make them.
        let new = least(simd, &map.node_loss(simd, node, &[0.0; L], arriving), &bounds);
        let new = most(simd, &new, &old[v]);
        let mut step = new;
        for lane in 0..L {
            step[lane] -= old[v][lane];
        }
        change = most(simd, &change, &step);
        if differ(&new, &old[v]) {
            updates.push((node, new));
        }
    }
    change
}

/// Runs up to `L` scenarios to their end: `sides` holds the directions asked for (one or two),
/// each already started with the scenarios' shocks.
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn run<const L: usize>(
    sides: &mut [Side<'_, L>],
    scenarios: usize,
    stop: StopAt,
    progress: &Progress,
) -> Result<Vec<Ending>, Cancelled> {
    let open = Ending { sweeps: 0, residual: f64::INFINITY, converged: false, accelerated: false };
    let mut endings = vec![open; scenarios];
    let mut active = [false; L];
    active[..scenarios].fill(true);
    let exact = stop.is_exact();
    // Depends on the graph only, not on what else is in the batch.
    let arrivals = sides.iter().map(|s| s.rows.arrival_count() as u64).max().unwrap_or(0);
    let plain = (PLAIN_WORK / (arrivals + 1)).clamp(LEAST_PLAIN_SWEEPS, PLAIN_SWEEPS) as u32;
    let most = stop.max_sweeps.unwrap_or(if exact { plain } else { u32::MAX });
    let pace = |sides: &[Side<'_, L>]| {
        if arrivals > MANY_ARRIVALS {
            (FIRST_JUDGED_OF_MANY, JUDGED)
        } else if sides.iter().any(|side| side.rows.has_surveyed()) {
            PREPARED
        } else {
            (FIRST_JUDGED, JUDGED)
        }
    };
    // Asked for only when a scenario goes on for so long: most end before.
    let mut judging = None;
    let mut slow = [false; L];
    let mut judged = [f64::INFINITY; L];
    let mut sweep = 0;
    while active.contains(&true) && sweep < most {
        progress.check()?;
        sweep += 1;
        let mut change = [0.0f64; L];
        for side in sides.iter_mut() {
            let moved = side.sweep(&active);
            for lane in 0..L {
                change[lane] = change[lane].max(moved[lane]);
            }
        }
        for lane in 0..scenarios {
            if active[lane] {
                endings[lane].sweeps = sweep;
                endings[lane].residual = change[lane];
                if change[lane] <= stop.tolerance {
                    active[lane] = false;
                    endings[lane].converged = change[lane] <= 1e-12;
                } else if exact && sweep >= PREPARED.1 {
                    let (first, every) = *judging.get_or_insert_with(|| pace(sides));
                    if !sweep.is_multiple_of(every) {
                        continue;
                    }
                    let left = f64::from((plain - sweep) / every);
                    let rate = change[lane] / judged[lane];
                    judged[lane] = change[lane];
                    if sweep >= first && change[lane] * rate.powf(left) > stop.tolerance {
                        active[lane] = false;
                        slow[lane] = true;
                    }
                }
            }
        }
    }
    sides.iter_mut().for_each(Side::refresh);
    if exact {
        for lane in 0..scenarios {
            slow[lane] |= active[lane];
        }
        if slow.contains(&true) {
            let mut residual = [0.0f64; L];
            for side in sides.iter_mut() {
                let of_side = side.finish(&slow, stop.tolerance, progress)?;
                for lane in 0..L {
                    residual[lane] = residual[lane].max(of_side[lane]);
                }
            }
            for lane in (0..scenarios).filter(|&lane| slow[lane]) {
                endings[lane].residual = residual[lane];
                endings[lane].converged = residual[lane] <= stop.tolerance.max(1e-12);
                endings[lane].accelerated = true;
            }
        }
    }
    Ok(endings)
}

/// Runs any number of scenarios through the lanes: a lane that ends takes the next one. Each
/// scenario's sweeps are those that it makes alone. `sides` are as after [`Side::start`] with
/// nothing; nothing may be cut or settled by markets, and the stop rule is not the exact limit.
/// `ended` is told of every scenario with the lane in which its losses are.
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn stream<const L: usize>(
    sides: &mut [Side<'_, L>],
    scenarios: usize,
    mut shock: impl FnMut(usize, usize) -> NodeShock,
    stop: StopAt,
    progress: &Progress,
    mut ended: impl FnMut(&[Side<'_, L>], usize, usize, Ending) -> Result<(), Cancelled>,
) -> Result<(), Cancelled> {
    let most = stop.max_sweeps.unwrap_or(u32::MAX);
    let mut next = 0;
    let mut of_lane: [Option<usize>; L] = [None; L];
    let mut sweeps = [0; L];
    loop {
        for lane in 0..L {
            if of_lane[lane].is_none() && next < scenarios {
                for (k, side) in sides.iter_mut().enumerate() {
                    side.restart(lane, &shock(k, next));
                }
                (of_lane[lane], sweeps[lane]) = (Some(next), 0);
                next += 1;
            }
        }
        let active = of_lane.map(|scenario| scenario.is_some());
        if !active.contains(&true) {
            return Ok(());
        }
        progress.check()?;
        let mut change = [0.0f64; L];
        for side in sides.iter_mut() {
            let moved = side.sweep(&active);
            for lane in 0..L {
                change[lane] = greater(change[lane], moved[lane]);
            }
        }
        for lane in 0..L {
            let Some(scenario) = of_lane[lane] else { continue };
            sweeps[lane] += 1;
            if change[lane] <= stop.tolerance || sweeps[lane] >= most {
                let ending = Ending {
                    sweeps: sweeps[lane],
                    residual: change[lane],
                    converged: change[lane] <= stop.tolerance.min(1e-12),
                    accelerated: false,
                };
                ended(sides, scenario, lane, ending)?;
                of_lane[lane] = None;
            }
        }
    }
}
