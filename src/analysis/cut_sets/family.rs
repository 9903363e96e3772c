//! The complete family of minimal cut sets as diagrams: built by modules, counted, never listed.

use num_bigint::BigUint;

use super::dag::{FailureGraph, Gate, Visit};
use super::diagram::{Diagrams, LEAF, ONE, Ref, Stop, Work, ZERO, check_depth, with_deep_stack};
use super::zbdd::Counts;
use super::{Budget, Semantics, SetError};
use crate::analysis::Progress;

/// Orders of the variables, the one that is best most often first.
const VISITS: [Visit; 4] =
    [Visit::AsGiven, Visit::SharedFirst, Visit::SmallFirst, Visit::LargeFirst];
/// Diagram nodes that each order may take, round by round.
const TRIAL_NODES: [usize; 3] = [40_000, 300_000, 2_400_000];

/// What a variable stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A unit.
    Unit(u32),
    /// Failure of a part of the family (a module), by position.
    Part(usize),
}

/// One module: a function and its minimal solutions over units and earlier parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) function: Ref,
    pub(super) minimal: Ref,
}

/// A family of minimal cut sets.
///
/// A target that is lost whatever happens has one minimal cut set, the empty one; a target that
/// cannot be cut has none.
#[derive(Debug, Clone)]
pub struct Family {
    pub(super) table: Diagrams,
    /// Inner modules first; the last one is the family.
    pub(super) parts: Vec<Part>,
    pub(super) meaning: Vec<Meaning>,
    pub(super) unit_count: usize,
    loops_matter: bool,
}

impl Family {
    /// The complete family of a failure graph.
    ///
    /// # Errors
    /// [`SetError::TooLarge`] if the node budget does not suffice, [`SetError::NotCovered`] if the
    /// graph is too deep, or cancelled.
    pub fn of_graph(
        graph: &FailureGraph,
        unit_count: usize,
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Self, SetError> {
        let depth = graph.gates().len();
        check_depth(depth)?;
        let build = |visit, nodes: usize| {
            with_deep_stack(depth, || {
                let last = nodes >= budget.diagram_nodes;
                let mut family = Self::build(graph, unit_count, visit, nodes, last, progress)?;
                family.table.set_limit(budget.diagram_nodes);
                Ok(family)
            })
        };
        // Orders of the variables differ by factors of a thousand, and which is best only shows in
        // the diagrams: all are tried with few nodes before any gets many.
        // No diagram has fewer nodes than variables.
        let trials = unit_count..budget.diagram_nodes;
        for nodes in TRIAL_NODES.into_iter().filter(|nodes| trials.contains(nodes)) {
            for visit in VISITS {
                match build(visit, nodes) {
                    Err(Stop::Nodes) => {}
                    other => return other.map_err(|stop| SetError::from_stop(stop, budget)),
                }
            }
        }
        build(VISITS[0], budget.diagram_nodes).map_err(|stop| SetError::from_stop(stop, budget))
    }

    fn build(
        graph: &FailureGraph,
        unit_count: usize,
        visit: Visit,
        nodes: usize,
        last: bool,
        progress: &Progress,
    ) -> Result<Self, Stop> {
        let modules = graph.modules();
        let mut part_of = vec![None; graph.gates().len()];
        for (part, &gate) in modules.iter().enumerate() {
            part_of[gate as usize] = Some(part);
        }
        // Variables in depth-first order: one for each unit and one for each inner module.
        let mut meaning = Vec::new();
        let mut variable = vec![u32::MAX; graph.gates().len()];
        let mut unit_variable = vec![u32::MAX; unit_count];
        let mut below = vec![false; graph.gates().len()];
        for gate in graph.depth_first(visit) {
            below[gate as usize] = true;
            let var = meaning.len() as u32;
            if let Gate::Unit(unit) = graph.gates()[gate as usize] {
                if unit_variable[unit as usize] == u32::MAX {
                    unit_variable[unit as usize] = var;
                    meaning.push(Meaning::Unit(unit));
                }
                variable[gate as usize] = unit_variable[unit as usize];
            } else if let Some(part) = part_of[gate as usize]
                && gate != graph.top()
            {
                variable[gate as usize] = var;
                meaning.push(Meaning::Part(part));
            }
        }
        let mut table = Diagrams::new(nodes);
        let mut work = Work::new(&mut table, progress);
        let mut parts = Vec::new();
        let mut loops_matter = false;
        if graph.has_loop() {
            let start = |semantics| if semantics == Semantics::Collapse { ZERO } else { ONE };
            let function =
                loop_function(&mut work, graph, &variable, &below, start(graph.semantics()))?;
            let other = match graph.semantics() {
                Semantics::Collapse => ONE,
                Semantics::Bootstrap => ZERO,
            };
            // The other semantics is only for the warning: it may fail quietly on the last budget.
            loops_matter = match loop_function(&mut work, graph, &variable, &below, other) {
                Ok(other) => other != function,
                Err(Stop::Nodes) if last => false,
                Err(stop) => return Err(stop),
            };
            let minimal = work.minimal(function)?;
            parts.push(Part { function, minimal });
        } else {
            // Inputs first; a module becomes a variable for the gates above it.
            let mut function = vec![None; graph.gates().len()];
            let mut built = vec![Part { function: ZERO, minimal: ZERO }; modules.len()];
            for component in graph.components() {
                let gate = component[0];
                if !below[gate as usize] {
                    continue;
                }
                let f = gate_function(&mut work, graph, &variable, gate, |input| {
                    function[input as usize]
                })?;
                function[gate as usize] = Some(f);
                if let Some(part) = part_of[gate as usize] {
                    built[part] = Part { function: f, minimal: work.minimal(f)? };
                    if gate != graph.top() {
                        function[gate as usize] = Some(work.variable(variable[gate as usize])?);
                    }
                }
            }
            parts = built;
        }
        Ok(Self { table, parts, meaning, unit_count, loops_matter })
    }

    /// The family of a monotone function that is in a table already; variable v is unit
    /// `units[v]`.
    pub(super) fn of_function(
        mut table: Diagrams,
        function: Ref,
        units: Vec<u32>,
        unit_count: usize,
        loops_matter: bool,
        progress: &Progress,
    ) -> Result<Self, Stop> {
        let minimal = Work::new(&mut table, progress).minimal(function)?;
        Ok(Self {
            table,
            parts: vec![Part { function, minimal }],
            meaning: units.into_iter().map(Meaning::Unit).collect(),
            unit_count,
            loops_matter,
        })
    }

    /// A family given as an antichain of ascending sets.
    ///
    /// # Errors
    /// [`SetError::TooLarge`] if the node budget does not suffice, or cancelled.
    pub fn of_sets(
        sets: &[Vec<u32>],
        unit_count: usize,
        budget: &Budget,
        progress: &Progress,
    ) -> Result<Self, SetError> {
        // Units of many sets first keep the diagrams small.
        let mut uses = vec![0usize; unit_count];
        for &unit in sets.iter().flatten() {
            uses[unit as usize] += 1;
        }
        let mut units: Vec<u32> =
            (0..unit_count as u32).filter(|&u| uses[u as usize] > 0).collect();
        units.sort_by_key(|&u| (std::cmp::Reverse(uses[u as usize]), u));
        let mut variable = vec![0u32; unit_count];
        for (var, &unit) in units.iter().enumerate() {
            variable[unit as usize] = var as u32;
        }
        let mut mapped: Vec<Vec<u32>> = sets
            .iter()
            .map(|set| {
                let mut vars: Vec<u32> = set.iter().map(|&u| variable[u as usize]).collect();
                vars.sort_unstable();
                vars
            })
            .collect();
        mapped.sort_unstable();
        let mut table = Diagrams::new(budget.diagram_nodes);
        let depth = units.len();
        let result = with_deep_stack(depth, || {
            let mut work = Work::new(&mut table, progress);
            let minimal = work.family(&mapped)?;
            let function = work.any(minimal)?;
            Ok(Part { function, minimal })
        });
        let part = result.map_err(|stop| SetError::from_stop(stop, budget))?;
        Ok(Self {
            table,
            parts: vec![part],
            meaning: units.into_iter().map(Meaning::Unit).collect(),
            unit_count,
            loops_matter: false,
        })
    }

    /// Number of units, in the family or not.
    pub fn unit_count(&self) -> usize {
        self.unit_count
    }

    /// True if loops make `collapse` and `bootstrap` give different families.
    pub fn loops_matter(&self) -> bool {
        self.loops_matter
    }

    /// Number of diagram nodes made for it.
    pub fn diagram_nodes(&self) -> usize {
        self.table.node_count()
    }

    pub(super) fn top(&self) -> Part {
        self.parts[self.parts.len() - 1]
    }

    /// True if the target is lost whatever happens: the only minimal cut set is empty.
    pub fn is_tautology(&self) -> bool {
        self.top().function == ONE
    }

    /// True if no set of units is a cut.
    pub fn is_empty(&self) -> bool {
        self.top().function == ZERO
    }

    /// Number of minimal cut sets by size; index = size.
    pub fn count_by_size(&self) -> Counts {
        match self.counts_of_parts::<u128>() {
            Some(counts) => counts.into_iter().map(BigUint::from).collect(),
            None => self.counts_of_parts::<BigUint>().unwrap_or_default(),
        }
    }

    /// Number of minimal cut sets.
    pub fn count(&self) -> BigUint {
        self.count_by_size().iter().sum()
    }

    fn counts_of_parts<T: super::zbdd::Coefficient>(&self) -> Option<Vec<T>> {
        let mut counts: Vec<Vec<T>> = Vec::new();
        for part in &self.parts {
            let weights: Vec<Vec<T>> = self
                .meaning
                .iter()
                .map(|meaning| match *meaning {
                    Meaning::Unit(_) => vec![T::zero(), T::one()],
                    Meaning::Part(p) => counts.get(p).cloned().unwrap_or_default(),
                })
                .collect();
            counts.push(self.table.counts_in(part.minimal, &weights)?);
        }
        counts.pop()
    }

    /// True if removing these units (ascending) is a cut.
    pub fn is_cut(&self, removed: &[u32]) -> bool {
        let mut lost = Vec::new();
        for part in &self.parts {
            let mut f = part.function;
            while self.table.var(f) != LEAF {
                let on = match self.meaning[self.table.var(f) as usize] {
                    Meaning::Unit(unit) => removed.binary_search(&unit).is_ok(),
                    Meaning::Part(p) => lost[p],
                };
                f = if on { self.table.high(f) } else { self.table.low(f) };
            }
            lost.push(f == ONE);
        }
        lost.last().copied().unwrap_or(false)
    }

    /// Units that occur in some minimal cut set, ascending.
    pub fn relevant_units(&self) -> Vec<u32> {
        let mut wanted = vec![false; self.parts.len()];
        let mut units = Vec::new();
        if let Some(top) = wanted.last_mut() {
            *top = true;
        }
        for p in (0..self.parts.len()).rev().collect::<Vec<_>>() {
            if !wanted[p] {
                continue;
            }
            for var in self.table.support(self.parts[p].minimal) {
                match self.meaning[var as usize] {
                    Meaning::Unit(unit) => units.push(unit),
                    Meaning::Part(inner) => wanted[inner] = true,
                }
            }
        }
        units.sort_unstable();
        units.dedup();
        units
    }
}

/// The function of one gate from the functions of its inputs.
fn gate_function(
    work: &mut Work<'_>,
    graph: &FailureGraph,
    variable: &[u32],
    gate: u32,
    function: impl Fn(u32) -> Option<Ref>,
) -> Result<Ref, Stop> {
    let of = |input: u32| function(input).unwrap_or(ZERO);
    match &graph.gates()[gate as usize] {
        Gate::Unit(_) => work.variable(variable[gate as usize]),
        Gate::Any(inputs) => {
            let mut parts: Vec<Ref> = inputs.iter().map(|&i| of(i)).collect();
            order_bottom_up(work, &mut parts);
            parts.into_iter().try_fold(ZERO, |sum, f| work.or(sum, f))
        }
        Gate::All(inputs) => {
            let mut parts: Vec<Ref> = inputs.iter().map(|&i| of(i)).collect();
            order_bottom_up(work, &mut parts);
            parts.into_iter().try_fold(ONE, |product, f| work.and(product, f))
        }
        Gate::Weighted { inputs, need } => {
            let mut parts: Vec<(Ref, f64)> = inputs.iter().map(|&(i, w)| (of(i), w)).collect();
            parts.sort_by(|a, b| {
                work.table.var(a.0).cmp(&work.table.var(b.0)).then(b.1.total_cmp(&a.1))
            });
            work.weighted(&parts, *need)
        }
    }
}

/// Inputs whose variables lie lowest first: partial results then stay small.
fn order_bottom_up(work: &Work<'_>, parts: &mut [Ref]) {
    parts.sort_by_key(|&f| std::cmp::Reverse((work.table.var(f), f)));
}

/// The function of the top gate by Kleene iteration from `start` inside loops.
fn loop_function(
    work: &mut Work<'_>,
    graph: &FailureGraph,
    variable: &[u32],
    below: &[bool],
    start: Ref,
) -> Result<Ref, Stop> {
    let mut function = vec![start; graph.gates().len()];
    for component in graph.components().iter().filter(|c| below[c[0] as usize]) {
        loop {
            let mut changed = false;
            for &gate in component {
                let f = gate_function(work, graph, variable, gate, |input| {
                    Some(function[input as usize])
                })?;
                changed |= function[gate as usize] != f;
                function[gate as usize] = f;
            }
            if !changed || !graph.is_loop(component) {
                break;
            }
        }
    }
    Ok(function[graph.top() as usize])
}
