//! Failure graphs: what is lost if which units are lost, for targets that are lost or not.
//!
//! Gates speak of failure: `Any` fails with any input (all of them are needed), `All` with all
//! (alternatives), `Weighted` when failed inputs reach a weight. Gates may form loops; then the
//! semantics says which fixed point counts.

use super::oracle::CutTest;
use super::{Semantics, SetError};
use crate::analysis::Cancelled;
use crate::graph::{Condensation, Csr};

/// One vertex of a failure graph. Inputs are positions in [`FailureGraph::gates`].
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Fails if the unit is removed.
    Unit(u32),
    /// Fails if any input fails; without inputs it never does.
    Any(Vec<u32>),
    /// Fails if all inputs fail; without inputs it always does.
    All(Vec<u32>),
    /// Fails if the weights of failed inputs sum to at least `need`.
    Weighted {
        /// Inputs with positive weights.
        inputs: Vec<(u32, f64)>,
        /// Weight that is enough.
        need: f64,
    },
}

impl Gate {
    /// Fails if at least `k` inputs fail.
    pub fn at_least(k: usize, inputs: Vec<u32>) -> Self {
        match k {
            0 => Self::All(Vec::new()),
            1 => Self::Any(inputs),
            _ if k == inputs.len() => Self::All(inputs),
            _ => Self::Weighted {
                inputs: inputs.into_iter().map(|input| (input, 1.0)).collect(),
                need: k as f64 - 0.5,
            },
        }
    }

    /// The inputs.
    pub fn inputs(&self) -> impl Iterator<Item = u32> + '_ {
        let (plain, weighted): (&[u32], &[(u32, f64)]) = match self {
            Self::Unit(_) => (&[], &[]),
            Self::Any(inputs) | Self::All(inputs) => (inputs, &[]),
            Self::Weighted { inputs, .. } => (&[], inputs),
        };
        plain.iter().copied().chain(weighted.iter().map(|&(input, _)| input))
    }
}

impl Gate {
    /// Calls `each` with every input and its weight.
    fn weights(&self, mut each: impl FnMut(u32, f64)) {
        match self {
            Self::Unit(_) => {}
            Self::Any(inputs) | Self::All(inputs) => {
                inputs.iter().for_each(|&input| each(input, 1.0));
            }
            Self::Weighted { inputs, .. } => {
                inputs.iter().for_each(|&(input, weight)| each(input, weight));
            }
        }
    }
}

/// Which sub-gates a depth-first walk enters first. None gives small diagrams for every graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// In the order given.
    AsGiven,
    /// Gates with many consumers first.
    SharedFirst,
    /// Gates with few leaves below them first.
    SmallFirst,
    /// Gates with many leaves below them first.
    LargeFirst,
}

/// Strongly connected components of a graph of needs (consumer, supplier), suppliers before those
/// that need them; members ascending.
pub(super) fn inputs_first(n: usize, needs: &[(u32, u32)]) -> Vec<Vec<u32>> {
    let needs = Csr::from_pairs(n, needs);
    let condensation = Condensation::new(n, |node| needs.consumers(node));
    (0..condensation.len())
        .rev()
        .map(|component| {
            let mut members = condensation.members(component).to_vec();
            members.sort_unstable();
            members
        })
        .collect()
}

/// A failure graph with one top gate.
#[derive(Debug, Clone)]
pub struct FailureGraph {
    gates: Vec<Gate>,
    top: u32,
    unit_count: usize,
    semantics: Semantics,
    /// Consumers of gate g, with the weight of g in each: rows `consumer_start[g]..[g + 1]`.
    consumer_start: Vec<u32>,
    consumers: Vec<(u32, f64)>,
    /// Weight of inputs that must fail before the gate fails, or work before it works.
    to_fail: Vec<f64>,
    to_work: Vec<f64>,
    unit_gates: Vec<Vec<u32>>,
    /// Strongly connected components in the order inputs first; one gate unless in a loop.
    components: Vec<Vec<u32>>,
    has_loop: bool,
}

impl FailureGraph {
    /// A graph whose loss is the failure of gate `top`; units are numbered below `unit_count`.
    ///
    /// # Errors
    /// A gate, unit or weight that makes no sense.
    pub fn new(
        gates: Vec<Gate>,
        top: u32,
        unit_count: usize,
        semantics: Semantics,
    ) -> Result<Self, SetError> {
        let n = gates.len();
        let bad = |what: String| Err(SetError::Malformed(what));
        if top as usize >= n {
            return bad(format!("the top gate {top} is not among the {n} gates"));
        }
        let mut to_fail = Vec::with_capacity(n);
        let mut to_work = Vec::with_capacity(n);
        let mut unit_gates = vec![Vec::new(); unit_count];
        let mut needs: Vec<(u32, u32)> = Vec::new();
        for (g, gate) in gates.iter().enumerate() {
            if let Gate::Unit(unit) = *gate {
                match unit_gates.get_mut(unit as usize) {
                    Some(list) => list.push(g as u32),
                    None => return bad(format!("unit {unit} is not among the {unit_count} units")),
                }
            }
            if let Gate::Weighted { inputs, need } = gate
                && (need.is_nan() || inputs.iter().any(|&(_, w)| !w.is_finite() || w < 0.0))
            {
                return bad(format!("gate {g} has a weight that is negative or not a number"));
            }
            for input in gate.inputs() {
                if input as usize >= n {
                    return bad(format!("input {input} of gate {g} is not among the {n} gates"));
                }
                needs.push((g as u32, input));
            }
        }
        for gate in &gates {
            let (fail, work) = match gate {
                Gate::Unit(_) => (f64::INFINITY, f64::INFINITY),
                Gate::Any(inputs) => (1.0, inputs.len() as f64),
                Gate::All(inputs) if inputs.is_empty() => (0.0, f64::INFINITY),
                Gate::All(inputs) => (inputs.len() as f64, 1.0),
                Gate::Weighted { inputs, need } => {
                    let total: f64 = inputs.iter().map(|&(_, w)| w).sum();
                    // Works while failed weight is below need: working weight above total - need.
                    (*need, total - need + f64::EPSILON * total.max(1.0))
                }
            };
            to_fail.push(fail);
            to_work.push(work);
        }
        // Rows by input, consumers ascending: counted, then filled.
        let mut consumer_start = vec![0u32; n + 1];
        for &(_, input) in &needs {
            consumer_start[input as usize + 1] += 1;
        }
        for g in 0..n {
            consumer_start[g + 1] += consumer_start[g];
        }
        let mut next = consumer_start.clone();
        let mut consumers = vec![(0u32, 0.0f64); needs.len()];
        for (g, gate) in gates.iter().enumerate() {
            gate.weights(|input, weight| {
                let at = &mut next[input as usize];
                consumers[*at as usize] = (g as u32, weight);
                *at += 1;
            });
        }
        let components = inputs_first(n, &needs);
        let mut graph = Self {
            gates,
            top,
            unit_count,
            semantics,
            consumer_start,
            consumers,
            to_fail,
            to_work,
            unit_gates,
            components,
            has_loop: false,
        };
        graph.has_loop = graph.components.iter().any(|c| graph.is_loop(c));
        Ok(graph)
    }

    /// The gates.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The gate whose failure is the loss.
    pub fn top(&self) -> u32 {
        self.top
    }

    /// Which fixed point counts in loops.
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// The same graph under other semantics.
    pub fn with_semantics(&self, semantics: Semantics) -> Self {
        Self { semantics, ..self.clone() }
    }

    pub(super) fn components(&self) -> &[Vec<u32>] {
        &self.components
    }

    /// True if gates form a loop.
    pub fn has_loop(&self) -> bool {
        self.has_loop
    }

    pub(super) fn is_loop(&self, component: &[u32]) -> bool {
        component.len() > 1
            || self.gates[component[0] as usize].inputs().any(|input| input == component[0])
    }

    /// Which gates fail if these units (ascending) are removed.
    pub fn failed(&self, removed: &[u32]) -> Vec<bool> {
        match self.semantics {
            // Failures spread from what is removed: the least set of failures.
            Semantics::Collapse => self.spread(&self.to_fail, removed.iter().copied(), u32::MAX),
            // What works spreads from what needs nothing: the least set of survivors.
            Semantics::Bootstrap => {
                let kept =
                    (0..self.unit_count as u32).filter(|u| removed.binary_search(u).is_err());
                let works = self.spread(&self.to_work, kept, u32::MAX);
                works.into_iter().map(|w| !w).collect()
            }
        }
    }

    /// Turns on the gates of `units` and spreads: a gate is on once the weight of its inputs that
    /// are on reaches `needs`. Stops early once gate `until` is on.
    fn spread(&self, needs: &[f64], units: impl Iterator<Item = u32>, until: u32) -> Vec<bool> {
        let mut left = needs.to_vec();
        let mut on: Vec<bool> = needs.iter().map(|&need| need <= 0.0).collect();
        let mut stack: Vec<u32> = (0..on.len() as u32).filter(|&g| on[g as usize]).collect();
        for unit in units {
            for &g in &self.unit_gates[unit as usize] {
                on[g as usize] = true;
                stack.push(g);
            }
        }
        while let Some(g) = stack.pop() {
            if g == until {
                break;
            }
            let row = self.consumer_start[g as usize]..self.consumer_start[g as usize + 1];
            for &(c, weight) in &self.consumers[row.start as usize..row.end as usize] {
                let c = c as usize;
                left[c] -= weight;
                if left[c] <= 0.0 && !on[c] {
                    on[c] = true;
                    stack.push(c as u32);
                }
            }
        }
        on
    }

    /// The gates in depth-first order from the top, the units of a gate before its sub-gates: an
    /// order of the variables.
    pub(super) fn depth_first(&self, visit: Visit) -> Vec<u32> {
        let key: Vec<i64> = match visit {
            Visit::AsGiven => vec![0; self.gates.len()],
            Visit::SmallFirst => self.leaves(),
            Visit::LargeFirst => self.leaves().into_iter().map(|n| -n).collect(),
            Visit::SharedFirst => {
                let uses = self.consumer_start.windows(2).map(|w| i64::from(w[1] - w[0]));
                uses.map(|n| -n).collect()
            }
        };
        let mut seen = vec![false; self.gates.len()];
        let mut order = Vec::new();
        let mut stack = vec![self.top];
        while let Some(g) = stack.pop() {
            if std::mem::replace(&mut seen[g as usize], true) {
                continue;
            }
            order.push(g);
            let is_unit = |input: &u32| matches!(self.gates[*input as usize], Gate::Unit(_));
            let mut inputs: Vec<u32> = self.gates[g as usize].inputs().collect();
            inputs.sort_by_key(|&input| key[input as usize]);
            let (units, gates): (Vec<u32>, Vec<u32>) = inputs.into_iter().partition(is_unit);
            stack.extend(gates.into_iter().rev());
            stack.extend(units.into_iter().rev());
        }
        order
    }

    /// Number of leaves below each gate, one for every way down (capped); 1 inside loops.
    fn leaves(&self) -> Vec<i64> {
        let mut leaves = vec![1i64; self.gates.len()];
        for component in self.components.iter().filter(|c| !self.is_loop(c)) {
            let g = component[0] as usize;
            if !matches!(self.gates[g], Gate::Unit(_)) {
                let below = self.gates[g].inputs().map(|i| leaves[i as usize]);
                leaves[g] = below.fold(0i64, i64::saturating_add).min(i64::MAX / 2);
            }
        }
        leaves
    }

    /// Gates whose units occur nowhere else (Dutuit and Rauzy 1996), the top included, inner ones
    /// first. Only gates of two inputs and more count. In a graph with loops: only the top.
    pub(super) fn modules(&self) -> Vec<u32> {
        if self.has_loop() {
            return vec![self.top];
        }
        let n = self.gates.len();
        let (mut enter, mut exit, mut last) = (vec![0u32; n], vec![0u32; n], vec![0u32; n]);
        let mut date = 0;
        let mut finished = Vec::new();
        // First pass: dates of the first visit, its end, and the last visit of every gate.
        let mut stack: Vec<(u32, bool)> = vec![(self.top, false)];
        while let Some((g, done)) = stack.pop() {
            date += 1;
            let i = g as usize;
            last[i] = date;
            if done {
                exit[i] = date;
                finished.push(g);
            } else if enter[i] == 0 {
                enter[i] = date;
                stack.push((g, true));
                stack.extend(self.gates[i].inputs().map(|input| (input, false)));
            }
        }
        // Second pass, inputs first: the span of dates of everything below each gate.
        let (mut low, mut high) = (vec![u32::MAX; n], vec![0u32; n]);
        let mut modules = Vec::new();
        let by_unit_repeats: Vec<bool> = self
            .gates
            .iter()
            .map(|gate| matches!(gate, Gate::Unit(u) if self.unit_gates[*u as usize].len() > 1))
            .collect();
        let mut shared = vec![false; n];
        for &g in &finished {
            let i = g as usize;
            shared[i] = by_unit_repeats[i];
            for input in self.gates[i].inputs() {
                let j = input as usize;
                low[i] = low[i].min(low[j]).min(enter[j]);
                high[i] = high[i].max(high[j]).max(last[j]);
                // A unit that several gates stand for has dates of its own in each: not a module.
                shared[i] |= shared[j];
            }
            let closed = low[i] > enter[i] && high[i] < exit[i] && !shared[i];
            if g == self.top || (closed && self.gates[i].inputs().count() > 1) {
                modules.push(g);
            }
        }
        modules
    }
}

impl CutTest for FailureGraph {
    fn unit_count(&self) -> usize {
        self.unit_count
    }

    fn is_cut(&self, removed: &[u32]) -> Result<bool, Cancelled> {
        Ok(match self.semantics {
            Semantics::Collapse => {
                self.spread(&self.to_fail, removed.iter().copied(), self.top)[self.top as usize]
            }
            Semantics::Bootstrap => self.failed(removed)[self.top as usize],
        })
    }

    fn effort(&self) -> u64 {
        4 * (self.gates.len() + self.consumers.len()) as u64 + 2 * self.unit_count as u64
    }

    /// One pass from the top: of every gate keep what it needs to work, of alternatives the one
    /// that is kept already or looks cheapest.
    fn path_set(&self, removed: &[u32], safe: &[bool]) -> Option<Vec<u32>> {
        if self.has_loop() {
            return None;
        }
        let failed = self.failed(removed);
        if failed[self.top as usize] {
            return None;
        }
        // Inputs first: how many units that are not safe a gate needs at least (shared ones counted
        // once for each use).
        let n = self.gates.len();
        let mut price = vec![f64::INFINITY; n];
        let works = |g: &u32| !failed[*g as usize];
        for component in &self.components {
            let g = component[0];
            if failed[g as usize] {
                continue;
            }
            price[g as usize] = match &self.gates[g as usize] {
                Gate::Unit(unit) => f64::from(u8::from(!safe[*unit as usize])),
                Gate::Any(inputs) => inputs.iter().map(|&i| price[i as usize]).sum(),
                Gate::All(inputs) => {
                    inputs.iter().map(|&i| price[i as usize]).fold(f64::INFINITY, f64::min)
                }
                Gate::Weighted { inputs, need } => keep(inputs, *need, |i| price[i as usize])
                    .iter()
                    .map(|&i| price[i as usize])
                    .sum(),
            };
        }
        let mut kept = vec![false; n];
        let mut units = Vec::new();
        kept[self.top as usize] = true;
        // Consumers before inputs, so a gate is reached after all that may want it.
        for component in self.components.iter().rev() {
            let g = component[0] as usize;
            if !kept[g] {
                continue;
            }
            let cost = |i: u32| if kept[i as usize] { 0.0 } else { price[i as usize] };
            let chosen = match &self.gates[g] {
                Gate::Unit(unit) => {
                    if !safe[*unit as usize] {
                        units.push(*unit);
                    }
                    continue;
                }
                Gate::Any(inputs) => inputs.clone(),
                Gate::All(inputs) => inputs
                    .iter()
                    .copied()
                    .filter(works)
                    .min_by(|&a, &b| cost(a).total_cmp(&cost(b)).then(a.cmp(&b)))
                    .into_iter()
                    .collect(),
                Gate::Weighted { inputs, need } => keep(inputs, *need, cost),
            };
            for input in chosen {
                kept[input as usize] = true;
            }
        }
        units.sort_unstable();
        units.dedup();
        Some(units)
    }
}

/// Inputs to keep so that the others together weigh less than `need`: cheapest per weight first.
fn keep(inputs: &[(u32, f64)], need: f64, cost: impl Fn(u32) -> f64) -> Vec<u32> {
    let mut order: Vec<(u32, f64)> = inputs.to_vec();
    let key = |&(i, w): &(u32, f64)| if w > 0.0 { cost(i) / w } else { f64::INFINITY };
    order.sort_by(|a, b| key(a).total_cmp(&key(b)).then(b.1.total_cmp(&a.1)).then(a.0.cmp(&b.0)));
    let mut open: f64 = inputs.iter().map(|&(_, w)| w).sum();
    let mut kept = Vec::new();
    for (input, weight) in order {
        if open < need {
            break;
        }
        open -= weight;
        kept.push(input);
    }
    kept
}
