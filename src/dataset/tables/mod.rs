//! The reference tables: every row typed and checked, every bad row reported with file, line and
//! column.
//!
//! A table is read whole or not at all: one bad row makes an error that lists all bad rows of all
//! tables. Rows come out in the order of their keys, so the order of the lines does not matter.

mod assessment;
mod check;
mod read;
mod reader;
mod rows;

use std::fmt;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::model::Countries;
use crate::model::country::Country;
use crate::model::figure::FigureClass;

pub use assessment::{Assessment, BenchmarkRow, CriticalityRow, ValueAddedRow};
use reader::{TableRow, read_table};
pub use rows::{
    BomRow, CapacityRow, CountryRow, NETWORK_STAGES, PolicyRow, ProductionRow, ProjectRow,
    StockpileRow, TermRow, TradeRow, UseRow, UseShareRow,
};

/// The consumer that stands for every use outside the network.
pub use crate::model::scenario::OTHER_USES;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/graph-data/tables");

/// All reference tables, checked. Rows are sorted by their keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tables {
    /// Countries' parts of materials' stages, prices and claims.
    pub production: Vec<ProductionRow>,
    /// Uses of materials and platform facts.
    pub uses: Vec<UseRow>,
    /// What each output needs.
    pub bill_of_materials: Vec<BomRow>,
    /// How an input's world supply is split among its consumers.
    pub use_shares: Vec<UseShareRow>,
    /// Bilateral import shares and import reliance.
    pub trade: Vec<TradeRow>,
    /// Stocks, targets, plans and budgets.
    pub stockpiles: Vec<StockpileRow>,
    /// Measures of governments.
    pub policies: Vec<PolicyRow>,
    /// New capacity.
    pub projects: Vec<ProjectRow>,
    /// Countries and pseudo countries.
    pub countries: Vec<CountryRow>,
    /// Words of other tables that are no product of the network.
    pub terms: Vec<TermRow>,
    /// Known capacities.
    pub capacities: Vec<CapacityRow>,
}

/// One cell that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowProblem {
    /// File name.
    pub file: String,
    /// Line of the file, from 1 (the header).
    pub line: u64,
    /// Column, or `(row)` or `(header)`.
    pub column: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.problem)
    }
}

/// Why the tables cannot be used; nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// A file is missing or cannot be read.
    #[error("cannot read table {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// Bad rows, in the order of file and line.
    #[error("{} in the reference tables:\n{}", count(problems.len()), listed(problems))]
    Rows {
        /// All of them.
        problems: Vec<RowProblem>,
    },
}

fn count(n: usize) -> String {
    if n == 1 { "1 bad cell".to_owned() } else { format!("{n} bad cells") }
}

fn listed(problems: &[RowProblem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}

impl Tables {
    /// The tables that are part of the program.
    ///
    /// # Errors
    /// Every bad row. The tables are checked when the program is tested, so this does not happen
    /// in a release.
    pub fn embedded() -> Result<Self, TablesError> {
        Self::read(|file| {
            EMBEDDED
                .get_file(file)
                .map(|f| f.contents().to_vec())
                .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
        })
    }

    /// The tables of a directory that holds the same files as `graph-data/tables`.
    ///
    /// # Errors
    /// A file that cannot be read, or every bad row of all files.
    pub fn from_directory(directory: &Path) -> Result<Self, TablesError> {
        Self::read(|file| std::fs::read(directory.join(file)))
    }

    /// Reads the tables through `open`, which gives the bytes of a file by its name.
    ///
    /// # Errors
    /// A file that cannot be read, or every bad row of all files.
    pub fn read(
        mut open: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, TablesError> {
        let mut problems = Vec::new();
        let tables = Self {
            production: table(&mut open, &mut problems)?,
            uses: table(&mut open, &mut problems)?,
            bill_of_materials: table(&mut open, &mut problems)?,
            use_shares: table(&mut open, &mut problems)?,
            trade: table(&mut open, &mut problems)?,
            stockpiles: table(&mut open, &mut problems)?,
            policies: table(&mut open, &mut problems)?,
            projects: table(&mut open, &mut problems)?,
            countries: table(&mut open, &mut problems)?,
            terms: table(&mut open, &mut problems)?,
            capacities: table(&mut open, &mut problems)?,
        };
        // Checks across rows speak of whole tables: they would only repeat what is already wrong.
        if problems.is_empty() {
            problems = check::across_rows(&tables);
        }
        if problems.is_empty() {
            return Ok(tables);
        }
        problems.sort();
        problems.dedup();
        Err(TablesError::Rows { problems })
    }

    /// The register of countries of these tables.
    pub fn country_register(&self) -> Countries {
        self.countries
            .iter()
            .map(|row| Country {
                code: row.iso3.clone(),
                name: row.name.clone(),
                region: row.region.clone(),
                blocs: row.blocs.clone(),
                governance: row.governance,
                source: row.source.clone(),
            })
            .collect()
    }

    /// The products of the network that a word of the tables stands for: itself, or those of
    /// `terms.csv`.
    pub fn products_of<'a>(&'a self, word: &'a str) -> Vec<&'a str> {
        match self.terms.binary_search_by(|t| t.term.as_str().cmp(word)) {
            Ok(i) => self.terms[i].products.iter().map(String::as_str).collect(),
            Err(_) => vec![word],
        }
    }
}

fn table<R: TableRow>(
    open: &mut impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    problems: &mut Vec<RowProblem>,
) -> Result<Vec<R>, TablesError> {
    let bytes =
        open(R::FILE).map_err(|source| TablesError::Read { path: R::FILE.into(), source })?;
    Ok(read_table(&bytes, problems))
}

/// How a number is known, read from its source: `estimate` anywhere makes an estimate, else
/// `recalled` anywhere makes it recalled, else a source that starts with `derived` makes it
/// derived; all others were read in the publication that they name.
pub fn class_of_source(source: &str) -> FigureClass {
    let source = source.to_lowercase();
    if source.contains("estimate") {
        FigureClass::Estimate
    } else if source.contains("recalled") {
        FigureClass::Recalled
    } else if source.starts_with("derived") {
        FigureClass::Derived
    } else {
        FigureClass::Measured
    }
}
