//! CSV tables: our own columns, and the same under Neo4j's typed headers.

use std::borrow::Cow;

use super::columns::{Cell, CellKind, Row, columns};
use super::fields::Kind;
use super::intake::{Intake, checked};
use super::report::{RowProblem, did_you_mean, shown};
use super::rows::{RowParser, Taken};
use crate::model::Record;

/// Most columns of a table; our widest has 26.
const MAX_COLUMNS: usize = 128;

/// Parses the rows of one table, which its header tells.
#[derive(Debug, Default)]
pub(super) struct Table {
    header: Option<Header>,
}

#[derive(Debug)]
struct Header {
    /// What the rows are; none for a table that only repeats what others say.
    kind: Option<Kind>,
    /// Column of the schema for each column of the file; none for those without meaning here.
    schema: Vec<Option<usize>>,
    /// Neo4j's headers; text is taken as it stands.
    neo4j: bool,
}

/// True for text that a spreadsheet would take for a formula, or that starts with the marks that
/// were set before such text.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Text as a cell that no spreadsheet runs: one `'` before what looks like a formula.
pub(super) fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_formula(&text) { Cow::Owned(format!("'{text}")) } else { text }
}

/// The opposite of [`guarded`].
fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(text)
}

/// The cells of one row (RFC 4180). Read strictly, without a library: the readers at hand take
/// any quotation mark for something, and text that is read otherwise than it was meant is lost.
fn split(row: &str) -> Result<Vec<Cow<'_, str>>, RowProblem> {
    let misquoted = |hint: &str| RowProblem::new("quotation marks do not match").hint(hint);
    let mut rest = row.strip_suffix('\r').unwrap_or(row);
    let mut cells = Vec::new();
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            None => {
                let (cell, after) =
                    rest.split_at(memchr::memchr(b',', rest.as_bytes()).unwrap_or(rest.len()));
                if cell.contains(['"', '\r']) {
                    return Err(misquoted(
                        "put a cell that holds a quotation mark or line break in double quotes, \
                         and double the quotation marks inside it",
                    ));
                }
                (Cow::Borrowed(cell), after)
            }
            Some(inside) => {
                let end = closing_quote(inside).ok_or_else(|| {
                    misquoted("the quotation mark is never closed; is the file cut off?")
                })?;
                let (cell, after) = (&inside[..end], &inside[end + 1..]);
                let plain = !cell.contains('"');
                (if plain { Cow::Borrowed(cell) } else { cell.replace("\"\"", "\"").into() }, after)
            }
        };
        cells.push(cell);
        if cells.len() > MAX_COLUMNS {
            return Err(RowProblem::new(format!("more than {MAX_COLUMNS} cells in a row")));
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => {
                return Err(misquoted("text goes on after a closing quotation mark"));
            }
        }
    }
}

/// Where the quotation mark stands that closes a cell; doubled ones do not.
fn closing_quote(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

impl Header {
    fn of(cells: &[Cow<'_, str>]) -> Result<Self, RowProblem> {
        let names: Vec<&str> = cells.iter().map(|c| c.trim()).collect();
        let neo4j = names.iter().any(|n| neo4j_type(n).is_some_and(is_reserved));
        let (kind, keys) =
            if neo4j { neo4j_kind(&names) } else { own_kind(&names) }.ok_or_else(|| {
                RowProblem::new(format!(
                    "no known table has the columns {}",
                    shown(&names.join(","))
                ))
                .hint(
                    "the first row names the columns: id for nodes, from and to for flows, \
                         output and input for requirements",
                )
            })?;
        let Some(kind) = kind else {
            return Ok(Self { kind, schema: vec![None; names.len()], neo4j });
        };
        let known = columns(kind);
        let mut schema: Vec<Option<usize>> = Vec::with_capacity(names.len());
        for name in names {
            let own = match neo4j_type(name).filter(|_| neo4j) {
                Some("LABEL" | "TYPE") => {
                    schema.push(None);
                    continue;
                }
                Some("ID" | "START_ID") => keys[0],
                Some("END_ID") => keys[1],
                Some(_) => name.rsplit_once(':').map_or(name, |(own, _)| own),
                None => name,
            };
            let at = known.iter().position(|c| c.name == own).ok_or_else(|| {
                let names = known.iter().map(|c| c.name);
                let hint = did_you_mean(own, names.clone());
                RowProblem::new(format!(
                    "the table of {}s has no column \"{}\"",
                    kind.as_str(),
                    shown(own)
                ))
                .column(shown(own))
                .hint(hint.unwrap_or_else(|| {
                    format!("columns: {}", names.collect::<Vec<_>>().join(", "))
                }))
            })?;
            if schema.contains(&Some(at)) {
                let problem = format!("the column {own} is there twice");
                return Err(RowProblem::new(problem).column(own));
            }
            schema.push(Some(at));
        }
        Ok(Self { kind: Some(kind), schema, neo4j })
    }

    fn record(&self, row: &str) -> Result<Option<Record>, RowProblem> {
        let cells = split(row)?;
        if cells.len() != self.schema.len() {
            return Err(RowProblem::new(format!(
                "the row has {} cells, the header {}",
                cells.len(),
                self.schema.len()
            ))
            .hint("put text that holds a comma in double quotes"));
        }
        let Some(kind) = self.kind else { return Ok(None) };
        let known = columns(kind);
        let mut sorted: Vec<Option<Cow<'_, str>>> = vec![None; known.len()];
        for (cell, at) in cells.iter().zip(&self.schema) {
            if let Some(at) = *at
                && !cell.is_empty()
            {
                let plain = self.neo4j || known[at].kind != CellKind::Text;
                sorted[at] = Some(Cow::Borrowed(if plain { cell } else { unguarded(cell) }));
            }
        }
        Row::new(kind, &mut sorted).into_record().map(Some)
    }
}

type Recognised = Option<(Option<Kind>, [&'static str; 2])>;

fn own_kind(names: &[&str]) -> Recognised {
    let keys = |kind| match kind {
        Kind::Node => ["id", "id"],
        Kind::Flow => ["from", "to"],
        Kind::Requirement => ["output", "input"],
    };
    let has = |kind: &Kind| keys(*kind).iter().all(|key| names.contains(key));
    let kind = Kind::ALL.into_iter().find(has)?;
    Some((Some(kind), keys(kind)))
}

/// The type of a Neo4j header field: `ID` of `id:ID(Product)`.
fn neo4j_type(name: &str) -> Option<&str> {
    let (_, kind) = name.rsplit_once(':')?;
    Some(kind.split(['(', '{']).next().unwrap_or(kind))
}

fn is_reserved(kind: &str) -> bool {
    matches!(kind, "ID" | "LABEL" | "START_ID" | "END_ID" | "TYPE")
}

fn neo4j_kind(names: &[&str]) -> Recognised {
    let field = |wanted: &str| names.iter().find(|n| neo4j_type(n) == Some(wanted));
    let of_products = |name: &&&str| name.ends_with("(Product)");
    match (field("START_ID"), field("END_ID"), field("ID")) {
        (Some(start), Some(_), _) if of_products(&start) => {
            Some((Some(Kind::Requirement), ["output", "input"]))
        }
        (Some(_), Some(_), _) => Some((Some(Kind::Flow), ["from", "to"])),
        (None, None, Some(id)) if of_products(&id) => Some((None, ["id", "id"])),
        (None, None, Some(_)) => Some((Some(Kind::Node), ["id", "id"])),
        _ => None,
    }
}

impl RowParser for Table {
    const QUOTED: bool = true;

    fn header(&mut self, row: &str) -> Result<Taken, RowProblem> {
        self.header = Some(Header::of(&split(row)?)?);
        Ok(Taken::Header)
    }

    fn row(&self, row: &str, intake: &Intake) -> Result<Option<Record>, RowProblem> {
        let Some(header) = &self.header else { return Ok(None) };
        let Some(record) = header.record(row)? else { return Ok(None) };
        checked(record, &intake.options.countries).map(Some)
    }
}

impl Table {
    /// # Errors
    /// There was no header.
    pub fn finish(&self) -> Result<(), RowProblem> {
        self.header.as_ref().map(|_| ()).ok_or_else(|| {
            RowProblem::new("the table is empty").hint("the first row must name the columns")
        })
    }
}

/// One row of cells as CSV, with text guarded against being run as a formula.
pub(super) fn write_row(cells: &[Cell<'_>], guard: bool, out: &mut Vec<u8>) {
    let fields = cells.iter().map(|cell| match cell {
        Cell::Text(text) if guard => guarded(Cow::Borrowed(text)),
        other => other.written(),
    });
    write_fields(fields, out);
}

/// One row of CSV.
pub(super) fn write_fields<'a>(fields: impl Iterator<Item = Cow<'a, str>>, out: &mut Vec<u8>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ')
        {
            out.push(b'"');
            out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(field.as_bytes());
        }
    }
    out.push(b'\n');
}
