//! Structure of the whole graph: components, tiers, communities, cycles, similar suppliers.

mod communities;
mod components;
mod cycles;
pub(crate) mod error;
mod similarity;
mod tiers;
pub(crate) mod traverse;

pub use communities::{Communities, CommunityOptions, Quality, communities, community_bytes};
pub use components::{Components, strongly_connected_components, weakly_connected_components};
pub use cycles::{CycleOptions, Cycles, cycles};
pub use error::StructureError;
pub use similarity::{SimilarSupplier, SimilarityOptions, similar_suppliers};
pub use tiers::{Tiers, tiers};
pub use traverse::{Direction, distances, reach};
