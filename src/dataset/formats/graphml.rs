//! GraphML: every column a key, a requirement a JSON object in the data of the graph.
//!
//! Files of other tools are read too: keys that we do not know become attributes, an edge's
//! `weight` is its quantity, and what stands in elements inside `data` (drawings) is passed over.
//! Document types are refused, and with them every entity but XML's own five.

use std::borrow::Cow;
use std::fs::File;
use std::rc::Rc;

use quick_xml::errors::Error as XmlError;
use quick_xml::escape::escape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::columns::{CellKind, Row, cells, columns};
use super::document::{Document, Place, TooLong};
use super::export::Step;
use super::fields::{Dialect, Kind, record_of_json};
use super::intake::Intake;
use super::report::{ImportError, RowProblem, shown};
use crate::model::Record;
use crate::model::record::Attributes;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 64;
/// Most keys that a file may declare.
const MAX_KEYS: usize = 4096;

/// A declared key.
#[derive(Debug, Clone)]
struct Key {
    name: String,
    /// GraphML's type: boolean, int, long, float, double or string.
    kind: String,
}

/// The element whose data is being read.
#[derive(Debug)]
struct Element {
    kind: Kind,
    line: u64,
    /// Id, or the two ends.
    ends: Vec<String>,
    data: Vec<(String, String)>,
    problem: Option<RowProblem>,
}

struct GraphMl<'i> {
    intake: &'i mut Intake,
    place: Rc<Place>,
    keys: FxHashMap<String, Key>,
    /// Names of the open elements, outermost first.
    open: Vec<String>,
    element: Option<Element>,
    /// Key and text of the open `data`, and the line where it began.
    data: Option<(String, String, u64)>,
    graph_seen: bool,
}

/// Reads a whole document.
pub(super) fn read(file: File, intake: &mut Intake) -> Result<(), ImportError> {
    let document = Document::new(file, intake.options.limits.line_bytes);
    let mut state = GraphMl {
        intake,
        place: document.place(),
        keys: FxHashMap::default(),
        open: Vec::new(),
        element: None,
        data: None,
        graph_seen: false,
    };
    let mut reader = Reader::from_reader(document);
    let mut buffer = Vec::new();
    loop {
        let line = state.place.line();
        let event = reader.read_event_into(&mut buffer).map_err(|e| syntax(&e, &state.place))?;
        match event {
            Event::Start(tag) => state.start(&tag, line)?,
            Event::End(_) => state.end()?,
            Event::Empty(tag) => {
                state.start(&tag, line)?;
                state.end()?;
            }
            Event::Text(text) => state.text(&text.xml10_content()),
            Event::CData(text) => state.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = resolve(&reference).map_err(|p| p.line(line))?;
                state.text(&text);
            }
            Event::DocType(_) => {
                return Err(RowProblem::new("document types are not read")
                    .line(line)
                    .hint("remove the <!DOCTYPE ...>")
                    .into());
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        state.place.mark();
        buffer.clear();
    }
    if !state.open.is_empty() {
        return Err(RowProblem::new(format!("<{}> is never closed", shown(&state.open[0])))
            .line(state.place.line())
            .hint("is the file cut off?")
            .into());
    }
    if !state.graph_seen {
        return Err(RowProblem::new("there is no <graph>").hint("is this GraphML?").into());
    }
    Ok(())
}

fn syntax(error: &XmlError, place: &Place) -> ImportError {
    if let XmlError::Io(io) = error
        && !io.get_ref().is_some_and(|e| e.is::<TooLong>())
        && io.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return ImportError::Spool(std::io::Error::new(io.kind(), io.to_string()));
    }
    let problem = match error {
        XmlError::Io(io) => RowProblem::new(io.to_string()),
        XmlError::Encoding(_) => RowProblem::new("not UTF-8").hint("save the file as UTF-8"),
        other => RowProblem::new(format!("not well-formed XML: {other}")),
    };
    problem.line(place.line()).into()
}

/// The text of `&...;`: XML's five entities and characters by number.
fn resolve(reference: &BytesRef<'_>) -> Result<String, RowProblem> {
    let undefined = || {
        RowProblem::new(format!("&{}; is not defined", shown(reference)))
            .hint("only amp, lt, gt, quot, apos and characters by number are read")
    };
    if let Some(c) = reference.resolve_char_ref().map_err(|_| undefined())? {
        return Ok(c.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference).map(str::to_owned).ok_or_else(undefined)
}

fn attribute(tag: &BytesStart<'_>, name: &str, line: u64) -> Result<Option<String>, ImportError> {
    let wrong = |e: &dyn std::fmt::Display| {
        RowProblem::new(format!("the attribute {name} cannot be read: {e}")).line(line).column(name)
    };
    let found = tag.try_get_attribute(name).map_err(|e| wrong(&e))?;
    let value = found.map(|a| a.normalized_value(XmlVersion::Implicit1_0).map(Cow::into_owned));
    Ok(value.transpose().map_err(|e| wrong(&e))?)
}

impl GraphMl<'_> {
    fn start(&mut self, tag: &BytesStart<'_>, line: u64) -> Result<(), ImportError> {
        let name = local(tag);
        let wrong = |problem: &str| RowProblem::new(problem).line(line).column(shown(&name));
        if self.open.len() >= MAX_DEPTH {
            return Err(wrong(&format!("elements are nested deeper than {MAX_DEPTH}")).into());
        }
        match (self.open.last().map(String::as_str), name.as_str()) {
            (None, "graphml") => {}
            (None, _) => {
                return Err(wrong("the root is not <graphml>").hint("is this GraphML?").into());
            }
            (Some("graphml"), "key") => {
                let id = attribute(tag, "id", line)?.ok_or_else(|| wrong("a key needs an id"))?;
                let key = Key {
                    name: attribute(tag, "attr.name", line)?.unwrap_or_else(|| id.clone()),
                    kind: attribute(tag, "attr.type", line)?.unwrap_or_default(),
                };
                self.keys.insert(id, key);
                if self.keys.len() > MAX_KEYS {
                    return Err(wrong(&format!("more than {MAX_KEYS} keys")).into());
                }
            }
            (Some("graphml"), "graph") => {
                if std::mem::replace(&mut self.graph_seen, true) {
                    return Err(wrong("there is a second graph").hint("give one graph").into());
                }
                if attribute(tag, "edgedefault", line)?.as_deref() == Some("undirected") {
                    let hint = "flows go from supplier to consumer; give a directed graph";
                    return Err(wrong("the graph is undirected").hint(hint).into());
                }
            }
            (Some("graph"), "node") => self.element(tag, line, Kind::Node, &["id"])?,
            (Some("graph"), "edge") => {
                self.element(tag, line, Kind::Flow, &["source", "target"])?;
                if attribute(tag, "directed", line)?.as_deref() == Some("false")
                    && let Some(edge) = &mut self.element
                {
                    edge.problem = Some(wrong("the edge is undirected").column("directed"));
                }
            }
            (Some("node" | "edge"), "graph") | (Some("graph"), "hyperedge") => {
                return Err(wrong(&format!("a {name} here has no meaning as flows"))
                    .hint("give nodes and edges of one flat graph")
                    .into());
            }
            (Some("node" | "edge" | "graph"), "data") => {
                let key = attribute(tag, "key", line)?.ok_or_else(|| wrong("data needs a key"))?;
                self.data = Some((key, String::new(), line));
            }
            // Drawings, descriptions, ports, defaults.
            _ => {}
        }
        self.open.push(name);
        Ok(())
    }

    fn element(
        &mut self,
        tag: &BytesStart<'_>,
        line: u64,
        kind: Kind,
        ends: &[&str],
    ) -> Result<(), ImportError> {
        let mut element = Element { kind, line, ends: Vec::new(), data: Vec::new(), problem: None };
        for end in ends {
            match attribute(tag, end, line)? {
                Some(id) => element.ends.push(id),
                None => {
                    let problem = format!("a {} needs {end}", kind.as_str());
                    element.problem = Some(RowProblem::new(problem).column(*end));
                }
            }
        }
        self.element = Some(element);
        Ok(())
    }

    /// Text counts only directly inside `data`.
    fn text(&mut self, text: &str) {
        if let Some((_, collected, _)) = &mut self.data
            && self.open.last().is_some_and(|name| name == "data")
        {
            collected.push_str(text);
        }
    }

    fn end(&mut self) -> Result<(), ImportError> {
        let closed = self.open.pop();
        let within = self.open.last().map(String::as_str);
        match (within, closed.as_deref()) {
            (Some("graph"), Some("data")) => {
                let Some((key, text, line)) = self.data.take() else { return Ok(()) };
                match self.keys.get(&key).map_or(key.as_str(), |k| k.name.as_str()) {
                    "requirement" => {
                        let record = record_of_json(&text, Dialect::Own, Some(Kind::Requirement));
                        self.intake.record(line, record)?;
                    }
                    "title" => self.intake.report.title = Some(text),
                    _ => {}
                }
            }
            (Some("node" | "edge"), Some("data")) => {
                if let (Some(element), Some((key, text, _))) = (&mut self.element, self.data.take())
                {
                    let limit = self.intake.options.limits.line_bytes;
                    let size: usize = element.data.iter().map(|(k, t)| k.len() + t.len()).sum();
                    if size + text.len() > limit {
                        element.problem = Some(RowProblem::new(format!(
                            "the element is longer than {limit} bytes"
                        )));
                    } else {
                        element.data.push((key, text));
                    }
                }
            }
            (Some("graph"), Some("node" | "edge")) => {
                if let Some(element) = self.element.take() {
                    let line = element.line;
                    let record = self.record(element);
                    self.intake.record(line, record)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn record(&self, element: Element) -> Result<Record, RowProblem> {
        let Element { kind, ends, data, problem, .. } = element;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let known = columns(kind);
        let mut cells: Vec<Option<Cow<'_, str>>> = vec![None; known.len()];
        let keys = ends.len();
        for (cell, end) in cells.iter_mut().zip(&ends) {
            *cell = (!end.is_empty()).then_some(Cow::Borrowed(end.as_str()));
        }
        let mut foreign = Attributes::new();
        for (key, text) in &data {
            let declared = self.keys.get(key);
            let name = declared.map_or(key.as_str(), |k| k.name.as_str());
            let name = if kind == Kind::Flow && name == "weight" { "quantity" } else { name };
            let twice =
                || RowProblem::new(format!("{} is given twice", shown(name))).column(shown(name));
            match known.iter().skip(keys).position(|c| c.name == name) {
                Some(at) if cells[at + keys].is_some() => return Err(twice()),
                Some(_) if text.is_empty() => {}
                Some(at) => cells[at + keys] = Some(Cow::Borrowed(text)),
                None => {
                    let value = typed(text, declared.map_or("", |k| k.kind.as_str()))
                        .map_err(|p| p.column(shown(name)))?;
                    if foreign.insert(name.to_owned(), value).is_some() {
                        return Err(twice());
                    }
                }
            }
        }
        let mut record = Row::new(kind, &mut cells).into_record()?;
        let attributes = match &mut record {
            Record::Node(node) => &mut node.attributes,
            Record::Flow(flow) => &mut flow.attributes,
            Record::Requirement(_) => return Ok(record),
        };
        for (name, value) in foreign {
            attributes.entry(name).or_insert(value);
        }
        Ok(record)
    }
}

/// The value of another tool's key.
fn typed(text: &str, kind: &str) -> Result<Value, RowProblem> {
    let wrong = || RowProblem::new(format!("\"{}\" is no {kind}", shown(text)));
    let trimmed = text.trim();
    Ok(match kind {
        "int" | "long" => Value::from(trimmed.parse::<i64>().map_err(|_| wrong())?),
        "float" | "double" => {
            let number = trimmed.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(wrong)?)
        }
        "boolean" => Value::Bool(trimmed.to_ascii_lowercase().parse().map_err(|_| wrong())?),
        _ => Value::String(text.to_owned()),
    })
}

fn local(tag: &BytesStart<'_>) -> String {
    tag.local_name().as_ref().to_owned()
}

/// Key of a column: node and edge keys share one name space.
fn key_id(kind: Kind, name: &str) -> String {
    format!("{}.{name}", kind.as_str())
}

pub(super) fn steps(title: Option<&str>) -> Vec<Step> {
    let mut head = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n",
    );
    for (kind, element, keys) in [(Kind::Node, "node", 1), (Kind::Flow, "edge", 2)] {
        for column in &columns(kind)[keys..] {
            let class = match column.kind {
                CellKind::Text | CellKind::Json => "string",
                CellKind::Number => "double",
                CellKind::Integer => "int",
                CellKind::Flag => "boolean",
            };
            let id = key_id(kind, column.name);
            head += &format!(
                "<key id=\"{id}\" for=\"{element}\" attr.name=\"{}\" attr.type=\"{class}\"/>\n",
                column.name
            );
        }
    }
    for name in ["title", "requirement"] {
        head += &format!(
            "<key id=\"graph.{name}\" for=\"graph\" attr.name=\"{name}\" attr.type=\"string\"/>\n"
        );
    }
    head += "<graph edgedefault=\"directed\">\n";
    if let Some(title) = title {
        let legal: String = title.chars().filter(|c| !c.is_control()).collect();
        head += &format!("<data key=\"graph.title\">{}</data>\n", escape(legal));
    }
    vec![
        Step::Text(head),
        Step::Rows(Kind::Requirement),
        Step::Rows(Kind::Node),
        Step::Rows(Kind::Flow),
        Step::Text("</graph>\n</graphml>\n".into()),
    ]
}

/// JSON without the two characters that XML does not allow and JSON does not escape.
fn xml_json(json: &str) -> Cow<'_, str> {
    if !json.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff"))
}

/// Writes one element.
pub(super) fn write(record: &Record, _row: usize, out: &mut Vec<u8>) {
    let (kind, open, close, keys) = match record {
        Record::Node(node) => {
            (Kind::Node, format!("<node id=\"{}\">", escape(&node.id)), "</node>\n", 1)
        }
        Record::Flow(flow) => {
            let (from, to) = (escape(&flow.from), escape(&flow.to));
            (Kind::Flow, format!("<edge source=\"{from}\" target=\"{to}\">"), "</edge>\n", 2)
        }
        Record::Requirement(requirement) => {
            // Records are plain data: they always have a JSON form.
            let json = serde_json::to_string(requirement).unwrap_or_default();
            let text =
                format!("<data key=\"graph.requirement\">{}</data>\n", escape(xml_json(&json)));
            out.extend_from_slice(text.as_bytes());
            return;
        }
    };
    out.extend_from_slice(open.as_bytes());
    for (cell, column) in cells(record).iter().zip(columns(kind)).skip(keys) {
        let text = cell.written();
        if !text.is_empty() {
            let text = if column.kind == CellKind::Json { xml_json(&text) } else { text };
            let id = key_id(kind, column.name);
            out.extend_from_slice(format!("<data key=\"{id}\">{}</data>", escape(text)).as_bytes());
        }
    }
    out.extend_from_slice(close.as_bytes());
}
