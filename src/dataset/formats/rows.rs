//! Splits pushed chunks into lines or CSV rows and has them parsed side by side, in order.

use rayon::prelude::*;

use super::intake::Intake;
use super::report::{ImportError, RowProblem};
use crate::model::Record;

/// Text that is collected before it is parsed.
const BATCH_BYTES: usize = 1 << 20;
/// Rows that one task parses.
const TASK_ROWS: usize = 1024;

/// Reads the rows of one text file.
pub(super) trait RowParser: Sync {
    /// True if a row may go on over line breaks inside double quotes (CSV).
    const QUOTED: bool;

    /// Takes the first row if it is a header. Blank rows are not offered.
    ///
    /// # Errors
    /// The header is not one; the file cannot be read.
    fn header(&mut self, row: &str) -> Result<Taken, RowProblem>;

    /// The record of a row, checked; none if the row stands for nothing.
    ///
    /// # Errors
    /// What is wrong with the row, without its line.
    fn row(&self, row: &str, intake: &Intake) -> Result<Option<Record>, RowProblem>;
}

/// Whether the first row was a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was and is done with.
    Header,
    /// It is a row like the others.
    No,
}

/// The rows of a file that arrives in chunks.
#[derive(Debug)]
pub(super) struct Rows<P> {
    parser: P,
    buffer: Vec<u8>,
    /// Lines before the buffer.
    line: u64,
    /// The header is yet to come.
    at_start: bool,
    /// In the middle of a row that is too long and already reported.
    overlong: bool,
}

impl<P: RowParser> Rows<P> {
    pub fn new(parser: P) -> Self {
        Self { parser, buffer: Vec::new(), line: 0, at_start: true, overlong: false }
    }

    pub fn feed(&mut self, chunk: &[u8], intake: &mut Intake) -> Result<(), ImportError> {
        for piece in chunk.chunks(BATCH_BYTES) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= BATCH_BYTES {
                self.drain(false, intake)?;
            }
        }
        Ok(())
    }

    /// Reads what is left. The parser tells what it learned.
    pub fn finish(mut self, intake: &mut Intake) -> Result<P, ImportError> {
        self.drain(true, intake)?;
        Ok(self.parser)
    }

    /// Parses the complete rows of the buffer, and the incomplete last one at the end of the file.
    fn drain(&mut self, at_end: bool, intake: &mut Intake) -> Result<(), ImportError> {
        let buffer = std::mem::take(&mut self.buffer);
        let (mut rows, mut complete) = self.split(&buffer);
        if at_end && complete < buffer.len() {
            let last = self.line + 1;
            if !std::mem::take(&mut self.overlong) {
                rows.push((last, &buffer[complete..]));
            }
            complete = buffer.len();
        }
        let limit = intake.options.limits.line_bytes;
        let mut rows = rows.as_slice();
        while self.at_start
            && let Some(&(line, text)) = rows.first()
        {
            match decode(text, limit) {
                Ok(text) if text.trim().is_empty() => rows = &rows[1..],
                Ok(text) => {
                    self.at_start = false;
                    if self.parser.header(text).map_err(|p| p.line(line))? == Taken::Header {
                        rows = &rows[1..];
                    }
                }
                Err(_) if !P::QUOTED => self.at_start = false,
                Err(problem) => return Err(problem.line(line).into()),
            }
        }
        let parser = &self.parser;
        let parse = |&(line, bytes): &(u64, &[u8])| {
            let row = match decode(bytes, limit) {
                Ok(text) if text.trim().is_empty() => return None,
                Ok(text) => parser.row(text, intake).transpose()?,
                Err(problem) => Err(problem),
            };
            Some((line, row))
        };
        let parsed: Vec<Vec<_>> =
            rows.par_chunks(TASK_ROWS).map(|c| c.iter().filter_map(parse).collect()).collect();
        for (line, row) in parsed.into_iter().flatten() {
            intake.row(line, row)?;
        }
        self.buffer = buffer;
        self.buffer.drain(..complete);
        if self.buffer.len() > limit {
            if !self.overlong {
                self.overlong = true;
                intake.problem(too_long(limit).line(self.line + 1));
            }
            self.line += memchr::memchr_iter(b'\n', &self.buffer).count() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// The complete rows of the buffer with their first lines, and where they end.
    fn split<'b>(&mut self, buffer: &'b [u8]) -> (Vec<(u64, &'b [u8])>, usize) {
        let mut rows = Vec::new();
        let (mut start, mut quoted, mut breaks) = (0, false, 0);
        let mut end_row = |end: usize, lines: u64| {
            if !std::mem::take(&mut self.overlong) {
                rows.push((self.line + 1, &buffer[start..end]));
            }
            self.line += lines;
            start = end + 1;
        };
        if P::QUOTED {
            for at in memchr::memchr2_iter(b'\n', b'"', buffer) {
                if buffer[at] == b'"' {
                    quoted = !quoted;
                } else {
                    breaks += 1;
                    if !quoted {
                        end_row(at, breaks);
                        breaks = 0;
                    }
                }
            }
        } else {
            memchr::memchr_iter(b'\n', buffer).for_each(|at| end_row(at, 1));
        }
        (rows, start)
    }
}

fn too_long(limit: usize) -> RowProblem {
    RowProblem::new(format!("the row is longer than {limit} bytes"))
        .hint("is a line break or a closing quotation mark missing?")
}

fn decode(row: &[u8], limit: usize) -> Result<&str, RowProblem> {
    if row.len() > limit {
        return Err(too_long(limit));
    }
    std::str::from_utf8(row).map_err(|e| {
        let mut problem = RowProblem::new("the row is not UTF-8").hint("save the file as UTF-8");
        problem.position = Some(e.valid_up_to() as u64 + 1);
        problem
    })
}
