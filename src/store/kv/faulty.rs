//! An engine in memory that fails on demand and forgets, in a crash, what was not synced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::memory::{apply_to, scan_map};
use super::{Batch, Kv, Visit};
use crate::store::error::StoreError;

/// A key and what it held before.
type Undo = (Vec<u8>, Option<Vec<u8>>);

#[derive(Default)]
struct State {
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    current: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Applied since the last sync, in order.
    unsynced: Vec<Vec<Undo>>,
    /// Writes and syncs so far.
    calls: u64,
    fail_at: Option<(u64, StoreError)>,
}

/// Shared, so that a test keeps a hand on it while a store owns it.
#[derive(Clone, Default)]
pub(in crate::store) struct FaultyKv {
    state: Arc<Mutex<State>>,
}

impl FaultyKv {
    /// Fails the `call`-th write or sync from now on, and every one after it.
    pub(in crate::store) fn fail_at(&self, call: u64, error: StoreError) {
        let mut state = self.state.lock().unwrap();
        state.calls = 0;
        state.fail_at = Some((call, error));
    }

    /// Writes and syncs since the last [`Self::fail_at`].
    pub(in crate::store) fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls
    }

    /// What a power cut leaves: all that was synced and the first `kept` of the later batches.
    pub(in crate::store) fn crash(&self, kept: usize) -> Self {
        let state = self.state.lock().unwrap();
        let mut map = state.durable.clone();
        for operations in state.unsynced.iter().take(kept) {
            apply_to(&mut map, Batch { operations: operations.clone(), bytes: 0 });
        }
        let state = State { durable: map.clone(), current: map, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Number of batches that a crash now may lose.
    pub(in crate::store) fn unsynced(&self) -> usize {
        self.state.lock().unwrap().unsynced.len()
    }

    /// Changes what is stored, behind the store's back.
    pub(in crate::store) fn tamper(&self, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
        change(&mut self.state.lock().unwrap().current);
    }
}

impl State {
    fn step(&mut self) -> Result<(), StoreError> {
        self.calls += 1;
        match &self.fail_at {
            Some((call, error)) if self.calls >= *call => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Kv for FaultyKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.lock().unwrap().current.get(key).cloned())
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let map = self.state.lock().unwrap().current.clone();
        scan_map(&map, start, end, visit)
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap();
        state.step()?;
        for (key, value) in &batch.operations {
            assert!(value.as_ref().is_none_or(|v| v.len() <= super::MAX_VALUE_BYTES), "{key:?}");
        }
        state.unsynced.push(batch.operations.clone());
        apply_to(&mut state.current, batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap();
        state.step()?;
        state.durable = state.current.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
