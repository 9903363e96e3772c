//! Reading: a version's network, its log, the list of versions.

use super::base::read_base;
use super::bytes::Malformed;
use super::error::StoreError;
use super::keys::KeyReader;
use super::kv::prefix_end;
use super::records::{Counts, Entry, VersionInfo, VersionRow};
use super::{Store, frame, held, keys, log};
use crate::model::change::Change;
use crate::model::network::{Draft, Network};

impl Store {
    /// The network of a version (the newest, unless `at` is given): its base with the log
    /// replayed, checked against the version's hash and counts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`], [`StoreError::NoSuchVersion`] or [`StoreError::Corrupt`].
    pub fn load(&self, name: &str, at: Option<u64>) -> Result<(Network, VersionInfo), StoreError> {
        let _reading = held(self.garbage.read());
        let (entry, row) = loop {
            let entry = self.entry(name)?;
            match self.row(&entry, at.unwrap_or(entry.head.version)) {
                // The newest was replaced, and given up by retention, since it was asked for.
                Err(StoreError::NoSuchVersion { .. }) if at.is_none() => {}
                row => break (entry, row?),
            }
        };
        let version = row.info.version;
        let (mut network, header) = read_base(&*self.kv, row.base)?;
        let damaged = |part: &str| {
            StoreError::corrupt(format!("{part} of graph \"{name}\", version {version}"))
        };
        let mut chain = header.chain;
        if row.replay_bytes > 0 {
            // All batches are checked on top of the base, then worked in once.
            let mut draft = Draft::new(&network);
            self.log_records(entry.id, row.log_from, version, |_, record| {
                for batch in log::batches(record) {
                    let batch = batch.map_err(|Malformed| damaged("the log"))?;
                    chain = log::chain(chain, batch);
                    let changes =
                        log::decode_batch(batch).map_err(|Malformed| damaged("the log"))?;
                    draft.push(&changes).map_err(|error| {
                        StoreError::corrupt(format!("the log does not apply to its base ({error})"))
                    })?;
                }
                Ok(())
            })?;
            let edit = draft.finish();
            network.edit(&edit);
        }
        if chain != row.chain {
            return Err(damaged("the hash over base and log (something is missing or changed)"));
        }
        if Counts::of(&network) != row.info.counts {
            return Err(damaged("the counts"));
        }
        Ok((network, row.info))
    }

    /// Row of a version, or the error that it is not there.
    pub(super) fn row(&self, entry: &Entry, version: u64) -> Result<VersionRow, StoreError> {
        let row = match version <= entry.head.version {
            // Not from memory: compaction may have moved it to another base since.
            true => VersionRow::load(&*self.kv, entry.id, version)?,
            false => None,
        };
        if row.is_none() && version == entry.head.version {
            let name = &entry.head.name;
            let now = self.entry(name)?;
            // A write shows its rows a moment before it moves the head: then there is a newer one.
            let mut newer = false;
            let next = keys::of_version(keys::VERSION, entry.id, version + 1);
            let end = prefix_end(&keys::of_graph(keys::VERSION, entry.id));
            self.kv.scan(&next, end.as_deref(), &mut |_, _| {
                newer = true;
                Ok(false)
            })?;
            if now.id == entry.id && now.head.version == version && !newer {
                return Err(StoreError::corrupt(format!(
                    "the record of version {version} of graph \"{name}\" is missing"
                )));
            }
        }
        match row {
            Some(row) => Ok(row),
            None => {
                let mut oldest = entry.head.version;
                self.kv.scan_prefix(&keys::of_graph(keys::VERSION, entry.id), &mut |key, _| {
                    let mut reader = KeyReader::new(key);
                    oldest = reader.u32().and_then(|_| reader.u64()).unwrap_or(oldest);
                    Ok(false)
                })?;
                Err(StoreError::NoSuchVersion {
                    graph: entry.head.name.clone(),
                    version,
                    oldest,
                    newest: entry.head.version,
                })
            }
        }
    }

    /// Visits the log records of the versions `from..=to`, in order.
    pub(super) fn log_records(
        &self,
        graph: u32,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let start = keys::of_version(keys::LOG, graph, from);
        let end = match to.checked_add(1) {
            Some(next) => keys::of_version(keys::LOG, graph, next),
            None => return Err(StoreError::corrupt("a version number out of range")),
        };
        frame::scan_whole(&*self.kv, &start, Some(&end), |key, record| {
            let mut reader = KeyReader::new(key);
            let version = reader.u32().and_then(|_| reader.u64()).unwrap_or_default();
            visit(version, record)
        })
    }

    /// The versions that are kept, oldest first.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`] or [`StoreError::Corrupt`].
    pub fn versions(&self, name: &str) -> Result<Vec<VersionInfo>, StoreError> {
        let _reading = held(self.garbage.read());
        let entry = self.entry(name)?;
        let rows = VersionRow::load_all(&*self.kv, entry.id)?;
        // Rows of commits that are being made durable just now are not there for readers yet.
        Ok(rows.into_iter().map(|r| r.info).filter(|i| i.version <= entry.head.version).collect())
    }

    /// The changes that made a version; `None` for a bulk version.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`], [`StoreError::NoSuchVersion`] or [`StoreError::Corrupt`].
    pub fn changes(&self, name: &str, version: u64) -> Result<Option<Vec<Change>>, StoreError> {
        let _reading = held(self.garbage.read());
        let entry = self.entry(name)?;
        let row = self.row(&entry, version)?;
        if row.info.bulk {
            return Ok(None);
        }
        let mut changes = Vec::new();
        let damaged =
            || StoreError::corrupt(format!("the log of graph \"{name}\", version {version}"));
        if row.log_bytes > 0 {
            self.log_records(entry.id, version, version, |_, record| {
                for batch in log::batches(record) {
                    let decoded = batch.and_then(log::decode_batch);
                    changes.extend(decoded.map_err(|Malformed| damaged())?);
                }
                Ok(())
            })?;
        }
        if changes.len() as u64 != row.info.changes {
            return Err(damaged());
        }
        Ok(Some(changes))
    }
}
