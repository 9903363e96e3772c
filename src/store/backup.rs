//! Backup to a stream while writes go on, and restore from it.
//!
//! Form: magic, format:varint; then records: key length:varint (not 0), key, value length:varint,
//! value; then 0, the number of records:u64 LE and the SHA-256 of all bytes before it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::base::EMPTY_BASE;
use super::bytes::Put;
use super::error::StoreError;
use super::kv::{Batch, Kv, MAX_VALUE_BYTES, SledKv, prefix_end};
use super::records::VersionRow;
use super::{STORE_FORMAT, Store, StoreOptions, frame, held, keys, meta_record};

const MAGIC: &[u8; 18] = b"chokepoint-backup\n";
const MAX_KEY_BYTES: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// Graphs.
    pub graphs: u64,
    /// Stored values.
    pub records: u64,
    /// Bytes of the backup.
    pub bytes: u64,
    /// SHA-256 over all but the last 32 bytes, in hexadecimal: what the backup ends with.
    pub sha256: String,
}

/// Writes, counts and hashes.
struct Sink<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    bytes: u64,
    records: u64,
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|e| StoreError::io("writing the backup", &e))
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut head = Vec::with_capacity(key.len() + 8);
        head.put_varint(key.len() as u64);
        head.extend_from_slice(key);
        head.put_varint(value.len() as u64);
        self.write(&head)?;
        self.records += 1;
        self.write(value)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Store {
    /// Writes everything as of one moment. Writers wait only while the small records are copied;
    /// bases and logs never change once written, and none is deleted while a backup runs.
    ///
    /// # Errors
    /// `out` fails (the store goes on), or [`StoreError::Corrupt`].
    pub fn backup(&self, out: &mut dyn Write) -> Result<BackupInfo, StoreError> {
        let _reading = held(self.garbage.read());
        let mut small = Vec::new();
        let mut logs = Vec::new();
        let mut bases = BTreeSet::new();
        {
            let _writer = self.lock_writer();
            let _documents = held(self.documents.lock());
            let mut copy = |prefix: &[u8]| {
                self.kv.scan_prefix(prefix, &mut |key, value| {
                    frame::open(key, value)?;
                    small.push((key.to_vec(), value.to_vec()));
                    Ok(true)
                })
            };
            copy(&[keys::DOCUMENT])?;
            for entry in self.heads().values() {
                for kind in [keys::GRAPH, keys::HEAD, keys::VERSION] {
                    copy(&keys::of_graph(kind, entry.id))?;
                }
                let rows = VersionRow::load_all(&*self.kv, entry.id)?;
                let used: BTreeSet<u64> =
                    rows.iter().map(|r| r.base).filter(|&b| b != EMPTY_BASE).collect();
                for &base in &used {
                    copy(&keys::reference(base, entry.id))?;
                }
                bases.extend(used);
                logs.push((entry.id, entry.head.version));
            }
        }
        let mut sink = Sink { out, hash: Sha256::new(), bytes: 0, records: 0 };
        let mut head = MAGIC.to_vec();
        head.put_varint(STORE_FORMAT.into());
        sink.write(&head)?;
        for (key, value) in &small {
            sink.record(key, value)?;
        }
        let graphs = logs.len() as u64;
        let mut copy = |start: &[u8], end: Option<&[u8]>| {
            self.kv.scan(start, end, &mut |key, value| {
                frame::open(key, value)?;
                sink.record(key, value)?;
                Ok(true)
            })
        };
        for (graph, version) in logs {
            let start = keys::of_graph(keys::LOG, graph);
            copy(&start, Some(&keys::of_version(keys::LOG, graph, version + 1)))?;
        }
        for base in bases {
            for kind in [keys::BASE, keys::DICTIONARY, keys::REQUIREMENTS, keys::SEGMENT] {
                let start = keys::of_base(kind, base);
                copy(&start, prefix_end(&start).as_deref())?;
            }
        }
        sink.write(&[0])?;
        let records = sink.records;
        sink.write(&records.to_le_bytes())?;
        let digest = sink.hash.finalize();
        let failed = |e: &io::Error| StoreError::io("writing the backup", e);
        sink.out.write_all(&digest).map_err(|e| failed(&e))?;
        sink.out.flush().map_err(|e| failed(&e))?;
        let bytes = sink.bytes + digest.len() as u64;
        Ok(BackupInfo { graphs, records, bytes, sha256: hex(&digest) })
    }

    /// Makes a new store of a backup, in a new or empty directory, and checks it whole. If
    /// anything is wrong, the directory is left as it was.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::Version`], [`StoreError::Corrupt`] for a damaged or
    /// truncated backup, or an operating system error.
    pub fn restore(dir: &Path, input: &mut dyn Read) -> Result<BackupInfo, StoreError> {
        let existed = dir.exists();
        let listing = |e: &io::Error| StoreError::io(format!("listing {}", dir.display()), e);
        if existed && fs::read_dir(dir).map_err(|e| listing(&e))?.next().is_some() {
            return Err(StoreError::NotEmpty { dir: dir.to_owned() });
        }
        let result = restore_into(dir, input);
        if result.is_err() {
            // Ours from the first byte: the directory was empty or new.
            let removed = fs::remove_dir_all(dir);
            let restored = if existed { fs::create_dir_all(dir) } else { Ok(()) };
            if let Err(error) = removed.and(restored) {
                tracing::warn!(%error, dir = %dir.display(), "could not remove a failed restore");
            }
        }
        result
    }
}

fn restore_into(dir: &Path, input: &mut dyn Read) -> Result<BackupInfo, StoreError> {
    let mut source =
        Source { input: BufReader::with_capacity(1 << 16, input), hash: Sha256::new(), bytes: 0 };
    let mut magic = [0; MAGIC.len()];
    source.exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(damaged("it does not begin like one"));
    }
    let found = u32::try_from(source.varint()?).map_err(|_| damaged("its format number"))?;
    if found != STORE_FORMAT {
        return Err(StoreError::Version { found, expected: STORE_FORMAT });
    }
    let options = StoreOptions::default();
    let kv = SledKv::open(dir, options.cache_bytes)?;
    let mut batch = Batch::default();
    let (mut records, mut graphs) = (0u64, 0u64);
    loop {
        let key_bytes = source.length(MAX_KEY_BYTES)?;
        if key_bytes == 0 {
            break;
        }
        let mut key = vec![0; key_bytes];
        source.exact(&mut key)?;
        let mut value = vec![0; source.length(MAX_VALUE_BYTES)?];
        source.exact(&mut value)?;
        frame::open(&key, &value)?;
        records += 1;
        graphs += u64::from(key.first() == Some(&keys::HEAD));
        batch.put(key, value);
        if batch.bytes() >= BATCH_BYTES {
            kv.apply(std::mem::take(&mut batch))?;
        }
    }
    let mut count = [0; 8];
    source.exact(&mut count)?;
    let digest = source.hash.clone().finalize();
    let mut stated = [0; 32];
    source.exact(&mut stated)?;
    if u64::from_le_bytes(count) != records || digest[..] != stated {
        return Err(damaged("its SHA-256 or number of records is not the one it ends with"));
    }
    kv.apply(batch)?;
    kv.sync()?;
    // The first record comes last: without it the directory is refused as unfinished.
    let mut batch = Batch::default();
    frame::put_parts(&mut batch, &keys::meta(), &meta_record());
    kv.apply(batch)?;
    kv.sync()?;
    drop(kv);
    let report = Store::open(dir, options)?.check()?;
    match report.problems.first() {
        None => Ok(BackupInfo { graphs, records, bytes: source.bytes, sha256: hex(&digest) }),
        Some(problem) => Err(damaged(problem)),
    }
}

fn damaged(problem: &str) -> StoreError {
    StoreError::Corrupt {
        what: format!("this is not a whole backup: {problem}"),
        hint: "take another copy of the backup".into(),
    }
}

/// Reads, counts and hashes.
struct Source<R> {
    input: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Source<R> {
    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), StoreError> {
        self.input.read_exact(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
            _ => StoreError::io("reading the backup", &e),
        })?;
        self.hash.update(&buffer[..]);
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, StoreError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a length"))
    }

    fn length(&mut self, limit: usize) -> Result<usize, StoreError> {
        let length = self.varint()?;
        usize::try_from(length).ok().filter(|&n| n <= limit).ok_or_else(|| damaged("a length"))
    }
}
