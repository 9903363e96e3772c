//! Chokepoint: a graph-database-backed dependency network service.

pub mod analysis;
pub mod config;
pub mod dataset;
pub mod graph;
pub mod http;
pub mod model;
pub mod service;
pub mod store;
