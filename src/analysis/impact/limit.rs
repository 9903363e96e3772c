//! The exact limit, component by component, in `L` scenarios at once.
//!
//! The map is condensed into strongly connected components (losses travel along the arcs). A
//! component without a cycle takes one evaluation; inside a cycle the map is iterated in place
//! (Gauss-Seidel). Where that is slow, graph search finds the nodes that are certain to lose what
//! others do ([`super::certain`]), three states show how far the limit is at least, and where
//! little still moves the limit of the active piece is solved for directly (policy iteration,
//! Howard 1960).
//!
//! **Extrapolation.** A few passes map losses `z` to `G(z)`; G is monotone, and along a ray convex as
//! long as no loss reaches 1 and no arrival leaves its linear part (maxima and sums of increasing
//! affine maps, composed). Let `d = G(l) - l` and `d' = G(l + d) - (l + d) >= t d` for a `t < 1`
//! (a Collatz-Wielandt bound). By convexity `G(l + s d) >= l + d + s d'` for `s >= 1`, so with
//! `l + s d` also `l + (1 + s t) d` lies below the least fixed point, and by induction so does
//! `l + s d` for every `s <= 1 / (1 - t)`, and with it `l + d + s d'`.
//!
//! Missing orders follow a linear map whose fixed point above a shock is unique on the nodes that
//! it reaches: there the rate is estimated (a Rayleigh quotient), and losses may fall again.
//!
//! **Policy iteration.** With losses `l <= F(l)` below the least fixed point and the active affine piece `M z + r` of
//! every node at `l` (so `F(z) >= min(1, M z + r)` as long as no arrival leaves its linear part),
//! let `y` be the fixed point of `min(1, M z + r)`, found from above: nodes that stay below 1 form
//! a set A, `y_A = (I - M_AA)^-1 (M_AC 1 + r)`. If every pivot of that elimination is positive,
//! `I - M_AA` is a nonsingular M-matrix (Berman and Plemmons 1979, ch. 6) and the whole segment
//! from `l` to `y` lies below the least fixed point: were it crossed first in the coordinates S,
//! none of them could have `z < min(1, M z + r)` there, so S lies in A, and the excess
//! `D <= M_SS D` must vanish. A segment that would leave the linear part of an arrival is cut
//! short there. Without positive pivots iteration goes on alone.

use std::collections::BTreeMap;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::analysis::{Cancelled, Progress};

use super::certain::certain;
use super::lanes::{all_lost, bounds, differ, greater, least, lesser, most, raise};
use super::linear::LinearCycle;
use super::node_set::NodeSet;
use super::pivot::Pivot;
use super::plan::NodeLoss;
use super::rows::{ArrivalScale, Binding, InputRule, LaneScale, Rows};

/// Passes over a cycle that settle it, and the length of each of the two windows of passes whose
/// steps are compared; one after the other. Long windows see through losses that go round in waves.
const WINDOWS: &[(usize, usize)] = &[(2, 3), (2, 6), (3, 12), (3, 24)];
/// The same where the map is linear.
const LINEAR_WINDOWS: &[(usize, usize)] = &[(4, 1)];
/// The same where the cycle has a pivot, which is followed after each.
const PIVOT_WINDOWS: &[(usize, usize)] = &[(0, 1)];
/// Steps up to this may be rounding alone.
pub const NOISE: f64 = 1e-14;
/// Steps are only known to this: rounding of losses up to 1.
const UNSURE: f64 = 1e-15;
/// Passes over a cycle before its active piece is solved directly, if little of it still moves.
const FIRST_DIRECT: usize = 20;
/// Most unknowns of such a piece in the first passes, when iteration alone may be faster.
const LARGEST_EARLY_SYSTEM: usize = 150;
/// Passes over a cycle after which losses that are certain are looked for in one scenario; in
/// several, of which each is searched alone and passes are cheap; and again after so many times as
/// many.
const CERTAIN: (usize, usize, usize) = (2, 12, 4);
/// Cycles smaller than this are solved directly.
const LEAST_SEARCHED: usize = 64;
/// Most losses of which it is asked who ends with them, too.
const LEVELS: usize = 4;
/// Passes after which iteration alone is slow.
const MANY_PASSES: usize = 240;
/// Passes after which iteration gives up (the residual is reported).
const MOST_PASSES: usize = 2_000_000;
/// Passes times nodes of a cycle after which it does, about a minute: the same whatever scenarios
/// are solved side by side.
pub const MOST_EVALUATIONS: usize = 1_000_000_000;
/// Sums of shares may pass 1 by this much.
const ROUNDING: f64 = 1e-9;
/// Most unknowns of an active piece that is solved directly: elimination takes n^3 / 3 steps.
const LARGEST_SYSTEM: usize = 600;

/// When each node's loss last grew, in evaluations.
#[derive(Debug, Clone, Default)]
pub struct Stamps {
    /// By node; empty: not kept.
    pub of: Vec<u32>,
    /// The present moment.
    pub now: u32,
}

/// The map of which the limit is computed.
pub struct Map<'a, M> {
    /// The rows.
    pub rows: &'a Rows,
    /// How a node's loss is computed.
    pub of: &'a M,
    /// Known limits that bound others.
    pub pivots: &'a [Pivot],
    /// Cycles of a linear map that are laid out.
    pub linear: &'a [LinearCycle],
    /// True if nothing softens what arrives (replaceability, markets): cuts only add.
    pub hard: bool,
    /// Passes times nodes after which a cycle is left as it is, below its limit.
    pub most_evaluations: usize,
}

/// The scenarios that are solved. Losses must lie below the limit.
pub struct LaneState<'s, const L: usize> {
    /// Shock of each node.
    pub shock: &'s [[f64; L]],
    /// Loss of each node.
    pub losses: &'s mut [[f64; L]],
    /// When losses last grew.
    pub stamps: &'s mut Stamps,
    /// Nodes with a shock or a loss in some lane.
    pub touched: &'s mut Vec<u32>,
    /// Nodes to look at, by their rank in [`Rows::order`]; empty afterwards.
    pub dirty: &'s mut NodeSet,
}

impl<const L: usize> LaneState<'_, L> {
    /// Takes over new losses of a node: whoever depends on it is to be looked at.
    #[inline(always)]
    pub fn moved(&mut self, rows: &Rows, node: u32, new: [f64; L]) {
        let v = node as usize;
        if !differ(&self.losses[v], &[0.0; L]) && !differ(&self.shock[v], &[0.0; L]) {
            self.touched.push(node);
        }
        if let Some(stamp) = self.stamps.of.get_mut(v) {
            self.stamps.now += 1;
            *stamp = self.stamps.now;
        }
        self.losses[v] = new;
        let rank = &rows.order().rank;
        for &dependent in rows.dependents(node) {
            self.dirty.insert(rank[dependent as usize]);
        }
    }
}

/// How far [`solve`] came.
#[derive(Debug, Clone, Copy)]
pub struct Solved<const L: usize> {
    /// Largest change of the last pass over any cycle.
    pub residual: [f64; L],
    /// Largest change of all.
    pub moved: [f64; L],
}

/// Raises losses of the `active` lanes to the least fixed point above the shock.
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn solve<const L: usize, S: LaneScale<L>>(
    map: &Map<'_, impl NodeLoss<L>>,
    mut state: LaneState<'_, L>,
    scale: &S,
    active: &[bool; L],
    tolerance: f64,
    progress: &Progress,
) -> Result<Solved<L>, Cancelled> {
    let order = map.rows.order();
    let end = order.nodes.len() as u32;
    let mut solved = Solved { residual: [0.0; L], moved: [0.0; L] };
    let mut cursor = 0;
    while let Some(first) = state.dirty.next(cursor) {
        // What lies before the next cycle is exact after one pass.
        let next = order.cycles.partition_point(|cycle| cycle.end <= first);
        let cycle = order.cycles.get(next).cloned().unwrap_or(end..end);
        let moved = pass(map, &mut state, *active, first..cycle.start.max(first));
        raise(&mut solved.moved, moved);
        cursor = cycle.end;
        if state.dirty.next(cycle.start).is_some_and(|rank| rank < cycle.end) {
            progress.check()?;
            let of_cycle =
                solve_cycle(map, &mut state, scale, *active, cycle, tolerance, progress)?;
            raise(&mut solved.moved, of_cycle.moved);
            raise(&mut solved.residual, of_cycle.residual);
        }
    }
    Ok(solved)
}

/// Evaluates the dirty nodes of a range of ranks in order, in place. Returns the largest change.
pub fn pass<const L: usize>(
    map: &Map<'_, impl NodeLoss<L>>,
    state: &mut LaneState<'_, L>,
    active: [bool; L],
    range: Range<u32>,
) -> [f64; L] {
    Arch::new().dispatch(Pass { map, state, active, range })
}

struct Pass<'p, 'm, 's, const L: usize, M> {
    map: &'p Map<'m, M>,
    state: &'p mut LaneState<'s, L>,
    active: [bool; L],
    range: Range<u32>,
}

impl<const L: usize, M: NodeLoss<L>> WithSimd for Pass<'_, '_, '_, L, M> {
    type Output = [f64; L];

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) -> [f64; L] {
        let Self { map, state, active, range } = self;
        let rows = map.rows;
        let order = rows.order();
        let bounds = bounds(active);
        // Losses never shrink; rounding must not make them. In a linear map they may.
        let keep = if rows.is_linear() { 0.0 } else { 1.0 };
        let keep = active.map(|a| if a { keep } else { 1.0 });
        let mut change = [0.0; L];
        let mut cursor = range.start;
        while let Some(rank) = state.dirty.take(cursor, range.end) {
            cursor = rank;
            let node = order.nodes[rank as usize];
            let v = node as usize;
            let old = state.losses[v];
            if !rows.is_linear() && all_lost(&old, &bounds) {
                continue;
            }
            let (mut kept, mut up, mut down) = (old, old, old);
            for lane in 0..L {
                kept[lane] *= keep[lane];
            }
            let new = map.of.node_loss(simd, node, &state.shock[v], state.losses);
            let new = most(simd, &least(simd, &new, &bounds), &kept);
            for lane in 0..L {
                up[lane] = new[lane] - old[lane];
                down[lane] = old[lane] - new[lane];
            }
            change = most(simd, &change, &most(simd, &up, &down));
            if differ(&new, &old) {
                state.moved(rows, node, new);
            }
        }
        change
    }
}

/// Raises losses of a cycle to their limit, its nodes being positions in [`Rows::order`].
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn solve_cycle<const L: usize, S: LaneScale<L>>(
    map: &Map<'_, impl NodeLoss<L>>,
    state: &mut LaneState<'_, L>,
    scale: &S,
    mut active: [bool; L],
    range: Range<u32>,
    tolerance: f64,
    progress: &Progress,
) -> Result<Solved<L>, Cancelled> {
    let mut solved = Solved { residual: [0.0; L], moved: [0.0; L] };
    if let Some(cycle) = map.linear.iter().find(|cycle| *cycle.range() == range) {
        let plain = scale.plain();
        let lanes = std::array::from_fn(|lane| active[lane] && plain[lane]);
        solved = cycle.solve(map.rows, state, lanes, tolerance, progress)?;
        for lane in 0..L {
            active[lane] &= !lanes[lane] || solved.residual[lane] > tolerance;
        }
    }
    if active != [false; L] {
        let iterated = iterate(map, state, scale, active, range.clone(), tolerance, progress)?;
        raise(&mut solved.moved, iterated.moved);
        for lane in (0..L).filter(|&lane| active[lane]) {
            solved.residual[lane] = iterated.residual[lane];
        }
    }
    // Changes within the tolerance were not followed.
    while state.dirty.take(range.start, range.end).is_some() {}
    Ok(solved)
}

/// Iterates over a cycle until nothing moves by more than the tolerance.
fn iterate<const L: usize, S: LaneScale<L>>(
    map: &Map<'_, impl NodeLoss<L>>,
    state: &mut LaneState<'_, L>,
    scale: &S,
    mut active: [bool; L],
    range: Range<u32>,
    tolerance: f64,
    progress: &Progress,
) -> Result<Solved<L>, Cancelled> {
    let rows = map.rows;
    let mut solved = Solved { residual: [0.0; L], moved: [0.0; L] };
    let members = &rows.order().nodes[range.start as usize..range.end as usize];
    // Losses before the first and before the second of two windows.
    let mut before: Vec<[f64; L]> = Vec::new();
    let mut between: Vec<[f64; L]> = Vec::new();
    let pivot = map.pivots.iter().find(|pivot| *pivot.range() == range);
    let schedule = match pivot {
        Some(_) => PIVOT_WINDOWS,
        None if rows.is_linear() => LINEAR_WINDOWS,
        None => WINDOWS,
    };
    let mut rounds = schedule.iter().cycle();
    let mut round = rounds.next().copied().unwrap_or((0, 1));
    let mut in_round = 0;
    let mut raised = [false; L];
    let mut search = if L == 1 { CERTAIN.0 } else { CERTAIN.1 };
    let mut last = [f64::INFINITY; L];
    if let Some(pivot) = pivot {
        pivot.follow(map, state, active);
    }
    let most_loss = highest(rows, state, scale, members);
    for number in 1..=MOST_PASSES {
        if number % 16 == 0 {
            progress.check()?;
        }
        let (settling, window) = round;
        if in_round == settling {
            copy(members, state.losses, &mut before);
        } else if in_round == settling + window {
            copy(members, state.losses, &mut between);
        }
        let change = pass(map, state, active, range.clone());
        in_round += 1;
        raise(&mut solved.moved, change);
        for lane in 0..L {
            if active[lane] {
                solved.residual[lane] = change[lane];
                active[lane] = change[lane] > tolerance;
            }
        }
        if !active.contains(&true) || number * members.len() > map.most_evaluations {
            break;
        }
        let searched = map.hard && !rows.is_linear() && members.len() >= LEAST_SEARCHED;
        if searched && number == search {
            search *= CERTAIN.2;
            let grown = raise_certain(rows, state, active, range.clone());
            raised = std::array::from_fn(|lane| raised[lane] || grown[lane]);
        }
        if in_round < settling + 2 * window {
            continue;
        }
        in_round = 0;
        round = rounds.next().copied().unwrap_or(round);
        let mut length = if rows.is_linear() {
            // Fast modes grow by an extrapolation: after one that did not help, they settle first.
            let helps: [bool; L] =
                std::array::from_fn(|lane| active[lane] && change[lane] < 0.5 * last[lane]);
            let lengths = rayleigh(state.losses, helps, members, &before, &between);
            for lane in 0..L {
                last[lane] = if lengths[lane] > 1.0 { change[lane] } else { f64::INFINITY };
            }
            lengths
        } else {
            safe_length(rows, state.losses, active, members, &before, &between)
        };
        // While the pivot moves, all others move with it: following it shows where to.
        if let Some(pivot) = pivot {
            pivot.hold(rows, state.losses, &before, &mut length);
        }
        // Steps of a round in which losses were raised are not those of the map.
        for lane in (0..L).filter(|&lane| std::mem::take(&mut raised[lane])) {
            length[lane] = 0.0;
        }
        let largest = if number < MANY_PASSES { LARGEST_EARLY_SYSTEM } else { LARGEST_SYSTEM };
        for lane in (0..L).filter(|&lane| active[lane] && number >= FIRST_DIRECT) {
            let moving: Vec<u32> = members
                .iter()
                .zip(&before)
                .filter(|&(&v, before)| state.losses[v as usize][lane] != before[lane])
                .map(|(&v, _)| v)
                .collect();
            if (1..=largest).contains(&moving.len())
                && newton_lane(rows, state, scale, lane, &moving, most_loss[lane])
            {
                length[lane] = 0.0;
            }
        }
        extrapolate(rows, state, members, &between, length, most_loss);
        if let Some(pivot) = pivot {
            pivot.follow(map, state, active);
        }
    }
    Ok(solved)
}

/// Raises members of a cycle to what they are certain to lose: the greatest loss of all, of those
/// that act on the cycle included, then the next shocks. True for lanes in which any grew.
fn raise_certain<const L: usize>(
    rows: &Rows,
    state: &mut LaneState<'_, L>,
    active: [bool; L],
    range: Range<u32>,
) -> [bool; L] {
    let order = rows.order();
    let members = &order.nodes[range.start as usize..range.end as usize];
    let mut grown = [false; L];
    for lane in (0..L).filter(|&lane| active[lane]) {
        let loss = |&v: &u32| state.losses[v as usize][lane];
        let most = members.iter().map(loss).fold(0.0, greater);
        // Suppliers outside included: what comes in may grow slowly to what they lost.
        let groups = members.iter().flat_map(|&v| rows.groups(v));
        let suppliers = groups.flat_map(|g| rows.arrivals(g)).map(|e| rows.source(e));
        let above = suppliers.map(|v| loss(&v)).fold(most, greater);
        let shocks = members.iter().map(|&v| state.shock[v as usize][lane]);
        let mut levels: Vec<f64> = shocks.filter(|&l| l > 0.0 && l < most).collect();
        levels.extend([above, most]);
        levels.sort_by(|a, b| b.total_cmp(a));
        levels.dedup();
        for &level in levels.iter().take(LEVELS).filter(|&&level| level > 0.0) {
            for node in certain(rows, range.clone(), level, |v| state.losses[v as usize][lane]) {
                let mut new = state.losses[node as usize];
                new[lane] = level;
                state.moved(rows, node, new);
                state.dirty.insert(order.rank[node as usize]);
                grown[lane] = true;
            }
        }
    }
    grown
}

/// Most that any member of a cycle can lose. In a linear map nobody loses more than the worst of
/// the shocks, the cuts and the nodes outside on which the cycle depends: shares add up to 1. Where
/// nothing leaves the cycle this picks the least of many fixed points.
fn highest<const L: usize, S: ArrivalScale<L>>(
    rows: &Rows,
    state: &LaneState<'_, L>,
    scale: &S,
    members: &[u32],
) -> [f64; L] {
    if !rows.is_linear() {
        return [1.0; L];
    }
    let rank = &rows.order().rank;
    let first = members.first().map_or(0, |&v| rank[v as usize]);
    let inside = first..first + members.len() as u32;
    let mut most = [0.0; L];
    for &v in members {
        raise(&mut most, state.shock[v as usize]);
        for e in rows.groups(v).flat_map(|group| rows.arrivals(group)) {
            let source = rows.source(e);
            let outside = !inside.contains(&rank[source as usize]);
            let mut loss = if outside { state.losses[source as usize] } else { [0.0; L] };
            scale.apply(&mut loss, e, source);
            raise(&mut most, loss);
        }
    }
    most
}

/// Copies the losses of some nodes.
pub fn copy<const L: usize>(members: &[u32], losses: &[[f64; L]], to: &mut Vec<[f64; L]>) {
    to.clear();
    to.extend(members.iter().map(|&v| losses[v as usize]));
}

/// How many times the last step the limit lies beyond the last state but one, at least, in each
/// lane (see the head of this file).
fn safe_length<const L: usize>(
    rows: &Rows,
    losses: &[[f64; L]],
    active: [bool; L],
    members: &[u32],
    before: &[[f64; L]],
    between: &[[f64; L]],
) -> [f64; L] {
    let mut rate = [f64::INFINITY; L];
    // Largest s for which no loss passes 1.
    let mut reach = [f64::INFINITY; L];
    for (k, &v) in members.iter().enumerate() {
        let now = losses[v as usize];
        for lane in 0..L {
            let first = between[k][lane] - before[k][lane];
            let second = now[lane] - between[k][lane];
            if first.max(second) > NOISE {
                // A loss that has just reached 1 makes a kink.
                let ratio = (second - UNSURE) / (first.max(NOISE) + UNSURE);
                let ratio = if now[lane] < 1.0 { ratio } else { 0.0 };
                rate[lane] = lesser(rate[lane], ratio);
                let most = ((1.0 - before[k][lane]) / first.max(f64::MIN_POSITIVE))
                    .min((1.0 - between[k][lane]) / second.max(f64::MIN_POSITIVE));
                reach[lane] = lesser(reach[lane], most);
            }
        }
    }
    if !rows.is_proportional() {
        kinks(rows, losses, members, before, between, &mut reach);
    }
    std::array::from_fn(|lane| {
        if !active[lane] || rate[lane] <= 0.0 || rate[lane].is_infinite() {
            return 0.0;
        }
        let s = if rate[lane] < 1.0 { 1.0 / (1.0 - rate[lane]) } else { f64::INFINITY };
        s.min(reach[lane])
    })
}

/// The same where the map is linear: the rate at which steps shrink is that of the slowest mode.
fn rayleigh<const L: usize>(
    losses: &[[f64; L]],
    active: [bool; L],
    members: &[u32],
    before: &[[f64; L]],
    between: &[[f64; L]],
) -> [f64; L] {
    let (mut both, mut square) = ([0.0; L], [0.0; L]);
    for (k, &v) in members.iter().enumerate() {
        let now = losses[v as usize];
        for lane in 0..L {
            let first = between[k][lane] - before[k][lane];
            both[lane] += first * (now[lane] - between[k][lane]);
            square[lane] += first * first;
        }
    }
    std::array::from_fn(|lane| {
        let rate = both[lane] / square[lane];
        if active[lane] && rate > 0.0 && rate < 1.0 - 1e-9 { 1.0 / (1.0 - rate) } else { 0.0 }
    })
}

/// Moves lanes by `length` times their last step from the last state but one.
fn extrapolate<const L: usize>(
    rows: &Rows,
    state: &mut LaneState<'_, L>,
    members: &[u32],
    between: &[[f64; L]],
    length: [f64; L],
    most_loss: [f64; L],
) {
    if length.iter().all(|&s| s <= 1.0) {
        return;
    }
    let order = rows.order();
    for (k, &node) in members.iter().enumerate() {
        let v = node as usize;
        let now = state.losses[v];
        let mut new = now;
        for lane in 0..L {
            let step = now[lane] - between[k][lane];
            if length[lane] > 1.0 && step.abs() > NOISE {
                let far = between[k][lane] + length[lane] * step;
                new[lane] = far.clamp(0.0, most_loss[lane]).max(state.shock[v][lane]);
            }
        }
        if new != now {
            state.losses[v] = new;
            state.dirty.insert(order.rank[v]);
            for &dependent in rows.dependents(node) {
                state.dirty.insert(order.rank[dependent as usize]);
            }
        }
    }
}

/// Shortens `reach` to where the first arrival from `members` leaves its linear part.
fn kinks<const L: usize>(
    rows: &Rows,
    losses: &[[f64; L]],
    members: &[u32],
    before: &[[f64; L]],
    between: &[[f64; L]],
    reach: &mut [f64; L],
) {
    let mut place = vec![u32::MAX; losses.len()];
    for (k, &v) in members.iter().enumerate() {
        place[v as usize] = k as u32;
    }
    for &consumer in members {
        for e in rows.groups(consumer).flat_map(|g| rows.arrivals(g)) {
            let source = rows.source(e) as usize;
            let Some(k) = Some(place[source] as usize).filter(|&k| k < members.len()) else {
                continue;
            };
            for lane in 0..L {
                let start = before[k][lane];
                let second = losses[source][lane] - between[k][lane];
                let first = (between[k][lane] - start).max(second);
                if first > NOISE {
                    let (_, end) = rows.ration(e).slope(start);
                    reach[lane] = lesser(reach[lane], (end - start) / first - 1.0);
                }
            }
        }
    }
}

/// One step of policy iteration in one lane.
fn newton_lane<const L: usize, S: LaneScale<L>>(
    rows: &Rows,
    state: &mut LaneState<'_, L>,
    scale: &S,
    lane: usize,
    members: &[u32],
    most_loss: f64,
) -> bool {
    let mut losses: Vec<[f64; 1]> = state.losses.iter().map(|l| [l[lane]]).collect();
    let shock: Vec<f64> = state.shock.iter().map(|s| s[lane]).collect();
    if !newton_step(rows, &shock, &mut losses, &scale.lane(lane), members) {
        return false;
    }
    let order = rows.order();
    for &node in members {
        let v = node as usize;
        let loss = losses[v][0].min(most_loss);
        if loss != state.losses[v][lane] {
            state.losses[v][lane] = loss;
            state.dirty.insert(order.rank[v]);
            for &dependent in rows.dependents(node) {
                state.dirty.insert(order.rank[dependent as usize]);
            }
        }
    }
    true
}

/// One step along the active piece. False if the piece could not be solved (then iteration goes
/// on alone).
fn newton_step<S: ArrivalScale<1>>(
    rows: &Rows,
    shock: &[f64],
    losses: &mut [[f64; 1]],
    scale: &S,
    members: &[u32],
) -> bool {
    // Unknowns: members whose loss still depends on other members.
    let mut number: BTreeMap<u32, usize> = BTreeMap::new();
    let moving: Vec<(u32, Binding)> = members
        .iter()
        .filter_map(|&node| {
            let now = losses[node as usize][0];
            if now <= 0.0 || now >= 1.0 {
                return None;
            }
            match rows.binding(node, shock[node as usize], losses, scale, &[]) {
                binding @ (Binding::Input(_) | Binding::Sum) => Some((node, binding)),
                Binding::Nothing | Binding::Shock => None,
            }
        })
        .collect();
    if moving.len() > LARGEST_SYSTEM {
        return false;
    }
    for (k, (node, _)) in moving.iter().enumerate() {
        number.insert(*node, k);
    }
    let mut matrix: Vec<BTreeMap<usize, f64>> = Vec::with_capacity(moving.len());
    let mut right = Vec::with_capacity(moving.len());
    // How far each node may move before one of its arrivals leaves its linear part.
    let mut ends: Vec<f64> = vec![1.0; moving.len()];
    for (node, binding) in &moving {
        let groups = match *binding {
            Binding::Input(group) => group..group + 1,
            _ => rows.groups(*node),
        };
        let mut row: BTreeMap<usize, f64> = BTreeMap::new();
        // F(l) = constant + sum slope_i l_i on the active piece.
        let [value] = rows.node_loss(*node, &[0.0], losses, scale);
        let mut constant = value;
        for group in groups {
            // Where the sum of additive inputs binds, limiting inputs do not count.
            let factor = match (binding, rows.rule(group)) {
                (Binding::Input(_), InputRule::Limiting(dependence)) => dependence,
                (Binding::Sum, InputRule::Additive) => rows.share(group),
                _ => continue,
            };
            for e in rows.arrivals(group) {
                let source = rows.source(e);
                let now = losses[source as usize][0];
                let Some(&k) = number.get(&source) else { continue };
                let (slope, end) = rows.ration(e).slope(now);
                if slope == 0.0 {
                    continue;
                }
                let mut unit = [1.0];
                scale.slope(&mut unit, rows.ration(e).loss(now), e, source);
                let coefficient = factor * rows.weight(e) * slope * unit[0];
                if coefficient != 0.0 {
                    ends[k] = ends[k].min(end);
                    *row.entry(k).or_default() += coefficient;
                    constant -= coefficient * now;
                }
            }
        }
        matrix.push(row);
        right.push(constant);
    }
    let Some(solution) = capped_solution(&matrix, &right) else { return false };
    // The longest step that keeps every piece.
    let mut length = 1.0f64;
    for (k, (node, _)) in moving.iter().enumerate() {
        let now = losses[*node as usize][0];
        let step = solution[k] - now;
        if !step.is_finite() || step < -1e-9 && !rows.is_linear() {
            return false;
        }
        if step > 0.0 && now + step > ends[k] {
            length = length.min(((ends[k] - now) / step).max(0.0));
        }
    }
    for (k, (node, _)) in moving.iter().enumerate() {
        let v = *node as usize;
        let step = (solution[k] - losses[v][0]) * length;
        if step > 0.0 || rows.is_linear() {
            losses[v][0] = (losses[v][0] + step).min(1.0);
        }
    }
    true
}

/// The fixed point of `min(1, M z + r)` from above; `None` if the part below 1 cannot be solved.
fn capped_solution(matrix: &[BTreeMap<usize, f64>], right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let mut solution = vec![1.0; n];
    let mut free = vec![false; n];
    loop {
        let mut grown = false;
        for i in 0..n {
            if !free[i] {
                let value = matrix[i].iter().fold(right[i], |sum, (&j, &m)| sum + m * solution[j]);
                // A loop that passes on exactly what it gets does not grow by itself: rounding must
                // not make it.
                if value <= 1.0 + ROUNDING {
                    free[i] = true;
                    grown = true;
                }
            }
        }
        if !grown {
            return Some(solution);
        }
        let members: Vec<usize> = (0..n).filter(|&i| free[i]).collect();
        let mut place = vec![usize::MAX; n];
        for (k, &i) in members.iter().enumerate() {
            place[i] = k;
        }
        let mut inner = Vec::with_capacity(members.len());
        let mut constant = Vec::with_capacity(members.len());
        for &i in &members {
            let mut row = BTreeMap::new();
            let mut c = right[i];
            for (&j, &m) in &matrix[i] {
                if free[j] {
                    row.insert(place[j], m);
                } else {
                    c += m;
                }
            }
            inner.push(row);
            constant.push(c);
        }
        let values = eliminate(&inner, &constant)?;
        for (&i, value) in members.iter().zip(values) {
            solution[i] = value.min(1.0);
        }
    }
}

/// Solves `y = M y + r` by elimination without pivoting; `None` if a pivot is not positive:
/// `I - M` is then no nonsingular M-matrix.
fn eliminate(rows: &[BTreeMap<usize, f64>], right: &[f64]) -> Option<Vec<f64>> {
    let n = rows.len();
    let width = n + 1;
    let mut a = vec![0.0; n * width];
    for (i, row) in rows.iter().enumerate() {
        a[i * width + i] = 1.0;
        for (&j, &m) in row {
            a[i * width + j] -= m;
        }
        a[i * width + n] = right[i];
    }
    for k in 0..n {
        let (above, below) = a.split_at_mut((k + 1) * width);
        let pivot_row = &above[k * width..];
        let pivot = pivot_row[k];
        if pivot <= 1e-12 {
            return None;
        }
        for row in below.chunks_exact_mut(width) {
            let factor = row[k] / pivot;
            if factor != 0.0 {
                for (value, p) in row[k..].iter_mut().zip(&pivot_row[k..]) {
                    *value -= factor * p;
                }
            }
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev() {
        let row = &a[i * width..(i + 1) * width];
        let known: f64 = row[i + 1..n].iter().zip(&solution[i + 1..]).map(|(m, y)| m * y).sum();
        solution[i] = (row[n] - known) / row[i];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use rustc_hash::FxHashMap;

    use super::*;
    use crate::analysis::impact::plan::unscaled;
    use crate::analysis::impact::rows::Unscaled;
    use crate::graph::{Snapshot, SnapshotInfo};
    use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

    /// A ring in which every node gets a little from a mine, and nearly all from the node before.
    fn ring(length: usize) -> Snapshot {
        let mut builder = NetworkBuilder::new();
        let name = |i: usize| format!("n{:03}", i % length);
        let node = |id| NodeRecord { product: Some("ore".into()), ..NodeRecord::new(id) };
        builder.add_node(&node("mine".into()), 0).unwrap();
        for i in 0..length {
            builder.add_node(&node(name(i)), i).unwrap();
            builder.add_flow(&FlowRecord::new(name(i), name(i + 1), 999.0), i);
            builder.add_flow(&FlowRecord::new("mine", name(i), 1.0), i);
        }
        Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
    }

    #[test]
    fn a_cycle_that_takes_too_long_is_left_below_its_limit_and_says_so() {
        let snapshot = ring(300);
        let rows = Rows::downstream(&snapshot, false, Vec::new(), &FxHashMap::default());
        let mine = snapshot.index("mine").unwrap();
        let solved = |most_evaluations: usize| {
            let n = rows.node_count();
            let mut shock = vec![[0.0]; n];
            shock[mine as usize] = [0.5];
            let (mut losses, mut touched) = (shock.clone(), vec![mine]);
            let mut dirty = NodeSet::new(n);
            for &dependent in rows.dependents(mine) {
                dirty.insert(rows.order().rank[dependent as usize]);
            }
            let state = LaneState {
                shock: &shock,
                losses: &mut losses,
                stamps: &mut Stamps::default(),
                touched: &mut touched,
                dirty: &mut dirty,
            };
            let of = &unscaled(&rows);
            // Nothing but passes: what is softened is not searched for losses that are certain.
            let map =
                Map { rows: &rows, of, pivots: &[], linear: &[], hard: false, most_evaluations };
            let progress = Progress::silent();
            let solved = solve(&map, state, &Unscaled, &[true], 1e-13, &progress).unwrap();
            assert_eq!(dirty.next(0), None, "nothing is left to look at");
            (solved.residual[0], losses)
        };
        let (residual, limit) = solved(MOST_EVALUATIONS);
        assert!(residual <= 1e-12, "{residual}");
        assert!(limit.iter().all(|loss| (loss[0] - 0.5).abs() < 1e-9));
        let (residual, early) = solved(5 * 300);
        assert!(residual > 1e-6, "{residual}");
        assert!(early.iter().zip(&limit).all(|(e, l)| e[0] <= l[0]));
        assert!(early.iter().any(|loss| loss[0] < 0.4));
    }

    #[test]
    fn elimination_solves_a_small_system() {
        // y0 = 0.5 y1 + 0.1, y1 = 0.9 y0 + 0.05 y1
        let rows = vec![BTreeMap::from([(1, 0.5)]), BTreeMap::from([(0, 0.9), (1, 0.05)])];
        let y = eliminate(&rows, &[0.1, 0.0]).unwrap();
        assert!((y[0] - (0.5 * y[1] + 0.1)).abs() < 1e-14);
        assert!((y[1] - (0.9 * y[0] + 0.05 * y[1])).abs() < 1e-14);
    }

    #[test]
    fn a_loop_without_loss_has_no_finite_solution() {
        let rows = vec![BTreeMap::from([(1, 1.0)]), BTreeMap::from([(0, 1.0)])];
        assert_eq!(eliminate(&rows, &[0.1, 0.0]), None);
    }
}
