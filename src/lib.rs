//! Chokepoint: a graph-database-backed dependency network service.

pub mod graph;
pub mod model;
