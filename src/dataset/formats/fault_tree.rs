//! Fault trees (Open-PSA exchange format) read as graphs with threshold rules.

use std::fs::File;
use std::io::{Read, Seek};

use super::intake::{Intake, checked};
use super::report::{ImportError, RowProblem};
use crate::dataset::mef;

/// How far the root element is looked for.
const HEAD: u64 = 64 << 10;
/// Largest fault tree, in bytes: it is read whole.
const MOST_BYTES: u64 = 512 << 20;

/// True if the root element of an XML document is `opsa-mef`. The file is left at its start.
pub(super) fn is_one(file: &mut File) -> Result<bool, ImportError> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    file.rewind()?;
    let text = String::from_utf8_lossy(&head);
    let mut rest: &str = &text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = match rest {
            r if r.starts_with("<!--") => r.find("-->").map(|end| end + 3),
            r if r.starts_with("<?") || r.starts_with("<!") => r.find('>').map(|end| end + 1),
            r => return Ok(r[1..].starts_with("opsa-mef")),
        };
        let Some(end) = end else { break };
        rest = &rest[end..];
    }
    Ok(false)
}

/// Reads a fault tree: every gate and basic event becomes a node.
pub(super) fn read(mut file: File, intake: &mut Intake) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    file.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(ImportError::TooLarge(format!(
            "the fault tree is larger than {MOST_BYTES} bytes"
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| RowProblem::new("the file is not UTF-8").hint("save it as UTF-8"))?;
    let tree = mef::read(&text, None)
        .map_err(|error| RowProblem::new(error.problem).line(u64::from(error.line)))?;
    let graph = tree.records().map_err(|error| RowProblem::new(error.to_string()))?;
    for record in graph.records {
        let row = checked(record, &intake.options.countries);
        // A graph made of a tree has no lines of its own.
        intake.row(0, row)?;
    }
    intake.report.title = Some(tree.name).filter(|name| !name.is_empty());
    intake.report.target = Some(graph.target);
    Ok(())
}
