//! Analyses: pure functions of a snapshot and a question.
//!
//! No HTTP, no storage, no clock, no global randomness in here. What an analysis returns still
//! speaks in node and flow indices; the service turns them into ids.

pub mod attribution;
pub mod centrality;
pub mod choke_points;
pub mod concentration;
pub mod cut_sets;
pub mod cuts;
pub mod exposure;
pub mod impact;
pub mod mitigation;
pub mod paths;
pub mod progress;
pub mod structure;
pub mod timeline;
pub mod uncertainty;

pub use progress::{Cancelled, Progress};
