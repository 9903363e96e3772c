//! The narrow floor: ordered keys and values, atomic batches, a durable sync.
//!
//! sled is behind it in service, a map in memory under the tests of other layers, and a map that
//! fails on demand under the store's own tests.

mod journal;
mod memory;
mod sled_kv;
mod tip;

#[cfg(test)]
pub(super) mod faulty;

pub(super) use memory::MemoryKv;
pub(super) use sled_kv::SledKv;

use super::error::StoreError;

/// Most bytes in one value. sled moves leaves above 128 KiB into files that it never syncs; a leaf
/// holds up to 16 values, so values of 7 KiB never get there.
pub(super) const MAX_VALUE_BYTES: usize = 7 * 1024;

/// Called with each key and value of a scan, in key order; `false` ends the scan.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError> + 'a;

/// What the store needs of a storage engine.
pub(super) trait Kv: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Visits the keys from `start` up to, not including, `end` (`None`: to the last), in order.
    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
    /// Applies a batch: after a crash all of it is there or nothing.
    fn apply(&self, batch: Batch) -> Result<(), StoreError>;
    /// Returns when every batch applied before is on the device.
    fn sync(&self) -> Result<(), StoreError>;
    /// Bytes taken on disk.
    fn disk_bytes(&self) -> Result<u64, StoreError>;
}

impl dyn Kv + '_ {
    /// Visits the keys that start with `prefix`, in order.
    pub(super) fn scan_prefix(
        &self,
        prefix: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.scan(prefix, prefix_end(prefix).as_deref(), visit)
    }
}

/// The first key behind all keys with this prefix; `None` if there is none.
pub(super) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Puts and deletes that take effect together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Key and new value; `None` deletes.
    pub(super) operations: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Batch {
    /// Writes a value of at most [`MAX_VALUE_BYTES`]; framing sees to that.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!(value.len() <= MAX_VALUE_BYTES);
        self.bytes += key.len() + value.len();
        self.operations.push((key, Some(value)));
    }

    /// Deletes a key, if it is there.
    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.operations.push((key, None));
    }

    /// Adds all of another batch behind this one.
    pub(super) fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.operations.append(&mut other.operations);
    }

    /// Takes back what the batch does to keys with this prefix.
    pub(super) fn forget(&mut self, prefix: &[u8]) {
        self.operations.retain(|(key, _)| !key.starts_with(prefix));
    }

    /// Bytes of keys and values so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
