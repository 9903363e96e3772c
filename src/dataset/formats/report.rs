//! What an import is asked to do and what it reports: options, limits, bad rows, errors.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Countries;

/// Bounds that keep a hostile file from taking the machine. Every one is checked while reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Longest line, row or element, in bytes.
    pub line_bytes: usize,
    /// Most records of a file.
    pub records: u64,
    /// Most entries of a zip archive.
    pub zip_entries: usize,
    /// Most bytes that a zip archive may unpack to.
    pub zip_bytes: u64,
    /// Most times that an entry may grow when unpacked (looked at beyond the first MiB).
    pub zip_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes: 1 << 20,
            records: 100_000_000,
            zip_entries: 16,
            zip_bytes: 32 << 30,
            zip_ratio: 200,
        }
    }
}

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Leave bad rows out and count them; without it one bad row means that there is no network.
    pub skip_bad_rows: bool,
    /// Problems kept for the report; all are counted.
    pub max_problems: usize,
    /// Bounds on what is read.
    pub limits: Limits,
    /// The register that country codes and names are looked up in.
    pub countries: Arc<Countries>,
    /// Where formats that cannot be read in one pass are kept meanwhile (an unlinked file); the
    /// system's temporary directory if absent.
    pub spool_dir: Option<PathBuf>,
}

impl ImportOptions {
    /// Reject on bad rows, keep a thousand problems, default limits.
    pub fn new(countries: Arc<Countries>) -> Self {
        Self {
            skip_bad_rows: false,
            max_problems: 1000,
            limits: Limits::default(),
            countries,
            spool_dir: None,
        }
    }
}

/// One thing wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct RowProblem {
    /// Entry of the archive, for example `flows.csv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the file, from 1 (0: the file as a whole).
    pub line: u64,
    /// Byte of the line at which reading stopped, from 1, if the line could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Field or column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RowProblem {
    /// A problem without a place; the reader that knows the place fills it in.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), ..Self::default() }
    }

    pub(super) fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn line(mut self, line: u64) -> Self {
        self.line = line;
        self
    }

    pub(super) fn file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl std::fmt::Display for RowProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}, ")?;
        }
        if self.line > 0 {
            write!(f, "line {}", self.line)?;
            if let Some(position) = self.position {
                write!(f, ", byte {position}")?;
            }
            if let Some(column) = &self.column {
                write!(f, ", {column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.problem)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// What an import read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct ImportReport {
    /// Good node records.
    pub nodes: u64,
    /// Good flow records (flows of the same ends and product add up to one later).
    pub flows: u64,
    /// Good requirement records.
    pub requirements: u64,
    /// Bad rows left out. Zero unless the import skips bad rows.
    pub skipped: u64,
    /// The first bad rows, in the order in which they were found.
    pub problems: Vec<RowProblem>,
    /// All bad rows.
    pub problem_count: u64,
    /// Title of the graph, where the format carries one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Node whose loss the top event of an imported fault tree is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Why a file cannot be imported at all, whatever is done about bad rows.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is not what it should be, so that its rows cannot be told apart.
    #[error("{0}")]
    Document(RowProblem),
    /// A limit was passed.
    #[error("{0}")]
    TooLarge(String),
    /// The spool file could not be written or read.
    #[error(
        "cannot keep the upload in a temporary file: {0}; free disk space or set another directory"
    )]
    Spool(#[from] std::io::Error),
}

impl From<RowProblem> for ImportError {
    fn from(problem: RowProblem) -> Self {
        Self::Document(problem)
    }
}

/// A user's text, cut to a length that fits a message.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

/// "did you mean", for words short enough to be compared.
pub(super) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    (written.len() <= 64)
        .then(|| crate::model::selector::suggest(written, known))
        .flatten()
        .map(|word| format!("did you mean {word}?"))
}
