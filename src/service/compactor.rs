//! Folds logs into new bases in the background, gives up versions that retention drops, and
//! prepares large graphs for their next write.
//!
//! One thread; the writer names the graphs that changed and goes on. Readers and writers never
//! wait for it: the store turns a graph to its new base in one small batch.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::catalogue::{Catalogue, lock};
use super::error::ServiceError;
use super::pool::{give_way, panic_message};
use crate::store::Store;

#[derive(Default)]
struct Wanted {
    /// Graphs that changed.
    changed: BTreeSet<String>,
    /// Graphs to fold whatever the size of their log.
    forced: BTreeSet<String>,
    /// True while a graph is being folded.
    busy: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

/// Handle to the thread. Dropping it lets a running compaction finish and stops the thread.
pub struct Compactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the compactor which graphs changed.
#[derive(Clone)]
pub struct Notice(Arc<Shared>);

impl Notice {
    /// A graph changed: its log may have grown long, its versions old.
    pub fn changed(&self, graph: &str) {
        lock(&self.0.wanted).changed.insert(graph.to_owned());
        self.0.changed.notify_all();
    }

    /// What a graph's retention gives up is to go now.
    pub fn fold(&self, graph: &str) {
        lock(&self.0.wanted).forced.insert(graph.to_owned());
        self.0.changed.notify_all();
    }
}

impl Compactor {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<Store>, catalogue: Arc<Catalogue>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("compactor".into()).spawn(move || {
            give_way();
            run(&store, &catalogue, &own);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How writers tell it what changed.
    pub fn notice(&self) -> Notice {
        Notice(self.shared.clone())
    }

    /// Waits until nothing is left to do.
    pub fn settle(&self) {
        let mut wanted = lock(&self.shared.wanted);
        while wanted.busy || !wanted.changed.is_empty() || !wanted.forced.is_empty() {
            wanted = self.shared.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        lock(&self.shared.wanted).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, catalogue: &Catalogue, shared: &Shared) {
    loop {
        let (graph, forced) = {
            let mut wanted = lock(&shared.wanted);
            wanted.busy = false;
            shared.changed.notify_all();
            loop {
                if wanted.stop {
                    return;
                }
                if let Some(graph) = wanted.forced.pop_first() {
                    wanted.busy = true;
                    wanted.changed.remove(&graph);
                    break (graph, true);
                }
                if let Some(graph) = wanted.changed.pop_first() {
                    wanted.busy = true;
                    break (graph, false);
                }
                wanted = shared.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
            }
        };
        match catch_unwind(AssertUnwindSafe(|| fold(store, catalogue, &graph, forced))) {
            Ok(Ok(())) => {}
            // The log only stays long; the next write tries again.
            Ok(Err(error)) => tracing::warn!(%error, graph, "the log was not folded"),
            Err(panic) => {
                tracing::error!(message = panic_message(&*panic), graph, "the compactor panicked");
            }
        }
    }
}

fn fold(
    store: &Store,
    catalogue: &Catalogue,
    graph: &str,
    forced: bool,
) -> Result<(), ServiceError> {
    let Ok(entry) = catalogue.entry(graph) else { return Ok(()) };
    catalogue.prepare(&entry);
    if store.is_failed() {
        return Ok(());
    }
    if !forced && !store.needs_compaction(graph)? && !store.has_expired(graph)? {
        return Ok(());
    }
    let started = std::time::Instant::now();
    match catalogue.in_memory(graph, None)? {
        Some(snapshot) => {
            store.compact_from(graph, snapshot.info().version, snapshot.network())?;
        }
        None => store.compact(graph)?,
    }
    tracing::info!(graph, ms = started.elapsed().as_millis() as u64, "folded the log");
    Ok(())
}
