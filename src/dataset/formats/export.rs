//! The exporter: a network in, chunks of a file out.

use std::borrow::Cow;
use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

use super::columns::{CellKind, Column, cells, columns};
use super::fields::Kind;
use super::format::Format;
use super::tables::{write_fields, write_row};
use super::{graphml, node_link};
use crate::model::{Network, Record};

/// About how much a chunk holds.
const CHUNK_BYTES: usize = 64 << 10;

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Text as it stands.
    Text(String),
    /// Every record of a kind.
    Rows(Kind),
    /// Products that requirements name, as nodes of their own (Neo4j).
    Products,
    /// Begins an entry of the archive.
    Entry(&'static str),
}

/// Where the bytes go.
enum Output {
    Plain,
    /// The archive writes into a buffer that is emptied after every step.
    Zip(Box<ZipWriter<StreamWriter<Shared>>>, Shared),
    Closed,
}

/// A buffer with two owners: the archive writer fills it, the exporter empties it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes one network in one format, a chunk at a time.
///
/// ```
/// use chokepoint::dataset::formats::{Exporter, Format};
/// use chokepoint::model::{NetworkBuilder, NodeRecord};
///
/// let mut builder = NetworkBuilder::new();
/// builder.add_node(&NodeRecord::new("a"), 0)?;
/// let network = builder.finish_declared();
/// let chunks: Vec<Vec<u8>> = Exporter::new(Format::Ndjson, &network, None).collect();
/// assert_eq!(chunks.concat(), b"{\"type\":\"node\",\"id\":\"a\"}\n");
/// # Ok::<(), String>(())
/// ```
pub struct Exporter<N> {
    network: N,
    format: Format,
    steps: std::vec::IntoIter<Step>,
    /// Kind being written and its next row.
    rows: Option<(Kind, usize)>,
    output: Output,
    buffer: Vec<u8>,
}

impl<N: Deref<Target = Network>> Exporter<N> {
    /// An exporter that has written nothing yet. [`Format::Csv`] writes the table of nodes; see
    /// [`Exporter::table`].
    pub fn new(format: Format, network: N, title: Option<&str>) -> Self {
        let steps = match format {
            Format::Ndjson => Kind::ALL.map(Step::Rows).to_vec(),
            Format::Csv => return Self::table(Kind::Node, network),
            Format::CsvZip => table_steps(),
            Format::Neo4jZip => neo4j_steps(),
            Format::GraphMl => graphml::steps(title),
            Format::NodeLink => node_link::steps(title),
        };
        Self::of_steps(format, network, steps)
    }

    /// Writes one table as CSV.
    pub fn table(kind: Kind, network: N) -> Self {
        let steps = vec![Step::Text(header(kind)), Step::Rows(kind)];
        Self::of_steps(Format::Csv, network, steps)
    }

    fn of_steps(format: Format, network: N, steps: Vec<Step>) -> Self {
        let output = match format {
            Format::CsvZip | Format::Neo4jZip => {
                let shared = Shared::default();
                Output::Zip(Box::new(ZipWriter::new_stream(shared.clone())), shared)
            }
            _ => Output::Plain,
        };
        Self { network, format, steps: steps.into_iter(), rows: None, output, buffer: Vec::new() }
    }

    /// The next bytes of the file, none at its end.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
        while chunk.len() < CHUNK_BYTES {
            if !self.advance() {
                chunk.extend(self.close());
                break;
            }
            match &mut self.output {
                Output::Plain => chunk.append(&mut self.buffer),
                Output::Zip(archive, shared) => {
                    // Writing into memory cannot fail.
                    let _ = archive.write_all(&self.buffer);
                    self.buffer.clear();
                    chunk.append(&mut shared.take());
                }
                Output::Closed => break,
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Writes one step, or some rows of one, into the buffer. False at the end.
    fn advance(&mut self) -> bool {
        if let Some((kind, first)) = self.rows {
            let count = match kind {
                Kind::Node => self.network.node_count(),
                Kind::Flow => self.network.flow_count(),
                Kind::Requirement => self.network.requirements.len(),
            };
            let mut row = first;
            while row < count && self.buffer.len() < CHUNK_BYTES / 4 {
                self.write(kind, row);
                row += 1;
            }
            self.rows = (row < count).then_some((kind, row));
            return true;
        }
        match self.steps.next() {
            None => return false,
            Some(Step::Text(text)) => self.buffer.extend_from_slice(text.as_bytes()),
            Some(Step::Rows(kind)) => self.rows = Some((kind, 0)),
            Some(Step::Products) => write_products(&self.network, &mut self.buffer),
            Some(Step::Entry(name)) => {
                if let Output::Zip(archive, _) = &mut self.output {
                    let large = self.network.flow_count() > 10_000_000;
                    let options = SimpleFileOptions::default()
                        .compression_method(zip::CompressionMethod::Deflated)
                        .compression_level(Some(3))
                        .large_file(large);
                    // The names are ours and differ; writing into memory cannot fail.
                    let _ = archive.start_file(name, options);
                }
            }
        }
        true
    }

    fn write(&mut self, kind: Kind, row: usize) {
        let network = &*self.network;
        let record = match kind {
            Kind::Node => Record::Node(network.node_record(row as u32)),
            Kind::Flow => Record::Flow(network.flow_record(row)),
            Kind::Requirement => Record::Requirement(network.requirement_record(row)),
        };
        let out = &mut self.buffer;
        match self.format {
            Format::Ndjson => {
                // Records are plain data: they always have a JSON form.
                let _ = serde_json::to_writer(&mut *out, &record);
                out.push(b'\n');
            }
            Format::Csv | Format::CsvZip => write_row(&cells(&record), true, out),
            Format::Neo4jZip => {
                let cells = cells(&record);
                let label = [Cow::Borrowed(neo4j_label(kind))].into_iter();
                let written = cells.iter().map(|c| c.written());
                write_fields(label.chain(written), out);
            }
            Format::GraphMl => graphml::write(&record, row, out),
            Format::NodeLink => node_link::write(&record, row, out),
        }
    }

    /// The end of an archive: its directory.
    fn close(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.output, Output::Closed) {
            Output::Zip(archive, shared) => {
                // Writing into memory cannot fail.
                let _ = archive.finish();
                shared.take()
            }
            Output::Plain | Output::Closed => Vec::new(),
        }
    }
}

impl<N: Deref<Target = Network>> Iterator for Exporter<N> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.next_chunk()
    }
}

fn header(kind: Kind) -> String {
    let names: Vec<&str> = columns(kind).iter().map(|c| c.name).collect();
    names.join(",") + "\n"
}

fn table_steps() -> Vec<Step> {
    let names = [
        (Kind::Node, "nodes.csv"),
        (Kind::Flow, "flows.csv"),
        (Kind::Requirement, "requirements.csv"),
    ];
    let table = |(kind, name)| [Step::Entry(name), Step::Text(header(kind)), Step::Rows(kind)];
    names.into_iter().flat_map(table).collect()
}

/// The label of a node, the type of a relationship.
fn neo4j_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Node => "Node",
        Kind::Flow => "SUPPLIES",
        Kind::Requirement => "REQUIRES",
    }
}

/// Neo4j's header of a table: the label or type first, then our columns with their types.
fn neo4j_header(kind: Kind) -> String {
    let field = |column: &Column| {
        let name = column.name;
        match (kind, name) {
            (Kind::Node, "id") => "id:ID".to_owned(),
            (Kind::Flow, "from") => ":START_ID".to_owned(),
            (Kind::Flow, "to") => ":END_ID".to_owned(),
            (Kind::Requirement, "output") => ":START_ID(Product)".to_owned(),
            (Kind::Requirement, "input") => ":END_ID(Product)".to_owned(),
            _ => match column.kind {
                CellKind::Text | CellKind::Json => name.to_owned(),
                CellKind::Number => format!("{name}:double"),
                CellKind::Integer => format!("{name}:int"),
                CellKind::Flag => format!("{name}:boolean"),
            },
        }
    };
    let first = if kind == Kind::Node { ":LABEL" } else { ":TYPE" };
    let fields: Vec<String> = columns(kind).iter().map(field).collect();
    format!("{first},{}\n", fields.join(","))
}

/// Nodes and flows as nodes and relationships; requirements as relationships between products.
fn neo4j_steps() -> Vec<Step> {
    let table = |name, kind| [Step::Entry(name), Step::Text(neo4j_header(kind)), Step::Rows(kind)];
    let mut steps = table("nodes.csv", Kind::Node).to_vec();
    steps.extend(table("relationships.csv", Kind::Flow));
    steps.extend([
        Step::Entry("products.csv"),
        Step::Text("product:ID(Product),:LABEL\n".into()),
        Step::Products,
    ]);
    steps.extend(table("requirements.csv", Kind::Requirement));
    steps
}

fn write_products(network: &Network, out: &mut Vec<u8>) {
    let name = |s| network.symbols.name(s);
    let products: std::collections::BTreeSet<&str> =
        network.requirements.iter().flat_map(|r| [name(r.output), name(r.input)]).collect();
    for product in products {
        write_fields([Cow::Borrowed(product), Cow::Borrowed("Product")].into_iter(), out);
    }
}
