//! The pool of threads for CPU-heavy work, apart from the threads that serve requests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::ServiceError;
use crate::analysis::Progress;

/// How far jobs stand back (0: not at all, 19: only when nobody else wants the processor).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Asks work to stop when whoever waits for it is gone.
pub(super) struct Waited(Option<Arc<Progress>>);

impl Waited {
    /// While this value lives, somebody waits.
    pub(super) fn by(progress: &Arc<Progress>) -> Self {
        Self(Some(progress.clone()))
    }

    /// The work goes on without its caller.
    pub(super) fn no_longer(mut self) {
        self.0 = None;
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.cancel();
        }
    }
}

/// Runs closures on its own rayon pool and hands their results back to async code.
#[derive(Debug)]
pub struct CpuPool {
    pool: rayon::ThreadPool,
}

impl CpuPool {
    /// A pool of `threads` threads (0: one for each core).
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::of(threads, "cpu", || {})
    }

    /// As [`CpuPool::new`], for work that can wait: where the system knows it (Linux), its threads
    /// give way to all others, so that small answers stay quick while long work uses what is left.
    ///
    /// # Errors
    /// As [`CpuPool::new`].
    pub fn in_background(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::of(threads, "back", give_way)
    }

    fn of(
        threads: usize,
        name: &'static str,
        start: fn(),
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |i| format!("{name}-{i}"))
            .start_handler(move |_| start())
            .build()?;
        Ok(Self { pool })
    }

    /// Runs `work` on the pool. Rayon's parallel iterators inside it use the same pool. If the
    /// caller stops waiting, the work still runs to its end.
    ///
    /// # Errors
    /// What `work` returns; [`ServiceError::Internal`] if it panics (the process lives on).
    pub async fn run<T, F>(&self, work: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ServiceError> + Send + 'static,
    {
        let (send, receive) = oneshot::channel();
        let span = tracing::Span::current();
        self.pool.spawn(move || {
            let result = span.in_scope(|| {
                catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                    tracing::error!(message = panic_message(&*panic), "work panicked");
                    Err(ServiceError::Internal)
                })
            });
            // The caller may have gone away.
            let _ = send.send(result);
        });
        receive.await.unwrap_or(Err(ServiceError::Internal))
    }

    /// As [`CpuPool::run`], but work is asked to stop as soon as the caller stops waiting: a request
    /// whose client has gone frees its threads. For work that changes nothing.
    ///
    /// # Errors
    /// As [`CpuPool::run`].
    pub async fn run_while_awaited<T, F>(&self, work: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Progress) -> Result<T, ServiceError> + Send + 'static,
    {
        let progress = Arc::new(Progress::default());
        let _waiting = Waited::by(&progress);
        self.run(move || {
            progress.check()?;
            work(&progress)
        })
        .await
    }

    /// Runs `work` on the pool and blocks until it is done. For threads that may block (the
    /// command line, the writer), never for async code.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Lowers the priority of this thread. On Linux a thread's id stands for the thread alone.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    let me = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(me), NICENESS) {
        tracing::debug!(%error, "jobs run at the priority of everything else");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn give_way() {}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_asked_to_stop() {
        let pool = CpuPool::new(1).unwrap();
        let (stopped, seen) = std::sync::mpsc::channel();
        let endless = pool.run_while_awaited(move |progress| -> Result<(), ServiceError> {
            while progress.check().is_ok() {
                std::thread::yield_now();
            }
            stopped.send(()).unwrap();
            Ok(progress.check()?)
        });
        let patience = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(patience, endless).await.is_err());
        seen.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        // The only thread is free again.
        assert_eq!(pool.run_while_awaited(|_| Ok(1)).await.unwrap(), 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn background_work_gives_way() {
        let nice = || Ok(rustix::process::getpriority_process(Some(rustix::thread::gettid())));
        let front = CpuPool::new(1).unwrap().run(nice).await.unwrap().unwrap();
        let back = CpuPool::in_background(1).unwrap().run(nice).await.unwrap().unwrap();
        assert!(back > front, "{back} {front}");
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_an_error_and_the_pool_lives_on() {
        let pool = CpuPool::new(1).unwrap();
        let failed = pool.run(|| -> Result<(), _> { panic!("boom") }).await;
        assert!(matches!(failed, Err(ServiceError::Internal)));
        assert_eq!(pool.run(|| Ok(2 + 2)).await.unwrap(), 4);
    }
}
