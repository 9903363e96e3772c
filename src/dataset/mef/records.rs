//! A fault tree as a graph with threshold rules.

use std::collections::BTreeMap;

use super::{Connective, FaultTree, TreeError, TreeRecords};
use crate::model::{FlowRecord, NodeRecord, Record, RequirementRecord, Rule};

/// A gate after house events are settled: a constant, or `need` of these inputs keep it up.
#[derive(Debug, Clone, PartialEq)]
enum Settled {
    Constant(bool),
    /// Lost if at least `k` of the inputs are lost.
    Lost {
        k: usize,
        inputs: Vec<String>,
    },
}

impl FaultTree {
    /// The graph whose losses are those of the tree: one node per gate and basic event below the
    /// top. A gate that any input stops needs each input as a product of its own; others get one
    /// product from all inputs and stop when its share falls under what they need.
    ///
    /// # Errors
    /// A tree whose top is constant; names that records may not carry; inputs that are not defined.
    pub fn records(&self) -> Result<TreeRecords, TreeError> {
        let settled = self.settle()?;
        let events: BTreeMap<&str, Option<f64>> =
            self.events.iter().map(|e| (e.name.as_str(), e.probability)).collect();
        if let Some(Settled::Constant(lost)) = settled.get(&self.top) {
            return Err(TreeError::Constant { top: self.top.clone(), lost: *lost });
        }
        let (mut nodes, mut flows, mut requirements) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen: std::collections::BTreeSet<&str> = [self.top.as_str()].into();
        let mut open = vec![self.top.as_str()];
        while let Some(name) = open.pop() {
            let mut node = NodeRecord { stage: Some("gate".into()), ..NodeRecord::new(name) };
            match settled.get(name) {
                Some(Settled::Lost { k, inputs }) => {
                    for input in inputs {
                        if seen.insert(input) {
                            open.push(input);
                        }
                    }
                    let share = (inputs.len() - k + 1) as f64 / inputs.len() as f64;
                    let mut requires = |product: &str, share: f64| {
                        requirements.push(Record::Requirement(RequirementRecord {
                            output: name.to_owned(),
                            input: product.to_owned(),
                            rule: Rule::Threshold,
                            min_share: Some(share),
                            ..RequirementRecord::default()
                        }));
                    };
                    let common = format!("{name}.inputs");
                    if *k > 1 {
                        requires(&common, share);
                    }
                    let mut distinct: Vec<&String> = inputs.iter().collect();
                    if *k == 1 {
                        distinct.sort_unstable();
                        distinct.dedup();
                    }
                    for input in distinct {
                        let mut flow = FlowRecord::new(input.as_str(), name, 1.0);
                        if *k == 1 {
                            requires(input, 1.0);
                        } else {
                            flow.product = Some(common.clone());
                        }
                        flows.push(Record::Flow(flow));
                    }
                }
                _ => {
                    node.stage = Some("basic_event".into());
                    if let Some(p) = events.get(name).copied().flatten() {
                        node.attributes.insert("probability".into(), p.into());
                    }
                }
            }
            nodes.push(Record::Node(node));
        }
        nodes.append(&mut flows);
        nodes.append(&mut requirements);
        for record in &nodes {
            record.check().map_err(|problem| TreeError::Name {
                name: match record {
                    Record::Node(node) => node.id.clone(),
                    Record::Flow(flow) => flow.from.clone(),
                    Record::Requirement(requirement) => requirement.output.clone(),
                },
                problem,
            })?;
        }
        Ok(TreeRecords { records: nodes, target: self.top.clone() })
    }

    /// Every gate with the constants in it worked off.
    fn settle(&self) -> Result<BTreeMap<String, Settled>, TreeError> {
        let gates: BTreeMap<&str, &super::Gate> =
            self.gates.iter().map(|g| (g.name.as_str(), g)).collect();
        let events: std::collections::BTreeSet<&str> =
            self.events.iter().map(|e| e.name.as_str()).collect();
        let houses: BTreeMap<&str, bool> =
            self.houses.iter().map(|(name, on)| (name.as_str(), *on)).collect();
        let mut settled: BTreeMap<String, Settled> = BTreeMap::new();
        let mut opened: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
        let mut stack: Vec<(&str, bool)> = vec![(self.top.as_str(), false)];
        while let Some((name, ready)) = stack.pop() {
            let Some(gate) = gates.get(name) else {
                return Err(TreeError::Input { gate: self.top.clone(), input: name.to_owned() });
            };
            if settled.contains_key(name) {
                continue;
            }
            if !ready {
                opened.insert(name);
                stack.push((name, true));
                for input in &gate.inputs {
                    let input = input.as_str();
                    let known = events.contains(input) || houses.contains_key(input);
                    if known || settled.contains_key(input) {
                        continue;
                    }
                    if !gates.contains_key(input)
                        || opened.contains(input) && is_open(&stack, input)
                    {
                        return Err(TreeError::Input { gate: name.into(), input: input.into() });
                    }
                    stack.push((input, false));
                }
                continue;
            }
            let (mut lost, mut inputs) = (0, Vec::new());
            for input in &gate.inputs {
                let constant = match (houses.get(input.as_str()), settled.get(input)) {
                    (Some(&on), _) => Some(on),
                    (None, Some(Settled::Constant(on))) => Some(*on),
                    _ => None,
                };
                match constant {
                    Some(true) => lost += 1,
                    Some(false) => {}
                    None => inputs.push(input.clone()),
                }
            }
            let k = match gate.connective {
                Connective::And => gate.inputs.len(),
                Connective::Or => 1,
                Connective::AtLeast(k) => k as usize,
            };
            let value = if k <= lost {
                Settled::Constant(true)
            } else if k - lost > inputs.len() {
                Settled::Constant(false)
            } else {
                Settled::Lost { k: k - lost, inputs }
            };
            settled.insert(name.to_owned(), value);
        }
        Ok(settled)
    }
}

/// True if a gate waits for its inputs.
fn is_open(stack: &[(&str, bool)], name: &str) -> bool {
    stack.iter().any(|&(other, ready)| ready && other == name)
}
