//! Writes a fault tree in the Open-PSA format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Connective, FaultTree};

/// Writes the tree. Names that the format does not allow (dots, double dashes, leading digits) are
/// replaced; the name as it was stands in the label of the definition.
pub fn write(tree: &FaultTree) -> String {
    let mut names = Names::default();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<opsa-mef>\n");
    let kinds: BTreeMap<&str, &str> = tree
        .gates
        .iter()
        .map(|g| (g.name.as_str(), "gate"))
        .chain(tree.events.iter().map(|e| (e.name.as_str(), "basic-event")))
        .chain(tree.houses.iter().map(|h| (h.0.as_str(), "house-event")))
        .collect();
    let tree_name = Names::default().get(&tree.name);
    // Writing to a string does not fail.
    let _ = writeln!(out, "  <define-fault-tree name=\"{tree_name}\">");
    // The top first: readers without a choice of top take the first gate.
    let (top, rest): (Vec<_>, Vec<_>) = tree.gates.iter().partition(|g| g.name == tree.top);
    for gate in top.into_iter().chain(rest) {
        let name = names.get(&gate.name);
        let _ = writeln!(out, "    <define-gate name=\"{name}\">{}", label(&gate.name, &name));
        let (open, close) = match gate.connective {
            Connective::And if gate.inputs.len() > 1 => ("<and>".into(), "</and>"),
            Connective::Or if gate.inputs.len() > 1 => ("<or>".into(), "</or>"),
            Connective::AtLeast(k) if gate.inputs.len() > 1 => {
                (format!("<atleast min=\"{k}\">"), "</atleast>")
            }
            _ => (String::new(), ""),
        };
        out.push_str("      ");
        out.push_str(&open);
        for input in &gate.inputs {
            let kind = kinds.get(input.as_str()).copied().unwrap_or("basic-event");
            let _ = write!(out, "<{kind} name=\"{}\"/>", names.get(input));
        }
        out.push_str(close);
        out.push_str("\n    </define-gate>\n");
    }
    out.push_str("  </define-fault-tree>\n  <model-data>\n");
    for event in &tree.events {
        let name = names.get(&event.name);
        let _ =
            write!(out, "    <define-basic-event name=\"{name}\">{}", label(&event.name, &name));
        if let Some(p) = event.probability {
            let _ = write!(out, "<float value=\"{p:?}\"/>");
        }
        out.push_str("</define-basic-event>\n");
    }
    for (house, on) in &tree.houses {
        let name = names.get(house);
        let _ = writeln!(
            out,
            "    <define-house-event name=\"{name}\">{}<constant value=\"{on}\"/></define-house-event>",
            label(house, &name)
        );
    }
    out.push_str("  </model-data>\n</opsa-mef>\n");
    out
}

fn label(original: &str, name: &str) -> String {
    if original == name {
        return String::new();
    }
    let text = original.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<label>{text}</label>")
}

/// Names that the format allows, one for each of ours.
#[derive(Default)]
struct Names {
    given: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    fn get(&mut self, original: &str) -> String {
        if let Some(name) = self.given.get(original) {
            return name.clone();
        }
        let mut name: String = original
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert(0, 'n');
        }
        // Names are told apart without regard to case, as some readers do.
        let stem = name.clone();
        let mut number = 2;
        while !self.taken.insert(name.to_ascii_lowercase()) {
            name = format!("{stem}_{number}");
            number += 1;
        }
        self.given.insert(original.to_owned(), name.clone());
        name
    }
}
