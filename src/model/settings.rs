//! What a graph is called and how its analyses are set up unless a question says otherwise.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scenario::Rationing;

/// Title and defaults of one graph.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphSettings {
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the graph stands for and what its quantities are shares or amounts of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Rationing of questions that state none (proportional unless set).
    pub rationing: Rationing,
    /// Stock of each input in days of use, for nodes that state none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock_days: Option<f64>,
}
