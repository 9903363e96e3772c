//! Impact: what is lost downstream and upstream when part of a network is removed or squeezed.
//!
//! [`rows`] holds the one production semantics; [`solve`] iterates it, [`limit`] computes its
//! exact limit, with the help of [`linear`] and [`pivot`]; [`rationing`] and [`substitution`] say who is served and what replaces a loss;
//! [`shock`] resolves scenarios against a snapshot and [`model`] puts it all together.

pub mod certain;
pub mod explain;
pub mod lanes;
pub mod limit;
pub mod linear;
pub mod model;
pub mod node_set;
pub mod outcome;
pub mod pivot;
pub mod plan;
pub mod rationing;
pub mod rows;
pub mod shock;
pub mod solve;
pub mod substitution;
pub mod target;

pub use model::{ImpactModel, LANES, Losses, Prepared, Solution};
pub use outcome::{Outcome, ZeroReason, outcomes};
pub use shock::{ImpactError, Shocks};
pub use solve::Ending;
pub use target::TargetNodes;
