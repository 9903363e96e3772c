//! Deleting in the background what nothing refers to any more.

use std::sync::TryLockError;

use super::error::StoreError;
use super::keys::{self, Pending};
use super::kv::{Batch, prefix_end};
use super::{Store, frame, held};

/// Keys deleted in one batch.
const DELETE_KEYS: usize = 1024;

impl Store {
    /// Deletes what is pending, unless readers of old records are at work: then the next call or
    /// the next start does it. Failures are not those of the write that led here, which is durable.
    pub(super) fn collect_garbage(&self) {
        let _deleting = match self.garbage.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if self.is_failed() {
            return;
        }
        if let Err(error) = self.writing(|| self.delete_pending()) {
            tracing::warn!(%error, "could not delete old records; the next start tries again");
        }
    }

    fn delete_pending(&self) -> Result<(), StoreError> {
        let mut pending = Vec::new();
        self.kv.scan_prefix(&[keys::PENDING], &mut |key, _| {
            pending.extend(keys::parse_pending(key));
            Ok(true)
        })?;
        for what in pending {
            if matches!(what, Pending::Base(b) if held(self.building.lock()).contains(&b)) {
                continue;
            }
            let ranges: Vec<(Vec<u8>, Option<Vec<u8>>)> = match what {
                Pending::Base(base) => [
                    keys::BASE,
                    keys::REFERENCE,
                    keys::DICTIONARY,
                    keys::REQUIREMENTS,
                    keys::SEGMENT,
                ]
                .map(|kind| keys::of_base(kind, base))
                .map(|prefix| (prefix.clone(), prefix_end(&prefix)))
                .to_vec(),
                Pending::Graph(graph) => [keys::HEAD, keys::VERSION, keys::LOG]
                    .map(|kind| keys::of_graph(kind, graph))
                    .map(|prefix| (prefix.clone(), prefix_end(&prefix)))
                    .to_vec(),
                Pending::Log { graph, from, to } => vec![(
                    keys::of_version(keys::LOG, graph, from),
                    Some(keys::of_version(keys::LOG, graph, to)),
                )],
            };
            for (start, end) in ranges {
                self.delete_range(start, end.as_deref())?;
            }
            // The note goes only when all else is gone for good.
            self.kv.sync()?;
            let mut batch = Batch::default();
            batch.delete(frame::part_key(&keys::pending(what), 0));
            self.kv.apply(batch)?;
        }
        Ok(())
    }

    fn delete_range(&self, mut start: Vec<u8>, end: Option<&[u8]>) -> Result<(), StoreError> {
        loop {
            let mut batch = Batch::default();
            let mut count = 0;
            self.kv.scan(&start, end, &mut |key, _| {
                batch.delete(key.to_vec());
                count += 1;
                Ok(count < DELETE_KEYS)
            })?;
            let Some((last, _)) = batch.operations.last() else { return Ok(()) };
            start = last.clone();
            self.kv.apply(batch)?;
        }
    }

    /// Adds the deletion of every part of a value to a batch.
    pub(super) fn delete_parts(&self, batch: &mut Batch, prefix: &[u8]) -> Result<(), StoreError> {
        for part in 0u32.. {
            let key = frame::part_key(prefix, part);
            if self.kv.get(&key)?.is_none() {
                break;
            }
            batch.delete(key);
        }
        Ok(())
    }
}
