//! File formats <-> networks, streaming, in bounded memory.
//!
//! [`Importer`] is fed the chunks of an upload as they arrive; [`Exporter`] yields chunks of about
//! 64 KiB. Every format carries all fields of all records: what is exported is what is imported.
//! Bad rows are reported with line and column, all of them, whatever the format; whether they are
//! refused or left out is the caller's choice. Records that the importer hands on are checked:
//! finite, not negative, known countries, no dangling flows.

mod archive;
mod columns;
mod document;
mod export;
mod fault_tree;
mod fields;
mod format;
mod graphml;
mod import;
mod intake;
mod ndjson;
mod node_link;
mod parquet;
mod report;
mod rows;
mod tables;

pub use export::Exporter;
pub use fields::Kind;
pub use format::Format;
pub use import::Importer;
pub use parquet::ParquetExporter;
pub use report::{ImportError, ImportOptions, ImportReport, Limits, RowProblem};

#[cfg(test)]
mod tests;
