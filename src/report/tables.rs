//! The tables of an answer, as CSV and as one Excel workbook. Sources travel with the numbers.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::answer::Answer;
use super::world::Row;
use super::{ReportError, timeline, tornado};

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Name: of the sheet, and in the address of the CSV file.
    pub name: &'static str,
    /// Columns with their meaning in the name.
    pub columns: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A fraction that people read as a percentage.
    Share(f64),
    /// Text.
    Text(String),
    /// Unknown: never zero.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }
}

impl From<Option<f64>> for Cell {
    fn from(share: Option<f64>) -> Self {
        share.map_or(Self::Empty, Self::Share)
    }
}

/// Names of all tables, in the order of the workbook.
pub const NAMES: &[&str] = &[
    "targets",
    "chains",
    "origins",
    "countries",
    "losses",
    "timeline",
    "sensitivity",
    "sources",
    "about",
];

/// Every table of an answer. Tables of parts that the answer lacks are left out.
pub fn tables(answer: &Answer, countries: &[Row]) -> Vec<Table> {
    let all = [
        targets(answer),
        chains(answer),
        origins(answer),
        by_country(countries),
        losses(answer),
        times(answer),
        sensitivity(answer),
        sources(answer),
        about(answer),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn targets(answer: &Answer) -> Table {
    let rows = answer.results.iter().map(|r| {
        let binding: Vec<String> = r
            .binding
            .iter()
            .map(|b| {
                if b.input == b.supplier_product {
                    b.input.clone()
                } else {
                    format!("{} for want of {}", b.input, b.supplier_product)
                }
            })
            .collect();
        vec![
            r.target.as_str().into(),
            Cell::Share(r.loss.value),
            r.loss.low.into(),
            r.loss.high.into(),
            Cell::Share(r.direct),
            Cell::Share(r.indirect),
            r.bracket.map(|b| b.critical_first).into(),
            r.bracket.map(|b| b.proportional).into(),
            binding.join("; ").as_str().into(),
            r.first_shortage_day.map_or(Cell::Empty, Cell::Number),
            r.zero_explanation.as_deref().unwrap_or_default().into(),
            Cell::Number(r.baseline.value),
            r.baseline.unit.as_str().into(),
        ]
    });
    Table {
        name: "targets",
        columns: vec![
            "target",
            "loss",
            "low",
            "high",
            "direct",
            "indirect",
            "critical_first",
            "proportional",
            "binding",
            "first_shortage_day",
            "zero_reason",
            "baseline",
            "unit",
        ],
        rows: rows.collect(),
    }
}

fn chains(answer: &Answer) -> Table {
    let mut rows = Vec::new();
    for explained in answer.explanation.iter().flatten() {
        for chain in &explained.chains {
            let example: Vec<&str> = chain.example.iter().map(|n| n.id.as_str()).collect();
            rows.push(vec![
                explained.target.as_str().into(),
                chain.path.join(" > ").as_str().into(),
                Cell::Share(chain.amount),
                Cell::Share(chain.share),
                example.join(" > ").as_str().into(),
            ]);
        }
        if explained.other > 1e-12 {
            let share = if explained.loss > 0.0 { explained.other / explained.loss } else { 0.0 };
            rows.push(vec![
                explained.target.as_str().into(),
                "other".into(),
                Cell::Share(explained.other),
                Cell::Share(share),
                Cell::Empty,
            ]);
        }
    }
    let columns = vec!["target", "chain", "amount", "share_of_loss", "strongest_path"];
    Table { name: "chains", columns, rows }
}

fn origins(answer: &Answer) -> Table {
    let rows = answer.explanation.iter().flatten().flat_map(|explained| {
        explained.origins.iter().map(|origin| {
            vec![
                explained.target.as_str().into(),
                origin.name.as_str().into(),
                Cell::Share(origin.amount),
            ]
        })
    });
    Table { name: "origins", columns: vec!["target", "origin", "amount"], rows: rows.collect() }
}

fn by_country(countries: &[Row]) -> Table {
    let rows = countries.iter().flat_map(|row| {
        row.stages.iter().map(|(stage, cell)| {
            vec![
                row.country.as_str().into(),
                row.name.as_str().into(),
                stage.as_str().into(),
                Cell::Share(cell.loss),
                Cell::Number(cell.nodes as f64),
                if cell.direct { "yes" } else { "no" }.into(),
            ]
        })
    });
    Table {
        name: "countries",
        columns: vec!["country", "name", "stage", "mean_loss", "nodes", "hit_directly"],
        rows: rows.collect(),
    }
}

fn losses(answer: &Answer) -> Table {
    let rows = answer.nodes.iter().flatten().map(|node| {
        vec![
            node.id.as_str().into(),
            Cell::Share(node.loss),
            if node.direct { "yes" } else { "no" }.into(),
        ]
    });
    Table { name: "losses", columns: vec!["node", "loss", "hit_directly"], rows: rows.collect() }
}

fn times(answer: &Answer) -> Table {
    let paths = timeline::paths(answer);
    let rows = paths.iter().flat_map(|path| {
        path.days.iter().zip(&path.loss).map(|(&day, &loss)| {
            vec![path.target.as_str().into(), Cell::Number(day), Cell::Share(loss)]
        })
    });
    Table { name: "timeline", columns: vec!["target", "day", "loss"], rows: rows.collect() }
}

fn sensitivity(answer: &Answer) -> Table {
    let all = tornado::drivers(answer);
    let rows = all.iter().flat_map(|target| {
        target.drivers.iter().map(|d| {
            vec![
                target.target.as_str().into(),
                d.figure.as_str().into(),
                d.class.as_str().into(),
                Cell::Share(d.at_low),
                Cell::Share(d.at_high),
            ]
        })
    });
    Table {
        name: "sensitivity",
        columns: vec!["target", "figure", "class", "loss_at_low", "loss_at_high"],
        rows: rows.collect(),
    }
}

fn sources(answer: &Answer) -> Table {
    let rows = answer.sources.iter().map(|s| vec![s.source.as_str().into(), Cell::Share(s.share)]);
    Table { name: "sources", columns: vec!["source", "share_of_answer"], rows: rows.collect() }
}

fn about(answer: &Answer) -> Table {
    let text = |name: &str, value: &str| vec![name.into(), value.into()];
    let mut rows = vec![
        text("headline", &answer.headline),
        text("answer", &answer.id),
        text("graph", &answer.graph),
        vec!["version".into(), Cell::Number(answer.version as f64)],
        text("engine", &answer.engine),
        vec!["share_measured".into(), Cell::Share(answer.quality.measured)],
        vec!["share_recalled".into(), Cell::Share(answer.quality.recalled)],
        vec!["share_estimate".into(), Cell::Share(answer.quality.estimate)],
    ];
    for warning in &answer.quality.warnings {
        rows.push(text("caveat", warning));
    }
    rows.push(text("scenario", &serde_json::to_string(&answer.scenario).unwrap_or_default()));
    Table { name: "about", columns: vec!["what", "value"], rows }
}

/// Text that a spreadsheet would take for a formula gets a quote in front.
fn disarmed(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.into()
    }
}

/// A table as CSV. Text that looks like a formula is disarmed; unknown is empty.
///
/// # Errors
/// [`ReportError::Table`].
pub fn csv(table: &Table) -> Result<Vec<u8>, ReportError> {
    let failed = |e: csv::Error| ReportError::Table(e.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&table.columns).map_err(failed)?;
    for row in &table.rows {
        let cells = row.iter().map(|cell| match cell {
            Cell::Number(n) | Cell::Share(n) => n.to_string(),
            Cell::Text(text) => disarmed(text),
            Cell::Empty => String::new(),
        });
        writer.write_record(cells).map_err(failed)?;
    }
    writer.into_inner().map_err(|e| ReportError::Table(e.to_string()))
}

/// Rows of a sheet, below its heading.
const SHEET_ROWS: usize = 1_048_575;
/// Characters of a cell.
const CELL_TEXT: usize = 32_767;

/// All tables as one workbook, a sheet each. Equal tables give equal bytes.
///
/// # Errors
/// [`ReportError::Table`].
pub fn workbook(tables: &[Table], title: &str) -> Result<Vec<u8>, ReportError> {
    write_workbook(tables, title).map_err(|e| ReportError::Table(e.to_string()))
}

fn write_workbook(tables: &[Table], title: &str) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // The time of writing would make every file different.
    let epoch = ExcelDateTime::from_ymd(2000, 1, 1)?;
    let title: String = title.chars().take(255).collect();
    workbook.set_properties(&DocProperties::new().set_title(title).set_creation_datetime(&epoch));
    let head = Format::new().set_bold();
    let share = Format::new().set_num_format("0.0%");
    for table in tables {
        let sheet = workbook.add_worksheet();
        sheet.set_name(table.name)?;
        write_sheet(sheet, table, &head, &share)?;
    }
    workbook.save_to_buffer()
}

fn write_sheet(
    sheet: &mut Worksheet,
    table: &Table,
    head: &Format,
    share: &Format,
) -> Result<(), XlsxError> {
    for (column, name) in table.columns.iter().enumerate() {
        let column = column as u16;
        sheet.write_string_with_format(0, column, *name, head)?;
        let texts = table.rows.iter().take(200).map(|row| match row.get(column as usize) {
            Some(Cell::Text(text)) => text.chars().count(),
            _ => 8,
        });
        let width = texts.chain([name.len()]).max().unwrap_or(8);
        sheet.set_column_width(column, width.clamp(8, 60) as f64 + 1.0)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    for (i, row) in table.rows.iter().take(SHEET_ROWS).enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let (i, column) = (i as u32 + 1, column as u16);
            match cell {
                Cell::Number(n) => sheet.write_number(i, column, *n)?,
                Cell::Share(n) => sheet.write_number_with_format(i, column, *n, share)?,
                // A string cell is never read as a formula.
                Cell::Text(text) => {
                    sheet.write_string(i, column, super::text::clip(text, CELL_TEXT))?
                }
                Cell::Empty => continue,
            };
        }
    }
    Ok(())
}
