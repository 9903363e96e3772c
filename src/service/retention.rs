//! Which versions of a graph stay readable, and their names.

use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use super::error::ServiceError;
use super::graphs::{VersionView, WriteContext};
use super::writer::Write;
use crate::model::Retention;
use crate::store::GraphHead;

/// Most named versions of a graph.
const MAX_TAGS: usize = 1000;
/// Longest name of a version, in bytes.
const MAX_TAG_BYTES: usize = 64;

/// Which old versions stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All of them.
    All,
    /// The newest ones and those with a name.
    Last,
    /// The newest one and those with a name.
    Tagged,
}

/// A version with its name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tagged {
    /// Name.
    #[schema(example = "release-1")]
    pub tag: String,
    /// Version.
    pub version: u64,
}

/// Retention of a graph.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RetentionView {
    /// Graph.
    pub graph: String,
    /// Newest version.
    pub version: u64,
    /// Which old versions stay readable.
    pub keep: Keep,
    /// Number of newest versions kept, where `keep` is `last`.
    pub last: Option<u64>,
    /// Versions that are kept whatever their age.
    pub tagged: Vec<Tagged>,
    /// Bytes that the data directory takes, all graphs together. Space of dropped versions comes
    /// back in the background.
    pub disk_bytes: u64,
}

fn view(head: &GraphHead, disk_bytes: u64) -> RetentionView {
    let retention = &head.settings.retention;
    let keep = match retention.last {
        None => Keep::All,
        Some(0 | 1) => Keep::Tagged,
        Some(_) => Keep::Last,
    };
    let tags = retention.tags.iter().map(|(tag, &version)| Tagged { tag: tag.clone(), version });
    let unnamed = retention.versions.iter().map(|&version| Tagged { tag: String::new(), version });
    RetentionView {
        graph: head.name.clone(),
        version: head.version,
        keep,
        last: retention.last.filter(|_| keep == Keep::Last),
        tagged: tags.chain(unnamed).collect(),
        disk_bytes,
    }
}

impl Service {
    /// The retention of a graph.
    ///
    /// # Errors
    /// An absent graph.
    pub fn retention(&self, graph: &str) -> Result<RetentionView, ServiceError> {
        Ok(view(&self.catalogue.entry(graph)?.head(), self.store.disk_bytes()?))
    }

    /// Sets how many of the newest versions stay readable (`None`: all). Versions that are given up
    /// cannot be read from now on; their space comes back in the background.
    ///
    /// # Errors
    /// An absent graph; a stale `If-Match`; a store that fails.
    pub async fn set_retention(
        &self,
        graph: &str,
        last: Option<u64>,
        context: WriteContext,
    ) -> Result<RetentionView, ServiceError> {
        self.change_retention(graph, context, move |retention| Ok(Retention { last, ..retention }))
            .await
    }

    /// Names a version, so that it is kept; a name moves if another version had it.
    ///
    /// # Errors
    /// A name that cannot be one; a version that is not there (any more); too many names.
    pub async fn tag(
        &self,
        graph: &str,
        version: u64,
        tag: String,
        context: WriteContext,
    ) -> Result<VersionView, ServiceError> {
        let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
        if tag.is_empty() || tag.len() > MAX_TAG_BYTES || !tag.chars().all(good) {
            return Err(ServiceError::malformed_hint(
                "tag",
                format!("\"{}\" cannot name a version", tag.escape_debug()),
                format!("use up to {MAX_TAG_BYTES} letters, digits, - _ . and blanks"),
            ));
        }
        self.version(graph, version).await?;
        self.change_retention(graph, context, move |mut retention| {
            retention.tags.insert(tag, version);
            if retention.tags.len() > MAX_TAGS {
                return Err(ServiceError::malformed_hint(
                    "tag",
                    format!("the graph has {MAX_TAGS} named versions already"),
                    "take the name of another version away first",
                ));
            }
            Ok(retention)
        })
        .await?;
        self.version(graph, version).await
    }

    /// Takes all names of a version away: it is kept only as its age allows.
    ///
    /// # Errors
    /// A version without a name.
    pub async fn untag(
        &self,
        graph: &str,
        version: u64,
        context: WriteContext,
    ) -> Result<(), ServiceError> {
        let name = format!("{graph}@{version}");
        self.change_retention(graph, context, move |mut retention| {
            let before = retention.tags.len() + retention.versions.len();
            retention.tags.retain(|_, tagged| *tagged != version);
            retention.versions.retain(|tagged| *tagged != version);
            if retention.tags.len() + retention.versions.len() == before {
                let hint = Some("GET the graph's retention for the names there are".to_owned());
                return Err(ServiceError::Absent { what: "tag of", name, hint });
            }
            Ok(retention)
        })
        .await?;
        Ok(())
    }

    async fn change_retention(
        &self,
        graph: &str,
        context: WriteContext,
        change: impl FnOnce(Retention) -> Result<Retention, ServiceError> + Send + 'static,
    ) -> Result<RetentionView, ServiceError> {
        let done = self.write(graph, context, Write::Retention(Box::new(change))).await?;
        if !done.head.settings.retention.keeps_all() {
            self.compactor.notice().fold(graph);
        }
        Ok(view(&done.head, self.store.disk_bytes()?))
    }

    /// The versions that are kept, oldest first, with their names.
    ///
    /// # Errors
    /// An absent graph; a store that cannot be read.
    pub async fn versions(&self, graph: &str) -> Result<Vec<VersionView>, ServiceError> {
        let head = self.catalogue.entry(graph)?.head();
        let (store, name) = (self.store.clone(), graph.to_owned());
        let versions = self.blocking(move || Ok(store.versions(&name)?)).await?;
        let retention = &head.settings.retention;
        let newest = versions.last().map_or(head.version, |last| last.version);
        let kept = versions.iter().filter(|info| retention.keeps(info.version, newest));
        Ok(kept
            .map(|info| {
                let tags = retention.tags.iter().filter(|(_, tagged)| **tagged == info.version);
                VersionView {
                    tags: tags.map(|(tag, _)| tag.clone()).collect(),
                    ..VersionView::from(info)
                }
            })
            .collect())
    }

    /// One version.
    ///
    /// # Errors
    /// A version that was never there, or is no longer kept.
    pub async fn version(&self, graph: &str, version: u64) -> Result<VersionView, ServiceError> {
        let head = self.catalogue.entry(graph)?.head();
        let found = self.versions(graph).await?.into_iter().find(|v| v.version == version);
        found.ok_or_else(|| match version <= head.version {
            true => ServiceError::Gone { graph: graph.into(), version, newest: head.version },
            false => ServiceError::Absent {
                what: "version",
                name: format!("{graph}@{version}"),
                hint: Some(format!("the newest version is {}", head.version)),
            },
        })
    }
}
