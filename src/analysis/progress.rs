//! Progress of a long analysis, and the wish to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The analysis was asked to stop; it has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled before it was done")]
pub struct Cancelled;

/// Shared between an analysis and whoever waits for it. Cheap to poll from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    expired: AtomicBool,
}

impl Progress {
    /// Nobody watches.
    pub const fn silent() -> Self {
        Self {
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            expired: AtomicBool::new(false),
        }
    }

    /// Sets the number of work units of the analysis (restarts the count).
    pub fn start(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Adds finished work units.
    ///
    /// # Errors
    /// [`Cancelled`] if the analysis should stop; pass it on with `?`.
    pub fn advance(&self, units: u64) -> Result<(), Cancelled> {
        self.done.fetch_add(units, Ordering::Relaxed);
        self.check()
    }

    /// Asks whether the analysis should stop.
    ///
    /// # Errors
    /// [`Cancelled`] if so.
    pub fn check(&self) -> Result<(), Cancelled> {
        let stop = self.cancelled.load(Ordering::Relaxed) || self.expired.load(Ordering::Relaxed);
        if stop { Err(Cancelled) } else { Ok(()) }
    }

    /// Asks the analysis to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Says that the time for the present step is over: the step stops as if it were cancelled, but
    /// an analysis that has something to show gives that instead ([`Progress::out_of_time`]).
    pub fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// True if the time is over and nobody cancelled.
    pub fn out_of_time(&self) -> bool {
        self.expired.load(Ordering::Relaxed) && !self.cancelled.load(Ordering::Relaxed)
    }

    /// Starts the next step after one whose time was over.
    pub fn renew(&self) {
        self.expired.store(false, Ordering::Relaxed);
    }

    /// Finished share, 0-1 (0 while the total is unknown).
    pub fn fraction(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 {
            return 0.0;
        }
        (self.done.load(Ordering::Relaxed) as f64 / total as f64).min(1.0)
    }
}
