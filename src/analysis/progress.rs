//! Progress of a long analysis, and the wish to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The analysis was asked to stop; it has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled before it was done")]
pub struct Cancelled;

/// Shared between an analysis and whoever waits for it. Cheap to poll from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    /// Made once somebody wishes something or has a part of the work done aside.
    wishes: OnceLock<Arc<Wishes>>,
}

#[derive(Debug, Default)]
struct Wishes {
    cancelled: AtomicBool,
    expired: AtomicBool,
}

impl Progress {
    /// Nobody watches.
    pub const fn silent() -> Self {
        Self { done: AtomicU64::new(0), total: AtomicU64::new(0), wishes: OnceLock::new() }
    }

    /// For a part of the work that counts for itself: it stops when this one does.
    pub fn aside(&self) -> Self {
        Self { wishes: OnceLock::from(self.wishes().clone()), ..Self::silent() }
    }

    fn wishes(&self) -> &Arc<Wishes> {
        self.wishes.get_or_init(Arc::default)
    }

    fn wished(&self, flag: impl Fn(&Wishes) -> bool) -> bool {
        self.wishes.get().is_some_and(|wishes| flag(wishes))
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
        let stop = self.wished(|wishes| {
            wishes.cancelled.load(Ordering::Relaxed) || wishes.expired.load(Ordering::Relaxed)
        });
        if stop { Err(Cancelled) } else { Ok(()) }
    }

    /// Asks the analysis to stop.
    pub fn cancel(&self) {
        self.wishes().cancelled.store(true, Ordering::Relaxed);
    }

    /// Says that the time for the present step is over: the step stops as if it were cancelled, but
    /// an analysis that has something to show gives that instead ([`Progress::out_of_time`]).
    pub fn expire(&self) {
        self.wishes().expired.store(true, Ordering::Relaxed);
    }

    /// True if the time is over and nobody cancelled.
    pub fn out_of_time(&self) -> bool {
        self.wished(|wishes| {
            wishes.expired.load(Ordering::Relaxed) && !wishes.cancelled.load(Ordering::Relaxed)
        })
    }

    /// Starts the next step after one whose time was over.
    pub fn renew(&self) {
        if let Some(wishes) = self.wishes.get() {
            wishes.expired.store(false, Ordering::Relaxed);
        }
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
