//! The words: figures, records, networks, selectors, scenarios. Imports nothing else of ours.
//!
//! Everything above (`dataset`, `store`, `graph`, `analysis`, `service`, `http`) speaks in these
//! types. They know no file format beyond serde, no storage, no clock and no HTTP.

pub mod change;
pub mod country;
pub mod figure;
pub mod network;
pub mod record;
pub mod scenario;
pub mod selector;
pub mod settings;
pub mod symbols;

pub use change::{Change, ChangeError};
pub use country::Countries;
pub use figure::{Figure, FigureClass};
pub use network::{Network, NetworkBuilder};
pub use record::{FlowRecord, NodeRecord, Record, RequirementRecord, Rule};
pub use selector::Selector;
pub use settings::{GraphSettings, Retention};
pub use symbols::{Symbol, Symbols};
