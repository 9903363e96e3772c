//! Graphs: create, fork, change, delete, versions.

use serde::Serialize;
use utoipa::ToSchema;

use super::access::audit::Act;
use super::error::ServiceError;
use super::time::{iso, now_ms};
use super::writer::{Attached, Write, WriteRequest, Written};
use super::{Service, explore};
use crate::model::change::RecordKey;
use crate::model::scenario::Rationing;
use crate::model::{Change, FlowRecord, GraphSettings, Record, Retention};
use crate::store::{CommitMeta, GraphHead, VersionInfo};

/// Longest graph name, in bytes.
const MAX_GRAPH_NAME: usize = 64;
/// Most changes in one batch.
pub const MAX_CHANGES: usize = 1_000_000;

/// A graph as the catalogue lists it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GraphView {
    /// Name: what paths take.
    #[schema(example = "critical-minerals")]
    pub name: String,
    /// One line for people.
    pub title: Option<String>,
    /// What it stands for and what its quantities are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Newest version. Version 0 is empty (or the start of a fork).
    pub version: u64,
    /// Number of nodes.
    pub nodes: u64,
    /// Number of flows.
    pub flows: u64,
    /// Number of requirements.
    pub requirements: u64,
    /// Where a fork started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkView>,
    /// Rationing of questions that state none.
    pub rationing: Rationing,
    /// Stock of each input in days of use, for nodes that state none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock_days: Option<f64>,
    /// When it was made (ISO 8601).
    pub created: String,
    /// When it last changed (ISO 8601).
    pub updated: String,
}

/// Where a fork started.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ForkView {
    /// The other graph.
    pub graph: String,
    /// Its version.
    pub version: u64,
}

impl From<&GraphHead> for GraphView {
    fn from(head: &GraphHead) -> Self {
        let settings = &head.settings;
        Self {
            name: head.name.clone(),
            title: settings.title.clone(),
            description: settings.description.clone(),
            version: head.version,
            nodes: head.counts.nodes,
            flows: head.counts.flows,
            requirements: head.counts.requirements,
            forked_from: head
                .forked_from
                .clone()
                .map(|(graph, version)| ForkView { graph, version }),
            rationing: settings.rationing.clone(),
            stock_days: settings.stock_days,
            created: iso(head.created_ms),
            updated: iso(head.updated_ms),
        }
    }
}

/// A version in the commit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VersionView {
    /// Number, counting up from 0.
    pub version: u64,
    /// When it was made (ISO 8601).
    pub time: String,
    /// Who made it.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// Number of nodes.
    pub nodes: u64,
    /// Number of flows.
    pub flows: u64,
    /// Number of requirements.
    pub requirements: u64,
    /// Number of changes against the version before (0 for an import that replaced everything).
    pub changes: u64,
    /// True if an import replaced everything.
    pub replaced: bool,
    /// Names that were given to it; it is kept as long as it has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl From<&VersionInfo> for VersionView {
    fn from(version: &VersionInfo) -> Self {
        Self {
            version: version.version,
            time: iso(version.time_ms),
            author: version.author.clone(),
            message: version.message.clone(),
            nodes: version.counts.nodes,
            flows: version.counts.flows,
            requirements: version.counts.requirements,
            changes: version.changes,
            replaced: version.bulk,
            tags: Vec::new(),
        }
    }
}

/// Where a fork starts.
#[derive(Debug, Clone)]
pub struct ForkFrom {
    /// The other graph.
    pub graph: String,
    /// Its version (default: newest).
    pub version: Option<u64>,
}

/// Author and message of a write, and the version that the graph must be at.
#[derive(Debug, Clone, Default)]
pub struct WriteContext {
    /// Version of `If-Match`.
    pub if_match: Option<u64>,
    /// Who writes.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// The audit entry of the act, to become durable with a batch of changes.
    pub act: Option<Act>,
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() <= MAX_GRAPH_NAME && starts_well && name.chars().all(good) {
        return Ok(());
    }
    Err(ServiceError::malformed_hint(
        "graph",
        "this cannot be the name of a graph",
        format!(
            "use up to {MAX_GRAPH_NAME} letters, digits, - _ and ., starting with a letter or digit"
        ),
    ))
}

impl Service {
    /// Queues a write and waits until it is durable and visible.
    ///
    /// # Errors
    /// Why it was refused; nothing of it was written then.
    pub async fn write(
        &self,
        graph: &str,
        context: WriteContext,
        write: Write,
    ) -> Result<Written, ServiceError> {
        self.write_with(graph, context, write, Vec::new()).await
    }

    /// As [`Service::write`], with documents that become durable with a batch of changes.
    ///
    /// # Errors
    /// As [`Service::write`].
    pub async fn write_with(
        &self,
        graph: &str,
        context: WriteContext,
        write: Write,
        attached: Vec<Attached>,
    ) -> Result<Written, ServiceError> {
        let mut request = self.request(graph, context, write)?;
        request.attached.extend(attached);
        let written = self.writer.write(request).await?;
        self.models.retire(graph, written.head.version);
        Ok(written)
    }

    /// As [`Service::write`], for threads that may block.
    ///
    /// # Errors
    /// As [`Service::write`].
    pub fn write_blocking(
        &self,
        graph: &str,
        context: WriteContext,
        write: Write,
    ) -> Result<Written, ServiceError> {
        let written = self.writer.write_blocking(self.request(graph, context, write)?)?;
        self.models.retire(graph, written.head.version);
        Ok(written)
    }

    fn request(
        &self,
        graph: &str,
        context: WriteContext,
        mut write: Write,
    ) -> Result<WriteRequest, ServiceError> {
        match &mut write {
            Write::Create(_) | Write::Fork { .. } => check_name(graph)?,
            Write::Changes(changes) => {
                self.catalogue.entry(graph)?;
                self.check_changes(changes)?;
            }
            _ => {}
        }
        let batch = matches!(write, Write::Changes(_));
        let attached = context.act.iter().filter(|_| batch).map(Act::attached).collect();
        let meta =
            CommitMeta { author: context.author, message: context.message, time_ms: now_ms() };
        Ok(WriteRequest {
            graph: graph.to_owned(),
            if_match: context.if_match,
            meta,
            write,
            attached,
        })
    }

    /// What the writer cannot know: the register of countries. Codes become canonical.
    fn check_changes(&self, changes: &mut [Change]) -> Result<(), ServiceError> {
        if changes.len() > MAX_CHANGES {
            return Err(ServiceError::malformed_hint(
                "changes",
                format!("{} changes; at most {MAX_CHANGES}", changes.len()),
                "import a file instead",
            ));
        }
        for (i, change) in changes.iter_mut().enumerate() {
            if let Change::Put(Record::Node(node)) = change
                && let Some(country) = &mut node.country
            {
                *country = self.catalogue.countries().canonical(country).map_err(|problem| {
                    ServiceError::Impossible {
                        param: Some(format!("changes[{i}].country")),
                        problem: format!("node {}: {problem}", node.id),
                        hint: None,
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Creates or forks a graph, or changes the settings of one. Returns the graph and whether it
    /// is new.
    ///
    /// # Errors
    /// A name that cannot be one; a fork onto an existing name; an absent origin.
    pub async fn put_graph(
        &self,
        name: &str,
        settings: GraphSettings,
        fork: Option<ForkFrom>,
        context: WriteContext,
    ) -> Result<(GraphView, bool), ServiceError> {
        let exists = self.catalogue.entry(name).is_ok();
        let write = match (fork, exists) {
            (Some(_), true) => {
                return Err(ServiceError::Taken { what: "graph", name: name.to_owned() });
            }
            (Some(fork), false) => {
                let origin = self.catalogue.entry(&fork.graph)?;
                self.refuse_cycle(name, &fork.graph)?;
                let head = origin.head();
                if let Some(version) = fork.version
                    && !head.settings.retention.keeps(version, head.version)
                    && version <= head.version
                {
                    let (graph, newest) = (fork.graph, head.version);
                    return Err(ServiceError::Gone { graph, version, newest });
                }
                let title = settings.title.is_some();
                // Versions and their names are the origin's own.
                let inherited =
                    GraphSettings { retention: Retention::default(), ..head.settings.clone() };
                let settings = if settings == GraphSettings::default() {
                    inherited
                } else if title && settings.description.is_none() {
                    GraphSettings { title: settings.title, ..inherited }
                } else {
                    settings
                };
                Write::Fork { settings, from: fork.graph, at: fork.version }
            }
            (None, true) => Write::Settings(settings),
            (None, false) => Write::Create(settings),
        };
        let written = self.write(name, context, write).await?;
        Ok((GraphView::from(&written.head), !exists))
    }

    /// The flow of an id (`from..to` or `from..to..product`) in a snapshot.
    ///
    /// # Errors
    /// [`ServiceError::Absent`].
    pub fn flow_index(
        &self,
        snapshot: &crate::graph::Snapshot,
        id: &str,
    ) -> Result<usize, ServiceError> {
        let network = snapshot.network();
        flow_keys(id)
            .find_map(|(from, to, product)| network.flow_index(from, to, product))
            .ok_or_else(|| ServiceError::Absent {
                what: "flow",
                name: id.to_owned(),
                hint: Some(
                    flow_keys(id)
                        .next()
                        .and_then(|(from, to, _)| {
                            [from, to]
                                .into_iter()
                                .find_map(|end| explore::node_index(snapshot, end).err())
                        })
                        .map_or_else(
                            || "both ends exist, but no such flow joins them".to_owned(),
                            |missing| missing.to_string(),
                        ),
                ),
            })
    }
}

/// Every way to read a flow id as ends and product: ids may hold single dots at their ends.
pub fn flow_keys(id: &str) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    let places =
        || (1..id.len().saturating_sub(1)).filter(|&i| id.as_bytes()[i..].starts_with(b".."));
    let two = places().map(|i| (&id[..i], &id[i + 2..], None));
    let three = places().flat_map(move |i| {
        places()
            .filter(move |&j| j > i + 2)
            .map(move |j| (&id[..i], &id[i + 2..j], Some(&id[j + 2..])))
    });
    two.chain(three).filter(|(from, to, product)| {
        !from.is_empty() && !to.is_empty() && product.is_none_or(|p| !p.is_empty())
    })
}

/// The key of a flow record.
pub fn flow_key(flow: &FlowRecord) -> RecordKey {
    RecordKey::Flow(crate::model::change::FlowKey {
        from: flow.from.clone(),
        to: flow.to.clone(),
        product: flow.product.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_ids_are_read_every_way_they_can_be() {
        let keys: Vec<_> = flow_keys("a.b..c.d..tin").collect();
        assert!(keys.contains(&("a.b", "c.d", Some("tin"))));
        assert!(flow_keys("a...b").any(|key| key == ("a.", "b", None)));
        assert_eq!(flow_keys("ab").count(), 0);
        assert_eq!(flow_keys("é..ü").next(), Some(("é", "ü", None)));
    }
}
