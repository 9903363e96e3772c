//! Chokepoint: a graph-database-backed dependency network service.

pub mod analysis;
pub mod graph;
pub mod model;
pub mod store;
