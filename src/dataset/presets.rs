//! Scenario presets: the stories of `graph-data/scenarios`, one JSON file each (id = file name).

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::model::scenario::{ScenarioBody, ScenarioError};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/graph-data/scenarios");

/// The preset that is meant when none is named.
pub const FLAGSHIP: &str = "china-refining-stops";

/// Scenarios by id.
pub type Presets = BTreeMap<String, ScenarioBody>;

/// Why presets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// A file or directory that cannot be read.
    #[error("cannot read scenario {file}: {source}")]
    Read {
        /// File or directory.
        file: String,
        /// The system's message.
        source: std::io::Error,
    },
    /// A file that is no scenario.
    #[error("scenario {file}: line {line}, column {column}: {problem}", line = source.line(), column = source.column(), problem = source)]
    Parse {
        /// File.
        file: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A scenario that cannot be right.
    #[error("scenario {file}: {source}")]
    Check {
        /// File.
        file: String,
        /// Which part, and why.
        source: ScenarioError,
    },
}

/// The presets that are part of the program.
///
/// # Errors
/// A preset that is no valid scenario; the program's tests read all of them.
pub fn embedded() -> Result<Presets, PresetError> {
    EMBEDDED
        .files()
        .filter_map(|file| Some((file.path().file_name()?.to_str()?, file.contents())))
        .filter_map(|(name, bytes)| Some((name.strip_suffix(".json")?, name, bytes)))
        .map(|(id, name, bytes)| Ok((id.to_owned(), parse(name, bytes)?)))
        .collect()
}

/// The presets of a directory: every `*.json` file in it.
///
/// # Errors
/// A file that cannot be read or is no valid scenario.
pub fn from_directory(directory: &Path) -> Result<Presets, PresetError> {
    let fail = |source| PresetError::Read { file: directory.display().to_string(), source };
    let mut presets = Presets::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let Some(id) = name.strip_suffix(".json") else { continue };
        let bytes = std::fs::read(&path)
            .map_err(|source| PresetError::Read { file: name.to_owned(), source })?;
        presets.insert(id.to_owned(), parse(name, &bytes)?);
    }
    Ok(presets)
}

fn parse(file: &str, bytes: &[u8]) -> Result<ScenarioBody, PresetError> {
    let body: ScenarioBody = serde_json::from_slice(bytes)
        .map_err(|source| PresetError::Parse { file: file.to_owned(), source })?;
    body.check().map_err(|source| PresetError::Check { file: file.to_owned(), source })?;
    Ok(body)
}
