//! Cycles in which single failures end alike: one node's loss, found fast, bounds all others.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::analysis::Progress;
use crate::graph::Condensation;

use super::lanes::{differ, greater, lesser, most, raise};
use super::limit::{LaneState, MOST_EVALUATIONS, Map, NOISE, Stamps, copy, pass, solve_cycle};
use super::node_set::NodeSet;
use super::plan::{NodeLoss, unscaled};
use super::rows::{InputRule, Rows, Unscaled};

/// Passes from one point of the secant of [`Pivot::follow`] to its value: the pivot must feel what
/// it does.
const FOLLOWED: usize = 2;
/// Least steps that a slope is taken from.
const STEEP: f64 = 1e-11;

/// The limit of one node's full loss within its cycle.
///
/// Where the map is limited by nothing but 1 (`F(c l) >= c F(l)` for `c <= 1`: no rationing, no
/// headroom, no thresholds), a state in which the pivot loses `c` has a limit of at least `c`
/// times this one: by induction over the sweeps from `c` at the pivot alone; cuts and other shocks
/// only add to it. Single failures of a tightly knit network end in much the same state, which need
/// not be found slowly each time.
#[derive(Debug)]
pub struct Pivot {
    node: u32,
    /// The cycle: positions in [`Rows::order`].
    range: Range<u32>,
    /// Loss of each member of the cycle.
    losses: Vec<f64>,
    /// Members that end alike, the pivot among them: each is bound by an input that the one before
    /// supplies alone, in a ring.
    core: Vec<u32>,
}

impl Pivot {
    /// The pivot of a cycle: of its largest core the node that acts on most others (the first of
    /// these in the order of the rows). Depends on the rows alone.
    pub fn of(rows: &Rows, range: &Range<u32>) -> Option<Self> {
        let order = rows.order();
        let members = &order.nodes[range.start as usize..range.end as usize];
        let acts_on = |&&v: &&u32| rows.dependents(v).len();
        let mut core = largest_core(rows, range);
        let eligible = if core.is_empty() { members } else { &core };
        let &node = eligible.iter().rev().max_by_key(acts_on)?;
        if core.is_empty() {
            core.push(node);
        }
        let mut shock = vec![[0.0]; rows.node_count()];
        shock[node as usize] = [1.0];
        let mut losses = shock.clone();
        let mut dirty = NodeSet::new(rows.node_count());
        for &dependent in rows.dependents(node) {
            dirty.insert(order.rank[dependent as usize]);
        }
        let mut state = LaneState {
            shock: &shock,
            losses: &mut losses,
            stamps: &mut Stamps::default(),
            touched: &mut vec![node],
            dirty: &mut dirty,
        };
        let (of, most_evaluations) = (&unscaled(rows), MOST_EVALUATIONS);
        let map = Map { rows, of, pivots: &[], linear: &[], hard: true, most_evaluations };
        let (tolerance, progress) = (1e-13, Progress::silent());
        let cycle = range.clone();
        solve_cycle(&map, &mut state, &Unscaled, [true], cycle, tolerance, &progress).ok()?;
        let losses = members.iter().map(|&v| losses[v as usize][0]).collect();
        Some(Self { node, range: range.clone(), losses, core })
    }

    /// The cycle: positions in [`Rows::order`].
    pub fn range(&self) -> &Range<u32> {
        &self.range
    }

    /// Sets `length` to 0 in lanes in which the pivot has moved since its cycle lost `before`.
    pub fn hold<const L: usize>(
        &self,
        rows: &Rows,
        losses: &[[f64; L]],
        before: &[[f64; L]],
        length: &mut [f64; L],
    ) {
        let now = losses[self.node as usize];
        let then = before[(rows.order().rank[self.node as usize] - self.range.start) as usize];
        for lane in (0..L).filter(|&lane| now[lane] - then[lane] > STEEP) {
            length[lane] = 0.0;
        }
    }

    /// Follows the pivot's own loss to its limit. Let `g(c)` be what it loses some passes after the
    /// state in which it loses `c` and the others what that entails. Passes are convex here (maxima
    /// and sums of what suppliers lose, with shares that add up to 1 at most), so `g` is, and lies
    /// above its secant beyond two points: what it loses in the limit, where `g(c) <= c`, is at
    /// least where the secant meets the diagonal.
    pub fn follow<const L: usize>(
        &self,
        map: &Map<'_, impl NodeLoss<L>>,
        state: &mut LaneState<'_, L>,
        active: [bool; L],
    ) {
        let rows = map.rows;
        let members = self.members(rows);
        // Both points of the secant start from the same state but for the pivot.
        let start = self.level(state);
        self.raise(rows, state, active, start);
        let mut base = Vec::new();
        copy(members, state.losses, &mut base);
        let waiting = state.dirty.clone();
        let run = |state: &mut LaneState<'_, L>, active: [bool; L]| {
            for _ in 0..FOLLOWED {
                pass(map, state, active, self.range.clone());
            }
            self.level(state)
        };
        let once = run(state, active);
        // Lanes in which it has come to rest keep what the first run gave, as they would alone.
        let again: [bool; L] =
            std::array::from_fn(|lane| active[lane] && once[lane] - start[lane] > STEEP);
        if again == [false; L] {
            return;
        }
        let left = state.dirty.clone();
        state.dirty.add(&waiting);
        for lane in (0..L).filter(|&lane| again[lane]) {
            // The second run starts from more, so it ends with more: the first is only measured.
            for (&v, base) in members.iter().zip(&base) {
                state.losses[v as usize][lane] = base[lane];
            }
        }
        self.raise(rows, state, again, once);
        let twice = run(state, again);
        state.dirty.add(&left);
        let limit = std::array::from_fn(|lane| {
            let (step, next) = (once[lane] - start[lane], twice[lane] - once[lane]);
            if !again[lane] || next <= STEEP {
                return twice[lane];
            }
            let slope = (next - NOISE) / (step + NOISE);
            let most = if slope < 1.0 { once[lane] + next / (1.0 - slope) } else { 1.0 };
            greater(twice[lane], lesser(most, 1.0))
        });
        self.raise(rows, state, again, limit);
    }

    fn members<'r>(&self, rows: &'r Rows) -> &'r [u32] {
        &rows.order().nodes[self.range.start as usize..self.range.end as usize]
    }

    /// What the pivot is certain to lose: what any member of its core does.
    fn level<const L: usize>(&self, state: &LaneState<'_, L>) -> [f64; L] {
        let mut level = [0.0; L];
        self.core.iter().for_each(|&v| raise(&mut level, state.losses[v as usize]));
        level
    }

    /// Raises losses of the `active` lanes to what the pivot entails if it loses `level`.
    fn raise<const L: usize>(
        &self,
        rows: &Rows,
        state: &mut LaneState<'_, L>,
        active: [bool; L],
        mut level: [f64; L],
    ) {
        (0..L).filter(|&lane| !active[lane]).for_each(|lane| level[lane] = 0.0);
        if level != [0.0; L] {
            Arch::new().dispatch(Raise { pivot: self, rows, state, level });
        }
    }
}

/// Raises losses to what the pivot entails if it loses `level`.
struct Raise<'r, 's, const L: usize> {
    pivot: &'r Pivot,
    rows: &'r Rows,
    state: &'r mut LaneState<'s, L>,
    level: [f64; L],
}

impl<const L: usize> WithSimd for Raise<'_, '_, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) {
        let Self { pivot, rows, state, level } = self;
        let order = rows.order();
        for (&node, &loss) in pivot.members(rows).iter().zip(&pivot.losses) {
            let v = node as usize;
            let old = state.losses[v];
            let mut entailed = level;
            for lane in 0..L {
                entailed[lane] *= loss;
            }
            let new = most(simd, &old, &entailed);
            if differ(&new, &old) {
                state.moved(rows, node, new);
                state.dirty.insert(order.rank[v]);
            }
        }
    }
}

/// The most members of a cycle that are bound in a ring, each by an input that the one before
/// supplies alone: they end alike. Empty if there are no such two.
fn largest_core(rows: &Rows, range: &Range<u32>) -> Vec<u32> {
    let order = rows.order();
    let members = &order.nodes[range.start as usize..range.end as usize];
    let binds = |supplier: u32, consumer: u32| {
        rows.groups(consumer).any(|group| {
            let arrivals = rows.arrivals(group);
            let full = matches!(rows.rule(group), InputRule::Limiting(d) if d >= 1.0);
            full && arrivals.len() == 1
                && rows.source(arrivals.start) == supplier
                && rows.weight(arrivals.start) >= 1.0
        })
    };
    let bound: Vec<Vec<u32>> = members
        .iter()
        .map(|&v| {
            let inside = |c: &&u32| range.contains(&order.rank[**c as usize]) && binds(v, **c);
            let bound = rows.dependents(v).iter().filter(inside);
            bound.map(|&c| order.rank[c as usize] - range.start).collect()
        })
        .collect();
    let components = Condensation::new(members.len(), |place| &bound[place as usize]);
    let largest = (0..components.len()).rev().max_by_key(|&c| components.members(c).len());
    let places = largest.map(|c| components.members(c)).filter(|places| places.len() > 1);
    let mut core: Vec<u32> = places.into_iter().flatten().map(|&k| members[k as usize]).collect();
    core.sort_unstable();
    core
}
