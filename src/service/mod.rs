//! The service: one method for each user question, over the catalogue, the writer and the pool.
//!
//! Knows no HTTP. Handlers and the command line call it; it calls the analyses with a snapshot
//! and turns their indices into ids.

pub mod access;
pub mod analyses;
pub mod answers;
pub mod catalogue;
pub mod compactor;
pub mod comparisons;
pub mod concentration;
pub mod criticality;
pub mod cut_sets;
pub mod diff;
pub mod economic;
pub mod engines;
pub mod error;
pub mod explore;
pub mod exposure;
pub mod filter;
pub mod graphs;
pub mod idempotency;
pub mod impacts;
pub mod imports;
pub mod jobs;
pub mod memory;
pub mod merges;
pub mod mitigations;
pub mod objects;
pub mod overview;
pub mod permalinks;
pub mod pool;
pub mod reference;
pub mod retention;
pub mod rows;
pub mod scenarios;
pub mod search;
pub mod structure;
pub mod time;
pub mod versions;
pub mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use access::audit::Audit;
use access::{Access, AccessOptions};
use answers::AnswerCache;
use catalogue::Catalogue;
use compactor::Compactor;
use engines::{EngineOptions, Engines};
pub use error::ServiceError;
use idempotency::Idempotency;
use jobs::{JobOptions, Jobs};
use memory::MemoryBudget;
use permalinks::Permalinks;
use pool::CpuPool;
use reference::Reference;
use writer::Writer;

use crate::graph::Snapshot;
use crate::store::Store;

/// How large the service may grow.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// Threads for CPU-heavy work; 0: one for each core.
    pub cpu_threads: usize,
    /// Bytes of finished answers kept in memory.
    pub answer_cache_bytes: usize,
    /// Answers whose question is kept in the store; the oldest are the first to go.
    pub permalinks_kept: usize,
    /// How many jobs run, and for how long.
    pub jobs: JobOptions,
    /// Most memory that the process should use.
    pub memory: MemoryBudget,
    /// Which credentials are taken.
    pub access: AccessOptions,
    /// Where analyses may run beside this process.
    pub engines: EngineOptions,
    /// Bytes that graphs in memory may take; the least recently used ones go first.
    pub graph_memory_bytes: usize,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            cpu_threads: 0,
            answer_cache_bytes: 64 << 20,
            permalinks_kept: 100_000,
            jobs: JobOptions::default(),
            memory: MemoryBudget::default(),
            access: AccessOptions::default(),
            engines: EngineOptions::default(),
            graph_memory_bytes: 4 << 30,
        }
    }
}

/// Everything that handlers and commands need.
pub struct Service {
    /// The graphs.
    pub catalogue: Arc<Catalogue>,
    /// Threads for CPU-heavy work.
    pub pool: Arc<CpuPool>,
    /// Threads for files: they read and build behind everything that is asked for an answer, and
    /// beside long jobs.
    pub bulk: Arc<CpuPool>,
    /// Long work.
    pub jobs: Arc<Jobs>,
    /// Who may do what.
    pub access: Access,
    /// Who did what.
    pub audit: Audit,
    /// Where analyses run.
    pub engines: Engines,
    /// Most memory that the process should use.
    pub memory: MemoryBudget,
    /// Finished answers.
    pub answers: Arc<AnswerCache>,
    /// Questions by the ids of their answers.
    pub permalinks: Arc<Permalinks>,
    /// First answers by `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// Registers, presets and the bundled graph.
    pub reference: Arc<Reference>,
    /// Models ready to evaluate scenarios.
    pub models: impacts::ModelCache,
    /// Views ready for structural analyses.
    pub views: structure::views::ViewCache,
    /// Families of cut sets ready for further pages.
    pub cut_sets: cut_sets::CutSetCache,
    /// The store below.
    pub store: Arc<Store>,
    writer: Writer,
    /// Folds logs in the background. Behind the writer, so that it is dropped after it.
    pub compactor: Compactor,
    ready: AtomicBool,
    scenario_writes: AtomicU64,
}

impl Service {
    /// A service over a store. Loads no graph yet; see [`Service::start`].
    ///
    /// # Errors
    /// If the store cannot be read, the bundled tables are broken, or the system gives no threads.
    pub fn new(store: Store, options: &ServiceOptions) -> Result<Self, ServiceError> {
        let store = Arc::new(store);
        let reference = Arc::new(Reference::load()?);
        let countries = reference.countries.clone();
        let budget = options.graph_memory_bytes;
        let catalogue = Arc::new(Catalogue::open(store.clone(), countries, budget)?);
        let no_threads = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the system gives no threads");
            ServiceError::Internal
        };
        let pool = CpuPool::new(options.cpu_threads).map_err(|e| no_threads(&e))?;
        let bulk = CpuPool::in_background(options.cpu_threads).map_err(|e| no_threads(&e))?;
        let job_pool = CpuPool::in_background(options.cpu_threads).map_err(|e| no_threads(&e))?;
        let compactor =
            Compactor::start(store.clone(), catalogue.clone()).map_err(|e| no_threads(&e))?;
        let writer = Writer::start(store.clone(), catalogue.clone(), compactor.notice())
            .map_err(|e| no_threads(&e))?;
        Ok(Self {
            catalogue,
            pool: Arc::new(pool),
            bulk: Arc::new(bulk),
            jobs: Arc::new(Jobs::new(store.clone(), job_pool, options.jobs)),
            access: Access::new(store.clone(), &options.access)?,
            audit: Audit::start(store.clone()).map_err(|e| no_threads(&e))?,
            engines: Engines::new(options.engines.clone(), options.memory),
            memory: options.memory,
            answers: Arc::new(AnswerCache::new(options.answer_cache_bytes)),
            permalinks: Arc::new(
                Permalinks::start(store.clone(), options.permalinks_kept)
                    .map_err(|e| no_threads(&e))?,
            ),
            idempotency: Idempotency::new(store.clone()),
            reference,
            models: impacts::ModelCache::default(),
            views: structure::views::ViewCache::default(),
            cut_sets: cut_sets::CutSetCache::default(),
            store,
            writer,
            compactor,
            ready: AtomicBool::new(false),
            scenario_writes: AtomicU64::new(0),
        })
    }

    /// Imports the bundled graph into an empty store if `seed` is set, and loads graphs, those that
    /// changed last first, while they fit the memory budget; the others are loaded when asked for.
    /// Blocks; readers are served meanwhile.
    ///
    /// # Errors
    /// If the store fails or the bundled graph is broken.
    pub fn start(&self, seed: bool) -> Result<(), ServiceError> {
        if seed && self.catalogue.heads().is_empty() {
            self.seed()?;
        }
        let mut heads = self.catalogue.heads();
        heads.sort_by_key(|head| std::cmp::Reverse(head.updated_ms));
        for head in heads {
            if !self.catalogue.has_room_for(&head) {
                break;
            }
            self.catalogue.load(&head.name, None)?;
            self.compactor.notice().changed(&head.name);
        }
        if let Err(error) = self.idempotency.expire() {
            tracing::warn!(%error, "old idempotency keys could not be removed");
        }
        self.engines.find();
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// True once every graph is loaded.
    pub fn is_loaded(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Why the service should get no more traffic, if so.
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.store.is_failed() {
            Some("the store has failed; reads go on, writes are refused; see the log and restart")
        } else if !self.is_loaded() {
            Some("graphs are being loaded")
        } else {
            None
        }
    }

    /// The snapshot of a graph at a version (default: newest), loaded if need be.
    ///
    /// # Errors
    /// An absent graph or version, or a store that cannot be read.
    pub async fn snapshot(
        &self,
        graph: &str,
        at: Option<u64>,
    ) -> Result<Arc<Snapshot>, ServiceError> {
        if let Some(snapshot) = self.catalogue.in_memory(graph, at)? {
            return Ok(snapshot);
        }
        let (catalogue, graph) = (self.catalogue.clone(), graph.to_owned());
        self.blocking(move || catalogue.load(&graph, at)).await
    }

    /// Runs something that waits for the disk, away from the threads that serve requests.
    ///
    /// # Errors
    /// What `work` returns; [`ServiceError::Internal`] if it panics.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ServiceError> + Send + 'static,
    {
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(work)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "blocking work panicked");
            Err(ServiceError::Internal)
        })
    }
}
