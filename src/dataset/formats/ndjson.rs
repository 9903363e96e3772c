//! NDJSON: one record a line.

use super::fields::{Dialect, record_of_json};
use super::intake::{Intake, checked};
use super::report::RowProblem;
use super::rows::{RowParser, Taken};
use crate::model::Record;

/// Parses the lines of an NDJSON file.
#[derive(Debug)]
pub(super) struct Ndjson;

impl RowParser for Ndjson {
    const QUOTED: bool = false;

    fn header(&mut self, _: &str) -> Result<Taken, RowProblem> {
        Ok(Taken::No)
    }

    fn row(&self, line: &str, intake: &Intake) -> Result<Option<Record>, RowProblem> {
        let record = record_of_json(line, Dialect::Own, None)?;
        checked(record, &intake.options.countries).map(Some)
    }
}
