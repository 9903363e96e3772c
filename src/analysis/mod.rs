//! Analyses: pure functions of a snapshot and a question.
//!
//! No HTTP, no storage, no clock, no global randomness in here. What an analysis returns still
//! speaks in node and flow indices; the service turns them into ids.

pub mod cut_sets;
pub mod progress;

pub use progress::{Cancelled, Progress};
