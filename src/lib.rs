//! Chokepoint: a graph-database-backed dependency network service.

pub mod analysis;
pub mod dataset;
pub mod graph;
pub mod model;
