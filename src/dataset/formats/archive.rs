//! Zip archives of tables: what is taken out of one, and what bounds it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::intake::Intake;
use super::report::{ImportError, RowProblem, did_you_mean, shown};
use super::rows::Rows;
use super::tables::Table;

/// The entries of our archives and of those in Neo4j's form.
const ENTRIES: [&str; 5] =
    ["nodes.csv", "flows.csv", "requirements.csv", "relationships.csv", "products.csv"];

fn broken(error: ZipError) -> ImportError {
    match error {
        ZipError::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => ImportError::Spool(e),
        other => RowProblem::new(format!("not a readable zip archive: {other}"))
            .hint("was the upload cut off?")
            .into(),
    }
}

/// Reads every table of the archive.
pub(super) fn read(mut file: File, intake: &mut Intake) -> Result<(), ImportError> {
    file.rewind()?;
    let limits = intake.options.limits.clone();
    check_entry_count(&mut file, limits.zip_entries)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    check_names(&archive)?;
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let at = |problem: RowProblem| ImportError::Document(problem.file(&name));
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let problem = format!("{name} is packed in a way that is not read");
            return Err(at(RowProblem::new(problem).hint("use deflate")));
        }
        let packed = entry.compressed_size();
        intake.enter_file(&name);
        let mut rows = Rows::new(Table::default());
        let mut chunk = vec![0; 64 << 10];
        let mut size = 0u64;
        loop {
            let n = entry.read(&mut chunk).map_err(|e| {
                at(RowProblem::new(format!("{name} cannot be unpacked: {e}"))
                    .hint("is the archive damaged?"))
            })?;
            if n == 0 {
                break;
            }
            let text = match &chunk[..n] {
                [0xEF, 0xBB, 0xBF, text @ ..] if size == 0 => text,
                text => text,
            };
            size += n as u64;
            unpacked += n as u64;
            if unpacked > limits.zip_bytes {
                return Err(ImportError::TooLarge(format!(
                    "the archive unpacks to more than {} bytes",
                    limits.zip_bytes
                )));
            }
            if size > (1 << 20).max(packed.saturating_mul(limits.zip_ratio)) {
                return Err(ImportError::TooLarge(format!(
                    "{name} grows more than {} times when unpacked; that is no table",
                    limits.zip_ratio
                )));
            }
            rows.feed(text, intake).map_err(|e| in_file(e, &name))?;
        }
        let table = rows.finish(intake).map_err(|e| in_file(e, &name))?;
        table.finish().map_err(at)?;
    }
    Ok(())
}

fn in_file(error: ImportError, name: &str) -> ImportError {
    match error {
        ImportError::Document(problem) => ImportError::Document(problem.file(name)),
        other => other,
    }
}

/// Refuses an archive that claims too many entries, before its directory is read into memory.
/// Every place that may be the end of the directory counts.
fn check_entry_count(file: &mut File, most: usize) -> Result<(), ImportError> {
    const END: &[u8] = b"PK\x05\x06";
    const END_BYTES: u64 = 22 + u16::MAX as u64;
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(END_BYTES)))?;
    let mut tail = Vec::new();
    file.take(END_BYTES).read_to_end(&mut tail)?;
    for at in memchr::memmem::find_iter(&tail, END) {
        // Entries in all: two bytes at 10; all ones stand for a count of more than two bytes.
        if let Some(&[low, high]) = tail.get(at + 10..at + 12) {
            let entries = usize::from(u16::from_le_bytes([low, high]));
            if entries > most {
                return Err(ImportError::TooLarge(format!(
                    "the archive has {entries} entries or more; at most {most}"
                )));
            }
        }
    }
    file.rewind()?;
    Ok(())
}

/// Refuses archives with entries that are not ours, before anything is unpacked.
fn check_names<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<(), ImportError> {
    if archive.is_empty() {
        return Err(RowProblem::new("the archive is empty").hint(expected()).into());
    }
    if archive.has_duplicate_names() {
        return Err(RowProblem::new("two entries of the archive have the same name")
            .hint("keep one of them")
            .into());
    }
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(name) => name.map_err(broken)?.into_owned(),
            None => continue,
        };
        let refuse = |problem: &str, hint: String| {
            let name = shown(&name);
            let problem = RowProblem::new(format!("entry \"{name}\" {problem}"));
            Err(ImportError::Document(problem.file(&name).hint(hint)))
        };
        if name.contains(['/', '\\', ':', '\0']) || name.contains("..") {
            return refuse(
                "is not at the top of the archive",
                "put the tables into the archive without folders".into(),
            );
        }
        if !ENTRIES.contains(&name.as_str()) {
            let hint = did_you_mean(&name, ENTRIES).unwrap_or_else(expected);
            return refuse("is not a table of a graph", hint);
        }
    }
    Ok(())
}

fn expected() -> String {
    format!("entries: {}", ENTRIES.join(", "))
}
