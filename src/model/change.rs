//! Changes: one atomic batch of puts and deletes against a network.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::record::{FlowRecord, NodeRecord, Record, RequirementRecord};

/// Names one flow: two ends and what flows (absent: the supplier's own product).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowKey {
    /// Id of the supplier.
    pub from: String,
    /// Id of the consumer.
    pub to: String,
    /// What flows; the supplier's product if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

/// Names the record to delete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RecordKey {
    /// A node by id. Its flows must be deleted in the same batch, unless `detach` is set.
    Node {
        /// Id of the node.
        id: String,
        /// Delete the node's flows too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detach: bool,
    },
    /// A flow.
    Flow(FlowKey),
    /// A requirement.
    Requirement {
        /// Product that is made.
        output: String,
        /// Product that it needs.
        input: String,
    },
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every change of a batch is a put")]
pub enum Change {
    /// Adds the record or replaces the one of the same key.
    Put(Record),
    /// Removes the record of this key.
    Delete(RecordKey),
}

impl From<NodeRecord> for Change {
    fn from(node: NodeRecord) -> Self {
        Self::Put(Record::Node(node))
    }
}

impl From<FlowRecord> for Change {
    fn from(flow: FlowRecord) -> Self {
        Self::Put(Record::Flow(flow))
    }
}

impl From<RequirementRecord> for Change {
    fn from(requirement: RequirementRecord) -> Self {
        Self::Put(Record::Requirement(requirement))
    }
}

/// Why a batch (or an import) cannot be applied; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, ToSchema)]
#[error("change {index}: {problem}")]
pub struct ChangeError {
    /// Position of the change in the batch (or row of the file), from 0.
    pub index: usize,
    /// What is wrong and what to do.
    pub problem: String,
    /// True if the change names something that does not exist.
    pub absent: bool,
}
