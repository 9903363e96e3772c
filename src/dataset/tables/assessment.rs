//! Tables that judge answers and are no part of the network: published scores, value added,
//! published estimates to compare with.

use super::reader::{Cells, TableRow, read_table};
use super::{EMBEDDED, TablesError};

/// One parameter of a published score (`criticality.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalityRow {
    /// Score, for example `eu_2023`.
    pub score: String,
    /// What the value is: a weight, a transform, a threshold, or a figure of a material.
    pub parameter: String,
    /// Which of them: a word or a material.
    pub key: String,
    /// The value.
    pub value: f64,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// What an industry of a country adds to GDP in a year (`value_added.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct ValueAddedRow {
    /// Industry: a product of stage `industry`.
    pub industry: String,
    /// Country code.
    pub country: String,
    /// Value added per year, in `unit`.
    pub value: f64,
    /// Lower end of its range.
    pub low: f64,
    /// Upper end of its range.
    pub high: f64,
    /// Unit.
    pub unit: String,
    /// Year.
    pub year: i32,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// A published estimate to stand beside an answer (`benchmarks.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct BenchmarkRow {
    /// Name.
    pub benchmark: String,
    /// Materials that are withheld.
    pub materials: Vec<String>,
    /// Country that withholds them.
    pub actor: String,
    /// Country that loses.
    pub country: String,
    /// What is estimated.
    pub measure: String,
    /// Central value, in `unit`.
    pub value: f64,
    /// Lower end of its range.
    pub low: f64,
    /// Upper end of its range.
    pub high: f64,
    /// Unit.
    pub unit: String,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// All of them, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// Parameters of published scores.
    pub criticality: Vec<CriticalityRow>,
    /// Value added.
    pub value_added: Vec<ValueAddedRow>,
    /// Published estimates.
    pub benchmarks: Vec<BenchmarkRow>,
}

impl Assessment {
    /// The tables that are part of the program.
    ///
    /// # Errors
    /// Every bad row.
    pub fn embedded() -> Result<Self, TablesError> {
        fn table<R: TableRow>(
            problems: &mut Vec<super::RowProblem>,
        ) -> Result<Vec<R>, TablesError> {
            let missing = || TablesError::Read {
                path: R::FILE.into(),
                source: std::io::Error::from(std::io::ErrorKind::NotFound),
            };
            let file = EMBEDDED.get_file(R::FILE).ok_or_else(missing)?;
            Ok(read_table(file.contents(), problems))
        }
        let mut problems = Vec::new();
        let tables = Self {
            criticality: table(&mut problems)?,
            value_added: table(&mut problems)?,
            benchmarks: table(&mut problems)?,
        };
        if problems.is_empty() { Ok(tables) } else { Err(TablesError::Rows { problems }) }
    }

    /// A parameter of a score.
    pub fn parameter(&self, score: &str, parameter: &str, key: &str) -> Option<&CriticalityRow> {
        self.criticality
            .iter()
            .find(|r| r.score == score && r.parameter == parameter && r.key == key)
    }
}

/// A value with `low <= value <= high`; what is wrong is reported at `value`'s column.
fn ranged(cells: &mut Cells<'_>, column: &str) -> (f64, f64, f64) {
    let mut number = |column: &str| match cells.number(column, 0.0, f64::INFINITY) {
        Some(number) => number,
        None => {
            cells.fail(column, "is empty or no number; a number is required");
            0.0
        }
    };
    let (value, low, high) = (number(column), number("low"), number("high"));
    if !(low <= value && value <= high) {
        cells.fail(column, format!("{value} is outside its range {low} to {high}"));
    }
    (value, low, high)
}

impl TableRow for CriticalityRow {
    const FILE: &'static str = "criticality.csv";
    const COLUMNS: &'static [&'static str] =
        &["score", "parameter", "key", "value", "source", "note"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let value = cells.number("value", 0.0, f64::INFINITY);
        if value.is_none() {
            cells.fail("value", "is empty or no number; a number is required");
        }
        Self {
            score: cells.name("score"),
            parameter: cells.name("parameter"),
            key: cells.text("key"),
            value: value.unwrap_or_default(),
            source: cells.text("source"),
            note: cells.optional("note"),
        }
    }

    fn key(&self) -> Vec<String> {
        vec![self.score.clone(), self.parameter.clone(), self.key.clone()]
    }
}

impl TableRow for ValueAddedRow {
    const FILE: &'static str = "value_added.csv";
    const COLUMNS: &'static [&'static str] =
        &["industry", "country", "value_added", "low", "high", "unit", "year", "source", "note"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let (value, low, high) = ranged(cells, "value_added");
        Self {
            industry: cells.name("industry"),
            country: cells.text("country"),
            value,
            low,
            high,
            unit: cells.text("unit"),
            year: cells.year("year"),
            source: cells.text("source"),
            note: cells.optional("note"),
        }
    }

    fn key(&self) -> Vec<String> {
        vec![self.country.clone(), self.industry.clone()]
    }
}

impl TableRow for BenchmarkRow {
    const FILE: &'static str = "benchmarks.csv";
    const COLUMNS: &'static [&'static str] = &[
        "benchmark",
        "materials",
        "actor",
        "country",
        "measure",
        "value",
        "low",
        "high",
        "unit",
        "source",
        "note",
    ];

    fn read(cells: &mut Cells<'_>) -> Self {
        let (value, low, high) = ranged(cells, "value");
        Self {
            benchmark: cells.name("benchmark"),
            materials: cells.list("materials", true),
            actor: cells.text("actor"),
            country: cells.text("country"),
            measure: cells.text("measure"),
            value,
            low,
            high,
            unit: cells.text("unit"),
            source: cells.text("source"),
            note: cells.optional("note"),
        }
    }

    fn key(&self) -> Vec<String> {
        vec![self.benchmark.clone()]
    }
}
