//! Parquet: nodes, flows and requirements as columns, for data tools. One file for each table.
//!
//! Columns and names are those of the CSV tables; products are always spelled out, so that the
//! tables join without further rules. Numbers are doubles, years 32-bit integers, attributes JSON
//! text. Row groups of 131 072 rows, Snappy, one writer: equal networks give equal bytes.

use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::columns::{Cell, CellKind, cells, columns};
use super::fields::Kind;
use crate::model::{Network, Record};

/// Rows of one row group: what is held in memory at a time.
const GROUP_ROWS: usize = 1 << 17;

/// A buffer with two owners: the writer fills it, the exporter empties it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes one table of a network as Parquet, a row group at a time.
pub struct ParquetExporter<N> {
    network: N,
    kind: Kind,
    next: usize,
    writer: Option<SerializedFileWriter<Shared>>,
    out: Shared,
}

impl<N: Deref<Target = Network>> ParquetExporter<N> {
    /// An exporter that has written nothing yet.
    ///
    /// # Errors
    /// If the writer cannot be set up.
    pub fn new(kind: Kind, network: N) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("chokepoint ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let out = Shared::default();
        let writer = SerializedFileWriter::new(out.clone(), schema(kind)?, Arc::new(properties))?;
        Ok(Self { network, kind, next: 0, writer: Some(writer), out })
    }

    /// Rows of the table.
    fn len(&self) -> usize {
        match self.kind {
            Kind::Node => self.network.node_count(),
            Kind::Flow => self.network.flow_count(),
            Kind::Requirement => self.network.requirements.len(),
        }
    }

    /// The next bytes of the file, none at its end.
    ///
    /// # Errors
    /// If a row group cannot be encoded.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ParquetError> {
        let end = self.len().min(self.next + GROUP_ROWS);
        let Some(writer) = &mut self.writer else { return Ok(None) };
        if self.next < end {
            write_group(writer, &self.network, self.kind, self.next..end)?;
            self.next = end;
        } else if let Some(writer) = self.writer.take() {
            writer.close()?;
        }
        Ok(Some(std::mem::take(&mut *self.out.0.lock().unwrap_or_else(PoisonError::into_inner))))
    }
}

/// Key columns are always there; all others may be null.
fn schema(kind: Kind) -> Result<Arc<Type>, ParquetError> {
    let keys: &[&str] = match kind {
        Kind::Node => &["id", "product"],
        Kind::Flow => &["from", "to", "product", "quantity"],
        Kind::Requirement => &["output", "input", "rule"],
    };
    let fields = columns(kind)
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                CellKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                CellKind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
                CellKind::Number => (Physical::DOUBLE, None),
                CellKind::Integer => (Physical::INT32, None),
                CellKind::Flag => (Physical::BOOLEAN, None),
            };
            let repetition = match keys.contains(&column.name) {
                true => Repetition::REQUIRED,
                false => Repetition::OPTIONAL,
            };
            let field = Type::primitive_type_builder(column.name, physical)
                .with_repetition(repetition)
                .with_logical_type(logical)
                .build()?;
            Ok(Arc::new(field))
        })
        .collect::<Result<Vec<_>, ParquetError>>()?;
    Ok(Arc::new(Type::group_type_builder(kind.as_str()).with_fields(fields).build()?))
}

/// The values of one column of a row group, and which rows have one.
enum Values {
    Text(Vec<ByteArray>),
    Number(Vec<f64>),
    Integer(Vec<i32>),
    Flag(Vec<bool>),
}

fn write_group(
    writer: &mut SerializedFileWriter<Shared>,
    network: &Network,
    kind: Kind,
    rows: std::ops::Range<usize>,
) -> Result<(), ParquetError> {
    let mut data: Vec<(Values, Vec<i16>)> = columns(kind)
        .iter()
        .map(|column| {
            let values = match column.kind {
                CellKind::Text | CellKind::Json => Values::Text(Vec::new()),
                CellKind::Number => Values::Number(Vec::with_capacity(rows.len())),
                CellKind::Integer => Values::Integer(Vec::new()),
                CellKind::Flag => Values::Flag(Vec::new()),
            };
            (values, Vec::with_capacity(rows.len()))
        })
        .collect();
    for row in rows {
        let record = record(network, kind, row);
        for (cell, (values, defined)) in cells(&record).into_iter().zip(&mut data) {
            let there = match (values, cell) {
                (Values::Text(values), Cell::Text(text)) => {
                    values.push(ByteArray::from(text));
                    true
                }
                (Values::Text(values), Cell::Json(text)) => {
                    values.push(ByteArray::from(text.into_bytes()));
                    true
                }
                (Values::Number(values), Cell::Number(number)) => {
                    values.push(number);
                    true
                }
                (Values::Integer(values), Cell::Integer(number)) => {
                    values.push(number);
                    true
                }
                (Values::Flag(values), Cell::Flag(flag)) => {
                    values.push(flag);
                    true
                }
                _ => false,
            };
            defined.push(there.into());
        }
    }
    let mut group = writer.next_row_group()?;
    for (values, defined) in &data {
        let Some(mut column) = group.next_column()? else { break };
        match values {
            Values::Text(v) => put::<ByteArrayType>(&mut column, v, defined)?,
            Values::Number(v) => put::<DoubleType>(&mut column, v, defined)?,
            Values::Integer(v) => put::<Int32Type>(&mut column, v, defined)?,
            Values::Flag(v) => put::<BoolType>(&mut column, v, defined)?,
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

fn put<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    values: &[T::T],
    defined: &[i16],
) -> Result<(), ParquetError> {
    // A required column has no levels, and a value in every row.
    column.typed::<T>().write_batch(values, Some(defined), None)?;
    Ok(())
}

/// A record with its product spelled out.
fn record(network: &Network, kind: Kind, row: usize) -> Record {
    let name = |symbol| Some(network.symbols.name(symbol).to_owned());
    match kind {
        Kind::Node => {
            let mut node = network.node_record(row as u32);
            node.product = name(network.nodes.product[row]);
            Record::Node(node)
        }
        Kind::Flow => {
            let mut flow = network.flow_record(row);
            flow.product = name(network.flows.product[row]);
            Record::Flow(flow)
        }
        Kind::Requirement => Record::Requirement(network.requirement_record(row)),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::model::{Figure, FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule};

    fn file(kind: Kind, network: &Network) -> Vec<u8> {
        let mut exporter = ParquetExporter::new(kind, network).unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = exporter.next_chunk().unwrap() {
            bytes.extend(chunk);
        }
        bytes
    }

    fn rows(kind: Kind, network: &Network) -> Vec<serde_json::Value> {
        let reader = SerializedFileReader::new(bytes::Bytes::from(file(kind, network))).unwrap();
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut builder = NetworkBuilder::new();
        let output = Some(Figure { year: Some(2024), unit: Some("t".into()), ..Figure::bare(2.5) });
        let mut mine = NodeRecord { output, stage: Some("mine".into()), ..NodeRecord::new("a") };
        mine.attributes.insert("owner".into(), "Ø".into());
        builder.add_node(&mine, 0).unwrap();
        builder.add_node(&NodeRecord::new("b"), 1).unwrap();
        builder.add_flow(&FlowRecord { joint: true, ..FlowRecord::new("a", "b", 0.1) }, 2);
        let requirement = RequirementRecord {
            output: "b".into(),
            input: "a".into(),
            rule: Rule::Threshold,
            dependence: None,
            min_share: Some(0.5),
            intensity: None,
        };
        builder.add_requirement(&requirement).unwrap();
        let network = builder.finish().unwrap();

        let nodes = rows(Kind::Node, &network);
        assert_eq!(nodes.len(), 2);
        assert_eq!((&nodes[0]["id"], &nodes[0]["product"]), (&"a".into(), &"a".into()));
        assert_eq!((&nodes[0]["output"], &nodes[0]["output_year"]), (&2.5.into(), &2024.into()));
        assert_eq!(nodes[0]["attributes"], r#"{"owner":"Ø"}"#);
        assert!(nodes[1]["output"].is_null() && nodes[1]["stage"].is_null());
        let flows = rows(Kind::Flow, &network);
        assert_eq!(flows[0]["quantity"], 0.1);
        assert_eq!((&flows[0]["product"], &flows[0]["joint"]), (&"a".into(), &true.into()));
        assert!(flows[0]["capacity"].is_null());
        let requirements = rows(Kind::Requirement, &network);
        assert_eq!(requirements[0]["rule"], "threshold");
        assert_eq!(requirements[0]["min_share"], 0.5);
        assert_eq!(file(Kind::Node, &network), file(Kind::Node, &network));
    }

    #[test]
    fn empty_tables_and_several_row_groups_are_files_too() {
        assert!(rows(Kind::Flow, &Network::default()).is_empty());
        let mut builder = NetworkBuilder::new();
        for i in 0..GROUP_ROWS + 5 {
            builder.add_node(&NodeRecord::new(format!("{i}")), i).unwrap();
        }
        let network = builder.finish().unwrap();
        let bytes = bytes::Bytes::from(file(Kind::Node, &network));
        let reader = SerializedFileReader::new(bytes).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        assert_eq!(reader.metadata().file_metadata().num_rows() as usize, GROUP_ROWS + 5);
    }
}
