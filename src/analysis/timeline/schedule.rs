//! When shocks act: what each takes on a day, on its way in, while it lasts and on its way back.

use std::rc::Rc;

use crate::analysis::impact::Shocks;
use crate::analysis::impact::shock::{CompiledShock, Effect, Window};
use crate::graph::Snapshot;
use crate::model::scenario::{RecoveryShape, TimeStep};

/// Share of a shock that acts on a day, 0-1: all of it while it lasts, then what its recovery has
/// left.
///
/// The ways back are those of inventory models (Inoue and Todo 2019; Hallegatte 2014): all at once
/// after `days`, linear over `days`, exp(-t/days), and a logistic curve that falls from 95 % to 5 %
/// over `days`.
pub fn level(window: &Window, day: f64) -> f64 {
    if day < window.from_day {
        return 0.0;
    }
    let Some(days) = window.days else { return 1.0 };
    let since = day - window.from_day - days;
    if since < 0.0 {
        return 1.0;
    }
    let Some(recovery) = &window.recovery else { return 0.0 };
    let length = recovery.days;
    if length <= 0.0 {
        return 0.0;
    }
    let part = since / length;
    match recovery.shape {
        RecoveryShape::Step => f64::from(part < 1.0),
        RecoveryShape::Linear => (1.0 - part).max(0.0),
        RecoveryShape::Exponential => (-part).exp(),
        RecoveryShape::Logistic => 1.0 / (1.0 + (2.0 * 19f64.ln() * (part - 0.5)).exp()),
    }
}

/// What one shock takes on a day: the share of its loss that acts, or the share of its flows that is
/// shut. No licence is granted in the first `delay_days` of a restriction: nothing passes then.
fn strength(shock: &CompiledShock, day: f64) -> f64 {
    let acts = level(&shock.window, day);
    match &shock.effect {
        Effect::Loss { .. } => acts,
        Effect::Shut { share, delay_days, .. } => {
            let waiting = *delay_days > 0.0 && day < shock.window.from_day + delay_days;
            if waiting { acts } else { share * acts }
        }
    }
}

/// The shocks of a scenario, step by step.
#[derive(Debug)]
pub struct Schedule<'a> {
    shocks: &'a Shocks,
    step: TimeStep,
    strengths: Vec<f64>,
    next: Vec<f64>,
    /// Loss of output that the shocks take of each node.
    pub down: Vec<f64>,
    /// Loss of demand that the shocks take of each node.
    pub up: Vec<f64>,
    /// Share of each flow that is shut; empty: no flow ever is.
    pub shut: Rc<Vec<f64>>,
    /// Suppliers under an export restriction now.
    pub restricted: Vec<bool>,
    /// Nodes whose own shock, or the shock of a flow to them, changed with the last step.
    pub moved: Vec<u32>,
}

impl<'a> Schedule<'a> {
    /// Before the first step.
    pub fn new(snapshot: &Snapshot, shocks: &'a Shocks, step: TimeStep) -> Self {
        let n = snapshot.node_count();
        let flows = if shocks.has_cuts() { snapshot.flow_count() } else { 0 };
        Self {
            shocks,
            step,
            strengths: vec![0.0; shocks.all.len()],
            next: Vec::new(),
            down: vec![0.0; n],
            up: vec![0.0; n],
            shut: Rc::new(vec![0.0; flows]),
            restricted: vec![false; if flows > 0 { n } else { 0 }],
            moved: Vec::new(),
        }
    }

    /// Sets the shocks of a step: the mean over its days. Where shocks overlap the greater counts.
    pub fn advance(&mut self, snapshot: &Snapshot, step: usize) {
        self.moved.clear();
        let days = self.step.days() as usize;
        let first = step * days;
        self.next.clear();
        self.next.extend(self.shocks.all.iter().map(|shock| {
            let of = |day: usize| strength(shock, day as f64);
            let start = of(first);
            // A share that does not change is not rounded.
            if (first + 1..first + days).all(|day| of(day) == start) {
                return start;
            }
            (first..first + days).map(of).sum::<f64>() / days as f64
        }));
        if self.next == self.strengths {
            return;
        }
        let changed: Vec<usize> =
            (0..self.next.len()).filter(|&k| self.next[k] != self.strengths[k]).collect();
        std::mem::swap(&mut self.strengths, &mut self.next);
        let flows = &snapshot.network().flows;
        let mut cuts_moved = false;
        for &k in &changed {
            match &self.shocks.all[k].effect {
                Effect::Loss { nodes, .. } => self.moved.extend(nodes),
                Effect::Shut { flows: shut, .. } => {
                    cuts_moved = true;
                    self.moved.extend(shut.iter().map(|&e| flows.to[e as usize]));
                }
            }
        }
        self.moved.sort_unstable();
        self.moved.dedup();
        self.down.fill(0.0);
        self.up.fill(0.0);
        let mut shut = if cuts_moved { vec![0.0f64; self.shut.len()] } else { Vec::new() };
        self.restricted.fill(false);
        for (shock, &strength) in self.shocks.all.iter().zip(&self.strengths) {
            match &shock.effect {
                Effect::Loss { nodes, down, up } => {
                    for &v in nodes {
                        let v = v as usize;
                        self.down[v] = self.down[v].max(down * strength);
                        self.up[v] = self.up[v].max(up * strength);
                    }
                }
                Effect::Shut { flows, restricted, .. } => {
                    if cuts_moved {
                        for &e in flows {
                            shut[e as usize] = shut[e as usize].max(strength);
                        }
                    }
                    if strength > 0.0 {
                        for &v in restricted {
                            self.restricted[v as usize] = true;
                        }
                    }
                }
            }
        }
        if cuts_moved {
            self.shut = Rc::new(shut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scenario::Recovery;

    fn window(shape: RecoveryShape) -> Window {
        let recovery = Some(Recovery { shape, days: 10.0 });
        Window { from_day: 5.0, days: Some(20.0), recovery }
    }

    #[test]
    fn a_shock_starts_lasts_and_goes_back() {
        for shape in [
            RecoveryShape::Step,
            RecoveryShape::Linear,
            RecoveryShape::Exponential,
            RecoveryShape::Logistic,
        ] {
            let w = window(shape);
            assert_eq!(level(&w, 4.0), 0.0);
            assert_eq!(level(&w, 5.0), 1.0);
            assert_eq!(level(&w, 24.0), 1.0);
            let path: Vec<f64> = (25..80).map(|d| level(&w, f64::from(d))).collect();
            assert!(path.is_sorted_by(|a, b| a >= b), "{shape:?} {path:?}");
            assert!(path[54] < 0.01);
        }
        assert_eq!(level(&window(RecoveryShape::Linear), 30.0), 0.5);
        assert_eq!(level(&window(RecoveryShape::Step), 34.0), 1.0);
        assert!((level(&window(RecoveryShape::Logistic), 25.0) - 0.95).abs() < 1e-12);
        assert!((level(&window(RecoveryShape::Exponential), 35.0) - (-1f64).exp()).abs() < 1e-12);
        assert_eq!(level(&Window { from_day: 3.0, ..Window::default() }, 1e9), 1.0);
    }
}
