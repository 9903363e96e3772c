//! sled 0.34.7 as the engine, with the guards that its known weak points need.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::journal::{CAPACITY, Journal, put_record};
use super::tip::TipFile;
use super::{Batch, Kv, Visit};
use crate::store::bytes::{Malformed, Put, Reader};
use crate::store::error::StoreError;
use crate::store::{frame, held, keys};

/// sled's segment size; a new database without data is not larger than a few of them.
const SLED_SEGMENT_BYTES: u64 = 512 * 1024;
/// sled lets go of its file once its threads have ended, which takes longer on a disk that is slow
/// at the moment. Nobody else waits for that: our own lock, which other processes meet, is held.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// A sled database in a directory of its own.
pub(in crate::store) struct SledKv {
    db: sled::Db,
    /// The same file that sled writes: `flush` alone only asks for `sync_file_range`, which does
    /// not empty the device's cache, so this handle is synced, too.
    data: File,
    dir: PathBuf,
    /// Batches on their way to sled.
    applied: RwLock<Applied>,
    /// Where batches become durable; held while they do. Locked before `applied`.
    journal: Mutex<Durable>,
    /// Number of the last batch that was acknowledged, beside sled: see [`TipFile`].
    tip: TipFile,
    /// What the tip file says is missing.
    lost: Option<String>,
    /// True if the directory held more than an empty database before it was opened.
    had_data: bool,
    /// Held until the database is dropped: the last field.
    _lock: DirLock,
}

/// What was applied.
#[derive(Default)]
struct Applied {
    /// Number of the last batch.
    last: u64,
    /// What the batches since the last hand-over have made of keys (`None`: deleted): newer than
    /// what sled has.
    newer: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Records of the batches that are not durable yet; `None`: too many for the journal.
    records: Option<Vec<u8>>,
}

impl Applied {
    fn apply(&mut self, batch: Batch) {
        self.last += 1;
        let fits = |records: &Vec<u8>| records.len() + batch.bytes <= CAPACITY;
        self.records = self.records.take().filter(fits);
        if let Some(records) = &mut self.records {
            put_record(records, self.last, &batch);
        }
        self.newer.extend(batch.operations);
    }

    /// Gives sled what it does not have, in one batch with the number of the last, under `T`.
    fn hand_over(&mut self, db: &sled::Db) -> Result<(), StoreError> {
        if self.newer.is_empty() {
            return Ok(());
        }
        let mut tip = Vec::new();
        tip.put_varint(self.last);
        let mut numbered = Batch::default();
        frame::put_parts(&mut numbered, &keys::tip(), &tip);
        let mut out = sled::Batch::default();
        let numbered = numbered.operations.iter().map(|(key, value)| (key, value));
        for (key, value) in self.newer.iter().chain(numbered) {
            match value {
                Some(value) => out.insert(key.as_slice(), value.as_slice()),
                None => out.remove(key.as_slice()),
            }
        }
        guard("writing a batch", || db.apply_batch(out))?;
        self.newer.clear();
        Ok(())
    }
}

/// What will outlive a crash.
struct Durable {
    journal: Journal,
    /// Number of the last durable batch.
    last: u64,
    /// True once a write has failed: the system may forget that it did, and what was to be written.
    failed: bool,
}

impl SledKv {
    /// Opens or creates the database of `dir`.
    ///
    /// # Errors
    /// Locked, damaged, or an operating system error.
    pub(in crate::store) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let shown = dir.display();
        let io = |what: &str, e: &std::io::Error| StoreError::io(format!("{what} {shown}"), e);
        let created = !dir.exists();
        fs::create_dir_all(dir).map_err(|e| io("creating the data directory", &e))?;
        if created && let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_dir(parent).map_err(|e| io("syncing the parent of", &e))?;
        }
        let lock = lock(dir)?;
        let data_path = dir.join("db");
        let before = fs::metadata(&data_path).map_or(0, |m| m.len());
        remove_leftovers(dir, before).map_err(|e| io("cleaning up", &e))?;

        let config = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(cache_bytes);
        let started = Instant::now();
        let db = loop {
            match guard("opening the database", || config.open()) {
                Err(StoreError::Io { problem, .. })
                    if problem.contains("could not acquire lock")
                        && started.elapsed() < LOCK_WAIT =>
                {
                    sleep(Duration::from_millis(10));
                }
                other => break other?,
            }
        };
        let data = File::open(&data_path).map_err(|e| io("opening the data file in", &e))?;
        let (tip, acknowledged) =
            TipFile::open(&dir.join("tip")).map_err(|e| io("opening the tip file in", &e))?;
        let key = frame::part_key(&keys::tip(), 0);
        let found = match guard("reading the tip", || db.get(&key))? {
            None => 0,
            Some(value) => Reader::new(frame::open(&key, &value)?.0)
                .varint()
                .map_err(|Malformed| StoreError::corrupt("the record of the last batch"))?,
        };
        let (journal, records) =
            Journal::open(&dir.join("journal")).map_err(|e| io("opening the journal in", &e))?;
        let acknowledged = records.last().map_or(acknowledged, |r| acknowledged.max(r.number));
        let mut applied = Applied { last: found, ..Applied::default() };
        for record in records {
            // What lies behind a hole cannot be applied.
            if record.number == applied.last + 1 {
                applied.apply(record.batch);
            }
        }
        let found = applied.last;
        let lost = (found < acknowledged).then(|| {
            format!(
                "the last {} of {acknowledged} acknowledged writes are missing",
                acknowledged - found
            )
        });
        let kv = Self {
            db,
            data,
            applied: RwLock::new(applied),
            journal: Mutex::new(Durable { journal, last: found, failed: false }),
            tip,
            lost,
            dir: dir.to_owned(),
            had_data: before > SLED_SEGMENT_BYTES,
            _lock: lock,
        };
        // The journal begins again, so sled must have what it held. What was lost stays as it is,
        // for whoever looks into it.
        if kv.lost.is_none() {
            kv.checkpoint()?;
        }
        if before == 0 {
            sync_dir(dir).map_err(|e| io("syncing", &e))?;
        }
        Ok(kv)
    }

    /// Gives sled all that was applied and makes it durable there; the number of the last batch.
    fn checkpoint(&self) -> Result<u64, StoreError> {
        let last = {
            let mut applied = held(self.applied.write());
            applied.hand_over(&self.db)?;
            applied.records = Some(Vec::new());
            applied.last
        };
        guard("flushing the log", || self.db.flush())?;
        self.data.sync_data().map_err(|e| self.syncing(&e))?;
        Ok(last)
    }

    fn syncing(&self, error: &std::io::Error) -> StoreError {
        StoreError::io(format!("syncing {}", self.dir.display()), error)
    }

    /// What was acknowledged once and is not there any more.
    pub(in crate::store) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// True if the directory held more than an empty database when it was opened.
    pub(in crate::store) fn had_data(&self) -> bool {
        self.had_data
    }
}

/// The lock of a directory. Let go of by name: a child process that is just being started still has
/// all open files, and would keep a lock that is only closed.
struct DirLock(File);

impl Drop for DirLock {
    fn drop(&mut self) {
        // If that fails, closing the file does it.
        let _ = self.0.unlock();
    }
}

fn lock(dir: &Path) -> Result<DirLock, StoreError> {
    let path = dir.join("lock");
    let what = || format!("opening the lock file {}", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| StoreError::io(what(), &e))?;
    match file.try_lock() {
        Ok(()) => Ok(DirLock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(StoreError::io(what(), &e)),
    }
}

/// Removes what a kill can leave and sled would trip over. A half-written snapshot
/// (`snap.*.generating`) is preferred by sled over the good one; the old one is deleted only after
/// the rename, so removing the half is safe. A `conf` without data is from a kill during creation.
fn remove_leftovers(dir: &Path, data_bytes: u64) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let half = name.starts_with("snap.") && name.ends_with(".generating");
        if half || (name == "conf" && data_bytes == 0) {
            tracing::warn!(file = %name, "removing what an interrupted run left behind");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn sled_error(what: &str, error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Io(e) => StoreError::io(what, e),
        other => StoreError::corrupt(format!("{what}: {other}")),
    }
}

/// Runs a call into sled. sled panics on some damaged files; that becomes an error here.
fn guard<T>(what: &str, call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| sled_error(what, &e)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(StoreError::corrupt(format!("{what}: sled stopped with \"{text}\"")))
        }
    }
}

impl Drop for SledKv {
    /// Leaves nothing to the journal, if all is well: the next start is faster.
    fn drop(&mut self) {
        if self.lost.is_none()
            && !held(self.journal.lock()).failed
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "closing the store: what is missing is in the journal");
        }
    }
}

impl Kv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(newer) = held(self.applied.read()).newer.get(key) {
            return Ok(newer.clone());
        }
        Ok(guard("reading a record", || self.db.get(key))?.map(|v| v.to_vec()))
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let bound = match end {
            Some(end) if end <= start => return Ok(()),
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        let range = (Bound::Included(start), bound);
        let newer: Vec<_> = {
            let applied = held(self.applied.read());
            let newer = applied.newer.range::<[u8], _>(range);
            newer.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut newer = newer.into_iter().peekable();
        let mut items = self.db.range::<&[u8], _>(range);
        while let Some((key, value)) = guard("reading records", || items.next().transpose())? {
            while let Some((key, value)) = newer.next_if(|next| *next.0 < *key) {
                if let Some(value) = value
                    && !visit(&key, &value)?
                {
                    return Ok(());
                }
            }
            let more = match newer.next_if(|next| *next.0 == *key) {
                None => visit(&key, &value)?,
                Some((key, Some(value))) => visit(&key, &value)?,
                Some((_, None)) => true,
            };
            if !more {
                return Ok(());
            }
        }
        for (key, value) in newer {
            if let Some(value) = value
                && !visit(&key, &value)?
            {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut applied = held(self.applied.write());
        applied.apply(batch);
        // The journal will not be asked for it.
        if applied.records.is_none() {
            applied.hand_over(&self.db)?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut durable = held(self.journal.lock());
        let (last, records) = {
            let mut applied = held(self.applied.write());
            (applied.last, applied.records.replace(Vec::new()))
        };
        if durable.failed {
            return Err(StoreError::Failed);
        }
        if last == durable.last {
            return Ok(());
        }
        durable.failed = true;
        durable.last = match records.filter(|records| durable.journal.has_room(records.len())) {
            Some(records) => {
                durable.journal.append(&records).map_err(|e| self.syncing(&e))?;
                last
            }
            None => {
                let last = self.checkpoint()?;
                durable.journal.restart();
                last
            }
        };
        self.tip.write(durable.last).map_err(|e| self.syncing(&e))?;
        durable.failed = false;
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        fn total(dir: &Path) -> std::io::Result<u64> {
            let mut bytes = 0;
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                // Files come and go while sled works.
                let Ok(meta) = entry.metadata() else { continue };
                bytes += if meta.is_dir() { total(&entry.path())? } else { meta.len() };
            }
            Ok(bytes)
        }
        total(&self.dir)
            .map_err(|e| StoreError::io(format!("measuring {}", self.dir.display()), &e))
    }
}
