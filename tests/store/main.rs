//! The store under crashes, damage, a full disk, and beside a plain map.

mod crash;
mod damage;
mod disk;
#[path = "../support/laws.rs"]
mod laws;
mod model;
