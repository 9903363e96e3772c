//! What is kept of a run: the path of every target, figures of every node, totals.

use crate::analysis::impact::TargetNodes;
use crate::analysis::impact::rows::Binding;
use crate::model::Symbol;

use super::schedule::Schedule;
use super::setting::Setting;
use super::stocks::Stocks;

/// Losses up to this are none.
pub const NONE: f64 = 1e-9;
/// Loss from which on a node does not count as whole (Simchi-Levi et al. 2015: time to survive).
pub const TOLERANCE: f64 = 0.01;
/// Losses whose time is told.
pub const MARKS: [f64; 3] = [0.05, 0.20, 0.50];

/// One step of a run.
pub struct View<'a> {
    /// The run.
    pub setting: &'a Setting<'a>,
    /// Step.
    pub step: usize,
    /// Loss of each node by missing inputs and its own shock; below 0 where it makes more than usual.
    pub down: &'a [[f64; 1]],
    /// Loss of each node by missing orders.
    pub up: &'a [[f64; 1]],
    /// The shocks of the step.
    pub shock: &'a Schedule<'a>,
    /// Stocks at the end of the step.
    pub stocks: &'a Stocks,
    /// Final demand that is served, by node (adaptive orders; else it follows output).
    pub consumed: Option<&'a [f64]>,
}

impl View<'_> {
    /// Loss of a node; below 0 where it makes more than usual.
    #[inline(always)]
    pub fn change(&self, node: u32) -> f64 {
        let (down, up) = (self.down[node as usize][0], self.up[node as usize][0]);
        if up > 0.0 { down.max(up) } else { down }
    }

    /// Loss of a node, 0-1.
    #[inline(always)]
    pub fn loss(&self, node: u32) -> f64 {
        self.change(node).max(0.0)
    }
}

/// Something that watches a run.
pub trait Record {
    /// One step is done.
    fn step(&mut self, view: &View<'_>);
}

impl Record for () {
    fn step(&mut self, _: &View<'_>) {}
}

/// What a path amounts to. Days count from day 0; losses are shares of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Mean loss over the horizon: the share of the period's output that is lost.
    pub mean: f64,
    /// Largest loss.
    pub peak: f64,
    /// First day of the largest loss.
    pub peak_day: f64,
    /// Loss in the last step.
    pub end: f64,
    /// Loss summed over days: days of full output that are lost.
    pub area_days: f64,
    /// First day of the first step with any loss.
    pub first_day: Option<f64>,
    /// Day on which the loss passes each of [`MARKS`], interpolated between steps.
    pub days_to: [Option<f64>; 3],
    /// Day on which the loss passes [`TOLERANCE`]: time to survive.
    pub survive_day: Option<f64>,
    /// Day from which on the loss stays within [`TOLERANCE`]: recovered.
    pub recovery_day: Option<f64>,
}

/// Builds a [`Summary`] step by step.
#[derive(Debug, Clone, Copy, Default)]
struct Running {
    summary: Summary,
    last: f64,
    sum: f64,
}

impl Running {
    #[inline(always)]
    fn add(&mut self, step: usize, days: f64, loss: f64) {
        let s = &mut self.summary;
        let (last, day) = (self.last, step as f64 * days);
        self.last = loss;
        self.sum += loss;
        if loss <= NONE {
            if last > TOLERANCE {
                s.recovery_day = Some(day);
            }
            return;
        }
        if s.first_day.is_none() {
            s.first_day = Some(day);
        }
        if loss > s.peak + NONE {
            (s.peak, s.peak_day) = (loss, day);
        }
        let passed = |mark: f64| {
            let before = if step == 0 { 0.0 } else { days * (loss - mark) / (loss - last) };
            day - before
        };
        for (when, mark) in s.days_to.iter_mut().zip(MARKS) {
            if when.is_none() && loss >= mark {
                *when = Some(passed(mark));
            }
        }
        if loss > TOLERANCE {
            if s.survive_day.is_none() {
                s.survive_day = Some(passed(TOLERANCE));
            }
            s.recovery_day = None;
        } else if last > TOLERANCE {
            s.recovery_day = Some(day);
        }
    }

    fn finish(mut self, steps: usize, days: f64) -> Summary {
        self.summary.mean = self.sum / steps.max(1) as f64;
        self.summary.area_days = self.sum * days;
        self.summary.end = self.last;
        self.summary
    }
}

/// Totals of the whole network in a step, in the unit of the flows per year.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// What all nodes make.
    pub production: f64,
    /// What they make less what they use.
    pub value_added: f64,
    /// What reaches final demand.
    pub final_consumption: f64,
}

/// Path of one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetPath {
    /// What it amounts to.
    pub summary: Summary,
    /// The part that the shocks themselves take, as a mean over the horizon.
    pub direct: f64,
    /// Loss in each listed step.
    pub loss: Vec<f64>,
    /// Output in each listed step, in the target's unit per year.
    pub production: Vec<f64>,
    /// Days of use in store of the input that a node holds least of, as a mean over the target's
    /// nodes that keep any; empty if none does.
    pub stock_days: Vec<f64>,
    /// Input that binds most, from a step on: `None` while nothing is lost, the symbol of its product,
    /// or [`Symbol::NONE`] for the target's own shock.
    pub binding: Vec<(usize, Option<Symbol>)>,
}

/// The whole outcome of a run.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// Length of a step in days.
    pub step_days: f64,
    /// Number of steps.
    pub steps: usize,
    /// Every how many steps one is listed.
    pub every: usize,
    /// Targets, in the order asked.
    pub targets: Vec<TargetPath>,
    /// Nodes that ever lose anything, ascending.
    pub nodes: Vec<(u32, Summary)>,
    /// Mean loss of every node, by inputs and by orders.
    pub mean: Vec<(f64, f64)>,
    /// Totals in the baseline.
    pub baseline: Totals,
    /// Totals in each listed step.
    pub totals: Vec<Totals>,
}

/// Most steps that are listed; of longer runs every second, third ... is.
const LISTED: usize = 4000;

/// Keeps the paths of targets, figures of nodes and totals.
pub struct Paths<'t> {
    targets: &'t [TargetNodes],
    running: Vec<Running>,
    nodes: Vec<Running>,
    sums: Vec<(f64, f64)>,
    path: Path,
}

impl<'t> Paths<'t> {
    /// For a run of `setting`.
    pub fn new(setting: &Setting<'_>, targets: &'t [TargetNodes]) -> Self {
        let n = setting.model.snapshot().node_count();
        let all = |of: &dyn Fn(u32) -> f64| setting.model.snapshot().nodes().map(of).sum::<f64>();
        let production = all(&|v| setting.output[v as usize]);
        Self {
            targets,
            running: vec![Running::default(); targets.len()],
            nodes: vec![Running::default(); n],
            sums: vec![(0.0, 0.0); n],
            path: Path {
                step_days: setting.step.days(),
                steps: setting.steps,
                every: setting.steps.div_ceil(LISTED).max(1),
                targets: vec![TargetPath::default(); targets.len()],
                baseline: Totals {
                    production,
                    value_added: production - all(&|v| setting.model.snapshot().in_strength(v)),
                    final_consumption: setting.final_demand.iter().sum(),
                },
                ..Path::default()
            },
        }
    }

    /// The outcome.
    pub fn finish(self) -> Path {
        let Self { mut path, running, nodes, sums, .. } = self;
        let (steps, days) = (path.steps, path.step_days);
        for (target, running) in path.targets.iter_mut().zip(running) {
            target.summary = running.finish(steps, days);
            target.direct /= steps.max(1) as f64;
        }
        path.nodes = nodes
            .into_iter()
            .zip(0..)
            .filter(|(r, _)| r.summary.first_day.is_some())
            .map(|(r, v)| (v, r.finish(steps, days)))
            .collect();
        path.mean =
            sums.iter().map(|&(d, u)| (d / steps.max(1) as f64, u / steps.max(1) as f64)).collect();
        path
    }
}

impl Record for Paths<'_> {
    fn step(&mut self, view: &View<'_>) {
        let days = self.path.step_days;
        let listed = view.step.is_multiple_of(self.path.every);
        let upstream = view.setting.model.upstream().is_some();
        for (v, node) in self.nodes.iter_mut().enumerate() {
            let loss = view.loss(v as u32);
            if loss > 0.0 || node.last > 0.0 {
                node.add(view.step, days, loss);
                self.sums[v].0 += view.down[v][0].max(0.0);
                self.sums[v].1 += view.up[v][0];
            }
        }
        for ((target, running), path) in
            self.targets.iter().zip(&mut self.running).zip(&mut self.path.targets)
        {
            let loss = target.mean(|v| view.loss(v));
            running.add(view.step, days, loss);
            let shock = |v: u32| {
                let up = if upstream { view.shock.up[v as usize] } else { 0.0 };
                view.shock.down[v as usize].max(up)
            };
            path.direct += target.mean(shock);
            let input = (loss > NONE).then(|| binding(view, target)).flatten();
            if path.binding.last().map(|b| b.1) != Some(input) {
                path.binding.push((view.step, input));
            }
            if listed {
                path.loss.push(loss);
                let output = target.mean(|v| 1.0 - view.change(v)) * target.baseline;
                path.production.push(output);
                if let Some(cover) = cover(view, target) {
                    path.stock_days.push(cover * days);
                }
            }
        }
        if listed {
            self.path.totals.push(totals(view));
        }
    }
}

/// The input that accounts for most of a target's loss.
fn binding(view: &View<'_>, target: &TargetNodes) -> Option<Symbol> {
    let snapshot = view.setting.model.snapshot();
    let rows = view.setting.rows(view.step)?;
    let mut by: Vec<(Symbol, f64)> = Vec::new();
    for &(v, weight) in &target.nodes {
        let loss = weight * view.loss(v);
        if loss <= 0.0 {
            continue;
        }
        let shock = view.shock.down[v as usize];
        let input = match view.stocks.binding(rows, v, shock) {
            Binding::Nothing => continue,
            Binding::Shock => Symbol::NONE,
            Binding::Input(group) => snapshot.group_product(group),
            Binding::Sum => {
                let worst = rows
                    .groups(v)
                    .filter(|&g| rows.rule(g) == crate::analysis::impact::rows::InputRule::Additive)
                    .map(|g| (rows.share(g) * view.stocks.short[g], g))
                    .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
                match worst {
                    Some((_, g)) => snapshot.group_product(g),
                    None => continue,
                }
            }
        };
        match by.iter_mut().find(|(s, _)| *s == input) {
            Some((_, sum)) => *sum += loss,
            None => by.push((input, loss)),
        }
    }
    by.into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| snapshot.name(b.0).cmp(snapshot.name(a.0))))
        .map(|(s, _)| s)
}

/// Mean over a target's nodes of the steps of use that each holds of the input it holds least of.
fn cover(view: &View<'_>, target: &TargetNodes) -> Option<f64> {
    if view.stocks.target.is_empty() {
        return None;
    }
    let rows = view.setting.rows(view.step)?;
    let (mut sum, mut total) = (0.0, 0.0);
    for &(v, weight) in &target.nodes {
        if let Some(cover) = view.stocks.cover(rows, v) {
            sum += weight * cover;
            total += weight;
        }
    }
    (total > 0.0).then(|| sum / total)
}

fn totals(view: &View<'_>) -> Totals {
    let setting = view.setting;
    let snapshot = setting.model.snapshot();
    let mut totals = Totals::default();
    for v in snapshot.nodes() {
        let i = v as usize;
        let level = 1.0 - view.change(v);
        totals.production += setting.output[i] * level;
        totals.value_added += (setting.output[i] - snapshot.in_strength(v)) * level;
        totals.final_consumption += match view.consumed {
            Some(consumed) => consumed[i],
            None => setting.final_demand[i] * level,
        };
    }
    totals
}
