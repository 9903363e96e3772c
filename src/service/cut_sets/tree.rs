//! A question about cuts as a fault tree in the Open-PSA exchange format, for other tools to check.

use std::collections::BTreeMap;

use super::found::Values;
use super::ground::Ground;
use crate::analysis::cut_sets::{FailureGraph, Gate as FailureGate};
use crate::dataset::mef::{BasicEvent, Connective, FaultTree, Gate, write};
use crate::service::ServiceError;

/// Most gates that weights may be spelled out into.
const MOST_GATES: usize = 20_000;

/// What a gate comes down to.
#[derive(Debug, Clone)]
enum Settled {
    Constant(bool),
    /// The same as another name.
    Same(String),
    Gate(String),
}

struct Writer<'a> {
    ground: &'a Ground,
    graph: &'a FailureGraph,
    gates: Vec<Gate>,
    settled: BTreeMap<u32, Settled>,
}

fn impossible(problem: impl Into<String>, hint: &str) -> ServiceError {
    ServiceError::Impossible {
        param: Some("target".into()),
        problem: problem.into(),
        hint: Some(hint.to_owned()),
    }
}

/// The question as an Open-PSA document: gates are nodes, basic events are units.
///
/// # Errors
/// A target with nodes at part load or with supply in loops; weights that take too many gates.
pub fn fault_tree(ground: &Ground, loss: f64, values: &Values) -> Result<String, ServiceError> {
    let Some(problem) = &ground.problem else {
        let why = ground.not_covered.clone().unwrap_or_default();
        return Err(impossible(
            format!("a fault tree cannot say this: {why}"),
            "set model.rationing to {\"rule\": \"proportional\"}",
        ));
    };
    let graph = problem.failure_graph(loss).map_err(|error| {
        impossible(
            format!("a fault tree needs parts that run or stop: {error}"),
            "use threshold rules, or limiting ones with suppliers that each suffice alone",
        )
    })?;
    let unit = |u: u32| ground.units.names[u as usize].clone();
    let mut writer = Writer { ground, graph: &graph, gates: Vec::new(), settled: BTreeMap::new() };
    let below = writer.below()?;
    for gate in below {
        writer.settle(gate, problem.snapshot_nodes())?;
    }
    let top = match writer.settled.get(&graph.top()) {
        Some(Settled::Gate(name)) => name.clone(),
        Some(Settled::Same(name)) => {
            // A tree has a gate on top.
            let top = format!("loss of {}", ground.asked_target.name);
            let gate =
                Gate { name: top.clone(), connective: Connective::Or, inputs: vec![name.clone()] };
            writer.gates.push(gate);
            top
        }
        Some(Settled::Constant(lost)) => {
            let state = if *lost { "always" } else { "never" };
            return Err(impossible(
                format!("the target is {state} lost, whatever is removed"),
                "choose other units or another threshold",
            ));
        }
        None => return Err(ServiceError::Internal),
    };
    let used: std::collections::BTreeSet<&String> =
        writer.gates.iter().flat_map(|g| &g.inputs).collect();
    let events = (0..ground.units.len() as u32)
        .map(|u| BasicEvent {
            name: unit(u),
            probability: values.probabilities.as_ref().map(|p| p[u as usize]),
        })
        .filter(|event| used.contains(&event.name))
        .collect();
    Ok(write(&FaultTree {
        name: ground.asked_target.name.clone(),
        top,
        gates: writer.gates,
        events,
        houses: Vec::new(),
    }))
}

impl Writer<'_> {
    /// Gates below the top, inputs first.
    fn below(&self) -> Result<Vec<u32>, ServiceError> {
        let mut state = vec![0u8; self.graph.gates().len()];
        let mut order = Vec::new();
        let mut stack = vec![(self.graph.top(), false)];
        while let Some((gate, done)) = stack.pop() {
            let at = &mut state[gate as usize];
            if done {
                *at = 2;
                order.push(gate);
                continue;
            }
            if *at != 0 {
                continue;
            }
            *at = 1;
            stack.push((gate, true));
            for input in self.graph.gates()[gate as usize].inputs() {
                match state[input as usize] {
                    0 => stack.push((input, false)),
                    1 => {
                        return Err(impossible(
                            "supply runs in loops before the target; fault trees have none",
                            "the cut sets themselves are computed with loops",
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(order)
    }

    fn name(&self, gate: u32, nodes: &[u32]) -> String {
        match nodes.get(gate as usize) {
            Some(&node) => format!("loss of {}", self.ground.snapshot.id(node)),
            None => format!("gate {gate}"),
        }
    }

    fn settle(&mut self, gate: u32, nodes: &[u32]) -> Result<(), ServiceError> {
        let of = |input: u32| self.settled.get(&input).cloned().unwrap_or(Settled::Constant(false));
        let name = self.name(gate, nodes);
        let mut named = Vec::new();
        let (mut on, mut off) = (0usize, 0usize);
        let settled = match &self.graph.gates()[gate as usize] {
            FailureGate::Unit(unit) => {
                Settled::Same(self.ground.units.names[*unit as usize].clone())
            }
            FailureGate::Any(inputs) | FailureGate::All(inputs) => {
                for &input in inputs {
                    match of(input) {
                        Settled::Constant(true) => on += 1,
                        Settled::Constant(false) => off += 1,
                        Settled::Same(name) | Settled::Gate(name) => named.push(name),
                    }
                }
                named.sort_unstable();
                named.dedup();
                let any = matches!(self.graph.gates()[gate as usize], FailureGate::Any(_));
                let settled_by_constants = if any { on > 0 } else { off == 0 && named.is_empty() };
                if settled_by_constants {
                    Settled::Constant(true)
                } else if (any && named.is_empty()) || (!any && off > 0) {
                    Settled::Constant(false)
                } else {
                    let connective = if any { Connective::Or } else { Connective::And };
                    self.gate(name, connective, named)
                }
            }
            FailureGate::Weighted { inputs, need } => {
                let mut need = *need;
                let mut weights = Vec::new();
                for &(input, weight) in inputs {
                    match of(input) {
                        Settled::Constant(true) => need -= weight,
                        Settled::Constant(false) => {}
                        Settled::Same(name) | Settled::Gate(name) => weights.push((name, weight)),
                    }
                }
                self.weighted(name, weights, need)?
            }
        };
        self.settled.insert(gate, settled);
        Ok(())
    }

    fn gate(&mut self, name: String, connective: Connective, inputs: Vec<String>) -> Settled {
        if let [only] = &inputs[..] {
            return Settled::Same(only.clone());
        }
        self.gates.push(Gate { name: name.clone(), connective, inputs });
        Settled::Gate(name)
    }

    fn weighted(
        &mut self,
        name: String,
        mut weights: Vec<(String, f64)>,
        need: f64,
    ) -> Result<Settled, ServiceError> {
        let total: f64 = weights.iter().map(|w| w.1).sum();
        if need <= 0.0 {
            return Ok(Settled::Constant(true));
        }
        if total < need {
            return Ok(Settled::Constant(false));
        }
        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let (most, least) = (weights[0].1, weights[weights.len() - 1].1);
        let names: Vec<String> = weights.iter().map(|w| w.0.clone()).collect();
        let distinct = {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.windows(2).all(|pair| pair[0] != pair[1])
        };
        if most - least <= 1e-9 * most && distinct {
            let k = (need / least - 1e-9).ceil().max(1.0) as usize;
            let connective = match k {
                1 => Connective::Or,
                k if k >= names.len() => Connective::And,
                k => Connective::AtLeast(k as u32),
            };
            return Ok(self.gate(name, connective, names));
        }
        // Unequal weights: every minimal group of inputs that is enough.
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut stack: Vec<(usize, f64, Vec<usize>)> = vec![(0, need, Vec::new())];
        let rest: Vec<f64> =
            (0..=weights.len()).map(|i| weights[i..].iter().map(|w| w.1).sum()).collect();
        while let Some((i, open, taken)) = stack.pop() {
            if open <= 0.0 {
                groups.push(taken.iter().map(|&j| weights[j].0.clone()).collect());
                if groups.len() + self.gates.len() > MOST_GATES {
                    return Err(impossible(
                        format!("the unequal shares at {name} take more than {MOST_GATES} gates"),
                        "equal shares become one atleast gate",
                    ));
                }
                continue;
            }
            if i == weights.len() || rest[i] < open {
                continue;
            }
            stack.push((i + 1, open, taken.clone()));
            let mut more = taken;
            more.push(i);
            // Heaviest first, so the last one taken is the lightest: without it there is too little.
            stack.push((i + 1, open - weights[i].1, more));
        }
        let mut inputs = Vec::new();
        for (k, group) in groups.into_iter().enumerate() {
            match self.gate(format!("{name} by {}", k + 1), Connective::And, group) {
                Settled::Same(name) | Settled::Gate(name) => inputs.push(name),
                Settled::Constant(_) => {}
            }
        }
        Ok(self.gate(name, Connective::Or, inputs))
    }
}
