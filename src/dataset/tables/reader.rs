//! Reads one CSV table cell by cell and keeps every problem with its line and column.

use std::collections::HashMap;

use chrono::NaiveDate;
use csv::StringRecord;

use super::RowProblem;

/// A typed row of one table.
pub(super) trait TableRow: Sized {
    /// File name inside the tables directory.
    const FILE: &'static str;
    /// Columns, in the order of the header.
    const COLUMNS: &'static [&'static str];

    /// Reads a row. Bad cells are reported to `cells`; the row is then thrown away with its table.
    fn read(cells: &mut Cells<'_>) -> Self;

    /// What no two rows of the table share; rows are kept in its order.
    fn key(&self) -> Vec<String>;
}

/// The cells of one row.
pub(super) struct Cells<'a> {
    file: &'static str,
    /// Line of the file, from 1 (the header).
    pub(super) line: u64,
    columns: &'static [&'static str],
    record: &'a StringRecord,
    problems: &'a mut Vec<RowProblem>,
}

impl Cells<'_> {
    fn raw(&self, column: &str) -> &str {
        self.columns
            .iter()
            .position(|c| *c == column)
            .and_then(|i| self.record.get(i))
            .unwrap_or_default()
            .trim()
    }

    /// Reports a problem of one cell.
    pub(super) fn fail(&mut self, column: &str, problem: impl Into<String>) {
        self.problems.push(RowProblem {
            file: self.file.to_owned(),
            line: self.line,
            column: column.to_owned(),
            problem: problem.into(),
        });
    }

    /// Text that may be empty.
    pub(super) fn optional(&mut self, column: &str) -> Option<String> {
        let raw = self.raw(column);
        let (text, control) = (raw.to_owned(), raw.chars().any(char::is_control));
        if control {
            self.fail(column, "holds a control character");
        }
        (!text.is_empty()).then_some(text)
    }

    /// Text that must be there.
    pub(super) fn text(&mut self, column: &str) -> String {
        let text = self.optional(column);
        if text.is_none() {
            self.fail(column, "is empty; a value is required");
        }
        text.unwrap_or_default()
    }

    /// A snake_case name that must be there.
    pub(super) fn name(&mut self, column: &str) -> String {
        let text = self.text(column);
        if !text.is_empty() && !is_snake_case(&text) {
            self.fail(column, format!("\"{text}\" is not a snake_case name (a-z, 0-9, _)"));
        }
        text
    }

    /// Several values joined with `;`, each checked to be a snake_case name if `names`.
    pub(super) fn list(&mut self, column: &str, names: bool) -> Vec<String> {
        let parts: Vec<String> =
            self.raw(column).split(';').map(str::trim).map(str::to_owned).collect();
        if parts.len() == 1 && parts[0].is_empty() {
            return Vec::new();
        }
        for part in &parts {
            if part.is_empty() {
                self.fail(column, "holds an empty value between two semicolons");
            } else if names && !is_snake_case(part) {
                self.fail(column, format!("\"{part}\" is not a snake_case name (a-z, 0-9, _)"));
            }
        }
        parts
    }

    /// A finite number within `low..=high`, or nothing.
    pub(super) fn number(&mut self, column: &str, low: f64, high: f64) -> Option<f64> {
        let raw = self.raw(column).to_owned();
        if raw.is_empty() {
            return None;
        }
        match raw.parse::<f64>() {
            Ok(n) if !n.is_finite() => {
                self.fail(column, format!("\"{raw}\" is not a finite number"));
                None
            }
            Ok(n) if n < low || n > high => {
                let problem = if high.is_finite() {
                    format!("{n} is outside {low} to {high}")
                } else {
                    format!("{n} is below {low}")
                };
                self.fail(column, problem);
                None
            }
            Ok(n) => Some(n),
            Err(_) => {
                self.fail(column, format!("\"{raw}\" is not a number"));
                None
            }
        }
    }

    /// A year that must be there.
    pub(super) fn year(&mut self, column: &str) -> i32 {
        match self.number(column, 1900.0, 2100.0) {
            Some(y) if y.fract() == 0.0 => y as i32,
            Some(y) => {
                self.fail(column, format!("{y} is not a whole year"));
                0
            }
            None => {
                if self.raw(column).is_empty() {
                    self.fail(column, "is empty; a year is required");
                }
                0
            }
        }
    }

    /// One of a few words.
    pub(super) fn one_of(&mut self, column: &str, words: &[&str]) -> String {
        let text = self.text(column);
        if !text.is_empty() && !words.contains(&text.as_str()) {
            self.fail(column, format!("\"{text}\" is not one of {}", words.join(", ")));
        }
        text
    }

    /// A date (ISO 8601, `YYYY-MM-DD`), or nothing.
    pub(super) fn date(&mut self, column: &str) -> Option<NaiveDate> {
        let raw = self.raw(column).to_owned();
        if raw.is_empty() {
            return None;
        }
        let date = NaiveDate::parse_from_str(&raw, "%Y-%m-%d").ok();
        if date.is_none() {
            self.fail(column, format!("\"{raw}\" is not a date like 2025-04-04"));
        }
        date
    }
}

fn is_snake_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Reads a whole table; rows come back in the order of their keys, so that the order of the lines
/// in the file does not matter.
pub(super) fn read_table<R: TableRow>(bytes: &[u8], problems: &mut Vec<RowProblem>) -> Vec<R> {
    let mut report = |line: u64, column: &str, problem: String| {
        problems.push(RowProblem {
            file: R::FILE.to_owned(),
            line,
            column: column.to_owned(),
            problem,
        });
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut rows: Vec<(Vec<String>, u64, R)> = Vec::new();
    let mut records = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => records.push(record),
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                let problem = match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => "the row is not valid UTF-8".to_owned(),
                    _ => error.to_string(),
                };
                report(line, "(row)", problem);
                // A byte that is not UTF-8 spoils its row only; go on to report the others.
                if !matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
                    break;
                }
            }
        }
    }
    let header_ok = match records.first() {
        Some(header) if header.iter().map(str::trim).eq(R::COLUMNS.iter().copied()) => true,
        Some(header) => {
            let found: Vec<&str> = header.iter().collect();
            report(
                1,
                "(header)",
                format!("the columns must be {}, found {}", R::COLUMNS.join(","), found.join(",")),
            );
            false
        }
        None => {
            report(1, "(header)", "the file is empty; a header is required".into());
            false
        }
    };
    if !header_ok {
        return Vec::new();
    }
    for record in &records[1..] {
        let line = record.position().map_or(1, csv::Position::line);
        if record.len() != R::COLUMNS.len() {
            problems.push(RowProblem {
                file: R::FILE.to_owned(),
                line,
                column: "(row)".to_owned(),
                problem: format!(
                    "has {} cells, the header has {}; quote cells that hold a comma",
                    record.len(),
                    R::COLUMNS.len()
                ),
            });
            continue;
        }
        let mut cells = Cells { file: R::FILE, line, columns: R::COLUMNS, record, problems };
        let row = R::read(&mut cells);
        rows.push((row.key(), line, row));
    }
    let mut first: HashMap<&[String], u64> = HashMap::new();
    for (key, line, _) in &rows {
        if let Some(earlier) = first.insert(key, *line) {
            problems.push(RowProblem {
                file: R::FILE.to_owned(),
                line: *line,
                column: "(row)".to_owned(),
                problem: format!("repeats the key {} of line {earlier}", key.join(", ")),
            });
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
    rows.into_iter().map(|(_, _, row)| row).collect()
}
