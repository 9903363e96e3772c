//! The graphs that are served: the current snapshot of each, and recent old versions.
//!
//! Readers take an `Arc<Snapshot>` and keep it; they never wait for a writer and never touch the
//! store once a graph is loaded. Invariants: only the writer thread publishes a newer snapshot;
//! a snapshot is published only after its version is durable; a graph is loaded under its own
//! lock, so that a slow load can never replace a newer version by an older one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustc_hash::FxHashMap;

use super::error::ServiceError;
use crate::graph::{Snapshot, SnapshotInfo};
use crate::model::selector::suggest;
use crate::model::{Countries, Network};
use crate::store::{GraphHead, Store};

/// Old versions kept in memory for questions with `at`.
const OLD_VERSIONS: usize = 4;

/// One graph: what the catalogue says about it and its newest snapshot, once loaded.
#[derive(Debug)]
pub struct GraphEntry {
    head: ArcSwap<GraphHead>,
    current: ArcSwapOption<Snapshot>,
    loading: Mutex<()>,
}

impl GraphEntry {
    fn new(head: GraphHead) -> Self {
        Self {
            head: ArcSwap::from_pointee(head),
            current: ArcSwapOption::empty(),
            loading: Mutex::new(()),
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

    /// New settings: the snapshot is loaded again when next asked for. Hold `loading` meanwhile.
    pub(super) fn reset(&self, head: GraphHead) {
        self.current.store(None);
        self.head.store(Arc::new(head));
    }

    pub(super) fn publish(&self, head: GraphHead, snapshot: Option<Arc<Snapshot>>) {
        if let Some(snapshot) = snapshot {
            self.current.store(Some(snapshot));
        }
        self.head.store(Arc::new(head));
    }
}

type Old = VecDeque<((Arc<str>, u64), Arc<Snapshot>)>;

/// All graphs by name.
pub struct Catalogue {
    store: Arc<Store>,
    countries: Arc<Countries>,
    graphs: ArcSwap<FxHashMap<String, Arc<GraphEntry>>>,
    old: Mutex<Old>,
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
    pub fn open(store: Arc<Store>, countries: Arc<Countries>) -> Result<Self, ServiceError> {
        let graphs = store
            .graphs()?
            .into_iter()
            .map(|head| (head.name.clone(), Arc::new(GraphEntry::new(head))))
            .collect();
        Ok(Self { store, countries, graphs: ArcSwap::from_pointee(graphs), old: Mutex::default() })
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
        let current = entry.current.load();
        let Some(at) = at else { return Ok(current.clone()) };
        if let Some(current) = current.as_ref()
            && current.info().version == at
        {
            return Ok(Some(current.clone()));
        }
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
            entry.current.store(Some(snapshot.clone()));
        } else {
            let mut old = lock(&self.old);
            old.push_back(((snapshot.info().graph.clone(), version.version), snapshot.clone()));
            while old.len() > OLD_VERSIONS {
                old.pop_front();
            }
        }
        Ok(snapshot)
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
