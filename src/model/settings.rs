//! What a graph is called and how its analyses are set up unless a question says otherwise.

use std::collections::BTreeMap;

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
    /// Which old versions stay readable.
    #[serde(skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
}

/// Which old versions of a graph stay readable when its log is folded. By default all do; the
/// newest always does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Keep this many of the newest versions; all, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Versions to keep whatever their age.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<u64>,
    /// Versions with a name, kept whatever their age.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, u64>,
}

impl Retention {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// True if `version` stays readable while `newest` is the newest.
    pub fn keeps(&self, version: u64, newest: u64) -> bool {
        self.last.is_none_or(|n| newest.saturating_sub(version) < n.max(1))
            || self.versions.contains(&version)
            || self.tags.values().any(|&tagged| tagged == version)
    }

    /// True if every version stays readable.
    pub fn keeps_all(&self) -> bool {
        self.last.is_none()
    }
}
