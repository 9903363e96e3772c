//! Long work: jobs with progress, cancel and a deadline.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::catalogue::lock;
use super::error::ServiceError;
use super::pool::CpuPool;
use super::time::now_ms;
use crate::analysis::Progress;
use crate::store::{DocumentKind, Store};

/// Most jobs that wait or run.
const MOST_ACTIVE: usize = 256;
/// Finished jobs kept in memory.
const MOST_FINISHED: usize = 1000;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a thread.
    Queued,
    /// Runs.
    Running,
    /// Done; its result can be read.
    Succeeded,
    /// Stopped by an error.
    Failed,
    /// Stopped by a user.
    Cancelled,
}

impl JobState {
    /// True if nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a job will probably take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// Seconds of one thread.
    pub seconds: f64,
    /// Bytes of memory.
    pub bytes: u64,
}

/// Why a job failed.
#[derive(Debug, Clone)]
pub enum JobError {
    /// In this process.
    Failed(Arc<ServiceError>),
    /// Before this process started: all that is left is the text.
    Earlier(String),
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Id.
    pub id: String,
    /// What it does.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Finished share, 0-1.
    pub progress: f64,
    /// What it will probably take.
    pub estimate: Estimate,
    /// When it was asked for, in ms since 1970.
    pub created_ms: i64,
    /// Where the result can be read.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<JobError>,
}

/// What is kept of a job across restarts.
#[derive(Serialize, Deserialize)]
struct JobDocument {
    kind: String,
    state: JobState,
    estimate: Estimate,
    created_ms: i64,
    result: Option<String>,
    error: Option<String>,
}

struct Outcome {
    state: JobState,
    result: Option<String>,
    error: Option<Arc<ServiceError>>,
}

/// One job of this process.
pub struct Job {
    id: String,
    kind: &'static str,
    created_ms: i64,
    estimate: Estimate,
    progress: Progress,
    /// Tells the deadline from a user's wish.
    deadline: Option<(Instant, u64)>,
    outcome: Mutex<Outcome>,
    changed: watch::Sender<()>,
}

impl Job {
    /// Id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The job as it stands.
    pub fn view(&self) -> JobView {
        let outcome = lock(&self.outcome);
        let done = outcome.state == JobState::Succeeded;
        JobView {
            id: self.id.clone(),
            kind: self.kind.to_owned(),
            state: outcome.state,
            progress: if done { 1.0 } else { self.progress.fraction() },
            estimate: self.estimate,
            created_ms: self.created_ms,
            result: outcome.result.clone(),
            error: outcome.error.clone().map(JobError::Failed),
        }
    }

    /// Changes when the state does.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn past_deadline(&self) -> Option<u64> {
        self.deadline.filter(|(end, _)| Instant::now() >= *end).map(|(_, seconds)| seconds)
    }

    fn set(&self, state: JobState, result: Option<String>, error: Option<ServiceError>) {
        let mut outcome = lock(&self.outcome);
        if outcome.state.is_final() {
            return;
        }
        *outcome = Outcome { state, result, error: error.map(Arc::new) };
        drop(outcome);
        self.changed.send_replace(());
    }

    fn document(&self) -> JobDocument {
        let view = self.view();
        JobDocument {
            kind: view.kind,
            state: view.state,
            estimate: view.estimate,
            created_ms: view.created_ms,
            result: view.result,
            error: view.error.map(|error| match error {
                JobError::Failed(error) => error.to_string(),
                JobError::Earlier(text) => text,
            }),
        }
    }
}

#[derive(Default)]
struct Known {
    by_id: FxHashMap<String, Arc<Job>>,
    finished: VecDeque<String>,
}

/// All jobs of this process, and what the store remembers of earlier ones.
pub struct Jobs {
    store: Arc<Store>,
    known: Mutex<Known>,
    active: AtomicUsize,
    deadline: Duration,
}

impl Jobs {
    /// No jobs yet; each gets at most `deadline`.
    pub fn new(store: Arc<Store>, deadline: Duration) -> Self {
        Self { store, known: Mutex::default(), active: AtomicUsize::new(0), deadline }
    }

    /// Starts a job on the pool. `work` returns the address of its result.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] if too many jobs wait.
    pub fn start<F>(
        self: &Arc<Self>,
        pool: &Arc<CpuPool>,
        kind: &'static str,
        estimate: Estimate,
        work: F,
    ) -> Result<Arc<Job>, ServiceError>
    where
        F: FnOnce(&Progress) -> Result<String, ServiceError> + Send + 'static,
    {
        if self.active.fetch_add(1, Ordering::Relaxed) >= MOST_ACTIVE {
            self.active.fetch_sub(1, Ordering::Relaxed);
            return Err(ServiceError::Busy { what: "jobs" });
        }
        let job = Arc::new(Job {
            id: format!("job_{}", uuid::Uuid::now_v7().simple()),
            kind,
            created_ms: now_ms(),
            estimate,
            progress: Progress::default(),
            deadline: Instant::now()
                .checked_add(self.deadline)
                .map(|end| (end, self.deadline.as_secs())),
            outcome: Mutex::new(Outcome { state: JobState::Queued, result: None, error: None }),
            changed: watch::Sender::new(()),
        });
        lock(&self.known).by_id.insert(job.id.clone(), job.clone());
        self.remember(&job);
        let (jobs, running, pool) = (self.clone(), job.clone(), pool.clone());
        let watched = job.clone();
        let deadline = self.deadline;
        tokio::spawn(async move {
            let mut changed = watched.watch();
            let ended = async {
                while !watched.view().state.is_final() {
                    if changed.changed().await.is_err() {
                        break;
                    }
                }
            };
            if tokio::time::timeout(deadline, ended).await.is_err() {
                watched.progress.cancel();
            }
        });
        tokio::spawn(async move {
            let inner = running.clone();
            let result = pool
                .run(move || {
                    inner.progress.check()?;
                    inner.set(JobState::Running, None, None);
                    work(&inner.progress)
                })
                .await;
            match result {
                Ok(url) => running.set(JobState::Succeeded, Some(url), None),
                Err(ServiceError::Cancelled(_)) => match running.past_deadline() {
                    Some(seconds) => running.set(
                        JobState::Failed,
                        None,
                        Some(ServiceError::Deadline { seconds }),
                    ),
                    None => running.set(JobState::Cancelled, None, None),
                },
                Err(error) => running.set(JobState::Failed, None, Some(error)),
            }
            jobs.finished(&running);
        });
        Ok(job)
    }

    fn finished(&self, job: &Job) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.remember(job);
        let mut known = lock(&self.known);
        known.finished.push_back(job.id.clone());
        while known.finished.len() > MOST_FINISHED {
            if let Some(id) = known.finished.pop_front() {
                known.by_id.remove(&id);
            }
        }
    }

    fn remember(&self, job: &Job) {
        let saved = serde_json::to_vec(&job.document())
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                self.store
                    .put_document(DocumentKind::Job, &job.id, &bytes)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = saved {
            tracing::warn!(job = job.id, error, "the state of a job could not be stored");
        }
    }

    /// A job of this process.
    pub fn get(&self, id: &str) -> Option<Arc<Job>> {
        lock(&self.known).by_id.get(id).cloned()
    }

    /// Any job, also one from before the last start.
    ///
    /// # Errors
    /// [`ServiceError::Absent`]; a store that cannot be read.
    pub fn view(&self, id: &str) -> Result<JobView, ServiceError> {
        if let Some(job) = self.get(id) {
            return Ok(job.view());
        }
        let absent = || ServiceError::Absent { what: "job", name: id.to_owned(), hint: None };
        let bytes = self.store.get_document(DocumentKind::Job, id)?.ok_or_else(absent)?;
        let document: JobDocument = serde_json::from_slice(&bytes).map_err(|_| absent())?;
        let interrupted = !document.state.is_final();
        Ok(JobView {
            id: id.to_owned(),
            kind: document.kind,
            state: if interrupted { JobState::Failed } else { document.state },
            progress: f64::from(u8::from(document.state == JobState::Succeeded)),
            estimate: document.estimate,
            created_ms: document.created_ms,
            result: document.result,
            error: if interrupted {
                Some(JobError::Earlier("the server stopped while it ran; ask again".into()))
            } else {
                document.error.map(JobError::Earlier)
            },
        })
    }

    /// Asks a job to stop. A finished job stays as it is.
    ///
    /// # Errors
    /// [`ServiceError::Absent`].
    pub fn cancel(&self, id: &str) -> Result<JobView, ServiceError> {
        let Some(job) = self.get(id) else { return self.view(id) };
        job.progress.cancel();
        if lock(&job.outcome).state == JobState::Queued {
            job.set(JobState::Cancelled, None, None);
        }
        Ok(job.view())
    }

    /// Jobs that wait or run.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(deadline: Duration) -> (Arc<Jobs>, Arc<CpuPool>) {
        let store = Arc::new(Store::in_memory());
        (Arc::new(Jobs::new(store, deadline)), Arc::new(CpuPool::new(2).unwrap()))
    }

    async fn end(job: &Job) -> JobView {
        let mut changed = job.watch();
        while !job.view().state.is_final() {
            changed.changed().await.unwrap();
        }
        job.view()
    }

    fn work_until_cancelled(progress: &Progress) -> Result<String, ServiceError> {
        progress.start(u64::MAX);
        loop {
            progress.advance(1)?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_job_gives_the_address_of_its_result() {
        let (jobs, pool) = parts(Duration::from_secs(60));
        let job =
            jobs.start(&pool, "test", Estimate::default(), |_| Ok("/v1/impacts/x".into())).unwrap();
        let view = end(&job).await;
        assert_eq!((view.state, view.progress), (JobState::Succeeded, 1.0));
        assert_eq!(view.result.as_deref(), Some("/v1/impacts/x"));
    }

    #[tokio::test]
    async fn a_job_can_be_cancelled_and_has_a_deadline() {
        let (jobs, pool) = parts(Duration::from_secs(60));
        let job = jobs.start(&pool, "test", Estimate::default(), work_until_cancelled).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        jobs.cancel(job.id()).unwrap();
        assert_eq!(end(&job).await.state, JobState::Cancelled);

        let (jobs, pool) = parts(Duration::from_millis(20));
        let job = jobs.start(&pool, "test", Estimate::default(), work_until_cancelled).unwrap();
        let view = end(&job).await;
        assert_eq!(view.state, JobState::Failed);
        assert!(
            matches!(view.error, Some(JobError::Failed(e)) if matches!(*e, ServiceError::Deadline { .. }))
        );
    }

    #[tokio::test]
    async fn a_job_that_a_restart_interrupted_says_so() {
        let (jobs, pool) = parts(Duration::from_secs(60));
        let job = jobs.start(&pool, "test", Estimate::default(), work_until_cancelled).unwrap();
        let later = Jobs::new(jobs.store.clone(), Duration::from_secs(60));
        let view = later.view(job.id()).unwrap();
        assert_eq!(view.state, JobState::Failed);
        assert!(matches!(view.error, Some(JobError::Earlier(text)) if text.contains("ask again")));
        jobs.cancel(job.id()).unwrap();
        end(&job).await;
    }
}
