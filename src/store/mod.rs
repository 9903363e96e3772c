//! The graph store: versions of graphs on disk, each written once and durable when acknowledged.
//!
//! A graph's version is a **base** (a whole network in segments of 32 nodes) and the **log** of
//! changes since. Every commit is one atomic batch: its log record, its version record and the
//! graph's head. A fork shares its base; a bulk import or [`Store::compact`] writes a new base
//! next to the old one and one batch turns to it. What is no longer referred to is deleted in the
//! background.
//!
//! Promises:
//! - What was acknowledged survives a kill at any moment; what was not is there whole or not at
//!   all. Acknowledged means flushed through sled and `fdatasync`ed.
//! - Each record carries a format byte and a CRC32C over key and value; each version a hash that is
//!   chained over its base and log. Loss or change below us is an error at load, never a silent
//!   difference.
//! - An input/output error is final: nothing more is acknowledged until a restart
//!   ([`Store::is_failed`]); reads go on.
//! - A directory with data but without our records is refused, never started empty.
//!
//! The keys are listed in `keys.rs`, the frame of a value in `frame.rs`.
//!
//! ```
//! use chokepoint::model::{GraphSettings, NodeRecord};
//! use chokepoint::store::{CommitMeta, Store};
//! let store = Store::in_memory();
//! store.create("metals", &GraphSettings::default(), 0)?;
//! let (empty, _) = store.load("metals", None)?;
//! let changes = [NodeRecord::new("gallium.refine.CHN").into()];
//! let next = empty.apply(&changes)?;
//! let version = store.commit("metals", 0, &changes, &next, CommitMeta::default())?;
//! assert_eq!((version.version, version.counts.nodes), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backup;
mod base;
mod bulk;
mod bytes;
mod check;
mod commit;
mod documents;
mod error;
mod frame;
mod garbage;
mod graphs;
mod keys;
mod kv;
mod load;
mod log;
mod records;

#[cfg(test)]
mod tests;

pub use backup::BackupInfo;
pub use check::CheckReport;
pub use commit::{Commit, CommitMeta};
pub use documents::{DocumentChange, DocumentKind};
pub use error::StoreError;
pub use records::{Counts, GraphHead, VersionInfo};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bytes::{Malformed, Put, Reader};
use kv::{Batch, Kv, MemoryKv, SledKv};
use records::Entry;

/// Format of the store as a whole; raised when an older program could not read it.
pub const STORE_FORMAT: u32 = 1;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// sled's cache in bytes. Small: graphs in use are kept in memory by the layers above.
    pub cache_bytes: u64,
    /// Opens what can still be read of a damaged store: damaged graphs are left out (and listed by
    /// [`Store::check`]) and nothing is written.
    pub salvage: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, salvage: false }
    }
}

/// Numbers given out to new graphs and bases.
#[derive(Debug)]
struct Numbers {
    graph: u32,
    base: u64,
}

/// Versioned graphs and small documents in one directory.
pub struct Store {
    kv: Box<dyn Kv>,
    dir: Option<PathBuf>,
    /// Heads of all graphs by name: what the last durable batch made them.
    heads: RwLock<BTreeMap<String, Entry>>,
    /// Held by whoever changes heads, so that there is one writer.
    writer: Mutex<Numbers>,
    /// Held while documents are written, so that the parts of one stay together.
    documents: Mutex<()>,
    /// Bases being written: pending, but not garbage.
    building: Mutex<BTreeSet<u64>>,
    /// Read by whoever reads old records, written by whoever deletes them.
    garbage: RwLock<()>,
    failed: AtomicBool,
    /// Graphs that could not be read, when opened to salvage the others.
    damaged: Vec<String>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn held<T>(result: Result<T, PoisonError<T>>) -> T {
    // A panic elsewhere leaves plain values here, changed only after the batch is durable.
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store of a directory, or creates one in a new or empty directory.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Version`], [`StoreError::Corrupt`] (never an empty
    /// store in place of a damaged one), or an operating system error.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let kv = SledKv::open(dir, options.cache_bytes)?;
        let had_data = kv.had_data();
        let lost = kv.lost().map(str::to_owned);
        if let Some(what) = lost.as_ref().filter(|_| !options.salvage) {
            return Err(StoreError::Corrupt {
                what: format!("in {}: {what}", dir.display()),
                hint: "restore the last backup with `chokepoint restore`; or, to go on with what \
                       is left, delete the files `tip` and `journal` there and start again"
                    .into(),
            });
        }
        let mut store = Self::over(Box::new(kv), had_data, Some(dir.to_owned()), options.salvage)?;
        store.damaged.extend(lost);
        Ok(store)
    }

    /// A store in memory, for tests of other layers. Nothing survives it.
    pub fn in_memory() -> Self {
        Self::empty_over(Box::new(MemoryKv::default()), None)
    }

    fn empty_over(kv: Box<dyn Kv>, dir: Option<PathBuf>) -> Self {
        Self {
            kv,
            dir,
            heads: RwLock::default(),
            writer: Mutex::new(Numbers { graph: 1, base: 1 }),
            documents: Mutex::default(),
            building: Mutex::default(),
            garbage: RwLock::default(),
            failed: AtomicBool::new(false),
            damaged: Vec::new(),
        }
    }

    /// Opens whatever is in `kv`; `had_data`: it held something before, so it must be ours.
    fn over(
        kv: Box<dyn Kv>,
        had_data: bool,
        dir: Option<PathBuf>,
        salvage: bool,
    ) -> Result<Self, StoreError> {
        match frame::read_parts(&*kv, &keys::meta())? {
            Some(meta) => check_format(&meta)?,
            None => {
                let mut found = had_data;
                kv.scan(&[], None, &mut |_, _| {
                    found = true;
                    Ok(false)
                })?;
                if found {
                    return Err(StoreError::corrupt(
                        "the data directory holds data but not the store's first record (lost, \
                         an unfinished restore, or another program's files)",
                    ));
                }
                let mut batch = Batch::default();
                frame::put_parts(&mut batch, &keys::meta(), &meta_record());
                kv.apply(batch)?;
                kv.sync()?;
            }
        }
        let mut store = Self::empty_over(kv, dir);
        store.failed = AtomicBool::new(salvage);
        store.read_heads(salvage)?;
        store.collect_garbage();
        Ok(store)
    }

    /// True after an input/output error: nothing more is acknowledged until a restart.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Bytes that the data directory takes on disk (0 in memory).
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.kv.disk_bytes()
    }

    /// The data directory (`None` in memory).
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Runs a step of a write; a failure below is final.
    fn writing<T>(&self, step: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.is_failed() {
            return Err(StoreError::Failed);
        }
        step().inspect_err(|error| {
            if error.is_fatal() {
                tracing::error!(%error, "the store stops writing");
                self.failed.store(true, Ordering::Release);
            }
        })
    }

    /// Makes a batch durable.
    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.writing(|| {
            self.kv.apply(batch)?;
            self.kv.sync()
        })
    }

    fn heads(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        held(self.heads.read())
    }

    fn lock_writer(&self) -> MutexGuard<'_, Numbers> {
        held(self.writer.lock())
    }

    fn entry(&self, name: &str) -> Result<Entry, StoreError> {
        let heads = self.heads();
        heads.get(name).cloned().ok_or_else(|| StoreError::NoSuchGraph {
            name: name.to_owned(),
            nearest: crate::model::selector::suggest(name, heads.keys().map(String::as_str))
                .map(str::to_owned),
        })
    }
}

fn meta_record() -> Vec<u8> {
    let mut out = Vec::new();
    out.put_varint(STORE_FORMAT.into());
    out
}

fn check_format(meta: &[u8]) -> Result<(), StoreError> {
    // Only the number is read: what follows it is for the format that it names.
    let found = Reader::new(meta)
        .varint32()
        .map_err(|Malformed| StoreError::corrupt("the store's first record"))?;
    if found == STORE_FORMAT {
        return Ok(());
    }
    Err(StoreError::Version { found, expected: STORE_FORMAT })
}
