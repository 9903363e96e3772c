//! What the program brings along: registers, scenario presets and the bundled graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ServiceError;
use super::objects::objects;
use crate::dataset::synthesis::critical_minerals;
use crate::dataset::{self, presets, registers};
use crate::model::scenario::ScenarioBody;
use crate::model::{Countries, GraphSettings, Network};

/// Name of the bundled graph.
pub const BUNDLED_GRAPH: &str = dataset::CRITICAL_MINERALS;

/// Rows of a register as JSON objects.
pub type Rows = Vec<Map<String, Value>>;

/// Registers and presets, loaded once.
pub struct Reference {
    /// The register of countries.
    pub countries: Arc<Countries>,
    /// Rows of each register, by the name that the API gives it.
    pub registers: BTreeMap<&'static str, Rows>,
    /// Every figure of the tables, by id.
    pub figures: BTreeMap<String, registers::FigureEntry>,
    /// Scenario presets by id.
    pub presets: BTreeMap<String, ScenarioBody>,
}

/// An embedded table that is broken; a test of the data set excludes that.
fn broken(error: &dyn std::fmt::Display) -> ServiceError {
    tracing::error!(%error, "the bundled reference data is broken");
    ServiceError::Internal
}

impl Reference {
    /// Reads the embedded tables.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if an embedded table is broken.
    pub fn load() -> Result<Self, ServiceError> {
        let tables = dataset::tables();
        let registers = BTreeMap::from([
            ("products", objects(&registers::products(tables))?),
            ("countries", objects(&registers::countries(tables))?),
            ("stages", objects(&registers::stages())?),
            ("policies", objects(&registers::policies(tables))?),
            ("projects", objects(&registers::projects(tables))?),
            ("stockpiles", objects(&registers::stockpiles(tables))?),
            ("sources", objects(&registers::sources(tables))?),
        ]);
        Ok(Self {
            countries: dataset::countries(),
            registers,
            figures: registers::figures(tables),
            presets: presets::embedded().map_err(|error| broken(&error))?.into_iter().collect(),
        })
    }

    /// The bundled graph.
    ///
    /// # Errors
    /// As [`Reference::load`].
    pub fn bundled_graph() -> Result<(Network, GraphSettings), ServiceError> {
        critical_minerals(dataset::tables()).map_err(|error| broken(&error))
    }
}
