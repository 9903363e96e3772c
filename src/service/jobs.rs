//! Long work: jobs with progress, cancel and a deadline.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::catalogue::lock;
use super::error::ServiceError;
use super::pool::{CpuPool, Waited};
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
    /// Who asked for it.
    pub owner: String,
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
    #[serde(default)]
    owner: String,
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
    owner: Arc<str>,
    kind: &'static str,
    created_ms: i64,
    estimate: Estimate,
    progress: Arc<Progress>,
    /// When it got its slot: tells the deadline from a user's wish.
    started: OnceLock<Instant>,
    outcome: Mutex<Outcome>,
    changed: watch::Sender<()>,
}

impl Job {
    fn new(owner: &Arc<str>, kind: &'static str, estimate: Estimate) -> Self {
        Self {
            id: format!("job_{}", uuid::Uuid::now_v7().simple()),
            owner: owner.clone(),
            kind,
            created_ms: now_ms(),
            estimate,
            progress: Arc::default(),
            started: OnceLock::new(),
            outcome: Mutex::new(Outcome { state: JobState::Queued, result: None, error: None }),
            changed: watch::Sender::new(()),
        }
    }

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
            owner: self.owner.to_string(),
            result: outcome.result.clone(),
            error: outcome.error.clone().map(JobError::Failed),
        }
    }

    /// Changes when the state does.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Who asked for it.
    pub fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    fn ran_for(&self) -> Duration {
        self.started.get().map_or(Duration::ZERO, Instant::elapsed)
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

    /// Ends the job with what its work gave.
    fn end(&self, result: Result<String, ServiceError>, deadline: Duration) {
        match result {
            Ok(url) => self.set(JobState::Succeeded, Some(url), None),
            Err(ServiceError::Cancelled(_)) if self.ran_for() >= deadline => {
                let seconds = deadline.as_secs();
                self.set(JobState::Failed, None, Some(ServiceError::Deadline { seconds }));
            }
            Err(ServiceError::Cancelled(_)) => self.set(JobState::Cancelled, None, None),
            Err(error) => self.set(JobState::Failed, None, Some(error)),
        }
    }

    fn document(&self) -> JobDocument {
        let view = self.view();
        JobDocument {
            kind: view.kind,
            state: view.state,
            estimate: view.estimate,
            created_ms: view.created_ms,
            owner: view.owner,
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

/// How many jobs run, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct JobOptions {
    /// Longest a job may run.
    pub deadline: Duration,
    /// Longest that a question is answered at once; then it goes on as a job.
    pub patience: Duration,
    /// Jobs that run at the same time; the others wait.
    pub slots: usize,
    /// Jobs of one owner that may wait or run.
    pub per_owner: usize,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(3600),
            patience: Duration::from_secs(30),
            slots: 2,
            per_owner: 64,
        }
    }
}

/// How work ended, or did not yet, for a caller who waited.
pub enum Attended<T> {
    /// In time.
    Done(T),
    /// It goes on as this job.
    Job(Arc<Job>),
}

/// Who gets the result of attended work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The caller, who waits.
    Waited,
    /// The caller, in a moment.
    Done,
    /// The job that it became.
    Adopted,
}

type Work = Box<dyn FnOnce(&Progress) -> Result<String, ServiceError> + Send>;

/// Jobs of one owner with their work.
type Queue = VecDeque<(Arc<Job>, Work)>;

/// Jobs that wait, by owner. Owners take turns, so that one with many jobs does not hold up one
/// with few.
#[derive(Default)]
struct Waiting {
    turns: VecDeque<(Arc<str>, Queue)>,
    running: usize,
}

impl Waiting {
    fn push(&mut self, owner: &Arc<str>, job: Arc<Job>, work: Work) {
        match self.turns.iter_mut().find(|(name, _)| name == owner) {
            Some((_, jobs)) => jobs.push_back((job, work)),
            None => self.turns.push_back((owner.clone(), VecDeque::from([(job, work)]))),
        }
    }

    fn next(&mut self) -> Option<(Arc<Job>, Work)> {
        let (owner, mut jobs) = self.turns.pop_front()?;
        let next = jobs.pop_front();
        if !jobs.is_empty() {
            self.turns.push_back((owner, jobs));
        }
        next
    }
}

/// All jobs of this process, and what the store remembers of earlier ones.
pub struct Jobs {
    store: Arc<Store>,
    /// Threads of their own, so that small answers do not queue behind long work.
    pool: CpuPool,
    known: Mutex<Known>,
    waiting: Mutex<Waiting>,
    active: AtomicUsize,
    options: JobOptions,
}

impl Jobs {
    /// No jobs yet.
    pub fn new(store: Arc<Store>, pool: CpuPool, options: JobOptions) -> Self {
        Self {
            store,
            pool,
            known: Mutex::default(),
            waiting: Mutex::default(),
            active: AtomicUsize::new(0),
            options,
        }
    }

    /// Starts a job for an owner, or lets it wait for a slot. `work` returns the address of its
    /// result.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] if too many jobs wait, in all or of this owner.
    pub fn start<F>(
        self: &Arc<Self>,
        owner: &Arc<str>,
        kind: &'static str,
        estimate: Estimate,
        work: F,
    ) -> Result<Arc<Job>, ServiceError>
    where
        F: FnOnce(&Progress) -> Result<String, ServiceError> + Send + 'static,
    {
        let job = Arc::new(Job::new(owner, kind, estimate));
        self.register(&job)?;
        lock(&self.waiting).push(owner, job.clone(), Box::new(work));
        self.dispatch();
        Ok(job)
    }

    /// Runs `work` on `pool` for a caller who waits. If it is not done after `patience`, it goes on
    /// as a job with the threads that it has (it takes no slot), and `address` says where its result
    /// can be read. A caller who stops waiting before that stops the work.
    ///
    /// # Errors
    /// What `work` returns; [`ServiceError::Busy`] if it would be one job too many, and then it is
    /// stopped.
    pub async fn attend<T, F, A>(
        self: &Arc<Self>,
        pool: &Arc<CpuPool>,
        asked: (&Arc<str>, &'static str, Estimate),
        patience: Option<Duration>,
        work: F,
        address: A,
    ) -> Result<Attended<T>, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Progress) -> Result<T, ServiceError> + Send + 'static,
        A: FnOnce(T) -> String + Send + 'static,
    {
        let (owner, kind, estimate) = asked;
        let job = Arc::new(Job::new(owner, kind, estimate));
        let _ = job.started.set(Instant::now());
        let waiting = Waited::by(&job.progress);
        let held = Arc::new(Mutex::new(Held::Waited));
        let (jobs, inner, holds) = (self.clone(), job.clone(), held.clone());
        let deadline = self.options.deadline;
        // None: nobody waits any more, the job has the result.
        let ended = move || {
            let result = match inner.progress.check() {
                Ok(()) => work(&inner.progress),
                Err(cancelled) => Err(cancelled.into()),
            };
            let mut holds = lock(&holds);
            if *holds == Held::Adopted {
                drop(holds);
                inner.end(result.map(address), deadline);
                jobs.finished(&inner);
                return Ok(None);
            }
            *holds = Held::Done;
            result.map(Some)
        };
        let pool = pool.clone();
        let mut done = Box::pin(async move { pool.run(ended).await });
        let in_time = match patience {
            Some(patience) => tokio::time::timeout(patience, &mut done).await.ok(),
            None => Some(done.as_mut().await),
        };
        if let Some(result) = in_time {
            return Ok(Attended::Done(result?.ok_or(ServiceError::Internal)?));
        }
        {
            let mut held = lock(&held);
            if *held == Held::Waited {
                job.set(JobState::Running, None, None);
                self.register(&job)?;
                *held = Held::Adopted;
            }
        }
        if *lock(&held) == Held::Done {
            return Ok(Attended::Done(done.await?.ok_or(ServiceError::Internal)?));
        }
        waiting.no_longer();
        let (jobs, adopted, clock) = (self.clone(), job.clone(), self.clock(&job));
        tokio::spawn(async move {
            let panicked = done.await;
            clock.abort();
            if let Err(error) = panicked {
                adopted.set(JobState::Failed, None, Some(error));
                jobs.finished(&adopted);
            }
        });
        Ok(Attended::Job(job))
    }

    /// Makes a job known, if there are not too many.
    fn register(&self, job: &Arc<Job>) -> Result<(), ServiceError> {
        if self.active.fetch_add(1, Ordering::Relaxed) >= MOST_ACTIVE {
            self.active.fetch_sub(1, Ordering::Relaxed);
            return Err(ServiceError::Busy { what: "jobs" });
        }
        {
            let mut known = lock(&self.known);
            let active = |j: &&Arc<Job>| j.owner == job.owner && !lock(&j.outcome).state.is_final();
            if known.by_id.values().filter(active).count() >= self.options.per_owner {
                self.active.fetch_sub(1, Ordering::Relaxed);
                return Err(ServiceError::Busy { what: "jobs of yours" });
            }
            known.by_id.insert(job.id.clone(), job.clone());
        }
        self.remember(job);
        Ok(())
    }

    /// Longest that a question is answered at once.
    pub fn patience(&self) -> Duration {
        self.options.patience
    }

    /// Starts waiting jobs while there are slots.
    fn dispatch(self: &Arc<Self>) {
        loop {
            let mut waiting = lock(&self.waiting);
            if waiting.running >= self.options.slots.max(1) {
                return;
            }
            let Some((job, work)) = waiting.next() else { return };
            waiting.running += 1;
            drop(waiting);
            let jobs = self.clone();
            tokio::spawn(async move {
                jobs.run(&job, work).await;
                lock(&jobs.waiting).running -= 1;
                jobs.finished(&job);
                jobs.dispatch();
            });
        }
    }

    /// Asks a job to stop when it has run as long as a job may.
    fn clock(&self, job: &Arc<Job>) -> tokio::task::JoinHandle<()> {
        let left = self.options.deadline.saturating_sub(job.ran_for());
        let watched = Arc::downgrade(job);
        tokio::spawn(async move {
            tokio::time::sleep(left).await;
            if let Some(job) = watched.upgrade() {
                job.progress.cancel();
            }
        })
    }

    async fn run(self: &Arc<Self>, job: &Arc<Job>, work: Work) {
        let deadline = self.options.deadline;
        let _ = job.started.set(Instant::now());
        let clock = self.clock(job);
        // The job ends on the thread that works: when the server stops, the runtime that waits here
        // may be gone before the work is.
        let inner = job.clone();
        let result = self
            .pool
            .run(move || {
                let work = || {
                    inner.progress.check()?;
                    inner.set(JobState::Running, None, None);
                    work(&inner.progress)
                };
                inner.end(work(), deadline);
                Ok(())
            })
            .await;
        clock.abort();
        if let Err(error) = result {
            job.set(JobState::Failed, None, Some(error));
        }
    }

    /// Cancels every job and waits until all have stopped, at most as long as `patience`.
    /// True if all have.
    pub async fn stop(&self, patience: Duration) -> bool {
        let active: Vec<Arc<Job>> = lock(&self.known)
            .by_id
            .values()
            .filter(|job| !job.view().state.is_final())
            .cloned()
            .collect();
        for job in &active {
            let _ = self.cancel(&job.id);
        }
        let ended = async {
            for job in &active {
                let mut changed = job.watch();
                while !job.view().state.is_final() && changed.changed().await.is_ok() {}
            }
        };
        let all = tokio::time::timeout(patience, ended).await.is_ok();
        active.iter().for_each(|job| self.remember(job));
        all
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
            owner: document.owner,
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

    fn jobs(deadline: Duration) -> Arc<Jobs> {
        let options = JobOptions { deadline, per_owner: 8, ..JobOptions::default() };
        Arc::new(Jobs::new(Arc::new(Store::in_memory()), CpuPool::new(2).unwrap(), options))
    }

    fn ann() -> Arc<str> {
        "ann".into()
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
        let jobs = jobs(Duration::from_secs(60));
        let job = jobs
            .start(&ann(), "test", Estimate::default(), |_| Ok("/v1/impacts/x".into()))
            .unwrap();
        let view = end(&job).await;
        assert_eq!((view.state, view.progress), (JobState::Succeeded, 1.0));
        assert_eq!(view.result.as_deref(), Some("/v1/impacts/x"));
    }

    #[tokio::test]
    async fn a_job_can_be_cancelled_and_has_a_deadline() {
        let jobs = jobs(Duration::from_secs(60));
        let job = jobs.start(&ann(), "test", Estimate::default(), work_until_cancelled).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        jobs.cancel(job.id()).unwrap();
        assert_eq!(end(&job).await.state, JobState::Cancelled);

        let jobs = self::jobs(Duration::from_millis(20));
        let job = jobs.start(&ann(), "test", Estimate::default(), work_until_cancelled).unwrap();
        let view = end(&job).await;
        assert_eq!(view.state, JobState::Failed);
        assert!(
            matches!(view.error, Some(JobError::Failed(e)) if matches!(*e, ServiceError::Deadline { .. }))
        );
    }

    #[tokio::test]
    async fn a_job_that_a_restart_interrupted_says_so() {
        let jobs = jobs(Duration::from_secs(60));
        let job = jobs.start(&ann(), "test", Estimate::default(), work_until_cancelled).unwrap();
        let later = Jobs::new(jobs.store.clone(), CpuPool::new(1).unwrap(), JobOptions::default());
        let view = later.view(job.id()).unwrap();
        assert_eq!(view.state, JobState::Failed);
        assert!(matches!(view.error, Some(JobError::Earlier(text)) if text.contains("ask again")));
        jobs.cancel(job.id()).unwrap();
        end(&job).await;
    }

    #[tokio::test]
    async fn owners_take_turns() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let options = JobOptions { slots: 1, ..JobOptions::default() };
        let jobs =
            Arc::new(Jobs::new(Arc::new(Store::in_memory()), CpuPool::new(1).unwrap(), options));
        let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
        let mut all = Vec::new();
        let held = gate.clone();
        let first = move |_: &Progress| {
            let mut open = lock(&held.0);
            while !*open {
                open = held.1.wait(open).unwrap();
            }
            Ok(String::new())
        };
        all.push(jobs.start(&ann(), "first", Estimate::default(), first).unwrap());
        for (owner, n) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4)] {
            let order = order.clone();
            let work = move |_: &Progress| {
                lock(&order).push(n);
                Ok(String::new())
            };
            all.push(jobs.start(&owner.into(), "test", Estimate::default(), work).unwrap());
        }
        *lock(&gate.0) = true;
        gate.1.notify_all();
        for job in &all {
            end(job).await;
        }
        assert_eq!(*lock(&order), [1, 4, 2, 3]);
    }

    #[tokio::test]
    async fn one_owner_cannot_take_every_place_and_all_stop_on_demand() {
        let jobs = jobs(Duration::from_secs(60));
        let started: Vec<_> = (0..8)
            .map(|_| jobs.start(&ann(), "test", Estimate::default(), work_until_cancelled).unwrap())
            .collect();
        let refused = jobs.start(&ann(), "test", Estimate::default(), work_until_cancelled);
        assert!(matches!(refused, Err(ServiceError::Busy { .. })));
        assert!(jobs.start(&"bob".into(), "test", Estimate::default(), |_| Ok("x".into())).is_ok());
        assert!(jobs.stop(Duration::from_secs(10)).await);
        for job in started {
            assert_eq!(end(&job).await.state, JobState::Cancelled);
        }
    }
}
