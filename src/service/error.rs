//! Why the service could not answer. Knows no status codes: `http` maps each kind to one.

use crate::analysis::Cancelled;
use crate::analysis::impact::ImpactError;
use crate::graph::SelectError;
use crate::model::ChangeError;
use crate::model::scenario::ScenarioError;
use crate::store::StoreError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The named thing does not exist.
    #[error("there is no {what} \"{name}\"")]
    Absent {
        /// Kind of thing: graph, node, job, ...
        what: &'static str,
        /// Its name as asked for.
        name: String,
        /// The nearest name that exists, as a question.
        hint: Option<String>,
    },
    /// The version was there once; the graph's retention gave it up.
    #[error("version {version} of {graph} is no longer kept")]
    Gone {
        /// Graph.
        graph: String,
        /// Version asked for.
        version: u64,
        /// The newest version.
        newest: u64,
    },
    /// A merge where both sides changed the same things.
    #[error("{}", .0.describe())]
    Conflicts(Box<super::merges::Conflicts>),
    /// The name is in use.
    #[error("there is already a {what} \"{name}\"")]
    Taken {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The graph has moved on since the caller looked.
    #[error("the graph is at version {current}, not {expected}")]
    Stale {
        /// Version that the caller expected.
        expected: u64,
        /// Version of the graph.
        current: u64,
    },
    /// The request itself is malformed: a parameter that no graph could make sense of.
    #[error("{problem}")]
    Malformed {
        /// Parameter or path into the body.
        param: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Well-formed but impossible on this graph.
    #[error("{problem}")]
    Impossible {
        /// Parameter or path into the body.
        param: Option<String>,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A change of a batch cannot be applied; nothing of the batch was.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The same idempotency key came with another body.
    #[error("the Idempotency-Key was used with another request body")]
    KeyReused,
    /// The first request with this idempotency key is still running.
    #[error("the first request with this Idempotency-Key is still running")]
    KeyBusy,
    /// The queue of writes or jobs is full.
    #[error("too many {what} are waiting")]
    Busy {
        /// What waits: writes, jobs.
        what: &'static str,
    },
    /// The work does not fit into the memory budget.
    #[error(
        "the work needs about {} MiB; {} of {} MiB are in use",
        .needed >> 20, .used >> 20, .budget >> 20
    )]
    OverBudget {
        /// Estimated bytes of the work.
        needed: u64,
        /// Bytes in use.
        used: u64,
        /// The budget.
        budget: u64,
    },
    /// The work was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The work took longer than its deadline.
    #[error("not done within {seconds} s")]
    Deadline {
        /// The deadline.
        seconds: u64,
    },
    /// The store cannot keep or give what was asked of it.
    #[error(transparent)]
    Store(StoreError),
    /// The engine asked for is not there.
    #[error("the engine {engine} is not available: {reason}")]
    EngineUnavailable {
        /// Engine.
        engine: &'static str,
        /// Why.
        reason: String,
    },
    /// The engine's run failed.
    #[error("the run on {engine} failed: {problem}")]
    EngineFailed {
        /// Engine.
        engine: &'static str,
        /// What it says.
        problem: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// What was handed to an engine or came back cannot be used.
    #[error("the exchange with an engine failed: {problem}")]
    Exchange {
        /// File and what is wrong with it.
        problem: String,
    },
    /// A defect of this program; the log has the details.
    #[error("internal error")]
    Internal,
}

impl ServiceError {
    /// A malformed parameter.
    pub fn malformed(param: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { param: param.into(), problem: problem.into(), hint: None }
    }

    /// As [`ServiceError::malformed`], with what to do.
    pub fn malformed_hint(
        param: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Malformed { param: param.into(), problem: problem.into(), hint: Some(hint.into()) }
    }

    /// A selector at `param` that names something unknown or matches nothing.
    pub fn selector(param: impl Into<String>, error: SelectError) -> Self {
        Self::Impossible { param: Some(param.into()), problem: error.problem, hint: error.hint }
    }
}

impl From<ScenarioError> for ServiceError {
    fn from(error: ScenarioError) -> Self {
        Self::Impossible { param: Some(error.param), problem: error.problem, hint: None }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchGraph { name, nearest } => Self::Absent {
                what: "graph",
                name,
                hint: nearest.map(|near| format!("did you mean {near}?")),
            },
            StoreError::NameTaken { name } => Self::Taken { what: "graph", name },
            StoreError::Conflict { expected, current, .. } => Self::Stale { expected, current },
            StoreError::NoSuchVersion { graph, version, newest, .. } if version <= newest => {
                Self::Gone { graph, version, newest }
            }
            StoreError::NoSuchVersion { graph, version, oldest, newest } => Self::Absent {
                what: "version",
                name: format!("{graph}@{version}"),
                hint: Some(format!("versions run from {oldest} to {newest}")),
            },
            StoreError::BadName { .. } | StoreError::TooLarge { .. } => {
                Self::Impossible { param: None, problem: error.to_string(), hint: None }
            }
            other => Self::Store(other),
        }
    }
}

impl From<ImpactError> for ServiceError {
    fn from(error: ImpactError) -> Self {
        match error {
            ImpactError::Scenario(error) => error.into(),
            ImpactError::Select { param, source } => Self::selector(param, source),
            ImpactError::Cancelled(cancelled) => Self::Cancelled(cancelled),
        }
    }
}
