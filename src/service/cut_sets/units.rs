//! What can be removed: units by name, their members, and the shock that removes one.

use std::collections::{BTreeMap, BTreeSet};

use super::ask::{Common, CutUnitKind, stated_probability};
use crate::analysis::cut_sets::problem::Unit;
use crate::analysis::impact::shock::Effect;
use crate::analysis::impact::{ImpactError, Shocks, TargetNodes};
use crate::graph::Snapshot;
use crate::model::scenario::{FlowSelector, Shock};
use crate::model::selector::{OneOrMany, Selector, suggest};
use crate::service::ServiceError;
use crate::service::impacts::many::{self, MOST_SCENARIOS};

/// How a unit was named.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    /// A node.
    Node,
    /// A flow.
    Flow,
    /// Nodes with these values, among the selected ones.
    Group(Vec<(String, String)>),
    /// An item of the list.
    Item(usize),
}

/// Units in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// Names, ascending.
    pub names: Vec<String>,
    /// What each removes.
    pub members: Vec<Unit>,
    /// How each was named.
    pub named: Vec<Named>,
    /// Units that were left out because they hold nothing but nodes of the target.
    pub left_out: Vec<String>,
}

impl Units {
    /// Number of units.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Only the units that are to be kept.
    pub fn kept(self, keep: &[bool]) -> Self {
        fn those<T>(list: Vec<T>, keep: &[bool]) -> Vec<T> {
            list.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(item, _)| item).collect()
        }
        Self {
            names: those(self.names, keep),
            members: those(self.members, keep),
            named: those(self.named, keep),
            left_out: self.left_out,
        }
    }

    /// Resolves the units of a question.
    ///
    /// # Errors
    /// None or more than one way of naming, names given twice, selectors without match, too many.
    pub fn resolve(
        snapshot: &Snapshot,
        common: &Common<'_>,
        target: &TargetNodes,
    ) -> Result<Self, ServiceError> {
        let spec = common.units;
        let ways = [spec.each.is_some(), !spec.group_by.is_empty(), !spec.list.is_empty()];
        if ways.iter().filter(|w| **w).count() != 1 {
            return Err(ServiceError::Impossible {
                param: Some("units".into()),
                problem: "no units: exactly one of each, group_by and list says what can be \
                          removed"
                    .into(),
                hint: Some(
                    "for example {\"each\": \"node\"}, {\"group_by\": [\"country\", \"stage\"]}, \
                     or {\"list\": [{\"name\": \"China\", \"select\": {\"country\": \"CHN\"}}]}"
                        .into(),
                ),
            });
        }
        let mut all: Vec<(String, Unit, Named)> = match spec.each {
            Some(CutUnitKind::Flow) => flows(snapshot, common.select)?,
            Some(CutUnitKind::Node) | None if spec.list.is_empty() => {
                nodes(snapshot, common, spec.each.is_some())?
            }
            _ => items(snapshot, common)?,
        };
        if all.len() > MOST_SCENARIOS {
            return Err(ServiceError::Impossible {
                param: Some("units".into()),
                problem: format!("{} units; at most {MOST_SCENARIOS} in one question", all.len()),
                hint: Some("group them, or select fewer nodes".into()),
            });
        }
        let mut left_out = Vec::new();
        let asked = !spec.list.is_empty() || common.select.is_some();
        if !common.target_in_units.unwrap_or(asked) {
            let is_target = |v: &u32| target.nodes.binary_search_by_key(v, |n| n.0).is_ok();
            all.retain(|(name, unit, _)| {
                let only = !unit.nodes.is_empty() && unit.nodes.iter().all(is_target);
                if only {
                    left_out.push(name.clone());
                }
                !only
            });
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ServiceError::Impossible {
                param: Some("units".into()),
                problem: format!("two units are called \"{}\"", pair[0].0),
                hint: Some("give each unit its own name".into()),
            });
        }
        let mut units = Self { left_out, ..Self::default() };
        for (name, unit, named) in all {
            units.names.push(name);
            units.members.push(unit);
            units.named.push(named);
        }
        Ok(units)
    }

    /// The shock that removes a unit.
    pub fn shock(&self, snapshot: &Snapshot, common: &Common<'_>, unit: usize) -> Shock {
        let name = Some(self.names[unit].clone());
        let members = &self.members[unit];
        let ids = || Selector {
            node: OneOrMany(members.nodes.iter().map(|&v| snapshot.id(v).to_owned()).collect()),
            ..Selector::default()
        };
        // A short selector where it says the same as the list of nodes.
        let short = |selector: Selector| match snapshot.matches(&selector) {
            Ok(nodes) if nodes == members.nodes => selector,
            _ => ids(),
        };
        match &self.named[unit] {
            Named::Node => Shock { name, select: Some(ids()), ..Shock::default() },
            Named::Flow => {
                let flow = members.flows[0] as usize;
                let end = |v: u32| Selector::node(snapshot.id(v));
                let product = snapshot.name(snapshot.network().flows.product[flow]);
                Shock {
                    name,
                    flow: Some(FlowSelector {
                        from: end(snapshot.flow_from(flow)),
                        to: end(snapshot.flow_to(flow)),
                        product: [product].into(),
                    }),
                    cut: Some(1.0),
                    ..Shock::default()
                }
            }
            Named::Group(values) => {
                let mut selector = common.select.cloned().unwrap_or_default();
                for (key, value) in values {
                    let one: OneOrMany = [value.as_str()].into();
                    match key.as_str() {
                        "country" => selector.country = one,
                        "stage" => selector.stage = one,
                        "product" => selector.product = one,
                        "node" => selector.node = one,
                        other => {
                            selector.attributes.insert(other.to_owned(), one);
                        }
                    }
                }
                Shock { name, select: Some(short(selector)), ..Shock::default() }
            }
            Named::Item(i) => {
                let item = &common.units.list[*i];
                match &item.flow {
                    Some(flow) => {
                        Shock { name, flow: Some(flow.clone()), cut: Some(1.0), ..Shock::default() }
                    }
                    None => {
                        let select = item.select.clone().unwrap_or_default();
                        Shock { name, select: Some(short(select)), ..Shock::default() }
                    }
                }
            }
        }
    }

    /// One number for each unit from a table by name; `default` for those that it leaves out. `idle`
    /// are further units, whose numbers do not matter.
    ///
    /// # Errors
    /// A name that no unit has.
    pub fn values(
        &self,
        param: &str,
        table: &BTreeMap<String, f64>,
        default: f64,
        idle: &[String],
    ) -> Result<Vec<f64>, ServiceError> {
        let mut values = vec![default; self.len()];
        for (name, &value) in table {
            match self.names.binary_search(name) {
                Ok(unit) => values[unit] = value,
                Err(_) if idle.binary_search(name).is_ok() || self.left_out.contains(name) => {}
                Err(_) => return Err(self.unknown(param, name)),
            }
        }
        Ok(values)
    }

    /// The error of a name that no unit has.
    pub fn unknown(&self, param: &str, name: &str) -> ServiceError {
        let near = suggest(name, self.names.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let some: Vec<&str> = self.names.iter().take(5).map(String::as_str).collect();
                format!("units are called, for example, {}", some.join(", "))
            }
        };
        ServiceError::Impossible {
            param: Some(format!("{param}.{name}")),
            problem: format!("there is no unit \"{name}\""),
            hint: Some(hint),
        }
    }

    /// Probabilities that the nodes state themselves: of every unit, or how many have one.
    pub fn stated(&self, snapshot: &Snapshot) -> Result<Vec<f64>, usize> {
        let attributes = &snapshot.network().nodes.attributes;
        let of = |unit: &Unit| match (&unit.nodes[..], &unit.flows[..]) {
            ([node], []) => attributes.get(node).and_then(stated_probability),
            _ => None,
        };
        let known: Vec<f64> = self.members.iter().filter_map(of).collect();
        if known.len() == self.len() { Ok(known) } else { Err(known.len()) }
    }
}

type Resolved = Vec<(String, Unit, Named)>;

fn flows(snapshot: &Snapshot, select: Option<&Selector>) -> Result<Resolved, ServiceError> {
    let from = match select {
        Some(select) => snapshot.select(select).map_err(|e| ServiceError::selector("select", e))?,
        None => snapshot.nodes().collect(),
    };
    Ok(from
        .into_iter()
        .flat_map(|v| snapshot.flows_out(v))
        .map(|flow| {
            let unit = Unit { nodes: Vec::new(), flows: vec![flow as u32] };
            (snapshot.network().flow_id(flow), unit, Named::Flow)
        })
        .collect())
}

fn nodes(snapshot: &Snapshot, common: &Common<'_>, each: bool) -> Result<Resolved, ServiceError> {
    let spec = many::Units {
        each: each.then_some(many::EachUnit::Node),
        group_by: common.units.group_by.clone(),
        list: Vec::new(),
    };
    let keys: BTreeSet<&String> = spec.group_by.iter().collect();
    if keys.len() < spec.group_by.len() {
        return Err(ServiceError::Impossible {
            param: Some("units.group_by".into()),
            problem: "a key is given twice".into(),
            hint: None,
        });
    }
    let named = |v: u32| match each {
        true => Named::Node,
        false => {
            Named::Group(spec.group_by.iter().map(|k| (k.clone(), value(snapshot, v, k))).collect())
        }
    };
    Ok(many::resolve_units(snapshot, &spec, common.select)?
        .into_iter()
        .map(|(name, nodes)| {
            let how = named(nodes[0]);
            (name, Unit { nodes, flows: Vec::new() }, how)
        })
        .collect())
}

fn value(snapshot: &Snapshot, v: u32, key: &str) -> String {
    match key {
        "country" => snapshot.name(snapshot.country(v)).to_owned(),
        "stage" => snapshot.name(snapshot.stage(v)).to_owned(),
        "product" => snapshot.name(snapshot.product(v)).to_owned(),
        "node" => snapshot.id(v).to_owned(),
        attribute => {
            match snapshot.network().nodes.attributes.get(&v).and_then(|a| a.get(attribute)) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            }
        }
    }
}

fn items(snapshot: &Snapshot, common: &Common<'_>) -> Result<Resolved, ServiceError> {
    let among = match common.select {
        Some(select) => {
            Some(snapshot.select(select).map_err(|e| ServiceError::selector("select", e))?)
        }
        None => None,
    };
    let mut all = Vec::with_capacity(common.units.list.len());
    for (i, item) in common.units.list.iter().enumerate() {
        let at = format!("units.list[{i}]");
        let mut unit = Unit::default();
        match (&item.select, &item.flow) {
            (Some(select), None) => {
                unit.nodes = snapshot
                    .select(select)
                    .map_err(|e| ServiceError::selector(format!("{at}.select"), e))?;
                if let Some(among) = &among {
                    unit.nodes.retain(|v| among.binary_search(v).is_ok());
                }
            }
            (None, Some(flow)) => {
                let shock = Shock { flow: Some(flow.clone()), cut: Some(1.0), ..Shock::default() };
                let compiled =
                    Shocks::compile(snapshot, &[shock]).map_err(|error| match error {
                        ImpactError::Select { source, .. } => {
                            ServiceError::selector(format!("{at}.flow"), source)
                        }
                        error => error.into(),
                    })?;
                for shock in compiled.all {
                    if let Effect::Shut { flows, .. } = shock.effect {
                        unit.flows = flows;
                    }
                }
            }
            _ => {
                return Err(ServiceError::Impossible {
                    param: Some(at),
                    problem: format!(
                        "unit \"{}\" needs either select (nodes) or flow (flows)",
                        item.name
                    ),
                    hint: None,
                });
            }
        }
        all.push((item.name.clone(), unit, Named::Item(i)));
    }
    Ok(all)
}
