//! The audit log: who wrote what, and every act of an administrator.
//!
//! The entry of a batch of changes becomes durable in the same batch of the store as the changes
//! ([`Act::attached`]): neither is ever there without the other. All other entries (refused
//! requests, new and deleted graphs, whole imports, acts of administrators) are queued and written
//! in groups by a thread of their own, so that these acts do not wait for a second flush; of them a
//! crash could take the last few milliseconds. An act whose client went away is logged too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::service::ServiceError;
use crate::service::time::{iso, now_ms};
use crate::service::writer::Attached;
use crate::store::{DocumentChange, DocumentKind, Store};

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

/// Status of an act whose client went away before the answer.
const CLIENT_GONE: u16 = 499;

/// An act under way: its entry is written once, whatever becomes of it.
#[derive(Debug, Clone)]
pub struct Act {
    key: String,
    entry: AuditEntry,
    /// The entry went with a batch of changes.
    attached: Arc<AtomicBool>,
}

impl Act {
    /// The entry as a document that becomes durable with the version that the act makes.
    pub fn attached(&self) -> Attached {
        let (mut entry, attached) = (self.entry.clone(), self.attached.clone());
        let value = move |version: u64| {
            attached.store(true, Ordering::Release);
            entry.version = Some(version.to_string());
            entry.status = 200;
            serde_json::to_vec(&entry).unwrap_or_default()
        };
        Attached { kind: DocumentKind::Audit, key: self.key.clone(), value: Box::new(value) }
    }
}

/// Ends an act when it is dropped, if nobody said before how it ended.
pub struct Ending<'a> {
    audit: &'a Audit,
    act: Option<Act>,
}

impl Ending<'_> {
    /// The act ended with this status, and made this version.
    pub fn with(mut self, status: u16, version: Option<String>) {
        if let Some(act) = self.act.take()
            // What went with the changes says the same.
            && !(act.attached.load(Ordering::Acquire) && status == 200)
        {
            self.audit.add(act.key, &AuditEntry { status, version, ..act.entry });
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(act) = self.act.take()
            && !act.attached.load(Ordering::Acquire)
        {
            self.audit.add(act.key, &AuditEntry { status: CLIENT_GONE, ..act.entry });
        }
    }
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

    /// An act begins; its time is now.
    pub fn begin(&self, entry: AuditEntry) -> Act {
        let ms = now_ms();
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        Act {
            key: format!("{ms:015}-{n:010}"),
            entry: AuditEntry { time: iso(ms), ..entry },
            attached: Arc::default(),
        }
    }

    /// Sees to it that the act's entry is written when it ends.
    pub fn ending(&self, act: Act) -> Ending<'_> {
        Ending { audit: self, act: Some(act) }
    }

    fn add(&self, key: String, entry: &AuditEntry) {
        let Ok(bytes) = serde_json::to_vec(entry) else { return };
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
        let group: Vec<DocumentChange> = std::iter::once(first)
            .chain(waiting.try_iter().take(GROUP - 1))
            .map(|(key, entry)| DocumentChange {
                kind: DocumentKind::Audit,
                key,
                value: Some(entry),
            })
            .collect();
        if let Err(error) = store.change_documents(&group) {
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
        (0..700).for_each(|i| {
            let act = audit.begin(entry(&format!("w{i}")));
            audit.ending(act).with(200, Some("1".into()));
        });
        drop(audit);
        let audit = Audit::start(store).unwrap();
        let found = audit.entries(0, i64::MAX, 1000, |_| true).unwrap();
        assert_eq!(found.len(), 700);
        assert_eq!(found[0].who, "w699");
        assert_eq!(audit.entries(0, i64::MAX, 10, |e| e.who == "w3").unwrap().len(), 1);
        assert!(audit.entries(0, 1, 10, |_| true).unwrap().is_empty());
    }

    #[test]
    fn an_act_has_one_entry_however_it_ends() {
        let store = Arc::new(Store::in_memory());
        let audit = Audit::start(store.clone()).unwrap();
        let act = |who: &str| {
            audit.begin(AuditEntry {
                time: String::new(),
                who: who.into(),
                method: "POST".into(),
                path: "/v1/graphs/g/changes".into(),
                graph: Some("g".into()),
                version: None,
                status: 0,
                request_id: "r".into(),
            })
        };
        audit.ending(act("refused")).with(422, None);
        drop(audit.ending(act("gone")));
        for (who, status) in [("written", 200), ("made", 201), ("failed after all", 503)] {
            let act = act(who);
            let document = act.attached();
            let value = (document.value)(7);
            if status < 500 {
                store.put_document(document.kind, &document.key, &value).unwrap();
            }
            let version = (status < 500).then(|| "7".to_owned());
            audit.ending(act).with(status, version);
        }
        drop(audit);
        let audit = Audit::start(store).unwrap();
        let found = audit.entries(0, i64::MAX, 100, |_| true).unwrap();
        let seen: Vec<_> =
            found.iter().rev().map(|e| (e.who.as_str(), e.status, e.version.as_deref())).collect();
        let expected = [
            ("refused", 422, None),
            ("gone", CLIENT_GONE, None),
            ("written", 200, Some("7")),
            ("made", 201, Some("7")),
            ("failed after all", 503, None),
        ];
        assert_eq!(seen, expected);
    }
}
