//! The exact limit, component by component.
//!
//! The map is condensed into strongly connected components (losses travel along the arcs). A
//! component without a cycle takes one evaluation; inside a cycle the map is iterated in place
//! (Gauss-Seidel), and where that is slow the limit of the active piece is solved for directly
//! (policy iteration, Howard 1960).
//!
//! With losses `l <= F(l)` below the least fixed point and the active affine piece `M z + r` of
//! every node at `l` (so `F(z) >= min(1, M z + r)` as long as no arrival leaves its linear part),
//! let `y` be the fixed point of `min(1, M z + r)`, found from above: nodes that stay below 1 form
//! a set A, `y_A = (I - M_AA)^-1 (M_AC 1 + r)`. If every pivot of that elimination is positive,
//! `I - M_AA` is a nonsingular M-matrix (Berman and Plemmons 1979, ch. 6) and the whole segment
//! from `l` to `y` lies below the least fixed point: were it crossed first in the coordinates S,
//! none of them could have `z < min(1, M z + r)` there, so S lies in A, and the excess
//! `D <= M_SS D` must vanish. A segment that would leave the linear part of an arrival is cut
//! short there. Without positive pivots iteration goes on alone.

use std::collections::BTreeMap;

use crate::analysis::{Cancelled, Progress};

use super::rows::{ArrivalScale, Binding, InputRule, Rows};

/// Passes over a cycle before the active piece is solved directly.
const PASSES: usize = 30;
/// Passes after which iteration gives up (the residual is reported).
const MOST_PASSES: usize = 2_000_000;
/// Most unknowns of an active piece that is solved directly: elimination takes n^3 / 3 steps.
const LARGEST_SYSTEM: usize = 600;

/// When each node's loss last grew, in evaluations.
#[derive(Debug, Clone, Default)]
pub struct Stamps {
    /// By node.
    pub of: Vec<u32>,
    /// The present moment.
    pub now: u32,
}

/// Raises `losses` to the least fixed point above `shock`; they must lie below it. Returns the
/// largest change of the last pass.
///
/// # Errors
/// [`Cancelled`] if `progress` says so.
pub fn solve<S: ArrivalScale<1>>(
    rows: &Rows,
    shock: &[f64],
    losses: &mut [[f64; 1]],
    stamps: &mut Stamps,
    scale: &S,
    tolerance: f64,
    progress: &Progress,
) -> Result<f64, Cancelled> {
    let order = rows.condensation();
    let mut worst = 0.0f64;
    // A node is evaluated if one of its inputs has a loss, or is cut.
    let mut dirty = vec![true; losses.len()];
    for component in 0..order.len() {
        let members = order.members(component);
        if let [node] = *members
            && !rows.dependents(node).contains(&node)
        {
            evaluate(rows, shock, losses, stamps, scale, node);
            continue;
        }
        progress.check()?;
        let residual = solve_cycle(
            rows, shock, losses, stamps, scale, members, &mut dirty, tolerance, progress,
        )?;
        worst = worst.max(residual);
    }
    Ok(worst)
}

fn evaluate<S: ArrivalScale<1>>(
    rows: &Rows,
    shock: &[f64],
    losses: &mut [[f64; 1]],
    stamps: &mut Stamps,
    scale: &S,
    node: u32,
) -> f64 {
    let v = node as usize;
    let [new] = rows.node_loss(node, &[shock[v]], losses, scale);
    let step = new - losses[v][0];
    if step > 0.0 {
        losses[v][0] = new;
        stamps.now += 1;
        stamps.of[v] = stamps.now;
    }
    step.max(0.0)
}

#[expect(clippy::too_many_arguments, reason = "the state of one solve, passed down once")]
fn solve_cycle<S: ArrivalScale<1>>(
    rows: &Rows,
    shock: &[f64],
    losses: &mut [[f64; 1]],
    stamps: &mut Stamps,
    scale: &S,
    members: &[u32],
    dirty: &mut [bool],
    tolerance: f64,
    progress: &Progress,
) -> Result<f64, Cancelled> {
    let mut change = f64::INFINITY;
    let mut direct = true;
    let mut since_direct = 0;
    for pass in 0..MOST_PASSES {
        if pass % 64 == 0 {
            progress.check()?;
        }
        change = 0.0f64;
        for &node in members {
            if !dirty[node as usize] {
                continue;
            }
            dirty[node as usize] = false;
            let step = evaluate(rows, shock, losses, stamps, scale, node);
            if step > 0.0 {
                change = change.max(step);
                for &dependent in rows.dependents(node) {
                    dirty[dependent as usize] = true;
                }
            }
        }
        if change <= tolerance {
            break;
        }
        since_direct += 1;
        if direct && since_direct >= PASSES {
            since_direct = 0;
            direct = newton_step(rows, shock, losses, scale, members, dirty);
        }
    }
    Ok(change)
}

/// One step along the active piece. False if the piece could not be solved (then iteration goes
/// on alone).
fn newton_step<S: ArrivalScale<1>>(
    rows: &Rows,
    shock: &[f64],
    losses: &mut [[f64; 1]],
    scale: &S,
    members: &[u32],
    dirty: &mut [bool],
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
            let factor = match rows.rule(group) {
                InputRule::Limiting(dependence) => dependence,
                InputRule::Additive => rows.share(group),
                InputRule::Threshold(_) | InputRule::None => continue,
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
        if !step.is_finite() || step < -1e-9 {
            return false;
        }
        if step > 0.0 && now + step > ends[k] {
            length = length.min(((ends[k] - now) / step).max(0.0));
        }
    }
    for (k, (node, _)) in moving.iter().enumerate() {
        let v = *node as usize;
        let step = (solution[k] - losses[v][0]) * length;
        if step > 0.0 {
            losses[v][0] = (losses[v][0] + step).min(1.0);
            dirty[v] = true;
            for &dependent in rows.dependents(*node) {
                dirty[dependent as usize] = true;
            }
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
                if value <= 1.0 {
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
    use super::*;

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
