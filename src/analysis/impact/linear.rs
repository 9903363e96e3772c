//! Cycles of a linear map, solved side by side in several scenarios.
//!
//! In a linear map each node loses a weighted sum `A l` of what others lose. Passes over a cycle
//! (Gauss-Seidel) soon leave an error along one vector alone; where a network passes on nearly all
//! that it gets, this mode shrinks by a few percent a pass. A coarse correction takes it out: with
//! the right and left Perron vectors `r` and `w` of the cycle and the residual `q = F(l) - l`, move
//! `l` by `a r` where `w` does not see a residual any more, `w (q - a (r - A r)) = 0` (deflation:
//! Nicolaides 1987, SIAM J. Numer. Anal. 24:355). What is left shrinks at the rate of the next
//! mode. Nodes that a shock holds take no part, neither in `r` nor in `w`.

use std::ops::Range;

use aligned_vec::AVec;
use pulp::{Arch, Simd, WithSimd};

use crate::analysis::{Cancelled, Progress};

use super::lanes::{bounds, differ, greater, least, lesser, most, raise};
use super::limit::{LaneState, Solved};
use super::rows::Rows;

/// Most steps of the power iteration, and the change of the vectors that ends it.
const POWER: (usize, f64) = (300, 1e-9);
/// Corrections up to this are rounding.
const NOISE: f64 = 1e-15;
/// Passes from one correction to the next: what is left of faster modes would be taken for it.
const SETTLING: usize = 5;
/// Passes after which other ways are left to try.
const MOST_PASSES: usize = 400;

/// What a member adds to the loss of another.
#[derive(Debug, Clone, Copy)]
struct Entry {
    weight: f64,
    place: u32,
}

/// A cycle of linear rows with its slowest mode. Members are evaluated in the order of how many
/// others act on them, so that the processor foresees where a sum ends.
#[derive(Debug)]
pub struct LinearCycle {
    /// Positions in [`Rows::order`].
    range: Range<u32>,
    /// The members by their place.
    members: Vec<u32>,
    /// Where the entries of each member end; they start where those of the member before end.
    ends: Vec<u32>,
    entries: Vec<Entry>,
    /// What nodes outside add: place of the member, the node, weight.
    outside: Vec<(u32, u32, f64)>,
    mode: Mode,
}

/// The slowest mode of a cycle, by place.
#[derive(Debug)]
struct Mode {
    /// `r`, its greatest entry 1.
    right: Vec<f64>,
    /// `w`, its greatest entry 1.
    left: Vec<f64>,
    /// `r - A r`.
    leak: Vec<f64>,
    /// `w (r - A r)`.
    gap: f64,
    /// `w A`.
    through: Vec<f64>,
    /// `w A` of the members at or before each place alone: what of a member's step in the last pass
    /// they have not seen yet.
    unseen: Vec<f64>,
}

impl Mode {
    /// The mode of the rows whose entries end at `ends`.
    fn of(ends: &[u32], entries: &[Entry]) -> Self {
        let n = ends.len();
        let (mut right, mut left) = (vec![1.0; n], vec![1.0; n]);
        for _ in 0..POWER.0 {
            // Half of each vector stays: where losses go round in waves, other modes are as long.
            let (mut next_right, mut next_left) = (right.clone(), left.clone());
            for i in 0..n {
                for &Entry { weight, place } in row(ends, entries, i) {
                    next_right[i] += weight * right[place as usize];
                    next_left[place as usize] += weight * left[i];
                }
            }
            let moved = normalised(&mut right, next_right);
            if moved.max(normalised(&mut left, next_left)) < POWER.1 {
                break;
            }
        }
        let (mut leak, mut through, mut unseen) = (right.clone(), vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            for &Entry { weight, place } in row(ends, entries, i) {
                let j = place as usize;
                leak[i] -= weight * right[j];
                through[j] += left[i] * weight;
                if i <= j {
                    unseen[j] += left[i] * weight;
                }
            }
        }
        let gap = left.iter().zip(&leak).map(|(w, leak)| w * leak).sum();
        Self { right, left, leak, gap, through, unseen }
    }
}

/// The entries of a row; those of each row end at `ends`.
fn row<'e>(ends: &[u32], entries: &'e [Entry], place: usize) -> &'e [Entry] {
    let start = place.checked_sub(1).map_or(0, |before| ends[before]);
    &entries[start as usize..ends[place] as usize]
}

/// Losses and shocks of the members of a cycle.
struct Lanes<const L: usize> {
    losses: AVec<[f64; L]>,
    /// What comes from outside; empty: nothing.
    inflow: Vec<[f64; L]>,
    /// Shocks by place, ascending.
    shocks: Vec<(usize, [f64; L])>,
    /// Nobody loses more than the worst of these: shares add up to 1.
    most_loss: [f64; L],
    active: [bool; L],
}

impl LinearCycle {
    /// A cycle of linear rows.
    pub fn of(rows: &Rows, range: &Range<u32>) -> Self {
        let order = rows.order();
        let n = range.len();
        let rank = |node: u32| order.rank[node as usize];
        let inside = |e: usize| range.contains(&rank(rows.source(e)));
        let arrivals = |node: u32| {
            rows.groups(node).flat_map(|group| rows.arrivals(group).map(move |e| (group, e)))
        };
        let mut members = order.nodes[range.start as usize..range.end as usize].to_vec();
        members.sort_by_cached_key(|&v| (arrivals(v).filter(|&(_, e)| inside(e)).count(), rank(v)));
        let mut place_of = vec![0; n];
        for (place, &node) in (0..).zip(&members) {
            place_of[(rank(node) - range.start) as usize] = place;
        }
        let (mut ends, mut entries, mut outside) = (Vec::with_capacity(n), Vec::new(), Vec::new());
        for (place, &node) in (0..).zip(&members) {
            for (group, e) in arrivals(node) {
                let (source, weight) = (rows.source(e), rows.share(group) * rows.weight(e));
                if inside(e) {
                    let place = place_of[(rank(source) - range.start) as usize];
                    entries.push(Entry { weight, place });
                } else {
                    outside.push((place, source, weight));
                }
            }
            ends.push(entries.len() as u32);
        }
        let mode = Mode::of(&ends, &entries);
        Self { range: range.clone(), members, ends, entries, outside, mode }
    }

    /// The cycle: positions in [`Rows::order`].
    pub fn range(&self) -> &Range<u32> {
        &self.range
    }

    /// Moves the losses of the `active` lanes to their fixed point. Nothing may come between losses
    /// and what arrives in these lanes. Lanes that were not solved have a residual above the
    /// tolerance.
    ///
    /// # Errors
    /// [`Cancelled`] if `progress` says so.
    pub fn solve<const L: usize>(
        &self,
        rows: &Rows,
        state: &mut LaneState<'_, L>,
        active: [bool; L],
        tolerance: f64,
        progress: &Progress,
    ) -> Result<Solved<L>, Cancelled> {
        let mut lanes = self.gather(state, active);
        let mut solved = Solved { residual: [0.0; L], moved: [0.0; L] };
        let mut before = Vec::with_capacity(self.members.len());
        for number in 1..=MOST_PASSES {
            if number % 16 == 0 {
                progress.check()?;
            }
            if number % SETTLING == 0 {
                before.clear();
                before.extend_from_slice(&lanes.losses);
            }
            let change = Arch::new().dispatch(Pass { cycle: self, lanes: &mut lanes });
            raise(&mut solved.moved, change);
            for lane in 0..L {
                if lanes.active[lane] {
                    solved.residual[lane] = change[lane];
                    lanes.active[lane] = change[lane] > tolerance;
                }
            }
            if lanes.active == [false; L] {
                break;
            }
            if number % SETTLING == 0 {
                let correction = Correction { cycle: self, lanes: &mut lanes, before: &before };
                Arch::new().dispatch(correction);
            }
        }
        for (&node, &new) in self.members.iter().zip(lanes.losses.iter()) {
            if differ(&state.losses[node as usize], &new) {
                state.moved(rows, node, new);
            }
        }
        Ok(solved)
    }

    fn gather<const L: usize>(&self, state: &LaneState<'_, L>, active: [bool; L]) -> Lanes<L> {
        let members = &self.members;
        // None astride two cache lines.
        let losses = AVec::from_iter(0, members.iter().map(|&v| state.losses[v as usize]));
        let shock = |(place, &v): (usize, &u32)| (place, state.shock[v as usize]);
        let shocks: Vec<(usize, [f64; L])> =
            members.iter().enumerate().map(shock).filter(|s| differ(&s.1, &[0.0; L])).collect();
        let mut most_loss = [0.0; L];
        shocks.iter().for_each(|&(_, shock)| raise(&mut most_loss, shock));
        let mut inflow = Vec::new();
        for &(place, node, weight) in &self.outside {
            let loss = state.losses[node as usize];
            if differ(&loss, &[0.0; L]) {
                raise(&mut most_loss, loss);
                inflow.resize(members.len(), [0.0; L]);
                for lane in 0..L {
                    inflow[place as usize][lane] += weight * loss[lane];
                }
            }
        }
        Lanes { losses, inflow, shocks, most_loss, active }
    }
}

/// Evaluates all members in their order, in place; gives the largest change of each lane.
struct Pass<'p, const L: usize> {
    cycle: &'p LinearCycle,
    lanes: &'p mut Lanes<L>,
}

impl<const L: usize> WithSimd for Pass<'_, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) -> [f64; L] {
        let (entries, shocks) = (&self.cycle.entries[..], &self.lanes.shocks[..]);
        let (losses, inflow) = (&mut self.lanes.losses[..], &self.lanes.inflow[..]);
        // A lane that has ended stays as it is; shares add up to 1 but for rounding.
        let highest = bounds(self.lanes.active).map(|bound| lesser(bound, 1.0));
        let keep = self.lanes.active.map(|a| if a { 0.0 } else { 1.0 });
        let place_of = |next: usize| shocks.get(next).map_or(usize::MAX, |shock| shock.0);
        let (mut next, mut shocked) = (0, place_of(0));
        let mut change = [0.0; L];
        let mut start = 0;
        for (place, &end) in self.cycle.ends.iter().enumerate() {
            let mut sum = if inflow.is_empty() { [0.0; L] } else { inflow[place] };
            for entry in &entries[start as usize..end as usize] {
                let loss = &losses[entry.place as usize];
                for lane in 0..L {
                    sum[lane] += entry.weight * loss[lane];
                }
            }
            start = end;
            if place == shocked {
                sum = most(simd, &sum, &shocks[next].1);
                next += 1;
                shocked = place_of(next);
            }
            let old = losses[place];
            let (mut kept, mut step) = (old, old);
            for lane in 0..L {
                kept[lane] *= keep[lane];
            }
            let new = most(simd, &least(simd, &sum, &highest), &kept);
            for lane in 0..L {
                step[lane] = (new[lane] - old[lane]).abs();
            }
            change = most(simd, &change, &step);
            losses[place] = new;
        }
        change
    }
}

/// Adds to losses what is missing of the slowest mode after a pass that started from `before`.
struct Correction<'c, const L: usize> {
    cycle: &'c LinearCycle,
    lanes: &'c mut Lanes<L>,
    before: &'c [[f64; L]],
}

impl<const L: usize> WithSimd for Correction<'_, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { cycle, lanes, before } = self;
        let (mode, most_loss) = (&cycle.mode, lanes.most_loss);
        let (mut missing, mut gap) = ([0.0; L], [mode.gap; L]);
        for ((now, before), unseen) in lanes.losses.iter().zip(before).zip(&mode.unseen) {
            for lane in 0..L {
                missing[lane] += unseen * (now[lane] - before[lane]);
            }
        }
        // Of the members with a shock, by lane, 1 where it holds them, else 0.
        let held: Vec<(usize, [f64; L])> = lanes
            .shocks
            .iter()
            .map(|&(place, shock)| {
                let loss = lanes.losses[place];
                let holds = |lane| f64::from(shock[lane] > 0.0 && loss[lane] <= shock[lane]);
                (place, std::array::from_fn(holds))
            })
            .collect();
        for &(i, holds) in &held {
            let own = mode.right[i] * mode.through[i] - mode.left[i] * mode.leak[i];
            for lane in 0..L {
                gap[lane] += holds[lane] * own;
            }
            for &Entry { weight, place } in row(&cycle.ends, &cycle.entries, i) {
                let j = place as usize;
                let both = held.binary_search_by_key(&j, |h| h.0).ok().map(|k| held[k].1);
                let both = both.unwrap_or([0.0; L]);
                for lane in 0..L {
                    let seen = holds[lane] * mode.left[i] * weight;
                    gap[lane] -= seen * both[lane] * mode.right[j];
                    if i <= j {
                        missing[lane] -= seen * (lanes.losses[j][lane] - before[j][lane]);
                    }
                }
            }
        }
        let length: [f64; L] = std::array::from_fn(|lane| {
            let length = missing[lane] / gap[lane];
            let is_sound = lanes.active[lane] && gap[lane] > 0.0 && length.abs() > NOISE;
            if is_sound && length.is_finite() { length } else { 0.0 }
        });
        if length == [0.0; L] {
            return;
        }
        let of_held: Vec<[f64; L]> = held.iter().map(|&(place, _)| lanes.losses[place]).collect();
        for (loss, right) in lanes.losses.iter_mut().zip(&mode.right) {
            for lane in 0..L {
                let far = greater(lesser(loss[lane] + length[lane] * right, most_loss[lane]), 0.0);
                loss[lane] = if length[lane] == 0.0 { loss[lane] } else { far };
            }
        }
        for ((&(place, holds), old), &(_, shock)) in held.iter().zip(of_held).zip(&lanes.shocks) {
            for lane in 0..L {
                let free = greater(lanes.losses[place][lane], shock[lane]);
                lanes.losses[place][lane] = if holds[lane] > 0.0 { old[lane] } else { free };
            }
        }
    }
}

/// Takes over a vector scaled to a greatest entry of 1. Returns the largest change.
fn normalised(vector: &mut Vec<f64>, mut next: Vec<f64>) -> f64 {
    let most = next.iter().copied().fold(0.0, greater);
    next.iter_mut().for_each(|value| *value /= most);
    let change = vector.iter().zip(&next).map(|(old, new)| (old - new).abs()).fold(0.0, greater);
    *vector = next;
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::impact::limit::Stamps;
    use crate::analysis::impact::node_set::NodeSet;
    use crate::analysis::impact::rows::Unscaled;
    use crate::graph::{Snapshot, SnapshotInfo};
    use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

    /// `n` nodes in a ring with `more` flows across it; every seventh sells a little to a sink.
    fn network(n: usize, more: usize, seed: u64) -> Snapshot {
        let mut random = seed;
        let mut below = |most: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % most
        };
        let mut builder = NetworkBuilder::new();
        let name = |i: usize| format!("n{i:03}");
        builder.add_node(&NodeRecord::new("sink"), 0).unwrap();
        for i in 0..n {
            builder.add_node(&NodeRecord::new(name(i)), i).unwrap();
            let amount = 1.0 + below(100) as f64;
            builder.add_flow(&FlowRecord::new(name(i), name((i + 1) % n), amount), i);
        }
        for _ in 0..more {
            let (from, to) = (below(n), below(n));
            builder.add_flow(&FlowRecord::new(name(from), name(to), 1.0 + below(100) as f64), 0);
        }
        for i in (0..n).step_by(7) {
            builder.add_flow(&FlowRecord::new(name(i), "sink", 20.0), 0);
        }
        Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
    }

    #[test]
    fn a_cycle_ends_where_plain_sweeps_do_in_every_lane() {
        for seed in 0..12 {
            let snapshot = network(300, [0, 40, 1200][seed as usize % 3], seed);
            let rows = Rows::upstream(&snapshot);
            let n = rows.node_count();
            let sink = snapshot.index("sink").unwrap();
            let mut shock = vec![[0.0; 4]; n];
            let node = |k: usize| {
                snapshot.index(&format!("n{:03}", (k * 37 + seed as usize) % 300)).unwrap()
            };
            shock[node(0) as usize][0] = 1.0;
            for k in 0..5 {
                shock[node(k) as usize][1] = 0.2 * (k + 1) as f64;
            }
            // From outside alone; and a shock that does not hold.
            shock[sink as usize][2] = 0.5;
            shock[sink as usize][3] = 0.01;
            shock[node(1) as usize][3] = 0.3;
            shock[node(2) as usize][3] = 0.001;
            let mut plain = shock.clone();
            for _ in 0..200_000 {
                let mut change = 0.0f64;
                let next: Vec<[f64; 4]> = (0..n)
                    .map(|v| rows.node_loss(v as u32, &shock[v], &plain, &Unscaled))
                    .collect();
                for (new, old) in next.iter().zip(&plain) {
                    (0..4).for_each(|lane| change = change.max((new[lane] - old[lane]).abs()));
                }
                plain = next;
                if change < 1e-15 {
                    break;
                }
            }
            let [range] = &rows.order().cycles[..] else { panic!("one cycle was made") };
            let cycle = LinearCycle::of(&rows, range);
            let mut losses = shock.clone();
            let mut dirty = NodeSet::new(n);
            let mut state = LaneState {
                shock: &shock,
                losses: &mut losses,
                stamps: &mut Stamps::default(),
                touched: &mut Vec::new(),
                dirty: &mut dirty,
            };
            let progress = Progress::silent();
            let active = [true, true, true, seed % 2 == 0];
            let solved = cycle.solve(&rows, &mut state, active, 1e-14, &progress).unwrap();
            for lane in 0..4 {
                assert!(solved.residual[lane] <= 1e-14, "{seed}: {:?}", solved.residual);
                for v in 0..n {
                    let expected = if active[lane] { plain[v][lane] } else { shock[v][lane] };
                    let off = (losses[v][lane] - expected).abs();
                    assert!(off < 1e-10, "{seed}, lane {lane}: {} {expected}", losses[v][lane]);
                }
            }
        }
    }
}
