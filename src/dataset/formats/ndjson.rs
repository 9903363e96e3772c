//! NDJSON: one record a line. The fast way in; lines are parsed side by side, kept in order.

use rayon::prelude::*;

use super::fields::{Dialect, record_of_json};
use super::intake::{Intake, checked};
use super::report::{ImportError, RowProblem};
use crate::model::{Countries, Record};

/// Text that is collected before it is parsed.
const BATCH_BYTES: usize = 1 << 20;
/// Lines that one task parses.
const TASK_LINES: usize = 1024;

/// Splits pushed chunks into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Lines handed on so far.
    line: u64,
    /// In the middle of a line that is too long and already reported.
    overlong: bool,
}

impl Lines {
    pub fn feed(&mut self, chunk: &[u8], intake: &mut Intake) -> Result<(), ImportError> {
        for piece in chunk.chunks(BATCH_BYTES) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= BATCH_BYTES {
                self.drain(intake)?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self, intake: &mut Intake) -> Result<(), ImportError> {
        if self.buffer.last().is_some_and(|&b| b != b'\n') {
            self.buffer.push(b'\n');
        }
        self.drain(intake)
    }

    /// Parses the complete lines of the buffer.
    fn drain(&mut self, intake: &mut Intake) -> Result<(), ImportError> {
        let limit = intake.options.limits.line_bytes;
        let complete = memchr::memrchr(b'\n', &self.buffer).map_or(0, |last| last + 1);
        let mut lines: Vec<(u64, &[u8])> = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &self.buffer[..complete]) {
            self.line += 1;
            if !std::mem::take(&mut self.overlong) {
                lines.push((self.line, &self.buffer[start..end]));
            }
            start = end + 1;
        }
        let countries = &*intake.options.countries;
        let rows: Vec<Vec<_>> = lines
            .par_chunks(TASK_LINES)
            .map(|chunk| {
                let row = |&(line, text): &(u64, &[u8])| {
                    Some((line, row(text, limit, countries).transpose()?))
                };
                chunk.iter().filter_map(row).collect()
            })
            .collect();
        for (line, row) in rows.into_iter().flatten() {
            intake.row(line, row)?;
        }
        self.buffer.drain(..complete);
        if self.buffer.len() > limit {
            if !self.overlong {
                self.overlong = true;
                intake.problem(too_long(limit).line(self.line + 1));
            }
            self.buffer.clear();
        }
        Ok(())
    }
}

fn too_long(limit: usize) -> RowProblem {
    RowProblem::new(format!("the line is longer than {limit} bytes"))
        .hint("one record a line; is a line break missing?")
}

/// The record of one line, none for a blank one.
fn row(line: &[u8], limit: usize, countries: &Countries) -> Result<Option<Record>, RowProblem> {
    if line.len() > limit {
        return Err(too_long(limit));
    }
    let text = std::str::from_utf8(line).map_err(|e| {
        let mut problem = RowProblem::new("the line is not UTF-8").hint("save the file as UTF-8");
        problem.position = Some(e.valid_up_to() as u64 + 1);
        problem
    })?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let record = record_of_json(text, Dialect::Own, None)?;
    checked(record, countries).map(Some)
}
