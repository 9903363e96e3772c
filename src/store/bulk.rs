//! Whole bases: bulk replacement and compaction.

use std::collections::BTreeSet;

use super::base::{self, BaseHeader, EMPTY_BASE};
use super::commit::{CommitMeta, check_expected};
use super::error::StoreError;
use super::keys::{KeyReader, Pending};
use super::kv::Batch;
use super::records::{self, Counts, Entry, VersionInfo, VersionRow};
use super::{Numbers, Store, frame, held, keys, log};
use crate::model::network::Network;

/// A log shorter than this is not worth a new base.
const MIN_COMPACT_BYTES: u64 = 1 << 20;
/// Fewer versions without a claim to be kept are not worth a new base.
const MIN_EXPIRED: u64 = 64;

impl Store {
    /// Makes a new version out of a whole network. Its records are streamed first; one small batch
    /// then turns the graph to them, so readers see the old version or all of the new one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the graph is at another version, before or after the writing;
    /// [`StoreError::NoSuchGraph`], or the write failed.
    pub fn replace(
        &self,
        name: &str,
        expected: u64,
        network: &Network,
        meta: CommitMeta,
    ) -> Result<VersionInfo, StoreError> {
        check_expected(&self.entry(name)?, expected)?;
        let number = self.new_base(&mut self.lock_writer())?;
        let result = self
            .writing(|| base::write_base(&*self.kv, number, network))
            .and_then(|header| self.turn_to(name, expected, number, header, meta));
        self.built(number, result.is_ok());
        self.collect_garbage();
        result
    }

    fn turn_to(
        &self,
        name: &str,
        expected: u64,
        number: u64,
        mut header: BaseHeader,
        meta: CommitMeta,
    ) -> Result<VersionInfo, StoreError> {
        // The segments are durable before anything refers to them.
        self.writing(|| self.kv.sync())?;
        let _writer = self.lock_writer();
        let mut entry = self.entry(name)?;
        check_expected(&entry, expected)?;
        header.chain = log::chain(entry.row.chain, &header.content_hash().to_le_bytes());
        let version = expected + 1;
        entry.row = VersionRow {
            info: VersionInfo {
                version,
                time_ms: meta.time_ms,
                author: meta.author,
                message: meta.message,
                counts: header.counts,
                changes: header.counts.total(),
                bulk: true,
            },
            base: number,
            log_from: version + 1,
            log_bytes: 0,
            replay_bytes: 0,
            chain: header.chain,
        };
        entry.head.version = version;
        entry.head.counts = header.counts;
        entry.head.updated_ms = meta.time_ms;
        let mut batch = Batch::default();
        self.adopt_base(&mut batch, number, &header);
        frame::put_parts(&mut batch, &keys::reference(number, entry.id), &[]);
        entry.row.put(&mut batch, entry.id);
        records::put_head(&mut batch, entry.id, &entry.head, entry.row.chain);
        let mut rows = VersionRow::load_all(&*self.kv, entry.id)?;
        rows.push(entry.row.clone());
        self.retire(&mut batch, &entry, &rows, &BTreeSet::new())?;
        self.write(batch)?;
        let info = entry.row.info.clone();
        held(self.heads.write()).insert(name.to_owned(), entry);
        Ok(info)
    }

    /// True if the log since the base is long enough (a quarter of the base, at least 1 MiB) that
    /// [`Store::compact`] makes loading faster.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`] or [`StoreError::Corrupt`].
    pub fn needs_compaction(&self, name: &str) -> Result<bool, StoreError> {
        let entry = self.entry(name)?;
        if entry.row.replay_bytes < MIN_COMPACT_BYTES {
            return Ok(false);
        }
        let _reading = held(self.garbage.read());
        let base = BaseHeader::load(&*self.kv, entry.row.base)?;
        Ok(entry.row.replay_bytes >= base.bytes / 4)
    }

    /// True if enough versions have fallen out of the graph's retention that [`Store::compact`]
    /// is worth its while.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`] or [`StoreError::Corrupt`].
    pub fn has_expired(&self, name: &str) -> Result<bool, StoreError> {
        let entry = self.entry(name)?;
        let Some(last) = entry.head.settings.retention.last else { return Ok(false) };
        let newest = entry.head.version;
        let oldest_kept = (newest + 1).saturating_sub(last.max(1));
        let mut expired = 0;
        self.kv.scan_prefix(&keys::of_graph(keys::VERSION, entry.id), &mut |key, _| {
            let mut reader = KeyReader::new(key);
            let version = reader.u32().and_then(|_| reader.u64()).unwrap_or(newest);
            if version < oldest_kept {
                expired += 1;
            }
            Ok(version < oldest_kept && expired < MIN_EXPIRED)
        })?;
        Ok(expired >= MIN_EXPIRED)
    }

    /// Folds the log into a new base, and gives up the versions that the graph's retention does
    /// not keep. Writers and readers go on meanwhile; no version is made.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`], [`StoreError::Corrupt`], or the write failed.
    pub fn compact(&self, name: &str) -> Result<(), StoreError> {
        let entry = self.entry(name)?;
        if entry.row.replay_bytes == 0 {
            self.fold(name, &entry, None)?;
            self.collect_garbage();
            return Ok(());
        }
        let version = entry.head.version;
        match self.load(name, Some(version)) {
            Ok((network, _)) => self.compact_to(name, &entry, &network),
            // Replaced and given up meanwhile, and the log with it.
            Err(StoreError::NoSuchVersion { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// As [`Store::compact`], for who has the network of a recent version in memory: nothing is
    /// read.
    ///
    /// # Errors
    /// As [`Store::compact`].
    pub fn compact_from(
        &self,
        name: &str,
        version: u64,
        network: &Network,
    ) -> Result<(), StoreError> {
        let mut entry = self.entry(name)?;
        match self.row(&entry, version) {
            Ok(row) => entry.row = row,
            Err(StoreError::NoSuchVersion { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        entry.head.version = version;
        if entry.row.replay_bytes == 0 {
            self.fold(name, &entry, None)?;
            self.collect_garbage();
            return Ok(());
        }
        if Counts::of(network) != entry.row.info.counts {
            return Err(StoreError::corrupt(format!(
                "version {version} of graph \"{name}\" in memory has other counts than on disk"
            )));
        }
        self.compact_to(name, &entry, network)
    }

    fn compact_to(&self, name: &str, entry: &Entry, network: &Network) -> Result<(), StoreError> {
        let number = self.new_base(&mut self.lock_writer())?;
        let result = self
            .writing(|| {
                let header = base::write_base(&*self.kv, number, network)?;
                self.kv.sync()?;
                Ok(header)
            })
            .and_then(|header| self.fold(name, entry, Some((number, header))));
        self.built(number, matches!(result, Ok(true)));
        self.collect_garbage();
        result.map(|_| ())
    }

    /// Turns the versions from `start`'s on to a new base and retires old ones. False if the graph
    /// changed its base meanwhile, so that the new one is of no use.
    fn fold(
        &self,
        name: &str,
        start: &Entry,
        new: Option<(u64, BaseHeader)>,
    ) -> Result<bool, StoreError> {
        let _writer = self.lock_writer();
        let mut entry = self.entry(name)?;
        if entry.id != start.id || entry.row.base != start.row.base {
            return Ok(false);
        }
        let mut rows = VersionRow::load_all(&*self.kv, entry.id)?;
        let mut batch = Batch::default();
        let mut moved = BTreeSet::new();
        if let Some((number, mut header)) = new {
            header.chain = start.row.chain;
            self.adopt_base(&mut batch, number, &header);
            frame::put_parts(&mut batch, &keys::reference(number, entry.id), &[]);
            moved.insert(start.row.base);
            for row in rows.iter_mut().filter(|r| r.info.version >= start.head.version) {
                row.base = number;
                row.log_from = start.head.version + 1;
                row.replay_bytes -= start.row.replay_bytes;
                let key = keys::of_version(keys::VERSION, entry.id, row.info.version);
                self.delete_parts(&mut batch, &key)?;
                row.put(&mut batch, entry.id);
            }
            if let Some(last) = rows.last() {
                entry.row = last.clone();
            }
        }
        self.retire(&mut batch, &entry, &rows, &moved)?;
        if !batch.is_empty() {
            self.write(batch)?;
        }
        held(self.heads.write()).insert(name.to_owned(), entry);
        Ok(true)
    }

    /// Deletes the rows (all rows, the newest last) that retention does not keep, and lets go of
    /// bases that no row needs; `moved` are bases that rows were turned away from.
    fn retire(
        &self,
        batch: &mut Batch,
        entry: &Entry,
        rows: &[VersionRow],
        moved: &BTreeSet<u64>,
    ) -> Result<(), StoreError> {
        let retention = &entry.head.settings.retention;
        let newest = entry.head.version;
        let mut bases = moved.clone();
        let mut needed = BTreeSet::new();
        // From the newest down. A kept version needs the log back to its base, and the versions
        // in between stay readable with it: `floor` is how far down that goes.
        let mut floor = u64::MAX;
        let mut gone: Option<(u64, u64)> = None;
        for row in rows.iter().rev() {
            let version = row.info.version;
            bases.insert(row.base);
            if version >= floor || retention.keeps(version, newest) {
                needed.insert(row.base);
                floor = floor.min(row.log_from);
                self.drop_log(batch, entry.id, gone.take());
            } else {
                let key = keys::of_version(keys::VERSION, entry.id, version);
                self.delete_parts(batch, &key)?;
                gone = Some((version, gone.map_or(version, |g| g.1)));
            }
        }
        self.drop_log(batch, entry.id, gone);
        for base in bases.difference(&needed) {
            self.release_base(batch, *base, entry.id)?;
        }
        Ok(())
    }

    fn drop_log(&self, batch: &mut Batch, graph: u32, versions: Option<(u64, u64)>) {
        if let Some((from, last)) = versions {
            let pending = Pending::Log { graph, from, to: last + 1 };
            frame::put_parts(batch, &keys::pending(pending), &[]);
        }
    }

    /// A number for a new base, noted as pending until a batch adopts it: whatever a crash leaves
    /// of it is deleted at the next start.
    pub(super) fn new_base(&self, numbers: &mut Numbers) -> Result<u64, StoreError> {
        let number = numbers.base;
        numbers.base += 1;
        held(self.building.lock()).insert(number);
        let mut batch = Batch::default();
        frame::put_parts(&mut batch, &keys::pending(Pending::Base(number)), &[]);
        self.writing(|| self.kv.apply(batch)).inspect_err(|_| {
            held(self.building.lock()).remove(&number);
        })?;
        Ok(number)
    }

    /// Writes the header of a base that is complete, and takes it off the pending list.
    pub(super) fn adopt_base(&self, batch: &mut Batch, number: u64, header: &BaseHeader) {
        frame::put_parts(batch, &keys::of_base(keys::BASE, number), &header.encode());
        batch.delete(frame::part_key(&keys::pending(Pending::Base(number)), 0));
    }

    /// The writing of a base has ended; one that was not adopted is garbage now.
    pub(super) fn built(&self, number: u64, adopted: bool) {
        held(self.building.lock()).remove(&number);
        if !adopted {
            tracing::debug!(base = number, "a base was written in vain");
        }
    }

    /// The graph needs the base no more; it goes if no other graph does.
    pub(super) fn release_base(
        &self,
        batch: &mut Batch,
        base: u64,
        graph: u32,
    ) -> Result<(), StoreError> {
        if base == EMPTY_BASE {
            return Ok(());
        }
        let own = frame::part_key(&keys::reference(base, graph), 0);
        let mut shared = false;
        self.kv.scan_prefix(&keys::of_base(keys::REFERENCE, base), &mut |key, _| {
            shared |= key != own;
            Ok(!shared)
        })?;
        batch.delete(own);
        if !shared {
            frame::put_parts(batch, &keys::pending(Pending::Base(base)), &[]);
        }
        Ok(())
    }
}
