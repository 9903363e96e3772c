//! The engine in memory: nothing survives it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::{Batch, Kv, Visit};
use crate::store::error::StoreError;

/// Ordered map in memory.
#[derive(Debug, Default)]
pub(in crate::store) struct MemoryKv {
    map: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// Applies a batch to a plain map.
pub(super) fn apply_to(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: Batch) {
    for (key, value) in batch.operations {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

/// Visits a key range of a plain map.
pub(super) fn scan_map(
    map: &BTreeMap<Vec<u8>, Vec<u8>>,
    start: &[u8],
    end: Option<&[u8]>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if end.is_some_and(|end| end <= start) {
        return Ok(());
    }
    let end = end.map_or(Bound::Unbounded, Bound::Excluded);
    for (key, value) in map.range::<[u8], _>((Bound::Included(start), end)) {
        if !visit(key, value)? {
            break;
        }
    }
    Ok(())
}

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        scan_map(&self.map.read().unwrap_or_else(PoisonError::into_inner), start, end, visit)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        apply_to(&mut self.map.write().unwrap_or_else(PoisonError::into_inner), batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
