//! The questions behind answers' ids, kept in the store so that an address gives the same bytes
//! after a restart.
//!
//! One flush costs more than most answers. So questions are queued and written in groups by a thread
//! of its own: those that came while one group was flushed are the next. Whoever promises an address
//! to a user waits for [`Permalinks::stored`] first; the threads that compute go on meanwhile.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::catalogue::lock;
use crate::store::{DocumentKind, Store, StoreError};

/// Questions that may wait to be written.
const QUEUE: usize = 4096;
/// Questions that are written together.
const GROUP: usize = 256;

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
    /// Opens the questions of a store.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<Store>) -> std::io::Result<Self> {
        let unwritten = Unwritten::default();
        let (queue, waiting) = sync_channel(QUEUE);
        let (to, from) = (store.clone(), unwritten.clone());
        let thread = std::thread::Builder::new()
            .name("permalinks".into())
            .spawn(move || run(&to, &from, &waiting))?;
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
        self.store.get_document(DocumentKind::Answer, id)
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

fn run(store: &Store, unwritten: &Unwritten, waiting: &Receiver<String>) {
    while let Ok(first) = waiting.recv() {
        let ids: Vec<String> =
            std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1)).collect();
        let group: Vec<(String, Vec<u8>)> = {
            let unwritten = lock(unwritten);
            let of = |id: String| unwritten.get(&id).map(|p| p.question.to_vec()).map(|q| (id, q));
            ids.into_iter().filter_map(of).collect()
        };
        if let Err(error) = store.put_documents(DocumentKind::Answer, &group) {
            tracing::warn!(%error, questions = group.len(), "questions could not be stored");
        }
        let mut unwritten = lock(unwritten);
        for (id, _) in &group {
            // Whoever waits sees its channel closed.
            unwritten.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_readable_at_once_and_durable_when_it_says_so() {
        let store = Arc::new(Store::in_memory());
        let permalinks = Permalinks::start(store.clone()).unwrap();
        for i in 0..1000 {
            let (id, question) = (format!("imp_{i}"), format!("q{i}").into_bytes());
            permalinks.keep(&id, question.clone());
            assert_eq!(permalinks.get(&id).unwrap(), Some(question.clone()));
            if i % 10 == 0 {
                assert!(permalinks.stored(&id).blocking_recv().is_err());
                assert_eq!(store.get_document(DocumentKind::Answer, &id).unwrap(), Some(question));
            }
        }
        // Nobody waits for what was never kept, and what is queued is written at the end.
        assert!(permalinks.stored("absent").blocking_recv().is_err());
        assert_eq!(permalinks.get("absent").unwrap(), None);
        drop(permalinks);
        assert_eq!(store.documents(DocumentKind::Answer, "").unwrap().len(), 1000);
    }
}
