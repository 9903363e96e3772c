//! The importer: chunks of an upload in, a network and a report out.

use std::fs::File;
use std::io::{Seek, Write};

use super::format::Format;
use super::intake::Intake;
use super::ndjson::Ndjson;
use super::report::{ImportError, ImportOptions, ImportReport};
use super::rows::Rows;
use super::tables::Table;
use super::{archive, fault_tree, graphml, node_link};
use crate::model::{Change, Network};

/// Reads one file that arrives in chunks of any size.
///
/// NDJSON and CSV are parsed as they arrive. Archives, GraphML and node-link JSON are kept in an
/// unlinked temporary file until the last byte is there, then parsed from it in one pass; in
/// neither case is the file held in memory.
///
/// ```
/// use std::sync::Arc;
/// use chokepoint::dataset::formats::{Format, ImportOptions, Importer};
///
/// let options = ImportOptions::new(Arc::default());
/// let mut importer = Importer::new(Format::Ndjson, options)?;
/// importer.feed(b"{\"type\":\"node\",\"id\":\"a\"}\n{\"type\":\"fl")?;
/// importer.feed(b"ow\",\"from\":\"a\",\"to\":\"b\"}\n")?;
/// let (network, report) = importer.finish()?;
/// assert!(network.is_none());
/// assert_eq!(report.problems[0].line, 2);
/// assert!(report.problems[0].problem.contains("no node b"));
/// # Ok::<(), chokepoint::dataset::formats::ImportError>(())
/// ```
#[derive(Debug)]
pub struct Importer {
    intake: Intake,
    reader: Reader,
    /// Bytes of the byte order mark still to be looked for; `None` once past it.
    mark: Option<usize>,
}

#[derive(Debug)]
enum Reader {
    Lines(Rows<Ndjson>),
    Table(Rows<Table>),
    Spool(Format, File),
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Importer {
    /// An importer that has read nothing yet.
    ///
    /// # Errors
    /// [`ImportError::Spool`] if the format needs a temporary file and none can be made.
    pub fn new(format: Format, options: ImportOptions) -> Result<Self, ImportError> {
        let reader = match format {
            Format::Ndjson => Reader::Lines(Rows::new(Ndjson)),
            Format::Csv => Reader::Table(Rows::new(Table::default())),
            _ => Reader::Spool(
                format,
                match &options.spool_dir {
                    Some(dir) => tempfile::tempfile_in(dir)?,
                    None => tempfile::tempfile()?,
                },
            ),
        };
        Ok(Self { intake: Intake::new(options), reader, mark: Some(0) })
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// Only what ends the import: bad rows are counted in the [report](Self::report).
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), ImportError> {
        let mut chunk = chunk;
        while let Some(seen) = self.mark {
            let Some(&byte) = chunk.first() else { return Ok(()) };
            if byte == BYTE_ORDER_MARK[seen] {
                chunk = &chunk[1..];
                self.mark = (seen + 1 < BYTE_ORDER_MARK.len()).then_some(seen + 1);
            } else {
                self.mark = None;
                self.take(&BYTE_ORDER_MARK[..seen])?;
            }
        }
        self.take(chunk)
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ImportError> {
        match &mut self.reader {
            Reader::Lines(lines) => lines.feed(chunk, &mut self.intake),
            Reader::Table(rows) => rows.feed(chunk, &mut self.intake),
            Reader::Spool(_, file) => Ok(file.write_all(chunk)?),
        }
    }

    /// What was read so far; the formats that are kept until the end are read at the end.
    pub fn report(&self) -> &ImportReport {
        &self.intake.report
    }

    fn read_out(self) -> Result<Intake, ImportError> {
        let Self { mut intake, reader, .. } = self;
        match reader {
            Reader::Lines(lines) => {
                lines.finish(&mut intake)?;
            }
            Reader::Table(rows) => rows.finish(&mut intake)?.finish()?,
            Reader::Spool(format, mut file) => {
                file.rewind()?;
                match format {
                    Format::CsvZip | Format::Neo4jZip => archive::read(file, &mut intake)?,
                    // The same media types stand for fault trees; the root element tells.
                    Format::GraphMl if fault_tree::is_one(&mut file)? => {
                        fault_tree::read(file, &mut intake)?;
                    }
                    Format::GraphMl => graphml::read(file, &mut intake)?,
                    _ => node_link::read(file, &mut intake)?,
                }
            }
        }
        Ok(intake)
    }

    /// Reads what is left and builds the network that the file describes. There is none if rows
    /// were bad and are not to be skipped.
    ///
    /// # Errors
    /// The file cannot be read at all.
    pub fn finish(self) -> Result<(Option<Network>, ImportReport), ImportError> {
        self.read_out().map(Intake::finish)
    }

    /// Reads what is left and makes it changes to `base` (a merge): records of the file replace
    /// those of the same key, and flows may point at nodes of `base`. Rows of one key within the
    /// file are treated as in [`finish`](Self::finish): flows add up, nodes are refused.
    ///
    /// # Errors
    /// The file cannot be read at all.
    pub fn finish_changes(
        self,
        base: &Network,
    ) -> Result<(Option<Vec<Change>>, ImportReport), ImportError> {
        Ok(self.read_out()?.finish_changes(base))
    }
}
