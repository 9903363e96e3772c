//! Records as rows of text cells: the columns that CSV, Neo4j's CSV and GraphML share.

use std::borrow::Cow;

use super::fields::Kind;
use super::report::{RowProblem, shown};
use crate::model::record::Attributes;
use crate::model::{Figure, FigureClass, FlowRecord, NodeRecord, Record, RequirementRecord, Rule};

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Text,
    Number,
    Integer,
    Flag,
    /// A JSON object (attributes).
    Json,
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub name: &'static str,
    pub kind: CellKind,
}

const fn column(name: &'static str, kind: CellKind) -> Column {
    Column { name, kind }
}

/// The columns of a kind of record. A figure takes seven: value, low, high, unit, year, class,
/// source.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    use CellKind::{Flag, Integer, Json, Number, Text};
    macro_rules! table {
        ($name:ident, $($text:literal $kind:ident),* $(,)?) => {
            static $name: &[Column] = &[$(column($text, $kind)),*];
        };
    }
    table! { NODE,
        "id" Text, "stage" Text, "product" Text, "country" Text,
        "output" Number, "output_low" Number, "output_high" Number, "output_unit" Text,
        "output_year" Integer, "output_class" Text, "output_source" Text,
        "capacity" Number, "capacity_low" Number, "capacity_high" Number, "capacity_unit" Text,
        "capacity_year" Integer, "capacity_class" Text, "capacity_source" Text,
        "stock_days" Number, "stock_days_low" Number, "stock_days_high" Number,
        "stock_days_unit" Text, "stock_days_year" Integer, "stock_days_class" Text,
        "stock_days_source" Text,
        "attributes" Json,
    }
    table! { FLOW,
        "from" Text, "to" Text, "product" Text,
        "quantity" Number, "low" Number, "high" Number, "unit" Text, "year" Integer,
        "class" Text, "source" Text,
        "capacity" Number, "joint" Flag, "lead_days" Number, "attributes" Json,
    }
    table! { REQUIREMENT,
        "output" Text, "input" Text, "rule" Text,
        "dependence" Number, "dependence_low" Number, "dependence_high" Number,
        "dependence_unit" Text, "dependence_year" Integer, "dependence_class" Text,
        "dependence_source" Text,
        "min_share" Number,
        "intensity" Number, "intensity_low" Number, "intensity_high" Number,
        "intensity_unit" Text, "intensity_year" Integer, "intensity_class" Text,
        "intensity_source" Text,
    }
    match kind {
        Kind::Node => NODE,
        Kind::Flow => FLOW,
        Kind::Requirement => REQUIREMENT,
    }
}

/// Columns of a figure.
const FIGURE: usize = 7;

/// The cells of one row, one for each of the [`columns`] of its kind; absent ones are none.
pub(super) struct Row<'c, 't> {
    kind: Kind,
    cells: &'c mut [Option<Cow<'t, str>>],
}

impl<'c, 't> Row<'c, 't> {
    pub fn new(kind: Kind, cells: &'c mut [Option<Cow<'t, str>>]) -> Self {
        Self { kind, cells }
    }

    fn name(&self, at: usize) -> &'static str {
        columns(self.kind)[at].name
    }

    fn wrong(&self, at: usize, problem: &str) -> RowProblem {
        let name = self.name(at);
        let written = shown(self.cells[at].as_deref().unwrap_or_default());
        RowProblem::new(format!("{name} {problem}, not \"{written}\"")).column(name)
    }

    fn text(&mut self, at: usize) -> Option<String> {
        self.cells[at].take().map(Cow::into_owned)
    }

    fn required(&mut self, at: usize) -> Result<String, RowProblem> {
        let name = self.name(at);
        self.text(at).ok_or_else(|| {
            RowProblem::new(format!("a {} needs {name}", self.kind.as_str())).column(name)
        })
    }

    fn parsed<T>(
        &self,
        at: usize,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RowProblem> {
        let Some(cell) = &self.cells[at] else { return Ok(None) };
        parse(cell.trim()).map(Some).ok_or_else(|| self.wrong(at, wanted))
    }

    fn number(&self, at: usize) -> Result<Option<f64>, RowProblem> {
        let finite = |cell: &str| cell.parse::<f64>().ok().filter(|n| n.is_finite());
        self.parsed(at, "must be a finite number with a decimal point", finite)
    }

    fn flag(&self, at: usize) -> Result<bool, RowProblem> {
        let flag = |cell: &str| match cell {
            "1" => Some(true),
            "0" => Some(false),
            word => word.to_ascii_lowercase().parse().ok(),
        };
        Ok(self.parsed(at, "must be true or false", flag)?.unwrap_or_default())
    }

    /// The figure whose value stands at `at`.
    fn figure(&mut self, at: usize) -> Result<Option<Figure>, RowProblem> {
        let Some(value) = self.number(at)? else {
            let stray = (at + 1..at + FIGURE).find(|&i| self.cells[i].is_some());
            return match stray {
                None => Ok(None),
                Some(i) => {
                    let (name, value) = (self.name(i), self.name(at));
                    Err(RowProblem::new(format!("{name} is given without {value}")).column(name))
                }
            };
        };
        let class = |cell: &str| cell.parse::<FigureClass>().ok();
        Ok(Some(Figure {
            value,
            low: self.number(at + 1)?,
            high: self.number(at + 2)?,
            unit: self.text(at + 3),
            year: self.parsed(at + 4, "must be a whole number", |cell| cell.parse().ok())?,
            class: self.parsed(at + 5, "must be measured, recalled, estimate or derived", class)?,
            source: self.text(at + 6),
        }))
    }

    fn attributes(&self, at: usize) -> Result<Attributes, RowProblem> {
        let Some(cell) = &self.cells[at] else { return Ok(Attributes::new()) };
        serde_json::from_str(cell).map_err(|e| {
            let name = self.name(at);
            RowProblem::new(format!("{name} must be a JSON object: {e}"))
                .column(name)
                .hint("for example {\"owner\":\"CHN\"}")
        })
    }

    /// The record of the row.
    pub fn into_record(mut self) -> Result<Record, RowProblem> {
        Ok(match self.kind {
            Kind::Node => Record::Node(NodeRecord {
                id: self.required(0)?,
                stage: self.text(1),
                product: self.text(2),
                country: self.text(3),
                output: self.figure(4)?,
                capacity: self.figure(11)?,
                stock_days: self.figure(18)?,
                attributes: self.attributes(25)?,
            }),
            Kind::Flow => {
                let quantity = match self.figure(3)? {
                    Some(figure) => figure,
                    None => Figure::bare(1.0),
                };
                Record::Flow(FlowRecord {
                    from: self.required(0)?,
                    to: self.required(1)?,
                    product: self.text(2),
                    unit: quantity.unit,
                    class: quantity.class,
                    source: quantity.source,
                    year: quantity.year,
                    low: quantity.low,
                    high: quantity.high,
                    quantity: Figure::bare(quantity.value),
                    capacity: self.number(10)?,
                    joint: self.flag(11)?,
                    lead_days: self.number(12)?,
                    attributes: self.attributes(13)?,
                })
            }
            Kind::Requirement => {
                let rule = |cell: &str| {
                    let rules = [Rule::Limiting, Rule::Additive, Rule::None, Rule::Threshold];
                    rules.into_iter().find(|rule| rule.to_string() == cell)
                };
                Record::Requirement(RequirementRecord {
                    output: self.required(0)?,
                    input: self.required(1)?,
                    rule: self
                        .parsed(2, "must be limiting, additive, none or threshold", rule)?
                        .unwrap_or_default(),
                    dependence: self.figure(3)?,
                    min_share: self.number(10)?,
                    intensity: self.figure(11)?,
                })
            }
        })
    }
}

/// One cell on its way out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Empty,
    Text(&'a str),
    Number(f64),
    Integer(i32),
    Flag(bool),
    Json(String),
}

impl<'a> Cell<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }

    fn number(number: Option<f64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }

    fn attributes(attributes: &Attributes) -> Self {
        if attributes.is_empty() {
            return Self::Empty;
        }
        serde_json::to_string(attributes).map_or(Self::Empty, Self::Json)
    }

    /// The cell as text; numbers in the shortest form that reads back the same.
    pub fn written(&self) -> Cow<'_, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(n) if *n == 0.0 || (1e-6..1e16).contains(&n.abs()) => {
                Cow::Owned(n.to_string())
            }
            Self::Number(n) => Cow::Owned(format!("{n:e}")),
            Self::Integer(n) => Cow::Owned(n.to_string()),
            Self::Flag(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Self::Json(text) => Cow::Borrowed(text),
        }
    }
}

fn figure_cells<'a>(figure: Option<&'a Figure>, cells: &mut Vec<Cell<'a>>) {
    let Some(f) = figure else {
        cells.extend([const { Cell::Empty }; FIGURE]);
        return;
    };
    cells.extend([
        Cell::Number(f.value),
        Cell::number(f.low),
        Cell::number(f.high),
        Cell::text(f.unit.as_deref()),
        f.year.map_or(Cell::Empty, Cell::Integer),
        Cell::text(f.class.map(FigureClass::as_str)),
        Cell::text(f.source.as_deref()),
    ]);
}

/// The cells of a record, one for each of the [`columns`] of its kind.
pub(super) fn cells(record: &Record) -> Vec<Cell<'_>> {
    let mut cells = Vec::with_capacity(26);
    match record {
        Record::Node(node) => {
            cells.extend([
                Cell::Text(&node.id),
                Cell::text(node.stage.as_deref()),
                Cell::text(node.product.as_deref()),
                Cell::text(node.country.as_deref()),
            ]);
            figure_cells(node.output.as_ref(), &mut cells);
            figure_cells(node.capacity.as_ref(), &mut cells);
            figure_cells(node.stock_days.as_ref(), &mut cells);
            cells.push(Cell::attributes(&node.attributes));
        }
        Record::Flow(flow) => cells.extend([
            Cell::Text(&flow.from),
            Cell::Text(&flow.to),
            Cell::text(flow.product.as_deref()),
            Cell::Number(flow.quantity.value),
            Cell::number(flow.low),
            Cell::number(flow.high),
            Cell::text(flow.unit.as_deref()),
            flow.year.map_or(Cell::Empty, Cell::Integer),
            Cell::text(flow.class.map(FigureClass::as_str)),
            Cell::text(flow.source.as_deref()),
            Cell::number(flow.capacity),
            if flow.joint { Cell::Flag(true) } else { Cell::Empty },
            Cell::number(flow.lead_days),
            Cell::attributes(&flow.attributes),
        ]),
        Record::Requirement(r) => {
            cells.extend([
                Cell::Text(&r.output),
                Cell::Text(&r.input),
                Cell::Text(match r.rule {
                    Rule::Limiting => "limiting",
                    Rule::Additive => "additive",
                    Rule::None => "none",
                    Rule::Threshold => "threshold",
                }),
            ]);
            figure_cells(r.dependence.as_ref(), &mut cells);
            cells.push(Cell::number(r.min_share));
            figure_cells(r.intensity.as_ref(), &mut cells);
        }
    }
    cells
}
