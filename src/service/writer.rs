//! The one writer: a thread that takes waiting writes in groups, makes them durable together,
//! publishes the new snapshots and only then answers.
//!
//! Order is the promise: check against the private head, commit, publish, answer. So no reader
//! sees what a crash may take back, and an acknowledged write is on disk.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::catalogue::{Catalogue, lock};
use super::error::ServiceError;
use super::pool::panic_message;
use crate::graph::Snapshot;
use crate::model::{Change, GraphSettings, Network};
use crate::store::{Commit, CommitMeta, GraphHead, Store, VersionInfo};

/// Most writes that wait; further ones are refused as busy.
const QUEUE: usize = 1024;
/// Most writes that become durable together.
const GROUP: usize = 256;
/// Most rows in the networks of one group: bounds the memory of writes to large graphs.
const GROUP_ROWS: usize = 2_000_000;

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
    /// Delete the graph with all its versions.
    Delete,
    /// One atomic batch.
    Changes(Vec<Change>),
    /// Replace the whole content.
    Replace(Box<Network>),
}

/// What a write did.
#[derive(Debug, Clone)]
pub struct Written {
    /// The graph after the write.
    pub head: GraphHead,
    /// The version that the write made, if it made one.
    pub version: Option<VersionInfo>,
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
    pub fn start(store: Arc<Store>, catalogue: Arc<Catalogue>) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&store, &catalogue, &waiting))?;
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

fn run(store: &Store, catalogue: &Catalogue, waiting: &Receiver<Queued>) {
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
    let WriteRequest { graph, if_match, meta, write } = request;
    let time_ms = meta.time_ms;
    let fresh = match write {
        Write::Create(settings) => store.create(&graph, &settings, time_ms)?,
        Write::Fork { settings, from, at } => store.fork(&graph, &settings, &from, at, time_ms)?,
        Write::Settings(settings) => {
            let entry = catalogue.entry(&graph)?;
            check_version(if_match, entry.head().version)?;
            let head = store.update_settings(&graph, &settings, time_ms)?;
            // Analyses read the settings from the snapshot: load it again when next asked for.
            let _loading = lock(entry.loading());
            entry.reset(head.clone());
            return Ok(Written { head, version: None });
        }
        Write::Delete => {
            let head = catalogue.entry(&graph)?.head();
            check_version(if_match, head.version)?;
            store.delete(&graph)?;
            catalogue.remove(&graph);
            return Ok(Written { head: GraphHead::clone(&head), version: None });
        }
        Write::Replace(network) => {
            let entry = catalogue.entry(&graph)?;
            let head = entry.head();
            check_version(if_match, head.version)?;
            let version = store.replace(&graph, head.version, &network, meta)?;
            let snapshot = catalogue.build(&head, version.version, *network);
            let head = advanced(&head, &version);
            entry.publish(head.clone(), Some(Arc::new(snapshot)));
            return Ok(Written { head, version: Some(version) });
        }
        Write::Changes(_) => return Err(ServiceError::Internal),
    };
    catalogue.add(fresh.clone());
    Ok(Written { head: fresh, version: None })
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
    next: Network,
}

/// The private head of one graph while a group is checked.
struct Private {
    base: Arc<Snapshot>,
    version: u64,
    /// Position of the newest accepted batch of this graph.
    last: Option<usize>,
}

/// Checks a group of batches one after the other, each against the result of those before it,
/// commits the accepted ones together, publishes, answers. Leaves in `group` what is too much for
/// one go.
fn commit_group(store: &Store, catalogue: &Catalogue, group: &mut VecDeque<Queued>) {
    let mut heads: BTreeMap<String, Private> = BTreeMap::new();
    let mut accepted: Vec<Accepted> = Vec::new();
    let mut rows = 0;
    while rows < GROUP_ROWS
        && let Some((request, reply)) = group.pop_front()
    {
        match check(catalogue, &mut heads, &accepted, &request) {
            Ok((expected, next)) => {
                if let Some(head) = heads.get_mut(&request.graph) {
                    head.version = expected + 1;
                    head.last = Some(accepted.len());
                }
                rows += next.node_count() + next.flow_count();
                accepted.push(Accepted { request, reply, expected, next });
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }
    let commits: Vec<Commit<'_>> = accepted
        .iter()
        .map(|a| Commit {
            name: &a.request.graph,
            expected: a.expected,
            changes: match &a.request.write {
                Write::Changes(changes) => changes,
                _ => &[],
            },
            next: &a.next,
            meta: a.request.meta.clone(),
            documents: Vec::new(),
        })
        .collect();
    let start = Instant::now();
    let results = store.commit_all(&commits);
    metrics::histogram!("chokepoint_store_commit_seconds").record(start.elapsed().as_secs_f64());
    drop(commits);

    // The newest durable version of each graph becomes its snapshot.
    let mut newest: BTreeMap<String, usize> = BTreeMap::new();
    for (i, result) in results.iter().enumerate() {
        if result.is_ok() {
            newest.insert(accepted[i].request.graph.clone(), i);
        }
    }
    let mut answers = Vec::with_capacity(accepted.len());
    for (i, (accepted, result)) in accepted.into_iter().zip(results).enumerate() {
        let Accepted { request, reply, next, .. } = accepted;
        let answer = result.map_err(ServiceError::from).and_then(|version| {
            let entry = catalogue.entry(&request.graph)?;
            let head = advanced(&entry.head(), &version);
            if newest.get(&request.graph) == Some(&i) {
                let snapshot = catalogue.build(&head, version.version, next);
                entry.publish(head.clone(), Some(Arc::new(snapshot)));
            }
            Ok(Written { head, version: Some(version) })
        });
        answers.push((reply, answer));
    }
    for (reply, answer) in answers {
        let _ = reply.send(answer);
    }
}

fn check(
    catalogue: &Catalogue,
    heads: &mut BTreeMap<String, Private>,
    accepted: &[Accepted],
    request: &WriteRequest,
) -> Result<(u64, Network), ServiceError> {
    let Write::Changes(changes) = &request.write else { return Err(ServiceError::Internal) };
    if !heads.contains_key(&request.graph) {
        let base = catalogue.load(&request.graph, None)?;
        let version = base.info().version;
        heads.insert(request.graph.clone(), Private { base, version, last: None });
    }
    let head = heads.get(&request.graph).ok_or(ServiceError::Internal)?;
    check_version(request.if_match, head.version)?;
    let network = head.last.map_or_else(|| head.base.network(), |i| &accepted[i].next);
    Ok((head.version, network.apply(changes)?))
}
