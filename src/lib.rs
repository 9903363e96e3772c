//! Chokepoint: a graph-database-backed dependency network service.

pub mod analysis;
pub mod config;
pub mod dataset;
pub mod graph;
pub mod model;
pub mod service;
pub mod store;
pub mod http;
pub mod store;
