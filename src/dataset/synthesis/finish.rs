//! The records beside the flows: nodes with stocks and capacities, requirements, notes.

use std::collections::BTreeMap;

use super::records::{Records, is_flow_stage, trade_name};
use super::{Note, NoteKind};
use crate::dataset::tables::{OTHER_USES, class_of_source};
use crate::model::figure::{Figure, FigureClass};
use crate::model::record::Attributes;
use crate::model::{FlowRecord, NodeRecord, RequirementRecord, Rule};

/// Nodes, flows, requirements and notes of a synthesis.
pub(super) type AllRecords = (Vec<NodeRecord>, Vec<FlowRecord>, Vec<RequirementRecord>, Vec<Note>);

impl Records<'_> {
    /// Nodes, flows, requirements and notes.
    pub(super) fn finish(mut self) -> AllRecords {
        let nodes = self.nodes();
        let requirements = self.requirements();
        for (i, row) in self.tables.trade.iter().enumerate() {
            if is_flow_stage(&row.stage) && !self.used_trade.contains(&i) {
                self.notes.push(Note {
                    kind: NoteKind::UnusedTrade,
                    subject: trade_name(row),
                    text: "speaks of no group of the network, or of an older year".into(),
                });
            }
        }
        (nodes, self.flows, requirements, self.notes)
    }

    fn nodes(&mut self) -> Vec<NodeRecord> {
        let plan = self.plan;
        let mut nodes = Vec::new();
        let mut capacities: BTreeMap<String, Figure> = self
            .tables
            .capacities
            .iter()
            .map(|c| {
                let figure = Figure {
                    value: c.capacity,
                    unit: Some(format!("{}/a", c.unit)),
                    year: Some(c.year),
                    class: Some(class_of_source(&c.source)),
                    source: Some(c.source.clone()),
                    ..Figure::default()
                };
                (format!("{}.{}.{}", c.material, c.stage, c.country), figure)
            })
            .collect();
        for group in &plan.groups {
            for place in &group.places {
                let mut attributes = Attributes::new();
                attributes.insert("share".into(), rounded(place.share));
                if !group.rowless && group.stage != OTHER_USES {
                    attributes.insert("figure".into(), format!("production.{}", place.id).into());
                }
                if let Some(note) = &place.note {
                    attributes.insert("note".into(), note.clone().into());
                }
                nodes.push(NodeRecord {
                    id: place.id.clone(),
                    stage: Some(group.stage.clone()),
                    product: Some(group.product.clone()),
                    country: Some(place.country.clone()),
                    output: Some(Figure {
                        value: place.output,
                        low: place.low,
                        high: place.high,
                        unit: Some(group.unit.clone()),
                        year: group.year,
                        class: Some(place.class),
                        source: Some(place.source.clone()),
                    }),
                    capacity: capacities.remove(&place.id),
                    stock_days: self.stock(&place.id, &place.country, &mut attributes),
                    attributes,
                });
            }
        }
        for (id, capacity) in capacities {
            self.notes.push(Note {
                kind: NoteKind::UnusedCapacity,
                subject: id,
                text: format!("no such node; its capacity {} is not used", capacity.value),
            });
        }
        nodes
    }

    /// What is known of a consumer's stocks: `stock_days.<input>` for each input that its country's
    /// industry reports; the node's own figure only where that is its single input, because a node
    /// states one number for all of its inputs.
    fn stock(&self, id: &str, country: &str, attributes: &mut Attributes) -> Option<Figure> {
        let inputs = self.inputs.get(id)?;
        let mut single = None;
        for row in &self.tables.stockpiles {
            let Some(days) = row.days_of_cover else { continue };
            let holder = row.country();
            let same =
                holder == country || (holder == "EUU" && self.countries.in_bloc(country, "EU"));
            let industry = row.holder.ends_with("-INDUSTRY") && row.kind == "industry_stock";
            if !(same && industry && inputs.contains(row.material.as_str())) {
                continue;
            }
            attributes.insert(format!("stock_days.{}", row.material), rounded(days));
            attributes.insert(format!("stock_source.{}", row.material), row.source.clone().into());
            if inputs.len() == 1 {
                single = Some(Figure {
                    value: days,
                    unit: Some("d".into()),
                    year: Some(row.year),
                    class: Some(class_of_source(&row.source)),
                    source: Some(format!("{} {}: {}", row.holder, row.material, row.source)),
                    ..Figure::default()
                });
            }
        }
        single
    }

    fn requirements(&mut self) -> Vec<RequirementRecord> {
        let mut requirements = Vec::new();
        for row in &self.tables.bill_of_materials {
            if !self.pairs.contains(&(row.output.as_str(), row.input.as_str())) {
                self.notes.push(Note {
                    kind: NoteKind::NoFlow,
                    subject: format!("{} needs {}", row.output, row.input),
                    text: "no flow exists for this pair; the requirement is kept".into(),
                });
            }
            let source = match row.dependence {
                Some(_) => format!("estimate, bill of materials: {}", row.source),
                None => format!(
                    "estimate by essentiality {} (essential 1, important 0.5, minor 0.1): {}",
                    row.essentiality, row.source
                ),
            };
            requirements.push(RequirementRecord {
                output: row.output.clone(),
                input: row.input.clone(),
                rule: Rule::Limiting,
                dependence: Some(Figure {
                    value: row.dependence_value(),
                    unit: Some("share of output".into()),
                    class: Some(FigureClass::Estimate),
                    source: Some(source),
                    ..Figure::default()
                }),
                min_share: None,
                intensity: row.quantity.map(|value| Figure {
                    value,
                    unit: row.unit.clone(),
                    class: Some(class_of_source(&row.source)),
                    source: Some(row.source.clone()),
                    ..Figure::default()
                }),
            });
        }
        for (output, input) in self.pairs.iter().filter(|(output, input)| output == input) {
            requirements.push(RequirementRecord {
                output: (*output).to_owned(),
                input: (*input).to_owned(),
                rule: Rule::Limiting,
                dependence: Some(Figure {
                    value: 1.0,
                    unit: Some("share of output".into()),
                    class: Some(FigureClass::Derived),
                    source: Some(
                        "derived: a stage of a product is made of what the stage before it makes"
                            .into(),
                    ),
                    ..Figure::default()
                }),
                min_share: None,
                intensity: None,
            });
        }
        requirements
    }
}

/// A JSON number of at most nine significant digits: attributes are for reading.
fn rounded(value: f64) -> serde_json::Value {
    let text = format!("{value:.8e}");
    text.parse::<f64>().unwrap_or(value).into()
}
