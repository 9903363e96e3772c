//! Engines: where an analysis runs. In this process, or in Apache Spark for graphs beyond it.
//!
//! An engine gets a [`Task`] and leaves a folder of tables with a [`Manifest`]; the service checks
//! the folder and serves it, whoever made it. The same question has the same rows on both: tests
//! hold them against each other. What only the local engine does is refused by the others with a
//! sentence that says so.

pub mod hand_over;
mod local;
pub mod manifest;
mod results;
mod spark;
pub mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::local::Local;
use self::manifest::{ExchangeError, Manifest};
pub use self::results::{AnalysisAnswer, ResultRows};
use self::spark::Spark;
use super::impacts::answer_id;
use super::impacts::many::{BatchScenario, compile_scenarios};
use super::jobs::{Estimate, Job};
use super::memory::MemoryBudget;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::impact::Shocks;
use crate::graph::Snapshot;
use crate::model::scenario::{ModelOptions, Target};
use crate::model::selector::Selector;

/// Prefix of the ids of analyses.
const PREFIX: &str = "ana";
/// Folder of finished analyses below the exchange folder.
const RESULTS: &str = "results";
/// Folder of running analyses below the exchange folder.
const RUNNING: &str = "running";

/// Where an analysis runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// In this process.
    #[default]
    Local,
    /// In Apache Spark.
    Spark,
}

/// An analysis for an engine.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalysisBody {
    /// Where it runs (default: local).
    #[serde(default)]
    pub engine: EngineName,
    /// What is asked.
    pub analysis: EngineAnalysis,
    /// Version of the graph (default: the newest).
    #[serde(default)]
    pub at: Option<u64>,
    /// Longest it may run, in seconds (default: the server's deadline of jobs).
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

/// What every engine answers alike.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum EngineAnalysis {
    /// Losses of every node under many scenarios, by the production rules.
    Impacts {
        /// The scenarios.
        scenarios: Vec<BatchScenario>,
        /// How all of them are evaluated.
        #[serde(default)]
        model: ModelOptions,
        /// Targets of all of them.
        #[serde(default)]
        targets: Vec<Target>,
    },
    /// PageRank; scores add up to 1.
    Pagerank {
        /// Probability of following a flow rather than starting again.
        #[serde(default = "default_damping")]
        damping: f64,
        /// Bound on the sum of all errors.
        #[serde(default = "default_tolerance")]
        tolerance: f64,
        /// What a flow passes on.
        #[serde(default)]
        weight: LinkWeight,
    },
    /// Weakly or strongly connected components; each is named by its first node.
    Components {
        /// Which.
        #[serde(default)]
        kind: Connection,
    },
    /// Nodes that others reach, with the fewest flows on the way.
    Reachability {
        /// Where to start.
        from: Selector,
        /// Which way.
        #[serde(default)]
        direction: Reach,
    },
    /// Suppliers and consumers of every node.
    Degree {},
    /// Quantities that arrive at and leave every node.
    Strength {},
    /// Herfindahl-Hirschman index of every product and stage by country.
    Concentration {},
}

/// What a flow passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkWeight {
    /// Every linked pair alike.
    #[default]
    None,
    /// By quantity.
    Quantity,
}

/// Kind of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Joined if the direction of flows is ignored.
    #[default]
    Weak,
    /// Each node reaches each other one.
    Strong,
}

/// Which way along the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// To consumers.
    #[default]
    Downstream,
    /// To suppliers.
    Upstream,
}

fn default_damping() -> f64 {
    0.85
}

fn default_tolerance() -> f64 {
    1e-9
}

impl EngineAnalysis {
    /// Names of all of them.
    pub const NAMES: &'static [&'static str] = &[
        "impacts",
        "pagerank",
        "components",
        "reachability",
        "degree",
        "strength",
        "concentration",
    ];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Impacts { .. } => "impacts",
            Self::Pagerank { .. } => "pagerank",
            Self::Components { .. } => "components",
            Self::Reachability { .. } => "reachability",
            Self::Degree {} => "degree",
            Self::Strength {} => "strength",
            Self::Concentration {} => "concentration",
        }
    }

    fn check(&self) -> Result<(), ServiceError> {
        let range = |ok: bool, name: &str, value: f64, range: &str| {
            if ok {
                return Ok(());
            }
            let problem = format!("{name} is {value}; it must be {range}");
            Err(ServiceError::malformed(format!("analysis.{name}"), problem))
        };
        match self {
            Self::Pagerank { damping, tolerance, .. } => {
                range((0.0..1.0).contains(damping), "damping", *damping, "from 0 to below 1")?;
                range((1e-15..1.0).contains(tolerance), "tolerance", *tolerance, "1e-15 to 1")
            }
            Self::Impacts { scenarios, .. } if scenarios.is_empty() => {
                Err(ServiceError::malformed("analysis.scenarios", "give one scenario at least"))
            }
            _ => Ok(()),
        }
    }
}

/// An analysis ready to run: names resolved, a folder of its own.
pub struct Task {
    /// Id of its answer.
    pub id: String,
    /// The graph.
    pub snapshot: Arc<Snapshot>,
    /// What is asked.
    pub analysis: EngineAnalysis,
    /// Scenarios of impacts.
    pub shocks: Vec<Shocks>,
    /// Where reachability starts.
    pub sources: Option<Vec<u32>>,
    /// Folder of this run; everything in it goes when it ends.
    pub folder: PathBuf,
    /// Longest it may run.
    pub timeout: Option<Duration>,
}

impl Task {
    /// Folder of the result.
    pub fn result(&self) -> PathBuf {
        self.folder.join("result")
    }
}

/// Where an analysis runs.
pub trait Engine {
    /// What it is and can do.
    fn view(&self) -> EngineView;

    /// Refuses a question that this engine does not answer.
    ///
    /// # Errors
    /// [`ServiceError::Impossible`] with the engine that does.
    fn refuse(&self, task: &Task) -> Result<(), ServiceError>;

    /// Runs a task to its end; its result is then in [`Task::result`]. Blocks.
    ///
    /// # Errors
    /// What the graph does not understand; cancellation; a failed run with the end of its log.
    fn run(
        &self,
        service: &Service,
        task: &Task,
        progress: &Progress,
    ) -> Result<Manifest, ServiceError>;
}

/// An engine, as users see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EngineView {
    /// Name for `engine`.
    pub name: &'static str,
    /// Whether it can be used.
    pub available: bool,
    /// Engine and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Programs that it stands on.
    pub versions: BTreeMap<String, String>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Analyses that it answers at `POST /v1/graphs/{g}/analyses`.
    pub analyses: Vec<&'static str>,
    /// How much it can take.
    pub limits: Limits,
    /// What to know.
    pub notes: Vec<&'static str>,
}

/// How much an engine can take.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Limits {
    /// Memory that it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Flows of the largest graph, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<u64>,
    /// Longest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

/// An analysis that only the local engine does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct LocalOnly {
    /// The analysis.
    pub analysis: &'static str,
    /// Why it stays.
    pub why: &'static str,
    /// Up to which size.
    pub size: &'static str,
}

/// What stays in this process. Sizes are orders of magnitude for one machine with two cores.
pub const STAYS_LOCAL: &[LocalOnly] = &[
    LocalOnly {
        analysis: "impact with priority rationing, substitution, timelines, ranges, explanations",
        why: "markets and stocks are settled in one order over the whole graph",
        size: "as long as the graph fits into memory: about 10^7 flows in 2 GB, 10^8 in 18 GB",
    },
    LocalOnly {
        analysis: "betweenness, closeness, edge betweenness",
        why: "one search of the whole graph for each node",
        size: "exact: nodes x flows up to about 10^12 (100,000 nodes, 10^7 flows) in an hour; \
               approximate betweenness to about 10^8 flows",
    },
    LocalOnly {
        analysis: "cuts, cut trees, choke points",
        why: "augmenting paths and dominator trees follow one path at a time",
        size: "a single minimum cut, dominators and bridges to about 10^8 flows; all minimum cuts \
               and cut trees to about 10^5 nodes",
    },
    LocalOnly {
        analysis: "cut sets, worst cases, cheapest cuts, protection",
        why: "the number of sets grows with a power of the number of units",
        size: "about 10^4 units that matter to a target, size 4",
    },
];

/// All engines.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EnginesAnswer {
    /// Engines.
    pub results: Vec<EngineView>,
    /// What only the local engine does.
    pub stays_local: Vec<LocalOnly>,
}

/// How engines are set up.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Program that runs the job: a Python with pyspark, or `spark-submit`. None: no Spark.
    pub spark_python: Option<PathBuf>,
    /// Master of the Spark cluster.
    pub spark_master: String,
    /// Settings for Spark, `name=value`, separated by commas.
    pub spark_conf: BTreeMap<String, String>,
    /// Folder for hand-overs and results, seen by all machines. None: results are not kept.
    pub exchange: Option<PathBuf>,
    /// How Spark names that folder (default: as a file).
    pub exchange_uri: Option<String>,
}

/// The engines of this process.
pub struct Engines {
    local: Local,
    options: EngineOptions,
    found: OnceLock<Result<Spark, String>>,
    /// A folder of its own, for services without one.
    temporary: OnceLock<Option<tempfile::TempDir>>,
}

impl Engines {
    /// The engines; Spark is looked for at first use.
    pub fn new(mut options: EngineOptions, memory: MemoryBudget) -> Self {
        // Runs have folders of their own, so relative paths would lead astray there.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        options.exchange = options.exchange.map(absolute);
        options.spark_python = options.spark_python.map(|program| {
            // A bare name is looked for in PATH.
            if program.components().count() > 1 { absolute(program) } else { program }
        });
        let (found, temporary) = (OnceLock::new(), OnceLock::new());
        Self { local: Local { memory }, options, found, temporary }
    }

    /// Looks for Spark and clears what interrupted runs left. Blocks for a second or two.
    pub fn find(&self) {
        let _ = self.spark();
        if let Ok(left) = self
            .folder(RUNNING)
            .and_then(|f| std::fs::read_dir(f).map_err(|_| ServiceError::Internal))
        {
            for entry in left.flatten() {
                if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                    let _ = std::fs::remove_dir_all(entry.path());
                }
            }
        }
    }

    fn spark(&self) -> Result<&Spark, String> {
        let found = self.found.get_or_init(|| {
            let found = Spark::find(&self.options);
            match &found {
                Ok(spark) => tracing::info!(version = spark.version(), "found Spark"),
                Err(reason) if self.options.spark_python.is_some() => {
                    tracing::warn!(reason, "Spark cannot be used");
                }
                Err(_) => {}
            }
            found
        });
        found.as_ref().map_err(Clone::clone)
    }

    /// The engine of a name.
    ///
    /// # Errors
    /// [`ServiceError::EngineUnavailable`].
    fn get(&self, name: EngineName) -> Result<&dyn Engine, ServiceError> {
        match name {
            EngineName::Local => Ok(&self.local),
            EngineName::Spark => match self.spark() {
                Ok(spark) => Ok(spark),
                Err(reason) => Err(ServiceError::EngineUnavailable { engine: "spark", reason }),
            },
        }
    }

    /// All engines, as users see them. Blocks at first use.
    pub fn view(&self) -> EnginesAnswer {
        let spark = match self.spark() {
            Ok(spark) => spark.view(),
            Err(reason) => EngineView {
                name: "spark",
                available: false,
                version: None,
                versions: BTreeMap::new(),
                reason: Some(reason),
                analyses: EngineAnalysis::NAMES.to_vec(),
                limits: Limits { memory_bytes: None, flows: None, timeout_seconds: None },
                notes: vec!["set spark_python to a Python with pyspark, and restart"],
            },
        };
        EnginesAnswer { results: vec![self.local.view(), spark], stays_local: STAYS_LOCAL.to_vec() }
    }

    /// A folder below the exchange folder.
    fn folder(&self, name: &str) -> Result<PathBuf, ServiceError> {
        let base = match &self.options.exchange {
            Some(folder) => folder.clone(),
            None => {
                let own = self.temporary.get_or_init(|| tempfile::tempdir().ok());
                own.as_ref().ok_or(ServiceError::Internal)?.path().to_owned()
            }
        };
        let folder = base.join(name);
        std::fs::create_dir_all(&folder).map_err(ExchangeError::io(&folder))?;
        Ok(folder)
    }
}

/// Id of an analysis: what is asked, of what, and where it runs.
fn id_of(snapshot: &Snapshot, body: &AnalysisBody) -> String {
    answer_id(PREFIX, snapshot, &(body.engine, &body.analysis))
}

/// What a run will probably take.
fn estimate(snapshot: &Snapshot, body: &AnalysisBody) -> Estimate {
    let (nodes, flows) = (snapshot.node_count() as f64, snapshot.flow_count() as f64);
    match body.engine {
        EngineName::Local => {
            let times = match &body.analysis {
                EngineAnalysis::Impacts { scenarios, .. } => 2.0 * scenarios.len() as f64,
                _ => 10.0,
            };
            let bytes = (nodes * 80.0 + flows * 48.0) as u64;
            Estimate { seconds: (nodes + flows) * times * 1e-8, bytes }
        }
        // Start, and what a million flows take on two cores (benches/scale.md).
        EngineName::Spark => Estimate { seconds: 20.0 + flows * 5e-5, bytes: 64 << 20 },
    }
}

impl Service {
    /// The answer to an analysis, if it was run before.
    ///
    /// # Errors
    /// An answer that cannot be read.
    pub fn analysis_kept(
        &self,
        snapshot: &Snapshot,
        body: &AnalysisBody,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let id = id_of(snapshot, body);
        let path = self.engines.folder(RESULTS)?.join(&id).join("answer.json");
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExchangeError::io(&path)(error).into()),
        }
    }

    /// Starts an analysis as a job. Blocks while names are resolved.
    ///
    /// # Errors
    /// An engine that is not there or does not answer this; names that the graph does not know;
    /// too many jobs.
    pub fn analysis_job(
        self: &Arc<Self>,
        owner: &Arc<str>,
        snapshot: Arc<Snapshot>,
        body: AnalysisBody,
    ) -> Result<Arc<Job>, ServiceError> {
        body.analysis.check()?;
        let engine = self.engines.get(body.engine)?;
        let estimate = estimate(&snapshot, &body);
        self.memory.admit(estimate.bytes)?;
        let (shocks, sources) = match &body.analysis {
            EngineAnalysis::Impacts { scenarios, model, .. } => {
                model.check()?;
                (compile_scenarios(&snapshot, scenarios)?, None)
            }
            EngineAnalysis::Reachability { from, .. } => {
                let found = snapshot.select(from);
                let found = found.map_err(|e| ServiceError::selector("analysis.from", e))?;
                (Vec::new(), Some(found))
            }
            _ => (Vec::new(), None),
        };
        let id = id_of(&snapshot, &body);
        let run = format!("{id}-{}", uuid::Uuid::now_v7().simple());
        let task = Task {
            id,
            snapshot,
            analysis: body.analysis.clone(),
            shocks,
            sources,
            folder: self.engines.folder(RUNNING)?.join(run),
            timeout: body.timeout_seconds.map(Duration::from_secs),
        };
        engine.refuse(&task)?;
        let service = self.clone();
        let kind = match body.engine {
            EngineName::Local => "analysis",
            EngineName::Spark => "analysis on spark",
        };
        self.jobs.start(owner, kind, estimate, move |progress| {
            let done = service.run_task(&task, &body, progress);
            let cleared = std::fs::remove_dir_all(&task.folder);
            if let Err(error) = cleared
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, folder = %task.folder.display(), "left behind");
            }
            done
        })
    }

    /// Runs a task, checks what it left, and keeps it. Gives the address of the answer.
    fn run_task(
        &self,
        task: &Task,
        body: &AnalysisBody,
        progress: &Progress,
    ) -> Result<String, ServiceError> {
        let start = std::time::Instant::now();
        std::fs::create_dir_all(&task.folder).map_err(ExchangeError::io(&task.folder))?;
        let engine = self.engines.get(body.engine)?;
        engine.run(self, task, progress)?;
        // Whoever wrote it: only what passes the check is served.
        let manifest = Manifest::verified(&task.result())?;
        let version = engine.view().version.unwrap_or_default();
        self.keep_result(task, body, &version, &manifest, start.elapsed())
    }
}

impl From<ExchangeError> for ServiceError {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange { problem: error.to_string() }
    }
}
