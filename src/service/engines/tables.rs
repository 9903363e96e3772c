//! Tables of plain columns as Parquet files: what the service and other engines hand each other.
//!
//! A table is a folder of parts `part-00000.parquet`, ...; columns are 64-bit integers, doubles and
//! texts. Snappy, one row group a part.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use sha2::{Digest, Sha256};

use super::manifest::{ExchangeError, FileEntry, Manifest, hexadecimal};

/// Most rows of a part.
pub const PART_ROWS: usize = 1 << 20;

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Whole numbers: node numbers, codes.
    Integer(Vec<i64>),
    /// Numbers.
    Number(Vec<f64>),
    /// Numbers that some rows do not have.
    Optional(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<String>),
}

impl Column {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Optional(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn field(&self, name: &str) -> Result<Type, ParquetError> {
        let (physical, logical, repetition) = match self {
            Self::Integer(_) => (Physical::INT64, None, Repetition::REQUIRED),
            Self::Number(_) => (Physical::DOUBLE, None, Repetition::REQUIRED),
            Self::Optional(_) => (Physical::DOUBLE, None, Repetition::OPTIONAL),
            Self::Text(_) => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED)
            }
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
    }
}

/// Writes and hashes in one go.
struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes the parts of one table below a folder.
pub struct Parts {
    folder: PathBuf,
    table: String,
    rows: u64,
    files: Vec<FileEntry>,
}

impl Parts {
    /// A table without parts.
    pub fn new(folder: &Path, table: &str) -> Self {
        Self { folder: folder.to_owned(), table: table.to_owned(), rows: 0, files: Vec::new() }
    }

    /// Writes a part: columns of one length, the same in every part.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add(&mut self, columns: &[(&str, Column)]) -> Result<(), ExchangeError> {
        let name = format!("{}/part-{:05}.parquet", self.table, self.files.len());
        let path = self.folder.join(&name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(ExchangeError::io(parent))?;
        }
        let file = File::create(&path).map_err(ExchangeError::io(&path))?;
        let out = Hashing { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
        let out = write(out, &self.table, columns).map_err(|error| ExchangeError::Parquet {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        let file = out.file.into_inner().map_err(|e| ExchangeError::io(&path)(e.into_error()))?;
        file.sync_all().map_err(ExchangeError::io(&path))?;
        self.rows += columns.first().map_or(0, |(_, column)| column.len()) as u64;
        self.files.push(FileEntry {
            table: self.table.clone(),
            path: name,
            bytes: out.bytes,
            sha256: hexadecimal(&out.hash.finalize()),
        });
        Ok(())
    }

    /// Enters the table into a manifest.
    pub fn finish(self, manifest: &mut Manifest) {
        manifest.counts.insert(self.table, self.rows);
        manifest.files.extend(self.files);
    }
}

fn write(out: Hashing, table: &str, columns: &[(&str, Column)]) -> Result<Hashing, ParquetError> {
    let fields = columns
        .iter()
        .map(|(name, column)| Ok(Arc::new(column.field(name)?)))
        .collect::<Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(Type::group_type_builder(table).with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("chokepoint ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, column) in columns {
        let Some(mut writer) = group.next_column()? else { break };
        match column {
            Column::Integer(values) => {
                writer.typed::<Int64Type>().write_batch(values, None, None)?;
            }
            Column::Number(values) => {
                writer.typed::<DoubleType>().write_batch(values, None, None)?;
            }
            Column::Optional(values) => {
                let there: Vec<f64> = values.iter().copied().flatten().collect();
                let levels: Vec<i16> = values.iter().map(|v| v.is_some().into()).collect();
                writer.typed::<DoubleType>().write_batch(&there, Some(&levels), None)?;
            }
            Column::Text(values) => {
                let texts: Vec<ByteArray> =
                    values.iter().map(|text| ByteArray::from(text.as_str())).collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    writer.into_inner()
}

fn opened(path: &Path) -> Result<SerializedFileReader<File>, ExchangeError> {
    let file = File::open(path).map_err(ExchangeError::io(path))?;
    SerializedFileReader::new(file).map_err(|error| ExchangeError::Parquet {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// Number of rows of a file, by its footer.
///
/// # Errors
/// A file that is no Parquet.
pub fn rows_of(path: &Path) -> Result<u64, ExchangeError> {
    Ok(opened(path)?.metadata().file_metadata().num_rows().max(0) as u64)
}

/// Reads a file of integers and doubles, all of whose rows are complete: names and values.
///
/// # Errors
/// A file that is no Parquet, has other columns, or gaps.
pub fn read(path: &Path) -> Result<Vec<(String, Column)>, ExchangeError> {
    let reader = opened(path)?;
    let wrong = |error: ParquetError| ExchangeError::Parquet {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut columns: Vec<(String, Column)> = schema
        .columns()
        .iter()
        .map(|column| {
            let name = column.name().to_owned();
            match column.physical_type() {
                Physical::INT64 => Ok((name, Column::Integer(Vec::new()))),
                Physical::DOUBLE => Ok((name, Column::Number(Vec::new()))),
                other => Err(ExchangeError::mismatch(
                    path,
                    format!("column {name} is {other}; results hold INT64 and DOUBLE"),
                )),
            }
        })
        .collect::<Result<_, _>>()?;
    for g in 0..reader.num_row_groups() {
        let group = reader.get_row_group(g).map_err(wrong)?;
        let rows = group.metadata().num_rows().max(0) as usize;
        for (c, (name, column)) in columns.iter_mut().enumerate() {
            let before = column.len();
            let mut levels = Vec::new();
            let optional = schema.column(c).max_def_level() > 0;
            let reader = group.get_column_reader(c).map_err(wrong)?;
            match (reader, &mut *column) {
                (ColumnReader::Int64ColumnReader(mut r), Column::Integer(values)) => {
                    let levels = optional.then_some(&mut levels);
                    r.read_records(rows, levels, None, values).map_err(wrong)?;
                }
                (ColumnReader::DoubleColumnReader(mut r), Column::Number(values)) => {
                    let levels = optional.then_some(&mut levels);
                    r.read_records(rows, levels, None, values).map_err(wrong)?;
                }
                _ => return Err(ExchangeError::mismatch(path, format!("column {name} differs"))),
            }
            if column.len() - before != rows {
                return Err(ExchangeError::mismatch(path, format!("column {name} has gaps")));
            }
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Parts::new(dir.path(), "rows");
        let node = Column::Integer((0..5000).collect());
        let loss = Column::Number((0..5000).map(|i| f64::from(i) / 7.0).collect());
        parts.add(&[("node", node.clone()), ("loss", loss.clone())]).unwrap();
        let file = dir.path().join("rows/part-00000.parquet");
        assert_eq!(rows_of(&file).unwrap(), 5000);
        assert_eq!(read(&file).unwrap(), [("node".into(), node), ("loss".into(), loss)]);

        // Texts are for other programs, and gaps are no results.
        let mut others = Parts::new(dir.path(), "others");
        others.add(&[("id", Column::Text(vec!["a".into()]))]).unwrap();
        others.add(&[("output", Column::Optional(vec![Some(1.0), None]))]).unwrap();
        assert!(read(&dir.path().join("others/part-00000.parquet")).is_err());
        let gaps = read(&dir.path().join("others/part-00001.parquet")).unwrap_err();
        assert!(gaps.to_string().contains("gaps"));
        assert!(rows_of(&dir.path().join("absent")).is_err());
    }
}
