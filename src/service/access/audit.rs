//! The audit log: who wrote what, and every act of an administrator.
//!
//! Entries are queued and written in groups by a thread of their own, so that a write does not
//! wait for a second flush. The version log (which is written with the change itself) also names
//! the author; what a crash could take from this log is the last few milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::service::ServiceError;
use crate::service::time::{iso, now_ms};
use crate::store::{DocumentKind, Store};

/// Entries that may wait to be written.
const QUEUE: usize = 8192;
/// Entries that are written together.
const GROUP: usize = 512;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When (ISO 8601).
    pub time: String,
    /// Who: a key, a subject, or anyone.
    pub who: String,
    /// Method of the request.
    pub method: String,
    /// Path of the request.
    pub path: String,
    /// Graph, if one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// Version that the write made, if it made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// The request, as in the log and in `x-request-id`.
    pub request_id: String,
}

/// The log.
pub struct Audit {
    store: Arc<Store>,
    queue: Option<SyncSender<(String, Vec<u8>)>>,
    thread: Option<JoinHandle<()>>,
    count: AtomicU64,
}

impl Audit {
    /// Opens the log of a store.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<Store>) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let writer = store.clone();
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || run(&writer, &waiting))?;
        Ok(Self { store, queue: Some(queue), thread: Some(thread), count: AtomicU64::new(0) })
    }

    /// Adds an entry; its time is now.
    pub fn add(&self, mut entry: AuditEntry) {
        let ms = now_ms();
        entry.time = iso(ms);
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let key = format!("{ms:015}-{n:010}");
        let Ok(bytes) = serde_json::to_vec(&entry) else { return };
        // Waits if the disk is slow: an act that is not logged must not happen faster than it is.
        if let Some(queue) = &self.queue
            && queue.send((key, bytes)).is_err()
        {
            tracing::error!(?entry, "an audit entry could not be queued");
        }
    }

    /// Entries from `from_ms` to before `to_ms`, newest first, at most `limit`.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn entries(
        &self,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
        keep: impl Fn(&AuditEntry) -> bool,
    ) -> Result<Vec<AuditEntry>, ServiceError> {
        let (from, to) = (format!("{:015}", from_ms.max(0)), format!("{:015}", to_ms.max(0)));
        let all = self.store.documents(DocumentKind::Audit, "")?;
        let within = all.iter().rev().filter(|(key, _)| *key >= from && *key < to);
        let entries = within.filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok());
        Ok(entries.filter(keep).take(limit).collect())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, waiting: &Receiver<(String, Vec<u8>)>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match waiting.try_recv() {
                Ok(entry) => group.push(entry),
                Err(_) => break,
            }
        }
        if let Err(error) = store.put_documents(DocumentKind::Audit, &group) {
            tracing::error!(%error, entries = group.len(), "audit entries could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_newest_first_after_a_restart() {
        let store = Arc::new(Store::in_memory());
        let entry = |who: &str| AuditEntry {
            time: String::new(),
            who: who.into(),
            method: "POST".into(),
            path: "/v1/graphs/g/changes".into(),
            graph: Some("g".into()),
            version: Some("1".into()),
            status: 200,
            request_id: "r".into(),
        };
        let audit = Audit::start(store.clone()).unwrap();
        (0..700).for_each(|i| audit.add(entry(&format!("w{i}"))));
        drop(audit);
        let audit = Audit::start(store).unwrap();
        let found = audit.entries(0, i64::MAX, 1000, |_| true).unwrap();
        assert_eq!(found.len(), 700);
        assert_eq!(found[0].who, "w699");
        assert_eq!(audit.entries(0, i64::MAX, 10, |e| e.who == "w3").unwrap().len(), 1);
        assert!(audit.entries(0, 1, 10, |_| true).unwrap().is_empty());
    }
}
