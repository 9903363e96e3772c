//! Uncertainty: what the ranges of the figures do to an answer.
//!
//! A figure that states a range, or has a class with a default one, becomes a [`distribution`]; a
//! [`stream`] keyed by (seed, figure, draw) gives its value in each draw. [`draw`] makes a graph of
//! drawn numbers on the topology of the original: where outputs and uses move, [`balance`] fits the
//! flows to them again. [`ensemble`] evaluates any quantity on every drawn graph, [`statistics`]
//! sums up, and [`sensitivity`] says which figures drive the spread.
//!
//! A draw of one figure depends on the seed, the figure's id and the number of the draw, on nothing
//! else. So a further scenario or figure never changes another's draws, scenarios on the same seed
//! can be compared draw by draw, and results do not depend on threads or batches.

pub mod balance;
pub mod distribution;
pub mod draw;
pub mod ensemble;
pub mod figures;
pub mod losses;
pub mod sensitivity;
pub mod statistics;

pub mod stream;

pub use distribution::Distribution;
pub use draw::{DrawnGraph, Ranges};
pub use ensemble::{Samples, sample};
pub use figures::{Kinds, Subject, UncertainFigure};
pub use losses::ScenarioLosses;
pub use statistics::{Spread, spread};
