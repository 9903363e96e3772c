//! The questions behind answers' ids, kept in the store so that an address gives the same bytes
//! after a restart.
//!
//! One flush costs more than most answers. So questions are queued and written in groups by a thread
//! of its own: those that came while one group was flushed are the next. Whoever promises an address
//! to a user waits for [`Permalinks::stored`] first; the threads that compute go on meanwhile.
//!
//! A service that runs for years is asked without end: only so many questions are kept, compressed,
//! and the oldest are the first to go.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::catalogue::lock;
use crate::store::{DocumentChange, DocumentKind, Store, StoreError};

/// Questions that may wait to be written.
const QUEUE: usize = 4096;
/// Questions that are written together.
const GROUP: usize = 256;
/// First byte of a question that is not compressed, as all were once: they are JSON objects.
const PLAIN: u8 = b'{';
/// Level of compression: questions shrink to a fourth, and the time is far below that of a flush.
const LEVEL: i32 = 1;

/// A question that is not durable yet, and who waits for it.
#[derive(Default)]
struct Pending {
    question: Arc<[u8]>,
    waiting: Vec<oneshot::Sender<()>>,
}

type Unwritten = Arc<Mutex<FxHashMap<String, Pending>>>;

/// Questions by the ids of their answers.
pub struct Permalinks {
    store: Arc<Store>,
    unwritten: Unwritten,
    queue: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Permalinks {
    /// Opens the questions of a store, of which `most` are kept (at least one).
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<Store>, most: usize) -> std::io::Result<Self> {
        let unwritten = Unwritten::default();
        let (queue, waiting) = sync_channel(QUEUE);
        let (to, from) = (store.clone(), unwritten.clone());
        let thread = std::thread::Builder::new()
            .name("permalinks".into())
            .spawn(move || run(&to, &from, &waiting, most.max(1)))?;
        Ok(Self { store, unwritten, queue: Some(queue), thread: Some(thread) })
    }

    /// Keeps the question of an answer: readable at once, durable once [`Permalinks::stored`] says
    /// so. The first one kept under an id stays until it is written. Waits if the disk is far behind.
    pub fn keep(&self, id: &str, question: Vec<u8>) {
        if self.store.is_failed() {
            return;
        }
        {
            let mut unwritten = lock(&self.unwritten);
            if unwritten.contains_key(id) {
                return;
            }
            let pending = Pending { question: question.into(), waiting: Vec::new() };
            unwritten.insert(id.to_owned(), pending);
        }
        let sent = self.queue.as_ref().map(|queue| queue.send(id.to_owned()));
        if sent.is_none_or(|sent| sent.is_err()) {
            tracing::error!(id, "the question could not be queued");
            lock(&self.unwritten).remove(id);
        }
    }

    /// The question of an answer.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(pending) = lock(&self.unwritten).get(id) {
            return Ok(Some(pending.question.to_vec()));
        }
        let Some(stored) = self.store.get_document(DocumentKind::Answer, id)? else {
            return Ok(None);
        };
        if stored.first() == Some(&PLAIN) {
            return Ok(Some(stored));
        }
        zstd::decode_all(&*stored).map(Some).map_err(|_| {
            StoreError::corrupt(format!("the question of answer {id} cannot be decompressed"))
        })
    }

    /// Ends when the question under this id is durable, or could not be written (a permalink that
    /// cannot be kept does not spoil an answer). Both ends are an `Err` of the channel, which
    /// carries nothing.
    pub fn stored(&self, id: &str) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        if let Some(pending) = lock(&self.unwritten).get_mut(id) {
            pending.waiting.push(done);
        }
        wait
    }
}

impl Drop for Permalinks {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answers whose questions are kept, oldest first, as the store has them.
struct Kept {
    order: VecDeque<(u64, String)>,
    most: usize,
}

impl Kept {
    fn read(store: &Store, most: usize) -> Result<Self, StoreError> {
        let entries = store.documents(DocumentKind::AnswerOrder, "")?;
        let order = entries.into_iter().filter_map(|(key, id)| {
            Some((u64::from_str_radix(&key, 16).ok()?, String::from_utf8(id).ok()?))
        });
        Ok(Self { order: order.collect(), most })
    }

    /// Adds what is to change when these answers, which the store does not have yet, come last.
    fn push(&mut self, ids: impl Iterator<Item = String>, changes: &mut Vec<DocumentChange>) {
        let mut change = |kind, key, value| changes.push(DocumentChange { kind, key, value });
        let place = |number: u64| format!("{number:016x}");
        for id in ids {
            let number = self.order.back().map_or(0, |(last, _)| last + 1);
            change(DocumentKind::AnswerOrder, place(number), Some(id.clone().into_bytes()));
            self.order.push_back((number, id));
        }
        while self.order.len() > self.most
            && let Some((number, id)) = self.order.pop_front()
        {
            change(DocumentKind::Answer, id, None);
            change(DocumentKind::AnswerOrder, place(number), None);
        }
    }
}

fn run(store: &Store, unwritten: &Unwritten, waiting: &Receiver<String>, most: usize) {
    let mut kept = Kept::read(store, most)
        .inspect_err(|error| tracing::error!(%error, "no old question will be dropped"))
        .ok();
    // What is new in a group is never dropped by it.
    let group = GROUP.min(most);
    while let Ok(first) = waiting.recv() {
        let ids: Vec<String> =
            std::iter::once(first).chain(waiting.try_iter().take(group - 1)).collect();
        let group: Vec<(String, Arc<[u8]>)> = {
            let unwritten = lock(unwritten);
            let of = |id: String| unwritten.get(&id).map(|p| p.question.clone()).map(|q| (id, q));
            ids.into_iter().filter_map(of).collect()
        };
        if let Err(error) = write(store, &group, kept.as_mut()) {
            tracing::warn!(%error, questions = group.len(), "questions could not be stored");
        }
        let mut unwritten = lock(unwritten);
        for (id, _) in &group {
            // Whoever waits sees its channel closed.
            unwritten.remove(id);
        }
    }
}

fn write(
    store: &Store,
    group: &[(String, Arc<[u8]>)],
    kept: Option<&mut Kept>,
) -> Result<(), StoreError> {
    let (mut changes, mut new) = (Vec::new(), Vec::new());
    for (id, question) in group {
        // One that is asked again keeps its place.
        if store.get_document(DocumentKind::Answer, id)?.is_none() {
            new.push(id.clone());
        }
        let bytes = zstd::bulk::compress(question, LEVEL).unwrap_or_else(|_| question.to_vec());
        changes.push(DocumentChange {
            kind: DocumentKind::Answer,
            key: id.clone(),
            value: Some(bytes),
        });
    }
    if let Some(kept) = kept {
        kept.push(new.into_iter(), &mut changes);
    }
    store.change_documents(&changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_readable_at_once_and_durable_when_it_says_so() {
        let store = Arc::new(Store::in_memory());
        let permalinks = Permalinks::start(store.clone(), 2000).unwrap();
        for i in 0..1000 {
            let (id, question) = (format!("imp_{i}"), format!("{{\"q\":{i}}}").into_bytes());
            permalinks.keep(&id, question.clone());
            assert_eq!(permalinks.get(&id).unwrap(), Some(question.clone()));
            if i % 10 == 0 {
                assert!(permalinks.stored(&id).blocking_recv().is_err());
                assert!(store.get_document(DocumentKind::Answer, &id).unwrap().is_some());
                assert_eq!(permalinks.get(&id).unwrap(), Some(question));
            }
        }
        // Nobody waits for what was never kept, and what is queued is written at the end.
        assert!(permalinks.stored("absent").blocking_recv().is_err());
        assert_eq!(permalinks.get("absent").unwrap(), None);
        drop(permalinks);
        assert_eq!(store.documents(DocumentKind::Answer, "").unwrap().len(), 1000);
    }

    #[test]
    fn only_the_newest_questions_are_kept_also_over_restarts() {
        let store = Arc::new(Store::in_memory());
        let question =
            |i: usize| format!("{{\"number\":{i},\"text\":\"{}\"}}", "long ".repeat(500));
        let known = |permalinks: &Permalinks| -> Vec<usize> {
            let is_known = |i: &usize| {
                let found = permalinks.get(&format!("imp_{i}")).unwrap();
                assert!(found.as_ref().is_none_or(|f| *f == question(*i).into_bytes()));
                found.is_some()
            };
            (0..200).filter(is_known).collect()
        };
        for round in 0..4 {
            let permalinks = Permalinks::start(store.clone(), 70).unwrap();
            for i in round * 50..(round + 1) * 50 {
                permalinks.keep(&format!("imp_{i}"), question(i).into_bytes());
            }
            let last = format!("imp_{}", (round + 1) * 50 - 1);
            assert!(permalinks.stored(&last).blocking_recv().is_err());
            // Asked again: what is still kept stays in its place, what has gone comes last.
            permalinks.keep("imp_0", question(0).into_bytes());
            drop(permalinks);
        }
        // 0 had gone in the second round, came back, went with its neighbours and came back again.
        let permalinks = Permalinks::start(store.clone(), 70).unwrap();
        let newest = known(&permalinks);
        assert_eq!(newest, std::iter::once(0).chain(131..200).collect::<Vec<_>>());
        drop(permalinks);
        assert_eq!(store.documents(DocumentKind::AnswerOrder, "").unwrap().len(), 70);
        assert_eq!(store.documents(DocumentKind::Answer, "").unwrap().len(), 70);
        let stored = store.get_document(DocumentKind::Answer, "imp_199").unwrap().unwrap();
        assert!(stored.len() < 200, "{} bytes are not compressed", stored.len());
    }

    #[test]
    fn questions_of_older_stores_are_read() {
        let store = Arc::new(Store::in_memory());
        store.put_document(DocumentKind::Answer, "imp_old", b"{\"graph\":\"g\"}").unwrap();
        store.put_document(DocumentKind::Answer, "imp_bad", b"no frame").unwrap();
        let permalinks = Permalinks::start(store, 1).unwrap();
        assert_eq!(permalinks.get("imp_old").unwrap().unwrap(), b"{\"graph\":\"g\"}");
        assert!(permalinks.get("imp_bad").unwrap_err().to_string().contains("imp_bad"));
    }
}
