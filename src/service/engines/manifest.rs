//! Manifest of a folder of Parquet files: what is in it, how much, and the SHA-256 of each file.
//!
//! Whoever writes such a folder writes the manifest last, under another name, and renames it: a
//! folder with a manifest is whole. Whoever reads it checks every file against the manifest first.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tables::rows_of;

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";
/// Version of the layout of folders and of the columns of their tables.
pub const SCHEMA: u32 = 1;

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub schema: u32,
    /// The analysis that the folder belongs to.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version of the graph.
    pub version: u64,
    /// Rows of each table.
    pub counts: BTreeMap<String, u64>,
    /// Every file of the folder but this one.
    pub files: Vec<FileEntry>,
    /// Results: programs that made them, with their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Results: what there is to say beside the rows.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub summary: serde_json::Map<String, serde_json::Value>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Table that it is a part of.
    pub table: String,
    /// Path below the folder, with `/`.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A Parquet file cannot be encoded or decoded.
    #[error("{path}: {problem}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The folder is not what its manifest says.
    #[error("{path}: {problem}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
}

impl ExchangeError {
    /// Names the file of an error of the system.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }

    /// A folder that is not what its manifest says.
    pub fn mismatch(path: &Path, problem: impl Into<String>) -> Self {
        Self::Mismatch { path: path.to_owned(), problem: problem.into() }
    }
}

/// Lower-case hexadecimal of a hash.
pub fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file.
fn sha256(path: &Path) -> Result<String, ExchangeError> {
    let mut file = File::open(path).map_err(ExchangeError::io(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(ExchangeError::io(path))? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

impl Manifest {
    /// Writes the manifest, as the last file of its folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ExchangeError> {
        let (place, last) = (folder.join("manifest.json.partial"), folder.join(MANIFEST));
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        let written = File::create(&place).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(ExchangeError::io(&place))?;
        std::fs::rename(&place, &last).map_err(ExchangeError::io(&last))
    }

    /// Reads the manifest of a folder that was checked before.
    ///
    /// # Errors
    /// A folder without manifest, or of another schema.
    pub fn read(folder: &Path) -> Result<Self, ExchangeError> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read(&path).map_err(ExchangeError::io(&path))?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|error| ExchangeError::mismatch(&path, format!("is no manifest: {error}")))?;
        if manifest.schema != SCHEMA {
            let found = manifest.schema;
            let problem = format!("has schema {found}; this program reads {SCHEMA}");
            return Err(ExchangeError::mismatch(&path, problem));
        }
        Ok(manifest)
    }

    /// Reads the manifest of a folder and checks every file against it: path, length, hash, and the
    /// number of rows of each table.
    ///
    /// # Errors
    /// A folder without manifest, of another schema, or that differs from its manifest.
    pub fn verified(folder: &Path) -> Result<Self, ExchangeError> {
        let manifest = Self::read(folder)?;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &manifest.files {
            let file = entry.checked(folder)?;
            *counts.entry(entry.table.clone()).or_default() += rows_of(&file)?;
        }
        for (table, &rows) in &manifest.counts {
            let found = counts.get(table).copied().unwrap_or(0);
            if found != rows {
                let problem = format!("says {rows} rows of {table}; its files hold {found}");
                return Err(ExchangeError::mismatch(&folder.join(MANIFEST), problem));
            }
        }
        Ok(manifest)
    }

    /// Files of a table, in order.
    pub fn files_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a FileEntry> {
        self.files.iter().filter(move |file| file.table == table)
    }
}

impl FileEntry {
    /// The file, after a look at its length and hash.
    fn checked(&self, folder: &Path) -> Result<PathBuf, ExchangeError> {
        let relative = Path::new(&self.path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(ExchangeError::mismatch(relative, "leads out of its folder"));
        }
        let path = folder.join(relative);
        let length = std::fs::metadata(&path).map_err(ExchangeError::io(&path))?.len();
        if length != self.bytes {
            let problem = format!("is {length} bytes long; the manifest says {}", self.bytes);
            return Err(ExchangeError::mismatch(&path, problem));
        }
        let found = sha256(&path)?;
        if found != self.sha256 {
            let problem = format!("has the SHA-256 {found}; the manifest says {}", self.sha256);
            return Err(ExchangeError::mismatch(&path, problem));
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{Column, Parts};
    use super::*;

    fn folder() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Parts::new(dir.path(), "rows");
        parts.add(&[("node", Column::Integer(vec![1, 2, 3]))]).unwrap();
        parts.add(&[("node", Column::Integer(vec![4]))]).unwrap();
        let mut manifest = Manifest { schema: SCHEMA, id: "ana_0".into(), ..Manifest::default() };
        parts.finish(&mut manifest);
        manifest.write(dir.path()).unwrap();
        (dir, manifest)
    }

    #[test]
    fn a_whole_folder_passes_and_a_changed_one_does_not() {
        let (dir, manifest) = folder();
        assert_eq!(Manifest::verified(dir.path()).unwrap(), manifest);
        assert_eq!(manifest.counts["rows"], 4);

        let problem = |change: &dyn Fn(&mut Manifest)| {
            let mut wrong = manifest.clone();
            change(&mut wrong);
            wrong.write(dir.path()).unwrap();
            Manifest::verified(dir.path()).unwrap_err().to_string()
        };
        assert!(problem(&|m| m.files[0].sha256 = "0".repeat(64)).contains("SHA-256"));
        assert!(problem(&|m| m.files[1].bytes += 1).contains("bytes long"));
        assert!(problem(&|m| m.files[0].path = "../elsewhere".into()).contains("out of its"));
        assert!(problem(&|m| m.schema = 2).contains("schema 2"));
        assert!(problem(&|m| m.counts.insert("rows".into(), 5).map_or((), |_| ())).contains("4"));
        assert!(problem(&|m| m.files[0].path = "absent.parquet".into()).contains("absent"));
    }
}
