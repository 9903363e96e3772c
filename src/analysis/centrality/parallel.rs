//! Sums over many sources, in parallel, with the same bytes for any number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::analysis::{Cancelled, Progress};

/// Bytes that the partial sums of one run may take together.
const PARTIAL_BYTES: usize = 256 << 20;

/// Number of partial sums of `len` numbers: depends on the work only, never on the threads.
fn chunk_count(items: usize, len: usize) -> usize {
    (PARTIAL_BYTES / (8 * len.max(1))).min(items / 4).clamp(8, 64).min(items).max(1)
}

/// Bytes of the partial sums of [`sum_over`].
pub(crate) fn partial_bytes(items: usize, len: usize) -> u64 {
    (chunk_count(items, len) * len * 8) as u64
}

/// Workspaces lent to tasks, so that each thread makes one and keeps it.
pub(crate) struct Pool<W> {
    free: Mutex<Vec<W>>,
}

impl<W> Pool<W> {
    pub(crate) fn new() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }

    pub(crate) fn with<R>(&self, make: impl FnOnce() -> W, work: impl FnOnce(&mut W) -> R) -> R {
        let lent = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = lent.unwrap_or_else(make);
        let result = work(&mut workspace);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }
}

/// Adds up `len` numbers over `items`. The items are dealt out to a fixed number of chunks, each
/// chunk adds in order, and the chunks are added in order. One unit of progress per item.
pub(crate) fn sum_over<I: Sync, W: Send>(
    items: &[I],
    len: usize,
    progress: &Progress,
    workspace: impl Fn() -> W + Sync,
    add: impl Fn(&mut W, &I, &mut [f64]) + Sync,
) -> Result<Vec<f64>, Cancelled> {
    progress.start(items.len() as u64);
    let chunks = chunk_count(items.len(), len);
    let pool = Pool::new();
    let mut partial = (0..chunks)
        .into_par_iter()
        .with_max_len(1)
        .map(|chunk| {
            pool.with(&workspace, |workspace| {
                let mut sum = vec![0.0; len];
                for item in items.iter().skip(chunk).step_by(chunks) {
                    add(workspace, item, &mut sum);
                    progress.advance(1)?;
                }
                Ok(sum)
            })
        })
        .collect::<Result<Vec<Vec<f64>>, Cancelled>>()?;
    let mut total = partial.swap_remove(0);
    if !partial.is_empty() {
        // `swap_remove` put the last chunk first; the order of the sums is fixed all the same.
        total.par_chunks_mut(4096).enumerate().for_each(|(block, out)| {
            for part in &partial {
                for (sum, x) in out.iter_mut().zip(&part[block * 4096..]) {
                    *sum += x;
                }
            }
        });
    }
    Ok(total)
}
