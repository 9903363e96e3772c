//! The one writer: a thread that takes waiting writes in groups, makes them durable together,
//! publishes the new snapshots and only then answers.
//!
//! Order is the promise: check against the private head, commit, publish, answer. So no reader
//! sees what a crash may take back, and an acknowledged write is on disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::catalogue::{Catalogue, GraphEntry, lock};
use super::compactor::Notice;
use super::error::ServiceError;
use super::pool::panic_message;
use crate::graph::{Snapshot, SnapshotInfo};
use crate::model::network::{Draft, RecordCounts};
use crate::model::{Change, GraphSettings, Network, Record, Retention};
use crate::store::{Commit, CommitMeta, Counts, DocumentKind, GraphHead, Store, VersionInfo};

/// Most writes that wait; further ones are refused as busy.
const QUEUE: usize = 1024;
/// Most writes that become durable together.
const GROUP: usize = 256;

/// What a write asks for.
pub enum Write {
    /// Make an empty graph.
    Create(GraphSettings),
    /// Make a graph that starts from a version of another.
    Fork {
        /// Title and defaults.
        settings: GraphSettings,
        /// The other graph.
        from: String,
        /// Its version (default: newest).
        at: Option<u64>,
    },
    /// Change title and defaults.
    Settings(GraphSettings),
    /// Change which versions stay readable.
    Retention(RetentionChange),
    /// Delete the graph with all its versions.
    Delete,
    /// One atomic batch.
    Changes(Vec<Change>),
    /// Replace the whole content.
    Replace(Box<Network>),
}

/// A change of a graph's retention, made against what is in force by then.
pub type RetentionChange =
    Box<dyn FnOnce(Retention) -> Result<Retention, ServiceError> + Send + 'static>;

/// A document that becomes durable with a version or not at all, made once its number is known.
pub struct Attached {
    /// Kind.
    pub kind: DocumentKind,
    /// Key.
    pub key: String,
    /// Its value, given the version.
    pub value: Box<dyn FnOnce(u64) -> Vec<u8> + Send>,
}

/// What a write did.
#[derive(Debug, Clone)]
pub struct Written {
    /// The graph after the write.
    pub head: GraphHead,
    /// The version that the write made, if it made one.
    pub version: Option<VersionInfo>,
    /// What a batch of one record put there.
    pub put: Option<Put>,
}

/// A record that was written on its own.
#[derive(Debug, Clone)]
pub struct Put {
    /// As it reads in the version that it made.
    pub record: Record,
    /// True if there was none before.
    pub created: bool,
}

impl Put {
    /// What `changes`, just accepted by a draft that held `before` records, put there. Only a
    /// batch of one record is read back: the snapshot of its version may never exist, since
    /// versions that are committed together become one.
    fn of(changes: &[Change], before: RecordCounts, draft: &Draft<'_>) -> Option<Self> {
        let [Change::Put(record)] = changes else { return None };
        Some(Self { record: draft.stored(record)?, created: draft.counts() != before })
    }
}

/// One write and who waits for it.
pub struct WriteRequest {
    /// Graph to write to.
    pub graph: String,
    /// Version that the graph must be at.
    pub if_match: Option<u64>,
    /// Author, message and time for the log.
    pub meta: CommitMeta,
    /// What to do.
    pub write: Write,
    /// Documents that go with a batch of changes.
    pub attached: Vec<Attached>,
}

type Reply = oneshot::Sender<Result<Written, ServiceError>>;
type Queued = (WriteRequest, Reply);

/// Handle to the writer thread. Dropping it finishes the waiting writes and stops the thread.
pub struct Writer {
    queue: Option<SyncSender<Queued>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        store: Arc<Store>,
        catalogue: Arc<Catalogue>,
        notice: Notice,
    ) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&store, &catalogue, &notice, &waiting))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a write and waits until it is durable and visible.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] if the queue is full; else why the write was refused.
    pub async fn write(&self, request: WriteRequest) -> Result<Written, ServiceError> {
        self.submit(request)?.await.unwrap_or(Err(ServiceError::Internal))
    }

    /// As [`Writer::write`], for threads that may block.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_blocking(&self, request: WriteRequest) -> Result<Written, ServiceError> {
        self.submit(request)?.blocking_recv().unwrap_or(Err(ServiceError::Internal))
    }

    fn submit(
        &self,
        request: WriteRequest,
    ) -> Result<oneshot::Receiver<Result<Written, ServiceError>>, ServiceError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(ServiceError::Busy { what: "writes" })?;
        match queue.try_send((request, reply)) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(ServiceError::Busy { what: "writes" }),
            Err(TrySendError::Disconnected(_)) => Err(ServiceError::Internal),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, catalogue: &Catalogue, notice: &Notice, waiting: &Receiver<Queued>) {
    let mut held: Option<Queued> = None;
    loop {
        let first = match held.take() {
            Some(queued) => queued,
            None => match waiting.recv() {
                Ok(queued) => queued,
                Err(_) => return,
            },
        };
        let mut group = VecDeque::from([first]);
        if matches!(group[0].0.write, Write::Changes(_)) {
            while group.len() < GROUP {
                match waiting.try_recv() {
                    Ok(queued) if matches!(queued.0.write, Write::Changes(_)) => {
                        group.push_back(queued)
                    }
                    Ok(queued) => {
                        held = Some(queued);
                        break;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
        }
        let changed: BTreeSet<String> = group.iter().map(|(r, _)| r.graph.clone()).collect();
        while let Some((request, _)) = group.front() {
            let batches = matches!(request.write, Write::Changes(_));
            // Callers whose reply is dropped by a panic get `Internal`; the thread lives on.
            let done = catch_unwind(AssertUnwindSafe(|| {
                if batches {
                    commit_group(store, catalogue, &mut group);
                } else if let Some((request, reply)) = group.pop_front() {
                    let _ = reply.send(single(store, catalogue, request));
                }
            }));
            if let Err(panic) = done {
                tracing::error!(message = panic_message(&*panic), "the writer panicked");
                // What it was making of these graphs is not to be trusted.
                for graph in &changed {
                    if let Ok(entry) = catalogue.entry(graph) {
                        entry.spare().clear();
                    }
                }
            }
        }
        for graph in &changed {
            notice.changed(graph);
            if let Ok(entry) = catalogue.entry(graph) {
                entry.spare().catch_up();
            }
        }
    }
}

fn check_version(if_match: Option<u64>, current: u64) -> Result<(), ServiceError> {
    match if_match {
        Some(expected) if expected != current => Err(ServiceError::Stale { expected, current }),
        _ => Ok(()),
    }
}

/// A write that is committed on its own.
fn single(
    store: &Store,
    catalogue: &Catalogue,
    request: WriteRequest,
) -> Result<Written, ServiceError> {
    let WriteRequest { graph, if_match, meta, write, attached: _ } = request;
    let time_ms = meta.time_ms;
    let fresh = match write {
        Write::Create(settings) => store.create(&graph, &settings, time_ms)?,
        Write::Fork { settings, from, at } => store.fork(&graph, &settings, &from, at, time_ms)?,
        Write::Settings(settings) => {
            let entry = catalogue.entry(&graph)?;
            check_version(if_match, entry.head().version)?;
            let head = store.update_settings(&graph, &settings, time_ms)?;
            let _loading = lock(entry.loading());
            entry.set_head(head.clone());
            return Ok(Written { head, version: None, put: None });
        }
        Write::Retention(change) => {
            let entry = catalogue.entry(&graph)?;
            let before = entry.head();
            check_version(if_match, before.version)?;
            let retention = change(before.settings.retention.clone())?;
            let settings = GraphSettings { retention, ..before.settings.clone() };
            let head = store.update_settings(&graph, &settings, time_ms)?;
            let _loading = lock(entry.loading());
            entry.set_head(head.clone());
            return Ok(Written { head, version: None, put: None });
        }
        Write::Delete => {
            let head = catalogue.entry(&graph)?.head();
            check_version(if_match, head.version)?;
            store.delete(&graph)?;
            catalogue.remove(&graph);
            return Ok(Written { head: GraphHead::clone(&head), version: None, put: None });
        }
        Write::Replace(network) => {
            let entry = catalogue.entry(&graph)?;
            let head = entry.head();
            check_version(if_match, head.version)?;
            let version = store.replace(&graph, head.version, &network, meta)?;
            let snapshot = catalogue.build(&head, version.version, *network);
            let head = advanced(&head, &version);
            entry.spare().clear();
            catalogue.publish(&entry, head.clone(), Arc::new(snapshot));
            return Ok(Written { head, version: Some(version), put: None });
        }
        Write::Changes(_) => return Err(ServiceError::Internal),
    };
    catalogue.add(fresh.clone());
    Ok(Written { head: fresh, version: None, put: None })
}

fn advanced(head: &GraphHead, version: &VersionInfo) -> GraphHead {
    GraphHead {
        version: version.version,
        counts: version.counts,
        updated_ms: version.time_ms,
        ..head.clone()
    }
}

/// One accepted batch of a group.
struct Accepted {
    request: WriteRequest,
    reply: Reply,
    /// Version that it was checked against.
    expected: u64,
    counts: Counts,
    put: Option<Put>,
    documents: Vec<(DocumentKind, String, Vec<u8>)>,
}

/// Checks a group of batches one after the other, each on top of those before it, commits the
/// accepted ones together, publishes, answers.
fn commit_group(store: &Store, catalogue: &Catalogue, group: &mut VecDeque<Queued>) {
    // The graphs and their newest snapshots, which the drafts below stand on.
    let mut bases: BTreeMap<String, (Arc<GraphEntry>, Arc<Snapshot>)> = BTreeMap::new();
    let mut loaded = Vec::with_capacity(group.len());
    for (request, reply) in group.drain(..) {
        if !bases.contains_key(&request.graph) {
            let found = catalogue.entry(&request.graph).and_then(|entry| {
                let base = catalogue.load(&request.graph, None)?;
                Ok((entry, base))
            });
            match found {
                Ok(found) => drop(bases.insert(request.graph.clone(), found)),
                Err(error) => {
                    let _ = reply.send(Err(error));
                    continue;
                }
            }
        }
        loaded.push((request, reply));
    }

    let mut drafts: BTreeMap<&str, (u64, Draft<'_>)> = bases
        .iter()
        .map(|(name, (_, base))| (name.as_str(), (base.info().version, base.draft())))
        .collect();
    let mut accepted: Vec<Accepted> = Vec::with_capacity(loaded.len());
    for (mut request, reply) in loaded {
        let Some((version, draft)) = drafts.get_mut(request.graph.as_str()) else { continue };
        let Write::Changes(changes) = &request.write else { continue };
        let before = draft.counts();
        let checked =
            check_version(request.if_match, *version).and_then(|()| Ok(draft.push(changes)?));
        if let Err(error) = checked {
            let _ = reply.send(Err(error));
            continue;
        }
        let put = Put::of(changes, before, draft);
        let expected = *version;
        *version += 1;
        let documents = std::mem::take(&mut request.attached)
            .into_iter()
            .map(|a| (a.kind, a.key, (a.value)(expected + 1)))
            .collect();
        let counts = draft.counts().into();
        accepted.push(Accepted { request, reply, expected, counts, put, documents });
    }
    let commits: Vec<Commit<'_>> = accepted
        .iter()
        .map(|a| Commit {
            name: &a.request.graph,
            expected: a.expected,
            changes: changes_of(&a.request),
            counts: a.counts,
            meta: a.request.meta.clone(),
            documents: a.documents.iter().map(|(k, key, v)| (*k, &**key, &**v)).collect(),
        })
        .collect();
    let start = Instant::now();
    let results = store.commit_all(&commits);
    metrics::histogram!("chokepoint_store_commit_seconds").record(start.elapsed().as_secs_f64());
    drop(commits);

    // What is durable becomes the newest snapshot of each graph.
    let mut heads: BTreeMap<&str, GraphHead> = BTreeMap::new();
    for (name, (entry, base)) in &bases {
        let own = || accepted.iter().zip(&results).filter(|(a, _)| a.request.graph == *name);
        let Some(newest) = own().filter_map(|(_, result)| result.as_ref().ok()).next_back() else {
            continue;
        };
        let Some((_, mut draft)) = drafts.remove(name.as_str()) else { continue };
        if own().any(|(_, result)| result.is_err()) {
            // Some batch could not be committed after all: only those that were.
            draft = base.draft();
            for (a, _) in own().filter(|(_, result)| result.is_ok()) {
                if let Err(error) = draft.push(changes_of(&a.request)) {
                    tracing::error!(%error, graph = name, "a committed batch does not apply");
                }
            }
        }
        let head = advanced(&entry.head(), newest);
        let info = SnapshotInfo { version: newest.version, ..base.info().clone() };
        let next = entry.spare().next(base, draft.finish(), info);
        catalogue.publish(entry, head.clone(), next);
        heads.insert(name, head);
    }
    drop(drafts);
    for (a, result) in accepted.into_iter().zip(results) {
        let put = a.put;
        let answer = result.map_err(ServiceError::from).and_then(|version| {
            let head = heads.get(a.request.graph.as_str()).ok_or(ServiceError::Internal)?;
            Ok(Written { head: advanced(head, &version), version: Some(version), put })
        });
        let _ = a.reply.send(answer);
    }
}

fn changes_of(request: &WriteRequest) -> &[Change] {
    match &request.write {
        Write::Changes(changes) => changes,
        _ => &[],
    }
}
