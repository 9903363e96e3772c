//! The graphs that are served: the current snapshot of each, and recent old versions.
//!
//! Readers take an `Arc<Snapshot>` and keep it; they never wait for a writer and never touch the
//! store once a graph is loaded. Invariants: only the writer thread publishes a newer snapshot;
//! a snapshot is published only after its version is durable; a graph is loaded under its own
//! lock, so that a slow load can never replace a newer version by an older one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustc_hash::FxHashMap;

use super::error::ServiceError;
use super::versions::Spare;
use crate::graph::{Snapshot, SnapshotInfo};
use crate::model::selector::suggest;
use crate::model::{Countries, Network};
use crate::store::{GraphHead, Store};

/// Old versions kept in memory for questions with `at`.
const OLD_VERSIONS: usize = 8;
/// Rows up to which a version that was just replaced is kept among those.
const SMALL_GRAPH: usize = 200_000;

/// One graph: what the catalogue says about it and its newest snapshot, once loaded.
#[derive(Debug)]
pub struct GraphEntry {
    head: ArcSwap<GraphHead>,
    current: ArcSwapOption<Snapshot>,
    loading: Mutex<()>,
    /// What the next version is made of. Writer thread only.
    spare: Mutex<Spare>,
    /// When it was last asked for, by the catalogue's clock.
    used: AtomicU64,
}

impl GraphEntry {
    fn new(head: GraphHead) -> Self {
        Self {
            head: ArcSwap::from_pointee(head),
            current: ArcSwapOption::empty(),
            loading: Mutex::new(()),
            spare: Mutex::default(),
            used: AtomicU64::new(0),
        }
    }

    /// Name, settings, version and counts.
    pub fn head(&self) -> Arc<GraphHead> {
        self.head.load_full()
    }

    /// The newest snapshot, if it is in memory.
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    pub(super) fn loading(&self) -> &Mutex<()> {
        &self.loading
    }

    /// New settings of the same version. Hold `loading` meanwhile.
    pub(super) fn set_head(&self, head: GraphHead) {
        if let Some(current) = self.current() {
            self.current.store(Some(Arc::new(current.with_settings(&head.settings))));
        }
        lock(&self.spare).clear();
        self.head.store(Arc::new(head));
    }

    pub(super) fn spare(&self) -> MutexGuard<'_, Spare> {
        lock(&self.spare)
    }

    fn heap_bytes(&self) -> usize {
        let current = self.current.load();
        // While the writer works on it, the spare snapshot does not count: nobody waits here.
        let spare = self.spare.try_lock().map_or(0, |spare| spare.heap_bytes());
        current.as_ref().map_or(0, |s| s.heap_bytes()) + spare
    }
}

/// What a node and a flow take in memory, roughly.
const NODE_BYTES: usize = 90;
const FLOW_BYTES: usize = 40;

type Old = VecDeque<((Arc<str>, u64), Arc<Snapshot>)>;

/// Refuses a version that the graph's retention gives up: whether its space has been taken back
/// already makes no difference.
fn kept(head: &GraphHead, at: u64) -> Result<(), ServiceError> {
    let retention = &head.settings.retention;
    if at > head.version || retention.keeps(at, head.version) {
        return Ok(());
    }
    Err(ServiceError::Gone { graph: head.name.clone(), version: at, newest: head.version })
}

/// All graphs by name.
pub struct Catalogue {
    store: Arc<Store>,
    countries: Arc<Countries>,
    graphs: ArcSwap<FxHashMap<String, Arc<GraphEntry>>>,
    old: Mutex<Old>,
    /// Bytes that snapshots may take together.
    budget: usize,
    clock: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The data under these locks is valid at every step, so a panicked holder does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalogue {
    /// The catalogue of a store. Loads no graph yet.
    ///
    /// # Errors
    /// If the store cannot list its graphs.
    pub fn open(
        store: Arc<Store>,
        countries: Arc<Countries>,
        budget: usize,
    ) -> Result<Self, ServiceError> {
        let graphs = store
            .graphs()?
            .into_iter()
            .map(|head| (head.name.clone(), Arc::new(GraphEntry::new(head))))
            .collect();
        Ok(Self {
            store,
            countries,
            graphs: ArcSwap::from_pointee(graphs),
            old: Mutex::default(),
            budget,
            clock: AtomicU64::new(1),
        })
    }

    /// The register of countries that selectors are read with.
    pub fn countries(&self) -> &Arc<Countries> {
        &self.countries
    }

    /// Every graph, by name.
    pub fn heads(&self) -> Vec<Arc<GraphHead>> {
        let mut heads: Vec<_> = self.graphs.load().values().map(|e| e.head()).collect();
        heads.sort_by(|a, b| a.name.cmp(&b.name));
        heads
    }

    /// One graph.
    ///
    /// # Errors
    /// [`ServiceError::Absent`] with the nearest name.
    pub fn entry(&self, name: &str) -> Result<Arc<GraphEntry>, ServiceError> {
        let graphs = self.graphs.load();
        graphs.get(name).cloned().ok_or_else(|| ServiceError::Absent {
            what: "graph",
            name: name.to_owned(),
            hint: suggest(name, graphs.keys().map(String::as_str))
                .map(|near| format!("did you mean {near}?"))
                .or_else(|| Some("GET /v1/graphs lists the graphs".to_owned())),
        })
    }

    /// The snapshot of a graph if it is in memory: the fast path of every read.
    ///
    /// # Errors
    /// [`ServiceError::Absent`] if there is no such graph.
    pub fn in_memory(
        &self,
        name: &str,
        at: Option<u64>,
    ) -> Result<Option<Arc<Snapshot>>, ServiceError> {
        let graphs = self.graphs.load();
        let Some(entry) = graphs.get(name) else {
            return self.entry(name).map(|_| None);
        };
        entry.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let current = entry.current.load();
        let Some(at) = at else { return Ok(current.clone()) };
        if let Some(current) = current.as_ref()
            && current.info().version == at
        {
            return Ok(Some(current.clone()));
        }
        kept(&entry.head(), at)?;
        let mut old = lock(&self.old);
        let Some(place) = old.iter().position(|(key, _)| &*key.0 == name && key.1 == at) else {
            return Ok(None);
        };
        let kept = old.remove(place);
        let snapshot = kept.as_ref().map(|(_, snapshot)| snapshot.clone());
        old.extend(kept);
        Ok(snapshot)
    }

    /// The snapshot of a graph, loaded if need be: blocks on the store.
    ///
    /// # Errors
    /// An absent graph or version, or a store that cannot be read.
    pub fn load(&self, name: &str, at: Option<u64>) -> Result<Arc<Snapshot>, ServiceError> {
        if let Some(snapshot) = self.in_memory(name, at)? {
            return Ok(snapshot);
        }
        let entry = self.entry(name)?;
        let newest = entry.head().version;
        if let Some(at) = at {
            kept(&entry.head(), at)?;
        }
        if let Some(at) = at.filter(|&at| at > newest) {
            return Err(ServiceError::Absent {
                what: "version",
                name: format!("{name}@{at}"),
                hint: Some(format!("the newest version is {newest}")),
            });
        }
        let _loading = lock(&entry.loading);
        // Someone else may have loaded it while this thread waited.
        if let Some(snapshot) = self.in_memory(name, at)? {
            return Ok(snapshot);
        }
        let (network, version) = self.store.load(name, at)?;
        let head = entry.head();
        let snapshot = Arc::new(self.build(&head, version.version, network));
        if version.version == head.version {
            // Unless a newer one was published meanwhile.
            entry.current.rcu(|current| match current {
                Some(newer) if newer.info().version >= version.version => Some(newer.clone()),
                _ => Some(snapshot.clone()),
            });
        } else {
            self.remember(snapshot.clone());
        }
        self.evict(&entry);
        Ok(snapshot)
    }

    /// Keeps an old version for questions with `at`.
    fn remember(&self, snapshot: Arc<Snapshot>) {
        let mut old = lock(&self.old);
        old.push_back(((snapshot.info().graph.clone(), snapshot.info().version), snapshot));
        while old.len() > OLD_VERSIONS {
            old.pop_front();
        }
    }

    /// Makes a durable version the newest one that readers get. Writer thread only.
    pub(super) fn publish(&self, entry: &GraphEntry, head: GraphHead, snapshot: Arc<Snapshot>) {
        let replaced = entry.current.swap(Some(snapshot));
        entry.head.store(Arc::new(head));
        // A small one is cheap to keep; of a large one the next version is made.
        if let Some(replaced) = replaced
            && replaced.node_count() + replaced.flow_count() <= SMALL_GRAPH
        {
            self.remember(replaced);
        }
        self.evict(entry);
    }

    /// Makes a copy of a large graph for the writer to work its next version into, if there is none
    /// and the budget allows: copying takes longer than a small write may. Blocks.
    pub(super) fn prepare(&self, entry: &GraphEntry) {
        let Some(current) = entry.current() else { return };
        let large = current.node_count() + current.flow_count() > SMALL_GRAPH;
        let room = || self.heap_bytes().saturating_add(current.heap_bytes()) <= self.budget;
        if !large || !entry.spare().is_empty() || !room() {
            return;
        }
        let own = current.unshared();
        let mut spare = entry.spare();
        // Unless someone wrote meanwhile.
        let version = entry.current.load().as_ref().map(|now| now.info().version);
        if spare.is_empty() && version == Some(own.info().version) {
            spare.keep(own);
        }
    }

    /// Bytes that snapshots in memory take (those that only readers still hold left out).
    pub fn heap_bytes(&self) -> usize {
        let graphs = self.graphs.load();
        let old: usize = lock(&self.old).iter().map(|(_, s)| s.heap_bytes()).sum();
        old + graphs.values().map(|entry| entry.heap_bytes()).sum::<usize>()
    }

    /// Drops what was not asked for longest, until the rest is within the budget; `busy` stays.
    /// It is loaded again when next asked for.
    fn evict(&self, busy: &GraphEntry) {
        let mut bytes = self.heap_bytes();
        while bytes > self.budget {
            let Some((_, oldest)) = lock(&self.old).pop_front() else { break };
            bytes = bytes.saturating_sub(oldest.heap_bytes());
        }
        if bytes <= self.budget {
            return;
        }
        let graphs = self.graphs.load();
        // First what only makes writes faster.
        for entry in graphs.values() {
            if let Ok(mut spare) = entry.spare.try_lock() {
                bytes = bytes.saturating_sub(spare.heap_bytes());
                spare.clear();
            }
            if bytes <= self.budget {
                return;
            }
        }
        let mut idle: Vec<&Arc<GraphEntry>> = graphs
            .values()
            .filter(|entry| !std::ptr::eq(&raw const ***entry, busy) && entry.current().is_some())
            .collect();
        idle.sort_by_key(|entry| entry.used.load(Ordering::Relaxed));
        for entry in idle {
            if bytes <= self.budget {
                return;
            }
            bytes = bytes.saturating_sub(entry.heap_bytes());
            tracing::debug!(graph = entry.head().name, "evicted from memory");
            if let Ok(mut spare) = entry.spare.try_lock() {
                spare.clear();
            }
            entry.current.store(None);
        }
    }

    /// True if a graph that is not loaded will probably fit the budget beside those that are.
    pub fn has_room_for(&self, head: &GraphHead) -> bool {
        let counts = head.counts;
        let guess = counts.nodes as usize * NODE_BYTES + counts.flows as usize * FLOW_BYTES;
        self.heap_bytes().saturating_add(guess) <= self.budget
    }

    /// Indexes a network as a version of a graph.
    pub(super) fn build(&self, head: &GraphHead, version: u64, network: Network) -> Snapshot {
        let info = SnapshotInfo {
            graph: Arc::from(head.name.as_str()),
            version,
            settings: head.settings.clone(),
        };
        Snapshot::build(network, info, self.countries.clone())
    }

    /// Adds a graph that the store just made. Writer thread only.
    pub(super) fn add(&self, head: GraphHead) {
        let mut graphs = FxHashMap::clone(&self.graphs.load());
        graphs.insert(head.name.clone(), Arc::new(GraphEntry::new(head)));
        self.graphs.store(Arc::new(graphs));
    }

    /// Removes a graph that the store just deleted. Writer thread only.
    pub(super) fn remove(&self, name: &str) {
        let mut graphs = FxHashMap::clone(&self.graphs.load());
        graphs.remove(name);
        self.graphs.store(Arc::new(graphs));
        lock(&self.old).retain(|(key, _)| &*key.0 != name);
    }
}
