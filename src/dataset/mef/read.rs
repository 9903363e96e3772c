//! Reads the supported subset of the Open-PSA format; refuses the rest by line.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use super::{BasicEvent, Connective, FaultTree, Gate, MefError};

/// Largest file accepted, in XML nodes.
const MAX_NODES: u32 = 20_000_000;

struct Reader<'d> {
    document: &'d Document<'d>,
}

impl Reader<'_> {
    fn error<T>(&self, node: Node<'_, '_>, problem: impl Into<String>) -> Result<T, MefError> {
        let line = self.document.text_pos_at(node.range().start).row;
        Err(MefError { line, problem: problem.into() })
    }

    fn attribute<'a>(&self, node: Node<'a, '_>, name: &str) -> Result<&'a str, MefError> {
        match node.attribute(name).map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => self.error(node, format!("<{}> needs the attribute {name}", tag(node))),
        }
    }

    /// The parts of a definition that mean something here.
    fn parts<'a, 'i>(&self, node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
        elements(node).filter(|n| !matches!(tag(*n), "label" | "attributes")).collect()
    }

    fn gate(&self, node: Node<'_, '_>) -> Result<Gate, MefError> {
        let name = self.attribute(node, "name")?.to_owned();
        let parts = self.parts(node);
        let [formula] = parts[..] else {
            return self.error(node, format!("gate {name} needs exactly one formula"));
        };
        let connective = match tag(formula) {
            "and" => Connective::And,
            "or" => Connective::Or,
            "atleast" => {
                let min = self.attribute(formula, "min")?;
                match min.parse::<u32>() {
                    Ok(min) if min > 0 => Connective::AtLeast(min),
                    _ => {
                        return self.error(
                            formula,
                            format!("gate {name}: min is \"{min}\"; give a whole number above 0"),
                        );
                    }
                }
            }
            "gate" | "basic-event" | "house-event" | "event" => {
                let input = self.attribute(formula, "name")?.to_owned();
                return Ok(Gate { name, connective: Connective::Or, inputs: vec![input] });
            }
            other => {
                return self.error(
                    formula,
                    format!(
                        "gate {name}: <{other}> is not supported; losses of supply are monotone, \
                         use and, or, atleast"
                    ),
                );
            }
        };
        let mut inputs = Vec::new();
        for input in elements(formula) {
            match tag(input) {
                "gate" | "basic-event" | "house-event" | "event" => {
                    inputs.push(self.attribute(input, "name")?.to_owned());
                }
                other => {
                    return self.error(
                        input,
                        format!(
                            "gate {name}: <{other}> inside a formula is not supported; give the \
                             inner formula a gate of its own"
                        ),
                    );
                }
            }
        }
        if inputs.is_empty() {
            return self.error(formula, format!("gate {name} has no inputs"));
        }
        if let Connective::AtLeast(min) = connective
            && min as usize > inputs.len()
        {
            return self.error(
                formula,
                format!("gate {name}: at least {min} of {} inputs can never be true", inputs.len()),
            );
        }
        Ok(Gate { name, connective, inputs })
    }

    fn event(&self, node: Node<'_, '_>) -> Result<BasicEvent, MefError> {
        let name = self.attribute(node, "name")?.to_owned();
        let probability = match self.parts(node)[..] {
            [] => None,
            [value] if tag(value) == "float" => {
                let text = self.attribute(value, "value")?;
                match text.parse::<f64>() {
                    Ok(p) if (0.0..=1.0).contains(&p) => Some(p),
                    _ => {
                        return self.error(
                            value,
                            format!("basic event {name}: \"{text}\" is no probability (0 to 1)"),
                        );
                    }
                }
            }
            [value, ..] => {
                return self.error(
                    value,
                    format!(
                        "basic event {name}: <{}> is not supported; give one <float value=...>",
                        tag(value)
                    ),
                );
            }
        };
        Ok(BasicEvent { name, probability })
    }

    fn house(&self, node: Node<'_, '_>) -> Result<(String, bool), MefError> {
        let name = self.attribute(node, "name")?.to_owned();
        match self.parts(node)[..] {
            [value] if tag(value) == "constant" => match value.attribute("value") {
                Some("true") => Ok((name, true)),
                Some("false") => Ok((name, false)),
                _ => self.error(value, format!("house event {name}: value must be true or false")),
            },
            _ => self.error(node, format!("house event {name} needs one <constant value=...>")),
        }
    }
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn tag<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

/// Reads a fault tree. `top` names the top gate; without it, it is the only gate that no other
/// gate names.
///
/// # Errors
/// The first thing that is not understood, with its line.
pub fn read(text: &str, top: Option<&str>) -> Result<FaultTree, MefError> {
    let options = roxmltree::ParsingOptions { nodes_limit: MAX_NODES, ..Default::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| MefError { line: error.pos().row, problem: error.to_string() })?;
    let reader = Reader { document: &document };
    let root = document.root_element();
    if tag(root) != "opsa-mef" {
        return reader
            .error(root, format!("<{}> is no Open-PSA model: <opsa-mef> expected", tag(root)));
    }
    let mut tree = FaultTree::default();
    // Where each name was defined and used, for messages.
    let mut defined: BTreeMap<String, Node<'_, '_>> = BTreeMap::new();
    let mut gate_nodes = Vec::new();
    let mut trees = 0;
    for section in elements(root) {
        match tag(section) {
            "label" | "attributes" => continue,
            "define-fault-tree" => {
                trees += 1;
                if trees > 1 {
                    return reader.error(section, "a second fault tree; give one per file");
                }
                tree.name = reader.attribute(section, "name")?.to_owned();
            }
            "model-data" => {}
            other => {
                return reader.error(section, format!("<{other}> is not supported; remove it"));
            }
        }
        for definition in reader.parts(section) {
            let name = match tag(definition) {
                "define-gate" => {
                    let gate = reader.gate(definition)?;
                    let name = gate.name.clone();
                    gate_nodes.push(definition);
                    tree.gates.push(gate);
                    name
                }
                "define-basic-event" => {
                    let event = reader.event(definition)?;
                    let name = event.name.clone();
                    tree.events.push(event);
                    name
                }
                "define-house-event" => {
                    let house = reader.house(definition)?;
                    let name = house.0.clone();
                    tree.houses.push(house);
                    name
                }
                other => {
                    return reader.error(
                        definition,
                        format!(
                            "<{other}> is not supported; only gates, basic and house events are"
                        ),
                    );
                }
            };
            if let Some(first) = defined.insert(name.clone(), definition) {
                let line = document.text_pos_at(first.range().start).row;
                return reader
                    .error(definition, format!("{name} is defined in line {line} already"));
            }
        }
    }
    if tree.gates.is_empty() {
        return reader.error(root, "no gates");
    }
    // Basic events may be used without a definition: their probability is unknown then.
    let mut unknown = BTreeSet::new();
    for (gate, &node) in tree.gates.iter().zip(&gate_nodes) {
        for input in node.descendants().filter(|n| n.is_element() && *n != node) {
            let Some(name) = input.attribute("name").map(str::trim) else { continue };
            if !gate.inputs.iter().any(|i| i == name) || defined.contains_key(name) {
                continue;
            }
            if tag(input) != "basic-event" {
                return reader.error(input, format!("gate {}: {name} is not defined", gate.name));
            }
            unknown.insert(name.to_owned());
        }
    }
    tree.events.extend(unknown.into_iter().map(|name| BasicEvent { name, probability: None }));
    let by_name: BTreeMap<&str, usize> =
        tree.gates.iter().enumerate().map(|(i, g)| (g.name.as_str(), i)).collect();
    if let Some(gate) = circle(&tree, &by_name) {
        let name = &tree.gates[gate].name;
        return reader.error(gate_nodes[gate], format!("gate {name} depends on itself"));
    }
    tree.top = match top {
        Some(top) if by_name.contains_key(top) => top.to_owned(),
        Some(top) => {
            return reader.error(root, format!("there is no gate {top} to take as the top"));
        }
        None => {
            let named: BTreeSet<&str> =
                tree.gates.iter().flat_map(|g| &g.inputs).map(String::as_str).collect();
            let tops: Vec<&str> = tree
                .gates
                .iter()
                .map(|g| g.name.as_str())
                .filter(|name| !named.contains(name))
                .collect();
            match tops[..] {
                [top] => top.to_owned(),
                _ => {
                    let list = tops.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                    return reader.error(
                        root,
                        format!("{} gates could be the top ({list}); say which", tops.len()),
                    );
                }
            }
        }
    };
    Ok(tree)
}

/// A gate that depends on itself, if there is one.
fn circle(tree: &FaultTree, by_name: &BTreeMap<&str, usize>) -> Option<usize> {
    // 0 not seen, 1 open, 2 done; a frame is a gate and its next input.
    let mut state = vec![0u8; tree.gates.len()];
    for start in 0..tree.gates.len() {
        let mut stack = vec![(start, 0)];
        while let Some((gate, next)) = stack.pop() {
            if next == 0 {
                if state[gate] == 2 {
                    continue;
                }
                state[gate] = 1;
            }
            let Some(input) = tree.gates[gate].inputs.get(next) else {
                state[gate] = 2;
                continue;
            };
            stack.push((gate, next + 1));
            if let Some(&inner) = by_name.get(input.as_str()) {
                match state[inner] {
                    0 => stack.push((inner, 0)),
                    1 => return Some(inner),
                    _ => {}
                }
            }
        }
    }
    None
}
