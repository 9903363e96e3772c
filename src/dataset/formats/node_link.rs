//! Node-link JSON, the form of NetworkX and D3: `{"directed":true,"nodes":[...],"links":[...]}`.
//!
//! A link's `source` and `target` are its ends; the source of its figure is `quantity_source`.
//! Requirements stand in `graph.requirements`. Attributes that other tools set on nodes and links
//! are kept as attributes; `weight` is a quantity.

use std::fmt;
use std::fs::File;
use std::rc::Rc;

use serde::Serialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::document::{Document, Place};
use super::export::Step;
use super::fields::{Dialect, Kind, record_of_json};
use super::intake::Intake;
use super::report::{ImportError, RowProblem, did_you_mean, shown};
use crate::model::Record;
use crate::model::record::Attributes;

const KEYS: [&str; 6] = ["directed", "multigraph", "graph", "nodes", "links", "edges"];

/// Reads a whole document.
pub(super) fn read(file: File, intake: &mut Intake) -> Result<(), ImportError> {
    let document = Document::new(file, intake.options.limits.line_bytes);
    let mut reader = Reader { place: document.place(), intake, stop: None };
    let mut json = serde_json::Deserializer::from_reader(document);
    let outcome = TopLevel(&mut reader).deserialize(&mut json).and_then(|()| json.end());
    match (outcome, reader.stop) {
        (_, Some(stop)) => Err(stop),
        (Err(error), None) => Err(syntax(&error).into()),
        (Ok(()), None) => Ok(()),
    }
}

/// What a document-wide error says.
fn syntax(error: &serde_json::Error) -> RowProblem {
    let full = error.to_string();
    let said = full.rsplit_once(" at line ").map_or(full.as_str(), |(said, _)| said);
    let mut problem = RowProblem::new(if error.is_data() {
        said.to_owned()
    } else {
        format!("not JSON from here on: {said}")
    })
    .line(error.line() as u64)
    .hint("rows after this place were not read; NaN and Infinity are not JSON");
    problem.position = Some(error.column() as u64);
    if error.is_eof() {
        problem = problem.hint("the document ends too early; is it cut off?");
    } else if error.is_data() {
        problem =
            problem.hint("node-link JSON is {\"directed\":true,\"nodes\":[...],\"links\":[...]}");
    }
    problem
}

struct Reader<'i> {
    place: Rc<Place>,
    intake: &'i mut Intake,
    /// What ends the import, kept here while serde unwinds.
    stop: Option<ImportError>,
}

impl Reader<'_> {
    fn stop<E: serde::de::Error>(&mut self, error: ImportError) -> E {
        let message = E::custom(&error);
        self.stop = Some(error);
        message
    }
}

struct TopLevel<'r, 'i>(&'r mut Reader<'i>);

impl<'de> DeserializeSeed<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node-link object with nodes and links")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let mut seen: Vec<&str> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(known) = KEYS.into_iter().find(|k| *k == key) else {
                let hint = did_you_mean(&key, KEYS)
                    .unwrap_or_else(|| format!("fields: {}", KEYS.join(", ")));
                let problem = RowProblem::new(format!("unknown field {}", shown(&key)))
                    .line(reader.place.line())
                    .column(shown(&key))
                    .hint(hint);
                return Err(reader.stop(problem.into()));
            };
            // "links" and "edges" are two names of one thing.
            let known = if known == "edges" { "links" } else { known };
            if seen.contains(&known) {
                return Err(A::Error::custom(format!("{known} is given twice")));
            }
            seen.push(known);
            match known {
                "nodes" => map.next_value_seed(Elements(reader, Kind::Node, Dialect::NodeLink))?,
                "links" => map.next_value_seed(Elements(reader, Kind::Flow, Dialect::NodeLink))?,
                "graph" => map.next_value_seed(GraphPart(reader))?,
                "directed" => {
                    if !map.next_value::<bool>()? {
                        let problem = RowProblem::new("the graph is undirected")
                            .line(reader.place.line())
                            .column("directed")
                            .hint("flows go from supplier to consumer; give a directed graph");
                        return Err(reader.stop(problem.into()));
                    }
                }
                _ => {
                    map.next_value::<bool>()?;
                }
            }
        }
        match ["nodes", "links"].into_iter().find(|k| !seen.contains(k)) {
            Some(missing) => Err(A::Error::custom(format!("the field {missing} is missing"))),
            None => Ok(()),
        }
    }
}

/// The `graph` object: title and requirements. What else a tool keeps there has no place here.
struct GraphPart<'r, 'i>(&'r mut Reader<'i>);

impl<'de> DeserializeSeed<'de> for GraphPart<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for GraphPart<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in graph")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "requirements" => {
                    map.next_value_seed(Elements(self.0, Kind::Requirement, Dialect::Own))?;
                }
                "name" => self.0.intake.report.title = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A list of records. Each is read as raw text first, so that a bad one does not end the list.
struct Elements<'r, 'i>(&'r mut Reader<'i>, Kind, Dialect);

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}s", self.1.as_str())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(reader, kind, dialect) = self;
        reader.place.mark();
        while let Some(text) = list.next_element::<Box<RawValue>>()? {
            reader.place.mark();
            let text = text.get();
            let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
            let line = reader.place.line() - breaks;
            let record = record_of_json(text, dialect, Some(kind));
            if let Err(error) = reader.intake.record(line, record) {
                return Err(reader.stop(error));
            }
        }
        Ok(())
    }
}

/// A flow in this form.
#[derive(Serialize)]
struct Link<'a> {
    source: &'a str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    quantity: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_days: Option<f64>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
}

pub(super) fn steps(title: Option<&str>) -> Vec<Step> {
    let name = title.map(|t| format!("\"name\":{},", serde_json::Value::from(t)));
    let head = format!(
        "{{\"directed\":true,\"multigraph\":true,\"graph\":{{{}\"requirements\":[",
        name.unwrap_or_default()
    );
    let text = |text: &str| Step::Text(text.to_owned());
    vec![
        Step::Text(head),
        Step::Rows(Kind::Requirement),
        text("\n]},\n\"nodes\":["),
        Step::Rows(Kind::Node),
        text("\n],\n\"links\":["),
        Step::Rows(Kind::Flow),
        text("\n]}\n"),
    ]
}

/// Writes one element of a list on a line of its own.
pub(super) fn write(record: &Record, row: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(if row == 0 { b"\n" } else { b",\n" });
    // Records are plain data: they always have a JSON form.
    let _ = match record {
        Record::Node(node) => serde_json::to_writer(out, node),
        Record::Requirement(requirement) => serde_json::to_writer(out, requirement),
        Record::Flow(flow) => serde_json::to_writer(
            out,
            &Link {
                source: &flow.from,
                target: &flow.to,
                product: flow.product.as_deref(),
                quantity: flow.quantity.value,
                low: flow.low,
                high: flow.high,
                unit: flow.unit.as_deref(),
                year: flow.year,
                class: flow.class.map(crate::model::FigureClass::as_str),
                quantity_source: flow.source.as_deref(),
                capacity: flow.capacity,
                joint: flow.joint.then_some(true),
                lead_days: flow.lead_days,
                attributes: &flow.attributes,
            },
        ),
    };
}
