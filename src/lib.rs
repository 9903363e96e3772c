//! Chokepoint: a graph-database-backed dependency network service.
//!
//! It stores who supplies what to whom, removes or squeezes part of it, and says what breaks
//! downstream, why, how soon, how sure that is, and what would prevent it.
//!
//! # Bird's-eye view
//!
//! Data flows one way:
//!
//! ```text
//! HTTP / CLI  ->  service  ->  analysis (pure)  ->  graph snapshot  ->  store (sled)
//!                      model: the words, below all, knows nobody
//! ```
//!
//! - A **write** is checked against the newest version by the one writer thread, made durable
//!   together with the writes that wait beside it, published as a new snapshot, then acknowledged.
//! - A **read** or **analysis** takes one [`graph::Snapshot`] and keeps it. It never waits for a
//!   writer and never touches the store, and its answer names graph and version.
//!
//! # Code map
//!
//! | module | what it is |
//! |---|---|
//! | [`model`] | the words: records, networks, selectors, scenarios |
//! | [`dataset`] | files to networks and back; the bundled reference tables and their synthesis |
//! | [`store`] | graphs, versions and documents on disk |
//! | [`graph`] | one version of a graph, frozen and indexed |
//! | [`analysis`] | pure functions of a snapshot and a question |
//! | [`service`] | the catalogue of graphs, the writer, jobs, answers: one method a user question |
//! | [`http`] | REST, problems, the OpenAPI document |
//! | [`config`] | defaults, file, environment, flags |
//!
//! # Invariants, stated as what is absent
//!
//! - `model` imports nothing else of this crate.
//! - `analysis` and `graph` hold no HTTP, no store, no clock, no global randomness.
//! - `store` and `dataset` know `model` only.
//! - No status code stands outside `http`.
//! - No node index (`u32`) leaves `graph` and `analysis`: answers carry ids.
//! - No reader takes a lock that a writer holds while it works.

pub mod analysis;
pub mod config;
pub mod dataset;
pub mod graph;
pub mod http;
pub mod model;
pub mod report;
pub mod service;
pub mod store;

#[cfg(test)]
#[path = "../tests/support/laws.rs"]
mod laws;
